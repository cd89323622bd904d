"""Groups as administrators and static members see them, with real clients."""

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.support.served import ServedNode

pytestmark = [pytest.mark.clients, pytest.mark.timeout(120)]


def make(node: ServedNode, topic: str, count: int) -> AdminClient:
    admin = AdminClient({"bootstrap.servers": node.kafka})
    admin.create_topics([NewTopic(topic, 1)])[topic].result(30)
    producer = Producer({"bootstrap.servers": node.kafka})
    for number in range(count):
        producer.produce(topic, b"%d" % number)
    assert producer.flush(30) == 0
    return admin


def member(node: ServedNode, group: str, topic: str, instance: str | None = None) -> Consumer:
    consumer = Consumer(
        {
            "bootstrap.servers": node.kafka,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "session.timeout.ms": 30_000,
            **({} if instance is None else {"group.instance.id": instance}),
        }
    )
    consumer.subscribe([topic])
    return consumer


def offset_of(node: ServedNode, group: str, topic: str) -> int:
    probe = Consumer({"bootstrap.servers": node.kafka, "group.id": group})
    try:
        return probe.committed([TopicPartition(topic, 0)], 20)[0].offset
    finally:
        probe.close()


def test_group_is_listed_described_and_deleted(node: ServedNode) -> None:
    admin = make(node, "administered", 10)
    consumer = member(node, "administered", "administered")
    assert len(consumer.consume(10, 30)) == 10
    consumer.commit(asynchronous=False)
    told = admin.describe_consumer_groups(["administered"])["administered"].result(30)
    assert told.state.name == "STABLE"
    assert [each.assignment.topic_partitions[0].topic for each in told.members] == ["administered"]
    with pytest.raises(KafkaException, match="NON_EMPTY_GROUP"):
        admin.delete_consumer_groups(["administered"])["administered"].result(30)
    consumer.close()
    listed = admin.list_consumer_groups().result(30).valid
    assert "administered" in {each.group_id for each in listed}
    stored = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions("administered")])
    assert [each.offset for each in stored["administered"].result(30).topic_partitions] == [10]
    admin.delete_consumer_groups(["administered"])["administered"].result(30)
    assert offset_of(node, "administered", "administered") < 0


def test_offsets_are_deleted_with_their_topic(node: ServedNode) -> None:
    admin = make(node, "passing", 10)
    consumer = member(node, "passing", "passing")
    assert len(consumer.consume(10, 30)) == 10
    consumer.commit(asynchronous=False)
    consumer.close()
    assert offset_of(node, "passing", "passing") == 10
    admin.delete_topics(["passing"])["passing"].result(30)
    make(node, "passing", 10)
    assert offset_of(node, "passing", "passing") < 0


def test_static_member_keeps_its_place_when_client_and_node_restart(own_node: ServedNode) -> None:
    own_node.start()
    admin = make(own_node, "static", 20)
    consumer = member(own_node, "static", "static", "one")
    assert len(consumer.consume(10, 30)) == 10
    consumer.commit(asynchronous=False)
    before = admin.describe_consumer_groups(["static"])["static"].result(30).members[0]
    own_node.kill()
    own_node.start()
    # A static member does not leave when it closes; the next one of that name takes its place.
    consumer.close()
    again = member(own_node, "static", "static", "one")
    assert [message.value() for message in again.consume(10, 30)] == [b"%d" % n for n in range(10, 20)]
    after = admin.describe_consumer_groups(["static"])["static"].result(30).members[0]
    assert (before.group_instance_id, after.group_instance_id) == ("one", "one")
    assert before.member_id != after.member_id
    again.close()
