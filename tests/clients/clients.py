"""Four real Kafka clients behind one face: write these messages, read them back.

A message is (key, value, headers, timestamp_ms); one partition, so that order is comparable.
"""

import asyncio
import json
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

READ_DEADLINE_S = 120.0


class Message(NamedTuple):
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int


class Client(NamedTuple):
    name: str
    codecs: Sequence[str]
    write: Callable[[str, str, Sequence[Message], str], None]
    read: Callable[[str, str, int], list[Message]]


def write_confluent(address: str, topic: str, messages: Sequence[Message], codec: str) -> None:
    from confluent_kafka import Producer

    failed: list[object] = []
    producer = Producer(
        {
            "bootstrap.servers": address,
            "enable.idempotence": True,
            "compression.type": codec,
            "linger.ms": 5,
            "queue.buffering.max.messages": 200_000,
        }
    )
    for message in messages:
        while True:
            try:
                producer.produce(
                    topic,
                    message.value,
                    message.key,
                    0,
                    headers=list(message.headers),
                    timestamp=message.timestamp_ms,
                    on_delivery=lambda error, _: failed.append(error) if error else None,
                )
                break
            except BufferError:
                producer.poll(0.05)
        producer.poll(0)
    left = producer.flush(60)
    assert not failed, failed[0]
    assert left == 0


def read_confluent(address: str, topic: str, count: int) -> list[Message]:
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": f"read-{topic}",
            "auto.offset.reset": "earliest",
            "check.crcs": True,
        }
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    got: list[Message] = []
    end = time.monotonic() + READ_DEADLINE_S
    while len(got) < count and time.monotonic() < end:
        for message in consumer.consume(5_000, 0.5):
            assert not message.error(), message.error()
            assert message.offset() == len(got)
            got.append(Message(message.key(), message.value(), tuple(message.headers() or ()), message.timestamp()[1]))
    consumer.close()
    return got


def write_aiokafka(address: str, topic: str, messages: Sequence[Message], codec: str) -> None:
    from aiokafka import AIOKafkaProducer

    async def run() -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=address, compression_type=None if codec == "none" else codec, linger_ms=5, acks="all"
        )
        await producer.start()
        try:
            futures = [
                await producer.send(topic, message.value, message.key, 0, message.timestamp_ms, list(message.headers))
                for message in messages
            ]
            await asyncio.gather(*futures)
        finally:
            await producer.stop()

    asyncio.run(run())


def read_aiokafka(address: str, topic: str, count: int) -> list[Message]:
    from aiokafka import AIOKafkaConsumer, TopicPartition

    async def run() -> list[Message]:
        consumer = AIOKafkaConsumer(bootstrap_servers=address, enable_auto_commit=False, auto_offset_reset="earliest")
        await consumer.start()
        got: list[Message] = []
        try:
            consumer.assign([TopicPartition(topic, 0)])
            await consumer.seek_to_beginning()
            end = time.monotonic() + READ_DEADLINE_S
            while len(got) < count and time.monotonic() < end:
                for batch in (await consumer.getmany(timeout_ms=500)).values():
                    for record in batch:
                        assert record.offset == len(got)
                        got.append(Message(record.key, record.value, tuple(record.headers), record.timestamp))
        finally:
            await consumer.stop()
        return got

    return asyncio.run(run())


def write_kafka_python(address: str, topic: str, messages: Sequence[Message], codec: str) -> None:
    from kafka import KafkaProducer

    producer = KafkaProducer(
        bootstrap_servers=address,
        compression_type=None if codec == "none" else codec,
        linger_ms=5,
        acks="all",
        max_block_ms=60_000,
    )
    futures = [
        producer.send(topic, message.value, message.key, list(message.headers), 0, message.timestamp_ms)
        for message in messages
    ]
    producer.flush(120)
    for future in futures:
        assert future.succeeded(), future.exception
    producer.close()


def read_kafka_python(address: str, topic: str, count: int) -> list[Message]:
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(bootstrap_servers=address, enable_auto_commit=False, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(topic, 0)])
    consumer.seek_to_beginning()
    got: list[Message] = []
    end = time.monotonic() + READ_DEADLINE_S
    while len(got) < count and time.monotonic() < end:
        for batch in consumer.poll(timeout_ms=500, max_records=5_000).values():
            for record in batch:
                assert record.offset == len(got)
                got.append(Message(record.key, record.value, tuple(record.headers), record.timestamp))
    consumer.close()
    return got


def write_kcat(address: str, topic: str, messages: Sequence[Message], codec: str) -> None:
    """kcat sets no timestamps and one set of headers a call: those of the first message."""
    headers = [part for key, value in messages[0].headers for part in ("-H", f"{key}={value.decode()}")]
    lines = b"".join((message.key or b"") + b"\t" + message.value + b"\n" for message in messages)
    subprocess.run(
        ["kcat", "-P", "-b", address, "-t", topic, "-p", "0", "-K", "\t", "-z", codec, *headers, "-X", "acks=all"],
        input=lines,
        check=True,
        timeout=120,
    )


def read_kcat(address: str, topic: str, count: int) -> list[Message]:
    done = subprocess.run(
        ["kcat", "-C", "-b", address, "-t", topic, "-p", "0", "-o", "beginning", "-c", str(count), "-e", "-q", "-J"],
        capture_output=True,
        check=True,
        timeout=120,
    )
    got: list[Message] = []
    for line in done.stdout.splitlines():
        record = json.loads(line)
        assert record["offset"] == len(got)
        flat = record.get("headers") or []
        headers = tuple((flat[i], flat[i + 1].encode()) for i in range(0, len(flat), 2))
        got.append(Message((record["key"] or "").encode(), record["payload"].encode(), headers, record["ts"]))
    return got


CLIENTS = (
    Client("confluent", ("none", "gzip", "snappy", "lz4", "zstd"), write_confluent, read_confluent),
    Client("aiokafka", ("none", "gzip", "snappy", "lz4", "zstd"), write_aiokafka, read_aiokafka),
    Client("kafka-python", ("none", "gzip", "snappy", "lz4", "zstd"), write_kafka_python, read_kafka_python),
    Client("kcat", ("none", "gzip", "snappy", "lz4", "zstd"), write_kcat, read_kcat),
)
