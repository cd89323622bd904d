"""Commands from any node to whoever leads: once, unless twice is as good; and who leads is known where it is not."""

import asyncio
from collections.abc import Coroutine, Sequence

import pytest

from raft.errors import LogBusyError
from raft.interfaces import Buffer, NodeId, Proposal
from sharding.catalog_commands import AllocateProducerIds
from sharding.commands.append import Append
from sharding.commands.splits import Drop, RaiseLogStart
from sharding.commands.table import encode
from sharding.errors import InvalidRequestError, NotLeaderError
from sharding.interfaces import NewTopic
from sharding.outcomes import decode_outcome
from sharding.router import Router
from store.batches import build, read_header
from store.events import Record
from tests.support.sharding_cluster import ShardingCluster, sharding_cluster
from tests.support.virtual_loop import run_virtually


def run(work: Coroutine[object, object, None]) -> None:
    run_virtually(work)


def router(cluster: ShardingCluster, node_id: int) -> Router:
    return cluster.node(node_id)._router


def other_than(cluster: ShardingCluster, node_id: int) -> int:
    return next(one for one in cluster.members if one != node_id)


def next_producer_id(cluster: ShardingCluster) -> int:
    return max(member.node.catalog.next_producer_id for member in cluster.running)


def test_a_result_comes_back_from_wherever_the_shard_is_led() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            topic = await cluster.node(1).create_topic(NewTopic(name="t", partitions=3, replication_factor=1))
            for index in range(3):
                await cluster.append(topic, b"a", b"b", index=index)
                shard_id = cluster.node(1).catalog.topics[topic.topic_id.bytes].shards[index]
                for member in cluster.running:
                    raise_start = RaiseLogStart(topic.topic_id.bytes, index, 1)
                    assert await member.node.submit(shard_id, raise_start) == 1
                    assert await member.node.submit(shard_id, Drop(b"?" * 16, 0)) is False

    run(story())


@pytest.mark.parametrize("may_repeat", [True, False])
def test_a_command_whose_answer_is_lost_is_sent_again_only_if_twice_is_as_good(may_repeat: bool) -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            leader = cluster.node(1).controller_id
            asking = other_than(cluster, leader)
            third = next(one for one in cluster.members if one not in {leader, asking})
            before = next_producer_id(cluster)
            cluster.network.hold(NodeId(leader), NodeId(asking))
            submitted = router(cluster, asking).submit(0, AllocateProducerIds(10), may_repeat=may_repeat)
            await cluster.until(lambda: cluster.node(third).catalog.next_producer_id == before + 10)
            cluster.network.cut(NodeId(leader), NodeId(asking))
            await asyncio.sleep(0.01)
            cluster.network.held.clear()
            cluster.network.heal(NodeId(leader), NodeId(asking))
            if may_repeat:
                assert await submitted == before + 10
            else:
                with pytest.raises(NotLeaderError) as error:
                    await submitted
                assert not error.value.is_refusal
                assert next_producer_id(cluster) == before + 10

    run(story())


def test_what_certainly_came_into_no_log_is_sent_again_until_somebody_leads() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            leader = cluster.node(1).controller_id
            await cluster.crash(leader)
            asking = cluster.running[0].node_id
            before = next_producer_id(cluster)
            assert await router(cluster, asking).submit(0, AllocateProducerIds(10)) == before
            cluster.network.isolate(NodeId(asking))
            await asyncio.sleep(3)
            begun = asyncio.get_running_loop().time()
            with pytest.raises(NotLeaderError) as error:
                await router(cluster, asking).submit(0, AllocateProducerIds(10), timeout_ms=1_000)
            assert error.value.is_refusal
            assert asyncio.get_running_loop().time() - begun < 2

    run(story())


def test_what_a_leader_refuses_while_it_hands_over_is_sent_again() -> None:
    """Otherwise a node that starts just then ends, since it cannot register."""

    async def story() -> None:
        async with sharding_cluster() as cluster:
            leader = cluster.node(1).controller_id
            before = next_producer_id(cluster)
            group = cluster.node(leader)._catalog_shard.group
            refusals = [LogBusyError("leadership is being handed over") for _ in range(3)]
            propose = group.propose

            def busy_at_first(body: Sequence[Buffer]) -> Proposal:
                if refusals:
                    raise refusals.pop()
                return propose(body)

            group.propose = busy_at_first
            asking = other_than(cluster, leader)
            assert await router(cluster, asking).submit(0, AllocateProducerIds(10)) == before
            assert not refusals
            assert next_producer_id(cluster) == before + 10

    run(story())


def test_a_batch_is_never_proposed_past_admission() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            topic = await cluster.node(1).create_topic(NewTopic(name="t"))
            leader = await cluster.until_led(topic)
            batch = memoryview(bytearray(build([Record(7, 5, None, b"x")], base_offset=7)))
            append = Append(topic.topic_id.bytes, 0, 0, 7, 0, 5, 5, batch, read_header(batch))
            shard_id = leader.node.shard_of(topic, 0).shard_id
            body = memoryview(b"".join([shard_id.to_bytes(4, "big"), *encode(append)]))
            (answer,) = await leader.node._router._on_propose(cluster.founders[0], body)
            with pytest.raises(InvalidRequestError):
                decode_outcome(memoryview(answer))
            assert leader.records(topic) == []

    run(story())


def test_who_leads_a_shard_of_other_nodes_is_known_and_forgotten_with_them() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            topic = await cluster.node(1).create_topic(NewTopic(name="t", partitions=6, replication_factor=2))
            shards = cluster.node(1).catalog.topics[topic.topic_id.bytes].shards
            for index in range(6):
                leader = (await cluster.until_led(topic, index)).node_id
                assert {member.node.leader_of(topic, index)[0] for member in cluster.running} == {leader}
            shard_id = next(one for one in shards if 3 not in cluster.node(1).catalog.shards[one].replicas)
            leader = cluster.node(3).leader_of_shard(shard_id)
            assert leader in {1, 2}
            other = 3 - leader
            await cluster.node(leader).shards[shard_id].group.transfer(NodeId(other))
            await cluster.until(lambda: cluster.node(3).leader_of_shard(shard_id) == other)
            await cluster.crash(other)
            await cluster.until(lambda: cluster.node(3).leader_of_shard(shard_id) is None)
            await cluster.start(other)
            await cluster.until(lambda: cluster.node(3).leader_of_shard(shard_id) in {1, 2})

    run(story())
