# Generated from Kafka 4.3.1's schemas by `python -m gateway.wire.generate`. Do not edit.
"""OffsetDelete, versions 0 to 0."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from typing import Final

from ..primitives import (
    Buffer,
    Message,
    decoders,
    encoders,
    read_legacy_count,
    read_legacy_string,
    write_legacy_string,
)

API_KEY: Final = 47
FLEXIBLE_FROM: Final[int | None] = None

_h = Struct(">h")
_hi = Struct(">hi")
_i = Struct(">i")
_ih = Struct(">ih")

class OffsetDeleteRequestPartition(Message):
    __slots__ = ("partition_index",)

    def __init__(self, partition_index: int = 0) -> None:
        self.partition_index = partition_index


class OffsetDeleteRequestTopic(Message):
    __slots__ = ("name", "partitions")

    def __init__(self, name: str = "", partitions: Sequence[OffsetDeleteRequestPartition] = ()) -> None:
        self.name = name
        self.partitions = partitions


class OffsetDeleteRequest(Message):
    __slots__ = ("group_id", "topics")

    def __init__(self, group_id: str = "", topics: Sequence[OffsetDeleteRequestTopic] = ()) -> None:
        self.group_id = group_id
        self.topics = topics


class OffsetDeleteResponsePartition(Message):
    __slots__ = ("partition_index", "error_code")

    def __init__(self, partition_index: int = 0, error_code: int = 0) -> None:
        self.partition_index = partition_index
        self.error_code = error_code


class OffsetDeleteResponseTopic(Message):
    __slots__ = ("name", "partitions")

    def __init__(self, name: str = "", partitions: Sequence[OffsetDeleteResponsePartition] = ()) -> None:
        self.name = name
        self.partitions = partitions


class OffsetDeleteResponse(Message):
    __slots__ = ("error_code", "throttle_time_ms", "topics")

    def __init__(
        self,
        error_code: int = 0,
        throttle_time_ms: int = 0,
        topics: Sequence[OffsetDeleteResponseTopic] = (),
    ) -> None:
        self.error_code = error_code
        self.throttle_time_ms = throttle_time_ms
        self.topics = topics


def _decode_offset_delete_request_partition_0(b, p, end):
    (partition_index,) = _i.unpack_from(b, p)
    p += 4
    return OffsetDeleteRequestPartition(partition_index), p


def _decode_offset_delete_request_topic_0(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        name = str(b[p + 2:q], "utf-8")
        p = q
    else:
        name, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 4)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_offset_delete_request_partition_0(b, p, end)
        append(item)
    return OffsetDeleteRequestTopic(name, partitions), p


def _decode_offset_delete_request_0(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        group_id = str(b[p + 2:q], "utf-8")
        p = q
    else:
        group_id, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 6)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_offset_delete_request_topic_0(b, p, end)
        append(item)
    return OffsetDeleteRequest(group_id, topics), p


def _encode_offset_delete_request_partition_0(o, w):
    w(_i.pack(o.partition_index))


def _encode_offset_delete_request_topic_0(o, w):
    write_legacy_string(w, o.name)
    x = o.partitions
    w(_i.pack(len(x)))
    for item in x:
        _encode_offset_delete_request_partition_0(item, w)


def _encode_offset_delete_request_0(o, w):
    write_legacy_string(w, o.group_id)
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_offset_delete_request_topic_0(item, w)


def _decode_offset_delete_response_partition_0(b, p, end):
    partition_index, error_code = _ih.unpack_from(b, p)
    p += 6
    return OffsetDeleteResponsePartition(partition_index, error_code), p


def _decode_offset_delete_response_topic_0(b, p, end):
    name, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 6)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_offset_delete_response_partition_0(b, p, end)
        append(item)
    return OffsetDeleteResponseTopic(name, partitions), p


def _decode_offset_delete_response_0(b, p, end):
    error_code, throttle_time_ms = _hi.unpack_from(b, p)
    p += 6
    n, p = read_legacy_count(b, p, end, 6)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_offset_delete_response_topic_0(b, p, end)
        append(item)
    return OffsetDeleteResponse(error_code, throttle_time_ms, topics), p


def _encode_offset_delete_response_partition_0(o, w):
    w(_ih.pack(o.partition_index, o.error_code))


def _encode_offset_delete_response_topic_0(o, w):
    x = o.name.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.partitions
    w(_i.pack(len(x)))
    for item in x:
        _encode_offset_delete_response_partition_0(item, w)


def _encode_offset_delete_response_0(o, w):
    w(_hi.pack(o.error_code, o.throttle_time_ms))
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_offset_delete_response_topic_0(item, w)


REQUEST_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[OffsetDeleteRequest, int]]]] = decoders(
    (0, 0, _decode_offset_delete_request_0),
)
REQUEST_ENCODERS: Final[dict[int, Callable[[OffsetDeleteRequest], list[Buffer]]]] = encoders(
    (0, 0, _encode_offset_delete_request_0),
)

RESPONSE_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[OffsetDeleteResponse, int]]]] = decoders(
    (0, 0, _decode_offset_delete_response_0),
)
RESPONSE_ENCODERS: Final[dict[int, Callable[[OffsetDeleteResponse], list[Buffer]]]] = encoders(
    (0, 0, _encode_offset_delete_response_0),
)
