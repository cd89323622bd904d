"""The border to aiokafka and Faust, which carry no types: what we use of them, typed, and nothing else."""
# pyright: reportPrivateUsage=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol, cast

import aiokafka
import faust
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.structs import OffsetAndMetadata

from .records import Record


class Place(NamedTuple):
    """A partition of a topic; equal to, and hashed like, aiokafka's own TopicPartition."""

    topic: str
    partition: int


class Consumer(Protocol):
    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def assign(self, places: Sequence[Place]) -> None: ...
    def assignment(self) -> frozenset[Place]: ...
    def seek(self, place: Place, offset: int) -> None: ...
    def highwater(self, place: Place) -> int | None: ...
    async def beginning_offsets(self, places: Sequence[Place]) -> Mapping[Place, int]: ...
    async def getmany(self, *, timeout_ms: int, max_records: int) -> Mapping[Place, Sequence[Record]]: ...


class Producer(Protocol):
    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def send(
        self,
        topic: str,
        value: bytes,
        key: bytes,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: Sequence[tuple[str, bytes]] | None = None,
    ) -> Awaitable[object]: ...


class Committed(NamedTuple):
    """A group's committed offset and the text beside it."""

    offset: int
    metadata: str


def new_consumer(address: str, group: str | None) -> Consumer:
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=address,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    return cast("Consumer", consumer)


def new_producer(address: str) -> Producer:
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=address, enable_idempotence=True, linger_ms=2)
    return cast("Producer", producer)


def subscribe(consumer: Consumer, topics: Sequence[str], on_revoked: Callable[[], None]) -> None:
    """Join the group for these topics; `on_revoked` is called before a rebalance takes them away."""
    cast("aiokafka.AIOKafkaConsumer", consumer).subscribe(topics, listener=_OnRevoked(on_revoked))


async def committed(consumer: Consumer, places: Sequence[Place]) -> dict[Place, Committed]:
    """Committed offsets with their metadata, which aiokafka's public method drops; absent if none."""
    inner = cast("_WithCoordinator", consumer)
    wanted = [aiokafka.TopicPartition(*place) for place in places]
    found = await inner._coordinator.fetch_committed_offsets(wanted)  # noqa: SLF001
    return {Place(*p): Committed(c.offset, c.metadata) for p, c in found.items() if c.offset >= 0}


async def partitions_of(consumer: Consumer, topic: str) -> list[Place]:
    """All partitions of a topic, none if it does not exist; the consumer need not be subscribed to it."""
    cluster = await cast("_WithClient", consumer)._client.fetch_all_metadata()  # noqa: SLF001
    return [Place(topic, partition) for partition in sorted(cluster.partitions_for_topic(topic) or ())]


async def commit(consumer: Consumer, offsets: Mapping[Place, Committed]) -> None:
    wanted = {aiokafka.TopicPartition(*place): OffsetAndMetadata(*value) for place, value in offsets.items()}
    await cast("aiokafka.AIOKafkaConsumer", consumer).commit(wanted)


def address_of(app: faust.App) -> str:
    """Brokers of the app as HOST:PORT,HOST:PORT."""
    return ",".join(f"{url.host}:{url.port}" for url in app.conf.broker)


def id_of(app: faust.App) -> str:
    return str(app.conf.id)


class _Coordinator(Protocol):
    async def fetch_committed_offsets(
        self, places: Sequence[aiokafka.TopicPartition]
    ) -> Mapping[aiokafka.TopicPartition, OffsetAndMetadata]: ...


class _Cluster(Protocol):
    def partitions_for_topic(self, topic: str) -> set[int] | None: ...


class _Client(Protocol):
    async def fetch_all_metadata(self) -> _Cluster: ...


class _WithClient(Protocol):
    _client: _Client


class _WithCoordinator(Protocol):
    _coordinator: _Coordinator


class _OnRevoked(ConsumerRebalanceListener):
    def __init__(self, on_revoked: Callable[[], None]) -> None:
        self._on_revoked = on_revoked

    def on_partitions_revoked(self, revoked: object) -> None:
        del revoked
        self._on_revoked()

    def on_partitions_assigned(self, assigned: object) -> None:
        """Nothing to do: the runner sees its assignment."""
