"""Query parameters: what is meant is understood, what is not is refused with the parameter's name."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from gateway.http.parameters import aggregate_query, conditions, events_query, measures, span_ms, time_ms, time_range
from gateway.http.problems import HttpError
from store.events import ALL_TIME
from store.queries import Complete, Condition, Fill, Function, Measure, Order

NOW = 1_700_000_000_000


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)))  # noqa: DTZ001 - made aware below
def test_rfc_3339_is_exact_to_the_millisecond(moment: datetime) -> None:
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    wanted = delta.days * 86_400_000 + delta.seconds * 1000 + delta.microseconds // 1000
    assert time_ms(moment.isoformat(), "from", NOW) == wanted
    assert time_ms(moment.isoformat().replace("+00:00", "Z"), "from", NOW) == wanted
    assert time_ms(str(wanted), "from", NOW) == wanted


def test_relative_times_count_from_now() -> None:
    assert time_ms("now", "to", NOW) == NOW
    assert [time_ms(f"now-{text}", "to", NOW) - NOW for text in ("5ms", "2s", "15m", "1h", "7d")] == [
        -5, -2_000, -900_000, -3_600_000, -604_800_000,
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["yesterday", "", "now+1h", "2013-13-01", "1e9", "9" * 20, "now-15"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(HttpError, match="from"):
        time_ms(text, "from", NOW)


def test_a_missing_end_is_open() -> None:
    assert time_range(QueryParams(""), NOW) == ALL_TIME
    assert time_range(QueryParams("from=5&to=9"), NOW).covers(5)
    assert not time_range(QueryParams("from=5&to=9"), NOW).covers(9)


def test_conditions() -> None:
    found = conditions(
        QueryParams({"where": "origin='J''FK and x' and dep_delay >= -60 AND ok=true and a!=null", "key": "AA"})
    )
    assert found == [
        Condition("origin", "=", "J'FK and x"), Condition("dep_delay", ">=", -60), Condition("ok", "=", True),
        Condition("a", "!=", None), Condition("_key", "=", "AA"),
    ]  # fmt: skip
    for bad in ("origin", "origin=JFK", "a=1 or b=2", "a==1", "'x'=1"):
        with pytest.raises(HttpError, match="where"):
            conditions(QueryParams({"where": bad}))


def test_measures() -> None:
    assert measures("count, sum(qty),OHLC(price) ,count(x)") == [
        Measure(Function.COUNT), Measure(Function.SUM, "qty"), Measure(Function.OHLC, "price"),
        Measure(Function.COUNT, "x"),
    ]  # fmt: skip
    for bad in ("", "median(x)", "sum", "sum(x", "count,count"):
        with pytest.raises(HttpError, match="agg"):
            measures(bad)


def test_whole_queries() -> None:
    events = events_query(QueryParams("columns=a,b&order=-time&limit=5&cursor=xyz&complete=watermark"), NOW)
    assert (events.columns, events.order, events.limit_count) == (["a", "b"], Order.TIME_DESCENDING, 5)
    assert (events.cursor, events.complete) == ("xyz", Complete.WATERMARK)
    aggregate = aggregate_query(QueryParams("agg=count&every=1h&by=a,b&fill=null&origin=1970-01-01T00:30:00Z"), NOW)
    assert (aggregate.every_ms, aggregate.by, aggregate.fill, aggregate.origin_ms) == (
        3_600_000,
        ["a", "b"],
        Fill.NULL,
        1_800_000,
    )


@pytest.mark.parametrize(
    "text",
    ["limit=0", "limit=x", "order=up", "form=json", "every=1h", "consistency=eventual", "complete=0.9", "columns=a,a"],
)
def test_unknown_parameters_and_values_of_events_are_refused(text: str) -> None:
    with pytest.raises(HttpError):
        events_query(QueryParams(text), NOW)


@pytest.mark.parametrize("text", ["every=0s", "every=1y", "fill=null", "every=1h&fill=mean", "limit=4", "origin=0"])
def test_unknown_parameters_and_values_of_aggregate_are_refused(text: str) -> None:
    with pytest.raises(HttpError):
        aggregate_query(QueryParams(text), NOW)


def test_spans() -> None:
    assert span_ms("90s", "every") == 90_000
    with pytest.raises(HttpError, match="every"):
        span_ms("999999999999999999d", "every")
