# Generated from Kafka 4.3.1's schemas by `python -m gateway.wire.generate`. Do not edit.
"""JoinGroup, versions 0 to 9."""

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

API_KEY: Final = 11
FLEXIBLE_FROM: Final[int | None] = 6

_t = Struct(">?")
_h = Struct(">h")
_hi = Struct(">hi")
_i = Struct(">i")
_ihi = Struct(">ihi")
_ii = Struct(">ii")

class JoinGroupRequestProtocol(Message):
    __slots__ = ("name", "metadata")

    def __init__(self, name: str = "", metadata: bytes = b"") -> None:
        self.name = name
        self.metadata = metadata


class JoinGroupRequest(Message):
    __slots__ = (
        "group_id",
        "session_timeout_ms",
        "rebalance_timeout_ms",
        "member_id",
        "group_instance_id",
        "protocol_type",
        "protocols",
        "reason",
    )

    def __init__(
        self,
        group_id: str = "",
        session_timeout_ms: int = 0,
        rebalance_timeout_ms: int = -1,
        member_id: str = "",
        group_instance_id: str | None = None,
        protocol_type: str = "",
        protocols: Sequence[JoinGroupRequestProtocol] = (),
        reason: str | None = None,
    ) -> None:
        self.group_id = group_id
        self.session_timeout_ms = session_timeout_ms
        self.rebalance_timeout_ms = rebalance_timeout_ms
        self.member_id = member_id
        self.group_instance_id = group_instance_id
        self.protocol_type = protocol_type
        self.protocols = protocols
        self.reason = reason


class JoinGroupResponseMember(Message):
    __slots__ = ("member_id", "group_instance_id", "metadata")

    def __init__(
        self,
        member_id: str = "",
        group_instance_id: str | None = None,
        metadata: bytes = b"",
    ) -> None:
        self.member_id = member_id
        self.group_instance_id = group_instance_id
        self.metadata = metadata


class JoinGroupResponse(Message):
    __slots__ = (
        "throttle_time_ms",
        "error_code",
        "generation_id",
        "protocol_type",
        "protocol_name",
        "leader",
        "skip_assignment",
        "member_id",
        "members",
    )

    def __init__(
        self,
        throttle_time_ms: int = 0,
        error_code: int = 0,
        generation_id: int = -1,
        protocol_type: str | None = None,
        protocol_name: str | None = "",
        leader: str = "",
        skip_assignment: bool = False,
        member_id: str = "",
        members: Sequence[JoinGroupResponseMember] = (),
    ) -> None:
        self.throttle_time_ms = throttle_time_ms
        self.error_code = error_code
        self.generation_id = generation_id
        self.protocol_type = protocol_type
        self.protocol_name = protocol_name
        self.leader = leader
        self.skip_assignment = skip_assignment
        self.member_id = member_id
        self.members = members


def _decode_join_group_request_protocol_0(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        name = str(b[p + 2:q], "utf-8")
        p = q
    else:
        name, p = read_legacy_string(b, p, end)
    metadata, p = read_legacy_bytes(b, p, end)
    return JoinGroupRequestProtocol(name, metadata), p


def _decode_join_group_request_0(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        group_id = str(b[p + 2:q], "utf-8")
        p = q
    else:
        group_id, p = read_legacy_string(b, p, end)
    (session_timeout_ms,) = _i.unpack_from(b, p)
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
        protocol_type = str(b[p + 2:q], "utf-8")
        p = q
    else:
        protocol_type, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 6)
    protocols = []
    append = protocols.append
    for _ in range(n):
        item, p = _decode_join_group_request_protocol_0(b, p, end)
        append(item)
    return JoinGroupRequest(group_id, session_timeout_ms, member_id=member_id, protocol_type=protocol_type, protocols=protocols), p


def _decode_join_group_request_1(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        group_id = str(b[p + 2:q], "utf-8")
        p = q
    else:
        group_id, p = read_legacy_string(b, p, end)
    session_timeout_ms, rebalance_timeout_ms = _ii.unpack_from(b, p)
    p += 8
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
        protocol_type = str(b[p + 2:q], "utf-8")
        p = q
    else:
        protocol_type, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 6)
    protocols = []
    append = protocols.append
    for _ in range(n):
        item, p = _decode_join_group_request_protocol_0(b, p, end)
        append(item)
    return JoinGroupRequest(group_id, session_timeout_ms, rebalance_timeout_ms, member_id, protocol_type=protocol_type, protocols=protocols), p


def _decode_join_group_request_5(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        group_id = str(b[p + 2:q], "utf-8")
        p = q
    else:
        group_id, p = read_legacy_string(b, p, end)
    session_timeout_ms, rebalance_timeout_ms = _ii.unpack_from(b, p)
    p += 8
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
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        protocol_type = str(b[p + 2:q], "utf-8")
        p = q
    else:
        protocol_type, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 6)
    protocols = []
    append = protocols.append
    for _ in range(n):
        item, p = _decode_join_group_request_protocol_0(b, p, end)
        append(item)
    return JoinGroupRequest(group_id, session_timeout_ms, rebalance_timeout_ms, member_id, group_instance_id, protocol_type, protocols), p


def _decode_join_group_request_protocol_6(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        name = str(b[p + 1:q], "utf-8")
        p = q
    else:
        name, p = read_compact_string(b, p, end)
    metadata, p = read_compact_bytes(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return JoinGroupRequestProtocol(name, metadata), p


def _decode_join_group_request_6(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        group_id = str(b[p + 1:q], "utf-8")
        p = q
    else:
        group_id, p = read_compact_string(b, p, end)
    session_timeout_ms, rebalance_timeout_ms = _ii.unpack_from(b, p)
    p += 8
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
        protocol_type, p = read_compact_string(b, p, end)
    n = b[p] - 1
    if 0 <= n < 127 and n * 3 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 3)
    protocols = []
    append = protocols.append
    for _ in range(n):
        item, p = _decode_join_group_request_protocol_6(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return JoinGroupRequest(group_id, session_timeout_ms, rebalance_timeout_ms, member_id, group_instance_id, protocol_type, protocols), p


def _decode_join_group_request_8(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        group_id = str(b[p + 1:q], "utf-8")
        p = q
    else:
        group_id, p = read_compact_string(b, p, end)
    session_timeout_ms, rebalance_timeout_ms = _ii.unpack_from(b, p)
    p += 8
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
        protocol_type, p = read_compact_string(b, p, end)
    n = b[p] - 1
    if 0 <= n < 127 and n * 3 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 3)
    protocols = []
    append = protocols.append
    for _ in range(n):
        item, p = _decode_join_group_request_protocol_6(b, p, end)
        append(item)
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
    return JoinGroupRequest(group_id, session_timeout_ms, rebalance_timeout_ms, member_id, group_instance_id, protocol_type, protocols, reason), p


def _encode_join_group_request_protocol_0(o, w):
    write_legacy_string(w, o.name)
    write_legacy_bytes(w, o.metadata)


def _encode_join_group_request_0(o, w):
    if o.group_instance_id is not None:
        raise absent("JoinGroupRequest.group_instance_id")
    write_legacy_string(w, o.group_id)
    w(_i.pack(o.session_timeout_ms))
    write_legacy_string(w, o.member_id)
    write_legacy_string(w, o.protocol_type)
    x = o.protocols
    w(_i.pack(len(x)))
    for item in x:
        _encode_join_group_request_protocol_0(item, w)


def _encode_join_group_request_1(o, w):
    if o.group_instance_id is not None:
        raise absent("JoinGroupRequest.group_instance_id")
    write_legacy_string(w, o.group_id)
    w(_ii.pack(o.session_timeout_ms, o.rebalance_timeout_ms))
    write_legacy_string(w, o.member_id)
    write_legacy_string(w, o.protocol_type)
    x = o.protocols
    w(_i.pack(len(x)))
    for item in x:
        _encode_join_group_request_protocol_0(item, w)


def _encode_join_group_request_5(o, w):
    write_legacy_string(w, o.group_id)
    w(_ii.pack(o.session_timeout_ms, o.rebalance_timeout_ms))
    write_legacy_string(w, o.member_id)
    write_legacy_nullable_string(w, o.group_instance_id)
    write_legacy_string(w, o.protocol_type)
    x = o.protocols
    w(_i.pack(len(x)))
    for item in x:
        _encode_join_group_request_protocol_0(item, w)


def _encode_join_group_request_protocol_6(o, w):
    write_compact_string(w, o.name)
    write_compact_bytes(w, o.metadata)
    w(COMPACT_NULL)


def _encode_join_group_request_6(o, w):
    write_compact_string(w, o.group_id)
    w(_ii.pack(o.session_timeout_ms, o.rebalance_timeout_ms))
    write_compact_string(w, o.member_id)
    write_compact_nullable_string(w, o.group_instance_id)
    write_compact_string(w, o.protocol_type)
    x = o.protocols
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_join_group_request_protocol_6(item, w)
    w(COMPACT_NULL)


def _encode_join_group_request_8(o, w):
    write_compact_string(w, o.group_id)
    w(_ii.pack(o.session_timeout_ms, o.rebalance_timeout_ms))
    write_compact_string(w, o.member_id)
    write_compact_nullable_string(w, o.group_instance_id)
    write_compact_string(w, o.protocol_type)
    x = o.protocols
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_join_group_request_protocol_6(item, w)
    write_compact_nullable_string(w, o.reason)
    w(COMPACT_NULL)


def _decode_join_group_response_member_0(b, p, end):
    member_id, p = read_legacy_string(b, p, end)
    metadata, p = read_legacy_bytes(b, p, end)
    return JoinGroupResponseMember(member_id, metadata=metadata), p


def _decode_join_group_response_0(b, p, end):
    error_code, generation_id = _hi.unpack_from(b, p)
    p += 6
    protocol_name, p = read_legacy_string(b, p, end)
    leader, p = read_legacy_string(b, p, end)
    member_id, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 6)
    members = []
    append = members.append
    for _ in range(n):
        item, p = _decode_join_group_response_member_0(b, p, end)
        append(item)
    return JoinGroupResponse(error_code=error_code, generation_id=generation_id, protocol_name=protocol_name, leader=leader, member_id=member_id, members=members), p


def _decode_join_group_response_2(b, p, end):
    throttle_time_ms, error_code, generation_id = _ihi.unpack_from(b, p)
    p += 10
    protocol_name, p = read_legacy_string(b, p, end)
    leader, p = read_legacy_string(b, p, end)
    member_id, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 6)
    members = []
    append = members.append
    for _ in range(n):
        item, p = _decode_join_group_response_member_0(b, p, end)
        append(item)
    return JoinGroupResponse(throttle_time_ms, error_code, generation_id, protocol_name=protocol_name, leader=leader, member_id=member_id, members=members), p


def _decode_join_group_response_member_5(b, p, end):
    member_id, p = read_legacy_string(b, p, end)
    group_instance_id, p = read_legacy_nullable_string(b, p, end)
    metadata, p = read_legacy_bytes(b, p, end)
    return JoinGroupResponseMember(member_id, group_instance_id, metadata), p


def _decode_join_group_response_5(b, p, end):
    throttle_time_ms, error_code, generation_id = _ihi.unpack_from(b, p)
    p += 10
    protocol_name, p = read_legacy_string(b, p, end)
    leader, p = read_legacy_string(b, p, end)
    member_id, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 8)
    members = []
    append = members.append
    for _ in range(n):
        item, p = _decode_join_group_response_member_5(b, p, end)
        append(item)
    return JoinGroupResponse(throttle_time_ms, error_code, generation_id, protocol_name=protocol_name, leader=leader, member_id=member_id, members=members), p


def _decode_join_group_response_member_6(b, p, end):
    member_id, p = read_compact_string(b, p, end)
    group_instance_id, p = read_compact_nullable_string(b, p, end)
    metadata, p = read_compact_bytes(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return JoinGroupResponseMember(member_id, group_instance_id, metadata), p


def _decode_join_group_response_6(b, p, end):
    throttle_time_ms, error_code, generation_id = _ihi.unpack_from(b, p)
    p += 10
    protocol_name, p = read_compact_string(b, p, end)
    leader, p = read_compact_string(b, p, end)
    member_id, p = read_compact_string(b, p, end)
    n, p = read_compact_count(b, p, end, 4)
    members = []
    append = members.append
    for _ in range(n):
        item, p = _decode_join_group_response_member_6(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return JoinGroupResponse(throttle_time_ms, error_code, generation_id, protocol_name=protocol_name, leader=leader, member_id=member_id, members=members), p


def _decode_join_group_response_7(b, p, end):
    throttle_time_ms, error_code, generation_id = _ihi.unpack_from(b, p)
    p += 10
    protocol_type, p = read_compact_nullable_string(b, p, end)
    protocol_name, p = read_compact_nullable_string(b, p, end)
    leader, p = read_compact_string(b, p, end)
    member_id, p = read_compact_string(b, p, end)
    n, p = read_compact_count(b, p, end, 4)
    members = []
    append = members.append
    for _ in range(n):
        item, p = _decode_join_group_response_member_6(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return JoinGroupResponse(throttle_time_ms, error_code, generation_id, protocol_type, protocol_name, leader, member_id=member_id, members=members), p


def _decode_join_group_response_9(b, p, end):
    throttle_time_ms, error_code, generation_id = _ihi.unpack_from(b, p)
    p += 10
    protocol_type, p = read_compact_nullable_string(b, p, end)
    protocol_name, p = read_compact_nullable_string(b, p, end)
    leader, p = read_compact_string(b, p, end)
    (skip_assignment,) = _t.unpack_from(b, p)
    p += 1
    member_id, p = read_compact_string(b, p, end)
    n, p = read_compact_count(b, p, end, 4)
    members = []
    append = members.append
    for _ in range(n):
        item, p = _decode_join_group_response_member_6(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return JoinGroupResponse(throttle_time_ms, error_code, generation_id, protocol_type, protocol_name, leader, skip_assignment, member_id, members), p


def _encode_join_group_response_member_0(o, w):
    x = o.member_id.encode()
    w(_h.pack(len(x)))
    w(x)
    write_legacy_bytes(w, o.metadata)


def _encode_join_group_response_0(o, w):
    if o.skip_assignment:
        raise absent("JoinGroupResponse.skip_assignment")
    w(_hi.pack(o.error_code, o.generation_id))
    x = o.protocol_name.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.leader.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.member_id.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.members
    w(_i.pack(len(x)))
    for item in x:
        _encode_join_group_response_member_0(item, w)


def _encode_join_group_response_2(o, w):
    if o.skip_assignment:
        raise absent("JoinGroupResponse.skip_assignment")
    w(_ihi.pack(o.throttle_time_ms, o.error_code, o.generation_id))
    x = o.protocol_name.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.leader.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.member_id.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.members
    w(_i.pack(len(x)))
    for item in x:
        _encode_join_group_response_member_0(item, w)


def _encode_join_group_response_member_5(o, w):
    x = o.member_id.encode()
    w(_h.pack(len(x)))
    w(x)
    write_legacy_nullable_string(w, o.group_instance_id)
    write_legacy_bytes(w, o.metadata)


def _encode_join_group_response_5(o, w):
    if o.skip_assignment:
        raise absent("JoinGroupResponse.skip_assignment")
    w(_ihi.pack(o.throttle_time_ms, o.error_code, o.generation_id))
    x = o.protocol_name.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.leader.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.member_id.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.members
    w(_i.pack(len(x)))
    for item in x:
        _encode_join_group_response_member_5(item, w)


def _encode_join_group_response_member_6(o, w):
    x = o.member_id.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    write_compact_nullable_string(w, o.group_instance_id)
    write_compact_bytes(w, o.metadata)
    w(COMPACT_NULL)


def _encode_join_group_response_6(o, w):
    if o.skip_assignment:
        raise absent("JoinGroupResponse.skip_assignment")
    w(_ihi.pack(o.throttle_time_ms, o.error_code, o.generation_id))
    x = o.protocol_name.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.leader.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.member_id.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.members
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_join_group_response_member_6(item, w)
    w(COMPACT_NULL)


def _encode_join_group_response_7(o, w):
    if o.skip_assignment:
        raise absent("JoinGroupResponse.skip_assignment")
    w(_ihi.pack(o.throttle_time_ms, o.error_code, o.generation_id))
    write_compact_nullable_string(w, o.protocol_type)
    write_compact_nullable_string(w, o.protocol_name)
    x = o.leader.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.member_id.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.members
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_join_group_response_member_6(item, w)
    w(COMPACT_NULL)


def _encode_join_group_response_9(o, w):
    w(_ihi.pack(o.throttle_time_ms, o.error_code, o.generation_id))
    write_compact_nullable_string(w, o.protocol_type)
    write_compact_nullable_string(w, o.protocol_name)
    x = o.leader.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    w(_t.pack(o.skip_assignment))
    x = o.member_id.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.members
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_join_group_response_member_6(item, w)
    w(COMPACT_NULL)


REQUEST_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[JoinGroupRequest, int]]]] = decoders(
    (0, 0, _decode_join_group_request_0),
    (1, 4, _decode_join_group_request_1),
    (5, 5, _decode_join_group_request_5),
    (6, 7, _decode_join_group_request_6),
    (8, 9, _decode_join_group_request_8),
)
REQUEST_ENCODERS: Final[dict[int, Callable[[JoinGroupRequest], list[Buffer]]]] = encoders(
    (0, 0, _encode_join_group_request_0),
    (1, 4, _encode_join_group_request_1),
    (5, 5, _encode_join_group_request_5),
    (6, 7, _encode_join_group_request_6),
    (8, 9, _encode_join_group_request_8),
)

RESPONSE_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[JoinGroupResponse, int]]]] = decoders(
    (0, 1, _decode_join_group_response_0),
    (2, 4, _decode_join_group_response_2),
    (5, 5, _decode_join_group_response_5),
    (6, 6, _decode_join_group_response_6),
    (7, 8, _decode_join_group_response_7),
    (9, 9, _decode_join_group_response_9),
)
RESPONSE_ENCODERS: Final[dict[int, Callable[[JoinGroupResponse], list[Buffer]]]] = encoders(
    (0, 1, _encode_join_group_response_0),
    (2, 4, _encode_join_group_response_2),
    (5, 5, _encode_join_group_response_5),
    (6, 6, _encode_join_group_response_6),
    (7, 8, _encode_join_group_response_7),
    (9, 9, _encode_join_group_response_9),
)
