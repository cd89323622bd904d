"""Several nodes' Raft hosts in one process: links in memory, disks in memory, time that only the test moves.

Nothing here has a thread or a socket: one course of events follows from the test alone.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Protocol, TypeVar

from raft.configuration import Peer
from raft.engines import Engine
from raft.errors import NotLeaderError
from raft.group import Group
from raft.host import RaftHost, Surroundings
from raft.interfaces import Buffer, GroupId, Index, NodeId, Role
from raft.links import LinkReceiver, PeerAddress
from raft.peers import Peers
from raft.settings import RaftSettings
from tests.raft.doubles import LoopRunner, RememberingMachine
from tests.support.fake_clock import FakeClock
from tests.support.faulty_disk import FaultyDisk

GROUP = GroupId(7)
DIRECTORY = "/data/shards"
SETTINGS = RaftSettings(segment_bytes=16 * 1024)
STEP_MS = 10


T = TypeVar("T")


async def inline(work: Callable[[], T], /) -> T:
    """Fulfils `raft.host.Blocking`: a disk in memory holds up nobody."""
    await asyncio.sleep(0)
    return work()


class DropRule(Protocol):
    """Whether this frame gets lost on the way."""

    def __call__(self, sender: NodeId, to: NodeId, frame: bytes, /) -> bool: ...


class RestoredMachine(RememberingMachine):
    """Takes over another state at any time, as when files were installed."""

    restore_count = 0

    def restore(self, state: bytes) -> None:
        self.restored, self.bodies = None, []
        super().restore(state)
        self.restore_count += 1


@dataclass(slots=True)
class Network:
    """Who can reach whom. A frame takes one turn of the loop; those of a held pair wait until it is let go."""

    ends: dict[NodeId, "MemoryLinks"] = field(default_factory=dict)
    cuts: set[frozenset[NodeId]] = field(default_factory=set[frozenset[NodeId]])
    held: set[tuple[NodeId, NodeId]] = field(default_factory=set[tuple[NodeId, NodeId]])
    drop: DropRule = lambda _sender, _to, _frame: False
    frame_count: int = 0

    def is_up(self, one: NodeId, other: NodeId) -> bool:
        ends = [self.ends.get(node) for node in (one, other)]
        is_known = all(end is not None and end.is_started for end in ends)
        return is_known and one != other and frozenset((one, other)) not in self.cuts

    def cut(self, one: NodeId, other: NodeId) -> None:
        if frozenset((one, other)) not in self.cuts:
            was_up = self.is_up(one, other)
            self.cuts.add(frozenset((one, other)))
            if was_up:
                self.tell(one, other, is_up=False)

    def heal(self, one: NodeId, other: NodeId) -> None:
        self.cuts.discard(frozenset((one, other)))
        if self.is_up(one, other):
            self.tell(one, other, is_up=True)

    def isolate(self, node: NodeId) -> None:
        for other in self.ends:
            if other != node:
                self.cut(node, other)

    def rejoin(self, node: NodeId) -> None:
        for other in self.ends:
            if other != node:
                self.heal(node, other)

    def hold(self, sender: NodeId, to: NodeId) -> None:
        self.held.add((sender, to))

    def let_go(self, sender: NodeId, to: NodeId) -> None:
        self.held.discard((sender, to))
        self.ends[sender].deliver_soon(to)

    def tell(self, one: NodeId, other: NodeId, *, is_up: bool) -> None:
        for end, peer in ((self.ends[one], self.ends[other].peer), (self.ends[other], self.ends[one].peer)):
            if is_up:
                end.go_up(peer)
            else:
                end.go_down(peer)


class MemoryLinks:
    """Fulfils `raft.links.Links` for one node of a `Network`."""

    def __init__(self, network: Network, peer: Peer, settings: RaftSettings) -> None:
        self.peer = peer
        self.is_started = False
        self._network = network
        self._bytes_max = settings.link_queue_bytes_max
        self._receiver: LinkReceiver | None = None
        self._queues: dict[NodeId, deque[bytes]] = {}
        self._peers: dict[NodeId, Peer] = {}

    async def start(self, receiver: LinkReceiver) -> None:
        self._receiver = receiver
        self._network.ends[self.peer.node_id] = self
        self.is_started = True
        for other in list(self._network.ends):
            if self._network.is_up(self.peer.node_id, other):
                self._network.tell(self.peer.node_id, other, is_up=True)

    def set_peers(self, addresses: Mapping[NodeId, PeerAddress]) -> None:
        """All nodes of the network are peers."""

    def is_up(self, node: NodeId) -> bool:
        return node in self._peers

    def peer_or_none(self, node: NodeId) -> Peer | None:
        return self._peers.get(node)

    def send(self, node: NodeId, buffers: Sequence[Buffer]) -> bool:
        queue = self._queues.get(node)
        frame = b"".join(buffers)
        if queue is None or self.queued_bytes(node) + len(frame) > self._bytes_max:
            return False
        self._network.frame_count += 1
        queue.append(frame)
        if len(queue) == 1:
            self.deliver_soon(node)
        return True

    def send_beat(self, node: NodeId, frames: Sequence[Sequence[Buffer]]) -> bool:
        return all(self.send(node, frame) for frame in frames)

    def queued_bytes(self, node: NodeId) -> int:
        return sum(map(len, self._queues.get(node, ())))

    async def close(self) -> None:
        self.break_off()

    def break_off(self) -> None:
        """As if the process were gone: the others see their links break."""
        self.is_started = False
        me = self.peer.node_id
        if self._network.ends.get(me) is self:
            del self._network.ends[me]
        for other in list(self._peers):
            self._peers.pop(other)
            end = self._network.ends.get(other)
            if end is not None:
                end.go_down(self.peer)
        self._queues.clear()

    def go_up(self, peer: Peer) -> None:
        self._peers[peer.node_id] = peer
        self._queues[peer.node_id] = deque()
        self._tell(peer, is_up=True)

    def go_down(self, peer: Peer) -> None:
        if self._peers.pop(peer.node_id, None) is not None:
            self._queues.pop(peer.node_id, None)
            self._tell(peer, is_up=False)

    def _tell(self, peer: Peer, *, is_up: bool) -> None:
        receiver = self._receiver
        assert receiver is not None, "links go up and down once started"
        asyncio.get_running_loop().call_soon(receiver.on_up if is_up else receiver.on_down, peer)

    def deliver_soon(self, to: NodeId) -> None:
        queue = self._queues.get(to)
        if queue:
            asyncio.get_running_loop().call_soon(self._deliver, to, queue)

    def _deliver(self, to: NodeId, queue: deque[bytes]) -> None:
        me = self.peer.node_id
        if self._queues.get(to) is not queue or (me, to) in self._network.held:
            return
        frames = [*queue]
        queue.clear()
        receiver = self._network.ends[to]._receiver
        assert receiver is not None, "a link is up between started nodes"
        for frame in frames:
            if not self._network.drop(me, to, frame):
                receiver.on_frame(self.peer, memoryview(frame))


@dataclass(slots=True, kw_only=True)
class Member:
    """One node: its disk outlives its host. `machine` and `group` are those of `GROUP`."""

    peer: Peer
    disk: FaultyDisk
    links: MemoryLinks
    peers: Peers
    host: RaftHost
    machine: RestoredMachine
    group: Group | None = None
    failures: list[tuple[GroupId | None, Exception]] = field(default_factory=list)
    unknown: list[tuple[GroupId, Peer]] = field(default_factory=list)
    removed: list[GroupId] = field(default_factory=list)

    @property
    def node_id(self) -> NodeId:
        return self.peer.node_id

    @property
    def bodies(self) -> list[bytes]:
        return [body for _, body in self.machine.bodies]

    @property
    def opened(self) -> Group:
        assert self.group is not None, f"node {self.node_id} has not opened the group"
        return self.group


class RaftCluster:
    """Nodes 1 to n. `opens_unknown`: a node that hears of `GROUP` for the first time opens it and waits to be told."""

    def __init__(
        self,
        settings: RaftSettings = SETTINGS,
        *,
        opens_unknown: bool = True,
        engines: Sequence[Engine] = (Engine.NATIVE,),
    ) -> None:
        """`engines`: of the nodes by turns."""
        self.settings = settings
        self.engines = engines
        self.network = Network()
        self.clock = FakeClock()
        self.members: dict[int, Member] = {}
        self._opens_unknown = opens_unknown
        self._tasks: set[asyncio.Task[None]] = set()

    def __getitem__(self, node: int) -> Member:
        return self.members[node]

    @property
    def running(self) -> list[Member]:
        return [member for member in self.members.values() if member.links.is_started]

    def peer(self, node: int) -> Peer:
        return self.members[node].peer

    async def start(self, node: int, disk: FaultyDisk | None = None, disk_id: str | None = None) -> Member:
        """A node without groups: on its old disk, or on a new one."""
        old = self.members.get(node)
        disk = disk or (old.disk if old else FaultyDisk(node))
        peer = Peer(NodeId(node), disk_id or (old.peer.disk_id if old else f"disk-{node}"))
        links = MemoryLinks(self.network, peer, self.settings)
        peers = Peers(links, self.settings.rpcs_max, self.clock)
        failures: list[tuple[GroupId | None, Exception]] = []
        host = RaftHost(
            disk,
            DIRECTORY,
            peer,
            peers=peers,
            settings=self.settings,
            on_failure=lambda group_id, error: failures.append((group_id, error)),
            surroundings=Surroundings(clock=self.clock, runners=LoopRunner, blocking=inline, random=Random(node)),
            engine_of=lambda _group_id: self.engines[node % len(self.engines)],
        )
        member = Member(
            peer=peer, disk=disk, links=links, peers=peers, host=host, machine=RestoredMachine(), failures=failures
        )
        self.members[node] = member
        host.on_unknown_group = lambda group_id, sender: self._on_unknown_group(member, group_id, sender)
        host.on_removed = member.removed.append
        await peers.start()
        return member

    async def open(self, node: int, founders: Sequence[Peer] | None = ()) -> Group:
        member = self.members[node]
        member.machine = RestoredMachine()
        member.group = await member.host.open_group(GROUP, member.machine, founders=founders)
        return member.group

    async def found(self, *nodes: int) -> None:
        """Start these nodes and found the group on them."""
        for node in nodes:
            await self.start(node)
        founders = [self.peer(node) for node in nodes]
        for node in nodes:
            await self.open(node, founders)

    async def crash(self, node: int, *, seed: int | None = None) -> None:
        """Kill the process; with a seed, cut the power. `start` and `open` bring it back."""
        member = self.members[node]
        member.links.break_off()
        await member.host.abandon()
        member.disk = member.disk.revived() if seed is None else member.disk.crash(seed)
        member.group = None

    async def restart(self, node: int) -> Group:
        await self.start(node)
        return await self.open(node, None)

    async def stop(self, node: int) -> None:
        """An orderly end: leadership is handed over, then the links go."""
        member = self.members[node]
        await self.finish(member.host.close())
        await member.peers.close()
        member.group = None

    async def finish(self, work: Coroutine[object, object, T], *, limit_ms: int = 20_000) -> T:
        """Let time pass until the coroutine has ended."""
        task = asyncio.ensure_future(work)
        await self.until(task.done, limit_ms=limit_ms)
        return task.result()

    async def until(self, is_so: Callable[[], object], *, limit_ms: int = 20_000) -> int:
        """Let time pass until a condition holds; returns how much has passed."""
        start_ms = self.clock.now_ms()
        while True:
            for _ in range(30):
                if is_so():
                    return self.clock.now_ms() - start_ms
                await asyncio.sleep(0)
            passed_ms = self.clock.now_ms() - start_ms
            assert passed_ms < limit_ms, f"the condition did not come true in {limit_ms} ms: {self.describe()}"
            self.clock.advance(STEP_MS)

    async def settle(self, ms: int = 0) -> None:
        """Let this much time pass, and what is under way come to rest."""
        for _ in range(ms // STEP_MS):
            for _ in range(10):
                await asyncio.sleep(0)
            self.clock.advance(STEP_MS)
        for _ in range(60):
            await asyncio.sleep(0)

    def describe(self) -> str:
        return "; ".join(
            f"{member.node_id}: {member.group.role.value} term {member.group.term} applied {member.group.applied}"
            for member in self.running
            if member.group is not None
        )

    def leader_or_none(self) -> Member | None:
        """The running leader of the highest term."""
        leaders = [member for member in self.running if member.group is not None and member.group.role is Role.LEADER]
        return max(leaders, key=lambda member: member.opened.term, default=None)

    async def leader(self, among: Sequence[int] = ()) -> Member:
        """Wait until one of these (all, if none is named) leads."""

        def found() -> bool:
            leader = self.leader_or_none()
            return leader is not None and (not among or leader.node_id in among)

        await self.until(found)
        leader = self.leader_or_none()
        assert leader is not None
        return leader

    async def follower(self) -> Member:
        leader = await self.leader()
        return next(member for member in self.running if member is not leader)

    async def put(self, *bodies: bytes, among: Sequence[int] = ()) -> Index:
        """Propose on the leader, and wait until the last one is applied there."""
        while True:
            leader = await self.leader(among)
            try:
                proposals = [leader.opened.propose([body]) for body in bodies]
            except NotLeaderError:
                await self.settle(STEP_MS)
                continue
            last = proposals[-1]
            await self.until(
                lambda: leader.opened.applied >= last.index or leader.opened.term != last.term  # noqa: B023
            )
            assert leader.opened.term == last.term, "leadership changed while a test put something"
            return last.index

    async def agree(self, *nodes: int) -> list[bytes]:
        """Wait until these members (all that run) have applied the same; returns it."""
        members = [self.members[node] for node in nodes] or self.running

        def same() -> bool:
            first, *rest = [member.machine.bodies for member in members]
            applied = {member.opened.applied for member in members}
            return all(bodies == first for bodies in rest) and len(applied) == 1

        await self.until(same)
        return members[0].bodies

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for member in self.running:
            member.links.break_off()
            await member.host.abandon()

    def _on_unknown_group(self, member: Member, group_id: GroupId, sender: Peer) -> None:
        is_first = not member.unknown
        member.unknown.append((group_id, sender))
        if self._opens_unknown and is_first and group_id == GROUP:

            async def opened() -> None:
                await self.open(member.node_id, None)

            task = asyncio.get_running_loop().create_task(opened())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


@asynccontextmanager
async def raft_cluster(
    *nodes: int, settings: RaftSettings = SETTINGS, opens_unknown: bool = True
) -> AsyncGenerator[RaftCluster, None]:
    """A cluster whose group is founded on these nodes and has a leader."""
    cluster = RaftCluster(settings, opens_unknown=opens_unknown)
    try:
        if nodes:
            await cluster.found(*nodes)
            await cluster.leader()
        yield cluster
    finally:
        await cluster.close()
