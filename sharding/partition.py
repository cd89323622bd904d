"""One partition on the node that leads it: fulfils `interfaces.PartitionApi` over a shard's chain of write splits.

On a node that does not lead it, everything but the properties raises NotLeaderError with the leader and its epoch.
A node that was deposed and does not know yet may show less than another already has, never something else; where that
could send a client back, in ListOffsets and for an offset beyond the end, it asks for a majority first (`confirm`), and
so it does before it says that a producer's batch is out of order (`refusals`).
"""

from collections.abc import Awaitable, Callable
from typing import cast

import numpy as np

from store.batches import BatchHeader, read_header, stamp_append_time, timestamps_and_offsets
from store.blocks import Int64Array
from store.errors import BatchError
from store.offset_index import BatchPlace, OffsetIndex

from .admission import TopicPolicy, check_batch
from .barriers import pass_barrier
from .commands.splits import RaiseLogStart
from .errors import (
    FencedLeaderEpochError,
    NotLeaderError,
    OffsetOutOfRangeError,
    OutOfOrderSequenceError,
    UnknownLeaderEpochError,
    UnknownPartitionError,
)
from .gathering import OnDone
from .interfaces import Appended, Fetched, FoundOffset, Topic
from .refusals import Refusals
from .shard import Shard
from .shard_state import Chain


class Partition:
    """Valid as long as its topic: the node makes a new one when the topic's settings change."""

    __slots__ = ("_chain", "_policy", "_refusals", "_shard", "index", "topic")

    def __init__(
        self, topic: Topic, index: int, shard: Shard, chain: Chain, policy: TopicPolicy, refusals: Refusals
    ) -> None:
        self.topic = topic
        self.index = index
        self._shard = shard
        self._chain = chain
        self._policy = policy
        self._refusals = refusals

    @property
    def shard(self) -> Shard:
        return self._shard

    @property
    def chain(self) -> Chain:
        return self._chain

    @property
    def leader_epoch(self) -> int:
        return self._shard.leader_epoch(self._chain.newest)

    @property
    def log_start(self) -> int:
        return self._chain.newest.log_start

    @property
    def high_watermark(self) -> int:
        return self._chain.newest.committed_offset

    @property
    def last_stable_offset(self) -> int:
        return self._chain.newest.last_stable_offset

    def append(
        self,
        batch: memoryview,
        header: BatchHeader,
        *,
        acks: int,
        now_ms: int,
        on_done: Callable[[Appended | Exception], None],
    ) -> None:
        if not self._shard.is_leader:
            raise self._not_leader()
        split = self._chain.splits[-1]
        if not split.is_admitting:

            def retry() -> None:
                self.append(batch, header, acks=acks, now_ms=now_ms, on_done=on_done)

            self._shard.hold(self._chain, len(batch), retry, cast("OnDone", on_done))
            return
        policy = self._policy
        least_ms = check_batch(policy, batch, header, now_ms=now_ms, fence_ms=split.admitted_fence_ms)
        if policy.is_log_append_time:
            header = stamp_append_time(batch, header, now_ms)
        # The shard answers an append with what `Append.execute` returns, or with an error.
        answer = cast("OnDone", on_done)
        try:
            self._shard.append(self._chain, batch, header, least_ms=least_ms, acks=acks, on_done=answer)
        except OutOfOrderSequenceError as error:
            if acks == 0 or self._shard.is_alone:
                raise
            self._refusals.tell(self._shard, error, answer)
            return
        split.last_append_ms = now_ms

    def read(self, offset: int, bytes_max: int, *, is_committed_only: bool = True) -> Fetched | Awaitable[Fetched]:
        """Both isolation levels show the same as long as there are no transactions."""
        del is_committed_only
        shard = self._shard
        if offset > self._chain.splits[-1].committed_offset and shard.is_leader and not shard.is_alone:
            # Who has this offset got it from a leader: maybe from one that came after this one.
            return self._read_confirmed(offset, bytes_max)
        return self._read(offset, bytes_max)

    async def _read_confirmed(self, offset: int, bytes_max: int) -> Fetched:
        await self.confirm()
        return self._read(offset, bytes_max)

    def _read(self, offset: int, bytes_max: int) -> Fetched:
        shard = self._shard
        if not shard.is_leader:
            raise self._not_leader()
        if self._chain.is_dropped:
            raise UnknownPartitionError(f"{self.topic.name} was deleted")
        splits = self._chain.splits
        newest = splits[-1]
        end, log_start = newest.committed_offset, newest.log_start
        if not log_start <= offset <= end:
            raise OffsetOutOfRangeError(offset, log_start, end)
        if offset == end:
            return Fetched((), 0, end, end, log_start)
        split = newest if offset >= newest.first_offset else self._chain.split_of(offset)
        if split is None:
            raise OffsetOutOfRangeError(offset, splits[0].first_offset, end)
        views = shard.read_batches(split, offset, bytes_max)
        return Fetched(views, sum(map(len, views)), end, end, log_start)

    async def confirm(self) -> None:
        """As `interfaces.PartitionApi`."""
        self._check_leading()
        await pass_barrier(self._shard)
        # Whoever leads now answers for what is committed now.
        self._check_leading()

    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:
        return self._shard.watch(self._chain, on_change)

    async def offset_of_time(self, timestamp_ms: int) -> FoundOffset | None:
        self._check_leading()
        log_start = self.log_start
        for split in self._chain.splits:
            for place in split.index.at_or_after(timestamp_ms, log_start):
                if (found := self._first_in(place, timestamp_ms, log_start)) is not None:
                    return found
        return None

    async def offset_of_greatest_time(self) -> FoundOffset | None:
        self._check_leading()
        log_start = self.log_start
        best: FoundOffset | None = None
        for split in self._chain.splits:
            for place in _greatest_places(split.index, log_start, split.committed_offset):
                if best is not None and place.greatest_ms <= best.timestamp_ms:
                    continue
                found = self._greatest_in(place, log_start)
                if found is not None and (best is None or found.timestamp_ms > best.timestamp_ms):
                    best = found
        return best

    def end_of_epoch(self, leader_epoch: int) -> tuple[int, int]:
        self._check_leading()
        current = self.leader_epoch
        if leader_epoch == current:
            return current, self.high_watermark
        return (-1, -1) if leader_epoch > current else self._chain.newest.end_of_epoch(leader_epoch)

    def check_epoch(self, leader_epoch: int) -> None:
        if leader_epoch == -1:
            return
        self._check_leading()
        current = self.leader_epoch
        if leader_epoch < current:
            raise FencedLeaderEpochError(f"leader epoch {leader_epoch}, now {current}")
        if leader_epoch > current:
            raise UnknownLeaderEpochError(f"leader epoch {leader_epoch}, now {current}")

    async def raise_log_start(self, offset: int) -> int:
        """Delete the records below `offset` (-1: all); returns the log start that holds. Source: KIP-107.

        Raises: OffsetOutOfRangeError, NotLeaderError, UnknownPartitionError.
        """
        self._check_leading()
        end = self.high_watermark
        wanted = end if offset == -1 else offset
        if not 0 <= wanted <= end:
            raise OffsetOutOfRangeError(offset, self.log_start, end)
        log_start = await self._shard.submit(RaiseLogStart(self.topic.topic_id.bytes, self.index, wanted))
        if not isinstance(log_start, int):
            raise UnknownPartitionError(f"{self.topic.name}-{self.index} was deleted")
        return log_start

    def _check_leading(self) -> None:
        if not self._shard.is_leader:
            raise self._not_leader()

    def _not_leader(self) -> NotLeaderError:
        leader = self._shard.group.leader_or_none
        epoch = -1 if leader is None else self.leader_epoch
        return NotLeaderError(None if leader is None else int(leader), epoch, is_refusal=True)

    def _greatest_in(self, place: BatchPlace, first_offset: int) -> FoundOffset | None:
        """The first of the records with the greatest timestamp, of those from `first_offset` on."""
        header, timestamps, offsets = self._decoded(place)
        shown = np.flatnonzero(offsets >= first_offset)
        if not len(shown):
            return None
        row = int(shown[int(np.argmax(timestamps[shown]))])
        return FoundOffset(int(offsets[row]), int(timestamps[row]), header.leader_epoch)

    def _first_in(self, place: BatchPlace, timestamp_ms: int, first_offset: int) -> FoundOffset | None:
        """The first record of a batch at or after both."""
        header, timestamps, offsets = self._decoded(place)
        rows = np.flatnonzero((timestamps >= timestamp_ms) & (offsets >= first_offset))
        if not len(rows):
            return None
        row = int(rows[0])
        return FoundOffset(int(offsets[row]), int(timestamps[row]), header.leader_epoch)

    def _decoded(self, place: BatchPlace) -> tuple[BatchHeader, Int64Array, Int64Array]:
        """Header, timestamps and offsets of a batch; none if its records are no records."""
        batch = self._shard.group.read(place.segment, place.position, place.length)
        header = read_header(batch)
        try:
            return header, *timestamps_and_offsets(batch, header)
        except BatchError:
            # Only a topic whose records nobody parsed at admission can hold such a batch. It has no events.
            none = np.empty(0, np.int64)
            return header, none, none


def _greatest_places(index: OffsetIndex, log_start: int, end_offset: int) -> list[BatchPlace]:
    """Batches among which the one with the greatest timestamp from `log_start` on is, in offset order."""
    latest = index.latest_or_none()
    if latest is None:
        return []
    if latest.base_offset >= log_start:
        return [latest]
    # It was deleted, wholly or in part. Of the batch with the log start inside, only the records can tell.
    left = index.places(log_start, end_offset)
    cut = [place for place in left[:1] if place.base_offset < log_start]
    whole = left[len(cut) :]
    return [*cut, max(whole, key=lambda place: place.greatest_ms)] if whole else cut
