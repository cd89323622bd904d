# Generated from Kafka 4.3.1's schemas by `python -m gateway.wire.generate`. Do not edit.
"""DescribeTopicPartitions, versions 0 to 0."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct, pack, unpack_from
from typing import Final

from ..primitives import (
    BYTE,
    Buffer,
    COMPACT_NULL,
    Message,
    ZERO_UUID,
    decoders,
    encoders,
    read_compact_count,
    read_compact_nullable_count,
    read_compact_nullable_string,
    read_compact_string,
    skip_tags,
    unsigned,
    write_compact_nullable_string,
    write_compact_string,
)

API_KEY: Final = 75
FLEXIBLE_FROM: Final[int | None] = 0

_16st = Struct(">16s?")
_h = Struct(">h")
_hiii = Struct(">hiii")
_i = Struct(">i")
_iB = Struct(">iB")

class Cursor(Message):
    __slots__ = ("topic_name", "partition_index")

    def __init__(self, topic_name: str = "", partition_index: int = 0) -> None:
        self.topic_name = topic_name
        self.partition_index = partition_index


class TopicRequest(Message):
    __slots__ = ("name",)

    def __init__(self, name: str = "") -> None:
        self.name = name


class DescribeTopicPartitionsRequest(Message):
    __slots__ = ("topics", "response_partition_limit", "cursor")

    def __init__(
        self,
        topics: Sequence[TopicRequest] = (),
        response_partition_limit: int = 2000,
        cursor: Cursor | None = None,
    ) -> None:
        self.topics = topics
        self.response_partition_limit = response_partition_limit
        self.cursor = cursor


class DescribeTopicPartitionsResponsePartition(Message):
    __slots__ = (
        "error_code",
        "partition_index",
        "leader_id",
        "leader_epoch",
        "replica_nodes",
        "isr_nodes",
        "eligible_leader_replicas",
        "last_known_elr",
        "offline_replicas",
    )

    def __init__(
        self,
        error_code: int = 0,
        partition_index: int = 0,
        leader_id: int = 0,
        leader_epoch: int = -1,
        replica_nodes: Sequence[int] = (),
        isr_nodes: Sequence[int] = (),
        eligible_leader_replicas: Sequence[int] | None = None,
        last_known_elr: Sequence[int] | None = None,
        offline_replicas: Sequence[int] = (),
    ) -> None:
        self.error_code = error_code
        self.partition_index = partition_index
        self.leader_id = leader_id
        self.leader_epoch = leader_epoch
        self.replica_nodes = replica_nodes
        self.isr_nodes = isr_nodes
        self.eligible_leader_replicas = eligible_leader_replicas
        self.last_known_elr = last_known_elr
        self.offline_replicas = offline_replicas


class DescribeTopicPartitionsResponseTopic(Message):
    __slots__ = ("error_code", "name", "topic_id", "is_internal", "partitions", "topic_authorized_operations")

    def __init__(
        self,
        error_code: int = 0,
        name: str | None = "",
        topic_id: bytes = ZERO_UUID,
        is_internal: bool = False,
        partitions: Sequence[DescribeTopicPartitionsResponsePartition] = (),
        topic_authorized_operations: int = -2147483648,
    ) -> None:
        self.error_code = error_code
        self.name = name
        self.topic_id = topic_id
        self.is_internal = is_internal
        self.partitions = partitions
        self.topic_authorized_operations = topic_authorized_operations


class DescribeTopicPartitionsResponse(Message):
    __slots__ = ("throttle_time_ms", "topics", "next_cursor")

    def __init__(
        self,
        throttle_time_ms: int = 0,
        topics: Sequence[DescribeTopicPartitionsResponseTopic] = (),
        next_cursor: Cursor | None = None,
    ) -> None:
        self.throttle_time_ms = throttle_time_ms
        self.topics = topics
        self.next_cursor = next_cursor


def _decode_topic_request_0(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        name = str(b[p + 1:q], "utf-8")
        p = q
    else:
        name, p = read_compact_string(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return TopicRequest(name), p


def _decode_cursor_0(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        topic_name = str(b[p + 1:q], "utf-8")
        p = q
    else:
        topic_name, p = read_compact_string(b, p, end)
    partition_index, tags = _iB.unpack_from(b, p)
    p += 5
    if tags:
        p = skip_tags(b, p - 1, end)
    return Cursor(topic_name, partition_index), p


def _decode_describe_topic_partitions_request_0(b, p, end):
    n = b[p] - 1
    if 0 <= n < 127 and n * 2 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 2)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_topic_request_0(b, p, end)
        append(item)
    (response_partition_limit,) = _i.unpack_from(b, p)
    p += 4
    n = b[p]
    p += 1
    if n > 127:
        cursor = None
    else:
        cursor, p = _decode_cursor_0(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeTopicPartitionsRequest(topics, response_partition_limit, cursor), p


def _encode_topic_request_0(o, w):
    write_compact_string(w, o.name)
    w(COMPACT_NULL)


def _encode_cursor_0(o, w):
    write_compact_string(w, o.topic_name)
    w(_iB.pack(o.partition_index, 0))


def _encode_describe_topic_partitions_request_0(o, w):
    x = o.topics
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_topic_request_0(item, w)
    w(_i.pack(o.response_partition_limit))
    if o.cursor is None:
        w(b"\xff")
    else:
        w(BYTE[1])
        _encode_cursor_0(o.cursor, w)
    w(COMPACT_NULL)


def _decode_describe_topic_partitions_response_partition_0(b, p, end):
    error_code, partition_index, leader_id, leader_epoch = _hiii.unpack_from(b, p)
    p += 14
    n, p = read_compact_count(b, p, end, 4)
    replica_nodes = unpack_from(f">{n}i", b, p)
    p += 4 * n
    n, p = read_compact_count(b, p, end, 4)
    isr_nodes = unpack_from(f">{n}i", b, p)
    p += 4 * n
    n, p = read_compact_nullable_count(b, p, end, 4)
    if n < 0:
        eligible_leader_replicas = None
    else:
        eligible_leader_replicas = unpack_from(f">{n}i", b, p)
        p += 4 * n
    n, p = read_compact_nullable_count(b, p, end, 4)
    if n < 0:
        last_known_elr = None
    else:
        last_known_elr = unpack_from(f">{n}i", b, p)
        p += 4 * n
    n, p = read_compact_count(b, p, end, 4)
    offline_replicas = unpack_from(f">{n}i", b, p)
    p += 4 * n
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeTopicPartitionsResponsePartition(error_code, partition_index, leader_id, leader_epoch, replica_nodes, isr_nodes, eligible_leader_replicas, last_known_elr, offline_replicas), p


def _decode_describe_topic_partitions_response_topic_0(b, p, end):
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    name, p = read_compact_nullable_string(b, p, end)
    topic_id, is_internal = _16st.unpack_from(b, p)
    p += 17
    n, p = read_compact_count(b, p, end, 20)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_describe_topic_partitions_response_partition_0(b, p, end)
        append(item)
    topic_authorized_operations, tags = _iB.unpack_from(b, p)
    p += 5
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeTopicPartitionsResponseTopic(error_code, name, topic_id, is_internal, partitions, topic_authorized_operations), p


def _decode_cursor_0(b, p, end):
    topic_name, p = read_compact_string(b, p, end)
    partition_index, tags = _iB.unpack_from(b, p)
    p += 5
    if tags:
        p = skip_tags(b, p - 1, end)
    return Cursor(topic_name, partition_index), p


def _decode_describe_topic_partitions_response_0(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 26)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_describe_topic_partitions_response_topic_0(b, p, end)
        append(item)
    n = b[p]
    p += 1
    if n > 127:
        next_cursor = None
    else:
        next_cursor, p = _decode_cursor_0(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeTopicPartitionsResponse(throttle_time_ms, topics, next_cursor), p


def _encode_describe_topic_partitions_response_partition_0(o, w):
    w(_hiii.pack(o.error_code, o.partition_index, o.leader_id, o.leader_epoch))
    x = o.replica_nodes
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(pack(f">{len(x)}i", *x))
    x = o.isr_nodes
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(pack(f">{len(x)}i", *x))
    x = o.eligible_leader_replicas
    if x is None:
        w(COMPACT_NULL)
    else:
        n = len(x) + 1
        w(BYTE[n] if n < 128 else unsigned(n))
        w(pack(f">{len(x)}i", *x))
    x = o.last_known_elr
    if x is None:
        w(COMPACT_NULL)
    else:
        n = len(x) + 1
        w(BYTE[n] if n < 128 else unsigned(n))
        w(pack(f">{len(x)}i", *x))
    x = o.offline_replicas
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(pack(f">{len(x)}i", *x))
    w(COMPACT_NULL)


def _encode_describe_topic_partitions_response_topic_0(o, w):
    w(_h.pack(o.error_code))
    write_compact_nullable_string(w, o.name)
    w(_16st.pack(o.topic_id, o.is_internal))
    x = o.partitions
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_describe_topic_partitions_response_partition_0(item, w)
    w(_iB.pack(o.topic_authorized_operations, 0))


def _encode_cursor_0(o, w):
    x = o.topic_name.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    w(_iB.pack(o.partition_index, 0))


def _encode_describe_topic_partitions_response_0(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.topics
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_describe_topic_partitions_response_topic_0(item, w)
    if o.next_cursor is None:
        w(b"\xff")
    else:
        w(BYTE[1])
        _encode_cursor_0(o.next_cursor, w)
    w(COMPACT_NULL)


REQUEST_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[DescribeTopicPartitionsRequest, int]]]] = decoders(
    (0, 0, _decode_describe_topic_partitions_request_0),
)
REQUEST_ENCODERS: Final[dict[int, Callable[[DescribeTopicPartitionsRequest], list[Buffer]]]] = encoders(
    (0, 0, _encode_describe_topic_partitions_request_0),
)

RESPONSE_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[DescribeTopicPartitionsResponse, int]]]] = decoders(
    (0, 0, _decode_describe_topic_partitions_response_0),
)
RESPONSE_ENCODERS: Final[dict[int, Callable[[DescribeTopicPartitionsResponse], list[Buffer]]]] = encoders(
    (0, 0, _encode_describe_topic_partitions_response_0),
)
