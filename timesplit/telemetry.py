"""Logs, figures and the loop probe: what an operator sees of a node.

Layers count in plain integers on their own objects, which are read when /metrics is asked for (`exposition`), so that
no hot path knows a metrics library.
"""

import logging
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import anyio

PROBE_EVERY_S = 0.05
SLOW_CALLBACK_MS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One reading: `labels` may be empty; a counter only rises."""

    name: str
    help: str
    value: float
    is_counter: bool = False
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


class LoopProbe:
    """Measures how late the event loop wakes a sleeper: a callback that ran too long shows up here."""

    def __init__(self) -> None:
        self.worst_ms = 0.0
        self.slow_count = 0

    async def run(self) -> None:
        while True:
            begun = time.perf_counter()
            await anyio.sleep(PROBE_EVERY_S)
            late_ms = (time.perf_counter() - begun - PROBE_EVERY_S) * 1000
            self.worst_ms = max(self.worst_ms, late_ms)
            self.slow_count += late_ms > SLOW_CALLBACK_MS

    def figures(self) -> Iterable[Figure]:
        yield Figure(name="loop_late_worst_ms", help="longest delay of the event loop", value=self.worst_ms)
        yield Figure(name="loop_late", help="wake-ups more than 20 ms late", value=self.slow_count, is_counter=True)


def log_to_stderr(level: int = logging.INFO) -> None:
    logging.basicConfig(
        level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True
    )
