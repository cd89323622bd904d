"""Where an entry stands in the files of its log."""

from typing import NamedTuple

from .entries import HEADER_BYTES, Entry, make
from .interfaces import Index, Place
from .segments import SegmentPlan


class PlacedEntry(NamedTuple):
    """An entry, and where its header begins."""

    entry: Entry
    plan: SegmentPlan
    position: int

    @property
    def place(self) -> Place:
        return make(Place, (self.plan.first_index, self.position + HEADER_BYTES))

    @property
    def end_position(self) -> int:
        return self.position + HEADER_BYTES + self.entry.size


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
