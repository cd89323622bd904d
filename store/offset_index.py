"""Where each record batch of a write split stands in the log, and which times it spans.

One row per batch, in offset order without gaps. Rows live in flat arrays of int64, 56 bytes per batch; a look-up is a
bisection. `_bytes_before` sums up the lengths before each row, `_peaks` is the running maximum of the greatest
timestamps: both make "how far does this read go" and "the first batch at or after T" bisections too.

A batch's greatest timestamp is exact. Its least is exact or, where nobody parsed the batch, TIMESTAMP_MS_MIN: unknown.
"""

import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from .compression import Compression, compress, decompress
from .errors import DamagedIndexError, StoreError
from .events import TIMESTAMP_MS_MIN, TimeRange

CHUNK_ROWS: Final = 4096
# Version, first offset, rows; then per chunk of CHUNK_ROWS rows (the last may be shorter) its length and the zstd of
# its columns one after the other, little-endian.
SNAPSHOT_HEAD: Final = struct.Struct("<Hqq")
CHUNK_HEAD: Final = struct.Struct("<I")
SNAPSHOT_VERSION: Final = 2
SNAPSHOT_ROWS_MAX: Final = 1 << 26

Int64Array = NDArray[np.int64]


class Slice(NamedTuple):
    """One read of the log: `length` bytes of whole batches."""

    segment: int
    position: int
    length: int


class SegmentColumns(NamedTuple):
    """Batches of one segment, in the order of the log."""

    segment: int
    positions: list[int]
    lengths: list[int]


class BatchPlace(NamedTuple):
    """One batch; offsets and timestamps are closed ranges."""

    base_offset: int
    last_offset: int
    segment: int
    position: int
    length: int
    least_ms: int
    greatest_ms: int


class OffsetIndex:
    """The batches of one write split in offset order; each begins where the one before it ends.

    Owned by one thread; `snapshot` makes bytes that anyone may keep. Each full chunk is packed for it once, when it
    gets full: a checkpoint of a million batches must not hold up the loop that it is taken in.
    """

    __slots__ = (
        "_bytes_before", "_first_offset", "_greatest", "_last_offsets", "_least", "_lengths", "_packed", "_peaks",
        "_positions", "_segments", "_size_bytes",
    )  # fmt: skip

    def __init__(self) -> None:
        self._first_offset = 0
        self._last_offsets = array("q")
        self._segments = array("q")
        self._positions = array("q")
        self._lengths = array("q")
        self._least = array("q")
        self._greatest = array("q")
        self._peaks = array("q")
        self._bytes_before = array("q")
        self._size_bytes = 0
        self._packed: list[bytes] = []

    def __len__(self) -> int:
        return len(self._last_offsets)

    @property
    def first_offset(self) -> int:
        """The first batch's base offset; 0 before any batch."""
        return self._first_offset

    @property
    def end_offset(self) -> int:
        """Where the next batch must begin; 0 before any batch."""
        return self._last_offsets[-1] + 1 if self._last_offsets else self._first_offset

    @property
    def size_bytes(self) -> int:
        """All batches together."""
        return self._size_bytes - (self._bytes_before[0] if self._bytes_before else self._size_bytes)

    @property
    def first_segment_or_none(self) -> int | None:
        """No batch stands in an earlier segment."""
        return self._segments[0] if self._segments else None

    def add(  # noqa: PLR0913, PLR0917 - one call per produced batch: positional is twice as fast as a value
        self,
        base_offset: int,
        last_offset: int,
        segment: int,
        position: int,
        length: int,
        greatest_ms: int,
        least_ms: int = TIMESTAMP_MS_MIN,
    ) -> None:
        """Append the next batch."""
        last_offsets = self._last_offsets
        if last_offsets:
            assert base_offset == last_offsets[-1] + 1, f"batch at {base_offset} after {last_offsets[-1]}"
            peak = self._peaks[-1]
            self._peaks.append(max(peak, greatest_ms))
        else:
            self._first_offset = base_offset
            self._peaks.append(greatest_ms)
        assert base_offset <= last_offset, f"batch from {base_offset} to {last_offset}"
        last_offsets.append(last_offset)
        self._segments.append(segment)
        self._positions.append(position)
        self._lengths.append(length)
        self._least.append(least_ms)
        self._greatest.append(greatest_ms)
        self._bytes_before.append(self._size_bytes)
        self._size_bytes += length
        if not len(last_offsets) % CHUNK_ROWS:
            self._pack_full_chunks()

    def find_or_none(self, offset: int) -> BatchPlace | None:
        """The batch that holds `offset`."""
        row = bisect_left(self._last_offsets, offset)
        if row == len(self._last_offsets) or offset < self._first_offset:
            return None
        return self._place(row)

    def slices(self, offset: int, bytes_max: int, end_offset: int) -> list[Slice]:
        """Reads of the whole batches from the one that holds `offset` on, in order; all end before `end_offset`.

        Together at most `bytes_max` bytes, but at least one batch if there is any. Batches that touch become one read.
        """
        first, end = self._rows(offset, bytes_max, end_offset)
        if end - first == 1:
            return [Slice(self._segments[first], self._positions[first], self._lengths[first])]
        return self._coalesced(first, end) if end > first else []

    def columns(self, offset: int, bytes_max: int, end_offset: int) -> list[SegmentColumns]:
        """The batches of the same read as `slices`, one by one, as columns per segment: cheaper for many small ones."""
        first, end = self._rows(offset, bytes_max, end_offset)
        found: list[SegmentColumns] = []
        while first < end:
            segment = self._segments[first]
            # Segments only rise.
            behind = end if self._segments[end - 1] == segment else bisect_right(self._segments, segment, first, end)
            positions, lengths = self._positions[first:behind].tolist(), self._lengths[first:behind].tolist()
            found.append(SegmentColumns(segment, positions, lengths))
            first = behind
        return found

    def _rows(self, offset: int, bytes_max: int, end_offset: int) -> tuple[int, int]:
        """The half-open range of rows that a read takes."""
        first = bisect_left(self._last_offsets, offset)
        # The end of most fetches is the end of the index: no need to search for it.
        end = len(self._last_offsets)
        if not end or self._last_offsets[-1] >= end_offset:
            end = bisect_left(self._last_offsets, end_offset)
        if first >= end or offset < self._first_offset:
            return 0, 0
        bytes_before = self._bytes_before
        last = bisect_right(bytes_before, bytes_before[first] + bytes_max, first, end) - 1
        # Row `last` begins within the limit; does it end there too? The first batch is read in any case.
        if bytes_before[last] + self._lengths[last] > bytes_before[first] + bytes_max and last > first:
            last -= 1
        return first, last + 1

    def places(self, first_offset: int, end_offset: int) -> list[BatchPlace]:
        """Every batch that holds an offset of [first_offset, end_offset)."""
        first = bisect_left(self._last_offsets, first_offset)
        end = bisect_left(self._last_offsets, end_offset)
        if end < len(self) and self._base_offset(end) < end_offset:
            end += 1
        return [self._place(row) for row in range(first, end)]

    def at_or_after(self, timestamp_ms: int, first_offset: int = 0) -> Iterator[BatchPlace]:
        """The batches, from the one that holds `first_offset` on, with a timestamp >= `timestamp_ms`, in offset order.

        The least offset with such a timestamp lies in the first of them; the next ones are for callers who must skip
        what lies below a log start inside that batch.
        """
        row = bisect_left(self._last_offsets, first_offset)
        if row == 0:
            row = bisect_left(self._peaks, timestamp_ms)
        while row < len(self):
            hits = np.flatnonzero(_view(self._greatest, row, row + CHUNK_ROWS) >= timestamp_ms)
            for hit in hits.tolist():
                yield self._place(row + hit)
            row += CHUNK_ROWS

    def overlapping(self, span: TimeRange) -> list[BatchPlace]:
        """The batches that may hold events of `span`, in offset order."""
        if span.is_empty:
            return []
        first = bisect_left(self._peaks, span.first_ms)
        least, greatest = _view(self._least, first, len(self)), _view(self._greatest, first, len(self))
        rows = np.flatnonzero((greatest >= span.first_ms) & (least < span.end_ms))
        return [self._place(first + row) for row in rows.tolist()]

    def latest_or_none(self) -> BatchPlace | None:
        """The first batch that holds the greatest timestamp of all."""
        if not self._peaks:
            return None
        return self._place(bisect_left(self._peaks, self._peaks[-1]))

    def truncate_before(self, offset: int) -> None:
        """Drop the batches that lie wholly below `offset`."""
        row = bisect_left(self._last_offsets, offset)
        if row == 0:
            return
        self._first_offset = self._last_offsets[row - 1] + 1
        for column in self._columns():
            del column[:row]
        del self._bytes_before[:row]
        self._packed.clear()
        self._peaks = _running_maximum(self._greatest)

    def snapshot(self) -> bytes:
        """The whole index for a checkpoint; `restored` reads it back."""
        self._pack_full_chunks()
        chunks = list(self._packed)
        if (packed := len(chunks) * CHUNK_ROWS) < len(self):
            chunks.append(self._pack(packed, len(self)))
        parts = [SNAPSHOT_HEAD.pack(SNAPSHOT_VERSION, self._first_offset, len(self))]
        for chunk in chunks:
            parts += (CHUNK_HEAD.pack(len(chunk)), chunk)
        return b"".join(parts)

    @classmethod
    def restored(cls, snapshot: bytes) -> Self:
        """Raises: DamagedIndexError."""
        index = cls()
        if len(snapshot) < SNAPSHOT_HEAD.size:
            raise DamagedIndexError(f"an offset index of {len(snapshot)} bytes")
        version, index._first_offset, rows = SNAPSHOT_HEAD.unpack_from(snapshot)
        if version != SNAPSHOT_VERSION or not 0 <= rows <= SNAPSHOT_ROWS_MAX:
            raise DamagedIndexError(f"an offset index of version {version} with {rows} rows")
        position = SNAPSHOT_HEAD.size
        for first in range(0, rows, CHUNK_ROWS):
            position = index._unpack(snapshot, position, min(CHUNK_ROWS, rows - first))
        if position != len(snapshot):
            raise DamagedIndexError(f"{len(snapshot) - position} bytes after an offset index of {rows} rows")
        if rows == 0:
            return index
        index._peaks = _running_maximum(index._greatest)
        ends = np.cumsum(np.frombuffer(index._lengths, np.int64))
        index._bytes_before.frombytes((ends - np.frombuffer(index._lengths, np.int64)).tobytes())
        index._size_bytes = int(ends[-1])
        return index

    def _pack_full_chunks(self) -> None:
        for first in range(len(self._packed) * CHUNK_ROWS, len(self) - CHUNK_ROWS + 1, CHUNK_ROWS):
            self._packed.append(self._pack(first, first + CHUNK_ROWS))

    def _pack(self, first: int, end: int) -> bytes:
        # Differences of neighbours are small or constant, which is what a compressor likes.
        columns = [np.diff(_view(column, first, end), prepend=0).astype("<i8") for column in self._columns()]
        return bytes(compress(Compression.ZSTD, b"".join(column.tobytes() for column in columns)))

    def _unpack(self, snapshot: bytes, position: int, rows: int) -> int:
        """Append the rows of the chunk at `position`; returns where the next one begins."""
        columns = self._columns()
        size = rows * 8 * len(columns)
        behind = position + CHUNK_HEAD.size
        if behind <= len(snapshot):
            behind += CHUNK_HEAD.unpack_from(snapshot, position)[0]
        if behind > len(snapshot):
            raise DamagedIndexError(f"an offset index that ends after {len(snapshot)} bytes")
        chunk = memoryview(snapshot)[position + CHUNK_HEAD.size : behind]
        try:
            body = decompress(Compression.ZSTD, chunk, size)
        except StoreError as error:
            raise DamagedIndexError(f"a chunk of {rows} rows: {error}") from error
        if len(body) != size:
            raise DamagedIndexError(f"a chunk of {rows} rows in {len(body)} bytes, not {size}")
        for number, column in enumerate(columns):
            differences = np.frombuffer(body, "<i8", rows, number * rows * 8)
            column.frombytes(np.cumsum(differences, dtype=np.int64).tobytes())
        if rows == CHUNK_ROWS:
            self._packed.append(bytes(chunk))
        return behind

    def _columns(self) -> tuple["array[int]", ...]:
        return self._last_offsets, self._segments, self._positions, self._lengths, self._least, self._greatest

    def _base_offset(self, row: int) -> int:
        return self._last_offsets[row - 1] + 1 if row else self._first_offset

    def _place(self, row: int) -> BatchPlace:
        return BatchPlace(
            self._base_offset(row),
            self._last_offsets[row],
            self._segments[row],
            self._positions[row],
            self._lengths[row],
            self._least[row],
            self._greatest[row],
        )

    def _coalesced(self, first: int, end: int) -> list[Slice]:
        found: list[Slice] = []
        segment, position, length = self._segments[first], self._positions[first], 0
        for row_segment, row_position, row_length in zip(
            self._segments[first:end], self._positions[first:end], self._lengths[first:end], strict=True
        ):
            if row_segment != segment or row_position != position + length:
                found.append(Slice(segment, position, length))
                segment, position, length = row_segment, row_position, 0
            length += row_length
        found.append(Slice(segment, position, length))
        return found


def _view(column: "array[int]", first: int, end: int) -> Int64Array:
    """A copy of some rows: an array that is looked at cannot grow."""
    return np.frombuffer(column[first:end], np.int64)


def _running_maximum(column: "array[int]") -> "array[int]":
    return array("q", np.maximum.accumulate(np.frombuffer(column, np.int64)).tobytes())
