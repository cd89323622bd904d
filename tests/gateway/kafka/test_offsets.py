"""ListOffsets, OffsetForLeaderEpoch and InitProducerId."""

import pytest

from gateway.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from gateway.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from gateway.wire.messages.offset_for_leader_epoch import (
    EpochEndOffset,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from tests.support.kafka_door import Served, in_loop, served
from tests.support.produce import produce_of
from tests.support.raw_kafka import batch_of


async def filled(door: Served) -> None:
    """Offsets 0 to 4 with times 100, 101, 50, 51, 52: the batches are out of order."""
    client = await door.connect()
    await client.call("produce", 9, produce_of(batch_of(b"a", b"b", timestamp_ms=100)))
    await client.call("produce", 9, produce_of(batch_of(b"c", b"d", b"e", timestamp_ms=50)))


async def find(
    door: Served,
    place: int,
    *,
    version: int = 11,
    epoch: int = -1,
    partition: int = 0,
    topic: str = "t",
    level: int = 0,
) -> ListOffsetsPartitionResponse:
    client = await door.connect()
    asked = ListOffsetsTopic(topic, [ListOffsetsPartition(partition, epoch, place)])
    answer = await client.call("list_offsets", version, ListOffsetsRequest(-1, level, [asked]))
    assert isinstance(answer, ListOffsetsResponse)
    return answer.topics[0].partitions[0]


@pytest.mark.parametrize("version", range(1, 12))
@in_loop
async def test_every_version_finds_both_ends_and_a_time(version: int) -> None:
    async with served() as door:
        await filled(door)
        door.node.partitions["t", 0].log_start = 1
        latest = await find(door, -1, version=version)
        assert (latest.error_code, latest.offset, latest.timestamp) == (0, 5, -1)
        assert (await find(door, -2, version=version)).offset == 1
        at = await find(door, 101, version=version)
        assert (at.offset, at.timestamp) == (1, 101)
        if version >= 4:
            assert latest.leader_epoch == at.leader_epoch == 5


@in_loop
async def test_a_time_finds_the_least_offset_that_is_not_older_whatever_the_order() -> None:
    async with served() as door:
        await filled(door)
        assert [(await find(door, t)).offset for t in (0, 51, 100, 101, 102)] == [0, 0, 0, 1, -1]
        nothing = await find(door, 102)
        assert (nothing.error_code, nothing.timestamp, nothing.leader_epoch) == (0, -1, -1)
        greatest = await find(door, -3)
        assert (greatest.offset, greatest.timestamp) == (1, 101)


@in_loop
async def test_an_empty_partition_has_no_times() -> None:
    async with served() as door:
        assert [(await find(door, place)).offset for place in (-1, -2, -3, -4, -5, -6, 7)] == [0, 0, -1, 0, -1, -1, -1]


@pytest.mark.parametrize(("place", "first"), [(-3, 7), (-4, 8), (-5, 9), (-6, 11), (-7, 99), (-(2**63), 99)])
@in_loop
async def test_places_are_for_the_versions_that_know_them(place: int, first: int) -> None:
    async with served() as door:
        for version in (6, 7, 8, 9, 10, 11):
            assert (await find(door, place, version=version)).error_code == (0 if version >= first else 35)


@pytest.mark.parametrize(
    ("where", "code"), [({"epoch": 4}, 74), ({"epoch": 6}, 75), ({"partition": 9}, 3), ({"topic": "nowhere"}, 3)]
)
@in_loop
async def test_what_is_not_there_or_fenced_is_told(where: dict, code: int) -> None:
    async with served() as door:
        found = await find(door, -1, **where)
        assert (found.error_code, found.offset) == (code, -1)


@in_loop
async def test_only_committed_records_are_found() -> None:
    async with served() as door:
        door.node.holds_commits = True
        client = await door.connect()
        client.send("produce", 9, produce_of(batch_of(b"a", timestamp_ms=100)))
        await door.until(lambda: door.node.committing)
        for level in (0, 1):
            assert (await find(door, 100, level=level)).offset == -1
            assert (await find(door, -1, level=level)).offset == 0
        door.node.commit()
        await client.answer()
        assert (await find(door, 100)).offset == 0


@pytest.mark.parametrize("version", [2, 3, 4])
@in_loop
async def test_the_end_of_an_epoch_is_told(version: int) -> None:
    async with served() as door:
        await filled(door)
        client = await door.connect()
        request = OffsetForLeaderEpochRequest(
            -1,
            [
                OffsetForLeaderTopic(
                    "t",
                    [
                        OffsetForLeaderPartition(0, -1, 5),
                        OffsetForLeaderPartition(0, -1, 3),
                        OffsetForLeaderPartition(0, 4, 5),
                        OffsetForLeaderPartition(9, -1, 5),
                    ],
                )
            ],
        )
        answer = await client.call("offset_for_leader_epoch", version, request)
        assert isinstance(answer, OffsetForLeaderEpochResponse)
        assert list(answer.topics[0].partitions) == [
            EpochEndOffset(0, 0, 5, 5),
            EpochEndOffset(0, 0, -1, -1),
            EpochEndOffset(74, 0, -1, -1),
            EpochEndOffset(3, 9, -1, -1),
        ]


@in_loop
async def test_every_idempotent_producer_gets_an_id_of_its_own() -> None:
    async with served() as door:
        client = await door.connect()
        ids = set()
        for version in range(6):
            answer = await client.call("init_producer_id", version, InitProducerIdRequest(None))
            assert isinstance(answer, InitProducerIdResponse)
            assert (answer.error_code, answer.producer_epoch) == (0, 0)
            ids.add(answer.producer_id)
        assert len(ids) == 6


@in_loop
async def test_a_transactional_producer_is_refused_for_good() -> None:
    async with served() as door:
        client = await door.connect()
        for transactional_id in ("tx", ""):
            answer = await client.call("init_producer_id", 4, InitProducerIdRequest(transactional_id, 60_000))
            assert isinstance(answer, InitProducerIdResponse)
            assert (answer.error_code, answer.producer_id, answer.producer_epoch) == (53, -1, -1)


@pytest.mark.parametrize("place", [-1, -2, -3, 50])
@in_loop
async def test_a_deposed_leader_finds_nothing(place: int) -> None:
    async with served() as door:
        await filled(door)
        door.node.partitions["t", 0].deposed_by = 8
        found = await find(door, place)
        assert (found.error_code, found.offset) == (6, -1)
