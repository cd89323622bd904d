"""Entries that follow each other, handled as one: as they were made, or as the bytes in which they came.

Who orders, writes and sends entries asks a run for its ends, its sizes and its bytes; a single entry of bytes is made
only when somebody looks at it.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import cast, overload

from crc32c import crc32c

from .entries import (
    CHECKED,
    COMMANDS,
    ENTRY_VERSION,
    HEADER,
    HEADER_BYTES,
    KINDS,
    LENGTH_MIN,
    PREFIX,
    PREFIX_BYTES,
    Entry,
    matches,
)
from .interfaces import Buffer, Index, Term

Head = tuple[int, int, Term, Index, int, int]
"""A header's fields as they stand there: length, crc, term, index, kind, version."""
Bare = tuple[Term, Index, int, int, Sequence[Buffer]]
"""An entry without its header: term, index, kind, size, body."""

head_at = cast("Callable[[Buffer, int], Head]", HEADER.unpack_from)

GIL_IS_KEPT = 0
"""`gil_release_mode` for some 10 us of CRC: to get the interpreter back from other threads would cost as much again."""
GIL_KEPT_BYTES_MAX = 128 * 1024
"""A CRC of more gives the interpreter to the other threads meanwhile: none of them waits longer for it."""

_bare = cast("Callable[[Entry], Bare]", itemgetter(0, 1, 2, 3, 4))


class EntryRun(Sequence[Entry]):
    """At least one entry, each behind the one before; never changed once it is made.

    `images`: all their bytes, as they lie on the disk and on the wire, in few pieces; () where nobody has made them.
    `crc_or_none`: of the only image; taken when it was made, or came (decision 0011).
    `total_bytes`: headers and bodies. `has_commands_only`: certainly none is a no-op or a configuration.
    """

    __slots__ = (
        "crc_or_none",
        "entry_count",
        "first_index",
        "first_term",
        "has_commands_only",
        "images",
        "last_index",
        "last_term",
        "total_bytes",
    )

    first_term: Term
    first_index: Index
    last_term: Term
    last_index: Index
    entry_count: int
    total_bytes: int
    has_commands_only: bool
    images: Sequence[Buffer]
    crc_or_none: int | None

    def __len__(self) -> int:
        return self.entry_count

    @overload
    def __getitem__(self, at: int) -> Entry: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Entry]: ...
    def __getitem__(self, at: int | slice) -> Entry | Sequence[Entry]:
        return self.all()[at]

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.all())

    @abstractmethod
    def all(self) -> Sequence[Entry]: ...
    @abstractmethod
    def sizes(self) -> list[int]:
        """Bytes of each, header and body."""
        ...

    @abstractmethod
    def part(self, begin: int, end: int) -> "EntryRun":
        """Some of them, at least one, as a run of its own."""
        ...

    @abstractmethod
    def bare(self, begin: int, end: int) -> Sequence[Bare]:
        """Some of them without headers."""
        ...

    def commands(self) -> tuple[int, int]:
        """How many there are, and the bytes of their bodies."""
        if self.has_commands_only:
            return self.entry_count, self.total_bytes - HEADER_BYTES * self.entry_count
        sizes = [entry.size for entry in self if entry.kind is COMMANDS]
        return len(sizes), sum(sizes)

    @abstractmethod
    def intact_count(self) -> int:
        """How many of them, from the first on, are still what they were when they were made, or came."""
        ...


class MadeRun(EntryRun):
    """Entries, as they were proposed, or read again; `images` are their bytes once more."""

    __slots__ = ("_entries",)

    def __init__(self, entries: Sequence[Entry], images: Sequence[Buffer] = ()) -> None:
        self._entries = entries
        self.first_term, self.first_index = entries[0][:2]
        self.last_term, self.last_index = entries[-1][:2]
        self.entry_count = len(entries)
        self.total_bytes = sum(self.sizes())
        self.has_commands_only = _are_commands(entries)
        self.images = images
        self.crc_or_none = None

    def all(self) -> Sequence[Entry]:
        return self._entries

    def sizes(self) -> list[int]:
        return [HEADER_BYTES + entry[3] for entry in self._entries]

    def part(self, begin: int, end: int) -> EntryRun:
        return self if end - begin == self.entry_count else MadeRun(self._entries[begin:end])

    def bare(self, begin: int, end: int) -> Sequence[Bare]:
        return [*map(_bare, self._entries[begin:end])]

    def intact_count(self) -> int:
        for at, entry in enumerate(self._entries):
            if not matches(entry.header, entry.body):
                return at
        return self.entry_count


class ImageRun(EntryRun):
    """Their bytes in one piece, and each without its header, to be applied.

    `is_ours`: the image was made here, of what nobody can change.
    """

    __slots__ = ("_bare", "_entries", "_image", "_is_ours")

    def __init__(
        self,
        bare: Sequence[Bare],
        image: Buffer,
        crc_or_none: int | None,
        *,
        has_commands_only: bool,
        is_ours: bool = False,
    ) -> None:
        self._bare = bare
        self._image = image
        self._is_ours = is_ours
        self._entries: Sequence[Entry] = ()
        self.first_term, self.first_index = bare[0][:2]
        self.last_term, self.last_index = bare[-1][:2]
        self.entry_count = len(bare)
        self.total_bytes = len(image)
        self.has_commands_only = has_commands_only
        self.images = (image,)
        self.crc_or_none = crc_or_none

    def all(self) -> Sequence[Entry]:
        if not self._entries:
            image, at = self._image, 0
            made: list[Entry] = []
            for term, index, kind, size, body in self._bare:
                made.append(Entry(term, index, KINDS[kind], size, body, image[at : at + HEADER_BYTES]))
                at += HEADER_BYTES + size
            self._entries = made
        return self._entries

    def sizes(self) -> list[int]:
        return [HEADER_BYTES + bare[3] for bare in self._bare]

    def part(self, begin: int, end: int) -> EntryRun:
        if end - begin == self.entry_count:
            return self
        sizes = self.sizes()
        first = sum(sizes[:begin])
        image = memoryview(self._image)[first : first + sum(sizes[begin:end])]
        only_commands, is_ours = self.has_commands_only, self._is_ours
        return ImageRun(self._bare[begin:end], image, None, has_commands_only=only_commands, is_ours=is_ours)

    def bare(self, begin: int, end: int) -> Sequence[Bare]:
        return self._bare[begin:end]

    def intact_count(self) -> int:
        image, at = self._image, 0
        if self._is_ours or (self.crc_or_none is not None and image_crc(image) == self.crc_or_none):
            return self.entry_count
        for count, (term, index, kind, size, _) in enumerate(self._bare):
            length, crc, *others = head_at(image, at)
            checked = at + PREFIX_BYTES
            at += HEADER_BYTES + size
            is_same = length == at - checked and others == [term, index, kind, ENTRY_VERSION]
            if not is_same or crc32c(image[checked:at]) != crc:
                return count
        return self.entry_count


def run_of(entries: Sequence[Entry]) -> EntryRun:
    """As it is, if it is one. The commonest kind is asked for first: an abstract class takes its time to answer."""
    if type(entries) is ImageRun or isinstance(entries, EntryRun):
        return entries
    return MadeRun(entries)


def joined_run(entries: Sequence[Entry]) -> EntryRun:
    """With their bytes in one piece. They are all small: `new_entry` has copied what could change."""
    buffers: list[Buffer] = []
    for entry in entries:
        buffers.append(entry[5])
        buffers += entry[4]
    return _our_run([*map(_bare, entries)], buffers, has_commands_only=_are_commands(entries))


def proposed_run(term: Term, first: Index, bodies: Sequence[bytes]) -> EntryRun:
    """Small commands of one term, made entries together; each header as `new_entry` makes it."""
    buffers: list[Buffer] = []
    bare: list[Bare] = []
    pack_checked, pack_prefix, commands = CHECKED.pack, PREFIX.pack, int(COMMANDS)
    for index, body in enumerate(bodies, first):
        size = len(body)
        checked = pack_checked(term, index, commands, ENTRY_VERSION)
        buffers += (pack_prefix(LENGTH_MIN + size, crc32c(body, crc32c(checked))), checked, body)
        bare.append((term, Index(index), commands, size, (body,) if size else ()))
    return _our_run(bare, buffers, has_commands_only=True)


def _our_run(bare: Sequence[Bare], buffers: Sequence[Buffer], *, has_commands_only: bool) -> EntryRun:
    image = b"".join(buffers)
    return ImageRun(bare, image, image_crc(image), has_commands_only=has_commands_only, is_ours=True)


def image_crc(image: Buffer) -> int:
    return crc32c(image, gil_release_mode=GIL_IS_KEPT) if len(image) <= GIL_KEPT_BYTES_MAX else crc32c(image)


def _are_commands(entries: Sequence[Entry]) -> bool:
    return [entry[2] for entry in entries].count(COMMANDS) == len(entries)
