"""Linearizable reads without an entry: a leader confirms by a round that it still leads. Source: thesis, 6.4.

A read may be answered with what was committed when it began, once a majority has answered a message that its leader
sent after that. One round at a time confirms all reads that began before it; a follower's read asks the leader.
"""

from collections import deque
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from .core_state import Randomness
from .interfaces import Index, NodeId

NUMBER_MAX = 1 << 62


class Read(NamedTuple):
    """A confirmed read: `context` may read what an applied `index` shows."""

    context: Hashable
    index: Index  # pyright: ignore[reportIncompatibleMethodOverride] - the paper's word; nobody searches this tuple


class WaitingRead(NamedTuple):
    """`asker`: the member whose read it is. Confirmed by `round`, or a later one."""

    round: int
    asker: NodeId
    context: Hashable
    index: Index  # pyright: ignore[reportIncompatibleMethodOverride] - the paper's word; nobody searches this tuple


class ReadRounds:
    """The leader's side: `confirmed <= newest`; every message to a member carries `newest`."""

    def __init__(self) -> None:
        self.newest = 0
        self.confirmed = 0
        self._waiting: deque[WaitingRead] = deque()
        self._asked: set[tuple[NodeId, Hashable]] = set()

    def add(self, asker: NodeId, context: Hashable, committed: Index) -> None:
        """A read begins; one that is asked for again is the same read."""
        if (asker, context) not in self._asked:
            self._asked.add((asker, context))
            self._waiting.append(WaitingRead(self.newest + 1, asker, context, committed))

    @property
    def wants_round(self) -> bool:
        """Reads wait for a round that has not begun, and none is under way."""
        return self.confirmed == self.newest and bool(self._waiting)

    @property
    def has_unsent(self) -> bool:
        return bool(self._waiting) and self._waiting[-1].round > self.newest

    def begin_round(self) -> None:
        self.newest += 1

    def confirm(self, round_: int) -> Sequence[WaitingRead]:
        """A majority answered this round: the reads that may be answered."""
        if round_ <= self.confirmed:
            return ()
        self.confirmed = round_
        confirmed: list[WaitingRead] = []
        while self._waiting and self._waiting[0].round <= round_:
            read = self._waiting.popleft()
            self._asked.discard((read.asker, read.context))
            confirmed.append(read)
        return confirmed

    def own_contexts(self, node_id: NodeId) -> list[Hashable]:
        return [read.context for read in self._waiting if read.asker == node_id]


class ForwardedReads:
    """A follower's side: one request at a time, for all reads that began before it was sent.

    Numbers begin anywhere, so that an answer from before a restart is an answer to nothing.
    """

    def __init__(self, random: Randomness) -> None:
        self._number = random.randrange(0, NUMBER_MAX)
        self._waiting: list[Hashable] = []
        self._asked: list[Hashable] = []

    @property
    def number(self) -> int:
        """Of the request under way."""
        return self._number

    @property
    def is_asking(self) -> bool:
        return bool(self._asked)

    def add(self, context: Hashable) -> None:
        self._waiting.append(context)

    def ask(self) -> bool:
        """Whether a new request is to be sent, under a new `number`."""
        if self._asked or not self._waiting:
            return False
        self._number += 1
        self._asked, self._waiting = self._waiting, []
        return True

    def answer(self, number: int) -> Sequence[Hashable]:
        """The reads that an answer to request `number` confirms."""
        if number != self._number:
            return ()
        answered, self._asked = self._asked, []
        return answered

    def fail(self) -> Sequence[Hashable]:
        failed = self._asked + self._waiting
        self._asked, self._waiting = [], []
        return failed
