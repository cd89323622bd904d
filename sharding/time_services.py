"""Everything of a node that goes by event time, put together: fulfils `node.TimeServices`.

Timekeeper, live indexes, sealing, views and streams stand side by side over the same node; here is what connects them:
appends wake the timekeeper and count for the next cut, topics that are opened get their live index, and a manifest that
the catalog takes makes the live index drop what the runs hold, in the callback of the catalog's own log.

Every replica of a topic does this, whoever leads it: it indexes what it applies, answers queries behind read barriers,
and keeps copies of the runs. Only who leads partition 0 ticks, cuts and seals.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import anyio

from raft.interfaces import Role, RoleChange
from store.emission import Ledger, ViewKind
from store.manifest import SplitManifest
from store.runs import CACHE_BYTES_MAX, DecodedCache
from store.ticks import Tick, no_tick

from .barriers import pass_barriers
from .calls import NodePeers
from .catalog import Catalog, ManifestRecord
from .commands.append import Append
from .commands.command import At, Command
from .commands.splits import Open
from .copies import Copies
from .errors import (
    NotLeaderError,
    NotReplicatedHereError,
    OffsetNotAvailableError,
    ShardingError,
    UnknownTopicError,
    UnknownTopicIdError,
)
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
from .views.shown import ShownTicks
from .write_split import WriteSplit

RESTART_PAUSE_S = 1.0
# A live index that failed begins anew after this long, twice as long each time that it fails again.
REBUILD_PAUSE_S = 1.0
REBUILD_PAUSE_MAX_S = 60.0


class TimeNode(Protocol):
    """What these services need of their node; `sharding.node.Node` fulfils it."""

    @property
    def node_id(self) -> int: ...
    @property
    def catalog(self) -> Catalog: ...
    @property
    def now_ms(self) -> Callable[[], int]: ...
    @property
    def peers(self) -> NodePeers | None:
        """None on a node that stands alone."""
        ...

    @property
    def shards(self) -> Mapping[int, Shard]:
        """The data shards that have a replica on this node, by id."""
        ...

    def observe_topics(self, observer: Callable[[], None]) -> Callable[[], None]:
        """Call `observer` when topics, settings, splits or manifests may have changed, or a shard was opened here."""
        ...

    def submit(self, shard_id: int, command: Command) -> Awaitable[object]:
        """Put a command into a shard's log, wherever it is led."""
        ...

    async def catalog_barrier(self) -> None:
        """What the catalog has decided before this call is applied here. Raises: NotLeaderError."""
        ...

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

    def __init__(self, topic: StreamTopic, history: TopicHistory, host: "TimeServices") -> None:
        self.topic = topic
        self.history = history
        self.live_or_none: LiveTopic | None = None
        # An index that failed waits to begin anew.
        self.is_failed = False
        self.rebuild_pause_s = REBUILD_PAUSE_S
        self._host = host

    @property
    def live(self) -> LiveTopic:
        assert self.live_or_none is not None, f"topic {self.topic.name} has no live index"
        return self.live_or_none

    @property
    def historic(self) -> Sequence[HistoricSplit]:
        return self.history.splits

    def shown_or_none(self, shard: Shard) -> int | None:
        return self._host.shown.number_or_none(self.topic.topic_id, shard)

    def check_readable(self) -> None:
        if damaged := self.history.damaged:
            raise OffsetNotAvailableError(f"split {min(damaged)} of {self.topic.name} is being copied again")

    def on_unreadable(self) -> None:
        self._host.on_unreadable(self.topic.topic_id)


class TimeServices:
    """See the module's docstring. It is also the host of its parts: `TickHost`, `SealHost` and the like."""

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
        self.indexes = LiveIndexes(
            monotonic=time.monotonic, limiter=background, logger=logger, on_failed=self._on_index_failed
        )
        self.shown = ShownTicks(self, logger=logger)
        self.copies = Copies(self, node.peers, self._topics_folder, limiter=anyio.CapacityLimiter(2), logger=logger)
        self.sealer = Sealer(
            self, self.keeper, self.copies, settings.sealing, now_ms=node.now_ms, limiter=background, logger=logger
        )
        self._views: dict[tuple[UUID, int], ViewPartition] = {}
        self._observed: set[int] = set()
        self._undo: list[Callable[[], None]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    # node.TimeServices

    async def start(self) -> None:
        """Catch up in the background; tick and seal what is led here."""
        self._undo.append(self._node.observe_topics(self._on_catalog_changed))
        await self.copies.look(
            SplitManifest.unpack(record.manifest)
            for topic_id in list(self._node.catalog.topics)
            for record in self._node.catalog.manifests_of(topic_id).values()
        )
        self._follow()
        self.keeper.on_leader()
        for name, work in (
            ("ticks", self.keeper.run),
            ("live index", self.indexes.run),
            ("views", self.shown.run),
            ("copies", self.copies.run),
            ("sealing", self.sealer.run),
        ):
            self._spawn(name, self._watched(name, work))

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for undo in self._undo:
            undo()
        for topic_id in list(self._held):
            self.indexes.remove(topic_id, NotLeaderError())

    def stream(self, topic: Topic) -> StreamApi:
        """Raises: UnknownTopicError, NotReplicatedHereError."""
        if (held := self._held_or_none(topic.topic_id.bytes)) is None:
            raise UnknownTopicError(f"no topic {topic.name!r}")
        list(self.shards_of(held.topic))
        return Stream(topic, held, self)

    def view_partition(self, view: Topic, topic: Topic, index: int) -> PartitionApi:
        """Raises: NotLeaderError, also while its high watermark would be below one that was served before."""
        held = self._held_or_none(topic.topic_id.bytes)
        if held is None:
            raise NotLeaderError
        found = split_view_name(view.name)
        assert found is not None, f"{view.name} is no view's name"
        kind = found[1]
        shard, chain = self._place(held.topic, index if kind is ViewKind.KEYED else 0)
        known = self._views.get((view.topic_id, index))
        if known is None or known.topic is not view or known.chain is not chain:
            known = ViewPartition(view, kind, index, held, (shard, chain), self.limiter)
            self._views[view.topic_id, index] = known
        known.check_ready()
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

    def submit(self, topic_id: bytes, partition: int, command: Command) -> Awaitable[object]:
        topic = self._topic(topic_id)
        if partition == 0:
            # Ticks are proposed by who leads them, and by nobody else.
            return self._place(topic, 0)[0].submit(command)
        return self._node.submit(topic.shards[partition], command)

    def held_or_none(self, topic_id: bytes) -> TopicTime | None:
        return self._held.get(topic_id)

    def shards_of(self, topic: StreamTopic) -> Iterable[Shard]:
        """Partition 0's first. Raises: NotReplicatedHereError unless all are here."""
        for shard_id in dict.fromkeys(topic.shards):
            if (shard := self._node.shards.get(shard_id)) is None:
                raise self._elsewhere(topic)
            yield shard

    def is_alone(self, shard: Shard) -> bool:
        record = self._node.catalog.shards.get(shard.shard_id)
        return record is None or len(record.replicas) <= 1

    def replicas_of(self, topic: StreamTopic) -> Sequence[int]:
        """The nodes that have all partitions, by the catalog's wish; those that lead rather first."""
        records = [self._node.catalog.shards.get(shard_id) for shard_id in dict.fromkeys(topic.shards)]
        found = [set(record.replicas) for record in records if record is not None]
        first = records[0]
        if first is None or not found:
            return [self.node_id]
        return [node_id for node_id in first.replicas if all(node_id in replicas for replicas in found)]

    def leader_or_none(self, topic_id: bytes) -> int | None:
        """Who leads the topic's partition 0, as far as this node knows."""
        topic = self._topics.get(topic_id)
        shard = None if topic is None else self._node.shards.get(topic.shards[0])
        leader = None if shard is None else shard.group.leader_or_none
        return None if leader is None else int(leader)

    async def catch_up(self, topic: StreamTopic) -> None:
        """All that was acknowledged before is applied here. Raises: NotReplicatedHereError, NotLeaderError."""
        await pass_barriers(self.shards_of(topic))

    async def catalog_barrier(self) -> None:
        await self._node.catalog_barrier()

    def on_unreadable(self, topic_id: bytes) -> None:
        if (held := self._held.get(topic_id)) is not None:
            for split in held.historic:
                self.copies.suspect(split.manifest)

    # copies.CopyHost

    def replicates(self, topic_id: bytes) -> bool:
        topic = self._topics.get(topic_id)
        return topic is not None and self.node_id in self.replicas_of(topic)

    def other_replicas(self, topic_id: bytes) -> Sequence[int]:
        if (topic := self._topics.get(topic_id)) is None:
            return ()
        leader = self.leader_or_none(topic_id)
        live = set[int]() if self._node.peers is None else set(map(int, self._node.peers.live_nodes()))
        others = [node_id for node_id in self.replicas_of(topic) if node_id != self.node_id]
        return sorted(others, key=lambda node_id: (node_id not in live, node_id != leader))

    def other_nodes(self, topic_id: bytes) -> Sequence[int]:
        replicas = self.other_replicas(topic_id)
        nodes = [node_id for node_id in self._node.catalog.nodes if node_id not in {*replicas, self.node_id}]
        return [*replicas, *nodes]

    def published_or_none(self, topic_id: bytes, number: int) -> SplitManifest | None:
        held = self._held_or_none(topic_id)
        published = () if held is None else held.history.published
        return next((manifest for manifest in published if manifest.number == number), None)

    def on_copied(self, topic_id: bytes, number: int) -> None:
        if (held := self._held.get(topic_id)) is not None:
            if number in held.history.damaged:
                held.history.reopen(number)
            self._follow()

    def on_damaged(self, topic_id: bytes, number: int) -> None:
        if (held := self._held.get(topic_id)) is not None and any(
            split.manifest.number == number for split in held.historic
        ):
            held.history.damaged.add(number)

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
        """The topic's live index, begun now if it has none yet.

        Raises: NotLeaderError, NotReplicatedHereError, UnknownTopicIdError.
        """
        if (held := self._held_or_none(topic_id)) is None:
            raise UnknownTopicIdError(f"no topic with id {UUID(bytes=topic_id)}")
        if held.live_or_none is None:
            if held.is_failed:
                raise NotLeaderError(message=f"the live index of {held.topic.name} failed and begins anew")
            self._make_live(held)
        return held.live

    # Following the catalog and the shards.

    def _on_catalog_changed(self) -> None:
        self._follow()
        self.sealer.on_catalog_changed()

    def _follow(self) -> None:
        """Hold what the catalog lists, and let go of the rest. Called whenever catalog or shards have changed."""
        for shard in self._node.shards.values():
            if shard.shard_id not in self._observed:
                self._observe(shard)
        if gone := self._observed - self._node.shards.keys():
            self._observed -= gone
            for held in self._held.values():
                if held.live_or_none is not None and gone.intersection(held.topic.shards):
                    self._drop_live(held, self._elsewhere(held.topic))
        listed = self._node.catalog.topics
        for topic_id in [one for one in self._held if one not in listed]:
            self._let_go(topic_id)
        for topic in self._topics.all():
            held = self._held.get(topic.topic_id)
            manifests = self._node.catalog.manifests_of(topic.topic_id)
            is_due = held is None or held.topic is not topic or len(held.history.splits) != len(manifests)
            if is_due or (topic.is_live and held is not None and held.live_or_none is None):
                self._hold(topic, manifests)

    def _let_go(self, topic_id: bytes) -> None:
        held = self._held.pop(topic_id)
        self.indexes.remove(topic_id, UnknownTopicIdError(f"topic {held.topic.name!r} was deleted"))
        for place in [place for place, view in self._views.items() if view.viewed is held]:
            del self._views[place]
        self.shown.forget(topic_id)
        self.copies.forget(topic_id)
        self.sealer.forget(topic_id)

    def _hold(self, topic: StreamTopic, manifests: Mapping[int, ManifestRecord]) -> None:
        held = self._held.get(topic.topic_id)
        if held is None:
            history = TopicHistory(self._topics_folder, topic.topic_id, topic.partition_count, self._cache)
            self._held[topic.topic_id] = held = TopicTime(topic, history, self)
        held.topic = topic
        split_count = len(held.history.splits)
        if held.history.follow(manifests, self.copies.is_here):
            if held.live_or_none is not None:
                held.live.discard(held.history.sealed, held.history.totals)
            for split in held.history.splits[split_count:]:
                self.copies.tidy(split.manifest)
        if self.replicates(topic.topic_id):
            for manifest in held.history.published[len(held.history.splits) :]:
                self.copies.want(manifest)
        if held.live_or_none is not None and (held.live.ledger_or_none is not None) != topic.has_views:
            # The views came or went: what ticks emitted is counted from the log again, or no longer.
            self._drop_live(held, NotLeaderError())
        if topic.is_live and held.live_or_none is None and not held.is_failed and self._is_opened(topic):
            self._make_live(held)

    def _drop_live(self, held: TopicTime, error: Exception) -> None:
        self.indexes.remove(held.topic.topic_id, error)
        held.live_or_none = None
        self.shown.forget(held.topic.topic_id)

    def _make_live(self, held: TopicTime) -> None:
        """Begin to index what no run here holds, from the log."""
        topic, history = held.topic, held.history
        parts = history.splits[-1].manifest.parts if history.splits else []
        partitions: list[LivePartition] = []
        for index, (shard, chain) in enumerate(self.places_of(topic)):
            start = parts[index].carried_first if index < len(parts) else chain.splits[0].first_offset
            log = PartitionLog(shard, topic.topic_id, index, self._decoded)
            partition = LivePartition(log, index, topic.schema, start_offset=start, sealed=history.sealed)
            partitions.append(partition)
        ledger = Ledger(history.sealed, history.totals, topic.partition_count) if topic.has_views else None
        topic_id = topic.topic_id
        live = LiveTopic(topic_id, partitions, lambda number: self.tick_or_none(topic_id, number), ledger)
        live.on_emitted = lambda: self._on_emitted(held)
        held.live_or_none = live
        self.indexes.add(live)
        self.shown.advance(topic_id)

    def _on_emitted(self, held: TopicTime) -> None:
        held.rebuild_pause_s = REBUILD_PAUSE_S
        self.shown.advance(held.topic.topic_id)

    def _on_index_failed(self, topic_id: bytes) -> None:
        """Its own fault ended it; the log has everything, so it is made anew, after a while."""
        if (held := self._held.get(topic_id)) is None:
            return
        held.live_or_none = None
        self.shown.forget(topic_id)
        held.is_failed = True
        self._spawn("live index again", self._rebuild(held))

    async def _rebuild(self, held: TopicTime) -> None:
        await asyncio.sleep(held.rebuild_pause_s)
        held.rebuild_pause_s = min(2 * held.rebuild_pause_s, REBUILD_PAUSE_MAX_S)
        held.is_failed = False
        if self._held.get(held.topic.topic_id) is held and held.live_or_none is None and self._is_opened(held.topic):
            self._make_live(held)

    def last_tick(self, topic: StreamTopic) -> Tick:
        ticks = self.newest_split(topic.topic_id, 0).ticks
        return tick_of(ticks[-1]) if ticks else no_tick(topic.partition_count)

    def _observe(self, shard: Shard) -> None:
        self._observed.add(shard.shard_id)

        def on_append(split: WriteSplit, _append: Append, _at: At) -> None:
            if not shard.is_leader:
                # The timekeeper of a partition that is led elsewhere goes by what it sees.
                split.last_append_ms = self._node.now_ms()
            self.keeper.on_append(split)
            self.sealer.on_append(split)

        def on_role(change: RoleChange) -> None:
            if change.role is Role.LEADER:
                self._follow()
                self.keeper.on_leader()
                self.sealer.on_leader()
                for topic_id in {topic_id for topic_id, _ in shard.state.chains}:
                    self.shown.advance(topic_id)
            self.sealer.on_role()

        def on_opened(command: Open, _result: object, _at: At) -> None:
            # A topic's partitions are opened after the catalog lists it.
            held = self._held.get(command.topic_id)
            if held is None or held.live_or_none is not None or held.is_failed:
                return
            if held.topic.is_live and self._is_opened(held.topic):
                self._make_live(held)

        def on_restored() -> None:
            # The files of a shard that had fallen far behind were replaced; its chains are the same, and further on.
            self._decoded.forget(shard.shard_id)
            self._follow()
            for topic_id in {topic_id for topic_id, _ in shard.state.chains}:
                self.indexes.wake(topic_id)

        self._undo += [
            shard.observe_appends(on_append),
            shard.observe_roles(on_role),
            shard.observe_commands(Open, on_opened),
            shard.observe_restores(on_restored),
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
        """Raises: NotReplicatedHereError, NotLeaderError while the partition is not opened here."""
        if (shard := self._node.shards.get(topic.shards[partition])) is None:
            raise self._elsewhere(topic)
        if (chain := shard.state.chains.get((topic.topic_id, partition))) is None:
            raise NotLeaderError
        return shard, chain

    def _elsewhere(self, topic: StreamTopic) -> NotReplicatedHereError:
        return NotReplicatedHereError(f"topic {topic.name!r}", self.other_replicas(topic.topic_id))

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

    def _spawn(self, name: str, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watched(self, name: str, work: Callable[[], Coroutine[object, object, None]]) -> None:
        """Run a part for as long as the node runs; after a failure of ours it begins anew."""
        while True:
            try:
                await work()
            except Exception:
                self._logger.exception("%s failed and begins anew", name)
            await asyncio.sleep(RESTART_PAUSE_S)
