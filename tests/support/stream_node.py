"""A node's parts below streams, in memory: a catalog, one shard in a memory group, and what hosts offer over them."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from sharding.catalog import Catalog, TopicRecord
from sharding.commands.command import Command
from sharding.commands.splits import Open
from sharding.interfaces import Appended
from sharding.partition_log import DecodedBatches, PartitionLog
from sharding.shard import Shard
from sharding.stream_topic import StreamTopic, StreamTopics
from sharding.write_split import SplitState, WriteSplit
from store.batches import build, read_header
from store.events import Record
from tests.support.memory_group import MemoryDisk, MemoryGroup

TOPIC = b"t" * 16


class StreamNode:
    """Fulfils `timekeeper.TickHost`. Time is `now_ms`, which only the test moves."""

    def __init__(self, disk: MemoryDisk, folder: Path | None = None) -> None:
        self.now_ms = 1_000_000
        self.disk = disk
        self.decoded = DecodedBatches()
        self.catalog = Catalog()
        self.topics = StreamTopics(self.catalog)
        logger = logging.getLogger("test")
        self.shard = Shard(1, call_soon=asyncio.get_running_loop().call_soon, logger=logger)
        self.group = MemoryGroup(self.shard, disk, folder=folder)
        self.shard.attach(self.group)
        self.group.replay()
        self.group.lead()

    def add_topic(self, partition_count: int = 2, **configs: str) -> StreamTopic:
        named = {name.replace("_", "."): text for name, text in configs.items()}
        record = TopicRecord(TOPIC, "t", 1, named, self.now_ms, (1,) * partition_count)
        self.catalog.add_topic(record)
        topic = self.topics.get(TOPIC)
        assert topic is not None
        return topic

    async def open_splits(self, number: int = 0) -> None:
        topic = self.topics.get(TOPIC)
        assert topic is not None
        for partition in range(topic.partition_count):
            await self.shard.submit(Open(TOPIC, partition, number, self.now_ms, SplitState()))

    async def append(self, partition: int, timestamps: Sequence[int], values: Sequence[bytes] | None = None) -> int:
        """Produce one batch; returns its base offset."""
        values = values or [b'{"n":%d}' % ts for ts in timestamps]
        rows = [Record(i, ts, b"k", value) for i, (ts, value) in enumerate(zip(timestamps, values, strict=True))]
        batch = memoryview(bytearray(build(rows, base_offset=0)))
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        chain = self.shard.state.chains[TOPIC, partition]
        chain.newest.last_append_ms = self.now_ms
        self.shard.append(
            chain, batch, read_header(batch), least_ms=min(timestamps), acks=-1, on_done=future.set_result
        )
        answer = await future
        assert isinstance(answer, Appended), answer
        return answer.base_offset

    def log(self, partition: int) -> PartitionLog:
        return PartitionLog(self.shard, TOPIC, partition, self.decoded)

    # -- TickHost

    def led_topics(self) -> Iterable[StreamTopic]:
        return self.topics.all() if self.shard.is_leader else ()

    def led_topic_or_none(self, topic_id: bytes) -> StreamTopic | None:
        return self.topics.get(topic_id) if self.shard.is_leader else None

    def newest_split(self, topic_id: bytes, partition: int) -> WriteSplit:
        return self.shard.state.chains[topic_id, partition].newest

    def submit(self, topic_id: bytes, partition: int, command: Command) -> asyncio.Future[object]:
        return self.shard.submit(command)
