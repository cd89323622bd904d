# Generated from Kafka 4.3.1's schemas by `python -m gateway.wire.generate`. Do not edit.
"""DeleteRecords, versions 0 to 2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from typing import Final

from ..primitives import (
    BYTE,
    Buffer,
    COMPACT_NULL,
    Message,
    decoders,
    encoders,
    read_compact_count,
    read_compact_string,
    read_legacy_count,
    read_legacy_string,
    skip_tags,
    unsigned,
    write_compact_string,
    write_legacy_string,
)

API_KEY: Final = 21
FLEXIBLE_FROM: Final[int | None] = 2

_h = Struct(">h")
_i = Struct(">i")
_iB = Struct(">iB")
_iq = Struct(">iq")
_iqB = Struct(">iqB")
_iqh = Struct(">iqh")
_iqhB = Struct(">iqhB")

class DeleteRecordsPartition(Message):
    __slots__ = ("partition_index", "offset")

    def __init__(self, partition_index: int = 0, offset: int = 0) -> None:
        self.partition_index = partition_index
        self.offset = offset


class DeleteRecordsTopic(Message):
    __slots__ = ("name", "partitions")

    def __init__(self, name: str = "", partitions: Sequence[DeleteRecordsPartition] = ()) -> None:
        self.name = name
        self.partitions = partitions


class DeleteRecordsRequest(Message):
    __slots__ = ("topics", "timeout_ms")

    def __init__(self, topics: Sequence[DeleteRecordsTopic] = (), timeout_ms: int = 0) -> None:
        self.topics = topics
        self.timeout_ms = timeout_ms


class DeleteRecordsPartitionResult(Message):
    __slots__ = ("partition_index", "low_watermark", "error_code")

    def __init__(self, partition_index: int = 0, low_watermark: int = 0, error_code: int = 0) -> None:
        self.partition_index = partition_index
        self.low_watermark = low_watermark
        self.error_code = error_code


class DeleteRecordsTopicResult(Message):
    __slots__ = ("name", "partitions")

    def __init__(self, name: str = "", partitions: Sequence[DeleteRecordsPartitionResult] = ()) -> None:
        self.name = name
        self.partitions = partitions


class DeleteRecordsResponse(Message):
    __slots__ = ("throttle_time_ms", "topics")

    def __init__(self, throttle_time_ms: int = 0, topics: Sequence[DeleteRecordsTopicResult] = ()) -> None:
        self.throttle_time_ms = throttle_time_ms
        self.topics = topics


def _decode_delete_records_partition_0(b, p, end):
    partition_index, offset = _iq.unpack_from(b, p)
    p += 12
    return DeleteRecordsPartition(partition_index, offset), p


def _decode_delete_records_topic_0(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        name = str(b[p + 2:q], "utf-8")
        p = q
    else:
        name, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 12)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_delete_records_partition_0(b, p, end)
        append(item)
    return DeleteRecordsTopic(name, partitions), p


def _decode_delete_records_request_0(b, p, end):
    n, p = read_legacy_count(b, p, end, 6)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_delete_records_topic_0(b, p, end)
        append(item)
    (timeout_ms,) = _i.unpack_from(b, p)
    p += 4
    return DeleteRecordsRequest(topics, timeout_ms), p


def _decode_delete_records_partition_2(b, p, end):
    partition_index, offset, tags = _iqB.unpack_from(b, p)
    p += 13
    if tags:
        p = skip_tags(b, p - 1, end)
    return DeleteRecordsPartition(partition_index, offset), p


def _decode_delete_records_topic_2(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        name = str(b[p + 1:q], "utf-8")
        p = q
    else:
        name, p = read_compact_string(b, p, end)
    n = b[p] - 1
    if 0 <= n < 127 and n * 13 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 13)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_delete_records_partition_2(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return DeleteRecordsTopic(name, partitions), p


def _decode_delete_records_request_2(b, p, end):
    n = b[p] - 1
    if 0 <= n < 127 and n * 3 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 3)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_delete_records_topic_2(b, p, end)
        append(item)
    timeout_ms, tags = _iB.unpack_from(b, p)
    p += 5
    if tags:
        p = skip_tags(b, p - 1, end)
    return DeleteRecordsRequest(topics, timeout_ms), p


def _encode_delete_records_partition_0(o, w):
    w(_iq.pack(o.partition_index, o.offset))


def _encode_delete_records_topic_0(o, w):
    write_legacy_string(w, o.name)
    x = o.partitions
    w(_i.pack(len(x)))
    for item in x:
        _encode_delete_records_partition_0(item, w)


def _encode_delete_records_request_0(o, w):
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_delete_records_topic_0(item, w)
    w(_i.pack(o.timeout_ms))


def _encode_delete_records_partition_2(o, w):
    w(_iqB.pack(o.partition_index, o.offset, 0))


def _encode_delete_records_topic_2(o, w):
    write_compact_string(w, o.name)
    x = o.partitions
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_delete_records_partition_2(item, w)
    w(COMPACT_NULL)


def _encode_delete_records_request_2(o, w):
    x = o.topics
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_delete_records_topic_2(item, w)
    w(_iB.pack(o.timeout_ms, 0))


def _decode_delete_records_partition_result_0(b, p, end):
    partition_index, low_watermark, error_code = _iqh.unpack_from(b, p)
    p += 14
    return DeleteRecordsPartitionResult(partition_index, low_watermark, error_code), p


def _decode_delete_records_topic_result_0(b, p, end):
    name, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 14)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_delete_records_partition_result_0(b, p, end)
        append(item)
    return DeleteRecordsTopicResult(name, partitions), p


def _decode_delete_records_response_0(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 6)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_delete_records_topic_result_0(b, p, end)
        append(item)
    return DeleteRecordsResponse(throttle_time_ms, topics), p


def _decode_delete_records_partition_result_2(b, p, end):
    partition_index, low_watermark, error_code, tags = _iqhB.unpack_from(b, p)
    p += 15
    if tags:
        p = skip_tags(b, p - 1, end)
    return DeleteRecordsPartitionResult(partition_index, low_watermark, error_code), p


def _decode_delete_records_topic_result_2(b, p, end):
    name, p = read_compact_string(b, p, end)
    n, p = read_compact_count(b, p, end, 15)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_delete_records_partition_result_2(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return DeleteRecordsTopicResult(name, partitions), p


def _decode_delete_records_response_2(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 3)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_delete_records_topic_result_2(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return DeleteRecordsResponse(throttle_time_ms, topics), p


def _encode_delete_records_partition_result_0(o, w):
    w(_iqh.pack(o.partition_index, o.low_watermark, o.error_code))


def _encode_delete_records_topic_result_0(o, w):
    x = o.name.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.partitions
    w(_i.pack(len(x)))
    for item in x:
        _encode_delete_records_partition_result_0(item, w)


def _encode_delete_records_response_0(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_delete_records_topic_result_0(item, w)


def _encode_delete_records_partition_result_2(o, w):
    w(_iqhB.pack(o.partition_index, o.low_watermark, o.error_code, 0))


def _encode_delete_records_topic_result_2(o, w):
    x = o.name.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.partitions
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_delete_records_partition_result_2(item, w)
    w(COMPACT_NULL)


def _encode_delete_records_response_2(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.topics
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_delete_records_topic_result_2(item, w)
    w(COMPACT_NULL)


REQUEST_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[DeleteRecordsRequest, int]]]] = decoders(
    (0, 1, _decode_delete_records_request_0),
    (2, 2, _decode_delete_records_request_2),
)
REQUEST_ENCODERS: Final[dict[int, Callable[[DeleteRecordsRequest], list[Buffer]]]] = encoders(
    (0, 1, _encode_delete_records_request_0),
    (2, 2, _encode_delete_records_request_2),
)

RESPONSE_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[DeleteRecordsResponse, int]]]] = decoders(
    (0, 1, _decode_delete_records_response_0),
    (2, 2, _decode_delete_records_response_2),
)
RESPONSE_ENCODERS: Final[dict[int, Callable[[DeleteRecordsResponse], list[Buffer]]]] = encoders(
    (0, 1, _encode_delete_records_response_0),
    (2, 2, _encode_delete_records_response_2),
)
