"""Frames between nodes out of a byte stream, without I/O: u32 length (big-endian), then that many bytes; 0 is a ping.

A frame handed out owns its memory: nobody else reads or writes it. Its buffer grows with what has arrived, never by
what was announced: a peer that announces much and sends little gets little.
"""

import struct
from typing import Final

from .errors import MalformedFrameError

LENGTH = struct.Struct(">I")
READ_BYTES: Final = 256 * 1024
LARGE_FRAME_BYTES: Final = 64 * 1024
"""From here on a frame is received into its own buffer; a smaller one is copied out of the read buffer."""
LARGE_BEGINS_WITH_BYTES: Final = 1024 * 1024 + 128 * 1024  # one AppendRequest, unless it is of one large entry
GROWTH: Final = 4

assert LARGE_FRAME_BYTES + LENGTH.size < READ_BYTES // 2, "a small frame fits behind another one that is incomplete"


class FrameReader:
    """One connection's bytes on their way to frames: read into `buffer()`, say `received(n)`, take `next_or_none()`.

    Begins with small frames only, in a small buffer; `allow` comes when it is known who the peer is.
    """

    __slots__ = ("_begin", "_end", "_frame_bytes_max", "_large", "_large_bytes", "_large_end", "_read")

    def __init__(self, frame_bytes_max: int) -> None:
        self._frame_bytes_max = frame_bytes_max
        self._read = memoryview(bytearray(LENGTH.size + frame_bytes_max))
        self._begin = self._end = 0
        """What is unread in the read buffer."""
        self._large: bytearray | None = None
        self._large_bytes = self._large_end = 0
        """The announced size of the large frame, and how much of it is there."""

    def allow(self, frame_bytes_max: int) -> None:
        """Frames up to this size from now on."""
        self._frame_bytes_max = frame_bytes_max
        there = self._end - self._begin
        larger = memoryview(bytearray(READ_BYTES))
        larger[:there] = self._read[self._begin : self._end]
        self._read, self._begin, self._end = larger, 0, there

    def buffer(self) -> memoryview:
        """Where the next bytes go; never empty."""
        large = self._large
        if large is not None:
            if self._large_end == len(large):
                large = self._grow(large)
            return memoryview(large)[self._large_end :]
        if self._begin == self._end:
            self._begin = self._end = 0
        elif len(self._read) - self._end < len(self._read) // 2:
            there = self._end - self._begin
            self._read[:there] = self._read[self._begin : self._end]
            self._begin, self._end = 0, there
        return self._read[self._end :]

    def received(self, count: int) -> None:
        if self._large is not None:
            self._large_end += count
        else:
            self._end += count

    def next_or_none(self) -> memoryview | None:
        """The next complete frame, empty for a ping. Raises: MalformedFrameError (too long)."""
        if self._large is not None:
            return self._finish_large() if self._large_end == self._large_bytes else None
        begin, there = self._begin + LENGTH.size, self._end - self._begin - LENGTH.size
        if there < 0:
            return None
        size: int = LENGTH.unpack_from(self._read, self._begin)[0]
        if size > self._frame_bytes_max:
            raise MalformedFrameError(f"a frame of {size} bytes, at most {self._frame_bytes_max}")
        if size <= there:
            self._begin = begin + size
            return memoryview(bytes(self._read[begin : begin + size]))
        if size > LARGE_FRAME_BYTES:
            # The rest of it is all that can follow: the next bytes go to its own buffer.
            self._large = bytearray(min(size, max(LARGE_BEGINS_WITH_BYTES, GROWTH * there)))
            self._large[:there] = self._read[begin : self._end]
            self._large_bytes, self._large_end = size, there
            self._begin = self._end = 0
        return None

    def _grow(self, large: bytearray) -> bytearray:
        grown = bytearray(min(self._large_bytes, GROWTH * len(large)))
        grown[: self._large_end] = large
        self._large = grown
        return grown

    def _finish_large(self) -> memoryview:
        large = self._large
        assert large is not None
        assert len(large) == self._large_bytes, "a frame's buffer has its size at the end"
        self._large = None
        return memoryview(large)
