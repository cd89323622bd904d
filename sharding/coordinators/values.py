"""What goes into a group's state machine and comes out of it, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from .interfaces import Joined, Synced
from .roster import Ticket
from .saved import SavedGroup


class GroupState(Enum):
    """Kafka's words."""

    EMPTY = "Empty"
    PREPARING = "PreparingRebalance"
    COMPLETING = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLimits:
    """Bounds of every group; the defaults are Kafka's, but for the counts (Kafka has none)."""

    session_min_ms: int = 6_000
    session_max_ms: int = 1_800_000
    members_max: int = 1_000
    pending_max: int = 1_000
    initial_rebalance_delay_ms: int = 3_000
    groups_per_slot_max: int = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncWanted:
    """A SyncGroup request; protocol type and name are checked if given (SyncGroup >= 5)."""

    generation: int
    member_id: str
    instance_id: str | None
    assignments: Mapping[str, bytes]
    protocol_type: str | None = None
    protocol: str | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    ticket: Ticket
    outcome: Joined | Synced | Exception


@dataclass(frozen=True, slots=True)
class SaveWanted:
    number: int
    group: SavedGroup


Output = Answered | SaveWanted
