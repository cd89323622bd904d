"""A thread that gives signs of life for its node, and notes those of others, however late the event loop is.

On a machine with more to do than it can, a loop may come round once in half a second, and more seldom: its heartbeats
are late, and so is all that it hears. The thread waits for the interpreter's lock only. It speaks for the loop as long
as that has shown itself within `stall_ms`; a process that was stopped or killed says nothing. Nothing but timers goes
by signs (docs/decisions/0012): who leads, what is committed and what is read is decided by messages.

Signs go by UDP, to the peer port's number. Without them all is as if nobody gave any.
"""

import logging
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from .interfaces import GroupId, NodeId, Term
from .vital_signs import SIGN_BYTES_MAX, Sign, decode_led, decode_sign, encode_led, encode_sign, sender_of

TURN_DATAGRAMS_MAX = 256  # before it is looked whether a sign of our own is due

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Pair:
    """One link to another node. `sign` has one writer, the thread; all else the loop writes."""

    address: tuple[str, int]
    key: bytes
    spoke_ms: int
    sign: "_Heard | None" = None


@dataclass(frozen=True, slots=True)
class _Heard:
    number: int
    led: bytes
    at_ms: int


class Vitals:
    """Fulfils `vital_signs.Signs`. Methods belong to one event loop; the thread runs from `open` to `close`."""

    def __init__(self, me: NodeId, *, heartbeat_ms: int, election_ms: int, stall_ms: int) -> None:
        assert heartbeat_ms < election_ms < stall_ms, f"{heartbeat_ms}, {election_ms}, {stall_ms} ms"
        self.led: Callable[[], Iterable[tuple[GroupId, Term]]] = lambda: ()
        self._me = me
        self._heartbeat_ms, self._election_ms, self._stall_ms = heartbeat_ms, election_ms, stall_ms
        self._pairs: dict[NodeId, _Pair] = {}  # replaced, never changed: the thread may be looking at it
        self._leading = b""
        self._loop_ms = now_ms()
        self._parsed: dict[NodeId, tuple[bytes, frozenset[tuple[int, int]]]] = {}
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._is_closing = False

    def open(self, host: str, port: int) -> None:
        """Begin; without a socket there are no signs, and that is said once."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        own = socket.socket(family, socket.SOCK_DGRAM)
        try:
            own.bind((host, port))
            own.setblocking(False)
        except OSError as error:
            own.close()
            logger.warning(
                "no signs of life by UDP on %s:%d: %s; elections may follow from overload", host, port, error
            )
            return
        self._socket = own
        self._thread = threading.Thread(target=self._run, args=(own,), name="vitals", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread; it is woken, and would look up by itself within a heartbeat."""
        self._is_closing = True
        if self._thread is not None and self._socket is not None:
            with suppress(OSError):
                self._socket.sendto(b"", self._socket.getsockname())
            self._thread.join()
            self._socket.close()

    # What the links tell

    def on_up(self, node: NodeId, address: tuple[str, int], key: bytes) -> None:
        self._pairs = {**self._pairs, node: _Pair(address, key, now_ms())}

    def on_down(self, node: NodeId) -> None:
        self._pairs = {known: pair for known, pair in self._pairs.items() if known != node}
        self._parsed.pop(node, None)

    def on_bytes(self, node: NodeId, at_ms: int) -> None:
        """Something came over the link then."""
        pair = self._pairs.get(node)
        if pair is not None:
            pair.spoke_ms = at_ms

    def beat(self, at_ms: int) -> None:
        """The loop lives. Called each heartbeat, if it can."""
        self._leading = encode_led(self.led())
        self._loop_ms = at_ms

    # vital_signs.Signs

    def lives(self, node: NodeId) -> bool:
        return self._sign_or_none(node) is not None

    def leads(self, node: NodeId, group_id: GroupId, term: Term) -> bool:
        led = self._sign_or_none(node)
        if led is None:
            return False
        parsed = self._parsed.get(node)
        if parsed is None or parsed[0] != led:
            parsed = self._parsed[node] = led, decode_led(led)
        return (group_id, term) in parsed[1]

    def _sign_or_none(self, node: NodeId) -> bytes | None:
        """What the node says to lead, if its sign counts now."""
        pair = self._pairs.get(node)
        sign = None if pair is None else pair.sign
        if pair is None or sign is None:
            return None
        at_ms = now_ms()
        is_fresh = at_ms - sign.at_ms < self._election_ms and at_ms - pair.spoke_ms < self._stall_ms
        return sign.led if is_fresh else None

    # The thread

    def _run(self, own: socket.socket) -> None:
        number, due_ms = 0, now_ms()
        poller = select.poll()
        poller.register(own, select.POLLIN)
        while not self._is_closing:
            if poller.poll(max(0, due_ms - now_ms())):
                self._hear(own)
            at_ms = now_ms()
            if at_ms >= due_ms:
                due_ms = at_ms + self._heartbeat_ms
                if at_ms - self._loop_ms < self._stall_ms:
                    number += 1
                    self._say(own, number)

    def _say(self, own: socket.socket, number: int) -> None:
        led = self._leading
        for pair in self._pairs.values():
            with suppress(OSError):  # full, or nobody there: the next one follows
                own.sendto(encode_sign(Sign(self._me, number, led), pair.key), pair.address)

    def _hear(self, own: socket.socket) -> None:
        for _ in range(TURN_DATAGRAMS_MAX):
            try:
                datagram = own.recv(SIGN_BYTES_MAX + 1)
            except BlockingIOError:
                return
            except OSError:  # what was sent before was refused: told here
                continue
            self._take(datagram)

    def _take(self, datagram: bytes) -> None:
        sender = sender_of(datagram)
        pair = None if sender is None else self._pairs.get(sender)
        sign = None if pair is None else decode_sign(datagram, pair.key)
        if pair is None or sign is None or (pair.sign is not None and sign.number <= pair.sign.number):
            return
        pair.sign = _Heard(sign.number, sign.led, now_ms())


def now_ms() -> int:
    """The clock of `clock.LoopClock`."""
    return int(time.monotonic() * 1000)
