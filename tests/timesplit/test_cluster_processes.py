"""Three `timesplit serve` that found a cluster, as users start them: restarts, moves, further nodes, and refusals."""

import gc
import json
import os
import shutil
import subprocess
import sys
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import timesplit
from raft.interfaces import NodeId
from raft.node_files import note_cluster, note_promise, open_data_directory
from tests.support.cluster import Cluster
from tests.support.ports import free_ports
from tests.support.served import ServedNode
from tests.support.waiting import wait_until
from timesplit.cli import main
from timesplit.errors import DataDirectoryError

pytestmark = [pytest.mark.clients, pytest.mark.timeout(180)]

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent)}
LOOPBACK = ("--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0", "--peer", "127.0.0.1:0")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        made.start()
        made.nodes[1].post_json(
            "/api/v1/topics", {"name": "kept", "partitions": 3, "replication_factor": 3, "schema": {"x": "long"}}
        )
        records = [{"value": {"x": x}, "timestamp": 1_700_000_000_000 + x} for x in range(60)]
        made.nodes[2].post_json("/api/v1/topics/kept/records", {"records": records})
        yield made
    finally:
        made.kill_all()


def has_all(node: ServedNode) -> bool:
    """Its answer, now; not while a shard has no leader."""
    try:
        answer = node.get_json("/api/v1/topics/kept/aggregate?agg=count&format=json")
    except urllib.error.HTTPError as error:
        if error.code != 503:
            raise
        return False
    return answer["rows"][0]["count"] == 60


def described(node: ServedNode) -> dict:
    return node.get_json("/api/v1/cluster")


def live_nodes(node: ServedNode) -> set[int]:
    return {one["node_id"] for one in described(node)["nodes"] if one["is_live"]}


def is_healthy(node: ServedNode) -> bool:
    """Every shard is led, and those that shall have it have everything. Further nodes may come and go."""
    for shard in described(node)["shards"]:
        whole = {
            one["node_id"]
            for one in shard["replicas"]
            if one["is_voter"] and one["is_live"] and one["match"] == shard["applied"]
        }
        if shard["leader_id"] == -1 or not {1, 2, 3} & set(shard["wanted"]) <= whole:
            return False
    return True


def files(node: ServedNode, name: str) -> dict:
    return json.loads((node.data / name).read_text())


def test_three_processes_are_one_cluster(cluster: Cluster) -> None:
    ids = {files(node, "node.json")["cluster_id"] for node in cluster.nodes.values()}
    assert len(ids) == 1
    for number, node in cluster.nodes.items():
        seen = described(node)
        assert {seen["cluster_id"]} == ids
        assert [one["node_id"] for one in seen["nodes"]] == [1, 2, 3]
        assert seen["node_id"] == number
        assert files(node, "addresses.json")["peer"] == node.peer
        wait_until(lambda node=node: has_all(node), what=f"node {number} has everything")
    # Who led a shard first hands it to the one that is preferred.
    wait_until(
        lambda: {shard["leader_id"] for shard in described(cluster.nodes[1])["shards"]} == {1, 2, 3},
        what="each node leads some of the shards",
    )


def test_the_cluster_command_shows_nodes_and_shards(cluster: Cluster, run: "Run") -> None:
    shown = run("cluster", "--http", cluster.nodes[2].http)
    assert shown.code == 0
    assert "seen by node 2" in shown.out
    assert shown.out.count("leads the catalog") == 1
    assert "catalog" in shown.out
    assert cluster.nodes[3].kafka in shown.out
    asked = run("cluster", "--http", cluster.nodes[2].http, "--json")
    assert {"cluster_id", "controller_id", "nodes", "shards"} <= set(json.loads(asked.out))


def test_a_node_that_comes_back_elsewhere_without_its_list_is_found(cluster: Cluster) -> None:
    cluster.kill_all()
    # Node 1 dials nobody, and node 2 has an old list: it must learn where node 1 is before either knows the catalog.
    node = cluster.nodes[1]
    node.peer, node.options = f"127.0.0.1:{free_ports(1)[0]}", ("--node-id", "1")
    cluster.start(1, 2)
    wait_until(lambda: has_all(node))
    assert live_nodes(node) == {1, 2}
    cluster.start(3)
    wait_until(lambda: all(live_nodes(one) == {1, 2, 3} for one in cluster.nodes.values()))
    wait_until(lambda: is_healthy(cluster.nodes[3]))


def test_a_stopped_leader_hands_its_shards_over(cluster: Cluster) -> None:
    wait_until(lambda: is_healthy(cluster.nodes[1]))
    leaders = [shard["leader_id"] for shard in described(cluster.nodes[1])["shards"]]
    number = max(set(leaders), key=leaders.count)
    node, other = cluster.nodes[number], cluster.nodes[number % 3 + 1]
    terms = {shard["shard_id"]: shard["term"] for shard in described(other)["shards"]}
    assert node.stop() == 0
    # A successor says that it leads once its first entry is committed.
    after: list[dict] = []

    def are_led_elsewhere() -> bool:
        after[:] = described(other)["shards"]
        return all(shard["leader_id"] not in {-1, number} for shard in after)

    wait_until(are_led_elsewhere, what="a leader of each shard")
    assert all(shard["term"] <= terms[shard["shard_id"]] + 1 for shard in after), "one election each, and none failed"
    node.start()


def test_a_further_node_joins_and_has_the_data(cluster: Cluster) -> None:
    four = ServedNode(cluster.nodes[1].data.with_name("node4"), "--node-id", "4", "--join", cluster.nodes[2].peer)
    try:
        four.start()
        wait_until(lambda: live_nodes(cluster.nodes[1]) == {1, 2, 3, 4})
        assert files(four, "node.json")["founders"] == []
        assert files(four, "node.json")["cluster_id"] == described(cluster.nodes[1])["cluster_id"]
        topics = [topic["name"] for topic in four.get_json("/api/v1/topics")["topics"]]
        assert topics == ["kept"]
        # Again, without being told by whom.
        four.kill()
        four.options = ("--node-id", "4")
        four.start()
        wait_until(lambda: live_nodes(four) == {1, 2, 3, 4}, what="links to all")
        assert four.stop() == 0
    finally:
        four.kill()


def test_an_emptied_node_is_refused_as_the_old_member_and_may_join_as_a_new_one(cluster: Cluster) -> None:
    wait_until(lambda: is_healthy(cluster.nodes[1]))
    node = cluster.nodes[3]
    options, disk_id = node.options, files(node, "node.json")["disk_id"]
    node.kill()
    shutil.rmtree(node.data)
    node.spawn()
    assert node.process is not None
    assert node.process.wait(60) == 3
    assert "does not come back as the member it was; start it with --join" in node.log.read_text()
    node.kill()
    node.options = ("--node-id", "3", "--join", cluster.nodes[1].peer)
    node.start()
    assert files(node, "node.json")["disk_id"] != disk_id
    wait_until(lambda: is_healthy(cluster.nodes[1]), deadline_s=60)
    wait_until(lambda: has_all(node))
    node.options = options


# What never gets as far as a node


class Ran:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


Run = Callable[..., Ran]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Runs `timesplit …` in this process."""
    monkeypatch.setenv("COLUMNS", "200")

    def ran(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["timesplit", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capfd.readouterr()
        return Ran(int(ended.value.code or 0), captured.out, captured.err)

    yield ran
    gc.enable()  # `serve` begins without


def serve(*options: str) -> Ran:
    """A process of its own: a node that joins asks again and again."""
    command = [sys.executable, "-m", "timesplit", "serve", *options]
    ended = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=40, check=False)
    return Ran(ended.returncode, ended.stdout, ended.stderr)


def members(*ports: int) -> str:
    return ",".join(f"{at}@127.0.0.1:{port}" for at, port in enumerate(ports, 1))


def test_a_directory_of_a_node_alone_founds_nothing_else(run: Run, tmp_path: Path) -> None:
    open_data_directory(str(tmp_path), NodeId(1)).close()
    refused = run("serve", "--data", str(tmp_path), *LOOPBACK, "--members", members(*free_ports(3)))
    assert refused.code == 3
    assert "of this node alone: it cannot found another" in refused.err


def test_a_directory_belongs_to_its_members_list(run: Run, tmp_path: Path) -> None:
    with open_data_directory(str(tmp_path), NodeId(1), founds_alone=False) as new:
        note_promise(new, (new.peer, new.peer.__class__(NodeId(2), "d")))
    refused = run("serve", "--data", str(tmp_path), *LOOPBACK, "--members", members(*free_ports(3)))
    assert (refused.code, "began to found a cluster of nodes 1, 2" in refused.err) == (3, True), refused.err
    refused = run("serve", "--data", str(tmp_path), *LOOPBACK)
    assert (refused.code, "give it its members" in refused.err) == (3, True), refused.err
    refused = run("serve", "--data", str(tmp_path), *LOOPBACK, "--join", "127.0.0.1:1")
    assert (refused.code, "start it with --members" in refused.err) == (3, True), refused.err


def test_a_node_of_another_cluster_cannot_join(cluster: Cluster, tmp_path: Path) -> None:
    open_data_directory(str(tmp_path), NodeId(4)).close()
    seeds = ("--node-id", "4", "--join", cluster.nodes[1].peer)
    refused = serve("--data", str(tmp_path), *LOOPBACK, *seeds)
    assert (refused.code, "node 4 is of cluster" in refused.err) == (3, True), refused.err
    assert 4 not in live_nodes(cluster.nodes[1])


def test_a_number_that_is_in_use_cannot_join_again(cluster: Cluster, tmp_path: Path) -> None:
    seeds = ("--node-id", "2", "--join", cluster.nodes[1].peer)
    refused = serve("--data", str(tmp_path / "new"), *LOOPBACK, *seeds)
    assert (refused.code, "node 2 is there already, on another disk" in refused.err) == (3, True), refused.err


def test_a_peer_port_in_use_exits_4(cluster: Cluster, run: Run, tmp_path: Path) -> None:
    refused = run("serve", "--data", str(tmp_path), *LOOPBACK[:4], "--peer", cluster.nodes[1].peer)
    assert (refused.code, "peer cannot listen" in refused.err) == (4, True), refused.err


def test_a_directory_of_a_cluster_cannot_be_opened_embedded(tmp_path: Path) -> None:
    with open_data_directory(str(tmp_path), NodeId(1), founds_alone=False) as new:
        note_cluster(new, "ours")
    with pytest.raises(DataDirectoryError, match="of a node of a cluster"):
        timesplit.open(tmp_path)


def test_sigterm_ends_a_start_that_waits_for_others(tmp_path: Path) -> None:
    node = ServedNode(tmp_path / "data", "--members", members(*free_ports(2)))
    node.spawn()
    try:
        wait_until(lambda: "not reached yet: node 2" in node.log.read_text())
        assert node.stop() == 0
    finally:
        node.kill()


def test_a_node_alone_opens_no_peer_port_unless_asked(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "timesplit", "serve", "--data", str(tmp_path), *LOOPBACK[:4]]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            assert "peer" not in json.loads((tmp_path / "addresses.json").read_text())
        finally:
            process.terminate()
        assert process.wait(30) == 0
