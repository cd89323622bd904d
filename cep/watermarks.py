"""Watermarks guessed on the client's side, for topics of a broker that publishes none.

W = least over non-idle partitions of (greatest timestamp seen - lateness). A partition is idle once its end has been
read and it stayed silent for `idle_ms`; when all are idle nothing moves. W never falls.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from .events import NEVER_MS


@dataclass(slots=True)
class _Progress:
    greatest_ms: int = NEVER_MS
    silent_since_ms: int = 0
    is_at_end: bool = False


class GuessedWatermark:
    """Owns the progress of the partitions of one topic."""

    def __init__(self, partitions: Iterable[int], *, lateness_ms: int, idle_ms: int, now_ms: int) -> None:
        self._partitions = {partition: _Progress(silent_since_ms=now_ms) for partition in partitions}
        assert self._partitions, "a topic has at least one partition"
        self.lateness_ms = lateness_ms
        self._idle_ms = idle_ms
        self.watermark_ms = NEVER_MS

    @property
    def holding(self) -> set[int]:
        """The partitions to read on while others wait: those read to their end, and the least far of the rest."""
        at_end = {number for number, p in self._partitions.items() if p.is_at_end}
        rest = {number: p.greatest_ms for number, p in self._partitions.items() if not p.is_at_end}
        least_ms = min(rest.values(), default=NEVER_MS)
        return at_end | {number for number, greatest_ms in rest.items() if greatest_ms == least_ms}

    def saw(self, partition: int, greatest_ms: int, now_ms: int) -> None:
        progress = self._partitions[partition]
        progress.greatest_ms = max(progress.greatest_ms, greatest_ms)
        progress.silent_since_ms = now_ms

    def reached_end(self, partition: int, *, is_at_end: bool = True) -> None:
        """Whether every record up to the partition's high watermark has been seen."""
        self._partitions[partition].is_at_end = is_at_end

    def advance(self, now_ms: int) -> int:
        """The watermark as of now."""
        active = [
            p for p in self._partitions.values() if not (p.is_at_end and now_ms - p.silent_since_ms >= self._idle_ms)
        ]
        if active:
            least_ms = min(progress.greatest_ms for progress in active)
            if least_ms > NEVER_MS:
                self.watermark_ms = max(self.watermark_ms, least_ms - self.lateness_ms)
        return self.watermark_ms
