import json
import subprocess
import sys
from pathlib import Path

import pytest

from raft.configuration import Peer
from raft.errors import DataDirectoryError, DirectoryLockedError, ForeignDirectoryError, UnknownFormatError
from raft.interfaces import NodeId
from raft.node_files import note_cluster, note_promise, open_data_directory

ONE = NodeId(1)
NO_CLUSTER = '{"format": 1, "cluster_id": "", "node_id": 1, "disk_id": "d"}'


def change(path: Path, **facts: object) -> None:
    file = path / "node.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | facts))


def test_a_directory_is_founded_once(tmp_path: Path) -> None:
    path = str(tmp_path / "a/data")
    with open_data_directory(path, ONE) as founded:
        assert (founded.node_id, founded.format, len(founded.cluster_id)) == (1, 2, 22)
        assert founded.founders == (founded.peer,)
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
            "format": 2,
            "cluster_id": directory.cluster_id,
            "node_id": 1,
            "disk_id": directory.disk_id,
            "founders": [[1, directory.disk_id]],
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
    change(tmp_path, format=3)
    with pytest.raises(UnknownFormatError, match="format 3"):
        open_data_directory(str(tmp_path), ONE)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 1}', NO_CLUSTER, '{"format": 1, "node_id": "one"}'])
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


def test_a_directory_of_format_1_is_a_cluster_of_its_own(tmp_path: Path) -> None:
    content = '{"format": 1, "cluster_id": "ours", "node_id": 1, "disk_id": "d"}'
    (tmp_path / "node.json").write_text(content)
    with open_data_directory(str(tmp_path), ONE, founds_alone=False) as directory:
        assert (directory.cluster_id, directory.founders) == ("ours", (Peer(ONE, "d"),))
    assert (tmp_path / "node.json").read_text() == content, "an older version reads it still"


def test_a_promise_and_a_cluster_are_noted_once_and_stay(tmp_path: Path) -> None:
    path = str(tmp_path)
    with open_data_directory(path, ONE, founds_alone=False) as new:
        founders = (new.peer, Peer(NodeId(2), "d"))
        assert (new.cluster_id, new.founders, len(new.disk_id)) == ("", (), 36)
        promised = note_promise(new, founders)
    with open_data_directory(path, ONE, founds_alone=False) as again:
        assert (again.founders, again.cluster_id, again.disk_id) == (founders, "", new.disk_id)
        with pytest.raises(AssertionError, match="promised"):
            note_promise(again, founders)
        with pytest.raises(AssertionError, match="promised"):
            note_cluster(again, "other", founders[:1])
        founded = note_cluster(again, "ours", founders)
    assert promised.founders == founded.founders
    with open_data_directory(path, ONE) as founded:
        assert (founded.cluster_id, founded.founders) == ("ours", founders)
        with pytest.raises(AssertionError, match="of cluster ours"):
            note_cluster(founded, "theirs")


def test_a_directory_that_began_to_found_a_cluster_is_not_served_alone(tmp_path: Path) -> None:
    path = str(tmp_path)
    with open_data_directory(path, ONE, founds_alone=False) as new:
        note_promise(new, (new.peer, Peer(NodeId(2), "d")))
    with pytest.raises(ForeignDirectoryError, match="cluster of the nodes 1, 2"):
        open_data_directory(path, ONE)


def test_a_directory_that_only_has_its_disk_id_may_become_anything(tmp_path: Path) -> None:
    with open_data_directory(str(tmp_path), ONE, founds_alone=False) as new:
        pass
    with open_data_directory(str(tmp_path), ONE) as founded:
        assert (founded.disk_id, founded.founders) == (new.disk_id, (new.peer,))


def test_a_node_joins_without_founders(tmp_path: Path) -> None:
    with open_data_directory(str(tmp_path), ONE, founds_alone=False) as new:
        note_cluster(new, "theirs")
    with open_data_directory(str(tmp_path), ONE) as joined:
        assert (joined.cluster_id, joined.founders) == ("theirs", ())
