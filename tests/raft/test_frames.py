"""Frames out of any cutting of their bytes, and what hostile announcements cost."""

import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raft.errors import MalformedFrameError
from raft.frames import LARGE_BEGINS_WITH_BYTES, LARGE_FRAME_BYTES, LENGTH, READ_BYTES, FrameReader

BOUND = 4 << 20


def framed(body: bytes) -> bytes:
    return LENGTH.pack(len(body)) + body


def read(reader: FrameReader, data: bytes, cuts: Iterator[int]) -> list[bytes]:
    """Everything that the reader hands out when `data` comes in pieces of these sizes."""
    found: list[bytes] = []
    at = 0
    while at < len(data):
        room = reader.buffer()
        piece = data[at : at + min(len(room), next(cuts))]
        room[: len(piece)] = piece
        at += len(piece)
        reader.received(len(piece))
        while (frame := reader.next_or_none()) is not None:
            found.append(bytes(frame))
    return found


def cut_by(sizes: list[int]) -> Iterator[int]:
    while True:
        yield from sizes


def allowed() -> FrameReader:
    reader = FrameReader(1_024)
    reader.allow(BOUND)
    return reader


SIZES = st.one_of(
    st.integers(0, 40),
    st.sampled_from([LARGE_FRAME_BYTES - 1, LARGE_FRAME_BYTES, LARGE_FRAME_BYTES + 1, READ_BYTES, 1 << 20, BOUND]),
)


@given(sizes=st.lists(SIZES, max_size=8), cuts=st.lists(st.integers(1, 300_000), min_size=1, max_size=5))
def test_frames_survive_any_cutting(sizes: list[int], cuts: list[int]) -> None:
    if sum(sizes) > 100_000 * min(cuts):
        cuts = [max(cut, 1_000) for cut in cuts]
    bodies = [bytes([at % 251]) * size for at, size in enumerate(sizes)]
    assert read(allowed(), b"".join(map(framed, bodies)), cut_by(cuts)) == bodies


@given(cuts=st.lists(st.integers(1, 2_000), min_size=1, max_size=5), after=st.binary(max_size=600))
def test_what_follows_the_greeting_is_kept_when_larger_frames_are_allowed(cuts: list[int], after: bytes) -> None:
    reader = FrameReader(1_024)
    data = framed(b"greeting") + framed(after)
    taken = min(len(data), 1_028)
    reader.buffer()[:taken] = data[:taken]
    reader.received(taken)
    assert bytes(reader.next_or_none() or b"") == b"greeting"
    reader.allow(BOUND)
    rest = [bytes(frame)] if (frame := reader.next_or_none()) is not None else []
    assert rest + read(reader, data[taken:], cut_by(cuts)) == [after]


def test_a_frame_is_never_overwritten() -> None:
    reader = allowed()
    kept: list[memoryview] = []
    for at in range(200):
        data = framed(bytes([at]) * (3_000 if at % 3 else LARGE_FRAME_BYTES + 1))
        done = 0
        while done < len(data):
            room = reader.buffer()
            count = min(len(room), len(data) - done)
            room[:count] = data[done : done + count]
            done += count
            reader.received(count)
        frame = reader.next_or_none()
        assert frame is not None
        kept.append(frame)
    assert all(set(frame) == {at} for at, frame in enumerate(kept))


@pytest.mark.parametrize("first", [b"GET ", b"\x16\x03\x01\x02", b"\xff\xff\xff\xff", LENGTH.pack(1_025)])
def test_a_stranger_is_refused_by_its_first_four_bytes(first: bytes) -> None:
    with pytest.raises(MalformedFrameError, match="at most 1024"):
        read(FrameReader(1_024), first, cut_by([4]))


def test_an_announcement_costs_little() -> None:
    readers = [allowed() for _ in range(8)]
    tracemalloc.start()
    for reader in readers:
        read(reader, LENGTH.pack(BOUND) + b"some", cut_by([8]))
        assert len(reader.buffer()) == LARGE_BEGINS_WITH_BYTES - 4
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 8 * (LARGE_BEGINS_WITH_BYTES + (64 << 10))
    with pytest.raises(MalformedFrameError, match=f"at most {BOUND}"):
        read(allowed(), LENGTH.pack(BOUND + 1), cut_by([4]))
