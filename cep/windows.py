"""Tumbling windows over events in total order: a window's row is given once, when the watermark has passed its end.

A window is [start, start + size) with start = k·size + origin, in integer milliseconds, also before 1970. It is final
when no event below its end can come any more: watermark >= end - 1. A late event never reopens a window; it is counted.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import cast

from .aggregates import Accumulator, Aggregate, check, needs_total, numbers_of
from .errors import BufferFullError, PlanError
from .events import NEVER_MS, Attributes, Batch, Event, Row, Value

OPEN_WINDOWS_MAX = 5_000_000
WINDOW_COLUMNS = ("window_start", "window_end")


class Truth(Enum):
    """A boolean as part of a group: Python takes true for 1 otherwise."""

    FALSE = False
    TRUE = True


Part = str | int | float | Truth | None
Group = tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowPlan:
    """What is computed; `name` makes row ids unique among the results of an app."""

    name: str
    size_ms: int
    aggregates: tuple[Aggregate, ...]
    by: tuple[str, ...] = ()
    origin_ms: int = 0

    def __post_init__(self) -> None:
        if self.size_ms <= 0:
            raise PlanError(f"a window of {self.size_ms} ms, must be positive")
        check(self.aggregates, (*WINDOW_COLUMNS, *self.by))

    def start_of(self, timestamp_ms: int) -> int:
        return timestamp_ms - (timestamp_ms - self.origin_ms) % self.size_ms


class _Open:
    """One group's numbers in one window."""

    __slots__ = ("accumulators", "count")

    def __init__(self, totals: Sequence[bool]) -> None:
        self.count = 0
        self.accumulators = [Accumulator(has_total=has_total) for has_total in totals]


@dataclass(slots=True)
class _Window:
    """`first_ms`: its first event's time; the groups follow in the order of their first events."""

    first_ms: int
    groups: dict[Group, _Open]


class TumblingWindows:
    """Owns the open windows of every group; all events at or below `watermark_ms` have been counted."""

    def __init__(self, plan: WindowPlan, *, open_max: int = OPEN_WINDOWS_MAX) -> None:
        self.plan = plan
        self.watermark_ms = NEVER_MS
        self.late_count = 0
        self._attributes = tuple(dict.fromkeys(a.attribute for a in plan.aggregates if a.attribute is not None))
        self._totals = [needs_total(plan.aggregates, name) for name in self._attributes]
        self._windows: dict[int, _Window] = {}
        self._open_count = 0
        self._open_max = open_max

    @property
    def open_count(self) -> int:
        """(window, group) pairs that are not final yet."""
        return self._open_count

    @property
    def needed_ms_or_none(self) -> int | None:
        """The time of the first event that an open window still needs: a replay from it rebuilds the state."""
        return self._windows[min(self._windows)].first_ms if self._windows else None

    def feed(self, batch: Batch) -> list[Row]:
        """Count the batch; the rows that became final, by (window, group). Raises: BufferFullError."""
        self.late_count += len(batch.late)
        events = batch.events
        begin = 0
        while begin < len(events):
            first_ms = events[begin][0]
            start = self.plan.start_of(first_ms)
            end = bisect_left(events, (start + self.plan.size_ms,), begin)
            window = self._windows.get(start)
            if window is None:
                window = self._windows[start] = _Window(first_ms, {})
            self._count(window.groups, events if end - begin == len(events) else events[begin:end])
            begin = end
        if self._open_count > self._open_max:
            raise BufferFullError(f"{self._open_count} open windows, at most {self._open_max}")
        return self._close(batch.watermark_ms)

    def _count(self, groups: dict[Group, _Open], events: Sequence[Event]) -> None:
        """Events of one window: first put together by group, then counted a group at a time."""
        for group, found in _by_group(events, self.plan.by).items():
            state = groups.get(group)
            if state is None:
                state = groups[group] = _Open(self._totals)
                self._open_count += 1
            state.count += len(found)
            for name, accumulator in zip(self._attributes, state.accumulators, strict=True):
                accumulator.add(numbers_of(found, name))

    def _close(self, watermark_ms: int) -> list[Row]:
        assert watermark_ms >= self.watermark_ms, f"watermark {watermark_ms} fell below {self.watermark_ms}"
        self.watermark_ms = watermark_ms
        rows: list[Row] = []
        for start in sorted(start for start in self._windows if start + self.plan.size_ms - 1 <= watermark_ms):
            groups = self._windows.pop(start).groups
            self._open_count -= len(groups)
            rows += [self._row(start, group, groups[group]) for group in sorted(groups, key=_sortable)]
        return rows

    def _row(self, start: int, group: Group, state: _Open) -> Row:
        plan = self.plan
        end = start + plan.size_ms
        shown_group = [_value(part) for part in group]
        values: dict[str, Value] = {"window_start": start, "window_end": end}
        values.update(zip(plan.by, shown_group, strict=True))
        numbers = dict(zip(self._attributes, state.accumulators, strict=True))
        for aggregate in plan.aggregates:
            if aggregate.attribute is None:
                values["count"] = state.count
            else:
                shown = numbers[aggregate.attribute].values_of(aggregate)
                values.update(zip(aggregate.columns, shown, strict=True))
        key = "|".join("" if part is None else str(part) for part in shown_group)
        return Row(f"{plan.name}/{start}/{_identity(shown_group)}", key, end - 1, values)


def _by_group(events: Sequence[Event], by: Sequence[str]) -> dict[Group, list[Attributes]]:
    """The attributes of the events of each group, in event order."""
    if not by:
        return {(): [event[4] for event in events]}
    if len(by) > 1:
        several: defaultdict[Group, list[Attributes]] = defaultdict(list)
        for event in events:
            values = event[4]
            several[tuple(_part(values.get(name)) for name in by)].append(values)
        return several
    name = by[0]
    single: defaultdict[Part, list[Attributes]] = defaultdict(list)
    for event in events:
        values = event[4]
        part = values.get(name)
        single[part if part.__class__ is str else _part(part)].append(values)
    return {(part,): found for part, found in single.items()}


def _part(value: object) -> Part:
    """Lists and objects are no values: null, as the store sees them."""
    if isinstance(value, bool):
        return Truth(value)
    return cast("Part", value) if isinstance(value, str | int | float) else None


def _value(part: Part) -> Value:
    return part is Truth.TRUE if isinstance(part, Truth) else part


def _sortable(group: Group) -> tuple[tuple[str, str], ...]:
    return tuple((type(value).__name__, str(value)) for value in map(_value, group))


def _identity(group: Sequence[Value]) -> str:
    """Distinct for distinct groups: 1, "1", null and true differ."""
    return ",".join(f"{type(part).__name__}:{part!s}".replace("\\", "\\\\").replace(",", "\\,") for part in group)
