"""Waiting until something is so, where it can only have become so when somebody tells that there is news."""

import asyncio
from collections.abc import Callable

from .clock import Clock


class News:
    """Belongs to one event loop. Without listeners, telling costs nothing."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._listeners: set[asyncio.Future[None]] = set()

    def tell(self) -> None:
        for listener in self._listeners:
            if not listener.done():
                listener.set_result(None)

    async def wait_until(self, is_so: Callable[[], bool], timeout_ms: int | None = None) -> bool:
        """Whether it came to be so within the time; asked now, and at each news."""
        is_over = False

        def end() -> None:
            nonlocal is_over
            is_over = True
            self.tell()

        timer = None if timeout_ms is None else self._clock.call_later(timeout_ms, end)
        try:
            while not is_so():
                if is_over:
                    return False
                listener = asyncio.get_running_loop().create_future()
                self._listeners.add(listener)
                try:
                    await listener
                finally:
                    self._listeners.discard(listener)
        finally:
            if timer is not None:
                timer.cancel()
        return True
