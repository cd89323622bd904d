"""What a leader knows of one other member, and what it may send it. Source: etcd/raft `tracker/progress.go`.

PROBE: where the logs agree is not known; one request at a time. REPLICATE: requests follow each other without waiting,
up to a window of bytes; `next` never falls. INSTALL: what it needs is released; it fetches files.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum

from .interfaces import Index, NodeId
from .messages import NO_INDEX


class ProgressState(Enum):
    PROBE = "probe"
    REPLICATE = "replicate"
    INSTALL = "install"


@dataclass(slots=True)
class Progress:
    """`match < next`: it has everything up to `match` on its disk as we have it. `round`: the last one it answered."""

    node_id: NodeId
    disk_id: str
    next: Index
    heard_ms: int
    is_voter: bool = False
    match: Index = NO_INDEX
    state: ProgressState = ProgressState.PROBE
    is_paused: bool = False
    round: int = 0
    install_due_ms: int = 0
    in_flight_bytes: int = 0
    in_flight: deque[tuple[Index, int]] = field(default_factory=deque[tuple[Index, int]])
    match_at_beat: Index = NO_INDEX

    def probe_from(self, next_index: Index) -> None:
        """Where it stands must be asked again."""
        self.state = ProgressState.PROBE
        self.is_paused = False
        self.next = next_index
        self.in_flight.clear()
        self.in_flight_bytes = 0

    def has_all(self, last: Index) -> bool:
        """Everything up to `last`, and nothing is on its way."""
        return self.state is ProgressState.REPLICATE and self.match == last and not self.in_flight

    def on_sent(self, last: Index, size: int) -> None:
        self.next = Index(last + 1)
        self.in_flight.append((last, size))
        self.in_flight_bytes += size

    def on_accepted(self, index: Index) -> None:
        """Everything up to `index` is on its disk."""
        self.match = max(self.match, index)
        if self.state is not ProgressState.REPLICATE:
            self.probe_from(Index(self.match + 1))
            self.state = ProgressState.REPLICATE
            return
        self.next = max(self.next, Index(self.match + 1))
        while self.in_flight and self.in_flight[0][0] <= index:
            self.in_flight_bytes -= self.in_flight.popleft()[1]
