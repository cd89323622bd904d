"""Several nodes, each in a process of its own, founded together as users do it: `serve --members …`."""

import os
import signal
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from .ports import free_ports
from .served import ServedNode


class Cluster:
    """`count` founding members under `folder`, ids 1 to `count`; `folders` puts their data elsewhere."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        count: int = 3,
        folders: Sequence[Path] | None = None,
        environment: dict[str, str] | None = None,
        gids: Sequence[int] | None = None,
    ) -> None:
        self.peer_ports = free_ports(count)
        members = ",".join(f"{at}@127.0.0.1:{port}" for at, port in enumerate(self.peer_ports, 1))
        self.nodes: dict[int, ServedNode] = {}
        for at, port in enumerate(self.peer_ports, 1):
            data = (folders[at - 1] if folders else folder) / f"node{at}"
            settings = ["--node-id", str(at), *(["--members", members] if count > 1 else []), *options]
            gid = gids[at - 1] if gids else None
            node = ServedNode(data, *settings, environment=environment, gid=gid)
            # Its log outlives a disk that is swapped.
            node.log = folder / f"node{at}.log"
            node.peer = f"127.0.0.1:{port}"
            self.nodes[at] = node

    @property
    def kafka(self) -> str:
        """Bootstrap servers."""
        return ",".join(node.kafka for node in self.nodes.values())

    @property
    def running(self) -> list[ServedNode]:
        return [node for node in self.nodes.values() if node.process is not None]

    def start(self, *ids: int) -> "Cluster":
        """Start these nodes (all, if none is named) side by side; returns when each is ready."""
        nodes = [self.nodes[one] for one in ids or self.nodes]
        for node in nodes:
            node.spawn()
        with ThreadPoolExecutor(len(nodes)) as threads:
            for _ in threads.map(ServedNode.wait_ready, nodes):
                pass
        return self

    def kill_all(self) -> None:
        """SIGKILL for all within some microseconds."""
        nodes = self.running
        for node in nodes:
            os.kill(node.pid, signal.SIGKILL)
        for node in nodes:
            node.kill()

    def stop(self) -> list[int]:
        """SIGTERM for all at once; their exit codes."""
        nodes = self.running
        with ThreadPoolExecutor(max(1, len(nodes))) as threads:
            return list(threads.map(ServedNode.stop, nodes))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill_all()
