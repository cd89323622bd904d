"""After the join: syncs and saves, heartbeats, leaving, expiry, who may commit, deletion."""

import pytest

from sharding.coordinators.values import GroupLimits, GroupState
from sharding.errors import (
    CoordinatorNotAvailableError,
    FencedInstanceIdError,
    IllegalGenerationError,
    InconsistentGroupProtocolError,
    MemberIdRequiredError,
    NonEmptyGroupError,
    NotCoordinatorError,
    RebalanceInProgressError,
    StorageFullError,
    UnknownMemberError,
)
from tests.sharding.coordinators.driving import LIMITS, REBALANCE_MS, SESSION_MS, Driven, join_wanted

LONG_MS = 1_800_000


def test_assignments_are_handed_out_only_after_they_are_saved() -> None:
    group = Driven()
    leader, follower = group.assemble(join_wanted(), join_wanted())
    waiting = group.sync(follower.member_id)
    leading = group.sync(leader.member_id, {leader.member_id: b"L", follower.member_id: b"F"})
    assert group.open_tickets == {waiting, leading}
    assert group.state is GroupState.COMPLETING
    group.confirm()
    assert group.synced(leading).assignment == b"L"
    assert group.synced(waiting).assignment == b"F"
    assert (group.synced(waiting).protocol_type, group.synced(waiting).protocol) == ("consumer", "range")
    assert group.state is GroupState.STABLE


def test_what_is_saved_says_everything_about_the_generation() -> None:
    group = Driven()
    leader, _ = group.stabilize(join_wanted(), join_wanted(instance_id="i", client_id="d"))
    saved = group.confirmed[-1]
    assert (saved.group_id, saved.protocol_type, saved.protocol) == ("g", "consumer", "range")
    assert (saved.generation, saved.leader_id) == (1, leader)
    assert [(each.instance_id, each.client_id, each.assignment) for each in saved.members] == [
        (None, "c", b"m1"),
        ("i", "d", b"m2"),
    ]


def test_sync_that_comes_after_the_save_is_answered_at_once() -> None:
    group = Driven()
    leader, follower = group.assemble(join_wanted(), join_wanted())
    group.sync(leader.member_id, {follower.member_id: b"F"})
    group.confirm()
    assert group.synced(group.sync(follower.member_id)).assignment == b"F"
    assert group.synced(group.sync(follower.member_id)).assignment == b"F"


def test_member_without_an_assignment_gets_an_empty_one_and_strangers_none() -> None:
    group = Driven()
    leader, follower = group.assemble(join_wanted(), join_wanted())
    group.sync(leader.member_id, {"stranger": b"S"})
    group.confirm()
    assert group.synced(group.sync(follower.member_id)).assignment == b""
    assert {each.member_id for each in group.confirmed[-1].members} == {leader.member_id, follower.member_id}


def test_assignments_of_a_follower_are_ignored() -> None:
    group = Driven()
    leader, follower = group.assemble(join_wanted(), join_wanted())
    waiting = group.sync(follower.member_id, {follower.member_id: b"mine"})
    assert not group.saves
    group.sync(leader.member_id, {follower.member_id: b"F"})
    group.confirm()
    assert group.synced(waiting).assignment == b"F"


def test_leader_that_repeats_its_sync_saves_once() -> None:
    group = Driven()
    (leader,) = group.assemble(join_wanted())
    first = group.sync(leader.member_id, {leader.member_id: b"one"})
    second = group.sync(leader.member_id, {leader.member_id: b"two"})
    assert len(group.saves) == 1
    assert isinstance(group.answers[first], RebalanceInProgressError)
    group.confirm()
    assert group.synced(second).assignment == b"one"


def test_failed_save_is_told_to_all_and_begins_a_rebalance() -> None:
    group = Driven()
    leader, follower = group.assemble(join_wanted(), join_wanted())
    tickets = [group.sync(follower.member_id), group.sync(leader.member_id)]
    error = StorageFullError()
    group.confirm(error)
    assert [group.answers[ticket] for ticket in tickets] == [error, error]
    assert group.state is GroupState.PREPARING


def test_save_of_an_overtaken_generation_changes_nothing() -> None:
    group = Driven()
    leader, follower = group.assemble(join_wanted(), join_wanted())
    waiting = group.sync(leader.member_id, {leader.member_id: b"old"})
    group.leave((follower.member_id, None))
    assert isinstance(group.answers[waiting], RebalanceInProgressError)
    group.join(join_wanted(leader.member_id))
    assert group.state is GroupState.COMPLETING
    group.confirm()
    assert group.state is GroupState.COMPLETING
    ticket = group.sync(leader.member_id, {leader.member_id: b"new"})
    group.confirm()
    assert group.synced(ticket).assignment == b"new"


@pytest.mark.parametrize("fields", [{"protocol_type": "connect"}, {"protocol": "sticky"}])
def test_sync_with_another_protocol_is_refused(fields: dict[str, object]) -> None:
    group = Driven()
    (leader,) = group.assemble(join_wanted())
    with pytest.raises(InconsistentGroupProtocolError):
        group.sync(leader.member_id, **fields)


def test_sync_that_names_the_protocol_rightly_passes() -> None:
    group = Driven()
    (leader,) = group.assemble(join_wanted())
    ticket = group.sync(leader.member_id, {}, protocol_type="consumer", protocol="range")
    group.confirm()
    assert group.synced(ticket).assignment == b""


def test_sync_of_a_wrong_generation_or_stranger_is_refused() -> None:
    group = Driven()
    (leader,) = group.assemble(join_wanted())
    with pytest.raises(IllegalGenerationError):
        group.sync(leader.member_id, generation=7)
    with pytest.raises(UnknownMemberError):
        group.sync("stranger")


def test_sync_during_a_rebalance_is_refused() -> None:
    group = Driven()
    leader, follower = group.stabilize(join_wanted(), join_wanted())
    group.join(join_wanted(leader))
    with pytest.raises(RebalanceInProgressError):
        group.sync(follower)


def test_member_that_never_syncs_is_removed_after_the_rebalance_timeout() -> None:
    group = Driven()
    leader, follower = group.assemble(join_wanted(session_ms=LONG_MS), join_wanted(session_ms=LONG_MS))
    waiting = group.sync(leader.member_id)
    group.confirm()
    assert group.synced(waiting)
    group.pass_time(REBALANCE_MS)
    assert group.state is GroupState.PREPARING
    with pytest.raises(UnknownMemberError):
        group.heartbeat(follower.member_id)
    group.join(join_wanted(leader.member_id))
    assert group.group.generation == 2


def test_leader_that_never_syncs_is_removed_and_the_followers_rejoin() -> None:
    group = Driven()
    _, follower = group.assemble(join_wanted(session_ms=LONG_MS), join_wanted(session_ms=LONG_MS))
    waiting = group.sync(follower.member_id)
    group.pass_time(REBALANCE_MS)
    assert isinstance(group.answers[waiting], RebalanceInProgressError)
    assert group.joined(group.join(join_wanted(follower.member_id))).leader_id == follower.member_id


def test_heartbeat_keeps_a_member_and_silence_ends_it() -> None:
    group = Driven()
    leader, silent = group.stabilize(join_wanted(), join_wanted())
    for _ in range(3):
        group.pass_time(SESSION_MS // 4)
        group.heartbeat(leader)
    group.pass_time(SESSION_MS // 4)
    assert group.state is GroupState.PREPARING
    with pytest.raises(RebalanceInProgressError):
        group.heartbeat(leader)
    with pytest.raises(UnknownMemberError):
        group.heartbeat(silent)


def test_session_begins_when_the_join_is_answered() -> None:
    group = Driven()
    leader, follower = group.stabilize(join_wanted(session_ms=LONG_MS), join_wanted())
    group.join(join_wanted(follower, protocols=[("range", b"new")]))
    group.pass_time(2 * SESSION_MS)
    group.join(join_wanted(leader, session_ms=LONG_MS))
    group.pass_time(SESSION_MS - 1)
    group.heartbeat(follower)


def test_heartbeat_while_completing_passes_and_keeps_the_member() -> None:
    group = Driven()
    (leader,) = group.assemble(join_wanted())
    group.pass_time(SESSION_MS - 1)
    group.heartbeat(leader.member_id)
    group.pass_time(SESSION_MS - 1)
    assert group.group.member_count == 1


def test_heartbeat_of_another_generation_is_refused() -> None:
    group = Driven()
    (member,) = group.stabilize(join_wanted())
    for generation in (0, 2, -1):
        with pytest.raises(IllegalGenerationError):
            group.heartbeat(member, generation)


def test_last_member_that_expires_leaves_an_empty_saved_group() -> None:
    group = Driven()
    group.stabilize(join_wanted())
    group.pass_time(SESSION_MS)
    assert group.state is GroupState.EMPTY
    assert not group.group.is_forgettable
    group.confirm()
    assert (group.confirmed[-1].generation, group.confirmed[-1].members) == (2, ())
    assert group.group.is_forgettable
    assert group.group.next_deadline_ms() is None


def test_leaving_rebalances_the_rest() -> None:
    group = Driven()
    leader, follower = group.stabilize(join_wanted(), join_wanted())
    assert group.leave((leader, None)) == [None]
    assert group.state is GroupState.PREPARING
    joined = group.joined(group.join(join_wanted(follower)))
    assert (joined.generation, joined.leader_id) == (2, follower)


def test_many_leave_in_one_request_with_an_outcome_each() -> None:
    group = Driven()
    one, _, three = group.stabilize(join_wanted(), join_wanted(instance_id="i"), join_wanted())
    unknown, by_instance, known, no_instance = group.leave(("stranger", None), ("", "i"), (three, None), ("", "j"))
    assert isinstance(unknown, UnknownMemberError)
    assert by_instance is None
    assert known is None
    assert isinstance(no_instance, UnknownMemberError)
    assert [member.member_id for member in group.group.describe().members] == [one]


def test_unknown_leavers_disturb_nobody() -> None:
    group = Driven()
    group.stabilize(join_wanted())
    group.leave(("stranger", None))
    assert group.state is GroupState.STABLE


def test_member_that_leaves_while_it_waits_is_answered() -> None:
    group = Driven()
    leader, _ = group.stabilize(join_wanted(), join_wanted())
    ticket = group.join(join_wanted(leader))
    group.leave((leader, None))
    assert isinstance(group.answers[ticket], UnknownMemberError)


def test_returned_static_member_gets_its_assignment_without_a_rebalance() -> None:
    group = Driven()
    _, old = group.stabilize(join_wanted(), join_wanted(instance_id="i"))
    ticket = group.join(join_wanted(instance_id="i"))
    assert group.open_tickets == {ticket}
    group.confirm()
    joined = group.joined(ticket)
    assert (joined.generation, joined.members, group.state) == (1, (), GroupState.STABLE)
    assert joined.member_id != old
    assert group.synced(group.sync(joined.member_id, instance_id="i")).assignment == old.encode()
    assert group.confirmed[-1].members[1].member_id == joined.member_id


def test_old_incarnation_of_a_static_member_is_fenced_everywhere() -> None:
    group = Driven()
    (old,) = group.stabilize(join_wanted(instance_id="i"))
    group.join(join_wanted(instance_id="i"))
    group.confirm()
    with pytest.raises(FencedInstanceIdError):
        group.join(join_wanted(old, "i"))
    with pytest.raises(FencedInstanceIdError):
        group.sync(old, instance_id="i")
    with pytest.raises(FencedInstanceIdError):
        group.heartbeat(old, instance_id="i")
    with pytest.raises(FencedInstanceIdError):
        group.group.check_commit(1, old, "i", group.now_ms)
    (outcome,) = group.leave((old, "i"))
    assert isinstance(outcome, FencedInstanceIdError)
    with pytest.raises(UnknownMemberError):
        group.heartbeat(old)


def test_waiting_requests_of_a_replaced_member_are_fenced() -> None:
    group = Driven()
    leader, static = group.stabilize(join_wanted(), join_wanted(instance_id="i"))
    group.leave((leader, None))
    other = group.required_id(join_wanted(needs_known_member_id=True))
    old_join = group.join(join_wanted(static, "i"))
    new_join = group.join(join_wanted(instance_id="i"))
    assert isinstance(group.answers[old_join], FencedInstanceIdError)
    group.leave((other, None))
    group.confirm() if group.saves else None
    old_sync = group.sync(group.joined(new_join).member_id, instance_id="i")
    group.join(join_wanted(instance_id="i"))
    assert isinstance(group.answers[old_sync], FencedInstanceIdError)


@pytest.mark.parametrize("syncs", [True, False])
def test_returned_static_member_must_sync_in_its_predecessors_place(syncs: bool) -> None:
    group = Driven()
    leader, old = group.assemble(join_wanted(session_ms=LONG_MS), join_wanted(instance_id="i", session_ms=LONG_MS))
    group.sync(leader.member_id, {old.member_id: b"F"})
    group.confirm()
    ticket = group.join(join_wanted(instance_id="i", session_ms=LONG_MS))
    group.confirm()
    if syncs:
        assert group.synced(group.sync(group.joined(ticket).member_id, instance_id="i")).assignment == b"F"
    group.pass_time(REBALANCE_MS)
    assert group.state is (GroupState.STABLE if syncs else GroupState.PREPARING)


def test_returned_static_leader_skips_the_assignment_if_it_can() -> None:
    group = Driven()
    old, _ = group.stabilize(join_wanted(instance_id="i"), join_wanted())
    ticket = group.join(join_wanted(instance_id="i", can_skip_assignment=True))
    group.confirm()
    joined = group.joined(ticket)
    assert joined.skip_assignment
    assert joined.leader_id == joined.member_id != old
    assert len(joined.members) == 2


def test_returned_static_leader_that_cannot_skip_is_told_its_old_self_leads() -> None:
    group = Driven()
    old, _ = group.stabilize(join_wanted(instance_id="i"), join_wanted())
    ticket = group.join(join_wanted(instance_id="i"))
    group.confirm()
    joined = group.joined(ticket)
    assert (joined.leader_id, joined.members, joined.skip_assignment) == (old, (), False)
    assert group.group.leader_id == joined.member_id


def test_returned_static_follower_skips_nothing() -> None:
    group = Driven()
    leader, _ = group.stabilize(join_wanted(), join_wanted(instance_id="i"))
    ticket = group.join(join_wanted(instance_id="i", can_skip_assignment=True))
    group.confirm()
    assert (group.joined(ticket).leader_id, group.joined(ticket).skip_assignment) == (leader, False)


def test_returned_static_member_that_changes_the_protocol_rebalances() -> None:
    group = Driven()
    one, two = ("one", b""), ("two", b"")
    leader, _ = group.stabilize(join_wanted(protocols=[one, two]), join_wanted(instance_id="i", protocols=[one, two]))
    ticket = group.join(join_wanted(instance_id="i", protocols=[two]))
    assert group.state is GroupState.PREPARING
    group.join(join_wanted(leader, protocols=[one, two]))
    assert (group.joined(ticket).protocol, group.joined(ticket).generation) == ("two", 2)


def test_static_member_that_returns_while_completing_rebalances() -> None:
    group = Driven()
    leader, _ = group.assemble(join_wanted(), join_wanted(instance_id="i"))
    ticket = group.join(join_wanted(instance_id="i"))
    assert group.state is GroupState.PREPARING
    group.join(join_wanted(leader.member_id))
    assert group.joined(ticket).generation == 2


def test_static_member_that_returns_last_completes_the_rebalance() -> None:
    group = Driven()
    leader, _ = group.stabilize(join_wanted(), join_wanted(instance_id="i"))
    first = group.join(join_wanted(leader))
    second = group.join(join_wanted(instance_id="i"))
    assert group.joined(first).generation == group.joined(second).generation == 2


def test_rebalance_that_overtakes_the_save_of_a_returned_member_answers_it() -> None:
    group = Driven()
    leader, _ = group.stabilize(join_wanted(), join_wanted(instance_id="i"))
    returned = group.join(join_wanted(instance_id="i"))
    group.join(join_wanted(leader))
    assert group.joined(returned).generation == 2
    group.confirm()
    assert group.state is GroupState.COMPLETING


def test_failed_save_of_a_returned_member_is_told_to_it() -> None:
    group = Driven()
    group.stabilize(join_wanted(instance_id="i"))
    ticket = group.join(join_wanted(instance_id="i"))
    error = StorageFullError()
    group.confirm(error)
    assert group.answers[ticket] is error
    again = group.join(join_wanted(instance_id="i"))
    group.confirm()
    assert group.joined(again).generation == 1


def test_static_member_may_be_away_for_a_rebalance_within_its_session() -> None:
    group = Driven()
    away, leader = group.stabilize(join_wanted(instance_id="i", session_ms=LONG_MS), join_wanted())
    ticket = group.join(join_wanted(leader, protocols=[("range", b"new")]))
    group.pass_time(REBALANCE_MS)
    joined = group.joined(ticket)
    assert joined.leader_id == leader
    assert {member_id for member_id, _, _ in joined.members} == {away, leader}


def test_rebalance_that_nobody_joins_waits_on_for_static_members() -> None:
    group = Driven()
    one, two, three = group.stabilize(
        *(join_wanted(instance_id=name, session_ms=LONG_MS) for name in ("a", "b")), join_wanted()
    )
    group.leave((three, None))
    group.pass_time(REBALANCE_MS)
    assert group.state is GroupState.PREPARING
    tickets = [group.join(join_wanted(one, "a")), group.join(join_wanted(two, "b"))]
    assert [group.joined(ticket).generation for ticket in tickets] == [2, 2]


def test_static_request_with_an_unknown_instance_id_is_unknown() -> None:
    group = Driven()
    (member,) = group.stabilize(join_wanted())
    with pytest.raises(UnknownMemberError):
        group.heartbeat(member, instance_id="nobody")


def test_member_of_the_generation_may_commit_also_while_preparing() -> None:
    group = Driven()
    leader, follower = group.stabilize(join_wanted(), join_wanted())
    group.group.check_commit(1, follower, None, group.now_ms)
    group.join(join_wanted(leader))
    group.group.check_commit(1, follower, None, group.now_ms)


def test_commit_counts_as_a_heartbeat() -> None:
    group = Driven()
    (member,) = group.stabilize(join_wanted())
    group.pass_time(SESSION_MS - 1)
    group.group.check_commit(1, member, None, group.now_ms)
    group.pass_time(SESSION_MS - 1)
    assert group.state is GroupState.STABLE


def test_commit_between_join_and_assignment_is_refused() -> None:
    group = Driven()
    (leader,) = group.assemble(join_wanted())
    with pytest.raises(RebalanceInProgressError):
        group.group.check_commit(1, leader.member_id, None, group.now_ms)


def test_simple_consumer_commits_only_while_the_group_is_empty() -> None:
    group = Driven()
    group.group.check_commit(-1, "", None, group.now_ms)
    (member,) = group.stabilize(join_wanted())
    with pytest.raises(UnknownMemberError):
        group.group.check_commit(-1, "", None, group.now_ms)
    with pytest.raises(IllegalGenerationError):
        group.group.check_commit(-1, member, None, group.now_ms)


def test_strangers_and_old_generations_do_not_commit() -> None:
    group = Driven()
    (member,) = group.stabilize(join_wanted())
    with pytest.raises(UnknownMemberError):
        group.group.check_commit(1, "stranger", None, group.now_ms)
    with pytest.raises(IllegalGenerationError):
        group.group.check_commit(0, member, None, group.now_ms)


def test_only_an_empty_group_is_deleted_and_then_answers_no_more() -> None:
    group = Driven()
    (member,) = group.stabilize(join_wanted())
    with pytest.raises(NonEmptyGroupError):
        group.group.begin_delete()
    group.leave((member, None))
    group.confirm()
    group.group.begin_delete()
    assert group.state is GroupState.DEAD
    with pytest.raises(CoordinatorNotAvailableError):
        group.join(join_wanted())
    with pytest.raises(CoordinatorNotAvailableError):
        group.group.check_commit(-1, "", None, group.now_ms)
    group.group.cancel_delete()
    group.assemble(join_wanted())


def test_abandoned_group_answers_everyone_who_waits() -> None:
    group = Driven()
    leader, static, follower = group.stabilize(join_wanted(), join_wanted(instance_id="i"), join_wanted())
    returning = group.join(join_wanted(instance_id="i"))
    joining = group.join(join_wanted(leader))
    error = NotCoordinatorError()
    group.group.abandon(error)
    group.drain()
    assert group.answers[returning] is error
    assert group.answers[joining] is error
    assert group.group.next_deadline_ms() is None
    assert follower != static


def test_restored_group_is_stable_and_gives_full_sessions() -> None:
    before = Driven()
    leader, follower = before.stabilize(join_wanted(), join_wanted(instance_id="i"))
    group = Driven(LIMITS, before.confirmed[-1])
    assert group.group.describe() == before.group.describe()
    assert group.group.leader_id == leader
    group.pass_time(SESSION_MS - 1)
    group.heartbeat(leader)
    assert group.synced(group.sync(follower, instance_id="i")).assignment == follower.encode()
    group.pass_time(SESSION_MS - 1)
    assert group.group.member_count == 2
    group.pass_time(1)
    assert group.group.member_count == 0


def test_restored_group_keeps_a_leader_who_did_not_join_first() -> None:
    before = Driven()
    _, second = before.stabilize(join_wanted(instance_id="i", session_ms=LONG_MS), join_wanted())
    before.join(join_wanted(second, protocols=[("range", b"new")]))
    before.pass_time(REBALANCE_MS)
    before.sync(second)
    before.confirm()
    assert Driven(LIMITS, before.confirmed[-1]).group.leader_id == before.group.leader_id == second


def test_first_join_of_a_replaced_static_member_waits_as_long_as_any() -> None:
    group = Driven()
    group.stabilize(join_wanted(rebalance_ms=LONG_MS, session_ms=LONG_MS))
    group.join(join_wanted(instance_id="i"))
    again = group.join(join_wanted(instance_id="i"))
    group.pass_time(2 * SESSION_MS)
    assert group.open_tickets == {again}


def test_restored_empty_group_goes_on_with_its_generation() -> None:
    before = Driven()
    (member,) = before.stabilize(join_wanted())
    before.leave((member, None))
    before.confirm()
    group = Driven(LIMITS, before.confirmed[-1])
    assert group.group.is_forgettable
    (joined,) = group.assemble(join_wanted())
    assert joined.generation == 3


def test_description_tells_protocol_and_assignments_only_while_stable() -> None:
    group = Driven()
    (member,) = group.stabilize(join_wanted())
    told = group.group.describe()
    assert (told.state, told.protocol, told.members[0].metadata) == ("Stable", "range", b"m")
    assert told.members[0].assignment == member.encode()
    group.join(join_wanted())
    told = group.group.describe()
    assert (told.state, told.protocol, told.members[0].assignment) == ("PreparingRebalance", "", b"")


def test_refused_static_join_keeps_the_first_delay() -> None:
    group = Driven(GroupLimits(initial_rebalance_delay_ms=3_000))
    first = group.join(join_wanted(instance_id="i"))
    second = group.join(join_wanted(instance_id="i"))
    assert isinstance(group.answers[first], FencedInstanceIdError)
    with pytest.raises(MemberIdRequiredError):
        group.join(join_wanted(needs_known_member_id=True))
    group.pass_time(3_000)
    assert group.joined(second).generation == 1
