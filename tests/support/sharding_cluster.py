"""Several whole nodes (without doors) in one process and one thread: real groups over links in memory, virtual time.

Run a story with `run_virtually`. Disks outlive their nodes; `crash` ends a node as a kill does, `stop` as an operator.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

from raft.configuration import Peer
from raft.host import RaftHost, Surroundings
from raft.interfaces import GroupId, NodeId
from raft.peers import Peers
from raft.settings import RaftSettings
from sharding.coordinators.groups import Groups
from sharding.coordinators.values import GroupLimits
from sharding.errors import ClosingError, CoordinatorNotAvailableError, NotLeaderError, OverloadedError, TimedOutError
from sharding.interfaces import Appended, NodeAddress, Topic
from sharding.node import Node, NodeParts, NodeSettings
from sharding.shard import Shard, ShardSettings
from store.batches import NO_PRODUCER, Producer, build, read_header
from store.events import Record
from tests.raft.doubles import LoopRunner
from tests.support.faulty_disk import FaultyDisk
from tests.support.node_bench import all_records
from tests.support.raft_cluster import MemoryLinks, Network
from tests.support.virtual_loop import VirtualClock

LOG = logging.getLogger("test")
T = TypeVar("T")
SETTINGS = RaftSettings(segment_bytes=64 * 1024)


async def at_once(work: Callable[[], T]) -> T:
    """Fulfils `raft.host.Blocking` in the loop's own thread."""
    await asyncio.sleep(0)
    return work()


def wall_ms() -> int:
    """Virtual too: the loop's time as if it had begun in 2023."""
    return 1_700_000_000_000 + int(asyncio.get_running_loop().time() * 1000)


@dataclass(slots=True)
class Member:
    """One life of a node."""

    node_id: int
    disk: FaultyDisk
    links: MemoryLinks
    peers: Peers
    host: RaftHost
    node: Node
    groups: Groups
    failures: list[tuple[GroupId | None, Exception]] = field(default_factory=list)

    def records(self, topic: Topic | str, index: int = 0) -> list[Record]:
        """Everything that a fetch shows on this node, which must lead the partition."""
        found = self.node.topic(topic) if isinstance(topic, str) else topic
        partition = self.node.partition(found, index)
        rows: list[Record] = []
        at = partition.log_start
        while True:
            fetched = partition.read(at, 1 << 16)
            batches = [record for view in fetched.records for record in all_records(view)]
            if not batches:
                return rows
            rows += [record for record in batches if record.offset >= at]
            at = rows[-1].offset + 1


class ShardingCluster:
    """Nodes 1 to n, founded together."""

    def __init__(self, count: int = 3, *, checkpoint_bytes: int = 1 << 20, seed: int = 0, **settings: object) -> None:
        self.network = Network()
        self.members: dict[int, Member] = {}
        self.disks = {node_id: FaultyDisk(node_id) for node_id in range(1, count + 1)}
        self.disk_ids = {node_id: f"disk-{node_id}" for node_id in range(1, count + 1)}
        self.founders = tuple(Peer(NodeId(node_id), disk_id) for node_id, disk_id in self.disk_ids.items())
        self._settings = settings
        self._checkpoint_bytes = checkpoint_bytes
        self._seed = seed
        self._lives = 0

    def __getitem__(self, node_id: int) -> Member:
        return self.members[node_id]

    def node(self, node_id: int) -> Node:
        return self.members[node_id].node

    @property
    def running(self) -> list[Member]:
        return [self.members[one] for one in sorted(self.members)]

    async def start(self, *node_ids: int) -> None:
        """Start these nodes side by side; returns when each is registered."""
        await asyncio.gather(*(self._start(one) for one in node_ids))

    async def _start(self, node_id: int) -> Member:
        self._lives += 1
        peer = Peer(NodeId(node_id), self.disk_ids[node_id])
        links = MemoryLinks(self.network, peer, SETTINGS)
        peers = Peers(links, SETTINGS.rpcs_max, VirtualClock())
        failures: list[tuple[GroupId | None, Exception]] = []
        host = RaftHost(
            self.disks[node_id],
            "/data/shards",
            peer,
            peers=peers,
            settings=SETTINGS,
            on_failure=lambda group_id, error: failures.append((group_id, error)),
            surroundings=Surroundings(
                clock=VirtualClock(),
                runners=LoopRunner,
                blocking=at_once,
                random=Random(self._seed * 1000 + self._lives),
            ),
        )
        groups = Groups(limits=GroupLimits(), clock=VirtualClock(), wall_ms=wall_ms, new_id=self._new_id, logger=LOG)
        node = Node(
            NodeSettings(
                node_id=node_id,
                cluster_id="c",
                disk_id=peer.disk_id.encode(),
                host=f"host{node_id}",
                founders=self.founders if peer in self.founders else (),
                shard=ShardSettings(checkpoint_bytes=self._checkpoint_bytes),
                drain_timeout_ms=1_000,
                **self._settings,
            ),
            host,
            now_ms=wall_ms,
            random=Random(self._seed * 1000 + self._lives),
            logger=logging.getLogger(f"node{node_id}"),
            parts=NodeParts(groups=groups),
            peers=peers,
        )
        member = Member(node_id, self.disks[node_id], links, peers, host, node, groups, failures)
        self.members[node_id] = member
        await peers.start()
        await node.start()
        await node.register(
            NodeAddress(node_id=node_id, host="127.0.0.1", kafka_port=9090 + node_id, http_port=8080 + node_id)
        )
        return member

    _id_count = 0

    def _new_id(self) -> str:
        self._id_count += 1
        return f"id{self._id_count}"

    async def crash(self, node_id: int, *, seed: int | None = None) -> None:
        """Kill the process; with a seed, cut the power too."""
        member = self.members.pop(node_id)
        member.links.break_off()
        # Nothing of it is heard any more: its tasks end without a word to anyone.
        await member.node._machinery.stop()
        await member.host.abandon()
        self.disks[node_id] = member.disk.revived() if seed is None else member.disk.crash(seed)

    async def stop(self, node_id: int) -> None:
        """As SIGTERM."""
        member = self.members.pop(node_id)
        await member.node.close()
        await member.host.close()
        await member.peers.close()
        self.disks[node_id] = member.disk.revived()

    async def close(self) -> None:
        for node_id in list(self.members):
            await self.crash(node_id)

    # Looking.

    async def until(self, condition: Callable[[], object], *, limit_s: float = 30, what: str = "the condition") -> None:
        deadline = asyncio.get_running_loop().time() + limit_s
        while not condition():
            assert asyncio.get_running_loop().time() < deadline, f"{what} did not come true in {limit_s} s"
            await asyncio.sleep(0.01)

    def leader(self, topic: Topic | str, index: int = 0) -> Member:
        """The running node that leads the partition. Raises: LookupError."""
        name = topic if isinstance(topic, str) else topic.name
        for member in self.running:
            record = member.node.catalog.topic_or_none(name)
            if record is None:
                continue
            shard = member.node.shards.get(record.shards[index])
            if shard is not None and shard.is_leader and (record.topic_id, index) in shard.state.chains:
                others = [
                    other.node.shards[record.shards[index]].term
                    for other in self.running
                    if record.shards[index] in other.node.shards
                ]
                if shard.term == max(others):
                    return member
        raise LookupError(f"nobody leads {name}-{index}")

    async def until_led(self, topic: Topic | str, index: int = 0) -> Member:
        def is_led() -> bool:
            with suppress(LookupError):
                self.leader(topic, index)
                return True
            return False

        await self.until(is_led, what=f"{topic}-{index} is led")
        return self.leader(topic, index)

    def replicas(self, shard_id: int) -> list[Shard]:
        return [member.node.shards[shard_id] for member in self.running if shard_id in member.node.shards]

    async def until_equal(self, shard_id: int) -> None:
        """Every replica that runs has applied the same."""

        def is_equal() -> bool:
            states = {shard.state.snapshot() for shard in self.replicas(shard_id)}
            return len({shard.group.applied for shard in self.replicas(shard_id)}) == 1 and len(states) == 1

        await self.until(is_equal, what=f"the replicas of shard {shard_id} are equal")

    # Doing.

    async def append(
        self,
        topic: Topic | str,
        *values: bytes,
        index: int = 0,
        producer: Producer = NO_PRODUCER,
        acks: int = -1,
        timeout_s: float = 30,
    ) -> Appended:
        """Produce one batch as a client does: to the leader, again after each error that a client takes for passing."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while True:
            try:
                return await self.append_once(topic, *values, index=index, producer=producer, acks=acks)
            except (NotLeaderError, ClosingError, OverloadedError, TimedOutError, LookupError):
                if asyncio.get_running_loop().time() >= deadline:
                    raise
                await asyncio.sleep(0.05)

    async def append_once(
        self,
        topic: Topic | str,
        *values: bytes,
        index: int = 0,
        producer: Producer = NO_PRODUCER,
        acks: int = -1,
        member: Member | None = None,
    ) -> Appended:
        rows = [Record(i, wall_ms(), None, value) for i, value in enumerate(values)]
        batch = memoryview(bytearray(build(rows, base_offset=0, producer=producer)))
        done: asyncio.Future[Appended | Exception] = asyncio.get_running_loop().create_future()
        node = (member or self.leader(topic, index)).node
        found = node.topic(topic) if isinstance(topic, str) else topic
        node.partition(found, index).append(
            batch, read_header(batch), acks=acks, now_ms=wall_ms(), on_done=done.set_result
        )
        answer = await done
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def finish(self, work: Sequence[Awaitable[T]]) -> list[T]:
        return list(await asyncio.gather(*work))


def _names_coordinators(member: "Member") -> bool:
    """It has the slots, and has heard who leads their shards."""
    if "transaction" not in member.node.catalog.slots:
        return False
    try:
        for number in range(64):
            member.node.coordinator_of("group", f"g{number}")
    except CoordinatorNotAvailableError:
        return False
    return True


@asynccontextmanager
async def sharding_cluster(count: int = 3, **settings: object) -> AsyncGenerator[ShardingCluster, None]:
    """A founded cluster whose coordinators have their shards."""
    cluster = ShardingCluster(count, **settings)
    try:
        await cluster.start(*cluster.disks)
        await cluster.until(lambda: all(map(_names_coordinators, cluster.running)), what="slots")
        yield cluster
    finally:
        await cluster.close()
