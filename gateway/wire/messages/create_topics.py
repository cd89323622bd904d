# Generated from Kafka 4.3.1's schemas by `python -m gateway.wire.generate`. Do not edit.
"""CreateTopics, versions 2 to 7."""

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
    check_tag_end,
    decoders,
    encoders,
    read_compact_count,
    read_compact_nullable_count,
    read_compact_nullable_string,
    read_compact_string,
    read_legacy_count,
    read_legacy_nullable_string,
    read_legacy_string,
    read_tag,
    read_unsigned,
    skip_tags,
    unsigned,
    write_compact_nullable_string,
    write_compact_string,
    write_legacy_nullable_string,
    write_legacy_string,
    write_tags,
)

API_KEY: Final = 19
FLEXIBLE_FROM: Final[int | None] = 5

_16sh = Struct(">16sh")
_tbtB = Struct(">?b?B")
_h = Struct(">h")
_i = Struct(">i")
_it = Struct(">i?")
_itB = Struct(">i?B")
_ih = Struct(">ih")

class CreatableTopicConfig(Message):
    __slots__ = ("name", "value")

    def __init__(self, name: str = "", value: str | None = "") -> None:
        self.name = name
        self.value = value


class CreatableReplicaAssignment(Message):
    __slots__ = ("partition_index", "broker_ids")

    def __init__(self, partition_index: int = 0, broker_ids: Sequence[int] = ()) -> None:
        self.partition_index = partition_index
        self.broker_ids = broker_ids


class CreatableTopic(Message):
    __slots__ = ("name", "num_partitions", "replication_factor", "assignments", "configs")

    def __init__(
        self,
        name: str = "",
        num_partitions: int = 0,
        replication_factor: int = 0,
        assignments: Sequence[CreatableReplicaAssignment] = (),
        configs: Sequence[CreatableTopicConfig] = (),
    ) -> None:
        self.name = name
        self.num_partitions = num_partitions
        self.replication_factor = replication_factor
        self.assignments = assignments
        self.configs = configs


class CreateTopicsRequest(Message):
    __slots__ = ("topics", "timeout_ms", "validate_only")

    def __init__(
        self,
        topics: Sequence[CreatableTopic] = (),
        timeout_ms: int = 60000,
        validate_only: bool = False,
    ) -> None:
        self.topics = topics
        self.timeout_ms = timeout_ms
        self.validate_only = validate_only


class CreatableTopicConfigs(Message):
    __slots__ = ("name", "value", "read_only", "config_source", "is_sensitive")

    def __init__(
        self,
        name: str = "",
        value: str | None = "",
        read_only: bool = False,
        config_source: int = -1,
        is_sensitive: bool = False,
    ) -> None:
        self.name = name
        self.value = value
        self.read_only = read_only
        self.config_source = config_source
        self.is_sensitive = is_sensitive


class CreatableTopicResult(Message):
    __slots__ = (
        "name",
        "topic_id",
        "error_code",
        "error_message",
        "topic_config_error_code",
        "num_partitions",
        "replication_factor",
        "configs",
    )

    def __init__(
        self,
        name: str = "",
        topic_id: bytes = ZERO_UUID,
        error_code: int = 0,
        error_message: str | None = "",
        topic_config_error_code: int = 0,
        num_partitions: int = -1,
        replication_factor: int = -1,
        configs: Sequence[CreatableTopicConfigs] | None = (),
    ) -> None:
        self.name = name
        self.topic_id = topic_id
        self.error_code = error_code
        self.error_message = error_message
        self.topic_config_error_code = topic_config_error_code
        self.num_partitions = num_partitions
        self.replication_factor = replication_factor
        self.configs = configs


class CreateTopicsResponse(Message):
    __slots__ = ("throttle_time_ms", "topics")

    def __init__(self, throttle_time_ms: int = 0, topics: Sequence[CreatableTopicResult] = ()) -> None:
        self.throttle_time_ms = throttle_time_ms
        self.topics = topics


def _decode_creatable_replica_assignment_2(b, p, end):
    (partition_index,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 4)
    broker_ids = unpack_from(f">{n}i", b, p)
    p += 4 * n
    return CreatableReplicaAssignment(partition_index, broker_ids), p


def _decode_creatable_topic_config_2(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        name = str(b[p + 2:q], "utf-8")
        p = q
    else:
        name, p = read_legacy_string(b, p, end)
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        value = str(b[p + 2:q], "utf-8")
        p = q
    else:
        value, p = read_legacy_nullable_string(b, p, end)
    return CreatableTopicConfig(name, value), p


def _decode_creatable_topic_2(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        name = str(b[p + 2:q], "utf-8")
        p = q
    else:
        name, p = read_legacy_string(b, p, end)
    num_partitions, replication_factor = _ih.unpack_from(b, p)
    p += 6
    n, p = read_legacy_count(b, p, end, 8)
    assignments = []
    append = assignments.append
    for _ in range(n):
        item, p = _decode_creatable_replica_assignment_2(b, p, end)
        append(item)
    n, p = read_legacy_count(b, p, end, 4)
    configs = []
    append = configs.append
    for _ in range(n):
        item, p = _decode_creatable_topic_config_2(b, p, end)
        append(item)
    return CreatableTopic(name, num_partitions, replication_factor, assignments, configs), p


def _decode_create_topics_request_2(b, p, end):
    n, p = read_legacy_count(b, p, end, 16)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_creatable_topic_2(b, p, end)
        append(item)
    timeout_ms, validate_only = _it.unpack_from(b, p)
    p += 5
    return CreateTopicsRequest(topics, timeout_ms, validate_only), p


def _decode_creatable_replica_assignment_5(b, p, end):
    (partition_index,) = _i.unpack_from(b, p)
    p += 4
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
    return CreatableReplicaAssignment(partition_index, broker_ids), p


def _decode_creatable_topic_config_5(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        name = str(b[p + 1:q], "utf-8")
        p = q
    else:
        name, p = read_compact_string(b, p, end)
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        value = str(b[p + 1:q], "utf-8")
        p = q
    else:
        value, p = read_compact_nullable_string(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return CreatableTopicConfig(name, value), p


def _decode_creatable_topic_5(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        name = str(b[p + 1:q], "utf-8")
        p = q
    else:
        name, p = read_compact_string(b, p, end)
    num_partitions, replication_factor = _ih.unpack_from(b, p)
    p += 6
    n = b[p] - 1
    if 0 <= n < 127 and n * 6 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 6)
    assignments = []
    append = assignments.append
    for _ in range(n):
        item, p = _decode_creatable_replica_assignment_5(b, p, end)
        append(item)
    n = b[p] - 1
    if 0 <= n < 127 and n * 3 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 3)
    configs = []
    append = configs.append
    for _ in range(n):
        item, p = _decode_creatable_topic_config_5(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return CreatableTopic(name, num_partitions, replication_factor, assignments, configs), p


def _decode_create_topics_request_5(b, p, end):
    n = b[p] - 1
    if 0 <= n < 127 and n * 10 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 10)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_creatable_topic_5(b, p, end)
        append(item)
    timeout_ms, validate_only, tags = _itB.unpack_from(b, p)
    p += 6
    if tags:
        p = skip_tags(b, p - 1, end)
    return CreateTopicsRequest(topics, timeout_ms, validate_only), p


def _encode_creatable_replica_assignment_2(o, w):
    w(_i.pack(o.partition_index))
    x = o.broker_ids
    w(_i.pack(len(x)))
    w(pack(f">{len(x)}i", *x))


def _encode_creatable_topic_config_2(o, w):
    write_legacy_string(w, o.name)
    write_legacy_nullable_string(w, o.value)


def _encode_creatable_topic_2(o, w):
    write_legacy_string(w, o.name)
    w(_ih.pack(o.num_partitions, o.replication_factor))
    x = o.assignments
    w(_i.pack(len(x)))
    for item in x:
        _encode_creatable_replica_assignment_2(item, w)
    x = o.configs
    w(_i.pack(len(x)))
    for item in x:
        _encode_creatable_topic_config_2(item, w)


def _encode_create_topics_request_2(o, w):
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_creatable_topic_2(item, w)
    w(_it.pack(o.timeout_ms, o.validate_only))


def _encode_creatable_replica_assignment_5(o, w):
    w(_i.pack(o.partition_index))
    x = o.broker_ids
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(pack(f">{len(x)}i", *x))
    w(COMPACT_NULL)


def _encode_creatable_topic_config_5(o, w):
    write_compact_string(w, o.name)
    write_compact_nullable_string(w, o.value)
    w(COMPACT_NULL)


def _encode_creatable_topic_5(o, w):
    write_compact_string(w, o.name)
    w(_ih.pack(o.num_partitions, o.replication_factor))
    x = o.assignments
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_creatable_replica_assignment_5(item, w)
    x = o.configs
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_creatable_topic_config_5(item, w)
    w(COMPACT_NULL)


def _encode_create_topics_request_5(o, w):
    x = o.topics
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_creatable_topic_5(item, w)
    w(_itB.pack(o.timeout_ms, o.validate_only, 0))


def _decode_creatable_topic_result_2(b, p, end):
    name, p = read_legacy_string(b, p, end)
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    error_message, p = read_legacy_nullable_string(b, p, end)
    return CreatableTopicResult(name, error_code=error_code, error_message=error_message), p


def _decode_create_topics_response_2(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 6)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_creatable_topic_result_2(b, p, end)
        append(item)
    return CreateTopicsResponse(throttle_time_ms, topics), p


def _decode_creatable_topic_configs_5(b, p, end):
    name, p = read_compact_string(b, p, end)
    value, p = read_compact_nullable_string(b, p, end)
    read_only, config_source, is_sensitive, tags = _tbtB.unpack_from(b, p)
    p += 4
    if tags:
        p = skip_tags(b, p - 1, end)
    return CreatableTopicConfigs(name, value, read_only, config_source, is_sensitive), p


def _decode_creatable_topic_result_5(b, p, end):
    name, p = read_compact_string(b, p, end)
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    error_message, p = read_compact_nullable_string(b, p, end)
    num_partitions, replication_factor = _ih.unpack_from(b, p)
    p += 6
    n, p = read_compact_nullable_count(b, p, end, 6)
    if n < 0:
        configs = None
    else:
        configs = []
        append = configs.append
        for _ in range(n):
            item, p = _decode_creatable_topic_configs_5(b, p, end)
            append(item)
    tags = b[p]
    p += 1
    topic_config_error_code = 0
    if tags:
        tags, p = read_unsigned(b, p - 1, end)
        for _ in range(tags):
            tag, p, stop = read_tag(b, p, end)
            if tag == 0:
                (topic_config_error_code,) = _h.unpack_from(b, p)
                p += 2
                check_tag_end(p, stop)
            p = stop
    return CreatableTopicResult(name, error_code=error_code, error_message=error_message, topic_config_error_code=topic_config_error_code, num_partitions=num_partitions, replication_factor=replication_factor, configs=configs), p


def _decode_create_topics_response_5(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 12)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_creatable_topic_result_5(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return CreateTopicsResponse(throttle_time_ms, topics), p


def _decode_creatable_topic_result_7(b, p, end):
    name, p = read_compact_string(b, p, end)
    topic_id, error_code = _16sh.unpack_from(b, p)
    p += 18
    error_message, p = read_compact_nullable_string(b, p, end)
    num_partitions, replication_factor = _ih.unpack_from(b, p)
    p += 6
    n, p = read_compact_nullable_count(b, p, end, 6)
    if n < 0:
        configs = None
    else:
        configs = []
        append = configs.append
        for _ in range(n):
            item, p = _decode_creatable_topic_configs_5(b, p, end)
            append(item)
    tags = b[p]
    p += 1
    topic_config_error_code = 0
    if tags:
        tags, p = read_unsigned(b, p - 1, end)
        for _ in range(tags):
            tag, p, stop = read_tag(b, p, end)
            if tag == 0:
                (topic_config_error_code,) = _h.unpack_from(b, p)
                p += 2
                check_tag_end(p, stop)
            p = stop
    return CreatableTopicResult(name, topic_id, error_code, error_message, topic_config_error_code, num_partitions, replication_factor, configs), p


def _decode_create_topics_response_7(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 28)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_creatable_topic_result_7(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return CreateTopicsResponse(throttle_time_ms, topics), p


def _encode_creatable_topic_result_2(o, w):
    x = o.name.encode()
    w(_h.pack(len(x)))
    w(x)
    w(_h.pack(o.error_code))
    write_legacy_nullable_string(w, o.error_message)


def _encode_create_topics_response_2(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_creatable_topic_result_2(item, w)


def _encode_creatable_topic_configs_5(o, w):
    x = o.name.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    write_compact_nullable_string(w, o.value)
    w(_tbtB.pack(o.read_only, o.config_source, o.is_sensitive, 0))


def _encode_creatable_topic_result_5(o, w):
    x = o.name.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    w(_h.pack(o.error_code))
    write_compact_nullable_string(w, o.error_message)
    w(_ih.pack(o.num_partitions, o.replication_factor))
    x = o.configs
    if x is None:
        w(COMPACT_NULL)
    else:
        n = len(x) + 1
        w(BYTE[n] if n < 128 else unsigned(n))
        for item in x:
            _encode_creatable_topic_configs_5(item, w)
    tags = []
    if o.topic_config_error_code != 0:
        inner = []
        outer, w = w, inner.append
        w(_h.pack(o.topic_config_error_code))
        w = outer
        tags.append((0, inner))
    if tags:
        write_tags(w, tags)
    else:
        w(COMPACT_NULL)


def _encode_create_topics_response_5(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.topics
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_creatable_topic_result_5(item, w)
    w(COMPACT_NULL)


def _encode_creatable_topic_result_7(o, w):
    x = o.name.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    w(_16sh.pack(o.topic_id, o.error_code))
    write_compact_nullable_string(w, o.error_message)
    w(_ih.pack(o.num_partitions, o.replication_factor))
    x = o.configs
    if x is None:
        w(COMPACT_NULL)
    else:
        n = len(x) + 1
        w(BYTE[n] if n < 128 else unsigned(n))
        for item in x:
            _encode_creatable_topic_configs_5(item, w)
    tags = []
    if o.topic_config_error_code != 0:
        inner = []
        outer, w = w, inner.append
        w(_h.pack(o.topic_config_error_code))
        w = outer
        tags.append((0, inner))
    if tags:
        write_tags(w, tags)
    else:
        w(COMPACT_NULL)


def _encode_create_topics_response_7(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.topics
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_creatable_topic_result_7(item, w)
    w(COMPACT_NULL)


REQUEST_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[CreateTopicsRequest, int]]]] = decoders(
    (2, 4, _decode_create_topics_request_2),
    (5, 7, _decode_create_topics_request_5),
)
REQUEST_ENCODERS: Final[dict[int, Callable[[CreateTopicsRequest], list[Buffer]]]] = encoders(
    (2, 4, _encode_create_topics_request_2),
    (5, 7, _encode_create_topics_request_5),
)

RESPONSE_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[CreateTopicsResponse, int]]]] = decoders(
    (2, 4, _decode_create_topics_response_2),
    (5, 6, _decode_create_topics_response_5),
    (7, 7, _decode_create_topics_response_7),
)
RESPONSE_ENCODERS: Final[dict[int, Callable[[CreateTopicsResponse], list[Buffer]]]] = encoders(
    (2, 4, _encode_create_topics_response_2),
    (5, 6, _encode_create_topics_response_5),
    (7, 7, _encode_create_topics_response_7),
)
