"""Three members with shell, log and disk, on either engine or on both: power cuts in any call, partitions, restarts.

Whatever a leader had applied while it led is in the log of every later one, in order, once.
"""

import asyncio
from random import Random

import pytest

from raft.engines import Engine
from raft.errors import RaftError
from raft.interfaces import NodeId
from tests.support.faulty_disk import PowerCutError
from tests.support.raft_cluster import Member, RaftCluster

NODES = (1, 2, 3)
ROUNDS = 30


def _is_down(member: Member) -> bool:
    return member.group is None or member.group.is_stopped or not member.links.is_started


class Lives:
    def __init__(self, cluster: RaftCluster, seed: int) -> None:
        self.cluster = cluster
        self.rng = Random(seed)
        self.seed = seed
        self.number = 0
        self.acknowledged: dict[int, bytes] = {}

    async def run(self) -> None:
        await self.cluster.found(*NODES)
        await self.cluster.leader()
        for _ in range(ROUNDS):
            await self._round()
        for node in NODES:
            self.cluster[node].disk.cut_at = None
            self.cluster.network.rejoin(self.cluster.peer(node).node_id)
            if _is_down(self.cluster[node]):
                await self._restart(node)
        await self.cluster.leader()
        await self.cluster.put(b"the end")
        await self.cluster.agree()
        for node in NODES:
            found = dict(self.cluster[node].machine.bodies)
            lost = {index for index, body in self.acknowledged.items() if found.get(index) != body}
            assert not lost, f"node {node} lacks {sorted(lost)[:5]}"
            assert len(set(found.values())) == len(found), "a body was applied twice"

    async def _round(self) -> None:
        cluster, rng = self.cluster, self.rng
        self._propose()
        await cluster.settle(rng.choice([0, 10, 50, 200]))
        self._note()
        down = [node for node in NODES if _is_down(cluster[node])]
        match rng.choice(["cut", "part", "join", "restart", "kill", "nothing"]):
            case "cut" if not down:
                disk = cluster[rng.choice(NODES)].disk
                disk.cut_at = disk.call_count + rng.randrange(12)
            case "kill" if not down:
                await cluster.crash(rng.choice(NODES))
            case "part":
                one, other = rng.sample(NODES, 2)
                cluster.network.cut(NodeId(one), NodeId(other))
            case "join":
                for node in NODES:
                    cluster.network.rejoin(NodeId(node))
            case "restart" if down:
                await self._restart(rng.choice(down))
            case _:
                await cluster.settle(rng.choice([200, 1_500]))

    def _propose(self) -> None:
        for member in self.cluster.running:
            if _is_down(member):
                continue
            try:
                for _ in range(self.rng.randrange(4)):
                    self.number += 1
                    body = b"%d:" % self.number
                    member.opened.propose([body, bytes(self.rng.choice([0, 100, 3_000]))])
            except RaftError:
                pass

    def _note(self) -> None:
        """What a state machine has applied is what its clients were told."""
        for member in self.cluster.members.values():
            for index, body in member.machine.bodies:
                assert self.acknowledged.setdefault(index, body) == body, f"another entry at {index}"

    async def _restart(self, node: int) -> None:
        cluster = self.cluster
        self._note()
        member = cluster[node]
        if member.group is not None:
            for _, error in member.failures:
                assert isinstance(error, PowerCutError), f"only a power cut stops a group: {error!r}"
            await cluster.crash(node, seed=self.rng.getrandbits(30))
        await cluster.restart(node)


async def live(seed: int, engines: list[Engine]) -> None:
    cluster = RaftCluster(engines=engines)
    try:
        await Lives(cluster, seed).run()
    finally:
        await cluster.close()


ENGINES = {"pysyncobj": [Engine.PYSYNCOBJ], "native": [Engine.NATIVE], "mixed": [Engine.PYSYNCOBJ, Engine.NATIVE]}


@pytest.mark.parametrize("engines", ENGINES.values(), ids=ENGINES.keys())
@pytest.mark.parametrize("seed", range(6))
def test_power_cuts_and_partitions_lose_nothing(seed: int, engines: list[Engine]) -> None:
    asyncio.run(live(seed, engines))
