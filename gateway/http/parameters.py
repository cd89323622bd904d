"""Query parameters as values: times, measures, conditions. Every refusal names the parameter and what it may be."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from starlette.datastructures import QueryParams

from store.events import TIMESTAMP_MS_MAX, TIMESTAMP_MS_MIN, TimeRange
from store.queries import AggregateQuery, Complete, Condition, EventsQuery, Fill, Function, Measure, Order

from .problems import HttpError

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_NOW = re.compile(r"now(?:-(\d+)(ms|s|m|h|d))?")
_SPAN = re.compile(r"(\d+)(ms|s|m|h|d)")
_MEASURE = re.compile(r"\s*(\w+)\s*(?:\(\s*([^()]*?)\s*\))?\s*")
_CONDITION = re.compile(r"\s*([\w.-]+)\s*(<=|>=|!=|=|<|>)\s*(?:'((?:[^']|'')*)'|(\S+))\s*")
_AND = re.compile(r"\s+and\s+(?=(?:[^']*'[^']*')*[^']*$)", re.IGNORECASE)
LIMIT_MAX = 10_000_000
CONDITIONS_MAX = 32
MEASURES_MAX = 64
NAMES_MAX = 256

Choice = TypeVar("Choice", bound=StrEnum)


def time_ms(text: str, name: str, now_ms: int) -> int:
    """RFC 3339, epoch milliseconds, `now` or `now-15m`, as epoch milliseconds."""
    if relative := _NOW.fullmatch(text):
        return now_ms - (int(relative[1]) * _UNITS_MS[relative[2]] if relative[1] else 0)
    if re.fullmatch(r"-?\d{1,19}", text):
        value = int(text)
        if TIMESTAMP_MS_MIN <= value <= TIMESTAMP_MS_MAX:
            return value
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise HttpError(400, f"{name}: {text!r} is neither RFC 3339, epoch milliseconds nor now-15m") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    whole = moment.replace(microsecond=0)
    return int(whole.timestamp()) * 1000 + moment.microsecond // 1000


def span_ms(text: str, name: str) -> int:
    """A span such as 250ms, 15m or 1h; at least a millisecond."""
    form = _SPAN.fullmatch(text)
    if form is None or int(form[1]) == 0 or (value := int(form[1]) * _UNITS_MS[form[2]]) > TIMESTAMP_MS_MAX:
        raise HttpError(400, f"{name}: {text!r} is no span of time such as 250ms, 15m, 1h or 7d")
    return value


def time_range(parameters: QueryParams, now_ms: int) -> TimeRange:
    """[from, to); missing ends are open."""
    first = parameters.get("from")
    end = parameters.get("to")
    return TimeRange(
        first_ms=TIMESTAMP_MS_MIN if first is None else time_ms(first, "from", now_ms),
        end_ms=TIMESTAMP_MS_MAX if end is None else time_ms(end, "to", now_ms),
    )


def events_query(parameters: QueryParams, now_ms: int) -> EventsQuery:
    _only(parameters, {"columns", "order", "limit", "cursor"})
    columns = parameters.get("columns")
    return EventsQuery(
        span=time_range(parameters, now_ms),
        columns=None if columns is None else _names(columns, "columns"),
        conditions=conditions(parameters),
        order=_one_of(Order, parameters, "order", Order.TIME),
        limit_count=_limit_or_none(parameters),
        cursor=parameters.get("cursor"),
        complete=_one_of(Complete, parameters, "complete", Complete.NOW),
    )


def aggregate_query(parameters: QueryParams, now_ms: int) -> AggregateQuery:
    _only(parameters, {"agg", "every", "origin", "by", "fill"})
    every = parameters.get("every")
    origin = parameters.get("origin")
    if every is None and (origin is not None or "fill" in parameters):
        raise HttpError(400, "origin and fill go with every")
    return AggregateQuery(
        span=time_range(parameters, now_ms),
        measures=measures(parameters.get("agg", "count")),
        every_ms=None if every is None else span_ms(every, "every"),
        origin_ms=0 if origin is None else time_ms(origin, "origin", now_ms),
        by=_names(parameters.get("by", ""), "by"),
        conditions=conditions(parameters),
        fill=_one_of(Fill, parameters, "fill", Fill.NONE),
        complete=_one_of(Complete, parameters, "complete", Complete.NOW),
    )


def seal_watermark_ms(parameters: QueryParams, now_ms: int) -> int | None:
    """`watermark=` of a seal: the caller's word that event time has come at least that far."""
    unknown = set(parameters) - {"watermark"}
    if unknown:
        raise HttpError(400, f"unknown parameter {min(unknown)!r}; known: watermark")
    text = parameters.get("watermark")
    return None if text is None else time_ms(text, "watermark", now_ms)


def measures(text: str) -> list[Measure]:
    """Such as `count,sum(qty),ohlc(price)`."""
    found: list[Measure] = []
    for part in text.split(","):
        form = _MEASURE.fullmatch(part)
        if form is None or form[1].lower() not in set(Function):
            raise HttpError(400, f"agg: {part!r} is none of {', '.join(Function)} with (attribute)")
        function = Function(form[1].lower())
        attribute = form[2] or None
        if attribute is None and function is not Function.COUNT:
            raise HttpError(400, f"agg: {function} needs an attribute: {function}(name)")
        found.append(Measure(function, attribute))
    if len(found) > MEASURES_MAX or len(set(found)) != len(found):
        raise HttpError(400, f"agg: at most {MEASURES_MAX} aggregates, each once")
    return found


def conditions(parameters: QueryParams) -> list[Condition]:
    """`where=origin='JFK' and dep_delay>=60`, and `key=AA` for `_key='AA'`."""
    found: list[Condition] = []
    where = parameters.get("where")
    for part in _AND.split(where) if where else ():
        form = _CONDITION.fullmatch(part)
        if form is None:
            raise HttpError(400, f"where: {part!r} is not `attribute = value` (= != < <= > >=, joined by and)")
        value = _literal(form[4]) if form[4] is not None else form[3].replace("''", "'")
        found.append(Condition(form[1], form[2], value))
    if (key := parameters.get("key")) is not None:
        found.append(Condition("_key", "=", key))
    if len(found) > CONDITIONS_MAX:
        raise HttpError(400, f"where: at most {CONDITIONS_MAX} conditions")
    return found


def _literal(text: str) -> str | int | float | bool | None:
    words: dict[str, bool | None] = {"true": True, "false": False, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    kinds: Sequence[Callable[[str], int | float]] = (int, float)
    for kind in kinds:
        try:
            return kind(text)
        except ValueError:
            continue
    raise HttpError(400, f"where: {text!r} is neither a number, true, false, null nor 'text'")


def _limit_or_none(parameters: QueryParams) -> int | None:
    text = parameters.get("limit")
    if text is None:
        return None
    if not text.isdecimal() or not 0 < int(text) <= LIMIT_MAX:
        raise HttpError(400, f"limit: {text!r} must be 1 to {LIMIT_MAX}")
    return int(text)


def _names(text: str, name: str) -> list[str]:
    names = [part.strip() for part in text.split(",") if part.strip()]
    if len(names) > NAMES_MAX or len(set(names)) != len(names):
        raise HttpError(400, f"{name}: at most {NAMES_MAX} names, each once")
    return names


def _one_of(choices: type[Choice], parameters: QueryParams, name: str, default: Choice) -> Choice:
    text = parameters.get(name, default.value)
    if text not in set(choices):
        raise HttpError(400, f"{name}: {text!r} must be one of {', '.join(choices)}")
    return choices(text)


_ALWAYS = {"from", "to", "where", "key", "complete", "format", "consistency"}


def _only(parameters: QueryParams, own: set[str]) -> None:
    """An unknown parameter is refused: a misspelt `form=` must not be read as all of time."""
    unknown = set(parameters) - own - _ALWAYS
    if unknown:
        raise HttpError(400, f"unknown parameter {min(unknown)!r}; known: {', '.join(sorted(own | _ALWAYS))}")
    if parameters.get("consistency", "linearizable") != "linearizable":
        raise HttpError(501, "consistency: only linearizable is built (one node answers it at once)")
