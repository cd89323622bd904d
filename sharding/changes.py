"""Changes of metadata, carried out: new topics, deletions, cuts, and the repair of what was left half done.

The catalog's command comes first and decides; the shards' commands follow, and may be repeated: a partition that is
open is not opened twice, a cut goes on from where the log says it stands. `repair` is nothing but all the steps that
the catalog still asks for. Changes happen one after the other: each is some commits long, and they are rare.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from .catalog import SLOT_KINDS, Catalog, ShardRecord, TopicRecord
from .catalog_commands import AssignSlots, CreateShard, CreateTopic, Cut, DeleteTopic
from .commands.command import Command
from .commands.splits import Close, Drop, Open
from .errors import ClosingError, NotLeaderError, ShardingError, UnknownTopicIdError
from .placement import shards_for, slots_over
from .shard import Shard
from .shard_state import Chain
from .write_split import SAME_SHARD_EPOCHS, SplitState, Target

REPAIR_PAUSE_S = 1.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What changes need of their node; `open_shard` adds the new shard to `shards` and returns once it leads."""

    node_id: int
    shards_per_node: int
    catalog: Catalog
    catalog_shard: Shard
    shards: Mapping[int, Shard]
    open_shard: Callable[[ShardRecord], Awaitable[None]]
    now_ms: Callable[[], int]
    logger: logging.Logger


class Changes:
    """Owns the tasks that carry changes out: a change goes on when its caller goes away, until `close`."""

    def __init__(self, around: Around) -> None:
        self._around = around
        self._catalog = around.catalog
        self._shards = around.shards
        self._now_ms = around.now_ms
        self._changing = asyncio.Lock()
        self._tasks: set[asyncio.Task[object]] = set()
        self._is_repair_due = False
        self._is_closing = False

    async def create(self, record: TopicRecord) -> None:
        """Create the topic on shards of our choice; returns when each partition is open.

        Raises: TopicExistsError, InvalidTopicError, NotLeaderError.
        """
        await self._undisturbed(self._create(record))

    async def delete(self, topic_id: bytes) -> None:
        """Raises: UnknownTopicIdError."""
        await self._undisturbed(self._delete(topic_id))

    async def cut(self, topic_id: bytes) -> tuple[int, tuple[int, ...]] | None:
        """(number of the ended split, its end per partition); None if it was empty. Raises: UnknownTopicIdError."""
        return await self._undisturbed(self._cut(topic_id))

    async def repair(self) -> None:
        """Do what the catalog asks for and the shards have not got. Raises: NotLeaderError."""
        async with self._changing:
            await self._assign_slots()
            for record in list(self._catalog.topics.values()):
                await self._open_partitions(record)
                await self._finish_cut(record)
            await self._drop_unlisted()

    async def submit(self, command: Command) -> object:
        """One command of the catalog's log and its result. Raises: NotLeaderError, ClosingError."""
        if self._is_closing:
            raise ClosingError("the node is shutting down")
        return await self._around.catalog_shard.submit(command)

    def place(self, record: TopicRecord, index: int) -> tuple[Shard, Chain]:
        """Where a partition's write splits are. Raises: NotLeaderError while it is not opened yet."""
        shard = self._shard(record.shards[index])
        if (chain := shard.state.chains.get((record.topic_id, index))) is None:
            raise NotLeaderError
        return shard, chain

    def listed(self, topic_id: bytes) -> TopicRecord:
        """Raises: UnknownTopicIdError."""
        if (record := self._catalog.topics.get(topic_id)) is None:
            raise UnknownTopicIdError(f"no topic with id {UUID(bytes=topic_id)}")
        return record

    async def close(self) -> None:
        """Stop: what is half done is repaired at the next start."""
        self._is_closing = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _create(self, record: TopicRecord) -> None:
        async with self._changing:
            await self._ensure_shards(record.replication_factor)
            shards = shards_for(self._catalog, record.replication_factor, record.partition_count)
            placed = TopicRecord(
                topic_id=record.topic_id,
                name=record.name,
                replication_factor=record.replication_factor,
                configs=record.configs,
                created_ms=record.created_ms,
                shards=shards,
            )
            # TopicExistsError, if another one came first, is what the future raises.
            await self.submit(CreateTopic(placed))
            try:
                await self._open_partitions(placed)
            except ShardingError:
                self._repair_later()
                raise

    async def _delete(self, topic_id: bytes) -> None:
        async with self._changing:
            if await self.submit(DeleteTopic(topic_id)) is None:
                raise UnknownTopicIdError(f"no topic with id {UUID(bytes=topic_id)}")
            try:
                await self._drop_unlisted()
            except ShardingError:
                self._repair_later()
                raise

    async def _cut(self, topic_id: bytes) -> tuple[int, tuple[int, ...]] | None:
        async with self._changing:
            record = self.listed(topic_id)
            await self._finish_cut(record)
            chains = [self.place(record, index)[1] for index in range(record.partition_count)]
            if all(chain.newest.committed_offset == chain.newest.first_offset for chain in chains):
                return None
            wanted = record.split_number + 1
            after = await self.submit(Cut(topic_id, wanted, record.shards))
            if after is not None:
                assert isinstance(after, TopicRecord)
                record = after
            else:
                record = self.listed(topic_id)
            try:
                await self._finish_cut(record)
            except ShardingError:
                self._repair_later()
                raise
            return record.split_number - 1, tuple(chain.newest.first_offset for chain in chains)

    async def _finish_cut(self, record: TopicRecord) -> None:
        """Bring each partition to the split that the catalog wants."""
        await asyncio.gather(*(self._finish_cut_of(record, index) for index in range(record.partition_count)))

    async def _finish_cut_of(self, record: TopicRecord, index: int) -> None:
        shard, chain = self.place(record, index)
        while chain.newest.number < record.split_number:
            split = chain.newest
            target = Target(split.number + 1, shard.shard_id)
            if not split.is_closed:
                await shard.submit(Close(record.topic_id, index, split.number, self._now_ms(), target))
            # On the same shard nothing but the epoch base depends on where the split comes from.
            inherited = split.handed_over(shard.term, SAME_SHARD_EPOCHS)
            await shard.submit(Open(record.topic_id, index, target.number, self._now_ms(), inherited))

    async def _open_partitions(self, record: TopicRecord) -> None:
        opening: list[Awaitable[object]] = []
        for index, shard_id in enumerate(record.shards):
            shard = self._shard(shard_id)
            if (record.topic_id, index) not in shard.state.chains:
                opening.append(shard.submit(Open(record.topic_id, index, 0, self._now_ms(), SplitState())))
        await asyncio.gather(*opening)

    async def _drop_unlisted(self) -> None:
        dropping = [
            shard.submit(Drop(topic_id, index))
            for shard in self._shards.values()
            for topic_id, index in shard.state.chains
            if topic_id not in self._catalog.topics
        ]
        await asyncio.gather(*dropping)

    def _repair_later(self) -> None:
        if not self._is_repair_due and not self._is_closing:
            self._is_repair_due = True
            self._spawn(self._repair_until_done())

    async def _repair_until_done(self) -> None:
        while self._is_repair_due:
            await asyncio.sleep(REPAIR_PAUSE_S)
            try:
                await self.repair()
            except ShardingError as error:
                self._around.logger.warning("a change of metadata could not be finished yet: %s", error)
            else:
                self._is_repair_due = False

    async def _ensure_shards(self, replication_factor: int) -> None:
        """Make the class of shards at its first use."""
        present = len(self._catalog.shards_of_class(replication_factor))
        for _ in range(present, self._around.shards_per_node):
            shard_id = max(self._catalog.shards, default=0) + 1
            record = ShardRecord(shard_id, replication_factor, (self._around.node_id,))
            await self.submit(CreateShard(record))
            await self._around.open_shard(record)

    async def _assign_slots(self) -> None:
        await self._ensure_shards(1)
        for kind in SLOT_KINDS:
            if kind not in self._catalog.slots:
                shard_ids = [shard.shard_id for shard in self._catalog.shards_of_class(1)]
                await self.submit(AssignSlots(kind, slots_over(shard_ids)))

    def _shard(self, shard_id: int) -> Shard:
        if (shard := self._shards.get(shard_id)) is None:
            raise NotLeaderError
        return shard

    async def _undisturbed(self, work: Coroutine[object, object, T]) -> T:
        """Run to the end even if the caller goes away: a change should not stop half way."""
        return await asyncio.shield(self._spawn(work))

    def _spawn(self, work: Coroutine[object, object, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)
        return task

    def _on_task_done(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        # The caller may be gone: then nobody else looks at the error.
        if not task.cancelled() and (error := task.exception()) is not None:
            self._around.logger.debug("a change failed: %s", error)
