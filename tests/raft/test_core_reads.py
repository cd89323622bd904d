"""Reads without an entry: confirmed by a round of heartbeats that began after them. Source: thesis, 6.4."""

import pytest

from raft.errors import NotLeaderError
from raft.interfaces import NodeId, Role, Term
from raft.messages import Heartbeat, HeartbeatResponse, ReadRequest, ReadResponse
from raft.reads import Read
from tests.raft.cores import Cores, configuration, entries, group, one, sent, stand

N1, N2, N3 = NodeId(1), NodeId(2), NodeId(3)


def led() -> Cores:
    cores = group(1, 2, 3)
    cores.elect(1)
    cores.wait(100)
    return cores


def test_a_read_waits_for_a_majority_that_was_asked_after_it_began() -> None:
    cores = led()
    leader = cores[1]
    leader.core.read_index("reader")
    beats = sent(leader, Heartbeat)
    assert leader.reads == []
    assert len(beats) == 2
    assert isinstance(beats[0], Heartbeat)
    leader.core.step(N2, HeartbeatResponse(Term(1), beats[0].round - 1), cores.now_ms)
    assert sent(leader, Heartbeat) == []
    assert leader.reads == []
    leader.core.step(N2, HeartbeatResponse(Term(1), beats[0].round), cores.now_ms)
    leader.drive()
    assert leader.reads == [Read("reader", leader.core.committed)]


def test_one_round_confirms_all_reads_that_began_before_it() -> None:
    cores = led()
    leader = cores[1]
    for number in range(50):
        leader.core.read_index(number)
    beats = sent(leader, Heartbeat)
    assert len(beats) == 2
    assert isinstance(beats[0], Heartbeat)
    leader.core.read_index("later")
    assert sent(leader, Heartbeat) == []
    leader.core.step(N2, HeartbeatResponse(Term(1), beats[0].round), cores.now_ms)
    assert len(sent(leader, Heartbeat)) == 2, "the next round begins as soon as the last one is confirmed"
    assert [read.context for read in leader.reads] == list(range(50))
    cores.settle()


def test_a_read_sees_what_was_committed_when_it_began() -> None:
    cores = led()
    leader = cores[1]
    cores.propose(1)
    before = leader.core.committed
    leader.core.read_index("reader")
    cores.settle()
    assert leader.reads == [Read("reader", before)]
    assert leader.core.committed == before + 1


def test_a_follower_asks_its_leader() -> None:
    cores = led()
    cores.propose(1)
    cores.settle()
    follower = cores[2]
    follower.core.read_index("reader")
    cores.settle()
    assert follower.reads == [Read("reader", cores[1].core.committed)]
    assert follower.applied == cores[1].core.committed, "it was told that so much is committed, too"


def test_many_reads_of_a_follower_share_a_request() -> None:
    cores = led()
    follower = cores[2]
    follower.core.read_index("first")
    assert len(sent(follower, ReadRequest)) == 1
    for number in range(10):
        follower.core.read_index(number)
    assert sent(follower, ReadRequest) == []
    follower.core.step(N1, ReadResponse(Term(1), follower.core._forwarded.number, cores[1].core.committed), 1)
    assert len(sent(follower, ReadRequest)) == 1
    assert [read.context for read in follower.reads] == ["first"]


def test_an_answer_to_another_request_is_no_answer() -> None:
    cores = led()
    follower = cores[2]
    follower.core.read_index("reader")
    number = follower.core._forwarded.number + 1
    for context in (number - 1, number + 1):
        follower.core.step(N1, ReadResponse(Term(1), context, cores[1].core.committed), 1)
    follower.core.step(N3, ReadResponse(Term(1), number, cores[1].core.committed), 1)
    follower.drive()
    assert follower.reads == []


def test_requests_of_two_lives_of_a_follower_have_different_numbers() -> None:
    first, second = (group(1, 2, 3), group(1, 2, 3))
    numbers = {cores[number].core._forwarded.number for cores in (first, second) for number in (1, 2, 3)}
    assert len(numbers) == 3, "drawn from the seed that each member is given"


def test_a_lost_request_is_sent_again() -> None:
    cores = led()
    follower = cores[2]
    follower.core.read_index("reader")
    assert len(sent(follower, ReadRequest)) == 1
    cores.wait(200)
    assert [read.context for read in follower.reads] == ["reader"]


def test_a_read_that_is_asked_for_twice_is_answered_once() -> None:
    cores = led()
    for _ in range(2):
        cores[1].core.step(N2, ReadRequest(Term(1), 77), cores.now_ms)
    cores.collect(1)
    cores.settle(lambda _sender, to, message: not (to == 2 and isinstance(message, ReadResponse)))
    assert sum(isinstance(message, ReadResponse) for _, _, message in cores.under_way) == 1


def test_reads_under_way_fail_with_the_leadership() -> None:
    cores = led()
    cores.silent |= {2, 3}
    leader = cores[1]
    leader.core.read_index("reader")
    cores.wait(800)
    assert leader.core.role is not Role.LEADER
    assert leader.failed_reads == ["reader"]
    assert leader.reads == []


def test_reads_of_a_follower_fail_with_its_leader() -> None:
    cores = led()
    follower = cores[2]
    follower.core.read_index("asked")
    follower.drive()
    follower.core.read_index("waiting")
    follower.core.on_peer_down(N1, cores.now_ms)
    follower.drive()
    assert follower.failed_reads == ["asked", "waiting"]


def test_a_leader_that_has_not_committed_its_no_op_answers_no_read() -> None:
    cores = Cores(*[one(number, configuration(1, 2, 3), log=entries(1, 1), term=1) for number in (1, 2, 3)])
    stand(cores[1])
    cores.collect(1)
    cores.slow_disks |= {2, 3}
    for number in (2, 3):
        cores[number].core._state.durable = cores[number].core._state.hard_state
    cores.settle()
    with pytest.raises(NotLeaderError):
        cores[1].core.read_index("reader")


def test_without_a_leader_there_is_no_read() -> None:
    with pytest.raises(NotLeaderError):
        one(1, configuration(1, 2, 3)).core.read_index("reader")


def test_a_single_voter_confirms_its_reads_itself() -> None:
    cores = Cores(one(1, configuration(1, learners=[2])), one(2, configuration(1, learners=[2])))
    cores[1].core.tick(0)
    cores.settle()
    cores[1].core.read_index("own")
    cores[1].drive()
    assert [read.context for read in cores[1].reads] == ["own"]
    cores.wait(100)
    cores[2].core.read_index("learner's")
    cores.settle()
    assert [read.context for read in cores[2].reads] == ["learner's"]
