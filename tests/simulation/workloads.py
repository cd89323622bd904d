"""What clients do in a history: produce, fetch, commit offsets, create topics, ask streams. Each fills a `History`."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from gateway.wire.error_codes import ErrorCode
from gateway.wire.messages.create_topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest
from gateway.wire.messages.fetch import ZERO_UUID, FetchPartition, FetchRequest, FetchTopic
from gateway.wire.messages.init_producer_id import InitProducerIdRequest
from gateway.wire.messages.list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from gateway.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from gateway.wire.messages.offset_fetch import OffsetFetchRequest, OffsetFetchRequestTopic
from gateway.wire.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from store.batches import Producer as ProducerStamp
from store.batches import build, check, records, split_batches
from store.events import Record

from .client import Client, GoneError
from .history import History, Operation, Place, Seen, Sent
from .process import WALL_MS

STORES_NOTHING = frozenset({ErrorCode.KAFKA_STORAGE_ERROR, ErrorCode.NOT_ENOUGH_REPLICAS})
LATEST = -1
FETCH_BY_ID = 13


@dataclass(slots=True)
class _Window:
    """Unacknowledged batches of one partition, in order."""

    batches: list[tuple[int, Sent, bytes]] = field(default_factory=list[tuple[int, Sent, bytes]])
    next_sequence: int = 0
    is_known: bool = False


class Workload:
    """`is_over`: nothing new is begun, what is under way is brought to its end."""

    def __init__(self, client: Client, history: History) -> None:
        self.client = client
        self.history = history
        self.is_over = False
        self.is_done = False
        self.problem = client.world.problem

    @property
    def now(self) -> float:
        return self.client.world.now

    def begin(self) -> None:
        self.client.loop.call_soon(lambda: self.client.loop.create_task(self._guarded()))

    async def run(self) -> None:
        raise NotImplementedError

    async def _guarded(self) -> None:
        try:
            await self.run()
        except Exception as error:  # noqa: BLE001 - the top of a client
            self.problem(f"{self.client.name} failed: {error!r}")
        self.is_done = True

    async def rest(self, mean_s: float) -> None:
        await asyncio.sleep(self.client.random.expovariate(1 / mean_s))


class Producer(Workload):
    """Idempotent: up to five batches of a partition under way, retried until each has its answer."""

    def __init__(
        self,
        client: Client,
        history: History,
        places: Sequence[Place],
        *,
        mean_s: float,
        inflight: int,
        spread_ms: int = 0,
    ) -> None:
        super().__init__(client, history)
        self._places = places
        self._mean_s = mean_s
        self._inflight = inflight
        self._spread_ms = spread_ms
        self._stamp: tuple[int, int] = (-1, -1)
        self._count = 0

    async def run(self) -> None:
        while True:
            try:
                answer = await self.client.call(None, "init_producer_id", InitProducerIdRequest(None, 60_000))
            except GoneError:
                await self.client.pause()
                continue
            if answer.error_code == 0:
                break
            await self.client.pause()
        self._stamp = answer.producer_id, answer.producer_epoch
        async with asyncio.TaskGroup() as tasks:
            for place in self._places:
                tasks.create_task(self._produce(place))

    async def _produce(self, place: Place) -> None:
        window = _Window()
        while not self.is_over or window.batches:
            if not self.is_over:
                await self.rest(self._mean_s)
            while len(window.batches) < self._inflight and not self.is_over:
                self._fill(place, window)
                if self.client.random.random() < 0.5:
                    break
            try:
                await self._send(place, window)
            except GoneError:
                self.client.forget_leader(*place)
                await self.client.pause()

    def _fill(self, place: Place, window: _Window) -> None:
        values: list[bytes] = []
        for _ in range(self.client.random.choice([1, 1, 2, 5])):
            self._count += 1
            values.append(b'{"w":"%s","n":%d}' % (self.client.name.encode(), self._count))
        sent = Sent(place, self.client.name, values, self.now)
        self.history.sent.append(sent)
        # Built once: a batch that is sent again is the same bytes.
        window.batches.append((window.next_sequence, sent, self._batch(window.next_sequence, sent)))
        window.next_sequence += len(values)

    async def _send(self, place: Place, window: _Window) -> None:
        """All of the window, in order, on one connection; keep what is not acknowledged."""
        node_id, _ = await self.client.leader(*place)
        answers: list[asyncio.Future] = []
        try:
            # A producer that is not known may begin at any sequence: if its first batch were refused and the second one
            # taken, the first one could never follow. So the first one goes alone.
            ready = window.batches if window.is_known else window.batches[:1]
            for _, _, batch in ready:
                data = TopicProduceData(place[0], [PartitionProduceData(place[1], memoryview(batch))])
                request = ProduceRequest(None, -1, 1_000, [data])
                answers.append(await self.client.send(node_id, "produce", request))
            for (sequence, sent, batch), future in zip(tuple(ready), answers, strict=True):
                answer = await self.client.wait(future, node_id=node_id)
                code = self._take(answer, sequence, sent, is_first=window.batches[0][0] == sequence)
                if code:
                    # Those behind it may have come through: they will be found as duplicates.
                    raise GoneError(code.name)
                window.batches.remove((sequence, sent, batch))
                window.is_known = True
        finally:
            for future in answers:
                if future.done() and not future.cancelled():
                    future.exception()

    def _take(self, answer, sequence: int, sent: Sent, *, is_first: bool) -> ErrorCode:
        (topic,) = answer.responses
        (partition,) = topic.partition_responses
        code = ErrorCode(partition.error_code)
        if code in {ErrorCode.NONE, ErrorCode.DUPLICATE_SEQUENCE_NUMBER}:
            sent.is_acked = True
            sent.end_s = self.now
            sent.offset = partition.base_offset if code is ErrorCode.NONE and partition.base_offset >= 0 else None
            return ErrorCode.NONE
        if code is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER and is_first:
            self.problem(f"{self.client.name}: sequence {sequence} of {sent.place} is refused, all before it was acked")
        elif not code.is_retriable and code is not ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER:
            self.problem(f"{self.client.name}: produce to {sent.place} is answered {code.name}")
        return code

    def _batch(self, sequence: int, sent: Sent) -> bytes:
        now_ms = WALL_MS + int(sent.start_s * 1000)
        random, spread_ms = self.client.random, self._spread_ms
        rows = [
            Record(i, now_ms - (random.randrange(spread_ms) if spread_ms else 0), b"k", value)
            for i, value in enumerate(sent.values)
        ]
        return build(rows, base_offset=0, producer=ProducerStamp(*self._stamp, sequence))


class Consumer(Workload):
    """Reads from where it stands, and now and then again from somewhere earlier."""

    def __init__(self, client: Client, history: History, places: Sequence[Place], *, mean_s: float) -> None:
        super().__init__(client, history)
        self._mean_s = mean_s
        self._at = dict.fromkeys(places, 0)

    async def run(self) -> None:
        while not self.is_over:
            await self.rest(self._mean_s)
            place = self.client.random.choice(list(self._at))
            offset = self._at[place]
            if self.client.random.random() < 0.2:
                offset = self.client.random.randrange(offset + 1)
            try:
                await self._look(place, offset)
            except GoneError:
                self.client.forget_leader(*place)
                await self.client.pause()

    async def _look(self, place: Place, offset: int) -> None:
        leader = await self.client.leader(*place)
        seen = await fetch(self.client, place, offset, leader)
        if seen is None:
            raise GoneError("refused")
        self.history.seen.append(seen)
        if seen.records:
            self._at[place] = max(self._at[place], seen.records[-1][0] + 1)


async def fetch(
    client: Client,
    place: Place,
    offset: int,
    leader: tuple[int, int],
    epochs: dict[int, int] | None = None,
    *,
    topic_id: bytes | None = None,
) -> Seen | None:
    """One fetch from the leader; None if it refuses for now. With a `topic_id`, by that. Raises: GoneError."""
    node_id, epoch = leader
    start_s = client.world.now
    wanted = FetchPartition(place[1], epoch, offset, partition_max_bytes=1 << 16)
    topic = FetchTopic(place[0] if topic_id is None else "", topic_id or ZERO_UUID, partitions=[wanted])
    request = FetchRequest(max_wait_ms=0, min_bytes=0, max_bytes=1 << 16, topics=[topic])
    version = None if topic_id is None else FETCH_BY_ID
    answer = await client.call(node_id, "fetch", request, version=version)
    (topic,) = answer.responses
    (data,) = topic.partitions
    code = ErrorCode(data.error_code)
    if code is not ErrorCode.NONE:
        if not code.is_retriable:
            client.world.problem(f"{client.name}: fetch of {place} at {offset} is answered {code.name} by {node_id}")
        return None
    found: list[tuple[int, bytes]] = []
    view = memoryview(bytes(data.records or b""))
    for position, header in split_batches(view):
        rows = decoded(bytes(view[position : position + header.length_bytes]))
        found += [row for row in rows if row[0] >= offset]
        if epochs is not None:
            epochs |= dict.fromkeys((row[0] for row in rows), header.leader_epoch)
    return Seen(place, node_id, epoch, start_s, client.world.now, offset, data.high_watermark, tuple(found))


@lru_cache(maxsize=1 << 14)
def decoded(batch: bytes) -> tuple[tuple[int, bytes], ...]:
    """(offset, value) of each record; all replicas and all fetches show the same bytes. Checks the CRC."""
    check(batch)
    return tuple((row.offset, row.value or b"") for row in records(batch))


class Committer(Workload):
    """A committed group offset is a register: unique values are written by several, and read by several.

    `is_rising`: one writer alone, whose values only rise.
    """

    def __init__(self, client: Client, history: History, group: str, *, number: int, of: int, mean_s: float) -> None:
        super().__init__(client, history)
        self._group = group
        self._number = number
        self._of = of
        self._mean_s = mean_s
        self._count = 0
        self._coordinator: int | None = None

    async def run(self) -> None:
        register = self.history.register(self._group)
        while not self.is_over:
            await self.rest(self._mean_s)
            try:
                # Now and then as a client that has just come, who asks any node.
                if self._coordinator is None or self.client.random.random() < 0.15:
                    self._coordinator = await self.client.coordinator(self._group)
                if self.client.random.random() < 0.5:
                    await self._write(register)
                else:
                    await self._read(register)
            except GoneError:
                self._coordinator = None
                await self.client.pause()

    async def _write(self, register: list[Operation]) -> None:
        self._count += 1
        one = Operation("write", self._count * self._of + self._number, self.now)
        register.append(one)
        topic = OffsetCommitRequestTopic("t", [OffsetCommitRequestPartition(0, one.value)])
        answer = await self.client.call(
            self._coordinator, "offset_commit", OffsetCommitRequest(self._group, -1, "", topics=[topic])
        )
        code = ErrorCode(answer.topics[0].partitions[0].error_code)
        self._check(code, "commit")
        one.end_s, one.is_known = self.now, True

    async def _read(self, register: list[Operation]) -> None:
        start_s = self.now
        answer = await self.client.call(
            self._coordinator, "offset_fetch", OffsetFetchRequest(self._group, [OffsetFetchRequestTopic("t", [0])])
        )
        self._check(ErrorCode(answer.error_code), "offset fetch")
        found = answer.topics[0].partitions[0]
        self._check(ErrorCode(found.error_code), "offset fetch")
        value = found.committed_offset
        register.append(Operation("read", max(value, 0), start_s, self.now, is_known=True))

    def _check(self, code: ErrorCode, what: str) -> None:
        if code is ErrorCode.NONE:
            return
        if not code.is_retriable:
            self.problem(f"{self.client.name}: {what} is answered {code.name}")
        raise GoneError(code.name)


class Returner(Workload):
    """A client that was silent for long and knows an old coordinator: it asks a node that was paused, right after."""

    def __init__(self, client: Client, history: History, groups: Sequence[str]) -> None:
        super().__init__(client, history)
        self.resumed: deque[int] = deque()
        self._groups = groups

    async def run(self) -> None:
        while not self.is_over:
            await asyncio.sleep(0.005)
            while self.resumed:
                node_id = self.resumed.popleft()
                for _ in range(4):
                    for group in self._groups:
                        await self._read(node_id, group)
                    await asyncio.sleep(0.01)

    async def _read(self, node_id: int, group: str) -> None:
        start_s = self.now
        request = OffsetFetchRequest(group, [OffsetFetchRequestTopic("t", [0])])
        try:
            answer = await self.client.call(node_id, "offset_fetch", request, timeout_s=0.3)
        except GoneError:
            return
        found = answer.topics[0].partitions[0] if answer.topics else None
        if answer.error_code == 0 and found is not None and found.error_code == 0:
            value = max(found.committed_offset, 0)
            self.history.register(group).append(Operation("read", value, start_s, self.now, is_known=True))


class Creator(Workload):
    """Creates topics, one after the other, and produces nothing."""

    def __init__(self, client: Client, history: History, names: Sequence[str], *, mean_s: float) -> None:
        super().__init__(client, history)
        self._names = names
        self._mean_s = mean_s

    async def run(self) -> None:
        for name in self._names:
            await self.rest(self._mean_s)
            if self.is_over:
                return
            await create_topic(self.client, name, 1)
            self.history.created[name] = self.now


async def create_topic(client: Client, name: str, partitions: int, **configs: str) -> None:
    """Until it is there; a node that only knows that it exists already is as good."""
    rows = [CreatableTopicConfig(key.replace("_", "."), value) for key, value in configs.items()]
    while True:
        request = CreateTopicsRequest([CreatableTopic(name, partitions, -1, configs=rows)], timeout_ms=2_000)
        try:
            answer = await client.call(None, "create_topics", request, timeout_s=3.0)
        except GoneError:
            await client.pause()
            continue
        code = ErrorCode(answer.topics[0].error_code)
        if code in {ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS}:
            return
        if not code.is_retriable:
            client.world.problem(
                f"{client.name}: creating {name} is answered {code.name}: {answer.topics[0].error_message}"
            )
        await client.pause()


async def end_offset(client: Client, place: Place) -> int | None:
    """The high watermark, by ListOffsets; None while nobody answers."""
    try:
        node_id, epoch = await client.leader(*place)
        topic = ListOffsetsTopic(place[0], [ListOffsetsPartition(place[1], epoch, LATEST)])
        answer = await client.call(node_id, "list_offsets", ListOffsetsRequest(-1, 0, [topic], 1_000))
    except GoneError:
        client.forget_leader(*place)
        return None
    found = answer.topics[0].partitions[0]
    if found.error_code:
        client.forget_leader(*place)
        await client.pause()
        return None
    return found.offset


async def read_all(client: Client, place: Place, epochs: dict[int, int]) -> list[tuple[int, bytes]]:
    """Everything, up to the high watermark."""
    found: list[tuple[int, bytes]] = []
    while True:
        end = await end_offset(client, place)
        if end is None:
            continue
        at = found[-1][0] + 1 if found else 0
        if at >= end:
            return found
        try:
            seen = await fetch(client, place, at, await client.leader(*place), epochs)
        except GoneError:
            seen = None
        if seen is None:
            client.forget_leader(*place)
            await client.pause()
        else:
            found += seen.records
