# Generated from Kafka 4.3.1's schemas by `python -m gateway.wire.generate`. Do not edit.
"""Heartbeat, versions 0 to 4."""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Final

from ..primitives import (
    Buffer,
    COMPACT_NULL,
    Message,
    absent,
    decoders,
    encoders,
    read_compact_nullable_string,
    read_compact_string,
    read_legacy_nullable_string,
    read_legacy_string,
    skip_tags,
    write_compact_nullable_string,
    write_compact_string,
    write_legacy_nullable_string,
    write_legacy_string,
)

API_KEY: Final = 12
FLEXIBLE_FROM: Final[int | None] = 4

_h = Struct(">h")
_i = Struct(">i")
_ih = Struct(">ih")
_ihB = Struct(">ihB")

class HeartbeatRequest(Message):
    __slots__ = ("group_id", "generation_id", "member_id", "group_instance_id")

    def __init__(
        self,
        group_id: str = "",
        generation_id: int = 0,
        member_id: str = "",
        group_instance_id: str | None = None,
    ) -> None:
        self.group_id = group_id
        self.generation_id = generation_id
        self.member_id = member_id
        self.group_instance_id = group_instance_id


class HeartbeatResponse(Message):
    __slots__ = ("throttle_time_ms", "error_code")

    def __init__(self, throttle_time_ms: int = 0, error_code: int = 0) -> None:
        self.throttle_time_ms = throttle_time_ms
        self.error_code = error_code


def _decode_heartbeat_request_0(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        group_id = str(b[p + 2:q], "utf-8")
        p = q
    else:
        group_id, p = read_legacy_string(b, p, end)
    (generation_id,) = _i.unpack_from(b, p)
    p += 4
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        member_id = str(b[p + 2:q], "utf-8")
        p = q
    else:
        member_id, p = read_legacy_string(b, p, end)
    return HeartbeatRequest(group_id, generation_id, member_id), p


def _decode_heartbeat_request_3(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        group_id = str(b[p + 2:q], "utf-8")
        p = q
    else:
        group_id, p = read_legacy_string(b, p, end)
    (generation_id,) = _i.unpack_from(b, p)
    p += 4
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        member_id = str(b[p + 2:q], "utf-8")
        p = q
    else:
        member_id, p = read_legacy_string(b, p, end)
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        group_instance_id = str(b[p + 2:q], "utf-8")
        p = q
    else:
        group_instance_id, p = read_legacy_nullable_string(b, p, end)
    return HeartbeatRequest(group_id, generation_id, member_id, group_instance_id), p


def _decode_heartbeat_request_4(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        group_id = str(b[p + 1:q], "utf-8")
        p = q
    else:
        group_id, p = read_compact_string(b, p, end)
    (generation_id,) = _i.unpack_from(b, p)
    p += 4
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        member_id = str(b[p + 1:q], "utf-8")
        p = q
    else:
        member_id, p = read_compact_string(b, p, end)
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        group_instance_id = str(b[p + 1:q], "utf-8")
        p = q
    else:
        group_instance_id, p = read_compact_nullable_string(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return HeartbeatRequest(group_id, generation_id, member_id, group_instance_id), p


def _encode_heartbeat_request_0(o, w):
    if o.group_instance_id is not None:
        raise absent("HeartbeatRequest.group_instance_id")
    write_legacy_string(w, o.group_id)
    w(_i.pack(o.generation_id))
    write_legacy_string(w, o.member_id)


def _encode_heartbeat_request_3(o, w):
    write_legacy_string(w, o.group_id)
    w(_i.pack(o.generation_id))
    write_legacy_string(w, o.member_id)
    write_legacy_nullable_string(w, o.group_instance_id)


def _encode_heartbeat_request_4(o, w):
    write_compact_string(w, o.group_id)
    w(_i.pack(o.generation_id))
    write_compact_string(w, o.member_id)
    write_compact_nullable_string(w, o.group_instance_id)
    w(COMPACT_NULL)


def _decode_heartbeat_response_0(b, p, end):
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    return HeartbeatResponse(error_code=error_code), p


def _decode_heartbeat_response_1(b, p, end):
    throttle_time_ms, error_code = _ih.unpack_from(b, p)
    p += 6
    return HeartbeatResponse(throttle_time_ms, error_code), p


def _decode_heartbeat_response_4(b, p, end):
    throttle_time_ms, error_code, tags = _ihB.unpack_from(b, p)
    p += 7
    if tags:
        p = skip_tags(b, p - 1, end)
    return HeartbeatResponse(throttle_time_ms, error_code), p


def _encode_heartbeat_response_0(o, w):
    w(_h.pack(o.error_code))


def _encode_heartbeat_response_1(o, w):
    w(_ih.pack(o.throttle_time_ms, o.error_code))


def _encode_heartbeat_response_4(o, w):
    w(_ihB.pack(o.throttle_time_ms, o.error_code, 0))


REQUEST_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[HeartbeatRequest, int]]]] = decoders(
    (0, 2, _decode_heartbeat_request_0),
    (3, 3, _decode_heartbeat_request_3),
    (4, 4, _decode_heartbeat_request_4),
)
REQUEST_ENCODERS: Final[dict[int, Callable[[HeartbeatRequest], list[Buffer]]]] = encoders(
    (0, 2, _encode_heartbeat_request_0),
    (3, 3, _encode_heartbeat_request_3),
    (4, 4, _encode_heartbeat_request_4),
)

RESPONSE_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[HeartbeatResponse, int]]]] = decoders(
    (0, 0, _decode_heartbeat_response_0),
    (1, 3, _decode_heartbeat_response_1),
    (4, 4, _decode_heartbeat_response_4),
)
RESPONSE_ENCODERS: Final[dict[int, Callable[[HeartbeatResponse], list[Buffer]]]] = encoders(
    (0, 0, _encode_heartbeat_response_0),
    (1, 3, _encode_heartbeat_response_1),
    (4, 4, _encode_heartbeat_response_4),
)
