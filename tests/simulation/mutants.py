"""Bugs planted into whole nodes: the simulator must find each, within a stated number of seeds.

A mutant is a patch of production classes for the time of some histories, with the faults that it needs to matter.
`python -m tests.simulation --mutants` says after how many seeds each was found.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from unittest.mock import patch

from gateway.kafka.connection import Connection
from raft import writer
from raft.ballot import Ballot
from raft.candidacy import Candidacy
from raft.following import Following
from raft.group import Group
from raft.hard_state import POSITIONS, HardState, HardStateFile
from raft.leadership import Leadership
from raft.voting import Voting
from raft.writer import LogWriter
from sharding.commands.append import Append
from sharding.commands.splits import Drop
from sharding.commands.ticks import Tick
from sharding.reconcile import Reconciler
from sharding.shard import Shard
from sharding.time_services import TimeServices
from sharding.write_split import SplitState, TickState, WriteSplit
from store import run_writer

from .process import NodeProcess
from .run import Outcome, simulate

Planted = AbstractContextManager[object]
POWER = {"power cut": 1.0, "power cut of all": 1.0, "power cut inside a disk call": 1.0}
WILD = {"wild network": 3.0, "slow network": 1.0}
CUT_OFF = {"break client connections": 3.0}
LEADERS = {"kill": 1.0, "isolate": 2.0, "pause": 1.0, "split": 1.0}


@dataclass(frozen=True, slots=True)
class Mutant:
    """`seeds_max`: how many seeds it may take to find it; `fixed`: options of its histories."""

    name: str
    plant: Callable[[], Planted]
    seeds_max: int
    fixed: dict[str, object]


def _mutant(
    name: str, plant: Callable[[], Planted], seeds_max: int, faults: dict[str, float], **fixed: object
) -> Mutant:
    return Mutant(name, plant, seeds_max, {"has_streams": False, "is_changing": False, "faults": faults, **fixed})


def hunt(
    mutant: Mutant, first_seed: int = 0, engine: str = "seeded", seeds_max: int | None = None
) -> tuple[int, Outcome] | None:
    """How many seeds it took, and what was found; None: not found."""
    for count in range(1, (seeds_max or mutant.seeds_max) + 1):
        with mutant.plant():
            outcome = simulate(first_seed + count - 1, engine, **mutant.fixed)
        if not outcome.is_clean:
            return count, outcome
    return None


def acknowledged_before_it_is_durable() -> Planted:
    return patch.object(LogWriter, "_sync", lambda _self, _files: None)


def vote_not_persisted() -> Planted:
    """Term and vote are written, and not synced: after a power cut the member has promised nothing."""

    def save_all(changes: Sequence[tuple[HardStateFile, HardState]]) -> None:
        for file, state in changes:
            file.begin(state)
            for position in POSITIONS:
                file.write_copy(position)

    return patch.object(writer, "save_all", save_all)


def vote_forgotten() -> Planted:
    """The term is written, and the vote in it is not: after a restart the member votes again in the same term."""

    def save_all(changes: Sequence[tuple[HardStateFile, HardState]]) -> None:
        real([(file, HardState(state.term, None)) for file, state in changes])
        for file, state in changes:
            file.state = state

    real = writer.save_all
    return patch.object(writer, "save_all", save_all)


def old_term_committed_by_counting() -> Planted:
    """The no-op of a new term is not waited for. Source: Raft paper, figure 8."""

    def commit(self: Leadership, now_ms: int) -> bool:
        index, self.no_op = self.no_op, 0
        try:
            return real(self, now_ms)
        finally:
            self.no_op = index

    real = Leadership.commit
    return patch.object(Leadership, "commit", commit)


def acknowledged_entries_truncated() -> Planted:
    """A follower's log ends where the request ends, as in many a first attempt."""

    def fit_in(self: Following, request):
        end = real(self, request)
        if end is not None and max(end, self._state.committed) < self._state.tail.last:
            self.verified = min(self.verified, max(end, self._state.committed))
            self._cut(max(end, self._state.committed))
        return end

    real = Following._fit_in
    return patch.object(Following, "_fit_in", fit_in)


def stale_read() -> Planted:
    """The leader answers reads without asking the others whether it still leads."""

    async def read_barrier(self: Group):
        if self._core.role.value == "leader":
            return self.applied
        return await real(self)

    real = Group.read_barrier
    return patch.object(Group, "read_barrier", read_barrier)


def votes_for_anybody() -> Planted:
    """The log of a candidate is not compared with one's own: who lacks acknowledged entries is elected."""
    return patch.object(Voting, "_may_vote_for", lambda *_: True)


def elected_by_a_minority() -> Planted:
    def is_won(self: Candidacy) -> bool:
        return True

    return patch.object(Candidacy, "is_won", property(is_won))


def doubtful_vote_in_full() -> Planted:
    """What a member cut off is taken for a torn tail, and its vote for as good as any other."""

    def elects(self: Ballot, voters: Sequence[int]) -> bool:
        return sum(node in self.granted for node in voters) > len(voters) // 2

    return patch.object(Ballot, "elects", elects)


def admission_not_rebuilt() -> Planted:
    """A new leader gives offsets from where it left off itself: those of other leaders are given again."""

    def commit(self: WriteSplit, append: Append, segment: int, position: int) -> None:
        next_offset = self.next_offset
        real(self, append, segment, position)
        self.next_offset = next_offset

    real = WriteSplit.commit
    stack = ExitStack()
    stack.enter_context(patch.object(Shard, "_rebuild_admission", lambda _self: None))
    stack.enter_context(patch.object(WriteSplit, "commit", commit))
    return stack


def wiped_voter_accepted() -> Planted:
    """A disk id that is no more than the node's id: an empty disk passes for the one that voted."""

    def wipe(self: NodeProcess) -> None:
        before = self.peer
        real(self)
        self.peer = before

    real = NodeProcess.wipe
    return patch.object(NodeProcess, "wipe", wipe)


def two_timekeepers() -> Planted:
    """Every replica keeps time, through whoever leads, and the last one to speak is right."""

    def is_led(self: TimeServices, topic) -> bool:
        shard = self._node.shards.get(topic.shards[0])
        return shard is not None and (topic.topic_id, 0) in shard.state.chains

    def submit(self: TimeServices, topic_id: bytes, partition: int, command):
        return self._node.submit(self._topic(topic_id).shards[partition], command)

    def execute(self: Tick, state, at):
        chain = state.chains.get((self.topic_id, 0))
        last = chain.newest.ticks[-1] if chain is not None and chain.newest.ticks else None
        if last is not None and last.number == self.number:
            chain.newest.ticks[-1] = TickState(self.number, self.watermark_ms, self.cut, self.policy)
            return True
        return real(self, state, at)

    real = Tick.execute
    stack = ExitStack()
    stack.enter_context(patch.object(TimeServices, "_is_led", is_led))
    stack.enter_context(patch.object(TimeServices, "submit", submit))
    stack.enter_context(patch.object(Tick, "execute", execute))
    return stack


def producers_lost_at_failover() -> Planted:
    def reset(self: WriteSplit) -> None:
        self.forget_producers()
        real(self)

    real = WriteSplit.reset_admission
    return patch.object(WriteSplit, "reset_admission", reset)


def producers_not_in_the_checkpoint() -> Planted:
    """What an `Open` or a checkpoint hands over forgets who has written."""

    def handed_over(self: WriteSplit, term: int, epochs_added: int) -> SplitState:
        import msgspec

        return msgspec.structs.replace(real(self, term, epochs_added), producers=())

    real = WriteSplit.handed_over
    return patch.object(WriteSplit, "handed_over", handed_over)


def leader_epoch_falls() -> Planted:
    """Epochs count down from somewhere; the assertion that would notice goes with it."""

    def append(self: Shard, chain, batch, header, **rest):
        split = chain.splits[-1]
        base, split.epoch_base = split.epoch_base, split.epoch_base - 2 * (self.term - split.open_term) + 100
        split.epochs.clear()
        try:
            return real(self, chain, batch, header, **rest)
        finally:
            split.epoch_base = base

    def commit(self: WriteSplit, append, segment, position):
        self.epochs.clear()
        return real_commit(self, append, segment, position)

    real, real_commit = Shard.append, WriteSplit.commit
    stack = ExitStack()
    stack.enter_context(patch.object(Shard, "append", append))
    stack.enter_context(patch.object(WriteSplit, "commit", commit))
    return stack


def answers_reordered() -> Planted:
    """An answer is sent when it is there, whatever was asked before."""

    def answered(self: Connection, context) -> None:
        self._unanswered.remove(context)
        self._unanswered.appendleft(context)
        real(self, context)

    real = Connection.answered
    return patch.object(Connection, "answered", answered)


def answered_before_commit() -> Planted:
    """A batch is acknowledged when its leader has it on its disk, as with acks=1."""

    def append(self: Shard, chain, batch, header, *, least_ms, acks, on_done):
        return real(self, chain, batch, header, least_ms=least_ms, acks=1, on_done=on_done)

    real = Shard.append
    return patch.object(Shard, "append", append)


def dropped_without_a_barrier() -> Planted:
    """A leader drops what its own copy of the catalog does not list, however old that is."""

    async def drop(self: Reconciler, shard: Shard, topics) -> None:
        await asyncio.gather(*(shard.submit(Drop(*key)) for key in self._unlisted(shard, topics)))

    return patch.object(Reconciler, "_drop_unlisted", drop)


def runs_not_durable() -> Planted:
    """A run takes its name, and the manifest is published, before its bytes are on the disk."""

    def finish(self) -> tuple[int, str]:
        self._file.close()
        self.is_finished = True
        return self._size, self._hash.hexdigest()

    return patch.object(run_writer._HashingFile, "finish", finish)


HASTE = {"fault_s": 0.2, "seconds": 5.0}

MUTANTS: Sequence[Mutant] = (
    _mutant("acknowledged before it is durable", acknowledged_before_it_is_durable, 10, POWER, nodes=3),
    _mutant("vote not persisted", vote_not_persisted, 10, POWER, nodes=3, fault_s=0.2),
    _mutant(
        "acknowledged entries truncated",
        acknowledged_entries_truncated,
        150,
        WILD | {"slow disk": 1.0, "kill": 1.0, "pause": 1.0},
        nodes=3,
        **HASTE,
    ),
    _mutant("stale read", stale_read, 60, {"pause": 3.0}, nodes=3, committers=6, producers=1, fault_s=0.4, seconds=6.0),
    _mutant("votes for anybody", votes_for_anybody, 10, LEADERS | {"slow disk": 1.0}, nodes=3, **HASTE),
    _mutant("elected by a minority", elected_by_a_minority, 120, LEADERS, nodes=3, fault_s=0.2),
    _mutant(
        "doubtful vote in full",
        doubtful_vote_in_full,
        60,
        {"bit flip": 3.0, "kill": 1.0, "isolate": 2.0},
        nodes=3,
        producers=3,
        produce_s=0.04,
        **HASTE,
    ),
    _mutant("admission not rebuilt", admission_not_rebuilt, 10, LEADERS, nodes=3),
    _mutant("producers lost at a failover", producers_lost_at_failover, 10, LEADERS | CUT_OFF, nodes=3),
    _mutant(
        "producers not in the checkpoint",
        producers_not_in_the_checkpoint,
        20,
        {"kill": 3.0, "stop": 2.0} | CUT_OFF,
        nodes=1,
        checkpoint_bytes=2048,
        produce_s=0.04,
        inflight=5,
        **HASTE,
    ),
    _mutant("leader epoch falls", leader_epoch_falls, 10, LEADERS, nodes=3),
    _mutant("answers reordered", answers_reordered, 5, LEADERS, nodes=3, inflight=5, partitions=3),
    _mutant("answered before commit", answered_before_commit, 10, LEADERS, nodes=3),
    _mutant("wiped voter accepted", wiped_voter_accepted, 100, LEADERS | {"wipe": 2.0}, nodes=3, **HASTE),
    _mutant(
        "runs not durable",
        runs_not_durable,
        10,
        {"power cut": 3.0, "power cut of all": 2.0},
        nodes=1,
        has_streams=True,
        fault_s=1.0,
        seconds=5.0,
    ),
    _mutant("two timekeepers", two_timekeepers, 5, LEADERS, nodes=3, has_streams=True),
    _mutant(
        "dropped without a barrier",
        dropped_without_a_barrier,
        10,
        {"old catalog": 1.0},
        nodes=3,
        topics_created=8,
        fault_s=1.0,
        seconds=6.0,
    ),
)

# Too rare for whole nodes: two candidates of one term, whose voter dies between them and is back at once (not in 60
# seeds); figure 8 of the Raft paper (once in about 440). The cores have a simulator for them.
NOT_FOUND: Sequence[Mutant] = (
    _mutant(
        "old term committed by counting",
        old_term_committed_by_counting,
        100,
        LEADERS | WILD,
        nodes=5,
        append_bytes_max=300,
        **HASTE,
    ),
    _mutant("vote forgotten", vote_forgotten, 60, {"crowded election": 1.0}, nodes=3, fault_s=1.0, seconds=8.0),
)
