"""A group's files as they are fetched from a leader, beside the ones in force, and how they take their place.

`checkpoint.fetched` and `<first index>.log.fetched` lie in the group's directory. What is already there is known by
looking: entries have their CRC, so after any interruption fetching goes on behind the last intact one. Bytes that one
source gave suit another: a segment that begins with the same entry holds the same bytes on every member, as far as both
go. When all is verified and durable, the file `installing` is written: from then on the fetched files are the group's.
`finish_install` moves them; interrupted anywhere, the next one goes on. All of this blocks.
"""

from __future__ import annotations

import logging

import msgspec

from .checkpoint import (
    CHECKPOINT_NAME,
    Checkpoint,
    CheckpointFacts,
    SegmentFacts,
    decode_checkpoint_or_none,
    read_checkpoint_file_or_none,
)
from .damage import Damage, note_damage, read_damage_or_none
from .disk import NO_SPACE, Disk, DiskFile, create_durably
from .errors import CorruptLogError, DataDirectoryError, InstallFailedError
from .foreign_facts import check_facts
from .interfaces import GroupId, Index
from .log import TermStarts
from .segments import (
    PAGE_BYTES,
    Mark,
    SegmentPlan,
    clear,
    read_segment_header,
    remains,
    scan,
    segment_head,
    segment_indexes,
    segment_name,
)

FETCHED_SUFFIX = ".fetched"
INSTALLING_NAME = "installing"

logger = logging.getLogger(__name__)


class StagedFiles:
    """What has been fetched so far. One segment at a time is being filled: `begin`, `write`, `complete`."""

    def __init__(self, disk: Disk, directory: str, group_id: GroupId) -> None:
        self._disk = disk
        self._directory = directory
        self._group_id = group_id
        self._file: DiskFile | None = None
        self._intact = (Index(0), PAGE_BYTES)  # of the segment being filled: the last entry that was read back, its end
        self._complete: dict[Index, tuple[int, Index]] = {}  # by first index: the file's bytes, the last entry

    def checkpoint_or_none(self) -> Checkpoint | None:
        """The fetched checkpoint. Raises: UnknownFormatError, ForeignDirectoryError."""
        return read_checkpoint_file_or_none(
            self._disk, self._directory, CHECKPOINT_NAME + FETCHED_SUFFIX, self._group_id
        )

    def take_checkpoint(self, content: memoryview) -> CheckpointFacts:
        """Keep a checkpoint, and of the segments those that it knows. Raises: InstallFailedError, OSError."""
        try:
            checkpoint = decode_checkpoint_or_none(CHECKPOINT_NAME, content, self._group_id)
        except (msgspec.DecodeError, LookupError) as error:
            raise InstallFailedError(
                f"{self._directory}: the checkpoint that was sent is unreadable: {error}"
            ) from error
        if checkpoint is None:
            raise InstallFailedError(f"{self._directory}: the checkpoint that was sent is damaged")
        check_facts(checkpoint.facts)
        known = {segment.first_index for segment in checkpoint.facts.segments}
        for name in self._disk.names(self._directory):
            if name.endswith(FETCHED_SUFFIX):
                first = segment_indexes([name.removesuffix(FETCHED_SUFFIX)])
                if first and first[0] not in known:
                    self._disk.remove(f"{self._directory}/{name}")
                    self._complete.pop(first[0], None)
        path = f"{self._directory}/{CHECKPOINT_NAME}{FETCHED_SUFFIX}"
        create_durably(self._disk, path, len(content), [content]).close()
        return checkpoint.facts

    def begin(self, facts: CheckpointFacts, segment: SegmentFacts) -> int:
        """From where on bytes of the segment are missing; its end, if none are. Raises: OSError."""
        assert self._file is None, "another segment is being filled"
        self._intact = Index(segment.first_index - 1), PAGE_BYTES
        name = segment_name(segment.first_index) + FETCHED_SUFFIX
        path = f"{self._directory}/{name}"
        plan = SegmentPlan(segment.first_index, segment.file_bytes)
        if name in self._disk.names(self._directory):
            view = self._disk.map(path)
            try:
                read_segment_header(path, view, self._group_id, segment.first_index)
                is_ours = len(view) == segment.file_bytes
            except DataDirectoryError:
                is_ours = False
            if is_ours:
                self._file = self._disk.open(path)
                self._read_back(facts, segment, view)
                return self._intact[1]
            self._disk.remove(path)
        head = segment_head(self._group_id, plan, Mark(1, Index(segment.last_index)))
        self._file = create_durably(self._disk, path, segment.file_bytes, [head])
        return PAGE_BYTES

    def write(self, content: bytes | memoryview, position: int) -> None:
        """Raises: OSError."""
        assert self._file is not None, "no segment is being filled"
        self._file.write([content], position)

    def complete(self, facts: CheckpointFacts, segment: SegmentFacts) -> None:
        """Read all of the segment back, and make it durable. Raises: InstallFailedError, OSError."""
        assert self._file is not None, "no segment is being filled"
        path = f"{self._directory}/{segment_name(segment.first_index)}{FETCHED_SUFFIX}"
        view = self._disk.map(path)
        clear(self._file, remains(view, segment.end_position))
        self.close()
        self._read_back(facts, segment, view)
        if self._intact != (segment.last_index, segment.end_position):
            self._disk.remove(path)
            raise InstallFailedError(f"{path}: the source is damaged behind entry {self._intact[0]}")
        self._complete[segment.first_index] = segment.file_bytes, segment.last_index

    def is_complete(self, segment: SegmentFacts) -> bool:
        return self._complete.get(segment.first_index) == (segment.file_bytes, segment.last_index)

    def finish(self, facts: CheckpointFacts) -> None:
        """Every segment is complete: from now on these are the group's files.

        Raises: InstallFailedError (no space; nothing has changed), OSError.
        """
        self._disk.sync_directory(self._directory)
        names = [CHECKPOINT_NAME, *(segment_name(segment.first_index) for segment in facts.segments)]
        content = msgspec.json.encode(names) + b"\n"
        try:
            create_durably(self._disk, f"{self._directory}/{INSTALLING_NAME}", len(content), [content]).close()
        except OSError as error:
            # Is it there, it may be durable: then nothing may ever be added to the log that it replaces.
            if error.errno in NO_SPACE and INSTALLING_NAME not in self._disk.names(self._directory):
                raise InstallFailedError(f"{self._directory}: no space for {INSTALLING_NAME}: {error}") from error
            raise

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read_back(self, facts: CheckpointFacts, segment: SegmentFacts, view: memoryview) -> None:
        """Go on to the last intact entry that stands where it should."""
        terms = TermStarts(facts.term_starts)
        last, end = self._intact
        for found in scan(self._directory, view[: segment.end_position], end, (terms.term_of(last), last)):
            if found.term != terms.term_of(found.index):
                break
            last, end = found.index, found.position + found.entry_bytes
        self._intact = last, end


def finish_install(disk: Disk, directory: str) -> bool:
    """Put completely fetched files in the place of the group's own, which nobody has open; False if there are none.

    Raises: CorruptLogError, OSError.
    """
    names = disk.names(directory)
    if INSTALLING_NAME not in names:
        return False
    path = f"{directory}/{INSTALLING_NAME}"
    try:
        wanted = msgspec.json.decode(disk.read(path), type=list[str])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptLogError(path, f"unreadable: {error}") from error
    for name in wanted:
        if name + FETCHED_SUFFIX in names:
            disk.rename(f"{directory}/{name}{FETCHED_SUFFIX}", f"{directory}/{name}")
        elif name not in names:
            raise CorruptLogError(f"{directory}/{name}", "was fetched, and is gone")
    kept = {segment_name(first) for first in segment_indexes(wanted)}
    for first in segment_indexes(names):
        if segment_name(first) not in kept:
            disk.remove(f"{directory}/{segment_name(first)}")
    _remove_fetched(disk, directory)
    disk.sync_directory(directory)
    _note_that_damage_is_not_cold(disk, directory)
    disk.remove(path)
    disk.sync_directory(directory)
    logger.warning("%s: files of a leader took the place of its own", directory)
    return True


def _note_that_damage_is_not_cold(disk: Disk, directory: str) -> None:
    """The damaged entries are not there any more, and what is was read back; else a start threw it away again."""
    damage = read_damage_or_none(disk, directory)
    if damage is not None and damage.is_cold:
        try:
            note_damage(disk, directory, Damage(reason=damage.reason))
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise
            logger.warning("%s: no space to note that new files are there: %s", directory, error)


def discard_fetched(disk: Disk, directory: str) -> None:
    """What was fetched is not needed any more. Raises: OSError."""
    assert INSTALLING_NAME not in disk.names(directory), "the fetched files are the group's"
    if _remove_fetched(disk, directory):
        disk.sync_directory(directory)


def discard_fetched_if_older(disk: Disk, directory: str, group_id: GroupId, last: Index) -> None:
    """If the log has come further by itself than the files would bring it. Raises: DataDirectoryError, OSError."""
    if any(name.endswith(FETCHED_SUFFIX) for name in disk.names(directory)):
        fetched = StagedFiles(disk, directory, group_id).checkpoint_or_none()
        if fetched is None or fetched.facts.applied <= last:
            discard_fetched(disk, directory)


def _remove_fetched(disk: Disk, directory: str) -> bool:
    fetched = [name for name in disk.names(directory) if name.endswith(FETCHED_SUFFIX)]
    for name in fetched:
        disk.remove(f"{directory}/{name}")
    return bool(fetched)
