"""The network between nodes: fulfils `raft.links.Links` as TCP would, in virtual time.

A link is up between two nodes whose processes run, once a dial (some ms) has got through both ways. Frames of a
direction arrive in order. A cut (of one direction, or both) stalls what is under way, as TCP goes on sending: if it
heals soon, all arrives, late; if nothing came for `silence_ms` the receiver closes the link, and the other end hears of
it when that can get through, or is silent itself. Whatever was queued when a link went down is gone. The end of a dead
process is closed at once; that of a paused one is not.

`wildness` > 0 is below what TCP promises: Raft messages (never parts of calls) are lost, doubled or overtaken inside
an intact link. The core must bear it.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from raft.configuration import Peer
from raft.interfaces import Buffer, NodeId
from raft.links import LinkReceiver, PeerAddress
from raft.peers import RAFT
from raft.settings import RaftSettings

from .loops import ProcessLoop
from .world import World

T = TypeVar("T")
DIAL_S = 0.02
REDIAL_S = 0.1
LOOK_S = 0.1


@dataclass(slots=True)
class _Way:
    """Frames from one node to another, while the link of this epoch is up."""

    frames: deque[bytes] = field(default_factory=deque[bytes])
    byte_count: int = 0
    arrives_s: float = 0.0
    stalled: deque[bytes] = field(default_factory=deque[bytes])
    silent_since_s: float | None = None


@dataclass(slots=True)
class _Link:
    """Between two nodes, by (lower, greater) id. `ends` are those that believe it to be up."""

    ways: dict[tuple[NodeId, NodeId], _Way]
    ends: dict[NodeId, "SimLinks"]


class Network:
    """Owns the links of all nodes, and what is wrong with them."""

    def __init__(self, world: World, settings: RaftSettings) -> None:
        self.world = world
        self.settings = settings
        self.random = world.random("network")
        self.ends: dict[NodeId, SimLinks] = {}
        self.cuts: set[tuple[NodeId, NodeId]] = set()
        self.wildness = 0.0
        self.delay_s = (0.0001, 0.001)
        self.slow_delay_s = 0.02
        self.frame_count = 0
        # Those that answer questions, by host; empty where nobody founds or joins.
        self.listeners: dict[str, SimLinks] = {}
        self._links: dict[tuple[NodeId, NodeId], _Link] = {}
        self._dialling: set[tuple[NodeId, NodeId]] = set()

    def cut(self, sender: NodeId, to: NodeId) -> None:
        """Nothing gets through in this direction."""
        self.cuts.add((sender, to))

    def heal(self) -> None:
        self.cuts.clear()
        self.wildness = 0.0
        for link in list(self._links.values()):
            for (sender, to), way in link.ways.items():
                self._unstall(sender, to, way)

    def heal_some(self, ways: set[tuple[NodeId, NodeId]]) -> None:
        self.cuts -= ways
        for link in list(self._links.values()):
            for (sender, to), way in link.ways.items():
                if (sender, to) in ways:
                    self._unstall(sender, to, way)

    def _unstall(self, sender: NodeId, to: NodeId, way: _Way) -> None:
        if way.silent_since_s is None or self._is_blocked(sender, to):
            return
        way.silent_since_s = None
        stalled, way.stalled = way.stalled, deque()
        for frame in stalled:
            self._send_frame(sender, to, way, frame)

    # What ends call

    def join(self, end: "SimLinks") -> None:
        me = end.peer.node_id
        self.ends[me] = end
        for other in list(self.ends):
            if other != me:
                self._dial_soon(_key(me, other), self.random.uniform(0.2, 1.0) * DIAL_S)

    def leave(self, end: "SimLinks", *, is_dead: bool) -> None:
        """The process ends (or is dead): its sockets are closed by its system."""
        me = end.peer.node_id
        if self.ends.get(me) is not end:
            return
        del self.ends[me]
        for key in [key for key in self._links if me in key]:
            self._close_end(key, me, tells_itself=not is_dead)

    def send(self, end: "SimLinks", node: NodeId, frame: bytes) -> bool:
        me = end.peer.node_id
        link = self._links.get(_key(me, node))
        if link is None or link.ends.get(me) is not end:
            return False
        way = link.ways[me, node]
        if way.byte_count + len(frame) > self.settings.link_queue_bytes_max:
            return False
        self.frame_count += 1
        copies = 1
        if self.wildness and frame[0] == RAFT:
            drawn = self.random.random()
            if drawn < self.wildness:
                self.world.counts["frames lost"] += 1
                return True
            if drawn < 2 * self.wildness:
                self.world.counts["frames doubled"] += 1
                copies = 2
            if drawn > 1 - 2 * self.wildness:
                self.world.counts["frames overtaken"] += 1
                self.world.after(self.random.uniform(0.0, 0.2), lambda: self._late(link, me, node, frame))
                return True
        for _ in range(copies):
            self._send_frame(me, node, way, frame)
        return True

    def queued_bytes(self, me: NodeId, node: NodeId) -> int:
        link = self._links.get(_key(me, node))
        return 0 if link is None else link.ways[me, node].byte_count

    def settle(self, end: "SimLinks") -> None:
        """Links to whom this end does not know any more are closed by it."""
        me = end.peer.node_id
        for key, link in list(self._links.items()):
            if me in key and link.ends.get(me) is end:
                other = link.ends.get(key[0] if key[1] == me else key[1])
                if other is not None and not end.knows(other):
                    self._close_end(key, me, tells_itself=True)

    # Questions, each by a connection of its own

    def carry_question(self, end: "SimLinks", host: str, begin: Callable[["SimLinks"], object]) -> None:
        """`begin` is called in the loop of whoever listens there; nothing is heard of a question that is lost."""
        me = end.peer.node_id

        def arrive() -> None:
            other = self.listeners.get(host)
            if other is not None and (me, other.peer.node_id) not in self.cuts:
                self.world.trace("question", me, other.peer.node_id)
                other.loop.call_soon(begin, other)

        self.world.after(self.random.uniform(*self.delay_s), arrive)

    def carry_answer(self, end: "SimLinks", to: NodeId, settle: Callable[[T], object], outcome: T) -> None:
        def arrive() -> None:
            asker = self.listeners.get(f"node{to}")
            if asker is not None and (end.peer.node_id, to) not in self.cuts:
                asker.loop.call_soon(settle, outcome)

        self.world.after(self.random.uniform(*self.delay_s), arrive)

    # Frames on their way

    def _send_frame(self, sender: NodeId, to: NodeId, way: _Way, frame: bytes) -> None:
        way.byte_count += len(frame)
        if self._is_blocked(sender, to):
            if way.silent_since_s is None:
                way.silent_since_s = self.world.now
            way.stalled.append(frame)
            return
        delay = self.random.uniform(*self.delay_s)
        if self.random.random() < 0.02:
            delay += self.random.expovariate(1 / self.slow_delay_s)
        way.frames.append(frame)
        way.arrives_s = max(way.arrives_s, self.world.now + delay)
        self.world.after(way.arrives_s - self.world.now, lambda: self._arrive(sender, to, way))

    def _arrive(self, sender: NodeId, to: NodeId, way: _Way) -> None:
        if not way.frames:
            return
        frame = way.frames.popleft()
        way.byte_count -= len(frame)
        if self._is_blocked(sender, to):
            way.byte_count += len(frame)
            if way.silent_since_s is None:
                way.silent_since_s = self.world.now
            way.stalled.append(frame)
            return
        self._deliver(sender, to, way, frame)

    def _late(self, link: _Link, sender: NodeId, to: NodeId, frame: bytes) -> None:
        if self._links.get(_key(sender, to)) is link and not self._is_blocked(sender, to):
            self._deliver(sender, to, link.ways[sender, to], frame)

    def _deliver(self, sender: NodeId, to: NodeId, way: _Way, frame: bytes) -> None:
        link = self._links.get(_key(sender, to))
        if link is None or link.ways[sender, to] is not way or (end := link.ends.get(to)) is None:
            return
        self.world.trace_bytes("frame", sender, to, frame)
        end.loop.call_soon(end.deliver, sender, link, frame)

    def _is_blocked(self, sender: NodeId, to: NodeId) -> bool:
        end = self.ends.get(sender)
        return (sender, to) in self.cuts or end is None

    # Links up and down

    def _dial_soon(self, key: tuple[NodeId, NodeId], delay_s: float) -> None:
        if key not in self._dialling:
            self._dialling.add(key)
            self.world.after(delay_s, lambda: self._dial(key))

    def _dial(self, key: tuple[NodeId, NodeId]) -> None:
        self._dialling.discard(key)
        one, other = key
        ends = [self.ends.get(node) for node in key]
        if key in self._links or ends[0] is None or ends[1] is None:
            return
        is_open = not {(one, other), (other, one)} & self.cuts and not any(end.loop.is_paused for end in ends)
        is_open = is_open and ends[0].knows(ends[1]) and ends[1].knows(ends[0])
        if not is_open:
            self._dial_soon(key, REDIAL_S)
            return
        link = _Link({(one, other): _Way(), (other, one): _Way()}, {one: ends[0], other: ends[1]})
        self._links[key] = link
        self.world.trace("link up", one, other)
        for me, end in tuple(link.ends.items()):
            peer = link.ends[other if me == one else one].peer
            self.world.after(self.random.uniform(*self.delay_s), lambda end=end, peer=peer: end.go_up(link, peer))
        self.world.after(LOOK_S, lambda: self._look(key, link))

    def _look(self, key: tuple[NodeId, NodeId], link: _Link) -> None:
        """Each end closes a link on which nothing came, not even a ping, for too long."""
        if self._links.get(key) is not link:
            return
        silence_s = self.settings.silence_ms / 1000
        for (sender, to), way in link.ways.items():
            end = self.ends.get(sender)
            is_silent = self._is_blocked(sender, to) or end is None or end.loop.is_paused
            if not is_silent:
                way.silent_since_s = None
            elif way.silent_since_s is None:
                way.silent_since_s = self.world.now
            elif self.world.now - way.silent_since_s >= silence_s and to in link.ends:
                receiver = link.ends[to]
                if not receiver.loop.is_paused:
                    self._close_end(key, to, tells_itself=True)
                    return
        self.world.after(LOOK_S, lambda: self._look(key, link))

    def _close_end(self, key: tuple[NodeId, NodeId], me: NodeId, *, tells_itself: bool) -> None:
        """One end closes: the other is told if that gets through, else it will see the silence itself."""
        link = self._links.get(key)
        if link is None:
            return
        other = key[0] if key[1] == me else key[1]
        ends = dict(link.ends)
        del self._links[key]
        link.ends.clear()
        self.world.trace("link down", me, other)
        if tells_itself and me in ends:
            ends[me].go_down(link)
        if other in ends:
            delay_s = self.random.uniform(*self.delay_s)
            if (me, other) in self.cuts:
                delay_s = self.settings.silence_ms / 1000
            self.world.after(delay_s, lambda: ends[other].go_down(link))
        self._dial_soon(key, REDIAL_S + self.settings.silence_ms / 1000 * ((me, other) in self.cuts))


def _key(one: NodeId, other: NodeId) -> tuple[NodeId, NodeId]:
    return (one, other) if one < other else (other, one)


class SimLinks:
    """Fulfils `raft.links.Links` for one incarnation of a node."""

    def __init__(self, network: Network, peer: Peer, loop: ProcessLoop) -> None:
        self.peer = peer
        self.loop = loop
        self._network = network
        self._receiver: LinkReceiver | None = None
        self._up: dict[NodeId, tuple[_Link, Peer]] = {}

    async def start(self, receiver: LinkReceiver) -> None:
        self._receiver = receiver
        self._network.join(self)

    def set_peers(self, addresses: Mapping[NodeId, PeerAddress]) -> None:
        """All nodes of the network are peers."""

    def knows(self, other: "SimLinks") -> bool:
        """Whether a link to that node may go up."""
        del other
        return True

    def is_up(self, node: NodeId) -> bool:
        return node in self._up

    def peer_or_none(self, node: NodeId) -> Peer | None:
        found = self._up.get(node)
        return None if found is None else found[1]

    def send(self, node: NodeId, buffers: Sequence[Buffer]) -> bool:
        if node not in self._up:
            return False
        return self._network.send(self, node, b"".join(buffers))

    def send_beat(self, node: NodeId, frames: Sequence[Sequence[Buffer]]) -> bool:
        return all(self.send(node, frame) for frame in frames)

    def queued_bytes(self, node: NodeId) -> int:
        return self._network.queued_bytes(self.peer.node_id, node)

    async def close(self) -> None:
        self._network.leave(self, is_dead=False)

    def die(self) -> None:
        """The process is gone."""
        self._network.leave(self, is_dead=True)

    # What the network calls, between the turns of this process

    def go_up(self, link: _Link, peer: Peer) -> None:
        self.loop.call_soon(self._on_up, link, peer)

    def go_down(self, link: _Link) -> None:
        self.loop.call_soon(self._on_down, link)

    def deliver(self, sender: NodeId, link: _Link, frame: bytes) -> None:
        """In this process's loop. A frame may overtake the news that the link is up: then it is that news."""
        known = self._up.get(sender)
        if known is None or known[0] is not link:
            if sender not in link.ends:
                return
            self._on_up(link, link.ends[sender].peer)
            known = self._up[sender]
        assert self._receiver is not None, "frames come to started links"
        self._receiver.on_frame(known[1], memoryview(frame))

    def _on_up(self, link: _Link, peer: Peer) -> None:
        assert self._receiver is not None, "links go up once started"
        known = self._up.get(peer.node_id)
        if not link.ends or (known is not None and known[0] is link):
            return
        if known is not None:
            self._on_down(known[0])
        self._up[peer.node_id] = link, peer
        self._receiver.on_up(peer)

    def _on_down(self, link: _Link) -> None:
        assert self._receiver is not None, "links go down once started"
        for node, (known, peer) in tuple(self._up.items()):
            if known is link:
                del self._up[node]
                self._receiver.on_down(peer)
