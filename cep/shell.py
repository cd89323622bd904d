"""The Faust shell: reads topics with aiokafka, runs the pipeline, publishes rows, commits where to begin again.

Order of one step: rows are produced and acknowledged, then the input offsets are committed with what was emitted in
their metadata. A crash in between repeats rows with the same ids; nothing is lost and nothing changes. One worker of an
app runs the pipeline, the others stand by: the group gives the view's single partition to one of them.
"""

import logging
import time
from collections.abc import Mapping, Sequence

import faust
import msgspec
import orjson
from mode import Service

from .clients import (
    Committed,
    Consumer,
    Place,
    Producer,
    address_of,
    commit,
    committed,
    id_of,
    new_consumer,
    new_producer,
    partitions_of,
    subscribe,
)
from .durations import milliseconds
from .errors import PlanError, SourceError
from .events import NEVER_MS
from .pipeline import Pipeline
from .readers import Resume, TopicReader, ViewReader
from .records import ROW_HEADER, TICKS_VIEW, TIME_VIEW, Record, tick_of
from .streams import EventStream, MergePlan, check_topics
from .watermarks import GuessedWatermark
from .windows import WindowPlan

POLL_MS = 100
RECORDS_MAX = 8_192
COMMIT_EVERY_S = 1.0

log = logging.getLogger(__name__)


class _Given(msgspec.Struct):
    """Metadata of a committed offset: the tick before it, its watermark, and up to where rows have been given."""

    tick: int
    watermark: int
    emitted: int


def merge(
    app: faust.App,
    *topics: str,
    watermarks: str = "committed",
    lateness: str | int = "2s",
    idle: str | int = "5s",
) -> EventStream:
    """The events of one or more topics as one stream in event-time order.

    watermarks: "committed" reads a Timesplit topic by its ticks (`t.__time`, `t.__ticks`): lateness and idleness are
    the topic's own. "guessed" reads the topic of any Kafka broker, with `lateness` and `idle` judged on this side.
    Raises: PlanError.
    """
    if watermarks not in {"committed", "guessed"}:
        raise PlanError(f'watermarks must be "committed" or "guessed", not {watermarks!r}')
    plan = MergePlan(
        topics=check_topics(topics),
        is_committed=watermarks == "committed",
        lateness_ms=milliseconds(lateness),
        idle_ms=milliseconds(idle),
    )
    return EventStream(plan, Runner(app, plan))


class Runner(Service):
    """Owns the clients and the pipeline of one merged stream; started by the app once something is published.

    Invariant: `_pipeline` is None while this worker stands by, and is made anew from the committed offsets each time
    the work is assigned to it.
    """

    def __init__(self, app: faust.App, plan: MergePlan) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType] - mode has no types
        self._app = app
        self._plan = plan
        self._outputs: list[tuple[WindowPlan, str]] = []
        self._consumer: Consumer | None = None
        self._ticks: Consumer | None = None
        self._producer: Producer | None = None
        self._pipeline: Pipeline | None = None
        self._views: list[ViewReader] = []
        self._topics: list[TopicReader] = []
        self._committed_at_s = 0.0
        self.row_count = 0

    def publish(self, plan: WindowPlan, topic: str) -> None:
        if not self._outputs:
            self._app.service(self)  # pyright: ignore[reportArgumentType] - faust takes an instance as well as a class
        self._outputs.append((plan, topic))

    async def on_start(self) -> None:
        address = address_of(self._app)
        self._consumer = new_consumer(address, f"{id_of(self._app)}-cep-{'-'.join(self._plan.topics)}")
        self._producer = new_producer(address)
        await self._producer.start()
        await self._consumer.start()
        if self._plan.is_committed:
            self._ticks = new_consumer(address, None)
            await self._ticks.start()
            subscribe(self._consumer, [topic + TIME_VIEW for topic in self._plan.topics], self._stand_by)
        else:
            self._consumer.assign(await self._all_partitions())

    def _stand_by(self) -> None:
        self._pipeline = None

    async def on_stop(self) -> None:
        for client in (self._consumer, self._ticks, self._producer):
            if client is not None:
                await client.stop()

    async def _all_partitions(self) -> list[Place]:
        assert self._consumer is not None
        found: list[Place] = []
        for topic in self._plan.topics:
            partitions = await partitions_of(self._consumer, topic)
            if not partitions:
                raise SourceError(f"topic {topic!r} does not exist")
            found += partitions
        return found

    @Service.task
    async def _run(self) -> None:
        assert self._consumer is not None
        while not self.should_stop:
            fetched = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=RECORDS_MAX)
            if not await self._has_work():
                continue
            await (self._take_views(fetched) if self._plan.is_committed else self._take_topics(fetched))
            await self._step()

    async def _has_work(self) -> bool:
        """Whether the whole input is assigned to this worker; (re)builds the pipeline when it newly is."""
        assert self._consumer is not None
        assigned = self._consumer.assignment()
        if not assigned:
            self._stand_by()
            return False
        if self._plan.is_committed and len(assigned) != len(self._plan.topics):
            raise SourceError(f"the group split the views: {sorted(assigned)}")
        if self._pipeline is None:
            await self._begin()
            return False
        return True

    # -- begin where the last worker left off --

    async def _begin(self) -> None:
        assert self._consumer is not None
        resumes: list[Resume] = []
        emitted_ms = NEVER_MS
        for topic in self._plan.topics:
            resume, given_ms = await self._committed_of(topic)
            resumes.append(resume)
            emitted_ms = max(emitted_ms, given_ms)
        self._views, self._topics = [], []
        for stream, (topic, resume) in enumerate(zip(self._plan.topics, resumes, strict=True)):
            for partition, offset in resume.offsets.items():
                self._consumer.seek(Place(self._source_of(topic), partition), offset)
            if self._plan.is_committed:
                self._views.append(ViewReader(stream, resume))
            else:
                guess = GuessedWatermark(
                    resume.offsets, lateness_ms=self._plan.lateness_ms, idle_ms=self._plan.idle_ms, now_ms=_now_ms()
                )
                self._topics.append(TopicReader(stream, resume, guess))
        if self._ticks is not None:
            tick_partitions = [Place(topic + TICKS_VIEW, 0) for topic in self._plan.topics]
            self._ticks.assign(tick_partitions)
            for partition, resume in zip(tick_partitions, resumes, strict=True):
                self._ticks.seek(partition, resume.tick)  # tick n stands at offset n - 1
        self._pipeline = Pipeline(
            range(len(resumes)),
            [plan for plan, _ in self._outputs],
            complete_ms=[resume.watermark_ms for resume in resumes],
            emitted_ms=emitted_ms,
        )
        log.info("%s begins at %s, rows given up to %s", self._plan.topics, resumes, emitted_ms)

    async def _committed_of(self, topic: str) -> tuple[Resume, int]:
        """Where the input begins, and up to where rows have been given."""
        assert self._consumer is not None
        source = self._source_of(topic)
        partitions = sorted(p for p in self._consumer.assignment() if p.topic == source)
        found = await committed(self._consumer, partitions)
        offsets: dict[int, int] = {}
        tick, watermark_ms, emitted_ms = 0, NEVER_MS, NEVER_MS
        for partition in partitions:
            known = found.get(partition)
            if known is None:
                offsets[partition.partition] = (await self._consumer.beginning_offsets([partition]))[partition]
                continue
            offsets[partition.partition] = known.offset
            state = msgspec.json.decode(known.metadata, type=_Given)
            tick, watermark_ms, emitted_ms = state.tick, state.watermark, max(emitted_ms, state.emitted)
        return Resume(offsets, tick, watermark_ms), emitted_ms

    def _source_of(self, topic: str) -> str:
        return topic + TIME_VIEW if self._plan.is_committed else topic

    # -- one step --

    async def _take_views(self, fetched: Mapping[Place, Sequence[Record]]) -> None:
        assert self._ticks is not None
        assert self._pipeline is not None
        ticks = await self._ticks.getmany(timeout_ms=0, max_records=RECORDS_MAX)
        for stream, topic in enumerate(self._plan.topics):
            reader = self._views[stream]
            reader.records(fetched.get(Place(topic + TIME_VIEW, 0), ()))
            found = ticks.get(Place(topic + TICKS_VIEW, 0), ())
            reader.ticks(tick_of(record.value) for record in found)
            self._pipeline.feed(stream, reader.arrived())

    async def _take_topics(self, fetched: Mapping[Place, Sequence[Record]]) -> None:
        assert self._consumer is not None
        assert self._pipeline is not None
        for stream, topic in enumerate(self._plan.topics):
            reader = self._topics[stream]
            for partition in self._consumer.assignment():
                if partition.topic == topic:
                    end = self._consumer.highwater(partition)
                    reader.records(partition.partition, fetched.get(partition, ()), end, _now_ms())
            self._pipeline.feed(stream, reader.arrived(_now_ms()))

    async def _step(self) -> None:
        assert self._pipeline is not None
        assert self._producer is not None
        _, rows_by_plan = self._pipeline.step()
        sent = [
            await self._producer.send(
                topic,
                orjson.dumps(row.values),
                row.key.encode(),
                timestamp_ms=row.timestamp_ms,
                headers=[(ROW_HEADER, row.row_id.encode())],
            )
            for (_, topic), rows in zip(self._outputs, rows_by_plan, strict=True)
            for row in rows
        ]
        for delivery in sent:
            await delivery
        self.row_count += len(sent)
        if sent or time.monotonic() - self._committed_at_s >= COMMIT_EVERY_S:
            await self._commit()

    async def _commit(self) -> None:
        assert self._consumer is not None
        assert self._pipeline is not None
        self._committed_at_s = time.monotonic()
        needed_ms = self._pipeline.needed_ms
        offsets: dict[Place, Committed] = {}
        for topic, reader in zip(self._plan.topics, self._views or self._topics, strict=True):
            resume = reader.resume_at(needed_ms)
            state = _Given(resume.tick, resume.watermark_ms, self._pipeline.emitted_ms)
            for partition, offset in resume.offsets.items():
                place = Place(self._source_of(topic), partition)
                offsets[place] = Committed(offset, msgspec.json.encode(state).decode())
        await commit(self._consumer, offsets)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
