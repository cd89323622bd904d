"""Whatever the bytes are, a decoder returns a message or raises MalformedError, with small allocations."""

import importlib
import tracemalloc
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.wire.errors import MalformedError
from gateway.wire.messages import fetch, metadata, offset_delete, produce
from gateway.wire.primitives import unsigned
from tests.gateway.wire.oracles import LAYOUTS, Layout, kio_bytes, kio_entities

REQUESTS = [layout for layout in LAYOUTS if layout.direction == "request"]
FLEXIBLE = [layout for layout in LAYOUTS if layout.is_flexible]
EXAMPLES = settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))

ALLOCATED_BYTES_MAX = 100_000


def refused(layout: Layout, data: bytes) -> bool:
    try:
        layout.decode(data)
    except MalformedError:
        return True
    return False


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@EXAMPLES
@given(data=st.data())
def test_every_truncation_is_malformed(layout: Layout, data: Any) -> None:
    written = kio_bytes(data.draw(kio_entities(layout.kio)))
    for size in range(min(len(written), 400)):
        assert refused(layout, written[:size]), f"{size} of {len(written)} bytes"


@pytest.mark.parametrize("layout", REQUESTS, ids=str)
@EXAMPLES
@given(data=st.data())
def test_a_changed_byte_gives_a_message_or_malformed(layout: Layout, data: Any) -> None:
    written = bytearray(kio_bytes(data.draw(kio_entities(layout.kio))))
    position = data.draw(st.integers(0, max(len(written) - 1, 0)))
    written[position : position + 1] = data.draw(st.binary(min_size=1, max_size=5))
    refused(layout, bytes(written))


@given(data=st.binary(max_size=60), layout=st.sampled_from(LAYOUTS))
@settings(max_examples=1000, deadline=None)
def test_any_bytes_give_a_message_or_malformed(data: bytes, layout: Layout) -> None:
    refused(layout, data)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_a_frame_of_20_bytes_makes_no_big_allocation(layout: Layout) -> None:
    counts = [b"\xff\xff\xff\xff\x07", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff\x0f", b"\x80\x80\x80\x80\x08"]
    tracemalloc.start()
    try:
        for lead in range(12):
            for count in counts:
                refused(layout, (bytes(lead) + count * 5)[:20])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < ALLOCATED_BYTES_MAX


@pytest.mark.parametrize("count", [2**31 - 1, 2**31, 2**32 - 1])
def test_an_array_is_not_longer_than_its_bytes(count: int) -> None:
    announced = unsigned(count) + bytes(20)
    with pytest.raises(MalformedError, match="elements"):
        metadata.REQUEST_DECODERS[12](memoryview(announced), 0)


def test_the_least_size_of_an_element_counts() -> None:
    # A topic of OffsetDelete takes 6 bytes at least: 4 of them do not fit into 23.
    head = b"\x00\x01g"
    with pytest.raises(MalformedError, match="4 elements of 6 bytes or more in 23 bytes"):
        offset_delete.REQUEST_DECODERS[0](memoryview(head + b"\x00\x00\x00\x04" + bytes(23)), 0)
    decoded, position = offset_delete.REQUEST_DECODERS[0](memoryview(head + b"\x00\x00\x00\x04" + bytes(24)), 0)
    assert len(decoded.topics) == 4
    assert position == 7 + 24


@pytest.mark.parametrize(
    ("request_bytes", "reason"),
    [
        (b"\xff\xfe", "-2 bytes announced"),
        (b"\x00\x05abc", "5 bytes announced"),
        (b"\x00\x01\xff", "codec can't decode"),
    ],
)
def test_bad_legacy_strings_are_malformed(request_bytes: bytes, reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        produce.REQUEST_DECODERS[3](memoryview(request_bytes), 0)


@pytest.mark.parametrize(
    ("request_bytes", "reason"),
    [
        (b"\x06abc", "5 bytes announced"),
        (b"\x02\xff", "codec can't decode"),
        (b"\x80\x80\x80\x80\x80\x00", "no varint"),
        (b"\xff\xff\xff\xff\x1f", "no varint"),
        (b"\x80", "no varint"),
    ],
)
def test_bad_compact_strings_are_malformed(request_bytes: bytes, reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        produce.REQUEST_DECODERS[9](memoryview(request_bytes), 0)


def test_null_is_malformed_where_the_version_has_none() -> None:
    with pytest.raises(MalformedError, match="null"):
        metadata.REQUEST_DECODERS[0](memoryview(b"\xff\xff\xff\xff"), 0)
    assert metadata.REQUEST_DECODERS[1](memoryview(b"\xff\xff\xff\xff"), 0)[0].topics is None


def test_records_longer_than_the_frame_are_malformed() -> None:
    head = b"\xff\xff\x00\x01" + bytes(4) + b"\x00\x00\x00\x01" + b"\x00\x01t" + b"\x00\x00\x00\x01" + bytes(4)
    for size in (b"\x00\x00\x00\x05", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xfe"):
        with pytest.raises(MalformedError, match="bytes announced"):
            produce.REQUEST_DECODERS[3](memoryview(head + size + b"1234"), 0)
    decoded, _ = produce.REQUEST_DECODERS[3](memoryview(head + b"\x00\x00\x00\x04" + b"1234"), 0)
    assert decoded.topic_data[0].partition_data[0].records == b"1234"


@pytest.mark.parametrize("layout", FLEXIBLE, ids=str)
def test_unknown_tags_are_skipped(layout: Layout) -> None:
    message = layout.ours()
    plain = layout.encode(message)
    assert plain.endswith(b"\x00")
    tags = b"\x02" + unsigned(99) + b"\x03abc" + unsigned(2**32 - 1) + b"\x00"
    assert layout.decode(plain[:-1] + tags) == (message, len(plain) - 1 + len(tags))


def test_unknown_tags_are_skipped_beside_known_ones_and_inside() -> None:
    request = fetch.FetchRequest(
        cluster_id="c", topics=[fetch.FetchTopic(topic="t", partitions=[fetch.FetchPartition(partition=1)])]
    )
    written = b"".join(fetch.REQUEST_ENCODERS[12](request))
    at_end = b"\x01\x00\x02\x02c"
    assert written.endswith(at_end)
    widened = written.removesuffix(at_end) + b"\x02\x00\x02\x02c\x63\x01!"
    assert fetch.REQUEST_DECODERS[12](memoryview(widened), 0) == (request, len(widened))

    topics_end = b"\x00\x00\x01\x01" + at_end  # no tags in partition and topic, nothing forgotten, no rack
    assert written.endswith(topics_end)
    inside = written.removesuffix(topics_end) + b"\x01\x63\x01!" + topics_end[1:]
    assert fetch.REQUEST_DECODERS[12](memoryview(inside), 0) == (request, len(inside))


@pytest.mark.parametrize(
    "tags",
    [b"\x01\x00\x03\x02c", b"\x01\x00\x01\x02c", b"\x01\x63\x05!", b"\x02\x63\x01!", b"\xff\xff\xff\xff\x0f"],
    ids=["too long", "too short", "past the end", "one missing", "very many"],
)
def test_bad_tags_are_malformed(tags: bytes) -> None:
    plain = b"".join(fetch.REQUEST_ENCODERS[12](fetch.FetchRequest()))
    with pytest.raises(MalformedError):
        fetch.REQUEST_DECODERS[12](memoryview(plain[:-1] + tags), 0)


def test_a_decoder_starts_at_its_position() -> None:
    written = b"".join(metadata.REQUEST_ENCODERS[12](metadata.MetadataRequest(topics=None)))
    assert metadata.REQUEST_DECODERS[12](memoryview(b"head" + written), 4)[1] == 4 + len(written)


def test_importing_one_api_imports_no_other() -> None:
    module = importlib.import_module("gateway.wire.messages.heartbeat")
    assert not [name for name in vars(module) if name.startswith("Fetch")]
