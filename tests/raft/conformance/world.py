"""Members of one group as bare cores, of either engine, in one process: time, links, disks and chance are simulated.

A link keeps the order, loses nothing and doubles nothing while it is up; it stalls, and it is cut, with all that is
under way. A disk carries out its jobs in order and late; a crash keeps some first part of them. What must hold is
checked at once, by `Witness`. One seed is one course of events: everything is drawn from it.
"""

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from raft.configuration import Configuration, Peer, decode_configuration
from raft.core import RaftCore, Ready
from raft.core_state import CoreConfig, Timings
from raft.entries import HEADER_BYTES, Entry, EntryKind, matches
from raft.errors import LogBusyError, NotLeaderError
from raft.hard_state import NOTHING, HardState
from raft.interfaces import Index, NodeId, Role, Term
from raft.messages import Message
from raft.syncobj.core import SyncObjCore

Core = RaftCore | SyncObjCore
Engine = Callable[..., Core]
NATIVE: type[RaftCore] = RaftCore
HARDENED: type[SyncObjCore] = SyncObjCore


def mixed(config: CoreConfig, *arguments: object) -> Core:
    """Every second node is on the other engine."""
    return (NATIVE if config.node_id % 2 else HARDENED)(config, *arguments)  # pyright: ignore[reportArgumentType] - handed through


TIMINGS = Timings(heartbeat_ms=50, election_ms=250, window_bytes=2_000, append_bytes_max=300)


class ViolationError(AssertionError):
    """What a replicated log promises did not hold."""


class Witness:
    """Knows what was promised, by all members of the group."""

    def __init__(self) -> None:
        self.chosen: dict[int, tuple[int, bytes]] = {}
        self.acknowledged: dict[int, tuple[int, bytes]] = {}
        self.leaders: dict[int, int] = {}
        self.last_acknowledged = 0
        self.read_count = 0

    def on_applied(self, node: int, entry: Entry) -> None:
        value = entry.term, b"".join(entry.body)
        if self.chosen.setdefault(entry.index, value) != value:
            raise ViolationError(f"node {node} applies {value} at {entry.index}, another {self.chosen[entry.index]}")

    def on_acknowledged(self, entry: Entry) -> None:
        self.acknowledged[entry.index] = entry.term, b"".join(entry.body)
        self.last_acknowledged = max(self.last_acknowledged, entry.index)

    def on_leader(self, node: int, term: int, applied: int) -> None:
        if self.leaders.setdefault(term, node) != node:
            raise ViolationError(f"nodes {node} and {self.leaders[term]} lead in term {term}")
        if applied < self.last_acknowledged:
            raise ViolationError(f"node {node} leads with {applied}; {self.last_acknowledged} was acknowledged")

    def on_read(self, floor: int, index: int) -> None:
        self.read_count += 1
        if index < floor:
            raise ViolationError(f"a read shows {index}; {floor} was acknowledged before it began")

    def check_end(self, entries: Sequence[Entry]) -> None:
        found: dict[int, tuple[int, bytes]] = {entry.index: (entry.term, b"".join(entry.body)) for entry in entries}
        lost = [index for index, value in self.acknowledged.items() if found.get(index) != value]
        if lost:
            raise ViolationError(f"acknowledged entries {lost[:5]} are lost")


class MemoryLog:
    """A `LogView` of which nothing is ever released."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.found = list(entries)

    @property
    def first_index(self) -> Index:
        return Index(1)

    @property
    def last_index(self) -> Index:
        return Index(len(self.found))

    def term(self, index: Index) -> Term:
        return self.found[index - 1].term if index else Term(0)

    def entries(self, first: Index, bytes_max: int) -> Sequence[Entry]:
        taken: list[Entry] = []
        size = 0
        for entry in self.found[first - 1 :]:
            size += HEADER_BYTES + entry.size
            if taken and size > bytes_max:
                break
            taken.append(entry)
        return taken


Job = HardState | Index | Entry


@dataclass
class MemoryDisk:
    """What is durable, and the jobs that are not yet: a hard state, a cut, an entry."""

    hard_state: HardState = NOTHING
    entries: list[Entry] = field(default_factory=list)
    jobs: deque[Job] = field(default_factory=deque)
    is_damaged: bool = False
    is_doubtful: bool = False
    is_rotten: bool = False

    def do_next(self) -> Job:
        job = self.jobs.popleft()
        match job:
            case HardState():
                assert job.term >= self.hard_state.term, "a term falls on the disk"
                self.hard_state = job
            case Entry():
                assert job.index == len(self.entries) + 1, f"{job.index} written behind {len(self.entries)}"
                assert matches(job.header, job.body)
                self.entries.append(job)
            case int():
                del self.entries[job:]
        return job

    def crash(self, rng: random.Random) -> None:
        for _ in range(rng.randrange(len(self.jobs) + 1)):
            self.do_next()
        if any(isinstance(job, Entry) for job in self.jobs) and not self.is_damaged and rng.random() < 0.5:
            self.is_doubtful = True  # the torn rest of it
        self.jobs.clear()


class Member:
    """One start of a member: from its disk on, until it crashes."""

    def __init__(self, world: "World", node: int, founding: Configuration | None) -> None:
        self.world = world
        self.node = node
        self.disk = disk = world.disks[node]
        self.log = MemoryLog(disk.entries)
        configurations = [entry for entry in disk.entries if entry.kind is EntryKind.CONFIGURATION]
        decoded = [decode_configuration(b"".join(entry.body)) for entry in configurations]
        if world.forgets_configurations and founding is not None:
            decoded = [founding for _ in decoded]
        config = CoreConfig(
            node_id=NodeId(node),
            configuration=decoded[-1] if decoded else founding,
            is_configuration_logged=bool(decoded),
            applied=Index(0),
            configuration_index=configurations[-1].index if decoded else Index(0),
            configuration_before=decoded[-2] if len(decoded) > 1 else founding,
            campaigns_at_once=node == 1 and not disk.entries,
            is_damaged=disk.is_damaged,
            is_doubtful=disk.is_doubtful,
            timings=TIMINGS,
        )
        rng = random.Random(world.rng.getrandbits(32))
        self.core: Core = world.engine(config, self.log, disk.hard_state, rng, world.now_ms)
        self.applied = 0
        self.cut_count = 0
        self.proposed: dict[int, int] = {}
        self.reads: dict[int, int] = {}
        for other in world.members:
            if world.is_up(node, other):
                self.core.on_peer_up(NodeId(other), world.now_ms)

    def drive(self) -> None:
        """What the shell does after each event."""
        core = self.core
        while core.has_ready or self.applied < self.committed:
            if core.has_ready:
                self._perform(core.take_ready())
            self._apply()
        for outgoing in core.take_messages():
            self.world.send(self.node, outgoing.to, outgoing.message)
        if not (core.is_damaged or core.is_doubtful):
            self.disk.is_damaged = self.disk.is_doubtful = self.disk.is_rotten = False

    committed = 0

    def _perform(self, ready: Ready) -> None:
        if ready.hard_state is not None:
            self.disk.jobs.append(ready.hard_state)
        if ready.truncate_to is not None:
            if ready.truncate_to < self.applied:
                raise ViolationError(f"node {self.node} cuts to {ready.truncate_to}, has applied {self.applied}")
            del self.log.found[ready.truncate_to :]
            self.disk.jobs.append(ready.truncate_to)
            self.cut_count += 1
        for entry in ready.append:
            assert entry.index == self.log.last_index + 1, f"{entry.index} behind {self.log.last_index}"
            self.log.found.append(entry)
            self.disk.jobs.append(entry)
        self.committed = ready.committed
        for read in ready.reads:
            assert isinstance(read.context, int)
            self.world.witness.on_read(self.reads.pop(read.context), read.index)
        for context in ready.failed_reads:
            assert isinstance(context, int)
            del self.reads[context]
        for change in ready.role_changes:
            if change.role is Role.LEADER:
                self.world.witness.on_leader(self.node, change.term, self.applied)
            else:
                self.proposed.clear()

    def _apply(self) -> None:
        while self.applied < self.committed:
            entry = self.log.found[self.applied]
            self.applied += 1
            self.world.witness.on_applied(self.node, entry)
            if self.proposed.pop(entry.index, None) == entry.term:
                self.world.witness.on_acknowledged(entry)
        self.core.on_applied(Index(self.applied))

    def propose(self, body: bytes) -> None:
        try:
            proposal = self.core.propose([body], len(body))
        except (NotLeaderError, LogBusyError):
            return
        self.proposed[proposal.index] = proposal.term

    def read(self, ticket: int) -> None:
        self.reads[ticket] = self.world.witness.last_acknowledged
        try:
            self.core.read_index(ticket)
        except NotLeaderError:
            del self.reads[ticket]

    def work_disk(self, count: int) -> None:
        """Some jobs in one round; then the loop hears of the last ones."""
        hard_state: HardState | None = None
        entry: Entry | None = None
        for _ in range(min(count, len(self.disk.jobs))):
            job = self.disk.do_next()
            match job:
                case HardState():
                    hard_state = job
                case Entry():
                    entry = job
                case int():
                    self.cut_count -= 1
                    entry = None
        if hard_state is not None:
            self.core.on_hard_state_persisted(hard_state)
        if entry is not None and self.cut_count == 0:  # else it speaks of a log that is cut meanwhile
            self.core.on_persisted(entry.term, entry.index)


class World:
    """Nodes 1 to `count`, all linked, all founding members."""

    forgets_configurations = False
    """For a mutant: a member starts with the founding configuration, whatever its log says."""

    def __init__(self, seed: int, engine: Engine, count: int = 3, spare: int = 0) -> None:
        self.rng = random.Random(seed)
        self.engine = engine
        self.now_ms = 1_000
        self.witness = Witness()
        self.disks = {node: MemoryDisk() for node in range(1, count + spare + 1)}
        self.members: dict[int, Member] = {}
        self.queues: dict[tuple[int, int], deque[Message]] = {}
        self.stalled: set[tuple[int, int]] = set()
        self.peers = {node: Peer(NodeId(node), f"disk-{node}") for node in self.disks}
        self.founding = Configuration(voters=tuple(self.peers[node] for node in range(1, count + 1)))
        self.trace = 0
        for node in self.disks:
            for other in range(1, node):
                self.queues[node, other], self.queues[other, node] = deque(), deque()
        for node in self.disks:
            self.start(node)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        return [(one, other) for one in self.disks for other in self.disks if one < other]

    def is_up(self, one: int, other: int) -> bool:
        return (one, other) in self.queues

    def start(self, node: int) -> None:
        founding = self.founding if self.peers[node] in self.founding.voters else None
        self.members[node] = Member(self, node, founding)
        for other in self.members:
            if other != node and self.is_up(node, other):
                self.queues[node, other], self.queues[other, node] = deque(), deque()
                self.members[other].core.on_peer_up(NodeId(node), self.now_ms)
                self.members[other].drive()
        self.members[node].drive()

    def crash(self, node: int) -> None:
        del self.members[node]
        self.disks[node].crash(self.rng)
        for other in list(self.members):
            if self.is_up(node, other):
                self.queues[node, other].clear()
                self.queues[other, node].clear()
                self.members[other].core.on_peer_down(NodeId(node), self.now_ms)
                self.members[other].drive()

    def damage(self, node: int) -> None:
        """Of a member that is down: an end of its durable log is unreadable, and it knows that, or is in doubt."""
        disk = self.disks[node]
        if disk.entries:
            del disk.entries[self.rng.randrange(len(disk.entries)) :]
            disk.is_rotten = True
            disk.is_damaged = self.rng.random() < 0.5
            disk.is_doubtful = not disk.is_damaged

    def cut(self, one: int, other: int) -> None:
        del self.queues[one, other], self.queues[other, one]
        for here, there in ((one, other), (other, one)):
            if here in self.members:
                self.members[here].core.on_peer_down(NodeId(there), self.now_ms)
                self.members[here].drive()

    def join(self, one: int, other: int) -> None:
        self.queues[one, other], self.queues[other, one] = deque(), deque()
        for here, there in ((one, other), (other, one)):
            if here in self.members and there in self.members:
                self.members[here].core.on_peer_up(NodeId(there), self.now_ms)
                self.members[here].drive()

    def send(self, sender: int, to: int, message: Message) -> None:
        if self.is_up(sender, to) and to in self.members:
            self.queues[sender, to].append(message)

    def deliver(self, sender: int, to: int, *, is_doubled: bool = False) -> None:
        """`is_doubled`: it stays under way, as no connection does it."""
        queue = self.queues[sender, to]
        message = queue[0] if is_doubled else queue.popleft()
        self.trace = hash((self.trace, sender, to, type(message).__name__, message.term))
        self.members[to].core.step(NodeId(sender), message, self.now_ms)
        self.members[to].drive()

    def tick(self, node: int) -> None:
        self.members[node].core.tick(self.now_ms)
        self.members[node].drive()

    def settle(self, ms: int, step_ms: int = 10) -> None:
        """Let time pass without faults: all that is said is delivered, all that is written becomes durable."""
        for _ in range(ms // step_ms):
            self.now_ms += step_ms
            for node in list(self.members):
                self.tick(node)
                self.members[node].work_disk(1_000)
                self.members[node].drive()
            for _ in range(6):
                for pair, queue in list(self.queues.items()):
                    while queue:
                        self.deliver(*pair)

    @property
    def leader_or_none(self) -> Member | None:
        """The one of the highest term."""
        leading = [member for member in self.members.values() if member.core.role is Role.LEADER]
        return max(leading, key=lambda member: member.core.term, default=None)
