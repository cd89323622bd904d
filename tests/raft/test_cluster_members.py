"""Members come, go, and lose their disks; a group follows them one step at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from raft.configuration import Peer
from raft.errors import ChangeInProgressError, NotLeaderError
from raft.hard_state import HARD_STATE_NAME
from raft.interfaces import NodeId, Role
from tests.support.faulty_disk import FaultyDisk
from tests.support.raft_cluster import GROUP, SETTINGS, RaftCluster, raft_cluster


def on_members(*nodes: int) -> Callable[[Callable[[RaftCluster], Awaitable[None]]], Callable[[], None]]:
    """Run the test with a group founded on these nodes that has a leader."""

    def decorate(test: Callable[[RaftCluster], Awaitable[None]]) -> Callable[[], None]:
        async def run() -> None:
            async with raft_cluster(*nodes) as cluster:
                await test(cluster)
                for member in cluster.members.values():
                    assert not member.failures, member.failures

        def wrapped() -> None:
            asyncio.run(run())

        return wrapped

    return decorate


def voters(cluster: RaftCluster, node: int) -> list[int]:
    return sorted(peer.node_id for peer in cluster[node].opened.configuration.voters)


async def change(cluster: RaftCluster, *nodes: int) -> None:
    leader = await cluster.leader()
    await cluster.finish(leader.opened.change([cluster.peer(node) for node in nodes]))


@on_members(1)
async def test_one_member_becomes_three_and_one_again(cluster: RaftCluster) -> None:
    for number in range(30):
        await cluster.put(b"%d" % number)
    for node in (2, 3):
        await cluster.start(node)
    await change(cluster, 1, 2, 3)
    assert [(group, sender.node_id) for group, sender in cluster[2].unknown][:1] == [(GROUP, 1)]
    expected = [b"%d" % number for number in range(30)]
    assert await cluster.agree() == expected
    assert [voters(cluster, node) for node in (1, 2, 3)] == [[1, 2, 3]] * 3
    await cluster.crash(1)
    await cluster.leader([2, 3])
    await cluster.put(b"without 1", among=[2, 3])
    await cluster.restart(1)
    assert await cluster.agree() == [*expected, b"without 1"]
    leader = await cluster.leader()
    await change(cluster, leader.node_id)
    assert voters(cluster, leader.node_id) == [leader.node_id]
    await cluster.put(b"alone")
    assert leader.bodies == [*expected, b"without 1", b"alone"]


@on_members(1, 2, 3)
async def test_a_member_that_was_removed_stops_its_group_and_keeps_its_files(cluster: RaftCluster) -> None:
    await cluster.put(b"a")
    await change(cluster, 1, 2)
    await cluster.until(lambda: cluster[3].opened.is_stopped)
    assert cluster[3].removed == [GROUP]
    assert f"{1:020d}.log" in cluster[3].disk.names(f"/data/shards/{GROUP}")
    assert not cluster[1].opened.is_stopped
    assert not cluster[2].opened.is_stopped
    await cluster.put(b"b")
    assert await cluster.agree(1, 2) == [b"a", b"b"]


@on_members(1, 2, 3)
async def test_a_member_that_was_removed_while_it_was_down_learns_of_it(cluster: RaftCluster) -> None:
    await cluster.crash(3)
    await change(cluster, 1, 2)
    await cluster.restart(3)
    await cluster.until(lambda: cluster[3].removed == [GROUP])
    assert await cluster.leader() is cluster[1]


@on_members(1, 2, 3)
async def test_a_member_that_was_removed_learns_of_it_when_a_node_leads_that_it_never_heard_of(
    cluster: RaftCluster,
) -> None:
    await cluster.crash(3)
    await cluster.start(4)
    await change(cluster, 1, 2, 4)
    await cluster.finish(cluster[1].opened.transfer(NodeId(4)))
    await cluster.until(lambda: cluster[4].opened.role is Role.LEADER)
    await cluster.restart(3)
    await cluster.until(lambda: cluster[3].removed == [GROUP])
    assert not any(cluster[node].opened.is_stopped for node in (1, 2, 4))


@on_members(1, 2, 3)
async def test_a_member_that_was_removed_can_come_back(cluster: RaftCluster) -> None:
    await cluster.put(b"a")
    await change(cluster, 1, 2)
    await cluster.until(lambda: cluster[3].removed == [GROUP])
    await cluster.put(b"b")
    await change(cluster, 1, 2, 3)
    assert await cluster.agree() == [b"a", b"b"]
    await cluster.settle(5_000)
    assert not cluster[3].opened.is_stopped


@on_members(1, 2, 3)
async def test_a_leader_that_removes_itself_hands_over(cluster: RaftCluster) -> None:
    await cluster.put(b"a")
    await change(cluster, 2, 3)
    assert (await cluster.leader([2, 3])).node_id in {2, 3}
    await cluster.put(b"b", among=[2, 3])
    assert await cluster.agree(2, 3) == [b"a", b"b"]
    await cluster.until(lambda: cluster[1].removed == [GROUP])


@on_members(1, 2, 3)
async def test_a_new_member_catches_up_before_it_votes(cluster: RaftCluster) -> None:
    await cluster.start(4)
    cluster.network.isolate(cluster.peer(4).node_id)
    changing = asyncio.ensure_future(cluster[1].opened.change([cluster.peer(node) for node in (1, 2, 3, 4)]))
    await cluster.settle(2_000)
    assert not changing.done()
    assert voters(cluster, 1) == [1, 2, 3]
    assert [peer.node_id for peer in cluster[1].opened.configuration.learners] == [4]
    with pytest.raises(ChangeInProgressError):
        await cluster[1].opened.change([cluster.peer(1)])
    await cluster.put(b"a")
    cluster.network.rejoin(cluster.peer(4).node_id)
    await cluster.until(changing.done)
    await changing
    assert voters(cluster, 1) == [1, 2, 3, 4]
    assert await cluster.agree() == [b"a"]


@on_members(1, 2, 3)
async def test_a_change_goes_on_under_a_new_leader(cluster: RaftCluster) -> None:
    await cluster.start(4)
    cluster.network.isolate(cluster.peer(4).node_id)
    wanted = [cluster.peer(node) for node in (1, 2, 3, 4)]
    changing = asyncio.ensure_future(cluster[1].opened.change(wanted))
    await cluster.settle(500)
    await cluster.finish(cluster[1].opened.transfer(NodeId(2)))
    await cluster.until(changing.done)
    with pytest.raises(NotLeaderError):
        await changing
    cluster.network.rejoin(cluster.peer(4).node_id)
    await cluster.leader([2])
    await cluster.finish(cluster[2].opened.change(wanted))
    assert voters(cluster, 4) == [1, 2, 3, 4]


async def lose_the_only_voter(cluster: RaftCluster, *, is_lasting: bool) -> None:
    """A learner is catching up, and has not come to the configuration that names it."""
    learner = await cluster.start(2)
    learner.group = await learner.host.open_group(GROUP, learner.machine, founders=None, is_lasting=is_lasting)
    cluster.network.hold(NodeId(1), NodeId(2))
    await cluster.finish(cluster[1].opened.change([cluster.peer(1)], [cluster.peer(2)]))
    cluster.network.let_go(NodeId(1), NodeId(2))
    await cluster.until(lambda: learner.bodies)
    await cluster.crash(1)
    await cluster.settle(5_000)
    assert cluster.peer(2) not in learner.opened.configuration.peers, "it fell too late for this test"


def test_a_lasting_learner_waits_for_its_leader_before_it_knows_that_it_is_a_member() -> None:
    """A last configuration without this node may be an old one, and nobody would open the group again."""

    async def run() -> None:
        settings = replace(SETTINGS, append_bytes_max=2_048, window_bytes=4_096)
        async with raft_cluster(1, settings=settings) as cluster:
            bodies = [b"%d" % number + bytes(1_000) for number in range(30)]
            for body in bodies:
                await cluster.put(body)
            await lose_the_only_voter(cluster, is_lasting=True)
            assert not cluster[2].opened.is_stopped
            await cluster.restart(1)
            await cluster.leader([1])
            assert await cluster.agree() == bodies
            assert not cluster[2].removed

    asyncio.run(run())


def test_a_learner_that_can_be_asked_again_does_not_wait_for_its_leader() -> None:
    async def run() -> None:
        settings = replace(SETTINGS, append_bytes_max=2_048, window_bytes=4_096)
        async with raft_cluster(1, settings=settings) as cluster:
            for number in range(30):
                await cluster.put(b"%d" % number + bytes(1_000))
            await lose_the_only_voter(cluster, is_lasting=False)
            assert cluster[2].removed == [GROUP]

    asyncio.run(run())


def test_a_lasting_learner_is_not_removed_by_who_has_not_heard_of_it_yet() -> None:
    """The entry by which it was to belong to the group was lost with its leader; the next one asks it again."""

    async def run() -> None:
        settings = replace(SETTINGS, append_bytes_max=2_048, window_bytes=4_096)
        async with raft_cluster(1, 2, 3, settings=settings) as cluster:
            bodies = [b"%d" % number + bytes(1_000) for number in range(30)]
            for body in bodies:
                await cluster.put(body)
            await cluster.agree()
            learner = await cluster.start(4)
            learner.group = await learner.host.open_group(GROUP, learner.machine, founders=None, is_lasting=True)
            for node in (2, 3):
                cluster.network.hold(NodeId(1), NodeId(node))
            voters = [cluster.peer(node) for node in (1, 2, 3)]
            changing = asyncio.ensure_future(cluster[1].opened.change(voters, [cluster.peer(4)]))
            await cluster.until(lambda: learner.bodies)
            await cluster.crash(1)
            leader = await cluster.leader([2, 3])
            await cluster.settle(5_000)
            with pytest.raises(NotLeaderError):
                await changing
            assert cluster.peer(4) not in learner.opened.configuration.peers, "it came too far for this test"
            assert not learner.opened.is_stopped
            await cluster.finish(leader.opened.change(voters, [cluster.peer(4)]))
            assert await cluster.agree(2, 3, 4) == bodies

    asyncio.run(run())


@on_members(1, 2, 3)
async def test_a_lasting_member_that_was_removed_stops_when_it_is_told(cluster: RaftCluster) -> None:
    await cluster.crash(3)
    await change(cluster, 1, 2)
    member = await cluster.start(3)
    member.group = await member.host.open_group(GROUP, member.machine, founders=None, is_lasting=True)
    await cluster.until(lambda: member.removed == [GROUP])


@on_members(1, 2, 3)
async def test_only_a_leader_changes_members(cluster: RaftCluster) -> None:
    with pytest.raises(NotLeaderError):
        await cluster[2].opened.change([cluster.peer(2)])


@on_members(1, 2, 3)
async def test_a_wiped_member_is_another_peer_that_neither_votes_nor_acknowledges(cluster: RaftCluster) -> None:
    await cluster.put(b"a")
    await cluster.crash(3)
    await cluster.start(3, FaultyDisk(33), disk_id="disk-3-wiped")
    await cluster.settle(1_000)
    assert cluster[3].unknown == [], "nobody takes it for the member it was"
    await cluster.open(3, None)
    await cluster.settle(500)
    assert cluster[3].bodies == []
    await cluster.crash(2)
    await cluster.until(lambda: cluster[1].opened.role is not Role.LEADER)
    await cluster.settle(5_000)
    assert cluster.leader_or_none() is None, "its vote counts for nothing"
    await cluster.restart(2)
    await change(cluster, 1, 2, 3)
    assert Peer(NodeId(3), "disk-3-wiped") in cluster[1].opened.configuration.voters
    assert await cluster.agree() == [b"a"]
    await cluster.crash(1)
    await cluster.leader([2, 3])


def test_a_member_on_a_new_disk_goes_on_after_a_crash_that_left_it_the_configuration_of_its_predecessor() -> None:
    async def run() -> None:
        settings = replace(SETTINGS, append_bytes_max=2_048, window_bytes=4_096)
        async with raft_cluster(1, 2, 3, settings=settings) as cluster:
            bodies = [b"%d" % number + bytes(1_000) for number in range(30)]
            for body in bodies:
                await cluster.put(body)
            await cluster.crash(3)
            await cluster.start(3, FaultyDisk(33), disk_id="disk-3-swapped")
            changing = asyncio.ensure_future(cluster[1].opened.change([cluster.peer(node) for node in (1, 2, 3)]))
            await cluster.until(lambda: cluster[3].group is not None and cluster[3].bodies)
            await cluster.crash(3, seed=1)
            group = await cluster.restart(3)
            assert Peer(NodeId(3), "disk-3") in group.configuration.voters, "it stopped too late for this test"
            await cluster.until(changing.done)
            assert await cluster.agree() == bodies
            assert cluster.peer(3) in cluster[1].opened.configuration.voters

    asyncio.run(run())


@on_members(1)
async def test_a_copied_log_makes_no_voter_of_a_node_with_another_disk(cluster: RaftCluster) -> None:
    await cluster.put(b"a")
    await cluster.crash(1)
    await cluster.start(1, disk_id="disk-1-copied")
    group = await cluster.open(1, None)
    assert group.configuration.voters == (Peer(NodeId(1), "disk-1"),)
    term = group.term
    await cluster.settle(5_000)
    assert cluster.leader_or_none() is None
    assert group.term == term, "it did not even vote for itself"


@on_members(1, 2, 3)
async def test_a_copied_log_has_no_part_in_elections(cluster: RaftCluster) -> None:
    await cluster.put(b"a")
    await cluster.crash(3)
    await cluster.start(3, disk_id="disk-3-copied")
    await cluster.open(3, None)
    await cluster.crash(1)
    await cluster.settle(5_000)
    assert cluster.leader_or_none() is None, "one voter is left of three"


@on_members(1, 2, 3)
async def test_a_learner_that_was_removed_while_it_was_down_learns_of_it(cluster: RaftCluster) -> None:
    await cluster.finish(cluster[1].opened.change([cluster.peer(1), cluster.peer(2)], [cluster.peer(3)]))
    await cluster.agree()
    await cluster.crash(3)
    await change(cluster, 1, 2)
    await cluster.restart(3)
    await cluster.until(lambda: cluster[3].removed == [GROUP])
    assert await cluster.leader() is cluster[1]


@on_members(1, 2, 3)
async def test_a_vote_is_no_log_by_which_a_group_would_be_opened_at_a_start(cluster: RaftCluster) -> None:
    """It names no other member, so none could be asked whether the group goes on without this node."""
    await cluster.start(4)
    assert not await cluster[4].host.has_log(GROUP), "it has never heard of the group"
    await cluster.open(4, None)
    assert cluster[4].disk.names(f"/data/shards/{GROUP}") == [HARD_STATE_NAME]
    await cluster.restart(4)
    assert not await cluster[4].host.has_log(GROUP), "it was told nothing before it fell"
    await change(cluster, 1, 2, 3, 4)
    assert await cluster[4].host.has_log(GROUP)


@on_members(1)
async def test_an_only_voter_elects_itself_whatever_learners_it_has(cluster: RaftCluster) -> None:
    """It has nobody to ask, though there are others: so it is while a group of one grows."""
    await cluster.put(b"before")
    await cluster.start(2)
    await cluster.finish(cluster[1].opened.change([cluster.peer(1)], [cluster.peer(2)]))
    for node in (1, 2):
        await cluster.crash(node)
    await cluster.restart(1)
    await cluster.leader([1])
    await cluster.put(b"after", among=[1])
    assert await cluster.agree(1) == [b"before", b"after"]
