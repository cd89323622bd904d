"""Cores side by side, moved by hand: each message, each write and each moment is the test's to give."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from raft.configuration import Configuration, Peer
from raft.core import RaftCore
from raft.core_state import CoreConfig, Timings
from raft.entries import Entry, EntryKind, new_entry
from raft.hard_state import HardState
from raft.interfaces import Index, NodeId, Proposal, Role, RoleChange, Term
from raft.messages import Message, Outgoing
from raft.reads import Read
from raft.ready import Ready
from tests.simulation.cores.member import SimLog

Wanted = Callable[[int, int, Message], bool]


def peer(number: int) -> Peer:
    return Peer(NodeId(number), f"disk-{number}")


def configuration(*voters: int, learners: Sequence[int] = ()) -> Configuration:
    return Configuration(voters=tuple(map(peer, voters)), learners=tuple(map(peer, learners)))


def entries(*terms: int, first: int = 1, size: int = 10) -> list[Entry]:
    """Entries of these terms, one after the other."""
    return [
        new_entry(Term(term), Index(index), EntryKind.COMMANDS, size, (b"%010d" % index,))
        for index, term in enumerate(terms, first)
    ]


@dataclass
class One:
    """A core with its log; what it takes is kept until it is written."""

    core: RaftCore
    log: SimLog
    hard_states: list[HardState] = field(default_factory=list[HardState])
    unwritten: list[Entry] = field(default_factory=list[Entry])
    reads: list[Read] = field(default_factory=list[Read])
    failed_reads: list[object] = field(default_factory=list[object])
    roles: list[RoleChange] = field(default_factory=list[RoleChange])
    readies: list[Ready] = field(default_factory=list[Ready])
    applied: int = 0

    def drive(self, *, applies: bool = True) -> list[Outgoing]:
        while self.core.has_ready:
            ready = self.core.take_ready()
            self.readies.append(ready)
            if ready.hard_state is not None:
                self.hard_states.append(ready.hard_state)
            if ready.truncate_to is not None:
                self.log.cut(ready.truncate_to)
                self.unwritten = [entry for entry in self.unwritten if entry.index <= ready.truncate_to]
            if ready.append:
                self.log.append(ready.append)
                self.unwritten += ready.append
            self.reads += ready.reads
            self.failed_reads += ready.failed_reads
            self.roles += ready.role_changes
            if applies and ready.committed > self.applied:
                self.applied = ready.committed
                self.core.on_applied(ready.committed)
        return list(self.core.take_messages())

    def write(self) -> None:
        """The disk has what was taken so far."""
        for hard_state in self.hard_states:
            self.core.on_hard_state_persisted(hard_state)
        self.hard_states = []
        if self.unwritten:
            last, self.unwritten = self.unwritten[-1], []
            self.core.on_persisted(last.term, last.index)


def one(
    number: int,
    members: Configuration | None,
    *,
    log: Sequence[Entry] = (),
    term: int = 0,
    applied: int = 0,
    is_damaged: bool = False,
    is_doubtful: bool = False,
    is_logged: bool = False,
    first_index: int = 1,
    timings: Timings | None = None,
    before: Configuration | None = None,
    index: int = 0,
    is_preferred: bool = False,
) -> One:
    view = SimLog(first_index, 1 if first_index > 1 else 0, log)
    config = CoreConfig(
        node_id=NodeId(number),
        configuration=members,
        is_configuration_logged=is_logged,
        applied=Index(applied),
        configuration_index=Index(index),
        configuration_before=before,
        is_damaged=is_damaged,
        is_doubtful=is_doubtful,
        campaigns_at_once=is_preferred,
        timings=timings or Timings(),
    )
    core = RaftCore(config, view, HardState(Term(term), None), Random(number), 0)
    return One(core, view, applied=applied)


class Cores:
    """Some members and what is under way between them; time stands until `wait`."""

    def __init__(self, *ones: One) -> None:
        self.ones = {member.core._state.node_id: member for member in ones}
        self.now_ms = 0
        self.under_way: list[tuple[int, int, Message]] = []
        self.silent: set[int] = set()
        self.slow_disks: set[int] = set()

    def __getitem__(self, number: int) -> One:
        return self.ones[NodeId(number)]

    def settle(self, only: Wanted | None = None) -> None:
        """Write, apply and deliver until nothing is left to do; `only`: other messages stay under way."""
        for _ in range(300):
            for number, member in self.ones.items():
                if number not in self.slow_disks:
                    member.write()
                self.collect(number)
            ready = [sent for sent in self.under_way if self._arrives(sent) and (only is None or only(*sent))]
            self.under_way = [sent for sent in self.under_way if sent not in ready and self._arrives(sent)]
            if not ready and not any(self._is_busy(number) for number in self.ones):
                return
            for sender, to, message in ready:
                self.deliver(sender, to, message)
        raise AssertionError(f"never settles: {self.under_way[:5]}")

    def _is_busy(self, number: int) -> bool:
        member = self.ones[NodeId(number)]
        return member.core.has_ready or (number not in self.slow_disks and bool(member.unwritten or member.hard_states))

    def _arrives(self, sent: tuple[int, int, Message]) -> bool:
        return sent[0] not in self.silent and sent[1] not in self.silent and sent[1] in self.ones

    def collect(self, number: int) -> None:
        self.under_way += [(number, sent.to, sent.message) for sent in self[number].drive()]

    def deliver(self, sender: int, to: int, message: Message) -> None:
        self[to].core.step(NodeId(sender), message, self.now_ms)
        self.collect(to)

    def wait(self, ms: int, step_ms: int = 50) -> None:
        """Time passes for all, and what they say arrives."""
        for _ in range(0, ms, step_ms):
            self.now_ms += step_ms
            for number, member in self.ones.items():
                if number not in self.silent:
                    member.core.tick(self.now_ms)
            self.settle()

    def elect(self, number: int) -> One:
        """Make this one the leader: its timer ends first."""
        self.now_ms += 600
        member = self[number]
        member.core._timer.due_ms = self.now_ms
        for other in self.ones.values():
            if other is not member and other.core._timer.due_ms is not None:
                other.core._timer.due_ms = self.now_ms + 2_000
        member.core.tick(self.now_ms)
        self.settle()
        assert member.core.role is Role.LEADER, f"{member.core.role}"
        return member

    def propose(self, number: int, count: int = 1, size: int = 10) -> list[Proposal]:
        made = [self[number].core.propose((bytes(size),), size) for _ in range(count)]
        self.collect(number)
        return made


def group(*numbers: int, timings: Timings | None = None) -> Cores:
    """A new group of these voters."""
    return Cores(*[one(number, configuration(*numbers), timings=timings) for number in numbers])


def sent(member: One, kind: type[Message]) -> list[Message]:
    """What it says of this kind, and everything else it says is lost."""
    return [outgoing.message for outgoing in member.drive() if isinstance(outgoing.message, kind)]


def stand(member: One) -> None:
    """Its leader has been silent for long enough."""
    due_ms = member.core.due_ms_or_none
    assert due_ms is not None
    member.core.tick(due_ms)
