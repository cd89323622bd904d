"""What beats once for all groups of a node: their ticks and their heartbeats.

One ticker, every half heartbeat, looks at each group that has other members; none such, no ticker. What the groups
have to say by heartbeat to one node goes in one frame.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from .clock import Clock, Timer
from .codec import (
    HeartbeatResponseRow,
    HeartbeatRow,
    MessageKind,
    encode_heartbeat_responses,
    encode_heartbeats,
)
from .interfaces import Buffer, GroupId, NodeId

NO_GROUP = GroupId(0)
Send = Callable[[NodeId, GroupId, int, Sequence[Buffer]], bool]


class Ticked(Protocol):
    @property
    def due_ms(self) -> int: ...
    def on_tick(self, now_ms: int, *, is_late: bool) -> None:
        """`is_late`: our own loop was busy for longer than a heartbeat."""
        ...


class Pulse:
    """Owns the ticker."""

    def __init__(self, clock: Clock, heartbeat_ms: int, send: Send) -> None:
        self._clock = clock
        self._heartbeat_ms = heartbeat_ms
        self._step_ms = max(1, heartbeat_ms // 2)
        self._due_ms = 0
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._ticked: dict[Ticked, None] = {}
        self._timer: Timer | None = None
        self._heartbeats: dict[NodeId, list[HeartbeatRow]] = {}
        self._responses: dict[NodeId, list[HeartbeatResponseRow]] = {}
        self._is_flushing = False

    def add(self, ticked: Ticked) -> None:
        self._ticked[ticked] = None
        if self._timer is None:
            self._arm(self._clock.now_ms())

    def discard(self, ticked: Ticked) -> None:
        self._ticked.pop(ticked, None)
        if not self._ticked and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def add_heartbeat(self, to: NodeId, row: HeartbeatRow) -> None:
        self._heartbeats.setdefault(to, []).append(row)
        self._flush_soon()

    def add_response(self, to: NodeId, row: HeartbeatResponseRow) -> None:
        self._responses.setdefault(to, []).append(row)
        self._flush_soon()

    def _tick(self) -> None:
        now_ms = self._clock.now_ms()
        is_late = now_ms - self._due_ms > self._heartbeat_ms
        self._arm(now_ms)
        for ticked in [ticked for ticked in self._ticked if ticked.due_ms <= now_ms]:
            ticked.on_tick(now_ms, is_late=is_late)

    def _arm(self, now_ms: int) -> None:
        self._due_ms = now_ms + self._step_ms
        self._timer = self._clock.call_later(self._step_ms, self._tick)

    def _flush_soon(self) -> None:
        if not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flushing = False
        heartbeats, self._heartbeats = self._heartbeats, {}
        responses, self._responses = self._responses, {}
        for to, rows in heartbeats.items():
            self._send(to, NO_GROUP, MessageKind.HEARTBEATS, (encode_heartbeats(rows),))
        for to, rows in responses.items():
            self._send(to, NO_GROUP, MessageKind.HEARTBEAT_RESPONSES, (encode_heartbeat_responses(rows),))
