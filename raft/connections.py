"""One socket between two nodes: bytes to frames, frames to bytes. What a frame means is its owner's business.

Frames that are there are handed out for `TURN_MS` at a time, so that a burst of small ones does not hold the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol, cast

from .errors import MalformedFrameError
from .frames import LENGTH, FrameReader
from .greetings import GREETING_BYTES_MAX

if TYPE_CHECKING:
    from .interfaces import Buffer

JOINED_BYTES_MAX: Final = 32 * 1024
"""A frame up to this size is joined into one buffer, which is cheaper than to hand over its parts."""
TURN_MS: Final = 5


class ConnectionOwner(Protocol):
    """Called from the event loop; `on_lost` exactly once, after it nothing more comes."""

    def on_made(self, connection: Connection) -> None: ...
    def on_frame(self, connection: Connection, frame: memoryview) -> None:
        """Raises: MalformedFrameError, which closes the connection."""
        ...

    def on_lost(self, connection: Connection, reason: str) -> None: ...


class Connection(asyncio.BufferedProtocol):
    """Owns its transport. `bytes_in` and `bytes_out` only grow: by them its owner sees whether anything moved.

    The owner may name another one, from inside `on_frame` too: the next frame is the new owner's.
    """

    def __init__(self, owner: ConnectionOwner) -> None:
        self.is_open = False
        self.remote = ""
        self.bytes_in = self.bytes_out = 0
        self.reader = FrameReader(GREETING_BYTES_MAX)
        self.owner = owner
        self._transport: asyncio.Transport | None = None
        self._is_lost = False
        self._is_turn_due = False
        self._reason = ""

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = stream = cast("asyncio.Transport", transport)
        address = stream.get_extra_info("peername")
        self.remote = f"{address[0]}:{address[1]}" if address else "(gone)"
        connected = stream.get_extra_info("socket")
        if connected is not None:
            with contextlib.suppress(OSError):  # the peer may be gone already
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.is_open = True
        self.owner.on_made(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._lose(self._reason or (f"broken: {exc}" if exc else "closed by the peer"))

    def get_buffer(self, sizehint: int) -> memoryview:
        del sizehint
        return self.reader.buffer()

    def buffer_updated(self, nbytes: int) -> None:
        self.bytes_in += nbytes
        self.reader.received(nbytes)
        if not self._is_turn_due:
            self._hand_out()

    def eof_received(self) -> bool:
        return False

    # What the owner calls

    @property
    def queued_bytes(self) -> int:
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def send(self, buffers: Sequence[Buffer]) -> None:
        """Queue one frame, empty for a ping. The buffers must not change any more."""
        if self._transport is None or not self.is_open:
            return
        size = 0
        for part in buffers:
            size += part.nbytes if isinstance(part, memoryview) else len(part)
        self.bytes_out += LENGTH.size + size
        if size <= JOINED_BYTES_MAX:
            self._transport.write(b"".join((LENGTH.pack(size), *buffers)))
        else:
            self._transport.writelines((LENGTH.pack(size), *buffers))

    def send_all(self, frames: Sequence[Sequence[Buffer]]) -> None:
        """Queue several small frames with one write."""
        if self._transport is None or not self.is_open:
            return
        parts = [part for frame in frames for part in (LENGTH.pack(sum(map(len, frame))), *frame)]
        joined = b"".join(parts)
        self.bytes_out += len(joined)
        self._transport.write(joined)

    def close(self, reason: str) -> None:
        """Nothing more is handed out; what was queued is sent before the socket closes."""
        if self.is_open:
            self.is_open = False
            self._reason = reason
            if self._transport is not None:
                self._transport.close()

    def abort(self, reason: str) -> None:
        """Close at once, whatever was queued; `on_lost` is called before this returns."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        self._lose(reason)

    def _hand_out(self) -> None:
        ends_s = monotonic() + TURN_MS / 1000
        try:
            while self.is_open and (frame := self.reader.next_or_none()) is not None:
                self.owner.on_frame(self, frame)
                if monotonic() > ends_s:
                    self._wait_a_turn()
                    return
        except MalformedFrameError as error:
            self.abort(str(error))

    def _wait_a_turn(self) -> None:
        self._is_turn_due = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
        asyncio.get_running_loop().call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._is_turn_due = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
        self._hand_out()

    def _lose(self, reason: str) -> None:
        self.is_open = False
        if not self._is_lost:
            self._is_lost = True
            self.owner.on_lost(self, reason)
