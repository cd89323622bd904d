"""Order, limits, deadlines and ends of connections."""

import asyncio
import struct

import psutil
import pytest

from gateway.kafka.connection import coalesced
from gateway.kafka.settings import KafkaSettings
from gateway.wire.messages.api_versions import ApiVersionsRequest
from gateway.wire.messages.heartbeat import HeartbeatRequest
from gateway.wire.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from gateway.wire.messages.metadata import MetadataRequest
from gateway.wire.messages.produce import ProduceRequest
from sharding.errors import NotLeaderError
from store.batches import check
from tests.support.kafka_door import in_loop, served
from tests.support.produce import fetch_of, fetched, produce_of, produced
from tests.support.raw_kafka import batch_of, request_frame

MIB = 1024 * 1024
HELLO = ApiVersionsRequest("raw", "1")
JOIN = JoinGroupRequest("g", 10_000, 10_000, protocols=[JoinGroupRequestProtocol("range", b"topics")])


# Order


@in_loop
async def test_answers_leave_in_the_order_of_the_requests_whatever_finishes_first() -> None:
    async with served() as door:
        door.node.holds_commits = True
        client = await door.connect()
        client.send("fetch", 11, fetch_of(("t", 1, 0), wait_ms=30_000))
        client.send("produce", 9, produce_of())
        client.send("metadata", 12, MetadataRequest(None))
        client.send("produce", 9, produce_of(partition=1))
        await door.until(lambda: len(door.node.committing) == 2)
        door.node.commit()
        answers = [(await client.answer())[0] for _ in range(4)]
        assert answers == [0, 1, 2, 3]


@in_loop
async def test_three_thousand_pipelined_requests_are_answered_in_order_with_few_in_flight() -> None:
    settings = KafkaSettings(inflight_requests_max=5)
    async with served(settings) as door:
        door.node.holds_commits = True
        client = await door.connect()
        for _ in range(3_000):
            client.send("produce", 9, produce_of())
        await client.writer.drain()
        most = 0
        for wanted in range(3_000):
            if not client.reader._buffer:
                await door.until(lambda: door.node.committing)
                most = max(most, len(door.node.committing))
                door.node.commit()
            correlation_id, answer = await client.answer()
            assert correlation_id == wanted
            assert produced(answer).base_offset == wanted
        assert most <= 5


@in_loop
async def test_a_coroutine_holds_back_the_requests_behind_it_and_no_other_connection() -> None:
    async with served() as door:
        door.node.groups.join_gate = asyncio.Event()
        client, other = await door.connect(), await door.connect()
        client.send("join_group", 3, JOIN)
        client.send("metadata", 12, MetadataRequest(None))
        await door.until(lambda: door.metrics.requests[11])
        await other.call("api_versions", 3, HELLO)
        assert door.metrics.requests[3] == 0, "begun behind a JoinGroup that waits"
        door.node.groups.join_gate.set()
        assert [(await client.answer())[0] for _ in range(2)] == [0, 1]


@in_loop
async def test_acks_0_has_no_answer_and_the_next_request_has_its_own() -> None:
    async with served() as door:
        client = await door.connect()
        client.send("produce", 9, produce_of(acks=0))
        wanted = client.send("produce", 9, produce_of(acks=1))
        correlation_id, answer = await client.answer()
        assert correlation_id == wanted
        assert produced(answer).base_offset == 1, "the unanswered one was admitted first"


@in_loop
async def test_a_refused_acks_0_closes_the_connection() -> None:
    async with served() as door:
        client = await door.connect()
        client.send("produce", 9, produce_of(acks=0, topic="nowhere"))
        assert await client.is_closed_by_server()
        assert door.metrics.closed["a produce without answer failed"] == 1


@in_loop
async def test_answers_to_earlier_requests_are_sent_before_a_malformed_one_closes() -> None:
    async with served() as door:
        client = await door.connect()
        good = request_frame("api_versions", 3, 0, HELLO)
        client.sent.append(("api_versions", 3))
        client.send_bytes(good + struct.pack(">i", -5))
        assert (await client.answer())[0] == 0
        assert await client.is_closed_by_server()
        assert door.metrics.malformed_frames == 1


# Memory


@pytest.mark.parametrize("size", [100, 16_000, 17_000, 131_000, 3_000_000])
@in_loop
async def test_a_batch_arrives_whole_and_in_memory_of_its_own(size: int) -> None:
    async with served(KafkaSettings(fetch_bytes_max=8 * MIB)) as door:
        client = await door.connect()
        batches = [batch_of(bytes([turn]) * size) for turn in range(3)]
        for turn, batch in enumerate(batches):
            assert produced(await client.call("produce", 9, produce_of(batch))).base_offset == turn
        for (_, kept), sent in zip(door.node.partitions["t", 0].batches, batches, strict=True):
            assert check(kept).crc == check(sent).crc
            assert kept[61:] == sent[61:]
        answer = await client.call("fetch", 11, fetch_of(bytes_max=4 * size, partition_bytes_max=8 * MIB))
        (partition,) = fetched(answer)
        assert bytes(partition.records).endswith(batches[len(answer.responses) - 1][61:]) or len(partition.records)


@in_loop
async def test_fifty_promises_of_90_mib_cost_nothing_and_a_good_client_is_served() -> None:
    async with served() as door:
        good = await door.connect()
        await good.call("api_versions", 3, HELLO)
        before = psutil.Process().memory_info().rss
        for _ in range(50):
            liar = await door.connect()
            liar.send_bytes(
                struct.pack(">i", 90 * MIB) + request_frame("produce", 9, 1, produce_of())[4:] + bytes(1024)
            )
        await door.until(lambda: door.metrics.bytes_in >= 50 * 1024)
        begun = asyncio.get_running_loop().time()
        for _ in range(20):
            await good.call("produce", 9, produce_of())
        took = asyncio.get_running_loop().time() - begun
        assert door.metrics.frame_bytes_held < 2 * MIB
        assert psutil.Process().memory_info().rss - before < 32 * MIB
        assert took < 2.0, "twenty requests"


@in_loop
async def test_when_memory_is_short_a_stalled_frame_makes_room_for_one_that_moves() -> None:
    settings = KafkaSettings(frame_budget_bytes=2 * MIB, frame_bytes_max=2 * MIB)
    async with served(settings) as door:
        liar, good = await door.connect(), await door.connect()
        liar.send_bytes(struct.pack(">i", 2 * MIB) + bytes(1_100_000))
        await door.until(lambda: door.metrics.frame_bytes_held > MIB)
        batch = batch_of(bytes(1_200_000))
        good.send("produce", 9, produce_of(batch))
        await door.until(lambda: door.metrics.frames_waited)
        door.pass_time(1_000)  # the first sweep sees where the frame is
        assert door.metrics.closed["no room for its frame"] == 0
        door.pass_time(1_000)  # the second that it did not move
        assert produced((await good.answer())[1]).error_code == 0
        assert await liar.is_closed_by_server()
        assert door.metrics.closed["no room for its frame"] == 1


@in_loop
async def test_frames_wait_for_the_answers_of_others_when_memory_is_short() -> None:
    settings = KafkaSettings(frame_budget_bytes=2 * MIB, frame_bytes_max=2 * MIB)
    async with served(settings) as door:
        door.node.holds_commits = True
        clients = [await door.connect() for _ in range(3)]
        for client in clients:
            client.send("produce", 9, produce_of(batch_of(bytes(900_000))))
        await door.until(lambda: len(door.node.committing) == 2 and door.metrics.frames_waited)
        assert door.metrics.frame_bytes_held <= 2 * MIB
        door.node.commit()
        await door.until(lambda: len(door.node.committing) == 1)
        door.node.commit()
        for client in clients:
            assert produced((await client.answer())[1]).error_code == 0


def test_small_parts_are_joined_and_large_ones_passed_on() -> None:
    large = memoryview(bytes(20_000))
    parts = coalesced([b"a", b"b", large, b"c", b"d"])
    assert [bytes(part) for part in parts] == [b"ab", bytes(large), b"cd"]
    assert parts[1] is large


# Deadlines


@in_loop
async def test_a_frame_that_is_not_complete_in_time_closes() -> None:
    async with served() as door:
        client = await door.connect()
        await client.call("api_versions", 3, HELLO)
        whole = request_frame("api_versions", 3, 1, HELLO)
        client.send_bytes(whole[:9])
        await door.until(lambda: door.metrics.bytes_in >= len(whole) + 9)
        door.pass_time(29_000)
        client.send_bytes(whole[9:11])
        await door.until(lambda: door.metrics.bytes_in >= len(whole) + 11)
        door.pass_time(1_001)
        assert await client.is_closed_by_server(), "a byte now and then does not extend the deadline"
        assert door.metrics.closed["frame deadline"] == 1


@in_loop
async def test_a_connection_that_never_says_anything_closes_early_and_a_silent_client_late() -> None:
    async with served() as door:
        stranger, client = await door.connect(), await door.connect()
        await client.call("api_versions", 3, HELLO)
        await door.until(lambda: door.metrics.connections_open == 2)
        door.pass_time(10_000)
        assert await stranger.is_closed_by_server()
        door.pass_time(589_999)
        await client.call("api_versions", 3, HELLO)
        door.pass_time(600_000)
        assert await client.is_closed_by_server()
        assert door.metrics.closed["idle"] == 1


@in_loop
async def test_a_connection_that_waits_for_its_answer_is_not_idle() -> None:
    async with served() as door:
        door.node.groups.join_gate = asyncio.Event()
        client = await door.connect()
        client.send("join_group", 3, JOIN)
        await door.until(lambda: door.metrics.requests[11])
        door.pass_time(900_000)
        door.node.groups.join_gate.set()
        assert (await client.answer())[0] == 0


@in_loop
async def test_a_client_that_does_not_read_is_closed_and_begins_nothing_more() -> None:
    settings = KafkaSettings(write_buffer_bytes_max=64 * 1024)
    async with served(settings) as door:
        client = await door.connect()
        client.writer.transport.pause_reading()
        filler = await door.connect()
        for _ in range(8):
            await filler.call("produce", 9, produce_of(batch_of(bytes(1_000_000))))
        for _ in range(60):
            client.send("fetch", 11, fetch_of(bytes_max=16 * MIB, partition_bytes_max=16 * MIB))
        await door.until(lambda: door.metrics.requests[1] >= 1)
        await filler.call("api_versions", 3, HELLO)
        assert door.metrics.requests[1] < 10, "answers to a client that does not read are memory"
        door.pass_time(1_000)
        door.pass_time(30_000)
        await door.until(lambda: door.metrics.closed["slow reader"] == 1)


@in_loop
async def test_a_client_that_reads_slowly_is_left_alone() -> None:
    settings = KafkaSettings(write_buffer_bytes_max=64 * 1024)
    async with served(settings) as door:
        client, filler = await door.connect(), await door.connect()
        for _ in range(8):
            await filler.call("produce", 9, produce_of(batch_of(bytes(1_000_000))))
        client.writer.transport.pause_reading()
        client.send("fetch", 11, fetch_of(bytes_max=16 * MIB, partition_bytes_max=16 * MIB))
        await door.until(lambda: door.metrics.requests[1])
        client.writer.transport.resume_reading()
        received = seconds = 0
        while received < 8_000_000 and seconds < 1_000:
            received += len(await client.reader.read(64 * 1024))
            door.pass_time(1_000)
            seconds += 1
        assert received > 8_000_000
        assert seconds > 3 * 30, "it took longer than a client may be silent"
        await client.close()


@in_loop
async def test_pipelined_requests_of_one_connection_leave_the_others_their_turn() -> None:
    async with served(KafkaSettings(turn_ms=0)) as door:
        greedy, other = await door.connect(), await door.connect()
        await other.call("api_versions", 3, HELLO)
        for _ in range(500):
            greedy.send("metadata", 12, MetadataRequest(None))
        await door.until(lambda: door.metrics.requests[3])
        await other.call("api_versions", 3, HELLO)
        assert door.metrics.requests[3] < 500
        assert [(await greedy.answer())[0] for _ in range(500)] == list(range(500))


# Limits


@in_loop
async def test_more_slow_requests_than_allowed_close() -> None:
    async with served(KafkaSettings(slow_requests_max=1)) as door:
        door.node.groups.join_gate = asyncio.Event()
        first, second = await door.connect(), await door.connect()
        first.send("join_group", 3, JOIN)
        await door.until(lambda: door.metrics.requests[11])
        second.send("join_group", 3, JOIN)
        assert await second.is_closed_by_server()
        assert door.metrics.closed["too many slow requests"] == 1
        door.node.groups.join_gate.set()
        assert (await first.answer())[0] == 0


@in_loop
async def test_connections_beyond_the_limit_are_closed_and_the_others_served() -> None:
    async with served(KafkaSettings(connections_max=3)) as door:
        clients = [await door.connect() for _ in range(3)]
        for client in clients:
            await client.call("api_versions", 3, HELLO)
        assert await (await door.connect()).is_closed_by_server()
        assert door.metrics.closed["too many connections"] == 1
        await clients[0].close()
        await door.until(lambda: door.metrics.connections_open == 2)
        await (await door.connect()).call("api_versions", 3, HELLO)


@in_loop
async def test_one_address_gets_only_its_share() -> None:
    async with served(KafkaSettings(connections_per_ip_max=1)) as door:
        client = await door.connect()
        await client.call("api_versions", 3, HELLO)
        assert await (await door.connect()).is_closed_by_server()
        await client.call("api_versions", 3, HELLO)


# Faults and ends


@in_loop
async def test_a_fault_of_ours_closes_the_connection_and_no_other() -> None:
    async with served() as door:
        client, other = await door.connect(), await door.connect()
        door.node.partitions["t", 0].refusal = ZeroDivisionError("ours")
        client.send("produce", 9, produce_of())
        assert await client.is_closed_by_server()
        assert door.metrics.closed["a fault of ours"] == 1
        await other.call("api_versions", 3, HELLO)


@in_loop
async def test_a_fault_in_a_coroutine_closes_the_connection_too() -> None:
    async with served() as door:
        client = await door.connect()
        door.node.groups.refusal = ZeroDivisionError("ours")
        client.send("join_group", 3, JOIN)
        assert await client.is_closed_by_server()


@in_loop
async def test_a_produce_whose_client_is_gone_is_committed_and_answered_to_nobody() -> None:
    async with served() as door:
        door.node.holds_commits = True
        client = await door.connect()
        client.send("produce", 9, produce_of(batch_of(bytes(50_000))))
        await door.until(lambda: door.node.committing)
        await client.close()
        await door.until(lambda: door.metrics.connections_open == 0)
        door.node.commit()
        assert door.node.partitions["t", 0].high_watermark == 1
        assert door.metrics.frame_bytes_held == 0


@in_loop
async def test_a_fetch_whose_client_is_gone_watches_nothing_any_more() -> None:
    async with served() as door:
        client = await door.connect()
        client.send("fetch", 11, fetch_of(wait_ms=30_000))
        await door.until(lambda: door.node.partitions["t", 0].watchers)
        await client.close()
        await door.until(lambda: not door.node.partitions["t", 0].watchers)


@in_loop
async def test_closing_answers_what_is_due_and_does_not_wait_for_a_rebalance() -> None:
    async with served() as door:
        door.node.holds_commits = True
        door.node.groups.join_gate = asyncio.Event()
        producer, consumer, joiner = [await door.connect() for _ in range(3)]
        producer.send("produce", 9, produce_of())
        consumer.send("fetch", 11, fetch_of(("t", 1, 0), wait_ms=30_000))
        joiner.send("join_group", 3, JOIN)
        await door.until(lambda: door.node.committing and door.metrics.requests[1] and door.metrics.requests[11])
        closing = asyncio.get_running_loop().create_task(door.server.close(20_000))
        assert fetched((await consumer.answer())[1])[0].records in (None, b"")
        assert await joiner.is_closed_by_server()
        assert not closing.done(), "a commit is due"
        door.node.commit()
        assert produced((await producer.answer())[1]).error_code == 0
        await closing
        with pytest.raises(OSError):
            await door.connect()


@in_loop
async def test_closing_drops_what_is_not_done_by_the_deadline() -> None:
    async with served() as door:
        door.node.holds_commits = True
        client = await door.connect()
        client.send("produce", 9, produce_of())
        await door.until(lambda: door.node.committing)
        await door.server.close(20)
        assert await client.is_closed_by_server()
        assert door.metrics.closed["stopping"] == 1
        door.node.commit(NotLeaderError())


@in_loop
async def test_a_port_in_use_is_said_and_leaves_nothing_behind() -> None:
    async with served() as door:
        from gateway.kafka.server import KafkaServer

        second = KafkaServer(door.node, KafkaSettings())
        with pytest.raises(OSError):
            await second.start(*door.address)
        await second.close(100)


@in_loop
async def test_a_heartbeat_needs_no_task() -> None:
    async with served() as door:
        client = await door.connect()
        before = len(asyncio.all_tasks())
        client.send("heartbeat", 4, HeartbeatRequest("g", 1, "m"))
        client.send("produce", 9, produce_of())
        client.send("fetch", 11, fetch_of(("t", 1, 0), wait_ms=20))
        await door.until(lambda: door.node.appended and door.metrics.requests[1])
        assert len(asyncio.all_tasks()) == before
        for _ in range(3):
            await client.answer()


@in_loop
async def test_an_empty_produce_is_answered() -> None:
    async with served() as door:
        client = await door.connect()
        await client.call("produce", 9, ProduceRequest(None, -1, 1_000, []))
