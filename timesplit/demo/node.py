"""The demo's processes: a node, or several, and a Faust worker, started like a user would, ended by pid."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

START_DEADLINE_S = 30.0
STOP_DEADLINE_S = 15.0


class Child:
    """A process of ours with its output in a file; ended by SIGTERM, then SIGKILL."""

    def __init__(self, arguments: list[str], log: Path, environment: dict[str, str] | None = None) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, *arguments],
                stdout=subprocess.PIPE,
                stderr=output,
                env={**os.environ, **(environment or {})},
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]


@dataclass(frozen=True, slots=True)
class Node:
    """A started node, and where it listens."""

    process: Child
    kafka: str
    http: str


def start_nodes(folder: Path, count: int, running: ExitStack) -> list[Node]:
    """One node, or several that found a cluster: on the usual ports, or on free ones where those are taken.

    They end with `running`.
    """
    children: list[tuple[Child, Path]] = []
    peers = [_usual_or_free(9192 + at) for at in range(count)]
    members = ",".join(f"{at}@{peer}" for at, peer in enumerate(peers, 1))
    for at, peer in enumerate(peers):
        data = folder / (f"node{at + 1}" if count > 1 else "data")
        kafka, http = _usual_or_free(9092 + at), _usual_or_free(8080 + at)
        arguments = ["-m", "timesplit", "serve", "--data", str(data), "--kafka", kafka, "--http", http, "--peer", peer]
        if count > 1:
            arguments += ["--node-id", str(at + 1), "--host", f"machine{at + 1}", "--members", members]
        children.append((running.enter_context(Child(arguments, folder / f"{data.name}.log")), data))
    return [_ready(child, data) for child, data in children]


def _ready(child: Child, data: Path) -> Node:
    """Raises: RuntimeError."""
    assert child.process.stdout is not None
    line = child.process.stdout.readline()
    if line != b"ready\n":
        raise RuntimeError(f"the node did not start: {child.tail()}")
    addresses = json.loads((data / "addresses.json").read_text())
    return Node(child, addresses["kafka"], addresses["http"])


def start_app(folder: Path, broker: str) -> Child:
    environment = {"DEMO_BROKER": broker, "DEMO_DATADIR": str(folder / "faust")}
    return Child(["-m", "timesplit.demo.app", "worker", "-l", "warn"], folder / "app.log", environment)


def wait_for_ctrl_c(nodes: Sequence[Node]) -> None:
    """Returns when the user interrupts, or a node ends."""
    try:
        while all(node.process.process.poll() is None for node in nodes):
            time.sleep(0.2)
    except KeyboardInterrupt:
        return


def _usual_or_free(port: int) -> str:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"
