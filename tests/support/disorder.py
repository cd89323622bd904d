"""A stream with every kind of disorder, and by brute force what each question about it must answer.

Most events are late by up to the lateness, some by much more; many share a millisecond; some have negative or extreme
timestamps, attributes that are null or mistyped, values that are no JSON, keys that are no UTF-8, or nothing at all.
"""

import json
import math
import random
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from store.events import Record

SCHEMA = {"n": "long", "x": "double", "w": "string", "b": "boolean"}
AGGREGATES = ["n", "x"]
NOT_JSON = (b"", b"no json", b"\xff\xfe\x00", b"[1,2]", b'"text"', b"{", b'{"n":1', b"null", b"7")
EXTREMES_MS = (-1, 0, 1, -7, -86_400_000, -(10**15), -(2**62), 2**31)
WORDS = ("a", "b", "c", "d", "é", "日本", "")

Value = int | float | str | bool | None


class Event(NamedTuple):
    """Sorts in the total order: the place is unique."""

    timestamp_ms: int
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    attributes: Mapping[str, Value]

    @property
    def place(self) -> tuple[int, int, int]:
        return self.timestamp_ms, self.partition, self.offset


@dataclass
class Disorder:
    """Makes events from a seed; event time goes on by `step_ms` an event from `start_ms`."""

    seed: int
    start_ms: int
    lateness_ms: int
    partition_count: int
    step_ms: float = 2.0
    has_extremes: bool = True
    events: list[Event] = field(default_factory=list[Event])

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.clock_ms = float(self.start_ms)
        self.ends = [0] * self.partition_count
        self._ordered_count = -1
        self._ordered: list[Event] = []

    def batch(self, partition: int, count: int) -> list[Record]:
        """The next records of a partition; they count as appended at its end."""
        rows: list[Record] = []
        for _ in range(count):
            event = self._event(partition, self.ends[partition])
            self.ends[partition] += 1
            self.events.append(event)
            rows.append(Record(event.offset, event.timestamp_ms, event.key, event.value, event.headers))
        return rows

    @property
    def ordered(self) -> list[Event]:
        if self._ordered_count != len(self.events):
            self._ordered = sorted(self.events, key=lambda event: event.place)
            self._ordered_count = len(self.events)
        return self._ordered

    @property
    def not_json_count(self) -> int:
        return sum(event.value is None or event.value in NOT_JSON for event in self.events)

    def of(self, partition: int) -> list[Event]:
        return [event for event in self.events if event.partition == partition]

    def span(self, *, events_max: int | None = None) -> tuple[int, int]:
        """A random [from, to): mostly between events, sometimes empty, turned round, or far outside."""
        chance, ordered = self.random, self.ordered
        if events_max is not None:
            first = chance.randrange(len(ordered))
            last = min(len(ordered) - 1, first + chance.randint(0, events_max - 1))
            return ordered[first].timestamp_ms, ordered[last].timestamp_ms + chance.randint(0, 2)
        kind = chance.random()
        if kind < 0.03:
            return -(2**63), 2**63 - 1
        if kind < 0.06:
            at = chance.choice(ordered).timestamp_ms
            return at, at + chance.randint(-1, 1)
        ends = [chance.choice(ordered).timestamp_ms + chance.randint(-2, 2) for _ in range(2)]
        if kind < 0.3:
            width = int(10 ** chance.uniform(0, 5))
            return ends[0], ends[0] + width
        return min(ends), max(ends)

    def _event(self, partition: int, offset: int) -> Event:
        chance = self.random
        self.clock_ms += chance.random() * 2 * self.step_ms
        at = int(self.clock_ms)
        kind = chance.random()
        if kind < 0.70:
            at -= int(chance.random() ** 2 * self.lateness_ms)
        elif kind < 0.80:
            at -= int(chance.random() * 20 * self.lateness_ms)  # later than the lateness
        elif kind < 0.90:
            at -= at % 50  # ties
        elif kind < 0.903 and self.has_extremes:
            at = chance.choice(EXTREMES_MS)
        value, attributes = self._value()
        key = chance.choice((None, b"", b"k%d" % chance.randrange(20), b"\xff\x00"))
        headers = tuple((f"h{i}", chance.choice((None, b"", b"x" * i))) for i in range(chance.choice((0, 0, 0, 1, 3))))
        return Event(at, partition, offset, key, value, headers, attributes)

    def _value(self) -> tuple[bytes | None, dict[str, Value]]:
        chance = self.random
        nothing: dict[str, Value] = dict.fromkeys(SCHEMA)
        kind = chance.random()
        if kind < 0.02:
            return chance.choice(NOT_JSON), nothing
        if kind < 0.03:
            return None, nothing
        given: dict[str, object] = {"other": [1, {"n": 2}]}
        read = nothing
        if chance.random() < 0.95:
            given["n"] = read["n"] = chance.choice((chance.randint(-1000, 1000), chance.randint(-(2**63), 2**63 - 1)))
        if chance.random() < 0.95:
            given["x"] = read["x"] = chance.uniform(-1e6, 1e6)
        if chance.random() < 0.9:
            given["w"] = read["w"] = chance.choice(WORDS)
        if chance.random() < 0.5:
            given["b"] = read["b"] = chance.random() < 0.5
        if chance.random() < 0.03:  # mistyped: null
            name = chance.choice(list(SCHEMA))
            given[name], read[name] = ["mistyped"], None
        return json.dumps(given, ensure_ascii=chance.random() < 0.5).encode(), read


# -- what questions must answer


def within(ordered: Sequence[Event], first_ms: int, end_ms: int) -> Sequence[Event]:
    """Of events in total order."""
    first, end = (bisect_left(ordered, ms, key=lambda event: event.timestamp_ms) for ms in (first_ms, end_ms))
    return ordered[first:end]


def aggregated(
    events: Sequence[Event], measures: Sequence[str], *, every_ms: int | None = None, by: Sequence[str] = ()
) -> list[dict[str, Value]]:
    """The rows that an aggregate over these events (in total order) must have."""
    groups: dict[tuple[Value, ...], list[Event]] = {}
    if every_ms is None and not by:
        groups[None,] = list(events)
    else:
        for event in events:
            start = None if every_ms is None else event.timestamp_ms // every_ms * every_ms
            groups.setdefault((start, *(_column(event, name) for name in by)), []).append(event)
    rows: list[dict[str, Value]] = []
    for key in sorted(groups, key=lambda values: [(value is not None, value) for value in values]):
        row: dict[str, Value] = {}
        if every_ms is not None:
            assert isinstance(key[0], int)
            row |= {"window_start": key[0], "window_end": key[0] + every_ms}
        row |= dict(zip(by, key[1:], strict=True))
        columns: dict[str, list[Value]] = {}
        for measure in measures:
            row |= _measured(groups[key], measure, columns)
        rows.append(row)
    return rows


def _column(event: Event, name: str) -> Value:
    return event.partition if name == "_partition" else event.attributes[name]


def _measured(events: Sequence[Event], measure: str, columns: dict[str, list[Value]]) -> dict[str, Value]:
    """`columns` remembers the values of an attribute that are not null, for the next measure of the same events."""
    function, _, rest = measure.partition("(")
    name = rest.removesuffix(")")
    if not name:
        return {"count": len(events)}
    if name not in columns:
        columns[name] = [value for event in events if (value := event.attributes[name]) is not None]
    values = columns[name]
    found: Value = None
    match function:
        case "count":
            found = len(values)
        case "sum" if values:
            found = math.fsum(values) if name == "x" else sum(values)
        case "mean" if values:
            found = math.fsum(values) / len(values) if name == "x" else sum(values) / len(values)
        case "min" | "max" if values:
            found = min(values) if function == "min" else max(values)
        case "first" | "last" if values:
            found = values[0 if function == "first" else -1]
        case "ohlc":
            prices = (values[0], max(values), min(values), values[-1]) if values else (None,) * 4
            return {f"{price}({name})": v for price, v in zip(("open", "high", "low", "close"), prices, strict=True)}
    return {measure: found}


def is_same(got: object, wanted: Value, name: str) -> bool:
    """Sums and means of doubles, and means of integers, within 1e-9 of the greatest part; all else exactly."""
    if isinstance(wanted, float) and isinstance(got, int | float) and name.startswith(("sum", "mean")):
        return math.isclose(got, wanted, rel_tol=1e-9, abs_tol=1e-6)
    return type(got) is type(wanted) and got == wanted
