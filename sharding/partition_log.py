"""A partition's committed batches on this node, over all its write splits, for whoever reads them by offset."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from threading import Lock

import numpy as np

from store.batches import BatchHeader, Positions, positions, split_batches
from store.blocks import Int32Array, Int64Array
from store.errors import DamagedIndexError
from store.events import Record

from .errors import OffsetOutOfRangeError, UnknownPartitionError
from .shard import Shard
from .shard_state import Chain
from .write_split import WriteSplit

DECODED_BYTES_MAX = 32 << 20
# What the nine columns of `Positions` take per record.
COLUMN_BYTES = 72

BatchKey = tuple[int, int, int]


class DecodedBatches:
    """Least-recently-used decoded batches of all partitions, at most `bytes_max` in all; threads share it.

    Readers in event order come back to the same few batches of each partition again and again.
    """

    def __init__(self, bytes_max: int = DECODED_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._size = 0
        self._held: OrderedDict[BatchKey, Positions] = OrderedDict()
        self._lock = Lock()

    def get(self, key: BatchKey, read: Callable[[], memoryview]) -> Positions:
        """The batch at a place in a shard's log, decoded by `positions`, which see for what it raises."""
        with self._lock:
            if (held := self._held.get(key)) is not None:
                self._held.move_to_end(key)
                return held
        decoded = positions(read())
        with self._lock:
            if key not in self._held and _size_of(decoded) <= self._bytes_max // 4:
                self._held[key] = decoded
                self._size += _size_of(decoded)
                while self._size > self._bytes_max:
                    self._size -= _size_of(self._held.popitem(last=False)[1])
        return decoded

    def forget(self, shard_id: int) -> None:
        """The shard's log was replaced as a whole: the same bytes may stand elsewhere in it now."""
        with self._lock:
            for key in [key for key in self._held if key[0] == shard_id]:
                self._size -= _size_of(self._held.pop(key))


class PartitionLog:
    """Reads one partition. `batches` is for the loop; `records` may be called from any thread.

    A thread may read beside the loop: the offset index and the list of splits only grow at their ends while this node
    keeps the data; what was released in between raises an error and is never misread.
    """

    def __init__(self, shard: Shard, topic_id: bytes, partition: int, decoded: DecodedBatches) -> None:
        self._shard = shard
        self._key = topic_id, partition
        self._decoded = decoded

    @property
    def chain(self) -> Chain:
        """Raises: UnknownPartitionError once the topic is deleted."""
        if (chain := self._shard.state.chains.get(self._key)) is None:
            raise UnknownPartitionError(f"partition {self._key[1]} of topic {self._key[0].hex()} is not here")
        return chain

    @property
    def exists(self) -> bool:
        return self._key in self._shard.state.chains

    @property
    def committed_offset(self) -> int:
        return self.chain.newest.committed_offset

    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:
        return self._shard.watch(self.chain, on_change)

    def batches(self, offset: int, bytes_max: int) -> list[tuple[memoryview, BatchHeader]]:
        """Whole committed batches from the one that holds `offset` on: about `bytes_max` bytes, empty at the end.

        Raises: OffsetOutOfRangeError below the oldest split that is kept.
        """
        if (split := self._split_with(offset)) is None:
            return []
        return [
            (view[position : position + header.length_bytes], header)
            for view in self._shard.read_batches(split, offset, bytes_max)
            for position, header in split_batches(view)
        ]

    def records(self, partitions: Int32Array, offsets: Int64Array) -> list[Record]:
        """The records at these offsets, in the order given. Raises: DamagedIndexError where there is none."""
        del partitions  # all of this partition
        order = np.argsort(offsets, kind="stable")
        ordered = offsets[order]
        found: list[Record] = []
        for decoded in self._batches_with(ordered):
            wanted = ordered[len(found) : int(ordered.searchsorted(int(decoded.offsets[-1]), "right"))]
            rows = decoded.offsets.searchsorted(wanted)
            if not np.array_equal(decoded.offsets[rows], wanted):
                break
            found += _records_at(decoded, rows)
        if len(found) < len(ordered):
            raise DamagedIndexError(f"no record at offset {ordered[len(found)]} of partition {self._key[1]}")
        back = np.empty(len(order), np.int64)
        back[order] = np.arange(len(order))
        return [found[row] for row in back.tolist()]

    def _batches_with(self, offsets: Int64Array) -> Iterator[Positions]:
        """The decoded batches that hold these rising offsets, each once."""
        end = -1
        for offset in offsets.tolist():
            if offset < end:
                continue
            split = self._split_with(offset)
            place = None if split is None else split.index.find_or_none(offset)
            if place is None:
                return
            segment, position, length = place.segment, place.position, place.length
            key = self._shard.shard_id, segment, position
            decoded = self._decoded.get(key, lambda: self._shard.group.read(segment, position, length))  # noqa: B023 - called at once
            if not len(decoded.offsets):
                return
            yield decoded
            end = place.last_offset + 1

    def _split_with(self, offset: int) -> WriteSplit | None:
        """The split that holds a committed offset; None at or past the end."""
        splits = self.chain.splits
        if offset >= splits[-1].committed_offset:
            return None
        for split in reversed(splits):
            if offset >= split.first_offset:
                return split
        raise OffsetOutOfRangeError(offset, splits[0].first_offset, splits[-1].committed_offset)


def _records_at(decoded: Positions, rows: "np.ndarray[tuple[int], np.dtype[np.intp]]") -> Sequence[Record]:
    payload = decoded.payload
    columns = (
        decoded.offsets, decoded.timestamps, decoded.key_starts, decoded.key_ends, decoded.value_starts,
        decoded.value_ends, decoded.headers_starts, decoded.record_ends,
    )  # fmt: skip
    # A record without headers ends with the one byte of their count.
    return [
        Record(
            offset,
            timestamp_ms,
            None if key_start < 0 else bytes(payload[key_start:key_end]),
            None if value_start < 0 else bytes(payload[value_start:value_end]),
            () if record_end - headers_start == 1 else decoded.headers(row),
        )
        for row, offset, timestamp_ms, key_start, key_end, value_start, value_end, headers_start, record_end in zip(
            rows.tolist(), *(column[rows].tolist() for column in columns), strict=True
        )
    ]


def _size_of(decoded: Positions) -> int:
    return len(decoded.payload) + COLUMN_BYTES * len(decoded.offsets)
