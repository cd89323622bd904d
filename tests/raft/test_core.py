"""The rules of one member, each as a claim."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import pytest

from raft.configuration import Configuration, Peer, decode_configuration
from raft.core import CoreConfig, RaftCore, Ready
from raft.entries import COPIED_BYTES_MAX, Entry, EntryKind
from raft.errors import NotLeaderError
from raft.hard_state import HardState
from raft.interfaces import Index, NodeId, Role, RoleChange, Term

ME = Peer(NodeId(1), "one")


@dataclass
class Log:
    """Terms of the entries 1, 2, …"""

    terms: list[int] = field(default_factory=list[int])

    first_index = Index(1)

    @property
    def last_index(self) -> Index:
        return Index(len(self.terms))

    def term(self, index: Index) -> Term:
        return Term(self.terms[index - 1]) if index else Term(0)

    def entries(self, first: Index, bytes_max: int) -> Sequence[Entry]:
        raise AssertionError("nobody to send it to")

    def append(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            assert entry.index == len(self.terms) + 1
            self.terms.append(entry.term)


def core_on(log: Log, *, term: int = 0, applied: int = 0, is_configuration_logged: bool = True) -> RaftCore:
    config = CoreConfig(
        node_id=ME.node_id,
        configuration=Configuration(voters=(ME,)),
        is_configuration_logged=is_configuration_logged,
        applied=Index(applied),
    )
    return RaftCore(config, log, HardState(Term(term), None), Random(1), now_ms=5)


def take(core: RaftCore, log: Log) -> Ready:
    ready = core.take_ready()
    log.append(ready.append)
    return ready


def lead(core: RaftCore, log: Log) -> None:
    core.tick(5)
    take(core, log)
    core.on_hard_state_persisted(HardState(core.term, ME.node_id))
    take(core, log)
    core.on_persisted(core.term, log.last_index)
    core.on_applied(take(core, log).committed)
    assert take(core, log).role_changes == [RoleChange(Role.LEADER, core.term, ME.node_id)]


def test_a_single_member_campaigns_at_once_and_never_waits_again() -> None:
    core = core_on(Log(), term=4)
    assert core.due_ms_or_none == 5
    core.tick(4)
    assert not core.has_ready
    core.tick(5)
    assert core.take_ready().hard_state == HardState(Term(5), ME.node_id)
    assert core.due_ms_or_none is None
    assert not core.has_ready


def test_nothing_is_appended_before_the_term_is_durable() -> None:
    core = core_on(Log())
    core.tick(5)
    assert not core.take_ready().append
    core.on_hard_state_persisted(HardState(Term(0), ME.node_id))  # of an older term
    assert not core.has_ready
    core.on_hard_state_persisted(HardState(Term(1), ME.node_id))
    assert [(entry.term, entry.index, entry.kind) for entry in core.take_ready().append] == [(1, 1, EntryKind.NO_OP)]


def test_a_second_answer_for_the_term_starts_no_second_one() -> None:
    core, log = core_on(Log()), Log()
    core.tick(5)
    core.on_hard_state_persisted(HardState(Term(1), ME.node_id))
    take(core, log)
    core.on_hard_state_persisted(HardState(Term(1), ME.node_id))
    assert not core.has_ready


def test_a_new_group_logs_its_founding_configuration_behind_the_no_op() -> None:
    log = Log()
    core = core_on(log, is_configuration_logged=False)
    core.tick(5)
    core.on_hard_state_persisted(HardState(Term(1), ME.node_id))
    no_op, configuration = core.take_ready().append
    assert (no_op.kind, configuration.kind) == (EntryKind.NO_OP, EntryKind.CONFIGURATION)
    assert decode_configuration(bytes(configuration.body[0])) == Configuration(voters=(ME,))


def test_leadership_is_reported_only_after_the_no_op_is_applied() -> None:
    log = Log([1, 1, 2])
    core = core_on(log, term=2, applied=1)
    core.tick(5)
    assert take(core, log).role_changes == [RoleChange(Role.CANDIDATE, Term(3), None)]
    core.on_hard_state_persisted(HardState(Term(3), ME.node_id))
    take(core, log)
    core.on_persisted(Term(3), Index(4))
    assert take(core, log).committed == 4
    core.on_applied(Index(3))
    assert core.role is Role.CANDIDATE
    with pytest.raises(NotLeaderError):
        core.propose([b"x"], 1)
    with pytest.raises(NotLeaderError):
        core.read_index("reader")
    assert not core.has_ready
    core.on_applied(Index(4))
    assert (core.role, core.leader_or_none) == (Role.LEADER, ME.node_id)
    assert take(core, log).role_changes == [RoleChange(Role.LEADER, Term(3), ME.node_id)]


def test_entries_of_older_terms_are_committed_only_together_with_one_of_this_term() -> None:
    log = Log([1, 1, 1])
    core = core_on(log, term=1)
    assert core.committed == 0
    core.tick(5)
    take(core, log)
    core.on_hard_state_persisted(HardState(Term(2), ME.node_id))
    take(core, log)
    core.on_persisted(Term(1), Index(3))
    assert core.committed == 0
    core.on_persisted(Term(2), Index(4))
    assert core.committed == 4


def test_the_leader_counts_itself_only_when_durable() -> None:
    log = Log()
    core = core_on(log)
    lead(core, log)
    first = core.propose([b"a"], 1)
    second = core.propose([b"b"], 1)
    take(core, log)
    assert core.committed == first.index - 1
    core.on_persisted(first.term, first.index)
    assert (core.committed, core.persisted) == (first.index, first.index)
    assert take(core, log).committed == first.index
    core.on_persisted(second.term, second.index)
    assert core.committed == second.index


def test_an_answer_about_an_entry_that_is_not_in_the_log_says_nothing() -> None:
    log = Log()
    core = core_on(log)
    lead(core, log)
    committed = core.committed
    entry = core.propose([b"a"], 1)
    core.on_persisted(entry.term, entry.index)  # nobody has taken it yet
    take(core, log)
    core.on_persisted(Term(entry.term + 1), entry.index)
    core.on_persisted(entry.term, Index(1))
    assert core.committed == core.persisted == committed


def test_a_read_is_confirmed_at_what_was_committed_when_it_began() -> None:
    log = Log()
    core = core_on(log)
    lead(core, log)
    committed = core.committed
    entry = core.propose([b"a"], 1)
    core.read_index("reader")
    take_reads = take(core, log).reads
    assert take_reads == [("reader", committed)]
    core.on_persisted(entry.term, entry.index)
    core.read_index("later")
    assert take(core, log).reads == [("later", entry.index)]


def test_bodies_are_never_looked_into() -> None:
    log = Log()
    core = core_on(log)
    lead(core, log)
    body = [bytes(COPIED_BYTES_MAX), memoryview(b"b")]  # a smaller one is copied
    core.propose(body, COPIED_BYTES_MAX + 1)
    assert core.take_ready().append[0].body is body
