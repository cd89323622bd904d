"""Time on whole nodes: real groups, real disks, elections; what a memory cluster shows of the rules, in one piece."""

import asyncio
import hashlib
from contextlib import suppress
from pathlib import Path

import pytest

from sharding.errors import NotLeaderError
from sharding.interfaces import Topic
from store.emission import ViewKind
from store.queries import EventsQuery
from tests.support.time_node import origin_of
from tests.support.time_nodes import TimeNodes, time_nodes, wall_ms

pytestmark = pytest.mark.anyio

CONFIGS = {"lateness_ms": "20", "idle_ms": "100", "tick_ms": "20"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def files_of(folder: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in folder.glob("*"):
        with suppress(FileNotFoundError):  # a copy that is complete takes its name at this moment
            found[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


async def check_queries(nodes: TimeNodes, topic: Topic, events: list[tuple[int, int, int]]) -> None:
    for node_id in nodes.lives:
        answer = await nodes.ask(node_id, topic, EventsQuery())
        found = [
            (row["_ts"], row["_partition"], row["_offset"]) async for rows in answer.batches for row in rows.to_pylist()
        ]
        assert found == sorted(events), f"node {node_id}"


async def check_views(nodes: TimeNodes, topic: Topic, before: dict | None = None) -> dict:
    shown = {(ViewKind.TIME, 0): await nodes.read(topic, ViewKind.TIME)}
    for index in range(topic.partition_count):
        shown[ViewKind.KEYED, index] = await nodes.read(topic, ViewKind.KEYED, index)
    for asked, rows in shown.items():
        assert [row.offset for row in rows] == list(range(len(rows)))
        if before is not None:
            assert rows[: len(before[asked])] == before[asked]
    return shown


async def test_inserts_anywhere_queries_anywhere_views_and_runs_over_a_lost_leader(tmp_path: Path) -> None:
    async with time_nodes(tmp_path) as nodes:
        topic = await nodes.create(**CONFIGS)
        events = []
        for node_id in nodes.lives:
            events += await nodes.insert(node_id, topic, [wall_ms() + i for i in range(50)])
        assert {partition for _, partition, _ in events} == {0, 1, 2}
        await check_queries(nodes, topic, events)
        await nodes.settle(topic)
        before = await check_views(nodes, topic)
        assert sorted(origin_of(row)[0] for row in before[ViewKind.TIME, 0]) == sorted(events)

        leader = await nodes.until_led(topic, 0)
        other = next(one for one in nodes.lives if one != leader)
        with pytest.raises(NotLeaderError):
            await nodes.node(other).stream("t").seal()
        split = await nodes.seal(topic)
        assert (split.number, split.state, split.count) == (0, "historic", len(events))
        for node_id in nodes.lives:
            folder = tmp_path / f"node{node_id}" / "topics" / str(topic.topic_id) / "0"
            # A node that was late when a majority had the runs copies them afterwards.
            await nodes.until(lambda folder=folder: files_of(folder) == split.sha256, f"node {node_id} has the runs")
        await check_queries(nodes, topic, events)
        before = await check_views(nodes, topic, before)

        await nodes.kill(leader)
        for node_id in nodes.lives:
            events += await nodes.insert(node_id, topic, [wall_ms() + i for i in range(20)])
        await check_queries(nodes, topic, events)
        await nodes.settle(topic)
        before = await check_views(nodes, topic, before)
        assert len(before[ViewKind.TIME, 0]) == len(events)

        split = await nodes.seal(topic)
        assert split.number == 1
        await nodes.start(leader)
        held = lambda: nodes.lives[leader].services.held.get(topic.topic_id.bytes)  # noqa: E731 - read again each time
        await nodes.until(lambda: held() is not None and len(held().historic) == 2, "the runs are copied")
        await check_queries(nodes, topic, events)
        await nodes.settle(topic)
        after = await check_views(nodes, topic, before)
        assert len(after[ViewKind.TIME, 0]) == len(events)


async def test_everything_goes_on_after_all_nodes_were_stopped(tmp_path: Path) -> None:
    async with time_nodes(tmp_path) as nodes:
        topic = await nodes.create(**CONFIGS)
        events = await nodes.insert(2, topic, [wall_ms() + i for i in range(30)])
        await nodes.seal(topic)
        events += await nodes.insert(3, topic, [wall_ms() + i for i in range(30)])
        await nodes.settle(topic)
        before = await check_views(nodes, topic)
        for node_id in (1, 2, 3):
            await nodes.stop(node_id)
        await nodes.start(1, 2, 3)
        await asyncio.gather(*(nodes.until_led(topic, index) for index in range(3)))
        await check_queries(nodes, topic, events)
        await nodes.settle(topic)
        await check_views(nodes, topic, before)
