"""The replicated log of one member against the bare disk, in one run: entries per second and CPU per entry.

python -m benchmarks.raft_log [--directory DIR] [--seconds 1] [--groups 1]

`log`: a closed loop with N proposals in flight, each followed by the next when it is applied (that is: durable).
`disk`: the same bytes, N entries in one vectored write to preallocated files, then fdatasync, again and again.
`propose`: what the event loop pays in `propose` alone. The ratio compares figures of one machine in one minute.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import uvloop

from raft.configuration import Peer
from raft.disk import LocalDisk
from raft.host import RaftHost
from raft.interfaces import Buffer, GroupId, Index, NodeId, Place, Proposal, Role, RoleChange, Term

KIB = 1024
CASES = ((1 * KIB, 64), (1 * KIB, 1), (16 * KIB, 64), (256 * KIB, 16), (1024 * KIB, 8))
FILE_BYTES = 64 * KIB * KIB


@dataclass(frozen=True, slots=True)
class Measured:
    """entries: in all groups; cpu and propose: microseconds per entry."""

    entries_per_s: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    propose_us: float = 0.0


class Log(Protocol):
    def propose(self, body: Sequence[Buffer]) -> Proposal: ...


class ClosedLoop:
    """A state machine that proposes the next entry when one is applied."""

    def __init__(self, body: Sequence[Buffer]) -> None:
        self.body = body
        self.group: Log | None = None
        self.is_running = False
        self.leads = asyncio.Event()
        self.idle = asyncio.Event()
        self.began: dict[Index, float] = {}
        self.took: list[float] = []
        self.propose_s = 0.0

    def restore(self, state: bytes) -> None:
        raise AssertionError(f"a fresh log has no checkpoint of {len(state)} bytes")

    def on_role(self, change: RoleChange) -> None:
        if change.role is Role.LEADER:
            self.leads.set()

    def on_persisted(self, term: Term, index: Index) -> None:
        pass

    def apply(self, term: Term, index: Index, body: Sequence[Buffer], place: Place) -> None:
        self.took.append(time.perf_counter() - self.began.pop(index))
        if self.is_running:
            self.propose()
        elif not self.began:
            self.idle.set()

    def propose(self) -> None:
        assert self.group is not None
        start = time.perf_counter()
        index = self.group.propose(self.body).index
        self.propose_s += time.perf_counter() - start
        self.began[index] = start


async def measure_log(directory: str, entry_bytes: int, in_flight: int, *, groups: int, seconds: float) -> Measured:
    host = RaftHost(LocalDisk(), directory, Peer(NodeId(1), "disk"))
    loops = [ClosedLoop([os.urandom(entry_bytes)]) for _ in range(groups)]
    for number, loop in enumerate(loops):
        loop.group = await host.open_group(GroupId(number), loop)
        await loop.leads.wait()
    wall, cpu = time.perf_counter(), time.process_time()
    for loop in loops:
        loop.is_running = True
        for _ in range(in_flight):
            loop.propose()
    await asyncio.sleep(seconds)
    for loop in loops:
        loop.is_running = False
    await asyncio.gather(*(loop.idle.wait() for loop in loops))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    await host.close()
    took = sorted(duration for loop in loops for duration in loop.took)
    count = len(took)
    propose_s = sum(loop.propose_s for loop in loops)
    return Measured(
        count / wall,
        cpu * 1e6 / count,
        took[count // 2] * 1e3,
        took[count * 99 // 100] * 1e3,
        propose_s * 1e6 / count,
    )


def measure_disk(directory: str, entry_bytes: int, in_flight: int, *, seconds: float) -> Measured:
    body = os.urandom(entry_bytes)
    round_bytes = entry_bytes * in_flight
    descriptors: list[int] = []
    took: list[float] = []
    wall, cpu = time.perf_counter(), time.process_time()
    end, position = wall + seconds, FILE_BYTES
    while (start := time.perf_counter()) < end:
        if position + round_bytes > FILE_BYTES:  # as the log: another preallocated file, and new pages of memory
            descriptors.append(os.open(f"{directory}/disk-{len(descriptors)}", os.O_RDWR | os.O_CREAT, 0o600))
            os.posix_fallocate(descriptors[-1], 0, FILE_BYTES)
            position = 0
        written = os.pwritev(descriptors[-1], [body] * in_flight, position)
        assert written == round_bytes
        os.fdatasync(descriptors[-1])
        position += written
        took.append(time.perf_counter() - start)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    for descriptor in descriptors:
        os.close(descriptor)
    took.sort()
    count = len(took) * in_flight
    return Measured(count / wall, cpu * 1e6 / count, took[len(took) // 2] * 1e3, took[len(took) * 99 // 100] * 1e3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", default=None, help="where to write (default: the temporary directory)")
    parser.add_argument("--seconds", type=float, default=1.0, help="per figure")
    parser.add_argument("--groups", type=int, default=1, help="groups that share the writer, each with N in flight")
    options = parser.parse_args()
    print("KiB x N in flight |   entries/s   MB/s  p50 ms  p99 ms  CPU us  propose us | log/disk")
    for entry_bytes, in_flight in CASES:
        with tempfile.TemporaryDirectory(dir=options.directory) as directory:
            disk = measure_disk(directory, entry_bytes, in_flight * options.groups, seconds=options.seconds)
            running = measure_log(directory, entry_bytes, in_flight, groups=options.groups, seconds=options.seconds)
            log = uvloop.run(running)
        case = f"{entry_bytes // KIB:5d} x {in_flight:4d}"
        ratio = log.entries_per_s / disk.entries_per_s
        print(f"{case} log  | {row(log, entry_bytes)} {log.propose_us:11.1f} | {ratio:8.2f}")
        print(f"{case} disk | {row(disk, entry_bytes)} {'':11} |")


def row(measured: Measured, entry_bytes: int) -> str:
    speed = measured.entries_per_s
    return (
        f"{speed:11,.0f} {speed * entry_bytes / 1e6:6.0f}"
        f" {measured.p50_ms:7.2f} {measured.p99_ms:7.2f} {measured.cpu_us:7.1f}"
    )


if __name__ == "__main__":
    main()
