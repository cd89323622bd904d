"""Which tick emits an event, and the rank that this gives it in each view.

`TickTable` holds consecutive ticks as arrays and classifies events in bulk. `Ledger` adds how many late and fresh
events each of its ticks emits in each partition: from these counts alone follow all ranks of all views. Both serve the
live side (a tick at a time) and the merge job (a split's ticks at once; `pack` is what the main run's footer keeps).

Views of a topic, each a list of partitions with dense ranks from 0:
TIME one partition, emission order (under SIDE without the late events of that tick); KEYED the same per partition of
the topic; LATE one partition, the late events alone, in emission order; TICKS one partition, tick n has rank n - 1.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

import msgspec
import numpy as np
from numpy.typing import NDArray

from .errors import DamagedIndexError
from .events import TIMESTAMP_MS_MIN, TimeRange
from .ticks import LatePolicy, Tick, no_tick

Int64Array = NDArray[np.int64]
Int32Array = NDArray[np.int32]
BoolArray = NDArray[np.bool_]


class ViewKind(Enum):
    """The value is what follows the topic's name and a dot in the view's name."""

    TIME = "__time"
    KEYED = "__time.keyed"
    TICKS = "__ticks"
    LATE = "__late"


class TickTable:
    """Consecutive ticks, and the tick before the first of them."""

    __slots__ = ("_cuts", "_watermarks", "before", "ticks")

    def __init__(self, before: Tick, ticks: Sequence[Tick], partition_count: int) -> None:
        self.before = before
        self.ticks = ticks
        self._watermarks = np.array([tick.watermark_ms for tick in ticks], np.int64)
        # A partition that is younger than a tick had cut 0 in it.
        self._cuts = np.zeros((len(ticks), partition_count), np.int64)
        for row, tick in enumerate(ticks):
            self._cuts[row, : len(tick.cut)] = tick.cut

    def classify(
        self, timestamps: Int64Array, partitions: Int32Array, offsets: Int64Array
    ) -> tuple[Int64Array, BoolArray]:
        """Per event the index of the tick that emits it (-1: an earlier one, len(ticks): none yet), and is it late.

        The second means something only where the index is in [0, len(ticks)).
        """
        by_time = np.searchsorted(self._watermarks, timestamps, "left").astype(np.int64)
        by_offset = np.zeros(len(timestamps), np.int64)
        was_cut = np.zeros(len(timestamps), np.bool_)
        for code in np.unique(partitions):
            partition = int(code)
            rows = partitions == partition
            by_offset[rows] = np.searchsorted(self._cuts[:, partition], offsets[rows], "right")
            cut_before = self.before.cut[partition] if partition < len(self.before.cut) else 0
            was_cut[rows] = offsets[rows] < cut_before
        emitted = np.maximum(by_time, by_offset)
        was_below = timestamps <= self.before.watermark_ms
        is_late = (by_time < by_offset) | was_below
        emitted[was_below & was_cut] = -1
        return emitted, is_late


@dataclass(frozen=True, slots=True)
class Portion:
    """Ranks [first_rank, end_rank) of one view partition: one class of events of one tick, some rows of them skipped.

    The events: timestamp in `span`, offset in [cut_from(p), cut_to(p)) of their partition, partition equal to
    `partition` unless that is None; in event order; from the row `skip` on, `end_rank - first_rank` of them.
    """

    tick: Tick
    before: Tick
    is_late: bool
    partition: int | None
    first_rank: int
    end_rank: int
    skip: int

    @property
    def span(self) -> TimeRange:
        if self.is_late:
            return TimeRange(first_ms=TIMESTAMP_MS_MIN, end_ms=self.before.watermark_ms + 1)
        first_ms = TIMESTAMP_MS_MIN if self.before.number == 0 else self.before.watermark_ms + 1
        return TimeRange(first_ms=first_ms, end_ms=self.tick.watermark_ms + 1)

    def cut_from(self, partition: int) -> int:
        """Late events lie at or above the cut of the tick before."""
        return self.before.cut[partition] if self.is_late and partition < len(self.before.cut) else 0

    def cut_to(self, partition: int) -> int:
        return self.tick.cut[partition] if partition < len(self.tick.cut) else 0


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts over all ticks up to some tick, per partition; `shown_late` are the late ones that `t.__time` shows."""

    fresh: tuple[int, ...]
    late: tuple[int, ...]
    shown_late: tuple[int, ...]

    def end_rank(self, kind: ViewKind, partition: int, tick_number: int) -> int:
        if kind is ViewKind.TICKS:
            return tick_number
        if kind is ViewKind.LATE:
            return sum(self.late)
        if kind is ViewKind.TIME:
            return sum(self.fresh) + sum(self.shown_late)
        return self.fresh[partition] + self.shown_late[partition]


def no_totals(partition_count: int) -> Totals:
    nothing = (0,) * partition_count
    return Totals(nothing, nothing, nothing)


class Ledger:
    """Consecutive ticks with what each emitted, and the totals before the first of them. Grows at the end only."""

    __slots__ = ("_bounds", "before", "fresh", "late", "partition_count", "ticks", "totals", "totals_before")

    def __init__(self, before: Tick, totals_before: Totals, partition_count: int) -> None:
        self.partition_count = partition_count
        self.before = before
        self.totals_before = _widened(totals_before, partition_count)
        self.totals = self.totals_before
        self.ticks: list[Tick] = []
        self.late: list[tuple[int, ...]] = []
        self.fresh: list[tuple[int, ...]] = []
        # Per view partition two ranks per tick: the end of its late portion, the end of its fresh portion.
        self._bounds: dict[tuple[ViewKind, int], array[int]] = {}
        for kind, partition in self._view_partitions():
            self._bounds[kind, partition] = array("q")

    @property
    def last(self) -> Tick:
        return self.ticks[-1] if self.ticks else self.before

    def append(self, tick: Tick, late: Sequence[int], fresh: Sequence[int]) -> None:
        """What the successor of `last` emits, per partition."""
        assert tick.number == self.last.number + 1, f"tick {tick.number} after {self.last.number}"
        assert len(late) == len(fresh) == self.partition_count, f"{len(late)}, {len(fresh)} of {self.partition_count}"
        self.ticks.append(tick)
        self.late.append(tuple(late))
        self.fresh.append(tuple(fresh))
        shown = (0,) * len(late) if tick.policy is LatePolicy.SIDE else late
        after_late = Totals(self.totals.fresh, _sums(self.totals.late, late), _sums(self.totals.shown_late, shown))
        after = Totals(_sums(self.totals.fresh, fresh), after_late.late, after_late.shown_late)
        for (kind, partition), bounds in self._bounds.items():
            bounds.append(after_late.end_rank(kind, partition, tick.number))
            bounds.append(after.end_rank(kind, partition, tick.number))
        self.totals = after

    def end_rank(self, kind: ViewKind, partition: int) -> int:
        return self.totals.end_rank(kind, partition, self.last.number)

    def first_rank(self, kind: ViewKind, partition: int) -> int:
        return self.totals_before.end_rank(kind, partition, self.before.number)

    def end_ranks_of(self, tick_number: int, kind: ViewKind) -> list[int]:
        """The end rank of each partition of a view as of a tick of this ledger."""
        at = 2 * (tick_number - self.before.number) - 1
        count = self.partition_count if kind is ViewKind.KEYED else 1
        return [self._bounds[kind, partition][at] for partition in range(count)]

    def portions(self, kind: ViewKind, partition: int, first_rank: int, end_rank: int) -> Iterator[Portion]:
        """The ranks [first_rank, end_rank), clipped to this ledger, as portions in rank order. Not for TICKS."""
        bounds = self._bounds[kind, partition]
        rank = max(first_rank, self.first_rank(kind, partition))
        end_rank = min(end_rank, self.end_rank(kind, partition))
        at = bisect_right(bounds, rank)
        while rank < end_rank:
            start = bounds[at - 1] if at else self.first_rank(kind, partition)
            if (end := min(bounds[at], end_rank)) > rank:
                row = at // 2
                before = self.ticks[row - 1] if row else self.before
                of = partition if kind is ViewKind.KEYED else None
                yield Portion(self.ticks[row], before, at % 2 == 0, of, rank, end, rank - start)
                rank = end
            at += 1

    def tick_at_time(self, timestamp_ms: int) -> Tick | None:
        """The first tick with watermark >= timestamp_ms, or None."""
        row = bisect_right(self.ticks, timestamp_ms - 1, key=lambda tick: tick.watermark_ms)
        return self.ticks[row] if row < len(self.ticks) else None

    def totals_at(self, tick_number: int) -> Totals:
        """As of `before` or one of `ticks`."""
        count = self._row_after(tick_number)
        if count == len(self.ticks):
            return self.totals
        start = self.totals_before
        shown = [row for row in range(count) if self.ticks[row].policy is not LatePolicy.SIDE]
        return Totals(
            _sums(start.fresh, self._summed(self.fresh[:count])),
            _sums(start.late, self._summed(self.late[:count])),
            _sums(start.shown_late, self._summed([self.late[row] for row in shown])),
        )

    def after(self, tick_number: int, totals: Totals | None = None) -> "Ledger":
        """The same without the ticks up to this one, which must be `before` or one of `ticks`.

        `totals` are as of that tick, for a caller who knows them.
        """
        first = self._row_after(tick_number)
        before = self.ticks[first - 1] if first else self.before
        return self._part(before, totals or self.totals_at(tick_number), slice(first, None), self.totals)

    def head(self, tick_number: int) -> "Ledger":
        """The same with the ticks up to this one only."""
        end = self._row_after(tick_number)
        return self._part(self.before, self.totals_before, slice(0, end), self.totals_at(tick_number))

    def pack(self) -> bytes:
        """msgpack, about (24 + 24 x partitions) bytes per tick; `unpack` reads it back."""
        return msgspec.msgpack.encode(
            _Packed(
                _packed_tick(self.before),
                [
                    list(counts)
                    for counts in (self.totals_before.fresh, self.totals_before.late, self.totals_before.shown_late)
                ],
                [_packed_tick(tick) for tick in self.ticks],
                self.late,
                self.fresh,
                self.partition_count,
            )
        )

    @staticmethod
    def unpack(data: bytes) -> "Ledger":
        """Raises: DamagedIndexError."""
        try:
            packed = msgspec.msgpack.decode(data, type=_Packed)
            fresh, late, shown = (tuple(counts) for counts in packed.totals_before)
            ledger = Ledger(_tick_of(packed.before), Totals(fresh, late, shown), packed.partition_count)
            for tick, of_late, of_fresh in zip(packed.ticks, packed.late, packed.fresh, strict=True):
                ledger.append(_tick_of(tick), of_late, of_fresh)
        except (msgspec.DecodeError, ValueError, AssertionError) as error:
            raise DamagedIndexError(f"not a packed ledger: {error}") from error
        return ledger

    def _row_after(self, tick_number: int) -> int:
        row = tick_number - self.before.number
        assert 0 <= row <= len(self.ticks), f"tick {tick_number} is not in ({self.before.number}, {self.last.number}]"
        return row

    def _part(self, before: Tick, totals_before: Totals, rows: slice, totals: Totals) -> "Ledger":
        """By slices: a ledger of many ticks is cut in the loop."""
        part = Ledger(before, totals_before, self.partition_count)
        part.ticks, part.late, part.fresh = self.ticks[rows], self.late[rows], self.fresh[rows]
        of_bounds = slice(2 * rows.start, None if rows.stop is None else 2 * rows.stop)
        for place, bounds in self._bounds.items():
            part._bounds[place] = bounds[of_bounds]
        part.totals = totals
        return part

    def _summed(self, counts: Sequence[tuple[int, ...]]) -> Sequence[int]:
        return np.array(counts, np.int64).reshape(len(counts), self.partition_count).sum(axis=0).tolist()

    def _view_partitions(self) -> Iterator[tuple[ViewKind, int]]:
        yield ViewKind.TIME, 0
        yield ViewKind.LATE, 0
        for partition in range(self.partition_count):
            yield ViewKind.KEYED, partition


def empty_ledger(partition_count: int) -> Ledger:
    """Before the first tick."""
    return Ledger(no_tick(partition_count), no_totals(partition_count), partition_count)


def _sums(left: Sequence[int], right: Sequence[int]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(left, right, strict=True))


def _widened(totals: Totals, partition_count: int) -> Totals:
    """For partitions that joined since."""
    more = (0,) * (partition_count - len(totals.fresh))
    return Totals(totals.fresh + more, totals.late + more, totals.shown_late + more)


def _packed_tick(tick: Tick) -> tuple[int, int, Sequence[int], int]:
    return tick.number, tick.watermark_ms, tick.cut, int(tick.policy)


def _tick_of(packed: tuple[int, int, Sequence[int], int]) -> Tick:
    return Tick(packed[0], packed[1], tuple(packed[2]), LatePolicy(packed[3]))


class _Packed(msgspec.Struct, array_like=True, frozen=True):
    before: tuple[int, int, Sequence[int], int]
    totals_before: list[list[int]]
    ticks: list[tuple[int, int, Sequence[int], int]]
    late: list[tuple[int, ...]]
    fresh: list[tuple[int, ...]]
    partition_count: int
