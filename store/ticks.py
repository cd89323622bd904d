"""Ticks as values: the committed facts that say which events are final, and in which order views emit them.

Tick n = (n, W, cut per partition, late policy). An event is *emitted* by the first tick n with offset < cut(n) and
timestamp <= W(n), so by tick n as a whole exactly the events with offset < cut(n) and timestamp <= W(n) are emitted.
It is *late* iff its timestamp <= W(n-1): then its offset is >= cut(n-1). All others of tick n are *fresh* and lie in
(W(n-1), W(n)]. Emission order: tick by tick, late before fresh, each in event order.

Before tick 1 stands `no_tick`: number 0, no watermark (least int64: no event is at or below it), cut 0 everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from .events import TIMESTAMP_MS_MIN


class LatePolicy(IntEnum):
    """What becomes of a late event: ACCEPT emits it in its tick, SIDE keeps it out of `t.__time`, REJECT refuses it."""

    ACCEPT = 0
    SIDE = 1
    REJECT = 2


@dataclass(frozen=True, slots=True)
class Tick:
    """One tick; invariant over successors: number rises by 1, `watermark_ms` rises, no element of `cut` falls."""

    number: int
    watermark_ms: int
    cut: Sequence[int]
    policy: LatePolicy = LatePolicy.ACCEPT

    def emits(self, partition: int, offset: int, timestamp_ms: int) -> bool:
        """This tick or an earlier one emits the event."""
        return timestamp_ms <= self.watermark_ms and offset < self.cut[partition]

    def is_successor_of(self, before: "Tick") -> bool:
        return (
            self.number == before.number + 1
            and self.watermark_ms > before.watermark_ms
            and len(self.cut) >= len(before.cut)
            and all(first <= then for first, then in zip(before.cut, self.cut, strict=False))
        )

    def covers(self, end_offsets: Sequence[int]) -> bool:
        """The cut reaches these ends on every partition."""
        return all(cut >= end for cut, end in zip(self.cut, end_offsets, strict=True))


def no_tick(partition_count: int) -> Tick:
    return Tick(0, TIMESTAMP_MS_MIN, (0,) * partition_count)
