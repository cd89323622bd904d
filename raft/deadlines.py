"""Waiting with a deadline by the clock that is injected."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from .clock import Clock

T = TypeVar("T")


async def within(clock: Clock, ms: int, work: Coroutine[Any, Any, T]) -> T:
    """Run `work` for `ms` at most. Raises: TimeoutError, once the work has been cancelled and ended."""
    task = asyncio.get_running_loop().create_task(work)
    is_late = False

    def expire() -> None:
        nonlocal is_late
        is_late = True
        task.cancel()

    timer = clock.call_later(ms, expire)
    try:
        return await task
    except asyncio.CancelledError:
        if is_late and task.cancelled() and not _is_cancelled():
            raise TimeoutError(f"not done in {ms} ms") from None
        raise
    finally:
        timer.cancel()


async def pause(clock: Clock, ms: int, wake: asyncio.Event | None = None) -> None:
    """Wait for `ms`, or until `wake` is set."""
    event = wake or asyncio.Event()
    timer = clock.call_later(ms, event.set)
    try:
        await event.wait()
    finally:
        timer.cancel()


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
