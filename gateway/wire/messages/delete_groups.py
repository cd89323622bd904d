# Generated from Kafka 4.3.1's schemas by `python -m gateway.wire.generate`. Do not edit.
"""DeleteGroups, versions 0 to 2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from typing import Final

from ..primitives import (
    BYTE,
    Buffer,
    COMPACT_NULL,
    Message,
    decoders,
    encoders,
    read_compact_count,
    read_compact_string,
    read_legacy_count,
    read_legacy_string,
    skip_tags,
    unsigned,
    write_compact_string,
    write_legacy_string,
)

API_KEY: Final = 42
FLEXIBLE_FROM: Final[int | None] = 2

_h = Struct(">h")
_hB = Struct(">hB")
_i = Struct(">i")

class DeleteGroupsRequest(Message):
    __slots__ = ("groups_names",)

    def __init__(self, groups_names: Sequence[str] = ()) -> None:
        self.groups_names = groups_names


class DeletableGroupResult(Message):
    __slots__ = ("group_id", "error_code")

    def __init__(self, group_id: str = "", error_code: int = 0) -> None:
        self.group_id = group_id
        self.error_code = error_code


class DeleteGroupsResponse(Message):
    __slots__ = ("throttle_time_ms", "results")

    def __init__(self, throttle_time_ms: int = 0, results: Sequence[DeletableGroupResult] = ()) -> None:
        self.throttle_time_ms = throttle_time_ms
        self.results = results


def _decode_delete_groups_request_0(b, p, end):
    n, p = read_legacy_count(b, p, end, 2)
    groups_names = []
    append = groups_names.append
    for _ in range(n):
        item, p = read_legacy_string(b, p, end)
        append(item)
    return DeleteGroupsRequest(groups_names), p


def _decode_delete_groups_request_2(b, p, end):
    n = b[p] - 1
    if 0 <= n < 127 and n * 1 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 1)
    groups_names = []
    append = groups_names.append
    for _ in range(n):
        item, p = read_compact_string(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return DeleteGroupsRequest(groups_names), p


def _encode_delete_groups_request_0(o, w):
    x = o.groups_names
    w(_i.pack(len(x)))
    for item in x:
        write_legacy_string(w, item)


def _encode_delete_groups_request_2(o, w):
    x = o.groups_names
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        write_compact_string(w, item)
    w(COMPACT_NULL)


def _decode_deletable_group_result_0(b, p, end):
    group_id, p = read_legacy_string(b, p, end)
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    return DeletableGroupResult(group_id, error_code), p


def _decode_delete_groups_response_0(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 4)
    results = []
    append = results.append
    for _ in range(n):
        item, p = _decode_deletable_group_result_0(b, p, end)
        append(item)
    return DeleteGroupsResponse(throttle_time_ms, results), p


def _decode_deletable_group_result_2(b, p, end):
    group_id, p = read_compact_string(b, p, end)
    error_code, tags = _hB.unpack_from(b, p)
    p += 3
    if tags:
        p = skip_tags(b, p - 1, end)
    return DeletableGroupResult(group_id, error_code), p


def _decode_delete_groups_response_2(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 4)
    results = []
    append = results.append
    for _ in range(n):
        item, p = _decode_deletable_group_result_2(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return DeleteGroupsResponse(throttle_time_ms, results), p


def _encode_deletable_group_result_0(o, w):
    x = o.group_id.encode()
    w(_h.pack(len(x)))
    w(x)
    w(_h.pack(o.error_code))


def _encode_delete_groups_response_0(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.results
    w(_i.pack(len(x)))
    for item in x:
        _encode_deletable_group_result_0(item, w)


def _encode_deletable_group_result_2(o, w):
    x = o.group_id.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    w(_hB.pack(o.error_code, 0))


def _encode_delete_groups_response_2(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.results
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_deletable_group_result_2(item, w)
    w(COMPACT_NULL)


REQUEST_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[DeleteGroupsRequest, int]]]] = decoders(
    (0, 1, _decode_delete_groups_request_0),
    (2, 2, _decode_delete_groups_request_2),
)
REQUEST_ENCODERS: Final[dict[int, Callable[[DeleteGroupsRequest], list[Buffer]]]] = encoders(
    (0, 1, _encode_delete_groups_request_0),
    (2, 2, _encode_delete_groups_request_2),
)

RESPONSE_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[DeleteGroupsResponse, int]]]] = decoders(
    (0, 1, _decode_delete_groups_response_0),
    (2, 2, _decode_delete_groups_response_2),
)
RESPONSE_ENCODERS: Final[dict[int, Callable[[DeleteGroupsResponse], list[Buffer]]]] = encoders(
    (0, 1, _encode_delete_groups_response_0),
    (2, 2, _encode_delete_groups_response_2),
)
