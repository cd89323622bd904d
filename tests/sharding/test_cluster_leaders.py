"""Leaders come and go: what was acknowledged stays, once and in order; epochs and watermarks never fall."""

import asyncio
from collections.abc import Coroutine
from random import Random

import pytest

from raft.interfaces import NodeId
from sharding.errors import ClosingError, NotLeaderError, OffsetOutOfRangeError, OutOfOrderSequenceError
from sharding.interfaces import Appended, Fetched, NewTopic
from sharding.partition import Partition
from store.batches import Producer
from tests.support.sharding_cluster import Member, ShardingCluster, sharding_cluster
from tests.support.virtual_loop import run_virtually


def run(work: Coroutine[object, object, None]) -> None:
    run_virtually(work)


async def hand_over(cluster: ShardingCluster, topic: str, index: int = 0) -> Member:
    """Another node leads the partition; returns it."""
    before = await cluster.until_led(topic, index)
    shard = before.node.shard_of(before.node.topic(topic), index)
    await shard.group.transfer(NodeId(next(one for one in cluster.members if one != before.node_id)))
    await cluster.until(lambda: not shard.is_leader)
    return await cluster.until_led(topic, index)


class Client:
    """An idempotent producer of one partition: one batch at a time, sent again until it is answered."""

    def __init__(self, cluster: ShardingCluster, producer_id: int, index: int) -> None:
        self.cluster = cluster
        self.producer_id = producer_id
        self.index = index
        self.offsets: dict[bytes, int] = {}

    async def run(self, count: int, pause_s: float = 0.02) -> None:
        for sequence in range(len(self.offsets), len(self.offsets) + count):
            value = b"%d-%d" % (self.producer_id, sequence)
            producer = Producer(self.producer_id, 0, sequence)
            answer = await self.cluster.append("t", value, index=self.index, producer=producer)
            self.offsets[value] = answer.base_offset
            await asyncio.sleep(pause_s)

    def check(self, member: Member) -> None:
        rows = member.records("t", self.index)
        values = [row.value for row in rows]
        assert [row.offset for row in rows] == list(range(len(rows)))
        assert len(set(values)) == len(values), "a batch is there twice"
        own = [value for value in values if value is not None and value.startswith(b"%d-" % self.producer_id)]
        assert own == [b"%d-%d" % (self.producer_id, number) for number in range(len(self.offsets))], "order is kept"
        for row in rows:
            if row.value in self.offsets:
                assert self.offsets[row.value] == row.offset, "the answer said another offset"


@pytest.mark.parametrize("seed", range(4))
def test_kills_under_load_lose_nothing_double_nothing_and_keep_the_order(seed: int) -> None:
    async def story() -> None:
        rng = Random(seed)
        async with sharding_cluster(checkpoint_bytes=4_000, seed=seed) as cluster:
            await cluster.node(1).create_topic(NewTopic(name="t", partitions=3))
            clients = [Client(cluster, producer_id, producer_id % 3) for producer_id in range(6)]
            load = asyncio.gather(*(client.run(150) for client in clients))
            while not load.done():
                await asyncio.sleep(rng.uniform(0.2, 1.0))
                victim = rng.choice([*cluster.members])
                how = rng.choice(["kill", "power", "stop", "isolate", "transfer"])
                if how == "isolate":
                    cluster.network.isolate(NodeId(victim))
                    await asyncio.sleep(rng.uniform(0.2, 2.5))
                    cluster.network.rejoin(NodeId(victim))
                elif how == "transfer":
                    await hand_over(cluster, "t", rng.randrange(3))
                else:
                    if how == "stop":
                        await cluster.stop(victim)
                    else:
                        await cluster.crash(victim, seed=seed if how == "power" else None)
                    await asyncio.sleep(rng.uniform(0.1, 2.0))
                    await cluster.start(victim)
            await load
            for client in clients:
                client.check(await cluster.until_led("t", client.index))
            for member in cluster.running:
                assert not member.failures
            for shard_id in {*cluster.node(1).catalog.topic_or_none("t").shards}:
                await cluster.until_equal(shard_id)

    run(story())


def test_who_asks_for_a_leader_that_has_just_died_is_told_the_next_one() -> None:
    """Also where this node would have seen the end of its link only a moment later."""

    async def story() -> None:
        async with sharding_cluster() as cluster:
            await cluster.node(1).create_topic(NewTopic(name="t"))
            dead = (await cluster.until_led("t")).node_id
            other = next(one for one in cluster.running if one.node_id != dead).node
            topic = other.topic("t")
            await cluster.until(lambda: other.leader_of(topic, 0)[0] == dead)
            assert not other.leaders.are_here([topic])
            loop = asyncio.get_running_loop()
            cluster.network.isolate(NodeId(dead))
            loop.call_later(0.005, cluster.members[dead].links.break_off)
            begun = loop.time()
            await other.leaders.until_known([topic])
            assert other.leader_of(topic, 0)[0] in set(cluster.members) - {dead}
            assert loop.time() - begun < 0.5
            leader = cluster.members[other.leader_of(topic, 0)[0]]
            await cluster.until(lambda: leader.node.leader_of(topic, 0)[0] == leader.node_id)
            assert leader.node.leaders.are_here([leader.node.topic("t")])

    run(story())


def test_a_leader_that_cannot_be_elected_is_not_waited_for() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            await cluster.node(1).create_topic(NewTopic(name="t"))
            leader = await cluster.until_led("t")
            other = next(one for one in cluster.running if one is not leader).node
            topic = other.topic("t")
            for node_id in set(cluster.members) - {other.node_id}:
                await cluster.crash(node_id)
            await cluster.until(lambda: other.leader_of(topic, 0)[0] == -1)
            begun = asyncio.get_running_loop().time()
            await other.leaders.until_known([topic])
            assert asyncio.get_running_loop().time() - begun < 0.01

    run(story())


def test_a_duplicate_after_a_failover_gets_the_first_offset() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            await cluster.node(1).create_topic(NewTopic(name="t"))
            for sequence in range(4):
                await cluster.append("t", b"%d" % sequence, producer=Producer(7, 0, sequence))
            await cluster.crash((await cluster.until_led("t")).node_id)
            again = await cluster.append("t", b"2", producer=Producer(7, 0, 2))
            assert (again.base_offset, again.is_duplicate) == (2, True)
            assert (await cluster.append("t", b"4", producer=Producer(7, 0, 4))).base_offset == 4

    run(story())


def test_a_batch_whose_leader_was_cut_off_is_answered_once_whatever_became_of_it() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            await cluster.node(1).create_topic(NewTopic(name="t"))
            await cluster.append("t", b"0", producer=Producer(7, 0, 0))
            old = await cluster.until_led("t")
            cluster.network.isolate(NodeId(old.node_id))
            pending = asyncio.ensure_future(cluster.append_once("t", b"1", producer=Producer(7, 0, 1), member=old))
            unsent = asyncio.ensure_future(cluster.append_once("t", b"x", acks=1, member=old))
            assert isinstance(await unsent, Appended), "its own disk has it"
            with pytest.raises(NotLeaderError):
                await pending
            with pytest.raises(NotLeaderError):
                await cluster.append_once("t", b"1", producer=Producer(7, 0, 1), member=old)
            new = await cluster.until_led("t")
            assert new is not old
            assert (await cluster.append("t", b"1", producer=Producer(7, 0, 1))).base_offset == 1
            cluster.network.rejoin(NodeId(old.node_id))
            await cluster.until_equal(1)
            assert [row.value for row in (await cluster.until_led("t")).records("t")] == [b"0", b"1"]

    run(story())


def test_leader_epochs_and_watermarks_never_fall() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            topic = await cluster.node(1).create_topic(NewTopic(name="t"))
            seen: list[tuple[int, int]] = []

            async def watch() -> None:
                while True:
                    for member in cluster.running:
                        leader, epoch, _ = member.node.leader_of(topic, 0)
                        if leader == member.node_id:
                            partition = member.node.partition(topic, 0)
                            assert partition.leader_epoch == epoch
                            seen.append((epoch, partition.high_watermark))
                    await asyncio.sleep(0.01)

            watching = asyncio.ensure_future(watch())
            for number in range(6):
                await cluster.append("t", b"%d" % number)
                if number == 3:
                    await cluster.node(2).cut(topic.topic_id)
                await hand_over(cluster, "t")
            watching.cancel()
            epochs = [epoch for epoch, _ in seen]
            assert len(set(epochs)) == 7
            assert epochs == sorted(epochs)
            assert [end for _, end in seen] == sorted(end for _, end in seen)
            partition = (await cluster.until_led("t")).node.partition(topic, 0)
            ends = [partition.end_of_epoch(epoch) for epoch in range(7)]
            assert ends == [(epoch, epoch + 1) for epoch in range(6)] + [(6, 6)]

    run(story())


def test_a_follower_answers_with_the_leader_and_its_epoch() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            topic = await cluster.node(1).create_topic(NewTopic(name="t"))
            await cluster.append("t", b"x")
            leader = await hand_over(cluster, "t")
            await cluster.until_equal(1)
            for member in cluster.running:
                if member is leader:
                    continue
                assert member.node.leader_of(topic, 0)[:2] == (leader.node_id, 1)
                partition = member.node.partition(topic, 0)
                for refused in (lambda p=partition: p.read(0, 100), lambda p=partition: p.check_epoch(1)):
                    with pytest.raises(NotLeaderError) as error:
                        refused()
                    assert (error.value.leader_id, error.value.leader_epoch) == (leader.node_id, 1)
                with pytest.raises(NotLeaderError) as error:
                    await cluster.append_once("t", b"y", member=member)
                assert (error.value.leader_id, error.value.leader_epoch) == (leader.node_id, 1)

    run(story())


def test_an_offset_beyond_the_end_is_out_of_range_only_by_a_majority() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            topic = await cluster.node(1).create_topic(NewTopic(name="t"))
            await cluster.append("t", b"0")
            old = await cluster.until_led("t")
            partition = old.node.partition(topic, 0)
            assert isinstance(partition, Partition)
            with pytest.raises(OffsetOutOfRangeError):
                await partition.read(5, 100)
            cluster.network.isolate(NodeId(old.node_id))
            asked = asyncio.ensure_future(partition.read(1 + 1, 100))
            new = next(member for member in cluster.running if member is not old)
            await cluster.until(lambda: new.node.leader_of(topic, 0)[0] not in {-1, old.node_id})
            for number in range(3):
                await cluster.append("t", b"%d" % number)
            with pytest.raises(NotLeaderError):
                await asked
            with pytest.raises(NotLeaderError):
                await partition.confirm()
            led = (await cluster.until_led("t")).node.partition(topic, 0)
            fetched = led.read(2, 100)
            assert isinstance(fetched, Fetched)

    run(story())


def test_a_sequence_is_out_of_order_only_by_a_majority() -> None:
    """A producer goes on where another leader has what came before: it is not to be told that this is a gap."""

    async def story() -> None:
        async with sharding_cluster() as cluster:
            topic = await cluster.node(1).create_topic(NewTopic(name="t"))
            await cluster.append("t", b"0", producer=Producer(7, 0, 0))
            old = await cluster.until_led("t")
            with pytest.raises(OutOfOrderSequenceError):
                await cluster.append_once("t", b"x", producer=Producer(7, 0, 9), member=old)
            cluster.network.isolate(NodeId(old.node_id))
            asked = asyncio.ensure_future(cluster.append_once("t", b"2", producer=Producer(7, 0, 2), member=old))
            new = next(member for member in cluster.running if member is not old)
            await cluster.until(lambda: new.node.leader_of(topic, 0)[0] not in {-1, old.node_id})
            assert (await cluster.append("t", b"1", producer=Producer(7, 0, 1))).base_offset == 1
            with pytest.raises(NotLeaderError):
                await asked
            assert (await cluster.append("t", b"2", producer=Producer(7, 0, 2))).base_offset == 2

    run(story())


def test_a_refusal_that_waits_for_a_majority_is_answered_when_the_node_stops() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            await cluster.node(1).create_topic(NewTopic(name="t"))
            await cluster.append("t", b"0", producer=Producer(7, 0, 0))
            old = await cluster.until_led("t")
            cluster.network.isolate(NodeId(old.node_id))
            asked = asyncio.ensure_future(cluster.append_once("t", b"2", producer=Producer(7, 0, 2), member=old))
            await asyncio.sleep(0)
            assert not asked.done()
            await cluster.stop(old.node_id)
            with pytest.raises((NotLeaderError, ClosingError)):
                await asked

    run(story())


def test_who_does_not_lead_says_so_and_not_that_an_offset_to_delete_up_to_is_out_of_range() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            topic = await cluster.node(1).create_topic(NewTopic(name="t"))
            leader = await cluster.until_led(topic)
            follower = next(one for one in cluster.running if one is not leader)
            await cluster.until_equal(leader.node.shard_of(topic, 0).shard_id)
            partition = follower.node.partition(topic, 0)
            assert isinstance(partition, Partition)
            with pytest.raises(NotLeaderError):
                await partition.raise_log_start(5)

    run(story())
