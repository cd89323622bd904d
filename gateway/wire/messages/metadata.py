# Generated from Kafka 4.3.1's schemas by `python -m gateway.wire.generate`. Do not edit.
"""Metadata, versions 0 to 13."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct, pack, unpack_from
from typing import Final

from ..primitives import (
    BYTE,
    Buffer,
    COMPACT_NULL,
    LEGACY_NULL,
    Message,
    ZERO_UUID,
    absent,
    decoders,
    encoders,
    read_compact_count,
    read_compact_nullable_count,
    read_compact_nullable_string,
    read_compact_string,
    read_legacy_count,
    read_legacy_nullable_count,
    read_legacy_nullable_string,
    read_legacy_string,
    skip_tags,
    unsigned,
    write_compact_nullable_string,
    write_compact_string,
    write_legacy_nullable_string,
    write_legacy_string,
)

API_KEY: Final = 3
FLEXIBLE_FROM: Final[int | None] = 9

_16s = Struct(">16s")
_16st = Struct(">16s?")
_t = Struct(">?")
_ttt = Struct(">???")
_tttB = Struct(">???B")
_ttB = Struct(">??B")
_h = Struct(">h")
_hB = Struct(">hB")
_hii = Struct(">hii")
_hiii = Struct(">hiii")
_i = Struct(">i")
_iB = Struct(">iB")

class MetadataRequestTopic(Message):
    __slots__ = ("topic_id", "name")

    def __init__(self, topic_id: bytes = ZERO_UUID, name: str | None = "") -> None:
        self.topic_id = topic_id
        self.name = name


class MetadataRequest(Message):
    __slots__ = (
        "topics",
        "allow_auto_topic_creation",
        "include_cluster_authorized_operations",
        "include_topic_authorized_operations",
    )

    def __init__(
        self,
        topics: Sequence[MetadataRequestTopic] | None = (),
        allow_auto_topic_creation: bool = True,
        include_cluster_authorized_operations: bool = False,
        include_topic_authorized_operations: bool = False,
    ) -> None:
        self.topics = topics
        self.allow_auto_topic_creation = allow_auto_topic_creation
        self.include_cluster_authorized_operations = include_cluster_authorized_operations
        self.include_topic_authorized_operations = include_topic_authorized_operations


class MetadataResponsePartition(Message):
    __slots__ = (
        "error_code",
        "partition_index",
        "leader_id",
        "leader_epoch",
        "replica_nodes",
        "isr_nodes",
        "offline_replicas",
    )

    def __init__(
        self,
        error_code: int = 0,
        partition_index: int = 0,
        leader_id: int = 0,
        leader_epoch: int = -1,
        replica_nodes: Sequence[int] = (),
        isr_nodes: Sequence[int] = (),
        offline_replicas: Sequence[int] = (),
    ) -> None:
        self.error_code = error_code
        self.partition_index = partition_index
        self.leader_id = leader_id
        self.leader_epoch = leader_epoch
        self.replica_nodes = replica_nodes
        self.isr_nodes = isr_nodes
        self.offline_replicas = offline_replicas


class MetadataResponseTopic(Message):
    __slots__ = ("error_code", "name", "topic_id", "is_internal", "partitions", "topic_authorized_operations")

    def __init__(
        self,
        error_code: int = 0,
        name: str | None = "",
        topic_id: bytes = ZERO_UUID,
        is_internal: bool = False,
        partitions: Sequence[MetadataResponsePartition] = (),
        topic_authorized_operations: int = -2147483648,
    ) -> None:
        self.error_code = error_code
        self.name = name
        self.topic_id = topic_id
        self.is_internal = is_internal
        self.partitions = partitions
        self.topic_authorized_operations = topic_authorized_operations


class MetadataResponseBroker(Message):
    __slots__ = ("node_id", "host", "port", "rack")

    def __init__(self, node_id: int = 0, host: str = "", port: int = 0, rack: str | None = None) -> None:
        self.node_id = node_id
        self.host = host
        self.port = port
        self.rack = rack


class MetadataResponse(Message):
    __slots__ = (
        "throttle_time_ms",
        "brokers",
        "cluster_id",
        "controller_id",
        "topics",
        "cluster_authorized_operations",
        "error_code",
    )

    def __init__(
        self,
        throttle_time_ms: int = 0,
        brokers: Sequence[MetadataResponseBroker] = (),
        cluster_id: str | None = None,
        controller_id: int = -1,
        topics: Sequence[MetadataResponseTopic] = (),
        cluster_authorized_operations: int = -2147483648,
        error_code: int = 0,
    ) -> None:
        self.throttle_time_ms = throttle_time_ms
        self.brokers = brokers
        self.cluster_id = cluster_id
        self.controller_id = controller_id
        self.topics = topics
        self.cluster_authorized_operations = cluster_authorized_operations
        self.error_code = error_code


def _decode_metadata_request_topic_0(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        name = str(b[p + 2:q], "utf-8")
        p = q
    else:
        name, p = read_legacy_string(b, p, end)
    return MetadataRequestTopic(name=name), p


def _decode_metadata_request_0(b, p, end):
    n, p = read_legacy_count(b, p, end, 2)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_metadata_request_topic_0(b, p, end)
        append(item)
    return MetadataRequest(topics), p


def _decode_metadata_request_1(b, p, end):
    n, p = read_legacy_nullable_count(b, p, end, 2)
    if n < 0:
        topics = None
    else:
        topics = []
        append = topics.append
        for _ in range(n):
            item, p = _decode_metadata_request_topic_0(b, p, end)
            append(item)
    return MetadataRequest(topics), p


def _decode_metadata_request_4(b, p, end):
    n, p = read_legacy_nullable_count(b, p, end, 2)
    if n < 0:
        topics = None
    else:
        topics = []
        append = topics.append
        for _ in range(n):
            item, p = _decode_metadata_request_topic_0(b, p, end)
            append(item)
    (allow_auto_topic_creation,) = _t.unpack_from(b, p)
    p += 1
    return MetadataRequest(topics, allow_auto_topic_creation), p


def _decode_metadata_request_8(b, p, end):
    n, p = read_legacy_nullable_count(b, p, end, 2)
    if n < 0:
        topics = None
    else:
        topics = []
        append = topics.append
        for _ in range(n):
            item, p = _decode_metadata_request_topic_0(b, p, end)
            append(item)
    allow_auto_topic_creation, include_cluster_authorized_operations, include_topic_authorized_operations = _ttt.unpack_from(b, p)
    p += 3
    return MetadataRequest(topics, allow_auto_topic_creation, include_cluster_authorized_operations, include_topic_authorized_operations), p


def _decode_metadata_request_topic_9(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        name = str(b[p + 1:q], "utf-8")
        p = q
    else:
        name, p = read_compact_string(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return MetadataRequestTopic(name=name), p


def _decode_metadata_request_9(b, p, end):
    n = b[p] - 1
    if 0 <= n < 127 and n * 2 < end - p:
        p += 1
    else:
        n, p = read_compact_nullable_count(b, p, end, 2)
    if n < 0:
        topics = None
    else:
        topics = []
        append = topics.append
        for _ in range(n):
            item, p = _decode_metadata_request_topic_9(b, p, end)
            append(item)
    allow_auto_topic_creation, include_cluster_authorized_operations, include_topic_authorized_operations, tags = _tttB.unpack_from(b, p)
    p += 4
    if tags:
        p = skip_tags(b, p - 1, end)
    return MetadataRequest(topics, allow_auto_topic_creation, include_cluster_authorized_operations, include_topic_authorized_operations), p


def _decode_metadata_request_topic_10(b, p, end):
    (topic_id,) = _16s.unpack_from(b, p)
    p += 16
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        name = str(b[p + 1:q], "utf-8")
        p = q
    else:
        name, p = read_compact_nullable_string(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return MetadataRequestTopic(topic_id, name), p


def _decode_metadata_request_10(b, p, end):
    n = b[p] - 1
    if 0 <= n < 127 and n * 18 < end - p:
        p += 1
    else:
        n, p = read_compact_nullable_count(b, p, end, 18)
    if n < 0:
        topics = None
    else:
        topics = []
        append = topics.append
        for _ in range(n):
            item, p = _decode_metadata_request_topic_10(b, p, end)
            append(item)
    allow_auto_topic_creation, include_cluster_authorized_operations, include_topic_authorized_operations, tags = _tttB.unpack_from(b, p)
    p += 4
    if tags:
        p = skip_tags(b, p - 1, end)
    return MetadataRequest(topics, allow_auto_topic_creation, include_cluster_authorized_operations, include_topic_authorized_operations), p


def _decode_metadata_request_11(b, p, end):
    n = b[p] - 1
    if 0 <= n < 127 and n * 18 < end - p:
        p += 1
    else:
        n, p = read_compact_nullable_count(b, p, end, 18)
    if n < 0:
        topics = None
    else:
        topics = []
        append = topics.append
        for _ in range(n):
            item, p = _decode_metadata_request_topic_10(b, p, end)
            append(item)
    allow_auto_topic_creation, include_topic_authorized_operations, tags = _ttB.unpack_from(b, p)
    p += 3
    if tags:
        p = skip_tags(b, p - 1, end)
    return MetadataRequest(topics, allow_auto_topic_creation, include_topic_authorized_operations=include_topic_authorized_operations), p


def _encode_metadata_request_topic_0(o, w):
    write_legacy_string(w, o.name)


def _encode_metadata_request_0(o, w):
    if o.allow_auto_topic_creation != True:
        raise absent("MetadataRequest.allow_auto_topic_creation")
    if o.include_cluster_authorized_operations:
        raise absent("MetadataRequest.include_cluster_authorized_operations")
    if o.include_topic_authorized_operations:
        raise absent("MetadataRequest.include_topic_authorized_operations")
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_metadata_request_topic_0(item, w)


def _encode_metadata_request_1(o, w):
    if o.allow_auto_topic_creation != True:
        raise absent("MetadataRequest.allow_auto_topic_creation")
    if o.include_cluster_authorized_operations:
        raise absent("MetadataRequest.include_cluster_authorized_operations")
    if o.include_topic_authorized_operations:
        raise absent("MetadataRequest.include_topic_authorized_operations")
    x = o.topics
    if x is None:
        w(LEGACY_NULL)
    else:
        w(_i.pack(len(x)))
        for item in x:
            _encode_metadata_request_topic_0(item, w)


def _encode_metadata_request_4(o, w):
    if o.include_cluster_authorized_operations:
        raise absent("MetadataRequest.include_cluster_authorized_operations")
    if o.include_topic_authorized_operations:
        raise absent("MetadataRequest.include_topic_authorized_operations")
    x = o.topics
    if x is None:
        w(LEGACY_NULL)
    else:
        w(_i.pack(len(x)))
        for item in x:
            _encode_metadata_request_topic_0(item, w)
    w(_t.pack(o.allow_auto_topic_creation))


def _encode_metadata_request_8(o, w):
    x = o.topics
    if x is None:
        w(LEGACY_NULL)
    else:
        w(_i.pack(len(x)))
        for item in x:
            _encode_metadata_request_topic_0(item, w)
    w(_ttt.pack(o.allow_auto_topic_creation, o.include_cluster_authorized_operations, o.include_topic_authorized_operations))


def _encode_metadata_request_topic_9(o, w):
    write_compact_string(w, o.name)
    w(COMPACT_NULL)


def _encode_metadata_request_9(o, w):
    x = o.topics
    if x is None:
        w(COMPACT_NULL)
    else:
        n = len(x) + 1
        w(BYTE[n] if n < 128 else unsigned(n))
        for item in x:
            _encode_metadata_request_topic_9(item, w)
    w(_tttB.pack(o.allow_auto_topic_creation, o.include_cluster_authorized_operations, o.include_topic_authorized_operations, 0))


def _encode_metadata_request_topic_10(o, w):
    w(_16s.pack(o.topic_id))
    write_compact_nullable_string(w, o.name)
    w(COMPACT_NULL)


def _encode_metadata_request_10(o, w):
    x = o.topics
    if x is None:
        w(COMPACT_NULL)
    else:
        n = len(x) + 1
        w(BYTE[n] if n < 128 else unsigned(n))
        for item in x:
            _encode_metadata_request_topic_10(item, w)
    w(_tttB.pack(o.allow_auto_topic_creation, o.include_cluster_authorized_operations, o.include_topic_authorized_operations, 0))


def _encode_metadata_request_11(o, w):
    if o.include_cluster_authorized_operations:
        raise absent("MetadataRequest.include_cluster_authorized_operations")
    x = o.topics
    if x is None:
        w(COMPACT_NULL)
    else:
        n = len(x) + 1
        w(BYTE[n] if n < 128 else unsigned(n))
        for item in x:
            _encode_metadata_request_topic_10(item, w)
    w(_ttB.pack(o.allow_auto_topic_creation, o.include_topic_authorized_operations, 0))


def _decode_metadata_response_broker_0(b, p, end):
    (node_id,) = _i.unpack_from(b, p)
    p += 4
    host, p = read_legacy_string(b, p, end)
    (port,) = _i.unpack_from(b, p)
    p += 4
    return MetadataResponseBroker(node_id, host, port), p


def _decode_metadata_response_partition_0(b, p, end):
    error_code, partition_index, leader_id = _hii.unpack_from(b, p)
    p += 10
    n, p = read_legacy_count(b, p, end, 4)
    replica_nodes = unpack_from(f">{n}i", b, p)
    p += 4 * n
    n, p = read_legacy_count(b, p, end, 4)
    isr_nodes = unpack_from(f">{n}i", b, p)
    p += 4 * n
    return MetadataResponsePartition(error_code, partition_index, leader_id, replica_nodes=replica_nodes, isr_nodes=isr_nodes), p


def _decode_metadata_response_topic_0(b, p, end):
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    name, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 18)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_metadata_response_partition_0(b, p, end)
        append(item)
    return MetadataResponseTopic(error_code, name, partitions=partitions), p


def _decode_metadata_response_0(b, p, end):
    n, p = read_legacy_count(b, p, end, 10)
    brokers = []
    append = brokers.append
    for _ in range(n):
        item, p = _decode_metadata_response_broker_0(b, p, end)
        append(item)
    n, p = read_legacy_count(b, p, end, 8)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_metadata_response_topic_0(b, p, end)
        append(item)
    return MetadataResponse(brokers=brokers, topics=topics), p


def _decode_metadata_response_broker_1(b, p, end):
    (node_id,) = _i.unpack_from(b, p)
    p += 4
    host, p = read_legacy_string(b, p, end)
    (port,) = _i.unpack_from(b, p)
    p += 4
    rack, p = read_legacy_nullable_string(b, p, end)
    return MetadataResponseBroker(node_id, host, port, rack), p


def _decode_metadata_response_topic_1(b, p, end):
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    name, p = read_legacy_string(b, p, end)
    (is_internal,) = _t.unpack_from(b, p)
    p += 1
    n, p = read_legacy_count(b, p, end, 18)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_metadata_response_partition_0(b, p, end)
        append(item)
    return MetadataResponseTopic(error_code, name, is_internal=is_internal, partitions=partitions), p


def _decode_metadata_response_1(b, p, end):
    n, p = read_legacy_count(b, p, end, 12)
    brokers = []
    append = brokers.append
    for _ in range(n):
        item, p = _decode_metadata_response_broker_1(b, p, end)
        append(item)
    (controller_id,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 9)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_metadata_response_topic_1(b, p, end)
        append(item)
    return MetadataResponse(brokers=brokers, controller_id=controller_id, topics=topics), p


def _decode_metadata_response_2(b, p, end):
    n, p = read_legacy_count(b, p, end, 12)
    brokers = []
    append = brokers.append
    for _ in range(n):
        item, p = _decode_metadata_response_broker_1(b, p, end)
        append(item)
    cluster_id, p = read_legacy_nullable_string(b, p, end)
    (controller_id,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 9)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_metadata_response_topic_1(b, p, end)
        append(item)
    return MetadataResponse(brokers=brokers, cluster_id=cluster_id, controller_id=controller_id, topics=topics), p


def _decode_metadata_response_3(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 12)
    brokers = []
    append = brokers.append
    for _ in range(n):
        item, p = _decode_metadata_response_broker_1(b, p, end)
        append(item)
    cluster_id, p = read_legacy_nullable_string(b, p, end)
    (controller_id,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 9)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_metadata_response_topic_1(b, p, end)
        append(item)
    return MetadataResponse(throttle_time_ms, brokers, cluster_id, controller_id, topics), p


def _decode_metadata_response_partition_5(b, p, end):
    error_code, partition_index, leader_id = _hii.unpack_from(b, p)
    p += 10
    n, p = read_legacy_count(b, p, end, 4)
    replica_nodes = unpack_from(f">{n}i", b, p)
    p += 4 * n
    n, p = read_legacy_count(b, p, end, 4)
    isr_nodes = unpack_from(f">{n}i", b, p)
    p += 4 * n
    n, p = read_legacy_count(b, p, end, 4)
    offline_replicas = unpack_from(f">{n}i", b, p)
    p += 4 * n
    return MetadataResponsePartition(error_code, partition_index, leader_id, replica_nodes=replica_nodes, isr_nodes=isr_nodes, offline_replicas=offline_replicas), p


def _decode_metadata_response_topic_5(b, p, end):
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    name, p = read_legacy_string(b, p, end)
    (is_internal,) = _t.unpack_from(b, p)
    p += 1
    n, p = read_legacy_count(b, p, end, 22)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_metadata_response_partition_5(b, p, end)
        append(item)
    return MetadataResponseTopic(error_code, name, is_internal=is_internal, partitions=partitions), p


def _decode_metadata_response_5(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 12)
    brokers = []
    append = brokers.append
    for _ in range(n):
        item, p = _decode_metadata_response_broker_1(b, p, end)
        append(item)
    cluster_id, p = read_legacy_nullable_string(b, p, end)
    (controller_id,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 9)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_metadata_response_topic_5(b, p, end)
        append(item)
    return MetadataResponse(throttle_time_ms, brokers, cluster_id, controller_id, topics), p


def _decode_metadata_response_partition_7(b, p, end):
    error_code, partition_index, leader_id, leader_epoch = _hiii.unpack_from(b, p)
    p += 14
    n, p = read_legacy_count(b, p, end, 4)
    replica_nodes = unpack_from(f">{n}i", b, p)
    p += 4 * n
    n, p = read_legacy_count(b, p, end, 4)
    isr_nodes = unpack_from(f">{n}i", b, p)
    p += 4 * n
    n, p = read_legacy_count(b, p, end, 4)
    offline_replicas = unpack_from(f">{n}i", b, p)
    p += 4 * n
    return MetadataResponsePartition(error_code, partition_index, leader_id, leader_epoch, replica_nodes, isr_nodes, offline_replicas), p


def _decode_metadata_response_topic_7(b, p, end):
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    name, p = read_legacy_string(b, p, end)
    (is_internal,) = _t.unpack_from(b, p)
    p += 1
    n, p = read_legacy_count(b, p, end, 26)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_metadata_response_partition_7(b, p, end)
        append(item)
    return MetadataResponseTopic(error_code, name, is_internal=is_internal, partitions=partitions), p


def _decode_metadata_response_7(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 12)
    brokers = []
    append = brokers.append
    for _ in range(n):
        item, p = _decode_metadata_response_broker_1(b, p, end)
        append(item)
    cluster_id, p = read_legacy_nullable_string(b, p, end)
    (controller_id,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 9)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_metadata_response_topic_7(b, p, end)
        append(item)
    return MetadataResponse(throttle_time_ms, brokers, cluster_id, controller_id, topics), p


def _decode_metadata_response_topic_8(b, p, end):
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    name, p = read_legacy_string(b, p, end)
    (is_internal,) = _t.unpack_from(b, p)
    p += 1
    n, p = read_legacy_count(b, p, end, 26)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_metadata_response_partition_7(b, p, end)
        append(item)
    (topic_authorized_operations,) = _i.unpack_from(b, p)
    p += 4
    return MetadataResponseTopic(error_code, name, is_internal=is_internal, partitions=partitions, topic_authorized_operations=topic_authorized_operations), p


def _decode_metadata_response_8(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 12)
    brokers = []
    append = brokers.append
    for _ in range(n):
        item, p = _decode_metadata_response_broker_1(b, p, end)
        append(item)
    cluster_id, p = read_legacy_nullable_string(b, p, end)
    (controller_id,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 13)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_metadata_response_topic_8(b, p, end)
        append(item)
    (cluster_authorized_operations,) = _i.unpack_from(b, p)
    p += 4
    return MetadataResponse(throttle_time_ms, brokers, cluster_id, controller_id, topics, cluster_authorized_operations), p


def _decode_metadata_response_broker_9(b, p, end):
    (node_id,) = _i.unpack_from(b, p)
    p += 4
    host, p = read_compact_string(b, p, end)
    (port,) = _i.unpack_from(b, p)
    p += 4
    rack, p = read_compact_nullable_string(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return MetadataResponseBroker(node_id, host, port, rack), p


def _decode_metadata_response_partition_9(b, p, end):
    error_code, partition_index, leader_id, leader_epoch = _hiii.unpack_from(b, p)
    p += 14
    n, p = read_compact_count(b, p, end, 4)
    replica_nodes = unpack_from(f">{n}i", b, p)
    p += 4 * n
    n, p = read_compact_count(b, p, end, 4)
    isr_nodes = unpack_from(f">{n}i", b, p)
    p += 4 * n
    n, p = read_compact_count(b, p, end, 4)
    offline_replicas = unpack_from(f">{n}i", b, p)
    p += 4 * n
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return MetadataResponsePartition(error_code, partition_index, leader_id, leader_epoch, replica_nodes, isr_nodes, offline_replicas), p


def _decode_metadata_response_topic_9(b, p, end):
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    name, p = read_compact_string(b, p, end)
    (is_internal,) = _t.unpack_from(b, p)
    p += 1
    n, p = read_compact_count(b, p, end, 18)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_metadata_response_partition_9(b, p, end)
        append(item)
    topic_authorized_operations, tags = _iB.unpack_from(b, p)
    p += 5
    if tags:
        p = skip_tags(b, p - 1, end)
    return MetadataResponseTopic(error_code, name, is_internal=is_internal, partitions=partitions, topic_authorized_operations=topic_authorized_operations), p


def _decode_metadata_response_9(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 11)
    brokers = []
    append = brokers.append
    for _ in range(n):
        item, p = _decode_metadata_response_broker_9(b, p, end)
        append(item)
    cluster_id, p = read_compact_nullable_string(b, p, end)
    (controller_id,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 10)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_metadata_response_topic_9(b, p, end)
        append(item)
    cluster_authorized_operations, tags = _iB.unpack_from(b, p)
    p += 5
    if tags:
        p = skip_tags(b, p - 1, end)
    return MetadataResponse(throttle_time_ms, brokers, cluster_id, controller_id, topics, cluster_authorized_operations), p


def _decode_metadata_response_topic_10(b, p, end):
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    name, p = read_compact_string(b, p, end)
    topic_id, is_internal = _16st.unpack_from(b, p)
    p += 17
    n, p = read_compact_count(b, p, end, 18)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_metadata_response_partition_9(b, p, end)
        append(item)
    topic_authorized_operations, tags = _iB.unpack_from(b, p)
    p += 5
    if tags:
        p = skip_tags(b, p - 1, end)
    return MetadataResponseTopic(error_code, name, topic_id, is_internal, partitions, topic_authorized_operations), p


def _decode_metadata_response_10(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 11)
    brokers = []
    append = brokers.append
    for _ in range(n):
        item, p = _decode_metadata_response_broker_9(b, p, end)
        append(item)
    cluster_id, p = read_compact_nullable_string(b, p, end)
    (controller_id,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 26)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_metadata_response_topic_10(b, p, end)
        append(item)
    cluster_authorized_operations, tags = _iB.unpack_from(b, p)
    p += 5
    if tags:
        p = skip_tags(b, p - 1, end)
    return MetadataResponse(throttle_time_ms, brokers, cluster_id, controller_id, topics, cluster_authorized_operations), p


def _decode_metadata_response_11(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 11)
    brokers = []
    append = brokers.append
    for _ in range(n):
        item, p = _decode_metadata_response_broker_9(b, p, end)
        append(item)
    cluster_id, p = read_compact_nullable_string(b, p, end)
    (controller_id,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 26)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_metadata_response_topic_10(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return MetadataResponse(throttle_time_ms, brokers, cluster_id, controller_id, topics), p


def _decode_metadata_response_topic_12(b, p, end):
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    name, p = read_compact_nullable_string(b, p, end)
    topic_id, is_internal = _16st.unpack_from(b, p)
    p += 17
    n, p = read_compact_count(b, p, end, 18)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_metadata_response_partition_9(b, p, end)
        append(item)
    topic_authorized_operations, tags = _iB.unpack_from(b, p)
    p += 5
    if tags:
        p = skip_tags(b, p - 1, end)
    return MetadataResponseTopic(error_code, name, topic_id, is_internal, partitions, topic_authorized_operations), p


def _decode_metadata_response_12(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 11)
    brokers = []
    append = brokers.append
    for _ in range(n):
        item, p = _decode_metadata_response_broker_9(b, p, end)
        append(item)
    cluster_id, p = read_compact_nullable_string(b, p, end)
    (controller_id,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 26)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_metadata_response_topic_12(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return MetadataResponse(throttle_time_ms, brokers, cluster_id, controller_id, topics), p


def _decode_metadata_response_13(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 11)
    brokers = []
    append = brokers.append
    for _ in range(n):
        item, p = _decode_metadata_response_broker_9(b, p, end)
        append(item)
    cluster_id, p = read_compact_nullable_string(b, p, end)
    (controller_id,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 26)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_metadata_response_topic_12(b, p, end)
        append(item)
    error_code, tags = _hB.unpack_from(b, p)
    p += 3
    if tags:
        p = skip_tags(b, p - 1, end)
    return MetadataResponse(throttle_time_ms, brokers, cluster_id, controller_id, topics, error_code=error_code), p


def _encode_metadata_response_broker_0(o, w):
    w(_i.pack(o.node_id))
    x = o.host.encode()
    w(_h.pack(len(x)))
    w(x)
    w(_i.pack(o.port))


def _encode_metadata_response_partition_0(o, w):
    w(_hii.pack(o.error_code, o.partition_index, o.leader_id))
    x = o.replica_nodes
    w(_i.pack(len(x)))
    w(pack(f">{len(x)}i", *x))
    x = o.isr_nodes
    w(_i.pack(len(x)))
    w(pack(f">{len(x)}i", *x))


def _encode_metadata_response_topic_0(o, w):
    if o.topic_authorized_operations != -2147483648:
        raise absent("MetadataResponseTopic.topic_authorized_operations")
    w(_h.pack(o.error_code))
    x = o.name.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.partitions
    w(_i.pack(len(x)))
    for item in x:
        _encode_metadata_response_partition_0(item, w)


def _encode_metadata_response_0(o, w):
    if o.cluster_authorized_operations != -2147483648:
        raise absent("MetadataResponse.cluster_authorized_operations")
    x = o.brokers
    w(_i.pack(len(x)))
    for item in x:
        _encode_metadata_response_broker_0(item, w)
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_metadata_response_topic_0(item, w)


def _encode_metadata_response_broker_1(o, w):
    w(_i.pack(o.node_id))
    x = o.host.encode()
    w(_h.pack(len(x)))
    w(x)
    w(_i.pack(o.port))
    write_legacy_nullable_string(w, o.rack)


def _encode_metadata_response_topic_1(o, w):
    if o.topic_authorized_operations != -2147483648:
        raise absent("MetadataResponseTopic.topic_authorized_operations")
    w(_h.pack(o.error_code))
    x = o.name.encode()
    w(_h.pack(len(x)))
    w(x)
    w(_t.pack(o.is_internal))
    x = o.partitions
    w(_i.pack(len(x)))
    for item in x:
        _encode_metadata_response_partition_0(item, w)


def _encode_metadata_response_1(o, w):
    if o.cluster_authorized_operations != -2147483648:
        raise absent("MetadataResponse.cluster_authorized_operations")
    x = o.brokers
    w(_i.pack(len(x)))
    for item in x:
        _encode_metadata_response_broker_1(item, w)
    w(_i.pack(o.controller_id))
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_metadata_response_topic_1(item, w)


def _encode_metadata_response_2(o, w):
    if o.cluster_authorized_operations != -2147483648:
        raise absent("MetadataResponse.cluster_authorized_operations")
    x = o.brokers
    w(_i.pack(len(x)))
    for item in x:
        _encode_metadata_response_broker_1(item, w)
    write_legacy_nullable_string(w, o.cluster_id)
    w(_i.pack(o.controller_id))
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_metadata_response_topic_1(item, w)


def _encode_metadata_response_3(o, w):
    if o.cluster_authorized_operations != -2147483648:
        raise absent("MetadataResponse.cluster_authorized_operations")
    w(_i.pack(o.throttle_time_ms))
    x = o.brokers
    w(_i.pack(len(x)))
    for item in x:
        _encode_metadata_response_broker_1(item, w)
    write_legacy_nullable_string(w, o.cluster_id)
    w(_i.pack(o.controller_id))
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_metadata_response_topic_1(item, w)


def _encode_metadata_response_partition_5(o, w):
    w(_hii.pack(o.error_code, o.partition_index, o.leader_id))
    x = o.replica_nodes
    w(_i.pack(len(x)))
    w(pack(f">{len(x)}i", *x))
    x = o.isr_nodes
    w(_i.pack(len(x)))
    w(pack(f">{len(x)}i", *x))
    x = o.offline_replicas
    w(_i.pack(len(x)))
    w(pack(f">{len(x)}i", *x))


def _encode_metadata_response_topic_5(o, w):
    if o.topic_authorized_operations != -2147483648:
        raise absent("MetadataResponseTopic.topic_authorized_operations")
    w(_h.pack(o.error_code))
    x = o.name.encode()
    w(_h.pack(len(x)))
    w(x)
    w(_t.pack(o.is_internal))
    x = o.partitions
    w(_i.pack(len(x)))
    for item in x:
        _encode_metadata_response_partition_5(item, w)


def _encode_metadata_response_5(o, w):
    if o.cluster_authorized_operations != -2147483648:
        raise absent("MetadataResponse.cluster_authorized_operations")
    w(_i.pack(o.throttle_time_ms))
    x = o.brokers
    w(_i.pack(len(x)))
    for item in x:
        _encode_metadata_response_broker_1(item, w)
    write_legacy_nullable_string(w, o.cluster_id)
    w(_i.pack(o.controller_id))
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_metadata_response_topic_5(item, w)


def _encode_metadata_response_partition_7(o, w):
    w(_hiii.pack(o.error_code, o.partition_index, o.leader_id, o.leader_epoch))
    x = o.replica_nodes
    w(_i.pack(len(x)))
    w(pack(f">{len(x)}i", *x))
    x = o.isr_nodes
    w(_i.pack(len(x)))
    w(pack(f">{len(x)}i", *x))
    x = o.offline_replicas
    w(_i.pack(len(x)))
    w(pack(f">{len(x)}i", *x))


def _encode_metadata_response_topic_7(o, w):
    if o.topic_authorized_operations != -2147483648:
        raise absent("MetadataResponseTopic.topic_authorized_operations")
    w(_h.pack(o.error_code))
    x = o.name.encode()
    w(_h.pack(len(x)))
    w(x)
    w(_t.pack(o.is_internal))
    x = o.partitions
    w(_i.pack(len(x)))
    for item in x:
        _encode_metadata_response_partition_7(item, w)


def _encode_metadata_response_7(o, w):
    if o.cluster_authorized_operations != -2147483648:
        raise absent("MetadataResponse.cluster_authorized_operations")
    w(_i.pack(o.throttle_time_ms))
    x = o.brokers
    w(_i.pack(len(x)))
    for item in x:
        _encode_metadata_response_broker_1(item, w)
    write_legacy_nullable_string(w, o.cluster_id)
    w(_i.pack(o.controller_id))
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_metadata_response_topic_7(item, w)


def _encode_metadata_response_topic_8(o, w):
    w(_h.pack(o.error_code))
    x = o.name.encode()
    w(_h.pack(len(x)))
    w(x)
    w(_t.pack(o.is_internal))
    x = o.partitions
    w(_i.pack(len(x)))
    for item in x:
        _encode_metadata_response_partition_7(item, w)
    w(_i.pack(o.topic_authorized_operations))


def _encode_metadata_response_8(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.brokers
    w(_i.pack(len(x)))
    for item in x:
        _encode_metadata_response_broker_1(item, w)
    write_legacy_nullable_string(w, o.cluster_id)
    w(_i.pack(o.controller_id))
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_metadata_response_topic_8(item, w)
    w(_i.pack(o.cluster_authorized_operations))


def _encode_metadata_response_broker_9(o, w):
    w(_i.pack(o.node_id))
    x = o.host.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    w(_i.pack(o.port))
    write_compact_nullable_string(w, o.rack)
    w(COMPACT_NULL)


def _encode_metadata_response_partition_9(o, w):
    w(_hiii.pack(o.error_code, o.partition_index, o.leader_id, o.leader_epoch))
    x = o.replica_nodes
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(pack(f">{len(x)}i", *x))
    x = o.isr_nodes
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(pack(f">{len(x)}i", *x))
    x = o.offline_replicas
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(pack(f">{len(x)}i", *x))
    w(COMPACT_NULL)


def _encode_metadata_response_topic_9(o, w):
    w(_h.pack(o.error_code))
    x = o.name.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    w(_t.pack(o.is_internal))
    x = o.partitions
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_metadata_response_partition_9(item, w)
    w(_iB.pack(o.topic_authorized_operations, 0))


def _encode_metadata_response_9(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.brokers
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_metadata_response_broker_9(item, w)
    write_compact_nullable_string(w, o.cluster_id)
    w(_i.pack(o.controller_id))
    x = o.topics
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_metadata_response_topic_9(item, w)
    w(_iB.pack(o.cluster_authorized_operations, 0))


def _encode_metadata_response_topic_10(o, w):
    w(_h.pack(o.error_code))
    x = o.name.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    w(_16st.pack(o.topic_id, o.is_internal))
    x = o.partitions
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_metadata_response_partition_9(item, w)
    w(_iB.pack(o.topic_authorized_operations, 0))


def _encode_metadata_response_10(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.brokers
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_metadata_response_broker_9(item, w)
    write_compact_nullable_string(w, o.cluster_id)
    w(_i.pack(o.controller_id))
    x = o.topics
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_metadata_response_topic_10(item, w)
    w(_iB.pack(o.cluster_authorized_operations, 0))


def _encode_metadata_response_11(o, w):
    if o.cluster_authorized_operations != -2147483648:
        raise absent("MetadataResponse.cluster_authorized_operations")
    w(_i.pack(o.throttle_time_ms))
    x = o.brokers
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_metadata_response_broker_9(item, w)
    write_compact_nullable_string(w, o.cluster_id)
    w(_i.pack(o.controller_id))
    x = o.topics
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_metadata_response_topic_10(item, w)
    w(COMPACT_NULL)


def _encode_metadata_response_topic_12(o, w):
    w(_h.pack(o.error_code))
    write_compact_nullable_string(w, o.name)
    w(_16st.pack(o.topic_id, o.is_internal))
    x = o.partitions
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_metadata_response_partition_9(item, w)
    w(_iB.pack(o.topic_authorized_operations, 0))


def _encode_metadata_response_12(o, w):
    if o.cluster_authorized_operations != -2147483648:
        raise absent("MetadataResponse.cluster_authorized_operations")
    w(_i.pack(o.throttle_time_ms))
    x = o.brokers
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_metadata_response_broker_9(item, w)
    write_compact_nullable_string(w, o.cluster_id)
    w(_i.pack(o.controller_id))
    x = o.topics
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_metadata_response_topic_12(item, w)
    w(COMPACT_NULL)


def _encode_metadata_response_13(o, w):
    if o.cluster_authorized_operations != -2147483648:
        raise absent("MetadataResponse.cluster_authorized_operations")
    w(_i.pack(o.throttle_time_ms))
    x = o.brokers
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_metadata_response_broker_9(item, w)
    write_compact_nullable_string(w, o.cluster_id)
    w(_i.pack(o.controller_id))
    x = o.topics
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_metadata_response_topic_12(item, w)
    w(_hB.pack(o.error_code, 0))


REQUEST_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[MetadataRequest, int]]]] = decoders(
    (0, 0, _decode_metadata_request_0),
    (1, 3, _decode_metadata_request_1),
    (4, 7, _decode_metadata_request_4),
    (8, 8, _decode_metadata_request_8),
    (9, 9, _decode_metadata_request_9),
    (10, 10, _decode_metadata_request_10),
    (11, 13, _decode_metadata_request_11),
)
REQUEST_ENCODERS: Final[dict[int, Callable[[MetadataRequest], list[Buffer]]]] = encoders(
    (0, 0, _encode_metadata_request_0),
    (1, 3, _encode_metadata_request_1),
    (4, 7, _encode_metadata_request_4),
    (8, 8, _encode_metadata_request_8),
    (9, 9, _encode_metadata_request_9),
    (10, 10, _encode_metadata_request_10),
    (11, 13, _encode_metadata_request_11),
)

RESPONSE_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[MetadataResponse, int]]]] = decoders(
    (0, 0, _decode_metadata_response_0),
    (1, 1, _decode_metadata_response_1),
    (2, 2, _decode_metadata_response_2),
    (3, 4, _decode_metadata_response_3),
    (5, 6, _decode_metadata_response_5),
    (7, 7, _decode_metadata_response_7),
    (8, 8, _decode_metadata_response_8),
    (9, 9, _decode_metadata_response_9),
    (10, 10, _decode_metadata_response_10),
    (11, 11, _decode_metadata_response_11),
    (12, 12, _decode_metadata_response_12),
    (13, 13, _decode_metadata_response_13),
)
RESPONSE_ENCODERS: Final[dict[int, Callable[[MetadataResponse], list[Buffer]]]] = encoders(
    (0, 0, _encode_metadata_response_0),
    (1, 1, _encode_metadata_response_1),
    (2, 2, _encode_metadata_response_2),
    (3, 4, _encode_metadata_response_3),
    (5, 6, _encode_metadata_response_5),
    (7, 7, _encode_metadata_response_7),
    (8, 8, _encode_metadata_response_8),
    (9, 9, _encode_metadata_response_9),
    (10, 10, _encode_metadata_response_10),
    (11, 11, _encode_metadata_response_11),
    (12, 12, _encode_metadata_response_12),
    (13, 13, _encode_metadata_response_13),
)
