"""Sorted chunks of events with their payload, in memory or spilled, and their merge: an external sort.

A chunk is a sorted batch of records (columns of `run_format.record_schema`) cut into pieces of at most PIECE_EVENTS
rows and about PIECE_BYTES bytes. The first chunks, up to a limit, stay in memory; later ones go to scratch files (Arrow
IPC under lz4) and are read a piece at a time. Merging needs one piece per chunk whose time overlaps the others';
chunks that follow one another in time share a cursor.
"""

# pyarrow's stubs are generic without defaults and leave much unknown; our own signatures stay whole.
# pyright: reportMissingTypeArgument=false, reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .blocks import Block, Column, Int64Array
from .events import TimeRange
from .merge import chains, merge
from .run_format import keys_of

if TYPE_CHECKING:
    import pyarrow as pa

PIECE_EVENTS = 8192
PIECE_BYTES = 1 << 20
ROW_ID = "_row"
ROW_BITS = 40


class Chunk:
    """Sorted events; rows are read forwards, a piece at a time."""

    def __init__(self, batch: pa.RecordBatch, number: int, spill: Path | None) -> None:
        keys = keys_of(batch)
        self._number = number
        self._path = spill
        self._row_count = batch.num_rows
        self._piece_rows = max(1, min(PIECE_EVENTS, PIECE_BYTES * batch.num_rows // max(1, batch.nbytes)))
        self._held: pa.RecordBatch | None = batch if spill is None else None
        self._piece: tuple[int, pa.RecordBatch] | None = None
        self._reader: pa.ipc.RecordBatchFileReader | None = None
        self.span = TimeRange(first_ms=int(keys.timestamps[0]), end_ms=int(keys.timestamps[-1]) + 1)
        if spill is not None:
            self._write(batch, spill)

    def blocks(self) -> Iterator[Block]:
        """The events, each with its row's id (chunk number and row)."""
        for start in range(0, self._row_count, self._piece_rows):
            keys = keys_of(self._piece_at(start))
            first = (self._number << ROW_BITS) | start
            ids = Column(np.arange(first, first + len(keys), dtype=np.int64))
            yield Block(keys.timestamps, keys.partitions, keys.offsets, {ROW_ID: ids})
        self._held = self._piece = self._reader = None

    def rows(self, first: int, end: int) -> pa.RecordBatch:
        """Rows [first, end) of the piece that `blocks` yielded last."""
        start = first // self._piece_rows * self._piece_rows
        assert end - start <= self._piece_rows, f"rows [{first}, {end}) lie in more than one piece"
        return self._piece_at(start).slice(first - start, end - first)

    def _piece_at(self, start: int) -> pa.RecordBatch:
        if self._held is not None:
            return self._held.slice(start, self._piece_rows)
        if self._piece is None or self._piece[0] != start:
            import pyarrow as pa

            if self._reader is None:
                self._reader = pa.ipc.open_file(pa.OSFile(str(self._path), "r"))
            self._piece = (start, self._reader.get_batch(start // self._piece_rows))
        return self._piece[1]

    def _write(self, batch: pa.RecordBatch, path: Path) -> None:
        import pyarrow as pa

        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, batch.schema, options=options) as writer:
            for start in range(0, batch.num_rows, self._piece_rows):
                writer.write_batch(batch.slice(start, self._piece_rows))


def merged(chunks: Sequence[Chunk]) -> Iterator[tuple[Block, pa.RecordBatch]]:
    """All events in total order: their keys, and the same rows with payload."""
    cursors = [_in_turn([chunks[i] for i in chain]) for chain in chains([chunk.span for chunk in chunks])]
    for block in merge(cursors):
        yield block, _gathered(chunks, np.asarray(block.columns[ROW_ID].values, np.int64))


def _in_turn(chunks: Sequence[Chunk]) -> Iterator[Block]:
    for chunk in chunks:
        yield from chunk.blocks()


def _gathered(chunks: Sequence[Chunk], ids: Int64Array) -> pa.RecordBatch:
    import pyarrow as pa

    numbers, rows = ids >> ROW_BITS, ids & ((1 << ROW_BITS) - 1)
    # A chunk is sorted and merged forwards, so its rows in a block are one stretch, in order.
    found: Int64Array
    found, firsts, counts = np.unique(numbers, return_index=True, return_counts=True)
    parts = [
        chunks[number].rows(int(rows[first]), int(rows[first]) + event_count)
        for number, first, event_count in zip(found.tolist(), firsts.tolist(), counts.tolist(), strict=True)
    ]
    if len(parts) == 1:
        return parts[0]
    bases = counts.cumsum() - counts - rows[firsts]
    at = rows + bases[found.searchsorted(numbers)]
    # One chunk per column: taking from many is slow.
    whole = pa.Table.from_batches(parts).combine_chunks().to_batches()[0]
    return whole.take(pa.array(at, pa.int64()))
