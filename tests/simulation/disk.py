"""A disk of one simulated node, and the threads that work on it.

The disk is `tests.support.faulty_disk`: what is not synced is torn at a power cut, sector by sector. Here it gets a
speed, faults that come and go, and the rounds of the Raft host's threads at virtual times: a round's bytes are durable
a while before anybody hears of it, and what is submitted meanwhile is the next round.
"""

import errno
import random
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from raft.checkpoint import read_checkpoint_or_none
from raft.damage import DAMAGE_NAME
from raft.errors import RaftError
from raft.hard_state import HARD_STATE_NAME
from raft.interfaces import GroupId
from raft.segments import PAGE_BYTES
from tests.support.faulty_disk import FaultyDisk, FaultyFile, PowerCutError

from .world import World

Job = TypeVar("Job")


class SimDisk(FaultyDisk):
    """`on_cut` is called when the power goes off inside one of its calls, `on_hard_state` when one is written.

    `on_doubt`: a note of doubt was made, or goes again.
    """

    on_cut: Callable[[], None] | None = None
    on_hard_state: Callable[[], None] | None = None
    on_doubt: Callable[[bool], None] | None = None

    def rename(self, old: str, new: str) -> None:
        super().rename(old, new)
        if self.on_doubt is not None and self._is_doubt(new):
            self.on_doubt(True)

    def remove(self, path: str) -> None:
        is_doubt = self._is_doubt(path)
        super().remove(path)
        if self.on_doubt is not None and is_doubt:
            self.on_doubt(False)

    def doubtful_directories(self) -> list[str]:
        """Of the groups that have a note of doubt."""
        return [path.rpartition("/")[0] for path in self.paths() if self._is_doubt(path)]

    def _is_doubt(self, path: str) -> bool:
        return path.endswith(f"/{DAMAGE_NAME}") and b'"is_doubt":true' in self._inode(path).seen

    def count(self, kind: str, path: str) -> bool:
        if kind == "write" and path.endswith(HARD_STATE_NAME) and self.on_hard_state is not None:
            self.on_hard_state()
        return super().count(kind, path)

    def go_off_if(self, is_last: bool) -> None:
        if is_last and self.on_cut is not None:
            self.on_cut()
        super().go_off_if(is_last)

    def cut_in(self, calls: int) -> None:
        """Turn the power off within the disk's next calls."""
        self.cut_at = self.call_count + calls

    def fail_syncs(self) -> None:
        self.sync_error = OSError(errno.EIO, "input/output error")

    def paths(self) -> list[str]:
        return [f"{directory}/{name}" for directory, found in sorted(self._seen.items()) for name in sorted(found)]

    def flip(self, path: str, rng: random.Random) -> int | None:
        """One bit of what was ever written into the file; returns its position.

        Not in entries below the checkpoint: a start does not read them, so damage there is found only when somebody
        needs them.
        """
        content = self.content(path)
        allowed = [(0, len(content.rstrip(b"\0")))]
        if path.endswith(".log"):
            cold_end = self._cold_end(path)
            allowed = [(0, min(allowed[0][1], PAGE_BYTES)), (max(PAGE_BYTES, cold_end), allowed[0][1])]
        allowed = [(first, end) for first, end in allowed if first < end]
        if not allowed:
            return None
        at = rng.randrange(*rng.choice(allowed))
        content[at] ^= 1 << rng.randrange(8)
        return at

    def _cold_end(self, path: str) -> int:
        """Where in this segment the part begins that a start reads."""
        directory, _, name = path.rpartition("/")
        try:
            checkpoint = read_checkpoint_or_none(self, directory, GroupId(int(directory.rpartition("/")[2])))
        except RaftError:
            return 0
        if checkpoint is None:
            return 0
        last = checkpoint.facts.segments[-1] if checkpoint.facts.segments else None
        first_index = int(name.removesuffix(".log"))
        if last is None or first_index > last.first_index:
            return 0
        return last.end_position if first_index == last.first_index else 1 << 62


__all__ = ["FaultyFile", "PowerCutError", "SimDisk", "SimRunner", "Threads"]


class Threads:
    """The threads of one incarnation of a node. `slowness` multiplies what its disk takes."""

    def __init__(self, world: World, name: str, random: random.Random, *, sync_s: float) -> None:
        self.world = world
        self.name = name
        self.random = random
        self.sync_s = sync_s
        self.slowness = 1.0
        self.is_dead = False

    def runner(
        self, name: str, handle: Callable[[Sequence[Job]], None], fail: Callable[[Exception], None], /
    ) -> "SimRunner[Job]":
        return SimRunner(self, name, handle, fail)

    def delay_s(self) -> float:
        return self.random.expovariate(1 / (self.sync_s * self.slowness))


class SimRunner(Generic[Job]):
    """Fulfils `raft.job_thread.JobRunner`: one round at a time."""

    def __init__(
        self, threads: Threads, name: str, handle: Callable[[Sequence[Job]], None], fail: Callable[[Exception], None]
    ) -> None:
        self._threads = threads
        self._name = name
        self._handle = handle
        self._fail = fail
        self._jobs: list[Job] = []
        self._is_busy = False
        self._has_ended = False

    def submit(self, job: Job) -> None:
        if self._has_ended:
            return
        self._jobs.append(job)
        if not self._is_busy:
            self._is_busy = True
            self._threads.world.after(self._threads.delay_s(), self._round)

    def stop(self) -> None:
        self._round()
        self._has_ended = True

    def _round(self) -> None:
        threads = self._threads
        if threads.is_dead or self._has_ended:
            return
        jobs, self._jobs = self._jobs, []
        if jobs:
            threads.world.trace("disk", threads.name, self._name, len(jobs))
            try:
                self._handle(jobs)
            except PowerCutError:
                self._has_ended = True
                return
            except Exception as error:  # noqa: BLE001 - the top of a thread's double
                self._has_ended = True
                self._fail(error)
                return
        self._is_busy = bool(self._jobs)
        if self._is_busy:
            threads.world.after(threads.delay_s(), self._round)
