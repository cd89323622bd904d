"""kill -9 under load: what was acknowledged is there, once, in order."""

import threading

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.support.served import ServedNode
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.clients, pytest.mark.timeout(180)]

PARTITIONS = 3
KILLS = 3


class Load(threading.Thread):
    """An idempotent producer that writes numbered values until told to stop; remembers what was acknowledged."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.acknowledged: dict[tuple[int, int], bytes] = {}
        self.failed: list[object] = []
        self.sent = 0
        self.is_stopping = threading.Event()
        self._producer = Producer(
            {
                "bootstrap.servers": address,
                "enable.idempotence": True,
                "linger.ms": 1,
                "message.timeout.ms": 120_000,
                "reconnect.backoff.max.ms": 200,
                "retry.backoff.ms": 20,
                "log_level": 0,  # each kill is told a hundred times
            }
        )

    def _on_delivery(self, error: object, message) -> None:
        if error is not None:
            self.failed.append(error)
        else:
            place = (message.partition(), message.offset())
            assert place not in self.acknowledged
            self.acknowledged[place] = message.value()

    def run(self) -> None:
        while not self.is_stopping.is_set():
            if self.sent - len(self.acknowledged) < 2_000:
                value = b"%d" % self.sent
                self._producer.produce("load", value, partition=self.sent % PARTITIONS, on_delivery=self._on_delivery)
                self.sent += 1
            self._producer.poll(0 if self.sent % 50 else 0.002)
        self._producer.flush(90)


def test_acknowledged_records_survive_kills_without_loss_or_duplicates(own_node: ServedNode) -> None:
    own_node.start()
    admin = AdminClient({"bootstrap.servers": own_node.kafka})
    admin.create_topics([NewTopic("load", PARTITIONS)])["load"].result(30)
    load = Load(own_node.kafka)
    load.start()
    try:
        for _ in range(KILLS):
            mark = len(load.acknowledged)
            wait_until(lambda mark=mark: len(load.acknowledged) > mark + 3_000, deadline_s=60, what="3,000 more acks")
            own_node.kill()
            own_node.start()
    finally:
        load.is_stopping.set()
        load.join(120)
    assert not load.failed
    assert load.sent == len(load.acknowledged)
    stored: dict[tuple[int, int], bytes] = {}
    consumer = Consumer({"bootstrap.servers": own_node.kafka, "group.id": "check", "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition("load", p, 0) for p in range(PARTITIONS)])
    while len(stored) < load.sent:
        batch = consumer.consume(load.sent - len(stored), 20)  # returns when it has so many
        assert batch, f"{len(stored)} of {load.sent} records could be read"
        stored |= {(message.partition(), message.offset()): message.value() for message in batch}
    assert not consumer.consume(1, 1), "more records than were sent: duplicates"
    consumer.close()
    assert stored == load.acknowledged
    for partition in range(PARTITIONS):
        values = [int(stored[place]) for place in sorted(stored) if place[0] == partition]
        assert values == sorted(values)
