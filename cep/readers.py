"""How a topic is read: by its committed ticks (a Timesplit view), or as any Kafka topic with a guessed watermark.

A reader takes consumer records and says which events arrived, how far its input is complete, and from which offsets a
later reader has to begin so that it sees every event at or after a given time again.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .errors import SourceError
from .events import NEVER_MS, Event
from .records import Record, Tick, events_of
from .watermarks import GuessedWatermark

TICKS_REMEMBERED_MAX = 100_000
CHUNKS_REMEMBERED_MAX = 100_000


class Arrived(NamedTuple):
    """New events of one input, those it calls late itself, and its watermark."""

    events: Sequence[Event]
    late: Sequence[Event]
    watermark_ms: int


class Resume(NamedTuple):
    """Offsets to begin from, by partition, and what is complete before them."""

    offsets: Mapping[int, int]
    tick: int
    watermark_ms: int


@dataclass(frozen=True, slots=True)
class _Boundary:
    tick: int
    watermark_ms: int
    end_rank: int


class ViewReader:
    """Reads `t.__time` up to the end rank of each tick, so that every batch ends exactly at a committed watermark."""

    def __init__(self, stream: int, resume: Resume) -> None:
        self._stream = stream
        self._next_rank = resume.offsets.get(0, 0)
        self._boundaries = deque([_Boundary(resume.tick, resume.watermark_ms, self._next_rank)], TICKS_REMEMBERED_MAX)
        self._ticks: deque[Tick] = deque()
        self._events: deque[Event] = deque()
        self._late: deque[Event] = deque()

    @property
    def next_tick(self) -> int:
        """The number of the tick that is read next."""
        return (self._ticks[-1].n if self._ticks else self._boundaries[-1].tick) + 1

    def ticks(self, ticks: Iterable[Tick]) -> None:
        """Raises: SourceError when a tick is missing."""
        for tick in ticks:
            if tick.n != self.next_tick:
                raise SourceError(f"tick {tick.n} follows tick {self.next_tick - 1}")
            self._ticks.append(tick)

    def records(self, records: Sequence[Record]) -> None:
        events, late = events_of(records, self._stream)
        self._events.extend(events)
        self._late.extend(late)
        if records:
            self._next_rank = records[-1].offset + 1

    def arrived(self) -> Arrived:
        """Everything up to the last tick whose events are all here."""
        reached: Tick | None = None
        while self._ticks and self._ticks[0].ends.time <= self._next_rank:
            reached = self._ticks.popleft()
            self._boundaries.append(_Boundary(reached.n, reached.watermark, reached.ends.time))
        if reached is None:
            return Arrived((), (), self._boundaries[-1].watermark_ms)
        end = reached.ends.time
        return Arrived(_until(self._events, end), _until(self._late, end), reached.watermark)

    def resume_at(self, needed_ms: int) -> Resume:
        """Where to begin so that every event with timestamp >= needed_ms comes again."""
        boundaries = self._boundaries
        while len(boundaries) > 1 and boundaries[1].watermark_ms < needed_ms:
            boundaries.popleft()
        first = boundaries[0]
        return Resume({0: first.end_rank}, first.tick, first.watermark_ms)


class TopicReader:
    """Reads every partition of an ordinary topic; the watermark is a guess from what has been seen."""

    def __init__(self, stream: int, resume: Resume, guess: GuessedWatermark) -> None:
        self._stream = stream
        self._guess = guess
        self._start_ms = resume.watermark_ms
        self._next = dict(resume.offsets)
        # (first offset of a chunk, greatest timestamp of the partition up to and with it), per partition
        self._chunks: dict[int, deque[tuple[int, int]]] = {
            p: deque(maxlen=CHUNKS_REMEMBERED_MAX) for p in resume.offsets
        }
        self._events: list[Event] = []

    def records(self, partition: int, records: Sequence[Record], high_watermark: int | None, now_ms: int) -> None:
        if records:
            events, late = events_of(records, self._stream)
            self._events += events + late
            greatest_ms = max(record.timestamp for record in records)
            chunks = self._chunks[partition]
            running_ms = max(greatest_ms, chunks[-1][1] if chunks else NEVER_MS)
            chunks.append((records[0].offset, running_ms))
            self._next[partition] = records[-1].offset + 1
            self._guess.saw(partition, greatest_ms, now_ms)
        if high_watermark is not None and self._next[partition] >= high_watermark:
            self._guess.reached_end(partition)

    def arrived(self, now_ms: int) -> Arrived:
        events, self._events = self._events, []
        return Arrived(events, (), max(self._start_ms, self._guess.advance(now_ms)))

    def resume_at(self, needed_ms: int) -> Resume:
        """Where to begin so that every event with timestamp >= needed_ms comes again."""
        offsets: dict[int, int] = {}
        for partition, chunks in self._chunks.items():
            while chunks and chunks[0][1] < needed_ms:
                chunks.popleft()
            offsets[partition] = chunks[0][0] if chunks else self._next[partition]
        return Resume(offsets, 0, min(needed_ms - 1, self._guess.watermark_ms))


def _until(events: deque[Event], end_rank: int) -> list[Event]:
    taken: list[Event] = []
    while events and events[0].offset < end_rank:
        taken.append(events.popleft())
    return taken
