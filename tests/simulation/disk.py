"""A disk of one simulated node.

It is `tests.support.faulty_disk`: what is not synced is torn at a power cut, sector by sector. Here it gets faults that
come and go, and it asks `pace` before each call, so that its calls take time (`threads`).
"""

import errno
import random
from collections.abc import Callable

from raft.checkpoint import read_checkpoint_or_none
from raft.damage import DAMAGE_NAME
from raft.errors import RaftError
from raft.hard_state import HARD_STATE_NAME
from raft.interfaces import GroupId
from raft.segments import PAGE_BYTES
from tests.support.faulty_disk import FaultyDisk


class SimDisk(FaultyDisk):
    """`on_cut` is called when the power goes off inside one of its calls, `on_hard_state` when one is written.

    `on_doubt`: of this directory a note of doubt was made, or goes again.
    """

    on_cut: Callable[[], None] | None = None
    on_hard_state: Callable[[], None] | None = None
    on_doubt: Callable[[str, bool], None] | None = None
    pace: Callable[[str, str], None] | None = None

    def rename(self, old: str, new: str) -> None:
        super().rename(old, new)
        if self.on_doubt is not None and self._is_doubt(new):
            self.on_doubt(_directory(new), True)

    def remove(self, path: str) -> None:
        is_doubt = self._is_doubt(path)
        super().remove(path)
        if self.on_doubt is not None and is_doubt:
            self.on_doubt(_directory(path), False)

    def doubtful_directories(self) -> list[str]:
        """Of the groups that have a note of doubt."""
        return [_directory(path) for path in self.paths() if self._is_doubt(path)]

    def directories(self) -> list[str]:
        return sorted(self._seen)

    @property
    def is_off(self) -> bool:
        return self._is_off

    def _is_doubt(self, path: str) -> bool:
        return path.endswith(f"/{DAMAGE_NAME}") and b'"is_doubt":true' in self._inode(path).seen

    def count(self, kind: str, path: str) -> bool:
        if self.pace is not None:
            self.pace(kind, path)
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


def _directory(path: str) -> str:
    return path.rpartition("/")[0]
