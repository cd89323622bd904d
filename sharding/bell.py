"""Waiting for something to become true: look, wait for the bell, look again."""

import asyncio
from collections.abc import Callable


class Bell:
    """Rings when something may have changed; whoever waits looks for itself."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        waiting, self._waiting = self._waiting, set()
        for one in waiting:
            if not one.done():
                one.set_result(None)

    async def wait(self, timeout_s: float) -> None:
        """Returns at the next ring, or when the time is over."""
        loop = asyncio.get_running_loop()
        rung: asyncio.Future[None] = loop.create_future()
        self._waiting.add(rung)
        timer = loop.call_later(max(0.0, timeout_s), _settle, rung)
        try:
            await rung
        finally:
            timer.cancel()
            self._waiting.discard(rung)

    async def until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Whether the condition came true in time."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while not condition():
            if (left := deadline - asyncio.get_running_loop().time()) <= 0:
                return False
            await self.wait(left)
        return True


def _settle(rung: "asyncio.Future[None]") -> None:
    if not rung.done():
        rung.set_result(None)
