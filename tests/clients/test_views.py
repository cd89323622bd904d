"""The views of a disordered stream, read by plain consumers: what was final never changes, whatever happens below."""

import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka import Consumer, TopicPartition

from gateway.wire.error_codes import ErrorCode
from store.batches import build
from store.events import Record
from tests.support.blocking_kafka import BlockingKafka
from tests.support.disorder import Disorder
from tests.support.raw_kafka import batch_of
from tests.support.served import ServedNode
from tests.support.time_questions import append, create_stream, seal, wait_historic
from tests.support.views_checks import check_unchanged, check_views, read_view, wait_final
from tests.support.views_truth import LATE, ORIGIN, read_ticks, truth_of
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.clients, pytest.mark.timeout(180)]

SEED = 20_261_125


def hour_ago_ms() -> int:
    return time.time_ns() // 1_000_000 - 3_600_000


def test_views_are_the_truth_and_stay_it_through_seals_and_kills(own_node: ServedNode) -> None:
    own_node.start()
    stream = Disorder(SEED, hour_ago_ms(), lateness_ms=500, partition_count=3)
    create_stream(own_node, "viewed", stream, tick_ms="20", split_bytes="80000", idle_ms="500")
    for _ in range(6):
        append(own_node, "viewed", stream, 200)
        time_to_tick(own_node, "viewed", stream)
    wait_final(own_node, "viewed", stream)
    live = check_views(own_node, "viewed", stream)
    assert len(live["viewed.__time", 0]) == len(stream.events)
    assert len(live["viewed.__late", 0]) > 20
    assert len(live["viewed.__ticks", 0]) >= 5
    finals = own_node.get_json("/api/v1/topics/viewed/aggregate?complete=watermark")["rows"][0]["count"]
    assert finals == len(stream.events)

    seal(own_node, "viewed")
    sealed = check_views(own_node, "viewed", stream)
    check_unchanged(live, sealed)
    own_node.kill()
    own_node.start()
    append(own_node, "viewed", stream, 300)
    wait_final(own_node, "viewed", stream)
    check_unchanged(sealed, check_views(own_node, "viewed", stream))
    assert own_node.stop() == 0
    own_node.start()
    check_unchanged(sealed, check_views(own_node, "viewed", stream))


def time_to_tick(node: ServedNode, topic: str, stream: Disorder) -> None:
    """Wait for a further tick, or for the last one there is, so that what comes next may be late."""

    def ask() -> dict:
        return node.get_json(f"/api/v1/topics/{topic}/watermark")

    before, last_ms = ask()["tick"], max(event.timestamp_ms for event in stream.events)

    def is_further() -> bool:
        found = ask()
        return found["tick"] > before or (found["watermark"] or 0) >= last_ms

    wait_until(is_further, what="a tick")


def test_a_group_goes_on_in_a_view_after_a_seal_and_a_kill(own_node: ServedNode) -> None:
    own_node.start()
    stream = Disorder(SEED + 1, hour_ago_ms(), lateness_ms=500, partition_count=2)
    create_stream(own_node, "grouped", stream, tick_ms="20", idle_ms="500")
    seen: list[tuple[int, bytes]] = []

    def consume(until: int) -> None:
        consumer = Consumer(
            {
                "bootstrap.servers": own_node.kafka,
                "group.id": "on-time",
                "auto.offset.reset": "error",
                "enable.auto.commit": False,
                "session.timeout.ms": 6_000,
                "allow.auto.create.topics": False,
            }
        )
        try:
            if not seen:
                consumer.commit(offsets=[TopicPartition("grouped.__time", 0, 0)], asynchronous=False)
            consumer.subscribe(["grouped.__time"])
            end = time.monotonic() + 60
            while len(seen) < until and time.monotonic() < end:
                for message in consumer.consume(min(100, until - len(seen)), 0.5):
                    assert not message.error(), message.error()
                    assert message.offset() == len(seen)
                    seen.append((message.timestamp()[1], dict(message.headers())[ORIGIN]))
                    if len(seen) == until:
                        consumer.commit(message=message, asynchronous=False)
        finally:
            consumer.close()
        assert len(seen) == until

    append(own_node, "grouped", stream, 600)
    wait_final(own_node, "grouped", stream)
    consume(250)
    seal(own_node, "grouped")
    consume(400)
    own_node.kill()
    own_node.start()
    append(own_node, "grouped", stream, 200)
    consume(500)
    consume(800)
    with BlockingKafka(own_node.kafka) as kafka:
        truth = truth_of(stream, read_ticks(kafka, "grouped"))
    assert seen == [(event.timestamp_ms, b"%d:%d" % (event.partition, event.offset)) for event, _ in truth.time]


def test_finals_never_change_under_load_with_seals(own_node: ServedNode) -> None:
    own_node.start()
    stream = Disorder(SEED + 2, hour_ago_ms(), lateness_ms=300, partition_count=2)
    create_stream(own_node, "busy", stream, tick_ms="20", split_bytes="65536", idle_ms="500")

    def load() -> None:
        for _ in range(20):
            append(own_node, "busy", stream, 60)
        wait_historic(own_node, "busy", 1)
        append(own_node, "busy", stream, 200)

    # Every look from the start on, at whatever is final then, must extend all that was seen before.
    seen: list[Record] = []
    look_count, chance = 0, random.Random(SEED)
    with BlockingKafka(own_node.kafka) as kafka, ThreadPoolExecutor(1) as writer:
        loading = writer.submit(load)
        while not loading.done():
            from_rank = chance.randrange(len(seen)) if seen and look_count % 3 else 0
            rows = kafka.read("busy.__time", 0, from_rank)
            common = min(len(seen) - from_rank, len(rows))
            assert rows[:common] == seen[from_rank : from_rank + common], f"look {look_count} at {from_rank}"
            seen += rows[common:] if from_rank + common == len(seen) else []
            look_count += 1
        loading.result()
    wait_final(own_node, "busy", stream)
    after = check_views(own_node, "busy", stream)["busy.__time", 0]
    assert after[: len(seen)] == seen
    assert len(after) == len(stream.events)
    assert look_count > 10
    print(f"{look_count} looks at {len(seen)} finals, seed {stream.seed}")


def rows_at(*timestamps: int) -> list[Record]:
    return [Record(number, at, b"k", b'{"n":%d}' % at) for number, at in enumerate(timestamps)]


def make_late(node: ServedNode, topic: str, policy: str) -> int:
    """A stream with three finals in partition 0, watermark at the last; returns its time."""
    stream = Disorder(0, hour_ago_ms(), lateness_ms=0, partition_count=1)
    create_stream(node, topic, stream, late_policy=policy, tick_ms="20", idle_ms="200")
    first_ms = stream.start_ms
    with BlockingKafka(node.kafka) as kafka:
        kafka.append(topic, 0, rows_at(first_ms, first_ms + 10, first_ms + 20))
        read_view(kafka, f"{topic}.__time", 0, 3)
    return first_ms


def test_late_events_are_shown_in_both_views_when_accepted(node: ServedNode) -> None:
    first_ms = make_late(node, "late-accept", "accept")
    with BlockingKafka(node.kafka) as kafka:
        kafka.append("late-accept", 0, rows_at(first_ms + 5, first_ms + 30))
        rows = read_view(kafka, "late-accept.__time", 0, 5)
        assert [(row.offset, row.timestamp_ms - first_ms, LATE in dict(row.headers)) for row in rows] == [
            (0, 0, False),
            (1, 10, False),
            (2, 20, False),
            (3, 5, True),
            (4, 30, False),
        ]
        (late,) = read_view(kafka, "late-accept.__late", 0, 1)
        assert (late.offset, late.timestamp_ms - first_ms) == (0, 5)
        assert dict(late.headers)[ORIGIN] == b"0:3"


def test_late_events_are_kept_aside_under_side(node: ServedNode) -> None:
    first_ms = make_late(node, "late-side", "side")
    with BlockingKafka(node.kafka) as kafka:
        assert kafka.append("late-side", 0, rows_at(first_ms + 5, first_ms + 30)) == 3
        rows = read_view(kafka, "late-side.__time", 0, 4)
        assert [row.timestamp_ms - first_ms for row in rows] == [0, 10, 20, 30]
        (late,) = read_view(kafka, "late-side.__late", 0, 1)
        assert dict(late.headers)[ORIGIN] == b"0:3"
        assert [row.timestamp_ms - first_ms for row in kafka.read_all("late-side", 0)] == [0, 10, 20, 5, 30]
        seal(node, "late-side")
        assert kafka.read_all("late-side.__time", 0) == rows
        assert kafka.read_all("late-side.__late", 0) == [late]


def test_late_events_are_refused_as_a_whole_batch_under_reject(node: ServedNode) -> None:
    first_ms = make_late(node, "late-reject", "reject")
    with BlockingKafka(node.kafka) as kafka:
        mixed = build(rows_at(first_ms + 30, first_ms + 20), base_offset=0)
        assert kafka.produce("late-reject", 0, mixed) == (ErrorCode.INVALID_TIMESTAMP, -1)
        assert kafka.end("late-reject", 0) == 3
        kafka.append("late-reject", 0, rows_at(first_ms + 30))
        rows = read_view(kafka, "late-reject.__time", 0, 4)
        assert [row.timestamp_ms - first_ms for row in rows] == [0, 10, 20, 30]
        assert kafka.end("late-reject.__late", 0) == 0


def test_late_stays_late_after_a_kill(own_node: ServedNode) -> None:
    own_node.start()
    refusing, aside = (make_late(own_node, f"late-{policy}", policy) for policy in ("reject", "side"))
    own_node.kill()
    own_node.start()
    with BlockingKafka(own_node.kafka) as kafka:
        late = build(rows_at(refusing + 20), base_offset=0)
        assert kafka.produce("late-reject", 0, late) == (ErrorCode.INVALID_TIMESTAMP, -1)
        kafka.append("late-side", 0, rows_at(aside + 20, aside + 40))
        rows = read_view(kafka, "late-side.__time", 0, 4)
        assert [row.timestamp_ms - aside for row in rows] == [0, 10, 20, 40]
        (kept,) = read_view(kafka, "late-side.__late", 0, 1)
        assert dict(kept.headers)[ORIGIN] == b"0:3"


@pytest.mark.parametrize("kind", ["__time", "__time.keyed", "__ticks", "__late"])
def test_views_take_no_records(node: ServedNode, kind: str) -> None:
    topic = f"written-{kind.strip('_').replace('.', '-')}"
    create_stream(node, topic, Disorder(0, hour_ago_ms(), lateness_ms=0, partition_count=1))
    with BlockingKafka(node.kafka) as kafka:
        assert kafka.produce(f"{topic}.{kind}", 0, batch_of(b"{}"))[0] is ErrorCode.INVALID_TOPIC_EXCEPTION
        assert kafka.end(f"{topic}.{kind}", 0) == 0
