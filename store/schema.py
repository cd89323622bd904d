"""The schema of an event stream: which top-level keys of a JSON value are attributes, and of which type.

A value that is not a JSON object has no attributes: all are null, and it is counted. A key that is missing, or whose
JSON type is not the declared one, is null. A boolean is no number, 1.0 is no long, an integer is a double; integers
beyond int64 are null. Where a key stands twice, the last one counts.

ASCII values are read by msgspec, which skips undeclared keys (0.17 us for two attributes of seven, orjson 0.47); it
takes any bytes for text in what it skips, so all others are read by orjson. A fuzz of 600,000 damaged values found one
difference: a number that no double can hold (1e999) makes orjson refuse the whole value, and msgspec only sometimes.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from operator import attrgetter
from typing import Final, cast

import msgspec
import numpy as np
import orjson
from numpy.typing import DTypeLike

from .blocks import Column
from .errors import InvalidSchemaError

ATTRIBUTE_COUNT_MAX: Final = 256
NAME_CHARACTERS_MAX: Final = 128
# A word list that has grown past this is left to its blocks, and a new one begins.
WORD_COUNT_MAX: Final = 1 << 20

INT64_MIN: Final = -(1 << 63)
INT64_MAX: Final = (1 << 63) - 1

# No parenthesis, comma or blank: names stand in `sum(qty)` and in lists. A leading underscore is ours (`_ts`).
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]*")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_SCALAR = int | float | str | bool | None
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class AttributeType(StrEnum):
    """`timestamp` is stored as int64 milliseconds; JSON carries it as an integer (ms) or an RFC 3339 string."""

    LONG = "long"
    DOUBLE = "double"
    STRING = "string"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"


SUMMABLE: Final = frozenset((AttributeType.LONG, AttributeType.DOUBLE, AttributeType.TIMESTAMP))


@dataclass(frozen=True, slots=True)
class Schema:
    """Attributes in declared order; `aggregates` names those (long, double, timestamp) that inner nodes sum up."""

    attributes: Mapping[str, AttributeType]
    aggregates: Sequence[str]

    @staticmethod
    def of(attributes: Mapping[str, str], aggregates: Sequence[str] = ()) -> "Schema":
        """A checked schema. Raises: InvalidSchemaError."""
        if not 1 <= len(attributes) <= ATTRIBUTE_COUNT_MAX:
            raise InvalidSchemaError(f"{len(attributes)} attributes, at least 1 and at most {ATTRIBUTE_COUNT_MAX}")
        seen: dict[str, str] = {}
        types: dict[str, AttributeType] = {}
        for name, type_name in attributes.items():
            if len(name) > NAME_CHARACTERS_MAX or not _NAME.fullmatch(name):
                raise InvalidSchemaError(
                    f"attribute name {name[: NAME_CHARACTERS_MAX + 1]!r}: a letter, then letters, digits, _ . -;"
                    f" at most {NAME_CHARACTERS_MAX} characters"
                )
            # SQL engines that read our files fold case.
            if (other := seen.setdefault(name.lower(), name)) != name:
                raise InvalidSchemaError(f"attributes {other!r} and {name!r} differ only by case")
            types[name] = _attribute_type(name, type_name)
        for name in aggregates:
            if name not in types:
                raise InvalidSchemaError(f"aggregates name {name!r}, which is no attribute")
            if types[name] not in SUMMABLE:
                raise InvalidSchemaError(
                    f"aggregates name {name!r}, a {types[name].value}: only long, double, timestamp"
                )
        if len(set(aggregates)) != len(aggregates):
            raise InvalidSchemaError("aggregates name an attribute twice")
        return Schema(types, tuple(aggregates))

    @staticmethod
    def parse(schema_text: str, aggregates_text: str = "[]") -> "Schema":
        """From the topic configs `schema` (a JSON object) and `aggregates` (a JSON array).

        Raises: InvalidSchemaError.
        """
        try:
            attributes = msgspec.json.decode(schema_text, type=dict[str, str])
            aggregates = msgspec.json.decode(aggregates_text or "[]", type=list[str])
        except (msgspec.DecodeError, UnicodeEncodeError) as error:
            raise InvalidSchemaError(f"not a schema: {error}") from error
        return Schema.of(attributes, aggregates)

    def schema_text(self) -> str:
        return msgspec.json.encode(self.attributes).decode()

    def aggregates_text(self) -> str:
        return msgspec.json.encode(list(self.aggregates)).decode()


class AttributeDecoder:
    """Turns JSON values into columns of the declared attributes.

    Owns the word lists of its string attributes: a word keeps its code, so the columns of all calls share one list,
    which only grows. Memory is bounded by WORD_COUNT_MAX words per attribute, and by the columns that still refer to
    a list left behind. One thread at a time; columns already handed out may be read from any.
    """

    __slots__ = ("_decoder", "_fields", "_nothing", "_row", "_schema", "_words")

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._words = {name: _Words() for name, kind in schema.attributes.items() if kind is AttributeType.STRING}
        # Attributes by position: their names need not be names in Python.
        self._fields = {name: f"field_{number}" for number, name in enumerate(schema.attributes)}
        self._row = msgspec.defstruct(
            "Row",
            [(field, _SCALAR, None) for field in self._fields.values()],
            rename={field: name for name, field in self._fields.items()},
            gc=False,
        )
        self._nothing = self._row()
        self._decoder = msgspec.json.Decoder(self._row)

    @property
    def schema(self) -> Schema:
        return self._schema

    def decode(self, values: Sequence[bytes | None]) -> tuple[dict[str, Column], int]:
        """(columns of all attributes, count of values that are no JSON object)."""
        rows, not_json_count = self._rows(values)
        columns: dict[str, Column] = {}
        for name, kind in self._schema.attributes.items():
            found: list[object] = list(map(attrgetter(self._fields[name]), rows))
            columns[name] = self._column(name, kind, found)
        return columns, not_json_count

    def _rows(self, values: Sequence[bytes | None]) -> tuple[list[msgspec.Struct], int]:
        """One struct per value."""
        rows: list[msgspec.Struct] = []
        decode, nothing = self._decoder.decode, self._nothing
        not_json_count = 0
        for value in values:
            row: msgspec.Struct | None = None
            if value is not None:
                try:
                    row = decode(value) if value.isascii() else self._row_or_none(value)
                except (msgspec.ValidationError, RecursionError):
                    # A list or object under a declared key, or no object at all.
                    row = self._row_or_none(value)
                except msgspec.DecodeError:
                    row = None
            rows.append(nothing if row is None else row)
            not_json_count += row is None
        return rows, not_json_count

    def _row_or_none(self, value: bytes) -> msgspec.Struct | None:
        try:
            found: object = orjson.loads(value)
        except orjson.JSONDecodeError:
            return None
        if not isinstance(found, dict):
            return None
        row = cast("dict[str, object]", found)
        return self._row(*[row.get(name) for name in self._fields])

    def _column(self, name: str, kind: AttributeType, found: list[object]) -> Column:
        match kind:
            case AttributeType.LONG:
                return _column_of(found, np.int64, frozenset((int,)), _long_or_none)
            case AttributeType.TIMESTAMP:
                return _column_of(found, np.int64, frozenset((int,)), timestamp_ms_or_none)
            case AttributeType.DOUBLE:
                return _column_of(found, np.float64, frozenset((float,)), _double_or_none)
            case AttributeType.BOOLEAN:
                return _column_of(found, np.bool_, frozenset((bool,)), _boolean_or_none)
            case AttributeType.STRING:
                if len(self._words[name].words) > WORD_COUNT_MAX:
                    self._words[name] = _Words()
                return self._words[name].column(found)


class _Words(dict[str, int]):
    """Word -> code; an unknown word gets the next code when it is looked up."""

    __slots__ = ("words",)

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def __missing__(self, word: str) -> int:
        code = self[word] = len(self.words)
        self.words.append(word)
        return code

    def column(self, found: list[object]) -> Column:
        present = [value if type(value) is str else None for value in found]
        if None not in present:
            codes = np.fromiter(map(self.__getitem__, cast("list[str]", present)), np.int32, len(present))
            return Column(codes, None, self.words)
        is_null = np.fromiter((word is None for word in present), np.bool_, len(present))
        codes = np.fromiter((0 if word is None else self[word] for word in present), np.int32, len(present))
        return Column(codes, is_null, self.words)


def timestamp_ms_or_none(value: object) -> int | None:
    """Integer milliseconds as they are, an RFC 3339 string as milliseconds (rounded down), anything else None."""
    if isinstance(value, str):
        if not _RFC3339.fullmatch(value):
            return None
        try:
            return (datetime.fromisoformat(value.upper()) - _EPOCH) // _MILLISECOND
        except ValueError:
            return None
    return _long_or_none(value)


def _attribute_type(name: str, type_name: str) -> AttributeType:
    try:
        return AttributeType(type_name)
    except ValueError:
        names = ", ".join(AttributeType)
        raise InvalidSchemaError(f"attribute {name!r} has type {type_name!r}, not one of {names}") from None


def _column_of(
    found: list[object], dtype: DTypeLike, exact: frozenset[type], read_or_none: Callable[[object], object | None]
) -> Column:
    if exact.issuperset(map(type, found)):
        try:
            return Column(np.array(found, dtype))
        except OverflowError:
            pass  # an integer beyond int64: found again, and made null, below
    values = [read_or_none(value) for value in found]
    is_null = np.fromiter((value is None for value in values), np.bool_, len(values))
    numbers = np.array([0 if value is None else value for value in values], dtype)
    return Column(numbers, is_null if bool(is_null.any()) else None)


def _long_or_none(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and INT64_MIN <= value <= INT64_MAX:
        return value
    return None


def _double_or_none(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _boolean_or_none(value: object) -> bool | None:
    return value if isinstance(value, bool) else None
