"""The time index at its real block sizes, against numpy masks over all events."""

import math

import numpy as np
import pytest

from store.blocks import Block, Column
from store.events import ALL_TIME, TimeRange
from store.schema import Schema
from store.time_index import LATE_EVENTS_MAX, TimeIndex

SEED = 7_0_7
EVENTS = 1_100_000
CHUNK = 1_000
SCHEMA = Schema.of({"l": "long", "d": "double"}, ["l", "d"])


class Arrived:
    """All events in arrival order: 20 % late by an exponential delay, longs near the ends of int64, ties everywhere."""

    def __init__(self) -> None:
        source = np.random.default_rng(SEED)
        late = np.where(source.random(EVENTS) < 0.2, source.exponential(20_000, EVENTS), 0).astype(np.int64)
        self.ts = np.arange(EVENTS, dtype=np.int64) // 3 - late
        self.offsets = np.cumsum(source.integers(1, 3, EVENTS))
        self.longs = source.integers(-(2**63), 2**63 - 1, EVENTS)
        self.doubles = source.normal(0, 1e6, EVENTS)
        self.is_null = source.random(EVENTS) < 0.01
        self.doubles[self.is_null] = 0
        self.index = TimeIndex(0, SCHEMA)
        for first in range(0, EVENTS, CHUNK):
            rows = slice(first, first + CHUNK)
            columns = {"l": Column(self.longs[rows]), "d": Column(self.doubles[rows], self.is_null[rows])}
            self.index.insert(self.ts[rows], self.offsets[rows], columns)


@pytest.fixture(scope="module")
def arrived() -> Arrived:
    return Arrived()


def spans(arrived: Arrived) -> list[TimeRange]:
    source = np.random.default_rng(SEED)
    least, greatest = int(arrived.ts.min()), int(arrived.ts.max())
    random = np.sort(source.integers(least, greatest, (20, 2)), axis=1).tolist()
    narrow = [(first, first + 40) for first in source.integers(least, greatest, 10).tolist()]
    return [ALL_TIME, *(TimeRange(first_ms=first, end_ms=end) for first, end in (*random, *narrow))]


def check_block_order(block: Block) -> None:
    ts, offsets = block.timestamps, block.offsets
    assert ((ts[1:] > ts[:-1]) | ((ts[1:] == ts[:-1]) & (offsets[1:] > offsets[:-1]))).all()


def test_scan_is_the_lexsort_of_all_events(arrived: Arrived) -> None:
    order = np.lexsort((arrived.offsets, arrived.ts))
    blocks = list(arrived.index.snapshot().blocks(ALL_TIME, ("l", "d")))
    assert (np.concatenate([block.timestamps for block in blocks]) == arrived.ts[order]).all()
    assert (np.concatenate([block.offsets for block in blocks]) == arrived.offsets[order]).all()
    assert (np.concatenate([block.columns["l"].values for block in blocks]) == arrived.longs[order]).all()
    for block in blocks:
        check_block_order(block)


def test_summaries_equal_masks(arrived: Arrived) -> None:
    snapshot = arrived.index.snapshot()
    for span in spans(arrived):
        inside = (arrived.ts >= span.first_ms) & (arrived.ts < span.end_ms)
        found = snapshot.summary(span, ("l", "d"))
        longs = arrived.longs[inside]
        assert found.count == len(longs), SEED
        assert found.attributes["l"].sum == sum(longs.tolist()), SEED
        present = np.flatnonzero(inside & ~arrived.is_null)
        doubles = found.attributes["d"]
        assert doubles.count == len(present)
        if not len(present):
            continue
        assert doubles.total == pytest.approx(math.fsum(arrived.doubles[present].tolist()), rel=1e-12)
        assert (doubles.min, doubles.max) == (arrived.doubles[present].min(), arrived.doubles[present].max())
        order = present[np.lexsort((arrived.offsets[present], arrived.ts[present]))]
        for edge, row in ((doubles.first, order[0]), (doubles.last, order[-1])):
            assert edge is not None
            assert (edge.place, edge.value) == ((arrived.ts[row], 0, arrived.offsets[row]), arrived.doubles[row])


def test_discard_keeps_exactly_what_is_not_sealed(arrived: Arrived) -> None:
    index = Arrived().index
    old = index.snapshot()
    for share in (0.3, 0.5, 0.9):
        cut, watermark = int(arrived.offsets[int(EVENTS * share)]), int(EVENTS * share) // 3 - 2_000
        is_sealed = (arrived.offsets < cut) & (arrived.ts <= watermark)
        assert old.count_emitted(cut, watermark) == np.count_nonzero(is_sealed)
        index.discard(cut, watermark)
        kept = index.snapshot()
        assert index.count == kept.count == np.count_nonzero(~is_sealed)
        found = np.sort(np.concatenate([block.offsets for block in kept.blocks(ALL_TIME, ())]))
        assert (found == arrived.offsets[~is_sealed]).all()
        assert kept.summary(ALL_TIME, ("l",)).attributes["l"].sum == sum(arrived.longs[~is_sealed].tolist())
    assert old.count == EVENTS


def test_late_events_were_merged_more_than_once(arrived: Arrived) -> None:
    # Else the tests above would say nothing about merging.
    late = np.count_nonzero(arrived.ts < np.maximum.accumulate(arrived.ts))
    assert late > 3 * LATE_EVENTS_MAX
