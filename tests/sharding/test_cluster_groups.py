"""Coordinators over leader changes: members keep their generation, offsets never go back, the old one says so."""

import asyncio
from collections.abc import Coroutine

import pytest

from raft.interfaces import NodeId
from sharding.coordinators.interfaces import CommittedOffset, Joined, JoinWanted
from sharding.coordinators.slots import slot_of
from sharding.errors import (
    CoordinatorLoadingError,
    CoordinatorNotAvailableError,
    NotCoordinatorError,
)
from sharding.interfaces import NewTopic
from tests.support.sharding_cluster import Member, ShardingCluster, sharding_cluster
from tests.support.virtual_loop import run_virtually

PASSING = (NotCoordinatorError, CoordinatorLoadingError, CoordinatorNotAvailableError, KeyError)


def run(work: Coroutine[object, object, None]) -> None:
    run_virtually(work)


async def coordinator(cluster: ShardingCluster, group: str) -> Member:
    """As a client finds it: any node tells who it is, and it agrees."""
    while True:
        for member in cluster.running:
            try:
                found = cluster[member.node.coordinator_of("group", group).node_id]
                found.groups._coordinator(group)
            except PASSING:
                continue
            return found
        await asyncio.sleep(0.05)


async def join(cluster: ShardingCluster, group: str, member_id: str = "") -> Joined:
    found = await coordinator(cluster, group)
    wanted = JoinWanted(
        group_id=group,
        member_id=member_id,
        instance_id=None,
        client_id="c",
        client_host="h",
        session_timeout_ms=10_000,
        rebalance_timeout_ms=10_000,
        protocol_type="consumer",
        protocols=[("range", b"m")],
        needs_known_member_id=False,
    )
    joined = await found.node.groups.join(wanted)
    await found.node.groups.sync(group, joined.generation, joined.member_id, None, {joined.member_id: b"a"})
    return joined


async def commit(cluster: ShardingCluster, group: str, joined: Joined | None, offset: int) -> None:
    while True:
        found = await coordinator(cluster, group)
        generation, member_id = (-1, "") if joined is None else (joined.generation, joined.member_id)
        try:
            await found.node.groups.commit(
                group, generation, member_id, None, {("t", 0): CommittedOffset(offset=offset)}
            )
        except PASSING:
            await asyncio.sleep(0.05)
        else:
            return


async def committed(cluster: ShardingCluster, group: str) -> int:
    while True:
        found = await coordinator(cluster, group)
        try:
            return (await found.node.groups.fetch(group, [("t", 0)]))["t", 0].offset
        except PASSING:
            await asyncio.sleep(0.05)


def test_members_keep_their_generation_over_a_failover() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            joined = await join(cluster, "g")
            await commit(cluster, "g", joined, 5)
            for _ in range(3):
                old = await coordinator(cluster, "g")
                await cluster.crash(old.node_id)
                new = await coordinator(cluster, "g")
                assert new is not old
                new.node.groups.heartbeat("g", joined.generation, joined.member_id, None)
                description = new.node.groups.describe("g")
                assert (description.state, description.generation) == ("Stable", joined.generation)
                assert await committed(cluster, "g") == 5
                await commit(cluster, "g", joined, 5)
                await cluster.start(old.node_id)

    run(story())


def test_a_member_that_went_with_the_node_is_missed_after_its_session() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            joined = await join(cluster, "g")
            await cluster.crash((await coordinator(cluster, "g")).node_id)
            new = await coordinator(cluster, "g")
            await asyncio.sleep(5)
            assert new.node.groups.describe("g").state == "Stable"
            await cluster.until(lambda: new.node.groups.describe("g").state == "Empty")
            assert new.node.groups.describe("g").generation >= joined.generation

    run(story())


def test_a_deposed_coordinator_tells_no_old_offsets_and_takes_none() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            await commit(cluster, "g", None, 5)
            old = await coordinator(cluster, "g")
            cluster.network.isolate(NodeId(old.node_id))
            asked = asyncio.ensure_future(old.node.groups.fetch("g", [("t", 0)]))
            taken = asyncio.ensure_future(
                old.node.groups.commit("g", -1, "", None, {("t", 0): CommittedOffset(offset=1)})
            )
            others = [member for member in cluster.running if member is not old]
            shard_id = old.node.slot_shard_id("group", "g")
            await cluster.until(lambda: others[0].node.leader_of_shard(shard_id) not in {None, old.node_id})
            new = cluster[others[0].node.leader_of_shard(shard_id) or 0]
            await new.node.groups.commit("g", -1, "", None, {("t", 0): CommittedOffset(offset=9)})
            with pytest.raises(NotCoordinatorError):
                await asked
            with pytest.raises(NotCoordinatorError):
                await taken
            with pytest.raises(PASSING):
                await old.node.groups.fetch("g", [("t", 0)])
            cluster.network.rejoin(NodeId(old.node_id))
            assert await committed(cluster, "g") == 9

    run(story())


def test_offsets_never_go_back_under_kills() -> None:
    async def story() -> None:
        async with sharding_cluster(checkpoint_bytes=2_000) as cluster:
            groups = [f"g{number}" for number in range(8)]
            assert len({slot_of(group) for group in groups}) > 4
            is_over = False

            async def consume(group: str) -> int:
                offset = 0
                while not is_over:
                    offset += 1
                    await commit(cluster, group, None, offset)
                    assert await committed(cluster, group) == offset
                    await asyncio.sleep(0.02)
                return offset

            consuming = [asyncio.ensure_future(consume(group)) for group in groups]
            for victim in (1, 2, 3, 1):
                await asyncio.sleep(1)
                await cluster.crash(victim, seed=victim)
                await asyncio.sleep(1)
                await cluster.start(victim)
            is_over = True
            counts = await asyncio.gather(*consuming)
            assert min(counts) > 20
            for group, count in zip(groups, counts, strict=True):
                assert await committed(cluster, group) == count

    run(story())


def test_every_node_names_the_same_coordinator() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            for number in range(20):
                named = {member.node.coordinator_of("group", f"g{number}").node_id for member in cluster.running}
                assert len(named) == 1
            assert {cluster.node(1).coordinator_of("group", f"g{number}").node_id for number in range(20)} == {1, 2, 3}

    run(story())


def test_a_deleted_topic_takes_the_offsets_of_all_coordinators_along() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            await cluster.node(1).create_topic(NewTopic(name="t"))
            groups = [f"g{number}" for number in range(9)]
            for group in groups:
                await commit(cluster, group, None, 5)
            assert {(await coordinator(cluster, group)).node_id for group in groups} == {1, 2, 3}
            await cluster.node(2).delete_topic("t")
            for group in groups:
                found = await coordinator(cluster, group)
                assert not await found.node.groups.fetch(group, [("t", 0)])

    run(story())


def test_offsets_on_views_go_with_their_topic() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            await cluster.node(1).create_topic(NewTopic(name="t"))
            found = await coordinator(cluster, "g")
            kept = {("u.__time", 0): CommittedOffset(offset=7)}
            gone = {("t.__time", 0): CommittedOffset(offset=5), ("t.__time.keyed", 0): CommittedOffset(offset=6)}
            await found.node.groups.commit("g", -1, "", None, {**gone, **kept})
            await cluster.node(2).delete_topic("t")
            assert {*(await found.node.groups.fetch("g", None))} == {*kept}

    run(story())


def test_offsets_on_a_deleted_topic_go_although_their_coordinator_died_before_it_forgot_them() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            await cluster.node(1).create_topic(NewTopic(name="t"))
            await commit(cluster, "g", None, 5)
            old = await coordinator(cluster, "g")

            async def forget_topic(_topic: str) -> None:
                await asyncio.get_running_loop().create_future()

            old.groups.forget_topic = forget_topic  # type: ignore[method-assign]
            await next(one for one in cluster.running if one is not old).node.delete_topic("t")
            await cluster.crash(old.node_id)
            new = await coordinator(cluster, "g")
            await asyncio.sleep(1)
            assert not await new.node.groups.fetch("g", [("t", 0)])

    run(story())
