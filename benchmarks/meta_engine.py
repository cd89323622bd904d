"""`python -m benchmarks.meta_engine`: the two engines of the catalog's group, three members on this machine.

Members share a process and a loop; each has its own links over the loopback and its own directory with real syncs.
Prints JSON for each engine: proposals a second, their latency, CPU of the process for one of them (all three members),
what the three cost when nothing is proposed, and how long a group is without a leader after its leader's links are
closed.
"""

import asyncio
import json
import logging
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

import uvloop

from raft.clock import LoopClock
from raft.configuration import Peer
from raft.disk import LocalDisk
from raft.engines import Engine
from raft.errors import NotLeaderError
from raft.group import Group
from raft.host import RaftHost
from raft.interfaces import Buffer, GroupId, Index, NodeId, Place, Role, RoleChange, Term
from raft.links import PeerAddress
from raft.peers import Peers
from raft.settings import RaftSettings
from raft.tcp_links import Surroundings, TcpLinks

ANYWHERE = PeerAddress("127.0.0.1", 0)
NODES = (1, 2, 3)
COMMAND = bytes(200)
SECONDS = 2.0
FAILOVERS = 5


class Machine:
    """Tells when an index is applied."""

    def __init__(self) -> None:
        self.waiting: dict[int, Callable[[], None]] = {}

    def restore(self, state: bytes) -> None:
        del state

    def apply(self, term: Term, index: Index, body: Sequence[Buffer], place: Place) -> None:
        del term, body, place
        done = self.waiting.pop(index, None)
        if done is not None:
            done()

    def on_persisted(self, term: Term, index: Index) -> None:
        pass

    def on_role(self, change: RoleChange) -> None:
        pass


class Trio:
    """The three members, by node."""

    def __init__(self, folder: str, engine: Engine) -> None:
        self.folder = folder
        self.engine = engine
        self.peers = {node: Peer(NodeId(node), f"disk-{node}") for node in NODES}
        self.links: dict[int, TcpLinks] = {}
        self.addresses: dict[NodeId, PeerAddress] = {}
        self.hosts: dict[int, RaftHost] = {}
        self.machines: dict[int, Machine] = {}
        self.groups: dict[int, Group] = {}

    async def start(self, stack: AsyncExitStack) -> None:
        settings = RaftSettings()
        for node in NODES:
            surroundings = Surroundings(
                clock=LoopClock(), random=random.Random(node), logger=logging.getLogger("bench")
            )
            self.links[node] = TcpLinks(self.peers[node], ANYWHERE, settings, surroundings, "bench")
            self.addresses[NodeId(node)] = await self.links[node].listen()
        for node in NODES:
            peers = Peers(self.links[node], settings.rpcs_max, LoopClock())
            self.hosts[node] = RaftHost(
                LocalDisk(),
                f"{self.folder}/{node}",
                self.peers[node],
                peers=peers,
                settings=settings,
                engine_of=lambda _group_id: self.engine,
            )
            self.set_peers(node)
            await peers.start()
            stack.push_async_callback(peers.close)
            stack.push_async_callback(self.hosts[node].abandon)
        for node in NODES:
            self.machines[node] = Machine()
            self.groups[node] = await self.hosts[node].open_group(
                GroupId(0), self.machines[node], founders=list(self.peers.values())
            )

    def set_peers(self, node: int) -> None:
        self.links[node].set_peers({other: at for other, at in self.addresses.items() if other != node})

    async def leader(self, but: int = 0) -> int:
        async with asyncio.timeout(20):
            while True:
                for node in NODES:
                    if node != but and self.groups[node].role is Role.LEADER:
                        return node
                await asyncio.sleep(0.001)

    async def propose(self, node: int) -> None:
        done = asyncio.get_running_loop().create_future()
        proposal = self.groups[node].propose([COMMAND])
        self.machines[node].waiting[proposal.index] = lambda: done.set_result(None)
        await done


async def load(trio: Trio, in_flight: int) -> dict[str, float]:
    leader = await trio.leader()
    taken_ms: list[float] = []
    ends_s = time.perf_counter() + SECONDS

    async def client() -> None:
        while (begun_s := time.perf_counter()) < ends_s:
            await trio.propose(leader)
            taken_ms.append((time.perf_counter() - begun_s) * 1_000)

    begun_s, cpu_s = time.perf_counter(), time.process_time()
    await asyncio.gather(*[client() for _ in range(in_flight)])
    cuts = statistics.quantiles(taken_ms, n=100)
    return {
        "per_s": round(len(taken_ms) / (time.perf_counter() - begun_s)),
        "p50_ms": round(cuts[49], 2),
        "p99_ms": round(cuts[98], 2),
        "cpu_us": round((time.process_time() - cpu_s) / len(taken_ms) * 1e6),
    }


async def failover_ms(trio: Trio) -> float:
    """From the moment the leader's links are closed to a commit under the next one."""
    leader = await trio.leader()
    begun_s = time.perf_counter()
    for node in NODES:
        trio.links[node].set_peers({} if node == leader else _others(trio, node, leader))
    successor = await trio.leader(but=leader)
    while True:
        try:
            await trio.propose(successor)
            break
        except NotLeaderError:
            successor = await trio.leader(but=leader)
    taken_ms = (time.perf_counter() - begun_s) * 1_000
    for node in NODES:
        trio.set_peers(node)
    await asyncio.sleep(1.5)
    return taken_ms


def _others(trio: Trio, node: int, leader: int) -> dict[NodeId, PeerAddress]:
    return {other: at for other, at in trio.addresses.items() if other not in {node, leader}}


async def measure(engine: Engine) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            trio = Trio(folder, engine)
            await trio.start(stack)
            await load(trio, 4)
            one, sixteen = await load(trio, 1), await load(trio, 16)
            cpu_s = time.process_time()
            await asyncio.sleep(SECONDS)
            idle_percent = (time.process_time() - cpu_s) / SECONDS * 100
            failovers = sorted([await failover_ms(trio) for _ in range(FAILOVERS)])
            return {
                "1 in flight": one,
                "16 in flight": sixteen,
                "idle_cpu_percent": round(idle_percent, 2),
                "failover_ms": [round(taken) for taken in failovers],
            }


def main() -> None:
    print(json.dumps({engine.value: uvloop.run(measure(engine)) for engine in Engine}, indent=2))


if __name__ == "__main__":
    main()
