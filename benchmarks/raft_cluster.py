"""Groups of three members: three processes over TCP, each with its own files and fdatasync. CPU of all three, latency.

python -m benchmarks.raft_cluster [--directory DIR] [--seconds 2] [--only NAME] [--idle-only]

A closed loop in the leader's process: N proposals in flight, each followed by the next when it is applied, that is:
durable on a majority. `peer` is the same on the prototype's replication core, as measured once
(research: CPU of three nodes, microseconds an entry). Last, what 64 idle groups cost three nodes.
"""

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import uvloop

from benchmarks.raft_log import ClosedLoop
from raft.clock import LoopClock
from raft.configuration import Peer
from raft.disk import LocalDisk
from raft.host import RaftHost
from raft.interfaces import Buffer, GroupId, Index, NodeId, Place, Term
from raft.links import PeerAddress
from raft.peers import Peers
from raft.settings import RaftSettings
from raft.tcp_links import Surroundings, TcpLinks
from tests.support.cluster import free_ports

KIB = 1024
NODES = (1, 2, 3)
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
IDLE_GROUPS = 64


@dataclass(frozen=True, slots=True)
class Case:
    """`peer_us`: CPU of three nodes for an entry, as the prototype had it."""

    name: str
    groups: int
    entry_bytes: int
    in_flight: int
    peer_us: float


CASES = (
    Case("1k", 1, 1 * KIB, 64, 23),
    Case("16k", 1, 16 * KIB, 64, 167),
    Case("256k", 1, 256 * KIB, 16, 1_573),
    Case("1m", 1, 1_024 * KIB, 8, 7_976),
    Case("16groups", 16, 1 * KIB, 8, 33),
    Case("1k-alone", 1, 1 * KIB, 1, 676),
)


class LeadersLoop(ClosedLoop):
    """Only the leader has proposed what it applies."""

    def apply(self, term: Term, index: Index, body: Sequence[Buffer], place: Place) -> None:
        if self.began:
            super().apply(term, index, body, place)


@dataclass(frozen=True, slots=True)
class Measured:
    entries_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: list[float]  # of each node, the leader first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", default=None, help="where to write (default: the temporary directory)")
    parser.add_argument("--seconds", type=float, default=2.0, help="per figure")
    parser.add_argument("--only", default=None, choices=[case.name for case in CASES])
    parser.add_argument("--idle-only", action="store_true")
    parser.add_argument("--member", type=json.loads, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.member is not None:
        uvloop.run(member(**options.member))
        return
    if not options.idle_only:
        print("case      |   entries/s   MB/s  p50 ms  p99 ms | CPU us: leader  others  all | peer all  ratio")
        for case in CASES:
            if options.only in {None, case.name}:
                print(row(case, measure(case, options.directory, options.seconds)), flush=True)
    if options.only is None:
        percent = measure_idle(options.directory, options.seconds)
        print(f"{IDLE_GROUPS} idle groups: {percent:.1f} % of a core, three nodes together")


def row(case: Case, measured: Measured) -> str:
    speed, cpu = measured.entries_per_s, measured.cpu_us
    return (
        f"{case.name:9} | {speed:11,.0f} {speed * case.entry_bytes / 1e6:6.0f} {measured.p50_ms:7.2f}"
        f" {measured.p99_ms:7.2f} | {cpu[0]:14.1f} {sum(cpu[1:]):7.1f} {sum(cpu):4.0f}"
        f" | {case.peer_us:8.0f} {sum(cpu) / case.peer_us:6.2f}"
    )


def measure(case: Case, directory: str | None, seconds: float) -> Measured:
    arguments = {"groups": case.groups, "entry_bytes": case.entry_bytes, "in_flight": case.in_flight}
    with members(directory, seconds=seconds, **arguments) as processes:
        leader = processes[0]
        assert leader.stdout is not None
        assert leader.stdout.readline() == "begin\n"
        before = [cpu_s(process) for process in processes]
        result = json.loads(leader.stdout.readline())
        used = [cpu_s(process) - start for process, start in zip(processes, before, strict=True)]
    cpu_us = [seconds_used * 1e6 / result["count"] for seconds_used in used]
    return Measured(result["count"] / result["wall_s"], result["p50_ms"], result["p99_ms"], cpu_us)


def measure_idle(directory: str | None, seconds: float) -> float:
    """Groups without a proposal, their leaders on all nodes in turn; percent of a core."""
    with members(directory, seconds=2 * seconds, groups=IDLE_GROUPS, entry_bytes=0, in_flight=0) as processes:
        leader = processes[0]
        assert leader.stdout is not None
        assert leader.stdout.readline() == "begin\n"
        before = sum(cpu_s(process) for process in processes)
        result = json.loads(leader.stdout.readline())
        return (sum(cpu_s(process) for process in processes) - before) / result["wall_s"] * 100


def cpu_s(process: "subprocess.Popen[str]") -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


@contextmanager
def members(directory: str | None, **arguments: float) -> "Iterator[list[subprocess.Popen[str]]]":
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        ports = free_ports(len(NODES))
        processes: list[subprocess.Popen[str]] = []
        try:
            for node in NODES:
                own = json.dumps({"node": node, "ports": ports, "directory": f"{folder}/{node}", **arguments})
                command = [sys.executable, "-m", "benchmarks.raft_cluster", "--member", own]
                processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True))
            yield processes
        finally:
            for process in processes:
                process.kill()
                process.communicate()


async def member(
    node: int, ports: list[int], directory: str, groups: int, entry_bytes: int, in_flight: int, seconds: float
) -> None:
    everyone = [Peer(NodeId(one), f"disk-{one}") for one in NODES]
    addresses = {NodeId(one): PeerAddress("127.0.0.1", port) for one, port in zip(NODES, ports, strict=True)}
    me = everyone[node - 1]
    clock, settings = LoopClock(), RaftSettings()
    links = TcpLinks(
        me, addresses[me.node_id], settings, Surroundings(clock=clock, random=Random(node)), cluster_id="benchmark"
    )
    peers = Peers(links, settings.rpcs_max, clock)
    host = RaftHost(LocalDisk(), directory, me, peers=peers, settings=settings)
    links.set_peers(addresses)
    await peers.start()
    while len(peers.live_nodes()) < len(NODES) - 1:  # noqa: ASYNC110 - it is over soon
        await asyncio.sleep(0.01)
    loops = [LeadersLoop([os.urandom(entry_bytes)]) for _ in range(groups)]
    for number, loop in enumerate(loops):
        first = number % len(NODES) if in_flight == 0 else 0
        founders = everyone[first:] + everyone[:first]
        loop.group = await host.open_group(GroupId(number), loop, founders=founders)
    if node != 1:
        await asyncio.Event().wait()
    for number, loop in enumerate(loops):
        if in_flight or number % len(NODES) == 0:
            await loop.leads.wait()
    await asyncio.sleep(0.5)
    if in_flight:
        for loop in loops:
            loop.is_running = True
            for _ in range(in_flight):
                loop.propose()
        await asyncio.sleep(0.5)
    for loop in loops:
        loop.took.clear()
    gc.collect()
    gc.freeze()  # as a served node does once it has started
    began = asyncio.get_running_loop().time()
    print("begin", flush=True)
    await asyncio.sleep(seconds)
    took = sorted(duration for loop in loops for duration in loop.took)
    wall_s = asyncio.get_running_loop().time() - began
    p50_ms, p99_ms = (took[len(took) * part // 100] * 1e3 if took else 0.0 for part in (50, 99))
    print(json.dumps({"count": len(took), "wall_s": wall_s, "p50_ms": p50_ms, "p99_ms": p99_ms}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    main()
