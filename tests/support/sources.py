"""A `store.blocks.Source` over plain lists, for tests that need no index and no file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from store.blocks import Block, Int32Array, Int64Array
from store.events import Record, TimeRange


@dataclass
class ListSource:
    """`events` are (timestamp, partition, offset); blocks have `block_events` events."""

    events: Sequence[tuple[int, int, int]]
    block_events: int = 3
    is_historic: bool = False

    def __post_init__(self) -> None:
        self.events = sorted(self.events)

    @property
    def count(self) -> int:
        return len(self.events)

    @property
    def span(self) -> TimeRange:
        if not self.events:
            return TimeRange(first_ms=0, end_ms=0)
        return TimeRange(first_ms=self.events[0][0], end_ms=self.events[-1][0] + 1)

    def blocks(self, span: TimeRange, attributes: Sequence[str]) -> Iterator[Block]:
        assert not attributes
        inside = [event for event in self.events if span.covers(event[0])]
        for first in range(0, len(inside), self.block_events):
            yield block_of(inside[first : first + self.block_events])

    def records(self, partitions: Int32Array, offsets: Int64Array) -> list[Record]:
        times = {(p, o): ts for ts, p, o in self.events}
        return [record_of(times[p, o], p, o) for p, o in zip(partitions.tolist(), offsets.tolist(), strict=True)]


def block_of(events: Sequence[tuple[int, int, int]]) -> Block:
    ts, partitions, offsets = (np.array([event[i] for event in events], np.int64) for i in range(3))
    return Block(ts, partitions.astype(np.int32), offsets)


def record_of(timestamp_ms: int, partition: int, offset: int) -> Record:
    return Record(offset, timestamp_ms, b"k%d" % partition, b'{"o":%d}' % offset, (("own", b"x"),))
