"""A cluster of processes under faults and load, checked afterwards.

    python -m tests.evidence.faults --faults kill,pause,power --seconds 60 --seed 1
    unshare -n python -m tests.evidence.faults --faults isolate,mute,part --seconds 60

Prints one JSON object; exit code 0 only if nothing was lost, doubled, moved or reordered, all replicas agree, and
writes go on at the end.
"""

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewTopic

from tests.support.cluster import Cluster
from tests.support.waiting import wait_until

from .history import History, Origin, Stored, Where, counts, problems, told
from .load import Writer, origin_of, read_all
from .network import PeerNetwork, gids, loopback_up
from .power import PowerDisk

TOPIC = "faults"
HEAL_DEADLINE_S = 60.0
LOG_TAIL = 6_000
_PAUSE = threading.Event()

NETWORK_FAULTS = frozenset({"isolate", "mute", "deafen", "part"})
DISK_FAULTS = frozenset({"power", "power_all", "fill", "fill_all"})


class Run:
    """One cluster, its load, and the faults that happen to it."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options = options
        self.random = random.Random(options.seed)
        self.faults: Counter[str] = Counter()
        self.silences: list[tuple[str, float]] = []
        names = set(options.faults)
        self.disks: list[PowerDisk] = []
        if names & DISK_FAULTS:
            self.disks = [PowerDisk(folder, f"disk{at}") for at in range(1, options.nodes + 1)]
        with_network = bool(names & NETWORK_FAULTS)
        if with_network:
            loopback_up()
        self.cluster = Cluster(
            folder,
            count=options.nodes,
            folders=[disk.mount for disk in self.disks] or None,
            environment={"TIMESPLIT_SEGMENT_BYTES": str(options.segment_bytes)},
            gids=gids(options.nodes) if with_network else None,
        )
        self.network = PeerNetwork(self.cluster.peer_ports) if with_network else None
        self.writers: list[Writer] = []
        self.copies: set[Where] = set()  # places of records that are there more than once, by whomever

    def start(self) -> None:
        self.cluster.start()
        admin = AdminClient({"bootstrap.servers": self.cluster.kafka})
        topic = NewTopic(TOPIC, self.options.partitions, self.options.rf)
        admin.create_topics([topic])[TOPIC].result(30)
        self.writers = [
            Writer(number, self.cluster.kafka, TOPIC, self.options.partitions, rate=self.options.rate)
            for number in range(self.options.writers)
        ]
        for writer in self.writers:
            writer.start()
        self.wait_for_writes(100)

    def wait_for_writes(self, count: int) -> None:
        """On every partition, from now on."""

        def answered() -> list[int]:
            partitions = range(self.options.partitions)
            return [sum(len(writer.answered[partition]) for writer in self.writers) for partition in partitions]

        marks = [before + count // self.options.partitions for before in answered()]
        wait_until(
            lambda: all(now >= mark for now, mark in zip(answered(), marks, strict=True)),
            deadline_s=HEAL_DEADLINE_S,
            what="writes on every partition",
        )

    def inject(self, name: str) -> None:
        self.faults[name] += 1
        begun = time.monotonic()
        getattr(self, f"_{name}")()
        self.wait_for_writes(100)
        longest = max(writer.longest_silence_s(begun, time.monotonic()) for writer in self.writers)
        self.silences.append((name, longest))
        sys.stderr.write(f"{name} {longest:.3f}\n")

    def _one(self) -> int:
        return self.random.randint(1, self.options.nodes)

    def _leader(self) -> int:
        """The node that leads the first partition."""
        metadata = AdminClient({"bootstrap.servers": self.cluster.kafka}).list_topics(TOPIC, timeout=30)
        leader = metadata.topics[TOPIC].partitions[0].leader
        return leader if leader > 0 else self._one()

    def _kill(self) -> None:
        node = self._one()
        self.cluster.nodes[node].kill()
        _wait(self.random.uniform(0.2, 3))
        self.cluster.start(node)

    def _kill_leader(self) -> None:
        node = self._leader()
        self.cluster.nodes[node].kill()
        self.wait_for_writes(20)
        self.cluster.start(node)

    def _kill_all(self) -> None:
        self.cluster.kill_all()
        self.cluster.start()

    def _restart(self) -> None:
        node = self._one()
        code = self.cluster.nodes[node].stop()
        assert code == 0, f"node {node} ended with {code} on SIGTERM"
        self.cluster.start(node)

    def _pause(self) -> None:
        node = self.cluster.nodes[self._one()]
        node.pause()
        _wait(self.random.uniform(0.5, 6))
        node.resume()

    def _pause_leader(self) -> None:
        node = self.cluster.nodes[self._leader()]
        node.pause()
        self.wait_for_writes(20)
        node.resume()

    def _power(self) -> None:
        node = self._one()
        self.cluster.nodes[node].kill()
        self.disks[node - 1].cut()
        self.cluster.start(node)

    def _power_all(self) -> None:
        self.cluster.kill_all()
        for disk in self.disks:
            disk.cut()
        self.cluster.start()

    def _fill(self) -> None:
        self._fill_these([self.disks[self._one() - 1]])

    def _fill_all(self) -> None:
        self._fill_these(self.disks)

    def _fill_these(self, disks: list[PowerDisk]) -> None:
        for disk in disks:
            disk.fill()
        _wait(self.random.uniform(1, 4))
        for disk in disks:
            disk.free()

    def _cut_network(self, cut: Callable[[PeerNetwork], None]) -> None:
        assert self.network is not None
        cut(self.network)
        _wait(self.random.uniform(1, 6))
        self.network.heal()

    def _isolate(self) -> None:
        node = self._one()
        self._cut_network(lambda network: network.isolate(node))

    def _mute(self) -> None:
        node = self._one()
        self._cut_network(lambda network: network.mute(node))

    def _deafen(self) -> None:
        node = self._one()
        self._cut_network(lambda network: network.deafen(node))

    def _part(self) -> None:
        first, second = self.random.sample(range(1, self.options.nodes + 1), 2)
        self._cut_network(lambda network: network.part(first, second))

    def check(self) -> dict[str, list[str]]:
        """Stop writing, read everything, then again with each node down in turn: other leaders must show the same."""
        for writer in self.writers:
            writer.stop()
        history = History()
        for writer in self.writers:
            history.sent |= writer.history.sent
            history.acknowledged |= writer.history.acknowledged
            history.unplaced |= writer.history.unplaced
        reads: dict[str, list[Stored]] = {"all up": self._read()}
        if self.options.rf >= 3:
            for number, node in self.cluster.nodes.items():
                assert node.stop() == 0, f"node {number} did not stop as it should"
                reads[f"without {number}"] = self._read()
                self.cluster.start(number)
        found = problems(history, reads, self._origin_of)
        if failed := [text for writer in self.writers for text in writer.failed]:
            found["refused"] = failed
        return found

    def _origin_of(self, where: Where) -> Origin:
        self.copies.add(where)
        return origin_of([node.kafka for node in self.cluster.running], where)

    def _read(self) -> list[Stored]:
        servers = ",".join(node.kafka for node in self.cluster.running)
        return read_all(servers, TOPIC, self.options.partitions)

    def tell(self) -> None:
        """What each node and each writer has to say when writes do not go on."""
        say = sys.stderr.write
        say(f"after {dict(self.faults)}:\n")
        for number, node in self.cluster.nodes.items():
            if node.process is not None:
                with suppress(OSError):
                    say(f"node {number} {node.kafka}: {node.get('/api/v1/cluster').decode()}\n")
            say(f"its log:\n{node.log.read_text()[-LOG_TAIL:]}\n")
        for writer in self.writers:
            last = {
                partition: round(time.monotonic() - moments[-1], 1) for partition, moments in writer.answered.items()
            }
            say(f"{writer.name}: {writer.waiting_count} wait; seconds since the last answer: {last}\n")

    def close(self) -> None:
        self.cluster.kill_all()
        for disk in self.disks:
            disk.close()


def _wait(seconds: float) -> None:
    """How long a fault lasts; nothing is waited *for*."""
    _PAUSE.wait(seconds)


def run(options: argparse.Namespace) -> dict[str, object]:
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        this = Run(options, Path(folder))
        try:
            return _run(this)
        except AssertionError:
            this.tell()
            raise
        finally:
            this.close()


def _run(this: Run) -> dict[str, object]:
    options = this.options
    this.start()
    end = time.monotonic() + options.seconds
    while time.monotonic() < end and (not options.count or this.faults.total() < options.count):
        if options.faults:
            this.inject(this.random.choice(options.faults))
        else:
            this.wait_for_writes(1_000)
    silences = sorted(seconds for _, seconds in this.silences)
    found = this.check()
    sys.stderr.write(told(found) + "\n" if found else "")
    return {
        "seed": options.seed,
        "faults": dict(this.faults),
        "sent": sum(len(writer.history.sent) for writer in this.writers),
        "acknowledged": sum(writer.acknowledged_count for writer in this.writers),
        "without_offset": sum(len(writer.history.unplaced) for writer in this.writers),
        "places_of_copies": len(this.copies),
        "problems": dict(counts(found)),
        "silence_s": {
            "p50": round(silences[len(silences) // 2], 3) if silences else None,
            "p99": round(silences[int(len(silences) * 0.99)], 3) if silences else None,
            "max": round(silences[-1], 3) if silences else None,
            "slowest": max(this.silences, key=lambda silence: silence[1])[0] if this.silences else None,
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.evidence.faults", description=__doc__)
    parser.add_argument("--faults", type=lambda text: text.split(",") if text else [], default=["kill", "pause"])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--count", type=int, default=0, help="end after so many faults")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--rf", type=int, default=3)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--writers", type=int, default=1)
    parser.add_argument("--rate", type=int, default=500, help="records a second and writer")
    parser.add_argument("--segment-bytes", type=int, default=4 << 20)
    parser.add_argument("--folder", default=None, help="where the data lies")
    result = run(parser.parse_args())
    print(json.dumps(result))
    return 1 if result["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
