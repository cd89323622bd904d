"""The newest entries of a log in memory: everything the disk may not have yet, and before it as much as fits."""

from bisect import bisect_right
from collections import deque
from itertools import accumulate
from operator import attrgetter

from .entry_runs import EntryRun, MadeRun
from .interfaces import Index
from .placed import PlacedRun

INDEX_MAX = Index((1 << 64) - 1)
_first_index = attrgetter("first_index")


class HotTail:
    """Runs without gap up to the log's last entry. `bytes_max` bounds only what is durable: that may be let go."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self._runs: deque[PlacedRun] = deque()
        self._bytes = 0

    def __contains__(self, index: Index) -> bool:
        return self.first_index <= index <= self._runs[-1].last_index if self._runs else False

    @property
    def first_index(self) -> Index:
        """Of the entries here; if there are none, behind all that ever was."""
        return self._runs[0].first_index if self._runs else INDEX_MAX

    def position_or_none(self, index: Index) -> int | None:
        """Where the entry's header begins in its segment."""
        return self._runs[self._slot(index)].position_of(index) if index in self else None

    def entries(self, first: Index, bytes_max: int) -> EntryRun:
        """From `first` on, which is here: at least one, as many whole runs as fit, or as much as fits of one."""
        slot = self._slot(first)
        run = self._runs[slot]
        if run.first_index != first or run.run_bytes > bytes_max:
            begin = first - run.first_index
            return run.entries.part(begin, begin + _fitting(run.entries.sizes()[begin:], bytes_max))
        if slot == len(self._runs) - 1:
            return run.entries
        total, found, images = run.run_bytes, [*run.entries], [*run.entries.images]
        is_whole = bool(images)
        for at in range(slot + 1, len(self._runs)):
            more = self._runs[at].entries
            total += self._runs[at].run_bytes
            if total > bytes_max:
                break
            found += more
            images += more.images
            is_whole = is_whole and bool(more.images)
        return run.entries if len(found) == len(run.entries) else MadeRun(found, images if is_whole else ())

    def add(self, run: PlacedRun) -> None:
        """What follows on the last run."""
        if self._runs:
            assert run.first_index == self._runs[-1].last_index + 1, (
                f"{run.first_index} after {self._runs[-1].last_index}"
            )
        self._runs.append(run)
        self._bytes += run.run_bytes

    def let_go(self, durable: Index) -> None:
        """Forget the oldest runs of what is durable, until the rest fits."""
        runs, left = self._runs, self._bytes
        while left > self.bytes_max and runs and runs[0].last_index <= durable:
            left -= runs.popleft().run_bytes
        self._bytes = left

    def cut(self, to_index: Index) -> None:
        """Forget everything behind `to_index`."""
        runs = self._runs
        while runs and runs[-1].last_index > to_index:
            run = runs.pop()
            self._bytes -= run.run_bytes
            if run.first_index <= to_index:
                self.add(run.until(to_index))

    def _slot(self, index: Index) -> int:
        """Of the run that holds `index`; most often it is the last one."""
        runs = self._runs
        if index >= runs[-1].first_index:
            return len(runs) - 1
        return bisect_right(runs, index, key=_first_index) - 1


def _fitting(sizes: list[int], bytes_max: int) -> int:
    """How many of these take no more than that together; at least one."""
    return max(1, bisect_right(list(accumulate(sizes)), bytes_max))
