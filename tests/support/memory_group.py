"""A replicated log in memory: one member, whose disk is a list that outlives it, so that a test can restart from it."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from raft.errors import EntryTooLargeError, NotLeaderError
from raft.interfaces import (
    Buffer,
    GroupId,
    Index,
    NodeId,
    Place,
    Proposal,
    Role,
    RoleChange,
    StateMachine,
    Term,
)


@dataclass
class MemoryDisk:
    """What survives: committed entries as (term, body), the checkpoint with the index it stands for, the term."""

    entries: list[tuple[int, bytes]] = field(default_factory=list)
    checkpoint: tuple[int, bytes] | None = None
    term: int = 0
    _starts: list[int] = field(default_factory=lambda: [0])
    _segment: bytearray = field(default_factory=bytearray)

    def place(self, index: int) -> Place:
        """Where an entry's body begins: all bodies stand one after the other in the one segment."""
        while len(self._starts) < index:
            self._segment += self.entries[len(self._starts) - 1][1]
            self._starts.append(len(self._segment))
        return Place(1, self._starts[index - 1])

    def read(self, position: int, length: int) -> bytes:
        self.place(len(self.entries) + 1)
        return bytes(self._segment[position : position + length])


class MemoryGroup:
    """Fulfils `raft.interfaces.RaftGroup`. Commits in the next turn of the loop, or on `release` while `is_held`."""

    def __init__(
        self, machine: StateMachine, disk: MemoryDisk, *, group_id: int = 1, folder: Path | None = None
    ) -> None:
        self.group_id = GroupId(group_id)
        self.folder = folder
        self.role = Role.FOLLOWER
        self.term = Term(disk.term)
        self.leader_or_none: NodeId | None = None
        self.applied = Index(0)
        self.is_writing = False
        self.is_held = False
        self.is_stopped = False
        self.refusal: Exception | None = None
        self._machine = machine
        self._disk = disk
        self._pending: deque[tuple[Index, list[Buffer]]] = deque()

    def replay(self) -> None:
        """The restart up to the election: checkpoint, then what follows."""
        if self._disk.checkpoint is not None:
            index, state = self._disk.checkpoint
            self._machine.restore(state)
            self.applied = Index(index)
        for index in range(self.applied + 1, len(self._disk.entries) + 1):
            term, body = self._disk.entries[index - 1]
            if body:
                self._machine.apply(Term(term), Index(index), [memoryview(body)], self._disk.place(index))
            self.applied = Index(index)

    def lead(self) -> None:
        """Elected; the no-op of the term is committed and applied."""
        self.term = Term(self.term + 1)
        self._disk.term = self.term
        self._disk.entries.append((self.term, b""))
        self.applied = Index(len(self._disk.entries))
        self.role, self.leader_or_none = Role.LEADER, NodeId(1)
        self._machine.on_role(RoleChange(self.role, self.term, self.leader_or_none))

    def step_down(self, leader: int | None = 2) -> None:
        """What is not committed is lost with the leadership."""
        self._pending.clear()
        self.role, self.leader_or_none = Role.FOLLOWER, None if leader is None else NodeId(leader)
        self._machine.on_role(RoleChange(self.role, self.term, self.leader_or_none))

    def check_accepts(self) -> None:
        if self.role is not Role.LEADER:
            raise NotLeaderError(self.leader_or_none)
        if self.refusal is not None and not isinstance(self.refusal, EntryTooLargeError):
            raise self.refusal

    def propose(self, body: Sequence[Buffer]) -> Proposal:
        self.check_accepts()
        if self.refusal is not None:
            raise self.refusal
        index = Index(len(self._disk.entries) + len(self._pending) + 1)
        self._pending.append((index, list(body)))
        if not self.is_held:
            asyncio.get_running_loop().call_soon(self.release)
        return Proposal(self.term, index)

    def release(self, count: int | None = None) -> None:
        """Commit the oldest pending entries, all without a count."""
        for _ in range(len(self._pending) if count is None else count):
            index, body = self._pending.popleft()
            self._disk.entries.append((self.term, b"".join(body)))
            self._machine.on_persisted(self.term, index)
            self._machine.apply(self.term, index, body, self._disk.place(index))
            self.applied = index

    @property
    def pending_count(self) -> int:
        return len(self._pending)

    async def read_barrier(self) -> Index:
        if self.role is not Role.LEADER:
            raise NotLeaderError(self.leader_or_none)
        return self.applied

    def save_checkpoint(self, state: bytes) -> None:
        self._disk.checkpoint = self.applied, state

    def read(self, segment: int, position: int, length: int) -> memoryview:
        return memoryview(self._disk.read(position, length))

    def segment_path(self, segment: int) -> str:
        """The segment as a file, made when it is asked for."""
        if self.folder is None:
            raise NotImplementedError("the double was given no folder for segments")
        path = self.folder / f"{self.group_id}-{segment}.log"
        path.write_bytes(b"".join(body for _, body in self._disk.entries))
        return str(path)

    async def transfer(self, node: NodeId) -> None:
        raise NotImplementedError("the double has one member")

    async def change(self, members: Sequence[NodeId]) -> None:
        raise NotImplementedError("the double has one member")

    async def close(self) -> None:
        self.step_down(None)
