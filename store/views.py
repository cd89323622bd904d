"""From an event to its rank in each view, in bulk; the way back, from ranks to events, is `emission.Ledger.portions`.

A rank is the number of events that a view shows before this one: whole ticks before it, then its tick's late events,
then the fresh ones, each in event order. So it follows from the ledger's counts and from the event's place among those
of its own tick, and later ticks cannot change it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .blocks import Block, BoolArray, Int64Array
from .emission import Ledger, Portion, ViewKind
from .ticks import LatePolicy

NOT_SHOWN = -1


class Ranks(NamedTuple):
    """One row per event; `NOT_SHOWN` where a view leaves the event out (late under SIDE; not late in `late`)."""

    time: Int64Array
    keyed: Int64Array
    late: Int64Array


class RankCounter:
    """Gives the events of a ledger's ticks their ranks. It must see all events of a class of a tick, in event order.

    The classes are late and fresh: whoever asks for the late events only need not show it the fresh ones.
    """

    __slots__ = ("_keyed_next", "_late_next", "_partition_count", "_policies", "_time_next")

    def __init__(self, ledger: Ledger) -> None:
        shape = (len(ledger.ticks), ledger.partition_count)
        late, fresh = (np.array(counts, np.int64).reshape(shape) for counts in (ledger.late, ledger.fresh))
        self._partition_count = ledger.partition_count
        self._policies = np.array([tick.policy for tick in ledger.ticks], np.int64)
        shown = np.where((self._policies == LatePolicy.SIDE)[:, None], 0, late)
        before = ledger.totals_before
        # The next rank of each class of each tick; classes in emission order: late, fresh.
        classes = np.stack([shown, fresh], axis=1)
        self._keyed_next = _firsts(classes, np.array(before.fresh, np.int64) + np.array(before.shown_late, np.int64))
        whole = classes.sum(axis=2, keepdims=True)
        self._time_next = _firsts(whole, np.array([before.end_rank(ViewKind.TIME, 0, 0)]))
        self._late_next = _firsts(late.sum(axis=1)[:, None, None], np.array([before.end_rank(ViewKind.LATE, 0, 0)]))

    def ranks_of(self, block: Block, ticks: Int64Array, is_late: BoolArray) -> Ranks:
        """`ticks` and `is_late` as `TickTable.classify` says, every tick inside the ledger."""
        classes = ticks * 2 + ~is_late
        time = _take(self._time_next, classes)
        keyed = _take(self._keyed_next, classes * self._partition_count + block.partitions)
        is_hidden = is_late & (self._policies[ticks] == LatePolicy.SIDE)
        time[is_hidden] = keyed[is_hidden] = NOT_SHOWN
        late = np.full(len(block), NOT_SHOWN, np.int64)
        late[is_late] = _take(self._late_next, ticks[is_late])
        return Ranks(time, keyed, late)


def rows_of(portion: Portion, block: Block) -> NDArray[np.intp]:
    """The rows of a block that belong to a portion's tick and class, `skip` and `end_rank` not yet heeded."""
    span = portion.span
    rows = np.flatnonzero((block.timestamps >= span.first_ms) & (block.timestamps < span.end_ms))
    if portion.partition is not None:
        rows = rows[block.partitions[rows] == portion.partition]
    partitions, offsets = block.partitions[rows], block.offsets[rows]
    inside = np.zeros(len(rows), np.bool_)
    for partition in np.unique(partitions).tolist():
        mine = partitions == partition
        cut_from, cut_to = portion.cut_from(partition), portion.cut_to(partition)
        inside[mine] = (offsets[mine] >= cut_from) & (offsets[mine] < cut_to)
    return rows[inside]


def _firsts(counts: NDArray[np.int64], before: Int64Array) -> Int64Array:
    """(tick, class, partition) -> the rank at which its events begin, flattened."""
    in_order = counts.reshape(-1, counts.shape[2])
    firsts = in_order.cumsum(axis=0) - in_order + before
    return firsts.reshape(-1)


def _take(next_ranks: Int64Array, groups: Int64Array) -> Int64Array:
    """The next rank of each event's group, counting on within the group in the order given."""
    if not len(groups):
        return np.zeros(0, np.int64)
    order = np.argsort(groups, kind="stable")
    sorted_groups = groups[order]
    starts = np.flatnonzero(np.diff(sorted_groups, prepend=sorted_groups[0] - 1))
    counts = np.diff(starts, append=len(groups))
    ranks = np.empty(len(groups), np.int64)
    ranks[order] = np.arange(len(groups)) - np.repeat(starts, counts) + next_ranks[sorted_groups]
    next_ranks[sorted_groups[starts]] += counts
    return ranks
