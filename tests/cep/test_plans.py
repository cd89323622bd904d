"""A stream that has no meaning is refused when the app is built, not when it runs."""

import re
from pathlib import Path

import faust
import pytest

import cep
from cep.durations import milliseconds


@pytest.fixture
def app() -> faust.App:
    return faust.App("plans", broker="kafka://127.0.0.1:1")


def test_publishing_a_result_that_is_not_final_is_refused(app: faust.App) -> None:
    results = cep.merge(app, "t").group_by("g").tumbling("1h").agg(cep.count())
    with pytest.raises(cep.NonFinalInputError):
        results.to("out")


def test_plans_without_meaning_are_refused(app: faust.App) -> None:
    stream = cep.merge(app, "t")
    with pytest.raises(cep.PlanError, match="named twice"):
        cep.merge(app, "t", "t")
    with pytest.raises(cep.PlanError, match="needs a topic"):
        cep.merge(app)
    with pytest.raises(cep.PlanError, match="committed"):
        cep.merge(app, "t", watermarks="perhaps")
    with pytest.raises(cep.PlanError, match="positive"):
        stream.tumbling(0).agg(cep.count())
    with pytest.raises(cep.PlanError, match="at least one"):
        stream.tumbling("1s").agg()
    with pytest.raises(cep.PlanError, match="same value"):
        stream.tumbling("1s").agg(cep.sum("x"), cep.sum("x"))
    with pytest.raises(cep.PlanError, match="same value"):
        stream.group_by("count").tumbling("1s").agg(cep.count())
    with pytest.raises(cep.PlanError, match="merged twice"):
        cep.merge(app, "t")
    with pytest.raises(cep.PlanError, match="transactions"):
        stream.tumbling("1s").agg(cep.count()).final().to("out", exactly_once=True)


def test_two_results_of_a_stream_need_two_names(app: faust.App) -> None:
    stream = cep.merge(app, "t")
    stream.tumbling("1s").agg(cep.count())
    with pytest.raises(cep.PlanError, match="named"):
        stream.tumbling("1s").agg(cep.sum("x"))
    stream.tumbling("1s").agg(cep.sum("x"), name="sums")


def test_durations() -> None:
    assert [milliseconds(s) for s in ("250ms", "2s", "1.5s", "5m", "1h", "7d", 12)] == [
        250, 2_000, 1_500, 300_000, 3_600_000, 604_800_000, 12,
    ]  # fmt: skip
    for bad in ("", "5", "1w", "-1s", "0.5ms"):
        with pytest.raises(cep.PlanError):
            milliseconds(bad)


def test_the_words_of_the_docs_build_an_app() -> None:
    docs = (Path(__file__).parents[2] / "docs" / "cep.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", docs, re.DOTALL)
    names: dict = {"__name__": "docs_of_cep"}
    exec(code, names)
    assert len(names["app"].agents) == 2


def test_tests_named_in_the_docs_exist() -> None:
    folder = Path(__file__).parents[2]
    docs = (folder / "docs" / "cep.md").read_text()
    tests = "".join(path.read_text() for path in (folder / "tests" / "cep").glob("test_*.py"))
    named = re.findall(r"`(test_\w+)", docs)
    assert named
    assert all(f"def {name}" in tests for name in named)
