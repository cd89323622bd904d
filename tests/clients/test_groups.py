"""Consumer groups with real clients: rebalance, commit, resume after a restart of the node."""

import asyncio
import contextlib

import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.support.served import ServedNode

pytestmark = [pytest.mark.clients, pytest.mark.timeout(120)]


def _make(node: ServedNode, topic: str, partitions: int, count: int) -> None:
    admin = AdminClient({"bootstrap.servers": node.kafka})
    admin.create_topics([NewTopic(topic, partitions)])[topic].result(30)
    producer = Producer({"bootstrap.servers": node.kafka, "enable.idempotence": True})
    for number in range(count):
        producer.produce(topic, b"%d" % number, partition=number % partitions)
    assert producer.flush(30) == 0


def _consume(node: ServedNode, topic: str, group: str, count: int) -> list[bytes]:
    consumer = Consumer(
        {
            "bootstrap.servers": node.kafka,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "session.timeout.ms": 6000,
        }
    )
    consumer.subscribe([topic])
    got = []
    while len(got) < count:
        batch = consumer.consume(count - len(got), 30)
        assert batch, f"{len(got)} of {count} in 30 s"
        got += batch
    consumer.commit(asynchronous=False)
    consumer.close()
    return [message.value() for message in got]


def test_committed_offsets_survive_a_kill(own_node: ServedNode) -> None:
    own_node.start()
    _make(own_node, "resume", 1, 100)
    assert _consume(own_node, "resume", "g", 40) == [b"%d" % n for n in range(40)]
    own_node.kill()
    own_node.start()
    assert _consume(own_node, "resume", "g", 60) == [b"%d" % n for n in range(40, 100)]
    probe = Consumer({"bootstrap.servers": own_node.kafka, "group.id": "g"})
    assert probe.committed([TopicPartition("resume", 0)], 20)[0].offset == 100
    probe.close()


def test_two_members_share_the_partitions_and_one_takes_over(node: ServedNode) -> None:
    _make(node, "shared", 4, 400)

    async def member() -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(
            "shared",
            bootstrap_servers=node.kafka,
            group_id="share",
            auto_offset_reset="earliest",
            session_timeout_ms=6000,
            heartbeat_interval_ms=200,
        )
        await consumer.start()
        return consumer

    async def run() -> None:
        first = await member()
        async with asyncio.timeout(60):
            while len(first.assignment()) != 4:
                await first.getmany(timeout_ms=50)
            second = await member()
            # Both go on polling while the group rebalances.
            while not (len(first.assignment()) == 2 and len(second.assignment()) == 2):
                await asyncio.gather(first.getmany(timeout_ms=50), second.getmany(timeout_ms=50))
            assert not first.assignment() & second.assignment()
            await first.stop()
            while len(second.assignment()) != 4:
                await second.getmany(timeout_ms=50)
            await second.stop()

    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(run())
