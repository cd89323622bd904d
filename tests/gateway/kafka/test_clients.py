"""Real clients against the door with a node in memory: what they send first is what breaks a broker."""

import asyncio
import time
from collections.abc import Callable

import aiokafka
import confluent_kafka
import confluent_kafka.admin
import kafka
import kafka.errors
import pytest

from tests.support.kafka_door import in_loop, served

pytestmark = pytest.mark.clients

COUNT = 200
DEADLINE_S = 20.0
EXPECTED = [(f"k{i}".encode(), f"v{i}".encode()) for i in range(COUNT)]


def collect(poll: Callable[[], list[tuple[bytes, bytes]]]) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []
    end = time.monotonic() + DEADLINE_S
    while len(found) < COUNT and time.monotonic() < end:
        found += poll()
    return sorted(found, key=lambda row: int(row[0][1:]))


def with_confluent(server: str, compression: str) -> list[tuple[bytes, bytes]]:
    failures: list[object] = []
    producer = confluent_kafka.Producer(
        {"bootstrap.servers": server, "enable.idempotence": True, "compression.type": compression, "linger.ms": 5}
    )
    for key, value in EXPECTED:
        producer.produce("t", value, key, on_delivery=lambda error, _: error and failures.append(error))
    assert producer.flush(DEADLINE_S) == 0
    assert not failures
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": server, "group.id": "confluent", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe(["t"])

    def poll() -> list[tuple[bytes, bytes]]:
        rows = consumer.consume(100, 0.5)
        assert not [row.error() for row in rows if row.error()]
        return [(row.key(), row.value()) for row in rows]

    found = collect(poll)
    committed = consumer.commit(asynchronous=False)
    assert sum(place.offset for place in committed if place.offset > 0) == COUNT
    consumer.close()
    return found


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
@in_loop
async def test_confluent_produces_and_consumes_in_a_group(compression: str) -> None:
    async with served() as door:
        found = await asyncio.to_thread(with_confluent, f"127.0.0.1:{door.address[1]}", compression)
        assert found == EXPECTED
        assert not door.metrics.closed["malformed frame"]
        assert not door.metrics.closed["unknown api or version"]


def with_kafka_python(server: str) -> list[tuple[bytes, bytes]]:
    producer = kafka.KafkaProducer(bootstrap_servers=server, acks="all")
    for key, value in EXPECTED:
        producer.send("t", value, key)
    producer.flush(DEADLINE_S)
    producer.close()
    consumer = kafka.KafkaConsumer(
        "t", bootstrap_servers=server, group_id="kafka-python", auto_offset_reset="earliest", enable_auto_commit=False
    )

    def poll() -> list[tuple[bytes, bytes]]:
        return [(row.key, row.value) for rows in consumer.poll(500).values() for row in rows]

    found = collect(poll)
    consumer.commit()
    consumer.close()
    return found


@in_loop
async def test_kafka_python_produces_and_consumes_in_a_group() -> None:
    async with served() as door:
        assert await asyncio.to_thread(with_kafka_python, f"127.0.0.1:{door.address[1]}") == EXPECTED
        assert not door.metrics.closed["unknown api or version"]


@in_loop
async def test_aiokafka_produces_and_consumes_in_a_group() -> None:
    async with served() as door:
        server = f"127.0.0.1:{door.address[1]}"
        async with aiokafka.AIOKafkaProducer(bootstrap_servers=server, enable_idempotence=True) as producer:
            for key, value in EXPECTED:
                await producer.send("t", value, key)
        consumer = aiokafka.AIOKafkaConsumer(
            "t", bootstrap_servers=server, group_id="aiokafka", auto_offset_reset="earliest", enable_auto_commit=False
        )
        async with consumer:
            found = []
            async for row in consumer:
                found.append((row.key, row.value))
                if len(found) == COUNT:
                    break
            await consumer.commit()
        assert sorted(found, key=lambda row: int(row[0][1:])) == EXPECTED
        assert sum(offset.offset for offset in door.node.groups.offsets["aiokafka"].values()) == COUNT


@in_loop
async def test_aiokafka_finds_offsets_by_time() -> None:
    async with served() as door:
        server = f"127.0.0.1:{door.address[1]}"
        async with aiokafka.AIOKafkaProducer(bootstrap_servers=server) as producer:
            for at in (100, 300, 200):
                await producer.send_and_wait("t", b"v", partition=0, timestamp_ms=at)
        place = aiokafka.TopicPartition("t", 0)
        consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=server)
        async with consumer:
            consumer.assign([place])
            found = await consumer.offsets_for_times({place: 150})
            assert found[place].offset == 1
            assert await consumer.end_offsets([place]) == {place: 3}
            assert await consumer.beginning_offsets([place]) == {place: 0}


def administer(server: str) -> None:
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": server})
    new = confluent_kafka.admin.NewTopic("made", 4, 1, config={"retention.ms": "5"})
    for future in admin.create_topics([new]).values():
        future.result(DEADLINE_S)
    topics = admin.list_topics(timeout=DEADLINE_S).topics
    assert len(topics["made"].partitions) == 4
    resource = confluent_kafka.admin.ConfigResource(confluent_kafka.admin.ResourceType.TOPIC, "made")
    (described,) = [f.result(DEADLINE_S) for f in admin.describe_configs([resource]).values()]
    assert described["retention.ms"].value == "5"
    resource.add_incremental_config(
        confluent_kafka.admin.ConfigEntry(
            "retention.ms", "9", incremental_operation=confluent_kafka.admin.AlterConfigOpType.SET
        )
    )
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(DEADLINE_S)
    assert admin.describe_cluster().result(DEADLINE_S).cluster_id == "fake-cluster"
    assert admin.list_consumer_groups().result(DEADLINE_S).valid == []
    for future in admin.delete_topics(["made"]).values():
        future.result(DEADLINE_S)


@in_loop
async def test_confluent_administers() -> None:
    async with served() as door:
        await asyncio.to_thread(administer, f"127.0.0.1:{door.address[1]}")
        assert "made" not in door.node.topics_by_name


def begin_transactions(server: str) -> str:
    producer = confluent_kafka.Producer({"bootstrap.servers": server, "transactional.id": "tx"})
    with pytest.raises(confluent_kafka.KafkaException) as refused:
        producer.init_transactions(DEADLINE_S)
    return refused.value.args[0].name()


@in_loop
async def test_a_transactional_producer_fails_at_once_and_for_good() -> None:
    async with served() as door:
        name = await asyncio.to_thread(begin_transactions, f"127.0.0.1:{door.address[1]}")
        assert name == "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"
