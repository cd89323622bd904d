"""Inserts for partitions that are led elsewhere: stored once or refused, in order, and never sent again in doubt."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from raft.errors import PeerUnreachableError
from sharding.admission import TopicPolicy
from sharding.errors import InvalidTimestampError, MessageTooLargeError, NotLeaderError, TimedOutError
from sharding.forwarding import Forwarding
from sharding.inserts import Inserts, NewRecord, Place
from sharding.interfaces import Appended, PartitionApi, Topic
from sharding.partition import Partition
from sharding.refusals import Refusals
from store.batches import records
from tests.support.memory_cluster import MemoryCluster, MemoryNode
from tests.support.time_node import Clock

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class InsertingNode:
    """What forwarding and inserts need, over a node of a memory cluster."""

    def __init__(self, node: MemoryNode) -> None:
        self._node = node
        self.node_id = node.node_id
        self.now_ms = node.now_ms
        self.forwarding = Forwarding(self, node.peers)
        self.inserts = Inserts(self, now_ms=node.now_ms, limiter=anyio.CapacityLimiter(1))

    def topic_by_id(self, topic_id) -> Topic:
        return self._node.topics.get_by_id(topic_id)

    def partition(self, topic: Topic, index: int) -> PartitionApi:
        shard = self._node.shards[self._node.catalog.topics[topic.topic_id.bytes].shards[index]]
        if not shard.is_leader:
            raise NotLeaderError(shard.group.leader_or_none)
        chain = shard.state.chains[topic.topic_id.bytes, index]
        return Partition(topic, index, shard, chain, TopicPolicy.of(topic.configs), Refusals())

    def leader_of(self, topic: Topic, index: int) -> tuple[int, int, Sequence[int]]:
        shard = self._node.shards[self._node.catalog.topics[topic.topic_id.bytes].shards[index]]
        leader = shard.group.leader_or_none
        return -1 if leader is None else int(leader), 0, (1, 2, 3)

    async def append_elsewhere(self, topic: Topic, index: int, batch: memoryview) -> Appended:
        return await self.forwarding.append(topic, index, batch)


@asynccontextmanager
async def inserting(folder: Path) -> AsyncIterator[tuple[MemoryCluster, dict[int, InsertingNode]]]:
    memory = MemoryCluster(folder, Clock())
    await memory.add_shards(1, 2)
    yield memory, {node_id: InsertingNode(node) for node_id, node in memory.nodes.items()}


def stored(memory: MemoryCluster, topic: Topic, index: int) -> list[bytes]:
    shard = memory.leader_shard(memory.nodes[1].catalog.topics[topic.topic_id.bytes].shards[index])
    split = shard.state.chains[topic.topic_id.bytes, index].newest
    views = shard.read_batches(split, 0, 1 << 20) if split.committed_offset else []
    found: list[bytes] = []
    for view in views:
        found += [record.value for record in records(view)]
    return found


async def test_records_of_one_call_are_stored_where_each_partition_is_led(tmp_path: Path) -> None:
    async with inserting(tmp_path) as (memory, nodes):
        topic = await memory.create("t", (1, 2))
        rows = [NewRecord(b"%d" % row, partition=row % 2) for row in range(6)]
        outcomes = await nodes[1].inserts.insert(topic, rows)
        assert outcomes == [Place(row % 2, row // 2) for row in range(6)]
        assert stored(memory, topic, 1) == [b"1", b"3", b"5"]
        assert await nodes[3].inserts.insert(topic, rows[:2]) == [Place(0, 3), Place(1, 3)]


async def test_batches_of_one_partition_keep_their_order_elsewhere(tmp_path: Path) -> None:
    async with inserting(tmp_path) as (memory, nodes):
        topic = await memory.create("t", (1, 2), max_message_bytes="200")
        rows = [NewRecord(b"%03d" % row + bytes(60), partition=1) for row in range(20)]
        outcomes = await nodes[1].inserts.insert(topic, rows)
        assert outcomes == [Place(1, row) for row in range(20)]


@pytest.mark.parametrize(
    ("record", "kind", "configs"),
    [
        (NewRecord(b"x", partition=1, timestamp_ms=1 << 62), InvalidTimestampError, {}),
        (NewRecord(bytes(1000), partition=1), MessageTooLargeError, {"max_message_bytes": "500"}),
    ],
)
async def test_what_the_leader_refuses_is_refused_by_its_own_name(
    tmp_path: Path, record: NewRecord, kind: type[Exception], configs: dict[str, str]
) -> None:
    async with inserting(tmp_path) as (memory, nodes):
        topic = await memory.create("t", (1, 2), **configs)
        (here,) = await nodes[2].inserts.insert(topic, [record])
        (there,) = await nodes[1].inserts.insert(topic, [record])
        assert isinstance(here, kind)
        assert isinstance(there, kind)
        assert str(here) == str(there)


async def test_a_call_that_certainly_did_not_arrive_is_made_again(tmp_path: Path) -> None:
    async with inserting(tmp_path) as (memory, nodes):
        topic = await memory.create("t", (1, 2))
        attempts = []

        async def drop(_node: int, _kind: int) -> None:
            attempts.append(1)
            if len(attempts) < 3:
                raise PeerUnreachableError("as the test wants", was_sent=False)

        memory.nodes[1].peers.before_call = drop
        assert await nodes[1].inserts.insert(topic, [NewRecord(b"x", partition=1)]) == [Place(1, 0)]
        assert len(attempts) == 3


@pytest.mark.parametrize(
    ("error", "kind"),
    [(PeerUnreachableError("broke", was_sent=True), NotLeaderError), (TimeoutError("late"), TimedOutError)],
)
async def test_a_call_in_doubt_is_not_made_again(tmp_path: Path, error: Exception, kind: type[Exception]) -> None:
    async with inserting(tmp_path) as (memory, nodes):
        topic = await memory.create("t", (1, 2))
        attempts = []

        async def fail(_node: int, _kind: int) -> None:
            attempts.append(1)
            raise error

        memory.nodes[1].peers.before_call = fail
        outcomes = await nodes[1].inserts.insert(topic, [NewRecord(b"x", partition=1), NewRecord(b"y", partition=0)])
        assert isinstance(outcomes[0], kind)
        assert "may be stored" in str(outcomes[0])
        assert outcomes[1] == Place(0, 0)
        assert len(attempts) == 1


async def test_a_new_leader_is_found_and_nothing_is_stored_twice(tmp_path: Path) -> None:
    async with inserting(tmp_path) as (memory, nodes):
        topic = await memory.create("t", (1, 2))
        memory.groups[2].depose()
        inserting_now = asyncio.ensure_future(nodes[1].inserts.insert(topic, [NewRecord(b"x", partition=1)]))
        await asyncio.sleep(0.1)
        assert not inserting_now.done()
        memory.groups[2].elect(3)
        assert await inserting_now == [Place(1, 0)]
        assert stored(memory, topic, 1) == [b"x"]


async def test_it_may_be_this_node_that_leads_in_the_end(tmp_path: Path) -> None:
    async with inserting(tmp_path) as (memory, nodes):
        topic = await memory.create("t", (1, 2))
        memory.groups[2].depose()
        inserting_now = asyncio.ensure_future(nodes[1].inserts.insert(topic, [NewRecord(b"x", partition=1)]))
        await asyncio.sleep(0.02)
        memory.groups[2].elect(1)
        assert await inserting_now == [Place(1, 0)]


async def test_without_a_leader_the_refusal_says_that_nothing_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sharding.forwarding.REFUSED_DEADLINE_S", 0.1)
    async with inserting(tmp_path) as (memory, nodes):
        topic = await memory.create("t", (1, 2))
        memory.groups[2].depose()
        (outcome,) = await nodes[1].inserts.insert(topic, [NewRecord(b"x", partition=1)])
        assert isinstance(outcome, NotLeaderError)
        assert outcome.is_refusal
