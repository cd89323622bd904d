import random
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.errors import DamagedIndexError
from store.events import TIMESTAMP_MS_MIN, TimeRange
from store.offset_index import CHUNK_ROWS, BatchPlace, OffsetIndex, Slice

times = st.integers(-20, 20)


@st.composite
def logs(draw: st.DrawFn) -> list[BatchPlace]:
    """Batches as a log holds them: now and then a gap between two, now and then a new segment."""
    offset, segment, position = draw(st.integers(0, 5)), 1, 0
    places: list[BatchPlace] = []
    for _ in range(draw(st.integers(0, 25))):
        count, length = draw(st.integers(1, 4)), draw(st.integers(61, 70))
        least, greatest = sorted((draw(times), draw(times)))
        if draw(st.integers(0, 5)) == 0:
            segment, position = segment + 3, 0
        position += draw(st.sampled_from((0, 0, 58)))
        known = least if draw(st.booleans()) else TIMESTAMP_MS_MIN
        places.append(BatchPlace(offset, offset + count - 1, segment, position, length, known, greatest))
        offset += count
        position += length
    return places


def index_of(places: Sequence[BatchPlace]) -> OffsetIndex:
    index = OffsetIndex()
    for at in places:
        index.add(at.base_offset, at.last_offset, at.segment, at.position, at.length, at.greatest_ms, at.least_ms)
    return index


def contents(index: OffsetIndex) -> list[BatchPlace]:
    return index.places(index.first_offset, index.end_offset)


@given(logs())
def test_every_offset_is_found_in_its_batch_and_no_other_is_found(places: list[BatchPlace]) -> None:
    index = index_of(places)
    for offset in range(-1, (places[-1].last_offset if places else 0) + 3):
        expected = next((at for at in places if at.base_offset <= offset <= at.last_offset), None)
        assert index.find_or_none(offset) == expected


@given(logs(), st.integers(-1, 60), st.integers(0, 500), st.integers(0, 60))
def test_slices_are_the_whole_batches_that_fit(places: list[BatchPlace], offset: int, limit: int, end: int) -> None:
    wanted: list[BatchPlace] = []
    if places and offset >= places[0].base_offset:
        for at in places:
            if at.last_offset < offset or at.last_offset >= end:
                continue
            if wanted and sum(w.length for w in wanted) + at.length > limit:
                break
            wanted.append(at)
    found = index_of(places).slices(offset, limit, end)
    bytes_found = [
        (piece.segment, byte) for piece in found for byte in range(piece.position, piece.position + piece.length)
    ]
    bytes_wanted = [(at.segment, byte) for at in wanted for byte in range(at.position, at.position + at.length)]
    assert bytes_found == bytes_wanted
    for before, then in pairwise(found):
        assert (before.segment, before.position + before.length) != (then.segment, then.position), "not coalesced"


def test_batches_that_touch_become_one_read() -> None:
    index = index_of([BatchPlace(i, i, 1, 100 * i, 100, 0, 0) for i in range(5)])
    assert index.slices(1, 1000, 5) == [Slice(1, 100, 400)]


@given(logs(), times, st.integers(0, 40))
def test_batches_at_or_after_a_time(places: list[BatchPlace], timestamp_ms: int, first_offset: int) -> None:
    found = list(index_of(places).at_or_after(timestamp_ms, first_offset))
    assert found == [at for at in places if at.last_offset >= first_offset and at.greatest_ms >= timestamp_ms]


@given(logs(), times, times)
def test_overlapping_is_every_batch_that_may_hold_the_span(
    places: list[BatchPlace], first_ms: int, end_ms: int
) -> None:
    found = index_of(places).overlapping(TimeRange(first_ms=first_ms, end_ms=end_ms))
    assert found == [at for at in places if first_ms < end_ms and at.greatest_ms >= first_ms and at.least_ms < end_ms]


@given(logs())
def test_latest_is_the_first_batch_with_the_greatest_timestamp(places: list[BatchPlace]) -> None:
    assert index_of(places).latest_or_none() == max(places, key=lambda at: at.greatest_ms, default=None)


@given(logs(), st.integers(0, 60))
def test_truncation_drops_whole_batches_below(places: list[BatchPlace], offset: int) -> None:
    index = index_of(places)
    index.truncate_before(offset)
    kept = [at for at in places if at.last_offset >= offset]
    assert contents(index) == kept
    assert index.size_bytes == sum(at.length for at in kept)
    assert index.latest_or_none() == max(kept, key=lambda at: at.greatest_ms, default=None)
    assert index.end_offset == (places[-1].last_offset + 1 if places else 0)
    assert index.first_segment_or_none == (kept[0].segment if kept else None)


@given(logs(), st.integers(0, 30), st.integers(0, 500))
def test_restored_index_answers_and_grows_like_the_first(places: list[BatchPlace], offset: int, limit: int) -> None:
    index = index_of(places)
    index.truncate_before(offset)
    again = OffsetIndex.restored(index.snapshot())
    for each in (index, again):
        each.add(each.end_offset, each.end_offset + 2, 99, 5, 70, 3, 1)
    assert contents(again) == contents(index)
    assert again.slices(offset, limit, 99) == index.slices(offset, limit, 99)
    assert (again.size_bytes, again.first_offset, len(again)) == (index.size_bytes, index.first_offset, len(index))
    assert again.latest_or_none() == index.latest_or_none()


def test_a_batch_must_begin_where_the_last_one_ends() -> None:
    index = index_of([BatchPlace(0, 4, 1, 0, 100, 0, 0)])
    with pytest.raises(AssertionError, match="batch at 6 after 4"):
        index.add(6, 7, 1, 100, 100, 0)


def test_damaged_snapshot_is_refused() -> None:
    whole = index_of([BatchPlace(i, i, 1, 100 * i, 100, 0, 0) for i in range(5)]).snapshot()
    for cut in range(len(whole)):
        with pytest.raises(DamagedIndexError):
            OffsetIndex.restored(whole[:cut])
    with pytest.raises(DamagedIndexError):
        OffsetIndex.restored(b"\xff" + whole[1:])


def test_large_index_equals_plain_search() -> None:
    seed = 20_240_229
    source = random.Random(seed)
    places: list[BatchPlace] = []
    offset = 0
    for i in range(3 * CHUNK_ROWS):
        count, peak = source.randrange(1, 50), 1000 * i + source.randrange(-200_000, 200_000)
        places.append(BatchPlace(offset, offset + count - 1, 1 + i // 1000, 158 * (i % 1000), 100, peak - 1000, peak))
        offset += count
    index = index_of(places)
    for _ in range(50):
        wanted, start = source.randrange(0, 3 * CHUNK_ROWS * 1000), source.choice((0, source.randrange(offset)))
        assert list(index.at_or_after(wanted, start)) == [
            at for at in places if at.last_offset >= start and at.greatest_ms >= wanted
        ], seed
        span = TimeRange(first_ms=wanted, end_ms=wanted + 5000)
        assert index.overlapping(span) == [
            at for at in places if at.greatest_ms >= span.first_ms and at.least_ms < span.end_ms
        ], seed
    assert len(index.snapshot()) < 12 * len(places)


@given(places=logs(), offset=st.integers(0, 60), limit=st.integers(0, 900), end=st.integers(0, 60))
def test_columns_are_the_batches_that_slices_join(places: list[BatchPlace], offset: int, limit: int, end: int) -> None:
    index = index_of(places)
    bytes_of = [
        (segment, at)
        for segment, positions, lengths in index.columns(offset, limit, end)
        for position, length in zip(positions, lengths, strict=True)
        for at in range(position, position + length)
    ]
    assert bytes_of == [
        (segment, at)
        for segment, position, length in index.slices(offset, limit, end)
        for at in range(position, position + length)
    ]


@pytest.mark.parametrize("truncated", [0, 10, CHUNK_ROWS + 10])
@pytest.mark.parametrize("count", [CHUNK_ROWS - 1, CHUNK_ROWS, 2 * CHUNK_ROWS + 7])
def test_a_snapshot_of_several_chunks_gives_back_every_row(count: int, truncated: int) -> None:
    index = index_of([BatchPlace(i, i, i // 5000, 100 * i, 100, i % 7, i % 11) for i in range(count)])
    index.truncate_before(truncated)
    again = OffsetIndex.restored(index.snapshot())
    assert contents(again) == contents(index)
    for each in (index, again):
        for _ in range(CHUNK_ROWS):
            each.add(each.end_offset, each.end_offset, 99, 5, 70, 3, 1)
    assert contents(OffsetIndex.restored(again.snapshot())) == contents(index)
    assert again.snapshot() == index.snapshot()
