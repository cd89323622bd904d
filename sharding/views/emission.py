"""What the unsealed ticks of a topic have emitted: its ledger and late events, a tick at a time."""

from collections.abc import Sequence

import numpy as np

from store.blocks import Block, Column
from store.emission import Ledger, Totals
from store.events import TIMESTAMP_MS_MIN, TimeRange
from store.merge import merge
from store.ticks import Tick
from store.time_index import IndexSnapshot

from .stretches import SOURCE, Stretch


class LiveEmission:
    """Owned by the loop. `ledger` and `late` only grow, until sealing replaces both; a stretch keeps what it was given.

    Invariant: every event of the ledger's ticks is in the live indexes that the snapshots are taken from.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.late: dict[int, Block] = {}

    def emit(self, tick: Tick, snapshots: Sequence[IndexSnapshot]) -> None:
        """Count what the next tick emits; every partition must be indexed up to the tick's cut."""
        before = self.ledger.last
        late_span = TimeRange(first_ms=TIMESTAMP_MS_MIN, end_ms=before.watermark_ms + 1)
        first_ms = TIMESTAMP_MS_MIN if before.number == 0 else before.watermark_ms + 1
        fresh_span = TimeRange(first_ms=first_ms, end_ms=tick.watermark_ms + 1)
        late_blocks: list[Block] = []
        late_counts: list[int] = []
        fresh_counts: list[int] = []
        for partition, snapshot in enumerate(snapshots):
            cut = tick.cut[partition] if partition < len(tick.cut) else 0
            cut_before = before.cut[partition] if partition < len(before.cut) else 0
            fresh_counts.append(snapshot.count_between(fresh_span, 0, cut))
            late = [] if before.number == 0 else list(snapshot.scan(late_span, cut_before, cut))
            late_counts.append(sum(map(len, late)))
            late_blocks += late
        self.ledger.append(tick, late_counts, fresh_counts)
        if late_blocks:
            self.late[tick.number] = _in_order(late_blocks)

    def discard(self, sealed: Tick, totals: Totals) -> None:
        """The ticks up to this one are sealed, with these totals."""
        if sealed.number > self.ledger.last.number:
            # The index lags behind: what it had not counted yet it need not count any more.
            self.ledger = Ledger(sealed, totals, self.ledger.partition_count)
        else:
            self.ledger = self.ledger.after(sealed.number, totals)
        self.late = {number: block for number, block in self.late.items() if number > sealed.number}

    def stretch(self, snapshots: Sequence[IndexSnapshot]) -> Stretch:
        return Stretch(self.ledger, self.late, snapshots, len(snapshots), is_by_partition=True)


def _in_order(blocks: Sequence[Block]) -> Block:
    """One block in event order; its source is its partition's number."""
    parts = list(merge([iter((block,)) for block in blocks]))
    partitions = np.concatenate([part.partitions for part in parts])
    return Block(
        np.concatenate([part.timestamps for part in parts]),
        partitions,
        np.concatenate([part.offsets for part in parts]),
        {SOURCE: Column(partitions)},
    )
