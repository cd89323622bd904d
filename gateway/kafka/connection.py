"""One client connection: bytes in, requests begun in order, answers out in the same order.

Reading pauses while the connection is *blocked*: too many unanswered requests, a coroutine at work (as Kafka, one at a
time), a client that does not read, or no room for a large frame. Pausing is lazy: only when bytes arrive meanwhile.
Source of the order: the Kafka protocol guide, "Network".
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import deque
from collections.abc import Coroutine, Sequence
from time import monotonic
from types import CoroutineType
from typing import TYPE_CHECKING, Final, cast

from ..wire.errors import MalformedError
from .context import PENDING, Buffer, RequestContext
from .dispatch import read_request
from .errors import MalformedFrameError, RefusedSilentlyError, UnknownRequestError
from .frames import FrameReader
from .metrics import Closed

if TYPE_CHECKING:
    from .server import KafkaServer

log = logging.getLogger(__name__)

# Above this, a part of an answer goes to the transport as it is; below, it is copied next to its neighbours.
ZERO_COPY_BYTES = 16 * 1024
# Gathered before they are written.
PARTS_MAX = 64


# Why no further request may begin: bits. Plain numbers, since every request looks at them several times.
AT_COROUTINE: Final = 1
AT_WRITING: Final = 2
AT_ROOM: Final = 4
AT_FULL: Final = 8
AT_TURN: Final = 16
CLOSING: Final = 32


class Connection(asyncio.BufferedProtocol):
    """Owns its transport and its unanswered requests.

    Invariants: `_unanswered` is in request order and its head is unanswered; after `_serve` nothing of this
    connection is left in the shared read buffer.
    """

    def __init__(self, server: KafkaServer) -> None:
        self.host = ""
        self._server = server
        self._door = server.door
        self._metrics = server.door.metrics
        self._reader = FrameReader(server.read_buffer, server.door.settings.frame_bytes_max, server.budget)
        self._transport: asyncio.Transport | None = None
        self._unanswered: deque[RequestContext] = deque()
        self._out: list[Buffer] = []
        self._block = 0
        self._is_write_due = False
        self._is_reading_paused = False
        self._is_resume_due = False
        self._closed_for = Closed.BY_PEER
        self._frames_begun = 0
        self._heard_ms = self._frame_begun_ms = self._writing_since_ms = server.now_ms
        self._swept_bytes = 0
        self._swept_write_bytes = 0

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = stream = cast("asyncio.Transport", transport)
        peer = stream.get_extra_info("peername")
        self.host = str(peer[0]) if peer else ""
        self._metrics.connections_opened += 1
        if not self._server.admit(self):
            self._close_for(Closed.REFUSED)
            return
        connected = stream.get_extra_info("socket")
        if connected is not None:
            with contextlib.suppress(OSError):  # the peer may be gone already
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream.set_write_buffer_limits(high=self._door.settings.write_buffer_bytes_max)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._block |= CLOSING
        self._transport = None
        self._reader.drop()
        self._metrics.closed[self._closed_for] += 1
        abandoned, self._unanswered = self._unanswered, deque()
        for context in abandoned:
            if context.hurry is not None:
                context.hurry()
        self._out.clear()
        self._server.forget(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        del sizehint
        return self._reader.buffer()

    def buffer_updated(self, nbytes: int) -> None:
        self._metrics.bytes_in += nbytes
        self._heard_ms = self._server.now_ms
        self._reader.received(nbytes)
        self._serve()

    def eof_received(self) -> bool:
        """The client sends no more: as Kafka, close, even if answers are due."""
        return False

    def pause_writing(self) -> None:
        self._block |= AT_WRITING
        self._writing_since_ms = self._server.now_ms
        self._swept_write_bytes = 0

    def resume_writing(self) -> None:
        self._unblock(AT_WRITING)
        self.write_answered()

    # Requests in

    def _serve(self) -> None:
        """Begin the requests that are there, until one must wait. The bytes are in the shared buffer, or large."""
        begun = self._frames_begun
        reader = self._reader
        turn_ends_s = 0.0
        try:
            while not self._block:
                found = reader.next_or_none()
                if found is None:
                    if reader.is_starved:
                        self._block |= AT_ROOM
                        self._server.wait_for_room(self)
                    break
                self._begin(*found)
                now_s = monotonic()
                if not turn_ends_s:
                    turn_ends_s = now_s + self._door.settings.turn_ms / 1000
                elif now_s > turn_ends_s:
                    self._block |= AT_TURN
                    asyncio.get_running_loop().call_soon(self._next_turn)
        except (MalformedFrameError, MalformedError) as error:
            self._metrics.malformed_frames += 1
            log.info("malformed frame from %s: %s", self.host, error)
            self._close_for(Closed.MALFORMED)
        except UnknownRequestError as error:
            log.info("request from %s: %s", self.host, error)
            self._close_for(Closed.UNKNOWN_REQUEST)
        except RefusedSilentlyError as error:
            log.info("produce without acks from %s: %s", self.host, error)
            self._close_for(Closed.PRODUCE_REFUSED)
        except Exception as error:  # noqa: BLE001 - the top of a request: ends this connection, not the node
            self.failed(error)
        reader.hold()
        if self._frames_begun != begun or not reader.is_inside_frame:
            self._frame_begun_ms = self._server.now_ms
        if self._out:
            self._write_out()
        self._pause_or_resume()

    def _begin(self, frame: memoryview, held_bytes: int) -> None:
        self._frames_begun += 1
        context = None
        try:
            context, request = read_request(frame, self, self._door)
            context.held_bytes = held_bytes
            outcome = context.route.handle(request, context)
        except BaseException:
            if context is not None:
                self._release(context)
            else:
                self._server.give_back(held_bytes)
            raise
        if outcome is PENDING:
            if context.is_answered:
                return
        elif type(outcome) is CoroutineType:
            self._begin_coroutine(context, cast("Coroutine[object, object, object]", outcome))
        else:
            context.is_answered = True
            self._release(context)
            context.parts = context.route.framed(context.correlation_id, outcome)
            if not self._unanswered:
                self._put_out(context.parts)
                return
        self._unanswered.append(context)
        if len(self._unanswered) >= self._door.settings.inflight_requests_max:
            self._block |= AT_FULL

    def _begin_coroutine(self, context: RequestContext, work: Coroutine[object, object, object]) -> None:
        self._block |= AT_COROUTINE
        if not self.run(self._finish(context, work)):
            work.close()
            self._release(context)
            self._close_for(Closed.TOO_BUSY)

    def run(self, work: Coroutine[object, object, None]) -> bool:
        """Run `work` among the server's tasks; a fault in it ends this connection. False: too many run."""
        return self._server.run(self._guarded(work), work)

    async def _finish(self, context: RequestContext, work: Coroutine[object, object, object]) -> None:
        try:
            context.answer(await work)
        finally:
            self._release(context)
        self._unblock(AT_COROUTINE)

    async def _guarded(self, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - the top of a task: ends this connection, not the node
            self.failed(error)

    def _unblock(self, reason: int) -> None:
        self._block &= ~reason
        if not self._block and self._is_reading_paused and not self._is_resume_due:
            # A step of its own: whoever completed the answer must not run the next requests in its own stack.
            self._is_resume_due = True
            asyncio.get_running_loop().call_soon(self._resume)

    def _next_turn(self) -> None:
        self._block &= ~AT_TURN
        if self._is_reading_paused and not self._is_resume_due:
            self._resume()

    def _resume(self) -> None:
        self._is_resume_due = False
        if self._transport is not None and not self._block:
            self._reader.resume()
            self._serve()

    def _pause_or_resume(self) -> None:
        must_pause = bool(self._block) and self._reader.is_inside_frame
        if must_pause != self._is_reading_paused and self._transport is not None:
            self._is_reading_paused = must_pause
            if self._transport.is_closing():
                return
            if must_pause:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def room_may_be_there(self) -> bool:
        """The budget has room again: try. False: not enough yet."""
        if self._transport is None:
            return True
        if not self._reader.retry():
            return False
        # A frame not yet begun asks the budget in `_serve`, and waits again if it must.
        self._unblock(AT_ROOM)
        return True

    # Answers out

    def answered(self, context: RequestContext) -> None:
        self._release(context)
        unanswered = self._unanswered
        if not unanswered or unanswered[0] is not context or self._is_write_due:
            return
        if len(unanswered) == 1:
            # Nothing to wait for: a turn of the loop less until the client hears.
            self.write_answered()
        else:
            # A commit answers many requests at once: a connection writes once, after it.
            self._is_write_due = True
            self._server.write_soon(self)

    def failed(self, error: Exception) -> None:
        log.error("a request from %s failed", self.host, exc_info=error)
        self._close_for(Closed.FAULT)

    def _release(self, context: RequestContext) -> None:
        """The frame's memory is the partition's now, or nobody's."""
        if context.held_bytes:
            self._server.give_back(context.held_bytes)
            context.held_bytes = 0

    def write_answered(self) -> None:
        """Send what is answered at the head of the queue."""
        self._is_write_due = False
        unanswered = self._unanswered
        while unanswered and unanswered[0].is_answered and not self._block & AT_WRITING:
            self._put_out(unanswered.popleft().parts)
        if self._out:
            self._write_out()
        if self._block & AT_FULL and len(unanswered) < self._door.settings.inflight_requests_max:
            self._unblock(AT_FULL)
        if self._block & CLOSING:
            self._close_if_done()

    def _put_out(self, parts: Sequence[Buffer]) -> None:
        """Gather small answers; hand a large one over at once, to hear whether the client still reads."""
        self._out.extend(parts)
        if len(parts) > 1 or len(self._out) >= PARTS_MAX:
            self._write_out()

    def _write_out(self) -> None:
        out, self._out = self._out, []
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if len(out) == 1:
            self._metrics.bytes_out += len(out[0])
            transport.write(out[0])
            return
        parts = coalesced(out)
        self._metrics.bytes_out += sum(map(len, parts))
        transport.writelines(parts)

    # Ends

    def sweep(self, now_ms: int) -> None:
        """Look at every deadline; called once a sweep by the server."""
        settings = self._door.settings
        for context in tuple(self._unanswered):
            if context.expire is not None and now_ms >= context.expires_ms:
                context.expire()
        if self._block & AT_WRITING and self._transport is not None:
            waiting_bytes = self._transport.get_write_buffer_size()
            if not self._swept_write_bytes or waiting_bytes < self._swept_write_bytes:
                self._swept_write_bytes, self._writing_since_ms = waiting_bytes, now_ms
            elif now_ms - self._writing_since_ms >= settings.slow_reader_deadline_ms:
                self._close_for(Closed.SLOW_READER)
        elif self._is_reading_paused:
            self._heard_ms = self._frame_begun_ms = now_ms
        elif self._reader.is_inside_frame and now_ms - self._frame_begun_ms >= settings.frame_deadline_ms:
            self._close_for(Closed.FRAME_DEADLINE)
        elif not self._unanswered:
            deadline_ms = settings.idle_deadline_ms if self._frames_begun else settings.first_frame_deadline_ms
            if now_ms - self._heard_ms >= deadline_ms:
                self._close_for(Closed.IDLE if self._frames_begun else Closed.FRAME_DEADLINE)

    def close_if_stalled(self, now_ms: int) -> None:
        """Others wait for room: a large frame begun before the last sweep must have grown since."""
        there = self._reader.progress_bytes
        settings = self._door.settings
        if there and not self._is_reading_paused:
            is_old = now_ms - self._frame_begun_ms >= 2 * settings.sweep_ms
            if is_old and 0 <= there - self._swept_bytes < settings.frame_progress_bytes:
                self._close_for(Closed.NO_ROOM)
            self._swept_bytes = there

    def drain(self) -> None:
        """Begin no further request, send the answers that are due, then close."""
        self._block |= CLOSING
        self._closed_for = Closed.STOPPING
        for context in tuple(self._unanswered):
            if context.hurry is not None:
                context.hurry()
        self._close_if_done()

    def abort(self) -> None:
        self._close_for(Closed.STOPPING)

    def _close_if_done(self) -> None:
        due = any(context.is_answered or not context.route.api.is_patient for context in self._unanswered)
        if not due and not self._out and self._transport is not None:
            self._transport.close()

    def _close_for(self, reason: Closed) -> None:
        """Close now: nothing further is read or answered."""
        self._block |= CLOSING
        if self._transport is not None and not self._transport.is_closing():
            self._closed_for = reason
            if self._out:  # answers to earlier requests of the same read
                self._write_out()
            if reason in _AT_ONCE:
                self._transport.abort()
            else:
                self._transport.close()


_AT_ONCE = frozenset({Closed.SLOW_READER, Closed.NO_ROOM, Closed.STOPPING, Closed.FRAME_DEADLINE, Closed.REFUSED})


def coalesced(parts: Sequence[Buffer]) -> list[Buffer]:
    """The same bytes with runs of small parts joined; large parts are passed on as they are."""
    joined: list[Buffer] = []
    run: list[Buffer] = []
    for part in parts:
        if len(part) < ZERO_COPY_BYTES:
            run.append(part)
            continue
        if run:
            joined.append(b"".join(run))
            run = []
        joined.append(part)
    if run:
        joined.append(b"".join(run))
    return joined
