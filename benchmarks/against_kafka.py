"""Timesplit against Apache Kafka, alternating in one run: `python -m benchmarks.against_kafka [--rf 3] [--runs 3]`.

--rf 1 compares one node with one broker, --rf 3 three nodes with three brokers (min.insync.replicas 2).

Rows: record size x acks with librdkafka. Produce and consume ratios = ours / Kafka's in MB/s, flush ratios = Kafka's /
ours (one record in flight), so that more is better everywhere. Then small produce requests from raw frames: requests/s
and the server's CPU a request. Ours is durable before it answers, Kafka has its stock settings. Ends with 1 when a row
is below --floor.
"""

import argparse
import fcntl
import os
import selectors
import socket
import statistics
import struct
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.apache_kafka import ApacheKafka, cpu_seconds, memory_mib
from store import batches
from store.events import Record
from tests.support.cluster import Cluster

ROWS = ((1_000, "all"), (100, "all"), (1_000, "1"))
FLUSHES = 200
DEADLINE_S = 180.0
CONNECTIONS = 64


class Speed(NamedTuple):
    produce_mb_s: float
    consume_mb_s: float
    flush_p50_ms: float
    flush_p99_ms: float


def measure(address: str, size: int, acks: str, *, copies: int, megabytes: int) -> Speed:
    """Produce and consume `megabytes` (a quarter for small records), then single records one at a time."""
    topic = f"bench-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic(topic, 1, copies)])[topic].result(30)
    count = megabytes * 1_000_000 // size // (1 if size > 500 else 4)
    value = os.urandom(size)
    failed: list[object] = []
    producer = Producer(
        {
            "bootstrap.servers": address,
            "acks": acks,
            "linger.ms": 5,
            "queue.buffering.max.messages": 200_000,
            "queue.buffering.max.kbytes": 200_000,
        }
    )
    producer.list_topics(topic, 10)
    begun = time.perf_counter()
    for _ in range(count):
        while True:
            try:
                producer.produce(topic, value, on_delivery=lambda error, _: failed.append(error) if error else None)
                break
            except BufferError:
                producer.poll(0.01)
        producer.poll(0)
    left = producer.flush(DEADLINE_S)
    produce_s = time.perf_counter() - begun
    if failed or left:
        raise SystemExit(f"{address}: {len(failed)} failed, {left} left: {failed[:1]}")
    consumer = Consumer({"bootstrap.servers": address, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    got, begun = 0, time.perf_counter()
    while got < count and time.perf_counter() - begun < DEADLINE_S:
        got += sum(1 for message in consumer.consume(10_000, 1.0) if not message.error())
    consume_s = time.perf_counter() - begun
    consumer.close()
    if got < count:
        raise SystemExit(f"{address}: consumed {got} of {count}")
    single = Producer({"bootstrap.servers": address, "acks": acks, "linger.ms": 0})
    single.list_topics(topic, 10)
    waits: list[float] = []
    for _ in range(FLUSHES):
        begun = time.perf_counter()
        single.produce(topic, value)
        single.flush(10)
        waits.append((time.perf_counter() - begun) * 1000)
    admin.delete_topics([topic])[topic].result(30)
    megabytes_moved = count * size / 1e6
    return Speed(
        megabytes_moved / produce_s,
        megabytes_moved / consume_s,
        statistics.median(waits),
        statistics.quantiles(waits, n=100)[98],
    )


def small_requests(address: str, pid: int, seconds: float) -> tuple[float, float]:
    """(requests/s, server CPU µs a request): 64 connections, each with one produce request of one record in flight."""
    host, port = address.rsplit(":", 1)
    topic = f"small-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)
    batch = batches.build([Record(0, int(time.time() * 1000), None, os.urandom(100))], base_offset=0)
    body = struct.pack(">hhii", -1, 1, 10_000, 1) + struct.pack(">h", len(topic)) + topic.encode()
    body += struct.pack(">iii", 1, 0, len(batch)) + batch
    head = struct.pack(">hhih", 0, 3, 1, 5) + b"bench"
    request = struct.pack(">i", len(head) + len(body)) + head + body
    with selectors.DefaultSelector() as selector:
        buffers: dict[socket.socket, bytes] = {}
        for _ in range(CONNECTIONS):
            connection = socket.create_connection((host, int(port)))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setblocking(False)
            selector.register(connection, selectors.EVENT_READ)
            buffers[connection] = b""
        cpu_before, begun, done = cpu_seconds(pid), time.perf_counter(), 0
        for connection in buffers:
            connection.send(request)
        while time.perf_counter() - begun < seconds:
            for key, _ in selector.select(1):
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                buffers[connection] += connection.recv(65_536)
                got = buffers[connection]
                if len(got) >= 4 and len(got) >= 4 + struct.unpack(">i", got[:4])[0]:
                    done += 1
                    buffers[connection] = b""
                    connection.send(request)
        spent_s, cpu_s = time.perf_counter() - begun, cpu_seconds(pid) - cpu_before
        for connection in buffers:
            connection.close()
    return done / spent_s, cpu_s / done * 1e6


def file_system_of(folder: str) -> str:
    """The type of the file system: on one in memory our fdatasync would cost nothing."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    holding = [(point, kind) for point, kind in mounts if Path(folder).resolve().is_relative_to(point)]
    return max(holding, key=lambda mount: len(mount[0]))[1]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rf", type=int, default=1, choices=(1, 3))
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--mb", type=int, default=150)
    arguments.add_argument("--seconds", type=float, default=5.0)
    arguments.add_argument("--floor", type=float, default=0.7)
    chosen = arguments.parse_args()
    is_below = False
    lock_path = Path(os.environ.get("BENCH_LOCK", Path(tempfile.gettempdir()) / "bench.lock"))
    count = 1 if chosen.rf == 1 else 3
    with lock_path.open("w") as lock, tempfile.TemporaryDirectory() as folder:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with Cluster(Path(folder), count=count) as ours:
            ours.start()
            idle_mib = sum(memory_mib(node.pid) for node in ours.running)
            with ApacheKafka(count) as kafka:
                print(f"data of both in {folder} ({file_system_of(folder)}), load average {os.getloadavg()[0]:.1f}")
                ready_s = max(node.ready_s for node in ours.running)
                print(f"ready: ours {ready_s:.2f} s, Kafka {kafka.ready_s:.2f} s")
                print(f"idle memory: ours {idle_mib:.0f} MiB, Kafka {sum(map(memory_mib, kafka.pids)):.0f} MiB")
                for size, acks in ROWS:
                    is_below |= _row(ours.kafka, kafka.address, size, acks, chosen) < chosen.floor
                if count == 1:
                    pids = {"Kafka": (kafka.address, kafka.pid), "ours": (ours.kafka, ours.running[0].pid)}
                    for name, (address, pid) in pids.items():
                        rate, cpu_us = small_requests(address, pid, chosen.seconds)
                        print(
                            f"small requests: {name} {rate:,.0f} requests/s, {cpu_us:.0f} µs CPU a request", flush=True
                        )
    sys.exit(is_below)


def _row(ours: str, kafka: str, size: int, acks: str, chosen: argparse.Namespace) -> float:
    """Print one row; the least of its produce, consume and (of one broker) flush p50 ratios."""
    runs: dict[str, list[Speed]] = {ours: [], kafka: []}
    for turn in range(chosen.runs + 1):
        for address in (ours, kafka) if turn % 2 else (kafka, ours):
            speed = measure(address, size, acks, copies=chosen.rf, megabytes=chosen.mb)
            if turn:  # the first round warms up
                runs[address].append(speed)
    mine, theirs = (Speed(*map(statistics.median, zip(*runs[address], strict=True))) for address in (ours, kafka))
    ratios = (
        mine.produce_mb_s / theirs.produce_mb_s,
        mine.consume_mb_s / theirs.consume_mb_s,
        theirs.flush_p50_ms / mine.flush_p50_ms,
        theirs.flush_p99_ms / mine.flush_p99_ms,
    )
    names = ("produce", "consume", "flush p50", "flush p99")
    compared = " ".join(f"{name} {ratio:.2f}" for name, ratio in zip(names, ratios, strict=True))
    print(f"{size} B acks={acks}: {compared} | ours {_shown(mine)}; Kafka {_shown(theirs)}", flush=True)
    return min(ratios[: 3 if chosen.rf == 1 else 2])


def _shown(speed: Speed) -> str:
    rates = f"{speed.produce_mb_s:.0f} {speed.consume_mb_s:.0f} MB/s"
    return f"{rates} {speed.flush_p50_ms:.2f} {speed.flush_p99_ms:.2f} ms"


if __name__ == "__main__":
    main()
