"""Query parameters as values: times, measures, conditions. Every refusal names the parameter and what it may be."""

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from starlette.datastructures import QueryParams

from store.events import TIMESTAMP_MS_MAX, TIMESTAMP_MS_MIN, TimeRange
from store.queries import AggregateQuery, Complete, Condition, EventsQuery, Fill, Function, Measure, Order

from .problems import HttpError

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
# At most 12 digits: what is longer is no span within int64 milliseconds.
_NOW = re.compile(r"now(?:-(\d{1,12})(ms|s|m|h|d))?")
_SPAN = re.compile(r"(\d{1,12})(ms|s|m|h|d)")
_MEASURE = re.compile(r"\s*(\w+)\s*(?:\(\s*([^()]*?)\s*\))?\s*")
_CONDITION = re.compile(r"\s*([\w.-]+)\s*(<=|>=|!=|=|<|>)\s*(?:'((?:[^']|'')*)'|([^\s']+))\s*")
_NUMBER = re.compile(r"[+-]?(?:\d{1,40}|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?)", re.ASCII)
_AND = re.compile(r"and(?=\s)", re.IGNORECASE)
LIMIT_MAX = 10_000_000
CONDITIONS_MAX = 32
TEXT_CHARACTERS_MAX = 8_192
MEASURES_MAX = 64
NAMES_MAX = 256

Choice = TypeVar("Choice", bound=StrEnum)


def time_ms(text: str, name: str, now_ms: int) -> int:
    """RFC 3339, epoch milliseconds, `now` or `now-15m`, as epoch milliseconds."""
    if relative := _NOW.fullmatch(text):
        value = now_ms - (int(relative[1]) * _UNITS_MS[relative[2]] if relative[1] else 0)
        if value >= TIMESTAMP_MS_MIN:
            return value
    if re.fullmatch(r"-?\d{1,19}", text):
        value = int(text)
        if TIMESTAMP_MS_MIN <= value <= TIMESTAMP_MS_MAX:
            return value
    try:
        # A + that nobody escaped arrives as a blank.
        moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
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
    _only(parameters, _QUERY_NAMES | {"columns", "order", "limit", "cursor"})
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
    _only(parameters, _QUERY_NAMES | {"agg", "every", "origin", "by", "fill"})
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


def span_query(parameters: QueryParams, now_ms: int) -> TimeRange:
    _only(parameters, _SPAN_NAMES)
    return time_range(parameters, now_ms)


def seal_watermark_ms(parameters: QueryParams, now_ms: int) -> int | None:
    """`watermark=` of a seal: the caller's word that event time has come at least that far."""
    _only(parameters, {"watermark"})
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
    found = _where(parameters["where"]) if "where" in parameters else []
    if (key := parameters.get("key")) is not None:
        found.append(Condition("_key", "=", key))
    if len(found) > CONDITIONS_MAX:
        raise HttpError(400, f"where: at most {CONDITIONS_MAX} conditions")
    return found


def _where(text: str) -> list[Condition]:
    found: list[Condition] = []
    place = 0
    while form := _CONDITION.match(text, place):
        value = _literal(form[4]) if form[4] is not None else form[3].replace("''", "'")
        found.append(Condition(form[1], form[2], value))
        if form.end() == len(text):
            return found
        joined = _AND.match(text, form.end())
        if joined is None or not text[form.end() - 1].isspace():
            break
        place = joined.end()
    raise HttpError(400, f"where: {text!r} is not `attribute = value` (= != < <= > >=, joined by and)")


def _literal(text: str) -> str | int | float | bool | None:
    words: dict[str, bool | None] = {"true": True, "false": False, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    if _NUMBER.fullmatch(text):
        return int(text) if text.lstrip("+-").isdecimal() else float(text)
    raise HttpError(400, f"where: {text!r} is neither a number, true, false, null nor 'text'")


def _limit_or_none(parameters: QueryParams) -> int | None:
    text = parameters.get("limit")
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,12}", text) or not 0 < int(text) <= LIMIT_MAX:
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


_SPAN_NAMES = {"from", "to", "consistency"}
_QUERY_NAMES = _SPAN_NAMES | {"where", "key", "complete", "format"}
_LEVELS = re.compile(r"linearizable|session|eventual|bounded:\d{1,12}(ms|s|m|h|d)|snapshot:[\w-]{1,1000}")


def _only(parameters: QueryParams, known: set[str]) -> None:
    """An unknown parameter is refused: a misspelt `form=` must not be read as all of time. So is one given twice."""
    names = [name for name, _ in parameters.multi_items()]
    for name in names:
        if name not in known:
            raise HttpError(400, f"unknown parameter {name!r}; known: {', '.join(sorted(known))}")
        if names.count(name) > 1:
            raise HttpError(400, f"{name} is given {names.count(name)} times")
        if len(parameters[name]) > TEXT_CHARACTERS_MAX:
            raise HttpError(400, f"{name}: more than {TEXT_CHARACTERS_MAX} characters")
    level = parameters.get("consistency", "linearizable")
    if not _LEVELS.fullmatch(level):
        raise HttpError(400, f"consistency: {level!r} is no level; linearizable is the one that is built")
    if level != "linearizable":
        raise HttpError(501, "consistency: only linearizable is built (one node answers it at once)")
