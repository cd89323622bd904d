"""The groups of one slot on the node that leads its shard: machines in memory, waiters, and writes under way.

A group is *live* while its machine is in memory: always when it has members, else only while something is under way.
What the machine does not hold is in the slot's replicated state. Everything happens in the shard's event loop.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar, cast

from raft.clock import Clock
from raft.errors import NotLeaderError as RaftNotLeaderError

from ..commands.command import Command
from ..commands.groups import CommitOffsets, DeleteGroup, DeleteOffsets, SaveGroup
from ..errors import (
    CoordinatorNotAvailableError,
    GroupMaxSizeReachedError,
    GroupNotFoundError,
    GroupSubscribedToTopicError,
    IllegalGenerationError,
    NonEmptyGroupError,
    NotCoordinatorError,
    NotLeaderError,
    OverloadedError,
    ShardingError,
    StorageFullError,
    UnknownMemberError,
)
from ..shard import Shard
from .deadlines import Deadlines
from .group import Group
from .interfaces import CommittedOffset, GroupDescription, Joined, JoinWanted, Synced
from .offsets import checked_rows
from .roster import Ticket
from .slots import GroupSlot, GroupSlots
from .subscriptions import CONSUMER_PROTOCOL, is_subscribed
from .values import Answered, GroupLimits, GroupState, SaveWanted, SyncWanted

A = TypeVar("A", Joined, Synced)


@dataclass(slots=True, eq=False)
class LiveGroup:
    """A machine, those who wait for it by ticket, and the offset commits that are not applied yet."""

    slot: "SlotCoordinator"
    group: Group
    waiters: dict[Ticket, asyncio.Future[Joined | Synced]] = field(
        default_factory=dict[Ticket, "asyncio.Future[Joined | Synced]"]
    )
    commits: set[asyncio.Future[object]] = field(default_factory=set["asyncio.Future[object]"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all slots of a node share; `new_id` never gives the same twice."""

    limits: GroupLimits
    clock: Clock
    wall_ms: Callable[[], int]
    new_id: Callable[[], str]
    deadlines: Deadlines[LiveGroup]


class SlotCoordinator:
    """One slot from the moment its shard leads until it stops leading; then another one takes its place.

    Always: a group with members is live; a live group of this slot is in `_live` or answers nobody any more.
    """

    def __init__(self, number: int, shard: Shard, surroundings: Surroundings) -> None:
        self.number = number
        self._shard = shard
        self._around = surroundings
        self._live: dict[str, LiveGroup] = {}
        self._is_stopped = False
        for group_id in self._saved:
            saved = self._saved.group_or_none(group_id)
            if saved is not None and saved.members:
                self._drain(self._make_live(group_id))

    def stop(self, error: Exception) -> None:
        """Tell `error` to whoever waits; nothing of the replicated state is touched."""
        self._is_stopped = True
        for live in self._live.values():
            live.group.abandon(error)
            self._answer_outputs(live)
            self._around.deadlines.discard(live)
        self._live.clear()

    def on_deadline(self, live: LiveGroup) -> None:
        if self._holds(live):
            live.group.on_time(self._now_ms)
            self._drain(live)

    # -- membership ----------------------------------------------------------------------------------------------

    async def join(self, wanted: JoinWanted) -> Joined:
        live = self._live_or_new(wanted.group_id)
        fresh_id = f"{wanted.instance_id or wanted.client_id}-{self._around.new_id()}"
        return await self._ask(live, lambda: live.group.join(wanted, fresh_id, self._now_ms))

    async def sync(self, group_id: str, wanted: SyncWanted) -> Synced:
        live = self._member_group(group_id)
        return await self._ask(live, lambda: live.group.sync(wanted, self._now_ms))

    def heartbeat(self, group_id: str, generation: int, member_id: str, instance_id: str | None) -> None:
        self._member_group(group_id).group.heartbeat(generation, member_id, instance_id, self._now_ms)

    def leave(self, group_id: str, members: Sequence[tuple[str, str | None]]) -> list[Exception | None]:
        live = self._live.get(group_id)
        if live is None:
            return [UnknownMemberError(f"group {group_id!r} has no members") for _ in members]
        outcomes = live.group.leave(members, self._now_ms)
        self._drain(live)
        return outcomes

    # -- offsets -------------------------------------------------------------------------------------------------

    async def commit(
        self,
        group_id: str,
        generation: int,
        member_id: str,
        instance_id: str | None,
        offsets: Mapping[tuple[str, int], CommittedOffset],
    ) -> None:
        """Raises: what `Group.check_commit` and `checked_rows` refuse, and what writing raises."""
        if generation >= 0 and not self._knows(group_id):
            raise IllegalGenerationError(f"group {group_id!r} is unknown, so is its generation {generation}")
        live = self._live_or_new(group_id)
        try:
            live.group.check_commit(generation, member_id, instance_id, self._now_ms)
            rows = checked_rows(offsets, self._saved.offsets(group_id), self._around.wall_ms())
            if not rows:
                return
            written = self._submit(CommitOffsets(group_id, rows))
            live.commits.add(written)
            written.add_done_callback(partial(self._on_committed, live))
        finally:
            self._forget_if_at_rest(live)
        await self._written(written)

    async def fetch(
        self, group_id: str, wanted: Sequence[tuple[str, int]] | None
    ) -> Mapping[tuple[str, int], CommittedOffset]:
        """What was committed before this call, also by a leader that does not know yet that it was deposed."""
        live = self._live.get(group_id)
        if live is not None and live.commits:
            await asyncio.wait(tuple(live.commits))
        try:
            await self._shard.group.read_barrier()
        except RaftNotLeaderError as error:
            raise NotCoordinatorError from error
        return self._saved.offsets(group_id).find(wanted)

    async def delete_offsets(self, group_id: str, partitions: Sequence[tuple[str, int]]) -> list[Exception | None]:
        """An outcome per partition. Raises: GroupNotFoundError, NonEmptyGroupError (members of another protocol)."""
        live = self._live.get(group_id)
        if not self._knows(group_id) or (live is not None and live.group.state is GroupState.DEAD):
            raise GroupNotFoundError(group_id)
        outcomes: list[Exception | None] = [None] * len(partitions)
        if live is not None and live.group.member_count:
            if live.group.protocol_type != CONSUMER_PROTOCOL:
                raise NonEmptyGroupError(f"group {group_id!r} has members")
            subscriptions = tuple(live.group.subscriptions())
            for place, (topic, _) in enumerate(partitions):
                if is_subscribed(topic, subscriptions):
                    outcomes[place] = GroupSubscribedToTopicError(f"group {group_id!r} consumes {topic!r}")
        allowed = tuple(key for key, outcome in zip(partitions, outcomes, strict=True) if outcome is None)
        if allowed:
            await self._written(self._submit(DeleteOffsets(group_id, allowed)))
        return outcomes

    async def forget_topic(self, topic: str) -> None:
        """The topic is deleted: so are the offsets that all groups have committed on it."""
        kept = {group_id: self._saved.offsets(group_id).of_topic(topic) for group_id in self._saved}
        written = [self._submit(DeleteOffsets(group_id, tuple(keys))) for group_id, keys in kept.items() if keys]
        if written:
            await asyncio.wait(written)
        for each in written:
            await self._written(each)

    # -- whole groups --------------------------------------------------------------------------------------------

    def describe(self, group_id: str) -> GroupDescription:
        live = self._live.get(group_id)
        if live is not None:
            return live.group.describe()
        if group_id not in self._saved:
            return GroupDescription(
                group_id=group_id, state=GroupState.DEAD.value, protocol_type="", protocol="", generation=0
            )
        return self._idle(group_id).describe()

    def list(self) -> Sequence[GroupDescription]:
        live = [each.group for each in self._live.values() if each.group.state is not GroupState.DEAD]
        idle = [self._idle(group_id) for group_id in self._saved if group_id not in self._live]
        return [group.describe() for group in live + idle]

    async def delete(self, group_id: str) -> None:
        """Raises: GroupNotFoundError, NonEmptyGroupError."""
        if not self._knows(group_id):
            raise GroupNotFoundError(group_id)
        live = self._live_or_new(group_id)
        if live.group.state is GroupState.DEAD:
            raise GroupNotFoundError(group_id)
        live.group.begin_delete()
        try:
            written = self._submit(DeleteGroup(group_id))
        except Exception:
            live.group.cancel_delete()
            self._drain(live)
            raise
        # In a callback: it must be finished even if the one who asked does not wait for it.
        written.add_done_callback(partial(self._on_deleted, live))
        await self._written(written)

    # -- the machines --------------------------------------------------------------------------------------------

    @property
    def _now_ms(self) -> int:
        return self._around.clock.now_ms()

    @property
    def _saved(self) -> GroupSlot:
        return self._shard.state.section(GroupSlots)[self.number]

    def _knows(self, group_id: str) -> bool:
        return group_id in self._live or group_id in self._saved

    def _holds(self, live: LiveGroup) -> bool:
        return self._live.get(live.group.group_id) is live

    def _idle(self, group_id: str) -> Group:
        return Group(group_id, self._around.limits, self._saved.group_or_none(group_id), now_ms=self._now_ms)

    def _make_live(self, group_id: str) -> LiveGroup:
        live = self._live[group_id] = LiveGroup(self, self._idle(group_id))
        return live

    def _live_or_new(self, group_id: str) -> LiveGroup:
        live = self._live.get(group_id)
        if live is not None:
            return live
        count, limit = len(self._live), self._around.limits.groups_per_slot_max
        if group_id not in self._saved and count + len(self._saved) >= limit:
            raise GroupMaxSizeReachedError(f"this coordinator holds {limit} groups, the limit: delete some")
        return self._make_live(group_id)

    def _member_group(self, group_id: str) -> LiveGroup:
        """Raises: UnknownMemberError: a group that is not live has no members."""
        live = self._live.get(group_id)
        if live is None:
            raise UnknownMemberError(f"group {group_id!r} has no members")
        return live

    async def _ask(self, live: LiveGroup, request: Callable[[], Ticket]) -> A:
        """Put a request to a machine and wait for its answer. Raises: what the machine refuses or answers."""
        try:
            ticket = request()
            future: asyncio.Future[Joined | Synced] = asyncio.get_running_loop().create_future()
            live.waiters[ticket] = future
        finally:
            self._drain(live)
        return cast("A", await future)

    def _drain(self, live: LiveGroup) -> None:
        """Do what the machine wants done, then arm its deadline or let it go."""
        while not self._answer_outputs(live):
            pass
        self._forget_if_at_rest(live)
        if self._holds(live):
            self._around.deadlines.set(live, live.group.next_deadline_ms())

    def _forget_if_at_rest(self, live: LiveGroup) -> None:
        """Enough after what moves deadlines back only, such as a commit."""
        if live.group.is_forgettable and not live.commits and self._holds(live):
            self._around.deadlines.discard(live)
            del self._live[live.group.group_id]

    def _answer_outputs(self, live: LiveGroup) -> bool:
        """True: there were none."""
        outputs = live.group.take_outputs()
        for output in outputs:
            match output:
                case Answered(ticket, outcome):
                    _settle(live.waiters.pop(ticket, None), outcome)
                case SaveWanted(number, group):
                    self._save(live, number, SaveGroup(group))
        return not outputs

    # -- writing -------------------------------------------------------------------------------------------------

    def _save(self, live: LiveGroup, number: int, command: SaveGroup) -> None:
        try:
            written = self._submit(command)
        except ShardingError as error:
            live.group.on_saved(number, error, self._now_ms)
        else:
            written.add_done_callback(partial(self._on_saved, live, number))

    def _on_saved(self, live: LiveGroup, number: int, written: "asyncio.Future[object]") -> None:
        error = _coordinator_error(written)
        if self._holds(live):
            live.group.on_saved(number, error, self._now_ms)
            self._drain(live)

    def _on_committed(self, live: LiveGroup, written: "asyncio.Future[object]") -> None:
        _coordinator_error(written)
        live.commits.discard(written)
        self._forget_if_at_rest(live)

    def _on_deleted(self, live: LiveGroup, written: "asyncio.Future[object]") -> None:
        error = _coordinator_error(written)
        if not self._holds(live):
            return
        if error is None:
            self._around.deadlines.discard(live)
            del self._live[live.group.group_id]
        else:
            live.group.cancel_delete()
            self._drain(live)

    def _submit(self, command: Command) -> "asyncio.Future[object]":
        """Raises: NotCoordinatorError, CoordinatorNotAvailableError (the log takes nothing now), ClosingError."""
        self._check_leading()
        try:
            return self._shard.submit(command)
        except (NotLeaderError, OverloadedError, StorageFullError) as error:
            raise _translated(error) from error

    async def _written(self, written: "asyncio.Future[object]") -> object:
        """Wait until a command is applied; a caller that gives up leaves it on its way. Raises: as `_submit`."""
        try:
            return await asyncio.shield(written)
        except (NotLeaderError, OverloadedError, StorageFullError) as error:
            raise _translated(error) from error

    def _check_leading(self) -> None:
        if self._is_stopped:
            raise NotCoordinatorError(f"slot {self.number} is led elsewhere")


def _settle(waiter: "asyncio.Future[Joined | Synced] | None", outcome: Joined | Synced | Exception) -> None:
    if waiter is None or waiter.done():
        return  # the client's connection is gone
    if isinstance(outcome, Exception):
        waiter.set_exception(outcome)
    else:
        waiter.set_result(outcome)


def _coordinator_error(written: "asyncio.Future[object]") -> Exception | None:
    """How a write ended, in the words of a coordinator."""
    if written.cancelled():
        return CoordinatorNotAvailableError("the write was given up")
    error = written.exception()
    assert error is None or isinstance(error, Exception), f"{error!r} is no outcome of a write"
    return None if error is None else _translated(error)


def _translated(error: Exception) -> Exception:
    """A client knows how to go on from a coordinator that moved or pauses, not from a shard's errors."""
    match error:
        case NotLeaderError():
            return NotCoordinatorError(str(error))
        case OverloadedError() | StorageFullError():
            return CoordinatorNotAvailableError(str(error))
        case _:
            return error
