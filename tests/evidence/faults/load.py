"""Writers that go on through faults, and complete reads afterwards; librdkafka on both sides."""

import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from store.batches import split_batches
from tests.support.blocking_kafka import BlockingKafka
from tests.support.produce import fetch_of, fetched

from .history import History, Origin, Stored, Where, value_of

UNACKNOWLEDGED_MAX = 1_000
READ_DEADLINE_S = 120.0
LEADER_DEADLINE_S = 30.0


class Writer(threading.Thread):
    """An idempotent producer over all partitions of a topic. Notes when each acknowledgement came."""

    def __init__(self, number: int, servers: str, topic: str, partitions: int, *, size: int = 200, rate: int = 1_000):
        super().__init__(name=f"writer-{number}")
        self.history = History()
        self.failed: list[str] = []
        self.answered: dict[int, list[float]] = defaultdict(list)  # by partition; time.monotonic
        self._number, self._topic, self._partitions, self._size, self._rate = number, topic, partitions, size, rate
        self._must_stop = threading.Event()
        self._sent = 0
        self._producer = Producer(
            {
                "bootstrap.servers": servers,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 2,
                "message.timeout.ms": 120_000,
                "reconnect.backoff.ms": 20,
                "reconnect.backoff.max.ms": 200,
                # A node that is stopped answers nothing: the client must give its connection up to ask another.
                "socket.timeout.ms": 3_000,
                "request.timeout.ms": 3_000,
                "retry.backoff.ms": 20,
                "retry.backoff.max.ms": 200,
                "topic.metadata.refresh.fast.interval.ms": 50,
                "log_level": 0,
            }
        )

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.failed.append(error.str())
            return
        partition, offset = message.partition(), message.offset()
        assert partition is not None
        self.answered[partition].append(time.monotonic())
        value = message.value() or b""
        if offset is None:
            self.history.unplaced.add(value)
        else:
            self.history.acknowledged[value] = Where(self._topic, partition, offset)

    def run(self) -> None:
        begun = time.monotonic()
        while not self._must_stop.is_set():
            is_due = self._sent < (time.monotonic() - begun) * self._rate
            if is_due and len(self._producer) < UNACKNOWLEDGED_MAX:
                value = value_of(self._number, self._sent, self._size)
                self.history.sent.add(value)
                partition = self._sent % self._partitions
                self._producer.produce(self._topic, value, partition=partition, on_delivery=self._on_delivery)
                self._sent += 1
                self._producer.poll(0)
            else:
                self._producer.poll(0.001)
        self._producer.flush(120)

    def stop(self) -> None:
        """Send nothing more; returns when everything is answered, or given up."""
        self._must_stop.set()
        self.join(150)

    @property
    def acknowledged_count(self) -> int:
        return len(self.history.acknowledged) + len(self.history.unplaced)

    @property
    def waiting_count(self) -> int:
        """Records that were handed over and are not answered."""
        return len(self._producer)

    def longest_silence_s(self, since: float, until: float) -> float:
        """The longest time without an acknowledged write on any one partition."""
        longest = 0.0
        for answers in self.answered.values():
            moments = [since, *(moment for moment in answers if since <= moment <= until), until]
            longest = max(longest, *(after - before for before, after in pairwise(moments)))
        return longest


def read_all(servers: str, topic: str, partitions: int) -> list[Stored]:
    """Everything up to the high watermarks, from the leaders. Raises: AssertionError after the deadlines."""
    consumer, ends = _consumer_and_ends(servers, topic, partitions)
    try:
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(partitions)])
        left = {partition: end for partition, end in enumerate(ends) if end}
        records: list[Stored] = []
        deadline = time.monotonic() + READ_DEADLINE_S
        while left:
            assert time.monotonic() < deadline, f"not read in time: {left}"
            for message in consumer.consume(5_000, 1.0):
                if message.error() is not None:
                    continue
                partition, offset = message.partition(), message.offset()
                assert partition is not None
                assert offset is not None
                records.append(Stored(Where(topic, partition, offset), message.value() or b""))
                if partition in left and offset + 1 >= left[partition]:
                    del left[partition]
        return records
    finally:
        consumer.close()


def origin_of(addresses: Sequence[str], where: Where) -> Origin:
    """What the batch of a record says of its producer, from the leader. Raises: AssertionError (nobody leads)."""
    for address in addresses:
        with BlockingKafka(address) as kafka:
            answer = fetched(kafka.call("fetch", 11, fetch_of((where.topic, where.partition, where.offset))))[0]
        for _, header in split_batches(memoryview(answer.records or b"")):
            behind = where.offset - header.base_offset
            if 0 <= behind < header.record_count:
                return Origin(header.producer_id, header.producer_epoch, header.base_sequence + behind)
    raise AssertionError(f"nobody has {where}")


def _consumer_and_ends(servers: str, topic: str, partitions: int) -> tuple[Consumer, list[int]]:
    """A consumer, and where each partition ends.

    A partition whose leader is being elected is "unknown" to librdkafka, and may stay so for that client: each try has
    a client of its own.
    """
    deadline = time.monotonic() + LEADER_DEADLINE_S
    while True:
        consumer = Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": "none",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "check.crcs": True,
                "reconnect.backoff.max.ms": 200,
                "log_level": 0,
            }
        )
        try:
            return consumer, [_end(consumer, topic, partition) for partition in range(partitions)]
        except KafkaException as error:
            consumer.close()
            if time.monotonic() > deadline:
                raise AssertionError(f"{topic} has no leaders: {error}") from error


def _end(consumer: Consumer, topic: str, partition: int) -> int:
    watermarks = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=60)
    assert watermarks is not None, f"no watermarks of {topic}-{partition} in 60 s"
    return watermarks[1]
