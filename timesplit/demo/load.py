"""Loads flights through an ordinary Kafka producer and reads results back through an ordinary consumer."""
# pandas and confluent-kafka carry partial types:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownLambdaType=false, reportUnknownParameterType=false

import time
from collections.abc import Callable

import pandas as pd
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from .data import messages

FLUSH_DEADLINE_S = 60.0
POLL_RECORDS = 5_000


class LoadError(Exception):
    """A record was not acknowledged, or a result did not come."""


def produce(broker: str, topic: str, frame: pd.DataFrame, on_progress: Callable[[int], None]) -> pd.DataFrame:
    """Send every flight; the frame with the partition and offset that the broker acknowledged for each."""
    partitions = [-1] * len(frame)
    offsets = [-1] * len(frame)
    failed: list[KafkaError] = []

    def acknowledged(row: int) -> Callable[[KafkaError | None, Message], None]:
        def on_delivery(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                failed.append(error)
                return
            partition, offset = message.partition(), message.offset()
            assert partition is not None
            assert offset is not None
            partitions[row], offsets[row] = partition, offset

        return on_delivery

    producer = Producer(
        {
            "bootstrap.servers": broker,
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": 20,
            "queue.buffering.max.messages": 50_000,
        }
    )
    for row, (ts, key, value) in enumerate(messages(frame)):
        while True:
            try:
                producer.produce(topic, value, key, timestamp=ts, on_delivery=acknowledged(row))
                break
            except BufferError:
                producer.poll(0.05)
        if row % 500 == 0:
            producer.poll(0)
            on_progress(row)
    left = producer.flush(FLUSH_DEADLINE_S)
    if failed or left:
        raise LoadError(f"{len(failed)} records failed, {left} without an answer: {failed[:1]}")
    on_progress(len(frame))
    return frame.assign(partition=partitions, offset=offsets)


def consume(broker: str, topic: str, count: int, *, deadline_s: float, partitions: int = 1) -> list[Message]:
    """The first `count` records of a topic. Raises: LoadError if they do not come in time."""
    consumer = Consumer({"bootstrap.servers": broker, "group.id": f"demo-{topic}", "auto.offset.reset": "earliest"})
    try:
        consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
        got: list[Message] = []
        end = time.monotonic() + deadline_s
        while len(got) < count:
            if time.monotonic() > end:
                raise LoadError(f"{topic}: {len(got)} of {count} records in {deadline_s:.0f} s")
            got += [message for message in consumer.consume(POLL_RECORDS, 0.5) if message.error() is None]
        return got
    finally:
        consumer.close()
