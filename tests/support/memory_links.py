"""Links between nodes of one process: frames go through the event loop, in order, at once, until a link is cut."""

import asyncio
from collections.abc import Mapping, Sequence

from raft.configuration import Peer
from raft.errors import MalformedFrameError
from raft.interfaces import Buffer, NodeId
from raft.links import LinkReceiver, PeerAddress


class MemoryNetwork:
    """All links of some nodes. A frame under way when its link is cut is lost, as with a connection that breaks."""

    def __init__(self) -> None:
        self.nodes: dict[NodeId, MemoryLinks] = {}
        self.cuts: set[frozenset[NodeId]] = set()
        self.sent: list[tuple[NodeId, NodeId, bytes]] = []

    def links(self, peer: Peer) -> "MemoryLinks":
        """The links of a node; those of its earlier life, if any, are gone."""
        return MemoryLinks(self, peer)

    def cut(self, one: int, other: int) -> None:
        self.cuts.add(frozenset((NodeId(one), NodeId(other))))
        self.settle()

    def heal(self, one: int, other: int) -> None:
        self.cuts.discard(frozenset((NodeId(one), NodeId(other))))
        self.settle()

    def isolate(self, node: int) -> None:
        for other in self.nodes:
            if other != node:
                self.cut(node, other)

    def heal_all(self) -> None:
        self.cuts.clear()
        self.settle()

    def settle(self) -> None:
        """Bring links up or down as the nodes and the cuts are now."""
        for one in tuple(self.nodes.values()):
            for other in tuple(self.nodes.values()):
                if one.peer.node_id < other.peer.node_id:
                    self._settle(one, other)
            for node in tuple(one.up):
                if self.nodes.get(node) is not one.up[node]:
                    one.go_down(node)

    def _settle(self, one: "MemoryLinks", other: "MemoryLinks") -> None:
        one_id, other_id = one.peer.node_id, other.peer.node_id
        knows = other_id in one.wanted and one_id in other.wanted
        is_whole = knows and frozenset((one_id, other_id)) not in self.cuts
        is_up = one.up.get(other_id) is other and other.up.get(one_id) is one
        if is_whole and not is_up:
            one.go_up(other)
            other.go_up(one)
        elif not is_whole:
            one.go_down(other_id)
            other.go_down(one_id)


class MemoryLinks:
    """Fulfils `raft.links.Links`. Without `set_peers` it is linked to every other node that was started."""

    def __init__(self, network: MemoryNetwork, peer: Peer) -> None:
        self.network = network
        self.peer = peer
        self.addresses: dict[NodeId, PeerAddress] | None = None
        self.up: dict[NodeId, MemoryLinks] = {}
        self.is_full = False
        self._receiver: LinkReceiver | None = None

    @property
    def wanted(self) -> set[NodeId]:
        known = self.network.nodes if self.addresses is None else self.addresses
        return set(known) - {self.peer.node_id}

    async def start(self, receiver: LinkReceiver) -> None:
        self._receiver = receiver
        self.network.nodes[self.peer.node_id] = self
        self.network.settle()

    def set_peers(self, addresses: Mapping[NodeId, PeerAddress]) -> None:
        self.addresses = dict(addresses)
        self.network.settle()

    def is_up(self, node: NodeId) -> bool:
        return node in self.up

    def peer_or_none(self, node: NodeId) -> Peer | None:
        link = self.up.get(node)
        return None if link is None else link.peer

    def send(self, node: NodeId, buffers: Sequence[Buffer]) -> bool:
        to = self.up.get(node)
        if to is None or self.is_full:
            return False
        frame = b"".join(buffers)
        self.network.sent.append((self.peer.node_id, node, frame))
        asyncio.get_running_loop().call_soon(to.receive, self, frame)
        return True

    def send_beat(self, node: NodeId, frames: Sequence[Sequence[Buffer]]) -> bool:
        return all(self.send(node, frame) for frame in frames)

    def queued_bytes(self, node: NodeId) -> int:
        return 0

    async def close(self) -> None:
        if self.network.nodes.get(self.peer.node_id) is self:
            del self.network.nodes[self.peer.node_id]
        for other in tuple(self.up.values()):
            other.go_down(self.peer.node_id)
        self.up.clear()
        self._receiver = None
        self.network.settle()

    def receive(self, sender: "MemoryLinks", frame: bytes) -> None:
        if self._receiver is None or self.up.get(sender.peer.node_id) is not sender:
            return
        try:
            self._receiver.on_frame(sender.peer, memoryview(frame))
        except MalformedFrameError:
            self.network.cut(self.peer.node_id, sender.peer.node_id)

    def go_up(self, other: "MemoryLinks") -> None:
        self.go_down(other.peer.node_id)
        self.up[other.peer.node_id] = other
        asyncio.get_running_loop().call_soon(self._tell_up, other)

    def go_down(self, node: NodeId) -> None:
        other = self.up.pop(node, None)
        if other is not None:
            asyncio.get_running_loop().call_soon(self._tell_down, other)

    def _tell_up(self, other: "MemoryLinks") -> None:
        if self._receiver is not None:
            self._receiver.on_up(other.peer)

    def _tell_down(self, other: "MemoryLinks") -> None:
        if self._receiver is not None:
            self._receiver.on_down(other.peer)
