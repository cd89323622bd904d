"""The Faust shell: reads topics with aiokafka, runs the pipeline, gives results away, commits where to begin again.

Order of one step: rows are produced and acknowledged (or taken by the app's agents), then the input offsets are
committed with what was given in their metadata. A crash in between repeats rows with the same ids; nothing is lost and
nothing changes. One worker of an app runs the pipeline, the others stand by: one of them is assigned all partitions.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import faust
import msgspec
from mode import Service

from .clients import (
    Committed,
    Consumer,
    Place,
    Producer,
    Topics,
    address_of,
    commit,
    committed,
    id_of,
    is_passing,
    new_consumer,
    new_producer,
    subscribe,
)
from .durations import milliseconds
from .errors import PlanError, SourceError
from .events import NEVER_MS
from .outlets import BatchOutlet, RowOutlet, Sink, TopicSink
from .pipeline import Pipeline
from .readers import Resume, TopicReader, ViewReader
from .records import TICKS_VIEW, TIME_VIEW, Record, tick_of
from .streams import EventStream, MergePlan, check_topics
from .watermarks import GuessedWatermark
from .windows import WindowPlan

POLL_MS = 100
RECORDS_MAX = 8_192
COMMIT_EVERY_S = 1.0
RETRY_S = 1.0
# A worker that is told to hand over, or to stop, first ends its step and commits; no longer than this.
HANDOVER_S = 5.0
# Above this many waiting events the inputs that are ahead are not read: one that is far behind catches up first.
ALIGN_ABOVE_EVENTS = 100_000

log = logging.getLogger(__name__)

_merged: WeakKeyDictionary[faust.App, set[str]] = WeakKeyDictionary()


class _Given(msgspec.Struct):
    """Metadata of a committed offset: what is known before it, up to where rows were given, and by which plans."""

    tick: int
    watermark: int
    greatest: int
    emitted: int
    plans: str


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
    group = "+".join(plan.topics)
    if group in _merged.setdefault(app, set()):
        raise PlanError(f"{list(topics)} are merged twice in this app: give the first stream several results")
    _merged[app].add(group)
    return EventStream(plan, Runner(app, plan))


@dataclass(slots=True)
class _Work:
    """What one assignment of the input to this worker needs; made anew from the committed offsets each time."""

    pipeline: Pipeline
    views: list[ViewReader]
    topics: list[TopicReader]


class Runner(Service):
    """Owns the clients and the pipeline of one merged stream; started by the app once a result is asked for.

    Invariant: `_work` is None while this worker stands by. It is changed by the task under `_step_lock`, and taken away
    by a rebalance once the step under way has ended.
    """

    def __init__(self, app: faust.App, plan: MergePlan) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType] - mode has no types
        self._app = app
        self._plan = plan
        self._outputs: list[tuple[WindowPlan, Sink]] = []
        self._batches: list[BatchOutlet] = []
        self._sources = [topic + TIME_VIEW if plan.is_committed else topic for topic in plan.topics]
        self._group = ""
        self._consumer: Consumer | None = None
        self._ticks: Consumer | None = None
        self._producer: Producer | None = None
        self._work: _Work | None = None
        self._step_lock = asyncio.Lock()
        self._committed_at_s = 0.0
        self._late_told = 0

    # -- what is asked for, while the app is built --

    def publish(self, plan: WindowPlan, topic: str) -> None:
        self._add(plan, TopicSink(topic))

    def hand_rows(self, plan: WindowPlan) -> RowOutlet:
        outlet = RowOutlet(self._app)
        self._add(plan, outlet)
        return outlet

    def hand_batches(self, rows_max: int) -> BatchOutlet:
        outlet = BatchOutlet(self._app, rows_max)
        self._attach()
        self._batches.append(outlet)
        return outlet

    def _add(self, plan: WindowPlan, sink: Sink) -> None:
        self._attach()
        self._outputs.append((plan, sink))

    def _attach(self) -> None:
        if not self._outputs and not self._batches:
            self._app.service(self)  # pyright: ignore[reportArgumentType] - faust takes an instance as well as a class

    # -- life --

    async def on_start(self) -> None:
        address = address_of(self._app)
        self._group = f"{id_of(self._app)}-cep-{'+'.join(self._plan.topics)}"
        self._consumer = new_consumer(address, self._group)
        self._producer = new_producer(address)
        await self._producer.start()
        await self._consumer.start()
        if self._plan.is_committed:
            self._ticks = new_consumer(address, None)
            await self._ticks.start()

    async def on_stop(self) -> None:
        await self.revoking()
        for client in (self._consumer, self._ticks, self._producer):
            if client is not None:
                await client.stop()

    async def revoking(self) -> None:
        """The work may go to another worker: the step under way ends and commits first."""
        try:
            async with asyncio.timeout(HANDOVER_S), self._step_lock:
                self._work = None
        except TimeoutError:
            log.warning("%s: a step takes longer than %s s; its rows may come twice", self._group, HANDOVER_S)
            self._work = None

    def assigned(self) -> None:
        """Positions are those of the committed offsets again, so the state has to be as well."""
        self._work = None

    @Service.task
    async def _run(self) -> None:
        assert self._consumer is not None
        await self._prepare()
        subscribe(self._consumer, self._sources, self)
        while not self.should_stop:
            try:
                fetched = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=RECORDS_MAX)
                async with self._step_lock:
                    await self._take(fetched)
            except Exception as error:
                if self.should_stop:
                    return  # the clients are being closed under us
                if not is_passing(error):
                    raise
                log.warning("%s begins again from its last commit in %s s: %r", self._group, RETRY_S, error)
                self._work = None
                await self.sleep(RETRY_S)

    async def _prepare(self) -> None:
        """Wait until the topics exist, and make those of the results. Raises: SourceError, OutputError."""
        told = False
        async with Topics(address_of(self._app)) as topics:
            while missing := await topics.missing_of(self._plan.topics):
                if not told:
                    log.warning("%s waits for %s, which the broker does not have yet", self._group, missing)
                    told = True
                await self.sleep(RETRY_S)
                if self.should_stop:
                    return
            for source in await topics.missing_of(self._sources):
                raise SourceError(
                    f"the broker has no {source!r}: it commits no watermarks for this topic"
                    ' (a topic with a schema has them); cep.merge(..., watermarks="guessed") reads any topic'
                )
            wanted = [sink.topic for _, sink in self._outputs if isinstance(sink, TopicSink)]
            for topic in await topics.missing_of(wanted) if wanted else ():
                conf = self._app.conf
                await topics.create(topic, conf.topic_partitions, conf.topic_replication_factor)

    async def _take(self, fetched: Mapping[Place, Sequence[Record]]) -> None:
        assert self._consumer is not None
        if self.should_stop:
            return
        assigned = self._consumer.assignment()
        if not assigned:
            self._work = None
            return
        if self._work is None:
            self._work = await self._begin(assigned)
            return  # what was fetched is older than the place where the work begins
        work = self._work
        await (self._take_views(work, fetched) if self._plan.is_committed else self._take_topics(work, fetched))
        await self._step(work)

    # -- begin where the last worker left off --

    async def _begin(self, assigned: frozenset[Place]) -> _Work:
        assert self._consumer is not None
        resumes: list[Resume] = []
        emitted_ms = NEVER_MS
        for source in self._sources:
            places = sorted(place for place in assigned if place.topic == source)
            if not places:
                raise SourceError(f"{source!r} is gone, and with it a part of the stream")
            resume, given_ms = await self._committed_of(places)
            resumes.append(resume)
            emitted_ms = max(emitted_ms, given_ms)
        for source, resume in zip(self._sources, resumes, strict=True):
            for partition, offset in resume.offsets.items():
                self._consumer.seek(Place(source, partition), offset)
        self._consumer.resume(*self._consumer.paused())
        await self._seek_ticks(resumes)
        is_committed = self._plan.is_committed
        pipeline = Pipeline(
            range(len(resumes)),
            [plan for plan, _ in self._outputs],
            complete_ms=[resume.watermark_ms for resume in resumes],
            emitted_ms=emitted_ms,
        )
        log.info("%s begins at %s, rows given up to %s", self._group, resumes, emitted_ms)
        self._late_told = 0
        return _Work(
            pipeline,
            [ViewReader(stream, resume) for stream, resume in enumerate(resumes)] if is_committed else [],
            [] if is_committed else [self._topic_reader(stream, resume) for stream, resume in enumerate(resumes)],
        )

    async def _seek_ticks(self, resumes: Sequence[Resume]) -> None:
        if self._ticks is None:
            return
        places = [Place(topic + TICKS_VIEW, 0) for topic in self._plan.topics]
        self._ticks.assign(places)
        for place, resume in zip(places, resumes, strict=True):
            self._ticks.seek(place, resume.tick)  # tick n stands at offset n - 1

    def _topic_reader(self, stream: int, resume: Resume) -> TopicReader:
        now_ms = _now_ms()
        guess = GuessedWatermark(
            resume.offsets, lateness_ms=self._plan.lateness_ms, idle_ms=self._plan.idle_ms, now_ms=now_ms
        )
        for partition, greatest_ms in resume.greatest_ms.items():
            guess.saw(partition, greatest_ms, now_ms)
        return TopicReader(stream, resume, guess)

    async def _committed_of(self, places: Sequence[Place]) -> tuple[Resume, int]:
        """Where an input begins, and up to where rows have been given. Raises: SourceError, PlanError."""
        assert self._consumer is not None
        found = await committed(self._consumer, places)
        firsts = await self._consumer.beginning_offsets(places)
        ends = await self._consumer.end_offsets(places)
        offsets: dict[int, int] = {}
        greatest: dict[int, int] = {}
        tick, watermark_ms, emitted_ms = 0, NEVER_MS, NEVER_MS
        for place in places:
            known = found.get(place)
            if known is None:
                offsets[place.partition] = firsts[place]
                continue
            if not firsts[place] <= known.offset <= ends[place]:
                raise SourceError(
                    f"{place.topic!r} {place.partition} holds {firsts[place]} to {ends[place]}, the app stopped at"
                    f" {known.offset}: what it needs is gone; delete the group {self._group!r} to begin anew"
                )
            offsets[place.partition] = known.offset
            state = msgspec.json.decode(known.metadata, type=_Given)
            if state.plans != self._plans_digest:
                raise PlanError(
                    f"the results asked for are not those that {self._group!r} committed: open windows would be"
                    " wrong; give the app a new id or version"
                )
            tick, watermark_ms = state.tick, state.watermark
            greatest[place.partition] = state.greatest
            emitted_ms = max(emitted_ms, state.emitted)
        return Resume(offsets, tick, watermark_ms, greatest), emitted_ms

    @property
    def _plans_digest(self) -> str:
        plans = [
            (plan.name, plan.size_ms, plan.origin_ms, plan.by, [a.columns for a in plan.aggregates], sink.name)
            for plan, sink in self._outputs
        ]
        return hashlib.blake2s(msgspec.json.encode(plans), digest_size=8).hexdigest()

    # -- one step --

    async def _take_views(self, work: _Work, fetched: Mapping[Place, Sequence[Record]]) -> None:
        assert self._ticks is not None
        ticks = await self._ticks.getmany(timeout_ms=0, max_records=RECORDS_MAX)
        for stream, (topic, reader) in enumerate(zip(self._plan.topics, work.views, strict=True)):
            reader.records(fetched.get(Place(topic + TIME_VIEW, 0), ()))
            found = ticks.get(Place(topic + TICKS_VIEW, 0), ())
            reader.ticks(tick_of(record.value) for record in found)
            work.pipeline.feed(stream, reader.arrived())

    async def _take_topics(self, work: _Work, fetched: Mapping[Place, Sequence[Record]]) -> None:
        assert self._consumer is not None
        for stream, (topic, reader) in enumerate(zip(self._plan.topics, work.topics, strict=True)):
            for place in self._consumer.assignment():
                if place.topic == topic:
                    end = self._consumer.highwater(place)
                    is_at_end = end is not None and await self._consumer.position(place) >= end
                    reader.records(place.partition, fetched.get(place, ()), _now_ms(), is_at_end=is_at_end)
            work.pipeline.feed(stream, reader.arrived(_now_ms()))

    async def _step(self, work: _Work) -> None:
        assert self._producer is not None
        batch, rows_by_plan = work.pipeline.step()
        for (_, sink), rows in zip(self._outputs, rows_by_plan, strict=True):
            await sink.give(rows, self._producer)
        if batch is not None:
            for outlet in self._batches:
                await outlet.give(batch)
        self._align(work)
        if any(rows_by_plan) or time.monotonic() - self._committed_at_s >= COMMIT_EVERY_S:
            await self._commit(work)

    def _align(self, work: _Work) -> None:
        """While many events wait, read only what holds the watermark."""
        assert self._consumer is not None
        if work.pipeline.waiting_count <= ALIGN_ABOVE_EVENTS:
            ahead: set[Place] = set()
        elif self._plan.is_committed:
            slowest = self._sources[work.pipeline.slowest]
            ahead = {place for place in self._consumer.assignment() if place.topic != slowest}
        else:
            held = {
                Place(topic, number)
                for topic, reader in zip(self._plan.topics, work.topics, strict=True)
                for number in reader.holding
            }
            ahead = set(self._consumer.assignment()) - held
        paused = set(self._consumer.paused())
        self._consumer.resume(*(paused - ahead))
        self._consumer.pause(*(ahead - paused))

    async def _commit(self, work: _Work) -> None:
        assert self._consumer is not None
        for _, sink in self._outputs:
            await sink.settle()
        for outlet in self._batches:
            await outlet.settle()
        if self._work is not work:
            return  # the work was taken away meanwhile; whoever has it gives the same rows again
        self._committed_at_s = time.monotonic()
        pipeline = work.pipeline
        needed_ms = pipeline.needed_ms
        offsets: dict[Place, Committed] = {}
        for source, reader in zip(self._sources, work.views or work.topics, strict=True):
            resume = reader.resume_at(needed_ms)
            for partition, offset in resume.offsets.items():
                greatest_ms = resume.greatest_ms.get(partition, NEVER_MS)
                state = _Given(resume.tick, resume.watermark_ms, greatest_ms, pipeline.emitted_ms, self._plans_digest)
                offsets[Place(source, partition)] = Committed(offset, msgspec.json.encode(state).decode())
        if not await commit(self._consumer, offsets):
            log.warning("%s was given to another worker", self._group)
            self._work = None
        if pipeline.late_count > self._late_told:
            log.warning("%s: %s events came late so far and are in no window", self._group, pipeline.late_count)
            self._late_told = pipeline.late_count


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
