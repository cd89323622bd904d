"""What one history is made of, drawn from its seed: a swarm, so that no two seeds stress the same things."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from hashlib import blake2b
from random import Random

FAULTS = (
    "kill",
    "power cut",
    "power cut inside a disk call",
    "kill all",
    "power cut of all",
    "stop",
    "pause",
    "isolate",
    "split",
    "one way",
    "bridge",
    "wild network",
    "slow network",
    "break client connections",
    "wall clock jump",
    "slow disk",
    "disk full",
    "failed sync",
    "bit flip",
    "wipe",
    "crowded election",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`faults`: how often each kind comes, relative to the others. `sick`: whose disk may rot, or be swapped.

    `joiners`: nodes that come later; `move_s`: how often somebody moves or grows a shard, on the mean (0: never);
    `recreate_s`: how long a topic lives until it is deleted and created again (0: none is).
    """

    nodes: int
    seconds: float
    producers: int
    inflight: int
    produce_s: float
    consumers: int
    committers: int
    partitions: int
    topics_created: int
    fault_s: float
    checkpoint_bytes: int
    segment_bytes: int
    append_bytes_max: int
    has_streams: bool = False
    faults: dict[str, float] = field(default_factory=dict[str, float])
    sick: tuple[int, ...] = ()
    joiners: int = 0
    move_s: float = 0.0
    replace_after_ms: int = 300_000
    balance_ms: int = 10_000
    recreate_s: float = 0.0

    @property
    def is_changing(self) -> bool:
        """Nodes found the cluster by themselves, join, come back on other disks, and shards move between them."""
        return self.joiners > 0 or self.move_s > 0


def draw(seed: int, **fixed: object) -> Options:
    """The options of a seed; `fixed` overrides what it draws (and changes nothing else of it).

    `is_changing=False`: the members stay as they are, and no topic is deleted.
    """
    random = Random(f"options {seed}")
    nodes = random.choice([1, 3, 3, 3, 3, 3, 5])
    nodes = fixed.get("nodes", nodes)
    assert isinstance(nodes, int)
    kinds = [kind for kind in FAULTS if random.random() < 0.45]
    faults = {kind: random.choice([0.3, 1.0, 1.0, 3.0]) for kind in kinds}
    # Came later: by a stream of its own, so that the seeds before it mean what they meant.
    if Random(f"old catalog {seed}").random() < 0.3:
        faults["old catalog"] = 1.0
    drawn: dict[str, object] = {
        "nodes": nodes,
        "seconds": random.uniform(2.0, 5.0),
        "producers": random.choice([1, 2, 3]),
        "inflight": random.choice([1, 2, 5]),
        "produce_s": random.choice([0.04, 0.1, 0.2]),
        "consumers": random.choice([1, 2]),
        "committers": random.choice([0, 2, 3]),
        "partitions": random.choice([1, 2, 3]),
        "topics_created": random.choice([0, 1, 3]),
        "fault_s": random.choice([0.2, 0.4, 0.8]),
        "checkpoint_bytes": random.choice([2 << 10, 8 << 10, 64 << 10]),
        "segment_bytes": random.choice([16 << 10, 64 << 10]),
        "append_bytes_max": random.choice([1 << 20, 1 << 20, 300]),
        "has_streams": random.random() < 0.25,
        "faults": faults,
        # One: a shard has three replicas, also on five nodes.
        "sick": (random.randrange(1, nodes + 1),) if nodes > 1 else (),
    }
    if fixed.pop("is_changing", True):
        drawn |= _changes(seed, fixed)
    return Options(**{**drawn, **fixed})  # pyright: ignore[reportArgumentType] - by name, from here and from callers


def _changes(seed: int, fixed: Mapping[str, object]) -> dict[str, object]:
    """Of members, and of topics that are deleted: a stream of its own, so that other seeds mean what they meant."""
    random = Random(f"changes {seed}")
    drawn: dict[str, object] = {}
    if random.random() < 0.35:
        nodes = fixed.get("nodes", random.choice([1, 3, 3, 3, 4, 5]))
        assert isinstance(nodes, int)
        drawn = {
            "nodes": nodes,
            "joiners": random.choice([1, 2]) if nodes < 3 else random.choice([0, 1, 1]) if nodes < 5 else 0,
            "move_s": random.choice([0.3, 1.0]),
            "replace_after_ms": random.choice([300_000, 300_000, 2_500]),
            "balance_ms": random.choice([10_000, 500]),
            "sick": (random.randrange(1, nodes + 1),) if nodes > 1 else (),
        }
    if random.random() < 0.35:
        drawn["recreate_s"] = random.choice([0.3, 1.0])
    return drawn


def options_digest() -> str:
    """Changes when the meaning of a seed may have changed."""
    names = [one.name for one in fields(Options)]
    sample = [asdict(draw(seed)) for seed in range(20)]
    return blake2b(repr((names, FAULTS, sample)).encode(), digest_size=6).hexdigest()
