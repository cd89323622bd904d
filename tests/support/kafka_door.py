"""A Kafka door over a node in memory, for one test; and async tests without a plug-in."""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import ParamSpec

import uvloop

from gateway.kafka.server import KafkaServer
from gateway.kafka.settings import KafkaSettings

from .fake_node import FakeNode
from .raw_kafka import RawClient

P = ParamSpec("P")
DEADLINE_S = 30.0


def in_loop(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Run an async test in a uvloop of its own; what it leaves running is an error."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def limited() -> None:
            faults: list[dict] = []
            asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
            async with asyncio.timeout(DEADLINE_S):
                await test(*args, **kwargs)
            assert not faults, faults

        uvloop.run(limited())

    return run


class Clock:
    """Time that moves when told to."""

    def __init__(self) -> None:
        self.now_ms = 1_000_000

    def __call__(self) -> int:
        return self.now_ms


class Served:
    def __init__(self, server: KafkaServer, node: FakeNode, clock: Clock, address: tuple[str, int]) -> None:
        self.server, self.node, self.clock, self.address = server, node, clock, address
        self.clients: list[RawClient] = []

    @property
    def metrics(self):
        return self.server.metrics

    async def connect(self) -> RawClient:
        client = await RawClient.connect(self.address)
        self.clients.append(client)
        return client

    def pass_time(self, ms: int) -> None:
        """Move the clock and look at the deadlines, as the sweep does by itself in production."""
        self.clock.now_ms += ms
        self.server.sweep()

    async def until(self, condition: Callable[[], object]) -> None:
        """Give the loop steps until the condition holds; the test's deadline bounds it."""
        while not condition():  # noqa: ASYNC110 - the condition is of another's state, which sends no event
            await asyncio.sleep(0.001)


@asynccontextmanager
async def served(settings: KafkaSettings | None = None) -> AsyncIterator[Served]:
    """A server with one topic `t` of two partitions, on a port of its own; its own sweeps see a clock that stands."""
    node, clock = FakeNode(), Clock()
    node.add_topic("t", 2)
    server = KafkaServer(node, settings or KafkaSettings(), monotonic_ms=clock)
    address = await server.start("127.0.0.1", 0)
    node.port = address[1]
    door = Served(server, node, clock, address)
    try:
        yield door
    finally:
        for client in door.clients:
            await client.close()
        await server.close(1_000)
    assert server.metrics.connections_open == 0
    if not node.committing:
        assert server.metrics.frame_bytes_held == 0, "room that nobody gave back"
