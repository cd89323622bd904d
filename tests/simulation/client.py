"""A small Kafka client below the socket: frames into a node's door, answers out, leaders found by Metadata.

It checks what the protocol promises on every connection: answers come in the order of the requests, each with the
correlation id of its request, and nothing else comes.
"""

import asyncio
import importlib
import struct
from collections import deque
from collections.abc import Sequence
from types import ModuleType

from gateway.wire.error_codes import ErrorCode
from gateway.wire.headers import (
    RequestHeader,
    decode_response_header,
    encode_request_header,
    request_header_version,
    response_header_version,
)
from gateway.wire.messages.find_coordinator import FindCoordinatorRequest
from gateway.wire.messages.metadata import MetadataRequest, MetadataRequestTopic

from .loops import ProcessLoop
from .sockets import Connection, Sockets
from .world import World

_MODULES: dict[str, ModuleType] = {}
VERSIONS = {
    "produce": 9,
    "fetch": 12,
    "list_offsets": 7,
    "metadata": 12,
    "offset_commit": 8,
    "offset_fetch": 7,
    "find_coordinator": 4,
    "create_topics": 7,
    "delete_topics": 6,
    "init_producer_id": 4,
    "incremental_alter_configs": 1,
}


class GoneError(Exception):
    """The connection ended, or no answer came in time: the outcome is unknown."""


def _messages(api: str) -> ModuleType:
    if api not in _MODULES:
        _MODULES[api] = importlib.import_module(f"gateway.wire.messages.{api}")
    return _MODULES[api]


class Broker:
    """One connection to one node."""

    def __init__(self, world: World, name: str, connection: Connection) -> None:
        self.is_lost = False
        self._world = world
        self._name = name
        self._connection = connection
        self._buffer = bytearray()
        self._waiting: deque[tuple[int, str, int, asyncio.Future]] = deque()
        self._count = 0
        connection.on_bytes = self._on_bytes
        connection.on_lost = self._on_lost

    def send(self, api: str, message: object, version: int | None = None) -> "asyncio.Future":
        """The answer, or GoneError."""
        future = asyncio.get_running_loop().create_future()
        if self.is_lost:
            future.set_exception(GoneError(f"{self._name}: connection lost"))
            return future
        version, messages = version or VERSIONS[api], _messages(api)
        self._count += 1
        header = RequestHeader(messages.API_KEY, version, self._count, self._name)
        head = encode_request_header(header, request_header_version(messages.API_KEY, version, messages.FLEXIBLE_FROM))
        body = head + b"".join(messages.REQUEST_ENCODERS[version](message))
        self._waiting.append((self._count, api, version, future))
        self._connection.write(struct.pack(">i", len(body)) + body)
        return future

    def close(self) -> None:
        self._connection.close()
        self._on_lost()

    def _on_bytes(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        while len(buffer) >= 4:
            (size,) = struct.unpack_from(">i", buffer)
            if len(buffer) < 4 + size:
                return
            body = bytes(buffer[4 : 4 + size])
            del buffer[: 4 + size]
            self._on_answer(body)

    def _on_answer(self, body: bytes) -> None:
        self._world.trace_bytes("answer", self._name, len(self._waiting), body)
        (correlation_id,) = struct.unpack_from(">i", body)
        if not self._waiting or self._waiting[0][0] != correlation_id:
            wanted = self._waiting[0][0] if self._waiting else None
            self._world.problem(f"{self._name}: answer {correlation_id} where {wanted} was due")
            self.close()
            return
        _, api, version, future = self._waiting.popleft()
        messages = _messages(api)
        view = memoryview(body)
        _, position = decode_response_header(
            view, response_header_version(messages.API_KEY, version, messages.FLEXIBLE_FROM)
        )
        message, end = messages.RESPONSE_DECODERS[version](view, position)
        if end != len(body):
            self._world.problem(f"{self._name}: {len(body) - end} bytes behind an answer of {api}")
        if not future.done():
            future.set_result(message)

    def _on_lost(self) -> None:
        self.is_lost = True
        waiting, self._waiting = self._waiting, deque()
        for *_, future in waiting:
            if not future.done():
                future.set_exception(GoneError(f"{self._name}: connection lost"))
                future.exception()  # its caller may be gone


class Client:
    """One client process: a connection per node, and what it knows of leaders. All calls come from its own loop."""

    def __init__(self, world: World, sockets: Sockets, name: str, addresses: Sequence[tuple[str, int]]) -> None:
        self.world = world
        self.name = name
        self.loop: ProcessLoop = world.new_loop(name)
        self.random = world.random(f"client {name}")
        self.leaders: dict[tuple[str, int], tuple[int, int]] = {}
        self.timeout_s = 1.5
        self._sockets = sockets
        self._bootstrap = list(addresses)
        self._addresses = dict(enumerate(addresses, 1))
        self._brokers: dict[tuple[str, int], Broker] = {}

    async def call(
        self,
        node_id: int | None,
        api: str,
        message: object,
        *,
        timeout_s: float | None = None,
        version: int | None = None,
    ) -> object:
        """Raises: GoneError. `node_id` None: any node."""
        answer = await self.send(node_id, api, message, version)
        return await self.wait(answer, timeout_s=timeout_s, node_id=node_id)

    async def send(
        self, node_id: int | None, api: str, message: object, version: int | None = None
    ) -> "asyncio.Future":
        address = self._address(node_id)
        broker = self._brokers.get(address)
        if broker is None or broker.is_lost:
            try:
                connection = await self._sockets.connect(self.loop, address)
            except (ConnectionError, TimeoutError) as error:
                raise GoneError(f"{self.name}: {address[0]} does not answer") from error
            # Another task of this client may have connected meanwhile: order is kept on one connection only.
            broker = self._brokers.get(address)
            if broker is None or broker.is_lost:
                broker = self._brokers[address] = Broker(self.world, f"{self.name}>{address[0]}", connection)
            else:
                connection.close()
        return broker.send(api, message, version)

    async def wait(self, answer: "asyncio.Future", *, timeout_s: float | None = None, node_id: int | None = None):
        try:
            async with asyncio.timeout(timeout_s or self.timeout_s):
                return await answer
        except TimeoutError:
            # As clients do: a connection that is silent for so long is given up.
            if node_id is not None and (broker := self._brokers.get(self._address(node_id))) is not None:
                broker.close()
            raise GoneError(f"{self.name}: no answer in time") from None

    async def refresh(self, *topics: str) -> None:
        """Ask any node who leads. Raises: GoneError."""
        request = MetadataRequest([MetadataRequestTopic(name=name) for name in topics], allow_auto_topic_creation=False)
        answer = await self.call(None, "metadata", request)
        self._addresses |= {broker.node_id: (broker.host, broker.port) for broker in answer.brokers}
        for topic in answer.topics:
            for partition in topic.partitions:
                key = topic.name, partition.partition_index
                if partition.error_code == 0 and partition.leader_id >= 0:
                    known = self.leaders.get(key)
                    # As clients do: what is older than what is known is of another time.
                    if known is None or partition.leader_epoch >= known[1]:
                        self.leaders[key] = partition.leader_id, partition.leader_epoch
                else:
                    self.leaders.pop(key, None)

    async def leader(self, topic: str, partition: int) -> tuple[int, int]:
        """(node, epoch). Raises: GoneError while nobody knows one."""
        if (topic, partition) not in self.leaders:
            await self.refresh(topic)
        if (topic, partition) not in self.leaders:
            await self.pause()
            raise GoneError(f"{topic}-{partition} has no leader")
        return self.leaders[topic, partition]

    def forget_leader(self, topic: str, partition: int) -> None:
        self.leaders.pop((topic, partition), None)

    async def coordinator(self, group: str) -> int:
        """Raises: GoneError."""
        answer = await self.call(None, "find_coordinator", FindCoordinatorRequest(coordinator_keys=[group]))
        (found,) = answer.coordinators
        if found.error_code:
            await self.pause()
            raise GoneError(ErrorCode(found.error_code).name)
        self._addresses[found.node_id] = found.host, found.port
        return found.node_id

    async def pause(self, most_s: float = 0.15) -> None:
        await asyncio.sleep(self.random.uniform(0.01, most_s))

    def _address(self, node_id: int | None) -> tuple[str, int]:
        if node_id is not None and node_id in self._addresses:
            return self._addresses[node_id]
        return self.random.choice(self._bootstrap)
