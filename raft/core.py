"""The Raft rules of one member, without I/O: messages, time and what the disk did go in; a `Ready` and messages out.

Source: Ongaro, "Consensus: bridging theory and practice" (2014); the shape is etcd/raft's `RawNode`.
The shell carries out each `Ready`, sends what `take_messages` gives, and reports what is durable and what is applied.

Rules kept: a term is durable before anything is done in it, a vote before it is told; an entry is acknowledged, and
counted by its leader, only when it is durable; only entries of its own term are committed by counting; a member commits
no further than its log was compared with the leader's; a log is cut only at a real conflict, never what is committed;
nothing is handed out to be applied that is not on this member's own disk; a leader is one, for reads and for admission,
only after its term's no-op is applied; an entry's body is a handle that is never looked into.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence

from .candidacy import Candidacy, ask_whether_removed
from .codec import HeartbeatResponseRow, HeartbeatRow
from .configuration import Configuration, Peer
from .core_state import CoreConfig, CoreState, Randomness
from .entries import EntryKind
from .errors import LogBusyError, NotLeaderError
from .following import Following
from .hard_state import HardState
from .interfaces import Buffer, Index, MemberProgress, NodeId, Proposal, Role, RoleChange, Term
from .leadership import Leadership
from .memberships import Memberships
from .messages import (
    AppendRequest,
    AppendResponse,
    Heartbeat,
    HeartbeatResponse,
    InstallRequest,
    InstallResponse,
    Message,
    Outgoing,
    PreVoteRequest,
    PreVoteResponse,
    ReadRequest,
    ReadResponse,
    TimeoutNow,
    VoteRequest,
    VoteResponse,
)
from .reads import ForwardedReads, Read
from .ready import Ready
from .tail import LogView, Tail
from .voting import ElectionTimer, Voting


class RaftCore:
    """applied <= Ready.committed <= min(committed, persisted); committed <= last; terms never fall.

    A member leads, stands or follows: at most one of leadership, candidacy and a known leader is there.
    """

    def __init__(
        self, config: CoreConfig, log: LogView, hard_state: HardState, random: Randomness, now_ms: int
    ) -> None:
        tail = Tail(log)
        assert config.applied <= tail.last, f"applied {config.applied} is past the last entry {tail.last}"
        assert tail.last_term <= hard_state.term, "an entry of a term that was never begun"
        known = [(config.configuration_index, config.configuration)]
        if config.configuration_index > config.applied:
            known.insert(0, (Index(0), config.configuration_before))
        memberships = Memberships(config.node_id, *known, disk_id=config.disk_id)
        self._state = CoreState(
            config.node_id, config.timings, log, tail, memberships, hard_state, hard_state, config.applied
        )
        self._now_ms = now_ms
        self._is_configuration_logged = config.is_configuration_logged
        self._leadership: Leadership | None = None
        self._candidacy: Candidacy | None = None
        self._following = Following(self._state, is_damaged=config.is_damaged, is_doubtful=config.is_doubtful)
        self._forwarded = ForwardedReads(random)
        self._voting = Voting(self._state, self._following)
        self._timer = ElectionTimer(config.timings, random, now_ms)
        self._applied = config.applied
        self._taken_committed = config.applied
        self._reads: list[Read] = []
        self._failed_reads: list[Hashable] = []
        self._role_changes: list[RoleChange] = []
        self._noted = RoleChange(self.role, self.term, None)
        self._ask_due_ms: int | None = None
        if config.campaigns_at_once or memberships.is_alone:
            self._timer.due_ms = now_ms

    # What can be seen

    @property
    def role(self) -> Role:
        """LEADER only once the no-op is applied; until then, and while standing, CANDIDATE."""
        if self._leadership is not None and self._leadership.is_ready:
            return Role.LEADER
        if self._leadership is not None or self._candidacy is not None:
            return Role.CANDIDATE
        return Role.FOLLOWER if self._state.memberships.is_voter else Role.LEARNER

    @property
    def has_leadership(self) -> bool:  # it was elected in this term, whether its no-op is applied yet or not
        return self._leadership is not None

    @property
    def term(self) -> Term:
        return self._state.hard_state.term

    @property
    def leader_or_none(self) -> NodeId | None:
        if self._leadership is not None:
            return self._state.node_id if self._leadership.is_ready else None
        return self._following.leader

    @property
    def last_index(self) -> Index:
        return self._state.tail.last

    @property
    def persisted(self) -> Index:
        return self._state.tail.persisted

    @property
    def committed(self) -> Index:
        """May be ahead of what this member has on its disk, and so of what it is given to apply."""
        return self._state.committed

    @property
    def configuration(self) -> Configuration | None:
        """In force: the last one in the log, committed or not."""
        return self._state.memberships.current

    @property
    def configuration_index(self) -> Index:
        """Where it stands in the log; 0: below the checkpoint, or not logged."""
        return self._state.memberships.index

    @property
    def is_damaged(self) -> bool:
        """As `is_doubtful`: False when the member is whole again; then the shell may forget the damage, too."""
        return self._following.is_damaged

    @property
    def is_doubtful(self) -> bool:
        return self._following.is_doubtful

    @property
    def transfer_to(self) -> NodeId | None:
        """Whom leadership is being handed to; None again (while this member leads) when that was given up."""
        return self._leadership.transfer_to if self._leadership is not None else None

    def progress(self) -> Sequence[MemberProgress]:
        return self._leadership.progress(self._now_ms) if self._leadership is not None else ()

    def is_settled(self, voters: Sequence[Peer], learners: Sequence[Peer] = ()) -> bool:
        """Exactly these are members, and that is committed."""
        memberships = self._state.memberships
        return memberships.index <= self._state.committed and memberships.are_exactly(voters, learners)

    @property
    def due_ms_or_none(self) -> int | None:
        """When `tick` must be called next; None: nothing is waited for."""
        if self._leadership is not None:
            return self._leadership.due_ms_or_none
        if self._ask_due_ms is not None and self._timer.due_ms is not None:
            return min(self._ask_due_ms, self._timer.due_ms)
        return self._timer.due_ms

    @property
    def has_ready(self) -> bool:
        """May be True though nothing is left of what had come up."""
        state = self._state
        return bool(
            state.tail.has_work
            or state.committed != self._taken_committed != self._appliable
            or state.is_hard_state_new
            or self._reads
            or self._role_changes
            or self._failed_reads
            or self._following.has_new_install
        )

    @property
    def _appliable(self) -> Index:
        return min(self._state.committed, self._state.tail.persisted)

    # What the shell asks for

    def propose(self, body: Sequence[Buffer], size: int) -> Proposal:
        """Append an entry of the current term. Raises: NotLeaderError, LogBusyError (leadership is handed over)."""
        return self._accepting_leadership().propose(body, size)

    def check_accepts(self) -> None:
        """Raises: as `propose`."""
        self._accepting_leadership()

    def read_index(self, context: Hashable) -> None:
        """Confirm that a read which begins now may be answered: `Ready.reads`, or `failed_reads`: leadership moved.

        Contexts are unique among the reads under way. Raises: NotLeaderError.
        """
        state, leader = self._state, self._following.leader
        if self._leadership is None and leader is not None:
            self._forwarded.add(context)
            return
        leadership = self._ready_leadership()
        if state.memberships.is_alone:
            self._reads.append(Read(context, state.committed))
        else:
            leadership.add_read(state.node_id, context)

    def transfer(self, to: NodeId, now_ms: int) -> None:
        """Hand leadership to a voter: nothing is proposed until it leads or an election time has passed.

        Raises: NotLeaderError, ValueError (no other voter).
        """
        self._now_ms = now_ms
        self._ready_leadership().transfer(to, now_ms)

    def change(self, voters: Sequence[Peer], learners: Sequence[Peer] = ()) -> None:
        """Go towards exactly these members, step by step, while this member leads (see `is_settled`).

        Raises: NotLeaderError.
        """
        leadership = self._ready_leadership()
        leadership.want(voters, learners)
        leadership.go_on_with_change(self._now_ms)

    def _accepting_leadership(self) -> Leadership:
        leadership = self._ready_leadership()
        if leadership.transfer_to is not None:
            raise LogBusyError(f"leadership is being handed to node {leadership.transfer_to}")
        return leadership

    def _ready_leadership(self) -> Leadership:
        leadership = self._leadership
        if leadership is None or not leadership.is_ready:
            raise NotLeaderError(self.leader_or_none)
        return leadership

    # What happens

    def tick(self, now_ms: int, *, is_late: bool = False, lives: bool = False) -> None:
        """Time has passed. `is_late`: our own loop was busy; `lives`: so is whom this member waits for (`vitals`)."""
        self._now_ms = now_ms
        leadership = self._leadership
        if leadership is not None:
            due_ms = leadership.due_ms_or_none
            if due_ms is not None and now_ms >= due_ms:
                is_late = is_late or now_ms - due_ms > self._state.timings.heartbeat_ms
                if leadership.beat(now_ms, is_late=is_late, lives=lives):
                    leadership.go_on_with_change(now_ms)
                else:
                    self._become_follower(self.term, None)
            return
        if self._ask_due_ms is not None and now_ms >= self._ask_due_ms:
            self._ask_again()
        if self._timer.fires(now_ms, is_late=is_late, is_alone=self._state.memberships.is_alone, lives=lives):
            self._stand()

    def step(self, sender: NodeId, message: Message, now_ms: int) -> None:
        """A message of another node; it may have come before, late, or from one that is no member any more."""
        self._now_ms = now_ms
        if message.term != self._state.hard_state.term and not self._is_for_now(sender, message):
            return
        match message:
            case AppendRequest():
                self._hear_leader(sender)
                self._following.on_append_request(message)
                self._note_role()
            case AppendResponse():
                self._on_append_response(sender, message)
            case Heartbeat():
                self._hear_leader(sender)
                self._following.on_heartbeat(sender, message)
            case HeartbeatResponse():
                if self._leadership is not None:
                    self._leadership.on_heartbeat_response(sender, message, now_ms)
                    self._reads += self._leadership.confirmed_reads()
            case _:
                self._step_rare(sender, message, now_ms)

    def hears_idle_leader(self, sender: NodeId, heartbeat: HeartbeatRow, now_ms: int) -> bool:
        """Whether it only says that the leader lives. Then it is done with, and to be answered in its own words."""
        following = self._following
        is_now = following.leader == sender and heartbeat.term == self._state.hard_state.term
        if is_idle := is_now and following.hears_idle(heartbeat.committed, heartbeat.round):
            self._now_ms = now_ms
            self._timer.hear(now_ms)
        return is_idle

    def hears_idle_follower(self, sender: NodeId, response: HeartbeatResponseRow, now_ms: int) -> bool:
        """Whether it only says that a member lives, and no read waits for that; then it is done with."""
        self._now_ms = now_ms
        leadership, is_now = self._leadership, response.term == self._state.hard_state.term
        return leadership is not None and is_now and leadership.hears_idle(sender, response.round, now_ms)

    def heartbeats_at_rest(self, is_up: Callable[[NodeId], bool]) -> Sequence[Outgoing]:
        """Of a leader with nothing to do but to live, once asked after each beat; see `Leadership`."""
        return self._leadership.heartbeats_at_rest(self._now_ms, is_up) if self._leadership is not None else ()

    def wake(self, now_ms: int, heard: Mapping[NodeId, int], beat_due_ms: int) -> None:
        """It was at rest, and not called: neither when members spoke (`heard`) nor when beats were due."""
        self._now_ms = now_ms
        leader = self._following.leader
        if self._leadership is not None:
            self._leadership.wake(heard, beat_due_ms)
        elif leader is not None and leader in heard:
            self._timer.hear(heard[leader])

    def _step_rare(self, sender: NodeId, message: Message, now_ms: int) -> None:
        match message:
            case PreVoteRequest():
                self._voting.answer_pre_vote(sender, message, is_protected=self._is_protected)
            case VoteRequest():
                if self._voting.answer_vote(sender, message):
                    self._timer.arm(now_ms)
            case PreVoteResponse() | VoteResponse():
                if self._candidacy is not None:
                    self._candidacy.on_response(sender, message)
                    self._win_if_elected()
            case TimeoutNow():
                self._hear_leader(sender)
                if self._is_electable:
                    self._campaign(is_transfer=True)
            case ReadRequest():
                self._on_read_request(sender, message)
            case ReadResponse():
                self._on_read_response(sender, message)
            case InstallRequest():
                self._hear_leader(sender)
                self._following.on_install_request(sender, message)
            case InstallResponse():
                self._on_install_response(sender, message)
            case _:
                raise AssertionError(f"a message of an unknown kind: {message}")

    def on_peer_up(self, node: NodeId, now_ms: int) -> None:
        """A link to the node is open; what was sent before may be lost."""
        self._now_ms = now_ms
        if self._leadership is not None:
            self._leadership.on_peer_up(node)
        elif self._candidacy is not None:
            self._candidacy.ask(node)

    def on_peer_down(self, node: NodeId, now_ms: int) -> None:
        """The link broke. Was it the leader's, the voters stand one after the other, a heartbeat apart, from now on."""
        self._now_ms = now_ms
        if self._leadership is not None:
            self._leadership.on_peer_down(node)
        elif self._following.leader == node:
            self._lose_leader()
            self._note_role()
            if self._is_electable:
                others = sorted({self._state.node_id, *self._state.memberships.voters} - {node})
                place = (others.index(self._state.node_id) + self.term) % len(others)
                self._timer.arm_by(now_ms + place * self._state.timings.heartbeat_ms)
                if place == 0:
                    self._stand()

    def on_hard_state_persisted(self, hard_state: HardState) -> None:
        """`hard_state`, and so every one taken before it, is durable."""
        self._state.durable = hard_state
        if hard_state != self._state.hard_state:
            return  # a newer one is on its way
        if self._candidacy is not None and not self._candidacy.is_pre:
            self._candidacy.votes_for_itself()
            self._candidacy.ask_all()
            self._win_if_elected()
        self._voting.on_durable()
        self._following.on_durable()

    def on_persisted(self, term: Term, index: Index) -> None:
        """Entries up to `index` are durable, as they stand in the log now: a write of what was cut says nothing."""
        if self._state.tail.on_persisted(term, index):
            if self._leadership is not None:
                self._commit_what_a_majority_has(self._leadership)
            else:
                self._following.on_durable()

    def on_applied(self, index: Index) -> None:
        assert self._applied <= index <= self._appliable, f"applied {index} of {self._applied}..{self._appliable}"
        self._applied = index
        leadership = self._leadership
        if leadership is not None and not leadership.is_ready and index >= leadership.no_op:
            leadership.is_ready = True
            self._note_role()

    def check_files(self, index: Index, term: Term) -> None:
        """Files that end with this entry may take the place of the log. Raises: InstallFailedError."""
        self._state.check_files(index, term)

    def on_installed(self, index: Index, configuration: Configuration) -> None:
        """The log was replaced by files that end with a committed entry `index`; `configuration` is in force there.

        Nothing written before that is reported by `on_persisted` after this.
        """
        state = self._state
        assert index > state.committed, f"installed {index}, committed is {state.committed}"
        self._following.on_installed(index)
        state.memberships.install(index, configuration)
        self._is_configuration_logged = True
        self._note_role()

    def on_install_failed(self) -> None:
        """The files could not be fetched; another request of the leader begins again."""
        self._following.on_install_failed()

    def take_ready(self) -> Ready:
        """Everything that has come up since the last call."""
        truncate_to, append = self._state.tail.take()
        committed = self._appliable
        ready = Ready(
            hard_state=self._state.hard_state if self._state.is_hard_state_new else None,
            truncate_to=truncate_to,
            append=append,
            committed=committed,
            reads=self._reads,
            failed_reads=self._failed_reads,
            role_changes=self._role_changes,
            install_from=self._following.take_install(),
        )
        self._state.is_hard_state_new = False
        self._reads, self._failed_reads, self._role_changes = [], [], []
        self._taken_committed = committed
        return ready

    def take_messages(self) -> Sequence[Outgoing]:
        """What to send now; called when the log has what the last `Ready` held."""
        if self._leadership is not None:
            self._leadership.send_appends()
        elif self._following.leader is not None and self._forwarded.ask():
            self._ask_for_reads(self._following.leader)
        if not self._state.outbox:
            return ()
        messages, self._state.outbox = self._state.outbox, []
        return messages

    # Terms and roles

    def _is_for_now(self, sender: NodeId, message: Message) -> bool:
        """A message of another term: go to that term, or answer with the own one, or neither; whether to go on."""
        if message.term < self.term:
            return self._state.answer_old(sender, message)
        match message:
            case PreVoteRequest():
                return True
            case PreVoteResponse(is_granted=True) | PreVoteResponse(is_damaged=True):
                return self._candidacy is not None and message.term == self._candidacy.term
            case VoteRequest():
                # Whoever hears its leader does not let it be disturbed, unless that leader asked for it.
                if self._is_protected and not message.is_transfer:
                    return False
                self._become_follower(message.term, None)
                return True
            case AppendRequest() | Heartbeat() | InstallRequest() | TimeoutNow():
                self._become_follower(message.term, sender)
                return True
            case _:
                if sender in self._state.memberships.nodes:
                    self._become_follower(message.term, None)
                return False

    def _become_follower(self, term: Term, leader: NodeId | None) -> None:
        self._candidacy = None
        self._ask_due_ms = None
        self._lose_leader()
        if self._leadership is not None:
            self._failed_reads += self._leadership.own_read_contexts()
            self._leadership = None
        if term > self.term:
            self._begin_term(term, None)
        self._following.leader = leader
        if self._timer.due_ms is None:
            self._timer.arm(self._now_ms)
        self._note_role()

    def _begin_term(self, term: Term, vote: NodeId | None) -> None:
        self._state.begin_term(term, vote)
        self._voting.begin_term()
        self._following.begin_term()

    def _lose_leader(self) -> None:
        self._following.leader = None
        self._failed_reads += self._forwarded.fail()
        if self._candidacy is None:
            self._ask_due_ms = None

    def _hear_leader(self, sender: NodeId) -> None:
        if self._following.leader != sender:
            assert self._leadership is None, f"nodes {self._state.node_id} and {sender} lead in term {self.term}"
            assert self._following.leader is None, f"{self._following.leader} and {sender} lead in term {self.term}"
            self._become_follower(self.term, sender)
        self._timer.hear(self._now_ms)

    @property
    def _is_protected(self) -> bool:
        """This member leads (and hears a majority), or has heard its leader within the shortest election time."""
        if self._leadership is not None:
            return True
        return self._following.leader is not None and self._timer.has_heard(self._now_ms)

    @property
    def _is_electable(self) -> bool:
        return self._state.memberships.may_stand and not self.is_damaged and self._following.installing is None

    def _note_role(self) -> None:
        role, term, leader, noted = self.role, self.term, self.leader_or_none, self._noted
        if role is not noted.role or term != noted.term or leader != noted.leader:
            self._noted = RoleChange(role, term, leader)
            self._role_changes.append(self._noted)

    # Elections

    def _stand(self) -> None:
        """Ask whether an election could be won, before one is begun; a single voter need not ask."""
        self._candidacy = None
        self._lose_leader()
        self._timer.draw()
        self._timer.arm(self._now_ms)
        if not self._is_electable:
            ask_whether_removed(self._state)
        elif self._state.memberships.is_alone:
            self._campaign(is_transfer=False)
        else:
            self._candidacy = Candidacy(self._state, self._following, Term(self.term + 1), is_pre=True)
            self._candidacy.ask_all()
            self._ask_due_ms = self._now_ms + self._state.timings.heartbeat_ms
        self._note_role()

    def _campaign(self, *, is_transfer: bool) -> None:
        """A new term, and the own vote in it; the others are asked when that is durable."""
        self._lose_leader()
        self._begin_term(Term(self.term + 1), self._state.node_id)
        self._candidacy = Candidacy(self._state, self._following, self.term, is_pre=False, is_transfer=is_transfer)
        self._timer.arm(self._now_ms)
        self._ask_due_ms = self._now_ms + self._state.timings.heartbeat_ms
        if self._state.memberships.is_alone:
            self._timer.due_ms = self._ask_due_ms = None  # nobody else is waited for
        self._note_role()

    def _win_if_elected(self) -> None:
        candidacy = self._candidacy
        if candidacy is None or not candidacy.is_won:
            return
        if candidacy.is_pre:
            self._campaign(is_transfer=False)
            return
        state = self._state
        self._candidacy = None
        self._ask_due_ms = self._timer.due_ms = None
        self._leadership = Leadership(state, Index(state.tail.last + 1), self._now_ms)
        self._leadership.append(EntryKind.NO_OP, (), 0)
        if not self._is_configuration_logged and state.memberships.index == 0 and state.memberships.current is not None:
            self._leadership.append_configuration(state.memberships.current, self._now_ms)
        self._note_role()

    def _ask_again(self) -> None:
        self._ask_due_ms = self._now_ms + self._state.timings.heartbeat_ms
        if self._candidacy is not None:
            self._candidacy.ask_all()
        elif self._following.leader is not None and self._forwarded.is_asking:
            self._ask_for_reads(self._following.leader)
        else:
            self._ask_due_ms = None

    # Leading

    def _on_append_response(self, sender: NodeId, response: AppendResponse) -> None:
        leadership = self._leadership
        if leadership is None:
            return
        if leadership.on_append_response(sender, response, self._now_ms):
            self._commit_what_a_majority_has(leadership)
        if self._leadership is not None:
            self._reads += leadership.confirmed_reads()

    def _on_install_response(self, sender: NodeId, response: InstallResponse) -> None:
        leadership = self._leadership
        if leadership is not None and leadership.on_install_response(sender, response, self._now_ms):
            self._commit_what_a_majority_has(leadership)

    def _commit_what_a_majority_has(self, leadership: Leadership) -> None:
        if not leadership.commit(self._now_ms):
            leadership.hand_over_to_the_best()
            self._become_follower(self.term, None)
        self._following.heal_as_leader()

    # Reads of others

    def _ask_for_reads(self, leader: NodeId) -> None:
        self._state.send(leader, ReadRequest(self.term, self._forwarded.number))
        self._ask_due_ms = self._now_ms + self._state.timings.heartbeat_ms

    def _on_read_request(self, sender: NodeId, request: ReadRequest) -> None:
        if self._leadership is not None:
            self._leadership.on_read_request(sender, request, self._now_ms)

    def _on_read_response(self, sender: NodeId, response: ReadResponse) -> None:
        if sender == self._following.leader:
            self._reads += [Read(context, response.index) for context in self._forwarded.answer(response.context)]
