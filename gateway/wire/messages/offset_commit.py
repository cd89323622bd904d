# Generated from Kafka 4.3.1's schemas by `python -m gateway.wire.generate`. Do not edit.
"""OffsetCommit, versions 2 to 9."""

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

API_KEY: Final = 8
FLEXIBLE_FROM: Final[int | None] = 8

_h = Struct(">h")
_i = Struct(">i")
_ih = Struct(">ih")
_ihB = Struct(">ihB")
_iq = Struct(">iq")
_iqi = Struct(">iqi")
_q = Struct(">q")

class OffsetCommitRequestPartition(Message):
    __slots__ = ("partition_index", "committed_offset", "committed_leader_epoch", "committed_metadata")

    def __init__(
        self,
        partition_index: int = 0,
        committed_offset: int = 0,
        committed_leader_epoch: int = -1,
        committed_metadata: str | None = "",
    ) -> None:
        self.partition_index = partition_index
        self.committed_offset = committed_offset
        self.committed_leader_epoch = committed_leader_epoch
        self.committed_metadata = committed_metadata


class OffsetCommitRequestTopic(Message):
    __slots__ = ("name", "partitions")

    def __init__(self, name: str = "", partitions: Sequence[OffsetCommitRequestPartition] = ()) -> None:
        self.name = name
        self.partitions = partitions


class OffsetCommitRequest(Message):
    __slots__ = (
        "group_id",
        "generation_id_or_member_epoch",
        "member_id",
        "group_instance_id",
        "retention_time_ms",
        "topics",
    )

    def __init__(
        self,
        group_id: str = "",
        generation_id_or_member_epoch: int = -1,
        member_id: str = "",
        group_instance_id: str | None = None,
        retention_time_ms: int = -1,
        topics: Sequence[OffsetCommitRequestTopic] = (),
    ) -> None:
        self.group_id = group_id
        self.generation_id_or_member_epoch = generation_id_or_member_epoch
        self.member_id = member_id
        self.group_instance_id = group_instance_id
        self.retention_time_ms = retention_time_ms
        self.topics = topics


class OffsetCommitResponsePartition(Message):
    __slots__ = ("partition_index", "error_code")

    def __init__(self, partition_index: int = 0, error_code: int = 0) -> None:
        self.partition_index = partition_index
        self.error_code = error_code


class OffsetCommitResponseTopic(Message):
    __slots__ = ("name", "partitions")

    def __init__(self, name: str = "", partitions: Sequence[OffsetCommitResponsePartition] = ()) -> None:
        self.name = name
        self.partitions = partitions


class OffsetCommitResponse(Message):
    __slots__ = ("throttle_time_ms", "topics")

    def __init__(self, throttle_time_ms: int = 0, topics: Sequence[OffsetCommitResponseTopic] = ()) -> None:
        self.throttle_time_ms = throttle_time_ms
        self.topics = topics


def _decode_offset_commit_request_partition_2(b, p, end):
    partition_index, committed_offset = _iq.unpack_from(b, p)
    p += 12
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        committed_metadata = str(b[p + 2:q], "utf-8")
        p = q
    else:
        committed_metadata, p = read_legacy_nullable_string(b, p, end)
    return OffsetCommitRequestPartition(partition_index, committed_offset, committed_metadata=committed_metadata), p


def _decode_offset_commit_request_topic_2(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        name = str(b[p + 2:q], "utf-8")
        p = q
    else:
        name, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 14)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_offset_commit_request_partition_2(b, p, end)
        append(item)
    return OffsetCommitRequestTopic(name, partitions), p


def _decode_offset_commit_request_2(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        group_id = str(b[p + 2:q], "utf-8")
        p = q
    else:
        group_id, p = read_legacy_string(b, p, end)
    (generation_id_or_member_epoch,) = _i.unpack_from(b, p)
    p += 4
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        member_id = str(b[p + 2:q], "utf-8")
        p = q
    else:
        member_id, p = read_legacy_string(b, p, end)
    (retention_time_ms,) = _q.unpack_from(b, p)
    p += 8
    n, p = read_legacy_count(b, p, end, 6)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_offset_commit_request_topic_2(b, p, end)
        append(item)
    return OffsetCommitRequest(group_id, generation_id_or_member_epoch, member_id, retention_time_ms=retention_time_ms, topics=topics), p


def _decode_offset_commit_request_5(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        group_id = str(b[p + 2:q], "utf-8")
        p = q
    else:
        group_id, p = read_legacy_string(b, p, end)
    (generation_id_or_member_epoch,) = _i.unpack_from(b, p)
    p += 4
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        member_id = str(b[p + 2:q], "utf-8")
        p = q
    else:
        member_id, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 6)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_offset_commit_request_topic_2(b, p, end)
        append(item)
    return OffsetCommitRequest(group_id, generation_id_or_member_epoch, member_id, topics=topics), p


def _decode_offset_commit_request_partition_6(b, p, end):
    partition_index, committed_offset, committed_leader_epoch = _iqi.unpack_from(b, p)
    p += 16
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        committed_metadata = str(b[p + 2:q], "utf-8")
        p = q
    else:
        committed_metadata, p = read_legacy_nullable_string(b, p, end)
    return OffsetCommitRequestPartition(partition_index, committed_offset, committed_leader_epoch, committed_metadata), p


def _decode_offset_commit_request_topic_6(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        name = str(b[p + 2:q], "utf-8")
        p = q
    else:
        name, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 18)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_offset_commit_request_partition_6(b, p, end)
        append(item)
    return OffsetCommitRequestTopic(name, partitions), p


def _decode_offset_commit_request_6(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        group_id = str(b[p + 2:q], "utf-8")
        p = q
    else:
        group_id, p = read_legacy_string(b, p, end)
    (generation_id_or_member_epoch,) = _i.unpack_from(b, p)
    p += 4
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        member_id = str(b[p + 2:q], "utf-8")
        p = q
    else:
        member_id, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 6)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_offset_commit_request_topic_6(b, p, end)
        append(item)
    return OffsetCommitRequest(group_id, generation_id_or_member_epoch, member_id, topics=topics), p


def _decode_offset_commit_request_7(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        group_id = str(b[p + 2:q], "utf-8")
        p = q
    else:
        group_id, p = read_legacy_string(b, p, end)
    (generation_id_or_member_epoch,) = _i.unpack_from(b, p)
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
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_offset_commit_request_topic_6(b, p, end)
        append(item)
    return OffsetCommitRequest(group_id, generation_id_or_member_epoch, member_id, group_instance_id, topics=topics), p


def _decode_offset_commit_request_partition_8(b, p, end):
    partition_index, committed_offset, committed_leader_epoch = _iqi.unpack_from(b, p)
    p += 16
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        committed_metadata = str(b[p + 1:q], "utf-8")
        p = q
    else:
        committed_metadata, p = read_compact_nullable_string(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return OffsetCommitRequestPartition(partition_index, committed_offset, committed_leader_epoch, committed_metadata), p


def _decode_offset_commit_request_topic_8(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        name = str(b[p + 1:q], "utf-8")
        p = q
    else:
        name, p = read_compact_string(b, p, end)
    n = b[p] - 1
    if 0 <= n < 127 and n * 18 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 18)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_offset_commit_request_partition_8(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return OffsetCommitRequestTopic(name, partitions), p


def _decode_offset_commit_request_8(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        group_id = str(b[p + 1:q], "utf-8")
        p = q
    else:
        group_id, p = read_compact_string(b, p, end)
    (generation_id_or_member_epoch,) = _i.unpack_from(b, p)
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
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_offset_commit_request_topic_8(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return OffsetCommitRequest(group_id, generation_id_or_member_epoch, member_id, group_instance_id, topics=topics), p


def _encode_offset_commit_request_partition_2(o, w):
    w(_iq.pack(o.partition_index, o.committed_offset))
    write_legacy_nullable_string(w, o.committed_metadata)


def _encode_offset_commit_request_topic_2(o, w):
    write_legacy_string(w, o.name)
    x = o.partitions
    w(_i.pack(len(x)))
    for item in x:
        _encode_offset_commit_request_partition_2(item, w)


def _encode_offset_commit_request_2(o, w):
    if o.group_instance_id is not None:
        raise absent("OffsetCommitRequest.group_instance_id")
    write_legacy_string(w, o.group_id)
    w(_i.pack(o.generation_id_or_member_epoch))
    write_legacy_string(w, o.member_id)
    w(_q.pack(o.retention_time_ms))
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_offset_commit_request_topic_2(item, w)


def _encode_offset_commit_request_5(o, w):
    if o.group_instance_id is not None:
        raise absent("OffsetCommitRequest.group_instance_id")
    write_legacy_string(w, o.group_id)
    w(_i.pack(o.generation_id_or_member_epoch))
    write_legacy_string(w, o.member_id)
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_offset_commit_request_topic_2(item, w)


def _encode_offset_commit_request_partition_6(o, w):
    w(_iqi.pack(o.partition_index, o.committed_offset, o.committed_leader_epoch))
    write_legacy_nullable_string(w, o.committed_metadata)


def _encode_offset_commit_request_topic_6(o, w):
    write_legacy_string(w, o.name)
    x = o.partitions
    w(_i.pack(len(x)))
    for item in x:
        _encode_offset_commit_request_partition_6(item, w)


def _encode_offset_commit_request_6(o, w):
    if o.group_instance_id is not None:
        raise absent("OffsetCommitRequest.group_instance_id")
    write_legacy_string(w, o.group_id)
    w(_i.pack(o.generation_id_or_member_epoch))
    write_legacy_string(w, o.member_id)
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_offset_commit_request_topic_6(item, w)


def _encode_offset_commit_request_7(o, w):
    write_legacy_string(w, o.group_id)
    w(_i.pack(o.generation_id_or_member_epoch))
    write_legacy_string(w, o.member_id)
    write_legacy_nullable_string(w, o.group_instance_id)
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_offset_commit_request_topic_6(item, w)


def _encode_offset_commit_request_partition_8(o, w):
    w(_iqi.pack(o.partition_index, o.committed_offset, o.committed_leader_epoch))
    write_compact_nullable_string(w, o.committed_metadata)
    w(COMPACT_NULL)


def _encode_offset_commit_request_topic_8(o, w):
    write_compact_string(w, o.name)
    x = o.partitions
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_offset_commit_request_partition_8(item, w)
    w(COMPACT_NULL)


def _encode_offset_commit_request_8(o, w):
    write_compact_string(w, o.group_id)
    w(_i.pack(o.generation_id_or_member_epoch))
    write_compact_string(w, o.member_id)
    write_compact_nullable_string(w, o.group_instance_id)
    x = o.topics
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_offset_commit_request_topic_8(item, w)
    w(COMPACT_NULL)


def _decode_offset_commit_response_partition_2(b, p, end):
    partition_index, error_code = _ih.unpack_from(b, p)
    p += 6
    return OffsetCommitResponsePartition(partition_index, error_code), p


def _decode_offset_commit_response_topic_2(b, p, end):
    name, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 6)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_offset_commit_response_partition_2(b, p, end)
        append(item)
    return OffsetCommitResponseTopic(name, partitions), p


def _decode_offset_commit_response_2(b, p, end):
    n, p = read_legacy_count(b, p, end, 6)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_offset_commit_response_topic_2(b, p, end)
        append(item)
    return OffsetCommitResponse(topics=topics), p


def _decode_offset_commit_response_3(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_legacy_count(b, p, end, 6)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_offset_commit_response_topic_2(b, p, end)
        append(item)
    return OffsetCommitResponse(throttle_time_ms, topics), p


def _decode_offset_commit_response_partition_8(b, p, end):
    partition_index, error_code, tags = _ihB.unpack_from(b, p)
    p += 7
    if tags:
        p = skip_tags(b, p - 1, end)
    return OffsetCommitResponsePartition(partition_index, error_code), p


def _decode_offset_commit_response_topic_8(b, p, end):
    name, p = read_compact_string(b, p, end)
    n, p = read_compact_count(b, p, end, 7)
    partitions = []
    append = partitions.append
    for _ in range(n):
        item, p = _decode_offset_commit_response_partition_8(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return OffsetCommitResponseTopic(name, partitions), p


def _decode_offset_commit_response_8(b, p, end):
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    n, p = read_compact_count(b, p, end, 3)
    topics = []
    append = topics.append
    for _ in range(n):
        item, p = _decode_offset_commit_response_topic_8(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return OffsetCommitResponse(throttle_time_ms, topics), p


def _encode_offset_commit_response_partition_2(o, w):
    w(_ih.pack(o.partition_index, o.error_code))


def _encode_offset_commit_response_topic_2(o, w):
    x = o.name.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.partitions
    w(_i.pack(len(x)))
    for item in x:
        _encode_offset_commit_response_partition_2(item, w)


def _encode_offset_commit_response_2(o, w):
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_offset_commit_response_topic_2(item, w)


def _encode_offset_commit_response_3(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.topics
    w(_i.pack(len(x)))
    for item in x:
        _encode_offset_commit_response_topic_2(item, w)


def _encode_offset_commit_response_partition_8(o, w):
    w(_ihB.pack(o.partition_index, o.error_code, 0))


def _encode_offset_commit_response_topic_8(o, w):
    x = o.name.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.partitions
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_offset_commit_response_partition_8(item, w)
    w(COMPACT_NULL)


def _encode_offset_commit_response_8(o, w):
    w(_i.pack(o.throttle_time_ms))
    x = o.topics
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_offset_commit_response_topic_8(item, w)
    w(COMPACT_NULL)


REQUEST_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[OffsetCommitRequest, int]]]] = decoders(
    (2, 4, _decode_offset_commit_request_2),
    (5, 5, _decode_offset_commit_request_5),
    (6, 6, _decode_offset_commit_request_6),
    (7, 7, _decode_offset_commit_request_7),
    (8, 9, _decode_offset_commit_request_8),
)
REQUEST_ENCODERS: Final[dict[int, Callable[[OffsetCommitRequest], list[Buffer]]]] = encoders(
    (2, 4, _encode_offset_commit_request_2),
    (5, 5, _encode_offset_commit_request_5),
    (6, 6, _encode_offset_commit_request_6),
    (7, 7, _encode_offset_commit_request_7),
    (8, 9, _encode_offset_commit_request_8),
)

RESPONSE_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[OffsetCommitResponse, int]]]] = decoders(
    (2, 2, _decode_offset_commit_response_2),
    (3, 7, _decode_offset_commit_response_3),
    (8, 9, _decode_offset_commit_response_8),
)
RESPONSE_ENCODERS: Final[dict[int, Callable[[OffsetCommitResponse], list[Buffer]]]] = encoders(
    (2, 2, _encode_offset_commit_response_2),
    (3, 7, _encode_offset_commit_response_3),
    (8, 9, _encode_offset_commit_response_8),
)
