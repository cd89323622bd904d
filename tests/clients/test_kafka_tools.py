"""Apache Kafka's own tools look at a node as at any broker."""

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from tests.support.served import ServedNode

from .kafka_tools import run_tool

pytestmark = [pytest.mark.clients, pytest.mark.timeout(180)]

TOPICS = "org.apache.kafka.tools.TopicCommand"
GROUPS = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
CONFIGS = "kafka.admin.ConfigCommand"


def test_topics_are_created_listed_described_and_deleted(node: ServedNode) -> None:
    at = ("--bootstrap-server", node.kafka)
    run_tool(TOPICS, *at, "--create", "--topic", "tools", "--partitions", "3", "--config", "retention.ms=1000000")
    assert "tools" in run_tool(TOPICS, *at, "--list").split()
    described = run_tool(TOPICS, *at, "--describe", "--topic", "tools")
    assert "PartitionCount: 3" in described
    assert "retention.ms=1000000" in described
    assert "Leader: 1" in described
    run_tool(TOPICS, *at, "--delete", "--topic", "tools")
    assert "tools" not in run_tool(TOPICS, *at, "--list").split()


def test_a_groups_lag_is_described(node: ServedNode) -> None:
    producer = Producer({"bootstrap.servers": node.kafka})
    for number in range(10):
        producer.produce("tool-lag", b"%d" % number)
    assert producer.flush(30) == 0
    consumer = Consumer(
        {
            "bootstrap.servers": node.kafka,
            "group.id": "tool-group",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe(["tool-lag"])
    got = []
    while len(got) < 4:
        got += [message for message in consumer.consume(4 - len(got), 20) if not message.error()]
    consumer.commit(message=got[-1], asynchronous=False)
    at = ("--bootstrap-server", node.kafka)
    assert "tool-group" in run_tool(GROUPS, *at, "--list").split()
    described = run_tool(GROUPS, *at, "--describe", "--group", "tool-group")
    row = next(line.split() for line in described.splitlines() if line.startswith("tool-group"))
    assert row[1:6] == ["tool-lag", "0", "4", "10", "6"]
    assert "Stable" in run_tool(GROUPS, *at, "--describe", "--group", "tool-group", "--state")
    consumer.close()
    run_tool(GROUPS, *at, "--delete", "--group", "tool-group")
    assert "tool-group" not in run_tool(GROUPS, *at, "--list").split()


def test_topic_configs_are_shown_and_changed(node: ServedNode) -> None:
    admin = AdminClient({"bootstrap.servers": node.kafka})
    from confluent_kafka.admin import NewTopic

    admin.create_topics([NewTopic("tool-configs", 1)])["tool-configs"].result(30)
    at = ("--bootstrap-server", node.kafka, "--entity-type", "topics", "--entity-name", "tool-configs")
    run_tool(CONFIGS, *at, "--alter", "--add-config", "retention.ms=86400000")
    assert "retention.ms=86400000" in run_tool(CONFIGS, *at, "--describe")


def test_the_java_console_clients_produce_and_consume(node: ServedNode) -> None:
    at = ("--bootstrap-server", node.kafka, "--topic", "java-console")
    lines = [f"line {number}" for number in range(500)]
    run_tool("org.apache.kafka.tools.ConsoleProducer", *at, stdin="\n".join(lines).encode() + b"\n")
    said = run_tool(
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        *at,
        "--from-beginning",
        "--max-messages",
        "500",
        "--timeout-ms",
        "30000",
    )
    assert said.splitlines() == lines
