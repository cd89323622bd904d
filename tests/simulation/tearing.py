"""Whose tails the power cuts of all nodes tear: per cut and group, on how many of its members."""

from collections import Counter
from collections.abc import Mapping, Sequence

from .world import World

CUTS = "power cuts of all that tore tails"


class CutsOfAll:
    """A note of doubt counts for a cut if it is made by the node's first start after it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._untouched: set[int] = set()
        self._member_counts: Counter[str] = Counter()
        self._torn: dict[str, set[int]] = {}

    def begin(self, directories: Mapping[int, Sequence[str]]) -> None:
        """All nodes are down, with these directories on their disks."""
        self.settle()
        self._untouched = {*directories}
        self._member_counts = Counter(one for found in directories.values() for one in found)

    def on_crash(self, node_id: int) -> None:
        """What it finds from now on is another fault's."""
        self._untouched.discard(node_id)

    def on_doubt(self, node_id: int, directory: str) -> None:
        if node_id in self._untouched:
            self._torn.setdefault(directory, set()).add(node_id)

    def settle(self) -> None:
        """Count what the last cut did."""
        if self._torn:
            self._world.counts[CUTS] += 1
        for directory, torn in sorted(self._torn.items()):
            self._world.counts[f"groups torn on {len(torn)} of {self._member_counts[directory]}"] += 1
        self._torn = {}
