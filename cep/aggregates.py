"""Aggregates over the events of a window. Nulls (missing or mistyped attributes) count only in `count()`.

Sums of integers are exact. Sums of doubles are compensated (Neumaier), so that the order of arrival of equal timestamps
cannot show. `first` and `last` are by the total order of events.
"""

from dataclasses import dataclass
from enum import StrEnum

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
    """Numbers of one attribute over events fed in total order; which of them an aggregate shows is its business."""

    __slots__ = ("close", "count", "high", "low", "open", "total", "total_error")

    def __init__(self) -> None:
        self.count = 0
        self.total: int | float = 0
        self.total_error = 0.0
        self.open: int | float | None = None
        self.high: int | float | None = None
        self.low: int | float | None = None
        self.close: int | float | None = None

    def add(self, value: int | float) -> None:
        if self.count == 0:
            self.open = self.high = self.low = value
        else:
            assert self.high is not None
            assert self.low is not None
            if value > self.high:
                self.high = value
            elif value < self.low:
                self.low = value
        self.close = value
        self.count += 1
        if isinstance(value, int) and isinstance(self.total, int):
            self.total += value
            return
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


def number_or_none(attributes: Attributes, name: str) -> int | float | None:
    """The attribute as a number; a boolean is not one."""
    value = attributes.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def check(aggregates: tuple[Aggregate, ...]) -> None:
    """Raises: PlanError if there is none, or two give a value of the same name."""
    names = [column for aggregate in aggregates for column in aggregate.columns]
    if not names:
        raise PlanError("agg() needs at least one aggregate")
    if len(set(names)) != len(names):
        raise PlanError(f"two aggregates give the same value: {names}")
