"""Record batches that lie, each signed with a right CRC unless the CRC is the lie."""

import gzip
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import cramjam
from crc32c import crc32c

from gateway.wire.error_codes import ErrorCode
from store.batches import Producer, build
from store.compression import Compression
from store.events import Record

LENGTH, MAGIC, CRC, ATTRIBUTES, LAST_DELTA = 8, 16, 17, 21, 23
BASE_TIMESTAMP, MAX_TIMESTAMP, PRODUCER_ID, EPOCH, SEQUENCE, COUNT, BODY = 27, 35, 43, 51, 53, 57, 61

Codes = Sequence[ErrorCode]


class BadBatch(NamedTuple):
    batch: Callable[[int], bytes]
    """Of the time now, in ms."""
    codes: Codes
    """Any of these is right."""


def plain(now_ms: int, *values: bytes) -> bytes:
    rows = [Record(i, now_ms + i, b"k", value) for i, value in enumerate(values or (b'{"n":1}', b'{"n":2}'))]
    return build(rows, base_offset=0)


def with_field(batch: bytes, position: int, form: str, value: int) -> bytes:
    """One field of the header written anew, and signed."""
    changed = bytearray(batch)
    struct.pack_into(form, changed, position, value)
    return signed(changed)


def with_body(now_ms: int, body: bytes, *, codec: int = 0, count: int = 1) -> bytes:
    """A batch that says it holds `count` records, around any bytes."""
    head = bytearray(plain(now_ms, *([b"{}"] * count))[:BODY])
    struct.pack_into(">i", head, LENGTH, BODY - 12 + len(body))
    struct.pack_into(">h", head, ATTRIBUTES, codec)
    return signed(head + body)


def signed(batch: bytes | bytearray) -> bytes:
    changed = bytearray(batch)
    struct.pack_into(">I", changed, CRC, crc32c(bytes(changed[ATTRIBUTES:])))
    return bytes(changed)


def _flipped(batch: bytes, position: int) -> bytes:
    changed = bytearray(batch)
    changed[position] ^= 0x40
    return bytes(changed)


def produced_by(now_ms: int, producer: Producer, count: int = 1) -> bytes:
    rows = [Record(i, now_ms, b"k", b'{"n":%d}' % i) for i in range(count)]
    return build(rows, base_offset=0, producer=producer)


_C = ErrorCode
_BROKEN = (_C.CORRUPT_MESSAGE, _C.INVALID_RECORD)
_BOMB = (*_BROKEN, _C.MESSAGE_TOO_LARGE)
_MAGIC = (_C.UNSUPPORTED_FOR_MESSAGE_FORMAT, _C.CORRUPT_MESSAGE)
# Lengths, attributes, offset delta, timestamp delta, key and value of a record, as varints.
_RECORD = b"\x00\x00\x00\x02k\x04{}\x00"

BOMB_BYTES = 1 << 30
_BLOCK = bytes(1 << 20)


def _bomb(codec: Compression) -> bytes:
    """Some KiB to a MiB that become a GiB, or say so."""
    match codec:
        case Compression.GZIP:
            made = cramjam.gzip.Compressor(9)
        case Compression.ZSTD:
            made = cramjam.zstd.Compressor(3)
        case _:
            made = cramjam.lz4.Compressor(4)
    for _ in range(BOMB_BYTES >> 20 if codec is not Compression.LZ4 else 200):
        made.compress(_BLOCK)
    return bytes(made.finish())


ANY_TOPIC: Mapping[str, BadBatch] = {
    "wrong crc": BadBatch(lambda now: _flipped(plain(now), CRC), (_C.CORRUPT_MESSAGE,)),
    "a flipped bit in a record": BadBatch(lambda now: _flipped(plain(now), BODY + 9), (_C.CORRUPT_MESSAGE,)),
    "no bytes": BadBatch(lambda _: b"", _BROKEN),
    "half a header": BadBatch(lambda now: plain(now)[:40], _BROKEN),
    "half a batch": BadBatch(lambda now: plain(now)[:-9], _BROKEN),
    "a byte behind the batch": BadBatch(lambda now: plain(now) + b"\x00", _BROKEN),
    "a second batch": BadBatch(lambda now: plain(now) * 2, (_C.INVALID_RECORD,)),
    "magic 0": BadBatch(lambda now: with_field(plain(now), MAGIC, ">b", 0), _MAGIC),
    "magic 1": BadBatch(lambda now: with_field(plain(now), MAGIC, ">b", 1), _MAGIC),
    "magic 3": BadBatch(lambda now: with_field(plain(now), MAGIC, ">b", 3), _MAGIC),
    "length one too small": BadBatch(lambda now: with_field(plain(now), LENGTH, ">i", len(plain(now)) - 13), _BROKEN),
    "length 2^31-1": BadBatch(lambda now: with_field(plain(now), LENGTH, ">i", 2**31 - 1), _BROKEN),
    "length -1": BadBatch(lambda now: with_field(plain(now), LENGTH, ">i", -1), _BROKEN),
    "no records": BadBatch(lambda now: with_field(plain(now), COUNT, ">i", 0), _BROKEN),
    "count -1": BadBatch(lambda now: with_field(plain(now), COUNT, ">i", -1), _BROKEN),
    "count 2^31-1": BadBatch(lambda now: with_field(plain(now), COUNT, ">i", 2**31 - 1), _BROKEN),
    "one record more than the offsets": BadBatch(lambda now: with_field(plain(now), COUNT, ">i", 3), _BROKEN),
    "last delta 2^31-1": BadBatch(lambda now: with_field(plain(now), LAST_DELTA, ">i", 2**31 - 1), _BROKEN),
    "last delta -1": BadBatch(lambda now: with_field(plain(now), LAST_DELTA, ">i", -1), _BROKEN),
    "a control batch": BadBatch(lambda now: with_field(plain(now), ATTRIBUTES, ">h", 0x20), (_C.INVALID_RECORD,)),
    "a transaction that was never begun": BadBatch(
        lambda now: with_field(produced_by(now, Producer(7, 0, 0)), ATTRIBUTES, ">h", 0x10), (_C.INVALID_TXN_STATE,)
    ),
    "a producer without epoch": BadBatch(lambda now: produced_by(now, Producer(7, -1, 0)), (_C.INVALID_RECORD,)),
    "a producer without sequence": BadBatch(lambda now: produced_by(now, Producer(7, 0, -1)), (_C.INVALID_RECORD,)),
    "codec 5": BadBatch(lambda now: with_field(plain(now), ATTRIBUTES, ">h", 5), (_C.UNSUPPORTED_COMPRESSION_TYPE,)),
    "codec 7": BadBatch(lambda now: with_field(plain(now), ATTRIBUTES, ">h", 7), (_C.UNSUPPORTED_COMPRESSION_TYPE,)),
    "append time from a producer": BadBatch(
        lambda now: with_field(plain(now), ATTRIBUTES, ">h", 8), (_C.INVALID_TIMESTAMP,)
    ),
    "a timestamp two hours ahead": BadBatch(lambda now: plain(now + 7_200_000), (_C.INVALID_TIMESTAMP,)),
    "a timestamp at the end of time": BadBatch(lambda now: plain(2**63 - 9 - now % 2), (_C.INVALID_TIMESTAMP,)),
    "more than max.message.bytes": BadBatch(lambda now: plain(now, bytes(2 << 20)), (_C.MESSAGE_TOO_LARGE,)),
}
"""Refused by every topic."""

STREAM: Mapping[str, BadBatch] = {
    "max timestamp below a record's": BadBatch(
        lambda now: with_field(plain(now), MAX_TIMESTAMP, ">q", now), (_C.INVALID_RECORD,)
    ),
    "max timestamp hides the far future": BadBatch(
        lambda now: with_field(
            build([Record(0, now, None, b"{}"), Record(1, now + 10**9, None, b"{}")], base_offset=0),
            MAX_TIMESTAMP,
            ">q",
            now,
        ),
        (_C.INVALID_RECORD,),
    ),
    "a record longer than the batch": BadBatch(lambda now: with_body(now, b"\x7e" + _RECORD), _BROKEN),
    "a record of negative length": BadBatch(lambda now: with_body(now, b"\x01" + _RECORD), _BROKEN),
    "an overlong varint": BadBatch(lambda now: with_body(now, b"\xff" * 12), _BROKEN),
    "a key of -2 bytes": BadBatch(lambda now: with_body(now, b"\x10\x00\x00\x00\x03k\x04{}\x00"), _BROKEN),
    "a value beyond the record": BadBatch(lambda now: with_body(now, b"\x10\x00\x00\x00\x02k\x7e{}\x00"), _BROKEN),
    "-1 headers": BadBatch(lambda now: with_body(now, b"\x10\x00\x00\x00\x02k\x04{}\x01"), _BROKEN),
    "a million headers": BadBatch(lambda now: with_body(now, b"\x14\x00\x00\x00\x02k\x04{}\x80\x89\x7a"), _BROKEN),
    "bytes behind the last record": BadBatch(
        lambda now: signed(with_field(plain(now) + b"xyz", LENGTH, ">i", len(plain(now)) + 3 - 12)), _BROKEN
    ),
    **{
        f"garbage as {codec.name.lower()}": BadBatch(
            lambda now, codec=codec: with_body(now, b"\x01garbage\xff" * 9, codec=int(codec)), _BROKEN
        )
        for codec in Compression
        if codec is not Compression.NONE
    },
    "a snappy header that says 4 GiB": BadBatch(
        lambda now: with_body(now, b"\xff\xff\xff\xff\x0f" + b"\x00a" * 20, codec=int(Compression.SNAPPY)), _BOMB
    ),
    "a zstd header that says 2^60 bytes": BadBatch(
        lambda now: with_body(now, b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 2**60) + bytes(20), codec=4), _BOMB
    ),
    "half a gzip stream": BadBatch(lambda now: with_body(now, gzip.compress(_RECORD * 99)[:-20], codec=1), _BROKEN),
    **{
        f"a {codec.name.lower()} bomb": BadBatch(
            lambda now, codec=codec: with_body(now, _bomb(codec), codec=int(codec)),
            _BOMB,
        )
        for codec in (Compression.GZIP, Compression.LZ4, Compression.ZSTD)
    },
}
"""Refused by a stream, whose records are parsed when they come."""
