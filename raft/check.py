"""Looking at the files of a stopped group, all of them, without changing any: what `timesplit check` says of the log.

A finding is damage, or a note: what the next start puts right by itself (a torn tail, leftovers, one of two copies).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from .checkpoint import CHECKPOINT_NAME, Checkpoint, decode_checkpoint_or_none, to_facts
from .configuration import decode_configuration
from .damage import DAMAGE_NAME, read_damage_or_none
from .disk import NEW_SUFFIX
from .entries import EntryKind, read_header_or_none
from .errors import DataDirectoryError
from .hard_state import HARD_STATE_NAME, POSITIONS
from .interfaces import Index, Place, Term
from .log import TermStarts
from .segments import (
    PAGE_BYTES,
    Found,
    Segment,
    SegmentPlan,
    read_segment_header,
    remains,
    scan,
    segment_indexes,
    segment_name,
)
from .slots import newest_slot_or_none
from .staged_files import FETCHED_SUFFIX, INSTALLING_NAME

if TYPE_CHECKING:
    from .disk import Disk
    from .interfaces import GroupId


class Finding(NamedTuple):
    path: str
    what: str
    is_damage: bool


class ReadEntry(NamedTuple):
    """An entry behind the checkpoint, for whoever replays it."""

    term: Term
    index: Index  # pyright: ignore[reportIncompatibleMethodOverride] - the paper's word; nobody searches this tuple
    body: bytes
    place: Place


@dataclass(slots=True, kw_only=True)
class GroupReport:
    """What is in the files of a group. `tail` is filled only if it was asked for.

    `is_doubtful`: a start cut off what may have been a torn write, or not, and the group's peers have not healed it.
    """

    group_id: GroupId
    first_index: Index = field(default_factory=lambda: Index(1))
    last_index: Index = field(default_factory=lambda: Index(0))
    term: Term | None = None
    segment_count: int = 0
    entry_bytes: int = 0
    checkpoint: Checkpoint | None = None
    is_doubtful: bool = False
    tail: list[ReadEntry] = field(default_factory=list[ReadEntry])
    findings: list[Finding] = field(default_factory=list[Finding])

    @property
    def is_damaged(self) -> bool:
        return any(finding.is_damage for finding in self.findings)


def check_group(disk: Disk, directory: str, group_id: GroupId, *, keeps_tail: bool = False) -> GroupReport:
    """Read every byte of a group that nobody serves. Blocks, for as long as that takes. Raises: OSError."""
    return _Check(disk, directory, group_id, keeps_tail=keeps_tail).run()


class _Check:
    def __init__(self, disk: Disk, directory: str, group_id: GroupId, *, keeps_tail: bool) -> None:
        self._disk = disk
        self._directory = directory
        self._group_id = group_id
        self._keeps_tail = keeps_tail
        self._report = GroupReport(group_id=group_id)
        self._segments: dict[Index, Segment] = {}
        self._terms = TermStarts()
        self._last = (Term(0), Index(0))
        self._durable = Index(0)
        self._ends: dict[Index, int] = {}  # of the last entry of each segment, and of the last one applied
        self._gap: tuple[str, Index] | None = None  # where the first intact run of entries ends, if more follows

    def run(self) -> GroupReport:
        names = self._names()
        self._check_leftovers(names)
        self._check_hard_state(names)
        self._check_checkpoint(names)
        self._check_segments(segment_indexes(names))
        self._compare_with_checkpoint()
        return self._report

    def _names(self) -> list[str]:
        """What the group's files are: where an install was interrupted, those that it puts in place."""
        names = self._disk.names(self._directory)
        if INSTALLING_NAME not in names:
            return names
        path = f"{self._directory}/{INSTALLING_NAME}"
        try:
            wanted = msgspec.json.decode(self._disk.read(path), type=list[str])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self._damage(path, f"unreadable: {error}")
            return names
        self._note(path, "files of a leader are moved in place at the next start")
        present = [name for name in wanted if name in names or name + FETCHED_SUFFIX in names]
        for name in set(wanted) - set(present):
            self._damage(f"{self._directory}/{name}", "was fetched, and is gone")
        others = [name for name in names if name != CHECKPOINT_NAME and not segment_indexes([name])]
        return sorted([*others, *present])

    def _path(self, name: str) -> str:
        """A fetched file stands for the one it will replace, while an install is under way."""
        names = self._disk.names(self._directory)
        is_fetched = INSTALLING_NAME in names and name + FETCHED_SUFFIX in names
        return f"{self._directory}/{name}{FETCHED_SUFFIX if is_fetched else ''}"

    def _check_leftovers(self, names: list[str]) -> None:
        for name in names:
            path = f"{self._directory}/{name}"
            if name.endswith(NEW_SUFFIX):
                self._note(path, "left by an interrupted creation")
            elif name.endswith(FETCHED_SUFFIX) and INSTALLING_NAME not in names:
                self._note(path, "fetched from a leader, and not complete yet")
        damage = read_damage_or_none(self._disk, self._directory)
        if damage is not None and damage.is_doubt:
            self._report.is_doubtful = True
            self._note(f"{self._directory}/{DAMAGE_NAME}", f"in doubt until its peers heal it: {damage.reason}")
        elif damage is not None:
            self._damage(f"{self._directory}/{DAMAGE_NAME}", f"not healed by its peers yet: {damage.reason}")

    def _check_hard_state(self, names: list[str]) -> None:
        path = f"{self._directory}/{HARD_STATE_NAME}"
        if HARD_STATE_NAME not in names:
            if segment_indexes(names) or CHECKPOINT_NAME in names:
                self._damage(path, "missing beside a log: term and vote are lost")
            return
        content = memoryview(self._disk.read(path))
        slots = [newest_slot_or_none(content, (position,)) for position in POSITIONS]
        intact = [slot for slot in slots if slot is not None]
        if not intact:
            self._damage(path, "neither copy of term and vote is intact")
            return
        if len(intact) < len(slots):
            self._note(path, "one of two copies of term and vote is damaged")
        newest = max(intact)
        if newest.third != self._group_id:
            self._damage(path, f"of group {newest.third}")
        self._report.term = Term(newest.first)

    def _check_checkpoint(self, names: list[str]) -> None:
        if CHECKPOINT_NAME not in names:
            return
        path = self._path(CHECKPOINT_NAME)
        try:
            checkpoint = decode_checkpoint_or_none(path, memoryview(self._disk.read(path)), self._group_id)
        except (DataDirectoryError, msgspec.DecodeError) as error:
            self._damage(path, str(error))
            return
        if checkpoint is None:
            self._damage(path, "its CRC is wrong")
        self._report.checkpoint = checkpoint

    def _check_segments(self, firsts: list[Index]) -> None:
        checkpoint = self._report.checkpoint
        begins = Index(1) if checkpoint is None else checkpoint.facts.segments[0].first_index
        for first in firsts:
            if first < begins and checkpoint is not None:
                self._note(self._path(segment_name(first)), "released; removed at the next start")
        kept = [first for first in firsts if first >= begins]
        if kept and kept[0] != begins:
            self._damage(self._directory, f"begins with entry {kept[0]}, not {begins}")
        for first in kept:
            self._check_segment(first, is_last=first == kept[-1])
        report, (term, last) = self._report, self._last
        report.segment_count = len(kept)
        report.first_index = kept[0] if kept else Index(1)
        report.last_index = last
        if self._gap is not None:
            path, behind = self._gap
            self._say(path, f"entry {Index(behind + 1)} is damaged or missing", is_damage=self._durable > behind)
        elif last < self._durable:
            self._damage(self._directory, f"ends with entry {last}, but entry {self._durable} was durable")
        if report.term is not None and term > report.term:
            self._damage(self._directory, f"an entry of term {term}, but the term is {report.term}")

    def _check_segment(self, first: Index, *, is_last: bool) -> None:
        path = self._path(segment_name(first))
        view = self._disk.map(path)
        try:
            mark = read_segment_header(path, view, self._group_id, first)
        except DataDirectoryError as error:
            self._damage(path, str(error).removeprefix(f"{path}: "))
            return
        self._durable = max(self._durable, mark.durable)
        term, last = self._last
        if last and first != last + 1:
            self._gap = self._gap or (path, last)
        segment = self._segments[first] = Segment.empty(SegmentPlan(first, len(view)))
        try:
            for found in scan(path, view, PAGE_BYTES, (term, Index(first - 1))):
                segment.add(found.entry_bytes)
                self._take(found, view, path, first)
        except DataDirectoryError as error:
            self._damage(path, str(error).removeprefix(f"{path}: "))
        self._ends[segment.last_index] = segment.end_position
        self._report.entry_bytes += segment.end_position - PAGE_BYTES
        self._last = self._last[0], segment.last_index
        if any(remains(view, segment.end_position)):
            self._check_rest(path, view, segment, is_last=is_last)

    def _check_rest(self, path: str, view: memoryview, segment: Segment, *, is_last: bool) -> None:
        """Something stands behind the last intact entry."""
        end, last = segment.end_position, segment.last_index
        header = read_header_or_none(view, end)
        what = f"entry {last + 1} at position {end} is not intact"
        if header is not None and (header.index != last + 1 or header.term < self._last[0]):
            what = f"entry {header.index} of term {header.term} at position {end} is none that follows entry {last}"
        if is_last and last >= self._durable:
            self._note(path, f"a torn tail: {what}")
        elif is_last:
            self._damage(path, f"{what}, and entry {self._durable} was durable")
        else:
            self._gap = self._gap or (path, last)

    def _take(self, found: Found, view: memoryview, path: str, first: Index) -> None:
        self._last = found.term, found.index
        self._terms.add(found.index, found.term)
        if found.kind is EntryKind.CONFIGURATION:
            try:
                decode_configuration(bytes(view[found.body]))
            except (ValueError, msgspec.DecodeError) as error:
                self._damage(path, f"entry {found.index}: unreadable configuration: {error}")
        checkpoint = self._report.checkpoint
        if checkpoint is not None and found.index == checkpoint.facts.applied:
            self._ends[found.index] = found.body.stop
        if self._keeps_tail and found.kind is EntryKind.COMMANDS:
            if checkpoint is not None and found.index <= checkpoint.facts.applied:
                return
            place = Place(first, found.body.start)
            self._report.tail.append(ReadEntry(found.term, found.index, bytes(view[found.body]), place))

    def _compare_with_checkpoint(self) -> None:
        checkpoint = self._report.checkpoint
        if checkpoint is None:
            return
        path, facts = self._path(CHECKPOINT_NAME), checkpoint.facts
        if facts.applied > self._last[1]:
            self._damage(path, f"as of entry {facts.applied}, but the log ends with {self._last[1]}")
            return
        for known in facts.segments:
            segment = self._segments.get(known.first_index)
            if segment is None:
                self._damage(path, f"knows a segment {known.first_index} that is missing or damaged")
            elif (
                known.last_index > segment.last_index
                or known.end_position != self._ends.get(known.last_index, PAGE_BYTES)
                or to_facts(segment.until(known.last_index, known.end_position)) != known
            ):
                self._damage(path, f"does not agree with segment {known.first_index}")
        begins = facts.segments[0].first_index
        read = [start for start in self._terms.until(facts.applied) if start[0] > begins]
        if read != [start for start in facts.term_starts if start[0] > begins]:
            self._damage(path, "does not agree with the terms of the log")

    def _say(self, path: str, what: str, *, is_damage: bool) -> None:
        self._report.findings.append(Finding(path, what, is_damage))

    def _damage(self, path: str, what: str) -> None:
        self._say(path, what, is_damage=True)

    def _note(self, path: str, what: str) -> None:
        self._say(path, what, is_damage=False)
