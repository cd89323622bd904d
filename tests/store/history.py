"""Made-up trades with everything that history must keep, and slow answers to compare with."""

from dataclasses import dataclass

import numpy as np
import orjson
import pyarrow as pa

from store.blocks import Block
from store.events import Record
from store.run_format import record_schema
from store.schema import Schema

SCHEMA = Schema.of(
    {"qty": "long", "price": "double", "symbol": "string", "is_buy": "boolean", "at": "timestamp"},
    ["qty", "price", "at"],
)


@dataclass(frozen=True, slots=True)
class Trade:
    """One event and the attributes that its value carries; None is null."""

    timestamp_ms: int
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    qty: int | None
    price: float | None
    symbol: str | None
    is_buy: bool | None
    at: int | None

    @property
    def place(self) -> tuple[int, int, int]:
        return self.timestamp_ms, self.partition, self.offset

    def record(self) -> Record:
        return Record(self.offset, self.timestamp_ms, self.key, self.value, self.headers)


def trades(count: int, *, seed: int, partition_count: int = 3, late_ms: int = 200, step_ms: float = 1.0) -> list[Trade]:
    """In arrival order: dense offsets per partition, timestamps that mostly rise, many of them equal."""
    rng = np.random.default_rng(seed)
    next_offset = [0] * partition_count
    clock = (np.arange(count) * step_ms).astype(np.int64) + 1_700_000_000_000
    delays = np.where(rng.random(count) < 0.2, rng.exponential(max(late_ms, 1), count), 0).astype(np.int64)
    partitions = rng.integers(0, partition_count, count).tolist()
    made: list[Trade] = []
    for ts, partition in zip((clock - delays).tolist(), partitions, strict=True):
        offset = next_offset[partition]
        next_offset[partition] += 1
        made.append(trade(rng, ts, partition, offset))
    return made


def trade(rng: np.random.Generator, ts: int, partition: int, offset: int) -> Trade:
    qty, price, symbol, is_buy, at = (
        int(rng.integers(-(1 << 62), 1 << 62)) if rng.random() < 0.1 else int(rng.integers(-50, 50)),
        float(rng.normal(100, 30)),
        f"S{int(rng.zipf(1.5)) % 23}",
        bool(rng.random() < 0.5),
        ts + int(rng.integers(-5, 5)),
    )
    found = {"qty": qty, "price": price, "symbol": symbol, "is_buy": is_buy, "at": at}
    found = {name: value for name, value in found.items() if rng.random() > 0.07}
    kind = rng.random()
    if kind < 0.02:
        value, found = None, {}
    elif kind < 0.04:
        value, found = b"\xff not json", {}
    else:
        value = orjson.dumps(found)
    headers = (("trace", b"%d" % offset), ("none", None)) if rng.random() < 0.1 else ()
    key = None if rng.random() < 0.1 else (b"\xfe\x00" if rng.random() < 0.05 else f"k{offset % 7}".encode())
    names = ("qty", "price", "symbol", "is_buy", "at")
    return Trade(ts, partition, offset, key, value, headers, *(found.get(name) for name in names))


def in_order(made: list[Trade]) -> list[Trade]:
    return sorted(made, key=lambda event: event.place)


def raw_batch(made: list[Trade]) -> pa.RecordBatch:
    """As a run's writer takes them."""
    headers = [[{"key": key, "value": value} for key, value in event.headers] for event in made]
    count = len(made)
    return pa.RecordBatch.from_pydict(
        {
            "_ts": [event.timestamp_ms for event in made],
            "_partition": [event.partition for event in made],
            "_offset": [event.offset for event in made],
            "_key": [event.key for event in made],
            "_value": [event.value for event in made],
            "_headers": headers,
            "_producer_id": [-1] * count,
            "_producer_epoch": [-1] * count,
            "_sequence": [-1] * count,
            "_leader_epoch": [5] * count,
            "_batch_attributes": [0] * count,
        },
        schema=record_schema(is_late=False),
    )


def places(block: Block) -> list[tuple[int, int, int]]:
    return list(
        zip(block.timestamps.tolist(), block.partitions.tolist(), block.offsets.tolist(), strict=True),
    )


def values_of(block: Block, name: str) -> list[object]:
    column = block.columns[name]
    nulls = [False] * len(column) if column.is_null is None else column.is_null.tolist()
    values = [value if column.words is None else column.words[value] for value in _codes(column)]
    return [None if is_null else value for value, is_null in zip(values, nulls, strict=True)]


def _codes(column):
    nulls = np.zeros(len(column), bool) if column.is_null is None else column.is_null
    if column.words is None:
        return column.values.tolist()
    # A null's code need not be a word.
    column.words or column.words.append("")
    return np.where(nulls, 0, column.values).tolist()
