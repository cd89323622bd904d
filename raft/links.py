"""Frames between nodes: what carries them. `tcp_links` fulfils it with sockets, the simulator with a queue.

A frame is whole or not there; frames of one sender arrive in the order in which they were sent, at most once, and what
was queued when a connection broke is gone. Nothing here knows what a frame means (`peers` does).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from .configuration import Peer
from .interfaces import Buffer, NodeId

FRAME_BYTES_MAX = 160 << 20
"""Above the largest entry (`RaftSettings.entry_bytes_max`); a longer announcement closes the connection."""


class PeerAddress(NamedTuple):
    """`disk_id`: the disk that the node is known to be on; None: not known, any will do."""

    host: str
    port: int
    disk_id: str | None = None


class LinkReceiver(Protocol):
    """Called from the event loop, never inside a call of `Links`."""

    def on_frame(self, sender: Peer, frame: memoryview) -> None:
        """A frame of a peer whose cluster id and disk id were checked; its memory is the receiver's, never reused.

        Raises: MalformedFrameError; the link is closed then.
        """
        ...

    def on_up(self, peer: Peer) -> None: ...
    def on_down(self, peer: Peer) -> None:
        """The connection broke, or nothing (not even a ping) came for `RaftSettings.silence_ms`."""
        ...


class Links(Protocol):
    """Connections to the other nodes of the cluster."""

    async def start(self, receiver: LinkReceiver) -> None: ...
    def set_peers(self, addresses: Mapping[NodeId, PeerAddress]) -> None:
        """Who the other nodes are, and where; links to others are closed, links to new ones are sought."""
        ...

    def is_up(self, node: NodeId) -> bool: ...
    def peer_or_none(self, node: NodeId) -> Peer | None:
        """Whom the link goes to, while it is up."""
        ...

    def send(self, node: NodeId, buffers: Sequence[Buffer]) -> bool:
        """Queue one frame, without copying (buffers must not change any more); False if it was dropped.

        Dropped when the link is down, and when more than `link_queue_bytes_max` wait for a slow peer.
        """
        ...

    def send_beat(self, node: NodeId, frames: Sequence[Sequence[Buffer]]) -> bool:
        """As `send`, but several small frames at once, all or none. It is a beat: the loop is awake each heartbeat."""
        ...

    def queued_bytes(self, node: NodeId) -> int: ...
    async def close(self) -> None: ...
