"""The log of one group as its event loop sees it: what is where, and the bytes of what is there.

The loop places entries (`append`), the writer's thread writes them (`writer`), `recovery` makes it from the files.
Everything here is in memory or mapped; nothing waits for the disk.
"""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from .checkpoint import CheckpointFacts, to_facts
from .disk import Disk
from .entries import HEADER_BYTES, Entry
from .errors import SegmentReleasedError
from .interfaces import GroupId, Index, Place, Term
from .segments import PAGE_BYTES, Found, Segment, SegmentPlan, scan, segment_name

# Each holds a file descriptor and counts as resident memory while it is read: 512 MiB of segments a shard.
MAPPED_MAX = 8


class PlacedEntry(NamedTuple):
    """An entry, and where its header begins."""

    entry: Entry
    plan: SegmentPlan
    position: int

    @property
    def place(self) -> Place:
        return Place(self.plan.first_index, self.position + HEADER_BYTES)


class TermStarts:
    """Which term an index has, by the first index of each term; terms and indexes rise."""

    def __init__(self, starts: Iterator[tuple[Index, Term]] | tuple[tuple[Index, Term], ...] = ()) -> None:
        self._indexes: list[Index] = []
        self._terms: list[Term] = []
        for index, term in starts:
            self.add(index, term)

    def add(self, index: Index, term: Term) -> None:
        if not self._terms or self._terms[-1] != term:
            assert not self._terms or self._terms[-1] < term, f"term falls to {term} at {index}"
            self._indexes.append(index)
            self._terms.append(term)

    def term_of(self, index: Index) -> Term:
        slot = bisect_right(self._indexes, index) - 1
        return self._terms[slot] if slot >= 0 else Term(0)

    def until(self, index: Index) -> tuple[tuple[Index, Term], ...]:
        return tuple(zip(self._indexes, self._terms, strict=True))[: bisect_right(self._indexes, index)]


class SegmentLog:
    """Segments without gap from the first index on; the last one is being filled. State has one writer: the loop."""

    def __init__(
        self,
        disk: Disk,
        directory: str,
        group_id: GroupId,
        *,
        segment_bytes: int,
        segments: list[Segment],
        terms: TermStarts,
    ) -> None:
        self._disk = disk
        self._directory = directory
        self._group_id = group_id
        self._segment_bytes = segment_bytes
        self._segments = segments
        self._by_first = {segment.first_index: segment for segment in segments}
        self._terms = terms
        self._mapped: OrderedDict[int, memoryview] = OrderedDict()

    @property
    def first_index(self) -> Index:
        return self._segments[0].first_index if self._segments else Index(1)

    @property
    def last_index(self) -> Index:
        return self._segments[-1].last_index if self._segments else Index(0)

    @property
    def file_bytes(self) -> int:
        """What the segments take on the disk."""
        return sum(segment.plan.file_bytes for segment in self._segments)

    @property
    def last_plan_or_none(self) -> SegmentPlan | None:
        return self._segments[-1].plan if self._segments else None

    @property
    def last_term(self) -> Term:
        return self.term(self.last_index)

    def term(self, index: Index) -> Term:
        """0 before the first entry. The index is at most the last one."""
        assert index <= self.last_index, f"entry {index} of {self.last_index}"
        return self._terms.term_of(index)

    def append(self, entry: Entry) -> PlacedEntry:
        """Give the next entry its place, in a new segment if the last one has no room."""
        assert entry.index == self.last_index + 1, f"entry {entry.index} after {self.last_index}"
        entry_bytes = HEADER_BYTES + entry.size
        if not self._segments or not self._segments[-1].has_room(entry_bytes):
            self._add_segment(entry.index, entry_bytes)
        segment = self._segments[-1]
        position = segment.add(entry_bytes)
        self._terms.add(entry.index, entry.term)
        return PlacedEntry(entry, segment.plan, position)

    def _add_segment(self, first_index: Index, entry_bytes: int) -> None:
        wanted = PAGE_BYTES + entry_bytes
        pages = -(-wanted // PAGE_BYTES) * PAGE_BYTES
        segment = Segment.empty(SegmentPlan(first_index, max(self._segment_bytes, pages)))
        self._segments.append(segment)
        self._by_first[first_index] = segment

    def segment_path(self, segment: int) -> str:
        return f"{self._directory}/{segment_name(Index(segment))}"

    def segment_of(self, index: Index) -> Index:
        """First index of the segment that holds `index`."""
        slot = bisect_right(self._segments, index, key=lambda segment: segment.first_index) - 1
        return self._segments[slot].first_index

    def read(self, segment: int, position: int, length: int) -> memoryview:
        """Written bytes of a segment. Raises: SegmentReleasedError."""
        known = self._by_first.get(Index(segment))
        if known is None or not PAGE_BYTES <= position <= position + length <= known.end_position:
            raise SegmentReleasedError(f"bytes {position}..{position + length} of segment {segment}")
        return self._view(segment)[position : position + length]

    def written_entries(self, first: Index) -> Iterator[tuple[Found, memoryview]]:
        """From `first` on, each with the segment's view, CRC checked. The caller stops where nothing is written yet."""
        slot = bisect_right(self._segments, first, key=lambda segment: segment.first_index) - 1
        index, position = self._segments[slot].known_place_before(first)
        before = Index(index - 1)
        while slot < len(self._segments):
            segment = self._segments[slot]
            view = self._view(segment.first_index)
            for found in scan(self.segment_path(segment.first_index), view, position, (self.term(before), before)):
                before = found.index
                if found.index >= first:
                    yield found, view
            slot, position = slot + 1, PAGE_BYTES

    def facts_until(self, applied: Index, end: Place, configuration: bytes | None) -> CheckpointFacts:
        """What a restart must know of the log up to `applied`, whose bytes end at `end`."""
        whole = [segment for segment in self._segments if segment.first_index < end.segment]
        cut = self._by_first[Index(end.segment)].until(applied, end.position)
        return CheckpointFacts(
            group_id=self._group_id,
            applied=applied,
            applied_term=self.term(applied),
            configuration=configuration,
            term_starts=self._terms.until(applied),
            segments=tuple(to_facts(segment) for segment in [*whole, cut]),
        )

    def _view(self, segment: int) -> memoryview:
        """The segment's mapping; only the last made ones are kept."""
        view = self._mapped.get(segment)
        if view is None:
            view = self._mapped[segment] = self._disk.map(self.segment_path(segment))
            if len(self._mapped) > MAPPED_MAX:
                self._mapped.popitem(last=False)
        return view
