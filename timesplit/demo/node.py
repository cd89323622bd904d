"""The demo's processes: a standalone node and a Faust worker, started like a user would, ended by pid."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
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


def start_node(folder: Path) -> tuple[Child, str, str]:
    """A node on the usual ports, or on free ones where those are taken: (process, Kafka address, HTTP address)."""
    data = folder / "data"
    kafka, http, peer = (_usual_or_free(port) for port in (9092, 8080, 9192))
    arguments = ["-m", "timesplit", "serve", "--data", str(data), "--kafka", kafka, "--http", http, "--peer", peer]
    node = Child(arguments, folder / "node.log")
    assert node.process.stdout is not None
    line = node.process.stdout.readline()
    if line != b"ready\n":
        node.__exit__()
        raise RuntimeError(f"the node did not start: {node.tail()}")
    addresses = json.loads((data / "addresses.json").read_text())
    return node, addresses["kafka"], addresses["http"]


def start_app(folder: Path, broker: str) -> Child:
    environment = {"DEMO_BROKER": broker, "DEMO_DATADIR": str(folder / "faust")}
    return Child(["-m", "timesplit.demo.app", "worker", "-l", "warn"], folder / "app.log", environment)


def wait_for_ctrl_c(node: Child) -> None:
    """Returns when the user interrupts, or the node ends."""
    try:
        while node.process.poll() is None:
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
