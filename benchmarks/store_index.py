"""The store's decoding and time index against DuckDB in memory, in one run: `python -m benchmarks.store_index`.

One thread each, the same events (trades with 5 declared attributes), the same answers, which are compared. Ratios are
ours / DuckDB's in events/s and DuckDB's / ours in time per query, so that more is better everywhere. The index holds
decoded numbers and answers one kind of question; DuckDB is a general engine: that is what the ratio is about.
"""

import argparse
import fcntl
import gc
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from store import batches
from store.blocks import Column
from store.events import Record, TimeRange
from store.schema import AttributeDecoder, Schema
from store.time_index import TimeIndex

SCHEMA = Schema.of(
    {"symbol": "string", "price": "double", "qty": "long", "side": "string", "sent": "timestamp"}, ["price", "qty"]
)
NAMES = ("price", "qty")
CHUNK = 1_000
LATE_MEAN_MS = 5_000
EVENTS_PER_MS = 20
SEED = 42


class Events(NamedTuple):
    """In arrival order; offsets count from 0."""

    ts: np.ndarray
    price: np.ndarray
    qty: np.ndarray


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--events", type=int, default=1_000_000)
    options.add_argument("--lock", type=Path, help="hold this file's lock: nobody else measures meanwhile")
    chosen = options.parse_args()
    lock = chosen.lock.open("w") if chosen.lock else None
    if lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
    gc.freeze()
    measure_decoding()
    for late_share in (0.0, 0.01, 0.1):
        measure_index(events_of(chosen.events, late_share), late_share)


def measure_decoding() -> None:
    source = np.random.default_rng(SEED)
    values = [
        json.dumps({
            "symbol": f"SYM{int(symbol)}", "price": round(float(price), 2), "qty": int(qty), "side": "buy",
            "venue": "XNYS", "id": i, "sent": 1_700_000_000_000 + i,
        }).encode()
        for i, (symbol, price, qty) in enumerate(
            zip(source.zipf(1.5, 20 * CHUNK) % 1000, source.random(20 * CHUNK) * 500,
                source.integers(1, 999, 20 * CHUNK), strict=True)
        )
    ]  # fmt: skip
    chunks = [values[at : at + CHUNK] for at in range(0, len(values), CHUNK)]
    built = [batches.build([Record(i, i, b"key", value) for i, value in enumerate(c)], base_offset=0) for c in chunks]
    decoder = AttributeDecoder(SCHEMA)
    found = best(lambda: [batches.positions(batch) for batch in built])
    report("batch -> positions (no JSON)", len(values), found, None)
    # As the index asks: only what inner nodes sum up, here two numbers; and all five attributes.
    for attributes in (NAMES, tuple(SCHEMA.attributes)):
        decoder = AttributeDecoder(Schema.of({name: SCHEMA.attributes[name] for name in attributes}))
        ours = best(lambda decoder=decoder: [decoder.decode(batches.positions(batch).values()) for batch in built])
        types = {"symbol": "VARCHAR", "price": "DOUBLE", "qty": "BIGINT", "side": "VARCHAR", "sent": "BIGINT"}
        wanted = json.dumps({name: types[name] for name in attributes})
        connection = database()
        tables = [pa.table({"value": pa.array([value.decode() for value in chunk])}) for chunk in chunks]

        def theirs(
            tables: list[pa.Table] = tables, wanted: str = wanted, connection: duckdb.DuckDBPyConnection = connection
        ) -> None:
            for chunk in tables:
                connection.register("chunk", chunk)
                connection.execute(f"SELECT unnest(from_json(value, '{wanted}')) FROM chunk").fetchnumpy()

        report(f"batch -> {len(attributes)} attributes", len(values), ours, best(theirs))


def measure_index(events: Events, late_share: float) -> None:
    count = len(events.ts)
    offsets = np.arange(count)

    def insert() -> TimeIndex:
        index = TimeIndex(0, Schema.of({"price": "double", "qty": "long"}, NAMES))
        for at in range(0, count, CHUNK):
            rows = slice(at, at + CHUNK)
            columns = {"price": Column(events.price[rows]), "qty": Column(events.qty[rows])}
            index.insert(events.ts[rows], offsets[rows], columns)
        return index

    ours = best(insert, repeats=2)
    index = insert()
    connection = database()
    connection.execute("CREATE TABLE events (ts BIGINT, o BIGINT, price DOUBLE, qty BIGINT)")
    table = pa.table({"ts": events.ts, "o": offsets, "price": events.price, "qty": events.qty})
    sample = min(count, 100 * CHUNK)

    def insert_there() -> None:
        for at in range(0, sample, CHUNK):
            connection.register("chunk", table.slice(at, CHUNK))
            connection.execute("INSERT INTO events SELECT * FROM chunk")

    # A tenth is enough to know the speed of their inserts; the rest comes in bulk, untimed.
    started = time.perf_counter()
    insert_there()
    theirs = (time.perf_counter() - started) * count / sample
    rest = table.slice(sample)
    connection.register("rest", rest)
    connection.execute("INSERT INTO events SELECT * FROM rest")
    name = f"{late_share:.0%} late"
    report(f"insert, chunks of {CHUNK}, {name}", count, ours, theirs)
    snapshot = index.snapshot()
    source = np.random.default_rng(SEED)
    for share in (0.0001, 0.01, 0.5):
        width = max(1, int(share * (int(events.ts.max()) - int(events.ts.min()))))
        starts = source.integers(int(events.ts.min()), int(events.ts.max()) - width, 30).tolist()
        spans = [TimeRange(first_ms=first, end_ms=first + width) for first in starts]
        mine, here = timed(lambda span: ask(snapshot, span), spans)
        other, there = timed(lambda span: ask_there(connection, span), spans)
        for one, two in zip(mine, there_rows(other), strict=True):
            assert one[:2] == two[:2], f"{one} is not {two}"
            assert abs(one[2] - two[2]) <= 1e-9 * abs(two[2]), f"{one} is not {two}"
        print(
            f"{f'aggregate {share:.2%} of the time, {name}':44}{here * 1e6:10.0f} us   DuckDB {there * 1e6:8.0f} us"
            f"   x {there / here:.1f}"
        )


def ask(snapshot: object, span: TimeRange) -> tuple[int, int, float]:
    summary = snapshot.summary(span, NAMES)
    return summary.count, int(summary.attributes["qty"].total), summary.attributes["price"].total


def ask_there(connection: duckdb.DuckDBPyConnection, span: TimeRange) -> tuple[int, int, float]:
    columns = ", ".join(f"{f}({a})" for a in NAMES for f in ("count", "sum", "min", "max", "first", "last"))
    query = f"SELECT count(*), sum(qty), fsum(price), {columns} FROM events WHERE ts >= ? AND ts < ?"
    return connection.execute(query, [span.first_ms, span.end_ms]).fetchone()


def there_rows(rows: list[tuple[object, ...]]) -> list[tuple[int, int, float]]:
    return [(int(row[0]), int(row[1] or 0), float(row[2] or 0)) for row in rows]


def events_of(count: int, late_share: float) -> Events:
    source = np.random.default_rng(SEED)
    late = np.where(source.random(count) < late_share, source.exponential(LATE_MEAN_MS, count), 0).astype(np.int64)
    ts = 1_700_000_000_000 + np.arange(count) // EVENTS_PER_MS - late
    return Events(ts, source.random(count) * 500, source.integers(1, 1000, count))


def database() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:")
    connection.execute("SET threads = 1")
    return connection


def timed(call: Callable[[TimeRange], object], spans: list[TimeRange]) -> tuple[list[object], float]:
    """(answers, median seconds)."""
    answers: list[object] = []
    seconds: list[float] = []
    for span in spans:
        started = time.perf_counter()
        answers.append(call(span))
        seconds.append(time.perf_counter() - started)
    return answers, statistics.median(seconds)


def best(call: Callable[[], object], repeats: int = 3) -> float:
    seconds: list[float] = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def report(name: str, count: int, ours: float, theirs: float | None) -> None:
    line = f"{name:44}{count / ours / 1e6:10.2f} M/s"
    print(line if theirs is None else f"{line}  DuckDB {count / theirs / 1e6:7.2f} M/s  x {theirs / ours:.1f}")


if __name__ == "__main__":
    main()
