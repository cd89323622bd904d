"""K-way merge of sorted blocks by a bounded min-heap over block heads.

Each cursor holds one block. A round takes the cursor with the least head; the last event of its block is the bound.
Every cursor whose head is not above the bound joins, and may lower the bound to the end of its own block: behind that
end lie blocks that nobody has read yet. What is at or below the bound is final, so it is cut off by binary search and
emitted. One contributor: its slice goes out untouched. Several: the slices are concatenated and sorted by timestamp
with a stable sort, which merges sorted stretches, and sorted by the whole key only where equal timestamps need it.

Keys are whole, (timestamp, partition, offset), hence unique, so a bound never has to wait for equal timestamps.
Memory: one block per cursor, and the slices of one round, which are parts of these blocks.

Descending order is not merged backwards: sources read forwards only. `store.planner` cuts the span into slices from
its end, merges each slice ascending and turns its blocks round with `reversed_block`.
"""

from collections.abc import Iterable, Iterator, Sequence
from heapq import heapify, heappop, heappush, heapreplace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .blocks import Block, BoolArray, Column, Int64Array
from .events import TimeRange

Key = tuple[int, int, int]


class Part(NamedTuple):
    """The events [start, end) of a block."""

    block: Block
    start: int
    end: int


def merge(sources: Iterable[Iterator[Block]]) -> Iterator[Block]:
    """All events of `sources` in total order, as non-empty blocks that do not overlap.

    Each source yields blocks in total order without overlap; no event may be in two of them; all blocks have the same
    columns. A lone source passes through.
    """
    cursors = [_Cursor(blocks) for blocks in sources]
    # The cursor's number breaks no tie, keys are unique; it only keeps tuples comparable.
    heap = [(cursor.head, number) for number, cursor in enumerate(cursors) if cursor.advance()]
    heapify(heap)
    while len(heap) > 1:
        number = heappop(heap)[1]
        pulled, bound = [number], cursors[number].last
        while heap and heap[0][0] <= bound:
            number = heappop(heap)[1]
            pulled.append(number)
            bound = min(bound, cursors[number].last)
        parts = [part for number in pulled if (part := cursors[number].take(bound)) is not None]
        yield sliced(*parts[0]) if len(parts) == 1 else combined(parts)
        for number in pulled:
            if cursors[number].advance():
                heappush(heap, (cursors[number].head, number))
    if heap:
        yield from cursors[heap[0][1]].rest()


def sliced(block: Block, start: int, end: int) -> Block:
    """The events [start, end) of a block, without a copy."""
    if start == 0 and end == len(block):
        return block
    at = slice(start, end)
    columns = {name: sliced_column(column, at) for name, column in block.columns.items()}
    return Block(block.timestamps[at], block.partitions[at], block.offsets[at], columns)


def sliced_column(column: Column, at: slice) -> Column:
    return Column(column.values[at], None if column.is_null is None else column.is_null[at], column.words)


def taken(block: Block, rows: NDArray[np.intp] | BoolArray) -> Block:
    """The events at these rows, or where a mask is true."""
    columns = {
        name: Column(column.values[rows], None if column.is_null is None else column.is_null[rows], column.words)
        for name, column in block.columns.items()
    }
    return Block(block.timestamps[rows], block.partitions[rows], block.offsets[rows], columns)


def reversed_block(block: Block) -> Block:
    """The same events, last first."""
    back = slice(None, None, -1)
    columns = {name: sliced_column(column, back) for name, column in block.columns.items()}
    return Block(block.timestamps[back], block.partitions[back], block.offsets[back], columns)


def combined(parts: list[Part]) -> Block:
    """One block of the parts' events, in total order. Each part is sorted."""
    # In this order a stable sort by timestamp is already right wherever the parts are of different partitions.
    parts = sorted(parts, key=lambda part: (int(part.block.partitions[part.start]), part.start))
    timestamps = np.concatenate([part.block.timestamps[part.start : part.end] for part in parts])
    partitions = np.concatenate([part.block.partitions[part.start : part.end] for part in parts])
    offsets = np.concatenate([part.block.offsets[part.start : part.end] for part in parts])
    order = np.argsort(timestamps, kind="stable")
    block = Block(timestamps[order], partitions[order], offsets[order])
    if not is_sorted(block):
        order = np.lexsort((offsets, partitions, timestamps))
        block = Block(timestamps[order], partitions[order], offsets[order])
    columns = {
        name: _gathered([sliced_column(part.block.columns[name], slice(part.start, part.end)) for part in parts], order)
        for name in parts[0].block.columns
    }
    return Block(block.timestamps, block.partitions, block.offsets, columns)


def is_sorted(block: Block) -> bool:
    """Strictly rising in (timestamp, partition, offset)."""
    ts, partitions, offsets = block.timestamps, block.partitions, block.offsets
    steps = ts[1:] > ts[:-1]
    if steps.all():
        return True
    ties = np.flatnonzero(~steps)
    if (ts[ties] != ts[ties + 1]).any():
        return False
    before, then = partitions[ties], partitions[ties + 1]
    return bool(((before < then) | ((before == then) & (offsets[ties] < offsets[ties + 1]))).all())


def concatenated(columns: Sequence[Column]) -> Column:
    """The columns one after the other. String columns with different word lists get one list, of the words in use."""
    words = columns[0].words
    if any(column.words is not words for column in columns):
        columns, words = _with_shared_words(columns)
    values = np.concatenate([column.values for column in columns])
    if all(column.is_null is None for column in columns):
        return Column(values, None, words)
    is_null = np.concatenate(
        [np.zeros(len(column), np.bool_) if column.is_null is None else column.is_null for column in columns]
    )
    return Column(values, is_null, words)


def chains(spans: Sequence[TimeRange]) -> list[list[int]]:
    """Group spans, by index, into few chains whose members follow one another without overlap in time.

    Sources of one chain can be read one after the other by a single cursor, so that a merge over many historic runs
    opens only as many as overlap. The number of chains is the least possible. Empty spans are left out.
    """
    order = sorted((span.first_ms, span.end_ms, i) for i, span in enumerate(spans) if not span.is_empty)
    found: list[list[int]] = []
    ends: list[tuple[int, int]] = []
    for first_ms, end_ms, i in order:
        if ends and ends[0][0] <= first_ms:
            chain = ends[0][1]
            heapreplace(ends, (end_ms, chain))
            found[chain].append(i)
        else:
            heappush(ends, (end_ms, len(found)))
            found.append([i])
    return found


def _gathered(columns: Sequence[Column], order: NDArray[np.intp]) -> Column:
    whole = concatenated(columns)
    return Column(whole.values[order], None if whole.is_null is None else whole.is_null[order], whole.words)


def _with_shared_words(columns: Sequence[Column]) -> tuple[list[Column], list[str]]:
    codes_of: dict[str, int] = {}
    shared: list[Column] = []
    for column in columns:
        words = column.words
        assert words is not None, "a column has words in every block or in none"
        # Nulls have code 0, which need not be a word.
        present = column.values if column.is_null is None else column.values[~column.is_null]
        used, inverse = np.unique(present, return_inverse=True)
        used_codes: list[int] = used.tolist()
        codes = np.array([codes_of.setdefault(words[code], len(codes_of)) for code in used_codes], dtype=np.int32)
        if column.is_null is None:
            values = codes[inverse]
        else:
            values = np.zeros(len(column), np.int32)
            values[~column.is_null] = codes[inverse]
        shared.append(Column(values, column.is_null))
    return shared, list(codes_of)


class _Cursor:
    """One source: the block at hand and how much of it has been taken."""

    __slots__ = ("_block", "_blocks", "_start", "head", "last")

    def __init__(self, blocks: Iterator[Block]) -> None:
        self._blocks = blocks
        self._block: Block | None = None
        self._start = 0
        self.head: Key = (0, 0, 0)
        self.last: Key = (0, 0, 0)

    def advance(self) -> bool:
        """Stand on the next event; False when there is none."""
        while self._block is None or self._start == len(self._block):
            before = self.last if self._block is not None else None
            self._block = next(self._blocks, None)
            self._start = 0
            if self._block is None:
                return False
            if len(self._block):
                self.last = _key(self._block, len(self._block) - 1)
                first = _key(self._block, 0)
                assert before is None or before < first, f"blocks overlap: {before} before {first}"
        self.head = _key(self._block, self._start)
        return True

    def take(self, bound: Key) -> Part | None:
        """The events from here up to and including `bound`, or None."""
        block, start = self._block, self._start
        assert block is not None
        if bound < self.head:
            return None
        self._start = len(block) if self.last <= bound else _rank(block, bound)
        return Part(block, start, self._start)

    def rest(self) -> Iterator[Block]:
        assert self._block is not None
        if self._start < len(self._block):
            yield sliced(self._block, self._start, len(self._block))
        yield from (block for block in self._blocks if len(block))


def _key(block: Block, i: int) -> Key:
    return int(block.timestamps[i]), int(block.partitions[i]), int(block.offsets[i])


def _rank(block: Block, bound: Key) -> int:
    """How many events of the block are at or below the bound."""
    timestamp_ms, partition, offset = bound
    end = int(block.timestamps.searchsorted(timestamp_ms, "right"))
    first = int(block.timestamps[:end].searchsorted(timestamp_ms, "left"))
    if first == end:
        return end
    end = first + int(block.partitions[first:end].searchsorted(partition, "right"))
    first += int(block.partitions[first:end].searchsorted(partition, "left"))
    return first + _count_to(block.offsets[first:end], offset)


def _count_to(offsets: Int64Array, offset: int) -> int:
    return int(offsets.searchsorted(offset, "right"))
