"""The documents say what is so: every example of docs/http.md runs, settings and figures are in docs/operations.md."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from urllib.parse import quote

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.http.app import NOT_BUILT
from sharding.topic_configs import TOPIC_SETTINGS
from tests.support.served import ServedNode
from timesplit.cli import COMMANDS
from timesplit.settings import Settings, meaning_of

DOCS = Path(__file__).parent.parent.parent / "docs"
ANY = "…"
EXAMPLE = re.compile(r"```http\n(GET|POST) (\S+)\n(.*?)```\n```(jsonl?)\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    node = ServedNode(tmp_path_factory.mktemp("docs") / "data").start()
    try:
        yield node
    finally:
        node.stop()


def is_as_said(said: object, found: object) -> bool:
    """Equal, where "…" stands for anything, and a key "…" for further keys."""
    if said == ANY:
        return True
    if isinstance(said, dict) and isinstance(found, dict):
        keys = set(said) - {ANY}
        has_all = keys <= set(found) if ANY in said else keys == set(found)
        return has_all and all(is_as_said(said[key], found[key]) for key in keys)
    if isinstance(said, list) and isinstance(found, list):
        return len(said) == len(found) and all(map(is_as_said, said, found))
    return type(said) is type(found) and said == found


def answered(node: ServedNode, method: str, path: str, body: str) -> str:
    url = f"http://{node.http}{quote(path, safe='/?&=,:()')}"
    data = body.encode() if method == "POST" else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=50) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()


@pytest.mark.clients
def test_every_example_of_the_http_document_is_answered_as_it_says(served: ServedNode) -> None:
    text = (DOCS / "http.md").read_text()
    examples = EXAMPLE.findall(text)
    assert len(examples) == text.count("```http") > 10
    for method, path, body, form, said in examples:
        found = answered(served, method, path, body)
        if form == "jsonl":
            pairs = zip(map(json.loads, said.splitlines()), map(json.loads, found.splitlines()), strict=True)
            assert all(is_as_said(left, right) for left, right in pairs), f"{method} {path}: {found}"
        else:
            assert is_as_said(json.loads(said), json.loads(found)), f"{method} {path}: {found}"


def test_what_is_not_built_is_named() -> None:
    said = (DOCS / "http.md").read_text().split("## Not built")[1]
    assert all(f"`{path.split('/')[-1]}`" in said for path in NOT_BUILT)


def table(heading: str) -> list[list[str]]:
    """The rows of the table under a heading of docs/operations.md, without its head."""
    part = (DOCS / "operations.md").read_text().split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`").replace("\\|", "|") for cell in row] for row in rows[2:]]


def test_every_setting_is_documented_as_it_is() -> None:
    wanted = [[s.name, str(s.default), meaning_of(s.name).unit, meaning_of(s.name).reason] for s in fields(Settings)]
    assert table("Settings of a node") == wanted


def test_every_topic_setting_is_documented_as_it_is() -> None:
    ours = [s for s in TOPIC_SETTINGS.values() if s.is_ours or s.is_acted_on]
    wanted = [[s.name, s.default or "", "" if s.is_acted_on else "stored only", s.documentation] for s in ours]
    assert table("Settings of a topic") == wanted
    stored = {s.name for s in TOPIC_SETTINGS.values()} - {s.name for s in ours}
    text = (DOCS / "operations.md").read_text()
    assert all(f"`{name}`" in text for name in stored)


@pytest.mark.clients
def test_every_figure_of_a_served_node_is_documented_and_parses(served: ServedNode) -> None:
    served.post_json("/api/v1/topics", {"name": "figures", "schema": {"x": "long"}})
    served.post_json("/api/v1/topics/figures/records", {"records": [{"value": {"x": 1}}, {"value": "no object"}]})
    served.get_json("/api/v1/topics/figures/aggregate")
    text = served.get("/metrics", accept="text/plain").decode()
    found = {family.name: family for family in text_string_to_metric_families(text)}
    ours = {name for name in found if name.startswith("timesplit_")}
    documented = {row[0] for row in table("Metrics")}
    assert ours <= documented, ours - documented
    not_json = found["timesplit_values_not_json"].samples
    assert [sample.value for sample in not_json if sample.labels == {"topic": "figures"}] == [1]


def test_every_command_is_documented() -> None:
    text = (DOCS / "operations.md").read_text()
    assert all(f"`timesplit {name}" in text for name in COMMANDS)
