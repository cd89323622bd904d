"""The group's log as `SyncObj` sees it: a sequence of (nothing, index, term).

Position 0 stands before the first entry, so an empty log is no empty journal, to which `SyncObj` would add an entry of
its own. What it adds or deletes is kept in the tail until the shell takes it and puts it into the log. `SyncObj` only
compares terms; bodies go between log and wire without it. Nothing is ever compacted: the log keeps what it has.
"""

from typing import overload

from pysyncobj.journal import Journal

from ..configuration import decode_configuration
from ..core_state import CoreState
from ..entries import Entry, EntryKind, new_entry
from ..hard_state import HardState
from ..interfaces import Index, NodeId, Term

Row = tuple[None, int, int]


class LogJournal(Journal):
    """What `SyncObj` may do to log, term and vote of a member, and to the configurations among the entries."""

    def __init__(self, state: CoreState) -> None:
        self._state = state
        self.has_new_hard_state = False

    def append(self, entry: Entry) -> None:
        self._state.tail.append((entry,))
        if entry.kind is EntryKind.CONFIGURATION:
            self._state.memberships.append(entry.index, decode_configuration(b"".join(entry.body)))

    def append_own(self, kind: EntryKind, *body: bytes) -> Entry:
        """As the leader of the current term."""
        index = Index(self._state.tail.last + 1)
        entry = new_entry(self._state.term, index, kind, sum(map(len, body)), body)
        self.append(entry)
        return entry

    def holds(self, index: Index, term: Term) -> bool:
        tail = self._state.tail
        return tail.floor <= index <= tail.last and tail.term(index) == term

    def _cut(self, last: Index) -> None:
        state = self._state
        # A majority holds what is committed: whoever wants it cut is no leader.
        assert last >= state.committed, f"cut to {last}, but {state.committed} is committed"
        state.tail.cut(last)
        state.memberships.cut(last)

    # What follows is the interface of `pysyncobj.journal.Journal`.

    @overload
    def __getitem__(self, item: int) -> Row: ...
    @overload
    def __getitem__(self, item: slice) -> list[Row]: ...
    def __getitem__(self, item: int | slice) -> Row | list[Row]:
        if isinstance(item, slice):
            return [self._row(position) for position in range(*item.indices(len(self)))]
        return self._row(item if item >= 0 else len(self) + item)

    def __len__(self) -> int:
        tail = self._state.tail
        return tail.last - tail.floor + 1

    def _row(self, position: int) -> Row:
        index = Index(self._state.tail.floor + position)
        return None, index, self._state.tail.term(index)

    def add(self, command: Entry | bytes, idx: int, term: int) -> None:
        """`command` is an `Entry` of the leader, or the bytes of the no-op with which `SyncObj` begins a term."""
        if isinstance(command, Entry):
            self.append(command)
        else:
            assert (idx, term) == (self._state.tail.last + 1, self._state.term), f"no-op of term {term} at {idx}"
            self.append_own(EntryKind.NO_OP)

    def deleteEntriesFrom(self, entryFrom: int) -> None:  # noqa: N802, N803 - the library's name
        self._cut(Index(self._state.tail.floor + entryFrom - 1))

    def deleteEntriesTo(self, entryTo: int) -> None:  # noqa: N802, N803 - the library's name
        raise AssertionError(f"compaction up to {entryTo}: this journal is never compacted")

    def clear(self) -> None:
        raise AssertionError("a journal is never cleared")

    def setRaftCommitIndex(self, raftCommitIndex: int) -> None:  # noqa: N802, N803 - the library's name
        """What is committed is found out again after a restart; only what the state machine has saved is kept."""

    def getRaftCommitIndex(self) -> int:  # noqa: N802 - the library's name
        return self._state.committed

    def setCurrentTerm(  # noqa: N802 - the library's name
        self,
        term: int,
        votedForNodeId: NodeId | None,  # noqa: N803 - the library's name
    ) -> None:
        assert term >= self._state.term, f"term falls from {self._state.term} to {term}"
        self._state.hard_state = HardState(Term(term), votedForNodeId)
        self.has_new_hard_state = True

    def getCurrentTerm(self) -> int:  # noqa: N802 - the library's name
        return self._state.term

    def getVotedForNodeId(self) -> NodeId | None:  # noqa: N802 - the library's name
        return self._state.hard_state.vote

    def onOneSecondTimer(self) -> None:  # noqa: N802 - the library's name
        pass

    def _destroy(self) -> None:
        pass
