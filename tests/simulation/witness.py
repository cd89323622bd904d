"""What an all-seeing observer checks while a history runs: rules of Raft, and one of the catalog, that no client sees.

- State Machine Safety: no two nodes ever apply different entries at one index of a group.
- Leader Safety: at most one leader in a term of a group.
- Log Matching: two logs that agree in the term of an entry agree in everything before it.
- What a member has applied is in the log of each later leader (Leader Completeness), by the first of these.
- A partition is dropped only after its topic was deleted.
"""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

from raft.interfaces import Buffer, GroupId, Index, Role, RoleChange, Term
from sharding.catalog_commands import DeleteTopic
from sharding.commands.command import COMMAND_HEAD
from sharding.commands.splits import Drop

from .world import World

if TYPE_CHECKING:
    from .process import Life, NodeProcess


class Witness:
    def __init__(self, world: World) -> None:
        self.world = world
        self.applied: dict[int, dict[int, tuple[int, bytes]]] = {}
        self.leaders: dict[tuple[int, int], int] = {}
        self.apply_count = 0
        self.checked_logs = 0
        self._deleted: set[bytes] = set()

    def on_apply(self, node_id: int, group_id: GroupId, term: Term, index: Index, body: Sequence[Buffer]) -> None:
        self.apply_count += 1
        joined = b"".join(body)
        digest = blake2b(joined, digest_size=8).digest()
        of_group = self.applied.setdefault(group_id, {})
        if index not in of_group:
            self._look_at_drops(node_id, group_id, joined)
        known = of_group.setdefault(index, (term, digest))
        if known != (term, digest):
            self.world.problem(
                f"state machine safety: node {node_id} applies term {term} {digest.hex()} as entry {index} of group "
                f"{group_id}, another node applied term {known[0]} {known[1].hex()}"
            )

    def _look_at_drops(self, node_id: int, group_id: GroupId, body: bytes) -> None:
        if group_id == 0:
            self._deleted |= {
                DeleteTopic.decode(version, part).topic_id for version, part in _of(DeleteTopic.TYPE, body)
            }
            return
        for version, part in _of(Drop.TYPE, body):
            dropped = Drop.decode(version, part)
            if dropped.topic_id not in self._deleted:
                self.world.problem(
                    f"partition {dropped.partition} of topic {dropped.topic_id.hex()} is dropped from group {group_id} "
                    f"(node {node_id} first), and nobody deleted the topic"
                )

    def on_role(self, node_id: int, group_id: GroupId, change: RoleChange) -> None:
        self.world.trace("role", node_id, group_id, change.role.value, change.term, change.leader)
        if change.role is Role.LEADER:
            self.world.counts["leaders"] += 1
            known = self.leaders.setdefault((group_id, change.term), node_id)
            if known != node_id:
                self.world.problem(
                    f"two leaders of group {group_id} in term {change.term}: nodes {known} and {node_id}"
                )

    def on_crash(self, node_id: int, life: "Life") -> None:
        """Nothing more is heard of it; what it applied stays known."""

    def compare_logs(self, processes: "Sequence[NodeProcess]") -> None:
        """Log Matching, over all pairs of members that are open now."""
        from .process import group_or_none

        for group_id in sorted({0, *self.applied}):
            logs: list[tuple[int, list[int], int]] = []
            for process in processes:
                group = group_or_none(process, group_id)
                if group is not None and not group.is_stopped:
                    log = group._log
                    first, last = log.first_index, log.last_index
                    logs.append((process.node_id, [log.term(Index(i)) for i in range(first, last + 1)], first))
            for at, (one_id, one, one_first) in enumerate(logs):
                for other_id, other, other_first in logs[at + 1 :]:
                    self._compare(group_id, (one_id, one, one_first), (other_id, other, other_first))

    def _compare(self, group_id: int, one: tuple[int, list[int], int], other: tuple[int, list[int], int]) -> None:
        self.checked_logs += 1
        first = max(one[2], other[2])
        end = min(one[2] + len(one[1]), other[2] + len(other[1]))
        pairs = [(one[1][i - one[2]], other[1][i - other[2]]) for i in range(first, end)]
        agreed = max((i for i, (a, b) in enumerate(pairs) if a == b), default=-1)
        for i, (a, b) in enumerate(pairs[:agreed]):
            if a != b:
                self.world.problem(
                    f"log matching: nodes {one[0]} and {other[0]} agree at entry {first + agreed} of group {group_id} "
                    f"and have terms {a} and {b} at {first + i}"
                )


def _of(kind: int, body: bytes) -> Iterator[tuple[int, memoryview]]:
    """Version and content of an entry's commands of one kind."""
    position = 0
    while position < len(body):
        found, version, length = COMMAND_HEAD.unpack_from(body, position)
        position += COMMAND_HEAD.size
        if found == kind:
            yield version, memoryview(body)[position : position + length]
        position += length
