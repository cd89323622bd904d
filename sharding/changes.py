"""Changes of metadata: decided by the catalog, carried out by the shards' leaders (`reconcile`), and waited for here.

A change is done when each partition has a leader that has carried it out; the other live nodes are waited for one
second, so that a client that goes to one of them meets no UNKNOWN_TOPIC after an answer. What is not done in time goes
on by itself: the error says so.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

import msgspec

from raft.configuration import Peer
from raft.errors import CallRefusedError, PeerUnreachableError
from raft.errors import NotLeaderError as RaftNotLeaderError
from raft.interfaces import Buffer, NodeId

from .bell import Bell
from .calls import AwaitTopic, CallKind, LedPartition, NodePeers, TopicSeen, encoded
from .catalog import SLOT_KINDS, Catalog, ShardRecord, TopicRecord
from .catalog_commands import AssignSlots, CreateShard, CreateTopic, Cut, DeleteTopic
from .commands.command import Command
from .errors import ClosingError, NotLeaderError, ShardingError, TimedOutError, UnknownTopicIdError
from .placement import Members, missing_replicas, shards_for, slots_over
from .router import Router
from .shard import Shard
from .shard_state import Chain
from .topic_configs import is_view_enabled, schema_or_none

CATALOG_SHARD = 0
READY_TIMEOUT_S = 10.0
KNOWN_TIMEOUT_S = 1.0
ROUND_PAUSE_S = 0.02
BARRIER_PAUSE_S = 0.05
BARRIER_TIMEOUT_S = 5.0
SLOT_REPLICATION_FACTOR = 3
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What changes need of their node; `bell` rings whenever the catalog, a chain's splits or a leader changed.

    `is_forgotten`: no group led here has offsets of that deleted topic any more.
    """

    node_id: int
    shards_per_node: int
    catalog: Catalog
    catalog_shard: Shard
    shards: Mapping[int, Shard]
    router: Router
    peers: NodePeers | None
    members: Callable[[], Members]
    is_forgotten: Callable[[bytes], bool]
    bell: Bell
    logger: logging.Logger


class Changes:
    """Owns the tasks that wait for changes: a change goes on when its caller goes away, until `close`."""

    def __init__(self, around: Around) -> None:
        self._around = around
        self._catalog = around.catalog
        self._shards = around.shards
        self._bell = around.bell
        self._making_shards = asyncio.Lock()
        self._tasks: set[asyncio.Task[object]] = set()
        self._is_closing = False
        if around.peers is not None:
            around.peers.serve(CallKind.AWAIT_TOPIC, self._on_await_topic)

    async def create(self, record: TopicRecord) -> None:
        """Create the topic on shards of our choice; returns when each partition has a leader that has opened it.

        Raises: TopicExistsError, InvalidTopicError, NotLeaderError, TimedOutError (it is created, and opened later).
        """
        await self._undisturbed(self._create(record))

    async def delete(self, topic_id: bytes) -> None:
        """Raises: UnknownTopicIdError, NotLeaderError."""
        await self._undisturbed(self._delete(topic_id))

    async def cut(self, topic_id: bytes) -> tuple[int, tuple[int, ...]] | None:
        """(number of the ended split, its end per partition); None if it was empty.

        Raises: UnknownTopicIdError, NotLeaderError, TimedOutError (it goes on).
        """
        return await self._undisturbed(self._cut(topic_id))

    async def submit(self, command: Command, *, may_repeat: bool = False) -> object:
        """One command of the catalog's log; when it returns its result, this node has applied it too.

        Raises: NotLeaderError, ClosingError.
        """
        if self._is_closing:
            raise ClosingError("the node is shutting down")
        is_decided = True
        try:
            return await self._around.router.submit(CATALOG_SHARD, command, may_repeat=may_repeat)
        except NotLeaderError:
            is_decided = False
            raise
        finally:
            # Also what is refused is refused for something that this node may not know yet.
            if is_decided and not self._around.catalog_shard.is_leader:
                await self.barrier()

    async def barrier(self) -> None:
        """Everything that the catalog decided before this call is applied here. Raises: NotLeaderError."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + BARRIER_TIMEOUT_S
        while True:
            try:
                await self._around.catalog_shard.group.read_barrier()
            except RaftNotLeaderError as error:
                if loop.time() >= deadline or self._around.catalog_shard.group.is_stopped:
                    raise NotLeaderError(message="the catalog has no leader that answers") from error
                await asyncio.sleep(BARRIER_PAUSE_S)
            else:
                return

    async def ensure_class(self, replication_factor: int) -> None:
        """Make the shards that the class lacks. Raises: NotLeaderError."""
        around = self._around
        async with self._making_shards:
            # Another node may make shards of the same ids at the same time: then it is looked again.
            while missing := missing_replicas(
                self._catalog, around.members(), replication_factor, around.shards_per_node
            ):
                next_id = max(self._catalog.shards, default=0) + 1
                members = around.members()
                wanted = [
                    ShardRecord(
                        shard_id, replication_factor, tuple(replicas), tuple(members[one].peer for one in replicas)
                    )
                    for shard_id, replicas in enumerate(missing, next_id)
                ]
                await asyncio.gather(*(self.submit(CreateShard(one), may_repeat=True) for one in wanted))

    @property
    def has_slots(self) -> bool:
        return all(kind in self._catalog.slots for kind in SLOT_KINDS)

    async def assign_slots(self) -> None:
        """Give the coordinator slots their shards, once. Raises: NotLeaderError."""
        replication_factor = min(SLOT_REPLICATION_FACTOR, len(self._around.members()))
        await self.ensure_class(replication_factor)
        for kind in SLOT_KINDS:
            if kind not in self._catalog.slots:
                shard_ids = [shard.shard_id for shard in self._catalog.shards_of_class(replication_factor)]
                await self.submit(AssignSlots(kind, slots_over(shard_ids)), may_repeat=True)

    def place(self, record: TopicRecord, index: int) -> tuple[Shard, Chain]:
        """Where a partition's write splits are on this node. Raises: NotLeaderError if they are not, or not yet."""
        shard_id = record.shards[index]
        shard = self._shards.get(shard_id)
        chain = None if shard is None else shard.state.chains.get((record.topic_id, index))
        if shard is None or chain is None:
            raise NotLeaderError(self._around.router.leader_or_none(shard_id))
        return shard, chain

    def listed(self, topic_id: bytes) -> TopicRecord:
        """Raises: UnknownTopicIdError."""
        if (record := self._catalog.topics.get(topic_id)) is None:
            raise UnknownTopicIdError(f"no topic with id {UUID(bytes=topic_id)}")
        return record

    async def close(self) -> None:
        """Stop waiting: what is half done goes on elsewhere, or here after the next start."""
        self._is_closing = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # The changes.

    async def _create(self, record: TopicRecord) -> None:
        await self.ensure_class(record.replication_factor)
        is_stream = schema_or_none(record.configs) is not None or is_view_enabled(record.configs)
        shards = shards_for(
            self._catalog,
            record.replication_factor,
            record.partition_count,
            live=self._around.router.live_nodes(),
            is_together=is_stream,
        )
        placed = msgspec.structs.replace(record, shards=shards)
        # TopicExistsError, if another one came first, is what this raises.
        await self._decide(CreateTopic(placed), lambda: record.topic_id in self._catalog.topics)
        await self._until_done(record.topic_id, 0)

    async def _delete(self, topic_id: bytes) -> None:
        self.listed(topic_id)
        deleted = await self._decide(DeleteTopic(topic_id), lambda: topic_id not in self._catalog.topics)
        if deleted is None:
            raise UnknownTopicIdError(f"no topic with id {UUID(bytes=topic_id)}")
        await self._until_known(AwaitTopic(topic_id, 0, is_deleted=True, wait_ms=int(KNOWN_TIMEOUT_S * 1000)))

    async def _cut(self, topic_id: bytes) -> tuple[int, tuple[int, ...]] | None:
        record = self.listed(topic_id)
        led = await self._until_done(topic_id, record.split_number)
        if all(one.committed_offset == one.first_offset for one in led):
            return None
        wanted = record.split_number + 1
        await self._decide(Cut(topic_id, wanted, record.shards), lambda: self.listed(topic_id).split_number >= wanted)
        # Another cut may have come first: then it is that one that this caller gets.
        led = await self._until_done(topic_id, wanted)
        return wanted - 1, tuple(one.first_offset for one in led)

    async def _decide(self, command: Command, is_done: Callable[[], bool]) -> object:
        """Have the catalog decide. If the outcome is unknown, look whether it has: then the result is True.

        Raises: NotLeaderError (still unknown, or certainly nothing), and what the catalog refuses.
        """
        try:
            return await self.submit(command)
        except NotLeaderError as error:
            if error.is_refusal:
                raise
            await self.barrier()
            if not await self._bell.until(is_done, KNOWN_TIMEOUT_S):
                raise
            return True

    # Waiting until it is done.

    async def _until_done(self, topic_id: bytes, number: int) -> list[LedPartition]:
        """The split of each partition as its leader has it.

        Raises: UnknownTopicIdError, TimedOutError, NotLeaderError.
        """
        loop = asyncio.get_running_loop()
        asked = AwaitTopic(topic_id, number, is_deleted=False, wait_ms=int(KNOWN_TIMEOUT_S * 1000))
        deadline = loop.time() + READY_TIMEOUT_S
        while True:
            led = await self._until_known(asked)
            count = self.listed(topic_id).partition_count
            if len(led) == count:
                return [led[index] for index in range(count)]
            if self._around.peers is None and any(shard.group.is_stopped for shard in self._shards.values()):
                raise NotLeaderError(message="a shard of this node has stopped; its log says why")
            if loop.time() >= deadline:
                missing = next(index for index in range(count) if index not in led)
                raise TimedOutError(
                    f"{count - len(led)} of {count} partitions have no leader that is ready, partition {missing} first;"
                    " the change is decided and goes on"
                )
            await asyncio.sleep(ROUND_PAUSE_S)

    async def _until_known(self, asked: AwaitTopic) -> dict[int, LedPartition]:
        """What each live node leads of the topic, once it knows of the change (or is not heard of for a second)."""
        others = sorted(self._around.router.live_nodes() - {self._around.node_id})
        answers = await asyncio.gather(self._await_topic(asked), *(self._ask(one, asked) for one in others))
        led = [one for answer in answers if answer is not None for one in answer.led]
        # Of two that say they lead, one was deposed: it does not know more than the other.
        led.sort(key=lambda one: (one.number, one.committed_offset))
        return {one.index: one for one in led}

    async def _ask(self, node_id: int, asked: AwaitTopic) -> TopicSeen | None:
        assert self._around.peers is not None, "a node alone asks nobody"
        timeout_ms = asked.wait_ms + 200
        try:
            answer = await self._around.peers.call(NodeId(node_id), CallKind.AWAIT_TOPIC, encoded(asked), timeout_ms)
        except (PeerUnreachableError, CallRefusedError, TimeoutError) as error:
            self._around.logger.debug("node %d does not say what it knows of a topic: %r", node_id, error)
            return None
        return msgspec.msgpack.decode(answer, type=TopicSeen)

    async def _on_await_topic(self, _sender: Peer, body: memoryview) -> Sequence[Buffer]:
        return encoded(await self._await_topic(msgspec.msgpack.decode(body, type=AwaitTopic)))

    async def _await_topic(self, asked: AwaitTopic) -> TopicSeen:
        await self._bell.until(lambda: self._is_seen(asked), asked.wait_ms / 1000)
        return TopicSeen(self._is_known(asked), tuple(self._led(asked)))

    def _is_known(self, asked: AwaitTopic) -> bool:
        record = self._catalog.topics.get(asked.topic_id)
        return record is None if asked.is_deleted else record is not None and record.split_number >= asked.number

    def _is_seen(self, asked: AwaitTopic) -> bool:
        if self._is_closing:
            return True
        record = self._catalog.topics.get(asked.topic_id)
        if asked.is_deleted:
            leading = [shard for shard in self._shards.values() if shard.is_leader and not shard.group.is_stopped]
            is_forgotten = record is None and self._around.is_forgotten(asked.topic_id)
            return is_forgotten and not any(asked.topic_id == key[0] for one in leading for key in one.state.chains)
        if record is None or record.split_number < asked.number:
            return False
        if any(one in self._shards and self._shards[one].group.is_stopped for one in record.shards):
            return True
        leading = {shard.shard_id for shard in self._shards.values() if shard.is_leader}
        return sum(one in leading for one in record.shards) == len(self._led(asked))

    def _led(self, asked: AwaitTopic) -> list[LedPartition]:
        """The partitions that are led here and have that split."""
        record = self._catalog.topics.get(asked.topic_id)
        found: list[LedPartition] = []
        for index, shard_id in enumerate(() if record is None else record.shards):
            shard = self._shards.get(shard_id)
            if shard is not None and shard.is_leader:
                split = shard.state.split_or_none(asked.topic_id, index, asked.number)
                if split is not None:
                    found.append(LedPartition(index, split.number, split.first_offset, split.committed_offset))
        return found

    async def _undisturbed(self, work: Coroutine[object, object, T]) -> T:
        """Run to the end even if the caller goes away: a change should not stop half way. Raises: ClosingError."""
        task = self._spawn(work)
        # Not `shield`: its caller could not tell its own cancellation from that of the work.
        await asyncio.wait([task])
        if task.cancelled():
            raise ClosingError("the node is shutting down; a change that is decided goes on")
        return task.result()

    def _spawn(self, work: Coroutine[object, object, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)
        return task

    def _on_task_done(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        # The caller may be gone: then nobody else looks at the error.
        if not task.cancelled() and (error := task.exception()) is not None:
            level = logging.DEBUG if isinstance(error, ShardingError) else logging.ERROR
            self._around.logger.log(level, "a change failed: %s", error)
