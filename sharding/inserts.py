"""Inserts that do not come from a Kafka producer: records to batches, one partition each, durable when answered.

A key chooses the partition as Kafka's producers do (murmur2); records without one take turns. The records of one call
that go to one partition keep their order, in as few batches as the topic's `max.message.bytes` allows. Partitions are
independent: where one refuses, the others still store, and the outcome says so per record. A partition that is led by
another node gets its batches there, one after the other.
"""

import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import count

import anyio
import anyio.lowlevel
import anyio.to_thread

from store import batches
from store.errors import BatchError
from store.events import Record

from .errors import InvalidRecordError, NotLeaderError, ShardingError, TimedOutError
from .interfaces import Appended, NodeApi, PartitionApi, Topic
from .partitioner import partition_of
from .topic_configs import integer_of

BATCH_BYTES_MAX = 512 * 1024
# A record's lengths, deltas and counts are varints; this bounds them.
RECORD_OVERHEAD_BYTES = 32
HEADER_OVERHEAD_BYTES = 10
APPEND_DEADLINE_S = 30.0

Headers = Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A record to store; `timestamp_ms` None: the clock's, `partition` None: the key's, or the next one's turn."""

    value: bytes | None
    key: bytes | None = None
    timestamp_ms: int | None = None
    partition: int | None = None
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record was stored."""

    partition: int
    offset: int


Outcome = Place | Exception


@dataclass(frozen=True, slots=True)
class _Batch:
    """Records by their row in the call, and their bytes."""

    partition: int
    rows: Sequence[int]
    content: memoryview


@dataclass(frozen=True, slots=True)
class _Built:
    partitions: Sequence[int]
    batches: Sequence[_Batch]
    refused: Sequence[tuple[int, Exception]]


class Inserts:
    """Owns the turns of records without a key."""

    def __init__(self, node: NodeApi, *, now_ms: Callable[[], int], limiter: anyio.CapacityLimiter) -> None:
        self._node = node
        self._now_ms = now_ms
        self._limiter = limiter
        self._turns = count()

    async def insert(self, topic: Topic, records: Sequence[NewRecord]) -> list[Outcome]:
        """Where each record is, or why it is not known to be stored; in the order given.

        An error is a refusal, or TimedOutError and NotLeaderError: then the record may be stored all the same.
        Raises: UnknownPartitionError; then nothing was stored.
        """
        now_ms = self._now_ms()
        bytes_max = min(BATCH_BYTES_MAX, integer_of(topic.configs, "max.message.bytes"))

        def build() -> _Built:
            return _built(records, self._rows_by_partition(topic, records), now_ms, bytes_max)

        # Hashing and building are pure computing over up to 100,000 records: they must not hold up the loop.
        built = await anyio.to_thread.run_sync(build, limiter=self._limiter)
        partitions = {index: self._partition_or_none(topic, index) for index in built.partitions}
        outcomes: list[Outcome] = [TimedOutError("no answer in time: the record may be stored")] * len(records)
        for row, error in built.refused:
            outcomes[row] = error
        appends = _Appends(outcomes, lambda index, batch: self._node.append_elsewhere(topic, index, batch))
        await appends.run(built.batches, partitions, now_ms)
        return outcomes

    def _partition_or_none(self, topic: Topic, index: int) -> PartitionApi | None:
        """None if it is led elsewhere. Raises: UnknownPartitionError."""
        try:
            return self._node.partition(topic, index)
        except NotLeaderError:
            return None

    def _rows_by_partition(self, topic: Topic, records: Sequence[NewRecord]) -> dict[int, list[int]]:
        rows_of: dict[int, list[int]] = {}
        for row, record in enumerate(records):
            index = record.partition
            if index is None:
                key, partition_count = record.key, topic.partition_count
                index = next(self._turns) % partition_count if key is None else partition_of(key, partition_count)
            rows_of.setdefault(index, []).append(row)
        return rows_of


def failures(outcomes: Sequence[Outcome]) -> list[Exception]:
    return [outcome for outcome in outcomes if isinstance(outcome, Exception)]


Forward = Callable[[int, memoryview], Awaitable[Appended]]


class _Appends:
    """The batches of one call under way. `forward` admits a batch where its partition is led."""

    def __init__(self, outcomes: list[Outcome], forward: Forward) -> None:
        self._outcomes = outcomes
        self._forward = forward
        self._pending = 0
        self._done = anyio.Event()
        self._elsewhere: dict[int, list[_Batch]] = {}
        self._admitted: set[int] = set()

    async def run(self, built: Sequence[_Batch], partitions: dict[int, PartitionApi | None], now_ms: int) -> None:
        refused: dict[int, Exception] = {}
        for batch in built:
            if (partition := partitions[batch.partition]) is None or batch.partition in self._elsewhere:
                self._elsewhere.setdefault(batch.partition, []).append(batch)
                continue
            # What follows a refused batch would overtake it.
            if (error := refused.get(batch.partition)) is None:
                error = self._append(batch, partition, now_ms)
            if isinstance(error, NotLeaderError) and not {batch.partition} & (self._admitted | refused.keys()):
                self._elsewhere[batch.partition] = [batch]
            elif error is not None:
                refused[batch.partition] = error
                self._settle(batch.rows, error)
            # Each batch costs a look at all its timestamps: others get their turn between two.
            await anyio.lowlevel.checkpoint()
        with anyio.move_on_after(APPEND_DEADLINE_S):
            async with anyio.create_task_group() as tasks:
                for batches_elsewhere in self._elsewhere.values():
                    tasks.start_soon(self._append_elsewhere, batches_elsewhere)
                if self._pending:
                    await self._done.wait()

    async def _append_elsewhere(self, batches_elsewhere: Sequence[_Batch]) -> None:
        """The batches of one partition, in their order."""
        refused: Exception | None = None
        for batch in batches_elsewhere:
            if refused is None:
                try:
                    appended = await self._forward(batch.partition, batch.content)
                except (ShardingError, BatchError) as error:
                    refused = error
                else:
                    self._place(batch, appended)
                    continue
            self._settle(batch.rows, refused)

    def _place(self, batch: _Batch, appended: Appended) -> None:
        for position, row in enumerate(batch.rows):
            self._outcomes[row] = Place(batch.partition, appended.base_offset + position)

    def _append(self, batch: _Batch, partition: PartitionApi, now_ms: int) -> Exception | None:
        def on_done(answer: Appended | Exception) -> None:
            if isinstance(answer, Exception):
                self._settle(batch.rows, answer)
            else:
                self._place(batch, answer)
            self._pending -= 1
            if not self._pending:
                self._done.set()

        try:
            partition.append(batch.content, batches.check(batch.content), acks=-1, now_ms=now_ms, on_done=on_done)
        except (ShardingError, BatchError) as error:
            return error
        self._admitted.add(batch.partition)
        self._pending += 1
        return None

    def _settle(self, rows: Sequence[int], error: Exception) -> None:
        for row in rows:
            self._outcomes[row] = error


def _built(records: Sequence[NewRecord], rows_of: dict[int, list[int]], now_ms: int, bytes_max: int) -> _Built:
    built: list[_Batch] = []
    refused: list[tuple[int, Exception]] = []

    def build(partition: int, rows: Sequence[int]) -> None:
        if not rows:
            return
        found = [_stored(records[row], position, now_ms) for position, row in enumerate(rows)]
        try:
            content = memoryview(bytearray(batches.build(found, base_offset=0)))
        except (ValueError, OverflowError, struct.error) as error:
            wrong = InvalidRecordError(f"a record that Kafka's format cannot hold: {error}")
            refused.extend((row, wrong) for row in rows)
        else:
            built.append(_Batch(partition, tuple(rows), content))

    for partition, rows in rows_of.items():
        gathered: list[int] = []
        size = batches.HEADER_BYTES
        for row in rows:
            row_bytes = _size_bound(records[row])
            if gathered and size + row_bytes > bytes_max:
                build(partition, gathered)
                gathered, size = [], batches.HEADER_BYTES
            gathered.append(row)
            size += row_bytes
        build(partition, gathered)
    return _Built(list(rows_of), built, refused)


def _size_bound(record: NewRecord) -> int:
    headers = sum(HEADER_OVERHEAD_BYTES + 4 * len(name) + len(value or b"") for name, value in record.headers)
    return RECORD_OVERHEAD_BYTES + len(record.key or b"") + len(record.value or b"") + headers


def _stored(record: NewRecord, offset: int, now_ms: int) -> Record:
    timestamp_ms = now_ms if record.timestamp_ms is None else record.timestamp_ms
    return Record(offset, timestamp_ms, record.key, record.value, record.headers)
