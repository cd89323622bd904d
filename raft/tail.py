"""The log as the core's rules see it: the shell's log, without what is to be cut, with what is not yet taken.

Between two `take`s the core may append and cut several times; the shell sees one cut and one run of entries. Terms
never fall along a log, so the last entry of at most some term is found by halving.
"""

from collections.abc import Sequence
from typing import Protocol

from .entries import Entry
from .entry_runs import proposed_run, run_of
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
    """`persisted <= last`; entries up to `persisted` are on this member's disk. `has_work`: there may be some to take.

    What this member proposes stands behind everything else, as bodies: entries are made of all that one `take` hands
    out, together, or when somebody looks at them.
    """

    def __init__(self, log: LogView) -> None:
        self._log = log
        self._append: Sequence[Entry] = ()
        self._proposed: list[bytes] = []  # all of the last term
        self._cut_to: Index | None = None
        self.has_work = False
        self.last = log.last_index
        self.last_term = log.term(self.last)
        self.persisted = self.last

    @property
    def floor(self) -> Index:
        """The lowest index whose term is known."""
        return Index(self._log.first_index - 1)

    def term(self, index: Index) -> Term:
        assert index <= self.last, f"term of {index} of {self.last}"
        if index > self.last - max(1, len(self._proposed)):
            return self.last_term
        at = index - self._first_untaken
        return self._append[at].term if at >= 0 else self._log.term(index)

    @property
    def _first_untaken(self) -> Index:
        """Of what the shell does not have; if it has all, the one that follows."""
        return Index(self.last + 1 - len(self._append) - len(self._proposed))

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
        self._make_entries()
        run = run_of(entries)
        assert run.first_index == self.last + 1, f"entry {run.first_index} after {self.last}"
        assert run.last_index == self.last + run.entry_count, f"{run.entry_count} entries up to {run.last_index}"
        assert run.last_term >= self.last_term, f"term falls to {run.last_term} at {run.last_index}"
        self._append = [*self._append, *run] if self._append else run  # as it came, with its image
        self.last, self.last_term = run.last_index, run.last_term
        self.has_work = True

    def append_own(self, entry: Entry) -> None:
        """One that this member made, behind the last one."""
        term, index = entry[0], entry[1]
        assert index == self.last + 1, f"entry {index} after {self.last}"
        self._make_entries()
        own = self._append
        if not isinstance(own, list):
            own = self._append = [*own]
        own.append(entry)
        self.last, self.last_term = index, term
        self.has_work = True

    def propose(self, term: Term, body: bytes) -> Index:
        """A command of this member, behind the last entry, which is of this term, too; its index."""
        assert term == self.last_term, f"a command of term {term} after one of {self.last_term}"
        self._proposed.append(body)
        self.last = index = Index(self.last + 1)
        self.has_work = True
        return index

    def _make_entries(self) -> None:
        """Of what was proposed since the last `take`."""
        proposed = self._proposed
        if proposed:
            self._proposed = []
            run = proposed_run(self.last_term, Index(self.last + 1 - len(proposed)), proposed)
            self._append = [*self._append, *run] if self._append else run

    def cut(self, to_index: Index) -> None:
        """Forget every entry behind `to_index`."""
        assert to_index < self.last, f"cut to {to_index} of {self.last}"
        self._make_entries()
        self.has_work = True
        first = self._first_untaken
        kept = self._append[: max(0, to_index + 1 - first)]
        if to_index < first - 1:
            self._cut_to = to_index  # below any cut that is not taken yet, since the log ends there for us
        self._append = kept
        self.last_term = kept[-1].term if kept else self._log.term(to_index)
        self.last = to_index
        self.persisted = min(self.persisted, to_index)

    def on_persisted(self, term: Term, index: Index) -> bool:
        """Entries up to this one are durable; False if that is no news, or of an entry that is not in the log."""
        if index <= self.persisted or index >= self._first_untaken or self.term(index) != term:
            return False
        self.persisted = index
        return True

    def on_installed(self) -> None:
        """The shell's log was replaced by durable files."""
        self._append, self._proposed, self._cut_to, self.has_work = (), [], None, False
        self.last = self.persisted = self._log.last_index
        self.last_term = self._log.term(self.last)

    def take(self) -> tuple[Index | None, Sequence[Entry]]:
        """What the shell is to cut, then to append."""
        self._make_entries()
        taken = self._cut_to, self._append
        self._cut_to, self._append, self.has_work = None, (), False
        return taken
