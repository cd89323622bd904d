"""Segment files `<first index>.log`: a header page, then entries one behind the other, then zeros to the file's end.

Header page (4 KiB), big-endian: magic, u16 format, u64 group, u64 first index, u64 file bytes, crc32c of these; in the
second and third sector by turns the *durable mark*: an index known to be durable. The writer writes it some ms after
entries became durable (`RaftSettings.mark_ms`), without a sync of its own: the next sync of the file takes it along. So
it is that long behind after a kill, one round of the writer more after a power cut, and exact after a clean stop.

An entry is intact if its CRC is right, its index follows and its term does not fall. The first place that is not is the
log's end. If that place is at or below the mark, durable bytes were damaged. Above it, it is the torn tail of the last
round, whose sectors reach the disk in any order: intact entries may stand behind it, nobody was told of any of them.
Or it is an entry that became durable after the mark, and has rotted since: nobody can tell (`damage`).
"""

import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from crc32c import crc32c

from .disk import Disk, DiskFile, create_durably
from .entries import ENTRY_VERSION, HEADER, HEADER_BYTES, KINDS, LENGTH_MIN, PREFIX, EntryKind
from .errors import CorruptLogError, ForeignDirectoryError, UnknownFormatError
from .interfaces import GroupId, Index, Term
from .slots import SECTOR_BYTES, Slot, encode_slot, intact_slots, newest_slot_or_none

SEGMENT_SUFFIX = ".log"
SEGMENT_MAGIC = b"tmspltLG"
SEGMENT_FORMAT = 1
PAGE_BYTES = 4096
FIXED = struct.Struct(">8sHQQQ")
CRC = struct.Struct(">I")
MARK_POSITIONS = (SECTOR_BYTES, 2 * SECTOR_BYTES)
FILE_BYTES_MAX = 1 << 32
POSITION_EVERY = 64
ZEROS = bytes(1 << 20)
assert FIXED.size + CRC.size <= SECTOR_BYTES


class SegmentPlan(NamedTuple):
    """Which file entries go to; made by the log, carried out by the writer."""

    first_index: Index
    file_bytes: int


@dataclass(slots=True)
class Segment:
    """Where the entries of one file are: its end, and every 64th on the way there (a look-up walks the rest)."""

    plan: SegmentPlan
    last_index: Index
    end_position: int = PAGE_BYTES
    positions: "array[int]" = field(default_factory=lambda: array("I"))

    @classmethod
    def empty(cls, plan: SegmentPlan) -> "Segment":
        return cls(plan, Index(plan.first_index - 1))

    @property
    def first_index(self) -> Index:
        return self.plan.first_index

    def add(self, entry_bytes: int) -> None:
        """Take in the next entry, where it was found."""
        index = self.last_index + 1
        if (index - self.plan.first_index) % POSITION_EVERY == 0:
            self.positions.append(self.end_position)
        self.last_index = Index(index)
        self.end_position += entry_bytes
        assert self.end_position <= self.plan.file_bytes, f"entry {index} ends past its segment"

    def add_run(self, sizes: Sequence[int], bytes_max: int) -> int:
        """Place the next entries, as many as there is room for and as take `bytes_max`, or one; how many."""
        room = min(self.plan.file_bytes - self.end_position, max(bytes_max, sizes[0]))
        total, count = sum(sizes), len(sizes)
        if total > room:
            ends = list(accumulate(sizes))
            count = bisect_right(ends, room)
            total = ends[count - 1] if count else 0
        before = self.last_index + 1 - self.plan.first_index
        position, done = self.end_position, 0
        for at in range(-before % POSITION_EVERY, count, POSITION_EVERY):
            position += sum(sizes[done:at])
            self.positions.append(position)
            done = at
        self.last_index = Index(self.last_index + count)
        self.end_position += total
        return count

    def known_place_before(self, index: Index) -> tuple[Index, int]:
        """The nearest entry at or before `index` whose position is known."""
        assert self.first_index <= index <= self.last_index, f"{index} outside {self.first_index}..{self.last_index}"
        slot = (index - self.first_index) // POSITION_EVERY
        return Index(self.first_index + slot * POSITION_EVERY), self.positions[slot]

    def until(self, index: Index, end_position: int) -> "Segment":
        """The same segment, known up to `index` only."""
        count = -(-(index + 1 - self.first_index) // POSITION_EVERY)
        return Segment(self.plan, index, end_position, self.positions[:count])


class Mark(NamedTuple):
    sequence: int
    durable: Index


class Found(NamedTuple):
    """An intact entry in a segment; `position` is where its header begins."""

    term: Term
    index: Index  # pyright: ignore[reportIncompatibleMethodOverride] - the paper's word; nobody searches this tuple
    kind: EntryKind
    position: int
    entry_bytes: int

    @property
    def body(self) -> slice:
        return slice(self.position + HEADER_BYTES, self.position + self.entry_bytes)


def segment_name(first_index: Index) -> str:
    return f"{first_index:020d}{SEGMENT_SUFFIX}"


def segment_indexes(names: Sequence[str]) -> list[Index]:
    """First indexes of the segments among the names of a directory, rising."""
    stems = [name.removesuffix(SEGMENT_SUFFIX) for name in names if name.endswith(SEGMENT_SUFFIX)]
    return sorted(Index(int(stem)) for stem in stems if stem.isdecimal())


def create_segment(disk: Disk, directory: str, group_id: GroupId, plan: SegmentPlan, mark: Mark) -> DiskFile:
    """A preallocated file with its header, durable under its name before this returns. Raises: OSError."""
    assert plan.file_bytes < FILE_BYTES_MAX, f"segment of {plan.file_bytes} bytes, below {FILE_BYTES_MAX}"
    head = segment_head(group_id, plan, mark)
    return create_durably(disk, f"{directory}/{segment_name(plan.first_index)}", plan.file_bytes, [head])


def segment_head(group_id: GroupId, plan: SegmentPlan, mark: Mark) -> bytes:
    """The header page of a new segment."""
    fixed = FIXED.pack(SEGMENT_MAGIC, SEGMENT_FORMAT, group_id, plan.first_index, plan.file_bytes)
    head = (fixed + CRC.pack(crc32c(fixed))).ljust(MARK_POSITIONS[mark.sequence % 2], b"\0")
    return (head + encode_mark(mark)).ljust(PAGE_BYTES, b"\0")


def encode_mark(mark: Mark) -> bytes:
    return encode_slot(Slot(mark.sequence, mark.durable, 0, 0))


def write_mark(file: DiskFile, mark: Mark) -> None:
    file.write([encode_mark(mark)], MARK_POSITIONS[mark.sequence % 2])


def replace_mark(file: DiskFile, mark: Mark) -> None:
    """Write a mark of `mark_after`, durably: the one before may not be yet, and a power cut must not tear both."""
    file.sync()
    write_mark(file, mark)
    file.sync()


def mark_after(own: Mark, sequence: int, durable: Index) -> Mark:
    """A mark newer than `sequence` and than the file's own one, in the slot where that one is not: it may be torn."""
    above = max(own.sequence, sequence) + 1
    return Mark(above + (above - own.sequence + 1) % 2, durable)


def read_segment_header(path: str, view: memoryview, group_id: GroupId, first_index: Index) -> Mark:
    """Check the header and return the mark. Raises: CorruptLogError, UnknownFormatError, ForeignDirectoryError."""
    # A segment gets its name after its header is durable: a header that is wrong was damaged, never torn.
    if len(view) < PAGE_BYTES or CRC.unpack_from(view, FIXED.size)[0] != crc32c(view[: FIXED.size]):
        raise CorruptLogError(path, "the segment's header is damaged")
    magic, log_format, group, first, file_bytes = FIXED.unpack_from(view)
    if magic != SEGMENT_MAGIC or log_format != SEGMENT_FORMAT:
        raise UnknownFormatError(f"{path}: segment format {magic!r} {log_format}, known is {SEGMENT_FORMAT}")
    if group != group_id or first != first_index:
        raise ForeignDirectoryError(f"{path}: entry {first} of group {group}, not {first_index} of {group_id}")
    if file_bytes != len(view):
        raise CorruptLogError(path, f"{len(view)} bytes long, made with {file_bytes}")
    slot = newest_slot_or_none(view, MARK_POSITIONS)
    if slot is None:
        raise CorruptLogError(path, "neither durable mark is intact")
    return Mark(slot.sequence, Index(slot.first))


def durable_beyond_doubt(view: memoryview) -> Index:
    """What a mark still says is durable if one of the two rots; if that leaves none, the segment is damaged."""
    return Index(min(slot.first for slot in intact_slots(view, MARK_POSITIONS)))


def scan(path: str, view: memoryview, position: int, last: tuple[Term, Index]) -> Iterator[Found]:
    """Yield the intact entries that follow the entry `last` from `position` on. Raises: UnknownFormatError."""
    term, index = last
    end = len(view)
    header_at = HEADER.unpack_from
    # A start goes through hundreds of thousands of entries here.
    while position + HEADER_BYTES <= end:
        length, crc, entry_term, entry_index, kind, version = header_at(view, position)
        first = position + PREFIX.size
        follows = first + length
        if length < LENGTH_MIN or follows > end or entry_index != index + 1 or entry_term < term:
            return
        if crc32c(view[first:follows]) != crc:
            return
        if version != ENTRY_VERSION or kind >= len(KINDS):
            raise UnknownFormatError(f"{path}: entry {entry_index} of kind {kind}, version {version}")
        term, index = entry_term, entry_index
        yield Found(term, index, KINDS[kind], position, follows - position)
        position = follows


def remains(view: memoryview, position: int) -> Iterator[slice]:
    """Where something else than zeros stands behind `position`; all of it is read, at some GB a second."""
    for first in range(position, len(view), len(ZEROS)):
        part = slice(first, min(first + len(ZEROS), len(view)))
        if view[part].tobytes() != ZEROS[: part.stop - first]:
            yield part


def clear(file: DiskFile, parts: Iterable[slice]) -> None:
    """Zero what a torn round left behind the log's end, durably, so that nothing of it is ever taken for an entry."""
    for part in parts:
        file.write([ZEROS[: part.stop - part.start]], part.start)
    file.sync()
