"""Time as the shells of this layer see it; injected, so that a test or a simulator decides what time it is."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    def cancel(self) -> None: ...


class Clock(Protocol):
    def now_ms(self) -> int:
        """Milliseconds of a clock that never goes back; its zero means nothing."""
        ...

    def call_later(self, delay_ms: int, callback: Callable[[], None]) -> Timer: ...


class LoopClock:
    """The running event loop's timers, and the clock they go by, asked directly: it is asked for every entry."""

    def now_ms(self) -> int:
        return int(time.monotonic() * 1000)

    def call_later(self, delay_ms: int, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(delay_ms / 1000, callback)
