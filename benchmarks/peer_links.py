"""`python -m benchmarks.peer_links`: what links between nodes carry, over the loopback, sender and receiver apart.

Prints JSON: MB/s of 1 MiB frames, and µs of CPU a small frame costs on either side.
"""

import asyncio
import json
import logging
import multiprocessing
import random
import time
from typing import Protocol

import uvloop

from raft.clock import LoopClock
from raft.configuration import Peer
from raft.interfaces import NodeId
from raft.links import PeerAddress
from raft.settings import RaftSettings
from raft.tcp_links import Surroundings, TcpLinks

ANYWHERE = PeerAddress("127.0.0.1", 0)
LARGE, SMALL = 1 << 20, 120
LARGE_COUNT, SMALL_COUNT = 2_000, 200_000


class Pipe(Protocol):
    """One end of a pipe between processes."""

    def send(self, obj: object, /) -> None: ...
    def recv(self) -> object: ...


class Receiver:
    """Counts."""

    def __init__(self) -> None:
        self.count = 0
        self.wanted = 0
        self.is_done = asyncio.Event()
        self.is_up = asyncio.Event()

    def on_frame(self, sender: Peer, frame: memoryview) -> None:
        del sender, frame
        self.count += 1
        if self.count == self.wanted:
            self.is_done.set()

    def on_up(self, peer: Peer) -> None:
        del peer
        self.is_up.set()

    def on_down(self, peer: Peer) -> None:
        del peer


def links_of(node: int) -> TcpLinks:
    surroundings = Surroundings(clock=LoopClock(), random=random.Random(node), logger=logging.getLogger("bench"))
    return TcpLinks(Peer(NodeId(node), f"disk {node}"), ANYWHERE, RaftSettings(), surroundings, "bench")


async def receive(pipe: Pipe) -> None:
    links, receiver = links_of(1), Receiver()
    pipe.send(await links.listen())
    links.set_peers({NodeId(2): ANYWHERE})
    await links.start(receiver)
    for count in (LARGE_COUNT, SMALL_COUNT):
        await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
        begun_s, receiver.count, receiver.wanted = time.process_time(), 0, count
        pipe.send("go")
        await receiver.is_done.wait()
        receiver.is_done.clear()
        pipe.send(time.process_time() - begun_s)
    await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
    await links.close()


async def send(pipe: Pipe) -> dict[str, float]:
    links, receiver = links_of(2), Receiver()
    there = pipe.recv()
    assert isinstance(there, PeerAddress)
    links.set_peers({NodeId(1): there})
    await links.start(receiver)
    await receiver.is_up.wait()
    figures: dict[str, float] = {}
    for name, size, count in (("large", LARGE, LARGE_COUNT), ("small", SMALL, SMALL_COUNT)):
        pipe.send("begin")
        pipe.recv()
        header, body = bytes(4), bytes(size)
        begun_s, cpu_s = time.perf_counter(), time.process_time()
        sent = 0
        while sent < count:
            # As many at a time as a busy turn of the loop would send.
            for _ in range(min(8 if size == LARGE else 64, count - sent)):
                if not links.send(NodeId(1), (header, body)):
                    break
                sent += 1
            await asyncio.sleep(0)
        there_s = await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
        assert isinstance(there_s, float)
        taken_s = time.perf_counter() - begun_s
        figures[f"{name}_mb_per_s"] = round(size * count / taken_s / 1e6, 1)
        figures[f"{name}_frames_per_s"] = round(count / taken_s)
        figures[f"{name}_send_cpu_us"] = round((time.process_time() - cpu_s) / count * 1e6, 2)
        figures[f"{name}_receive_cpu_us"] = round(there_s / count * 1e6, 2)
    pipe.send("end")
    await links.close()
    return figures


def run_receiver(pipe: Pipe) -> None:
    uvloop.run(receive(pipe))


def main() -> None:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=run_receiver, args=(there,))
    process.start()
    print(json.dumps(uvloop.run(send(here)), indent=2))
    process.join()


if __name__ == "__main__":
    main()
