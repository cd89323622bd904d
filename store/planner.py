"""Events of a time range: from a reading and a question to blocks in the asked order, and on from any place.

    time       sources that follow one another in time form a chain; the chains are merged by the heap of blocks
    -time      the span is cut into slices from its end, some 8,192 events each as the sources' summaries count them;
               each slice is merged ascending and turned round. Memory: one slice; one millisecond is never cut
    arrival    by (partition, offset): keys and asked columns of all wanted events are held and sorted, at most
               ARRIVAL_EVENTS_MAX, or twice the limit where one is given

A cursor is the place (timestamp, partition, offset) of the last row, so it means the same before and after sealing.
"""

import base64
import binascii
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from .blocks import BLOCK_EVENTS, Block, BoolArray, Column, Source
from .conditions import KEY, PLACE_COLUMNS, Conditions, type_of
from .errors import InvalidQueryError, QueryTooLargeError
from .events import TimeRange
from .merge import chains, concatenated, merge, reversed_block, sliced, taken
from .queries import Complete, EventsQuery, Order
from .reading import Reading, common, count_in, data_span
from .runs import ROW_NUMBER

ARRIVAL_EVENTS_MAX: Final = 2_000_000
SLICE_EVENTS: Final = BLOCK_EVENTS
CURSOR_FORMAT: Final = 1
CURSOR_CHARACTERS_MAX: Final = 200
SOURCE_NUMBER: Final = "_source"
UNSETTLED: Final = "_unsettled"
VALUE_COLUMNS: Final = ("_value", "_headers")
EVENT_COLUMNS: Final = (*PLACE_COLUMNS, KEY, *VALUE_COLUMNS)

Place = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class EventRows:
    """Events in the asked order. `sources` says by index which source holds each, `rows` which row of it, if a run.

    `block.columns` are the asked attributes; `is_unsettled` marks what no tick has emitted yet.
    """

    block: Block
    sources: np.ndarray[tuple[int], np.dtype[np.int32]]
    rows: np.ndarray[tuple[int], np.dtype[np.int64]]
    is_unsettled: BoolArray

    def __len__(self) -> int:
        return len(self.block)

    def sliced(self, start: int, end: int) -> "EventRows":
        at = slice(start, end)
        return EventRows(sliced(self.block, start, end), self.sources[at], self.rows[at], self.is_unsettled[at])


class Cursor(msgspec.Struct, array_like=True, frozen=True):
    """Where an answer stopped."""

    format: int
    order: str
    timestamp_ms: int
    partition: int
    offset: int

    @property
    def place(self) -> Place:
        return self.timestamp_ms, self.partition, self.offset

    def pack(self) -> str:
        return base64.urlsafe_b64encode(msgspec.msgpack.encode(self)).rstrip(b"=").decode("ascii")

    @staticmethod
    def unpack(text: str, order: Order) -> "Cursor":
        """Raises: InvalidQueryError."""
        try:
            data = base64.urlsafe_b64decode(text[:CURSOR_CHARACTERS_MAX] + "=" * (-len(text) % 4))
            cursor = msgspec.msgpack.decode(data, type=Cursor)
        except (binascii.Error, ValueError, msgspec.DecodeError) as error:
            raise InvalidQueryError(f"not a cursor of ours: {text[:CURSOR_CHARACTERS_MAX]!r}") from error
        if cursor.format != CURSOR_FORMAT or cursor.order != order:
            raise InvalidQueryError(f"a cursor of order {cursor.order!r}, format {cursor.format}; asked is {order!r}")
        return cursor


def asked_columns(reading: Reading, query: EventsQuery) -> list[str]:
    """The columns of the answer, in order. Raises: InvalidQueryError."""
    attributes = [] if reading.schema is None else list(reading.schema.attributes)
    known = [*EVENT_COLUMNS, *attributes, UNSETTLED]
    if query.columns is None:
        return known if query.complete is Complete.NOW else known[:-1]
    for name in query.columns:
        if name not in known:
            raise InvalidQueryError(f"unknown column {name!r}, there are {', '.join(known)}")
    return list(dict.fromkeys(query.columns))


def events(reading: Reading, query: EventsQuery) -> Iterator[EventRows]:
    """The wanted events, in blocks of any size. Raises: InvalidQueryError, at once."""
    conditions = Conditions(query.conditions, reading.schema)
    own = {*EVENT_COLUMNS, UNSETTLED}
    attributes = [name for name in asked_columns(reading, query) if name not in own]
    for name in attributes:
        type_of(name, reading.schema)
    cursor = None if query.cursor is None else Cursor.unpack(query.cursor, query.order)
    scan = _Scan(reading, query, conditions, attributes)
    span = reading.wanted_span(query.span, query.complete)
    match query.order:
        case Order.TIME:
            blocks = scan.ascending(span, cursor)
        case Order.TIME_DESCENDING:
            blocks = scan.descending(span, cursor)
        case Order.ARRIVAL:
            blocks = scan.by_arrival(span, cursor)
    return _limited((scan.rows_of(block) for block in blocks), query.limit_count)


class _Scan:
    """The scans of one query over all its sources."""

    def __init__(self, reading: Reading, query: EventsQuery, conditions: Conditions, attributes: Sequence[str]) -> None:
        self._reading = reading
        self._query = query
        self._conditions = conditions
        self._attributes = attributes

    def ascending(self, span: TimeRange, cursor: Cursor | None) -> Iterator[Block]:
        if cursor is not None:
            span = common(span, TimeRange(first_ms=cursor.timestamp_ms))
        for block in self._merged(span):
            start = 0 if cursor is None else _count_to(block, cursor.place)
            if start < len(block):
                yield sliced(block, start, len(block))

    def descending(self, span: TimeRange, cursor: Cursor | None) -> Iterator[Block]:
        if cursor is not None:
            span = common(span, TimeRange(end_ms=cursor.timestamp_ms + 1))
        for part in _slices_from_end(self._reading.sources, span):
            for block in reversed(list(self._merged(part))):
                end = len(block) if cursor is None else _count_below(block, cursor.place)
                if end:
                    yield reversed_block(sliced(block, 0, end))

    def by_arrival(self, span: TimeRange, cursor: Cursor | None) -> Iterator[Block]:
        limit = self._query.limit_count
        held_max = ARRIVAL_EVENTS_MAX if limit is None else min(ARRIVAL_EVENTS_MAX, 2 * limit + BLOCK_EVENTS)
        held: list[Block] = []
        held_count = 0
        for number, source in enumerate(self._reading.sources):
            for block in self._tagged(number, source, span):
                wanted = block if cursor is None else taken(block, _is_arrived_after(block, cursor))
                held.append(wanted)
                held_count += len(wanted)
                if held_count > held_max:
                    if limit is None or limit > ARRIVAL_EVENTS_MAX // 2:
                        raise QueryTooLargeError(
                            f"more than {ARRIVAL_EVENTS_MAX} events in order of arrival: set a limit or a shorter span"
                        )
                    # Only the first `limit` of what was seen can be in the answer.
                    held = [sliced(_by_arrival(held), 0, limit)]
                    held_count = len(held[0])
        if held_count:
            whole = _by_arrival(held)
            for start in range(0, len(whole), BLOCK_EVENTS):
                yield sliced(whole, start, min(start + BLOCK_EVENTS, len(whole)))

    def rows_of(self, block: Block) -> EventRows:
        columns = dict(block.columns)
        sources = columns.pop(SOURCE_NUMBER).values.astype(np.int32, copy=False)
        rows = columns.pop(ROW_NUMBER).values.astype(np.int64, copy=False)
        historic = [number for number, source in enumerate(self._reading.sources) if source.is_historic]
        is_unsettled = ~(self._reading.is_emitted(block) | np.isin(sources, historic))
        attributes = {name: columns[name] for name in self._attributes}
        return EventRows(
            Block(block.timestamps, block.partitions, block.offsets, attributes), sources, rows, is_unsettled
        )

    def _merged(self, span: TimeRange) -> Iterator[Block]:
        spans = [common(source.span, span) for source in self._reading.sources]
        return merge([self._in_turn(chain, span) for chain in chains(spans)])

    def _in_turn(self, numbers: Sequence[int], span: TimeRange) -> Iterator[Block]:
        for number in numbers:
            yield from self._tagged(number, self._reading.sources[number], span)

    def _tagged(self, number: int, source: Source, span: TimeRange) -> Iterator[Block]:
        """The wanted events of one source, each marked with its source and row."""
        names = [*self._attributes, ROW_NUMBER]
        for block in self._reading.scan(source, span, names, self._conditions, self._query.complete):
            columns = {name: block.columns[name] for name in names}
            columns[SOURCE_NUMBER] = Column(np.full(len(block), number, np.int32))
            yield Block(block.timestamps, block.partitions, block.offsets, columns)


def _limited(found: Iterator[EventRows], limit: int | None) -> Iterator[EventRows]:
    if limit is None:
        yield from found
        return
    left = limit
    while left > 0 and (rows := next(found, None)) is not None:
        yield rows.sliced(0, min(left, len(rows)))
        left -= len(rows)


def _slices_from_end(sources: Sequence[Source], span: TimeRange) -> Iterator[TimeRange]:
    """Spans that follow one another backwards, each of at least one event and, if time allows, of some SLICE_EVENTS."""
    span = common(span, data_span(sources))
    if span.is_empty:
        return
    within = [source for source in sources if source.count and not common(source.span, span).is_empty]
    total = max(1, count_in(within, span))
    width = max(1, (span.end_ms - span.first_ms) * SLICE_EVENTS // total)
    end_ms = span.end_ms
    while end_ms > span.first_ms:
        part = TimeRange(first_ms=max(span.first_ms, end_ms - width), end_ms=end_ms)
        event_count = count_in(within, part)
        if event_count > 4 * SLICE_EVENTS and width > 1:
            width = max(1, width * SLICE_EVENTS // event_count)
            continue
        if event_count:
            yield part
        if event_count < SLICE_EVENTS // 2:
            width *= 4
        end_ms = part.first_ms


def _count_to(block: Block, place: Place) -> int:
    """How many events of an ascending block are at or below the place."""
    return _count_below(block, (place[0], place[1], place[2] + 1))


def _count_below(block: Block, place: Place) -> int:
    timestamp_ms, partition, offset = place
    first = int(block.timestamps.searchsorted(timestamp_ms, "left"))
    end = int(block.timestamps.searchsorted(timestamp_ms, "right"))
    partitions, offsets = block.partitions[first:end], block.offsets[first:end]
    is_below = (partitions < partition) | ((partitions == partition) & (offsets < offset))
    return first + int(is_below.sum())


def _is_arrived_after(block: Block, cursor: Cursor) -> BoolArray:
    is_later = (block.partitions == cursor.partition) & (block.offsets > cursor.offset)
    return (block.partitions > cursor.partition) | is_later


def _by_arrival(blocks: Sequence[Block]) -> Block:
    timestamps = np.concatenate([block.timestamps for block in blocks])
    partitions = np.concatenate([block.partitions for block in blocks])
    offsets = np.concatenate([block.offsets for block in blocks])
    columns = {name: concatenated([block.columns[name] for block in blocks]) for name in blocks[0].columns}
    return taken(Block(timestamps, partitions, offsets, columns), np.lexsort((offsets, partitions)))
