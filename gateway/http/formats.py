"""Answers as jsonl, json, csv, arrow (IPC stream) or parquet; events are streamed batch by batch where the form allows.

JSON: integers are exact, bytes are text where they are UTF-8 and {"base64": …} where not, times are epoch ms.
"""
# pyarrow carries partial types:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import base64
import csv
import io
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import IO, TYPE_CHECKING, cast

import orjson
from starlette.requests import Request
from typing_extensions import Buffer

from sharding.interfaces import AnswerMeta

from .problems import HttpError

if TYPE_CHECKING:
    import pyarrow as pa


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


async def encode(
    form: Format, schema: "pa.Schema", batches: AsyncIterator["pa.RecordBatch"], meta: AnswerMeta
) -> AsyncIterator[bytes]:
    """The whole answer in pieces, each made from one batch: memory does not grow with the answer."""
    match form:
        case Format.JSONL:
            async for batch in batches:
                yield jsonl(batch)
        case Format.CSV:
            yield csv_row(schema.names)
            async for batch in batches:
                yield b"".join(map(csv_row, _rows(batch)))
        case Format.JSON:
            async for piece in _json(batches, meta):
                yield piece
        case Format.ARROW | Format.PARQUET:
            async for piece in _binary(form, schema, batches):
                yield piece


async def _json(batches: AsyncIterator["pa.RecordBatch"], meta: AnswerMeta) -> AsyncIterator[bytes]:
    yield b'{"meta":' + orjson.dumps(meta_json(meta)) + b',"rows":['
    count = 0
    async for batch in batches:
        count += batch.num_rows
        if batch.num_rows:
            rows = jsonl(batch)[:-1].replace(b"\n", b",")
            yield rows if count == batch.num_rows else b"," + rows
    yield b"]}"


def jsonl(batch: "pa.RecordBatch") -> bytes:
    """One JSON object a row, each with a newline behind it."""
    names = batch.schema.names
    return b"".join(
        orjson.dumps(dict(zip(names, row, strict=True)), option=orjson.OPT_APPEND_NEWLINE) for row in _rows(batch)
    )


def _rows(batch: "pa.RecordBatch") -> Iterable[Sequence[object]]:
    columns = [cast("list[object]", column.to_pylist()) for column in batch.columns]
    return zip(*map(_plain, columns), strict=True)


def _plain(values: Sequence[object]) -> Sequence[object]:
    first = next((value for value in values if value is not None), None)
    if isinstance(first, bytes | list):
        return [plain(value) for value in values]
    return values


def plain(value: object) -> object:
    """Bytes as text or base64, lists (headers) element by element; everything else as it is."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, list):
        return [plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType] - a list of anything
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - a map of anything
    return value


def csv_row(values: Iterable[object]) -> bytes:
    """RFC 4180; null is empty, lists and objects are JSON."""
    text = io.StringIO()
    flat = [orjson.dumps(v).decode() if isinstance(v, list | dict) else v for v in values]
    csv.writer(text).writerow(flat)
    return text.getvalue().encode()


async def _binary(form: Format, schema: "pa.Schema", batches: AsyncIterator["pa.RecordBatch"]) -> AsyncIterator[bytes]:
    import pyarrow as pa

    sink = _Pieces()
    if form is Format.ARROW:
        with pa.ipc.new_stream(sink, schema) as writer:
            async for batch in batches:
                writer.write_batch(batch)
                yield sink.take()
    else:
        import pyarrow.parquet as pq

        with pq.ParquetWriter(cast("IO[bytes]", sink), schema, compression="zstd") as writer:
            async for batch in batches:
                writer.write_batch(batch)
                yield sink.take()
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
