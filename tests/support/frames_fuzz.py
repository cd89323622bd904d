"""Frames that were valid before somebody damaged them: a seed gives the same ones again."""

import random
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gateway.kafka.dispatch import API_TABLE
from gateway.wire.messages.api_versions import ApiVersionsRequest
from store.batches import build
from store.compression import Compression
from store.events import Record
from tests.support.bad_batches import ATTRIBUTES, BODY, LENGTH, plain, signed
from tests.support.produce import fetch_of, produce_of
from tests.support.raw_kafka import batch_of, messages_of, request_frame

SENTINEL_ID = 0x5EA1
SENTINEL = request_frame("api_versions", 3, SENTINEL_ID, ApiVersionsRequest("fuzz", "1"))
# These make what they are asked for: a damaged one could ask for 10,000 partitions, and may have them.
LEFT_OUT = frozenset({"create_topics"})
INTERESTING = (b"\x00", b"\xff", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"\xff\xff\xff\xff\x0f", b"\xff" * 11)
FRAME_DEADLINE_S = 0.5


class Outcome(NamedTuple):
    """What became of the frames, and of the connections that carried them."""

    frames: int
    answers: int
    intact: int
    """The good request behind the damaged ones was answered too."""
    closed: int
    waiting: int
    """Neither within the deadline: a request that may wait, or a length that promises more."""


def seeds(topic: str) -> list[bytes]:
    """One frame without its length for each version of each API, and some with more in them."""
    found: list[bytes] = []
    for api in API_TABLE.values():
        if api.messages in LEFT_OUT:
            continue
        messages = messages_of(api.messages)
        name = "".join(part.title() for part in api.messages.split("_"))
        for version in range(api.first, api.last + 1):
            request = getattr(messages, f"{name}Request")()
            if api.messages == "metadata" and version >= 4:
                request.allow_auto_topic_creation = False
            found.append(request_frame(api.messages, version, 1, request)[4:])
    fetch = fetch_of((topic, 0, 0), bytes_max=1000)
    found += [request_frame("fetch", version, 1, fetch)[4:] for version in range(4, 12)]
    for version in (3, 7, 9, 12):
        for batch in (batch_of(b"x"), plain(1_700_000_000_000)):
            found += [request_frame("produce", version, 1, produce_of(batch, topic=topic))[4:]] * 4
    return found


def damaged(chance: random.Random, body: bytes, first: int = 8) -> bytes:
    """A damage or some, from byte `first` on: behind a request's correlation id, so that an answer is known."""
    data = bytearray(body)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        position = chance.randrange(first, max(first + 1, len(data)))
        match chance.randrange(12):
            case 0:
                del data[position:]
            case 1:
                data[position:position] = chance.randbytes(chance.randint(1, 9))
            case 2:
                del data[position : position + chance.randint(1, 9)]
            case 3:
                begin = chance.randrange(first, max(first + 1, len(data)))
                data[position:position] = data[begin : begin + chance.randint(1, 40)]
            case 4 | 5:
                put = chance.choice(INTERESTING)
                data[position : position + len(put)] = put
            case _:
                data[position : position + 1] = bytes([chance.randrange(256)])
    return bytes(data)


def _frame(chance: random.Random, bodies: Sequence[bytes], topic: str) -> bytes:
    kind = chance.random()
    if kind < 0.3:
        # Damage inside a batch that is signed again, so that it is found where records are parsed.
        values = [b'{"n":%d}' % chance.randrange(100) for _ in range(chance.randint(1, 40))]
        batch = build(
            [Record(i, 1_700_000_000_000 + i, None, value, (("h", b"x"),)) for i, value in enumerate(values)],
            base_offset=0,
            compression=chance.choice(list(Compression)),
        )
        bad = bytearray(damaged(chance, batch, ATTRIBUTES))
        if len(bad) > BODY and chance.random() < 0.8:
            struct.pack_into(">i", bad, LENGTH, len(bad) - 12)
        return request_frame("produce", 9, 1, produce_of(signed(bad), topic=topic))[4:]
    body = damaged(chance, chance.choice(bodies))
    if kind < 0.4 and len(body) >= 4:
        body = bytearray(body)
        struct.pack_into(">h", body, chance.choice((0, 2)), chance.randint(-2, 80))
    return bytes(body)


def fuzz(address: str, topic: str, seed: int, frame_count: int) -> Outcome:
    """Send damaged frames, a few a connection, each with a good request behind it."""
    chance = random.Random(seed)
    bodies = seeds(topic)
    host, port = address.rsplit(":", 1)
    answers = intact = closed = waiting = sent = 0
    while sent < frame_count:
        count = min(frame_count - sent, chance.choice((1, 1, 2, 4)))
        frames = [_frame(chance, bodies, topic) for _ in range(count)]
        data = b"".join(struct.pack(">i", len(frame)) + frame for frame in frames) + SENTINEL
        if chance.random() < 0.02:  # a length that lies
            data = struct.pack(">i", chance.choice((-1, 0, 7, 2**31 - 1, 10**6))) + data[4:]
        sent += count
        with socket.create_connection((host, int(port)), timeout=FRAME_DEADLINE_S) as connection:
            try:
                connection.sendall(data)
                for correlation_id in _answers(connection):
                    if correlation_id == SENTINEL_ID:
                        intact += 1
                        break
                    answers += 1
                else:
                    closed += 1
            except TimeoutError:
                waiting += 1
            except ConnectionError:
                closed += 1
    return Outcome(sent, answers, intact, closed, waiting)


def _answers(connection: socket.socket) -> Iterator[int]:
    """The correlation ids of what is answered until the node closes."""
    data = b""
    while part := connection.recv(1 << 16):
        data += part
        while len(data) >= 8 and len(data) >= (size := 4 + struct.unpack_from(">i", data)[0]):
            yield struct.unpack_from(">i", data, 4)[0]
            data = data[size:]
