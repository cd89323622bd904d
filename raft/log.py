"""The log of one group as its event loop sees it: what is where, and the bytes of what is there.

The loop places entries (`append`), the writer's thread writes them (`writer`), `recovery` makes it from the files.
Everything here is in memory or mapped; nothing waits for the disk.
"""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence

from crc32c import crc32c

from .checkpoint import CheckpointFacts, to_facts
from .disk import Disk
from .entries import (
    COPIED_BYTES_MAX,
    HEADER,
    HEADER_BYTES,
    KINDS,
    PREFIX,
    Entry,
    EntryHeader,
    make,
    read_header_or_none,
)
from .entry_runs import EntryRun, MadeRun, joined_run
from .errors import CorruptLogError, SegmentReleasedError
from .hot_tail import HotTail
from .interfaces import GroupId, Index, Place, Term
from .placed import Cut, PlacedRun
from .segments import PAGE_BYTES, Found, Segment, SegmentPlan, scan, segment_name
from .settings import MIB, RUN_BYTES_MAX

# What a follower within its window still lacks; an entry that is let go is read from the page cache.
HOT_BYTES_MAX = 8 * MIB
# Each holds a file descriptor and counts as resident memory while it is read: 512 MiB of segments a shard.
MAPPED_MAX = 8


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
        if self._indexes and index >= self._indexes[-1]:
            return self._terms[-1]
        slot = bisect_right(self._indexes, index) - 1
        return self._terms[slot] if slot >= 0 else Term(0)

    def cut(self, to_index: Index) -> None:
        """Forget every index behind `to_index`."""
        count = bisect_right(self._indexes, to_index)
        del self._indexes[count:], self._terms[count:]

    def until(self, index: Index) -> tuple[tuple[Index, Term], ...]:
        return tuple(zip(self._indexes, self._terms, strict=True))[: bisect_right(self._indexes, index)]


class SegmentLog:
    """Segments without gap from the first index on; the last one is being filled. State has one writer: the loop.

    Fulfils the core's `LogView`. `durable` is the last entry known to be on the disk; everything behind it is hot, so
    nothing is looked for in a file before it is there. `hot.bytes_max` may be 0 while nobody asks for `entries`.
    """

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
        self.hot = HotTail(HOT_BYTES_MAX)
        self.durable = self.last_index
        self._cut_count = 0
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
        """From the entry before the first one on (its term is 0 if the log begins at 1) to the last one."""
        assert self.first_index - 1 <= index <= self.last_index, f"{index} of {self.first_index}..{self.last_index}"
        return self._terms.term_of(index)

    def append(self, entries: Sequence[Entry]) -> list[PlacedRun]:
        """Give the next entries their places, in a new segment where the last one has no room."""
        whole = self._as_run(entries)
        assert whole.first_index == self.last_index + 1, f"entry {whole.first_index} after {self.last_index}"
        sizes = whole.sizes()
        placed: list[PlacedRun] = []
        done = 0
        while done < len(sizes):
            position = self._segments[-1].end_position if self._segments else 0
            count = self._segments[-1].add_run(sizes[done:] if done else sizes, RUN_BYTES_MAX) if self._segments else 0
            if not count:
                self._add_segment(Index(whole.first_index + done), sizes[done])
                continue
            segment = self._segments[-1]
            run = whole.part(done, done + count)
            placed.append(make(PlacedRun, (run, segment.plan, position, segment.end_position)))
            done += count
        if whole.first_term == whole.last_term:
            self._terms.add(whole.first_index, whole.first_term)
        else:
            for entry in whole:
                self._terms.add(entry.index, entry.term)
        for run in placed:
            self.hot.add(run)
        return placed

    def _as_run(self, entries: Sequence[Entry]) -> EntryRun:
        """As they came, or in one piece for the followers if all are small; the disk then takes that as well."""
        if isinstance(entries, EntryRun):
            return entries
        is_small = self.hot.bytes_max and max([entry.size for entry in entries]) <= COPIED_BYTES_MAX
        return joined_run(entries) if is_small else MadeRun(entries)

    def on_persisted(self, term: Term, index: Index, cut_count: int) -> bool:
        """Everything up to this entry is durable; False if it says nothing: it was cut since, or is known already.

        `cut_count`: how many cuts the writer had carried out. Term and index alone would not do: an entry may be cut
        and come again, and what is durable then is the first of the two.
        """
        if cut_count != self._cut_count or index <= self.durable:
            return False
        assert self.term(index) == term, f"entry {index} of term {self.term(index)} was written with term {term}"
        self.durable = index
        self.hot.let_go(index)
        return True

    def truncate(self, to_index: Index) -> Cut:
        """Forget everything behind `to_index`; the cut goes to the writer before what is appended next."""
        assert self.first_index - 1 <= to_index < self.last_index, f"{to_index} of {self.first_index}.."
        removed: list[SegmentPlan] = []
        while self._segments and self._segments[-1].first_index > to_index:
            plan = self._segments.pop().plan
            removed.append(plan)
            del self._by_first[plan.first_index]
            self._mapped.pop(plan.first_index, None)
        cut = Cut(to_index, None, PAGE_BYTES, PAGE_BYTES, tuple(reversed(removed)))
        if self._segments:
            old = self._segments[-1]
            end = old.end_position if to_index == old.last_index else self._position_of(Index(to_index + 1))
            self._segments[-1] = self._by_first[old.first_index] = old.until(to_index, end)
            cut = cut._replace(plan=old.plan, end_position=end, old_end=old.end_position)
        self._terms.cut(to_index)
        self.hot.cut(to_index)
        self.durable = min(self.durable, to_index)
        self._cut_count += 1
        return cut

    def become(self, reopened: "SegmentLog") -> None:
        """Go on as the log of the same group that was opened anew, with other files."""
        vars(self).update(vars(reopened))

    def release_before(self, index: Index) -> None:
        """Forget the segments wholly below `index`, which is applied: the next checkpoint removes their files."""
        count = bisect_right(self._segments, Index(index - 1), key=lambda segment: segment.last_index)
        for segment in self._segments[: min(count, len(self._segments) - 1)]:
            del self._by_first[segment.first_index]
            self._mapped.pop(segment.first_index, None)
            self._segments.remove(segment)

    def entries(self, first: Index, bytes_max: int) -> Sequence[Entry]:
        """At least one entry, and some that follow while they take no more than `bytes_max` together.

        Those that are not in memory any more are checked and handed out as slices of the segment, which are what they
        are until the entry is cut. Raises: SegmentReleasedError, CorruptLogError.
        """
        assert first <= self.last_index, f"entries from {first} of {self.last_index}"
        if first < self.first_index:
            raise SegmentReleasedError(f"entry {first}; the log begins at {self.first_index}")
        if first in self.hot:
            return self.hot.entries(first, bytes_max)
        found: list[Entry] = []
        size = 0
        for entry in self._cold(first):
            size += HEADER_BYTES + entry.size
            if found and size > bytes_max:
                break
            found.append(entry)
            if size >= bytes_max:
                break
        return found

    def _cold(self, first: Index) -> Iterator[Entry]:
        """From `first` to the end of its segment, or to what is hot."""
        segment = self._by_first[self.segment_of(first)]
        view = self._view(segment.first_index)
        position, end = self._position_of(first), segment.end_position
        last = min(segment.last_index, self.hot.first_index - 1)
        header_at = HEADER.unpack_from
        for index in range(first, last + 1):
            length, crc, term, found, kind, _version = header_at(view, position)
            checked, body, follows = position + PREFIX.size, position + HEADER_BYTES, position + PREFIX.size + length
            if found != index or not body <= follows <= end or crc32c(view[checked:follows]) != crc:
                raise CorruptLogError(self.segment_path(segment.first_index), "was intact once", Index(index))
            head = bytes(view[position:body])
            yield Entry(term, Index(index), KINDS[kind], follows - body, (view[body:follows],), head)
            position = follows

    def _position_of(self, index: Index) -> int:
        """Where the entry's header begins."""
        position = self.hot.position_or_none(index)
        if position is not None:
            return position
        segment = self._by_first[self.segment_of(index)]
        view = self._view(segment.first_index)
        known, position = segment.known_place_before(index)
        for before in range(known, index):
            position += PREFIX.size + self._header(segment, view, Index(before), position).length
        return position

    def _header(self, segment: Segment, view: memoryview, index: Index, position: int) -> EntryHeader:
        header = read_header_or_none(view, position)
        if header is None or header.index != index:
            raise CorruptLogError(self.segment_path(segment.first_index), "was there once", index)
        return header

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
        segment: Segment | None = self._by_first[self.segment_of(first)]
        index, position = segment.known_place_before(first)
        before, term = Index(index - 1), self.term(Index(index - 1))
        while segment is not None and segment.first_index <= self.durable:
            view = self._view(segment.first_index)
            for found in scan(self.segment_path(segment.first_index), view, position, (term, before)):
                before, term = found.index, found.term
                if found.index >= first:
                    yield found, view
            following = self._by_first.get(Index(before + 1))
            segment, position = None if following is segment else following, PAGE_BYTES

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
        # Before that the name may still be that of a segment that was cut off.
        assert segment <= self.durable, f"segment {segment}, but only entry {self.durable} is durable"
        view = self._mapped.get(segment)
        if view is None:
            view = self._mapped[segment] = self._disk.map(self.segment_path(segment))
            if len(self._mapped) > MAPPED_MAX:
                self._mapped.popitem(last=False)
        return view
