"""Random questions by time to a served node, each compared with brute force over what was appended."""

import base64
import http.client
import json
from collections.abc import Sequence
from urllib.parse import urlencode

from tests.support.blocking_kafka import BlockingKafka
from tests.support.disorder import AGGREGATES, SCHEMA, WORDS, Disorder, Event, aggregated, is_same, within
from tests.support.served import ServedNode
from tests.support.waiting import wait_until

MEASURES = (
    *("count", "count(n)", "count(w)", "sum(n)", "min(n)", "max(n)", "mean(n)", "first(n)", "last(n)", "ohlc(n)"),
    *("sum(x)", "min(x)", "max(x)", "mean(x)", "ohlc(x)", "first(x)", "last(x)"),
)
BATCH_EVENTS = 40


class Asker:
    """One HTTP connection to one topic's routes."""

    def __init__(self, node: ServedNode, topic: str) -> None:
        self.topic = topic
        self._node = node
        self._connection = http.client.HTTPConnection(node.http, timeout=60)

    def ask(self, route: str, **parameters: object) -> dict:
        # The names `from` and `by` as keywords of Python: with a trailing underscore.
        query = urlencode({name.rstrip("_"): value for name, value in parameters.items()})
        self._connection.request("GET", f"/api/v1/topics/{self.topic}/{route}?{query}")
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status == 200, f"{route}?{query}: {answer.status} {body[:500]!r}"
        return json.loads(body)

    def events(self, **parameters: object) -> tuple[list[dict], str | None]:
        """(rows, cursor) of one page."""
        answer = self.ask("events", format="json", **parameters)
        return answer["rows"], answer.get("cursor")

    def splits(self) -> list[dict]:
        return self.ask("splits")["splits"]

    def close(self) -> None:
        self._connection.close()


def create_stream(node: ServedNode, name: str, stream: Disorder, **configs: str) -> None:
    node.post_json(
        "/api/v1/topics",
        {
            "name": name,
            "partitions": stream.partition_count,
            "schema": SCHEMA,
            "aggregates": AGGREGATES,
            "configs": {
                "lateness.ms": str(stream.lateness_ms),
                **{key.replace("_", "."): text for key, text in configs.items()},
            },
        },
    )


def append(node: ServedNode, topic: str, stream: Disorder, count: int) -> None:
    """About `count` further events, in batches that go to the partitions in random order."""
    with BlockingKafka(node.kafka) as kafka:
        while count > 0:
            partition = stream.random.randrange(stream.partition_count)
            size = min(count, stream.random.randint(1, 2 * BATCH_EVENTS))
            base = stream.ends[partition]
            assert kafka.append(topic, partition, stream.batch(partition, size)) == base
            count -= size


def seal(node: ServedNode, topic: str) -> dict:
    return node.post_json(f"/api/v1/topics/{topic}/splits/seal", {})


def wait_historic(node: ServedNode, topic: str, count: int, *, deadline_s: float = 60) -> None:
    def states() -> list[str]:
        return [split["state"] for split in node.get_json(f"/api/v1/topics/{topic}/splits")["splits"]]

    wait_until(lambda: states().count("historic") >= count, deadline_s=deadline_s, what=f"{count} historic splits")


def matches_as_json(row: dict, event: Event) -> bool:
    """A row of the JSON form is this event, with exact bytes."""
    headers = [(header["key"], _bytes(header["value"])) for header in row["_headers"]]
    return (
        (row["_ts"], row["_partition"], row["_offset"]) == event.place
        and _bytes(row["_key"]) == event.key
        and _bytes(row["_value"]) == event.value
        and headers == list(event.headers)
        and all(is_same(row[name], event.attributes[name], name) for name in SCHEMA)
    )


def _bytes(value: object) -> bytes | None:
    if isinstance(value, dict):
        return base64.b64decode(value["base64"])
    assert value is None or isinstance(value, str)
    return None if value is None else value.encode()


def _condition(stream: Disorder) -> tuple[str, object]:
    """A random `where` and the function that says which events it keeps."""
    chance = stream.random
    n, x, w = chance.randint(-1500, 1500), chance.uniform(-1e6, 1e6), chance.choice(WORDS)
    has = Event.attributes.__get__
    choices = (
        (f"n>={n}", lambda e: has(e)["n"] is not None and has(e)["n"] >= n),
        (f"x<{x!r}", lambda e: has(e)["x"] is not None and has(e)["x"] < x),
        (f"w='{w}'", lambda e: has(e)["w"] == w),
        (f"w!='{w}'", lambda e: has(e)["w"] not in {None, w}),
        ("b=true", lambda e: has(e)["b"] is True),
        ("n=null", lambda e: has(e)["n"] is None),
        (f"_partition={n % stream.partition_count}", lambda e: e.partition == n % stream.partition_count),
        (f"n<={n} and b!=null", lambda e: has(e)["n"] is not None and has(e)["n"] <= n and has(e)["b"] is not None),
    )
    return chance.choice(choices)


def ask_aggregates(asker: Asker, stream: Disorder, count: int) -> int:
    """Compare `count` random aggregates; returns how many rows were compared."""
    chance, row_count = stream.random, 0
    for number in range(count):
        first_ms, end_ms = stream.span()
        events = within(stream.ordered, first_ms, end_ms)
        measures = chance.sample(MEASURES, chance.randint(1, 4))
        asked: dict[str, object] = {"agg": ",".join(measures), "from_": first_ms, "to": end_ms}
        every_ms, by = None, list[str]()
        if chance.random() < 0.3:
            text, keeps = _condition(stream)
            asked["where"], events = text, [event for event in events if keeps(event)]
        if events and chance.random() < 0.4:
            # Extremes make a span of 2^62 ms, which no short window divides.
            width = max(1, (events[-1].timestamp_ms - events[0].timestamp_ms) // chance.randint(1, 50))
            every_ms = min(width, 10**12 - 1)  # 12 digits at most
            asked["every"] = f"{every_ms}ms"
        if chance.random() < 0.3:
            by = chance.sample(("w", "b", "_partition"), chance.randint(1, 2))
            asked["by"] = ",".join(by)
        got = asker.ask("aggregate", **asked)["rows"]
        wanted = aggregated(events, measures, every_ms=every_ms, by=by)
        where = f"question {number} of seed {stream.seed}: {asked}"
        assert len(got) == len(wanted), f"{where}: {len(got)} rows, not {len(wanted)}: {got[:3]} {wanted[:3]}"
        for row, true in zip(got, wanted, strict=True):
            wrong = {
                name: (row.get(name), value) for name, value in true.items() if not is_same(row.get(name), value, name)
            }
            assert not wrong, f"{where}: got and wanted {wrong} in {row}"
        row_count += len(got)
    return row_count


def ask_events(asker: Asker, stream: Disorder, count: int, *, events_max: int = 2_000) -> int:
    """Compare `count` random ranges in either order, exact to the byte; returns how many events were compared."""
    chance, event_count = stream.random, 0
    for number in range(count):
        first_ms, end_ms = stream.span(events_max=events_max)
        wanted: Sequence[Event] = within(stream.ordered, first_ms, end_ms)[:events_max]
        order = chance.choice(("time", "time", "-time"))
        if order == "-time":
            wanted = within(stream.ordered, first_ms, end_ms)[::-1][:events_max]
        rows, _ = asker.events(from_=first_ms, to=end_ms, order=order, limit=events_max)
        where = f"range {number} of seed {stream.seed}: [{first_ms}, {end_ms}) {order}"
        assert len(rows) == len(wanted), f"{where}: {len(rows)} events, not {len(wanted)}"
        for row, event in zip(rows, wanted, strict=True):
            assert matches_as_json(row, event), f"{where}: got {row}, wanted {event}"
        event_count += len(rows)
    return event_count


def ask_offsets(asker: Asker, kafka: BlockingKafka, stream: Disorder, count: int) -> None:
    """ListOffsets by time, and the offsets of a span, against brute force."""
    for _ in range(count):
        first_ms, end_ms = stream.span()
        spans = asker.ask("offsets", from_=first_ms, to=end_ms)["partitions"]
        for partition in range(stream.partition_count):
            mine = [event for event in stream.of(partition) if first_ms <= event.timestamp_ms < end_ms]
            got = spans[partition]
            assert got["count"] == len(mine), f"[{first_ms}, {end_ms}): {got}, not {len(mine)}"
            if mine:
                assert (got["first_offset"], got["end_offset"]) == (mine[0].offset, mine[-1].offset + 1)
            if first_ms >= 0:
                reached = (event for event in stream.of(partition) if event.timestamp_ms >= first_ms)
                wanted = next(((event.offset, event.timestamp_ms) for event in reached), (-1, -1))
                assert kafka.offset_at(asker.topic, partition, first_ms) == wanted, f"{partition} at {first_ms}"
