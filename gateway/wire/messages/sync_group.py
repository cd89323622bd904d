# Generated from Kafka 4.3.1's schemas by `python -m gateway.wire.generate`. Do not edit.
"""SyncGroup, versions 0 to 5."""

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
    read_compact_bytes,
    read_compact_count,
    read_compact_nullable_string,
    read_compact_string,
    read_legacy_bytes,
    read_legacy_count,
    read_legacy_nullable_string,
    read_legacy_string,
    skip_tags,
    unsigned,
    write_compact_bytes,
    write_compact_nullable_string,
    write_compact_string,
    write_legacy_bytes,
    write_legacy_nullable_string,
    write_legacy_string,
)

API_KEY: Final = 14
FLEXIBLE_FROM: Final[int | None] = 4

_h = Struct(">h")
_i = Struct(">i")
_ih = Struct(">ih")

class SyncGroupRequestAssignment(Message):
    __slots__ = ("member_id", "assignment")

    def __init__(self, member_id: str = "", assignment: bytes = b"") -> None:
        self.member_id = member_id
        self.assignment = assignment


class SyncGroupRequest(Message):
    __slots__ = (
        "group_id",
        "generation_id",
        "member_id",
        "group_instance_id",
        "protocol_type",
        "protocol_name",
        "assignments",
    )

    def __init__(
        self,
        group_id: str = "",
        generation_id: int = 0,
        member_id: str = "",
        group_instance_id: str | None = None,
        protocol_type: str | None = None,
        protocol_name: str | None = None,
        assignments: Sequence[SyncGroupRequestAssignment] = (),
    ) -> None:
        self.group_id = group_id
        self.generation_id = generation_id
        self.member_id = member_id
        self.group_instance_id = group_instance_id
        self.protocol_type = protocol_type
        self.protocol_name = protocol_name
        self.assignments = assignments


class SyncGroupResponse(Message):
    __slots__ = ("throttle_time_ms", "error_code", "protocol_type", "protocol_name", "assignment")

    def __init__(
        self,
        throttle_time_ms: int = 0,
        error_code: int = 0,
        protocol_type: str | None = None,
        protocol_name: str | None = None,
        assignment: bytes = b"",
    ) -> None:
        self.throttle_time_ms = throttle_time_ms
        self.error_code = error_code
        self.protocol_type = protocol_type
        self.protocol_name = protocol_name
        self.assignment = assignment


def _decode_sync_group_request_assignment_0(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        member_id = str(b[p + 2:q], "utf-8")
        p = q
    else:
        member_id, p = read_legacy_string(b, p, end)
    assignment, p = read_legacy_bytes(b, p, end)
    return SyncGroupRequestAssignment(member_id, assignment), p


def _decode_sync_group_request_0(b, p, end):
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
    n, p = read_legacy_count(b, p, end, 6)
    assignments = []
    append = assignments.append
    for _ in range(n):
        item, p = _decode_sync_group_request_assignment_0(b, p, end)
        append(item)
    return SyncGroupRequest(group_id, generation_id, member_id, assignments=assignments), p


def _decode_sync_group_request_3(b, p, end):
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
    n, p = read_legacy_count(b, p, end, 6)
    assignments = []
    append = assignments.append
    for _ in range(n):
        item, p = _decode_sync_group_request_assignment_0(b, p, end)
        append(item)
    return SyncGroupRequest(group_id, generation_id, member_id, group_instance_id, assignments=assignments), p


def _decode_sync_group_request_assignment_4(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        member_id = str(b[p + 1:q], "utf-8")
        p = q
    else:
        member_id, p = read_compact_string(b, p, end)
    assignment, p = read_compact_bytes(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return SyncGroupRequestAssignment(member_id, assignment), p


def _decode_sync_group_request_4(b, p, end):
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
    n = b[p] - 1
    if 0 <= n < 127 and n * 3 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 3)
    assignments = []
    append = assignments.append
    for _ in range(n):
        item, p = _decode_sync_group_request_assignment_4(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return SyncGroupRequest(group_id, generation_id, member_id, group_instance_id, assignments=assignments), p


def _decode_sync_group_request_5(b, p, end):
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
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        protocol_type = str(b[p + 1:q], "utf-8")
        p = q
    else:
        protocol_type, p = read_compact_nullable_string(b, p, end)
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        protocol_name = str(b[p + 1:q], "utf-8")
        p = q
    else:
        protocol_name, p = read_compact_nullable_string(b, p, end)
    n = b[p] - 1
    if 0 <= n < 127 and n * 3 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 3)
    assignments = []
    append = assignments.append
    for _ in range(n):
        item, p = _decode_sync_group_request_assignment_4(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return SyncGroupRequest(group_id, generation_id, member_id, group_instance_id, protocol_type, protocol_name, assignments), p


def _encode_sync_group_request_assignment_0(o, w):
    write_legacy_string(w, o.member_id)
    write_legacy_bytes(w, o.assignment)


def _encode_sync_group_request_0(o, w):
    if o.group_instance_id is not None:
        raise absent("SyncGroupRequest.group_instance_id")
    write_legacy_string(w, o.group_id)
    w(_i.pack(o.generation_id))
    write_legacy_string(w, o.member_id)
    x = o.assignments
    w(_i.pack(len(x)))
    for item in x:
        _encode_sync_group_request_assignment_0(item, w)


def _encode_sync_group_request_3(o, w):
    write_legacy_string(w, o.group_id)
    w(_i.pack(o.generation_id))
    write_legacy_string(w, o.member_id)
    write_legacy_nullable_string(w, o.group_instance_id)
    x = o.assignments
    w(_i.pack(len(x)))
    for item in x:
        _encode_sync_group_request_assignment_0(item, w)


def _encode_sync_group_request_assignment_4(o, w):
    write_compact_string(w, o.member_id)
    write_compact_bytes(w, o.assignment)
    w(COMPACT_NULL)


def _encode_sync_group_request_4(o, w):
    write_compact_string(w, o.group_id)
    w(_i.pack(o.generation_id))
    write_compact_string(w, o.member_id)
    write_compact_nullable_string(w, o.group_instance_id)
    x = o.assignments
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_sync_group_request_assignment_4(item, w)
    w(COMPACT_NULL)


def _encode_sync_group_request_5(o, w):
    write_compact_string(w, o.group_id)
    w(_i.pack(o.generation_id))
    write_compact_string(w, o.member_id)
    write_compact_nullable_string(w, o.group_instance_id)
    write_compact_nullable_string(w, o.protocol_type)
    write_compact_nullable_string(w, o.protocol_name)
    x = o.assignments
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_sync_group_request_assignment_4(item, w)
    w(COMPACT_NULL)


def _decode_sync_group_response_0(b, p, end):
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    assignment, p = read_legacy_bytes(b, p, end)
    return SyncGroupResponse(error_code=error_code, assignment=assignment), p


def _decode_sync_group_response_1(b, p, end):
    throttle_time_ms, error_code = _ih.unpack_from(b, p)
    p += 6
    assignment, p = read_legacy_bytes(b, p, end)
    return SyncGroupResponse(throttle_time_ms, error_code, assignment=assignment), p


def _decode_sync_group_response_4(b, p, end):
    throttle_time_ms, error_code = _ih.unpack_from(b, p)
    p += 6
    assignment, p = read_compact_bytes(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return SyncGroupResponse(throttle_time_ms, error_code, assignment=assignment), p


def _decode_sync_group_response_5(b, p, end):
    throttle_time_ms, error_code = _ih.unpack_from(b, p)
    p += 6
    protocol_type, p = read_compact_nullable_string(b, p, end)
    protocol_name, p = read_compact_nullable_string(b, p, end)
    assignment, p = read_compact_bytes(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return SyncGroupResponse(throttle_time_ms, error_code, protocol_type, protocol_name, assignment), p


def _encode_sync_group_response_0(o, w):
    w(_h.pack(o.error_code))
    write_legacy_bytes(w, o.assignment)


def _encode_sync_group_response_1(o, w):
    w(_ih.pack(o.throttle_time_ms, o.error_code))
    write_legacy_bytes(w, o.assignment)


def _encode_sync_group_response_4(o, w):
    w(_ih.pack(o.throttle_time_ms, o.error_code))
    write_compact_bytes(w, o.assignment)
    w(COMPACT_NULL)


def _encode_sync_group_response_5(o, w):
    w(_ih.pack(o.throttle_time_ms, o.error_code))
    write_compact_nullable_string(w, o.protocol_type)
    write_compact_nullable_string(w, o.protocol_name)
    write_compact_bytes(w, o.assignment)
    w(COMPACT_NULL)


REQUEST_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[SyncGroupRequest, int]]]] = decoders(
    (0, 2, _decode_sync_group_request_0),
    (3, 3, _decode_sync_group_request_3),
    (4, 4, _decode_sync_group_request_4),
    (5, 5, _decode_sync_group_request_5),
)
REQUEST_ENCODERS: Final[dict[int, Callable[[SyncGroupRequest], list[Buffer]]]] = encoders(
    (0, 2, _encode_sync_group_request_0),
    (3, 3, _encode_sync_group_request_3),
    (4, 4, _encode_sync_group_request_4),
    (5, 5, _encode_sync_group_request_5),
)

RESPONSE_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[SyncGroupResponse, int]]]] = decoders(
    (0, 0, _decode_sync_group_response_0),
    (1, 3, _decode_sync_group_response_1),
    (4, 4, _decode_sync_group_response_4),
    (5, 5, _decode_sync_group_response_5),
)
RESPONSE_ENCODERS: Final[dict[int, Callable[[SyncGroupResponse], list[Buffer]]]] = encoders(
    (0, 0, _encode_sync_group_response_0),
    (1, 3, _encode_sync_group_response_1),
    (4, 4, _encode_sync_group_response_4),
    (5, 5, _encode_sync_group_response_5),
)
