"""Turns the log of a split into its runs: a job is a value, its answer a manifest, the files a side effect.

1. Read the slices of the log, check every batch, keep the events that the split's ticks emit (`store.emission`).
   Events of earlier ticks are sealed already; those above the last watermark are carried: counted, not kept.
2. Sort in chunks, spill what does not fit, merge by a heap of blocks (`store.chunks`).
3. Write fresh events into the main run and late ones, with their ranks, into a late run.
4. Read both back. Count and digest must be what step 1 saw.

Checks: every offset from a partition's `first_offsets` to the last tick's cut must lie in exactly one batch, so that a
slice that is missing or named twice fails the job rather than lose or double an event.

Memory: CHUNK_BYTES_MAX or CHUNK_EVENTS_MAX of records being decoded (and the batch that crosses the bound, at most
`batches.INFLATED_BYTES_MAX`), HELD_BYTES_MAX of sorted chunks, a piece per overlapping chunk, two row groups in the
making. A repeat after a crash at any point overwrites what the first attempt left, with the same bytes.
"""

# pyarrow's stubs are generic without defaults and leave much unknown; our own signatures stay whole.
# pyright: reportMissingTypeArgument=false, reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from .batches import BatchHeader, Positions, check_crc, positions, split_batches
from .blocks import Block, Int64Array
from .chunks import Chunk, merged
from .emission import Ledger, TickTable
from .errors import BatchError, MergeError, StoreError
from .manifest import FORMAT, PartitionPart, RunDescription, RunKind, SplitManifest, TickValue, TotalsValue
from .run_format import LEDGER_KEY, digest_of, record_schema
from .run_writer import DIGEST_MASK, RunWriter, sync_folder
from .runs import RunFile
from .schema import Schema
from .views import NOT_SHOWN, RankCounter

if TYPE_CHECKING:
    import pyarrow as pa

JOB_FORMAT: Final = 1
CHUNK_BYTES_MAX: Final = 32 << 20
CHUNK_EVENTS_MAX: Final = 131_072
HELD_BYTES_MAX: Final = 64 << 20
OPEN_FILES_MAX: Final = 64
SEQUENCE_MASK: Final = (1 << 31) - 1
# Folders that may be as new as the split's own, and hold its name: of the topic, of all topics, of the node.
FOLDER_LEVELS: Final = 3


class LogSlice(msgspec.Struct, array_like=True, frozen=True):
    """Whole batches of one partition, one after the other, somewhere in a log segment."""

    path: str
    position: int
    length_bytes: int
    partition: int
    base_offset: int


class AbortedTransaction(msgspec.Struct, array_like=True, frozen=True):
    """What a producer wrote at these offsets (closed) in transactions that were aborted; it is no event."""

    partition: int
    producer_id: int
    first_offset: int
    last_offset: int


class MergeJob(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """Everything a merge depends on.

    `boundary` is the last tick of the split before (`no_tick` for the first) and `totals_before` what was emitted by
    it; `ticks` are this split's, up to the first whose cut reaches `end_offsets`. Per partition, `first_offsets` is
    where the log must be read from: the manifest before has it as `carried_first`. Slices may be in any order.
    """

    format: int = JOB_FORMAT
    topic_id: bytes
    number: int
    version: int
    slices: list[LogSlice]
    aborted: list[AbortedTransaction] = []
    first_offsets: list[int]
    end_offsets: list[int]
    boundary: TickValue
    totals_before: TotalsValue
    ticks: list[TickValue]
    schema_text: str | None
    aggregates_text: str = "[]"
    folder: str
    main_name: str = "main.parquet"
    late_name: str = "late-1.parquet"

    @property
    def schema(self) -> Schema | None:
        return None if self.schema_text is None else Schema.parse(self.schema_text, self.aggregates_text)

    def pack(self) -> bytes:
        return msgspec.msgpack.encode(self)

    @staticmethod
    def unpack(data: bytes) -> MergeJob:
        """Raises: MergeError."""
        try:
            job = msgspec.msgpack.decode(data, type=MergeJob)
        except msgspec.DecodeError as error:
            raise MergeError(f"a merge job does not decode: {error}") from error
        if job.format != JOB_FORMAT:
            raise MergeError(f"merge job format {job.format}, only {JOB_FORMAT} is known")
        return job


def run(job: MergeJob) -> SplitManifest:
    """Make the runs of a split, durable and verified. Raises: MergeError; then no run has its name."""
    folder = Path(job.folder)
    scratch = folder / f".{job.main_name}.scratch"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for parent in (*folder.parents,)[:FOLDER_LEVELS]:
            sync_folder(parent)
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        try:
            return _Merge(job, scratch).manifest()
        except BaseException:
            for name in (job.main_name, job.late_name):
                (folder / name).unlink(missing_ok=True)
            raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except MergeError:
        raise
    except (StoreError, OSError) as error:
        raise MergeError(f"split {job.number}: {error}") from error


class _Merge:
    """One run of a job."""

    def __init__(self, job: MergeJob, scratch: Path) -> None:
        ticks = [value.tick() for value in job.ticks]
        width = len(job.end_offsets)
        if not ticks or len(ticks[-1].cut) != width or not ticks[-1].covers(job.end_offsets):
            raise MergeError(f"split {job.number}: its last tick does not reach its end {job.end_offsets}")
        for before, then in zip([job.boundary.tick(), *ticks], ticks, strict=False):
            if not then.is_successor_of(before):
                raise MergeError(f"split {job.number}: tick {then.number} does not follow tick {before.number}")
        if len(job.first_offsets) != width:
            raise MergeError(f"{len(job.first_offsets)} first offsets for {width} partitions")
        self._job = job
        self._scratch = scratch
        self._aborted: dict[tuple[int, int], list[AbortedTransaction]] = {}
        for aborted in job.aborted:
            self._aborted.setdefault((aborted.partition, aborted.producer_id), []).append(aborted)
        self._partition_count = width
        self._ledger = Ledger(job.boundary.tick(), job.totals_before.totals(), self._partition_count)
        self._ticks = ticks
        self._table = TickTable(job.boundary.tick(), ticks, self._partition_count)
        self._chunks: list[Chunk] = []
        self._held_bytes = 0
        self._unreadable_count = 0
        self._digest = 0
        self._counts = np.zeros((2, len(ticks), self._partition_count), np.int64)  # fresh, late
        self._carried_first = list(ticks[-1].cut)
        self._carried_count = [0] * self._partition_count

    def manifest(self) -> SplitManifest:
        self._read_log()
        for tick, fresh, late in zip(self._ticks, *self._counts.tolist(), strict=True):
            self._ledger.append(tick, late, fresh)
        runs = self._write_runs()
        opened = [RunFile(Path(self._job.folder) / run.name, run) for run in runs]
        for run in opened:
            run.check()
        self._verify(runs)
        job = self._job
        return SplitManifest(
            format=FORMAT,
            topic_id=job.topic_id,
            number=job.number,
            version=job.version,
            runs=runs,
            parts=self._parts(opened),
            boundary=job.boundary,
            last_tick=job.ticks[-1],
            totals_before=TotalsValue.of(self._ledger.totals_before),
            totals=TotalsValue.of(self._ledger.totals),
            attributes=[(name, kind.value) for name, kind in (job.schema.attributes if job.schema else {}).items()],
            unreadable_count=self._unreadable_count,
        )

    def _read_log(self) -> None:
        seen = _Coverage(self._partition_count)
        pending = _Decoding()
        for partition, header, batch in _batches(self._job.slices):
            if not 0 <= partition < self._partition_count:
                raise MergeError(f"a slice of partition {partition}, there are {self._partition_count}")
            seen.add(partition, header)
            if self._has_events(partition, header):
                try:
                    pending.add(partition, header, positions(batch, header))
                except BatchError:
                    # A topic without schema takes batches unparsed. Nobody can read this one, and it must not keep
                    # the split from being sealed.
                    self._unreadable_count += header.record_count
            if pending.size_bytes >= CHUNK_BYTES_MAX or pending.event_count >= CHUNK_EVENTS_MAX:
                self._add_chunk(pending)
                pending = _Decoding()
        self._add_chunk(pending)
        seen.check(self._job.first_offsets, self._ticks[-1].cut)

    def _has_events(self, partition: int, header: BatchHeader) -> bool:
        """By what the header says for sure; its timestamps are a client's word."""
        return not (
            header.is_control
            or header.record_count == 0
            or header.base_offset >= self._ticks[-1].cut[partition]
            or (header.is_transactional and self._is_aborted(partition, header))
        )

    def _is_aborted(self, partition: int, header: BatchHeader) -> bool:
        spans = self._aborted.get((partition, header.producer_id), ())
        return any(span.first_offset <= header.base_offset <= span.last_offset for span in spans)

    def _add_chunk(self, decoding: _Decoding) -> None:
        """Keep what the split's ticks emit, sorted; count it, and what is carried."""
        if not decoding.event_count:
            return
        keys = decoding.keys()
        ticks, is_late = self._table.classify(keys.timestamps, keys.partitions, keys.offsets)
        self._count_carried(keys, ticks)
        rows = np.flatnonzero((ticks >= 0) & (ticks < len(self._ticks)))
        if not len(rows):
            return
        cells = ticks[rows] * self._partition_count + keys.partitions[rows]
        for kind, chosen in enumerate((~is_late[rows], is_late[rows])):
            counted = np.bincount(cells[chosen], minlength=self._counts[kind].size)
            self._counts[kind] += counted.reshape(self._counts[kind].shape)
        order = rows[np.lexsort((keys.offsets[rows], keys.partitions[rows], keys.timestamps[rows]))]
        batch = decoding.batch(keys, order)
        self._digest = (self._digest + digest_of(batch)) & DIGEST_MASK
        is_held = self._held_bytes + batch.nbytes <= HELD_BYTES_MAX
        self._held_bytes += batch.nbytes if is_held else 0
        spill = None if is_held else self._scratch / f"{len(self._chunks)}.arrow"
        self._chunks.append(Chunk(batch, len(self._chunks), spill))

    def _count_carried(self, keys: Block, ticks: Int64Array) -> None:
        waiting = np.flatnonzero(ticks == len(self._ticks))
        for partition, cut in enumerate(self._ticks[-1].cut):
            offsets = keys.offsets[waiting][keys.partitions[waiting] == partition]
            offsets = offsets[offsets < cut]
            if len(offsets):
                self._carried_first[partition] = min(self._carried_first[partition], int(offsets.min()))
                self._carried_count[partition] += len(offsets)

    def _write_runs(self) -> list[RunDescription]:
        folder, schema = Path(self._job.folder), self._job.schema
        # The late run of an attempt with other input must not stay.
        (folder / self._job.late_name).unlink(missing_ok=True)
        with ExitStack() as stack:
            main = stack.enter_context(RunWriter(folder / self._job.main_name, RunKind.MAIN, schema))
            late: RunWriter | None = None
            if self._counts[1].any():
                late = stack.enter_context(RunWriter(folder / self._job.late_name, RunKind.LATE, schema))
            ranks = RankCounter(self._ledger)
            for block, batch in merged(self._chunks):
                ticks, is_late = self._table.classify(block.timestamps, block.partitions, block.offsets)
                if not is_late.any():
                    main.append(batch)
                    continue
                assert late is not None, "late events were counted"
                rows = np.flatnonzero(is_late)
                late.append(_with_ranks(self._ledger, ranks, _keys(block, rows), ticks[rows], _taken(batch, rows)))
                main.append(_taken(batch, np.flatnonzero(~is_late)))
            runs = [main.finish({LEDGER_KEY: self._ledger.pack()})]
            if late is not None:
                runs.append(late.finish())
            return runs

    def _verify(self, runs: Sequence[RunDescription]) -> None:
        """Both runs have been read back and are what was written; now: is that what the log holds?"""
        counted = [int(self._counts[0].sum()), *([int(self._counts[1].sum())] if len(runs) > 1 else [])]
        if [run.row_count for run in runs] != counted:
            raise MergeError(f"runs of {[run.row_count for run in runs]} rows, the log has {counted}")
        digest = sum(run.digest for run in runs) & DIGEST_MASK
        if digest != self._digest:
            raise MergeError(f"runs of digest {digest:#x}, the log's is {self._digest:#x}")

    def _parts(self, opened: Sequence[RunFile]) -> list[PartitionPart]:
        spans = np.concatenate([run.intervals() for run in opened])
        parts: list[PartitionPart] = []
        for partition, end_offset in enumerate(self._job.end_offsets):
            mine = spans[spans[:, 1] == partition]
            mine = mine[np.argsort(mine[:, 2])]
            parts.append(
                PartitionPart(
                    end_offset=end_offset,
                    intervals=_coalesced(mine[:, 2:]),
                    carried_first=self._carried_first[partition],
                    carried_count=self._carried_count[partition],
                )
            )
        return parts


class _Decoding:
    """Records of some batches, decoded and not yet sorted."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self.event_count = 0
        self._batches: list[tuple[int, BatchHeader, Positions]] = []

    def add(self, partition: int, header: BatchHeader, found: Positions) -> None:
        self._batches.append((partition, header, found))
        self.size_bytes += len(found.payload)
        self.event_count += len(found.offsets)

    def keys(self) -> Block:
        return Block(
            np.concatenate([found.timestamps for _, _, found in self._batches]),
            self._repeated([partition for partition, _, _ in self._batches]).astype(np.int32),
            np.concatenate([found.offsets for _, _, found in self._batches]),
        )

    def batch(self, keys: Block, order: Int64Array | np.ndarray[tuple[int], np.dtype[np.intp]]) -> pa.RecordBatch:
        """These rows in this order, as the run stores them."""
        import pyarrow as pa

        payloads, values, headers = self._payload()
        schema = record_schema(is_late=False)
        batch_headers = [header for _, header, _ in self._batches]
        bases = self._repeated([header.base_sequence for header in batch_headers])
        deltas = keys.offsets - self._repeated([header.base_offset for header in batch_headers])
        sequences = np.where(bases < 0, -1, (bases + deltas) & SEQUENCE_MASK)
        columns = [
            pa.array(keys.timestamps).cast(schema.field("_ts").type),
            pa.array(keys.partitions),
            pa.array(keys.offsets),
            pa.array(payloads, pa.binary()),
            pa.array(values, pa.binary()),
            pa.array(headers, schema.field("_headers").type),
            pa.array(self._repeated([header.producer_id for header in batch_headers])),
            pa.array(self._repeated([header.producer_epoch for header in batch_headers]).astype(np.int16)),
            pa.array(sequences.astype(np.int32)),
            pa.array(self._repeated([header.leader_epoch for header in batch_headers]).astype(np.int32)),
            pa.array(self._repeated([header.attributes for header in batch_headers]).astype(np.int16)),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=schema).take(pa.array(order, pa.int64()))

    def _payload(self) -> tuple[list[bytes | None], list[bytes | None], list[list[dict[str, object]]]]:
        keys: list[bytes | None] = []
        values: list[bytes | None] = []
        headers: list[list[dict[str, object]]] = []
        nothing: list[dict[str, object]] = []
        for _, _, found in self._batches:
            keys += found.keys()
            values += found.values()
            of_batch = [nothing] * len(found.offsets)
            # A record without headers ends with the one byte of their count.
            for row in np.flatnonzero(found.record_ends - found.headers_starts > 1).tolist():
                of_batch[row] = [{"key": key, "value": value} for key, value in found.headers(row)]
            headers += of_batch
        return keys, values, headers

    def _repeated(self, numbers: Sequence[int]) -> Int64Array:
        return np.repeat(np.array(numbers, np.int64), [len(found.offsets) for _, _, found in self._batches])


class _Coverage:
    """Which offsets the batches read so far hold."""

    def __init__(self, partition_count: int) -> None:
        self._spans: list[list[tuple[int, int]]] = [[] for _ in range(partition_count)]

    def add(self, partition: int, header: BatchHeader) -> None:
        self._spans[partition].append((header.base_offset, header.last_offset + 1))

    def check(self, first_offsets: Sequence[int], cut: Sequence[int]) -> None:
        """Raises: MergeError unless each offset of [first, cut) lies in one batch."""
        for partition, (first, end) in enumerate(zip(first_offsets, cut, strict=True)):
            spans = sorted(self._spans[partition])
            reached = min(spans[0][0], first) if spans else first
            for start, then in spans:
                if start != reached and reached < end:
                    what = "are missing" if start > reached else "come twice"
                    raise MergeError(f"partition {partition}: offsets from {min(start, reached)} {what}")
                reached = then
            if reached < end:
                raise MergeError(f"partition {partition}: offsets from {reached} to {end} are missing")


def _batches(slices: Sequence[LogSlice]) -> Iterator[tuple[int, BatchHeader, memoryview]]:
    """Every batch in log order, whole and with a right CRC. Raises: MergeError, CorruptBatchError, OSError."""
    with ExitStack() as stack:
        files: dict[str, int] = {}
        for part in sorted(slices, key=lambda part: (part.path, part.position)):
            if part.path not in files:
                if len(files) == OPEN_FILES_MAX:
                    stack.close()
                    files.clear()
                files[part.path] = os.open(part.path, os.O_RDONLY)
                stack.callback(os.close, files[part.path])
            data = memoryview(_read(files[part.path], part))
            for position, header in split_batches(data):
                batch = data[position : position + header.length_bytes]
                check_crc(batch, header)
                if position == 0 and header.base_offset != part.base_offset:
                    raise MergeError(
                        f"{part.path} at {part.position}: base offset {header.base_offset}, not {part.base_offset}"
                    )
                yield part.partition, header, batch


def _read(file: int, part: LogSlice) -> bytes:
    data = os.pread(file, part.length_bytes, part.position)
    if len(data) != part.length_bytes:
        raise MergeError(f"{part.path} at {part.position}: {len(data)} bytes, {part.length_bytes} expected")
    return data


def _with_ranks(
    ledger: Ledger, counter: RankCounter, keys: Block, ticks: Int64Array, batch: pa.RecordBatch
) -> pa.RecordBatch:
    """Late events with the columns of a late run."""
    import pyarrow as pa

    ranks = counter.ranks_of(keys, ticks, np.ones(len(keys), np.bool_))
    schema = record_schema(is_late=True)
    numbers = np.array([tick.number for tick in ledger.ticks], np.int64)[ticks]
    shown = [pa.array(column, mask=column == NOT_SHOWN) for column in ranks]
    return pa.RecordBatch.from_arrays([*batch.columns, pa.array(numbers), *shown], schema=schema)


def _keys(block: Block, rows: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Block:
    return Block(block.timestamps[rows], block.partitions[rows], block.offsets[rows])


def _taken(batch: pa.RecordBatch, rows: np.ndarray[tuple[int], np.dtype[np.intp]]) -> pa.RecordBatch:
    import pyarrow as pa

    return batch.take(pa.array(rows, pa.int64()))


def _coalesced(spans: Int64Array) -> list[tuple[int, int]]:
    """Sorted, disjoint (first, end) rows with neighbours joined."""
    if not len(spans):
        return []
    is_first = np.concatenate([[True], spans[1:, 0] != spans[:-1, 1]])
    firsts = spans[is_first, 0].tolist()
    ends = spans[np.append(np.flatnonzero(is_first)[1:] - 1, len(spans) - 1), 1].tolist()
    return list(zip(firsts, ends, strict=True))
