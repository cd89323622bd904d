"""Conditions of a query, made ready: checked against the schema, then a mask over a block or a verdict on a summary.

A null matches only `= null`; every other comparison with a null or of a null is false, as in SQL's WHERE. Strings
compare by code point. A number given as text is read as the attribute's type, for doors that only have text.
"""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .aggregates import Summary, Value
from .blocks import Block, BoolArray, Column
from .errors import InvalidQueryError
from .queries import Condition
from .schema import AttributeType, Schema, timestamp_ms_or_none

OPERATORS: Final[Mapping[str, Callable[[object, object], object]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,  # pyright: ignore[reportAssignmentType] - one table for values and arrays of every type
    "<=": operator.le,  # pyright: ignore[reportAssignmentType] - as above
    ">": operator.gt,  # pyright: ignore[reportAssignmentType] - as above
    ">=": operator.ge,  # pyright: ignore[reportAssignmentType] - as above
}
KEY: Final = "_key"
PLACE_COLUMNS: Final = ("_ts", "_partition", "_offset")


@dataclass(frozen=True, slots=True)
class _Test:
    """One condition with its value in the type of its column; `kind` None for `_key`, which is text or bytes."""

    name: str
    operator: str
    value: Value | None


class Conditions:
    """All conditions of one query; an event matches when each holds."""

    __slots__ = ("_tests",)

    def __init__(self, conditions: Sequence[Condition], schema: Schema | None) -> None:
        """Raises: InvalidQueryError."""
        self._tests = [_prepared(condition, schema) for condition in conditions]

    def __bool__(self) -> bool:
        return bool(self._tests)

    @property
    def names(self) -> list[str]:
        """The columns that `matching` needs beside timestamps, partitions and offsets."""
        return list(dict.fromkeys(test.name for test in self._tests if test.name not in PLACE_COLUMNS))

    def matching(self, block: Block) -> BoolArray:
        mask = np.ones(len(block), np.bool_)
        for test in self._tests:
            mask &= _mask(test, _column(block, test.name))
        return mask

    def may_match(self, summary: Summary) -> bool:
        """False only if no event of the summary can match."""
        return all(_may_match(test, summary) for test in self._tests)


def type_of(name: str, schema: Schema | None) -> AttributeType:
    """Of an attribute or of one of our own columns. Raises: InvalidQueryError."""
    if name in PLACE_COLUMNS:
        return AttributeType.LONG
    if name == KEY:
        return AttributeType.STRING
    if schema is None or name not in schema.attributes:
        raise InvalidQueryError(f"unknown attribute {name!r}")
    return schema.attributes[name]


def _prepared(condition: Condition, schema: Schema | None) -> _Test:
    name, value = condition.attribute, condition.value
    if condition.operator not in OPERATORS:
        raise InvalidQueryError(f"unknown operator {condition.operator!r}, there are {' '.join(OPERATORS)}")
    kind = type_of(name, schema)
    is_equality = condition.operator in {"=", "!="}
    if value is None:
        if not is_equality:
            raise InvalidQueryError(f"{name} {condition.operator} null is never true")
        return _Test(name, condition.operator, None)
    match kind:
        case AttributeType.STRING:
            if isinstance(value, bool | float):
                raise InvalidQueryError(f"{name} is text, {value!r} is not")
            return _Test(name, condition.operator, str(value))
        case AttributeType.BOOLEAN:
            named = {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else value
            if not isinstance(named, bool) or not is_equality:
                raise InvalidQueryError(f"{name} is a boolean: only = and != true or false")
            return _Test(name, condition.operator, named)
        case AttributeType.DOUBLE:
            return _Test(name, condition.operator, float(_number(name, value)))
        case AttributeType.LONG | AttributeType.TIMESTAMP:
            if kind is AttributeType.TIMESTAMP and isinstance(value, str):
                value = value if (ms := timestamp_ms_or_none(value)) is None else ms
            return _integer_test(name, condition.operator, _number(name, value))


def _number(name: str, value: Value) -> int | float:
    if isinstance(value, bool):
        raise InvalidQueryError(f"{name} is a number, {value!r} is not")
    if isinstance(value, int | float):
        return value
    for read in (int, float):
        try:
            return read(value)
        except ValueError:
            pass
    raise InvalidQueryError(f"{name} is a number, {value!r} is not")


def _integer_test(name: str, sign: str, value: int | float) -> _Test:
    """Compare integers with integers: a float in between would round int64 values beyond 2^53."""
    if isinstance(value, int) or not math.isfinite(value):
        return _Test(name, sign, value)
    if value.is_integer():
        return _Test(name, sign, math.floor(value))
    if sign in {"<", "<="}:
        return _Test(name, "<=", math.floor(value))
    if sign in {">", ">="}:
        return _Test(name, ">=", math.ceil(value))
    return _Test(name, sign, value)


def _column(block: Block, name: str) -> Column:
    match name:
        case "_ts":
            return Column(block.timestamps)
        case "_partition":
            return Column(block.partitions)
        case "_offset":
            return Column(block.offsets)
        case _:
            return block.columns[name]


def _mask(test: _Test, column: Column) -> BoolArray:
    is_null = column.is_null
    if test.value is None:
        nulls = np.zeros(len(column), np.bool_) if is_null is None else is_null
        return nulls if test.operator == "=" else ~nulls
    compare = OPERATORS[test.operator]
    if column.words is None:
        mask = np.asarray(compare(column.values, test.value), np.bool_)
    else:
        mask = _word_mask(column.values, column.words, is_null, lambda word: bool(compare(word, test.value)))
    return mask if is_null is None else mask & ~is_null


def _word_mask(
    codes: NDArray[np.generic], words: Sequence[str], is_null: BoolArray | None, holds: Callable[[str], bool]
) -> BoolArray:
    # The word list may be far longer than the block, and a null's code need not be a word.
    present = codes if is_null is None else codes[~is_null]
    used, inverse = np.unique(present, return_inverse=True)
    used_codes: list[int] = used.tolist()
    verdicts = np.fromiter((holds(words[code]) for code in used_codes), np.bool_, len(used_codes))
    if is_null is None:
        return verdicts[inverse]
    mask = np.zeros(len(codes), np.bool_)
    mask[~is_null] = verdicts[inverse]
    return mask


def _may_match(test: _Test, summary: Summary) -> bool:
    known = summary.attributes.get(test.name)
    if known is None:
        return True
    if test.value is None:
        return known.count < summary.count if test.operator == "=" else known.count > 0
    if known.count == 0:
        return False
    if known.min is None or known.max is None:
        return True
    match test.operator:
        case "=":
            return _holds("<=", known.min, test.value) and _holds("<=", test.value, known.max)
        case "!=":
            return not (known.min == known.max == test.value)
        case "<" | "<=":
            return _holds(test.operator, known.min, test.value)
        case _:
            return _holds(test.operator, known.max, test.value)


def _holds(sign: str, left: Value, right: Value) -> bool:
    return bool(OPERATORS[sign](left, right))
