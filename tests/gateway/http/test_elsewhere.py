"""What another node has: redirects, and the cluster as this node sees it."""

import json

import pytest

from sharding.errors import NotCoordinatorError, NotLeaderError, NotReplicatedHereError
from sharding.interfaces import NodeAddress
from tests.gateway.http.test_app import API, Door, assert_problem, get, post, run
from tests.support.asgi import Answer

OTHER = NodeAddress(node_id=8, host="other", kafka_port=9093, http_port=8081)


def door_of(*others: NodeAddress) -> Door:
    door = Door()
    door.node.others = list(others)
    return door


@pytest.mark.parametrize("path", ["events", "aggregate", "offsets"])
def test_a_query_on_a_node_without_the_topic_goes_to_one_that_has_it(path: str) -> None:
    door = door_of(OTHER)
    door.stream.refusal = NotReplicatedHereError("topic 't'", (9, 8))
    answer = get(f"{API}/topics/t/{path}", "from=1" + ("&agg=count" if path == "aggregate" else ""), door)
    assert answer.status == 307
    assert f":8081{API}/topics/t/{path}?from=1" in answer.headers["location"]
    assert answer.headers["location"].startswith("http://other:")


def test_without_a_known_node_that_has_it_the_answer_is_a_problem() -> None:
    door = door_of()
    door.stream.refusal = NotReplicatedHereError("topic 't'", (8,))
    assert_problem(get(f"{API}/topics/t/events", "", door), 503, "nodes 8 have it")


def test_an_address_of_ip_version_6_is_put_in_brackets() -> None:
    door = door_of(NodeAddress(node_id=8, host="::1", kafka_port=9093, http_port=8081))
    door.stream.refusal = NotReplicatedHereError("topic 't'", (8,))
    assert get(f"{API}/topics/t/events", "", door).headers["location"] == f"http://[::1]:8081{API}/topics/t/events"


def test_a_seal_goes_to_the_leader_of_partition_0() -> None:
    door = door_of(OTHER)
    door.stream.refusal = NotLeaderError(8)
    answer = post(f"{API}/topics/t/splits/seal", {}, door)
    assert (answer.status, answer.headers["location"]) == (307, f"http://other:8081{API}/topics/t/splits/seal")
    door.stream.refusal = NotLeaderError()
    assert_problem(post(f"{API}/topics/t/splits/seal", {}, door), 503, "not the leader")


def test_a_group_is_described_by_its_coordinator() -> None:
    door = door_of(OTHER)
    door.node.groups.refusal = NotCoordinatorError("not here")
    door.node.coordinator_of = lambda _kind, _key: OTHER
    answer = get(f"{API}/groups/g", "", door)
    assert (answer.status, answer.headers["location"]) == (307, f"http://other:8081{API}/groups/g")


def test_the_cluster_is_told_with_its_nodes_and_shards() -> None:
    answer = get(f"{API}/cluster", "", door_of(OTHER))
    assert answer.status == 200
    found = answer.json()
    assert (found["cluster_id"], found["node_id"], found["controller_id"]) == ("fake-cluster", 7, 7)
    assert [(node["node_id"], node["http"], node["is_live"]) for node in found["nodes"]] == [
        (7, "127.0.0.1:1", True),
        (8, "other:8081", True),
    ]
    (shard,) = found["shards"]
    assert (shard["leader_id"], shard["wanted"], shard["partitions"]) == (7, [7], 2)
    assert shard["replicas"] == [{"node_id": 7, "is_voter": True, "match": 9, "is_live": True}]


def put(path: str, body: object, door: Door) -> Answer:
    return run(lambda client: client.ask("PUT", path, [json.dumps(body).encode()]), door)


def test_shards_are_grown_and_moved() -> None:
    door = door_of()
    grown = post(f"{API}/cluster/grow", {}, door)
    assert (grown.status, grown.json()) == (202, {"shards": [1]})
    assert post(f"{API}/cluster/grow", {"replication_factor": 5}, door).status == 202
    moved = put(f"{API}/cluster/shards/1", {"replicas": [8, 7]}, door)
    assert (moved.status, moved.json()) == (202, {"shards": [1]})
    assert door.node.wanted_replicas == [(0, [3]), (0, [5]), (1, [8, 7])]
    assert_problem(put(f"{API}/cluster/shards/2", {"replicas": [7]}, door), 400, "no shard 2")
    for body in ({"replicas": []}, {"replicas": ["a"]}, {"replicas": [-1]}, {"nodes": [1]}, {}):
        assert put(f"{API}/cluster/shards/1", body, door).status == 400
    assert post(f"{API}/cluster/grow", {"replication_factor": 0}, door).status == 400


def test_a_topic_is_described_without_the_offsets_of_partitions_that_are_elsewhere() -> None:
    door = door_of()
    bounds = door.node.bounds_or_none
    door.node.bounds_or_none = lambda topic, index: None if index == 1 else bounds(topic, index)
    assert get(f"{API}/topics/t", "", door).json()["offsets"] == [[0, 0], None, [0, 0]]
