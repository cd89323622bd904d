"""Cutting and sealing: when the open split of a topic ends, and how a closed one becomes historic.

A split is cut by age, size, silence or command; the node's cut closes it in the shards' logs. Closed splits are sealed
one after the other: a tick that reaches the split's end, a merge job over the log in a process of its own, a look at
what it made, and the manifest into the catalog by compare-and-set. From the moment the catalog has it, runs answer for
the split: whoever follows the catalog drops the sealed events in that very callback (`time_services`).

On a cluster the leader of partition 0 does this, and the other replicas copy the runs before the manifest is published
(`copies`). Two leaders, one of whom does not know yet that it was deposed, may seal the same split at a time: their
runs have different names, and the compare-and-set decides.

Nothing here is remembered over a restart: what is closed and has no manifest is sealed again, from the start. Files
that no manifest names go once their split is published, or at a start where no other node can be about to name them.
"""

import asyncio
import logging
import shutil
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol
from uuid import UUID

import anyio
import anyio.abc
import anyio.to_thread

from store.emission import Ledger
from store.manifest import SplitManifest
from store.merge_job import MergeJob
from store.ticks import Tick

from .commands.command import Command
from .commands.ticks import ForgetTicks
from .copies import Copies
from .errors import (
    NotLeaderError,
    NotReplicatedHereError,
    SealingError,
    ShardingError,
    TimedOutError,
    UnknownTopicIdError,
)
from .historic import TopicHistory
from .merging import FIRST_VERSION, Leftovers, SplitToSeal, merge_in_process, remove_leftovers, verify
from .shard import Shard
from .shard_state import Chain
from .stream_topic import StreamTopic
from .timekeeper import TickWish, Timekeeper
from .write_split import WriteSplit

MergeRunner = Callable[[MergeJob], Awaitable[SplitManifest]]


def loop_ms() -> int:
    return int(asyncio.get_running_loop().time() * 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealingSettings:
    """`topics_folder` holds the runs: `<topic uuid>/<split>/<run>`.

    `silence_ms`: an open split without appends for this long is cut; None: silence alone cuts nothing.

    A failed attempt is repeated after `retry_ms`, doubled each time up to `retry_ms_max`. `run_merge` None: a process
    of its own per job. `seal_timeout_ms`: so long a caller of `seal` waits; what it asked for goes on.
    `monotonic_ms`: age and silence are measured by it, so that a step of the wall clock cuts nothing.
    """

    topics_folder: Path
    check_ms: int = 1_000
    silence_ms: int | None = None
    retry_ms: int = 1_000
    retry_ms_max: int = 60_000
    merge_timeout_ms: int = 3_600_000
    seal_timeout_ms: int = 300_000
    monotonic_ms: Callable[[], int] = loop_ms
    run_merge: MergeRunner | None = None


@dataclass(frozen=True, slots=True)
class SealingFailure:
    """The last failure of a topic's sealing, for metrics and `splits`."""

    number: int
    attempt_count: int
    message: str


class SealHost(Protocol):
    """What sealing needs of its node."""

    def listed_topics(self) -> Iterable[StreamTopic]:
        """All that the catalog lists, led here or not."""
        ...

    def led_topics(self) -> Iterable[StreamTopic]: ...
    def led_topic_or_none(self, topic_id: bytes) -> StreamTopic | None: ...
    def places_of(self, topic: StreamTopic) -> Sequence[tuple[Shard, Chain]]:
        """Per partition. Raises: ShardingError where one is not to be found."""
        ...

    def history_of(self, topic: StreamTopic) -> TopicHistory: ...
    def tick_or_none(self, topic_id: bytes, number: int) -> Tick | None: ...
    def live_ledger_or_none(self, topic_id: bytes) -> Ledger | None:
        """What the live side has counted, if the topic has views; it may lag behind."""
        ...

    def submit(self, topic_id: bytes, partition: int, command: Command) -> Awaitable[object]: ...
    @property
    def node_id(self) -> int: ...
    def replicas_of(self, topic: StreamTopic) -> Sequence[int]:
        """The nodes that have the whole topic."""
        ...

    def leader_or_none(self, topic_id: bytes) -> int | None:
        """Who leads the topic's partition 0, as far as this node knows."""
        ...

    async def catch_up(self, topic: StreamTopic) -> None:
        """Read barriers on the topic's shards. Raises: ShardingError."""
        ...

    async def catalog_barrier(self) -> None:
        """Raises: NotLeaderError."""
        ...

    async def cut(self, topic_id: UUID) -> tuple[int, tuple[int, ...]] | None: ...
    async def publish_run(self, topic_id: UUID, number: int, version: int, manifest: bytes) -> bool: ...


class Sealer:
    """Owns the background work of cutting and sealing. One merge at a time; one task per topic that has closed splits.

    Topics are cut and sealed by the node that leads their partition 0.
    """

    def __init__(  # noqa: PLR0913 - what sealing works with, given once
        self,
        host: SealHost,
        keeper: Timekeeper,
        copies: Copies,
        settings: SealingSettings,
        *,
        now_ms: Callable[[], int],
        limiter: anyio.CapacityLimiter,
        logger: logging.Logger,
    ) -> None:
        self._host = host
        self._keeper = keeper
        self._copies = copies
        self._settings = settings
        self._now_ms = now_ms
        self._limiter = limiter
        self._logger = logger
        self._topics_folder = settings.topics_folder.absolute()
        self._merging = anyio.Lock()
        # Topics with data in their open split -> since when that split counts, and when it last grew; monotonic.
        self._since_ms: dict[bytes, int] = {}
        self._grown_ms: dict[bytes, int] = {}
        self._sealing: set[bytes] = set()
        # Topics to seal, from callbacks, which can start no task: `run` does.
        self._due: deque[bytes] = deque()
        self._wake = anyio.Event()
        self._seal_ms: dict[tuple[bytes, int], int | None] = {}
        # Topics that `seal` is about to cut: the new split waits until its watermark is known.
        self._cutting: Counter[bytes] = Counter()
        self._failures: dict[bytes, SealingFailure] = {}
        # Merged, verified, and not published yet: an attempt that failed behind the merge goes on with these runs.
        self._merged: dict[tuple[bytes, int], SplitManifest] = {}
        # Folders of deleted topics.
        self._doomed: list[Path] = []
        self._changed = anyio.Event()
        self._is_running = False

    @property
    def failures(self) -> Mapping[bytes, SealingFailure]:
        """By topic id; a topic leaves it with its next success."""
        return self._failures

    def on_append(self, split: WriteSplit) -> None:
        """An append was applied, here or where it is led; cheap, called for each."""
        topic_id = split.topic_id
        if topic_id not in self._since_ms and self._host.led_topic_or_none(topic_id) is not None:
            self._since_ms[topic_id] = self._settings.monotonic_ms()
        if self._settings.silence_ms is not None and topic_id in self._since_ms:
            self._grown_ms[topic_id] = self._settings.monotonic_ms()

    async def run(self) -> None:
        """Cut and seal until cancelled."""
        await self._tidy()
        try:
            async with anyio.create_task_group() as tasks:
                self._is_running = True
                self.on_leader()
                tasks.start_soon(self._start_sealing, tasks)
                while True:
                    for topic_id in list(self._since_ms):
                        await self._cut_if_due(topic_id)
                    while self._doomed:
                        remove = partial(shutil.rmtree, self._doomed.pop(), ignore_errors=True)
                        await anyio.to_thread.run_sync(remove, limiter=self._limiter)
                    await anyio.sleep(self._settings.check_ms / 1000)
        finally:
            # What is closed now is found by the next run.
            self._is_running = False
            self._sealing.clear()
            self._due.clear()

    async def _start_sealing(self, tasks: anyio.abc.TaskGroup) -> None:
        while True:
            self._wake = anyio.Event()
            while self._due:
                tasks.start_soon(self._seal_closed, self._due.popleft())
            await self._wake.wait()

    def on_leader(self) -> None:
        """This node may lead more than before: splits that it has to cut, or to seal."""
        for topic in self._host.led_topics():
            if topic.topic_id not in self._since_ms and (places := self._places_or_none(topic)):
                # How old it was before this node led it, only the wall clock can say.
                age_ms = max(0, self._now_ms() - places[0][1].newest.opened_ms)
                self._restart_age(topic.topic_id, places, self._settings.monotonic_ms() - age_ms)
            self._seal_soon(topic.topic_id)

    async def seal(self, topic_id: bytes, at_least_ms: int | None = None) -> int | None:
        """End the open split now with W = its highest timestamp; its number once it is historic; None if it is empty.

        An empty open split whose predecessor is being sealed: that one is waited for.
        `at_least_ms`: a higher W on the caller's word (`Timekeeper.seal_ms`).

        Raises: SealingError when the first attempt fails, TimedOutError, NotLeaderError, UnknownTopicIdError,
            NotReplicatedHereError.
        """
        timeout_ms = self._settings.seal_timeout_ms
        try:
            with anyio.fail_after(timeout_ms / 1000):
                return await self._seal(topic_id, at_least_ms)
        except TimeoutError as error:
            raise TimedOutError(f"not historic after {timeout_ms} ms; what is closed goes on being sealed") from error

    async def _seal(self, topic_id: bytes, at_least_ms: int | None) -> int | None:
        failed_before = self._failures.get(topic_id)
        topic = self._led_topic(topic_id)
        self._cutting[topic_id] += 1
        try:
            cut = await self._host.cut(UUID(bytes=topic_id))
            # The other partitions' leaders may have admitted what is not applied here yet.
            await self._host.catch_up(topic)
            number = self._last_closed(topic) if cut is None else cut[0]
            if number is None:
                return None
            topic = self._led_topic(topic_id)
            wanted_ms = self._keeper.seal_ms(topic_id, at_least_ms)
            known_ms = self._seal_ms.get((topic_id, number))
            self._seal_ms[topic_id, number] = max((ms for ms in (wanted_ms, known_ms) if ms is not None), default=None)
            self._restart_age(topic_id, self._places_or_none(topic) or (), self._settings.monotonic_ms())
        finally:
            self._cutting[topic_id] -= 1
            self._seal_soon(topic_id)
        while (topic := self._host.led_topic_or_none(topic_id)) is not None:
            last = self._host.history_of(topic).last_or_none
            if last is not None and last.number >= number:
                return number
            failure = self._failures.get(topic_id)
            if failure is not None and failure is not failed_before:
                raise SealingError(f"split {failure.number}: {failure.message}; it will be tried again")
            await self._changed.wait()
        self._led_topic(topic_id)
        raise AssertionError("a topic that is led would be waited for")

    def _led_topic(self, topic_id: bytes) -> StreamTopic:
        """Raises: NotLeaderError, UnknownTopicIdError."""
        if (topic := self._host.led_topic_or_none(topic_id)) is not None:
            return topic
        if any(topic.topic_id == topic_id for topic in self._host.listed_topics()):
            raise NotLeaderError(self._host.leader_or_none(topic_id))
        raise UnknownTopicIdError(f"topic {topic_id.hex()} is not here any more")

    def _last_closed(self, topic: StreamTopic) -> int | None:
        """The newest split that is closed and that no manifest describes."""
        last = self._host.history_of(topic).last_or_none
        number = max(chain.newest.number for _, chain in self._host.places_of(topic)) - 1
        return number if number > (-1 if last is None else last.number) else None

    def on_role(self) -> None:
        """Leadership may be gone: whoever waits here for what another node does now looks again."""
        self._tell()

    def on_catalog_changed(self) -> None:
        """A manifest may have been published, a topic may be gone."""
        self._tell()

    def forget(self, topic_id: bytes) -> None:
        """The topic was deleted, and that is never taken back: its runs go.

        A merge under way ends unpublished; what it leaves goes at a restart.
        """
        self._since_ms.pop(topic_id, None)
        self._grown_ms.pop(topic_id, None)
        self._failures.pop(topic_id, None)
        for held in (self._seal_ms, self._merged):
            for key in [key for key in held if key[0] == topic_id]:
                del held[key]
        self._doomed.append(self._topics_folder / str(UUID(bytes=topic_id)))

    async def _cut_if_due(self, topic_id: bytes) -> None:
        topic = self._host.led_topic_or_none(topic_id)
        places = None if topic is None else self._places_or_none(topic)
        if topic is None or places is None:
            self._since_ms.pop(topic_id, None)
            return
        if (since_ms := self._since_ms.get(topic_id)) is None:
            # Somebody else has cut it while an earlier topic was looked at.
            return
        now_ms, splits = self._settings.monotonic_ms(), [chain.newest for _, chain in places]
        silence_ms = self._settings.silence_ms
        is_due = (
            now_ms - since_ms >= topic.split_ms
            or sum(split.size_bytes for split in splits) >= topic.split_bytes
            or (silence_ms is not None and now_ms - self._grown_ms.get(topic_id, since_ms) >= silence_ms)
        )
        if not is_due:
            return
        try:
            await self._host.cut(UUID(bytes=topic_id))
        except ShardingError as error:
            self._logger.warning("topic %s could not be cut: %s", topic.name, error)
        else:
            self._restart_age(topic_id, self._places_or_none(topic) or (), now_ms)
        self._seal_soon(topic_id)

    def _restart_age(self, topic_id: bytes, places: Sequence[tuple[Shard, Chain]], since_ms: int) -> None:
        """An empty split is not cut: its age begins with its first record."""
        if any(chain.newest.record_count for _, chain in places):
            self._since_ms[topic_id] = since_ms
        else:
            self._since_ms.pop(topic_id, None)

    def _seal_soon(self, topic_id: bytes) -> None:
        if topic_id not in self._sealing and self._is_running:
            self._sealing.add(topic_id)
            self._due.append(topic_id)
            self._wake.set()

    async def _seal_closed(self, topic_id: bytes) -> None:
        """Seal the topic's closed splits in order, until none is left."""
        attempt_count, delay_ms = 0, self._settings.retry_ms
        try:
            while (topic := self._host.led_topic_or_none(topic_id)) is not None and not self._cutting[topic_id]:
                number = -1
                try:
                    # What another node has published meanwhile must not be merged again.
                    await self._host.catalog_barrier()
                    if (number := self._next_closed(topic)) is None:
                        self._failures.pop(topic_id, None)
                        return
                    await self._seal_one(topic, number)
                    attempt_count, delay_ms = 0, self._settings.retry_ms
                    self._failures.pop(topic_id, None)
                    self._tell()
                    continue
                except NotReplicatedHereError:
                    # No node has all of it: it stays in the logs.
                    return
                except Exception as error:  # noqa: BLE001 - whatever it is, the split stays closed and is tried again
                    attempt_count += 1
                    self._failures[topic_id] = SealingFailure(number or 0, attempt_count, str(error) or repr(error))
                    self._logger.warning("split %s of topic %s is not sealed yet: %s", number, topic.name, error)
                    self._tell()
                await anyio.sleep(delay_ms / 1000)
                delay_ms = min(2 * delay_ms, self._settings.retry_ms_max)
        finally:
            self._sealing.discard(topic_id)
            if self._host.led_topic_or_none(topic_id) is None:
                # Another node's now, and its failures with it.
                self._failures.pop(topic_id, None)
            self._tell()

    def _next_closed(self, topic: StreamTopic) -> int | None:
        """The number of the oldest split that every partition has closed and no manifest describes."""
        last = self._host.history_of(topic).last_or_none
        number = 0 if last is None else last.number + 1
        newest = min(chain.newest.number for _, chain in self._host.places_of(topic))
        return number if number < newest else None

    async def _seal_one(self, topic: StreamTopic, number: int) -> None:
        """Tick past the split's end, merge, verify, let the others copy, publish."""
        key = topic.topic_id, number
        for other in [one for one in self._merged if one[0] == topic.topic_id and one[1] < number]:
            # Another node has published that one.
            del self._merged[other]
        if (manifest := self._merged.get(key)) is None:
            manifest = self._merged[key] = await self._merged_split(topic, number)
        await self._copies.spread(manifest, self._host.replicas_of(topic), self._host.node_id)
        if not await self._host.publish_run(UUID(bytes=topic.topic_id), number, FIRST_VERSION, manifest.pack()):
            # Somebody else published, or the topic is gone: the catalog decides, look again.
            self._logger.info("split %d of topic %s was published meanwhile", number, topic.name)
            del self._merged[key]
            return
        del self._merged[key]
        self._seal_ms.pop(key, None)
        await self._host.submit(topic.topic_id, 0, ForgetTicks(topic.topic_id, manifest.last_tick.number))

    async def _merged_split(self, topic: StreamTopic, number: int) -> SplitManifest:
        await self._host.catch_up(topic)
        places = self._host.places_of(topic)
        history = self._host.history_of(topic)
        ends = [_closed_split(chain, number).committed_offset for _, chain in places]
        boundary, totals = history.boundary, history.boundary_totals
        seal_ms = self._seal_ms.get((topic.topic_id, number))
        wish = TickWish(ends=ends, after_number=boundary.number, seal_ms=seal_ms)
        last = await self._keeper.tick_past(topic.topic_id, wish)
        ticks = self._ticks_between(topic.topic_id, boundary, last)
        if seal_ms is None:
            # The first one that reaches the end will do: what is above its watermark goes into the next split.
            ticks = ticks[: next(row for row, tick in enumerate(ticks) if tick.covers(ends)) + 1]
        parts = [] if history.last_or_none is None else history.last_or_none.parts
        firsts = [part.carried_first for part in parts] or [chain.splits[0].first_offset for _, chain in places]
        # The last tick's cut is committed where the partitions are led, and is now here too.
        await self._host.catch_up(topic)
        to_seal = SplitToSeal(
            topic=topic,
            number=number,
            boundary=boundary,
            totals=totals,
            ticks=ticks,
            firsts=firsts,
            ends=ends,
            places=places,
            attempt=places[0][0].term if len(self._host.replicas_of(topic)) > 1 else None,
        )
        async with self._merging:
            job = await anyio.to_thread.run_sync(to_seal.job, self._topics_folder, limiter=self._limiter)
            manifest = await self._merge(job)
            await anyio.to_thread.run_sync(verify, job, manifest, limiter=self._limiter)
        await self._compare_with_live(manifest)
        self._copies.made(manifest)
        return manifest

    async def _compare_with_live(self, manifest: SplitManifest) -> None:
        """What views have shown and what the runs hold must be the same. Raises: SealingError."""
        ledger, number = self._host.live_ledger_or_none(manifest.topic_id), manifest.last_tick.number
        if ledger is None or not ledger.before.number <= number <= ledger.last.number:
            return
        counted = await anyio.to_thread.run_sync(ledger.totals_at, number, limiter=self._limiter)
        if counted != manifest.totals.totals():
            raise SealingError(f"{manifest.totals.totals()} in the runs, {counted} counted live")

    def _ticks_between(self, topic_id: bytes, boundary: Tick, last: Tick) -> list[Tick]:
        ticks: list[Tick] = []
        for number in range(boundary.number + 1, last.number + 1):
            tick = self._host.tick_or_none(topic_id, number)
            assert tick is not None, f"tick {number} is missing between {boundary.number} and {last.number}"
            ticks.append(tick)
        return ticks

    async def _merge(self, job: MergeJob) -> SplitManifest:
        if self._settings.run_merge is not None:
            return await self._settings.run_merge(job)
        return await merge_in_process(job, self._settings.merge_timeout_ms)

    def _places_or_none(self, topic: StreamTopic) -> Sequence[tuple[Shard, Chain]] | None:
        try:
            return self._host.places_of(topic)
        except ShardingError:
            return None

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def _tidy(self) -> None:
        """Remove what earlier runs of this node left behind, once the catalog is known to be of now."""
        while True:
            try:
                await self._host.catalog_barrier()
            except ShardingError as error:
                self._logger.debug("leftovers stay until the catalog answers: %s", error)
                await anyio.sleep(self._settings.retry_ms / 1000)
            else:
                break
        await anyio.to_thread.run_sync(remove_leftovers, self._topics_folder, self._listed(), limiter=self._limiter)

    def _listed(self) -> dict[str, Leftovers]:
        """By topic folder."""
        return {
            str(UUID(bytes=topic.topic_id)): Leftovers(
                {
                    str(manifest.number): {run.name for run in manifest.runs}
                    for manifest in self._host.history_of(topic).published
                },
                is_shared=len(self._host.replicas_of(topic)) > 1,
            )
            for topic in self._host.listed_topics()
        }


def _closed_split(chain: Chain, number: int) -> WriteSplit:
    split = next((split for split in chain.splits if split.number == number), None)
    if split is None or not split.is_closed:
        raise SealingError(f"split {number} is not closed in every partition")
    return split
