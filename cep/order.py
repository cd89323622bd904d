"""Several streams as one in event-time order: a min-heap on (timestamp, stream, partition, offset) under a watermark.

Each input says how far it is complete. The merged watermark is the least of the inputs'; events at or below it leave in
total order, all others wait. What arrives at or below a watermark that has been given out is late, never out of order.
"""

import heapq
from collections.abc import Iterable, Sequence

from .errors import BufferFullError
from .events import NEVER_MS, Batch, Event

WAITING_EVENTS_MAX = 5_000_000


class OrderedMerge:
    """Owns the events that wait for the watermark; `watermark_ms` never falls."""

    def __init__(self, inputs: Sequence[int], *, waiting_max: int = WAITING_EVENTS_MAX) -> None:
        assert inputs, "a merge needs an input"
        self._complete_ms = dict.fromkeys(inputs, NEVER_MS)
        self._waiting: list[Event] = []
        self._late: list[Event] = []
        self._waiting_max = waiting_max
        self.watermark_ms = NEVER_MS
        self.late_count = 0

    @property
    def waiting_count(self) -> int:
        return len(self._waiting)

    def push(self, events: Iterable[Event]) -> None:
        """Take events of any input in any order. Raises: BufferFullError."""
        waiting, watermark_ms = self._waiting, self.watermark_ms
        for event in events:
            if event[0] <= watermark_ms:
                self._late.append(event)
            else:
                heapq.heappush(waiting, event)
        if len(waiting) > self._waiting_max:
            slowest = min(self._complete_ms, key=lambda stream: self._complete_ms[stream])
            raise BufferFullError(f"{len(waiting)} events wait, at most {self._waiting_max}; input {slowest} is behind")

    def push_late(self, events: Iterable[Event]) -> None:
        """Take events that their own input calls late: the same on every replay, whatever the other inputs do."""
        self._late.extend(events)

    def complete(self, stream: int, watermark_ms: int) -> None:
        """Input `stream` will bring nothing more at or below `watermark_ms`; an older statement changes nothing."""
        assert stream in self._complete_ms, f"no input {stream}"
        self._complete_ms[stream] = max(self._complete_ms[stream], watermark_ms)

    def pop(self) -> Batch | None:
        """What became final since the last call, or None if nothing did."""
        reached_ms = min(self._complete_ms.values())
        if reached_ms <= self.watermark_ms and not self._late:
            return None
        events: list[Event] = []
        waiting = self._waiting
        while waiting and waiting[0][0] <= reached_ms:
            events.append(heapq.heappop(waiting))
        late, self._late = sorted(self._late), []
        self.late_count += len(late)
        self.watermark_ms = max(self.watermark_ms, reached_ms)
        return Batch(events, self.watermark_ms, late)
