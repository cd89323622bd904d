"""`FrameReader` with every chunking, and the byte budget."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.kafka.errors import MalformedFrameError
from gateway.kafka.frames import ByteBudget, FrameReader
from gateway.kafka.metrics import KafkaMetrics
from gateway.kafka.settings import LARGE_FRAME_BYTES, READ_BUFFER_BYTES

MIB = 1024 * 1024


class Shell:
    """What a connection does with its reader; every hold, another connection scribbles over the shared buffer."""

    def __init__(self, limit: int = 256 * MIB) -> None:
        self.shared = bytearray(READ_BUFFER_BYTES)
        self.metrics = KafkaMetrics()
        self.budget = ByteBudget(limit, self.metrics)
        self.reader = FrameReader(self.shared, 100 * MIB, self.budget)
        self.frames: list[bytes] = []

    def receive(self, data: bytes) -> None:
        while data:
            room = self.reader.buffer()
            assert len(room), "nowhere to read into"
            count = min(len(room), len(data))
            room[:count] = data[:count]
            data = data[count:]
            self.reader.received(count)
            self.take()

    def take(self) -> None:
        while (found := self.reader.next_or_none()) is not None:
            frame, held = found
            self.frames.append(bytes(frame))
            self.budget.give_back(held)
        self.reader.hold()
        self.shared[:] = b"\xee" * len(self.shared)


def framed(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


SIZES = st.one_of(
    st.integers(8, 300),
    st.integers(LARGE_FRAME_BYTES - 3, LARGE_FRAME_BYTES + 3),
    st.integers(READ_BUFFER_BYTES - 9, READ_BUFFER_BYTES + 9),
    st.integers(200_000, 900_000),
)


@given(sizes=st.lists(SIZES, max_size=5), cuts=st.lists(st.integers(1, 200_000), min_size=1, max_size=8))
def test_frames_survive_any_chunking(sizes: list[int], cuts: list[int]) -> None:
    bodies = [bytes([index % 251]) * size for index, size in enumerate(sizes)]
    stream = b"".join(map(framed, bodies))
    shell = Shell()
    position = turn = 0
    while position < len(stream):
        cut = max(cuts[turn % len(cuts)], len(stream) // 200)  # at most 200 steps
        shell.receive(stream[position : position + cut])
        position, turn = position + cut, turn + 1
    assert shell.frames == bodies
    assert not shell.reader.is_inside_frame
    assert shell.metrics.frame_bytes_held == 0


@pytest.mark.parametrize("size", [-1, -(2**31), 0, 7, 100 * MIB + 1, 2**31 - 1, int.from_bytes(b"GET ")])
def test_an_impossible_length_is_malformed_before_anything_is_allocated(size: int) -> None:
    shell = Shell()
    with pytest.raises(MalformedFrameError):
        shell.receive(struct.pack(">i", size) + b"/ HTTP")
    assert shell.metrics.frame_bytes_held == 0


def test_a_promise_costs_what_was_sent_and_not_what_was_announced() -> None:
    shell = Shell()
    shell.receive(struct.pack(">i", 90 * MIB) + bytes(1024))
    assert shell.metrics.frame_bytes_held <= LARGE_FRAME_BYTES


def test_memory_stays_within_a_factor_of_the_bytes_received() -> None:
    shell = Shell()
    shell.receive(struct.pack(">i", 90 * MIB))
    for received in range(10_000, 3 * MIB, 10_000):
        shell.receive(bytes(10_000))
        assert shell.metrics.frame_bytes_held <= 8 * received + LARGE_FRAME_BYTES


def test_a_frame_that_finds_no_room_waits_and_goes_on_when_there_is() -> None:
    shell = Shell(limit=100_000)
    assert shell.budget.try_take(90_000)
    shell.receive(framed(bytes(8)) + struct.pack(">i", 60_000) + bytes(20_000))
    assert shell.frames == [bytes(8)]
    assert shell.reader.is_starved
    shell.budget.give_back(90_000)
    assert shell.reader.retry()
    shell.reader.resume()
    shell.take()
    assert not shell.reader.is_starved
    shell.receive(bytes(40_000))
    assert shell.frames[1] == bytes(60_000)


def test_growth_that_finds_no_room_waits_too() -> None:
    shell = Shell(limit=2 * MIB + 300_000)
    assert shell.budget.try_take(2 * MIB)
    shell.receive(struct.pack(">i", 2 * MIB) + bytes(LARGE_FRAME_BYTES))
    room = shell.reader.buffer()
    shell.reader.received(len(room))
    assert shell.reader.is_starved
    assert not shell.reader.retry()
    shell.budget.give_back(2 * MIB)
    assert shell.reader.retry()
    assert len(shell.reader.buffer()) > 0


def test_dropping_gives_everything_back() -> None:
    shell = Shell()
    shell.receive(struct.pack(">i", 50 * MIB) + bytes(300_000))
    assert shell.metrics.frame_bytes_held > 0
    shell.reader.drop()
    assert shell.metrics.frame_bytes_held == 0
