"""A log entry's bytes.

Big-endian:

    u32 length   bytes after the crc field
    u32 crc32c   of everything after it
    u64 term, u64 index, u8 kind, u8 version, body

The length is outside the CRC: a wrong one makes the CRC wrong. What a body means is the state machine's business
(kind 1), or `configuration`'s (kind 2); a no-op (kind 0) has none.
"""

import struct
from collections.abc import Sequence
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
PREFIX_BYTES = PREFIX.size
assert PREFIX_BYTES + CHECKED.size == HEADER_BYTES


class EntryKind(IntEnum):
    NO_OP = 0
    COMMANDS = 1
    CONFIGURATION = 2


COMMANDS = EntryKind.COMMANDS
"""Looked up once: that takes a call each time."""

T = TypeVar("T")


class Maker(Protocol):
    def __call__(self, made: type[T], values: tuple[object, ...], /) -> T: ...


make = cast("Maker", tuple.__new__)
"""A NamedTuple of its values, in a third of the time of its own constructor; for what is made of every entry."""

COPIED_BYTES_MAX = 16 * 1024
"""Entries up to this size are copied into one buffer with their neighbours: a link pays for each buffer of a frame."""

KINDS: tuple[EntryKind, ...] = tuple(EntryKind)
assert all(kind == place for place, kind in enumerate(KINDS)), "the kind of an entry is its place here"


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
    """An entry with its header made. A small body is copied, unless nobody can change it: who has the entry has it all.

    The CRC of a large one runs over the buffers where they are, and is compared again when they are written.
    """
    checked = CHECKED.pack(term, index, kind, ENTRY_VERSION)
    if size > COPIED_BYTES_MAX:
        crc = _crc(checked, body)
    elif size:
        if len(body) != 1 or type(body[0]) is not bytes:
            body = (b"".join(body),)
        crc = crc32c(body[0], crc32c(checked))
    else:
        body, crc = (), crc32c(checked)
    return make(Entry, (term, index, kind, size, body, PREFIX.pack(LENGTH_MIN + size, crc) + checked))


def matches(header: Buffer, body: Sequence[Buffer]) -> bool:
    """Whether header and body are still what `new_entry` saw."""
    length, crc = PREFIX.unpack_from(header)
    size = len(body[0]) if len(body) == 1 else sum(map(len, body))
    return length == LENGTH_MIN + size and crc == _crc(header[PREFIX.size :], body)


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
