"""One timer for the deadlines of many groups.

A heap of (time, key) with lazy corrections: a deadline that moves back costs nothing until its old time comes, so a
heartbeat never touches the heap. Bounded: at most twice as many entries as keys, plus a few.
"""

import logging
from collections.abc import Callable, Hashable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Generic, TypeVar

from raft.clock import Clock, Timer

DUE_MAX = 32  # keys handled in one callback: the loop must not stand still when many sessions end at once
STALE_MAX = 64

K = TypeVar("K", bound=Hashable)


class Deadlines(Generic[K]):
    """Calls `on_due(key)` at or after the key's deadline, once for each `set`, never inside `set`."""

    def __init__(self, clock: Clock, on_due: Callable[[K], None], logger: logging.Logger) -> None:
        self._clock = clock
        self._on_due = on_due
        self._logger = logger
        self._wanted: dict[K, int] = {}
        self._queued: dict[K, int] = {}  # the time of the key's one valid heap entry; at or before the wanted time
        self._heap: list[tuple[int, int, K]] = []
        self._order = count()
        self._timer: Timer | None = None
        self._timer_ms = 0

    def __len__(self) -> int:
        return len(self._wanted)

    @property
    def entry_count(self) -> int:
        return len(self._heap)

    def set(self, key: K, at_ms: int | None) -> None:
        """None: no deadline any more."""
        if at_ms is None:
            self.discard(key)
            return
        self._wanted[key] = at_ms
        queued_ms = self._queued.get(key)
        if queued_ms is None or at_ms < queued_ms:
            self._push(key, at_ms)
            self._arm()

    def discard(self, key: K) -> None:
        self._wanted.pop(key, None)
        self._queued.pop(key, None)

    def close(self) -> None:
        self._wanted.clear()
        self._queued.clear()
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _push(self, key: K, at_ms: int) -> None:
        self._queued[key] = at_ms
        heappush(self._heap, (at_ms, next(self._order), key))
        if len(self._heap) > 2 * len(self._queued) + STALE_MAX:
            self._heap = [(at, next(self._order), each) for each, at in self._queued.items()]
            heapify(self._heap)

    def _arm(self) -> None:
        if not self._heap:
            return
        at_ms = self._heap[0][0]
        if self._timer is not None and self._timer_ms <= at_ms:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_ms = at_ms
        self._timer = self._clock.call_later(max(at_ms - self._clock.now_ms(), 0), self._fire)

    def _fire(self) -> None:
        self._timer = None
        now_ms = self._clock.now_ms()
        due: list[K] = []
        while self._heap and self._heap[0][0] <= now_ms and len(due) < DUE_MAX:
            at_ms, _, key = heappop(self._heap)
            if self._queued.get(key) != at_ms:
                continue
            del self._queued[key]
            if self._wanted[key] <= now_ms:
                del self._wanted[key]
                due.append(key)
            else:
                self._push(key, self._wanted[key])
        self._arm()
        for key in due:
            try:
                self._on_due(key)
            except Exception:
                # Our mistake over one group must not stop the sessions of all others.
                self._logger.exception("deadline of %r", key)
