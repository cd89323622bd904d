"""Answers as arrow: the columns that clients see, in the types that they can rely on.

Events: `_ts` (int64 ms), `_partition` (int32), `_offset` (int64), `_key`, `_value` (binary), `_headers`
(list<struct<key, value>>), then the attributes: long and timestamp as int64, double, string, boolean. Under
`complete=now` a last column `_unsettled` is true where no tick has emitted the event yet, and null elsewhere, so that
JSON writers can leave it out.

Aggregates: `window_start`, `window_end` (int64 ms), the `by` columns, the measures as asked, `_unsettled` as above. A
sum of long is int64 while every row fits, else decimal128(38, 0): it is always exact.

Record batches hold at most BATCH_EVENTS rows and about BATCH_BYTES bytes, measured on the batch before.
"""

# pyarrow's stubs are generic without defaults and leave much unknown; our own signatures stay whole.
# pyright: reportMissingTypeArgument=false, reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import numpy as np

from .aggregation import AggregateColumn, aggregate
from .blocks import BLOCK_EVENTS, Column
from .planner import CURSOR_FORMAT, UNSETTLED, VALUE_COLUMNS, Cursor, EventRows, asked_columns, events
from .queries import AggregateQuery, EventsQuery
from .reading import KEY, Reading
from .run_format import key_of, record_schema, string_array
from .runs import RunFile
from .schema import AttributeType

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_EVENTS: Final = BLOCK_EVENTS
BATCH_BYTES: Final = 4 << 20
FIRST_BATCH_EVENTS: Final = 256
PAYLOAD_COLUMNS: Final = (KEY, *VALUE_COLUMNS)
INT64_BOUND: Final = 1 << 63


class EventsStream:
    """The record batches of one events query. `cursor` moves on with each batch, so that a client can go on behind it.

    Iterate once. Errors of the question come from the constructor: InvalidQueryError.
    """

    def __init__(self, reading: Reading, query: EventsQuery) -> None:
        self._reading = reading
        self._query = query
        self._names = asked_columns(reading, query)
        self._rows = events(reading, query)
        self.schema = events_schema(reading, self._names)
        self.cursor = query.cursor
        self.row_count = 0

    @property
    def is_cut_off(self) -> bool:
        """The limit was reached, so there may be more behind the cursor."""
        return self._query.limit_count is not None and self.row_count >= self._query.limit_count

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        step = FIRST_BATCH_EVENTS
        has_payload = any(name in PAYLOAD_COLUMNS for name in self._names)
        for rows in self._rows:
            start = 0
            while start < len(rows):
                part = rows.sliced(start, min(start + step, len(rows)))
                batch = self._batch(part)
                start += len(part)
                self.row_count += len(part)
                self.cursor = self._cursor_after(part)
                yield batch
                row_bytes = max(1, batch.nbytes // len(part))
                step = max(1, min(BATCH_EVENTS, BATCH_BYTES // row_bytes, 4 * step if has_payload else BATCH_EVENTS))

    def _batch(self, rows: EventRows) -> pa.RecordBatch:
        import pyarrow as pa

        block = rows.block
        payload = self._payload(rows, [name for name in self._names if name in PAYLOAD_COLUMNS])
        columns: list[pa.Array] = []
        for name in self._names:
            match name:
                case "_ts":
                    columns.append(pa.array(block.timestamps))
                case "_partition":
                    columns.append(pa.array(block.partitions))
                case "_offset":
                    columns.append(pa.array(block.offsets))
                case "_unsettled":
                    columns.append(pa.array(rows.is_unsettled, mask=~rows.is_unsettled))
                case _ if name in payload:
                    columns.append(payload[name])
                case _:
                    columns.append(_attribute_array(block.columns[name]))
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def _payload(self, rows: EventRows, names: Sequence[str]) -> dict[str, pa.Array]:
        """Keys, values and headers, fetched source by source and put back into the order of the rows."""
        import pyarrow as pa

        if not names:
            return {}
        tables: list[pa.Table] = []
        places: list[np.ndarray[tuple[int], np.dtype[np.intp]]] = []
        for number in np.unique(rows.sources).tolist():
            mine = np.flatnonzero(rows.sources == number)
            source = self._reading.sources[number]
            if isinstance(source, RunFile):
                tables.append(source.rows(rows.rows[mine], names))
            else:
                records = source.records(rows.block.partitions[mine], rows.block.offsets[mine])
                found = {
                    "_key": [record.key for record in records],
                    "_value": [record.value for record in records],
                    "_headers": [[{"key": key, "value": value} for key, value in record.headers] for record in records],
                }
                stored = record_schema(is_late=False)
                tables.append(pa.table({name: pa.array(found[name], stored.field(name).type) for name in names}))
            places.append(mine)
        whole = (tables[0] if len(tables) == 1 else pa.concat_tables(tables)).combine_chunks()
        arrays = {name: pa.concat_arrays(whole.column(name).chunks) for name in names}
        if len(tables) == 1:
            return arrays
        back = np.empty(len(rows), np.int64)
        back[np.concatenate(places)] = np.arange(len(rows))
        return {name: array.take(pa.array(back, pa.int64())) for name, array in arrays.items()}

    def _cursor_after(self, rows: EventRows) -> str:
        block, last = rows.block, len(rows) - 1
        place = int(block.timestamps[last]), int(block.partitions[last]), int(block.offsets[last])
        return Cursor(CURSOR_FORMAT, self._query.order, *place).pack()


def events_schema(reading: Reading, names: Sequence[str]) -> pa.Schema:
    import pyarrow as pa

    stored = record_schema(is_late=False)
    fixed = {
        "_ts": pa.field("_ts", pa.int64(), nullable=False),
        "_partition": stored.field("_partition"),
        "_offset": stored.field("_offset"),
        **{name: stored.field(name) for name in PAYLOAD_COLUMNS},
        UNSETTLED: pa.field(UNSETTLED, pa.bool_()),
    }
    attributes = {} if reading.schema is None else reading.schema.attributes
    own = {name: pa.field(name, _answer_type(kind)) for name, kind in attributes.items()}
    known = {**own, **fixed}
    return pa.schema([known[name] for name in names])


def events_table(reading: Reading, query: EventsQuery) -> pa.Table:
    """The whole answer in memory: for small answers and tests."""
    import pyarrow as pa

    stream = EventsStream(reading, query)
    return pa.Table.from_batches(list(stream), stream.schema)


def aggregate_table(reading: Reading, query: AggregateQuery) -> pa.Table:
    """Raises: InvalidQueryError, QueryTooLargeError."""
    import pyarrow as pa

    rows = aggregate(reading, query)
    arrays = [_aggregate_array(column) for column in rows.columns]
    names = [column.name for column in rows.columns]
    if rows.is_unsettled is not None:
        arrays.append(pa.array([True if mark else None for mark in rows.is_unsettled], pa.bool_()))
        names.append(UNSETTLED)
    return pa.table(arrays, names=names)


def _answer_type(kind: AttributeType) -> pa.DataType:
    import pyarrow as pa

    match kind:
        case AttributeType.LONG | AttributeType.TIMESTAMP:
            return pa.int64()
        case AttributeType.DOUBLE:
            return pa.float64()
        case AttributeType.STRING:
            return pa.string()
        case AttributeType.BOOLEAN:
            return pa.bool_()


def _attribute_array(column: Column) -> pa.Array:
    import pyarrow as pa

    if column.words is not None:
        return string_array(column, column.words, pa.string())
    return pa.array(column.values, mask=column.is_null, from_pandas=False)


def _aggregate_array(column: AggregateColumn) -> pa.Array:
    import pyarrow as pa

    values = column.values
    if column.name == KEY:
        return pa.array([key_of(value) if isinstance(value, str) else None for value in values], pa.binary())
    is_wide = column.kind is AttributeType.LONG and any(
        isinstance(value, int) and not -INT64_BOUND <= value < INT64_BOUND for value in values
    )
    if is_wide:
        exact = [None if value is None else Decimal(int(value)) for value in values]
        return pa.array(exact, pa.decimal128(38, 0))
    return pa.array(values, _answer_type(column.kind))
