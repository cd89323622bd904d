"""How the nodes of one `--members` list become one cluster. Pure: what I am and what I heard in, what to do next out.

1. Every node draws its disk id, durably, and hears the others' from each of them.
2. Once it has heard all of them, it *promises*, durably and for ever, to found a cluster of exactly these peers.
3. Once it has heard that promise from all of them, the cluster is founded: its id follows from the peers.

A disk promises once. So two clusters founded out of one list have no disk in common, and whoever is wiped on the way is
none of the founders: it is refused, and may join. A wipe between the first promise and the last one leaves promises
that nobody can keep: the nodes say so and end (nothing is founded then, and all of them may be emptied).

Answers may be late, lost or repeated: each says what was durable when it was given, and promises stay true.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from .configuration import Peer
from .interfaces import NodeId

STANDING_VERSION = 1


class Standing(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What a node says of itself. `founders`: as in node.json; `members`: the ids of its `--members`, sorted."""

    version: int = STANDING_VERSION
    node_id: NodeId
    disk_id: str
    cluster_id: str
    founders: tuple[Peer, ...]
    members: tuple[NodeId, ...]

    @property
    def peer(self) -> Peer:
        return Peer(self.node_id, self.disk_id)


@dataclass(frozen=True, slots=True)
class Wait:
    reason: str


@dataclass(frozen=True, slots=True)
class Promise:
    founders: tuple[Peer, ...]


@dataclass(frozen=True, slots=True)
class Belong:
    """Note the cluster (found it, adopt it, or go on with it): this disk is one of its founders."""

    cluster_id: str
    founders: tuple[Peer, ...]


@dataclass(frozen=True, slots=True)
class Refuse:
    """No waiting helps; `reason` is for the operator."""

    reason: str


Step = Wait | Promise | Belong | Refuse


def next_step(own: Standing, heard: Mapping[NodeId, Standing]) -> Step:
    """What a node with a members list does next. `own` is durable; `heard`: the last answer from each member."""
    refusal = _refusal_or_none(own, heard)
    if refusal is not None:
        return Refuse(refusal)
    if own.cluster_id:
        return Belong(own.cluster_id, own.founders)
    for other in heard.values():
        if other.cluster_id:
            return Belong(other.cluster_id, other.founders)
    missing = [node for node in own.members if node != own.node_id and node not in heard]
    if missing:
        return Wait(f"not reached yet: {_nodes(missing)}")
    founders = tuple(sorted([own.peer, *(other.peer for other in heard.values())], key=lambda peer: peer.node_id))
    if not own.founders:
        for other in heard.values():
            if other.founders not in {(), founders}:
                return Refuse(_emptied(founders, other.founders))
        return Promise(founders)
    assert founders == own.founders, f"heard {founders}, promised {own.founders}"
    waiting = [node for node, other in sorted(heard.items()) if not other.founders]
    if waiting:
        return Wait(f"no promise heard yet of {_nodes(waiting)}")
    return Belong(cluster_id_of(founders), founders)


def cluster_id_of(founders: Sequence[Peer]) -> str:
    """22 characters, the same on every founder."""
    told = msgspec.msgpack.encode(sorted((peer.node_id, peer.disk_id) for peer in founders))
    return base64.urlsafe_b64encode(hashlib.sha256(told).digest()[:16]).decode().rstrip("=")


def _refusal_or_none(own: Standing, heard: Mapping[NodeId, Standing]) -> str | None:
    """Everything that waiting cannot heal; afterwards all promises, and the disks heard of, agree."""
    members = list(own.members)
    if own.node_id not in members:
        return f"this is node {own.node_id}, and the members are {_nodes(members)}"
    promised = [peer.node_id for peer in own.founders]
    if own.cluster_id and own.founders == (own.peer,) and members != promised:
        return f"the directory is a cluster of its own ({own.cluster_id}), of this node alone: it cannot found another"
    if own.cluster_id and promised != members:
        founded = f"founded by {_nodes(promised)}" if promised else "which it joined"
        return f"the directory belongs to cluster {own.cluster_id}, {founded}; the members given are {_nodes(members)}"
    if promised and promised != members:
        return f"the directory began to found a cluster of {_nodes(promised)}; the members given are {_nodes(members)}"
    if own.cluster_id:
        return None
    for node, other in sorted(heard.items()):
        refusal = _refusal_of_other_or_none(own, node, other)
        if refusal is not None:
            return refusal
    return None


def _refusal_of_other_or_none(own: Standing, node: NodeId, other: Standing) -> str | None:
    if other.node_id != node:
        return f"node {other.node_id} listens at the address of node {node}"
    if other.cluster_id and own.peer not in other.founders:
        return (
            f"node {node} belongs to cluster {other.cluster_id}, which this disk did not found: an emptied directory "
            "does not come back as the member it was; start it with --join"
        )
    if other.cluster_id and own.founders != other.founders:
        return (
            f"node {node} belongs to cluster {other.cluster_id}, of whose founding this disk has forgotten its promise"
        )
    if not other.cluster_id and other.members != own.members:
        return f"node {node} was given the members {_nodes(other.members)}, this node {_nodes(own.members)}"
    if own.founders and other.founders not in {(), own.founders}:
        return _emptied(own.founders, other.founders)
    promised = other.founders or own.founders
    if promised and not {own.peer, other.peer} <= set(promised):
        return _emptied(promised, [own.peer, other.peer])
    return None


def _emptied(promised: Sequence[Peer], there: Sequence[Peer]) -> str:
    disks = {peer.node_id: peer.disk_id for peer in promised}
    changed = sorted(peer.node_id for peer in there if disks.get(peer.node_id) != peer.disk_id)
    return f"{_nodes(changed)}: emptied while the cluster was being founded; empty the directories of all its members"


def _nodes(nodes: Sequence[NodeId]) -> str:
    return f"node{'s' if len(nodes) != 1 else ''} {', '.join(map(str, nodes)) or '(none)'}"
