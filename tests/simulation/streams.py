"""The stream workload: queries on any replica, views by event time, and what replicas must agree upon."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sharding.errors import ShardingError
from sharding.time_services import TimeServices
from store.queries import AggregateQuery, Function, Measure
from store.schema import Schema
from store.ticks import Tick, no_tick

from .client import Client
from .history import Counted, History, Place
from .workloads import Workload

if TYPE_CHECKING:
    from .cluster import Cluster
    from .process import NodeProcess

SCHEMA = Schema.of({"w": "string", "n": "long"}, ["n"])
COUNT = AggregateQuery(measures=[Measure(Function.COUNT)])
DEADLINE_S = 3.0


def view_places(topic: str, partitions: int) -> list[Place]:
    """What consumers read of a stream's views."""
    keyed = [(f"{topic}.__time.keyed", partition) for partition in range(partitions)]
    return [(f"{topic}.__time", 0), (f"{topic}.__ticks", 0), *keyed]


class Asker(Workload):
    """Counts all events of a topic on some node, linearizably."""

    def __init__(self, client: Client, history: History, cluster: "Cluster", topic: str, *, mean_s: float) -> None:
        super().__init__(client, history)
        self._cluster = cluster
        self._topic = topic
        self._mean_s = mean_s

    async def run(self) -> None:
        while not self.is_over:
            await self.rest(self._mean_s)
            process = self.client.random.choice(self._cluster.processes)
            start_s = self.now
            count = await self._ask(process)
            if count is not None:
                self.history.counted.append(Counted(self._topic, process.node_id, start_s, self.now, count))

    async def _ask(self, process: "NodeProcess") -> int | None:
        """In the node's own loop; a node that dies meanwhile never answers."""
        node, life = process.node_or_none, process.life
        if node is None or life is None:
            return None
        answer: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

        def tell(count: int | None) -> None:
            if not answer.done():
                answer.set_result(count)

        async def work() -> None:
            try:
                table = (await node.stream(self._topic).aggregate(COUNT)).table
                count = int(table.column("count")[0].as_py()) if table.num_rows else 0
            except ShardingError as error:
                self.client.world.trace("query", process.node_id, type(error).__name__)
                count = None
            self.client.loop.call_soon_threadsafe(tell, count)

        life.loop.start(work())
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await answer
        except TimeoutError:
            return None


def ticks_of(services: TimeServices, topic_id: bytes) -> list[Tick]:
    """Every tick that a replica has emitted, from tick 0 on; as `tests.support.time_node`."""
    held = services.held[topic_id]
    ticks = [no_tick(held.topic.partition_count)]
    for split in held.historic:
        ticks += split.stretch().ledger.ticks
    while (tick := services.tick_or_none(topic_id, ticks[-1].number + 1)) is not None:
        ticks.append(tick)
    return ticks


def disagreements(cluster: "Cluster", topic: str) -> list[str]:
    """Ticks, and how many events each view has after each of them, on all replicas."""
    seen: list[tuple[int, dict[int, object]]] = []
    for process in cluster.usable:
        node, life = process.node_or_none, process.life
        if node is None or life is None or not life.time:
            continue
        record = node.catalog.topic_or_none(topic)
        held = None if record is None else life.time[0].held.get(record.topic_id)
        if held is None or record is None or held.live_or_none is None:
            continue
        facts: dict[int, object] = {
            tick.number: (tick.watermark_ms, tuple(tick.cut)) for tick in ticks_of(life.time[0], record.topic_id)
        }
        ledger = held.live.ledger_or_none
        if ledger is not None:
            facts |= {
                -number: ledger.totals_at(number) for number in range(ledger.before.number + 1, ledger.last.number + 1)
            }
        seen.append((process.node_id, facts))
    return list(_compared(topic, seen))


def _compared(topic: str, seen: Sequence[tuple[int, dict[int, object]]]) -> list[str]:
    found: list[str] = []
    for at, (one_id, one) in enumerate(seen):
        for other_id, other in seen[at + 1 :]:
            for key in sorted(one.keys() & other.keys()):
                if one[key] != other[key]:
                    what = f"tick {key}" if key >= 0 else f"what tick {-key} emitted"
                    found.append(
                        f"replicas disagree: {what} of {topic} is {one[key]} on {one_id}, {other[key]} on {other_id}"
                    )
    return found
