# Generated from Kafka 4.3.1's schemas by `python -m gateway.wire.generate`. Do not edit.
"""DescribeCluster, versions 0 to 2."""

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
    skip_tags,
    unsigned,
    write_compact_nullable_string,
)

API_KEY: Final = 60
FLEXIBLE_FROM: Final[int | None] = 0

_tB = Struct(">?B")
_tbtB = Struct(">?b?B")
_tbB = Struct(">?bB")
_b = Struct(">b")
_i = Struct(">i")
_iB = Struct(">iB")
_ih = Struct(">ih")

class DescribeClusterRequest(Message):
    __slots__ = ("include_cluster_authorized_operations", "endpoint_type", "include_fenced_brokers")

    def __init__(
        self,
        include_cluster_authorized_operations: bool = False,
        endpoint_type: int = 1,
        include_fenced_brokers: bool = False,
    ) -> None:
        self.include_cluster_authorized_operations = include_cluster_authorized_operations
        self.endpoint_type = endpoint_type
        self.include_fenced_brokers = include_fenced_brokers


class DescribeClusterBroker(Message):
    __slots__ = ("broker_id", "host", "port", "rack", "is_fenced")

    def __init__(
        self,
        broker_id: int = 0,
        host: str = "",
        port: int = 0,
        rack: str | None = None,
        is_fenced: bool = False,
    ) -> None:
        self.broker_id = broker_id
        self.host = host
        self.port = port
        self.rack = rack
        self.is_fenced = is_fenced


class DescribeClusterResponse(Message):
    __slots__ = (
        "throttle_time_ms",
        "error_code",
        "error_message",
        "endpoint_type",
        "cluster_id",
        "controller_id",
        "brokers",
        "cluster_authorized_operations",
    )

    def __init__(
        self,
        throttle_time_ms: int = 0,
        error_code: int = 0,
        error_message: str | None = None,
        endpoint_type: int = 1,
        cluster_id: str = "",
        controller_id: int = -1,
        brokers: Sequence[DescribeClusterBroker] = (),
        cluster_authorized_operations: int = -2147483648,
    ) -> None:
        self.throttle_time_ms = throttle_time_ms
        self.error_code = error_code
        self.error_message = error_message
        self.endpoint_type = endpoint_type
        self.cluster_id = cluster_id
        self.controller_id = controller_id
        self.brokers = brokers
        self.cluster_authorized_operations = cluster_authorized_operations


def _decode_describe_cluster_request_0(b, p, end):
    include_cluster_authorized_operations, tags = _tB.unpack_from(b, p)
    p += 2
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeClusterRequest(include_cluster_authorized_operations), p


def _decode_describe_cluster_request_1(b, p, end):
    include_cluster_authorized_operations, endpoint_type, tags = _tbB.unpack_from(b, p)
    p += 3
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeClusterRequest(include_cluster_authorized_operations, endpoint_type), p


def _decode_describe_cluster_request_2(b, p, end):
    include_cluster_authorized_operations, endpoint_type, include_fenced_brokers, tags = _tbtB.unpack_from(b, p)
    p += 4
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeClusterRequest(include_cluster_authorized_operations, endpoint_type, include_fenced_brokers), p


def _encode_describe_cluster_request_0(o, w):
    if o.endpoint_type != 1:
        raise absent("DescribeClusterRequest.endpoint_type")
    if o.include_fenced_brokers:
        raise absent("DescribeClusterRequest.include_fenced_brokers")
    w(_tB.pack(o.include_cluster_authorized_operations, 0))


def _encode_describe_cluster_request_1(o, w):
    if o.include_fenced_brokers:
        raise absent("DescribeClusterRequest.include_fenced_brokers")
    w(_tbB.pack(o.include_cluster_authorized_operations, o.endpoint_type, 0))


def _encode_describe_cluster_request_2(o, w):
    w(_tbtB.pack(o.include_cluster_authorized_operations, o.endpoint_type, o.include_fenced_brokers, 0))


def _decode_describe_cluster_broker_0(b, p, end):
    (broker_id,) = _i.unpack_from(b, p)
    p += 4
    host, p = read_compact_string(b, p, end)
    (port,) = _i.unpack_from(b, p)
    p += 4
    rack, p = read_compact_nullable_string(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeClusterBroker(broker_id, host, port, rack), p


def _decode_describe_cluster_response_0(b, p, end):
    throttle_time_ms, error_code = _ih.unpack_from(b, p)
    p += 6
    error_message, p = read_compact_nullable_string(b, p, end)
    cluster_id, p = read_compact_string(b, p, end)
    (controller_id,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 11)
    brokers = []
    append = brokers.append
    for _ in range(n):
        item, p = _decode_describe_cluster_broker_0(b, p, end)
        append(item)
    cluster_authorized_operations, tags = _iB.unpack_from(b, p)
    p += 5
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeClusterResponse(throttle_time_ms, error_code, error_message, cluster_id=cluster_id, controller_id=controller_id, brokers=brokers, cluster_authorized_operations=cluster_authorized_operations), p


def _decode_describe_cluster_response_1(b, p, end):
    throttle_time_ms, error_code = _ih.unpack_from(b, p)
    p += 6
    error_message, p = read_compact_nullable_string(b, p, end)
    (endpoint_type,) = _b.unpack_from(b, p)
    p += 1
    cluster_id, p = read_compact_string(b, p, end)
    (controller_id,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 11)
    brokers = []
    append = brokers.append
    for _ in range(n):
        item, p = _decode_describe_cluster_broker_0(b, p, end)
        append(item)
    cluster_authorized_operations, tags = _iB.unpack_from(b, p)
    p += 5
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeClusterResponse(throttle_time_ms, error_code, error_message, endpoint_type, cluster_id, controller_id, brokers, cluster_authorized_operations), p


def _decode_describe_cluster_broker_2(b, p, end):
    (broker_id,) = _i.unpack_from(b, p)
    p += 4
    host, p = read_compact_string(b, p, end)
    (port,) = _i.unpack_from(b, p)
    p += 4
    rack, p = read_compact_nullable_string(b, p, end)
    is_fenced, tags = _tB.unpack_from(b, p)
    p += 2
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeClusterBroker(broker_id, host, port, rack, is_fenced), p


def _decode_describe_cluster_response_2(b, p, end):
    throttle_time_ms, error_code = _ih.unpack_from(b, p)
    p += 6
    error_message, p = read_compact_nullable_string(b, p, end)
    (endpoint_type,) = _b.unpack_from(b, p)
    p += 1
    cluster_id, p = read_compact_string(b, p, end)
    (controller_id,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 12)
    brokers = []
    append = brokers.append
    for _ in range(n):
        item, p = _decode_describe_cluster_broker_2(b, p, end)
        append(item)
    cluster_authorized_operations, tags = _iB.unpack_from(b, p)
    p += 5
    if tags:
        p = skip_tags(b, p - 1, end)
    return DescribeClusterResponse(throttle_time_ms, error_code, error_message, endpoint_type, cluster_id, controller_id, brokers, cluster_authorized_operations), p


def _encode_describe_cluster_broker_0(o, w):
    if o.is_fenced:
        raise absent("DescribeClusterBroker.is_fenced")
    w(_i.pack(o.broker_id))
    x = o.host.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    w(_i.pack(o.port))
    write_compact_nullable_string(w, o.rack)
    w(COMPACT_NULL)


def _encode_describe_cluster_response_0(o, w):
    if o.endpoint_type != 1:
        raise absent("DescribeClusterResponse.endpoint_type")
    w(_ih.pack(o.throttle_time_ms, o.error_code))
    write_compact_nullable_string(w, o.error_message)
    x = o.cluster_id.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    w(_i.pack(o.controller_id))
    x = o.brokers
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_describe_cluster_broker_0(item, w)
    w(_iB.pack(o.cluster_authorized_operations, 0))


def _encode_describe_cluster_response_1(o, w):
    w(_ih.pack(o.throttle_time_ms, o.error_code))
    write_compact_nullable_string(w, o.error_message)
    w(_b.pack(o.endpoint_type))
    x = o.cluster_id.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    w(_i.pack(o.controller_id))
    x = o.brokers
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_describe_cluster_broker_0(item, w)
    w(_iB.pack(o.cluster_authorized_operations, 0))


def _encode_describe_cluster_broker_2(o, w):
    w(_i.pack(o.broker_id))
    x = o.host.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    w(_i.pack(o.port))
    write_compact_nullable_string(w, o.rack)
    w(_tB.pack(o.is_fenced, 0))


def _encode_describe_cluster_response_2(o, w):
    w(_ih.pack(o.throttle_time_ms, o.error_code))
    write_compact_nullable_string(w, o.error_message)
    w(_b.pack(o.endpoint_type))
    x = o.cluster_id.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    w(_i.pack(o.controller_id))
    x = o.brokers
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_describe_cluster_broker_2(item, w)
    w(_iB.pack(o.cluster_authorized_operations, 0))


REQUEST_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[DescribeClusterRequest, int]]]] = decoders(
    (0, 0, _decode_describe_cluster_request_0),
    (1, 1, _decode_describe_cluster_request_1),
    (2, 2, _decode_describe_cluster_request_2),
)
REQUEST_ENCODERS: Final[dict[int, Callable[[DescribeClusterRequest], list[Buffer]]]] = encoders(
    (0, 0, _encode_describe_cluster_request_0),
    (1, 1, _encode_describe_cluster_request_1),
    (2, 2, _encode_describe_cluster_request_2),
)

RESPONSE_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[DescribeClusterResponse, int]]]] = decoders(
    (0, 0, _decode_describe_cluster_response_0),
    (1, 1, _decode_describe_cluster_response_1),
    (2, 2, _decode_describe_cluster_response_2),
)
RESPONSE_ENCODERS: Final[dict[int, Callable[[DescribeClusterResponse], list[Buffer]]]] = encoders(
    (0, 0, _encode_describe_cluster_response_0),
    (1, 1, _encode_describe_cluster_response_1),
    (2, 2, _encode_describe_cluster_response_2),
)
