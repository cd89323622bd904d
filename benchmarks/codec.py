"""Our codec against kio and kafka-python: `python -m benchmarks.codec [--rounds 7]`.

Per message: microseconds of ours to decode and to encode, then how many times as long the others take for the same
bytes (above 1: ours is faster). The codecs take turns within each round, and the best round of each counts.
A server decodes requests and encodes responses; the columns it never uses are measured as well.
"""

import argparse
import io
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

from kio.serial import entity_reader, entity_writer

from gateway.wire.messages import fetch, heartbeat, join_group, metadata, offset_commit, produce
from tests.gateway.wire.oracles import Layout, kafka_python_decode

ROUND_SECONDS = 0.02
RECORDS = memoryview(bytes(170))


class Case(NamedTuple):
    name: str
    layout: Layout
    message: object


def produce_request(count: int) -> produce.ProduceRequest:
    data = [produce.PartitionProduceData(index=index, records=RECORDS) for index in range(count)]
    return produce.ProduceRequest(
        acks=-1, timeout_ms=30_000, topic_data=[produce.TopicProduceData(name="topic-1", partition_data=data)]
    )


def produce_response(count: int) -> produce.ProduceResponse:
    answered = [
        produce.PartitionProduceResponse(index=index, base_offset=77, log_start_offset=0) for index in range(count)
    ]
    return produce.ProduceResponse(
        responses=[produce.TopicProduceResponse(name="topic-1", partition_responses=answered)]
    )


def fetch_request(count: int) -> fetch.FetchRequest:
    wanted = [
        fetch.FetchPartition(partition=index, fetch_offset=9, partition_max_bytes=2**20) for index in range(count)
    ]
    return fetch.FetchRequest(max_wait_ms=500, topics=[fetch.FetchTopic(topic="topic-1", partitions=wanted)])


def fetch_response(count: int, records: memoryview) -> fetch.FetchResponse:
    found = [fetch.PartitionData(partition_index=index, high_watermark=99, records=records) for index in range(count)]
    return fetch.FetchResponse(responses=[fetch.FetchableTopicResponse(topic="topic-1", partitions=found)])


def metadata_response(count: int) -> metadata.MetadataResponse:
    partitions = [
        metadata.MetadataResponsePartition(
            partition_index=index, leader_id=1, leader_epoch=3, replica_nodes=[1, 2, 3], isr_nodes=[1, 2, 3]
        )
        for index in range(count)
    ]
    return metadata.MetadataResponse(
        brokers=[metadata.MetadataResponseBroker(node_id=node, host="host", port=9092) for node in (1, 2, 3)],
        cluster_id="cluster",
        topics=[metadata.MetadataResponseTopic(name="topic-1", topic_id=b"1" * 16, partitions=partitions)],
    )


def commit_request(count: int) -> offset_commit.OffsetCommitRequest:
    committed = [
        offset_commit.OffsetCommitRequestPartition(partition_index=index, committed_offset=5, committed_metadata="")
        for index in range(count)
    ]
    return offset_commit.OffsetCommitRequest(
        group_id="group", topics=[offset_commit.OffsetCommitRequestTopic(name="topic-1", partitions=committed)]
    )


def cases() -> list[Case]:
    beat = heartbeat.HeartbeatRequest(group_id="group", generation_id=1, member_id="member-1")
    members = [join_group.JoinGroupResponseMember(member_id=f"member-{n}", metadata=b"m" * 50) for n in range(20)]
    joined = join_group.JoinGroupResponse(protocol_name="range", leader="member-0", members=members)
    return [
        Case("Produce request v7, 1 partition", Layout("Produce", "request", 7), produce_request(1)),
        Case("Produce request v12, 1 partition", Layout("Produce", "request", 12), produce_request(1)),
        Case("Produce request v12, 100 partitions", Layout("Produce", "request", 12), produce_request(100)),
        Case("Produce response v12, 1 partition", Layout("Produce", "response", 12), produce_response(1)),
        Case("Produce response v12, 100 partitions", Layout("Produce", "response", 12), produce_response(100)),
        Case("Fetch request v12, 1 partition", Layout("Fetch", "request", 12), fetch_request(1)),
        Case("Fetch request v12, 100 partitions", Layout("Fetch", "request", 12), fetch_request(100)),
        Case("Fetch response v12, 1 partition", Layout("Fetch", "response", 12), fetch_response(1, RECORDS)),
        Case("Fetch response v12, 100 partitions", Layout("Fetch", "response", 12), fetch_response(100, RECORDS)),
        Case("Fetch response v12, 1 MB", Layout("Fetch", "response", 12), fetch_response(1, memoryview(bytes(10**6)))),
        Case("Metadata response v12, 1,000 partitions", Layout("Metadata", "response", 12), metadata_response(1000)),
        Case("JoinGroup response v9, 20 members", Layout("JoinGroup", "response", 9), joined),
        Case("Heartbeat request v4", Layout("Heartbeat", "request", 4), beat),
        Case("OffsetCommit request v9, 100 partitions", Layout("OffsetCommit", "request", 9), commit_request(100)),
    ]


def codecs(case: Case) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """Return (decode, encode) of each codec, for one message and its bytes."""
    layout = case.layout
    word = layout.direction.upper()
    our_decode = getattr(layout.module, f"{word}_DECODERS")[layout.version]
    our_encode = getattr(layout.module, f"{word}_ENCODERS")[layout.version]
    written = b"".join(our_encode(case.message))
    view = memoryview(written)

    kio_decode = entity_reader(layout.kio)
    kio_encode = entity_writer(layout.kio)
    kio_entity: Any = kio_decode(written, 0)[0]

    python_class = layout.kafka_python_or_none[layout.version]
    python_message = kafka_python_decode(layout, written)
    assert python_message.encode(version=layout.version) == written

    return {
        "ours": (lambda: our_decode(view, 0), lambda: our_encode(case.message)),
        "kio": (lambda: kio_decode(written, 0), lambda: kio_encode(io.BytesIO(), kio_entity)),
        "kafka-python": (lambda: python_class.decode(written), lambda: python_message.encode(version=layout.version)),
    }


def microseconds(call: Callable[[], object], count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - began) / count * 1e6


def measured(case: Case, rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return the best microseconds to decode and to encode, by codec."""
    calls = codecs(case)
    best = ({name: float("inf") for name in calls}, {name: float("inf") for name in calls})
    counts = {
        (name, side): max(1, int(ROUND_SECONDS * 1e6 / microseconds(call, 3)))
        for name, pair in calls.items()
        for side, call in enumerate(pair)
    }
    for _ in range(rounds):
        for side in (0, 1):
            for name, pair in calls.items():
                best[side][name] = min(best[side][name], microseconds(pair[side], counts[name, side]))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.codec", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    warnings.simplefilter("ignore", DeprecationWarning)  # how kafka-python loads its schemas
    print(f"{'':42}{'decode':>10}{'kio':>8}{'k-python':>10}{'encode':>12}{'kio':>8}{'k-python':>10}")
    for case in cases():
        cells = ""
        for best, width in zip(measured(case, options.rounds), (10, 12), strict=True):
            ours = best["ours"]
            cells += f"{ours:>{width - 3}.1f} us{best['kio'] / ours:>7.1f}x{best['kafka-python'] / ours:>9.1f}x"
        print(f"{case.name:42}{cells}")


if __name__ == "__main__":
    main()
