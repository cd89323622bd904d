"""A thread that takes all jobs that have queued up at once: what comes while it is busy is its next batch."""

import threading
from collections.abc import Callable, Sequence
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
        self._jobs: list[Job] = []
        self._is_stopping = False
        self._has_ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        with self._changed:
            if self._is_stopping or self._has_ended:
                return
            self._jobs.append(job)
            if len(self._jobs) == 1:
                self._changed.notify()

    def stop(self) -> None:
        with self._changed:
            self._is_stopping = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._jobs and not self._is_stopping:
                    self._changed.wait()
                jobs, self._jobs = self._jobs, []
            if not jobs:
                return
            try:
                self._handle(jobs)
            except Exception as error:  # noqa: BLE001 - the top of a thread; it is handed on
                with self._changed:
                    self._has_ended = True
                    self._jobs.clear()
                self._fail(error)
                return
