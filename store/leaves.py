"""Sorted blocks of one partition with their aggregates in flat arrays, and one level of 64-block nodes over them.

The lower two levels of a TAB+ tree (Seidemann et al., "ChronicleDB"), kept flat: below about 1e8 events a reduction
over an array of leaves is faster than a walk through a deeper tree. A summary over a range of leaves takes whole nodes
where they fit, and single leaves at both ends. The root is the reduction over all nodes.

Arrays only grow at their end, and rows once written stay: a `LeavesView` of the first n rows never changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from .aggregates import (
    NOTHING,
    AttributeSummary,
    Edge,
    Place,
    Value,
    compensated_sum,
    merge_attribute,
    of_column,
    two_sum,
)
from .blocks import Block
from .events import TimeRange

NODE_LEAVES: Final = 64
ROWS_MIN: Final = 16

BOUNDS: Final = np.dtype(
    [("count", "i8"), ("first_ms", "i8"), ("last_ms", "i8"), ("first_offset", "i8"), ("last_offset", "i8")]
)
Rows = NDArray[np.void]


@dataclass(frozen=True, slots=True)
class LeavesView:
    """The first `count` leaves, in total order and without overlap, and the nodes over them; never changes."""

    blocks: Sequence[Block]
    count: int
    bounds: Rows
    leaves: Mapping[str, Rows]
    nodes: Mapping[str, Rows]

    @property
    def event_count(self) -> int:
        return int(self.bounds["count"].sum())

    def rows_of(self, span: TimeRange) -> tuple[int, int]:
        """[first, end) of the leaves that hold an event of `span`."""
        first = int(self.bounds["last_ms"].searchsorted(span.first_ms, "left"))
        end = int(self.bounds["first_ms"].searchsorted(span.end_ms, "left"))
        return first, max(first, end)

    def covered_rows_of(self, span: TimeRange) -> tuple[int, int]:
        """[first, end) of the leaves of `rows_of` that lie wholly inside; the others are at most one at each end."""
        _, limit = self.rows_of(span)
        first = min(limit, int(self.bounds["first_ms"].searchsorted(span.first_ms, "left")))
        end = min(limit, int(self.bounds["last_ms"].searchsorted(span.end_ms, "left")))
        return first, max(first, end)

    def event_count_of(self, first: int, end: int) -> int:
        return int(self.bounds["count"][first:end].sum())

    def summary_of(self, attribute: str, partition: int, first: int, end: int) -> AttributeSummary:
        """The aggregates of leaves [first, end)."""
        leaves, nodes = self.leaves[attribute], self.nodes[attribute]
        first_node, end_node = -(-first // NODE_LEAVES), end // NODE_LEAVES
        if first_node >= end_node:
            return reduced(leaves[first:end], partition)
        parts = (
            reduced(leaves[first : first_node * NODE_LEAVES], partition),
            reduced(nodes[first_node:end_node], partition),
            reduced(leaves[end_node * NODE_LEAVES : end], partition),
        )
        return merge_attribute(merge_attribute(parts[0], parts[1]), parts[2])


class Leaves:
    """Grows by whole blocks. Owned by one thread; views may be read from any."""

    __slots__ = ("_blocks", "_bounds", "_count", "_leaves", "_node_count", "_nodes", "_partition")

    def __init__(self, partition: int, dtypes: Mapping[str, np.dtype[np.void]], rows: int = ROWS_MIN) -> None:
        """`dtypes`: `row_dtype` of each attribute to aggregate."""
        self._partition = partition
        self._blocks: list[Block] = []
        self._count = 0
        self._node_count = 0
        self._bounds = np.zeros(rows, BOUNDS)
        self._leaves: dict[str, Rows] = {name: np.zeros(rows, dtype) for name, dtype in dtypes.items()}
        self._nodes: dict[str, Rows] = {
            name: np.zeros(rows // NODE_LEAVES + 1, dtype) for name, dtype in dtypes.items()
        }

    def __len__(self) -> int:
        return self._count

    @property
    def blocks(self) -> Sequence[Block]:
        return self._blocks

    def view(self) -> LeavesView:
        count, nodes = self._count, self._node_count
        return LeavesView(
            self._blocks,
            count,
            self._bounds[:count],
            {name: rows[:count] for name, rows in self._leaves.items()},
            {name: rows[:nodes] for name, rows in self._nodes.items()},
        )

    def append(self, block: Block) -> None:
        """A block whose events all come after those of the last one."""
        row = self._count
        ts, offsets = block.timestamps, block.offsets
        assert len(block), "an empty leaf"
        assert row == 0 or ts[0] >= self._bounds[row - 1]["last_ms"], "a leaf that begins before the last one ends"
        self._reserve(row + 1)
        self._blocks.append(block)
        self._bounds[row] = (len(block), ts[0], ts[-1], offsets.min(), offsets.max())
        for name, rows in self._leaves.items():
            rows[row] = _row_of(of_column(block, block.columns[name]), rows.dtype)
        self._count = row + 1
        self._complete_nodes(self._count // NODE_LEAVES)

    def extend(self, other: "Leaves", first: int, end: int) -> None:
        """Append the leaves [first, end) of `other`, with the aggregates that they have."""
        row = self._count
        view = other.view()
        self._reserve(row + end - first)
        self._blocks += view.blocks[first:end]
        self._count = row + end - first
        self._bounds[row : self._count] = view.bounds[first:end]
        for name, rows in self._leaves.items():
            rows[row : self._count] = view.leaves[name][first:end]
        whole_from, whole_to = -(-first // NODE_LEAVES), end // NODE_LEAVES
        self._complete_nodes(whole_from)
        if row == first and self._node_count < whole_to:
            # The same leaves in the same rows make the same nodes.
            for name, rows in self._nodes.items():
                rows[whole_from:whole_to] = view.nodes[name][whole_from:whole_to]
            self._node_count = whole_to
        self._complete_nodes(self._count // NODE_LEAVES)

    def _reserve(self, count: int) -> None:
        while count > len(self._bounds):
            self._bounds = _grown(self._bounds)
            self._leaves = {name: _grown(rows) for name, rows in self._leaves.items()}
            self._nodes = {name: _grown(rows) for name, rows in self._nodes.items()}

    def _complete_nodes(self, limit: int) -> None:
        """Sum up the nodes below `limit` whose last leaf is there now."""
        for node in range(self._node_count, min(limit, self._count // NODE_LEAVES)):
            leaves = slice(node * NODE_LEAVES, (node + 1) * NODE_LEAVES)
            for name, rows in self._leaves.items():
                self._nodes[name][node] = _row_of(reduced(rows[leaves], self._partition), rows.dtype)
            self._node_count = node + 1


def row_dtype(*, is_double: bool) -> np.dtype[np.void]:
    """One attribute's aggregates over some events.

    `sum` and `rest` together are the sum: the rounded sum and its error (double), or the sum shifted right by 32 and
    its lower 32 bits (long), which no number of events can overflow.
    """
    value = "f8" if is_double else "i8"
    return np.dtype(
        [
            ("count", "i8"), ("sum", value), ("rest", value), ("squares", "f8"), ("least", value), ("greatest", value),
            ("first_ms", "i8"), ("first_offset", "i8"), ("first", value),
            ("last_ms", "i8"), ("last_offset", "i8"), ("last", value),
        ]
    )  # fmt: skip


def reduced(rows: Rows, partition: int) -> AttributeSummary:
    """The aggregates of all rows, which are in total order."""
    present = np.flatnonzero(rows["count"])
    if not len(present):
        return NOTHING
    if len(present) < len(rows):
        rows = rows[present]
    total: int | float
    if rows.dtype["sum"] == np.float64:
        total, error = compensated_sum(rows["sum"])
        if np.isfinite(total):
            total, error = two_sum(total, error + float(rows["rest"].sum()))
    else:
        total, error = (int(rows["sum"].sum()) << 32) + int(rows["rest"].sum()), 0.0
    first, last = rows[0], rows[-1]
    return AttributeSummary(
        int(rows["count"].sum()),
        total,
        error,
        float(rows["squares"].sum()),
        cast("Value", rows["least"].min().item()),
        cast("Value", rows["greatest"].max().item()),
        Edge(Place(int(first["first_ms"]), partition, int(first["first_offset"])), first["first"].item()),
        Edge(Place(int(last["last_ms"]), partition, int(last["last_offset"])), last["last"].item()),
    )


def _row_of(summary: AttributeSummary, dtype: np.dtype[np.void]) -> tuple[Value, ...]:
    if summary.first is None or summary.last is None:
        return (0,) * len(dtype.names or ())
    if isinstance(summary.sum, int):
        total, rest = summary.sum >> 32, summary.sum & 0xFFFFFFFF
    else:
        total, rest = summary.sum, summary.sum_error
    first, last = summary.first, summary.last
    return (
        summary.count, total, rest, summary.sum_of_squares, summary.min or 0, summary.max or 0,
        first.place.timestamp_ms, first.place.offset, first.value,
        last.place.timestamp_ms, last.place.offset, last.value,
    )  # fmt: skip


def _grown(rows: Rows) -> Rows:
    grown = np.zeros(2 * len(rows), rows.dtype)
    grown[: len(rows)] = rows
    return grown
