"""How long a killed node with a long log serves nobody: `python -m benchmarks.restart [--gb 10] [--nodes 1]`.

librdkafka fills a topic (1 KB records), then all nodes are killed (SIGKILL) and started again. Measured from the start
of the processes on: until each is ready, until a batch is acknowledged (acks=all), until the first record and the last
one are fetched. Ends with 1 if the median of the last of these is above --limit seconds.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from gateway.wire.error_codes import ErrorCode
from store.batches import build
from store.events import Record
from tests.support.blocking_kafka import BlockingKafka
from tests.support.cluster import Cluster
from tests.support.served import ServedNode

TOPIC, RECORD_BYTES = "long", 1_000
DEADLINE_S = 60.0


class Restarted(NamedTuple):
    """Seconds since the processes were started."""

    ready_s: float
    produced_s: float
    fetched_s: float


def fill(servers: str, count: int) -> None:
    failed: list[object] = []
    producer = Producer(
        {"bootstrap.servers": servers, "acks": "all", "linger.ms": 5, "queue.buffering.max.messages": 200_000}
    )
    value = os.urandom(RECORD_BYTES)
    for _ in range(count):
        while True:
            try:
                producer.produce(
                    TOPIC, value, partition=0, on_delivery=lambda error, _: failed.append(error) if error else None
                )
                break
            except BufferError:
                producer.poll(0.01)
        producer.poll(0)
    left = producer.flush(DEADLINE_S)
    assert not left, f"{left} records were not answered"
    assert not failed, f"{len(failed)} records failed: {failed[0]}"


def until_served(nodes: list[ServedNode], begun: float, ask: Callable[[BlockingKafka], bool]) -> float:
    """Ask one node after the other until one does it; seconds since `begun`."""
    while (now := time.perf_counter()) - begun < DEADLINE_S:
        for node in nodes:
            try:
                with BlockingKafka(node.kafka) as connection:
                    if ask(connection):
                        return time.perf_counter() - begun
            except (ConnectionError, AssertionError):
                continue
        time.sleep(max(0.0, 0.005 - (time.perf_counter() - now)))
    raise SystemExit(f"nobody served within {DEADLINE_S:.0f} s")


def restart(cluster: Cluster, end: int) -> Restarted:
    cluster.kill_all()
    nodes = list(cluster.nodes.values())
    begun = time.perf_counter()
    for node in nodes:
        node.spawn()
    batch = build([Record(0, int(time.time() * 1000), None, b"after the restart")], base_offset=0)
    produced_s = until_served(nodes, begun, lambda kafka: kafka.produce(TOPIC, 0, batch)[0] is ErrorCode.NONE)

    def fetches_both(kafka: BlockingKafka) -> bool:
        return bool(kafka.read(TOPIC, 0, 0)) and bool(kafka.read(TOPIC, 0, end))

    fetched_s = until_served(nodes, begun, fetches_both)
    for node in nodes:
        node.wait_ready()
    return Restarted(max(node.ready_s for node in nodes), produced_s, fetched_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gb", type=float, default=10.0)
    parser.add_argument("--nodes", type=int, default=1, choices=(1, 3))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--limit", type=float, default=1.0)
    parser.add_argument("--directory", default=None, help="where to write (default: the temporary directory)")
    chosen = parser.parse_args()
    count = int(chosen.gb * 1e9) // RECORD_BYTES
    with (
        tempfile.TemporaryDirectory(dir=chosen.directory) as folder,
        Cluster(Path(folder), count=chosen.nodes) as cluster,
    ):
        cluster.start()
        admin = AdminClient({"bootstrap.servers": cluster.kafka})
        admin.create_topics([NewTopic(TOPIC, 1, chosen.nodes)])[TOPIC].result(30)
        begun = time.perf_counter()
        fill(cluster.kafka, count)
        took_s = time.perf_counter() - begun
        print(f"{chosen.gb:g} GB on {chosen.nodes} node(s), filled at {chosen.gb * 1e3 / took_s:.0f} MB/s", flush=True)
        runs: list[Restarted] = []
        for _ in range(chosen.runs):
            runs.append(restart(cluster, count))
            print("restart: ready {:.2f} s, produce {:.2f} s, fetch {:.2f} s".format(*runs[-1]), flush=True)
    median = Restarted(*map(statistics.median, zip(*runs, strict=True)))
    print("median:  ready {:.2f} s, produce {:.2f} s, fetch {:.2f} s".format(*median))
    sys.exit(max(median.produced_s, median.fetched_s) > chosen.limit)


if __name__ == "__main__":
    main()
