"""The same app against a real Apache Kafka, which commits no watermarks: they are guessed, the rows are the same."""

import random
from pathlib import Path
from types import SimpleNamespace

import orjson
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from benchmarks.apache_kafka import ApacheKafka
from tests.cep.test_app import T0, brute_force, rows, worker

pytestmark = [pytest.mark.evidence, pytest.mark.timeout(300)]

EVENTS = 30_000


def test_guessed_watermarks_on_apache_kafka_with_a_worker_that_is_killed(tmp_path: Path) -> None:
    with ApacheKafka() as kafka:
        admin = AdminClient({"bootstrap.servers": kafka.address})
        source = NewTopic("kafka-events", 3, 1, config={"retention.ms": "-1"})
        admin.create_topics([source])["kafka-events"].result(30)
        broker = SimpleNamespace(kafka=kafka.address)
        events = produce(kafka.address, "kafka-events", 0, EVENTS // 2)
        with worker(broker, "app-kafka", "kafka-events", "guessed", tmp_path):
            half = brute_force([events], reached_ms(events))
            assert rows(broker, "app-kafka-out", len(half), is_unique=True) == half
        events += produce(kafka.address, "kafka-events", EVENTS // 2, EVENTS)
        with worker(broker, "app-kafka", "kafka-events", "guessed", tmp_path):
            wanted = brute_force([events], reached_ms(events))
            assert rows(broker, "app-kafka-out", len(wanted), is_unique=False) == wanted
        # The topic of the results was made by the app: old event times must not be taken for old records.
        place = ConfigResource(ResourceType.TOPIC, "app-kafka-out")
        assert admin.describe_configs([place])[place].result(30)["retention.ms"].value == "-1"


def produce(address: str, topic: str, first: int, end: int) -> list[tuple[int, int, int, str, int]]:
    """Events with up to 4 s of disorder, 20 ms apart, in 3 partitions: (ts, partition, offset, g, x)."""
    rng = random.Random(first)
    sent: list[tuple[int, int, int, str, int]] = []
    producer = Producer({"bootstrap.servers": address, "enable.idempotence": True, "linger.ms": 5})
    for n in range(first, end):
        g, x, ts = rng.choice("abc"), rng.randrange(-1000, 1000), T0 + n * 20 - rng.randrange(4_000)

        def on_delivery(error: object, message, g: str = g, x: int = x, ts: int = ts) -> None:
            assert error is None
            sent.append((ts, message.partition(), message.offset(), g, x))

        producer.produce(topic, orjson.dumps({"g": g, "x": x}), partition=n % 3, timestamp=ts, on_delivery=on_delivery)
        producer.poll(0)
    assert producer.flush(60) == 0
    return sent


def reached_ms(events: list[tuple[int, int, int, str, int]]) -> int:
    """The guess once everything is read: the least far partition, less the lateness of 5 s."""
    return min(max(e[0] for e in events if e[1] == p) for p in range(3)) - 5_000
