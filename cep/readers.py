"""How a topic is read: by its committed ticks (a Timesplit view), or as any Kafka topic with a guessed watermark.

A reader takes consumer records and says which events arrived, how far its input is complete, and from which offsets a
later reader has to begin so that it sees every event at or after a given time again. What it remembers for that is
bounded by thinning: with fewer places to begin from, a replay begins earlier and loses nothing.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple

from .errors import SourceError
from .events import NEVER_MS, Event
from .records import Record, Tick, events_of
from .watermarks import GuessedWatermark

PLACES_REMEMBERED_MAX = 4_096

_offset_of = attrgetter("offset")


class Arrived(NamedTuple):
    """New events of one input, those it calls late itself, and its watermark."""

    events: Sequence[Event]
    late: Sequence[Event]
    watermark_ms: int


@dataclass(frozen=True, slots=True)
class Resume:
    """Offsets to begin from, by partition, and what is known before them: tick, watermark, greatest timestamps."""

    offsets: Mapping[int, int]
    tick: int = 0
    watermark_ms: int = NEVER_MS
    greatest_ms: Mapping[int, int] = field(default_factory=dict[int, int])


class _Boundary(NamedTuple):
    tick: int
    watermark_ms: int
    end_rank: int


class ViewReader:
    """Reads `t.__time` up to the end rank of each tick, so that every batch ends exactly at a committed watermark."""

    def __init__(self, stream: int, resume: Resume, *, places_max: int = PLACES_REMEMBERED_MAX) -> None:
        self._stream = stream
        self._next_rank = resume.offsets.get(0, 0)
        self._last = _Boundary(resume.tick, resume.watermark_ms, self._next_rank)
        self._boundaries = deque([self._last])
        self._places_max = places_max
        self._ticks: deque[Tick] = deque()
        self._events: list[Event] = []
        self._late: list[Event] = []

    @property
    def next_tick(self) -> int:
        """The number of the tick that is read next."""
        return (self._ticks[-1].n if self._ticks else self._last.tick) + 1

    def ticks(self, ticks: Iterable[Tick]) -> None:
        """Raises: SourceError when a tick is missing."""
        for tick in ticks:
            if tick.n != self.next_tick:
                raise SourceError(f"tick {tick.n} follows tick {self.next_tick - 1}")
            self._ticks.append(tick)

    def records(self, records: Sequence[Record]) -> None:
        """Raises: SourceError when ranks are missing: the view is not the one that was read before."""
        if not records:
            return
        if records[0].offset != self._next_rank or records[-1].offset != self._next_rank + len(records) - 1:
            raise SourceError(
                f"{len(records)} records of ranks {records[0].offset} to {records[-1].offset} follow"
                f" rank {self._next_rank - 1}"
            )
        events, late = events_of(records, self._stream)
        self._events += events
        self._late += late
        self._next_rank = records[-1].offset + 1

    def arrived(self) -> Arrived:
        """Everything up to the last tick whose events are all here."""
        before = self._last
        while self._ticks and self._ticks[0].ends.time <= self._next_rank:
            tick = self._ticks.popleft()
            self._last = _Boundary(tick.n, tick.watermark, tick.ends.time)
            self._boundaries.append(self._last)
        if self._last is before:
            return Arrived((), (), before.watermark_ms)
        if len(self._boundaries) > self._places_max:
            self._boundaries = deque([boundary for n, boundary in enumerate(self._boundaries) if n % 2 == 0])
        end = self._last.end_rank
        return Arrived(_taken(self._events, end), _taken(self._late, end), self._last.watermark_ms)

    def resume_at(self, needed_ms: int) -> Resume:
        """Where to begin so that every event with timestamp >= needed_ms comes again."""
        boundaries = self._boundaries
        while len(boundaries) > 1 and boundaries[1].watermark_ms < needed_ms:
            boundaries.popleft()
        first = boundaries[0]
        return Resume({0: first.end_rank}, first.tick, first.watermark_ms)


class _Chunk(NamedTuple):
    """Records from `first_offset` to the next chunk; `greatest_ms` of the partition up to and with them."""

    first_offset: int
    greatest_ms: int


class _Partition:
    """What is remembered of one partition of a plain topic: late is what its own earlier records make late."""

    __slots__ = ("before_ms", "chunks", "greatest_ms", "next_offset")

    def __init__(self, next_offset: int, greatest_ms: int) -> None:
        self.next_offset = next_offset
        self.greatest_ms = greatest_ms
        self.before_ms = greatest_ms
        self.chunks: deque[_Chunk] = deque()


class TopicReader:
    """Reads every partition of an ordinary topic; the watermark is a guess from what has been seen.

    An event is late by what stands before it in its own partition: the same on every replay.
    """

    def __init__(
        self, stream: int, resume: Resume, guess: GuessedWatermark, *, places_max: int = PLACES_REMEMBERED_MAX
    ) -> None:
        self._stream = stream
        self._guess = guess
        self._start_ms = resume.watermark_ms
        self._places_max = places_max
        self._partitions = {
            p: _Partition(offset, resume.greatest_ms.get(p, NEVER_MS)) for p, offset in resume.offsets.items()
        }
        self._events: list[Event] = []
        self._late: list[Event] = []

    def records(self, number: int, records: Sequence[Record], now_ms: int, *, is_at_end: bool) -> None:
        """`is_at_end`: there is nothing to read behind these records now."""
        if records:
            partition = self._partitions[number]
            if records[0].offset < partition.next_offset:
                raise SourceError(f"offset {records[0].offset} of partition {number} is not after the last one read")
            partition.next_offset = records[-1].offset + 1
            self._judge(partition, records)
            partition.chunks.append(_Chunk(records[0].offset, partition.greatest_ms))
            if len(partition.chunks) > self._places_max:
                partition.chunks = _thinned(partition.chunks)
            self._guess.saw(number, partition.greatest_ms, now_ms)
        self._guess.reached_end(number, is_at_end=is_at_end)

    def _judge(self, partition: _Partition, records: Sequence[Record]) -> None:
        events, marked = events_of(records, self._stream)
        self._late += marked
        greatest_ms, lateness_ms = partition.greatest_ms, self._guess.lateness_ms
        for event in events:
            at_ms = event[0]
            if at_ms > greatest_ms:
                greatest_ms = at_ms
            elif at_ms <= greatest_ms - lateness_ms:
                self._late.append(event)
                continue
            self._events.append(event)
        partition.greatest_ms = greatest_ms

    @property
    def holding(self) -> set[int]:
        """The partitions to read on while too many events wait."""
        return self._guess.holding

    def arrived(self, now_ms: int) -> Arrived:
        events, self._events = self._events, []
        late, self._late = self._late, []
        return Arrived(events, late, max(self._start_ms, self._guess.advance(now_ms)))

    def resume_at(self, needed_ms: int) -> Resume:
        """Where to begin so that every event with timestamp >= needed_ms comes again."""
        offsets: dict[int, int] = {}
        greatest: dict[int, int] = {}
        for number, partition in self._partitions.items():
            chunks = partition.chunks
            while chunks and chunks[0].greatest_ms < needed_ms:
                partition.before_ms = chunks.popleft().greatest_ms
            offsets[number] = chunks[0].first_offset if chunks else partition.next_offset
            greatest[number] = partition.before_ms
        watermark_ms = max(self._start_ms, self._guess.watermark_ms)
        return Resume(offsets, 0, max(NEVER_MS, min(needed_ms - 1, watermark_ms)), greatest)


def _taken(events: list[Event], end_rank: int) -> list[Event]:
    """Take the events of ranks below `end_rank` away."""
    end = bisect_left(events, end_rank, key=_offset_of)
    taken = events[:end]
    del events[:end]
    return taken


def _thinned(chunks: Sequence[_Chunk]) -> deque[_Chunk]:
    """Every two chunks as one."""
    pairs = zip(list(chunks)[::2], list(chunks)[1::2], strict=False)
    merged = deque(_Chunk(left.first_offset, right.greatest_ms) for left, right in pairs)
    if len(chunks) % 2:
        merged.append(chunks[-1])
    return merged
