"""Who belongs to a group: learners, one voter at a time, transfer, and the leader's own removal. Thesis, chapter 4."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis.strategies import integers, sets

from raft.configuration import Configuration, Peer, decode_configuration, encode_configuration
from raft.entries import EntryKind, new_entry
from raft.errors import LogBusyError, NotLeaderError
from raft.interfaces import Index, NodeId, Role, Term
from raft.memberships import Memberships, next_step_or_none
from raft.messages import AppendRequest, TimeoutNow, VoteRequest
from tests.raft.cores import Cores, One, configuration, entries, group, one, peer, sent, stand

N1, N2, N3 = NodeId(1), NodeId(2), NodeId(3)


def voters(member: One) -> list[int]:
    current = member.core.configuration
    return sorted(voter.node_id for voter in current.voters) if current is not None else []


def led(*numbers: int, waiting: Sequence[int] = ()) -> Cores:
    """A group led by its first member, and some nodes that wait to be told."""
    cores = group(*numbers)
    for number in waiting:
        cores.ones[NodeId(number)] = one(number, None)
    cores.elect(numbers[0])
    cores.wait(100)
    return cores


def configurations(member: One) -> list[Configuration]:
    held = [entry for entry in member.log.held if entry.kind is EntryKind.CONFIGURATION]
    return [decode_configuration(b"".join(entry.body)) for entry in held]


def test_a_group_grows_from_one_to_three_and_shrinks_again() -> None:
    cores = led(1, waiting=[2, 3])
    leader = cores[1]
    leader.core.change([peer(1), peer(2), peer(3)])
    assert not leader.core.is_settled([peer(1), peer(2), peer(3)])
    cores.collect(1)
    cores.settle()
    cores.wait(800)
    assert leader.core.is_settled([peer(1), peer(2), peer(3)])
    assert [voters(member) for member in cores.ones.values()] == [[1, 2, 3]] * 3
    leader.core.change([peer(1)])
    cores.collect(1)
    cores.settle()
    cores.wait(500)
    assert leader.core.is_settled([peer(1)])
    cores.silent |= {2, 3}
    cores.propose(1)
    cores.settle()
    assert leader.core.committed == leader.log.last_index


def test_a_new_voter_first_catches_up_as_a_learner() -> None:
    cores = led(1, waiting=[2])
    cores.propose(1, 5)
    cores.silent.add(2)
    cores[1].core.change([peer(1), peer(2)])
    cores.collect(1)
    cores.settle()
    cores.wait(1_000)
    assert cores[1].core.configuration == configuration(1, learners=[2])
    cores.propose(1)
    cores.settle()
    assert cores[1].core.committed == cores[1].log.last_index, "a learner does not count"
    cores.silent.clear()
    cores.wait(500)
    assert cores[1].core.configuration == configuration(1, 2)


def test_a_step_waits_until_the_last_one_is_committed() -> None:
    cores = led(1, 2, 3)
    cores.silent |= {2, 3}
    leader = cores[1]
    leader.core.change([peer(1)])
    leader.drive()
    cores.settle()
    leader.core.change([peer(1)])
    leader.core.tick(cores.now_ms + 100)
    leader.drive()
    assert [sorted(p.node_id for p in c.voters) for c in configurations(leader)] == [[1, 2, 3], [1, 3]]


def test_a_configuration_is_in_force_as_soon_as_it_is_in_the_log() -> None:
    member = one(1, configuration(1, 2, 3))
    body = encode_configuration(configuration(1, 2))
    entry = new_entry(Term(1), Index(1), EntryKind.CONFIGURATION, len(body), (body,))
    member.core.step(N2, AppendRequest(Term(1), Index(0), Term(0), Index(0), 0, (entry,)), 1)
    assert voters(member) == [1, 2]
    assert member.core.configuration_index == 1


def test_a_configuration_that_is_cut_off_is_in_force_no_more() -> None:
    member = one(1, configuration(1, 2, 3))
    body = encode_configuration(configuration(1, 2))
    entry = new_entry(Term(1), Index(1), EntryKind.CONFIGURATION, len(body), (body,))
    member.core.step(N2, AppendRequest(Term(1), Index(0), Term(0), Index(0), 0, (entry,)), 1)
    member.core.step(N3, AppendRequest(Term(2), Index(0), Term(0), Index(0), 0, entries(2)), 2)
    assert voters(member) == [1, 2, 3]


def test_also_after_a_restart() -> None:
    body = encode_configuration(configuration(1, 2))
    logged = new_entry(Term(1), Index(2), EntryKind.CONFIGURATION, len(body), (body,))
    log = [*entries(1), logged]
    member = one(1, configuration(1, 2), log=log, term=1, before=configuration(1, 2, 3), index=2, is_logged=True)
    assert voters(member) == [1, 2]
    member.core.step(N3, AppendRequest(Term(2), Index(1), Term(1), Index(0), 0, entries(2, first=2)), 2)
    assert voters(member) == [1, 2, 3]


def test_a_learner_that_is_a_voter_without_knowing_votes() -> None:
    cores = led(1, waiting=[2, 3])
    cores[1].core.change([peer(1), peer(2)])
    cores.collect(1)
    cores.settle()
    cores.wait(200)
    cores[1].core.change([peer(1), peer(2), peer(3)])
    cores.collect(1)
    cores.settle(lambda _sender, to, message: not (to == 3 and _carries_voter(message, 3)))
    candidate = one(2, configuration(1, 2, 3), log=cores[1].log.held, term=1)
    cores.ones[N2] = candidate
    cores.silent.add(1)
    cores.under_way.clear()
    stand(candidate)
    cores.now_ms += 2_000
    cores.collect(2)
    cores.settle()
    assert candidate.core.role is Role.LEADER


def _carries_voter(message: object, number: int) -> bool:
    carried = message.entries if isinstance(message, AppendRequest) else ()
    found = [decode_configuration(b"".join(e.body)) for e in carried if e.kind is EntryKind.CONFIGURATION]
    return any(peer(number) in each.voters for each in found)


def test_a_leader_commits_its_own_removal_and_another_leads() -> None:
    cores = led(1, 2, 3)
    cores[1].core.change([peer(2), peer(3)])
    cores.collect(1)
    cores.settle()
    cores.wait(100)
    assert cores[1].core.role is Role.LEARNER
    leading = [number for number in (2, 3) if cores[number].core.role is Role.LEADER]
    assert len(leading) == 1
    cores.silent.add(1)
    cores.propose(leading[0])
    cores.settle()
    assert cores[leading[0]].core.committed == cores[leading[0]].log.last_index


def test_a_leader_does_not_count_itself_for_its_removal() -> None:
    cores = led(1, 2, 3)
    cores.silent |= {3}
    cores[1].core.change([peer(2), peer(3)])
    cores.collect(1)
    cores.settle()
    assert cores[1].core.role is Role.LEADER
    assert cores[1].core.committed < cores[1].core.configuration_index


def test_who_alone_knows_of_its_removal_may_still_be_elected() -> None:
    body = encode_configuration(configuration(2))
    removal = new_entry(Term(1), Index(2), EntryKind.CONFIGURATION, len(body), (body,))
    old = configuration(1, 2)
    cores = Cores(
        one(1, configuration(2), log=[*entries(1), removal], term=1, before=old, index=2, is_logged=True),
        one(2, old, log=entries(1), term=1, is_logged=True),
    )
    cores.wait(4_000)
    assert cores[2].core.role is Role.LEADER
    assert voters(cores[2]) == [2]
    assert cores[1].core.role is Role.LEARNER


def test_no_membership_changes_before_the_term_has_committed_something() -> None:
    cores = group(1, 2, 3)
    stand(cores[1])
    cores.collect(1)
    cores.slow_disks |= {2, 3}
    with pytest.raises(NotLeaderError):
        cores[1].core.change([peer(1)])


def test_leadership_is_handed_to_a_member_that_has_everything() -> None:
    cores = led(1, 2, 3)
    cores.propose(1, 3)
    cores[1].core.transfer(N3, cores.now_ms)
    with pytest.raises(LogBusyError, match="node 3"):
        cores[1].core.propose((b"x",), 1)
    assert sent(cores[1], TimeoutNow) == []
    cores.settle()
    assert cores[3].core.role is Role.LEADER
    assert cores[1].core.role is Role.FOLLOWER
    assert cores[3].core.term == 2


def test_a_transfer_that_takes_an_election_time_is_given_up() -> None:
    cores = led(1, 2, 3)
    cores.silent.add(3)
    cores.propose(1)
    cores[1].core.transfer(N3, cores.now_ms)
    cores.collect(1)
    cores.settle()
    assert cores[1].core.transfer_to == 3
    cores.wait(700)
    assert cores[1].core.transfer_to is None
    assert cores[1].core.role is Role.LEADER
    cores.propose(1)
    cores.settle()
    assert cores[1].core.committed == cores[1].log.last_index


def test_only_other_voters_are_handed_leadership() -> None:
    cores = led(1, 2, 3)
    for number in (1, 4):
        with pytest.raises(ValueError, match="none of the other voters"):
            cores[1].core.transfer(NodeId(number), cores.now_ms)


def test_a_member_told_to_stand_asks_at_once_and_says_why() -> None:
    cores = led(1, 2, 3)
    cores[2].core.step(N1, TimeoutNow(Term(1)), cores.now_ms)
    cores[2].drive()
    cores[2].write()
    requests = sent(cores[2], VoteRequest)
    assert [request.is_transfer for request in requests if isinstance(request, VoteRequest)] == [True, True]


def test_a_node_on_another_disk_leaves_before_it_joins() -> None:
    new = Peer(N3, "other disk")
    current, wanted = configuration(1, 2, 3), Configuration(voters=(peer(1), peer(2), new))
    step = next_step_or_none(current, wanted, {3}, N1)
    assert step == configuration(1, 2)
    step = next_step_or_none(configuration(1, 2), wanted, {3}, N1)
    assert step == Configuration(voters=(peer(1), peer(2)), learners=(new,))
    assert next_step_or_none(step, wanted, {3}, N1) == wanted
    assert next_step_or_none(step, wanted, (), N1) is None


@given(
    before=sets(integers(1, 6), min_size=1),
    after=sets(integers(1, 6), min_size=1),
    learners=sets(integers(1, 6)),
    leader=integers(1, 6),
)
def test_every_way_leads_there_one_voter_at_a_time(
    before: set[int], after: set[int], learners: set[int], leader: int
) -> None:
    current = configuration(*sorted(before))
    wanted = configuration(*sorted(after), learners=sorted(learners - after))
    everybody = range(1, 7)
    for _ in range(20):
        step = next_step_or_none(current, wanted, everybody, NodeId(leader))
        if step is None:
            break
        assert len(set(step.voters) ^ set(current.voters)) <= 1
        assert step.voters
        current = step
    assert set(current.voters) == set(wanted.voters)
    assert set(current.learners) == set(wanted.learners)


def test_what_is_committed_is_not_kept_to_be_rolled_back() -> None:
    memberships = Memberships(N1, (Index(0), configuration(1, 2)))
    memberships.append(Index(5), configuration(2))
    assert memberships.may_stand
    assert not memberships.is_voter
    memberships.forget_before(Index(5))
    assert not memberships.may_stand
    assert not memberships.cut(Index(6))
