"""A clock that only the test moves; fulfils `raft.clock.Clock`."""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count


class FakeTimer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class FakeClock:
    def __init__(self, now_ms: int = 1_000_000) -> None:
        self._now_ms = now_ms
        self._timers: list[tuple[int, int, FakeTimer]] = []
        self._order = count()

    def now_ms(self) -> int:
        return self._now_ms

    def call_later(self, delay_ms: int, callback: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(callback)
        heappush(self._timers, (self._now_ms + delay_ms, next(self._order), timer))
        return timer

    @property
    def timer_count(self) -> int:
        return sum(timer.callback is not None for _, _, timer in self._timers)

    def advance(self, ms: int) -> None:
        """Go on by `ms`, calling each timer at its time, also those that are set on the way."""
        end_ms = self._now_ms + ms
        while self._timers and self._timers[0][0] <= end_ms:
            at_ms, _, timer = heappop(self._timers)
            self._now_ms = max(self._now_ms, at_ms)
            if timer.callback is not None:
                timer.callback()
        self._now_ms = end_ms
