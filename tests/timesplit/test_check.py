"""`timesplit check`: a whole directory passes, each planted damage is found, exit codes are what scripts rely on."""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

import timesplit
from raft.damage import Damage
from timesplit.cli import main
from timesplit.settings import Settings

T0 = 1_700_000_000_000


@dataclass
class Ran:
    code: int
    out: str
    err: str

    def damages(self) -> list[tuple[str, str]]:
        return [(one["path"], one["what"]) for one in json.loads(self.out)["findings"] if one["is_damage"]]


Check = Callable[..., Ran]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a historic split, a live one, and checkpoints."""
    path = tmp_path_factory.mktemp("whole") / "data"
    with timesplit.open(path, settings=Settings(segment_bytes=1 << 20)) as database:
        database.create_topic("trades", partitions=2, schema={"qty": "long"}, aggregates=["qty"])
        for first in (0, 500):
            records = [
                timesplit.Record({"qty": i}, key=f"k{i % 7}", timestamp=T0 + i) for i in range(first, first + 500)
            ]
            database.insert("trades", records)
            if first == 0:
                database.seal("trades")
    return path


@pytest.fixture
def data(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "data"))


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Check:
    def run(*arguments: str | Path) -> Ran:
        monkeypatch.setenv("COLUMNS", "160")
        monkeypatch.setattr(sys, "argv", ["timesplit", "check", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        return Ran(ended.value.code, out, err)

    return run


def contents(path: Path) -> dict[str, bytes]:
    return {str(one.relative_to(path)): one.read_bytes() for one in path.rglob("*") if one.is_file()}


def test_a_whole_directory_passes_and_is_left_as_it_is(data: Path, check: Check) -> None:
    before = contents(data)
    shown = check(data)
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.rstrip().endswith("whole")
    found = json.loads(check(data, "--json").out)
    assert (found["is_damaged"], found["findings"]) == (False, [])
    assert found["node"]["node_id"] == 1
    assert found["runs"]["count"] == 1
    assert found["runs"]["compared_with"] == "catalog"
    groups = {group["group"]: group for group in found["groups"]}
    assert 0 in groups
    assert all(group["last_index"] > 0 and group["checkpoint"] for group in groups.values())
    assert contents(data) == before


def test_a_copy_without_its_lock_passes_too(data: Path, check: Check) -> None:
    (data / "lock").unlink()
    assert check(data).code == 0


def one_run(data: Path) -> Path:
    (run,) = (data / "topics").rglob("*.parquet")
    return run


def log_of(data: Path, group: int) -> Path:
    return min((data / "shards" / str(group)).glob("*.log"))


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def other_run(data: Path) -> None:
    """A run that is whole in itself, and not the one of the manifest."""
    import pyarrow.parquet as pq

    table = pq.read_table(one_run(data))
    pq.write_table(table.slice(1), one_run(data))


@pytest.mark.parametrize(
    ("plant", "path", "what"),
    [
        (lambda data: flip(data / "node.json", 0), "node.json", "damaged"),
        (lambda data: (data / "node.json").unlink(), "node.json", "No such file"),
        (lambda data: flip(log_of(data, 0), 4096 + 30), ".log", "entry 2 "),
        (lambda data: flip(log_of(data, 0), 3), ".log", "header"),
        (lambda data: log_of(data, 0).write_bytes(b""), ".log", "header"),
        (lambda data: log_of(data, 0).unlink(), "shards/0", "but the log ends"),
        (lambda data: flip(data / "shards/0/checkpoint", 60), "checkpoint", "CRC"),
        (lambda data: (data / "shards/0/hard_state").unlink(), "hard_state", "missing"),
        (lambda data: flip(one_run(data), 40), "main.parquet", "SHA-256"),
        (lambda data: one_run(data).write_bytes(one_run(data).read_bytes()[:-9]), "main.parquet", "bytes"),
        (lambda data: one_run(data).unlink(), "main.parquet", "missing"),
        (other_run, "main.parquet", "in the manifest"),
    ],
)
def test_each_planted_damage_is_found(
    data: Path, check: Check, plant: Callable[[Path], object], path: str, what: str
) -> None:
    plant(data)
    found = check(data, "--json")
    assert found.code == 3
    assert any(path in where and what in said for where, said in found.damages()), found.out
    shown = check(data)
    assert shown.code == 3
    assert "DAMAGED" in shown.out


def test_without_a_catalog_the_footers_are_looked_at(data: Path, check: Check) -> None:
    flip(log_of(data, 0), 4096 + 30)
    found = check(data, "--json")
    assert json.loads(found.out)["runs"]["compared_with"] == "footers only"
    assert not any("parquet" in where for where, _ in found.damages())
    content = one_run(data).read_bytes()
    one_run(data).write_bytes(content[:-3])
    assert any("parquet" in where and "footer" in said for where, said in check(data, "--json").damages())


def test_a_file_that_no_manifest_names_is_noted(data: Path, check: Check) -> None:
    shutil.copy(one_run(data), one_run(data).with_name("late-7.parquet"))
    found = check(data, "--json")
    assert found.code == 0
    (note,) = json.loads(found.out)["findings"]
    assert note["path"].endswith("late-7.parquet")


def test_a_directory_in_use_is_not_looked_at(tmp_path: Path, check: Check) -> None:
    with timesplit.open(tmp_path / "data"):
        refused = check(tmp_path / "data")
    assert (refused.code, "another process" in refused.err, refused.out) == (3, True, "")


def test_what_is_no_data_directory_is_said(tmp_path: Path, check: Check) -> None:
    refused = check(tmp_path)
    assert (refused.code, "no data directory" in refused.err) == (3, True)
    assert check(tmp_path / "nowhere").code == 2


def test_doubt_is_shown_and_an_operator_ends_it(data: Path, check: Check) -> None:
    note = data / "shards" / "1" / "damaged"
    note.write_bytes(msgspec.json.encode(Damage(reason="a torn write", is_doubt=True)))
    shown = json.loads(check(data, "--json").out)
    assert {group["group"]: group["is_doubtful"] for group in shown["groups"]}[1]
    assert not shown["is_damaged"]
    assert note.exists(), "looking changes nothing"
    accepted = check(data, "--accept-torn-tails", "--json")
    assert accepted.code == 0
    assert "shard 1: its torn tail is accepted" in accepted.err
    assert not any(group["is_doubtful"] for group in json.loads(accepted.out)["groups"])
    assert not note.exists()


def test_damage_is_not_accepted_as_a_torn_tail(data: Path, check: Check) -> None:
    note = data / "shards" / "1" / "damaged"
    note.write_bytes(msgspec.json.encode(Damage(reason="entry 5")))
    assert check(data, "--accept-torn-tails").code == 3
    assert note.exists()


def test_nothing_is_accepted_in_a_directory_in_use(tmp_path: Path, check: Check) -> None:
    with timesplit.open(tmp_path / "data"):
        assert check(tmp_path / "data", "--accept-torn-tails").code == 3
