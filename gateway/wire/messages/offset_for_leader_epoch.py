# Generated from Kafka 4.3.1's schemas by `python -m gateway.wire.generate`. Do not edit.
"""OffsetForLeaderEpoch, versions 2 to 4."""

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

API_KEY: Final = 23
FLEXIBLE_FROM: Final[int | None] = 4

_h = Struct(">h")
_hiiq = Struct(">hiiq")
_hiiqB = Struct(">hiiqB")
_i = Struct(">i")
_iii = Struct(">iii")
_iiiB = Struct(">iiiB")

class OffsetForLeaderPartition(Message):
    __slots__ = ("partition", "current_leader_epoch", "leader_epoch")

    def __init__(self, partition: int = 0, current_leader_epoch: int = -1, leader_epoch: int = 0) -> None:
        self.partition = partition
        self.current_leader_epoch = current_leader_epoch
        self.leader_epoch = leader_epoch


class OffsetForLeaderTopic(Message):
    __slots__ = ("topic", "partitions")

    def __init__(self, topic: str = "", partitions: Sequence[OffsetForLeaderPartition] = ()) -> None:
        self.topic = topic
        self.partitions = partitions


class OffsetForLeaderEpochRequest(Message):
    __slots__ = ("replica_id", "topics")

    def __init__(self, replica_id: int = -2, topics: Sequence[OffsetForLeaderTopic] = ()) -> None:
        self.replica_id = replica_id
        self.topics = topics


class EpochEndOffset(Message):
    __slots__ = ("error_code", "partition", "leader_epoch", "end_offset")

    def __init__(
        self,
        error_code: int = 0,
        partition: int = 0,
        leader_epoch: int = -1,
        end_offset: int = -1,
    ) -> None:
        self.error_code = error_code
        self.partition = partition
        self.leader_epoch = leader_epoch
        self.end_offset = end_offset


class OffsetForLeaderTopicResult(Message):
    __slots__ = ("topic", "partitions")

    def __init__(self, topic: str = "", partitions: Sequence[EpochEndOffset] = ()) -> None:
        self.topic = topic
        self.partitions = partitions


class OffsetForLeaderEpochResponse(Message):
    __slots__ = ("throttle_time_ms", "topics")

    def __init__(self, throttle_time_ms: int = 0, topics: Sequence[OffsetForLeaderTopicResult] = ()) -> None:
        self.throttle_time_ms = throttle_time_ms
        self.topics = topics


def _decode_offset_for_leader_partition_2(b, p, end):
    partition, current_leader_epoch, leader_epoch = _iii.unpack_from(b, p)
    p += 12
    return OffsetForLeaderPartition(partition, current_leader_epoch, leader_epoch), p


def _decode_offset_for_leader_topic_2(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        topic = str(b[p + 2:q], "utf-8")
        p = q
    else:
        topic, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 12)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_offset_for_leader_partition_2(b, p, end)
        append(item)
    return OffsetForLeaderTopic(topic, partitions), p


def _decode_offset_for_leader_epoch_request_2(b, p, end):
    n, p = read_legacy_count(b, p, end, 6)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_offset_for_leader_topic_2(b, p, end)
        append(item)
    return OffsetForLeaderEpochRequest(topics=topics), p


def _decode_offset_for_leader_epoch_request_3(b, p, end):
    (replica_id,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 6)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_offset_for_leader_topic_2(b, p, end)
        append(item)
    return OffsetForLeaderEpochRequest(replica_id, topics), p


def _decode_offset_for_leader_partition_4(b, p, end):
    partition, current_leader_epoch, leader_epoch, tags = _iiiB.unpack_from(b, p)
    p += 13
    if tags:
        p = skip_tags(b, p - 1, end)
    return OffsetForLeaderPartition(partition, current_leader_epoch, leader_epoch), p


def _decode_offset_for_leader_topic_4(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        topic = str(b[p + 1:q], "utf-8")
        p = q
    else:
        topic, p = read_compact_string(b, p, end)
    n = b[p] - 1
    if 0 <= n < 127 and n * 13 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 13)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_offset_for_leader_partition_4(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return OffsetForLeaderTopic(topic, partitions), p


def _decode_offset_for_leader_epoch_request_4(b, p, end):
    (replica_id,) = _i.unpack_from(b, p)
    p += 4
    n = b[p] - 1
    if 0 <= n < 127 and n * 3 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 3)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_offset_for_leader_topic_4(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return OffsetForLeaderEpochRequest(replica_id, topics), p


def _encode_offset_for_leader_partition_2(o, w):
    w(_iii.pack(o.partition, o.current_leader_epoch, o.leader_epoch))


def _encode_offset_for_leader_topic_2(o, w):
    write_legacy_string(w, o.topic)
    x = o.partitions
    w(_i.pack(len(x)))
    for item in x:
        _encode_offset_for_leader_partition_2(item, w)


def _encode_offset_for_leader_epoch_request_2(o, w):
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_offset_for_leader_topic_2(item, w)


def _encode_offset_for_leader_epoch_request_3(o, w):
    w(_i.pack(o.replica_id))
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_offset_for_leader_topic_2(item, w)


def _encode_offset_for_leader_partition_4(o, w):
    w(_iiiB.pack(o.partition, o.current_leader_epoch, o.leader_epoch, 0))


def _encode_offset_for_leader_topic_4(o, w):
    write_compact_string(w, o.topic)
    x = o.partitions
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_offset_for_leader_partition_4(item, w)
    w(COMPACT_NULL)


def _encode_offset_for_leader_epoch_request_4(o, w):
    w(_i.pack(o.replica_id))
    x = o.topics
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_offset_for_leader_topic_4(item, w)
    w(COMPACT_NULL)


def _decode_epoch_end_offset_2(b, p, end):
    error_code, partition, leader_epoch, end_offset = _hiiq.unpack_from(b, p)
    p += 18
    return EpochEndOffset(error_code, partition, leader_epoch, end_offset), p


def _decode_offset_for_leader_topic_result_2(b, p, end):
    topic, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 18)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_epoch_end_offset_2(b, p, end)
        append(item)
    return OffsetForLeaderTopicResult(topic, partitions), p


def _decode_offset_for_leader_epoch_response_2(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 6)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_offset_for_leader_topic_result_2(b, p, end)
        append(item)
    return OffsetForLeaderEpochResponse(throttle_time_ms, topics), p


def _decode_epoch_end_offset_4(b, p, end):
    error_code, partition, leader_epoch, end_offset, tags = _hiiqB.unpack_from(b, p)
    p += 19
    if tags:
        p = skip_tags(b, p - 1, end)
    return EpochEndOffset(error_code, partition, leader_epoch, end_offset), p


def _decode_offset_for_leader_topic_result_4(b, p, end):
    topic, p = read_compact_string(b, p, end)
    n, p = read_compact_count(b, p, end, 19)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_epoch_end_offset_4(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return OffsetForLeaderTopicResult(topic, partitions), p


def _decode_offset_for_leader_epoch_response_4(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 3)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_offset_for_leader_topic_result_4(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return OffsetForLeaderEpochResponse(throttle_time_ms, topics), p


def _encode_epoch_end_offset_2(o, w):
    w(_hiiq.pack(o.error_code, o.partition, o.leader_epoch, o.end_offset))


def _encode_offset_for_leader_topic_result_2(o, w):
    x = o.topic.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.partitions
    w(_i.pack(len(x)))
    for item in x:
        _encode_epoch_end_offset_2(item, w)


def _encode_offset_for_leader_epoch_response_2(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_offset_for_leader_topic_result_2(item, w)


def _encode_epoch_end_offset_4(o, w):
    w(_hiiqB.pack(o.error_code, o.partition, o.leader_epoch, o.end_offset, 0))


def _encode_offset_for_leader_topic_result_4(o, w):
    x = o.topic.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.partitions
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_epoch_end_offset_4(item, w)
    w(COMPACT_NULL)


def _encode_offset_for_leader_epoch_response_4(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.topics
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_offset_for_leader_topic_result_4(item, w)
    w(COMPACT_NULL)


REQUEST_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[OffsetForLeaderEpochRequest, int]]]] = decoders(
    (2, 2, _decode_offset_for_leader_epoch_request_2),
    (3, 3, _decode_offset_for_leader_epoch_request_3),
    (4, 4, _decode_offset_for_leader_epoch_request_4),
)
REQUEST_ENCODERS: Final[dict[int, Callable[[OffsetForLeaderEpochRequest], list[Buffer]]]] = encoders(
    (2, 2, _encode_offset_for_leader_epoch_request_2),
    (3, 3, _encode_offset_for_leader_epoch_request_3),
    (4, 4, _encode_offset_for_leader_epoch_request_4),
)

RESPONSE_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[OffsetForLeaderEpochResponse, int]]]] = decoders(
    (2, 3, _decode_offset_for_leader_epoch_response_2),
    (4, 4, _decode_offset_for_leader_epoch_response_4),
)
RESPONSE_ENCODERS: Final[dict[int, Callable[[OffsetForLeaderEpochResponse], list[Buffer]]]] = encoders(
    (2, 3, _encode_offset_for_leader_epoch_response_2),
    (4, 4, _encode_offset_for_leader_epoch_response_4),
)
