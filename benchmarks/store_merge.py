"""Merge and runs: the heap of blocks against lexsort and heapq, writing and scanning a run, a merge job.

    python -m benchmarks.store_merge [--events 1000000]

All figures of one run of this program on one machine; compare the ratios, not the absolute numbers.
"""

import argparse
import heapq
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import orjson
import pyarrow as pa

from store.batches import build
from store.blocks import BLOCK_EVENTS, Block
from store.compression import Compression
from store.events import ALL_TIME, Record, TimeRange
from store.manifest import RunKind, TickValue, TotalsValue
from store.merge import merge
from store.merge_job import LogSlice, MergeJob
from store.merge_worker import read_answer
from store.run_format import record_schema
from store.run_writer import write_run
from store.runs import RunFile
from store.schema import Schema
from store.ticks import Tick, no_tick

SCHEMA = Schema.of({"price": "double", "qty": "long", "symbol": "string"}, ["price", "qty"])


def best(work: Callable[[], object], repeats: int = 3) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def sources(count: int, events: int) -> list[Block]:
    """Sorted sources that overlap everywhere, many equal milliseconds."""
    rng = np.random.default_rng(5)
    ts = np.sort(rng.integers(0, events // 20, events))
    owner = rng.integers(0, count, events)
    found = []
    for i in range(count):
        mine = ts[owner == i]
        found.append(Block(mine, np.full(len(mine), i, np.int32), np.arange(len(mine), dtype=np.int64)))
    return found


def blocks_of(block: Block) -> Iterator[Block]:
    for start in range(0, len(block), BLOCK_EVENTS):
        at = slice(start, start + BLOCK_EVENTS)
        yield Block(block.timestamps[at], block.partitions[at], block.offsets[at])


def merge_figures(events: int) -> None:
    print(f"merge of {events:,} events, million events/s")
    for count in (1, 2, 4, 8, 16, 64):
        some = sources(count, events)

        def by_blocks(some: list[Block] = some) -> int:
            return sum(len(block) for block in merge([blocks_of(block) for block in some]))

        def by_lexsort(some: list[Block] = some) -> int:
            columns = [
                np.concatenate([getattr(block, name) for block in some])
                for name in ("offsets", "partitions", "timestamps")
            ]
            order = np.lexsort(columns)
            return len([column[order] for column in columns])

        def by_heapq(some: list[Block] = some) -> int:
            few = max(1, 100_000 // len(some))
            lists = [
                list(
                    zip(
                        *(getattr(block, name)[:few].tolist() for name in ("timestamps", "partitions", "offsets")),
                        strict=True,
                    )
                )
                for block in some
            ]
            start = time.perf_counter()
            merged = sum(1 for _ in heapq.merge(*lists))
            return round(merged / (time.perf_counter() - start))

        blocks, lexsort, per_event = events / best(by_blocks), events / best(by_lexsort), by_heapq()
        print(
            f"  N={count:3}: block heap {blocks / 1e6:7.1f}   lexsort {lexsort / 1e6:6.1f}"
            f"   heapq {per_event / 1e6:5.2f}",
            end="",
        )
        print(f"   heap/lexsort {blocks / lexsort:5.2f}   heap/heapq {blocks / per_event:6.1f}")


def trades(events: int) -> list[Record]:
    rng = np.random.default_rng(7)
    ts = np.sort(rng.integers(0, events // 20, events)) - (rng.random(events) < 0.01) * rng.integers(0, 5000, events)
    symbols = rng.zipf(1.3, events) % 1000
    prices, quantities = np.round(rng.normal(100, 20, events), 4), rng.integers(1, 1000, events)
    return [
        Record(i, t, b"%d" % s, orjson.dumps({"symbol": f"SYM{s}", "price": p, "qty": q, "venue": "XNAS", "id": i}))
        for i, (t, s, p, q) in enumerate(
            zip((ts + 10_000).tolist(), symbols.tolist(), prices.tolist(), quantities.tolist(), strict=True)
        )
    ]


def run_figures(folder: Path, records: list[Record]) -> None:
    ordered = sorted(records, key=lambda record: (record.timestamp_ms, record.offset))
    count = len(ordered)
    columns = [
        pa.array([record.timestamp_ms for record in ordered]).cast(pa.timestamp("ms", "UTC")),
        pa.array(np.zeros(count, np.int32)),
        pa.array([record.offset for record in ordered]),
        pa.array([record.key for record in ordered], pa.binary()),
        pa.array([record.value for record in ordered], pa.binary()),
        pa.array([[]] * count, record_schema(is_late=False).field("_headers").type),
        *(pa.array(np.full(count, -1, kind)) for kind in (np.int64, np.int16, np.int32, np.int32, np.int16)),
    ]
    batch = pa.RecordBatch.from_arrays(columns, schema=record_schema(is_late=False))
    path = folder / "main.parquet"
    start = time.perf_counter()
    description = write_run(path, RunKind.MAIN, SCHEMA, [batch])
    wrote = time.perf_counter() - start
    run = RunFile(path, description)
    size = sum(len(record.value or b"") + len(record.key or b"") for record in ordered)
    print(
        f"run of {count:,} events, key and value {size / count:.0f} B, on disk {description.size_bytes / count:.1f} B"
    )
    print(f"  write (decode JSON, digest, Parquet, fsync) {count / wrote / 1e6:6.2f} M events/s")
    scans = {
        "keys only": lambda: sum(map(len, run.blocks(ALL_TIME, []))),
        "two numbers": lambda: sum(map(len, run.blocks(ALL_TIME, ["price", "qty"]))),
        "numbers and a word": lambda: sum(map(len, run.blocks(ALL_TIME, ["price", "qty", "symbol"]))),
        "whole rows as arrow": lambda: sum(table.num_rows for table in run.raw_groups()),
    }
    for name, scan in scans.items():
        print(f"  scan {name:20} {count / best(scan, 2) / 1e6:6.2f} M events/s")
    rng = np.random.default_rng(1)
    span = run.span
    starts = rng.integers(span.first_ms, span.end_ms, 200).tolist()
    for share in (0.01, 0.5):
        width = int((span.end_ms - span.first_ms) * share)

        def ranges(width: int = width) -> None:
            for start in starts:
                run.summary(TimeRange(first_ms=start, end_ms=start + width), ["price", "qty"])

        print(
            f"  range aggregate over {share:4.0%}   {best(ranges, 2) / len(starts) * 1e6:8.0f} us (edges mostly cached)"
        )


def job_figures(folder: Path, records: list[Record], codec: Compression) -> None:
    partition_count = 4
    logs: list[list[Record]] = [[] for _ in range(partition_count)]
    for i, record in enumerate(records):
        log = logs[i % partition_count]
        log.append(record._replace(offset=len(log)))
    path, slices = folder / "segment.log", []
    with path.open("wb") as file:
        for start in range(0, max(map(len, logs)), 500):
            for partition, log in enumerate(logs):
                if some := log[start : start + 500]:
                    data = build(some, base_offset=start, compression=codec)
                    slices.append(LogSlice(str(path), file.tell(), len(data), partition, start))
                    file.write(data)
    ends = [len(log) for log in logs]
    last = max(record.timestamp_ms for record in records)
    ticks = [Tick(1, last // 2, tuple(end * 55 // 100 for end in ends)), Tick(2, last, tuple(ends))]
    nothing = TotalsValue(*([0] * partition_count for _ in range(3)))
    job = MergeJob(
        topic_id=bytes(16),
        number=1,
        version=1,
        slices=slices,
        first_offsets=[0] * partition_count,
        end_offsets=ends,
        boundary=TickValue.of(no_tick(partition_count)),
        totals_before=nothing,
        ticks=[TickValue.of(tick) for tick in ticks],
        schema_text=SCHEMA.schema_text(),
        aggregates_text=SCHEMA.aggregates_text(),
        folder=str(folder / codec.name),
    )
    assert msgspec.msgpack.decode(job.pack())
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "store.merge_worker"], input=job.pack(), capture_output=True, check=False
    )
    seconds = time.perf_counter() - start
    manifest = read_answer(done.stdout, done.returncode)
    log_mib, rows = path.stat().st_size / 2**20, [run.row_count for run in manifest.runs]
    print(f"merge job in its process, {log_mib:.0f} MiB of log ({codec.name.lower()}), runs of {rows} rows:")
    print(f"  {seconds:.1f} s, {manifest.row_count / seconds / 1e6:.2f} M events/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--job-events", type=int, default=300_000)
    asked = parser.parse_args()
    merge_figures(asked.events)
    records = trades(asked.job_events)
    with tempfile.TemporaryDirectory() as folder:
        run_figures(Path(folder), records)
        for codec in (Compression.NONE, Compression.ZSTD):
            job_figures(Path(folder), records, codec)


if __name__ == "__main__":
    main()
