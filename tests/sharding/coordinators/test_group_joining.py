"""Joining: member ids, the first delay, protocols, leaders, limits."""

import pytest

from sharding.coordinators.roster import NEW_MEMBER_JOIN_MS
from sharding.coordinators.values import GroupLimits, GroupState
from sharding.errors import (
    GroupMaxSizeReachedError,
    InconsistentGroupProtocolError,
    InvalidSessionTimeoutError,
    RebalanceInProgressError,
    UnknownMemberError,
)
from tests.sharding.coordinators.driving import REBALANCE_MS, SESSION_MS, Driven, join_wanted

DELAYED = GroupLimits(initial_rebalance_delay_ms=3_000)


def test_first_member_leads_and_is_told_all_members() -> None:
    group = Driven()
    leader, follower = group.assemble(join_wanted(protocols=[("range", b"one")]), join_wanted())
    assert leader.generation == follower.generation == 1
    assert leader.leader_id == follower.leader_id == leader.member_id
    assert leader.members == ((leader.member_id, None, b"one"), (follower.member_id, None, b"m"))
    assert follower.members == ()
    assert (leader.protocol_type, leader.protocol) == ("consumer", "range")
    assert group.state is GroupState.COMPLETING


def test_dynamic_member_is_given_an_id_first() -> None:
    group = Driven()
    member_id = group.required_id(join_wanted(needs_known_member_id=True))
    assert group.group.member_count == 0
    assert group.state is GroupState.EMPTY
    (joined,) = group.assemble(join_wanted(member_id, needs_known_member_id=True))
    assert joined.member_id == member_id


def test_old_dynamic_member_joins_without_an_id_at_once() -> None:
    group = Driven()
    (joined,) = group.assemble(join_wanted(needs_known_member_id=False))
    assert joined.member_id == "m1"


def test_static_member_joins_without_an_id_at_once() -> None:
    group = Driven()
    (joined,) = group.assemble(join_wanted(instance_id="i", needs_known_member_id=True))
    assert joined.members == ((joined.member_id, "i", b"m"),)


def test_pending_id_is_forgotten_after_the_session_timeout() -> None:
    group = Driven()
    member_id = group.required_id(join_wanted(needs_known_member_id=True))
    assert not group.group.is_forgettable
    group.pass_time(SESSION_MS)
    assert group.group.is_forgettable
    with pytest.raises(UnknownMemberError):
        group.join(join_wanted(member_id))


def test_pending_id_with_an_instance_id_is_unknown() -> None:
    group = Driven()
    member_id = group.required_id(join_wanted(needs_known_member_id=True))
    with pytest.raises(UnknownMemberError):
        group.join(join_wanted(member_id, "i"))


def test_pending_ids_are_bounded_and_the_oldest_goes() -> None:
    group = Driven(GroupLimits(pending_max=2))
    oldest, second, third = (group.required_id(join_wanted(needs_known_member_id=True)) for _ in range(3))
    with pytest.raises(UnknownMemberError):
        group.join(join_wanted(oldest))
    for member_id in (second, third):
        group.join(join_wanted(member_id))
    assert group.group.member_count == 2


def test_rebalance_waits_for_a_pending_member() -> None:
    group = Driven()
    (member,) = group.stabilize(join_wanted())
    pending = group.required_id(join_wanted(needs_known_member_id=True))
    rejoined = group.join(join_wanted(member, protocols=[("range", b"new")]))
    assert rejoined not in group.answers
    newcomer = group.join(join_wanted(pending))
    assert group.joined(rejoined).generation == group.joined(newcomer).generation == 2


def test_rebalance_goes_on_when_the_pending_member_leaves() -> None:
    group = Driven()
    (member,) = group.stabilize(join_wanted())
    pending = group.required_id(join_wanted(needs_known_member_id=True))
    rejoined = group.join(join_wanted(member))
    assert group.leave((pending, None)) == [None]
    assert group.joined(rejoined).generation == 2


def test_rebalance_goes_on_when_the_pending_member_does_not_come() -> None:
    group = Driven()
    (member,) = group.stabilize(join_wanted())
    group.required_id(join_wanted(needs_known_member_id=True, session_ms=7_000))
    rejoined = group.join(join_wanted(member))
    group.pass_time(6_999)
    assert rejoined not in group.answers
    group.pass_time(1)
    assert group.joined(rejoined).generation == 2


def test_pending_member_that_leaves_disturbs_no_stable_group() -> None:
    group = Driven()
    group.stabilize(join_wanted())
    pending = group.required_id(join_wanted(needs_known_member_id=True))
    assert group.leave((pending, None)) == [None]
    assert group.state is GroupState.STABLE


def test_first_generation_waits_for_the_delay() -> None:
    group = Driven(DELAYED)
    ticket = group.join(join_wanted())
    group.pass_time(2_999)
    assert ticket not in group.answers
    group.pass_time(1)
    assert group.joined(ticket).generation == 1


def test_each_newcomer_prolongs_the_first_delay_up_to_the_rebalance_timeout() -> None:
    group = Driven(DELAYED)
    tickets = [group.join(join_wanted(rebalance_ms=7_000))]
    for _ in range(2):
        group.pass_time(2_500)
        tickets.append(group.join(join_wanted(rebalance_ms=7_000)))
    group.pass_time(7_000 - 5_000 - 1)
    assert not group.answers
    group.pass_time(1)
    assert {group.joined(ticket).generation for ticket in tickets} == {1}


def test_later_rebalance_of_an_emptied_group_waits_once() -> None:
    group = Driven(DELAYED)
    ticket = group.join(join_wanted())
    group.pass_time(3_000)
    group.leave((group.joined(ticket).member_id, None))
    group.confirm()
    assert group.state is GroupState.EMPTY
    again = group.join(join_wanted())
    group.pass_time(1_000)
    group.join(join_wanted())
    group.pass_time(2_000)
    assert group.joined(again).generation == 3


def test_group_whose_first_members_left_again_is_empty_after_the_delay() -> None:
    group = Driven(DELAYED)
    ticket = group.join(join_wanted())
    group.leave(("m1", None))
    assert isinstance(group.answers[ticket], UnknownMemberError)
    assert group.state is GroupState.PREPARING
    group.pass_time(3_000)
    assert group.state is GroupState.EMPTY


def test_unknown_member_id_is_refused() -> None:
    group = Driven()
    with pytest.raises(UnknownMemberError):
        group.join(join_wanted("nobody"))
    assert group.group.is_forgettable


def test_most_wanted_common_protocol_wins() -> None:
    group = Driven()
    range_, sticky, odd = ("range", b"r"), ("sticky", b"s"), ("odd", b"o")
    joined = group.assemble(
        join_wanted(protocols=[odd, range_, sticky]),
        join_wanted(protocols=[sticky, range_]),
        join_wanted(protocols=[sticky, range_]),
    )
    assert {each.protocol for each in joined} == {"sticky"}
    assert [metadata for _, _, metadata in joined[0].members] == [b"s"] * 3


def test_tie_goes_to_the_earliest_vote() -> None:
    group = Driven()
    one, two = ("one", b""), ("two", b"")
    joined = group.assemble(join_wanted(protocols=[two, one]), join_wanted(protocols=[one, two]))
    assert joined[0].protocol == "two"


@pytest.mark.parametrize(
    "wanted",
    [
        join_wanted(protocol_type="connect"),
        join_wanted(protocols=[("other", b"")]),
        join_wanted(protocols=[]),
        join_wanted(protocol_type=""),
    ],
)
def test_member_that_speaks_no_common_protocol_is_refused(wanted: object) -> None:
    group = Driven()
    group.stabilize(join_wanted())
    with pytest.raises(InconsistentGroupProtocolError):
        group.join(wanted)  # type: ignore[arg-type]
    assert group.state is GroupState.STABLE


@pytest.mark.parametrize("wanted", [join_wanted(protocols=[]), join_wanted(protocol_type="")])
def test_empty_group_needs_a_protocol_too(wanted: object) -> None:
    with pytest.raises(InconsistentGroupProtocolError):
        Driven().join(wanted)  # type: ignore[arg-type]


def test_empty_group_takes_another_protocol_type() -> None:
    group = Driven()
    (member,) = group.stabilize(join_wanted())
    group.leave((member, None))
    group.confirm()
    (joined,) = group.assemble(join_wanted(protocol_type="connect", protocols=[("x", b"")]))
    assert (joined.protocol_type, joined.protocol) == ("connect", "x")


@pytest.mark.parametrize("session_ms", [5_999, 1_800_001, -1, 0])
def test_session_timeout_must_be_within_bounds(session_ms: int) -> None:
    with pytest.raises(InvalidSessionTimeoutError):
        Driven().join(join_wanted(session_ms=session_ms))


def test_full_group_refuses_a_newcomer_but_not_its_own() -> None:
    group = Driven(GroupLimits(initial_rebalance_delay_ms=0, members_max=2))
    leader, other = group.stabilize(join_wanted(instance_id="i"), join_wanted())
    with pytest.raises(GroupMaxSizeReachedError):
        group.join(join_wanted())
    assert group.state is GroupState.STABLE
    again = group.join(join_wanted(instance_id="i"))
    group.confirm()
    assert group.joined(again).generation == 1
    tickets = [group.join(join_wanted(group.joined(again).member_id)), group.join(join_wanted(other))]
    assert leader not in {each.member_id for each in map(group.joined, tickets)}


def test_group_above_a_lowered_limit_loses_the_last_to_rejoin() -> None:
    before = Driven()
    members = before.stabilize(join_wanted(), join_wanted(), join_wanted())
    group = Driven(GroupLimits(members_max=2), before.confirmed[-1])
    assert group.state is GroupState.PREPARING
    tickets = [group.join(join_wanted(member)) for member in members[1:]]
    with pytest.raises(GroupMaxSizeReachedError):
        group.join(join_wanted(members[0]))
    assert [group.joined(ticket).generation for ticket in tickets] == [2, 2]
    assert group.group.member_count == 2


def test_rebalance_timeout_is_the_greatest_of_the_members() -> None:
    group = Driven()
    slow, quick = group.stabilize(
        join_wanted(rebalance_ms=20_000, session_ms=1_800_000), join_wanted(rebalance_ms=5_000, session_ms=1_800_000)
    )
    again = group.join(join_wanted(quick, protocols=[("range", b"new")], rebalance_ms=5_000))
    group.pass_time(19_999)
    assert again not in group.answers
    group.pass_time(1)
    assert group.joined(again).leader_id == quick
    with pytest.raises(UnknownMemberError):
        group.heartbeat(slow)


def test_join_without_rebalance_timeout_uses_the_session_timeout() -> None:
    group = Driven()
    leader, other = group.stabilize(join_wanted(rebalance_ms=-1), join_wanted(rebalance_ms=-1))
    again = group.join(join_wanted(leader, rebalance_ms=-1))
    group.pass_time(SESSION_MS // 2)
    with pytest.raises(RebalanceInProgressError):
        group.heartbeat(other)
    group.pass_time(SESSION_MS // 2 - 1)
    assert again not in group.answers
    group.pass_time(1)
    assert group.joined(again).generation == 2


def test_follower_that_repeats_its_join_is_told_the_same_generation() -> None:
    group = Driven()
    _, follower = group.stabilize(join_wanted(), join_wanted())
    ticket = group.join(join_wanted(follower))
    assert group.joined(ticket).generation == 1
    assert group.state is GroupState.STABLE
    assert group.synced(group.sync(follower)).assignment == follower.encode()


def test_leader_that_joins_again_while_stable_begins_a_rebalance() -> None:
    group = Driven()
    leader, _ = group.stabilize(join_wanted(), join_wanted())
    ticket = group.join(join_wanted(leader))
    assert group.state is GroupState.PREPARING
    assert ticket not in group.answers


def test_changed_subscription_begins_a_rebalance() -> None:
    group = Driven()
    _, follower = group.stabilize(join_wanted(), join_wanted())
    group.join(join_wanted(follower, protocols=[("range", b"other topics")]))
    assert group.state is GroupState.PREPARING


def test_repeated_join_while_completing_gets_the_same_answer() -> None:
    group = Driven()
    leader, follower = group.assemble(join_wanted(), join_wanted())
    assert group.joined(group.join(join_wanted(leader.member_id))) == leader
    assert group.joined(group.join(join_wanted(follower.member_id))) == follower
    assert group.state is GroupState.COMPLETING


def test_changed_join_while_completing_begins_a_rebalance_and_wakes_the_syncs() -> None:
    group = Driven()
    leader, follower = group.assemble(join_wanted(), join_wanted())
    waiting = group.sync(follower.member_id)
    group.join(join_wanted(leader.member_id, protocols=[("range", b"new")]))
    assert isinstance(group.answers[waiting], RebalanceInProgressError)
    assert group.state is GroupState.PREPARING


def test_later_join_of_the_same_member_takes_the_earlier_ones_place() -> None:
    group = Driven()
    leader, follower = group.stabilize(join_wanted(), join_wanted())
    first = group.join(join_wanted(leader))
    second = group.join(join_wanted(leader))
    assert isinstance(group.answers[first], RebalanceInProgressError)
    group.join(join_wanted(follower))
    assert group.joined(second).generation == 2


def test_members_that_do_not_rejoin_are_dropped_and_a_joined_one_leads() -> None:
    group = Driven()
    leader, follower = group.stabilize(join_wanted(session_ms=1_800_000), join_wanted(session_ms=1_800_000))
    ticket = group.join(join_wanted(follower, protocols=[("range", b"new")]))
    group.pass_time(REBALANCE_MS)
    joined = group.joined(ticket)
    assert (joined.leader_id, len(joined.members)) == (follower, 1)
    with pytest.raises(UnknownMemberError):
        group.heartbeat(leader)


def test_member_that_waits_in_a_join_does_not_expire() -> None:
    group = Driven()
    leader, follower = group.stabilize(join_wanted(), join_wanted(session_ms=1_800_000))
    ticket = group.join(join_wanted(leader))
    group.pass_time(SESSION_MS * 3)
    assert group.open_tickets == {ticket}
    group.join(join_wanted(follower))
    assert group.joined(ticket).generation == 2


def test_first_join_does_not_wait_for_ever() -> None:
    group = Driven()
    hour_ms = 3_600_000
    group.stabilize(join_wanted(rebalance_ms=hour_ms, session_ms=1_800_000))
    ticket = group.join(join_wanted())
    group.pass_time(NEW_MEMBER_JOIN_MS - 1)
    assert ticket not in group.answers
    group.pass_time(1)
    assert isinstance(group.answers[ticket], UnknownMemberError)
