"""Where final results go: to a topic, or to agents of the app. Nothing is committed before it has settled."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from typing import Generic, Protocol, Self, TypeVar, cast

import faust
from faust.types import StreamT

from .clients import Producer
from .events import Batch, Row
from .records import ROW_HEADER, json_of

T = TypeVar("T")
ITEMS_WAITING_MAX = 4


class Sink(Protocol):
    """Takes the final rows of one plan, in order."""

    @property
    def name(self) -> str: ...
    async def give(self, rows: Sequence[Row], producer: Producer) -> None: ...
    async def settle(self) -> None:
        """Returns when all that was given is acknowledged or taken."""


class TopicSink:
    """Rows as JSON records of a topic; `row_count` of them are acknowledged."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.row_count = 0
        self._sent: list[Awaitable[object]] = []

    @property
    def name(self) -> str:
        return f"topic {self.topic}"

    async def give(self, rows: Sequence[Row], producer: Producer) -> None:
        for row in rows:
            delivery = await producer.send(
                self.topic,
                json_of(row),
                row.key.encode(),
                timestamp_ms=row.timestamp_ms,
                headers=[(ROW_HEADER, row.row_id.encode())],
            )
            self._sent.append(delivery)

    async def settle(self) -> None:
        sent, self._sent = self._sent, []
        for delivery in sent:
            await delivery
        self.row_count += len(sent)


class Outlet(faust.Channel[T], Generic[T]):
    """A channel for one agent: each item goes to it once, and is taken when the agent comes back for the next one.

    It holds few items, so that a slow agent slows the reading down. Faust's own channel drops what comes during a
    rebalance of the app, and does not tell when an item was taken; so its queue is not used.
    """

    def __init__(self, app: faust.App) -> None:
        super().__init__(app, maxsize=1)
        self._items: asyncio.Queue[T] = asyncio.Queue(ITEMS_WAITING_MAX)

    @property
    def name(self) -> str:
        return "channel"

    async def hand(self, items: Iterable[T]) -> None:
        for item in items:
            await self._items.put(item)

    async def settle(self) -> None:
        await self._items.join()

    def clone(self, **_: object) -> Self:  # an agent clones its channel; there is one queue all the same
        return self

    def stream(self, **settings: object) -> StreamT[T]:
        return cast("_App", self.app).stream(_Taker(self._items), **settings)

    def __aiter__(self) -> AsyncIterator[T]:  # pyright: ignore[reportIncompatibleMethodOverride] - Faust iterates what this returns
        return _Taker(self._items)


class RowOutlet(Outlet[Row]):
    """Final rows, one by one."""

    async def give(self, rows: Sequence[Row], producer: Producer) -> None:
        del producer
        await self.hand(rows)


class BatchOutlet(Outlet[Batch]):
    """Events in total order, in batches of at most `rows_max`."""

    def __init__(self, app: faust.App, rows_max: int) -> None:
        super().__init__(app)
        self._rows_max = rows_max

    async def give(self, batch: Batch) -> None:
        await self.hand(batch.parts(self._rows_max))


class _App(Protocol):
    def stream(self, channel: AsyncIterator[T], **settings: object) -> StreamT[T]: ...


class _Taker(AsyncIterator[T]):
    """What an agent iterates: asking for the next item says that the one before is done with."""

    def __init__(self, items: asyncio.Queue[T]) -> None:
        self._items = items
        self._has_item = False

    async def __anext__(self) -> T:
        if self._has_item:
            self._items.task_done()
            self._has_item = False
        item = await self._items.get()
        self._has_item = True
        return item
