# Generated from Kafka 4.3.1's schemas by `python -m gateway.wire.generate`. Do not edit.
"""ListOffsets, versions 1 to 11."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from typing import Final

from ..primitives import (
    BYTE,
    Buffer,
    COMPACT_NULL,
    Message,
    absent,
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

API_KEY: Final = 2
FLEXIBLE_FROM: Final[int | None] = 6

_h = Struct(">h")
_i = Struct(">i")
_iB = Struct(">iB")
_ib = Struct(">ib")
_ihqq = Struct(">ihqq")
_ihqqi = Struct(">ihqqi")
_ihqqiB = Struct(">ihqqiB")
_iiq = Struct(">iiq")
_iiqB = Struct(">iiqB")
_iq = Struct(">iq")

class ListOffsetsPartition(Message):
    __slots__ = ("partition_index", "current_leader_epoch", "timestamp")

    def __init__(self, partition_index: int = 0, current_leader_epoch: int = -1, timestamp: int = 0) -> None:
        self.partition_index = partition_index
        self.current_leader_epoch = current_leader_epoch
        self.timestamp = timestamp


class ListOffsetsTopic(Message):
    __slots__ = ("name", "partitions")

    def __init__(self, name: str = "", partitions: Sequence[ListOffsetsPartition] = ()) -> None:
        self.name = name
        self.partitions = partitions


class ListOffsetsRequest(Message):
    __slots__ = ("replica_id", "isolation_level", "topics", "timeout_ms")

    def __init__(
        self,
        replica_id: int = 0,
        isolation_level: int = 0,
        topics: Sequence[ListOffsetsTopic] = (),
        timeout_ms: int = 0,
    ) -> None:
        self.replica_id = replica_id
        self.isolation_level = isolation_level
        self.topics = topics
        self.timeout_ms = timeout_ms


class ListOffsetsPartitionResponse(Message):
    __slots__ = ("partition_index", "error_code", "timestamp", "offset", "leader_epoch")

    def __init__(
        self,
        partition_index: int = 0,
        error_code: int = 0,
        timestamp: int = -1,
        offset: int = -1,
        leader_epoch: int = -1,
    ) -> None:
        self.partition_index = partition_index
        self.error_code = error_code
        self.timestamp = timestamp
        self.offset = offset
        self.leader_epoch = leader_epoch


class ListOffsetsTopicResponse(Message):
    __slots__ = ("name", "partitions")

    def __init__(self, name: str = "", partitions: Sequence[ListOffsetsPartitionResponse] = ()) -> None:
        self.name = name
        self.partitions = partitions


class ListOffsetsResponse(Message):
    __slots__ = ("throttle_time_ms", "topics")

    def __init__(self, throttle_time_ms: int = 0, topics: Sequence[ListOffsetsTopicResponse] = ()) -> None:
        self.throttle_time_ms = throttle_time_ms
        self.topics = topics


def _decode_list_offsets_partition_1(b, p, end):
    partition_index, timestamp = _iq.unpack_from(b, p)
    p += 12
    return ListOffsetsPartition(partition_index, timestamp=timestamp), p


def _decode_list_offsets_topic_1(b, p, end):
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
        item, p = _decode_list_offsets_partition_1(b, p, end)
        append(item)
    return ListOffsetsTopic(name, partitions), p


def _decode_list_offsets_request_1(b, p, end):
    (replica_id,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 6)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_list_offsets_topic_1(b, p, end)
        append(item)
    return ListOffsetsRequest(replica_id, topics=topics), p


def _decode_list_offsets_request_2(b, p, end):
    replica_id, isolation_level = _ib.unpack_from(b, p)
    p += 5
    n, p = read_legacy_count(b, p, end, 6)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_list_offsets_topic_1(b, p, end)
        append(item)
    return ListOffsetsRequest(replica_id, isolation_level, topics), p


def _decode_list_offsets_partition_4(b, p, end):
    partition_index, current_leader_epoch, timestamp = _iiq.unpack_from(b, p)
    p += 16
    return ListOffsetsPartition(partition_index, current_leader_epoch, timestamp), p


def _decode_list_offsets_topic_4(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        name = str(b[p + 2:q], "utf-8")
        p = q
    else:
        name, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 16)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_list_offsets_partition_4(b, p, end)
        append(item)
    return ListOffsetsTopic(name, partitions), p


def _decode_list_offsets_request_4(b, p, end):
    replica_id, isolation_level = _ib.unpack_from(b, p)
    p += 5
    n, p = read_legacy_count(b, p, end, 6)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_list_offsets_topic_4(b, p, end)
        append(item)
    return ListOffsetsRequest(replica_id, isolation_level, topics), p


def _decode_list_offsets_partition_6(b, p, end):
    partition_index, current_leader_epoch, timestamp, tags = _iiqB.unpack_from(b, p)
    p += 17
    if tags:
        p = skip_tags(b, p - 1, end)
    return ListOffsetsPartition(partition_index, current_leader_epoch, timestamp), p


def _decode_list_offsets_topic_6(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        name = str(b[p + 1:q], "utf-8")
        p = q
    else:
        name, p = read_compact_string(b, p, end)
    n = b[p] - 1
    if 0 <= n < 127 and n * 17 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 17)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_list_offsets_partition_6(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return ListOffsetsTopic(name, partitions), p


def _decode_list_offsets_request_6(b, p, end):
    replica_id, isolation_level = _ib.unpack_from(b, p)
    p += 5
    n = b[p] - 1
    if 0 <= n < 127 and n * 3 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 3)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_list_offsets_topic_6(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return ListOffsetsRequest(replica_id, isolation_level, topics), p


def _decode_list_offsets_request_10(b, p, end):
    replica_id, isolation_level = _ib.unpack_from(b, p)
    p += 5
    n = b[p] - 1
    if 0 <= n < 127 and n * 3 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 3)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_list_offsets_topic_6(b, p, end)
        append(item)
    timeout_ms, tags = _iB.unpack_from(b, p)
    p += 5
    if tags:
        p = skip_tags(b, p - 1, end)
    return ListOffsetsRequest(replica_id, isolation_level, topics, timeout_ms), p


def _encode_list_offsets_partition_1(o, w):
    w(_iq.pack(o.partition_index, o.timestamp))


def _encode_list_offsets_topic_1(o, w):
    write_legacy_string(w, o.name)
    x = o.partitions
    w(_i.pack(len(x)))
    for item in x:
        _encode_list_offsets_partition_1(item, w)


def _encode_list_offsets_request_1(o, w):
    if o.isolation_level != 0:
        raise absent("ListOffsetsRequest.isolation_level")
    w(_i.pack(o.replica_id))
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_list_offsets_topic_1(item, w)


def _encode_list_offsets_request_2(o, w):
    w(_ib.pack(o.replica_id, o.isolation_level))
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_list_offsets_topic_1(item, w)


def _encode_list_offsets_partition_4(o, w):
    w(_iiq.pack(o.partition_index, o.current_leader_epoch, o.timestamp))


def _encode_list_offsets_topic_4(o, w):
    write_legacy_string(w, o.name)
    x = o.partitions
    w(_i.pack(len(x)))
    for item in x:
        _encode_list_offsets_partition_4(item, w)


def _encode_list_offsets_request_4(o, w):
    w(_ib.pack(o.replica_id, o.isolation_level))
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_list_offsets_topic_4(item, w)


def _encode_list_offsets_partition_6(o, w):
    w(_iiqB.pack(o.partition_index, o.current_leader_epoch, o.timestamp, 0))


def _encode_list_offsets_topic_6(o, w):
    write_compact_string(w, o.name)
    x = o.partitions
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_list_offsets_partition_6(item, w)
    w(COMPACT_NULL)


def _encode_list_offsets_request_6(o, w):
    w(_ib.pack(o.replica_id, o.isolation_level))
    x = o.topics
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_list_offsets_topic_6(item, w)
    w(COMPACT_NULL)


def _encode_list_offsets_request_10(o, w):
    w(_ib.pack(o.replica_id, o.isolation_level))
    x = o.topics
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_list_offsets_topic_6(item, w)
    w(_iB.pack(o.timeout_ms, 0))


def _decode_list_offsets_partition_response_1(b, p, end):
    partition_index, error_code, timestamp, offset = _ihqq.unpack_from(b, p)
    p += 22
    return ListOffsetsPartitionResponse(partition_index, error_code, timestamp, offset), p


def _decode_list_offsets_topic_response_1(b, p, end):
    name, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 22)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_list_offsets_partition_response_1(b, p, end)
        append(item)
    return ListOffsetsTopicResponse(name, partitions), p


def _decode_list_offsets_response_1(b, p, end):
    n, p = read_legacy_count(b, p, end, 6)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_list_offsets_topic_response_1(b, p, end)
        append(item)
    return ListOffsetsResponse(topics=topics), p


def _decode_list_offsets_response_2(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 6)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_list_offsets_topic_response_1(b, p, end)
        append(item)
    return ListOffsetsResponse(throttle_time_ms, topics), p


def _decode_list_offsets_partition_response_4(b, p, end):
    partition_index, error_code, timestamp, offset, leader_epoch = _ihqqi.unpack_from(b, p)
    p += 26
    return ListOffsetsPartitionResponse(partition_index, error_code, timestamp, offset, leader_epoch), p


def _decode_list_offsets_topic_response_4(b, p, end):
    name, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 26)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_list_offsets_partition_response_4(b, p, end)
        append(item)
    return ListOffsetsTopicResponse(name, partitions), p


def _decode_list_offsets_response_4(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 6)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_list_offsets_topic_response_4(b, p, end)
        append(item)
    return ListOffsetsResponse(throttle_time_ms, topics), p


def _decode_list_offsets_partition_response_6(b, p, end):
    partition_index, error_code, timestamp, offset, leader_epoch, tags = _ihqqiB.unpack_from(b, p)
    p += 27
    if tags:
        p = skip_tags(b, p - 1, end)
    return ListOffsetsPartitionResponse(partition_index, error_code, timestamp, offset, leader_epoch), p


def _decode_list_offsets_topic_response_6(b, p, end):
    name, p = read_compact_string(b, p, end)
    n, p = read_compact_count(b, p, end, 27)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_list_offsets_partition_response_6(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return ListOffsetsTopicResponse(name, partitions), p


def _decode_list_offsets_response_6(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 3)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_list_offsets_topic_response_6(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return ListOffsetsResponse(throttle_time_ms, topics), p


def _encode_list_offsets_partition_response_1(o, w):
    if o.leader_epoch != -1:
        raise absent("ListOffsetsPartitionResponse.leader_epoch")
    w(_ihqq.pack(o.partition_index, o.error_code, o.timestamp, o.offset))


def _encode_list_offsets_topic_response_1(o, w):
    x = o.name.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.partitions
    w(_i.pack(len(x)))
    for item in x:
        _encode_list_offsets_partition_response_1(item, w)


def _encode_list_offsets_response_1(o, w):
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_list_offsets_topic_response_1(item, w)


def _encode_list_offsets_response_2(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_list_offsets_topic_response_1(item, w)


def _encode_list_offsets_partition_response_4(o, w):
    w(_ihqqi.pack(o.partition_index, o.error_code, o.timestamp, o.offset, o.leader_epoch))


def _encode_list_offsets_topic_response_4(o, w):
    x = o.name.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.partitions
    w(_i.pack(len(x)))
    for item in x:
        _encode_list_offsets_partition_response_4(item, w)


def _encode_list_offsets_response_4(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_list_offsets_topic_response_4(item, w)


def _encode_list_offsets_partition_response_6(o, w):
    w(_ihqqiB.pack(o.partition_index, o.error_code, o.timestamp, o.offset, o.leader_epoch, 0))


def _encode_list_offsets_topic_response_6(o, w):
    x = o.name.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.partitions
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_list_offsets_partition_response_6(item, w)
    w(COMPACT_NULL)


def _encode_list_offsets_response_6(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.topics
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_list_offsets_topic_response_6(item, w)
    w(COMPACT_NULL)


REQUEST_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[ListOffsetsRequest, int]]]] = decoders(
    (1, 1, _decode_list_offsets_request_1),
    (2, 3, _decode_list_offsets_request_2),
    (4, 5, _decode_list_offsets_request_4),
    (6, 9, _decode_list_offsets_request_6),
    (10, 11, _decode_list_offsets_request_10),
)
REQUEST_ENCODERS: Final[dict[int, Callable[[ListOffsetsRequest], list[Buffer]]]] = encoders(
    (1, 1, _encode_list_offsets_request_1),
    (2, 3, _encode_list_offsets_request_2),
    (4, 5, _encode_list_offsets_request_4),
    (6, 9, _encode_list_offsets_request_6),
    (10, 11, _encode_list_offsets_request_10),
)

RESPONSE_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[ListOffsetsResponse, int]]]] = decoders(
    (1, 1, _decode_list_offsets_response_1),
    (2, 3, _decode_list_offsets_response_2),
    (4, 5, _decode_list_offsets_response_4),
    (6, 11, _decode_list_offsets_response_6),
)
RESPONSE_ENCODERS: Final[dict[int, Callable[[ListOffsetsResponse], list[Buffer]]]] = encoders(
    (1, 1, _encode_list_offsets_response_1),
    (2, 3, _encode_list_offsets_response_2),
    (4, 5, _encode_list_offsets_response_4),
    (6, 11, _encode_list_offsets_response_6),
)
