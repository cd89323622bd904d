"""Emission and ranks equal their definition, by brute force over (ticks, events)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.emission import Ledger, TickTable, ViewKind, empty_ledger
from store.errors import DamagedIndexError
from store.ticks import LatePolicy, Tick, no_tick
from tests.support.emissions import Event, emissions, emits, view


def ledger_of(ticks: list[Tick], events: list[Event], count: int = 3) -> Ledger:
    table = TickTable(ticks[0], ticks[1:], count)
    late = np.zeros((len(ticks) - 1, count), np.int64)
    fresh = np.zeros((len(ticks) - 1, count), np.int64)
    ts, partitions, offsets = (np.array([event[i] for event in events], np.int64) for i in range(3))
    rows, is_late = table.classify(ts, partitions.astype(np.int32), offsets)
    for row, was_late, event in zip(rows.tolist(), is_late.tolist(), events, strict=True):
        if 0 <= row < len(ticks) - 1:
            (late if was_late else fresh)[row, event[1]] += 1
    ledger = empty_ledger(count)
    for tick, of_late, of_fresh in zip(ticks[1:], late.tolist(), fresh.tolist(), strict=True):
        ledger.append(tick, of_late, of_fresh)
    return ledger


@given(emissions(), st.data())
def test_classify_equals_the_definition_from_any_tick_on(
    emission: tuple[list[Tick], list[Event]], data: st.DataObject
) -> None:
    ticks, events = emission
    start = data.draw(st.integers(0, len(ticks) - 1))
    table = TickTable(ticks[start], ticks[start + 1 :], 3)
    ts, partitions, offsets = (np.array([event[i] for event in events], np.int64) for i in range(3))
    rows, is_late = table.classify(ts, partitions.astype(np.int32), offsets)
    after = ticks[start + 1 :]
    for row, was_late, event in zip(rows.tolist(), is_late.tolist(), events, strict=True):
        expected = next((i for i, tick in enumerate(after) if emits(tick, event)), len(after))
        if emits(ticks[start], event):
            expected = -1
        assert row == expected
        if 0 <= row < len(after):
            before = ticks[start + row]
            assert was_late == (before.number > 0 and event[0] <= before.watermark_ms)


KINDS = st.sampled_from([(ViewKind.TIME, 0), (ViewKind.LATE, 0), *[(ViewKind.KEYED, p) for p in range(3)]])


@given(emissions(), KINDS, st.data())
def test_portions_name_the_events_of_the_ranks(
    emission: tuple[list[Tick], list[Event]], asked: tuple[ViewKind, int], data: st.DataObject
) -> None:
    ticks, events = emission
    truth = view(ticks, events, *asked)
    ledger = ledger_of(ticks, events)
    assert ledger.end_rank(*asked) == len(truth)
    first = data.draw(st.integers(0, len(truth)))
    end = data.draw(st.integers(first, len(truth) + 2))
    found = []
    for portion in ledger.portions(*asked, first, end):
        rows = sorted(
            event
            for event in events
            if portion.span.covers(event[0])
            and portion.cut_from(event[1]) <= event[2] < portion.cut_to(event[1])
            and portion.partition in {None, event[1]}
        )
        size = portion.end_rank - portion.first_rank
        assert portion.first_rank == first + len(found)
        found += [(event, portion.is_late) for event in rows[portion.skip : portion.skip + size]]
    assert found == truth[first:end]


@given(emissions(), st.data())
def test_a_ledger_cut_in_two_has_the_same_ranks(emission: tuple[list[Tick], list[Event]], data: st.DataObject) -> None:
    ticks, events = emission
    whole = ledger_of(ticks, events)
    at = data.draw(st.integers(0, len(ticks) - 1))
    head, rest = whole.head(at), whole.after(at)
    assert rest.totals == whole.totals
    assert head.totals == rest.totals_before
    for kind, partition in ((ViewKind.TIME, 0), (ViewKind.LATE, 0), (ViewKind.KEYED, 2)):
        size = whole.end_rank(kind, partition)
        joined = [*head.portions(kind, partition, 0, size), *rest.portions(kind, partition, 0, size)]
        assert joined == list(whole.portions(kind, partition, 0, size))


@given(emissions())
def test_a_packed_ledger_comes_back_whole(emission: tuple[list[Tick], list[Event]]) -> None:
    ledger = ledger_of(*emission)
    back = Ledger.unpack(ledger.pack())
    assert (back.before, back.ticks, back.late, back.fresh) == (ledger.before, ledger.ticks, ledger.late, ledger.fresh)
    assert back.totals == ledger.totals


def test_damaged_ledger_is_refused() -> None:
    packed = ledger_of([no_tick(1), Tick(1, 5, (2,))], [(3, 0, 0), (4, 0, 1)]).pack()
    with pytest.raises(DamagedIndexError):
        Ledger.unpack(packed[:-3])


def test_end_ranks_of_a_tick_stand_for_every_view_partition() -> None:
    ticks = [no_tick(3), Tick(1, 5, (2, 1, 0)), Tick(2, 9, (3, 1, 1), LatePolicy.SIDE)]
    ledger = ledger_of(ticks, [(3, 0, 0), (4, 0, 1), (1, 0, 2), (5, 1, 0), (8, 2, 0)])
    assert ledger.end_ranks_of(1, ViewKind.TIME) == [3]
    assert ledger.end_ranks_of(2, ViewKind.TIME) == [4]
    assert ledger.end_ranks_of(2, ViewKind.KEYED) == [2, 1, 1]
    assert ledger.end_ranks_of(2, ViewKind.LATE) == [1]
    assert ledger.tick_at_time(6) == ticks[2]
    assert ledger.tick_at_time(10) is None
