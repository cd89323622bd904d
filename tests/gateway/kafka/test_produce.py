"""Produce: what is accepted, what is refused with which code, and when it is answered."""

import pytest

from gateway.wire.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from sharding.errors import (
    InvalidProducerEpochError,
    MessageTooLargeError,
    NotLeaderError,
    OutOfOrderSequenceError,
    StorageFullError,
)
from sharding.interfaces import NodeAddress
from store.batches import HEADER, Producer, build, check, read_header
from store.compression import Compression
from store.events import Record
from tests.support.kafka_door import in_loop, served
from tests.support.produce import produce_of, produced
from tests.support.raw_kafka import batch_of

VERSIONS = range(3, 13)


def changed(batch: bytes, **fields: int) -> bytes:
    """A batch with other header fields and a CRC that fits."""
    from crc32c import crc32c

    header = read_header(batch)._replace(**fields)
    body = HEADER.pack(header[0], header[1] - 12, *header[2:]) + batch[61:]
    crc = crc32c(body[21:])
    return HEADER.pack(header[0], header[1] - 12, header[2], header[3], crc, *header[5:]) + batch[61:]


def test_the_test_s_own_batches_are_good() -> None:
    check(changed(batch_of(b"v")))


@pytest.mark.parametrize("version", VERSIONS)
@in_loop
async def test_every_version_appends_and_tells_offset_and_log_start(version: int) -> None:
    async with served() as door:
        client = await door.connect()
        door.node.partitions["t", 0].log_start = 0
        for wanted in (0, 2):
            answer = produced(await client.call("produce", version, produce_of(batch_of(b"a", b"b"))))
            assert (answer.error_code, answer.base_offset, answer.log_append_time_ms) == (0, wanted, -1)
            if version >= 5:
                assert answer.log_start_offset == 0
        header = read_header(door.node.partitions["t", 0].batches[1][1])
        assert (header.base_offset, header.leader_epoch) == (2, 5), "stamped in place"


@pytest.mark.parametrize("acks", [-1, 1])
@in_loop
async def test_the_answer_waits_for_the_outcome(acks: int) -> None:
    async with served() as door:
        door.node.holds_commits = True
        client = await door.connect()
        client.send("produce", 9, produce_of(acks=acks))
        await door.until(lambda: door.node.committing)
        assert door.metrics.bytes_out == 0
        door.node.commit()
        assert produced((await client.answer())[1]).error_code == 0


@in_loop
async def test_partitions_fare_each_by_itself_and_are_answered_together() -> None:
    async with served() as door:
        client = await door.connect()
        bad = bytearray(batch_of(b"bad"))
        bad[-1] ^= 1
        request = ProduceRequest(
            None,
            -1,
            1_000,
            [
                TopicProduceData(
                    "t",
                    [
                        PartitionProduceData(0, memoryview(batch_of(b"good"))),
                        PartitionProduceData(1, memoryview(bad)),
                        PartitionProduceData(9, memoryview(batch_of(b"where"))),
                    ],
                ),
                TopicProduceData("nowhere", [PartitionProduceData(0, memoryview(batch_of(b"v")))]),
            ],
        )
        answer = await client.call("produce", 9, request)
        assert isinstance(answer, ProduceResponse)
        outcomes = [[(p.index, p.error_code, p.base_offset) for p in t.partition_responses] for t in answer.responses]
        assert outcomes == [[(0, 0, 0), (1, 2, -1), (9, 3, -1)], [(0, 3, -1)]]
        assert door.metrics.errors == {2: 1, 3: 2}


GOOD = batch_of(b"value", b"other")
REFUSED = {
    "wrong crc": (GOOD[:-1] + b"\x07", 2),
    "nothing": (b"", 2),
    "no header": (GOOD[:40], 2),
    "cut off": (GOOD[:-3], 2),
    "two batches": (GOOD + GOOD, 87),
    "bytes behind it": (GOOD + b"junk", 87),
    "magic 0": (GOOD[:16] + b"\x00" + GOOD[17:], 43),
    "magic 1": (GOOD[:16] + b"\x01" + GOOD[17:], 43),
    "magic 3": (GOOD[:16] + b"\x03" + GOOD[17:], 43),
    "negative length": (GOOD[:8] + b"\xff\xff\xff\xff" + GOOD[12:], 2),
    "codec 7": (changed(GOOD, attributes=7), 76),
    "control batch": (changed(GOOD, attributes=0x20, producer_id=1, producer_epoch=0), 87),
    "transaction never begun": (changed(GOOD, attributes=0x10, producer_id=1, producer_epoch=0, base_sequence=0), 48),
    "no records": (changed(GOOD, record_count=0, last_offset_delta=-1), 87),
    "count is not the offsets": (changed(GOOD, record_count=1), 87),
    "a million records in 20 bytes": (changed(GOOD, record_count=10**6, last_offset_delta=10**6 - 1), 87),
    "negative sequence": (changed(GOOD, producer_id=4, producer_epoch=0, base_sequence=-1), 87),
    "garbage": (bytes(range(200)), None),
}


@pytest.mark.parametrize("name", REFUSED)
@in_loop
async def test_a_bad_batch_is_refused_with_its_code_and_nothing_is_appended(name: str) -> None:
    batch, code = REFUSED[name]
    async with served() as door:
        client = await door.connect()
        answer = produced(await client.call("produce", 9, produce_of(batch)))
        assert answer.error_code == code if code is not None else answer.error_code in {2, 43, 76, 87}
        assert answer.base_offset == -1
        assert answer.error_message
        assert door.node.appended == 0
        assert produced(await client.call("produce", 9, produce_of())).base_offset == 0, "the connection goes on"


@in_loop
async def test_null_records_are_refused() -> None:
    async with served() as door:
        client = await door.connect()
        request = ProduceRequest(None, -1, 1_000, [TopicProduceData("t", [PartitionProduceData(0, None)])])
        assert produced(await client.call("produce", 9, request)).error_code == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OutOfOrderSequenceError("gap"), 45),
        (InvalidProducerEpochError("old"), 47),
        (MessageTooLargeError("big"), 10),
        (StorageFullError("full"), 56),
    ],
)
@in_loop
async def test_what_admission_refuses_has_its_code(error: Exception, code: int) -> None:
    async with served() as door:
        door.node.partitions["t", 0].refusal = error
        client = await door.connect()
        assert produced(await client.call("produce", 9, produce_of())).error_code == code


@in_loop
async def test_a_lost_leader_is_told_with_the_new_one_from_version_10() -> None:
    async with served() as door:
        client = await door.connect()
        door.node.holds_commits = True
        door.node.others = [NodeAddress(node_id=8, host="other", kafka_port=9093, http_port=1)]
        door.node.leader_id = 8
        for version in (9, 10):
            client.send("produce", version, produce_of())
        await door.until(lambda: len(door.node.committing) == 2)
        door.node.commit(NotLeaderError(8))
        old = (await client.answer())[1]
        new = (await client.answer())[1]
        assert produced(old).error_code == produced(new).error_code == 6
        assert isinstance(new, ProduceResponse)
        assert produced(new).current_leader is not None
        assert (produced(new).current_leader.leader_id, produced(new).current_leader.leader_epoch) == (8, 5)
        assert [(n.node_id, n.host, n.port) for n in new.node_endpoints] == [(8, "other", 9093)]


@in_loop
async def test_an_unknown_new_leader_is_left_out() -> None:
    async with served() as door:
        door.node.partitions["t", 0].refusal = NotLeaderError()
        client = await door.connect()
        answer = await client.call("produce", 12, produce_of())
        assert isinstance(answer, ProduceResponse)
        assert produced(answer).current_leader is None
        assert not answer.node_endpoints


@pytest.mark.parametrize("acks", [2, -2, 32767])
@in_loop
async def test_other_acks_are_refused(acks: int) -> None:
    async with served() as door:
        client = await door.connect()
        assert produced(await client.call("produce", 9, produce_of(acks=acks))).error_code == 21
        assert door.node.appended == 0


@in_loop
async def test_transactions_are_refused_for_good_as_long_as_they_are_not_built() -> None:
    async with served() as door:
        client = await door.connect()
        answer = produced(await client.call("produce", 9, produce_of(transactional_id="tx")))
        assert answer.error_code == 53
        assert "not built" in str(answer.error_message)
        assert door.node.appended == 0


@in_loop
async def test_a_view_takes_no_records() -> None:
    async with served() as door:
        door.node.add_topic("t.__time", is_view=True)
        client = await door.connect()
        assert produced(await client.call("produce", 9, produce_of(topic="t.__time"))).error_code == 17


@in_loop
async def test_zstd_is_for_clients_that_know_it() -> None:
    batch = batch_of(b"v" * 100, compression=Compression.ZSTD)
    async with served() as door:
        client = await door.connect()
        assert produced(await client.call("produce", 6, produce_of(batch))).error_code == 76
        assert produced(await client.call("produce", 7, produce_of(batch))).error_code == 0


@in_loop
async def test_idempotent_batches_keep_their_producer() -> None:
    batch = build([Record(0, 1, None, b"v")], base_offset=0, producer=Producer(1001, 0, 5))
    async with served() as door:
        client = await door.connect()
        assert produced(await client.call("produce", 9, produce_of(batch))).error_code == 0
        header = read_header(door.node.partitions["t", 0].batches[0][1])
        assert (header.producer_id, header.producer_epoch, header.base_sequence) == (1001, 0, 5)


@in_loop
async def test_a_produce_that_is_not_committed_in_time_is_told_so_and_a_late_commit_changes_nothing() -> None:
    async with served() as door:
        door.node.holds_commits = True
        client = await door.connect()
        client.send("produce", 9, produce_of(timeout_ms=5_000))
        await door.until(lambda: door.node.committing)
        door.pass_time(4_999)
        assert door.metrics.bytes_out == 0
        door.pass_time(1)
        assert produced((await client.answer())[1]).error_code == 7
        door.node.commit()
        door.node.holds_commits = False
        assert produced(await client.call("produce", 9, produce_of())).base_offset == 1
