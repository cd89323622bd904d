# Generated from Kafka 4.3.1's schemas by `python -m gateway.wire.generate`. Do not edit.
"""DescribeGroups, versions 0 to 6."""

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

API_KEY: Final = 15
FLEXIBLE_FROM: Final[int | None] = 5

_t = Struct(">?")
_tB = Struct(">?B")
_h = Struct(">h")
_i = Struct(">i")
_iB = Struct(">iB")

class DescribeGroupsRequest(Message):
    __slots__ = ("groups", "include_authorized_operations")

    def __init__(self, groups: Sequence[str] = (), include_authorized_operations: bool = False) -> None:
        self.groups = groups
        self.include_authorized_operations = include_authorized_operations


class DescribedGroupMember(Message):
    __slots__ = (
        "member_id",
        "group_instance_id",
        "client_id",
        "client_host",
        "member_metadata",
        "member_assignment",
    )

    def __init__(
        self,
        member_id: str = "",
        group_instance_id: str | None = None,
        client_id: str = "",
        client_host: str = "",
        member_metadata: bytes = b"",
        member_assignment: bytes = b"",
    ) -> None:
        self.member_id = member_id
        self.group_instance_id = group_instance_id
        self.client_id = client_id
        self.client_host = client_host
        self.member_metadata = member_metadata
        self.member_assignment = member_assignment


class DescribedGroup(Message):
    __slots__ = (
        "error_code",
        "error_message",
        "group_id",
        "group_state",
        "protocol_type",
        "protocol_data",
        "members",
        "authorized_operations",
    )

    def __init__(
        self,
        error_code: int = 0,
        error_message: str | None = None,
        group_id: str = "",
        group_state: str = "",
        protocol_type: str = "",
        protocol_data: str = "",
        members: Sequence[DescribedGroupMember] = (),
        authorized_operations: int = -2147483648,
    ) -> None:
        self.error_code = error_code
        self.error_message = error_message
        self.group_id = group_id
        self.group_state = group_state
        self.protocol_type = protocol_type
        self.protocol_data = protocol_data
        self.members = members
        self.authorized_operations = authorized_operations


class DescribeGroupsResponse(Message):
    __slots__ = ("throttle_time_ms", "groups")

    def __init__(self, throttle_time_ms: int = 0, groups: Sequence[DescribedGroup] = ()) -> None:
        self.throttle_time_ms = throttle_time_ms
        self.groups = groups


def _decode_describe_groups_request_0(b, p, end):
    n, p = read_legacy_count(b, p, end, 2)
    groups = []
    append = groups.append
    for _ in range(n):
        item, p = read_legacy_string(b, p, end)
        append(item)
    return DescribeGroupsRequest(groups), p


def _decode_describe_groups_request_3(b, p, end):
    n, p = read_legacy_count(b, p, end, 2)
    groups = []
    append = groups.append
    for _ in range(n):
        item, p = read_legacy_string(b, p, end)
        append(item)
    (include_authorized_operations,) = _t.unpack_from(b, p)
    p += 1
    return DescribeGroupsRequest(groups, include_authorized_operations), p


def _decode_describe_groups_request_5(b, p, end):
    n = b[p] - 1
    if 0 <= n < 127 and n * 1 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 1)
    groups = []
    append = groups.append
    for _ in range(n):
        item, p = read_compact_string(b, p, end)
        append(item)
    include_authorized_operations, tags = _tB.unpack_from(b, p)
    p += 2
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeGroupsRequest(groups, include_authorized_operations), p


def _encode_describe_groups_request_0(o, w):
    if o.include_authorized_operations:
        raise absent("DescribeGroupsRequest.include_authorized_operations")
    x = o.groups
    w(_i.pack(len(x)))
    for item in x:
        write_legacy_string(w, item)


def _encode_describe_groups_request_3(o, w):
    x = o.groups
    w(_i.pack(len(x)))
    for item in x:
        write_legacy_string(w, item)
    w(_t.pack(o.include_authorized_operations))


def _encode_describe_groups_request_5(o, w):
    x = o.groups
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        write_compact_string(w, item)
    w(_tB.pack(o.include_authorized_operations, 0))


def _decode_described_group_member_0(b, p, end):
    member_id, p = read_legacy_string(b, p, end)
    client_id, p = read_legacy_string(b, p, end)
    client_host, p = read_legacy_string(b, p, end)
    member_metadata, p = read_legacy_bytes(b, p, end)
    member_assignment, p = read_legacy_bytes(b, p, end)
    return DescribedGroupMember(member_id, client_id=client_id, client_host=client_host, member_metadata=member_metadata, member_assignment=member_assignment), p


def _decode_described_group_0(b, p, end):
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    group_id, p = read_legacy_string(b, p, end)
    group_state, p = read_legacy_string(b, p, end)
    protocol_type, p = read_legacy_string(b, p, end)
    protocol_data, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 14)
    members = []
    append = members.append
    for _ in range(n):
        item, p = _decode_described_group_member_0(b, p, end)
        append(item)
    return DescribedGroup(error_code, group_id=group_id, group_state=group_state, protocol_type=protocol_type, protocol_data=protocol_data, members=members), p


def _decode_describe_groups_response_0(b, p, end):
    n, p = read_legacy_count(b, p, end, 14)
    groups = []
    append = groups.append
    for _ in range(n):
        item, p = _decode_described_group_0(b, p, end)
        append(item)
    return DescribeGroupsResponse(groups=groups), p


def _decode_describe_groups_response_1(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 14)
    groups = []
    append = groups.append
    for _ in range(n):
        item, p = _decode_described_group_0(b, p, end)
        append(item)
    return DescribeGroupsResponse(throttle_time_ms, groups), p


def _decode_described_group_3(b, p, end):
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    group_id, p = read_legacy_string(b, p, end)
    group_state, p = read_legacy_string(b, p, end)
    protocol_type, p = read_legacy_string(b, p, end)
    protocol_data, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 14)
    members = []
    append = members.append
    for _ in range(n):
        item, p = _decode_described_group_member_0(b, p, end)
        append(item)
    (authorized_operations,) = _i.unpack_from(b, p)
    p += 4
    return DescribedGroup(error_code, group_id=group_id, group_state=group_state, protocol_type=protocol_type, protocol_data=protocol_data, members=members, authorized_operations=authorized_operations), p


def _decode_describe_groups_response_3(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 18)
    groups = []
    append = groups.append
    for _ in range(n):
        item, p = _decode_described_group_3(b, p, end)
        append(item)
    return DescribeGroupsResponse(throttle_time_ms, groups), p


def _decode_described_group_member_4(b, p, end):
    member_id, p = read_legacy_string(b, p, end)
    group_instance_id, p = read_legacy_nullable_string(b, p, end)
    client_id, p = read_legacy_string(b, p, end)
    client_host, p = read_legacy_string(b, p, end)
    member_metadata, p = read_legacy_bytes(b, p, end)
    member_assignment, p = read_legacy_bytes(b, p, end)
    return DescribedGroupMember(member_id, group_instance_id, client_id, client_host, member_metadata, member_assignment), p


def _decode_described_group_4(b, p, end):
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    group_id, p = read_legacy_string(b, p, end)
    group_state, p = read_legacy_string(b, p, end)
    protocol_type, p = read_legacy_string(b, p, end)
    protocol_data, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 16)
    members = []
    append = members.append
    for _ in range(n):
        item, p = _decode_described_group_member_4(b, p, end)
        append(item)
    (authorized_operations,) = _i.unpack_from(b, p)
    p += 4
    return DescribedGroup(error_code, group_id=group_id, group_state=group_state, protocol_type=protocol_type, protocol_data=protocol_data, members=members, authorized_operations=authorized_operations), p


def _decode_describe_groups_response_4(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 18)
    groups = []
    append = groups.append
    for _ in range(n):
        item, p = _decode_described_group_4(b, p, end)
        append(item)
    return DescribeGroupsResponse(throttle_time_ms, groups), p


def _decode_described_group_member_5(b, p, end):
    member_id, p = read_compact_string(b, p, end)
    group_instance_id, p = read_compact_nullable_string(b, p, end)
    client_id, p = read_compact_string(b, p, end)
    client_host, p = read_compact_string(b, p, end)
    member_metadata, p = read_compact_bytes(b, p, end)
    member_assignment, p = read_compact_bytes(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribedGroupMember(member_id, group_instance_id, client_id, client_host, member_metadata, member_assignment), p


def _decode_described_group_5(b, p, end):
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    group_id, p = read_compact_string(b, p, end)
    group_state, p = read_compact_string(b, p, end)
    protocol_type, p = read_compact_string(b, p, end)
    protocol_data, p = read_compact_string(b, p, end)
    n, p = read_compact_count(b, p, end, 7)
    members = []
    append = members.append
    for _ in range(n):
        item, p = _decode_described_group_member_5(b, p, end)
        append(item)
    authorized_operations, tags = _iB.unpack_from(b, p)
    p += 5
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribedGroup(error_code, group_id=group_id, group_state=group_state, protocol_type=protocol_type, protocol_data=protocol_data, members=members, authorized_operations=authorized_operations), p


def _decode_describe_groups_response_5(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 12)
    groups = []
    append = groups.append
    for _ in range(n):
        item, p = _decode_described_group_5(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeGroupsResponse(throttle_time_ms, groups), p


def _decode_described_group_6(b, p, end):
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    error_message, p = read_compact_nullable_string(b, p, end)
    group_id, p = read_compact_string(b, p, end)
    group_state, p = read_compact_string(b, p, end)
    protocol_type, p = read_compact_string(b, p, end)
    protocol_data, p = read_compact_string(b, p, end)
    n, p = read_compact_count(b, p, end, 7)
    members = []
    append = members.append
    for _ in range(n):
        item, p = _decode_described_group_member_5(b, p, end)
        append(item)
    authorized_operations, tags = _iB.unpack_from(b, p)
    p += 5
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribedGroup(error_code, error_message, group_id, group_state, protocol_type, protocol_data, members, authorized_operations), p


def _decode_describe_groups_response_6(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 13)
    groups = []
    append = groups.append
    for _ in range(n):
        item, p = _decode_described_group_6(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeGroupsResponse(throttle_time_ms, groups), p


def _encode_described_group_member_0(o, w):
    x = o.member_id.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.client_id.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.client_host.encode()
    w(_h.pack(len(x)))
    w(x)
    write_legacy_bytes(w, o.member_metadata)
    write_legacy_bytes(w, o.member_assignment)


def _encode_described_group_0(o, w):
    if o.error_message is not None:
        raise absent("DescribedGroup.error_message")
    if o.authorized_operations != -2147483648:
        raise absent("DescribedGroup.authorized_operations")
    w(_h.pack(o.error_code))
    x = o.group_id.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.group_state.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.protocol_type.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.protocol_data.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.members
    w(_i.pack(len(x)))
    for item in x:
        _encode_described_group_member_0(item, w)


def _encode_describe_groups_response_0(o, w):
    x = o.groups
    w(_i.pack(len(x)))
    for item in x:
        _encode_described_group_0(item, w)


def _encode_describe_groups_response_1(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.groups
    w(_i.pack(len(x)))
    for item in x:
        _encode_described_group_0(item, w)


def _encode_described_group_3(o, w):
    if o.error_message is not None:
        raise absent("DescribedGroup.error_message")
    w(_h.pack(o.error_code))
    x = o.group_id.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.group_state.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.protocol_type.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.protocol_data.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.members
    w(_i.pack(len(x)))
    for item in x:
        _encode_described_group_member_0(item, w)
    w(_i.pack(o.authorized_operations))


def _encode_describe_groups_response_3(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.groups
    w(_i.pack(len(x)))
    for item in x:
        _encode_described_group_3(item, w)


def _encode_described_group_member_4(o, w):
    x = o.member_id.encode()
    w(_h.pack(len(x)))
    w(x)
    write_legacy_nullable_string(w, o.group_instance_id)
    x = o.client_id.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.client_host.encode()
    w(_h.pack(len(x)))
    w(x)
    write_legacy_bytes(w, o.member_metadata)
    write_legacy_bytes(w, o.member_assignment)


def _encode_described_group_4(o, w):
    if o.error_message is not None:
        raise absent("DescribedGroup.error_message")
    w(_h.pack(o.error_code))
    x = o.group_id.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.group_state.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.protocol_type.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.protocol_data.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.members
    w(_i.pack(len(x)))
    for item in x:
        _encode_described_group_member_4(item, w)
    w(_i.pack(o.authorized_operations))


def _encode_describe_groups_response_4(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.groups
    w(_i.pack(len(x)))
    for item in x:
        _encode_described_group_4(item, w)


def _encode_described_group_member_5(o, w):
    x = o.member_id.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    write_compact_nullable_string(w, o.group_instance_id)
    x = o.client_id.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.client_host.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    write_compact_bytes(w, o.member_metadata)
    write_compact_bytes(w, o.member_assignment)
    w(COMPACT_NULL)


def _encode_described_group_5(o, w):
    if o.error_message is not None:
        raise absent("DescribedGroup.error_message")
    w(_h.pack(o.error_code))
    x = o.group_id.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.group_state.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.protocol_type.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.protocol_data.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.members
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_described_group_member_5(item, w)
    w(_iB.pack(o.authorized_operations, 0))


def _encode_describe_groups_response_5(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.groups
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_described_group_5(item, w)
    w(COMPACT_NULL)


def _encode_described_group_6(o, w):
    w(_h.pack(o.error_code))
    write_compact_nullable_string(w, o.error_message)
    x = o.group_id.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.group_state.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.protocol_type.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.protocol_data.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.members
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_described_group_member_5(item, w)
    w(_iB.pack(o.authorized_operations, 0))


def _encode_describe_groups_response_6(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.groups
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_described_group_6(item, w)
    w(COMPACT_NULL)


REQUEST_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[DescribeGroupsRequest, int]]]] = decoders(
    (0, 2, _decode_describe_groups_request_0),
    (3, 4, _decode_describe_groups_request_3),
    (5, 6, _decode_describe_groups_request_5),
)
REQUEST_ENCODERS: Final[dict[int, Callable[[DescribeGroupsRequest], list[Buffer]]]] = encoders(
    (0, 2, _encode_describe_groups_request_0),
    (3, 4, _encode_describe_groups_request_3),
    (5, 6, _encode_describe_groups_request_5),
)

RESPONSE_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[DescribeGroupsResponse, int]]]] = decoders(
    (0, 0, _decode_describe_groups_response_0),
    (1, 2, _decode_describe_groups_response_1),
    (3, 3, _decode_describe_groups_response_3),
    (4, 4, _decode_describe_groups_response_4),
    (5, 5, _decode_describe_groups_response_5),
    (6, 6, _decode_describe_groups_response_6),
)
RESPONSE_ENCODERS: Final[dict[int, Callable[[DescribeGroupsResponse], list[Buffer]]]] = encoders(
    (0, 0, _encode_describe_groups_response_0),
    (1, 2, _encode_describe_groups_response_1),
    (3, 3, _encode_describe_groups_response_3),
    (4, 4, _encode_describe_groups_response_4),
    (5, 5, _encode_describe_groups_response_5),
    (6, 6, _encode_describe_groups_response_6),
)
