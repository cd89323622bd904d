"""A topic by event time in memory, as `sharding.interfaces.StreamApi`: a test may make it endless or failing."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

import anyio
import pyarrow as pa

from sharding.interfaces import (
    AggregateAnswer,
    AnswerMeta,
    EventsAnswer,
    PartitionSpan,
    SplitDescription,
    StreamApi,
    Topic,
    WatermarkDescription,
)
from store.events import TimeRange
from store.queries import AggregateQuery, EventsQuery
from tests.support.fake_node import FakeNode

META = AnswerMeta(
    as_of="token", watermark_ms=5, live_splits=1, historic_splits=2, served_by=7, plan={"leaves": 3, "events": 9}
)
SCHEMA = pa.schema([("_ts", pa.int64()), ("_value", pa.binary())])


def batch_of(first: int, count: int) -> pa.RecordBatch:
    rows = [{"_ts": first + i, "_value": b"v%d" % (first + i)} for i in range(count)]
    return pa.RecordBatch.from_pylist(rows, schema=SCHEMA)


@dataclass
class FakeStream:
    """`batches` are given one by one; the one numbered `fails_at` raises instead. `given` counts those handed out."""

    topic: Topic
    batches: list[pa.RecordBatch] = field(default_factory=lambda: [batch_of(0, 3), batch_of(3, 2)])
    fails_at: int | None = None
    error: Exception = field(default_factory=RuntimeError)
    refusal: Exception | None = None
    cursor: str | None = None
    before_batch: Callable[[], None] | None = None
    is_endless: bool = False
    given: int = 0
    is_closed: bool = False
    asked: list[object] = field(default_factory=list)

    async def events(self, query: EventsQuery) -> EventsAnswer:
        self._ask(query)
        return EventsAnswer(META, SCHEMA, self._batches(), cursor=lambda: self.cursor)

    async def aggregate(self, query: AggregateQuery) -> AggregateAnswer:
        self._ask(query)
        return AggregateAnswer(META, pa.table({"window_start": [0, 10], "count": [2, 3]}))

    async def offsets(self, span: TimeRange) -> list[PartitionSpan]:
        self._ask(span)
        return [PartitionSpan(partition=0, first_offset=1, end_offset=4, count=2)]

    def splits(self) -> list[SplitDescription]:
        self._ask(None)
        return [
            SplitDescription(
                number=0, state="open", first_ms=None, last_ms=None, count=0, bytes=0, end_offsets=[0], files=(),
                opened_ms=1,
            )
        ]  # fmt: skip

    def watermark(self) -> WatermarkDescription:
        self._ask(None)
        return WatermarkDescription(tick=3, watermark_ms=5, cut=[7], late_count=1)

    async def seal(self, *, at_least_ms: int | None = None) -> SplitDescription | None:
        self._ask(at_least_ms)
        return self.splits()[0] if at_least_ms is not None else None

    def _ask(self, question: object) -> None:
        self.asked.append(question)
        if self.refusal is not None:
            raise self.refusal

    async def _batches(self) -> AsyncGenerator[pa.RecordBatch]:
        try:
            while self.is_endless or self.given < len(self.batches):
                if self.given == self.fails_at:
                    raise self.error
                self.given += 1
                await anyio.lowlevel.checkpoint()
                yield self.batches[(self.given - 1) % len(self.batches)]
            if self.given == self.fails_at:
                raise self.error
        finally:
            self.is_closed = True


class FakeStreamNode(FakeNode):
    """A fake node whose topics answer by time, too."""

    def __init__(self) -> None:
        super().__init__()
        self.streams: dict[str, FakeStream] = {}

    def add_stream(self, name: str) -> FakeStream:
        self.streams[name] = FakeStream(self.add_topic(name, 3))
        return self.streams[name]

    def stream(self, name: str) -> StreamApi:
        self.topic(name)
        return self.streams[name]
