import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.errors import FrameTooLargeError, MalformedError
from gateway.wire.frames import FRAME_BYTES_MAX, FrameReader, frame_size, framed


@given(bodies=st.lists(st.lists(st.binary(max_size=20), max_size=3)), cut=st.integers(1, 9))
def test_frames_survive_any_chunking(bodies: list[list[bytes]], cut: int) -> None:
    stream = b"".join(b"".join(framed(parts)) for parts in bodies)
    reader = FrameReader()
    chunks = [stream[first : first + cut] for first in range(0, len(stream), cut)]
    assert [frame for chunk in chunks for frame in reader.receive(chunk)] == [b"".join(parts) for parts in bodies]


def test_a_frame_begins_with_its_length_and_keeps_its_parts() -> None:
    large = memoryview(bytes(10_000))
    parts = framed([b"ab", large])
    assert parts[0] == b"\x00\x00\x27\x12"
    assert parts[2] is large


def test_a_negative_length_is_malformed() -> None:
    with pytest.raises(MalformedError, match="frame of -1 bytes"):
        list(FrameReader().receive(b"\xff\xff\xff\xff"))


def test_a_frame_above_the_limit_is_refused_before_its_bytes_come() -> None:
    assert frame_size(FRAME_BYTES_MAX) == FRAME_BYTES_MAX
    with pytest.raises(FrameTooLargeError, match="frame of 104857601 bytes, at most 104857600"):
        frame_size(FRAME_BYTES_MAX + 1)
    with pytest.raises(FrameTooLargeError, match="frame of 6 bytes, at most 5"):
        list(FrameReader(frame_bytes_max=5).receive(b"\x00\x00\x00\x06"))
