"""`raw_kafka` for tests without a loop: one blocking connection, which also sends what no client would."""

import socket
import struct
import time
from collections.abc import Callable, Sequence
from typing import Self, TypeVar

from gateway.wire.error_codes import ErrorCode
from gateway.wire.headers import decode_response_header, response_header_version
from gateway.wire.messages.fetch import PartitionData
from gateway.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from store.batches import build, records, split_batches
from store.events import Record
from tests.support.produce import fetch_of, fetched, produce_of, produced
from tests.support.raw_kafka import messages_of, request_frame

ANSWER_DEADLINE_S = 30.0
APPEND_DEADLINE_S = 60.0
_PAUSE_S = 0.02
# Outcomes after which a client looks for the leader and comes again.
RETRIABLE = frozenset(
    {ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.REQUEST_TIMED_OUT, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
)


class BlockingKafka:
    """One connection to `HOST:PORT`; a context manager."""

    def __init__(self, address: str, *, deadline_s: float = ANSWER_DEADLINE_S) -> None:
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=deadline_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sent: list[tuple[str, int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, api: str, version: int, message: object) -> int:
        """Returns the correlation id."""
        correlation_id = len(self._sent)
        self._sent.append((api, version))
        self.socket.sendall(request_frame(api, version, correlation_id, message))
        return correlation_id

    def answer(self) -> tuple[int, object]:
        """The next answer. Raises: ConnectionError when the node has closed, TimeoutError."""
        (size,) = struct.unpack(">i", self._exactly(4))
        body = memoryview(self._exactly(size))
        (correlation_id,) = struct.unpack_from(">i", body)
        api, version = self._sent[correlation_id]
        messages = messages_of(api)
        head = response_header_version(messages.API_KEY, version, messages.FLEXIBLE_FROM)
        _, position = decode_response_header(body, head)
        message, end = messages.RESPONSE_DECODERS[version](body, position)
        assert end == len(body), f"{api} {version}: {len(body) - end} bytes behind the answer"
        return correlation_id, message

    def call(self, api: str, version: int, message: object) -> object:
        wanted = self.send(api, version, message)
        correlation_id, answer = self.answer()
        assert correlation_id == wanted
        return answer

    def is_closed(self) -> bool:
        """Wait for the end of the stream; False if bytes arrive instead. Raises: TimeoutError."""
        try:
            return not self.socket.recv(1)
        except ConnectionError:
            return True

    def _exactly(self, count: int) -> bytes:
        parts: list[bytes] = []
        while count:
            part = self.socket.recv(min(count, 1 << 20))
            if not part:
                raise ConnectionResetError("the node closed the connection")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    # What tests ask for most.

    def produce(self, topic: str, partition: int, batch: bytes, *, acks: int = -1) -> tuple[ErrorCode, int]:
        """(error code, base offset) of one batch."""
        answer = produced(self.call("produce", 9, produce_of(batch, topic=topic, partition=partition, acks=acks)))
        return ErrorCode(answer.error_code), answer.base_offset

    def append(self, topic: str, partition: int, rows: Sequence[Record]) -> int:
        """Produce until it is taken, as clients do; returns the base offset."""
        batch = build([row._replace(offset=number) for number, row in enumerate(rows)], base_offset=0)
        end = time.monotonic() + APPEND_DEADLINE_S
        while True:
            code, offset = self.produce(topic, partition, batch)
            if code is ErrorCode.NONE:
                return offset
            assert code in RETRIABLE, f"{topic}-{partition}: {code.name}"
            assert time.monotonic() < end, f"{topic}-{partition}: still {code.name}"
            time.sleep(_PAUSE_S)

    def offset_at(self, topic: str, partition: int, timestamp_ms: int) -> tuple[int, int]:
        """ListOffsets: (offset, its timestamp); -1 and -2 are the end and the start."""
        wanted = ListOffsetsPartition(partition, timestamp=timestamp_ms)
        request = ListOffsetsRequest(replica_id=-1, topics=[ListOffsetsTopic(topic, [wanted])])

        def ask() -> ListOffsetsPartitionResponse:
            return self.call("list_offsets", 5, request).topics[0].partitions[0]

        found = _until_led(ask)
        return found.offset, found.timestamp

    def end(self, topic: str, partition: int) -> int:
        return self.offset_at(topic, partition, -1)[0]

    def read(self, topic: str, partition: int, offset: int, *, wait_ms: int = 0) -> list[Record]:
        """One fetch: the records from `offset` on."""
        request = fetch_of((topic, partition, offset), wait_ms=wait_ms, partition_bytes_max=4 << 20, bytes_max=4 << 20)
        found = _until_led(lambda: fetched(self.call("fetch", 11, request))[0])
        rows: list[Record] = []
        data = found.records
        if data:
            for position, header in split_batches(memoryview(data)):
                rows += records(memoryview(data)[position : position + header.length_bytes])
        return [row for row in rows if row.offset >= offset]

    def read_all(self, topic: str, partition: int, offset: int = 0) -> list[Record]:
        """From `offset` to the end as it is now."""
        rows: list[Record] = []
        end = self.end(topic, partition)
        while offset < end:
            rows += self.read(topic, partition, offset)
            offset = rows[-1].offset + 1
        return rows


T = TypeVar("T", ListOffsetsPartitionResponse, PartitionData)


def _until_led(ask: Callable[[], T]) -> T:
    """Come again while there is no leader, as clients do: a view is not served before it has caught up."""
    end = time.monotonic() + ANSWER_DEADLINE_S
    while (found := ask()).error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER and time.monotonic() < end:
        time.sleep(_PAUSE_S)
    assert found.error_code == 0, ErrorCode(found.error_code).name
    return found
