"""Entries that follow each other, handled as one: as they were made, or as the bytes in which they came.

Who orders, writes and sends entries asks a run for its ends, its sizes and its bytes; a single entry of bytes is made
only when somebody looks at it.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import cast, overload

from crc32c import crc32c

from .entries import COMMANDS, HEADER, HEADER_BYTES, KINDS, PREFIX_BYTES, Entry, matches
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
    total_bytes: int
    has_commands_only: bool
    images: Sequence[Buffer]
    crc_or_none: int | None

    def __len__(self) -> int:
        return self.last_index - self.first_index + 1

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
    def bare(self, begin: int, end: int, offset: int) -> list[Bare]:
        """Some of them without headers; the first one's header begins at `offset` of all their bytes."""
        ...

    def commands(self) -> tuple[int, int]:
        """How many there are, and the bytes of their bodies."""
        if self.has_commands_only:
            count = len(self)
            return count, self.total_bytes - HEADER_BYTES * count
        sizes = [entry.size for entry in self if entry.kind is COMMANDS]
        return len(sizes), sum(sizes)

    @abstractmethod
    def intact_count(self) -> int:
        """How many of them, from the first on, are still what they were when they were made, or came."""
        ...


class MadeRun(EntryRun):
    """As they were proposed, or read again; `images` are their bytes once more."""

    __slots__ = ("_entries",)

    def __init__(self, entries: Sequence[Entry], images: Sequence[Buffer] = (), crc_or_none: int | None = None) -> None:
        self._entries = entries
        self.first_term, self.first_index = entries[0][:2]
        self.last_term, self.last_index = entries[-1][:2]
        self.total_bytes = sum(self.sizes())
        self.has_commands_only = _are_commands(entries)
        self.images = images
        self.crc_or_none = crc_or_none

    def all(self) -> Sequence[Entry]:
        return self._entries

    def sizes(self) -> list[int]:
        return [HEADER_BYTES + entry[3] for entry in self._entries]

    def part(self, begin: int, end: int) -> EntryRun:
        if end - begin == len(self):
            return self
        images = _part_of(self.images[0], self.sizes(), begin, end) if len(self.images) == 1 else ()
        return MadeRun(self._entries[begin:end], images)

    def bare(self, begin: int, end: int, offset: int) -> list[Bare]:
        return [*map(_bare, self._entries[begin:end])]

    def intact_count(self) -> int:
        if self.crc_or_none is not None:
            return len(self)  # made of what nobody can change, as it is itself
        for at, entry in enumerate(self._entries):
            if not matches(entry.header, entry.body):
                return at
        return len(self)


class ImageRun(EntryRun):
    """Their bytes in one piece, in which headers and bodies are slices."""

    __slots__ = ("_entries", "_heads", "_image")

    def __init__(
        self, heads: Sequence[Head], image: memoryview, crc_or_none: int | None, *, has_commands_only: bool
    ) -> None:
        self._heads = heads
        self._image = image
        self._entries: Sequence[Entry] = ()
        _, _, self.first_term, self.first_index, _, _ = heads[0]
        _, _, self.last_term, self.last_index, _, _ = heads[-1]
        self.total_bytes = len(image)
        self.has_commands_only = has_commands_only
        self.images = (image,)
        self.crc_or_none = crc_or_none

    def all(self) -> Sequence[Entry]:
        if not self._entries:
            image, at = self._image, 0
            made: list[Entry] = []
            for term, index, kind, size, body in self.bare(0, len(self._heads), 0):
                made.append(Entry(term, index, KINDS[kind], size, body, image[at : at + HEADER_BYTES]))
                at += HEADER_BYTES + size
            self._entries = made
        return self._entries

    def sizes(self) -> list[int]:
        return [PREFIX_BYTES + head[0] for head in self._heads]

    def part(self, begin: int, end: int) -> EntryRun:
        if end - begin == len(self._heads):
            return self
        (image,) = _part_of(self._image, self.sizes(), begin, end)
        return ImageRun(self._heads[begin:end], image, None, has_commands_only=self.has_commands_only)

    def bare(self, begin: int, end: int, offset: int) -> list[Bare]:
        image, header_bytes, prefix_bytes = self._image, HEADER_BYTES, PREFIX_BYTES
        found: list[Bare] = []
        for length, _, term, index, kind, _ in self._heads[begin:end]:
            first = offset + header_bytes
            offset += prefix_bytes + length
            body = (image[first:offset],) if offset > first else ()
            found.append((term, index, kind, offset - first, body))
        return found

    def intact_count(self) -> int:
        image, at = self._image, 0
        if self.crc_or_none is not None and image_crc(image) == self.crc_or_none:
            return len(self._heads)
        for count, head in enumerate(self._heads):
            checked = at + PREFIX_BYTES
            at = checked + head[0]
            is_same = head_at(image, checked - PREFIX_BYTES) == head
            if not is_same or crc32c(image[checked:at]) != head[1]:
                return count
        return len(self._heads)


def run_of(entries: Sequence[Entry]) -> EntryRun:
    return entries if isinstance(entries, EntryRun) else MadeRun(entries)


def joined_run(entries: Sequence[Entry]) -> EntryRun:
    """With their bytes in one piece. They are all small: `new_entry` has copied what could change."""
    buffers: list[Buffer] = []
    for entry in entries:
        buffers.append(entry[5])
        buffers += entry[4]
    image = b"".join(buffers)
    return MadeRun(entries, (image,), image_crc(image))


def image_crc(image: Buffer) -> int:
    return crc32c(image, gil_release_mode=GIL_IS_KEPT) if len(image) <= GIL_KEPT_BYTES_MAX else crc32c(image)


def _are_commands(entries: Sequence[Entry]) -> bool:
    return [entry[2] for entry in entries].count(COMMANDS) == len(entries)


def _part_of(image: Buffer, sizes: Sequence[int], begin: int, end: int) -> tuple[memoryview]:
    first = sum(sizes[:begin])
    return (memoryview(image)[first : first + sum(sizes[begin:end])],)
