"""A member that needs what its leader has released fetches the leader's files, and goes on behind them."""

import asyncio
from collections.abc import Awaitable, Callable

from raft.interfaces import GroupId, NodeId
from raft.log import SegmentLog
from tests.support.raft_cluster import GROUP, RaftCluster, raft_cluster

BODY_BYTES = 1_000


def on_members(*nodes: int) -> Callable[[Callable[[RaftCluster], Awaitable[None]]], Callable[[], None]]:
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


async def put_and_release(cluster: RaftCluster, *among: int, count: int = 60) -> list[bytes]:
    """Fill some segments, save a checkpoint on each of these members, and let go of all but the last segment."""
    before = len(cluster[among[0]].bodies)
    bodies = [b"%d " % (before + number) * (BODY_BYTES // 5) for number in range(count)]
    for body in bodies:
        await cluster.put(body, among=among)
    await cluster.agree(*among)
    for node in among:
        group = cluster[node].opened
        group.save_checkpoint(cluster[node].machine.state())
        await cluster.settle()
        group.release_before(group.applied)
        group.save_checkpoint(cluster[node].machine.state())
        await cluster.settle()
        assert log_of(cluster, node).first_index > 10
    return bodies


def log_of(cluster: RaftCluster, node: int) -> SegmentLog:
    return cluster[node].opened._log  # pyright: ignore[reportPrivateUsage]


@on_members(1, 2, 3)
async def test_a_member_that_was_away_for_long_fetches_files(cluster: RaftCluster) -> None:
    await cluster.put(b"a")
    await cluster.agree()
    cluster.network.isolate(NodeId(3))
    bodies = await put_and_release(cluster, 1, 2)
    cluster.network.rejoin(NodeId(3))
    assert await cluster.agree() == [b"a", *bodies]
    assert cluster[3].machine.restore_count == 1
    assert log_of(cluster, 3).first_index == log_of(cluster, 1).first_index
    await cluster.put(b"b")
    assert await cluster.agree() == [b"a", *bodies, b"b"]
    place = cluster[3].machine.places[cluster[3].machine.bodies[-1][0]]
    assert bytes(cluster[3].opened.read(*place, 1)) == b"b"
    await cluster.finish(cluster[1].opened.transfer(NodeId(3)))
    await cluster.leader([3])
    await cluster.crash(1)
    await cluster.put(b"c", among=[3])
    await cluster.restart(1)
    assert await cluster.agree() == [b"a", *bodies, b"b", b"c"]


@on_members(1, 2, 3)
async def test_installed_files_survive_a_power_cut(cluster: RaftCluster) -> None:
    cluster.network.isolate(NodeId(3))
    bodies = await put_and_release(cluster, 1, 2)
    cluster.network.rejoin(NodeId(3))
    await cluster.agree()
    await cluster.crash(3, seed=5)
    await cluster.restart(3)
    assert await cluster.agree() == bodies


@on_members(1)
async def test_a_new_member_of_an_old_group_begins_with_files(cluster: RaftCluster) -> None:
    bodies = await put_and_release(cluster, 1)
    for node in (2, 3):
        await cluster.start(node)
    await cluster.finish(cluster[1].opened.change([cluster.peer(node) for node in (1, 2, 3)]))
    assert await cluster.agree() == bodies
    assert [cluster[node].machine.restore_count for node in (2, 3)] == [1, 1]
    assert [peer.node_id for peer in cluster[3].opened.configuration.voters] == [1, 2, 3]


@on_members(1, 2, 3)
async def test_fetching_is_begun_again_when_the_leader_goes_away(cluster: RaftCluster) -> None:
    cluster.network.isolate(NodeId(3))
    bodies = await put_and_release(cluster, 1, 2)
    cluster.network.rejoin(NodeId(3))
    await cluster.until(lambda: any(name.endswith(".fetched") for name in files(cluster, 3)))
    await cluster.crash(1)
    await cluster.leader([2, 3])
    assert await cluster.agree(2, 3) == bodies
    assert not any(name.endswith(".fetched") for name in files(cluster, 3))


@on_members(1, 2, 3)
async def test_a_member_that_crashes_while_it_fetches_goes_on(cluster: RaftCluster) -> None:
    for seed in range(6):
        cluster.network.isolate(NodeId(3))
        await put_and_release(cluster, 1, 2, count=40)
        cluster.network.rejoin(NodeId(3))
        wanted = cluster[3].machine.restore_count + 1
        for _ in range(200 * (seed + 1)):
            if cluster[3].machine.restore_count == wanted or len(files(cluster, 3)) > 8 + seed:
                break
            await cluster.settle(10) if seed % 2 else await asyncio.sleep(0)
        await cluster.crash(3, seed=seed)
        await cluster.restart(3)
        await cluster.leader([1, 2])
        assert await cluster.agree() == cluster[1].bodies


@on_members(1, 2, 3)
async def test_a_group_that_closes_while_its_files_are_exchanged_ends(cluster: RaftCluster) -> None:
    for turns in range(0, 200, 9):
        cluster.network.isolate(NodeId(3))
        await put_and_release(cluster, 1, 2, count=40)
        cluster.network.rejoin(NodeId(3))
        await cluster.until(lambda: any(name.endswith(".fetched") for name in files(cluster, 3)))
        for _ in range(turns):
            await asyncio.sleep(0)
        await cluster.finish(cluster[3].host.close_group(GROUP))
        await cluster.open(3, None)
        assert await cluster.agree() == cluster[1].bodies


def files(cluster: RaftCluster, node: int) -> list[str]:
    return cluster[node].disk.names(f"/data/shards/{GROUP}")


@on_members(1, 2, 3)
async def test_what_is_not_open_is_not_handed_out(cluster: RaftCluster) -> None:
    exchange = cluster[2].host._exchange  # pyright: ignore[reportPrivateUsage]
    assert exchange is not None
    await cluster.crash(1)
    await cluster.leader([2, 3])
    for group in (GROUP, GroupId(8)):
        fetched = asyncio.ensure_future(exchange.fetch(group, NodeId(3), lambda _applied, _term: None))
        await cluster.until(fetched.done)
        assert "checkpoint" in str(fetched.exception()) or "not open" in str(fetched.exception())
