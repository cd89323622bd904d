"""Why the catalog does not stand on `SyncObj` as it is: acknowledged writes get lost, and writes that are lost succeed.

pysyncobj 0.3.17, default settings where nothing else is said, links that only break, no crash, no fault of a disk.
"""

import logging
import pickle
import random
from collections.abc import Iterator

import pytest

from .stock import StockCluster


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_stock_pysyncobj_loses_acknowledged_writes() -> None:
    """For a repeated message a follower cuts off entries that it has acknowledged; its word still counts."""
    with StockCluster(seed=1).running() as cluster:
        links = cluster.links
        leader = cluster.elect("ABC")
        follower, away = "ABC".replace(leader, "")
        links.cut(leader, away)
        links.cut(follower, away)
        for number in range(9):
            cluster.put(leader, number, bytes(30_000))
        cluster.tick(leader)  # into its log
        cluster.tick(leader, 0.2)  # three batches under way
        assert len(links.queues[leader, follower]) == 3
        links.deliver(leader, follower)
        links.deliver(follower, leader)  # the first batch is acknowledged: the leader sends from there once more
        cluster.tick(leader, 0.2)
        assert len(links.queues[leader, follower]) >= 4
        links.deliver(leader, follower, 2)
        links.deliver(leader, follower)  # the second batch again: the third is cut off behind it
        links.deliver(follower, leader, 2)  # "I have the second", "I have the third"
        links.cut(leader, follower)
        cluster.tick(leader, 0.01)
        assert cluster.confirmed == list(range(9))

        links.join(follower, away)
        successor = cluster.elect(follower + away)
        found = set(cluster.members[successor].applied.values())
        assert set(cluster.confirmed) - found == {6, 7, 8}, "the majority knows nothing of three acknowledged writes"

        cluster.put(successor, 100, b"")
        cluster.settle(follower + away, 0.5)
        one, other = cluster.members[leader].applied, cluster.members[successor].applied
        different = [index for index in one.keys() & other.keys() if one[index] != other[index]]
        assert different, "two members applied different commands at one index: State Machine Safety"


def test_stock_pysyncobj_confirms_writes_that_are_in_nobodys_log() -> None:
    """A snapshot's first piece carries a commit index, which the receiver takes as said of its own stale entries."""
    with StockCluster(seed=2).running() as cluster:
        links = cluster.links
        leader = cluster.elect("ABC")
        others = "ABC".replace(leader, "")
        for other in others:
            links.cut(leader, other)
        for number in range(3):
            cluster.put(leader, number, b"stale")
        cluster.tick(leader, 0.05)
        successor = cluster.elect(others)
        rng = random.Random(2)
        for number in range(10, 30):
            cluster.put(successor, number, rng.randbytes(10_000))  # so that a snapshot takes several pieces
        cluster.settle(others, 0.5)
        cluster.members[successor].forceLogCompaction()
        cluster.settle(others, 0.5)
        assert cluster.confirmed == list(range(10, 30))

        links.join(leader, successor)
        cluster.tick(successor, 0.2)
        first = links.waiting(successor, leader)[0]
        assert first["serialized"] is not None, "a piece of the snapshot"
        assert not first["serialized"][2], "and not the last one"
        links.deliver(successor, leader)
        cluster.tick(leader, 0.01)
        assert {0, 1, 2} <= set(cluster.confirmed), "the old leader said SUCCESS"
        cluster.settle("ABC", 2.0)
        for name in others:
            assert not {0, 1, 2} & set(cluster.members[name].applied.values()), "and nobody else has ever heard of them"


def test_stock_pysyncobj_cannot_replicate_a_larger_command() -> None:
    """An entry above the batch size travels in pieces, of which the receiver unpickles too few."""
    with StockCluster(seed=3).running() as cluster:
        leader = cluster.elect("ABC")
        cluster.put(leader, 1, random.Random(3).randbytes(200_000))
        with pytest.raises((UnicodeDecodeError, EOFError, pickle.UnpicklingError)):
            cluster.settle("ABC", 0.5)
        assert cluster.confirmed == []


def violations(seeds: range, steps: int = 1_200) -> list[int]:
    """Seeds with which two members apply different commands at one index: cuts of links, small batches, no more."""
    return [seed for seed in seeds if _violates(seed, steps)]


def _violates(seed: int, steps: int) -> bool:
    rng = random.Random(seed)
    chosen: dict[int, int] = {}
    conf: dict[str, object] = {"appendEntriesBatchSizeBytes": 600}
    with StockCluster(seed, conf).running() as cluster:
        violated: list[int] = []

        def applied(index: int, number: int) -> None:
            if chosen.setdefault(index, number) != number:
                violated.append(index)

        for member in cluster.members.values():
            member.on_applied = applied
        for number in range(steps):
            cluster.tick(rng.choice("ABC"), 0.02)
            for sender, receiver in sorted(cluster.links.queues):
                if cluster.links.queues[sender, receiver] and rng.random() < 0.5:
                    cluster.links.deliver(sender, receiver)
            if rng.random() < 0.01:
                pair = rng.choice(["AB", "AC", "BC"])
                (cluster.links.cut if cluster.links.is_up(*pair) else cluster.links.join)(*pair)
            if rng.random() < 0.5:
                cluster.put(rng.choice("ABC"), number, bytes(200))
            if violated:
                return True
    return False


def test_stock_pysyncobj_breaks_in_many_random_runs() -> None:
    assert violations(range(8))
