"""Groups of three members: three processes over TCP, each with its own files and fdatasync. CPU of all three, latency.

python -m benchmarks.raft_cluster [--directory DIR] [--seconds 2] [--times 3] [--only NAME] [--ours-only | --idle-only]

A closed loop in the leader's process: N proposals in flight, each followed by the next when it is applied, that is:
durable on a majority. `floor` is the same loop on the least that replication needs (`replication_floor`), measured by
turns with ours, on the same machine in the same minute; of each column the median, and of `ratio` (CPU of all three
nodes an entry, ours by the floor's) that of the pairs. Last, what 64 idle groups cost three nodes.
"""

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median

import uvloop

from benchmarks.raft_log import ClosedLoop
from benchmarks.replication_floor import FloorGroup, FloorNode
from raft.clock import LoopClock
from raft.configuration import Peer
from raft.disk import LocalDisk
from raft.group import Group
from raft.host import RaftHost
from raft.interfaces import Buffer, GroupId, Index, NodeId, Place, Term
from raft.links import PeerAddress
from raft.peers import Peers
from raft.settings import RaftSettings
from raft.tcp_links import Surroundings, TcpLinks
from tests.support.ports import free_ports

KIB = 1024
NODES = (1, 2, 3)
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
IDLE_GROUPS = 64
START_DEADLINE_S = 30.0


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    groups: int
    entry_bytes: int
    in_flight: int


CASES = (
    Case("1k", 1, 1 * KIB, 64),
    Case("16k", 1, 16 * KIB, 64),
    Case("256k", 1, 256 * KIB, 16),
    Case("1m", 1, 1_024 * KIB, 8),
    Case("16groups", 16, 1 * KIB, 8),
    Case("1k-alone", 1, 1 * KIB, 1),
)


class LeadersLoop(ClosedLoop):
    """Only the leader has proposed what it applies."""

    leads_here = False

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
    parser.add_argument("--times", type=int, default=3, help="that each case is measured, ours and the floor by turns")
    parser.add_argument("--only", default=None, choices=[case.name for case in CASES])
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--ours-only", action="store_true", help="without the floor")
    only.add_argument("--idle-only", action="store_true")
    parser.add_argument("--member", type=json.loads, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.member is not None:
        uvloop.run(member(**options.member))
        return
    if not options.idle_only:
        print("case            |   entries/s   MB/s  p50 ms  p99 ms | CPU us: leader  others     all | ratio")
        for case in CASES:
            if options.only in {None, case.name}:
                compare(case, options.directory, options.seconds, options.times, with_floor=not options.ours_only)
    if options.only is None:
        percent = measure_idle(options.directory, options.seconds)
        print(f"{IDLE_GROUPS} idle groups: {percent:.1f} % of a core, three nodes together")


def compare(case: Case, directory: str | None, seconds: float, times: int, *, with_floor: bool) -> None:
    ours: list[Measured] = []
    floor: list[Measured] = []
    for _ in range(times):
        ours.append(measure(case, directory, seconds, is_floor=False))
        if with_floor:
            floor.append(measure(case, directory, seconds, is_floor=True))
    print(row("ours", case, ours), end="")
    if with_floor:
        ratio = median(sum(one.cpu_us) / sum(base.cpu_us) for one, base in zip(ours, floor, strict=True))
        print(f" | {ratio:5.2f}\n{row('floor', case, floor)}", end="")
    print(flush=True)


def row(who: str, case: Case, measured: Sequence[Measured]) -> str:
    speed = median(one.entries_per_s for one in measured)
    p50_ms, p99_ms = median(one.p50_ms for one in measured), median(one.p99_ms for one in measured)
    leader, everyone = median(one.cpu_us[0] for one in measured), median(sum(one.cpu_us) for one in measured)
    others = median(sum(one.cpu_us[1:]) for one in measured)
    return (
        f"{case.name:9} {who:5} | {speed:11,.0f} {speed * case.entry_bytes / 1e6:6.0f} {p50_ms:7.2f} {p99_ms:7.2f}"
        f" | {leader:14.1f} {others:7.1f} {everyone:7.1f}"
    )


def measure(case: Case, directory: str | None, seconds: float, *, is_floor: bool) -> Measured:
    arguments = {"groups": case.groups, "entry_bytes": case.entry_bytes, "in_flight": case.in_flight}
    with members(directory, seconds=seconds, is_floor=is_floor, **arguments) as processes:
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
def members(directory: str | None, **arguments: float) -> "Generator[list[subprocess.Popen[str]]]":
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
    *,
    node: int,
    ports: list[int],
    directory: str,
    groups: int,
    entry_bytes: int,
    in_flight: int,
    seconds: float,
    is_floor: bool = False,
) -> None:
    loops = [LeadersLoop([os.urandom(entry_bytes)]) for _ in range(groups)]
    async with asyncio.timeout(START_DEADLINE_S):
        if is_floor:
            go_on = await floor_member(node, ports, directory, loops)
        else:
            go_on = await raft_member(node, ports, directory, loops, spread_leaders=in_flight == 0)
    if node != 1:
        await asyncio.Event().wait()
    await asyncio.sleep(0.5)
    if in_flight:
        for loop in loops:
            loop.is_running = True
            for _ in range(in_flight):
                loop.propose()
        go_on()
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


async def raft_member(
    node: int, ports: list[int], directory: str, loops: Sequence[LeadersLoop], *, spread_leaders: bool
) -> Callable[[], None]:
    """Returns when all groups are led, those that are proposed to by this node."""
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
    await until(lambda: len(peers.live_nodes()) == len(NODES) - 1)
    groups: list[Group] = []
    for number, loop in enumerate(loops):
        first = number % len(NODES) if spread_leaders else 0
        founders = everyone[first:] + everyone[:first]
        loop.group = group = await host.open_group(GroupId(number), loop, founders=founders)
        groups.append(group)
        loop.leads_here = founders[0] == me
    for loop in loops:
        if loop.leads_here and not spread_leaders:
            await loop.leads.wait()
    # Idle ones may be led by whoever stood first: it does not matter to what they cost.
    await until(lambda: all(group.leader_or_none is not None for group in groups))
    return lambda: None


async def until(is_so: Callable[[], bool]) -> None:
    """Look until it is; the caller has a deadline."""
    is_met = asyncio.Event()
    loop = asyncio.get_running_loop()

    def look() -> None:
        if is_so():
            is_met.set()
        else:
            loop.call_later(0.01, look)

    look()
    await is_met.wait()


async def floor_member(node: int, ports: list[int], directory: str, loops: Sequence[LeadersLoop]) -> Callable[[], None]:
    """Returns when all nodes are linked."""
    floor = FloorNode(node, Path(directory))
    for number, loop in enumerate(loops):
        loop.group = FloorGroup(number, floor, loop)
        floor.groups.append(loop.group)
    await floor.start(ports)
    return floor.go_on


if __name__ == "__main__":
    main()
