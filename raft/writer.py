"""Getting entries and hard states to the disk: rounds of the one writer that all groups of a node share.

A round takes everything that was queued: hard states first, then truncations (of what waits to be written, too), then
entries (one vectored write per run of neighbours), then one sync per file that was written, then the completions, in
the order of the log. What queues up meanwhile is the next round: that is the group commit. On a full disk a group's
entries wait for a `Retry`. The durable marks follow by `NoteDurable`, some ms later: nobody waits for them, but for
those of configurations. A member that forgets who else is one might elect itself (decision 0010), so a configuration
is called durable when the mark, too, says that it is.
"""

import logging
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter

import msgspec

from .damage import Damage, clear_damage, note_damage
from .disk import NO_SPACE, DiskFile, sync_all
from .entries import EntryKind
from .group_files import ZEROS, GroupFiles
from .hard_state import HardState, save_all
from .interfaces import Buffer, GroupId, Index, Term
from .placed import Cut, PlacedRun
from .segments import SegmentPlan

logger = logging.getLogger(__name__)


class SaveHardState(msgspec.Struct, frozen=True):
    files: GroupFiles
    state: HardState


class AppendEntries(msgspec.Struct, frozen=True):
    files: GroupFiles
    runs: Sequence[PlacedRun]


class Truncate(msgspec.Struct, frozen=True):
    """Cut entries off; what is queued before and after it stays on its side of it."""

    files: GroupFiles
    cut: Cut


class Retry(msgspec.Struct, frozen=True):
    """Space may have returned: write what waits for it."""

    files: GroupFiles


class NoteDurable(msgspec.Struct, frozen=True):
    """Write the group's durable mark."""

    files: GroupFiles


class NoteBadEntry(msgspec.Struct, frozen=True):
    """A durable entry was found damaged while serving: the next start reads all of the log, and peers heal it."""

    files: GroupFiles
    reason: str


class ClearDamage(msgspec.Struct, frozen=True):
    """The member is healed: everything it ever acknowledged is durable again."""

    files: GroupFiles


class CloseFiles(msgspec.Struct, frozen=True):
    """The group's last job: its files are closed, their marks synced; what waits for space is given up."""

    files: GroupFiles


WriterJob = SaveHardState | AppendEntries | Truncate | Retry | NoteDurable | NoteBadEntry | ClearDamage | CloseFiles


class HardStatePersisted(msgspec.Struct, frozen=True):
    """This term and vote are durable, and with them all that were queued before."""

    group_id: GroupId
    state: HardState


class EntriesPersisted(msgspec.Struct, frozen=True):
    """Everything up to this entry is durable. `cut_count`: of the truncations so far."""

    group_id: GroupId
    term: Term
    index: Index
    cut_count: int = 0


class DiskFull(msgspec.Struct, frozen=True):
    """Entries of the group wait for space."""

    group_id: GroupId


class EntryChanged(msgspec.Struct, frozen=True):
    """A buffer changed between proposal and write, so the entry was not written; the group cannot go on."""

    group_id: GroupId
    index: Index


class FilesClosed(msgspec.Struct, frozen=True):
    group_id: GroupId


# Behind a small run that reaches blocks never written before, zeros go along: the file system notes the first write of
# a reserved block in its journal and the sync waits for that, so it is done for many rounds at once.
SMALL_RUN_BYTES = 64 << 10
_plan_of = attrgetter("plan")
_kind_of = attrgetter("kind")


Completion = HardStatePersisted | EntriesPersisted | DiskFull | EntryChanged | FilesClosed


class LogWriter:
    """Carries out rounds of jobs. What lasts from one to the next is in each group's `GroupFiles`."""

    def write_round(self, jobs: Sequence[WriterJob]) -> list[Completion]:
        """Raises: OSError, after which nothing is known about the disk: the node must stop."""
        completions: list[Completion] = []
        states: dict[GroupId, SaveHardState] = {}
        in_order: list[AppendEntries | Truncate | Retry] = []
        others: list[WriterJob] = []
        for job in jobs:
            if isinstance(job, (AppendEntries, Truncate, Retry)):
                in_order.append(job)
            elif isinstance(job, SaveHardState):
                states[job.files.group_id] = job
            else:
                others.append(job)
        if states:
            save_all([(job.files.hard_state, job.state) for job in states.values()])
            completions += [HardStatePersisted(group_id, job.state) for group_id, job in states.items()]
        due: dict[GroupId, GroupFiles] = {}
        for job in in_order:
            if isinstance(job, Truncate):
                if not job.files.is_broken:
                    job.files.cut(job.cut)
                continue
            if isinstance(job, AppendEntries):
                job.files.waiting += job.runs
            due[job.files.group_id] = job.files
        if due:
            completions += self._write_entries(due)
        for job in others:
            completions += self._do(job)
        return completions

    def _do(self, job: WriterJob) -> Sequence[Completion]:
        match job:
            case NoteDurable():
                job.files.note_durable()
            case NoteBadEntry():
                _note_bad_entry(job)
            case ClearDamage():
                clear_damage(job.files.disk, job.files.directory)
            case CloseFiles():
                job.files.close()
                return [FilesClosed(job.files.group_id)]
            case _:
                raise AssertionError(f"a job of an unknown kind: {job}")
        return ()

    def _write_entries(self, due: dict[GroupId, GroupFiles]) -> list[Completion]:
        completions: list[Completion] = []
        written: list[tuple[GroupFiles, DiskFile, list[PlacedRun]]] = []
        for files in due.values():
            runs = self._write_waiting(files, completions)
            if runs:
                assert files.file is not None, "entries were written, so there is a file"
                written.append((files, files.file, runs))
        self._sync([file for _, file, _ in written])
        for files, _, runs in written:
            last = runs[-1].entries
            files.durable = last.last_index
            if _hold_configuration(runs):
                files.note_beyond_doubt()
            completions.append(EntriesPersisted(files.group_id, last.last_term, last.last_index, files.cut_count))
        completions += [DiskFull(group_id) for group_id, files in due.items() if files.waiting]
        return completions

    def _write_waiting(self, files: GroupFiles, completions: list[Completion]) -> list[PlacedRun]:
        """Write what waits, as far as there is space; returns what was written."""
        runs = _unchanged(files, completions)
        count = 0
        for plan, in_segment in groupby(runs, key=_plan_of):
            neighbours = list(in_segment)
            if not _write_neighbours(files, plan, neighbours):
                break
            count += len(neighbours)
        files.waiting = runs[count:]
        return runs[:count]

    def _sync(self, written: Sequence[DiskFile]) -> None:
        sync_all(written)


def _note_bad_entry(job: NoteBadEntry) -> None:
    """On a full disk there is none, and the entry is met again; the log's end, which votes go by, is not in doubt."""
    try:
        note_damage(job.files.disk, job.files.directory, Damage(reason=job.reason, is_cold=True))
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        logger.warning("%s: no space to note damage: %s", job.files.directory, job.reason)


def _hold_configuration(runs: Sequence[PlacedRun]) -> bool:
    for run in runs:
        if not run.entries.has_commands_only and EntryKind.CONFIGURATION in map(_kind_of, run.entries):
            return True
    return False


def _unchanged(files: GroupFiles, completions: list[Completion]) -> list[PlacedRun]:
    """What waits up to the first entry that is not what was proposed; from there on the group is broken."""
    if files.is_broken:
        return []
    for at, run in enumerate(files.waiting):
        count = run.entries.intact_count()
        if count < run.entries.entry_count:
            files.is_broken = True
            changed = Index(run.first_index + count)
            completions.append(EntryChanged(files.group_id, changed))
            return [*files.waiting[:at], *([run.until(Index(changed - 1))] if count else ())]
    return files.waiting


def _write_neighbours(files: GroupFiles, plan: SegmentPlan, runs: Sequence[PlacedRun]) -> bool:
    """Write neighbours of one segment; False if the disk is full (then as good as nothing was written)."""
    if plan != files.plan:
        try:
            file = files.create(plan)
        except OSError as error:
            if error.errno in NO_SPACE:
                return False
            raise
        files.roll_to(plan, file)
    assert files.file is not None, f"segment {plan.first_index} has no file"
    buffers: list[Buffer] = []
    for run in runs:
        buffers += run.buffers()
    end = runs[-1].end_position
    if end > files.written_end:
        if end - runs[0].position <= SMALL_RUN_BYTES:
            zeros = ZEROS[: plan.file_bytes - end]
            buffers.append(zeros)
            end += len(zeros)
        files.written_end = end
    try:
        files.file.write(buffers, runs[0].position)
    except OSError as error:
        if error.errno in NO_SPACE:
            return False
        raise
    return True
