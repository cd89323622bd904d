"""Timesplit inside your process: `timesplit.open(path)`, without sockets, over the same files as a served node.

    with timesplit.open("./data") as database:
        database.create_topic("trades", schema={"symbol": "string", "price": "double"})
        database.insert("trades", [timesplit.Record({"symbol": "A", "price": 1.5}, key="A", timestamp=1767605400000)])
        print(database.aggregate("trades", "count,ohlc(price)", every="1m", by="symbol").to_pylist())

A directory belongs to one process at a time, embedded or served. The node runs in an event loop on a thread of its own;
every method blocks its caller, not the others, and may be called from any thread. Questions are put in the words of the
HTTP API, and answered as arrow tables, whole in memory.
"""

import atexit
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

import anyio
import anyio.from_thread
import orjson
from anyio.from_thread import BlockingPortal
from starlette.datastructures import QueryParams

from gateway.http.parameters import aggregate_query, events_query, seal_watermark_ms
from gateway.http.problems import HttpError
from raft.interfaces import GroupId
from sharding.inserts import Inserts, NewRecord, Outcome, Place, failures
from sharding.interfaces import NewTopic, SplitDescription, StreamApi, Topic, WatermarkDescription
from sharding.node import Node
from store.events import TIMESTAMP_MS_MAX
from store.queries import AggregateQuery, EventsQuery
from store.schema import Schema

from .errors import ClosedError, DataDirectoryError, InsertError, NodeFailedError, QuestionError
from .settings import Settings
from .wiring import Wired, open_directory, wall_ms, wire_node

if TYPE_CHECKING:
    import pyarrow as pa

# Built and proposed at a time; a longer insert goes on with the next ones.
INSERT_RECORDS_MAX = 10_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

T = TypeVar("T")
Moment = int | str | datetime
Names = str | Sequence[str]


@dataclass(frozen=True, slots=True)
class Record:
    """A record to insert.

    `value`: bytes as they are, None for none, anything else as its JSON text. `timestamp`: milliseconds since the
    epoch, an aware datetime, or None for now. `partition` None: by the key, else in turns.
    """

    value: object
    key: bytes | str | None = None
    timestamp: int | datetime | None = None
    partition: int | None = None
    headers: Mapping[str, bytes | str | None] = field(default_factory=dict[str, bytes | str | None])


def open_database(path: str | Path, *, settings: Settings | None = None) -> "Database":
    """Open a data directory, or found one. `settings` as for `timesplit serve`; its addresses are not used.

    Raises: DataDirectoryError (damaged, unknown, or served by another process).
    """
    wanted = replace(settings or Settings(), data=str(path))
    with ExitStack() as stack:
        portal = stack.enter_context(anyio.from_thread.start_blocking_portal("asyncio", {"use_uvloop": True}))
        core = portal.call(_opened, wanted)
        stack.callback(portal.call, core.close)
        # pop_all comes last: from here on, closing is the database's.
        return Database(portal, core, stack.pop_all())
    raise AssertionError("an exit stack swallowed an error")


class Database:
    """An open directory; made by `timesplit.open`. Close it, or use it in a `with`."""

    def __init__(self, portal: BlockingPortal, core: "_Core", closing: ExitStack) -> None:
        self._portal = portal
        self._core = core
        self._closing: ExitStack | None = closing
        self._lock = threading.Lock()
        # Who forgets to close has everything stored all the same; this only spares the next start its replay.
        atexit.register(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Commit what is under way, save checkpoints, release the directory. A second close does nothing."""
        with self._lock:
            closing, self._closing = self._closing, None
        if closing is not None:
            atexit.unregister(self.close)
            closing.close()

    def create_topic(
        self,
        name: str,
        *,
        partitions: int = -1,
        schema: Mapping[str, str] | None = None,
        aggregates: Sequence[str] = (),
        configs: Mapping[str, str] | None = None,
    ) -> Topic:
        """`schema`: attribute -> long, double, string, boolean or timestamp; it makes the topic an event stream.

        Raises: TopicExistsError, InvalidTopicError, InvalidSchemaError, InvalidConfigError.
        """
        if aggregates and schema is None:
            raise QuestionError("aggregates go with a schema")
        wanted = NewTopic(
            name=name,
            partitions=partitions,
            configs=dict(configs or {}),
            schema=None if schema is None else Schema.of(schema, aggregates),
        )
        return self._call(lambda: self._core.node.create_topic(wanted))

    def topics(self) -> list[Topic]:
        """By name, without views."""
        return self._call(_at_once(self._core.node.topics))

    def delete_topic(self, name: str) -> None:
        self._call(lambda: self._core.node.delete_topic(name))

    def insert(self, topic: str, records: Iterable[Record]) -> list[Place]:
        """Store records; durable when this returns. Where each one is, in the order given.

        Raises: InsertError, whose `outcomes` say what is stored in spite of it; UnknownTopicError.
        """
        outcomes: list[Outcome] = []
        left = iter(records)
        while part := [_new_record(record) for record in islice(left, INSERT_RECORDS_MAX)]:
            outcomes += self._call(lambda part=part: self._core.insert(topic, part))
            if refused := failures(outcomes):
                stored = len(outcomes) - len(refused)
                raise InsertError(f"{len(refused)} records refused, {stored} stored: {refused[0]}", outcomes)
        return [outcome for outcome in outcomes if isinstance(outcome, Place)]

    def events(  # noqa: PLR0913 - one parameter a word of the question
        self,
        topic: str,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        where: str | None = None,
        key: str | None = None,
        columns: Names | None = None,
        order: str = "time",
        limit: int | None = None,
        complete: str = "now",
    ) -> "pa.Table":
        """The events with start <= timestamp < end. Columns, conditions, orders: as in docs/http.md.

        Raises: QuestionError, InvalidQueryError, UnknownTopicError.
        """
        asked = _asked(
            start=start, end=end, where=where, key=key, columns=columns, order=order, limit=limit, complete=complete
        )
        query = _understood(lambda: events_query(asked, wall_ms()))
        return self._call(lambda: self._core.events(topic, query))

    def aggregate(  # noqa: PLR0913 - one parameter a word of the question
        self,
        topic: str,
        agg: Names = "count",
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        every: str | None = None,
        origin: Moment | None = None,
        by: Names | None = None,
        where: str | None = None,
        fill: str | None = None,
        complete: str = "now",
    ) -> "pa.Table":
        """Aggregates such as "count,sum(qty),ohlc(price)", one row per window and group.

        Raises: QuestionError, InvalidQueryError, QueryTooLargeError, UnknownTopicError.
        """
        asked = _asked(
            agg=agg, start=start, end=end, every=every, origin=origin, by=by, where=where, fill=fill, complete=complete
        )
        query = _understood(lambda: aggregate_query(asked, wall_ms()))
        return self._call(lambda: self._core.aggregate(topic, query))

    def watermark(self, topic: str) -> WatermarkDescription:
        return self._call(_at_once(lambda: self._core.stream(topic).watermark()))

    def splits(self, topic: str) -> list[SplitDescription]:
        return self._call(_at_once(lambda: self._core.stream(topic).splits()))

    def seal(self, topic: str, *, watermark: Moment | None = None) -> SplitDescription | None:
        """Close the open split now and return when it is historic; None if it was empty.

        `watermark`: your word that event time has come at least that far, so that later windows close too.
        """
        asked = _asked(watermark=watermark)
        at_least_ms = _understood(lambda: seal_watermark_ms(asked, wall_ms()))
        return self._call(lambda: self._core.stream(topic).seal(at_least_ms=at_least_ms))

    def _call(self, work: Callable[[], Awaitable[T]]) -> T:
        if self._closing is None:
            raise ClosedError("this database is closed")
        if self._core.failed:
            raise NodeFailedError(str(self._core.failed[0])) from self._core.failed[0]
        return self._portal.call(work)


@dataclass(slots=True)
class _Core:
    """The node in its event loop; every method is called there."""

    wired: Wired
    inserts: Inserts
    failed: list[Exception]

    @property
    def node(self) -> Node:
        return self.wired.node

    def stream(self, topic: str) -> StreamApi:
        return self.node.stream(topic)

    async def insert(self, topic: str, records: Sequence[NewRecord]) -> list[Outcome]:
        return await self.inserts.insert(self.node.topic(topic), records)

    async def events(self, topic: str, query: EventsQuery) -> "pa.Table":
        import pyarrow as pa

        answer = await self.stream(topic).events(query)
        return pa.Table.from_batches([batch async for batch in answer.batches], answer.schema)

    async def aggregate(self, topic: str, query: AggregateQuery) -> "pa.Table":
        return (await self.stream(topic).aggregate(query)).table

    async def close(self) -> None:
        await self.wired.close()


async def _opened(settings: Settings) -> _Core:
    failed: list[Exception] = []

    def on_failure(group_id: GroupId | None, error: Exception) -> None:
        del group_id
        failed.append(error)

    directory = open_directory(settings)
    if directory.founders != (directory.peer,):
        directory.close()
        raise DataDirectoryError(f"{directory.path}: of a node of a cluster: serve it, it cannot be opened alone")
    try:
        wired = wire_node(settings, directory, on_failure)
    except BaseException:
        directory.close()
        raise
    try:
        await wired.start()
    except BaseException:
        with anyio.CancelScope(shield=True):
            await wired.close()
        raise
    return _Core(wired, Inserts(wired.node, now_ms=wall_ms, limiter=anyio.CapacityLimiter(1)), failed)


def _at_once(work: Callable[[], T]) -> Callable[[], Awaitable[T]]:
    """What needs the loop's thread, but no waiting."""

    async def call() -> T:
        return work()

    return call


def _asked(**given: Moment | Names | None) -> QueryParams:
    """The question in the words of the HTTP API."""
    names = {"start": "from", "end": "to"}
    return QueryParams({names.get(name, name): _word(value) for name, value in given.items() if value is not None})


def _word(value: Moment | Names) -> str:
    if isinstance(value, datetime):
        return str(_ms(value))
    return str(value) if isinstance(value, str | int) else ",".join(value)


def _understood(read: Callable[[], T]) -> T:
    try:
        return read()
    except HttpError as error:
        raise QuestionError(error.detail) from error


def _ms(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise QuestionError(f"{moment} has no time zone")
    return (moment - EPOCH) // MILLISECOND


def _new_record(record: Record) -> NewRecord:
    value, timestamp = record.value, record.timestamp
    timestamp_ms = _ms(timestamp) if isinstance(timestamp, datetime) else timestamp
    if timestamp_ms is not None and not 0 <= timestamp_ms <= TIMESTAMP_MS_MAX:
        raise QuestionError(f"timestamp {timestamp_ms} is not in [0, {TIMESTAMP_MS_MAX}]")
    try:
        content = value if isinstance(value, bytes) or value is None else orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise QuestionError(f"a value that is neither bytes nor JSON: {error}") from error
    headers = [(name, _bytes_or_none(data)) for name, data in record.headers.items()]
    return NewRecord(content, _bytes_or_none(record.key), timestamp_ms, record.partition, headers)


def _bytes_or_none(text: bytes | str | None) -> bytes | None:
    return text.encode() if isinstance(text, str) else text
