"""Who the members of a group are as far as this node knows, and whether the nodes it talks to are those members."""

from collections.abc import Callable

from .configuration import Configuration, Peer
from .interfaces import NodeId

NOBODY = Configuration(voters=())


class Acquaintances:
    """`current` is the configuration in force; None: nobody has told yet. `is_outside`: this node is none of them.

    A *stranger* is a node whose link leads to another disk than that of the member of its id: whatever that member once
    promised, this one knows nothing of it. Its answers do not count, and it gets none but a leader's.
    """

    def __init__(self, me: Peer, peer_or_none: Callable[[NodeId], Peer | None]) -> None:
        self.current: Configuration | None = None
        self.has_others = False
        self.is_outside = False
        self.strangers: set[NodeId] = set()
        self._me = me
        self._peer_or_none = peer_or_none
        self._outside_since_ms: int | None = None

    @property
    def known(self) -> Configuration:
        return self.current or NOBODY

    def follow(self, configuration: Configuration | None) -> list[NodeId]:
        """Another configuration is in force; returns the nodes that are strangers no more."""
        self.current = configuration
        members = self.known.peers
        self.has_others = members != (self._me,)
        self.is_outside = configuration is not None and self._me not in members
        acquainted: list[NodeId] = []
        for node in sorted({member.node_id for member in members} | self.strangers):
            peer = self._peer_or_none(node)
            was_stranger = node in self.strangers
            if peer is not None and not self.is_stranger(peer) and was_stranger:
                acquainted.append(node)
        return acquainted

    def is_stranger(self, peer: Peer) -> bool:
        """Look at who is at the end of a link."""
        is_stranger = any(member.node_id == peer.node_id and member != peer for member in self.known.peers)
        if is_stranger:
            self.strangers.add(peer.node_id)
        else:
            self.strangers.discard(peer.node_id)
        return is_stranger

    def on_down(self, node: NodeId) -> None:
        self.strangers.discard(node)

    def is_left_alone(self, leader: NodeId | None, now_ms: int, for_ms: int) -> bool:
        """The last configuration we know of is without us, and for so long nobody has led us: nobody wants to."""
        if not self.is_outside or leader is not None:
            self._outside_since_ms = None
        elif self._outside_since_ms is None:
            self._outside_since_ms = now_ms
        return self._outside_since_ms is not None and now_ms - self._outside_since_ms >= for_ms
