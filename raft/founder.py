"""Finding a cluster before there are links: what a node asks by address, what it answers, what it notes.

A question is `u8 kind` and msgpack. STANDING: what the other node says of itself (`founding.Standing`); JOIN: let me be
a node of your cluster (`JoinRequest`, answered by `JoinAnswer`). Every node answers, from its first moment on; `join`
needs a cluster that works, so a node that has none yet refuses it for now.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import cycle
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import anyio.to_thread
import msgspec

from .deadlines import pause
from .errors import CallRefusedError, FoundingRefusedError, MalformedFrameError, RaftError
from .founding import Belong, Promise, Refuse, Standing, Wait, next_step
from .interfaces import NodeId
from .links import PeerAddress
from .node_files import DataDirectory, note_cluster, note_promise

if TYPE_CHECKING:
    from .clock import Clock
    from .greetings import Greeting

ASK_MS: Final = 1_000
JOIN_MS: Final = 12_000
PAUSE_MS: Final = 100
TELL_EVERY_MS: Final = 5_000

NOT_READY: Final = "NotReady"
NODE_ID_TAKEN: Final = "NodeIdTaken"
FOREIGN_CLUSTER: Final = "ForeignCluster"
FINAL_REFUSALS: Final = frozenset({NODE_ID_TAKEN, FOREIGN_CLUSTER})

T = TypeVar("T")


class QuestionKind(IntEnum):
    STANDING = 1
    JOIN = 2


class JoinRequest(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """`peer_host`, `peer_port`: where the others reach it; `host`: the label of its machine."""

    peer_host: str
    peer_port: int
    host: str


class KnownNode(msgspec.Struct, frozen=True, array_like=True):
    node_id: NodeId
    disk_id: str
    host: str
    port: int


class JoinAnswer(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    cluster_id: str
    nodes: tuple[KnownNode, ...]


JoinHandler = Callable[["Greeting", JoinRequest], Awaitable[JoinAnswer]]
"""The greeting is of no cluster (yet), or of ours."""


class Asker(Protocol):
    """`tcp_links.TcpLinks` fulfils it."""

    async def ask(self, address: PeerAddress, question: bytes, timeout_ms: int) -> memoryview:
        """Raises: CallRefusedError, GreetingRefusedError, OSError."""
        ...


@dataclass(slots=True)
class Founder:
    """Owns what the directory says of the cluster, until this node belongs to one.

    `members`: the `--members` list, empty without one. `on_join`: set once this node serves in a cluster.
    """

    directory: DataDirectory
    members: Mapping[NodeId, PeerAddress]
    asker: Asker
    clock: Clock
    logger: logging.Logger
    on_join: JoinHandler | None = None
    _told_ms: int | None = field(default=None, init=False)
    _told: str = field(default="", init=False)

    @property
    def standing(self) -> Standing:
        return Standing(
            node_id=self.directory.node_id,
            disk_id=self.directory.disk_id,
            cluster_id=self.directory.cluster_id,
            founders=self.directory.founders,
            members=tuple(sorted(self.members)),
        )

    async def answer(self, greeting: Greeting, question: memoryview) -> bytes:
        """A `questions.QuestionHandler`."""
        kind, body = question[:1], question[1:]
        if bytes(kind) == bytes((QuestionKind.STANDING,)):
            return msgspec.msgpack.encode(self.standing)
        if bytes(kind) != bytes((QuestionKind.JOIN,)):
            raise CallRefusedError("NotServed", "a question that nobody answers here")
        if self.on_join is None:
            raise CallRefusedError(NOT_READY, f"node {self.directory.node_id} does not serve in a cluster now")
        if greeting.cluster_id not in {"", self.directory.cluster_id}:
            text = f"node {greeting.node_id} is of cluster {greeting.cluster_id}, not {self.directory.cluster_id}"
            raise CallRefusedError(FOREIGN_CLUSTER, text)
        return msgspec.msgpack.encode(await self.on_join(greeting, _decoded(body, JoinRequest)))

    async def found(self) -> DataDirectory:
        """Found the cluster of the members list, or find that it is founded; waits for the others as long as it takes.

        Raises: FoundingRefusedError (no waiting helps), OSError (the directory cannot be written).
        """
        heard: dict[NodeId, Standing] = {}
        while True:
            step = next_step(self.standing, heard)
            match step:
                case Refuse(reason):
                    raise FoundingRefusedError(f"{self.directory.path}: {reason}")
                case Promise(founders):
                    await self._note(lambda founders=founders: note_promise(self.directory, founders))
                case Belong(cluster_id, founders):
                    if not self.directory.cluster_id:
                        await self._note(lambda: note_cluster(self.directory, cluster_id, founders))
                        self.logger.info("cluster %s of the nodes %s", cluster_id, sorted(self.members))
                    return self.directory
                case Wait(reason):
                    self._tell(f"founding a cluster: {reason}")
                    await pause(self.clock, PAUSE_MS)
                    heard |= await self._hear_all()

    async def join(self, addresses: Sequence[PeerAddress], request: JoinRequest) -> JoinAnswer:
        """Become a node of the cluster that one of these nodes belongs to; waits until one of them can say so.

        A member that only has to find the others again may be what they need to work: it goes on with whoever is there.
        Raises: FoundingRefusedError, OSError.
        """
        if self.directory.founders and not self.directory.cluster_id:
            raise FoundingRefusedError(f"{self.directory.path}: it began to found a cluster: start it with --members")
        question = bytes((QuestionKind.JOIN,)) + msgspec.msgpack.encode(request)
        for address in cycle(addresses):
            try:
                answer = _decoded(await self.asker.ask(address, question, JOIN_MS), JoinAnswer)
            except CallRefusedError as error:
                if error.code in FINAL_REFUSALS:
                    raise FoundingRefusedError(f"{self.directory.path}: {error.text}") from error
                self._tell(f"joining by {address.host}:{address.port}: {error}")
                if self.directory.cluster_id and (known := await self._companion_or_none(address)) is not None:
                    return JoinAnswer(cluster_id=self.directory.cluster_id, nodes=(known,))
            except (RaftError, OSError) as error:
                self._tell(f"joining by {address.host}:{address.port}: {error}")
            else:
                return await self._joined(answer)
            await pause(self.clock, PAUSE_MS)
        raise AssertionError("no address was given")

    async def _joined(self, answer: JoinAnswer) -> JoinAnswer:
        if not self.directory.cluster_id:
            await self._note(lambda: note_cluster(self.directory, answer.cluster_id))
        elif self.directory.cluster_id != answer.cluster_id:
            ours = self.directory.cluster_id
            raise FoundingRefusedError(f"{self.directory.path}: of cluster {ours}, it cannot join {answer.cluster_id}")
        return answer

    async def _hear_all(self) -> dict[NodeId, Standing]:
        others = [node for node in self.members if node != self.directory.node_id]
        answers = await asyncio.gather(*(self._hear(node) for node in others))
        return {node: answer for node, answer in zip(others, answers, strict=True) if answer is not None}

    async def _companion_or_none(self, address: PeerAddress) -> KnownNode | None:
        """Who is there, if it is of our cluster."""
        there = await self._hear_at(address)
        if there is None or there.cluster_id != self.directory.cluster_id or there.node_id == self.directory.node_id:
            return None
        return KnownNode(there.node_id, there.disk_id, address.host, address.port)

    async def _hear(self, node: NodeId) -> Standing | None:
        return await self._hear_at(self.members[node])

    async def _hear_at(self, address: PeerAddress) -> Standing | None:
        try:
            answer = await self.asker.ask(address, bytes((QuestionKind.STANDING,)), ASK_MS)
            return _decoded(answer, Standing)
        except (RaftError, OSError) as error:
            self.logger.debug("%s:%d does not say how it stands: %r", address.host, address.port, error)
            return None

    async def _note(self, write: Callable[[], DataDirectory]) -> None:
        # Nobody hears of it before it is durable: `standing` is that of the directory.
        self.directory = await anyio.to_thread.run_sync(write)

    def _tell(self, text: str) -> None:
        now_ms = self.clock.now_ms()
        if text != self._told or self._told_ms is None or now_ms - self._told_ms >= TELL_EVERY_MS:
            self._told, self._told_ms = text, now_ms
            self.logger.info("%s", text)


def _decoded(body: memoryview, kind: type[T]) -> T:
    """Raises: MalformedFrameError."""
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedFrameError(f"an unreadable {kind.__name__}: {error}") from error
