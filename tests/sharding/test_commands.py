"""Every command of both logs survives its bytes, and a log from the future stops the reader."""

import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raft.configuration import Peer
from raft.interfaces import NodeId
from sharding.catalog import NodeRecord, ShardRecord, TopicRecord
from sharding.catalog_commands import (
    CATALOG_COMMANDS,
    AllocateProducerIds,
    AssignSlots,
    CreateShard,
    CreateTopic,
    Cut,
    DeleteTopic,
    PublishRun,
    RegisterNode,
    SetConfig,
    SetReplicas,
)
from sharding.commands.append import Append
from sharding.commands.command import Buffer, Command, StructCommand, UnknownCommandError
from sharding.commands.splits import Close, Drop, Open, RaiseLogStart
from sharding.commands.table import COMMANDS, decode_body, encode
from sharding.producers import KeptBatch, ProducerState
from sharding.write_split import SplitState, Target, TickState
from store.batches import build, read_header
from store.events import TIMESTAMP_MS_MIN, Record

TOPIC_ID = bytes(range(16))

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
STATE = SplitState(
    next_offset=9,
    epoch_base=4096,
    epochs=((0, 0), (3, 5)),
    log_start=2,
    producers=(ProducerState(7, 1, 3, (KeptBatch(0, 2, 4),)),),
    greatest_ms=77,
    ticks=(TickState(3, 70, (9, 8)),),
)
SAMPLES: list[StructCommand] = [
    Open(TOPIC_ID, 1, 2, 1000, STATE),
    Close(TOPIC_ID, 1, 2, 1000, Target(3, 1)),
    Drop(TOPIC_ID, 0),
    RaiseLogStart(TOPIC_ID, 0, 12),
]
CATALOG_SAMPLES: list[StructCommand] = [
    RegisterNode(NodeRecord(1, b"d", "host", "127.0.0.1", 9092, 8080, None, 2)),
    CreateShard(ShardRecord(1, 1, (1,))),
    CreateTopic(TopicRecord(TOPIC_ID, "t", 1, {"split.ms": "1000"}, 5, (1, 2))),
    DeleteTopic(TOPIC_ID),
    SetConfig(TOPIC_ID, (("split.ms", None), ("retention.ms", "5"))),
    Cut(TOPIC_ID, 1, (1, 2)),
    AllocateProducerIds(1000),
    PublishRun(TOPIC_ID, 0, 1, b"manifest"),
    AssignSlots("group", [1, 2]),
    SetReplicas(ShardRecord(1, 3, (1, 2, 3), (Peer(NodeId(1), "disk"),), 1)),
]


def joined(commands: list[Command]) -> memoryview:
    parts: list[Buffer] = [part for command in commands for part in encode(command)]
    return memoryview(b"".join(parts))


@pytest.mark.parametrize("command", SAMPLES, ids=lambda command: type(command).__name__)
def test_a_command_of_a_shard_survives_its_bytes(command: StructCommand) -> None:
    ((found, _),) = decode_body(COMMANDS, joined([command]))
    assert found == command


@pytest.mark.parametrize("command", CATALOG_SAMPLES, ids=lambda command: type(command).__name__)
def test_a_command_of_the_catalog_survives_its_bytes(command: StructCommand) -> None:
    ((found, _),) = decode_body(CATALOG_COMMANDS, joined([command]))
    assert found == command


def test_records_of_a_standalone_node_are_read_by_a_cluster() -> None:
    shard = msgspec.msgpack.encode([[7, 1, [1]]])
    assert CreateShard.decode(1, memoryview(shard)).shard == ShardRecord(7, 1, (1,), (), 0)
    node = msgspec.msgpack.encode([[1, b"d", "host", "127.0.0.1", 9092, 8080, None, 2]])
    assert RegisterNode.decode(1, memoryview(node)).node.peer_port == 0


def test_no_type_number_means_two_things() -> None:
    assert not set(COMMANDS) & set(CATALOG_COMMANDS)
    assert {type(command).TYPE for command in CATALOG_SAMPLES} == set(CATALOG_COMMANDS), "a command without a sample"


@given(
    partition=st.integers(0, (1 << 31) - 1), split=INT64, base_offset=st.integers(0, 1 << 62), least_ms=INT64,
    values=st.lists(st.binary(max_size=30), min_size=1, max_size=5),
)  # fmt: skip
def test_an_append_survives_its_bytes(
    partition: int, split: int, base_offset: int, least_ms: int, values: list[bytes]
) -> None:
    batch = build([Record(i, 5, None, value) for i, value in enumerate(values)], base_offset=0)
    append = Append(TOPIC_ID, partition, split, base_offset, 3, least_ms, 5, batch, read_header(batch))
    body = joined([append, Drop(TOPIC_ID, 0)])
    (found, position), (drop, _) = decode_body(COMMANDS, body)
    assert isinstance(found, Append)
    assert [found.topic_id, found.partition, found.split, found.base_offset] == [
        TOPIC_ID,
        partition,
        split,
        base_offset,
    ]
    assert [found.leader_epoch, found.least_ms, found.greatest_ms, found.header] == [3, least_ms, 5, append.header]
    assert bytes(found.batch) == batch
    assert body[position : position + len(append.encode()[0])] == append.encode()[0]
    assert found.end_offset == base_offset + len(values)
    assert drop == Drop(TOPIC_ID, 0)


def test_the_bytes_of_an_append_are_as_documented() -> None:
    batch = build([Record(0, 5, None, b"v")], base_offset=0)
    append = Append(TOPIC_ID, 1, 2, 3, 4, TIMESTAMP_MS_MIN, 5, batch, read_header(batch))
    expected = struct.pack(">BBI", 1, 1, 56 + len(batch)) + TOPIC_ID
    expected += struct.pack(">iqqiqq", 1, 2, 3, 4, -(1 << 63), 5) + batch
    assert bytes(joined([append])) == expected


def test_a_field_added_at_the_end_with_a_default_keeps_the_version() -> None:
    class DropLater(StructCommand, frozen=True):
        TYPE = 4
        topic_id: bytes
        partition: int
        why: str = "unknown"

        def execute(self, state: object, at: object) -> None: ...

    assert DropLater.decode(1, memoryview(b"".join(Drop(TOPIC_ID, 1).encode()))) == DropLater(TOPIC_ID, 1)
    assert Drop.decode(1, memoryview(b"".join(DropLater(TOPIC_ID, 1, "old").encode()))) == Drop(TOPIC_ID, 1)


def test_an_unknown_type_or_version_stops_the_reader() -> None:
    with pytest.raises(UnknownCommandError, match="type 250"):
        list(decode_body(COMMANDS, memoryview(b"\xfa\x01\x00\x00\x00\x00")))
    with pytest.raises(UnknownCommandError, match="version 9"):
        list(decode_body(COMMANDS, memoryview(b"\x04\x09\x00\x00\x00\x00")))
    with pytest.raises(UnknownCommandError, match="Append version 2"):
        list(decode_body(COMMANDS, memoryview(b"\x01\x02\x00\x00\x00\x00")))


def test_a_command_that_ends_past_its_entry_is_our_fault() -> None:
    with pytest.raises(AssertionError):
        list(decode_body(COMMANDS, memoryview(b"\x04\x01\x00\x00\x00\x05ab")))


def test_commands_stand_as_arrays_so_that_names_cost_nothing() -> None:
    assert msgspec.msgpack.decode(Drop(b"x", 7).encode()[0]) == [b"x", 7]
