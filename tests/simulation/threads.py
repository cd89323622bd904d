"""The threads of a simulated node that write: a crash finds their rounds wherever they are.

A round is product code that blocks in the disk's calls. Here it runs aside (in a greenlet) and lets virtual time pass
before each sync, and before each write but its first: meanwhile other threads of the node have their turns, messages
arrive, and the process is killed or its power cut. What was written by then is in the page cache and not durable; what
becomes of it is the disk's affair. What is submitted meanwhile is the next round.

A round whose process has ended never goes on. It is unwound, and whatever its cleanup asks of the disk ends it again:
nothing of it reaches the disk of the next life.
"""

import random
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from greenlet import getcurrent, greenlet

from tests.support.faulty_disk import PowerCutError

from .world import World

WAKE_S = 0.0002
WRITE_PART = 0.25  # of what a sync takes: long for a page cache, so that it is hit
SYNCS = frozenset({"sync", "sync_directory"})
Job = TypeVar("Job")


class ProcessEndedError(BaseException):
    """Nobody is there any more to whom a call of the disk could return."""


class Turning(Protocol):
    """What `Threads` needs of its runners, whatever their jobs are."""

    has_unsynced_log: bool

    def pace(self, kind: str, path: str) -> None: ...
    def unwind(self) -> None: ...


class Threads:
    """The threads of one incarnation of a node. `slowness` multiplies what its disk takes.

    `on_written`: a thread has written to a log and not yet synced it.
    """

    def __init__(self, world: World, name: str, random: random.Random, *, sync_s: float) -> None:
        self.world = world
        self.name = name
        self.random = random
        self.sync_s = sync_s
        self.slowness = 1.0
        self.is_dead = False
        self.on_written: Callable[[], None] = lambda: None
        self.turning: Turning | None = None
        self._runners: list[Turning] = []

    def runner(
        self, name: str, handle: Callable[[Sequence[Job]], None], fail: Callable[[Exception], None], /
    ) -> "SimRunner[Job]":
        runner = SimRunner(self, name, handle, fail)
        self._runners.append(runner)
        return runner

    @property
    def has_unsynced_log(self) -> bool:
        return any(one.has_unsynced_log for one in self._runners)

    def pace(self, kind: str, path: str) -> None:
        """The disk is asked for something; returns when that happens. Raises: ProcessEndedError."""
        if self.turning is not None:
            self.turning.pace(kind, path)

    def die(self) -> None:
        """The process has ended."""
        self.is_dead = True
        for runner in self._runners:
            runner.unwind()

    def delay_s(self) -> float:
        return self.random.expovariate(1 / (self.sync_s * self.slowness))


class SimRunner(Generic[Job]):
    """Fulfils `raft.job_thread.JobRunner`: one round at a time.

    `has_unsynced_log`: its round waits between a write to a log and the sync.
    """

    def __init__(
        self, threads: Threads, name: str, handle: Callable[[Sequence[Job]], None], fail: Callable[[Exception], None]
    ) -> None:
        self.has_unsynced_log = False
        self._threads = threads
        self._name = name
        self._handle = handle
        self._fail = fail
        self._jobs: list[Job] = []
        self._round: greenlet | None = None
        self._has_written = False
        self._is_busy = False
        self._is_stopping = False
        self._has_ended = False

    def submit(self, job: Job) -> None:
        if self._has_ended:
            return
        self._jobs.append(job)
        if not self._is_busy:
            self._is_busy = True
            self._threads.world.after(WAKE_S * self._threads.random.random(), self._begin)

    def stop(self) -> None:
        """What is queued is done at once."""
        self._is_stopping = True
        self._go_on()
        if self._jobs:
            self._begin()
        self._has_ended = True

    def pace(self, kind: str, path: str) -> None:
        """See `Threads.pace`."""
        if self._threads.is_dead:
            raise ProcessEndedError
        if self._is_stopping:
            return
        delay_s = 0.0
        if kind in SYNCS:
            delay_s = self._threads.delay_s()
        elif kind == "write":
            delay_s = self._threads.delay_s() * WRITE_PART if self._has_written else 0.0
            self._has_written = True
        if delay_s:
            self._pause(delay_s, is_log=kind == "sync" and path.endswith(".log"))

    def unwind(self) -> None:
        self._has_ended = True
        self.has_unsynced_log = False
        if self._round is not None:
            assert self._round is not getcurrent(), "a process is ended from outside"
            self._turn(self._round.throw, ProcessEndedError)
            assert self._round is None, f"{self._threads.name}: a round outlives its process"

    def _begin(self) -> None:
        if self._has_ended or not self._jobs:
            return
        jobs, self._jobs = self._jobs, []
        self._threads.world.trace("disk", self._threads.name, self._name, len(jobs))
        self._has_written = False
        self._round = greenlet(self._run)
        self._turn(self._round.switch, jobs)

    def _go_on(self) -> None:
        if self._round is not None and not self._has_ended:
            self._turn(self._round.switch)

    def _turn(self, switch: Callable[..., float | None], *values: object) -> None:
        """Until the round's next pause, or its end."""
        threads = self._threads
        assert threads.turning is None, "one thread at a time"
        assert self._round is not None
        threads.turning = self
        try:
            delay_s = switch(*values)
        finally:
            threads.turning = None
        if not self._round.dead:
            assert delay_s is not None
            threads.world.after(delay_s, self._go_on)
            return
        self._round = None
        self._is_busy = bool(self._jobs) and not self._has_ended and not self._is_stopping
        if self._is_busy:
            threads.world.after(WAKE_S * threads.random.random(), self._begin)

    def _run(self, jobs: Sequence[Job]) -> None:
        try:
            self._handle(jobs)
        except (PowerCutError, ProcessEndedError):
            self._has_ended = True
        except Exception as error:  # noqa: BLE001 - the top of a thread's double
            self._has_ended = True
            self._fail(error)

    def _pause(self, delay_s: float, *, is_log: bool) -> None:
        assert self._round is not None
        parent = self._round.parent
        assert parent is not None, "a round runs aside"
        self.has_unsynced_log = is_log
        if is_log:
            self._threads.on_written()
        parent.switch(delay_s)
        self.has_unsynced_log = False
        if self._threads.is_dead:
            raise ProcessEndedError
