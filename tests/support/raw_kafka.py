"""A Kafka client made of bytes: sends what a test wants to send, in the order it wants."""

import asyncio
import contextlib
import importlib
import struct
from types import ModuleType

from gateway.wire.headers import (
    RequestHeader,
    decode_response_header,
    encode_request_header,
    request_header_version,
    response_header_version,
)
from store.batches import build
from store.compression import Compression
from store.events import Record

ANSWER_DEADLINE_S = 10.0


def messages_of(api: str) -> ModuleType:
    return importlib.import_module(f"gateway.wire.messages.{api}")


def request_frame(api: str, version: int, correlation_id: int, message: object, client_id: str = "raw") -> bytes:
    messages = messages_of(api)
    header = RequestHeader(messages.API_KEY, version, correlation_id, client_id)
    head = encode_request_header(header, request_header_version(messages.API_KEY, version, messages.FLEXIBLE_FROM))
    body = head + b"".join(bytes(part) for part in messages.REQUEST_ENCODERS[version](message))
    return struct.pack(">i", len(body)) + body


def batch_of(
    *values: bytes, timestamp_ms: int = 1_700_000_000_000, compression: Compression = Compression.NONE
) -> bytes:
    rows = [Record(i, timestamp_ms + i, b"key", value) for i, value in enumerate(values)]
    return build(rows, base_offset=0, compression=compression)


class RawClient:
    """One connection. `call` sends and awaits; `send` and `answer` do the halves."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.sent: list[tuple[str, int]] = []

    @classmethod
    async def connect(cls, address: tuple[str, int]) -> "RawClient":
        return cls(*await asyncio.open_connection(*address))

    def send(self, api: str, version: int, message: object) -> int:
        """Returns the correlation id: the number of requests sent before."""
        correlation_id = len(self.sent)
        self.sent.append((api, version))
        self.writer.write(request_frame(api, version, correlation_id, message))
        return correlation_id

    def send_bytes(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, object]:
        """The next answer: its correlation id and its message."""
        async with asyncio.timeout(ANSWER_DEADLINE_S):
            (size,) = struct.unpack(">i", await self.reader.readexactly(4))
            body = memoryview(await self.reader.readexactly(size))
        (correlation_id,) = struct.unpack_from(">i", body)
        api, version = self.sent[correlation_id]
        messages = messages_of(api)
        _, position = decode_response_header(
            body, response_header_version(messages.API_KEY, version, messages.FLEXIBLE_FROM)
        )
        message, end = messages.RESPONSE_DECODERS[version](body, position)
        assert end == len(body), f"{api} {version}: {len(body) - end} bytes behind the answer"
        return correlation_id, message

    async def call(self, api: str, version: int, message: object) -> object:
        wanted = self.send(api, version, message)
        correlation_id, answer = await self.answer()
        assert correlation_id == wanted
        return answer

    async def is_closed_by_server(self) -> bool:
        """Wait for the end of the stream; False if anything but the end arrives."""
        try:
            async with asyncio.timeout(ANSWER_DEADLINE_S):
                return not await self.reader.read(1)
        except ConnectionError:
            return True

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()
