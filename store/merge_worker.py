"""The process of one merge job: `python -m store.merge_worker [PARENT]`, a `MergeJob` in, a `WorkerAnswer` out.

A process of its own keeps decoding, sorting and Parquet off the event loop and out of its memory. Exit codes: 0 done,
1 the job failed (the answer says how), 2 the job could not be read, 3 the parent is gone. It runs at a lower priority
than the node, and dies with it: the next node merges the same split into the same files. What a merge needs takes a
second to load on a busy machine, and is loaded once that is settled.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import TYPE_CHECKING

import msgspec

from .errors import MergeError

if TYPE_CHECKING:
    from .manifest import SplitManifest

NICE = 5
DONE, FAILED, NO_JOB, ORPHAN = 0, 1, 2, 3
PR_SET_PDEATHSIG = 1


class WorkerAnswer(msgspec.Struct, array_like=True, frozen=True):
    """Either a packed manifest, or the class and text of an error."""

    manifest: bytes | None
    error: str | None = None
    message: str | None = None

    def result(self) -> SplitManifest:
        """Raises: MergeError, DamagedRunError."""
        if self.manifest is None:
            raise MergeError(f"{self.error}: {self.message}")
        from .manifest import SplitManifest

        return SplitManifest.unpack(self.manifest)


def read_answer(output: bytes, exit_code: int) -> SplitManifest:
    """What a worker wrote and how it ended. Raises: MergeError, DamagedRunError."""
    try:
        answer = msgspec.msgpack.decode(output, type=WorkerAnswer)
    except msgspec.DecodeError as error:
        raise MergeError(f"the merge worker ended with {exit_code} and without an answer") from error
    return answer.result()


def main(parent: int | None = None) -> int:
    """`parent`: the process to die with."""
    if parent is not None and not _dies_with(parent):
        return ORPHAN
    from .merge_job import MergeJob, run

    os.nice(NICE)
    try:
        job = MergeJob.unpack(sys.stdin.buffer.read())
    except MergeError as error:
        return _say(WorkerAnswer(None, type(error).__name__, str(error)), NO_JOB)
    try:
        return _say(WorkerAnswer(run(job).pack()), DONE)
    except Exception as error:  # noqa: BLE001 - the top of the process: every failure becomes its answer
        return _say(WorkerAnswer(None, type(error).__name__, str(error)), FAILED)


def _dies_with(parent: int) -> bool:
    """Ask Linux to kill this process when its parent ends; False if the parent is gone already. Source: prctl(2)."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return os.getppid() == parent


def _say(answer: WorkerAnswer, exit_code: int) -> int:
    sys.stdout.buffer.write(msgspec.msgpack.encode(answer))
    sys.stdout.buffer.flush()
    return exit_code


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
