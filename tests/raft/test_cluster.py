"""Groups of several members over links in memory: they elect, replicate, and survive what happens to one of them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from raft.clock import LoopClock
from raft.configuration import Peer
from raft.disk import LocalDisk
from raft.errors import LogBusyError, NotLeaderError, TransferFailedError
from raft.group import Group
from raft.host import RaftHost
from raft.interfaces import NodeId, Role
from raft.peers import Peers
from raft.settings import RaftSettings
from tests.support.raft_cluster import GROUP, SETTINGS, MemoryLinks, Network, RaftCluster, RestoredMachine, raft_cluster


def on_three_members(test: Callable[[RaftCluster], Awaitable[None]]) -> Callable[[], None]:
    """Run the test with a group of nodes 1, 2 and 3 that has a leader."""

    async def run() -> None:
        async with raft_cluster(1, 2, 3) as cluster:
            await test(cluster)
            for member in cluster.members.values():
                assert not member.failures, member.failures

    def wrapped() -> None:
        asyncio.run(run())

    return wrapped


@on_three_members
async def test_the_first_founder_leads_and_what_it_commits_reaches_all(cluster: RaftCluster) -> None:
    leader = await cluster.leader()
    assert leader.node_id == 1
    await cluster.put(b"a", b"b", b"c")
    assert await cluster.agree() == [b"a", b"b", b"c"]
    for member in cluster.running:
        assert member.opened.leader_or_none == 1
        assert [peer.node_id for peer in member.opened.configuration.voters] == [1, 2, 3]


@on_three_members
async def test_a_proposal_needs_two_round_trips_of_no_timer(cluster: RaftCluster) -> None:
    leader = await cluster.leader()
    await cluster.settle(100)
    start_ms = cluster.clock.now_ms()
    proposal = leader.opened.propose([b"a"])
    for _ in range(12):
        await asyncio.sleep(0)
    assert leader.opened.applied == proposal.index
    assert cluster.clock.now_ms() == start_ms


@on_three_members
async def test_a_follower_learns_what_is_committed_by_the_next_heartbeat(cluster: RaftCluster) -> None:
    await cluster.put(b"a")
    follower = await cluster.follower()
    passed_ms = await cluster.until(lambda: follower.bodies == [b"a"])
    assert passed_ms <= cluster.settings.heartbeat_ms * 1.5


@on_three_members
async def test_a_follower_refuses_proposals_and_names_the_leader(cluster: RaftCluster) -> None:
    follower = await cluster.follower()
    with pytest.raises(NotLeaderError) as raised:
        follower.opened.propose([b"a"])
    assert raised.value.leader == 1
    assert follower.opened.progress() == ()


@on_three_members
async def test_a_leader_that_crashes_is_replaced_and_comes_back(cluster: RaftCluster) -> None:
    await cluster.put(b"a")
    await cluster.crash(1)
    successor = await cluster.leader([2, 3])
    await cluster.put(b"b", among=[2, 3])
    await cluster.restart(1)
    assert await cluster.agree() == [b"a", b"b"]
    assert cluster[1].opened.role is Role.FOLLOWER
    assert cluster[1].opened.leader_or_none == successor.node_id


@on_three_members
async def test_a_broken_link_to_the_leader_begins_an_election_at_once(cluster: RaftCluster) -> None:
    await cluster.put(b"a")
    start_ms = cluster.clock.now_ms()
    await cluster.crash(1)
    await cluster.leader([2, 3])
    assert cluster.clock.now_ms() - start_ms < cluster.settings.election_ms


@on_three_members
async def test_a_minority_elects_nobody_and_its_proposals_are_lost(cluster: RaftCluster) -> None:
    await cluster.put(b"a")
    cluster.network.isolate(cluster.peer(1).node_id)
    lost = cluster[1].opened.propose([b"lost"])
    await cluster.leader([2, 3])
    await cluster.put(b"b", among=[2, 3])
    await cluster.until(lambda: cluster[1].opened.role is not Role.LEADER)
    assert cluster[1].opened.applied < lost.index
    with pytest.raises(NotLeaderError):
        cluster[1].opened.propose([b"refused"])
    term = cluster[2].opened.term
    await cluster.settle(5_000)
    assert cluster[1].opened.term < term, "it asks before it begins a term"
    cluster.network.rejoin(cluster.peer(1).node_id)
    assert await cluster.agree() == [b"a", b"b"]
    assert cluster[2].opened.term == term, "its return disturbs nobody"


@on_three_members
async def test_all_members_crash_and_nothing_is_lost(cluster: RaftCluster) -> None:
    for number in range(20):
        await cluster.put(b"%d" % number)
    for node in (1, 2, 3):
        await cluster.crash(node, seed=node)
    for node in (1, 2, 3):
        await cluster.restart(node)
    await cluster.leader()
    assert await cluster.agree() == [b"%d" % number for number in range(20)]


@on_three_members
async def test_conflicting_entries_are_cut(cluster: RaftCluster) -> None:
    await cluster.put(b"a")
    cluster.network.isolate(cluster.peer(1).node_id)
    for number in range(50):
        cluster[1].opened.propose([b"lost %d" % number * 100])
    await cluster.settle()
    assert cluster[1].opened.last_index > 50
    await cluster.leader([2, 3])
    await cluster.put(b"b", among=[2, 3])
    cluster.network.rejoin(cluster.peer(1).node_id)
    await cluster.agree()
    await cluster.put(b"c")
    await cluster.crash(1)
    await cluster.restart(1)
    assert await cluster.agree() == [b"a", b"b", b"c"]


@on_three_members
async def test_leadership_is_handed_to_the_member_that_was_named(cluster: RaftCluster) -> None:
    await cluster.put(b"a")
    start_ms = cluster.clock.now_ms()
    await cluster.finish(cluster[1].opened.transfer(cluster.peer(3).node_id))
    leader = await cluster.leader([3])
    assert leader.node_id == 3
    assert cluster.clock.now_ms() - start_ms <= cluster.settings.heartbeat_ms
    await cluster.put(b"b")
    assert await cluster.agree() == [b"a", b"b"]


@on_three_members
async def test_a_transfer_to_a_dead_member_fails_and_proposals_go_on(cluster: RaftCluster) -> None:
    await cluster.crash(3)
    with pytest.raises(TransferFailedError):
        await cluster.finish(cluster[1].opened.transfer(cluster.peer(3).node_id))
    await cluster.put(b"a")
    assert await cluster.agree(1, 2) == [b"a"]


@on_three_members
async def test_a_node_that_stops_hands_its_leadership_over_first(cluster: RaftCluster) -> None:
    await cluster.put(b"a")
    last = cluster[1].opened.propose([b"b"])
    start_ms = cluster.clock.now_ms()
    stopping = asyncio.ensure_future(cluster.stop(1))
    await cluster.until(lambda: any(cluster[node].machine.is_leading for node in (2, 3)))
    assert cluster.clock.now_ms() - start_ms < 300
    await cluster.until(stopping.done)
    assert cluster.clock.now_ms() - start_ms < 1_000
    assert cluster[1].machine.bodies[-1] == (last.index, b"b"), "what was proposed is committed before"
    await cluster.put(b"c")
    assert await cluster.agree(2, 3) == [b"a", b"b", b"c"]


@on_three_members
async def test_the_last_node_stops_without_waiting_for_the_others(cluster: RaftCluster) -> None:
    for node in (1, 2, 3):
        start_ms = cluster.clock.now_ms()
        await cluster.stop(node)
        assert cluster.clock.now_ms() - start_ms < 1_000


@on_three_members
async def test_reads_on_every_member_see_what_was_acknowledged(cluster: RaftCluster) -> None:
    for number in range(5):
        last = await cluster.put(b"%d" % number)
        for node in (1, 2, 3):
            index = await cluster.finish(cluster[node].opened.read_barrier())
            assert index >= last
            assert cluster[node].opened.applied >= last
            assert cluster[node].bodies == [b"%d" % one for one in range(number + 1)]


@on_three_members
async def test_many_reads_share_a_round(cluster: RaftCluster) -> None:
    await cluster.put(b"a")
    await cluster.settle(200)
    before = cluster.network.frame_count
    reads = [cluster[2].opened.read_barrier() for _ in range(100)]
    await asyncio.gather(*reads)
    assert cluster.network.frame_count - before < 12


@on_three_members
async def test_a_read_without_a_majority_fails(cluster: RaftCluster) -> None:
    await cluster.put(b"a")
    for node in (2, 3):
        cluster.network.isolate(cluster.peer(node).node_id)
    for node in (1, 2):
        with pytest.raises(NotLeaderError):
            await cluster.finish(cluster[node].opened.read_barrier())


@on_three_members
async def test_a_follower_with_a_full_disk_stops_acknowledging_and_heals(cluster: RaftCluster) -> None:
    last = await cluster.put(b"before")
    await cluster.agree()
    cluster[3].disk.no_space = {"write", "create"}
    await cluster.put(b"a", b"b")
    await cluster.agree(1, 2)
    await cluster.until(lambda: cluster[3].opened.is_full)
    match = {one.node_id: one.match for one in cluster[1].opened.progress()}
    assert (match[cluster.peer(3).node_id], match[cluster.peer(2).node_id]) == (last, last + 2)
    assert cluster[3].bodies == [b"before"], "nothing is applied that its own disk does not have"
    place = cluster[3].machine.places[last]
    assert bytes(cluster[3].opened.read(*place, 6)) == b"before"
    assert cluster[3].opened.leader_or_none == 1
    cluster[3].disk.no_space = set()
    assert await cluster.agree() == [b"before", b"a", b"b"]
    assert not cluster[3].opened.is_full


@on_three_members
async def test_a_leader_with_a_full_disk_hands_over(cluster: RaftCluster) -> None:
    await cluster.put(b"before")
    cluster[1].disk.no_space = {"create"}
    large = bytes(cluster.settings.segment_bytes)
    cluster[1].opened.propose([large])
    await cluster.leader([2, 3])
    await cluster.put(b"b", among=[2, 3])
    assert await cluster.agree(2, 3) == [b"before", large, b"b"]
    cluster[1].disk.no_space = set()
    assert await cluster.agree() == [b"before", large, b"b"]


@on_three_members
async def test_a_damaged_member_is_healed_by_the_others_before_it_votes(cluster: RaftCluster) -> None:
    for number in range(20):
        await cluster.put(b"%d" % number)
    await cluster.agree()
    await cluster.settle(500)  # so that the marks say what is durable
    await cluster.crash(3)
    content = cluster[3].disk.content(f"/data/shards/{GROUP}/{1:020d}.log")
    content[content.index(b"12")] ^= 1
    cluster.network.isolate(cluster.peer(1).node_id)
    await cluster.restart(3)
    assert cluster[3].opened.is_damaged
    await cluster.settle(5_000)
    assert all(cluster[node].opened.role is not Role.LEADER for node in (2, 3)), "its vote would be worth nothing"
    cluster.network.rejoin(cluster.peer(1).node_id)
    await cluster.leader()
    assert await cluster.agree() == [b"%d" % number for number in range(20)]
    await cluster.put(b"after")
    await cluster.until(lambda: not cluster[3].opened.is_damaged)
    await cluster.settle(200)
    await cluster.crash(3)
    await cluster.restart(3)
    assert not cluster[3].opened.is_damaged, "that it was is forgotten"
    await cluster.crash(1)
    await cluster.leader([2, 3])


async def _slow_follower() -> None:
    settings = replace(SETTINGS, window_bytes=256 * 1024, append_bytes_max=64 * 1024)
    async with raft_cluster(1, 2, 3, settings=settings) as cluster:
        await cluster.put(b"a")
        await cluster.settle(200)
        leader, slow = cluster.peer(1).node_id, cluster.peer(3).node_id
        cluster.network.hold(leader, slow)
        body = bytes(12_000)
        for _ in range(40):
            await cluster.put(*([body] * 5), among=[1])
        assert await cluster.agree(1, 2) == [b"a"] + [body] * 200
        waiting = cluster[1].links.queued_bytes(slow)
        assert settings.window_bytes / 2 < waiting < settings.window_bytes + 2 * settings.append_bytes_max
        cluster.network.let_go(leader, slow)
        assert await cluster.agree() == [b"a"] + [body] * 200


def test_a_slow_follower_holds_up_nobody_and_gets_no_more_than_its_window() -> None:
    asyncio.run(_slow_follower())


async def _unknown_group() -> None:
    async with raft_cluster(opens_unknown=False) as cluster:
        for node in (1, 2, 3):
            await cluster.start(node)
        founders = [cluster.peer(node) for node in (1, 2, 3)]
        await cluster.open(1, founders)
        await cluster.open(2, founders)
        await cluster.put(b"a")
        await cluster.settle(1_000)
        assert {(group, sender.node_id) for group, sender in cluster[3].unknown} == {(GROUP, 1)}
        await cluster.open(3, None)
        assert await cluster.agree() == [b"a"]
        assert [peer.node_id for peer in cluster[3].opened.configuration.voters] == [1, 2, 3]


def test_a_message_for_a_group_that_is_not_open_is_told() -> None:
    asyncio.run(_unknown_group())


@on_three_members
async def test_bytes_that_are_no_message_are_dropped_and_counted(cluster: RaftCluster) -> None:
    for kind, payload in ((5, b"nonsense"), (77, b""), (12, b"odd"), (13, b"")):
        cluster[2].peers.send(cluster.peer(1).node_id, GROUP, kind, [payload])
    await cluster.settle()
    assert cluster[1].host.bad_message_count == 4
    await cluster.put(b"a")
    assert await cluster.agree() == [b"a"]


@on_three_members
async def test_lost_and_delayed_frames_lose_nothing(cluster: RaftCluster) -> None:
    rng = Random(1)
    cluster.network.drop = lambda _sender, _to, _frame: rng.random() < 0.2
    bodies = [b"%d" % number for number in range(100)]
    for body in bodies:
        while True:
            leader = await cluster.leader()
            try:
                proposal = leader.opened.propose([body])
            except (NotLeaderError, LogBusyError):
                await cluster.settle(10)
                continue
            await cluster.until(lambda: leader.opened.applied >= proposal.index or leader.opened.term > proposal.term)  # noqa: B023
            if leader.bodies and leader.bodies[-1] == body:
                break
    cluster.network.drop = lambda _sender, _to, _frame: False
    applied = await cluster.agree()
    assert list(dict.fromkeys(applied)) == bodies


async def _founders_that_wait() -> None:
    async with raft_cluster(opens_unknown=False) as cluster:
        for node in (1, 2, 3):
            await cluster.start(node)
        founders = [cluster.peer(node) for node in (1, 2, 3)]
        for node in (2, 3):
            await cluster.open(node, founders)
        leader = await cluster.leader()
        assert leader.node_id in {2, 3}, "the preferred leader is only the first to stand"
        await cluster.put(b"a")
        await cluster.open(1, founders)
        assert await cluster.agree() == [b"a"]


def test_a_group_is_founded_without_its_first_member() -> None:
    asyncio.run(_founders_that_wait())


async def _real_threads(directory: str) -> None:
    """Threads, files and a clock as in production; only the links are in memory."""
    network, settings = Network(), RaftSettings(heartbeat_ms=20, election_ms=10_000)  # whatever the disk takes
    everyone = [Peer(NodeId(node), f"disk-{node}") for node in (1, 2, 3)]
    hosts: list[RaftHost] = []
    machines = [RestoredMachine() for _ in everyone]
    groups: list[Group] = []
    for peer in everyone:
        peers = Peers(MemoryLinks(network, peer, settings), settings.rpcs_max, LoopClock())
        hosts.append(RaftHost(LocalDisk(), f"{directory}/{peer.node_id}", peer, peers=peers, settings=settings))
        await peers.start()
    for host, machine in zip(hosts, machines, strict=True):
        groups.append(await host.open_group(GROUP, machine, founders=everyone))
    async with asyncio.timeout(40):
        while not machines[0].is_leading:  # noqa: ASYNC110 - threads have no event for it
            await asyncio.sleep(0.001)
        for number in range(200):
            groups[0].propose([b"%d" % number])
        while any(len(machine.bodies) < 200 for machine in machines):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.001)
        assert await groups[2].read_barrier() >= machines[0].bodies[-1][0]
        for host in hosts:
            await host.close()
    assert [body for _, body in machines[2].bodies] == [b"%d" % number for number in range(200)]


def test_three_members_with_threads_and_files(tmp_path: Path) -> None:
    asyncio.run(_real_threads(str(tmp_path)))
