"""The HTTP door of a served node, end to end: Kafka clients and HTTP write one stream."""

import csv
import http.client
import io
import json
import random
import socket
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import confluent_kafka
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sharding.partitioner import partition_of
from tests.support.served import ServedNode
from tests.support.waiting import wait_until

pytestmark = pytest.mark.clients

T0 = 1_700_000_000_000
MINUTE = 60_000
PARTITIONS = 4
WORDS = ("Ä", "b,c", 'd"e', "f'g")


@dataclass(frozen=True)
class Event:
    key: str
    timestamp: int
    word: str | None
    x: float | None
    n: int | None

    def value(self) -> dict:
        return {name: value for name, value in (("w", self.word), ("x", self.x), ("n", self.n)) if value is not None}


@dataclass
class Ask:
    """Whole answers of one topic's routes."""

    node: ServedNode
    topic: str

    def ask(
        self, route: str, *, headers: dict[str, str] | None = None, **query: object
    ) -> tuple[bytes, dict[str, str]]:
        connection = http.client.HTTPConnection(self.node.http, timeout=60)
        try:
            words = urlencode({name.rstrip("_"): value for name, value in query.items()})
            connection.request("GET", f"/api/v1/topics/{self.topic}/{route}?{words}", headers=headers or {})
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, body
            return body, {name.lower(): value for name, value in answer.getheaders()}
        finally:
            connection.close()

    def rows(self, route: str, **query: object) -> list[dict]:
        return json.loads(self.ask(route, format="json", **query)[0])["rows"]


@dataclass
class Loaded:
    ask: Ask
    events: list[Event]


@pytest.fixture(scope="module")
def loaded(node: ServedNode) -> Iterator[Loaded]:
    """800 events out of order; half come by HTTP, half by a Kafka producer; a split is sealed in between."""
    schema = {"w": "string", "x": "double", "n": "long"}
    node.post_json("/api/v1/topics", {"name": "doors", "partitions": PARTITIONS, "schema": schema, "aggregates": ["x"]})
    draw = random.Random(11)
    events = [
        Event(
            key=f"key-{draw.randrange(30)}",
            timestamp=T0 + i * 900 - draw.randrange(20_000),
            word=draw.choice((*WORDS, None)),
            x=draw.choice((round(draw.uniform(-9, 9), 3), None)),
            n=draw.choice((draw.randrange(-(1 << 62), 1 << 62), None)),
        )
        for i in range(800)
    ]
    for begin in range(0, 800, 200):
        part = events[begin : begin + 200]
        rows = [{"key": e.key, "timestamp": e.timestamp, "value": e.value()} for e in part[:100]]
        places = node.post_json("/api/v1/topics/doors/records", {"records": rows})["records"]
        assert [place["partition"] for place in places] == [
            partition_of(e.key.encode(), PARTITIONS) for e in part[:100]
        ]
        _produce(node, part[100:])
        if begin == 200:
            node.post_json("/api/v1/topics/doors/splits/seal", {})
    yield Loaded(Ask(node, "doors"), events)
    node.post_json("/api/v1/topics/doors/splits/seal", {})


def _produce(node: ServedNode, events: list[Event]) -> None:
    partitions: list[tuple[str, int]] = []

    def on_delivery(error: object, message: confluent_kafka.Message) -> None:
        assert error is None
        partitions.append(((message.key() or b"").decode(), message.partition() or 0))

    producer = confluent_kafka.Producer({"bootstrap.servers": node.kafka, "partitioner": "murmur2_random"})
    for event in events:
        value, key = json.dumps(event.value()).encode(), event.key.encode()
        producer.produce("doors", value, key, timestamp=event.timestamp, on_delivery=on_delivery)
    assert producer.flush(30) == 0
    # What a Kafka producer calls a key's partition, ours calls so, too.
    assert all(partition == partition_of(key.encode(), PARTITIONS) for key, partition in partitions)


def test_all_five_forms_hold_the_same_rows_in_event_order(loaded: Loaded) -> None:
    lines = [json.loads(line) for line in loaded.ask.ask("events")[0].splitlines()]
    found = [(row["_key"], row["_ts"], row["w"], row["x"], row["n"]) for row in lines]
    assert sorted(found, key=repr) == sorted(((e.key, e.timestamp, e.word, e.x, e.n) for e in loaded.events), key=repr)
    order = [(row["_ts"], row["_partition"], row["_offset"]) for row in lines]
    assert order == sorted(order)
    columns = ["_ts", "_partition", "_offset", "w", "x", "n"]
    wanted = [[row[name] for name in columns] for row in lines]
    for form in ("json", "arrow", "parquet", "csv"):
        body, headers = loaded.ask.ask("events", format=form, columns=",".join(columns))
        assert headers["x-splits"] == "live=1;historic=1"
        match form:
            case "json":
                got = [[row[name] for name in columns] for row in json.loads(body)["rows"]]
            case "csv":
                head, *rest = csv.reader(io.StringIO(body.decode()))
                assert head == columns
                got = [[int(r[0]), int(r[1]), int(r[2]), r[3] or None, float(r[4]) if r[4] else None,
                        int(r[5]) if r[5] else None] for r in rest]  # fmt: skip
            case _:
                table = pa.ipc.open_stream(body).read_all() if form == "arrow" else pq.read_table(io.BytesIO(body))
                got = [[row[name] for name in columns] for row in table.to_pylist()]
        assert got == wanted, form


@pytest.mark.parametrize("where", [None, "n>=0", "w='Ä' and x<0", "w='f''g'", "key"])
@pytest.mark.parametrize("by", ["", "w"])
def test_aggregates_by_windows_and_groups_equal_brute_force(loaded: Loaded, where: str | None, by: str) -> None:
    first, end = T0 + 90_000, T0 + 600_000
    tests = {
        None: lambda _: True,
        "n>=0": lambda e: e.n is not None and e.n >= 0,
        "w='Ä' and x<0": lambda e: e.word == "Ä" and e.x is not None and e.x < 0,
        "w='f''g'": lambda e: e.word == "f'g",
        "key": lambda e: e.key == "key-3",
    }
    query: dict[str, object] = {"from_": first, "to": end, "every": "1m", "agg": "count,sum(n),min(x),max(x),ohlc(n)"}
    query |= {"key": "key-3"} if where == "key" else {} if where is None else {"where": where}
    query |= {"by": by} if by else {}
    groups: dict[tuple[int, str | None], list[Event]] = defaultdict(list)
    placed = {(row["_key"], row["_ts"], row["n"]): number for number, row in enumerate(loaded.ask.rows("events"))}
    for event in loaded.events:
        if first <= event.timestamp < end and tests[where](event):
            groups[event.timestamp // MINUTE * MINUTE, event.word if by else None].append(event)
    rows = loaded.ask.rows("aggregate", **query)
    assert len(rows) == len(groups)
    for row in rows:
        events = groups[row["window_start"], row.get("w")]
        events.sort(key=lambda e: placed[e.key, e.timestamp, e.n])
        numbers = [e.n for e in events if e.n is not None]
        xs = [e.x for e in events if e.x is not None]
        assert row["window_end"] == row["window_start"] + MINUTE
        assert (row["count"], row["sum(n)"]) == (len(events), sum(numbers) if numbers else None)
        assert (row["min(x)"], row["max(x)"]) == (min(xs, default=None), max(xs, default=None))
        wanted = (numbers[0], max(numbers), min(numbers), numbers[-1]) if numbers else (None,) * 4
        assert tuple(row[f"{price}(n)"] for price in ("open", "high", "low", "close")) == wanted


def test_fills_add_the_windows_without_events(loaded: Loaded) -> None:
    first = T0 - 10 * MINUTE
    query = {"from_": first, "to": T0 + 2 * MINUTE, "every": "1m", "agg": "count,sum(x)"}
    bare = loaded.ask.rows("aggregate", **query)
    for fill in ("null", "prev", "0"):
        filled = loaded.ask.rows("aggregate", **query, fill=fill)
        assert len(filled) == 13  # the first window begins before `from`
        assert [row for row in filled if row["count"]] == bare
        assert filled[0]["sum(x)"] == (0 if fill == "0" else None)


def test_offsets_of_a_range_equal_brute_force(loaded: Loaded) -> None:
    rows = loaded.ask.rows("events", columns="_ts,_partition,_offset")
    for first, end in ((T0, T0 + MINUTE), (T0 + 100_000, T0 + 100_001), (0, 1)):
        found = json.loads(loaded.ask.ask("offsets", from_=first, to=end)[0])["partitions"]
        for place in found:
            inside = [r["_offset"] for r in rows if r["_partition"] == place["partition"] and first <= r["_ts"] < end]
            wanted = (min(inside), max(inside) + 1, len(inside)) if inside else (0, 0, 0)
            assert (place["first_offset"], place["end_offset"], place["count"]) == wanted


@pytest.mark.parametrize("order", ["time", "-time", "arrival"])
def test_pages_joined_by_their_cursors_are_the_whole(loaded: Loaded, order: str) -> None:
    whole = loaded.ask.ask("events", order=order, columns="_partition,_offset")[0].splitlines()
    pages: list[bytes] = []
    cursor: dict[str, str] = {}
    while True:
        body, headers = loaded.ask.ask("events", order=order, columns="_partition,_offset", limit=170, **cursor)
        pages += body.splitlines()
        if "x-cursor" not in headers:
            break
        cursor = {"cursor": headers["x-cursor"]}
    assert pages == whole


def test_what_is_no_json_is_stored_without_attributes_and_counted(loaded: Loaded) -> None:
    node = loaded.ask.node
    node.post_json("/api/v1/topics", {"name": "odd", "schema": {"n": "long"}})
    values = [b"\x00\xff", b"{", b"[1]", b'"text"', b'{"n": "no number"}', b'{"n": 7}']
    producer = confluent_kafka.Producer({"bootstrap.servers": node.kafka})
    for i, value in enumerate(values):
        producer.produce("odd", value, timestamp=T0 + i)
    assert producer.flush(30) == 0
    rows = Ask(node, "odd").rows("events")
    assert [row["n"] for row in rows] == [None] * 5 + [7]
    assert [row["_value"] for row in rows] == [{"base64": "AP8="}, *(value.decode() for value in values[1:])]
    assert node.metric("timesplit_values_not_json_total", topic="odd") == 4


def test_a_watermark_rises_and_finals_stay_behind_it(loaded: Loaded) -> None:
    node = loaded.ask.node
    configs = {"lateness.ms": "1000", "idle.ms": "600000"}
    node.post_json("/api/v1/topics", {"name": "ticks", "schema": {"n": "long"}, "configs": configs})
    rows = [{"timestamp": T0 + i * 1000, "value": {"n": i}} for i in range(10)]
    node.post_json("/api/v1/topics/ticks/records", {"records": rows})
    wait_until(lambda: node.get_json("/api/v1/topics/ticks/watermark")["watermark"] == T0 + 8000)
    assert [row["n"] for row in Ask(node, "ticks").rows("events", complete="watermark")] == list(range(9))
    found = Ask(node, "ticks").rows("events", columns="n,_unsettled")
    assert [row.get("_unsettled") for row in found] == [None] * 9 + [True]


def test_a_client_that_leaves_ends_its_query(loaded: Loaded) -> None:
    node = loaded.ask.node
    node.post_json("/api/v1/topics", {"name": "long"})
    rows = [{"value": "x" * 4000} for _ in range(3000)]
    node.post_json("/api/v1/topics/long/records", {"records": rows})
    node.post_json("/api/v1/topics/long/records", {"records": rows})
    broken = node.metric("timesplit_http_answers_broken_off_total")
    host, port = node.http.split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(b"GET /api/v1/topics/long/events HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        wait_until(lambda: node.metric("timesplit_http_queries") == 1, what="a query that waits for its reader")
    wait_until(lambda: node.metric("timesplit_http_queries") == 0, what="the end of the query")
    assert node.metric("timesplit_http_answers_broken_off_total") == broken + 1


def test_more_queries_than_may_wait_are_asked_to_come_again(tmp_path: Path) -> None:
    settings = {"TIMESPLIT_QUERY_THREADS": "1", "TIMESPLIT_QUERY_WAITING_MAX": "1"}
    node = ServedNode(tmp_path / "data", environment=settings).start()
    try:
        node.post_json("/api/v1/topics", {"name": "long"})
        for _ in range(2):
            node.post_json("/api/v1/topics/long/records", {"records": [{"value": "x" * 4000} for _ in range(3000)]})
        slow = [http.client.HTTPConnection(node.http, timeout=30) for _ in range(3)]
        for connection in slow[:2]:
            connection.request("GET", "/api/v1/topics/long/events")
        wait_until(lambda: node.metric("timesplit_http_queries") == 2)
        slow[2].request("GET", "/api/v1/topics/long/events")
        refused = slow[2].getresponse()
        assert (refused.status, refused.getheader("Retry-After")) == (429, "1")
        assert json.loads(refused.read())["title"] == "THROTTLING_QUOTA_EXCEEDED"
        assert len(slow[0].getresponse().read().splitlines()) == 6000
        wait_until(lambda: node.metric("timesplit_http_queries") == 1, what="the end of the first query")
        slow[2].request("GET", "/api/v1/topics/long/events?limit=1")
        assert slow[2].getresponse().status == 200
        for connection in slow:
            connection.close()
    finally:
        assert node.stop() == 0
