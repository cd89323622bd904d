"""Every command against a served node: tables, --json, files, and exit codes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support.served import ServedNode
from timesplit.cli import COMMANDS, NOT_BUILT, main
from timesplit.settings import Settings

ROOT = Path(__file__).parent.parent.parent
T0 = 1_700_000_000_000

pytestmark = pytest.mark.clients


@dataclass
class Ran:
    code: int
    out: str
    err: str

    def json(self) -> dict:
        assert self.code == 0, self.err
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    node = ServedNode(tmp_path_factory.mktemp("commands") / "data").start()
    try:
        body = {"name": "trades", "partitions": 2, "schema": {"symbol": "string", "qty": "long"}, "aggregates": ["qty"]}
        node.post_json("/api/v1/topics", body)
        rows = [
            {"key": "AB"[i % 2], "timestamp": T0 + i * 1000, "value": {"symbol": "AB"[i % 2], "qty": i}}
            for i in range(200)
        ]
        node.post_json("/api/v1/topics/trades/records", {"records": rows})
        yield node
    finally:
        node.stop()


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs `timesplit …` in this process."""
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["timesplit", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capfd.readouterr()
        return Ran(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def run(alone: Run, served: ServedNode, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("TIMESPLIT_HTTP", served.http)
    return alone


def test_topics_are_listed_created_described_and_deleted(run: Run) -> None:
    listed = run("topics")
    assert (listed.code, "trades" in listed.out, "200" in listed.out) == (0, True, True)
    assert run("topics", "list").out == listed.out
    assert [topic["name"] for topic in run("topics", "--json").json()["topics"]] == ["trades"]
    made = run("topics", "create", "new", "--partitions", "3", "--schema", '{"x": "double"}', "--aggregates", "x",
               "--config", "lateness.ms=5000", "--json").json()  # fmt: skip
    assert (made["partitions"], made["schema"], made["aggregates"]) == (3, {"x": "double"}, ["x"])
    assert made["configs"]["lateness.ms"] == "5000"
    assert "lateness.ms" in run("topics", "describe", "new").out
    assert run("topics", "describe", "new", "--json").json()["watermark"] is None
    assert run("topics", "create", "plain").out == "created plain with 1 partitions\n"
    assert run("topics", "delete", "plain").out == "deleted plain\n"
    assert run("topics", "delete", "new", "--json").json() == {"deleted": "new"}


def test_events_as_a_table_as_lines_and_as_files(run: Run, tmp_path: Path) -> None:
    table = run("events", "trades", "--limit", "3", "--from", str(T0))
    assert "2023-11-14 22:13:20Z" in table.out
    assert table.out.count("symbol") >= 1
    assert len(run("events", "trades").out.splitlines()) < 120  # a table has its own limit
    lines = [json.loads(line) for line in run("events", "trades", "--json", "--columns", "qty").out.splitlines()]
    assert [line["qty"] for line in lines] == list(range(200))
    some = run("events", "trades", "--where", "symbol='A' and qty>=190", "--order", "-time", "--json").out.splitlines()
    assert [json.loads(line)["qty"] for line in some] == [198, 196, 194, 192, 190]
    assert len(run("events", "trades", "--key", "B", "--json").out.splitlines()) == 100
    parquet = tmp_path / "trades.parquet"
    assert run("events", "trades", "--output", str(parquet)).code == 0
    assert pq.read_table(parquet).num_rows == 200
    assert run("events", "trades", "--output", str(tmp_path / "x"), "--format", "csv", "--limit", "2").code == 0
    assert len((tmp_path / "x").read_text().splitlines()) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["trades.parquet", "x"]


def test_a_refused_answer_leaves_no_file(run: Run, tmp_path: Path) -> None:
    refused = run("events", "trades", "--output", str(tmp_path / "x.csv"), "--columns", "nope")
    assert (refused.code, "INVALID_REQUEST: unknown column 'nope'" in refused.err) == (1, True)
    missing = run("events", "trades", "--output", str(tmp_path / "no" / "x.csv"))
    assert (missing.code, "No such file" in missing.err) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_aggregates_as_a_table_and_as_json(run: Run) -> None:
    found = run("aggregate", "trades", "count,sum(qty)", "--every", "100s", "--by", "symbol", "--json").json()
    assert sum(row["count"] for row in found["rows"]) == 200
    assert sum(row["sum(qty)"] for row in found["rows"]) == sum(range(200))
    table = run("aggregate", "trades", "count,max(qty)", "--where", "symbol='B'").out
    assert "max(qty)" in table
    assert "199" in table


def test_splits_are_listed_and_sealed(run: Run) -> None:
    assert [split["state"] for split in run("splits", "trades", "--json").json()["splits"]][-1] == "open"
    sealed = run("splits", "trades", "--seal", "--json").json()["splits"]
    assert [split["state"] for split in sealed][-2:] == ["historic", "open"]
    assert "main.parquet" in run("splits", "trades").out


def test_groups_are_listed(run: Run) -> None:
    assert run("groups", "--json").json() == {"groups": []}
    assert "nothing found" in run("groups", "list").out
    for action in ("describe", "delete"):
        refused = run("groups", action, "nobody")
        assert (refused.code, "GROUP_ID_NOT_FOUND" in refused.err) == (1, True)


def test_a_refusal_of_the_node_is_its_own_sentence(run: Run) -> None:
    for arguments in (("topics", "describe", "nope"), ("events", "nope"), ("aggregate", "nope"), ("splits", "nope")):
        refused = run(*arguments)
        assert (refused.code, refused.out) == (1, "")
        assert refused.err == "timesplit: UNKNOWN_TOPIC_OR_PARTITION: no topic 'nope'\n"
    assert "TOPIC_ALREADY_EXISTS" in run("topics", "create", "trades").err
    assert "from: 'soon'" in run("events", "trades", "--from", "soon").err


def test_no_node_is_a_clear_sentence_and_exit_1(alone: Run) -> None:
    refused = alone("topics", "--http", "127.0.0.1:1")
    assert refused.code == 1
    assert refused.err.startswith("timesplit: no node answers at 127.0.0.1:1")
    assert "timesplit serve" in refused.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nonsense",), "No such command"),
        (("topics", "create", "x", "--config", "novalue"), "NAME=VALUE"),
        (("topics", "create", "x", "--schema", "{"), "not JSON"),
        (("topics", "--http", "nonsense"), "HOST:PORT"),
        (("events", "x", "--format", "csv"), "--output"),
        (("splits", "x", "--watermark", "now"), "--seal"),
        (("aggregate", "x", "--fill", "linear"), "linear"),
        (("serve", "--workers", "2"), "not built yet"),
        (("serve", "--node-id", "0"), "node_id"),
        (("serve", "--kafka", "x"), "HOST:PORT"),
        (("serve", "--config", "/nowhere.toml"), "/nowhere.toml"),
        *(((name,), "not built yet") for name in NOT_BUILT),
    ],
)
def test_wrong_usage_exits_2(alone: Run, arguments: tuple[str, ...], said: str) -> None:
    refused = alone(*arguments)
    assert (refused.code, said in refused.err) == (2, True), refused.err


@pytest.mark.parametrize(
    "arguments", [(), *((name,) for name in COMMANDS), ("topics", "create"), ("groups", "describe")]
)
def test_help_says_what_there_is(alone: Run, arguments: tuple[str, ...]) -> None:
    shown = alone(*arguments, "--help")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.startswith("Usage: ")
    if not arguments:
        assert all(name in shown.out for name in COMMANDS)
        assert not any(f"  {name} " in shown.out for name in NOT_BUILT)


def test_print_config_shows_every_setting_with_its_source(
    alone: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "node.toml"
    config.write_text("partitions = 7\n")
    monkeypatch.setenv("TIMESPLIT_QUERY_THREADS", "3")
    shown = alone("serve", "--config", str(config), "--kafka", "127.0.0.1:5", "--print-config")
    lines = dict(line.split(" = ", 1) for line in shown.out.splitlines())
    assert set(lines) == {setting.name for setting in fields(Settings)}
    assert lines["partitions"].startswith("7  # file")
    assert lines["query_threads"].startswith("3  # environment; threads")
    assert lines["kafka"].startswith('"127.0.0.1:5"  # command line')
    assert lines["node_id"].startswith("1  # default")
    (tmp_path / "again.toml").write_text(shown.out)
    assert alone("serve", "--config", str(tmp_path / "again.toml"), "--print-config").code == 0


def test_serve_exits_3_for_a_foreign_directory_and_4_for_a_port_in_use(served: ServedNode, tmp_path: Path) -> None:
    def serve(*options: str) -> subprocess.CompletedProcess[str]:
        arguments = [
            sys.executable,
            "-m",
            "timesplit",
            "serve",
            "--http",
            "127.0.0.1:0",
            "--peer",
            "127.0.0.1:0",
            *options,
        ]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=50, check=False)

    locked = serve("--data", str(served.data), "--kafka", "127.0.0.1:0")
    assert (locked.returncode, "another process" in locked.stderr) == (3, True)
    taken = serve("--data", str(tmp_path / "data"), "--kafka", served.kafka)
    assert (taken.returncode, "kafka cannot listen" in taken.stderr) == (4, True)


def test_a_reader_that_has_enough_ends_the_command_quietly(served: ServedNode) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TIMESPLIT_HTTP": served.http}
    script = f"set -o pipefail; {sys.executable} -m timesplit events trades --json | head -1"
    done = subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1
