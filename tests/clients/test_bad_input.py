"""Bytes, batches and clients that a node must survive: refused and counted, while a good client notices nothing.

What is required stands in the table of the hardening notes: close at once or the right code, nothing appended, memory
by bytes that arrived and never by bytes that were announced.
"""

import json
import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.wire.error_codes import ErrorCode
from gateway.wire.messages.api_versions import ApiVersionsRequest
from gateway.wire.messages.create_topics import CreatableTopic, CreateTopicsRequest
from gateway.wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from gateway.wire.messages.list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from gateway.wire.messages.metadata import MetadataRequest, MetadataRequestTopic
from store.batches import Producer
from store.events import Record
from tests.support.bad_batches import ANY_TOPIC, STREAM, BadBatch, plain, produced_by
from tests.support.blocking_kafka import BlockingKafka
from tests.support.frames_fuzz import fuzz
from tests.support.good_client import GoodClient
from tests.support.produce import fetch_of, fetched, produce_of
from tests.support.raw_kafka import batch_of, request_frame
from tests.support.served import ServedNode
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.clients, pytest.mark.timeout(120)]

MIB = 1 << 20
GROWTH_BYTES_MAX = 64 * MIB
# Alone on a machine it is some ms; the bound is for two shared cores.
GOOD_WORST_MS = 1_000
FUZZ_SEED = 20_261_124
FUZZ_FRAMES = 3_000
FRAME_DEADLINE_MS = 1_500


@pytest.fixture(scope="module")
def bad_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    """Topics: `good` for the good client, `plain` without and `stream` with a schema, `large` with 8 MiB."""
    environment = {"TIMESPLIT_FRAME_DEADLINE_MS": str(FRAME_DEADLINE_MS)}
    node = ServedNode(tmp_path_factory.mktemp("bad") / "data", environment=environment).start()
    try:
        for name in ("good", "plain", "large"):
            node.post_json("/api/v1/topics", {"name": name, "partitions": 2})
        node.post_json("/api/v1/topics", {"name": "stream", "partitions": 1, "schema": {"n": "long"}})
        with BlockingKafka(node.kafka) as kafka:
            for _ in range(16):
                kafka.append("large", 0, [Record(0, 0, None, bytes(MIB // 2))])
        yield node
        assert node.process is not None
        assert node.process.poll() is None, "the node ended"
        assert node.metric("timesplit_kafka_closed_total", reason="a fault of ours") == 0
        assert errors(node, ErrorCode.UNKNOWN_SERVER_ERROR) == 0
    finally:
        node.kill()


def errors(node: ServedNode, code: ErrorCode) -> float:
    try:
        return node.metric("timesplit_kafka_errors_total", code=code.name)
    except KeyError:
        return 0


def closed(node: ServedNode, reason: str) -> float:
    return node.metric("timesplit_kafka_closed_total", reason=reason)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


# -- batches


def refused(node: ServedNode, topic: str, case: BadBatch) -> None:
    with BlockingKafka(node.kafka) as kafka:
        end = kafka.end(topic, 0)
        before = sum(errors(node, code) for code in case.codes)
        code, offset = kafka.produce(topic, 0, case.batch(now_ms()))
        assert code in case.codes, f"{code.name}, not {[right.name for right in case.codes]}"
        assert offset == -1
        assert sum(errors(node, code) for code in case.codes) == before + 1
        assert kafka.end(topic, 0) == end, "something was appended"
        kafka.append(topic, 0, [Record(0, now_ms(), None, b"{}")])  # the connection lives, and so does the topic


@pytest.mark.parametrize("topic", ["plain", "stream"])
@pytest.mark.parametrize("name", ANY_TOPIC)
def test_bad_batches_are_refused_and_counted(bad_node: ServedNode, topic: str, name: str) -> None:
    refused(bad_node, topic, ANY_TOPIC[name])


@pytest.mark.parametrize("name", STREAM)
def test_a_stream_refuses_bad_records_too(bad_node: ServedNode, name: str) -> None:
    with GoodClient(bad_node, "good") as good:
        refused(bad_node, "stream", STREAM[name])
    assert good.worst_ms < GOOD_WORST_MS
    assert good.growth_bytes < GROWTH_BYTES_MAX


def test_one_bad_partition_refuses_itself_alone(bad_node: ServedNode) -> None:
    good, bad = plain(now_ms()), ANY_TOPIC["wrong crc"].batch(now_ms())
    request = produce_of(good, topic="plain")
    request.topic_data[0].partition_data.append(
        produce_of(bad, topic="plain", partition=1).topic_data[0].partition_data[0]
    )
    with BlockingKafka(bad_node.kafka) as kafka:
        ends = [kafka.end("plain", partition) for partition in (0, 1)]
        answer = kafka.call("produce", 9, request)
        codes = [partition.error_code for partition in answer.responses[0].partition_responses]
        assert codes == [ErrorCode.NONE, ErrorCode.CORRUPT_MESSAGE]
        assert [kafka.end("plain", partition) for partition in (0, 1)] == [ends[0] + 2, ends[1]]


def test_a_batch_that_nobody_can_read_hides_no_offset_of_a_time(bad_node: ServedNode) -> None:
    """A topic without schema stores what it does not parse, as long as the batch around it is right."""
    bad_node.post_json("/api/v1/topics", {"name": "unread", "partitions": 1})
    at = now_ms()
    with BlockingKafka(bad_node.kafka) as kafka:
        assert kafka.append("unread", 0, [Record(0, at, None, b"before")]) == 0
        for number, name in enumerate(("garbage as gzip", "a record longer than the batch", "a zstd bomb")):
            assert kafka.produce("unread", 0, STREAM[name].batch(at + 10)) == (ErrorCode.NONE, number + 1)
        assert kafka.append("unread", 0, [Record(0, at + 5, None, b"behind")]) == 4
        found = [kafka.offset_at("unread", 0, time_ms) for time_ms in (at - 1, at, at + 1, at + 5, at + 6)]
        assert found == [(0, at), (0, at), (4, at + 5), (4, at + 5), (-1, -1)]
    (row,) = bad_node.get_json("/api/v1/topics/unread/aggregate")["rows"]
    assert row["count"] == 2


def test_values_that_are_no_json_are_stored_counted_and_have_no_attributes(bad_node: ServedNode) -> None:
    bad_node.post_json("/api/v1/topics", {"name": "values", "partitions": 1, "schema": {"n": "long"}})
    values = [b"no json", b"\xff\xfe", b"[1]", b'{"n":"1"}', b'{"n":5}', None, b'{"n":1', b"", b'{"n":1}trailing']
    with BlockingKafka(bad_node.kafka) as kafka:
        kafka.append("values", 0, [Record(0, now_ms(), None, value) for value in values])
        assert [row.value for row in kafka.read_all("values", 0)] == values
    rows = [json.loads(line) for line in bad_node.get("/api/v1/topics/values/events", accept="*/*").splitlines()]
    assert [row["n"] for row in rows] == [None, None, None, None, 5, None, None, None, None]
    assert bad_node.metric("timesplit_values_not_json_total", topic="values") == 7


def test_sequences_out_of_order_and_old_epochs_are_refused(bad_node: ServedNode) -> None:
    def produce(epoch: int, sequence: int, count: int = 1) -> tuple[ErrorCode, int]:
        return kafka.produce("plain", 1, produced_by(now_ms(), Producer(77, epoch, sequence), count))

    with BlockingKafka(bad_node.kafka) as kafka:
        code, first = produce(3, 0, 2)
        assert code is ErrorCode.NONE
        assert produce(3, 0, 2) == (ErrorCode.NONE, first)  # again: the same place
        end = kafka.end("plain", 1)
        for epoch, sequence, count, wanted in (
            (3, 3, 1, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER),
            (3, 1, 2, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER),
            (3, 2**31 - 1, 1, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER),
            (4, 5, 1, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER),
            (2, 2, 1, ErrorCode.INVALID_PRODUCER_EPOCH),
            (0, 0, 1, ErrorCode.INVALID_PRODUCER_EPOCH),
        ):
            before = errors(bad_node, wanted)
            assert produce(epoch, sequence, count) == (wanted, -1), f"epoch {epoch}, sequence {sequence}"
            assert errors(bad_node, wanted) == before + 1
        assert kafka.end("plain", 1) == end
        assert produce(3, 2) == (ErrorCode.NONE, end)
        assert produce(4, 0) == (ErrorCode.NONE, end + 1)


@pytest.mark.parametrize("acks", [2, -2, 32_767])
def test_unknown_acks_are_refused(bad_node: ServedNode, acks: int) -> None:
    with BlockingKafka(bad_node.kafka) as kafka:
        end = kafka.end("plain", 0)
        assert kafka.produce("plain", 0, plain(now_ms()), acks=acks)[0] is ErrorCode.INVALID_REQUIRED_ACKS
        assert kafka.end("plain", 0) == end


# -- names

BAD_NAMES = ["", ".", "..", "a/b", "..\\..", "a\x00b", "ä", "日本", "x" * 250, "a b", "t;DROP", "\x7f", "a\n"]


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
def test_bad_topic_names_are_refused_and_make_nothing(bad_node: ServedNode, name: str) -> None:
    with BlockingKafka(bad_node.kafka) as kafka:
        asked = kafka.call("metadata", 9, MetadataRequest([MetadataRequestTopic(name=name)]))
        assert asked.topics[0].error_code == ErrorCode.INVALID_TOPIC_EXCEPTION
        made = kafka.call("create_topics", 5, CreateTopicsRequest([CreatableTopic(name, 1, 1)], 5_000))
        assert made.topics[0].error_code == ErrorCode.INVALID_TOPIC_EXCEPTION
        code, _ = kafka.produce(name, 0, batch_of(b"x"))
        assert code in {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.INVALID_TOPIC_EXCEPTION}
    assert name not in {topic["name"] for topic in bad_node.get_json("/api/v1/topics")["topics"]}


def test_unknown_topics_and_partitions_have_their_code(bad_node: ServedNode) -> None:
    with BlockingKafka(bad_node.kafka) as kafka:
        for topic, partition in (("nowhere", 0), ("plain", 2), ("plain", -1), ("plain", 2**31 - 1)):
            code, _ = kafka.produce(topic, partition, batch_of(b"x"))
            assert code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            (found,) = fetched(kafka.call("fetch", 11, fetch_of((topic, partition, 0))))
            assert found.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


# -- frames


def framed(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


def header(key: int, version: int, tags: bytes = b"") -> bytes:
    return struct.pack(">hhih", key, version, 1, -1) + tags


METADATA = request_frame("metadata", 12, 1, MetadataRequest([MetadataRequestTopic(name="plain")]))
PRODUCE = request_frame("produce", 9, 1, produce_of(topic="plain"))
MALFORMED = {
    "length 2^31-1": struct.pack(">i", 2**31 - 1),
    "length above the limit": struct.pack(">i", 100 * MIB + 1) + bytes(1000),
    "length -1": struct.pack(">i", -1),
    "length 0": struct.pack(">i", 0),
    "length 7": framed(bytes(7)),
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "http post": b"POST /api/v1/topics HTTP/1.1\r\nContent-Length: 9999\r\n\r\n{}",
    "tls": bytes.fromhex("16030100c8010000c40303") + bytes(200),
    "pickle": b"\x80\x04\x95\x1f\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system",
    "ssh": b"SSH-2.0-OpenSSH_9.6\r\n",
    "a truncated request": framed(METADATA[4:-3]),
    "a client id beyond the frame": framed(struct.pack(">hhih", 3, 1, 1, 99) + b"abc"),
    "a client id of -2 bytes": framed(struct.pack(">hhih", 3, 1, 1, -2) + bytes(8)),
    "an array of 2^31-1": framed(header(3, 1) + struct.pack(">i", 2**31 - 1)),
    "an array of -2": framed(header(3, 1) + struct.pack(">i", -2)),
    "a compact array of 2^32-2": framed(header(3, 12, b"\x00") + b"\xff\xff\xff\xff\x0f"),
    "2^32-1 tags": framed(header(3, 12, b"\xff\xff\xff\xff\x0f")),
    "an overlong varint": framed(header(3, 12, b"\xff" * 12)),
    "a string of -2": framed(header(3, 1) + struct.pack(">ih", 1, -2)),
    "a string beyond the frame": framed(header(3, 1) + struct.pack(">ih", 1, 99) + b"abc"),
    "no utf-8": framed(header(3, 1) + struct.pack(">ih", 1, 2) + b"\xff\xfe"),
    "records beyond the frame": framed(PRODUCE[4:-20]),
    "two MiB of metadata": framed(header(3, 12, b"\x00") + bytes(2 * MIB)),
}
UNKNOWN = {
    "api 999": framed(header(999, 0) + bytes(20)),
    "api -1": framed(header(-1, 0) + bytes(20)),
    "produce 2": framed(header(0, 2) + bytes(20)),
    "metadata 99": framed(header(3, 99) + bytes(20)),
    "metadata -1": framed(header(3, -1) + bytes(20)),
    "fetch 3": framed(header(1, 3) + bytes(20)),
    **{f"inter-broker api {key}": framed(header(key, 0) + bytes(20)) for key in (4, 5, 6, 7, 27, 52, 56, 62, 67)},
}


@pytest.mark.parametrize("name", [*MALFORMED, *UNKNOWN])
def test_bad_frames_close_at_once_and_are_counted(bad_node: ServedNode, name: str) -> None:
    is_malformed = name in MALFORMED
    reason = "malformed frame" if is_malformed else "unknown api or version"
    before, late = closed(bad_node, reason), closed(bad_node, "frame deadline")
    with BlockingKafka(bad_node.kafka) as bad:
        bad.socket.sendall(MALFORMED[name] if is_malformed else UNKNOWN[name])
        assert bad.is_closed()
    wait_until(lambda: closed(bad_node, reason) == before + 1, what="the count")
    assert closed(bad_node, "frame deadline") == late, "closed by a deadline, not at once"


def test_api_versions_of_the_future_is_answered_in_version_0(bad_node: ServedNode) -> None:
    frame = framed(struct.pack(">hhih", 18, 99, 0, -1) + b"\x00\x02x\x021\x00")
    with BlockingKafka(bad_node.kafka) as kafka:
        kafka.socket.sendall(frame)
        kafka._sent.append(("api_versions", 0))
        _, answer = kafka.answer()
        assert answer.error_code == ErrorCode.UNSUPPORTED_VERSION
        assert {key.api_key for key in answer.api_keys} >= {0, 1, 3, 18}
        assert kafka.end("plain", 0) >= 0


# -- absurd requests


def test_fetches_with_absurd_limits_are_answered(bad_node: ServedNode) -> None:
    int_max = 2**31 - 1
    cases = (
        # max_bytes, min_bytes, partition_max_bytes, offset, wanted
        (int_max, -1, int_max, 0, ErrorCode.NONE),
        (int_max, int_max, int_max, 0, ErrorCode.NONE),
        (-1, -1, -1, 0, ErrorCode.NONE),
        (0, 0, 0, 0, ErrorCode.NONE),
        (int_max, 1, int_max, 2**63 - 1, ErrorCode.OFFSET_OUT_OF_RANGE),
        (int_max, 1, int_max, -1, ErrorCode.OFFSET_OUT_OF_RANGE),
        (int_max, 1, int_max, -(2**63), ErrorCode.OFFSET_OUT_OF_RANGE),
    )
    with GoodClient(bad_node, "good") as good, BlockingKafka(bad_node.kafka) as kafka:
        for bytes_max, bytes_min, partition_bytes_max, offset, wanted in cases:
            part = FetchPartition(0, -1, offset, partition_max_bytes=partition_bytes_max)
            request = FetchRequest(
                max_wait_ms=200,
                min_bytes=bytes_min,
                max_bytes=bytes_max,
                topics=[FetchTopic("large", partitions=[part])],
            )
            (found,) = fetched(kafka.call("fetch", 11, request))
            assert found.error_code == wanted
        # The same partition, and one that is not there, very many times in one request.
        for partition in (0, 9):
            many = [FetchPartition(partition, -1, 0, partition_max_bytes=1)] * 20_000
            answer = kafka.call(
                "fetch", 11, FetchRequest(max_wait_ms=0, max_bytes=1, topics=[FetchTopic("good", partitions=many)])
            )
            assert len(fetched(answer)) == 20_000
        request = ListOffsetsRequest(
            -1, topics=[ListOffsetsTopic("good", [ListOffsetsPartition(0, timestamp=5)] * 2_000)]
        )
        assert len(kafka.call("list_offsets", 5, request).topics[0].partitions) == 2_000
    assert good.worst_ms < GOOD_WORST_MS
    assert good.growth_bytes < GROWTH_BYTES_MAX


def test_3000_pipelined_requests_are_answered_in_order(bad_node: ServedNode) -> None:
    count = 3_000
    with GoodClient(bad_node, "good") as good, BlockingKafka(bad_node.kafka) as kafka:
        frames: list[bytes] = []
        for number in range(count):
            api, version, message = (
                ("api_versions", 3, ApiVersionsRequest("x", "1")),
                ("metadata", 9, MetadataRequest([MetadataRequestTopic(name="plain")])),
                ("produce", 9, produce_of(batch_of(b"%d" % number), topic="plain")),
            )[number % 3]
            kafka._sent.append((api, version))
            frames.append(request_frame(api, version, number, message))
        with BlockingKafka(bad_node.kafka) as other, ThreadPoolExecutor(1) as sender:
            end = other.end("plain", 0)
            # Beside the reading: the node stops to read while too much is unanswered.
            sending = sender.submit(kafka.socket.sendall, b"".join(frames))
            assert [kafka.answer()[0] for _ in range(count)] == list(range(count))
            sending.result()
            assert other.end("plain", 0) - end == count // 3
    assert good.worst_ms < GOOD_WORST_MS


# -- clients that promise, dawdle, or never read


def test_promises_of_90_mib_take_no_memory(bad_node: ServedNode) -> None:
    bads: list[socket.socket] = []
    with GoodClient(bad_node, "good") as good:
        try:
            for _ in range(50):
                bad = socket.create_connection(address(bad_node))
                bads.append(bad)
                bad.sendall(struct.pack(">ihhih", 90 * MIB, 0, 9, 1, -1) + bytes(1024))
            rounds = good.round_count
            wait_until(lambda: good.round_count > rounds + 50, what="50 rounds of the good client")
        finally:
            for bad in bads:
                bad.close()
    print(f"50 promises: worst {good.worst_ms:.0f} ms, growth {good.growth_bytes / MIB:.1f} MiB")
    assert good.worst_ms < GOOD_WORST_MS
    assert good.growth_bytes < GROWTH_BYTES_MAX


def address(node: ServedNode) -> tuple[str, int]:
    host, port = node.kafka.rsplit(":", 1)
    return host, int(port)


def test_half_frames_are_closed_by_their_deadline(bad_node: ServedNode) -> None:
    before = closed(bad_node, "frame deadline")
    with GoodClient(bad_node, "good") as good:
        bads = [BlockingKafka(bad_node.kafka, deadline_s=10) for _ in range(20)]
        try:
            for bad in bads:
                bad.call("api_versions", 3, ApiVersionsRequest("x", "1"))
                bad.socket.sendall(PRODUCE[:30])
            begun = time.monotonic()
            assert all(bad.is_closed() for bad in bads)
            # The sweep is a second coarse.
            assert time.monotonic() - begun < FRAME_DEADLINE_MS / 1000 + 2.5
        finally:
            for bad in bads:
                bad.socket.close()
    assert closed(bad_node, "frame deadline") == before + 20
    assert good.worst_ms < GOOD_WORST_MS


def test_clients_that_never_read_cost_bounded_memory(bad_node: ServedNode) -> None:
    fetch = request_frame("fetch", 11, 1, fetch_of(("large", 0, 0), bytes_max=2**31 - 1, partition_bytes_max=2**31 - 1))
    bads: list[socket.socket] = []
    with GoodClient(bad_node, "good") as good:
        try:
            for _ in range(20):
                bad = socket.socket()
                bad.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                bads.append(bad)
                bad.connect(address(bad_node))
                bad.setblocking(False)
                bad.send(fetch * 300)
            rounds = good.round_count
            wait_until(lambda: good.round_count > rounds + 50, what="50 rounds of the good client")
        finally:
            for bad in bads:
                bad.close()
    print(f"20 who never read: worst {good.worst_ms:.0f} ms, growth {good.growth_bytes / MIB:.1f} MiB")
    assert good.worst_ms < GOOD_WORST_MS
    assert good.growth_bytes < GROWTH_BYTES_MAX


def test_connections_that_come_and_go_leave_nothing(bad_node: ServedNode) -> None:
    with GoodClient(bad_node, "good") as good:
        for number in range(500):
            with socket.create_connection(address(bad_node)) as bad:
                bad.sendall((b"", PRODUCE[:20], METADATA, bytes(3))[number % 4])
    # The one that asks and the good client's may still be there.
    wait_until(lambda: bad_node.metric("timesplit_kafka_connections") == 0, what="all connections gone")
    assert good.worst_ms < GOOD_WORST_MS
    assert good.growth_bytes < GROWTH_BYTES_MAX
    assert bad_node.metric("timesplit_kafka_frame_bytes") == 0


def test_damaged_frames_are_answered_or_closed(bad_node: ServedNode) -> None:
    with BlockingKafka(bad_node.kafka) as kafka:
        untouched = kafka.read_all("large", 0)
    with GoodClient(bad_node, "good") as good:
        outcome = fuzz(bad_node.kafka, "stream", FUZZ_SEED, FUZZ_FRAMES)
    print(f"{outcome}, seed {FUZZ_SEED}: worst {good.worst_ms:.0f} ms, growth {good.growth_bytes / MIB:.1f} MiB")
    assert outcome.answers > 500
    assert outcome.intact > 100
    assert outcome.closed > 300
    assert outcome.waiting < 0.05 * FUZZ_FRAMES
    assert good.worst_ms < GOOD_WORST_MS
    assert good.growth_bytes < GROWTH_BYTES_MAX
    assert closed(bad_node, "a fault of ours") == 0
    assert errors(bad_node, ErrorCode.UNKNOWN_SERVER_ERROR) == 0
    with BlockingKafka(bad_node.kafka) as kafka:
        assert kafka.read_all("large", 0) == untouched
