"""What a group of several members does when something goes wrong at an awkward moment."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from raft.configuration import Peer
from raft.damage import DAMAGE_NAME, Damage, note_damage
from raft.errors import CorruptLogError
from raft.interfaces import NodeId
from tests.raft.test_cluster_install import log_of, put_and_release
from tests.support.faulty_disk import FaultyDisk
from tests.support.raft_cluster import GROUP, RaftCluster, raft_cluster


def on_members(*nodes: int) -> Callable[[Callable[[RaftCluster], Awaitable[None]]], Callable[[], None]]:
    def decorate(test: Callable[[RaftCluster], Awaitable[None]]) -> Callable[[], None]:
        async def run() -> None:
            async with raft_cluster(*nodes) as cluster:
                await test(cluster)

        return lambda: asyncio.run(run())

    return decorate


def check_no_failures(cluster: RaftCluster) -> None:
    for member in cluster.members.values():
        assert not member.failures, member.failures


@on_members(1, 2, 3)
async def test_damage_that_is_met_while_sending_stops_the_group_and_nothing_else(cluster: RaftCluster) -> None:
    cluster.network.isolate(NodeId(3))
    for number in range(60):
        await cluster.put(b"%d " % number * 200, among=[1, 2])
    log = log_of(cluster, 1)
    log.hot.bytes_max = 0
    log.hot.let_go(log.durable)
    cluster[1].disk.content(log.segment_path(1))[4096 + 3_000] ^= 4
    cluster.network.rejoin(NodeId(3))
    await cluster.until(lambda: cluster[1].opened.is_stopped)
    assert [type(error) for _, error in cluster[1].failures] == [CorruptLogError]
    await cluster.leader([2, 3])
    assert len(await cluster.agree(2, 3)) == 60


@on_members(1, 2, 3)
async def test_a_read_that_waits_for_files_is_answered_when_they_are_there(cluster: RaftCluster) -> None:
    cluster.network.isolate(NodeId(3))
    await put_and_release(cluster, 1, 2)
    cluster.network.rejoin(NodeId(3))
    await cluster.until(lambda: cluster[3].opened.leader_or_none == 1)
    assert cluster[3].opened.applied < 60
    index = await cluster.finish(cluster[3].opened.read_barrier())
    assert cluster[3].opened.applied == index == cluster[1].opened.applied
    assert cluster[3].machine.restore_count == 1
    check_no_failures(cluster)


@on_members(1, 2, 3, 4, 5)
async def test_a_member_that_was_away_follows_a_leader_that_was_wiped_meanwhile(cluster: RaftCluster) -> None:
    await cluster.put(b"a")
    await cluster.agree()
    await cluster.crash(5)
    await cluster.crash(1)
    await cluster.leader([2, 3, 4])
    await cluster.start(1, FaultyDisk(99), "disk-new")
    leader = await cluster.leader([2, 3, 4])
    wanted = [cluster.peer(node) for node in (1, 2, 3, 4, 5)]
    assert wanted[0] == Peer(NodeId(1), "disk-new")
    await cluster.finish(leader.opened.change(wanted))
    await cluster.put(b"b", among=[2, 3, 4])
    await cluster.agree(1, 2, 3, 4)
    await cluster.finish(leader.opened.transfer(NodeId(1)))
    await cluster.leader([1])
    await cluster.restart(5)
    assert await cluster.agree() == [b"a", b"b"]
    check_no_failures(cluster)


@on_members(1, 2, 3)
async def test_a_member_that_starts_on_a_full_disk_follows_while_it_has_room_and_heals(cluster: RaftCluster) -> None:
    bodies = [b"%d " % number * 200 for number in range(80)]
    await cluster.put(*bodies[:40])
    await cluster.crash(3, seed=1)
    cluster[3].disk.no_space.add("create")
    await cluster.restart(3)
    for body in bodies[40:]:
        await cluster.put(body, among=[1, 2])
    await cluster.until(lambda: cluster[3].opened.is_full)
    assert cluster[3].opened.applied < cluster[1].opened.applied
    cluster[3].disk.no_space.clear()
    assert await cluster.agree() == bodies
    check_no_failures(cluster)


async def _heals_unasked(damage: Damage, noted: Sequence[int]) -> None:
    async with raft_cluster(1, 2, 3) as cluster:
        await cluster.put(b"acknowledged")
        await cluster.agree()
        directory = f"/data/shards/{GROUP}"
        for node in (1, 2, 3):
            await cluster.crash(node)
        for node in noted:
            note_damage(cluster[node].disk, directory, damage)
        for node in (1, 2, 3):
            await cluster.restart(node)
        await cluster.leader()
        await cluster.settle(1_000)
        assert [node for node in noted if DAMAGE_NAME in cluster[node].disk.names(directory)] == []
        check_no_failures(cluster)


@pytest.mark.parametrize(
    ("damage", "noted"),
    [(Damage(reason="a torn write", is_doubt=True), (1, 2, 3)), (Damage(reason="rot"), (3,))],
    ids=["all in doubt", "one damaged"],
)
def test_a_group_that_nobody_writes_to_heals_on_the_disk_too(damage: Damage, noted: Sequence[int]) -> None:
    """A member is whole by a message that leaves it nothing else to do: no entry, no term, nothing to apply."""
    asyncio.run(_heals_unasked(damage, noted))
