"""Ticks, views, queries and sealing on three nodes; ground truth is brute force over (ticks, events)."""

import asyncio
import random
from pathlib import Path

import pytest

from raft.interfaces import Role
from sharding.catalog import ShardRecord
from sharding.errors import NotLeaderError, NotReplicatedHereError, OffsetOutOfRangeError
from sharding.interfaces import EventsAnswer, Topic
from store.emission import ViewKind
from store.events import Record, TimeRange
from store.queries import AggregateQuery, Complete, EventsQuery, Function, Measure
from store.ticks import Tick
from tests.support.emissions import Event, view
from tests.support.time_cluster import TimeCluster, time_cluster
from tests.support.time_node import origin_of
from tests.support.waiting import until_true

pytestmark = pytest.mark.anyio

KINDS = [(ViewKind.TIME, 0), (ViewKind.LATE, 0), (ViewKind.KEYED, 0), (ViewKind.KEYED, 1)]
CONFIGS = {"lateness_ms": "50", "idle_ms": "200", "tick_ms": "10", "clock_ahead_ms": "-1"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Story:
    """Random appends, and every event that they made."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.events: list[Event] = []

    async def append(self, cluster: TimeCluster, topic: Topic, count: int = 10) -> None:
        for _ in range(count):
            p, size = self.random.randrange(topic.partition_count), self.random.choice([1, 2, 5, 60])
            cluster.clock.ms += self.random.randint(0, 30)
            now_ms = cluster.clock.ms
            times = [
                now_ms - self.random.randint(0, 40) - (self.random.random() < 0.1) * self.random.randint(0, 600)
                for _ in range(size)
            ]
            first = await cluster.append(topic, p, times)
            self.events += [(ts, p, first + i) for i, ts in enumerate(times)]
            await asyncio.sleep(0.001)


async def rows_of(answer: EventsAnswer) -> list[Event]:
    return [
        (row["_ts"], row["_partition"], row["_offset"]) async for batch in answer.batches for row in batch.to_pylist()
    ]


async def check_views(cluster: TimeCluster, topic: Topic, story: Story, before: dict | None = None) -> dict:
    """Every view, read where it is led, equals ground truth and begins with what it showed before."""
    found = {}
    for kind, index in KINDS:
        partition = index if kind is ViewKind.KEYED else 0
        leader = cluster.leader_of(topic, partition)
        ticks, records = await read_at_a_tick(cluster, leader, topic, kind, index)
        assert [record.offset for record in records] == list(range(len(records)))
        found[kind, index] = records
        assert [origin_of(record) for record in records] == view(ticks, story.events, kind, index)
        if before is not None:
            assert records[: len(before[kind, index])] == before[kind, index]
    return found


async def read_at_a_tick(
    cluster: TimeCluster, leader: int, topic: Topic, kind: ViewKind, index: int
) -> tuple[list[Tick], list[Record]]:
    """A view, and the ticks that it shows: all there are. Ends when no tick comes while it looks."""
    shown_index = index if kind is ViewKind.KEYED else 0
    while True:
        ticks = cluster.ticks(leader, topic)
        last = ticks[-1].number
        await until_true(
            lambda last=last: cluster.shown_number(leader, topic, shown_index) >= last, what="the last tick is shown"
        )
        records = await cluster.read(leader, topic, kind, index)
        if cluster.ticks(leader, topic) == ticks:
            return ticks, records


async def check_queries(cluster: TimeCluster, topic: Topic, story: Story) -> None:
    """Every node answers alike, and all."""
    span = TimeRange(first_ms=cluster.clock.ms - 300, end_ms=cluster.clock.ms + 1)
    inside = [event for event in sorted(story.events) if span.covers(event[0])]
    for node_id in cluster.services:
        stream = cluster.stream(node_id, topic)
        answer = await stream.events(EventsQuery())
        assert await rows_of(answer) == sorted(story.events)
        assert answer.meta.served_by == node_id
        query = AggregateQuery(span=span, measures=[Measure(Function.COUNT), Measure(Function.SUM, "n")])
        (row,) = (await stream.aggregate(query)).table.to_pylist()
        assert row["count"] == len(inside)
        assert (row["sum(n)"] or 0) == sum(ts % 1000 for ts, _, _ in inside)


async def test_a_view_reads_the_same_from_each_leader_over_leader_changes(tmp_path: Path) -> None:
    story = Story(1)
    async with time_cluster(tmp_path) as cluster:
        topic = await cluster.create(**CONFIGS)
        before = None
        for turn in range(4):
            await story.append(cluster, topic)
            await cluster.settle(topic)
            before = await check_views(cluster, topic, story, before)
            cluster.memory.groups[1].elect(turn % 3 + 1)
            cluster.memory.groups[2].elect((turn + 1) % 3 + 1)
            assert await check_views(cluster, topic, story, before) == before
        await check_queries(cluster, topic, story)


async def test_queries_on_every_replica_are_equal_before_during_and_after_sealing(tmp_path: Path) -> None:
    story = Story(2)
    async with time_cluster(tmp_path) as cluster:
        topic = await cluster.create(**CONFIGS)
        before = None
        for turn in range(3):
            await story.append(cluster, topic)
            sealing = asyncio.ensure_future(cluster.seal(topic))
            for _ in range(5):
                await story.append(cluster, topic, 1)
                await check_queries(cluster, topic, story)
            assert (await sealing).number == turn
            await check_queries(cluster, topic, story)
            await cluster.settle(topic)
            before = await check_views(cluster, topic, story, before)
            cluster.memory.groups[1].elect(turn % 3 + 1)
        for node_id in cluster.services:
            assert [split.state for split in cluster.stream(node_id, topic).splits()] == [*["historic"] * 3, "open"]


async def test_two_timekeepers_never_yield_two_ticks_of_one_number(tmp_path: Path) -> None:
    story = Story(3)
    async with time_cluster(tmp_path) as cluster:
        topic = await cluster.create(**CONFIGS)
        await story.append(cluster, topic)
        await cluster.settle(topic)
        before = await check_views(cluster, topic, story)
        # Node 1 goes on ticking without knowing that node 2 has taken over.
        cluster.memory.cut(1)
        cluster.memory.groups[0].elect(2)
        cluster.memory.groups[1].elect(2)
        assert cluster.memory.nodes[1].shards[1].is_leader
        await story.append(cluster, topic)
        await cluster.settle(topic)
        await story.append(cluster, topic)
        cluster.memory.heal(1)
        await cluster.settle(topic)
        after = await check_views(cluster, topic, story, before)
        assert len(after[ViewKind.TIME, 0]) == len(story.events)
        committed = [cluster.ticks(node_id, topic) for node_id in cluster.services]
        assert committed[0] == committed[1] == committed[2]
        for first, then in zip(committed[0], committed[0][1:], strict=False):
            assert then.is_successor_of(first)


async def test_fences_go_to_the_leaders_and_a_partition_without_one_holds_the_watermark(tmp_path: Path) -> None:
    async with time_cluster(tmp_path) as cluster:
        topic = await cluster.create(**CONFIGS)
        await cluster.append(topic, 0, [cluster.clock.ms])
        await cluster.append(topic, 1, [cluster.clock.ms])
        await cluster.settle(topic)
        number = cluster.ticks(1, topic)[-1].number
        cluster.memory.groups[2].depose()
        await cluster.append(topic, 0, [cluster.clock.ms])
        for _ in range(30):
            cluster.clock.ms += 50
            await asyncio.sleep(0.001)
        assert cluster.ticks(1, topic)[-1].number == number
        cluster.memory.groups[2].elect(3)
        await cluster.settle(topic)
        assert cluster.ticks(1, topic)[-1].number > number


async def test_a_partition_that_is_led_elsewhere_and_written_to_is_not_idle(tmp_path: Path) -> None:
    async with time_cluster(tmp_path) as cluster:
        topic = await cluster.create(**{**CONFIGS, "idle_ms": "1000", "lateness_ms": "500"})
        start_ms = cluster.clock.ms
        for step in range(40):
            cluster.clock.ms += 100
            # Partition 1 is written to all the time, and its event time stands still.
            await cluster.append(topic, 1, [start_ms])
            await cluster.append(topic, 0, [start_ms + step * 100])
        assert cluster.ticks(1, topic)[-1].watermark_ms <= start_ms - 500
        await cluster.settle(topic)
        assert cluster.ticks(1, topic)[-1].watermark_ms == start_ms + 3900


async def test_a_deposed_leader_shows_nothing_of_a_view_that_its_successor_may_not_know(tmp_path: Path) -> None:
    async with time_cluster(tmp_path) as cluster:
        topic = await cluster.create(**CONFIGS)
        await cluster.append(topic, 0, [cluster.clock.ms])
        await cluster.append(topic, 1, [cluster.clock.ms])
        await cluster.settle(topic)
        old = await cluster.ready_view(2, topic, ViewKind.KEYED, 1)
        await cluster.append(topic, 1, [cluster.clock.ms + 5])
        await cluster.settle(topic)
        shown = old.high_watermark
        # Node 2 does not hear that shard 2 is led by node 3 now, but it hears of the ticks in shard 1; node 3 does not.
        cluster.memory.groups[1].members[3].is_held = True
        await cluster.append(topic, 0, [cluster.clock.ms + 1000])
        await cluster.append(topic, 1, [cluster.clock.ms + 1000])
        await cluster.until(lambda: old.high_watermark > shown)
        shown = old.high_watermark
        cluster.memory.groups[2].members[2].is_cut_off = True
        cluster.memory.groups[2].elect(3)
        ticks = cluster.ticks(2, topic)[-1].number
        await cluster.append(topic, 0, [cluster.clock.ms + 2000])
        await cluster.until(lambda: cluster.ticks(2, topic)[-1].number > ticks)
        await cluster.until(lambda: cluster.held(2, topic).live.ledger_or_none.last.number > ticks)
        assert old.high_watermark == shown
        with pytest.raises(NotLeaderError):
            cluster.view(3, topic, ViewKind.KEYED, 1)
        cluster.memory.groups[1].members[3].is_held = False
        cluster.memory.groups[1].catch_up()
        new = await cluster.ready_view(3, topic, ViewKind.KEYED, 1)
        assert new.high_watermark >= shown


async def test_only_a_leader_that_was_confirmed_says_that_an_offset_of_a_view_is_out_of_range(tmp_path: Path) -> None:
    async with time_cluster(tmp_path) as cluster:
        topic = await cluster.create(**CONFIGS)
        await cluster.append(topic, 0, [cluster.clock.ms])
        await cluster.append(topic, 1, [cluster.clock.ms])
        await cluster.settle(topic)
        old = await cluster.ready_view(2, topic, ViewKind.KEYED, 1)
        # Node 2 is cut off; a client has read on at node 3, and comes back with what it knew of leaders before.
        cluster.memory.cut(2)
        cluster.memory.groups[2].elect(3)
        await cluster.append(topic, 1, [cluster.clock.ms + 5])
        await cluster.settle(topic)
        new = await cluster.ready_view(3, topic, ViewKind.KEYED, 1)
        await cluster.until(lambda: new.high_watermark > old.high_watermark)
        with pytest.raises(NotLeaderError):
            await old.read(new.high_watermark, 2000)
        with pytest.raises(OffsetOutOfRangeError):
            await new.read(new.high_watermark + 1, 2000)


async def test_a_served_high_watermark_never_falls_whoever_leads(tmp_path: Path) -> None:
    story = Story(4)
    async with time_cluster(tmp_path) as cluster:
        topic = await cluster.create(**CONFIGS)
        highest: dict[tuple[ViewKind, int], int] = {}

        def look() -> None:
            for asked in KINDS:
                for node_id in cluster.services:
                    try:
                        end = cluster.view(node_id, topic, *asked).high_watermark
                    except NotLeaderError:
                        continue
                    assert end >= highest.get(asked, 0), f"{asked} on node {node_id}"
                    highest[asked] = end

        for turn in range(12):
            await story.append(cluster, topic, 3)
            held = cluster.memory.groups[story.random.choice([1, 2])].members[story.random.randint(1, 3)]
            held.is_held = story.random.random() < 0.5 and held.role is not Role.LEADER
            for _ in range(10):
                cluster.clock.ms += 5
                await asyncio.sleep(0.001)
                look()
            if turn % 2:
                cluster.memory.groups[story.random.choice([1, 2])].elect(story.random.randint(1, 3))
                look()
            held.is_held = False
            cluster.memory.groups[1].catch_up()
            cluster.memory.groups[2].catch_up()
        assert len(highest) == len(KINDS)
        await cluster.settle(topic)
        await check_views(cluster, topic, story)


async def test_a_query_on_a_replica_that_is_behind_waits_for_what_was_acknowledged(tmp_path: Path) -> None:
    async with time_cluster(tmp_path) as cluster:
        topic = await cluster.create(**CONFIGS)
        await cluster.append(topic, 1, [cluster.clock.ms])
        cluster.memory.groups[2].members[3].is_held = True
        offset = await cluster.append(topic, 1, [cluster.clock.ms + 1])
        asking = asyncio.ensure_future(cluster.stream(3, topic).events(EventsQuery()))
        await asyncio.sleep(0.02)
        assert not asking.done()
        cluster.memory.groups[2].members[3].is_held = False
        cluster.memory.groups[2].catch_up()
        assert len(await rows_of(await asking)) == offset + 1


async def test_only_final_events_and_all_of_them_are_complete_on_a_replica_that_hears_of_a_tick_first(
    tmp_path: Path,
) -> None:
    async with time_cluster(tmp_path) as cluster:
        topic = await cluster.create(**CONFIGS)
        start_ms = cluster.clock.ms
        await cluster.append(topic, 0, [start_ms])
        await cluster.append(topic, 1, [start_ms])
        await cluster.settle(topic)
        now_ms = cluster.clock.ms
        held = cluster.memory.groups[2].members[3]
        barriers = cluster.memory.groups[1].members[3].barrier_count
        held.is_held = True
        await cluster.append(topic, 1, [now_ms, now_ms + 1])
        events = [(start_ms, 0, 0), (start_ms, 1, 0), (now_ms, 1, 1), (now_ms + 1, 1, 2)]
        await cluster.until(lambda: cluster.ticks(3, topic)[-1].watermark_ms >= now_ms)
        asking = asyncio.ensure_future(cluster.stream(3, topic).events(EventsQuery(complete=Complete.WATERMARK)))
        await cluster.until(lambda: cluster.memory.groups[1].members[3].barrier_count > barriers)
        held.is_held = False
        cluster.memory.groups[2].catch_up()
        answer = await asking
        tick = next(one for one in cluster.ticks(3, topic) if one.watermark_ms == answer.meta.watermark_ms)
        found = [event for event in sorted(events) if tick.emits(event[1], event[2], event[0])]
        assert await rows_of(answer) == found
        assert len(found) > 2


async def test_a_query_without_a_leader_is_refused_and_says_so(tmp_path: Path) -> None:
    async with time_cluster(tmp_path) as cluster:
        topic = await cluster.create(**CONFIGS)
        await cluster.append(topic, 0, [cluster.clock.ms])
        cluster.memory.groups[2].depose()
        with pytest.raises(NotLeaderError):
            await cluster.stream(3, topic).events(EventsQuery())


async def test_a_node_without_the_topic_names_those_that_have_it(tmp_path: Path) -> None:
    async with time_cluster(tmp_path, leaders=(), count=4) as cluster:
        await cluster.memory.add_shards(1, 2, replicas=(1, 2, 3))
        topic = await cluster.create(**CONFIGS)
        await cluster.append(topic, 0, [cluster.clock.ms])
        with pytest.raises(NotReplicatedHereError) as refusal:
            cluster.stream(4, topic)
        assert refusal.value.node_ids == (1, 2, 3)
        # A shard that is opened here later is followed.
        for shard_id in (1, 2):
            record = cluster.memory.nodes[4].catalog.shards[shard_id]
            wanted = ShardRecord(shard_id, 4, (*record.replicas, 4))
            for node in cluster.memory.nodes.values():
                node.catalog.shards[shard_id] = wanted
            cluster.memory.nodes[4].open_shard(shard_id)
        assert len(await rows_of(await cluster.stream(4, topic).events(EventsQuery()))) == 1


async def test_an_index_that_failed_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sharding.time_services.REBUILD_PAUSE_S", 0.01)
    story = Story(5)
    async with time_cluster(tmp_path) as cluster:
        topic = await cluster.create(**CONFIGS)
        await story.append(cluster, topic)
        await cluster.settle(topic)
        before = await check_views(cluster, topic, story)
        held = cluster.held(1, topic)
        held.rebuild_pause_s = 0.01
        with monkeypatch.context() as patch:
            patch.setattr(held.live.partitions[0], "insert", None)
            await cluster.append(topic, 0, [1])
            await cluster.until(lambda: held.is_failed)
        story.events.append((1, 0, await cluster.append(topic, 0, [2]) - 1))
        story.events.append((2, 0, story.events[-1][2] + 1))
        await cluster.settle(topic)
        await check_views(cluster, topic, story, before)
        await check_queries(cluster, topic, story)
