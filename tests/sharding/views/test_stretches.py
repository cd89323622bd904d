"""Ranks read as time ranges are the events of brute force, from live data and from runs alike."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sharding.views.stretches import (
    SOURCE,
    Stretch,
    emitted,
    first_at_or_after,
    greatest,
    late_by_tick,
    late_column,
    records_of,
)
from store.blocks import Block, Column
from store.emission import Ledger, TickTable, ViewKind, empty_ledger
from store.ticks import Tick
from tests.support.emissions import Event, emissions, view
from tests.support.sources import ListSource, block_of

KINDS = st.sampled_from([(ViewKind.TIME, 0), (ViewKind.LATE, 0), *[(ViewKind.KEYED, p) for p in range(3)]])


def stretch_of(ticks: list[Tick], events: list[Event], *, is_historic: bool) -> Stretch:
    """Live: one source per partition with everything. Historic: fresh events in one source, late ones in two."""
    table = TickTable(ticks[0], ticks[1:], 3)
    block = block_of(events)
    rows, is_late = table.classify(block.timestamps, block.partitions, block.offsets)
    is_late &= (rows >= 0) & (rows < len(ticks) - 1)
    ledger = empty_ledger(3)
    for row, tick in enumerate(ticks[1:]):
        counts = [
            [int(((rows == row) & (is_late == late) & (block.partitions == p)).sum()) for p in range(3)]
            for late in (True, False)
        ]
        ledger.append(tick, *counts)
    if is_historic:
        fresh = [
            event
            for event, row, late in zip(events, rows, is_late, strict=True)
            if 0 <= row < len(ticks) - 1 and not late
        ]
        late = [event for event, was in zip(events, is_late, strict=True) if was]
        sources = [ListSource(fresh), ListSource(late[::2]), ListSource(late[1::2])]
        parts = [late_column(block_of(part), code) for part, code in ((late[::2], 1), (late[1::2], 2))]
        keys = Block(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("timestamps", "partitions", "offsets")
            ),
            {SOURCE: Column(np.concatenate([part.columns[SOURCE].values for part in parts]))},
        )
        numbers = [*rows[is_late][::2] + 1, *rows[is_late][1::2] + 1]
        return Stretch(
            ledger, late_by_tick(ledger, np.array(numbers, np.int64), keys), sources, 1, is_by_partition=False
        )
    sources = [ListSource([event for event in events if event[1] == p]) for p in range(3)]
    keys = Block(
        block.timestamps[is_late],
        block.partitions[is_late],
        block.offsets[is_late],
        {SOURCE: Column(block.partitions[is_late])},
    )
    return Stretch(ledger, late_by_tick(ledger, rows[is_late] + 1, keys), sources, 3, is_by_partition=True)


def shown(stretch: Stretch, kind: ViewKind, partition: int, first: int, end: int, after: Event | None = None) -> list:
    found = []
    for part in emitted(stretch, kind, partition, first, end, after):
        assert part.first_rank == first + len(found)
        block = part.block
        keys = zip(block.timestamps.tolist(), block.partitions.tolist(), block.offsets.tolist(), strict=True)
        found += [(key, part.is_late) for key in keys]
    return found


@given(emissions(), KINDS, st.booleans(), st.data())
def test_any_range_of_ranks_reads_as_brute_force(
    emission: tuple[list[Tick], list[Event]], asked: tuple[ViewKind, int], is_historic: bool, data: st.DataObject
) -> None:
    ticks, events = emission
    truth = view(ticks, events, *asked)
    stretch = stretch_of(ticks, events, is_historic=is_historic)
    first = data.draw(st.integers(0, len(truth)))
    end = data.draw(st.integers(first, len(truth) + 2))
    assert shown(stretch, *asked, first, end) == truth[first:end]
    if first:
        assert shown(stretch, *asked, first, end, truth[first - 1][0]) == truth[first:end]


@given(emissions(), KINDS, st.booleans(), st.integers(-30, 90))
def test_first_at_or_after_is_the_least_rank(
    emission: tuple[list[Tick], list[Event]], asked: tuple[ViewKind, int], is_historic: bool, timestamp_ms: int
) -> None:
    ticks, events = emission
    truth = view(ticks, events, *asked)
    stretch = stretch_of(ticks, events, is_historic=is_historic)
    expected = next(((i, event[0]) for i, (event, _) in enumerate(truth) if event[0] >= timestamp_ms), None)
    assert first_at_or_after(stretch, *asked, timestamp_ms) == expected


@given(emissions(), KINDS, st.booleans())
def test_greatest_is_the_first_of_the_greatest_timestamp(
    emission: tuple[list[Tick], list[Event]], asked: tuple[ViewKind, int], is_historic: bool
) -> None:
    ticks, events = emission
    truth = [event[0] for event, _ in view(ticks, events, *asked)]
    expected = (truth.index(max(truth)), max(truth)) if truth else None
    assert greatest(stretch_of(ticks, events, is_historic=is_historic), *asked) == expected


def test_records_keep_everything_and_tell_origin_and_lateness() -> None:
    ticks = [Tick(0, -(1 << 63), (0,)), Tick(1, 10, (1,)), Tick(2, 20, (2,))]
    stretch = stretch_of(ticks, [(5, 0, 0), (7, 0, 1)], is_historic=False)
    parts = [record for part in emitted(stretch, ViewKind.TIME, 0, 0, 2) for record in records_of(stretch, part)]
    assert [(r.offset, r.timestamp_ms, r.key, r.value) for r in parts] == [
        (0, 5, b"k0", b'{"o":0}'),
        (1, 7, b"k0", b'{"o":1}'),
    ]
    assert parts[0].headers == (("own", b"x"), ("timesplit.origin", b"0:0"))
    assert parts[1].headers == (("own", b"x"), ("timesplit.origin", b"0:1"), ("timesplit.late", b"1"))


def test_ledger_of_other_ticks_is_not_mixed_in() -> None:
    ledger = Ledger(Tick(4, 10, (1,)), empty_ledger(1).totals, 1)
    assert late_by_tick(ledger, np.empty(0, np.int64), late_column(block_of([]), 0)) == {}
