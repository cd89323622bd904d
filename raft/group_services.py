"""What a group has from its host."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from .checkpoint import CheckpointFacts, CheckpointJob
from .clock import Clock
from .configuration import Peer
from .group_files import GroupFiles
from .install import CheckFiles
from .interfaces import Buffer, GroupId, NodeId
from .job_thread import JobRunner
from .pulse import Pulse
from .recovery import Recovered
from .settings import RaftSettings
from .vital_signs import Signs
from .writer import WriterJob


@dataclass(frozen=True, slots=True)
class Drained:
    """In the queue of checkpoints: all that were queued before are written."""

    event: asyncio.Event


Send = Callable[[NodeId, GroupId, int, Sequence[Buffer]], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupServices:
    """What all groups of a node share. `on_failure` hears of a group that stopped by its own fault.

    `peer_or_none`: who is at the other end of the link to a node. `on_left_alone`: again and again, of a group that
    nobody leads and whose last known members are others. `on_removed`: the group stopped, since this node is no member
    of it any more. `fetch` brings the files of a leader if they pass a check (last entry, its term; raises
    RaftError), `reopen` opens the files of a group anew, which are closed, with those that were fetched in their place:
    an OSError of either is one of our own disk, and goes to `on_disk_failure`.
    """

    me: Peer
    clock: Clock
    settings: RaftSettings
    writer: JobRunner[WriterJob]
    checkpoints: JobRunner[CheckpointJob | Drained]
    pulse: Pulse
    signs: Signs
    send: Send
    peer_or_none: Callable[[NodeId], Peer | None]
    has_peers: bool
    on_failure: Callable[[GroupId, Exception], None]
    on_disk_failure: Callable[[OSError], None]
    on_left_alone: Callable[[GroupId], None]
    on_removed: Callable[[GroupId], None]
    fetch: Callable[[GroupId, NodeId, CheckFiles], Awaitable[CheckpointFacts]]
    reopen: Callable[[GroupId], Awaitable[tuple[Recovered, GroupFiles]]]
