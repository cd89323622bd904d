"""Answers aggregate questions: chooses nodes or scans for each source, folds both into groups, fills, lays out rows.

Nodes (`Source.summary`) answer where nothing but whole events of a span counts: no condition, no `by`, every measured
attribute with aggregates in inner nodes, and windows of more than NODE_WINDOW_EVENTS events on average. All else is a
scan of columns. Under `complete=watermark` a live source with late events that no tick has emitted yet is scanned.

Rows are ordered by window, then by the group's values, null first. A window that a fill adds has count 0.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from .aggregates import Value
from .blocks import BLOCK_EVENTS, Source
from .conditions import Conditions, type_of
from .errors import InvalidQueryError, QueryTooLargeError
from .events import TIMESTAMP_MS_MAX, TIMESTAMP_MS_MIN, TimeRange
from .groups import GROUPS_MAX, AttributeGroups, Grouping, GroupKey, Groups
from .queries import AggregateQuery, Complete, Fill, Function, Measure
from .reading import Reading, common, data_span
from .schema import AttributeType

NODE_WINDOW_EVENTS: Final = 2 * BLOCK_EVENTS
NUMBERS: Final = frozenset((AttributeType.LONG, AttributeType.DOUBLE, AttributeType.TIMESTAMP))
PRICES: Final = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class AggregateColumn:
    """One column of the answer; windows, counts and partitions are long."""

    name: str
    kind: AttributeType
    values: Sequence[Value | None]


@dataclass(frozen=True, slots=True)
class AggregateRows:
    """The answer as columns of equal length in the asked order; `is_unsettled` None if only finals were asked for."""

    columns: Sequence[AggregateColumn]
    is_unsettled: Sequence[bool] | None


def aggregate(reading: Reading, query: AggregateQuery) -> AggregateRows:
    """Raises: InvalidQueryError, QueryTooLargeError."""
    kinds = _checked(reading, query)
    conditions = Conditions(query.conditions, reading.schema)
    groups = Groups(kinds)
    plan = _Plan(reading, query, conditions, groups, list(kinds))
    span = reading.wanted_span(query.span, query.complete)
    for source in reading.sources_in(span):
        plan.fold(source, common(span, source.span))
    if query.every_ms is None and not query.by:
        groups.number_of((None,))
    keys = plan.filled(span)
    return AggregateRows(_columns(reading, query, groups, kinds, keys), plan.unsettled(keys, query.span))


def column_names(query: AggregateQuery) -> list[str]:
    """The columns of the answer in order, without the mark of unsettled rows."""
    windows = [] if query.every_ms is None else ["window_start", "window_end"]
    return [*windows, *query.by, *(name for measure in query.measures for name in measure_names(measure))]


def measure_names(measure: Measure) -> list[str]:
    match measure.function:
        case Function.OHLC:
            return [f"{price}({measure.attribute})" for price in PRICES]
        case Function.COUNT if measure.attribute is None:
            return ["count"]
        case _:
            return [f"{measure.function}({measure.attribute})"]


@dataclass(slots=True)
class Row:
    """One row of the answer: its key, the group it shows (None: a filled one), the group before it to fill from."""

    key: GroupKey
    number: int | None
    previous: int | None = None


@dataclass(slots=True)
class _Plan:
    reading: Reading
    query: AggregateQuery
    conditions: Conditions
    groups: Groups
    names: Sequence[str]
    late_windows: set[int | None] = field(default_factory=set[int | None])

    @property
    def grouping(self) -> Grouping:
        return Grouping(self.groups, self.query.every_ms, self.query.origin_ms, self.query.by)

    def fold(self, source: Source, span: TimeRange) -> None:
        is_final_only = self.query.complete is Complete.WATERMARK and not source.is_historic
        if is_final_only:
            if self.reading.tick is None:
                return
            span = common(span, TimeRange(end_ms=self.reading.tick.watermark_ms + 1))
            if span.is_empty:
                return
        has_late = self._note_unsettled(source, span)
        if self._has_nodes() and self._is_dense(source, span) and not (is_final_only and has_late):
            self._fold_nodes(source, span)
        else:
            self._fold_scan(source, span)

    def filled(self, span: TimeRange) -> list[Row]:
        """The rows of the answer in order."""
        keys = self.groups.keys
        order = sorted(range(len(keys)), key=lambda number: _sort_key(keys[number]))
        rows = [Row(keys[number], number) for number in order]
        every_ms = self.query.every_ms
        if self.query.fill is Fill.NONE or every_ms is None or not rows:
            return rows
        starts = self._windows(span)
        members = sorted({key[1:] for key in keys}, key=_sort_key)
        if len(starts) * len(members) > GROUPS_MAX:
            raise QueryTooLargeError(f"{len(starts)} windows of {len(members)} groups, at most {GROUPS_MAX} rows")
        numbers = {key: number for number, key in enumerate(keys)}
        previous: dict[GroupKey, int] = {}
        rows = list[Row]()
        for start in starts:
            for member in members:
                key = (start, *member)
                number = numbers.get(key)
                rows.append(Row(key, number, previous.get(member)))
                if number is not None:
                    previous[member] = number
        return rows

    def unsettled(self, rows: Sequence[Row], span: TimeRange) -> list[bool] | None:
        """Which rows are not final: their span passes the watermark, or they hold what no tick has emitted."""
        if self.query.complete is Complete.WATERMARK:
            return None
        tick = self.reading.tick
        settled_ms = TIMESTAMP_MS_MIN if tick is None else tick.watermark_ms
        marks: list[bool] = []
        for row in rows:
            start = row.key[0]
            end_ms = span.end_ms if self.query.every_ms is None else min(span.end_ms, self._end(start))
            marks.append(end_ms - 1 > settled_ms or start in self.late_windows)
        return marks

    def _end(self, start: object) -> int:
        assert isinstance(start, int), "a window has a start"
        assert self.query.every_ms is not None, "windows have a length"
        return start + self.query.every_ms

    def _windows(self, span: TimeRange) -> range:
        """Every window from the first to the last of the span; where the span is open, of the data."""
        every_ms = self.query.every_ms
        assert every_ms is not None, "windows have a length"
        data = data_span(self.reading.sources_in(span))
        asked = self.query.span
        first_ms = data.first_ms if asked.first_ms == TIMESTAMP_MS_MIN else asked.first_ms
        end_ms = data.end_ms if asked.end_ms == TIMESTAMP_MS_MAX else min(asked.end_ms, span.end_ms)
        grouping = self.grouping
        return range(grouping.window_of(first_ms), grouping.window_of(max(first_ms, end_ms - 1)) + 1, every_ms)

    def _has_nodes(self) -> bool:
        known = () if self.reading.schema is None else self.reading.schema.aggregates
        return not self.conditions and not self.query.by and all(name in known for name in self.names)

    def _is_dense(self, source: Source, span: TimeRange) -> bool:
        """Windows are so full that asking nodes for each is cheaper than a scan."""
        if self.query.every_ms is None:
            return True
        whole = source.span
        share = (span.end_ms - span.first_ms) / (whole.end_ms - whole.first_ms)
        windows = (span.end_ms - span.first_ms) // self.query.every_ms + 1
        return source.count * share >= NODE_WINDOW_EVENTS * windows

    def _fold_nodes(self, source: Source, span: TimeRange) -> None:
        for key, part in self._parts(span):
            self.reading.counts.windows += key is not None
            summary = self.reading.summary(source, part, self.names)
            if summary.count:
                self.groups.fold_summary(self.groups.number_of((key,)), summary.count, summary.attributes)

    def _parts(self, span: TimeRange) -> Iterator[tuple[int | None, TimeRange]]:
        every_ms = self.query.every_ms
        if every_ms is None:
            yield None, span
            return
        for start in range(self.grouping.window_of(span.first_ms), span.end_ms, every_ms):
            yield start, common(span, TimeRange(first_ms=start, end_ms=start + every_ms))

    def _fold_scan(self, source: Source, span: TimeRange) -> None:
        names = [*self.names, *(name for name in self.query.by if name != "_partition")]
        grouping = self.grouping
        for block in self.reading.scan(source, span, names, self.conditions, self.query.complete):
            self.groups.fold_block(block, grouping.numbers_of(block))

    def _note_unsettled(self, source: Source, span: TimeRange) -> bool:
        """Remember the windows of events at or below the watermark that no tick has emitted; True if there are any."""
        if source.is_historic or self.reading.tick is None:
            return False
        has_any = False
        grouping = self.grouping
        for block in self.reading.unsettled_below(source, span):
            has_any = True
            if self.query.complete is Complete.WATERMARK:
                break
            if self.query.every_ms is None:
                self.late_windows.add(None)
            else:
                self.late_windows.update(grouping.window_of(ts) for ts in block.timestamps.tolist())
        return has_any


def _checked(reading: Reading, query: AggregateQuery) -> dict[str, AttributeType]:
    """The measured attributes with their types. Raises: InvalidQueryError."""
    if query.every_ms is not None and query.every_ms <= 0:
        raise InvalidQueryError(f"windows of {query.every_ms} ms")
    if query.fill is not Fill.NONE and query.every_ms is None:
        raise InvalidQueryError("only windows can be filled: set every")
    if not query.measures:
        raise InvalidQueryError("no aggregate is asked for")
    for name in query.by:
        if type_of(name, reading.schema) is AttributeType.DOUBLE or name in {"_ts", "_offset"}:
            raise InvalidQueryError(f"cannot group by {name}: only by text, boolean, long, timestamp or _partition")
    kinds: dict[str, AttributeType] = {}
    for measure in query.measures:
        function, name = measure.function, measure.attribute
        if name is None:
            if function is not Function.COUNT:
                raise InvalidQueryError(f"{function} needs an attribute")
            continue
        kind = type_of(name, reading.schema)
        if name.startswith("_"):
            raise InvalidQueryError(f"{function}({name}): {name} is no attribute")
        needs_number = function not in {Function.COUNT, Function.FIRST, Function.LAST}
        if (needs_number and kind not in NUMBERS) or (function is Function.SUM and kind is AttributeType.TIMESTAMP):
            raise InvalidQueryError(f"{function}({name}): {name} is a {kind.value}")
        kinds[name] = kind
    names = column_names(query)
    if len(set(names)) != len(names):
        raise InvalidQueryError(f"a column is asked for twice: {', '.join(names)}")
    return kinds


def _columns(
    reading: Reading, query: AggregateQuery, groups: Groups, kinds: Mapping[str, AttributeType], rows: Sequence[Row]
) -> list[AggregateColumn]:
    columns: list[AggregateColumn] = []
    if query.every_ms is not None:
        starts = [row.key[0] for row in rows]
        ends = [start + query.every_ms for start in starts if isinstance(start, int)]
        columns.append(AggregateColumn("window_start", AttributeType.LONG, _values(starts)))
        columns.append(AggregateColumn("window_end", AttributeType.LONG, ends))
    for i, name in enumerate(query.by, 1):
        kind = type_of(name, reading.schema)
        columns.append(AggregateColumn(name, kind, _values([row.key[i] for row in rows])))
    for measure in query.measures:
        columns += _measure_columns(measure, groups, kinds, rows, query.fill)
    return columns


def _measure_columns(
    measure: Measure, groups: Groups, kinds: Mapping[str, AttributeType], rows: Sequence[Row], fill: Fill
) -> list[AggregateColumn]:
    name = measure.attribute
    if name is None:
        counts = groups.counts
        values = [0 if row.number is None else int(counts[row.number]) for row in rows]
        return [AggregateColumn("count", AttributeType.LONG, values)]
    attribute = groups.attributes[name]
    attribute.reserve(len(groups))
    functions = (
        (Function.FIRST, Function.MAX, Function.MIN, Function.LAST)
        if measure.function is Function.OHLC
        else (measure.function,)
    )
    return [
        AggregateColumn(
            column, _kind_of(function, kinds[name]), [_cell(attribute, function, row, fill) for row in rows]
        )
        for column, function in zip(measure_names(measure), functions, strict=True)
    ]


def _cell(attribute: AttributeGroups, function: Function, row: Row, fill: Fill) -> Value | None:
    if row.number is not None:
        return _value(attribute, function, row.number)
    if function is Function.COUNT:
        return 0
    match fill:
        case Fill.PREVIOUS:
            return None if row.previous is None else _value(attribute, function, row.previous)
        case Fill.ZERO:
            is_number = attribute.kind in NUMBERS
            is_double = attribute.kind is AttributeType.DOUBLE or function is Function.MEAN
            return (0.0 if is_double else 0) if is_number else None
        case Fill.NONE | Fill.NULL:
            return None


def _value(attribute: AttributeGroups, function: Function, number: int) -> Value | None:
    count = int(attribute.counts[number])
    if function is Function.COUNT:
        return count
    if count == 0:
        return None
    match function:
        case Function.SUM:
            return attribute.total(number)
        case Function.MEAN:
            return attribute.total(number) / count
        case Function.MIN:
            return attribute.least(number)
        case Function.MAX:
            return attribute.greatest(number)
        case Function.FIRST:
            return attribute.first(number)
        case Function.LAST:
            return attribute.last(number)
        case Function.OHLC:
            raise AssertionError("ohlc is four functions")


def _kind_of(function: Function, kind: AttributeType) -> AttributeType:
    match function:
        case Function.COUNT:
            return AttributeType.LONG
        case Function.MEAN:
            return AttributeType.DOUBLE
        case _:
            return kind


def _values(stored: Sequence[object]) -> list[Value | None]:
    return [value if isinstance(value, int | float | str | bool) else None for value in stored]


def _sort_key(key: GroupKey) -> tuple[tuple[bool, object], ...]:
    return tuple((value is not None, value if value is not None else 0) for value in key)
