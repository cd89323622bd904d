"""Topics of a cluster: created, cut and deleted by any node, carried out by the leaders, known everywhere in time."""

import asyncio
from collections.abc import Coroutine

import pytest

from raft.interfaces import NodeId
from sharding.calls import AwaitTopic, LedPartition, TopicSeen
from sharding.catalog import TopicRecord
from sharding.catalog_commands import CreateTopic, DeleteTopic
from sharding.errors import (
    InvalidReplicationFactorError,
    InvalidRequestError,
    NotLeaderError,
    TimedOutError,
    TopicExistsError,
)
from sharding.interfaces import NewTopic
from store.schema import Schema
from tests.support.sharding_cluster import sharding_cluster
from tests.support.virtual_loop import run_virtually

SCHEMA = Schema.of({"price": "double"}, ["price"])


def run(work: Coroutine[object, object, None]) -> None:
    run_virtually(work)


def test_a_created_topic_is_known_led_and_writable_everywhere_at_once() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            for creator in (1, 2, 3):
                name = f"t{creator}"
                topic = await cluster.node(creator).create_topic(NewTopic(name=name, partitions=6))
                assert topic.replication_factor == 3, "the default with three nodes"
                leaders: set[int] = set()
                for member in cluster.running:
                    assert member.node.topic(name) == topic
                    found = [member.node.leader_of(topic, index) for index in range(6)]
                    assert all(leader > 0 for leader, _, _ in found)
                    assert all(sorted(replicas) == [1, 2, 3] for _, _, replicas in found)
                    leaders |= {leader for leader, _, _ in found}
                assert leaders == {1, 2, 3}
                for index in range(6):
                    assert (await cluster.append_once(topic, b"x", index=index)).base_offset == 0

    run(story())


def test_a_topic_with_one_replica_is_led_by_its_one_node_and_known_on_the_others() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            topic = await cluster.node(1).create_topic(NewTopic(name="t", partitions=6, replication_factor=1))
            for index in range(6):
                (replica,) = cluster.node(1).leader_of(topic, index)[2]
                assert {member.node.leader_of(topic, index)[0] for member in cluster.running} == {replica}
                await cluster.append_once(topic, b"x", index=index)
                other = cluster.node(replica % 3 + 1)
                with pytest.raises(NotLeaderError) as error:
                    other.partition(topic, index)
                assert error.value.leader_id == replica

    run(story())


def test_more_replicas_than_nodes_are_refused() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            for is_dry_run in (True, False):
                with pytest.raises(InvalidReplicationFactorError):
                    await cluster.node(2).create_topic(NewTopic(name="t", replication_factor=4), is_dry_run=is_dry_run)
            topic = await cluster.node(2).create_topic(NewTopic(name="t", replication_factor=2, partitions=3))
            assert {len(cluster.node(1).leader_of(topic, index)[2]) for index in range(3)} == {2}

    run(story())


def test_all_partitions_of_a_stream_have_the_same_replicas_and_not_all_the_same_leader() -> None:
    async def story() -> None:
        async with sharding_cluster(5) as cluster:
            plain = await cluster.node(1).create_topic(NewTopic(name="plain", partitions=10, replication_factor=3))
            assert len(set(cluster.node(1).catalog.topics[plain.topic_id.bytes].shards)) == 10, "others are spread"
            for number in range(3):
                topic = await cluster.node(1).create_topic(
                    NewTopic(name=f"t{number}", partitions=4, schema=SCHEMA, replication_factor=3)
                )
                catalog = cluster.node(1).catalog
                found = [catalog.shards[one] for one in catalog.topics[topic.topic_id.bytes].shards]
                assert len({frozenset(shard.replicas) for shard in found}) == 1
                assert len({shard.replicas[0] for shard in found}) > 1

    run(story())


def test_of_two_nodes_that_create_the_same_topic_one_wins() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            outcomes = await asyncio.gather(
                *(cluster.node(one).create_topic(NewTopic(name="t", replication_factor=1)) for one in (1, 2, 3)),
                return_exceptions=True,
            )
            assert sorted(type(one).__name__ for one in outcomes) == ["Topic", "TopicExistsError", "TopicExistsError"]
            assert len(cluster.node(1).catalog.shards_of_class(1)) == 6, "the class was made once"
            found = await asyncio.gather(*(cluster.node(one).ensure_topic("u") for one in (1, 2, 3)))
            assert len({topic.topic_id for topic in found}) == 1

    run(story())


def test_a_topic_is_cut_by_a_node_that_leads_none_of_it() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            topic = await cluster.node(1).create_topic(NewTopic(name="t", partitions=3, replication_factor=1))
            for index, count in enumerate((2, 0, 1)):
                for _ in range(count):
                    await cluster.append(topic, b"x", index=index)
            assert await cluster.node(2).cut(topic.topic_id) == (0, (2, 0, 1))
            assert await cluster.node(3).cut(topic.topic_id) is None, "nothing came since"
            assert (await cluster.append(topic, b"y", index=0)).base_offset == 2
            cuts = await asyncio.gather(*(cluster.node(one).cut(topic.topic_id) for one in (1, 2, 3)))
            assert (1, (3, 0, 1)) in cuts
            record = cluster.node(1).catalog.topics[topic.topic_id.bytes]
            assert record.split_number == 2
            for index in range(3):
                member = await cluster.until_led(topic, index)
                assert member.node.chain_of(topic, index).newest.number == 2

    run(story())


def test_producers_do_not_notice_a_cut_but_by_an_answer_that_says_try_again() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            topic = await cluster.node(1).create_topic(NewTopic(name="t", partitions=3))
            count = 0

            async def produce(index: int) -> None:
                nonlocal count
                while not is_over:
                    await cluster.append_once(topic, b"%d" % count, index=index)
                    count += 1
                    await asyncio.sleep(0.001)

            is_over = False
            producing = asyncio.gather(*(produce(index) for index in range(3)))
            for cutter in (1, 2, 3, 1):
                await asyncio.sleep(0.05)
                assert await cluster.node(cutter).cut(topic.topic_id) is not None
            is_over = True
            await producing
            members = [await cluster.until_led(topic, index) for index in range(3)]
            assert sum(len(member.records(topic, index)) for index, member in enumerate(members)) == count

    run(story())


def test_a_deleted_topic_is_gone_everywhere_and_dropped_by_each_leader() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            topic = await cluster.node(1).create_topic(NewTopic(name="t", partitions=6))
            await cluster.append(topic, b"x")
            await cluster.node(2).delete_topic("t")
            for member in cluster.running:
                assert member.node.topics() == []
            shards = [shard for member in cluster.running for shard in member.node.shards.values()]
            assert not any(shard.state.chains for shard in shards if shard.is_leader)
            await cluster.until(lambda: not any(shard.state.chains for shard in shards))
            again = await cluster.node(3).create_topic(NewTopic(name="t"))
            assert again.topic_id != topic.topic_id

    run(story())


def test_a_leader_with_an_old_catalog_drops_nothing_that_is_newer_than_it() -> None:
    """A13: the node that leads the topic's shard has not heard of the topic yet."""

    async def story() -> None:
        async with sharding_cluster() as cluster:
            first = await cluster.node(1).create_topic(NewTopic(name="first"))
            shard_id = cluster.node(1).catalog.topics[first.topic_id.bytes].shards[0]
            catalog_leader = cluster.node(1).controller_id
            stale = next(one for one in (1, 2, 3) if one != catalog_leader)
            other = next(one for one in (1, 2, 3) if one not in {catalog_leader, stale})
            await cluster.until(lambda: cluster.node(other).shards[shard_id].is_leader or True)
            # From here on node `stale` hears nothing of the catalog's group, but all of the other groups.
            heard = cluster[stale].host._groups.pop(0)
            record = TopicRecord(b"n" * 16, "new", 3, {}, 5, (shard_id,))
            await cluster.node(catalog_leader)._changes.submit(CreateTopic(record))
            await cluster.until(lambda: (record.topic_id, 0) in cluster.node(stale).shards[shard_id].state.chains)
            await cluster.append("new", b"kept")
            leader = (await cluster.until_led("new")).node_id
            if leader != stale:
                await cluster.node(leader).shards[shard_id].group.transfer(NodeId(stale))
                await cluster.until(lambda: cluster.node(stale).shards[shard_id].is_leader)
            assert "new" not in [topic.name for topic in cluster.node(stale).topics()]
            cluster.node(stale)._machinery._reconciler.on_catalog_replaced()
            await asyncio.sleep(3)
            assert (record.topic_id, 0) in cluster.node(stale).shards[shard_id].state.chains, "it only waits"
            cluster[stale].host._groups[0] = heard
            await cluster.until(lambda: "new" in [topic.name for topic in cluster.node(stale).topics()])
            await asyncio.sleep(3)
            assert [row.value for row in (await cluster.until_led("new")).records("new")] == [b"kept"]
            # What really was deleted goes, also by a leader that missed it.
            await cluster.node(catalog_leader)._changes.submit(DeleteTopic(record.topic_id))
            chains = cluster.node(stale).shards[shard_id].state.chains
            await cluster.until(lambda: (record.topic_id, 0) not in chains)

    run(story())


def test_a_leader_with_an_old_catalog_does_not_begin_a_deleted_topic_again() -> None:
    """It would take records from offset 0 on, for a topic that everybody else knows to be gone."""

    async def story() -> None:
        async with sharding_cluster() as cluster:
            topic = await cluster.node(1).create_topic(NewTopic(name="t"))
            topic_id = topic.topic_id.bytes
            shard_id = cluster.node(1).catalog.topics[topic_id].shards[0]
            await cluster.append(topic, b"0")
            catalog_leader = cluster.node(1).controller_id
            stale = next(one for one in (1, 2, 3) if one != catalog_leader)
            leader = (await cluster.until_led("t")).node_id
            if leader == stale:
                other = next(one for one in (1, 2, 3) if one != stale)
                await cluster.node(leader).shards[shard_id].group.transfer(NodeId(other))
                await cluster.until(lambda: cluster.node(other).shards[shard_id].is_leader)
                leader = other
            # From here on node `stale` hears nothing of the catalog's group, but all of the other groups.
            heard = cluster[stale].host._groups.pop(0)
            await cluster.node(catalog_leader)._changes.submit(DeleteTopic(topic_id))
            shard = cluster.node(stale).shards[shard_id]
            await cluster.until(lambda: (topic_id, 0) not in shard.state.chains, what="it is dropped")
            assert topic_id in cluster.node(stale).catalog.topics
            await cluster.node(leader).shards[shard_id].group.transfer(NodeId(stale))
            await cluster.until(lambda: shard.is_leader)
            await asyncio.sleep(3)
            assert (topic_id, 0) not in shard.state.chains
            cluster[stale].host._groups[0] = heard
            await cluster.until(lambda: topic_id not in cluster.node(stale).catalog.topics)
            await asyncio.sleep(3)
            assert (topic_id, 0) not in shard.state.chains
            again = await cluster.node(stale).create_topic(NewTopic(name="t"))
            assert (await cluster.append(again, b"1")).base_offset == 0

    run(story())


def test_a_change_waits_for_no_dead_node_and_for_a_silent_one_only_a_second() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            loop = asyncio.get_running_loop()
            begun = loop.time()
            await cluster.node(1).create_topic(NewTopic(name="t0"))
            assert loop.time() - begun < 0.3
            await cluster.crash(3)
            await asyncio.sleep(3)
            begun = loop.time()
            await cluster.node(1).create_topic(NewTopic(name="t1", partitions=6))
            assert loop.time() - begun < 0.5
            await cluster.start(3)
            assert {topic.name for topic in cluster.node(3).topics()} == {"t0", "t1"}
            await asyncio.sleep(1)
            for sender in (1, 2):
                cluster.network.hold(NodeId(sender), NodeId(3))
            leaders = {cluster.node(1).leader_of(cluster.node(1).topic("t1"), index)[0] for index in range(6)}
            assert 3 not in leaders
            begun = loop.time()
            await cluster.node(2).create_topic(NewTopic(name="t2", partitions=6))
            assert loop.time() - begun < 2

    run(story())


def test_without_a_leader_for_a_partition_the_error_says_so_and_the_topic_is_opened_later() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            await cluster.node(1).create_topic(NewTopic(name="r1", partitions=6, replication_factor=1))
            victim = next(one for one in (2, 3) if one != cluster.node(1).controller_id)
            await cluster.crash(victim)
            await asyncio.sleep(3)
            placed = await cluster.node(1).create_topic(NewTopic(name="live", partitions=4, replication_factor=1))
            leaders = {cluster.node(1).leader_of(placed, index)[0] for index in range(4)}
            assert leaders <= {1, 2, 3} - {victim}, "new partitions go where somebody lives"
            dead = next(one.shard_id for one in cluster.node(1).catalog.shards_of_class(1) if one.replicas == (victim,))
            record = TopicRecord(b"d" * 16, "dead", 1, {}, 5, (dead,))
            await cluster.node(1)._changes.submit(CreateTopic(record))
            with pytest.raises(TimedOutError, match="1 of 1 partitions"):
                await cluster.node(1).cut(cluster.node(1).topic("dead").topic_id)
            with pytest.raises(TopicExistsError):
                await cluster.node(1).create_topic(NewTopic(name="dead"))
            await cluster.start(victim)
            assert (await cluster.append("dead", b"x")).base_offset == 0

    run(story())


def test_metadata_goes_on_over_kills_of_the_catalogs_leader() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            for number in range(4):
                leader = cluster.node(1 if 1 in cluster.members else 2).controller_id
                creator = next(one for one in cluster.members if one != leader)
                creating = asyncio.ensure_future(cluster.node(creator).create_topic(NewTopic(name=f"t{number}")))
                if number % 2:
                    await asyncio.sleep(0)
                await cluster.crash(leader)
                try:
                    await creating
                except (NotLeaderError, TimedOutError):
                    await asyncio.sleep(2)
                    await cluster.node(creator).ensure_topic(f"t{number}")
                await cluster.append(f"t{number}", b"x")
                await cluster.start(leader)
            for member in cluster.running:
                assert [topic.name for topic in member.node.topics()] == [f"t{number}" for number in range(4)]

    run(story())


def test_a_deposed_leader_does_not_make_a_cut_believe_that_there_is_nothing() -> None:
    async def story() -> None:
        async with sharding_cluster(balance_ms=0) as cluster:
            topic = await cluster.node(1).create_topic(NewTopic(name="t"))
            await cluster.append(topic, b"0")
            leader = await cluster.until_led(topic)
            first, last = (one for one in cluster.running if one is not leader)

            async def stale(_asked: AwaitTopic) -> TopicSeen:
                """Who led until it was stopped, says what it saw then."""
                return TopicSeen(True, (LedPartition(0, 0, 0, 0),))

            last.node._changes._await_topic = stale  # type: ignore[method-assign]
            first.node._changes._await_topic = stale  # type: ignore[method-assign]
            assert await leader.node.cut(topic.topic_id) == (0, (1,))

    run(story())


def test_views_are_enabled_later_only_where_all_partitions_lie_on_the_same_nodes() -> None:
    """Whoever answers for a stream has all its partitions."""

    async def story() -> None:
        async with sharding_cluster() as cluster:
            node = cluster.node(1)
            for factor, partitions in ((1, 1), (1, 3), (3, 3)):
                await node.create_topic(
                    NewTopic(name=f"t{factor}{partitions}", partitions=partitions, replication_factor=factor)
                )
            for name in ("t11", "t33"):
                await node.set_topic_configs(name, {"view.enabled": "true"})
            with pytest.raises(InvalidRequestError, match="different nodes"):
                await node.set_topic_configs("t13", {"view.enabled": "true"}, is_dry_run=True)
            await node.set_topic_configs("t13", {"retention.ms": "5"})

    run(story())
