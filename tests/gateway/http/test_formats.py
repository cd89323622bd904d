"""The same rows in every form."""

import csv
import io
from collections.abc import AsyncIterator

import anyio
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gateway.http.formats import Format, encode, plain
from sharding.interfaces import AnswerMeta

META = AnswerMeta(as_of="t", watermark_ms=5, live_splits=1, historic_splits=2, served_by=1, plan={"leaves": 3})
SCHEMA = pa.schema([("_ts", pa.int64()), ("_key", pa.binary()), ("x", pa.float64()), ("h", pa.list_(pa.binary()))])
ROWS = [
    {"_ts": 1 << 60, "_key": b"k,1", "x": 0.5, "h": [b"a"]},
    {"_ts": 2, "_key": None, "x": None, "h": []},
    {"_ts": 3, "_key": b"\xff\x00", "x": -1.0, "h": None},
]


async def _batches(count: int) -> AsyncIterator[pa.RecordBatch]:
    for row in ROWS[:count]:
        yield pa.RecordBatch.from_pylist([row], schema=SCHEMA)


def encoded(form: Format, count: int = 3) -> bytes:
    async def run() -> bytes:
        return b"".join([piece async for piece in encode(form, SCHEMA, _batches(count), META)])

    return anyio.run(run)


JSON_ROWS = [{**row, "_key": plain(row["_key"]), "h": plain(row["h"])} for row in ROWS]


def test_json_and_jsonl_hold_the_rows_with_exact_integers() -> None:
    assert [orjson.loads(line) for line in encoded(Format.JSONL).splitlines()] == JSON_ROWS
    whole = orjson.loads(encoded(Format.JSON))
    assert whole["rows"] == JSON_ROWS
    assert whole["meta"]["watermark"] == 5
    assert JSON_ROWS[2]["_key"] == {"base64": "/wA="}


def test_arrow_and_parquet_hold_the_table() -> None:
    assert pa.ipc.open_stream(encoded(Format.ARROW)).read_all().to_pylist() == ROWS
    assert pq.read_table(io.BytesIO(encoded(Format.PARQUET))).to_pylist() == ROWS


def test_csv_has_a_header_and_empty_nulls() -> None:
    lines = list(csv.reader(io.StringIO(encoded(Format.CSV).decode())))
    assert lines[0] == ["_ts", "_key", "x", "h"]
    assert lines[1] == [str(1 << 60), "k,1", "0.5", '["a"]']
    assert lines[2] == ["2", "", "", "[]"]


@pytest.mark.parametrize("form", list(Format))
def test_an_empty_answer_is_whole(form: Format) -> None:
    body = encoded(form, 0)
    match form:
        case Format.JSON:
            assert orjson.loads(body)["rows"] == []
        case Format.JSONL:
            assert body == b""
        case Format.CSV:
            assert body == b"_ts,_key,x,h\r\n"
        case Format.ARROW:
            assert pa.ipc.open_stream(body).read_all().num_rows == 0
        case Format.PARQUET:
            assert pq.read_table(io.BytesIO(body)).num_rows == 0
