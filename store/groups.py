"""Aggregates per window and group, as columns that grow: what scans and summaries are folded into.

A group is a key: (window start or None, value of each `by` column). Sums of long and timestamp are two int64 columns,
high and low 32 bits, hence exact; sums of double are pairs (sum, error) fed from 80-bit partial sums. First and last
are by the whole place (timestamp, partition, offset), so sources may be folded in any order.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from .aggregates import AttributeSummary, Edge, Value
from .blocks import Block, BoolArray, Column, Int64Array
from .errors import QueryTooLargeError
from .schema import AttributeType

GROUPS_MAX: Final = 1_000_000
LOW_BITS: Final = 32
LOW_MASK: Final = (1 << LOW_BITS) - 1

GroupKey = tuple[Hashable, ...]
Rows = NDArray[np.intp]
Scalar = TypeVar("Scalar", bound=np.generic)
Place3 = tuple[Int64Array, Int64Array, Int64Array]


class Groups:
    """The groups met so far, numbered as they come, with their counts and the aggregates of each measured attribute."""

    def __init__(self, kinds: Mapping[str, AttributeType]) -> None:
        self._numbers: dict[GroupKey, int] = {}
        self._counts = np.zeros(16, np.int64)
        self.attributes = {name: AttributeGroups(kind) for name, kind in kinds.items()}

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def keys(self) -> list[GroupKey]:
        return list(self._numbers)

    @property
    def counts(self) -> Int64Array:
        return self._counts[: len(self)]

    def number_of(self, key: GroupKey) -> int:
        """Raises: QueryTooLargeError."""
        number = self._numbers.setdefault(key, len(self._numbers))
        if number >= GROUPS_MAX:
            raise QueryTooLargeError(f"more than {GROUPS_MAX} groups: ask for longer windows or a shorter span")
        if number >= len(self._counts):
            self._counts = _grown(self._counts, number)
        return number

    def fold_block(self, block: Block, numbers: Int64Array) -> None:
        """Add events in total order, each to the group of its number."""
        order = None if bool((numbers[1:] >= numbers[:-1]).all()) else np.argsort(numbers, kind="stable")
        in_order = numbers if order is None else numbers[order]
        starts = _starts(in_order)
        self._counts[in_order[starts]] += np.diff(starts, append=len(in_order))
        for name, groups in self.attributes.items():
            groups.reserve(len(self))
            groups.fold(block, block.columns[name], in_order, order)

    def fold_summary(self, number: int, count: int, attributes: Mapping[str, AttributeSummary]) -> None:
        self._counts[number] += count
        for name, groups in self.attributes.items():
            groups.reserve(len(self))
            groups.fold_summary(number, attributes[name])


class AttributeGroups:
    """One attribute's non-null values by group. Words get numbers here, so that every source's words are the same."""

    def __init__(self, kind: AttributeType) -> None:
        self.kind = kind
        self._is_double = kind is AttributeType.DOUBLE
        dtype = np.dtype(np.float64) if self._is_double else np.dtype(np.int64)
        self._numbers: dict[str, int] = {}
        self._words: list[str] = []
        self.counts = np.zeros(16, np.int64)
        self._high, self._low = np.zeros(16, np.int64), np.zeros(16, np.int64)
        self._sums, self._errors = np.zeros(16, np.float64), np.zeros(16, np.float64)
        self._min: NDArray[np.generic] = np.zeros(16, dtype)
        self._max: NDArray[np.generic] = np.zeros(16, dtype)
        self._first = _Edges(dtype)
        self._last = _Edges(dtype)

    def reserve(self, count: int) -> None:
        if count > len(self.counts):
            self.counts = _grown(self.counts, count)
            self._high, self._low = _grown(self._high, count), _grown(self._low, count)
            self._sums, self._errors = _grown(self._sums, count), _grown(self._errors, count)
            self._min, self._max = _grown(self._min, count), _grown(self._max, count)
            self._first.reserve(count)
            self._last.reserve(count)

    def fold(self, block: Block, column: Column, numbers: Int64Array, order: Rows | None) -> None:
        rows = np.arange(len(numbers)) if order is None else order
        if column.is_null is not None:
            is_present = ~column.is_null[rows]
            rows, numbers = rows[is_present], numbers[is_present]
        if not len(rows):
            return
        values = self._values(column, rows)
        starts = _starts(numbers)
        groups = numbers[starts]
        counts = np.diff(starts, append=len(numbers))
        is_new = self.counts[groups] == 0
        self.counts[groups] += counts
        if self.kind in {AttributeType.LONG, AttributeType.TIMESTAMP, AttributeType.DOUBLE}:
            self._add_sums(groups, values, starts)
            least, greatest = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
            self._min[groups] = np.where(is_new, least, np.minimum(self._min[groups], least))
            self._max[groups] = np.where(is_new, greatest, np.maximum(self._max[groups], greatest))
        ends = starts + counts - 1
        self._first.fold(groups, is_new, _places(block, rows[starts]), values[starts], is_first=True)
        self._last.fold(groups, is_new, _places(block, rows[ends]), values[ends], is_first=False)

    def fold_summary(self, number: int, summary: AttributeSummary) -> None:
        if summary.count == 0:
            return
        assert summary.first is not None, "values have a first"
        assert summary.last is not None, "values have a last"
        group = np.array([number])
        is_new = self.counts[group] == 0
        self.counts[number] += summary.count
        if isinstance(summary.min, int | float) and isinstance(summary.max, int | float):
            least, greatest = (np.array([value], self._min.dtype) for value in (summary.min, summary.max))
            self._min[group] = np.where(is_new, least, np.minimum(self._min[group], least))
            self._max[group] = np.where(is_new, greatest, np.maximum(self._max[group], greatest))
        if isinstance(summary.sum, int):
            self._high[number] += summary.sum >> LOW_BITS
            self._low[number] += summary.sum & LOW_MASK
            self._carry(group)
        else:
            self._add_doubles(group, np.array([summary.sum]), np.array([summary.sum_error]))
        for edges, edge, is_first in ((self._first, summary.first, True), (self._last, summary.last, False)):
            place, value = self._edge(edge)
            edges.fold(group, is_new, place, value, is_first=is_first)

    def total(self, number: int) -> int | float:
        """Exact for long."""
        if self._is_double:
            return float(self._sums[number] + self._errors[number])
        return (int(self._high[number]) << LOW_BITS) + int(self._low[number])

    def least(self, number: int) -> int | float:
        return self._min[number].item()

    def greatest(self, number: int) -> int | float:
        return self._max[number].item()

    def first(self, number: int) -> Value:
        return self._value(self._first.values[number].item())

    def last(self, number: int) -> Value:
        return self._value(self._last.values[number].item())

    def _value(self, stored: int | float) -> Value:
        if self.kind is AttributeType.STRING:
            return self._words[int(stored)]
        return bool(stored) if self.kind is AttributeType.BOOLEAN else stored

    def _values(self, column: Column, rows: Rows) -> NDArray[np.generic]:
        if column.words is None:
            return column.values[rows].astype(self._min.dtype, copy=False)
        codes, inverse = np.unique(column.values[rows], return_inverse=True)
        used: list[int] = codes.tolist()
        numbers = [self._number_of(column.words[code]) for code in used]
        return np.array(numbers, np.int64)[inverse]

    def _number_of(self, word: str) -> int:
        number = self._numbers.setdefault(word, len(self._words))
        if number == len(self._words):
            self._words.append(word)
        return number

    def _edge(self, edge: Edge) -> tuple[Place3, NDArray[np.generic]]:
        value = edge.value
        if isinstance(value, str):
            value = self._number_of(value)
        ts, partitions, offsets = (np.array([number], np.int64) for number in edge.place)
        return (ts, partitions, offsets), np.array([value], self._min.dtype)

    def _add_sums(self, groups: Int64Array, values: NDArray[np.generic], starts: Rows) -> None:
        if not self._is_double:
            integers = values.astype(np.int64, copy=False)
            self._high[groups] += np.add.reduceat(integers >> LOW_BITS, starts)
            self._low[groups] += np.add.reduceat(integers & LOW_MASK, starts)
            self._carry(groups)
            return
        # A sum that leaves the range of doubles is infinite: that is the answer.
        with np.errstate(over="ignore", invalid="ignore"):
            sums = np.add.reduceat(values.astype(np.longdouble), starts)
            rounded = sums.astype(np.float64)
            self._add_doubles(groups, rounded, (sums - rounded).astype(np.float64))

    def _carry(self, groups: Int64Array) -> None:
        """Keep the low half below 2^32, so that it can take 2^31 more values before it overflows."""
        self._high[groups] += self._low[groups] >> LOW_BITS
        self._low[groups] &= LOW_MASK

    def _add_doubles(self, groups: Int64Array, sums: NDArray[np.float64], errors: NDArray[np.float64]) -> None:
        before = self._sums[groups]
        with np.errstate(over="ignore", invalid="ignore"):
            total = before + sums
            part = total - before
            error = (before - (total - part)) + (sums - part) + errors
        self._sums[groups] = total
        self._errors[groups] += np.where(np.isfinite(error), error, 0.0)


class _Edges:
    """The first or last value of each group, with its place."""

    def __init__(self, dtype: np.dtype[np.generic]) -> None:
        self.values = np.zeros(16, dtype)
        self._places = [np.zeros(16, np.int64) for _ in range(3)]

    def reserve(self, count: int) -> None:
        self.values = _grown(self.values, count)
        self._places = [_grown(column, count) for column in self._places]

    def fold(
        self, groups: Int64Array, is_new: BoolArray, places: Place3, values: NDArray[np.generic], *, is_first: bool
    ) -> None:
        held = [column[groups] for column in self._places]
        is_less = _is_before(places, held)
        # Places are unique, so "not before" is "after".
        wins = is_new | (is_less if is_first else ~is_less)
        winners = groups[wins]
        self.values[winners] = values[wins]
        for column, place in zip(self._places, places, strict=True):
            column[winners] = place[wins]


class Grouping:
    """Numbers events by their window and the values of the `by` columns."""

    def __init__(self, groups: Groups, every_ms: int | None, origin_ms: int, by: Sequence[str]) -> None:
        self._groups = groups
        self._every_ms = every_ms
        self._origin_ms = origin_ms
        self._by = by

    def window_of(self, timestamp_ms: int) -> int:
        """The start of the window that holds this time."""
        assert self._every_ms is not None, "windows have a length"
        return timestamp_ms - (timestamp_ms - self._origin_ms) % self._every_ms

    def numbers_of(self, block: Block) -> Int64Array:
        """The number of each event's group; groups that are new are added. Raises: QueryTooLargeError."""
        columns = [_coded(_by_column(block, name)) for name in self._by]
        windows: Int64Array | None = None
        if self._every_ms is not None:
            every, origin = self._every_ms, self._origin_ms % self._every_ms
            windows = block.timestamps - (block.timestamps % every - origin) % every
            columns.insert(0, np.unique(windows, return_inverse=True)[1].astype(np.int64))
        if not columns:
            return np.full(len(block), self._groups.number_of((None,)), np.int64)
        codes = columns[0]
        for column in columns[1:]:
            codes = np.unique(codes, return_inverse=True)[1] * (int(column.max()) + 1) + column
        _, rows, inverse = np.unique(codes, return_index=True, return_inverse=True)
        starts: list[int] | list[None] = [None] * len(rows) if windows is None else windows[rows].tolist()
        values = [_values_at(_by_column(block, name), rows) for name in self._by]
        numbers = [self._groups.number_of(key) for key in zip(starts, *values, strict=True)]
        return np.array(numbers, np.int64)[inverse]


def _by_column(block: Block, name: str) -> Column:
    return Column(block.partitions) if name == "_partition" else block.columns[name]


def _coded(column: Column) -> Int64Array:
    """Small numbers, equal where values are equal within this block; nulls are one value of their own."""
    values = column.values.astype(np.int64, copy=False)
    if column.words is None:
        values = np.unique(values, return_inverse=True)[1].astype(np.int64)
    return values + 1 if column.is_null is None else np.where(column.is_null, 0, values + 1)


def _values_at(column: Column, rows: Rows) -> list[Value | None]:
    stored: list[int | float | bool] = column.values[rows].tolist()
    nulls: list[bool] = [False] * len(rows) if column.is_null is None else column.is_null[rows].tolist()
    words = column.words
    if words is None:
        return [None if is_null else value for value, is_null in zip(stored, nulls, strict=True)]
    return [None if is_null else words[int(code)] for code, is_null in zip(stored, nulls, strict=True)]


def _starts(numbers: Int64Array) -> Rows:
    """Where a new number begins in a sorted list of them."""
    return np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 1))


def _places(block: Block, rows: Rows) -> Place3:
    return block.timestamps[rows], block.partitions[rows].astype(np.int64), block.offsets[rows]


def _is_before(left: Sequence[Int64Array], right: Sequence[Int64Array]) -> BoolArray:
    (ts, partition, offset), (other_ts, other_partition, other_offset) = left, right
    return (ts < other_ts) | (
        (ts == other_ts) & ((partition < other_partition) | ((partition == other_partition) & (offset < other_offset)))
    )


def _grown(column: NDArray[Scalar], count: int) -> NDArray[Scalar]:
    larger: NDArray[Scalar] = np.zeros(max(2 * len(column), count + 1), column.dtype)
    larger[: len(column)] = column
    return larger
