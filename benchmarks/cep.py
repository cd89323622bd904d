"""What an event costs a worker: merge, tumbling OHLC and rows to a topic, against a stock Faust agent with a table.

    python -m benchmarks.cep [--events 300000] [--faust-events 20000] [--only pipeline|cep|faust] [--profile FILE]

JSON ticks of about 50 bytes, 100 keys, 1 ms apart, windows of 10 s. Three figures, all events per CPU-second of the
process that works: the pipeline alone (JSON decoding, merge, windows, rows as JSON; no broker), a worker with `cep`
that reads a served node, and a worker with a stock Faust agent and a tumbling table over the same node. Starting is not
counted: CPU time is taken from when a worker has joined until the last row is there.
"""

import argparse
import cProfile
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
from confluent_kafka import Consumer, Producer, TopicPartition

import cep
from benchmarks.apache_kafka import cpu_seconds
from cep.events import NEVER_MS
from cep.pipeline import Pipeline
from cep.readers import Arrived
from cep.records import events_of, json_of
from cep.windows import WindowPlan
from tests.support.served import ServedNode

T0 = 1_700_000_000_000
WINDOW_MS = 10_000
KEYS = 100
BATCH = 8_192
PARTITIONS = 8
DEADLINE_S = 300.0
ROOT = Path(__file__).parent.parent


@dataclass(slots=True)
class Tick:
    """A consumer record as far as `cep` reads it."""

    partition: int
    offset: int
    timestamp: int
    value: bytes
    headers: Sequence[tuple[str, bytes]] = (("timesplit.origin", b"3:12345"),)


def ticks(count: int) -> Iterator[Tick]:
    rng = random.Random(7)
    for n in range(count):
        value = {
            "sym": f"S{rng.randrange(KEYS):03d}",
            "px": round(rng.uniform(90, 110), 2),
            "qty": rng.randrange(1, 900),
        }
        yield Tick(n % PARTITIONS, n // PARTITIONS, T0 + n, orjson.dumps(value | {"venue": "XETRA"}))


def pipeline_alone(found: Sequence[Tick]) -> float:
    plan = WindowPlan(name="bars", size_ms=WINDOW_MS, by=("sym",), aggregates=(cep.ohlc("px"),))
    pipeline = Pipeline([0], [plan], complete_ms=[NEVER_MS], emitted_ms=NEVER_MS)
    begun = time.process_time()
    size = rows = 0
    for first in range(0, len(found), BATCH):
        records = found[first : first + BATCH]
        events, late = events_of(records, 0)
        pipeline.feed(0, Arrived(events, late, records[-1].timestamp))
        for row in pipeline.step()[1][0]:
            rows += 1
            size += len(json_of(row))
    assert rows == len(found) // WINDOW_MS * KEYS, (rows, size)
    return len(found) / (time.process_time() - begun)


def load(node: ServedNode, topic: str, found: Sequence[Tick]) -> None:
    schema = {"sym": "string", "px": "double", "qty": "long", "venue": "string"}
    node.post_json("/api/v1/topics", {"name": topic, "partitions": PARTITIONS, "schema": schema})
    producer = Producer({"bootstrap.servers": node.kafka, "linger.ms": 20, "queue.buffering.max.messages": 1_000_000})
    for n, tick in enumerate(found):
        producer.produce(topic, tick.value, partition=tick.partition, timestamp=tick.timestamp)
        if n % 10_000 == 0:
            producer.poll(0)
    assert producer.flush(60) == 0


@contextmanager
def worker(node: ServedNode, kind: str, folder: Path, profile: str | None) -> Iterator[tuple[int, Path]]:
    log = folder / f"{kind}.log"
    environment = {**os.environ, "BROKER": node.kafka, "DATADIR": str(folder / kind), "PROFILE": profile or ""}
    arguments = ["-m", f"benchmarks.apps.{kind}", "worker", "--without-web", "-l", "info"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments], env=environment, cwd=ROOT, stdout=output, stderr=output
        )
    try:
        yield process.pid, log
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(what: str, is_so: Callable[[], bool], log: Path) -> None:
    end = time.monotonic() + DEADLINE_S
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: {log.read_text()[-3000:]}")
        time.sleep(0.02)


def end_offset(consumer: Consumer, topic: str) -> int:
    return consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10, cached=False)[1]


def with_cep(node: ServedNode, found: Sequence[Tick], folder: Path, profile: str | None) -> tuple[float, float]:
    """(events per CPU-second, events per second of wall time)."""
    load(node, "ticks", found)
    node.post_json("/api/v1/topics", {"name": "bars", "partitions": 1})
    node.post_json("/api/v1/topics/ticks/splits/seal", None)
    consumer = Consumer({"bootstrap.servers": node.kafka, "group.id": "bench"})
    wanted = len(found) // WINDOW_MS * KEYS
    with worker(node, "bars", folder, profile) as (pid, log):
        wait_until("start", lambda: "begins at" in log.read_text(), log)
        cpu, wall = cpu_seconds(pid), time.perf_counter()
        wait_until("rows", lambda: end_offset(consumer, "bars") >= wanted, log)
        speeds = len(found) / (cpu_seconds(pid) - cpu), len(found) / (time.perf_counter() - wall)
    consumer.close()
    return speeds


def with_faust(node: ServedNode, found: Sequence[Tick], folder: Path) -> float:
    load(node, "plain-ticks", found)
    with worker(node, "stock", folder, None) as (pid, log):
        wait_until("start", lambda: "counted 1000" in log.read_text(), log)
        cpu = cpu_seconds(pid)
        wait_until("end", lambda: f"counted {len(found)}" in log.read_text(), log)
        spent = cpu_seconds(pid) - cpu
    first = min(int(n) for n in re.findall(r"counted (\d+)", log.read_text()))
    return (len(found) - first) / spent


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--events", type=int, default=300_000)
    arguments.add_argument("--faust-events", type=int, default=20_000)
    arguments.add_argument("--only", choices=("pipeline", "cep", "faust"))
    arguments.add_argument("--profile", help="write a cProfile of the pipeline, or of the cep worker, to this file")
    chosen = arguments.parse_args()
    found = list(ticks(chosen.events))
    print(f"{len(found):,} ticks of {sum(len(t.value) for t in found) / len(found):.0f} bytes, {KEYS} keys")
    speeds: dict[str, float] = {}
    if chosen.only in {None, "pipeline"}:
        profile = cProfile.Profile() if chosen.profile and chosen.only else None
        if profile:
            profile.enable()
        speeds["pipeline"] = pipeline_alone(found)
        if profile:
            profile.disable()
            profile.dump_stats(chosen.profile)
        print(f"pipeline alone          {speeds['pipeline']:>10,.0f} events per CPU-second")
    if chosen.only in {None, "cep", "faust"}:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            node = ServedNode(folder / "data").start()
            try:
                if chosen.only != "faust":
                    speeds["cep"], wall = with_cep(node, found, folder, chosen.profile)
                    print(f"cep worker              {speeds['cep']:>10,.0f} events per CPU-second ({wall:,.0f}/s wall)")
                if chosen.only != "cep":
                    speeds["faust"] = with_faust(node, found[: chosen.faust_events], folder)
                    print(f"stock Faust, table      {speeds['faust']:>10,.0f} events per CPU-second")
            finally:
                node.stop()
    if {"cep", "faust"} <= speeds.keys():
        print(f"ratio                   {speeds['cep'] / speeds['faust']:>10.0f}")


if __name__ == "__main__":
    main()
