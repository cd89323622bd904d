"""Events and spans of event time: the values every layer above shares.

An event is a record seen by event time. Its total order is (timestamp, partition, offset), which is unique.
All times are int64 milliseconds since the epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, NewType

Offset = NewType("Offset", int)

TIMESTAMP_MS_MAX = (1 << 63) - 1
TIMESTAMP_MS_MIN = -(1 << 63)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeRange:
    """A half-open span [first_ms, end_ms) of event time; ms since the epoch."""

    first_ms: int = TIMESTAMP_MS_MIN
    end_ms: int = TIMESTAMP_MS_MAX

    def covers(self, event_ms: int) -> bool:
        return self.first_ms <= event_ms < self.end_ms

    @property
    def is_empty(self) -> bool:
        return self.first_ms >= self.end_ms


ALL_TIME = TimeRange()


class Record(NamedTuple):
    """One Kafka record, decoded; `offset` is absolute."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()
