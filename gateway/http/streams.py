"""A topic by event time over HTTP: events, aggregate, offsets, splits, seal, watermark."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from sharding.interfaces import NodeApi, SplitDescription, StreamApi

from .formats import MEDIA_TYPES, Format, encode, headers_of, wanted_format
from .parameters import aggregate_query, events_query, seal_watermark_ms, time_range

if TYPE_CHECKING:
    import pyarrow as pa


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Streams:
    """The routes under /topics/{topic} that are about its events."""

    node: NodeApi

    def _stream(self, request: Request) -> StreamApi:
        return self.node.stream(request.path_params["topic"])

    async def events(self, request: Request) -> Response:
        form = wanted_format(request, Format.JSONL)
        query = events_query(request.query_params, _now_ms())
        answer = await self._stream(request).events(query)
        pieces = encode(form, answer.schema, answer.batches, answer.meta)
        return StreamingResponse(pieces, headers=headers_of(answer.meta), media_type=MEDIA_TYPES[form])

    async def aggregate(self, request: Request) -> Response:
        form = wanted_format(request, Format.JSON)
        query = aggregate_query(request.query_params, _now_ms())
        answer = await self._stream(request).aggregate(query)
        pieces = encode(form, answer.table.schema, _batches(answer.table), answer.meta)
        return StreamingResponse(pieces, headers=headers_of(answer.meta), media_type=MEDIA_TYPES[form])

    async def offsets(self, request: Request) -> Response:
        span = time_range(request.query_params, _now_ms())
        found = await self._stream(request).offsets(span)
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
        at_least_ms = seal_watermark_ms(request.query_params, _now_ms())
        split = await self._stream(request).seal(at_least_ms=at_least_ms)
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


async def _batches(table: "pa.Table") -> AsyncIterator["pa.RecordBatch"]:
    for batch in table.to_batches(max_chunksize=8_192):
        yield batch
