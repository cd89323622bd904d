# Generated from Kafka 4.3.1's schemas by `python -m gateway.wire.generate`. Do not edit.
"""LeaveGroup, versions 0 to 5."""

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
    read_legacy_count,
    read_legacy_nullable_string,
    read_legacy_string,
    skip_tags,
    unsigned,
    write_compact_nullable_string,
    write_compact_string,
    write_legacy_nullable_string,
    write_legacy_string,
)

API_KEY: Final = 13
FLEXIBLE_FROM: Final[int | None] = 4

_h = Struct(">h")
_hB = Struct(">hB")
_i = Struct(">i")
_ih = Struct(">ih")

class MemberIdentity(Message):
    __slots__ = ("member_id", "group_instance_id", "reason")

    def __init__(
        self,
        member_id: str = "",
        group_instance_id: str | None = None,
        reason: str | None = None,
    ) -> None:
        self.member_id = member_id
        self.group_instance_id = group_instance_id
        self.reason = reason


class LeaveGroupRequest(Message):
    __slots__ = ("group_id", "member_id", "members")

    def __init__(
        self,
        group_id: str = "",
        member_id: str = "",
        members: Sequence[MemberIdentity] = (),
    ) -> None:
        self.group_id = group_id
        self.member_id = member_id
        self.members = members


class MemberResponse(Message):
    __slots__ = ("member_id", "group_instance_id", "error_code")

    def __init__(self, member_id: str = "", group_instance_id: str | None = "", error_code: int = 0) -> None:
        self.member_id = member_id
        self.group_instance_id = group_instance_id
        self.error_code = error_code


class LeaveGroupResponse(Message):
    __slots__ = ("throttle_time_ms", "error_code", "members")

    def __init__(
        self,
        throttle_time_ms: int = 0,
        error_code: int = 0,
        members: Sequence[MemberResponse] = (),
    ) -> None:
        self.throttle_time_ms = throttle_time_ms
        self.error_code = error_code
        self.members = members


def _decode_leave_group_request_0(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        group_id = str(b[p + 2:q], "utf-8")
        p = q
    else:
        group_id, p = read_legacy_string(b, p, end)
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        member_id = str(b[p + 2:q], "utf-8")
        p = q
    else:
        member_id, p = read_legacy_string(b, p, end)
    return LeaveGroupRequest(group_id, member_id), p


def _decode_member_identity_3(b, p, end):
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
    return MemberIdentity(member_id, group_instance_id), p


def _decode_leave_group_request_3(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        group_id = str(b[p + 2:q], "utf-8")
        p = q
    else:
        group_id, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 4)
    members = []
    append = members.append
    for _ in range(n):
        item, p = _decode_member_identity_3(b, p, end)
        append(item)
    return LeaveGroupRequest(group_id, members=members), p


def _decode_member_identity_4(b, p, end):
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
    return MemberIdentity(member_id, group_instance_id), p


def _decode_leave_group_request_4(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        group_id = str(b[p + 1:q], "utf-8")
        p = q
    else:
        group_id, p = read_compact_string(b, p, end)
    n = b[p] - 1
    if 0 <= n < 127 and n * 3 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 3)
    members = []
    append = members.append
    for _ in range(n):
        item, p = _decode_member_identity_4(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return LeaveGroupRequest(group_id, members=members), p


def _decode_member_identity_5(b, p, end):
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
        reason = str(b[p + 1:q], "utf-8")
        p = q
    else:
        reason, p = read_compact_nullable_string(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return MemberIdentity(member_id, group_instance_id, reason), p


def _decode_leave_group_request_5(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        group_id = str(b[p + 1:q], "utf-8")
        p = q
    else:
        group_id, p = read_compact_string(b, p, end)
    n = b[p] - 1
    if 0 <= n < 127 and n * 4 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 4)
    members = []
    append = members.append
    for _ in range(n):
        item, p = _decode_member_identity_5(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return LeaveGroupRequest(group_id, members=members), p


def _encode_leave_group_request_0(o, w):
    if o.members:
        raise absent("LeaveGroupRequest.members")
    write_legacy_string(w, o.group_id)
    write_legacy_string(w, o.member_id)


def _encode_member_identity_3(o, w):
    write_legacy_string(w, o.member_id)
    write_legacy_nullable_string(w, o.group_instance_id)


def _encode_leave_group_request_3(o, w):
    if o.member_id:
        raise absent("LeaveGroupRequest.member_id")
    write_legacy_string(w, o.group_id)
    x = o.members
    w(_i.pack(len(x)))
    for item in x:
        _encode_member_identity_3(item, w)


def _encode_member_identity_4(o, w):
    write_compact_string(w, o.member_id)
    write_compact_nullable_string(w, o.group_instance_id)
    w(COMPACT_NULL)


def _encode_leave_group_request_4(o, w):
    if o.member_id:
        raise absent("LeaveGroupRequest.member_id")
    write_compact_string(w, o.group_id)
    x = o.members
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_member_identity_4(item, w)
    w(COMPACT_NULL)


def _encode_member_identity_5(o, w):
    write_compact_string(w, o.member_id)
    write_compact_nullable_string(w, o.group_instance_id)
    write_compact_nullable_string(w, o.reason)
    w(COMPACT_NULL)


def _encode_leave_group_request_5(o, w):
    if o.member_id:
        raise absent("LeaveGroupRequest.member_id")
    write_compact_string(w, o.group_id)
    x = o.members
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_member_identity_5(item, w)
    w(COMPACT_NULL)


def _decode_leave_group_response_0(b, p, end):
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    return LeaveGroupResponse(error_code=error_code), p


def _decode_leave_group_response_1(b, p, end):
    throttle_time_ms, error_code = _ih.unpack_from(b, p)
    p += 6
    return LeaveGroupResponse(throttle_time_ms, error_code), p


def _decode_member_response_3(b, p, end):
    member_id, p = read_legacy_string(b, p, end)
    group_instance_id, p = read_legacy_nullable_string(b, p, end)
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    return MemberResponse(member_id, group_instance_id, error_code), p


def _decode_leave_group_response_3(b, p, end):
    throttle_time_ms, error_code = _ih.unpack_from(b, p)
    p += 6
    n, p = read_legacy_count(b, p, end, 6)
    members = []
    append = members.append
    for _ in range(n):
        item, p = _decode_member_response_3(b, p, end)
        append(item)
    return LeaveGroupResponse(throttle_time_ms, error_code, members), p


def _decode_member_response_4(b, p, end):
    member_id, p = read_compact_string(b, p, end)
    group_instance_id, p = read_compact_nullable_string(b, p, end)
    error_code, tags = _hB.unpack_from(b, p)
    p += 3
    if tags:
        p = skip_tags(b, p - 1, end)
    return MemberResponse(member_id, group_instance_id, error_code), p


def _decode_leave_group_response_4(b, p, end):
    throttle_time_ms, error_code = _ih.unpack_from(b, p)
    p += 6
    n, p = read_compact_count(b, p, end, 5)
    members = []
    append = members.append
    for _ in range(n):
        item, p = _decode_member_response_4(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return LeaveGroupResponse(throttle_time_ms, error_code, members), p


def _encode_leave_group_response_0(o, w):
    if o.members:
        raise absent("LeaveGroupResponse.members")
    w(_h.pack(o.error_code))


def _encode_leave_group_response_1(o, w):
    if o.members:
        raise absent("LeaveGroupResponse.members")
    w(_ih.pack(o.throttle_time_ms, o.error_code))


def _encode_member_response_3(o, w):
    x = o.member_id.encode()
    w(_h.pack(len(x)))
    w(x)
    write_legacy_nullable_string(w, o.group_instance_id)
    w(_h.pack(o.error_code))


def _encode_leave_group_response_3(o, w):
    w(_ih.pack(o.throttle_time_ms, o.error_code))
    x = o.members
    w(_i.pack(len(x)))
    for item in x:
        _encode_member_response_3(item, w)


def _encode_member_response_4(o, w):
    x = o.member_id.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    write_compact_nullable_string(w, o.group_instance_id)
    w(_hB.pack(o.error_code, 0))


def _encode_leave_group_response_4(o, w):
    w(_ih.pack(o.throttle_time_ms, o.error_code))
    x = o.members
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_member_response_4(item, w)
    w(COMPACT_NULL)


REQUEST_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[LeaveGroupRequest, int]]]] = decoders(
    (0, 2, _decode_leave_group_request_0),
    (3, 3, _decode_leave_group_request_3),
    (4, 4, _decode_leave_group_request_4),
    (5, 5, _decode_leave_group_request_5),
)
REQUEST_ENCODERS: Final[dict[int, Callable[[LeaveGroupRequest], list[Buffer]]]] = encoders(
    (0, 2, _encode_leave_group_request_0),
    (3, 3, _encode_leave_group_request_3),
    (4, 4, _encode_leave_group_request_4),
    (5, 5, _encode_leave_group_request_5),
)

RESPONSE_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[LeaveGroupResponse, int]]]] = decoders(
    (0, 0, _decode_leave_group_response_0),
    (1, 2, _decode_leave_group_response_1),
    (3, 3, _decode_leave_group_response_3),
    (4, 5, _decode_leave_group_response_4),
)
RESPONSE_ENCODERS: Final[dict[int, Callable[[LeaveGroupResponse], list[Buffer]]]] = encoders(
    (0, 0, _encode_leave_group_response_0),
    (1, 2, _encode_leave_group_response_1),
    (3, 3, _encode_leave_group_response_3),
    (4, 5, _encode_leave_group_response_4),
)
