"""Who belongs to a shard's group follows the catalog: nodes that join, die and come back empty; leaders go home."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace

import msgspec
import pytest

from raft.configuration import Configuration, Peer, encode_configuration
from raft.interfaces import NodeId
from sharding.catalog import NodeRecord
from sharding.catalog_commands import SetReplicas
from sharding.errors import InvalidRequestError
from sharding.interfaces import Fetched, NewTopic
from store.batches import Producer
from tests.support.faulty_disk import FaultyDisk
from tests.support.node_bench import all_records
from tests.support.sharding_cluster import SETTINGS, ShardingCluster, sharding_cluster
from tests.support.virtual_loop import run_virtually


def run(work: Coroutine[object, object, None]) -> None:
    run_virtually(work)


def members(cluster: ShardingCluster, shard_id: int) -> set[tuple[int, str]]:
    """Voters, as the leader has them; empty without one."""
    for member in cluster.running:
        machinery = member.node._machinery
        shard = machinery.catalog_shard if shard_id == 0 else machinery.shards.get(shard_id)
        if shard is not None and shard.is_leader:
            return {(int(peer.node_id), peer.disk_id) for peer in shard.group.configuration.voters}
    return set()


async def join(cluster: ShardingCluster, node_id: int, disk_id: str = "") -> None:
    """A node with an empty disk, let in by one that runs."""
    cluster.disks[node_id] = FaultyDisk(node_id)
    cluster.disk_ids[node_id] = disk_id or f"disk-{node_id}"
    record = NodeRecord(node_id, cluster.disk_ids[node_id].encode(), f"host{node_id}", "", 0, 0, None, 0)
    await cluster.running[0].node.register_node(record)
    await cluster.start(node_id)


def ids(*node_ids: int) -> set[tuple[int, str]]:
    return {(one, f"disk-{one}") for one in node_ids}


def test_a_node_alone_gets_companions_and_its_shards_grow_when_asked() -> None:
    async def story() -> None:
        async with sharding_cluster(1) as cluster:
            first = cluster.node(1)
            await first.create_topic(NewTopic(name="t", partitions=2))
            await cluster.append("t", b"0", producer=Producer(7, 0, 0))
            await first.groups.commit("g", -1, "", None, {})
            for node_id in (2, 3):
                await join(cluster, node_id)
            await cluster.until(lambda: members(cluster, 0) == ids(1, 2, 3), what="group 0 has three voters")
            assert cluster.node(3).topic("t").replication_factor == 1
            assert members(cluster, 1) == ids(1), "nothing grows by itself"
            wide = await cluster.node(2).create_topic(NewTopic(name="wide"))
            assert wide.replication_factor == 3
            assert await cluster.node(3).grow(3) == [1, 2]
            await cluster.until(lambda: members(cluster, 1) == members(cluster, 2) == ids(1, 2, 3), what="both grew")
            assert {member.node.topic("t").replication_factor for member in cluster.running} == {3}
            await cluster.crash(1)
            again = await cluster.append("t", b"0", producer=Producer(7, 0, 0))
            assert (again.base_offset, again.is_duplicate) == (0, True)
            assert [row.value for row in (await cluster.until_led("t")).records("t")] == [b"0"]

    run(story())


def test_a_node_that_joins_waits_for_the_catalog_however_long_nobody_leads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its log ends before the entry by which it belongs to the group: that it is no member there says nothing."""

    async def story() -> None:
        short = replace(SETTINGS, append_bytes_max=64, window_bytes=128)
        monkeypatch.setattr("tests.support.sharding_cluster.SETTINGS", short)
        async with sharding_cluster(1) as cluster:
            (founder,), joiner = cluster.founders, Peer(NodeId(2), "disk-2")
            configuration = encode_configuration(Configuration(voters=(founder,), learners=(joiner,)))
            cluster.network.drop = lambda _sender, _to, frame: configuration in frame
            joining = asyncio.ensure_future(join(cluster, 2))
            await cluster.until(
                lambda: 2 in cluster.members and cluster.node(2)._machinery.catalog_shard.applied,
                what="it has the start",
            )
            await cluster.crash(1)
            await asyncio.sleep(20)
            assert not joining.done(), "it waits"
            cluster.network.drop = lambda _sender, _to, _frame: False
            await cluster.start(1)
            await joining
            await cluster.until(lambda: members(cluster, 0) == ids(1, 2), what="it belongs to the catalog's group")

    run(story())


def test_a_dead_node_is_replaced_where_there_is_another_one() -> None:
    async def story() -> None:
        async with sharding_cluster(4, replace_after_ms=20_000) as cluster:
            topic = await cluster.node(1).create_topic(NewTopic(name="t", partitions=8))
            for index in range(8):
                await cluster.append(topic, b"%d" % index, index=index)
            await cluster.crash(2)
            await asyncio.sleep(10)
            records = cluster.node(1).catalog.shards
            assert any(2 in record.replicas for record in records.values()), "not before its time"
            await cluster.until(
                lambda: not any(2 in cluster.node(1).catalog.shards[one].replicas for one in records),
                limit_s=120,
                what="node 2 is wanted nowhere",
            )
            for shard_id in records:
                wanted = ids(*cluster.node(1).catalog.shards[shard_id].replicas)
                await cluster.until(lambda: members(cluster, shard_id) == wanted, what=f"shard {shard_id} follows")  # noqa: B023
                await cluster.until_equal(shard_id)
            # It comes back, and is told that it has no replica any more.
            await cluster.start(2)
            await cluster.until(lambda: not cluster.node(2).shards, what="nothing of it is left open")
            for index in range(8):
                assert (await cluster.append(topic, b"again", index=index)).base_offset == 1

    run(story())


def test_a_wiped_node_comes_back_as_another_peer_and_gets_everything_again() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            topic = await cluster.node(1).create_topic(NewTopic(name="t", partitions=6))
            for index in range(6):
                await cluster.append(topic, b"%d" % index, index=index)
            await cluster.crash(2)
            await asyncio.sleep(2)
            await join(cluster, 2, "new-disk")
            wanted = ids(1, 3) | {(2, "new-disk")}
            for shard_id in (0, *cluster.node(1).catalog.shards):
                await cluster.until(lambda: members(cluster, shard_id) == wanted, what=f"shard {shard_id} has it again")  # noqa: B023
            for shard_id in cluster.node(1).catalog.shards:
                await cluster.until_equal(shard_id)
            await cluster.crash(1)
            for index in range(6):
                assert (await cluster.append(topic, b"x", index=index)).base_offset == 1

    run(story())


def test_leadership_goes_back_to_the_preferred_node_in_its_own_time() -> None:
    async def story() -> None:
        async with sharding_cluster(balance_ms=2_000) as cluster:
            await cluster.crash(2)
            await asyncio.sleep(3)
            assert not any(cluster.node(1).leader_of_shard(one) == 2 for one in cluster.node(1).catalog.shards)
            await cluster.start(2)
            records = cluster.node(1).catalog.shards
            await cluster.until(
                lambda: all(cluster.node(1).leader_of_shard(one) == records[one].replicas[0] for one in records),
                what="each shard is led by its preferred node",
            )

    run(story())


def test_further_nodes_follow_the_catalog_as_learners() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            await join(cluster, 4)
            await cluster.until(lambda: 4 in cluster.node(1).catalog.nodes)
            assert members(cluster, 0) == ids(1, 2, 3)
            await cluster.node(4).create_topic(NewTopic(name="t", partitions=8))
            assert cluster.node(4).topic("t").partition_count == 8
            assert any(4 in record.replicas for record in cluster.node(1).catalog.shards.values())
            for index in range(8):
                await cluster.append("t", b"x", index=index)
            await cluster.crash(1)
            await cluster.until(lambda: len(members(cluster, 0)) == 3, what="another leads the catalog")
            assert (await cluster.node(4).create_topic(NewTopic(name="u"))).replication_factor == 3

    run(story())


def test_the_cluster_is_described_the_same_by_every_node() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            await cluster.node(1).create_topic(NewTopic(name="t", partitions=6))
            await cluster.append("t", b"x")
            await asyncio.sleep(0.5)
            found = await asyncio.gather(*(cluster.node(one).cluster() for one in (1, 2, 3)))
            for one, description in zip((1, 2, 3), found, strict=True):
                assert description.node_id == one
                assert description.controller_id == found[0].controller_id
                assert [(node.address.node_id, node.is_live, node.host) for node in description.nodes] == [
                    (1, True, "host1"), (2, True, "host2"), (3, True, "host3"),
                ]  # fmt: skip
                assert description.shards == found[0].shards
                assert [shard.shard_id for shard in description.shards] == list(range(7))
                for shard in description.shards:
                    assert shard.leader_id > 0
                    assert sorted(shard.wanted) == [replica.node_id for replica in shard.replicas] == [1, 2, 3]
                    assert all(replica.match >= shard.applied and replica.is_voter for replica in shard.replicas)
            assert sum(shard.partition_count for shard in found[0].shards) == 6
            cluster.network.isolate(NodeId(3))
            await asyncio.sleep(4)
            alone = await cluster.node(3).cluster()
            assert {shard.leader_id for shard in alone.shards} == {-1}
            assert [node.is_live for node in alone.nodes] == [False, False, True]
            seen = await cluster.node(1).cluster()
            assert {shard.leader_id for shard in seen.shards} <= {1, 2}
            assert [node.is_live for node in seen.nodes] == [True, True, False]

    run(story())


def test_a_peer_is_a_node_on_a_disk() -> None:
    record = NodeRecord(2, b"disk", "h", "k", 1, 2, None, 1)
    assert record.peer == Peer(NodeId(2), "disk")


def test_a_shard_is_moved_by_hand_a_minority_at_a_time() -> None:
    async def story() -> None:
        async with sharding_cluster(4, balance_ms=1_000) as cluster:
            topic = await cluster.node(1).create_topic(NewTopic(name="t"))
            await cluster.append(topic, b"0")
            (shard_id,) = cluster.node(1).catalog.topics[topic.topic_id.bytes].shards
            before = cluster.node(1).catalog.shards[shard_id].replicas
            (new,) = {1, 2, 3, 4} - {*before}
            for refused in ((new, *before[:1]), (new, new, before[0]), (9, *before[1:]), before[:2], (1, 2, 3, 4)):
                with pytest.raises(InvalidRequestError):
                    await cluster.node(2).want_replicas(shard_id, refused)
            with pytest.raises(InvalidRequestError):
                await cluster.node(2).want_replicas(99, before)
            wanted = (new, *before[1:])
            await cluster.node(3).want_replicas(shard_id, wanted)
            await cluster.until(lambda: members(cluster, shard_id) == ids(*wanted), what="the new one is in")
            await cluster.until(lambda: cluster.node(1).leader_of_shard(shard_id) == new, what="it leads")
            await cluster.until(lambda: shard_id not in cluster.node(before[0]).shards, what="the old one is closed")
            assert (await cluster.append(topic, b"1")).base_offset == 1
            # And back again, over what is left on its disk.
            await cluster.node(1).want_replicas(shard_id, before)
            await cluster.until(lambda: members(cluster, shard_id) == ids(*before), what="it is back")
            assert (await cluster.append(topic, b"2")).base_offset == 2
            await cluster.until_equal(shard_id)
            assert not any(member.failures for member in cluster.running)

    run(story())


def test_a_stream_is_moved_by_hand_as_a_whole() -> None:
    async def story() -> None:
        async with sharding_cluster(4, balance_ms=0) as cluster:
            wanted = NewTopic(name="t", partitions=3, configs={"view.enabled": "true"})
            topic = await cluster.node(1).create_topic(wanted)
            shards = cluster.node(1).catalog.shards
            first, *others = {*cluster.node(1).catalog.topics[topic.topic_id.bytes].shards}
            assert others
            before = shards[first].replicas
            (new,) = {1, 2, 3, 4} - {*before}
            await cluster.node(2).want_replicas(first, (new, *before[1:]))
            await cluster.until(lambda: shards[first].replicas == (new, *before[1:]))
            for shard_id in (first, *others):
                assert {*shards[shard_id].replicas} == {new, *before[1:]}
                assert shards[shard_id].version == 1
                await cluster.until(
                    lambda one=shard_id: members(cluster, one) == ids(new, *before[1:]), what="it moved"
                )

    run(story())


def test_a_move_of_a_stream_that_broke_off_is_brought_to_an_end() -> None:
    """Of a call for all of its shards one part had been decided when the caller fell."""

    async def story() -> None:
        async with sharding_cluster(4, balance_ms=0) as cluster:
            wanted = NewTopic(name="t", partitions=3, configs={"view.enabled": "true"})
            topic = await cluster.node(1).create_topic(wanted)
            catalog = cluster.node(1).catalog
            first, second = sorted({*catalog.topics[topic.topic_id.bytes].shards})
            before = {*catalog.shards[first].replicas}
            (new,) = {1, 2, 3, 4} - before
            record = catalog.shards[first]
            moved = msgspec.structs.replace(record, replicas=(new, *record.replicas[1:]), version=1)
            await cluster.node(1).submit(0, SetReplicas(moved))
            assert {*catalog.shards[second].replicas} == before
            after = ids(*moved.replicas)
            for shard_id in (first, second):
                await cluster.until(lambda one=shard_id: members(cluster, one) == after, what="it came along")
            assert [catalog.shards[one].version for one in (first, second)] == [1, 1]

    run(story())


def test_members_that_are_not_wanted_any_more_come_back_until_they_can_be_let_go() -> None:
    """Nothing can change while two of three are down; when they come back, others have been wanted for long."""

    async def story() -> None:
        async with sharding_cluster(5, balance_ms=0) as cluster:
            topic = await cluster.node(1).create_topic(NewTopic(name="t", partitions=5))
            await cluster.until(lambda: len(members(cluster, 0)) == 3, what="three vote on the catalog")
            catalog = cluster.node(1).catalog
            index, shard_id = next(
                (index, one)
                for index, one in enumerate(catalog.topics[topic.topic_id.bytes].shards)
                if {*catalog.shards[one].replicas} == {3, 4, 5}
            )
            await cluster.append(topic, b"0", index=index)
            for node_id in (4, 5):
                await cluster.crash(node_id)
            await cluster.node(1).want_replicas(shard_id, (3, 4, 1))
            await cluster.node(1).want_replicas(shard_id, (3, 2, 1))
            await cluster.crash(3)
            await cluster.start(3, 4, 5)
            await cluster.until(lambda: members(cluster, shard_id) == ids(1, 2, 3), what="they let each other go")
            await cluster.until(
                lambda: not any(shard_id in cluster.node(one).shards for one in (4, 5)), what="nothing is left open"
            )
            assert (await cluster.append(topic, b"1", index=index)).base_offset == 1
            assert not any(member.failures for member in cluster.running)

    run(story())


def test_a_replica_that_was_asked_for_and_never_led_is_left_again() -> None:
    """It knows no member who could say that it is not needed; who needs it yet, asks once more."""

    async def story() -> None:
        async with sharding_cluster(4, balance_ms=0) as cluster:
            topic = await cluster.node(1).create_topic(NewTopic(name="t"))
            (shard_id,) = cluster.node(1).catalog.topics[topic.topic_id.bytes].shards
            (outsider,) = {1, 2, 3, 4} - {*cluster.node(1).catalog.shards[shard_id].replicas}
            node = cluster.node(outsider)
            for _ in range(2):
                node._machinery._opened.open_asked(shard_id)
                await cluster.until(lambda: shard_id in node.shards, what="it is opened")
                await cluster.until(lambda: shard_id not in node.shards, what="it is left")
            assert len(members(cluster, shard_id)) == 3
            await cluster.append(topic, b"0")
            assert not any(member.failures for member in cluster.running)

    run(story())


def test_a_change_of_replicas_that_the_catalog_did_not_take_is_not_said_to_be_wanted() -> None:
    async def story() -> None:
        async with sharding_cluster(4, balance_ms=0) as cluster:
            topic = await cluster.node(1).create_topic(NewTopic(name="t"))
            (shard_id,) = cluster.node(1).catalog.topics[topic.topic_id.bytes].shards
            before = cluster.node(1).catalog.shards[shard_id].replicas
            (new,) = {1, 2, 3, 4} - {*before}
            first, second = (new, *before[1:]), (before[0], new, before[2])
            outcomes = await asyncio.gather(
                cluster.node(1).want_replicas(shard_id, first),
                cluster.node(2).want_replicas(shard_id, second),
                return_exceptions=True,
            )
            decided = cluster.node(1).catalog.shards[shard_id].replicas
            told = [wanted for wanted, outcome in zip((first, second), outcomes, strict=True) if outcome is None]
            assert told == [decided]
            assert [type(one) for one in outcomes if one is not None] == [InvalidRequestError]

    run(story())


def test_the_shards_of_a_stream_stay_together_when_they_grow_and_when_a_node_is_replaced() -> None:
    async def story() -> None:
        async with sharding_cluster(1, replace_after_ms=20_000, balance_ms=0) as cluster:
            wanted = NewTopic(name="t", partitions=2, configs={"view.enabled": "true"})
            topic = await cluster.node(1).create_topic(wanted)
            shard_ids = cluster.node(1).catalog.topics[topic.topic_id.bytes].shards
            assert len({*shard_ids}) == 2
            for node_id in (2, 3, 4, 5):
                await join(cluster, node_id)

            def replicas() -> list[set[int]]:
                return [{*cluster.node(1).catalog.shards[shard_id].replicas} for shard_id in shard_ids]

            await cluster.node(1).grow(3)
            (grown, other) = replicas()
            assert grown == other, "or no node but the first has all of it"
            for shard_id in shard_ids:
                await cluster.until(lambda one=shard_id: members(cluster, one) == ids(*grown), what="it grew")
            await cluster.crash(next(one for one in grown if one != 1))
            await cluster.until(lambda: all(one != grown for one in replicas()), limit_s=60, what="it is replaced")
            (first, second) = replicas()
            assert first == second
            assert len(first & {*cluster.members}) == 3

    run(story())


def test_a_leader_with_an_old_catalog_does_not_undo_a_change_of_members() -> None:
    async def story() -> None:
        async with sharding_cluster(4, balance_ms=0) as cluster:
            topic = await cluster.node(1).create_topic(NewTopic(name="t"))
            (shard_id,) = cluster.node(1).catalog.topics[topic.topic_id.bytes].shards
            before = cluster.node(1).catalog.shards[shard_id].replicas
            (new,) = {1, 2, 3, 4} - {*before}
            stale = next(one for one in before[:2] if one != cluster.node(1).controller_id)
            leaving = next(one for one in before if one not in {stale, cluster.node(1).controller_id})
            wanted = tuple(new if one == leaving else one for one in before)
            # From here on node `stale` hears nothing of the catalog's group.
            heard = cluster[stale].host._groups.pop(0)
            leader = (await cluster.until_led(topic)).node_id
            keeper = next(one for one in before if one not in {stale, leaving})
            if leader != keeper:
                await cluster.node(leader).shards[shard_id].group.transfer(NodeId(keeper))
            await cluster.node(keeper).want_replicas(shard_id, wanted)
            await cluster.until(lambda: members(cluster, shard_id) == ids(*wanted), what="the change is made")
            await cluster.node(keeper).shards[shard_id].group.transfer(NodeId(stale))
            await cluster.until(lambda: cluster.node(stale).shards[shard_id].is_leader)
            assert cluster.node(stale).catalog.shards[shard_id].replicas == before
            await asyncio.sleep(10)
            assert members(cluster, shard_id) == ids(*wanted)
            cluster[stale].host._groups[0] = heard
            await asyncio.sleep(10)
            assert cluster.node(stale).catalog.shards[shard_id].replicas == wanted
            assert members(cluster, shard_id) == ids(*wanted)

    run(story())


def test_a_member_that_gets_the_leaders_files_goes_on_from_them() -> None:
    async def story() -> None:
        async with sharding_cluster() as cluster:
            topic = await cluster.node(1).create_topic(NewTopic(name="t"))
            (shard_id,) = cluster.node(1).catalog.topics[topic.topic_id.bytes].shards
            client = Producer(7, 0, 0)
            await cluster.append(topic, b"first", producer=client)
            leader = await cluster.until_led(topic)
            behind = next(one for one in cluster.members if one != leader.node_id)
            chain = cluster.node(behind).chain_of(topic, 0)
            told: list[int] = []
            cluster.node(behind).shards[shard_id].watch(chain, lambda: told.append(chain.newest.committed_offset))
            cluster.network.isolate(NodeId(behind))
            for number in range(60):
                await cluster.append(topic, b"%d" % number + b"x" * 5_000)
            for shard in cluster.replicas(shard_id):
                if shard is not cluster.node(behind).shards[shard_id]:
                    shard.group.release_before(shard.group.applied)
                    shard.save_checkpoint()
            await asyncio.sleep(1)
            cluster.network.rejoin(NodeId(behind))
            await cluster.until_equal(shard_id)
            assert cluster.node(behind).chain_of(topic, 0) is chain, "who holds the chain goes on with it"
            assert told[-1] == 61
            assert len(told) < 30, "it was told of the whole, not of each entry"
            leader = await cluster.until_led(topic)
            await leader.node.shards[shard_id].group.transfer(NodeId(behind))
            await cluster.until(lambda: cluster.node(behind).shards[shard_id].is_leader)
            again = await cluster.append(topic, b"first", producer=client)
            assert (again.base_offset, again.is_duplicate) == (0, True)
            fetched = cluster.node(behind).partition(topic, 0).read(60, 100)
            assert isinstance(fetched, Fetched)
            assert [row.value[:3] for view in fetched.records for row in all_records(view) if row.value] == [b"59x"]

    run(story())
