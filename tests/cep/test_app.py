"""A Faust worker over real topics: final rows equal brute force, also when the worker is killed half-way."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.support.served import ServedNode

pytestmark = [pytest.mark.clients, pytest.mark.timeout(180)]

T0 = 1_700_000_000_000
WINDOW_MS = 10_000
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    served = ServedNode(tmp_path_factory.mktemp("cep") / "data").start()
    try:
        yield served
    finally:
        served.stop()


@contextmanager
def worker(node: ServedNode, app: str, topics: str, watermarks: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **os.environ,
        "APP": app, "BROKER": node.kafka, "TOPICS": topics, "WATERMARKS": watermarks, "DATADIR": str(folder),
    }  # fmt: skip
    with (folder / f"{app}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.cep.apps.seconds", "worker", "-l", "info"],
            env=environment, cwd=ROOT, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait(10)


def make(node: ServedNode, topic: str) -> None:
    schema = {"g": "string", "x": "long"}
    configs = {"lateness.ms": "5000", "idle.ms": "1000"}
    node.post_json("/api/v1/topics", {"name": topic, "partitions": 3, "schema": schema, "configs": configs})


def produce(node: ServedNode, topic: str, count: int, seed: int) -> list[tuple[int, int, int, str, int]]:
    """Events with up to 4 s of disorder; (ts, partition, offset, g, x) as acknowledged."""
    rng = random.Random(seed)
    acknowledged: list[tuple[int, int, int, str, int]] = []
    producer = Producer({"bootstrap.servers": node.kafka, "enable.idempotence": True, "linger.ms": 5})
    for n in range(count):
        g, x, ts = rng.choice("abc"), rng.randrange(-1000, 1000), T0 + n * 20 - rng.randrange(4_000)

        def on_delivery(error: object, message, g: str = g, x: int = x, ts: int = ts) -> None:
            assert error is None
            acknowledged.append((ts, message.partition(), message.offset(), g, x))

        value = orjson.dumps({"g": g, "x": x})
        producer.produce(topic, value, partition=n % 3, timestamp=ts, on_delivery=on_delivery)
        producer.poll(0)
    assert producer.flush(30) == 0
    return acknowledged


def brute_force(topics: Sequence[list[tuple[int, int, int, str, int]]], until_ms: int) -> dict[tuple[int, str], tuple]:
    windows: dict[tuple[int, str], list[int]] = defaultdict(list)
    merged = sorted((ts, stream, p, o, g, x) for stream, found in enumerate(topics) for ts, p, o, g, x in found)
    for ts, _, _, _, g, x in merged:
        start = ts // WINDOW_MS * WINDOW_MS
        if start + WINDOW_MS - 1 <= until_ms:
            windows[start, g].append(x)
    return {place: (len(x), sum(x), x[0], max(x), min(x), x[-1]) for place, x in windows.items()}


def rows(node: ServedNode, topic: str, wanted: int, *, is_unique: bool) -> dict[tuple[int, str], tuple]:
    """The rows of the derived topic once it has `wanted` distinct ones; a repeated row must be the same bytes."""
    consumer = Consumer(
        {"bootstrap.servers": node.kafka, "group.id": f"check-{topic}", "auto.offset.reset": "earliest"}
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    by_id: dict[bytes, bytes] = {}
    got = 0
    end = time.monotonic() + 60
    try:
        while len(by_id) < wanted:
            assert time.monotonic() < end, f"{len(by_id)} of {wanted} rows"
            for message in consumer.consume(1_000, 0.2):
                if message.error():
                    continue
                got += 1
                row_id = dict(message.headers())["timesplit.row"]
                assert by_id.setdefault(row_id, message.value()) == message.value(), "a final row changed"
    finally:
        consumer.close()
    assert not is_unique or got == len(by_id), "a row was given twice"
    found = {}
    for value in by_id.values():
        row = orjson.loads(value)
        names = ("count", "sum(x)", "open(x)", "high(x)", "low(x)", "close(x)")
        found[row["window_start"], row["g"]] = tuple(row[name] for name in names)
    return found


def test_guessed_watermarks_over_a_plain_topic(node: ServedNode, tmp_path: Path) -> None:
    make(node, "guessed")
    with worker(node, "app-guessed", "guessed", "guessed", tmp_path):
        events = produce(node, "guessed", 3_000, seed=1)
        # Every partition's greatest timestamp less the lateness of the app.
        until_ms = min(max(e[0] for e in events if e[1] == p) for p in range(3)) - 5_000
        wanted = brute_force([events], until_ms)
        assert rows(node, "app-guessed-out", len(wanted), is_unique=True) == wanted


def test_committed_watermarks_and_a_worker_that_is_killed(node: ServedNode, tmp_path: Path) -> None:
    make(node, "committed")
    first = produce(node, "committed", 2_000, seed=2)
    with worker(node, "app-committed", "committed", "committed", tmp_path):
        half = brute_force([first], min(max(e[0] for e in first if e[1] == p) for p in range(3)) - 5_000)
        assert rows(node, "app-committed-out", len(half), is_unique=True) == half
    more = produce(node, "committed", 4_000, seed=3)  # from the same time on: half of them come late
    node.post_json("/api/v1/topics/committed/splits/seal", None)
    final = max(e[0] for e in first + more)
    with worker(node, "app-committed", "committed", "committed", tmp_path):
        wanted = brute_force([first], final)
        found = rows(node, "app-committed-out", len(wanted), is_unique=False)
    # What was final before the kill has not changed, whatever came late.
    assert {place: found[place] for place in half} == half
    assert set(brute_force([first + more], final)) == set(found)


def test_two_streams_are_merged_in_event_time(node: ServedNode, tmp_path: Path) -> None:
    topics = []
    for number, topic in enumerate(("left", "right")):
        make(node, topic)
        topics.append(produce(node, topic, 1_500, seed=10 + number))
        node.post_json(f"/api/v1/topics/{topic}/splits/seal", None)
    with worker(node, "app-merged", "left,right", "committed", tmp_path):
        until_ms = min(max(e[0] for e in found) for found in topics)
        wanted = brute_force(topics, until_ms)
        assert rows(node, "app-merged-out", len(wanted), is_unique=True) == wanted
