"""A node that stops in order: leadership is handed over, nothing is lost, and the next start replays nothing."""

import asyncio
from collections.abc import Coroutine

import pytest

from raft.interfaces import NodeId
from sharding.errors import ClosingError, NotLeaderError
from sharding.interfaces import NewTopic, NodeAddress
from tests.support.sharding_cluster import sharding_cluster
from tests.support.virtual_loop import run_virtually


def run(work: Coroutine[object, object, None]) -> None:
    run_virtually(work)


def test_leadership_is_handed_over_before_a_node_goes() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            loop = asyncio.get_running_loop()
            topic = await cluster.node(1).create_topic(NewTopic(name="t", partitions=6))
            gaps: list[float] = []
            is_over = False

            async def produce(index: int) -> int:
                last, count = loop.time(), 0
                while not is_over:
                    await cluster.append(topic, b"%d" % count, index=index)
                    gaps.append(loop.time() - last)
                    last, count = loop.time(), count + 1
                    await asyncio.sleep(0.01)
                return count

            producing = asyncio.gather(*(produce(index) for index in range(6)))
            for node_id in (1, 2, 3):
                await asyncio.sleep(0.5)
                begun = loop.time()
                await cluster.stop(node_id)
                assert loop.time() - begun < 2
                await asyncio.sleep(1)
                await cluster.start(node_id)
            is_over = True
            counts = await producing
            # An election alone takes longer.
            assert max(gaps) < 0.4
            for index, count in enumerate(counts):
                rows = (await cluster.until_led(topic, index)).records(topic, index)
                assert [row.value for row in rows] == [b"%d" % number for number in range(count)]

    run(story())


def test_leaders_and_followers_save_checkpoints_at_the_end() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            topic = await cluster.node(1).create_topic(NewTopic(name="t", partitions=6))
            for index in range(6):
                await cluster.append(topic, b"x", index=index)
            await asyncio.sleep(1)
            for node_id in (1, 2, 3):
                await cluster.stop(node_id)
            await cluster.start(1, 2, 3)
            for index in range(6):
                assert [row.value for row in (await cluster.until_led(topic, index)).records(topic, index)] == [b"x"]
            for member in cluster.running:
                assert [shard.applied for shard in member.node.shards.values()] == [0] * 6, "something was replayed"

    run(story())


def test_checkpoints_are_saved_while_it_runs_on_followers_too() -> None:
    async def story() -> None:
        async with sharding_cluster(checkpoint_bytes=3_000) as cluster:
            await cluster.node(1).create_topic(NewTopic(name="t"))
            for number in range(100):
                await cluster.append("t", b"%d" % number)
            shard_id = cluster.node(1).catalog.topic_or_none("t").shards[0]
            await cluster.until_equal(shard_id)
            assert not any(member.failures for member in cluster.running)
            for node_id in (1, 2, 3):
                names = cluster.disks[node_id].names(f"/data/shards/{shard_id}")
                assert "checkpoint" in names

    run(story())


def test_a_node_that_cannot_reach_the_others_still_ends_and_says_what_it_does_not_know() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            topic = await cluster.node(1).create_topic(NewTopic(name="t"))
            old = await cluster.until_led(topic)
            cluster.network.isolate(NodeId(old.node_id))
            pending = asyncio.ensure_future(cluster.append_once(topic, b"x", member=old))
            await asyncio.sleep(0)
            begun = asyncio.get_running_loop().time()
            await cluster.stop(old.node_id)
            assert asyncio.get_running_loop().time() - begun < 10
            with pytest.raises((NotLeaderError, ClosingError)):
                await pending

    run(story())


def test_a_node_is_closed_while_it_waits_for_the_others() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            for node_id in (1, 2, 3):
                await cluster.stop(node_id)
            starting = asyncio.ensure_future(cluster.start(1))
            await asyncio.sleep(10)
            assert not starting.done()
            await cluster[1].node.close()
            with pytest.raises(ClosingError):
                await starting

    run(story())


def test_a_node_registers_when_the_catalog_is_led_again() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            for node_id in (2, 3):
                await cluster.crash(node_id)
            await cluster.until(lambda: cluster.node(1).controller_id == -1)
            address = NodeAddress(node_id=1, host="elsewhere", kafka_port=1, http_port=2)
            registering = asyncio.ensure_future(cluster.node(1).register(address))
            await asyncio.sleep(25)
            assert not registering.done()
            await cluster.start(2)
            await registering
            assert address in cluster.node(2).nodes()
            await cluster.crash(2)
            waiting = asyncio.ensure_future(cluster.node(1).register(address))
            await asyncio.sleep(5)
            await cluster[1].node.close()
            with pytest.raises(ClosingError):
                await waiting

    run(story())
