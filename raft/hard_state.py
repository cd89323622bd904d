"""What a member must never forget: its term, and its vote in it. File `hard_state` of a group, 8 KiB.

The state is in two slots, one per 4 KiB block, written and synced one after the other: before `save` returns both hold
it, so that neither a torn write nor one damaged block ever brings an older term or vote back.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .disk import Disk, DiskFile, create_durably, sync_all
from .errors import ForeignDirectoryError, VoteLostError
from .interfaces import GroupId, NodeId, Term
from .slots import Slot, encode_slot, newest_slot_or_none

HARD_STATE_NAME = "hard_state"
BLOCK_BYTES = 4096
POSITIONS = (0, BLOCK_BYTES)
NO_VOTE = -1


@dataclass(frozen=True, slots=True)
class HardState:
    """`term` never falls; `vote` is the node voted for in this term."""

    term: Term
    vote: NodeId | None


NOTHING = HardState(Term(0), None)


class HardStateFile:
    """The file of one group. Its state is written by one thread."""

    def __init__(self, disk: Disk, directory: str, group_id: GroupId) -> None:
        """Open or, in a directory without a log, create it. Raises: VoteLostError, ForeignDirectoryError, OSError."""
        self._group_id = group_id
        path = f"{directory}/{HARD_STATE_NAME}"
        self._sequence = 1
        self.state = NOTHING
        if HARD_STATE_NAME not in disk.names(directory):
            record = self._encoded()
            content = [record, bytes(BLOCK_BYTES - len(record)), record]
            self._file = create_durably(disk, path, 2 * BLOCK_BYTES, content)
            return
        slot = newest_slot_or_none(memoryview(disk.read(path)), POSITIONS)
        if slot is None:
            raise VoteLostError(path, "neither copy of term and vote is intact")
        if slot.third != group_id:
            raise ForeignDirectoryError(f"{path}: of group {slot.third}, not {group_id}")
        self._sequence = slot.sequence
        self.state = HardState(Term(slot.first), None if slot.second == NO_VOTE else NodeId(slot.second))
        self._file = disk.open(path)
        self._write()  # what was read may not have been durable, or only one copy of it

    def save(self, state: HardState) -> None:
        """Returns when it is durable. Raises: OSError."""
        save_all([(self, state)])

    def begin(self, state: HardState) -> DiskFile:
        """Take over a state that `write_copy` is to write; returns the file to sync after each copy."""
        assert state.term >= self.state.term, f"term falls from {self.state.term} to {state.term}"
        self._sequence += 1
        self.state = state
        return self._file

    def write_copy(self, position: int) -> None:
        self._file.write([self._encoded()], position)

    def close(self) -> None:
        self._file.close()

    def _write(self) -> None:
        for position in POSITIONS:
            self.write_copy(position)
            self._file.sync()

    def _encoded(self) -> bytes:
        vote = NO_VOTE if self.state.vote is None else self.state.vote
        return encode_slot(Slot(self._sequence, self.state.term, vote, self._group_id))


def save_all(changes: Sequence[tuple[HardStateFile, HardState]]) -> None:
    """Save the states of several groups side by side: after a failure of a leader many vote at once.

    Returns when all are durable. Raises: OSError.
    """
    files = [file.begin(state) for file, state in changes]
    for position in POSITIONS:
        for file, _ in changes:
            file.write_copy(position)
        sync_all(files)
