"""The commands of the catalog's own log (group 0), types 128 and up. Each changes the `Catalog` section alone."""

from typing import TYPE_CHECKING, ClassVar

from .catalog import Catalog, ManifestRecord, NodeRecord, ShardRecord, TopicRecord
from .commands.command import At, StructCommand
from .commands.table import Table, make_table
from .errors import ShardingError

if TYPE_CHECKING:
    from .shard_state import ShardState


class RegisterNode(StructCommand, frozen=True):
    """A node started: its addresses now."""

    TYPE: ClassVar[int] = 128

    node: NodeRecord

    def execute(self, state: "ShardState", at: At) -> None:
        state.section(Catalog).register_node(self.node)


class CreateShard(StructCommand, frozen=True):
    """Result: False if a shard of this id exists."""

    TYPE: ClassVar[int] = 129

    shard: ShardRecord

    def execute(self, state: "ShardState", at: At) -> bool:
        return state.section(Catalog).add_shard(self.shard)


class CreateTopic(StructCommand, frozen=True):
    """Result: the topic, or why there is none."""

    TYPE: ClassVar[int] = 130

    topic: TopicRecord

    def execute(self, state: "ShardState", at: At) -> TopicRecord | ShardingError:
        return state.section(Catalog).add_topic(self.topic)


class DeleteTopic(StructCommand, frozen=True):
    """Result: the topic as it was; None if there was none."""

    TYPE: ClassVar[int] = 131

    topic_id: bytes

    def execute(self, state: "ShardState", at: At) -> TopicRecord | None:
        return state.section(Catalog).remove_topic(self.topic_id)


class SetConfig(StructCommand, frozen=True):
    """Settings to change, checked by the proposer; None deletes one. Result: the topic; None if there is none."""

    TYPE: ClassVar[int] = 132

    topic_id: bytes
    changes: tuple[tuple[str, str | None], ...]

    def execute(self, state: "ShardState", at: At) -> TopicRecord | None:
        return state.section(Catalog).set_configs(self.topic_id, self.changes)


class Cut(StructCommand, frozen=True):
    """Want split `number` open, partition p on `shards[p]`: compare-and-set on the number before.

    Result: the topic; None if another cut came first, or there is no such topic.
    """

    TYPE: ClassVar[int] = 133

    topic_id: bytes
    number: int
    shards: tuple[int, ...]

    def execute(self, state: "ShardState", at: At) -> TopicRecord | None:
        return state.section(Catalog).cut(self.topic_id, self.number, self.shards)


class AllocateProducerIds(StructCommand, frozen=True):
    """Result: the first id of the block."""

    TYPE: ClassVar[int] = 134

    count: int

    def execute(self, state: "ShardState", at: At) -> int:
        return state.section(Catalog).allocate_producer_ids(self.count)


class PublishRun(StructCommand, frozen=True):
    """The manifest of a sealed split: compare-and-set on its version before. Result: whether it is published."""

    TYPE: ClassVar[int] = 135

    topic_id: bytes
    number: int
    version: int
    manifest: bytes

    def execute(self, state: "ShardState", at: At) -> bool:
        return state.section(Catalog).publish(self.topic_id, self.number, ManifestRecord(self.version, self.manifest))


class AssignSlots(StructCommand, frozen=True):
    """Where the coordinator slots of one kind live: the shard of each slot. Result: False if they were assigned."""

    TYPE: ClassVar[int] = 136

    kind: str
    shards: list[int]

    def execute(self, state: "ShardState", at: At) -> bool:
        return state.section(Catalog).assign_slots(self.kind, self.shards)


class SetReplicas(StructCommand, frozen=True):
    """Want other replicas of a shard: compare-and-set on its version before. `founders` are those of the present one.

    Result: the shard as it is wanted now; None if another change came first, or there is no such shard.
    """

    TYPE: ClassVar[int] = 137

    shard: ShardRecord

    def execute(self, state: "ShardState", at: At) -> ShardRecord | None:
        return state.section(Catalog).set_replicas(self.shard)


CATALOG_COMMANDS: Table = make_table(
    [
        RegisterNode,
        CreateShard,
        CreateTopic,
        DeleteTopic,
        SetConfig,
        Cut,
        AllocateProducerIds,
        PublishRun,
        AssignSlots,
        SetReplicas,
    ]
)
