"""What the Kafka door alone costs: a node in memory behind it, the server in a process of its own.

    python -m benchmarks.kafka_door [--seconds 3] [--profile FILE]

Prints requests a second and server CPU a request: small produces with 1 and 64 connections (one in flight each), 64 in
flight on one connection, and batches of 1 MB.
"""

import argparse
import asyncio
import cProfile
import json
import multiprocessing
import resource
import struct
import time
from multiprocessing.connection import Connection
from typing import cast

import uvloop

from gateway.kafka.server import KafkaServer
from gateway.kafka.settings import KafkaSettings
from gateway.wire.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from tests.support.fake_node import FakeNode, FakePartition
from tests.support.raw_kafka import batch_of, request_frame

VERSION = 9


class Forgetful(FakePartition):
    """Keeps nothing, so that a run is as long as we like."""

    def advance(self, end: int) -> None:
        super().advance(end)
        self.batches.clear()


def serve(pipe: Connection, profile: str | None) -> None:
    async def run() -> None:
        node = FakeNode()
        topic = node.add_topic("t")
        node.partitions["t", 0] = Forgetful(node, topic, 0)
        server = KafkaServer(node, KafkaSettings())
        pipe.send(await server.start("127.0.0.1", 0))
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()

        def asked() -> None:
            if pipe.recv() == "stop":
                stopped.set()
                return
            used = resource.getrusage(resource.RUSAGE_SELF)
            pipe.send((used.ru_utime + used.ru_stime, used.ru_utime, server.metrics.requests[0]))

        loop.add_reader(pipe.fileno(), asked)
        await stopped.wait()
        loop.remove_reader(pipe.fileno())
        await server.close(1000)

    if profile is None:
        uvloop.run(run())
    else:
        with cProfile.Profile() as found:
            uvloop.run(run())
        found.dump_stats(profile)


class Producer(asyncio.Protocol):
    """Sends the next request when an answer is whole; every answer has the same size."""

    def __init__(self, frame: bytes, in_flight: int) -> None:
        self.frame, self.in_flight = frame, in_flight
        self.waiting = b""
        self.done = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self.frame * self.in_flight)

    def data_received(self, data: bytes) -> None:
        data = self.waiting + data
        whole = 0
        position = 0
        while len(data) - position >= 4:
            (size,) = struct.unpack_from(">i", data, position)
            if len(data) - position < 4 + size:
                break
            position += 4 + size
            whole += 1
        self.waiting = data[position:]
        self.done += whole
        if whole:
            self.transport.write(self.frame * whole if whole > 1 else self.frame)


def frame_of(payload_bytes: int) -> bytes:
    batch = memoryview(batch_of(bytes(payload_bytes)))
    data = [TopicProduceData("t", [PartitionProduceData(0, batch)])]
    return request_frame("produce", VERSION, 1, ProduceRequest(None, -1, 30_000, data))


async def measure(
    pipe: Connection, address: tuple[str, int], connections: int, in_flight: int, payload_bytes: int, seconds: float
) -> dict[str, float]:
    frame = frame_of(payload_bytes)
    loop = asyncio.get_running_loop()
    producers = []
    for _ in range(connections):
        _, producer = await loop.create_connection(lambda: Producer(frame, in_flight), *address)
        producers.append(producer)
    await asyncio.sleep(0.3)
    pipe.send("usage")
    cpu, user, requests = pipe.recv()
    begun = time.perf_counter()
    await asyncio.sleep(seconds)
    pipe.send("usage")
    cpu_end, user_end, requests_end = pipe.recv()
    took = time.perf_counter() - begun
    for producer in producers:
        producer.transport.abort()
    count = requests_end - requests
    return {
        "connections": connections,
        "in_flight": in_flight,
        "payload_bytes": payload_bytes,
        "requests_per_s": round(count / took),
        "mb_per_s": round(count * payload_bytes / took / 1e6, 1),
        "server_cpu_us": round((cpu_end - cpu) / count * 1e6, 1),
        "server_user_us": round((user_end - user) / count * 1e6, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--profile", help="write the server's cProfile here (makes it slower)")
    options = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs, options.profile))
    process.start()
    address = ours.recv()
    for connections, in_flight, payload in ((1, 1, 100), (64, 1, 100), (1, 60, 100), (4, 1, 1_000_000)):
        row = uvloop.run(measure(ours, address, connections, in_flight, payload, options.seconds))
        print(json.dumps(row), flush=True)
    ours.send("stop")
    process.join(10)


if __name__ == "__main__":
    main()
