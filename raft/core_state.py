"""What all roles of a member share: its place in the group, its log, what it has committed, what it wants to say."""

from dataclasses import dataclass, field
from typing import Protocol

from .configuration import Configuration
from .entries import make
from .errors import InstallFailedError
from .hard_state import HardState
from .interfaces import Index, NodeId, Term
from .memberships import Memberships
from .messages import (
    NO_INDEX,
    AppendRequest,
    AppendResponse,
    Heartbeat,
    HeartbeatResponse,
    InstallRequest,
    Message,
    Outgoing,
    PreVoteRequest,
    TimeoutNow,
    VoteRequest,
)
from .settings import RUN_BYTES_MAX
from .tail import LogView, Tail


class Randomness(Protocol):
    """`random.Random`, seeded by whoever wants to replay."""

    def randrange(self, start: int, stop: int) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """`election_ms`: silence of the leader before a pre-vote, this much to twice as much; so long it is protected.

    `stall_ms`: silence that signs of life excuse at most.
    """

    heartbeat_ms: int = 100
    election_ms: int = 500
    stall_ms: int = 3_000
    window_bytes: int = 8 << 20
    append_bytes_max: int = RUN_BYTES_MAX

    def __post_init__(self) -> None:
        assert 0 < 2 * self.heartbeat_ms <= self.election_ms, f"{self.heartbeat_ms} and {self.election_ms} ms"
        assert 0 < self.append_bytes_max <= self.window_bytes, f"{self.append_bytes_max} of {self.window_bytes} bytes"


DEFAULT_TIMINGS = Timings()


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreConfig:
    """What a member knows when it starts.

    `disk_id`: as which a configuration names it; with another one it names a predecessor, for whom this one neither
    stands nor counts. None: whatever has its node id.
    `configuration`: the last one in the log (at `configuration_index`, 0 if that is below the checkpoint), or the
    founding one, or None: wait to be told. `configuration_before`: the one that returns when that entry is cut.
    `applied`: what the state machine starts from. `campaigns_at_once`: the preferred leader of a new group; a single
    voter always does. `is_damaged`: entries it had acknowledged are lost, so it neither votes nor stands until its
    durable log holds a leader's commit index whose entry is of that leader's own term. `is_doubtful`: they may be lost;
    until then its vote says so (`ballot`).
    """

    node_id: NodeId
    configuration: Configuration | None
    is_configuration_logged: bool
    applied: Index
    disk_id: str | None = None
    configuration_index: Index = NO_INDEX
    configuration_before: Configuration | None = None
    campaigns_at_once: bool = False
    is_damaged: bool = False
    is_doubtful: bool = False
    timings: Timings = DEFAULT_TIMINGS


@dataclass(slots=True)
class CoreState:
    """`committed <= tail.last`; `committed` never falls. `durable`: the hard state that is on the disk."""

    node_id: NodeId
    timings: Timings
    log: LogView
    tail: Tail
    memberships: Memberships
    hard_state: HardState
    durable: HardState
    committed: Index
    is_hard_state_new: bool = False
    outbox: list[Outgoing] = field(default_factory=list[Outgoing])

    @property
    def term(self) -> Term:
        return self.hard_state.term

    def send(self, to: NodeId, message: Message) -> None:
        self.outbox.append(make(Outgoing, (to, message)))

    def answer_old(self, sender: NodeId, message: Message) -> bool:
        """A deposed leader learns of our term from this answer; a candidate is heard nevertheless: True."""
        match message:
            case PreVoteRequest() | VoteRequest():
                return True
            case AppendRequest():
                self.send(sender, AppendResponse(self.term, True, message.prev_index, 0))
            case Heartbeat() | InstallRequest() | TimeoutNow():
                self.send(sender, HeartbeatResponse(self.term, 0))
            case _:
                pass
        return False

    def begin_term(self, term: Term, vote: NodeId | None) -> None:
        assert term > self.term, f"term {term} after {self.term}"
        self.hard_state = HardState(term, vote)
        self.is_hard_state_new = True

    def vote_for(self, node: NodeId) -> None:
        assert self.hard_state.vote is None, f"voted for {self.hard_state.vote} in term {self.term}"
        self.hard_state = HardState(self.term, node)
        self.is_hard_state_new = True

    def check_files(self, index: Index, term: Term) -> None:
        """May files of a leader that end with this entry take the place of the log? Raises: InstallFailedError.

        Where they end inside it, they would take back what was acknowledged behind. Is their term not durable here,
        the next start would find a log of a term that was never begun, as if a vote were forgotten.
        """
        tail = self.tail
        if index <= self.committed or (index <= tail.last and tail.term(index) == term):
            raise InstallFailedError(f"files up to entry {index}, but {tail.last} is here")
        if term > self.durable.term:
            raise InstallFailedError(f"files of term {term}, but term {self.durable.term} is durable here")

    def commit_to(self, index: Index) -> None:
        """Entries up to `index` are decided; an older index is a late message and changes nothing."""
        if index > self.committed:
            assert index <= self.tail.last, f"commit {index} is past the last entry {self.tail.last}"
            self.committed = index
            self.memberships.forget_before(index)
