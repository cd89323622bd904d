"""Connections of clients to nodes, without sockets: `loop.create_server` on one side, `Connection` on the other.

Bytes of a direction arrive in order, in pieces cut at random, or never, if the connection ends before. A killed node's
connections end; a paused node's stay silent, and what was sent to it waits.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from .loops import ProcessLoop
from .world import World

CONNECT_DEADLINE_S = 1.0


class Port:
    """Where one node listens."""

    def __init__(self, loop: ProcessLoop, factory: Callable[[], asyncio.BufferedProtocol]) -> None:
        self.loop = loop
        self.factory = factory
        self.is_closed = False
        self.connections: list[Connection] = []


class FakeListener:
    """What `loop.create_server` returns, as far as the Kafka door uses it."""

    def __init__(self, port: Port, address: tuple[str, int]) -> None:
        self._port = port
        self._address = address

    @property
    def sockets(self) -> "Sequence[FakeListener]":
        return [self]

    def getsockname(self) -> tuple[str, int]:
        return self._address

    def close(self) -> None:
        self._port.is_closed = True

    async def wait_closed(self) -> None:
        pass


class Sockets:
    """All ports and connections of a history. `delay_s` draws what one piece takes on its way."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.random = world.random("sockets")
        self.ports: dict[tuple[str, int], Port] = {}

    def delay_s(self) -> float:
        delay = self.random.uniform(0.0001, 0.0006)
        return delay + self.random.expovariate(1 / 0.01) if self.random.random() < 0.02 else delay

    async def listen(self, loop: ProcessLoop, factory, host: str, port: int) -> FakeListener:
        assert (host, port) not in self.ports, f"{host}:{port} is in use"
        self.ports[host, port] = opened = Port(loop, factory)
        return FakeListener(opened, (host, port))

    def die(self, host: str) -> None:
        """The process at this host is gone: its clients hear of it."""
        for address in [address for address in self.ports if address[0] == host]:
            port = self.ports.pop(address)
            port.is_closed = True
            for connection in list(port.connections):
                connection.break_off(tells_server=False)

    def cut_some(self, host: str, share: float) -> int:
        """Break some connections to a host; both ends hear of it, each in its time, and what was under way is lost."""
        chosen = [
            connection
            for address, port in self.ports.items()
            if address[0] == host
            for connection in port.connections
            if self.random.random() < share
        ]
        for connection in chosen:
            connection.break_off(tells_server=True)
        return len(chosen)

    async def connect(self, loop: ProcessLoop, address: tuple[str, int]) -> "Connection":
        """Raises: ConnectionError."""
        made: asyncio.Future[Connection] = loop.create_future()

        def arrive() -> None:
            port = self.ports.get(address)
            if port is None or port.is_closed or port.loop.is_dead:
                loop.call_soon_threadsafe(settle, ConnectionRefusedError(str(address)))
                return
            connection = Connection(self, loop, port)
            port.connections.append(connection)
            port.loop.call_soon(connection.open_server)
            self.world.after(self.delay_s(), lambda: loop.call_soon(settle, connection))

        def settle(outcome: "Connection | Exception") -> None:
            if made.done():
                if isinstance(outcome, Connection):
                    outcome.close()
            elif isinstance(outcome, Exception):
                made.set_exception(outcome)
            else:
                made.set_result(outcome)

        self.world.after(self.delay_s(), arrive)
        async with asyncio.timeout(CONNECT_DEADLINE_S):
            connection = await made
        if connection.is_lost:  # before anybody listened
            raise ConnectionResetError(str(address))
        return connection


class Connection:
    """The client's end. `on_bytes` and `on_lost` are called in the client's loop."""

    def __init__(self, sockets: Sockets, loop: ProcessLoop, port: Port) -> None:
        self.on_bytes: Callable[[bytes], None] = lambda _data: None
        self.on_lost: Callable[[], None] = lambda: None
        self.is_lost = False
        self._sockets = sockets
        self._loop = loop
        self._port = port
        self._server = ServerTransport(self, port.loop)
        self._to_server = _Way(sockets, port.loop, self._server.received)
        self._to_client = _Way(sockets, loop, self._received)

    def open_server(self) -> None:
        self._server.open(self._port.factory())

    def write(self, data: bytes) -> None:
        if not self.is_lost:
            self._to_server.put(data)

    def write_to_client(self, data: bytes) -> None:
        if not self.is_lost:
            self._to_client.put(data)

    def close(self) -> None:
        """By the client."""
        if not self.is_lost:
            self._to_server.put(None)
            self._end()

    def close_by_server(self) -> None:
        """What was written before arrives first."""
        if not self.is_lost:
            self._to_client.put(None)
            self._forget()

    def break_off(self, *, tells_server: bool) -> None:
        self._to_server.cut()
        self._to_client.cut()
        if tells_server:
            self._to_server.put(None)
        self._to_client.put(None)
        self._forget()

    def _received(self, data: bytes | None) -> None:
        if data is None:
            self._end()
            self.on_lost()
        elif not self.is_lost:
            self.on_bytes(data)

    def _end(self) -> None:
        self.is_lost = True
        self._to_client.cut()
        self._forget()

    def _forget(self) -> None:
        if self in self._port.connections:
            self._port.connections.remove(self)


class _Way:
    """One direction: pieces arrive in order."""

    def __init__(self, sockets: Sockets, loop: ProcessLoop, deliver: Callable[[bytes | None], None]) -> None:
        self._sockets = sockets
        self._loop = loop
        self._deliver = deliver
        self._pieces: deque[bytes | None] = deque()
        self._arrives_s = 0.0

    def put(self, data: bytes | None) -> None:
        world, random = self._sockets.world, self._sockets.random
        pieces: list[bytes | None] = [data]
        if data is not None and len(data) > 1 and random.random() < 0.1:
            at = random.randrange(1, len(data))
            pieces = [data[:at], data[at:]]
        pieces_now = self._pieces
        for piece in pieces:
            self._pieces.append(piece)
            self._arrives_s = max(self._arrives_s, world.now + self._sockets.delay_s())
            world.after(self._arrives_s - world.now, lambda: self._arrive(pieces_now))

    def cut(self) -> None:
        """What is under way never arrives."""
        self._pieces = deque()

    def _arrive(self, pieces: deque[bytes | None]) -> None:
        if pieces is self._pieces and pieces:
            self._loop.call_soon(self._deliver, pieces.popleft())


class ServerTransport(asyncio.Transport):
    """The node's end, in the node's loop."""

    def __init__(self, connection: Connection, loop: ProcessLoop) -> None:
        super().__init__()
        self._connection = connection
        self._loop = loop
        self._protocol: asyncio.BufferedProtocol | None = None
        self._waiting: deque[bytes | None] = deque()
        self._is_paused = False
        self._is_closing = False
        self._is_lost = False

    def open(self, protocol: asyncio.BufferedProtocol) -> None:
        self._protocol = protocol
        protocol.connection_made(self)

    def received(self, data: bytes | None) -> None:
        self._waiting.append(data)
        self._feed()

    def _feed(self) -> None:
        while self._waiting and not self._is_paused and not self._is_closing:
            protocol = self._protocol
            assert protocol is not None, "bytes arrive after the connection was made"
            data = self._waiting.popleft()
            if data is None:
                if not protocol.eof_received():
                    self.close()
                return
            buffer = protocol.get_buffer(-1)
            count = min(len(buffer), len(data))
            buffer[:count] = data[:count]
            if count < len(data):
                self._waiting.appendleft(data[count:])
            protocol.buffer_updated(count)

    def get_extra_info(self, name: str, default: object = None) -> object:
        return ("client", 1) if name == "peername" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self._is_paused = True

    def resume_reading(self) -> None:
        self._is_paused = False
        self._loop.call_soon(self._feed)

    def is_closing(self) -> bool:
        return self._is_closing

    def write(self, data: bytes) -> None:
        if not self._is_closing:
            self._connection.write_to_client(bytes(data))

    def writelines(self, list_of_data: Sequence[bytes]) -> None:
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        self._finish()

    def abort(self) -> None:
        self._finish()

    def _finish(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._connection.close_by_server()
            self._loop.call_soon(self._lost)

    def _lost(self) -> None:
        if not self._is_lost and self._protocol is not None:
            self._is_lost = True
            self._protocol.connection_lost(None)
