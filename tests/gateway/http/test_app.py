"""Every route over a fake node: what is asked reaches the node, what it answers or refuses reaches the client."""

import io
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gateway.http.answers import BrokenOffError
from gateway.http.app import NOT_BUILT, build_app
from gateway.http.metrics import HttpMetrics
from gateway.http.settings import HttpSettings
from sharding.coordinators.interfaces import CommittedOffset
from sharding.errors import InvalidTimestampError, NotLeaderError, OverloadedError
from sharding.partitioner import partition_of
from store.batches import records
from store.errors import InvalidQueryError, QueryTooLargeError
from store.events import ALL_TIME, TimeRange
from store.queries import AggregateQuery, EventsQuery
from tests.support.asgi import Answer, Client
from tests.support.fake_stream import FakeStream, FakeStreamNode, batch_of

API = "/api/v1"
NOW = 1_700_000_000_000


@dataclass
class Door:
    """An application over a fake node with one stream `t` of three partitions."""

    node: FakeStreamNode = field(default_factory=FakeStreamNode)
    settings: HttpSettings = field(default_factory=HttpSettings)
    counted: HttpMetrics = field(default_factory=HttpMetrics)
    is_ready: bool = True

    def __post_init__(self) -> None:
        self.stream: FakeStream = self.node.add_stream("t")

    def client(self) -> Client:
        app = build_app(
            self.node,
            is_ready=lambda: self.is_ready,
            render_metrics=lambda: b"figure 1\n",
            now_ms=lambda: NOW,
            settings=self.settings,
            counted=self.counted,
        )
        return Client(app)


def run(work: Callable[[Client], Awaitable[Answer]], door: Door) -> Answer:
    async def ask() -> Answer:
        with anyio.fail_after(20):
            return await work(door.client())

    return anyio.run(ask)


def get(path: str, query: str = "", door: Door | None = None, **headers: str) -> Answer:
    return run(lambda client: client.get(path, query, **headers), door or Door())


def post(path: str, body: object, door: Door | None = None, **headers: str) -> Answer:
    return run(lambda client: client.post(path, body, **headers), door or Door())


def assert_problem(answer: Answer, status: int, said: str) -> None:
    assert answer.headers["content-type"] == "application/problem+json", answer
    body = answer.json()
    assert (answer.status, body["status"]) == (status, status), body
    assert said in body["detail"], body


# Health and what is not there.


def test_health_says_live_always_and_ready_when_it_is() -> None:
    door = Door(is_ready=False)
    assert get("/health/live", door=door).json() == {"status": "live", "node_id": 7, "cluster_id": "fake-cluster"}
    assert get("/health/ready", door=door).status == 503
    door.is_ready = True
    for path in ("/health/ready", "/health"):
        assert get(path, door=door).json()["status"] == "ready"


def test_metrics_and_the_page_are_served() -> None:
    answer = get("/metrics")
    assert answer.body == b"figure 1\n"
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    page = get("/")
    assert b"<title>Timesplit" in page.body
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert get("/static/app.js").status == 200


@pytest.mark.parametrize("path", ["/nothing", f"{API}/nothing", "/static/nothing.js", f"{API}/topics/t/other"])
def test_an_unknown_path_is_a_problem(path: str) -> None:
    assert_problem(get(path), 404, path)


def test_a_wrong_method_is_a_problem() -> None:
    answer = run(lambda client: client.get(f"{API}/topics", method="PUT"), Door())
    assert_problem(answer, 405, "PUT")


@pytest.mark.parametrize("path", NOT_BUILT)
def test_what_is_not_built_says_so(path: str) -> None:
    path = f"{API}/{path.format(topic='t')}"
    assert_problem(get(path), 501, "not built")
    assert_problem(post(path, {}), 501, "not built")


def test_a_fault_of_ours_is_a_problem_without_its_inside() -> None:
    door = Door()
    door.stream.refusal = RuntimeError("secret")

    async def ask() -> Answer:
        client = door.client()
        with pytest.raises(RuntimeError, match="secret"):
            await client.get(f"{API}/topics/t/watermark")
        return client.last

    answer = anyio.run(ask)
    assert_problem(answer, 500, "a fault")
    assert b"secret" not in answer.body
    assert door.counted.requests == {500: 1}


@pytest.mark.parametrize(("origin", "status"), [("http://evil.example", 403), ("null", 403), ("http://node", 204)])
def test_a_page_of_another_origin_changes_nothing(origin: str, status: int) -> None:
    door = Door()
    assert post(f"{API}/topics/t/splits/seal", b"", door, origin=origin).status == status
    assert get(f"{API}/topics", door=door, origin=origin).status == 200
    assert len(door.stream.asked) == (status == 204)


# Topics and records.


def test_topics_are_listed_described_created_and_deleted() -> None:
    door = Door()
    body = {"name": "new", "partitions": 2, "configs": {"retention.ms": "5"}}
    created = post(f"{API}/topics", body, door)
    assert created.status == 201
    assert created.json()["partitions"] == 2
    assert created.json()["offsets"] == [[0, 0], [0, 0]]
    assert [topic["name"] for topic in get(f"{API}/topics", door=door).json()["topics"]] == ["new", "t"]
    assert get(f"{API}/topics/t", door=door).json()["name"] == "t"
    deleted = run(lambda client: client.ask("DELETE", f"{API}/topics/new"), door)
    assert (deleted.status, deleted.body) == (204, b"")
    assert_problem(get(f"{API}/topics/new", door=door), 404, "new")
    assert_problem(post(f"{API}/topics", {"name": "t"}, door), 409, "t")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "truncated"),
        ({}, "name"),
        ({"name": 5}, "name"),
        ({"name": "x", "other": 1}, "other"),
        ({"name": "x", "schema": {"a": "decimal"}}, "decimal"),
        ({"name": "x", "schema": {"a": "long"}, "aggregates": ["b"]}, "'b'"),
        ({"name": "x", "aggregates": ["b"]}, "schema"),
        ({"name": "x/y"}, "x/y"),
        (b"\xff\xfe", ""),
        (b"[" * 100_000, ""),
    ],
)
def test_a_bad_topic_is_refused(body: object, said: str) -> None:
    assert_problem(post(f"{API}/topics", body), 400, said)


def test_records_land_where_murmur2_says_and_answers_keep_the_order_given() -> None:
    door = Door()
    rows = [{"key": f"k{i}", "value": {"i": i}, "timestamp": NOW + i} for i in range(50)]
    answer = post(f"{API}/topics/t/records", {"records": rows}, door).json()
    assert answer["ack"] == "quorum"
    for i, place in enumerate(answer["records"]):
        assert place["partition"] == partition_of(f"k{i}".encode(), 3)
        batches = [batch for _, batch in door.node.partitions["t", place["partition"]].batches]
        stored = next(r for batch in batches for r in records(batch) if r.offset == place["offset"])
        assert (stored.key, stored.value, stored.timestamp_ms) == (f"k{i}".encode(), b'{"i": %d}' % i, NOW + i)
    assert door.counted.rows_inserted == 50


def test_records_come_as_lines_with_headers_partitions_and_null_values() -> None:
    door = Door()
    lines = b'{"value": null, "partition": 1, "headers": {"a": "b", "c": null}}\n\n{"value": "x", "partition": 1}\n'
    answer = post(f"{API}/topics/t/records", lines, door, content_type="application/x-ndjson").json()
    assert answer["records"] == [{"partition": 1, "offset": 0}, {"partition": 1, "offset": 1}]
    (found,) = [list(records(batch)) for _, batch in door.node.partitions["t", 1].batches]
    assert found[0].value is None
    assert list(found[0].headers) == [("a", b"b"), ("c", None)]
    assert (found[1].value, found[1].timestamp_ms) == (b'"x"', NOW)


def test_records_without_a_key_take_turns_over_requests() -> None:
    door = Door()

    async def ask() -> list[int]:
        client = door.client()
        answers = [await client.post(f"{API}/topics/t/records", {"records": [{"value": 1}]}) for _ in range(6)]
        return [answer.json()["records"][0]["partition"] for answer in answers]

    assert sorted(anyio.run(ask)) == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("record", "status", "said"),
    [
        ({"key": "no value"}, 400, "value"),
        ({"value": 1, "timestamp": -1}, 400, "timestamp"),
        ({"value": 1, "timestamp": 1 << 63}, 400, "timestamp"),
        ({"value": 1, "timestamp": "now"}, 400, "timestamp"),
        ({"value": 1, "partition": -1}, 400, "partition"),
        ({"value": 1, "partition": 3}, 404, "3"),
        ({"value": 1, "key": 5}, 400, "key"),
        ({"value": 1, "more": 5}, 400, "more"),
    ],
)
def test_a_bad_record_is_refused_and_nothing_is_stored(record: dict, status: int, said: str) -> None:
    door = Door()
    answer = post(f"{API}/topics/t/records", {"records": [{"value": 0, "partition": 0}, record]}, door)
    assert_problem(answer, status, said)
    assert door.node.appended == 0


def test_a_refusal_says_which_records_are_stored_all_the_same() -> None:
    door = Door()
    door.node.partitions["t", 1].refusal = InvalidTimestampError("too far ahead")
    rows = [{"value": i, "partition": i % 2} for i in range(4)]
    answer = post(f"{API}/topics/t/records", {"records": rows}, door)
    assert_problem(answer, 400, "too far ahead")
    stored = [{"partition": 0, "offset": 0}, None, {"partition": 0, "offset": 1}, None]
    assert (answer.json()["refused"], answer.json()["records"]) == (2, stored)
    door.node.partitions["t", 1].refusal = OverloadedError("too much in flight")
    answer = post(f"{API}/topics/t/records", {"records": rows[1:2]}, door)
    assert_problem(answer, 429, "in flight")
    assert answer.headers["retry-after"] == "1"


def test_bodies_are_bounded_one_by_one_and_together() -> None:
    door = Door(settings=HttpSettings(body_bytes_max=1000, body_budget_bytes=1500, body_deadline_s=0.2))
    assert_problem(post(f"{API}/topics/t/records", [b"x" * 600, b"y" * 600], door), 413, "1000")
    assert door.counted.body_bytes_held == 0
    door.counted.body_bytes_held = 1000
    assert_problem(post(f"{API}/topics/t/records", b"x" * 600, door), 429, "again")
    assert door.counted.body_bytes_held == 1000


def test_a_body_that_never_ends_is_given_up() -> None:
    door = Door(settings=HttpSettings(body_deadline_s=0.05))

    async def ask() -> Answer:
        client = door.client()
        app = client.app

        async def with_open_end(scope: dict, receive: Callable[[], Awaitable[dict]], send: object) -> None:
            async def held() -> dict:
                message = await receive()
                return {**message, "more_body": True} if message["type"] == "http.request" else message

            await app(scope, held, send)  # pyright: ignore[reportArgumentType] - as loose as ASGI

        client.app = with_open_end  # pyright: ignore[reportAttributeAccessIssue] - the same
        return await client.post(f"{API}/topics/t/records", b"{")

    assert_problem(anyio.run(ask), 408, "0.05")
    assert door.counted.body_bytes_held == 0


def test_groups_are_listed_described_with_lag_and_deleted() -> None:
    door = Door()
    door.node.groups.offsets["g"] = {("t", 0): CommittedOffset(offset=3), ("gone", 0): CommittedOffset(offset=1)}
    door.node.partitions["t", 0].high_watermark = 10
    assert [group["group"] for group in get(f"{API}/groups", door=door).json()["groups"]] == ["g"]
    found = get(f"{API}/groups/g", door=door).json()
    assert [(o["topic"], o["committed"], o["end"], o["lag"]) for o in found["offsets"]] == [
        ("gone", 1, None, None),
        ("t", 3, 10, 7),
    ]
    assert run(lambda client: client.ask("DELETE", f"{API}/groups/g"), door).status == 204
    assert_problem(get(f"{API}/groups/g", door=door), 404, "g")


# Questions by time.


def test_events_stream_in_the_asked_form_and_say_what_they_are() -> None:
    door = Door()
    answer = get(f"{API}/topics/t/events", "from=5&to=now&columns=_ts,_value&limit=7&order=-time", door)
    assert [row["_ts"] for row in answer.rows] == [0, 1, 2, 3, 4]
    assert answer.headers["content-type"] == "application/x-ndjson"
    wanted = {"x-as-of": "token", "x-watermark": "5", "x-splits": "live=1;historic=2", "x-served-by": "7"}
    assert wanted.items() <= answer.headers.items()
    (query,) = door.stream.asked
    assert isinstance(query, EventsQuery)
    assert (query.span, query.limit_count, query.columns) == (TimeRange(first_ms=5, end_ms=NOW), 7, ["_ts", "_value"])
    assert door.stream.is_closed
    assert door.counted.queries_running == 0


@pytest.mark.parametrize(
    ("query", "accept"),
    [
        ("format=parquet", "*/*"),
        ("", "application/vnd.apache.parquet"),
        ("", "text/html, application/vnd.apache.parquet;q=0.5"),
    ],
)
def test_the_form_is_asked_by_name_or_by_accept(query: str, accept: str) -> None:
    answer = get(f"{API}/topics/t/events", query, accept=accept)
    assert pq.read_table(io.BytesIO(answer.body)).num_rows == 5
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"


def test_aggregate_offsets_watermark_splits_and_seal() -> None:
    door = Door()
    answer = get(f"{API}/topics/t/aggregate", "agg=count,sum(x)&every=10ms&by=a,b&fill=null&format=json", door)
    assert answer.json()["rows"] == [{"window_start": 0, "count": 2}, {"window_start": 10, "count": 3}]
    assert answer.json()["meta"]["plan"] == {"leaves": 3, "events": 9}
    assert isinstance(door.stream.asked[0], AggregateQuery)
    offsets = get(f"{API}/topics/t/offsets", "from=1&to=2", door).json()
    assert offsets == {"partitions": [{"partition": 0, "first_offset": 1, "end_offset": 4, "count": 2}]}
    assert get(f"{API}/topics/t/offsets", "", door).status == 200
    assert door.stream.asked[-2:] == [TimeRange(first_ms=1, end_ms=2), ALL_TIME]
    assert get(f"{API}/topics/t/watermark", "", door).json() == {"tick": 3, "watermark": 5, "cut": [7], "late_count": 1}
    assert get(f"{API}/topics/t/splits", "", door).json()["splits"][0]["state"] == "open"
    assert post(f"{API}/topics/t/splits/seal", b"", door).status == 204
    sealed = run(lambda client: client.ask("POST", f"{API}/topics/t/splits/seal", query="watermark=9"), door)
    assert (sealed.json()["number"], door.stream.asked[-2]) == (0, 9)


BAD = [
    ("events", "from=yesterday", "from"),
    ("events", "to=", "to"),
    ("events", "limit=0", "limit"),
    ("events", "limit=" + "9" * 5000, "limit"),
    ("events", "order=up", "order"),
    ("events", "complete=soon", "complete"),
    ("events", "format=xml", "format"),
    ("events", "form=json", "form"),
    ("events", "from=1&from=2", "2 times"),
    ("events", "columns=a,a", "columns"),
    ("events", "where=a~1", "where"),
    ("events", "where=a=1 or b=2", "where"),
    ("events", "where=a='x", "where"),
    ("events", "where=" + "a" * 9000, "characters"),
    ("events", "every=1m", "every"),
    ("events", "consistency=strong", "consistency"),
    ("aggregate", "agg=median(x)", "agg"),
    ("aggregate", "agg=sum", "sum"),
    ("aggregate", "every=0s", "every"),
    ("aggregate", "every=" + "9" * 5000 + "d", "every"),
    ("aggregate", "fill=null", "every"),
    ("aggregate", "every=1m&fill=linear", "fill"),
    ("aggregate", "limit=5", "limit"),
    ("offsets", "limit=5", "limit"),
    ("offsets", "from=now-" + "9" * 12 + "d", "from"),
    ("offsets", "where=a=1", "where"),
]


@pytest.mark.parametrize(("route", "query", "said"), BAD, ids=[query[:30] for _, query, _ in BAD])
def test_a_bad_parameter_is_refused_by_name(route: str, query: str, said: str) -> None:
    door = Door()
    assert_problem(get(f"{API}/topics/t/{route}", query, door), 400, said)
    assert door.stream.asked == []
    assert door.counted.queries_running == 0


def test_levels_that_are_not_built_say_so() -> None:
    for level in ("session", "bounded:5s", "snapshot:abc", "eventual"):
        assert_problem(get(f"{API}/topics/t/events", f"consistency={level}"), 501, "linearizable")
    assert get(f"{API}/topics/t/events", "consistency=linearizable").status == 200


@pytest.mark.parametrize("route", ["events", "aggregate", "offsets", "splits", "watermark"])
def test_an_unknown_topic_is_404_on_every_route(route: str) -> None:
    assert_problem(get(f"{API}/topics/other/{route}"), 404, "other")


@pytest.mark.parametrize(
    ("error", "status"),
    [(InvalidQueryError("no x"), 400), (QueryTooLargeError("rows"), 413), (NotLeaderError(2, 1), 503)],
)
def test_an_error_of_the_first_batch_comes_before_the_status(error: Exception, status: int) -> None:
    for form in ("jsonl", "json", "csv", "arrow", "parquet"):
        door = Door()
        door.stream.fails_at, door.stream.error = 0, error
        assert_problem(get(f"{API}/topics/t/events", f"format={form}", door), status, str(error))
        assert (door.stream.is_closed, door.counted.queries_running) == (True, 0)


def test_a_later_error_breaks_the_answer_off() -> None:
    door = Door()
    door.stream.fails_at, door.stream.error = 1, InvalidQueryError("late")

    async def ask() -> Answer:
        client = door.client()
        with pytest.raises(BrokenOffError, match="late"):
            await client.get(f"{API}/topics/t/events")
        return client.last

    answer = anyio.run(ask)
    assert (answer.status, len(answer.rows), answer.is_whole) == (200, 3, False)
    assert (door.counted.answers_broken_off, door.counted.queries_running) == (1, 0)


def test_a_query_ends_when_its_client_leaves() -> None:
    door = Door()
    door.stream.is_endless = True

    async def ask() -> Answer:
        client = door.client()
        client.on_piece = lambda: client.leave() if door.stream.given > 3 else None
        with anyio.fail_after(10):
            return await client.get(f"{API}/topics/t/events")

    answer = anyio.run(ask)
    assert not answer.is_whole
    assert door.stream.is_closed
    assert door.stream.given < 50
    assert (door.counted.answers_broken_off, door.counted.queries_running) == (1, 0)


def test_a_client_that_takes_nothing_is_given_up() -> None:
    door = Door(settings=HttpSettings(stall_deadline_s=0.05))

    async def ask() -> None:
        client = door.client()
        client.stall = anyio.Event()
        with anyio.fail_after(10), pytest.raises(BrokenOffError):
            await client.get(f"{API}/topics/t/events")

    anyio.run(ask)
    assert (door.stream.is_closed, door.counted.queries_running) == (True, 0)


def test_queries_beyond_the_bound_are_asked_to_come_again() -> None:
    door = Door(settings=HttpSettings(queries_max=2))

    async def ask() -> list[Answer]:
        app = door.client().app
        slow = [Client(app), Client(app)]
        answers: list[Answer] = []
        stall = anyio.Event()
        async with anyio.create_task_group() as tasks:
            for client in slow:
                client.stall = stall
                tasks.start_soon(client.get, f"{API}/topics/t/events")
            while door.counted.queries_running < 2:
                await anyio.lowlevel.checkpoint()
            answers += [
                await Client(app).get(f"{API}/topics/t/{route}") for route in ("events", "aggregate", "offsets")
            ]
            answers.append(await Client(app).get(f"{API}/topics/t/watermark"))
            stall.set()
        answers.append(await Client(app).get(f"{API}/topics/t/events"))
        return answers

    *refused, watermark, after = anyio.run(ask)
    for answer in refused:
        assert_problem(answer, 429, "2 queries")
        assert answer.headers["retry-after"] == "1"
    assert (watermark.status, after.status) == (200, 200)
    assert (door.counted.queries_refused, door.counted.queries_running) == (3, 0)


def test_head_gives_the_head_alone() -> None:
    door = Door()
    answer = run(lambda client: client.get(f"{API}/topics/t/events", method="HEAD"), door)
    assert (answer.status, answer.body, answer.headers["x-as-of"]) == (200, b"", "token")
    assert (door.stream.is_closed, door.counted.queries_running) == (True, 0)


def test_a_page_carries_the_cursor_behind_it() -> None:
    door = Door()
    door.stream.cursor = "behind"
    assert get(f"{API}/topics/t/events", "limit=5", door).headers["x-cursor"] == "behind"
    door = Door()
    door.stream.cursor = "behind"
    assert get(f"{API}/topics/t/events", "limit=5&format=json", door).json()["cursor"] == "behind"
    door = Door()
    answer = get(f"{API}/topics/t/events", "limit=500&format=json", door)
    assert "cursor" not in answer.json()
    assert "x-cursor" not in answer.headers


def test_a_large_answer_comes_in_pieces() -> None:
    door = Door()
    door.stream.batches = [batch_of(i * 1000, 1000) for i in range(20)]
    answer = get(f"{API}/topics/t/events", "format=arrow", door)
    assert len(answer.pieces) >= 20
    assert pa.ipc.open_stream(answer.body).read_all().num_rows == 20_000
