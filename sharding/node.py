"""A node: the catalog, its shards, and what doors may ask of them. Fulfils `interfaces.NodeApi`, alone or among others.

**Order of things.** `start` opens group 0 (the catalog) and waits until this node has applied what was decided before;
then it opens the shards that the catalog lists for this node, followers included. A node alone goes on until it leads
its shards and they are what the catalog wants; in a cluster that goes on after `start`: the leader of a shard
`reconcile`s it, the leader of the catalog does what one node does for all (`controller`).

**Ticks, views and sealing** (`TimeServices`) are made through the factory in `NodeParts`, before `start` returns, and
closed first. They use the methods under "For the parts above the shards". The group coordinators are given as they
are, and are told which slots live on which shard.

Nothing is global: clock, randomness, log, Raft host, peers and settings come through the constructor.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol
from uuid import UUID

from .admission import TopicPolicy
from .barriers import pass_barrier
from .calls import NodePeers
from .catalog import (
    PRODUCER_IDS_PER_BLOCK,
    SLOT_KINDS,
    Catalog,
    NodeRecord,
    TopicRecord,
    check_topic_name,
)
from .catalog_commands import (
    AllocateProducerIds,
    PublishRun,
    RegisterNode,
    SetConfig,
)
from .commands.command import Command
from .coordinators.groups import Groups
from .coordinators.interfaces import GroupDescription, GroupsApi
from .coordinators.slots import slot_of
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
from .forwarding import Forwarding
from .group_list import GroupList
from .interfaces import (
    Appended,
    ClusterDescription,
    ConfigEntry,
    NewTopic,
    NodeAddress,
    PartitionApi,
    PartitionPlacement,
    StreamApi,
    Topic,
)
from .leaders import Leaders
from .local_shards import GroupHost
from .machinery import CATALOG_GROUP, Machinery, NodeSettings
from .partition import Partition
from .refusals import Refusals
from .shard import Shard
from .shard_state import Chain
from .topic_configs import changed_configs, check_configs, config_entries, is_view_enabled
from .topics import Topics, topic_of

REPLICATION_FACTOR_DEFAULT = 3
BEHIND_MS = 1_000


class TimeServices(Protocol):
    """Everything by event time: ticks, live indexes, views, sealing, queries. Made by `NodeParts.time`."""

    def stream(self, topic: Topic) -> StreamApi: ...
    def view_partition(self, view: Topic, topic: Topic, index: int) -> PartitionApi:
        """Partition `index` of a view of `topic`; the index is within the view's partition count."""
        ...

    async def start(self) -> None: ...
    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeParts:
    """Who makes what stands above the shards; None: a node without it, which refuses such requests."""

    groups: Groups | None = None
    time: "Callable[[Node], TimeServices] | None" = None


class Node:
    """See the module's docstring. All methods belong to the event loop that runs `start`."""

    def __init__(  # noqa: PLR0913 - everything a node stands on comes from outside
        self,
        settings: NodeSettings,
        host: GroupHost,
        *,
        now_ms: Callable[[], int],
        random: Random,
        logger: logging.Logger,
        parts: NodeParts | None = None,
        peers: NodePeers | None = None,
    ) -> None:
        """`peers` None: this node stands alone."""
        self._settings = settings
        self._peers = peers
        self._now_ms = now_ms
        self._random = random
        self._logger = logger
        self._parts = parts or NodeParts()
        self._partitions: dict[str, tuple[Topic, list[Partition | None]]] = {}
        self._groups = self._parts.groups
        self._machinery = Machinery(
            settings,
            host,
            peers=peers,
            groups=self._groups,
            on_shards_changed=self._on_shards_changed,
            now_ms=now_ms,
            logger=logger,
        )
        self._catalog = self._machinery.catalog
        self._catalog_shard = self._machinery.catalog_shard
        self._shards = self._machinery.shards
        self._router = self._machinery.router
        self._changes = self._machinery.changes
        self._topics = Topics(self._catalog)
        self.leaders = Leaders(settings.node_id, self._router, peers, catalog=self._catalog, topics=self._topics)
        self._refusals = Refusals()
        self._is_closing = False
        self._producer_ids = range(0)
        self._time: TimeServices | None = None
        self._forwarding = Forwarding(self, peers)
        self._group_list = GroupList(lambda: self._groups, peers, logger=logger)
        self._behind_as_of: dict[int, tuple[int, frozenset[int]]] = {}

    # Life.

    async def start(self) -> None:
        """Open everything and return when this node serves. Raises: raft.errors.DataDirectoryError, OSError."""
        await self._machinery.start()
        if self._parts.time is not None:
            self._time = self._parts.time(self)
            await self._time.start()

    async def register(self, address: NodeAddress) -> None:
        """Tell the cluster where this node listens, once it does; among others, as soon as the catalog is led.

        Raises: NotLeaderError (alone), ClosingError.
        """
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
            peer_host=self._settings.peer_host,
            peer_port=self._settings.peer_port,
        )
        while True:
            try:
                await self.register_node(record)
            except NotLeaderError as error:
                if self._peers is None:
                    raise
                self._logger.warning("not registered yet: %s", error)
            else:
                return

    async def register_node(self, record: NodeRecord) -> None:
        """Make a node known to all: this one when it listens, or one that asks to join. Raises: NotLeaderError."""
        await self._changes.submit(RegisterNode(record), may_repeat=True)

    async def hand_over(self) -> None:
        """Give leadership to others, because this node goes; clients are served all the while. Then comes `close`."""
        await self._machinery.membership.hand_over()

    async def close(self) -> None:
        """Refuse what comes, let what is under way be committed, save checkpoints. The host is closed by its owner."""
        if self._is_closing:
            return
        self._is_closing = True
        await self.hand_over()
        if self._time is not None:
            await self._time.close()
        if self._groups is not None:
            self._groups.close()
        self._refusals.close()
        await self._machinery.stop()
        await self._machinery.close()

    # interfaces.NodeApi

    @property
    def node_id(self) -> int:
        return self._settings.node_id

    @property
    def cluster_id(self) -> str:
        return self._settings.cluster_id

    @property
    def controller_id(self) -> int:
        leader = self._router.leader_or_none(CATALOG_GROUP)
        return -1 if leader is None else leader

    @property
    def groups(self) -> GroupsApi:
        if self._groups is None:
            raise CoordinatorNotAvailableError("this node runs no group coordinators")
        return self._groups

    def nodes(self) -> list[NodeAddress]:
        return [_address_of(record) for _, record in sorted(self._catalog.nodes.items()) if record.incarnation]

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
        if is_view_enabled(after) and not is_view_enabled(topic.configs):
            shards = self._changes.listed(topic.topic_id.bytes).shards
            if len({frozenset(self._catalog.shards[one].replicas) for one in shards}) > 1:
                raise InvalidRequestError("view.enabled: its partitions lie on different nodes; create it with views")
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
        shard_id = record.shards[index]
        replicas = self._catalog.shards[shard_id].replicas
        try:
            shard, chain = self._changes.place(record, index)
        except NotLeaderError as error:
            # Another node leads, as far as this one was told, and may be ahead; here it is not opened yet.
            leader = error.leader_id
            return (-1 if leader is None or leader == self.node_id else leader), -1, replicas
        epoch = shard.leader_epoch(chain.newest)
        leader = shard.group.leader_or_none
        # Before the term's no-op is applied, nobody may be sent here.
        if leader is None or (int(leader) == self.node_id and not shard.is_leader):
            return -1, epoch, replicas
        return int(leader), epoch, replicas

    def placement_of(self, topic: Topic, index: int) -> PartitionPlacement:
        leader_id, leader_epoch, replicas = self.leader_of(topic, index)
        live = self._router.live_nodes()
        record = self._changes.listed((self._topics.viewed(topic) if topic.is_view else topic).topic_id.bytes)
        behind = self._behind(record.shards[index])
        in_sync = [one for one in replicas if one in live and one not in behind]
        return PartitionPlacement(
            leader_id=leader_id,
            leader_epoch=leader_epoch,
            replicas=replicas,
            in_sync=in_sync,
            offline=[one for one in replicas if one not in live],
        )

    def _behind(self, shard_id: int) -> frozenset[int]:
        """Replicas that lack what is committed, as their leader had it up to a second ago; empty elsewhere."""
        shard = self._shards.get(shard_id)
        if shard is None or not shard.is_leader:
            return frozenset()
        now_ms = self._now_ms()
        known = self._behind_as_of.get(shard_id)
        if known is None or not 0 <= now_ms - known[0] < BEHIND_MS:
            applied = shard.group.applied
            # A follower that is in touch lags by what is under way.
            late = {int(one.node_id) for one in shard.group.progress() if one.match < applied and not one.is_live}
            known = self._behind_as_of[shard_id] = now_ms, frozenset(late)
        return known[1]

    def bounds_or_none(self, topic: Topic, index: int) -> tuple[int, int] | None:
        try:
            _, chain = self._place_of(topic, index)
        except NotLeaderError:
            return None
        return chain.newest.log_start, chain.newest.committed_offset

    async def append_elsewhere(self, topic: Topic, index: int, batch: memoryview) -> Appended:
        return await self._forwarding.append(topic, index, batch)

    def stream(self, name: str) -> StreamApi:
        topic = self._topics.get(name)
        if topic.is_view:
            raise InvalidRequestError(f"{name!r} is a view; ask its topic")
        if self._time is None:
            raise InvalidRequestError("this node runs no time services")
        return self._time.stream(topic)

    async def allocate_producer_id(self) -> int:
        while not self._producer_ids:
            first = await self._changes.submit(AllocateProducerIds(PRODUCER_IDS_PER_BLOCK), may_repeat=True)
            assert isinstance(first, int)
            # Another caller may have got a block meanwhile; then this one is left unused, which does no harm.
            if not self._producer_ids:
                self._producer_ids = range(first, first + PRODUCER_IDS_PER_BLOCK)
        producer_id = self._producer_ids[0]
        self._producer_ids = self._producer_ids[1:]
        return producer_id

    def coordinator_of(self, kind: str, key: str) -> NodeAddress:
        shard_id = self.slot_shard_id(kind, key)
        leader = self._router.leader_or_none(shard_id)
        shard = self._shards.get(shard_id)
        is_ready = leader != self.node_id or (shard is not None and shard.is_leader)
        record = self._catalog.nodes.get(leader) if leader is not None and is_ready else None
        if record is None:
            raise CoordinatorNotAvailableError(f"the {kind} slot of {key!r} has no leader now")
        return _address_of(record)

    async def all_groups(self) -> list[GroupDescription]:
        return await self._group_list.all()

    async def cluster(self) -> ClusterDescription:
        return await self._machinery.view.describe(self.cluster_id, self.node_id, self._catalog.nodes)

    async def grow(self, replication_factor: int) -> list[int]:
        if replication_factor < 1:
            raise InvalidReplicationFactorError(f"replication factor {replication_factor}")
        return await self._machinery.membership.grow(replication_factor)

    async def want_replicas(self, shard_id: int, replicas: Sequence[int]) -> None:
        await self._machinery.membership.want(shard_id, replicas)

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
    def peers(self) -> NodePeers | None:
        """The other nodes; None: this one stands alone."""
        return self._peers

    @property
    def shards(self) -> Mapping[int, Shard]:
        """The data shards that have a replica on this node, led here or not, by id."""
        return self._shards

    def live_nodes(self) -> frozenset[int]:
        """This node and those to which the link is up."""
        return self._router.live_nodes()

    def leader_of_shard(self, shard_id: int) -> int | None:
        """The node that leads a shard as far as this node knows."""
        return self._router.leader_or_none(shard_id)

    def submit(self, shard_id: int, command: Command, *, may_repeat: bool = False) -> "asyncio.Future[object]":
        """Put a command into a shard's log, wherever it is led. Raises: as `router.Router.submit`."""
        return self._router.submit(shard_id, command, may_repeat=may_repeat)

    async def catalog_barrier(self) -> None:
        """Everything that the catalog decided before this call is applied here. Raises: ShardingError."""
        await pass_barrier(self._catalog_shard)

    def shard_of(self, topic: Topic, index: int) -> Shard:
        """The shard that holds a partition's newest split. Raises: UnknownPartitionError, UnknownTopicIdError."""
        return self._place_of(topic, index)[0]

    def chain_of(self, topic: Topic, index: int) -> Chain:
        """The write splits of a partition. Raises: UnknownPartitionError, UnknownTopicIdError."""
        return self._place_of(topic, index)[1]

    def slot_shard(self, kind: str, key: str) -> Shard:
        """The replica here of a coordinator slot's shard. Raises: as `slot_shard_id`."""
        if (shard := self._shards.get(self.slot_shard_id(kind, key))) is None:
            raise CoordinatorNotAvailableError(f"the {kind} slot of {key!r} has no replica on this node")
        return shard

    def slot_shard_id(self, kind: str, key: str) -> int:
        """The shard of a coordinator slot. Raises: CoordinatorNotAvailableError, InvalidRequestError."""
        if kind not in SLOT_KINDS:
            raise InvalidRequestError(f"coordinators are of kind {' or '.join(SLOT_KINDS)}, not {kind!r}")
        slots = self._catalog.slots.get(kind)
        if slots is None:
            raise CoordinatorNotAvailableError(f"the {kind} slot of {key!r} is not placed yet")
        return slots[slot_of(key)]

    def observe_topics(self, observer: Callable[[], None]) -> Callable[[], None]:
        """Call `observer` whenever topics, their settings, splits or manifests may have changed; returns the undo."""
        return self._machinery.observe_topics(observer)

    def observe_nodes(self, observer: Callable[[], None]) -> Callable[[], None]:
        """Call `observer` whenever nodes (`catalog.nodes`) may have changed; returns the undo."""
        return self._machinery.observe_nodes(observer)

    async def cut(self, topic_id: UUID) -> tuple[int, tuple[int, ...]] | None:
        """End the topic's open split and open the next one: (number of the ended split, its end per partition).

        None if the open split is empty. A cut that began earlier is finished first. Raises: UnknownTopicIdError.
        """
        return await self._changes.cut(topic_id.bytes)

    async def publish_run(self, topic_id: UUID, number: int, version: int, manifest: bytes) -> bool:
        """Put a sealed split's manifest into the catalog; False if that version exists, or the topic is gone."""
        if await self._changes.submit(PublishRun(topic_id.bytes, number, version, manifest), may_repeat=True) is True:
            return True
        # It may have come through the first time, and a repetition found its own manifest there.
        present = self._catalog.manifests_of(topic_id.bytes).get(number)
        return present is not None and (present.version, present.manifest) == (version, manifest)

    def _on_shards_changed(self) -> None:
        """What was made over a shard that is gone must not stand for the one that is opened in its place."""
        self._partitions.clear()

    # Look-ups.

    def _new_topic_id(self) -> bytes:
        while (topic_id := UUID(bytes=self._random.randbytes(16), version=4).bytes) in self._catalog.topics:
            pass
        return topic_id

    def _replication_factor(self, wanted: int) -> int:
        node_count = len(self._machinery.members())
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
        made = Partition(now, index, shard, chain, TopicPolicy.of(now.configs), self._refusals)
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
