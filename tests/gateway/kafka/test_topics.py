"""Topics made, deleted and set: CreateTopics, DeleteTopics and the three calls for settings."""

import uuid

import pytest

from gateway.kafka.settings import KafkaSettings
from gateway.wire.messages import (
    alter_configs,
    create_topics,
    delete_topics,
    describe_configs,
    incremental_alter_configs,
)
from tests.support.kafka_door import Served, in_loop, served

TOPIC, BROKER, LOGGER = 2, 4, 8


async def call(door: Served, api: str, version: int, request: object):
    return await (await door.connect()).call(api, version, request)


def new(name: str, partitions: int = 3, **configs: str) -> create_topics.CreatableTopic:
    given = [create_topics.CreatableTopicConfig(key.replace("_", "."), value) for key, value in configs.items()]
    return create_topics.CreatableTopic(name, partitions, 1, configs=given)


@pytest.mark.parametrize("version", range(2, 8))
@in_loop
async def test_every_version_creates(version: int) -> None:
    async with served() as door:
        request = create_topics.CreateTopicsRequest([new("new", retention_ms="5")])
        (made,) = (await call(door, "create_topics", version, request)).topics
        assert (made.name, made.error_code, made.error_message) == ("new", 0, None)
        assert door.node.topic("new").partition_count == 3
        assert door.node.configs["new"] == {"retention.ms": "5"}
        if version >= 5:
            assert (made.num_partitions, made.replication_factor) == (3, 1)
            assert [(c.name, c.value, c.config_source) for c in made.configs or ()] == [
                ("retention.ms", "5", 1),
                ("cleanup.policy", "delete", 5),
            ]
        if version >= 7:
            assert made.topic_id == door.node.topic("new").topic_id.bytes


@in_loop
async def test_each_topic_of_a_request_fares_by_itself() -> None:
    async with served(KafkaSettings(admin_topics_max=6)) as door:
        placed = new("placed")
        placed.assignments = [create_topics.CreatableReplicaAssignment(0, [7])]
        wanted = [new("new"), new("t"), new("twice"), new("twice"), new("a/b"), placed, new("one too many")]
        answer = await call(door, "create_topics", 7, create_topics.CreateTopicsRequest(wanted))
        assert [t.error_code for t in answer.topics] == [0, 36, 42, 42, 17, 39, 42]
        assert all(t.error_message for t in answer.topics[1:])


@in_loop
async def test_a_dry_run_makes_nothing() -> None:
    async with served() as door:
        request = create_topics.CreateTopicsRequest([new("new")], validate_only=True)
        assert (await call(door, "create_topics", 7, request)).topics[0].error_code == 0
        assert [t.name for t in door.node.topics()] == ["t"]


@in_loop
async def test_what_takes_longer_than_the_client_allows_has_timed_out() -> None:
    async with served() as door:
        request = create_topics.CreateTopicsRequest([new("new")], timeout_ms=0)
        assert (await call(door, "create_topics", 7, request)).topics[0].error_code == 7


@pytest.mark.parametrize("version", range(1, 7))
@in_loop
async def test_topics_are_deleted_by_name(version: int) -> None:
    async with served() as door:
        names = ["t", "nowhere"]
        if version < 6:
            request = delete_topics.DeleteTopicsRequest(topic_names=names, timeout_ms=1_000)
        else:
            request = delete_topics.DeleteTopicsRequest(
                [delete_topics.DeleteTopicState(name) for name in names], timeout_ms=1_000
            )
        answer = await call(door, "delete_topics", version, request)
        assert [(r.name, r.error_code) for r in answer.responses] == [("t", 0), ("nowhere", 3)]
        assert not door.node.topics()


@in_loop
async def test_a_topic_is_deleted_by_id() -> None:
    async with served() as door:
        topic_id, unknown = door.node.topic("t").topic_id, uuid.uuid4()
        states = [
            delete_topics.DeleteTopicState(None, topic_id.bytes),
            delete_topics.DeleteTopicState(None, unknown.bytes),
            delete_topics.DeleteTopicState(None),
            delete_topics.DeleteTopicState("t", topic_id.bytes),
        ]
        answer = await call(door, "delete_topics", 6, delete_topics.DeleteTopicsRequest(states, timeout_ms=1_000))
        assert [(r.name, r.error_code) for r in answer.responses] == [("t", 0), (None, 100), (None, 42), ("t", 42)]


def resource(kind: int, name: str, *keys: str) -> describe_configs.DescribeConfigsResource:
    return describe_configs.DescribeConfigsResource(kind, name, list(keys) or None)


@pytest.mark.parametrize("version", range(1, 5))
@in_loop
async def test_settings_are_described(version: int) -> None:
    async with served() as door:
        door.node.configs["t"] = {"retention.ms": "5"}
        request = describe_configs.DescribeConfigsRequest([resource(TOPIC, "t")], include_synonyms=True)
        request.include_documentation = version >= 3
        (found,) = (await call(door, "describe_configs", version, request)).results
        assert found.error_code == 0
        shown = [(c.name, c.value, c.config_source, [s.value for s in c.synonyms]) for c in found.configs]
        assert shown == [("retention.ms", "5", 1, ["5"]), ("cleanup.policy", "delete", 5, ["delete"])]
        if version >= 3:
            assert [(c.config_type, c.documentation) for c in found.configs] == [
                (5, "about retention.ms"),
                (7, "about cleanup.policy"),
            ]


@in_loop
async def test_only_what_was_asked_is_described_and_a_secret_is_not_shown() -> None:
    async with served() as door:
        request = describe_configs.DescribeConfigsRequest(
            [
                resource(TOPIC, "t", "cleanup.policy"),
                resource(BROKER, "7"),
                resource(BROKER, ""),
                resource(BROKER, "8"),
                resource(TOPIC, "nowhere"),
                resource(LOGGER, "7"),
            ]
        )
        results = (await call(door, "describe_configs", 4, request)).results
        assert [r.error_code for r in results] == [0, 0, 0, 42, 3, 42]
        assert [c.name for c in results[0].configs] == ["cleanup.policy"]
        (secret,) = results[1].configs
        assert (secret.value, secret.is_sensitive, secret.read_only, secret.config_source) == (None, True, True, 4)
        assert list(results[2].configs) == []


def change(name: str, operation: int, value: str | None) -> incremental_alter_configs.AlterableConfig:
    return incremental_alter_configs.AlterableConfig(name, operation, value)


async def alter(door: Served, *changes, kind: int = TOPIC, name: str = "t", dry: bool = False, version: int = 1) -> int:
    wanted = incremental_alter_configs.AlterConfigsResource(kind, name, list(changes))
    request = incremental_alter_configs.IncrementalAlterConfigsRequest([wanted], dry)
    (found,) = (await call(door, "incremental_alter_configs", version, request)).responses
    assert bool(found.error_code) == bool(found.error_message)
    return found.error_code


@pytest.mark.parametrize("version", [0, 1])
@in_loop
async def test_a_change_touches_nothing_else(version: int) -> None:
    async with served() as door:
        configs = door.node.configs["t"] = {"cleanup.policy": "compact"}
        assert await alter(door, change("retention.ms", 0, "9"), version=version) == 0
        assert configs == {"cleanup.policy": "compact", "retention.ms": "9"}
        assert await alter(door, change("retention.ms", 1, None), version=version) == 0
        assert configs == {"cleanup.policy": "compact"}


@in_loop
async def test_lists_grow_and_shrink() -> None:
    async with served() as door:
        configs = door.node.configs["t"]
        assert await alter(door, change("cleanup.policy", 2, "compact,delete")) == 0
        assert configs["cleanup.policy"] == "delete,compact"
        assert await alter(door, change("cleanup.policy", 3, "delete")) == 0
        assert configs["cleanup.policy"] == "compact"
        assert await alter(door, change("retention.ms", 2, "5")) == 40, "no list"


@in_loop
async def test_changes_that_cannot_be_are_refused() -> None:
    async with served() as door:
        assert await alter(door, change("nonsense", 0, "9")) == 40
        assert await alter(door, change("retention.ms", 0, None)) == 40
        assert await alter(door, change("retention.ms", 9, "9")) == 42
        assert await alter(door, change("retention.ms", 0, "1"), change("retention.ms", 1, None)) == 42
        assert await alter(door, change("retention.ms", 0, "1"), name="nowhere") == 3
        assert await alter(door, change("log.level", 0, "1"), kind=BROKER, name="7") == 42
        assert await alter(door, change("retention.ms", 0, "1"), dry=True) == 0
        assert door.node.configs["t"] == {}


@pytest.mark.parametrize("version", range(3))
@in_loop
async def test_the_old_call_replaces_all_settings(version: int) -> None:
    async with served() as door:
        configs = door.node.configs["t"]
        configs["cleanup.policy"] = "compact"
        given = [alter_configs.AlterableConfig("retention.ms", "9")]
        resources = [
            alter_configs.AlterConfigsResource(TOPIC, "t", given),
            alter_configs.AlterConfigsResource(TOPIC, "nowhere", given),
            alter_configs.AlterConfigsResource(BROKER, "7", given),
        ]
        answer = await call(door, "alter_configs", version, alter_configs.AlterConfigsRequest(resources))
        assert [r.error_code for r in answer.responses] == [0, 3, 42]
        assert configs == {"retention.ms": "9"}
