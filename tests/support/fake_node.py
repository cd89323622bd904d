"""A node in memory behind the gateway's contract: commits when told to, or at the end of each step of the loop."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from sharding.coordinators.interfaces import (
    CommittedOffset,
    GroupDescription,
    Joined,
    JoinWanted,
    MemberDescription,
    Synced,
)
from sharding.errors import (
    CoordinatorNotAvailableError,
    FencedLeaderEpochError,
    GroupNotFoundError,
    IllegalGenerationError,
    InvalidConfigError,
    InvalidRequestError,
    InvalidTopicError,
    MemberIdRequiredError,
    NonEmptyGroupError,
    NotLeaderError,
    OffsetOutOfRangeError,
    TopicExistsError,
    UnknownLeaderEpochError,
    UnknownMemberError,
    UnknownPartitionError,
    UnknownTopicError,
    UnknownTopicIdError,
)
from sharding.interfaces import (
    Appended,
    ClusterDescription,
    ConfigEntry,
    Fetched,
    FoundOffset,
    NewTopic,
    NodeAddress,
    NodeDescription,
    PartitionPlacement,
    ReplicaDescription,
    ShardDescription,
    Topic,
)
from store.batches import BatchHeader, records, stamp

FORBIDDEN = {"", ".", ".."}


class FakePartition:
    """Batches in a list; `held` collects appends while the node holds commits."""

    def __init__(self, node: FakeNode, topic: Topic, index: int) -> None:
        self.node, self.topic, self.index = node, topic, index
        self.leader_epoch = 5
        self.log_start = 0
        self.next_offset = 0
        self.high_watermark = 0
        self.batches: list[tuple[int, memoryview]] = []
        self.watchers: dict[object, Callable[[], None]] = {}
        self.refusal: Exception | None = None
        self.deposed_by: int | None = None
        self.is_slow = False

    @property
    def last_stable_offset(self) -> int:
        return self.high_watermark

    def append(
        self,
        batch: memoryview,
        header: BatchHeader,
        *,
        acks: int,
        now_ms: int,
        on_done: Callable[[Appended | Exception], None],
    ) -> None:
        if self.refusal is not None:
            raise self.refusal
        if self.topic.is_view:
            raise InvalidTopicError(f"{self.topic.name} is a view")
        base = self.next_offset
        stamp(batch, base, self.leader_epoch)
        self.next_offset = base + header.last_offset_delta + 1
        self.batches.append((base, batch))
        self.node.committing.append((self, self.next_offset, on_done, Appended(base, -1, self.log_start)))
        self.node.appended += 1
        self.node.commit_soon()

    def advance(self, end: int) -> None:
        self.high_watermark = end
        for on_change in tuple(self.watchers.values()):
            on_change()

    def read(self, offset: int, bytes_max: int, *, is_committed_only: bool = True) -> Fetched | Awaitable[Fetched]:
        if self.refusal is not None:
            raise self.refusal
        if self.is_slow or self.topic.is_view:
            return self._read_slowly(offset, bytes_max)
        return self._read(offset, bytes_max)

    async def _read_slowly(self, offset: int, bytes_max: int) -> Fetched:
        await asyncio.sleep(0)
        return self._read(offset, bytes_max)

    def _read(self, offset: int, bytes_max: int) -> Fetched:
        if not self.log_start <= offset <= self.high_watermark:
            raise OffsetOutOfRangeError(offset, self.log_start, self.high_watermark)
        found: list[memoryview] = []
        size = 0
        starts = [base for base, _ in self.batches]
        for position, (base, batch) in enumerate(self.batches):
            end = starts[position + 1] if position + 1 < len(starts) else self.next_offset
            if end <= offset or base >= self.high_watermark:
                continue
            if found and size + len(batch) > bytes_max:
                break
            found.append(batch)
            size += len(batch)
        return Fetched(found, size, self.high_watermark, self.high_watermark, self.log_start)

    async def confirm(self) -> None:
        await asyncio.sleep(0)
        if self.deposed_by is not None:
            raise NotLeaderError(self.deposed_by)

    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:
        key = object()
        self.watchers[key] = on_change
        return lambda: self.watchers.pop(key, None)

    async def offset_of_time(self, timestamp_ms: int) -> FoundOffset | None:
        rows = [row for _, batch in self.batches for row in records(batch)]
        found = next((row for row in rows if row.timestamp_ms >= timestamp_ms), None)
        return None if found is None else FoundOffset(found.offset, found.timestamp_ms, self.leader_epoch)

    async def offset_of_greatest_time(self) -> FoundOffset | None:
        rows = [row for _, batch in self.batches for row in records(batch)]
        if not rows:
            return None
        found = max(rows, key=lambda row: row.timestamp_ms)
        return FoundOffset(found.offset, found.timestamp_ms, self.leader_epoch)

    def end_of_epoch(self, leader_epoch: int) -> tuple[int, int]:
        return (self.leader_epoch, self.high_watermark) if leader_epoch >= self.leader_epoch else (-1, -1)

    def check_epoch(self, leader_epoch: int) -> None:
        if leader_epoch == -1:
            return
        if leader_epoch < self.leader_epoch:
            raise FencedLeaderEpochError(f"epoch {leader_epoch}, now {self.leader_epoch}")
        if leader_epoch > self.leader_epoch:
            raise UnknownLeaderEpochError(f"epoch {leader_epoch}, now {self.leader_epoch}")


class FakeGroups:
    """One member a group; enough to see that every field arrives and leaves."""

    def __init__(self) -> None:
        self.joined: dict[str, tuple[str, int, JoinWanted]] = {}
        self.assignments: dict[str, bytes] = {}
        self.offsets: dict[str, dict[tuple[str, int], CommittedOffset]] = {}
        self.refusal: Exception | None = None
        self.join_gate: asyncio.Event | None = None
        self.members_made = 0

    def _refuse(self) -> None:
        if self.refusal is not None:
            raise self.refusal

    async def join(self, wanted: JoinWanted) -> Joined:
        self._refuse()
        if self.join_gate is not None:
            await self.join_gate.wait()
        member_id = wanted.member_id
        if not member_id:
            self.members_made += 1
            member_id = f"{wanted.client_id}-{self.members_made}"
            if wanted.needs_known_member_id and wanted.instance_id is None:
                raise MemberIdRequiredError(member_id)
        _, generation, _ = self.joined.get(wanted.group_id, ("", 0, wanted))
        self.joined[wanted.group_id] = (member_id, generation + 1, wanted)
        name, metadata = wanted.protocols[0]
        return Joined(
            generation=generation + 1,
            protocol_type=wanted.protocol_type,
            protocol=name,
            leader_id=member_id,
            member_id=member_id,
            members=[(member_id, wanted.instance_id, metadata)],
        )

    def _check(self, group_id: str, generation: int, member_id: str) -> JoinWanted:
        self._refuse()
        member, current, wanted = self.joined.get(group_id, ("", 0, None))
        if wanted is None or member != member_id:
            raise UnknownMemberError(f"{member_id!r} of {group_id!r}")
        if generation != current:
            raise IllegalGenerationError(f"{generation}, now {current}")
        return wanted

    async def sync(
        self,
        group_id: str,
        generation: int,
        member_id: str,
        instance_id: str | None,
        assignments: Mapping[str, bytes],
        *,
        protocol_type: str | None = None,
        protocol: str | None = None,
    ) -> Synced:
        wanted = self._check(group_id, generation, member_id)
        self.assignments[group_id] = assignments.get(member_id, b"")
        return Synced(
            protocol_type=wanted.protocol_type,
            protocol=wanted.protocols[0][0],
            assignment=self.assignments[group_id],
        )

    def heartbeat(self, group_id: str, generation: int, member_id: str, instance_id: str | None) -> None:
        self._check(group_id, generation, member_id)

    async def leave(self, group_id: str, members: Sequence[tuple[str, str | None]]) -> list[Exception | None]:
        self._refuse()
        outcomes: list[Exception | None] = []
        for member_id, _ in members:
            member, _, _ = self.joined.get(group_id, (None, 0, None))
            if member == member_id:
                del self.joined[group_id]
                outcomes.append(None)
            else:
                outcomes.append(UnknownMemberError(member_id))
        return outcomes

    async def commit(
        self,
        group_id: str,
        generation: int,
        member_id: str,
        instance_id: str | None,
        offsets: Mapping[tuple[str, int], CommittedOffset],
    ) -> None:
        self._refuse()
        if generation >= 0:
            self._check(group_id, generation, member_id)
        self.offsets.setdefault(group_id, {}).update(offsets)

    async def fetch(
        self, group_id: str, wanted: Sequence[tuple[str, int]] | None
    ) -> Mapping[tuple[str, int], CommittedOffset]:
        self._refuse()
        found = self.offsets.get(group_id, {})
        return {place: offset for place, offset in found.items() if wanted is None or place in wanted}

    def list(self) -> list[GroupDescription]:
        return [self.describe(group_id) for group_id in sorted({*self.joined, *self.offsets})]

    def describe(self, group_id: str) -> GroupDescription:
        self._refuse()
        if group_id not in self.joined:
            state = "Empty" if group_id in self.offsets else "Dead"
            return GroupDescription(group_id=group_id, state=state, protocol_type="", protocol="", generation=0)
        member_id, generation, wanted = self.joined[group_id]
        name, metadata = wanted.protocols[0]
        member = MemberDescription(
            member_id=member_id,
            instance_id=wanted.instance_id,
            client_id=wanted.client_id,
            client_host=wanted.client_host,
            metadata=metadata,
            assignment=self.assignments.get(group_id, b""),
        )
        return GroupDescription(
            group_id=group_id,
            state="Stable",
            protocol_type=wanted.protocol_type,
            protocol=name,
            generation=generation,
            members=[member],
        )

    async def delete(self, group_id: str) -> None:
        if group_id in self.joined:
            raise NonEmptyGroupError(group_id)
        if self.offsets.pop(group_id, None) is None:
            raise GroupNotFoundError(group_id)

    async def delete_offsets(self, group_id: str, partitions: Sequence[tuple[str, int]]) -> list[Exception | None]:
        if group_id not in self.offsets:
            raise GroupNotFoundError(group_id)
        return [None if self.offsets[group_id].pop(p, None) else UnknownPartitionError(str(p)) for p in partitions]


class FakeLeaders:
    """Elections are over as soon as somebody waits for one, if `is_electing`."""

    def __init__(self, node: FakeNode) -> None:
        self.is_electing = False
        self._node = node

    def are_here(self, topics: Iterable[Topic]) -> bool:
        return not [*topics] or (self._node.leader_id == self._node.node_id and not self._node.is_leaderless)

    async def until_known(self, topics: Iterable[Topic]) -> None:
        assert all(self._node.topic(topic.name) == topic for topic in topics)
        if self.is_electing:
            self._node.is_leaderless = False


class FakeNode:
    """Fulfils `sharding.interfaces.NodeApi` but for the questions by event time."""

    def __init__(self) -> None:
        self.node_id = 7
        self.cluster_id = "fake-cluster"
        self.controller_id = 7
        self.groups = FakeGroups()
        self.port = 0
        self.leaders = FakeLeaders(self)
        self.is_leaderless = False
        self.leader_id = 7
        self.replicas = [7]
        self.others: list[NodeAddress] = []
        self.offline: set[int] = set()
        self.auto_creates = True
        self.topics_by_name: dict[str, Topic] = {}
        self.partitions: dict[tuple[str, int], FakePartition] = {}
        self.wanted_replicas: list[tuple[int, list[int]]] = []
        self.configs: dict[str, dict[str, str]] = {}
        self.committing: list[tuple[FakePartition, int, Callable[[Appended | Exception], None], Appended]] = []
        self.holds_commits = False
        self.is_commit_due = False
        self.appended = 0
        self.producer_ids = 1000

    def commit_soon(self) -> None:
        if not self.holds_commits and not self.is_commit_due:
            self.is_commit_due = True
            asyncio.get_running_loop().call_soon(self.commit)

    def commit(self, failure: Exception | None = None) -> None:
        """End every append under way, in order: committed, or failed."""
        self.is_commit_due = False
        committing, self.committing = self.committing, []
        ends: dict[FakePartition, int] = {}
        for partition, end, on_done, outcome in committing:
            ends[partition] = end
            on_done(outcome if failure is None else failure)
        if failure is None:
            for partition, end in ends.items():
                partition.advance(end)

    def add_topic(self, name: str, partitions: int = 1, *, is_view: bool = False) -> Topic:
        topic = Topic(
            topic_id=uuid.uuid5(uuid.NAMESPACE_URL, name),
            name=name,
            partition_count=partitions,
            replication_factor=1,
            configs={},
            schema=None,
            is_view=is_view,
        )
        self.topics_by_name[name] = topic
        self.configs[name] = {}
        for index in range(partitions):
            self.partitions[name, index] = FakePartition(self, topic, index)
        return topic

    def nodes(self) -> list[NodeAddress]:
        return [NodeAddress(node_id=7, host="127.0.0.1", kafka_port=self.port, http_port=1), *self.others]

    def topics(self) -> list[Topic]:
        return sorted((t for t in self.topics_by_name.values() if not t.is_view), key=lambda topic: topic.name)

    def views(self) -> list[Topic]:
        return [topic for topic in self.topics_by_name.values() if topic.is_view]

    def topic(self, name: str) -> Topic:
        found = self.topics_by_name.get(name)
        if found is None:
            raise UnknownTopicError(name)
        return found

    def topic_by_id(self, topic_id: uuid.UUID) -> Topic:
        for topic in self.topics_by_name.values():
            if topic.topic_id == topic_id:
                return topic
        raise UnknownTopicIdError(str(topic_id))

    async def ensure_topic(self, name: str) -> Topic:
        if not self.auto_creates:
            raise UnknownTopicError(name)
        return self.topics_by_name.get(name) or await self.create_topic(NewTopic(name=name))

    async def create_topic(self, wanted: NewTopic, *, is_dry_run: bool = False) -> Topic:
        if wanted.name in FORBIDDEN or "/" in wanted.name:
            raise InvalidTopicError(f"{wanted.name!r} is no topic name")
        if wanted.name in self.topics_by_name:
            raise TopicExistsError(wanted.name)
        await asyncio.sleep(0)
        topic = self.add_topic(wanted.name, max(wanted.partitions, 1))
        self.configs[wanted.name] = dict(wanted.configs)
        if is_dry_run:
            del self.topics_by_name[wanted.name]
        return topic

    async def delete_topic(self, name: str) -> None:
        del self.topics_by_name[name]

    def topic_configs(self, name: str) -> list[ConfigEntry]:
        self.topic(name)
        given = self.configs[name]
        defaults = {"retention.ms": ("-1", "long"), "cleanup.policy": ("delete", "list")}
        return [
            ConfigEntry(
                name=key,
                value=given.get(key, default),
                is_default=key not in given,
                is_read_only=False,
                is_sensitive=False,
                kind=kind,
                documentation=f"about {key}",
            )
            for key, (default, kind) in defaults.items()
        ]

    def node_configs(self) -> list[ConfigEntry]:
        return [
            ConfigEntry(
                name="secret",
                value="hidden",
                is_default=False,
                is_read_only=True,
                is_sensitive=True,
                kind="string",
                documentation="about secret",
            )
        ]

    async def set_topic_configs(
        self, name: str, changes: Mapping[str, str | None], *, is_dry_run: bool = False
    ) -> None:
        self.topic(name)
        unknown = set(changes) - {"retention.ms", "cleanup.policy"}
        if unknown:
            raise InvalidConfigError(f"unknown: {unknown}")
        if not is_dry_run:
            for key, value in changes.items():
                if value is None:
                    self.configs[name].pop(key, None)
                else:
                    self.configs[name][key] = value

    def partition(self, topic: Topic, index: int) -> FakePartition:
        found = self.partitions.get((topic.name, index))
        if found is None:
            raise UnknownPartitionError(f"{topic.name}-{index}")
        return found

    def leader_of(self, topic: Topic, index: int) -> tuple[int, int, Sequence[int]]:
        return (-1 if self.is_leaderless else self.leader_id), 5, self.replicas

    def placement_of(self, topic: Topic, index: int) -> PartitionPlacement:
        leader_id, leader_epoch, replicas = self.leader_of(topic, index)
        return PartitionPlacement(
            leader_id=leader_id,
            leader_epoch=leader_epoch,
            replicas=replicas,
            in_sync=[one for one in replicas if one not in self.offline],
            offline=[one for one in replicas if one in self.offline],
        )

    async def cluster(self) -> ClusterDescription:
        nodes = [
            NodeDescription(address=one, host="rack", disk_id="disk", incarnation=1, is_live=True)
            for one in self.nodes()
        ]
        replica = ReplicaDescription(node_id=7, is_voter=True, match=9, is_live=True)
        shard = ShardDescription(
            shard_id=1,
            replication_factor=1,
            wanted=[7],
            leader_id=7,
            term=3,
            applied=9,
            partition_count=2,
            replicas=[replica],
        )
        return ClusterDescription(cluster_id=self.cluster_id, node_id=7, controller_id=7, nodes=nodes, shards=[shard])

    async def grow(self, replication_factor: int) -> list[int]:
        self.wanted_replicas.append((0, [replication_factor]))
        return [1]

    async def want_replicas(self, shard_id: int, replicas: Sequence[int]) -> None:
        if shard_id != 1:
            raise InvalidRequestError(f"no shard {shard_id}")
        self.wanted_replicas.append((shard_id, list(replicas)))

    def bounds_or_none(self, topic: Topic, index: int) -> tuple[int, int] | None:
        if (found := self.partitions.get((topic.name, index))) is None:
            return None
        return found.log_start, found.high_watermark

    async def append_elsewhere(self, topic: Topic, index: int, batch: memoryview) -> Appended:
        raise NotLeaderError(is_refusal=True)

    def stream(self, name: str) -> object:
        raise NotImplementedError

    async def all_groups(self) -> list[GroupDescription]:
        return self.groups.list()

    async def allocate_producer_id(self) -> int:
        self.producer_ids += 1
        return self.producer_ids

    def coordinator_of(self, kind: str, key: str) -> NodeAddress:
        if key == "lost":
            raise CoordinatorNotAvailableError(key)
        return self.nodes()[0]
