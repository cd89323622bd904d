import json
import math
from fractions import Fraction
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.aggregates import (
    NOTHING,
    Edge,
    Place,
    Summary,
    compensated_sum,
    empty,
    exact_sum,
    merge,
    merge_all,
    of_block,
    two_sum,
)
from store.blocks import Block, Column
from store.errors import DamagedIndexError

int64s = st.integers(-(2**63), 2**63 - 1)
doubles = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)
rows = st.lists(
    st.tuples(
        st.none() | int64s, st.none() | st.floats(-1e9, 1e9), st.none() | st.text(max_size=2), st.none() | st.booleans()
    ),
    max_size=20,
)
NAMES = ("l", "d", "s", "b")


def block_of(events: list[tuple[object, ...]], first: int = 0) -> Block:
    count = len(events)
    columns: dict[str, Column] = {}
    words = sorted({row[2] for row in events if row[2] is not None}, key=str)
    for at, (name, dtype) in enumerate((("l", np.int64), ("d", np.float64), ("s", np.int32), ("b", np.bool_))):
        found = [row[at] if name != "s" or row[at] is None else words.index(row[at]) for row in events]
        is_null = np.array([value is None for value in found], np.bool_)
        values = np.array([0 if value is None else value for value in found], dtype)
        columns[name] = Column(values, is_null if is_null.any() else None, words if name == "s" else None)
    offsets = np.arange(first, first + count, dtype=np.int64)
    return Block(offsets // 3, np.full(count, 2, np.int32), offsets, columns)


def assert_equal(found: Summary, expected: Summary) -> None:
    """Equal but for the last bits of floating sums."""
    assert found.count == expected.count
    assert found.attributes.keys() == expected.attributes.keys()
    for name, one in found.attributes.items():
        two = expected.attributes[name]
        assert (one.count, one.min, one.max, one.first, one.last) == (two.count, two.min, two.max, two.first, two.last)
        assert one.sum_of_squares == pytest.approx(two.sum_of_squares)
        if name == "l":
            assert one.sum == two.sum
        assert one.total == pytest.approx(two.total, rel=1e-12, abs=1e-9)


@given(rows)
def test_summary_of_a_block_says_what_the_values_say(events: list[tuple[object, ...]]) -> None:
    found = of_block(block_of(events), NAMES)
    assert found.count == len(events)
    for at, name in enumerate(NAMES):
        present = [(Place(i // 3, 2, i), row[at]) for i, row in enumerate(events) if row[at] is not None]
        one = found.attributes[name]
        assert one.count == len(present)
        if not present:
            assert one == NOTHING
            continue
        values = [value for _, value in present]
        assert (one.min, one.max) == (min(values), max(values))
        assert (one.first, one.last) == (Edge(*present[0]), Edge(*present[-1]))
        if name == "l":
            assert one.sum == sum(values)
        if name == "d":
            assert one.total == pytest.approx(math.fsum(values), rel=1e-12, abs=1e-12)
            assert one.sum_of_squares == pytest.approx(math.fsum(value * value for value in values))


@given(rows, st.lists(st.integers(0, 20), max_size=4), st.randoms(use_true_random=False))
def test_parts_merge_to_the_whole_in_any_order(
    events: list[tuple[object, ...]], cuts: list[int], source: object
) -> None:
    edges = [0, *sorted(min(cut, len(events)) for cut in cuts), len(events)]
    parts = [of_block(block_of(events[a:b], a), NAMES) for a, b in pairwise(edges)]
    source.shuffle(parts)
    assert_equal(merge_all(parts, NAMES), of_block(block_of(events), NAMES))


@given(rows)
def test_empty_is_neutral(events: list[tuple[object, ...]]) -> None:
    summary = of_block(block_of(events), NAMES)
    assert merge(summary, empty(NAMES)) == summary == merge(empty(NAMES), summary)


def test_merge_knows_the_attributes_of_both() -> None:
    one, two = of_block(block_of([(1, 2.0, "x", True)]), ["l"]), of_block(block_of([(1, 2.0, "x", True)], 1), ["d"])
    assert set(merge(one, two).attributes) == {"l", "d"}


@given(rows)
def test_packed_summary_is_read_back_unchanged(events: list[tuple[object, ...]]) -> None:
    summary = of_block(block_of(events), NAMES)
    packed = summary.pack()
    assert Summary.unpack(packed) == summary
    assert Summary.unpack(msgspec.msgpack.decode(msgspec.msgpack.encode(packed))) == summary
    assert Summary.unpack(json.loads(json.dumps(packed))) == summary


@pytest.mark.parametrize("packed", [None, [], [1], [1, 2], ["1", []], [1, [["l"]]], [1, [[1] * 9]], {"count": 1}])
def test_damaged_summary_is_refused(packed: object) -> None:
    with pytest.raises(DamagedIndexError):
        Summary.unpack(packed)


def test_sums_of_long_go_beyond_64_bits() -> None:
    blocks = [of_block(block_of([(2**63 - 1, None, None, None)] * 100, 100 * i), ["l"]) for i in range(100)]
    whole = merge_all(blocks, ["l"]).attributes["l"]
    assert whole.sum == 10_000 * (2**63 - 1)
    assert Summary.unpack(Summary(1, {"l": whole}).pack()).attributes["l"] == whole


@given(st.lists(int64s, min_size=1, max_size=50))
def test_exact_sum_never_overflows(values: list[int]) -> None:
    assert exact_sum(np.array(values, np.int64), min(values), max(values)) == sum(values)


@given(st.lists(st.floats(-1e100, 1e100), max_size=200))
def test_compensated_sum_is_as_good_as_fsum(values: list[float]) -> None:
    total, error = compensated_sum(np.array(values, np.float64))
    exact = sum(map(Fraction, values))
    magnitude = sum(map(abs, map(Fraction, values)))
    assert abs(Fraction(total) + Fraction(error) - exact) <= magnitude * Fraction(1, 2**90)


@given(doubles, doubles)
def test_two_sum_loses_nothing(left: float, right: float) -> None:
    total, error = two_sum(left, right)
    assert Fraction(total) + Fraction(error) == Fraction(left) + Fraction(right)


def test_cancelling_doubles_keep_their_small_rest() -> None:
    events: list[tuple[object, ...]] = [(None, value, None, None) for value in (0.1, 1e16, 0.2, -1e16)]
    parts = [of_block(block_of([event], i), ["d"]) for i, event in enumerate(events)]
    assert merge_all(parts, ["d"]).attributes["d"].total == pytest.approx(0.3, rel=1e-9)
    assert of_block(block_of(events), ["d"]).attributes["d"].total == pytest.approx(0.3, rel=1e-9)


def test_a_sum_beyond_the_largest_double_is_infinite_without_a_warning() -> None:
    one = of_block(block_of([(None, 1.7e308, None, None)] * 9), ["d"]).attributes["d"]
    assert one.total == math.inf
    assert one.sum_of_squares == math.inf
    whole = merge(Summary(9, {"d": one}), Summary(9, {"d": one}))
    assert whole.attributes["d"].total == math.inf


def test_mean_of_nothing_is_none() -> None:
    assert NOTHING.mean_or_none is None
    assert of_block(block_of([(1, None, None, None), (2, None, None, None)]), ["l"]).attributes["l"].mean_or_none == 1.5
