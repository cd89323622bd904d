"""A node in a process of its own, as a user starts it."""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from .ports import free_ports

START_DEADLINE_S = 30.0
STOP_DEADLINE_S = 20.0


class ServedNode:
    """`timesplit serve` on free loopback ports over one data directory; can be killed and started again."""

    def __init__(
        self, data: Path, *options: str, environment: dict[str, str] | None = None, gid: int | None = None
    ) -> None:
        """`gid`: the group that the process runs as, by which a firewall can tell its packets."""
        self.data = data
        self.options = options
        self.gid = gid
        self.environment = {**os.environ, **(environment or {})}
        # As at a user's: where modules are compiled anew for each process, a start takes a second longer.
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)
        # Chosen here, so that a node that is killed finds them free again whoever has connected meanwhile.
        self.kafka, self.http, self.peer = (f"127.0.0.1:{port}" for port in free_ports(3))
        self.log = data.parent / f"{data.name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.begun = 0.0
        self.ready_s = 0.0

    def start(self) -> "ServedNode":
        self.spawn()
        return self.wait_ready()

    def spawn(self) -> None:
        """Start the process; a member of a cluster is ready only when others are there too (`wait_ready`)."""
        self.begun = time.perf_counter()
        arguments = [sys.executable, "-m", "timesplit", "serve", "--data", str(self.data)]
        arguments += ["--kafka", self.kafka, "--http", self.http, "--peer", self.peer, *self.options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                arguments, stdout=subprocess.PIPE, stderr=log, env=self.environment, group=self.gid
            )

    def wait_ready(self) -> "ServedNode":
        line = self._first_line(self.begun + START_DEADLINE_S)
        if line != b"ready\n":
            self.kill()
            raise RuntimeError(f"the node said {line!r}; its log:\n{self.log.read_text()[-4000:]}")
        self.ready_s = time.perf_counter() - self.begun
        addresses = json.loads((self.data / "addresses.json").read_text())
        self.kafka, self.http = addresses["kafka"], addresses["http"]
        return self

    def _first_line(self, deadline: float) -> bytes:
        assert self.process is not None
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(max(0.0, deadline - time.perf_counter())):
                return b"(nothing in time)"
        return self.process.stdout.readline()

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """SIGKILL: nothing is flushed, nothing said."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """SIGSTOP: its connections stay open, it does nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> int:
        """SIGTERM, as an operator stops it; returns the exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, with_signal: signal.Signals) -> int:
        process, self.process = self.process, None
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(with_signal)
        try:
            code = process.wait(STOP_DEADLINE_S)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        return code

    def get(self, path: str, *, accept: str = "application/json") -> bytes:
        request = urllib.request.Request(f"http://{self.http}{path}", headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def get_json(self, path: str) -> dict:
        return json.loads(self.get(path))

    def post_json(self, path: str, body: object) -> dict:
        request = urllib.request.Request(
            f"http://{self.http}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{error.code} {error.read()!r}") from error

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric over its series with these labels."""
        total, found = 0.0, False
        for line in self.get("/metrics", accept="text/plain").decode().splitlines():
            if not line.startswith(name) or line.startswith("#"):
                continue
            series, value = line.rsplit(" ", 1)
            if series.split("{")[0] == name and all(f'{k}="{v}"' in series for k, v in labels.items()):
                total, found = total + float(value), True
        if not found:
            raise KeyError(name)
        return total
