"""A partition's committed batches on this node, over all its write splits, for whoever reads them by offset."""

from collections.abc import Callable, Iterator

import numpy as np

from store.batches import BatchHeader, Positions, positions, split_batches
from store.blocks import Int32Array, Int64Array
from store.errors import DamagedIndexError
from store.events import Record

from .errors import OffsetOutOfRangeError, UnknownPartitionError
from .shard import Shard
from .shard_state import Chain
from .write_split import WriteSplit


class PartitionLog:
    """Reads one partition. `batches` is for the loop; `records` may be called from any thread.

    A thread may read beside the loop: the offset index and the list of splits only grow at their ends while this node
    keeps the data; what was released in between raises an error and is never misread.
    """

    def __init__(self, shard: Shard, topic_id: bytes, partition: int) -> None:
        self._shard = shard
        self._key = topic_id, partition

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
        """The records at these offsets, in the order given; each batch is decoded once."""
        del partitions  # all of this partition
        found: list[Record | None] = [None] * len(offsets)
        order = np.argsort(offsets, kind="stable")
        at = 0
        for decoded in self._batches_with(offsets[order]):
            rows = np.searchsorted(decoded.offsets, offsets[order[at:]], "left")
            for row in rows.tolist():
                place = int(order[at])
                if row == len(decoded.offsets) or decoded.offsets[row] != offsets[place]:
                    break
                found[place] = decoded.record(row)
                at += 1
        if at < len(order):
            raise DamagedIndexError(f"no record at offset {offsets[order[at]]} of partition {self._key[1]}")
        return [record for record in found if record is not None]

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
            view = self._shard.group.read(place.segment, place.position, place.length)
            yield positions(view)
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
