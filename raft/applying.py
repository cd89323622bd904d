"""From the log to the state machine: each committed entry once, in order, as soon as it is on this node's own disk.

What was placed a moment ago is applied from memory (*hot*), on the node that proposed it, if it is large, as the very
buffers that were given; what is older, and what a slow machine has let pile up, from the segments' mappings (*cold*).
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from .checkpoint import Checkpoint, CheckpointFacts
from .entries import HEADER_BYTES, EntryKind, make
from .entry_runs import EntryRun
from .errors import CorruptLogError, EntryTooLargeError, LogBusyError
from .interfaces import Buffer, Index, Place, StateMachine, Term
from .log import SegmentLog
from .placed import PlacedRun
from .segments import Found
from .settings import RaftSettings

UNTIMED_MAX = 16  # entries that are applied between two looks at the clock, if they are small
UNTIMED_BYTES_MAX = 16 << 10
COMMANDS, CONFIGURATION = int(EntryKind.COMMANDS), int(EntryKind.CONFIGURATION)


class Applier:
    """Owns the state machine's place in the log: `applied` never falls, and never passes what is durable here.

    `hot_count` and `hot_bytes`: commands that were placed here and not yet applied.
    """

    def __init__(
        self, log: SegmentLog, machine: StateMachine, directory: str, checkpoint: Checkpoint | None, end: Place
    ) -> None:
        facts = checkpoint.facts if checkpoint else None
        self.applied = facts.applied if facts else Index(0)
        self.configuration = facts.configuration if facts else None
        self.is_applying = False
        self.hot_count = 0
        self.hot_bytes = 0
        self._log = log
        self._machine = machine
        self._directory = directory
        self._end = end
        self._hot: deque[PlacedRun] = deque()
        self._is_cleared = False
        self._cold: Iterator[tuple[Found, memoryview]] | None = None

    def facts(self) -> CheckpointFacts:
        """What a restart must know of the log up to what is applied."""
        return self._log.facts_until(self.applied, self._end, self.configuration)

    def add(self, runs: Sequence[PlacedRun]) -> None:
        self._hot += runs
        for run in runs:
            self._count(run.entries, 1)

    def check_room(self, size: int, more_count: int, more_bytes: int, settings: RaftSettings) -> None:
        """Whether a command may be proposed, besides those that are hot. Raises: EntryTooLargeError, LogBusyError."""
        in_flight_count, in_flight_bytes = self.hot_count + more_count, self.hot_bytes + more_bytes
        if size > settings.entry_bytes_max:
            raise EntryTooLargeError(size, settings.entry_bytes_max)
        if in_flight_count and in_flight_bytes + size > settings.in_flight_bytes_max:
            raise LogBusyError(f"{in_flight_bytes} bytes in flight, at most {settings.in_flight_bytes_max}")
        if in_flight_count >= settings.in_flight_entries_max:
            raise LogBusyError(f"{in_flight_count} entries in flight")

    def cut(self, to_index: Index) -> None:
        """Entries behind `to_index` are no more; none of them was applied."""
        assert to_index >= self.applied, f"cut to {to_index}, but {self.applied} is applied"
        self._cold = None
        while self._hot and self._hot[-1].last_index > to_index:
            run = self._hot.pop()
            kept = max(0, to_index + 1 - run.first_index)
            self._count(run.entries, -1, max(kept, self.applied + 1 - run.first_index))
            if kept:
                self._hot.append(run.until(to_index))
                break

    def let_go(self, durable: Index, bytes_max: int) -> None:
        """Keep no more than `bytes_max` of what can be read again."""
        while self.hot_bytes > bytes_max and self._hot[0].last_index <= durable:
            run = self._hot.popleft()
            self._count(run.entries, -1, max(0, self.applied + 1 - run.first_index))

    def clear(self) -> None:
        self._hot.clear()
        self._cold = None
        self._is_cleared = True
        self.hot_count = self.hot_bytes = 0

    def apply_until(self, last: Index, deadline_ms: int, now_ms: Callable[[], int]) -> None:
        """Apply at least one entry, and more up to `last` until the slice ends (looked at now and then)."""
        while self.applied < last and not self._is_cleared:
            if self._hot and self._hot[0].first_index <= self.applied + 1:
                self._cold = None
                self._apply_hot(self._hot[0], last)
            else:
                self._apply_cold(Index(self.applied + 1))
            if now_ms() >= deadline_ms:
                break

    def _apply_hot(self, run: PlacedRun, last: Index) -> None:
        """Some of what is not yet applied of a run: as much as is done without a look at the time."""
        segment, apply, place = run.plan.first_index, self._machine.apply, Place
        begin = self.applied + 1 - run.first_index
        position = run.position if not begin else self._end.position
        end = min(begin + UNTIMED_MAX, last + 1 - run.first_index)
        self.is_applying = True
        for term, index, kind, size, body in run.entries.bare(begin, end):
            position += HEADER_BYTES
            if kind == COMMANDS:
                self.hot_count -= 1
                self.hot_bytes -= size
                apply(term, index, body, make(place, (segment, position)))
            elif kind == CONFIGURATION:
                self.configuration = b"".join(body)
            position += size
            self.applied = index
            if self._is_cleared or size > UNTIMED_BYTES_MAX:
                break
        self.is_applying = False
        self._end = Place(segment, position)
        if self.applied == run.last_index and not self._is_cleared:
            self._hot.popleft()

    def _apply_cold(self, index: Index) -> None:
        """An entry from before the start; the iterator lives as long as the replay."""
        if self._cold is None:
            self._cold = self._log.written_entries(index)
        found, view = next(self._cold, (None, None))
        if found is None or view is None or found.index != index:
            raise CorruptLogError(self._directory, "was intact when the log was opened", index)
        body = view[found.body]
        place = Place(self._log.segment_of(index), found.body.start)
        self._apply(found.term, found.kind, (body,), place, len(body))

    def _apply(self, term: Term, kind: EntryKind, body: Sequence[Buffer], place: Place, size: int) -> None:
        index = Index(self.applied + 1)
        if kind == COMMANDS:
            self.is_applying = True
            self._machine.apply(term, index, body, place)
            self.is_applying = False
        elif kind == CONFIGURATION:
            self.configuration = b"".join(body)
        self.applied = index
        self._end = make(Place, (place[0], place[1] + size))

    def _count(self, entries: EntryRun, sign: int, begin: int = 0) -> None:
        """The commands among them, from the one at `begin` on, are hot from now on, or not any more (-1)."""
        if begin < entries.entry_count:
            count, size = entries.part(begin, entries.entry_count).commands()
            self.hot_count += sign * count
            self.hot_bytes += sign * size
