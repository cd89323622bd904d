"""Every row of the table, in every version, over a socket; and what is not in the table."""

import struct

import pytest

from gateway.kafka.dispatch import API_TABLE, OFFERED, ROUTES
from gateway.wire.apis import SPOKEN_APIS
from gateway.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from tests.support.kafka_door import in_loop, served
from tests.support.raw_kafka import messages_of

REQUESTS = {
    "describe_topic_partitions": lambda m: m.DescribeTopicPartitionsRequest([m.TopicRequest("t")]),
    "init_producer_id": lambda m: m.InitProducerIdRequest(None),
    "join_group": lambda m: m.JoinGroupRequest("g", 10_000, 10_000, protocols=[m.JoinGroupRequestProtocol("range")]),
}


def request_of(api: str) -> object:
    """A request with every default, or one that the API needs more of."""
    messages = messages_of(api)
    name = "".join(part.capitalize() for part in api.split("_")) + "Request"
    return REQUESTS[api](messages) if api in REQUESTS else getattr(messages, name)()


def test_we_offer_only_versions_that_the_codec_speaks() -> None:
    spoken = {api.key: api for api in SPOKEN_APIS}
    for key, first, last in OFFERED:
        assert spoken[key].first <= first <= last <= spoken[key].last
        assert key == messages_of(API_TABLE[key].messages).API_KEY


@pytest.mark.parametrize("key", sorted(API_TABLE))
@in_loop
async def test_every_version_of_every_api_is_answered(key: int) -> None:
    api = API_TABLE[key]
    async with served() as door:
        client = await door.connect()
        for version in range(api.first, api.last + 1):
            if api.messages == "produce":
                request = messages_of("produce").ProduceRequest(acks=-1)
            else:
                request = request_of(api.messages)
            await client.call(api.messages, version, request)
        assert door.metrics.requests[key] == api.last - api.first + 1


@in_loop
async def test_api_versions_lists_exactly_the_table() -> None:
    async with served() as door:
        client = await door.connect()
        for version in range(5):
            answer = await client.call("api_versions", version, ApiVersionsRequest("raw", "1"))
            assert isinstance(answer, ApiVersionsResponse)
            assert answer.error_code == 0
            assert [(a.api_key, a.min_version, a.max_version) for a in answer.api_keys] == list(OFFERED)
            assert not answer.finalized_features


@in_loop
async def test_api_versions_of_the_future_gets_the_list_in_version_0_and_keeps_its_connection() -> None:
    async with served() as door:
        client = await door.connect()
        # A body that no version we know can read.
        client.send_bytes(struct.pack(">ihhih", 16, 18, 99, 0, 3) + b"abc" + b"\xff\xff\xff")
        client.sent.append(("api_versions", 0))
        _, answer = await client.answer()
        assert isinstance(answer, ApiVersionsResponse)
        assert answer.error_code == 35
        assert len(answer.api_keys) == len(OFFERED)
        again = await client.call("api_versions", 3, ApiVersionsRequest("raw", "1"))
        assert isinstance(again, ApiVersionsResponse)
        assert again.error_code == 0


@pytest.mark.parametrize(
    ("key", "version"),
    [(4, 0), (5, 0), (6, 0), (7, 0), (27, 0), (56, 0), (999, 0), (-1, 0), (0, 2), (0, 13), (1, 17), (3, 14), (3, -1)],
)
@in_loop
async def test_an_unknown_key_or_version_closes(key: int, version: int) -> None:
    assert (key << 16 | version) not in ROUTES
    async with served() as door:
        client = await door.connect()
        client.send_bytes(struct.pack(">ihhih", 10, key, version, 1, -1))
        assert await client.is_closed_by_server()
        assert door.metrics.closed["unknown api or version"] == 1
