"""Every bound of the Kafka door, with its unit and reason."""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB

READ_BUFFER_BYTES = 128 * KIB
LARGE_FRAME_BYTES = 16 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSettings:
    """Bounds of the listener, its connections and its requests; times in ms."""

    frame_bytes_max: int = 100 * MIB
    """Largest frame a client may announce, as Kafka's socket.request.max.bytes; more closes the connection."""
    frame_budget_bytes: int = 256 * MIB
    """Memory of all large frames that are unfinished or unanswered, over all connections. Beyond it they wait."""
    frame_deadline_ms: int = 30_000
    """A frame that was begun must be complete by then: bounds what a slow sender can hold."""
    first_frame_deadline_ms: int = 10_000
    """A new connection that has sent no whole frame by then is closed: it is no Kafka client."""
    frame_progress_bytes: int = 64 * KIB
    """While others wait for room, an unfinished large frame must grow by this much a sweep, or it is closed."""
    idle_deadline_ms: int = 600_000
    """A silent connection is closed, as Kafka's connections.max.idle.ms."""
    slow_reader_deadline_ms: int = 30_000
    """A client that does not read its answers for this long is closed: they are memory."""
    sweep_ms: int = 1_000
    """How often deadlines are looked at; they are this coarse, and no request pays for a timer."""

    connections_max: int = 4_096
    """Connections at a time; a further one is closed at once. Each holds a file and about 4 KiB."""
    connections_per_ip_max: int = 2_048
    """Of these, from one address."""
    accept_backlog: int = 1_024
    """Connections that the kernel may hold before we accept them."""
    inflight_requests_max: int = 64
    """Unanswered requests a connection; then reading stops. Above the default of every client (5 to 10)."""
    turn_ms: int = 5
    """After this long of one connection's pipelined requests the others have their turn."""
    slow_requests_max: int = 8_192
    """Coroutines at a time, over all connections: one a connection, most of them waiting for a rebalance."""
    write_buffer_bytes_max: int = 1 * MIB
    """Unsent answers a connection; above it no further request of that connection is begun."""

    fetch_bytes_max: int = 55 * MIB
    """Of one Fetch answer, as Kafka's fetch.max.bytes; one batch may be larger."""
    fetch_wait_ms_max: int = 30_000
    """Longest wait of a Fetch for data: what a client may make us remember."""
    produce_wait_ms_max: int = 60_000
    """Longest wait of a Produce for its commit, whatever its timeout says; then REQUEST_TIMED_OUT."""
    admin_topics_max: int = 10_000
    """Topics in one CreateTopics or DeleteTopics: each is a replicated command."""
    listed_partitions_max: int = 2_000
    """Partitions in one DescribeTopicPartitions answer, as Kafka's max.request.partition.size.limit."""

    def __post_init__(self) -> None:
        assert self.frame_bytes_max <= self.frame_budget_bytes, "the largest frame must fit into the budget"
        assert self.frame_bytes_max > LARGE_FRAME_BYTES, "a frame limit below 16 KiB refuses ordinary requests"
        assert self.sweep_ms <= self.frame_deadline_ms, "a deadline cannot be finer than the sweep"
        assert self.inflight_requests_max >= 1, "at least one request in flight"


# A small frame must fit behind whatever part of it is already there.
assert LARGE_FRAME_BYTES + 4 < READ_BUFFER_BYTES
