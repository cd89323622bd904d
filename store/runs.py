"""A run as a source of events: the footer answers what it can, row groups are read only where it cannot.

A `RunFile` is made from its description in the manifest and touches no disk until it must: a span that covers the
whole run is answered by the manifest's root aggregate. Then the footer is read once; row groups that lie wholly inside
a span are answered by its aggregates (a binary tree over them, so a span costs some 2 log n merges), and only the one
or two edge row groups are decoded, only in the columns asked for.

Decoded columns of edge row groups, and payloads, go through a `DecodedCache` that all runs of a process share; its
bound is in bytes. A scan over whole row groups leaves the cache alone.
"""

# pyarrow's stubs are generic without defaults and leave much unknown; our own signatures stay whole.
# pyright: reportMissingTypeArgument=false, reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, cast

import numpy as np

from . import aggregates
from .blocks import Block, Column, Int32Array, Int64Array
from .emission import Ledger
from .errors import DamagedIndexError, DamagedRunError, InvalidQueryError
from .events import Record, TimeRange
from .manifest import RunDescription, RunKind, SplitManifest
from .merge import is_sorted, sliced
from .packing import unpack_columns
from .run_format import (
    BATCH_COLUMNS,
    FOOTER_KEY,
    KEY_COLUMNS,
    LEDGER_KEY,
    RECORD_COLUMNS,
    Footer,
    column_of,
    digest_of,
    keys_of,
    records_of,
    unpacked_text,
)
from .run_writer import DIGEST_MASK, sha256_of

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from .aggregates import AttributeSummary, Summary

CACHE_BYTES_MAX = 64 << 20
# Beside attributes, `RunFile.blocks` knows these: the record's key as words, and the row in the file as int64.
KEY_WORDS = "_key"
ROW_NUMBER = "_row"

Place = tuple[int, int, str]

_IDS = count()


class DecodedCache:
    """Least-recently-used decoded columns, at most `bytes_max` in all; a column larger than half of it never enters."""

    def __init__(self, bytes_max: int = CACHE_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._size = 0
        self._held: OrderedDict[Place, tuple[object, int]] = OrderedDict()
        self._lock = Lock()

    @property
    def size_bytes(self) -> int:
        return self._size

    def get_or_none(self, place: Place) -> object | None:
        with self._lock:
            if (held := self._held.get(place)) is None:
                return None
            self._held.move_to_end(place)
            return held[0]

    def put(self, place: Place, value: object, size: int) -> None:
        if size > self._bytes_max // 2:
            return
        with self._lock:
            if place in self._held:
                return
            self._held[place] = (value, size)
            self._size += size
            while self._size > self._bytes_max:
                _, (_, gone) = self._held.popitem(last=False)
                self._size -= gone

    def forget(self, run: int) -> None:
        """Drop what belongs to a run that is closed."""
        with self._lock:
            for place in [place for place in self._held if place[0] == run]:
                self._size -= self._held.pop(place)[1]


class RunFile:
    """One run of a historic split; fulfils `store.blocks.Source`. Threads may share it."""

    def __init__(self, path: Path, description: RunDescription, cache: DecodedCache | None = None) -> None:
        self._path = path
        self._description = description
        self._cache = cache or DecodedCache()
        self._id = next(_IDS)
        # Arrow's reader of one file is not safe for threads; decoding under it releases the GIL.
        self._lock = Lock()
        self._summary = description.summary

    @property
    def path(self) -> Path:
        return self._path

    @property
    def description(self) -> RunDescription:
        return self._description

    @property
    def is_late(self) -> bool:
        return self._description.kind is RunKind.LATE

    @property
    def count(self) -> int:
        return self._description.row_count

    @property
    def span(self) -> TimeRange:
        return self._description.span

    @property
    def is_historic(self) -> bool:
        return True

    @property
    def group_count(self) -> int:
        return len(self._footer.groups)

    def has(self, attribute: str) -> bool:
        """The run was written under a schema with this attribute."""
        return attribute in self._summary.attributes or attribute in self._file.schema_arrow.names

    def check(self) -> None:
        """Read the whole file: size, SHA-256, order and content. Raises: DamagedRunError."""
        try:
            size, sha256 = self._path.stat().st_size, sha256_of(self._path)
        except OSError as error:
            raise DamagedRunError(f"{self._path.name} does not open: {error}") from error
        if size != self._description.size_bytes:
            raise DamagedRunError(f"{self._path.name}: {size} bytes, {self._description.size_bytes} in the manifest")
        if sha256 != self._description.sha256:
            raise DamagedRunError(f"{self._path.name}: SHA-256 {sha256}, {self._description.sha256} in the manifest")
        digest = count = 0
        for group in range(self.group_count):
            rows = self._read(group, [*KEY_COLUMNS, *RECORD_COLUMNS, *BATCH_COLUMNS])
            if not is_sorted(keys_of(rows)):
                raise DamagedRunError(f"{self._path.name}: row group {group} is out of order")
            digest = (digest + digest_of(rows)) & DIGEST_MASK
            count += rows.num_rows
        if (count, digest) != (self.count, self._description.digest):
            raise DamagedRunError(
                f"{self._path.name}: {count} rows of digest {digest:#x}, "
                f"{self.count} of {self._description.digest:#x} in the manifest"
            )

    def ledger(self) -> Ledger:
        """The split's ticks and what each emitted; a main run has it. Raises: DamagedRunError."""
        packed = (self._file.metadata.metadata or {}).get(LEDGER_KEY.encode())
        if packed is None:
            raise DamagedRunError(f"{self._path.name} has no ledger")
        try:
            return Ledger.unpack(unpacked_text(packed))
        except DamagedIndexError as error:
            raise DamagedRunError(f"{self._path.name}: {error}") from error

    def intervals(self) -> Int64Array:
        """Rows (row group, partition, first offset, end offset): exactly the offsets of this run."""
        return self._intervals

    def plan(self, span: TimeRange) -> tuple[int, int]:
        """(row groups that lie wholly inside the span, row groups that it cuts), without reading any."""
        if _covers(span, self.span):
            return self.group_count, 0
        first, end, edges = self._covered(span)
        return end - first, len(edges)

    def blocks(
        self,
        span: TimeRange,
        attributes: Sequence[str],
        may_match: Callable[[Summary], bool] | None = None,
    ) -> Iterator[Block]:
        """As `Source.blocks`, a block per row group. Row groups of whose summary `may_match` says False are left out.

        `_key` and `_row` may be named among the attributes.
        """
        first, end, edges = self._covered(span)
        for group in sorted({*range(first, end), *edges}):
            if may_match is None or may_match(self._group_summaries[group]):
                block = self._block(group, attributes, is_kept=group in edges)
                clipped = _clipped(block, span) if group in edges else block
                if len(clipped):
                    yield clipped

    def summary(self, span: TimeRange, attributes: Sequence[str]) -> Summary:
        known = self._summary.attributes
        # Strings have no aggregates in the footer.
        is_known = all(name in known for name in attributes)
        if is_known and (self.count == 0 or _covers(span, self.span)):
            return _only(self._summary, attributes)
        if not is_known:
            summaries = (aggregates.of_block(block, attributes) for block in self.blocks(span, attributes))
            return aggregates.merge_all(summaries, attributes)
        first, end, edges = self._covered(span)
        whole = _only(self._tree_summary(first, end), attributes)
        for group in edges:
            block = _clipped(self._block(group, attributes, is_kept=True), span)
            whole = aggregates.merge(whole, aggregates.of_block(block, attributes))
        return whole

    def records(self, partitions: Int32Array, offsets: Int64Array) -> list[Record]:
        return records_of(self.rows(self.rows_at(partitions, offsets), [*KEY_COLUMNS, *RECORD_COLUMNS]))

    def rows_at(self, partitions: Int32Array, offsets: Int64Array) -> Int64Array:
        """The rows of these events. Raises: DamagedRunError when one is not here."""
        rows = np.full(len(offsets), -1, np.int64)
        for partition in np.unique(partitions).tolist():
            mine = np.flatnonzero(partitions == partition)
            spans = self._intervals[self._intervals[:, 1] == partition]
            spans = spans[np.argsort(spans[:, 2])]
            at = spans[:, 2].searchsorted(offsets[mine], "right") - 1
            if len(spans) == 0 or bool((at < 0).any()) or bool((offsets[mine] >= spans[at, 3]).any()):
                raise DamagedRunError(f"{self._path.name} lacks an asked offset of partition {partition}")
            groups = spans[at, 0]
            for group in np.unique(groups).tolist():
                of_group = mine[groups == group]
                rows[of_group] = self._starts[group] + self._rows_in_group(group, partition, offsets[of_group])
        return rows

    def rows(self, rows: Int64Array, names: Sequence[str]) -> pa.Table:
        """These rows in the given order, with the stored columns of these names."""
        import pyarrow as pa

        order = np.argsort(rows, kind="stable")
        ordered = rows[order]
        groups = self._starts.searchsorted(ordered, "right") - 1
        ends = np.append(np.flatnonzero(np.diff(groups)) + 1, len(rows))
        parts: list[pa.Table] = []
        start = 0
        for end in ends.tolist() if len(rows) else []:
            group = int(groups[start])
            columns = [self._payload(group, name) for name in names]
            inside = ordered[start:end] - self._starts[group]
            if int(inside[-1] - inside[0]) == end - start - 1:
                taken = [column.slice(int(inside[0]), end - start) for column in columns]
            else:
                taken = [column.take(pa.array(inside, pa.int64())) for column in columns]
            parts.append(pa.table(taken, names=list(names)))
            start = end
        table = pa.concat_tables(parts) if parts else self._file.schema_arrow.empty_table().select(list(names))
        if np.array_equal(order, np.arange(len(rows))):
            return table
        back = np.empty(len(rows), np.int64)
        back[order] = np.arange(len(rows))
        return table.take(pa.array(back, pa.int64()))

    def raw_groups(self) -> Iterator[pa.Table]:
        """Every row with every stored column, a row group at a time: for exports and checks."""
        for group in range(self.group_count):
            yield self._read(group, list(self._file.schema_arrow.names))

    def close(self) -> None:
        """Free the file and what the cache holds of it. Only the owner calls this, when no query uses the run."""
        self._cache.forget(self._id)
        with self._lock:
            for name in ("_file", "_reader"):
                if (opened := self.__dict__.get(name)) is not None:
                    cast("pq.ParquetFile", opened).close()

    @cached_property
    def _file(self) -> pq.ParquetFile:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            size = self._path.stat().st_size
            if size != self._description.size_bytes:
                raise DamagedRunError(
                    f"{self._path.name}: {size} bytes, {self._description.size_bytes} in the manifest"
                )
            return pq.ParquetFile(self._path)
        except (OSError, pa.ArrowException) as error:
            raise DamagedRunError(f"{self._path.name} does not open: {error}") from error

    @cached_property
    def _footer(self) -> Footer:
        footer = _footer_of(self._file, self._path)
        if footer.row_count != self.count or footer.digest != self._description.digest:
            raise DamagedRunError(
                f"{self._path.name}: {footer.row_count} rows of digest {footer.digest:#x}, "
                f"{self.count} of {self._description.digest:#x} in the manifest"
            )
        return footer

    @cached_property
    def _starts(self) -> Int64Array:
        """The first row of each row group."""
        counts = np.array([group.row_count for group in self._footer.groups], np.int64)
        return counts.cumsum() - counts

    @cached_property
    def _bounds(self) -> tuple[Int64Array, Int64Array]:
        """(first, last) timestamp of each row group."""
        first = np.array([group.first[0] for group in self._footer.groups], np.int64)
        last = np.array([group.last[0] for group in self._footer.groups], np.int64)
        return first, last

    @cached_property
    def _intervals(self) -> Int64Array:
        return unpack_columns(self._footer.intervals, (self._footer.interval_count, 4))

    @cached_property
    def _group_summaries(self) -> list[Summary]:
        return [aggregates.Summary.unpack(group.summary) for group in self._footer.groups]

    @cached_property
    def _tree(self) -> list[Summary]:
        """A segment tree in an array: leaves from `group_count` on, each node above merges two."""
        count = self.group_count
        nodes = [aggregates.empty(())] * count + self._group_summaries
        for node in range(count - 1, 0, -1):
            nodes[node] = aggregates.merge(nodes[2 * node], nodes[2 * node + 1])
        return nodes

    def _tree_summary(self, first: int, end: int) -> Summary:
        merged = aggregates.empty(())
        left, right = first + self.group_count, end + self.group_count
        while left < right:
            if left & 1:
                merged = aggregates.merge(merged, self._tree[left])
                left += 1
            if right & 1:
                right -= 1
                merged = aggregates.merge(merged, self._tree[right])
            left, right = left // 2, right // 2
        return merged

    def _covered(self, span: TimeRange) -> tuple[int, int, list[int]]:
        """(first, end) of the row groups wholly inside, and the edges: at most two row groups that the span cuts."""
        if span.is_empty or self.count == 0:
            return 0, 0, []
        firsts, lasts = self._bounds
        # Row groups that share an event with the span: last >= first_ms and first < end_ms.
        start = int(lasts.searchsorted(span.first_ms, "left"))
        end = int(firsts.searchsorted(span.end_ms, "left"))
        if start >= end:
            return 0, 0, []
        edges: list[int] = []
        # Many row groups may share the timestamp at a bound: only those that lie across it are edges, one at each.
        if firsts[start] < span.first_ms:
            edges.append(start)
            start += 1
        if end > start and lasts[end - 1] >= span.end_ms:
            edges.append(end - 1)
            end -= 1
        return start, end, edges

    def _block(self, group: int, attributes: Sequence[str], *, is_kept: bool) -> Block:
        # A row number is no column of the file.
        stored = [name for name in dict.fromkeys(attributes) if name != ROW_NUMBER]
        keys, *columns = self._columns(group, ["", *stored], is_kept=is_kept)
        block = cast("Block", keys)
        found = dict(zip(stored, cast("list[Column]", columns), strict=True))
        if ROW_NUMBER in attributes:
            start = int(self._starts[group])
            found[ROW_NUMBER] = Column(np.arange(start, start + len(block), dtype=np.int64))
        return Block(block.timestamps, block.partitions, block.offsets, found)

    def _columns(self, group: int, names: Sequence[str], *, is_kept: bool) -> list[object]:
        """Decoded columns, the events' keys under the name "", from the cache or from the file."""
        found = {name: self._cache.get_or_none((self._id, group, name)) for name in names}
        missing = [name for name, value in found.items() if value is None]
        if missing:
            stored = [column for name in missing for column in ((name,) if name else KEY_COLUMNS)]
            table = self._read(group, stored)
            for name in missing:
                value = column_of(table.column(name)) if name else keys_of(table)
                found[name] = value
                if is_kept:
                    size = sum(table.column(column).nbytes for column in ((name,) if name else KEY_COLUMNS))
                    self._cache.put((self._id, group, name), value, size)
        return [found[name] for name in names]

    def _payload(self, group: int, name: str) -> pa.ChunkedArray:
        """A stored column as arrow, kept under its name and a mark."""
        import pyarrow as pa

        place = (self._id, group, f"={name}")
        if (held := self._cache.get_or_none(place)) is not None:
            return cast("pa.ChunkedArray", held)
        column = self._read(group, [name]).column(name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        self._cache.put(place, column, column.nbytes)
        return column

    def _rows_in_group(self, group: int, partition: int, offsets: Int64Array) -> Int64Array:
        (keys,) = self._columns(group, [""], is_kept=True)
        block = cast("Block", keys)
        rows = np.flatnonzero(block.partitions == partition)
        order = np.argsort(block.offsets[rows], kind="stable")
        return rows[order[block.offsets[rows][order].searchsorted(offsets)]]

    def _read(self, group: int, names: Sequence[str]) -> pa.Table:
        import pyarrow as pa

        known = self._file.schema_arrow.names
        if unknown := [name for name in names if name not in known]:
            raise InvalidQueryError(f"{unknown[0]} is no column of this stream")
        reader = self._reader
        try:
            with self._lock:
                return reader.read_row_group(group, columns=list(names), use_threads=False)
        except (OSError, pa.ArrowException) as error:
            raise DamagedRunError(f"{self._path.name}, row group {group}: {error}") from error

    @cached_property
    def _reader(self) -> pq.ParquetFile:
        """The same file, with words and keys as codes into the dictionary that the file holds anyway."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = self._file.schema_arrow
        words = [name for name in schema.names if pa.types.is_string(schema.field(name).type)]
        return pq.ParquetFile(self._path, metadata=self._file.metadata, read_dictionary=[KEY_WORDS, *words])


@dataclass(frozen=True, slots=True)
class OpenSplit:
    """The runs of one manifest, as sources."""

    manifest: SplitManifest
    runs: Sequence[RunFile]

    @property
    def main(self) -> RunFile:
        return next(run for run in self.runs if not run.is_late)


def open_split(folder: Path, manifest: SplitManifest, cache: DecodedCache | None = None) -> OpenSplit:
    """No disk is touched yet."""
    cache = cache or DecodedCache()
    return OpenSplit(manifest, [RunFile(folder / run.name, run, cache) for run in manifest.runs])


def describe(path: Path) -> RunDescription:
    """A description from a run alone, for tools and repairs. Raises: DamagedRunError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            footer = _footer_of(file, path)
    except (OSError, pa.ArrowException) as error:
        raise DamagedRunError(f"{path.name} does not open: {error}") from error
    names = [name for name, kind in footer.attributes if kind != "string"]
    summary = aggregates.merge_all((aggregates.Summary.unpack(group.summary) for group in footer.groups), names)
    return RunDescription(
        name=path.name,
        kind=RunKind(footer.kind),
        row_count=footer.row_count,
        size_bytes=path.stat().st_size,
        sha256=sha256_of(path),
        first_ms=footer.groups[0].first[0] if footer.groups else 0,
        last_ms=footer.groups[-1].last[0] if footer.groups else -1,
        digest=footer.digest,
        packed_summary=summary.pack(),
    )


def _footer_of(file: pq.ParquetFile, path: Path) -> Footer:
    packed = (file.metadata.metadata or {}).get(FOOTER_KEY.encode())
    if packed is None:
        raise DamagedRunError(f"{path.name} is no run: its footer lacks {FOOTER_KEY}")
    footer = Footer.unpack(packed)
    counts = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
    if counts != [group.row_count for group in footer.groups] or sum(counts) != footer.row_count:
        raise DamagedRunError(f"{path.name}: row groups of {counts} rows, its footer says otherwise")
    return footer


def _covers(span: TimeRange, inner: TimeRange) -> bool:
    return span.first_ms <= inner.first_ms and inner.end_ms <= span.end_ms


def _clipped(block: Block, span: TimeRange) -> Block:
    start = int(block.timestamps.searchsorted(span.first_ms, "left"))
    end = int(block.timestamps.searchsorted(span.end_ms, "left"))
    return sliced(block, start, end)


def _only(summary: Summary, attributes: Sequence[str]) -> Summary:
    chosen: dict[str, AttributeSummary] = {
        name: summary.attributes.get(name, aggregates.NOTHING) for name in attributes
    }
    return aggregates.Summary(summary.count, chosen)
