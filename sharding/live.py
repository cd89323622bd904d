"""The live indexes of a node: every unsealed event of its open streams by event time, behind a shown lag.

A `LivePartition` pulls committed batches from its partition's log and puts their events into a `TimeIndex`; a
`LiveTopic` holds those of one topic and, as ticks are committed and their events indexed, counts what each tick emits.
`LiveIndexes` owns the one task that does this work off the produce path: in slices of at most `SLICE_MS` of loop time;
what takes longer (large batches) is decoded in a worker thread.

After a restart an index is built anew from the log, from the least offset that no run holds on. What a manifest calls
sealed is left out, so that runs and live index never share an event.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Protocol

import anyio
import anyio.lowlevel
import anyio.to_thread
import numpy as np

from store.batches import BatchHeader, positions
from store.blocks import Column, Int32Array, Int64Array
from store.emission import Ledger, Totals
from store.errors import BatchError
from store.events import Record
from store.schema import AttributeDecoder, Schema
from store.ticks import Tick
from store.time_index import IndexSnapshot, TimeIndex

from .views.emission import LiveEmission
from .views.stretches import Stretch

CHUNK_BYTES = 256 * 1024
# Decoded in the loop: about 1 ms. More goes to a thread.
INLINE_RECORDS_MAX = 500
SLICE_MS = 2


class PartitionReader(Protocol):
    """What a live index needs of a partition; `sharding.partition_log.PartitionLog` fulfils it."""

    @property
    def exists(self) -> bool: ...
    @property
    def committed_offset(self) -> int: ...
    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]: ...
    def batches(self, offset: int, bytes_max: int) -> list[tuple[memoryview, BatchHeader]]: ...
    def records(self, partitions: Int32Array, offsets: Int64Array) -> list[Record]: ...


@dataclass(frozen=True, slots=True)
class Events:
    """The events of a chunk of batches, which ends before `end_offset`; `columns` hold every declared attribute."""

    timestamps: Int64Array
    offsets: Int64Array
    columns: dict[str, Column]
    not_json_count: int
    unreadable_count: int
    end_offset: int


Chunk = Sequence[tuple[memoryview, BatchHeader]]


class LivePartition:
    """The live index of one partition. `indexed_offset` never falls and never passes the committed offset."""

    def __init__(
        self, log: PartitionReader, partition: int, schema: Schema | None, *, start_offset: int, sealed: Tick
    ) -> None:
        self.log = log
        self.partition = partition
        self.indexed_offset = start_offset
        self.not_json_count = 0
        self.unreadable_count = 0
        self._sealed = sealed
        self._index = TimeIndex(partition, schema)
        self._decoder = None if schema is None else AttributeDecoder(schema)
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._snapshot: IndexSnapshot | None = None
        self._failure: Exception | None = None

    @property
    def lag(self) -> int:
        """Committed records that are not indexed yet; a replica may be behind where runs end."""
        return max(0, self.log.committed_offset - self.indexed_offset)

    @property
    def event_count(self) -> int:
        return self._index.count

    def next_chunk(self) -> Chunk:
        return self.log.batches(self.indexed_offset, CHUNK_BYTES)

    def decode(self, chunk: Chunk) -> Events:
        """Pure but for the decoder's word lists: one call at a time, in whatever thread."""
        timestamps: list[Int64Array] = []
        offsets: list[Int64Array] = []
        values: list[bytes | None] = []
        unreadable_count = 0
        for batch, header in chunk:
            if header.is_control:
                continue
            try:
                decoded = positions(batch, header)
            except BatchError:
                # Only a topic whose records nobody parsed at admission can hold such a batch.
                unreadable_count += header.record_count
                continue
            timestamps.append(decoded.timestamps)
            offsets.append(decoded.offsets)
            if self._decoder is not None:
                values += decoded.values()
        columns, not_json_count = ({}, 0) if self._decoder is None else self._decoder.decode(values)
        end_offset = chunk[-1][1].last_offset + 1
        return Events(_joined(timestamps), _joined(offsets), columns, not_json_count, unreadable_count, end_offset)

    def insert(self, events: Events) -> None:
        """Take in the chunk that follows `indexed_offset`."""
        timestamps, offsets, columns = events.timestamps, events.offsets, events.columns
        sealed = self._sealed
        cut = sealed.cut[self.partition] if self.partition < len(sealed.cut) else 0
        # The first batch may begin below the start, and carried events lie among sealed ones.
        if len(offsets) and (offsets[0] < self.indexed_offset or offsets[0] < cut):
            is_sealed = (offsets < cut) & (timestamps <= sealed.watermark_ms)
            rows = ~is_sealed & (offsets >= self.indexed_offset)
            timestamps, offsets = timestamps[rows], offsets[rows]
            columns = {
                name: Column(
                    column.values[rows], None if column.is_null is None else column.is_null[rows], column.words
                )
                for name, column in columns.items()
            }
        self._snapshot = None
        self._index.insert(timestamps, offsets, columns)
        self.not_json_count += events.not_json_count
        self.unreadable_count += events.unreadable_count
        self.indexed_offset = events.end_offset
        while self._waiters and self._waiters[0][0] <= self.indexed_offset:
            future = heappop(self._waiters)[2]
            if not future.done():
                future.set_result(None)

    def snapshot(self) -> IndexSnapshot:
        if self._snapshot is None:
            self._snapshot = self._index.snapshot(self.log.records)
        return self._snapshot

    def discard(self, sealed: Tick) -> int:
        self._sealed = sealed
        self._snapshot = None
        cut = sealed.cut[self.partition] if self.partition < len(sealed.cut) else 0
        return self._index.discard(cut, sealed.watermark_ms)

    async def wait_indexed(self, offset: int) -> None:
        """Return when every committed record below `offset` is indexed. Raises: the error that ended the index."""
        if self.indexed_offset >= offset:
            return
        if self._failure is not None:
            raise self._failure
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heappush(self._waiters, (offset, id(future), future))
        await future

    def fail(self, error: Exception) -> None:
        """No further record will be indexed."""
        self._failure = error
        for _, _, future in self._waiters:
            if not future.done():
                future.set_exception(error)
        self._waiters.clear()


class LiveTopic:
    """The live indexes of a topic's partitions, and what its unsealed ticks emitted if it has views.

    `tick_or_none(number)` is the committed tick of a number. After the events of a further tick are indexed, and after
    sealing, `on_emitted` is called, and then those who watch.
    """

    def __init__(
        self,
        topic_id: bytes,
        partitions: Sequence[LivePartition],
        tick_or_none: Callable[[int], Tick | None],
        ledger: Ledger | None,
    ) -> None:
        self.topic_id = topic_id
        self.partitions = partitions
        self._tick_or_none = tick_or_none
        self.on_emitted: Callable[[], None] = _nothing
        self._emission = None if ledger is None else LiveEmission(ledger)
        self._watchers: list[Callable[[], None]] = []
        self._undo: list[Callable[[], None]] = []

    @property
    def exists(self) -> bool:
        return all(partition.log.exists for partition in self.partitions)

    @property
    def lag(self) -> int:
        return sum(partition.lag for partition in self.partitions)

    @property
    def ledger_or_none(self) -> Ledger | None:
        """None if the topic has no views."""
        return None if self._emission is None else self._emission.ledger

    def snapshots(self) -> list[IndexSnapshot]:
        return [partition.snapshot() for partition in self.partitions]

    def stretch(self) -> Stretch:
        assert self._emission is not None, "a topic without views has no stretch"
        return self._emission.stretch(self.snapshots())

    def emit_next(self) -> bool:
        """Count the next committed tick if all its events are indexed; returns whether it did."""
        if self._emission is None:
            return False
        if (tick := self._tick_or_none(self._emission.ledger.last.number + 1)) is None:
            return False
        for partition, cut in zip(self.partitions, tick.cut, strict=False):
            if partition.indexed_offset < cut:
                return False
        self._emission.emit(tick, self.snapshots())
        self._tell()
        return True

    def discard(self, sealed: Tick, totals: Totals) -> None:
        """Drop what runs hold now; `totals` are as of that tick. One callback with the runs becoming visible."""
        if self._emission is not None:
            self._emission.discard(sealed, totals)
        for partition in self.partitions:
            partition.discard(sealed)
        self._tell()

    def watch_emitted(self, on_change: Callable[[], None]) -> Callable[[], None]:
        self._watchers.append(on_change)

        def undo() -> None:
            if on_change in self._watchers:
                self._watchers.remove(on_change)

        return undo

    def tell_watchers(self) -> None:
        for on_change in tuple(self._watchers):
            on_change()

    def watch_logs(self, on_change: Callable[[], None]) -> None:
        self._undo += [partition.log.watch(on_change) for partition in self.partitions]

    def close(self, error: Exception) -> None:
        for undo in self._undo:
            undo()
        for partition in self.partitions:
            partition.fail(error)
        # Who waits for more to be shown looks again, and is told.
        self.tell_watchers()

    def _tell(self) -> None:
        self.on_emitted()
        self.tell_watchers()


class LiveIndexes:
    """Every live topic of the node and the task that feeds them. `monotonic` gives seconds.

    `on_failed(topic id)` is told of an index that ended by a fault of its own, after it was removed.
    """

    def __init__(
        self,
        *,
        monotonic: Callable[[], float],
        limiter: anyio.CapacityLimiter,
        logger: logging.Logger,
        on_failed: "Callable[[bytes], None] | None" = None,
    ) -> None:
        self._topics: dict[bytes, LiveTopic] = {}
        self._dirty: deque[LiveTopic] = deque()
        self._wake = anyio.Event()
        self._monotonic = monotonic
        self._limiter = limiter
        self._logger = logger
        self._on_failed = on_failed

    def __iter__(self) -> Iterator[LiveTopic]:
        return iter(self._topics.values())

    def topic_or_none(self, topic_id: bytes) -> LiveTopic | None:
        return self._topics.get(topic_id)

    def add(self, topic: LiveTopic) -> None:
        assert topic.topic_id not in self._topics, f"topic {topic.topic_id.hex()} is live already"
        self._topics[topic.topic_id] = topic
        topic.watch_logs(lambda: self._mark(topic))
        self._mark(topic)

    def remove(self, topic_id: bytes, error: Exception) -> None:
        if (topic := self._topics.pop(topic_id, None)) is not None:
            topic.close(error)

    def wake(self, topic_id: bytes) -> None:
        """There may be more to index than the logs have told."""
        if (topic := self._topics.get(topic_id)) is not None:
            self._mark(topic)

    async def run(self) -> None:
        """Feed the indexes until cancelled."""
        while True:
            while self._dirty:
                topic = self._dirty.popleft()
                if self._topics.get(topic.topic_id) is topic:
                    await self._feed(topic)
            self._wake = anyio.Event()
            await self._wake.wait()

    def _mark(self, topic: LiveTopic) -> None:
        if topic not in self._dirty:
            self._dirty.append(topic)
            self._wake.set()

    async def _feed(self, topic: LiveTopic) -> None:
        """A round over the topic's partitions, a chunk of each; what is left is for the next round."""
        try:
            is_more = False
            started = self._monotonic()
            for partition in topic.partitions:
                if partition.log.exists and partition.lag:
                    await self._take_chunk(partition)
                    is_more = is_more or partition.lag > 0
                started = await self._breathe(started)
            while topic.emit_next():
                started = await self._breathe(started)
        except Exception as error:
            # Without its index a stream cannot answer; the log and the other topics go on.
            self._logger.exception("the live index of topic %s stops", topic.topic_id.hex())
            if self._topics.get(topic.topic_id) is topic:
                self.remove(topic.topic_id, error)
                if self._on_failed is not None:
                    self._on_failed(topic.topic_id)
            return
        if is_more:
            self._mark(topic)

    async def _take_chunk(self, partition: LivePartition) -> None:
        chunk = partition.next_chunk()
        if sum(header.record_count for _, header in chunk) <= INLINE_RECORDS_MAX:
            events = partition.decode(chunk)
        else:
            events = await anyio.to_thread.run_sync(partition.decode, chunk, limiter=self._limiter)
        partition.insert(events)

    async def _breathe(self, started: float) -> float:
        """Let the loop run once the slice is used up; returns when the slice began."""
        if (self._monotonic() - started) * 1000 < SLICE_MS:
            return started
        await anyio.lowlevel.checkpoint()
        return self._monotonic()


def _nothing() -> None:
    """Nobody is told."""


def _joined(parts: Sequence[Int64Array]) -> Int64Array:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
