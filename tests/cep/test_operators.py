"""Order, windows and the pipeline against brute force: final once, whatever the arrival order and batch size."""

import random
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cep
from cep.aggregates import Accumulator, Aggregate
from cep.events import NEVER_MS, Batch, Event, Row
from cep.order import OrderedMerge
from cep.pipeline import Pipeline
from cep.readers import Arrived
from cep.records import json_of
from cep.windows import TumblingWindows, WindowPlan

AGGREGATES: tuple[Aggregate, ...] = (
    cep.count(), cep.count("x"), cep.sum("x"), cep.min("x"), cep.max("x"), cep.mean("x"), cep.ohlc("y"),
)  # fmt: skip
NUMBERS = st.one_of(st.none(), st.integers(-(10**15), 10**15), st.booleans(), st.text(max_size=2))


@st.composite
def events(draw: st.DrawFn) -> list[Event]:
    times = draw(st.lists(st.integers(-50, 200), max_size=60))
    return [
        Event(ms, draw(st.integers(0, 1)), 0, offset, {"g": draw(st.sampled_from(["a", "b", None, 1, "1"])),
              "x": draw(NUMBERS), "y": draw(NUMBERS)})
        for offset, ms in enumerate(times)
    ]  # fmt: skip


def _numbers(found: Sequence[Event], name: str) -> list[int]:
    return [v for e in found if isinstance(v := e.attributes[name], int) and not isinstance(v, bool)]


def brute_force(everything: Sequence[Event], plan: WindowPlan, watermark_ms: int) -> list[tuple]:
    groups: dict[tuple, list[Event]] = defaultdict(list)
    for event in sorted(everything, key=lambda e: e.order):
        start = (event.timestamp_ms - plan.origin_ms) // plan.size_ms * plan.size_ms + plan.origin_ms
        if start + plan.size_ms - 1 <= watermark_ms:
            group = event.attributes["g"]
            groups[start, type(group).__name__, str(group)].append(event)
    rows = []
    for (start, _, _), found in sorted(groups.items()):
        x, y = _numbers(found, "x"), _numbers(found, "y")
        rows.append((
            start, found[0].attributes["g"], len(found), len(x), sum(x) if x else None, min(x, default=None),
            max(x, default=None), sum(x) / len(x) if x else None,
            y[0] if y else None, max(y, default=None), min(y, default=None), y[-1] if y else None,
        ))  # fmt: skip
    return rows


def shown(rows: Sequence[Row]) -> list[tuple]:
    names = ["window_start", "g", "count", "count(x)", "sum(x)", "min(x)", "max(x)", "mean(x)"]
    names += ["open(y)", "high(y)", "low(y)", "close(y)"]
    return [tuple(row.values[name] for name in names) for row in rows]


@given(
    everything=events(),
    size=st.integers(1, 60),
    origin=st.integers(-5, 5),
    seed=st.integers(0, 9),
    step=st.integers(1, 40),
)
def test_windows_equal_brute_force_for_every_arrival_order_and_batch_size(
    everything: list[Event], size: int, origin: int, seed: int, step: int
) -> None:
    plan = WindowPlan(name="w", size_ms=size, origin_ms=origin, by=("g",), aggregates=AGGREGATES)
    shuffled = random.Random(seed).sample(everything, len(everything))
    pipeline = Pipeline([0, 1], [plan], complete_ms=[NEVER_MS, NEVER_MS], emitted_ms=NEVER_MS)
    for stream in (0, 1):
        pipeline.feed(stream, Arrived([e for e in shuffled if e.stream == stream], (), NEVER_MS))
    rows: list[Row] = []
    for watermark_ms in range(-60, 300, step):
        for stream in (0, 1):
            pipeline.feed(stream, Arrived((), (), watermark_ms))
        rows += pipeline.step()[1][0]
        assert shown(rows) == brute_force(everything, plan, watermark_ms)
    assert len({row.row_id for row in rows}) == len(rows)


@given(everything=events(), size=st.integers(1, 60), crash=st.integers(-60, 260))
def test_a_crash_repeats_nothing_that_was_committed_and_changes_nothing(
    everything: list[Event], size: int, crash: int
) -> None:
    plan = WindowPlan(name="w", size_ms=size, by=("g",), aggregates=AGGREGATES)

    def run(pipeline: Pipeline, since_ms: int, watermarks: Sequence[int]) -> list[Row]:
        for stream in (0, 1):
            found = [e for e in everything if e.stream == stream and e.timestamp_ms >= since_ms]
            pipeline.feed(stream, Arrived(found, (), NEVER_MS))
        rows: list[Row] = []
        for watermark_ms in watermarks:
            for stream in (0, 1):
                pipeline.feed(stream, Arrived((), (), watermark_ms))
            rows += pipeline.step()[1][0]
        return rows

    whole = run(Pipeline([0, 1], [plan], complete_ms=[NEVER_MS] * 2, emitted_ms=NEVER_MS), NEVER_MS, range(-60, 300, 7))
    first = Pipeline([0, 1], [plan], complete_ms=[NEVER_MS] * 2, emitted_ms=NEVER_MS)
    before = run(first, NEVER_MS, range(-60, crash, 7))
    needed_ms = first.needed_ms
    complete = [NEVER_MS if needed_ms == NEVER_MS else needed_ms - 1] * 2
    second = Pipeline([0, 1], [plan], complete_ms=complete, emitted_ms=first.emitted_ms)
    assert before + run(second, needed_ms, range(-60, 300, 7)) == whole


def test_late_events_are_counted_and_change_no_window() -> None:
    windows = TumblingWindows(WindowPlan(name="w", size_ms=10, aggregates=(cep.count(),)))
    assert [row.values["count"] for row in windows.feed(Batch([Event(1, 0, 0, 0, {})], 9))] == [1]
    assert windows.feed(Batch([], 30, late=[Event(2, 0, 0, 1, {})])) == []
    assert windows.late_count == 1


def test_a_window_closes_exactly_when_the_watermark_reaches_its_last_millisecond() -> None:
    windows = TumblingWindows(WindowPlan(name="w", size_ms=10, aggregates=(cep.count(),)))
    assert windows.feed(Batch([Event(0, 0, 0, 0, {}), Event(9, 0, 0, 1, {}), Event(10, 0, 0, 2, {})], 8)) == []
    assert [(r.values["window_end"], r.values["count"], r.timestamp_ms) for r in windows.feed(Batch([], 9))] == [
        (10, 2, 9)
    ]
    assert windows.open_count == 1


def test_the_merge_is_bounded_and_names_the_input_that_is_behind() -> None:
    merge = OrderedMerge([0, 1], waiting_max=2)
    merge.complete(0, 100)
    with pytest.raises(cep.BufferFullError, match="input 1 is behind"):
        merge.push([Event(1, 0, 0, n, {}) for n in range(3)])


def test_sums_of_doubles_do_not_depend_on_cancellation() -> None:
    plan = WindowPlan(name="w", size_ms=10, aggregates=(cep.sum("x"),))
    values = [1e16, 1.0, -1e16, 1.0]
    (row,) = TumblingWindows(plan).feed(Batch([Event(0, 0, 0, n, {"x": v}) for n, v in enumerate(values)], 9))
    assert row.values["sum(x)"] == 2.0


def test_true_one_and_lists_are_three_groups_and_a_sum_beyond_64_bits_is_exact() -> None:
    plan = WindowPlan(name="w", size_ms=10, by=("g",), aggregates=(cep.count(), cep.sum("x")))
    groups: list = [True, 1, [1], {"a": 1}, None, "1"]
    fed = [Event(0, 0, 0, n, {"g": g, "x": 2**63}) for n, g in enumerate(groups)]
    rows = TumblingWindows(plan).feed(Batch(fed, 9))
    assert [(row.values["g"], row.values["count"], row.values["sum(x)"]) for row in rows] == [
        (None, 3, 3 * 2**63), (True, 1, 2**63), (1, 1, 2**63), ("1", 1, 2**63),
    ]  # fmt: skip
    assert len({row.row_id for row in rows}) == 4
    assert b'"sum(x)":27670116110564327424' in json_of(rows[0])


@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=30), seed=st.integers(0, 99))
def test_sums_of_doubles_have_the_same_bits_for_every_batch_size(sizes: list[int], seed: int) -> None:
    rng = random.Random(seed)
    numbers: list[int | float] = [
        rng.choice([rng.uniform(-1e9, 1e9), rng.uniform(-1, 1), rng.randrange(99)]) for _ in range(sum(sizes))
    ]
    whole, parts = Accumulator(), Accumulator()
    whole.add(numbers)
    for size in sizes:
        parts.add(numbers[parts.count : parts.count + size])
    everything = cep.sum("x"), cep.mean("x"), cep.ohlc("x"), cep.count("x")
    assert [whole.values_of(a) for a in everything] == [parts.values_of(a) for a in everything]


@given(everything=events(), size=st.integers(1, 7), watermark_ms=st.integers(200, 300))
def test_parts_of_a_batch_are_batches_that_say_what_is_complete(
    everything: list[Event], size: int, watermark_ms: int
) -> None:
    fed = sorted(everything, key=lambda event: event.order)
    parts = list(Batch(fed, watermark_ms, fed[:1]).parts(size))
    assert [event for part in parts for event in part.events] == fed
    assert [event for part in parts for event in part.late] == fed[:1]
    assert parts[-1].watermark_ms == watermark_ms
    for part, later in pairwise(parts):
        assert len(part.events) <= size
        assert all(event.timestamp_ms > part.watermark_ms for event in later.events)
