"""Everything of a node that goes by event time, put together: fulfils `node.TimeServices`.

Timekeeper, live indexes, sealing, views and streams stand side by side over the same node; here is what connects them:
appends wake the timekeeper and count for the next cut, topics that are opened get their live index, and a manifest that
the catalog takes makes the live index drop what the runs hold, in the callback of the catalog's own log.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import anyio

from raft.interfaces import Role, RoleChange
from store.emission import Ledger, ViewKind
from store.runs import CACHE_BYTES_MAX, DecodedCache
from store.ticks import Tick, no_tick

from .catalog import Catalog, ManifestRecord
from .commands.append import Append
from .commands.command import At, Command
from .commands.splits import Open
from .errors import NotLeaderError, ShardingError, UnknownTopicError, UnknownTopicIdError
from .historic import HistoricSplit, TopicHistory
from .interfaces import PartitionApi, StreamApi, Topic
from .live import LiveIndexes, LivePartition, LiveTopic
from .partition_log import DECODED_BYTES_MAX, DecodedBatches, PartitionLog
from .sealing import Sealer, SealingFailure, SealingSettings
from .shard import Shard
from .shard_state import Chain
from .stream_topic import StreamTopic, StreamTopics
from .streams import Stream
from .timekeeper import Timekeeper, tick_of
from .views.names import split_view_name
from .views.partition import ViewPartition
from .write_split import WriteSplit

RESTART_PAUSE_S = 1.0


class TimeNode(Protocol):
    """What these services need of their node; `sharding.node.Node` fulfils it."""

    @property
    def node_id(self) -> int: ...
    @property
    def catalog(self) -> Catalog: ...
    @property
    def now_ms(self) -> Callable[[], int]: ...
    @property
    def shards(self) -> Mapping[int, Shard]: ...
    def observe_topics(self, observer: Callable[[], None]) -> Callable[[], None]: ...
    async def cut(self, topic_id: UUID) -> tuple[int, tuple[int, ...]] | None: ...
    async def publish_run(self, topic_id: UUID, number: int, version: int, manifest: bytes) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSettings:
    """`threads`: worker threads for queries and views together.

    `cache_bytes`: decoded columns of runs; `decoded_bytes`: decoded batches of the log.
    """

    sealing: SealingSettings
    threads: int = 4
    cache_bytes: int = CACHE_BYTES_MAX
    decoded_bytes: int = DECODED_BYTES_MAX


class TopicTime:
    """What the services hold of one topic. `live` is None until a topic without schema and views is asked for."""

    def __init__(self, topic: StreamTopic, history: TopicHistory) -> None:
        self.topic = topic
        self.history = history
        self.live_or_none: LiveTopic | None = None
        # The views of a restarted node wait for the ticks that an earlier one may have shown.
        self.ready_after_tick = 0

    @property
    def live(self) -> LiveTopic:
        assert self.live_or_none is not None, f"topic {self.topic.name} has no live index"
        return self.live_or_none

    @property
    def historic(self) -> Sequence[HistoricSplit]:
        return self.history.splits

    @property
    def is_ready(self) -> bool:
        """No view's high watermark is below what was served before."""
        ledger = None if self.live_or_none is None else self.live_or_none.ledger_or_none
        return ledger is not None and ledger.last.number >= self.ready_after_tick


class TimeServices:
    """See the module's docstring. Fulfils also `timekeeper.TickHost`, `sealing.SealHost` and `streams.StreamHost`."""

    def __init__(self, node: TimeNode, settings: TimeSettings, *, logger: logging.Logger) -> None:
        self._node = node
        self._logger = logger
        self._topics = StreamTopics(node.catalog)
        self._held: dict[bytes, TopicTime] = {}
        self._cache = DecodedCache(settings.cache_bytes)
        self._decoded = DecodedBatches(settings.decoded_bytes)
        self._topics_folder = settings.sealing.topics_folder
        self.limiter = anyio.CapacityLimiter(settings.threads)
        # Background work must not wait behind queries, nor they behind it.
        background = anyio.CapacityLimiter(2)
        self.keeper = Timekeeper(self, now_ms=node.now_ms, logger=logger)
        self.indexes = LiveIndexes(monotonic=time.monotonic, limiter=background, logger=logger)
        self.sealer = Sealer(self, self.keeper, settings.sealing, now_ms=node.now_ms, limiter=background, logger=logger)
        self._views: dict[tuple[UUID, int], ViewPartition] = {}
        self._observed: set[int] = set()
        self._undo: list[Callable[[], None]] = []
        self._tasks: list[asyncio.Task[None]] = []

    # node.TimeServices

    async def start(self) -> None:
        """The node leads its shards: catch up in the background, tick, seal."""
        self._undo.append(self._node.observe_topics(self._on_catalog_changed))
        self._follow()
        self.keeper.on_leader()
        for name, work in (("ticks", self.keeper.run), ("live index", self.indexes.run), ("sealing", self.sealer.run)):
            self._tasks.append(asyncio.get_running_loop().create_task(self._watched(name, work), name=name))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for undo in self._undo:
            undo()
        for topic_id in list(self._held):
            self.indexes.remove(topic_id, NotLeaderError())

    def stream(self, topic: Topic) -> StreamApi:
        if (held := self._held_or_none(topic.topic_id.bytes)) is None:
            raise UnknownTopicError(f"no topic {topic.name!r}")
        return Stream(topic, held, self)

    def view_partition(self, view: Topic, topic: Topic, index: int) -> PartitionApi:
        held = self._held_or_none(topic.topic_id.bytes)
        if held is None or not held.is_ready:
            # Its high watermark would be below one that was served before: a client comes again.
            raise NotLeaderError
        found = split_view_name(view.name)
        assert found is not None, f"{view.name} is no view's name"
        kind = found[1]
        known = self._views.get((view.topic_id, index))
        if known is None or known.topic is not view:
            place = self.places_of(held.topic)[index if kind is ViewKind.KEYED else 0]
            known = ViewPartition(view, kind, index, held, place, self.limiter)
            self._views[view.topic_id, index] = known
        return known

    # For metrics.

    @property
    def held(self) -> Mapping[bytes, TopicTime]:
        """By topic id; to be read only."""
        return self._held

    @property
    def sealing_failures(self) -> Mapping[bytes, SealingFailure]:
        return self.sealer.failures

    # timekeeper.TickHost, sealing.SealHost, streams.StreamHost

    @property
    def node_id(self) -> int:
        return self._node.node_id

    def listed_topics(self) -> Iterable[StreamTopic]:
        return self._topics.all()

    def led_topics(self) -> Iterable[StreamTopic]:
        return [topic for topic in self._topics.all() if self._is_led(topic)]

    def led_topic_or_none(self, topic_id: bytes) -> StreamTopic | None:
        topic = self._topics.get(topic_id)
        return topic if topic is not None and self._is_led(topic) else None

    def places_of(self, topic: StreamTopic) -> list[tuple[Shard, Chain]]:
        return [self._place(topic, partition) for partition in range(topic.partition_count)]

    def newest_split(self, topic_id: bytes, partition: int) -> WriteSplit:
        return self._place(self._topic(topic_id), partition)[1].newest

    def submit(self, topic_id: bytes, partition: int, command: Command) -> asyncio.Future[object]:
        return self._place(self._topic(topic_id), partition)[0].submit(command)

    def tick_or_none(self, topic_id: bytes, number: int) -> Tick | None:
        """A committed tick that is not sealed yet; sealed ones are in the ledgers of the runs."""
        topic = self._topics.get(topic_id)
        if topic is None:
            return None
        for split in reversed(self._place(topic, 0)[1].splits):
            if split.ticks and split.ticks[0].number <= number <= split.ticks[-1].number:
                return tick_of(split.ticks[number - split.ticks[0].number])
        return None

    def history_of(self, topic: StreamTopic) -> TopicHistory:
        held = self._held_or_none(topic.topic_id)
        assert held is not None, f"topic {topic.name} is listed and not held"
        return held.history

    def live_ledger_or_none(self, topic_id: bytes) -> Ledger | None:
        held = self._held.get(topic_id)
        return None if held is None or held.live_or_none is None else held.live_or_none.ledger_or_none

    async def cut(self, topic_id: UUID) -> tuple[int, tuple[int, ...]] | None:
        return await self._node.cut(topic_id)

    async def publish_run(self, topic_id: UUID, number: int, version: int, manifest: bytes) -> bool:
        return await self._node.publish_run(topic_id, number, version, manifest)

    def live_of(self, topic_id: bytes) -> LiveTopic:
        """The topic's live index, begun now if it has none yet. Raises: NotLeaderError, UnknownTopicIdError."""
        if (held := self._held_or_none(topic_id)) is None:
            raise UnknownTopicIdError(f"no topic with id {UUID(bytes=topic_id)}")
        if held.live_or_none is None:
            self._make_live(held)
        return held.live

    # Following the catalog and the shards.

    def _on_catalog_changed(self) -> None:
        self._follow()
        self.sealer.on_catalog_changed()

    def _follow(self) -> None:
        """Hold what the catalog lists, and let go of the rest. Called at each change of the catalog."""
        for shard in self._node.shards.values():
            if shard.shard_id not in self._observed:
                self._observe(shard)
        listed = self._node.catalog.topics
        for topic_id in [one for one in self._held if one not in listed]:
            self._let_go(topic_id)
        for topic in self._topics.all():
            held = self._held.get(topic.topic_id)
            manifests = self._node.catalog.manifests_of(topic.topic_id)
            if held is None or held.topic is not topic or len(held.history.splits) != len(manifests):
                self._hold(topic, manifests)

    def _let_go(self, topic_id: bytes) -> None:
        held = self._held.pop(topic_id)
        self.indexes.remove(topic_id, UnknownTopicIdError(f"topic {held.topic.name!r} was deleted"))
        for place in [place for place, view in self._views.items() if view.viewed is held]:
            del self._views[place]
        self.sealer.forget(topic_id)

    def _hold(self, topic: StreamTopic, manifests: Mapping[int, ManifestRecord]) -> None:
        held = self._held.get(topic.topic_id)
        if held is None:
            history = TopicHistory(self._topics_folder, topic.topic_id, topic.partition_count, self._cache)
            self._held[topic.topic_id] = held = TopicTime(topic, history)
        held.topic = topic
        if held.history.follow(manifests) and held.live_or_none is not None:
            held.live.discard(held.history.sealed, held.history.totals)
        if held.live_or_none is not None and (held.live.ledger_or_none is not None) != topic.has_views:
            # The views came or went: what ticks emitted is counted from the log again, or no longer.
            self.indexes.remove(topic.topic_id, NotLeaderError())
            held.live_or_none = None
        if topic.is_live and held.live_or_none is None and self._is_opened(topic):
            self._make_live(held)

    def _make_live(self, held: TopicTime) -> None:
        """Begin to index what no run holds, from the log."""
        topic, history = held.topic, held.history
        parts = [] if history.last_or_none is None else history.last_or_none.parts
        partitions: list[LivePartition] = []
        for index, (shard, chain) in enumerate(self.places_of(topic)):
            start = parts[index].carried_first if index < len(parts) else chain.splits[0].first_offset
            log = PartitionLog(shard, topic.topic_id, index, self._decoded)
            partition = LivePartition(log, index, topic.schema, start_offset=start, sealed=history.sealed)
            partitions.append(partition)
        ledger = Ledger(history.sealed, history.totals, topic.partition_count) if topic.has_views else None
        topic_id = topic.topic_id
        live = LiveTopic(topic_id, partitions, lambda number: self.tick_or_none(topic_id, number), ledger)
        held.live_or_none = live
        held.ready_after_tick = self.last_tick(topic).number
        self.indexes.add(live)

    def last_tick(self, topic: StreamTopic) -> Tick:
        ticks = self.newest_split(topic.topic_id, 0).ticks
        return tick_of(ticks[-1]) if ticks else no_tick(topic.partition_count)

    def _observe(self, shard: Shard) -> None:
        self._observed.add(shard.shard_id)

        def on_append(split: WriteSplit, _append: Append, _at: At) -> None:
            self.keeper.on_append(split)
            self.sealer.on_append(split)

        def on_role(change: RoleChange) -> None:
            if change.role is Role.LEADER:
                self._follow()
                self.keeper.on_leader()

        def on_opened(command: Open, _result: object, _at: At) -> None:
            # A topic's partitions are opened after the catalog lists it.
            held = self._held.get(command.topic_id)
            if held is not None and held.topic.is_live and held.live_or_none is None and self._is_opened(held.topic):
                self._make_live(held)

        self._undo += [
            shard.observe_appends(on_append),
            shard.observe_roles(on_role),
            shard.observe_commands(Open, on_opened),
        ]

    # Look-ups.

    def _held_or_none(self, topic_id: bytes) -> TopicTime | None:
        if topic_id not in self._held and self._topics.get(topic_id) is not None:
            self._follow()
        return self._held.get(topic_id)

    def _topic(self, topic_id: bytes) -> StreamTopic:
        if (topic := self._topics.get(topic_id)) is None:
            raise UnknownTopicIdError(f"no topic with id {UUID(bytes=topic_id)}")
        return topic

    def _place(self, topic: StreamTopic, partition: int) -> tuple[Shard, Chain]:
        """Raises: NotLeaderError while the partition is not opened here."""
        shard = self._node.shards.get(topic.shards[partition])
        chain = None if shard is None else shard.state.chains.get((topic.topic_id, partition))
        if shard is None or chain is None:
            raise NotLeaderError
        return shard, chain

    def _is_led(self, topic: StreamTopic) -> bool:
        shard = self._node.shards.get(topic.shards[0])
        return shard is not None and shard.is_leader and (topic.topic_id, 0) in shard.state.chains

    def _is_opened(self, topic: StreamTopic) -> bool:
        try:
            # From the end: partitions are mostly opened in order, so that one look tells.
            for partition in range(topic.partition_count - 1, -1, -1):
                self._place(topic, partition)
        except ShardingError:
            return False
        return True

    async def _watched(self, name: str, work: Callable[[], Coroutine[object, object, None]]) -> None:
        """Run a part for as long as the node runs; after a failure of ours it begins anew."""
        while True:
            try:
                await work()
            except Exception:
                self._logger.exception("%s failed and begins anew", name)
            await asyncio.sleep(RESTART_PAUSE_S)
