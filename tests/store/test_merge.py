"""Merging equals sorting, whatever the sources look like."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from store.blocks import Block, Column
from store.events import TimeRange
from store.merge import chains, concatenated, is_sorted, merge, reversed_block

Event = tuple[int, int, int]

events_strategy = st.lists(
    st.tuples(st.integers(-3, 12), st.integers(0, 3), st.integers(0, 40)), unique=True, max_size=60
)


def block_of(events: list[Event], with_columns: bool = True) -> Block:
    ts, partitions, offsets = (np.array([event[i] for event in events], np.int64) for i in range(3))
    if not with_columns:
        return Block(ts, partitions.astype(np.int32), offsets)
    words = sorted({word_of(event) for event in events})
    codes = np.array([words.index(word_of(event)) for event in events], np.int32)
    is_null = np.array([event[2] % 5 == 0 for event in events], np.bool_)
    columns = {
        "n": Column(ts * 1000 + offsets),
        "maybe": Column(np.where(is_null, 0.0, offsets * 0.5), is_null if is_null.any() else None),
        "word": Column(codes, None, words),
    }
    return Block(ts, partitions.astype(np.int32), offsets, columns)


def word_of(event: Event) -> str:
    return f"w{event[2] % 7}"


def cut_up(events: list[Event], sizes: list[int]) -> Iterator[Block]:
    at = 0
    for i in range(len(events)):
        if at >= len(events):
            return
        size = sizes[i % len(sizes)]
        yield block_of(events[at : at + size])
        at += size


def keys(blocks: list[Block]) -> list[Event]:
    return [
        key
        for block in blocks
        for key in zip(block.timestamps.tolist(), block.partitions.tolist(), block.offsets.tolist(), strict=True)
    ]


@given(
    events=events_strategy,
    owners=st.lists(st.integers(0, 5), min_size=60, max_size=60),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=5),
)
def test_merge_equals_a_full_sort_and_keeps_each_events_columns(events, owners, sizes):
    sources = [sorted(event for event, owner in zip(events, owners, strict=False) if owner == i) for i in range(6)]
    merged = list(merge([cut_up(source, sizes) for source in sources]))
    assert keys(merged) == sorted(events)
    assert all(len(block) and is_sorted(block) for block in merged)
    for block in merged:
        number, maybe, word = (block.columns[name] for name in ("n", "maybe", "word"))
        assert word.words is not None
        for i, event in enumerate(keys([block])):
            assert number.values[i] == event[0] * 1000 + event[2]
            is_null = maybe.is_null is not None and bool(maybe.is_null[i])
            assert is_null == (event[2] % 5 == 0)
            assert maybe.values[i] == (0 if is_null else event[2] * 0.5)
            assert word.words[int(word.values[i])] == word_of(event)


@given(seed=st.integers(0, 2**32), count=st.integers(2, 9))
def test_merge_equals_lexsort_with_many_equal_timestamps(seed, count):
    rng = np.random.default_rng(seed)
    ts, partitions, offsets = (
        rng.integers(0, 40, 3000),
        rng.integers(0, 3, 3000).astype(np.int32),
        rng.permutation(3000),
    )
    owner = rng.integers(0, count, 3000)
    sources = []
    for i in range(count):
        mine = np.flatnonzero(owner == i)
        mine = mine[np.lexsort((offsets[mine], partitions[mine], ts[mine]))]
        ends = [*range(0, len(mine), int(rng.integers(1, 300))), len(mine)]
        sources.append(
            iter([Block(ts[rows], partitions[rows], offsets[rows]) for a, b in pairwise(ends) for rows in [mine[a:b]]])
        )
    merged = list(merge(sources))
    order = np.lexsort((offsets, partitions, ts))
    for name, column in (("timestamps", ts), ("partitions", partitions), ("offsets", offsets)):
        assert np.array_equal(np.concatenate([getattr(block, name) for block in merged]), column[order])


def test_sources_that_do_not_overlap_pass_through_without_a_copy():
    first, second = block_of([(1, 0, 0), (2, 0, 1)]), block_of([(3, 1, 0), (4, 1, 1)])
    merged = list(merge([iter([second]), iter([first])]))
    assert merged[0] is first
    assert merged[1] is second


def test_a_cursor_is_read_one_block_ahead_at_most():
    read: list[int] = []

    def source(partition: int) -> Iterator[Block]:
        for at in range(100):
            read.append(partition)
            yield block_of([(10 * at + i, partition, 10 * at + i) for i in range(10)], with_columns=False)

    merged = merge([source(0), source(1), source(2)])
    emitted = 0
    for block in merged:
        emitted += len(block)
        assert 10 * len(read) - emitted <= 3 * 10 + 10


def test_nulls_in_a_block_without_words_survive_the_union_of_words():
    null = Column(np.zeros(2, np.int32), np.ones(2, np.bool_), [])
    word = Column(np.array([0, 1, 0], np.int32), None, ["b", "a"])
    whole = concatenated([null, word])
    assert whole.words is not None
    assert whole.is_null is not None
    assert whole.is_null.tolist() == [True, True, False, False, False]
    assert [whole.words[code] for code in whole.values[2:].tolist()] == ["b", "a", "b"]


def test_a_reversed_block_holds_the_same_events_last_first():
    events = [(1, 0, 0), (1, 0, 5), (2, 1, 3)]
    back = reversed_block(block_of(events))
    assert keys([back]) == events[::-1]
    assert back.columns["n"].values.tolist() == [2003, 1005, 1000]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 8)), max_size=20))
def test_chains_hold_every_span_once_without_overlap_and_are_as_few_as_the_deepest_overlap(pairs):
    spans = [TimeRange(first_ms=first, end_ms=first + length) for first, length in pairs]
    found = chains(spans)
    full = [i for i, span in enumerate(spans) if not span.is_empty]
    assert sorted(i for chain in found for i in chain) == full
    for chain in found:
        assert all(spans[a].end_ms <= spans[b].first_ms for a, b in pairwise(chain))
    deepest = max((sum(spans[i].covers(ms) for i in full) for ms in range(40)), default=0)
    assert len(found) == deepest
