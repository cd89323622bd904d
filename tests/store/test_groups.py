"""Groups fed in any blocks, in any order of sources, from events or from summaries, equal brute force."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.aggregates import of_block
from store.blocks import Block, Column
from store.groups import Grouping, Groups
from store.schema import AttributeType

KINDS = {"n": AttributeType.LONG, "x": AttributeType.DOUBLE, "w": AttributeType.STRING}
WORDS = ["a", "b", "c", ""]

events_strategy = st.lists(
    st.tuples(
        st.integers(-20, 20),
        st.none() | st.integers(-(1 << 63), (1 << 63) - 1),
        st.none() | st.floats(-1e6, 1e6),
        st.none() | st.sampled_from(WORDS),
    ),
    min_size=1,
    max_size=60,
)


def block_of(rows, words) -> Block:
    ts, offsets = (np.array([row[i] for row in rows], np.int64) for i in (0, 4))
    columns = {}
    for name, i, dtype in (("n", 1, np.int64), ("x", 2, np.float64), ("w", 3, np.int32)):
        values = [None if row[i] is None else (words.index(row[i]) if name == "w" else row[i]) for row in rows]
        is_null = np.array([value is None for value in values])
        numbers = np.array([0 if value is None else value for value in values], dtype)
        columns[name] = Column(numbers, is_null if is_null.any() else None, words if name == "w" else None)
    return Block(ts, np.zeros(len(rows), np.int32), offsets, columns)


@given(
    events=events_strategy,
    every=st.none() | st.integers(1, 15),
    origin=st.integers(-40, 40),
    by=st.sampled_from([[], ["w"], ["n", "w"]]),
    parts=st.integers(1, 4),
    data=st.data(),
)
def test_groups_equal_brute_force(events, every, origin, by, parts, data):
    rows = sorted([(*row, i) for i, row in enumerate(events)], key=lambda row: (row[0], row[4]))
    groups = Groups(KINDS)
    grouping = Grouping(groups, every, origin, by)
    owner = data.draw(st.lists(st.integers(0, parts - 1), min_size=len(rows), max_size=len(rows)))
    for part in data.draw(st.permutations(range(parts))):
        mine = [row for row, who in zip(rows, owner, strict=True) if who == part]
        if not mine:
            continue
        block = block_of(mine, data.draw(st.permutations(WORDS)))
        if not by and every is None and data.draw(st.booleans()):
            summary = of_block(block, list(KINDS))
            groups.fold_summary(groups.number_of((None,)), summary.count, summary.attributes)
        else:
            groups.fold_block(block, grouping.numbers_of(block))
    wanted: dict[tuple, list] = {}
    for row in rows:
        start = None if every is None else (row[0] - origin) // every * every + origin
        wanted.setdefault((start, *(row[{"n": 1, "w": 3}[name]] for name in by)), []).append(row)
    assert set(groups.keys) == set(wanted)
    for number, key in enumerate(groups.keys):
        some = wanted[key]
        assert groups.counts[number] == len(some)
        for name, i in (("n", 1), ("x", 2), ("w", 3)):
            values = [row[i] for row in some if row[i] is not None]
            found = groups.attributes[name]
            assert found.counts[number] == len(values)
            if not values:
                continue
            assert (found.first(number), found.last(number)) == (values[0], values[-1])
            if name == "n":
                assert found.total(number) == sum(values)
            if name == "x":
                assert found.total(number) == pytest.approx(math.fsum(values), rel=1e-9, abs=1e-6 * 1e-9)
            if name != "w":
                assert (found.least(number), found.greatest(number)) == (min(values), max(values))


def test_sums_of_doubles_survive_cancellation_between_blocks():
    groups = Groups({"x": AttributeType.DOUBLE})
    grouping = Grouping(groups, None, 0, [])
    for i, value in enumerate([1e17, 1.0, -1e17, 1e-3]):
        block = Block(np.array([i]), np.zeros(1, np.int32), np.array([i]), {"x": Column(np.array([value]))})
        groups.fold_block(block, grouping.numbers_of(block))
    assert groups.attributes["x"].total(0) == 1.001
