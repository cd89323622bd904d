"""Produce: batches in, base offsets out. Source: KIP-98 (idempotence), KIP-467 (messages), KIP-951 (leader hints).

The way of every event, so: no task, no timer, no copy of the records. The frame's memory goes to the partition.
"""

from functools import partial

from sharding.errors import TimedOutError
from sharding.interfaces import Appended, Topic
from store.batches import check
from store.compression import Compression
from store.errors import UnsupportedCompressionError

from ...wire.messages.produce import (
    LeaderIdAndEpoch,
    NodeEndpoint,
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceResponse,
)
from ..context import PENDING, RequestContext
from ..error_map import REFUSALS, message_of
from ..errors import InvalidAcksError, NotInTransactionError, RefusedSilentlyError, TransactionsNotBuiltError
from ..leaders import endpoints, leader_or_none

ZSTD_FROM = 7
LEADER_HINT_FROM = 10


def handle(request: ProduceRequest, context: RequestContext) -> object:
    """Append each batch; answered when the last one is done, at once if all are refused, never with acks=0."""
    answer = _ProduceAnswer(context)
    fault = _fault_of(request)
    acks = request.acks
    now_ms = context.door.wall_ms()
    for wanted in request.topic_data:
        name = wanted.name
        responses: list[PartitionProduceResponse] = []
        answer.topics.append(TopicProduceResponse(name, responses))
        for data in wanted.partition_data:
            response = PartitionProduceResponse(data.index)
            responses.append(response)
            if fault is None:
                try:
                    _append(name, data, context, acks, now_ms, answer, response)
                except REFUSALS as error:
                    answer.refuse(name, response, error)
            else:
                answer.refuse(name, response, fault)
    if acks == 0:
        answer.end_unanswered()
        return PENDING
    if not answer.unfinished_count:
        return answer.response()
    wait_ms = min(max(request.timeout_ms, 0), context.settings.produce_wait_ms_max)
    context.expires_ms = context.door.now_ms() + wait_ms
    context.expire = answer.expire
    return PENDING


def _fault_of(request: ProduceRequest) -> Exception | None:
    """What is wrong with the request as a whole."""
    if request.transactional_id is not None:
        return TransactionsNotBuiltError(f"transactions are not built yet ({request.transactional_id!r})")
    if request.acks not in {-1, 0, 1}:
        return InvalidAcksError(f"acks {request.acks}, one of -1, 0, 1")
    return None


class _ProduceAnswer:
    """Gathers the outcomes of one request; invariant: answered when `unfinished_count` falls to 0, or at expiry."""

    __slots__ = ("context", "has_refusal", "leaders", "topics", "unfinished_count")

    def __init__(self, context: RequestContext) -> None:
        self.context = context
        self.topics: list[TopicProduceResponse] = []
        self.unfinished_count = 0
        self.has_refusal = False
        self.leaders: set[int] = set()

    def done(self, name: str, response: PartitionProduceResponse, outcome: Appended | Exception) -> None:
        if self.context.is_answered:  # expired before
            return
        if isinstance(outcome, Appended):
            response.base_offset = outcome.base_offset
            response.log_append_time_ms = outcome.log_append_time_ms
            response.log_start_offset = outcome.log_start
        else:
            self.refuse(name, response, outcome)
        self.unfinished_count -= 1
        if not self.unfinished_count:
            self.context.answer(self.response())

    def refuse(self, name: str, response: PartitionProduceResponse, error: Exception) -> None:
        self.has_refusal = True
        response.error_code = self.context.refuse(error)
        response.error_message = message_of(error)
        response.base_offset = -1
        if self.context.version >= LEADER_HINT_FROM:
            self._hint(name, response, error)

    def _hint(self, name: str, response: PartitionProduceResponse, error: Exception) -> None:
        """Tell the client where to go, which saves it a Metadata request."""
        node = self.context.node
        try:
            topic: Topic = node.topic(name)
        except REFUSALS:
            return
        if (leader := leader_or_none(node, error, topic, response.index)) is not None:
            response.current_leader = LeaderIdAndEpoch(leader.node_id, leader.epoch)
            self.leaders.add(leader.node_id)

    def expire(self) -> None:
        """The client's patience is over; what is not committed now may still be."""
        late = TimedOutError("not committed in time; it may still be")
        for topic in self.topics:
            for response in topic.partition_responses:
                if response.base_offset == UNFINISHED:
                    self.refuse(topic.name, response, late)
        self.context.answer(self.response())

    def end_unanswered(self) -> None:
        """Raises: RefusedSilentlyError."""
        if self.has_refusal:
            refused = next(r for topic in self.topics for r in topic.partition_responses if r.error_code)
            raise RefusedSilentlyError(f"code {refused.error_code}: {refused.error_message}")
        self.context.answer_nothing()

    def response(self) -> ProduceResponse:
        return ProduceResponse(self.topics, node_endpoints=endpoints(self.context.node, self.leaders, NodeEndpoint))


UNFINISHED = -2
"""The base offset of a partition's response until its outcome is known; never sent."""


def _append(  # noqa: PLR0913, PLR0917 - one call per batch, on the hot path: no object only to carry these
    name: str,
    data: PartitionProduceData,
    context: RequestContext,
    acks: int,
    now_ms: int,
    answer: _ProduceAnswer,
    response: PartitionProduceResponse,
) -> None:
    node = context.node
    partition = node.partition(node.topic(name), data.index)
    records = data.records
    if records is None:
        records = memoryview(b"")
    header = check(records)
    if header.is_transactional:
        raise NotInTransactionError("a transactional batch outside a transaction")
    if context.version < ZSTD_FROM and header.codec is Compression.ZSTD:
        raise UnsupportedCompressionError(f"zstd needs Produce {ZSTD_FROM}, this is {context.version}")
    if acks == 0:
        partition.append(records, header, acks=0, now_ms=now_ms, on_done=_ignore)
        return
    response.base_offset = UNFINISHED
    partition.append(records, header, acks=acks, now_ms=now_ms, on_done=partial(answer.done, name, response))
    answer.unfinished_count += 1


def _ignore(outcome: Appended | Exception) -> None:
    """Nobody waits for the outcome of acks=0 after admission."""
