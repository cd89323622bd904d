# Generated from Kafka 4.3.1's schemas by `python -m gateway.wire.generate`. Do not edit.
"""ListGroups, versions 0 to 5."""

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
    read_compact_string,
    read_legacy_count,
    read_legacy_string,
    skip_tags,
    unsigned,
    write_compact_string,
)

API_KEY: Final = 16
FLEXIBLE_FROM: Final[int | None] = 3

_h = Struct(">h")
_i = Struct(">i")
_ih = Struct(">ih")

class ListGroupsRequest(Message):
    __slots__ = ("states_filter", "types_filter")

    def __init__(self, states_filter: Sequence[str] = (), types_filter: Sequence[str] = ()) -> None:
        self.states_filter = states_filter
        self.types_filter = types_filter


class ListedGroup(Message):
    __slots__ = ("group_id", "protocol_type", "group_state", "group_type")

    def __init__(
        self,
        group_id: str = "",
        protocol_type: str = "",
        group_state: str = "",
        group_type: str = "",
    ) -> None:
        self.group_id = group_id
        self.protocol_type = protocol_type
        self.group_state = group_state
        self.group_type = group_type


class ListGroupsResponse(Message):
    __slots__ = ("throttle_time_ms", "error_code", "groups")

    def __init__(
        self,
        throttle_time_ms: int = 0,
        error_code: int = 0,
        groups: Sequence[ListedGroup] = (),
    ) -> None:
        self.throttle_time_ms = throttle_time_ms
        self.error_code = error_code
        self.groups = groups


def _decode_list_groups_request_0(b, p, end):
    return ListGroupsRequest(), p


def _decode_list_groups_request_3(b, p, end):
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return ListGroupsRequest(), p


def _decode_list_groups_request_4(b, p, end):
    n = b[p] - 1
    if 0 <= n < 127 and n * 1 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 1)
    states_filter = []
    append = states_filter.append
    for _ in range(n):
        item, p = read_compact_string(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return ListGroupsRequest(states_filter), p


def _decode_list_groups_request_5(b, p, end):
    n = b[p] - 1
    if 0 <= n < 127 and n * 1 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 1)
    states_filter = []
    append = states_filter.append
    for _ in range(n):
        item, p = read_compact_string(b, p, end)
        append(item)
    n = b[p] - 1
    if 0 <= n < 127 and n * 1 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 1)
    types_filter = []
    append = types_filter.append
    for _ in range(n):
        item, p = read_compact_string(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return ListGroupsRequest(states_filter, types_filter), p


def _encode_list_groups_request_0(o, w):
    if o.states_filter:
        raise absent("ListGroupsRequest.states_filter")
    if o.types_filter:
        raise absent("ListGroupsRequest.types_filter")


def _encode_list_groups_request_3(o, w):
    if o.states_filter:
        raise absent("ListGroupsRequest.states_filter")
    if o.types_filter:
        raise absent("ListGroupsRequest.types_filter")
    w(COMPACT_NULL)


def _encode_list_groups_request_4(o, w):
    if o.types_filter:
        raise absent("ListGroupsRequest.types_filter")
    x = o.states_filter
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        write_compact_string(w, item)
    w(COMPACT_NULL)


def _encode_list_groups_request_5(o, w):
    x = o.states_filter
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        write_compact_string(w, item)
    x = o.types_filter
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        write_compact_string(w, item)
    w(COMPACT_NULL)


def _decode_listed_group_0(b, p, end):
    group_id, p = read_legacy_string(b, p, end)
    protocol_type, p = read_legacy_string(b, p, end)
    return ListedGroup(group_id, protocol_type), p


def _decode_list_groups_response_0(b, p, end):
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    n, p = read_legacy_count(b, p, end, 4)
    groups = []
    append = groups.append
    for _ in range(n):
        item, p = _decode_listed_group_0(b, p, end)
        append(item)
    return ListGroupsResponse(error_code=error_code, groups=groups), p


def _decode_list_groups_response_1(b, p, end):
    throttle_time_ms, error_code = _ih.unpack_from(b, p)
    p += 6
    n, p = read_legacy_count(b, p, end, 4)
    groups = []
    append = groups.append
    for _ in range(n):
        item, p = _decode_listed_group_0(b, p, end)
        append(item)
    return ListGroupsResponse(throttle_time_ms, error_code, groups), p


def _decode_listed_group_3(b, p, end):
    group_id, p = read_compact_string(b, p, end)
    protocol_type, p = read_compact_string(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return ListedGroup(group_id, protocol_type), p


def _decode_list_groups_response_3(b, p, end):
    throttle_time_ms, error_code = _ih.unpack_from(b, p)
    p += 6
    n, p = read_compact_count(b, p, end, 3)
    groups = []
    append = groups.append
    for _ in range(n):
        item, p = _decode_listed_group_3(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return ListGroupsResponse(throttle_time_ms, error_code, groups), p


def _decode_listed_group_4(b, p, end):
    group_id, p = read_compact_string(b, p, end)
    protocol_type, p = read_compact_string(b, p, end)
    group_state, p = read_compact_string(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return ListedGroup(group_id, protocol_type, group_state), p


def _decode_list_groups_response_4(b, p, end):
    throttle_time_ms, error_code = _ih.unpack_from(b, p)
    p += 6
    n, p = read_compact_count(b, p, end, 4)
    groups = []
    append = groups.append
    for _ in range(n):
        item, p = _decode_listed_group_4(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return ListGroupsResponse(throttle_time_ms, error_code, groups), p


def _decode_listed_group_5(b, p, end):
    group_id, p = read_compact_string(b, p, end)
    protocol_type, p = read_compact_string(b, p, end)
    group_state, p = read_compact_string(b, p, end)
    group_type, p = read_compact_string(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return ListedGroup(group_id, protocol_type, group_state, group_type), p


def _decode_list_groups_response_5(b, p, end):
    throttle_time_ms, error_code = _ih.unpack_from(b, p)
    p += 6
    n, p = read_compact_count(b, p, end, 5)
    groups = []
    append = groups.append
    for _ in range(n):
        item, p = _decode_listed_group_5(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return ListGroupsResponse(throttle_time_ms, error_code, groups), p


def _encode_listed_group_0(o, w):
    x = o.group_id.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.protocol_type.encode()
    w(_h.pack(len(x)))
    w(x)


def _encode_list_groups_response_0(o, w):
    w(_h.pack(o.error_code))
    x = o.groups
    w(_i.pack(len(x)))
    for item in x:
        _encode_listed_group_0(item, w)


def _encode_list_groups_response_1(o, w):
    w(_ih.pack(o.throttle_time_ms, o.error_code))
    x = o.groups
    w(_i.pack(len(x)))
    for item in x:
        _encode_listed_group_0(item, w)


def _encode_listed_group_3(o, w):
    x = o.group_id.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.protocol_type.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    w(COMPACT_NULL)


def _encode_list_groups_response_3(o, w):
    w(_ih.pack(o.throttle_time_ms, o.error_code))
    x = o.groups
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_listed_group_3(item, w)
    w(COMPACT_NULL)


def _encode_listed_group_4(o, w):
    x = o.group_id.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.protocol_type.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.group_state.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    w(COMPACT_NULL)


def _encode_list_groups_response_4(o, w):
    w(_ih.pack(o.throttle_time_ms, o.error_code))
    x = o.groups
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_listed_group_4(item, w)
    w(COMPACT_NULL)


def _encode_listed_group_5(o, w):
    x = o.group_id.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.protocol_type.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.group_state.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.group_type.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    w(COMPACT_NULL)


def _encode_list_groups_response_5(o, w):
    w(_ih.pack(o.throttle_time_ms, o.error_code))
    x = o.groups
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_listed_group_5(item, w)
    w(COMPACT_NULL)


REQUEST_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[ListGroupsRequest, int]]]] = decoders(
    (0, 2, _decode_list_groups_request_0),
    (3, 3, _decode_list_groups_request_3),
    (4, 4, _decode_list_groups_request_4),
    (5, 5, _decode_list_groups_request_5),
)
REQUEST_ENCODERS: Final[dict[int, Callable[[ListGroupsRequest], list[Buffer]]]] = encoders(
    (0, 2, _encode_list_groups_request_0),
    (3, 3, _encode_list_groups_request_3),
    (4, 4, _encode_list_groups_request_4),
    (5, 5, _encode_list_groups_request_5),
)

RESPONSE_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[ListGroupsResponse, int]]]] = decoders(
    (0, 0, _decode_list_groups_response_0),
    (1, 2, _decode_list_groups_response_1),
    (3, 3, _decode_list_groups_response_3),
    (4, 4, _decode_list_groups_response_4),
    (5, 5, _decode_list_groups_response_5),
)
RESPONSE_ENCODERS: Final[dict[int, Callable[[ListGroupsResponse], list[Buffer]]]] = encoders(
    (0, 0, _encode_list_groups_response_0),
    (1, 2, _encode_list_groups_response_1),
    (3, 3, _encode_list_groups_response_3),
    (4, 4, _encode_list_groups_response_4),
    (5, 5, _encode_list_groups_response_5),
)
