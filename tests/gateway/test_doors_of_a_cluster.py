"""The doors of three nodes in one process: real clients find the leaders, whichever node they ask first."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.support.time_nodes import TimeNodes, time_nodes, wall_ms

pytestmark = pytest.mark.anyio

CONFIGS = {"lateness_ms": "20", "idle_ms": "100", "tick_ms": "20"}
DEADLINE_S = 40.0
T = TypeVar("T")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def bootstrap(nodes: TimeNodes, node_id: int) -> str:
    return f"127.0.0.1:{nodes.address(node_id).kafka_port}"


async def in_thread(work: Callable[[], T]) -> T:
    return await asyncio.to_thread(work)


def produced(address: str, topic: str, values: list[bytes], *, partitions: int = 3) -> None:
    failed: list[object] = []
    producer = Producer({"bootstrap.servers": address, "enable.idempotence": True, "linger.ms": 1})
    for position, value in enumerate(values):
        producer.produce(
            topic, value, partition=position % partitions, on_delivery=lambda error, _: error and failed.append(error)
        )
    assert producer.flush(30) == 0
    assert not failed, failed[0]


def consumed(address: str, topic: str, count: int, *, partitions: int = 3) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": address, "group.id": "g", "auto.offset.reset": "earliest"})
    try:
        consumer.assign([TopicPartition(topic, index, 0) for index in range(partitions)])
        found: list[bytes] = []
        end = time.monotonic() + DEADLINE_S
        while len(found) < count and time.monotonic() < end:
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                found.append(message.value())
        return sorted(found)
    finally:
        consumer.close()


async def test_kafka_clients_go_to_the_leaders_and_find_the_new_ones(tmp_path: Path) -> None:
    async with time_nodes(tmp_path, has_doors=True) as nodes:
        topic = await nodes.create(**CONFIGS)
        values = [b'{"n":%d}' % number for number in range(60)]
        await in_thread(lambda: produced(bootstrap(nodes, 1), "t", values[:30]))
        assert await in_thread(lambda: consumed(bootstrap(nodes, 3), "t", 30)) == sorted(values[:30])

        admin = AdminClient({"bootstrap.servers": bootstrap(nodes, 2)})
        metadata: Any = await in_thread(lambda: admin.list_topics("t", timeout=10))
        assert sorted(metadata.brokers) == [1, 2, 3]
        for partition in metadata.topics["t"].partitions.values():
            assert sorted(partition.replicas) == [1, 2, 3]
            assert sorted(partition.isrs) == [1, 2, 3]
            assert partition.leader in {1, 2, 3}

        lost = await nodes.until_led(topic, 0)
        await nodes.kill(lost)
        left = min(nodes.lives)
        await in_thread(lambda: produced(bootstrap(nodes, left), "t", values[30:]))
        assert await in_thread(lambda: consumed(bootstrap(nodes, left), "t", 60)) == sorted(values)
        admin = AdminClient({"bootstrap.servers": bootstrap(nodes, left)})
        metadata = await in_thread(lambda: admin.list_topics("t", timeout=10))
        for partition in metadata.topics["t"].partitions.values():
            assert sorted(partition.replicas) == [1, 2, 3]
            assert lost not in partition.isrs
            assert partition.leader != lost


def grouped(address: str, topic: str, group: str, count: int) -> list[bytes]:
    """As a member of a group, committed at the end."""
    consumer = Consumer(
        {"bootstrap.servers": address, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    )
    try:
        consumer.subscribe([topic])
        found: list[bytes] = []
        end = time.monotonic() + DEADLINE_S
        while len(found) < count and time.monotonic() < end:
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                found.append(message.value())
        consumer.commit(asynchronous=False)
        return sorted(found)
    finally:
        consumer.close()


async def test_groups_are_coordinated_on_all_nodes_and_told_by_each(tmp_path: Path) -> None:
    async with time_nodes(tmp_path, has_doors=True) as nodes, httpx.AsyncClient(timeout=30) as client:
        await nodes.create(**CONFIGS)
        values = [b'{"n":%d}' % number for number in range(12)]
        await in_thread(lambda: produced(bootstrap(nodes, 1), "t", values))
        groups = [f"group{number}" for number in range(4)]
        for number, group in enumerate(groups):
            address = bootstrap(nodes, number % 3 + 1)
            found = await in_thread(lambda address=address, group=group: grouped(address, "t", group, 12))
            assert found == sorted(values)
        coordinators = {nodes.node(1).coordinator_of("group", group).node_id for group in groups}
        assert len(coordinators) > 1
        for node_id in nodes.lives:
            url = f"http://127.0.0.1:{nodes.address(node_id).http_port}/api/v1/groups"
            assert [group["group"] for group in (await client.get(url)).json()["groups"]] == groups
            described = await client.get(f"{url}/group0", follow_redirects=True)
            assert [row["lag"] for row in described.json()["offsets"]] == [0, 0, 0]


async def test_http_answers_on_every_node_and_sends_on_what_is_the_leaders(tmp_path: Path) -> None:
    async with time_nodes(tmp_path, has_doors=True) as nodes, httpx.AsyncClient(timeout=30) as client:

        def url(node_id: int, path: str) -> str:
            return f"http://127.0.0.1:{nodes.address(node_id).http_port}/api/v1/{path}"

        wanted = {"name": "t", "partitions": 3, "schema": {"n": "long"}, "configs": {"tick.ms": "20"}}
        assert (await client.post(url(2, "topics"), json=wanted)).status_code == 201
        for node_id in (1, 2, 3):
            assert (await client.get(url(node_id, "topics/t"))).json()["partitions"] == 3
            records = [{"value": {"n": i}, "key": f"k{i}", "timestamp": wall_ms()} for i in range(20)]
            answer = await client.post(url(node_id, "topics/t/records"), json={"records": records})
            assert answer.status_code == 200, answer.text
            assert {place["partition"] for place in answer.json()["records"]} == {0, 1, 2}
        for node_id in (1, 2, 3):
            answer = await client.get(url(node_id, "topics/t/aggregate"), params={"agg": "count"})
            assert answer.json()["rows"][0]["count"] == 60
            assert answer.headers["x-served-by"] == str(node_id)

        topic = nodes.node(1).topic("t")
        leader = await nodes.until_led(topic, 0)
        other = next(one for one in (1, 2, 3) if one != leader)
        sent_on = await client.post(url(other, "topics/t/splits/seal"))
        assert (sent_on.status_code, sent_on.headers["location"]) == (307, url(leader, "topics/t/splits/seal"))
        sealed = await client.post(url(other, "topics/t/splits/seal"), follow_redirects=True)
        assert sealed.json()["state"] == "historic", sealed.text

        cluster = (await client.get(url(3, "cluster"))).json()
        assert [node["node_id"] for node in cluster["nodes"]] == [1, 2, 3]
        assert all(node["is_live"] for node in cluster["nodes"])
        assert all(shard["leader_id"] in {1, 2, 3} for shard in cluster["shards"])
        assert (await client.delete(url(3, "topics/t"))).status_code == 204
        assert (await client.get(url(1, "topics/t"))).status_code == 404
