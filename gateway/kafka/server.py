"""The Kafka listener: owns its connections, the tasks of slow requests, the shared read buffer and the byte budget."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine

from sharding.interfaces import NodeApi

from .connection import Connection
from .context import Door
from .dispatch import OFFERED
from .frames import ByteBudget
from .metrics import KafkaMetrics
from .settings import READ_BUFFER_BYTES, KafkaSettings


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


class KafkaServer:
    """A Kafka listener in front of one node.

    `now_ms` is the time of the last sweep: deadlines are as coarse as that, and no request asks a clock for them.
    """

    def __init__(
        self,
        node: NodeApi,
        settings: KafkaSettings,
        *,
        metrics: KafkaMetrics | None = None,
        wall_ms: Callable[[], int] = _wall_ms,
        monotonic_ms: Callable[[], int] = _monotonic_ms,
    ) -> None:
        self.metrics = metrics or KafkaMetrics()
        self.now_ms = monotonic_ms()
        self.door = Door(
            node=node,
            settings=settings,
            metrics=self.metrics,
            offered=OFFERED,
            wall_ms=wall_ms,
            now_ms=lambda: self.now_ms,
        )
        self.budget = ByteBudget(settings.frame_budget_bytes, self.metrics)
        self.read_buffer = bytearray(READ_BUFFER_BYTES)
        self._monotonic_ms = monotonic_ms
        self._connections: dict[Connection, None] = {}  # in the order in which they came
        self._by_address: Counter[str] = Counter()
        self._waiting_for_room: dict[Connection, None] = {}
        self._is_room_due = False
        self._to_write: list[Connection] = []
        self._listener: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._task_count = 0
        self._owner: asyncio.Task[None] | None = None
        self._must_stop = asyncio.Event()
        self._is_closing = False
        self._is_empty = asyncio.Event()

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; port 0 takes a free one. Returns the address. Raises: OSError."""
        assert self._listener is None, "a server starts once"
        loop = asyncio.get_running_loop()
        self.now_ms = self._monotonic_ms()
        has_tasks: asyncio.Future[None] = loop.create_future()
        self._owner = loop.create_task(self._own_tasks(has_tasks))
        await has_tasks
        try:
            self._listener = await loop.create_server(
                lambda: Connection(self), host, port, backlog=self.door.settings.accept_backlog
            )
        except OSError:
            self._must_stop.set()
            await self._owner
            raise
        self._sweep_later()
        address = self._listener.sockets[0].getsockname()
        return str(address[0]), int(address[1])

    async def close(self, deadline_ms: int) -> None:
        """Accept and begin nothing more, send the answers that are due, and after the deadline drop the rest."""
        if self._listener is None or self._owner is None:
            return
        self._is_closing = True
        self._listener.close()
        self._is_empty.clear()
        for connection in tuple(self._connections):
            connection.drain()
        try:
            async with asyncio.timeout(deadline_ms / 1000):
                await self._wait_until_empty()
        except TimeoutError:
            for connection in tuple(self._connections):
                connection.abort()
        finally:
            if self._sweeper is not None:
                self._sweeper.cancel()
            self._owner.cancel()
            await asyncio.gather(self._owner, return_exceptions=True)
            await self._wait_until_empty()
            await self._listener.wait_closed()

    async def _wait_until_empty(self) -> None:
        if self._connections:
            await self._is_empty.wait()

    # What connections ask

    def admit(self, connection: Connection) -> bool:
        """Count a new connection in; False: too many. Every connection, admitted or not, is forgotten at its end."""
        settings = self.door.settings
        self._connections[connection] = None
        self._by_address[connection.host] += 1
        self.metrics.connections_open = len(self._connections)
        return (
            len(self._connections) <= settings.connections_max
            and self._by_address[connection.host] <= settings.connections_per_ip_max
            and not self._is_closing
        )

    def forget(self, connection: Connection) -> None:
        self._connections.pop(connection, None)
        self._waiting_for_room.pop(connection, None)
        self._by_address[connection.host] -= 1
        if not self._by_address[connection.host]:
            del self._by_address[connection.host]
        self.metrics.connections_open = len(self._connections)
        self._offer_room()
        if not self._connections:
            self._is_empty.set()

    def run(self, guarded: Coroutine[object, object, None], work: Coroutine[object, object, None]) -> bool:
        """Run `guarded`, which awaits `work` and must not raise. False: too many are running; both are closed."""
        if self._task_count >= self.door.settings.slow_requests_max or self._tasks is None:
            guarded.close()
            work.close()
            return False
        self._task_count += 1
        self._tasks.create_task(guarded).add_done_callback(self._task_ended)
        return True

    def write_soon(self, connection: Connection) -> None:
        """Let it write its answers at the end of this step of the loop."""
        if not self._to_write:
            asyncio.get_running_loop().call_soon(self._write)
        self._to_write.append(connection)

    def give_back(self, count: int) -> None:
        self.budget.give_back(count)
        self._offer_room()

    def wait_for_room(self, connection: Connection) -> None:
        self.metrics.frames_waited += 1
        self._waiting_for_room[connection] = None

    def sweep(self) -> None:
        """Look at the deadlines of all connections, and make room if some wait for it."""
        self.now_ms = self._monotonic_ms()
        is_room_short = bool(self._waiting_for_room)
        for connection in tuple(self._connections):
            connection.sweep(self.now_ms)
            if is_room_short:
                connection.close_if_stalled(self.now_ms)

    # Inside

    def _write(self) -> None:
        to_write, self._to_write = self._to_write, []
        for connection in to_write:
            connection.write_answered()

    def _offer_room(self) -> None:
        if self._waiting_for_room and not self._is_room_due:
            self._is_room_due = True
            asyncio.get_running_loop().call_soon(self._give_room)

    def _give_room(self) -> None:
        """First come, first served, as far as the room goes."""
        self._is_room_due = False
        for connection in tuple(self._waiting_for_room):
            if not connection.room_may_be_there():
                break
            self._waiting_for_room.pop(connection, None)

    def _sweep_later(self) -> None:
        delay_s = self.door.settings.sweep_ms / 1000
        self._sweeper = asyncio.get_running_loop().call_later(delay_s, self._sweep_and_again)

    def _sweep_and_again(self) -> None:
        self.sweep()
        self._sweep_later()

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        del task
        self._task_count -= 1

    async def _own_tasks(self, has_tasks: asyncio.Future[None]) -> None:
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            has_tasks.set_result(None)
            await self._must_stop.wait()
