"""A core with what a shell gives it: a log, a disk with one writer, and a state machine that only counts."""

from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from random import Random

from raft.configuration import Configuration, Peer, decode_configuration
from raft.core import RaftCore
from raft.core_state import CoreConfig, Timings
from raft.entries import HEADER_BYTES, Entry, EntryKind
from raft.following import Install
from raft.hard_state import NOTHING, HardState
from raft.interfaces import Index, NodeId, Role, Term
from raft.ready import Ready

MARK_MS = 50


class SimLog:
    """Entries behind `first_index - 1`, whose term is kept; fulfils `LogView`."""

    def __init__(self, first_index: int = 1, base_term: int = 0, held: Sequence[Entry] = ()) -> None:
        self.first_index = Index(first_index)
        self.base_term = Term(base_term)
        self.held = list(held)

    @property
    def last_index(self) -> Index:
        return Index(self.first_index - 1 + len(self.held))

    def term(self, index: Index) -> Term:
        position = index - self.first_index
        assert position >= -1, f"{index} is released"
        return self.held[position].term if position >= 0 else self.base_term

    def entry(self, index: int) -> Entry:
        assert index >= self.first_index, f"{index} is released"
        return self.held[index - self.first_index]

    def entries(self, first: Index, bytes_max: int) -> Sequence[Entry]:
        position, size = first - self.first_index, 0
        assert position >= 0, f"{first} is released"
        for end in range(position, len(self.held)):
            size += HEADER_BYTES + self.held[end].size
            if size > bytes_max and end > position:
                return self.held[position:end]
        return self.held[position:]

    def append(self, entries: Sequence[Entry]) -> None:
        assert entries[0].index == self.last_index + 1, "a gap"
        self.held += entries

    def cut(self, to_index: int) -> None:
        del self.held[to_index + 1 - self.first_index :]

    def release(self, to_index: int) -> None:
        """Forget what is up to `to_index`."""
        self.base_term = self.term(Index(to_index))
        del self.held[: to_index + 1 - self.first_index]
        self.first_index = Index(to_index + 1)

    def copy_until(self, index: int) -> "SimLog":
        return SimLog(self.first_index, self.base_term, self.held[: index + 1 - self.first_index])


@dataclass(slots=True)
class Write:
    """What one `Ready` gives the disk, in the writer's order. `cuts`: how often the log had been cut by then."""

    hard_state: HardState | None
    cut_to: int | None
    entries: Sequence[Entry]
    cuts: int


@dataclass(slots=True)
class Disk:
    """What a crash leaves: term and vote, the log, a checkpoint, and the configuration below the log."""

    hard_state: HardState = NOTHING
    log: SimLog = field(default_factory=SimLog)
    checkpoint: int = 0
    base: Configuration | None = None
    is_base_logged: bool = False
    is_damaged: bool = False
    is_doubtful: bool = False
    is_rotten: bool = False  # it has lost what was durable, whatever it knows of that
    marked: int = 0  # what the durable mark says
    recent: deque[tuple[int, int]] = field(default_factory=deque[tuple[int, int]])

    def note_durable(self, now_ms: int) -> None:
        """The mark follows some ms later, that of a configuration at once."""
        self.mark_configuration()
        self.recent.append((now_ms + MARK_MS, self.log.last_index))
        while self.recent[0][0] <= now_ms:
            self.marked = max(self.marked, self.recent.popleft()[1])

    def mark_configuration(self) -> None:
        """It is marked before it is called durable, by the writer and by a start."""
        last = self.log.last_index
        fresh = self.log.held[max(0, self.marked + 1 - self.log.first_index) :] if last > self.marked else ()
        if any(entry.kind is EntryKind.CONFIGURATION for entry in fresh):
            self.marked = last

    def lose(self, to_index: int) -> None:
        """Rot: the log ends there."""
        self.log.cut(to_index)
        self.marked = min(self.marked, to_index)
        self.recent.clear()
        self.is_rotten = True

    def write(self, write: Write) -> None:
        if write.cut_to is not None:
            self.log.cut(write.cut_to)
            self.marked = min(self.marked, write.cut_to)
            self.recent.clear()
        if write.entries:
            self.log.append(write.entries)


@dataclass(slots=True)
class Member:
    """One node: its disk outlives its core."""

    peer: Peer
    disk: Disk
    random: Random
    timings: Timings
    core: RaftCore | None = None
    log: SimLog = field(default_factory=SimLog)
    incarnation: int = 0
    fresh_since: int = 0  # messages to and from older incarnations are gone: their links were closed
    skew_ms: int = 0
    paused_until_ms: int = 0
    disk_ms: int = 2
    apply_ms: int = 0
    applied: int = 0
    seen_committed: int = 0
    cuts: int = 0
    waiting: list[Write] = field(default_factory=list[Write])
    writing: list[Write] = field(default_factory=list[Write])
    reads: dict[Hashable, int] = field(default_factory=dict[Hashable, int])
    installing: Install | None = None
    configuration: Configuration | None = None  # as the last step left it
    term_led: int = 0
    told_term: int = 0

    @property
    def node_id(self) -> NodeId:
        return self.peer.node_id

    @property
    def leads(self) -> bool:
        return self.core is not None and self.core.role is Role.LEADER

    def start(self, now_ms: int, *, campaigns_at_once: bool = False) -> RaftCore:
        """From what is on the disk."""
        disk = self.disk
        self.incarnation += 1
        disk.mark_configuration()
        self.log = SimLog(disk.log.first_index, disk.log.base_term, disk.log.held)
        self.applied = self.seen_committed = disk.checkpoint
        self.told_term = 0
        found: list[tuple[int, Configuration | None]] = [(0, disk.base)]
        logged = [entry for entry in disk.log.held if entry.kind is EntryKind.CONFIGURATION]
        found += [(entry.index, decode_configuration(b"".join(entry.body))) for entry in logged]
        config = CoreConfig(
            node_id=self.node_id,
            configuration=found[-1][1],
            is_configuration_logged=len(found) > 1 or disk.is_base_logged,
            applied=Index(disk.checkpoint),
            configuration_index=Index(found[-1][0]),
            configuration_before=found[-2][1] if len(found) > 1 else None,
            campaigns_at_once=campaigns_at_once,
            is_damaged=disk.is_damaged,
            is_doubtful=disk.is_doubtful,
            timings=self.timings,
        )
        self.core = RaftCore(config, self.log, disk.hard_state, self.random, now_ms + self.skew_ms)
        self.configuration = config.configuration
        return self.core

    def take(self, ready: Ready) -> None:
        """Into the log, and into the writer's queue."""
        if ready.truncate_to is not None:
            assert ready.truncate_to < self.log.last_index, "a cut of nothing"
            self.log.cut(ready.truncate_to)
            self.cuts += 1
        if ready.append:
            self.log.append(ready.append)
        if ready.append or ready.hard_state is not None or ready.truncate_to is not None:
            self.waiting.append(Write(ready.hard_state, ready.truncate_to, ready.append, self.cuts))

    def crash(self) -> None:
        """What was being written is partly there: hard states first, then entries in their order."""
        steps: list[HardState | Write] = [write.hard_state for write in self.writing if write.hard_state is not None]
        steps += [write for write in self.writing if write.entries or write.cut_to is not None]
        kept = self.random.randrange(len(steps) + 1) if steps else 0
        for step in steps[:kept]:
            if isinstance(step, HardState):
                self.disk.hard_state = step
            else:
                self.disk.write(step)
        if kept < len(steps) and isinstance(step := steps[kept], Write) and kept == len(steps) - 1:
            part = step.entries[: self.random.randrange(len(step.entries) + 1)]
            self.disk.write(Write(None, step.cut_to, part, 0))
        is_torn = any(isinstance(step, Write) and step.entries for step in steps[kept:])
        if is_torn and not self.disk.is_damaged and not self._is_alone and self.random.random() < 0.6:
            self.disk.is_doubtful = True
        self.core = None
        self.waiting, self.writing = [], []
        self.reads.clear()
        self.installing = None

    @property
    def _is_alone(self) -> bool:
        return self.configuration is not None and self.configuration.voters == (self.peer,)

    def configuration_at(self, index: int) -> Configuration | None:
        """The one in force at a committed entry that the log still has."""
        found = self.disk.base
        for entry in self.log.held:
            if entry.index <= index and entry.kind is EntryKind.CONFIGURATION:
                found = decode_configuration(b"".join(entry.body))
        return found
