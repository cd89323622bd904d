# Generated from Kafka 4.3.1's schemas by `python -m gateway.wire.generate`. Do not edit.
"""DeleteTopics, versions 1 to 6."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from typing import Final

from ..primitives import (
    BYTE,
    Buffer,
    COMPACT_NULL,
    Message,
    ZERO_UUID,
    absent,
    decoders,
    encoders,
    read_compact_count,
    read_compact_nullable_string,
    read_compact_string,
    read_legacy_count,
    read_legacy_string,
    skip_tags,
    unsigned,
    write_compact_nullable_string,
    write_compact_string,
    write_legacy_string,
)

API_KEY: Final = 20
FLEXIBLE_FROM: Final[int | None] = 4

_16sB = Struct(">16sB")
_16sh = Struct(">16sh")
_h = Struct(">h")
_hB = Struct(">hB")
_i = Struct(">i")
_iB = Struct(">iB")

class DeleteTopicState(Message):
    __slots__ = ("name", "topic_id")

    def __init__(self, name: str | None = None, topic_id: bytes = ZERO_UUID) -> None:
        self.name = name
        self.topic_id = topic_id


class DeleteTopicsRequest(Message):
    __slots__ = ("topics", "topic_names", "timeout_ms")

    def __init__(
        self,
        topics: Sequence[DeleteTopicState] = (),
        topic_names: Sequence[str] = (),
        timeout_ms: int = 0,
    ) -> None:
        self.topics = topics
        self.topic_names = topic_names
        self.timeout_ms = timeout_ms


class DeletableTopicResult(Message):
    __slots__ = ("name", "topic_id", "error_code", "error_message")

    def __init__(
        self,
        name: str | None = "",
        topic_id: bytes = ZERO_UUID,
        error_code: int = 0,
        error_message: str | None = None,
    ) -> None:
        self.name = name
        self.topic_id = topic_id
        self.error_code = error_code
        self.error_message = error_message


class DeleteTopicsResponse(Message):
    __slots__ = ("throttle_time_ms", "responses")

    def __init__(self, throttle_time_ms: int = 0, responses: Sequence[DeletableTopicResult] = ()) -> None:
        self.throttle_time_ms = throttle_time_ms
        self.responses = responses


def _decode_delete_topics_request_1(b, p, end):
    n, p = read_legacy_count(b, p, end, 2)
    topic_names = []
    append = topic_names.append
    for _ in range(n):
        item, p = read_legacy_string(b, p, end)
        append(item)
    (timeout_ms,) = _i.unpack_from(b, p)
    p += 4
    return DeleteTopicsRequest(topic_names=topic_names, timeout_ms=timeout_ms), p


def _decode_delete_topics_request_4(b, p, end):
    n = b[p] - 1
    if 0 <= n < 127 and n * 1 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 1)
    topic_names = []
    append = topic_names.append
    for _ in range(n):
        item, p = read_compact_string(b, p, end)
        append(item)
    timeout_ms, tags = _iB.unpack_from(b, p)
    p += 5
    if tags:
        p = skip_tags(b, p - 1, end)
    return DeleteTopicsRequest(topic_names=topic_names, timeout_ms=timeout_ms), p


def _decode_delete_topic_state_6(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        name = str(b[p + 1:q], "utf-8")
        p = q
    else:
        name, p = read_compact_nullable_string(b, p, end)
    topic_id, tags = _16sB.unpack_from(b, p)
    p += 17
    if tags:
        p = skip_tags(b, p - 1, end)
    return DeleteTopicState(name, topic_id), p


def _decode_delete_topics_request_6(b, p, end):
    n = b[p] - 1
    if 0 <= n < 127 and n * 18 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 18)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_delete_topic_state_6(b, p, end)
        append(item)
    timeout_ms, tags = _iB.unpack_from(b, p)
    p += 5
    if tags:
        p = skip_tags(b, p - 1, end)
    return DeleteTopicsRequest(topics, timeout_ms=timeout_ms), p


def _encode_delete_topics_request_1(o, w):
    if o.topics:
        raise absent("DeleteTopicsRequest.topics")
    x = o.topic_names
    w(_i.pack(len(x)))
    for item in x:
        write_legacy_string(w, item)
    w(_i.pack(o.timeout_ms))


def _encode_delete_topics_request_4(o, w):
    if o.topics:
        raise absent("DeleteTopicsRequest.topics")
    x = o.topic_names
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        write_compact_string(w, item)
    w(_iB.pack(o.timeout_ms, 0))


def _encode_delete_topic_state_6(o, w):
    write_compact_nullable_string(w, o.name)
    w(_16sB.pack(o.topic_id, 0))


def _encode_delete_topics_request_6(o, w):
    x = o.topics
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_delete_topic_state_6(item, w)
    w(_iB.pack(o.timeout_ms, 0))


def _decode_deletable_topic_result_1(b, p, end):
    name, p = read_legacy_string(b, p, end)
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    return DeletableTopicResult(name, error_code=error_code), p


def _decode_delete_topics_response_1(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 4)
    responses = []
    append = responses.append
    for _ in range(n):
        item, p = _decode_deletable_topic_result_1(b, p, end)
        append(item)
    return DeleteTopicsResponse(throttle_time_ms, responses), p


def _decode_deletable_topic_result_4(b, p, end):
    name, p = read_compact_string(b, p, end)
    error_code, tags = _hB.unpack_from(b, p)
    p += 3
    if tags:
        p = skip_tags(b, p - 1, end)
    return DeletableTopicResult(name, error_code=error_code), p


def _decode_delete_topics_response_4(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 4)
    responses = []
    append = responses.append
    for _ in range(n):
        item, p = _decode_deletable_topic_result_4(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return DeleteTopicsResponse(throttle_time_ms, responses), p


def _decode_deletable_topic_result_5(b, p, end):
    name, p = read_compact_string(b, p, end)
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    error_message, p = read_compact_nullable_string(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return DeletableTopicResult(name, error_code=error_code, error_message=error_message), p


def _decode_delete_topics_response_5(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 5)
    responses = []
    append = responses.append
    for _ in range(n):
        item, p = _decode_deletable_topic_result_5(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return DeleteTopicsResponse(throttle_time_ms, responses), p


def _decode_deletable_topic_result_6(b, p, end):
    name, p = read_compact_nullable_string(b, p, end)
    topic_id, error_code = _16sh.unpack_from(b, p)
    p += 18
    error_message, p = read_compact_nullable_string(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return DeletableTopicResult(name, topic_id, error_code, error_message), p


def _decode_delete_topics_response_6(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 21)
    responses = []
    append = responses.append
    for _ in range(n):
        item, p = _decode_deletable_topic_result_6(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return DeleteTopicsResponse(throttle_time_ms, responses), p


def _encode_deletable_topic_result_1(o, w):
    x = o.name.encode()
    w(_h.pack(len(x)))
    w(x)
    w(_h.pack(o.error_code))


def _encode_delete_topics_response_1(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.responses
    w(_i.pack(len(x)))
    for item in x:
        _encode_deletable_topic_result_1(item, w)


def _encode_deletable_topic_result_4(o, w):
    x = o.name.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    w(_hB.pack(o.error_code, 0))


def _encode_delete_topics_response_4(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.responses
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_deletable_topic_result_4(item, w)
    w(COMPACT_NULL)


def _encode_deletable_topic_result_5(o, w):
    x = o.name.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    w(_h.pack(o.error_code))
    write_compact_nullable_string(w, o.error_message)
    w(COMPACT_NULL)


def _encode_delete_topics_response_5(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.responses
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_deletable_topic_result_5(item, w)
    w(COMPACT_NULL)


def _encode_deletable_topic_result_6(o, w):
    write_compact_nullable_string(w, o.name)
    w(_16sh.pack(o.topic_id, o.error_code))
    write_compact_nullable_string(w, o.error_message)
    w(COMPACT_NULL)


def _encode_delete_topics_response_6(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.responses
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_deletable_topic_result_6(item, w)
    w(COMPACT_NULL)


REQUEST_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[DeleteTopicsRequest, int]]]] = decoders(
    (1, 3, _decode_delete_topics_request_1),
    (4, 5, _decode_delete_topics_request_4),
    (6, 6, _decode_delete_topics_request_6),
)
REQUEST_ENCODERS: Final[dict[int, Callable[[DeleteTopicsRequest], list[Buffer]]]] = encoders(
    (1, 3, _encode_delete_topics_request_1),
    (4, 5, _encode_delete_topics_request_4),
    (6, 6, _encode_delete_topics_request_6),
)

RESPONSE_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[DeleteTopicsResponse, int]]]] = decoders(
    (1, 3, _decode_delete_topics_response_1),
    (4, 4, _decode_delete_topics_response_4),
    (5, 5, _decode_delete_topics_response_5),
    (6, 6, _decode_delete_topics_response_6),
)
RESPONSE_ENCODERS: Final[dict[int, Callable[[DeleteTopicsResponse], list[Buffer]]]] = encoders(
    (1, 3, _encode_delete_topics_response_1),
    (4, 4, _encode_delete_topics_response_4),
    (5, 5, _encode_delete_topics_response_5),
    (6, 6, _encode_delete_topics_response_6),
)
