"""Who leads, and who may say so. Source: Raft paper, 5.2 and 5.4; thesis, 3.10, 4.2 and 9.6."""

from random import Random

from hypothesis import given
from hypothesis.strategies import integers

from raft.core_state import Timings
from raft.hard_state import HardState
from raft.interfaces import Index, NodeId, Role, Term
from raft.messages import (
    AppendRequest,
    AppendResponse,
    Heartbeat,
    HeartbeatResponse,
    PreVoteRequest,
    PreVoteResponse,
    TimeoutNow,
    VoteRequest,
    VoteResponse,
)
from raft.voting import ElectionTimer
from tests.raft.cores import Cores, configuration, entries, group, one, sent, stand

N1, N2, N3 = NodeId(1), NodeId(2), NodeId(3)


def heartbeat(term: int, committed: int = 0, round_: int = 0) -> Heartbeat:
    return Heartbeat(Term(term), Index(committed), round_)


def test_a_member_that_hears_nobody_asks_before_it_begins_a_term() -> None:
    member = one(1, configuration(1, 2, 3))
    stand(member)
    asked = sent(member, PreVoteRequest)
    assert asked == [PreVoteRequest(Term(1), Term(0), Index(0))] * 2
    assert member.core.term == 0
    assert not member.hard_states
    assert member.core.role is Role.CANDIDATE


def test_a_term_begins_when_a_majority_would_vote_and_its_vote_is_durable() -> None:
    member = one(1, configuration(1, 2, 3))
    stand(member)
    member.drive()
    member.core.step(N2, PreVoteResponse(Term(1), True), 1_001)
    assert sent(member, VoteRequest) == []
    assert member.hard_states == [HardState(Term(1), N1)]
    member.write()
    assert sent(member, VoteRequest) == [VoteRequest(Term(1), Term(0), Index(0))] * 2


def test_refused_pre_votes_begin_nothing() -> None:
    member = one(1, configuration(1, 2, 3))
    stand(member)
    for voter in (N2, N3):
        member.core.step(voter, PreVoteResponse(Term(0), False), 1_001)
    member.drive()
    assert member.core.term == 0


def test_three_members_elect_one_leader_that_leads_when_its_no_op_is_applied() -> None:
    cores = group(1, 2, 3)
    leader = cores.elect(2)
    assert [(change.role, change.term) for change in leader.roles] == [
        (Role.CANDIDATE, 0),
        (Role.CANDIDATE, 1),
        (Role.LEADER, 1),
    ]
    cores.wait(100)
    assert [member.core.leader_or_none for member in cores.ones.values()] == [2, 2, 2]
    assert all(member.log.last_index == member.core.committed == 2 for member in cores.ones.values())


def test_a_vote_counts_once_however_often_it_comes() -> None:
    member = one(1, configuration(1, 2, 3, 4, 5))
    stand(member)
    for _ in range(3):
        member.core.step(N2, PreVoteResponse(Term(1), True), 1_001)
    assert member.core.term == 0
    member.core.step(N3, PreVoteResponse(Term(1), True), 1_001)
    member.drive()
    member.write()
    for _ in range(3):
        member.core.step(N2, VoteResponse(Term(1), True), 1_002)
    member.drive()
    assert member.log.last_index == 0
    member.core.step(N3, VoteResponse(Term(1), True), 1_003)
    member.drive()
    assert member.log.last_index == 2


def test_votes_of_nodes_that_are_no_voters_do_not_count() -> None:
    member = one(1, configuration(1, 2, 3, learners=[4]))
    stand(member)
    for number in (4, 5):
        member.core.step(NodeId(number), PreVoteResponse(Term(1), True), 1_001)
    assert member.core.term == 0


def test_a_vote_is_told_when_it_is_durable() -> None:
    member = one(1, configuration(1, 2, 3))
    member.core.step(N2, VoteRequest(Term(4), Term(0), Index(0)), 10)
    assert sent(member, VoteResponse) == []
    member.write()
    assert sent(member, VoteResponse) == [VoteResponse(Term(4), True)]
    member.core.step(N2, VoteRequest(Term(4), Term(0), Index(0)), 11)
    assert sent(member, VoteResponse) == [VoteResponse(Term(4), True)]


def test_a_vote_of_an_older_term_is_not_told_any_more() -> None:
    member = one(1, configuration(1, 2, 3))
    member.core.step(N2, VoteRequest(Term(4), Term(0), Index(0)), 10)
    member.core.step(N3, VoteRequest(Term(5), Term(9), Index(9)), 11)
    member.drive()
    member.write()
    assert sent(member, VoteResponse) == [VoteResponse(Term(5), True)]


def test_a_second_candidate_of_a_term_gets_no_vote() -> None:
    member = one(1, configuration(1, 2, 3))
    for voter in (N2, N3):
        member.core.step(voter, VoteRequest(Term(4), Term(0), Index(0)), 10)
    member.drive()
    member.write()
    assert sent(member, VoteResponse) == [VoteResponse(Term(4), True)]


def test_a_candidate_with_an_older_or_shorter_log_gets_no_vote() -> None:
    for last_term, last_index in ((1, 9), (2, 2)):
        member = one(1, configuration(1, 2, 3), log=entries(1, 2, 2), term=2)
        member.core.step(N2, PreVoteRequest(Term(3), Term(last_term), Index(last_index)), 900)
        assert sent(member, PreVoteResponse) == [PreVoteResponse(Term(2), False)]
        member.core.step(N2, VoteRequest(Term(3), Term(last_term), Index(last_index)), 900)
        assert sent(member, VoteResponse) == [VoteResponse(Term(3), False)]


def test_who_hears_its_leader_protects_it() -> None:
    member = one(1, configuration(1, 2, 3))
    member.core.step(N2, heartbeat(3), 10)
    member.drive()
    member.core.step(N3, PreVoteRequest(Term(4), Term(9), Index(9)), 400)
    member.core.step(N3, VoteRequest(Term(4), Term(9), Index(9)), 400)
    assert [outgoing.message for outgoing in member.drive()] == [PreVoteResponse(Term(3), False)]
    assert member.core.term == 3
    member.core.step(N3, PreVoteRequest(Term(4), Term(9), Index(9)), 511)
    assert sent(member, PreVoteResponse) == [PreVoteResponse(Term(4), True)]


def test_a_leader_that_asked_for_it_is_not_protected() -> None:
    member = one(1, configuration(1, 2, 3))
    member.core.step(N2, heartbeat(3), 10)
    member.core.step(N3, VoteRequest(Term(4), Term(9), Index(9), is_transfer=True), 20)
    assert member.core.term == 4


def test_a_closed_link_to_the_leader_starts_the_pre_vote_and_ends_its_protection() -> None:
    cores = group(1, 2, 3)
    cores.elect(1)
    cores.wait(100)
    cores.silent.add(1)
    now_ms = cores.now_ms + 1
    cores.now_ms = now_ms
    for number in (2, 3):
        cores[number].core.on_peer_down(N1, now_ms)
        cores.collect(number)
    cores.settle()
    leaders = [number for number in (2, 3) if cores[number].core.role is Role.LEADER]
    assert len(leaders) == 1
    assert cores[leaders[0]].core.term == 2


def test_after_a_closed_link_the_others_stand_a_heartbeat_apart() -> None:
    cores = group(1, 2, 3)
    cores.elect(1)
    cores.wait(100)
    dues: list[int] = []
    for number in (2, 3):
        cores[number].core.on_peer_down(N1, cores.now_ms)
        dues.append(1 if cores[number].core.role is Role.CANDIDATE else cores[number].core.due_ms_or_none or 0)
    assert sorted(dues) == [1, cores.now_ms + 100]


def test_a_late_timer_is_excused_once() -> None:
    member = one(1, configuration(1, 2, 3))
    due_ms = member.core.due_ms_or_none
    assert due_ms is not None
    member.core.tick(due_ms + 101)
    assert member.core.role is Role.FOLLOWER
    assert member.core.due_ms_or_none == due_ms + 201
    member.core.tick(due_ms + 500)
    assert member.core.role is Role.CANDIDATE


def test_a_caller_that_was_busy_may_say_so() -> None:
    member = one(1, configuration(1, 2, 3))
    member.core.tick(member.core.due_ms_or_none or 0, is_late=True)
    assert member.core.role is Role.FOLLOWER


def test_a_member_whose_leader_gives_signs_of_life_does_not_stand_before_they_stop() -> None:
    member = one(1, configuration(1, 2, 3))
    first_ms = member.core.due_ms_or_none
    assert first_ms is not None
    for now_ms in range(first_ms, first_ms + 1_000, 50):
        member.core.tick(now_ms, lives=True)
        assert member.core.role is Role.FOLLOWER
    member.core.tick(first_ms + 1_100)
    assert member.core.role is Role.CANDIDATE


def test_a_leader_that_hears_no_majority_for_an_election_time_leads_no_more() -> None:
    cores = group(1, 2, 3)
    leader = cores.elect(1)
    cores.silent |= {2, 3}
    cores.wait(400)
    assert leader.core.role is Role.LEADER
    cores.wait(300)
    assert leader.core.role is not Role.LEADER
    assert leader.core.leader_or_none is None


def test_a_leader_whose_own_loop_was_busy_waits_for_what_is_in_its_sockets() -> None:
    cores = group(1, 2, 3)
    leader = cores.elect(1)
    cores.now_ms += 3_000
    leader.core.tick(cores.now_ms)
    assert leader.core.role is Role.LEADER
    cores.settle()
    cores.wait(300)
    assert leader.core.role is Role.LEADER


def test_a_deposed_leader_learns_of_the_new_term_from_an_answer() -> None:
    cores = group(1, 2, 3)
    old = cores.elect(1)
    cores.silent.add(1)
    cores.elect(2)
    cores.silent.clear()
    cores.deliver(1, 2, heartbeat(1))
    cores.settle()
    assert old.core.role is Role.FOLLOWER
    assert old.core.term == 2


def test_an_old_request_is_answered_with_the_own_term() -> None:
    member = one(1, configuration(1, 2, 3), term=5)
    member.core.step(N2, AppendRequest(Term(4), Index(0), Term(0), Index(0), 0, entries(4)), 1)
    member.core.step(N2, heartbeat(4), 1)
    said = [outgoing.message for outgoing in member.drive()]
    assert said == [AppendResponse(Term(5), True, Index(0), 0), HeartbeatResponse(Term(5), 0)]
    assert member.log.last_index == 0


def test_a_removed_member_does_not_disturb_a_leader() -> None:
    cores = group(1, 2, 3)
    leader = cores.elect(1)
    stranger = one(4, configuration(1, 2, 3, 4), term=1)
    cores.ones[NodeId(4)] = stranger
    stranger.core.tick(5_000)
    cores.collect(4)
    cores.settle()
    leader.core.step(NodeId(4), HeartbeatResponse(Term(9), 0), cores.now_ms)
    leader.core.step(NodeId(4), VoteResponse(Term(9), False), cores.now_ms)
    assert leader.core.role is Role.LEADER
    assert leader.core.term == stranger.core.term == 1


def test_a_learner_votes_and_never_stands() -> None:
    learner = one(3, configuration(1, 2, learners=[3]))
    learner.core.tick(1_500)
    learner.core.tick(4_000)
    learner.core.step(N1, PreVoteResponse(Term(1), True), 4_001)
    learner.core.step(N2, PreVoteResponse(Term(1), True), 4_001)
    assert learner.core.role is Role.LEARNER
    assert {type(outgoing.message) for outgoing in learner.drive()} == {PreVoteRequest}, "it asks if it was removed"
    assert learner.core.term == 0
    learner.core.step(N1, VoteRequest(Term(2), Term(0), Index(0)), 5_000)
    learner.drive()
    learner.write()
    assert sent(learner, VoteResponse) == [VoteResponse(Term(2), True)]


def test_a_member_that_was_told_nothing_waits() -> None:
    member = one(3, None)
    member.core.tick(4_000)
    member.core.tick(8_000)
    assert member.core.role is Role.LEARNER
    assert member.drive() == []


def test_a_damaged_member_neither_votes_nor_stands() -> None:
    member = one(1, configuration(1, 2, 3), log=entries(1, 1), term=1, is_damaged=True)
    member.core.tick(1_500)
    member.core.tick(4_000)
    member.core.step(N2, PreVoteResponse(Term(2), True), 4_001)
    member.core.step(N3, PreVoteResponse(Term(2), True), 4_001)
    assert {type(outgoing.message) for outgoing in member.drive()} == {PreVoteRequest}, "it asks if it was removed"
    assert (member.core.role, member.core.term) == (Role.FOLLOWER, 1)
    member.core.step(N2, PreVoteRequest(Term(2), Term(5), Index(50)), 5_000)
    member.core.step(N2, VoteRequest(Term(2), Term(5), Index(50)), 5_000)
    member.drive()
    member.write()
    assert sent(member, VoteResponse) == []
    member.core.step(N2, heartbeat(2), 5_001)
    member.core.step(N2, TimeoutNow(Term(2)), 5_002)
    assert member.core.term == 2


def test_a_damaged_member_is_whole_with_the_commit_index_of_a_leader_of_its_own_term() -> None:
    member = one(1, configuration(1, 2, 3), log=entries(1, 1), term=1, is_damaged=True)
    leaders = entries(1, 1, 1, 2)
    member.core.step(N2, AppendRequest(Term(2), Index(2), Term(1), Index(3), 0, leaders[2:3]), 1)
    member.drive()
    member.write()
    assert member.core.is_damaged, "the entry at the commit index is of an older term"
    member.core.step(N2, AppendRequest(Term(2), Index(3), Term(1), Index(4), 0, leaders[3:]), 2)
    member.drive()
    assert member.core.is_damaged, "not durable"
    member.write()
    assert not member.core.is_damaged


def test_a_damaged_member_that_is_sent_nothing_asks_for_it() -> None:
    cores = group(1, 2, 3)
    cores.elect(1)
    cores.wait(200)
    log = cores[3].log
    cores.ones[N3] = one(3, configuration(1, 2, 3), log=log.held[:1], term=1, is_damaged=True)
    cores.wait(400)
    assert not cores[3].core.is_damaged
    assert cores[3].log.last_index == cores[1].log.last_index


def test_the_preferred_leader_of_a_new_group_stands_at_once_and_asks_again_when_links_open() -> None:
    member = one(1, configuration(1, 2, 3), is_preferred=True)
    member.core.tick(0)
    assert len(sent(member, PreVoteRequest)) == 2
    member.core.on_peer_up(N2, 20)
    assert len(sent(member, PreVoteRequest)) == 1


def test_lost_requests_for_votes_are_sent_again() -> None:
    member = one(1, configuration(1, 2, 3))
    stand(member)
    member.drive()
    member.core.step(N2, PreVoteResponse(Term(1), True), 1_010)
    member.drive()
    member.write()
    assert len(sent(member, VoteRequest)) == 2
    member.core.tick(member.core.due_ms_or_none or 0)
    assert len(sent(member, VoteRequest)) == 2


def test_a_candidate_follows_the_leader_of_its_term() -> None:
    member = one(1, configuration(1, 2, 3))
    stand(member)
    member.core.step(N2, PreVoteResponse(Term(1), True), 1_010)
    member.core.step(N3, heartbeat(1), 1_020)
    member.drive()
    assert member.core.role is Role.FOLLOWER
    assert member.core.leader_or_none == 3


def test_a_group_of_one_beats_for_nobody() -> None:
    cores = Cores(one(1, configuration(1)))
    cores[1].core.tick(0)
    cores.settle()
    assert cores[1].core.role is Role.LEADER
    assert cores[1].core.due_ms_or_none is None


@given(period_ms=integers(min_value=1, max_value=3_000), seed=integers(min_value=0))
def test_a_loop_that_is_always_late_still_stands(period_ms: int, seed: int) -> None:
    """Bound: the drawn time, one heartbeat of excuse, and a turn of that loop for each of the two looks."""
    timings = Timings()
    timer = ElectionTimer(timings, Random(seed), 0)
    now_ms = period_ms
    while not timer.fires(now_ms, is_late=True, is_alone=False):
        now_ms += period_ms
    assert now_ms < 2 * timings.election_ms + timings.heartbeat_ms + 2 * period_ms
