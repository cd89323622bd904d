"""What the views of a stream must show, from nothing but its `t.__ticks` and the events that were appended.

A tick's record tells how many events each partition had emitted by then; in a partition these are the first so many, by
offset, of the events at or below the watermark. So every rank of every view follows, without knowing any cut.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from store.events import Record
from tests.support.blocking_kafka import BlockingKafka
from tests.support.disorder import Disorder, Event

ORIGIN = "timesplit.origin"
LATE = "timesplit.late"


class Shown(NamedTuple):
    """One rank of a view."""

    event: Event
    is_late: bool


class ShownTick(NamedTuple):
    number: int
    watermark_ms: int
    time_end: int
    keyed_ends: tuple[int, ...]
    late_end: int


class Truth(NamedTuple):
    time: list[Shown]
    keyed: list[list[Shown]]
    late: list[Shown]


def read_ticks(kafka: BlockingKafka, topic: str, offset: int = 0) -> list[ShownTick]:
    ticks: list[ShownTick] = []
    for row in kafka.read_all(f"{topic}.__ticks", 0, offset):
        told = json.loads(row.value or b"")
        assert row.offset == told["n"] - 1
        assert row.timestamp_ms == told["watermark"]
        ends = told["ends"]
        ticks.append(ShownTick(told["n"], told["watermark"], ends["time"], tuple(ends["keyed"]), ends["late"]))
    return ticks


def truth_of(stream: Disorder, ticks: Sequence[ShownTick]) -> Truth:
    """Under late.policy=accept, from the first tick on."""
    truth = Truth([], [[] for _ in range(stream.partition_count)], [])
    left = [stream.of(partition) for partition in range(stream.partition_count)]
    before_ms: int | None = None
    emitted = [0] * stream.partition_count
    for tick in ticks:
        new: list[Event] = []
        for partition, end in enumerate(tick.keyed_ends):
            count = end - emitted[partition]
            below = [event for event in left[partition] if event.timestamp_ms <= tick.watermark_ms][:count]
            assert len(below) == count, f"tick {tick.number} says {count} events of partition {partition}"
            gone = {event.offset for event in below}
            left[partition] = [event for event in left[partition] if event.offset not in gone]
            emitted[partition] = end
            new += below
        in_order = sorted(new, key=lambda event: event.place)
        late = [event for event in in_order if before_ms is not None and event.timestamp_ms <= before_ms]
        late_places = {event.place for event in late}
        fresh = [event for event in in_order if event.place not in late_places]
        shown = [*(Shown(event, True) for event in late), *(Shown(event, False) for event in fresh)]
        truth.time.extend(shown)
        truth.late.extend(shown[: len(late)])
        for one in shown:
            truth.keyed[one.event.partition].append(one)
        assert (tick.time_end, tick.late_end) == (len(truth.time), len(truth.late)), f"ends of tick {tick.number}"
        before_ms = tick.watermark_ms
    return truth


def check_shown(rows: Sequence[Record], wanted: Sequence[Shown], *, first_rank: int = 0) -> None:
    """Every rank, with exact bytes, own headers first, then origin, then late."""
    assert len(rows) == len(wanted), f"{len(rows)} records, not {len(wanted)}"
    for rank, (row, (event, is_late)) in enumerate(zip(rows, wanted, strict=True), first_rank):
        origin = (ORIGIN, b"%d:%d" % (event.partition, event.offset))
        own = [header for header in row.headers if header[0] not in {ORIGIN, LATE}]
        ours = [header for header in row.headers if header[0] in {ORIGIN, LATE}]
        seen = (row.offset, row.timestamp_ms, row.key, row.value, own)
        assert seen == (rank, event.timestamp_ms, event.key, event.value, list(event.headers)), f"rank {rank}"
        assert origin in ours, f"rank {rank}: {ours}, not {origin}"
        assert (len(ours) == 2) == is_late == (LATE in dict(ours)), f"rank {rank}: late is {is_late}, headers {ours}"
