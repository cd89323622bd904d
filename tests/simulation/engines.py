"""What decides which process runs next: our own scheduler, or trio's. Time is virtual in both.

`SeededEngine` has one heap of everything that will happen; what happens at the same moment happens in the order of a
seeded draw, and a turn of a process takes some time, so that what arrives meanwhile waits.
`TrioEngine` is the second judge: every process is a trio task, every delivery another one; trio's own scheduler (with
its deterministic random order) says who goes first, and `MockClock` jumps when nobody can go on. Turns take no time
there, so that processes interleave turn by turn instead.
"""

import random
from asyncio import Task
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Protocol

import trio
import trio.testing

from .loops import ProcessLoop, Timeline


class SimulationStuckError(Exception):
    """Nothing will ever happen any more, or far too much happens at one moment."""


class Engine(Timeline, Protocol):
    name: str
    event_count: int

    def run(self, operator: ProcessLoop, task: "Task[None]") -> None:
        """Until the operator's task is done."""
        ...


class SeededEngine:
    name = "seeded"

    def __init__(self, seed: int) -> None:
        self.now = 0.0
        self.event_count = 0
        self._random = random.Random(f"engine {seed}")
        self.draw = self._random.random
        self._heap: list[tuple[float, float, int, Callable[[], object] | ProcessLoop]] = []
        self._count = 0

    def after(self, delay_s: float, callback: Callable[[], object]) -> None:
        self._count += 1
        heappush(self._heap, (self.now + delay_s, self.draw(), self._count, callback))

    def wake(self, loop: ProcessLoop, at_s: float) -> None:
        at_s = max(at_s, self.now)
        if at_s < loop.wakes_at_s:
            loop.wakes_at_s = at_s
            self._count += 1
            heappush(self._heap, (at_s, self.draw(), self._count, loop))

    def run(self, operator: ProcessLoop, task: "Task[None]") -> None:
        del operator
        heap = self._heap
        while not task.done():
            if not heap:
                raise SimulationStuckError(f"nothing happens after {self.now:.3f} s")
            when, _, _, due = heappop(heap)
            self.now = max(self.now, when)
            self.event_count += 1
            if not isinstance(due, ProcessLoop):
                due()
            elif when >= due.wakes_at_s:  # else: an earlier turn did it
                due.wakes_at_s = float("inf")
                if due.is_dead or due.is_paused:
                    continue
                if due.free_at_s > self.now:
                    self.wake(due, due.free_at_s)
                    continue
                due.turn()
                self.wake(due, due.free_at_s if due.has_work else due.next_timer_s)


class TrioEngine:
    name = "trio"

    def __init__(self, seed: int) -> None:
        self.event_count = 0
        self._seed = seed
        self._random = random.Random(f"engine {seed}")
        self.draw = self._random.random
        self._clock = trio.testing.MockClock(rate=0.0, autojump_threshold=0)
        self._nursery: trio.Nursery | None = None
        self._early: list[tuple[float, Callable[[], object]]] = []
        self._driven: dict[ProcessLoop, trio.Event] = {}
        self._start_s = 0.0
        self._over: trio.Event | None = None

    @property
    def now(self) -> float:
        return self._clock.current_time() - self._start_s

    def after(self, delay_s: float, callback: Callable[[], object]) -> None:
        if self._nursery is None:
            self._early.append((delay_s, callback))
        else:
            self._nursery.start_soon(self._later, delay_s, callback)

    def wake(self, loop: ProcessLoop, at_s: float) -> None:
        if loop.is_dead:
            return
        if (bell := self._driven.get(loop)) is None:
            self._driven[loop] = trio.Event()
            if self._nursery is not None:
                self._nursery.start_soon(self._drive, loop)
        elif at_s < loop.wakes_at_s:
            bell.set()

    def run(self, operator: ProcessLoop, task: "Task[None]") -> None:
        trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING = True
        trio._core._run._r.seed(self._seed)
        self._start_s = self._clock.current_time()
        trio.run(self._run, operator, task, clock=self._clock)

    async def _run(self, operator: ProcessLoop, task: "Task[None]") -> None:
        async with trio.open_nursery() as self._nursery:
            self._over = trio.Event()
            task.add_done_callback(lambda _: self._over.set())
            for delay_s, callback in self._early:
                self._nursery.start_soon(self._later, delay_s, callback)
            for loop in self._driven:
                self._nursery.start_soon(self._drive, loop)
            await self._over.wait()
            self._nursery.cancel_scope.cancel()

    async def _later(self, delay_s: float, callback: Callable[[], object]) -> None:
        await trio.sleep(delay_s)
        self.event_count += 1
        callback()

    async def _drive(self, loop: ProcessLoop) -> None:
        """One process: turn after turn while it has work, else until somebody rings or a timer is due."""
        while not loop.is_dead:
            self.event_count += 1
            self._driven[loop] = trio.Event()
            if not loop.is_paused:
                loop.wakes_at_s = float("-inf")
                loop.turn()
            if loop.has_work:
                await trio.lowlevel.checkpoint()
                continue
            loop.wakes_at_s = loop.next_timer_s
            with trio.move_on_at(self._start_s + loop.wakes_at_s):
                await self._driven[loop].wait()
        self._driven.pop(loop, None)


ENGINES: dict[str, Callable[[int], Engine]] = {"seeded": SeededEngine, "trio": TrioEngine}
