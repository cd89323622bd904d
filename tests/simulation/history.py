"""What clients did and saw, with the virtual times of it: the input of `checkers`."""

from dataclasses import dataclass, field

Place = tuple[str, int]
"""(topic, partition)"""


@dataclass(slots=True)
class Sent:
    """One batch of an idempotent producer. `offset` None: not acknowledged (yet), or without an offset."""

    place: Place
    producer: str
    values: list[bytes]
    start_s: float
    end_s: float = float("inf")
    is_acked: bool = False
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer of a fetch: records as (offset, value); `epoch` is the leader epoch that answered."""

    place: Place
    node_id: int
    epoch: int
    start_s: float
    end_s: float
    asked_offset: int
    high_watermark: int
    records: tuple[tuple[int, bytes], ...]


@dataclass(slots=True)
class Operation:
    """On a register with unique values: a write (which may take effect even if it fails) or a read."""

    kind: str
    value: int
    start_s: float
    end_s: float = float("inf")
    is_known: bool = False


@dataclass(frozen=True, slots=True)
class Counted:
    """A linearizable query: how many events it found, of those sent and acknowledged when."""

    topic: str
    node_id: int
    start_s: float
    end_s: float
    count: int


@dataclass(slots=True)
class History:
    sent: list[Sent] = field(default_factory=list[Sent])
    seen: list[Seen] = field(default_factory=list[Seen])
    registers: dict[str, list[Operation]] = field(default_factory=dict[str, list[Operation]])
    counted: list[Counted] = field(default_factory=list[Counted])
    commits: dict[int, float] = field(default_factory=dict[int, float])
    created: dict[str, float] = field(default_factory=dict[str, float])
    final: dict[Place, list[tuple[int, bytes]]] = field(default_factory=dict[Place, list[tuple[int, bytes]]])
    views: dict[Place, list[tuple[int, bytes]]] = field(default_factory=dict[Place, list[tuple[int, bytes]]])
    epochs: dict[Place, dict[int, int]] = field(default_factory=dict[Place, dict[int, int]])
    replicas: list[tuple[int, Place, list[tuple[int, bytes]]]] = field(
        default_factory=list[tuple[int, Place, list[tuple[int, bytes]]]]
    )

    def register(self, name: str) -> list[Operation]:
        return self.registers.setdefault(name, [])
