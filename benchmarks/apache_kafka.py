"""A real Apache Kafka broker (KRaft, one node, stock settings) on loopback, as the peer of a measurement.

The jars are those that tests/install_tools.sh fetches. Kafka's stock settings flush to the page cache only; ours are
durable (fdatasync before the answer) in every comparison.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from tests.clients.kafka_tools import jars

READY_DEADLINE_S = 60.0
CLUSTER_ID = "5L6g3nShT-eMCtK--X86sw"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class ApacheKafka:
    """One broker and controller in one process; data in a temporary folder that goes with it."""

    def __init__(self) -> None:
        self.address = ""
        self.process: subprocess.Popen[bytes] | None = None
        self.ready_s = 0.0
        self._folder = Path(tempfile.mkdtemp(prefix="apache-kafka-"))

    def __enter__(self) -> Self:
        kafka, controller = _free_port(), _free_port()
        self.address = f"127.0.0.1:{kafka}"
        (self._folder / "log4j2.xml").write_text(
            '<Configuration status="ERROR"><Appenders><Console name="C" target="SYSTEM_ERR"><PatternLayout/></Console>'
            '</Appenders><Loggers><Root level="WARN"><AppenderRef ref="C"/></Root></Loggers></Configuration>'
        )
        properties = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self._folder / "data"),
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
        }
        config = self._folder / "server.properties"
        config.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
        java = [
            "java",
            "-server",
            "-Xms1G",
            "-Xmx1G",
            "-XX:+UseG1GC",
            "-XX:MaxGCPauseMillis=20",
            f"-Dlog4j2.configurationFile={self._folder / 'log4j2.xml'}",
            "-cp",
            f"{jars()}/*",
        ]
        subprocess.run(
            [*java[:1], "-cp", f"{jars()}/*", "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(config)],
            check=True,
            capture_output=True,
            timeout=60,
        )
        begun = time.perf_counter()
        with (self._folder / "log").open("wb") as log:
            self.process = subprocess.Popen([*java, "kafka.Kafka", str(config)], stdout=log, stderr=log)
        self._wait_until_ready()
        self.ready_s = time.perf_counter() - begun
        return self

    def _wait_until_ready(self) -> None:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        assert self.process is not None
        end = time.monotonic() + READY_DEADLINE_S
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if AdminClient({"bootstrap.servers": self.address, "log_level": 0}).list_topics(timeout=1).brokers:
                    return
            except KafkaException:
                continue
        raise RuntimeError(f"Apache Kafka did not start: {(self._folder / 'log').read_text()[-2000:]}")

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    times = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int) -> float:
    """Resident memory of a process."""
    rows = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(row.split()[1]) / 1024 for row in rows if row.startswith("VmRSS"))
