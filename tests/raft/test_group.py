"""A group on its loop: proposals, barriers, checkpoints, a full disk, failures, the end."""

import asyncio
import errno
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from raft.configuration import Peer
from raft.entries import COPIED_BYTES_MAX
from raft.errors import (
    EntryTooLargeError,
    GroupStoppedError,
    LogBusyError,
    LogFullError,
    NotLeaderError,
    SegmentReleasedError,
    SingleMemberOnlyError,
    TransferFailedError,
)
from raft.interfaces import Buffer, GroupId, Index, NodeId, RaftGroup, Role
from tests.raft.doubles import GROUP, ME, SMALL, Bench, RememberingMachine, opened, settle, until
from tests.support.faulty_disk import FaultyDisk


def on_a_group(test: Callable[[Bench], Awaitable[None]]) -> Callable[[], None]:
    """Run the test with an open, leading group."""

    async def run() -> None:
        async with opened(FaultyDisk()) as bench:
            await test(bench)

    def wrapped() -> None:
        asyncio.run(run())

    return wrapped


def is_a_raft_group(group: RaftGroup) -> RaftGroup:
    return group


@on_a_group
async def test_a_proposal_is_applied_where_it_says(bench: Bench) -> None:
    group = is_a_raft_group(bench.group)
    body: list[Buffer] = [b"he", bytearray(b"ll"), memoryview(b"o")]
    proposal = group.propose(body)
    assert proposal.term == group.term == 1
    assert group.is_writing
    await until(lambda: group.applied == proposal.index)
    assert bench.machine.bodies == [(proposal.index, b"hello")]
    place = bench.machine.places[proposal.index]
    read = group.read(place.segment, place.position, 5)
    assert (bytes(read), read.readonly) == (b"hello", True)
    assert not group.is_writing


@on_a_group
async def test_durable_comes_before_applied(bench: Bench) -> None:
    order: list[str] = []
    machine = bench.machine
    machine.on_apply = lambda index, _body: order.append(f"applied {index} with {machine.persisted[-1][1]} durable")
    bench.group.propose([b"a"])
    bench.group.propose([b"b"])
    await settle()
    assert order == ["applied 3 with 4 durable", "applied 4 with 4 durable"]


@on_a_group
async def test_proposals_of_one_turn_share_one_sync(bench: Bench) -> None:
    bench.disk.calls.clear()
    for number in range(100):
        bench.group.propose([b"%d" % number])
    await until(lambda: len(bench.machine.bodies) == 100)
    assert bench.disk.calls["sync"] == 1


@on_a_group
async def test_a_barrier_waits_for_what_was_committed_before_it(bench: Bench) -> None:
    last = bench.group.propose([b"a"]).index
    await settle()
    assert await bench.group.read_barrier() == last
    barriers = [asyncio.create_task(bench.group.read_barrier()) for _ in range(3)]
    barriers[0].cancel()
    assert await asyncio.gather(*barriers[1:]) == [last, last]


async def _before_leading() -> None:
    async with opened(FaultyDisk(), is_led=False) as bench:
        assert (bench.group.role, bench.group.leader_or_none) == (Role.FOLLOWER, None)
        with pytest.raises(NotLeaderError):
            bench.group.propose([b"a"])
        with pytest.raises(NotLeaderError):
            await bench.group.read_barrier()
        await until(lambda: bench.machine.is_leading)
        assert (bench.group.role, bench.group.leader_or_none) == (Role.LEADER, 1)
        assert [change.role for change in bench.machine.roles] == [Role.CANDIDATE, Role.LEADER]


def test_nothing_is_admitted_before_leading() -> None:
    asyncio.run(_before_leading())


async def _limits() -> None:
    settings = replace(SMALL, entry_bytes_max=1_000, in_flight_bytes_max=1_500, in_flight_entries_max=5)
    async with opened(FaultyDisk(), settings=settings) as bench:
        with pytest.raises(EntryTooLargeError, match="1001 bytes, at most 1000"):
            bench.group.propose([b"x" * 1_001])
        bench.group.propose([b"x" * 1_000])
        with pytest.raises(LogBusyError, match="1000 bytes in flight"):
            bench.group.propose([b"x" * 501])
        bench.group.propose([b"x" * 500])
        await until(lambda: len(bench.machine.bodies) == 2)
        for _ in range(5):
            bench.group.propose([b""])
        with pytest.raises(LogBusyError, match="5 entries in flight"):
            bench.group.propose([b""])
        await settle()
        bench.group.propose([b"x" * 1_000])


def test_entries_and_what_is_in_flight_are_bounded() -> None:
    asyncio.run(_limits())


@on_a_group
async def test_a_long_replay_lets_the_loop_turn(bench: Bench) -> None:
    applied_in_turn: list[int] = []
    applied = 0

    def take_three_ms(_index: Index, _body: Sequence[Buffer]) -> None:
        nonlocal applied
        applied += 1
        bench.clock.at_ms += 3

    bench.machine.on_apply = take_three_ms
    for number in range(10):
        bench.group.propose([b"%d" % number])
    while len(bench.machine.bodies) < 10:
        applied = 0
        await asyncio.sleep(0)
        applied_in_turn.append(applied)
    assert max(applied_in_turn) == 2, "slices of 5 ms"
    assert sum(applied_in_turn) == 10


@on_a_group
async def test_a_full_disk_refuses_proposals_serves_reads_and_heals(bench: Bench) -> None:
    group = bench.group
    before = group.propose([b"before"]).index
    await settle()
    bench.disk.no_space = {"write", "create"}
    waiting = group.propose([b"waiting"]).index
    group.propose([b"too"])
    await settle()
    assert group.is_full
    with pytest.raises(LogFullError):
        group.propose([b"refused"])
    place = bench.machine.places[before]
    assert bytes(group.read(place.segment, place.position, 6)) == b"before"
    assert await group.read_barrier() == before
    bench.clock.advance(SMALL.space_retry_ms)
    await settle()
    assert group.is_full
    assert bench.machine.persisted[-1][1] == before, "nothing is acknowledged that is not durable"
    bench.disk.no_space = set()
    bench.clock.advance(SMALL.space_retry_ms)
    await settle()
    assert not group.is_full
    assert bench.machine.persisted[-1][1] == waiting + 1
    group.propose([b"after"])
    await settle()
    assert [body for _, body in bench.machine.bodies] == [b"before", b"waiting", b"too", b"after"]


@on_a_group
async def test_a_full_disk_keeps_one_retry_timer(bench: Bench) -> None:
    bench.disk.no_space = {"write"}
    bench.group.propose([b"waiting"])
    await settle()
    for _ in range(5):
        bench.clock.advance(SMALL.space_retry_ms)
        await settle()
        assert len([timer for timer in bench.clock.timers if not timer.is_cancelled]) == 1
    bench.disk.no_space = set()


@on_a_group
async def test_a_full_disk_does_not_keep_a_group_from_closing(bench: Bench) -> None:
    bench.disk.no_space = {"write"}
    bench.group.propose([b"waiting"])
    await settle()
    await bench.group.close()
    bench.disk.no_space = set()
    assert bench.machine.roles[-1].role is Role.FOLLOWER


@on_a_group
async def test_a_checkpoint_without_space_leaves_the_one_before(bench: Bench) -> None:
    bench.group.propose([b"a"])
    await settle()
    bench.group.save_checkpoint(b"first")
    await settle()
    bench.disk.no_space = {"create"}
    bench.group.save_checkpoint(b"second")
    await settle()
    bench.disk.no_space = set()
    assert b"first" in bench.disk.content("/data/shards/7/checkpoint")
    assert not bench.failures


@on_a_group
async def test_a_failed_sync_stops_everything_and_is_never_repeated(bench: Bench) -> None:
    group = bench.group
    persisted = list(bench.machine.persisted)
    bench.disk.sync_error = OSError(errno.EIO, "bad sector")
    group.propose([b"lost"])
    await settle()
    assert [(group_id, type(error)) for group_id, error in bench.failures] == [(None, OSError)]
    syncs = bench.disk.calls["sync"]
    bench.disk.sync_error = None
    for _ in range(3):
        bench.clock.advance(SMALL.space_retry_ms)
        await settle()
    assert bench.disk.calls["sync"] == syncs
    assert bench.machine.persisted == persisted
    assert bench.machine.roles[-1].role is Role.FOLLOWER
    with pytest.raises(GroupStoppedError):
        group.propose([b"more"])
    with pytest.raises(GroupStoppedError):
        await bench.host.open_group(GroupId(8), RememberingMachine())


@on_a_group
async def test_a_failed_sync_of_a_checkpoint_stops_everything_too(bench: Bench) -> None:
    bench.disk.sync_error = OSError(errno.EIO, "bad sector")
    bench.group.save_checkpoint(b"state")
    await settle()
    assert [group_id for group_id, _ in bench.failures] == [None]


@on_a_group
async def test_an_error_in_apply_stops_this_group_alone(bench: Bench) -> None:
    def fail(_index: Index, _body: Sequence[Buffer]) -> None:
        raise ValueError("unknown command")

    other = RememberingMachine()
    other_group = await bench.host.open_group(GroupId(8), other)
    await until(lambda: other.is_leading)
    bench.machine.on_apply = fail
    applied = bench.group.applied
    bench.group.propose([b"bad"])
    other_group.propose([b"good"])
    await settle()
    assert [(group_id, str(error)) for group_id, error in bench.failures] == [(GROUP, "unknown command")]
    assert bench.group.applied == applied
    with pytest.raises(GroupStoppedError, match="unknown command"):
        bench.group.propose([b"more"])
    assert [body for _, body in other.bodies] == [b"good"]
    assert other_group.role is Role.LEADER


@on_a_group
async def test_a_small_buffer_that_changes_after_propose_changes_nothing(bench: Bench) -> None:
    body = bytearray(b"as proposed")
    proposal = bench.group.propose([body])
    body.extend(b"!")
    await until(lambda: bench.group.applied == proposal.index)
    assert bench.machine.bodies == [(proposal.index, b"as proposed")]


@on_a_group
async def test_a_large_buffer_that_changes_after_propose_stops_the_group(bench: Bench) -> None:
    body = bytearray(COPIED_BYTES_MAX + 1)
    bench.group.propose([body])
    body.extend(b"!")  # after the header was made, before the write
    await settle()
    assert "changed after it was proposed" in str(bench.failures[0][1])
    assert bench.machine.bodies == []


@on_a_group
async def test_close_commits_what_was_proposed_and_fails_who_still_waits(bench: Bench) -> None:
    group = bench.group
    group.propose([b"a"])
    closing = asyncio.create_task(group.close())
    await asyncio.sleep(0)
    with pytest.raises(GroupStoppedError):
        group.propose([b"refused"])
    await closing
    await group.close()
    assert [body for _, body in bench.machine.bodies] == [b"a"]
    assert bench.machine.roles[-1].role is Role.FOLLOWER
    assert group.role is Role.FOLLOWER
    for refused in (lambda: group.propose([b"b"]), lambda: group.save_checkpoint(b"state")):
        with pytest.raises(GroupStoppedError):
            refused()
    with pytest.raises(GroupStoppedError):
        await group.read_barrier()


@on_a_group
async def test_a_barrier_fails_when_the_group_stops(bench: Bench) -> None:
    def take_six_ms(_index: Index, _body: Sequence[Buffer]) -> None:
        bench.clock.at_ms += 6

    bench.machine.on_apply = take_six_ms
    for number in range(9):
        bench.group.propose([b"%d" % number])
    await until(lambda: len(bench.machine.bodies) == 2)
    barrier = asyncio.create_task(bench.group.read_barrier())
    await asyncio.sleep(0)
    assert not barrier.done(), "it waits for entries that are committed and not yet applied"
    bench.group.abandon()
    with pytest.raises(GroupStoppedError):
        await barrier
    assert len(bench.machine.bodies) < 9


@on_a_group
async def test_a_disk_that_does_not_answer_does_not_keep_a_group_from_closing(bench: Bench) -> None:
    bench.group._services.writer.submit = lambda _job: None  # pyright: ignore - a disk that hangs
    bench.group.propose([b"a"])
    closing = asyncio.create_task(bench.group.close())
    await settle()
    assert not closing.done()
    bench.clock.advance(SMALL.close_timeout_ms)
    await closing


@on_a_group
async def test_a_checkpoint_inside_apply_is_our_fault(bench: Bench) -> None:
    bench.machine.on_apply = lambda _index, _body: bench.group.save_checkpoint(b"half")
    bench.group.propose([b"a"])
    await settle()
    assert "checkpoint inside the apply" in str(bench.failures[0][1])


@on_a_group
async def test_bytes_that_are_not_in_the_log_are_not_read(bench: Bench) -> None:
    for segment, position, length in ((2, 4096, 1), (1, 0, 10), (1, 4096, 10_000), (1, 4_000_000, 1)):
        with pytest.raises(SegmentReleasedError):
            bench.group.read(segment, position, length)


@on_a_group
async def test_a_node_without_peers_has_no_other_members(bench: Bench) -> None:
    await bench.group.transfer(NodeId(1))
    await bench.group.change([ME])
    with pytest.raises(TransferFailedError):
        await bench.group.transfer(NodeId(2))
    with pytest.raises(SingleMemberOnlyError, match="no peers"):
        await bench.group.change([ME, Peer(NodeId(2), "disk-two")])
    with pytest.raises(SingleMemberOnlyError, match="no peers"):
        await bench.host.open_group(GroupId(8), RememberingMachine(), founders=[ME, Peer(NodeId(2), "disk-two")])
    assert [(one.node_id, one.is_voter, one.is_live) for one in bench.group.progress()] == [(1, True, True)]
    assert bench.group.configuration.voters == (ME,)


@on_a_group
async def test_entries_of_all_sizes_are_read_back_from_their_segments(bench: Bench) -> None:
    bodies = [bytes([number]) * (number * 211 % 30_000) for number in range(200)]
    for body in bodies:
        bench.group.propose([body])
        await settle(3)
    await until(lambda: len(bench.machine.bodies) == 200)
    for (index, _), body in zip(bench.machine.bodies, bodies, strict=True):
        place = bench.machine.places[index]
        assert bench.group.read(*place, len(body)) == body
        assert bench.group.segment_path(place.segment) in {path for _, path in bench.disk.log}
