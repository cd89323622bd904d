"""A thread that takes all jobs that have queued up at once: what comes while it is busy is its next batch."""

import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Generic, Protocol, TypeVar

Job = TypeVar("Job")
Job_contra = TypeVar("Job_contra", contravariant=True)


class JobRunner(Protocol[Job_contra]):
    def submit(self, job: Job_contra) -> None:
        """Queue a job; from the event loop only. After a failure, or `stop`, jobs are dropped."""
        ...

    def stop(self) -> None:
        """Do what is queued, then end. Blocks."""
        ...


class RunnerFactory(Protocol):
    """Makes a runner: `handle` gets jobs in order, `fail` its exception, which ends the runner."""

    def __call__(
        self, name: str, handle: Callable[[Sequence[Job]], None], fail: Callable[[Exception], None], /
    ) -> JobRunner[Job]: ...


class JobThread(Generic[Job]):
    """The queue is unbounded here: whoever submits bounds what it has in flight."""

    def __init__(self, name: str, handle: Callable[[Sequence[Job]], None], fail: Callable[[Exception], None]) -> None:
        self._handle = handle
        self._fail = fail
        # Handing over with a condition variable takes both sides 10 us more.
        self._jobs: SimpleQueue[Job | _Stop] = SimpleQueue()
        self._is_ending = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        if not self._is_ending:
            self._jobs.put(job)

    def stop(self) -> None:
        self._is_ending = True
        self._jobs.put(STOP)
        self._thread.join()

    def _run(self) -> None:
        must_stop = False
        while not must_stop:
            jobs: list[Job] = []
            job = self._jobs.get()
            while True:
                if isinstance(job, _Stop):
                    must_stop = True
                    break
                jobs.append(job)
                if self._jobs.empty():  # nobody else takes from it, so what is there stays there
                    break
                job = self._jobs.get()
            try:
                if jobs:
                    self._handle(jobs)
            except Exception as error:  # noqa: BLE001 - the top of a thread; it is handed on
                self._is_ending = True
                self._fail(error)
                return


class _Stop:
    """The last thing in the queue."""

    __slots__ = ()


STOP = _Stop()
