"""The bounds of this layer, each with its reason; `timesplit.settings` sets those that an operator may move."""

from dataclasses import dataclass

MIB = 1 << 20
RUN_BYTES_MAX = MIB + MIB // 16
"""What is written and sent as one piece: 1 MiB of bodies with their headers, unless there are very many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RaftSettings:
    """segment: preallocated, and the unit of release. in flight: proposed and not yet applied, held in memory."""

    segment_bytes: int = 64 * MIB
    entry_bytes_max: int = 128 * MIB
    in_flight_bytes_max: int = 256 * MIB
    in_flight_entries_max: int = 65_536
    apply_slice_ms: int = 5  # of the 10 ms that a loop callback of ours may take
    mark_ms: int = 50  # how far the durable mark may be behind; only damage that recent looks like a torn tail
    space_retry_ms: int = 1_000
    close_timeout_ms: int = 5_000  # of the 10 s that a node has to stop
    heartbeat_ms: int = 100
    election_ms: int = 500  # silence of the leader before a pre-vote: this much to twice as much, drawn for each wait
    stall_ms: int = 3_000  # so long a node that gives signs of life is waited for, though nothing else comes from it
    window_bytes: int = 8 * MIB  # sent to one follower of one group and not yet acknowledged
    append_bytes_max: int = RUN_BYTES_MAX  # of one AppendRequest, unless a single entry is larger
    silence_ms: int = 1_000  # a link on which nothing came for so long is down
    link_queue_bytes_max: int = 64 * MIB  # waiting for a slow peer; more is dropped, Raft sends it again
    rpcs_max: int = 1_024  # calls under way to one peer, and calls of one peer served at a time

    def __post_init__(self) -> None:
        assert 2 * 4096 <= self.segment_bytes <= 2048 * MIB, f"segments of {self.segment_bytes} bytes"
        assert 0 < self.entry_bytes_max <= 1024 * MIB, f"entries of up to {self.entry_bytes_max} bytes"
