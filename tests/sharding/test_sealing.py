"""Sealing goes on where it was stopped, whatever happened; ground truth is brute force as in test_streams."""

import asyncio
import random
from pathlib import Path
from uuid import UUID

import anyio
import msgspec
import pytest

from sharding.errors import InvalidTimestampError, SealingError, TimedOutError
from sharding.interfaces import NewTopic
from sharding.merging import merge_in_process
from sharding.timekeeper import TickWish
from store.emission import ViewKind
from store.errors import MergeError
from store.events import TimeRange
from store.manifest import SplitManifest, TickValue, TotalsValue
from store.merge_job import MergeJob
from store.queries import AggregateQuery, EventsQuery
from store.ticks import Tick
from tests.sharding.test_streams import CONFIGS, Story, check_views, events_of
from tests.support.time_node import Clock, merge_in_thread, time_node

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Merges:
    """Runs merges, and does beforehand or afterwards what the test wants."""

    def __init__(self, fail: int = 0, *, is_stuck_after: bool = False) -> None:
        self.fail = fail
        self.is_stuck_after = is_stuck_after
        self.jobs: list[MergeJob] = []
        self.stuck = asyncio.Event()

    async def __call__(self, job: MergeJob) -> SplitManifest:
        self.jobs.append(job)
        if len(self.jobs) <= self.fail:
            raise MergeError("as the test wants")
        manifest = await merge_in_thread(job)
        if self.is_stuck_after:
            self.stuck.set()
            await asyncio.Event().wait()
        return manifest


async def test_a_failed_merge_is_told_shown_and_tried_again(tmp_path: Path) -> None:
    clock, story, merges = Clock(), Story(1), Merges(fail=2)
    async with time_node(tmp_path, clock, run_merge=merges) as node:
        topic = await node.create(**CONFIGS)
        await story.append(node, topic)
        with pytest.raises(SealingError, match="as the test wants"):
            await node.seal(topic)
        failure = node.services.sealing_failures[topic.topic_id.bytes]
        assert (failure.number, failure.message) == (0, "as the test wants")
        await node.until(lambda: node.node.stream("t").splits()[0].state == "historic")
        assert len(merges.jobs) == 3
        await node.until(lambda: not node.services.sealing_failures)
        await node.settle(topic)
        await check_views(node, topic, story)


async def test_files_of_an_attempt_that_was_not_published_are_made_anew(tmp_path: Path) -> None:
    clock, story, merges = Clock(), Story(2), Merges(is_stuck_after=True)
    async with time_node(tmp_path, clock, run_merge=merges) as node:
        topic = await node.create(**CONFIGS)
        await story.append(node, topic)
        sealing = asyncio.ensure_future(node.node.stream("t").seal())
        await node.until(merges.stuck.is_set)
        sealing.cancel()
    main = tmp_path / "topics" / str(topic.topic_id) / "0" / "main.parquet"
    assert main.exists()
    again = Merges()
    async with time_node(tmp_path, clock, run_merge=again) as node:
        await node.until(lambda: node.node.stream("t").splits()[0].state == "historic")
        # What stood there was no run of ours any more; the job is made anew from the log.
        assert len(again.jobs) == 1
        await story.append(node, topic)
        await node.settle(topic)
        await check_views(node, topic, story)


@pytest.mark.parametrize("seed", range(6))
async def test_views_and_queries_stand_whatever_moment_the_node_stops_at(tmp_path: Path, seed: int) -> None:
    clock, story, chance = Clock(), Story(100 + seed), random.Random(seed)
    before = None
    for _ in range(4):
        async with time_node(tmp_path, clock) as node:
            topic = node.node.topics()[0] if node.node.topics() else await node.create(**CONFIGS)
            await node.ready(topic)
            await story.append(node, topic, 6)
            sealing = asyncio.ensure_future(node.node.stream("t").seal())
            for _ in range(chance.randrange(60)):
                clock.ms += 5
                await asyncio.sleep(0)
            if chance.random() < 0.5:
                await story.append(node, topic, 3)
                await node.settle(topic)
                before = await check_views(node, topic, story, before)
            sealing.cancel()
            await asyncio.gather(sealing, return_exceptions=True)
    async with time_node(tmp_path, clock) as node:
        topic = node.node.topic("t")
        await node.settle(topic)
        await check_views(node, topic, story, before)
        assert await events_of(node, topic, EventsQuery()) == sorted(story.events)


async def test_a_topic_that_is_sealed_while_another_is_cut_disturbs_no_sealing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    async with time_node(tmp_path, clock, run_merge=merge_in_thread) as node:
        first, second = await node.create("first", **CONFIGS), await node.create("second", **CONFIGS)
        for topic in (first, second):
            await node.append(topic, 0, [clock.ms])
        sealer, cut = node.services.sealer, node.services.cut
        is_sealed = asyncio.Event()

        async def cut_and_seal_the_other(topic_id: UUID) -> tuple[int, tuple[int, ...]] | None:
            monkeypatch.setattr(node.services, "cut", cut)
            await sealer.seal(second.topic_id.bytes)
            is_sealed.set()
            return await cut(topic_id)

        monkeypatch.setattr(node.services, "cut", cut_and_seal_the_other)
        clock.ms += 2 * 3_600_000
        await node.until(lambda: node.node.stream("first").splits()[0].state == "historic")
        assert is_sealed.is_set()
        assert "begins anew" not in caplog.text


async def test_a_split_that_is_closed_while_sealing_begins_anew_is_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_topic_id: bytes) -> None:
        raise ZeroDivisionError

    clock = Clock()
    async with time_node(tmp_path, clock, run_merge=merge_in_thread) as node:
        topic = await node.create(**CONFIGS)
        await node.append(topic, 0, [clock.ms])
        with monkeypatch.context() as patch:
            patch.setattr(node.services.sealer, "_cut_if_due", fail)
            await node.until(lambda: "begins anew" in caplog.text)
        split = await node.seal(topic)
        assert split is not None
        assert split.state == "historic"


async def test_runs_of_a_topic_that_is_not_led_now_are_no_leftovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_topic_id: bytes) -> None:
        monkeypatch.setattr(node.services, "_is_led", lambda _topic: False)
        raise ZeroDivisionError

    clock, merges = Clock(), Merges()
    async with time_node(tmp_path, clock, run_merge=merges) as node:
        topic = await node.create(**CONFIGS)
        await node.append(topic, 0, [clock.ms])
        assert await node.seal(topic) is not None
        await node.append(topic, 0, [clock.ms])
        monkeypatch.setattr(node.services.sealer, "_cut_if_due", fail)
        # The second time, what is left over has been looked for while nothing was led.
        await node.until(lambda: caplog.text.count("begins anew") >= 2)
        assert (Path(merges.jobs[0].folder) / "main.parquet").is_file()


async def test_sealed_events_leave_the_live_index(tmp_path: Path) -> None:
    clock, story = Clock(), Story(3)
    async with time_node(tmp_path, clock) as node:
        topic = await node.create(**CONFIGS)
        await story.append(node, topic)
        await node.seal(topic)
        live = node.services.live_of(topic.topic_id.bytes)
        assert sum(partition.event_count for partition in live.partitions) == 0
        answer = await node.node.stream("t").aggregate(AggregateQuery())
        assert answer.table.to_pylist()[0]["count"] == len(story.events)
        # The root aggregate of the manifest answers: no row group is read.
        assert answer.meta.plan["row_groups"] == 0


async def test_a_topic_without_schema_and_views_is_sealed_and_asked_too(tmp_path: Path) -> None:
    clock, story = Clock(), Story(4)
    async with time_node(tmp_path, clock) as node:
        configs = {"idle.ms": "200", "clock.ahead.ms": "-1"}
        topic = await node.node.create_topic(NewTopic(name="plain", partitions=2, configs=configs))
        await story.append(node, topic)
        assert len(node.ticks(topic)) == 1
        assert (await node.seal(topic)).count == len(story.events)
        assert len(node.ticks(topic)) == 2
        await story.append(node, topic, 5)
        assert await events_of(node, topic, EventsQuery()) == sorted(story.events)
        span = TimeRange(first_ms=clock.ms - 100, end_ms=clock.ms)
        assert await events_of(node, topic, EventsQuery(span=span)) == story.inside(span)


async def test_reject_refuses_what_a_tick_has_passed(tmp_path: Path) -> None:
    clock = Clock()
    async with time_node(tmp_path, clock) as node:
        topic = await node.create(**CONFIGS, late_policy="reject")
        await node.append(topic, 0, [clock.ms])
        await node.settle(topic)
        with pytest.raises(InvalidTimestampError):
            await node.append(topic, 0, [clock.ms + 1, node.ticks(topic)[-1].watermark_ms])
        await node.append(topic, 0, [clock.ms + 1])
        await node.seal(topic)
        assert await node.read(topic, ViewKind.LATE) == []
        assert len(await node.read(topic, ViewKind.TIME)) == 2


async def test_a_deleted_topic_takes_its_runs_along(tmp_path: Path) -> None:
    clock = Clock()
    async with time_node(tmp_path, clock) as node:
        topic = await node.create(**CONFIGS)
        await node.append(topic, 0, [clock.ms])
        await node.seal(topic)
        await node.node.delete_topic("t")
        await node.until(lambda: not any((tmp_path / "topics").iterdir()))
        assert node.services.indexes.topic_or_none(topic.topic_id.bytes) is None


def empty_job(folder: Path) -> MergeJob:
    no_tick = TickValue(0, -(1 << 63), [0])
    return MergeJob(
        topic_id=b"t" * 16,
        number=0,
        version=1,
        slices=[],
        first_offsets=[0],
        end_offsets=[0],
        boundary=no_tick,
        totals_before=TotalsValue([0], [0], [0]),
        ticks=[],
        schema_text=None,
        folder=str(folder),
    )


async def test_what_the_worker_refuses_comes_back_as_its_error(tmp_path: Path) -> None:
    with pytest.raises(MergeError, match="its last tick does not reach its end"):
        await merge_in_process(empty_job(tmp_path), 60_000)


async def test_a_worker_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError):
        await merge_in_process(empty_job(tmp_path), 1)
    with anyio.fail_after(40):
        # The child was reaped; another one can run at once.
        with pytest.raises(MergeError):
            await merge_in_process(empty_job(tmp_path), 60_000)


async def test_runs_that_differ_from_what_views_showed_are_not_published(tmp_path: Path) -> None:
    clock, story = Clock(), Story(5)

    async def merge_wrongly(job: MergeJob) -> SplitManifest:
        manifest = await merge_in_thread(job)
        fresh = [manifest.totals.fresh[0] + 1, *manifest.totals.fresh[1:]]
        totals = TotalsValue(fresh, manifest.totals.late, manifest.totals.shown_late)
        return msgspec.structs.replace(manifest, totals=totals)

    async with time_node(tmp_path, clock, run_merge=merge_wrongly) as node:
        topic = await node.create(**CONFIGS)
        await story.append(node, topic)
        await node.settle(topic)
        with pytest.raises(SealingError, match="counted live"):
            await node.seal(topic)
        assert node.node.stream("t").splits()[0].state == "sealing"
        await check_views(node, topic, story)


async def test_a_step_of_the_wall_clock_cuts_nothing_and_holds_up_nothing(tmp_path: Path) -> None:
    wall, passing = Clock(), Clock(0)
    async with time_node(tmp_path, wall, silence_ms=900_000, monotonic_ms=passing) as node:
        topic = await node.create(**CONFIGS, split_ms="500000")
        stream = node.node.stream("t")
        await node.append(topic, 0, [wall.ms])
        for step_ms in (36_000_000, -72_000_000):
            wall.ms += step_ms
            await asyncio.sleep(0.05)
            assert [split.number for split in stream.splits()] == [0], "neither age nor silence"
        passing.ms += 500_000
        await node.until(lambda: len(stream.splits()) == 2, what="cut by age")
        await node.append(topic, 0, [wall.ms])
        passing.ms += 400_000
        await node.append(topic, 1, [wall.ms])
        await asyncio.sleep(0.05)
        assert len(stream.splits()) == 2


async def test_who_seals_is_told_when_it_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with time_node(tmp_path, Clock(), seal_timeout_ms=500) as node:
        topic = await node.create(**CONFIGS)
        await node.append(topic, 0, [5])
        released = asyncio.Event()
        tick_past = node.services.keeper.tick_past

        async def waits_for_a_quorum(topic_id: bytes, wish: TickWish) -> Tick:
            await released.wait()
            return await tick_past(topic_id, wish)

        monkeypatch.setattr(node.services.keeper, "tick_past", waits_for_a_quorum)
        with pytest.raises(TimedOutError, match="after 500 ms"):
            await node.node.stream("t").seal()
        released.set()
        stream = node.node.stream("t")
        await node.until(lambda: stream.splits()[0].state == "historic", what="it is sealed all the same")
