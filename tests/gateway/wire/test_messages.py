"""What the generated classes promise to the handlers that use them."""

import sys
from subprocess import run
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.errors import UnencodableError
from gateway.wire.messages import api_versions, create_topics, fetch, metadata, offset_commit, produce
from gateway.wire.primitives import COPIED_BYTES_MAX
from tests.gateway.wire.oracles import LAYOUTS, Layout


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_a_message_of_defaults_survives_every_version(layout: Layout) -> None:
    message = layout.ours()
    written = layout.encode(message)
    assert layout.decode(written) == (message, len(written))


def test_fields_unknown_to_a_version_take_their_defaults() -> None:
    request = create_topics.CreateTopicsRequest(validate_only=True)
    written = b"".join(create_topics.REQUEST_ENCODERS[2](request))
    assert create_topics.REQUEST_DECODERS[2](memoryview(written), 0)[0].timeout_ms == 60_000
    response = metadata.MetadataResponse(topics=[metadata.MetadataResponseTopic(name="t", topic_id=b"i" * 16)])
    old = b"".join(metadata.RESPONSE_ENCODERS[0](response))  # ignorable: left out
    topics = metadata.RESPONSE_DECODERS[0](memoryview(old), 0)[0].topics
    assert (topics[0].topic_id, topics[0].topic_authorized_operations) == (bytes(16), -(2**31))


def test_a_value_that_must_not_be_dropped_is_refused_by_versions_without_it() -> None:
    partition = produce.PartitionProduceResponse(current_leader=produce.LeaderIdAndEpoch(leader_id=3, leader_epoch=4))
    response = produce.ProduceResponse(responses=[produce.TopicProduceResponse(partition_responses=[partition])])
    with pytest.raises(UnencodableError, match="current_leader"):
        produce.RESPONSE_ENCODERS[9](response)
    written = b"".join(produce.RESPONSE_ENCODERS[10](response))
    assert produce.RESPONSE_DECODERS[10](memoryview(written), 0)[0] == response


def test_a_tag_with_its_default_is_left_out() -> None:
    partition = produce.PartitionProduceResponse(current_leader=produce.LeaderIdAndEpoch())
    response = produce.ProduceResponse(responses=[produce.TopicProduceResponse(partition_responses=[partition])])
    absent = produce.ProduceResponse(
        responses=[produce.TopicProduceResponse(partition_responses=[produce.PartitionProduceResponse()])]
    )
    assert produce.RESPONSE_ENCODERS[10](response) == produce.RESPONSE_ENCODERS[10](absent)


@pytest.mark.parametrize(
    "response",
    [
        fetch.FetchResponse(throttle_time_ms=2**31),
        fetch.FetchResponse(responses=[fetch.FetchableTopicResponse(topic="\ud800")]),
        fetch.FetchResponse(responses=[fetch.FetchableTopicResponse(topic="x" * 40_000)]),
        fetch.FetchResponse(responses=[fetch.FetchableTopicResponse(topic=None)]),
        fetch.FetchResponse(responses=None),
    ],
    ids=["out of range", "no text", "too long", "null string", "null array"],
)
def test_what_does_not_fit_is_unencodable(response: Any) -> None:
    with pytest.raises(UnencodableError):
        fetch.RESPONSE_ENCODERS[11](response)


def fetched(records: Any) -> fetch.FetchResponse:
    partitions = [fetch.PartitionData(partition_index=1, records=records), fetch.PartitionData(partition_index=2)]
    return fetch.FetchResponse(responses=[fetch.FetchableTopicResponse(topic="t", partitions=partitions)])


@given(pieces=st.lists(st.binary(max_size=40) | st.integers(0, 2 * COPIED_BYTES_MAX).map(bytes), max_size=5))
@pytest.mark.parametrize("version", [11, 12])
def test_records_in_pieces_are_those_in_one(version: int, pieces: list[bytes]) -> None:
    whole = b"".join(fetch.RESPONSE_ENCODERS[version](fetched(b"".join(pieces))))
    assert b"".join(fetch.RESPONSE_ENCODERS[version](fetched(pieces))) == whole
    assert b"".join(fetch.RESPONSE_ENCODERS[version](fetched(list(map(memoryview, pieces))))) == whole


def test_large_records_are_handed_on_and_small_ones_joined() -> None:
    large, small = memoryview(bytes(COPIED_BYTES_MAX + 1)), b"small"
    written = fetch.RESPONSE_ENCODERS[12](fetched([small, large, small]))
    assert [part is large for part in written] == [False, True, False]


def test_decoded_records_are_slices_of_the_frame() -> None:
    data = [produce.PartitionProduceData(index=0, records=memoryview(b"records"))]
    request = produce.ProduceRequest(topic_data=[produce.TopicProduceData(name="t", partition_data=data)])
    for version in (3, 9):
        frame = b"".join(produce.REQUEST_ENCODERS[version](request))
        decoded, _ = produce.REQUEST_DECODERS[version](memoryview(frame), 0)
        records = decoded.topic_data[0].partition_data[0].records
        assert records is not None
        assert records.obj is frame
        assert records == b"records"


def test_exact_bytes_of_a_produce_request_and_response() -> None:
    data = [produce.PartitionProduceData(index=7, records=memoryview(b"rec"))]
    request = produce.ProduceRequest(
        acks=-1, timeout_ms=1000, topic_data=[produce.TopicProduceData(name="ab", partition_data=data)]
    )
    legacy = "ffff ffff 000003e8 00000001 0002 6162 00000001 00000007 00000003 726563"
    compact = "00 ffff 000003e8 02 03 6162 02 00000007 04 726563 00 00 00"
    assert b"".join(produce.REQUEST_ENCODERS[3](request)) == bytes.fromhex(legacy)
    assert b"".join(produce.REQUEST_ENCODERS[9](request)) == bytes.fromhex(compact)
    answered = [
        produce.PartitionProduceResponse(
            index=7,
            error_code=6,
            base_offset=-1,
            log_start_offset=0,
            current_leader=produce.LeaderIdAndEpoch(leader_id=2, leader_epoch=5),
        )
    ]
    response = produce.ProduceResponse(
        responses=[produce.TopicProduceResponse(name="ab", partition_responses=answered)],
        node_endpoints=[produce.NodeEndpoint(node_id=2, host="h", port=9)],
    )
    expected = (
        "02 03 6162 02 00000007 0006 ffffffffffffffff ffffffffffffffff 0000000000000000 01 00"
        "01 00 09 00000002 00000005 00"  # the tags of the partition: current_leader
        "00 00000000"
        "01 00 0d 02 00000002 02 68 00000009 00 00"  # the tags of the response: node_endpoints
    )
    assert b"".join(produce.RESPONSE_ENCODERS[10](response)) == bytes.fromhex(expected)


def test_exact_bytes_of_api_versions() -> None:
    response = api_versions.ApiVersionsResponse(
        error_code=35, api_keys=[api_versions.ApiVersion(api_key=18, min_version=0, max_version=4)]
    )
    assert b"".join(api_versions.RESPONSE_ENCODERS[0](response)) == bytes.fromhex("0023 00000001 0012 0000 0004")
    assert b"".join(api_versions.RESPONSE_ENCODERS[3](response)) == bytes.fromhex(
        "0023 02 0012 0000 0004 00 00000000 00"
    )


def test_messages_are_equal_by_value_and_print_their_fields() -> None:
    topic = offset_commit.OffsetCommitRequestTopic(name="t")
    assert topic == offset_commit.OffsetCommitRequestTopic(name="t", partitions=[])
    assert topic != offset_commit.OffsetCommitRequestTopic(name="u")
    assert topic != "t"
    assert repr(topic) == "OffsetCommitRequestTopic(name='t', partitions=())"
    with pytest.raises(TypeError, match="unhashable"):
        hash(topic)


def test_an_api_is_imported_without_the_others() -> None:
    code = (
        "import sys, gateway.wire.messages.heartbeat, gateway.wire.apis, gateway.wire.headers\n"
        "print([name for name in sys.modules if name.startswith('gateway.wire.messages.')])"
    )
    done = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['gateway.wire.messages.heartbeat']"
