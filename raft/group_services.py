"""What a group has from its host."""

from collections.abc import Callable
from dataclasses import dataclass

from .checkpoint import CheckpointJob
from .clock import Clock
from .configuration import Peer
from .interfaces import GroupId, NodeId
from .job_thread import JobRunner
from .pulse import Pulse, Send
from .settings import RaftSettings
from .writer import WriterJob


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupServices:
    """What all groups of a node share. `on_failure` hears of a group that stopped by its own fault.

    `peer_or_none`: who is at the other end of the link to a node. `on_removed`: the group stopped, since this node is
    no member of it any more.
    """

    me: Peer
    clock: Clock
    settings: RaftSettings
    writer: JobRunner[WriterJob]
    checkpoints: JobRunner[CheckpointJob]
    pulse: Pulse
    send: Send
    peer_or_none: Callable[[NodeId], Peer | None]
    has_peers: bool
    on_failure: Callable[[GroupId, Exception], None]
    on_removed: Callable[[GroupId], None]
