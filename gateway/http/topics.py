"""Topics over HTTP: list, describe, create, delete; records in."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sharding.interfaces import Appended, NewTopic, NodeApi, Topic
from sharding.partitioner import Partitioner
from store import batches
from store.events import Record
from store.schema import Schema

from .problems import HttpError

BODY_BYTES_MAX = 16 * 1024 * 1024
RECORDS_MAX = 100_000
APPEND_DEADLINE_S = 30.0

Wanted = TypeVar("Wanted", bound=msgspec.Struct)


class TopicWanted(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /topics."""

    name: str
    partitions: int = -1
    replication_factor: int = -1
    schema: dict[str, str] | None = None
    aggregates: list[str] | None = None
    configs: dict[str, str] = msgspec.field(default_factory=dict[str, str])


class RecordWanted(msgspec.Struct, forbid_unknown_fields=True):
    """One record: `value` is any JSON value and is stored as its JSON text; text keys; timestamp in ms, default now."""

    value: msgspec.Raw
    key: str | None = None
    timestamp: int | None = None
    partition: int | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict[str, str])


class RecordsWanted(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /topics/{t}/records."""

    records: list[RecordWanted]


def topic_json(node: NodeApi, topic: Topic) -> dict[str, object]:
    schema = topic.schema
    partitions = [node.partition(topic, index) for index in range(topic.partition_count)]
    return {
        "name": topic.name,
        "topic_id": str(topic.topic_id),
        "partitions": topic.partition_count,
        "replication_factor": topic.replication_factor,
        "configs": dict(topic.configs),
        "schema": None if schema is None else {name: str(kind) for name, kind in schema.attributes.items()},
        "aggregates": [] if schema is None else list(schema.aggregates),
        "offsets": [[partition.log_start, partition.high_watermark] for partition in partitions],
    }


async def read_body(request: Request) -> bytes:
    """The body, bounded. Raises: HttpError 413."""
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > BODY_BYTES_MAX:
            raise HttpError(413, f"a body of more than {BODY_BYTES_MAX} bytes")
        pieces.append(piece)
    return b"".join(pieces)


@dataclass(frozen=True, slots=True)
class Topics:
    """The routes under /topics that are about topics themselves."""

    node: NodeApi

    async def list_topics(self, request: Request) -> Response:
        del request
        return JSONResponse({"topics": [topic_json(self.node, topic) for topic in self.node.topics()]})

    async def describe(self, request: Request) -> Response:
        return JSONResponse(topic_json(self.node, self.node.topic(request.path_params["topic"])))

    async def create(self, request: Request) -> Response:
        wanted = _decoded(await read_body(request), TopicWanted)
        if wanted.schema is None and wanted.aggregates is not None:
            raise HttpError(400, "aggregates go with a schema")
        schema = None if wanted.schema is None else Schema.of(wanted.schema, wanted.aggregates or ())
        topic = await self.node.create_topic(
            NewTopic(
                name=wanted.name,
                partitions=wanted.partitions,
                replication_factor=wanted.replication_factor,
                configs=wanted.configs,
                schema=schema,
            )
        )
        return JSONResponse(topic_json(self.node, topic), 201)

    async def delete(self, request: Request) -> Response:
        await self.node.delete_topic(request.path_params["topic"])
        return Response(status_code=204)

    async def append_records(self, request: Request) -> Response:
        """Store records, durable when answered: where each one is, in the order given."""
        topic = self.node.topic(request.path_params["topic"])
        body = await read_body(request)
        wanted = _records(body, is_lines="ndjson" in request.headers.get("content-type", ""))
        if len(wanted) > RECORDS_MAX:
            raise HttpError(413, f"{len(wanted)} records, at most {RECORDS_MAX}")
        places = await self._append(topic, wanted)
        return JSONResponse({"ack": "quorum", "records": [{"partition": p, "offset": o} for p, o in places]})

    async def _append(self, topic: Topic, wanted: Sequence[RecordWanted]) -> list[tuple[int, int]]:
        now_ms = time.time_ns() // 1_000_000
        partitioner = Partitioner(topic.partition_count)
        rows_of: dict[int, list[int]] = {}
        for row, record in enumerate(wanted):
            key = None if record.key is None else record.key.encode()
            index = partitioner.choose(key) if record.partition is None else record.partition
            rows_of.setdefault(index, []).append(row)
        partitions = {index: self.node.partition(topic, index) for index in rows_of}
        places: list[tuple[int, int]] = [(-1, -1)] * len(wanted)

        async def append_to(index: int, rows: Sequence[int]) -> None:
            found = [_record(wanted[row], position, now_ms) for position, row in enumerate(rows)]
            batch = memoryview(bytearray(batches.build(found, base_offset=0)))
            outcome = _Outcome()
            header = batches.check(batch)
            partitions[index].append(batch, header, acks=-1, now_ms=now_ms, on_done=outcome.set)
            appended = await outcome.wait()
            for position, row in enumerate(rows):
                places[row] = (index, appended.base_offset + position)

        async with anyio.create_task_group() as tasks:
            for index, rows in rows_of.items():
                tasks.start_soon(append_to, index, rows)
        return places


class _Outcome:
    """The one answer of an append, awaited."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self._value: Appended | Exception | None = None

    def set(self, value: Appended | Exception) -> None:
        self._value = value
        self._event.set()

    async def wait(self) -> Appended:
        with anyio.fail_after(APPEND_DEADLINE_S):
            await self._event.wait()
        assert self._value is not None
        if isinstance(self._value, Exception):
            raise self._value
        return self._value


def _record(wanted: RecordWanted, offset: int, now_ms: int) -> Record:
    headers: Mapping[str, str] = wanted.headers
    return Record(
        offset,
        now_ms if wanted.timestamp is None else wanted.timestamp,
        None if wanted.key is None else wanted.key.encode(),
        bytes(wanted.value),
        [(name, value.encode()) for name, value in headers.items()],
    )


def _records(body: bytes, *, is_lines: bool) -> Sequence[RecordWanted]:
    if not is_lines:
        return _decoded(body, RecordsWanted).records
    return [_decoded(line, RecordWanted) for line in body.splitlines() if line.strip()]


def _decoded(body: bytes, kind: type[Wanted]) -> Wanted:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise HttpError(400, str(error)) from error
