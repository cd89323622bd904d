# Generated from Kafka 4.3.1's schemas by `python -m gateway.wire.generate`. Do not edit.
"""OffsetFetch, versions 1 to 9."""

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

API_KEY: Final = 9
FLEXIBLE_FROM: Final[int | None] = 6

_tB = Struct(">?B")
_h = Struct(">h")
_hB = Struct(">hB")
_i = Struct(">i")
_iq = Struct(">iq")
_iqi = Struct(">iqi")

class OffsetFetchRequestTopics(Message):
    __slots__ = ("name", "partition_indexes")

    def __init__(self, name: str = "", partition_indexes: Sequence[int] = ()) -> None:
        self.name = name
        self.partition_indexes = partition_indexes


class OffsetFetchRequestGroup(Message):
    __slots__ = ("group_id", "member_id", "member_epoch", "topics")

    def __init__(
        self,
        group_id: str = "",
        member_id: str | None = None,
        member_epoch: int = -1,
        topics: Sequence[OffsetFetchRequestTopics] | None = (),
    ) -> None:
        self.group_id = group_id
        self.member_id = member_id
        self.member_epoch = member_epoch
        self.topics = topics


class OffsetFetchRequestTopic(Message):
    __slots__ = ("name", "partition_indexes")

    def __init__(self, name: str = "", partition_indexes: Sequence[int] = ()) -> None:
        self.name = name
        self.partition_indexes = partition_indexes


class OffsetFetchRequest(Message):
    __slots__ = ("group_id", "topics", "groups", "require_stable")

    def __init__(
        self,
        group_id: str = "",
        topics: Sequence[OffsetFetchRequestTopic] | None = (),
        groups: Sequence[OffsetFetchRequestGroup] = (),
        require_stable: bool = False,
    ) -> None:
        self.group_id = group_id
        self.topics = topics
        self.groups = groups
        self.require_stable = require_stable


class OffsetFetchResponsePartitions(Message):
    __slots__ = ("partition_index", "committed_offset", "committed_leader_epoch", "metadata", "error_code")

    def __init__(
        self,
        partition_index: int = 0,
        committed_offset: int = 0,
        committed_leader_epoch: int = -1,
        metadata: str | None = "",
        error_code: int = 0,
    ) -> None:
        self.partition_index = partition_index
        self.committed_offset = committed_offset
        self.committed_leader_epoch = committed_leader_epoch
        self.metadata = metadata
        self.error_code = error_code


class OffsetFetchResponseTopics(Message):
    __slots__ = ("name", "partitions")

    def __init__(self, name: str = "", partitions: Sequence[OffsetFetchResponsePartitions] = ()) -> None:
        self.name = name
        self.partitions = partitions


class OffsetFetchResponseGroup(Message):
    __slots__ = ("group_id", "topics", "error_code")

    def __init__(
        self,
        group_id: str = "",
        topics: Sequence[OffsetFetchResponseTopics] = (),
        error_code: int = 0,
    ) -> None:
        self.group_id = group_id
        self.topics = topics
        self.error_code = error_code


class OffsetFetchResponsePartition(Message):
    __slots__ = ("partition_index", "committed_offset", "committed_leader_epoch", "metadata", "error_code")

    def __init__(
        self,
        partition_index: int = 0,
        committed_offset: int = 0,
        committed_leader_epoch: int = -1,
        metadata: str | None = "",
        error_code: int = 0,
    ) -> None:
        self.partition_index = partition_index
        self.committed_offset = committed_offset
        self.committed_leader_epoch = committed_leader_epoch
        self.metadata = metadata
        self.error_code = error_code


class OffsetFetchResponseTopic(Message):
    __slots__ = ("name", "partitions")

    def __init__(self, name: str = "", partitions: Sequence[OffsetFetchResponsePartition] = ()) -> None:
        self.name = name
        self.partitions = partitions


class OffsetFetchResponse(Message):
    __slots__ = ("throttle_time_ms", "topics", "error_code", "groups")

    def __init__(
        self,
        throttle_time_ms: int = 0,
        topics: Sequence[OffsetFetchResponseTopic] = (),
        error_code: int = 0,
        groups: Sequence[OffsetFetchResponseGroup] = (),
    ) -> None:
        self.throttle_time_ms = throttle_time_ms
        self.topics = topics
        self.error_code = error_code
        self.groups = groups


def _decode_offset_fetch_request_topic_1(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        name = str(b[p + 2:q], "utf-8")
        p = q
    else:
        name, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 4)
    partition_indexes = unpack_from(f">{n}i", b, p)
    p += 4 * n
    return OffsetFetchRequestTopic(name, partition_indexes), p


def _decode_offset_fetch_request_1(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        group_id = str(b[p + 2:q], "utf-8")
        p = q
    else:
        group_id, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 6)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_offset_fetch_request_topic_1(b, p, end)
        append(item)
    return OffsetFetchRequest(group_id, topics), p


def _decode_offset_fetch_request_2(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        group_id = str(b[p + 2:q], "utf-8")
        p = q
    else:
        group_id, p = read_legacy_string(b, p, end)
    n, p = read_legacy_nullable_count(b, p, end, 6)
    if n < 0:
        topics = None
    else:
        topics = []
        append = topics.append
        for _ in range(n):
            item, p = _decode_offset_fetch_request_topic_1(b, p, end)
            append(item)
    return OffsetFetchRequest(group_id, topics), p


def _decode_offset_fetch_request_topic_6(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        name = str(b[p + 1:q], "utf-8")
        p = q
    else:
        name, p = read_compact_string(b, p, end)
    n = b[p] - 1
    if 0 <= n < 127 and n * 4 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 4)
    partition_indexes = unpack_from(f">{n}i", b, p)
    p += 4 * n
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return OffsetFetchRequestTopic(name, partition_indexes), p


def _decode_offset_fetch_request_6(b, p, end):
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
        n, p = read_compact_nullable_count(b, p, end, 3)
    if n < 0:
        topics = None
    else:
        topics = []
        append = topics.append
        for _ in range(n):
            item, p = _decode_offset_fetch_request_topic_6(b, p, end)
            append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return OffsetFetchRequest(group_id, topics), p


def _decode_offset_fetch_request_7(b, p, end):
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
        n, p = read_compact_nullable_count(b, p, end, 3)
    if n < 0:
        topics = None
    else:
        topics = []
        append = topics.append
        for _ in range(n):
            item, p = _decode_offset_fetch_request_topic_6(b, p, end)
            append(item)
    require_stable, tags = _tB.unpack_from(b, p)
    p += 2
    if tags:
        p = skip_tags(b, p - 1, end)
    return OffsetFetchRequest(group_id, topics, require_stable=require_stable), p


def _decode_offset_fetch_request_topics_8(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        name = str(b[p + 1:q], "utf-8")
        p = q
    else:
        name, p = read_compact_string(b, p, end)
    n = b[p] - 1
    if 0 <= n < 127 and n * 4 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 4)
    partition_indexes = unpack_from(f">{n}i", b, p)
    p += 4 * n
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return OffsetFetchRequestTopics(name, partition_indexes), p


def _decode_offset_fetch_request_group_8(b, p, end):
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
        n, p = read_compact_nullable_count(b, p, end, 3)
    if n < 0:
        topics = None
    else:
        topics = []
        append = topics.append
        for _ in range(n):
            item, p = _decode_offset_fetch_request_topics_8(b, p, end)
            append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return OffsetFetchRequestGroup(group_id, topics=topics), p


def _decode_offset_fetch_request_8(b, p, end):
    n = b[p] - 1
    if 0 <= n < 127 and n * 3 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 3)
    groups = []
    append = groups.append
    for _ in range(n):
        item, p = _decode_offset_fetch_request_group_8(b, p, end)
        append(item)
    require_stable, tags = _tB.unpack_from(b, p)
    p += 2
    if tags:
        p = skip_tags(b, p - 1, end)
    return OffsetFetchRequest(groups=groups, require_stable=require_stable), p


def _decode_offset_fetch_request_group_9(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        group_id = str(b[p + 1:q], "utf-8")
        p = q
    else:
        group_id, p = read_compact_string(b, p, end)
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        member_id = str(b[p + 1:q], "utf-8")
        p = q
    else:
        member_id, p = read_compact_nullable_string(b, p, end)
    (member_epoch,) = _i.unpack_from(b, p)
    p += 4
    n = b[p] - 1
    if 0 <= n < 127 and n * 3 < end - p:
        p += 1
    else:
        n, p = read_compact_nullable_count(b, p, end, 3)
    if n < 0:
        topics = None
    else:
        topics = []
        append = topics.append
        for _ in range(n):
            item, p = _decode_offset_fetch_request_topics_8(b, p, end)
            append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return OffsetFetchRequestGroup(group_id, member_id, member_epoch, topics), p


def _decode_offset_fetch_request_9(b, p, end):
    n = b[p] - 1
    if 0 <= n < 127 and n * 8 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 8)
    groups = []
    append = groups.append
    for _ in range(n):
        item, p = _decode_offset_fetch_request_group_9(b, p, end)
        append(item)
    require_stable, tags = _tB.unpack_from(b, p)
    p += 2
    if tags:
        p = skip_tags(b, p - 1, end)
    return OffsetFetchRequest(groups=groups, require_stable=require_stable), p


def _encode_offset_fetch_request_topic_1(o, w):
    write_legacy_string(w, o.name)
    x = o.partition_indexes
    w(_i.pack(len(x)))
    w(pack(f">{len(x)}i", *x))


def _encode_offset_fetch_request_1(o, w):
    if o.groups:
        raise absent("OffsetFetchRequest.groups")
    if o.require_stable:
        raise absent("OffsetFetchRequest.require_stable")
    write_legacy_string(w, o.group_id)
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_offset_fetch_request_topic_1(item, w)


def _encode_offset_fetch_request_2(o, w):
    if o.groups:
        raise absent("OffsetFetchRequest.groups")
    if o.require_stable:
        raise absent("OffsetFetchRequest.require_stable")
    write_legacy_string(w, o.group_id)
    x = o.topics
    if x is None:
        w(LEGACY_NULL)
    else:
        w(_i.pack(len(x)))
        for item in x:
            _encode_offset_fetch_request_topic_1(item, w)


def _encode_offset_fetch_request_topic_6(o, w):
    write_compact_string(w, o.name)
    x = o.partition_indexes
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(pack(f">{len(x)}i", *x))
    w(COMPACT_NULL)


def _encode_offset_fetch_request_6(o, w):
    if o.groups:
        raise absent("OffsetFetchRequest.groups")
    if o.require_stable:
        raise absent("OffsetFetchRequest.require_stable")
    write_compact_string(w, o.group_id)
    x = o.topics
    if x is None:
        w(COMPACT_NULL)
    else:
        n = len(x) + 1
        w(BYTE[n] if n < 128 else unsigned(n))
        for item in x:
            _encode_offset_fetch_request_topic_6(item, w)
    w(COMPACT_NULL)


def _encode_offset_fetch_request_7(o, w):
    if o.groups:
        raise absent("OffsetFetchRequest.groups")
    write_compact_string(w, o.group_id)
    x = o.topics
    if x is None:
        w(COMPACT_NULL)
    else:
        n = len(x) + 1
        w(BYTE[n] if n < 128 else unsigned(n))
        for item in x:
            _encode_offset_fetch_request_topic_6(item, w)
    w(_tB.pack(o.require_stable, 0))


def _encode_offset_fetch_request_group_8(o, w):
    write_compact_string(w, o.group_id)
    x = o.topics
    if x is None:
        w(COMPACT_NULL)
    else:
        n = len(x) + 1
        w(BYTE[n] if n < 128 else unsigned(n))
        for item in x:
            _encode_offset_fetch_request_topic_6(item, w)
    w(COMPACT_NULL)


def _encode_offset_fetch_request_8(o, w):
    if o.group_id:
        raise absent("OffsetFetchRequest.group_id")
    if o.topics is None or o.topics:
        raise absent("OffsetFetchRequest.topics")
    x = o.groups
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_offset_fetch_request_group_8(item, w)
    w(_tB.pack(o.require_stable, 0))


def _encode_offset_fetch_request_group_9(o, w):
    write_compact_string(w, o.group_id)
    write_compact_nullable_string(w, o.member_id)
    w(_i.pack(o.member_epoch))
    x = o.topics
    if x is None:
        w(COMPACT_NULL)
    else:
        n = len(x) + 1
        w(BYTE[n] if n < 128 else unsigned(n))
        for item in x:
            _encode_offset_fetch_request_topic_6(item, w)
    w(COMPACT_NULL)


def _encode_offset_fetch_request_9(o, w):
    if o.group_id:
        raise absent("OffsetFetchRequest.group_id")
    if o.topics is None or o.topics:
        raise absent("OffsetFetchRequest.topics")
    x = o.groups
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_offset_fetch_request_group_9(item, w)
    w(_tB.pack(o.require_stable, 0))


def _decode_offset_fetch_response_partition_1(b, p, end):
    partition_index, committed_offset = _iq.unpack_from(b, p)
    p += 12
    metadata, p = read_legacy_nullable_string(b, p, end)
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    return OffsetFetchResponsePartition(partition_index, committed_offset, metadata=metadata, error_code=error_code), p


def _decode_offset_fetch_response_topic_1(b, p, end):
    name, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 16)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_offset_fetch_response_partition_1(b, p, end)
        append(item)
    return OffsetFetchResponseTopic(name, partitions), p


def _decode_offset_fetch_response_1(b, p, end):
    n, p = read_legacy_count(b, p, end, 6)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_offset_fetch_response_topic_1(b, p, end)
        append(item)
    return OffsetFetchResponse(topics=topics), p


def _decode_offset_fetch_response_2(b, p, end):
    n, p = read_legacy_count(b, p, end, 6)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_offset_fetch_response_topic_1(b, p, end)
        append(item)
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    return OffsetFetchResponse(topics=topics, error_code=error_code), p


def _decode_offset_fetch_response_3(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 6)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_offset_fetch_response_topic_1(b, p, end)
        append(item)
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    return OffsetFetchResponse(throttle_time_ms, topics, error_code), p


def _decode_offset_fetch_response_partition_5(b, p, end):
    partition_index, committed_offset, committed_leader_epoch = _iqi.unpack_from(b, p)
    p += 16
    metadata, p = read_legacy_nullable_string(b, p, end)
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    return OffsetFetchResponsePartition(partition_index, committed_offset, committed_leader_epoch, metadata, error_code), p


def _decode_offset_fetch_response_topic_5(b, p, end):
    name, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 20)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_offset_fetch_response_partition_5(b, p, end)
        append(item)
    return OffsetFetchResponseTopic(name, partitions), p


def _decode_offset_fetch_response_5(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 6)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_offset_fetch_response_topic_5(b, p, end)
        append(item)
    (error_code,) = _h.unpack_from(b, p)
    p += 2
    return OffsetFetchResponse(throttle_time_ms, topics, error_code), p


def _decode_offset_fetch_response_partition_6(b, p, end):
    partition_index, committed_offset, committed_leader_epoch = _iqi.unpack_from(b, p)
    p += 16
    metadata, p = read_compact_nullable_string(b, p, end)
    error_code, tags = _hB.unpack_from(b, p)
    p += 3
    if tags:
        p = skip_tags(b, p - 1, end)
    return OffsetFetchResponsePartition(partition_index, committed_offset, committed_leader_epoch, metadata, error_code), p


def _decode_offset_fetch_response_topic_6(b, p, end):
    name, p = read_compact_string(b, p, end)
    n, p = read_compact_count(b, p, end, 20)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_offset_fetch_response_partition_6(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return OffsetFetchResponseTopic(name, partitions), p


def _decode_offset_fetch_response_6(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 3)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_offset_fetch_response_topic_6(b, p, end)
        append(item)
    error_code, tags = _hB.unpack_from(b, p)
    p += 3
    if tags:
        p = skip_tags(b, p - 1, end)
    return OffsetFetchResponse(throttle_time_ms, topics, error_code), p


def _decode_offset_fetch_response_partitions_8(b, p, end):
    partition_index, committed_offset, committed_leader_epoch = _iqi.unpack_from(b, p)
    p += 16
    metadata, p = read_compact_nullable_string(b, p, end)
    error_code, tags = _hB.unpack_from(b, p)
    p += 3
    if tags:
        p = skip_tags(b, p - 1, end)
    return OffsetFetchResponsePartitions(partition_index, committed_offset, committed_leader_epoch, metadata, error_code), p


def _decode_offset_fetch_response_topics_8(b, p, end):
    name, p = read_compact_string(b, p, end)
    n, p = read_compact_count(b, p, end, 20)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_offset_fetch_response_partitions_8(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return OffsetFetchResponseTopics(name, partitions), p


def _decode_offset_fetch_response_group_8(b, p, end):
    group_id, p = read_compact_string(b, p, end)
    n, p = read_compact_count(b, p, end, 3)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_offset_fetch_response_topics_8(b, p, end)
        append(item)
    error_code, tags = _hB.unpack_from(b, p)
    p += 3
    if tags:
        p = skip_tags(b, p - 1, end)
    return OffsetFetchResponseGroup(group_id, topics, error_code), p


def _decode_offset_fetch_response_8(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 5)
    groups = []
    append = groups.append
    for _ in range(n):
        item, p = _decode_offset_fetch_response_group_8(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return OffsetFetchResponse(throttle_time_ms, groups=groups), p


def _encode_offset_fetch_response_partition_1(o, w):
    w(_iq.pack(o.partition_index, o.committed_offset))
    write_legacy_nullable_string(w, o.metadata)
    w(_h.pack(o.error_code))


def _encode_offset_fetch_response_topic_1(o, w):
    x = o.name.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.partitions
    w(_i.pack(len(x)))
    for item in x:
        _encode_offset_fetch_response_partition_1(item, w)


def _encode_offset_fetch_response_1(o, w):
    if o.groups:
        raise absent("OffsetFetchResponse.groups")
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_offset_fetch_response_topic_1(item, w)


def _encode_offset_fetch_response_2(o, w):
    if o.groups:
        raise absent("OffsetFetchResponse.groups")
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_offset_fetch_response_topic_1(item, w)
    w(_h.pack(o.error_code))


def _encode_offset_fetch_response_3(o, w):
    if o.groups:
        raise absent("OffsetFetchResponse.groups")
    w(_i.pack(o.throttle_time_ms))
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_offset_fetch_response_topic_1(item, w)
    w(_h.pack(o.error_code))


def _encode_offset_fetch_response_partition_5(o, w):
    w(_iqi.pack(o.partition_index, o.committed_offset, o.committed_leader_epoch))
    write_legacy_nullable_string(w, o.metadata)
    w(_h.pack(o.error_code))


def _encode_offset_fetch_response_topic_5(o, w):
    x = o.name.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.partitions
    w(_i.pack(len(x)))
    for item in x:
        _encode_offset_fetch_response_partition_5(item, w)


def _encode_offset_fetch_response_5(o, w):
    if o.groups:
        raise absent("OffsetFetchResponse.groups")
    w(_i.pack(o.throttle_time_ms))
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_offset_fetch_response_topic_5(item, w)
    w(_h.pack(o.error_code))


def _encode_offset_fetch_response_partition_6(o, w):
    w(_iqi.pack(o.partition_index, o.committed_offset, o.committed_leader_epoch))
    write_compact_nullable_string(w, o.metadata)
    w(_hB.pack(o.error_code, 0))


def _encode_offset_fetch_response_topic_6(o, w):
    x = o.name.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.partitions
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_offset_fetch_response_partition_6(item, w)
    w(COMPACT_NULL)


def _encode_offset_fetch_response_6(o, w):
    if o.groups:
        raise absent("OffsetFetchResponse.groups")
    w(_i.pack(o.throttle_time_ms))
    x = o.topics
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_offset_fetch_response_topic_6(item, w)
    w(_hB.pack(o.error_code, 0))


def _encode_offset_fetch_response_group_8(o, w):
    x = o.group_id.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.topics
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_offset_fetch_response_topic_6(item, w)
    w(_hB.pack(o.error_code, 0))


def _encode_offset_fetch_response_8(o, w):
    if o.topics:
        raise absent("OffsetFetchResponse.topics")
    w(_i.pack(o.throttle_time_ms))
    x = o.groups
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_offset_fetch_response_group_8(item, w)
    w(COMPACT_NULL)


REQUEST_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[OffsetFetchRequest, int]]]] = decoders(
    (1, 1, _decode_offset_fetch_request_1),
    (2, 5, _decode_offset_fetch_request_2),
    (6, 6, _decode_offset_fetch_request_6),
    (7, 7, _decode_offset_fetch_request_7),
    (8, 8, _decode_offset_fetch_request_8),
    (9, 9, _decode_offset_fetch_request_9),
)
REQUEST_ENCODERS: Final[dict[int, Callable[[OffsetFetchRequest], list[Buffer]]]] = encoders(
    (1, 1, _encode_offset_fetch_request_1),
    (2, 5, _encode_offset_fetch_request_2),
    (6, 6, _encode_offset_fetch_request_6),
    (7, 7, _encode_offset_fetch_request_7),
    (8, 8, _encode_offset_fetch_request_8),
    (9, 9, _encode_offset_fetch_request_9),
)

RESPONSE_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[OffsetFetchResponse, int]]]] = decoders(
    (1, 1, _decode_offset_fetch_response_1),
    (2, 2, _decode_offset_fetch_response_2),
    (3, 4, _decode_offset_fetch_response_3),
    (5, 5, _decode_offset_fetch_response_5),
    (6, 7, _decode_offset_fetch_response_6),
    (8, 9, _decode_offset_fetch_response_8),
)
RESPONSE_ENCODERS: Final[dict[int, Callable[[OffsetFetchResponse], list[Buffer]]]] = encoders(
    (1, 1, _encode_offset_fetch_response_1),
    (2, 2, _encode_offset_fetch_response_2),
    (3, 4, _encode_offset_fetch_response_3),
    (5, 5, _encode_offset_fetch_response_5),
    (6, 7, _encode_offset_fetch_response_6),
    (8, 9, _encode_offset_fetch_response_8),
)
