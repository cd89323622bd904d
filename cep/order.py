"""Several streams as one in event-time order: sorted runs of (timestamp, stream, partition, offset) under a watermark.

Each input says how far it is complete. The merged watermark is the least of the inputs'; events at or below it leave in
total order, all others wait. What arrives at or below a watermark that has been given out is late, never out of order.
Inputs mostly come sorted: Python's sort finds their runs and merges them, so order costs one comparison an event.
"""

from bisect import bisect_left
from collections.abc import Sequence

from .errors import BufferFullError
from .events import NEVER_MS, Batch, Event

WAITING_EVENTS_MAX = 5_000_000
# New events are merged into the old ones once they are this share of them: each event is moved O(log n) times.
FRESH_SHARE = 4


class OrderedMerge:
    """Owns the events that wait for the watermark; `watermark_ms` never falls."""

    def __init__(self, inputs: Sequence[int], *, waiting_max: int = WAITING_EVENTS_MAX) -> None:
        assert inputs, "a merge needs an input"
        self._complete_ms = dict.fromkeys(inputs, NEVER_MS)
        self._sorted: list[Event] = []
        self._fresh: list[Event] = []
        self._late: list[Event] = []
        self._waiting_max = waiting_max
        self.watermark_ms = NEVER_MS
        self.late_count = 0

    @property
    def waiting_count(self) -> int:
        return len(self._sorted) + len(self._fresh)

    @property
    def slowest(self) -> int:
        """The input that holds the watermark."""
        return min(self._complete_ms, key=self._complete_ms.__getitem__)

    def push(self, events: Sequence[Event]) -> None:
        """Take events of any input in any order. Raises: BufferFullError."""
        watermark_ms = self.watermark_ms
        late = [event for event in events if event[0] <= watermark_ms]
        if late:
            self._late += late
            events = [event for event in events if event[0] > watermark_ms]
        self._fresh += events
        if self.waiting_count > self._waiting_max:
            raise BufferFullError(
                f"{self.waiting_count} events wait, at most {self._waiting_max}; input {self.slowest} is behind"
            )

    def push_late(self, events: Sequence[Event]) -> None:
        """Take events that their own input calls late: the same on every replay, whatever the other inputs do."""
        self._late += events

    def complete(self, stream: int, watermark_ms: int) -> None:
        """Input `stream` will bring nothing more at or below `watermark_ms`; an older statement changes nothing."""
        assert stream in self._complete_ms, f"no input {stream}"
        self._complete_ms[stream] = max(self._complete_ms[stream], watermark_ms)

    def pop(self) -> Batch | None:
        """What became final since the last call, or None if nothing did."""
        reached_ms = min(self._complete_ms.values())
        if reached_ms <= self.watermark_ms and not self._late:
            return None
        events = self._until(reached_ms) if reached_ms > self.watermark_ms else []
        late, self._late = sorted(self._late), []
        self.late_count += len(late)
        self.watermark_ms = max(self.watermark_ms, reached_ms)
        return Batch(events, self.watermark_ms, late)

    def _until(self, reached_ms: int) -> list[Event]:
        self._fresh.sort()
        events = _taken(self._sorted, reached_ms) + _taken(self._fresh, reached_ms)
        events.sort()
        if len(self._fresh) * FRESH_SHARE > len(self._sorted):
            self._sorted += self._fresh
            self._sorted.sort()
            self._fresh = []
        return events


def _taken(run: list[Event], reached_ms: int) -> list[Event]:
    end = bisect_left(run, (reached_ms + 1,))
    taken = run[:end]
    del run[:end]
    return taken
