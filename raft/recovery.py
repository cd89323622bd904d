"""From the files of a group to its log: what is durable, what is the torn end of the last round, what is damage.

Blocking; called in a thread, before anything else touches the directory. Safe to be interrupted and repeated anywhere.
"""

import logging
from dataclasses import dataclass, field

from .checkpoint import CHECKPOINT_NAME, Checkpoint, from_facts, read_checkpoint_or_none
from .configuration import Peer, decode_configuration
from .damage import Damage, note_damage, read_damage_or_none
from .disk import NEW_SUFFIX, Disk, DiskFile
from .entries import EntryKind
from .errors import CorruptLogError, VoteLostError
from .hard_state import HARD_STATE_NAME, HardStateFile
from .interfaces import GroupId, Index, Place, Term
from .log import SegmentLog, TermStarts
from .segments import (
    PAGE_BYTES,
    Mark,
    Segment,
    SegmentPlan,
    clear,
    durable_beyond_doubt,
    mark_after,
    read_segment_header,
    remains,
    replace_mark,
    scan,
    segment_indexes,
    segment_name,
)
from .staged_files import discard_fetched_if_older, finish_install

BEGIN = Place(1, PAGE_BYTES)
NO_TERM = Term(0)
NO_INDEX = Index(0)
NO_MARK = Mark(1, NO_INDEX)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recovered:
    """A group's log, durable up to its last entry. `configuration` is the body of the last entry of that kind.

    `is_damaged`: the member lost durable entries and was not healed since; `is_doubtful`: it may have (`damage`).
    """

    log: SegmentLog
    hard_state: HardStateFile
    checkpoint: Checkpoint | None
    applied_end: Place
    configuration: bytes | None
    mark: Mark
    is_damaged: bool = False
    is_doubtful: bool = False
    configuration_index: Index = NO_INDEX  # 0: at or below the checkpoint, or none
    configuration_before: bytes | None = None  # in force again should that entry be cut

    @property
    def is_whole(self) -> bool:
        return not (self.is_damaged or self.is_doubtful)


def recover(
    disk: Disk,
    directory: str,
    group_id: GroupId,
    segment_bytes: int,
    *,
    me: Peer | None = None,
    has_peers: bool = False,
) -> Recovered:
    """Open or found the log in `directory`.

    Of a damaged log the intact beginning is kept if peers can send the rest: if `me` is not the only voter of the
    configuration found, or the caller knows of others (`has_peers`). Otherwise it is refused, and left as it is.
    With peers, something else than zeros behind the intact log is in doubt; alone, it is a torn tail.
    Raises: DataDirectoryError, OSError.
    """
    disk.make_directory(directory)
    finish_install(disk, directory)
    names = disk.names(directory)
    for name in names:
        if name.endswith(NEW_SUFFIX):
            disk.remove(f"{directory}/{name}")
    firsts = segment_indexes(names)
    if HARD_STATE_NAME not in names and (firsts or CHECKPOINT_NAME in names):
        raise VoteLostError(f"{directory}/{HARD_STATE_NAME}", "missing beside a log")
    hard_state = HardStateFile(disk, directory, group_id)
    try:
        files = _Files(disk, directory, group_id, firsts)
        noted = read_damage_or_none(disk, directory)
        found = _find(files, read_checkpoint_or_none(disk, directory, group_id), noted)
        _check_term(files, found, hard_state)
        if found.damage is not None:
            _check_repairable(found, found.damage, has_peers=has_peers or noted is not None, me=me)
            noted = Damage(reason=str(found.damage))
            note_damage(disk, directory, noted)
            if found.checkpoint is None and CHECKPOINT_NAME in names:
                files.remove(CHECKPOINT_NAME)
        elif noted is None and (has_peers or _has_others(found.configuration, me)):
            noted = files.doubt_or_none(found)
            if noted is not None:
                logger.warning("%s; the member is in doubt until its peers have healed it", noted.reason)
                note_damage(disk, directory, noted)
        mark = files.keep_only(found)
        discard_fetched_if_older(disk, directory, group_id, found.last)
        if noted is not None and noted.is_cold:
            note_damage(disk, directory, Damage(reason=noted.reason))
    except BaseException:
        hard_state.close()
        raise
    return Recovered(
        log=SegmentLog(
            disk, directory, group_id, segment_bytes=segment_bytes, segments=found.segments, terms=found.terms
        ),
        hard_state=hard_state,
        checkpoint=found.checkpoint,
        applied_end=found.applied_end,
        configuration=found.configuration,
        mark=mark,
        is_damaged=noted is not None and not noted.is_doubt,
        is_doubtful=noted is not None and noted.is_doubt,
    )


def _check_term(files: "_Files", found: "_Found", hard_state: HardStateFile) -> None:
    term = hard_state.state.term
    if found.term > term:
        raise VoteLostError(files.directory, f"entry of term {found.term}, but the term is {term}", found.last)


def _check_repairable(found: "_Found", damage: CorruptLogError, *, has_peers: bool, me: Peer | None) -> None:
    if not has_peers and not _has_others(found.configuration, me):
        raise damage
    logger.error("%s; the member is damaged until its peers have healed it", damage)


def _has_others(configuration: bytes | None, me: Peer | None) -> bool:
    if configuration is None or me is None:
        return False
    try:
        return any(peer != me for peer in decode_configuration(configuration).voters)
    except ValueError:
        return False


@dataclass(slots=True)
class _Found:
    """The log as far as it is intact, from the checkpoint or from entry 1 on. `damage`: it was longer."""

    checkpoint: Checkpoint | None = None
    segments: list[Segment] = field(default_factory=list[Segment])
    terms: TermStarts = field(default_factory=TermStarts)
    configuration: bytes | None = None
    configuration_index: Index = NO_INDEX
    configuration_before: bytes | None = None
    applied_end: Place = BEGIN
    term: Term = NO_TERM
    last: Index = NO_INDEX
    mark: Mark = NO_MARK
    damage: CorruptLogError | None = None


def _find(files: "_Files", checkpoint: Checkpoint | None, noted: Damage | None) -> _Found:
    """The longest beginning that is intact; entries that the checkpoint covers are trusted, unless damage was noted."""
    begins_at_one = not files.firsts or files.firsts[0] == 1
    if checkpoint is not None and (noted is None or not noted.is_cold):
        try:
            return _scan(files, _begin_after(files, checkpoint))
        except CorruptLogError as error:
            damage = error
    elif checkpoint is not None:
        damage = CorruptLogError(files.directory, "damaged below the checkpoint")
    elif begins_at_one:
        return _scan(files, _Found())
    else:
        damage = CorruptLogError(files.directory, f"begins with {files.firsts[0]}, and there is no checkpoint")
    found = _Found(configuration=None if checkpoint is None else checkpoint.facts.configuration)
    if begins_at_one:
        found = _scan(files, found)
    is_whole = checkpoint is not None and found.last >= checkpoint.facts.applied and found.damage is None
    found.damage = None if is_whole else damage
    return found


def _begin_after(files: "_Files", checkpoint: Checkpoint) -> _Found:
    """Raises: CorruptLogError."""
    facts = checkpoint.facts
    found = _Found(checkpoint)
    found.segments = [from_facts(segment) for segment in facts.segments]
    known = [segment.first_index for segment in found.segments]
    kept = [first for first in files.firsts if first >= known[0]]  # those before were released with the checkpoint
    if kept[: len(known)] != known:
        missing = sorted(set(known) - set(kept)) or kept[: len(known)]
        raise CorruptLogError(files.directory, f"the checkpoint knows other segments; see {missing}")
    found.terms = TermStarts(facts.term_starts)
    found.configuration = facts.configuration
    found.term, found.last = facts.applied_term, facts.applied
    end = found.segments[-1]
    files.mark_of(end.first_index)
    found.applied_end = Place(end.first_index, end.end_position)
    return found


def _scan(files: "_Files", found: _Found) -> _Found:
    """Go on behind what is known, to the log's end."""
    begin = found.segments[-1].first_index if found.segments else Index(1)
    scanned = [first for first in files.firsts if first >= begin]
    try:
        if scanned:
            found.mark = files.mark_of(scanned[-1])
    except CorruptLogError as error:
        found.damage = error
    for first in scanned:
        if not found.segments or first != found.segments[-1].first_index:
            if first != found.last + 1:
                break
            try:
                files.mark_of(first)
            except CorruptLogError as error:
                found.damage = found.damage or error
                break
            found.segments.append(Segment.empty(SegmentPlan(first, len(files.view(first)))))
        _scan_last_segment(files, found)
    if found.last < found.mark.durable:
        path = files.path(found.segments[-1].first_index) if found.segments else files.directory
        reason = f"damaged or missing, but entry {found.mark.durable} was durable"
        found.damage = found.damage or CorruptLogError(path, reason, Index(found.last + 1))
    return found


def _scan_last_segment(files: "_Files", found: _Found) -> None:
    segment = found.segments[-1]
    view = files.view(segment.first_index)
    for entry in scan(files.path(segment.first_index), view, segment.end_position, (found.term, found.last)):
        segment.add(entry.entry_bytes)
        if entry.term != found.term:
            found.terms.add(entry.index, entry.term)
        if entry.kind is EntryKind.CONFIGURATION:
            found.configuration_before, found.configuration = found.configuration, bytes(view[entry.body])
            found.configuration_index = entry.index
        found.term, found.last = entry.term, entry.index


class _Files:
    """The files of a group while its log is being opened."""

    def __init__(self, disk: Disk, directory: str, group_id: GroupId, firsts: list[Index]) -> None:
        self.directory = directory
        self.firsts = firsts
        self._disk = disk
        self._group_id = group_id
        self._views: dict[Index, memoryview] = {}
        self._remains: dict[Index, list[slice]] = {}

    def path(self, first: Index) -> str:
        return f"{self.directory}/{segment_name(first)}"

    def view(self, first: Index) -> memoryview:
        view = self._views.get(first)
        if view is None:
            view = self._views[first] = self._disk.map(self.path(first))
        return view

    def mark_of(self, first: Index) -> Mark:
        """Check the segment's header. Raises: CorruptLogError, UnknownFormatError, ForeignDirectoryError."""
        return read_segment_header(self.path(first), self.view(first), self._group_id, first)

    def remove(self, name: str) -> None:
        self._disk.remove(f"{self.directory}/{name}")
        self._disk.sync_directory(self.directory)

    def remains(self, first: Index, position: int) -> list[slice]:
        """What else than zeros is in a segment behind its last intact entry; read once."""
        found = self._remains.get(first)
        if found is None:
            found = self._remains[first] = list(remains(self.view(first), position))
        return found

    def doubt_or_none(self, found: "_Found") -> Damage | None:
        """All that `keep_only` will cut off is looked at: a length that has rotted hides nothing."""
        ends = {segment.first_index: segment.end_position for segment in found.segments[-1:]}
        last = max(ends, default=NO_INDEX)
        for first in self.firsts:
            if first >= last and self.remains(first, ends.get(first, PAGE_BYTES)):
                reason = f"{self.path(first)}: not empty behind entry {found.last}, and what is there is not intact"
                return Damage(reason=reason, is_doubt=True)
        return None

    def keep_only(self, found: _Found) -> Mark:
        """Make what was found durable (a killed process leaves it in the page cache only), and nothing else.

        Returns the mark that the last segment now has, as far as sequences go; all of the log is durable.
        """
        kept = {segment.first_index for segment in found.segments}
        for first in reversed(self.firsts):
            if first not in kept:
                begins = min(kept, default=first)
                logger.warning("%s: %s; removed", self.path(first), "released" if first < begins else "behind the end")
                self._disk.remove(self.path(first))
        sequence = found.mark.sequence
        for segment in found.segments:
            is_last = segment is found.segments[-1]
            if segment.last_index <= found.mark.durable and not is_last:
                continue
            file = self._disk.open(self.path(segment.first_index))
            try:
                if is_last:
                    sequence = self._settle_mark(file, found)
                    clear(file, self.remains(segment.first_index, segment.end_position))
                else:
                    file.sync()
            finally:
                file.close()
        self._disk.sync_directory(self.directory)
        return Mark(sequence, found.last)

    def _settle_mark(self, file: DiskFile, found: _Found) -> int:
        """Where segments behind it are gone, the last one's own mark may promise more than is left, or less.

        A configuration that was written and not called durable yet is, from now on: see `GroupFiles.note_beyond_doubt`.
        """
        last_segment = found.segments[-1].first_index
        own = self.mark_of(last_segment)
        is_configuration_marked = found.configuration_index <= durable_beyond_doubt(self.view(last_segment))
        durable = min(found.mark.durable, found.last) if is_configuration_marked else found.last
        if own == found.mark and own.durable == durable and is_configuration_marked:
            return own.sequence
        mark = mark_after(own, found.mark.sequence, durable)
        replace_mark(file, mark)
        if not is_configuration_marked:
            mark = Mark(mark.sequence + 1, durable)
            replace_mark(file, mark)
        return mark.sequence
