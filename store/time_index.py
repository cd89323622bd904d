"""The events of one open partition by event time, with aggregates: the live half of every query.

    leaves   sorted blocks of about 8,192 events with aggregates, and a level of nodes over them (`store.leaves`)
    tail     the block being filled; with the leaves it is the main sequence, in total order
    late     events below the main sequence's high-water mark when they came, as a few sorted runs

An event at or above the high-water mark is copied to the tail; the others gather, are sorted into runs of at least
2,048, and runs of like size are merged (each late event some five times). At 65,536 they become one run that the next
inserts merge into the leaves it hits, a few leaves at a time from its end, copy-on-write. So disorder costs a binary
search and bulk merges, never an insertion into the middle, and no single insert pays for all of a merge.

Offsets rise from insert to insert, so where timestamps tie a late event comes after those of the main sequence.
Snapshots share all arrays with the index: what a snapshot shows is never written again, only what lies behind it.
A single event from the far future makes all later ones late, which is slow but not wrong: admission bounds timestamps.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import Final

import numpy as np

from .aggregates import NOTHING, AttributeSummary, Summary, merge_attribute, of_column
from .blocks import BLOCK_EVENTS, Block, Column, Int32Array, Int64Array
from .events import TIMESTAMP_MS_MAX, TIMESTAMP_MS_MIN, Record, TimeRange
from .leaves import Leaves, LeavesView, row_dtype
from .merge import Part, combined, merge, sliced, taken
from .schema import AttributeType, Schema
from .tail import Tail, repeated

LATE_RUN_EVENTS_MIN: Final = 2_048
LATE_EVENTS_MAX: Final = 65_536
# Small late blocks are put together at this number, so that a snapshot has little to do.
LOOSE_BLOCKS_MAX: Final = 64
# Leaves merged by one insert, about 0.3 ms each; more if the insert itself brought many late events.
MERGE_LEAVES: Final = 4
MERGE_EVENTS_PER_LEAF: Final = 128
OFFSET_MAX: Final = (1 << 63) - 1

RecordReader = Callable[[Int32Array, Int64Array], list[Record]]

_NO_SCHEMA: Final = Schema({}, ())
_DTYPES: Final[Mapping[AttributeType, np.dtype[np.generic]]] = {
    AttributeType.LONG: np.dtype(np.int64),
    AttributeType.TIMESTAMP: np.dtype(np.int64),
    AttributeType.DOUBLE: np.dtype(np.float64),
    AttributeType.BOOLEAN: np.dtype(np.bool_),
    AttributeType.STRING: np.dtype(np.int32),
}


class IndexSnapshot:
    """The events of a `TimeIndex` at one moment: a `store.blocks.Source` that any thread may read."""

    __slots__ = ("_late", "_leaves", "_partition", "_read_records", "_tail")

    def __init__(
        self, partition: int, leaves: LeavesView, tail: Block, late: Sequence[Block], read_records: RecordReader
    ) -> None:
        self._partition = partition
        self._leaves = leaves
        self._tail = tail
        self._late = late
        self._read_records = read_records

    @property
    def partition(self) -> int:
        return self._partition

    @property
    def count(self) -> int:
        return self._leaves.event_count + len(self._tail) + sum(len(run) for run in self._late)

    @property
    def span(self) -> TimeRange:
        bounds = self._leaves.bounds
        edges = [(int(run.timestamps[0]), int(run.timestamps[-1])) for run in (self._tail, *self._late) if len(run)]
        if len(bounds):
            edges.append((int(bounds["first_ms"][0]), int(bounds["last_ms"][-1])))
        if not edges:
            return TimeRange(first_ms=0, end_ms=0)
        end_ms = min(max(last for _, last in edges) + 1, TIMESTAMP_MS_MAX)
        return TimeRange(first_ms=min(first for first, _ in edges), end_ms=end_ms)

    @property
    def is_historic(self) -> bool:
        return False

    def blocks(self, span: TimeRange, attributes: Sequence[str]) -> Iterator[Block]:
        main = (
            _projected(block, attributes)
            for block in (*self._leaf_slices(span), _clipped(self._tail, span))
            if len(block)
        )
        late = [iter((_projected(run, attributes),)) for run in self._late_slices(span)]
        return merge((main, *late))

    def scan(
        self, span: TimeRange, first_offset: int, end_offset: int, attributes: Sequence[str] = ()
    ) -> Iterator[Block]:
        """As `blocks`, of the events with an offset in [first_offset, end_offset) only."""
        main = (
            _projected(block, attributes)
            for block in (*self._leaf_slices(span, first_offset, end_offset), _clipped(self._tail, span))
        )
        late = (_projected(run, attributes) for run in self._late_slices(span))
        wanted = [_between(blocks, first_offset, end_offset) for blocks in (main, *((run,) for run in late))]
        return merge(wanted)

    def summary(self, span: TimeRange, attributes: Sequence[str]) -> Summary:
        first, end = self._leaves.rows_of(span)
        covered_first, covered_end = self._leaves.covered_rows_of(span)
        leaves = self._leaves.blocks
        edges = [leaves[row] for row in chain(range(first, covered_first), range(covered_end, end))]
        parts = [_clipped(block, span) for block in (*edges, self._tail)]
        parts = [part for part in (*parts, *self._late_slices(span)) if len(part)]
        count = self._leaves.event_count_of(covered_first, covered_end) + sum(len(part) for part in parts)
        found: dict[str, AttributeSummary] = {}
        for name in attributes:
            if name in self._leaves.leaves:
                merged = self._leaves.summary_of(name, self._partition, covered_first, covered_end)
            else:
                merged = NOTHING
                for row in range(covered_first, covered_end):
                    merged = merge_attribute(merged, of_column(leaves[row], leaves[row].columns[name]))
            for part in parts:
                merged = merge_attribute(merged, of_column(part, part.columns[name]))
            found[name] = merged
        return Summary(count, found)

    def records(self, partitions: Int32Array, offsets: Int64Array) -> list[Record]:
        return self._read_records(partitions, offsets)

    def count_between(self, span: TimeRange, first_offset: int = 0, end_offset: int = OFFSET_MAX) -> int:
        """How many events have a timestamp in `span` and an offset in [first_offset, end_offset)."""
        bounds = self._leaves.bounds
        first, end = self._leaves.rows_of(span)
        bounds = bounds[first:end]
        is_whole = (
            (bounds["first_ms"] >= span.first_ms)
            & (bounds["last_ms"] < span.end_ms)
            & (bounds["first_offset"] >= first_offset)
            & (bounds["last_offset"] < end_offset)
        )
        is_outside = (bounds["last_offset"] < first_offset) | (bounds["first_offset"] >= end_offset)
        count = int(bounds["count"][is_whole].sum())
        rows = np.flatnonzero(~(is_whole | is_outside)) + first
        parts = [_clipped(self._leaves.blocks[row], span) for row in rows.tolist()]
        for part in (*parts, _clipped(self._tail, span), *self._late_slices(span)):
            count += int(np.count_nonzero((part.offsets >= first_offset) & (part.offsets < end_offset)))
        return count

    def count_emitted(self, cut_offset: int, watermark_ms: int) -> int:
        """How many events a tick with this cut and watermark, or one before it, emits."""
        return self.count_between(TimeRange(end_ms=min(watermark_ms + 1, TIMESTAMP_MS_MAX)), 0, cut_offset)

    def _leaf_slices(self, span: TimeRange, first_offset: int = 0, end_offset: int = OFFSET_MAX) -> Iterator[Block]:
        first, end = self._leaves.rows_of(span)
        bounds = self._leaves.bounds[first:end]
        hits = np.flatnonzero((bounds["last_offset"] >= first_offset) & (bounds["first_offset"] < end_offset))
        for row in hits.tolist():
            yield _clipped(self._leaves.blocks[first + row], span)

    def _late_slices(self, span: TimeRange) -> list[Block]:
        slices = [_clipped(run, span) for run in self._late]
        return [part for part in slices if len(part)]


class TimeIndex:
    """The live events of one partition. One thread writes; snapshots go anywhere.

    Invariants: leaves and tail are in total order without overlap; every late run is sorted; offsets of inserts rise.
    """

    __slots__ = (
        "_attributes", "_count", "_high_water_ms", "_late_count", "_late_runs", "_leaves", "_loose", "_merging",
        "_next_offset", "_partition", "_row_dtypes", "_tail",
    )  # fmt: skip

    def __init__(self, partition: int, schema: Schema | None = None) -> None:
        """Without a schema only timestamps and offsets are kept."""
        schema = schema or _NO_SCHEMA
        attributes, aggregates = schema.attributes, schema.aggregates
        self._partition = partition
        self._attributes = {name: _DTYPES[kind] for name, kind in attributes.items()}
        self._row_dtypes = {name: row_dtype(is_double=attributes[name] is AttributeType.DOUBLE) for name in aggregates}
        self._leaves = Leaves(partition, self._row_dtypes)
        self._tail = Tail(partition, self._attributes)
        # Sorted runs, largest first, and what has not become a run yet.
        self._late_runs: list[Block] = []
        self._loose: list[Block] = []
        self._late_count = 0
        # What is left of the run on its way into the leaves; older than all other late events.
        self._merging: Block | None = None
        self._count = 0
        self._next_offset = 0
        self._high_water_ms = TIMESTAMP_MS_MIN

    @property
    def partition(self) -> int:
        return self._partition

    @property
    def count(self) -> int:
        return self._count

    @property
    def next_offset(self) -> int:
        """Every inserted event lies below; the next insert must not."""
        return self._next_offset

    def insert(self, timestamps: Int64Array, offsets: Int64Array, columns: Mapping[str, Column] | None = None) -> None:
        """Add events in rising order of their offsets, all at or above `next_offset`; arrays are copied or taken.

        `columns` holds every attribute of the schema. The arrays must not change afterwards.
        """
        event_count = len(timestamps)
        if event_count == 0:
            return
        block = Block(timestamps, repeated(self._partition, event_count), offsets, columns or {})
        assert block.columns.keys() == self._attributes.keys(), f"columns {list(block.columns)}"
        assert int(offsets[0]) >= self._next_offset, f"offset {offsets[0]} after {self._next_offset - 1}"
        assert bool((offsets[1:] > offsets[:-1]).all()), "offsets do not rise"
        self._next_offset = int(offsets[-1]) + 1
        self._count += event_count
        late_count = 0
        if int(timestamps[0]) < self._high_water_ms or bool((timestamps[1:] < timestamps[:-1]).any()):
            # Stable, so that ties stay in offset order.
            block = taken(block, np.argsort(timestamps, kind="stable"))
            late_count = int(block.timestamps.searchsorted(self._high_water_ms, "left"))
        if late_count:
            self._add_late(sliced(block, 0, late_count))
        if late_count < event_count:
            self._high_water_ms = int(block.timestamps[-1])
            self._append(block, late_count)
        if self._merging is not None:
            self._merge_some(MERGE_LEAVES + late_count // MERGE_EVENTS_PER_LEAF)
        if self._late_count >= LATE_EVENTS_MAX:
            self._begin_merge()

    def snapshot(self, read_records: RecordReader | None = None) -> IndexSnapshot:
        """The events as they are now. `read_records` fetches the records behind them, where a query wants those."""
        if self._loose:
            self._settle_loose(is_run=False)
        merging = () if self._merging is None else (self._merging,)
        late = (*merging, *self._late_runs, *self._loose)
        return IndexSnapshot(self._partition, self._leaves.view(), self._tail.view(), late, read_records or _no_records)

    def discard(self, cut_offset: int, watermark_ms: int) -> int:
        """Drop the events with an offset below the cut and a timestamp at or below the watermark; returns how many.

        They have been sealed: from now on a run of history holds them.
        """
        before = self._count
        self._settle_loose(is_run=True)
        self._discard_leaves(cut_offset, watermark_ms)
        tail = self._tail.view()
        if (kept := _without(tail, cut_offset, watermark_ms)) is not tail:
            self._tail = Tail(self._partition, self._attributes)
            self._append(kept, 0)
        runs = [_without(run, cut_offset, watermark_ms) for run in self._late_runs]
        self._late_runs = [run for run in runs if len(run)]
        self._late_count = sum(len(run) for run in self._late_runs)
        self._count = self._leaves.view().event_count + len(self._tail) + self._late_count
        if self._merging is not None:
            merging = _without(self._merging, cut_offset, watermark_ms)
            self._merging = merging if len(merging) else None
            self._count += len(merging)
        if not self._count:
            # Nothing is left that a later event could tie with.
            self._high_water_ms = TIMESTAMP_MS_MIN
        return before - self._count

    def _discard_leaves(self, cut_offset: int, watermark_ms: int) -> None:
        bounds = self._leaves.view().bounds
        may_hold = (bounds["first_ms"] <= watermark_ms) & (bounds["first_offset"] < cut_offset)
        is_sealed = may_hold & (bounds["last_ms"] <= watermark_ms) & (bounds["last_offset"] < cut_offset)
        if not may_hold.any():
            return
        copy = Leaves(self._partition, self._row_dtypes, len(self._leaves))
        # What is left of neighbouring leaves is put together, so that no leaf stays small for long.
        rest: list[Block] = []
        done = 0
        for row in [*np.flatnonzero(may_hold).tolist(), len(self._leaves)]:
            if done < row:
                self._close_rest(copy, rest)
                copy.extend(self._leaves, done, row)
            done = row + 1
            if row == len(self._leaves) or is_sealed[row]:
                continue
            kept = _without(self._leaves.blocks[row], cut_offset, watermark_ms)
            if sum(map(len, rest)) + len(kept) > BLOCK_EVENTS:
                self._close_rest(copy, rest)
            if len(kept):
                rest.append(kept)
        self._close_rest(copy, rest)
        self._leaves = copy

    def _close_rest(self, leaves: Leaves, rest: list[Block]) -> None:
        if rest:
            leaves.append(self._joined(rest))
            rest.clear()

    def _append(self, block: Block, start: int) -> None:
        """Copy the events from `start` on to the end of the main sequence."""
        while start < len(block):
            if not self._tail.can_follow(block):
                self._close_tail()
            start += self._tail.append(block, start)
            if len(self._tail) == BLOCK_EVENTS:
                self._close_tail()

    def _close_tail(self) -> None:
        if len(self._tail):
            self._leaves.append(self._tail.view())
        self._tail = Tail(self._partition, self._attributes, BLOCK_EVENTS)

    def _add_late(self, block: Block) -> None:
        self._loose.append(block)
        self._late_count += len(block)
        if sum(len(loose) for loose in self._loose) >= LATE_RUN_EVENTS_MIN:
            self._settle_loose(is_run=True)
        elif len(self._loose) >= LOOSE_BLOCKS_MAX:
            self._settle_loose(is_run=False)

    def _settle_loose(self, *, is_run: bool) -> None:
        """Sort the loose late events into one block, which becomes a run or stays loose."""
        if len(self._loose) > 1:
            self._loose = [self._joined(self._loose)]
        if not (is_run and self._loose):
            return
        runs = self._late_runs
        runs.append(self._loose.pop())
        while len(runs) > 1 and len(runs[-2]) < 2 * len(runs[-1]):
            runs[-2:] = [self._joined(runs[-2:])]

    def _begin_merge(self) -> None:
        """Make one run of all late events, which the next inserts merge into the leaves."""
        while self._merging is not None:
            self._merge_some(len(self._leaves))
        self._settle_loose(is_run=True)
        self._merging = self._joined(self._late_runs)
        self._late_runs, self._late_count = [], 0
        # Every event of the run is below the high-water mark: from here on the tail begins at or above it.
        self._close_tail()

    def _merge_some(self, leaf_count: int) -> None:
        """Merge the end of the run into the leaves that it hits, at most `leaf_count` of them."""
        run, leaves = self._merging, self._leaves
        assert run is not None, "no run to merge"
        firsts: Int64Array = leaves.view().bounds["first_ms"]
        hits: list[tuple[int, int, int]] = []
        start = len(run)
        while start and len(hits) < max(1, leaf_count):
            # A late event belongs into the last leaf that begins at or before it: behind all that tie with it.
            home = int(firsts.searchsorted(int(run.timestamps[start - 1]), "right")) - 1
            end, start = start, int(run.timestamps.searchsorted(int(firsts[home]), "left")) if home > 0 else 0
            hits.append((max(home, 0), start, end))
        copy = Leaves(self._partition, self._row_dtypes, len(leaves) + len(hits))
        done = 0
        for home, first, end in reversed(hits):
            copy.extend(leaves, done, min(home, len(leaves)))
            for block in _split(self._joined([*leaves.blocks[home : home + 1], sliced(run, first, end)])):
                copy.append(block)
            done = home + 1
        copy.extend(leaves, min(done, len(leaves)), len(leaves))
        self._leaves = copy
        self._merging = sliced(run, 0, start) if start else None

    def _joined(self, blocks: Sequence[Block]) -> Block:
        """One sorted block of them all; where timestamps tie, the earlier block has the lower offsets."""
        whole = combined([Part(block, 0, len(block)) for block in blocks])
        return Block(whole.timestamps, repeated(self._partition, len(whole)), whole.offsets, whole.columns)


def _clipped(block: Block, span: TimeRange) -> Block:
    ts = block.timestamps
    if not len(ts) or (ts[0] >= span.first_ms and ts[-1] < span.end_ms):
        return block
    start, end = int(ts.searchsorted(span.first_ms, "left")), int(ts.searchsorted(span.end_ms, "left"))
    return sliced(block, start, max(start, end))


def _projected(block: Block, attributes: Sequence[str]) -> Block:
    columns = {name: block.columns[name] for name in attributes}
    return Block(block.timestamps, block.partitions, block.offsets, columns)


def _between(blocks: Iterator[Block] | Sequence[Block], first_offset: int, end_offset: int) -> Iterator[Block]:
    for block in blocks:
        is_wanted = (block.offsets >= first_offset) & (block.offsets < end_offset)
        if is_wanted.all():
            if len(block):
                yield block
        elif is_wanted.any():
            yield taken(block, is_wanted)


def _without(block: Block, cut_offset: int, watermark_ms: int) -> Block:
    """The block without its sealed events; the same object if it has none."""
    is_sealed = (block.offsets < cut_offset) & (block.timestamps <= watermark_ms)
    return taken(block, ~is_sealed) if is_sealed.any() else block


def _split(block: Block) -> list[Block]:
    """The block itself up to twice the usual size, else in even pieces of about that size."""
    if len(block) <= 2 * BLOCK_EVENTS:
        return [block]
    pieces = -(-len(block) // BLOCK_EVENTS)
    edges = [len(block) * i // pieces for i in range(pieces + 1)]
    return [sliced(block, start, end) for start, end in pairwise(edges)]


def _no_records(partitions: Int32Array, offsets: Int64Array) -> list[Record]:
    raise AssertionError(f"a snapshot without a record reader was asked for {len(partitions)}, {len(offsets)} records")
