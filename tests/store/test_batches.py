import random
import struct
from contextlib import suppress

import numpy as np
import pytest
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st

from store import batches
from store.batches import CRC_FROM, CRC_POSITION, FEW_RECORDS, HEADER_BYTES, BatchHeader, Producer
from store.compression import Compression, compress
from store.errors import (
    BatchError,
    CorruptBatchError,
    InflatedTooLargeError,
    InvalidRecordError,
    UnsupportedCompressionError,
    UnsupportedMagicError,
)
from store.events import Record

times = st.integers(-(2**40), 2**40)
blobs = st.none() | st.binary(max_size=70)
headers = st.lists(st.tuples(st.text(max_size=3), blobs), max_size=3).map(tuple)
codecs = st.sampled_from(Compression)


@st.composite
def records(draw: st.DrawFn, gap_max: int = 1, *, first: int | None = None) -> list[Record]:
    """Rising offsets; more records than FEW_RECORDS in some examples, so that both readers are met."""
    offset = draw(st.integers(0, 2**40)) if first is None else first
    rows: list[Record] = []
    for timestamp, key, value, own in draw(st.lists(st.tuples(times, blobs, blobs, headers), min_size=1, max_size=8)):
        rows.append(Record(offset, timestamp, key, value, own))
        offset += draw(st.integers(1, gap_max))
    repeat = draw(st.sampled_from((1, 1, 6)))
    stride = offset - rows[0].offset
    return [row._replace(offset=row.offset + stride * turn) for turn in range(repeat) for row in rows]


def with_crc(batch: bytes | bytearray) -> bytes:
    """The same bytes with the length and CRC that they should have."""
    whole = bytearray(batch)
    struct.pack_into(">i", whole, 8, len(whole) - 12)
    struct.pack_into(">I", whole, CRC_POSITION, crc32c(bytes(whole[CRC_FROM:])))
    return bytes(whole)


def with_fields(batch: bytes, **fields: int) -> bytes:
    header = batches.read_header(batch)._replace(**fields)
    changed = bytearray(batch)
    batches.HEADER.pack_into(changed, 0, header.base_offset, len(batch) - 12, *header[2:])
    return with_crc(changed)


def raw_batch(
    body: bytes, count: int, *, attributes: int = 0, greatest: int = 0, last_delta: int | None = None
) -> bytes:
    """A batch around any record bytes."""
    last = count - 1 if last_delta is None else last_delta
    head = batches.HEADER.pack(0, 0, 0, 2, 0, attributes, last, 0, greatest, -1, -1, -1, count)
    return with_crc(head + body)


def one(value: bytes = b"v", timestamp: int = 5) -> bytes:
    return batches.build([Record(0, timestamp, b"k", value)], base_offset=0)


@given(rows=records(gap_max=3), codec=codecs)
def test_records_that_are_built_are_read_back(rows: list[Record], codec: Compression) -> None:
    batch = batches.build(rows, base_offset=rows[0].offset, compression=codec, leader_epoch=7)
    assert batches.records(batch) == rows
    found = batches.positions(batch)
    assert [found.record(i) for i in range(len(rows))] == rows
    assert (found.keys(), found.values()) == ([row.key for row in rows], [row.value for row in rows])
    header = batches.read_header(batch)
    assert header.codec is codec
    assert (header.leader_epoch, header.last_offset) == (7, rows[-1].offset)
    timestamps, offsets = batches.timestamps_and_offsets(batch, header)
    assert (timestamps.tolist(), offsets.tolist()) == ([r.timestamp_ms for r in rows], [r.offset for r in rows])
    assert batches.least_timestamp(batch, header) == min(row.timestamp_ms for row in rows)
    assert header.max_timestamp_ms == max(row.timestamp_ms for row in rows)


@given(rows=records(), codec=st.sampled_from((Compression.NONE, Compression.GZIP)))
def test_another_library_reads_our_batches(rows: list[Record], codec: Compression) -> None:
    batch = batches.build(rows, base_offset=rows[0].offset, compression=codec)
    theirs = DefaultRecordBatch(batch)
    assert theirs.validate_crc()
    assert [(r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in theirs] == [tuple(row) for row in rows]


@given(rows=records(first=0), codec=st.sampled_from((Compression.NONE, Compression.GZIP)))
def test_we_read_the_batches_of_another_library(rows: list[Record], codec: Compression) -> None:
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=int(codec), is_transactional=0, producer_id=-1, producer_epoch=-1,
        base_sequence=-1, batch_size=1 << 20,
    )  # fmt: skip
    for row in rows:
        builder.append(row.offset, row.timestamp_ms, row.key, row.value, list(row.headers))
    batch = bytes(builder.build())
    assert batches.records(batch) == rows
    assert batches.check(batch).record_count == len(rows)


@given(rows=records(first=100))
def test_checked_batch_has_what_was_built(rows: list[Record]) -> None:
    producer = Producer(9, 3, 17, is_transactional=True)
    batch = batches.build(rows, base_offset=100, producer=producer)
    header = batches.check(memoryview(batch))
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (9, 3, 17)
    assert (header.is_transactional, header.is_control, header.is_log_append_time) == (True, False, False)
    assert (header.length_bytes, header.record_count, header.base_offset) == (len(batch), len(rows), 100)


def test_bytes_of_a_small_batch() -> None:
    batch = batches.build([Record(3, 1000, None, b"hi", (("h", None),))], base_offset=3, leader_epoch=1)
    assert batch.hex(" ") == (
        "00 00 00 00 00 00 00 03 00 00 00 3d 00 00 00 01 02 " + batch[17:21].hex(" ") + " 00 00 00 00 00 00 "
        "00 00 00 00 00 00 03 e8 00 00 00 00 00 00 03 e8 ff ff ff ff ff ff ff ff ff ff ff ff ff ff 00 00 00 01 "
        "16 00 00 00 01 04 68 69 02 02 68 01"
    )


def test_stamp_changes_two_fields_and_leaves_the_crc_right() -> None:
    batch = bytearray(one())
    before = batches.check(batch)
    batches.stamp(memoryview(batch), 1 << 40, 77)
    assert batches.check(batch) == before._replace(base_offset=1 << 40, leader_epoch=77)
    assert batches.records(batch)[0].offset == 1 << 40


@given(st.lists(records(first=0), min_size=0, max_size=4))
def test_concatenated_batches_are_split(parts: list[list[Record]]) -> None:
    whole = [batches.build(rows, base_offset=0) for rows in parts]
    stored = b"".join(whole)
    found = [bytes(stored[at : at + header.length_bytes]) for at, header in batches.split_batches(memoryview(stored))]
    assert found == whole
    if stored:
        with pytest.raises(CorruptBatchError):
            list(batches.split_batches(stored[:-1]))


def test_split_refuses_lengths_that_lead_nowhere() -> None:
    for length in (-13, -12, 0, 48, 2**31 - 1):
        damaged = bytearray(one())
        struct.pack_into(">i", damaged, 8, length)
        with pytest.raises(CorruptBatchError):
            list(batches.split_batches(damaged))


@pytest.mark.parametrize("size", [0, 1, 16, 60])
def test_too_short_is_corrupt(size: int) -> None:
    with pytest.raises(CorruptBatchError):
        batches.check(one()[:size])


@pytest.mark.parametrize("magic", [0, 1])
def test_old_message_format_is_named(magic: int) -> None:
    message = struct.pack(">qiIbb", 0, 20, 0, magic, 0) + bytes(16)
    with pytest.raises(UnsupportedMagicError):
        batches.check(message)
    with pytest.raises(UnsupportedMagicError):
        batches.check(one()[:16] + bytes([magic]) + one()[17:])


@given(at=st.integers(CRC_FROM, 1000), flip=st.integers(1, 255))
def test_any_flipped_byte_under_the_crc_is_corrupt(at: int, flip: int) -> None:
    batch = bytearray(one(bytes(200)))
    batch[CRC_FROM + at % (len(batch) - CRC_FROM)] ^= flip
    with pytest.raises(CorruptBatchError, match="CRC"):
        batches.check(batch)


def test_length_must_be_that_of_the_buffer() -> None:
    with pytest.raises(InvalidRecordError, match="one batch"):
        batches.check(one() + one())
    with pytest.raises(CorruptBatchError):
        batches.check(one()[:-1])


@pytest.mark.parametrize(
    "fields",
    [
        {"attributes": batches.CONTROL},
        {"attributes": batches.TRANSACTIONAL},
        {"record_count": 0, "last_offset_delta": -1},
        {"record_count": -1, "last_offset_delta": -2},
        {"record_count": 2},
        {"last_offset_delta": 1},
        {"record_count": 2**31 - 1, "last_offset_delta": 2**31 - 2},
        {"base_timestamp_ms": 6},
        {"producer_id": 1},
        {"producer_id": 1, "producer_epoch": 0, "base_sequence": -1},
    ],
)
def test_batch_that_breaks_a_rule_is_invalid(fields: dict[str, int]) -> None:
    with pytest.raises(InvalidRecordError):
        batches.check(with_fields(one(), **fields))


@pytest.mark.parametrize("code", [5, 6, 7])
def test_unknown_codec_is_unsupported(code: int) -> None:
    with pytest.raises(UnsupportedCompressionError):
        batches.check(with_fields(one(), attributes=code))


def test_log_append_time_is_every_records_time() -> None:
    rows = [Record(i, 10 - i, None, b"x") for i in range(3)]
    batch = with_fields(batches.build(rows, base_offset=0), attributes=batches.LOG_APPEND_TIME, max_timestamp_ms=99)
    assert [row.timestamp_ms for row in batches.records(batch)] == [99] * 3
    assert batches.least_timestamp(batch, batches.check(batch)) == 99


@pytest.mark.parametrize("count", [1, FEW_RECORDS + 1])
def test_record_later_than_the_header_says_is_invalid(count: int) -> None:
    rows = [Record(i, 5 + i, None, b"x") for i in range(count)]
    batch = with_fields(batches.build(rows, base_offset=0), max_timestamp_ms=3 + count)
    with pytest.raises(InvalidRecordError, match="past the batch's maximum"):
        batches.least_timestamp(batch, batches.read_header(batch))


def test_least_timestamp_of_one_record_is_its_own_and_not_the_headers() -> None:
    rows = [Record(0, 1000, None, None), Record(1, 3, None, None)]
    batch = batches.build(rows, base_offset=0)
    assert batches.least_timestamp(batch, batches.read_header(batch)) == 3


def test_empty_batch_carries_over_a_hole() -> None:
    batch = batches.empty_batch(10, 500, 4)
    header = batches.read_header(batch)
    assert (header.base_offset, header.last_offset, header.record_count, header.leader_epoch) == (10, 500, 0, 4)
    assert batches.records(batch) == []
    assert DefaultRecordBatch(batch).validate_crc()
    with pytest.raises(InvalidRecordError):
        batches.least_timestamp(batch, header)
    with pytest.raises(AssertionError):
        batches.empty_batch(0, 1 << 31, 0)


def test_batch_may_end_in_a_gap() -> None:
    batch = batches.build([Record(5, 1, None, b"x")], base_offset=3, last_offset=9)
    assert batches.read_header(batch).last_offset == 9
    assert [row.offset for row in batches.records(batch)] == [5]


@pytest.mark.parametrize("is_commit", [True, False])
def test_marker_is_a_control_batch(*, is_commit: bool) -> None:
    marker = batches.build_marker(7, 1000, Producer(5, 2), is_commit=is_commit, coordinator_epoch=3)
    header = batches.read_header(marker)
    assert (header.is_control, header.is_transactional, header.producer_id, header.producer_epoch) == (True, True, 5, 2)
    (record,) = batches.records(marker)
    assert record == Record(7, 1000, struct.pack(">hh", 0, is_commit), struct.pack(">hi", 0, 3))
    with pytest.raises(InvalidRecordError, match="control"):
        batches.check(marker)


def record_bytes(offset_delta: int, tail: bytes = b"\x01\x01\x00", ts: bytes = b"\x00") -> bytes:
    body = b"\x00" + ts + batches._encoded(offset_delta) + tail
    return batches._encoded(len(body)) + body


# What a record may hold after its offset delta, each of them wrong.
BAD_TAILS = {
    "key longer than the record": b"\x20\x01\x00",
    "key length -2": b"\x03\x01\x00",
    "value longer than the record": b"\x01\x7e\x00",
    "value length -2": b"\x01\x03\x00",
    "key of 2 GiB": b"\xfe\xff\xff\xff\x0f\x01\x00",
    "key length that does not end": b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    "headers without bytes": b"\x01\x01\x04",
    "negative header count": b"\x01\x01\x01",
    "header count of 2 GiB": b"\x01\x01\xfe\xff\xff\xff\x0f",
    "null header key": b"\x01\x01\x02\x01\x01",
    "header key past the end": b"\x01\x01\x02\x08\x01",
    "header value past the end": b"\x01\x01\x02\x00\x08",
    "header value length -2": b"\x01\x01\x02\x00\x03",
    "byte after the headers": b"\x01\x01\x00\x00",
    "byte after a header": b"\x01\x01\x02\x00\x01\x00",
    "no header count": b"\x01\x02\x61",
}


@pytest.mark.parametrize("count", [1, 2, FEW_RECORDS + 1, 100])
@pytest.mark.parametrize("tail", BAD_TAILS.values(), ids=BAD_TAILS.keys())
@pytest.mark.parametrize("codec", [Compression.NONE, Compression.ZSTD])
def test_bad_record_is_a_typed_error_in_both_readers(count: int, tail: bytes, codec: Compression) -> None:
    for bad in {0, count // 2, count - 1}:
        body = b"".join(record_bytes(i, tail if i == bad else b"\x01\x01\x00") for i in range(count))
        batch = raw_batch(compress(codec, body), count, attributes=int(codec))
        with pytest.raises((CorruptBatchError, InvalidRecordError)):
            batches.positions(batch)
        with pytest.raises((CorruptBatchError, InvalidRecordError)):
            batches.least_timestamp(batch, batches.read_header(batch))


@pytest.mark.parametrize("count", [2, FEW_RECORDS + 1])
def test_offset_deltas_must_rise_within_the_batch(count: int) -> None:
    for deltas in ([0] * count, [*range(1, count + 1)], [*range(count - 1), count - 3], [-1, *range(1, count)]):
        batch = raw_batch(b"".join(map(record_bytes, deltas)), count)
        with pytest.raises(InvalidRecordError, match="offset deltas"):
            batches.positions(batch)


@pytest.mark.parametrize("count", [2, FEW_RECORDS + 1])
def test_timestamps_beyond_64_bits_are_invalid(count: int) -> None:
    far = batches._encoded(2**63 - 1)
    body = b"".join(record_bytes(i, ts=far) for i in range(count))
    batch = with_fields(raw_batch(body, count), base_timestamp_ms=2**62, max_timestamp_ms=2**63 - 1)
    with pytest.raises(InvalidRecordError, match="64 bits"):
        batches.positions(batch)


@pytest.mark.parametrize("count", [1, 2, FEW_RECORDS + 1])
def test_count_must_be_that_of_the_records(count: int) -> None:
    body = b"".join(map(record_bytes, range(count)))
    for wrong in (count - 1, count + 1):
        batch = raw_batch(body, wrong, last_delta=count)
        with pytest.raises((CorruptBatchError, InvalidRecordError)):
            batches.positions(batch)


@pytest.mark.parametrize("count", [1, FEW_RECORDS + 1])
@pytest.mark.parametrize(
    "length", [b"\x01", b"\x03", b"\xff\xff\xff\xff\x0f", b"\xff" * 6, b"\xfe\xff\xff\xff\x0f", b"\x00"]
)
def test_bad_record_length_is_corrupt(count: int, length: bytes) -> None:
    body = b"".join(map(record_bytes, range(count - 1))) + length + record_bytes(count - 1)[1:]
    with pytest.raises((CorruptBatchError, InvalidRecordError)):
        batches.positions(raw_batch(body, count))


def test_records_that_inflate_past_the_limit_are_refused() -> None:
    batch = batches.build([Record(0, 1, None, bytes(100_000))], base_offset=0, compression=Compression.ZSTD)
    header = batches.check(batch)
    with pytest.raises(InflatedTooLargeError):
        batches.least_timestamp(batch, header, 50_000)
    assert batches.least_timestamp(batch, header, 200_000) == 1


@given(data=st.binary(max_size=300), count=st.integers(1, 40), codec=codecs)
def test_random_record_bytes_never_give_an_untyped_error(data: bytes, count: int, codec: Compression) -> None:
    with suppress(BatchError):
        batches.records(raw_batch(data, count, attributes=int(codec)))


@given(
    rows=records(first=0),
    flips=st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 255)), min_size=1, max_size=4),
    codec=codecs,
)
def test_damaged_batch_never_gives_an_untyped_error(
    rows: list[Record], flips: list[tuple[int, int]], codec: Compression
) -> None:
    batch = bytearray(batches.build(rows, base_offset=0, compression=codec))
    for at, flip in flips:
        batch[HEADER_BYTES + at % (len(batch) - HEADER_BYTES)] ^= flip
    with suppress(BatchError):
        batches.records(batch)


def test_both_readers_agree_on_damaged_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    seed = 4_711
    source = random.Random(seed)
    rows = [
        Record(i, 1000 - i, b"k" * (i % 4), b"v" * (i * 7), (("h", b"x"),) if i % 3 == 0 else ()) for i in range(12)
    ]
    whole = batches.build(rows, base_offset=0)
    header = batches.read_header(whole)
    outcomes = {True: 0, False: 0}
    for _ in range(1500):
        batch = bytearray(whole)
        for _ in range(source.randrange(1, 3)):
            batch[source.randrange(HEADER_BYTES, len(batch))] = source.choice((0, 1, 2, 3, 0x7F, 0x80, 0xFF))
        found = [read_or_none(monkeypatch, batch, header, few) for few in (0, 100)]
        assert found[0] == found[1], seed
        outcomes[found[0] is None] += 1
    assert min(outcomes.values()) > 100, "both outcomes must be met"


def read_or_none(
    monkeypatch: pytest.MonkeyPatch, batch: bytearray, header: BatchHeader, few: int
) -> list[list[int]] | None:
    monkeypatch.setattr(batches, "FEW_RECORDS", few)
    try:
        found = batches.positions(batch, header)
    except BatchError:
        return None
    return [np.asarray(column).tolist() for column in found[1:]]
