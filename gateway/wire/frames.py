"""Frames: an int32 length, then that many bytes. Pure; the servers buffer for themselves and use the rules only.

Source: Kafka protocol guide, "Request/Response Size".
"""

from collections.abc import Iterator, Sequence
from typing import Final

from .errors import FrameTooLargeError, MalformedError
from .primitives import INT32, Buffer

LENGTH_BYTES: Final = 4
FRAME_BYTES_MAX: Final = 100 * 1024 * 1024
"""Kafka's default of `socket.request.max.bytes`."""


def frame_size(announced: int, frame_bytes_max: int = FRAME_BYTES_MAX) -> int:
    """Return an announced length if we are ready to hold it. Raises: MalformedError, FrameTooLargeError."""
    if announced < 0:
        raise MalformedError(f"frame of {announced} bytes")
    if announced > frame_bytes_max:
        raise FrameTooLargeError(f"frame of {announced} bytes, at most {frame_bytes_max}")
    return announced


def framed(parts: Sequence[Buffer]) -> list[Buffer]:
    """Put the length before the parts of a frame; the parts are not copied."""
    return [INT32.pack(sum(map(len, parts))), *parts]


class FrameReader:
    """Cuts a stream of bytes into frames, whatever its chunks; for tests and small tools, since it copies."""

    def __init__(self, frame_bytes_max: int = FRAME_BYTES_MAX) -> None:
        self._frame_bytes_max = frame_bytes_max
        self._buffer = bytearray()

    def receive(self, data: Buffer) -> Iterator[bytes]:
        """Yield the body of each complete frame. Raises: MalformedError, FrameTooLargeError."""
        self._buffer += data
        while (size := self._next_size_or_none()) is not None and len(self._buffer) >= LENGTH_BYTES + size:
            end = LENGTH_BYTES + size
            body = bytes(self._buffer[LENGTH_BYTES:end])
            del self._buffer[:end]
            yield body

    def _next_size_or_none(self) -> int | None:
        if len(self._buffer) < LENGTH_BYTES:
            return None
        (announced,) = INT32.unpack_from(self._buffer)
        return frame_size(announced, self._frame_bytes_max)
