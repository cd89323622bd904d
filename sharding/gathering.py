"""What is on its way into a shard's log: commands and how they are answered, and the entry that they become."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from raft.interfaces import Buffer

from .commands.command import Command

# A payload below this is copied: into its entry (a view would keep its whole frame alive), or together with others into
# one fetched slice (each view costs a write vector).
COPIED_BYTES_MAX = 16 * 1024

OnDone = Callable[[object], None]


class Pending:
    """A command on its way to the log: its bytes (`size` of them in `parts`), and how it is answered."""

    __slots__ = ("acks", "command", "on_done", "parts", "size")

    def __init__(self, command: Command, acks: int, on_done: OnDone, parts: Sequence[Buffer], size: int) -> None:
        self.command = command
        self.acks = acks
        self.on_done = on_done
        self.parts = parts
        self.size = size


class Held(NamedTuple):
    """An append of `size` bytes that waits for the next split of its partition to open."""

    size: int
    retry: Callable[[], None]
    on_done: OnDone


class Entry:
    """A proposed entry; `persisted` are the appends that wait for the leader's disk alone."""

    __slots__ = ("index", "pending", "persisted", "size", "term")

    def __init__(self, term: int, index: int, pending: list[Pending], size: int) -> None:
        self.term = term
        self.index = index
        self.pending = pending
        self.size = size
        self.persisted = [p for p in pending if p.acks == 1]


def body_of(pending: Sequence[Pending]) -> list[Buffer]:
    """The buffers of an entry: small parts copied together, large payloads as they are."""
    body: list[Buffer] = []
    small: list[Buffer] = []
    for one in pending:
        for part in one.parts:
            if len(part) < COPIED_BYTES_MAX:
                small.append(part)
            else:
                if small:
                    body.append(b"".join(small))
                    small = []
                body.append(part)
    if small:
        body.append(b"".join(small))
    return body
