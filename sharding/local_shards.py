"""The data shards of this node: opened as soon as the catalog lists this node among their replicas.

And those that it is a member of although the catalog wants others by now: they may be too few without it to let it go.
What lies on its disk is opened at a start, and what a member asks for whenever it does; the other members say of a
group that goes on without this node that it does, and then it is closed. Where nothing of a log lies, nobody is known
who could say so: such a group waits until it is listed, or asked for.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from raft.configuration import Peer
from raft.interfaces import GroupId, RaftGroup, StateMachine

from .catalog import Catalog, ShardRecord
from .shard import Shard


class GroupHost(Protocol):
    """`raft.host.RaftHost` fulfils it.

    `founders`: who begins the group's log, if there is none on this disk: without them this node alone; None: it is
    told by the group's leader. `is_lasting`: it does not end because nobody leads it. `on_removed` is told of a
    group whose members do not have this node among them any more, `on_unknown_group` of one that is not open here, and
    whose members think it should be.
    """

    on_removed: Callable[[GroupId], None]
    on_unknown_group: Callable[[GroupId, Peer], None]

    async def has_log(self, group_id: GroupId) -> bool: ...
    async def open_group(
        self,
        group_id: GroupId,
        state_machine: StateMachine,
        /,
        *,
        founders: Sequence[Peer] | None = ...,
        is_lasting: bool = ...,
    ) -> RaftGroup: ...


class LocalShards:
    """Owns the tasks that open shards. `on_opened` is told of each, once it has its group and before it leads."""

    def __init__(
        self,
        host: GroupHost,
        catalog: Catalog,
        *,
        peer: Peer | None,
        new_shard: Callable[[int], Shard],
        on_opened: Callable[[Shard], None],
        logger: logging.Logger,
    ) -> None:
        """`peer`: this node among others; None: it stands alone, and founds each of its groups alone."""
        self._host = host
        self._catalog = catalog
        self._peer = peer
        self._new_shard = new_shard
        self._on_opened = on_opened
        self._logger = logger
        self._shards: dict[int, Shard] = {}
        self._opening: dict[int, asyncio.Task[None]] = {}
        self._is_closed = False

    @property
    def all(self) -> Mapping[int, Shard]:
        """By id."""
        return self._shards

    def follow(self) -> None:
        """Open what the catalog lists for this node and is not open."""
        for record in self._catalog.shards.values():
            if self._is_ours(record):
                self._begin(record)

    def open_asked(self, shard_id: int) -> None:
        """A member of its group speaks to this node."""
        if (record := self._catalog.shards.get(shard_id)) is not None:
            self._begin(record)

    async def until_open(self) -> None:
        """Open what is listed now or lies here, side by side.

        Raises: raft.errors.RaftError, OSError, of the first that fails.
        """
        self.follow()
        for record in tuple(self._catalog.shards.values()):
            if not self._is_ours(record) and await self._host.has_log(GroupId(record.shard_id)):
                self._begin(record)
        await asyncio.gather(*self._opening.values())

    def forget(self, shard_id: int) -> Shard | None:
        """Its group has ended here; it may be opened again."""
        return self._shards.pop(shard_id, None)

    async def close(self) -> None:
        self._is_closed = True
        for task in self._opening.values():
            task.cancel()
        await asyncio.gather(*self._opening.values(), return_exceptions=True)

    async def attach(self, shard: Shard, founders: Sequence[Peer] | None, *, is_lasting: bool = False) -> None:
        """Give a shard its group. `is_lasting`: of the catalog, which nobody opens again."""
        # Nothing is applied before the loop's next turn, so that the shard always has its group by then.
        if self._peer is None or founders == (self._peer,):
            shard.attach(await self._host.open_group(shard.group_id, shard))
        else:
            shard.attach(await self._host.open_group(shard.group_id, shard, founders=founders, is_lasting=is_lasting))

    def _begin(self, record: ShardRecord) -> None:
        if not self._is_closed and record.shard_id not in self._shards and record.shard_id not in self._opening:
            task = asyncio.get_running_loop().create_task(self._open(record), name=f"open shard {record.shard_id}")
            self._opening[record.shard_id] = task
            task.add_done_callback(self._on_done)

    async def _open(self, record: ShardRecord) -> None:
        shard = self._new_shard(record.shard_id)
        await self.attach(shard, self._founders_or_none(record))
        self._shards[record.shard_id] = shard
        self._on_opened(shard)

    def _is_ours(self, record: ShardRecord) -> bool:
        return self._peer is None or int(self._peer.node_id) in record.replicas

    def _founders_or_none(self, record: ShardRecord) -> Sequence[Peer] | None:
        """None where this disk was not among them: the group's leader tells it what to do."""
        if self._peer is None:
            return None
        if not record.founders and record.version == 0:
            return (self._peer,)
        return record.founders if self._peer in record.founders else None

    def _on_done(self, task: asyncio.Task[None]) -> None:
        for shard_id in [one for one, opening in self._opening.items() if opening is task]:
            del self._opening[shard_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._logger.error("%s failed", task.get_name(), exc_info=error)
