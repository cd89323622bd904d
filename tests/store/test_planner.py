"""Answers over live, sealed and late sources equal brute force over the plain list of events."""

import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import answers, planner, run_writer
from store.aggregates import merge_all
from store.answers import EventsStream, aggregate_table, events_table
from store.errors import InvalidQueryError, QueryTooLargeError
from store.events import ALL_TIME, Record, TimeRange
from store.merge_job import run as run_job
from store.planner import Cursor
from store.queries import (
    AggregateQuery,
    Complete,
    Condition,
    EventsQuery,
    Fill,
    Function,
    Measure,
    Order,
)
from store.reading import PlanCounts, Reading
from store.runs import RunFile, open_split
from store.schema import AttributeDecoder, Schema
from store.ticks import Tick
from store.time_index import TimeIndex
from tests.store.history import SCHEMA, Trade, in_order, trades
from tests.store.test_merge_job import Log, job_of, ticks_of

PLACE = ("_ts", "_partition", "_offset")
NAMES = ("qty", "price", "symbol", "is_buy", "at")
PARTITIONS = 3


@dataclass
class World:
    made: list[Trade]  # in event order
    sources: list
    tick: Tick

    def reading(self) -> Reading:
        return Reading(sources=self.sources, schema=SCHEMA, tick=self.tick, counts=PlanCounts())

    def is_settled(self, event: Trade) -> bool:
        return self.tick.emits(event.partition, event.offset, event.timestamp_ms)


def live_sources(made: list[Trade], unsealed: list[Trade], partition_count: int = PARTITIONS) -> list:
    """Snapshots of one index per partition, fed in offset order in small batches."""
    by_place: dict[tuple[int, int], Record] = {(event.partition, event.offset): event.record() for event in made}

    def read(partitions, offsets):
        return [by_place[place] for place in zip(partitions.tolist(), offsets.tolist(), strict=True)]

    snapshots = []
    for partition in range(partition_count):
        index, decoder = TimeIndex(partition, SCHEMA), AttributeDecoder(SCHEMA)
        mine = sorted((event for event in unsealed if event.partition == partition), key=lambda event: event.offset)
        for start in range(0, len(mine), 37):
            some = mine[start : start + 37]
            columns, _ = decoder.decode([event.value for event in some])
            ts, offsets = (np.array([getattr(e, name) for e in some], np.int64) for name in ("timestamp_ms", "offset"))
            index.insert(ts, offsets, columns)
        snapshots.append(index.snapshot(read))
    return snapshots


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    folder = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_writer, "ROW_GROUP_EVENTS", 300)
        log = Log(folder / "log", trades(6000, seed=21, late_ms=300)).write(21)
        ticks = ticks_of(log, 21, 14, end=False)
        first = run_job(job_of(log, folder / "1", ticks[:5]))
        second = run_job(job_of(log, folder / "2", ticks[5:10], first))
    sealed = ticks[9]
    unsealed = [e for e in log.made if not sealed.emits(e.partition, e.offset, e.timestamp_ms)]
    runs = [*open_split(folder / "1", first).runs, *open_split(folder / "2", second).runs]
    assert [one.is_late for one in runs] == [False, True, False, True]
    made = in_order(log.made)
    # Between the sealed tick and the end, so that settled, unsettled and late unsettled events are all live.
    cut = tuple(max(cut, end * 9 // 10) for cut, end in zip(sealed.cut, log.ends(), strict=True))
    watermark = max(sealed.watermark_ms + 1, made[len(made) * 93 // 100].timestamp_ms)
    world = World(made, [*runs, *live_sources(log.made, unsealed)], Tick(11, watermark, cut))
    live = [event for event in unsealed if not world.is_settled(event)]
    assert 0 < len(live) < len(unsealed)
    assert any(event.timestamp_ms <= world.tick.watermark_ms for event in live)
    return world


def rows_of(table: pa.Table) -> list[dict]:
    return table.to_pylist()


def event_row(world: World, event: Trade) -> dict:
    return {
        "_ts": event.timestamp_ms,
        "_partition": event.partition,
        "_offset": event.offset,
        "_key": event.key,
        "_value": event.value,
        "_headers": [{"key": key, "value": value} for key, value in event.headers],
        **{name: getattr(event, name) for name in NAMES},
        "_unsettled": None if world.is_settled(event) else True,
    }


def random_span(world: World, rng: np.random.Generator) -> TimeRange:
    first, last = world.made[0].timestamp_ms, world.made[-1].timestamp_ms
    start, end = sorted(int(x) for x in rng.integers(first - 30, last + 30, 2))
    return TimeRange(first_ms=start, end_ms=end)


def within(world: World, span: TimeRange) -> list[Trade]:
    return [event for event in world.made if span.covers(event.timestamp_ms)]


# --- events


def test_all_events_come_in_total_order_with_everything_they_carry(world):
    stream = EventsStream(world.reading(), EventsQuery())
    batches = list(stream)
    assert stream.schema.names == ["_ts", "_partition", "_offset", "_key", "_value", "_headers", *NAMES, "_unsettled"]
    assert [str(stream.schema.field(name).type) for name in ("_ts", "_partition", "at")] == ["int64", "int32", "int64"]
    assert rows_of(pa.Table.from_batches(batches)) == [event_row(world, event) for event in world.made]
    assert stream.row_count == len(world.made)


@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("complete", list(Complete))
def test_spans_in_any_order_equal_brute_force(world, order, complete, monkeypatch):
    monkeypatch.setattr(planner, "SLICE_EVENTS", 200)
    rng = np.random.default_rng(5)
    for _ in range(15):
        span = random_span(world, rng)
        wanted = [e for e in within(world, span) if complete is Complete.NOW or world.is_settled(e)]
        if order is Order.TIME_DESCENDING:
            wanted.reverse()
        if order is Order.ARRIVAL:
            wanted = sorted(wanted, key=lambda event: (event.partition, event.offset))
        query = EventsQuery(
            span=span, order=order, complete=complete, columns=["_ts", "_partition", "_offset", "symbol"]
        )
        found = rows_of(events_table(world.reading(), query))
        assert [tuple(row.values()) for row in found] == [(*event.place, event.symbol) for event in wanted]


@pytest.mark.parametrize("order", list(Order))
def test_pages_of_any_size_join_to_the_whole_answer_also_over_a_seal(world, order, monkeypatch):
    monkeypatch.setattr(planner, "SLICE_EVENTS", 150)
    everything = live_sources(world.made, world.made)
    rng = np.random.default_rng(6)
    span = TimeRange(first_ms=world.made[1500].timestamp_ms, end_ms=world.made[4500].timestamp_ms)
    query = EventsQuery(span=span, order=order, columns=["_ts", "_partition", "_offset", "_value"])
    whole = rows_of(events_table(world.reading(), query))
    cursor, found = None, []
    while True:
        limit = int(rng.integers(1, 400))
        # Before the seal all is live, after it most is history: the cursor means the same.
        sources = world.sources if rng.random() < 0.5 else everything
        page = EventsQuery(span=span, order=order, columns=query.columns, limit_count=limit, cursor=cursor)
        stream = EventsStream(Reading(sources=sources, schema=SCHEMA, tick=world.tick), page)
        rows = [row for batch in stream for row in batch.to_pylist()]
        found += rows
        cursor = stream.cursor
        assert stream.is_cut_off == (len(rows) == limit)
        if not stream.is_cut_off:
            break
    assert found == whole


def test_a_cursor_of_another_order_or_maker_is_refused(world):
    cursor = Cursor(1, Order.TIME, 5, 0, 0).pack()
    assert Cursor.unpack(cursor, Order.TIME).place == (5, 0, 0)
    for text, order in ((cursor, Order.ARRIVAL), ("!!", Order.TIME), ("", Order.TIME), (cursor[:-3], Order.TIME)):
        with pytest.raises(InvalidQueryError):
            EventsStream(world.reading(), EventsQuery(cursor=text, order=order))
    with pytest.raises(InvalidQueryError):
        Cursor.unpack(Cursor(9, Order.TIME, 5, 0, 0).pack(), Order.TIME)


HOLDS = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}

conditions = st.one_of(
    st.builds(Condition, st.sampled_from(["qty", "_partition"]), st.sampled_from(list(HOLDS)), st.integers(-40, 40)),
    st.builds(Condition, st.just("qty"), st.sampled_from(list(HOLDS)), st.sampled_from([0.5, -3.5, 1e30, -7.0])),
    st.builds(Condition, st.just("price"), st.sampled_from(list(HOLDS)), st.floats(0, 200)),
    st.builds(Condition, st.just("symbol"), st.sampled_from(list(HOLDS)), st.sampled_from(["S1", "S15", "S3", "x"])),
    st.builds(Condition, st.just("_key"), st.sampled_from(list(HOLDS)), st.sampled_from(["k1", "k5", "z"])),
    st.builds(Condition, st.just("is_buy"), st.sampled_from(["=", "!="]), st.booleans()),
    st.builds(Condition, st.sampled_from([*NAMES, "_key"]), st.sampled_from(["=", "!="]), st.none()),
)


def matches(event: Trade, condition: Condition) -> bool:
    if condition.attribute == "_key":
        found = None if event.key is None else event.key.decode("utf-8", "surrogateescape")
    else:
        found = getattr(event, condition.attribute.removeprefix("_"))
    if condition.value is None:
        return (found is None) == (condition.operator == "=")
    return found is not None and HOLDS[condition.operator](found, condition.value)


@settings(max_examples=60, deadline=None)
@given(asked=st.lists(conditions, min_size=1, max_size=3), seed=st.integers(0, 1000))
def test_conditions_keep_exactly_the_matching_events(world, asked, seed):
    span = random_span(world, np.random.default_rng(seed))
    wanted = [e for e in within(world, span) if all(matches(e, condition) for condition in asked)]
    columns = ["_ts", "_partition", "_offset", "is_buy"]
    found = rows_of(events_table(world.reading(), EventsQuery(span=span, conditions=asked, columns=columns)))
    assert [tuple(row.values()) for row in found] == [(*event.place, event.is_buy) for event in wanted]
    measures = [Measure(Function.COUNT), Measure(Function.SUM, "qty")]
    (row,) = rows_of(aggregate_table(world.reading(), AggregateQuery(span=span, conditions=asked, measures=measures)))
    assert row["count"] == len(wanted)
    assert (row["sum(qty)"] or 0) == sum(event.qty or 0 for event in wanted)


def test_conditions_prune_row_groups_by_their_least_and_greatest(world):
    reading = world.reading()
    late = world.made[len(world.made) // 3].timestamp_ms
    query = EventsQuery(conditions=[Condition("at", "<", late - 2000)], columns=["at"])
    found = rows_of(events_table(reading, query))
    assert len(found) == sum(event.at is not None and event.at < late - 2000 for event in world.made)
    groups = sum(one.group_count for one in world.sources if isinstance(one, RunFile))
    assert 0 < reading.counts.row_groups < groups * 2 / 3
    assert reading.counts.live <= PARTITIONS


@pytest.mark.parametrize(
    "condition",
    [
        Condition("nothing", "=", 1),
        Condition("qty", "~", 1),
        Condition("qty", "<", None),
        Condition("qty", "=", "many"),
        Condition("qty", "=", True),
        Condition("is_buy", "<", True),
        Condition("is_buy", "=", "maybe"),
        Condition("symbol", "=", 1.5),
        Condition("at", ">", "yesterday"),
    ],
)
def test_a_condition_without_meaning_is_refused(world, condition):
    with pytest.raises(InvalidQueryError):
        EventsStream(world.reading(), EventsQuery(conditions=[condition]))


def test_values_given_as_text_are_read_as_the_attributes_type(world):
    asked = [
        Condition("qty", ">", "10"),
        Condition("is_buy", "=", "true"),
        Condition("at", ">", "2023-11-14T22:13:20Z"),
    ]
    found = rows_of(events_table(world.reading(), EventsQuery(conditions=asked, columns=["qty", "is_buy", "at"])))
    wanted = [e for e in world.made if (e.qty or 0) > 10 and e.is_buy and (e.at or 0) > 1_700_000_000_000]
    assert [tuple(row.values()) for row in found] == [(e.qty, e.is_buy, e.at) for e in wanted]


def test_an_unknown_column_is_refused(world):
    with pytest.raises(InvalidQueryError, match="nothing"):
        EventsStream(world.reading(), EventsQuery(columns=["nothing"]))


def test_batches_stay_small_whatever_the_payload(world, monkeypatch):
    monkeypatch.setattr(answers, "BATCH_BYTES", 20_000)
    sizes = [batch.nbytes for batch in EventsStream(world.reading(), EventsQuery())]
    assert max(sizes[4:]) < 40_000
    assert len(sizes) > len(world.made) * 100 // 40_000


def test_a_limit_reads_no_more_than_the_first_row_groups(world):
    reading = world.reading()
    assert len(events_table(reading, EventsQuery(limit_count=10))) == 10
    assert reading.counts.row_groups <= 4
    reading = world.reading()
    query = EventsQuery(limit_count=10, order=Order.TIME_DESCENDING, columns=["_ts"])
    assert rows_of(events_table(reading, query)) == [{"_ts": e.timestamp_ms} for e in world.made[:-11:-1]]


def test_order_of_arrival_without_a_limit_has_a_bound(world, monkeypatch):
    monkeypatch.setattr(planner, "ARRIVAL_EVENTS_MAX", 1000)
    with pytest.raises(QueryTooLargeError):
        events_table(world.reading(), EventsQuery(order=Order.ARRIVAL, columns=["_ts"]))
    found = events_table(world.reading(), EventsQuery(order=Order.ARRIVAL, columns=["_offset"], limit_count=300))
    assert found["_offset"].to_pylist() == list(range(300))


# --- aggregates


ALL_MEASURES = [
    Measure(Function.COUNT),
    *(
        Measure(function, name)
        for name in ("qty", "price")
        for function in (Function.SUM, Function.MEAN, Function.OHLC)
    ),
    *(Measure(function, "at") for function in (Function.MIN, Function.MAX)),
    *(Measure(function, name) for name in NAMES for function in (Function.COUNT, Function.FIRST, Function.LAST)),
]


def brute(some: list[Trade], measures: list[Measure]) -> dict:
    row = {}
    for measure in measures:
        function, name = measure.function, measure.attribute
        values = [] if name is None else [getattr(event, name) for event in some if getattr(event, name) is not None]
        if function is Function.COUNT:
            row["count" if name is None else f"count({name})"] = len(some) if name is None else len(values)
        elif function is Function.OHLC:
            four = [values[0], max(values), min(values), values[-1]] if values else [None] * 4
            row |= dict(zip((f"{n}({name})" for n in ("open", "high", "low", "close")), four, strict=True))
        else:
            row[f"{function}({name})"] = one_value(function, values) if values else None
    return row


def one_value(function: Function, values: list):
    total = sum(values) if isinstance(values[0], int) else (None if isinstance(values[0], str) else math.fsum(values))
    match function:
        case Function.SUM:
            return total
        case Function.MEAN:
            return total / len(values)
        case Function.MIN:
            return min(values)
        case Function.MAX:
            return max(values)
        case _:
            return values[0 if function is Function.FIRST else -1]


def same(found: dict, wanted: dict) -> bool:
    assert list(found) == list(wanted)
    return all(
        found[name] == pytest.approx(value, rel=1e-9, abs=1e-12) if isinstance(value, float) else found[name] == value
        for name, value in wanted.items()
    )


@pytest.mark.parametrize("complete", list(Complete))
def test_aggregates_without_windows_equal_brute_force(world, complete):
    rng = np.random.default_rng(7)
    for span in [ALL_TIME, *(random_span(world, rng) for _ in range(25))]:
        wanted = [e for e in within(world, span) if complete is Complete.NOW or world.is_settled(e)]
        reading = world.reading()
        query = AggregateQuery(span=span, measures=ALL_MEASURES, complete=complete)
        (row,) = rows_of(aggregate_table(reading, query))
        row.pop("_unsettled", None)
        assert same(row, brute(wanted, ALL_MEASURES))
        # The same from nodes: only what has aggregates.
        measures = [m for m in ALL_MEASURES if m.attribute in {None, "qty", "price", "at"}]
        (row,) = rows_of(aggregate_table(reading, AggregateQuery(span=span, measures=measures, complete=complete)))
        row.pop("_unsettled", None)
        assert same(row, brute(wanted, measures))


@pytest.mark.parametrize("every_ms", [1, 7, 250, 1000, 100_000])
@pytest.mark.parametrize("node_events", [0, 1 << 40])
def test_windows_are_aligned_and_equal_brute_force_from_nodes_and_from_scans(world, every_ms, node_events, monkeypatch):
    monkeypatch.setattr("store.aggregation.NODE_WINDOW_EVENTS", node_events)
    measures = [m for m in ALL_MEASURES if m.attribute in {None, "qty", "price", "at"}]
    rng = np.random.default_rng(every_ms)
    span, origin = random_span(world, rng), int(rng.integers(-5000, 5000))
    reading = world.reading()
    query = AggregateQuery(span=span, measures=measures, every_ms=every_ms, origin_ms=origin)
    found = rows_of(aggregate_table(reading, query))
    windows: dict[int, list[Trade]] = {}
    for event in within(world, span):
        start = (event.timestamp_ms - origin) // every_ms * every_ms + origin
        windows.setdefault(start, []).append(event)
    assert [row["window_start"] for row in found] == sorted(windows)
    for row in found:
        some = windows[row["window_start"]]
        assert row.pop("window_end") - row.pop("window_start") == every_ms
        unsettled = row.pop("_unsettled")
        assert same(row, brute(some, measures))
        if any(not world.is_settled(event) for event in some):
            assert unsettled
    assert (reading.counts.windows > 0) == (node_events == 0)


@pytest.mark.parametrize("by", [["symbol"], ["is_buy", "_partition"], ["_key"], ["qty"], ["symbol", "is_buy", "_key"]])
@pytest.mark.parametrize("every_ms", [None, 900])
def test_groups_equal_brute_force(world, by, every_ms):
    span = random_span(world, np.random.default_rng(len(by)))
    measures = [Measure(Function.COUNT), Measure(Function.SUM, "qty"), Measure(Function.OHLC, "price")]
    query = AggregateQuery(span=span, measures=measures, by=by, every_ms=every_ms, complete=Complete.WATERMARK)
    groups: dict[tuple, list[Trade]] = {}
    for event in within(world, span):
        if world.is_settled(event):
            key = [getattr(event, name.removeprefix("_")) for name in by]
            start = [] if every_ms is None else [event.timestamp_ms // every_ms * every_ms]
            groups.setdefault((*start, *key), []).append(event)
    found = rows_of(aggregate_table(world.reading(), query))
    assert len(found) == len(groups)
    seen = set()
    for row in found:
        start = [] if every_ms is None else [row.pop("window_start"), row.pop("window_end")][:1]
        key = (*start, *(row.pop(name) for name in by))
        seen.add(key)
        assert same(row, brute(groups[key], measures))
    assert seen == set(groups)


def test_rows_are_ordered_by_window_then_group_with_null_first(world):
    table = aggregate_table(world.reading(), AggregateQuery(by=["symbol"], every_ms=500))
    keys = [(row["window_start"], row["symbol"] is not None, row["symbol"] or "") for row in rows_of(table)]
    assert keys == sorted(keys)
    assert table.schema.names == ["window_start", "window_end", "symbol", "count", "_unsettled"]


@pytest.mark.parametrize("fill", list(Fill))
def test_fills_add_every_window_of_the_asked_span(world, fill):
    first = world.made[0].timestamp_ms
    span = TimeRange(first_ms=first - 100, end_ms=first + 100)
    measures = [Measure(Function.COUNT), Measure(Function.SUM, "qty"), Measure(Function.LAST, "symbol")]
    query = AggregateQuery(span=span, measures=measures, every_ms=1, fill=fill)
    found = rows_of(aggregate_table(world.reading(), query))
    events_at: dict[int, list[Trade]] = {}
    for event in within(world, span):
        events_at.setdefault(event.timestamp_ms, []).append(event)
    wanted, before = [], {"sum(qty)": None, "last(symbol)": None}
    for start in range(span.first_ms, span.end_ms):
        if start in events_at:
            row = before = brute(events_at[start], measures)
        elif fill is Fill.NONE:
            continue
        else:
            nothing = {"sum(qty)": 0 if fill is Fill.ZERO else None, "last(symbol)": None}
            row = {"count": 0, **({n: before[n] for n in nothing} if fill is Fill.PREVIOUS else nothing)}
        wanted.append({"window_start": start, "window_end": start + 1, **row})
    assert [{name: value for name, value in row.items() if name != "_unsettled"} for row in found] == wanted
    assert (len(found) == 200) == (fill is not Fill.NONE)


def test_a_fill_with_groups_gives_each_group_every_window(world):
    query = AggregateQuery(by=["is_buy"], every_ms=100, fill=Fill.NULL)
    found = rows_of(aggregate_table(world.reading(), query))
    first, last = (world.made[i].timestamp_ms // 100 for i in (0, -1))
    assert [(row["window_start"] // 100, row["is_buy"]) for row in found] == [
        (k, value) for k in range(first, last + 1) for value in (None, False, True)
    ]
    assert sum(row["count"] for row in found) == len(world.made)


def test_a_fill_of_too_many_windows_is_refused(world):
    span = TimeRange(first_ms=0, end_ms=world.made[-1].timestamp_ms)
    with pytest.raises(QueryTooLargeError):
        aggregate_table(world.reading(), AggregateQuery(span=span, every_ms=1, fill=Fill.ZERO))


def test_rows_that_are_not_final_are_marked(world):
    query = AggregateQuery(every_ms=10)
    found = {row["window_start"]: row["_unsettled"] for row in rows_of(aggregate_table(world.reading(), query))}
    for start, mark in found.items():
        some = [e for e in world.made if start <= e.timestamp_ms < start + 10]
        is_final = start + 9 <= world.tick.watermark_ms and all(world.is_settled(e) for e in some)
        assert mark == (None if is_final else True)
    assert set(found.values()) == {None, True}


def test_without_a_tick_only_history_is_final(world):
    reading = Reading(sources=world.sources, schema=SCHEMA, tick=None)
    (row,) = rows_of(aggregate_table(reading, AggregateQuery(complete=Complete.WATERMARK)))
    assert row == {"count": sum(one.count for one in world.sources if one.is_historic)}
    assert len(events_table(reading, EventsQuery(complete=Complete.WATERMARK, columns=["_ts"]))) == row["count"]
    nothing = Reading(sources=[one for one in world.sources if not one.is_historic], schema=SCHEMA)
    assert rows_of(aggregate_table(nothing, AggregateQuery(complete=Complete.WATERMARK))) == [{"count": 0}]


def test_sums_of_long_are_exact_beyond_64_bits(world):
    some = [e for e in world.made if e.qty is not None and e.qty > 1 << 60]
    assert sum(e.qty for e in some) > 1 << 64
    asked = [Condition("qty", ">", 1 << 60)]
    measures = [Measure(Function.SUM, "qty"), Measure(Function.COUNT, "qty")]
    table = aggregate_table(world.reading(), AggregateQuery(conditions=asked, measures=measures))
    assert int(table["sum(qty)"][0].as_py()) == sum(e.qty for e in some)
    assert table["count(qty)"].to_pylist() == [len(some)]


def test_no_events_give_one_row_without_groups_and_none_with(world):
    span = TimeRange(first_ms=5, end_ms=6)
    measures = [Measure(Function.COUNT), Measure(Function.SUM, "qty"), Measure(Function.MEAN, "price")]
    (row,) = rows_of(aggregate_table(world.reading(), AggregateQuery(span=span, measures=measures)))
    assert row == {"count": 0, "sum(qty)": None, "mean(price)": None, "_unsettled": None}
    assert len(aggregate_table(world.reading(), AggregateQuery(span=span, by=["symbol"]))) == 0
    assert len(aggregate_table(Reading(sources=[]), AggregateQuery(every_ms=10))) == 0
    assert rows_of(aggregate_table(Reading(sources=[]), AggregateQuery()))[0]["count"] == 0
    assert len(events_table(Reading(sources=[]), EventsQuery())) == 0


@pytest.mark.parametrize(
    "query",
    [
        AggregateQuery(every_ms=0),
        AggregateQuery(fill=Fill.NULL),
        AggregateQuery(measures=[]),
        AggregateQuery(measures=[Measure(Function.SUM)]),
        AggregateQuery(measures=[Measure(Function.SUM, "symbol")]),
        AggregateQuery(measures=[Measure(Function.MAX, "is_buy")]),
        AggregateQuery(measures=[Measure(Function.SUM, "at")]),
        AggregateQuery(measures=[Measure(Function.COUNT, "_key")]),
        AggregateQuery(measures=[Measure(Function.COUNT), Measure(Function.COUNT)]),
        AggregateQuery(by=["price"]),
        AggregateQuery(by=["_ts"]),
        AggregateQuery(by=["nothing"]),
    ],
)
def test_an_aggregate_without_meaning_is_refused(world, query):
    with pytest.raises(InvalidQueryError):
        aggregate_table(world.reading(), query)


def test_groups_have_a_bound(world, monkeypatch):
    monkeypatch.setattr("store.groups.GROUPS_MAX", 100)
    with pytest.raises(QueryTooLargeError):
        aggregate_table(world.reading(), AggregateQuery(every_ms=1))


def test_the_plan_says_what_was_touched(world):
    reading = world.reading()
    measures = [Measure(Function.SUM, "qty")]
    aggregate_table(reading, AggregateQuery(measures=measures))
    assert reading.counts.mapping() == {
        "roots": 4, "nodes": 0, "row_groups": 0, "live": 3, "blocks": 0, "events": 0, "windows": 0
    }  # fmt: skip
    reading = world.reading()
    span = TimeRange(first_ms=world.made[700].timestamp_ms, end_ms=world.made[-1].timestamp_ms)
    aggregate_table(reading, AggregateQuery(span=span, measures=measures))
    assert reading.counts.nodes > 0
    assert 1 <= reading.counts.row_groups <= 2
    assert reading.counts.roots >= 2
    reading = world.reading()
    aggregate_table(reading, AggregateQuery(span=span, by=["symbol"]))
    assert reading.counts.events >= len(within(world, span))


def test_ten_thousand_random_ranges_equal_brute_force(world):
    ts = np.array([event.timestamp_ms for event in world.made])
    # Exact sums of the first i events, as Python integers.
    sums = np.cumsum([0, *(event.qty or 0 for event in world.made)], dtype=object)
    values = np.array([0 if event.qty is None else event.qty for event in world.made])
    is_null = np.array([event.qty is None for event in world.made])
    rng = np.random.default_rng(99)
    first, last = int(ts[0]) - 20, int(ts[-1]) + 20
    reading = world.reading()
    starts, lengths = rng.integers(first, last, 10_000), rng.integers(1, last - first, 10_000)
    for i, (start, length) in enumerate(zip(starts.tolist(), lengths.tolist(), strict=True)):
        span = TimeRange(first_ms=start, end_ms=start + length)
        a, b = int(ts.searchsorted(span.first_ms)), int(ts.searchsorted(span.end_ms))
        found = merge_all((one.summary(span, ["qty"]) for one in reading.sources_in(span)), ["qty"])
        some = values[a:b][~is_null[a:b]]
        qty = found.attributes["qty"]
        assert (found.count, qty.count, qty.sum) == (b - a, len(some), sums[b] - sums[a])
        if len(some):
            assert (qty.min, qty.max) == (some.min(), some.max())
            assert (qty.first.value, qty.last.value) == (some[0], some[-1])
        if i % 50 == 0:
            measures = [Measure(Function.COUNT), Measure(Function.OHLC, "qty")]
            (row,) = rows_of(aggregate_table(reading, AggregateQuery(span=span, measures=measures)))
            row.pop("_unsettled")
            assert row == brute(world.made[a:b], measures)


def test_a_topic_without_a_schema_can_be_asked_too(tmp_path):
    log = Log(tmp_path / "log", trades(400, seed=3)).write(3)
    manifest = run_job(job_of(log, tmp_path / "split", ticks_of(log, 3, 2), schema_text=None))
    reading = Reading(sources=open_split(tmp_path / "split", manifest).runs)
    table = events_table(reading, EventsQuery(conditions=[Condition("_partition", "=", 1)]))
    assert table.column_names == [*PLACE, "_key", "_value", "_headers", "_unsettled"]
    assert table["_value"].to_pylist() == [event.value for event in in_order(log.made) if event.partition == 1]
    assert rows_of(aggregate_table(reading, AggregateQuery(complete=Complete.WATERMARK))) == [{"count": 400}]


def test_an_attribute_that_is_younger_than_a_run_is_null_in_it(world):
    newer = Schema.of({**SCHEMA.attributes, "word": "string", "size": "long"}, [*SCHEMA.aggregates, "size"])
    runs = [one for one in world.sources if one.is_historic]
    reading = Reading(sources=runs, schema=newer)
    count = sum(one.count for one in runs)
    measures = [Measure(Function.COUNT), Measure(Function.SUM, "size"), Measure(Function.LAST, "word")]
    for every_ms in (None, 1 << 40):
        table = aggregate_table(reading, AggregateQuery(measures=measures, every_ms=every_ms))
        assert [table[name].to_pylist() for name in ("count", "sum(size)", "last(word)")] == [[count], [None], [None]]
    query = EventsQuery(columns=["word", "size"], conditions=[Condition("word", "=", None)])
    assert events_table(reading, query)["word"].null_count == count
