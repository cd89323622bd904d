"""Kafka records as events: JSON values become attributes, views tell rank and lateness, ticks tell watermarks."""

import json
from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec
import orjson

from .errors import SourceError
from .events import Attributes, Event, Row

LATE_HEADER = "timesplit.late"
ROW_HEADER = "timesplit.row"
TIME_VIEW = ".__time"
TICKS_VIEW = ".__ticks"


class Record(Protocol):
    """What is read of a client's consumer record."""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class Ends(msgspec.Struct):
    """End ranks of the view partitions once a tick is emitted."""

    time: int
    keyed: list[int]
    late: int


class Tick(msgspec.Struct):
    """One record of `t.__ticks`: watermark in ms."""

    n: int
    watermark: int
    ends: Ends


def tick_of(value: bytes | None) -> Tick:
    """Raises: SourceError."""
    try:
        return msgspec.json.decode(value or b"", type=Tick)
    except msgspec.DecodeError as error:
        raise SourceError(f"not a tick: {value!r}") from error


def events_of(records: Iterable[Record], stream: int) -> tuple[list[Event], list[Event]]:
    """(events, late events), as the `timesplit.late` header tells.

    Attributes are the top-level keys of a JSON object; any other value has none (as the store sees it: all null).
    """
    events: list[Event] = []
    late: list[Event] = []
    nothing: Attributes = {}
    decode = orjson.loads  # every event passes this loop: no call more than it needs
    for record in records:
        try:
            attributes: Attributes = decode(record.value or b"")
            if attributes.__class__ is not dict:
                attributes = nothing
        except orjson.JSONDecodeError:
            attributes = nothing
        event = Event(record.timestamp, stream, record.partition, record.offset, attributes)
        for name, _ in record.headers:
            if name == LATE_HEADER:
                late.append(event)
                break
        else:
            events.append(event)
    return events, late


def json_of(row: Row) -> bytes:
    """The row's values as a JSON object; integers stay exact beyond 64 bits."""
    try:
        return orjson.dumps(row.values)
    except orjson.JSONEncodeError:
        return json.dumps(row.values, separators=(",", ":"), ensure_ascii=False).encode()
