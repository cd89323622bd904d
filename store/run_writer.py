"""Writes one run: row group by row group into a temporary file, which gets its name when it is whole and durable.

Order of events: write, fsync the file, rename, fsync the folder. A crash leaves either no file of that name or the
whole one, and perhaps a temporary file, which the next attempt at the same run overwrites.

Memory: one row group (ROW_GROUP_EVENTS events, and at most about ROW_GROUP_BYTES_MAX bytes beyond the batch that
crosses it), once as given and once as it is encoded.
"""

# pyarrow's stubs are generic without defaults and leave much unknown; our own signatures stay whole.
# pyright: reportMissingTypeArgument=false, reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self, cast

import numpy as np

from . import aggregates
from .blocks import Block, Column, Int64Array
from .errors import DamagedRunError
from .manifest import RunDescription, RunKind
from .merge import is_sorted
from .packing import pack_columns
from .run_format import (
    FOOTER_KEY,
    FORMAT,
    KEY_COLUMNS,
    LATE_COLUMNS,
    ROW_GROUP_BYTES_MAX,
    ROW_GROUP_EVENTS,
    Footer,
    FooterGroup,
    array_of,
    digest_of,
    keys_of,
    packed_text,
    run_schema,
)
from .schema import AttributeDecoder, AttributeType, Schema

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

DIGEST_MASK = (1 << 64) - 1


def write_run(
    path: Path,
    kind: RunKind,
    schema: Schema | None,
    batches: "Iterable[pa.RecordBatch]",
    metadata: Mapping[str, bytes] | None = None,
) -> RunDescription:
    """A run of all these events, which come in total order as `run_format.record_schema` says, without attributes.

    `metadata`: further entries of the footer, stored as `run_format.packed_text`.
    """
    with RunWriter(path, kind, schema) as writer:
        for batch in batches:
            writer.append(batch)
        return writer.finish(metadata)


class RunWriter:
    """One run in the making. Leaving the `with` block without `finish` removes the temporary file."""

    def __init__(self, path: Path, kind: RunKind, schema: Schema | None) -> None:
        self._path = path
        self._temporary = path.with_name(f"{path.name}.tmp")
        self._kind = kind
        self._types = {} if schema is None else dict(schema.attributes)
        self._decoder = None if schema is None else AttributeDecoder(schema)
        self._arrow_schema = run_schema(schema, is_late=kind is RunKind.LATE)
        self._pending: list[pa.RecordBatch] = []
        self._pending_count = 0
        self._pending_bytes = 0
        self._groups: list[FooterGroup] = []
        self._intervals: list[Int64Array] = []
        self._digest = 0
        self._summary = aggregates.empty(())
        self._sink = _HashingFile(self._temporary)
        self._writer = _parquet_writer(self._sink, self._arrow_schema, self._types)

    def append(self, batch: "pa.RecordBatch") -> None:
        """Events that all come after those appended before."""
        for part in _sized(batch):
            self._pending.append(part)
            self._pending_count += part.num_rows
            self._pending_bytes += part.nbytes
            while self._pending_count >= ROW_GROUP_EVENTS:
                self._write(ROW_GROUP_EVENTS)
            if self._pending_bytes >= ROW_GROUP_BYTES_MAX:
                self._write(self._pending_count)

    def finish(self, metadata: Mapping[str, bytes] | None = None) -> RunDescription:
        """Make the run durable under its name."""
        if self._pending_count:
            self._write(self._pending_count)
        row_count = sum(group.row_count for group in self._groups)
        intervals = np.concatenate([np.zeros((0, 4), np.int64), *self._intervals])
        footer = Footer(
            FORMAT,
            self._kind,
            row_count,
            self._digest,
            [(name, kind.value) for name, kind in self._types.items()],
            self._groups,
            len(intervals),
            pack_columns(intervals),
        )
        further = {key: packed_text(data) for key, data in (metadata or {}).items()}
        self._writer.add_key_value_metadata({FOOTER_KEY: footer.pack(), **further})
        self._writer.close()
        size, sha256 = self._sink.finish()
        self._temporary.rename(self._path)
        sync_folder(self._path.parent)
        return RunDescription(
            name=self._path.name,
            kind=self._kind,
            row_count=row_count,
            size_bytes=size,
            sha256=sha256,
            first_ms=self._groups[0].first[0] if self._groups else 0,
            last_ms=self._groups[-1].last[0] if self._groups else -1,
            digest=self._digest,
            packed_summary=self._summary.pack(),
        )

    def _write(self, count: int) -> None:
        import pyarrow as pa

        table = pa.Table.from_batches(self._pending)
        rows, rest = table.slice(0, count).combine_chunks(), table.slice(count)
        self._pending = rest.to_batches()
        self._pending_count = rest.num_rows
        self._pending_bytes = rest.nbytes
        keys = keys_of(rows)
        assert is_sorted(keys), "events come in total order"
        last = self._groups[-1].last if self._groups else None
        assert last is None or last < _key(keys, 0), f"row groups in order: {last} before {_key(keys, 0)}"
        columns = self._attributes(rows)
        for name, column in columns.items():
            rows = rows.append_column(self._arrow_schema.field(name), array_of(column, self._types[name]))
        self._writer.write_table(rows.select(self._arrow_schema.names), row_group_size=count)
        summarised = [name for name, kind in self._types.items() if kind is not AttributeType.STRING]
        summary = aggregates.of_block(Block(keys.timestamps, keys.partitions, keys.offsets, columns), summarised)
        self._summary = aggregates.merge(self._summary, summary)
        self._intervals.append(_intervals_of(keys, len(self._groups)))
        self._groups.append(FooterGroup(count, _key(keys, 0), _key(keys, count - 1), summary.pack()))
        self._digest = (self._digest + digest_of(rows)) & DIGEST_MASK

    def _attributes(self, rows: "pa.Table") -> dict[str, Column]:
        if self._decoder is None:
            return {}
        values = cast("list[bytes | None]", rows.column("_value").to_pylist())
        return self._decoder.decode(values)[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._sink.is_finished:
            self._writer.close()
            self._sink.close()
            self._temporary.unlink(missing_ok=True)


def intervals_in(offsets: Int64Array) -> Int64Array:
    """Rising offsets as rows (first, end) of consecutive ones."""
    if not len(offsets):
        return np.zeros((0, 2), np.int64)
    breaks = np.flatnonzero(np.diff(offsets) != 1) + 1
    firsts, lasts = np.concatenate([[0], breaks]), np.concatenate([breaks, [len(offsets)]]) - 1
    return np.stack([offsets[firsts], offsets[lasts] + 1], axis=1)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _key(block: Block, row: int) -> tuple[int, int, int]:
    return int(block.timestamps[row]), int(block.partitions[row]), int(block.offsets[row])


def _intervals_of(keys: Block, group: int) -> Int64Array:
    found: list[Int64Array] = []
    for partition in np.unique(keys.partitions).tolist():
        spans = intervals_in(np.sort(keys.offsets[keys.partitions == partition]))
        place = np.tile(np.array([group, partition], np.int64), (len(spans), 1))
        found.append(np.concatenate([place, spans], axis=1))
    return np.concatenate(found)


def _sized(batch: "pa.RecordBatch") -> "Iterator[pa.RecordBatch]":
    """The batch in parts, so that rows of a megabyte each do not pile up to a row group of their number."""
    size = batch.nbytes
    if size <= ROW_GROUP_BYTES_MAX or batch.num_rows == 1:
        yield batch
        return
    half = batch.num_rows // 2
    yield from _sized(batch.slice(0, half))
    yield from _sized(batch.slice(half))


def _parquet_writer(
    sink: "_HashingFile", schema: "pa.Schema", types: Mapping[str, AttributeType]
) -> "pq.ParquetWriter":
    import pyarrow.parquet as pq

    strings = [name for name, kind in types.items() if kind is AttributeType.STRING]
    numbers = [name for name, kind in types.items() if kind in {AttributeType.LONG, AttributeType.TIMESTAMP}]
    return pq.ParquetWriter(
        cast("IO[bytes]", sink),
        schema,
        version="2.6",
        compression="zstd",
        compression_level=3,
        # Repeating bytes and words go through a dictionary; rising numbers as differences.
        # The stubs know only on or off for all.
        use_dictionary=["_key", "_partition", "_producer_id", "_producer_epoch", "_leader_epoch", *strings],  # pyright: ignore[reportArgumentType] - see above
        column_encoding=dict.fromkeys(["_ts", "_offset", "_sequence", *numbers], "DELTA_BINARY_PACKED"),
        # Statistics of whole payloads would double the footer and prune nothing.
        write_statistics=[*KEY_COLUMNS, *types, *(name for name in LATE_COLUMNS if name in schema.names)],
    )


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _HashingFile:
    """A sequential file for pyarrow that computes the SHA-256 of what passes."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._hash = hashlib.sha256()
        self._size = 0
        self.is_finished = False

    @property
    def closed(self) -> bool:
        return self._file.closed

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        self._size += len(data)
        return self._file.write(data)

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def finish(self) -> tuple[int, str]:
        """(size, SHA-256) of the durable file."""
        self._file.flush()
        os.fsync(self._file.fileno())
        size = os.fstat(self._file.fileno()).st_size
        self._file.close()
        if size != self._size:
            raise DamagedRunError(f"{self._file.name}: {size} bytes on disk, {self._size} written")
        self.is_finished = True
        return size, self._hash.hexdigest()
