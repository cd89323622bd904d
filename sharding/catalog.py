"""The catalog: what the cluster knows apart from data. The replicated state of group 0, as one section. Pure.

It holds nodes, topics and their settings, shards, *wanted* placement, coordinator slots, producer id blocks and the
manifests of historic splits. Where a split is open is never decided here but in the shards' logs; a listed topic
that has no write splits yet (or the reverse) is work for the node's repair.

Every change is one of `catalog_commands`, executed in log order: equal logs give equal `snapshot()` bytes. A refusal
(a name taken, a lost compare-and-set) is returned, never raised.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Final

import msgspec

from raft.configuration import Peer
from raft.interfaces import NodeId

from .errors import InvalidTopicError, ShardingError, TopicExistsError
from .views.names import split_view_name

CATALOG_VERSION: Final = 1
NAME_CHARACTERS_MAX: Final = 249
SLOTS: Final = 64
SLOT_KINDS: Final = ("group", "transaction")
PRODUCER_IDS_PER_BLOCK: Final = 1_000

_NAME = re.compile(r"[a-zA-Z0-9._-]+")


class NodeRecord(msgspec.Struct, array_like=True, frozen=True):
    """`host` is the label that replicas avoid to share.

    `incarnation` rises with every start of the node; 0: it asked to join, and does not serve clients yet.
    The peer address is where the other nodes reach it; port 0 where a standalone node wrote the record.
    """

    node_id: int
    disk_id: bytes
    host: str
    kafka_host: str
    kafka_port: int
    http_port: int
    rack: str | None
    incarnation: int
    peer_host: str = ""
    peer_port: int = 0

    @property
    def peer(self) -> Peer:
        return Peer(NodeId(self.node_id), self.disk_id.decode())


class ShardRecord(msgspec.Struct, array_like=True, frozen=True):
    """One Raft group of the class of shards with `replication_factor` replicas.

    `replicas` are the nodes that are *wanted* as its members, the preferred leader first; `version` rises by 1 whenever
    they change. `founders` are the members that its log began with; none are named where a standalone node founded it.
    """

    shard_id: int
    replication_factor: int
    replicas: tuple[int, ...]
    founders: tuple[Peer, ...] = ()
    version: int = 0


class TopicRecord(msgspec.Struct, array_like=True, frozen=True):
    """`shards[p]`: where partition p's open split should be. `split_number`: the last one that a cut asked for."""

    topic_id: bytes
    name: str
    replication_factor: int
    configs: dict[str, str]
    created_ms: int
    shards: tuple[int, ...]
    split_number: int = 0

    @property
    def partition_count(self) -> int:
        return len(self.shards)


class ManifestRecord(msgspec.Struct, array_like=True, frozen=True):
    """A historic split's files; `version` rises by 1 with each publication."""

    version: int
    manifest: bytes


class _Snapshot(msgspec.Struct, array_like=True, frozen=True):
    version: int
    change_count: int
    nodes: list[NodeRecord]
    shards: list[ShardRecord]
    topics: list[TopicRecord]
    slots: dict[str, list[int]]
    next_producer_id: int
    manifests: list[tuple[bytes, int, ManifestRecord]]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Snapshot)


class Catalog:
    """A `shard_state.Section`. Read by everyone on this node, changed by executors alone.

    `change_count` rises with each change: whoever keeps something derived from the catalog compares it.
    """

    NAME: ClassVar[str] = "catalog"

    def __init__(self) -> None:
        self.change_count = 0
        self.nodes: dict[int, NodeRecord] = {}
        self.shards: dict[int, ShardRecord] = {}
        self.topics: dict[bytes, TopicRecord] = {}
        # kind -> shard of each slot; empty until assigned.
        self.slots: dict[str, list[int]] = {}
        self.next_producer_id = 0
        self.manifests: dict[bytes, dict[int, ManifestRecord]] = {}
        self._ids_by_name: dict[str, bytes] = {}
        self._names_by_collision_key: dict[str, str] = {}

    def topic_or_none(self, name: str) -> TopicRecord | None:
        topic_id = self._ids_by_name.get(name)
        return None if topic_id is None else self.topics[topic_id]

    def topics_by_name(self) -> Iterator[TopicRecord]:
        for name in sorted(self._ids_by_name):
            yield self.topics[self._ids_by_name[name]]

    def shards_of_class(self, replication_factor: int) -> list[ShardRecord]:
        return [shard for _, shard in sorted(self.shards.items()) if shard.replication_factor == replication_factor]

    def manifests_of(self, topic_id: bytes) -> Mapping[int, ManifestRecord]:
        """By split number."""
        return self.manifests.get(topic_id, {})

    def refusal_of_name_or_none(self, name: str) -> ShardingError | None:
        """Why no topic of this (well-formed) name can be created now."""
        if name in self._ids_by_name:
            return TopicExistsError(f"topic {name!r} exists")
        other = self._names_by_collision_key.get(collision_key(name))
        if other is not None:
            return InvalidTopicError(f"topic {name!r} collides with topic {other!r}: '.' and '_' count as the same")
        return None

    def register_node(self, node: NodeRecord) -> None:
        known = self.nodes.get(node.node_id)
        if node.incarnation == 0 and known is not None and known.disk_id == node.disk_id:
            return
        self._changed()
        self.nodes[node.node_id] = node

    def add_shard(self, shard: ShardRecord) -> bool:
        """False if there is one of this id."""
        if shard.shard_id in self.shards:
            return False
        self._changed()
        self.shards[shard.shard_id] = shard
        return True

    def set_replicas(self, wanted: ShardRecord) -> ShardRecord | None:
        """Want other replicas, maybe as a shard of another class. None unless the version follows on the present one.

        A topic has the replication factor that all its shards have at least.
        """
        present = self.shards.get(wanted.shard_id)
        if present is None or wanted.version != present.version + 1:
            return None
        self._changed()
        after = msgspec.structs.replace(wanted, founders=present.founders)
        self.shards[wanted.shard_id] = after
        if after.replication_factor != present.replication_factor:
            for topic in [one for one in self.topics.values() if wanted.shard_id in one.shards]:
                factors = [self.shards[one].replication_factor for one in topic.shards if one in self.shards]
                self._replace(topic, replication_factor=min(factors))
        return after

    def add_topic(self, topic: TopicRecord) -> TopicRecord | ShardingError:
        if (refusal := self.refusal_of_name_or_none(topic.name)) is not None:
            return refusal
        assert topic.topic_id not in self.topics, f"topic id {topic.topic_id.hex()} is used twice"
        self._changed()
        self.topics[topic.topic_id] = topic
        self._index(topic)
        return topic

    def remove_topic(self, topic_id: bytes) -> TopicRecord | None:
        topic = self.topics.pop(topic_id, None)
        if topic is not None:
            self._changed()
            del self._ids_by_name[topic.name]
            del self._names_by_collision_key[collision_key(topic.name)]
            self.manifests.pop(topic_id, None)
        return topic

    def set_configs(self, topic_id: bytes, changes: Sequence[tuple[str, str | None]]) -> TopicRecord | None:
        """None deletes a setting; the result is None if there is no such topic."""
        topic = self.topics.get(topic_id)
        if topic is None:
            return None
        configs = dict(topic.configs)
        for name, text in changes:
            if text is None:
                configs.pop(name, None)
            else:
                configs[name] = text
        self._changed()
        return self._replace(topic, configs=configs)

    def cut(self, topic_id: bytes, number: int, shards: tuple[int, ...]) -> TopicRecord | None:
        """Want split `number` open on these shards; None unless it is the successor of the last one."""
        topic = self.topics.get(topic_id)
        if topic is None or topic.split_number + 1 != number or len(shards) != len(topic.shards):
            return None
        self._changed()
        return self._replace(topic, split_number=number, shards=shards)

    def publish(self, topic_id: bytes, number: int, record: ManifestRecord) -> bool:
        """False unless the version is the successor of the present one (0: none)."""
        topic = self.topics.get(topic_id)
        if topic is None or number > topic.split_number:
            return False
        manifests = self.manifests.setdefault(topic_id, {})
        present = manifests.get(number)
        if record.version != (0 if present is None else present.version) + 1:
            return False
        self._changed()
        manifests[number] = record
        return True

    def allocate_producer_ids(self, count: int) -> int:
        """The first of `count` ids that nobody else gets."""
        self._changed()
        first = self.next_producer_id
        self.next_producer_id += count
        return first

    def assign_slots(self, kind: str, shards: list[int]) -> bool:
        """False if the slots of this kind have their shards: they do not move from one to another."""
        if kind in self.slots:
            return False
        self._changed()
        self.slots[kind] = shards
        return True

    def snapshot(self) -> bytes:
        manifests = [
            (topic_id, number, record)
            for topic_id, by_number in sorted(self.manifests.items())
            for number, record in sorted(by_number.items())
        ]
        return _encoder.encode(
            _Snapshot(
                CATALOG_VERSION,
                self.change_count,
                [node for _, node in sorted(self.nodes.items())],
                [shard for _, shard in sorted(self.shards.items())],
                [topic for _, topic in sorted(self.topics.items())],
                dict(sorted(self.slots.items())),
                self.next_producer_id,
                manifests,
            )
        )

    def restore(self, state: bytes) -> None:
        saved = _decoder.decode(state)
        assert saved.version == CATALOG_VERSION, f"catalog version {saved.version} is not known"
        self.change_count = saved.change_count
        self.nodes = {node.node_id: node for node in saved.nodes}
        self.shards = {shard.shard_id: shard for shard in saved.shards}
        self.topics = {topic.topic_id: topic for topic in saved.topics}
        self.slots = saved.slots
        self.next_producer_id = saved.next_producer_id
        self.manifests = {}
        for topic_id, number, record in saved.manifests:
            self.manifests.setdefault(topic_id, {})[number] = record
        self._ids_by_name = {}
        self._names_by_collision_key = {}
        for topic in saved.topics:
            self._index(topic)

    def _changed(self) -> None:
        self.change_count += 1

    def _index(self, topic: TopicRecord) -> None:
        self._ids_by_name[topic.name] = topic.topic_id
        self._names_by_collision_key[collision_key(topic.name)] = topic.name

    def _replace(
        self,
        topic: TopicRecord,
        *,
        configs: dict[str, str] | None = None,
        split_number: int | None = None,
        shards: tuple[int, ...] | None = None,
        replication_factor: int | None = None,
    ) -> TopicRecord:
        after = TopicRecord(
            topic_id=topic.topic_id,
            name=topic.name,
            replication_factor=topic.replication_factor if replication_factor is None else replication_factor,
            # Sorted: the bytes of a snapshot must not tell in which order settings were made.
            configs=dict(sorted((topic.configs if configs is None else configs).items())),
            created_ms=topic.created_ms,
            shards=topic.shards if shards is None else shards,
            split_number=topic.split_number if split_number is None else split_number,
        )
        self.topics[topic.topic_id] = after
        return after


def collision_key(name: str) -> str:
    """Kafka's metric names cannot tell '.' from '_', so it refuses two topics that differ only there; so do we."""
    return name.replace(".", "_")


def check_topic_name(name: str) -> None:
    """Kafka's rules, and ours: view names are reserved. Raises: InvalidTopicError."""
    if not name:
        raise InvalidTopicError("a topic name is not empty")
    if name in {".", ".."}:
        raise InvalidTopicError(f"a topic cannot be called {name!r}")
    if len(name) > NAME_CHARACTERS_MAX:
        raise InvalidTopicError(f"topic name of {len(name)} characters, at most {NAME_CHARACTERS_MAX}")
    if not _NAME.fullmatch(name):
        raise InvalidTopicError(f"topic name {name!r}: only ASCII letters, digits, '.', '_' and '-'")
    if split_view_name(name) is not None:
        raise InvalidTopicError(f"{name!r} is the name of a view")
