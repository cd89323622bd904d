# Generated from Kafka 4.3.1's schemas by `python -m gateway.wire.generate`. Do not edit.
"""CreatePartitions, versions 0 to 3."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct, pack, unpack_from
from typing import Final

from ..primitives import (
    BYTE,
    Buffer,
    COMPACT_NULL,
    LEGACY_NULL,
    Message,
    decoders,
    encoders,
    read_compact_count,
    read_compact_nullable_count,
    read_compact_nullable_string,
    read_compact_string,
    read_legacy_count,
    read_legacy_nullable_count,
    read_legacy_nullable_string,
    read_legacy_string,
    skip_tags,
    unsigned,
    write_compact_nullable_string,
    write_compact_string,
    write_legacy_nullable_string,
    write_legacy_string,
)

API_KEY: Final = 37
FLEXIBLE_FROM: Final[int | None] = 2

_h = Struct(">h")
_i = Struct(">i")
_it = Struct(">i?")
_itB = Struct(">i?B")

class CreatePartitionsAssignment(Message):
    __slots__ = ("broker_ids",)

    def __init__(self, broker_ids: Sequence[int] = ()) -> None:
        self.broker_ids = broker_ids


class CreatePartitionsTopic(Message):
    __slots__ = ("name", "count", "assignments")

    def __init__(
        self,
        name: str = "",
        count: int = 0,
        assignments: Sequence[CreatePartitionsAssignment] | None = (),
    ) -> None:
        self.name = name
        self.count = count
        self.assignments = assignments


class CreatePartitionsRequest(Message):
    __slots__ = ("topics", "timeout_ms", "validate_only")

    def __init__(
        self,
        topics: Sequence[CreatePartitionsTopic] = (),
        timeout_ms: int = 0,
        validate_only: bool = False,
    ) -> None:
        self.topics = topics
        self.timeout_ms = timeout_ms
        self.validate_only = validate_only


class CreatePartitionsTopicResult(Message):
    __slots__ = ("name", "error_code", "error_message")

    def __init__(self, name: str = "", error_code: int = 0, error_message: str | None = None) -> None:
        self.name = name
        self.error_code = error_code
        self.error_message = error_message


class CreatePartitionsResponse(Message):
    __slots__ = ("throttle_time_ms", "results")

    def __init__(
        self,
        throttle_time_ms: int = 0,
        results: Sequence[CreatePartitionsTopicResult] = (),
    ) -> None:
        self.throttle_time_ms = throttle_time_ms
        self.results = results


def _decode_create_partitions_assignment_0(b, p, end):
    n, p = read_legacy_count(b, p, end, 4)
    broker_ids = unpack_from(f">{n}i", b, p)
    p += 4 * n
    return CreatePartitionsAssignment(broker_ids), p


def _decode_create_partitions_topic_0(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        name = str(b[p + 2:q], "utf-8")
        p = q
    else:
        name, p = read_legacy_string(b, p, end)
    (count,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_nullable_count(b, p, end, 4)
    if n < 0:
        assignments = None
    else:
        assignments = []
        append = assignments.append
        for _ in range(n):
            item, p = _decode_create_partitions_assignment_0(b, p, end)
            append(item)
    return CreatePartitionsTopic(name, count, assignments), p


def _decode_create_partitions_request_0(b, p, end):
    n, p = read_legacy_count(b, p, end, 10)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_create_partitions_topic_0(b, p, end)
        append(item)
    timeout_ms, validate_only = _it.unpack_from(b, p)
    p += 5
    return CreatePartitionsRequest(topics, timeout_ms, validate_only), p


def _decode_create_partitions_assignment_2(b, p, end):
    n = b[p] - 1
    if 0 <= n < 127 and n * 4 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 4)
    broker_ids = unpack_from(f">{n}i", b, p)
    p += 4 * n
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return CreatePartitionsAssignment(broker_ids), p


def _decode_create_partitions_topic_2(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        name = str(b[p + 1:q], "utf-8")
        p = q
    else:
        name, p = read_compact_string(b, p, end)
    (count,) = _i.unpack_from(b, p)
    p += 4
    n = b[p] - 1
    if 0 <= n < 127 and n * 2 < end - p:
        p += 1
    else:
        n, p = read_compact_nullable_count(b, p, end, 2)
    if n < 0:
        assignments = None
    else:
        assignments = []
        append = assignments.append
        for _ in range(n):
            item, p = _decode_create_partitions_assignment_2(b, p, end)
            append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return CreatePartitionsTopic(name, count, assignments), p


def _decode_create_partitions_request_2(b, p, end):
    n = b[p] - 1
    if 0 <= n < 127 and n * 7 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 7)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_create_partitions_topic_2(b, p, end)
        append(item)
    timeout_ms, validate_only, tags = _itB.unpack_from(b, p)
    p += 6
    if tags:
        p = skip_tags(b, p - 1, end)
    return CreatePartitionsRequest(topics, timeout_ms, validate_only), p


def _encode_create_partitions_assignment_0(o, w):
    x = o.broker_ids
    w(_i.pack(len(x)))
    w(pack(f">{len(x)}i", *x))


def _encode_create_partitions_topic_0(o, w):
    write_legacy_string(w, o.name)
    w(_i.pack(o.count))
    x = o.assignments
    if x is None:
        w(LEGACY_NULL)
    else:
        w(_i.pack(len(x)))
        for item in x:
            _encode_create_partitions_assignment_0(item, w)


def _encode_create_partitions_request_0(o, w):
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_create_partitions_topic_0(item, w)
    w(_it.pack(o.timeout_ms, o.validate_only))


def _encode_create_partitions_assignment_2(o, w):
    x = o.broker_ids
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(pack(f">{len(x)}i", *x))
    w(COMPACT_NULL)


def _encode_create_partitions_topic_2(o, w):
    write_compact_string(w, o.name)
    w(_i.pack(o.count))
    x = o.assignments
    if x is None:
        w(COMPACT_NULL)
    else:
        n = len(x) + 1
        w(BYTE[n] if n < 128 else unsigned(n))
        for item in x:
            _encode_create_partitions_assignment_2(item, w)
    w(COMPACT_NULL)


def _encode_create_partitions_request_2(o, w):
    x = o.topics
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_create_partitions_topic_2(item, w)
    w(_itB.pack(o.timeout_ms, o.validate_only, 0))


def _decode_create_partitions_topic_result_0(b, p, end):
    name, p = read_legacy_string(b, p, end)
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    error_message, p = read_legacy_nullable_string(b, p, end)
    return CreatePartitionsTopicResult(name, error_code, error_message), p


def _decode_create_partitions_response_0(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 6)
    results = []
    append = results.append
    for _ in range(n):
        item, p = _decode_create_partitions_topic_result_0(b, p, end)
        append(item)
    return CreatePartitionsResponse(throttle_time_ms, results), p


def _decode_create_partitions_topic_result_2(b, p, end):
    name, p = read_compact_string(b, p, end)
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    error_message, p = read_compact_nullable_string(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return CreatePartitionsTopicResult(name, error_code, error_message), p


def _decode_create_partitions_response_2(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 5)
    results = []
    append = results.append
    for _ in range(n):
        item, p = _decode_create_partitions_topic_result_2(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return CreatePartitionsResponse(throttle_time_ms, results), p


def _encode_create_partitions_topic_result_0(o, w):
    x = o.name.encode()
    w(_h.pack(len(x)))
    w(x)
    w(_h.pack(o.error_code))
    write_legacy_nullable_string(w, o.error_message)


def _encode_create_partitions_response_0(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.results
    w(_i.pack(len(x)))
    for item in x:
        _encode_create_partitions_topic_result_0(item, w)


def _encode_create_partitions_topic_result_2(o, w):
    x = o.name.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    w(_h.pack(o.error_code))
    write_compact_nullable_string(w, o.error_message)
    w(COMPACT_NULL)


def _encode_create_partitions_response_2(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.results
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_create_partitions_topic_result_2(item, w)
    w(COMPACT_NULL)


REQUEST_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[CreatePartitionsRequest, int]]]] = decoders(
    (0, 1, _decode_create_partitions_request_0),
    (2, 3, _decode_create_partitions_request_2),
)
REQUEST_ENCODERS: Final[dict[int, Callable[[CreatePartitionsRequest], list[Buffer]]]] = encoders(
    (0, 1, _encode_create_partitions_request_0),
    (2, 3, _encode_create_partitions_request_2),
)

RESPONSE_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[CreatePartitionsResponse, int]]]] = decoders(
    (0, 1, _decode_create_partitions_response_0),
    (2, 3, _decode_create_partitions_response_2),
)
RESPONSE_ENCODERS: Final[dict[int, Callable[[CreatePartitionsResponse], list[Buffer]]]] = encoders(
    (0, 1, _encode_create_partitions_response_0),
    (2, 3, _encode_create_partitions_response_2),
)
