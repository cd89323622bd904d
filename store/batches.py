"""Kafka's record batch, format v2: the only place that knows its bytes.

    int64 base offset | int32 length of the rest | int32 leader epoch | int8 magic = 2 | uint32 CRC-32C of all below |
    int16 attributes | int32 last offset delta | int64 base timestamp | int64 max timestamp |
    int64 producer id | int16 producer epoch | int32 base sequence | int32 record count | records

Attributes: bits 0-2 codec, 3 log-append time, 4 transactional, 5 control. A codec compresses all records as one blob.
A record: varint length, int8 attributes, varlong timestamp delta, varint offset delta, varint key length and key,
varint value length and value, varint header count and headers. Varints are zigzag; a length of -1 means null.
Base offset and leader epoch lie outside the CRC: they are stamped in place when a batch is admitted.
Source: Kafka documentation, "Message Format"; KIP-98.

Bytes from outside break as one of the errors of `store.errors`, never as an IndexError, and nothing is allocated by a
length or count that they announce.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from crc32c import crc32c
from numpy.typing import NDArray

from .compression import Compression, compress, decompress
from .errors import CorruptBatchError, InvalidRecordError, UnsupportedCompressionError, UnsupportedMagicError
from .events import TIMESTAMP_MS_MAX, TIMESTAMP_MS_MIN, Record

Buffer = bytes | bytearray | memoryview
Int64Array = NDArray[np.int64]

HEADER: Final = struct.Struct(">qiibIhiqqqhii")
HEADER_BYTES: Final = HEADER.size
PREFIX_BYTES: Final = 12  # base offset and length: what "length of the rest" does not count
MAGIC_POSITION: Final = 16
CRC_POSITION: Final = 17
CRC_FROM: Final = 21
MAX_TIMESTAMP_POSITION: Final = 35
MAGIC: Final = 2

CODEC_MASK: Final = 0x07
LOG_APPEND_TIME: Final = 0x08
TRANSACTIONAL: Final = 0x10
CONTROL: Final = 0x20

# Length, attributes, timestamp delta, offset delta, key length, value length, header count: one byte each.
RECORD_BYTES_MIN: Final = 7
INFLATED_BYTES_MAX: Final = 128 << 20
# Up to here a plain loop beats numpy's fixed cost of about 90 us per batch.
FEW_RECORDS: Final = 24
OFFSET_DELTA_MAX: Final = (1 << 31) - 1

assert HEADER_BYTES == 61

_CODECS: Final = tuple(Compression)
assert [int(codec) for codec in _CODECS] == list(range(len(_CODECS))), "a codec's number is its place"
_PREFIX = struct.Struct(">qi")
_LEADER_EPOCH = struct.Struct(">i")
_CRC = struct.Struct(">I")
_BASE_OFFSET = struct.Struct(">q")
_ATTRIBUTES = struct.Struct(">h")


class BatchHeader(NamedTuple):
    """The 61 bytes before the records; `length_bytes` is the whole batch's, prefix included."""

    base_offset: int
    length_bytes: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp_ms: int
    max_timestamp_ms: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int

    @property
    def codec(self) -> Compression:
        """Raises: UnsupportedCompressionError."""
        code = self.attributes & CODEC_MASK
        if code >= len(_CODECS):
            raise UnsupportedCompressionError(f"codec {code}, at most {len(_CODECS) - 1}")
        return _CODECS[code]

    @property
    def is_log_append_time(self) -> bool:
        return bool(self.attributes & LOG_APPEND_TIME)

    @property
    def is_transactional(self) -> bool:
        return bool(self.attributes & TRANSACTIONAL)

    @property
    def is_control(self) -> bool:
        return bool(self.attributes & CONTROL)

    @property
    def last_offset(self) -> int:
        return self.base_offset + self.last_offset_delta


class Producer(NamedTuple):
    """The idempotent producer of a batch; id -1 means none."""

    id: int = -1
    epoch: int = -1
    base_sequence: int = -1
    is_transactional: bool = False


NO_PRODUCER: Final = Producer()


class Positions(NamedTuple):
    """One row per record, in offset order; the positions point into `payload`, the plain bytes of the records.

    A null key or value has start and end -1. The headers of a record are the bytes [headers_start, record_end), which
    begin with the header count.
    """

    payload: memoryview
    offsets: Int64Array
    timestamps: Int64Array
    key_starts: Int64Array
    key_ends: Int64Array
    value_starts: Int64Array
    value_ends: Int64Array
    headers_starts: Int64Array
    record_ends: Int64Array

    def keys(self) -> list[bytes | None]:
        return _slices(self.payload, self.key_starts, self.key_ends)

    def values(self) -> list[bytes | None]:
        return _slices(self.payload, self.value_starts, self.value_ends)

    def headers(self, row: int) -> Sequence[tuple[str, bytes | None]]:
        """One row's headers, as Java reads them: bytes of a name that are no UTF-8 become U+FFFD."""
        return _headers(self.payload, int(self.headers_starts[row]), int(self.record_ends[row]), "replace")

    def record(self, row: int) -> Record:
        """One row as a record."""
        key_start, value_start = int(self.key_starts[row]), int(self.value_starts[row])
        return Record(
            int(self.offsets[row]),
            int(self.timestamps[row]),
            None if key_start < 0 else bytes(self.payload[key_start : int(self.key_ends[row])]),
            None if value_start < 0 else bytes(self.payload[value_start : int(self.value_ends[row])]),
            _headers(self.payload, int(self.headers_starts[row]), int(self.record_ends[row])),
        )


def read_header(buffer: Buffer, position: int = 0) -> BatchHeader:
    """The header at `position`, unchecked but for its magic. Raises: CorruptBatchError, UnsupportedMagicError."""
    if position < 0 or len(buffer) - position < HEADER_BYTES:
        # A batch of an older format may be shorter than our header; its magic stands in the same place.
        if position >= 0 and len(buffer) - position > MAGIC_POSITION and buffer[position + MAGIC_POSITION] < MAGIC:
            raise UnsupportedMagicError(f"magic {buffer[position + MAGIC_POSITION]}, only {MAGIC} is supported")
        raise CorruptBatchError(f"{max(0, len(buffer) - position)} bytes, a batch has at least {HEADER_BYTES}")
    fields = HEADER.unpack_from(buffer, position)
    if fields[3] != MAGIC:
        raise UnsupportedMagicError(f"magic {fields[3]}, only {MAGIC} is supported")
    return BatchHeader(fields[0], fields[1] + PREFIX_BYTES, *fields[2:])


def check(batch: Buffer) -> BatchHeader:
    """The header of exactly one whole batch as a client may send it; the records inside are not parsed.

    Raises: CorruptBatchError, UnsupportedMagicError, UnsupportedCompressionError, InvalidRecordError.
    """
    header = read_header(batch)
    if header.length_bytes != len(batch):
        if HEADER_BYTES <= header.length_bytes < len(batch):
            raise InvalidRecordError(f"one batch of {header.length_bytes} bytes expected, got {len(batch)} bytes")
        raise CorruptBatchError(f"a batch of {header.length_bytes} bytes in {len(batch)} bytes")
    check_crc(batch, header)
    _check_rules(header)
    return header


def check_crc(batch: Buffer, header: BatchHeader) -> None:
    """Of exactly one whole batch. Raises: CorruptBatchError."""
    crc = crc32c(memoryview(batch)[CRC_FROM:])
    if crc != header.crc:
        raise CorruptBatchError(f"CRC {crc:#010x}, the header says {header.crc:#010x}")


def split_batches(buffer: Buffer) -> Iterator[tuple[int, BatchHeader]]:
    """(position, header) of each batch in a concatenation of whole stored batches. Raises: CorruptBatchError."""
    position = 0
    while position < len(buffer):
        header = read_header(buffer, position)
        if not HEADER_BYTES <= header.length_bytes <= len(buffer) - position:
            left = len(buffer) - position
            raise CorruptBatchError(f"a batch of {header.length_bytes} bytes, {left} bytes are left")
        yield position, header
        position += header.length_bytes


def stamp(batch: memoryview | bytearray, base_offset: int, leader_epoch: int) -> None:
    """Write the two fields outside the CRC into one batch in place."""
    _BASE_OFFSET.pack_into(batch, 0, base_offset)
    _LEADER_EPOCH.pack_into(batch, PREFIX_BYTES, leader_epoch)


def stamp_append_time(batch: memoryview | bytearray, header: BatchHeader, now_ms: int) -> BatchHeader:
    """Make `now_ms` the timestamp of all records, in place, and sign the batch anew; returns its new header."""
    attributes = header.attributes | LOG_APPEND_TIME
    _ATTRIBUTES.pack_into(batch, CRC_FROM, attributes)
    _BASE_OFFSET.pack_into(batch, MAX_TIMESTAMP_POSITION, now_ms)
    crc = crc32c(memoryview(batch)[CRC_FROM:])
    _CRC.pack_into(batch, CRC_POSITION, crc)
    return header._replace(attributes=attributes, max_timestamp_ms=now_ms, crc=crc)


def least_timestamp(batch: Buffer, header: BatchHeader, inflated_bytes_max: int = INFLATED_BYTES_MAX) -> int:
    """The exact least timestamp of a batch, which must not be empty; all its records are checked on the way.

    Raises: CorruptBatchError, InvalidRecordError (also when a record is later than the header's max timestamp).
    """
    if not header.record_count:
        raise InvalidRecordError("a batch without records has no timestamp")
    if header.record_count <= FEW_RECORDS:
        timestamps = [row[1] for row in _walk(_payload(batch, header, inflated_bytes_max), header)]
        least, greatest = min(timestamps), max(timestamps)
    else:
        column = positions(batch, header, inflated_bytes_max).timestamps
        least, greatest = int(column.min()), int(column.max())
    if greatest > header.max_timestamp_ms:
        raise InvalidRecordError(f"timestamp {greatest} is past the batch's maximum {header.max_timestamp_ms}")
    return least


def timestamps_and_offsets(
    batch: Buffer, header: BatchHeader, inflated_bytes_max: int = INFLATED_BYTES_MAX
) -> tuple[Int64Array, Int64Array]:
    """Raises: as `positions`."""
    found = positions(batch, header, inflated_bytes_max)
    return found.timestamps, found.offsets


def records(batch: Buffer, inflated_bytes_max: int = INFLATED_BYTES_MAX) -> list[Record]:
    """Every record as an object. Raises: as `positions`."""
    header = read_header(batch)
    found = positions(batch, header, inflated_bytes_max)
    keys, values = found.keys(), found.values()
    starts, ends = found.headers_starts.tolist(), found.record_ends.tolist()
    return [
        Record(offset, timestamp, key, value, _headers(found.payload, start, end))
        for offset, timestamp, key, value, start, end in zip(
            found.offsets.tolist(), found.timestamps.tolist(), keys, values, starts, ends, strict=True
        )
    ]


def positions(
    batch: Buffer, header: BatchHeader | None = None, inflated_bytes_max: int = INFLATED_BYTES_MAX
) -> Positions:
    """Where each record's parts stand: about 0.4 us per record, without an object per record.

    Every record is checked: lengths, rising offsets, header structure, no byte left over.
    Raises: CorruptBatchError, InvalidRecordError, UnsupportedCompressionError, UnsupportedMagicError.
    """
    header = header or read_header(batch)
    payload = _payload(batch, header, inflated_bytes_max)
    if header.record_count <= FEW_RECORDS:
        columns = np.array(_walk(payload, header), np.int64).reshape(-1, 8).T
        return Positions(payload, *columns)
    data = np.frombuffer(payload, np.uint8)
    starts, ends = _chain(bytes(payload), header.record_count)
    # The attributes byte of a record is unused; its first field is the timestamp delta.
    deltas, cursor = _varints(data, starts + 1)
    offset_deltas, cursor = _varints(data, cursor)
    key_starts, key_ends, cursor = _spans(data, cursor, ends)
    value_starts, value_ends, headers_starts = _spans(data, cursor, ends)
    _check_headers(data, headers_starts, ends)
    offsets = _offsets(header, offset_deltas)
    timestamps = _timestamps(header, deltas)
    return Positions(payload, offsets, timestamps, key_starts, key_ends, value_starts, value_ends, headers_starts, ends)


def build(
    rows: Sequence[Record],
    *,
    base_offset: int,
    compression: Compression = Compression.NONE,
    leader_epoch: int = -1,
    producer: Producer = NO_PRODUCER,
    last_offset: int | None = None,
) -> bytes:
    """One batch of at least one record. Offsets rise from `base_offset`, with gaps if need be.

    `last_offset`, if given, lets the batch end in a gap: consumers go on behind it.
    """
    last = rows[-1].offset if last_offset is None else last_offset
    assert rows[0].offset >= base_offset, f"offset {rows[0].offset} is below the base {base_offset}"
    assert rows[-1].offset <= last, f"offset {rows[-1].offset} is past the end {last}"
    base_timestamp = rows[0].timestamp_ms
    body = b"".join(_encode_record(row, base_offset, base_timestamp) for row in rows)
    attributes = int(compression) | (TRANSACTIONAL if producer.is_transactional else 0)
    greatest = max(row.timestamp_ms for row in rows)
    header = BatchHeader(
        base_offset, 0, leader_epoch, MAGIC, 0, attributes, last - base_offset,
        base_timestamp, greatest, producer.id, producer.epoch, producer.base_sequence, len(rows),
    )  # fmt: skip
    return _assemble(header, compress(compression, body))


def build_marker(
    offset: int,
    timestamp_ms: int,
    producer: Producer,
    *,
    is_commit: bool,
    coordinator_epoch: int,
    leader_epoch: int = -1,
) -> bytes:
    """The control batch that ends a transaction on one partition. Source: KIP-98, "Control Messages"."""
    key = struct.pack(">hh", 0, 1 if is_commit else 0)
    value = struct.pack(">hi", 0, coordinator_epoch)
    body = _encode_record(Record(offset, timestamp_ms, key, value), offset, timestamp_ms)
    header = BatchHeader(
        offset, 0, leader_epoch, MAGIC, 0, TRANSACTIONAL | CONTROL, 0,
        timestamp_ms, timestamp_ms, producer.id, producer.epoch, -1, 1,
    )  # fmt: skip
    return _assemble(header, body)


def empty_batch(base_offset: int, last_offset: int, leader_epoch: int) -> bytes:
    """A batch without records over the closed range of offsets: it carries consumers over a hole.

    A hole of more than 2^31 offsets takes several.
    """
    delta = last_offset - base_offset
    assert 0 <= delta <= OFFSET_DELTA_MAX, f"a hole of {delta + 1} offsets, at most {OFFSET_DELTA_MAX + 1}"
    header = BatchHeader(base_offset, 0, leader_epoch, MAGIC, 0, 0, delta, -1, -1, -1, -1, -1, 0)
    return _assemble(header, b"")


def _check_rules(header: BatchHeader) -> None:
    codec = header.codec
    if header.is_control:
        raise InvalidRecordError("a client may not send a control batch")
    if header.record_count < 1:
        raise InvalidRecordError(f"{header.record_count} records, at least 1")
    if header.last_offset_delta != header.record_count - 1:
        raise InvalidRecordError(f"last offset delta {header.last_offset_delta} with {header.record_count} records")
    payload_bytes_max = header.length_bytes - HEADER_BYTES if codec is Compression.NONE else INFLATED_BYTES_MAX
    if header.record_count * RECORD_BYTES_MIN > payload_bytes_max:
        raise InvalidRecordError(f"{header.record_count} records in {payload_bytes_max} bytes")
    if header.max_timestamp_ms < header.base_timestamp_ms and not header.is_log_append_time:
        raise InvalidRecordError(
            f"max timestamp {header.max_timestamp_ms} is before the base {header.base_timestamp_ms}"
        )
    if header.producer_id >= 0 and (header.producer_epoch < 0 or header.base_sequence < 0):
        raise InvalidRecordError(
            f"producer {header.producer_id} with epoch {header.producer_epoch}, sequence {header.base_sequence}"
        )
    if header.is_transactional and header.producer_id < 0:
        raise InvalidRecordError("a transactional batch without a producer id")


def _payload(batch: Buffer, header: BatchHeader, inflated_bytes_max: int) -> memoryview:
    """The plain bytes of the records, long enough for their announced count."""
    if not HEADER_BYTES <= header.length_bytes <= len(batch):
        raise CorruptBatchError(f"a batch of {header.length_bytes} bytes in {len(batch)} bytes")
    body = memoryview(batch)[HEADER_BYTES : header.length_bytes]
    if header.record_count == 0 and not len(body):
        return body
    payload = memoryview(decompress(header.codec, body, inflated_bytes_max))
    if not 0 <= header.record_count * RECORD_BYTES_MIN <= len(payload):
        raise InvalidRecordError(f"{header.record_count} records in {len(payload)} bytes")
    return payload


def _walk(payload: memoryview, header: BatchHeader) -> list[tuple[int, ...]]:
    """The rows of `Positions`, one record at a time: faster than arrays for a few records."""
    rows: list[tuple[int, ...]] = []
    position = 0
    previous = -1
    for _ in range(header.record_count):
        length, start = _varint(payload, position, len(payload))
        position = start + length
        if not RECORD_BYTES_MIN - 1 <= length <= len(payload) - start:
            raise CorruptBatchError(f"a record of {length} bytes, {len(payload) - start} are left")
        ts_delta, cursor = _varint(payload, start + 1, position, bits=64)
        offset_delta, cursor = _varint(payload, cursor, position)
        if not previous < offset_delta <= header.last_offset_delta:
            raise InvalidRecordError(f"offset deltas do not rise within [0, {header.last_offset_delta}]")
        previous = offset_delta
        key_start, key_end, cursor = _span(payload, cursor, position)
        value_start, value_end, cursor = _span(payload, cursor, position)
        if position - cursor != 1 or payload[cursor]:
            _walk_headers(payload, cursor, position)
        timestamp = header.max_timestamp_ms if header.is_log_append_time else header.base_timestamp_ms + ts_delta
        if not TIMESTAMP_MS_MIN <= timestamp <= TIMESTAMP_MS_MAX:
            raise InvalidRecordError(f"timestamp {timestamp} does not fit into 64 bits")
        offset = header.base_offset + offset_delta
        rows.append((offset, timestamp, key_start, key_end, value_start, value_end, cursor, position))
    if position != len(payload):
        raise InvalidRecordError(f"{len(payload) - position} bytes after {header.record_count} records")
    return rows


def _span(payload: memoryview, cursor: int, end: int) -> tuple[int, int, int]:
    length, start = _varint(payload, cursor, end)
    if not -1 <= length <= end - start:
        raise CorruptBatchError("a key or value that does not fit into its record")
    return (-1, -1, start) if length < 0 else (start, start + length, start + length)


def _chain(payload: bytes, count: int) -> tuple[Int64Array, Int64Array]:
    """(start after the length, end) of each record; each start depends on the length before it, hence the loop."""
    starts: list[int] = []
    ends: list[int] = []
    size = len(payload)
    position = signs = 0
    try:
        for _ in range(count):
            length = payload[position]
            position += 1
            if length > 0x7F:
                byte = payload[position]
                position += 1
                length = length & 0x7F | byte << 7
                if byte > 0x7F:
                    length, position = _varint_bits(payload, position - 2, size)
            signs |= length
            starts.append(position)
            position += length >> 1
            ends.append(position)
    except IndexError:
        raise CorruptBatchError(f"{len(ends)} whole records, the header says {count}") from None
    # Zigzag: an odd number is negative. Positions only grew, so the last one tells about all.
    if signs & 1 or position > size:
        raise CorruptBatchError(f"the records' lengths lead to {position}, their bytes end at {size}")
    if position < size:
        raise InvalidRecordError(f"{size - position} bytes after {count} records")
    return np.array(starts, np.int64), np.array(ends, np.int64)


def _varints(data: NDArray[np.uint8], cursor: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Decode one zigzag varlong at each position; returns the values and the positions behind them."""
    value = np.zeros(len(cursor), np.uint64)
    position = cursor.copy()
    active = np.arange(len(cursor))
    for shift in range(0, 70, 7):
        where = position[active]
        if len(where) and int(where.max()) >= len(data):
            raise CorruptBatchError(f"a varint runs past the {len(data)} bytes of the records")
        byte = data[where]
        value[active] |= (byte & 0x7F).astype(np.uint64) << np.uint64(shift)
        position[active] += 1
        active = active[byte > 0x7F]
        if not len(active):
            sign = -(value & np.uint64(1)).astype(np.int64)
            return (value >> np.uint64(1)).astype(np.int64) ^ sign, position
    raise CorruptBatchError("a varint of more than 10 bytes")


def _spans(data: NDArray[np.uint8], cursor: Int64Array, ends: Int64Array) -> tuple[Int64Array, Int64Array, Int64Array]:
    """(starts, ends, positions behind) of the length-prefixed bytes at each position; -1, -1 where null."""
    lengths, starts = _varints(data, cursor)
    left = ends - starts
    if bool(((lengths < -1) | (lengths > left)).any()):
        raise CorruptBatchError("a key or value that does not fit into its record")
    is_null = lengths < 0
    behind = starts + np.maximum(lengths, 0)
    return np.where(is_null, -1, starts), np.where(is_null, -1, behind), behind


def _check_headers(data: NDArray[np.uint8], starts: Int64Array, ends: Int64Array) -> None:
    counts, position = _varints(data, starts)
    # Most records have none: those must end right here. The others are walked one by one.
    if bool((position > ends).any() or (counts < 0).any()):
        raise CorruptBatchError("a header count that does not fit into its record")
    if bool((position[counts == 0] != ends[counts == 0]).any()):
        raise InvalidRecordError("bytes after the last header of a record")
    with_headers = np.flatnonzero(counts)
    if len(with_headers):
        payload = data.data
        for start, end in zip(starts[with_headers].tolist(), ends[with_headers].tolist(), strict=True):
            _walk_headers(payload, start, end)


def _walk_headers(payload: memoryview, position: int, end: int) -> list[tuple[int, int, int, int]]:
    """(key start, key end, value start, value end) of each header; the value is -1, -1 where null."""
    count, position = _varint(payload, position, end)
    if count * 2 > end - position or count < 0:
        raise CorruptBatchError(f"{count} headers in {end - position} bytes")
    found: list[tuple[int, int, int, int]] = []
    for _ in range(count):
        length, key_start = _varint(payload, position, end)
        if not 0 <= length <= end - key_start:
            raise InvalidRecordError(f"a header key of {length} bytes, {end - key_start} are left")
        key_end = key_start + length
        length, value_start = _varint(payload, key_end, end)
        if not -1 <= length <= end - value_start:
            raise InvalidRecordError(f"a header value of {length} bytes, {end - value_start} are left")
        position = value_start + max(0, length)
        found.append((key_start, key_end, -1, -1) if length < 0 else (key_start, key_end, value_start, position))
    if position != end:
        raise InvalidRecordError(f"{end - position} bytes after the last header of a record")
    return found


def _headers(payload: memoryview, start: int, end: int, on_error: str = "strict") -> Sequence[tuple[str, bytes | None]]:
    if end - start == 1:
        return ()
    try:
        return tuple(
            (str(payload[a:b], "utf-8", on_error), None if c < 0 else bytes(payload[c:d]))
            for a, b, c, d in _walk_headers(payload, start, end)
        )
    except UnicodeDecodeError as error:
        raise InvalidRecordError(f"a header key is not UTF-8: {error}") from error


def _varint(payload: bytes | memoryview, position: int, end: int, bits: int = 32) -> tuple[int, int]:
    """(value, position behind) of one zigzag varint that must end before `end`."""
    value, position = _varint_bits(payload, position, end, bits)
    return (value >> 1) ^ -(value & 1), position


def _varint_bits(payload: bytes | memoryview, position: int, end: int, bits: int = 32) -> tuple[int, int]:
    value = shift = 0
    while position < end and shift < bits:
        byte = payload[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & ((1 << bits) - 1), position
        shift += 7
    raise CorruptBatchError("a varint that does not end")


def _offsets(header: BatchHeader, deltas: Int64Array) -> Int64Array:
    if int(deltas[0]) < 0 or int(deltas[-1]) > header.last_offset_delta or bool((deltas[1:] <= deltas[:-1]).any()):
        raise InvalidRecordError(f"offset deltas do not rise within [0, {header.last_offset_delta}]")
    return deltas + header.base_offset


def _timestamps(header: BatchHeader, deltas: Int64Array) -> Int64Array:
    if header.is_log_append_time:
        return np.full(len(deltas), header.max_timestamp_ms, np.int64)
    least = header.base_timestamp_ms + int(deltas.min())
    greatest = header.base_timestamp_ms + int(deltas.max())
    if least < TIMESTAMP_MS_MIN or greatest > TIMESTAMP_MS_MAX:
        raise InvalidRecordError(f"timestamps from {least} to {greatest} do not fit into 64 bits")
    return deltas + header.base_timestamp_ms


def _slices(payload: memoryview, starts: Int64Array, ends: Int64Array) -> list[bytes | None]:
    data = payload.obj if isinstance(payload.obj, bytes) and len(payload) == len(payload.obj) else bytes(payload)
    return [None if start < 0 else data[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def _encode_record(record: Record, base_offset: int, base_timestamp_ms: int) -> bytes:
    parts = [b"\0", _encoded(record.timestamp_ms - base_timestamp_ms), _encoded(record.offset - base_offset)]
    for data in (record.key, record.value):
        parts += (b"\x01",) if data is None else (_encoded(len(data)), data)
    parts.append(_encoded(len(record.headers)))
    for name, data in record.headers:
        key = name.encode()
        parts += (_encoded(len(key)), key)
        parts += (b"\x01",) if data is None else (_encoded(len(data)), data)
    body = b"".join(parts)
    return _encoded(len(body)) + body


def _encoded(value: int) -> bytes:
    """A zigzag varlong of a value within 64 bits."""
    left = (value << 1) ^ (value >> 63)
    if left < 0x80:
        return bytes((left,))
    encoded = bytearray()
    while left > 0x7F:
        encoded.append(left & 0x7F | 0x80)
        left >>= 7
    encoded.append(left)
    return bytes(encoded)


def _assemble(header: BatchHeader, body: bytes) -> bytes:
    batch = bytearray(HEADER_BYTES + len(body))
    HEADER.pack_into(batch, 0, header.base_offset, len(batch) - PREFIX_BYTES, *header[2:])
    batch[HEADER_BYTES:] = body
    _CRC.pack_into(batch, CRC_POSITION, crc32c(memoryview(batch)[CRC_FROM:]))
    return bytes(batch)
