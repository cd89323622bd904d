"""Tumbling windows over events in total order: a window's row is given once, when the watermark has passed its end.

A window is [start, start + size) with start = k·size + origin, in integer milliseconds, also before 1970. It is final
when no event below its end can come any more: watermark >= end - 1. A late event never reopens a window; it is counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .aggregates import Accumulator, Aggregate, check, number_or_none
from .errors import BufferFullError, PlanError
from .events import NEVER_MS, Batch, Event, Row, Value

OPEN_WINDOWS_MAX = 5_000_000

Group = tuple[Value, ...]


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
        check(self.aggregates)

    def start_of(self, timestamp_ms: int) -> int:
        return timestamp_ms - (timestamp_ms - self.origin_ms) % self.size_ms


class _Open:
    """One group's numbers in one window."""

    __slots__ = ("accumulators", "count", "first")

    def __init__(self, attributes: Sequence[str], first: Event) -> None:
        self.count = 0
        self.accumulators = [Accumulator() for _ in attributes]
        self.first = first


class TumblingWindows:
    """Owns the open windows of every group; all events at or below `watermark_ms` have been counted."""

    def __init__(self, plan: WindowPlan, *, open_max: int = OPEN_WINDOWS_MAX) -> None:
        self.plan = plan
        self.watermark_ms = NEVER_MS
        self.late_count = 0
        self._attributes = tuple(dict.fromkeys(a.attribute for a in plan.aggregates if a.attribute is not None))
        self._windows: dict[int, dict[Group, _Open]] = {}
        self._open_count = 0
        self._open_max = open_max

    @property
    def open_count(self) -> int:
        """(window, group) pairs that are not final yet."""
        return self._open_count

    def oldest_event_or_none(self) -> Event | None:
        """The first event, in total order, that an open window still needs: a replay from it rebuilds the state."""
        if not self._windows:
            return None
        return min(state.first for state in self._windows[min(self._windows)].values())

    def feed(self, batch: Batch) -> list[Row]:
        """Count the batch; the rows that became final, by (window, group). Raises: BufferFullError."""
        self.late_count += len(batch.late)
        plan, by, attributes = self.plan, self.plan.by, self._attributes
        start, end, window = 0, 0, None
        for event in batch.events:
            at_ms = event[0]
            if window is None or not start <= at_ms < end:
                start = plan.start_of(at_ms)
                end = start + plan.size_ms
                window = self._windows.setdefault(start, {})
            values = event[4]
            group = tuple(map(values.get, by))
            state = window.get(group)
            if state is None:
                state = window[group] = _Open(attributes, event)
                self._open_count += 1
            state.count += 1
            for name, accumulator in zip(attributes, state.accumulators, strict=True):
                number = number_or_none(values, name)
                if number is not None:
                    accumulator.add(number)
        if self._open_count > self._open_max:
            raise BufferFullError(f"{self._open_count} open windows, at most {self._open_max}")
        return self._close(batch.watermark_ms)

    def _close(self, watermark_ms: int) -> list[Row]:
        assert watermark_ms >= self.watermark_ms, f"watermark {watermark_ms} fell below {self.watermark_ms}"
        self.watermark_ms = watermark_ms
        rows: list[Row] = []
        for start in sorted(start for start in self._windows if start + self.plan.size_ms - 1 <= watermark_ms):
            groups = self._windows.pop(start)
            self._open_count -= len(groups)
            rows += [self._row(start, group, groups[group]) for group in sorted(groups, key=_sortable)]
        return rows

    def _row(self, start: int, group: Group, state: _Open) -> Row:
        plan = self.plan
        end = start + plan.size_ms
        values: dict[str, Value] = {"window_start": start, "window_end": end, **dict(zip(plan.by, group, strict=True))}
        numbers = dict(zip(self._attributes, state.accumulators, strict=True))
        for aggregate in plan.aggregates:
            if aggregate.attribute is None:
                values["count"] = state.count
            else:
                shown = numbers[aggregate.attribute].values_of(aggregate)
                values.update(zip(aggregate.columns, shown, strict=True))
        key = "|".join("" if part is None else str(part) for part in group)
        return Row(f"{plan.name}/{start}/{_identity(group)}", key, end - 1, values)


def _sortable(group: Group) -> tuple[tuple[str, str], ...]:
    return tuple((type(part).__name__, str(part)) for part in group)


def _identity(group: Group) -> str:
    """Distinct for distinct groups: 1, "1", null and true differ."""
    return ",".join(f"{type(part).__name__}:{part!s}".replace("\\", "\\\\").replace(",", "\\,") for part in group)
