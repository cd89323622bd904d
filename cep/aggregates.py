"""Aggregates over the events of a window. Nulls (missing or mistyped attributes) count only in `count()`.

Sums of integers are exact. Sums of doubles are compensated (Neumaier), so that the order of arrival of equal timestamps
cannot show. `first` and `last` are by the total order of events.
"""

import builtins
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from .errors import PlanError
from .events import Attributes, Value


class Kind(StrEnum):
    COUNT = "count"
    SUM = "sum"
    MIN = "min"
    MAX = "max"
    MEAN = "mean"
    OHLC = "ohlc"


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One asked aggregate; `attribute` is None for `count()`, which counts events."""

    kind: Kind
    attribute: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the values it gives, as in the HTTP API."""
        if self.attribute is None:
            return ("count",)
        if self.kind is Kind.OHLC:
            return tuple(f"{part}({self.attribute})" for part in ("open", "high", "low", "close"))
        return (f"{self.kind}({self.attribute})",)


def count(attribute: str | None = None) -> Aggregate:
    """All events, or those whose attribute is not null."""
    return Aggregate(Kind.COUNT, attribute)


def sum(attribute: str) -> Aggregate:  # noqa: A001 - the word users know; imported as cep.sum
    return Aggregate(Kind.SUM, attribute)


def min(attribute: str) -> Aggregate:  # noqa: A001
    return Aggregate(Kind.MIN, attribute)


def max(attribute: str) -> Aggregate:  # noqa: A001
    return Aggregate(Kind.MAX, attribute)


def mean(attribute: str) -> Aggregate:
    return Aggregate(Kind.MEAN, attribute)


def ohlc(attribute: str) -> Aggregate:
    """Open, high, low, close: the first, greatest, least and last value by event order."""
    return Aggregate(Kind.OHLC, attribute)


class Accumulator:
    """Numbers of one attribute over events fed in total order; which of them an aggregate shows is its business.

    The result depends on the numbers and their order alone, not on how `add` was given them.
    """

    __slots__ = ("close", "count", "has_total", "high", "low", "open", "total", "total_error")

    def __init__(self, *, has_total: bool = True) -> None:
        self.has_total = has_total
        self.count = 0
        self.total: int | float = 0
        self.total_error = 0.0
        self.open: int | float | None = None
        self.high: int | float | None = None
        self.low: int | float | None = None
        self.close: int | float | None = None

    def add(self, numbers: Sequence[int | float]) -> None:
        if not numbers:
            return
        if self.open is None:
            self.open = self.high = self.low = numbers[0]
        assert self.high is not None
        assert self.low is not None
        highest, lowest = builtins.max(numbers), builtins.min(numbers)
        self.high = builtins.max(self.high, highest)  # the first of equal ones
        self.low = builtins.min(self.low, lowest)
        self.close = numbers[-1]
        self.count += len(numbers)
        if self.has_total:
            self._add_total(numbers)

    def _add_total(self, numbers: Sequence[int | float]) -> None:
        if isinstance(self.total, int) and isinstance(together := builtins.sum(numbers), int):
            self.total += together
            return
        for value in numbers:
            if isinstance(value, int) and isinstance(self.total, int):
                self.total += value
                continue
            total = self.total + value
            if abs(self.total) >= abs(value):
                self.total_error += (self.total - total) + value
            else:
                self.total_error += (value - total) + self.total
            self.total = total

    def values_of(self, aggregate: Aggregate) -> tuple[Value, ...]:
        total = self.total if isinstance(self.total, int) else self.total + self.total_error
        match aggregate.kind:
            case Kind.COUNT:
                return (self.count,)
            case Kind.SUM:
                return (total if self.count else None,)
            case Kind.MIN:
                return (self.low,)
            case Kind.MAX:
                return (self.high,)
            case Kind.MEAN:
                return (total / self.count if self.count else None,)
            case Kind.OHLC:
                return (self.open, self.high, self.low, self.close)


def numbers_of(found: Iterable[Attributes], name: str) -> list[int | float]:
    """The attribute of each event that has it as a number; a boolean is not one."""
    numbers = [v for values in found if (v := values.get(name)).__class__ is float or v.__class__ is int]
    return cast("list[int | float]", numbers)


def needs_total(aggregates: Iterable[Aggregate], attribute: str) -> bool:
    return any(a.attribute == attribute and a.kind in {Kind.SUM, Kind.MEAN} for a in aggregates)


def check(aggregates: Sequence[Aggregate], others: Sequence[str] = ()) -> None:
    """Raises: PlanError if there is none, or if two values of a row have one name; `others` are not aggregates."""
    names = [column for aggregate in aggregates for column in aggregate.columns]
    if not names:
        raise PlanError("agg() needs at least one aggregate")
    names += others
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise PlanError(f"two parts of a row give the same value: {twice}")
