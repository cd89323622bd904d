import json
import subprocess
import sys
from pathlib import Path

import pytest

from raft.errors import DataDirectoryError, DirectoryLockedError, ForeignDirectoryError, UnknownFormatError
from raft.interfaces import NodeId
from raft.node_files import open_data_directory

ONE = NodeId(1)


def change(path: Path, **facts: object) -> None:
    file = path / "node.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | facts))


def test_a_directory_is_founded_once(tmp_path: Path) -> None:
    path = str(tmp_path / "a/data")
    with open_data_directory(path, ONE) as founded:
        assert (founded.node_id, founded.format, len(founded.cluster_id)) == (1, 1, 22)
    with open_data_directory(path, ONE) as again:
        assert (again.disk_id, again.cluster_id) == (founded.disk_id, founded.cluster_id)


def test_every_disk_has_its_own_id(tmp_path: Path) -> None:
    with open_data_directory(f"{tmp_path}/a", ONE) as one, open_data_directory(f"{tmp_path}/b", ONE) as other:
        assert one.disk_id != other.disk_id
        assert one.cluster_id != other.cluster_id


def test_the_file_has_these_keys(tmp_path: Path) -> None:
    with open_data_directory(str(tmp_path), ONE) as directory:
        facts = json.loads((tmp_path / "node.json").read_text())
        assert facts == {
            "format": 1,
            "cluster_id": directory.cluster_id,
            "node_id": 1,
            "disk_id": directory.disk_id,
        }


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    code = "import sys; from raft.node_files import open_data_directory as o; o(sys.argv[1], 1)"
    with open_data_directory(str(tmp_path), ONE):
        with pytest.raises(DirectoryLockedError):
            open_data_directory(str(tmp_path), ONE)
        root = Path(__file__).parents[2]
        second = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], cwd=root, capture_output=True, text=True, check=False
        )
        assert "DirectoryLockedError" in second.stderr
    open_data_directory(str(tmp_path), ONE).close()


def test_the_directory_of_another_node_is_refused(tmp_path: Path) -> None:
    open_data_directory(str(tmp_path), ONE).close()
    with pytest.raises(ForeignDirectoryError, match="of node 1, not of node 2"):
        open_data_directory(str(tmp_path), NodeId(2))


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    open_data_directory(str(tmp_path), ONE).close()
    change(tmp_path, format=2)
    with pytest.raises(UnknownFormatError, match="format 2"):
        open_data_directory(str(tmp_path), ONE)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 1}', '{"format": 1, "node_id": "one"}'])
def test_a_damaged_file_is_refused(tmp_path: Path, content: str) -> None:
    open_data_directory(str(tmp_path), ONE).close()
    (tmp_path / "node.json").write_text(content)
    with pytest.raises(DataDirectoryError, match="damaged"):
        open_data_directory(str(tmp_path), ONE)


def test_data_without_a_node_file_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    with pytest.raises(DataDirectoryError, match="shards"):
        open_data_directory(str(tmp_path), ONE)
    (tmp_path / "shards").rmdir()
    open_data_directory(str(tmp_path), ONE).close()


def test_an_interrupted_founding_is_repeated(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    (tmp_path / "node.json.new").write_text("{")
    open_data_directory(str(tmp_path), ONE).close()
    assert not (tmp_path / "node.json.new").exists()
