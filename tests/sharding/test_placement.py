"""Replicas in rotation, hosts apart; partitions spread, and those of a stream together."""

from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raft.configuration import Peer
from raft.interfaces import NodeId
from sharding.catalog import Catalog, ShardRecord, TopicRecord
from sharding.placement import (
    Member,
    apart,
    missing_replicas,
    replacement_or_none,
    replica_lists,
    replicas_towards,
    shards_for,
    stream_companions,
)


def members(*hosts: str) -> dict[int, Member]:
    return {number: Member(Peer(NodeId(number), f"d{number}"), host) for number, host in enumerate(hosts, 1)}


def made(catalog: Catalog, nodes: dict[int, Member], factor: int, per_node: int) -> Catalog:
    for replicas in missing_replicas(catalog, nodes, factor, per_node):
        catalog.add_shard(ShardRecord(max(catalog.shards, default=0) + 1, factor, tuple(replicas)))
    return catalog


@given(count=st.integers(1, 9), factor=st.integers(1, 5), per_node=st.integers(1, 4))
def test_every_node_holds_and_leads_equally_many(count: int, factor: int, per_node: int) -> None:
    factor = min(factor, count)
    lists = replica_lists(members(*(f"h{number}" for number in range(count))), factor, per_node)
    assert len(lists) == count * per_node
    assert all(len({*one}) == factor for one in lists)
    assert {*Counter(one[0] for one in lists).values()} == {per_node}
    assert {*Counter(node for one in lists for node in one).values()} == {per_node * factor}


@given(sizes=st.lists(st.integers(1, 3), min_size=1, max_size=5), factor=st.integers(1, 4))
def test_a_host_holds_two_replicas_only_when_there_are_too_few_hosts(sizes: list[int], factor: int) -> None:
    nodes = members(*(f"h{host}" for host, size in enumerate(sizes) for _ in range(size)))
    factor = min(factor, len(nodes))
    for one in replica_lists(nodes, factor, 2):
        assert len({nodes[node].host for node in one}) == min(factor, len(sizes))


@given(first=st.integers(1, 6), more=st.integers(0, 4), factor=st.integers(1, 3), per_node=st.integers(1, 3))
def test_a_class_is_completed_once_and_grows_with_the_nodes(first: int, more: int, factor: int, per_node: int) -> None:
    factor = min(factor, first)
    few = members(*(f"h{number}" for number in range(first)))
    many = members(*(f"h{number}" for number in range(first + more)))
    catalog = made(Catalog(), few, factor, per_node)
    assert not missing_replicas(catalog, few, factor, per_node)
    made(catalog, many, factor, per_node)
    assert len(catalog.shards) == (first + more) * per_node
    assert not missing_replicas(catalog, many, factor, per_node)
    assert not missing_replicas(catalog, few, factor, per_node), "nodes that go take no shards away"


def test_a_stream_lies_on_one_replica_set_and_the_next_on_another() -> None:
    nodes = members("a", "b", "c", "d", "e")
    catalog = made(Catalog(), nodes, 3, 2)
    sets: list[frozenset[int]] = []
    for number in range(5):
        shards = shards_for(catalog, 3, 4, is_together=True)
        replicas = [catalog.shards[one].replicas for one in shards]
        assert len({frozenset(one) for one in replicas}) == 1
        assert len({one[0] for one in replicas}) == 2, "it has several leaders"
        sets.append(frozenset(replicas[0]))
        catalog.add_topic(TopicRecord(bytes([number]) * 16, f"t{number}", 3, {}, 5, shards))
    assert len({*sets}) == 5


def test_partitions_go_where_a_majority_lives_if_there_is_such_a_place() -> None:
    catalog = made(Catalog(), members("a", "b", "c"), 1, 2)
    for live in ({1, 2}, {3}):
        shards = shards_for(catalog, 1, 8, live=live)
        assert {catalog.shards[one].replicas[0] for one in shards} == live
    assert len({*shards_for(catalog, 1, 6, live=set())}) == 6


@pytest.mark.parametrize(
    ("replicas", "hosts", "loads", "expected"),
    [
        ((1, 2, 3), "aabbc", {}, 5),  # the one host that holds none
        ((1, 2, 3), "abcde", {4: 3, 5: 1}, 5),
        ((1, 2, 3), "abcaa", {}, 4),  # the dead node's own host is free again
        ((1, 2, 3), "abc", {}, None),
    ],
)
def test_a_replacement_keeps_hosts_apart_and_loads_equal(
    replicas: tuple[int, ...], hosts: str, loads: dict[int, int], expected: int | None
) -> None:
    assert replacement_or_none(replicas, 1, members(*hosts), loads, {}) == expected
    assert replacement_or_none(replicas, 1, members(*hosts), loads, {replicas[-1]: 9}) == expected, "it is in already"
    others = [one for one in members(*hosts) if one not in replicas]
    for neighbour in others:
        assert replacement_or_none(replicas, 1, members(*hosts), loads, {neighbour: 1}) == neighbour


def test_companions_are_all_shards_that_hold_a_stream_together_over_any_number_of_streams() -> None:
    catalog = made(Catalog(), members("a", "b", "c", "d"), 3, 2)
    streams = {"view.enabled": "true"}
    for number, (configs, shards) in enumerate(
        [(streams, (1, 2)), (streams, (2, 5)), (streams, (3,)), ({"view.enabled": "false"}, (3, 4))]
    ):
        catalog.add_topic(TopicRecord(b"%d" % number * 16, f"t{number}", 3, configs, 0, shards))
    assert stream_companions(catalog, 5) == stream_companions(catalog, 1) == [1, 2, 5]
    assert stream_companions(catalog, 3) == [3]


@given(present=st.permutations(range(1, 6)), wanted=st.permutations(range(1, 6)), count=st.integers(1, 5))
def test_who_stays_keeps_its_place_and_who_joins_takes_one_that_is_left(
    present: list[int], wanted: list[int], count: int
) -> None:
    present, wanted = present[:count], wanted[:count]
    towards = replicas_towards(present, wanted)
    assert {*towards} == {*wanted}
    assert len(towards) == count
    assert all(after == before for before, after in zip(present, towards, strict=True) if before in wanted)


@given(data=st.data(), factor=st.integers(1, 5))
def test_the_shards_of_a_stream_come_together_a_minority_at_a_time_and_others_stay(
    data: st.DataObject, factor: int
) -> None:
    catalog = Catalog()
    sets = st.permutations(range(1, 8)).map(lambda nodes: tuple(nodes[:factor]))
    for shard_id in range(1, 6):
        catalog.add_shard(ShardRecord(shard_id, factor, data.draw(sets), version=data.draw(st.integers(0, 3))))
    catalog.add_topic(TopicRecord(b"s" * 16, "s", factor, {"view.enabled": "true"}, 0, (1, 2, 4)))
    live = data.draw(st.sets(st.integers(1, 7), min_size=5))
    before = dict(catalog.shards)
    found = {frozenset(catalog.shards[one].replicas) for one in (1, 2, 4)}
    for _ in range(3 * factor + 1):
        due = apart(catalog, live)
        for shard_id, replicas in due.items():
            record = catalog.shards[shard_id]
            joining = {*replicas} - {*record.replicas}
            assert len(replicas) == len({*replicas}) == factor
            assert 1 <= len(joining) <= max(1, (factor - 1) // 2)
            assert joining <= live
            catalog.shards[shard_id] = msgspec.structs.replace(record, replicas=replicas, version=record.version + 1)
        if not due:
            break
    together = {frozenset(catalog.shards[one].replicas) for one in (1, 2, 4)}
    if len(found) > 1 and not any(one <= live for one in found):
        assert catalog.shards == before, "nobody is drawn to where a node is missing"
    else:
        assert len(together) == 1
        assert next(iter(together)) <= frozenset().union(*found), "no other node is drawn in"
    assert all(catalog.shards[one] == before[one] for one in (3, 5))


def test_most_shards_draw_the_others_and_of_as_many_the_newest() -> None:
    catalog = Catalog()
    for shard_id, replicas, version in ((1, (1, 2, 4), 1), (2, (2, 4, 1), 1), (3, (3, 1, 2), 0)):
        catalog.add_shard(ShardRecord(shard_id, 3, replicas, version=version))
    for name, shards in (("s", (1, 2)), ("t", (2, 3))):
        catalog.add_topic(TopicRecord(name.encode() * 16, name, 3, {"view.enabled": "true"}, 0, shards))
    assert apart(catalog, {1, 2, 3, 4}) == {3: (4, 1, 2)}
    assert apart(catalog, {1, 2, 3}) == {1: (1, 2, 3), 2: (2, 3, 1)}, "node 4 is not there"
    catalog.remove_topic(b"s" * 16)
    assert apart(catalog, {1, 2, 3, 4}) == {3: (4, 1, 2)}
    catalog.remove_topic(b"t" * 16)
    assert apart(catalog, {1, 2, 3, 4}) == {}, "no stream holds them together"
