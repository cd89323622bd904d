"""What the Kafka door counts: plain integers, read by whoever exposes them. One event loop writes."""

from dataclasses import dataclass, field
from enum import StrEnum

API_KEYS_MAX = 128


class Closed(StrEnum):
    """Why a connection ended."""

    BY_PEER = "by peer"
    MALFORMED = "malformed frame"
    UNKNOWN_REQUEST = "unknown api or version"
    FRAME_DEADLINE = "frame deadline"
    NO_ROOM = "no room for its frame"
    TOO_BUSY = "too many slow requests"
    IDLE = "idle"
    SLOW_READER = "slow reader"
    REFUSED = "too many connections"
    PRODUCE_REFUSED = "a produce without answer failed"
    FAULT = "a fault of ours"
    STOPPING = "stopping"


@dataclass(slots=True)
class KafkaMetrics:
    """Counters since start, and the gauges `connections_open` and `frame_bytes_held`."""

    requests: list[int] = field(default_factory=lambda: [0] * API_KEYS_MAX)
    """By API key."""
    errors: dict[int, int] = field(default_factory=dict[int, int])
    """By Kafka error code, one for each partition, topic or request that was refused."""
    closed: dict[Closed, int] = field(default_factory=lambda: dict.fromkeys(Closed, 0))
    bytes_in: int = 0
    bytes_out: int = 0
    malformed_frames: int = 0
    connections_opened: int = 0
    connections_open: int = 0
    frame_bytes_held: int = 0
    """Memory of large frames, unfinished or unanswered."""
    frames_waited: int = 0
    """Large frames that had to wait for the byte budget."""

    def count_error(self, code: int) -> None:
        self.errors[code] = self.errors.get(code, 0) + 1
