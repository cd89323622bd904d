"""kill -9, twenty times: in the middle of sealing, and under the load of an idempotent producer."""

import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.clients.test_crashes import PARTITIONS, Load
from tests.support.disorder import Disorder
from tests.support.sealing_crashes import counts_of, kill_while_sealing
from tests.support.served import ServedNode
from tests.support.time_questions import create_stream, seal
from tests.support.views_checks import check_views, wait_final
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.evidence, pytest.mark.timeout(3_600)]

KILLS = 20


@pytest.mark.parametrize("seed", [11, 12])
def test_20_kills_while_sealing(tmp_path: Path, seed: int) -> None:
    node = ServedNode(tmp_path / "data").start()
    try:
        start_ms = time.time_ns() // 1_000_000 - 3_600_000
        stream = Disorder(seed, start_ms, lateness_ms=500, partition_count=3)
        create_stream(node, "crashed", stream, tick_ms="50", idle_ms="500")
        killed = kill_while_sealing(node, "crashed", stream, KILLS, events=500, within_s=2.5)
        seal(node, "crashed")
        wait_final(node, "crashed", stream)
        check_views(node, "crashed", stream)
        print(
            f"\n{KILLS} kills, {killed.merge_count} of them during a merge; restarts found {counts_of(killed.states)}; "
            f"{len(stream.events)} events exactly once; slowest restart {killed.worst_ready_s:.1f} s; seed {seed}"
        )
    finally:
        node.kill()


def test_20_kills_under_idempotent_load(tmp_path: Path) -> None:
    node = ServedNode(tmp_path / "data").start()
    load = None
    try:
        admin = AdminClient({"bootstrap.servers": node.kafka})
        admin.create_topics([NewTopic("load", PARTITIONS)])["load"].result(30)
        load = Load(node.kafka)
        load.start()
        slowest_s = 0.0
        for _ in range(KILLS):
            mark = len(load.acknowledged)
            wait_until(lambda mark=mark: len(load.acknowledged) > mark + 5_000, deadline_s=90, what="5,000 more acks")
            node.kill()
            node.start()
            slowest_s = max(slowest_s, node.ready_s)
        load.is_stopping.set()
        load.join(120)
        assert not load.failed
        assert load.sent == len(load.acknowledged)
        stored: dict[tuple[int, int], bytes] = {}
        consumer = Consumer({"bootstrap.servers": node.kafka, "group.id": "check", "auto.offset.reset": "earliest"})
        consumer.assign([TopicPartition("load", p, 0) for p in range(PARTITIONS)])
        while len(stored) < load.sent:
            batch = consumer.consume(10_000, 20)
            assert batch, f"{len(stored)} of {load.sent} records could be read"
            stored |= {(message.partition(), message.offset()): message.value() for message in batch}
        assert not consumer.consume(1, 2), "more records than were sent: duplicates"
        consumer.close()
        assert stored == load.acknowledged
        print(
            f"\n{KILLS} kills under load: {load.sent} acknowledged, 0 lost, 0 twice; slowest restart {slowest_s:.1f} s"
        )
    finally:
        if load is not None:
            load.is_stopping.set()
        node.kill()
