"""A partition as its doors see it, over a node in memory."""

import asyncio
from collections.abc import Coroutine

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sharding.commands.splits import Close
from sharding.errors import (
    FencedLeaderEpochError,
    NotLeaderError,
    OffsetOutOfRangeError,
    UnknownLeaderEpochError,
    UnknownPartitionError,
)
from sharding.interfaces import Fetched, FoundOffset, NewTopic
from sharding.partition import Partition
from sharding.write_split import Target
from store.batches import read_header
from tests.support.faulty_disk import FaultyDisk
from tests.support.node_bench import NodeBench, all_records, opened_node


def run(work: Coroutine[object, object, None]) -> None:
    asyncio.run(work)


def partition_of(bench: NodeBench) -> Partition:
    found = bench.partition("t")
    assert isinstance(found, Partition)
    return found


def test_a_fetch_gives_whole_batches_from_the_one_that_holds_the_offset() -> None:
    async def story() -> None:
        async with opened_node(FaultyDisk()) as bench:
            await bench.node.create_topic(NewTopic(name="t"))
            for first in (0, 3, 6):
                await bench.append("t", *(b"%d" % (first + i) for i in range(3)))
            partition = partition_of(bench)
            one = partition.read(4, 1)
            assert [record.offset for view in one.records for record in all_records(view)] == [3, 4, 5]
            assert one.size_bytes == sum(map(len, one.records))
            both = partition.read(4, one.size_bytes * 2)
            assert [record.offset for view in both.records for record in all_records(view)] == [3, 4, 5, 6, 7, 8]
            assert partition.read(9, 1000) == Fetched((), 0, 9, 9, 0)
            for offset in (-1, 10):
                with pytest.raises(OffsetOutOfRangeError):
                    partition.read(offset, 1000)

    run(story())


def test_many_small_batches_come_as_one_slice_with_the_same_bytes() -> None:
    async def story() -> None:
        async with opened_node(FaultyDisk()) as bench:
            await bench.node.create_topic(NewTopic(name="t"))
            for number in range(50):
                await bench.append("t", b"%d" % number)
            fetched = partition_of(bench).read(0, 1 << 20)
            assert len(fetched.records) == 1
            assert [record.value for record in all_records(fetched.records[0])] == [b"%d" % i for i in range(50)]

    run(story())


def test_large_batches_are_not_copied_and_read_over_segments() -> None:
    async def story() -> None:
        async with opened_node(FaultyDisk()) as bench:
            await bench.node.create_topic(NewTopic(name="t"))
            for number in range(8):
                await bench.append("t", b"%d" % number * 30_000)
            split = partition_of(bench).chain.newest
            assert len({place.segment for place in split.index.places(0, 8)}) > 1
            assert [record.value[:1] for record in bench.records("t")] == [b"%d" % number for number in range(8)]

    run(story())


def test_nothing_below_the_log_start_is_served() -> None:
    async def story() -> None:
        disk = FaultyDisk()
        async with opened_node(disk) as bench:
            await bench.node.create_topic(NewTopic(name="t"))
            for ts in (50, 10, 20, 30):
                await bench.append("t", b"x", b"y", ts=ts)
            partition = partition_of(bench)
            assert await partition.raise_log_start(3) == 3
            assert partition.log_start == 3
            with pytest.raises(OffsetOutOfRangeError):
                partition.read(2, 1000)
            assert partition.read(3, 1000).log_start == 3
            assert await partition.offset_of_time(0) == FoundOffset(3, 10, 0)
            assert await partition.offset_of_greatest_time() == FoundOffset(6, 30, 0)
            with pytest.raises(OffsetOutOfRangeError):
                await partition.raise_log_start(9)
        async with opened_node(disk, seed=1) as bench:
            assert partition_of(bench).log_start == 3
            assert await partition_of(bench).raise_log_start(-1) == 8
            assert await partition_of(bench).offset_of_greatest_time() is None

    run(story())


@settings(max_examples=25)
@given(
    batches=st.lists(st.lists(st.integers(0, 20), min_size=1, max_size=4), min_size=1, max_size=8),
    cut_after=st.integers(0, 8),
    log_start=st.integers(0, 32),
)
def test_times_are_found_exactly_under_disorder_over_cuts_and_deletions(
    batches: list[list[int]], cut_after: int, log_start: int
) -> None:
    async def story() -> None:
        async with opened_node(FaultyDisk()) as bench:
            topic = await bench.node.create_topic(NewTopic(name="t"))
            for number, timestamps in enumerate(batches):
                if number == cut_after:
                    await bench.node.cut(topic.topic_id)
                await append_at(bench, timestamps)
            everything = [ts for one in batches for ts in one]
            first = min(log_start, len(everything))
            partition = partition_of(bench)
            await partition.raise_log_start(first)
            left = list(enumerate(everything))[first:]
            for wanted in range(22):
                expected = next((FoundOffset(offset, ts, 0) for offset, ts in left if ts >= wanted), None)
                assert await partition.offset_of_time(wanted) == expected
            greatest = max((ts for _, ts in left), default=None)
            expected = next((FoundOffset(offset, ts, 0) for offset, ts in left if ts == greatest), None)
            assert await partition.offset_of_greatest_time() == expected

    run(story())


async def append_at(bench: NodeBench, timestamps: list[int]) -> None:
    from store.batches import build
    from store.events import Record

    batch = memoryview(bytearray(build([Record(i, ts, None, b"v") for i, ts in enumerate(timestamps)], base_offset=0)))
    done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    partition_of(bench).append(batch, read_header(batch), acks=-1, now_ms=bench.clock[0], on_done=done.set_result)
    await done


def test_epochs_tell_where_a_leaders_records_end() -> None:
    async def story() -> None:
        disk = FaultyDisk()
        for seed, count in enumerate((2, 0, 3)):
            async with opened_node(disk, seed=seed) as bench:
                await bench.node.ensure_topic("t")
                for _ in range(count):
                    await bench.append("t", b"x")
        async with opened_node(disk, seed=5) as bench:
            partition = partition_of(bench)
            assert partition.leader_epoch == 3
            assert [partition.end_of_epoch(epoch) for epoch in range(-1, 5)] == [
                (-1, -1), (0, 2), (0, 2), (2, 5), (3, 5), (-1, -1),
            ]  # fmt: skip
            partition.check_epoch(-1)
            partition.check_epoch(3)
            with pytest.raises(FencedLeaderEpochError):
                partition.check_epoch(2)
            with pytest.raises(UnknownLeaderEpochError):
                partition.check_epoch(4)

    run(story())


def test_log_append_time_is_stamped_and_answered() -> None:
    async def story() -> None:
        async with opened_node(FaultyDisk()) as bench:
            await bench.node.create_topic(NewTopic(name="t", configs={"message.timestamp.type": "LogAppendTime"}))
            answer = await bench.append("t", b"a", b"b", ts=7)
            assert answer.log_append_time_ms == bench.clock[0]
            assert [record.timestamp_ms for record in bench.records("t")] == [bench.clock[0]] * 2

    run(story())


def test_a_partition_that_is_not_led_any_more_serves_nothing() -> None:
    async def story() -> None:
        async with opened_node(FaultyDisk()) as bench:
            await bench.node.create_topic(NewTopic(name="t"))
            await bench.append("t", b"x")
            partition = partition_of(bench)
            partition.shard.is_leader = False
            with pytest.raises(NotLeaderError):
                partition.read(0, 1)
            with pytest.raises(NotLeaderError):
                await partition.offset_of_time(0)
            with pytest.raises(NotLeaderError):
                partition.end_of_epoch(0)
            with pytest.raises(NotLeaderError):
                await bench.append("t", b"x")
            partition.shard.is_leader = True

    run(story())


def test_a_watcher_is_called_when_the_high_watermark_rises() -> None:
    async def story() -> None:
        async with opened_node(FaultyDisk()) as bench:
            await bench.node.create_topic(NewTopic(name="t"))
            partition = partition_of(bench)
            seen: list[int] = []
            undo = partition.watch(lambda: seen.append(partition.high_watermark))
            await bench.append("t", b"x", b"y")
            undo()
            await bench.append("t", b"z")
            assert seen == [2]

    run(story())


def test_a_deleted_partition_tells_its_watchers_and_serves_nothing_more() -> None:
    async def story() -> None:
        async with opened_node(FaultyDisk()) as bench:
            topic = await bench.node.create_topic(NewTopic(name="t"))
            await bench.append("t", b"x")
            partition = partition_of(bench)
            shard = bench.node.shard_of(topic, 0)
            told: list[bool] = []
            partition.watch(lambda: told.append(partition.chain.is_dropped))
            closing = shard.submit(Close(topic.topic_id.bytes, 0, 0, 5, Target(1, shard.shard_id)))
            held: list[object] = []
            bench.append_later("t", b"y", on_done=held.append)
            await closing
            await bench.node.delete_topic("t")
            assert told[-1]
            assert [type(answer) for answer in held] == [UnknownPartitionError]
            with pytest.raises(UnknownPartitionError):
                partition.read(0, 100)

    run(story())
