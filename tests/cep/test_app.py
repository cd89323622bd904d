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
def worker(
    node: ServedNode, app: str, topics: str, watermarks: str, folder: Path, *, module: str = "tests.cep.apps.seconds"
) -> Iterator[subprocess.Popen[bytes]]:
    folder.mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "APP": app, "BROKER": node.kafka, "TOPICS": topics, "WATERMARKS": watermarks, "DATADIR": str(folder),
    }  # fmt: skip
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, "worker", "--without-web", "-l", "info"],
            env=environment, cwd=ROOT, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait(10)


def says(folder: Path, text: str, within_s: float = 30.0) -> None:
    end = time.monotonic() + within_s
    while text not in (said := (folder / "log").read_text()):
        assert time.monotonic() < end, f"the worker never said {text!r}: {said[-3000:]}"
        time.sleep(0.05)  # a poll with a deadline


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


def test_one_worker_works_and_another_takes_over_when_it_is_killed(node: ServedNode, tmp_path: Path) -> None:
    make(node, "pair")
    first = produce(node, "pair", 1_500, seed=20)
    active, idle = tmp_path / "active", tmp_path / "idle"
    with worker(node, "app-pair", "pair", "committed", active) as killed:
        half = brute_force([first], min(max(e[0] for e in first if e[1] == p) for p in range(3)) - 5_000)
        assert rows(node, "app-pair-out", len(half), is_unique=True) == half
        with worker(node, "app-pair", "pair", "committed", idle):
            says(idle, "Successfully synced group app-pair-cep-pair")
            says(active, "generation 2")  # it joined again and kept the work
            assert "begins at" not in (idle / "log").read_text()
            killed.send_signal(signal.SIGKILL)
            node.post_json("/api/v1/topics/pair/splits/seal", None)
            wanted = brute_force([first], max(e[0] for e in first))
            assert rows(node, "app-pair-out", len(wanted), is_unique=False) == wanted
            says(idle, "begins at")


def test_a_topic_made_after_the_start_is_waited_for(node: ServedNode, tmp_path: Path) -> None:
    with worker(node, "app-tardy", "tardy", "committed", tmp_path):
        says(tmp_path, "waits for ['tardy']")
        make(node, "tardy")
        events = produce(node, "tardy", 600, seed=30)
        node.post_json("/api/v1/topics/tardy/splits/seal", None)
        wanted = brute_force([events], max(e[0] for e in events))
        assert rows(node, "app-tardy-out", len(wanted), is_unique=True) == wanted


def test_a_topic_without_watermarks_ends_the_worker_with_a_sentence(node: ServedNode, tmp_path: Path) -> None:
    node.post_json("/api/v1/topics", {"name": "plain", "partitions": 1})
    with worker(node, "app-plain", "plain", "committed", tmp_path) as process:
        assert process.wait(30) != 0
    assert "commits no watermarks for this topic" in (tmp_path / "log").read_text()


def test_agents_take_final_rows_and_ordered_batches(node: ServedNode, tmp_path: Path) -> None:
    make(node, "agents")
    events = produce(node, "agents", 1_000, seed=40)
    node.post_json("/api/v1/topics/agents/splits/seal", None)
    until_ms = max(e[0] for e in events)
    wanted = brute_force([events], until_ms)

    def taken(name: str) -> list:
        found = tmp_path / name
        return [orjson.loads(line) for line in found.read_bytes().splitlines()] if found.exists() else []

    with worker(node, "app-agents", "agents", "committed", tmp_path, module="tests.cep.apps.agents"):
        end = time.monotonic() + 40
        while len(taken("rows")) < len(wanted) or sum(len(b[0]) for b in taken("batches")) < len(events):
            assert time.monotonic() < end, (tmp_path / "log").read_text()[-3000:]
            time.sleep(0.05)
    found = [values for _, values in taken("rows")]
    names = ("count", "sum(x)", "open(x)", "high(x)", "low(x)", "close(x)")
    assert {(v["window_start"], v["g"]): tuple(v[n] for n in names) for v in found} == wanted
    assert len(found) == len(wanted)
    batches = taken("batches")
    ordered = [tuple(order) for orders, _ in batches for order in orders]
    assert [ts for ts, *_ in ordered] == sorted(e[0] for e in events)
    assert ordered == sorted(ordered)
    assert max(len(orders) for orders, _ in batches) <= 100
    reached_ms = -1
    for orders, watermark_ms in batches:
        assert all(ts > reached_ms for ts, *_ in orders), "an event at or below a watermark that was given"
        assert watermark_ms >= reached_ms
        reached_ms = watermark_ms


def test_the_example_gives_final_rows_of_flights(node: ServedNode, tmp_path: Path) -> None:
    node.post_json("/api/v1/topics", {"name": "flights", "schema": {"origin": "string", "dep_delay": "long"}})
    producer = Producer({"bootstrap.servers": node.kafka})
    hour_ms, day = 3_600_000, T0 // 86_400_000 * 86_400_000
    for n, (origin, delay) in enumerate([("JFK", 5), ("LGA", None), ("JFK", -2), ("JFK", 90)]):
        value = orjson.dumps({"origin": origin, "dep_delay": delay})
        producer.produce("flights", value, timestamp=day + n * hour_ms // 2)
    assert producer.flush(10) == 0
    node.post_json(f"/api/v1/topics/flights/splits/seal?watermark={day + 24 * hour_ms}", None)
    with worker(node, "delays", "flights", "committed", tmp_path, module="examples.flights_app"):
        says(tmp_path, "JFK: 3 departures, longest delay 90 min")
        says(tmp_path, "LGA: 1 departures, longest delay None min")
        # While it runs: it says a result before it publishes it.
        consumer = Consumer({"bootstrap.servers": node.kafka, "group.id": "example", "auto.offset.reset": "earliest"})
        consumer.assign([TopicPartition("departures-hourly", 0, 0)])
        found = [orjson.loads(message.value()) for message in consumer.consume(3, 20)]
        consumer.close()
    shown = [(r["window_start"], r["origin"], r["count"], r["mean(dep_delay)"], r["close(dep_delay)"]) for r in found]
    assert shown == [(day, "JFK", 1, 5, 5), (day, "LGA", 1, None, None), (day + hour_ms, "JFK", 2, 44.0, 90)]


def test_a_worker_survives_its_broker(tmp_path: Path) -> None:
    fragile = ServedNode(tmp_path / "data").start()
    try:
        make(fragile, "fragile")
        events = produce(fragile, "fragile", 900, seed=50)
        with worker(fragile, "app-fragile", "fragile", "committed", tmp_path / "worker") as process:
            half = brute_force([events], min(max(e[0] for e in events if e[1] == p) for p in range(3)) - 5_000)
            assert rows(fragile, "app-fragile-out", len(half), is_unique=True) == half
            fragile.kill()
            fragile.start()
            fragile.post_json("/api/v1/topics/fragile/splits/seal", None)
            wanted = brute_force([events], max(e[0] for e in events))
            assert rows(fragile, "app-fragile-out", len(wanted), is_unique=False) == wanted
            assert process.poll() is None
    finally:
        fragile.stop()
