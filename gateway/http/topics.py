"""Topics over HTTP: list, describe, create, delete; records in."""

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

import anyio
import anyio.to_thread
import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sharding.inserts import Inserts, NewRecord, Outcome, Place, failures
from sharding.interfaces import NewTopic, NodeApi, Topic
from store.events import TIMESTAMP_MS_MAX
from store.schema import Schema

from .admission import Admission
from .metrics import HttpMetrics
from .problems import HttpError, of_error

RECORDS_MAX = 100_000
# Decoded in the loop up to here; more goes to a thread.
INLINE_BYTES_MAX = 64 * 1024
NULL = b"null"

Wanted = TypeVar("Wanted", bound=msgspec.Struct)
T = TypeVar("T")
Timestamp = Annotated[int, msgspec.Meta(ge=0, le=TIMESTAMP_MS_MAX)]
Index = Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)]


class TopicWanted(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /topics."""

    name: str
    partitions: int = -1
    replication_factor: int = -1
    schema: dict[str, str] | None = None
    aggregates: list[str] | None = None
    configs: dict[str, str] = msgspec.field(default_factory=dict[str, str])


class RecordWanted(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One record: `value` is any JSON value, stored as its JSON text; null: no value. Text keys. ms, default now."""

    value: msgspec.Raw
    key: str | None = None
    timestamp: Timestamp | None = None
    partition: Index | None = None
    headers: dict[str, str | None] = msgspec.field(default_factory=dict[str, str | None])


class RecordsWanted(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /topics/{t}/records. Each record is read for itself, so that other threads get their turn."""

    records: list[msgspec.Raw]


def topic_json(node: NodeApi, topic: Topic) -> dict[str, object]:
    """`offsets`: [log start, end] of each partition as this node knows them; null where it has no replica."""
    schema = topic.schema
    return {
        "name": topic.name,
        "topic_id": str(topic.topic_id),
        "partitions": topic.partition_count,
        "replication_factor": topic.replication_factor,
        "configs": dict(topic.configs),
        "schema": None if schema is None else {name: str(kind) for name, kind in schema.attributes.items()},
        "aggregates": [] if schema is None else list(schema.aggregates),
        "offsets": [node.bounds_or_none(topic, index) for index in range(topic.partition_count)],
    }


class Topics:
    """The routes under /topics that are about topics themselves, and records in."""

    def __init__(self, node: NodeApi, admission: Admission, metrics: HttpMetrics, now_ms: Callable[[], int]) -> None:
        self._node = node
        self._admission = admission
        self._metrics = metrics
        self._limiter = anyio.CapacityLimiter(1)
        self._inserts = Inserts(node, now_ms=now_ms, limiter=self._limiter)

    async def list_topics(self, request: Request) -> Response:
        del request
        return JSONResponse({"topics": [topic_json(self._node, topic) for topic in self._node.topics()]})

    async def describe(self, request: Request) -> Response:
        return JSONResponse(topic_json(self._node, self._topic(request)))

    async def create(self, request: Request) -> Response:
        async with self._admission.body(request) as body:
            wanted = decoded(body, TopicWanted)
        if wanted.schema is None and wanted.aggregates is not None:
            raise HttpError(400, "aggregates go with a schema")
        schema = None if wanted.schema is None else Schema.of(wanted.schema, wanted.aggregates or ())
        topic = await self._node.create_topic(
            NewTopic(
                name=wanted.name,
                partitions=wanted.partitions,
                replication_factor=wanted.replication_factor,
                configs=wanted.configs,
                schema=schema,
            )
        )
        return JSONResponse(topic_json(self._node, topic), 201)

    async def delete(self, request: Request) -> Response:
        await self._node.delete_topic(request.path_params["topic"])
        return Response(status_code=204)

    async def append_records(self, request: Request) -> Response:
        """Store records, durable when answered: where each one is, in the order given."""
        topic = self._topic(request)
        is_lines = "ndjson" in request.headers.get("content-type", "")
        async with self._admission.body(request) as body:
            records = await self._computed(len(body), lambda: _new_records(body, is_lines=is_lines))
            outcomes = await self._inserts.insert(topic, records)
        refused = failures(outcomes)
        self._metrics.rows_inserted += len(outcomes) - len(refused)
        return await self._computed(len(body), lambda: _inserted(outcomes, refused))

    def _topic(self, request: Request) -> Topic:
        return self._node.topic(request.path_params["topic"])

    async def _computed(self, size: int, work: Callable[[], T]) -> T:
        if size <= INLINE_BYTES_MAX:
            return work()
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)


def _inserted(outcomes: Sequence[Outcome], refused: Sequence[Exception]) -> Response:
    places = [_place_json(outcome) for outcome in outcomes]
    if refused:
        # The first refusal speaks for all; the places say what is stored in spite of it.
        return of_error(refused[0], refused=len(refused), records=places)
    return Response(orjson.dumps({"ack": "quorum", "records": places}), media_type="application/json")


def _place_json(outcome: Outcome) -> dict[str, int] | None:
    return {"partition": outcome.partition, "offset": outcome.offset} if isinstance(outcome, Place) else None


def _new_records(body: bytes, *, is_lines: bool) -> list[NewRecord]:
    if is_lines:
        found: Sequence[bytes | msgspec.Raw] = [line for line in body.split(b"\n") if line.strip()]
    else:
        found = decoded(body, RecordsWanted).records
    _check_count(found)
    decoder = msgspec.json.Decoder(RecordWanted)
    try:
        return [_new_record(decoder.decode(one)) for one in found]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HttpError(400, str(error)) from error


def _check_count(records: Sequence[object]) -> None:
    if len(records) > RECORDS_MAX:
        raise HttpError(413, f"{len(records)} records, at most {RECORDS_MAX}")


def _new_record(wanted: RecordWanted) -> NewRecord:
    value = bytes(wanted.value)
    return NewRecord(
        value=None if value == NULL else value,
        key=None if wanted.key is None else wanted.key.encode(),
        timestamp_ms=wanted.timestamp,
        partition=wanted.partition,
        headers=[(name, None if text is None else text.encode()) for name, text in wanted.headers.items()],
    )


def decoded(body: bytes, kind: type[Wanted]) -> Wanted:
    """A request's JSON body. Raises: HttpError."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HttpError(400, str(error)) from error
