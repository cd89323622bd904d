"""The same rows in every form."""

import csv
import io
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import TypeVar

import anyio
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gateway.http.formats import Format, Rows, encode, plain
from sharding.interfaces import AnswerMeta

T = TypeVar("T")
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


async def in_place(work: Callable[[], T]) -> T:
    return work()


def encoded(form: Format, count: int = 3) -> bytes:
    async def run() -> bytes:
        rows = Rows(schema=SCHEMA, batches=_batches(count), meta=META)
        return b"".join([piece async for piece in encode(form, rows, in_place)])

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


def test_a_mark_is_left_out_where_it_is_null_and_large_sums_keep_their_digits() -> None:
    table = pa.table(
        {"sum(x)": pa.array([Decimal(1 << 70), None], pa.decimal128(38, 0)), "_unsettled": pa.array([None, True])}
    )

    async def batches() -> AsyncIterator[pa.RecordBatch]:
        yield table.to_batches()[0]

    async def run(form: Format) -> bytes:
        return b"".join(
            [p async for p in encode(form, Rows(schema=table.schema, batches=batches(), meta=META), in_place)]
        )

    assert anyio.run(run, Format.JSONL) == b'{"sum(x)":%d}\n{"sum(x)":null,"_unsettled":true}\n' % (1 << 70)
    assert anyio.run(run, Format.CSV) == b"sum(x),_unsettled\r\n%d,\r\n,true\r\n" % (1 << 70)


def test_the_cursor_ends_a_json_answer() -> None:
    async def run() -> bytes:
        rows = Rows(schema=SCHEMA, batches=_batches(1), meta=META, cursor=lambda: "on")
        return b"".join([piece async for piece in encode(Format.JSON, rows, in_place)])

    assert orjson.loads(anyio.run(run))["cursor"] == "on"
