"""The block being filled at the end of a time index.

Arrays grow by doubling up to BLOCK_EVENTS, so that an idle partition costs little. What a view shows is never written
again: the tail writes behind it, into the same arrays or into larger copies.
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from .blocks import BLOCK_EVENTS, Block, BoolArray, Column, Int32Array

TAIL_EVENTS_MIN: Final = 256

Scalar = TypeVar("Scalar", bound=np.generic)


class Tail:
    """Up to BLOCK_EVENTS events in total order; one word list per string attribute."""

    __slots__ = ("_capacity", "_count", "_nulls", "_offsets", "_partition", "_timestamps", "_values", "_words")

    def __init__(self, partition: int, attributes: Mapping[str, np.dtype[np.generic]], capacity: int = 0) -> None:
        self._partition = partition
        self._capacity = capacity or TAIL_EVENTS_MIN
        self._count = 0
        self._timestamps = np.empty(self._capacity, np.int64)
        self._offsets = np.empty(self._capacity, np.int64)
        self._values = {name: np.empty(self._capacity, dtype) for name, dtype in attributes.items()}
        # Only for attributes that have had a null.
        self._nulls: dict[str, BoolArray] = {}
        self._words: dict[str, Sequence[str] | None] = {}

    def __len__(self) -> int:
        return self._count

    def can_follow(self, block: Block) -> bool:
        """A block has one word list per attribute."""
        return not self._count or all(column.words is self._words[name] for name, column in block.columns.items())

    def append(self, block: Block, start: int) -> int:
        """Copy as many events as fit; returns how many."""
        begin = self._count
        event_count = min(len(block) - start, BLOCK_EVENTS - begin)
        end = begin + event_count
        self._reserve(end)
        rows = slice(start, start + event_count)
        self._timestamps[begin:end] = block.timestamps[rows]
        self._offsets[begin:end] = block.offsets[rows]
        for name, column in block.columns.items():
            self._values[name][begin:end] = column.values[rows]
            if begin == 0:
                self._words[name] = column.words
            if column.is_null is not None and name not in self._nulls:
                self._nulls[name] = np.zeros(self._capacity, np.bool_)
            if name in self._nulls:
                self._nulls[name][begin:end] = False if column.is_null is None else column.is_null[rows]
        self._count = end
        return event_count

    def view(self) -> Block:
        count = self._count
        columns = {
            name: Column(
                values[:count], self._nulls[name][:count] if name in self._nulls else None, self._words.get(name)
            )
            for name, values in self._values.items()
        }
        return Block(self._timestamps[:count], repeated(self._partition, count), self._offsets[:count], columns)

    def _reserve(self, count: int) -> None:
        if count <= self._capacity:
            return
        while self._capacity < count:
            self._capacity = min(2 * self._capacity, BLOCK_EVENTS)
        self._timestamps = _extended(self._timestamps, self._capacity)
        self._offsets = _extended(self._offsets, self._capacity)
        self._values = {name: _extended(values, self._capacity) for name, values in self._values.items()}
        self._nulls = {name: _extended(nulls, self._capacity) for name, nulls in self._nulls.items()}


def repeated(partition: int, count: int) -> Int32Array:
    """`count` times the same number, without an array of them."""
    return np.broadcast_to(np.int32(partition), count)


def _extended(values: NDArray[Scalar], capacity: int) -> NDArray[Scalar]:
    extended = np.zeros(capacity, values.dtype)
    extended[: len(values)] = values
    return extended
