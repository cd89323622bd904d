"""One partition's part of a split: what it admits, what it shows, and what it hands to its successor. Pure.

Two ends, never mixed up: `next_offset` is *admission*, a function of the log up to its last appended entry, and has
meaning on the leader alone; `committed_offset` is *visibility* (the high watermark), the same on every replica at the
same index. Always `first_offset <= committed_offset <= next_offset`, and the admitted values follow from the
committed ones by replaying `on_append` of the commands in flight (`Shard` does so after a role change or a failed
proposal).

Replicated: everything but the fields under "admission" and "leader only" below. Committed values change in `commit`,
`close` and the executors of commands; the ticks' and the log start's fields are set by their commands directly.
"""

from typing import TYPE_CHECKING

import msgspec

from store.events import TIMESTAMP_MS_MAX, TIMESTAMP_MS_MIN
from store.offset_index import OffsetIndex

from .errors import NotLeaderError
from .producers import Admission, Producers, ProducerState

if TYPE_CHECKING:
    from .commands.append import Append

SAME_SHARD_EPOCHS = 0
OTHER_SHARD_EPOCHS = 4096


class Target(msgspec.Struct, array_like=True, frozen=True):
    """Where the next split opens: its number and the shard. The same shard in a standalone node."""

    number: int
    shard: int


class TickState(msgspec.Struct, array_like=True, frozen=True):
    """`store.ticks.Tick` in a command or checkpoint; `policy` is the LatePolicy's number."""

    number: int
    watermark_ms: int
    cut: tuple[int, ...]
    policy: int = 0


class FenceState(msgspec.Struct, array_like=True, frozen=True):
    """The answer of the partition's last fence (`commands.ticks.Fence`), kept for its repetitions."""

    number: int
    watermark_ms: int
    cut: int
    hold_ms: int | None


class SplitState(msgspec.Struct, array_like=True, frozen=True):
    """What a write split inherits. `epochs` is (leader epoch, first offset), rising in both.

    `fence`: the last one committed; `fence_ms`: the highest watermark of all fences, which `reject` refuses below.
    `greatest_ms`: the greatest timestamp ever committed to the partition. `ticks`: the topic's last tick, in
    partition 0 only, and none before the first.
    """

    next_offset: int = 0
    epoch_base: int = 0
    epochs: tuple[tuple[int, int], ...] = ()
    log_start: int = 0
    producers: tuple[ProducerState, ...] = ()
    fence: FenceState | None = None
    fence_ms: int = TIMESTAMP_MS_MIN
    greatest_ms: int = TIMESTAMP_MS_MIN
    ticks: tuple[TickState, ...] = ()


class WriteSplitState(msgspec.Struct, array_like=True, frozen=True):
    """A write split in a checkpoint; `inherited` with the values that hold now."""

    topic_id: bytes
    partition: int
    number: int
    first_offset: int
    open_term: int
    opened_ms: int
    inherited: SplitState
    least_ms: int
    split_greatest_ms: int
    size_bytes: int
    record_count: int
    target: Target | None
    closed_ms: int
    index: bytes


class WriteSplit:
    """One write split. See the module's docstring for what holds."""

    __slots__ = (
        "admission", "admitted_fence_ms", "admitted_target", "closed_ms", "committed_offset",
        "epoch_base", "epochs", "fence", "fence_ms", "first_offset", "greatest_ms", "index",
        "is_admitting", "last_append_ms", "least_ms", "log_start", "next_offset", "number",
        "open_term", "opened_ms", "partition", "producers", "record_count", "size_bytes",
        "split_greatest_ms", "target", "ticks", "topic_id",
    )  # fmt: skip

    def __init__(self, topic_id: bytes, partition: int, number: int, inherited: SplitState) -> None:
        assert len(topic_id) == 16, f"topic id of {len(topic_id)} bytes"
        self.topic_id = topic_id
        self.partition = partition
        self.number = number
        self.opened_ms = 0
        self.open_term = 0

        self.first_offset = inherited.next_offset
        self.committed_offset = inherited.next_offset
        self.log_start = inherited.log_start
        self.epoch_base = inherited.epoch_base
        self.epochs = [(epoch, offset) for epoch, offset in inherited.epochs]
        self.producers = Producers(inherited.producers)
        self.fence = inherited.fence
        self.fence_ms = inherited.fence_ms
        self.greatest_ms = inherited.greatest_ms
        # Ticks committed while this split was the partition's newest, the inherited one first; partition 0 only.
        self.ticks = list(inherited.ticks)
        self.least_ms = TIMESTAMP_MS_MAX
        self.split_greatest_ms = TIMESTAMP_MS_MIN
        self.size_bytes = 0
        self.record_count = 0
        self.target: Target | None = None
        self.closed_ms = 0
        self.index = OffsetIndex()

        # Admission.
        self.next_offset = inherited.next_offset
        self.is_admitting = True
        self.admitted_fence_ms = inherited.fence_ms
        # Where the next split opens, from the append of the `Close` on.
        self.admitted_target: Target | None = None
        self.admission = Admission(self.producers)
        # Leader only: by the leader's clock, 0 before the first append of this leadership.
        self.last_append_ms = 0

    @property
    def is_closed(self) -> bool:
        return self.target is not None

    def leader_epoch(self, term: int) -> int:
        """The partition's leader epoch in a Raft term not before that of its `Open`."""
        assert term >= self.open_term, f"term {term} is before the split's open term {self.open_term}"
        return self.epoch_base + term - self.open_term

    def reset_admission(self) -> None:
        """Admission as of the committed state, with nothing in flight."""
        self.next_offset = self.committed_offset
        self.is_admitting = not self.is_closed
        self.admitted_target = self.target
        self.admitted_fence_ms = self.fence_ms
        self.admission.clear()

    def check_admitting(self) -> None:
        """Raises: NotLeaderError."""
        if not self.is_admitting:
            raise NotLeaderError

    def admitted(self, append: "Append") -> None:
        """The append took its place in the log."""
        assert self.is_admitting, f"{append} after its split's close"
        assert append.base_offset == self.next_offset, f"{append}, the next offset is {self.next_offset}"
        self.next_offset = append.end_offset
        if (batch := append.sequenced_or_none) is not None:
            self.admission.add(batch, append.base_offset)

    def commit(self, append: "Append", segment: int, position: int) -> None:
        """Execute an append whose batch stands at this place: its records are visible."""
        header = append.header
        base_offset = append.base_offset
        end_offset = base_offset + header.last_offset_delta + 1
        length = len(append.batch)
        # The log holds one order of appends; a gap or an overlap means that it was not ours.
        assert append.split == self.number, f"{append} was executed on split {self.number}"
        assert base_offset == self.committed_offset, f"{append} at committed offset {self.committed_offset}"
        assert self.target is None, f"{append} after its split's close"
        self.committed_offset = end_offset
        self.next_offset = max(self.next_offset, end_offset)
        epochs = self.epochs
        if not epochs or epochs[-1][0] != append.leader_epoch:
            assert not epochs or epochs[-1][0] < append.leader_epoch, f"{append} in epoch {append.leader_epoch}"
            epochs.append((append.leader_epoch, base_offset))
        self.least_ms = min(self.least_ms, append.least_ms)
        if append.greatest_ms > self.split_greatest_ms:
            self.split_greatest_ms = append.greatest_ms
            self.greatest_ms = max(self.greatest_ms, append.greatest_ms)
        self.size_bytes += length
        self.record_count += header.record_count
        self.index.add(base_offset, end_offset - 1, segment, position, length, append.greatest_ms, append.least_ms)
        if (batch := append.sequenced_or_none) is not None:
            self.producers.add(batch, base_offset)
            self.admission.settle(batch.producer_id)

    @property
    def last_stable_offset(self) -> int:
        """No transactions yet: all that is committed is decided."""
        return self.committed_offset

    def hold_or_none(self, after_ms: int) -> int | None:
        """The least timestamp above `after_ms` among the records that are committed and undecided."""
        assert self.last_stable_offset == self.committed_offset, "undecided records need an index of their timestamps"
        return None

    def take_ticks(self, before: "WriteSplit") -> None:
        """What was fenced and ticked between the proposal of this split's `Open` and its place in the log."""
        self.fence, self.fence_ms = before.fence, before.fence_ms
        self.admitted_fence_ms = max(self.admitted_fence_ms, before.fence_ms)
        self.ticks = before.ticks[-1:]

    def close(self, target: Target, closed_ms: int) -> None:
        """Execute a close; a repetition keeps the first target."""
        if self.target is None:
            self.target = target
            self.closed_ms = closed_ms
        self.begin_close(self.target)

    def begin_close(self, target: Target) -> None:
        """A `Close` took its place in the log: nothing is admitted behind it."""
        self.is_admitting = False
        self.admitted_target = self.admitted_target or target

    def handed_over(self, term: int, epochs_added: int) -> SplitState:
        """What the next split opens with, for an `Open` proposed in `term`."""
        return SplitState(
            next_offset=self.committed_offset,
            epoch_base=self.leader_epoch(term) + epochs_added,
            epochs=tuple(self.epochs),
            log_start=self.log_start,
            producers=tuple(self.producers.snapshot()),
            fence=self.fence,
            fence_ms=self.fence_ms,
            greatest_ms=self.greatest_ms,
            ticks=tuple(self.ticks[-1:]),
        )

    def forget_producers(self) -> None:
        """The successor has them."""
        self.producers = Producers()
        self.admission = Admission(self.producers)

    def end_of_epoch(self, leader_epoch: int) -> tuple[int, int]:
        """(greatest epoch with data <= the asked one, where it ends); (-1, -1) if there is none."""
        end = self.committed_offset
        for epoch, first_offset in reversed(self.epochs):
            if epoch <= leader_epoch:
                return epoch, end
            end = first_offset
        return -1, -1

    def snapshot(self) -> WriteSplitState:
        state = self.handed_over(self.open_term, SAME_SHARD_EPOCHS)
        return WriteSplitState(
            self.topic_id, self.partition, self.number, self.first_offset, self.open_term, self.opened_ms,
            msgspec.structs.replace(state, ticks=tuple(self.ticks)),
            self.least_ms, self.split_greatest_ms, self.size_bytes, self.record_count,
            self.target, self.closed_ms, self.index.snapshot(),
        )  # fmt: skip

    @classmethod
    def restored(cls, state: WriteSplitState) -> "WriteSplit":
        split = cls(state.topic_id, state.partition, state.number, state.inherited)
        split.first_offset = state.first_offset
        split.open_term = state.open_term
        split.opened_ms = state.opened_ms
        split.least_ms = state.least_ms
        split.split_greatest_ms = state.split_greatest_ms
        split.size_bytes = state.size_bytes
        split.record_count = state.record_count
        split.target = state.target
        split.closed_ms = state.closed_ms
        split.index = OffsetIndex.restored(state.index)
        split.reset_admission()
        return split
