"""Blocks: sorted slices of events as columns, and what can be read as blocks.

A block holds events of one source in total order (timestamp, partition, offset). Its arrays are immutable once the
block has been handed out: readers in other threads keep them while the index goes on.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .aggregates import Summary
from .events import Record, TimeRange

Int64Array = NDArray[np.int64]
Int32Array = NDArray[np.int32]
BoolArray = NDArray[np.bool_]

BLOCK_EVENTS = 8192


@dataclass(frozen=True, slots=True)
class Column:
    """One attribute of n events.

    `values` is int64 (long, timestamp), float64 (double), bool (boolean) or int32 codes into `words` (string).
    `is_null` is None where no value is null; a null's slot in `values` is 0.
    """

    values: NDArray[np.generic]
    is_null: BoolArray | None = None
    words: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Block:
    """n events in total order; `columns` maps each asked attribute to a column of the same length."""

    timestamps: Int64Array
    partitions: Int32Array
    offsets: Int64Array
    columns: Mapping[str, Column] = field(default_factory=dict[str, Column])

    def __len__(self) -> int:
        return len(self.timestamps)


class Source(Protocol):
    """Events that a query can read: a snapshot of one partition's live index, or one run of a historic split.

    A source never changes: every call sees the same events. Calls may come from a worker thread.
    """

    @property
    def count(self) -> int: ...

    @property
    def span(self) -> TimeRange:
        """The least half-open span that covers every event; an empty range when count is 0."""
        ...

    @property
    def is_historic(self) -> bool: ...

    def blocks(self, span: TimeRange, attributes: Sequence[str]) -> Iterator[Block]:
        """Every event with timestamp in `span`, in total order, in blocks that do not overlap; clipped to the span."""
        ...

    def summary(self, span: TimeRange, attributes: Sequence[str]) -> Summary:
        """Count and the aggregates of `attributes` over `span`, from inner nodes where a node lies wholly inside."""
        ...

    def records(self, partitions: Int32Array, offsets: Int64Array) -> list[Record]:
        """The records at these places, in the given order. They must be events of this source."""
        ...
