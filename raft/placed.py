"""Where entries stand in the files of their log."""

from collections.abc import Sequence
from typing import NamedTuple

from .entries import HEADER_BYTES, EntryRun
from .interfaces import Buffer, Index
from .segments import SegmentPlan


class PlacedRun(NamedTuple):
    """Entries that follow each other in one segment, and where they begin and end there.

    `image`: their bytes in one piece, if somebody made it: what is written then, in place of headers and bodies.
    """

    entries: EntryRun
    plan: SegmentPlan
    position: int
    end_position: int
    image: Buffer | None

    @property
    def first_index(self) -> Index:
        return self.entries[0].index

    @property
    def last_index(self) -> Index:
        return self.entries[-1].index

    @property
    def run_bytes(self) -> int:
        return self.end_position - self.position

    def position_of(self, index: Index) -> int:
        """Where the entry's header begins; that of the next entry to come is the end."""
        count = index - self.entries[0].index
        return self.position + HEADER_BYTES * count + sum([entry.size for entry in self.entries[:count]])

    def until(self, index: Index) -> "PlacedRun":
        """Without what is behind `index`."""
        kept = self.entries[: index + 1 - self.entries[0].index]
        end = self.position_of(Index(index + 1))
        image = None if self.image is None else memoryview(self.image)[: end - self.position]
        entries = EntryRun(kept, () if image is None else (image,))
        return PlacedRun(entries, self.plan, self.position, end, image)

    def buffers(self) -> Sequence[Buffer]:
        """What is to be written."""
        if self.image is not None:
            return (self.image,)
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
