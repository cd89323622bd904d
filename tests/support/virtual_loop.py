"""An event loop whose time jumps to the next timer as soon as nothing else is left to do: seconds cost nothing.

Nothing in it may wait for a thread, a socket or a process.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import TypeVar

from raft.clock import LoopClock

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing is left that could happen"
        if timeout > 0:
            self.loop.passed_s += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.passed_s = 1_000.0
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.passed_s


class VirtualClock(LoopClock):
    """Goes by the loop's time, which is not that of the machine."""

    def now_ms(self) -> int:
        return int(asyncio.get_running_loop().time() * 1000)


def run_virtually(work: Coroutine[object, object, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
