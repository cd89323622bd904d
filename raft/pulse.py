"""What beats once for all groups of a node: their ticks and their heartbeats.

One ticker, every half heartbeat, looks at each lively group that has other members; when all rest (`resting`), it beats
once a heartbeat; no such group, no ticker. What lively groups have to say by heartbeat to one node goes in one frame,
what resting ones say in another that stays the same. An answer to the latter goes with the own next beat.

A pair of nodes that is silent for `stale_ms` wakes its groups, early enough for each to count its own time exactly.
"""

import asyncio
import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from .clock import Clock, Timer
from .codec import (
    HeartbeatResponseRow,
    HeartbeatRow,
    MessageKind,
    encode_heartbeat_responses,
    encode_heartbeats,
)
from .core_state import Timings
from .interfaces import NodeId
from .resting import Listening, Speaking

SendBeat = Callable[[NodeId, Sequence[tuple[int, bytes]]], bool]
"""To a node: messages of no single group, each a kind and a payload; with one write."""

logger = logging.getLogger(__name__)


class Ticked(Protocol):
    """`is_resting` is the pulse's: nothing happens in the group before it was woken."""

    is_resting: bool

    @property
    def due_ms(self) -> int: ...
    def on_tick(self, now_ms: int, *, is_late: bool) -> None:
        """`is_late`: our own loop was busy for longer than a heartbeat."""
        ...

    def heartbeats_at_rest(self) -> Sequence[tuple[NodeId, HeartbeatRow]]:
        """Asked after a tick. What it would say in each beat from now on; nothing: it does not lead, or not at rest."""
        ...

    def on_wake(self, now_ms: int, heard: Mapping[NodeId, int], beat_due_ms: int) -> None:
        """`heard`: who spoke to this group when, while it was at rest."""
        ...


@dataclass(frozen=True, slots=True)
class _Rest:
    since_ms: int
    leads: bool
    nodes: tuple[NodeId, ...]


class Pulse:
    """Owns the ticker. A group is lively or rests; it rests as a leader, or as a member that follows one node."""

    def __init__(self, clock: Clock, timings: Timings, send: SendBeat) -> None:
        self._clock = clock
        self._heartbeat_ms = timings.heartbeat_ms
        self._step_ms = max(1, timings.heartbeat_ms // 2)
        self._stale_ms = max(timings.election_ms // 2, timings.election_ms - 2 * timings.heartbeat_ms)
        self._due_ms = 0
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._lively: dict[Ticked, None] = {}
        self._resting: dict[Ticked, _Rest] = {}
        self._speaking: dict[NodeId, Speaking[Ticked]] = {}
        self._listening: dict[NodeId, Listening[Ticked]] = {}
        self._timer: Timer | None = None
        self._heartbeats: dict[NodeId, list[HeartbeatRow]] = {}
        self._responses: dict[NodeId, list[HeartbeatResponseRow]] = {}
        self._is_flushing = False

    def add(self, ticked: Ticked) -> None:
        if not ticked.is_resting:
            self._lively[ticked] = None
            self._quicken(self._clock.now_ms())

    def discard(self, ticked: Ticked) -> None:
        self._lively.pop(ticked, None)
        rest = self._resting.pop(ticked, None)
        if rest is not None:
            ticked.is_resting = False
            self._take_out(ticked, rest)
        if not self._lively and not self._resting and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def add_heartbeat(self, to: NodeId, row: HeartbeatRow) -> None:
        self._heartbeats.setdefault(to, []).append(row)
        self._flush_soon()

    def add_response(self, to: NodeId, row: HeartbeatResponseRow) -> None:
        self._responses.setdefault(to, []).append(row)
        self._flush_soon()

    # Rest

    def hears_same(self, sender: NodeId, payload: memoryview) -> bool:
        """Whether these heartbeats of resting groups are those that were heard last; then they are done with."""
        listening = self._listening.get(sender)
        return listening is not None and listening.hears(payload, self._clock.now_ms())

    def hears_answer(self, sender: NodeId, payload: memoryview) -> bool:
        """Whether these answers are all that the resting groups wait for; then they are done with."""
        speaking = self._speaking.get(sender)
        return speaking is not None and speaking.hears(payload, self._clock.now_ms())

    def rest_following(
        self, leader: NodeId, groups: Sequence[Ticked], rows: Sequence[HeartbeatRow], payload: memoryview
    ) -> None:
        """Each of these groups takes its row for nothing but life; they are answered here, and rest from now on."""
        now_ms = self._clock.now_ms()
        for group in groups:
            rest = self._resting.get(group)
            if rest is not None and (rest.leads or rest.nodes != (leader,)):
                self.wake(group)
        listening = self._listening.setdefault(leader, Listening())
        for group in set(listening.groups).difference(groups):
            self.wake(group)
        listening.begin(groups, rows, payload, now_ms)
        for group in groups:
            self._put_to_rest(group, _Rest(now_ms, leads=False, nodes=(leader,)))
        listening.owes = False
        self._send(leader, [(MessageKind.HEARTBEAT_RESPONSES, listening.answer)])

    def wake(self, ticked: Ticked) -> None:
        """Something happens in a group that rests, or is about to."""
        rest = self._resting.pop(ticked)
        now_ms = self._clock.now_ms()
        ticked.is_resting = False
        self._lively[ticked] = None
        pairs = self._speaking if rest.leads else self._listening
        told = {node: pairs[node].heard_ms for node in rest.nodes}
        heard = {node: heard_ms for node, heard_ms in told.items() if heard_ms > rest.since_ms}
        sent_ms = [self._speaking[node].sent_ms for node in rest.nodes] if rest.leads else []
        self._take_out(ticked, rest)
        ticked.on_wake(now_ms, heard, min([*sent_ms, now_ms]) + self._heartbeat_ms)
        self._quicken(now_ms)

    def _put_to_rest(self, ticked: Ticked, rest: _Rest) -> None:
        self._lively.pop(ticked, None)
        self._resting[ticked] = rest
        ticked.is_resting = True

    def _take_out(self, ticked: Ticked, rest: _Rest) -> None:
        for node in rest.nodes:
            if rest.leads:
                self._speaking[node].leave(ticked)
            else:
                self._listening[node].leave(ticked)

    # Time

    def _tick(self) -> None:
        """Whatever fails in one group, the others beat; it has stopped by itself if it could."""
        now_ms = self._clock.now_ms()
        is_late = now_ms - self._due_ms > self._heartbeat_ms
        self._arm(now_ms)
        for ticked in self._unheard(now_ms):
            with self._guard(ticked):
                self.wake(ticked)
        self._beat_for_resting(now_ms)
        for ticked in [ticked for ticked in self._lively if ticked.due_ms <= now_ms]:
            with self._guard(ticked):
                self._tick_one(ticked, now_ms, is_late=is_late)
        if not self._lively and self._timer is not None:
            self._arm(now_ms)

    @contextmanager
    def _guard(self, ticked: Ticked) -> Generator[None]:
        try:
            yield
        except Exception:
            logger.exception("a group fails at a tick; it is ticked no more")
            self.discard(ticked)

    def _tick_one(self, ticked: Ticked, now_ms: int, *, is_late: bool) -> None:
        ticked.on_tick(now_ms, is_late=is_late)
        rows = ticked.heartbeats_at_rest()
        if rows and ticked in self._lively:
            for node, row in rows:
                self._speaking.setdefault(node, Speaking()).join(ticked, row, now_ms - self._heartbeat_ms)
            self._put_to_rest(ticked, _Rest(now_ms, leads=True, nodes=tuple(node for node, _ in rows)))

    def _unheard(self, now_ms: int) -> list[Ticked]:
        """Groups that rest while somebody whom they wait for is silent."""
        oldest_ms = now_ms - self._stale_ms
        unheard: dict[Ticked, None] = {}
        for speaking in self._speaking.values():
            if speaking.heard_ms <= oldest_ms:
                unheard.update(dict.fromkeys(speaking.rows))
        for listening in self._listening.values():
            if listening.heard_ms <= oldest_ms:
                unheard.update(listening.groups)
        return [*unheard]

    def _beat_for_resting(self, now_ms: int) -> None:
        beats: dict[NodeId, list[tuple[int, bytes]]] = {}
        for node, speaking in self._speaking.items():
            # Ticks come a little early and late: half a step before its time is its time.
            if speaking.rows and now_ms - speaking.sent_ms >= self._heartbeat_ms - self._step_ms // 2:
                speaking.sent_ms = now_ms
                beats.setdefault(node, []).append((MessageKind.HEARTBEATS_AT_REST, speaking.frame))
        for node, listening in self._listening.items():
            if listening.owes:
                listening.owes = False
                beats.setdefault(node, []).append((MessageKind.HEARTBEAT_RESPONSES, listening.answer))
        for node, messages in beats.items():
            self._send(node, messages)

    def _quicken(self, now_ms: int) -> None:
        """A group is lively: the next tick is at most half a heartbeat away."""
        if self._timer is None or self._due_ms > now_ms + self._step_ms:
            self._arm(now_ms)

    def _arm(self, now_ms: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        delay_ms = self._step_ms if self._lively else self._heartbeat_ms
        self._due_ms = now_ms + delay_ms
        self._timer = self._clock.call_later(delay_ms, self._tick)

    # Frames of lively groups

    def _flush_soon(self) -> None:
        if not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flushing = False
        heartbeats, self._heartbeats = self._heartbeats, {}
        responses, self._responses = self._responses, {}
        for to, rows in heartbeats.items():
            self._send(to, [(MessageKind.HEARTBEATS, encode_heartbeats(rows))])
        for to, rows in responses.items():
            self._send(to, [(MessageKind.HEARTBEAT_RESPONSES, encode_heartbeat_responses(rows))])
