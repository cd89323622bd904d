"""The views of a served stream, read over Kafka and compared with their truth."""

import time

from store.events import Record
from tests.support.blocking_kafka import BlockingKafka
from tests.support.disorder import Disorder
from tests.support.served import ServedNode
from tests.support.views_truth import check_shown, read_ticks, truth_of
from tests.support.waiting import wait_until


def wait_final(node: ServedNode, topic: str, stream: Disorder) -> None:
    """Until the watermark has reached every event."""
    last_ms = max(event.timestamp_ms for event in stream.events)
    get = lambda: node.get_json(f"/api/v1/topics/{topic}/watermark")["watermark"]  # noqa: E731
    wait_until(lambda: (get() or -1) >= last_ms, what=f"the watermark of {topic} at {last_ms}")


def read_view(kafka: BlockingKafka, view: str, partition: int, count: int) -> list[Record]:
    """The first `count` records, once they are there."""
    rows: list[Record] = []
    end = time.monotonic() + 30
    while len(rows) < count:
        more = kafka.read(view, partition, len(rows), wait_ms=500)
        rows += more[: count - len(rows)]
        assert more or time.monotonic() < end, f"{len(rows)} of {count} records of {view}"
    return rows


def check_views(node: ServedNode, topic: str, stream: Disorder) -> dict[tuple[str, int], list[Record]]:
    """All four views against the truth; returns what they showed."""
    shown: dict[tuple[str, int], list[Record]] = {}
    with BlockingKafka(node.kafka) as kafka:
        ticks = read_ticks(kafka, topic)
        truth = truth_of(stream, ticks)
        views = [(f"{topic}.__time", 0, truth.time), (f"{topic}.__late", 0, truth.late)]
        views += [(f"{topic}.__time.keyed", p, wanted) for p, wanted in enumerate(truth.keyed)]
        for view, partition, wanted in views:
            rows = shown[view, partition] = read_view(kafka, view, partition, len(wanted))
            check_shown(rows, wanted)
        shown[f"{topic}.__ticks", 0] = kafka.read_all(f"{topic}.__ticks", 0)[: len(ticks)]
    return shown


def check_unchanged(before: dict[tuple[str, int], list[Record]], after: dict[tuple[str, int], list[Record]]) -> None:
    for place, rows in before.items():
        assert after[place][: len(rows)] == rows, place
