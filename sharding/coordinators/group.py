"""The classic consumer group as a pure state machine: requests and `now_ms` in, answers and saves out.

    Empty ──join──▶ PreparingRebalance ──all joined, or time──▶ CompletingRebalance ──leader's sync saved──▶ Stable
      ▲                  │   ▲                                        │                                       │
      └──nobody joined───┘   └──────────────── join, leave, expiry ───┴───────────────────────────────────────┘
    Empty ──delete──▶ Dead

A request that has to wait gets a ticket; each ticket is answered exactly once by an `Answered` output. A `SaveWanted`
output asks for a replicated save, whose end comes back through `on_saved`; assignments are handed out only after it.
The owner drains `take_outputs` after every call and calls `on_time` at `next_deadline_ms`.
Sources: the rules of Kafka's GroupCoordinator and GroupMetadataManager, KIP-345 (static members), KIP-394 (member id
required), KIP-814 (skip assignment), KIP-134 (initial delay).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from ..errors import (
    CoordinatorNotAvailableError,
    FencedInstanceIdError,
    GroupMaxSizeReachedError,
    IllegalGenerationError,
    InconsistentGroupProtocolError,
    InvalidSessionTimeoutError,
    MemberIdRequiredError,
    NonEmptyGroupError,
    RebalanceInProgressError,
    UnknownMemberError,
)
from .interfaces import GroupDescription, Joined, JoinWanted, Synced
from .roster import Member, Roster, Ticket, protocols_of
from .saved import SavedGroup
from .values import Answered, GroupLimits, GroupState, Output, SaveWanted, SyncWanted


@dataclass(frozen=True, slots=True)
class _AssignmentSave:
    generation: int
    assignments: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class _ReplacementSave:
    """A static member that came back; `told_leader_id` None: it may be told that it leads and skips the assignment."""

    member_id: str
    told_leader_id: str | None


_Save = _AssignmentSave | _ReplacementSave | None  # None: an emptied group, nobody waits
_CAN_REBALANCE = (GroupState.EMPTY, GroupState.COMPLETING, GroupState.STABLE)


class Group:
    """One group of one coordinator. Sole owner of its roster.

    Always: the generation never falls; members exist in every state but Empty and Dead, except while the last of a
    rebalance leave; join tickets wait in PreparingRebalance (or for a save of Stable), sync tickets in
    CompletingRebalance.
    """

    def __init__(self, group_id: str, limits: GroupLimits, saved: SavedGroup | None = None, *, now_ms: int = 0) -> None:
        """A new group, or the last saved generation of one; its members get full session timeouts from `now_ms`."""
        self.group_id = group_id
        self.state = GroupState.EMPTY
        self.generation = 0
        self.protocol_type = ""
        self.protocol = ""
        self._limits = limits
        self._roster = Roster()
        self._pending: dict[str, int] = {}  # member id handed out, not yet joined -> deadline
        self._unsynced: set[str] = set()  # members of this generation whose sync has not come yet
        self._rebalance_deadline_ms = 0
        self._sync_deadline_ms = 0
        self._delay_left_ms: int | None = None  # set only in the first rebalance of an empty group
        self._has_newcomer = False  # since the first rebalance was last put off
        self._has_lost_members = False  # since the last generation began
        self._tickets = count(1)
        self._save_numbers = count(1)
        self._saves: dict[int, _Save] = {}
        self._is_save_behind = False  # the last save failed: only this machine knows the generation
        self._outputs: list[Output] = []
        if saved is not None:
            self._restore(saved, now_ms)

    # -- what the owner asks -------------------------------------------------------------------------------------

    @property
    def member_count(self) -> int:
        return len(self._roster)

    @property
    def leader_id(self) -> str:
        return self._roster.leader_id

    @property
    def is_forgettable(self) -> bool:
        """Nothing here that the saved group does not say."""
        is_at_rest = self.state is GroupState.EMPTY and not self._pending
        return is_at_rest and not self._saves and not self._is_save_behind and not self._outputs

    def take_outputs(self) -> list[Output]:
        """What has to be done now, in order."""
        outputs, self._outputs = self._outputs, []
        return outputs

    def next_deadline_ms(self) -> int | None:
        """When `on_time` has something to do, unless a request comes before; heartbeats only ever move it back."""
        deadlines = [*self._pending.values()]
        deadlines += [at for member in self._roster if (at := member.expires_ms_or_none) is not None]
        if self.state is GroupState.PREPARING:
            deadlines.append(self._rebalance_deadline_ms)
        elif self._unsynced:
            deadlines.append(self._sync_deadline_ms)
        return min(deadlines, default=None)

    def describe(self) -> GroupDescription:
        """Protocol, metadata and assignments are told only while Stable, as Kafka does."""
        is_stable = self.state is GroupState.STABLE
        return GroupDescription(
            group_id=self.group_id,
            state=self.state.value,
            protocol_type=self.protocol_type,
            protocol=self.protocol if is_stable else "",
            generation=self.generation,
            members=tuple(each.describe(self.protocol if is_stable else None) for each in self._roster),
        )

    def subscriptions(self) -> Iterable[bytes]:
        """Every protocol metadata of every member."""
        return (metadata for member in self._roster for _, metadata in member.protocols)

    # -- requests ------------------------------------------------------------------------------------------------

    def join(self, wanted: JoinWanted, fresh_id: str, now_ms: int) -> Ticket:
        """A JoinGroup; `fresh_id` is a member id that was never used, taken if the client has none.

        Raises: MemberIdRequiredError, UnknownMemberError, FencedInstanceIdError, InconsistentGroupProtocolError,
            InvalidSessionTimeoutError, GroupMaxSizeReachedError, CoordinatorNotAvailableError (deleted).
        """
        self._refuse_if_dead()
        least, most = self._limits.session_min_ms, self._limits.session_max_ms
        if not least <= wanted.session_timeout_ms <= most:
            raise InvalidSessionTimeoutError(
                f"session timeout {wanted.session_timeout_ms} ms, must be {least} to {most}"
            )
        self._refuse_if_full(wanted, now_ms)
        self._refuse_if_incompatible(wanted)
        if not wanted.member_id:
            return self._join_unknown(wanted, fresh_id, now_ms)
        return self._join_known(wanted, now_ms)

    def sync(self, wanted: SyncWanted, now_ms: int) -> Ticket:
        """A SyncGroup: the leader brings the assignments, all get theirs when these are saved.

        Raises: UnknownMemberError, FencedInstanceIdError, IllegalGenerationError, InconsistentGroupProtocolError,
            RebalanceInProgressError, CoordinatorNotAvailableError (deleted).
        """
        self._refuse_if_dead()
        member = self._roster.known(wanted.member_id, wanted.instance_id)
        self._check_generation(wanted.generation)
        if wanted.protocol_type not in {None, self.protocol_type} or wanted.protocol not in {None, self.protocol}:
            raise InconsistentGroupProtocolError(f"group speaks {self.protocol_type}/{self.protocol}")
        if self.state is GroupState.PREPARING:
            raise RebalanceInProgressError(self.group_id)
        self._unsynced.discard(member.member_id)
        ticket = Ticket(next(self._tickets))
        if self.state is GroupState.STABLE:
            member.touch(now_ms)
            self._outputs.append(Answered(ticket, self._synced(member)))
            return ticket
        assert self.state is GroupState.COMPLETING, f"{self.state} has no members to sync"
        self._answer_sync(member, RebalanceInProgressError("a later sync of this member took the place"))
        member.sync_ticket = ticket
        if member.member_id == self.leader_id and not self._is_saving_assignments:
            # An assignment of someone who is no member is dropped, a member without one gets an empty one.
            given = {each.member_id: bytes(wanted.assignments.get(each.member_id, b"")) for each in self._roster}
            self._want_save(_AssignmentSave(self.generation, given), given)
        return ticket

    def heartbeat(self, generation: int, member_id: str, instance_id: str | None, now_ms: int) -> None:
        """Raises: RebalanceInProgressError, UnknownMemberError, IllegalGenerationError, FencedInstanceIdError."""
        self._refuse_if_dead()
        member = self._roster.known(member_id, instance_id)
        self._check_generation(generation)
        member.touch(now_ms)
        if self.state is GroupState.PREPARING:
            raise RebalanceInProgressError(self.group_id)

    def leave(self, leaving: Sequence[tuple[str, str | None]], now_ms: int) -> list[Exception | None]:
        """One outcome per (member id, instance id); an empty member id means whoever holds the instance id."""
        self._refuse_if_dead()
        outcomes = [self._leave_one(member_id, instance_id) for member_id, instance_id in leaving]
        self._after_removal(now_ms)
        return outcomes

    def check_commit(self, generation: int, member_id: str, instance_id: str | None, now_ms: int) -> None:
        """Whether these may commit offsets: a member of the generation, or anyone without one while Empty.

        Raises: UnknownMemberError, FencedInstanceIdError, IllegalGenerationError, RebalanceInProgressError (between
            join and assignment), CoordinatorNotAvailableError (deleted).
        """
        self._refuse_if_dead()
        if generation < 0 and self.state is GroupState.EMPTY:
            return
        if generation < 0 and not member_id and instance_id is None:
            raise UnknownMemberError(f"group {self.group_id!r} has members: only these may commit")
        member = self._roster.known(member_id, instance_id)
        self._check_generation(generation)
        if self.state is GroupState.COMPLETING:
            raise RebalanceInProgressError(self.group_id)
        member.touch(now_ms)

    def begin_delete(self) -> None:
        """Dead from now on; `cancel_delete` if it could not be saved. Raises: NonEmptyGroupError."""
        self._refuse_if_dead()
        if self.state is not GroupState.EMPTY:
            raise NonEmptyGroupError(f"group {self.group_id!r} is {self.state.value}")
        self._pending.clear()
        self.state = GroupState.DEAD

    def cancel_delete(self) -> None:
        assert self.state is GroupState.DEAD, f"nothing to cancel in {self.state}"
        self.state = GroupState.EMPTY

    # -- events --------------------------------------------------------------------------------------------------

    def on_saved(self, number: int, error: Exception | None, now_ms: int) -> None:
        """The save that `SaveWanted` asked for is replicated, or failed."""
        save = self._saves.pop(number)
        self._is_save_behind = error is not None
        match save:
            case None:
                pass
            case _AssignmentSave():
                # Another rebalance may have begun meanwhile: then its members were told to join again.
                if self.state is GroupState.COMPLETING and save.generation == self.generation:
                    self._on_assignments_saved(save.assignments, error, now_ms)
            case _ReplacementSave():
                self._on_replacement_saved(save, error, now_ms)

    def on_time(self, now_ms: int) -> None:
        """Deadlines up to now: sessions, pending member ids, the rebalance, missing syncs."""
        late_ids = [member_id for member_id, at in self._pending.items() if at <= now_ms]
        for member_id in late_ids:
            del self._pending[member_id]
        expired = [each for each in self._roster if (at := each.expires_ms_or_none) is not None and at <= now_ms]
        for member in expired:
            self._remove(member)
        if late_ids or expired:
            self._after_removal(now_ms)
        if self.state is GroupState.PREPARING:
            if self._rebalance_deadline_ms <= now_ms:
                self._on_rebalance_deadline(now_ms)
        elif self._unsynced and self._sync_deadline_ms <= now_ms:
            for member_id in sorted(self._unsynced):
                self._remove(self._roster[member_id])
            self._after_removal(now_ms)

    def abandon(self, error: Exception) -> None:
        """This node stops coordinating: whoever waits is told so; what was not saved is gone."""
        for member in self._roster:
            self._answer_join(member, error)
            self._answer_sync(member, error)
        self._saves.clear()
        self._pending.clear()
        self._unsynced.clear()
        self._roster = Roster()
        self.state = GroupState.DEAD

    # -- joining -------------------------------------------------------------------------------------------------

    def _join_unknown(self, wanted: JoinWanted, fresh_id: str, now_ms: int) -> Ticket:
        assert fresh_id not in self._roster, f"{fresh_id} is not fresh"
        assert fresh_id not in self._pending, f"{fresh_id} is not fresh"
        old = self._roster.of_instance_or_none(wanted.instance_id)
        if old is not None:
            return self._replace(old, wanted, fresh_id, now_ms)
        if wanted.needs_known_member_id and wanted.instance_id is None:
            if len(self._pending) >= self._limits.pending_max:
                del self._pending[next(iter(self._pending))]  # that client gets another id when it comes
            self._pending[fresh_id] = now_ms + wanted.session_timeout_ms
            raise MemberIdRequiredError(fresh_id)
        return self._add(wanted, fresh_id, now_ms)

    def _join_known(self, wanted: JoinWanted, now_ms: int) -> Ticket:
        if wanted.member_id in self._pending and wanted.instance_id is None:
            del self._pending[wanted.member_id]
            return self._add(wanted, wanted.member_id, now_ms)
        member = self._roster.known(wanted.member_id, wanted.instance_id)
        ticket = Ticket(next(self._tickets))
        is_same = member.protocols == protocols_of(wanted)
        # A leader that joins again while Stable wants a new assignment, e.g. because a topic grew.
        is_repeat = self.state is GroupState.COMPLETING or (
            self.state is GroupState.STABLE and member.member_id != self.leader_id
        )
        if is_same and is_repeat:
            member.touch(now_ms)
            self._outputs.append(Answered(ticket, self._joined(member)))
            return ticket
        self._roster.update(member, wanted)
        self._await_join(member, ticket)
        self._rebalance(now_ms)
        return ticket

    def _add(self, wanted: JoinWanted, member_id: str, now_ms: int) -> Ticket:
        if not self._roster:
            self.protocol_type = wanted.protocol_type
        ticket = Ticket(next(self._tickets))
        self._has_newcomer = self._has_newcomer or self.state is GroupState.PREPARING
        self._roster.add(Member.newly(wanted, member_id, ticket, now_ms))
        self._rebalance(now_ms)
        return ticket

    def _replace(self, member: Member, wanted: JoinWanted, fresh_id: str, now_ms: int) -> Ticket:
        """A static member restarted without its member id: the old one is fenced, the group need not notice."""
        fenced = FencedInstanceIdError(f"instance id {wanted.instance_id!r} joined again elsewhere")
        self._answer_join(member, fenced)
        self._answer_sync(member, fenced)
        old_leader_id = self.leader_id
        if member.member_id in self._unsynced:
            self._unsynced.remove(member.member_id)
            self._unsynced.add(fresh_id)
        self._roster.rename(member, fresh_id)
        self._roster.update(member, wanted)
        member.touch(now_ms)
        ticket = Ticket(next(self._tickets))
        member.join_ticket = ticket
        if self.state is GroupState.STABLE and self._roster.vote() == self.protocol:
            # Clients below JoinGroup 9 must not think that they lead: their assignment would be lost (KIP-814).
            told_id = None if wanted.can_skip_assignment else old_leader_id
            save = _ReplacementSave(fresh_id, told_id)
            self._want_save(save, {each.member_id: each.assignment for each in self._roster})
        else:
            # While completing, the leader may be assigning to the old member id.
            self._rebalance(now_ms)
        return ticket

    def _refuse_if_full(self, wanted: JoinWanted, now_ms: int) -> None:
        """A newcomer needs a free place; of those who are in, the last to rejoin goes after the limit was lowered."""
        member = self._roster.of_instance_or_none(wanted.instance_id) or self._roster.get_or_none(wanted.member_id)
        if member is None:
            is_full = len(self._roster) >= self._limits.members_max
        else:
            is_full = member.join_ticket is None and self._roster.joined_count >= self._limits.members_max
        if is_full:
            self._pending.pop(wanted.member_id, None)
            if member is not None and member.member_id == wanted.member_id:
                self._remove(member)
            self._after_removal(now_ms)
            raise GroupMaxSizeReachedError(f"group {self.group_id!r} has {self._limits.members_max} members, the limit")

    def _refuse_if_incompatible(self, wanted: JoinWanted) -> None:
        if not wanted.protocol_type or not wanted.protocols:
            raise InconsistentGroupProtocolError("a protocol type and at least one protocol are needed")
        if not self._roster:
            return
        names = [name for name, _ in wanted.protocols]
        if wanted.protocol_type != self.protocol_type or not self._roster.supports(names):
            raise InconsistentGroupProtocolError(f"{wanted.protocol_type}/{names} suits not all members")

    # -- rebalancing ---------------------------------------------------------------------------------------------

    def _rebalance(self, now_ms: int) -> None:
        """Begin a rebalance, or end the one that is being prepared if all are there."""
        if self.state in _CAN_REBALANCE:
            self._prepare(now_ms)
        self._complete_if_all_joined(now_ms)

    def _prepare(self, now_ms: int) -> None:
        assert self.state in _CAN_REBALANCE, f"no rebalance from {self.state}"
        for member in self._roster:
            self._answer_sync(member, RebalanceInProgressError(self.group_id))
        timeout_ms, delay_ms = self._roster.rebalance_timeout_ms, self._limits.initial_rebalance_delay_ms
        if self.state is GroupState.EMPTY:
            self._delay_left_ms = max(timeout_ms - delay_ms, 0)
            self._rebalance_deadline_ms = now_ms + delay_ms
        else:
            self._rebalance_deadline_ms = now_ms + timeout_ms
        self._has_newcomer = False
        self._unsynced.clear()
        self.state = GroupState.PREPARING

    def _complete_if_all_joined(self, now_ms: int) -> None:
        is_complete = self._roster.joined_count == len(self._roster) and not self._pending
        # The first rebalance of an empty group always waits for its delay, so that more members can come.
        if self.state is GroupState.PREPARING and self._delay_left_ms is None and is_complete:
            self._complete(now_ms)

    def _on_rebalance_deadline(self, now_ms: int) -> None:
        if self._delay_left_ms and self._has_newcomer and self.generation == 0:
            delay_ms = min(self._limits.initial_rebalance_delay_ms, self._delay_left_ms)
            self._delay_left_ms -= delay_ms
            self._rebalance_deadline_ms = now_ms + delay_ms
            self._has_newcomer = False
        else:
            self._complete(now_ms)

    def _complete(self, now_ms: int) -> None:
        """The next generation of those who joined; static members may be away until their session ends."""
        self._delay_left_ms = None
        for member in [each for each in self._roster if each.join_ticket is None and each.instance_id is None]:
            self._remove(member)
        if not self._roster:
            self._empty()
            return
        if not self._roster.elect_joined_leader():
            self._rebalance_deadline_ms = now_ms + self._roster.rebalance_timeout_ms
            return
        self._has_lost_members = False
        self.generation += 1
        self.protocol = self._roster.vote()
        self.state = GroupState.COMPLETING
        self._unsynced = {each.member_id for each in self._roster}
        self._sync_deadline_ms = now_ms + self._roster.rebalance_timeout_ms
        for member in self._roster:
            member.assignment = b""
            member.is_new = False
            member.touch(now_ms)
            self._answer_join(member, self._joined(member))

    def _empty(self) -> None:
        self.generation += 1
        self.protocol = ""
        self.state = GroupState.EMPTY
        self._unsynced.clear()
        self._want_save(None, {})

    def _leave_one(self, member_id: str, instance_id: str | None) -> Exception | None:
        if instance_id is None and self._pending.pop(member_id, None) is not None:
            return None
        owner = self._roster.of_instance_or_none(instance_id)
        try:
            member = owner if owner is not None and not member_id else self._roster.known(member_id, instance_id)
        except (UnknownMemberError, FencedInstanceIdError) as error:
            return error
        self._remove(member)
        return None

    def _remove(self, member: Member) -> None:
        """The caller ends with `_after_removal`, or is completing."""
        gone = UnknownMemberError(f"{member.member_id} was removed")
        self._answer_join(member, gone)
        self._answer_sync(member, gone)
        self._unsynced.discard(member.member_id)
        self._roster.remove(member)
        self._has_lost_members = True

    def _after_removal(self, now_ms: int) -> None:
        """Those who remain share the work anew; called also when only pending ids went, which changes no members."""
        if self._has_lost_members and self.state in {GroupState.COMPLETING, GroupState.STABLE}:
            self._prepare(now_ms)
        self._complete_if_all_joined(now_ms)

    # -- saving --------------------------------------------------------------------------------------------------

    @property
    def _is_saving_assignments(self) -> bool:
        return any(
            isinstance(save, _AssignmentSave) and save.generation == self.generation for save in self._saves.values()
        )

    def _want_save(self, save: _Save, assignments: Mapping[str, bytes]) -> None:
        number = next(self._save_numbers)
        self._saves[number] = save
        self._outputs.append(SaveWanted(number, self._saved(assignments)))

    def _on_assignments_saved(self, assignments: Mapping[str, bytes], error: Exception | None, now_ms: int) -> None:
        if error is not None:
            for member in self._roster:
                self._answer_sync(member, error)
            self._rebalance(now_ms)
            return
        assert assignments.keys() == {each.member_id for each in self._roster}, "members changed without a rebalance"
        self.state = GroupState.STABLE
        for member in self._roster:
            member.assignment = assignments[member.member_id]
            if member.sync_ticket is not None:
                member.touch(now_ms)
                self._answer_sync(member, self._synced(member))

    def _on_replacement_saved(self, save: _ReplacementSave, error: Exception | None, now_ms: int) -> None:
        member = self._roster.get_or_none(save.member_id)
        # In a rebalance that began meanwhile the ticket counts as joined and is answered with all others.
        if member is None or self.state is not GroupState.STABLE:
            return
        member.touch(now_ms)
        if error is not None:
            self._answer_join(member, error)
            return
        is_skipping = save.told_leader_id is None and save.member_id == self.leader_id
        self._answer_join(member, self._joined(member, leader_id=save.told_leader_id, skip_assignment=is_skipping))

    def _saved(self, assignments: Mapping[str, bytes]) -> SavedGroup:
        members = tuple(each.saved(assignments[each.member_id]) for each in self._roster)
        return SavedGroup(self.group_id, self.protocol_type, self.generation, self.protocol, self.leader_id, members)

    def _restore(self, saved: SavedGroup, now_ms: int) -> None:
        self.protocol_type, self.protocol, self.generation = saved.protocol_type, saved.protocol, saved.generation
        for each in saved.members:
            self._roster.add(Member.restored(each, now_ms))
        if not saved.members:
            return
        assert saved.leader_id in self._roster, f"saved leader {saved.leader_id} is no member"
        self._roster.leader_id = saved.leader_id
        self.state = GroupState.STABLE
        if len(self._roster) > self._limits.members_max:
            self._rebalance(now_ms)  # the limit was lowered: the last to rejoin must go

    # -- answers -------------------------------------------------------------------------------------------------

    def _joined(self, member: Member, *, leader_id: str | None = None, skip_assignment: bool = False) -> Joined:
        leader_id = self.leader_id if leader_id is None else leader_id
        is_leader = leader_id == member.member_id
        return Joined(
            generation=self.generation,
            protocol_type=self.protocol_type,
            protocol=self.protocol,
            leader_id=leader_id,
            member_id=member.member_id,
            members=tuple((each.member_id, each.instance_id, each.metadata(self.protocol)) for each in self._roster)
            if is_leader
            else (),
            skip_assignment=skip_assignment,
        )

    def _synced(self, member: Member) -> Synced:
        return Synced(protocol_type=self.protocol_type, protocol=self.protocol, assignment=member.assignment)

    def _await_join(self, member: Member, ticket: Ticket) -> None:
        self._answer_join(member, RebalanceInProgressError("a later join of this member took the place"))
        member.join_ticket = ticket

    def _answer_join(self, member: Member, outcome: Joined | Exception) -> None:
        if member.join_ticket is not None:
            self._outputs.append(Answered(member.join_ticket, outcome))
            member.join_ticket = None

    def _answer_sync(self, member: Member, outcome: Synced | Exception) -> None:
        if member.sync_ticket is not None:
            self._outputs.append(Answered(member.sync_ticket, outcome))
            member.sync_ticket = None

    def _check_generation(self, generation: int) -> None:
        if generation != self.generation:
            raise IllegalGenerationError(f"generation {generation}, the group is at {self.generation}")

    def _refuse_if_dead(self) -> None:
        if self.state is GroupState.DEAD:
            raise CoordinatorNotAvailableError(f"group {self.group_id!r} is being deleted")
