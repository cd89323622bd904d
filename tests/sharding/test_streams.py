"""Streams and views over a whole node on disk: ground truth is brute force over (ticks, events)."""

import asyncio
import random
from bisect import bisect_left
from pathlib import Path

import pytest

from sharding.errors import InvalidTopicError, OffsetOutOfRangeError
from sharding.interfaces import EventsAnswer, Topic
from store.emission import ViewKind
from store.events import TimeRange
from store.queries import AggregateQuery, Complete, Condition, EventsQuery, Function, Measure, Order
from tests.support.emissions import Event, view
from tests.support.time_node import Clock, TimeNode, origin_of, time_node

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

    async def append(self, node: TimeNode, topic: Topic, count: int = 10) -> None:
        for _ in range(count):
            p, size = self.random.randrange(topic.partition_count), self.random.choice([1, 2, 5, 60])
            node.clock.ms += self.random.randint(0, 30)
            times = [
                node.clock.ms - self.random.randint(0, 40) - (self.random.random() < 0.1) * self.random.randint(0, 600)
                for _ in range(size)
            ]
            first = await node.append(topic, p, times)
            self.events += [(ts, p, first + i) for i, ts in enumerate(times)]
            await asyncio.sleep(0.001)

    def inside(self, span: TimeRange) -> list[Event]:
        return sorted(event for event in self.events if span.covers(event[0]))


async def shown(node: TimeNode, topic: Topic, kind: ViewKind, index: int, offset: int = 0) -> list[tuple[Event, bool]]:
    records = await node.read(topic, kind, index, offset)
    assert [record.offset for record in records] == list(range(offset, offset + len(records)))
    return [origin_of(record) for record in records]


async def check_views(node: TimeNode, topic: Topic, story: Story, before: dict | None = None) -> dict:
    """Every view equals ground truth, and begins with what it showed before."""
    is_of_one_tick = False
    while not is_of_one_tick:  # a tick that comes meanwhile is in some of the views only
        await node.until(
            lambda: node.shows(topic, node.ticks(topic)[-1].number), step_ms=0, what="the last tick is shown"
        )
        ticks = node.ticks(topic)
        found = {asked: await shown(node, topic, *asked) for asked in KINDS}
        is_of_one_tick = node.shows(topic, ticks[-1].number)
        for asked in KINDS if before is not None else ():
            assert found[asked][: len(before[asked])] == before[asked]
    for asked in KINDS:
        assert found[asked] == view(ticks, story.events, *asked)
    return found


async def events_of(node: TimeNode, topic: Topic, query: EventsQuery) -> list[Event]:
    return await rows_of(await node.node.stream(topic.name).events(query))


async def rows_of(answer: EventsAnswer) -> list[Event]:
    return [
        (row["_ts"], row["_partition"], row["_offset"]) async for batch in answer.batches for row in batch.to_pylist()
    ]


@pytest.mark.parametrize("policy", ["accept", "side"])
async def test_views_equal_ground_truth_over_sealing_and_restart(tmp_path: Path, policy: str) -> None:
    clock, story = Clock(), Story(1)
    async with time_node(tmp_path, clock) as node:
        topic = await node.create(**CONFIGS, late_policy=policy)
        await story.append(node, topic)
        await node.settle(topic)
        before = await check_views(node, topic, story)
        assert before[ViewKind.LATE, 0], "the story has no late event"
        for _ in range(2):
            await story.append(node, topic)
            assert await node.seal(topic) is not None
            before = await check_views(node, topic, story, before)
        await story.append(node, topic)
        await node.settle(topic)
        before = await check_views(node, topic, story, before)
        assert [split.state for split in node.node.stream("t").splits()] == ["historic", "historic", "open"]
    clock.ms += 60_000
    async with time_node(tmp_path, clock) as node:
        topic = node.node.topic("t")
        await node.ready(topic)
        before = await check_views(node, topic, story, before)
        await story.append(node, topic)
        await node.seal(topic)
        await node.settle(topic)
        await check_views(node, topic, story, before)


async def test_sealing_while_data_flows_and_reading_from_the_middle(tmp_path: Path) -> None:
    clock, story = Clock(), Story(2)
    async with time_node(tmp_path, clock) as node:
        topic = await node.create(**CONFIGS)
        for _ in range(3):
            await story.append(node, topic, 5)
            sealing = asyncio.ensure_future(node.seal(topic))
            await story.append(node, topic, 10)
            await sealing
        await node.settle(topic)
        whole = await check_views(node, topic, story)
        for asked in KINDS:
            offset = story.random.randint(0, len(whole[asked]))
            assert await shown(node, topic, *asked, offset) == whole[asked][offset:]


async def test_queries_equal_brute_force_over_live_sealed_and_late(tmp_path: Path) -> None:
    clock, story = Clock(), Story(3)
    async with time_node(tmp_path, clock) as node:
        topic = await node.create(**CONFIGS)
        start_ms = clock.ms - 700
        for _ in range(3):
            await story.append(node, topic)
            await node.seal(topic)
        await story.append(node, topic)
        # The stream has no lag: what was acknowledged is seen.
        for _ in range(40):
            first_ms = story.random.randint(start_ms, clock.ms)
            span = TimeRange(first_ms=first_ms, end_ms=first_ms + story.random.choice([1, 20, 300, 5000]))
            expected = story.inside(span)
            assert await events_of(node, topic, EventsQuery(span=span)) == expected
            query = AggregateQuery(span=span, measures=[Measure(Function.COUNT), Measure(Function.SUM, "n")])
            (row,) = (await node.node.stream("t").aggregate(query)).table.to_pylist()
            assert row["count"] == len(expected)
            assert (row["sum(n)"] or 0) == sum(ts % 1000 for ts, _, _ in expected)
            spans = await node.node.stream("t").offsets(span)
            for p, found in enumerate(spans):
                offsets = [o for _, q, o in expected if q == p]
                assert found.count == len(offsets)
                if offsets:
                    assert (found.first_offset, found.end_offset) == (min(offsets), max(offsets) + 1)
        newest = await events_of(node, topic, EventsQuery(order=Order.TIME_DESCENDING, limit_count=9))
        assert newest == sorted(story.events, reverse=True)[:9]
        condition = Condition("word", "=", "w1")
        assert await events_of(node, topic, EventsQuery(conditions=[condition])) == [
            event for event in sorted(story.events) if event[1] == 1
        ]


async def test_complete_watermark_shows_only_what_ticks_have_emitted(tmp_path: Path) -> None:
    clock, story = Clock(), Story(4)
    async with time_node(tmp_path, clock) as node:
        topic = await node.create(**CONFIGS)
        await story.append(node, topic)
        await node.seal(topic)
        await story.append(node, topic)
        answer = await node.node.stream("t").events(EventsQuery(complete=Complete.WATERMARK))
        found = await rows_of(answer)
        # Further ticks may have come since.
        (last,) = (tick for tick in node.ticks(topic) if tick.watermark_ms == answer.meta.watermark_ms)
        assert found == sorted(e for e in story.events if last.emits(e[1], e[2], e[0]))
        assert len(found) < len(story.events)
        assert (answer.meta.historic_splits, answer.meta.live_splits, answer.meta.served_by) == (1, 1, 1)


async def test_a_split_is_cut_by_size_by_age_and_by_silence_and_becomes_historic(tmp_path: Path) -> None:
    clock, story = Clock(), Story(5)
    async with time_node(tmp_path, clock, silence_ms=100_000) as node:
        topic = await node.create(**CONFIGS, split_bytes="65536", split_ms="500000")
        stream = node.node.stream("t")

        def historic() -> int:
            return sum(split.state == "historic" for split in stream.splits())

        while sum(split.bytes for split in stream.splits()) < 65536:
            await story.append(node, topic, 3)
        await node.until(lambda: historic() == 1, step_ms=1, what="cut by size")
        await story.append(node, topic, 3)
        # The clock stands while a cut is waited for: whatever the disk takes, it is no further silence and no age.
        clock.ms += 100_000
        await node.until(lambda: historic() == 2, step_ms=0, what="cut by silence")
        for _ in range(10):
            await node.append(topic, 0, [clock.ms])
            assert len(stream.splits()) == 3, "cut before its age"
            clock.ms += 50_000
        await node.until(lambda: historic() == 3, step_ms=1, what="cut by age")


async def test_an_empty_split_is_not_sealed(tmp_path: Path) -> None:
    async with time_node(tmp_path, Clock()) as node:
        topic = await node.create(**CONFIGS)
        assert await node.seal(topic) is None
        await node.append(topic, 0, [5])
        assert (await node.seal(topic)).number == 0
        assert await node.seal(topic) is None


async def test_late_events_alone_can_be_sealed(tmp_path: Path) -> None:
    clock = Clock()
    async with time_node(tmp_path, clock) as node:
        topic = await node.create(**CONFIGS)
        await node.append(topic, 0, [clock.ms])
        await node.seal(topic)
        await node.append(topic, 1, [clock.ms - 10_000])
        split = await node.seal(topic)
        assert (split.number, split.count, split.state) == (1, 1, "historic")
        assert [origin_of(r)[1] for r in await node.read(topic, ViewKind.TIME)] == [False, True]


async def test_a_merge_in_a_process_of_its_own_gives_the_same_views(tmp_path: Path) -> None:
    clock, story = Clock(), Story(6)
    async with time_node(tmp_path, clock, is_merged_in_process=True) as node:
        topic = await node.create(**CONFIGS)
        await story.append(node, topic)
        split = await node.seal(topic)
        assert set(split.sha256) == set(split.files)
        await check_views(node, topic, story)
        files = sorted(p.name for p in (tmp_path / "topics" / str(topic.topic_id) / "0").iterdir())
        assert files == sorted(split.files)


async def test_view_offsets_by_time_and_the_greatest(tmp_path: Path) -> None:
    clock, story = Clock(), Story(7)
    async with time_node(tmp_path, clock) as node:
        topic = await node.create(**CONFIGS)
        await story.append(node, topic)
        await node.seal(topic)
        await story.append(node, topic)
        await node.settle(topic)
        truth = await check_views(node, topic, story)
        for asked in KINDS:
            partition, times = node.view(topic, *asked), [event[0] for event, _ in truth[asked]]
            for _ in range(10):
                wanted = story.random.randint(min(times) - 5, max(times) + 5)
                expected = next((rank for rank, ts in enumerate(times) if ts >= wanted), None)
                found = await partition.offset_of_time(wanted)
                assert (None if found is None else found.offset) == expected
            greatest = await partition.offset_of_greatest_time()
            assert (greatest.offset, greatest.timestamp_ms) == (times.index(max(times)), max(times))
        ticks = node.ticks(topic)
        found = await node.view(topic, ViewKind.TICKS).offset_of_time(ticks[2].watermark_ms)
        assert (found.offset, found.timestamp_ms) == (1, ticks[2].watermark_ms)


async def test_ticks_tell_the_end_rank_of_every_view_partition(tmp_path: Path) -> None:
    import msgspec

    clock, story = Clock(), Story(8)
    async with time_node(tmp_path, clock) as node:
        topic = await node.create(**CONFIGS, late_policy="side")
        await story.append(node, topic)
        await node.seal(topic)
        await story.append(node, topic)
        await node.settle(topic)
        ticks = node.ticks(topic)
        records = await node.read(topic, ViewKind.TICKS)
        assert [(r.offset, r.timestamp_ms) for r in records] == [(t.number - 1, t.watermark_ms) for t in ticks[1:]]
        for tick, record in zip(ticks[1:], records, strict=True):
            seen = ticks[: tick.number + 1]
            ends = {
                "time": len(view(seen, story.events, ViewKind.TIME, 0)),
                "keyed": [len(view(seen, story.events, ViewKind.KEYED, p)) for p in range(2)],
                "late": len(view(seen, story.events, ViewKind.LATE, 0)),
            }
            assert msgspec.json.decode(record.value) == {"n": tick.number, "watermark": tick.watermark_ms, "ends": ends}


async def test_a_long_poll_is_woken_when_a_tick_shows_more(tmp_path: Path) -> None:
    clock = Clock()
    async with time_node(tmp_path, clock) as node:
        topic = await node.create(**CONFIGS)
        partition = node.view(topic, ViewKind.TIME)
        woken = []
        undo = partition.watch(lambda: woken.append(partition.high_watermark))
        await node.append(topic, 0, [clock.ms])
        await node.settle(topic)
        assert woken[-1] == 1
        undo()
        await node.append(topic, 0, [clock.ms])
        await node.settle(topic)
        assert partition.high_watermark == 2
        assert woken[-1] == 1


async def test_a_view_refuses_records_and_offsets_beyond_its_end(tmp_path: Path) -> None:
    async with time_node(tmp_path, Clock()) as node:
        topic = await node.create(**CONFIGS)
        partition = node.view(topic, ViewKind.TIME)
        with pytest.raises(InvalidTopicError):
            partition.append(memoryview(b""), None, acks=1, now_ms=0, on_done=lambda _: None)
        with pytest.raises(OffsetOutOfRangeError):
            await partition.read(1, 100)
        fetched = await partition.read(0, 100)
        assert (list(fetched.records), fetched.high_watermark) == ([], 0)


async def test_leftovers_of_a_crashed_attempt_are_removed_and_published_runs_stay(tmp_path: Path) -> None:
    clock, story = Clock(), Story(9)
    async with time_node(tmp_path, clock) as node:
        topic = await node.create(**CONFIGS)
        await story.append(node, topic)
        split = await node.seal(topic)
    folder = tmp_path / "topics" / str(topic.topic_id)
    (folder / "0" / "late-7.parquet").write_bytes(b"x")
    (folder / "1" / ".main.parquet.scratch").mkdir(parents=True)
    (folder / "1" / "main.parquet").write_bytes(b"x")
    (tmp_path / "topics" / "00000000-0000-0000-0000-000000000000" / "0").mkdir(parents=True)
    async with time_node(tmp_path, clock) as node:
        await node.until(lambda: not (folder / "1").exists() and len(list((tmp_path / "topics").iterdir())) == 1)
        await node.until(lambda: len(list((folder / "0").iterdir())) == len(split.files))
        assert sorted(path.name for path in (folder / "0").iterdir()) == sorted(split.files)
        assert [path.name for path in (tmp_path / "topics").iterdir()] == [str(topic.topic_id)]
        await node.ready(topic)
        await check_views(node, topic, story)


@pytest.mark.evidence
@pytest.mark.timeout(300)  # 45 s alone
async def test_ten_thousand_random_ranges_equal_brute_force(tmp_path: Path) -> None:
    clock, story = Clock(), Story(10)
    async with time_node(tmp_path, clock) as node:
        topic = await node.create(**CONFIGS)
        start_ms = clock.ms - 700
        for _ in range(3):
            await story.append(node, topic, 60)
            await node.seal(topic)
        await story.append(node, topic, 60)
        truth = sorted(story.events)
        times = [event[0] for event in truth]
        stream = node.node.stream("t")
        assert {split.state for split in stream.splits()} == {"historic", "open"}
        for number in range(10_000):
            first_ms = story.random.randint(start_ms, clock.ms)
            end_ms = first_ms + story.random.choice([1, 5, 50, 500, 5000])
            expected = truth[bisect_left(times, first_ms) : bisect_left(times, end_ms)]
            span = TimeRange(first_ms=first_ms, end_ms=end_ms)
            if number % 4:
                measures = [Measure(Function.COUNT), Measure(Function.SUM, "n"), Measure(Function.MAX, "x")]
                answer = await stream.aggregate(AggregateQuery(span=span, measures=measures))
                (row,) = answer.table.to_pylist()
                assert row["count"] == len(expected)
                assert row["sum(n)"] == (sum(ts % 1000 for ts, _, _ in expected) if expected else None)
                assert row["max(x)"] == max((ts % 100 + 0.5 for ts, _, _ in expected), default=None)
            else:
                query = EventsQuery(span=span, columns=("_ts", "_partition", "_offset"))
                assert await events_of(node, topic, query) == expected
