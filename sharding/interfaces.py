"""What the doors (gateway, embedded API, CLI jobs) may ask of this layer. `sharding.node.Node` fulfils `NodeApi`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

if TYPE_CHECKING:
    import pyarrow as pa

    from store.batches import BatchHeader
    from store.events import TimeRange
    from store.queries import AggregateQuery, EventsQuery
    from store.schema import Schema

    from .coordinators.interfaces import GroupDescription, GroupsApi

NO_WATERMARK = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAddress:
    """A live node as clients reach it."""

    node_id: int
    host: str
    kafka_port: int
    http_port: int
    rack: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTopic:
    """A topic as asked for; -1 partitions or replication means the broker's default. configs: name -> text."""

    name: str
    partitions: int = -1
    replication_factor: int = -1
    configs: Mapping[str, str] = field(default_factory=dict[str, str])
    schema: Schema | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A topic of the catalog, or a view of one (`is_view`; id derived from the topic's id and the view's name)."""

    topic_id: UUID
    name: str
    partition_count: int
    replication_factor: int
    configs: Mapping[str, str]
    schema: Schema | None
    is_view: bool = False

    @property
    def is_internal(self) -> bool:
        return self.is_view


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigEntry:
    """One topic or node setting for DescribeConfigs: value as text, where it comes from, what it means."""

    name: str
    value: str | None
    is_default: bool
    is_read_only: bool
    is_sensitive: bool
    kind: str  # boolean | string | int | long | double | list
    documentation: str


@dataclass(frozen=True, slots=True)
class Appended:
    """The outcome of a committed append; `is_duplicate` repeats the first answer of an idempotent batch."""

    base_offset: int
    log_append_time_ms: int
    log_start: int
    is_duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Fetched:
    """Whole batches from the one containing the asked offset on; empty `records` at the end of the log."""

    records: Sequence[memoryview]
    size_bytes: int
    high_watermark: int
    last_stable_offset: int
    log_start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionPlacement:
    """Who has a partition, for Metadata. `leader_id` -1: nobody leads, as far as this node knows.

    `in_sync`: the replicas that are live and have what is committed, as the leader sees it; elsewhere, those that are
    live. `offline`: the replicas that this node cannot reach.
    """

    leader_id: int
    leader_epoch: int
    replicas: Sequence[int]
    in_sync: Sequence[int]
    offline: Sequence[int]


@dataclass(frozen=True, slots=True)
class FoundOffset:
    offset: int
    timestamp_ms: int
    leader_epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDescription:
    """A registered node. `is_live`: the node that was asked has heard of it lately, or is it."""

    address: NodeAddress
    host: str
    disk_id: str
    incarnation: int
    is_live: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaDescription:
    """A member of a shard's group. `match`: it has everything up to here on its disk; -1 if no leader answered."""

    node_id: int
    is_voter: bool
    match: int
    is_live: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardDescription:
    """`wanted`: the replicas by the catalog, the preferred leader first; `replicas`: the members as they are.

    As the shard's leader tells, or, if none answers, as this node knows; shard 0 is the catalog. `leader_id` -1: none.
    """

    shard_id: int
    replication_factor: int
    wanted: Sequence[int]
    leader_id: int
    term: int
    applied: int
    partition_count: int
    replicas: Sequence[ReplicaDescription]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterDescription:
    """All nodes and shards; `node_id` is who answers, `controller_id` leads the catalog (-1: nobody)."""

    cluster_id: str
    node_id: int
    controller_id: int
    nodes: Sequence[NodeDescription]
    shards: Sequence[ShardDescription]


class PartitionApi(Protocol):
    """One partition of a topic or of a view, on the node that leads it. Every offset shown is committed."""

    @property
    def topic(self) -> Topic: ...
    @property
    def index(self) -> int: ...
    @property
    def leader_epoch(self) -> int: ...
    @property
    def log_start(self) -> int: ...
    @property
    def high_watermark(self) -> int: ...
    @property
    def last_stable_offset(self) -> int: ...

    def append(
        self,
        batch: memoryview,
        header: BatchHeader,
        *,
        acks: int,
        now_ms: int,
        on_done: Callable[[Appended | Exception], None],
    ) -> None:
        """Admit one checked batch (magic 2, CRC, lengths: `store.batches.check`), whose memory is ours from now on.

        Base offset and leader epoch are stamped into it. `on_done` is called exactly once, from the event loop, never
        inside this call: with acks=-1 after commit, with 1 after the leader's disk, with 0 after admission.
        Raises what admission refuses: NotLeaderError, OutOfOrderSequenceError, InvalidTimestampError, InvalidTopicError
        (views), StorageFullError…; then `on_done` is not called. Among several members a sequence that is out of order
        is refused through `on_done`, once a majority has confirmed this leader.
        """
        ...

    def read(self, offset: int, bytes_max: int, *, is_committed_only: bool = True) -> Fetched | Awaitable[Fetched]:
        """Batches from `offset` on, about `bytes_max` bytes but at least one batch if there is any.

        Awaitable where bytes must be made (views). Raises: OffsetOutOfRangeError, NotLeaderError.
        """
        ...

    async def confirm(self) -> None:
        """Returns when nobody else can have led the partition before this call: what is shown now is the latest.

        Raises: NotLeaderError, TimedOutError.
        """
        ...

    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:
        """Call `on_change` (from the loop) when the high watermark rises or leadership ends; returns the undo."""
        ...

    async def offset_of_time(self, timestamp_ms: int) -> FoundOffset | None:
        """The least offset whose record has timestamp >= timestamp_ms, exactly, or None."""
        ...

    async def offset_of_greatest_time(self) -> FoundOffset | None:
        """Source: KIP-734 (ListOffsets -3)."""
        ...

    def end_of_epoch(self, leader_epoch: int) -> tuple[int, int]:
        """(epoch, end offset) for OffsetForLeaderEpoch: the greatest epoch <= the asked one; (-1, -1) if none."""
        ...

    def check_epoch(self, leader_epoch: int) -> None:
        """-1 passes. Raises: FencedLeaderEpochError, UnknownLeaderEpochError. Source: KIP-320."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionSpan:
    """Per partition under disorder: least offset with ts in range, the least safe end offset, the exact count."""

    partition: int
    first_offset: int
    end_offset: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitDescription:
    """A time split. `state`: open | sealing | historic. Bounds in ms, None while empty; end offsets per partition."""

    number: int
    state: str
    first_ms: int | None
    last_ms: int | None
    count: int
    bytes: int
    end_offsets: Sequence[int]
    files: Sequence[str]
    opened_ms: int
    sha256: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class WatermarkDescription:
    """The last committed tick; tick 0 with watermark None before the first."""

    tick: int
    watermark_ms: int | None
    cut: Sequence[int]
    late_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerMeta:
    """What an answer is: as_of = token (topic id, tick, offset per partition); splits as counts; plan as touched."""

    as_of: str
    watermark_ms: int | None
    live_splits: int
    historic_splits: int
    served_by: int
    plan: Mapping[str, int | str]


@dataclass(frozen=True, slots=True)
class EventsAnswer:
    """`batches` yields arrow record batches in the asked order; columns as DESIGN.md section 11 names them.

    `cursor` goes on behind the last batch that was given; None if the limit has not cut the answer off.
    """

    meta: AnswerMeta
    schema: pa.Schema
    batches: AsyncIterator[pa.RecordBatch]
    cursor: Callable[[], str | None] = lambda: None


@dataclass(frozen=True, slots=True)
class AggregateAnswer:
    meta: AnswerMeta
    table: pa.Table


class StreamApi(Protocol):
    """A topic by event time: live and historic data in one answer."""

    @property
    def topic(self) -> Topic: ...

    async def events(self, query: EventsQuery) -> EventsAnswer: ...
    async def aggregate(self, query: AggregateQuery) -> AggregateAnswer: ...
    async def offsets(self, span: TimeRange) -> list[PartitionSpan]: ...
    def splits(self) -> list[SplitDescription]: ...
    def watermark(self) -> WatermarkDescription: ...

    async def seal(self, *, at_least_ms: int | None = None) -> SplitDescription | None:
        """Close the open split now with W = its highest timestamp; returns when it is historic (None: it was empty).

        `at_least_ms` raises W further, on the caller's word that nothing will come at or below it in time: so windows
        close that reach behind the last event. Never above the clock + `clock.ahead.ms`.
        """
        ...


class LeadersApi(Protocol):
    """Whether what this node says of leaders is so now."""

    def are_here(self, topics: Iterable[Topic]) -> bool:
        """This node leads every partition of these."""
        ...

    async def until_known(self, topics: Iterable[Topic]) -> None:
        """Until the leaders of their partitions live, as far as that can be expected soon; within 0.4 s."""
        ...


class NodeApi(Protocol):
    """Everything that a door may ask of this process."""

    @property
    def node_id(self) -> int: ...
    @property
    def cluster_id(self) -> str: ...
    @property
    def controller_id(self) -> int: ...
    @property
    def groups(self) -> GroupsApi: ...
    @property
    def leaders(self) -> LeadersApi: ...

    def nodes(self) -> list[NodeAddress]: ...
    def topics(self) -> list[Topic]:
        """Every topic, sorted by name, without views."""
        ...

    def views(self) -> list[Topic]: ...
    def topic(self, name: str) -> Topic:
        """A topic or a view by name. Raises: UnknownTopicError."""
        ...

    def topic_by_id(self, topic_id: UUID) -> Topic: ...
    async def ensure_topic(self, name: str) -> Topic:
        """The topic, created with defaults if that is allowed. Raises: UnknownTopicError, InvalidTopicError."""
        ...

    async def create_topic(self, wanted: NewTopic, *, is_dry_run: bool = False) -> Topic:
        """Returns when every partition has a ready leader."""
        ...

    async def delete_topic(self, name: str) -> None: ...
    def topic_configs(self, name: str) -> list[ConfigEntry]: ...
    def node_configs(self) -> list[ConfigEntry]: ...
    async def set_topic_configs(
        self, name: str, changes: Mapping[str, str | None], *, is_dry_run: bool = False
    ) -> None:
        """None deletes a setting. Raises: InvalidConfigError."""
        ...

    def partition(self, topic: Topic, index: int) -> PartitionApi:
        """Raises: UnknownPartitionError, NotLeaderError."""
        ...

    def leader_of(self, topic: Topic, index: int) -> tuple[int, int, Sequence[int]]:
        """(leader id or -1, leader epoch, replicas), for hints. Raises: UnknownPartitionError, UnknownTopicIdError."""
        ...

    def placement_of(self, topic: Topic, index: int) -> PartitionPlacement:
        """Raises: UnknownPartitionError, UnknownTopicIdError."""
        ...

    def bounds_or_none(self, topic: Topic, index: int) -> tuple[int, int] | None:
        """(log start, high watermark) as this node knows them, led here or not; None without a replica here."""
        ...

    async def append_elsewhere(self, topic: Topic, index: int, batch: memoryview) -> Appended:
        """Admit one checked batch where the partition is led, acks=all.

        Raises: NotLeaderError (`is_refusal`: nothing was stored), TimedOutError, and what admission refuses.
        """
        ...

    def stream(self, name: str) -> StreamApi:
        """Raises: UnknownTopicError, InvalidRequestError (a view), NotReplicatedHereError."""
        ...

    async def all_groups(self) -> list[GroupDescription]:
        """The groups of every node that answers within a second; `groups.list()` has those of this one."""
        ...

    async def allocate_producer_id(self) -> int: ...
    def coordinator_of(self, kind: str, key: str) -> NodeAddress:
        """kind: group | transaction. Raises: CoordinatorNotAvailableError."""
        ...

    async def cluster(self) -> ClusterDescription:
        """Nodes and shards, gathered from the leaders that answer within a second."""
        ...

    async def grow(self, replication_factor: int) -> list[int]:
        """Want that many replicas of each shard that has fewer, as far as live nodes go; the shards that change.

        They grow in the background, without a pause for clients. Raises: NotLeaderError, ClosingError.
        """
        ...

    async def want_replicas(self, shard_id: int, replicas: Sequence[int]) -> None:
        """Move a shard to these nodes, the preferred leader first, in the background; a minority of them at a time.

        Raises: InvalidRequestError, NotLeaderError, ClosingError.
        """
        ...
