"""Fetch: limits, waiting, epochs, and what each error looks like."""

import asyncio
from collections.abc import Callable

import pytest

from gateway.kafka.settings import KafkaSettings
from gateway.wire.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from sharding.errors import NotLeaderError
from sharding.interfaces import NodeAddress
from store.batches import records
from store.compression import Compression
from tests.support.kafka_door import Served, in_loop, served
from tests.support.produce import fetch_of, fetched, produce_of, produced, topic_id_of
from tests.support.raw_kafka import RawClient, batch_of

VERSIONS = range(4, 17)
SIZE = len(batch_of(bytes(1_000)))


async def fill(door: Served, count: int, *, topic: str = "t", partition: int = 0, size: int = 1_000) -> RawClient:
    """Batches of one record each, all of one size."""
    client = await door.connect()
    for turn in range(count):
        batch = batch_of(bytes([turn % 251]) * size)
        assert not produced(
            await client.call("produce", 9, produce_of(batch, topic=topic, partition=partition))
        ).error_code
    return client


def batches_in(partition) -> int:
    return len(partition.records or b"") // SIZE


@pytest.mark.parametrize("version", VERSIONS)
@in_loop
async def test_every_version_brings_the_batches_and_the_marks(version: int) -> None:
    async with served() as door:
        client = await fill(door, 3)
        answer = await client.call("fetch", version, fetch_of(("t", 0, 1)))
        assert isinstance(answer, FetchResponse)
        (partition,) = fetched(answer)
        assert partition.error_code == 0
        assert (partition.high_watermark, partition.last_stable_offset) == (3, 3)
        assert [r.offset for r in records(bytes(partition.records)[:SIZE])] == [1]
        assert batches_in(partition) == 2
        assert partition.aborted_transactions is None
        if version >= 7:
            assert (answer.error_code, answer.session_id) == (0, 0)
        if version >= 11:
            assert partition.preferred_read_replica == -1


@in_loop
async def test_read_committed_gets_a_list_of_aborted_transactions_which_is_empty() -> None:
    async with served() as door:
        client = await fill(door, 1)
        (partition,) = fetched(await client.call("fetch", 11, fetch_of(isolation_level=1)))
        assert list(partition.aborted_transactions or ()) == []
        assert partition.aborted_transactions is not None


@in_loop
async def test_limits_hold_but_the_first_batch_is_whole() -> None:
    async with served() as door:
        client = await fill(door, 5)
        await fill(door, 5, partition=1)
        both = (("t", 0, 0), ("t", 1, 0))

        async def counts(**limits: int) -> list[int]:
            return [batches_in(p) for p in fetched(await client.call("fetch", 11, fetch_of(*both, **limits)))]

        assert await counts() == [5, 5]
        assert await counts(bytes_max=1) == [1, 0]
        assert await counts(bytes_max=0) == [1, 0]
        assert await counts(bytes_max=-1) == [1, 0]
        assert await counts(bytes_max=3 * SIZE) == [3, 0]
        assert await counts(bytes_max=4 * SIZE, partition_bytes_max=2 * SIZE) == [2, 2]
        assert await counts(bytes_max=3 * SIZE + 1, partition_bytes_max=2 * SIZE) == [2, 1]
        assert await counts(partition_bytes_max=1) == [1, 1]


@in_loop
async def test_the_server_s_own_limit_caps_what_a_client_may_ask() -> None:
    async with served(KafkaSettings(fetch_bytes_max=2 * SIZE)) as door:
        client = await fill(door, 5)
        ask = fetch_of(bytes_max=2**31 - 1, partition_bytes_max=2**31 - 1, bytes_min=2**31 - 1)
        (partition,) = fetched(await client.call("fetch", 11, ask))
        assert batches_in(partition) == 2


@in_loop
async def test_data_that_is_there_is_answered_at_once_whatever_the_wait() -> None:
    async with served() as door:
        client = await fill(door, 1)
        await client.call("fetch", 11, fetch_of(wait_ms=30_000))


@in_loop
async def test_a_fetch_at_the_end_waits_for_the_next_commit() -> None:
    async with served() as door:
        client = await fill(door, 1)
        waiting = await door.connect()
        waiting.send("fetch", 11, fetch_of(("t", 0, 1), ("t", 1, 0), wait_ms=30_000))
        await door.until(lambda: door.node.partitions["t", 1].watchers)
        door.node.holds_commits = True
        client.send("produce", 9, produce_of())
        await door.until(lambda: door.node.committing)
        assert not waiting.reader._buffer, "not committed, so not seen"
        door.node.commit()
        first, second = fetched((await waiting.answer())[1])
        assert (len(first.records or b"") > 0, len(second.records or b"")) == (True, 0)
        assert not door.node.partitions["t", 0].watchers
        await client.answer()


@in_loop
async def test_a_fetch_waits_until_there_are_enough_bytes() -> None:
    async with served() as door:
        waiting = await door.connect()
        waiting.send("fetch", 11, fetch_of(("t", 0, 0), ("t", 1, 0), wait_ms=30_000, bytes_min=3 * SIZE))
        await door.until(lambda: door.node.partitions["t", 0].watchers)
        await fill(door, 1)
        await fill(door, 1, partition=1)
        assert not waiting.reader._buffer
        await fill(door, 1)
        assert [batches_in(p) for p in fetched((await waiting.answer())[1])] == [2, 1]


@in_loop
async def test_the_wait_ends_with_what_is_there() -> None:
    async with served() as door:
        client = await fill(door, 1)
        (partition,) = fetched(await client.call("fetch", 11, fetch_of(wait_ms=10, bytes_min=10 * SIZE)))
        assert batches_in(partition) == 1
        (partition,) = fetched(await client.call("fetch", 11, fetch_of(("t", 0, 1), wait_ms=10)))
        assert (partition.error_code, len(partition.records or b""), partition.high_watermark) == (0, 0, 1)


@pytest.mark.parametrize("bytes_min", [0, -1])
@in_loop
async def test_no_minimum_means_no_wait(bytes_min: int) -> None:
    async with served() as door:
        client = await door.connect()
        await client.call("fetch", 11, fetch_of(wait_ms=30_000, bytes_min=bytes_min))


@pytest.mark.parametrize(
    ("place", "epoch", "code"),
    [
        (("t", 0, 2), -1, 1),
        (("t", 0, -1), -1, 1),
        (("nowhere", 0, 0), -1, 3),
        (("t", 9, 0), -1, 3),
        (("t", 0, 0), 4, 74),
        (("t", 0, 0), 6, 75),
    ],
)
@in_loop
async def test_an_error_of_one_partition_is_answered_at_once_beside_the_others(place, epoch: int, code: int) -> None:
    async with served() as door:
        client = await fill(door, 1)
        answer = await client.call("fetch", 11, fetch_of(place, ("t", 1, 0), wait_ms=30_000, epoch=epoch))
        partition, other = fetched(answer)
        assert (partition.error_code, partition.high_watermark, bytes(partition.records or b"")) == (code, -1, b"")
        assert other.error_code in {0, code}


@in_loop
async def test_the_end_of_leadership_ends_the_wait() -> None:
    async with served() as door:
        client = await door.connect()
        client.send("fetch", 11, fetch_of(wait_ms=30_000))
        partition = door.node.partitions["t", 0]
        await door.until(lambda: partition.watchers)
        partition.refusal = NotLeaderError(8, 6)
        partition.advance(0)
        assert fetched((await client.answer())[1])[0].error_code == 6


@pytest.mark.parametrize("is_slow", [False, True])
@in_loop
async def test_leadership_that_ends_before_the_wait_begins_is_answered(*, is_slow: bool) -> None:
    async with served() as door:
        client = await door.connect()
        partition = door.node.partitions["t", 0]
        partition.is_slow = is_slow

        def watch(on_change: Callable[[], None]) -> Callable[[], None]:
            raise NotLeaderError

        partition.watch = watch
        other, refused = fetched(await client.call("fetch", 11, fetch_of(("t", 1, 0), ("t", 0, 0), wait_ms=30_000)))
        assert (other.error_code, refused.error_code) == (0, 6)
        assert not door.node.partitions["t", 1].watchers


@in_loop
async def test_sessions_are_declined() -> None:
    async with served() as door:
        client = await fill(door, 1)
        full = fetch_of()
        full.session_id, full.session_epoch = 0, 0
        answer = await client.call("fetch", 12, full)
        assert isinstance(answer, FetchResponse)
        assert (answer.error_code, answer.session_id) == (0, 0)
        incremental = FetchRequest(session_id=5, session_epoch=3)
        answer = await client.call("fetch", 12, incremental)
        assert isinstance(answer, FetchResponse)
        assert answer.error_code == 70


@in_loop
async def test_a_fetch_of_nothing_is_answered_at_once() -> None:
    async with served() as door:
        client = await door.connect()
        empty = FetchTopic("t", partitions=[])
        await client.call("fetch", 11, FetchRequest(max_wait_ms=30_000, min_bytes=1, topics=[empty]))


@in_loop
async def test_zstd_is_for_clients_that_know_it() -> None:
    async with served() as door:
        client = await door.connect()
        await client.call("produce", 9, produce_of(batch_of(bytes(100), compression=Compression.ZSTD)))
        assert fetched(await client.call("fetch", 9, fetch_of()))[0].error_code == 76
        assert fetched(await client.call("fetch", 10, fetch_of()))[0].error_code == 0


# Bytes that must be made first


@in_loop
async def test_a_partition_that_must_make_its_bytes_is_awaited() -> None:
    async with served() as door:
        client = await fill(door, 3)
        door.node.partitions["t", 0].is_slow = True
        first, second = fetched(await client.call("fetch", 11, fetch_of(("t", 0, 1), ("t", 1, 0), wait_ms=30_000)))
        assert (batches_in(first), batches_in(second)) == (2, 0)
        (partition,) = fetched(await client.call("fetch", 11, fetch_of(("t", 0, 9))))
        assert partition.error_code == 1


@in_loop
async def test_a_slow_partition_is_waited_for_like_any_other() -> None:
    async with served() as door:
        partition = door.node.partitions["t", 0]
        partition.is_slow = True
        client = await door.connect()
        client.send("fetch", 11, fetch_of(wait_ms=30_000, bytes_min=2 * SIZE))
        await door.until(lambda: partition.watchers)
        await fill(door, 2)
        assert batches_in(fetched((await client.answer())[1])[0]) == 2
        (late,) = fetched(await client.call("fetch", 11, fetch_of(("t", 0, 2), wait_ms=10)))
        assert late.error_code == 0


@in_loop
async def test_a_commit_while_bytes_are_being_made_is_not_missed() -> None:
    async with served() as door:
        partition = door.node.partitions["t", 0]
        gate = asyncio.Event()
        inner = partition._read

        async def gated(offset: int, bytes_max: int):
            found = inner(offset, bytes_max)  # read before the commit, delivered after it
            await gate.wait()
            return found

        partition.is_slow = True
        partition._read_slowly = gated
        client = await door.connect()
        client.send("fetch", 11, fetch_of(wait_ms=30_000))
        await door.until(lambda: door.metrics.requests[1])
        await fill(door, 1)
        gate.set()
        assert batches_in(fetched((await client.answer())[1])[0]) == 1


@in_loop
async def test_a_slow_fetch_holds_back_no_produce_behind_it() -> None:
    async with served() as door:
        door.node.partitions["t", 0].is_slow = True
        client = await door.connect()
        client.send("fetch", 11, fetch_of(wait_ms=30_000))
        client.send("produce", 9, produce_of())
        assert (await client.answer())[0] == 0
        assert (await client.answer())[0] == 1


@in_loop
async def test_a_fault_while_bytes_are_made_closes_the_connection() -> None:
    async with served() as door:
        partition = door.node.partitions["t", 0]
        partition.is_slow = True
        partition.high_watermark = 1
        partition._read = lambda *_: 1 // 0
        client = await door.connect()
        client.send("fetch", 11, fetch_of())
        assert await client.is_closed_by_server()


@in_loop
async def test_many_partitions_that_move_together_are_looked_at_once() -> None:
    async with served() as door:
        door.node.add_topic("wide", 50)
        client = await door.connect()
        topics = [FetchTopic("wide", partitions=[FetchPartition(i, partition_max_bytes=1 << 20) for i in range(50)])]
        client.send(
            "fetch", 11, FetchRequest(max_wait_ms=30_000, min_bytes=50 * SIZE, max_bytes=1 << 20, topics=topics)
        )
        await door.until(lambda: door.node.partitions["wide", 49].watchers)
        reads = 0
        inner = type(door.node.partitions["wide", 0])._read

        def counted(partition, *arguments):
            nonlocal reads
            reads += 1
            return inner(partition, *arguments)

        for index in range(50):
            door.node.partitions["wide", index]._read = lambda *a, p=door.node.partitions["wide", index]: counted(p, *a)
        door.node.holds_commits = True
        producer = await door.connect()
        for index in range(50):
            producer.send("produce", 9, produce_of(batch_of(bytes(1_000)), topic="wide", partition=index))
        await door.until(lambda: len(door.node.committing) == 50)
        door.node.commit()
        assert sum(map(batches_in, fetched((await client.answer())[1]))) == 50
        assert reads == 50
        for _ in range(50):
            await producer.answer()


@in_loop
async def test_a_lost_leader_is_told_with_the_new_one_from_version_16() -> None:
    async with served() as door:
        client = await fill(door, 1)
        door.node.others = [NodeAddress(node_id=8, host="other", kafka_port=9093, http_port=1)]
        door.node.leader_id = 8
        door.node.partitions["t", 0].refusal = NotLeaderError()
        old = await client.call("fetch", 15, fetch_of())
        new = await client.call("fetch", 16, fetch_of())
        assert fetched(old)[0].error_code == fetched(new)[0].error_code == 6
        assert fetched(old)[0].current_leader is None
        leader = fetched(new)[0].current_leader
        assert (leader.leader_id, leader.leader_epoch) == (8, 5)
        assert [(n.node_id, n.host, n.port) for n in new.node_endpoints] == [(8, "other", 9093)]


@in_loop
async def test_a_topic_id_that_nobody_knows_is_refused_by_name() -> None:
    async with served() as door:
        client = await fill(door, 1)
        answer = await client.call("fetch", 13, fetch_of(("never", 0, 0)))
        assert fetched(answer)[0].error_code == 100
        assert bytes(answer.responses[0].topic_id) == topic_id_of("never")
