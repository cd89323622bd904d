"""A standalone node: topics, restarts, cuts, and what a crash between two commands leaves to be repaired."""

import asyncio
from collections.abc import Coroutine
from uuid import UUID

import pytest

from sharding.catalog import TopicRecord
from sharding.catalog_commands import CreateTopic, Cut, DeleteTopic
from sharding.commands.splits import Close
from sharding.errors import (
    ClosingError,
    CoordinatorNotAvailableError,
    InvalidConfigError,
    InvalidPartitionsError,
    InvalidReplicationFactorError,
    InvalidRequestError,
    InvalidTopicError,
    TopicExistsError,
    UnknownPartitionError,
    UnknownTopicError,
    UnknownTopicIdError,
)
from sharding.interfaces import NewTopic
from sharding.write_split import Target
from store.schema import Schema
from tests.support.faulty_disk import FaultyDisk
from tests.support.node_bench import ADDRESS, opened_node

SCHEMA = Schema.of({"price": "double"}, ["price"])


def run(work: Coroutine[object, object, None]) -> None:
    asyncio.run(work)


def test_what_was_produced_is_fetched_before_and_after_a_restart() -> None:
    async def story() -> None:
        disk = FaultyDisk()
        async with opened_node(disk) as bench:
            await bench.node.create_topic(NewTopic(name="t", partitions=3))
            for number in range(9):
                await bench.append("t", b"%d" % number, b"x", index=number % 3)
            before = [bench.records("t", index) for index in range(3)]
            assert [len(one) for one in before] == [6, 6, 6]
            assert [one.value for one in before[1][::2]] == [b"1", b"4", b"7"]
        async with opened_node(disk, seed=1) as bench:
            assert [bench.records("t", index) for index in range(3)] == before
            assert (await bench.append("t", b"more")).base_offset == 6
            assert bench.node.leader_of(bench.node.topic("t"), 0) == (1, 1, (1,)), "the epoch rose with the term"

    run(story())


def test_a_restart_without_a_clean_close_replays_the_log() -> None:
    async def story() -> None:
        disk = FaultyDisk()
        async with opened_node(disk, is_closed_clean=False) as bench:
            await bench.node.create_topic(NewTopic(name="t", schema=SCHEMA, configs={"split.ms": "5000"}))
            await bench.append("t", b"{}")
            topic = bench.node.topic("t")
        async with opened_node(disk, seed=1) as bench:
            assert bench.node.topic("t") == topic
            assert len(bench.records("t")) == 1

    run(story())


def test_partitions_are_spread_over_the_shards_of_their_class() -> None:
    async def story() -> None:
        async with opened_node(FaultyDisk(), shards_per_node=3) as bench:
            topic = await bench.node.create_topic(NewTopic(name="t", partitions=6))
            shards = [bench.node.shard_of(topic, index).shard_id for index in range(6)]
            assert sorted(shards) == [1, 1, 2, 2, 3, 3]

    run(story())


def test_a_class_of_shards_that_was_made_in_part_is_completed_at_the_next_start() -> None:
    async def story() -> None:
        disk = FaultyDisk()
        async with opened_node(disk, shards_per_node=1) as bench:
            assert set(bench.node.shards) == {1}
        async with opened_node(disk, shards_per_node=3) as bench:
            assert set(bench.node.shards) == {1, 2, 3}

    run(story())


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (NewTopic(name="a b"), InvalidTopicError),
        (NewTopic(name="t.__time"), InvalidTopicError),
        (NewTopic(name="t", partitions=0), InvalidPartitionsError),
        (NewTopic(name="t", partitions=10_001), InvalidPartitionsError),
        (NewTopic(name="t", replication_factor=2), InvalidReplicationFactorError),
        (NewTopic(name="t", replication_factor=0), InvalidReplicationFactorError),
        (NewTopic(name="t", configs={"nope": "1"}), InvalidConfigError),
        (NewTopic(name="there"), TopicExistsError),
    ],
)
def test_a_topic_that_cannot_be_is_refused_also_as_a_dry_run(wanted: NewTopic, expected: type[Exception]) -> None:
    async def story() -> None:
        async with opened_node(FaultyDisk()) as bench:
            await bench.node.create_topic(NewTopic(name="there"))
            for is_dry_run in (True, False):
                with pytest.raises(expected):
                    await bench.node.create_topic(wanted, is_dry_run=is_dry_run)
            assert [topic.name for topic in bench.node.topics()] == ["there"]

    run(story())


def test_a_dry_run_tells_what_would_be_and_leaves_nothing() -> None:
    async def story() -> None:
        async with opened_node(FaultyDisk()) as bench:
            topic = await bench.node.create_topic(NewTopic(name="t", partitions=4, schema=SCHEMA), is_dry_run=True)
            assert (topic.name, topic.partition_count, topic.schema) == ("t", 4, SCHEMA)
            assert bench.node.topics() == []

    run(story())


def test_a_topic_is_found_by_name_and_id_until_it_is_deleted_and_comes_back_as_another() -> None:
    async def story() -> None:
        async with opened_node(FaultyDisk()) as bench:
            node = bench.node
            first = await node.create_topic(NewTopic(name="t", partitions=2))
            await bench.append("t", b"old")
            assert node.topic_by_id(first.topic_id) is node.topic("t")
            await node.delete_topic("t")
            with pytest.raises(UnknownTopicError):
                node.topic("t")
            with pytest.raises(UnknownTopicError):
                await node.delete_topic("t")
            with pytest.raises(UnknownTopicIdError):
                node.topic_by_id(first.topic_id)
            with pytest.raises(UnknownTopicIdError):
                node.partition(first, 0)
            assert not any(shard.state.chains for shard in node.shards.values())
            second = await node.create_topic(NewTopic(name="t"))
            assert second.topic_id != first.topic_id
            assert bench.records("t") == []
            with pytest.raises(UnknownPartitionError):
                node.partition(second, 1)

    run(story())


def test_a_topic_is_made_at_first_use_if_that_is_allowed() -> None:
    async def story() -> None:
        async with opened_node(FaultyDisk(), partitions=3) as bench:
            found = await asyncio.gather(*(bench.node.ensure_topic("t") for _ in range(3)))
            assert {topic.topic_id for topic in found} == {bench.node.topic("t").topic_id}
            assert found[0].partition_count == 3
            with pytest.raises(InvalidTopicError):
                await bench.node.ensure_topic("a b")
        async with opened_node(FaultyDisk(), auto_create_topics=False) as bench:
            with pytest.raises(UnknownTopicError):
                await bench.node.ensure_topic("t")

    run(story())


def test_settings_change_by_name_and_take_effect_at_once() -> None:
    async def story() -> None:
        async with opened_node(FaultyDisk()) as bench:
            await bench.node.create_topic(NewTopic(name="t"))
            await bench.append("t", b"x" * 100)
            await bench.node.set_topic_configs("t", {"max.message.bytes": "80"}, is_dry_run=True)
            await bench.append("t", b"x" * 100)
            await bench.node.set_topic_configs("t", {"max.message.bytes": "80"})
            with pytest.raises(Exception, match="at most 80"):
                await bench.append("t", b"x" * 100)
            entries = {entry.name: entry for entry in bench.node.topic_configs("t")}
            assert entries["max.message.bytes"].value == "80"
            await bench.node.set_topic_configs("t", {"max.message.bytes": None})
            await bench.append("t", b"x" * 100)
            with pytest.raises(InvalidConfigError):
                await bench.node.set_topic_configs("t", {"nope": "1"})
            with pytest.raises(InvalidRequestError, match="schema"):
                await bench.node.set_topic_configs("t", {"schema": '{"a":"long"}'})

    run(story())


def test_views_are_topics_by_name_and_id_that_cannot_be_changed() -> None:
    async def story() -> None:
        async with opened_node(FaultyDisk()) as bench:
            node = bench.node
            topic = await node.create_topic(NewTopic(name="t", partitions=2, schema=SCHEMA))
            await node.create_topic(NewTopic(name="plain"))
            view = node.topic("t.__time.keyed")
            assert view.is_view
            assert view.is_internal
            assert view.partition_count == 2
            assert node.topic_by_id(view.topic_id) == view
            assert node.topics() == [node.topic("plain"), topic]
            with pytest.raises(UnknownTopicError):
                node.topic("plain.__time")
            with pytest.raises(InvalidTopicError):
                await node.delete_topic("t.__time")
            with pytest.raises(InvalidRequestError):
                await node.set_topic_configs("t.__time", {})
            with pytest.raises(InvalidRequestError):
                node.stream("t.__time")
            assert node.leader_of(view, 1) == (1, 0, (1,))
            with pytest.raises(UnknownPartitionError):
                node.leader_of(node.topic("t.__time"), 1)
            await node.set_topic_configs("t", {"view.enabled": "false"})
            with pytest.raises(UnknownTopicError):
                node.topic("t.__time")

    run(story())


def test_a_node_without_the_parts_above_says_so() -> None:
    async def story() -> None:
        async with opened_node(FaultyDisk()) as bench:
            topic = await bench.node.create_topic(NewTopic(name="t", schema=SCHEMA))
            with pytest.raises(InvalidRequestError):
                bench.node.stream("t")
            with pytest.raises(InvalidRequestError):
                bench.node.partition(bench.node.topic("t.__time"), 0)
            with pytest.raises(CoordinatorNotAvailableError):
                _ = bench.node.groups
            assert topic.schema == SCHEMA

    run(story())


def test_producer_ids_are_never_given_twice_over_restarts() -> None:
    async def story() -> None:
        disk = FaultyDisk()
        found: list[int] = []
        for seed in range(3):
            async with opened_node(disk, seed=seed, is_closed_clean=seed != 1) as bench:
                found += await asyncio.gather(*(bench.node.allocate_producer_id() for _ in range(5)))
        assert len(set(found)) == 15

    run(story())


def test_each_key_has_a_coordinator_once_the_node_is_registered() -> None:
    async def story() -> None:
        async with opened_node(FaultyDisk()) as bench:
            assert bench.node.coordinator_of("group", "g") == ADDRESS
            assert bench.node.coordinator_of("transaction", "x") == ADDRESS
            assert bench.node.nodes() == [ADDRESS]
            assert (bench.node.controller_id, bench.node.cluster_id) == (1, "c")
            shards = {bench.node.slot_shard("group", f"g{number}").shard_id for number in range(50)}
            assert shards == {1, 2}
            with pytest.raises(InvalidRequestError):
                bench.node.coordinator_of("share", "g")

    run(story())


def test_a_cut_ends_the_split_on_every_partition_and_offsets_go_on() -> None:
    async def story() -> None:
        disk = FaultyDisk()
        async with opened_node(disk) as bench:
            topic = await bench.node.create_topic(NewTopic(name="t", partitions=2))
            assert await bench.node.cut(topic.topic_id) is None, "an empty split is not cut"
            for number in range(3):
                await bench.append("t", b"%d" % number)
            assert await bench.node.cut(topic.topic_id) == (0, (3, 0))
            assert await bench.node.cut(topic.topic_id) is None
            assert (await bench.append("t", b"3")).base_offset == 3
            await bench.append("t", b"x", index=1)
            assert await bench.node.cut(topic.topic_id) == (1, (4, 1))
            await bench.append("t", b"4")
            assert [one.value for one in bench.records("t")] == [b"0", b"1", b"2", b"3", b"4"]
            with pytest.raises(UnknownTopicIdError):
                await bench.node.cut(UUID(int=5))
        async with opened_node(disk, seed=1) as bench:
            assert [one.value for one in bench.records("t", offset=2)] == [b"2", b"3", b"4"]
            numbers = [split.number for split in bench.node.chain_of(bench.node.topic("t"), 0).splits]
            assert numbers == [0, 1, 2]

    run(story())


def test_the_leader_epoch_never_falls_over_cuts_and_restarts() -> None:
    async def story() -> None:
        disk = FaultyDisk()
        epochs: list[int] = []
        for seed in range(4):
            async with opened_node(disk, seed=seed, is_closed_clean=seed != 2) as bench:
                topic = await bench.node.ensure_topic("t")
                epochs.append(bench.node.leader_of(topic, 0)[1])
                await bench.append("t", b"x")
                await bench.node.cut(topic.topic_id)
                epochs.append(bench.node.leader_of(topic, 0)[1])
        assert epochs == [0, 0, 1, 1, 2, 2, 3, 3]

    run(story())


def test_a_topic_that_was_only_listed_is_opened_at_the_next_start() -> None:
    async def story() -> None:
        disk = FaultyDisk()
        async with opened_node(disk) as bench:
            record = TopicRecord(b"t" * 16, "t", 1, {}, 5, (1, 2))
            await bench.node._changes.submit(CreateTopic(record))
            assert bench.node.leader_of(bench.node.topic("t"), 0)[0] == -1, "nobody leads it yet"
        async with opened_node(disk, seed=1) as bench:
            assert (await bench.append("t", b"x", index=1)).base_offset == 0

    run(story())


def test_a_topic_that_was_only_unlisted_is_dropped_at_the_next_start() -> None:
    async def story() -> None:
        disk = FaultyDisk()
        async with opened_node(disk) as bench:
            topic = await bench.node.create_topic(NewTopic(name="t", partitions=4))
            await bench.node._changes.submit(DeleteTopic(topic.topic_id.bytes))
            assert any(shard.state.chains for shard in bench.node.shards.values())
        async with opened_node(disk, seed=1) as bench:
            assert not any(shard.state.chains for shard in bench.node.shards.values())

    run(story())


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_cut_that_stopped_half_way_is_finished_at_the_next_start(is_closed: bool) -> None:
    async def story() -> None:
        disk = FaultyDisk()
        async with opened_node(disk) as bench:
            topic = await bench.node.create_topic(NewTopic(name="t", partitions=2))
            await bench.append("t", b"x")
            record = bench.node.catalog.topics[topic.topic_id.bytes]
            await bench.node._changes.submit(Cut(record.topic_id, 1, record.shards))
            if is_closed:
                shard = bench.node.shard_of(topic, 0)
                await shard.submit(Close(record.topic_id, 0, 0, 5, Target(1, shard.shard_id)))
        async with opened_node(disk, seed=1) as bench:
            chains = [bench.node.chain_of(bench.node.topic("t"), index) for index in range(2)]
            assert [chain.newest.number for chain in chains] == [1, 1]
            assert (await bench.append("t", b"y")).base_offset == 1

    run(story())


def test_a_creation_goes_on_when_its_caller_goes_away() -> None:
    async def story() -> None:
        async with opened_node(FaultyDisk()) as bench:
            creating = asyncio.ensure_future(bench.node.create_topic(NewTopic(name="t", partitions=3)))
            await asyncio.sleep(0)
            creating.cancel()
            with pytest.raises(asyncio.CancelledError):
                await creating
            await bench.node.create_topic(NewTopic(name="next"))
            assert (await bench.append("t", b"x", index=2)).base_offset == 0

    run(story())


def test_observers_hear_of_every_change_of_topics() -> None:
    async def story() -> None:
        async with opened_node(FaultyDisk()) as bench:
            heard: list[list[str]] = []
            undo = bench.node.observe_topics(lambda: heard.append([topic.name for topic in bench.node.topics()]))
            topic = await bench.node.create_topic(NewTopic(name="t"))
            assert heard == [["t"]]
            assert await bench.node.publish_run(topic.topic_id, 0, 1, b"manifest")
            await bench.node.delete_topic("t")
            assert heard == [["t"], ["t"], []]
            undo()
            await bench.node.create_topic(NewTopic(name="t"))
            assert len(heard) == 3

    run(story())


def test_a_closing_node_commits_what_was_admitted_and_refuses_the_rest() -> None:
    async def story() -> None:
        disk = FaultyDisk()
        answers: list[object] = []
        async with opened_node(disk, is_closed_clean=False) as bench:
            topic = await bench.node.create_topic(NewTopic(name="t"))
            bench.append_later("t", b"x", on_done=answers.append)
            await bench.node.close()
            assert len(answers) == 1
            assert not isinstance(answers[0], Exception)
            with pytest.raises(ClosingError):
                bench.append_later("t", b"y", on_done=answers.append)
            with pytest.raises(ClosingError):
                await bench.node.cut(topic.topic_id)
        async with opened_node(disk, seed=1) as bench:
            assert [one.value for one in bench.records("t")] == [b"x"]

    run(story())


def test_producers_do_not_notice_a_cut() -> None:
    async def story() -> None:
        answers: list[object] = []
        async with opened_node(FaultyDisk()) as bench:
            topic = await bench.node.create_topic(NewTopic(name="t"))
            await bench.append("t", b"first")
            cutting = asyncio.ensure_future(bench.node.cut(topic.topic_id))
            count = 0
            while not cutting.done():
                bench.append_later("t", b"%d" % count, on_done=answers.append)
                count += 1
                await asyncio.sleep(0)
            assert await bench.append("t", b"last")
            assert [answer.base_offset for answer in answers] == list(range(1, count + 1))
            assert [one.value for one in bench.records("t")][1:-1] == [b"%d" % number for number in range(count)]
            assert len(bench.node.chain_of(topic, 0).splits) == 2

    run(story())
