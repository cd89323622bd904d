"""Waiting for a condition with a deadline, instead of sleeping and hoping."""

import asyncio
import time
from collections.abc import Callable
from threading import Event

_NEVER = Event()


def wait_until(condition: Callable[[], object], *, deadline_s: float = 30.0, what: str = "the condition") -> None:
    """Ask `condition` every 10 ms until it is truthy. Raises: AssertionError after the deadline."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"{what} did not come true in {deadline_s} s"
        _NEVER.wait(0.01)


async def until_true(condition: Callable[[], object], *, deadline_s: float = 20.0, what: str = "the condition") -> None:
    """Ask `condition` every 2 ms, while sockets and real timers go on. Raises: AssertionError after the deadline."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"{what} did not come true in {deadline_s} s"
        await asyncio.sleep(0.002)
