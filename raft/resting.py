"""Two nodes whose groups have nothing new to say: one frame for all of them, the same bytes at each beat. Pure.

A group *rests* when its leader has everything in common with the members that can be reached: same term, committed
index and read round in each beat. What the rows of such groups say to one node is encoded once, and is sent again byte
for byte. The other node looks at the rows when the bytes are new to it, group by group. From then on the same bytes
only mean that each of these leaders still lives, as long as none of the groups has woken; and its answer, the same
bytes each time too, that each of these members still follows. So who has spoken is known for the pair, in one number;
a group that wakes is told what was said since it came to rest (`heard_ms`), and nothing that was said before.
"""

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from .codec import HeartbeatResponseRow, HeartbeatRow, encode_heartbeat_responses, encode_heartbeats

Group = TypeVar("Group")


class Speaking(Generic[Group]):
    """What this node's resting leaders say to one other node, and when it last answered just that.

    `heard_ms` is not earlier than the evidence with which the first of the groups came to rest.
    """

    def __init__(self) -> None:
        self.rows: dict[Group, HeartbeatRow] = {}
        self.heard_ms = 0
        self.sent_ms = 0
        self._frame = b""
        self._answer: bytes | None = None

    def join(self, group: Group, row: HeartbeatRow, heard_ms: int) -> None:
        """`heard_ms`: the other node answered this group then, or later."""
        if not self.rows:
            self.heard_ms = heard_ms
        self.rows[group] = row
        self._answer = None

    def leave(self, group: Group) -> None:
        if self.rows.pop(group, None) is not None:
            self._answer = None

    @property
    def frame(self) -> bytes:
        self._expected()
        return self._frame

    def hears(self, payload: memoryview, now_ms: int) -> bool:
        """Whether it is the answer to exactly what is said now."""
        if not self.rows or bytes(payload) != self._expected():
            return False
        self.heard_ms = now_ms
        return True

    def _expected(self) -> bytes:
        if self._answer is None:
            rows = self.rows.values()
            self._frame = encode_heartbeats([*rows])
            self._answer = encode_heartbeat_responses(answers(rows))
        return self._answer


class Listening(Generic[Group]):
    """What another node's resting leaders said last, and to which groups; `owes`: it was said again, and not answered.

    Once a group leaves, the same bytes are new again. Those that stay count them as heard until they are looked at.
    """

    def __init__(self) -> None:
        self.groups: dict[Group, None] = {}
        self.heard_ms = 0
        self.owes = False
        self.answer = b""
        self._frame: bytes | None = None

    def begin(self, groups: Sequence[Group], rows: Sequence[HeartbeatRow], payload: memoryview, now_ms: int) -> None:
        """All of these groups were found to rest, by these very bytes."""
        assert len(groups) == len(rows), f"{len(groups)} groups, {len(rows)} rows"
        self.groups = dict.fromkeys(groups)
        self.heard_ms = now_ms
        self.answer = encode_heartbeat_responses(answers(rows))
        self._frame = bytes(payload)

    def leave(self, group: Group) -> None:
        if group in self.groups:
            del self.groups[group]
            self._frame = None
            self.owes = False

    def hears(self, payload: memoryview, now_ms: int) -> bool:
        """Whether that was said before, and still is all that is to be known."""
        if self._frame is None or bytes(payload) != self._frame:
            return False
        self.heard_ms = now_ms
        self.owes = True
        return True


def answers(rows: Iterable[HeartbeatRow]) -> list[HeartbeatResponseRow]:
    """Of members that have nothing to add, each in the leader's own words."""
    return [HeartbeatResponseRow(row.group_id, row.term, row.round) for row in rows]
