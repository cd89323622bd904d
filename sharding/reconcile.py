"""The leader of a shard brings it to what the catalog wants: partitions opened, splits cut, what is deleted dropped.

It runs when leadership begins and whenever the catalog changed, for the topics that did. The catalog of this node may
be old: that only delays what is cut, since it never falls back. But what it lists and the shard has not got may have
been deleted, and what it does not list may be newer: before a partition begins, and before one is dropped, everything
that the catalog decided until then is applied here (a barrier on group 0).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from raft.interfaces import Role, RoleChange

from .catalog import Catalog, TopicRecord
from .commands.splits import Close, Drop, Open
from .errors import ClosingError, ShardingError
from .shard import Shard
from .write_split import SAME_SHARD_EPOCHS, SplitState, Target

RETRY_PAUSE_S = 0.5


@dataclass(slots=True)
class _Due:
    """What is to be looked at: these topics, or all of them."""

    topics: set[bytes]
    is_all: bool = False


class Reconciler:
    """Owns one task for each shard that is led here and has something due."""

    def __init__(
        self,
        catalog: Catalog,
        *,
        barrier: Callable[[], Awaitable[None]],
        now_ms: Callable[[], int],
        logger: logging.Logger,
    ) -> None:
        """`barrier` returns when this node has applied what the catalog decided before. Raises: ShardingError."""
        self._catalog = catalog
        self._barrier = barrier
        self._now_ms = now_ms
        self._logger = logger
        self._shards: dict[int, Shard] = {}
        self._due: dict[int, _Due] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._is_closed = False

    def follow(self, shard: Shard) -> None:
        """Reconcile this shard whenever it is led here."""
        self._shards[shard.shard_id] = shard

        def on_role(change: RoleChange) -> None:
            if change.role is Role.LEADER:
                self._look_at(shard, None)

        shard.observe_roles(on_role)
        if shard.is_leader:
            self._look_at(shard, None)

    def forget(self, shard: Shard) -> None:
        """It is not on this node any more."""
        if self._shards.get(shard.shard_id) is shard:
            del self._shards[shard.shard_id]

    def on_topic(self, topic_id: bytes, shard_ids: Iterable[int] | None) -> None:
        """A topic was created, cut or deleted; None: nobody remembers where it was."""
        for shard_id in self._shards if shard_ids is None else {*shard_ids} & self._shards.keys():
            self._look_at(self._shards[shard_id], topic_id)

    def on_catalog_replaced(self) -> None:
        """Anything may be other than before."""
        for shard in self._shards.values():
            self._look_at(shard, None)

    async def reconcile(self, shard: Shard, topics: Iterable[bytes] | None = None) -> None:
        """Everything that the catalog asks for of these topics (all without) and the shard has not got.

        Raises: NotLeaderError, ClosingError.
        """
        behind = self._behind(shard, topics)
        if any((record.topic_id, index) not in shard.state.chains for record, index in behind):
            await self._barrier()
            behind = self._behind(shard, topics)
        await asyncio.gather(*(self._bring_up(shard, record, index) for record, index in behind))
        await self._drop_unlisted(shard, topics)

    async def until_done(self) -> None:
        """Returns when nothing is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks.values())

    async def close(self) -> None:
        self._is_closed = True
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _behind(self, shard: Shard, topics: Iterable[bytes] | None) -> list[tuple[TopicRecord, int]]:
        listed = self._catalog.topics
        records = list(listed.values()) if topics is None else [listed[one] for one in topics if one in listed]
        return [
            (record, index)
            for record in records
            for index, shard_id in enumerate(record.shards)
            if shard_id == shard.shard_id and self._is_behind(shard, record, index)
        ]

    def _is_behind(self, shard: Shard, record: TopicRecord, index: int) -> bool:
        chain = shard.state.chains.get((record.topic_id, index))
        return chain is None or chain.newest.number < record.split_number

    async def _bring_up(self, shard: Shard, record: TopicRecord, index: int) -> None:
        """Open a partition, and cut it as often as the catalog wants; each step is harmless when it comes twice."""
        topic_id = record.topic_id
        if (topic_id, index) not in shard.state.chains:
            await shard.submit(Open(topic_id, index, 0, self._now_ms(), SplitState()))
        while (chain := shard.state.chains.get((topic_id, index))) is not None:
            split = chain.newest
            if split.number >= record.split_number:
                return
            target = Target(split.number + 1, shard.shard_id)
            if not split.is_closed:
                await shard.submit(Close(topic_id, index, split.number, self._now_ms(), target))
                continue
            # On the same shard nothing but the epoch base depends on where the split comes from.
            inherited = split.handed_over(shard.term, SAME_SHARD_EPOCHS)
            await shard.submit(Open(topic_id, index, target.number, self._now_ms(), inherited))

    async def _drop_unlisted(self, shard: Shard, topics: Iterable[bytes] | None) -> None:
        unlisted = self._unlisted(shard, topics)
        if not unlisted:
            return
        # This catalog may be an old one, and the topic newer than it.
        await self._barrier()
        still = [key for key in self._unlisted(shard, topics) if key in unlisted]
        await asyncio.gather(*(shard.submit(Drop(topic_id, index)) for topic_id, index in still))

    def _unlisted(self, shard: Shard, topics: Iterable[bytes] | None) -> list[tuple[bytes, int]]:
        among = None if topics is None else {*topics}
        return [
            key
            for key in shard.state.chains
            if key[0] not in self._catalog.topics and (among is None or key[0] in among)
        ]

    def _look_at(self, shard: Shard, topic_id: bytes | None) -> None:
        """Soon, if it is led here; None: at all topics."""
        if not shard.is_leader or self._is_closed:
            return
        due = self._due.setdefault(shard.shard_id, _Due(set()))
        if topic_id is None:
            due.is_all = True
        else:
            due.topics.add(topic_id)
        if shard.shard_id not in self._tasks:
            task = asyncio.get_running_loop().create_task(self._run(shard), name=f"reconcile shard {shard.shard_id}")
            self._tasks[shard.shard_id] = task

    async def _run(self, shard: Shard) -> None:
        """Until nothing is due, or another leads: whoever leads next looks at everything."""
        try:
            while shard.is_leader and (due := self._due.pop(shard.shard_id, None)) is not None:
                try:
                    await self.reconcile(shard, None if due.is_all else due.topics)
                except ClosingError:
                    return
                except ShardingError as error:
                    if not shard.is_leader:
                        return
                    self._logger.warning("shard %d is not what the catalog wants yet: %s", shard.shard_id, error)
                    self._due[shard.shard_id] = _Due(set(), is_all=True)
                    await asyncio.sleep(RETRY_PAUSE_S)
        except Exception:
            self._logger.exception("shard %d cannot be brought to what the catalog wants", shard.shard_id)
        finally:
            self._due.pop(shard.shard_id, None)
            del self._tasks[shard.shard_id]
