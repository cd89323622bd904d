"""A node: the catalog, its shards, and what doors may ask of them. Fulfils `interfaces.NodeApi`, standalone.

**Order of things.** `start` opens group 0 (the catalog), then the shards that the catalog lists for this node, waits
until it leads them, and repairs what a crash left half done (`changes`).

**Ticks, views and sealing** (`TimeServices`) are made through the factory in `NodeParts`, after the repair and before
`start` returns, and closed first. They use the methods under "For the parts above the shards". The group coordinators
are given as they are, and are told which slots live on which shard.

Nothing is global: clock, randomness, log, Raft host and settings come through the constructor.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol, TypeVar
from uuid import UUID

from raft.interfaces import GroupId, RaftGroup, StateMachine

from .admission import TopicPolicy
from .catalog import (
    PRODUCER_IDS_PER_BLOCK,
    SLOT_KINDS,
    Catalog,
    NodeRecord,
    ShardRecord,
    TopicRecord,
    check_topic_name,
)
from .catalog_commands import (
    CATALOG_COMMANDS,
    AllocateProducerIds,
    CreateTopic,
    Cut,
    DeleteTopic,
    PublishRun,
    RegisterNode,
    SetConfig,
)
from .changes import Around, Changes
from .coordinators.groups import Groups
from .coordinators.interfaces import GroupsApi
from .coordinators.slots import GroupSlots, slot_of
from .errors import (
    CoordinatorNotAvailableError,
    InvalidPartitionsError,
    InvalidReplicationFactorError,
    InvalidRequestError,
    InvalidTopicError,
    NotLeaderError,
    TopicExistsError,
    UnknownPartitionError,
    UnknownTopicError,
    UnknownTopicIdError,
)
from .interfaces import ConfigEntry, NewTopic, NodeAddress, PartitionApi, StreamApi, Topic
from .partition import Partition
from .shard import Shard, ShardSettings
from .shard_state import Chain, Section
from .topic_configs import changed_configs, check_configs, config_entries
from .topics import Topics, topic_of

CATALOG_GROUP = GroupId(0)
REPAIR_PAUSE_S = 1.0
REPLICATION_FACTOR_DEFAULT = 3
T = TypeVar("T")


class GroupHost(Protocol):
    """`raft.host.RaftHost` fulfils it."""

    async def open_group(self, group_id: GroupId, state_machine: StateMachine, /) -> RaftGroup: ...


class TimeServices(Protocol):
    """Everything by event time: ticks, live indexes, views, sealing, queries. Made by `NodeParts.time`."""

    def stream(self, topic: Topic) -> StreamApi: ...
    def view_partition(self, view: Topic, topic: Topic, index: int) -> PartitionApi:
        """Partition `index` of a view of `topic`; the index is within the view's partition count."""
        ...

    async def start(self) -> None: ...
    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """What a node must be told; `timesplit.settings` lists each with unit and reason."""

    node_id: int
    cluster_id: str
    disk_id: bytes = b""
    host: str = ""
    auto_create_topics: bool = True
    partitions: int = 1
    partitions_max: int = 10_000
    shards_per_node: int = 2
    drain_timeout_ms: int = 5_000
    shard: ShardSettings = field(default_factory=ShardSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeParts:
    """Who makes what stands above the shards; None: a node without it, which refuses such requests."""

    groups: Groups | None = None
    time: "Callable[[Node], TimeServices] | None" = None


def new_sections() -> list[Section]:
    """The further state of each data shard."""
    return [GroupSlots()]


class Node:
    """See the module's docstring. All methods belong to the event loop that runs `start`."""

    def __init__(
        self,
        settings: NodeSettings,
        host: GroupHost,
        *,
        now_ms: Callable[[], int],
        random: Random,
        logger: logging.Logger,
        parts: NodeParts | None = None,
    ) -> None:
        self._settings = settings
        self._host = host
        self._now_ms = now_ms
        self._random = random
        self._logger = logger
        self._parts = parts or NodeParts()
        self._catalog = Catalog()
        self._topics = Topics(self._catalog)
        self._catalog_shard = Shard(
            CATALOG_GROUP,
            call_soon=self._call_soon,
            logger=logger,
            sections=[self._catalog],
            settings=settings.shard,
            table=CATALOG_COMMANDS,
        )
        self._shards: dict[int, Shard] = {}
        self._changes = Changes(
            Around(
                node_id=settings.node_id,
                shards_per_node=settings.shards_per_node,
                catalog=self._catalog,
                catalog_shard=self._catalog_shard,
                shards=self._shards,
                open_shard=self._open_shard,
                now_ms=now_ms,
                logger=logger,
            )
        )
        self._partitions: dict[str, tuple[Topic, list[Partition | None]]] = {}
        self._is_closing = False
        self._producer_ids = range(0)
        self._topic_observers: list[Callable[[], None]] = []
        self._groups = self._parts.groups
        self._time: TimeServices | None = None

    # Life.

    async def start(self) -> None:
        """Open everything and return when this node serves. Raises: raft.errors.DataDirectoryError, OSError."""
        await self._open(self._catalog_shard)
        for kind in (CreateTopic, DeleteTopic, SetConfig, Cut, PublishRun):
            self._catalog_shard.observe_commands(kind, lambda _command, _result, _at: self._tell_topic_observers())
        await asyncio.gather(*(self._open_shard(record) for record in self._catalog.shards.values()))
        await self._changes.repair()
        if self._groups is not None:
            for shard_id, shard in self._shards.items():
                slots = self._catalog.slots["group"]
                self._groups.serve(shard, [slot for slot, place in enumerate(slots) if place == shard_id])
        if self._parts.time is not None:
            self._time = self._parts.time(self)
            await self._time.start()

    async def register(self, address: NodeAddress) -> None:
        """Tell the cluster where this node listens, once it does."""
        known = self._catalog.nodes.get(self.node_id)
        record = NodeRecord(
            node_id=self.node_id,
            disk_id=self._settings.disk_id,
            host=self._settings.host,
            kafka_host=address.host,
            kafka_port=address.kafka_port,
            http_port=address.http_port,
            rack=address.rack,
            incarnation=1 if known is None else known.incarnation + 1,
        )
        await self._catalog_shard.submit(RegisterNode(record))

    async def close(self) -> None:
        """Refuse what comes, let what is under way be committed, save checkpoints. The host is closed by its owner."""
        if self._is_closing:
            return
        self._is_closing = True
        if self._time is not None:
            await self._time.close()
        if self._groups is not None:
            self._groups.close()
        await self._changes.close()
        shards = [*self._shards.values(), self._catalog_shard]
        for shard in shards:
            shard.stop_admitting()
        timeout_s = self._settings.drain_timeout_ms / 1000
        _, late = await asyncio.wait([asyncio.ensure_future(shard.drain()) for shard in shards], timeout=timeout_s)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)
            self._logger.warning("%d shards still had commands in flight at close", len(late))
        for shard in shards:
            if shard.is_leader and shard.applied:
                shard.save_checkpoint()
            shard.fail_pending()

    # interfaces.NodeApi

    @property
    def node_id(self) -> int:
        return self._settings.node_id

    @property
    def cluster_id(self) -> str:
        return self._settings.cluster_id

    @property
    def controller_id(self) -> int:
        leader = self._catalog_shard.group.leader_or_none
        return -1 if leader is None else int(leader)

    @property
    def groups(self) -> GroupsApi:
        if self._groups is None:
            raise CoordinatorNotAvailableError("this node runs no group coordinators")
        return self._groups

    def nodes(self) -> list[NodeAddress]:
        return [_address_of(record) for _, record in sorted(self._catalog.nodes.items())]

    def topics(self) -> list[Topic]:
        return self._topics.all()

    def views(self) -> list[Topic]:
        return self._topics.views() if self._time is not None else []

    def topic(self, name: str) -> Topic:
        return self._topics.get(name)

    def topic_by_id(self, topic_id: UUID) -> Topic:
        return self._topics.get_by_id(topic_id)

    async def ensure_topic(self, name: str) -> Topic:
        try:
            return self._topics.get(name)
        except UnknownTopicError:
            check_topic_name(name)
            if not self._settings.auto_create_topics:
                raise
        try:
            return await self.create_topic(NewTopic(name=name))
        except TopicExistsError:
            return self._topics.get(name)

    async def create_topic(self, wanted: NewTopic, *, is_dry_run: bool = False) -> Topic:
        check_topic_name(wanted.name)
        partition_count = self._settings.partitions if wanted.partitions == -1 else wanted.partitions
        if not 1 <= partition_count <= self._settings.partitions_max:
            raise InvalidPartitionsError(f"{partition_count} partitions, from 1 to {self._settings.partitions_max}")
        replication_factor = self._replication_factor(wanted.replication_factor)
        configs = dict(wanted.configs)
        if wanted.schema is not None:
            configs["schema"] = wanted.schema.schema_text()
            configs["aggregates"] = wanted.schema.aggregates_text()
        check_configs(configs)
        if (refusal := self._catalog.refusal_of_name_or_none(wanted.name)) is not None:
            raise refusal
        # Sorted: a set of settings is the same topic in whichever order it came.
        record = TopicRecord(
            topic_id=self._new_topic_id(),
            name=wanted.name,
            replication_factor=replication_factor,
            configs=dict(sorted(configs.items())),
            created_ms=self._now_ms(),
            shards=(0,) * partition_count,
        )
        if is_dry_run:
            return topic_of(record)
        await self._changes.create(record)
        return self._topics.get(record.name)

    async def delete_topic(self, name: str) -> None:
        topic = self._topics.get(name)
        if topic.is_view:
            raise InvalidTopicError(f"{name!r} is a view; delete its topic, or set view.enabled=false")
        try:
            await self._changes.delete(topic.topic_id.bytes)
            if self._groups is not None:
                await self._groups.forget_topic(name)
        except UnknownTopicIdError:
            raise UnknownTopicError(f"no topic {name!r}") from None
        finally:
            self._topics.forget(name)
            self._partitions.pop(name, None)

    def topic_configs(self, name: str) -> list[ConfigEntry]:
        return config_entries(self._topics.get(name).configs)

    def node_configs(self) -> list[ConfigEntry]:
        settings = self._settings
        return [
            _node_config("auto.create.topics.enable", str(settings.auto_create_topics).lower(), "boolean"),
            _node_config("broker.id", str(settings.node_id), "int"),
            _node_config("default.replication.factor", str(self._replication_factor(-1)), "int"),
            _node_config("node.id", str(settings.node_id), "int"),
            _node_config("num.partitions", str(settings.partitions), "int"),
        ]

    async def set_topic_configs(
        self, name: str, changes: Mapping[str, str | None], *, is_dry_run: bool = False
    ) -> None:
        topic = self._topics.get(name)
        if topic.is_view:
            raise InvalidRequestError(f"{name!r} is a view and has no settings of its own")
        after = changed_configs(topic.configs, changes)
        for fixed in ("schema", "aggregates"):
            if after.get(fixed) != topic.configs.get(fixed):
                raise InvalidRequestError(f"{fixed} cannot be changed: what was indexed and sealed has the old one")
        if not is_dry_run:
            command = SetConfig(topic.topic_id.bytes, tuple(changes.items()))
            if await self._changes.submit(command) is None:
                raise UnknownTopicError(f"topic {name!r} was deleted")

    def partition(self, topic: Topic, index: int) -> PartitionApi:
        known = self._partitions.get(topic.name)
        if known is not None and known[0] is topic and 0 <= index < len(known[1]):
            found = known[1][index]
            if found is not None:
                return found
        return self._new_partition(topic, index)

    def leader_of(self, topic: Topic, index: int) -> tuple[int, int, Sequence[int]]:
        if topic.is_view:
            _check_index(topic, index)
            topic = self._topics.viewed(topic)
        record = self._changes.listed(topic.topic_id.bytes)
        _check_index(topic, index)
        replicas = self._catalog.shards[record.shards[index]].replicas
        try:
            shard, chain = self._changes.place(record, index)
        except NotLeaderError:
            # Listed and not opened yet, or opened on another node.
            return -1, -1, replicas
        epoch = chain.newest.leader_epoch(max(shard.term, chain.newest.open_term))
        leader = shard.group.leader_or_none
        # Before the term's no-op is applied, nobody may be sent here.
        if leader is None or (int(leader) == self.node_id and not shard.is_leader):
            return -1, epoch, replicas
        return int(leader), epoch, replicas

    def stream(self, name: str) -> StreamApi:
        topic = self._topics.get(name)
        if topic.is_view:
            raise InvalidRequestError(f"{name!r} is a view; ask its topic")
        if self._time is None:
            raise InvalidRequestError("this node runs no time services")
        return self._time.stream(topic)

    async def allocate_producer_id(self) -> int:
        while not self._producer_ids:
            first = await self._changes.submit(AllocateProducerIds(PRODUCER_IDS_PER_BLOCK))
            assert isinstance(first, int)
            # Another caller may have got a block meanwhile; then this one is left unused, which does no harm.
            if not self._producer_ids:
                self._producer_ids = range(first, first + PRODUCER_IDS_PER_BLOCK)
        producer_id = self._producer_ids[0]
        self._producer_ids = self._producer_ids[1:]
        return producer_id

    def coordinator_of(self, kind: str, key: str) -> NodeAddress:
        shard = self.slot_shard(kind, key)
        leader = shard.group.leader_or_none
        record = None if leader is None or not shard.is_leader else self._catalog.nodes.get(int(leader))
        if record is None:
            raise CoordinatorNotAvailableError(f"the {kind} slot of {key!r} has no leader now")
        return _address_of(record)

    # For the parts above the shards.

    @property
    def catalog(self) -> Catalog:
        """To be read only."""
        return self._catalog

    @property
    def now_ms(self) -> Callable[[], int]:
        return self._now_ms

    @property
    def random(self) -> Random:
        return self._random

    @property
    def logger(self) -> logging.Logger:
        return self._logger

    @property
    def shards(self) -> Mapping[int, Shard]:
        """The data shards of this node, by id."""
        return self._shards

    def shard_of(self, topic: Topic, index: int) -> Shard:
        """The shard that holds a partition's newest split. Raises: UnknownPartitionError, UnknownTopicIdError."""
        return self._place_of(topic, index)[0]

    def chain_of(self, topic: Topic, index: int) -> Chain:
        """The write splits of a partition. Raises: UnknownPartitionError, UnknownTopicIdError."""
        return self._place_of(topic, index)[1]

    def slot_shard(self, kind: str, key: str) -> Shard:
        """The shard of a coordinator slot. Raises: CoordinatorNotAvailableError, InvalidRequestError."""
        if kind not in SLOT_KINDS:
            raise InvalidRequestError(f"coordinators are of kind {' or '.join(SLOT_KINDS)}, not {kind!r}")
        slots = self._catalog.slots.get(kind)
        shard = None if slots is None else self._shards.get(slots[slot_of(key)])
        if shard is None:
            raise CoordinatorNotAvailableError(f"the {kind} slot of {key!r} is not placed yet")
        return shard

    def observe_topics(self, observer: Callable[[], None]) -> Callable[[], None]:
        """Call `observer` whenever topics, their settings, splits or manifests may have changed; returns the undo."""
        self._topic_observers.append(observer)
        return lambda: self._topic_observers.remove(observer)

    async def cut(self, topic_id: UUID) -> tuple[int, tuple[int, ...]] | None:
        """End the topic's open split and open the next one: (number of the ended split, its end per partition).

        None if the open split is empty. A cut that began earlier is finished first. Raises: UnknownTopicIdError.
        """
        return await self._changes.cut(topic_id.bytes)

    async def publish_run(self, topic_id: UUID, number: int, version: int, manifest: bytes) -> bool:
        """Put a sealed split's manifest into the catalog; False if that version exists, or the topic is gone."""
        return await self._changes.submit(PublishRun(topic_id.bytes, number, version, manifest)) is True

    async def _open_shard(self, record: ShardRecord) -> None:
        shard = Shard(
            record.shard_id,
            call_soon=self._call_soon,
            logger=self._logger,
            sections=new_sections(),
            settings=self._settings.shard,
        )
        await self._open(shard)
        self._shards[record.shard_id] = shard

    async def _open(self, shard: Shard) -> None:
        # Nothing is applied before the loop's next turn, so that the shard always has its group by then.
        shard.attach(await self._host.open_group(shard.group_id, shard))
        await shard.until_leading()

    def _call_soon(self, callback: Callable[[], object], /) -> object:
        return asyncio.get_running_loop().call_soon(callback)

    def _tell_topic_observers(self) -> None:
        for observer in tuple(self._topic_observers):
            observer()

    # Look-ups.

    def _new_topic_id(self) -> bytes:
        while (topic_id := UUID(bytes=self._random.randbytes(16), version=4).bytes) in self._catalog.topics:
            pass
        return topic_id

    def _replication_factor(self, wanted: int) -> int:
        node_count = max(1, len(self._catalog.nodes))
        if wanted == -1:
            return min(REPLICATION_FACTOR_DEFAULT, node_count)
        if not 1 <= wanted <= node_count:
            raise InvalidReplicationFactorError(f"replication factor {wanted} with {node_count} nodes")
        return wanted

    def _place_of(self, topic: Topic, index: int) -> tuple[Shard, Chain]:
        record = self._changes.listed(topic.topic_id.bytes)
        _check_index(topic, index)
        return self._changes.place(record, index)

    def _new_partition(self, topic: Topic, index: int) -> PartitionApi:
        _check_index(topic, index)
        if topic.is_view:
            if self._time is None:
                raise InvalidRequestError("this node serves no views")
            return self._time.view_partition(topic, self._topics.viewed(topic), index)
        shard, chain = self._place_of(topic, index)
        # The value may be older than the topic's settings are now.
        now = self._topics.get_by_id(topic.topic_id)
        made = Partition(now, index, shard, chain, TopicPolicy.of(now.configs))
        known = self._partitions.get(now.name)
        of_topic: list[Partition | None] = [None] * now.partition_count
        if known is not None and known[0] is now:
            of_topic = known[1]
        of_topic[index] = made
        self._partitions[now.name] = now, of_topic
        return made


def _check_index(topic: Topic, index: int) -> None:
    if not 0 <= index < topic.partition_count:
        raise UnknownPartitionError(f"partition {index} of {topic.name}, which has {topic.partition_count}")


def _address_of(record: NodeRecord) -> NodeAddress:
    return NodeAddress(
        node_id=record.node_id,
        host=record.kafka_host,
        kafka_port=record.kafka_port,
        http_port=record.http_port,
        rack=record.rack,
    )


def _node_config(name: str, value: str, kind: str) -> ConfigEntry:
    return ConfigEntry(
        name=name, value=value, is_default=False, is_read_only=True, is_sensitive=False, kind=kind, documentation=""
    )
