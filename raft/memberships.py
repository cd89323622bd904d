"""Which configuration is in force, and which comes next. Source: Ongaro's thesis, chapter 4: one voter at a time.

A configuration is in force as soon as it is in the log, and no longer when it is cut off again. Two that follow each
other differ by one voter, so any majority of the one meets any of the other; learners may come and go together.
"""

from collections.abc import Collection, Sequence

from .configuration import Configuration, Peer
from .interfaces import Index, NodeId


class Memberships:
    """The last configuration of the log and those before it that a cut may bring back; None: nobody has told us."""

    def __init__(self, node_id: NodeId, *known: tuple[Index, Configuration | None], disk_id: str | None = None) -> None:
        """`disk_id`: who is named with another one is not this member, but its predecessor; None: any is ours."""
        self._node_id = node_id
        self._disk_id = disk_id
        self._known = list(known)
        self._note()

    def append(self, index: Index, configuration: Configuration) -> None:
        assert index > self.index, f"configuration {index} behind {self.index}"
        self._known.append((index, configuration))
        self._note()

    def cut(self, to_index: Index) -> bool:
        """Entries behind `to_index` are gone. True if the configuration in force is another now."""
        if self.index <= to_index:
            return False
        while len(self._known) > 1 and self._known[-1][0] > to_index:
            self._known.pop()
        self._note()
        return True

    def forget_before(self, committed: Index) -> None:
        """What is committed is never cut."""
        if len(self._known) > 1 and self._known[1][0] <= committed:
            while len(self._known) > 1 and self._known[1][0] <= committed:
                del self._known[0]
            self._note()

    def install(self, index: Index, configuration: Configuration) -> None:
        self._known = [(index, configuration)]
        self._note()

    def are_exactly(self, voters: Sequence[Peer], learners: Sequence[Peer]) -> bool:
        current = self.current
        return current is not None and set(current.voters) == set(voters) and set(current.learners) == set(learners)

    def _note(self) -> None:
        self.index, self.current = self._known[-1]
        current = self.current or Configuration(voters=())
        self.voters = tuple(peer.node_id for peer in current.voters)
        self.nodes = frozenset(peer.node_id for peer in current.peers)
        assert len(self.nodes) == len(current.peers), f"a node twice in {current}"
        self.quorum = len(self.voters) // 2 + 1
        self.is_voter = self._is_voter_of(current)
        self.is_alone = self.is_voter and len(self.voters) == 1
        # Until its removal is committed, it may be the only one whose log has that, and so the only one to be elected.
        self.may_stand = any(self._is_voter_of(configuration) for _, configuration in self._known)

    def _is_voter_of(self, configuration: Configuration | None) -> bool:
        return configuration is not None and any(
            peer.node_id == self._node_id and self._disk_id in {None, peer.disk_id} for peer in configuration.voters
        )


def next_step_or_none(
    current: Configuration, wanted: Configuration, caught_up: Collection[NodeId], leader: NodeId
) -> Configuration | None:
    """The configuration on the way from `current` to `wanted`; None: there, or learners must catch up first.

    New voters begin as learners; a node on another disk first leaves; a leader that is not wanted leaves last.
    """
    wanted_nodes = {peer.node_id for peer in wanted.peers}
    current_nodes = {peer.node_id for peer in current.peers}
    leaving = [peer for peer in current.learners if peer not in wanted.peers]
    joining = [peer for peer in wanted.peers if peer not in current.peers and peer.node_id not in current_nodes]
    if leaving or joining:
        kept = tuple(peer for peer in current.learners if peer not in leaving)
        return Configuration(voters=current.voters, learners=kept + tuple(joining))
    replaced = [peer for peer in current.voters if peer not in wanted.peers and peer.node_id in wanted_nodes]
    if replaced and len(current.voters) > 1:
        return _without(current, replaced[0], wanted)
    promoted = [peer for peer in current.learners if peer in wanted.voters]
    for peer in promoted:
        if peer.node_id in caught_up:
            learners = tuple(other for other in current.learners if other != peer)
            return Configuration(voters=(*current.voters, peer), learners=learners)
    unwanted = [peer for peer in current.voters if peer not in wanted.voters]
    if promoted or not unwanted:
        return None
    return _without(current, min(unwanted, key=lambda peer: peer.node_id == leader), wanted)


def _without(current: Configuration, voter: Peer, wanted: Configuration) -> Configuration:
    learners = (*current.learners, voter) if voter in wanted.learners else current.learners
    return Configuration(voters=tuple(peer for peer in current.voters if peer != voter), learners=learners)
