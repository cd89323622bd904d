"""The live side alone, on one node in memory: `python -m benchmarks.live_index [--events 1000000] [--record 120]`.

Rows: log -> live index (decode JSON, insert), the longest turn of the loop meanwhile, a tick's emission, a view read,
and dropping everything that was sealed. The base is the same log decoded without an index, in the same run.
"""

import argparse
import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

import anyio

from sharding.commands.ticks import Tick as TickCommand
from sharding.live import LiveIndexes, LivePartition, LiveTopic
from sharding.timekeeper import tick_of
from sharding.views.stretches import emitted, records_of
from store.emission import ViewKind, empty_ledger
from store.schema import Schema
from store.ticks import Tick, no_tick
from tests.support.memory_group import MemoryDisk
from tests.support.stream_node import TOPIC, StreamNode

SCHEMA = Schema.of({"price": "double", "size": "long", "symbol": "string"}, ["price", "size"])
PARTITIONS = 4
BATCH = 1000
TICK_EVENTS = 20_000
PAUSE_S = 0.001
T = TypeVar("T")


def value(number: int, size: int) -> bytes:
    head = b'{"price":%d.25,"size":%d,"symbol":"S%d","note":"' % (number % 500, number % 90, number % 300)
    return head + b"x" * max(0, size - len(head) - 2) + b'"}'


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--record", type=int, default=120)
    asked = parser.parse_args()
    node = StreamNode(MemoryDisk())
    node.add_topic(PARTITIONS, schema=SCHEMA.schema_text())
    await node.open_splits()
    chance, ends, before = random.Random(1), [0] * PARTITIONS, no_tick(PARTITIONS)
    for first in range(0, asked.events, BATCH):
        p = first // BATCH % PARTITIONS
        times = [n // 20 - (chance.random() < 0.01) * chance.randint(0, 5000) for n in range(first, first + BATCH)]
        await node.append(p, times, [value(n, asked.record) for n in range(first, first + BATCH)])
        ends[p] += BATCH
        if (first + BATCH) % TICK_EVENTS == 0:
            before = Tick(before.number + 1, max(before.watermark_ms + 1, first // 20 - 100), tuple(ends))
            await node.shard.submit(TickCommand(TOPIC, before.number, before.watermark_ms, tuple(ends), 0))
    ticks = {tick.number: tick_of(tick) for tick in node.newest_split(TOPIC, 0).ticks}

    def partition(index: int) -> LivePartition:
        return LivePartition(node.log(index), index, SCHEMA, start_offset=0, sealed=no_tick(PARTITIONS))

    base_s = timed(lambda: decode_all(partition(0)))[0] * PARTITIONS
    live = LiveTopic(TOPIC, [partition(p) for p in range(PARTITIONS)], ticks.get, empty_ledger(PARTITIONS))
    indexes = LiveIndexes(monotonic=time.monotonic, limiter=anyio.CapacityLimiter(2), logger=logging.getLogger("bench"))
    indexes.add(live)
    start = time.perf_counter()
    task = asyncio.ensure_future(indexes.run())
    longest = 0.0
    ledger = live.ledger_or_none
    assert ledger is not None
    while live.lag or ledger.last.number < before.number:
        turn = time.perf_counter()
        await asyncio.sleep(PAUSE_S)
        longest = max(longest, time.perf_counter() - turn - PAUSE_S)
    index_s = time.perf_counter() - start
    task.cancel()
    print(f"decode alone      {asked.events / base_s:12,.0f} events/s")
    print(f"decode and index  {asked.events / index_s:12,.0f} events/s ({base_s / index_s:.2f} of decoding alone)")
    print(f"longest turn of the loop while indexing {longest * 1000:.1f} ms")
    stretch = live.stretch()
    end = ledger.end_rank(ViewKind.TIME, 0)
    view_s, count = timed(
        lambda: sum(len(records_of(stretch, e)) for e in emitted(stretch, ViewKind.TIME, 0, end - 50_000, end))
    )
    print(f"view read         {count / view_s:12,.0f} records/s")
    seal_s, _ = timed(lambda: live.discard(before, ledger.totals))
    print(f"dropping {asked.events:,} sealed events in one callback {seal_s * 1000:.1f} ms")


def decode_all(partition: LivePartition) -> None:
    while chunk := partition.next_chunk():
        partition.indexed_offset = partition.decode(chunk).end_offset


def timed(work: Callable[[], T]) -> tuple[float, T]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


if __name__ == "__main__":
    asyncio.run(main())
