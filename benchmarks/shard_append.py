"""What a shard costs per small append and per fetch, over a real log on disk: `python -m benchmarks.shard_append`.

Admission, group commit, fdatasync, apply and answers of 100-byte records, one record per batch, 64 appends per turn of
the loop; then fetches, a checkpoint and a restart that replays what was appended.
"""

import asyncio
import logging
import random
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from raft.configuration import Peer
from raft.disk import LocalDisk
from raft.host import RaftHost
from raft.interfaces import NodeId
from sharding.node import Node, NodeSettings
from sharding.partition import Partition
from sharding.shard import ShardSettings
from store.batches import NO_PRODUCER, Producer, build, read_header
from store.events import Record

COUNT = 50_000
APPENDS_PER_TURN = 64


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def wired(directory: str) -> tuple[RaftHost, Node]:
    host = RaftHost(LocalDisk(), directory + "/shards", Peer(NodeId(1), "disk"))
    settings = NodeSettings(node_id=1, cluster_id="c", shard=ShardSettings(checkpoint_bytes=1 << 30))
    return host, Node(settings, host, now_ms=now_ms, random=random.SystemRandom(), logger=logging.getLogger())


async def append_all(partition: Partition, name: str, *, is_idempotent: bool) -> None:
    done = asyncio.get_running_loop().create_future()
    left = COUNT

    def on_done(answer: object) -> None:
        nonlocal left
        assert not isinstance(answer, Exception), answer
        left -= 1
        if not left:
            done.set_result(None)

    at_ms = now_ms()
    rows = [Record(0, at_ms, b"key", b"x" * 97)]
    batches: list[memoryview] = []
    for number in range(COUNT):
        producer = Producer(number % 8, 0, number // 8) if is_idempotent else NO_PRODUCER
        if is_idempotent or not batches:
            one = build(rows, base_offset=0, producer=producer)
        batches.append(memoryview(bytearray(one)))
    headers = [read_header(batch) for batch in batches]
    wall, cpu = time.perf_counter(), time.thread_time()
    for number, (batch, header) in enumerate(zip(batches, headers, strict=True)):
        partition.append(batch, header, acks=-1, now_ms=at_ms, on_done=on_done)
        if number % APPENDS_PER_TURN == 0:
            await asyncio.sleep(0)
    await done
    wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
    print(f"{name}: {cpu / COUNT * 1e6:.1f} us CPU of the loop's thread, {wall / COUNT * 1e6:.1f} us wall per append")


def timed(name: str, count: int, run: object) -> None:
    assert callable(run)
    start = time.perf_counter()
    for number in range(count):
        run(number)
    print(f"{name}: {(time.perf_counter() - start) / count * 1e6:.1f} us")


async def measure(directory: str) -> None:
    host, node = wired(directory)
    await node.start()
    partition = node.partition(await node.ensure_topic("t"), 0)
    assert isinstance(partition, Partition)
    for _ in range(2):
        await append_all(partition, "append", is_idempotent=False)
    await append_all(partition, "append, idempotent", is_idempotent=True)
    timed("fetch of 1 batch", 20_000, lambda number: partition.read(number, 100))
    timed("fetch of 64 KiB of 170-byte batches", 200, lambda number: partition.read(number, 1 << 16))
    timed("fetch of 1 MiB of 170-byte batches", 20, lambda number: partition.read(number, 1 << 20))
    timed(f"checkpoint of {3 * COUNT} batches", 3, lambda _: partition.shard.state.snapshot())
    await host.close()
    host, node = wired(directory)
    start = time.perf_counter()
    await node.start()
    print(f"replay: {(time.perf_counter() - start) / COUNT / 3 * 1e6:.1f} us per append")
    await node.close()
    await host.close()
    host, node = wired(directory)
    start = time.perf_counter()
    await node.start()
    print(f"restart from a checkpoint: {(time.perf_counter() - start) * 1e3:.1f} ms")
    await node.close()
    await host.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        uvloop.run(measure(str(Path(folder))))
