"""What is sent, what is acknowledged, what is committed, what is cut. Source: Raft paper, 5.3 and 5.4.2."""

import pytest

from raft.core_state import Timings
from raft.entries import EntryKind
from raft.errors import InstallFailedError, NotLeaderError
from raft.hard_state import HardState
from raft.interfaces import Index, NodeId, Role, Term
from raft.messages import (
    AppendRequest,
    AppendResponse,
    Heartbeat,
    InstallRequest,
    InstallResponse,
    Message,
)
from tests.raft.cores import Cores, One, configuration, entries, group, one, sent

N1, N2, N3 = NodeId(1), NodeId(2), NodeId(3)
THREE = configuration(1, 2, 3)


def request(term: int, prev: tuple[int, int], *terms: int, committed: int = 0, round_: int = 0) -> AppendRequest:
    """`prev`: index and term."""
    index, prev_term = prev
    made = entries(*terms, first=index + 1)
    return AppendRequest(Term(term), Index(index), Term(prev_term), Index(committed), round_, made)


def follower(*terms: int, term: int = 0, applied: int = 0) -> One:
    return one(1, THREE, log=entries(*terms), term=term or max(terms, default=0), applied=applied)


def answer(member: One) -> AppendResponse:
    (said,) = sent(member, AppendResponse)
    assert isinstance(said, AppendResponse)
    return said


def test_an_entry_is_acknowledged_when_it_is_durable() -> None:
    member = follower()
    member.core.step(N2, request(1, (0, 0), 1, 1), 1)
    assert sent(member, AppendResponse) == []
    member.write()
    assert answer(member) == AppendResponse(Term(1), False, Index(2), 0)


def test_nothing_is_acknowledged_in_a_term_that_is_not_durable() -> None:
    member = follower(1, term=1)
    member.core.step(N2, request(2, (1, 1)), 1)
    assert sent(member, AppendResponse) == []
    member.core.on_hard_state_persisted(HardState(Term(2), None))
    assert answer(member).index == 1


def test_only_what_was_compared_with_this_leader_is_acknowledged() -> None:
    member = follower(1, 1, 1, 1)
    member.core.step(N2, request(2, (1, 1)), 1)
    member.drive()
    member.write()
    assert answer(member).index == 1


def test_a_late_write_of_a_cut_entry_acknowledges_nothing() -> None:
    member = follower(1, term=2)
    member.core.step(N2, request(2, (1, 1), 2, 2), 1)
    member.drive()
    member.core.step(N3, request(3, (1, 1), 3), 2)
    member.drive()
    member.core.on_hard_state_persisted(HardState(Term(3), None))
    member.drive()
    member.core.on_persisted(Term(2), Index(3))
    member.core.on_persisted(Term(2), Index(2))
    assert sent(member, AppendResponse) == []
    member.core.on_persisted(Term(3), Index(2))
    assert answer(member).index == 2


def test_entries_that_are_there_are_neither_cut_nor_appended_again() -> None:
    member = follower(1, 1, 1, 1, term=1)
    member.core.step(N2, request(1, (0, 0), 1, 1), 1)
    ready = member.core.take_ready()
    assert ready.truncate_to is None
    assert not ready.append
    assert member.core.last_index == 4


def test_a_conflict_cuts_from_the_first_entry_that_differs() -> None:
    member = follower(1, 1, 1, 2, 2, term=3)
    member.core.step(N2, request(3, (1, 1), 1, 1, 3), 1)
    ready = member.core.take_ready()
    assert ready.truncate_to == 3
    assert [(entry.index, entry.term) for entry in ready.append] == [(4, 3)]


def test_what_is_committed_is_never_cut() -> None:
    member = follower(1, 1, 1, term=1, applied=3)
    with pytest.raises(AssertionError, match="committed is 3"):
        member.core._following._cut(Index(2))


def test_what_lies_below_the_commit_index_is_taken_as_known() -> None:
    member = follower(1, 1, 1, term=2, applied=3)
    member.core.step(N2, request(2, (0, 0), 1, 1), 1)
    assert answer(member) == AppendResponse(Term(2), False, Index(3), 0)


@pytest.mark.parametrize(
    ("own", "prev", "hint"),
    [
        ((1, 1), (9, 4), (2, 1)),  # too short: the last entry
        ((1, 2, 2, 2), (4, 4), (4, 2)),  # another term there: the end of the last term that may agree
        ((1, 2, 5, 5), (4, 4), (2, 2)),
        ((5, 5), (2, 4), (0, 0)),
    ],
)
def test_a_refusal_says_where_the_logs_may_agree(
    own: tuple[int, ...], prev: tuple[int, int], hint: tuple[int, int]
) -> None:
    member = follower(*own, term=6)
    member.core.step(N2, request(6, prev), 1)
    said = answer(member)
    assert said.is_rejected
    assert said.index == prev[0]
    assert (said.hint_index, said.hint_term) == hint


def test_a_follower_commits_no_further_than_it_was_compared() -> None:
    member = follower(1, 1, 1, 1)
    member.core.step(N2, request(2, (1, 1), 1, committed=4), 1)
    assert member.core.committed == 2
    member.core.step(N2, Heartbeat(Term(2), Index(4), 0), 2)
    assert member.core.committed == 2


def test_the_commit_index_never_falls() -> None:
    member = follower(1, 1, 1, 1)
    member.core.step(N2, request(2, (3, 1), 1, committed=4), 1)
    member.core.step(N2, request(2, (3, 1), 1, committed=2), 2)
    member.core.step(N2, Heartbeat(Term(2), Index(1), 0), 3)
    assert member.core.committed == 4


def test_nothing_is_applied_that_is_not_on_the_own_disk() -> None:
    member = follower()
    member.core.step(N2, request(1, (0, 0), 1, 1, committed=2), 1)
    assert member.core.take_ready().committed == 0
    member.log.append(entries(1, 1))
    assert member.core.committed == 2
    member.core.on_persisted(Term(1), Index(2))
    assert member.core.take_ready().committed == 2


def test_a_heartbeat_tells_no_more_than_its_receiver_is_known_to_have() -> None:
    cores = group(1, 2, 3)
    cores.elect(1)
    cores.silent.add(3)
    cores.propose(1, 3)
    cores.settle()
    cores[1].core.tick(cores.now_ms + 100)
    beats = {sent.to: sent.message.committed for sent in cores[1].drive() if isinstance(sent.message, Heartbeat)}
    assert beats == {2: 5, 3: 2}


def test_a_leader_counts_itself_only_when_durable() -> None:
    cores = group(1, 2, 3)
    leader = cores.elect(1)
    cores.silent.add(3)
    cores.slow_disks.add(1)
    cores.propose(1)
    cores.settle()
    assert cores[2].log.last_index == 3
    assert leader.core.committed == 2
    cores.slow_disks.clear()
    cores.settle()
    assert leader.core.committed == 3


def test_two_followers_commit_what_the_leader_has_not_on_its_disk_yet() -> None:
    cores = group(1, 2, 3)
    leader = cores.elect(1)
    cores.slow_disks.add(1)
    cores.propose(1)
    cores.settle()
    assert leader.core.committed == 3
    assert leader.applied == 2


def test_an_entry_of_an_older_term_is_committed_by_one_of_this_term() -> None:
    """Figure 8: a majority that has an old entry decides nothing."""
    old = entries(1, 1, 2, size=90)
    tight = Timings(append_bytes_max=100, window_bytes=100)
    cores = Cores(
        one(1, THREE, log=old, term=2, timings=tight),
        one(2, THREE, log=old[:1], term=2),
        one(3, THREE, log=old[:1], term=2),
    )
    cores.silent.add(3)
    leader = cores[1]

    def is_not_of_this_term(_sender: int, _to: int, message: Message) -> bool:
        has_begun = cores[2].log.last_index > 1
        return not (has_begun and isinstance(message, AppendRequest) and any(e.term == 3 for e in message.entries))

    leader.core._timer.due_ms = 0
    leader.core.tick(0)
    cores.settle(is_not_of_this_term)
    assert cores[2].log.held == old
    assert leader.core.committed == 0
    cores.settle()
    assert leader.core.committed == leader.log.last_index == 5


def test_a_late_acknowledgement_of_an_older_term_counts_for_nothing() -> None:
    cores = group(1, 2, 3)
    leader = cores.elect(1)
    cores.silent |= {2, 3}
    (entry,) = cores.propose(1)
    cores.settle()
    leader.core.step(N2, AppendResponse(Term(0), False, entry.index, 0), cores.now_ms)
    assert leader.core.committed == 2
    leader.core.step(N2, AppendResponse(leader.core.term, False, entry.index, 0), cores.now_ms)
    assert leader.core.committed == entry.index


def test_one_request_carries_everything_since_the_last_one_to_everybody() -> None:
    cores = group(1, 2, 3)
    leader = cores.elect(1)
    for _ in range(5):
        leader.core.propose((b"x",), 1)
    requests = sent(leader, AppendRequest)
    assert len(requests) == 2
    assert requests[0] is requests[1]
    assert isinstance(requests[0], AppendRequest)
    assert len(requests[0].entries) == 5


def test_requests_follow_each_other_without_waiting_up_to_the_window() -> None:
    cores = group(1, 2, 3, timings=Timings(append_bytes_max=160, window_bytes=300))
    leader = cores.elect(1)
    first = leader.log.last_index + 1
    for _ in range(20):
        leader.core.propose((bytes(50),), 50)
    assert [message.prev_index + 1 for message in _requests(leader)] == [first, first + 2]
    leader.core.step(N2, AppendResponse(Term(1), False, Index(first + 1), 0), cores.now_ms)
    assert [message.prev_index + 1 for message in _requests(leader)] == [first + 4]


def _requests(leader: One) -> list[AppendRequest]:
    """To node 2."""
    return [out.message for out in leader.drive() if out.to == 2 and isinstance(out.message, AppendRequest)]


def test_an_older_acknowledgement_never_moves_next_back() -> None:
    cores = group(1, 2, 3)
    leader = cores.elect(1)
    cores.propose(1, 3)
    member = leader.core._leadership._members[N2]  # pyright: ignore[reportOptionalMemberAccess] - a leader
    next_index = member.next
    leader.core.step(N2, AppendResponse(Term(1), False, Index(1), 0), cores.now_ms)
    assert member.next == next_index == 6


def test_a_lost_request_is_noticed_and_sent_again() -> None:
    cores = group(1, 2, 3)
    cores.elect(1)
    cores.propose(1)
    cores.under_way.clear()
    cores.wait(400)
    assert all(member.log.last_index == member.core.committed == 3 for member in cores.ones.values())


def test_many_refusals_of_a_pipeline_start_one_probe() -> None:
    cores = group(1, 2, 3)
    leader = cores.elect(1)
    for _ in range(5):
        cores.propose(1)
    refused = [AppendResponse(Term(1), True, Index(index), 0, Index(2), Term(1)) for index in (3, 4, 5, 6)]
    cores.under_way.clear()
    for response in refused:
        leader.core.step(N2, response, cores.now_ms)
    assert [message.prev_index for message in _requests(leader)] == [2]


def test_a_follower_with_another_tail_is_brought_into_line() -> None:
    cores = Cores(
        one(1, THREE, log=entries(1, 1, 2, 2, 5), term=5),
        one(2, THREE, log=entries(1, 1, 3, 3, 3, 3, 3), term=4),
        one(3, THREE, log=entries(1), term=4),
    )
    cores.elect(1)
    cores.wait(200)
    assert [entry.term for entry in cores[2].log.held] == [entry.term for entry in cores[1].log.held]
    assert cores[2].log.held == cores[3].log.held == cores[1].log.held


def test_a_member_that_needs_what_is_released_is_told_to_fetch_files() -> None:
    cores = Cores(
        one(1, THREE, log=entries(1, 1, first=11), term=1, applied=10, first_index=11, is_logged=True),
        one(2, THREE, log=entries(1, 1, first=11), term=1, applied=10, first_index=11, is_logged=True),
        one(3, THREE),
    )
    leader = cores.elect(1)
    cores.wait(200)
    newcomer = cores[3]
    (install,) = [ready.install_from for ready in newcomer.readies if ready.install_from is not None]
    assert install.leader == 1
    assert install.index >= 10
    copy = leader.log.copy_until(install.index)
    newcomer.log.first_index, newcomer.log.base_term, newcomer.log.held = copy.first_index, copy.base_term, copy.held
    newcomer.core.on_installed(install.index, THREE)
    assert [out.message for out in newcomer.drive(applies=False)] == [InstallResponse(Term(2), install.index)]
    leader.core.step(N3, InstallResponse(Term(2), install.index), cores.now_ms)
    cores.propose(1)
    cores.settle()
    assert newcomer.log.last_index == leader.log.last_index


def test_while_files_are_fetched_nothing_is_appended_and_a_failure_lets_it_begin_again() -> None:
    member = one(3, THREE)
    install = InstallRequest(Term(2), Index(20), Term(2))
    member.core.step(N1, install, 1)
    member.core.step(N1, request(2, (0, 0), 1), 2)
    member.drive()
    assert member.log.last_index == 0
    member.core.step(N1, install, 3)
    member.drive()
    assert sum(ready.install_from is not None for ready in member.readies) == 1
    member.core.on_install_failed()
    member.core.step(N1, install, 4)
    member.drive()
    assert sum(ready.install_from is not None for ready in member.readies) == 2


def test_files_that_would_take_back_what_is_here_are_refused() -> None:
    """A leader lets go of entries before the checkpoint that covers them is there to be fetched."""
    member = one(3, THREE)
    member.core.step(N1, request(1, (0, 0), *[1] * 40), 1)
    member.drive()
    member.write()
    assert answer(member).index == 40
    member.core.step(N1, InstallRequest(Term(1), Index(60), Term(1)), 2)
    member.drive()
    for ends in (1, 30, 40):
        with pytest.raises(InstallFailedError, match=f"up to entry {ends}, but 40 is here"):
            member.core.check_files(Index(ends), Term(1))
    member.core.check_files(Index(41), Term(1))
    member.core.step(N1, Heartbeat(Term(1), Index(40), 0), 3)
    member.drive()
    assert member.core.committed == 0, "nothing is committed while files come"


def test_files_that_end_at_a_conflict_replace_what_was_never_committed() -> None:
    member = follower(1, 1, 2, 2, term=3)
    member.core.check_files(Index(3), Term(3))
    with pytest.raises(InstallFailedError):
        member.core.check_files(Index(3), Term(2))


def test_files_of_a_term_that_is_not_durable_here_are_refused() -> None:
    """They would look, after a restart, as if this member had forgotten a vote."""
    member = follower(1, term=1)
    member.core.step(N2, InstallRequest(Term(2), Index(9), Term(2)), 1)
    with pytest.raises(InstallFailedError, match="of term 2, but term 1 is durable"):
        member.core.check_files(Index(9), Term(2))
    member.drive()
    member.write()
    member.core.check_files(Index(9), Term(2))
    with pytest.raises(InstallFailedError, match="of term 3, but term 2 is durable"):
        member.core.check_files(Index(9), Term(3))


def test_who_has_the_files_says_so() -> None:
    member = follower(1, 1, 2, term=2)
    member.core.step(N2, InstallRequest(Term(2), Index(3), Term(2)), 1)
    assert [out.message for out in member.drive()] == [InstallResponse(Term(2), Index(3))]


def test_a_restarted_follower_hears_how_far_is_committed() -> None:
    cores = group(1, 2, 3)
    cores.elect(1)
    cores.propose(1, 3)
    cores.settle()
    cores.ones[N2] = one(2, THREE, log=cores[2].log.held, term=1)
    cores.wait(400)
    assert cores[2].core.committed == 5


def test_only_a_leader_proposes() -> None:
    cores = group(1, 2, 3)
    cores.elect(1)
    cores.wait(100)
    with pytest.raises(NotLeaderError) as refused:
        cores[2].core.propose((b"x",), 1)
    assert refused.value.leader == 1


def test_entries_arrive_as_they_were_made() -> None:
    cores = group(1, 2, 3)
    cores.elect(1)
    (proposal,) = cores.propose(1)
    cores.settle()
    assert cores[2].log.entry(proposal.index) is cores[1].log.entry(proposal.index)
    assert cores[2].log.entry(proposal.index).kind is EntryKind.COMMANDS
    assert cores[2].core.role is Role.FOLLOWER
