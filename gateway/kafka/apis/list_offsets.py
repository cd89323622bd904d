"""ListOffsets: offsets by time or by place. Source: KIP-79, KIP-405, KIP-734, KIP-1005, KIP-1023.

A time is answered exactly, whatever the disorder: the least offset whose record is not older. Only a leader that was
confirmed since the request came answers: a deposed one would tell ends that are long past.
"""

import asyncio

from sharding.interfaces import FoundOffset, PartitionApi

from ...wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)
from ..context import RequestContext
from ..error_map import REFUSALS
from ..errors import UnsupportedHereError

LATEST, EARLIEST, GREATEST_TIME, EARLIEST_LOCAL, LATEST_TIERED, EARLIEST_NOT_UPLOADED = -1, -2, -3, -4, -5, -6
KNOWN_FROM = {LATEST: 1, EARLIEST: 1, GREATEST_TIME: 7, EARLIEST_LOCAL: 8, LATEST_TIERED: 9, EARLIEST_NOT_UPLOADED: 11}
READ_COMMITTED = 1
EPOCH_FROM = 4


async def handle(request: ListOffsetsRequest, context: RequestContext) -> ListOffsetsResponse:
    is_committed_only = request.isolation_level == READ_COMMITTED
    asked = [(topic.name, wanted) for topic in request.topics for wanted in topic.partitions]
    # Side by side: all partitions of a shard share one round.
    outcomes = iter(
        await asyncio.gather(
            *(_find(name, wanted, context, is_committed_only=is_committed_only) for name, wanted in asked),
            return_exceptions=True,
        )
    )
    topics: list[ListOffsetsTopicResponse] = []
    for topic in request.topics:
        partitions: list[ListOffsetsPartitionResponse] = []
        for wanted in topic.partitions:
            outcome = next(outcomes)
            if isinstance(outcome, REFUSALS):
                partitions.append(ListOffsetsPartitionResponse(wanted.partition_index, context.refuse(outcome)))
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                epoch = outcome.leader_epoch if context.version >= EPOCH_FROM else -1
                partitions.append(
                    ListOffsetsPartitionResponse(wanted.partition_index, 0, outcome.timestamp_ms, outcome.offset, epoch)
                )
        topics.append(ListOffsetsTopicResponse(topic.name, partitions))
    return ListOffsetsResponse(topics=topics)


NOTHING = FoundOffset(offset=-1, timestamp_ms=-1, leader_epoch=-1)


async def _find(
    name: str, wanted: ListOffsetsPartition, context: RequestContext, *, is_committed_only: bool
) -> FoundOffset:
    partition = context.node.partition(context.node.topic(name), wanted.partition_index)
    partition.check_epoch(wanted.current_leader_epoch)
    place = wanted.timestamp
    if place < 0 and KNOWN_FROM.get(place, context.version + 1) > context.version:
        raise UnsupportedHereError(f"timestamp {place} in version {context.version}")
    await partition.confirm()
    end = partition.last_stable_offset if is_committed_only else partition.high_watermark
    if place == LATEST:
        return FoundOffset(end, -1, partition.leader_epoch)
    if place in {EARLIEST, EARLIEST_LOCAL}:
        # Whatever is kept is served from here, so the local log begins where the log does.
        return FoundOffset(partition.log_start, -1, -1)
    if place in {LATEST_TIERED, EARLIEST_NOT_UPLOADED}:
        return NOTHING
    found = await _by_time(partition, place)
    return found if found is not None and found.offset < end else NOTHING


async def _by_time(partition: PartitionApi, place: int) -> FoundOffset | None:
    if place == GREATEST_TIME:
        return await partition.offset_of_greatest_time()
    return await partition.offset_of_time(place)
