"""What an operator does while all goes on: nodes are let in, shards moved and grown, a topic deleted and made again."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from gateway.wire.error_codes import ErrorCode
from gateway.wire.messages.create_topics import CreatableTopic, CreateTopicsRequest
from gateway.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
from gateway.wire.messages.init_producer_id import InitProducerIdRequest
from gateway.wire.messages.metadata import MetadataRequest, MetadataRequestTopic
from gateway.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from gateway.wire.messages.offset_fetch import OffsetFetchRequest, OffsetFetchRequestTopic
from gateway.wire.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from sharding.errors import ShardingError
from sharding.node import Node
from store.batches import Producer as ProducerStamp
from store.batches import build
from store.events import Record

from .client import Client, GoneError
from .history import History, Place, Sent
from .process import WALL_MS
from .workloads import Workload, fetch

if TYPE_CHECKING:
    from .cluster import Cluster
    from .process import NodeProcess

T = TypeVar("T")
REPLICAS_MAX = 3
ANSWER_S = 3.0


async def asked_or_none(client: Client, process: "NodeProcess", work: Callable[[Node], Awaitable[T]]) -> T | None:
    """Ask a node in its own loop; None: it refuses, or is down, or dies meanwhile and never answers."""
    node, life = process.node_or_none, process.life
    if node is None or life is None:
        return None
    answer: asyncio.Future[T | None] = client.loop.create_future()

    def tell(outcome: T | None) -> None:
        if not answer.done():
            answer.set_result(outcome)

    async def asked() -> None:
        outcome = None
        try:
            outcome = await work(node)
        except ShardingError as error:
            client.world.trace("refused", client.name, process.node_id, type(error).__name__)
        client.loop.call_soon_threadsafe(tell, outcome)

    life.loop.start(asked())
    try:
        async with asyncio.timeout(ANSWER_S):
            return await answer
    except TimeoutError:
        return None


class Mover(Workload):
    """Lets nodes in, and asks any node for other replicas of any shard; whether that comes about is for the nodes."""

    def __init__(self, client: Client, history: History, cluster: "Cluster", *, mean_s: float) -> None:
        super().__init__(client, history)
        self._cluster = cluster
        self._mean_s = mean_s

    async def run(self) -> None:
        world, random = self.client.world, self.client.random
        while not self.is_over:
            await self.rest(self._mean_s)
            if self._cluster.outside and random.random() < 0.5:
                world.counts["nodes that join"] += 1
                world.after(0, self._cluster.let_in)
            elif await asked_or_none(self.client, random.choice(self._cluster.processes), self._move):
                world.counts["shards moved or grown"] += 1

    async def _move(self, node: Node) -> bool:
        random, catalog = self.client.random, node.catalog
        if not catalog.shards:
            return False
        record = catalog.shards[random.choice(sorted(catalog.shards))]
        if len(record.replicas) < min(REPLICAS_MAX, len(catalog.nodes)):
            return bool(await node.grow(REPLICAS_MAX))
        replicas = list(record.replicas)
        outside = sorted(catalog.nodes.keys() - {*replicas})
        if outside:
            replicas[random.randrange(len(replicas))] = random.choice(outside)
        random.shuffle(replicas)  # another one is preferred to lead
        await node.want_replicas(record.shard_id, replicas)
        return True


class Recreator(Workload):
    """One topic, deleted and created again under its name: each of its lives is a place of its own in the history.

    `last`: the topic id of the life that is not ended.
    """

    NAME = "again"
    GROUP = "again-group"
    GENERATION = 1_000

    def __init__(self, client: Client, history: History, *, life_s: float) -> None:
        super().__init__(client, history)
        self.last = b""
        self.generation = 0
        self._life_s = life_s
        self._ended: set[bytes] = set()
        self._committed = 0

    @property
    def place(self) -> Place:
        return f"{self.NAME} {self.last.hex()}", 0

    async def run(self) -> None:
        while True:
            self.last = await self._created()
            self.generation += 1
            self.client.forget_leader(self.NAME, 0)
            self.client.world.trace("created", self.generation)
            await self._live()
            if self.is_over:
                return
            await self._delete(self.last)
            self._ended.add(self.last)
            self.client.world.counts["topics deleted"] += 1
            self.client.world.trace("deleted", self.generation)

    async def _created(self) -> bytes:
        """The id of a topic that was not there before."""
        request = CreateTopicsRequest([CreatableTopic(self.NAME, 1, -1)], timeout_ms=2_000)
        while True:
            try:
                (answer,) = (await self.client.call(None, "create_topics", request, timeout_s=3.0)).topics
                if answer.error_code == ErrorCode.NONE:
                    return bytes(answer.topic_id)
                if answer.error_code == ErrorCode.TOPIC_ALREADY_EXISTS:
                    # Ours, from an attempt that had no answer; or a node said "deleted" that knew of nothing.
                    found = await self._known_id()
                    if found and found not in self._ended:
                        return found
                    if found:
                        await self._delete(found)
                else:
                    self._check(answer.error_code, "create")
            except GoneError:
                pass
            await self.client.pause()

    async def _known_id(self) -> bytes:
        request = MetadataRequest([MetadataRequestTopic(name=self.NAME)], allow_auto_topic_creation=False)
        (found,) = (await self.client.call(None, "metadata", request)).topics
        return b"" if found.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION else bytes(found.topic_id)

    async def _delete(self, topic_id: bytes) -> None:
        request = DeleteTopicsRequest([DeleteTopicState(None, topic_id)], timeout_ms=2_000)
        while True:
            try:
                (answer,) = (await self.client.call(None, "delete_topics", request, timeout_s=3.0)).responses
                if answer.error_code in {ErrorCode.NONE, ErrorCode.UNKNOWN_TOPIC_ID}:
                    return
                self._check(answer.error_code, "delete")
            except GoneError:
                pass
            await self.client.pause()

    async def _live(self) -> None:
        """Produce one batch after the other, look at all of them, and commit offsets."""
        end_s = self.now + self.client.random.expovariate(1 / self._life_s)
        stamp: tuple[int, int] | None = None
        sequence, waiting = 0, None
        is_begun = False
        while not is_begun or waiting is not None or (self.now < end_s and not self.is_over):
            try:
                if stamp is None:
                    answer = await self.client.call(None, "init_producer_id", InitProducerIdRequest(None, 60_000))
                    self._check(answer.error_code, "init")
                    stamp = answer.producer_id, answer.producer_epoch
                if waiting is None:
                    values = [
                        b"%d.%d" % (self.generation, sequence + i) for i in range(self.client.random.choice([1, 3]))
                    ]
                    waiting = Sent(self.place, self.client.name, values, self.now)
                    self.history.sent.append(waiting)
                await self._produce(ProducerStamp(*stamp, sequence), waiting)
                sequence, waiting, is_begun = sequence + len(waiting.values), None, True
                await self._look()
                await self._commit()
            except GoneError:
                self.client.forget_leader(self.NAME, 0)
                await self.client.pause(0.05)
            await self.rest(0.03)

    async def _produce(self, stamp: ProducerStamp, sent: Sent) -> None:
        now_ms = WALL_MS + int(sent.start_s * 1000)
        batch = build(
            [Record(i, now_ms, b"k", value) for i, value in enumerate(sent.values)], base_offset=0, producer=stamp
        )
        node_id, _ = await self.client.leader(self.NAME, 0)
        data = TopicProduceData(self.NAME, [PartitionProduceData(0, memoryview(batch))])
        answer = await self.client.call(node_id, "produce", ProduceRequest(None, -1, 1_000, [data]))
        found = answer.responses[0].partition_responses[0]
        self._check(found.error_code, "produce")
        sent.is_acked, sent.end_s, sent.offset = True, self.now, found.base_offset

    async def _look(self) -> None:
        leader = await self.client.leader(self.NAME, 0)
        seen = await fetch(self.client, self.place, 0, leader, topic_id=self.last)
        if seen is None:
            raise GoneError("refused")
        self.history.seen.append(seen)

    async def _commit(self) -> None:
        self._committed += 1
        value = self.generation * self.GENERATION + self._committed % self.GENERATION
        coordinator = await self.client.coordinator(self.GROUP)
        row = OffsetCommitRequestTopic(self.NAME, [OffsetCommitRequestPartition(0, value)])
        answer = await self.client.call(
            coordinator, "offset_commit", OffsetCommitRequest(self.GROUP, -1, "", topics=[row])
        )
        self._check(answer.topics[0].partitions[0].error_code, "commit")
        self.history.commits[value] = self.now

    async def read_back(self, reader: Client) -> None:
        """Everything of the last life, by its id; and what its group has."""
        found: list[tuple[int, bytes]] = []
        epochs = self.history.epochs.setdefault(self.place, {})
        is_over = False
        while not is_over:
            at, seen = found[-1][0] + 1 if found else 0, None
            with suppress(GoneError):
                leader = await reader.leader(self.NAME, 0)
                seen = await fetch(reader, self.place, at, leader, epochs, topic_id=self.last)
            if seen is not None:
                found += seen.records
                is_over = at >= seen.high_watermark
            else:
                reader.forget_leader(self.NAME, 0)
                await reader.pause()
        self.history.final[self.place] = found
        value = await self._committed_offset(reader)
        if 0 <= value < self.generation * self.GENERATION and value in self.history.commits:
            # README "Limits": made again before the successor of a dead coordinator forgot them.
            self.client.world.counts["old offsets kept"] += 1

    async def _committed_offset(self, reader: Client) -> int:
        request = OffsetFetchRequest(self.GROUP, [OffsetFetchRequestTopic(self.NAME, [0])])
        while True:
            try:
                answer = await reader.call(await reader.coordinator(self.GROUP), "offset_fetch", request)
                self._check(answer.error_code, "offset fetch")
                found = answer.topics[0].partitions[0]
                self._check(found.error_code, "offset fetch")
            except GoneError:
                await reader.pause()
            else:
                return found.committed_offset

    def _check(self, error_code: int, what: str) -> None:
        """Raises: GoneError: again."""
        code = ErrorCode(error_code)
        if code is not ErrorCode.NONE:
            if not code.is_retriable:
                self.problem(f"{self.client.name}: {what} of {self.NAME} is answered {code.name}")
            raise GoneError(code.name)
