"""A merge job keeps exactly what its ticks emit, whatever crashes, and fails rather than lose or double an event."""

import os
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
from crc32c import crc32c

from store import chunks, merge_job, run_writer
from store.batches import CRC_FROM, CRC_POSITION, HEADER_BYTES, Producer, build, build_marker, empty_batch
from store.compression import Compression
from store.emission import ViewKind
from store.errors import MergeError
from store.events import ALL_TIME, Record
from store.manifest import RunDescription, RunKind, SplitManifest, TickValue, TotalsValue
from store.merge_job import AbortedTransaction, LogSlice, MergeJob, run
from store.merge_worker import WorkerAnswer, read_answer
from store.runs import OpenSplit, open_split
from store.ticks import LatePolicy, Tick, no_tick
from tests.store.history import SCHEMA, Trade, in_order, places, trades, values_of
from tests.support.waiting import wait_until

NAMES = ("qty", "price", "symbol", "is_buy", "at")


@dataclass
class Log:
    """A topic's log in segments, with junk between the batches as entries have it."""

    folder: Path
    made: list[Trade]
    partition_count: int = 3
    slices: list[LogSlice] = field(default_factory=list)
    aborted: list[AbortedTransaction] = field(default_factory=list)

    def write(self, seed: int, batch_events: int = 40, segment_bytes: int = 60_000) -> "Log":
        rng = np.random.default_rng(seed)
        self.folder.mkdir(parents=True, exist_ok=True)
        segment, number = bytearray(), 1
        for some in self._batches(rng, batch_events):
            if len(segment) > segment_bytes:
                self._path(number).write_bytes(segment)
                segment, number = bytearray(), number + 1
            segment += rng.bytes(int(rng.integers(0, 30)))
            position, partition, base = len(segment), some[0].partition, some[0].offset
            segment += build(
                [event.record() for event in some],
                base_offset=base,
                compression=Compression(int(rng.integers(0, 5))),
                leader_epoch=7,
                producer=Producer(1000 + partition, 2, base),
            )
            path = str(self._path(number))
            self.slices.append(LogSlice(path, position, len(segment) - position, partition, base))
        self._path(number).write_bytes(segment)
        return self

    def _batches(self, rng, batch_events) -> Sequence[list[Trade]]:
        """In arrival order; each of one partition."""
        open_batches: dict[int, list[Trade]] = {}
        done: list[list[Trade]] = []
        for event in self.made:
            batch = open_batches.setdefault(event.partition, [])
            batch.append(event)
            if len(batch) >= rng.integers(1, batch_events):
                done.append(open_batches.pop(event.partition))
        return done + list(open_batches.values())

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:020}.log"

    def ends(self) -> list[int]:
        ends = [0] * self.partition_count
        for event in self.made:
            ends[event.partition] = max(ends[event.partition], event.offset + 1)
        return ends


def ticks_of(log: Log, seed: int, count: int, *, end: bool = True, policies=tuple(LatePolicy)) -> list[Tick]:
    """Ticks over the whole log; the last one, if `end`, covers all of it and all of its time."""
    rng = np.random.default_rng(seed)
    ordered = sorted(event.timestamp_ms for event in log.made)
    ends, before, ticks = log.ends(), no_tick(log.partition_count), []
    for number in range(1, count + 1):
        share = number / count
        cut = tuple(
            max(b, int(e * min(1, share * rng.uniform(0.8, 1.1)))) for b, e in zip(before.cut, ends, strict=True)
        )
        watermark = max(ordered[int((len(ordered) - 1) * share * rng.uniform(0.7, 1))], before.watermark_ms + 1)
        if number == count and end:
            cut, watermark = tuple(ends), max(ordered[-1], before.watermark_ms + 1)
        before = Tick(number, watermark, cut, policies[int(rng.integers(0, len(policies)))])
        ticks.append(before)
    return ticks


def job_of(log: Log, folder: Path, ticks: list[Tick], before: SplitManifest | None = None, **other) -> MergeJob:
    count = log.partition_count
    nothing = TotalsValue([0] * count, [0] * count, [0] * count)
    job = MergeJob(
        topic_id=bytes(16),
        number=1 if before is None else before.number + 1,
        version=1,
        slices=log.slices,
        aborted=log.aborted,
        first_offsets=[0] * count if before is None else [part.carried_first for part in before.parts],
        end_offsets=list(ticks[-1].cut),
        boundary=TickValue.of(no_tick(count)) if before is None else before.last_tick,
        totals_before=nothing if before is None else before.totals,
        ticks=[TickValue.of(tick) for tick in ticks],
        schema_text=SCHEMA.schema_text(),
        aggregates_text=SCHEMA.aggregates_text(),
        folder=str(folder),
    )
    return msgspec.structs.replace(job, **other)


def emitted(made: list[Trade], before: Tick, ticks: list[Tick]) -> tuple[list[Trade], list[Trade], dict]:
    """(fresh, late, place -> tick) by brute force, each in event order."""
    fresh, late, tick_of = [], [], {}
    for event in in_order(made):
        place = (event.partition, event.offset, event.timestamp_ms)
        last = before
        if not before.emits(*place):
            for tick in ticks:
                if tick.emits(*place):
                    (late if event.timestamp_ms <= last.watermark_ms else fresh).append(event)
                    tick_of[event.place] = tick
                    break
                last = tick
    return fresh, late, tick_of


def events_in(split: OpenSplit, kind: RunKind) -> list[tuple]:
    rows = []
    for one in split.runs:
        if one.description.kind is kind:
            for block in one.blocks(ALL_TIME, NAMES):
                columns = [values_of(block, name) for name in NAMES]
                records = one.records(block.partitions, block.offsets)
                rows += zip(places(block), records, *columns, strict=True)
    return rows


def wanted(made: list[Trade]) -> list[tuple]:
    return [(event.place, event.record(), *(getattr(event, name) for name in NAMES)) for event in made]


@pytest.fixture
def small(monkeypatch):
    """Limits that make a small log spill, with several chunks, pieces and row groups."""
    monkeypatch.setattr(merge_job, "CHUNK_EVENTS_MAX", 400)
    monkeypatch.setattr(merge_job, "HELD_BYTES_MAX", 150_000)
    monkeypatch.setattr(merge_job, "OPEN_FILES_MAX", 2)
    monkeypatch.setattr(chunks, "PIECE_EVENTS", 64)
    monkeypatch.setattr(run_writer, "ROW_GROUP_EVENTS", 500)


@pytest.mark.parametrize("seed", range(4))
def test_runs_hold_exactly_what_the_ticks_emit(tmp_path, small, seed):
    log = Log(tmp_path / "log", trades(3000, seed=seed)).write(seed)
    ticks = ticks_of(log, seed, 12)
    manifest = run(job_of(log, tmp_path / "split", ticks))
    split = open_split(tmp_path / "split", SplitManifest.unpack(manifest.pack()))
    fresh, late, _ = emitted(log.made, no_tick(3), ticks)
    assert len(late) > 50
    assert events_in(split, RunKind.MAIN) == wanted(fresh)
    assert events_in(split, RunKind.LATE) == wanted(late)
    assert manifest.row_count == len(log.made)
    assert [(part.carried_count, part.carried_first) for part in manifest.parts] == [(0, end) for end in log.ends()]
    assert [part.intervals for part in manifest.parts] == [[(0, end)] for end in log.ends()]
    assert manifest.summary.count == len(log.made)
    assert manifest.summary.attributes["qty"].sum == sum(event.qty or 0 for event in log.made)
    assert sorted(path.name for path in (tmp_path / "split").iterdir()) == ["late-1.parquet", "main.parquet"]


@pytest.mark.parametrize("seed", range(4))
def test_splits_in_turn_share_no_event_and_lose_none(tmp_path, small, seed):
    log = Log(tmp_path / "log", trades(3000, seed=seed, late_ms=400)).write(seed)
    ticks = ticks_of(log, seed, 12, end=False)
    before, sealed = None, []
    for number, some in enumerate((ticks[:4], ticks[4:9], ticks[9:]), 1):
        last = no_tick(3) if before is None else before.last_tick.tick()
        folder = tmp_path / str(number)
        # Only what the manifest before says must be read.
        first = [0] * 3 if before is None else [part.carried_first for part in before.parts]
        needed = [part for part in log.slices if _end(log, part) > first[part.partition]]
        before = run(job_of(log, folder, some, before, slices=needed))
        fresh, late, _ = emitted(log.made, last, some)
        split = open_split(folder, before)
        assert events_in(split, RunKind.MAIN) == wanted(fresh)
        assert events_in(split, RunKind.LATE) == wanted(late)
        sealed += [event.place for event in fresh + late]
        cut, watermark = some[-1].cut, some[-1].watermark_ms
        for partition, part in enumerate(before.parts):
            carried = [
                event.offset
                for event in log.made
                if event.partition == partition and event.offset < cut[partition] and event.timestamp_ms > watermark
            ]
            assert (part.carried_count, part.carried_first) == (len(carried), min(carried, default=cut[partition]))
    assert len(set(sealed)) == len(sealed)
    last = ticks[-1]
    assert sorted(sealed) == sorted(e.place for e in log.made if last.emits(e.partition, e.offset, e.timestamp_ms))


def _end(log: Log, part: LogSlice) -> int:
    after = [other.base_offset for other in log.slices if other.partition == part.partition]
    return min((base for base in after if base > part.base_offset), default=1 << 60)


@pytest.mark.parametrize("policy", [LatePolicy.ACCEPT, LatePolicy.SIDE])
def test_late_rows_carry_their_tick_and_their_ranks_in_the_views(tmp_path, small, policy):
    log = Log(tmp_path / "log", trades(2000, seed=5)).write(5)
    ticks = ticks_of(log, 5, 9, policies=(policy,))
    first = run(job_of(log, tmp_path / "1", ticks[:5]))
    second = run(job_of(log, tmp_path / "2", ticks[5:], first))
    fresh, late, tick_of = emitted(log.made, no_tick(3), ticks)
    order = [(tick_of[event.place].number, 0, event) for event in late]
    order += [(tick_of[event.place].number, 1, event) for event in fresh]
    order.sort(key=lambda row: (row[0], row[1], row[2].place))
    shown = [event for _, group, event in order if policy is LatePolicy.ACCEPT or group == 1]
    time = {event.place: rank for rank, event in enumerate(shown)}
    keyed = {e.place: r for p in range(3) for r, e in enumerate(e for e in shown if e.partition == p)}
    late_rank = {event.place: rank for rank, event in enumerate(event for _, group, event in order if group == 0)}
    rows = [row for n in (1, 2) for row in pq.read_table(tmp_path / str(n) / "late-1.parquet").to_pylist()]
    assert len(rows) == len(late)
    for row in rows:
        place = (int(row["_ts"].timestamp() * 1000 + 0.5), row["_partition"], row["_offset"])
        assert row["_tick"] == tick_of[place].number
        assert row["_late_rank"] == late_rank[place]
        assert (row["_rank"], row["_keyed_rank"]) == (time.get(place), keyed.get(place))
    assert second.totals.totals().end_rank(ViewKind.TIME, 0, 9) == len(shown)
    ledger = open_split(tmp_path / "2", second).main.ledger()
    assert ledger.ticks == ticks[5:]
    assert ledger.end_ranks_of(9, ViewKind.LATE) == [len(late)]
    assert ledger.totals_before == first.totals.totals()


def test_main_rows_are_in_emission_order(tmp_path, small):
    log = Log(tmp_path / "log", trades(1500, seed=8)).write(8)
    ticks = ticks_of(log, 8, 6, policies=(LatePolicy.SIDE,))
    split = open_split(tmp_path / "split", run(job_of(log, tmp_path / "split", ticks)))
    _, _, tick_of = emitted(log.made, no_tick(3), ticks)
    found = [tick_of[place].number for block in split.main.blocks(ALL_TIME, []) for place in places(block)]
    assert found == sorted(found)


def test_what_a_kafka_fetch_needs_is_kept(tmp_path):
    log = Log(tmp_path / "log", trades(500, seed=3)).write(3)
    ticks = ticks_of(log, 3, 2)
    run(job_of(log, tmp_path / "split", ticks))
    files = [tmp_path / "split" / f"{name}.parquet" for name in ("main", "late-1")]
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    assert len(rows) == 500
    for row in rows:
        assert (row["_producer_id"], row["_producer_epoch"]) == (1000 + row["_partition"], 2)
        assert row["_sequence"] == row["_offset"]
        assert row["_leader_epoch"] == 7
    assert {row["_batch_attributes"] for row in rows} == set(range(5))


def test_control_records_and_aborted_transactions_are_no_events(tmp_path):
    producer = Producer(9, 1, 0, is_transactional=True)
    made = trades(40, seed=2, partition_count=1)
    first, second = made[:10], made[10:20]
    parts = [
        build([event.record() for event in first], base_offset=0, producer=producer),
        build_marker(20, 0, producer, is_commit=False, coordinator_epoch=0),
        empty_batch(21, 24, 3),
    ]
    parts.insert(1, build([event.record() for event in second], base_offset=10, producer=producer._replace(id=8)))
    log = Log(tmp_path, made[:20], 1)
    path = tmp_path / "segment.log"
    path.write_bytes(b"".join(parts))
    log.slices = [LogSlice(str(path), 0, path.stat().st_size, 0, 0)]
    log.aborted = [AbortedTransaction(0, 9, 0, 9), AbortedTransaction(0, 8, 100, 200)]
    tick = Tick(1, max(event.timestamp_ms for event in made), (25,))
    manifest = run(job_of(log, tmp_path / "split", [tick]))
    split = open_split(tmp_path / "split", manifest)
    assert events_in(split, RunKind.MAIN) == wanted(in_order(second))
    assert manifest.parts[0].intervals == [(10, 20)]


def test_a_batch_that_nobody_can_read_does_not_keep_the_split_from_being_sealed(tmp_path):
    good = build([Record(0, 5, b"k", b"{}", ()), Record(1, 6, b"k", b"{}", ())], base_offset=0)
    bad = bytearray(build([Record(2, 7, b"k", b"{}", ())], base_offset=2))
    bad[HEADER_BYTES] = 0x7F  # a record longer than its batch, under a right CRC
    struct.pack_into(">I", bad, CRC_POSITION, crc32c(bytes(bad[CRC_FROM:])))
    path = tmp_path / "1.log"
    path.write_bytes(good + bad)
    log = Log(tmp_path, [], 1)
    log.slices = [LogSlice(str(path), 0, len(good), 0, 0), LogSlice(str(path), len(good), len(bad), 0, 2)]
    made = job_of(log, tmp_path / "out", [Tick(1, 100, (3,))], end_offsets=[3], schema_text=None)
    manifest = run(made)
    assert (manifest.row_count, manifest.unreadable_count) == (2, 1)
    assert SplitManifest.unpack(manifest.pack()).unreadable_count == 1


def test_a_split_without_events_has_an_empty_main_run_with_its_ledger(tmp_path):
    log = Log(tmp_path, [], 2)
    manifest = run(job_of(log, tmp_path / "split", [Tick(1, 10, (0, 0)), Tick(2, 20, (0, 0))]))
    assert [one.row_count for one in manifest.runs] == [0]
    assert manifest.span.is_empty
    assert open_split(tmp_path / "split", manifest).main.ledger().last.number == 2


def test_a_log_without_a_schema_is_merged_too(tmp_path):
    log = Log(tmp_path / "log", trades(300, seed=1)).write(1)
    manifest = run(job_of(log, tmp_path / "split", ticks_of(log, 1, 1), schema_text=None))
    (table,) = open_split(tmp_path / "split", manifest).main.raw_groups()
    assert table.num_rows == 300
    assert "qty" not in table.column_names


@pytest.fixture(scope="module")
def job(tmp_path_factory) -> MergeJob:
    folder = tmp_path_factory.mktemp("job")
    log = Log(folder / "log", trades(1200, seed=6)).write(6)
    return job_of(log, folder / "split", ticks_of(log, 6, 5))


def test_a_repeat_gives_the_same_bytes(job, tmp_path):
    first = run(msgspec.structs.replace(job, folder=str(tmp_path / "a")))
    again = run(msgspec.structs.replace(job, folder=str(tmp_path / "a")))
    shuffled = run(msgspec.structs.replace(job, folder=str(tmp_path / "b"), slices=job.slices[::-1]))
    assert first == again == shuffled


def test_the_folders_of_a_run_are_as_durable_as_the_run(job, tmp_path, monkeypatch):
    synced = set()
    original = os.fsync

    def noted(descriptor):
        synced.add(os.fstat(descriptor).st_ino)
        original(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    split = tmp_path / "topics" / "topic" / "0"
    run(msgspec.structs.replace(job, folder=str(split)))
    assert {folder.stat().st_ino for folder in (split, *split.parents[:3])} <= synced


class Crash(BaseException):
    """Stands for the end of the process: nothing catches it, nothing cleans up behind it."""


CRASH_POINTS = ["pread", "fsync", "rename", "check"]


@pytest.mark.parametrize("point", CRASH_POINTS)
@pytest.mark.parametrize("after", [0, 1])
def test_a_repeat_after_a_crash_leaves_one_good_result(job, tmp_path, monkeypatch, point, after):
    wanted_manifest = run(msgspec.structs.replace(job, folder=str(tmp_path / "undisturbed")))
    mine = msgspec.structs.replace(job, folder=str(tmp_path / "split"))
    calls = iter(range(1000))
    owner, name = {
        "pread": (os, "pread"),
        "fsync": (os, "fsync"),
        "rename": (Path, "rename"),
        "check": (merge_job.RunFile, "check"),
    }[point]
    original = getattr(owner, name)

    def crashing(*given):
        if next(calls) >= after:
            raise Crash
        return original(*given)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, crashing)
        # A process that is gone removes nothing.
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        patch.setattr(merge_job.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(Crash):
            run(mine)
    assert run(mine) == wanted_manifest
    assert sorted(path.name for path in (tmp_path / "split").iterdir()) == ["late-1.parquet", "main.parquet"]


def test_a_result_that_is_not_what_the_log_holds_is_refused_and_removed(job, tmp_path, monkeypatch):
    mine = msgspec.structs.replace(job, folder=str(tmp_path / "split"))
    original = merge_job._taken

    def confused(batch, rows):
        return original(batch, rows if len(rows) < 2 else np.append(rows[:-2], [rows[-1], rows[-1]]))

    monkeypatch.setattr(merge_job, "_taken", confused)
    with pytest.raises((MergeError, AssertionError)):
        run(mine)
    assert list((tmp_path / "split").iterdir()) == []


def test_a_wrong_digest_is_detected(job, tmp_path, monkeypatch):
    finish = run_writer.RunWriter.finish

    def forged(self, metadata=None) -> RunDescription:
        self._digest ^= 1
        return finish(self, metadata)

    monkeypatch.setattr(run_writer.RunWriter, "finish", forged)
    with pytest.raises(MergeError, match="digest"):
        run(msgspec.structs.replace(job, folder=str(tmp_path / "split")))
    assert list((tmp_path / "split").iterdir()) == []


def test_bytes_that_change_on_the_way_to_the_disk_are_detected(job, tmp_path, monkeypatch):
    rename = Path.rename

    def damaging(self, target):
        data = bytearray(self.read_bytes())
        data[len(data) // 3] ^= 1
        self.write_bytes(data)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", damaging)
    with pytest.raises(MergeError, match="SHA-256"):
        run(msgspec.structs.replace(job, folder=str(tmp_path / "split")))
    assert list((tmp_path / "split").iterdir()) == []


def test_a_missing_slice_fails_the_job(job, tmp_path):
    for gone in (0, len(job.slices) // 2, len(job.slices) - 1):
        slices = job.slices[:gone] + job.slices[gone + 1 :]
        with pytest.raises(MergeError, match="missing"):
            run(msgspec.structs.replace(job, slices=slices, folder=str(tmp_path / "split")))


def test_a_slice_named_twice_fails_the_job(job, tmp_path):
    with pytest.raises(MergeError, match="twice"):
        run(msgspec.structs.replace(job, slices=[*job.slices, job.slices[4]], folder=str(tmp_path / "split")))


def test_a_damaged_batch_fails_the_job(job, tmp_path):
    part = job.slices[3]
    data = bytearray(Path(part.path).read_bytes())
    data[part.position + 70] ^= 1
    damaged = tmp_path / Path(part.path).name
    damaged.write_bytes(data)
    slices = [
        msgspec.structs.replace(other, path=str(damaged)) if other.path == part.path else other for other in job.slices
    ]
    with pytest.raises(MergeError, match="CRC"):
        run(msgspec.structs.replace(job, slices=slices, folder=str(tmp_path / "split")))


def test_ticks_that_do_not_reach_the_end_or_do_not_follow_fail_the_job(job, tmp_path):
    short = msgspec.structs.replace(job, ticks=job.ticks[:2], folder=str(tmp_path))
    with pytest.raises(MergeError, match="reach"):
        run(short)
    with pytest.raises(MergeError, match="follow"):
        run(msgspec.structs.replace(job, ticks=job.ticks[1:], folder=str(tmp_path)))


def worker(data: bytes) -> tuple[bytes, int]:
    done = subprocess.run([sys.executable, "-m", "store.merge_worker"], input=data, capture_output=True, check=False)
    assert done.stderr == b""
    return done.stdout, done.returncode


def test_the_worker_answers_with_the_manifest(job, tmp_path):
    mine = msgspec.structs.replace(job, folder=str(tmp_path / "split"))
    output, code = worker(mine.pack())
    assert code == 0
    manifest = read_answer(output, code)
    for one in open_split(tmp_path / "split", manifest).runs:
        one.check()
    assert manifest.pack() == run(mine).pack()


def test_the_worker_answers_with_a_typed_error(job, tmp_path):
    output, code = worker(msgspec.structs.replace(job, slices=job.slices[1:], folder=str(tmp_path)).pack())
    assert code == 1
    assert msgspec.msgpack.decode(output, type=WorkerAnswer).error == "MergeError"
    with pytest.raises(MergeError, match="missing"):
        read_answer(output, code)
    output, code = worker(b"no job")
    assert code == 2
    with pytest.raises(MergeError, match="does not decode"):
        read_answer(output, code)
    with pytest.raises(MergeError, match="without an answer"):
        read_answer(b"", -9)


def test_the_worker_is_bound_to_its_parent_before_it_loads_what_a_merge_needs():
    """An orphan that was loading outlived its node by the whole time that takes."""
    program = "import sys, store.merge_worker; print([name for name in ('numpy', 'pyarrow') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_worker_dies_with_its_parent_while_it_waits_for_its_job():
    program = (
        "import os, signal, subprocess, sys\n"
        "command = [sys.executable, '-m', 'store.merge_worker', str(os.getpid())]\n"
        "print(subprocess.Popen(command).pid, flush=True)\n"
        "signal.pause()\n"
    )
    # This end of its standard input stays open: nothing else would ever end the worker.
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        try:
            worker = psutil.Process(int(parent.stdout.readline()))
            # It lowers its priority once it is bound.
            wait_until(lambda: worker.nice() > os.nice(0), what="a worker that waits for its job")
        finally:
            parent.kill()
        wait_until(lambda: has_ended(worker), what="the end of the worker")


def has_ended(process: psutil.Process) -> bool:
    """A zombie is one that nobody has waited for yet."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
