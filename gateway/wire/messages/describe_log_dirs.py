# Generated from Kafka 4.3.1's schemas by `python -m gateway.wire.generate`. Do not edit.
"""DescribeLogDirs, versions 1 to 5."""

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
    read_compact_string,
    read_legacy_count,
    read_legacy_nullable_count,
    read_legacy_string,
    skip_tags,
    unsigned,
    write_compact_string,
    write_legacy_string,
)

API_KEY: Final = 35
FLEXIBLE_FROM: Final[int | None] = 2

_h = Struct(">h")
_i = Struct(">i")
_ih = Struct(">ih")
_iqqt = Struct(">iqq?")
_iqqtB = Struct(">iqq?B")
_qqtB = Struct(">qq?B")
_qqB = Struct(">qqB")

class DescribableLogDirTopic(Message):
    __slots__ = ("topic", "partitions")

    def __init__(self, topic: str = "", partitions: Sequence[int] = ()) -> None:
        self.topic = topic
        self.partitions = partitions


class DescribeLogDirsRequest(Message):
    __slots__ = ("topics",)

    def __init__(self, topics: Sequence[DescribableLogDirTopic] | None = ()) -> None:
        self.topics = topics


class DescribeLogDirsPartition(Message):
    __slots__ = ("partition_index", "partition_size", "offset_lag", "is_future_key")

    def __init__(
        self,
        partition_index: int = 0,
        partition_size: int = 0,
        offset_lag: int = 0,
        is_future_key: bool = False,
    ) -> None:
        self.partition_index = partition_index
        self.partition_size = partition_size
        self.offset_lag = offset_lag
        self.is_future_key = is_future_key


class DescribeLogDirsTopic(Message):
    __slots__ = ("name", "partitions")

    def __init__(self, name: str = "", partitions: Sequence[DescribeLogDirsPartition] = ()) -> None:
        self.name = name
        self.partitions = partitions


class DescribeLogDirsResult(Message):
    __slots__ = ("error_code", "log_dir", "topics", "total_bytes", "usable_bytes", "is_cordoned")

    def __init__(
        self,
        error_code: int = 0,
        log_dir: str = "",
        topics: Sequence[DescribeLogDirsTopic] = (),
        total_bytes: int = -1,
        usable_bytes: int = -1,
        is_cordoned: bool = False,
    ) -> None:
        self.error_code = error_code
        self.log_dir = log_dir
        self.topics = topics
        self.total_bytes = total_bytes
        self.usable_bytes = usable_bytes
        self.is_cordoned = is_cordoned


class DescribeLogDirsResponse(Message):
    __slots__ = ("throttle_time_ms", "error_code", "results")

    def __init__(
        self,
        throttle_time_ms: int = 0,
        error_code: int = 0,
        results: Sequence[DescribeLogDirsResult] = (),
    ) -> None:
        self.throttle_time_ms = throttle_time_ms
        self.error_code = error_code
        self.results = results


def _decode_describable_log_dir_topic_1(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        topic = str(b[p + 2:q], "utf-8")
        p = q
    else:
        topic, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 4)
    partitions = unpack_from(f">{n}i", b, p)
    p += 4 * n
    return DescribableLogDirTopic(topic, partitions), p


def _decode_describe_log_dirs_request_1(b, p, end):
    n, p = read_legacy_nullable_count(b, p, end, 6)
    if n < 0:
        topics = None
    else:
        topics = []
        append = topics.append
        for _ in range(n):
            item, p = _decode_describable_log_dir_topic_1(b, p, end)
            append(item)
    return DescribeLogDirsRequest(topics), p


def _decode_describable_log_dir_topic_2(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        topic = str(b[p + 1:q], "utf-8")
        p = q
    else:
        topic, p = read_compact_string(b, p, end)
    n = b[p] - 1
    if 0 <= n < 127 and n * 4 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 4)
    partitions = unpack_from(f">{n}i", b, p)
    p += 4 * n
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribableLogDirTopic(topic, partitions), p


def _decode_describe_log_dirs_request_2(b, p, end):
    n = b[p] - 1
    if 0 <= n < 127 and n * 3 < end - p:
        p += 1
    else:
        n, p = read_compact_nullable_count(b, p, end, 3)
    if n < 0:
        topics = None
    else:
        topics = []
        append = topics.append
        for _ in range(n):
            item, p = _decode_describable_log_dir_topic_2(b, p, end)
            append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeLogDirsRequest(topics), p


def _encode_describable_log_dir_topic_1(o, w):
    write_legacy_string(w, o.topic)
    x = o.partitions
    w(_i.pack(len(x)))
    w(pack(f">{len(x)}i", *x))


def _encode_describe_log_dirs_request_1(o, w):
    x = o.topics
    if x is None:
        w(LEGACY_NULL)
    else:
        w(_i.pack(len(x)))
        for item in x:
            _encode_describable_log_dir_topic_1(item, w)


def _encode_describable_log_dir_topic_2(o, w):
    write_compact_string(w, o.topic)
    x = o.partitions
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(pack(f">{len(x)}i", *x))
    w(COMPACT_NULL)


def _encode_describe_log_dirs_request_2(o, w):
    x = o.topics
    if x is None:
        w(COMPACT_NULL)
    else:
        n = len(x) + 1
        w(BYTE[n] if n < 128 else unsigned(n))
        for item in x:
            _encode_describable_log_dir_topic_2(item, w)
    w(COMPACT_NULL)


def _decode_describe_log_dirs_partition_1(b, p, end):
    partition_index, partition_size, offset_lag, is_future_key = _iqqt.unpack_from(b, p)
    p += 21
    return DescribeLogDirsPartition(partition_index, partition_size, offset_lag, is_future_key), p


def _decode_describe_log_dirs_topic_1(b, p, end):
    name, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 21)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_describe_log_dirs_partition_1(b, p, end)
        append(item)
    return DescribeLogDirsTopic(name, partitions), p


def _decode_describe_log_dirs_result_1(b, p, end):
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    log_dir, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 6)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_describe_log_dirs_topic_1(b, p, end)
        append(item)
    return DescribeLogDirsResult(error_code, log_dir, topics), p


def _decode_describe_log_dirs_response_1(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 8)
    results = []
    append = results.append
    for _ in range(n):
        item, p = _decode_describe_log_dirs_result_1(b, p, end)
        append(item)
    return DescribeLogDirsResponse(throttle_time_ms, results=results), p


def _decode_describe_log_dirs_partition_2(b, p, end):
    partition_index, partition_size, offset_lag, is_future_key, tags = _iqqtB.unpack_from(b, p)
    p += 22
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeLogDirsPartition(partition_index, partition_size, offset_lag, is_future_key), p


def _decode_describe_log_dirs_topic_2(b, p, end):
    name, p = read_compact_string(b, p, end)
    n, p = read_compact_count(b, p, end, 22)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_describe_log_dirs_partition_2(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeLogDirsTopic(name, partitions), p


def _decode_describe_log_dirs_result_2(b, p, end):
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    log_dir, p = read_compact_string(b, p, end)
    n, p = read_compact_count(b, p, end, 3)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_describe_log_dirs_topic_2(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeLogDirsResult(error_code, log_dir, topics), p


def _decode_describe_log_dirs_response_2(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 5)
    results = []
    append = results.append
    for _ in range(n):
        item, p = _decode_describe_log_dirs_result_2(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeLogDirsResponse(throttle_time_ms, results=results), p


def _decode_describe_log_dirs_response_3(b, p, end):
    throttle_time_ms, error_code = _ih.unpack_from(b, p)
    p += 6
    n, p = read_compact_count(b, p, end, 5)
    results = []
    append = results.append
    for _ in range(n):
        item, p = _decode_describe_log_dirs_result_2(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeLogDirsResponse(throttle_time_ms, error_code, results), p


def _decode_describe_log_dirs_result_4(b, p, end):
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    log_dir, p = read_compact_string(b, p, end)
    n, p = read_compact_count(b, p, end, 3)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_describe_log_dirs_topic_2(b, p, end)
        append(item)
    total_bytes, usable_bytes, tags = _qqB.unpack_from(b, p)
    p += 17
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeLogDirsResult(error_code, log_dir, topics, total_bytes, usable_bytes), p


def _decode_describe_log_dirs_response_4(b, p, end):
    throttle_time_ms, error_code = _ih.unpack_from(b, p)
    p += 6
    n, p = read_compact_count(b, p, end, 21)
    results = []
    append = results.append
    for _ in range(n):
        item, p = _decode_describe_log_dirs_result_4(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeLogDirsResponse(throttle_time_ms, error_code, results), p


def _decode_describe_log_dirs_result_5(b, p, end):
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    log_dir, p = read_compact_string(b, p, end)
    n, p = read_compact_count(b, p, end, 3)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_describe_log_dirs_topic_2(b, p, end)
        append(item)
    total_bytes, usable_bytes, is_cordoned, tags = _qqtB.unpack_from(b, p)
    p += 18
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeLogDirsResult(error_code, log_dir, topics, total_bytes, usable_bytes, is_cordoned), p


def _decode_describe_log_dirs_response_5(b, p, end):
    throttle_time_ms, error_code = _ih.unpack_from(b, p)
    p += 6
    n, p = read_compact_count(b, p, end, 22)
    results = []
    append = results.append
    for _ in range(n):
        item, p = _decode_describe_log_dirs_result_5(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeLogDirsResponse(throttle_time_ms, error_code, results), p


def _encode_describe_log_dirs_partition_1(o, w):
    w(_iqqt.pack(o.partition_index, o.partition_size, o.offset_lag, o.is_future_key))


def _encode_describe_log_dirs_topic_1(o, w):
    x = o.name.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.partitions
    w(_i.pack(len(x)))
    for item in x:
        _encode_describe_log_dirs_partition_1(item, w)


def _encode_describe_log_dirs_result_1(o, w):
    w(_h.pack(o.error_code))
    x = o.log_dir.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_describe_log_dirs_topic_1(item, w)


def _encode_describe_log_dirs_response_1(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.results
    w(_i.pack(len(x)))
    for item in x:
        _encode_describe_log_dirs_result_1(item, w)


def _encode_describe_log_dirs_partition_2(o, w):
    w(_iqqtB.pack(o.partition_index, o.partition_size, o.offset_lag, o.is_future_key, 0))


def _encode_describe_log_dirs_topic_2(o, w):
    x = o.name.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.partitions
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_describe_log_dirs_partition_2(item, w)
    w(COMPACT_NULL)


def _encode_describe_log_dirs_result_2(o, w):
    w(_h.pack(o.error_code))
    x = o.log_dir.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.topics
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_describe_log_dirs_topic_2(item, w)
    w(COMPACT_NULL)


def _encode_describe_log_dirs_response_2(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.results
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_describe_log_dirs_result_2(item, w)
    w(COMPACT_NULL)


def _encode_describe_log_dirs_response_3(o, w):
    w(_ih.pack(o.throttle_time_ms, o.error_code))
    x = o.results
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_describe_log_dirs_result_2(item, w)
    w(COMPACT_NULL)


def _encode_describe_log_dirs_result_4(o, w):
    w(_h.pack(o.error_code))
    x = o.log_dir.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.topics
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_describe_log_dirs_topic_2(item, w)
    w(_qqB.pack(o.total_bytes, o.usable_bytes, 0))


def _encode_describe_log_dirs_response_4(o, w):
    w(_ih.pack(o.throttle_time_ms, o.error_code))
    x = o.results
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_describe_log_dirs_result_4(item, w)
    w(COMPACT_NULL)


def _encode_describe_log_dirs_result_5(o, w):
    w(_h.pack(o.error_code))
    x = o.log_dir.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.topics
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_describe_log_dirs_topic_2(item, w)
    w(_qqtB.pack(o.total_bytes, o.usable_bytes, o.is_cordoned, 0))


def _encode_describe_log_dirs_response_5(o, w):
    w(_ih.pack(o.throttle_time_ms, o.error_code))
    x = o.results
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_describe_log_dirs_result_5(item, w)
    w(COMPACT_NULL)


REQUEST_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[DescribeLogDirsRequest, int]]]] = decoders(
    (1, 1, _decode_describe_log_dirs_request_1),
    (2, 5, _decode_describe_log_dirs_request_2),
)
REQUEST_ENCODERS: Final[dict[int, Callable[[DescribeLogDirsRequest], list[Buffer]]]] = encoders(
    (1, 1, _encode_describe_log_dirs_request_1),
    (2, 5, _encode_describe_log_dirs_request_2),
)

RESPONSE_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[DescribeLogDirsResponse, int]]]] = decoders(
    (1, 1, _decode_describe_log_dirs_response_1),
    (2, 2, _decode_describe_log_dirs_response_2),
    (3, 3, _decode_describe_log_dirs_response_3),
    (4, 4, _decode_describe_log_dirs_response_4),
    (5, 5, _decode_describe_log_dirs_response_5),
)
RESPONSE_ENCODERS: Final[dict[int, Callable[[DescribeLogDirsResponse], list[Buffer]]]] = encoders(
    (1, 1, _encode_describe_log_dirs_response_1),
    (2, 2, _encode_describe_log_dirs_response_2),
    (3, 3, _encode_describe_log_dirs_response_3),
    (4, 4, _encode_describe_log_dirs_response_4),
    (5, 5, _encode_describe_log_dirs_response_5),
)
