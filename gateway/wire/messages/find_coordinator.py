# Generated from Kafka 4.3.1's schemas by `python -m gateway.wire.generate`. Do not edit.
"""FindCoordinator, versions 0 to 6."""

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
    read_compact_nullable_string,
    read_compact_string,
    read_legacy_nullable_string,
    read_legacy_string,
    skip_tags,
    unsigned,
    write_compact_nullable_string,
    write_compact_string,
    write_legacy_nullable_string,
    write_legacy_string,
)

API_KEY: Final = 10
FLEXIBLE_FROM: Final[int | None] = 3

_b = Struct(">b")
_bB = Struct(">bB")
_h = Struct(">h")
_hi = Struct(">hi")
_i = Struct(">i")
_iB = Struct(">iB")
_ih = Struct(">ih")

class FindCoordinatorRequest(Message):
    __slots__ = ("key", "key_type", "coordinator_keys")

    def __init__(self, key: str = "", key_type: int = 0, coordinator_keys: Sequence[str] = ()) -> None:
        self.key = key
        self.key_type = key_type
        self.coordinator_keys = coordinator_keys


class Coordinator(Message):
    __slots__ = ("key", "node_id", "host", "port", "error_code", "error_message")

    def __init__(
        self,
        key: str = "",
        node_id: int = 0,
        host: str = "",
        port: int = 0,
        error_code: int = 0,
        error_message: str | None = "",
    ) -> None:
        self.key = key
        self.node_id = node_id
        self.host = host
        self.port = port
        self.error_code = error_code
        self.error_message = error_message


class FindCoordinatorResponse(Message):
    __slots__ = ("throttle_time_ms", "error_code", "error_message", "node_id", "host", "port", "coordinators")

    def __init__(
        self,
        throttle_time_ms: int = 0,
        error_code: int = 0,
        error_message: str | None = "",
        node_id: int = 0,
        host: str = "",
        port: int = 0,
        coordinators: Sequence[Coordinator] = (),
    ) -> None:
        self.throttle_time_ms = throttle_time_ms
        self.error_code = error_code
        self.error_message = error_message
        self.node_id = node_id
        self.host = host
        self.port = port
        self.coordinators = coordinators


def _decode_find_coordinator_request_0(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        key = str(b[p + 2:q], "utf-8")
        p = q
    else:
        key, p = read_legacy_string(b, p, end)
    return FindCoordinatorRequest(key), p


def _decode_find_coordinator_request_1(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        key = str(b[p + 2:q], "utf-8")
        p = q
    else:
        key, p = read_legacy_string(b, p, end)
    (key_type,) = _b.unpack_from(b, p)
    p += 1
    return FindCoordinatorRequest(key, key_type), p


def _decode_find_coordinator_request_3(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        key = str(b[p + 1:q], "utf-8")
        p = q
    else:
        key, p = read_compact_string(b, p, end)
    key_type, tags = _bB.unpack_from(b, p)
    p += 2
    if tags:
        p = skip_tags(b, p - 1, end)
    return FindCoordinatorRequest(key, key_type), p


def _decode_find_coordinator_request_4(b, p, end):
    (key_type,) = _b.unpack_from(b, p)
    p += 1
    n = b[p] - 1
    if 0 <= n < 127 and n * 1 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 1)
    coordinator_keys = []
    append = coordinator_keys.append
    for _ in range(n):
        item, p = read_compact_string(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return FindCoordinatorRequest(key_type=key_type, coordinator_keys=coordinator_keys), p


def _encode_find_coordinator_request_0(o, w):
    if o.key_type != 0:
        raise absent("FindCoordinatorRequest.key_type")
    if o.coordinator_keys:
        raise absent("FindCoordinatorRequest.coordinator_keys")
    write_legacy_string(w, o.key)


def _encode_find_coordinator_request_1(o, w):
    if o.coordinator_keys:
        raise absent("FindCoordinatorRequest.coordinator_keys")
    write_legacy_string(w, o.key)
    w(_b.pack(o.key_type))


def _encode_find_coordinator_request_3(o, w):
    if o.coordinator_keys:
        raise absent("FindCoordinatorRequest.coordinator_keys")
    write_compact_string(w, o.key)
    w(_bB.pack(o.key_type, 0))


def _encode_find_coordinator_request_4(o, w):
    if o.key:
        raise absent("FindCoordinatorRequest.key")
    w(_b.pack(o.key_type))
    x = o.coordinator_keys
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        write_compact_string(w, item)
    w(COMPACT_NULL)


def _decode_find_coordinator_response_0(b, p, end):
    error_code, node_id = _hi.unpack_from(b, p)
    p += 6
    host, p = read_legacy_string(b, p, end)
    (port,) = _i.unpack_from(b, p)
    p += 4
    return FindCoordinatorResponse(error_code=error_code, node_id=node_id, host=host, port=port), p


def _decode_find_coordinator_response_1(b, p, end):
    throttle_time_ms, error_code = _ih.unpack_from(b, p)
    p += 6
    error_message, p = read_legacy_nullable_string(b, p, end)
    (node_id,) = _i.unpack_from(b, p)
    p += 4
    host, p = read_legacy_string(b, p, end)
    (port,) = _i.unpack_from(b, p)
    p += 4
    return FindCoordinatorResponse(throttle_time_ms, error_code, error_message, node_id, host, port), p


def _decode_find_coordinator_response_3(b, p, end):
    throttle_time_ms, error_code = _ih.unpack_from(b, p)
    p += 6
    error_message, p = read_compact_nullable_string(b, p, end)
    (node_id,) = _i.unpack_from(b, p)
    p += 4
    host, p = read_compact_string(b, p, end)
    port, tags = _iB.unpack_from(b, p)
    p += 5
    if tags:
        p = skip_tags(b, p - 1, end)
    return FindCoordinatorResponse(throttle_time_ms, error_code, error_message, node_id, host, port), p


def _decode_coordinator_4(b, p, end):
    key, p = read_compact_string(b, p, end)
    (node_id,) = _i.unpack_from(b, p)
    p += 4
    host, p = read_compact_string(b, p, end)
    port, error_code = _ih.unpack_from(b, p)
    p += 6
    error_message, p = read_compact_nullable_string(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return Coordinator(key, node_id, host, port, error_code, error_message), p


def _decode_find_coordinator_response_4(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 14)
    coordinators = []
    append = coordinators.append
    for _ in range(n):
        item, p = _decode_coordinator_4(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return FindCoordinatorResponse(throttle_time_ms, coordinators=coordinators), p


def _encode_find_coordinator_response_0(o, w):
    if o.coordinators:
        raise absent("FindCoordinatorResponse.coordinators")
    w(_hi.pack(o.error_code, o.node_id))
    x = o.host.encode()
    w(_h.pack(len(x)))
    w(x)
    w(_i.pack(o.port))


def _encode_find_coordinator_response_1(o, w):
    if o.coordinators:
        raise absent("FindCoordinatorResponse.coordinators")
    w(_ih.pack(o.throttle_time_ms, o.error_code))
    write_legacy_nullable_string(w, o.error_message)
    w(_i.pack(o.node_id))
    x = o.host.encode()
    w(_h.pack(len(x)))
    w(x)
    w(_i.pack(o.port))


def _encode_find_coordinator_response_3(o, w):
    if o.coordinators:
        raise absent("FindCoordinatorResponse.coordinators")
    w(_ih.pack(o.throttle_time_ms, o.error_code))
    write_compact_nullable_string(w, o.error_message)
    w(_i.pack(o.node_id))
    x = o.host.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    w(_iB.pack(o.port, 0))


def _encode_coordinator_4(o, w):
    x = o.key.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    w(_i.pack(o.node_id))
    x = o.host.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    w(_ih.pack(o.port, o.error_code))
    write_compact_nullable_string(w, o.error_message)
    w(COMPACT_NULL)


def _encode_find_coordinator_response_4(o, w):
    if o.error_code != 0:
        raise absent("FindCoordinatorResponse.error_code")
    if o.node_id != 0:
        raise absent("FindCoordinatorResponse.node_id")
    if o.host:
        raise absent("FindCoordinatorResponse.host")
    if o.port != 0:
        raise absent("FindCoordinatorResponse.port")
    w(_i.pack(o.throttle_time_ms))
    x = o.coordinators
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_coordinator_4(item, w)
    w(COMPACT_NULL)


REQUEST_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[FindCoordinatorRequest, int]]]] = decoders(
    (0, 0, _decode_find_coordinator_request_0),
    (1, 2, _decode_find_coordinator_request_1),
    (3, 3, _decode_find_coordinator_request_3),
    (4, 6, _decode_find_coordinator_request_4),
)
REQUEST_ENCODERS: Final[dict[int, Callable[[FindCoordinatorRequest], list[Buffer]]]] = encoders(
    (0, 0, _encode_find_coordinator_request_0),
    (1, 2, _encode_find_coordinator_request_1),
    (3, 3, _encode_find_coordinator_request_3),
    (4, 6, _encode_find_coordinator_request_4),
)

RESPONSE_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[FindCoordinatorResponse, int]]]] = decoders(
    (0, 0, _decode_find_coordinator_response_0),
    (1, 2, _decode_find_coordinator_response_1),
    (3, 3, _decode_find_coordinator_response_3),
    (4, 6, _decode_find_coordinator_response_4),
)
RESPONSE_ENCODERS: Final[dict[int, Callable[[FindCoordinatorResponse], list[Buffer]]]] = encoders(
    (0, 0, _encode_find_coordinator_response_0),
    (1, 2, _encode_find_coordinator_response_1),
    (3, 3, _encode_find_coordinator_response_3),
    (4, 6, _encode_find_coordinator_response_4),
)
