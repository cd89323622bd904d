"""Time services on every node of a cluster in memory, with what tests ask of them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from sharding.admission import TopicPolicy
from sharding.errors import NotLeaderError, OffsetNotAvailableError
from sharding.inserts import Place
from sharding.interfaces import Appended, PartitionApi, Topic
from sharding.partition import Partition
from sharding.refusals import Refusals
from sharding.sealing import SealingSettings
from sharding.streams import Stream
from sharding.time_services import TimeServices, TimeSettings
from store.batches import build, read_header, records, split_batches
from store.emission import ViewKind
from store.events import Record
from store.schema import Schema
from store.ticks import Tick, no_tick
from tests.support.memory_cluster import LOG, MemoryCluster
from tests.support.time_node import DEADLINE_S, Clock, merge_in_thread, value_of
from tests.support.waiting import until_true

__all__ = ["Place", "TimeCluster", "time_cluster"]

SCHEMA = Schema.of({"n": "long", "x": "double", "word": "string"}, ["n", "x"])


class TimeCluster:
    """`services` by node id. Appends go to whoever leads the partition."""

    def __init__(self, memory: MemoryCluster, clock: Clock) -> None:
        self.memory = memory
        self.clock = clock
        self.services: dict[int, TimeServices] = {}

    async def start(self, node_id: int, **sealing: object) -> None:
        node = self.memory.nodes[node_id]
        settings = SealingSettings(
            topics_folder=node.folder / "topics",
            check_ms=10,
            retry_ms=20,
            **{"run_merge": merge_in_thread, **sealing},
        )
        self.services[node_id] = TimeServices(node, TimeSettings(sealing=settings), logger=LOG)
        await self.services[node_id].start()

    async def stop(self, node_id: int) -> None:
        await self.services.pop(node_id).close()
        self.memory.nodes[node_id].peers.handlers.clear()

    async def create(self, name: str = "t", shards: Sequence[int] = (1, 2), **configs: str) -> Topic:
        texts = {"schema": SCHEMA.schema_text(), "aggregates": SCHEMA.aggregates_text()}
        topic = await self.memory.create(name, shards, **texts, **configs)
        await self.until(lambda: all(self.held(node_id, topic) is not None for node_id in self.services))
        return topic

    def held(self, node_id: int, topic: Topic):
        return self.services[node_id].held.get(topic.topic_id.bytes)

    def leader_of(self, topic: Topic, partition: int) -> int | None:
        record = self.memory.nodes[1].catalog.topics[topic.topic_id.bytes]
        return self.memory.groups[record.shards[partition]].leader

    async def append(self, topic: Topic, partition: int, timestamps: Sequence[int]) -> int:
        rows = [
            Record(i, ts, b"k%d" % (ts % 7), value_of(ts, partition), (("h", b"%d" % i),))
            for i, ts in enumerate(timestamps)
        ]
        batch = memoryview(bytearray(build(rows, base_offset=0)))
        future: asyncio.Future[Appended | Exception] = asyncio.get_running_loop().create_future()
        while True:
            try:
                leader = self.leader_of(topic, partition)
                record = self.memory.nodes[1].catalog.topics[topic.topic_id.bytes]
                shard = self.memory.nodes[leader].shards[record.shards[partition]]
                chain = shard.state.chains[topic.topic_id.bytes, partition]
                Partition(topic, partition, shard, chain, TopicPolicy.of(topic.configs), Refusals()).append(
                    batch, read_header(batch), acks=-1, now_ms=self.clock.ms, on_done=future.set_result
                )
                break
            except NotLeaderError:
                await asyncio.sleep(0.001)
        answer = await future
        assert isinstance(answer, Appended), answer
        return answer.base_offset

    def stream(self, node_id: int, topic: Topic) -> Stream:
        stream = self.services[node_id].stream(topic)
        assert isinstance(stream, Stream)
        return stream

    def view(self, node_id: int, topic: Topic, kind: ViewKind, index: int = 0) -> PartitionApi:
        view = self.memory.nodes[node_id].topics.get(f"{topic.name}.{kind.value}")
        return self.services[node_id].view_partition(view, topic, index)

    async def ready_view(self, node_id: int, topic: Topic, kind: ViewKind, index: int = 0) -> PartitionApi:
        """As a client that comes again until the view is served."""

        def is_served() -> bool:
            with suppress(NotLeaderError):
                self.view(node_id, topic, kind, index)
                return True
            return False

        await until_true(is_served, deadline_s=DEADLINE_S, what=f"node {node_id} serves {kind} {index}")
        return self.view(node_id, topic, kind, index)

    async def read(
        self, node_id: int, topic: Topic, kind: ViewKind, index: int = 0, offset: int = 0, bytes_max: int = 2000
    ) -> list[Record]:
        """Everything from `offset` to the high watermark, in fetches of `bytes_max`."""
        partition = await self.ready_view(node_id, topic, kind, index)
        found: list[Record] = []
        while True:
            try:
                fetched = await partition.read(offset, bytes_max)
            except OffsetNotAvailableError:
                await asyncio.sleep(0.002)
                continue
            if not fetched.records:
                return found
            for view in fetched.records:
                for position, header in split_batches(view):
                    found += records(view[position : position + header.length_bytes])
            offset = found[-1].offset + 1

    def shown_number(self, node_id: int, topic: Topic, partition: int) -> int:
        """The last tick that the partition's views show on this node; -1 while it does not serve them."""
        node = self.memory.nodes[node_id]
        shard = node.shards[node.catalog.topics[topic.topic_id.bytes].shards[partition]]
        number = self.services[node_id].shown.number_or_none(topic.topic_id.bytes, shard)
        return -1 if number is None else number

    def ticks(self, node_id: int, topic: Topic) -> list[Tick]:
        held = self.held(node_id, topic)
        ticks = [no_tick(topic.partition_count)]
        for split in held.historic:
            ticks += split.stretch().ledger.ticks
        while (tick := self.services[node_id].tick_or_none(topic.topic_id.bytes, ticks[-1].number + 1)) is not None:
            ticks.append(tick)
        return ticks

    async def until(self, condition: Callable[[], object], *, step_ms: int = 10, what: str = "the condition") -> None:
        """Let the clock go on until the condition holds."""

        def holds() -> object:
            found = condition()
            self.clock.ms += 0 if found else step_ms
            return found

        await until_true(holds, deadline_s=DEADLINE_S, what=what)

    async def settle(self, topic: Topic) -> None:
        """Until everything that can be final is, and every node that is not cut off has indexed it."""
        nodes = [one for one in self.services if one not in self.memory.cut_off]

        def is_settled() -> bool:
            leader = self.leader_of(topic, 0)
            if leader is None or leader not in self.services:
                return False
            services = self.services[leader]
            held = self.held(leader, topic)
            last = services.last_tick(held.topic)
            greatest = max(
                self.memory.groups[shard].leader is not None
                and self.memory.leader_shard(shard).state.chains[topic.topic_id.bytes, p].newest.greatest_ms
                for p, shard in enumerate(held.topic.shards)
            )
            if last.watermark_ms < greatest:
                return False
            return all(self._is_indexed(one, topic, last) for one in nodes)

        await self.until(is_settled, what="everything is final")

    def _is_indexed(self, node_id: int, topic: Topic, last: Tick) -> bool:
        held = self.held(node_id, topic)
        if held is None or held.live_or_none is None:
            return False
        return held.live.lag == 0 and held.live.ledger_or_none.last.number == last.number

    async def seal(self, topic: Topic, node_id: int | None = None):
        leader = node_id or self.leader_of(topic, 0)
        sealing = asyncio.ensure_future(self.stream(leader, topic).seal())
        await self.until(sealing.done, what="the split is sealed")
        return await sealing


@asynccontextmanager
async def time_cluster(
    folder: Path, *, leaders: Sequence[int] = (1, 2), count: int = 3, **sealing: object
) -> AsyncIterator[TimeCluster]:
    clock = Clock()
    memory = MemoryCluster(folder, clock, count=count)
    await memory.add_shards(*leaders)
    cluster = TimeCluster(memory, clock)
    for node_id in memory.nodes:
        await cluster.start(node_id, **sealing)
    try:
        yield cluster
    finally:
        for services in cluster.services.values():
            await services.close()
