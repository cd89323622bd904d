r"""Kafka's codecs, with a limit on what comes out.

Source: the record batch v2 attributes (bits 0-2). gzip, lz4 and zstd are their plain frame formats. Snappy comes in two
forms: raw, and the xerial stream of the Java client: the magic `\x82SNAPPY\0`, int32 version, int32 compatible
version, then blocks of int32 length and raw snappy. Both are read; the xerial form is written, as Java does.

Nothing is allocated by what a header claims beyond the caller's limit, and a claim is only a first guess: the decoder
writes into a buffer of fixed size and fails when it is full; then a larger one is tried, up to the limit.
"""

import struct
from enum import IntEnum
from typing import Final

import cramjam

from .errors import CorruptBatchError, InflatedTooLargeError

Buffer = bytes | bytearray | memoryview

XERIAL_MAGIC: Final = b"\x82SNAPPY\x00"
XERIAL_HEADER: Final = XERIAL_MAGIC + struct.pack(">ii", 1, 1)
XERIAL_BLOCK_BYTES: Final = 32 * 1024
GUESS_RATIO: Final = 8
GUESS_BYTES_MIN: Final = 4 * 1024
ZSTD_MAGIC: Final = 0xFD2FB528
WINDOW_BYTES_MIN: Final = 8 << 20  # every zstd decoder must accept windows up to this size (RFC 8878)

_INT32 = struct.Struct(">i")


class Compression(IntEnum):
    NONE = 0
    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4


def compress(codec: Compression, data: Buffer) -> bytes:
    match codec:
        case Compression.NONE:
            return bytes(data)
        case Compression.GZIP:
            return bytes(cramjam.gzip.compress(data))
        case Compression.SNAPPY:
            return _compress_xerial(memoryview(data))
        case Compression.LZ4:
            return bytes(cramjam.lz4.compress(data))
        case Compression.ZSTD:
            return bytes(cramjam.zstd.compress(data))


def decompress(codec: Compression, data: Buffer, limit_bytes: int) -> Buffer:
    """The plain bytes, at most `limit_bytes` of them. `NONE` returns `data` itself.

    Raises: CorruptBatchError, InflatedTooLargeError.
    """
    match codec:
        case Compression.NONE:
            return data
        case Compression.SNAPPY:
            return _decompress_snappy(memoryview(data), limit_bytes)
        case Compression.GZIP | Compression.LZ4 | Compression.ZSTD:
            return _decompress_frames(codec, data, limit_bytes)


def _decompress_frames(codec: Compression, data: Buffer, limit_bytes: int) -> Buffer:
    if not len(data):
        raise CorruptBatchError(f"an empty {codec.name.lower()} frame")
    into = _INTO[codec]
    guess = max(GUESS_BYTES_MIN, GUESS_RATIO * len(data))
    if codec is Compression.ZSTD:
        guess = _zstd_size_or_none(data, limit_bytes) or guess
    while True:
        size = min(guess, limit_bytes)
        # One byte over the limit tells a payload of exactly the limit from a longer one.
        output = bytearray(size + 1)
        try:
            written = into(data, output)
        except cramjam.DecompressionError as error:
            if "whole buffer" not in str(error):
                raise CorruptBatchError(f"{codec.name.lower()}: {error}") from error
            written = len(output)
        if written <= size:
            return memoryview(output)[:written]
        if size == limit_bytes:
            raise InflatedTooLargeError(f"{codec.name.lower()} inflates to more than {limit_bytes} bytes")
        guess = size * 4


def _zstd_size_or_none(data: Buffer, limit_bytes: int) -> int | None:
    """The content size that a zstd frame's header claims, after a check of its window. Source: RFC 8878, 3.1.1.1."""
    head = bytes(data[:18])
    if len(head) < 6 or int.from_bytes(head[:4], "little") != ZSTD_MAGIC:
        return None
    flags = head[4]
    is_single_segment = bool(flags & 0x20)
    position = 5
    if not is_single_segment:
        window = 1 << (10 + (head[5] >> 3))
        window += (window >> 3) * (head[5] & 7)
        if window > max(limit_bytes, WINDOW_BYTES_MIN):
            raise InflatedTooLargeError(f"a zstd window of {window} bytes, at most {limit_bytes}")
        position += 1
    position += (0, 1, 2, 4)[flags & 3]
    width = (int(is_single_segment), 2, 4, 8)[flags >> 6]
    if width == 0 or len(head) < position + width:
        return None
    size = int.from_bytes(head[position : position + width], "little") + (256 if width == 2 else 0)
    if size > limit_bytes:
        raise InflatedTooLargeError(f"zstd claims {size} bytes, at most {limit_bytes}")
    return size


def _compress_xerial(data: memoryview) -> bytes:
    parts = [XERIAL_HEADER]
    for start in range(0, len(data), XERIAL_BLOCK_BYTES):
        block = bytes(cramjam.snappy.compress_raw(data[start : start + XERIAL_BLOCK_BYTES]))
        parts += (_INT32.pack(len(block)), block)
    return b"".join(parts)


def _decompress_snappy(data: memoryview, limit_bytes: int) -> Buffer:
    if bytes(data[: len(XERIAL_MAGIC)]) != XERIAL_MAGIC:
        return _decompress_raw(data, limit_bytes)
    parts: list[bytes] = []
    size = 0
    position = len(XERIAL_HEADER)
    while position < len(data):
        if position + 4 > len(data):
            raise CorruptBatchError("snappy: a block length is cut off")
        (length,) = _INT32.unpack_from(data, position)
        position += 4
        if not 0 < length <= len(data) - position:
            raise CorruptBatchError(f"snappy: a block of {length} bytes, {len(data) - position} are left")
        block = _decompress_raw(data[position : position + length], limit_bytes - size)
        position += length
        size += len(block)
        parts.append(block)
    return b"".join(parts)


def _decompress_raw(data: memoryview, limit_bytes: int) -> bytes:
    try:
        size = cramjam.snappy.decompress_raw_len(data)
        if size > limit_bytes:
            raise InflatedTooLargeError(f"snappy claims {size} bytes, at most {limit_bytes}")
        # Raw snappy cannot expand more than about 64 / 3: a larger claim is a lie and must not allocate.
        if size > 64 * len(data):
            raise CorruptBatchError(f"snappy claims {size} bytes from {len(data)}")
        return bytes(cramjam.snappy.decompress_raw(data))
    except cramjam.DecompressionError as error:
        raise CorruptBatchError(f"snappy: {error}") from error


_INTO = {
    Compression.GZIP: cramjam.gzip.decompress_into,
    Compression.LZ4: cramjam.lz4.decompress_into,
    Compression.ZSTD: cramjam.zstd.decompress_into,
}
