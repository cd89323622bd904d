"""What flows through event processing: events in one total order, and watermarks that say what is final."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

Value = str | int | float | bool | None
Attributes = Mapping[str, Value]

NEVER_MS = -(1 << 63)


class Event(NamedTuple):
    """One event; tuples compare by (timestamp, stream, partition, offset): unique, so no tie depends on arrival."""

    timestamp_ms: int
    stream: int
    partition: int
    offset: int
    attributes: Attributes

    @property
    def order(self) -> tuple[int, int, int, int]:
        return self[:4]


@dataclass(frozen=True, slots=True)
class Batch:
    """Events in total order, each after the watermark before; no later event will be at or below `watermark_ms`.

    `late` are events at or below the watermark before, which were not in time for an earlier batch.
    """

    events: Sequence[Event]
    watermark_ms: int
    late: Sequence[Event] = ()

    def parts(self, events_max: int) -> Iterator["Batch"]:
        """The same as batches of at most so many events; each but the last says what is complete before its end."""
        late = self.late
        for first in range(0, len(self.events) - events_max, events_max):
            events = self.events[first : first + events_max]
            yield Batch(events, events[-1].timestamp_ms - 1, late)
            late = ()
        rest = (len(self.events) - 1) // events_max * events_max if self.events else 0
        yield Batch(self.events[rest:], self.watermark_ms, late)


class Row(NamedTuple):
    """One result. `row_id` is the same on every replay; `timestamp_ms` is the last instant the result speaks of."""

    row_id: str
    key: str
    timestamp_ms: int
    values: Attributes
