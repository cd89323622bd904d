"""A member of a group on `HardenedSyncObj`, with the calls of `raft.core.RaftCore`: the shell knows no difference.

It holds back what must wait for the disk: a message leaves when the term and vote with which it was made are durable.
A linearizable read is a barrier: an entry of its own, proposed after the read began; reads share it. Nothing is
compacted: a group on this engine keeps its whole log.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from random import Random

from ..codec import HeartbeatResponseRow, HeartbeatRow
from ..configuration import Configuration, Peer, encode_configuration
from ..core_state import CoreConfig, CoreState
from ..entries import EntryKind, new_entry
from ..errors import LogBusyError, NotLeaderError
from ..hard_state import HardState
from ..interfaces import Buffer, Index, MemberProgress, NodeId, Proposal, Role, RoleChange, Term
from ..memberships import Memberships, next_step_or_none
from ..messages import (
    AppendRequest,
    Heartbeat,
    InstallRequest,
    Message,
    Outgoing,
    PreVoteRequest,
    PreVoteResponse,
    ReadRequest,
    ReadResponse,
    TimeoutNow,
    VoteRequest,
)
from ..progress import Progress
from ..reads import ForwardedReads, Read
from ..ready import Ready
from ..tail import LogView, Tail
from .barriers import Asked, Barriers
from .hardened import CANDIDATE, ENGINE_MESSAGES, LEADER, HardenedSyncObj
from .journal import LogJournal

READ_ROUNDS_MAX = 4


class SyncObjCore:
    """applied <= committed <= persisted <= last; terms never fall."""

    engine_type = HardenedSyncObj

    def __init__(self, config: CoreConfig, log: LogView, hard_state: HardState, random: Random, now_ms: int) -> None:
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
        self._journal = LogJournal(self._state)
        self._engine = self.engine_type(self._state, self._journal, random, now_ms, config)
        self._now_ms = now_ms
        self._was_late = False
        self._founding = None if config.is_configuration_logged else config.configuration
        self._applied = config.applied
        self._taken_committed = config.applied
        self._held: list[tuple[HardState, Outgoing]] = []
        self._barriers = Barriers()
        self._forwarded = ForwardedReads(random)
        self._asked_leader: NodeId | None = None
        self._ask_due_ms = self._asked_ms = now_ms
        self._reads: list[Read] = []
        self._failed_reads: list[Hashable] = []
        self._role_changes: list[RoleChange] = []
        self._noted = RoleChange(self.role, self.term, self.leader_or_none)
        self._wanted: Configuration | None = None
        self._transfer_to: NodeId | None = None
        self._transfer_due_ms = now_ms
        if config.campaigns_at_once or memberships.is_alone:
            self._engine.stand_now(now_ms)

    @property
    def role(self) -> Role:
        """LEADER only once the no-op is applied."""
        if self._engine.is_in(LEADER):
            return Role.LEADER if self._applied >= self._engine.own_no_op() else Role.CANDIDATE
        if self._engine.is_in(CANDIDATE):
            return Role.CANDIDATE
        return Role.FOLLOWER if self._state.memberships.is_voter else Role.LEARNER

    @property
    def has_leadership(self) -> bool:
        """It was elected in this term, whether its no-op is applied yet or not."""
        return self._engine.is_in(LEADER)

    @property
    def term(self) -> Term:
        return self._state.term

    @property
    def leader_or_none(self) -> NodeId | None:
        leader = self._engine.known_leader()
        return None if leader == self._state.node_id and self.role is not Role.LEADER else leader

    @property
    def last_index(self) -> Index:
        return self._state.tail.last

    @property
    def persisted(self) -> Index:
        return self._state.tail.persisted

    @property
    def committed(self) -> Index:
        return self._state.committed

    @property
    def configuration(self) -> Configuration | None:
        return self._state.memberships.current

    @property
    def configuration_index(self) -> Index:
        return self._state.memberships.index

    @property
    def is_damaged(self) -> bool:
        return self._engine.is_damaged

    @property
    def is_doubtful(self) -> bool:
        return self._engine.is_doubtful

    def progress(self) -> Sequence[MemberProgress]:
        """On the leader: how far each member is; empty elsewhere."""
        if not self._engine.is_in(LEADER):
            return ()
        oldest_ms = self._now_ms - self._state.timings.election_ms
        own = MemberProgress(self._state.node_id, self._state.memberships.is_voter, self.persisted, is_live=True)
        return [own] + [
            MemberProgress(member.node_id, member.is_voter, member.match, member.heard_ms > oldest_ms)
            for member in self._engine.progress()
        ]

    def is_settled(self, voters: Sequence[Peer], learners: Sequence[Peer] = ()) -> bool:
        """Exactly these are members, and that is committed."""
        current, index = self._state.memberships.current, self._state.memberships.index
        if current is None or index > self._state.committed:
            return False
        return set(current.voters) == set(voters) and set(current.learners) == set(learners)

    @property
    def due_ms_or_none(self) -> int | None:
        """When `tick` must be called next: each time, as questions and transfers go by it, too; None: not at all."""
        if self._engine.is_in(LEADER) and self._state.memberships.is_alone:
            return None
        return self._now_ms

    # Time and links

    def tick(self, now_ms: int, *, is_late: bool = False, lives: bool = False) -> None:
        """`is_late`: our own loop was busy, so a silence is no evidence; what waits in the sockets is read first.

        `lives`: whom this member waits for is silent at most because it is busy.
        """
        self._now_ms = now_ms
        if is_late and not self._was_late and not self._state.memberships.is_alone:
            self._engine.give_time(now_ms)
        elif lives:
            self._engine.give_time(now_ms, self._state.timings.stall_ms)
        self._was_late = is_late
        self._engine.tick(now_ms)
        if self._transfer_to is not None:
            self._go_on_with_transfer()
        self._ask_again()
        self._settle()

    def on_peer_up(self, node: NodeId, now_ms: int) -> None:
        self._engine.connect(node, now_ms)
        self._settle()

    def on_peer_down(self, node: NodeId, now_ms: int) -> None:
        self._now_ms = now_ms
        if node == self._engine.known_leader():
            voters = sorted(voter for voter in self._state.memberships.voters if voter != node)
            me = self._state.node_id
            place = (voters.index(me) + self.term) % len(voters) if me in voters else 0
            self._engine.lose_leader(now_ms, place * self._state.timings.heartbeat_ms)
        self._engine.disconnect(node, now_ms)
        self._engine.tick(now_ms)
        self._settle()

    # Messages

    def step(self, sender: NodeId, message: Message, now_ms: int) -> None:
        self._now_ms = now_ms
        if message.term > self.term and not _begins_later_term(message):
            self._engine.step_down(message.term, now_ms)
        match message:
            case ReadRequest():
                if self.role is Role.LEADER and message.term == self.term:
                    self._barriers.add(Asked(sender, message.context))
            case ReadResponse():
                if message.term == self.term:
                    self._reads += [Read(context, message.index) for context in self._forwarded.answer(message.context)]
            case _ if isinstance(message, ENGINE_MESSAGES):
                self._engine.receive(sender, message, now_ms)
            case _:
                pass  # an answer to what only the other engine asks, or files, which this one cannot take over
        self._settle()

    def hears_idle_leader(self, sender: NodeId, heartbeat: HeartbeatRow, now_ms: int) -> bool:
        """Every heartbeat is one for `step`."""
        del sender, heartbeat, now_ms
        return False

    def hears_idle_follower(self, sender: NodeId, response: HeartbeatResponseRow, now_ms: int) -> bool:
        """Every answer is one for `step`."""
        del sender, response, now_ms
        return False

    def heartbeats_at_rest(self, is_up: Callable[[NodeId], bool]) -> Sequence[Outgoing]:
        """Never at rest."""
        del is_up
        return ()

    def wake(self, now_ms: int, heard: Mapping[NodeId, int], beat_due_ms: int) -> None:
        """Nothing has passed it by."""
        del now_ms, heard, beat_due_ms

    def take_messages(self) -> Sequence[Outgoing]:
        """What may leave now. The shell has put the entries of the last `Ready` into the log."""
        self._engine.take_appends()
        self._ask()
        state = self._state
        self._held += [(state.hard_state, outgoing) for outgoing in state.outbox]
        state.outbox.clear()
        count = 0
        while count < len(self._held) and self._may_leave(self._held[count][0]):
            count += 1
        released = [outgoing for _, outgoing in self._held[:count]]
        del self._held[:count]
        return released

    def _may_leave(self, made_with: HardState) -> bool:
        return _is_covered(made_with, self._state.durable)

    # Proposals and reads

    def propose(self, body: Sequence[Buffer], size: int) -> Proposal:
        """Append an entry of the current term. Raises: NotLeaderError, LogBusyError (leadership is handed over)."""
        self.check_accepts()
        entry = new_entry(self.term, Index(self._state.tail.last + 1), EntryKind.COMMANDS, size, body)
        self._journal.append(entry)
        return Proposal(entry.term, entry.index)

    def check_accepts(self) -> None:
        """Raises: as `propose`."""
        if self.role is not Role.LEADER:
            raise NotLeaderError(self.leader_or_none)
        if self._transfer_to is not None:
            raise LogBusyError(f"leadership is being handed to node {self._transfer_to}")

    def read_index(self, context: Hashable) -> None:
        """Confirm that a read which began now may be answered; comes back in `Ready.reads`. Raises: NotLeaderError."""
        if self.role is Role.LEADER:
            if self._state.memberships.is_alone:  # nobody else can have confirmed anything
                self._reads.append(Read(context, self._state.committed))
            else:
                self._barriers.add(Asked(self._state.node_id, context))
            return
        leader = self.leader_or_none
        if leader is None:
            raise NotLeaderError(None)
        self._forwarded.add(context)
        self._asked_leader = leader

    def _ask(self) -> None:
        """One request for all reads that have begun meanwhile."""
        leader = self.leader_or_none
        if leader is not None and leader != self._state.node_id and self._forwarded.ask():
            self._asked_leader, self._asked_ms = leader, self._now_ms
            self._send_ask(leader)

    def _send_ask(self, leader: NodeId) -> None:
        self._ask_due_ms = self._now_ms + self._state.timings.heartbeat_ms
        self._state.send(leader, ReadRequest(self.term, self._forwarded.number))

    def _ask_again(self) -> None:
        """Request or answer may be lost; but nobody waits for ever."""
        leader = self.leader_or_none
        if not self._forwarded.is_asking or self._now_ms < self._ask_due_ms:
            return
        if leader is None or self._now_ms >= self._asked_ms + READ_ROUNDS_MAX * self._state.timings.election_ms:
            self._failed_reads += self._forwarded.fail()
        else:
            self._send_ask(leader)

    # Leadership and members

    def transfer(self, to: NodeId, now_ms: int) -> None:
        """Hand over to a voter as soon as it has everything; nothing is proposed until then, or an election time.

        Raises: NotLeaderError, ValueError (no other voter).
        """
        self._now_ms = now_ms
        if self.role is not Role.LEADER:
            raise NotLeaderError(self.leader_or_none)
        voters = self._state.memberships.voters
        if to == self._state.node_id or to not in voters:
            raise ValueError(f"node {to} is none of the other voters of {voters}")
        if self._transfer_to != to:
            self._transfer_to, self._transfer_due_ms = to, now_ms + self._state.timings.election_ms
            self._go_on_with_transfer()
        self._settle()

    @property
    def transfer_to(self) -> NodeId | None:
        return self._transfer_to

    def _go_on_with_transfer(self) -> None:
        to, state = self._transfer_to, self._state
        members = {member.node_id: member for member in self._engine.progress() if member.is_voter}
        if to is None or to not in members or self._now_ms >= self._transfer_due_ms:
            self._transfer_to = None
        elif members[to].match == state.tail.last:
            state.send(to, TimeoutNow(state.term))

    def change(self, voters: Sequence[Peer], learners: Sequence[Peer] = ()) -> None:
        """Go towards these members, one voter at a time. Raises: NotLeaderError."""
        if self.role is not Role.LEADER:
            raise NotLeaderError(self.leader_or_none)
        assert voters, "a group without voters"
        self._wanted = Configuration(voters=tuple(voters), learners=tuple(learners))
        self._settle()

    def _take_next_step(self) -> None:
        """Propose the next configuration, once the last one and the term's no-op are committed."""
        state = self._state
        current = state.memberships.current
        if self._wanted is None or current is None or state.memberships.index > state.committed:
            return
        if self._transfer_to is not None:
            return
        members = self._engine.progress()
        caught_up = [member.node_id for member in members if not member.is_voter and _is_caught_up(member, state)]
        step = next_step_or_none(current, self._wanted, caught_up, state.node_id)
        if step is None:
            return
        self._journal.append_own(EntryKind.CONFIGURATION, encode_configuration(step))
        self._engine.configure()

    # What the shell did

    def on_hard_state_persisted(self, state: HardState) -> None:
        if not _is_covered(state, self._state.durable):
            self._state.durable = state

    def on_persisted(self, term: Term, index: Index) -> None:
        """Entries up to `index` are durable. An entry that is not in the log any more says nothing."""
        if self._state.tail.on_persisted(term, index):
            self._engine.on_persisted(self._now_ms)
            self._settle()

    def on_applied(self, index: Index) -> None:
        assert self._applied <= index <= self._state.committed, f"{index} of {self._applied}..{self._state.committed}"
        self._applied = index
        self._engine.on_applied(index)
        self._settle()

    def check_files(self, index: Index, term: Term) -> None:
        """Files that end with this entry may take the place of the log. Raises: InstallFailedError."""
        self._state.check_files(index, term)

    def on_installed(self, index: Index, configuration: Configuration) -> None:
        """The log was replaced by files that end with a committed entry `index`; `configuration` is in force there."""
        state = self._state
        assert index > state.committed, f"installed {index}, committed is {state.committed}"
        state.tail.on_installed()
        state.memberships.install(index, configuration)
        self._engine.on_installed(index)
        self._applied = self._taken_committed = index
        self._settle()

    def on_install_failed(self) -> None:
        """The files could not be fetched; another request of the leader begins again."""
        self._engine.installing = None

    @property
    def has_ready(self) -> bool:
        return bool(
            self._state.tail.has_work
            or (self._barriers.wants_entry and self.role is Role.LEADER)
            or self._journal.has_new_hard_state
            or self._taken_committed != self._state.committed
            or self._reads
            or self._failed_reads
            or self._role_changes
            or self._engine.has_new_install
        )

    def take_ready(self) -> Ready:
        """Everything that has come up since the last call."""
        if self._barriers.wants_entry and self.role is Role.LEADER:
            self._barriers.on_proposed(self._journal.append_own(EntryKind.NO_OP).index)
        hard_state = self._state.hard_state if self._journal.has_new_hard_state else None
        self._journal.has_new_hard_state = False
        truncate_to, append = self._state.tail.take()
        ready = Ready(
            hard_state=hard_state,
            truncate_to=truncate_to,
            append=append,
            committed=self._state.committed,
            reads=self._reads,
            failed_reads=self._failed_reads,
            role_changes=self._role_changes,
            install_from=self._engine.installing if self._engine.has_new_install else None,
        )
        self._engine.has_new_install = False
        self._taken_committed = self._state.committed
        self._reads, self._failed_reads, self._role_changes = [], [], []
        return ready

    def _settle(self) -> None:
        """What follows from any change: entries that a leader owes, reads, the role."""
        if self._engine.is_in(LEADER):
            if self._founding is not None and self._state.memberships.index == 0:
                self._journal.append_own(EntryKind.CONFIGURATION, encode_configuration(self._founding))
                self._engine.configure()
            if self.role is Role.LEADER:
                self._take_next_step()
                self._answer_reads()
        self._note_role()

    def _answer_reads(self) -> None:
        state = self._state
        index, answered = self._barriers.on_committed(state.committed)
        for asker, context in answered:
            if asker == state.node_id:
                self._reads.append(Read(context, index))
            else:
                assert isinstance(context, int), "members ask by number"
                self._engine.tell_committed(asker)
                state.send(asker, ReadResponse(state.term, context, index))

    def _note_role(self) -> None:
        change = RoleChange(self.role, self.term, self.leader_or_none)
        if change == self._noted:
            return
        if self._noted.role is Role.LEADER:
            self._failed_reads += self._barriers.fail(self._state.node_id)
            self._wanted = self._transfer_to = None
        if self._asked_leader is not None and self._asked_leader != change.leader:
            self._failed_reads += self._forwarded.fail()
            self._asked_leader = None
        self._noted = change
        self._role_changes.append(change)


def _is_covered(needed: HardState, durable: HardState) -> bool:
    """Within a term a vote is given once and never taken back."""
    return (needed.term, needed.vote is not None) <= (durable.term, durable.vote is not None)


def _begins_later_term(message: Message) -> bool:
    """Whether the engine itself decides what a later term in this message means."""
    if isinstance(message, PreVoteResponse):
        return message.is_granted or message.is_damaged
    return isinstance(message, VoteRequest | AppendRequest | Heartbeat | InstallRequest | PreVoteRequest)


def _is_caught_up(member: Progress, state: CoreState) -> bool:
    return member.match >= state.committed
