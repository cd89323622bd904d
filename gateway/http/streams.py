"""A topic by event time over HTTP: events, aggregate, offsets, splits, seal, watermark."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sharding.interfaces import NodeApi, SplitDescription, StreamApi

from .admission import Admission
from .answers import Ends, begun
from .formats import Format, Rows, wanted_format
from .metrics import HttpMetrics
from .parameters import aggregate_query, events_query, seal_watermark_ms, span_query
from .settings import HttpSettings

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 8_192
T = TypeVar("T")


class Streams:
    """The routes under /topics/{topic} that are about its events."""

    def __init__(
        self,
        node: NodeApi,
        admission: Admission,
        settings: HttpSettings,
        metrics: HttpMetrics,
        now_ms: Callable[[], int],
    ) -> None:
        self._node = node
        self._admission = admission
        self._settings = settings
        self._metrics = metrics
        self._now_ms = now_ms
        self._limiter = anyio.CapacityLimiter(settings.query_threads)

    async def events(self, request: Request) -> Response:
        stream = self._stream(request)
        query = events_query(request.query_params, self._now_ms())

        async def ask() -> Rows:
            answer = await stream.events(query)
            return Rows(
                schema=answer.schema,
                batches=answer.batches,
                meta=answer.meta,
                cursor=answer.cursor,
                limit_count=query.limit_count,
            )

        return await self._answered(request, Format.JSONL, ask)

    async def aggregate(self, request: Request) -> Response:
        stream = self._stream(request)
        query = aggregate_query(request.query_params, self._now_ms())

        async def ask() -> Rows:
            answer = await stream.aggregate(query)
            return Rows(schema=answer.table.schema, batches=_batches(answer.table), meta=answer.meta)

        return await self._answered(request, Format.JSON, ask)

    async def offsets(self, request: Request) -> Response:
        stream = self._stream(request)
        span = span_query(request.query_params, self._now_ms())
        ticket = self._admission.query()
        try:
            found = await stream.offsets(span)
        finally:
            ticket.close()
        return JSONResponse(
            {
                "partitions": [
                    {
                        "partition": p.partition,
                        "first_offset": p.first_offset,
                        "end_offset": p.end_offset,
                        "count": p.count,
                    }
                    for p in found
                ]
            }
        )

    async def splits(self, request: Request) -> Response:
        return JSONResponse({"splits": [split_json(split) for split in self._stream(request).splits()]})

    async def seal(self, request: Request) -> Response:
        stream = self._stream(request)
        at_least_ms = seal_watermark_ms(request.query_params, self._now_ms())
        split = await stream.seal(at_least_ms=at_least_ms)
        return Response(status_code=204) if split is None else JSONResponse(split_json(split))

    async def watermark(self, request: Request) -> Response:
        found = self._stream(request).watermark()
        return JSONResponse(
            {
                "tick": found.tick,
                "watermark": found.watermark_ms,
                "cut": list(found.cut),
                "late_count": found.late_count,
            }
        )

    def _stream(self, request: Request) -> StreamApi:
        return self._node.stream(request.path_params["topic"])

    async def _answered(self, request: Request, default: Format, ask: Callable[[], Awaitable[Rows]]) -> Response:
        form = wanted_format(request, default)
        ends = Ends(self._admission.query(), self._metrics, self._settings.stall_deadline_s)
        try:
            return await begun(request, form, await ask(), self._in_thread, ends)
        except BaseException:
            ends.ticket.close()
            raise

    async def _in_thread(self, work: Callable[[], T], /) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)


def split_json(split: SplitDescription) -> dict[str, object]:
    return {
        "number": split.number,
        "state": split.state,
        "first_ms": split.first_ms,
        "last_ms": split.last_ms,
        "count": split.count,
        "bytes": split.bytes,
        "end_offsets": list(split.end_offsets),
        "files": list(split.files),
        "opened_ms": split.opened_ms,
        "sha256": dict(split.sha256),
    }


async def _batches(table: "pa.Table") -> AsyncGenerator["pa.RecordBatch"]:
    for batch in table.to_batches(max_chunksize=BATCH_ROWS):
        yield batch
