"""Metadata, DescribeTopicPartitions and DescribeCluster: what clients learn of topics and nodes."""

import uuid

import pytest

from gateway.kafka.settings import KafkaSettings
from gateway.wire.messages.describe_cluster import DescribeClusterRequest, DescribeClusterResponse
from gateway.wire.messages.describe_topic_partitions import (
    Cursor,
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    TopicRequest,
)
from gateway.wire.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from tests.support.kafka_door import Served, in_loop, served

ALL_VERSIONS = range(14)
UNASKED = -(2**31)


def named(*names: str, creates: bool = True) -> MetadataRequest:
    return MetadataRequest([MetadataRequestTopic(name=name) for name in names], creates)


def by_id(topic_id: uuid.UUID) -> MetadataRequest:
    return MetadataRequest([MetadataRequestTopic(topic_id.bytes, None)])


async def ask(door: Served, request: MetadataRequest, version: int = 12) -> MetadataResponse:
    client = await door.connect()
    answer = await client.call("metadata", version, request)
    assert isinstance(answer, MetadataResponse)
    return answer


@pytest.mark.parametrize("version", ALL_VERSIONS)
@in_loop
async def test_every_version_tells_brokers_and_partitions(version: int) -> None:
    async with served() as door:
        answer = await ask(door, named("t"), version)
        assert [(b.node_id, b.host, b.port) for b in answer.brokers] == [(7, "127.0.0.1", door.address[1])]
        (topic,) = answer.topics
        assert (topic.error_code, topic.name, topic.is_internal) == (0, "t", False)
        assert [(p.partition_index, p.leader_id) for p in topic.partitions] == [(0, 7), (1, 7)]
        assert [(list(p.replica_nodes), list(p.isr_nodes)) for p in topic.partitions] == [([7], [7])] * 2
        if version >= 1:
            assert answer.controller_id == 7
        if version >= 2:
            assert answer.cluster_id == "fake-cluster"
        if version >= 7:
            assert {p.leader_epoch for p in topic.partitions} == {5}
        if version >= 10:
            assert topic.topic_id == door.node.topic("t").topic_id.bytes


@pytest.mark.parametrize(("version", "empty_means"), [(0, ["t", "u"]), (1, []), (13, [])])
@in_loop
async def test_an_empty_list_means_all_only_in_version_0(version: int, empty_means: list[str]) -> None:
    async with served() as door:
        door.node.add_topic("u")
        assert [t.name for t in (await ask(door, MetadataRequest([]), version)).topics] == empty_means
        if version:
            assert [t.name for t in (await ask(door, MetadataRequest(None), version)).topics] == ["t", "u"]


@in_loop
async def test_views_are_listed_when_named_and_then_as_internal() -> None:
    async with served() as door:
        door.node.add_topic("t.__time", is_view=True)
        assert [t.name for t in (await ask(door, MetadataRequest(None))).topics] == ["t"]
        (topic,) = (await ask(door, named("t.__time"))).topics
        assert (topic.error_code, topic.is_internal, len(topic.partitions)) == (0, True, 1)


@pytest.mark.parametrize("version", [0, 3, 4, 12])
@in_loop
async def test_an_unknown_topic_is_created_when_client_and_node_agree(version: int) -> None:
    async with served() as door:
        (topic,) = (await ask(door, named("new"), version)).topics
        assert (topic.error_code, len(topic.partitions)) == (0, 1)
        door.node.auto_creates = False
        (topic,) = (await ask(door, named("other"), version)).topics
        assert (topic.error_code, topic.name) == (3, "other")


@in_loop
async def test_a_client_may_ask_without_creating() -> None:
    async with served() as door:
        assert (await ask(door, named("new", creates=False), 4)).topics[0].error_code == 3
        assert [t.name for t in door.node.topics()] == ["t"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b"])
@in_loop
async def test_an_impossible_name_is_invalid_and_does_not_hurt_the_others(name: str) -> None:
    async with served() as door:
        first, second = (await ask(door, named(name, "t"))).topics
        assert (first.error_code, second.error_code) == (17, 0)


@in_loop
async def test_a_topic_is_found_by_its_id() -> None:
    async with served() as door:
        (topic,) = (await ask(door, by_id(door.node.topic("t").topic_id))).topics
        assert (topic.error_code, topic.name) == (0, "t")
        unknown = uuid.uuid4()
        (topic,) = (await ask(door, by_id(unknown))).topics
        assert (topic.error_code, topic.name, topic.topic_id) == (100, None, unknown.bytes)


@pytest.mark.parametrize("version", [10, 11, 12])
@in_loop
async def test_neither_name_nor_id_is_an_invalid_request(version: int) -> None:
    async with served() as door:
        (topic,) = (await ask(door, MetadataRequest([MetadataRequestTopic(name=None)]), version)).topics
        assert topic.error_code == 42


@in_loop
async def test_a_partition_without_leader_says_so() -> None:
    async with served() as door:
        door.node.is_leaderless = True
        (topic,) = (await ask(door, named("t"))).topics
        assert topic.error_code == 0
        assert [(p.error_code, p.leader_id) for p in topic.partitions] == [(5, -1), (5, -1)]


@pytest.mark.parametrize("wanted", [named("t"), MetadataRequest(None)], ids=["named", "all"])
@in_loop
async def test_a_leader_that_is_being_elected_is_waited_for(wanted: MetadataRequest) -> None:
    async with served() as door:
        door.node.is_leaderless, door.node.leaders.is_electing = True, True
        (topic,) = (await ask(door, wanted)).topics
        assert [(p.error_code, p.leader_id) for p in topic.partitions] == [(0, 7), (0, 7)]


@in_loop
async def test_what_one_may_do_is_told_when_asked() -> None:
    async with served() as door:
        request = named("t")
        assert (await ask(door, request, 9)).cluster_authorized_operations == UNASKED
        assert (await ask(door, request, 9)).topics[0].topic_authorized_operations == UNASKED
        request.include_cluster_authorized_operations = request.include_topic_authorized_operations = True
        answer = await ask(door, request, 9)
        assert answer.cluster_authorized_operations > 0
        assert answer.topics[0].topic_authorized_operations == 0b1101_1111_1000


# DescribeTopicPartitions


async def page(
    door: Served, *names: str, limit: int = 2_000, cursor: Cursor | None = None
) -> tuple[list[tuple[str | None, list[int]]], Cursor | None]:
    client = await door.connect()
    request = DescribeTopicPartitionsRequest([TopicRequest(name) for name in names], limit, cursor)
    answer = await client.call("describe_topic_partitions", 0, request)
    assert isinstance(answer, DescribeTopicPartitionsResponse)
    return [(t.name, [p.partition_index for p in t.partitions]) for t in answer.topics], answer.next_cursor


@in_loop
async def test_pages_follow_each_other_until_everything_was_listed() -> None:
    async with served() as door:
        door.node.add_topic("a", 3)
        door.node.add_topic("z", 1)
        listed: list[tuple[str | None, int]] = []
        cursor = None
        for _ in range(4):
            topics, cursor = await page(door, limit=2, cursor=cursor)
            listed += [(name, index) for name, indexes in topics for index in indexes]
            if cursor is None:
                break
        assert listed == [("a", 0), ("a", 1), ("a", 2), ("t", 0), ("t", 1), ("z", 0)]
        assert cursor is None


@in_loop
async def test_the_server_limits_a_page_and_unknown_topics_are_told() -> None:
    async with served(KafkaSettings(listed_partitions_max=1)) as door:
        topics, cursor = await page(door, "nowhere", "t")
        assert topics == [("nowhere", []), ("t", [0])]
        assert (cursor.topic_name, cursor.partition_index) == ("t", 1)
        assert door.metrics.errors == {3: 1}


@in_loop
async def test_a_cursor_behind_everything_ends_the_listing() -> None:
    async with served() as door:
        assert await page(door, cursor=Cursor("zzz", 0)) == ([], None)
        assert await page(door, cursor=Cursor("t", -5)) == ([("t", [0, 1])], None)
        assert await page(door, cursor=Cursor("t", 99)) == ([("t", [])], None)


# DescribeCluster


@pytest.mark.parametrize("version", range(3))
@in_loop
async def test_the_cluster_is_described(version: int) -> None:
    async with served() as door:
        client = await door.connect()
        answer = await client.call(
            "describe_cluster", version, DescribeClusterRequest(include_cluster_authorized_operations=True)
        )
        assert isinstance(answer, DescribeClusterResponse)
        assert (answer.error_code, answer.cluster_id, answer.controller_id) == (0, "fake-cluster", 7)
        assert [(b.broker_id, b.port) for b in answer.brokers] == [(7, door.address[1])]
        assert answer.cluster_authorized_operations > 0


@in_loop
async def test_controllers_have_another_endpoint() -> None:
    async with served() as door:
        client = await door.connect()
        answer = await client.call("describe_cluster", 1, DescribeClusterRequest(endpoint_type=2))
        assert isinstance(answer, DescribeClusterResponse)
        assert answer.error_code == 114
