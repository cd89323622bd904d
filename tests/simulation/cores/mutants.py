"""Planted bugs. Each must be found by the simulator within `seeds_max` histories; the suite tries it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from unittest.mock import patch
from weakref import WeakKeyDictionary

from raft.ballot import Ballot
from raft.candidacy import Candidacy
from raft.configuration import Configuration
from raft.core import RaftCore
from raft.following import Following
from raft.interfaces import Index, NodeId
from raft.leadership import Leadership
from raft.memberships import Memberships
from raft.messages import AppendRequest, AppendResponse, Heartbeat, HeartbeatResponse, VoteResponse
from raft.progress import Progress
from raft.reads import ForwardedReads, Read, ReadRounds, WaitingRead
from raft.tail import Tail
from raft.voting import Voting
from tests.simulation.cores.checks import ViolationError
from tests.simulation.cores.member import Disk, Member
from tests.simulation.cores.world import World

Mutation = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Mutant:
    """`theme`: where to look for it; None: everywhere."""

    name: str
    seeds_max: int
    theme: str | None
    planted: Mutation

    def finding_or_none(self) -> tuple[int, Exception] | None:
        """The first seed that shows it, and how."""
        with self.planted():
            for seed in range(self.seeds_max):
                try:
                    World(seed, self.theme).run()
                except (ViolationError, AssertionError) as error:
                    return seed, error
        return None


MUTANTS: list[Mutant] = []


def mutant(seeds_max: int, theme: str | None = None) -> Callable[[Callable[[], Iterator[None]]], Mutation]:
    def register(plant: Callable[[], Iterator[None]]) -> Mutation:
        planted = contextmanager(plant)
        MUTANTS.append(Mutant(plant.__name__, seeds_max, theme, planted))
        return planted

    return register


def replaced(owner: type, name: str, new: object) -> AbstractContextManager[object]:
    return patch.object(owner, name, new)


@mutant(30)
def acknowledges_before_the_fsync() -> Iterator[None]:
    def acknowledge(self: Following) -> None:
        state = self._state
        if self.leader is not None:
            state.send(self.leader, AppendResponse(state.term, False, self.verified, self._round))

    original = Following.on_append_request

    def on_append_request(self: Following, request: AppendRequest) -> None:
        before = self.verified
        original(self, request)
        if self.verified > before:
            acknowledge(self)

    with replaced(Following, "_acknowledge", acknowledge), replaced(Following, "on_append_request", on_append_request):
        yield


@mutant(100)
def counts_itself_before_the_fsync() -> Iterator[None]:
    def majority_match(self: Leadership) -> int:
        matches = [member.match for member in self._members.values() if member.is_voter]
        if self._state.memberships.is_voter:
            matches.append(self._state.tail.last)
        matches.sort()
        return matches[(len(matches) - 1) // 2]

    with replaced(Leadership, "majority_match", majority_match):
        yield


@mutant(50, theme="duels")
def tells_a_vote_that_is_not_durable() -> Iterator[None]:
    def on_durable(self: Voting) -> None:
        if self._held is not None:
            self._state.send(self._held, VoteResponse(self._state.term, is_granted=True))
            self._held = None

    with replaced(Voting, "on_durable", on_durable):
        yield


@mutant(600)
def votes_twice_in_a_term() -> Iterator[None]:
    def answer_vote(self: Voting, sender: int, request: object) -> bool:
        self._state.send(sender, VoteResponse(self._state.term, is_granted=True))
        return True

    with replaced(Voting, "answer_vote", answer_vote):
        yield


@mutant(150)
def votes_for_a_shorter_log() -> Iterator[None]:
    with replaced(Voting, "_may_vote_for", lambda _self, _request: True):
        yield


@mutant(100, theme="figure 8")
def commits_an_old_term_by_counting() -> Iterator[None]:
    original = Leadership.commit

    def commit(self: Leadership, now_ms: int) -> bool:
        no_op, self.no_op = self.no_op, Index(0)
        try:
            return original(self, now_ms)
        finally:
            self.no_op = no_op

    with replaced(Leadership, "commit", commit):
        yield


@mutant(30)
def truncates_what_does_not_conflict() -> Iterator[None]:
    def fit_in(self: Following, request: AppendRequest) -> Index | None:
        tail = self._state.tail
        if request.prev_index > tail.last or tail.term(request.prev_index) != request.prev_term:
            return None
        if request.prev_index < tail.last:
            tail.cut(request.prev_index)
            self._state.memberships.cut(request.prev_index)
        if request.entries:
            self._take(request.entries)
        return Index(request.prev_index + len(request.entries))

    with replaced(Following, "_fit_in", fit_in):
        yield


@mutant(500)
def skips_the_check_of_the_entry_before() -> Iterator[None]:
    def fit_in(self: Following, request: AppendRequest) -> Index | None:
        tail = self._state.tail
        if request.prev_index > tail.last or request.prev_index < self._state.committed:
            return None
        for position, entry in enumerate(request.entries):
            if entry.index > tail.last:
                self._take(request.entries[position:])
                break
            if tail.term(entry.index) != entry.term:
                self._cut(Index(entry.index - 1))
                self._take(request.entries[position:])
                break
        return Index(request.prev_index + len(request.entries))

    with replaced(Following, "_fit_in", fit_in):
        yield


@mutant(600)
def reads_without_a_round() -> Iterator[None]:
    def read_index(self: RaftCore, context: object) -> None:
        self._ready_leadership()
        self._reads.append(Read(context, self._state.committed))

    with replaced(RaftCore, "read_index", read_index):
        yield


@mutant(800)
def reads_before_its_no_op_is_committed() -> Iterator[None]:
    def read_index(self: RaftCore, context: object) -> None:
        if self._leadership is None:
            self._ready_leadership()
        elif self._state.memberships.is_alone:
            self._reads.append(Read(context, self._state.committed))
        else:
            self._leadership.add_read(self._state.node_id, context)

    with replaced(RaftCore, "read_index", read_index):
        yield


@mutant(5000, theme="late")
def confirms_reads_that_began_after_the_round() -> Iterator[None]:
    def add(self: ReadRounds, asker: int, context: object, committed: Index) -> None:
        self._waiting.append(WaitingRead(self.newest, asker, context, committed))

    with replaced(ReadRounds, "add", add):
        yield


@mutant(200, theme="late")
def numbers_forwarded_reads_from_zero() -> Iterator[None]:
    original = ForwardedReads.__init__

    def init(self: ForwardedReads, random: object) -> None:
        original(self, random)
        self._number = 0

    with replaced(ForwardedReads, "__init__", init):
        yield


@mutant(600)
def changes_members_before_the_last_change_is_committed() -> Iterator[None]:
    original = Leadership.go_on_with_change

    def go_on(self: Leadership, now_ms: int) -> None:
        index, self._state.memberships.index = self._state.memberships.index, Index(0)
        original(self, now_ms)
        if self._state.memberships.index == 0:
            self._state.memberships.index = index

    with replaced(Leadership, "go_on_with_change", go_on):
        yield


@mutant(150)
def changes_two_voters_at_once() -> Iterator[None]:
    def next_step(_current: Configuration, wanted: Configuration, *_: object) -> Configuration | None:
        return wanted if wanted != _current else None

    with patch("raft.leadership.next_step_or_none", next_step):
        yield


@mutant(500, theme="members")
def forgets_to_roll_a_configuration_back() -> Iterator[None]:
    with replaced(Memberships, "cut", lambda _self, _to_index: False):
        yield


@mutant(200)
def a_removed_member_disrupts() -> Iterator[None]:
    """No pre-vote, and nobody protects its leader."""

    def stand(self: RaftCore) -> None:
        self._candidacy = None
        self._lose_leader()
        self._timer.draw()
        self._timer.arm(self._now_ms)
        if self._is_electable:
            self._campaign(is_transfer=False)
        else:
            self._note_role()

    with (
        replaced(RaftCore, "_is_protected", property(lambda _self: False)),
        replaced(RaftCore, "_stand", stand),
    ):
        yield


@mutant(60)
def counts_learners() -> Iterator[None]:
    def majority_match(self: Leadership) -> int:
        matches = [member.match for member in self._members.values()]
        matches.append(self._state.tail.persisted)
        matches.sort()
        return matches[len(matches) // 2]

    with replaced(Leadership, "majority_match", majority_match):
        yield


@mutant(400)
def counts_itself_after_its_removal() -> Iterator[None]:
    def majority_match(self: Leadership) -> int:
        matches = [member.match for member in self._members.values() if member.is_voter]
        matches.append(self._state.tail.persisted)
        matches.sort()
        return matches[(len(matches) - 1) // 2]

    with replaced(Leadership, "majority_match", majority_match):
        yield


@mutant(400, theme="splits")
def counts_a_vote_twice() -> Iterator[None]:
    original = Ballot.grant

    def grant(self: Ballot, voter: NodeId, *, is_doubtful: bool) -> None:
        original(self, voter, is_doubtful=is_doubtful)
        votes[self] = votes.get(self, 0) + 1

    def elects(self: Ballot, voters: Sequence[NodeId]) -> bool:
        return votes.get(self, 0) > len(voters) // 2

    votes: WeakKeyDictionary[Ballot, int] = WeakKeyDictionary()
    with replaced(Ballot, "grant", grant), replaced(Ballot, "elects", elects):
        yield


@mutant(3000, theme="echoes")
def counts_a_late_acknowledgement_of_an_older_term() -> Iterator[None]:
    original = RaftCore._is_for_now

    def is_for_now(self: RaftCore, sender: int, message: object) -> bool:
        if isinstance(message, AppendResponse) and not message.is_rejected and message.term < self.term:
            return message.index <= self.last_index
        return original(self, sender, message)

    with replaced(RaftCore, "_is_for_now", is_for_now):
        yield


@mutant(400)
def commits_by_heartbeat_what_was_not_compared() -> Iterator[None]:
    def send_heartbeats(self: Leadership) -> None:
        state = self._state
        for member in self._members.values():
            state.send(member.node_id, Heartbeat(state.term, state.committed, self._rounds.newest))

    def on_heartbeat(self: Following, sender: int, heartbeat: Heartbeat) -> None:
        state = self._state
        state.commit_to(min(heartbeat.committed, state.tail.last))
        state.send(sender, HeartbeatResponse(state.term, heartbeat.round))

    with (
        replaced(Leadership, "_send_heartbeats", send_heartbeats),
        replaced(Following, "on_heartbeat", on_heartbeat),
    ):
        yield


@mutant(500)
def commits_by_request_what_was_not_compared() -> Iterator[None]:
    original = Following.on_append_request

    def on_append_request(self: Following, request: AppendRequest) -> None:
        original(self, request)
        if self.installing is None:
            self._state.commit_to(min(request.committed, self._state.tail.last))

    with replaced(Following, "on_append_request", on_append_request):
        yield


@mutant(1000, theme="damage")
def damaged_members_vote() -> Iterator[None]:
    def may_vote_for(self: Voting, request: object) -> bool:
        tail = self._state.tail
        return (request.last_term, request.last_index) >= (tail.last_term, tail.last)

    with replaced(Voting, "_may_vote_for", may_vote_for):
        yield


@mutant(60, theme="damage")
def damaged_members_heal_too_early() -> Iterator[None]:
    original = Following.on_append_request

    def on_append_request(self: Following, request: AppendRequest) -> None:
        original(self, request)
        self.is_damaged = False

    with replaced(Following, "on_append_request", on_append_request):
        yield


@mutant(300, theme="doubt")
def doubtful_members_vote_as_if_they_were_whole() -> Iterator[None]:
    def set_doubtful(self: Following, is_doubtful: bool) -> None:
        """Forgotten at once."""

    with patch.object(Following, "is_doubtful", property(lambda _self: False, set_doubtful), create=True):
        yield


@mutant(300, theme="doubt")
def counts_doubtful_votes_in_full() -> Iterator[None]:
    def elects(self: Ballot, voters: Sequence[NodeId]) -> bool:
        return sum(node in self.granted for node in voters) > len(voters) // 2

    with replaced(Ballot, "elects", elects):
        yield


@mutant(1000, theme="doubt")
def a_doubtful_candidate_counts_itself_in_full() -> Iterator[None]:
    def votes_for_itself(self: Candidacy) -> None:
        self._ballot.grant(self._state.node_id, is_doubtful=False)

    with replaced(Candidacy, "votes_for_itself", votes_for_itself):
        yield


@mutant(600, theme="doubt")
def forgets_its_doubt_at_the_second_start() -> Iterator[None]:
    original = Member.start

    def start(self: Member, now_ms: int, *, campaigns_at_once: bool = False) -> RaftCore:
        core = original(self, now_ms, campaigns_at_once=campaigns_at_once)
        self.disk.is_doubtful = False
        return core

    with replaced(Member, "start", start):
        yield


@mutant(300, theme="doubt")
def doubt_ends_with_any_commit_index() -> Iterator[None]:
    """Also with one of an older term, which says nothing of what was decided since."""

    def heal_by(self: Following, _index: Index) -> None:
        self.is_damaged = self.is_doubtful = False

    with replaced(Following, "_heal_by", heal_by):
        yield


@mutant(1000, theme="growth")
def calls_a_configuration_durable_before_its_mark() -> Iterator[None]:
    with replaced(Disk, "mark_configuration", lambda _self: None):
        yield


@mutant(1000, theme="tails")
def acknowledges_an_entry_that_was_cut() -> Iterator[None]:
    def on_persisted(self: Tail, _term: int, index: Index) -> bool:
        if index <= self.persisted:
            return False
        self.persisted = min(index, self.last)
        return True

    with replaced(Tail, "on_persisted", on_persisted), cuts_unnoticed():
        yield


@contextmanager
def cuts_unnoticed() -> Iterator[None]:
    """The shell, too, passes on what the writer says of entries that are not in the log any more."""
    original = Member.take

    def take(self: Member, ready: object) -> None:
        original(self, ready)
        self.cuts = 0
        for write in self.waiting:
            write.cuts = 0

    with replaced(Member, "take", take):
        yield


@mutant(100)
def never_asks_again() -> Iterator[None]:
    with replaced(Leadership, "_revive", lambda _self, _member: None):
        yield


@mutant(1500, theme="members")
def a_leader_that_is_removed_does_not_stand_again() -> Iterator[None]:
    original = Memberships._note

    def note(self: Memberships) -> None:
        original(self)
        self.may_stand = self.is_voter

    with replaced(Memberships, "_note", note):
        yield


@mutant(40)
def falls_back_in_every_answer() -> Iterator[None]:
    """As stock pysyncobj: an answer moves `next` back, and it counts what is beyond the answer."""
    original = Progress.on_accepted

    def on_accepted(self: Progress, index: Index) -> None:
        self.match = max(self.match, Index(self.next - 1))
        original(self, index)

    with replaced(Progress, "on_accepted", on_accepted):
        yield
