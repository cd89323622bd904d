"""A whole node on real disks in a folder, with its time services and a clock that only the test moves."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread

from raft.configuration import Peer
from raft.disk import LocalDisk
from raft.host import RaftHost
from raft.interfaces import NodeId
from raft.settings import RaftSettings
from sharding.errors import NotLeaderError
from sharding.interfaces import Appended, NewTopic, PartitionApi, SplitDescription, Topic
from sharding.node import Node, NodeParts, NodeSettings
from sharding.sealing import SealingSettings
from sharding.time_services import TimeServices, TimeSettings
from store import merge_job
from store.batches import build, read_header, records, split_batches
from store.emission import ViewKind
from store.events import Record
from store.manifest import SplitManifest
from store.merge_job import MergeJob
from store.schema import Schema
from store.ticks import Tick, no_tick
from tests.support.emissions import Event
from tests.support.waiting import until_true

LOG = logging.getLogger("test")
DEADLINE_S = 45.0  # threads, processes and disks of a machine that does much else; below the minute of a test


class Clock:
    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self.ms = now_ms

    def __call__(self) -> int:
        return self.ms


async def merge_in_thread(job: MergeJob) -> SplitManifest:
    return await anyio.to_thread.run_sync(merge_job.run, job)


class TimeNode:
    """A started node; `services` are its time services."""

    def __init__(self, node: Node, clock: Clock) -> None:
        self.node = node
        self.clock = clock
        services = node._time
        assert isinstance(services, TimeServices)
        self.services = services

    async def create(self, name: str = "t", partitions: int = 2, **configs: str) -> Topic:
        named = {key.replace("_", "."): text for key, text in configs.items()}
        schema = Schema.of({"n": "long", "x": "double", "word": "string"}, ["n", "x"])
        return await self.node.create_topic(NewTopic(name=name, partitions=partitions, configs=named, schema=schema))

    async def append(self, topic: Topic, partition: int, timestamps: Sequence[int]) -> int:
        """Produce one batch, as a client does that comes again after a cut; returns its base offset."""
        rows = [
            Record(i, ts, b"k%d" % (ts % 7), value_of(ts, partition), (("h", b"%d" % i),))
            for i, ts in enumerate(timestamps)
        ]
        batch = memoryview(bytearray(build(rows, base_offset=0)))
        future: asyncio.Future[Appended | Exception] = asyncio.get_running_loop().create_future()
        while True:
            try:
                self.node.partition(topic, partition).append(
                    batch, read_header(batch), acks=-1, now_ms=self.clock.ms, on_done=future.set_result
                )
                break
            except NotLeaderError:
                await asyncio.sleep(0.001)
        answer = await future
        assert isinstance(answer, Appended), answer
        return answer.base_offset

    def view(self, topic: Topic, kind: ViewKind, index: int = 0) -> PartitionApi:
        return self.node.partition(self.node.topic(f"{topic.name}.{kind.value}"), index)

    async def read(
        self, topic: Topic, kind: ViewKind, index: int = 0, offset: int = 0, bytes_max: int = 2000
    ) -> list[Record]:
        """Everything from `offset` to the high watermark, in fetches of `bytes_max`."""
        partition = self.view(topic, kind, index)
        found: list[Record] = []
        while True:
            fetched = await partition.read(offset, bytes_max)
            if not fetched.records:
                return found
            for view in fetched.records:
                for position, header in split_batches(view):
                    found += records(view[position : position + header.length_bytes])
            assert found[-1].offset >= offset
            offset = found[-1].offset + 1

    def ticks(self, topic: Topic) -> list[Tick]:
        """Every tick, from tick 0 on."""
        held = self.services._held[topic.topic_id.bytes]
        ticks = [no_tick(topic.partition_count)]
        for split in held.historic:
            ticks += split.stretch().ledger.ticks
        while (tick := self.services.tick_or_none(topic.topic_id.bytes, ticks[-1].number + 1)) is not None:
            ticks.append(tick)
        return ticks

    async def until(self, condition: Callable[[], object], *, step_ms: int = 10, what: str = "the condition") -> None:
        """Let the clock go on until the condition holds."""

        def holds() -> object:
            found = condition()
            self.clock.ms += 0 if found else step_ms
            return found

        await until_true(holds, deadline_s=DEADLINE_S, what=what)

    async def seal(self, topic: Topic) -> SplitDescription | None:
        sealing = asyncio.ensure_future(self.node.stream(topic.name).seal())
        await self.until(sealing.done, what="the split is sealed")
        return await sealing

    async def ready(self, topic: Topic) -> None:
        """Until the views of a restarted node are served."""
        await self.until(lambda: self.is_served(topic), what="the views are ready")

    def is_served(self, topic: Topic) -> bool:
        """Every view partition shows all that is emitted."""
        ledger = self.services._held[topic.topic_id.bytes].live.ledger_or_none
        try:
            for index in range(topic.partition_count):
                self.view(topic, ViewKind.KEYED, index)
            return self.view(topic, ViewKind.TICKS).high_watermark == ledger.last.number
        except NotLeaderError:
            return False

    def shows(self, topic: Topic, number: int) -> bool:
        """Every view partition shows this tick, and there is none behind it yet."""
        last = self.services._held[topic.topic_id.bytes].live.ledger_or_none.last.number
        return last == number == self.ticks(topic)[-1].number and self.is_served(topic)

    async def settle(self, topic: Topic) -> None:
        """Until everything that can be final is, and the views show it."""

        def is_settled() -> bool:
            held = self.services._held[topic.topic_id.bytes]
            chains = [chain for _, chain in self.services.places_of(held.topic)]
            last = self.services.last_tick(held.topic)
            greatest = max(chain.newest.greatest_ms for chain in chains)
            is_indexed = held.live.lag == 0 and held.live.ledger_or_none.last.number == last.number
            return last.watermark_ms >= greatest and is_indexed and self.is_served(topic)

        await self.until(is_settled, what="everything is final")


def value_of(timestamp_ms: int, partition: int) -> bytes:
    return b'{"n":%d,"x":%d.5,"word":"w%d"}' % (timestamp_ms % 1000, timestamp_ms % 100, partition)


def origin_of(record: Record) -> tuple[Event, bool]:
    """The event that a view's record shows, and whether it is late."""
    headers = dict(record.headers)
    partition, offset = (headers["timesplit.origin"] or b"").split(b":")
    return (record.timestamp_ms, int(partition), int(offset)), "timesplit.late" in headers


@asynccontextmanager
async def time_node(
    folder: Path, clock: Clock, *, is_merged_in_process: bool = False, **sealing: object
) -> AsyncIterator[TimeNode]:
    host = RaftHost(
        LocalDisk(), str(folder / "shards"), Peer(NodeId(1), "disk"), settings=RaftSettings(segment_bytes=4 << 20)
    )
    settings = SealingSettings(
        topics_folder=folder / "topics",
        check_ms=10,
        retry_ms=20,
        **{"run_merge": None if is_merged_in_process else merge_in_thread, "monotonic_ms": clock, **sealing},
    )
    node = Node(
        NodeSettings(node_id=1, cluster_id="c", auto_create_topics=False),
        host,
        now_ms=clock,
        random=random.Random(clock.ms),
        logger=LOG,
        parts=NodeParts(time=lambda made: TimeServices(made, TimeSettings(sealing=settings), logger=LOG)),
    )
    await node.start()
    try:
        yield TimeNode(node, clock)
    finally:
        await node.close()
        await host.close()
