"""The timekeeper over a real shard in a memory group; the clock is the test's."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sharding.commands.ticks import Fence, ForgetTicks
from sharding.commands.ticks import Tick as TickCommand
from sharding.errors import UnknownTopicIdError
from sharding.ticks import FenceAnswer
from sharding.timekeeper import TickWish, Timekeeper
from store.ticks import LatePolicy, Tick
from tests.support.memory_group import MemoryDisk
from tests.support.stream_node import TOPIC, StreamNode

pytestmark = pytest.mark.anyio

SCHEMA = '{"n": "long"}'


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def running(node: StreamNode) -> AsyncIterator[Timekeeper]:
    keeper = Timekeeper(node, now_ms=lambda: node.now_ms, logger=logging.getLogger("test"))
    node.shard.observe_appends(lambda split, append, at: keeper.on_append(split))
    keeper.on_leader()
    task = asyncio.ensure_future(keeper.run())
    try:
        yield keeper
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def tick_number(node: StreamNode, keeper: Timekeeper, number: int) -> Tick:
    for _ in range(500):
        if keeper.last_tick(TOPIC).number >= number:
            return keeper.last_tick(TOPIC)
        node.now_ms += 1
        await asyncio.sleep(0.001)
    raise AssertionError(f"tick {number} does not come; the last one is {keeper.last_tick(TOPIC)}")


async def test_data_is_ticked_behind_its_lateness_and_to_its_end_when_idle() -> None:
    node = StreamNode(MemoryDisk())
    node.add_topic(schema=SCHEMA, lateness_ms="100", idle_ms="1000", tick_ms="10")
    await node.open_splits()
    async with running(node) as keeper:
        await node.append(0, [5000, 7000])
        await node.append(1, [6000])
        assert await tick_number(node, keeper, 1) == Tick(1, 5900, (2, 1))
        node.now_ms += 1000
        assert await tick_number(node, keeper, 2) == Tick(2, 7000, (2, 1))


async def test_a_clock_that_is_set_back_stops_no_ticks() -> None:
    node = StreamNode(MemoryDisk())
    node.add_topic(schema=SCHEMA, lateness_ms="100", idle_ms="1000", tick_ms="10")
    await node.open_splits()
    async with running(node) as keeper:
        await node.append(0, [5000, 7000])
        await node.append(1, [6000])
        await tick_number(node, keeper, 1)
        node.now_ms -= 900_000
        await asyncio.sleep(0.03)
        node.now_ms += 1000
        assert await tick_number(node, keeper, 2) == Tick(2, 7000, (2, 1))


async def test_a_split_that_was_opened_by_a_clock_ahead_holds_nothing() -> None:
    """As after a restart on a clock that was set right."""
    disk = MemoryDisk()
    node = StreamNode(disk)
    node.add_topic(schema=SCHEMA, lateness_ms="100", idle_ms="100", tick_ms="10")
    node.now_ms += 900_000
    await node.open_splits()
    await node.append(0, [5000])
    node = StreamNode(disk)
    node.add_topic(schema=SCHEMA, lateness_ms="100", idle_ms="100", tick_ms="10")
    async with running(node) as keeper:
        node.now_ms += 100
        assert await tick_number(node, keeper, 1) == Tick(1, 5000, (1, 0))


async def test_nothing_is_proposed_once_everything_is_final() -> None:
    node = StreamNode(MemoryDisk())
    node.add_topic(schema=SCHEMA, idle_ms="10", tick_ms="10")
    await node.open_splits()
    async with running(node) as keeper:
        await node.append(0, [5000])
        node.now_ms += 10
        await tick_number(node, keeper, 1)
        for _ in range(3):
            node.now_ms += 10_000
            await asyncio.sleep(0.02)
        size = len(node.disk.entries)
        node.now_ms += 10_000
        await asyncio.sleep(0.03)
        assert len(node.disk.entries) == size
        await node.append(0, [6000])
        node.now_ms += 10
        assert (await tick_number(node, keeper, 2)).watermark_ms == 6000


async def test_a_topic_without_schema_and_view_is_ticked_only_when_a_cut_asks() -> None:
    node = StreamNode(MemoryDisk())
    node.add_topic(idle_ms="10", tick_ms="10")
    await node.open_splits()
    async with running(node) as keeper:
        await node.append(0, [5000, 4000])
        node.now_ms += 1000
        await asyncio.sleep(0.03)
        assert keeper.last_tick(TOPIC).number == 0
        assert await keeper.tick_past(
            TOPIC, TickWish(ends=[2, 0], after_number=0, seal_ms=keeper.seal_ms(TOPIC))
        ) == Tick(1, 5000, (2, 0))


async def test_a_late_event_below_the_end_becomes_final_by_a_step_of_one() -> None:
    node = StreamNode(MemoryDisk())
    node.add_topic(schema=SCHEMA, idle_ms="10", tick_ms="10")
    await node.open_splits()
    async with running(node) as keeper:
        await node.append(0, [5000])
        node.now_ms += 10
        await tick_number(node, keeper, 1)
        await node.append(0, [100])
        assert await keeper.tick_past(
            TOPIC, TickWish(ends=[2, 0], after_number=0, seal_ms=keeper.seal_ms(TOPIC))
        ) == Tick(2, 5001, (2, 0))


async def test_the_watermark_waits_for_the_clock() -> None:
    node = StreamNode(MemoryDisk())
    node.add_topic(schema=SCHEMA, idle_ms="10", tick_ms="10", clock_ahead_ms="500")
    await node.open_splits()
    async with running(node) as keeper:
        await node.append(0, [node.now_ms + 2000])
        node.now_ms += 10
        tick = await tick_number(node, keeper, 1)
        assert tick.watermark_ms <= node.now_ms + 500
        node.now_ms += 5000
        assert (await tick_number(node, keeper, tick.number + 1)).watermark_ms == 1_002_000


async def test_the_next_leader_ticks_on_from_the_last_tick() -> None:
    disk = MemoryDisk()
    node = StreamNode(disk)
    node.add_topic(schema=SCHEMA, idle_ms="10", tick_ms="10")
    await node.open_splits()
    async with running(node) as keeper:
        await node.append(0, [5000])
        node.now_ms += 10
        await tick_number(node, keeper, 1)
    node.shard.save_checkpoint()
    await node.append(0, [6000])
    again = StreamNode(disk)
    again.add_topic(schema=SCHEMA, idle_ms="10", tick_ms="10")
    again.now_ms = node.now_ms
    async with running(again) as keeper:
        assert keeper.last_tick(TOPIC) == Tick(1, 5000, (1, 0))
        again.now_ms += 10
        assert await tick_number(again, keeper, 2) == Tick(2, 6000, (2, 0))


async def test_waiting_for_a_tick_ends_when_the_topic_is_gone() -> None:
    node = StreamNode(MemoryDisk())
    node.add_topic(schema=SCHEMA, idle_ms="1000000", tick_ms="10")
    await node.open_splits()
    async with running(node) as keeper:
        await node.append(0, [5000])
        waiting = asyncio.ensure_future(keeper.tick_past(TOPIC, TickWish(ends=[1, 0], after_number=0)))
        await asyncio.sleep(0.02)
        node.catalog.remove_topic(TOPIC)
        node.now_ms += 1000
        with pytest.raises(UnknownTopicIdError):
            await asyncio.wait_for(waiting, 20)


async def test_a_fence_repeated_gets_the_first_answer() -> None:
    node = StreamNode(MemoryDisk())
    node.add_topic()
    await node.open_splits()
    await node.append(0, [5000])
    assert await node.shard.submit(Fence(TOPIC, 0, 1, 4000)) == FenceAnswer(1, 4000, 1)
    await node.append(0, [5001])
    assert await node.shard.submit(Fence(TOPIC, 0, 1, 4000)) == FenceAnswer(1, 4000, 1)
    # Another watermark is another attempt: it may know more.
    assert await node.shard.submit(Fence(TOPIC, 0, 1, 4500)) == FenceAnswer(1, 4500, 2)
    assert await node.shard.submit(Fence(TOPIC, 0, 3, 5000)) == FenceAnswer(3, 5000, 2)
    assert await node.shard.submit(Fence(TOPIC, 0, 2, 6000)) is None
    assert node.newest_split(TOPIC, 0).fence_ms == 5000


async def test_only_the_successor_of_the_last_tick_is_committed() -> None:
    node = StreamNode(MemoryDisk())
    node.add_topic()
    await node.open_splits()

    async def commit(number: int, watermark_ms: int, cut: tuple[int, ...] = (0, 0)) -> object:
        return await node.shard.submit(TickCommand(TOPIC, number, watermark_ms, cut, int(LatePolicy.SIDE)))

    assert await commit(2, 10) is False
    assert await commit(1, 10) is True
    assert await commit(1, 10) is True
    assert await commit(1, 11) is False
    assert await commit(2, 10) is False
    assert await commit(2, 11) is True
    assert [tick.number for tick in node.newest_split(TOPIC, 0).ticks] == [1, 2]


async def test_fence_and_ticks_survive_a_checkpoint() -> None:
    disk = MemoryDisk()
    node = StreamNode(disk)
    node.add_topic()
    await node.open_splits()
    await node.append(0, [5000])
    await node.shard.submit(Fence(TOPIC, 0, 1, 4000))
    await node.shard.submit(TickCommand(TOPIC, 1, 4000, (1, 0), 0))
    node.shard.save_checkpoint()
    await node.append(0, [5001])
    again = StreamNode(disk)
    assert await again.shard.submit(Fence(TOPIC, 0, 1, 4000)) == FenceAnswer(1, 4000, 1)
    assert await again.shard.submit(TickCommand(TOPIC, 1, 4000, (1, 0), 0)) is True
    assert again.newest_split(TOPIC, 0).admitted_fence_ms == 4000


async def test_sealed_ticks_are_forgotten_and_the_last_one_never() -> None:
    disk = MemoryDisk()
    node = StreamNode(disk)
    node.add_topic()
    await node.open_splits()
    for number in range(1, 6):
        await node.shard.submit(TickCommand(TOPIC, number, number * 10, (0, 0), 0))

    def numbers(of: StreamNode) -> list[int]:
        return [tick.number for tick in of.newest_split(TOPIC, 0).ticks]

    assert await node.shard.submit(ForgetTicks(TOPIC, 4)) == 3
    assert numbers(node) == [4, 5]
    assert await node.shard.submit(ForgetTicks(TOPIC, 9)) == 1
    assert numbers(node) == [5]
    assert await node.shard.submit(ForgetTicks(TOPIC, 9)) == 0
    assert numbers(StreamNode(disk)) == [5]
    assert await node.shard.submit(ForgetTicks(b"x" * 16, 1)) is None


async def test_partitions_that_were_silent_before_the_first_append_hold_nothing() -> None:
    node = StreamNode(MemoryDisk())
    node.add_topic(schema=SCHEMA, lateness_ms="100", idle_ms="1000", tick_ms="10")
    await node.open_splits()
    async with running(node) as keeper:
        node.now_ms += 5000
        await node.append(0, [7000])
        sent_ms = node.now_ms
        assert await tick_number(node, keeper, 1) == Tick(1, 6900, (1, 0))
        assert node.now_ms - sent_ms < 500
