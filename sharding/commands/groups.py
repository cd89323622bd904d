"""Commands of the group coordinators. The leader's state machine has decided; an executor only writes it down."""

from typing import TYPE_CHECKING, ClassVar

from ..coordinators.offsets import TopicOffsets
from ..coordinators.saved import SavedGroup
from ..coordinators.slots import GroupSlots
from .command import At, StructCommand

if TYPE_CHECKING:
    from ..shard_state import ShardState


class SaveGroup(StructCommand, frozen=True):
    """A completed rebalance, an emptied group, or a static member that came back under a new id."""

    TYPE: ClassVar[int] = 32

    group: SavedGroup

    def execute(self, state: "ShardState", at: At) -> None:
        state.section(GroupSlots).of(self.group.group_id).save(self.group)


class CommitOffsets(StructCommand, frozen=True):
    """Offsets of one group, per topic; each row has the leader's wall clock."""

    TYPE: ClassVar[int] = 33

    group_id: str
    topics: tuple[TopicOffsets, ...]

    def execute(self, state: "ShardState", at: At) -> None:
        state.section(GroupSlots).of(self.group_id).commit(self.group_id, self.topics)


class DeleteGroup(StructCommand, frozen=True):
    """The saved generation and all offsets of a group. Result: whether there was such a group."""

    TYPE: ClassVar[int] = 34

    group_id: str

    def execute(self, state: "ShardState", at: At) -> bool:
        slot = state.section(GroupSlots).of(self.group_id)
        is_known = self.group_id in slot
        slot.delete(self.group_id)
        return is_known


class DeleteOffsets(StructCommand, frozen=True):
    """Offsets of some (topic, partition) of a group; those that have none are passed over."""

    TYPE: ClassVar[int] = 35

    group_id: str
    partitions: tuple[tuple[str, int], ...]

    def execute(self, state: "ShardState", at: At) -> None:
        state.section(GroupSlots).of(self.group_id).delete_offsets(self.group_id, self.partitions)


GROUP_COMMANDS = (SaveGroup, CommitOffsets, DeleteGroup, DeleteOffsets)
