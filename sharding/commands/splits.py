"""Commands over whole write splits: Open, Close, Drop, RaiseLogStart. A repetition has no further effect."""

from typing import TYPE_CHECKING, ClassVar

from ..write_split import SplitState, Target
from .command import At, StructCommand

if TYPE_CHECKING:
    from ..shard_state import ShardState


class Open(StructCommand, frozen=True):
    """Open write split `number` of a partition with the state that its predecessor handed over.

    The leader that proposes it has put the epoch base into `state`: the partition's epoch in that leader's term, plus
    4096 if the split comes from another shard. Result: True if this command opened it, False if it was open already.
    """

    TYPE: ClassVar[int] = 2

    topic_id: bytes
    partition: int
    number: int
    opened_ms: int
    state: SplitState

    def execute(self, state: "ShardState", at: At) -> bool:
        return state.open(self, at)


class Close(StructCommand, frozen=True):
    """End write split `number`: its place in the log is the split's end, and `target` is where the next one opens.

    From its append on nothing is admitted. Result: the end offset; None if that split is not here.
    """

    TYPE: ClassVar[int] = 3

    topic_id: bytes
    partition: int
    number: int
    closed_ms: int
    target: Target

    def on_append(self, state: "ShardState") -> None:
        split = state.split_or_none(self.topic_id, self.partition, self.number)
        if split is not None:
            split.begin_close(self.target)

    def execute(self, state: "ShardState", at: At) -> int | None:
        split = state.split_or_none(self.topic_id, self.partition, self.number)
        if split is None:
            return None
        split.close(self.target, self.closed_ms)
        state.touch(self.topic_id, self.partition)
        return split.committed_offset


class Drop(StructCommand, frozen=True):
    """The topic is deleted: forget the partition and all its splits on this shard. Result: whether there was one."""

    TYPE: ClassVar[int] = 4

    topic_id: bytes
    partition: int

    def on_append(self, state: "ShardState") -> None:
        chain = state.chains.get((self.topic_id, self.partition))
        if chain is not None:
            chain.newest.is_admitting = False

    def execute(self, state: "ShardState", at: At) -> bool:
        return state.drop(self.topic_id, self.partition)


class RaiseLogStart(StructCommand, frozen=True):
    """DeleteRecords and retention: no offset below `offset` is served any more.

    Result: the log start that holds now, which is never past the high watermark and never falls; None if not here.
    """

    TYPE: ClassVar[int] = 5

    topic_id: bytes
    partition: int
    offset: int

    def execute(self, state: "ShardState", at: At) -> int | None:
        chain = state.chains.get((self.topic_id, self.partition))
        if chain is None:
            return None
        split = chain.newest
        split.log_start = max(split.log_start, min(self.offset, split.committed_offset))
        state.touch(self.topic_id, self.partition)
        return split.log_start
