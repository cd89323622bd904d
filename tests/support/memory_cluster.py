"""Several nodes in memory: shards whose replicas share one list of committed entries, and calls between the nodes.

What a test decides: who leads a shard (`elect`), which node is cut off from the others (it goes on believing what it
believed), and whose replica lags behind (`hold`). Commands, shards, catalog and everything above them are real.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from uuid import UUID

from raft.configuration import Peer
from raft.errors import NotLeaderError as RaftNotLeaderError
from raft.interfaces import Buffer, GroupId, Index, NodeId, Place, Proposal, Role, RoleChange, Term
from sharding.calls import CallHandler
from sharding.catalog import Catalog, ShardRecord, TopicRecord
from sharding.catalog_commands import CATALOG_COMMANDS, CreateShard, CreateTopic, Cut, DeleteTopic, PublishRun
from sharding.commands.command import Command
from sharding.commands.splits import Close, Drop, Open
from sharding.errors import NotLeaderError, UnknownTopicIdError
from sharding.interfaces import Topic
from sharding.shard import Shard, ShardSettings
from sharding.topics import Topics
from sharding.write_split import SAME_SHARD_EPOCHS, SplitState, Target
from tests.support.memory_group import MemoryDisk

LOG = logging.getLogger("test")


class Member:
    """One node's replica of a shard: fulfils `raft.interfaces.RaftGroup`."""

    def __init__(self, group: "Replicas", node_id: int, machine: Shard, folder: Path) -> None:
        self.group = group
        self.node_id = node_id
        self.folder = folder
        self.role = Role.FOLLOWER
        self.term = Term(0)
        self.leader_or_none: NodeId | None = None
        self.applied = Index(0)
        self.is_writing = False
        self.is_stopped = False
        self.is_held = False
        self.is_cut_off = False
        self.pending: list[tuple[Index, list[Buffer]]] = []
        self.barrier_count = 0
        self._machine = machine
        self._is_due = False
        self._progress = asyncio.Event()

    @property
    def group_id(self) -> GroupId:
        return GroupId(self.group.shard_id)

    def propose(self, body: Sequence[Buffer]) -> Proposal:
        if self.role is not Role.LEADER:
            raise RaftNotLeaderError(self.leader_or_none)
        index = Index(len(self.group.disk.entries) + len(self.pending) + 1)
        self.pending.append((index, list(body)))
        self._soon()
        return Proposal(self.term, index)

    def _soon(self) -> None:
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._step)

    def _step(self) -> None:
        self._is_due = False
        if self.role is Role.LEADER and not self.is_cut_off and self.group.leader == self.node_id:
            for index, body in self.pending:
                self.group.disk.entries.append((self.term, b"".join(body)))
                assert len(self.group.disk.entries) == index
            self.pending.clear()
        self.group.catch_up()

    def catch_up(self) -> None:
        if self.is_held or self.is_cut_off:
            return
        entries = self.group.disk.entries
        while self.applied < len(entries):
            index = Index(self.applied + 1)
            term, body = entries[index - 1]
            if body:
                self._machine.apply(Term(term), index, [memoryview(body)], self.group.disk.place(index))
            self.applied = index
        progress, self._progress = self._progress, asyncio.Event()
        progress.set()

    def take_role(self, role: Role, term: Term, leader: int | None) -> None:
        self.pending.clear()
        self.role, self.term = role, term
        self.leader_or_none = None if leader is None else NodeId(leader)
        self._machine.on_role(RoleChange(role, term, self.leader_or_none))

    async def read_barrier(self) -> Index:
        self.barrier_count += 1
        await asyncio.sleep(0)
        leader = self.group.leader
        if self.is_cut_off or leader is None or self.group.members[leader].is_cut_off:
            raise RaftNotLeaderError(self.leader_or_none)
        index = Index(len(self.group.disk.entries))
        while self.applied < index:
            await self._progress.wait()
        return index

    def read(self, segment: int, position: int, length: int) -> memoryview:
        return memoryview(self.group.disk.read(position, length))

    def segment_path(self, segment: int) -> str:
        path = self.folder / f"{self.group_id}-{segment}.log"
        path.write_bytes(b"".join(body for _, body in self.group.disk.entries))
        return str(path)

    def save_checkpoint(self, state: bytes) -> None:
        raise NotImplementedError("the double replays everything")


class Replicas:
    """One shard's log with all its members. Invariant: a member has applied a prefix of `disk.entries`."""

    def __init__(self, shard_id: int) -> None:
        self.shard_id = shard_id
        self.disk = MemoryDisk()
        self.members: dict[int, Member] = {}
        self.leader: int | None = None

    def catch_up(self) -> None:
        for member in self.members.values():
            member.catch_up()

    def elect(self, node_id: int) -> None:
        """The new leader has everything that is committed; those that are cut off do not hear of it."""
        chosen = self.members[node_id]
        assert not chosen.is_cut_off, f"node {node_id} is cut off"
        term = Term(self.disk.term + 1)
        self.disk.term = term
        self.leader = node_id
        for member in self.members.values():
            if member is not chosen and not member.is_cut_off:
                member.take_role(Role.FOLLOWER, term, node_id)
        chosen.is_held = False
        self.disk.entries.append((term, b""))
        chosen.catch_up()
        chosen.take_role(Role.LEADER, term, node_id)
        self.catch_up()

    def depose(self) -> None:
        """Nobody leads."""
        self.leader = None
        for member in self.members.values():
            if not member.is_cut_off:
                member.take_role(Role.FOLLOWER, member.term, None)


class MemoryPeers:
    """Fulfils `sharding.calls.NodePeers`."""

    def __init__(self, cluster: "MemoryCluster", node_id: int) -> None:
        self._cluster = cluster
        self._node_id = node_id
        self.handlers: dict[int, CallHandler] = {}
        self.before_call: Callable[[int, int], Awaitable[None]] | None = None
        self.calls: list[tuple[int, int]] = []

    async def call(self, node: NodeId, kind: int, body: Sequence[Buffer], timeout_ms: int) -> memoryview:
        from raft.peers import CallRefusedError, PeerUnreachableError

        await asyncio.sleep(0)
        if self.before_call is not None:
            await self.before_call(node, kind)
        self.calls.append((node, kind))
        if not self._cluster.reaches(self._node_id, node):
            raise PeerUnreachableError(node)
        handler = self._cluster.nodes[node].peers.handlers[kind]
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                answer = await handler(Peer(NodeId(self._node_id), f"disk{self._node_id}"), memoryview(b"".join(body)))
        except Exception as error:
            raise CallRefusedError(type(error).__name__, str(error)) from error
        return memoryview(b"".join(answer))

    def serve(self, kind: int, handler: CallHandler) -> None:
        assert kind not in self.handlers, f"kind {kind} is served twice"
        self.handlers[kind] = handler

    def live_nodes(self) -> frozenset[NodeId]:
        return frozenset(
            NodeId(one)
            for one in self._cluster.nodes
            if one != self._node_id and self._cluster.reaches(self._node_id, one)
        )

    def observe(self, on_up: Callable[[Peer], None], on_down: Callable[[Peer], None]) -> Callable[[], None]:
        del on_up, on_down
        return lambda: None


class MemoryNode:
    """One node below its time services: fulfils `time_services.TimeNode`."""

    def __init__(self, cluster: "MemoryCluster", node_id: int, folder: Path) -> None:
        self.cluster = cluster
        self.node_id = node_id
        self.folder = folder
        self.catalog = Catalog()
        self.topics = Topics(self.catalog)
        self.shards: dict[int, Shard] = {}
        self.peers = MemoryPeers(cluster, node_id)
        self.now_ms = cluster.clock
        self._observers: list[Callable[[], None]] = []
        self.catalog_shard = self._shard(0, [self.catalog])

    def _shard(self, shard_id: int, sections: Sequence[Catalog] = ()) -> Shard:
        settings = ShardSettings(checkpoint_bytes=1 << 40)
        table = {"table": CATALOG_COMMANDS} if shard_id == 0 else {}
        call_soon = asyncio.get_running_loop().call_soon
        shard = Shard(shard_id, call_soon=call_soon, logger=LOG, sections=sections, settings=settings, **table)
        replicas = self.cluster.groups.setdefault(shard_id, Replicas(shard_id))
        folder = self.folder / "shards"
        folder.mkdir(parents=True, exist_ok=True)
        member = Member(replicas, self.node_id, shard, folder)
        member.is_cut_off = self.node_id in self.cluster.cut_off
        replicas.members[self.node_id] = member
        shard.attach(member)
        if shard_id == 0:
            for kind in (CreateTopic, DeleteTopic, Cut, PublishRun):
                shard.observe_commands(kind, lambda _command, _result, _at: self.tell_topics())
        member.catch_up()
        if replicas.leader is not None:
            member.take_role(Role.FOLLOWER, Term(replicas.disk.term), replicas.leader)
        return shard

    def open_shard(self, shard_id: int) -> Shard:
        self.shards[shard_id] = self._shard(shard_id)
        self.tell_topics()
        return self.shards[shard_id]

    def tell_topics(self) -> None:
        for observer in tuple(self._observers):
            observer()

    def member(self, shard_id: int) -> Member:
        return self.cluster.groups[shard_id].members[self.node_id]

    # time_services.TimeNode

    def observe_topics(self, observer: Callable[[], None]) -> Callable[[], None]:
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    async def submit(self, shard_id: int, command: Command) -> object:
        """The router: to the leader, wherever it is."""
        await asyncio.sleep(0)
        leader = self.cluster.groups[shard_id].leader
        if leader is None or not self.cluster.reaches(self.node_id, leader):
            raise NotLeaderError(leader)
        return await self.cluster.nodes[leader].shard(shard_id).submit(command)

    async def catalog_barrier(self) -> None:
        try:
            await self.member(0).read_barrier()
        except RaftNotLeaderError as error:
            raise NotLeaderError(error.leader) from error

    async def cut(self, topic_id: UUID) -> tuple[int, tuple[int, ...]] | None:
        await self.catalog_barrier()
        if (record := self.catalog.topics.get(topic_id.bytes)) is None:
            raise UnknownTopicIdError(str(topic_id))
        chains = [
            self.cluster.leader_shard(shard).state.chains[topic_id.bytes, p] for p, shard in enumerate(record.shards)
        ]
        if all(chain.newest.committed_offset == chain.newest.first_offset for chain in chains):
            return None
        number = record.split_number + 1
        if await self.submit(0, Cut(topic_id.bytes, number, record.shards)) is None:
            number = self.catalog.topics[topic_id.bytes].split_number
        for p, shard_id in enumerate(record.shards):
            shard = self.cluster.leader_shard(shard_id)
            split = chains[p].newest
            if split.number < number:
                target = Target(number, shard_id)
                await self.submit(shard_id, Close(topic_id.bytes, p, split.number, self.now_ms(), target))
                inherited = split.handed_over(shard.term, SAME_SHARD_EPOCHS)
                await self.submit(shard_id, Open(topic_id.bytes, p, number, self.now_ms(), inherited))
        return number - 1, tuple(chain.newest.first_offset for chain in chains)

    async def publish_run(self, topic_id: UUID, number: int, version: int, manifest: bytes) -> bool:
        return await self.submit(0, PublishRun(topic_id.bytes, number, version, manifest)) is True

    def shard(self, shard_id: int) -> Shard:
        return self.catalog_shard if shard_id == 0 else self.shards[shard_id]


class MemoryCluster:
    """`count` nodes; shard s of `shard_ids` is first led by node `leaders[s]`, and replicated by all."""

    def __init__(self, folder: Path, clock: Callable[[], int], *, count: int = 3) -> None:
        self.folder = folder
        self.clock = clock
        self.groups: dict[int, Replicas] = {}
        self.cut_off: set[int] = set()
        self.nodes: dict[int, MemoryNode] = {}
        for node_id in range(1, count + 1):
            self.nodes[node_id] = MemoryNode(self, node_id, folder / f"node{node_id}")
        self.groups[0].elect(1)

    async def add_shards(self, *leaders: int, replicas: Sequence[int] | None = None) -> None:
        """Shards 1, 2, …, each led by the node named."""
        for shard_id, leader in enumerate(leaders, len(self.groups)):
            on = tuple(replicas or self.nodes)
            await self.nodes[1].submit(0, CreateShard(ShardRecord(shard_id, len(on), on)))
            for node_id in on:
                self.nodes[node_id].open_shard(shard_id)
            self.groups[shard_id].elect(leader)

    async def create(self, name: str, shards: Sequence[int], **configs: str) -> Topic:
        topic_id = name.encode().ljust(16, b"-")
        named = dict(sorted((key.replace("_", "."), text) for key, text in configs.items()))
        record = TopicRecord(topic_id, name, len(self.nodes), named, self.clock(), tuple(shards))
        await self.nodes[1].submit(0, CreateTopic(record))
        for partition, shard_id in enumerate(shards):
            await self.nodes[1].submit(shard_id, Open(topic_id, partition, 0, self.clock(), SplitState()))
        return self.nodes[1].topics.get(name)

    async def delete(self, topic: Topic) -> None:
        await self.nodes[1].submit(0, DeleteTopic(topic.topic_id.bytes))
        record_shards = [(s, key) for s in self.groups if s for key in self.leader_shard(s).state.chains]
        for shard_id, (topic_id, partition) in record_shards:
            if topic_id == topic.topic_id.bytes:
                await self.nodes[1].submit(shard_id, Drop(topic_id, partition))

    def leader_shard(self, shard_id: int) -> Shard:
        leader = self.groups[shard_id].leader
        assert leader is not None, f"nobody leads shard {shard_id}"
        return self.nodes[leader].shard(shard_id)

    def reaches(self, node_id: int, other: int) -> bool:
        return node_id == other or not self.cut_off & {node_id, other}

    def cut(self, node_id: int) -> None:
        """The node hears nobody and goes on as it was; shards that it led need an election."""
        self.cut_off.add(node_id)
        for group in self.groups.values():
            if node_id in group.members:
                group.members[node_id].is_cut_off = True

    def heal(self, node_id: int) -> None:
        self.cut_off.discard(node_id)
        for group in self.groups.values():
            if (member := group.members.get(node_id)) is None:
                continue
            member.is_cut_off = False
            if group.leader is not None and group.leader != node_id:
                member.take_role(Role.FOLLOWER, Term(group.disk.term), group.leader)
            elif group.leader == node_id:
                member.take_role(Role.LEADER, member.term, node_id)
            group.catch_up()


__all__ = ["MemoryCluster", "MemoryNode", "Place"]
