"""Whole nodes with their time services: real groups on real disks in one folder, over links in memory, in real time."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from uuid import uuid4

import anyio

from gateway.http.app import build_app
from gateway.http.listening import address_of, listen
from gateway.http.server import HttpServer
from gateway.kafka.server import KafkaServer
from gateway.kafka.settings import KafkaSettings
from raft.clock import LoopClock
from raft.configuration import Peer
from raft.disk import LocalDisk
from raft.host import RaftHost
from raft.interfaces import NodeId
from raft.peers import Peers
from raft.settings import RaftSettings
from sharding.coordinators.groups import Groups
from sharding.coordinators.values import GroupLimits
from sharding.errors import NotLeaderError, OffsetNotAvailableError, SealingError, ShardingError, TimedOutError
from sharding.inserts import Inserts, NewRecord
from sharding.interfaces import EventsAnswer, NewTopic, NodeAddress, PartitionApi, SplitDescription, Topic
from sharding.node import Node, NodeParts, NodeSettings
from sharding.sealing import SealingSettings
from sharding.time_services import TimeServices, TimeSettings
from store.batches import records, split_batches
from store.emission import ViewKind
from store.events import Record
from store.queries import EventsQuery
from store.schema import Schema
from tests.support.raft_cluster import MemoryLinks, Network
from tests.support.time_node import merge_in_thread

LOG = logging.getLogger("test")
# All nodes share one loop on a machine that may be busy.
SETTINGS = RaftSettings(segment_bytes=1 << 20, election_ms=800)
SCHEMA = Schema.of({"n": "long"}, ["n"])
DEADLINE_S = 30.0


def wall_ms() -> int:
    return 1_700_000_000_000 + int(asyncio.get_running_loop().time() * 1000)


@dataclass(slots=True)
class Life:
    """A node from its start to its stop."""

    links: MemoryLinks
    peers: Peers
    host: RaftHost
    node: Node
    kafka: KafkaServer | None = None
    http: HttpServer | None = None
    address: NodeAddress | None = None

    @property
    def services(self) -> TimeServices:
        services = self.node._time
        assert isinstance(services, TimeServices)
        return services


class TimeNodes:
    """Nodes 1 to `count`, founded together."""

    def __init__(self, folder: Path, count: int = 3, *, has_doors: bool = False) -> None:
        self.folder = folder
        self.has_doors = has_doors
        self.network = Network()
        self.lives: dict[int, Life] = {}
        self.founders = tuple(Peer(NodeId(one), f"disk-{one}") for one in range(1, count + 1))
        self._turns = 0

    async def start(self, *node_ids: int) -> None:
        await asyncio.gather(*(self._start(one) for one in node_ids))

    async def _start(self, node_id: int) -> None:
        self._turns += 1
        peer = self.founders[node_id - 1]
        folder = self.folder / f"node{node_id}"
        links = MemoryLinks(self.network, peer, SETTINGS)
        peers = Peers(links, SETTINGS.rpcs_max, LoopClock())
        host = RaftHost(LocalDisk(), str(folder / "shards"), peer, peers=peers, settings=SETTINGS)
        sealing = SealingSettings(topics_folder=folder / "topics", check_ms=20, retry_ms=50, run_merge=merge_in_thread)
        node = Node(
            NodeSettings(
                node_id=node_id,
                cluster_id="c",
                disk_id=peer.disk_id.encode(),
                host=f"host{node_id}",
                founders=self.founders,
                shards_per_node=1,
                drain_timeout_ms=1_000,
            ),
            host,
            now_ms=wall_ms,
            random=Random(node_id * 1000 + self._turns),
            logger=LOG,
            parts=NodeParts(
                groups=Groups(
                    limits=GroupLimits(initial_rebalance_delay_ms=0),
                    clock=LoopClock(),
                    wall_ms=wall_ms,
                    new_id=lambda: str(uuid4()),
                    logger=LOG,
                ),
                time=lambda made: TimeServices(made, TimeSettings(sealing=sealing), logger=LOG),
            ),
            peers=peers,
        )
        life = self.lives[node_id] = Life(links, peers, host, node)
        await peers.start()
        await node.start()
        kafka_port, http_port = 9090 + node_id, 8080 + node_id
        if self.has_doors:
            life.kafka = KafkaServer(node, KafkaSettings())
            _, kafka_port = await life.kafka.start("127.0.0.1", 0)
            app = build_app(node, is_ready=lambda: True, render_metrics=lambda: b"", now_ms=wall_ms)
            life.http = HttpServer(app)
            listening = listen("127.0.0.1", 0)
            await life.http.start(listening)
            _, http_port = address_of(listening)
        life.address = NodeAddress(node_id=node_id, host="127.0.0.1", kafka_port=kafka_port, http_port=http_port)
        await node.register(life.address)

    async def stop(self, node_id: int) -> None:
        """As SIGTERM."""
        life = self.lives.pop(node_id)
        await self._close_doors(life)
        await life.node.close()
        await life.host.close()
        await life.peers.close()

    async def kill(self, node_id: int) -> None:
        """Nothing is handed over."""
        life = self.lives.pop(node_id)
        await self._close_doors(life)
        life.links.break_off()
        await life.services.close()
        await life.node._machinery.stop()
        await life.host.abandon()
        await life.peers.close()

    async def close(self) -> None:
        for node_id in list(self.lives):
            await self.kill(node_id)

    async def _close_doors(self, life: Life) -> None:
        if life.kafka is not None and life.http is not None:
            await life.kafka.close(0)
            await life.http.close()

    def address(self, node_id: int) -> NodeAddress:
        address = self.lives[node_id].address
        assert address is not None, f"node {node_id} is not registered yet"
        return address

    def node(self, node_id: int) -> Node:
        return self.lives[node_id].node

    async def create(self, name: str = "t", partitions: int = 3, **configs: str) -> Topic:
        named = {key.replace("_", "."): text for key, text in configs.items()}
        wanted = NewTopic(name=name, partitions=partitions, configs=named, schema=SCHEMA)
        return await self.node(min(self.lives)).create_topic(wanted)

    async def insert(self, node_id: int, topic: Topic, timestamps: Sequence[int]) -> list[tuple[int, int, int]]:
        """Through one node, whoever leads; the events as (timestamp, partition, offset)."""
        inserts = Inserts(self.node(node_id), now_ms=wall_ms, limiter=anyio.CapacityLimiter(1))
        rows = [NewRecord(b'{"n":%d}' % ts, key=b"k%d" % ts, timestamp_ms=ts) for ts in timestamps]
        events: list[tuple[int, int, int]] = []
        for ts, place in zip(timestamps, await inserts.insert(topic, rows), strict=True):
            if isinstance(place, Exception):
                raise place
            events.append((ts, place.partition, place.offset))
        return events

    def leader_or_none(self, topic: Topic, partition: int) -> int | None:
        """The running node that leads the partition in the newest term."""
        found: list[tuple[int, int]] = []
        for node_id, life in self.lives.items():
            record = life.node.catalog.topics.get(topic.topic_id.bytes)
            shard = None if record is None else life.node.shards.get(record.shards[partition])
            if shard is not None and shard.is_leader:
                found.append((shard.term, node_id))
        return max(found)[1] if found else None

    async def until_led(self, topic: Topic, partition: int) -> int:
        await self.until(lambda: self.leader_or_none(topic, partition) is not None, f"{topic.name}-{partition} is led")
        leader = self.leader_or_none(topic, partition)
        assert leader is not None
        return leader

    async def until(self, condition: Callable[[], object], what: str) -> None:
        deadline = asyncio.get_running_loop().time() + DEADLINE_S
        while not condition():
            assert asyncio.get_running_loop().time() < deadline, f"{what}: not in {DEADLINE_S:g} s"
            await asyncio.sleep(0.01)

    async def read(self, topic: Topic, kind: ViewKind, index: int = 0) -> list[Record]:
        """A view to its high watermark, as a client that comes again."""
        found: list[Record] = []
        deadline = asyncio.get_running_loop().time() + DEADLINE_S
        while True:
            leader = await self.until_led(topic, index if kind is ViewKind.KEYED else 0)
            try:
                node = self.node(leader)
                partition: PartitionApi = node.partition(node.topic(f"{topic.name}.{kind.value}"), index)
                fetched = partition.read(len(found), 1 << 16)
                got = fetched if not hasattr(fetched, "__await__") else await fetched
            except (NotLeaderError, OffsetNotAvailableError):
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(0.02)
                continue
            if not got.records:
                return found
            for view in got.records:
                for position, header in split_batches(view):
                    found += records(view[position : position + header.length_bytes])

    async def ask(self, node_id: int, topic: Topic, query: EventsQuery) -> EventsAnswer:
        """As a client that comes again while leaders move."""
        deadline = asyncio.get_running_loop().time() + DEADLINE_S
        while True:
            try:
                return await self.node(node_id).stream(topic.name).events(query)
            except (NotLeaderError, TimedOutError):
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(0.02)

    async def seal(self, topic: Topic) -> SplitDescription:
        """As a client that comes again when the leader moves."""
        deadline = asyncio.get_running_loop().time() + DEADLINE_S
        while True:
            leader = await self.until_led(topic, 0)
            try:
                split = await self.node(leader).stream(topic.name).seal()
            except (NotLeaderError, SealingError, TimedOutError):
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(0.02)
            else:
                assert split is not None, "there was something to seal"
                return split

    async def settle(self, topic: Topic) -> None:
        """Until a tick has made everything final, and every node that runs has indexed it."""

        def is_settled() -> bool:
            last_ticks: set[int] = set()
            for life in self.lives.values():
                held = life.services.held.get(topic.topic_id.bytes)
                if held is None or held.live_or_none is None or held.live.lag:
                    return False
                try:
                    last = life.services.last_tick(held.topic)
                    greatest = max(chain.newest.greatest_ms for _, chain in life.services.places_of(held.topic))
                except ShardingError:
                    return False
                ledger = held.live.ledger_or_none
                if last.watermark_ms < greatest or ledger is None or ledger.last.number < last.number:
                    return False
                last_ticks.add(last.number)
            return len(last_ticks) == 1

        await self.until(is_settled, "everything is final")


@asynccontextmanager
async def time_nodes(folder: Path, count: int = 3, *, has_doors: bool = False) -> AsyncIterator[TimeNodes]:
    nodes = TimeNodes(folder, count, has_doors=has_doors)
    await nodes.start(*range(1, count + 1))
    try:
        yield nodes
    finally:
        await nodes.close()
