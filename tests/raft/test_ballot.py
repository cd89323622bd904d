"""Who is elected by which votes, and why that is enough."""

from collections.abc import Iterator
from itertools import combinations, product

import pytest

from raft.ballot import Ballot
from raft.interfaces import NodeId, Term
from raft.messages import VoteResponse

from .cores import Cores, One, configuration, entries, one

CERTAIN = VoteResponse(Term(1), is_granted=True)
DOUBTFUL = VoteResponse(Term(1), is_granted=True, is_doubtful=True)
REFUSED = VoteResponse(Term(1), is_granted=False)
DAMAGED = VoteResponse(Term(1), is_granted=False, is_damaged=True)
RESPONSES = (CERTAIN, DOUBTFUL, REFUSED, DAMAGED)


def counted(*responses: VoteResponse) -> Ballot:
    ballot = Ballot()
    for number, response in enumerate(responses, start=1):
        ballot.take(NodeId(number), response)
    return ballot


def elects(*responses: VoteResponse) -> bool:
    return counted(*responses).elects([NodeId(number) for number in range(1, len(responses) + 1)])


def test_a_majority_of_certain_votes_elects_whatever_the_others_say() -> None:
    for third in RESPONSES:
        assert elects(CERTAIN, CERTAIN, third)


def test_doubtful_votes_count_when_nobody_is_left_out() -> None:
    assert not elects(CERTAIN, DOUBTFUL, REFUSED)
    assert elects(CERTAIN, DOUBTFUL, DOUBTFUL)
    assert elects(DOUBTFUL, DOUBTFUL, DOUBTFUL)
    assert not elects(CERTAIN, CERTAIN, DOUBTFUL, DOUBTFUL, REFUSED)


def test_a_damaged_member_is_not_waited_for() -> None:
    assert elects(DOUBTFUL, DOUBTFUL, DAMAGED)
    assert not elects(DOUBTFUL, DAMAGED, DAMAGED), "no majority has voted"
    assert not elects(DOUBTFUL, DOUBTFUL, DAMAGED, DAMAGED), "of four, two may not rot"


def test_a_vote_that_was_certain_once_stays_so_and_counts_once() -> None:
    ballot = counted(CERTAIN, CERTAIN)
    ballot.take(NodeId(2), DOUBTFUL)
    ballot.take(NodeId(2), REFUSED)
    assert ballot.elects([NodeId(1), NodeId(2), NodeId(3)])
    assert not ballot.elects([NodeId(number) for number in range(1, 6)])


def majorities(voters: frozenset[int]) -> Iterator[frozenset[int]]:
    for found in combinations(sorted(voters), len(voters) // 2 + 1):
        yield frozenset(found)


def neighbours(voters: frozenset[int]) -> Iterator[frozenset[int]]:
    """The configurations that may be in force elsewhere: one voter more, or less."""
    yield voters
    yield voters | {max(voters) + 1}
    for voter in voters:
        yield voters - {voter}


def minority(voters: frozenset[int]) -> int:
    return (len(voters) - 1) // 2


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_who_is_elected_was_voted_for_by_a_whole_member_of_every_majority(count: int) -> None:
    """The quorum argument of decision 0010, all of it: whoever acknowledged, whatever rotted, whoever doubts."""
    voters = frozenset(range(1, count + 1))
    elected = 0
    for responses in product(RESPONSES, repeat=count):
        if not elects(*responses):
            continue
        elected += 1
        answered = dict(enumerate(responses, start=1))
        granted = {voter for voter, response in answered.items() if response.is_granted}
        damaged = {voter for voter, response in answered.items() if response.is_damaged}
        doubtful = {voter for voter, response in answered.items() if response.is_doubtful}
        for others in neighbours(voters):
            rot_max = min(minority(voters), minority(others))
            spare = rot_max - len(damaged)  # what is known to have rotted is among what may have
            for size in range(max(spare, 0) + 1):
                for rotten in combinations(sorted(doubtful), size):
                    for quorum in majorities(others):
                        assert granted & quorum - set(rotten), f"{responses} {quorum} {rotten}"
    assert elected


def test_of_four_voters_one_doubtful_vote_costs_another_one() -> None:
    """Else a fifth voter whose joining is lost with what rotted would make two majorities that share only the rot."""
    assert not elects(CERTAIN, CERTAIN, DOUBTFUL, REFUSED)
    assert elects(CERTAIN, CERTAIN, DOUBTFUL, CERTAIN)


# In a group


def members(*logs: int, doubtful: tuple[int, ...] = (), damaged: tuple[int, ...] = ()) -> Cores:
    """Each with so many entries of term 1."""
    everybody = configuration(*range(1, len(logs) + 1))
    return Cores(
        *[
            one(
                number,
                everybody,
                log=entries(*[1] * count),
                term=1,
                is_damaged=number in damaged,
                is_doubtful=number in doubtful,
            )
            for number, count in enumerate(logs, start=1)
        ]
    )


def leaders(cores: Cores) -> list[int]:
    return [number for number, member in cores.ones.items() if is_leading(member)]


def is_leading(member: One) -> bool:
    return member.core.leader_or_none == member.core._state.node_id


def test_who_forgot_an_entry_and_who_never_had_it_elect_nobody() -> None:
    """Nodes 1 and 2 had entry 3, and it was acknowledged; then it rotted on node 2, and node 1 went away."""
    cores = members(3, 2, 2, doubtful=(2,))
    cores.silent.add(1)
    cores.wait(5_000)
    assert leaders(cores) == []
    cores.silent.clear()
    cores.wait(3_000)
    assert leaders(cores) == [1]
    assert cores[2].log.last_index == cores[1].log.last_index >= 4
    cores.propose(1)
    cores.wait(1_000)
    assert not cores[2].core.is_doubtful, "it has again whatever it may have lost"
    cores.silent.add(1)
    cores.wait(5_000)
    assert leaders(cores) != [], "and its vote counts again"


def test_a_doubtful_member_costs_two_whole_ones_nothing() -> None:
    cores = members(3, 3, 3, doubtful=(2,))
    cores.silent.add(2)
    cores.wait(3_000)
    assert leaders(cores) in ([1], [3])


def test_a_group_of_doubtful_members_elects_the_one_that_has_most() -> None:
    cores = members(2, 4, 3, doubtful=(1, 2, 3))
    cores.wait(5_000)
    assert leaders(cores) == [2]
    cores.propose(2)
    cores.wait(1_000)
    assert not any(member.core.is_doubtful for member in cores.ones.values()), "the leader, too, is whole again"


def test_doubtful_members_go_on_beside_a_damaged_one() -> None:
    cores = members(3, 3, 1, doubtful=(1, 2), damaged=(3,))
    cores.wait(5_000)
    assert leaders(cores) in ([1], [2])
    cores.propose(leaders(cores)[0])
    cores.wait(1_000)
    assert not cores[3].core.is_damaged


def test_a_damaged_member_in_a_later_term_is_heard() -> None:
    cores = members(3, 3, 1, doubtful=(1, 2))
    everybody = configuration(1, 2, 3)
    cores.ones[NodeId(3)] = one(3, everybody, log=entries(1), term=9, is_damaged=True)
    cores.wait(6_000)
    assert leaders(cores) in ([1], [2])
