"""The composition root: which part fulfils which interface. Nothing else in the code base chooses.

DataDirectory ─ RaftHost (disk, writer thread) ─ Node (catalog, shards, groups, time); the doors over it: `doors`.
Among other nodes, links and calls stand between the directory and the host: `peering`.
"""

import logging
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from raft.clock import LoopClock
from raft.configuration import Peer
from raft.disk import LocalDisk
from raft.engines import Engine
from raft.errors import DataDirectoryError as RaftDirectoryError
from raft.errors import SingleMemberOnlyError
from raft.host import RaftHost
from raft.interfaces import GroupId, NodeId
from raft.node_files import DataDirectory, open_data_directory
from raft.settings import RaftSettings
from sharding.changes import CATALOG_SHARD
from sharding.coordinators.groups import Groups
from sharding.coordinators.values import GroupLimits
from sharding.node import Node, NodeParts, NodeSettings
from sharding.sealing import SealingSettings
from sharding.shard import ShardSettings
from sharding.time_services import TimeServices, TimeSettings

from .errors import DataDirectoryError
from .peering import Peering
from .settings import Settings, host_label

OnFailure = Callable[[GroupId | None, Exception], None]


def wall_ms() -> int:
    """The wall clock in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class Wired:
    """A node and what it stands on, without doors: all that the embedded mode needs."""

    directory: DataDirectory
    host: RaftHost
    node: Node
    time: list[TimeServices]  # one, from the node's start on
    peering: Peering | None = None

    async def start(self) -> None:
        """Raises: errors.DataDirectoryError."""
        try:
            if self.peering is not None:
                await self.peering.start()
            await self.node.start()
        except (RaftDirectoryError, SingleMemberOnlyError, OSError) as error:
            raise DataDirectoryError(str(error)) from error
        if self.peering is not None:
            self.peering.follow(self.node)

    async def close(self) -> None:
        """Commit what is buffered, save checkpoints, hand over leadership, close the files, release the directory."""
        try:
            await self.node.close()
        finally:
            await self.host.close()
            if self.peering is not None:
                await self.peering.close()
            self.directory.close()


def open_directory(settings: Settings) -> DataDirectory:
    """That of a node alone, or of one that belongs to a cluster already. Raises: errors.DataDirectoryError."""
    return _opened(settings, founds_alone=True)


def open_directory_of_member(settings: Settings) -> DataDirectory:
    """That of a node which founds or joins a cluster, unless it has one. Raises: errors.DataDirectoryError."""
    return _opened(settings, founds_alone=False)


def _opened(settings: Settings, *, founds_alone: bool) -> DataDirectory:
    try:
        return open_data_directory(settings.data, NodeId(settings.node_id), founds_alone=founds_alone)
    except (RaftDirectoryError, OSError) as error:
        raise DataDirectoryError(str(error)) from error


def raft_settings(settings: Settings) -> RaftSettings:
    return RaftSettings(segment_bytes=settings.segment_bytes)


def engine_of(settings: Settings) -> Callable[[GroupId], Engine]:
    """The catalog's group on its own engine, all others on the native one."""
    meta_engine = Engine(settings.meta_engine)
    return lambda group_id: meta_engine if group_id == CATALOG_SHARD else Engine.NATIVE


def wire_node(
    settings: Settings, directory: DataDirectory, on_failure: OnFailure, peering: Peering | None = None
) -> Wired:
    """Put a node together; `await wired.start()` opens it. Call inside the event loop that will run it.

    `peering`: among other nodes; its cluster was found.
    """
    host = RaftHost(
        LocalDisk(),
        f"{directory.path}/shards",
        Peer(directory.node_id, directory.disk_id),
        peers=None if peering is None else peering.peers,
        settings=raft_settings(settings),
        on_failure=on_failure,
        engine_of=engine_of(settings),
    )
    groups = Groups(
        limits=GroupLimits(
            session_min_ms=settings.group_session_min_ms,
            session_max_ms=settings.group_session_max_ms,
            members_max=settings.group_members_max,
            initial_rebalance_delay_ms=settings.group_rebalance_delay_ms,
        ),
        clock=LoopClock(),
        wall_ms=wall_ms,
        new_id=lambda: str(uuid.uuid4()),
        logger=logging.getLogger("groups"),
    )
    made: list[TimeServices] = []

    def wire_time(node: Node) -> TimeServices:
        made.append(_wire_time(settings, directory, node))
        return made[-1]

    node = Node(
        NodeSettings(
            node_id=directory.node_id,
            cluster_id=directory.cluster_id,
            disk_id=directory.disk_id.encode(),
            founders=() if peering is None else directory.founders,
            peer_host="" if peering is None else peering.reachable.host,
            peer_port=0 if peering is None else peering.reachable.port,
            host=host_label(settings),
            auto_create_topics=settings.auto_create_topics,
            partitions=settings.partitions,
            shards_per_node=settings.shards_per_node,
            replace_after_ms=settings.replace_after_ms,
            balance_ms=settings.balance_ms,
            shard=ShardSettings(
                buffer_bytes=settings.buffer_bytes,
                inflight_bytes=settings.inflight_bytes,
                checkpoint_bytes=settings.checkpoint_bytes,
            ),
        ),
        host,
        now_ms=wall_ms,
        random=random.SystemRandom(),
        logger=logging.getLogger("node"),
        parts=NodeParts(groups=groups, time=wire_time),
        peers=None if peering is None else peering.peers,
    )
    return Wired(directory, host, node, made, peering)


def _wire_time(settings: Settings, directory: DataDirectory, node: Node) -> TimeServices:
    sealing = SealingSettings(topics_folder=Path(directory.path) / "topics")
    time_settings = TimeSettings(sealing=sealing, threads=settings.query_threads)
    return TimeServices(node, time_settings, logger=logging.getLogger("time"))
