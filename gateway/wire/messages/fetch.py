# Generated from Kafka 4.3.1's schemas by `python -m gateway.wire.generate`. Do not edit.
"""Fetch, versions 4 to 16."""

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
    Records,
    ZERO_UUID,
    absent,
    check_tag_end,
    decoders,
    encoders,
    read_compact_count,
    read_compact_nullable_count,
    read_compact_nullable_string,
    read_compact_records,
    read_compact_string,
    read_legacy_count,
    read_legacy_nullable_count,
    read_legacy_records,
    read_legacy_string,
    read_tag,
    read_unsigned,
    record_encoders,
    skip_tags,
    unsigned,
    write_compact_nullable_string,
    write_compact_string,
    write_legacy_string,
    write_tags,
)

API_KEY: Final = 1
FLEXIBLE_FROM: Final[int | None] = 12

_16s = Struct(">16s")
_h = Struct(">h")
_i = Struct(">i")
_ihi = Struct(">ihi")
_ihqq = Struct(">ihqq")
_ihqqq = Struct(">ihqqq")
_iiB = Struct(">iiB")
_iiibii = Struct(">iiibii")
_iiiib = Struct(">iiiib")
_iiiibii = Struct(">iiiibii")
_iiqiqiB = Struct(">iiqiqiB")
_iiqqi = Struct(">iiqqi")
_iqB = Struct(">iqB")
_iqi = Struct(">iqi")
_iqqi = Struct(">iqqi")
_qiB = Struct(">qiB")
_qq = Struct(">qq")
_qqB = Struct(">qqB")

class ForgottenTopic(Message):
    __slots__ = ("topic", "topic_id", "partitions")

    def __init__(self, topic: str = "", topic_id: bytes = ZERO_UUID, partitions: Sequence[int] = ()) -> None:
        self.topic = topic
        self.topic_id = topic_id
        self.partitions = partitions


class FetchPartition(Message):
    __slots__ = (
        "partition",
        "current_leader_epoch",
        "fetch_offset",
        "last_fetched_epoch",
        "log_start_offset",
        "partition_max_bytes",
    )

    def __init__(
        self,
        partition: int = 0,
        current_leader_epoch: int = -1,
        fetch_offset: int = 0,
        last_fetched_epoch: int = -1,
        log_start_offset: int = -1,
        partition_max_bytes: int = 0,
    ) -> None:
        self.partition = partition
        self.current_leader_epoch = current_leader_epoch
        self.fetch_offset = fetch_offset
        self.last_fetched_epoch = last_fetched_epoch
        self.log_start_offset = log_start_offset
        self.partition_max_bytes = partition_max_bytes


class FetchTopic(Message):
    __slots__ = ("topic", "topic_id", "partitions")

    def __init__(
        self,
        topic: str = "",
        topic_id: bytes = ZERO_UUID,
        partitions: Sequence[FetchPartition] = (),
    ) -> None:
        self.topic = topic
        self.topic_id = topic_id
        self.partitions = partitions


class ReplicaState(Message):
    __slots__ = ("replica_id", "replica_epoch")

    def __init__(self, replica_id: int = -1, replica_epoch: int = -1) -> None:
        self.replica_id = replica_id
        self.replica_epoch = replica_epoch


class FetchRequest(Message):
    __slots__ = (
        "cluster_id",
        "replica_id",
        "replica_state",
        "max_wait_ms",
        "min_bytes",
        "max_bytes",
        "isolation_level",
        "session_id",
        "session_epoch",
        "topics",
        "forgotten_topics_data",
        "rack_id",
    )

    def __init__(
        self,
        cluster_id: str | None = None,
        replica_id: int = -1,
        replica_state: ReplicaState | None = None,
        max_wait_ms: int = 0,
        min_bytes: int = 0,
        max_bytes: int = 2147483647,
        isolation_level: int = 0,
        session_id: int = 0,
        session_epoch: int = -1,
        topics: Sequence[FetchTopic] = (),
        forgotten_topics_data: Sequence[ForgottenTopic] = (),
        rack_id: str = "",
    ) -> None:
        self.cluster_id = cluster_id
        self.replica_id = replica_id
        self.replica_state = replica_state
        self.max_wait_ms = max_wait_ms
        self.min_bytes = min_bytes
        self.max_bytes = max_bytes
        self.isolation_level = isolation_level
        self.session_id = session_id
        self.session_epoch = session_epoch
        self.topics = topics
        self.forgotten_topics_data = forgotten_topics_data
        self.rack_id = rack_id


class NodeEndpoint(Message):
    __slots__ = ("node_id", "host", "port", "rack")

    def __init__(self, node_id: int = 0, host: str = "", port: int = 0, rack: str | None = None) -> None:
        self.node_id = node_id
        self.host = host
        self.port = port
        self.rack = rack


class AbortedTransaction(Message):
    __slots__ = ("producer_id", "first_offset")

    def __init__(self, producer_id: int = 0, first_offset: int = 0) -> None:
        self.producer_id = producer_id
        self.first_offset = first_offset


class SnapshotId(Message):
    __slots__ = ("end_offset", "epoch")

    def __init__(self, end_offset: int = -1, epoch: int = -1) -> None:
        self.end_offset = end_offset
        self.epoch = epoch


class LeaderIdAndEpoch(Message):
    __slots__ = ("leader_id", "leader_epoch")

    def __init__(self, leader_id: int = -1, leader_epoch: int = -1) -> None:
        self.leader_id = leader_id
        self.leader_epoch = leader_epoch


class EpochEndOffset(Message):
    __slots__ = ("epoch", "end_offset")

    def __init__(self, epoch: int = -1, end_offset: int = -1) -> None:
        self.epoch = epoch
        self.end_offset = end_offset


class PartitionData(Message):
    __slots__ = (
        "partition_index",
        "error_code",
        "high_watermark",
        "last_stable_offset",
        "log_start_offset",
        "diverging_epoch",
        "current_leader",
        "snapshot_id",
        "aborted_transactions",
        "preferred_read_replica",
        "records",
    )

    def __init__(
        self,
        partition_index: int = 0,
        error_code: int = 0,
        high_watermark: int = 0,
        last_stable_offset: int = -1,
        log_start_offset: int = -1,
        diverging_epoch: EpochEndOffset | None = None,
        current_leader: LeaderIdAndEpoch | None = None,
        snapshot_id: SnapshotId | None = None,
        aborted_transactions: Sequence[AbortedTransaction] | None = (),
        preferred_read_replica: int = -1,
        records: Records | None = None,
    ) -> None:
        self.partition_index = partition_index
        self.error_code = error_code
        self.high_watermark = high_watermark
        self.last_stable_offset = last_stable_offset
        self.log_start_offset = log_start_offset
        self.diverging_epoch = diverging_epoch
        self.current_leader = current_leader
        self.snapshot_id = snapshot_id
        self.aborted_transactions = aborted_transactions
        self.preferred_read_replica = preferred_read_replica
        self.records = records


class FetchableTopicResponse(Message):
    __slots__ = ("topic", "topic_id", "partitions")

    def __init__(
        self,
        topic: str = "",
        topic_id: bytes = ZERO_UUID,
        partitions: Sequence[PartitionData] = (),
    ) -> None:
        self.topic = topic
        self.topic_id = topic_id
        self.partitions = partitions


class FetchResponse(Message):
    __slots__ = ("throttle_time_ms", "error_code", "session_id", "responses", "node_endpoints")

    def __init__(
        self,
        throttle_time_ms: int = 0,
        error_code: int = 0,
        session_id: int = 0,
        responses: Sequence[FetchableTopicResponse] = (),
        node_endpoints: Sequence[NodeEndpoint] = (),
    ) -> None:
        self.throttle_time_ms = throttle_time_ms
        self.error_code = error_code
        self.session_id = session_id
        self.responses = responses
        self.node_endpoints = node_endpoints


def _decode_fetch_partition_4(b, p, end):
    partition, fetch_offset, partition_max_bytes = _iqi.unpack_from(b, p)
    p += 16
    return FetchPartition(partition, fetch_offset=fetch_offset, partition_max_bytes=partition_max_bytes), p


def _decode_fetch_topic_4(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        topic = str(b[p + 2:q], "utf-8")
        p = q
    else:
        topic, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 16)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_fetch_partition_4(b, p, end)
        append(item)
    return FetchTopic(topic, partitions=partitions), p


def _decode_fetch_request_4(b, p, end):
    replica_id, max_wait_ms, min_bytes, max_bytes, isolation_level = _iiiib.unpack_from(b, p)
    p += 17
    n, p = read_legacy_count(b, p, end, 6)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_fetch_topic_4(b, p, end)
        append(item)
    return FetchRequest(replica_id=replica_id, max_wait_ms=max_wait_ms, min_bytes=min_bytes, max_bytes=max_bytes, isolation_level=isolation_level, topics=topics), p


def _decode_fetch_partition_5(b, p, end):
    partition, fetch_offset, log_start_offset, partition_max_bytes = _iqqi.unpack_from(b, p)
    p += 24
    return FetchPartition(partition, fetch_offset=fetch_offset, log_start_offset=log_start_offset, partition_max_bytes=partition_max_bytes), p


def _decode_fetch_topic_5(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        topic = str(b[p + 2:q], "utf-8")
        p = q
    else:
        topic, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 24)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_fetch_partition_5(b, p, end)
        append(item)
    return FetchTopic(topic, partitions=partitions), p


def _decode_fetch_request_5(b, p, end):
    replica_id, max_wait_ms, min_bytes, max_bytes, isolation_level = _iiiib.unpack_from(b, p)
    p += 17
    n, p = read_legacy_count(b, p, end, 6)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_fetch_topic_5(b, p, end)
        append(item)
    return FetchRequest(replica_id=replica_id, max_wait_ms=max_wait_ms, min_bytes=min_bytes, max_bytes=max_bytes, isolation_level=isolation_level, topics=topics), p


def _decode_forgotten_topic_7(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        topic = str(b[p + 2:q], "utf-8")
        p = q
    else:
        topic, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 4)
    partitions = unpack_from(f">{n}i", b, p)
    p += 4 * n
    return ForgottenTopic(topic, partitions=partitions), p


def _decode_fetch_request_7(b, p, end):
    replica_id, max_wait_ms, min_bytes, max_bytes, isolation_level, session_id, session_epoch = _iiiibii.unpack_from(b, p)
    p += 25
    n, p = read_legacy_count(b, p, end, 6)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_fetch_topic_5(b, p, end)
        append(item)
    n, p = read_legacy_count(b, p, end, 6)
    forgotten_topics_data = []
    append = forgotten_topics_data.append
    for _ in range(n):
        item, p = _decode_forgotten_topic_7(b, p, end)
        append(item)
    return FetchRequest(replica_id=replica_id, max_wait_ms=max_wait_ms, min_bytes=min_bytes, max_bytes=max_bytes, isolation_level=isolation_level, session_id=session_id, session_epoch=session_epoch, topics=topics, forgotten_topics_data=forgotten_topics_data), p


def _decode_fetch_partition_9(b, p, end):
    partition, current_leader_epoch, fetch_offset, log_start_offset, partition_max_bytes = _iiqqi.unpack_from(b, p)
    p += 28
    return FetchPartition(partition, current_leader_epoch, fetch_offset, log_start_offset=log_start_offset, partition_max_bytes=partition_max_bytes), p


def _decode_fetch_topic_9(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        topic = str(b[p + 2:q], "utf-8")
        p = q
    else:
        topic, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 28)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_fetch_partition_9(b, p, end)
        append(item)
    return FetchTopic(topic, partitions=partitions), p


def _decode_fetch_request_9(b, p, end):
    replica_id, max_wait_ms, min_bytes, max_bytes, isolation_level, session_id, session_epoch = _iiiibii.unpack_from(b, p)
    p += 25
    n, p = read_legacy_count(b, p, end, 6)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_fetch_topic_9(b, p, end)
        append(item)
    n, p = read_legacy_count(b, p, end, 6)
    forgotten_topics_data = []
    append = forgotten_topics_data.append
    for _ in range(n):
        item, p = _decode_forgotten_topic_7(b, p, end)
        append(item)
    return FetchRequest(replica_id=replica_id, max_wait_ms=max_wait_ms, min_bytes=min_bytes, max_bytes=max_bytes, isolation_level=isolation_level, session_id=session_id, session_epoch=session_epoch, topics=topics, forgotten_topics_data=forgotten_topics_data), p


def _decode_fetch_request_11(b, p, end):
    replica_id, max_wait_ms, min_bytes, max_bytes, isolation_level, session_id, session_epoch = _iiiibii.unpack_from(b, p)
    p += 25
    n, p = read_legacy_count(b, p, end, 6)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_fetch_topic_9(b, p, end)
        append(item)
    n, p = read_legacy_count(b, p, end, 6)
    forgotten_topics_data = []
    append = forgotten_topics_data.append
    for _ in range(n):
        item, p = _decode_forgotten_topic_7(b, p, end)
        append(item)
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        rack_id = str(b[p + 2:q], "utf-8")
        p = q
    else:
        rack_id, p = read_legacy_string(b, p, end)
    return FetchRequest(replica_id=replica_id, max_wait_ms=max_wait_ms, min_bytes=min_bytes, max_bytes=max_bytes, isolation_level=isolation_level, session_id=session_id, session_epoch=session_epoch, topics=topics, forgotten_topics_data=forgotten_topics_data, rack_id=rack_id), p


def _decode_fetch_partition_12(b, p, end):
    partition, current_leader_epoch, fetch_offset, last_fetched_epoch, log_start_offset, partition_max_bytes, tags = _iiqiqiB.unpack_from(b, p)
    p += 33
    if tags:
        p = skip_tags(b, p - 1, end)
    return FetchPartition(partition, current_leader_epoch, fetch_offset, last_fetched_epoch, log_start_offset, partition_max_bytes), p


def _decode_fetch_topic_12(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        topic = str(b[p + 1:q], "utf-8")
        p = q
    else:
        topic, p = read_compact_string(b, p, end)
    n = b[p] - 1
    if 0 <= n < 127 and n * 33 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 33)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_fetch_partition_12(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return FetchTopic(topic, partitions=partitions), p


def _decode_forgotten_topic_12(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        topic = str(b[p + 1:q], "utf-8")
        p = q
    else:
        topic, p = read_compact_string(b, p, end)
    n = b[p] - 1
    if 0 <= n < 127 and n * 4 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 4)
    partitions = unpack_from(f">{n}i", b, p)
    p += 4 * n
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return ForgottenTopic(topic, partitions=partitions), p


def _decode_fetch_request_12(b, p, end):
    replica_id, max_wait_ms, min_bytes, max_bytes, isolation_level, session_id, session_epoch = _iiiibii.unpack_from(b, p)
    p += 25
    n = b[p] - 1
    if 0 <= n < 127 and n * 3 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 3)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_fetch_topic_12(b, p, end)
        append(item)
    n = b[p] - 1
    if 0 <= n < 127 and n * 3 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 3)
    forgotten_topics_data = []
    append = forgotten_topics_data.append
    for _ in range(n):
        item, p = _decode_forgotten_topic_12(b, p, end)
        append(item)
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        rack_id = str(b[p + 1:q], "utf-8")
        p = q
    else:
        rack_id, p = read_compact_string(b, p, end)
    tags = b[p]
    p += 1
    cluster_id = None
    if tags:
        tags, p = read_unsigned(b, p - 1, end)
        for _ in range(tags):
            tag, p, stop = read_tag(b, p, end)
            if tag == 0:
                n = b[p]
                if 0 < n < 128 and (q := p + n) <= stop:
                    cluster_id = str(b[p + 1:q], "utf-8")
                    p = q
                else:
                    cluster_id, p = read_compact_nullable_string(b, p, stop)
                check_tag_end(p, stop)
            p = stop
    return FetchRequest(cluster_id, replica_id, max_wait_ms=max_wait_ms, min_bytes=min_bytes, max_bytes=max_bytes, isolation_level=isolation_level, session_id=session_id, session_epoch=session_epoch, topics=topics, forgotten_topics_data=forgotten_topics_data, rack_id=rack_id), p


def _decode_fetch_topic_13(b, p, end):
    (topic_id,) = _16s.unpack_from(b, p)
    p += 16
    n = b[p] - 1
    if 0 <= n < 127 and n * 33 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 33)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_fetch_partition_12(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return FetchTopic(topic_id=topic_id, partitions=partitions), p


def _decode_forgotten_topic_13(b, p, end):
    (topic_id,) = _16s.unpack_from(b, p)
    p += 16
    n = b[p] - 1
    if 0 <= n < 127 and n * 4 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 4)
    partitions = unpack_from(f">{n}i", b, p)
    p += 4 * n
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return ForgottenTopic(topic_id=topic_id, partitions=partitions), p


def _decode_fetch_request_13(b, p, end):
    replica_id, max_wait_ms, min_bytes, max_bytes, isolation_level, session_id, session_epoch = _iiiibii.unpack_from(b, p)
    p += 25
    n = b[p] - 1
    if 0 <= n < 127 and n * 18 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 18)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_fetch_topic_13(b, p, end)
        append(item)
    n = b[p] - 1
    if 0 <= n < 127 and n * 18 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 18)
    forgotten_topics_data = []
    append = forgotten_topics_data.append
    for _ in range(n):
        item, p = _decode_forgotten_topic_13(b, p, end)
        append(item)
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        rack_id = str(b[p + 1:q], "utf-8")
        p = q
    else:
        rack_id, p = read_compact_string(b, p, end)
    tags = b[p]
    p += 1
    cluster_id = None
    if tags:
        tags, p = read_unsigned(b, p - 1, end)
        for _ in range(tags):
            tag, p, stop = read_tag(b, p, end)
            if tag == 0:
                n = b[p]
                if 0 < n < 128 and (q := p + n) <= stop:
                    cluster_id = str(b[p + 1:q], "utf-8")
                    p = q
                else:
                    cluster_id, p = read_compact_nullable_string(b, p, stop)
                check_tag_end(p, stop)
            p = stop
    return FetchRequest(cluster_id, replica_id, max_wait_ms=max_wait_ms, min_bytes=min_bytes, max_bytes=max_bytes, isolation_level=isolation_level, session_id=session_id, session_epoch=session_epoch, topics=topics, forgotten_topics_data=forgotten_topics_data, rack_id=rack_id), p


def _decode_replica_state_15(b, p, end):
    replica_id, replica_epoch, tags = _iqB.unpack_from(b, p)
    p += 13
    if tags:
        p = skip_tags(b, p - 1, end)
    return ReplicaState(replica_id, replica_epoch), p


def _decode_fetch_request_15(b, p, end):
    max_wait_ms, min_bytes, max_bytes, isolation_level, session_id, session_epoch = _iiibii.unpack_from(b, p)
    p += 21
    n = b[p] - 1
    if 0 <= n < 127 and n * 18 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 18)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_fetch_topic_13(b, p, end)
        append(item)
    n = b[p] - 1
    if 0 <= n < 127 and n * 18 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 18)
    forgotten_topics_data = []
    append = forgotten_topics_data.append
    for _ in range(n):
        item, p = _decode_forgotten_topic_13(b, p, end)
        append(item)
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        rack_id = str(b[p + 1:q], "utf-8")
        p = q
    else:
        rack_id, p = read_compact_string(b, p, end)
    tags = b[p]
    p += 1
    cluster_id = None
    replica_state = None
    if tags:
        tags, p = read_unsigned(b, p - 1, end)
        for _ in range(tags):
            tag, p, stop = read_tag(b, p, end)
            if tag == 0:
                n = b[p]
                if 0 < n < 128 and (q := p + n) <= stop:
                    cluster_id = str(b[p + 1:q], "utf-8")
                    p = q
                else:
                    cluster_id, p = read_compact_nullable_string(b, p, stop)
                check_tag_end(p, stop)
            elif tag == 1:
                replica_state, p = _decode_replica_state_15(b, p, stop)
                check_tag_end(p, stop)
            p = stop
    return FetchRequest(cluster_id, replica_state=replica_state, max_wait_ms=max_wait_ms, min_bytes=min_bytes, max_bytes=max_bytes, isolation_level=isolation_level, session_id=session_id, session_epoch=session_epoch, topics=topics, forgotten_topics_data=forgotten_topics_data, rack_id=rack_id), p


def _encode_fetch_partition_4(o, w):
    if o.last_fetched_epoch != -1:
        raise absent("FetchPartition.last_fetched_epoch")
    w(_iqi.pack(o.partition, o.fetch_offset, o.partition_max_bytes))


def _encode_fetch_topic_4(o, w):
    write_legacy_string(w, o.topic)
    x = o.partitions
    w(_i.pack(len(x)))
    for item in x:
        _encode_fetch_partition_4(item, w)


def _encode_fetch_request_4(o, w):
    if o.replica_state is not None and o.replica_state != ReplicaState():
        raise absent("FetchRequest.replica_state")
    if o.forgotten_topics_data:
        raise absent("FetchRequest.forgotten_topics_data")
    w(_iiiib.pack(o.replica_id, o.max_wait_ms, o.min_bytes, o.max_bytes, o.isolation_level))
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_fetch_topic_4(item, w)


def _encode_fetch_partition_5(o, w):
    if o.last_fetched_epoch != -1:
        raise absent("FetchPartition.last_fetched_epoch")
    w(_iqqi.pack(o.partition, o.fetch_offset, o.log_start_offset, o.partition_max_bytes))


def _encode_fetch_topic_5(o, w):
    write_legacy_string(w, o.topic)
    x = o.partitions
    w(_i.pack(len(x)))
    for item in x:
        _encode_fetch_partition_5(item, w)


def _encode_fetch_request_5(o, w):
    if o.replica_state is not None and o.replica_state != ReplicaState():
        raise absent("FetchRequest.replica_state")
    if o.forgotten_topics_data:
        raise absent("FetchRequest.forgotten_topics_data")
    w(_iiiib.pack(o.replica_id, o.max_wait_ms, o.min_bytes, o.max_bytes, o.isolation_level))
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_fetch_topic_5(item, w)


def _encode_forgotten_topic_7(o, w):
    write_legacy_string(w, o.topic)
    x = o.partitions
    w(_i.pack(len(x)))
    w(pack(f">{len(x)}i", *x))


def _encode_fetch_request_7(o, w):
    if o.replica_state is not None and o.replica_state != ReplicaState():
        raise absent("FetchRequest.replica_state")
    w(_iiiibii.pack(o.replica_id, o.max_wait_ms, o.min_bytes, o.max_bytes, o.isolation_level, o.session_id, o.session_epoch))
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_fetch_topic_5(item, w)
    x = o.forgotten_topics_data
    w(_i.pack(len(x)))
    for item in x:
        _encode_forgotten_topic_7(item, w)


def _encode_fetch_partition_9(o, w):
    if o.last_fetched_epoch != -1:
        raise absent("FetchPartition.last_fetched_epoch")
    w(_iiqqi.pack(o.partition, o.current_leader_epoch, o.fetch_offset, o.log_start_offset, o.partition_max_bytes))


def _encode_fetch_topic_9(o, w):
    write_legacy_string(w, o.topic)
    x = o.partitions
    w(_i.pack(len(x)))
    for item in x:
        _encode_fetch_partition_9(item, w)


def _encode_fetch_request_9(o, w):
    if o.replica_state is not None and o.replica_state != ReplicaState():
        raise absent("FetchRequest.replica_state")
    w(_iiiibii.pack(o.replica_id, o.max_wait_ms, o.min_bytes, o.max_bytes, o.isolation_level, o.session_id, o.session_epoch))
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_fetch_topic_9(item, w)
    x = o.forgotten_topics_data
    w(_i.pack(len(x)))
    for item in x:
        _encode_forgotten_topic_7(item, w)


def _encode_fetch_request_11(o, w):
    if o.replica_state is not None and o.replica_state != ReplicaState():
        raise absent("FetchRequest.replica_state")
    w(_iiiibii.pack(o.replica_id, o.max_wait_ms, o.min_bytes, o.max_bytes, o.isolation_level, o.session_id, o.session_epoch))
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_fetch_topic_9(item, w)
    x = o.forgotten_topics_data
    w(_i.pack(len(x)))
    for item in x:
        _encode_forgotten_topic_7(item, w)
    write_legacy_string(w, o.rack_id)


def _encode_fetch_partition_12(o, w):
    w(_iiqiqiB.pack(o.partition, o.current_leader_epoch, o.fetch_offset, o.last_fetched_epoch, o.log_start_offset, o.partition_max_bytes, 0))


def _encode_fetch_topic_12(o, w):
    write_compact_string(w, o.topic)
    x = o.partitions
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_fetch_partition_12(item, w)
    w(COMPACT_NULL)


def _encode_forgotten_topic_12(o, w):
    write_compact_string(w, o.topic)
    x = o.partitions
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(pack(f">{len(x)}i", *x))
    w(COMPACT_NULL)


def _encode_fetch_request_12(o, w):
    if o.replica_state is not None and o.replica_state != ReplicaState():
        raise absent("FetchRequest.replica_state")
    w(_iiiibii.pack(o.replica_id, o.max_wait_ms, o.min_bytes, o.max_bytes, o.isolation_level, o.session_id, o.session_epoch))
    x = o.topics
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_fetch_topic_12(item, w)
    x = o.forgotten_topics_data
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_forgotten_topic_12(item, w)
    write_compact_string(w, o.rack_id)
    tags = []
    if o.cluster_id is not None:
        inner = []
        outer, w = w, inner.append
        write_compact_nullable_string(w, o.cluster_id)
        w = outer
        tags.append((0, inner))
    if tags:
        write_tags(w, tags)
    else:
        w(COMPACT_NULL)


def _encode_fetch_topic_13(o, w):
    w(_16s.pack(o.topic_id))
    x = o.partitions
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_fetch_partition_12(item, w)
    w(COMPACT_NULL)


def _encode_forgotten_topic_13(o, w):
    w(_16s.pack(o.topic_id))
    x = o.partitions
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(pack(f">{len(x)}i", *x))
    w(COMPACT_NULL)


def _encode_fetch_request_13(o, w):
    if o.replica_state is not None and o.replica_state != ReplicaState():
        raise absent("FetchRequest.replica_state")
    w(_iiiibii.pack(o.replica_id, o.max_wait_ms, o.min_bytes, o.max_bytes, o.isolation_level, o.session_id, o.session_epoch))
    x = o.topics
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_fetch_topic_13(item, w)
    x = o.forgotten_topics_data
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_forgotten_topic_13(item, w)
    write_compact_string(w, o.rack_id)
    tags = []
    if o.cluster_id is not None:
        inner = []
        outer, w = w, inner.append
        write_compact_nullable_string(w, o.cluster_id)
        w = outer
        tags.append((0, inner))
    if tags:
        write_tags(w, tags)
    else:
        w(COMPACT_NULL)


def _encode_replica_state_15(o, w):
    w(_iqB.pack(o.replica_id, o.replica_epoch, 0))


def _encode_fetch_request_15(o, w):
    if o.replica_id != -1:
        raise absent("FetchRequest.replica_id")
    w(_iiibii.pack(o.max_wait_ms, o.min_bytes, o.max_bytes, o.isolation_level, o.session_id, o.session_epoch))
    x = o.topics
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_fetch_topic_13(item, w)
    x = o.forgotten_topics_data
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_forgotten_topic_13(item, w)
    write_compact_string(w, o.rack_id)
    tags = []
    if o.cluster_id is not None:
        inner = []
        outer, w = w, inner.append
        write_compact_nullable_string(w, o.cluster_id)
        w = outer
        tags.append((0, inner))
    if o.replica_state is not None and o.replica_state != ReplicaState():
        inner = []
        outer, w = w, inner.append
        _encode_replica_state_15(o.replica_state, w)
        w = outer
        tags.append((1, inner))
    if tags:
        write_tags(w, tags)
    else:
        w(COMPACT_NULL)


def _decode_aborted_transaction_4(b, p, end):
    producer_id, first_offset = _qq.unpack_from(b, p)
    p += 16
    return AbortedTransaction(producer_id, first_offset), p


def _decode_partition_data_4(b, p, end):
    partition_index, error_code, high_watermark, last_stable_offset = _ihqq.unpack_from(b, p)
    p += 22
    n, p = read_legacy_nullable_count(b, p, end, 16)
    if n < 0:
        aborted_transactions = None
    else:
        aborted_transactions = []
        append = aborted_transactions.append
        for _ in range(n):
            item, p = _decode_aborted_transaction_4(b, p, end)
            append(item)
    records, p = read_legacy_records(b, p, end)
    return PartitionData(partition_index, error_code, high_watermark, last_stable_offset, aborted_transactions=aborted_transactions, records=records), p


def _decode_fetchable_topic_response_4(b, p, end):
    topic, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 30)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_partition_data_4(b, p, end)
        append(item)
    return FetchableTopicResponse(topic, partitions=partitions), p


def _decode_fetch_response_4(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 6)
    responses = []
    append = responses.append
    for _ in range(n):
        item, p = _decode_fetchable_topic_response_4(b, p, end)
        append(item)
    return FetchResponse(throttle_time_ms, responses=responses), p


def _decode_partition_data_5(b, p, end):
    partition_index, error_code, high_watermark, last_stable_offset, log_start_offset = _ihqqq.unpack_from(b, p)
    p += 30
    n, p = read_legacy_nullable_count(b, p, end, 16)
    if n < 0:
        aborted_transactions = None
    else:
        aborted_transactions = []
        append = aborted_transactions.append
        for _ in range(n):
            item, p = _decode_aborted_transaction_4(b, p, end)
            append(item)
    records, p = read_legacy_records(b, p, end)
    return PartitionData(partition_index, error_code, high_watermark, last_stable_offset, log_start_offset, aborted_transactions=aborted_transactions, records=records), p


def _decode_fetchable_topic_response_5(b, p, end):
    topic, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 38)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_partition_data_5(b, p, end)
        append(item)
    return FetchableTopicResponse(topic, partitions=partitions), p


def _decode_fetch_response_5(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 6)
    responses = []
    append = responses.append
    for _ in range(n):
        item, p = _decode_fetchable_topic_response_5(b, p, end)
        append(item)
    return FetchResponse(throttle_time_ms, responses=responses), p


def _decode_fetch_response_7(b, p, end):
    throttle_time_ms, error_code, session_id = _ihi.unpack_from(b, p)
    p += 10
    n, p = read_legacy_count(b, p, end, 6)
    responses = []
    append = responses.append
    for _ in range(n):
        item, p = _decode_fetchable_topic_response_5(b, p, end)
        append(item)
    return FetchResponse(throttle_time_ms, error_code, session_id, responses), p


def _decode_partition_data_11(b, p, end):
    partition_index, error_code, high_watermark, last_stable_offset, log_start_offset = _ihqqq.unpack_from(b, p)
    p += 30
    n, p = read_legacy_nullable_count(b, p, end, 16)
    if n < 0:
        aborted_transactions = None
    else:
        aborted_transactions = []
        append = aborted_transactions.append
        for _ in range(n):
            item, p = _decode_aborted_transaction_4(b, p, end)
            append(item)
    (preferred_read_replica,) = _i.unpack_from(b, p)
    p += 4
    records, p = read_legacy_records(b, p, end)
    return PartitionData(partition_index, error_code, high_watermark, last_stable_offset, log_start_offset, aborted_transactions=aborted_transactions, preferred_read_replica=preferred_read_replica, records=records), p


def _decode_fetchable_topic_response_11(b, p, end):
    topic, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 42)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_partition_data_11(b, p, end)
        append(item)
    return FetchableTopicResponse(topic, partitions=partitions), p


def _decode_fetch_response_11(b, p, end):
    throttle_time_ms, error_code, session_id = _ihi.unpack_from(b, p)
    p += 10
    n, p = read_legacy_count(b, p, end, 6)
    responses = []
    append = responses.append
    for _ in range(n):
        item, p = _decode_fetchable_topic_response_11(b, p, end)
        append(item)
    return FetchResponse(throttle_time_ms, error_code, session_id, responses), p


def _decode_aborted_transaction_12(b, p, end):
    producer_id, first_offset, tags = _qqB.unpack_from(b, p)
    p += 17
    if tags:
        p = skip_tags(b, p - 1, end)
    return AbortedTransaction(producer_id, first_offset), p


def _decode_epoch_end_offset_12(b, p, end):
    epoch, end_offset, tags = _iqB.unpack_from(b, p)
    p += 13
    if tags:
        p = skip_tags(b, p - 1, end)
    return EpochEndOffset(epoch, end_offset), p


def _decode_leader_id_and_epoch_12(b, p, end):
    leader_id, leader_epoch, tags = _iiB.unpack_from(b, p)
    p += 9
    if tags:
        p = skip_tags(b, p - 1, end)
    return LeaderIdAndEpoch(leader_id, leader_epoch), p


def _decode_snapshot_id_12(b, p, end):
    end_offset, epoch, tags = _qiB.unpack_from(b, p)
    p += 13
    if tags:
        p = skip_tags(b, p - 1, end)
    return SnapshotId(end_offset, epoch), p


def _decode_partition_data_12(b, p, end):
    partition_index, error_code, high_watermark, last_stable_offset, log_start_offset = _ihqqq.unpack_from(b, p)
    p += 30
    n, p = read_compact_nullable_count(b, p, end, 17)
    if n < 0:
        aborted_transactions = None
    else:
        aborted_transactions = []
        append = aborted_transactions.append
        for _ in range(n):
            item, p = _decode_aborted_transaction_12(b, p, end)
            append(item)
    (preferred_read_replica,) = _i.unpack_from(b, p)
    p += 4
    records, p = read_compact_records(b, p, end)
    tags = b[p]
    p += 1
    diverging_epoch = None
    current_leader = None
    snapshot_id = None
    if tags:
        tags, p = read_unsigned(b, p - 1, end)
        for _ in range(tags):
            tag, p, stop = read_tag(b, p, end)
            if tag == 0:
                diverging_epoch, p = _decode_epoch_end_offset_12(b, p, stop)
                check_tag_end(p, stop)
            elif tag == 1:
                current_leader, p = _decode_leader_id_and_epoch_12(b, p, stop)
                check_tag_end(p, stop)
            elif tag == 2:
                snapshot_id, p = _decode_snapshot_id_12(b, p, stop)
                check_tag_end(p, stop)
            p = stop
    return PartitionData(partition_index, error_code, high_watermark, last_stable_offset, log_start_offset, diverging_epoch, current_leader, snapshot_id, aborted_transactions, preferred_read_replica, records), p


def _decode_fetchable_topic_response_12(b, p, end):
    topic, p = read_compact_string(b, p, end)
    n, p = read_compact_count(b, p, end, 37)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_partition_data_12(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return FetchableTopicResponse(topic, partitions=partitions), p


def _decode_fetch_response_12(b, p, end):
    throttle_time_ms, error_code, session_id = _ihi.unpack_from(b, p)
    p += 10
    n, p = read_compact_count(b, p, end, 3)
    responses = []
    append = responses.append
    for _ in range(n):
        item, p = _decode_fetchable_topic_response_12(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return FetchResponse(throttle_time_ms, error_code, session_id, responses), p


def _decode_fetchable_topic_response_13(b, p, end):
    (topic_id,) = _16s.unpack_from(b, p)
    p += 16
    n, p = read_compact_count(b, p, end, 37)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_partition_data_12(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return FetchableTopicResponse(topic_id=topic_id, partitions=partitions), p


def _decode_fetch_response_13(b, p, end):
    throttle_time_ms, error_code, session_id = _ihi.unpack_from(b, p)
    p += 10
    n, p = read_compact_count(b, p, end, 18)
    responses = []
    append = responses.append
    for _ in range(n):
        item, p = _decode_fetchable_topic_response_13(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return FetchResponse(throttle_time_ms, error_code, session_id, responses), p


def _decode_node_endpoint_16(b, p, end):
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
    return NodeEndpoint(node_id, host, port, rack), p


def _decode_fetch_response_16(b, p, end):
    throttle_time_ms, error_code, session_id = _ihi.unpack_from(b, p)
    p += 10
    n, p = read_compact_count(b, p, end, 18)
    responses = []
    append = responses.append
    for _ in range(n):
        item, p = _decode_fetchable_topic_response_13(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    node_endpoints = ()
    if tags:
        tags, p = read_unsigned(b, p - 1, end)
        for _ in range(tags):
            tag, p, stop = read_tag(b, p, end)
            if tag == 0:
                n, p = read_compact_count(b, p, stop, 11)
                node_endpoints = []
                append = node_endpoints.append
                for _ in range(n):
                    item, p = _decode_node_endpoint_16(b, p, stop)
                    append(item)
                check_tag_end(p, stop)
            p = stop
    return FetchResponse(throttle_time_ms, error_code, session_id, responses, node_endpoints), p


def _encode_aborted_transaction_4(o, w):
    w(_qq.pack(o.producer_id, o.first_offset))


def _encode_partition_data_4(o, w, pieces):
    if o.diverging_epoch is not None and o.diverging_epoch != EpochEndOffset():
        raise absent("PartitionData.diverging_epoch")
    if o.current_leader is not None and o.current_leader != LeaderIdAndEpoch():
        raise absent("PartitionData.current_leader")
    if o.snapshot_id is not None and o.snapshot_id != SnapshotId():
        raise absent("PartitionData.snapshot_id")
    if o.preferred_read_replica != -1:
        raise absent("PartitionData.preferred_read_replica")
    w(_ihqq.pack(o.partition_index, o.error_code, o.high_watermark, o.last_stable_offset))
    x = o.aborted_transactions
    if x is None:
        w(LEGACY_NULL)
    else:
        w(_i.pack(len(x)))
        for item in x:
            _encode_aborted_transaction_4(item, w)
    pieces.write_legacy_records(o.records)


def _encode_fetchable_topic_response_4(o, w, pieces):
    x = o.topic.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.partitions
    w(_i.pack(len(x)))
    for item in x:
        _encode_partition_data_4(item, w, pieces)


def _encode_fetch_response_4(o, w, pieces):
    if o.session_id != 0:
        raise absent("FetchResponse.session_id")
    if o.node_endpoints:
        raise absent("FetchResponse.node_endpoints")
    w(_i.pack(o.throttle_time_ms))
    x = o.responses
    w(_i.pack(len(x)))
    for item in x:
        _encode_fetchable_topic_response_4(item, w, pieces)


def _encode_partition_data_5(o, w, pieces):
    if o.diverging_epoch is not None and o.diverging_epoch != EpochEndOffset():
        raise absent("PartitionData.diverging_epoch")
    if o.current_leader is not None and o.current_leader != LeaderIdAndEpoch():
        raise absent("PartitionData.current_leader")
    if o.snapshot_id is not None and o.snapshot_id != SnapshotId():
        raise absent("PartitionData.snapshot_id")
    if o.preferred_read_replica != -1:
        raise absent("PartitionData.preferred_read_replica")
    w(_ihqqq.pack(o.partition_index, o.error_code, o.high_watermark, o.last_stable_offset, o.log_start_offset))
    x = o.aborted_transactions
    if x is None:
        w(LEGACY_NULL)
    else:
        w(_i.pack(len(x)))
        for item in x:
            _encode_aborted_transaction_4(item, w)
    pieces.write_legacy_records(o.records)


def _encode_fetchable_topic_response_5(o, w, pieces):
    x = o.topic.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.partitions
    w(_i.pack(len(x)))
    for item in x:
        _encode_partition_data_5(item, w, pieces)


def _encode_fetch_response_5(o, w, pieces):
    if o.session_id != 0:
        raise absent("FetchResponse.session_id")
    if o.node_endpoints:
        raise absent("FetchResponse.node_endpoints")
    w(_i.pack(o.throttle_time_ms))
    x = o.responses
    w(_i.pack(len(x)))
    for item in x:
        _encode_fetchable_topic_response_5(item, w, pieces)


def _encode_fetch_response_7(o, w, pieces):
    if o.node_endpoints:
        raise absent("FetchResponse.node_endpoints")
    w(_ihi.pack(o.throttle_time_ms, o.error_code, o.session_id))
    x = o.responses
    w(_i.pack(len(x)))
    for item in x:
        _encode_fetchable_topic_response_5(item, w, pieces)


def _encode_partition_data_11(o, w, pieces):
    if o.diverging_epoch is not None and o.diverging_epoch != EpochEndOffset():
        raise absent("PartitionData.diverging_epoch")
    if o.current_leader is not None and o.current_leader != LeaderIdAndEpoch():
        raise absent("PartitionData.current_leader")
    if o.snapshot_id is not None and o.snapshot_id != SnapshotId():
        raise absent("PartitionData.snapshot_id")
    w(_ihqqq.pack(o.partition_index, o.error_code, o.high_watermark, o.last_stable_offset, o.log_start_offset))
    x = o.aborted_transactions
    if x is None:
        w(LEGACY_NULL)
    else:
        w(_i.pack(len(x)))
        for item in x:
            _encode_aborted_transaction_4(item, w)
    w(_i.pack(o.preferred_read_replica))
    pieces.write_legacy_records(o.records)


def _encode_fetchable_topic_response_11(o, w, pieces):
    x = o.topic.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.partitions
    w(_i.pack(len(x)))
    for item in x:
        _encode_partition_data_11(item, w, pieces)


def _encode_fetch_response_11(o, w, pieces):
    if o.node_endpoints:
        raise absent("FetchResponse.node_endpoints")
    w(_ihi.pack(o.throttle_time_ms, o.error_code, o.session_id))
    x = o.responses
    w(_i.pack(len(x)))
    for item in x:
        _encode_fetchable_topic_response_11(item, w, pieces)


def _encode_aborted_transaction_12(o, w):
    w(_qqB.pack(o.producer_id, o.first_offset, 0))


def _encode_epoch_end_offset_12(o, w):
    w(_iqB.pack(o.epoch, o.end_offset, 0))


def _encode_leader_id_and_epoch_12(o, w):
    w(_iiB.pack(o.leader_id, o.leader_epoch, 0))


def _encode_snapshot_id_12(o, w):
    w(_qiB.pack(o.end_offset, o.epoch, 0))


def _encode_partition_data_12(o, w, pieces):
    w(_ihqqq.pack(o.partition_index, o.error_code, o.high_watermark, o.last_stable_offset, o.log_start_offset))
    x = o.aborted_transactions
    if x is None:
        w(COMPACT_NULL)
    else:
        n = len(x) + 1
        w(BYTE[n] if n < 128 else unsigned(n))
        for item in x:
            _encode_aborted_transaction_12(item, w)
    w(_i.pack(o.preferred_read_replica))
    pieces.write_compact_records(o.records)
    tags = []
    if o.diverging_epoch is not None and o.diverging_epoch != EpochEndOffset():
        inner = []
        outer, w = w, inner.append
        _encode_epoch_end_offset_12(o.diverging_epoch, w)
        w = outer
        tags.append((0, inner))
    if o.current_leader is not None and o.current_leader != LeaderIdAndEpoch():
        inner = []
        outer, w = w, inner.append
        _encode_leader_id_and_epoch_12(o.current_leader, w)
        w = outer
        tags.append((1, inner))
    if o.snapshot_id is not None and o.snapshot_id != SnapshotId():
        inner = []
        outer, w = w, inner.append
        _encode_snapshot_id_12(o.snapshot_id, w)
        w = outer
        tags.append((2, inner))
    if tags:
        write_tags(w, tags)
    else:
        w(COMPACT_NULL)


def _encode_fetchable_topic_response_12(o, w, pieces):
    x = o.topic.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.partitions
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_partition_data_12(item, w, pieces)
    w(COMPACT_NULL)


def _encode_fetch_response_12(o, w, pieces):
    if o.node_endpoints:
        raise absent("FetchResponse.node_endpoints")
    w(_ihi.pack(o.throttle_time_ms, o.error_code, o.session_id))
    x = o.responses
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_fetchable_topic_response_12(item, w, pieces)
    w(COMPACT_NULL)


def _encode_fetchable_topic_response_13(o, w, pieces):
    w(_16s.pack(o.topic_id))
    x = o.partitions
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_partition_data_12(item, w, pieces)
    w(COMPACT_NULL)


def _encode_fetch_response_13(o, w, pieces):
    if o.node_endpoints:
        raise absent("FetchResponse.node_endpoints")
    w(_ihi.pack(o.throttle_time_ms, o.error_code, o.session_id))
    x = o.responses
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_fetchable_topic_response_13(item, w, pieces)
    w(COMPACT_NULL)


def _encode_node_endpoint_16(o, w):
    w(_i.pack(o.node_id))
    x = o.host.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    w(_i.pack(o.port))
    write_compact_nullable_string(w, o.rack)
    w(COMPACT_NULL)


def _encode_fetch_response_16(o, w, pieces):
    w(_ihi.pack(o.throttle_time_ms, o.error_code, o.session_id))
    x = o.responses
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_fetchable_topic_response_13(item, w, pieces)
    tags = []
    if o.node_endpoints:
        inner = []
        outer, w = w, inner.append
        x = o.node_endpoints
        n = len(x) + 1
        w(BYTE[n] if n < 128 else unsigned(n))
        for item in x:
            _encode_node_endpoint_16(item, w)
        w = outer
        tags.append((0, inner))
    if tags:
        write_tags(w, tags)
    else:
        w(COMPACT_NULL)


REQUEST_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[FetchRequest, int]]]] = decoders(
    (4, 4, _decode_fetch_request_4),
    (5, 6, _decode_fetch_request_5),
    (7, 8, _decode_fetch_request_7),
    (9, 10, _decode_fetch_request_9),
    (11, 11, _decode_fetch_request_11),
    (12, 12, _decode_fetch_request_12),
    (13, 14, _decode_fetch_request_13),
    (15, 16, _decode_fetch_request_15),
)
REQUEST_ENCODERS: Final[dict[int, Callable[[FetchRequest], list[Buffer]]]] = encoders(
    (4, 4, _encode_fetch_request_4),
    (5, 6, _encode_fetch_request_5),
    (7, 8, _encode_fetch_request_7),
    (9, 10, _encode_fetch_request_9),
    (11, 11, _encode_fetch_request_11),
    (12, 12, _encode_fetch_request_12),
    (13, 14, _encode_fetch_request_13),
    (15, 16, _encode_fetch_request_15),
)

RESPONSE_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[FetchResponse, int]]]] = decoders(
    (4, 4, _decode_fetch_response_4),
    (5, 6, _decode_fetch_response_5),
    (7, 10, _decode_fetch_response_7),
    (11, 11, _decode_fetch_response_11),
    (12, 12, _decode_fetch_response_12),
    (13, 15, _decode_fetch_response_13),
    (16, 16, _decode_fetch_response_16),
)
RESPONSE_ENCODERS: Final[dict[int, Callable[[FetchResponse], list[Buffer]]]] = record_encoders(
    (4, 4, _encode_fetch_response_4),
    (5, 6, _encode_fetch_response_5),
    (7, 10, _encode_fetch_response_7),
    (11, 11, _encode_fetch_response_11),
    (12, 12, _encode_fetch_response_12),
    (13, 15, _encode_fetch_response_13),
    (16, 16, _encode_fetch_response_16),
)
