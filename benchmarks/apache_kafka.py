"""Real Apache Kafka brokers (KRaft, stock settings) on loopback, as the peer of a measurement.

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
    """`count` processes, each broker and controller; data in a temporary folder that goes with them.

    More than one: replication factor 3 and min.insync.replicas 2 for what asks for no other.
    """

    def __init__(self, count: int = 1) -> None:
        self.address = ""
        self.processes: list[subprocess.Popen[bytes]] = []
        self.ready_s = 0.0
        self._count = count
        self._folder = Path(tempfile.mkdtemp(prefix="apache-kafka-"))

    def __enter__(self) -> Self:
        (self._folder / "log4j2.xml").write_text(
            '<Configuration status="ERROR"><Appenders><Console name="C" target="SYSTEM_ERR"><PatternLayout/></Console>'
            '</Appenders><Loggers><Root level="WARN"><AppenderRef ref="C"/></Root></Loggers></Configuration>'
        )
        ids = range(1, self._count + 1)
        ports = {at: (_free_port(), _free_port()) for at in ids}
        self.address = ",".join(f"127.0.0.1:{kafka}" for kafka, _ in ports.values())
        voters = ",".join(f"{at}@127.0.0.1:{controller}" for at, (_, controller) in ports.items())
        configs = {at: self._configure(at, *ports[at], voters) for at in ids}
        begun = time.perf_counter()
        for at, config in configs.items():
            with (self._folder / f"log{at}").open("wb") as log:
                command = [*self._java(), "kafka.Kafka", str(config)]
                self.processes.append(subprocess.Popen(command, stdout=log, stderr=log))
        self._wait_until_ready()
        self.ready_s = time.perf_counter() - begun
        return self

    def _configure(self, at: int, kafka: int, controller: int, voters: str) -> Path:
        """Write a broker's settings and format its data folder."""
        copies = str(min(3, self._count))
        properties = {
            "process.roles": "broker,controller",
            "node.id": str(at),
            "controller.quorum.voters": voters,
            "listeners": f"PLAINTEXT://127.0.0.1:{kafka},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{kafka}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self._folder / f"data{at}"),
            "offsets.topic.replication.factor": copies,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": "1" if self._count == 1 else "2",
            "min.insync.replicas": "1" if self._count == 1 else "2",
            "group.initial.rebalance.delay.ms": "0",
        }
        config = self._folder / f"server{at}.properties"
        config.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
        tool = ["java", "-cp", f"{jars()}/*", "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(config)]
        subprocess.run(tool, check=True, capture_output=True, timeout=60)
        return config

    def _java(self) -> list[str]:
        return [
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

    def _wait_until_ready(self) -> None:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        end = time.monotonic() + READY_DEADLINE_S
        while time.monotonic() < end and all(process.poll() is None for process in self.processes):
            try:
                brokers = (
                    AdminClient({"bootstrap.servers": self.address, "log_level": 0}).list_topics(timeout=1).brokers
                )
                if len(brokers) == self._count:
                    return
            except KafkaException:
                continue
        raise RuntimeError(f"Apache Kafka did not start: {(self._folder / 'log1').read_text()[-2000:]}")

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self.processes]

    @property
    def pid(self) -> int:
        """Of the only process."""
        (pid,) = self.pids
        return pid


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    times = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int) -> float:
    """Resident memory of a process."""
    rows = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(row.split()[1]) / 1024 for row in rows if row.startswith("VmRSS"))
