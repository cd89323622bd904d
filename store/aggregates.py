"""Aggregates that merge: what a block, a run, a split or an answer says about its events without the events.

Sums of long and timestamp attributes are exact integers of any size. Sums of doubles are kept as an unevaluated pair
(sum, error), so that merging in any order loses nothing that matters (Knuth's two-sum; Ogita, Rump and Oishi,
"Accurate sum and dot product"). First and last are by the total order of events, (timestamp, partition, offset).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from .errors import DamagedIndexError

if TYPE_CHECKING:
    from .blocks import Block, Column

Value = int | float | str | bool

EXACT_BOUND = 1 << 63


class Place(NamedTuple):
    """An event's key in the total order."""

    timestamp_ms: int
    partition: int
    offset: int


class Edge(NamedTuple):
    """The first or last non-null value, and where it stands."""

    place: Place
    value: Value


@dataclass(frozen=True, slots=True)
class AttributeSummary:
    """One attribute's non-null values. With `count` 0 the sums are 0 and all else is None.

    `sum` is an int for long and timestamp; for double the sum is `sum + sum_error`. Strings and booleans have no sums.
    """

    count: int = 0
    sum: int | float = 0
    sum_error: float = 0.0
    sum_of_squares: float = 0.0
    min: Value | None = None
    max: Value | None = None
    first: Edge | None = None
    last: Edge | None = None

    @property
    def total(self) -> int | float:
        """The sum as one number."""
        return self.sum if isinstance(self.sum, int) else self.sum + self.sum_error

    @property
    def mean_or_none(self) -> float | None:
        return self.total / self.count if self.count else None


NOTHING = AttributeSummary()


@dataclass(frozen=True, slots=True)
class Summary:
    """`count` events and, for each asked attribute, what its non-null values sum up to."""

    count: int
    attributes: Mapping[str, AttributeSummary]

    def pack(self) -> list[object]:
        """A compact form of lists, numbers and strings, which msgpack and JSON carry; `unpack` reads it back."""
        rows = [_pack_attribute(name, summary) for name, summary in self.attributes.items()]
        return msgspec.to_builtins(_PackedSummary(self.count, rows))

    @staticmethod
    def unpack(packed: object) -> "Summary":
        """Raises: DamagedIndexError when `packed` is not what `pack` makes."""
        try:
            rows = msgspec.convert(packed, _PackedSummary)
        except msgspec.ValidationError as error:
            raise DamagedIndexError(f"not a packed summary: {error}") from error
        return Summary(rows.count, {row.name: _unpack_attribute(row) for row in rows.attributes})


def empty(attributes: Iterable[str]) -> Summary:
    return Summary(0, dict.fromkeys(attributes, NOTHING))


def merge(left: Summary, right: Summary) -> Summary:
    """The summary of both sets of events, which must not share an event. Attributes: those of both."""
    names = {**left.attributes, **right.attributes}
    merged = {
        name: merge_attribute(left.attributes.get(name, NOTHING), right.attributes.get(name, NOTHING)) for name in names
    }
    return Summary(left.count + right.count, merged)


def merge_all(summaries: Iterable[Summary], attributes: Iterable[str]) -> Summary:
    merged = empty(attributes)
    for summary in summaries:
        merged = merge(merged, summary)
    return merged


def merge_attribute(left: AttributeSummary, right: AttributeSummary) -> AttributeSummary:
    if left.count == 0:
        return right
    if right.count == 0:
        return left
    total, error = _add(left, right)
    return AttributeSummary(
        left.count + right.count,
        total,
        error,
        left.sum_of_squares + right.sum_of_squares,
        _least(left.min, right.min),
        _greatest(left.max, right.max),
        _first(left.first, right.first),
        _last(left.last, right.last),
    )


def of_block(block: "Block", attributes: Iterable[str]) -> Summary:
    """The summary of a whole block; its `columns` must hold each of `attributes`."""
    return Summary(len(block), {name: of_column(block, block.columns[name]) for name in attributes})


def of_column(block: "Block", column: "Column") -> AttributeSummary:
    """The summary of one column of the block's events."""
    if column.is_null is None:
        values, first, last = column.values, 0, len(column) - 1
    else:
        present = np.flatnonzero(~column.is_null)
        values = column.values[present]
        first, last = (int(present[0]), int(present[-1])) if len(present) else (0, -1)
    if len(values) == 0:
        return NOTHING
    numbers = _sums(values, column.words)
    first_edge = Edge(_place(block, first), value_at(column, first))
    last_edge = Edge(_place(block, last), value_at(column, last))
    return AttributeSummary(len(values), *numbers, first_edge, last_edge)


def exact_sum(values: NDArray[np.int64], least: int, greatest: int) -> int:
    """The sum of int64 values that all lie in [least, greatest], without overflow."""
    if max(-least, greatest) * len(values) < EXACT_BOUND:
        return int(values.sum())
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())


def compensated_sum(values: NDArray[np.float64]) -> tuple[float, float]:
    """(sum, error): the pair's exact sum is within about 1e-32 * sum(|v|) of the true one.

    A tree of vector two-sums, about 2 ns per value; `math.fsum` costs ten times that.
    """
    error = 0.0
    # A sum beyond the largest double is infinite: that is the answer, not a fault to warn of.
    with np.errstate(over="ignore", invalid="ignore"):
        while len(values) > 1:
            half = len(values) // 2
            left, right = values[:half], values[half : 2 * half]
            total = left + right
            part = total - left
            error += float(((left - (total - part)) + (right - part)).sum())
            values = np.append(total, values[-1]) if len(values) % 2 else total
    total = float(values[0]) if len(values) else 0.0
    if not (math.isfinite(total) and math.isfinite(error)):
        return total, 0.0
    return two_sum(total, error)


def two_sum(left: float, right: float) -> tuple[float, float]:
    """(rounded sum, rounding error): together exactly left + right."""
    total = left + right
    if not math.isfinite(total):
        return total, 0.0
    part = total - left
    return total, (left - (total - part)) + (right - part)


Sums = tuple[int | float, float, float, Value | None, Value | None]


def _sums(values: NDArray[np.generic], words: Sequence[str] | None) -> Sums:
    """(sum, error, sum of squares, min, max) of at least one non-null value."""
    if words is not None:
        used = [words[int(code)] for code in np.unique(values)]
        return 0, 0.0, 0.0, min(used), max(used)
    least, greatest = values.min().item(), values.max().item()
    if values.dtype == np.bool_:
        return 0, 0.0, 0.0, least, greatest
    if values.dtype == np.float64:
        doubles = values.astype(np.float64, copy=False)
        with np.errstate(over="ignore"):
            return *compensated_sum(doubles), _sum_of_squares(doubles), least, greatest
    integers = values.astype(np.int64, copy=False)
    squares = _sum_of_squares(integers.astype(np.float64))
    return exact_sum(integers, least, greatest), 0.0, squares, least, greatest


def _sum_of_squares(doubles: NDArray[np.float64]) -> float:
    # Not np.dot: from 10,000 values on it starts BLAS threads, which costs milliseconds where cores are busy.
    return float((doubles * doubles).sum())


def value_at(column: "Column", row: int) -> Value:
    """The value at a row that is not null."""
    value = column.values[row].item()
    return value if column.words is None else column.words[int(value)]


def _place(block: "Block", row: int) -> Place:
    return Place(int(block.timestamps[row]), int(block.partitions[row]), int(block.offsets[row]))


def _add(left: AttributeSummary, right: AttributeSummary) -> tuple[int | float, float]:
    if isinstance(left.sum, int) and isinstance(right.sum, int):
        return left.sum + right.sum, 0.0
    total, error = two_sum(float(left.sum), float(right.sum))
    if not math.isfinite(total):
        return total, 0.0
    return two_sum(total, error + left.sum_error + right.sum_error)


def _least(left: Value | None, right: Value | None) -> Value | None:
    if left is None or right is None:
        return right if left is None else left
    return min(left, right)  # pyright: ignore[reportOperatorIssue] - an attribute has one type


def _greatest(left: Value | None, right: Value | None) -> Value | None:
    if left is None or right is None:
        return right if left is None else left
    return max(left, right)  # pyright: ignore[reportOperatorIssue] - an attribute has one type


def _first(left: Edge | None, right: Edge | None) -> Edge | None:
    return right if left is None or (right is not None and right.place < left.place) else left


def _last(left: Edge | None, right: Edge | None) -> Edge | None:
    return right if left is None or (right is not None and right.place > left.place) else left


def _pack_attribute(name: str, summary: AttributeSummary) -> "_PackedAttribute":
    return _PackedAttribute(
        name,
        summary.count,
        _pack_sum(summary.sum),
        summary.sum_error,
        summary.sum_of_squares,
        summary.min,
        summary.max,
        _pack_edge(summary.first),
        _pack_edge(summary.last),
    )


def _unpack_attribute(packed: "_PackedAttribute") -> AttributeSummary:
    return AttributeSummary(
        packed.count,
        _unpack_sum(packed.sum),
        packed.sum_error,
        packed.sum_of_squares,
        packed.min,
        packed.max,
        _unpack_edge(packed.first),
        _unpack_edge(packed.last),
    )


def _pack_sum(total: int | float) -> "_PackedSum":
    # msgpack stops at 64 bits, an exact sum of int64 does not: two numbers.
    return (total >> 32, total & 0xFFFFFFFF) if isinstance(total, int) else total


def _unpack_sum(packed: "_PackedSum") -> int | float:
    return (packed[0] << 32) + packed[1] if isinstance(packed, tuple) else packed


def _pack_edge(edge: Edge | None) -> "_PackedEdge":
    return None if edge is None else (edge.place.timestamp_ms, edge.place.partition, edge.place.offset, edge.value)


def _unpack_edge(packed: "_PackedEdge") -> Edge | None:
    return None if packed is None else Edge(Place(packed[0], packed[1], packed[2]), packed[3])


_PackedSum = tuple[int, int] | float
_PackedEdge = tuple[int, int, int, Value] | None


class _PackedAttribute(msgspec.Struct, array_like=True, frozen=True):
    name: str
    count: int
    sum: _PackedSum
    sum_error: float
    sum_of_squares: float
    min: Value | None
    max: Value | None
    first: _PackedEdge
    last: _PackedEdge


class _PackedSummary(msgspec.Struct, array_like=True, frozen=True):
    count: int
    attributes: list[_PackedAttribute]
