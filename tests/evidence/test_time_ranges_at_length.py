"""10,000 aggregates, 2,000 ranges of events and 20 large ones on a served stream: half of them after kill -9."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

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
    seal,
    wait_historic,
)

pytestmark = [pytest.mark.evidence, pytest.mark.timeout(3_600)]

SEED = 7
TOPIC = "lengthy"
SPLITS = 5
SPLIT_EVENTS = 9_000
LIVE_EVENTS = 20_000


@dataclass
class Loaded:
    node: ServedNode
    stream: Disorder


@pytest.fixture(scope="module", params=["as it was written", "after kill -9"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    node = ServedNode(tmp_path_factory.mktemp("ranges") / "data").start()
    try:
        start_ms = time.time_ns() // 1_000_000 - 3_600_000
        stream = Disorder(SEED, start_ms, lateness_ms=1_000, partition_count=3)
        create_stream(node, TOPIC, stream, split_bytes="500000")
        for count in range(SPLITS):
            append(node, TOPIC, stream, SPLIT_EVENTS)
            wait_historic(node, TOPIC, count + 1)
        seal(node, TOPIC)
        append(node, TOPIC, stream, LIVE_EVENTS)
        if request.param == "after kill -9":
            node.kill()
            node.start()
            stream.random.seed(SEED + 1)  # other questions than before
        splits = node.get_json(f"/api/v1/topics/{TOPIC}/splits")["splits"]
        counts = [f"{split['state']} {split['count']}" for split in splits]
        print(f"\n{request.param}: {len(stream.events)} events in {counts}, seed {SEED}")
        yield Loaded(node, stream)
    finally:
        node.kill()


def test_5000_aggregates(loaded: Loaded) -> None:
    asker = Asker(loaded.node, TOPIC)
    begun = time.monotonic()
    rows = ask_aggregates(asker, loaded.stream, 5_000)
    asker.close()
    print(f"5,000 aggregates of {rows} rows equal brute force, {time.monotonic() - begun:.0f} s")


def test_1000_ranges_of_events(loaded: Loaded) -> None:
    asker = Asker(loaded.node, TOPIC)
    begun = time.monotonic()
    events = ask_events(asker, loaded.stream, 1_000)
    print(f"1,000 ranges of {events} events equal brute force, {time.monotonic() - begun:.0f} s")
    events = ask_events(asker, loaded.stream, 10, events_max=len(loaded.stream.events))
    asker.close()
    print(f"10 large ranges of {events} events equal brute force")


def test_500_offsets_by_time(loaded: Loaded) -> None:
    asker = Asker(loaded.node, TOPIC)
    with BlockingKafka(loaded.node.kafka) as kafka:
        ask_offsets(asker, kafka, loaded.stream, 500)
    asker.close()
    print("500 spans of offsets and up to 1,500 ListOffsets by time equal brute force")


@pytest.mark.parametrize("seed", range(101, 106))
def test_far_timestamps_beyond_the_bounds_of_the_clock(tmp_path: Path, seed: int) -> None:
    """A topic that takes any time: W is not bound to the clock, and events are 2^62 ms apart."""
    node = ServedNode(tmp_path / "data").start()
    try:
        stream = Disorder(seed, 0, lateness_ms=0, partition_count=2, step_ms=2.0**40)
        configs = {"message_timestamp_after_max_ms": str(2**63 - 1), "clock_ahead_ms": "-1"}
        create_stream(node, "far", stream, **configs)
        for _ in range(3):
            append(node, "far", stream, 500)
            seal(node, "far")
        append(node, "far", stream, 500)
        asker = Asker(node, "far")
        rows = ask_aggregates(asker, stream, 200)
        events = ask_events(asker, stream, 50)
        asker.close()
        print(f"seed {seed}: 200 aggregates of {rows} rows, 50 ranges of {events} events")
    finally:
        node.kill()
