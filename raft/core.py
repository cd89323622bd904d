"""The Raft rules of one member, without I/O: calls in, one `Ready` out.

Source: Ongaro, "Consensus: bridging theory and practice" (2014), chapter 3; the shape is etcd/raft's `RawNode`.
The shell carries out each `Ready` and reports back by `on_hard_state_persisted`, `on_persisted` and `on_applied`.
Rules kept: a term is durable before anything is done in it; a member counts itself only when durable; only entries of
its own term are committed by counting; a leader is one, for reads and for admission, only after its term's no-op is
applied; an entry's body is a handle that is never looked into.

So far a group has one member, which is its own majority: it campaigns at once and never hears of another.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from .configuration import Configuration, encode_configuration
from .entries import Entry, EntryKind, new_entry
from .errors import NotLeaderError, SingleMemberOnlyError
from .hard_state import HardState
from .interfaces import Buffer, Index, NodeId, Role, RoleChange, Term
from .messages import Message, Outgoing


class LogView(Protocol):
    """What the core asks of the log; entries of a taken `Ready` are in it."""

    @property
    def last_index(self) -> Index: ...
    def term(self, index: Index) -> Term: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreConfig:
    """`configuration`: the last one in the log, or the founding one. `applied`: what the state machine starts from."""

    node_id: NodeId
    configuration: Configuration
    is_configuration_logged: bool
    applied: Index


class Read(NamedTuple):
    """A confirmed read: `context` may read what an applied `index` shows."""

    context: Hashable
    index: Index  # pyright: ignore[reportIncompatibleMethodOverride] - the paper's word; nobody searches this tuple


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """What to do now, in this order. `committed`: apply up to here. `messages_after_sync`: once `append` is durable."""

    hard_state: HardState | None
    truncate_to: Index | None
    append: Sequence[Entry]
    messages_now: Sequence[Outgoing]
    messages_after_sync: Sequence[Outgoing]
    committed: Index
    reads: Sequence[Read]
    role_changes: Sequence[RoleChange]


class RaftCore:
    """applied <= committed <= last; committed <= persisted (one member); terms never fall."""

    def __init__(self, config: CoreConfig, log: LogView, hard_state: HardState, now_ms: int) -> None:
        """Raises: SingleMemberOnlyError."""
        peers = [peer.node_id for peer in config.configuration.peers]
        if peers != [config.node_id] or not config.configuration.voters:
            raise SingleMemberOnlyError(f"a group of nodes {peers} on node {config.node_id}: comes with replication")
        assert config.applied <= log.last_index, f"applied {config.applied} is past the last entry {log.last_index}"
        assert log.term(log.last_index) <= hard_state.term, "an entry of a term that was never begun"
        self._config = config
        self._log = log
        self._hard_state = hard_state
        self._role = Role.FOLLOWER
        self._last = log.last_index
        self._persisted = log.last_index
        self._committed = config.applied
        self._applied = config.applied
        self._no_op: Index | None = None
        self._election_due_ms: int | None = now_ms  # alone there is nobody to wait for
        self._is_configuration_logged = config.is_configuration_logged
        self._is_hard_state_new = False
        self._append: list[Entry] = []
        self._reads: list[Read] = []
        self._role_changes: list[RoleChange] = []
        self._taken_committed = config.applied

    @property
    def role(self) -> Role:
        """LEADER only once the no-op is applied."""
        return self._role

    @property
    def term(self) -> Term:
        return self._hard_state.term

    @property
    def leader_or_none(self) -> NodeId | None:
        return self._config.node_id if self._role is Role.LEADER else None

    @property
    def last_index(self) -> Index:
        return self._last

    @property
    def persisted(self) -> Index:
        return self._persisted

    @property
    def committed(self) -> Index:
        return self._committed

    @property
    def due_ms_or_none(self) -> int | None:
        """When `tick` must be called next; None: nothing is waited for."""
        return self._election_due_ms

    @property
    def has_ready(self) -> bool:
        return bool(
            self._append
            or self._is_hard_state_new
            or self._reads
            or self._role_changes
            or self._taken_committed != self._committed
        )

    def tick(self, now_ms: int) -> None:
        if self._election_due_ms is not None and now_ms >= self._election_due_ms:
            self._campaign()

    def step(self, sender: NodeId, message: Message) -> None:
        """A message of another member. Raises: SingleMemberOnlyError."""
        raise SingleMemberOnlyError(f"{type(message).__name__} of node {sender} in a group of one")

    def propose(self, body: Sequence[Buffer], size: int) -> Entry:
        """Append an entry of the current term. Raises: NotLeaderError."""
        if self._role is not Role.LEADER:
            raise NotLeaderError(self.leader_or_none)
        return self._append_entry(EntryKind.COMMANDS, body, size)

    def read_index(self, context: Hashable) -> None:
        """Confirm that a read which began now may be answered; comes back in `Ready.reads`. Raises: NotLeaderError."""
        if self._role is not Role.LEADER:
            raise NotLeaderError(self.leader_or_none)
        self._reads.append(Read(context, self._committed))

    def on_hard_state_persisted(self, term: Term) -> None:
        if self._role is Role.CANDIDATE and term == self.term and self._no_op is None:
            self._win()

    def on_persisted(self, term: Term, index: Index) -> None:
        """Entries up to `index` are durable. An entry that is not in the log any more says nothing."""
        if index <= self._persisted or index > self._log.last_index or self._log.term(index) != term:
            return
        self._persisted = index
        if term == self.term:
            self._committed = index

    def on_applied(self, index: Index) -> None:
        assert self._applied <= index <= self._committed, f"applied {index} of {self._applied}..{self._committed}"
        self._applied = index
        if self._role is Role.CANDIDATE and self._no_op is not None and index >= self._no_op:
            self._change_role(Role.LEADER)

    def take_ready(self) -> Ready:
        """Everything that has come up since the last call."""
        ready = Ready(
            hard_state=self._hard_state if self._is_hard_state_new else None,
            truncate_to=None,  # one member's log never conflicts with another's
            append=self._append,
            messages_now=(),
            messages_after_sync=(),
            committed=self._committed,
            reads=self._reads,
            role_changes=self._role_changes,
        )
        self._is_hard_state_new = False
        self._append, self._reads, self._role_changes = [], [], []
        self._taken_committed = self._committed
        return ready

    def _campaign(self) -> None:
        self._election_due_ms = None
        self._hard_state = HardState(Term(self.term + 1), self._config.node_id)
        self._is_hard_state_new = True
        self._no_op = None
        self._change_role(Role.CANDIDATE)

    def _win(self) -> None:
        self._no_op = self._append_entry(EntryKind.NO_OP, (), 0).index
        if not self._is_configuration_logged:
            body = encode_configuration(self._config.configuration)
            self._append_entry(EntryKind.CONFIGURATION, (body,), len(body))
            self._is_configuration_logged = True

    def _append_entry(self, kind: EntryKind, body: Sequence[Buffer], size: int) -> Entry:
        self._last = Index(self._last + 1)
        entry = new_entry(self.term, self._last, kind, size, body)
        self._append.append(entry)
        return entry

    def _change_role(self, role: Role) -> None:
        self._role = role
        self._role_changes.append(RoleChange(role, self.term, self.leader_or_none))
