"""The log as the core's rules see it: the shell's log, without what is to be cut, with what is not yet taken.

Between two `take`s the core may append and cut several times; the shell sees one cut and one run of entries. Terms
never fall along a log, so the last entry of at most some term is found by halving.
"""

from collections.abc import Sequence
from typing import Protocol

from .entries import Entry
from .entry_runs import run_of
from .interfaces import Index, Term


class LogView(Protocol):
    """What the core asks of the shell's log; cut and entries of a taken `Ready` are in it when the core is called."""

    @property
    def first_index(self) -> Index: ...
    @property
    def last_index(self) -> Index: ...
    def term(self, index: Index) -> Term:
        """Of an entry from the one before the first to the last."""
        ...

    def entries(self, first: Index, bytes_max: int) -> Sequence[Entry]:
        """At least one, and those that follow while they take no more than `bytes_max`."""
        ...


class Tail:
    """`persisted <= last`; entries up to `persisted` are on this member's disk."""

    def __init__(self, log: LogView) -> None:
        self._log = log
        self._append: Sequence[Entry] = ()
        self._cut_to: Index | None = None
        self.last = log.last_index
        self.last_term = log.term(self.last)
        self.persisted = self.last

    @property
    def has_work(self) -> bool:
        return bool(self._append) or self._cut_to is not None

    @property
    def floor(self) -> Index:
        """The lowest index whose term is known."""
        return Index(self._log.first_index - 1)

    def term(self, index: Index) -> Term:
        assert index <= self.last, f"term of {index} of {self.last}"
        if index == self.last:
            return self.last_term
        if self._append and index >= self._append[0].index:
            return self._append[index - self._append[0].index].term
        return self._log.term(index)

    def last_of_term_at_most(self, term: Term, index: Index, floor: Index) -> Index:
        """The last entry of floor..index whose term is at most `term`; `floor` if there is none."""
        low, high = floor, min(index, self.last)
        while low < high:
            middle = Index((low + high + 1) // 2)
            if self.term(middle) <= term:
                low = middle
            else:
                high = Index(middle - 1)
        return low

    def append(self, entries: Sequence[Entry]) -> None:
        """Entries that follow the last one."""
        run = run_of(entries)
        assert run.first_index == self.last + 1, f"entry {run.first_index} after {self.last}"
        assert run.last_index == self.last + len(entries), f"{len(entries)} entries up to {run.last_index}"
        assert run.last_term >= self.last_term, f"term falls to {run.last_term} at {run.last_index}"
        self._append = [*self._append, *run] if self._append else run  # as it came, with its image
        self.last, self.last_term = run.last_index, run.last_term

    def append_own(self, entry: Entry) -> None:
        """One that this member made, behind the last one."""
        term, index = entry[0], entry[1]
        assert index == self.last + 1, f"entry {index} after {self.last}"
        own = self._append
        if not isinstance(own, list):
            own = self._append = [*own]
        own.append(entry)
        self.last, self.last_term = index, term

    def cut(self, to_index: Index) -> None:
        """Forget every entry behind `to_index`."""
        assert to_index < self.last, f"cut to {to_index} of {self.last}"
        kept = self._append[: max(0, to_index + 1 - self._append[0].index)] if self._append else ()
        if to_index < self.last - len(self._append):
            self._cut_to = to_index  # below any cut that is not taken yet, since the log ends there for us
        self._append = kept
        self.last_term = kept[-1].term if kept else self._log.term(to_index)
        self.last = to_index
        self.persisted = min(self.persisted, to_index)

    def on_persisted(self, term: Term, index: Index) -> bool:
        """Entries up to this one are durable; False if that is no news, or of an entry that is not in the log."""
        if index <= self.persisted or index > self.last - len(self._append) or self.term(index) != term:
            return False
        self.persisted = index
        return True

    def on_installed(self) -> None:
        """The shell's log was replaced by durable files."""
        self._append, self._cut_to = (), None
        self.last = self.persisted = self._log.last_index
        self.last_term = self._log.term(self.last)

    def take(self) -> tuple[Index | None, Sequence[Entry]]:
        """What the shell is to cut, then to append."""
        taken = self._cut_to, self._append
        self._cut_to, self._append = None, ()
        return taken
