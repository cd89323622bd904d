"""Where new things go: the shards of partitions and of coordinator slots. Pure functions of the catalog."""

from collections import Counter

from .catalog import SLOTS, Catalog


def shard_loads(catalog: Catalog) -> Counter[int]:
    """Partitions wanted on each shard."""
    loads: Counter[int] = Counter()
    for topic in catalog.topics.values():
        loads.update(topic.shards)
    return loads


def shards_for(catalog: Catalog, replication_factor: int, partition_count: int) -> tuple[int, ...]:
    """One shard per partition, each on the least loaded of its class by then; equal ones in order of id."""
    shard_ids = [shard.shard_id for shard in catalog.shards_of_class(replication_factor)]
    assert shard_ids, f"no shards of replication factor {replication_factor}"
    loads = shard_loads(catalog)
    chosen: list[int] = []
    for _ in range(partition_count):
        shard_id = min(shard_ids, key=lambda one: (loads[one], one))
        loads[shard_id] += 1
        chosen.append(shard_id)
    return tuple(chosen)


def slots_over(shard_ids: list[int]) -> list[int]:
    """The shard of each slot, in turns."""
    return [shard_ids[slot % len(shard_ids)] for slot in range(SLOTS)]
