"""A node among others: its links, where the other nodes are, and how it became one of them.

    directory ─ TcpLinks (listener, questions) ─ Founder (founds or joins) ─ Peers (messages and calls)

Where the others are is told, from the weakest to the strongest, by `peers.json` (what this node knew last), by the
members list or the node that let us join, and by the catalog. `peers.json` is a hint: without it a node is found by the
others, or by `--join`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from raft.clock import LoopClock
from raft.deadlines import pause
from raft.errors import CallRefusedError, RaftError
from raft.founder import (
    NODE_ID_TAKEN,
    NOT_READY,
    Founder,
    JoinAnswer,
    JoinRequest,
    KnownNode,
    QuestionKind,
)
from raft.interfaces import NodeId
from raft.links import PeerAddress
from raft.peers import Peers
from raft.tcp_links import Surroundings, TcpLinks
from raft.vitals import Vitals
from sharding.catalog import NodeRecord
from sharding.errors import ShardingError

from .settings import Settings, address, host_label, join_addresses, members_of

if TYPE_CHECKING:
    from raft.configuration import Peer
    from raft.greetings import Greeting
    from raft.node_files import DataDirectory
    from raft.settings import RaftSettings
    from sharding.node import Node

KNOWN_NAME: Final = "peers.json"
FIND_PAUSE_MS: Final = 1_000
FIND_PAUSE_MS_MAX: Final = 16_000  # a node that is gone for long costs a question now and then
FIND_MS: Final = 2_000

Addresses = dict[NodeId, PeerAddress]


def is_among_others(settings: Settings, directory: DataDirectory, *, is_peer_given: bool) -> bool:
    """Whether this node needs a listener for others: it is of a cluster, becomes so, or was told to open one."""
    is_member = bool(directory.cluster_id) and directory.founders != (directory.peer,)
    was_member = bool(directory.founders) and not directory.cluster_id
    return bool(
        is_peer_given or settings.members or settings.join or is_member or was_member or _read_known(directory.path)
    )


@dataclass(slots=True)
class Peering:
    """Owns the links and `peers`; `directory` is that of a node of a cluster once `find_cluster` returned."""

    settings: Settings
    links: TcpLinks
    peers: Peers
    founder: Founder
    reachable: PeerAddress
    """Where the others reach this node."""
    known: Addresses = field(default_factory=dict["NodeId", PeerAddress])
    _finding: asyncio.Task[None] | None = None
    _has_catalog: bool = False

    @property
    def directory(self) -> DataDirectory:
        return self.founder.directory

    async def find_cluster(self) -> None:
        """Found, join, or go on with the cluster; waits for other nodes as long as it takes.

        Raises: raft.errors.FoundingRefusedError, OSError.
        """
        self.known = _read_known(self.directory.path)
        if self.settings.members:
            await self.founder.found()
        elif self.settings.join and not (self.directory.cluster_id and self.known):
            seeds = [PeerAddress(host, port) for host, port in join_addresses(self.settings)]
            answer = await self.founder.join(seeds, self._request)
            self.known |= {one.node_id: PeerAddress(one.host, one.port, one.disk_id) for one in answer.nodes}
        for peer in self.directory.founders:
            if peer.node_id in self.founder.members:
                there = self.founder.members[peer.node_id]
                known = self.known.get(peer.node_id)
                disk_id = peer.disk_id if known is None else known.disk_id
                self.known[peer.node_id] = there._replace(disk_id=disk_id)
        self.links.cluster_id = self.directory.cluster_id

    async def start(self) -> None:
        self.founder.on_join = self._not_yet
        self.links.set_peers(self.known)
        await self.peers.start()
        self._finding = asyncio.get_running_loop().create_task(self._find_each_other(), name="find each other")

    def follow(self, node: Node) -> None:
        """Keep to what the catalog says of the nodes, and let further ones join."""

        def on_nodes() -> None:
            told = {
                NodeId(one.node_id): PeerAddress(one.peer_host, one.peer_port, one.disk_id.decode())
                for one in node.catalog.nodes.values()
                if one.peer_port
            }
            after = self.known | told
            if after != self.known:
                self.known = after
                self.links.set_peers(after)
            _write_known(self.directory, after)

        async def on_join(greeting: Greeting, request: JoinRequest) -> JoinAnswer:
            return await self._let_join(node, greeting.peer, request)

        self._has_catalog = True
        node.observe_nodes(on_nodes)
        on_nodes()
        self.founder.on_join = on_join

    async def close(self) -> None:
        self.founder.on_join = None
        if self._finding is not None:
            self._finding.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._finding
        await self.peers.close()

    @property
    def _request(self) -> JoinRequest:
        return JoinRequest(peer_host=self.reachable.host, peer_port=self.reachable.port, host=host_label(self.settings))

    async def _not_yet(self, greeting: Greeting, request: JoinRequest) -> JoinAnswer:
        """Before the catalog is known nobody joins; but who came back elsewhere may be what is missing to know it.

        So may a node of this cluster of whom this one has forgotten (`peers.json` is a hint).
        """
        self._go_to(greeting.peer, request)
        if greeting.cluster_id and greeting.node_id not in {self.directory.node_id, *self.known}:
            there = PeerAddress(request.peer_host, request.peer_port, greeting.disk_id)
            self.known = {**self.known, greeting.node_id: there}
            self.links.set_peers(self.known)
        raise CallRefusedError(NOT_READY, f"node {self.directory.node_id} does not know the catalog yet")

    def _go_to(self, peer: Peer, request: JoinRequest) -> None:
        """A node that we know, on the disk that we know, says where it is now."""
        known = self.known.get(peer.node_id)
        there = PeerAddress(request.peer_host, request.peer_port, peer.disk_id)
        if known is not None and known != there and known.disk_id == peer.disk_id:
            self.known = {**self.known, peer.node_id: there}
            self.links.set_peers(self.known)

    async def _let_join(self, node: Node, peer: Peer, request: JoinRequest) -> JoinAnswer:
        """Make a node known to all: one that joins, or one that moved. Raises: CallRefusedError."""
        known = node.catalog.nodes.get(peer.node_id)
        is_other_disk = known is not None and known.disk_id.decode() != peer.disk_id
        if peer.node_id == node.node_id or (is_other_disk and self.links.is_up(peer.node_id)):
            raise CallRefusedError(NODE_ID_TAKEN, f"node {peer.node_id} is there already, on another disk")
        self._go_to(peer, request)
        if known is None or is_other_disk:
            # Incarnation 0: known to the nodes, shown to clients once it has registered its listeners.
            wanted = NodeRecord(
                node_id=peer.node_id,
                disk_id=peer.disk_id.encode(),
                host=request.host,
                kafka_host="",
                kafka_port=0,
                http_port=0,
                rack=None,
                incarnation=0,
                peer_host=request.peer_host,
                peer_port=request.peer_port,
            )
        else:
            wanted = msgspec.structs.replace(known, peer_host=request.peer_host, peer_port=request.peer_port)
        if wanted != known:
            try:
                await node.register_node(wanted)
            except ShardingError as error:
                raise CallRefusedError(NOT_READY, f"node {node.node_id} cannot register it now: {error}") from error
        return JoinAnswer(cluster_id=node.cluster_id, nodes=tuple(self._nodes()))

    def _nodes(self) -> list[KnownNode]:
        own = self.directory.peer
        nodes = {node: KnownNode(node, at.disk_id or "", at.host, at.port) for node, at in self.known.items()}
        nodes[own.node_id] = KnownNode(own.node_id, own.disk_id, self.reachable.host, self.reachable.port)
        return [one for _, one in sorted(nodes.items())]

    async def _find_each_other(self) -> None:
        """While a link is missing: say to the others where this node is, and hear from them where theirs are.

        Only the node with the greater id dials: the other one of a pair that moved must be heard of.
        """
        clock = LoopClock()
        question = bytes((QuestionKind.JOIN,)) + msgspec.msgpack.encode(self._request)
        pause_ms, turn = FIND_PAUSE_MS, 0
        while True:
            await pause(clock, pause_ms)
            others = sorted(node for node in self.known if node != self.directory.node_id)
            if all(self.links.is_up(node) for node in others):
                pause_ms = FIND_PAUSE_MS
                continue
            pause_ms = min(2 * pause_ms, FIND_PAUSE_MS_MAX)
            turn += 1
            for node in others if turn == 1 else [others[turn % len(others)]]:
                with contextlib.suppress(RaftError, OSError, msgspec.DecodeError):
                    answer = await self.links.ask(self.known[node], question, FIND_MS)
                    self._hear_of(msgspec.msgpack.decode(answer, type=JoinAnswer))

    def _hear_of(self, answer: JoinAnswer) -> None:
        """Where nodes are that we know and have no link to.

        On another disk than we knew, too, while we do not know the catalog: who leads it may have got a new one while
        this node was down, or before `peers.json` was lost. What promises count is for the groups' members to say.
        """
        heard = {
            one.node_id: PeerAddress(one.host, one.port, one.disk_id)
            for one in answer.nodes
            if one.node_id in self.known and not self.links.is_up(one.node_id)
        }
        if self._has_catalog:
            heard = {node: at for node, at in heard.items() if self.known[node].disk_id in {None, at.disk_id}}
        after = self.known | heard
        if answer.cluster_id == self.directory.cluster_id and after != self.known:
            self.known = after
            self.links.set_peers(after)


async def open_peering(
    settings: Settings, directory: DataDirectory, raft: RaftSettings, *, is_peer_given: bool
) -> Peering:
    """Open the listener for other nodes, and answer their questions. Raises: OSError.

    A founding member whose `peer` is not given listens where the list says it is.
    """
    clock = LoopClock()
    members = {NodeId(node): PeerAddress(*where) for node, where in members_of(settings).items()}
    own = members.get(directory.node_id)
    listen = PeerAddress(*address(settings.peer, "peer")) if is_peer_given or own is None else own
    vitals = Vitals(
        directory.node_id, heartbeat_ms=raft.heartbeat_ms, election_ms=raft.election_ms, stall_ms=raft.stall_ms
    )
    surroundings = Surroundings(
        clock=clock, random=random.SystemRandom(), logger=logging.getLogger("links"), vitals=vitals
    )
    links = TcpLinks(directory.peer, listen, raft, surroundings, directory.cluster_id)
    founder = Founder(directory, members, links, clock, logging.getLogger("cluster"))
    links.on_question = founder.answer
    bound = await links.listen()
    peers = Peers(links, raft.rpcs_max, clock, logger=logging.getLogger("peers"), vitals=vitals)
    return Peering(settings, links, peers, founder, own or PeerAddress(settings.advertise or bound.host, bound.port))


def _read_known(path: str) -> Addresses:
    try:
        found = msgspec.json.decode(Path(path, KNOWN_NAME).read_bytes(), type=dict[int, tuple[str, int, str | None]])
    except (OSError, msgspec.DecodeError):
        return {}
    return {NodeId(node): PeerAddress(*where) for node, where in found.items()}


def _write_known(directory: DataDirectory, known: Mapping[NodeId, PeerAddress]) -> None:
    """Not durable: what is lost is learned again."""
    others = {int(node): tuple(where) for node, where in known.items() if node != directory.node_id}
    if others == {int(node): tuple(where) for node, where in _read_known(directory.path).items()}:
        return
    path = Path(directory.path, KNOWN_NAME)
    new_path = path.with_name(KNOWN_NAME + ".new")
    new_path.write_bytes(msgspec.json.encode(others))
    new_path.replace(path)
