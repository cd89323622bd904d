"""The doors of a served node, and the order in which they open.

A start is mostly the loading of modules. So the Kafka door is loaded in a thread while the logs open and the catalog's
leader is found; what HTTP answers with is loaded once Kafka serves. Both listen from the same moment on, so that their
addresses can be told: who asks by HTTP early waits for its answer.
"""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from gateway.http.listening import address_of, listen

from .errors import PortInUseError
from .settings import Settings, address
from .telemetry import LoopProbe
from .wiring import Wired

if TYPE_CHECKING:
    from gateway.http.server import HttpServer
    from gateway.kafka.server import KafkaServer

KAFKA_DRAIN_MS = 3_000
USED_PORT_ERRORS = frozenset({errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL})

Start = Callable[[str, int], Awaitable[tuple[str, int]]]


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the doors listen."""

    kafka: tuple[str, int]
    http: tuple[str, int]


class Doors:
    """Owns the listeners; made inside the event loop, where loading begins. `is_ready`: what /health/ready says."""

    def __init__(self, settings: Settings) -> None:
        self.probe = LoopProbe()
        self.is_ready = False
        self._settings = settings
        self._kafka_loaded = _load("kafka_door")
        self._kafka: KafkaServer | None = None
        self._socket: socket.socket | None = None
        self._http: HttpServer | None = None
        self._answering: asyncio.Task[None] | None = None

    @property
    def are_open(self) -> bool:
        return self._answering is not None

    async def open(self, wired: Wired) -> Addresses:
        """Both doors listen, and Kafka serves. Raises: errors.PortInUseError."""
        await self._kafka_loaded
        from .kafka_door import wire_kafka

        self._kafka = wire_kafka(self._settings, wired)
        kafka = await _listening(self._kafka.start, self._settings.kafka, "kafka")
        http = await _listening(self._listen, self._settings.http, "http")
        self._answering = asyncio.create_task(self._answer(wired, self._kafka), name="open the http door")
        return Addresses(kafka, http)

    async def until_all_answer(self) -> None:
        assert self._answering is not None, "the doors are not open"
        await asyncio.shield(self._answering)

    async def close(self) -> None:
        """Finish what is under way, within its deadlines."""
        if self._kafka is not None:
            await self._kafka.close(KAFKA_DRAIN_MS)
        if self._answering is not None:
            await self._answering
        if self._http is not None:
            await self._http.close()
        elif self._socket is not None:
            self._socket.close()

    async def _listen(self, host: str, port: int) -> tuple[str, int]:
        self._socket = listen(host, port)
        return address_of(self._socket)

    async def _answer(self, wired: Wired, kafka: "KafkaServer") -> None:
        await _load("http_door")
        from .http_door import wire_http

        assert self._socket is not None, "its socket listens already"
        http = wire_http(self._settings, wired, kafka=kafka.metrics, probe=self.probe, is_ready=lambda: self.is_ready)
        await http.start(self._socket)
        self._http = http


def _load(module: str) -> "asyncio.Future[object]":
    """In a thread; who imports it once that is done does not wait."""
    return asyncio.get_running_loop().run_in_executor(None, import_module, f"{__package__}.{module}")


async def _listening(start: Start, setting: str, name: str) -> tuple[str, int]:
    try:
        return await start(*address(setting, name))
    except OSError as error:
        if error.errno in USED_PORT_ERRORS:
            raise PortInUseError(f"{name} cannot listen on {setting}: {error.strerror}") from error
        raise
