from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from store import leaves as leaves_module
from store import tail as tail_module
from store import time_index as time_index_module
from store.aggregates import Summary, of_block
from store.blocks import Block, Column
from store.events import ALL_TIME, TIMESTAMP_MS_MAX, Record, TimeRange
from store.schema import Schema
from store.time_index import IndexSnapshot, TimeIndex

SCHEMA = Schema.of({"l": "long", "d": "double", "s": "string", "b": "boolean"}, ["l", "d"])
NAMES = tuple(SCHEMA.attributes)
PARTITION = 3

# timestamp, offset, then the attributes.
Event = tuple[int, int, int | None, float | None, str | None, bool | None]

times = st.integers(0, 60)
spans = st.tuples(st.integers(-2, 62), st.integers(-2, 62)).map(
    lambda ends: TimeRange(first_ms=ends[0], end_ms=ends[1])
)
values = st.tuples(
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.floats(-1e6, 1e6),
    st.none() | st.sampled_from("abc"),
    st.none() | st.booleans(),
)
chunks = st.lists(st.tuples(times, st.integers(1, 3), values), min_size=1, max_size=12)


@pytest.fixture(autouse=True, scope="module")
def small_blocks() -> Iterable[None]:
    """Blocks, runs and nodes so small that a few events reach every branch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time_index_module, "BLOCK_EVENTS", 4)
        patch.setattr(tail_module, "BLOCK_EVENTS", 4)
        patch.setattr(tail_module, "TAIL_EVENTS_MIN", 1)
        patch.setattr(time_index_module, "LATE_RUN_EVENTS_MIN", 3)
        patch.setattr(time_index_module, "LATE_EVENTS_MAX", 12)
        patch.setattr(time_index_module, "LOOSE_BLOCKS_MAX", 2)
        patch.setattr(time_index_module, "MERGE_LEAVES", 1)
        patch.setattr(leaves_module, "NODE_LEAVES", 2)
        patch.setattr(leaves_module, "ROWS_MIN", 1)
        yield


def columns_of(events: Sequence[Event], words: list[str]) -> dict[str, Column]:
    columns: dict[str, Column] = {}
    for at, (name, dtype) in enumerate((("l", np.int64), ("d", np.float64), ("s", np.int32), ("b", np.bool_)), start=2):
        found = [event[at] for event in events]
        codes = [words.index(value) if name == "s" and value is not None else value for value in found]
        is_null = np.array([value is None for value in found], np.bool_)
        plain = np.array([0 if code is None else code for code in codes], dtype)
        columns[name] = Column(plain, is_null if is_null.any() else None, words if name == "s" else None)
    return columns


def plain(block: Block) -> list[tuple[object, ...]]:
    lists = [block.timestamps.tolist(), block.offsets.tolist()]
    for name in block.columns:
        column = block.columns[name]
        nulls = [False] * len(block) if column.is_null is None else column.is_null.tolist()
        words = column.words
        lists.append(
            [
                None if is_null else value if words is None else words[value]
                for value, is_null in zip(column.values.tolist(), nulls, strict=True)
            ]
        )
    assert set(block.partitions.tolist()) <= {PARTITION}
    return list(zip(*lists, strict=True))


def flat(blocks: Iterable[Block]) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for block in blocks:
        assert len(block), "an empty block"
        found += plain(block)
    return found


def summary_of(events: Sequence[Event]) -> Summary:
    events = sorted(events)
    ts, offsets = np.array([e[0] for e in events], np.int64), np.array([e[1] for e in events], np.int64)
    partitions = np.full(len(events), PARTITION, np.int32)
    return of_block(Block(ts, partitions, offsets, columns_of(events, ["c", "b", "a"])), NAMES)


def assert_same(found: Summary, expected: Summary) -> None:
    assert found.count == expected.count
    for name in NAMES:
        one, two = found.attributes[name], expected.attributes[name]
        assert (one.count, one.min, one.max, one.first, one.last) == (two.count, two.min, two.max, two.first, two.last)
        assert one.sum_of_squares == pytest.approx(two.sum_of_squares)
        if name == "l":
            assert one.sum == two.sum, "sums of long are exact"
        else:
            assert one.total == pytest.approx(two.total, rel=1e-12, abs=1e-12)


class Model:
    """A time index beside a plain list of the same events."""

    def __init__(self) -> None:
        self.index = TimeIndex(PARTITION, SCHEMA)
        self.events: list[Event] = []
        self.next_offset = 0
        self.words = ["a", "b", "c"]

    def insert(self, chunk: Sequence[tuple[int, int, tuple[object, ...]]]) -> None:
        events: list[Event] = []
        for ts, step, row in chunk:
            self.next_offset += step
            events.append((ts, self.next_offset, *row))
        offsets = np.array([event[1] for event in events], np.int64)
        self.index.insert(np.array([e[0] for e in events], np.int64), offsets, columns_of(events, self.words))
        self.events += events

    def discard(self, cut: int, watermark: int) -> None:
        kept = [event for event in self.events if not (event[1] < cut and event[0] <= watermark)]
        assert self.index.discard(cut, watermark) == len(self.events) - len(kept)
        self.events = kept

    def check_all(self) -> None:
        snapshot = self.index.snapshot()
        assert self.index.count == snapshot.count == len(self.events)
        assert flat(snapshot.blocks(ALL_TIME, NAMES)) == sorted(self.events, key=lambda event: event[:2])

    def check(self, span: TimeRange, first_offset: int, end_offset: int) -> None:
        check_snapshot(self.index.snapshot(), self.events, span, (first_offset, end_offset))


def check_snapshot(snapshot: IndexSnapshot, events: Sequence[Event], span: TimeRange, offsets: tuple[int, int]) -> None:
    inside = sorted((event for event in events if span.covers(event[0])), key=lambda event: event[:2])
    first_offset, end_offset = offsets
    assert flat(snapshot.blocks(span, ("d", "s"))) == [(e[0], e[1], e[3], e[4]) for e in inside]
    assert_same(snapshot.summary(span, NAMES), summary_of(inside))
    between = [event for event in inside if first_offset <= event[1] < end_offset]
    assert flat(snapshot.scan(span, first_offset, end_offset, ("l",))) == [event[:3] for event in between]
    assert snapshot.count_between(span, first_offset, end_offset) == len(between)
    emitted = [event for event in events if event[1] < end_offset and event[0] <= span.end_ms]
    assert snapshot.count_emitted(end_offset, span.end_ms) == len(emitted)
    everything = snapshot.span
    if events:
        stamps = [event[0] for event in events]
        assert everything == TimeRange(first_ms=min(stamps), end_ms=max(stamps) + 1)
    else:
        assert everything.is_empty


class TimeIndexMachine(RuleBasedStateMachine):
    """Inserts, discards, new word lists and snapshots in any order equal a sorted list."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.old: list[tuple[IndexSnapshot, list[Event]]] = []

    @rule(chunk=chunks)
    def insert(self, chunk: list[tuple[int, int, tuple[object, ...]]]) -> None:
        self.model.insert(chunk)

    @rule(first_ms=times, count=st.integers(1, 40))
    def insert_in_order(self, first_ms: int, count: int) -> None:
        self.model.insert([(first_ms + i // 3, 1, (i, float(i), "a", True)) for i in range(count)])

    @rule(order=st.permutations("abc"))
    def begin_words(self, order: list[str]) -> None:
        self.model.words = order

    @rule(share=st.floats(0, 1), watermark=times)
    def discard(self, share: float, watermark: int) -> None:
        self.model.discard(int(share * (self.model.next_offset + 1)), watermark)

    @rule()
    def discard_everything(self) -> None:
        self.model.discard(self.model.next_offset + 1, 10_000)

    @precondition(lambda self: len(self.old) < 3)
    @rule()
    def keep_a_snapshot(self) -> None:
        self.old.append((self.model.index.snapshot(), list(self.model.events)))

    @rule(span=spans, first=st.integers(0, 100), end=st.integers(0, 100))
    def query(self, span: TimeRange, first: int, end: int) -> None:
        self.model.check(span, first, end)

    @rule(span=spans, first=st.integers(0, 100), end=st.integers(0, 100))
    def query_old_snapshots(self, span: TimeRange, first: int, end: int) -> None:
        for snapshot, events in self.old:
            check_snapshot(snapshot, events, span, (first, end))

    @invariant()
    def all_events_are_there_in_total_order(self) -> None:
        self.model.check_all()


TestTimeIndex = TimeIndexMachine.TestCase
TestTimeIndex.settings = settings(max_examples=100, stateful_step_count=25)


@settings(max_examples=100)
@given(st.lists(chunks, max_size=12), spans)
def test_any_order_of_arrival_gives_the_same_answers(
    arrivals: list[list[tuple[int, int, tuple[object, ...]]]], span: TimeRange
) -> None:
    model = Model()
    for chunk in arrivals:
        model.insert(chunk)
    model.check_all()
    model.check(span, 2, 40)


def test_event_from_the_far_future_makes_nothing_wrong() -> None:
    model = Model()
    model.insert([(10_000, 1, (1, 1.0, "a", True))])
    for i in range(30):
        model.insert([(i + j % 3, 1, (j, None, "b", None)) for j in range(7)])
    model.check_all()
    model.check(TimeRange(first_ms=5, end_ms=10_001), 0, 10_000)


def test_the_greatest_watermark_emits_everything_below_the_cut() -> None:
    model = Model()
    model.insert([(5, 1, (None, None, None, None)), (2, 1, (None, None, None, None))])
    assert model.index.snapshot().count_emitted(2, TIMESTAMP_MS_MAX) == 1
    assert model.index.discard(2, TIMESTAMP_MS_MAX) == 1


def test_records_are_asked_of_the_given_reader() -> None:
    model = Model()
    model.insert([(1, 1, (None, None, None, None))])
    asked: list[tuple[list[int], list[int]]] = []

    def read(partitions: np.ndarray, offsets: np.ndarray) -> list[Record]:
        asked.append((partitions.tolist(), offsets.tolist()))
        return [Record(1, 1, None, None)]

    snapshot = model.index.snapshot(read)
    assert snapshot.records(np.array([3], np.int32), np.array([1])) == [Record(1, 1, None, None)]
    assert asked == [([3], [1])]
    assert not snapshot.is_historic


def test_offsets_must_rise_over_inserts() -> None:
    index = TimeIndex(0)
    index.insert(np.array([5, 4]), np.array([7, 9]))
    assert index.next_offset == 10
    with pytest.raises(AssertionError, match="offset 9 after 9"):
        index.insert(np.array([6]), np.array([9]))
    with pytest.raises(AssertionError, match="do not rise"):
        index.insert(np.array([6, 6]), np.array([11, 11]))


def test_columns_must_be_those_of_the_schema() -> None:
    with pytest.raises(AssertionError, match="columns"):
        TimeIndex(0, SCHEMA).insert(np.array([1]), np.array([1]), {})
