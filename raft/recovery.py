"""From the files of a group to its log: what is durable, what is the torn end of the last round, what is damage.

Blocking; called in a thread, before anything else touches the directory. Safe to be interrupted and repeated anywhere.
"""

import logging
from dataclasses import dataclass

from .checkpoint import CHECKPOINT_NAME, Checkpoint, from_facts, read_checkpoint_or_none
from .disk import NEW_SUFFIX, Disk
from .entries import EntryKind
from .errors import CorruptLogError
from .hard_state import HARD_STATE_NAME, HardStateFile
from .interfaces import GroupId, Index, Place, Term
from .log import SegmentLog, TermStarts
from .segments import (
    PAGE_BYTES,
    Mark,
    Segment,
    SegmentPlan,
    clear_tail,
    read_segment_header,
    scan,
    segment_indexes,
    segment_name,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recovered:
    """A group's log, durable up to its last entry. `configuration` is the body of the last entry of that kind."""

    log: SegmentLog
    hard_state: HardStateFile
    checkpoint: Checkpoint | None
    applied_end: Place
    configuration: bytes | None
    mark: Mark


def recover(disk: Disk, directory: str, group_id: GroupId, segment_bytes: int) -> Recovered:
    """Open or found the log in `directory`. Raises: DataDirectoryError, OSError."""
    disk.make_directory(directory)
    names = disk.names(directory)
    for name in names:
        if name.endswith(NEW_SUFFIX):
            disk.remove(f"{directory}/{name}")
    firsts = segment_indexes(names)
    if HARD_STATE_NAME not in names and (firsts or CHECKPOINT_NAME in names):
        raise CorruptLogError(f"{directory}/{HARD_STATE_NAME}", "missing beside a log")
    hard_state = HardStateFile(disk, directory, group_id)
    try:
        checkpoint = read_checkpoint_or_none(disk, directory, group_id)
        return _Recovery(disk, directory, group_id, firsts).run(hard_state, checkpoint, segment_bytes)
    except BaseException:
        hard_state.close()
        raise


class _Recovery:
    """Walks from the checkpoint to the end of the log."""

    def __init__(self, disk: Disk, directory: str, group_id: GroupId, firsts: list[Index]) -> None:
        self._disk = disk
        self._directory = directory
        self._group_id = group_id
        self._firsts = firsts
        self._segments: list[Segment] = []
        self._terms = TermStarts()
        self._views: dict[Index, memoryview] = {}
        self._configuration: bytes | None = None
        self._last = (Term(0), Index(0))

    def run(self, hard_state: HardStateFile, checkpoint: Checkpoint | None, segment_bytes: int) -> Recovered:
        applied_end = Place(1, PAGE_BYTES)
        if checkpoint is not None:
            applied_end = self._begin_after(checkpoint)
        elif self._firsts and self._firsts[0] != 1:
            raise CorruptLogError(self._directory, f"begins with entry {self._firsts[0]}, and there is no checkpoint")
        begin = max(len(self._segments) - 1, 0)
        scanned = self._firsts[begin:]
        mark = self._read_mark(scanned[-1]) if scanned else Mark(1, Index(0))
        begins_inside = bool(self._segments)
        for first in scanned:
            if not begins_inside:
                if first != self._last[1] + 1:
                    break
                plan = SegmentPlan(first, len(self._header_checked_view(first)))
                self._segments.append(Segment.empty(plan))
            begins_inside = False
            self._scan_last_segment()
        term, last = self._last
        if last < mark.durable:
            path = self._path(self._segments[-1].first_index) if self._segments else self._directory
            raise CorruptLogError(path, f"damaged or missing, but entry {mark.durable} was durable", Index(last + 1))
        if term > hard_state.state.term:
            raise CorruptLogError(
                self._directory, f"entry of term {term}, but the term is {hard_state.state.term}", last
            )
        self._repair(mark.durable)
        log = SegmentLog(
            self._disk,
            self._directory,
            self._group_id,
            segment_bytes=segment_bytes,
            segments=self._segments,
            terms=self._terms,
        )
        return Recovered(log, hard_state, checkpoint, applied_end, self._configuration, Mark(mark.sequence, last))

    def _begin_after(self, checkpoint: Checkpoint) -> Place:
        facts = checkpoint.facts
        self._segments = [from_facts(segment) for segment in facts.segments]
        known = [segment.first_index for segment in self._segments]
        if self._firsts[: len(known)] != known:
            missing = sorted(set(known) - set(self._firsts)) or self._firsts[: len(known)]
            raise CorruptLogError(self._directory, f"the checkpoint knows other segments; see {missing}")
        self._terms = TermStarts(facts.term_starts)
        self._configuration = facts.configuration
        self._last = (facts.applied_term, facts.applied)
        end = self._segments[-1]
        self._header_checked_view(end.first_index)
        return Place(end.first_index, end.end_position)

    def _scan_last_segment(self) -> None:
        segment = self._segments[-1]
        view = self._views[segment.first_index]
        for found in scan(self._path(segment.first_index), view, segment.end_position, self._last):
            segment.add(found.entry_bytes)
            self._terms.add(found.index, found.term)
            if found.kind is EntryKind.CONFIGURATION:
                self._configuration = bytes(view[found.body])
            self._last = (found.term, found.index)

    def _repair(self, durable: Index) -> None:
        """Make what was found durable (a killed process leaves it in the page cache only), and nothing else."""
        kept = {segment.first_index for segment in self._segments}
        released = [first for first in reversed(self._firsts) if first not in kept]
        for first in released:
            logger.warning("%s: written in a torn round; removed", self._path(first))
            self._disk.remove(self._path(first))
        for segment in self._segments:
            is_last = segment is self._segments[-1]
            if segment.last_index <= durable and not is_last:
                continue
            file = self._disk.open(self._path(segment.first_index))
            try:
                if is_last:
                    clear_tail(file, self._views[segment.first_index], segment.end_position)
                else:
                    file.sync()
            finally:
                file.close()
        self._disk.sync_directory(self._directory)

    def _header_checked_view(self, first: Index) -> memoryview:
        view = self._views[first] = self._disk.map(self._path(first))
        read_segment_header(self._path(first), view, self._group_id, first)
        return view

    def _read_mark(self, first: Index) -> Mark:
        view = self._disk.map(self._path(first))
        return read_segment_header(self._path(first), view, self._group_id, first)

    def _path(self, first: Index) -> str:
        return f"{self._directory}/{segment_name(first)}"
