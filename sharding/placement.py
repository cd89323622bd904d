"""Where new things go: the replicas of shards, the shards of partitions and of coordinator slots. Pure.

A class of shards (one replication factor) has `per_node` shards for each node. Its replica sets are the nodes in
rotation; each set occurs `per_node` times with another of its nodes in front, which is the preferred leader. So every
node leads and holds equally many, and the partitions of a stream, which share one replica set, still have several
shards and several leaders.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import zip_longest
from operator import attrgetter
from typing import NamedTuple

from raft.configuration import Peer

from .catalog import SLOTS, Catalog, TopicRecord
from .topic_configs import is_view_enabled


class Member(NamedTuple):
    """A node that may hold replicas; `host` is the label that replicas avoid to share."""

    peer: Peer
    host: str


Members = Mapping[int, Member]


def missing_replicas(catalog: Catalog, members: Members, replication_factor: int, per_node: int) -> list[list[int]]:
    """The replicas of each shard that the class still lacks, preferred leader first."""
    wanted = replica_lists(members, replication_factor, per_node)
    for shard in catalog.shards_of_class(replication_factor):
        present = list(shard.replicas)
        # One that is not of this rotation (a node was replaced) stands for the first that is left.
        if wanted:
            wanted.remove(present if present in wanted else wanted[0])
    return wanted


def replica_lists(members: Members, replication_factor: int, per_node: int) -> list[list[int]]:
    """The whole class: `per_node` shards a node, first each set once, then each again with another node in front."""
    assert 1 <= replication_factor <= len(members), f"{replication_factor} replicas on {len(members)} nodes"
    nodes = _hosts_apart(members)
    sets = [_set_from(nodes, start, members, replication_factor) for start in range(len(nodes))]
    turns = [turn % replication_factor for turn in range(per_node)]
    return [one[turn:] + one[:turn] for turn in turns for one in sets]


def _hosts_apart(members: Members) -> list[int]:
    """The nodes in a ring in which neighbours are on different hosts as far as that can be."""
    by_host: dict[str, list[int]] = {}
    for node_id, member in sorted(members.items()):
        by_host.setdefault(member.host, []).append(node_id)
    rows = zip_longest(*sorted(by_host.values(), key=lambda one: (-len(one), one)))
    return [node_id for row in rows for node_id in row if node_id is not None]


def _set_from(nodes: Sequence[int], start: int, members: Members, count: int) -> list[int]:
    """`count` nodes of the ring from `start` on; a host comes twice only when no other is left."""
    ring = [nodes[(start + step) % len(nodes)] for step in range(len(nodes))]
    chosen: list[int] = []
    while len(chosen) < count:
        hosts = Counter(members[one].host for one in chosen)
        chosen.append(min((one for one in ring if one not in chosen), key=lambda one: hosts[members[one].host]))
    return chosen


def replacement_or_none(
    replicas: Sequence[int],
    dead: int,
    members: Members,
    loads: Mapping[int, int],
    neighbours: Mapping[int, int],
) -> int | None:
    """The node that takes the place of a dead one: another host before the same, then the least loaded.

    Before that, one of the `neighbours` (`stream_neighbours`): whoever answers for a stream has all its partitions.
    """
    left = [one for one in replicas if one != dead]
    hosts = Counter(members[one].host for one in left if one in members)
    candidates = [one for one in members if one not in replicas]

    def rank(one: int) -> tuple[int, int, int, int]:
        return -neighbours.get(one, 0), hosts[members[one].host], loads.get(one, 0), one

    return min(candidates, key=rank, default=None)


def stream_neighbours(catalog: Catalog, shard_id: int) -> Counter[int]:
    """The nodes wanted by the other shards of the streams on this shard, by how many of these want them."""
    neighbours: set[int] = set()
    for topic in catalog.topics.values():
        if shard_id in topic.shards and _is_stream(topic):
            neighbours.update(topic.shards)
    neighbours.discard(shard_id)
    return Counter(one for shard in neighbours if shard in catalog.shards for one in catalog.shards[shard].replicas)


def stream_companions(catalog: Catalog, shard_id: int) -> list[int]:
    """The shard and all that hold a part of a stream with it, with these, and so on: they have the same replicas."""
    streams = [topic.shards for topic in catalog.topics.values() if _is_stream(topic)]
    found, due = {shard_id}, [shard_id]
    while due:
        one = due.pop()
        more = {other for shards in streams if one in shards for other in shards} - found
        found |= more
        due += more
    return sorted(found)


def replicas_towards(present: Sequence[int], wanted: Sequence[int]) -> list[int]:
    """The wanted nodes, each new one in the place of one that leaves: who is preferred stays so if it stays."""
    joining = [one for one in wanted if one not in present]
    placed = [one if one in wanted or not joining else joining.pop(0) for one in present]
    return [one for one in placed if one in wanted] + joining


def apart(catalog: Catalog, live: Collection[int]) -> dict[int, tuple[int, ...]]:
    """Shards that hold a stream with others and have other replicas than most of these -> the ones to want next.

    So it is when a move of several broke off, or a topic was created meanwhile. Where most are (of equally many, the
    set of the highest version) go the others, by a minority of their replicas at a time. A set with a node that is not
    live draws nobody.
    """
    found: dict[int, tuple[int, ...]] = {}
    seen: set[int] = set()
    for shard_id in catalog.shards:
        if shard_id in seen:
            continue
        companions = [catalog.shards[one] for one in stream_companions(catalog, shard_id) if one in catalog.shards]
        seen.update(one.shard_id for one in companions)
        counts = Counter(frozenset(one.replicas) for one in companions)
        if len(counts) < 2 or len({len(one) for one in counts}) > 1:
            continue
        versions = {frozenset(one.replicas): one.version for one in sorted(companions, key=attrgetter("version"))}
        usable = [one for one in counts if all(node in live for node in one)]
        target = max(usable, key=lambda one: (counts[one], versions[one], sorted(one)), default=None)
        if target is None:
            continue
        most = max(1, (len(target) - 1) // 2)
        for companion in companions:
            if joining := sorted(target.difference(companion.replicas))[:most]:
                leaving = [one for one in companion.replicas if one not in target][: len(joining)]
                kept = {*companion.replicas}.difference(leaving)
                found[companion.shard_id] = tuple(replicas_towards(companion.replicas, [*sorted(kept), *joining]))
    return found


def _is_stream(topic: TopicRecord) -> bool:
    return "schema" in topic.configs or is_view_enabled(topic.configs)


def replica_loads(catalog: Catalog) -> Counter[int]:
    """Shards wanted on each node."""
    loads: Counter[int] = Counter()
    for shard in catalog.shards.values():
        loads.update(shard.replicas)
    return loads


def shard_loads(catalog: Catalog) -> Counter[int]:
    """Partitions wanted on each shard."""
    loads: Counter[int] = Counter()
    for topic in catalog.topics.values():
        loads.update(topic.shards)
    return loads


def shards_for(
    catalog: Catalog,
    replication_factor: int,
    partition_count: int,
    *,
    live: Collection[int] | None = None,
    is_together: bool = False,
) -> tuple[int, ...]:
    """One shard per partition, each on the least loaded of its class by then; equal ones in order of id.

    Shards without a majority of live nodes are passed over as long as there are others (`live` None: all are).

    `is_together`: all on shards with the same replicas, those that hold least by then. A stream must be so: whoever
    answers by event time needs all its partitions.
    """
    shards = catalog.shards_of_class(replication_factor)
    assert shards, f"no shards of replication factor {replication_factor}"
    if live is not None:
        shards = [one for one in shards if 2 * sum(r in live for r in one.replicas) > len(one.replicas)] or shards
    loads = shard_loads(catalog)
    if is_together:
        by_set: dict[frozenset[int], list[int]] = {}
        for shard in shards:
            by_set.setdefault(frozenset(shard.replicas), []).append(shard.shard_id)
        shard_ids = min(by_set.values(), key=lambda ids: (sum(loads[one] for one in ids) / len(ids), ids))
    else:
        shard_ids = [shard.shard_id for shard in shards]
    chosen: list[int] = []
    for _ in range(partition_count):
        shard_id = min(shard_ids, key=lambda one: (loads[one], one))
        loads[shard_id] += 1
        chosen.append(shard_id)
    return tuple(chosen)


def slots_over(shard_ids: Sequence[int]) -> list[int]:
    """The shard of each slot, in turns."""
    return [shard_ids[slot % len(shard_ids)] for slot in range(SLOTS)]
