"""The composition root: which part fulfils which interface. Nothing else in the code base chooses.

DataDirectory ─ RaftHost (disk, writer thread) ─ Node (catalog, shards, groups, time) ─ KafkaServer, HTTP app
"""

import logging
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gateway.http.app import build_app
from gateway.http.metrics import HttpMetrics
from gateway.http.server import HttpServer
from gateway.http.settings import HttpSettings
from gateway.kafka.server import KafkaServer
from gateway.kafka.settings import KafkaSettings
from raft.clock import LoopClock
from raft.configuration import Peer
from raft.disk import LocalDisk
from raft.host import RaftHost
from raft.interfaces import GroupId
from raft.node_files import DataDirectory
from raft.settings import RaftSettings
from sharding.coordinators.groups import Groups
from sharding.coordinators.values import GroupLimits
from sharding.node import Node, NodeParts, NodeSettings
from sharding.sealing import SealingSettings
from sharding.shard import ShardSettings
from sharding.time_services import TimeServices, TimeSettings

from .figures import http_figures, kafka_figures, node_figures
from .settings import Settings
from .telemetry import LoopProbe, Telemetry

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

    async def close(self) -> None:
        """Commit what is buffered, save checkpoints, close the files, release the directory."""
        try:
            await self.node.close()
        finally:
            await self.host.close()
            self.directory.close()


@dataclass(slots=True)
class Doors:
    """The listeners of a served node; `is_ready` is what /health/ready answers."""

    kafka: KafkaServer
    http: HttpServer
    probe: LoopProbe
    is_ready: list[bool] = field(default_factory=lambda: [False])


def wire_node(settings: Settings, directory: DataDirectory, on_failure: OnFailure) -> Wired:
    """Put a node together; `await wired.node.start()` opens it. Call inside the event loop that will run it."""
    host = RaftHost(
        LocalDisk(),
        f"{directory.path}/shards",
        Peer(directory.node_id, directory.disk_id),
        settings=RaftSettings(segment_bytes=settings.segment_bytes),
        on_failure=on_failure,
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
    node = Node(
        NodeSettings(
            node_id=directory.node_id,
            cluster_id=directory.cluster_id,
            disk_id=directory.disk_id.encode(),
            host=settings.host,
            auto_create_topics=settings.auto_create_topics,
            partitions=settings.partitions,
            shards_per_node=settings.shards_per_node,
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
        parts=NodeParts(groups=groups, time=lambda node: _wire_time(settings, directory, node)),
    )
    return Wired(directory, host, node)


def _wire_time(settings: Settings, directory: DataDirectory, node: Node) -> TimeServices:
    sealing = SealingSettings(topics_folder=Path(directory.path) / "topics")
    time_settings = TimeSettings(sealing=sealing, threads=settings.query_threads)
    return TimeServices(node, time_settings, logger=logging.getLogger("time"))


def wire_doors(settings: Settings, node: Node) -> Doors:
    kafka = KafkaServer(
        node,
        KafkaSettings(
            frame_bytes_max=settings.request_bytes_max,
            frame_budget_bytes=settings.request_budget_bytes,
            frame_deadline_ms=settings.frame_deadline_ms,
            idle_deadline_ms=settings.connection_idle_ms,
            connections_max=settings.connections_max,
            connections_per_ip_max=settings.connections_per_ip_max,
        ),
    )
    telemetry, probe = Telemetry(), LoopProbe()
    telemetry.add(probe.figures)
    telemetry.add(lambda: kafka_figures(kafka.metrics))
    telemetry.add(lambda: node_figures(node))
    is_ready = [False]
    http_settings = HttpSettings(
        connections_max=settings.http_connections_max,
        body_bytes_max=settings.http_body_bytes_max,
        body_budget_bytes=settings.http_body_budget_bytes,
        query_threads=settings.query_threads,
        queries_max=settings.query_threads + settings.query_waiting_max,
    )
    counted = HttpMetrics()
    telemetry.add(lambda: http_figures(counted))
    app = build_app(
        node,
        is_ready=lambda: is_ready[0],
        render_metrics=telemetry.render,
        now_ms=wall_ms,
        settings=http_settings,
        counted=counted,
    )
    return Doors(kafka, HttpServer(app, http_settings), probe, is_ready)
