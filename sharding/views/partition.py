"""One partition of a view: fulfils `interfaces.PartitionApi`, read-only, on the node that leads the viewed partition.

Offsets are ranks of emission. The high watermark is the end rank of the last tick that may be shown (`shown`): its
events are indexed, and all below it is final, so both isolation levels show the same. Batches are made from records
when they are read, in a worker thread; the same rank always carries the same record, whether it comes from live data or
from runs, and on whichever node. They carry no leader epoch: nothing of a view is ever taken back.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import anyio
import anyio.to_thread
import msgspec

from store.batches import BatchHeader, build
from store.emission import Ledger, ViewKind
from store.errors import DamagedRunError
from store.events import Record
from store.merge import sliced

from ..barriers import pass_barrier
from ..errors import (
    FencedLeaderEpochError,
    InvalidTopicError,
    NotLeaderError,
    OffsetOutOfRangeError,
    UnknownLeaderEpochError,
)
from ..historic import HistoricSplit
from ..interfaces import Appended, Fetched, FoundOffset, Topic
from ..live import LiveTopic
from ..shard import Shard
from ..shard_state import Chain
from .stretches import Emitted, Key, Stretch, emitted, first_at_or_after, greatest, records_of

BATCH_RECORDS_MAX = 1000
FIRST_RECORDS = 64
# What a record takes in a batch beside its key, value and headers, about.
RECORD_BYTES = 12
PLACES_MAX = 1024

MakeStretch = Callable[[], Stretch]


class ViewedTopic(Protocol):
    """What the views of a topic are made from."""

    @property
    def live_or_none(self) -> LiveTopic | None: ...
    @property
    def historic(self) -> Sequence[HistoricSplit]: ...
    def check_readable(self) -> None:
        """Raises: OffsetNotAvailableError while a run of the topic cannot be read here."""
        ...

    def on_unreadable(self) -> None:
        """A run of the topic could not be read."""
        ...

    def shown_or_none(self, shard: Shard) -> int | None:
        """The last tick that the view partitions of a shard show; None while they are not served here."""
        ...


class ViewPartition:
    """See the module's docstring. `shard` and `chain` are those of the viewed partition."""

    def __init__(
        self,
        view: Topic,
        kind: ViewKind,
        index: int,
        viewed: ViewedTopic,
        led_by: tuple[Shard, Chain],
        limiter: anyio.CapacityLimiter,
    ) -> None:
        self.topic = view
        self.index = index
        self._kind = kind
        self.viewed = viewed
        self._shard, self._chain = led_by
        self._limiter = limiter
        # Rank -> the event before it, where a reader has stopped: it will go on there.
        self._places: OrderedDict[int, Key] = OrderedDict()
        # The term in which this node served the partition last, and its bounds then.
        self._served_term = -1
        self._start = self._end = 0

    @property
    def chain(self) -> Chain:
        return self._chain

    def check_ready(self) -> None:
        """Raises: NotLeaderError while its high watermark may be below one that was served before."""
        if not self._shard.is_leader:
            raise NotLeaderError(self._shard.group.leader_or_none)
        if not self._follow_shown():
            raise NotLeaderError

    @property
    def leader_epoch(self) -> int:
        return self._chain.newest.leader_epoch(self._shard.term)

    @property
    def log_start(self) -> int:
        if historic := self.viewed.historic:
            first = historic[0]
            self._start = first.totals_before.end_rank(self._kind, self.index, first.first_tick - 1)
        elif (ledger := self._ledger_or_none) is not None:
            self._start = self._end_rank(ledger, ledger.before.number)
        return self._start

    @property
    def high_watermark(self) -> int:
        self._follow_shown()
        return self._end

    @property
    def last_stable_offset(self) -> int:
        return self.high_watermark

    def append(
        self,
        batch: memoryview,
        header: BatchHeader,
        *,
        acks: int,
        now_ms: int,
        on_done: Callable[[Appended | Exception], None],
    ) -> None:
        del batch, header, acks, now_ms, on_done
        raise InvalidTopicError(f"{self.topic.name} is a view: produce to its topic")

    async def read(self, offset: int, bytes_max: int, *, is_committed_only: bool = True) -> Fetched:
        del is_committed_only
        self.check_ready()
        self.viewed.check_readable()
        if offset > self.high_watermark:
            # Who has this offset got it from a leader: maybe from one that came after this one.
            await self.confirm()
            self.viewed.check_readable()
        log_start, end = self.log_start, self.high_watermark
        if not log_start <= offset <= end:
            raise OffsetOutOfRangeError(offset, log_start, end)
        if offset == end:
            return Fetched((), 0, end, end, log_start)
        makers, after = self._stretches_from(offset), self._places.get(offset)

        def fetch() -> tuple[list[memoryview], tuple[int, Key] | None]:
            if self._kind is ViewKind.TICKS:
                rows, place = list(_tick_records(makers, offset, end, bytes_max)), None
            else:
                rows, place = self._records(makers, offset, end, bytes_max, after)
            return _batches(rows), place

        try:
            batches, place = await anyio.to_thread.run_sync(fetch, limiter=self._limiter)
        except DamagedRunError:
            self.viewed.on_unreadable()
            raise
        if place is not None:
            self._places[place[0]] = place[1]
            self._places.move_to_end(place[0])
            while len(self._places) > PLACES_MAX:
                self._places.popitem(last=False)
        return Fetched(batches, sum(map(len, batches)), end, end, log_start)

    async def confirm(self) -> None:
        self.check_ready()
        await pass_barrier(self._shard)
        self.check_ready()

    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:
        undo_emitted = self._live.watch_emitted(on_change)
        undo_role = self._shard.observe_roles(lambda _change: on_change())

        def undo() -> None:
            undo_emitted()
            undo_role()

        return undo

    async def offset_of_time(self, timestamp_ms: int) -> FoundOffset | None:
        self.check_ready()
        self.viewed.check_readable()
        makers = self._stretches_from(self.log_start)

        def find() -> tuple[int, int] | None:
            for make in makers:
                stretch = make()
                if self._kind is ViewKind.TICKS:
                    tick = stretch.ledger.tick_at_time(timestamp_ms)
                    found = None if tick is None else (tick.number - 1, tick.watermark_ms)
                else:
                    found = first_at_or_after(stretch, self._kind, self.index, timestamp_ms)
                if found is not None:
                    return found
            return None

        return self._found(await anyio.to_thread.run_sync(find, limiter=self._limiter))

    async def offset_of_greatest_time(self) -> FoundOffset | None:
        self.check_ready()
        self.viewed.check_readable()
        makers = self._stretches_from(self.log_start)

        def find() -> tuple[int, int] | None:
            best: tuple[int, int] | None = None
            for make in makers:
                ledger = (stretch := make()).ledger
                if self._kind is ViewKind.TICKS:
                    found = (ledger.last.number - 1, ledger.last.watermark_ms) if ledger.ticks else None
                else:
                    found = greatest(stretch, self._kind, self.index)
                if found is not None and (best is None or found[1] > best[1]):
                    best = found
            return best

        return self._found(await anyio.to_thread.run_sync(find, limiter=self._limiter))

    def end_of_epoch(self, leader_epoch: int) -> tuple[int, int]:
        """What a view has shown is never taken back: every known epoch ends at the high watermark."""
        self.check_ready()
        return (-1, -1) if leader_epoch > self.leader_epoch else (leader_epoch, self.high_watermark)

    def check_epoch(self, leader_epoch: int) -> None:
        if leader_epoch == -1:
            return
        self.check_ready()
        current = self.leader_epoch
        if leader_epoch < current:
            raise FencedLeaderEpochError(f"leader epoch {leader_epoch}, now {current}")
        if leader_epoch > current:
            raise UnknownLeaderEpochError(f"leader epoch {leader_epoch}, now {current}")

    def _follow_shown(self) -> bool:
        """Raise the end to what may be shown now; False if this node does not serve the partition now."""
        number = self.viewed.shown_or_none(self._shard)
        ledger = self._ledger_or_none
        if number is None or ledger is None or number > ledger.last.number:
            return False
        if number < ledger.before.number:
            # Just sealed, and not confirmed since: what was shown in this term stays shown.
            return self._served_term == self._shard.term
        end = self._end_rank(ledger, number)
        assert end >= self._end, f"{self.topic.name}-{self.index}: a high watermark of {end} after {self._end}"
        self._end, self._served_term = end, self._shard.term
        return True

    def _end_rank(self, ledger: Ledger, number: int) -> int:
        if self._kind is ViewKind.TICKS:
            return number
        if number == ledger.before.number:
            return ledger.first_rank(self._kind, self.index)
        return ledger.end_ranks_of(number, self._kind)[self.index]

    @property
    def _live(self) -> LiveTopic:
        """Raises: NotLeaderError while it begins anew."""
        if (live := self.viewed.live_or_none) is None or live.ledger_or_none is None:
            raise NotLeaderError
        return live

    @property
    def _ledger_or_none(self) -> Ledger | None:
        return None if self.viewed.live_or_none is None else self.viewed.live_or_none.ledger_or_none

    def _found(self, found: tuple[int, int] | None) -> FoundOffset | None:
        return None if found is None else FoundOffset(found[0], found[1], self.leader_epoch)

    def _stretches_from(self, rank: int) -> list[MakeStretch]:
        """The stretches with this rank and all later ones, in order, to be opened in a worker thread.

        Called in the loop: historic splits and live snapshot are of the same moment.
        """
        makers: list[MakeStretch] = [
            split.stretch
            for split in self.viewed.historic
            if split.totals.end_rank(self._kind, self.index, split.last_tick.number) > rank
        ]
        live = self._live.stretch()
        return [*makers, lambda: live]

    def _records(
        self, makers: Sequence[MakeStretch], first_rank: int, end_rank: int, bytes_max: int, after: Key | None
    ) -> tuple[list[Record], tuple[int, Key] | None]:
        """Records from `first_rank` on, about `bytes_max` bytes, at least one; and (rank reached, event before it)."""
        rows: list[Record] = []
        size = 0
        last: Emitted | None = None
        for make in makers:
            stretch = make()
            for part in emitted(stretch, self._kind, self.index, first_rank + len(rows), end_rank, after):
                done = 0
                while done < len(part.block):
                    mean = size / len(rows) if rows else bytes_max / FIRST_RECORDS
                    count = min(BATCH_RECORDS_MAX, max(1, int((bytes_max - size) / max(1.0, mean))))
                    last = Emitted(sliced(part.block, done, done + count), part.first_rank + done, part.is_late)
                    done += len(last.block)
                    read = records_of(stretch, last)
                    size += sum(map(_size_of, read))
                    rows += read
                    if size >= bytes_max:
                        return rows, _place_after(last)
            after = None
        return rows, None if last is None else _place_after(last)


def _place_after(part: Emitted) -> tuple[int, Key]:
    block = part.block
    return part.end_rank, (int(block.timestamps[-1]), int(block.partitions[-1]), int(block.offsets[-1]))


def _size_of(record: Record) -> int:
    headers = sum(len(name) + len(value or b"") + 2 for name, value in record.headers)
    return RECORD_BYTES + len(record.key or b"") + len(record.value or b"") + headers


def _batches(rows: Sequence[Record]) -> list[memoryview]:
    parts = (rows[first : first + BATCH_RECORDS_MAX] for first in range(0, len(rows), BATCH_RECORDS_MAX))
    return [memoryview(build(part, base_offset=part[0].offset)) for part in parts]


class _Ends(msgspec.Struct):
    time: int
    keyed: list[int]
    late: int


class _TickValue(msgspec.Struct):
    """A record of `t.__ticks`: W in ms, and the end rank of each view partition."""

    n: int
    watermark: int
    ends: _Ends


def _tick_records(makers: Sequence[MakeStretch], first: int, end: int, bytes_max: int) -> Iterator[Record]:
    size = 0
    for make in makers:
        ledger = make().ledger
        for tick in ledger.ticks[max(0, first - ledger.before.number) :]:
            number = tick.number
            if number > end or size >= bytes_max:
                return
            ends = _Ends(
                ledger.end_ranks_of(number, ViewKind.TIME)[0],
                ledger.end_ranks_of(number, ViewKind.KEYED),
                ledger.end_ranks_of(number, ViewKind.LATE)[0],
            )
            value = msgspec.json.encode(_TickValue(number, tick.watermark_ms, ends))
            size += RECORD_BYTES + len(value)
            yield Record(number - 1, tick.watermark_ms, None, value)
