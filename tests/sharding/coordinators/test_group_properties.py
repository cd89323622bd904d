"""The group machine under random requests, saves and time: what must hold whatever comes."""

from collections.abc import Callable
from contextlib import suppress

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sharding.coordinators.interfaces import Joined, Synced
from sharding.coordinators.roster import Ticket
from sharding.coordinators.values import GroupLimits, GroupState
from sharding.errors import (
    CoordinatorNotAvailableError,
    NonEmptyGroupError,
    NotCoordinatorError,
    ShardingError,
    StorageFullError,
)
from tests.sharding.coordinators.driving import Driven, join_wanted

INSTANCES = st.sampled_from([None, None, None, "i", "j"])
PROTOCOLS = st.sampled_from(
    [[("range", b"a")], [("range", b"a"), ("sticky", b"b")], [("sticky", b"b"), ("range", b"c")], [("odd", b"")]]
)
LIMITS = GroupLimits(initial_rebalance_delay_ms=2_000, members_max=4, pending_max=3)
SESSIONS_MS = st.sampled_from([6_000, 10_000, 40_000])
LONGEST_MS = 400_000  # no deadline of these sessions, rebalances and first joins is further away


class GroupUnderWhatever(RuleBasedStateMachine):
    """A model of the clients: which ids they were given, which ticket belongs to whom, what the leaders assigned."""

    def __init__(self) -> None:
        super().__init__()
        self.group = Driven(LIMITS)
        self.ids: list[str] = []
        self.instance_of: dict[str, str | None] = {}
        self.generation = 0
        self.assigned: dict[int, dict[str, bytes]] = {}
        self.leaders: dict[int, str] = {}
        self.sync_of: dict[Ticket, tuple[str, int]] = {}
        self.seen: set[Ticket] = set()
        self.was_deleted = False

    def known_id(self, pick: int) -> str:
        return self.ids[pick % len(self.ids)] if self.ids else "stranger"

    @rule(instance=INSTANCES, protocols=PROTOCOLS, session_ms=SESSIONS_MS, skips=st.booleans(), is_new=st.booleans())
    def join_as_somebody_new(
        self, instance: str | None, protocols: list[tuple[str, bytes]], session_ms: int, skips: bool, is_new: bool
    ) -> None:
        wanted = join_wanted(
            instance_id=instance,
            protocols=protocols,
            session_ms=session_ms,
            rebalance_ms=20_000,
            can_skip_assignment=skips,
            needs_known_member_id=is_new,
        )
        try:
            self.group.join(wanted)
        except ShardingError as error:
            if hasattr(error, "member_id"):
                self.remember(error.member_id, None)
        else:
            self.remember(f"m{self.group._fresh}", instance)

    def remember(self, member_id: str, instance: str | None) -> None:
        self.ids.append(member_id)
        self.instance_of[member_id] = instance

    @rule(pick=st.integers(0, 20), protocols=PROTOCOLS, session_ms=SESSIONS_MS)
    def join_again(self, pick: int, protocols: list[tuple[str, bytes]], session_ms: int) -> None:
        member_id = self.known_id(pick)
        wanted = join_wanted(
            member_id,
            self.instance_of.get(member_id),
            protocols=protocols,
            session_ms=session_ms,
            rebalance_ms=20_000,
        )
        self.attempt(lambda: self.group.join(wanted))

    @rule()
    def everyone_joins_again(self) -> None:
        for member in list(self.group.group.describe().members):
            wanted = join_wanted(member.member_id, member.instance_id, protocols=[("range", b"a"), ("sticky", b"b")])
            self.attempt(lambda wanted=wanted: self.group.join(wanted))

    @rule(pick=st.integers(0, 20), generation_back=st.integers(0, 1), others=st.booleans())
    def sync(self, pick: int, generation_back: int, others: bool) -> None:
        self.sync_as(self.known_id(pick), self.group.group.generation - generation_back, others=others)

    @rule()
    def everyone_syncs(self) -> None:
        for member in self.group.group.describe().members:
            self.sync_as(member.member_id, self.group.group.generation, others=True)

    def sync_as(self, member_id: str, generation: int, *, others: bool) -> None:
        is_leader = member_id == self.group.group.leader_id and self.group.state is GroupState.COMPLETING
        members = [each.member_id for each in self.group.group.describe().members]
        assignments = {each: f"{each}@{generation}".encode() for each in (members if others else members[:1])}
        try:
            ticket = self.group.sync(
                member_id, assignments, generation=generation, instance_id=self.instance_of.get(member_id)
            )
        except ShardingError:
            return
        if is_leader:
            self.assigned.setdefault(generation, {each: assignments.get(each, b"") for each in members})
        self.sync_of[ticket] = (member_id, generation)

    @rule(count=st.integers(1, 3), instances=st.booleans())
    def some_come_and_the_rebalance_completes(self, count: int, instances: bool) -> None:
        for n in range(count):
            instance = "ij"[n % 2] if instances else None
            self.join_as_somebody_new(instance, [("range", b"a"), ("sticky", b"b")], 40_000, skips=True, is_new=False)
        self.group.pass_time(2_000)
        self.everyone_joins_again()
        self.everyone_syncs()
        while self.group.saves:
            self.group.confirm()

    @rule(pick=st.integers(0, 20), back=st.integers(0, 1))
    def heartbeat(self, pick: int, back: int) -> None:
        member_id = self.known_id(pick)
        self.attempt(
            lambda: self.group.heartbeat(member_id, self.group.group.generation - back, self.instance_of.get(member_id))
        )

    @rule(pick=st.integers(0, 20), count=st.integers(1, 3), by_instance=st.booleans())
    def leave(self, pick: int, count: int, by_instance: bool) -> None:
        leaving = [self.known_id(pick + n) for n in range(count)]
        pairs = [
            ("" if by_instance and self.instance_of.get(each) else each, self.instance_of.get(each)) for each in leaving
        ]
        self.attempt(lambda: self.group.leave(*pairs))

    @rule(ms=st.sampled_from([1, 1_999, 2_000, 6_000, 20_000, 300_000]))
    def pass_time(self, ms: int) -> None:
        self.group.pass_time(ms)

    @precondition(lambda self: self.group.saves)
    @rule(fails=st.sampled_from([False, False, False, True]))
    def save_ends(self, fails: bool) -> None:
        self.group.confirm(StorageFullError() if fails else None)

    @precondition(lambda self: self.group.state is GroupState.EMPTY and self.ids and not self.was_deleted)
    @rule()
    def delete_and_fail(self) -> None:
        self.was_deleted = True
        self.group.group.begin_delete()
        self.attempt(lambda: self.group.join(join_wanted()), CoordinatorNotAvailableError)
        self.group.group.cancel_delete()

    @precondition(lambda self: self.group.confirmed and not self.group.saves)
    @rule()
    def coordinator_moves(self) -> None:
        """Everyone who waits is told; the next coordinator goes on from what was saved last."""
        before = self.group
        before.group.abandon(NotCoordinatorError())
        before.drain()
        assert not before.open_tickets, "left behind by a coordinator that moved"
        self.look_at_answers()
        self.group = Driven(LIMITS, before.confirmed[-1])
        self.group._fresh = before._fresh + 100
        self.group.now_ms = before.now_ms
        self.group.confirmed = before.confirmed[-1:]
        self.generation = self.group.group.generation
        # Generations after the saved one were never told to anyone who could work in them.
        self.assigned = {n: each for n, each in self.assigned.items() if n <= self.generation}
        self.leaders = {n: each for n, each in self.leaders.items() if n <= self.generation}
        self.sync_of.clear()
        self.seen.clear()

    def attempt(self, request: Callable[[], object], expected: type[ShardingError] = ShardingError) -> None:
        with suppress(expected):
            request()
        assert not self.group.group.take_outputs(), "outputs that nobody would have drained"

    @invariant()
    def generation_never_falls(self) -> None:
        assert self.group.group.generation >= self.generation
        self.generation = self.group.group.generation

    @invariant()
    def one_leader_who_is_a_member(self) -> None:
        members = {each.member_id for each in self.group.group.describe().members}
        assert (self.group.group.leader_id in members) if members else not self.group.group.leader_id
        assert len(members) <= LIMITS.members_max
        assert len(self.group.group._pending) <= LIMITS.pending_max

    @invariant()
    def state_and_members_agree(self) -> None:
        count = self.group.group.member_count
        if self.group.state is GroupState.EMPTY:
            assert count == 0
        if self.group.state in {GroupState.COMPLETING, GroupState.STABLE}:
            assert count > 0
        waiting_joins = [each for each in self.group.group._roster if each.join_ticket is not None]
        waiting_syncs = [each for each in self.group.group._roster if each.sync_ticket is not None]
        assert not waiting_syncs or self.group.state is GroupState.COMPLETING
        assert not waiting_joins or self.group.state in {GroupState.PREPARING, GroupState.STABLE}
        tickets = [each.join_ticket for each in waiting_joins] + [each.sync_ticket for each in waiting_syncs]
        assert sorted(tickets) == sorted(self.group.open_tickets), "a waiter that no member stands for"

    @invariant()
    def stable_members_have_exactly_what_the_leader_assigned(self) -> None:
        if self.group.state is GroupState.STABLE and self.generation in self.assigned:
            values = {each.assignment for each in self.group.group.describe().members}
            assert values <= set(self.assigned[self.generation].values())
            for each in self.group.group.describe().members:
                if each.member_id in self.assigned[self.generation]:
                    assert each.assignment == self.assigned[self.generation][each.member_id]

    @invariant()
    def look_at_answers(self) -> None:
        for ticket in self.group.answers.keys() - self.seen:
            self.seen.add(ticket)
            answer = self.group.answers[ticket]
            if isinstance(answer, Joined):
                assert answer.generation <= self.group.group.generation
                is_leader = answer.leader_id == answer.member_id
                assert bool(answer.members) == is_leader
                if is_leader and not answer.skip_assignment:
                    leader = self.leaders.setdefault(answer.generation, answer.leader_id)
                    assert leader == answer.leader_id, "two leaders in one generation"
            if isinstance(answer, Synced) and ticket in self.sync_of:
                member_id, generation = self.sync_of[ticket]
                if member_id in self.assigned.get(generation, {}):
                    assert answer.assignment == self.assigned[generation][member_id]

    def teardown(self) -> None:
        """Nobody waits for ever: after all saves and enough time every ticket is answered."""
        while self.group.saves:
            self.group.confirm()
        for _ in range(4):
            self.group.pass_time(LONGEST_MS)
            while self.group.saves:
                self.group.confirm()
        assert not self.group.open_tickets, "waiters left behind"
        assert self.group.state is GroupState.EMPTY
        assert self.group.group.is_forgettable or self.group.group._is_save_behind
        self.attempt(self.group.group.begin_delete, NonEmptyGroupError)


TestGroupUnderWhatever = GroupUnderWhatever.TestCase
TestGroupUnderWhatever.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
