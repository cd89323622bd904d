"""A whole standalone node over a `RaftHost`, with a disk and a clock that belong to the test."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

from raft.configuration import Peer
from raft.disk import Disk
from raft.errors import RaftError
from raft.host import RaftHost, Surroundings
from raft.interfaces import GroupId, NodeId
from raft.settings import RaftSettings
from sharding.errors import ShardingError
from sharding.interfaces import Appended, NodeAddress, PartitionApi, Topic
from sharding.node import Node, NodeParts, NodeSettings
from sharding.shard import ShardSettings
from store.batches import NO_PRODUCER, Producer, build, read_header, records
from store.events import Record
from tests.raft.doubles import LoopRunner

ADDRESS = NodeAddress(node_id=1, host="127.0.0.1", kafka_port=9092, http_port=8080)


@dataclass
class NodeBench:
    """`failures`: groups that stopped. Time is `now_ms`, which only the test moves."""

    node: Node
    failures: list[tuple[GroupId | None, Exception]]
    clock: list[int]
    _partitions: dict[tuple[str, int], PartitionApi] = field(default_factory=dict)

    def partition(self, topic: Topic | str, index: int = 0) -> PartitionApi:
        found = self.node.topic(topic) if isinstance(topic, str) else topic
        return self.node.partition(found, index)

    async def append(self, topic: Topic | str, *values: bytes, index: int = 0, ts: int | None = None) -> Appended:
        """Produce one batch with acks=all."""
        done: asyncio.Future[Appended | Exception] = asyncio.get_running_loop().create_future()
        self.append_later(topic, *values, index=index, ts=ts, on_done=done.set_result)
        answer = await done
        if isinstance(answer, Exception):
            raise answer
        return answer

    def append_later(
        self, topic: Topic | str, *values: bytes, index: int = 0, ts: int | None = None, on_done, acks: int = -1,
        producer: Producer = NO_PRODUCER,
    ) -> None:  # fmt: skip
        rows = [Record(i, self.clock[0] if ts is None else ts, None, value) for i, value in enumerate(values)]
        batch = memoryview(bytearray(build(rows, base_offset=0, producer=producer)))
        partition = self.partition(topic, index)
        partition.append(batch, read_header(batch), acks=acks, now_ms=self.clock[0], on_done=on_done)

    def records(self, topic: Topic | str, index: int = 0, *, offset: int | None = None) -> list[Record]:
        """Everything from `offset` (default: the log start) to the high watermark, fetch by fetch."""
        partition = self.partition(topic, index)
        found: list[Record] = []
        at = partition.log_start if offset is None else offset
        while True:
            fetched = partition.read(at, 1 << 16)
            batches = [record for view in fetched.records for record in all_records(view)]
            if not batches:
                return found
            found += [record for record in batches if record.offset >= at]
            at = found[-1].offset + 1


def all_records(view: memoryview) -> list[Record]:
    found: list[Record] = []
    position = 0
    while position < len(view):
        header = read_header(view, position)
        found += records(view[position : position + header.length_bytes])
        position += header.length_bytes
    return found


@asynccontextmanager
async def opened_node(
    disk: Disk,
    *,
    seed: int = 0,
    now_ms: int = 1_000_000_000_000,
    is_closed_clean: bool = True,
    parts: NodeParts | None = None,
    checkpoint_bytes: int = 1 << 20,
    **settings: object,
) -> AsyncGenerator[NodeBench, None]:
    failures: list[tuple[GroupId | None, Exception]] = []
    host = RaftHost(
        disk,
        "/data/shards",
        Peer(NodeId(1), "disk-one"),
        settings=RaftSettings(segment_bytes=64 * 1024),
        on_failure=lambda group_id, error: failures.append((group_id, error)),
        surroundings=Surroundings(runners=LoopRunner),
    )
    clock = [now_ms]
    node = Node(
        NodeSettings(
            node_id=1, cluster_id="c", shard=ShardSettings(checkpoint_bytes=checkpoint_bytes), drain_timeout_ms=1_000,
            **settings,
        ),
        host,
        now_ms=lambda: clock[0],
        random=Random(seed),
        logger=logging.getLogger("test"),
        parts=parts,
    )  # fmt: skip
    try:
        await node.start()
        await node.register(ADDRESS)
        yield NodeBench(node, failures, clock)
        if is_closed_clean:
            await node.close()
    except (ShardingError, RaftError):
        # What the disk did is the cause of whatever the node says.
        if failures:
            raise failures[0][1] from None
        raise
    finally:
        await host.close()
