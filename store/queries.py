"""Time-range questions as values. All spans are half-open [first_ms, end_ms)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from .events import ALL_TIME, TimeRange


class Order(StrEnum):
    TIME = "time"
    TIME_DESCENDING = "-time"
    ARRIVAL = "arrival"


class Complete(StrEnum):
    """`now` includes the unsettled part; `watermark` gives finals only (timestamp <= W and below the cut)."""

    NOW = "now"
    WATERMARK = "watermark"


class Function(StrEnum):
    COUNT = "count"
    SUM = "sum"
    MIN = "min"
    MAX = "max"
    MEAN = "mean"
    FIRST = "first"
    LAST = "last"
    OHLC = "ohlc"


class Fill(StrEnum):
    NONE = "none"
    NULL = "null"
    PREVIOUS = "prev"
    ZERO = "0"


@dataclass(frozen=True, slots=True)
class Condition:
    """attribute operator value; operator is one of = != < <= > >=. Columns `_key`, `_partition` may be named too."""

    attribute: str
    operator: str
    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Measure:
    """One asked aggregate; attribute None only for count."""

    function: Function
    attribute: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsQuery:
    """`columns` None: all. `cursor`: opaque, from an earlier answer. `limit_count` None: no limit."""

    span: TimeRange = ALL_TIME
    columns: Sequence[str] | None = None
    conditions: Sequence[Condition] = ()
    order: Order = Order.TIME
    limit_count: int | None = None
    cursor: str | None = None
    complete: Complete = Complete.NOW


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregateQuery:
    """`every_ms` None: one row over the span (and per group). Windows are [k*every + origin, …)."""

    span: TimeRange = ALL_TIME
    measures: Sequence[Measure] = field(default_factory=lambda: [Measure(Function.COUNT)])
    every_ms: int | None = None
    origin_ms: int = 0
    by: Sequence[str] = ()
    conditions: Sequence[Condition] = ()
    fill: Fill = Fill.NONE
    complete: Complete = Complete.NOW
