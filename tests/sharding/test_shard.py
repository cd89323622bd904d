"""A shard over a replicated log in memory: admission against visibility, answers, replay, step-down."""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raft.errors import EntryTooLargeError, LogBusyError, LogFullError
from raft.interfaces import Role, RoleChange
from sharding.commands.append import Append
from sharding.commands.command import At
from sharding.commands.splits import Close, Drop, Open, RaiseLogStart
from sharding.commands.table import encode
from sharding.coordinators.slots import GroupSlots
from sharding.errors import (
    ClosingError,
    HandingOverError,
    MessageTooLargeError,
    NotLeaderError,
    OutOfOrderSequenceError,
    OverloadedError,
    StorageFullError,
    UnknownPartitionError,
)
from sharding.interfaces import Appended
from sharding.shard import Shard, ShardSettings
from sharding.shard_state import Chain, ShardState
from sharding.write_split import SAME_SHARD_EPOCHS, SplitState, Target, WriteSplit
from store.batches import Producer, build, read_header, records
from store.events import TIMESTAMP_MS_MIN, Record
from tests.support.memory_group import MemoryDisk, MemoryGroup

TOPIC = b"t" * 16
LOGGER = logging.getLogger("test")


def batch_of(*values: bytes, ts: int = 5, producer: tuple[int, int, int] | None = None) -> memoryview:
    rows = [Record(i, ts, None, value) for i, value in enumerate(values or (b"v",))]
    made = Producer() if producer is None else Producer(*producer)
    return memoryview(bytearray(build(rows, base_offset=0, producer=made)))


@dataclass
class Bench:
    """A shard that leads, with one open partition."""

    disk: MemoryDisk
    settings: ShardSettings = field(default_factory=ShardSettings)
    answers: list[object] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shard = Shard(
            1,
            call_soon=asyncio.get_running_loop().call_soon,
            logger=LOGGER,
            sections=[GroupSlots()],
            settings=self.settings,
        )
        self.group = MemoryGroup(self.shard, self.disk)
        self.group.replay()
        self.shard.attach(self.group)
        self.group.lead()

    async def open(self, partition: int = 0) -> Chain:
        await self.shard.submit(Open(TOPIC, partition, 0, 1, SplitState()))
        return self.chain(partition)

    def chain(self, partition: int = 0) -> Chain:
        return self.shard.state.chains[TOPIC, partition]

    def append(
        self,
        batch: memoryview | None = None,
        *,
        acks: int = -1,
        partition: int = 0,
        on_done: Callable[[object], None] | None = None,
    ) -> None:
        batch = batch_of() if batch is None else batch
        self.shard.append(
            self.chain(partition),
            batch,
            read_header(batch),
            least_ms=TIMESTAMP_MS_MIN,
            acks=acks,
            on_done=on_done or self.answers.append,
        )

    def offsets(self) -> list[int]:
        return [answer.base_offset for answer in self.answers if isinstance(answer, Appended)]

    def restarted(self) -> "Bench":
        return Bench(self.disk, self.settings)


async def turns(count: int = 6) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def run(work: Coroutine[object, object, None]) -> None:
    asyncio.run(work)


def test_an_append_is_visible_and_answered_when_it_is_committed() -> None:
    async def story() -> None:
        bench = Bench(MemoryDisk())
        chain = await bench.open()
        bench.group.is_held = True
        bench.append(batch_of(b"a", b"b"))
        await turns()
        assert (chain.newest.next_offset, chain.newest.committed_offset, bench.answers) == (2, 0, [])
        assert bench.shard.read_batches(chain.newest, 0, 1000) == []
        bench.group.release()
        assert chain.newest.committed_offset == 2
        assert bench.answers == [Appended(0, -1, 0)]
        (view,) = bench.shard.read_batches(chain.newest, 1, 1000)
        assert [(one.offset, one.value) for one in records(view)] == [(0, b"a"), (1, b"b")]

    run(story())


def test_the_batch_carries_base_offset_and_leader_epoch() -> None:
    async def story() -> None:
        bench = Bench(MemoryDisk())
        chain = await bench.open()
        bench.append()
        await turns()
        again = bench.restarted()
        again.append()
        await turns()
        chain = again.chain()
        heads = [read_header(view) for offset in (0, 1) for view in again.shard.read_batches(chain.newest, offset, 1)]
        assert [(head.base_offset, head.leader_epoch) for head in heads] == [(0, 0), (1, 1)]
        assert chain.newest.epochs == [(0, 0), (1, 1)]

    run(story())


def test_appends_gather_into_one_entry_while_the_writer_is_busy() -> None:
    async def story() -> None:
        bench = Bench(MemoryDisk())
        await bench.open()
        bench.group.is_held = bench.group.is_writing = True
        for _ in range(5):
            bench.append()
            await turns()
        assert bench.group.pending_count == 0
        bench.group.is_writing = False
        bench.append()
        await turns()
        assert bench.group.pending_count == 1
        bench.group.release()
        assert bench.offsets() == [0, 1, 2, 3, 4, 5]

    run(story())


def test_an_entry_that_is_full_does_not_wait_for_the_writer() -> None:
    async def story() -> None:
        bench = Bench(MemoryDisk(), ShardSettings(buffer_bytes=1000))
        await bench.open()
        bench.group.is_held = bench.group.is_writing = True
        for _ in range(20):
            bench.append()
        assert bench.group.pending_count == 20 * (len(batch_of()) + 62) // 1000

    run(story())


def test_acks_1_waits_for_the_disk_and_acks_0_for_admission() -> None:
    async def story() -> None:
        bench = Bench(MemoryDisk())
        await bench.open()
        bench.group.is_held = True
        bench.append(acks=0)
        bench.append(acks=1)
        bench.append(acks=-1)
        assert bench.answers == [], "never inside the call"
        await turns()
        assert bench.offsets() == [0]
        bench.shard.on_persisted(bench.group.term, bench.group.applied + 1)
        assert bench.offsets() == [0, 1]
        bench.group.release()
        assert bench.offsets() == [0, 1, 2]

    run(story())


def test_a_duplicate_of_a_pending_batch_waits_for_its_commit() -> None:
    async def story() -> None:
        bench = Bench(MemoryDisk())
        await bench.open()
        bench.group.is_held = True
        bench.append(batch_of(producer=(7, 0, 0)))
        bench.append(batch_of(producer=(7, 0, 0)))
        await turns()
        assert bench.answers == []
        bench.group.release()
        assert bench.answers == [Appended(0, -1, 0), Appended(0, -1, 0, is_duplicate=True)]
        bench.append(batch_of(producer=(7, 0, 0)))
        await turns()
        assert bench.answers[2] == Appended(0, -1, 0, is_duplicate=True)
        assert bench.chain().newest.committed_offset == 1
        with pytest.raises(OutOfOrderSequenceError):
            bench.append(batch_of(producer=(7, 0, 5)))

    run(story())


def test_at_step_down_whatever_waits_fails_once_and_nothing_is_left_behind() -> None:
    async def story() -> None:
        bench = Bench(MemoryDisk())
        chain = await bench.open()
        bench.group.is_held = True
        for acks in (0, 1, -1):
            bench.append(batch_of(producer=(acks + 9, 0, 0)), acks=acks)
        bench.append(batch_of(producer=(8, 0, 0)))
        submitted = bench.shard.submit(Drop(TOPIC, 0))
        await turns()
        assert len(bench.answers) == 1, "acks=0"
        bench.group.step_down(2)
        assert [type(answer) for answer in bench.answers[1:]] == [NotLeaderError] * 3
        assert isinstance(submitted.exception(), NotLeaderError)
        assert chain.newest.next_offset == chain.newest.committed_offset == 0
        with pytest.raises(NotLeaderError) as refused:
            bench.append()
        assert refused.value.leader_id == 2
        bench.group.is_held = False
        bench.group.lead()
        bench.append(batch_of(producer=(8, 0, 0)))
        await turns()
        assert bench.answers[4] == Appended(0, -1, 0), "not a duplicate: the first one was lost"
        assert bench.shard.inflight_bytes == 0

    run(story())


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        (LogFullError("full"), StorageFullError),
        (LogBusyError("busy"), HandingOverError),
        (EntryTooLargeError(9, 8), MessageTooLargeError),
    ],
)
def test_what_the_log_refuses_was_never_admitted(refusal: Exception, expected: type[Exception]) -> None:
    async def story() -> None:
        bench = Bench(MemoryDisk())
        chain = await bench.open()
        bench.group.is_held = True
        bench.append(batch_of(producer=(7, 0, 0)))
        await turns()
        bench.append(batch_of(producer=(7, 0, 1)))
        bench.group.refusal = refusal
        await turns()
        assert [type(answer) for answer in bench.answers] == [expected]
        assert chain.newest.next_offset == 1, "what is in flight stays admitted"
        bench.group.refusal = None
        bench.append(batch_of(producer=(7, 0, 1)))
        await turns()
        bench.group.release()
        assert bench.offsets() == [0, 1]

    run(story())


def test_what_follows_a_batch_that_the_log_refused_is_refused_like_it_and_not_out_of_order() -> None:
    async def story() -> None:
        bench = Bench(MemoryDisk())
        await bench.open()
        bench.append(batch_of(producer=(7, 0, 0)))
        await turns()
        bench.append(batch_of(producer=(7, 0, 1)))
        bench.group.refusal = LogBusyError("leadership is handed over")
        await turns()
        assert isinstance(bench.answers[1], HandingOverError)
        with pytest.raises(HandingOverError):
            bench.append(batch_of(producer=(7, 0, 2)))

    run(story())


def test_a_duplicate_of_a_batch_that_the_log_refuses_is_refused_with_it() -> None:
    async def story() -> None:
        bench = Bench(MemoryDisk())
        await bench.open()
        bench.append(batch_of(producer=(7, 0, 0)))
        bench.append(batch_of(producer=(7, 0, 0)))
        bench.group.refusal = LogFullError("full")
        await turns()
        assert [type(answer) for answer in bench.answers] == [StorageFullError] * 2
        bench.group.refusal = None
        bench.append(batch_of(b"another", producer=(8, 0, 0)))
        await turns()
        assert bench.answers[2:] == [Appended(0, -1, 0)], "its commit acknowledges nothing else"

    run(story())


def test_more_in_flight_than_allowed_pushes_back() -> None:
    async def story() -> None:
        bench = Bench(MemoryDisk(), ShardSettings(inflight_bytes=300))
        await bench.open()
        bench.group.is_held = True
        for _ in range(3):
            bench.append()
        with pytest.raises(OverloadedError):
            bench.append()
        await turns()
        bench.group.release()
        bench.append()
        await turns()
        bench.group.release()
        assert bench.offsets() == [0, 1, 2, 3]

    run(story())


def test_nothing_is_admitted_after_a_close_was_appended() -> None:
    async def story() -> None:
        bench = Bench(MemoryDisk())
        chain = await bench.open()
        bench.append()
        closing = bench.shard.submit(Close(TOPIC, 0, 0, 2, Target(1, 1)))
        with pytest.raises(NotLeaderError):
            bench.append()
        assert await closing == 1
        with pytest.raises(NotLeaderError):
            bench.append()
        inherited = chain.newest.handed_over(bench.shard.term, SAME_SHARD_EPOCHS)
        assert await bench.shard.submit(Open(TOPIC, 0, 1, 3, inherited)) is True
        assert await bench.shard.submit(Open(TOPIC, 0, 1, 3, inherited)) is False, "a repetition"
        bench.append()
        await turns()
        assert bench.offsets() == [0, 1]
        assert [(split.number, split.first_offset) for split in chain.splits] == [(0, 0), (1, 1)]

    run(story())


def hold(bench: Bench, batch: memoryview | None = None) -> None:
    batch = batch_of() if batch is None else batch
    bench.shard.hold(bench.chain(), len(batch), lambda: bench.append(batch), bench.answers.append)


async def cut(bench: Bench, number: int = 0) -> None:
    await bench.shard.submit(Close(TOPIC, 0, number, 2, Target(number + 1, 1)))
    inherited = bench.chain().newest.handed_over(bench.shard.term, SAME_SHARD_EPOCHS)
    await bench.shard.submit(Open(TOPIC, 0, number + 1, 3, inherited))


def test_what_is_held_over_a_cut_is_appended_in_order_when_the_next_split_is_open() -> None:
    async def story() -> None:
        bench = Bench(MemoryDisk(), ShardSettings(buffer_bytes=300))
        chain = await bench.open()
        bench.append(batch_of(producer=(7, 0, 0)))
        cutting = asyncio.ensure_future(cut(bench))
        await asyncio.sleep(0)
        for sequence in (1, 2, 3, 9):
            hold(bench, batch_of(producer=(7, 0, sequence)))
        assert bench.offsets() == []
        await cutting
        await turns()
        assert bench.offsets() == [0, 1, 2, 3]
        assert [type(one) for one in bench.answers if not isinstance(one, Appended)] == [OutOfOrderSequenceError]
        assert [split.record_count for split in chain.splits] == [1, 3]
        assert bench.shard.inflight_bytes == 0

    run(story())


def test_what_is_held_for_a_close_that_the_log_refuses_goes_on_in_the_open_split() -> None:
    async def story() -> None:
        bench = Bench(MemoryDisk())
        await bench.open()
        bench.group.refusal = LogBusyError("busy")
        closing = bench.shard.submit(Close(TOPIC, 0, 0, 2, Target(1, 1)))
        hold(bench)
        asyncio.get_running_loop().call_soon(setattr, bench.group, "refusal", None)
        await turns()
        assert isinstance(closing.exception(), OverloadedError)
        assert bench.answers == [Appended(0, -1, 0)]
        assert bench.shard.inflight_bytes == 0

    run(story())


def test_only_a_split_that_goes_on_here_holds_appends_and_not_without_bound() -> None:
    async def story() -> None:
        bench = Bench(MemoryDisk(), ShardSettings(inflight_bytes=150))
        await bench.open()
        with pytest.raises(NotLeaderError):
            hold(bench)
        bench.group.is_held = True
        closing = bench.shard.submit(Close(TOPIC, 0, 0, 2, Target(1, 1)))
        hold(bench)
        hold(bench)
        with pytest.raises(OverloadedError):
            hold(bench)
        bench.group.step_down()
        assert [type(answer) for answer in bench.answers] == [NotLeaderError] * 2
        assert isinstance(closing.exception(), NotLeaderError)
        assert bench.shard.inflight_bytes == 0
        bench.group.is_held = False
        bench.group.lead()
        await bench.shard.submit(Close(TOPIC, 0, 0, 2, Target(1, 9)))
        with pytest.raises(NotLeaderError):
            hold(bench)

    run(story())


def test_a_closed_split_stays_closed_under_the_next_leader_and_after_a_restart() -> None:
    async def story() -> None:
        bench = Bench(MemoryDisk())
        await bench.open()
        await bench.shard.submit(Close(TOPIC, 0, 0, 2, Target(1, 1)))
        bench.group.step_down()
        bench.group.lead()
        bench.shard.save_checkpoint()
        for one in (bench, bench.restarted()):
            with pytest.raises(NotLeaderError):
                one.append()

    run(story())


def test_a_producer_is_known_beyond_a_cut() -> None:
    async def story() -> None:
        bench = Bench(MemoryDisk())
        chain = await bench.open()
        bench.append(batch_of(producer=(7, 0, 0)))
        await bench.shard.submit(Close(TOPIC, 0, 0, 2, Target(1, 1)))
        await bench.shard.submit(Open(TOPIC, 0, 1, 3, chain.newest.handed_over(bench.shard.term, 0)))
        bench.append(batch_of(producer=(7, 0, 0)))
        await turns()
        assert bench.answers[-1] == Appended(0, -1, 0, is_duplicate=True)

    run(story())


def test_a_partition_that_was_dropped_while_another_led_admits_nothing_here() -> None:
    async def story() -> None:
        bench = Bench(MemoryDisk())
        dropped, replaced = await bench.open(0), await bench.open(1)
        bench.group.step_down()
        drop = Drop(TOPIC, 0)
        entry = b"".join(bytes(part) for part in encode(drop))
        bench.disk.entries.append((2, entry))
        bench.group.replay()
        assert dropped.is_dropped
        # The other's state as the leader sent it, without partition 1 either.
        bench.shard.restore(ShardState([GroupSlots()]).snapshot())
        bench.group.lead()
        for chain in (dropped, replaced):
            batch = batch_of()
            with pytest.raises(NotLeaderError):
                bench.shard.append(chain, batch, read_header(batch), least_ms=5, acks=-1, on_done=bench.answers.append)
            with pytest.raises(UnknownPartitionError):
                bench.shard.hold(chain, 1, lambda: None, bench.answers.append)
        assert bench.shard.is_idle, "what the log has not got cannot stop it"

    asyncio.run(story())


def test_the_log_start_never_falls_and_never_passes_the_high_watermark() -> None:
    async def story() -> None:
        bench = Bench(MemoryDisk())
        await bench.open()
        for _ in range(3):
            bench.append()
        found = [await bench.shard.submit(RaiseLogStart(TOPIC, 0, offset)) for offset in (2, 1, 9)]
        assert found == [2, 2, 3]
        assert await bench.shard.submit(RaiseLogStart(TOPIC, 1, 1)) is None

    run(story())


def test_watchers_are_told_once_per_entry_and_when_leadership_ends() -> None:
    async def story() -> None:
        bench = Bench(MemoryDisk())
        chain = await bench.open()
        told: list[int] = []
        undo = bench.shard.watch(chain, lambda: told.append(chain.newest.committed_offset))
        for _ in range(4):
            bench.append()
        await turns()
        assert told == [4]
        bench.group.step_down()
        assert told == [4, 4]
        undo()
        bench.group.lead()
        assert told == [4, 4]

    run(story())


def test_a_failing_callback_stops_neither_the_log_nor_the_other_answers(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        bench = Bench(MemoryDisk())
        chain = await bench.open()

        def fail(*_: object) -> None:
            raise RuntimeError

        bench.shard.watch(chain, fail)
        bench.shard.observe_appends(fail)
        bench.shard.observe_commands(Close, fail)
        bench.append(on_done=fail)
        bench.append()
        await bench.shard.submit(Close(TOPIC, 0, 0, 2, Target(1, 1)))
        assert bench.offsets() == [1]

    run(story())
    assert len([one for one in caplog.records if one.exc_info]) == 5


def test_observers_see_what_was_applied_on_leaders_and_at_replay() -> None:
    async def story() -> None:
        bench = Bench(MemoryDisk())
        seen: list[tuple[int, int]] = []
        dropped: list[object] = []

        def on_append(split: WriteSplit, append: Append, at: At) -> None:
            assert split.committed_offset == append.end_offset
            seen.append((append.base_offset, at.entry_index))

        undo = bench.shard.observe_appends(on_append)
        bench.shard.observe_commands(Drop, lambda _command, result, _at: dropped.append(result))
        await bench.open()
        bench.append()
        await turns()
        await bench.shard.submit(Drop(TOPIC, 0))
        await bench.shard.submit(Drop(TOPIC, 0))
        undo()
        await bench.open()
        bench.append()
        await turns()
        assert [offset for offset, _ in seen] == [0]
        assert dropped == [True, False]

    run(story())


def test_a_role_observer_hears_of_leadership_after_the_shard_took_it_over() -> None:
    async def story() -> None:
        bench = Bench(MemoryDisk())
        heard: list[tuple[Role, bool]] = []

        def on_role(change: RoleChange) -> None:
            heard.append((change.role, bench.shard.is_leader))

        bench.shard.observe_roles(on_role)
        bench.group.step_down()
        bench.group.lead()
        assert heard == [(Role.FOLLOWER, False), (Role.LEADER, True)]

    run(story())


def test_drain_returns_when_all_is_committed_and_a_closing_shard_refuses() -> None:
    async def story() -> None:
        bench = Bench(MemoryDisk())
        await bench.open()
        bench.group.is_held = True
        bench.append()
        bench.shard.stop_admitting()
        draining = asyncio.ensure_future(bench.shard.drain())
        await turns()
        assert not draining.done()
        with pytest.raises(ClosingError):
            bench.append()
        with pytest.raises(ClosingError):
            bench.shard.submit(Drop(TOPIC, 0))
        bench.group.release()
        await draining
        assert bench.offsets() == [0]

    run(story())


def test_a_failure_inside_an_entry_fails_those_who_wait_for_it() -> None:
    async def story() -> None:
        bench = Bench(MemoryDisk())
        await bench.open()
        bench.group.is_held = True
        bench.append()
        await turns()
        bench.chain().newest.committed_offset = 17
        with pytest.raises(AssertionError):
            bench.group.release()
        bench.group.step_down()
        assert [type(answer) for answer in bench.answers] == [NotLeaderError]

    run(story())


# What may happen to a shard: (kind, a number that the kind interprets).
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["append", "append", "produce", "release", "turn", "refuse", "step down", "cut", "checkpoint"]),
        st.integers(0, 5),
    ),
    max_size=40,
)


@given(events=EVENTS, seed=st.integers(0, 1 << 16))
def test_acknowledged_stays_in_order_and_replicas_are_equal_whatever_happens(
    events: list[tuple[str, int]], seed: int
) -> None:
    run(_history(events, random.Random(seed)))


async def _history(events: list[tuple[str, int]], rng: random.Random) -> None:
    bench = Bench(MemoryDisk())
    await bench.open()
    await bench.open(1)
    bench.group.is_held = True
    sent: dict[bytes, int] = {}
    acknowledged: dict[bytes, tuple[int, int]] = {}
    sequences = [0] * 6

    def send(partition: int, producer: tuple[int, int, int] | None) -> bool:
        value = b"%d" % len(sent)

        def on_done(answer: object) -> None:
            if isinstance(answer, Appended) and not answer.is_duplicate:
                assert value not in acknowledged, "answered twice"
                acknowledged[value] = partition, answer.base_offset
                assert bench.chain(partition).newest.committed_offset > answer.base_offset

        try:
            bench.append(batch_of(value, producer=producer), partition=partition, on_done=on_done)
        except (NotLeaderError, HandingOverError, OutOfOrderSequenceError):
            return False
        sent[value] = partition
        return True

    for kind, number in events:
        chain = bench.chain(number % 2)
        match kind:
            case "append":
                send(number % 2, None)
            case "produce":
                # A producer that goes on after each batch it got rid of, and repeats the last one otherwise.
                if send(number % 2, (number, 0, sequences[number])):
                    sequences[number] += rng.random() < 0.7
            case "release":
                bench.group.release(min(number, bench.group.pending_count))
            case "turn":
                await turns(1)
            case "refuse":
                bench.group.refusal = LogBusyError("busy") if number % 2 else None
            case "step down":
                bench.group.step_down()
                bench.group.lead()
                sequences = [0] * 6
            case "cut":
                number_now = chain.newest.number
                if not chain.newest.is_closed:
                    bench.shard.submit(Close(TOPIC, number % 2, number_now, 1, Target(number_now + 1, 1)))
                elif chain.newest.committed_offset == chain.newest.next_offset:
                    inherited = chain.newest.handed_over(bench.shard.term, 0)
                    bench.shard.submit(Open(TOPIC, number % 2, number_now + 1, 1, inherited))
            case _:
                bench.shard.save_checkpoint()
        for one in bench.shard.state.splits():
            assert one.first_offset <= one.committed_offset <= one.next_offset
    bench.group.refusal = None
    await turns(2)
    bench.group.release()
    await turns(2)
    bench.group.release()
    assert all(split.admission.is_settled for split in bench.shard.state.splits())
    state = bench.shard.state.snapshot()
    from_scratch = Bench(MemoryDisk(entries=list(bench.disk.entries), term=bench.disk.term))
    from_checkpoint = bench.restarted()
    assert from_scratch.shard.state.snapshot() == state, "a replica that decodes equals the leader that did not"
    assert from_checkpoint.shard.state.snapshot() == state, "a checkpoint and the tail equal the whole log"
    for value, (partition, base_offset) in acknowledged.items():
        chain = from_scratch.chain(partition)
        split = chain.split_of(base_offset)
        assert split is not None
        view = from_scratch.shard.read_batches(split, base_offset, 1)[0]
        assert [(one.offset, one.value) for one in records(view)] == [(base_offset, value)]
