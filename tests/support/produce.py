"""Produce and fetch requests in one line each."""

import uuid

from gateway.wire.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData
from gateway.wire.messages.produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)

from .raw_kafka import batch_of


def produce_of(
    batch: bytes | None = None,
    *,
    topic: str = "t",
    partition: int = 0,
    acks: int = -1,
    transactional_id: str | None = None,
    timeout_ms: int = 30_000,
) -> ProduceRequest:
    data = PartitionProduceData(partition, memoryview(batch if batch is not None else batch_of(b"value")))
    return ProduceRequest(transactional_id, acks, timeout_ms, [TopicProduceData(topic, [data])])


def produced(answer: object) -> PartitionProduceResponse:
    """The one partition of the answer."""
    assert isinstance(answer, ProduceResponse)
    (topic,) = answer.responses
    (partition,) = topic.partition_responses
    return partition


def fetch_of(
    *places: tuple[str, int, int],
    wait_ms: int = 0,
    bytes_min: int = 1,
    bytes_max: int = 1 << 20,
    partition_bytes_max: int = 1 << 20,
    epoch: int = -1,
    isolation_level: int = 0,
) -> FetchRequest:
    """`places`: (topic, partition, offset)."""
    return FetchRequest(
        max_wait_ms=wait_ms,
        min_bytes=bytes_min,
        max_bytes=bytes_max,
        isolation_level=isolation_level,
        topics=[
            FetchTopic(
                topic, topic_id_of(topic), [FetchPartition(p, epoch, offset, partition_max_bytes=partition_bytes_max)]
            )
            for topic, p, offset in places or (("t", 0, 0),)
        ],
    )


def topic_id_of(name: str) -> bytes:
    """As `FakeNode` gives them; it travels from version 13 on, instead of the name."""
    return uuid.uuid5(uuid.NAMESPACE_URL, name).bytes


def fetched(answer: object) -> list[PartitionData]:
    assert isinstance(answer, FetchResponse)
    return [partition for topic in answer.responses for partition in topic.partitions]
