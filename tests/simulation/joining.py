"""How the nodes of a history find each other: `timesplit.peering` as it is, over the network of the history.

Founding members are given each other's addresses, a further node (or one whose disk was swapped) those of the others.
What `node.json` says is durable as soon as it is noted; `peers.json` is a hint, which a power cut may take.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from unittest.mock import patch

from raft.clock import LoopClock
from raft.configuration import Peer
from raft.errors import CallRefusedError, RaftError
from raft.founder import Founder
from raft.greetings import ANY_NODE, NONCE_BYTES, Greeting, Purpose
from raft.interfaces import NodeId
from raft.links import PeerAddress
from raft.peers import Peers
from timesplit.peering import Peering
from timesplit.settings import Settings

from .network import SimLinks

if TYPE_CHECKING:
    from .process import NodeProcess

PEER_PORT = 9192
LOG = logging.getLogger("peering")
Addresses = dict[NodeId, PeerAddress]


@dataclass(frozen=True, slots=True)
class Identity:
    """Stands for `raft.node_files.DataDirectory`; lives as long as the node's disk."""

    path: str
    node_id: NodeId
    disk_id: str
    cluster_id: str = ""
    founders: tuple[Peer, ...] = ()

    @property
    def peer(self) -> Peer:
        return Peer(self.node_id, self.disk_id)


class AskingLinks(SimLinks):
    """Links that go up between nodes which know each other only, and questions by address before that."""

    cluster_id = ""
    on_question: Callable[[Greeting, memoryview], Awaitable[bytes]] | None = None
    _addresses: Mapping[NodeId, PeerAddress] = {}

    def listen(self) -> None:
        self._network.listeners[host_of(self.peer.node_id)] = self

    def set_peers(self, addresses: Mapping[NodeId, PeerAddress]) -> None:
        self._addresses = {node: address for node, address in addresses.items() if node != self.peer.node_id}
        self.loop.call_soon(self._network.settle, self)

    def knows(self, other: SimLinks) -> bool:
        assert isinstance(other, AskingLinks)
        known = self._addresses.get(other.peer.node_id)
        return (
            other.cluster_id == self.cluster_id != ""
            and known is not None
            and (known.disk_id in {None, other.peer.disk_id})
        )

    async def close(self) -> None:
        self._stop_listening()
        await super().close()

    def die(self) -> None:
        self._stop_listening()
        super().die()

    def _stop_listening(self) -> None:
        listeners, host = self._network.listeners, host_of(self.peer.node_id)
        if listeners.get(host) is self:
            del listeners[host]

    async def ask(self, address: PeerAddress, question: bytes, timeout_ms: int) -> memoryview:
        """Raises: CallRefusedError, OSError."""
        answer: asyncio.Future[bytes | Exception] = self.loop.create_future()
        greeting = Greeting(
            purpose=Purpose.QUESTION,
            cluster_id=self.cluster_id,
            node_id=self.peer.node_id,
            disk_id=self.peer.disk_id,
            nonce=bytes(NONCE_BYTES),
            to_node=ANY_NODE,
        )

        def settle(outcome: bytes | Exception) -> None:
            if not answer.done():
                answer.set_result(outcome)

        self._network.carry_question(self, address.host, lambda other: other.begin_answer(greeting, question, settle))
        async with asyncio.timeout(timeout_ms / 1000):
            outcome = await answer
        if isinstance(outcome, Exception):
            raise outcome
        return memoryview(outcome)

    def begin_answer(self, greeting: Greeting, question: bytes, settle: Callable[[bytes | Exception], None]) -> None:
        """In this process's loop, from now on."""

        async def work() -> None:
            try:
                assert self.on_question is not None, "who listens answers"
                outcome: bytes | Exception = await self.on_question(greeting, memoryview(question))
            except CallRefusedError as error:
                outcome = error
            except RaftError as error:
                outcome = CallRefusedError(type(error).__name__, str(error))
            self._network.carry_answer(self, greeting.node_id, settle, outcome)

        self.loop.create_task(work())


def host_of(node_id: int) -> str:
    return f"node{node_id}"


def address_of(node_id: int) -> PeerAddress:
    return PeerAddress(host_of(node_id), PEER_PORT)


def new_peering(process: "NodeProcess", links: AskingLinks, rpcs_max: int) -> Peering:
    """Listens from now on. Inside the process's loop."""
    identity, others = process.identity, [one for one in process.contacts if one != process.node_id]
    members = {NodeId(one): address_of(one) for one in process.contacts} if process.is_founder else {}
    settings = Settings(
        node_id=process.node_id,
        host=process.host_name,
        members=",".join(f"{one}@{at.host}:{at.port}" for one, at in members.items()),
        join="" if members else ",".join(f"{host_of(one)}:{PEER_PORT}" for one in others),
    )
    links.cluster_id = identity.cluster_id
    founder = Founder(identity, members, links, LoopClock(), LOG)  # pyright: ignore[reportArgumentType] - Identity
    links.on_question = founder.answer
    links.listen()
    peers = Peers(links, rpcs_max, LoopClock(), logger=LOG)
    return Peering(settings, links, peers, founder, address_of(process.node_id))  # pyright: ignore[reportArgumentType]


class NodeFiles:
    """`node.json` and `peers.json` of all nodes of a history, by path."""

    def __init__(self) -> None:
        self.identities: dict[str, Identity] = {}
        self.hints: dict[str, Addresses] = {}

    def identity(self, path: str, peer: Peer) -> Identity:
        return self.identities.setdefault(path, Identity(path, peer.node_id, peer.disk_id))

    def note_promise(self, identity: Identity, founders: Sequence[Peer]) -> Identity:
        assert not identity.founders, f"promised to {identity.founders}"
        return self._note(replace(identity, founders=tuple(founders)))

    def note_cluster(self, identity: Identity, cluster_id: str, founders: Sequence[Peer] = ()) -> Identity:
        assert not identity.cluster_id, f"of cluster {identity.cluster_id}"
        return self._note(replace(identity, cluster_id=cluster_id, founders=tuple(founders)))

    def _note(self, identity: Identity) -> Identity:
        self.identities[identity.path] = identity
        return identity

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Instead of the files."""

        def write_known(identity: Identity, known: Addresses) -> None:
            self.hints[identity.path] = {node: at for node, at in known.items() if node != identity.node_id}

        with ExitStack() as stack:
            for name, double in {
                "raft.founder.note_promise": self.note_promise,
                "raft.founder.note_cluster": self.note_cluster,
                "timesplit.peering._read_known": lambda path: dict(self.hints.get(path, {})),
                "timesplit.peering._write_known": write_known,
            }.items():
                stack.enter_context(patch(name, double))
            yield
