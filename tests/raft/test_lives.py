"""A group that is opened again on the same host: nothing of the life before touches its files any more."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

import pytest

from raft.errors import GroupStoppedError
from raft.group import Group
from raft.host import InThreads, RaftHost, Surroundings
from raft.interfaces import GroupId, NodeId
from tests.raft.doubles import (
    DIRECTORY,
    GROUP,
    GROUP_DIRECTORY,
    ME,
    SMALL,
    RememberingMachine,
    StillClock,
    settle,
    until,
)
from tests.raft.test_cluster_install import log_of, on_members, put_and_release
from tests.support.faulty_disk import FaultyDisk
from tests.support.raft_cluster import GROUP as GROUP_OF_CLUSTER
from tests.support.raft_cluster import RaftCluster, raft_cluster

Job = TypeVar("Job")


class Held(Generic[Job]):
    """A runner whose jobs wait while it `is_held`."""

    made: dict[str, "Held[object]"]

    def __init__(self, name: str, handle: Callable[[Sequence[Job]], None], fail: Callable[[Exception], None]) -> None:
        self.is_held = False
        self._handle = handle
        self._fail = fail
        self._jobs: list[Job] = []
        self._has_failed = False
        self.made[name] = self  # pyright: ignore[reportArgumentType] - by name, whatever its jobs are

    def submit(self, job: Job) -> None:
        self._jobs.append(job)
        if not self.is_held:
            asyncio.get_running_loop().call_soon(self.run)

    def stop(self) -> None:
        self.run()

    def run(self) -> None:
        jobs, self._jobs = self._jobs, []
        if not jobs or self._has_failed:
            return
        try:
            self._handle(jobs)
        except OSError as error:
            self._has_failed = True
            self._fail(error)


class World:
    """One host whose threads stand still when told to."""

    def __init__(self) -> None:
        runners = type("Runners", (Held,), {"made": {}})
        self.disk = FaultyDisk()
        self.clock = StillClock()
        self.runners: dict[str, Held[object]] = runners.made  # pyright: ignore[reportAttributeAccessIssue]
        self.failures: list[tuple[GroupId | None, Exception]] = []
        self.removed: list[GroupId] = []
        self.host = RaftHost(
            self.disk,
            DIRECTORY,
            ME,
            settings=SMALL,
            on_failure=lambda group_id, error: self.failures.append((group_id, error)),
            surroundings=Surroundings(clock=self.clock, runners=runners),
        )
        self.host.on_removed = self.removed.append
        self.writer = self.runners["raft-writer"]
        self.checkpoints = self.runners["raft-checkpoints"]

    async def open(self) -> tuple[Group, RememberingMachine]:
        machine = RememberingMachine()
        group = await self.host.open_group(GROUP, machine)
        await until(lambda: machine.is_leading)
        return group, machine

    async def put(self, group: Group, *bodies: bytes) -> None:
        for body in bodies:
            index = group.propose([body]).index
            await until(lambda: group.applied >= index)  # noqa: B023 - awaited here


def remove(group: Group) -> None:
    group.leave()


def test_a_removed_group_is_opened_again_when_the_writer_is_done_with_it() -> None:
    """Two writers of one segment: the older one wrote where the younger one had acknowledged entries."""

    async def run() -> None:
        world = World()
        group, _ = await world.open()
        await world.put(group, b"a")
        world.writer.is_held = True
        last = group.propose([b"b"]).index
        remove(group)
        assert world.removed == [GROUP]
        opening = asyncio.ensure_future(world.open())
        await settle(50)
        assert not opening.done()
        world.writer.is_held = False
        world.writer.run()
        again, machine = await opening
        assert [index for index, _ in machine.bodies] == [last - 1, last], "what was with the writer is there"
        await world.put(again, b"c")
        assert machine.bodies[-1][1] == b"c"
        await world.host.close()
        assert not world.failures

    asyncio.run(run())


def test_what_the_writer_says_of_the_last_life_is_not_told_to_the_next_one() -> None:
    async def run() -> None:
        world = World()
        group, _ = await world.open()
        world.writer.is_held = True
        await settle()
        group.propose([b"b"])
        remove(group)
        opening = asyncio.ensure_future(world.open())
        await settle(50)
        world.writer.is_held = False
        world.writer.run()
        again, _ = await opening
        assert not again.is_stopped
        assert group.ending.files_closed.is_set()
        await world.host.close_group(GROUP)
        third, machine = await world.open()
        await world.put(third, b"c")
        assert [body for _, body in machine.bodies] == [b"b", b"c"]
        await world.host.close()

    asyncio.run(run())


def test_a_checkpoint_of_the_last_life_is_written_before_the_next_one_begins() -> None:
    """Later it would take the place of a newer one, and remove segments that are in use."""

    async def run() -> None:
        world = World()
        group, machine = await world.open()
        await world.put(group, b"a", b"b")
        world.checkpoints.is_held = True
        group.save_checkpoint(machine.state())
        remove(group)
        opening = asyncio.ensure_future(world.open())
        await settle(50)
        assert not opening.done()
        assert "checkpoint" not in world.disk.names(GROUP_DIRECTORY)
        world.checkpoints.is_held = False
        world.checkpoints.run()
        _, found = await opening
        assert found.restored == machine.state()
        await world.host.close()

    asyncio.run(run())


def test_the_tasks_of_the_last_life_end_before_the_next_one_begins() -> None:
    """One that waits for its thread, as while files are fetched, has that thread write until it ends."""

    async def run() -> None:
        world = World()
        group, _ = await world.open()
        may_end = asyncio.Event()
        has_ended = False

        async def fetching() -> None:
            nonlocal has_ended
            try:
                await asyncio.Event().wait()
            finally:
                await may_end.wait()
                has_ended = True

        group.ending.spawn(fetching())
        await settle()
        remove(group)
        opening = asyncio.ensure_future(world.open())
        await settle(50)
        assert not opening.done()
        may_end.set()
        await opening
        assert has_ended
        await world.host.close()

    asyncio.run(run())


def test_a_disk_that_does_not_answer_is_not_waited_for_for_ever() -> None:
    async def run() -> None:
        world = World()
        group, _ = await world.open()
        world.writer.is_held = True
        remove(group)
        opening = asyncio.ensure_future(world.open())
        await settle(50)
        world.clock.advance(SMALL.close_timeout_ms)
        with pytest.raises(GroupStoppedError, match="not closed yet"):
            await opening
        world.writer.is_held = False
        world.writer.run()
        await settle()
        await world.open()
        await world.host.close()

    asyncio.run(run())


@pytest.mark.parametrize("is_closed", [False, True])
def test_who_waits_for_the_last_life_hears_that_the_host_has_ended(is_closed: bool) -> None:
    async def run() -> None:
        world = World()
        group, _ = await world.open()
        world.writer.is_held = True
        group.propose([b"x"])
        remove(group)
        opening = asyncio.ensure_future(world.open())
        await settle(50)
        if is_closed:
            await world.host.close()
        else:
            world.disk.sync_error = OSError(5, "a failed sync")
            world.writer.run()
        with pytest.raises(GroupStoppedError, match="closing" if is_closed else "the disk failed"):
            await opening
        if not is_closed:
            await world.host.abandon()

    asyncio.run(run())


def test_a_group_that_is_removed_while_it_closes_is_closed_at_once() -> None:
    async def run() -> None:
        world = World()
        group, _ = await world.open()
        world.writer.is_held = True
        group.propose([b"x"])
        closing = asyncio.ensure_future(world.host.close_group(GROUP))
        await settle()
        remove(group)
        world.writer.is_held = False
        world.writer.run()
        await until(closing.done)
        await world.host.close()

    asyncio.run(run())


def test_who_is_cancelled_waits_for_its_thread() -> None:
    async def run() -> None:
        blocking = InThreads()
        has_begun, may_end = threading.Event(), threading.Event()
        written: list[str] = []

        def work() -> None:
            has_begun.set()
            may_end.wait(40)
            written.append("installing")

        task = asyncio.ensure_future(blocking(work))
        await asyncio.to_thread(has_begun.wait, 40)
        for _ in range(2):
            task.cancel()
            await settle()
            assert not task.done()
        may_end.set()
        with suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()
        assert written == ["installing"]

    asyncio.run(run())


def test_an_error_of_a_thread_is_told() -> None:
    async def run() -> None:
        def work() -> None:
            raise OSError(5, "broken")

        with pytest.raises(OSError, match="broken"):
            await InThreads()(work)

    asyncio.run(run())


# Files of a leader, and a disk that fails


def test_a_failed_sync_of_a_fetched_file_stops_the_node() -> None:
    async def run() -> None:
        async with raft_cluster(1, 2, 3) as cluster:
            cluster.network.isolate(NodeId(3))
            await put_and_release(cluster, 1, 2)
            cluster.network.rejoin(NodeId(3))
            names = cluster[3].disk.names
            await cluster.until(
                lambda: any(".log.fetched" in name for name in names(f"/data/shards/{GROUP_OF_CLUSTER}"))
            )
            cluster[3].disk.sync_error = OSError(5, "a failed sync")
            await cluster.until(lambda: cluster[3].failures)
            assert (None, cluster[3].disk.sync_error) in cluster[3].failures
            assert cluster[3].opened.is_stopped
            cluster[3].disk.sync_error = None

    asyncio.run(run())


def test_a_group_whose_files_cannot_be_exchanged_stops_and_can_be_closed() -> None:
    async def run() -> None:
        async with raft_cluster(1, 2, 3) as cluster:
            cluster.network.isolate(NodeId(3))
            await put_and_release(cluster, 1, 2)
            disk, map_file = cluster[3].disk, cluster[3].disk.map
            log = log_of(cluster, 1)
            spoilt = log.segment_path(log.first_index)  # by the same name on every node

            def damaged(path: str) -> memoryview:
                return memoryview(bytes(8192)) if path == spoilt else map_file(path)

            disk.map = damaged
            cluster.network.rejoin(NodeId(3))
            await cluster.until(lambda: cluster[3].opened.is_stopped)
            closing = asyncio.ensure_future(cluster[3].host.close_group(GROUP_OF_CLUSTER))
            for _ in range(30):
                await asyncio.sleep(0)
            assert closing.done(), "nobody waits for files that are closed"
            assert [group for group, _ in cluster[3].failures] == [GROUP_OF_CLUSTER]
            disk.map = map_file
            await cluster.open(3, None)
            assert await cluster.agree() == cluster[1].bodies

    asyncio.run(run())


@on_members(1, 2, 3)
async def test_an_older_checkpoint_than_what_a_member_has_acknowledged_is_not_taken(cluster: RaftCluster) -> None:
    """Its leader has let go of more than its checkpoint covers."""
    for number in range(40):
        await cluster.put(b"%d" % number * 300)
    await cluster.agree()
    leader = cluster[1]
    assert leader is await cluster.leader()
    machine_state = leader.machine.state()
    leader.opened.save_checkpoint(machine_state)
    await cluster.settle()
    for number in range(40):
        await cluster.put(b"%d" % number * 300)
    await cluster.agree()
    last = cluster[3].opened.last_index
    cluster.network.isolate(NodeId(3))
    for number in range(40):
        await cluster.put(b"%d" % number * 300, among=[1, 2])
    leader.opened.release_before(leader.opened.applied)
    assert log_of(cluster, 1).first_index > last
    cluster.network.rejoin(NodeId(3))
    await cluster.settle(3_000)
    assert cluster[3].opened.last_index == last, "neither more nor less"
    leader.opened.save_checkpoint(leader.machine.state())
    assert await cluster.agree() == leader.bodies
