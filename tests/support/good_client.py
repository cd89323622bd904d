"""A client that goes on producing and consuming while others misbehave, and the node's memory meanwhile."""

import threading
import time
from pathlib import Path
from typing import Self

from tests.support.blocking_kafka import BlockingKafka
from tests.support.raw_kafka import batch_of
from tests.support.served import ServedNode
from tests.support.waiting import wait_until


def anonymous_bytes(pid: int) -> int:
    """Memory that is the process's own: mapped log segments are the kernel's to take back."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no RssAnon in /proc")


def held_up_ms(pid: int) -> float:
    """How long the node's loop and this thread have stood ready while the machine ran others. Source: proc(5)."""
    files = Path(f"/proc/{pid}/schedstat"), Path("/proc/thread-self/schedstat")
    return sum(int(file.read_text().split()[1]) for file in files if file.exists()) / 1e6


class GoodClient(threading.Thread):
    """Produces a record, reads it back, and again; a context manager, which checks at its end that all is there.

    `worst_ms` is the longest round, without what other processes took of the machine meanwhile.
    """

    def __init__(self, node: ServedNode, topic: str, partition: int = 0) -> None:
        super().__init__(daemon=True)
        self.worst_ms = 0.0
        self.round_count = 0
        self.fault: BaseException | None = None
        self._node = node
        self._place = topic, partition
        self._is_stopping = threading.Event()
        self._first_bytes = anonymous_bytes(node.pid)
        self._greatest_bytes = self._first_bytes
        self._written: list[bytes] = []

    @property
    def growth_bytes(self) -> int:
        """Of the node's memory, at its highest."""
        return self._greatest_bytes - self._first_bytes

    def __enter__(self) -> Self:
        self.start()
        wait_until(lambda: self.round_count or not self.is_alive(), what="the good client's first round")
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._is_stopping.set()
        self.join(60)
        if kind is None:
            assert self.fault is None, repr(self.fault)
            assert not self.is_alive(), "the good client hangs"
            assert self.round_count, "the good client did nothing"

    def run(self) -> None:
        try:
            with BlockingKafka(self._node.kafka) as kafka:
                first = kafka.end(*self._place)
                while not self._is_stopping.is_set():
                    self._round(kafka)
                rows = kafka.read_all(*self._place, first)
                assert [row.value for row in rows] == self._written, "the good client's records"
        except BaseException as error:  # noqa: BLE001 - told by the thread that waits for this one
            self.fault = error

    def _round(self, kafka: BlockingKafka) -> None:
        value = b"%d" % self.round_count
        held_up, begun = held_up_ms(self._node.pid), time.perf_counter()
        code, offset = kafka.produce(*self._place, batch_of(value))
        assert code == 0, code.name
        assert [row.value for row in kafka.read(*self._place, offset)] == [value]
        took_ms = (time.perf_counter() - begun) * 1000
        self.worst_ms = max(self.worst_ms, took_ms - (held_up_ms(self._node.pid) - held_up))
        self._written.append(value)
        self.round_count += 1
        self._greatest_bytes = max(self._greatest_bytes, anonymous_bytes(self._node.pid))
        self._is_stopping.wait(0.005)
