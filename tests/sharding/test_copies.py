"""The runs of historic splits on all replicas, whatever breaks off, goes missing or is damaged on the way."""

import asyncio
import hashlib
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import anyio
import msgspec
import pytest

from raft.errors import CallRefusedError, PeerUnreachableError
from raft.interfaces import NodeId
from sharding.calls import CallKind, encoded
from sharding.catalog import ShardRecord
from sharding.copies import FetchRun
from sharding.errors import NotLeaderError, NotReplicatedHereError, SealingError
from sharding.interfaces import Topic
from store.manifest import SplitManifest
from store.merge_job import MergeJob
from store.queries import AggregateQuery, EventsQuery, Function, Measure
from tests.sharding.test_time_on_cluster import CONFIGS, Story, check_queries, check_views, rows_of
from tests.support.time_cluster import TimeCluster, time_cluster
from tests.support.time_node import merge_in_thread

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def folder_of(cluster: TimeCluster, node_id: int, topic: Topic, number: int) -> Path:
    return cluster.memory.nodes[node_id].folder / "topics" / str(topic.topic_id) / str(number)


def files_of(cluster: TimeCluster, node_id: int, topic: Topic, number: int) -> dict[str, str]:
    found = {}
    for path in folder_of(cluster, node_id, topic, number).glob("*"):
        with suppress(FileNotFoundError):  # a thread of the node removes it at this moment
            found[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def published(cluster: TimeCluster, node_id: int, topic: Topic, number: int) -> SplitManifest | None:
    record = cluster.memory.nodes[node_id].catalog.manifests_of(topic.topic_id.bytes).get(number)
    return None if record is None else SplitManifest.unpack(record.manifest)


async def until_copied(cluster: TimeCluster, node_id: int, topic: Topic, number: int) -> None:
    def is_copied() -> bool:
        history = cluster.held(node_id, topic).history
        return len(history.splits) > number and not history.damaged

    await cluster.until(is_copied, what=f"node {node_id} has the runs of split {number}")


async def test_every_live_replica_has_the_runs_when_the_manifest_is_published(tmp_path: Path) -> None:
    story = Story(1)
    async with time_cluster(tmp_path) as cluster:
        topic = await cluster.create(**CONFIGS)
        await story.append(cluster, topic)
        found: list[dict[str, str]] = []
        nodes = cluster.memory.nodes
        nodes[3].observe_topics(
            lambda: found.extend(
                files_of(cluster, one, topic, 0) for one in nodes if published(cluster, 3, topic, 0) is not None
            )
        )
        await cluster.seal(topic)
        manifest = published(cluster, 1, topic, 0)
        await cluster.until(lambda: found)
        assert found[:3] == [manifest.sha256] * 3
        for node_id in nodes:
            await until_copied(cluster, node_id, topic, 0)
        await check_queries(cluster, topic, story)


async def test_a_replica_that_was_away_copies_the_runs_later_and_answers_from_its_log_meanwhile(tmp_path: Path) -> None:
    story = Story(2)
    async with time_cluster(tmp_path) as cluster:
        topic = await cluster.create(**CONFIGS)
        await story.append(cluster, topic)
        cluster.memory.cut(3)
        await cluster.seal(topic)
        assert files_of(cluster, 3, topic, 0) == {}
        is_open = asyncio.Event()
        peers = cluster.memory.nodes[3].peers

        async def wait(_node: int, kind: int) -> None:
            if kind == CallKind.FETCH_RUN:
                await is_open.wait()

        peers.before_call = wait
        cluster.memory.heal(3)
        await cluster.until(lambda: published(cluster, 3, topic, 0) is not None)
        await check_queries(cluster, topic, story)
        assert cluster.held(3, topic).historic == ()
        is_open.set()
        await until_copied(cluster, 3, topic, 0)
        assert files_of(cluster, 3, topic, 0) == published(cluster, 3, topic, 0).sha256
        await check_queries(cluster, topic, story)


async def test_without_a_majority_nothing_is_published_and_nothing_is_merged_twice(tmp_path: Path) -> None:
    story, jobs = Story(3), []

    async def merge(job: MergeJob) -> SplitManifest:
        jobs.append(job)
        return await merge_in_thread(job)

    async with time_cluster(tmp_path, run_merge=merge) as cluster:
        topic = await cluster.create(**CONFIGS)
        await story.append(cluster, topic)

        async def refuse(_node: int, kind: int) -> None:
            if kind == CallKind.COPY_SPLIT:
                raise PeerUnreachableError("as the test wants", was_sent=False)

        peers = cluster.memory.nodes[1].peers
        peers.before_call = refuse
        with pytest.raises(SealingError, match="on 1 of 3 nodes"):
            await cluster.seal(topic)
        assert published(cluster, 1, topic, 0) is None
        peers.before_call = None
        await cluster.until(lambda: published(cluster, 1, topic, 0) is not None)
        assert len(jobs) == 1
        await check_queries(cluster, topic, story)


async def test_a_damaged_run_is_found_at_a_start_and_replaced(tmp_path: Path) -> None:
    story = Story(4)
    async with time_cluster(tmp_path) as cluster:
        topic = await cluster.create(**CONFIGS)
        await story.append(cluster, topic)
        await cluster.seal(topic)
        await until_copied(cluster, 3, topic, 0)
        await cluster.stop(3)
        sha256 = published(cluster, 3, topic, 0).sha256
        path = folder_of(cluster, 3, topic, 0) / next(iter(sha256))
        whole = path.read_bytes()
        path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
        is_open = asyncio.Event()
        peers = cluster.memory.nodes[3].peers

        async def wait(_node: int, _kind: int) -> None:
            await is_open.wait()

        peers.before_call = wait
        await cluster.start(3)
        await cluster.until(lambda: cluster.held(3, topic).history.damaged == {0})
        with pytest.raises(NotReplicatedHereError) as refusal:
            await cluster.stream(3, topic).events(EventsQuery())
        assert refusal.value.node_ids == (1, 2)
        is_open.set()
        await until_copied(cluster, 3, topic, 0)
        assert files_of(cluster, 3, topic, 0) == sha256
        await check_queries(cluster, topic, story)


async def test_a_run_that_a_query_finds_damaged_is_replaced(tmp_path: Path) -> None:
    story = Story(5)
    async with time_cluster(tmp_path) as cluster:
        topic = await cluster.create(**CONFIGS)
        await story.append(cluster, topic)
        await cluster.seal(topic)
        await until_copied(cluster, 2, topic, 0)
        sha256 = published(cluster, 2, topic, 0).sha256
        for name in sha256:
            (folder_of(cluster, 2, topic, 0) / name).write_bytes(b"nothing of a run")
        with pytest.raises(NotReplicatedHereError):
            await rows_of(await cluster.stream(2, topic).events(EventsQuery()))
        await cluster.until(lambda: files_of(cluster, 2, topic, 0) == sha256)
        await until_copied(cluster, 2, topic, 0)
        await check_queries(cluster, topic, story)


async def test_a_missing_run_is_fetched_at_a_start_and_the_log_answers_until_then(tmp_path: Path) -> None:
    story = Story(6)
    async with time_cluster(tmp_path) as cluster:
        topic = await cluster.create(**CONFIGS)
        await story.append(cluster, topic)
        await cluster.seal(topic)
        await until_copied(cluster, 3, topic, 0)
        await cluster.stop(3)
        for name in files_of(cluster, 3, topic, 0):
            (folder_of(cluster, 3, topic, 0) / name).unlink()
        await cluster.start(3)
        await check_queries(cluster, topic, story)
        await until_copied(cluster, 3, topic, 0)
        await story.append(cluster, topic)
        await cluster.settle(topic)
        cluster.memory.groups[1].elect(3)
        await check_views(cluster, topic, story)


async def test_a_copy_that_breaks_off_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sharding.copies.CHUNK_BYTES_MAX", 1000)
    story = Story(7)
    async with time_cluster(tmp_path) as cluster:
        topic = await cluster.create(**CONFIGS)
        await story.append(cluster, topic)
        asked: list[int] = []
        peers = cluster.memory.nodes[3].peers

        async def break_off(_node: int, kind: int) -> None:
            asked.append(kind)
            if len(asked) % 4 == 3:
                raise PeerUnreachableError("as the test wants", was_sent=True)

        peers.before_call = break_off
        await cluster.seal(topic)
        monkeypatch.setattr("sharding.copies.RETRY_S", 0.001)
        await until_copied(cluster, 3, topic, 0)
        manifest = published(cluster, 3, topic, 0)
        assert files_of(cluster, 3, topic, 0) == manifest.sha256
        # Every chunk was fetched once, besides those that broke off.
        wanted = sum(-(-run.size_bytes // 1000) for run in manifest.runs)
        assert len(asked) - len(asked[2::4]) == wanted > 6


async def test_what_a_torn_copy_left_is_thrown_away_when_its_bytes_are_wrong(tmp_path: Path) -> None:
    story = Story(8)
    async with time_cluster(tmp_path) as cluster:
        topic = await cluster.create(**CONFIGS)
        await story.append(cluster, topic)
        cluster.memory.cut(3)
        await cluster.seal(topic)
        folder = folder_of(cluster, 3, topic, 0)
        folder.mkdir(parents=True)
        for run in published(cluster, 1, topic, 0).runs:
            (folder / f".{run.name}.{run.sha256[:16]}.part").write_bytes(bytes(100))
        cluster.memory.heal(3)
        await until_copied(cluster, 3, topic, 0)
        assert files_of(cluster, 3, topic, 0) == published(cluster, 3, topic, 0).sha256


async def test_two_leaders_that_merge_the_same_split_publish_one_of_them(tmp_path: Path) -> None:
    story, jobs, gates = Story(9), [], [asyncio.Event(), asyncio.Event()]

    async def merge(job: MergeJob) -> SplitManifest:
        jobs.append(job)
        gate = gates[len(jobs) - 1]
        manifest = await merge_in_thread(job)
        await gate.wait()
        return manifest

    async with time_cluster(tmp_path, run_merge=merge) as cluster:
        topic = await cluster.create(**CONFIGS)
        await story.append(cluster, topic)
        sealing = asyncio.ensure_future(cluster.stream(1, topic).seal())
        await cluster.until(lambda: len(jobs) == 1)
        cluster.memory.groups[1].elect(2)
        await cluster.until(lambda: len(jobs) == 2)
        assert {job.main_name for job in jobs} == {"main-1.parquet", "main-2.parquet"}
        gates[0].set()
        with pytest.raises(NotLeaderError) as moved:
            await sealing
        assert moved.value.leader_id == 2
        await cluster.until(lambda: published(cluster, 3, topic, 0) is not None)
        gates[1].set()
        await cluster.settle(topic)
        manifest = published(cluster, 3, topic, 0)
        for node_id in cluster.services:
            await until_copied(cluster, node_id, topic, 0)
            await cluster.until(
                lambda node_id=node_id: files_of(cluster, node_id, topic, 0) == manifest.sha256,
                what="the other attempt's runs are gone",
            )
        assert published(cluster, 2, topic, 0) == manifest
        await check_views(cluster, topic, story)
        await check_queries(cluster, topic, story)


async def test_the_next_leader_seals_what_the_last_one_left(tmp_path: Path) -> None:
    story, stuck = Story(10), asyncio.Event()

    async def merge(job: MergeJob) -> SplitManifest:
        manifest = await merge_in_thread(job)
        if not stuck.is_set():
            stuck.set()
            await anyio.sleep_forever()
        return manifest

    async with time_cluster(tmp_path, run_merge=merge) as cluster:
        topic = await cluster.create(**CONFIGS)
        await story.append(cluster, topic)
        sealing = asyncio.ensure_future(cluster.stream(1, topic).seal())
        await cluster.until(stuck.is_set)
        cluster.memory.groups[1].elect(2)
        sealing.cancel()
        # Asked again at the new leader: the open split is empty, and the one before is what was meant.
        assert (await cluster.seal(topic)).number == 0
        await cluster.settle(topic)
        await check_views(cluster, topic, story)
        await check_queries(cluster, topic, story)


async def test_a_start_without_the_catalogs_word_removes_nothing(tmp_path: Path) -> None:
    story = Story(11)
    async with time_cluster(tmp_path) as cluster:
        topic = await cluster.create(**CONFIGS)
        await story.append(cluster, topic)
        await cluster.stop(3)
        node = cluster.memory.nodes[3]
        node.member(0).is_held = True
        later = await cluster.memory.create("later", (1, 2), **topic.configs)
        unlisted = UUID(bytes=b"x" * 16)
        kept = [
            node.folder / "topics" / str(later.topic_id) / "0" / "main-1.parquet",
            node.folder / "topics" / str(topic.topic_id) / "0" / "main-9.parquet",
        ]
        gone = node.folder / "topics" / str(unlisted) / "0" / "main.parquet"
        for path in (*kept, gone):
            path.parent.mkdir(parents=True)
            path.write_bytes(b"x")
        await cluster.start(3)
        await asyncio.sleep(0.05)
        assert all(path.exists() for path in (*kept, gone))
        node.member(0).is_held = False
        cluster.memory.groups[0].catch_up()
        await cluster.until(lambda: not (node.folder / "topics" / str(unlisted)).exists())
        # Another node may be about to publish these.
        assert all(path.exists() for path in kept)


async def test_runs_of_a_deleted_topic_go_everywhere(tmp_path: Path) -> None:
    story = Story(12)
    async with time_cluster(tmp_path) as cluster:
        topic = await cluster.create(**CONFIGS)
        await story.append(cluster, topic)
        await cluster.seal(topic)
        await until_copied(cluster, 3, topic, 0)
        await cluster.memory.delete(topic)
        for node_id in cluster.services:
            folder = folder_of(cluster, node_id, topic, 0).parent
            await cluster.until(lambda folder=folder: not folder.exists())


@pytest.mark.parametrize("name", ["../../../node.json", "main.parquet/../x", "", "late-x.parquet", "main.parquet\n"])
async def test_nothing_but_runs_can_be_fetched(tmp_path: Path, name: str) -> None:
    async with time_cluster(tmp_path) as cluster:
        topic = await cluster.create(**CONFIGS)
        body = encoded(FetchRun(topic.topic_id.bytes, 0, name, 0, 10))
        with pytest.raises(CallRefusedError):
            await cluster.memory.nodes[1].peers.call(NodeId(2), CallKind.FETCH_RUN, body, 1000)


async def test_two_seals_at_a_time_answer_with_the_same_split(tmp_path: Path) -> None:
    story = Story(13)
    async with time_cluster(tmp_path) as cluster:
        topic = await cluster.create(**CONFIGS)
        await story.append(cluster, topic)
        sealing = [asyncio.ensure_future(cluster.stream(1, topic).seal()) for _ in range(2)]
        await cluster.until(lambda: all(one.done() for one in sealing))
        assert [one.result().number for one in sealing] == [0, 0]
        assert [one.result().state for one in sealing] == ["historic", "historic"]


async def test_sealing_is_the_leaders_who_is_named(tmp_path: Path) -> None:
    async with time_cluster(tmp_path) as cluster:
        topic = await cluster.create(**CONFIGS)
        await cluster.append(topic, 0, [5])
        with pytest.raises(NotLeaderError) as refusal:
            await cluster.stream(3, topic).seal()
        assert refusal.value.leader_id == 1


async def test_the_watermark_of_a_seal_counts_what_a_lagging_leader_has_not_applied(tmp_path: Path) -> None:
    async with time_cluster(tmp_path) as cluster:
        topic = await cluster.create(**CONFIGS)
        await cluster.append(topic, 0, [cluster.clock.ms])
        held = cluster.memory.groups[2].members[1]
        held.is_held = True
        await cluster.append(topic, 1, [cluster.clock.ms + 700])
        sealing = asyncio.ensure_future(cluster.stream(1, topic).seal())
        await asyncio.sleep(0.02)
        held.is_held = False
        cluster.memory.groups[2].catch_up()
        await cluster.until(sealing.done)
        split = await sealing
        assert (split.number, split.count) == (0, 2)


async def test_aggregates_over_a_whole_split_need_no_file(tmp_path: Path) -> None:
    story = Story(14)
    async with time_cluster(tmp_path) as cluster:
        topic = await cluster.create(**CONFIGS)
        await story.append(cluster, topic)
        await cluster.seal(topic)
        await until_copied(cluster, 2, topic, 0)
        query = AggregateQuery(measures=[Measure(Function.COUNT)])
        (row,) = (await cluster.stream(2, topic).aggregate(query)).table.to_pylist()
        assert row["count"] == len(story.events)


def test_a_call_for_a_run_is_small_and_plain() -> None:
    wanted = FetchRun(b"t" * 16, 3, "main-7.parquet", 1 << 40, 1 << 20)
    (body,) = encoded(wanted)
    assert msgspec.msgpack.decode(body, type=FetchRun) == wanted
    assert len(body) < 64


async def test_a_topic_that_moved_to_another_node_gets_its_runs_from_the_one_that_had_it(tmp_path: Path) -> None:
    story = Story(15)
    async with time_cluster(tmp_path, leaders=()) as cluster:
        await cluster.memory.add_shards(1, 1, replicas=(1,))
        topic = await cluster.create(**CONFIGS)
        await story.append(cluster, topic)
        await cluster.seal(topic)
        assert set(files_of(cluster, 1, topic, 0)) <= {"main.parquet", "late-1.parquet"}
        nodes = cluster.memory.nodes
        for node in nodes.values():
            for node_id in nodes:
                node.catalog.nodes.setdefault(node_id, None)
            for shard_id in (1, 2):
                node.catalog.shards[shard_id] = ShardRecord(shard_id, 1, (2,))
        for shard_id in (1, 2):
            nodes[2].open_shard(shard_id)
            cluster.memory.groups[shard_id].elect(2)
        await until_copied(cluster, 2, topic, 0)
        assert files_of(cluster, 2, topic, 0) == published(cluster, 2, topic, 0).sha256
        answer = await cluster.stream(2, topic).events(EventsQuery())
        assert await rows_of(answer) == sorted(story.events)
