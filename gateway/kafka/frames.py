"""Frames out of a byte stream without I/O: int32 length, then that many bytes.

Small bytes pass through one read buffer that all connections of a server share (a connection that is silent holds
none); a frame above 16 KiB gets a buffer of its own, which grows with what has arrived, never by what was announced.
A frame handed out owns its memory: nobody else reads or writes it.
"""

import struct

import numpy as np

from .errors import MalformedFrameError
from .metrics import KafkaMetrics
from .settings import LARGE_FRAME_BYTES

LENGTH_BYTES = 4
FRAME_BYTES_MIN = 8  # key, version, correlation id
GROWTH = 8
"""A buffer grows to this many times what has arrived: few copies, and memory that no byte reaches is never touched."""

_LENGTH = struct.Struct(">i")


class ByteBudget:
    """Room for large frames, over all connections. Invariant: 0 <= held <= limit."""

    def __init__(self, limit: int, metrics: KafkaMetrics) -> None:
        self.limit = limit
        self._metrics = metrics

    def try_take(self, count: int) -> bool:
        metrics = self._metrics
        if metrics.frame_bytes_held + count > self.limit:
            return False
        metrics.frame_bytes_held += count
        return True

    def give_back(self, count: int) -> None:
        self._metrics.frame_bytes_held -= count
        assert self._metrics.frame_bytes_held >= 0, "more room given back than taken"


class FrameReader:
    """One connection's bytes on their way to frames.

    The shell reads into `buffer()`, says `received(n)`, takes frames with `next_or_none()` and says `hold()` before it
    lets go of the loop. `is_starved`: the budget has no room now; `retry()` once it has.
    """

    __slots__ = (
        "_budget",
        "_end",
        "_frame_bytes_max",
        "_kept",
        "_large",
        "_large_bytes",
        "_position",
        "_shared",
        "is_starved",
    )

    def __init__(self, shared: bytearray, frame_bytes_max: int, budget: ByteBudget) -> None:
        self._shared = memoryview(shared)
        self._frame_bytes_max = frame_bytes_max
        self._budget = budget
        self._kept: bytes = b""
        """What is unread, while the loop does other things."""
        self._position = self._end = 0
        """What is unread in the shared buffer, between `received` and `hold`."""
        self._large: memoryview | None = None
        self._large_bytes = 0
        """The announced size of the large frame; its first `_end` bytes are there."""
        self.is_starved = False

    @property
    def is_inside_frame(self) -> bool:
        return self._large is not None or bool(self._kept)

    @property
    def progress_bytes(self) -> int:
        """Bytes of the large frame that have arrived; 0 if there is none."""
        return self._end if self._large is not None else 0

    def buffer(self) -> memoryview:
        """Where the next bytes go; never empty."""
        if self._large is not None:
            return self._large[self._end :]
        kept = self._kept
        if kept:
            self._shared[: len(kept)] = kept
            return self._shared[len(kept) :]
        return self._shared

    def received(self, count: int) -> None:
        if self._large is not None:
            self._end += count
            if self._end == len(self._large) < self._large_bytes:
                self._grow()
            return
        self._position = 0
        self._end = len(self._kept) + count
        self._kept = b""

    def next_or_none(self) -> tuple[memoryview, int] | None:
        """The next whole frame, and how much of the budget it holds until given back. Raises: MalformedFrameError."""
        if self._large is not None:
            return self._finish_large() if self._end == self._large_bytes else None
        position = self._position
        there = self._end - position - LENGTH_BYTES
        if there < 0:
            return None
        size: int = _LENGTH.unpack_from(self._shared, position)[0]
        if not FRAME_BYTES_MIN <= size <= self._frame_bytes_max:
            raise MalformedFrameError(f"frame of {size} bytes, {FRAME_BYTES_MIN} to {self._frame_bytes_max} allowed")
        if size <= LARGE_FRAME_BYTES:
            if there < size:
                return None
            begin = position + LENGTH_BYTES
            self._position = begin + size
            return memoryview(bytearray(self._shared[begin : begin + size])), 0
        return self._begin_large(size, there)

    def hold(self) -> None:
        """Keep what is unread out of the shared buffer: another connection reads into it next."""
        if self._large is None:
            self._kept = bytes(self._shared[self._position : self._end]) if self._position < self._end else b""
            self._position = self._end = 0

    def resume(self) -> None:
        """Take up what `hold` kept, without new bytes."""
        if self._large is None:
            self._shared[: len(self._kept)] = self._kept
            self.received(0)

    def retry(self) -> bool:
        """Ask the budget again; False: still starved."""
        self.is_starved = False
        if self._large is not None and self._end == len(self._large) < self._large_bytes:
            self._grow()
        return not self.is_starved

    def drop(self) -> None:
        """Give back all that is held."""
        if self._large is not None:
            self._budget.give_back(len(self._large))
            self._large = None
        self._kept = b""

    def _begin_large(self, size: int, there: int) -> tuple[memoryview, int] | None:
        capacity = min(size, max(LARGE_FRAME_BYTES, GROWTH * there))
        if not self._budget.try_take(capacity):
            self.is_starved = True
            return None
        begin = self._position + LENGTH_BYTES
        taken = min(there, size)
        large = _unwritten(capacity)
        large[:taken] = self._shared[begin : begin + taken]
        if taken == size:
            self._position = begin + size
            return large, capacity
        assert begin + taken == self._end, "an unfinished frame is the last thing there"
        self._large = large
        self._large_bytes, self._end = size, taken
        return None

    def _grow(self) -> None:
        assert self._large is not None
        capacity = min(self._large_bytes, GROWTH * len(self._large))
        if not self._budget.try_take(capacity - len(self._large)):
            self.is_starved = True
            return
        grown = _unwritten(capacity)
        grown[: self._end] = self._large
        self._large = grown

    def _finish_large(self) -> tuple[memoryview, int]:
        assert self._large is not None
        assert len(self._large) == self._large_bytes, "a frame's buffer has its size at the end"
        frame = self._large
        self._large = None
        self._position = self._end = 0
        return frame, len(frame)


def _unwritten(count: int) -> memoryview:
    """Memory that nobody has cleared: every byte of it is received before anybody reads it."""
    return np.empty(count, np.uint8).data
