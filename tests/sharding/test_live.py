"""Live indexes over a real shard in a memory group."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from sharding.commands.ticks import Tick as TickCommand
from sharding.errors import UnknownTopicIdError
from sharding.live import LiveIndexes, LivePartition, LiveTopic
from sharding.timekeeper import tick_of
from sharding.views.stretches import emitted
from store.emission import Ledger, Totals, ViewKind, empty_ledger
from store.events import ALL_TIME
from store.schema import Schema
from store.ticks import LatePolicy, Tick, no_tick
from tests.support.emissions import Event, view
from tests.support.memory_group import MemoryDisk
from tests.support.stream_node import TOPIC, StreamNode
from tests.support.waiting import until_true as until

pytestmark = pytest.mark.anyio

SCHEMA = Schema.of({"n": "long"}, ["n"])


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def live_topic(
    node: StreamNode, sealed: Tick, totals: Totals | None = None, starts: tuple[int, ...] = (0, 0)
) -> LiveTopic:
    partitions = [
        LivePartition(node.log(p), p, SCHEMA, start_offset=start, sealed=sealed) for p, start in enumerate(starts)
    ]
    ledger = empty_ledger(2) if totals is None else Ledger(sealed, totals, 2)

    def tick_or_none(number: int) -> Tick | None:
        ticks = node.newest_split(TOPIC, 0).ticks
        return next((tick_of(tick) for tick in ticks if tick.number == number), None)

    return LiveTopic(TOPIC, partitions, tick_or_none, ledger)


@asynccontextmanager
async def indexing(topic: LiveTopic) -> AsyncIterator[LiveIndexes]:
    indexes = LiveIndexes(monotonic=time.monotonic, limiter=anyio.CapacityLimiter(2), logger=logging.getLogger("test"))
    indexes.add(topic)
    task = asyncio.ensure_future(indexes.run())
    try:
        yield indexes
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def indexed(topic: LiveTopic) -> list[Event]:
    return sorted(
        key
        for snapshot in topic.snapshots()
        for block in snapshot.blocks(ALL_TIME, ())
        for key in zip(block.timestamps.tolist(), block.partitions.tolist(), block.offsets.tolist(), strict=True)
    )


def shown(topic: LiveTopic, kind: ViewKind, partition: int) -> list[tuple[Event, bool]]:
    stretch = topic.stretch()
    first, end = stretch.ledger.first_rank(kind, partition), stretch.ledger.end_rank(kind, partition)
    return [
        (key, part.is_late)
        for part in emitted(stretch, kind, partition, first, end)
        for key in zip(
            part.block.timestamps.tolist(), part.block.partitions.tolist(), part.block.offsets.tolist(), strict=True
        )
    ]


class History:
    """Random appends and ticks, and all that they should come to."""

    def __init__(self, node: StreamNode, seed: int) -> None:
        self.node = node
        self.random = random.Random(seed)
        self.events: list[Event] = []
        self.ticks = [no_tick(2)]
        self.ends = [0, 0]

    async def go(self, steps: int) -> None:
        for _ in range(steps):
            await (self._append() if self.random.random() < 0.7 else self._tick())

    async def _append(self) -> None:
        p, size = self.random.randrange(2), self.random.choice([1, 3, 40, 700])
        base = len(self.events)
        times = [max(0, base + self.random.randint(-60, 60)) for _ in range(size)]
        first = await self.node.append(p, times)
        self.events += [(ts, p, first + i) for i, ts in enumerate(times)]
        self.ends[p] = first + size

    async def _tick(self) -> None:
        before = self.ticks[-1]
        watermark = max(before.watermark_ms + 1, len(self.events) - self.random.randint(0, 50))
        cut = tuple(self.random.randint(low, end) for low, end in zip(before.cut, self.ends, strict=True))
        tick = Tick(before.number + 1, watermark, cut, self.random.choice(list(LatePolicy)))
        assert await self.node.shard.submit(TickCommand(TOPIC, tick.number, watermark, cut, int(tick.policy)))
        self.ticks.append(tick)


KINDS = [(ViewKind.TIME, 0), (ViewKind.LATE, 0), (ViewKind.KEYED, 0), (ViewKind.KEYED, 1)]


@pytest.mark.parametrize("seed", range(4))
async def test_what_ticks_emit_equals_brute_force_also_after_a_restart(seed: int) -> None:
    disk = MemoryDisk()
    node = StreamNode(disk)
    node.add_topic(schema='{"n": "long"}')
    await node.open_splits()
    history = History(node, seed)
    topic = live_topic(node, no_tick(2))
    async with indexing(topic):
        await history.go(60)
        await until(lambda: topic.ledger_or_none.last.number == len(history.ticks) - 1 and topic.lag == 0)
        assert indexed(topic) == sorted(history.events)
        for asked in KINDS:
            assert shown(topic, *asked) == view(history.ticks, history.events, *asked)

    # Half of the ticks are sealed while the node is down; the rest is live again.
    sealed_number = len(history.ticks) // 2
    sealed = history.ticks[sealed_number]
    totals = topic.ledger_or_none.head(sealed_number).totals
    live = [event for event in history.events if not sealed.emits(event[1], event[2], event[0])]
    starts = tuple(min([o for _, q, o in live if q == p], default=sealed.cut[p]) for p in range(2))
    again = StreamNode(disk)
    history.node = again
    topic = live_topic(again, sealed, totals, starts)
    async with indexing(topic):
        await history.go(10)
        await until(lambda: topic.ledger_or_none.last.number == len(history.ticks) - 1 and topic.lag == 0)
        assert indexed(topic) == sorted(e for e in history.events if not sealed.emits(e[1], e[2], e[0]))
        for asked in KINDS:
            whole = view(history.ticks, history.events, *asked)
            assert shown(topic, *asked) == whole[totals.end_rank(asked[0], asked[1], sealed_number) :]


@pytest.mark.parametrize("is_lagging", [False, True])
async def test_sealing_drops_what_runs_hold_and_moves_no_rank(is_lagging: bool) -> None:
    node = StreamNode(MemoryDisk())
    node.add_topic(schema='{"n": "long"}')
    await node.open_splits()
    history = History(node, 7)
    await history.go(60)
    topic, whole = live_topic(node, no_tick(2)), live_topic(node, no_tick(2))
    async with indexing(whole):
        await until(lambda: whole.ledger_or_none.last.number == len(history.ticks) - 1)
    sealed = history.ticks[len(history.ticks) // 2]
    totals = whole.ledger_or_none.head(sealed.number).totals
    if is_lagging:
        topic.discard(sealed, totals)
    async with indexing(topic):
        await until(lambda: topic.ledger_or_none.last.number == len(history.ticks) - 1 and topic.lag == 0)
        if not is_lagging:
            told = []
            topic.watch_emitted(lambda: told.append(1))
            topic.discard(sealed, totals)
            assert told
        assert indexed(topic) == sorted(e for e in history.events if not sealed.emits(e[1], e[2], e[0]))
        for asked in KINDS:
            expected = view(history.ticks, history.events, *asked)
            assert shown(topic, *asked) == expected[totals.end_rank(asked[0], asked[1], sealed.number) :]


async def test_waiting_ends_when_the_offset_is_indexed_and_values_come_back_as_records() -> None:
    node = StreamNode(MemoryDisk())
    node.add_topic(schema='{"n": "long"}')
    await node.open_splits()
    topic = live_topic(node, no_tick(2))
    partition = topic.partitions[0]
    async with indexing(topic):
        waiting = asyncio.ensure_future(partition.wait_indexed(3))
        await node.append(0, [5, 4, 9], [b'{"n": 1}', b"no json", b'{"n": "x"}'])
        await asyncio.wait_for(waiting, 20)
    assert (partition.lag, partition.not_json_count, partition.event_count) == (0, 1, 3)
    (block,) = partition.snapshot().blocks(ALL_TIME, ("n",))
    assert block.timestamps.tolist() == [4, 5, 9]
    assert block.columns["n"].is_null.tolist() == [True, False, True]
    records = partition.snapshot().records(block.partitions, block.offsets)
    assert [(r.offset, r.timestamp_ms, r.value) for r in records] == [
        (1, 4, b"no json"),
        (0, 5, b'{"n": 1}'),
        (2, 9, b'{"n": "x"}'),
    ]


async def test_waiting_fails_when_the_topic_is_removed_and_afterwards() -> None:
    node = StreamNode(MemoryDisk())
    node.add_topic(schema='{"n": "long"}')
    await node.open_splits()
    topic = live_topic(node, no_tick(2))
    async with indexing(topic) as indexes:
        waiting = asyncio.ensure_future(topic.partitions[0].wait_indexed(1))
        await asyncio.sleep(0)
        indexes.remove(TOPIC, UnknownTopicIdError("gone"))
        with pytest.raises(UnknownTopicIdError):
            await asyncio.wait_for(waiting, 20)
        with pytest.raises(UnknownTopicIdError):
            await asyncio.wait_for(topic.partitions[0].wait_indexed(1), 20)
