"""A run gives back what was written, answers spans as brute force does, and notices damage."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import run_format, run_writer
from store.aggregates import Summary, of_block
from store.errors import DamagedRunError
from store.events import ALL_TIME, TimeRange
from store.manifest import RunKind
from store.packing import pack_columns, unpack_columns
from store.run_writer import intervals_in, write_run
from store.runs import DecodedCache, RunFile, describe
from tests.store.history import SCHEMA, Trade, in_order, places, raw_batch, trades, values_of

NAMES = ("qty", "price", "symbol", "is_buy", "at")


@pytest.fixture(scope="module")
def made() -> list[Trade]:
    return in_order(trades(4000, seed=11, step_ms=0.5))


@pytest.fixture(scope="module")
def small_groups() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setattr(run_writer, "ROW_GROUP_EVENTS", 300)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def run(made, small_groups, tmp_path_factory) -> RunFile:
    path = tmp_path_factory.mktemp("runs") / "main.parquet"
    batches = [raw_batch(made[start : start + 700]) for start in range(0, len(made), 700)]
    return RunFile(path, write_run(path, RunKind.MAIN, SCHEMA, batches))


def within(made: list[Trade], span: TimeRange) -> list[Trade]:
    return [event for event in made if span.covers(event.timestamp_ms)]


def spans(made: list[Trade], seed: int, count: int) -> Iterator[TimeRange]:
    rng = np.random.default_rng(seed)
    first, last = made[0].timestamp_ms, made[-1].timestamp_ms
    for _ in range(count):
        start, end = (int(x) for x in rng.integers(first - 50, last + 50, 2))
        yield TimeRange(first_ms=start, end_ms=end)


def brute_summary(made: list[Trade], span: TimeRange) -> dict[str, object]:
    some = within(made, span)
    found: dict[str, object] = {"count": len(some)}
    for name in ("qty", "price", "at"):
        present = [event for event in some if getattr(event, name) is not None]
        values = [getattr(event, name) for event in present]
        found[name] = (
            len(values),
            sum(values),
            min(values, default=None),
            max(values, default=None),
            (present[0].place, values[0]) if values else None,
            (present[-1].place, values[-1]) if values else None,
        )
    return found


def shown(summary: Summary) -> dict[str, object]:
    found: dict[str, object] = {"count": summary.count}
    for name, one in summary.attributes.items():
        total = one.total if isinstance(one.total, int) else pytest.approx(one.total, rel=1e-9, abs=1e-9)
        found[name] = (one.count, total, one.min, one.max, one.first, one.last)
    return found


def test_blocks_hold_every_event_of_a_span_in_order_with_its_attributes(run, made):
    assert run.group_count == 14
    for span in [ALL_TIME, *spans(made, 1, 40)]:
        blocks = list(run.blocks(span, NAMES))
        wanted = within(made, span)
        assert [place for block in blocks for place in places(block)] == [event.place for event in wanted]
        for name in NAMES:
            assert [value for block in blocks for value in values_of(block, name)] == [getattr(e, name) for e in wanted]


def test_summaries_equal_brute_force(run, made):
    for span in [ALL_TIME, *spans(made, 2, 60)]:
        assert shown(run.summary(span, ["qty", "price", "at"])) == brute_summary(made, span)


def test_a_string_without_aggregates_is_summed_up_by_a_scan(run, made):
    for span in spans(made, 3, 5):
        words = [event.symbol for event in within(made, span) if event.symbol is not None]
        found = run.summary(span, ["symbol"]).attributes["symbol"]
        assert (found.count, found.min, found.max) == (len(words), min(words, default=None), max(words, default=None))


def test_a_span_over_the_whole_run_touches_no_file(run, made):
    elsewhere = RunFile(Path("/nowhere/main.parquet"), run.description)
    assert shown(elsewhere.summary(ALL_TIME, ["qty", "price", "at"])) == brute_summary(made, ALL_TIME)
    assert elsewhere.count == len(made)
    assert elsewhere.span == TimeRange(first_ms=made[0].timestamp_ms, end_ms=made[-1].timestamp_ms + 1)


def test_records_come_back_with_key_value_and_headers_in_the_asked_order(run, made):
    rng = np.random.default_rng(4)
    for some in (rng.permutation(len(made))[:500], np.arange(290, 310), np.arange(0)):
        wanted = [made[i] for i in some.tolist()]
        partitions = np.array([event.partition for event in wanted], np.int32)
        offsets = np.array([event.offset for event in wanted], np.int64)
        assert run.records(partitions, offsets) == [event.record() for event in wanted]


def test_a_record_that_is_not_here_is_refused(run):
    with pytest.raises(DamagedRunError):
        run.records(np.array([0], np.int32), np.array([10_000_000]))
    with pytest.raises(DamagedRunError):
        run.records(np.array([9], np.int32), np.array([0]))


def test_rows_and_keys_can_be_asked_for_as_columns(run, made):
    at = 0
    for block in run.blocks(ALL_TIME, ["_row", "_key"]):
        assert block.columns["_row"].values.tolist() == list(range(at, at + len(block)))
        keys = [None if word is None else run_format.key_of(word) for word in values_of(block, "_key")]
        assert keys == [event.key for event in made[at : at + len(block)]]
        at += len(block)
    assert at == len(made)


def test_intervals_are_exactly_the_offsets_of_the_run(run, made):
    offsets = {
        (int(partition), offset)
        for _, partition, first, end in run.intervals().tolist()
        for offset in range(first, end)
    }
    assert offsets == {(event.partition, event.offset) for event in made}
    lengths = sum(end - first for _, _, first, end in run.intervals().tolist())
    assert lengths == len(made), "no offset twice"


def test_pruning_leaves_out_row_groups_whose_summary_cannot_match(run, made):
    seen: list[Summary] = []

    def may_match(summary: Summary) -> bool:
        seen.append(summary)
        greatest = summary.attributes["at"].max
        return greatest is not None and greatest >= made[-1].timestamp_ms - 20

    found = [place for block in run.blocks(ALL_TIME, [], may_match) for place in places(block)]
    assert len(seen) == run.group_count
    assert 0 < len(found) < len(made) // 2
    assert {event.place for event in made if (event.at or 0) >= made[-1].timestamp_ms - 20} <= set(found)


def test_the_plan_counts_whole_and_cut_row_groups(run, made):
    assert run.plan(ALL_TIME) == (14, 0)
    middle = TimeRange(first_ms=made[450].timestamp_ms, end_ms=made[3500].timestamp_ms)
    whole, cut = run.plan(middle)
    assert cut == 2
    assert 8 <= whole <= 10
    assert run.plan(TimeRange(first_ms=0, end_ms=5)) == (0, 0)


def test_the_cache_keeps_to_its_bound_and_to_edges(run, made):
    cache = DecodedCache(bytes_max=20_000)
    limited = RunFile(run.path, run.description, cache)
    list(limited.blocks(ALL_TIME, NAMES))
    assert cache.size_bytes == 0, "a full scan leaves the cache alone"
    for span in spans(made, 5, 30):
        limited.summary(span, ["qty", "price", "at"])
        assert cache.size_bytes <= 20_000
    assert cache.size_bytes > 0
    limited.close()
    assert cache.size_bytes == 0


def test_duckdb_reads_a_run_unchanged(run, made):
    columns = 'epoch_ms(_ts), _partition, _offset, _key, _value, _headers, qty, price, symbol, is_buy, epoch_ms("at")'
    found = duckdb.sql(f"select {columns} from '{run.path}'").fetchall()
    wanted = [
        (
            *event.place,
            event.key,
            event.value,
            [{"key": key, "value": value} for key, value in event.headers],
            event.qty,
            event.price,
            event.symbol,
            event.is_buy,
            event.at,
        )
        for event in made
    ]
    assert found == wanted
    start = made[1000].timestamp_ms
    later = f"_ts >= make_timestamptz({start * 1000})"
    ((counted,),) = duckdb.sql(f"select count(*) from '{run.path}' where {later}").fetchall()
    assert counted == sum(event.timestamp_ms >= start for event in made)


def test_timestamps_are_instants_in_utc_and_keep_every_int64(tmp_path):
    extremes = [-(1 << 63), -1, 0, (1 << 63) - 2]
    made = [Trade(ts, 0, i, None, None, (), None, None, None, None, None) for i, ts in enumerate(extremes)]
    path = tmp_path / "main.parquet"
    description = write_run(path, RunKind.MAIN, None, [raw_batch(made)])
    assert pq.read_schema(path).field("_ts").type == pa.timestamp("ms", "UTC")
    (block,) = RunFile(path, description).blocks(TimeRange(), [])
    assert block.timestamps.tolist() == extremes


def test_a_description_can_be_made_from_the_file_alone(run):
    assert describe(run.path) == run.description
    RunFile(run.path, describe(run.path)).check()


def test_an_empty_run_is_a_run(tmp_path):
    path = tmp_path / "main.parquet"
    run = RunFile(path, write_run(path, RunKind.MAIN, SCHEMA, [], {"timesplit.other": b"kept"}))
    run.check()
    assert run.count == 0
    assert run.span.is_empty
    assert list(run.blocks(ALL_TIME, NAMES)) == []
    assert run.summary(ALL_TIME, ["qty"]).count == 0
    assert run.summary(ALL_TIME, ["symbol"]).count == 0


def test_rows_of_a_megabyte_make_small_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(run_writer, "ROW_GROUP_BYTES_MAX", 4 << 20)
    made = [Trade(i, 0, i, None, bytes(1 << 20), (), None, None, None, None, None) for i in range(20)]
    path = tmp_path / "main.parquet"
    run = RunFile(path, write_run(path, RunKind.MAIN, None, [raw_batch(made)]))
    assert run.group_count >= 4
    run.check()


def test_events_out_of_order_are_refused_and_leave_no_file(tmp_path, made):
    path = tmp_path / "main.parquet"
    with pytest.raises(AssertionError):
        write_run(path, RunKind.MAIN, SCHEMA, [raw_batch(made[100:200]), raw_batch(made[50:60])])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", [100, -100, -20])
def test_a_flipped_bit_anywhere_is_detected(run, tmp_path, where):
    damaged = bytearray(run.path.read_bytes())
    damaged[where] ^= 4
    path = tmp_path / "main.parquet"
    path.write_bytes(damaged)
    with pytest.raises(DamagedRunError):
        RunFile(path, run.description).check()


def test_a_file_of_another_size_or_no_run_does_not_open(run, tmp_path):
    path = tmp_path / "main.parquet"
    path.write_bytes(run.path.read_bytes() + b"x")
    with pytest.raises(DamagedRunError, match="in the manifest"):
        list(RunFile(path, run.description).blocks(ALL_TIME, []))
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(DamagedRunError, match="is no run"):
        describe(path)
    with pytest.raises(DamagedRunError):
        RunFile(tmp_path / "absent.parquet", run.description).check()


def test_a_run_whose_content_is_not_the_manifests_is_detected_without_a_full_read(run, made, tmp_path):
    other = write_run(tmp_path / "main.parquet", RunKind.MAIN, SCHEMA, [raw_batch(made[:-1])])
    forged = type(other)(
        **{name: getattr(other, name) for name in other.__struct_fields__} | {"digest": run.description.digest}
    )
    with pytest.raises(DamagedRunError, match="digest"):
        list(RunFile(tmp_path / "main.parquet", forged).blocks(ALL_TIME, []))


def test_a_digest_does_not_depend_on_order_but_on_every_value(made):
    some = made[:50]
    digest = run_format.digest_of(raw_batch(some))
    assert run_format.digest_of(raw_batch(some[::-1])) == digest
    first, second = some[0], some[1]
    swapped = [
        Trade(*first.place, first.key, second.value, *_rest(first)),
        Trade(*second.place, second.key, first.value, *_rest(second)),
        *some[2:],
    ]
    assert first.value != second.value
    assert run_format.digest_of(raw_batch(swapped)) != digest


def _rest(event: Trade):
    return event.headers, event.qty, event.price, event.symbol, event.is_buy, event.at


@given(st.lists(st.tuples(st.integers(-(1 << 63), (1 << 63) - 1), st.integers(-(1 << 63), (1 << 63) - 1)), max_size=30))
def test_packed_columns_give_back_every_int64(rows):
    matrix = np.array(rows, np.int64).reshape(len(rows), 2)
    assert np.array_equal(unpack_columns(pack_columns(matrix), matrix.shape), matrix)


def test_packed_columns_of_another_shape_are_refused():
    packed = pack_columns(np.arange(10, dtype=np.int64).reshape(5, 2))
    for shape in ((5, 3), (4, 2), (1 << 40, 2)):
        with pytest.raises(DamagedRunError):
            unpack_columns(packed, shape)


@given(st.sets(st.integers(0, 40)))
def test_intervals_cover_exactly_the_offsets(offsets):
    found = intervals_in(np.array(sorted(offsets), np.int64)).tolist()
    assert {offset for first, end in found for offset in range(first, end)} == offsets
    assert all(before[1] < then[0] for before, then in pairwise(found))


def test_of_block_and_run_summaries_agree_on_first_and_last(run):
    (block, *_) = run.blocks(ALL_TIME, NAMES)
    span = TimeRange(first_ms=int(block.timestamps[0]), end_ms=int(block.timestamps[-1]))
    clipped = next(iter(run.blocks(span, NAMES)))
    assert run.summary(span, ["qty"]).attributes == of_block(clipped, ["qty"]).attributes
