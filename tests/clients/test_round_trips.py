"""What one client wrote, every other reads: counts, order, bytes, headers and timestamps equal."""

import time
from itertools import zip_longest

import pytest

from tests.support.served import ServedNode

from .clients import CLIENTS, Client, Message

pytestmark = [
    pytest.mark.clients,
    # kafka-python leaves its sockets to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

T0 = 1_700_000_000_000
MANY = (20_000, pytest.param(100_000, marks=pytest.mark.evidence))
PER_CODEC = 2_000


def messages(count: int) -> list[Message]:
    return [
        Message(
            f"key-{i % 97}".encode(),
            f'{{"i": {i}, "text": "{"x" * (i % 50)}"}}'.encode(),
            (("source", b"test"), ("number", b"7")),
            T0 + i * 3 - (i % 7) * 1_000,
        )
        for i in range(count)
    ]


def assert_equal(got: list[Message], wrote: list[Message], *, has_timestamps: bool) -> None:
    assert len(got) == len(wrote)
    for place, (here, there) in enumerate(zip_longest(got, wrote)):
        assert here[:3] == there[:3], f"message {place}"
        if has_timestamps:
            assert here.timestamp_ms == there.timestamp_ms, f"message {place}"


def _round_trip(node: ServedNode, writer: Client, reader: Client, codec: str, count: int) -> None:
    topic = f"{writer.name}-{reader.name}-{codec}-{count}"
    wrote = messages(count)
    before_ms = int(time.time() * 1000) - 1
    writer.write(node.kafka, topic, wrote, codec)
    got = reader.read(node.kafka, topic, count)
    assert_equal(got, wrote, has_timestamps=writer.name != "kcat")
    if writer.name == "kcat":
        assert all(before_ms <= message.timestamp_ms <= time.time() * 1000 + 1 for message in got)


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_each_client_reads_back_what_it_wrote(node: ServedNode, client: Client, codec: str) -> None:
    _round_trip(node, client, client, codec, PER_CODEC)


@pytest.mark.parametrize("reader", CLIENTS, ids=lambda client: client.name)
@pytest.mark.parametrize("writer", CLIENTS, ids=lambda client: client.name)
def test_clients_read_each_other(node: ServedNode, writer: Client, reader: Client) -> None:
    if writer is not reader:
        _round_trip(node, writer, reader, "none", 200)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("count", MANY)
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_each_client_reads_back_many(node: ServedNode, client: Client, count: int) -> None:
    """More than any client holds in one buffer or fetches at a time."""
    _round_trip(node, client, client, "none", count)
