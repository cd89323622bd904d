"""Links over TCP: one connection a pair of nodes, dialed by the one with the greater id; and questions by address.

Order of a link: greetings (`greetings`), then frames; an empty one is a ping, sent when nothing else was for a
heartbeat. A link on which nothing came for `silence_ms` is down. While there is no link, the dialing node tries again,
after pauses that double up to `REDIAL_MS_MAX`, with jitter.

What nobody has greeted yet costs little: one KiB of buffer, `HANDSHAKE_MS`, and `STRANGERS_MAX` of them at a time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Final

from .clock import Clock, Timer
from .connections import Connection
from .deadlines import pause, within
from .errors import GreetingRefusedError, MalformedFrameError
from .greetings import (
    ANY_NODE,
    NO_CLUSTER_YET,
    NONCE_BYTES,
    Greeting,
    Purpose,
    check_identity,
    check_link,
    decode_greeting,
    encode_greeting,
)
from .links import FRAME_BYTES_MAX, LinkReceiver, PeerAddress
from .questions import Answering, Answers, QuestionHandler, ask, check_welcome
from .settings import RaftSettings
from .vital_signs import key_of
from .vitals import Vitals

if TYPE_CHECKING:
    from .configuration import Peer
    from .interfaces import Buffer, NodeId

HANDSHAKE_MS: Final = 2_000
STRANGERS_MAX: Final = 64  # connections that are no link (yet), questions among them
REDIAL_MS_MIN: Final = 25
REDIAL_MS_MAX: Final = 500
CLOSE_MS: Final = 500  # what was queued may still leave
REFUSAL_QUIET_MS: Final = 60_000
REFUSALS_MAX: Final = 1_024  # reasons remembered as told


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a test replaces."""

    clock: Clock
    random: Random
    vitals: Vitals | None = None
    logger: logging.Logger = field(default_factory=lambda: logging.getLogger(__name__))


class TcpLinks:
    """Fulfils `links.Links`. All methods belong to one event loop; `close` ends what was begun.

    `listen` may come long before `start`: questions are answered and asked, links refused. `cluster_id` is set once,
    before `start`; it is empty as long as the node belongs to no cluster.
    """

    def __init__(
        self, peer: Peer, listen: PeerAddress, settings: RaftSettings, surroundings: Surroundings, cluster_id: str = ""
    ) -> None:
        self.cluster_id = cluster_id
        self.on_question: QuestionHandler | None = None
        self._own = peer
        self._listen = listen
        self._settings = settings
        self._clock = surroundings.clock
        self._random = surroundings.random
        self._logger = surroundings.logger
        self._vitals = surroundings.vitals
        self._server: asyncio.Server | None = None
        self._receiver: LinkReceiver | None = None
        self._addresses: dict[NodeId, PeerAddress] = {}
        self._dialers: dict[NodeId, _Dialer] = {}
        self._links: dict[NodeId, _Link] = {}
        self._strangers: set[Connection] = set()
        self._ticker: Timer | None = None
        self._ticked_ms = 0
        self._told: dict[str, int] = {}
        self._is_closed = False

    # Questions, and being reachable

    async def listen(self) -> PeerAddress:
        """Open the listener; where it is. Raises: OSError."""
        assert self._server is None, "listening already"
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._new_stranger, self._listen.host, self._listen.port)
        host, port = self._server.sockets[0].getsockname()[:2]
        if self._vitals is not None:
            self._vitals.open(host, port)
        return PeerAddress(host, port)

    async def ask(self, address: PeerAddress, question: bytes, timeout_ms: int) -> memoryview:
        """Ask whoever listens there; see `questions.ask`."""
        greeting = self._greeting(Purpose.QUESTION, self._nonce(), ANY_NODE)
        return await ask(self._clock, address, greeting, question, timeout_ms)

    # links.Links

    async def start(self, receiver: LinkReceiver) -> None:
        """Raises: OSError, unless `listen` was called before."""
        assert self._receiver is None, "started already"
        assert self.cluster_id, "links are those of a cluster"
        if self._server is None:
            await self.listen()
        self._receiver = receiver
        self._ticked_ms = self._clock.now_ms()
        self._tick()
        self._settle()

    def set_peers(self, addresses: Mapping[NodeId, PeerAddress]) -> None:
        self._addresses = {node: address for node, address in addresses.items() if node != self._own.node_id}
        # A turn later: links that end must not be told from inside this call.
        asyncio.get_running_loop().call_soon(self._settle)

    def is_up(self, node: NodeId) -> bool:
        return node in self._links

    def peer_or_none(self, node: NodeId) -> Peer | None:
        link = self._links.get(node)
        return None if link is None else link.peer

    def send(self, node: NodeId, buffers: Sequence[Buffer]) -> bool:
        link = self._links.get(node)
        if link is None:
            return False
        queued = link.connection.queued_bytes
        # One frame may be larger than the bound: it goes when nothing else waits.
        if queued and queued + sum(len(part) for part in buffers) > self._settings.link_queue_bytes_max:
            return False
        link.connection.send(buffers)
        return True

    def send_beat(self, node: NodeId, frames: Sequence[Sequence[Buffer]]) -> bool:
        """One write; and the links look at themselves in the same turn of the loop, which saves it a wake-up."""
        is_near = self._clock.now_ms() - self._ticked_ms >= self._settings.heartbeat_ms // 2
        if is_near and self._ticker is not None and not self._is_closed:
            self._ticker.cancel()
            # A turn later: links that end must not be told from inside this call.
            self._ticker = asyncio.get_running_loop().call_soon(self._tick)
        link = self._links.get(node)
        if link is None:
            return False
        size = sum(len(part) for frame in frames for part in frame)
        if link.connection.queued_bytes + size > self._settings.link_queue_bytes_max:
            return False
        link.connection.send_all(frames)
        return True

    def queued_bytes(self, node: NodeId) -> int:
        link = self._links.get(node)
        return 0 if link is None else link.connection.queued_bytes

    async def close(self) -> None:
        self._is_closed = True
        self._receiver = None
        if self._ticker is not None:
            self._ticker.cancel()
        if self._server is not None:
            self._server.close()
        if self._vitals is not None:
            self._vitals.close()
        dialers = [dialer.task for dialer in self._dialers.values()]
        for task in dialers:
            task.cancel()
        connections = [link.connection for link in self._links.values()] + list(self._strangers)
        self._links.clear()
        for connection in connections:
            connection.close("this node is stopping")
        if dialers:
            await asyncio.wait(dialers)
        deadline_ms = self._clock.now_ms() + CLOSE_MS
        while any(connection.queued_bytes for connection in connections) and self._clock.now_ms() < deadline_ms:
            await pause(self._clock, 5)
        for connection in connections:
            connection.abort("this node is stopping")

    # Being dialed

    def _new_stranger(self) -> Connection:
        return Connection(_Stranger(self))

    def admit_stranger(self, connection: Connection) -> bool:
        if self._is_closed or len(self._strangers) >= STRANGERS_MAX:
            return False
        self._strangers.add(connection)
        return True

    def forget_stranger(self, connection: Connection) -> None:
        self._strangers.discard(connection)

    def hear_stranger(self, connection: Connection, frame: memoryview) -> None:
        """The first frame of a connection: a link, a question, or not for us. Raises: MalformedFrameError."""
        try:
            heard = decode_greeting(frame)
        except (GreetingRefusedError, MalformedFrameError) as error:
            # Whoever does not speak our version cannot read an answer in it.
            self.tell_refusal(f"{connection.remote.rpartition(':')[0]}: {error}")
            raise MalformedFrameError(str(error)) from error
        try:
            if heard.purpose is Purpose.QUESTION:
                self._begin_answering(connection, heard)
            elif heard.purpose is Purpose.LINK:
                self._accept_link(connection, heard)
            else:
                raise MalformedFrameError(f"a connection that begins with {heard.purpose.name}")
        except GreetingRefusedError as error:
            self.tell_refusal(f"a link from node {heard.node_id} is refused: {error}")
            refusal = self._greeting(Purpose.REFUSED, heard.nonce, heard.node_id, str(error))
            connection.send((encode_greeting(refusal),))
            connection.close("refused")

    def _begin_answering(self, connection: Connection, heard: Greeting) -> None:
        if self.on_question is None:
            raise GreetingRefusedError("this node answers no questions")
        connection.send((encode_greeting(self._greeting(Purpose.WELCOME, heard.nonce, heard.node_id)),))
        Answering(connection, heard, Answers(self.on_question, self._clock, self._logger, self.forget_stranger))

    def _accept_link(self, connection: Connection, heard: Greeting) -> None:
        check_link(heard, self._own, self.cluster_id, self._known())
        if self._receiver is None:
            raise GreetingRefusedError(f"node {self._own.node_id} is starting or stopping")
        self.forget_stranger(connection)
        connection.send((encode_greeting(self._greeting(Purpose.WELCOME, heard.nonce, heard.node_id)),))
        self.bring_up(_Link(self, connection, heard.peer, heard.nonce))

    # Dialing

    async def dial(self, node: NodeId, address: PeerAddress) -> _Link:
        """Raises: OSError, GreetingRefusedError."""
        asked = self._greeting(Purpose.LINK, self._nonce(), node)
        dialed = _Dialed(self, asked)
        loop = asyncio.get_running_loop()

        async def work() -> _Link:
            await loop.create_connection(lambda: Connection(dialed), address.host, address.port)
            return await dialed.link

        try:
            return await within(self._clock, HANDSHAKE_MS, work())
        except BaseException:
            dialed.end()
            raise

    def check_welcomed(self, heard: Greeting, sent: Greeting) -> None:
        """Raises: GreetingRefusedError, MalformedFrameError."""
        check_welcome(heard, sent)
        check_identity(heard, self._own, self.cluster_id, self._known())
        if heard.node_id != sent.to_node:
            raise GreetingRefusedError(f"node {heard.node_id} listens where node {sent.to_node} should")

    # Links

    def bring_up(self, link: _Link) -> None:
        assert self._receiver is not None, "links begin with `start`"
        node = link.peer.node_id
        old = self._links.get(node)
        if old is not None:
            # Whoever dials again has lost the old one.
            old.connection.abort("replaced by a newer one")
        link.heard_ms = link.sent_ms = self._clock.now_ms()
        self._links[node] = link
        if self._vitals is not None and node in self._addresses:
            there = link.connection.remote.rpartition(":")[0], self._addresses[node].port
            self._vitals.on_up(node, there, key_of(self.cluster_id, link.nonce))
        self._logger.info("link to node %d at %s is up", node, link.connection.remote)
        self._receiver.on_up(link.peer)

    def bring_down(self, link: _Link, reason: str) -> None:
        if self._links.get(link.peer.node_id) is not link:
            return
        del self._links[link.peer.node_id]
        link.ended.set()
        if self._vitals is not None:
            self._vitals.on_down(link.peer.node_id)
        self._logger.info("link to node %d is down: %s", link.peer.node_id, reason)
        if self._receiver is not None:
            self._receiver.on_down(link.peer)

    def deliver(self, link: _Link, frame: memoryview) -> None:
        if self._receiver is not None:
            self._receiver.on_frame(link.peer, frame)

    def _settle(self) -> None:
        """Bring links and dialing to what `set_peers` said last."""
        if self._receiver is None:
            return
        for node, link in tuple(self._links.items()):
            address = self._addresses.get(node)
            if address is None or address.disk_id not in {None, link.peer.disk_id}:
                link.connection.abort("no node of this cluster any more")
        for node, dialer in tuple(self._dialers.items()):
            if node not in self._addresses:
                dialer.task.cancel()
                del self._dialers[node]
        for node, address in self._addresses.items():
            if node < self._own.node_id:
                if node not in self._dialers:
                    self._dialers[node] = _Dialer(self, node, address, self._clock, self._random)
                else:
                    self._dialers[node].go_to(address)

    def _tick(self) -> None:
        """Ping where nothing was sent, end links where nothing came."""
        now_ms = self._clock.now_ms()
        settings = self._settings
        # When this very loop was late, what came meanwhile is still in the sockets: no evidence of silence.
        was_late = now_ms - self._ticked_ms > settings.heartbeat_ms * 3 // 2
        self._ticked_ms = now_ms
        # First of all: whatever an observer of an ended link fails at, the next tick comes.
        self._ticker = self._clock.call_later(settings.heartbeat_ms, self._tick)
        if self._vitals is not None:
            self._vitals.beat(now_ms)
        for link in tuple(self._links.values()):
            is_silent = link.is_silent(now_ms, settings.silence_ms)
            if self._vitals is not None:
                self._vitals.on_bytes(link.peer.node_id, link.heard_ms)
            if is_silent and not was_late and not self._lives(link):
                link.connection.abort(f"nothing came for {settings.silence_ms} ms")
            elif link.is_idle(now_ms, settings.heartbeat_ms // 2):
                link.connection.send(())

    def _lives(self, link: _Link) -> bool:
        """Its node gives signs, though nothing came over the link for a while."""
        return self._vitals is not None and self._vitals.lives(link.peer.node_id)

    # Small things

    def tell_refusal(self, reason: str) -> None:
        """Log it, but each reason once a minute."""
        now_ms = self._clock.now_ms()
        told_ms = self._told.get(reason)
        if told_ms is not None and now_ms - told_ms < REFUSAL_QUIET_MS:
            return
        if len(self._told) >= REFUSALS_MAX:
            self._told.clear()
        self._told[reason] = now_ms
        self._logger.log(logging.INFO if NO_CLUSTER_YET in reason else logging.WARNING, "%s", reason)

    def later(self, ms: int, connection: Connection, reason: str) -> Timer:
        return self._clock.call_later(ms, lambda: connection.abort(reason))

    def _known(self) -> dict[NodeId, str | None]:
        return {node: address.disk_id for node, address in self._addresses.items()}

    def _greeting(self, purpose: Purpose, nonce: bytes, to_node: NodeId, reason: str = "") -> Greeting:
        return Greeting(
            purpose=purpose,
            cluster_id=self.cluster_id,
            node_id=self._own.node_id,
            disk_id=self._own.disk_id,
            nonce=nonce,
            to_node=to_node,
            reason=reason,
        )

    def _nonce(self) -> bytes:
        return self._random.randbytes(NONCE_BYTES)


class _Stranger:
    """Owns a connection that was accepted, until its greeting was heard or its time is over."""

    def __init__(self, links: TcpLinks) -> None:
        self._links = links
        self._timer: Timer | None = None

    def on_made(self, connection: Connection) -> None:
        if not self._links.admit_stranger(connection):
            self._links.tell_refusal(f"{STRANGERS_MAX} connections wait for their greeting: further ones are closed")
            connection.abort("too many")
            return
        self._timer = self._links.later(HANDSHAKE_MS, connection, "no greeting in time")

    def on_frame(self, connection: Connection, frame: memoryview) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._links.hear_stranger(connection, frame)

    def on_lost(self, connection: Connection, reason: str) -> None:
        del reason
        if self._timer is not None:
            self._timer.cancel()
        self._links.forget_stranger(connection)


class _Dialed:
    """Owns a connection that was dialed, until it is a link."""

    def __init__(self, links: TcpLinks, greeting: Greeting) -> None:
        self.link: asyncio.Future[_Link] = asyncio.get_running_loop().create_future()
        self._links = links
        self._greeting = greeting
        self._connection: Connection | None = None

    def end(self) -> None:
        if self._connection is not None and self._connection.owner is self:
            self._connection.abort("given up")
        if self.link.done() and not self.link.cancelled():
            self.link.exception()  # nobody waits for it any more
        self.link.cancel()

    def on_made(self, connection: Connection) -> None:
        self._connection = connection
        connection.send((encode_greeting(self._greeting),))

    def on_frame(self, connection: Connection, frame: memoryview) -> None:
        if self.link.done():
            return
        try:
            self._links.check_welcomed(decode_greeting(frame), self._greeting)
        except GreetingRefusedError as error:
            self.link.set_exception(error)
            return
        link = _Link(self._links, connection, decode_greeting(frame).peer, self._greeting.nonce)
        self.link.set_result(link)
        self._links.bring_up(link)

    def on_lost(self, connection: Connection, reason: str) -> None:
        del connection
        if not self.link.done():
            self.link.set_exception(ConnectionError(reason))


class _Link:
    """Owns a connection whose two ends know each other."""

    def __init__(self, links: TcpLinks, connection: Connection, peer: Peer, nonce: bytes) -> None:
        self.peer = peer
        self.nonce = nonce
        self.connection = connection
        self.ended = asyncio.Event()
        self.heard_ms = self.sent_ms = 0
        self._links = links
        self._bytes_in: int = 0
        self._bytes_out: int = 0
        connection.owner = self
        connection.reader.allow(FRAME_BYTES_MAX)

    def on_made(self, connection: Connection) -> None:
        raise AssertionError("it was made before it was greeted")

    def on_frame(self, connection: Connection, frame: memoryview) -> None:
        del connection
        if frame:
            self._links.deliver(self, frame)

    def on_lost(self, connection: Connection, reason: str) -> None:
        del connection
        self._links.bring_down(self, reason)

    def is_silent(self, now_ms: int, silence_ms: int) -> bool:
        if self.connection.bytes_in != self._bytes_in:
            self._bytes_in, self.heard_ms = self.connection.bytes_in, now_ms
        return now_ms - self.heard_ms >= silence_ms

    def is_idle(self, now_ms: int, heartbeat_ms: int) -> bool:
        if self.connection.bytes_out != self._bytes_out:
            self._bytes_out, self.sent_ms = self.connection.bytes_out, now_ms
        return now_ms - self.sent_ms >= heartbeat_ms


class _Dialer:
    """Keeps one node linked; runs until its task is cancelled."""

    def __init__(self, links: TcpLinks, node: NodeId, address: PeerAddress, clock: Clock, random: Random) -> None:
        self._links = links
        self._node = node
        self._address = address
        self._clock = clock
        self._random = random
        self._wake = asyncio.Event()
        self._failures = 0
        self.task = asyncio.get_running_loop().create_task(self._run(), name=f"dial node {node}")

    def go_to(self, address: PeerAddress) -> None:
        if address != self._address:
            self._address = address
            self._failures = 0
            self._wake.set()

    async def _run(self) -> None:
        while True:
            try:
                link = await self._links.dial(self._node, self._address)
            except GreetingRefusedError as error:
                self._links.tell_refusal(f"no link to node {self._node}: {error}")
            except OSError:
                pass  # not there; it is tried again
            else:
                begun_ms = self._clock.now_ms()
                await link.ended.wait()
                if self._clock.now_ms() - begun_ms >= REDIAL_MS_MAX:
                    self._failures = 0
            self._wake.clear()
            await pause(self._clock, self._pause_ms(), self._wake)

    def _pause_ms(self) -> int:
        doubled = min(REDIAL_MS_MAX, REDIAL_MS_MIN << min(self._failures, 10))
        self._failures += 1
        return self._random.randint(doubled // 2, doubled)
