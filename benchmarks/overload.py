"""Elections under overload: `python -m benchmarks.overload [--seconds 600] [--times 5] [--size 1000]`.

First one process of librdkafka measures what three nodes take (`size` bytes a record, acks=all, as fast as
acknowledged). Then `times` such processes, each with as many records under way as the client allows, push for the given
time. Small records spare the disk: it must hold all of it three times. Printed: rates, what was refused, and by how
much the terms of all groups rose meanwhile. Ends with 1 if any did.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from multiprocessing.queues import Queue
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.support.cluster import Cluster

TOPIC, PARTITIONS = "overload", 6


def push(servers: str, size: int, seconds: float, answers: "Queue[tuple[int, int]]") -> None:
    """Produce without pause; (acknowledged, failed) goes into `answers`."""
    outcome = [0, 0]

    def on_delivery(error: object, _message: object) -> None:
        outcome[error is not None] += 1

    producer = Producer(
        {
            "bootstrap.servers": servers,
            "acks": "all",
            "linger.ms": 5,
            "queue.buffering.max.messages": 200_000,
            "message.timeout.ms": 60_000,
            "log_level": 0,
        }
    )
    value, sent, end = os.urandom(size), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            producer.produce(TOPIC, value, partition=sent % PARTITIONS, on_delivery=on_delivery)
            sent += 1
        except BufferError:
            producer.poll(0.01)
        producer.poll(0)
    producer.flush(120)
    answers.put((outcome[0], outcome[1]))


def pushed(servers: str, size: int, seconds: float, count: int) -> tuple[float, int]:
    """`count` processes for so long: acknowledged MB/s of all, failed records."""
    answers: Queue[tuple[int, int]] = multiprocessing.Queue()
    clients = [multiprocessing.Process(target=push, args=(servers, size, seconds, answers)) for _ in range(count)]
    begun = time.monotonic()
    for client in clients:
        client.start()
    outcomes = [answers.get(timeout=seconds + 180) for _ in clients]
    for client in clients:
        client.join()
    return sum(done for done, _ in outcomes) * size / 1e6 / (time.monotonic() - begun), sum(bad for _, bad in outcomes)


def terms(cluster: Cluster) -> dict[int, int]:
    """The term of each group, as the first node sees it."""
    answer = cluster.nodes[1].get_json("/api/v1/cluster")
    return {shard["shard_id"]: shard["term"] for shard in answer["shards"]}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=600)
    arguments.add_argument("--times", type=int, default=5)
    arguments.add_argument("--size", type=int, default=1_000)
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder, Cluster(Path(folder)) as cluster:
        cluster.start()
        admin = AdminClient({"bootstrap.servers": cluster.kafka})
        admin.create_topics([NewTopic(TOPIC, PARTITIONS, 3)])[TOPIC].result(30)
        sustainable, _ = pushed(cluster.kafka, chosen.size, 10, 1)
        before = terms(cluster)
        rate, failed = pushed(cluster.kafka, chosen.size, chosen.seconds, chosen.times)
        after = terms(cluster)
    risen = {shard: after[shard] - term for shard, term in before.items() if after[shard] != term}
    print(f"one client {sustainable:.0f} MB/s; {chosen.times} clients for {chosen.seconds:.0f} s: {rate:.0f} MB/s, ")
    print(f"{failed} records failed; terms that rose: {risen or 'none'} of {len(before)} groups")
    sys.exit(bool(risen))


if __name__ == "__main__":
    main()
