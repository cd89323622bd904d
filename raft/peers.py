"""Messages and calls between nodes, over `Links`, in real processes and in the simulator alike.

Every frame begins `u8 class, u16 group, u8 kind`, big-endian. Class 1 is a Raft message of a group, with its payload.
Class 2 is part of a call (group 0): `u8 part, u64 call id`, then a request's `u32 deadline in ms` and body, an answer's
body, or a refusal's msgpack [code, text]. Call ids are the caller's own, and never used twice over one link.

A call ends exactly once: by its answer, its refusal, its deadline, or the link's end. Whoever served it is cancelled at
the same moments, so at most `rpcs_max` of a peer's calls are under way here, and as many of ours at each peer.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from struct import Struct
from typing import Final

import msgspec

from .clock import Clock, Timer
from .configuration import Peer
from .errors import CallRefusedError, MalformedFrameError, PeerUnreachableError, RaftError
from .interfaces import Buffer, GroupId, NodeId
from .links import FRAME_BYTES_MAX, Links
from .vitals import Vitals

HEADER = Struct(">BHB")
CALL_HEADER = Struct(">BHBBQ")
REQUEST_HEADER = Struct(">BHBBQI")
KIND_MAX = 255
RAFT: Final = 1
RPC: Final = 2
"""Classes of frames."""
REFUSAL_TEXT_MAX = 4_096
ANSWER_RETRY_MS = 20  # the link's queue is full: the answer waits for room, until the call's deadline

NOT_SERVED: Final = "NotServed"
TOO_MANY_CALLS: Final = "TooManyCalls"
ANSWER_TOO_LARGE: Final = "AnswerTooLarge"
FAULT: Final = "Fault"

OnMessage = Callable[[Peer, GroupId, int, memoryview], None]
Handler = Callable[[Peer, memoryview], Awaitable[Sequence[Buffer]]]
Observer = Callable[[Peer], None]


class Part(IntEnum):
    REQUEST = 1
    ANSWER = 2
    REFUSAL = 3


class Refusal(msgspec.Struct, frozen=True, array_like=True):
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class _Served:
    handler: Handler
    refusals: tuple[type[Exception], ...]


@dataclass(slots=True)
class _Call:
    answer: asyncio.Future[memoryview]
    kind: int
    timer: Timer


@dataclass(slots=True)
class _Remote:
    """A peer while its link is up; a new link begins with a new one."""

    peer: Peer
    calls: dict[int, _Call] = field(default_factory=dict[int, _Call])
    serving: dict[int, asyncio.Task[None]] = field(default_factory=dict[int, asyncio.Task[None]])


class Peers:
    """Owns its links: `start` starts them, `close` closes them. All methods belong to the event loop of `start`.

    `on_message(peer, group, kind, payload)` is set once by the Raft host; before that, messages are dropped.
    `vitals`: the signs of life that go beside the links, which open and close it; None: there are none.
    """

    def __init__(
        self,
        links: Links,
        rpcs_max: int,
        clock: Clock,
        *,
        logger: logging.Logger | None = None,
        vitals: Vitals | None = None,
    ) -> None:
        self.on_message: OnMessage = _drop
        self.vitals = vitals
        self._links = links
        self._rpcs_max = rpcs_max
        self._clock = clock
        self._logger = logger or logging.getLogger(__name__)
        self._served: dict[int, _Served] = {}
        self._remotes: dict[NodeId, _Remote] = {}
        self._observers: list[tuple[Observer, Observer]] = []
        self._last_call = 0

    @property
    def links(self) -> Links:
        return self._links

    async def start(self) -> None:
        await self._links.start(self)

    async def close(self) -> None:
        """Break all links: every call fails, every handler is cancelled."""
        await self._links.close()
        left = [task for remote in self._remotes.values() for task in remote.serving.values()]
        for peer in [remote.peer for remote in self._remotes.values()]:
            self.on_down(peer)
        if left:
            await asyncio.wait(left)

    def live_nodes(self) -> list[NodeId]:
        """The other nodes to whom a link is up, sorted."""
        return sorted(self._remotes)

    def peer_or_none(self, node: NodeId) -> Peer | None:
        remote = self._remotes.get(node)
        return None if remote is None else remote.peer

    def observe(self, on_up: Observer, on_down: Observer) -> Callable[[], None]:
        """Be told of links; those that are up now are not told again. Returns what ends it."""
        entry = (on_up, on_down)
        self._observers.append(entry)

        def undo() -> None:
            if entry in self._observers:
                self._observers.remove(entry)

        return undo

    def send(self, node: NodeId, group: GroupId, kind: int, buffers: Sequence[Buffer]) -> bool:
        """Queue one Raft message, whose buffers must not change any more; False if it was dropped, as `Links.send`."""
        return self._links.send(node, (HEADER.pack(RAFT, group, kind), *buffers))

    def send_beat(self, node: NodeId, messages: Sequence[tuple[int, bytes]]) -> bool:
        """Queue what the groups of this node together say at a beat: each a kind and a payload; False: dropped."""
        frames = [(HEADER.pack(RAFT, 0, kind), payload) for kind, payload in messages]
        return self._links.send_beat(node, frames)

    def serve(self, kind: int, handler: Handler, *, refusals: tuple[type[Exception], ...] = ()) -> None:
        """Answer calls of this kind. A RaftError of the handler, or one of `refusals`, is answered by its class name.

        Any other error is a fault of ours: logged here, and told as a refusal with code "Fault". The handler is
        cancelled when the caller does not wait any longer.
        """
        assert 0 < kind <= KIND_MAX, f"kind {kind}"
        assert kind not in self._served, f"kind {kind} is served already"
        self._served[kind] = _Served(handler, (RaftError, *refusals))

    async def call(self, node: NodeId, kind: int, body: Sequence[Buffer], timeout_ms: int) -> memoryview:
        """Ask a node, and return its answer's body.

        Raises: PeerUnreachableError (`was_sent` False: certainly nothing was done there), CallRefusedError,
        TimeoutError (unknown whether it was done).
        """
        remote = self._remotes.get(node)
        if remote is None:
            raise PeerUnreachableError(node, was_sent=False)
        if len(remote.calls) >= self._rpcs_max:
            raise PeerUnreachableError(node, f"{self._rpcs_max} calls are under way", was_sent=False)
        size = REQUEST_HEADER.size + sum(memoryview(part).nbytes for part in body)
        if size > FRAME_BYTES_MAX:
            raise CallRefusedError("RequestTooLarge", f"a call of {size} bytes, at most {FRAME_BYTES_MAX}")
        self._last_call += 1
        call_id, deadline_ms = self._last_call, max(1, timeout_ms)
        header = REQUEST_HEADER.pack(RPC, 0, kind, Part.REQUEST, call_id, min(deadline_ms, 2**32 - 1))
        if not self._links.send(node, (header, *body)):
            raise PeerUnreachableError(node, "its link takes no more now", was_sent=False)
        answer = asyncio.get_running_loop().create_future()

        def expire() -> None:
            if not answer.done():
                answer.set_exception(TimeoutError(f"node {node} did not answer call {kind} in {timeout_ms} ms"))

        call = remote.calls[call_id] = _Call(answer, kind, self._clock.call_later(deadline_ms, expire))
        try:
            return await answer
        finally:
            call.timer.cancel()
            remote.calls.pop(call_id, None)

    # links.LinkReceiver

    def on_frame(self, sender: Peer, frame: memoryview) -> None:
        """Raises: MalformedFrameError; the link is closed then."""
        if len(frame) < HEADER.size:
            raise MalformedFrameError(f"a frame of {len(frame)} bytes, at least {HEADER.size}")
        class_, group, kind = HEADER.unpack_from(frame)
        if class_ == RAFT:
            self.on_message(sender, GroupId(group), kind, frame[HEADER.size :])
        elif class_ == RPC:
            remote = self._remotes.get(sender.node_id)
            assert remote is not None, f"a frame of node {sender.node_id} before its link is up"
            self._on_call_part(remote, kind, frame)
        else:
            raise MalformedFrameError(f"a frame of class {class_}")

    def on_up(self, peer: Peer) -> None:
        assert peer.node_id not in self._remotes, f"the link to node {peer.node_id} is up already"
        self._remotes[peer.node_id] = _Remote(peer)
        for on_up, _ in tuple(self._observers):
            on_up(peer)

    def on_down(self, peer: Peer) -> None:
        remote = self._remotes.pop(peer.node_id, None)
        if remote is None:
            return
        for task in remote.serving.values():
            task.cancel()
        for call in remote.calls.values():
            if not call.answer.done():
                call.answer.set_exception(PeerUnreachableError(peer.node_id, "its link broke"))
        for _, on_down in tuple(self._observers):
            on_down(peer)

    def _on_call_part(self, remote: _Remote, kind: int, frame: memoryview) -> None:
        if len(frame) < CALL_HEADER.size:
            raise MalformedFrameError(f"a part of a call of {len(frame)} bytes, at least {CALL_HEADER.size}")
        _, _, _, part, call_id = CALL_HEADER.unpack_from(frame)
        if part == Part.REQUEST:
            if len(frame) < REQUEST_HEADER.size:
                raise MalformedFrameError(f"a request of {len(frame)} bytes, at least {REQUEST_HEADER.size}")
            deadline_ms = REQUEST_HEADER.unpack_from(frame)[-1]
            self._begin(remote, kind, call_id, deadline_ms, frame[REQUEST_HEADER.size :])
            return
        call = remote.calls.get(call_id)
        if call is None or call.answer.done():
            return  # its deadline has passed
        if part == Part.ANSWER:
            call.answer.set_result(frame[CALL_HEADER.size :])
        elif part == Part.REFUSAL:
            call.answer.set_exception(_refusal(frame[CALL_HEADER.size :]))
        else:
            raise MalformedFrameError(f"part {part} of a call")

    # Serving

    def _begin(self, remote: _Remote, kind: int, call_id: int, deadline_ms: int, body: memoryview) -> None:
        served = self._served.get(kind)
        if call_id in remote.serving:
            raise MalformedFrameError(f"call {call_id} twice")
        if served is None:
            self._refuse(remote, kind, call_id, NOT_SERVED, f"calls of kind {kind} are not served here")
        elif len(remote.serving) >= self._rpcs_max:
            self._refuse(remote, kind, call_id, TOO_MANY_CALLS, f"{self._rpcs_max} calls of this node are under way")
        else:
            work = self._serve(remote, served, kind, call_id, body)
            task = asyncio.get_running_loop().create_task(work, name=f"call {kind} of node {remote.peer.node_id}")
            timer = self._clock.call_later(deadline_ms, partial(_cancel, task))
            remote.serving[call_id] = task

            def ended(_task: asyncio.Task[None]) -> None:
                timer.cancel()
                del remote.serving[call_id]

            task.add_done_callback(ended)

    async def _serve(self, remote: _Remote, served: _Served, kind: int, call_id: int, body: memoryview) -> None:
        try:
            answer = await served.handler(remote.peer, body)
        except CallRefusedError as error:
            self._refuse(remote, kind, call_id, error.code, error.text)
        except served.refusals as error:
            self._refuse(remote, kind, call_id, type(error).__name__, str(error))
        except Exception as error:
            self._logger.exception("call %d of node %d failed", kind, remote.peer.node_id)
            self._refuse(remote, kind, call_id, FAULT, repr(error))
        else:
            await self._answer(remote, kind, call_id, answer)

    async def _answer(self, remote: _Remote, kind: int, call_id: int, answer: Sequence[Buffer]) -> None:
        size = CALL_HEADER.size + sum(memoryview(part).nbytes for part in answer)
        if size > FRAME_BYTES_MAX:
            self._refuse(remote, kind, call_id, ANSWER_TOO_LARGE, f"{size} bytes, at most {FRAME_BYTES_MAX}")
            return
        header = CALL_HEADER.pack(RPC, 0, kind, Part.ANSWER, call_id)
        while self._remotes.get(remote.peer.node_id) is remote:
            if self._links.send(remote.peer.node_id, (header, *answer)):
                return
            await self._pause(ANSWER_RETRY_MS)

    def _refuse(self, remote: _Remote, kind: int, call_id: int, code: str, text: str) -> None:
        """Not worth waiting for room: a refusal that is dropped leaves the call to its caller's deadline."""
        if self._remotes.get(remote.peer.node_id) is remote:
            header = CALL_HEADER.pack(RPC, 0, kind, Part.REFUSAL, call_id)
            told = msgspec.msgpack.encode(Refusal(code, text[:REFUSAL_TEXT_MAX]))
            self._links.send(remote.peer.node_id, (header, told))

    async def _pause(self, ms: int) -> None:
        over = asyncio.get_running_loop().create_future()
        timer = self._clock.call_later(ms, partial(_settle, over))
        try:
            await over
        finally:
            timer.cancel()


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


def _settle(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


def _refusal(told: memoryview) -> CallRefusedError:
    try:
        refusal = msgspec.msgpack.decode(told, type=Refusal)
    except msgspec.DecodeError as error:
        raise MalformedFrameError(f"an unreadable refusal: {error}") from error
    return CallRefusedError(refusal.code, refusal.text)


def _drop(_peer: Peer, _group: GroupId, _kind: int, _payload: memoryview) -> None:
    """Nobody listens yet."""
