"""The writer's side of a group's files: the segment being filled, its durable mark, and truncation.

Truncation is the one thing that takes durable entries back. Its order: marks lowered and synced; the cut entries of the
segment that stays zeroed and synced; later segments removed, the directory synced. Only then do new entries follow.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from .disk import NO_SPACE, Disk, DiskFile
from .hard_state import HardStateFile
from .interfaces import GroupId, Index
from .placed import Cut, PlacedRun
from .segments import (
    MARK_POSITIONS,
    Mark,
    SegmentPlan,
    create_segment,
    mark_after,
    read_segment_header,
    replace_mark,
    segment_name,
    write_mark,
)

ZEROS = memoryview(bytes(256 << 10))


@dataclass(slots=True)
class GroupFiles:
    """The writer's side of a group: the segment being filled, and what waits for space. Touched by the writer alone.

    `mark` is the one last written; `durable` may be ahead of it. Nothing was ever written behind `written_end`.
    """

    disk: Disk
    directory: str
    group_id: GroupId
    hard_state: HardStateFile
    mark: Mark
    plan: SegmentPlan | None
    file: DiskFile | None
    waiting: list[PlacedRun] = field(default_factory=list[PlacedRun])
    is_broken: bool = False
    durable: Index = field(init=False)
    written_end: int = 0
    cut_count: int = 0

    def __post_init__(self) -> None:
        self.durable = self.mark.durable

    def cut(self, cut: Cut) -> None:
        """Carry out a truncation; durable when this returns, and nothing of what was cut comes back after a crash.

        An old entry behind the cut could stand as successor of a new one of equal size, so all are zeroed before any
        new one is written; before that no mark may call them durable, and a crash in between leaves the older log, or
        the part of it that is still there.
        """
        self.cut_count += 1
        waiting = [run for run in self.waiting if run.first_index <= cut.to_index]
        self.waiting = [run if run.last_index <= cut.to_index else run.until(cut.to_index) for run in waiting]
        if self.plan is None or (cut.plan is not None and self.plan.first_index < cut.plan.first_index):
            return  # what is cut was waiting for space: no file holds any of it
        removed = [plan for plan in cut.removed if plan.first_index <= self.plan.first_index]
        self._lower_marks(cut, removed)
        if cut.plan != self.plan:
            self._go_back_to(cut.plan)
        if self.file is not None and cut.end_position < cut.old_end:
            _write_zeros(self.file, cut.end_position, cut.old_end)
            self.file.sync()
        self.written_end = max(self.written_end, cut.old_end)
        for plan in reversed(removed):
            self.disk.remove(self._path(plan))
        if removed:
            self.disk.sync_directory(self.directory)

    def _lower_marks(self, cut: Cut, removed: Sequence[SegmentPlan]) -> None:
        """In every segment that may be the last one after a crash."""
        assert self.plan is not None, "no segment, nothing to cut"
        self.durable = min(self.durable, cut.to_index)
        if cut.plan == self.plan and self.mark.durable <= cut.to_index:
            return
        kept = [] if cut.plan is None else [cut.plan]
        sequence = self.mark.sequence
        for plan in [*reversed(removed), *kept]:
            path = self._path(plan)
            own = read_segment_header(path, self.disk.map(path), self.group_id, plan.first_index)
            self.mark = mark_after(own, sequence, self.durable)
            file = self.disk.open(path)
            try:
                replace_mark(file, self.mark)
            finally:
                file.close()

    def _go_back_to(self, plan: SegmentPlan | None) -> None:
        if self.file is not None:
            self.file.close()
        self.plan, self.written_end = plan, 0
        self.file = None if plan is None else self.disk.open(self._path(plan))

    def _path(self, plan: SegmentPlan) -> str:
        return f"{self.directory}/{segment_name(plan.first_index)}"

    def create(self, plan: SegmentPlan) -> DiskFile:
        mark = Mark(self.mark.sequence + 1, self.durable)
        file = create_segment(self.disk, self.directory, self.group_id, plan, mark)
        self.mark = mark
        return file

    def roll_to(self, plan: SegmentPlan, file: DiskFile) -> None:
        if self.file is not None:
            self.file.sync()
            self.file.close()
        self.plan, self.file, self.written_end = plan, file, 0

    def note_durable(self) -> None:
        """Write the mark if it says something new; not on a full disk, which has no room for a mere note."""
        if self.file is None or self.durable == self.mark.durable:
            return
        mark = Mark(self.mark.sequence + 1, self.durable)
        try:
            write_mark(self.file, mark)
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise
        else:
            self.mark = mark

    def note_beyond_doubt(self) -> None:
        """Both slots say what is durable, and that is durable: if it rots, the next start knows that it was there.

        Raises: OSError.
        """
        assert self.file is not None, "entries were written, so there is a file"
        for _ in MARK_POSITIONS:
            self.mark = Mark(self.mark.sequence + 1, self.durable)
            write_mark(self.file, self.mark)
            self.file.sync()  # a power cut must not tear both

    def close(self) -> None:
        self.is_broken = True
        self.waiting.clear()
        if self.file is not None:
            self.note_durable()
            self.file.sync()  # the mark: after a clean stop it is exact, come what may
            self.file.close()
            self.file = None
        self.hard_state.close()


def _write_zeros(file: DiskFile, first: int, end: int) -> None:
    for position in range(first, end, len(ZEROS)):
        file.write([ZEROS[: end - position]], position)
