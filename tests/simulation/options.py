"""What one history is made of, drawn from its seed: a swarm, so that no two seeds stress the same things."""

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
    """`faults`: how often each kind comes, relative to the others. `sick`: whose disk may rot, or be swapped."""

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


def draw(seed: int, **fixed: object) -> Options:
    """The options of a seed; `fixed` overrides what it draws (and changes nothing else of it)."""
    random = Random(f"options {seed}")
    nodes = random.choice([1, 3, 3, 3, 3, 3, 5])
    nodes = fixed.get("nodes", nodes)
    assert isinstance(nodes, int)
    kinds = [kind for kind in FAULTS if random.random() < 0.45]
    faults = {kind: random.choice([0.3, 1.0, 1.0, 3.0]) for kind in kinds}
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
    return Options(**{**drawn, **fixed})  # pyright: ignore[reportArgumentType] - by name, from here and from callers


def options_digest() -> str:
    """Changes when the meaning of a seed may have changed."""
    names = [one.name for one in fields(Options)]
    sample = [asdict(draw(seed)) for seed in range(20)]
    return blake2b(repr((names, FAULTS, sample)).encode(), digest_size=6).hexdigest()
