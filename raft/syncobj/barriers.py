"""Linearizable reads by entries: what was committed when a read began is applied when an entry proposed later is.

A majority put the entry on its disks in the leader's term, so no other leader had confirmed anything before that. An
entry under way proves nothing for a read that begins now: its acknowledgements may have been sent earlier. So reads
wait for the next one, all together.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from ..interfaces import Index, NodeId


class Asked(NamedTuple):
    asker: NodeId
    context: Hashable


class Barriers:
    """A leader's. At most one entry is under way."""

    def __init__(self) -> None:
        self._waiting: list[Asked] = []
        self._under_way: list[Asked] = []
        self._index: Index | None = None

    def add(self, asked: Asked) -> None:
        if asked not in self._waiting:
            self._waiting.append(asked)

    @property
    def wants_entry(self) -> bool:
        return bool(self._waiting) and self._index is None

    def on_proposed(self, index: Index) -> None:
        self._index = index
        self._under_way, self._waiting = self._waiting, []

    def on_committed(self, committed: Index) -> tuple[Index, Sequence[Asked]]:
        """The reads that may be answered, and what they must have applied."""
        if self._index is None or committed < self._index:
            return committed, ()
        index, answered = self._index, self._under_way
        self._index, self._under_way = None, []
        return index, answered

    def fail(self, own: NodeId) -> list[Hashable]:
        """It leads no more; members that asked ask again."""
        failed = [asked.context for asked in self._under_way + self._waiting if asked.asker == own]
        self._waiting, self._under_way, self._index = [], [], None
        return failed
