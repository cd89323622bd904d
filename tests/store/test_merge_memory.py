"""A merge job's memory does not grow with its log."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from store.batches import build
from store.compression import Compression
from store.events import Record
from store.manifest import TickValue, TotalsValue
from store.merge_job import LogSlice, MergeJob
from store.merge_worker import read_answer
from store.ticks import Tick, no_tick

VALUE_BYTES = 1000


def job_of(folder: Path, event_count: int) -> MergeJob:
    """Well compressed records of a kilobyte, 5 % of them late, on four partitions."""
    rng = np.random.default_rng(1)
    path, slices, ends, last_ms = folder / "segment.log", [], [0] * 4, 0
    with path.open("wb") as file:
        for first in range(0, event_count, 2000):
            late = (rng.random(2000) < 0.05) * rng.integers(0, 5000, 2000)
            timestamps = (np.sort(rng.integers(first, first + 2000, 2000)) - late + 10_000).tolist()
            for partition in range(4):
                base, some = ends[partition], timestamps[partition * 500 :][:500]
                value = b'{"qty":%d,"pad":"%s"}' % (first, b"x" * VALUE_BYTES)
                rows = [Record(base + i, ts, b"k", value) for i, ts in enumerate(some)]
                data = build(rows, base_offset=base, compression=Compression.ZSTD)
                slices.append(LogSlice(str(path), file.tell(), len(data), partition, base))
                file.write(data)
                ends[partition] += 500
                last_ms = max(last_ms, *some)
    ticks = [Tick(i, last_ms * i // 20, tuple(end * i // 20 for end in ends)) for i in range(1, 21)]
    return MergeJob(
        topic_id=bytes(16),
        number=1,
        version=1,
        slices=slices,
        first_offsets=[0] * 4,
        end_offsets=ends,
        boundary=TickValue.of(no_tick(4)),
        totals_before=TotalsValue([0] * 4, [0] * 4, [0] * 4),
        ticks=[TickValue.of(tick) for tick in ticks],
        schema_text='{"qty":"long"}',
        aggregates_text='["qty"]',
        folder=str(folder / "split"),
    )


@pytest.mark.evidence
@pytest.mark.timeout(300)
def test_a_gigabyte_of_records_merges_in_less_than_half_of_it(tmp_path):
    event_count = 1_000_000
    job, answer = tmp_path / "job", tmp_path / "answer"
    job.write_bytes(job_of(tmp_path, event_count).pack())
    with job.open("rb") as source, answer.open("wb") as target:
        worker = subprocess.Popen([sys.executable, "-m", "store.merge_worker"], stdin=source, stdout=target)
        _, status, used = os.wait4(worker.pid, 0)
        worker.returncode = os.waitstatus_to_exitcode(status)
    manifest = read_answer(answer.read_bytes(), worker.returncode)
    assert manifest.row_count == event_count
    assert len(manifest.runs) == 2
    peak_bytes = used.ru_maxrss * 1024
    assert peak_bytes < event_count * VALUE_BYTES // 2, f"{peak_bytes >> 20} MiB"
