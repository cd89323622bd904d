"""From ranks to events: reading a range of a view's ranks as time-range scans of live data or of runs.

A `Stretch` is one piece of a topic's emission: the ledger of some consecutive ticks and the sources that hold exactly
their events (a sealed split: its runs; the unsealed ticks: snapshots of the live indexes, which hold more). Nothing
here waits or locks; it runs in a worker thread.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from store.blocks import Block, Column, Int64Array, Source
from store.emission import Ledger, Portion, ViewKind
from store.events import TIMESTAMP_MS_MAX, Record, TimeRange
from store.merge import merge, sliced, taken
from store.views import rows_of

ORIGIN_HEADER = "timesplit.origin"
LATE_HEADER = "timesplit.late"
SOURCE = "_source"

Key = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Stretch:
    """`late`: per tick number its late events in event order, with column `_source` = index into `sources`.

    The fresh events are in the first `fresh_source_count` sources. With `is_by_partition`, source i holds partition i.
    """

    ledger: Ledger
    late: Mapping[int, Block]
    sources: Sequence[Source]
    fresh_source_count: int
    is_by_partition: bool


class Emitted(NamedTuple):
    """Events of one view partition with consecutive ranks from `first_rank` on; `block` has the column `_source`."""

    block: Block
    first_rank: int
    is_late: bool

    @property
    def end_rank(self) -> int:
        return self.first_rank + len(self.block)


def late_column(block: Block, source: int) -> Block:
    """The block with the column `_source`, the same for every event, and no other."""
    return Block(
        block.timestamps, block.partitions, block.offsets, {SOURCE: Column(np.full(len(block), source, np.int32))}
    )


def emitted(
    stretch: Stretch, kind: ViewKind, partition: int, first_rank: int, end_rank: int, after: Key | None = None
) -> Iterator[Emitted]:
    """The events with these ranks, clipped to the stretch, in rank order.

    `after`: the event of rank `first_rank` - 1, if known; it spares the search for `first_rank` inside a large tick.
    """
    for portion in stretch.ledger.portions(kind, partition, first_rank, end_rank):
        if portion.is_late:
            yield _late(stretch, portion)
        else:
            yield from _fresh(stretch, portion, after)
        after = None


def first_at_or_after(stretch: Stretch, kind: ViewKind, partition: int, timestamp_ms: int) -> tuple[int, int] | None:
    """(rank, timestamp) of the least rank with timestamp >= `timestamp_ms`, or None."""
    ledger = stretch.ledger
    # What earlier ticks emitted lies at or below their watermarks, hence below the time asked for.
    tick = ledger.tick_at_time(timestamp_ms)
    if tick is None:
        return None
    first = _rank_before(ledger, tick.number, kind, partition)
    for portion in ledger.portions(kind, partition, first, ledger.end_rank(kind, partition)):
        rank = portion.first_rank
        for block in _blocks(stretch, portion, portion.span):
            row = int(np.searchsorted(block.timestamps, timestamp_ms, "left"))
            if row < len(block):
                return rank + row, int(block.timestamps[row])
            rank += len(block)
    return None


def greatest(stretch: Stretch, kind: ViewKind, partition: int) -> tuple[int, int] | None:
    """(rank, timestamp) of the first event with the greatest timestamp, or None without events."""
    ledger = stretch.ledger
    best: tuple[int, int] | None = None
    first = ledger.first_rank(kind, partition)
    if kind is not ViewKind.LATE and (tick_number := _last_fresh_tick(ledger, kind, partition)) is not None:
        # Later ticks have late events only; those of earlier ticks are all below this one's watermark before.
        first = _rank_before(ledger, tick_number, kind, partition)
    for portion in ledger.portions(kind, partition, first, ledger.end_rank(kind, partition)):
        rank = portion.first_rank
        for block in _blocks(stretch, portion, portion.span):
            top = int(block.timestamps[-1])
            if best is None or top > best[1]:
                best = rank + int(np.searchsorted(block.timestamps, top, "left")), top
            rank += len(block)
    return best


def records_of(stretch: Stretch, part: Emitted) -> list[Record]:
    """The records as a consumer of the view gets them: offset = rank, two more headers."""
    block = part.block
    sources = block.columns[SOURCE].values
    found: list[Record | None] = [None] * len(block)
    for code in np.unique(sources):
        rows = np.flatnonzero(sources == code)
        read = stretch.sources[int(code)].records(block.partitions[rows], block.offsets[rows])
        assert len(read) == len(rows), f"{len(read)} records of {len(rows)} events"
        for row, record in zip(rows.tolist(), read, strict=True):
            found[row] = record
    late = ((LATE_HEADER, b"1"),) if part.is_late else ()
    shown: list[Record] = []
    for rank, partition, record in zip(
        range(part.first_rank, part.end_rank), block.partitions.tolist(), found, strict=True
    ):
        assert record is not None, "every event has a source"
        origin = f"{partition}:{record.offset}".encode()
        headers = (*record.headers, (ORIGIN_HEADER, origin), *late)
        shown.append(Record(rank, record.timestamp_ms, record.key, record.value, headers))
    return shown


def _late(stretch: Stretch, portion: Portion) -> Emitted:
    block = _late_block(stretch, portion)
    size = portion.end_rank - portion.first_rank
    return Emitted(sliced(block, portion.skip, portion.skip + size), portion.first_rank, is_late=True)


def _late_block(stretch: Stretch, portion: Portion) -> Block:
    block = stretch.late[portion.tick.number]
    if portion.partition is None:
        return block
    return taken(block, block.partitions == portion.partition)


def _fresh(stretch: Stretch, portion: Portion, after: Key | None) -> Iterator[Emitted]:
    rank, span, skip = portion.first_rank, portion.span, portion.skip
    if after is not None and skip and span.covers(after[0]):
        span, skip = TimeRange(first_ms=after[0], end_ms=span.end_ms), 0
    else:
        after = None
    for whole in _blocks(stretch, portion, span):
        block = whole
        if after is not None:
            block = sliced(block, _count_to(block, after), len(block))
            # Only the first timestamp of the span can have events before `after`.
            after = None if len(block) else after
        if skip >= len(block):
            skip -= len(block)
            continue
        block = sliced(block, skip, min(len(block), skip + portion.end_rank - rank))
        skip = 0
        yield Emitted(block, rank, is_late=False)
        rank += len(block)
        if rank == portion.end_rank:
            return
    assert rank == portion.end_rank, f"ranks {rank} to {portion.end_rank} of tick {portion.tick.number} are missing"


def _blocks(stretch: Stretch, portion: Portion, span: TimeRange) -> Iterator[Block]:
    """All events of a portion in event order within the span, `skip` and `end_rank` not heeded; no empty block."""
    if portion.is_late:
        blocks: Iterable[Block] = (_late_block(stretch, portion),)
    else:
        sources = range(stretch.fresh_source_count)
        if portion.partition is not None and stretch.is_by_partition:
            sources = range(portion.partition, portion.partition + 1)
        blocks = merge([_tagged(stretch.sources[source], source, span) for source in sources])
        blocks = (taken(block, rows_of(portion, block)) for block in blocks)
    return (block for block in blocks if len(block))


def _tagged(source: Source, code: int, span: TimeRange) -> Iterator[Block]:
    return (late_column(block, code) for block in source.blocks(span, ()))


def _count_to(block: Block, key: Key) -> int:
    """How many events of the block are at or before the key."""
    timestamp_ms, partition, offset = key
    end = int(np.searchsorted(block.timestamps, timestamp_ms, "right"))
    first = int(np.searchsorted(block.timestamps, timestamp_ms, "left"))
    partitions, offsets = block.partitions[first:end], block.offsets[first:end]
    return first + int(((partitions < partition) | ((partitions == partition) & (offsets <= offset))).sum())


def _rank_before(ledger: Ledger, tick_number: int, kind: ViewKind, partition: int) -> int:
    """The rank at which a tick of the ledger begins in a view partition."""
    if tick_number == ledger.before.number + 1:
        return ledger.first_rank(kind, partition)
    return ledger.end_ranks_of(tick_number - 1, kind)[partition]


def _last_fresh_tick(ledger: Ledger, kind: ViewKind, partition: int) -> int | None:
    for row in range(len(ledger.ticks) - 1, -1, -1):
        counts = ledger.fresh[row]
        if counts[partition] if kind is ViewKind.KEYED else any(counts):
            return ledger.ticks[row].number
    return None


def late_by_tick(ledger: Ledger, ticks: Int64Array, events: Block) -> dict[int, Block]:
    """Late events grouped by the number of their tick, each group in event order; `events` has `_source`."""
    order = np.lexsort((events.offsets, events.partitions, events.timestamps, ticks))
    events, ticks = taken(events, order), ticks[order]
    assert not len(ticks) or ledger.before.number < ticks[0] <= ticks[-1] <= ledger.last.number, (
        "ticks of another split"
    )
    bounds = [*np.flatnonzero(np.diff(ticks, prepend=TIMESTAMP_MS_MAX)).tolist(), len(ticks)]
    return {int(ticks[first]): sliced(events, first, end) for first, end in pairwise(bounds)}
