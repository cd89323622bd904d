"""The border to aiokafka and Faust, which carry no types: what we use of them, typed, and nothing else."""
# pyright: reportPrivateUsage=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol, Self, cast

import aiokafka
import faust
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError, NoError, TopicAlreadyExistsError, for_code
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.structs import OffsetAndMetadata

from .errors import OutputError
from .records import Record

METADATA_MAX_AGE_MS = 10_000  # a partition that is added is read this soon
WORKS = b"works"


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
    def paused(self) -> frozenset[Place]: ...
    def pause(self, *places: Place) -> None: ...
    def resume(self, *places: Place) -> None: ...
    async def position(self, place: Place) -> int: ...
    async def end_offsets(self, places: Sequence[Place]) -> Mapping[Place, int]: ...
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
        partition_assignment_strategy=(_OneWorks(),),
        metadata_max_age_ms=METADATA_MAX_AGE_MS,
    )
    return cast("Consumer", consumer)


def new_producer(address: str) -> Producer:
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=address, enable_idempotence=True, linger_ms=2)
    return cast("Producer", producer)


class Changes(Protocol):
    """What a member of the group is told."""

    async def revoking(self) -> None:
        """The partitions may go to another worker as soon as this returns."""

    def assigned(self) -> None:
        """A rebalance has ended; positions are those of the committed offsets."""


def subscribe(consumer: Consumer, topics: Sequence[str], changes: Changes) -> None:
    """Join the group for these topics."""
    cast("aiokafka.AIOKafkaConsumer", consumer).subscribe(topics, listener=_Listener(changes))


async def committed(consumer: Consumer, places: Sequence[Place]) -> dict[Place, Committed]:
    """Committed offsets with their metadata, which aiokafka's public method drops; absent if none."""
    inner = cast("_WithCoordinator", consumer)
    wanted = [aiokafka.TopicPartition(*place) for place in places]
    found = await inner._coordinator.fetch_committed_offsets(wanted)  # noqa: SLF001
    return {Place(*p): Committed(c.offset, c.metadata) for p, c in found.items() if c.offset >= 0}


async def commit(consumer: Consumer, offsets: Mapping[Place, Committed]) -> bool:
    """False if the group has given the work to another member meanwhile."""
    wanted = {aiokafka.TopicPartition(*place): OffsetAndMetadata(*value) for place, value in offsets.items()}
    try:
        await cast("aiokafka.AIOKafkaConsumer", consumer).commit(wanted)
    except (CommitFailedError, IllegalStateError):
        return False
    return True


class Topics:
    """Questions about topics, and their creation; a connection of its own, for the time of a `with`."""

    def __init__(self, address: str) -> None:
        self._admin = cast("_Admin", AIOKafkaAdminClient(bootstrap_servers=address))

    async def __aenter__(self) -> Self:
        await self._admin.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._admin.close()

    async def missing_of(self, topics: Sequence[str]) -> list[str]:
        """Those that do not exist; asking creates none. Works for views as well, which no list of topics shows."""
        answer = await self._admin._send_request(MetadataRequest(list(topics), False))  # noqa: SLF001
        found = cast("Sequence[Mapping[str, object]]", answer.to_object()["topics"])
        there = {topic["topic"] for topic in found if topic["error_code"] == 0}
        return [topic for topic in topics if topic not in there]

    async def create(self, topic: str, partition_count: int, replication_factor: int) -> None:
        """Create a topic that keeps records of any event time. Raises: OutputError."""
        wanted = NewTopic(topic, partition_count, replication_factor, topic_configs={"retention.ms": "-1"})
        answer = await self._admin.create_topics([wanted])
        code, reason = answer.topic_errors[0][1:3]
        if code not in {NoError.errno, TopicAlreadyExistsError.errno}:
            raise OutputError(f"the topic {topic!r} for results cannot be created: {for_code(code).__name__}: {reason}")


def is_passing(error: Exception) -> bool:
    """Whether the broker or the way to it is to blame, and trying again may help."""
    return isinstance(error, KafkaError) and bool(error.retriable)


def address_of(app: faust.App) -> str:
    """Brokers of the app as HOST:PORT,HOST:PORT."""
    return ",".join(f"{url.host}:{url.port}" for url in app.conf.broker)


def id_of(app: faust.App) -> str:
    return str(app.conf.id)


class _Coordinator(Protocol):
    async def fetch_committed_offsets(
        self, places: Sequence[aiokafka.TopicPartition]
    ) -> Mapping[aiokafka.TopicPartition, OffsetAndMetadata]: ...


class _WithCoordinator(Protocol):
    _coordinator: _Coordinator


class _Response(Protocol):
    topic_errors: Sequence[tuple[str, int, str | None]]

    def to_object(self) -> Mapping[str, object]: ...


class _Admin(Protocol):
    async def start(self) -> None: ...
    async def close(self) -> None: ...
    async def create_topics(self, topics: Sequence[NewTopic]) -> _Response: ...
    async def _send_request(self, request: MetadataRequest) -> _Response: ...


class _Listener(ConsumerRebalanceListener):
    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    async def on_partitions_revoked(self, revoked: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - aiokafka awaits it
        del revoked
        await self._changes.revoking()

    def on_partitions_assigned(self, assigned: object) -> None:
        del assigned
        self._changes.assigned()


class _OneWorks(AbstractPartitionAssignor):
    """Gives every partition to one member: to the one that has them, so that a further worker moves nothing.

    aiokafka asks for classes; an object does as well and can remember whether it is the one.
    """

    name = "timesplit-one-works"  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType] - as in aiokafka's own

    def __init__(self) -> None:
        self._has_work = False

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:  # pyright: ignore[reportIncompatibleMethodOverride] - see the class
        return ConsumerProtocolMemberMetadata(0, sorted(topics), WORKS if self._has_work else b"")

    def assign(  # pyright: ignore[reportIncompatibleMethodOverride] - see the class
        self, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        chosen = min(members, key=lambda member: (members[member].user_data != WORKS, member))
        partitions = [
            (topic, sorted(cluster.partitions_for_topic(topic) or ())) for topic in members[chosen].subscription
        ]
        return {
            member: ConsumerProtocolMemberAssignment(0, partitions if member == chosen else [], b"")
            for member in members
        }

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - see the class
        self._has_work = bool(assignment.partitions())
