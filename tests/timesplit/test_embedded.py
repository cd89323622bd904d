"""The embedded database: everything a caller can do, over the same files as a served node."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import timesplit
from sharding.errors import TopicExistsError, UnknownPartitionError, UnknownTopicError
from sharding.inserts import Place, failures
from sharding.partitioner import partition_of
from store.errors import InvalidQueryError
from tests.support.served import ServedNode
from timesplit.errors import ClosedError, DataDirectoryError, InsertError, QuestionError
from timesplit.settings import Settings

ROOT = Path(__file__).parent.parent.parent
T0 = 1_700_000_000_000
SCHEMA = {"symbol": "string", "price": "double", "qty": "long"}
SMALL = Settings(segment_bytes=1 << 20)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[timesplit.Database]:
    with timesplit.open(tmp_path / "data", settings=SMALL) as opened:
        yield opened


def trades(count: int, start: int = 0) -> list[timesplit.Record]:
    return [
        timesplit.Record(
            {"symbol": "AB"[i % 2], "price": i / 4, "qty": i}, key=f"k{i % 7}", timestamp=T0 + i * 1000 - (i % 3) * 2500
        )
        for i in range(start, start + count)
    ]


def sums(database: timesplit.Database) -> dict[str, tuple[int, int]]:
    table = database.aggregate("trades", "count,sum(qty)", by="symbol")
    return {row["symbol"]: (row["count"], row["sum(qty)"]) for row in table.to_pylist()}


def test_inserted_records_are_found_by_time_and_summed(database: timesplit.Database) -> None:
    topic = database.create_topic("trades", partitions=3, schema=SCHEMA, aggregates=["qty"])
    assert [one.name for one in database.topics()] == ["trades"]
    assert topic.partition_count == 3
    records = trades(200)
    places = database.insert("trades", records)
    for record, place in zip(records, places, strict=True):
        assert isinstance(record.key, str)
        assert place.partition == partition_of(record.key.encode(), 3)
    assert len(set(places)) == 200
    rows = database.events("trades", start=T0 + 10_000, end=datetime.fromtimestamp(T0 / 1000 + 20, UTC)).to_pylist()
    wanted = sorted(r.timestamp for r in records if T0 + 10_000 <= r.timestamp < T0 + 20_000)
    assert [row["_ts"] for row in rows] == wanted
    assert sums(database) == {"A": (100, sum(range(0, 200, 2))), "B": (100, sum(range(1, 200, 2)))}
    some = database.events("trades", where="symbol='A' and qty>=190", columns=["qty", "_key"], order="-time", limit=3)
    assert some.column_names == ["qty", "_key"]
    assert some.num_rows == 3


def test_sealed_data_answers_as_before(database: timesplit.Database) -> None:
    database.create_topic("trades", schema=SCHEMA)
    database.insert("trades", trades(50))
    before = sums(database)
    split = database.seal("trades")
    assert split is not None
    assert (split.state, split.count) == ("historic", 50)
    assert [one.state for one in database.splits("trades")] == ["historic", "open"]
    assert sums(database) == before
    greatest = max(record.timestamp for record in trades(50))
    assert database.watermark("trades").watermark_ms == greatest
    assert database.seal("trades") is None
    assert database.events("trades", complete="watermark").num_rows == 50


def test_values_of_every_kind_come_back_as_bytes(database: timesplit.Database) -> None:
    database.create_topic("raw")
    headers = {"h": "text", "b": b"\xff", "n": None}
    database.insert("raw", [timesplit.Record(b"\x00\xff", timestamp=5), timesplit.Record(None, b"k", 6)])
    database.insert("raw", [timesplit.Record([1, "a"], timestamp=7, headers=headers)])
    rows = database.events("raw").to_pylist()
    assert [(row["_key"], row["_value"]) for row in rows] == [(None, b"\x00\xff"), (b"k", None), (None, b'[1,"a"]')]
    assert [(one["key"], one["value"]) for one in rows[2]["_headers"]] == [("h", b"text"), ("b", b"\xff"), ("n", None)]


def test_records_without_a_key_take_turns_over_calls(database: timesplit.Database) -> None:
    database.create_topic("t", partitions=3)
    places = [database.insert("t", [timesplit.Record(i)])[0].partition for i in range(6)]
    assert sorted(places) == [0, 0, 1, 1, 2, 2]


def test_what_has_no_meaning_is_refused_and_nothing_is_stored(database: timesplit.Database) -> None:
    database.create_topic("t", schema=SCHEMA)
    with pytest.raises(TopicExistsError):
        database.create_topic("t")
    with pytest.raises(UnknownTopicError):
        database.insert("other", [timesplit.Record(1)])
    for bad in (
        timesplit.Record(object()),
        timesplit.Record(1, timestamp=-5),
        timesplit.Record(1, timestamp=datetime(2020, 1, 1)),  # noqa: DTZ001 - what is refused
    ):
        with pytest.raises(QuestionError):
            database.insert("t", [timesplit.Record(1), bad])
    with pytest.raises(UnknownPartitionError):
        database.insert("t", [timesplit.Record(1), timesplit.Record(1, partition=9)])
    with pytest.raises(QuestionError, match="every"):
        database.aggregate("t", every="soon")
    with pytest.raises(InvalidQueryError, match="nope"):
        database.aggregate("t", "sum(nope)")
    assert database.events("t").num_rows == 0


def test_a_refused_record_is_told_apart_from_the_stored_ones(database: timesplit.Database) -> None:
    database.create_topic("t", partitions=2, configs={"max.message.bytes": "2000"})
    records = [timesplit.Record(b"x" * 100, partition=0), timesplit.Record(b"x" * 5000, partition=1)]
    with pytest.raises(InsertError) as raised:
        database.insert("t", records)
    assert raised.value.outcomes[0] == Place(0, 0)
    assert len(failures(raised.value.outcomes)) == 1
    # Many records that fit one by one are split into batches that fit.
    assert len(database.insert("t", [timesplit.Record(b"y" * 700, partition=1) for _ in range(50)])) == 50
    assert database.events("t", columns=["_offset"]).num_rows == 51


def test_a_directory_has_one_owner_and_a_closed_database_says_so(tmp_path: Path) -> None:
    database = timesplit.open(tmp_path / "data", settings=SMALL)
    with pytest.raises(DataDirectoryError, match="another process"):
        timesplit.open(tmp_path / "data")
    database.close()
    database.close()
    with pytest.raises(ClosedError):
        database.topics()
    timesplit.open(tmp_path / "data").close()


def test_embedded_then_served_then_embedded_keeps_everything(tmp_path: Path) -> None:
    with timesplit.open(tmp_path / "data", settings=SMALL) as database:
        database.create_topic("trades", partitions=2, schema=SCHEMA, aggregates=["qty"])
        database.insert("trades", trades(30))
        database.seal("trades")
        database.insert("trades", trades(30, 30))
        before = sums(database)
    node = ServedNode(tmp_path / "data", environment={"TIMESPLIT_SEGMENT_BYTES": str(1 << 20)}).start()
    try:
        asked = node.get_json("/api/v1/topics/trades/aggregate?agg=count,sum(qty)&by=symbol")["rows"]
        assert {row["symbol"]: (row["count"], row["sum(qty)"]) for row in asked} == before
        rows = [{"value": {"symbol": "A", "qty": 1000}, "timestamp": T0 + 99_000}]
        assert node.post_json("/api/v1/topics/trades/records", {"records": rows})["ack"] == "quorum"
        with pytest.raises(DataDirectoryError, match="another process"):
            timesplit.open(tmp_path / "data")
    finally:
        assert node.stop() == 0
    with timesplit.open(tmp_path / "data", settings=SMALL) as database:
        count, total = before["A"]
        assert sums(database) == {**before, "A": (count + 1, total + 1000)}
        assert [split.state for split in database.splits("trades")] == ["historic", "open"]
        database.delete_topic("trades")
        assert database.topics() == []


def test_what_was_inserted_outlives_a_process_that_never_closed(tmp_path: Path) -> None:
    program = (
        "import os, sys, timesplit\n"
        "db = timesplit.open(sys.argv[1]); db.create_topic('t')\n"
        "db.insert('t', [timesplit.Record(i) for i in range(100)])\n"
        "os._exit(9)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "data")], env=environment, timeout=50, check=False
    )
    assert done.returncode == 9
    with timesplit.open(tmp_path / "data") as database:
        assert database.events("t", columns=["_offset"]).num_rows == 100


def test_the_example_runs(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples/embedded.py"), str(tmp_path)],
        env=environment, capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "09:30  ACME  open  101.00  high  101.50  low  100.50  close  100.50  quantity 33"
    assert lines[-1] == "split 0: 16 events in main.parquet, final"
