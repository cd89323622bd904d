"""Bytes that no client should send: the connection ends, nothing is allocated, and a good client does not notice."""

import random
import struct

import pytest

from gateway.kafka.dispatch import API_TABLE
from gateway.wire.messages.api_versions import ApiVersionsRequest
from gateway.wire.messages.metadata import MetadataRequest, MetadataRequestTopic
from tests.support.kafka_door import in_loop, served
from tests.support.produce import produce_of, produced
from tests.support.raw_kafka import request_frame

HELLO = ApiVersionsRequest("raw", "1")
PRODUCE = request_frame("produce", 9, 1, produce_of())
METADATA = request_frame("metadata", 12, 1, MetadataRequest([MetadataRequestTopic(name="t")]))


def framed(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


def header(key: int, version: int, tags: bytes = b"\x00") -> bytes:
    return struct.pack(">hhih", key, version, 1, -1) + tags


MALFORMED = {
    "length 2^31-1": struct.pack(">i", 2**31 - 1),
    "length above the limit": struct.pack(">i", 100 * 1024 * 1024 + 1),
    "negative length": struct.pack(">i", -1),
    "length 7": struct.pack(">i", 7) + bytes(7),
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "tls": bytes.fromhex("16030100c8010000c40303") + bytes(200),
    "pickle": b"\x80\x04\x95\x1f\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system",
    "a header that ends early": framed(struct.pack(">hhi", 3, 1, 1)),
    "client id beyond the frame": framed(struct.pack(">hhih", 3, 1, 1, 99) + b"abc"),
    "client id of -2": framed(struct.pack(">hhih", 3, 1, 1, -2) + bytes(8)),
    "header tags beyond the frame": framed(header(3, 12, b"\xff\xff\xff\xff\x0f")),
    "20,000 header tags that are not there": framed(header(3, 12, b"\xa0\x9c\x01" + bytes(30))),
    "overlong varint": framed(header(3, 12, b"\xff" * 12)),
    "an array of 2^31-1": framed(header(3, 1, b"") + struct.pack(">i", 2**31 - 1)),
    "an array of -2": framed(header(3, 1, b"") + struct.pack(">i", -2)),
    "a compact array of 2^32-1": framed(header(3, 12) + b"\xff\xff\xff\xff\x0f"),
    "a string of -2": framed(header(3, 1, b"") + struct.pack(">ih", 1, -2)),
    "a string beyond the frame": framed(header(3, 1, b"") + struct.pack(">ih", 1, 9) + b"abc"),
    "no utf-8": framed(header(3, 1, b"") + struct.pack(">ih", 1, 2) + b"\xff\xfe"),
    "a message that ends early": framed(METADATA[4:-3]),
    "records beyond the frame": framed(PRODUCE[4:-20]),
}


@pytest.mark.parametrize("name", MALFORMED)
@in_loop
async def test_malformed_bytes_close_and_are_counted(name: str) -> None:
    async with served() as door:
        good, bad = await door.connect(), await door.connect()
        bad.send_bytes(MALFORMED[name])
        assert await bad.is_closed_by_server()
        assert (door.metrics.malformed_frames, door.metrics.closed["malformed frame"]) == (1, 1)
        assert (door.metrics.frame_bytes_held, door.node.appended) == (0, 0)
        await good.call("api_versions", 3, HELLO)


@in_loop
async def test_a_huge_request_without_records_is_refused() -> None:
    async with served() as door:
        client = await door.connect()
        client.send_bytes(framed(header(3, 12) + bytes(API_TABLE[3].request_bytes_max)))
        assert await client.is_closed_by_server()
        assert door.metrics.malformed_frames == 1


@in_loop
async def test_unknown_tags_are_skipped() -> None:
    async with served() as door:
        client = await door.connect()
        tags = b"\x02" + b"\x07\x03abc" + b"\x63\x00"
        client.send_bytes(framed(struct.pack(">hhih", 18, 3, 0, -1) + tags + b"\x04raw" + b"\x021" + tags))
        client.sent.append(("api_versions", 3))
        assert (await client.answer())[0] == 0


@pytest.mark.parametrize("name", ["\x00", "a\x00b", "日本", "x" * 250, "a\\b", "__" * 100])
@in_loop
async def test_odd_topic_names_are_answered_per_topic(name: str) -> None:
    async with served() as door:
        door.node.auto_creates = False
        client = await door.connect()
        answer = await client.call("metadata", 12, MetadataRequest([MetadataRequestTopic(name=name)]))
        assert answer.topics[0].error_code in {3, 17}


@pytest.mark.parametrize("seed", range(8))
@in_loop
async def test_random_damage_is_refused_or_answered_and_never_a_fault_of_ours(seed: int) -> None:
    """Flips, cuts and noise in good requests of every API; the seed replays."""
    chance = random.Random(seed)
    async with served() as door:
        good = await door.connect()
        seeds = [PRODUCE, METADATA, request_frame("produce", 3, 1, produce_of(acks=1))]
        for _ in range(60):
            body = bytearray(chance.choice(seeds)[4:])
            if chance.random() < 0.3:
                key = chance.choice(list(API_TABLE))
                version = chance.randint(API_TABLE[key].first, API_TABLE[key].last)
                body = bytearray(header(key, version) + chance.randbytes(chance.randint(0, 80)))
            for _ in range(chance.randint(1, 4)):
                position = chance.randrange(8, len(body))  # behind key, version and correlation id
                body[position] = chance.randrange(256)
            client = await door.connect()
            client.send_bytes(framed(bytes(body[: chance.randint(10, len(body))])))
            client.writer.write_eof()
            await client.reader.read()
            await client.close()
        assert door.metrics.closed["a fault of ours"] == 0
        assert -1 not in door.metrics.errors
        assert produced(await good.call("produce", 9, produce_of())).error_code == 0
