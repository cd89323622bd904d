"""Where entries stand in the files of their log."""

from collections.abc import Sequence
from typing import NamedTuple

from .entry_runs import EntryRun
from .interfaces import Buffer, Index
from .segments import SegmentPlan


class PlacedRun(NamedTuple):
    """Entries that follow each other in one segment, and where they begin and end there."""

    entries: EntryRun
    plan: SegmentPlan
    position: int
    end_position: int

    @property
    def first_index(self) -> Index:
        return self.entries.first_index

    @property
    def last_index(self) -> Index:
        return self.entries.last_index

    @property
    def run_bytes(self) -> int:
        return self.end_position - self.position

    def position_of(self, index: Index) -> int:
        """Where the entry's header begins; that of the next entry to come is the end."""
        return self.position + sum(self.entries.sizes()[: index - self.first_index])

    def until(self, index: Index) -> "PlacedRun":
        """Without what is behind `index`."""
        end = self.position_of(Index(index + 1))
        return PlacedRun(self.entries.part(0, index + 1 - self.first_index), self.plan, self.position, end)

    def buffers(self) -> Sequence[Buffer]:
        """What is to be written."""
        if self.entries.images:
            return self.entries.images
        buffers: list[Buffer] = []
        for entry in self.entries:
            buffers.append(entry.header)
            buffers += entry.body
        return buffers


class Cut(NamedTuple):
    """What a truncation does to the files: entries behind `to_index` go.

    `plan` is the segment that then is the last one, None: no segment is left. Its entries end at `end_position`, and
    ended at `old_end` before. `removed` are the segments behind it, rising.
    """

    to_index: Index
    plan: SegmentPlan | None
    end_position: int
    old_end: int
    removed: tuple[SegmentPlan, ...]
