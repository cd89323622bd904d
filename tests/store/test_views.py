"""Ranks of views against a slow simulation of emission."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.blocks import Block
from store.emission import Ledger, TickTable, ViewKind, empty_ledger
from store.events import TIMESTAMP_MS_MIN
from store.ticks import LatePolicy, Tick, no_tick
from store.views import NOT_SHOWN, RankCounter, rows_of

Event = tuple[int, int, int]


@st.composite
def histories(draw, policies=tuple(LatePolicy)):
    """(events, ticks): partitions of dense offsets, ticks with rising watermarks and cuts."""
    partition_count = draw(st.integers(1, 3))
    stamps = [draw(st.lists(st.integers(0, 30), max_size=15)) for _ in range(partition_count)]
    events = [(ts, p, offset) for p in range(partition_count) for offset, ts in enumerate(stamps[p])]
    watermarks = sorted(draw(st.sets(st.integers(-1, 32), max_size=6)))
    cut, ticks = [0] * partition_count, []
    for number, watermark in enumerate(watermarks, 1):
        cut = [draw(st.integers(cut[p], len(stamps[p]))) for p in range(partition_count)]
        ticks.append(Tick(number, watermark, tuple(cut), draw(st.sampled_from(policies))))
    return sorted(events), ticks, partition_count


def emitted(events: list[Event], ticks: list[Tick], view: ViewKind, partition: int) -> list[Event]:
    """The view, as DESIGN.md says it: tick by tick, late before fresh, each in event order."""
    shown: list[Event] = []
    before = no_tick(1)
    gone: set[Event] = set()
    for tick in ticks:
        now = [event for event in events if event not in gone and tick.emits(event[1], event[2], event[0])]
        gone.update(now)
        late = [event for event in now if event[0] <= before.watermark_ms]
        fresh = [event for event in now if event[0] > before.watermark_ms]
        if view is ViewKind.LATE:
            shown += late
        else:
            both = (late if tick.policy is not LatePolicy.SIDE else []) + fresh
            shown += [event for event in both if view is ViewKind.TIME or event[1] == partition]
        before = tick
    return shown


def block_of(events: list[Event]) -> Block:
    columns = np.array(events, np.int64).reshape(len(events), 3)
    return Block(columns[:, 0], columns[:, 1].astype(np.int32), columns[:, 2])


def ledger_of(events: list[Event], ticks: list[Tick], partition_count: int, start: Ledger | None = None) -> Ledger:
    ledger = start or empty_ledger(partition_count)
    block, last = block_of(events), ledger.last
    rows, is_late = TickTable(last, ticks, partition_count).classify(block.timestamps, block.partitions, block.offsets)
    for i, tick in enumerate(ticks):
        late, fresh = (
            np.bincount(block.partitions[(rows == i) & (is_late == wanted)], minlength=partition_count).tolist()
            for wanted in (True, False)
        )
        ledger.append(tick, late, fresh)
    return ledger


def view_partitions(partition_count: int) -> list[tuple[ViewKind, int]]:
    return [(ViewKind.TIME, 0), (ViewKind.LATE, 0), *((ViewKind.KEYED, p) for p in range(partition_count))]


def ranks_of(events, ticks, ledger: Ledger, sizes=(1000,)) -> dict[tuple[ViewKind, int], dict[int, Event]]:
    """Rank -> event of each view partition, from blocks of these sizes."""
    counter = RankCounter(ledger)
    table = TickTable(ledger.before, ledger.ticks, ledger.partition_count)
    found: dict[tuple[ViewKind, int], dict[int, Event]] = {}
    at = i = 0
    while at < len(events):
        size = sizes[i % len(sizes)]
        some = events[at : at + size]
        block = block_of(some)
        rows, is_late = table.classify(block.timestamps, block.partitions, block.offsets)
        keep = np.flatnonzero((rows >= 0) & (rows < len(ledger.ticks)))
        kept = [some[row] for row in keep.tolist()]
        ranks = counter.ranks_of(block_of(kept), rows[keep], is_late[keep])
        for event, time, keyed, late in zip(kept, *(column.tolist() for column in ranks), strict=True):
            for view, rank in (
                ((ViewKind.TIME, 0), time),
                ((ViewKind.KEYED, event[1]), keyed),
                ((ViewKind.LATE, 0), late),
            ):
                if rank != NOT_SHOWN:
                    assert rank not in found.setdefault(view, {}), "two events of one rank"
                    found[view][rank] = event
        at, i = at + size, i + 1
    return found


@given(histories(), st.lists(st.integers(1, 7), min_size=1, max_size=3))
def test_ranks_are_places_in_the_emission_order(history, sizes):
    events, ticks, partition_count = history
    found = ranks_of(events, ticks, ledger_of(events, ticks, partition_count), sizes)
    for view in view_partitions(partition_count):
        assert found.get(view, {}) == dict(enumerate(emitted(events, ticks, *view)))


@given(histories(), st.integers(0, 6))
def test_ranks_never_change_when_later_ticks_come_or_when_a_split_is_sealed(history, sealed_count):
    events, ticks, partition_count = history
    whole = ranks_of(events, ticks, ledger_of(events, ticks, partition_count))
    sealed, live = ticks[:sealed_count], ticks[sealed_count:]
    first = ledger_of(events, sealed, partition_count)
    rest = Ledger(first.last, first.totals, partition_count)
    ledger_of(events, live, partition_count, rest)
    parts = (ranks_of(events, sealed, first), ranks_of(events, live, Ledger.unpack(rest.pack())))
    for view in view_partitions(partition_count):
        ours = {**parts[0].get(view, {}), **parts[1].get(view, {})}
        assert len(ours) == len(parts[0].get(view, {})) + len(parts[1].get(view, {}))
        assert ours == whole.get(view, {})


@given(histories(policies=(LatePolicy.ACCEPT,)))
def test_the_end_rank_of_a_tick_counts_the_events_below_its_cut_and_watermark(history):
    events, ticks, partition_count = history
    ledger = ledger_of(events, ticks, partition_count)
    for tick in ticks:
        counts = [
            sum(tick.emits(p, o, ts) for ts, p, o in events if p == partition) for partition in range(partition_count)
        ]
        assert ledger.end_ranks_of(tick.number, ViewKind.KEYED) == counts
        assert ledger.end_ranks_of(tick.number, ViewKind.TIME) == [sum(counts)]


@given(histories(), st.data())
@settings(max_examples=60)
def test_portions_read_back_the_events_of_any_ranks(history, data):
    events, ticks, partition_count = history
    ledger = ledger_of(events, ticks, partition_count)
    block = block_of(events)
    for view, partition in view_partitions(partition_count):
        wanted = emitted(events, ticks, view, partition)
        first = data.draw(st.integers(0, len(wanted)))
        end = data.draw(st.integers(first, len(wanted)))
        read: list[Event] = []
        for portion in ledger.portions(view, partition, first, end):
            rows = rows_of(portion, block)[portion.skip :][: portion.end_rank - portion.first_rank]
            read += [events[row] for row in rows.tolist()]
        assert read == wanted[first:end]


@pytest.mark.parametrize("policy", list(LatePolicy))
def test_a_late_event_precedes_the_fresh_ones_of_its_tick(policy):
    events = [(5, 0, 0), (7, 0, 1), (6, 0, 2), (9, 0, 3)]
    ticks = [Tick(1, 7, (2,), policy), Tick(2, 9, (4,), policy)]
    ledger = ledger_of(events, ticks, 1)
    time = ranks_of(sorted(events), ticks, ledger)[ViewKind.TIME, 0]
    shown = [(5, 0, 0), (7, 0, 1), *([] if policy is LatePolicy.SIDE else [(6, 0, 2)]), (9, 0, 3)]
    assert time == dict(enumerate(shown))
    assert ledger.before.watermark_ms == TIMESTAMP_MS_MIN
