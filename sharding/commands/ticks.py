"""`Fence` and `Tick`: how the timekeeper's candidate becomes a committed fact of a topic.

A fence commits in every partition and says what may be final there; the tick that follows from all answers
(`sharding.ticks.tick_or_none`) commits in partition 0. A fence without a tick does no harm: under the late policy
`reject` it refuses more than it had to.
"""

from typing import TYPE_CHECKING, ClassVar

from store.events import TIMESTAMP_MS_MIN

from ..ticks import FenceAnswer
from ..write_split import FenceState, TickState
from .command import At, StructCommand

if TYPE_CHECKING:
    from ..shard_state import ShardState


class Fence(StructCommand, frozen=True):
    """Fence one partition for tick `number` at `watermark_ms`; `after_ms` is the watermark of the tick before.

    Result: a `FenceAnswer`; None if the partition is not here, or was fenced for a later tick. A repetition gets the
    first answer, unless undecided transactions held that one back.
    """

    TYPE: ClassVar[int] = 16

    topic_id: bytes
    partition: int
    number: int
    watermark_ms: int
    after_ms: int = TIMESTAMP_MS_MIN

    def on_append(self, state: "ShardState") -> None:
        chain = state.chains.get((self.topic_id, self.partition))
        if chain is not None:
            chain.newest.admitted_fence_ms = max(chain.newest.admitted_fence_ms, self.watermark_ms)

    def execute(self, state: "ShardState", at: At) -> FenceAnswer | None:
        chain = state.chains.get((self.topic_id, self.partition))
        if chain is None:
            return None
        split = chain.newest
        known = split.fence
        if known is not None and known.number > self.number:
            return None
        is_repeated = known is not None and (known.number, known.watermark_ms) == (self.number, self.watermark_ms)
        if known is None or not is_repeated or known.hold_ms is not None:
            hold_ms = split.hold_or_none(self.after_ms)
            known = FenceState(self.number, self.watermark_ms, split.last_stable_offset, hold_ms)
            split.fence = known
            split.fence_ms = max(split.fence_ms, self.watermark_ms)
            split.admitted_fence_ms = max(split.admitted_fence_ms, split.fence_ms)
        return FenceAnswer(known.number, known.watermark_ms, known.cut, known.hold_ms)


class ForgetTicks(StructCommand, frozen=True):
    """The ticks below `number` are sealed: runs keep them, partition 0's splits need not. The last one always stays.

    Result: how many are forgotten; None if the partition is not here.
    """

    TYPE: ClassVar[int] = 18

    topic_id: bytes
    number: int

    def execute(self, state: "ShardState", at: At) -> int | None:
        chain = state.chains.get((self.topic_id, 0))
        if chain is None:
            return None
        count = 0
        for split in chain.splits:
            kept = [tick for tick in split.ticks if tick.number >= self.number] or split.ticks[-1:]
            count += len(split.ticks) - len(kept)
            split.ticks = kept
        return count


class Tick(StructCommand, frozen=True):
    """Commit a tick, in the newest write split of partition 0.

    Result: True if it is the successor of the last one, or that very tick again; False if another tick stands in its
    place or it follows none; None if the partition is not here.
    """

    TYPE: ClassVar[int] = 17

    topic_id: bytes
    number: int
    watermark_ms: int
    cut: tuple[int, ...]
    policy: int

    def execute(self, state: "ShardState", at: At) -> bool | None:
        chain = state.chains.get((self.topic_id, 0))
        if chain is None:
            return None
        split = chain.newest
        wanted = TickState(self.number, self.watermark_ms, self.cut, self.policy)
        last = split.ticks[-1] if split.ticks else None
        if last is not None and last == wanted:
            return True
        number, watermark_ms = (0, TIMESTAMP_MS_MIN) if last is None else (last.number, last.watermark_ms)
        if self.number != number + 1 or self.watermark_ms <= watermark_ms:
            return False
        split.ticks.append(wanted)
        state.touch(self.topic_id, 0)
        return True
