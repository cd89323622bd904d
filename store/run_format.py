"""What a run looks like as Parquet: columns, footer, content digest. Only this module and its two users know it.

Columns in order: `_ts` (timestamp[ms, UTC]: the int64 milliseconds unchanged, and an instant to DuckDB, Polars, Spark),
`_partition`, `_offset`, `_key`, `_value`, `_headers` (list<struct<key, value>>), what a Kafka fetch needs beside these
(`_producer_id`, `_producer_epoch`, `_sequence` per record, `_leader_epoch`, `_batch_attributes`: the bits of the
record's batch), in a late run `_tick`, `_rank` (in `t.__time`), `_keyed_rank`, `_late_rank`, then the declared
attributes. Rows are sorted by (`_ts`, `_partition`, `_offset`).

Footer, key/value metadata, base64 because Parquet wants UTF-8: `timesplit.run` = zstd of msgpack of `Footer`;
`timesplit.ledger` (main runs) = zstd of the packed ledger of the split's ticks.
"""

# pyarrow's stubs are generic without defaults and leave much unknown; our own signatures stay whole.
# pyright: reportMissingTypeArgument=false, reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, cast
from zlib import crc32

import msgspec
import numpy as np
from numpy.typing import NDArray

from .blocks import Block, Column, Int64Array
from .compression import Compression, compress, decompress
from .errors import DamagedRunError, StoreError
from .events import Record
from .schema import AttributeType, Schema

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP_EVENTS: Final = 32_768
ROW_GROUP_BYTES_MAX: Final = 64 << 20
FOOTER_KEY: Final = "timesplit.run"
LEDGER_KEY: Final = "timesplit.ledger"
FOOTER_BYTES_MAX: Final = 1 << 30
FORMAT: Final = 1

KEY_COLUMNS: Final = ("_ts", "_partition", "_offset")
RECORD_COLUMNS: Final = ("_key", "_value", "_headers")
BATCH_COLUMNS: Final = ("_producer_id", "_producer_epoch", "_sequence", "_leader_epoch", "_batch_attributes")
LATE_COLUMNS: Final = ("_tick", "_rank", "_keyed_rank", "_late_rank")


class Footer(msgspec.Struct, array_like=True, frozen=True):
    """`groups`: a row each; `intervals`: packed columns (group, partition, first offset, end offset), exact.

    `attributes` name and type what is declared; `summaries` hold all of them but strings. `digest` is the content's.
    """

    format: int
    kind: str
    row_count: int
    digest: int
    attributes: list[tuple[str, str]]
    groups: list["FooterGroup"]
    interval_count: int
    intervals: bytes

    def pack(self) -> str:
        return packed_text(msgspec.msgpack.encode(self))

    @staticmethod
    def unpack(text: bytes) -> "Footer":
        """Raises: DamagedRunError."""
        try:
            footer = msgspec.msgpack.decode(unpacked_text(text), type=Footer)
        except msgspec.DecodeError as error:
            raise DamagedRunError(f"a run's footer does not decode: {error}") from error
        if footer.format != FORMAT:
            raise DamagedRunError(f"run format {footer.format}, only {FORMAT} is known")
        return footer


class FooterGroup(msgspec.Struct, array_like=True, frozen=True):
    """One row group: its rows, the first and last event's key, the packed summary."""

    row_count: int
    first: tuple[int, int, int]
    last: tuple[int, int, int]
    summary: list[object]


def packed_text(data: bytes) -> str:
    return base64.b64encode(compress(Compression.ZSTD, data)).decode("ascii")


def unpacked_text(text: bytes) -> bytes:
    """Raises: DamagedRunError."""
    try:
        return bytes(decompress(Compression.ZSTD, base64.b64decode(text, validate=True), FOOTER_BYTES_MAX))
    except (StoreError, ValueError) as error:
        raise DamagedRunError(f"a run's metadata does not unpack: {error}") from error


def record_schema(*, is_late: bool) -> "pa.Schema":
    """The columns of a run without the declared attributes."""
    import pyarrow as pa

    header = pa.struct([pa.field("key", pa.string(), nullable=False), pa.field("value", pa.binary())])
    fields = [
        pa.field("_ts", pa.timestamp("ms", "UTC"), nullable=False),
        pa.field("_partition", pa.int32(), nullable=False),
        pa.field("_offset", pa.int64(), nullable=False),
        pa.field("_key", pa.binary()),
        pa.field("_value", pa.binary()),
        pa.field("_headers", pa.list_(pa.field("element", header, nullable=False)), nullable=False),
        pa.field("_producer_id", pa.int64(), nullable=False),
        pa.field("_producer_epoch", pa.int16(), nullable=False),
        pa.field("_sequence", pa.int32(), nullable=False),
        pa.field("_leader_epoch", pa.int32(), nullable=False),
        pa.field("_batch_attributes", pa.int16(), nullable=False),
    ]
    if is_late:
        fields.append(pa.field("_tick", pa.int64(), nullable=False))
        # Null where the late policy keeps the event out of a view.
        fields += [pa.field(name, pa.int64()) for name in LATE_COLUMNS[1:]]
    return pa.schema(fields)


def run_schema(schema: Schema | None, *, is_late: bool) -> "pa.Schema":
    import pyarrow as pa

    attributes = {} if schema is None else schema.attributes
    fields = [pa.field(name, arrow_type(kind)) for name, kind in attributes.items()]
    return pa.schema([*record_schema(is_late=is_late), *fields])


def arrow_type(kind: AttributeType) -> "pa.DataType":
    import pyarrow as pa

    match kind:
        case AttributeType.LONG:
            return pa.int64()
        case AttributeType.DOUBLE:
            return pa.float64()
        case AttributeType.STRING:
            return pa.string()
        case AttributeType.BOOLEAN:
            return pa.bool_()
        case AttributeType.TIMESTAMP:
            return pa.timestamp("ms", "UTC")


def array_of(column: Column, kind: AttributeType) -> "pa.Array":
    """A column as the run stores it."""
    import pyarrow as pa

    if kind is AttributeType.STRING:
        assert column.words is not None, "a string column has words"
        return string_array(column, column.words, pa.string())
    plain = pa.array(column.values, mask=column.is_null, from_pandas=False)
    return plain.cast(arrow_type(kind)) if kind is AttributeType.TIMESTAMP else plain


def string_array(column: Column, words: Sequence[str | bytes], kind: "pa.DataType") -> "pa.Array":
    """The words of a column; word lists may be far longer than the column, so only used words are touched."""
    import pyarrow as pa

    codes = column.values if column.is_null is None else column.values[~column.is_null]
    used, inverse = np.unique(codes, return_inverse=True)
    used_codes: list[int] = used.tolist()
    indices = np.zeros(len(column), np.int32)
    indices[slice(None) if column.is_null is None else ~column.is_null] = inverse
    dictionary = pa.array([words[code] for code in used_codes], kind)
    coded = pa.DictionaryArray.from_arrays(indices, dictionary, mask=column.is_null)
    return coded.cast(kind)


def column_of(array: "pa.Array | pa.ChunkedArray") -> Column:
    """A stored array as a column; binary words (keys) become str by `word_of`."""
    import pyarrow as pa

    whole = _contiguous(array)
    is_null = np.asarray(whole.is_null()) if whole.null_count else None
    if isinstance(whole, pa.DictionaryArray):
        stored = cast("list[str | bytes]", whole.dictionary.to_pylist())
        words = [word if isinstance(word, str) else word_of(word) for word in stored]
        return Column(_numbers(whole.indices, np.int32(0)), is_null, words)
    if pa.types.is_timestamp(whole.type):
        whole = whole.cast(pa.int64())
    zero = False if pa.types.is_boolean(whole.type) else 0
    return Column(_numbers(whole, zero), is_null)


def word_of(key: bytes) -> str:
    """A key as text; bytes that are no UTF-8 survive the way there and back."""
    return key.decode("utf-8", "surrogateescape")


def key_of(word: str) -> bytes:
    return word.encode("utf-8", "surrogateescape")


def int64s(array: "pa.Array | pa.ChunkedArray") -> Int64Array:
    """An int64 or timestamp column without nulls."""
    import pyarrow as pa

    return _numbers(_contiguous(array).cast(pa.int64()), 0).astype(np.int64, copy=False)


def keys_of(batch: "pa.RecordBatch | pa.Table") -> Block:
    """The events of rows as a block without columns."""
    partitions = int64s(batch.column("_partition")).astype(np.int32)
    return Block(int64s(batch.column("_ts")), partitions, int64s(batch.column("_offset")))


def records_of(table: "pa.Table | pa.RecordBatch") -> list[Record]:
    block = keys_of(table)
    keys, values = (cast("list[bytes | None]", table.column(name).to_pylist()) for name in ("_key", "_value"))
    headers = headers_of(table.column("_headers"))
    return [
        Record(offset, ts, key, value, header)
        for offset, ts, key, value, header in zip(
            block.offsets.tolist(), block.timestamps.tolist(), keys, values, headers, strict=True
        )
    ]


def headers_of(array: "pa.Array | pa.ChunkedArray") -> list[tuple[tuple[str, bytes | None], ...]]:
    stored = cast("list[list[Mapping[str, object]]]", array.to_pylist())
    return [tuple((cast("str", h["key"]), cast("bytes | None", h["value"])) for h in row) for row in stored]


def digest_of(batch: "pa.RecordBatch | pa.Table") -> int:
    """A sum over the rows modulo 2^64: equal for equal sets of events in whatever order.

    Each row's term mixes the CRC-32 of key, value and headers with the numbers of the row, so that a payload that
    moved to another event is seen. It guards against our own mistakes and bad memory; against a damaged file there is
    SHA-256.
    """
    keys, values = (cast("list[bytes | None]", batch.column(name).to_pylist()) for name in ("_key", "_value"))
    crcs = np.fromiter(map(_record_crc, keys, values), np.uint64, len(keys))
    lengths = np.fromiter((-1 if key is None else len(key) for key in keys), np.int64, len(keys))
    nulls = np.fromiter((value is None for value in values), np.int64, len(values))
    numbers: list[Int64Array] = [int64s(batch.column(name)) for name in (*KEY_COLUMNS, *BATCH_COLUMNS)]
    headers = _header_crcs(batch.column("_headers"))
    mixed = _mixed(crcs, [*numbers, lengths, nulls, headers])
    return int(mixed.sum(dtype=np.uint64))


def _record_crc(key: bytes | None, value: bytes | None) -> int:
    return crc32(value or b"", crc32(key or b""))


def _header_crcs(array: "pa.Array | pa.ChunkedArray") -> Int64Array:
    import pyarrow.compute as pc

    crcs = np.zeros(len(array), np.int64)
    counts = np.asarray(pc.list_value_length(array))
    for row in np.flatnonzero(counts).tolist():
        crcs[row] = crc32(msgspec.msgpack.encode(headers_of(array.slice(row, 1))))
    return crcs


def _mixed(start: NDArray[np.uint64], numbers: Iterable[Int64Array]) -> NDArray[np.uint64]:
    """SplitMix64's finisher, once per number."""
    state = start
    for number in numbers:
        state = state ^ number.view(np.uint64)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return state


def _contiguous(array: "pa.Array | pa.ChunkedArray") -> "pa.Array":
    import pyarrow as pa

    if not isinstance(array, pa.ChunkedArray):
        return array
    if pa.types.is_dictionary(array.type):
        array = array.unify_dictionaries()
    return pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)


def _numbers(array: "pa.Array", zero: object) -> NDArray[np.generic]:
    filled = array.fill_null(zero) if array.null_count else array
    return filled.to_numpy(zero_copy_only=False)
