"""The event loop of one simulated process: asyncio's promises and nothing more, at virtual times.

Each process (a node, a client) has a loop of its own, as it has in reality; all loops of a history take turns in one
thread. What is kept and what is shuffled:

- Inside a process, `call_soon` is first in, first out, and a turn runs what was ready when it began: asyncio promises
  both, and the code leans on them (order of answers, of proposals).
- Timers that are due at the same moment run in an order drawn from the seed; asyncio's heap promises none.
- Which of the processes that could run takes the next turn is the engine's choice (`engines`), and so is the order of
  deliveries that arrive at the same moment. Only links and connections keep order, by themselves.
- `call_soon_threadsafe` (what threads say) takes a while, in order.

A loop that is killed never runs again, and nothing of its process does: no `finally`, no cancellation, as with SIGKILL.
A paused loop keeps what arrives and runs it later, its overdue timers too, as with SIGSTOP.
"""

import asyncio
import logging
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from heapq import heappop, heappush
from typing import Any, Protocol, TypeVar

import sniffio

T = TypeVar("T")
WAITS_MAX = 20  # of one coroutine while it is closed
_SNIFFED = sniffio.thread_local


class Timeline(Protocol):
    """What a loop needs of the engine."""

    now: float

    def draw(self) -> float:
        """From [0, 1), by the seed."""
        ...

    def after(self, delay_s: float, callback: Callable[[], object]) -> None: ...
    def wake(self, loop: "ProcessLoop", at_s: float) -> None:
        """Give the loop a turn at that time, or later."""
        ...


class NumberedTask(asyncio.Task):
    """Sets of tasks are iterated here and there; their order must not come from addresses in memory."""

    def __hash__(self) -> int:
        return self.number


class NumberedFuture(asyncio.Future):
    def __hash__(self) -> int:
        return self.number


class ProcessLoop(asyncio.AbstractEventLoop):
    """See the module's docstring. `turn` is called by the engine only."""

    def __init__(self, timeline: Timeline, name: str, *, turn_s: float = 0.0, thread_s: float = 0.0) -> None:
        """`turn_s`: what a callback costs of the process's time; `thread_s`: what a thread takes to be heard."""
        self.name = name
        self.turn_s = turn_s
        self.thread_s = thread_s
        self.is_dead = False
        self.is_paused = False
        self.free_at_s = 0.0
        self.wakes_at_s = float("inf")
        self.is_turning = False
        self.faults: list[dict[str, Any]] = []
        self.turn_count = 0
        self.new_server: Callable[..., Coroutine[object, object, object]] | None = None
        self._timeline = timeline
        self._ready: deque[events.Handle] = deque()
        self._timers: list[tuple[float, float, int, events.TimerHandle]] = []
        self._count = 0
        self._heard_at_s = 0.0
        self._keep: list[object] = []
        # As `anyio.run` leaves it for everything that a process begins itself; threads have a context of their own.
        self._context = Context()
        self._context.run(sniffio.current_async_library_cvar.set, "asyncio")

    def __repr__(self) -> str:
        return f"<loop of {self.name}>"

    # What the engine calls

    @property
    def has_work(self) -> bool:
        return bool(self._ready) and not self.is_dead and not self.is_paused

    @property
    def next_timer_s(self) -> float:
        """When the first timer is due; infinity if there is none, or nothing may run."""
        timers = self._timers
        while timers and timers[0][3]._cancelled:
            heappop(timers)
        return timers[0][0] if timers and not self.is_dead and not self.is_paused else float("inf")

    def turn(self) -> None:
        """One iteration: the timers that are due, and everything that was ready when it began."""
        ready, timers, now = self._ready, self._timers, self._timeline.now
        while timers and timers[0][0] <= now:
            timer = heappop(timers)[3]
            if not timer._cancelled:
                ready.append(timer)
        if not ready:
            return
        self.turn_count += 1
        before, _SNIFFED.name = _SNIFFED.name, None
        events._set_running_loop(self)
        count = len(ready)
        self.is_turning = True
        try:
            for _ in range(count):
                handle = ready.popleft()
                if not handle._cancelled:
                    handle._run()
                if self.is_dead or not ready:
                    break
        finally:
            self.is_turning = False
            events._set_running_loop(None)
            _SNIFFED.name = before
        self.free_at_s = now + count * self.turn_s

    def kill(self) -> None:
        self.is_dead = True
        # Kept alive until the history has ended: nothing of it may run, and that includes its `finally` blocks.
        self._keep += [*asyncio.all_tasks(self), *self._ready, *self._timers]
        self._ready.clear()
        self._timers.clear()

    def forget(self) -> None:
        """The history has ended: let go of the tasks of this process, without a word.

        Python closes a coroutine that nobody refers to, and `finally` blocks that wait then complain, into the log or
        wherever they are when the memory is looked through. So they are closed here, where nobody listens.
        """
        self.kill()
        tasks = [one for one in self._keep if isinstance(one, asyncio.Task)]
        heard = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        try:
            for task in tasks:
                task._log_destroy_pending = False
                _close(task.get_coro())
        finally:
            logging.disable(heard)
        self._keep.clear()
        self.faults.clear()

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False
        self._timeline.wake(self, self._timeline.now)

    def start(self, work: Coroutine[object, object, T]) -> "asyncio.Task[T]":
        """A task of this process, begun from outside."""
        return self._context.run(self.create_task, work)

    # What runs in the process calls

    def time(self) -> float:
        return self._timeline.now

    def call_soon(self, callback: Callable[..., object], *args: object, context: Context | None = None):
        if context is None and not self.is_turning:
            context = self._context
        handle = events.Handle(callback, args, self, context)
        if not self.is_dead:
            self._ready.append(handle)
            if len(self._ready) == 1 and not self.is_turning and not self.is_paused:
                self._timeline.wake(self, self.free_at_s)
        return handle

    def call_soon_threadsafe(self, callback: Callable[..., object], *args: object, context: Context | None = None):
        if context is None and not self.is_turning:
            context = Context()
        handle = events.Handle(callback, args, self, context)
        if self.is_dead:
            return handle
        now = self._timeline.now
        self._heard_at_s = max(self._heard_at_s, now + self.thread_s * self._timeline.draw())
        self._timeline.after(self._heard_at_s - now, lambda: self._heard(handle))
        return handle

    def _heard(self, handle: events.Handle) -> None:
        if not self.is_dead:
            self._ready.append(handle)
            if len(self._ready) == 1 and not self.is_paused:
                self._timeline.wake(self, self.free_at_s)

    def call_later(self, delay: float, callback: Callable[..., object], *args: object, context: Context | None = None):
        return self.call_at(self._timeline.now + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Callable[..., object], *args: object, context: Context | None = None):
        timer = events.TimerHandle(when, callback, args, self, context)
        if not self.is_dead:
            self._count += 1
            heappush(self._timers, (when, self._timeline.draw(), self._count, timer))
            if when < self.wakes_at_s and not self.is_turning:
                self._timeline.wake(self, when)
        return timer

    def _timer_handle_cancelled(self, handle: events.TimerHandle) -> None:
        """A cancelled timer goes when its time has come."""

    def create_future(self) -> "asyncio.Future[Any]":
        self._count += 1
        future = NumberedFuture(loop=self)
        future.number = self._count
        return future

    def create_task(self, coro: Coroutine[object, object, T], *, name: str | None = None, context=None):
        self._count += 1
        NumberedTask.number = self._count  # until it has its own: the task registers itself while it is being made
        task = NumberedTask(coro, loop=self, name=name or f"{self.name}-{self._count}", context=context)
        task.number = self._count
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def get_task_factory(self) -> None:
        return None

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.is_dead:
            self.faults.append(context)

    async def create_server(self, protocol_factory, host=None, port=None, **options):
        assert self.new_server is not None, f"{self.name} has no sockets"
        return await self.new_server(protocol_factory, host, port)


def _close(coroutine: Coroutine[object, object, object] | Generator[object, object, object]) -> None:
    """Each wait of its `finally` blocks ends as the first did."""
    for _ in range(WAITS_MAX):
        try:
            coroutine.close()
        except BaseException:  # noqa: BLE001 - what it says is of a process that has been dead for long
            continue
        return
