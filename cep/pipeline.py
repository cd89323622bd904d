"""The pure heart of an app: merged events in, final rows out, and the time from which a replay must begin."""

from bisect import bisect_left
from collections.abc import Sequence

from .events import NEVER_MS, Batch, Row
from .order import OrderedMerge
from .readers import Arrived
from .windows import TumblingWindows, WindowPlan


class Pipeline:
    """Owns the merge and the windows of one app; rows at or below `emitted_ms` were given before."""

    def __init__(
        self, inputs: Sequence[int], plans: Sequence[WindowPlan], *, complete_ms: Sequence[int], emitted_ms: int
    ) -> None:
        self._merge = OrderedMerge(inputs)
        self._windows = [TumblingWindows(plan) for plan in plans]
        self._emitted_ms = emitted_ms
        for stream, watermark_ms in zip(inputs, complete_ms, strict=True):
            self._merge.complete(stream, watermark_ms)
        self._merge.pop()

    @property
    def watermark_ms(self) -> int:
        return self._merge.watermark_ms

    @property
    def late_count(self) -> int:
        return self._merge.late_count

    @property
    def waiting_count(self) -> int:
        return self._merge.waiting_count

    @property
    def slowest(self) -> int:
        """The input that holds the watermark."""
        return self._merge.slowest

    @property
    def open_window_count(self) -> int:
        return sum(windows.open_count for windows in self._windows)

    def feed(self, stream: int, arrived: Arrived) -> None:
        self._merge.push(arrived.events)
        self._merge.push_late(arrived.late)
        self._merge.complete(stream, arrived.watermark_ms)

    def step(self) -> tuple[Batch | None, list[list[Row]]]:
        """What became final since the last step and was not given before: the batch, and the rows of each plan."""
        batch = self._merge.pop()
        if batch is None:
            return None, [[] for _ in self._windows]
        before_ms = self._emitted_ms
        rows = [[row for row in windows.feed(batch) if row.timestamp_ms > before_ms] for windows in self._windows]
        self._emitted_ms = max(before_ms, batch.watermark_ms)
        if batch.events and batch.events[0][0] <= before_ms:
            new = bisect_left(batch.events, (before_ms + 1,))
            batch = Batch(batch.events[new:], self._emitted_ms, batch.late)
        return batch, rows

    @property
    def emitted_ms(self) -> int:
        return self._emitted_ms

    @property
    def needed_ms(self) -> int:
        """Every event at or after this time is needed again after a crash."""
        oldest = [needed for windows in self._windows if (needed := windows.needed_ms_or_none) is not None]
        after = self.watermark_ms + 1 if self.watermark_ms > NEVER_MS else NEVER_MS
        return min([after, *oldest])
