"""What a replicated log offers, and what it needs from the state machine above it. Both engines fulfil `RaftGroup`."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, NewType, Protocol

if TYPE_CHECKING:
    from .configuration import Configuration, Peer

Buffer = bytes | bytearray | memoryview

GroupId = NewType("GroupId", int)
NodeId = NewType("NodeId", int)
Term = NewType("Term", int)
Index = NewType("Index", int)


class Role(Enum):
    FOLLOWER = "follower"
    CANDIDATE = "candidate"
    LEADER = "leader"
    LEARNER = "learner"


class Proposal(NamedTuple):
    """Where a proposed body stands in the log, if it is ever committed with this term."""

    term: Term
    index: Index  # pyright: ignore[reportIncompatibleMethodOverride] - the paper's word; nobody searches this tuple


class Place(NamedTuple):
    """Where an entry's body begins on this node: the segment's first index, and the byte position in its file."""

    segment: int
    position: int


@dataclass(frozen=True, slots=True)
class MemberProgress:
    """What the leader knows of a member. `match`: it has everything up to here on its disk."""

    node_id: NodeId
    is_voter: bool
    match: Index
    is_live: bool


@dataclass(frozen=True, slots=True)
class RoleChange:
    role: Role
    term: Term
    leader: NodeId | None


class StateMachine(Protocol):
    """What a group applies its committed entries to. All calls come from the group's event loop, in log order."""

    def restore(self, state: bytes) -> None:
        """Take over the state of a checkpoint: before any apply, and again when files were installed."""
        ...

    def apply(self, term: Term, index: Index, body: Sequence[Buffer], place: Place) -> None:
        """Execute a committed entry, each index exactly once after `restore`. `body` joined is what was proposed.

        On the node that proposed it (same term and index) a large `body` may be the very list given to `propose`.
        """
        ...

    def on_persisted(self, term: Term, index: Index) -> None:
        """Everything up to `index` is durable on this node's disk (acks=1 waits for this)."""
        ...

    def on_role(self, change: RoleChange) -> None:
        """LEADER is reported only once the term's no-op is applied: from then on admission may begin."""
        ...


class RaftGroup(Protocol):
    """One replicated log of opaque bytes."""

    @property
    def group_id(self) -> GroupId: ...
    @property
    def role(self) -> Role: ...
    @property
    def term(self) -> Term: ...
    @property
    def leader_or_none(self) -> NodeId | None: ...
    @property
    def applied(self) -> Index: ...
    @property
    def is_stopped(self) -> bool:
        """Closed, or stopped by a failure: it will never lead or apply again."""
        ...

    @property
    def is_writing(self) -> bool:
        """Proposed entries are waiting for the disk: a caller that gathers may go on gathering."""
        ...

    def check_accepts(self) -> None:
        """Whether a proposal made now would be taken, whatever its size.

        Raises: NotLeaderError, LogBusyError (leadership is handed over), LogFullError, GroupStoppedError.
        """
        ...

    def propose(self, body: Sequence[Buffer]) -> Proposal:
        """Append one entry whose body is the concatenation of the buffers, which must not change any more.

        Raises: NotLeaderError, LogFullError (disk full: read-only), EntryTooLargeError.
        """
        ...

    async def read_barrier(self) -> Index:
        """The index a linearizable read must have applied; returns when this node has.

        A follower asks its leader (ReadIndex). Raises: NotLeaderError when there is no leader, or not for long enough.
        """
        ...

    def read(self, segment: int, position: int, length: int) -> memoryview:
        """Bytes of a retained segment (a slice of its mapping, read-only). Raises: SegmentReleasedError."""
        ...

    def segment_path(self, segment: int) -> str: ...

    def save_checkpoint(self, state: bytes) -> None:
        """Remember `state` as of `applied`: a restart replays only what follows. Returns before it is durable."""
        ...

    @property
    def configuration(self) -> "Configuration":
        """The members in force: those of the last configuration entry in the log, committed or not."""
        ...

    def progress(self) -> "Sequence[MemberProgress]":
        """On the leader: how far each member is; empty elsewhere."""
        ...

    async def transfer(self, node: NodeId) -> None:
        """Hand leadership to a voter: proposals pause until it leads or an election time has passed.

        Raises: NotLeaderError, TransferFailedError (it does not lead after that time; proposals go on here).
        """
        ...

    async def change(self, voters: "Sequence[Peer]", learners: "Sequence[Peer]" = ()) -> None:
        """Bring the membership to exactly these, one step at a time; a new voter first catches up as a learner.

        May be called again at any time, by a new leader too: it goes on from what the log says. Returns when the last
        step is committed. Raises: NotLeaderError, ChangeInProgressError.
        """
        ...

    def leave(self) -> None:
        """Stop as one that was removed: of a replica that nobody needs. Its files stay, and with them its vote."""
        ...

    async def close(self) -> None: ...
