"""The primitive types of the Kafka protocol, and what the generated messages are built from.

*legacy* is the encoding of the old versions (int16 and int32 lengths, -1 for null); *compact* that of the flexible ones
(unsigned varint of length + 1, 0 for null). Readers take (buffer, position, end) and return (value, position after it).
They read nothing at or past `end`, and check an announced length against the bytes left before they allocate for it.
Source: Kafka protocol guide, KIP-482.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from struct import Struct
from typing import Final, TypeVar, cast, final

from .errors import MalformedError, UnencodableError

Buffer = bytes | bytearray | memoryview
Records = Buffer | Sequence[Buffer]
"""A `records` field to be encoded: the batches in one piece or in several."""

Write = Callable[[Buffer], object]

COPIED_BYTES_MAX: Final = 4096
"""Records up to this size are joined with their surroundings; larger ones are handed on without a copy."""

UNSIGNED_MAX: Final = 2**32 - 1
BYTE: Final = tuple(bytes((value,)) for value in range(128))
"""The varints of one byte, by value."""
ZERO_UUID: Final = bytes(16)
LEGACY_NULL_STRING: Final = b"\xff\xff"
LEGACY_NULL: Final = b"\xff\xff\xff\xff"
COMPACT_NULL: Final = b"\x00"

INT16: Final = Struct(">h")
INT32: Final = Struct(">i")

_DECODE_FAULTS: Final = (IndexError, struct.error, UnicodeDecodeError)
_ENCODE_FAULTS: Final = (AttributeError, TypeError, UnicodeEncodeError, struct.error)

T = TypeVar("T")


class Message:
    """Base of the generated classes: equal if all fields are (a tuple equals a list of the same elements)."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(_is_same(getattr(self, name), getattr(other, name)) for name in self.__slots__)

    __hash__ = None  # pyright: ignore[reportAssignmentType]  mutable: no hash, as for every class with __eq__ alone

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({fields})"


def _is_same(first: object, second: object) -> bool:
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return list(cast("Sequence[object]", first)) == list(cast("Sequence[object]", second))
    return first == second


# Varints


def read_unsigned(buffer: memoryview, position: int, end: int) -> tuple[int, int]:
    """Read an unsigned varint of at most 32 bits in at most 5 bytes."""
    # The sizes of usual batches take two bytes: written out, that is a third of the loop's time.
    if position + 2 <= end:
        byte = buffer[position]
        if byte < 0x80:
            return byte, position + 1
        second = buffer[position + 1]
        if second < 0x80:
            return byte & 0x7F | second << 7, position + 2
    value = shift = 0
    while position < end:
        byte = buffer[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value > UNSIGNED_MAX:
                break
            return value, position
        shift += 7
        if shift > 28:
            break
    raise MalformedError(f"no varint of 32 bits before byte {position} of {end}")


def unsigned(value: int) -> bytes:
    """Write a non-negative number as an unsigned varint."""
    if value < 0x80:
        return BYTE[value]
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


# Lengths


def _legacy_size(prefix: Struct, buffer: memoryview, position: int, end: int) -> tuple[int, int]:
    size: int = prefix.unpack_from(buffer, position)[0]
    position += prefix.size
    if not -1 <= size <= end - position:
        raise MalformedError(f"{size} bytes announced at byte {position}, {end - position} left")
    return size, position


def _not_null(value: T | None, position: int) -> T:
    if value is None:
        raise MalformedError(f"null before byte {position}, where this version allows none")
    return value


# Strings


def read_compact_nullable_string(buffer: memoryview, position: int, end: int) -> tuple[str | None, int]:
    value, position = read_compact_records(buffer, position, end)
    return None if value is None else str(value, "utf-8"), position


def read_compact_string(buffer: memoryview, position: int, end: int) -> tuple[str, int]:
    value, position = read_compact_nullable_string(buffer, position, end)
    return _not_null(value, position), position


def read_legacy_nullable_string(buffer: memoryview, position: int, end: int) -> tuple[str | None, int]:
    size, position = _legacy_size(INT16, buffer, position, end)
    if size < 0:
        return None, position
    return str(buffer[position : position + size], "utf-8"), position + size


def read_legacy_string(buffer: memoryview, position: int, end: int) -> tuple[str, int]:
    value, position = read_legacy_nullable_string(buffer, position, end)
    return _not_null(value, position), position


def write_compact_nullable_string(write: Write, value: str | None) -> None:
    if value is None:
        write(COMPACT_NULL)
    else:
        write_compact_bytes(write, value.encode())


def write_compact_string(write: Write, value: str) -> None:
    write_compact_bytes(write, value.encode())


def write_legacy_nullable_string(write: Write, value: str | None) -> None:
    if value is None:
        write(LEGACY_NULL_STRING)
    else:
        write_legacy_string(write, value)


def write_legacy_string(write: Write, value: str) -> None:
    encoded = value.encode()
    write(INT16.pack(len(encoded)))
    write(encoded)


# Bytes: a copy, so that small values do not keep a frame alive


def read_compact_nullable_bytes(buffer: memoryview, position: int, end: int) -> tuple[bytes | None, int]:
    value, position = read_compact_records(buffer, position, end)
    return None if value is None else bytes(value), position


def read_compact_bytes(buffer: memoryview, position: int, end: int) -> tuple[bytes, int]:
    value, position = read_compact_records(buffer, position, end)
    return bytes(_not_null(value, position)), position


def read_legacy_nullable_bytes(buffer: memoryview, position: int, end: int) -> tuple[bytes | None, int]:
    value, position = read_legacy_records(buffer, position, end)
    return None if value is None else bytes(value), position


def read_legacy_bytes(buffer: memoryview, position: int, end: int) -> tuple[bytes, int]:
    value, position = read_legacy_records(buffer, position, end)
    return bytes(_not_null(value, position)), position


def write_compact_nullable_bytes(write: Write, value: Buffer | None) -> None:
    if value is None:
        write(COMPACT_NULL)
    else:
        write_compact_bytes(write, value)


def write_compact_bytes(write: Write, value: Buffer) -> None:
    write(unsigned(len(value) + 1))
    write(value)


def write_legacy_nullable_bytes(write: Write, value: Buffer | None) -> None:
    if value is None:
        write(LEGACY_NULL)
    else:
        write_legacy_bytes(write, value)


def write_legacy_bytes(write: Write, value: Buffer) -> None:
    write(INT32.pack(len(value)))
    write(value)


# Records: a slice of the frame, which therefore lives as long as they do


def read_compact_records(buffer: memoryview, position: int, end: int) -> tuple[memoryview | None, int]:
    size, position = read_unsigned(buffer, position, end)
    stop = position + size - 1
    if stop > end:
        raise MalformedError(f"{size - 1} bytes announced at byte {position}, {end - position} left")
    return (None, position) if size == 0 else (buffer[position:stop], stop)


def read_legacy_records(buffer: memoryview, position: int, end: int) -> tuple[memoryview | None, int]:
    size, position = _legacy_size(INT32, buffer, position, end)
    return (None, position) if size < 0 else (buffer[position : position + size], position + size)


# Arrays: the count, checked against the bytes left and the least size of an element


def read_compact_nullable_count(buffer: memoryview, position: int, end: int, least: int) -> tuple[int, int]:
    """Read how many elements follow; -1 for a null array."""
    count, position = read_unsigned(buffer, position, end)
    if (count - 1) * least > end - position:
        raise MalformedError(f"{count - 1} elements of {least} bytes or more in {end - position} bytes")
    return count - 1, position


def read_compact_count(buffer: memoryview, position: int, end: int, least: int) -> tuple[int, int]:
    count, position = read_compact_nullable_count(buffer, position, end, least)
    if count < 0:
        raise MalformedError(f"null before byte {position}, where this version allows none")
    return count, position


def read_legacy_nullable_count(buffer: memoryview, position: int, end: int, least: int) -> tuple[int, int]:
    """Read how many elements follow; -1 for a null array."""
    count: int = INT32.unpack_from(buffer, position)[0]
    position += 4
    if count < -1 or count * least > end - position:
        raise MalformedError(f"{count} elements of {least} bytes or more in {end - position} bytes")
    return count, position


def read_legacy_count(buffer: memoryview, position: int, end: int, least: int) -> tuple[int, int]:
    count, position = read_legacy_nullable_count(buffer, position, end, least)
    if count < 0:
        raise MalformedError(f"null before byte {position}, where this version allows none")
    return count, position


# Tagged fields (KIP-482)


def read_tag(buffer: memoryview, position: int, end: int) -> tuple[int, int, int]:
    """Read the head of a tagged field: its tag, where its data begins and where it ends."""
    tag, position = read_unsigned(buffer, position, end)
    size, position = read_unsigned(buffer, position, end)
    if size > end - position:
        raise MalformedError(f"tag {tag} of {size} bytes at byte {position}, {end - position} left")
    return tag, position, position + size


def skip_tags(buffer: memoryview, position: int, end: int) -> int:
    """Pass over all tagged fields of a structure that knows none."""
    count, position = read_unsigned(buffer, position, end)
    for _ in range(count):  # each takes two bytes at least, or raises: the loop ends with the buffer
        _, _, position = read_tag(buffer, position, end)
    return position


def check_tag_end(position: int, end: int) -> None:
    if position != end:
        raise MalformedError(f"tagged field ends at byte {position}, announced was {end}")


def write_tags(write: Write, tags: Sequence[tuple[int, list[Buffer]]]) -> None:
    """Write the tagged fields of a structure, given by rising tag."""
    write(unsigned(len(tags)))
    for tag, parts in tags:
        data = b"".join(parts)
        write(unsigned(tag))
        write(unsigned(len(data)))
        write(data)


def absent(field: str) -> UnencodableError:
    """Tell that a version has no place for the value of a field that must not be dropped."""
    return UnencodableError(f"{field} is not its default, and this version has no such field")


# Whole messages


@final
class Pieces:
    """The output of an encoder whose message holds records. `small` gathers what will be joined."""

    __slots__ = ("done", "small")

    def __init__(self) -> None:
        self.done: list[Buffer] = []
        self.small: list[Buffer] = []

    def write_compact_records(self, records: Records | None) -> None:
        if records is None:
            self.small.append(COMPACT_NULL)
        elif isinstance(records, bytes | bytearray | memoryview):
            self.small.append(unsigned(len(records) + 1))
            self._take(records)  # pyright: ignore[reportArgumentType]  a memoryview is a Sequence, too
        else:
            self.small.append(unsigned(sum(map(len, records)) + 1))
            for part in records:
                self._take(part)

    def write_legacy_records(self, records: Records | None) -> None:
        if records is None:
            self.small.append(LEGACY_NULL)
        elif isinstance(records, bytes | bytearray | memoryview):
            self.small.append(INT32.pack(len(records)))
            self._take(records)  # pyright: ignore[reportArgumentType]  a memoryview is a Sequence, too
        else:
            self.small.append(INT32.pack(sum(map(len, records))))
            for part in records:
                self._take(part)

    def _take(self, part: Buffer) -> None:
        if len(part) <= COPIED_BYTES_MAX:
            self.small.append(part)
        else:
            self.done.append(b"".join(self.small))
            self.small.clear()
            self.done.append(part)

    def finish(self) -> list[Buffer]:
        if self.small:
            self.done.append(b"".join(self.small))
        return self.done


def decoders(
    *layouts: tuple[int, int, Callable[[memoryview, int, int], tuple[T, int]]],
) -> dict[int, Callable[[memoryview, int], tuple[T, int]]]:
    """Map each version to its decoder; a layout is (first version, last version, function).

    The outer face adds the end of the buffer, and one error for all that is malformed.
    """
    return _by_version((first, last, _decoder(decode)) for first, last, decode in layouts)


def _by_version(layouts: Iterable[tuple[int, int, T]]) -> dict[int, T]:
    return {version: function for first, last, function in layouts for version in range(first, last + 1)}


def _decoder(decode: Callable[[memoryview, int, int], tuple[T, int]]) -> Callable[[memoryview, int], tuple[T, int]]:
    def decode_message(buffer: memoryview, position: int) -> tuple[T, int]:
        try:
            return decode(buffer, position, len(buffer))
        except _DECODE_FAULTS as fault:
            raise MalformedError(f"message of {len(buffer)} bytes: {fault}") from fault

    return decode_message


def encoders(*layouts: tuple[int, int, Callable[[T, Write], None]]) -> dict[int, Callable[[T], list[Buffer]]]:
    """Map each version to its encoder, whose outer face gives a list of one buffer."""
    return _by_version((first, last, _encoder(encode)) for first, last, encode in layouts)


def _encoder(encode: Callable[[T, Write], None]) -> Callable[[T], list[Buffer]]:
    def encode_message(message: T) -> list[Buffer]:
        parts: list[Buffer] = []
        try:
            encode(message, parts.append)
        except _ENCODE_FAULTS as fault:
            raise UnencodableError(f"{type(message).__name__}: {fault}") from fault
        return [b"".join(parts)]

    return encode_message


def record_encoders(
    *layouts: tuple[int, int, Callable[[T, Write, Pieces], None]],
) -> dict[int, Callable[[T], list[Buffer]]]:
    """Map each version to its encoder for a message with records: large ones stay buffers of their own."""
    return _by_version((first, last, _record_encoder(encode)) for first, last, encode in layouts)


def _record_encoder(encode: Callable[[T, Write, Pieces], None]) -> Callable[[T], list[Buffer]]:
    def encode_message(message: T) -> list[Buffer]:
        pieces = Pieces()
        try:
            encode(message, pieces.small.append, pieces)
        except _ENCODE_FAULTS as fault:
            raise UnencodableError(f"{type(message).__name__}: {fault}") from fault
        return pieces.finish()

    return encode_message
