"""Answers as jsonl, json, csv, arrow (IPC stream) or parquet; events are streamed batch by batch where the form allows.

JSON: integers are exact, bytes are text where they are UTF-8 and {"base64": …} where not, times are epoch ms, a number
that JSON lacks (NaN, infinity) is null. Turning a batch into bytes is computing, and happens in a worker thread.
"""
# pyarrow carries partial types:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import base64
import csv
import io
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import IO, TYPE_CHECKING, Protocol, TypeVar, cast

import orjson
from starlette.requests import Request
from typing_extensions import Buffer

from sharding.interfaces import AnswerMeta

from .problems import HttpError

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")
# True or null, and left out of JSON where it is null: a mark, not a value.
MARK = "_unsettled"


class Format(StrEnum):
    JSONL = "jsonl"
    JSON = "json"
    CSV = "csv"
    ARROW = "arrow"
    PARQUET = "parquet"


MEDIA_TYPES: Mapping[Format, str] = {
    Format.JSONL: "application/x-ndjson",
    Format.JSON: "application/json",
    Format.CSV: "text/csv; charset=utf-8",
    Format.ARROW: "application/vnd.apache.arrow.stream",
    Format.PARQUET: "application/vnd.apache.parquet",
}
_BY_ACCEPT = {media.split(";")[0]: form for form, media in MEDIA_TYPES.items()}


def wanted_format(request: Request, default: Format) -> Format:
    """`format=` decides, then the first known type in Accept, then the default."""
    text = request.query_params.get("format")
    if text is not None:
        if text not in set(Format):
            raise HttpError(400, f"format: {text!r} must be one of {', '.join(Format)}")
        return Format(text)
    for part in request.headers.get("accept", "").split(","):
        known = _BY_ACCEPT.get(part.split(";")[0].strip().lower())
        if known is not None:
            return known
    return default


def headers_of(meta: AnswerMeta) -> dict[str, str]:
    """What every answer says of itself (DESIGN section 11)."""
    return {
        "X-As-Of": meta.as_of,
        "X-Watermark": "" if meta.watermark_ms is None else str(meta.watermark_ms),
        "X-Splits": f"live={meta.live_splits};historic={meta.historic_splits}",
        "X-Served-By": str(meta.served_by),
    }


def meta_json(meta: AnswerMeta) -> dict[str, object]:
    return {
        "as_of": meta.as_of,
        "watermark": meta.watermark_ms,
        "splits": {"live": meta.live_splits, "historic": meta.historic_splits},
        "served_by": meta.served_by,
        "plan": dict(meta.plan),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What a query found. `cursor` goes on behind the last row that `batches` gave, None if there is nothing more."""

    schema: "pa.Schema"
    batches: AsyncIterator["pa.RecordBatch"]
    meta: AnswerMeta
    cursor: Callable[[], str | None] = lambda: None
    limit_count: int | None = None


class Encoder(Protocol):
    """Runs a computation elsewhere than in the event loop."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


async def encode(form: Format, rows: Rows, encoder: Encoder) -> AsyncGenerator[bytes]:
    """The whole answer in pieces, each made from one batch: memory does not grow with the answer."""
    match form:
        case Format.JSONL:
            async for batch in rows.batches:
                yield await encoder(lambda batch=batch: jsonl(batch))
        case Format.CSV:
            yield csv_text([rows.schema.names])
            async for batch in rows.batches:
                yield await encoder(lambda batch=batch: csv_text(_rows(batch)))
        case Format.JSON:
            async for piece in _json(rows, encoder):
                yield piece
        case Format.ARROW | Format.PARQUET:
            async for piece in _binary(form, rows, encoder):
                yield piece


async def _json(rows: Rows, encoder: Encoder) -> AsyncGenerator[bytes]:
    yield b'{"meta":' + orjson.dumps(meta_json(rows.meta)) + b',"rows":['
    is_first = True
    async for batch in rows.batches:
        if batch.num_rows:
            lines = await encoder(lambda batch=batch: jsonl(batch))
            listed = lines[:-1].replace(b"\n", b",")  # JSON text has no bare newline
            yield listed if is_first else b"," + listed
            is_first = False
    cursor = rows.cursor()
    yield b"]}" if cursor is None else b'],"cursor":' + orjson.dumps(cursor) + b"}"


def jsonl(batch: "pa.RecordBatch") -> bytes:
    """One JSON object a row, each with a newline behind it."""
    names = batch.schema.names
    objects = (dict(zip(names, row, strict=True)) for row in _rows(batch))
    if MARK in names:
        objects = (_marked(row) for row in objects)
    return b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in objects)


def _marked(row: dict[str, object]) -> dict[str, object]:
    if row[MARK] is None:
        del row[MARK]
    return row


def _rows(batch: "pa.RecordBatch") -> Iterable[Sequence[object]]:
    columns = [cast("list[object]", column.to_pylist()) for column in batch.columns]
    return zip(*map(_plain, columns), strict=True)


def _plain(values: Sequence[object]) -> Sequence[object]:
    first = next((value for value in values if value is not None), None)
    if isinstance(first, bytes | list | Decimal):
        return [plain(value) for value in values]
    return values


def plain(value: object) -> object:
    """Bytes as text or base64, lists (headers) element by element, large sums digit by digit; the rest as it is."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, Decimal):
        # A sum of long beyond 64 bits; JSON numbers have no bound.
        return orjson.Fragment(str(int(value)))
    if isinstance(value, list):
        return [plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType] - a list of anything
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - a map of anything
    return value


def csv_text(rows: Iterable[Sequence[object]]) -> bytes:
    """RFC 4180; null is empty, lists and objects are JSON."""
    text = io.StringIO()
    csv.writer(text).writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue().encode()


def _cell(value: object) -> object:
    if isinstance(value, list | dict | orjson.Fragment):
        return orjson.dumps(value).decode()
    return str(value).lower() if isinstance(value, bool) else value


class _TableWriter(Protocol):
    def write_batch(self, batch: "pa.RecordBatch", /) -> None: ...
    def close(self) -> None: ...


async def _binary(form: Format, rows: Rows, encoder: Encoder) -> AsyncGenerator[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = _Pieces()
    writer = cast(
        "_TableWriter",
        pa.ipc.new_stream(sink, rows.schema)
        if form is Format.ARROW
        else pq.ParquetWriter(cast("IO[bytes]", sink), rows.schema, compression="zstd"),
    )

    def written(batch: "pa.RecordBatch") -> bytes:
        writer.write_batch(batch)
        return sink.take()

    async for batch in rows.batches:
        yield await encoder(lambda batch=batch: written(batch))
    writer.close()
    yield sink.take()


class _Pieces(io.RawIOBase):
    """A file that is handed on piece by piece; arrow asks it for its position."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer, /) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._position += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._position

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
