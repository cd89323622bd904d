"""Fetch: batches out, at once or when there are enough.

Source: KIP-74 (limits), KIP-320 (epochs), KIP-227 (sessions), KIP-516 (topic ids), KIP-951 (leader hints).

Sessions are declined (`session_id` 0 in every answer), so every request is a full one. A request that must wait is no
task: it watches its partitions and holds one timer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import cast

from sharding.interfaces import Fetched, PartitionApi, Topic
from store.batches import split_batches
from store.compression import Compression
from store.errors import UnsupportedCompressionError

from ...wire.error_codes import ErrorCode
from ...wire.messages.fetch import (
    FetchableTopicResponse,
    FetchPartition,
    FetchRequest,
    FetchResponse,
    LeaderIdAndEpoch,
    NodeEndpoint,
    PartitionData,
)
from ..context import PENDING, RequestContext
from ..error_map import REFUSALS
from ..leaders import endpoints, leader_or_none, topic_of

READ_COMMITTED = 1
ZSTD_FROM = 10
LEADER_HINT_FROM = 16


def handle(request: FetchRequest, context: RequestContext) -> object:
    if request.session_id and request.session_epoch > 0:
        context.door.metrics.count_error(ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
        return FetchResponse(error_code=ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
    return _Fetching(request, context).begin()


class _Wanted:
    """One partition of the request and what was read of it."""

    __slots__ = ("asked", "data", "error", "fetched", "is_due", "partition", "reserved_bytes", "topic")

    def __init__(self, asked: FetchPartition) -> None:
        self.asked = asked
        self.topic: Topic | None = None
        self.partition: PartitionApi | None = None
        self.fetched: Fetched | None = None
        self.error: Exception | None = None
        self.is_due = True
        """It has to be read (again)."""
        self.reserved_bytes = 0
        """Room in the answer: the size of what was read, or the limit of a read under way."""


class _Fetching:
    """One Fetch on its way: read what is due, answer if that is enough, else wait for a change or the deadline.

    Invariants: the records of all partitions together stay below `max_bytes`, but that the first batch is whole; no
    partition is read twice at a time; watches and timer are undone before the answer.
    """

    __slots__ = (
        "_bytes_left",
        "_bytes_max",
        "_bytes_min",
        "_context",
        "_is_committed_only",
        "_is_over",
        "_is_step_due",
        "_leaders",
        "_reading_count",
        "_timer",
        "_topics",
        "_undo",
        "_wait_ms",
        "_wanted",
    )

    def __init__(self, request: FetchRequest, context: RequestContext) -> None:
        settings = context.settings
        self._context = context
        self._bytes_max = self._bytes_left = min(max(request.max_bytes, 0), settings.fetch_bytes_max)
        self._bytes_min = min(request.min_bytes, self._bytes_left)
        self._wait_ms = min(max(request.max_wait_ms, 0), settings.fetch_wait_ms_max)
        self._is_committed_only = request.isolation_level == READ_COMMITTED
        self._topics = [(topic, [_Wanted(asked) for asked in topic.partitions]) for topic in request.topics]
        self._wanted = [wanted for _, partitions in self._topics for wanted in partitions]
        self._leaders: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._undo: list[Callable[[], None]] = []
        self._reading_count = 0
        self._is_step_due = False
        self._is_over = False

    def begin(self) -> object:
        """The answer, or PENDING."""
        node = self._context.node
        for asked, partitions in self._topics:
            for wanted in partitions:
                try:
                    wanted.topic = topic_of(node, asked.topic, asked.topic_id)
                    wanted.partition = node.partition(wanted.topic, wanted.asked.partition)
                    wanted.partition.check_epoch(wanted.asked.current_leader_epoch)
                except REFUSALS as error:
                    wanted.error = error
        self._read()
        if not self._reading_count and (self._is_enough() or not self._wait_ms or not self._wanted):
            return self._response()
        self._context.hurry = self._finish
        if not self._reading_count:
            self._wait()
            if self._is_enough():
                return self._end()
        return PENDING

    # Reading

    def _read(self) -> None:
        """Read every partition that is due, in the asked order, as far as the room goes."""
        for wanted in self._wanted:
            partition = wanted.partition
            if not wanted.is_due or wanted.error is not None or partition is None:
                continue
            wanted.is_due = False
            room = self._bytes_left + wanted.reserved_bytes
            is_first = room == self._bytes_max
            if room <= 0 and not is_first:
                continue
            limit = min(max(wanted.asked.partition_max_bytes, 0), room)
            try:
                found = partition.read(wanted.asked.fetch_offset, limit, is_committed_only=self._is_committed_only)
            except REFUSALS as error:
                self._refused(wanted, error)
                continue
            if isinstance(found, Fetched):
                self._take(wanted, found)
            else:
                self._reserve(wanted, limit)
                self._read_later(wanted, found)

    def _read_later(self, wanted: _Wanted, found: Awaitable[Fetched]) -> None:
        """Bytes that must be made or brought first: the one case with a task."""
        self._reading_count += 1
        if not self._context.run(self._await(wanted, found)):
            self._reading_count -= 1
            if isinstance(found, Coroutine):
                found.close()

    async def _await(self, wanted: _Wanted, found: Awaitable[Fetched]) -> None:
        try:
            self._take(wanted, await found)
        except REFUSALS as error:
            self._refused(wanted, error)
        self._reading_count -= 1
        if not self._reading_count and not self._is_over:
            self._decide()

    def _take(self, wanted: _Wanted, found: Fetched) -> None:
        is_first = self._bytes_left + wanted.reserved_bytes == self._bytes_max
        if found.size_bytes > self._bytes_left + wanted.reserved_bytes and not is_first:
            # A batch is read whole; only the first may exceed the room (KIP-74).
            found = Fetched((), 0, found.high_watermark, found.last_stable_offset, found.log_start)
        if self._context.version < ZSTD_FROM and _has_zstd(found):
            self._refused(wanted, UnsupportedCompressionError(f"zstd needs Fetch {ZSTD_FROM}"))
            return
        wanted.fetched = found
        self._reserve(wanted, found.size_bytes)

    def _refused(self, wanted: _Wanted, error: Exception) -> None:
        wanted.error, wanted.fetched = error, None
        self._reserve(wanted, 0)

    def _reserve(self, wanted: _Wanted, count: int) -> None:
        self._bytes_left += wanted.reserved_bytes - count
        wanted.reserved_bytes = count

    # Waiting

    def _is_enough(self) -> bool:
        if self._bytes_min <= 0 or self._bytes_max - self._bytes_left >= self._bytes_min:
            return True
        return any(wanted.error is not None for wanted in self._wanted)

    def _wait(self) -> None:
        """Watch everything once; look again at what moved since it was read."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._wait_ms / 1000, self._finish)
            for wanted in self._wanted:
                if wanted.partition is not None:
                    try:
                        self._undo.append(wanted.partition.watch(lambda wanted=wanted: self._changed(wanted)))
                    except REFUSALS as error:
                        # It was readable a moment ago.
                        self._refused(wanted, error)
                        continue
                    if wanted.fetched is not None and wanted.partition.high_watermark > wanted.fetched.high_watermark:
                        self._changed(wanted)

    def _changed(self, wanted: _Wanted) -> None:
        wanted.is_due = True
        if not self._is_step_due and not self._reading_count and not self._is_over:
            # Many partitions move in one step of the loop: look once, after it.
            self._is_step_due = True
            asyncio.get_running_loop().call_soon(self._step)

    def _step(self) -> None:
        self._is_step_due = False
        if self._is_over or self._reading_count:
            return
        try:
            self._read()
            if not self._reading_count:
                self._decide()
        except Exception as error:  # noqa: BLE001 - the top of a step of the loop
            self._context.fail(error)

    def _decide(self) -> None:
        if self._is_enough() or not self._wait_ms:
            self._finish()
            return
        self._wait()
        if self._is_enough():
            self._finish()
        elif any(wanted.is_due for wanted in self._wanted if wanted.error is None and wanted.partition is not None):
            self._changed(next(wanted for wanted in self._wanted if wanted.is_due))

    def _finish(self) -> None:
        """Answer with what is there."""
        if not self._is_over:
            self._context.answer(self._end())

    def _end(self) -> FetchResponse:
        self._is_over = True
        self._context.hurry = None
        if self._timer is not None:
            self._timer.cancel()
        for undo in self._undo:
            undo()
        return self._response()

    # The answer

    def _response(self) -> FetchResponse:
        responses = [
            FetchableTopicResponse(asked.topic, asked.topic_id, [self._partition_data(wanted) for wanted in partitions])
            for asked, partitions in self._topics
        ]
        hints = endpoints(self._context.node, self._leaders, NodeEndpoint)
        return FetchResponse(responses=responses, node_endpoints=hints)

    def _partition_data(self, wanted: _Wanted) -> PartitionData:
        data = PartitionData(wanted.asked.partition, records=b"")
        data.aborted_transactions = () if self._is_committed_only else None
        if wanted.error is not None:
            data.error_code = self._context.refuse(wanted.error)
            data.high_watermark = -1
            self._hint(wanted, wanted.error, data)
            return data
        found = wanted.fetched
        if found is not None:
            data.high_watermark = found.high_watermark
            data.last_stable_offset = found.last_stable_offset
            data.log_start_offset = found.log_start
            data.records = found.records
            return data
        partition = cast("PartitionApi", wanted.partition)
        data.high_watermark = partition.high_watermark
        data.last_stable_offset = partition.last_stable_offset
        data.log_start_offset = partition.log_start
        return data

    def _hint(self, wanted: _Wanted, error: Exception, data: PartitionData) -> None:
        if self._context.version < LEADER_HINT_FROM or wanted.topic is None:
            return
        leader = leader_or_none(self._context.node, error, wanted.topic, wanted.asked.partition)
        if leader is not None:
            data.current_leader = LeaderIdAndEpoch(leader.node_id, leader.epoch)
            self._leaders.add(leader.node_id)


def _has_zstd(found: Fetched) -> bool:
    return any(header.codec is Compression.ZSTD for records in found.records for _, header in split_batches(records))
