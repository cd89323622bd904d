"""Questions by time over HTTP and Kafka, on a disordered stream of sealed and live splits: equal to brute force."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from confluent_kafka import Consumer, TopicPartition

from tests.support.blocking_kafka import BlockingKafka
from tests.support.disorder import Disorder
from tests.support.served import ServedNode
from tests.support.time_questions import (
    Asker,
    append,
    ask_aggregates,
    ask_events,
    ask_offsets,
    create_stream,
    matches_as_json,
    seal,
    wait_historic,
)

pytestmark = [pytest.mark.clients, pytest.mark.timeout(180)]

TOPIC = "disordered"
SEED = 20_261_124
SPLIT_EVENTS = 1_500


@dataclass
class Loaded:
    node: ServedNode
    stream: Disorder
    asker: Asker
    not_json: tuple[float, int] = (0, 0)

    def restart(self) -> None:
        self.asker.close()
        self.node.kill()
        self.node.start()
        self.asker = Asker(self.node, TOPIC)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    """Two splits that were cut by size with events carried over, one sealed by hand, and live data."""
    node = ServedNode(tmp_path_factory.mktemp("ranges") / "data").start()
    try:
        stream = Disorder(SEED, time.time_ns() // 1_000_000 - 3_600_000, lateness_ms=1_000, partition_count=3)
        create_stream(node, TOPIC, stream, split_bytes="100000")
        for count in (1, 2):
            append(node, TOPIC, stream, SPLIT_EVENTS)
            wait_historic(node, TOPIC, count)
        append(node, TOPIC, stream, SPLIT_EVENTS // 2)
        seal(node, TOPIC)
        append(node, TOPIC, stream, SPLIT_EVENTS // 3)
        found = Loaded(node, stream, Asker(node, TOPIC))
        # Counted as it is indexed, which every answer waits for; a restart begins anew.
        assert found.asker.ask("aggregate")["rows"][0]["count"] == len(stream.events)
        found.not_json = node.metric("timesplit_values_not_json_total", topic=TOPIC), stream.not_json_count
        yield found
        found.asker.close()
    finally:
        node.kill()


def test_aggregates_equal_brute_force(loaded: Loaded) -> None:
    assert ask_aggregates(loaded.asker, loaded.stream, 200) > 200


def test_events_come_in_total_order_with_their_bytes(loaded: Loaded) -> None:
    assert ask_events(loaded.asker, loaded.stream, 60, events_max=500) > 5_000


def test_offsets_of_times_equal_brute_force(loaded: Loaded) -> None:
    with BlockingKafka(loaded.node.kafka) as kafka:
        ask_offsets(loaded.asker, kafka, loaded.stream, 60)


def test_clients_find_offsets_by_time(loaded: Loaded) -> None:
    stream = loaded.stream
    consumer = Consumer({"bootstrap.servers": loaded.node.kafka, "group.id": "times"})
    try:
        for _ in range(20):
            at = max(0, stream.random.choice(stream.ordered).timestamp_ms + stream.random.randint(-1, 1))
            asked = [TopicPartition(TOPIC, partition, at) for partition in range(stream.partition_count)]
            for found in consumer.offsets_for_times(asked, 30):
                mine = stream.of(found.partition)
                # librdkafka says -1 (the end) where no event is as late.
                wanted = next((event.offset for event in mine if event.timestamp_ms >= at), -1)
                assert found.offset == wanted, f"{found.partition} at {at}"
    finally:
        consumer.close()


def test_records_that_are_no_json_are_stored_and_have_no_attributes(loaded: Loaded) -> None:
    stream = loaded.stream
    bad = [event for event in stream.events if set(event.attributes.values()) == {None}]
    assert len(bad) > 50
    kept = {(event.partition, event.offset): event for event in bad}
    rows = [row for row in whole(loaded) if (row["_partition"], row["_offset"]) in kept]
    assert len(rows) == len(kept)
    assert all(matches_as_json(row, kept[row["_partition"], row["_offset"]]) for row in rows)
    counted, true = loaded.not_json
    assert counted == true > 20


def whole(loaded: Loaded) -> list[dict]:
    return loaded.asker.events()[0]


@pytest.mark.parametrize("order", ["time", "-time"])
def test_pages_go_on_across_a_seal(loaded: Loaded, order: str) -> None:
    append(loaded.node, TOPIC, loaded.stream, 200)
    wanted = loaded.stream.ordered if order == "time" else loaded.stream.ordered[::-1]
    rows: list[dict] = []
    cursor: str | None = None
    page_count = 0
    while page_count == 0 or cursor is not None:
        more, cursor = loaded.asker.events(order=order, limit=700, **({} if cursor is None else {"cursor": cursor}))
        rows += more
        page_count += 1
        if page_count == 2:
            assert seal(loaded.node, TOPIC)["state"] == "historic"
    assert page_count >= 5
    assert len(rows) == len(wanted)
    assert all(matches_as_json(row, event) for row, event in zip(rows, wanted, strict=True))


def test_answers_are_the_same_after_a_kill(loaded: Loaded) -> None:
    append(loaded.node, TOPIC, loaded.stream, 300)
    before = whole(loaded)
    splits = [split for split in loaded.asker.splits() if split["state"] == "historic"]
    loaded.restart()
    assert [split for split in loaded.asker.splits() if split["state"] == "historic"][: len(splits)] == splits
    # What is final may have become more, by a tick after the start; nothing else changes.
    assert [unmarked(row) for row in whole(loaded)] == [unmarked(row) for row in before]
    assert ask_aggregates(loaded.asker, loaded.stream, 60) > 60
    assert ask_events(loaded.asker, loaded.stream, 20, events_max=500) > 1_000
    with BlockingKafka(loaded.node.kafka) as kafka:
        ask_offsets(loaded.asker, kafka, loaded.stream, 20)


def unmarked(row: dict) -> dict:
    return {name: value for name, value in row.items() if name != "_unsettled"}
