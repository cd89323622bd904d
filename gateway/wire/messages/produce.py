# Generated from Kafka 4.3.1's schemas by `python -m gateway.wire.generate`. Do not edit.
"""Produce, versions 3 to 12."""

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
    check_tag_end,
    decoders,
    encoders,
    read_compact_count,
    read_compact_nullable_string,
    read_compact_records,
    read_compact_string,
    read_legacy_count,
    read_legacy_nullable_string,
    read_legacy_records,
    read_legacy_string,
    read_tag,
    read_unsigned,
    record_encoders,
    skip_tags,
    unsigned,
    write_compact_nullable_string,
    write_compact_string,
    write_legacy_nullable_string,
    write_legacy_string,
    write_tags,
)

API_KEY: Final = 0
FLEXIBLE_FROM: Final[int | None] = 9

_h = Struct(">h")
_hi = Struct(">hi")
_i = Struct(">i")
_iB = Struct(">iB")
_ihqq = Struct(">ihqq")
_ihqqq = Struct(">ihqqq")
_iiB = Struct(">iiB")

class PartitionProduceData(Message):
    __slots__ = ("index", "records")

    def __init__(self, index: int = 0, records: memoryview | None = None) -> None:
        self.index = index
        self.records = records


class TopicProduceData(Message):
    __slots__ = ("name", "partition_data")

    def __init__(self, name: str = "", partition_data: Sequence[PartitionProduceData] = ()) -> None:
        self.name = name
        self.partition_data = partition_data


class ProduceRequest(Message):
    __slots__ = ("transactional_id", "acks", "timeout_ms", "topic_data")

    def __init__(
        self,
        transactional_id: str | None = None,
        acks: int = 0,
        timeout_ms: int = 0,
        topic_data: Sequence[TopicProduceData] = (),
    ) -> None:
        self.transactional_id = transactional_id
        self.acks = acks
        self.timeout_ms = timeout_ms
        self.topic_data = topic_data


class NodeEndpoint(Message):
    __slots__ = ("node_id", "host", "port", "rack")

    def __init__(self, node_id: int = 0, host: str = "", port: int = 0, rack: str | None = None) -> None:
        self.node_id = node_id
        self.host = host
        self.port = port
        self.rack = rack


class LeaderIdAndEpoch(Message):
    __slots__ = ("leader_id", "leader_epoch")

    def __init__(self, leader_id: int = -1, leader_epoch: int = -1) -> None:
        self.leader_id = leader_id
        self.leader_epoch = leader_epoch


class BatchIndexAndErrorMessage(Message):
    __slots__ = ("batch_index", "batch_index_error_message")

    def __init__(self, batch_index: int = 0, batch_index_error_message: str | None = None) -> None:
        self.batch_index = batch_index
        self.batch_index_error_message = batch_index_error_message


class PartitionProduceResponse(Message):
    __slots__ = (
        "index",
        "error_code",
        "base_offset",
        "log_append_time_ms",
        "log_start_offset",
        "record_errors",
        "error_message",
        "current_leader",
    )

    def __init__(
        self,
        index: int = 0,
        error_code: int = 0,
        base_offset: int = 0,
        log_append_time_ms: int = -1,
        log_start_offset: int = -1,
        record_errors: Sequence[BatchIndexAndErrorMessage] = (),
        error_message: str | None = None,
        current_leader: LeaderIdAndEpoch | None = None,
    ) -> None:
        self.index = index
        self.error_code = error_code
        self.base_offset = base_offset
        self.log_append_time_ms = log_append_time_ms
        self.log_start_offset = log_start_offset
        self.record_errors = record_errors
        self.error_message = error_message
        self.current_leader = current_leader


class TopicProduceResponse(Message):
    __slots__ = ("name", "partition_responses")

    def __init__(self, name: str = "", partition_responses: Sequence[PartitionProduceResponse] = ()) -> None:
        self.name = name
        self.partition_responses = partition_responses


class ProduceResponse(Message):
    __slots__ = ("responses", "throttle_time_ms", "node_endpoints")

    def __init__(
        self,
        responses: Sequence[TopicProduceResponse] = (),
        throttle_time_ms: int = 0,
        node_endpoints: Sequence[NodeEndpoint] = (),
    ) -> None:
        self.responses = responses
        self.throttle_time_ms = throttle_time_ms
        self.node_endpoints = node_endpoints


def _decode_partition_produce_data_3(b, p, end):
    (index,) = _i.unpack_from(b, p)
    p += 4
    records, p = read_legacy_records(b, p, end)
    return PartitionProduceData(index, records), p


def _decode_topic_produce_data_3(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        name = str(b[p + 2:q], "utf-8")
        p = q
    else:
        name, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 8)
    partition_data = []
    append = partition_data.append
    for _ in range(n):
        item, p = _decode_partition_produce_data_3(b, p, end)
        append(item)
    return TopicProduceData(name, partition_data), p


def _decode_produce_request_3(b, p, end):
    (n,) = _h.unpack_from(b, p)
    if 0 <= n <= end - p - 2:
        q = p + 2 + n
        transactional_id = str(b[p + 2:q], "utf-8")
        p = q
    else:
        transactional_id, p = read_legacy_nullable_string(b, p, end)
    acks, timeout_ms = _hi.unpack_from(b, p)
    p += 6
    n, p = read_legacy_count(b, p, end, 6)
    topic_data = []
    append = topic_data.append
    for _ in range(n):
        item, p = _decode_topic_produce_data_3(b, p, end)
        append(item)
    return ProduceRequest(transactional_id, acks, timeout_ms, topic_data), p


def _decode_partition_produce_data_9(b, p, end):
    (index,) = _i.unpack_from(b, p)
    p += 4
    records, p = read_compact_records(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return PartitionProduceData(index, records), p


def _decode_topic_produce_data_9(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        name = str(b[p + 1:q], "utf-8")
        p = q
    else:
        name, p = read_compact_string(b, p, end)
    n = b[p] - 1
    if 0 <= n < 127 and n * 6 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 6)
    partition_data = []
    append = partition_data.append
    for _ in range(n):
        item, p = _decode_partition_produce_data_9(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return TopicProduceData(name, partition_data), p


def _decode_produce_request_9(b, p, end):
    n = b[p]
    if 0 < n < 128 and (q := p + n) <= end:
        transactional_id = str(b[p + 1:q], "utf-8")
        p = q
    else:
        transactional_id, p = read_compact_nullable_string(b, p, end)
    acks, timeout_ms = _hi.unpack_from(b, p)
    p += 6
    n = b[p] - 1
    if 0 <= n < 127 and n * 3 < end - p:
        p += 1
    else:
        n, p = read_compact_count(b, p, end, 3)
    topic_data = []
    append = topic_data.append
    for _ in range(n):
        item, p = _decode_topic_produce_data_9(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return ProduceRequest(transactional_id, acks, timeout_ms, topic_data), p


def _encode_partition_produce_data_3(o, w, pieces):
    w(_i.pack(o.index))
    pieces.write_legacy_records(o.records)


def _encode_topic_produce_data_3(o, w, pieces):
    write_legacy_string(w, o.name)
    x = o.partition_data
    w(_i.pack(len(x)))
    for item in x:
        _encode_partition_produce_data_3(item, w, pieces)


def _encode_produce_request_3(o, w, pieces):
    write_legacy_nullable_string(w, o.transactional_id)
    w(_hi.pack(o.acks, o.timeout_ms))
    x = o.topic_data
    w(_i.pack(len(x)))
    for item in x:
        _encode_topic_produce_data_3(item, w, pieces)


def _encode_partition_produce_data_9(o, w, pieces):
    w(_i.pack(o.index))
    pieces.write_compact_records(o.records)
    w(COMPACT_NULL)


def _encode_topic_produce_data_9(o, w, pieces):
    write_compact_string(w, o.name)
    x = o.partition_data
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_partition_produce_data_9(item, w, pieces)
    w(COMPACT_NULL)


def _encode_produce_request_9(o, w, pieces):
    write_compact_nullable_string(w, o.transactional_id)
    w(_hi.pack(o.acks, o.timeout_ms))
    x = o.topic_data
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_topic_produce_data_9(item, w, pieces)
    w(COMPACT_NULL)


def _decode_partition_produce_response_3(b, p, end):
    index, error_code, base_offset, log_append_time_ms = _ihqq.unpack_from(b, p)
    p += 22
    return PartitionProduceResponse(index, error_code, base_offset, log_append_time_ms), p


def _decode_topic_produce_response_3(b, p, end):
    name, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 22)
    partition_responses = []
    append = partition_responses.append
    for _ in range(n):
        item, p = _decode_partition_produce_response_3(b, p, end)
        append(item)
    return TopicProduceResponse(name, partition_responses), p


def _decode_produce_response_3(b, p, end):
    n, p = read_legacy_count(b, p, end, 6)
    responses = []
    append = responses.append
    for _ in range(n):
        item, p = _decode_topic_produce_response_3(b, p, end)
        append(item)
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    return ProduceResponse(responses, throttle_time_ms), p


def _decode_partition_produce_response_5(b, p, end):
    index, error_code, base_offset, log_append_time_ms, log_start_offset = _ihqqq.unpack_from(b, p)
    p += 30
    return PartitionProduceResponse(index, error_code, base_offset, log_append_time_ms, log_start_offset), p


def _decode_topic_produce_response_5(b, p, end):
    name, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 30)
    partition_responses = []
    append = partition_responses.append
    for _ in range(n):
        item, p = _decode_partition_produce_response_5(b, p, end)
        append(item)
    return TopicProduceResponse(name, partition_responses), p


def _decode_produce_response_5(b, p, end):
    n, p = read_legacy_count(b, p, end, 6)
    responses = []
    append = responses.append
    for _ in range(n):
        item, p = _decode_topic_produce_response_5(b, p, end)
        append(item)
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    return ProduceResponse(responses, throttle_time_ms), p


def _decode_batch_index_and_error_message_8(b, p, end):
    (batch_index,) = _i.unpack_from(b, p)
    p += 4
    batch_index_error_message, p = read_legacy_nullable_string(b, p, end)
    return BatchIndexAndErrorMessage(batch_index, batch_index_error_message), p


def _decode_partition_produce_response_8(b, p, end):
    index, error_code, base_offset, log_append_time_ms, log_start_offset = _ihqqq.unpack_from(b, p)
    p += 30
    n, p = read_legacy_count(b, p, end, 6)
    record_errors = []
    append = record_errors.append
    for _ in range(n):
        item, p = _decode_batch_index_and_error_message_8(b, p, end)
        append(item)
    error_message, p = read_legacy_nullable_string(b, p, end)
    return PartitionProduceResponse(index, error_code, base_offset, log_append_time_ms, log_start_offset, record_errors, error_message), p


def _decode_topic_produce_response_8(b, p, end):
    name, p = read_legacy_string(b, p, end)
    n, p = read_legacy_count(b, p, end, 36)
    partition_responses = []
    append = partition_responses.append
    for _ in range(n):
        item, p = _decode_partition_produce_response_8(b, p, end)
        append(item)
    return TopicProduceResponse(name, partition_responses), p


def _decode_produce_response_8(b, p, end):
    n, p = read_legacy_count(b, p, end, 6)
    responses = []
    append = responses.append
    for _ in range(n):
        item, p = _decode_topic_produce_response_8(b, p, end)
        append(item)
    (throttle_time_ms,) = _i.unpack_from(b, p)
    p += 4
    return ProduceResponse(responses, throttle_time_ms), p


def _decode_batch_index_and_error_message_9(b, p, end):
    (batch_index,) = _i.unpack_from(b, p)
    p += 4
    batch_index_error_message, p = read_compact_nullable_string(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return BatchIndexAndErrorMessage(batch_index, batch_index_error_message), p


def _decode_partition_produce_response_9(b, p, end):
    index, error_code, base_offset, log_append_time_ms, log_start_offset = _ihqqq.unpack_from(b, p)
    p += 30
    n, p = read_compact_count(b, p, end, 6)
    record_errors = []
    append = record_errors.append
    for _ in range(n):
        item, p = _decode_batch_index_and_error_message_9(b, p, end)
        append(item)
    error_message, p = read_compact_nullable_string(b, p, end)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return PartitionProduceResponse(index, error_code, base_offset, log_append_time_ms, log_start_offset, record_errors, error_message), p


def _decode_topic_produce_response_9(b, p, end):
    name, p = read_compact_string(b, p, end)
    n, p = read_compact_count(b, p, end, 33)
    partition_responses = []
    append = partition_responses.append
    for _ in range(n):
        item, p = _decode_partition_produce_response_9(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return TopicProduceResponse(name, partition_responses), p


def _decode_produce_response_9(b, p, end):
    n, p = read_compact_count(b, p, end, 3)
    responses = []
    append = responses.append
    for _ in range(n):
        item, p = _decode_topic_produce_response_9(b, p, end)
        append(item)
    throttle_time_ms, tags = _iB.unpack_from(b, p)
    p += 5
    if tags:
        p = skip_tags(b, p - 1, end)
    return ProduceResponse(responses, throttle_time_ms), p


def _decode_leader_id_and_epoch_10(b, p, end):
    leader_id, leader_epoch, tags = _iiB.unpack_from(b, p)
    p += 9
    if tags:
        p = skip_tags(b, p - 1, end)
    return LeaderIdAndEpoch(leader_id, leader_epoch), p


def _decode_partition_produce_response_10(b, p, end):
    index, error_code, base_offset, log_append_time_ms, log_start_offset = _ihqqq.unpack_from(b, p)
    p += 30
    n, p = read_compact_count(b, p, end, 6)
    record_errors = []
    append = record_errors.append
    for _ in range(n):
        item, p = _decode_batch_index_and_error_message_9(b, p, end)
        append(item)
    error_message, p = read_compact_nullable_string(b, p, end)
    tags = b[p]
    p += 1
    current_leader = None
    if tags:
        tags, p = read_unsigned(b, p - 1, end)
        for _ in range(tags):
            tag, p, stop = read_tag(b, p, end)
            if tag == 0:
                current_leader, p = _decode_leader_id_and_epoch_10(b, p, stop)
                check_tag_end(p, stop)
            p = stop
    return PartitionProduceResponse(index, error_code, base_offset, log_append_time_ms, log_start_offset, record_errors, error_message, current_leader), p


def _decode_topic_produce_response_10(b, p, end):
    name, p = read_compact_string(b, p, end)
    n, p = read_compact_count(b, p, end, 33)
    partition_responses = []
    append = partition_responses.append
    for _ in range(n):
        item, p = _decode_partition_produce_response_10(b, p, end)
        append(item)
    tags = b[p]
    p += 1
    if tags:
        p = skip_tags(b, p - 1, end)
    return TopicProduceResponse(name, partition_responses), p


def _decode_node_endpoint_10(b, p, end):
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


def _decode_produce_response_10(b, p, end):
    n, p = read_compact_count(b, p, end, 3)
    responses = []
    append = responses.append
    for _ in range(n):
        item, p = _decode_topic_produce_response_10(b, p, end)
        append(item)
    throttle_time_ms, tags = _iB.unpack_from(b, p)
    p += 5
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
                    item, p = _decode_node_endpoint_10(b, p, stop)
                    append(item)
                check_tag_end(p, stop)
            p = stop
    return ProduceResponse(responses, throttle_time_ms, node_endpoints), p


def _encode_partition_produce_response_3(o, w):
    if o.current_leader is not None and o.current_leader != LeaderIdAndEpoch():
        raise absent("PartitionProduceResponse.current_leader")
    w(_ihqq.pack(o.index, o.error_code, o.base_offset, o.log_append_time_ms))


def _encode_topic_produce_response_3(o, w):
    x = o.name.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.partition_responses
    w(_i.pack(len(x)))
    for item in x:
        _encode_partition_produce_response_3(item, w)


def _encode_produce_response_3(o, w):
    if o.node_endpoints:
        raise absent("ProduceResponse.node_endpoints")
    x = o.responses
    w(_i.pack(len(x)))
    for item in x:
        _encode_topic_produce_response_3(item, w)
    w(_i.pack(o.throttle_time_ms))


def _encode_partition_produce_response_5(o, w):
    if o.current_leader is not None and o.current_leader != LeaderIdAndEpoch():
        raise absent("PartitionProduceResponse.current_leader")
    w(_ihqqq.pack(o.index, o.error_code, o.base_offset, o.log_append_time_ms, o.log_start_offset))


def _encode_topic_produce_response_5(o, w):
    x = o.name.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.partition_responses
    w(_i.pack(len(x)))
    for item in x:
        _encode_partition_produce_response_5(item, w)


def _encode_produce_response_5(o, w):
    if o.node_endpoints:
        raise absent("ProduceResponse.node_endpoints")
    x = o.responses
    w(_i.pack(len(x)))
    for item in x:
        _encode_topic_produce_response_5(item, w)
    w(_i.pack(o.throttle_time_ms))


def _encode_batch_index_and_error_message_8(o, w):
    w(_i.pack(o.batch_index))
    write_legacy_nullable_string(w, o.batch_index_error_message)


def _encode_partition_produce_response_8(o, w):
    if o.current_leader is not None and o.current_leader != LeaderIdAndEpoch():
        raise absent("PartitionProduceResponse.current_leader")
    w(_ihqqq.pack(o.index, o.error_code, o.base_offset, o.log_append_time_ms, o.log_start_offset))
    x = o.record_errors
    w(_i.pack(len(x)))
    for item in x:
        _encode_batch_index_and_error_message_8(item, w)
    write_legacy_nullable_string(w, o.error_message)


def _encode_topic_produce_response_8(o, w):
    x = o.name.encode()
    w(_h.pack(len(x)))
    w(x)
    x = o.partition_responses
    w(_i.pack(len(x)))
    for item in x:
        _encode_partition_produce_response_8(item, w)


def _encode_produce_response_8(o, w):
    if o.node_endpoints:
        raise absent("ProduceResponse.node_endpoints")
    x = o.responses
    w(_i.pack(len(x)))
    for item in x:
        _encode_topic_produce_response_8(item, w)
    w(_i.pack(o.throttle_time_ms))


def _encode_batch_index_and_error_message_9(o, w):
    w(_i.pack(o.batch_index))
    write_compact_nullable_string(w, o.batch_index_error_message)
    w(COMPACT_NULL)


def _encode_partition_produce_response_9(o, w):
    if o.current_leader is not None and o.current_leader != LeaderIdAndEpoch():
        raise absent("PartitionProduceResponse.current_leader")
    w(_ihqqq.pack(o.index, o.error_code, o.base_offset, o.log_append_time_ms, o.log_start_offset))
    x = o.record_errors
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_batch_index_and_error_message_9(item, w)
    write_compact_nullable_string(w, o.error_message)
    w(COMPACT_NULL)


def _encode_topic_produce_response_9(o, w):
    x = o.name.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.partition_responses
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_partition_produce_response_9(item, w)
    w(COMPACT_NULL)


def _encode_produce_response_9(o, w):
    if o.node_endpoints:
        raise absent("ProduceResponse.node_endpoints")
    x = o.responses
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_topic_produce_response_9(item, w)
    w(_iB.pack(o.throttle_time_ms, 0))


def _encode_leader_id_and_epoch_10(o, w):
    w(_iiB.pack(o.leader_id, o.leader_epoch, 0))


def _encode_partition_produce_response_10(o, w):
    w(_ihqqq.pack(o.index, o.error_code, o.base_offset, o.log_append_time_ms, o.log_start_offset))
    x = o.record_errors
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_batch_index_and_error_message_9(item, w)
    write_compact_nullable_string(w, o.error_message)
    tags = []
    if o.current_leader is not None and o.current_leader != LeaderIdAndEpoch():
        inner = []
        outer, w = w, inner.append
        _encode_leader_id_and_epoch_10(o.current_leader, w)
        w = outer
        tags.append((0, inner))
    if tags:
        write_tags(w, tags)
    else:
        w(COMPACT_NULL)


def _encode_topic_produce_response_10(o, w):
    x = o.name.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    x = o.partition_responses
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_partition_produce_response_10(item, w)
    w(COMPACT_NULL)


def _encode_node_endpoint_10(o, w):
    w(_i.pack(o.node_id))
    x = o.host.encode()
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    w(x)
    w(_i.pack(o.port))
    write_compact_nullable_string(w, o.rack)
    w(COMPACT_NULL)


def _encode_produce_response_10(o, w):
    x = o.responses
    n = len(x) + 1
    w(BYTE[n] if n < 128 else unsigned(n))
    for item in x:
        _encode_topic_produce_response_10(item, w)
    w(_i.pack(o.throttle_time_ms))
    tags = []
    if o.node_endpoints:
        inner = []
        outer, w = w, inner.append
        x = o.node_endpoints
        n = len(x) + 1
        w(BYTE[n] if n < 128 else unsigned(n))
        for item in x:
            _encode_node_endpoint_10(item, w)
        w = outer
        tags.append((0, inner))
    if tags:
        write_tags(w, tags)
    else:
        w(COMPACT_NULL)


REQUEST_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[ProduceRequest, int]]]] = decoders(
    (3, 8, _decode_produce_request_3),
    (9, 12, _decode_produce_request_9),
)
REQUEST_ENCODERS: Final[dict[int, Callable[[ProduceRequest], list[Buffer]]]] = record_encoders(
    (3, 8, _encode_produce_request_3),
    (9, 12, _encode_produce_request_9),
)

RESPONSE_DECODERS: Final[dict[int, Callable[[memoryview, int], tuple[ProduceResponse, int]]]] = decoders(
    (3, 4, _decode_produce_response_3),
    (5, 7, _decode_produce_response_5),
    (8, 8, _decode_produce_response_8),
    (9, 9, _decode_produce_response_9),
    (10, 12, _decode_produce_response_10),
)
RESPONSE_ENCODERS: Final[dict[int, Callable[[ProduceResponse], list[Buffer]]]] = encoders(
    (3, 4, _encode_produce_response_3),
    (5, 7, _encode_produce_response_5),
    (8, 8, _encode_produce_response_8),
    (9, 9, _encode_produce_response_9),
    (10, 12, _encode_produce_response_10),
)
