"""Classic consumer groups for the doors: finds the slot of a group and the coordinator that leads it.

    join, sync, commit… ──▶ Groups ──slot_of(group id)──▶ SlotCoordinator ──Group──▶ answers
                                                                └──Shard.submit──▶ SaveGroup, CommitOffsets…

A slot's coordinator exists while its shard leads. Before the shard has a leader the coordinator is *loading*; when
another node leads, it is not here. At step-down whoever waits is told NotCoordinatorError and finds the new one.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from raft.clock import Clock
from raft.interfaces import Role, RoleChange

from ..errors import (
    ClosingError,
    CoordinatorLoadingError,
    InvalidGroupIdError,
    NotCoordinatorError,
    RebalanceInProgressError,
)
from ..shard import Shard
from .deadlines import Deadlines
from .interfaces import CommittedOffset, GroupDescription, Joined, JoinWanted, Synced
from .slot_coordinator import LiveGroup, SlotCoordinator, Surroundings
from .slots import SLOT_COUNT, slot_of
from .values import GroupLimits, SyncWanted


@dataclass(slots=True)
class _Place:
    """A slot on this node; `coordinator` is None until a request or the loading after an election makes it."""

    shard: Shard
    coordinator: SlotCoordinator | None = None
    has_led: bool = False


class Groups:
    """Fulfils `interfaces.GroupsApi`. Owns the coordinators of the slots that this node was given."""

    def __init__(
        self,
        *,
        limits: GroupLimits,
        clock: Clock,
        wall_ms: Callable[[], int],
        new_id: Callable[[], str],
        logger: logging.Logger,
    ) -> None:
        """`clock` never goes back and has the timers, `wall_ms` stamps commits, `new_id` makes unique member ids."""
        self._clock = clock
        self._deadlines = Deadlines[LiveGroup](clock, lambda live: live.slot.on_deadline(live), logger)
        self._around = Surroundings(
            limits=limits, clock=clock, wall_ms=wall_ms, new_id=new_id, deadlines=self._deadlines
        )
        self._places: dict[int, _Place] = {}
        self._undo: dict[int, Callable[[], None]] = {}
        self._is_closed = False

    def serve(self, shard: Shard, slots: Iterable[int]) -> None:
        """Coordinate these slots whenever this node leads `shard`, whose state must have the `GroupSlots` section."""
        mine = tuple(slots)
        for number in mine:
            assert 0 <= number < SLOT_COUNT, f"slot {number} of {SLOT_COUNT}"
            assert number not in self._places, f"slot {number} is served already"
            self._places[number] = _Place(shard)

        def on_role(change: RoleChange) -> None:
            self._stop(mine, NotCoordinatorError(f"shard {shard.shard_id} is led by {change.leader}"))
            if change.role is Role.LEADER:
                self._load(mine)

        self._undo[shard.shard_id] = shard.observe_roles(on_role)
        if shard.is_leader:
            self._load(mine)

    def drop(self, shard: Shard) -> None:
        """The shard is not on this node any more."""
        self._undo.pop(shard.shard_id)()
        gone = [number for number, place in self._places.items() if place.shard is shard]
        self._stop(gone, NotCoordinatorError(f"shard {shard.shard_id} is on other nodes"))
        for number in gone:
            del self._places[number]

    def close(self) -> None:
        """Whoever waits is told ClosingError; later requests too."""
        self._is_closed = True
        for undo in self._undo.values():
            undo()
        self._undo.clear()
        self._stop(self._places, ClosingError("the node is shutting down"))
        self._deadlines.close()

    # -- interfaces.GroupsApi ------------------------------------------------------------------------------------

    async def join(self, wanted: JoinWanted) -> Joined:
        return await self._coordinator(wanted.group_id, is_named=True).join(wanted)

    async def sync(  # noqa: PLR0913 - the fields of one SyncGroup request
        self,
        group_id: str,
        generation: int,
        member_id: str,
        instance_id: str | None,
        assignments: Mapping[str, bytes],
        *,
        protocol_type: str | None = None,
        protocol: str | None = None,
    ) -> Synced:
        wanted = SyncWanted(
            generation=generation,
            member_id=member_id,
            instance_id=instance_id,
            assignments=assignments,
            protocol_type=protocol_type,
            protocol=protocol,
        )
        try:
            coordinator = self._coordinator(group_id, is_named=True)
        except CoordinatorLoadingError as error:
            # Clients take "loading" as fatal in a sync, but know how to join again.
            raise RebalanceInProgressError(group_id) from error
        return await coordinator.sync(group_id, wanted)

    def heartbeat(self, group_id: str, generation: int, member_id: str, instance_id: str | None) -> None:
        try:
            coordinator = self._coordinator(group_id, is_named=True)
        except CoordinatorLoadingError:
            return  # fatal to clients as well; sessions begin anew after loading, so that silence is right
        coordinator.heartbeat(group_id, generation, member_id, instance_id)

    async def leave(self, group_id: str, members: Sequence[tuple[str, str | None]]) -> list[Exception | None]:
        return self._coordinator(group_id, is_named=True).leave(group_id, members)

    async def commit(
        self,
        group_id: str,
        generation: int,
        member_id: str,
        instance_id: str | None,
        offsets: Mapping[tuple[str, int], CommittedOffset],
    ) -> None:
        await self._coordinator(group_id).commit(group_id, generation, member_id, instance_id, offsets)

    async def fetch(
        self, group_id: str, wanted: Sequence[tuple[str, int]] | None
    ) -> Mapping[tuple[str, int], CommittedOffset]:
        return await self._coordinator(group_id).fetch(group_id, wanted)

    def describe(self, group_id: str) -> GroupDescription:
        return self._coordinator(group_id).describe(group_id)

    async def delete(self, group_id: str) -> None:
        await self._coordinator(group_id).delete(group_id)

    async def delete_offsets(self, group_id: str, partitions: Sequence[tuple[str, int]]) -> list[Exception | None]:
        return await self._coordinator(group_id, is_named=True).delete_offsets(group_id, partitions)

    async def forget_topic(self, topic: str) -> None:
        """Delete the offsets that the groups led here have committed on a topic, because it is deleted."""
        for number in sorted(self._places):
            # Each slot is a look at all its groups: others get their turn, and the slot may go, between two.
            await asyncio.sleep(0)
            place = self._places.get(number)
            if place is not None and place.shard.is_leader:
                await self._led(number).forget_topic(topic)

    def list(self) -> "list[GroupDescription]":
        """The groups that this node coordinates. Raises: CoordinatorLoadingError: not all can be told yet."""
        found: list[GroupDescription] = []
        for number, place in sorted(self._places.items()):
            if place.shard.is_leader:
                found += self._led(number).list()
            elif place.shard.group.leader_or_none is None:
                raise CoordinatorLoadingError(f"shard {place.shard.shard_id} has no leader yet")
        return found

    # -- slots ---------------------------------------------------------------------------------------------------

    def _coordinator(self, group_id: str, *, is_named: bool = False) -> SlotCoordinator:
        """Raises: InvalidGroupIdError, ClosingError, NotCoordinatorError, CoordinatorLoadingError.

        Offsets may be kept under the empty name, as ever; a group of members must be named (`is_named`).
        """
        if is_named and not group_id:
            raise InvalidGroupIdError("a group id must not be empty")
        try:
            number = slot_of(group_id)
        except UnicodeEncodeError as error:
            raise InvalidGroupIdError(f"{group_id!r} is no text") from error
        return self._led(number)

    def _led(self, number: int) -> SlotCoordinator:
        if self._is_closed:
            raise ClosingError("the node is shutting down")
        place = self._places.get(number)
        if place is None:
            raise NotCoordinatorError(f"slot {number} is not on this node")
        if not place.shard.is_leader:
            if place.has_led or place.shard.group.leader_or_none is not None:
                raise NotCoordinatorError(f"shard {place.shard.shard_id} is led elsewhere")
            raise CoordinatorLoadingError(f"shard {place.shard.shard_id} has no leader yet")
        if place.coordinator is None:
            place.coordinator = SlotCoordinator(number, place.shard, self._around)
            place.has_led = True
        return place.coordinator

    def _load(self, numbers: Sequence[int]) -> None:
        """Make the coordinators that no request has made yet, so that sessions run: one in each turn of the loop."""
        if not numbers or self._is_closed:
            return
        if not self._places[numbers[0]].shard.is_leader:
            return
        self._led(numbers[0])
        self._clock.call_later(0, lambda: self._load(numbers[1:]))

    def _stop(self, numbers: Iterable[int], error: Exception) -> None:
        for number in numbers:
            place = self._places[number]
            coordinator, place.coordinator = place.coordinator, None
            if coordinator is not None:
                coordinator.stop(error)
