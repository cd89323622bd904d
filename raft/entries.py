"""A log entry's bytes.

Big-endian:

    u32 length   bytes after the crc field
    u32 crc32c   of everything after it
    u64 term, u64 index, u8 kind, u8 version, body

The length is outside the CRC: a wrong one makes the CRC wrong. What a body means is the state machine's business
(kind 1), or `configuration`'s (kind 2); a no-op (kind 0) has none.
"""

import struct
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import NamedTuple, Protocol, TypeVar, cast

from crc32c import crc32c

from .interfaces import Buffer, Index, Term

ENTRY_VERSION = 1
PREFIX = struct.Struct(">II")
CHECKED = struct.Struct(">QQBB")
HEADER = struct.Struct(">IIQQBB")
HEADER_BYTES = HEADER.size
LENGTH_MIN = CHECKED.size
assert PREFIX.size + CHECKED.size == HEADER_BYTES
GIL_IS_KEPT = 0
"""`gil_release_mode` for some 10 us of CRC: to get the interpreter back from other threads would cost as much again."""


class EntryKind(IntEnum):
    NO_OP = 0
    COMMANDS = 1
    CONFIGURATION = 2


T = TypeVar("T")


class Maker(Protocol):
    def __call__(self, made: type[T], values: tuple[object, ...], /) -> T: ...


make = cast("Maker", tuple.__new__)
"""A NamedTuple of its values, in a third of the time of its own constructor; for what is made of every entry."""

COPIED_BYTES_MAX = 16 * 1024
"""Entries up to this size are copied into one buffer with their neighbours: a link pays for each buffer of a frame."""

KNOWN_KINDS = frozenset(int(kind) for kind in EntryKind)


class Entry(NamedTuple):
    """An entry of the log by its handle: whoever only orders entries never looks into `body`. size: of the body.

    `header` is what stands in front of the body, on the disk and on the wire, the same on every member (`new_entry`).
    """

    term: Term
    index: Index  # pyright: ignore[reportIncompatibleMethodOverride] - the paper's word; nobody searches this tuple
    kind: EntryKind
    size: int
    body: Sequence[Buffer]
    header: Buffer


class EntryRun(list[Entry]):
    """Entries that follow each other, never changed once it is made.

    `images`: their bytes, as they lie on the disk and on the wire, in few pieces; () where nobody has made them.
    `crc_or_none`: of the only image, in which bodies and headers are slices, from before its entries were checked.
    """

    __slots__ = ("crc_or_none", "images")

    def __init__(self, entries: Iterable[Entry], images: Sequence[Buffer] = (), crc_or_none: int | None = None) -> None:
        super().__init__(entries)
        self.images = images
        self.crc_or_none = crc_or_none


class EntryHeader(NamedTuple):
    """A header as read; nothing of it is checked before `is_intact`."""

    length: int
    crc: int
    term: Term
    index: Index  # pyright: ignore[reportIncompatibleMethodOverride] - the paper's word; nobody searches this tuple
    kind: int
    version: int

    @property
    def body_bytes(self) -> int:
        return self.length - LENGTH_MIN


def new_entry(term: Term, index: Index, kind: EntryKind, size: int, body: Sequence[Buffer]) -> Entry:
    """An entry with its header made; the CRC runs over the buffers where they are."""
    checked = CHECKED.pack(term, index, kind, ENTRY_VERSION)
    header = PREFIX.pack(LENGTH_MIN + size, _crc(checked, body)) + checked
    return make(Entry, (term, index, kind, size, body, header))


def matches(header: Buffer, body: Sequence[Buffer]) -> bool:
    """Whether header and body are still what `new_entry` saw."""
    length, crc = PREFIX.unpack_from(header)
    size = len(body[0]) if len(body) == 1 else sum(map(len, body))
    return length == LENGTH_MIN + size and crc == _crc(header[PREFIX.size :], body)


def intact_count(entries: EntryRun) -> int:
    """How many of them, from the first on, are still what `new_entry`, or a check of what came, has seen."""
    if (
        entries.crc_or_none is not None
        and crc32c(entries.images[0], gil_release_mode=GIL_IS_KEPT) == entries.crc_or_none
    ):
        return len(entries)
    prefix_at, begin, length_min = PREFIX.unpack_from, PREFIX.size, LENGTH_MIN
    for at, entry in enumerate(entries):
        _, _, _, size, body, header = entry
        if len(body) == 1:
            buffer = body[0]
            length, crc = prefix_at(header)
            is_whole = len(buffer) == size == length - length_min
            if not is_whole or crc32c(buffer, crc32c(header[begin:])) != crc:
                return at
        elif not matches(header, body):
            return at
    return len(entries)


def joined(entries: Sequence[Entry]) -> bytes:
    """Their bytes in one piece."""
    buffers: list[Buffer] = []
    for entry in entries:
        buffers.append(entry.header)
        buffers += entry.body
    return b"".join(buffers)


def read_header_or_none(view: memoryview, position: int) -> EntryHeader | None:
    """The header at `position`, or None if no entry can begin and end there (zeros, or past the end of the view)."""
    if position + HEADER_BYTES > len(view):
        return None
    header = EntryHeader(*HEADER.unpack_from(view, position))
    if header.length < LENGTH_MIN or position + PREFIX.size + header.length > len(view):
        return None
    return header


def is_intact(view: memoryview, position: int, header: EntryHeader) -> bool:
    first = position + PREFIX.size
    return crc32c(view[first : first + header.length]) == header.crc


def _crc(checked: Buffer, body: Sequence[Buffer]) -> int:
    crc = crc32c(checked)
    for buffer in body:
        crc = crc32c(buffer, crc)
    return crc
