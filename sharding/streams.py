"""A topic by event time: one answer over its historic runs and its live indexes. Fulfils `interfaces.StreamApi`.

Every query is linearizable, on any replica: a read barrier on each shard of the topic, then the live indexes are waited
for up to what is committed by then, and up to the cut of the last tick by then. Runs, snapshots and tick are taken in
one turn of the loop, so that they fit together; the query itself runs in worker threads. What a query reads stays valid
while the topic goes on, is sealed, or is deleted. Splits and watermark are told as this replica knows them.
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

import anyio
import anyio.to_thread
import msgspec
import numpy as np

from store.answers import EventsStream, aggregate_table
from store.blocks import Source
from store.errors import DamagedRunError
from store.events import TIMESTAMP_MS_MAX, TIMESTAMP_MS_MIN, TimeRange
from store.manifest import SplitManifest
from store.queries import AggregateQuery, EventsQuery
from store.reading import Reading
from store.ticks import Tick

from .barriers import pass_barriers
from .errors import NotLeaderError, NotReplicatedHereError, TimedOutError
from .historic import HistoricSplit, TopicHistory
from .interfaces import (
    AggregateAnswer,
    AnswerMeta,
    EventsAnswer,
    PartitionSpan,
    SplitDescription,
    Topic,
    WatermarkDescription,
)
from .live import LiveTopic
from .sealing import Sealer
from .shard import Shard
from .shard_state import Chain
from .stream_topic import StreamTopic

if TYPE_CHECKING:
    import pyarrow as pa

TOKEN_FORMAT = 1
# For a replica that is behind to apply and index what was acknowledged before.
FRESH_DEADLINE_S = 10.0
T = TypeVar("T")


class HeldTopic(Protocol):
    """What the node holds of the topic; `time_services.TopicTime` fulfils it."""

    @property
    def topic(self) -> StreamTopic: ...
    @property
    def history(self) -> TopicHistory: ...


class StreamHost(Protocol):
    """What a stream needs of its node; `time_services.TimeServices` fulfils it."""

    @property
    def node_id(self) -> int: ...
    @property
    def limiter(self) -> anyio.CapacityLimiter: ...
    @property
    def sealer(self) -> Sealer: ...
    def places_of(self, topic: StreamTopic) -> list[tuple[Shard, Chain]]: ...
    def shards_of(self, topic: StreamTopic) -> Iterable[Shard]:
        """Raises: NotReplicatedHereError unless all are here."""
        ...

    def live_of(self, topic_id: bytes) -> LiveTopic: ...
    def last_tick(self, topic: StreamTopic) -> Tick: ...
    def tick_or_none(self, topic_id: bytes, number: int) -> Tick | None: ...
    def other_replicas(self, topic_id: bytes) -> Sequence[int]: ...
    def on_unreadable(self, topic_id: bytes) -> None:
        """A run of the topic could not be read."""
        ...


class Token(msgspec.Struct, array_like=True, frozen=True):
    """What an answer saw: the committed end per partition, and the last tick."""

    format: int
    topic_id: bytes
    tick: int
    offsets: list[int]

    def pack(self) -> str:
        return base64.urlsafe_b64encode(msgspec.msgpack.encode(self)).rstrip(b"=").decode("ascii")


class _View:
    """What one query reads, taken in one turn of the loop."""

    def __init__(self, stream: "Stream", live: LiveTopic, historic: Sequence[HistoricSplit], tick: Tick) -> None:
        self.historic = historic
        self.live = live.snapshots()
        self.tick = tick
        self.offsets = [partition.indexed_offset for partition in live.partitions]
        last = historic[-1].manifest.number if historic else -1
        self.live_split_count = stream.newest_number() - last
        runs = [run for split in historic for run in split.opened.runs]
        sources: list[Source] = [*runs, *self.live]
        self.reading = Reading(sources=sources, schema=stream.topic.schema, tick=tick if tick.number else None)


class Stream:
    """Made per request; holds nothing."""

    def __init__(self, topic: Topic, held: HeldTopic, host: StreamHost) -> None:
        self.topic = topic
        self._held = held
        self._host = host

    async def events(self, query: EventsQuery) -> EventsAnswer:
        view = await self._fresh_view(query.span)
        stream = await self._in_thread(lambda: EventsStream(view.reading, query))
        return EventsAnswer(
            self._meta(view, query.span),
            stream.schema,
            self._batches(stream),
            cursor=lambda: stream.cursor if stream.is_cut_off else None,
        )

    async def aggregate(self, query: AggregateQuery) -> AggregateAnswer:
        view = await self._fresh_view(query.span)
        table = await self._in_thread(lambda: aggregate_table(view.reading, query))
        return AggregateAnswer(self._meta(view, query.span), table)

    async def offsets(self, span: TimeRange) -> list[PartitionSpan]:
        view = await self._fresh_view(span)
        partition_count = self.topic.partition_count
        return await self._in_thread(lambda: _spans_of(view.historic, view.live, span, partition_count))

    def splits(self) -> list[SplitDescription]:
        chains = [chain for _, chain in self._host.places_of(self._held.topic)]
        opened_ms = {split.number: split.opened_ms for split in chains[0].splits}
        historic = [
            _historic_description(manifest, opened_ms.get(manifest.number, 0))
            for manifest in self._held.history.published
        ]
        return [*historic, *(_live_description(chains, number) for number in self.unsealed_numbers())]

    def watermark(self) -> WatermarkDescription:
        tick = self._host.last_tick(self._held.topic)
        ledger = self._host.live_of(self._held.topic.topic_id).ledger_or_none
        totals = self._held.history.totals if ledger is None else ledger.totals
        watermark_ms = tick.watermark_ms if tick.number else None
        return WatermarkDescription(
            tick=tick.number, watermark_ms=watermark_ms, cut=list(tick.cut), late_count=sum(totals.late)
        )

    async def seal(self, *, at_least_ms: int | None = None) -> SplitDescription | None:
        number = await self._host.sealer.seal(self.topic.topic_id.bytes, at_least_ms)
        return None if number is None else next(split for split in self.splits() if split.number == number)

    def unsealed_numbers(self) -> range:
        """The splits that no manifest describes; the last one is open, the others are sealing."""
        last = self._held.history.last_or_none
        return range(0 if last is None else last.number + 1, self.newest_number() + 1)

    def newest_number(self) -> int:
        """The number of the open split."""
        return max(chain.newest.number for _, chain in self._host.places_of(self._held.topic))

    async def _fresh_view(self, span: TimeRange) -> _View:
        """All that was acknowledged before this call, per partition.

        Raises: NotLeaderError, NotReplicatedHereError, TimedOutError.
        """
        topic = self._held.topic
        try:
            async with asyncio.timeout(FRESH_DEADLINE_S):
                await pass_barriers(self._host.shards_of(topic))
                live = self._host.live_of(topic.topic_id)
                tick = self._host.last_tick(topic)
                for partition in live.partitions:
                    # A tick's cut is committed where the partition is led, and on its way here.
                    await partition.wait_indexed(
                        max(partition.log.committed_offset, _cut_of(tick, partition.partition))
                    )
        except TimeoutError as error:
            raise TimedOutError(f"this replica is more than {FRESH_DEADLINE_S:g} s behind") from error
        # No await from here on: runs, snapshots and tick are of one moment.
        if self._host.live_of(topic.topic_id) is not live:
            raise NotLeaderError(message=f"the live index of {topic.name} has begun anew")
        history = self._held.history
        for split in history.splits:
            if split.manifest.number in history.damaged and _overlap(split.manifest.span, span):
                raise NotReplicatedHereError(
                    f"split {split.manifest.number}", self._host.other_replicas(topic.topic_id)
                )
        return _View(self, live, history.splits, self._newest_indexed(live, tick))

    def _newest_indexed(self, live: LiveTopic, known: Tick) -> Tick:
        """The newest tick whose cut is indexed here; `known` is one. A replica may hear of a tick before its events."""
        topic = self._held.topic
        tick = self._host.last_tick(topic)
        while tick.number > known.number:
            if all(one.indexed_offset >= _cut_of(tick, one.partition) for one in live.partitions):
                return tick
            if (before := self._host.tick_or_none(topic.topic_id, tick.number - 1)) is None:
                break
            tick = before
        return known

    def _meta(self, view: _View, span: TimeRange) -> AnswerMeta:
        tick = view.tick
        token = Token(TOKEN_FORMAT, self.topic.topic_id.bytes, tick.number, view.offsets)
        touched = [split for split in view.historic if _overlap(split.manifest.span, span)]
        return AnswerMeta(
            as_of=token.pack(),
            watermark_ms=tick.watermark_ms if tick.number else None,
            live_splits=view.live_split_count,
            historic_splits=len(touched),
            served_by=self._host.node_id,
            plan=view.reading.counts.mapping(),
        )

    async def _batches(self, stream: EventsStream) -> "AsyncIterator[pa.RecordBatch]":
        batches: Iterator[pa.RecordBatch] = iter(stream)
        while (batch := await self._in_thread(lambda: next(batches, None))) is not None:
            yield batch

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await anyio.to_thread.run_sync(work, limiter=self._host.limiter)
        except DamagedRunError as error:
            topic_id = self._held.topic.topic_id
            self._host.on_unreadable(topic_id)
            if others := self._host.other_replicas(topic_id):
                raise NotReplicatedHereError(f"a run of {self.topic.name!r}, whole,", others) from error
            raise


def _cut_of(tick: Tick, partition: int) -> int:
    return tick.cut[partition] if partition < len(tick.cut) else 0


def _overlap(left: TimeRange, right: TimeRange) -> bool:
    return max(left.first_ms, right.first_ms) < min(left.end_ms, right.end_ms)


def _spans_of(
    historic: Sequence[HistoricSplit], live: Sequence[Source], span: TimeRange, partition_count: int
) -> list[PartitionSpan]:
    """Per partition the least and the greatest offset of the events in the span, and how many they are."""
    firsts = np.full(partition_count, np.iinfo(np.int64).max)
    ends = np.zeros(partition_count, np.int64)
    counts = np.zeros(partition_count, np.int64)
    sources: list[Source] = list(live)
    for split in historic:
        covered = split.manifest.span
        if span.first_ms <= covered.first_ms and covered.end_ms <= span.end_ms:
            # The manifest knows every offset of its split.
            for partition, part in enumerate(split.manifest.parts):
                for first, end in part.intervals:
                    firsts[partition] = min(int(firsts[partition]), first)
                    ends[partition] = max(int(ends[partition]), end)
                    counts[partition] += end - first
        elif _overlap(covered, span):
            sources += split.opened.runs
    for source in sources:
        for block in source.blocks(span, ()):
            np.minimum.at(firsts, block.partitions, block.offsets)
            np.maximum.at(ends, block.partitions, block.offsets + 1)
            counts += np.bincount(block.partitions, minlength=partition_count)
    return [
        PartitionSpan(
            partition=partition,
            first_offset=int(firsts[partition]) if counts[partition] else 0,
            end_offset=int(ends[partition]),
            count=int(counts[partition]),
        )
        for partition in range(partition_count)
    ]


def _historic_description(manifest: SplitManifest, opened_ms: int) -> SplitDescription:
    has_rows = manifest.row_count > 0
    return SplitDescription(
        number=manifest.number,
        state="historic",
        first_ms=manifest.span.first_ms if has_rows else None,
        last_ms=manifest.span.end_ms - 1 if has_rows else None,
        count=manifest.row_count,
        bytes=manifest.size_bytes,
        end_offsets=list(manifest.end_offsets),
        files=[run.name for run in manifest.runs],
        opened_ms=opened_ms,
        sha256=dict(manifest.sha256),
    )


def _live_description(chains: Sequence[Chain], number: int) -> SplitDescription:
    splits = [split for chain in chains for split in chain.splits if split.number == number]
    least_ms = min((split.least_ms for split in splits), default=TIMESTAMP_MS_MAX)
    greatest_ms = max((split.split_greatest_ms for split in splits), default=TIMESTAMP_MS_MIN)
    return SplitDescription(
        number=number,
        state="sealing" if splits and all(split.is_closed for split in splits) else "open",
        # Without schema and views nobody computes the least timestamp of a batch.
        first_ms=None if least_ms in {TIMESTAMP_MS_MAX, TIMESTAMP_MS_MIN} else least_ms,
        last_ms=None if greatest_ms == TIMESTAMP_MS_MIN else greatest_ms,
        count=sum(split.record_count for split in splits),
        bytes=sum(split.size_bytes for split in splits),
        end_offsets=[split.committed_offset for split in splits],
        files=(),
        opened_ms=min((split.opened_ms for split in splits), default=0),
    )
