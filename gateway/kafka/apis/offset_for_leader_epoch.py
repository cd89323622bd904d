"""OffsetForLeaderEpoch: where an epoch ends, so that consumers notice truncation. Source: KIP-320."""

import asyncio

from ...wire.messages.offset_for_leader_epoch import (
    EpochEndOffset,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition,
    OffsetForLeaderTopicResult,
)
from ..context import RequestContext
from ..error_map import REFUSALS


async def handle(request: OffsetForLeaderEpochRequest, context: RequestContext) -> OffsetForLeaderEpochResponse:
    return OffsetForLeaderEpochResponse(
        topics=[
            OffsetForLeaderTopicResult(
                topic.topic,
                await asyncio.gather(*(_end(topic.topic, asked, context) for asked in topic.partitions)),
            )
            for topic in request.topics
        ]
    )


async def _end(name: str, asked: OffsetForLeaderPartition, context: RequestContext) -> EpochEndOffset:
    try:
        partition = context.node.partition(context.node.topic(name), asked.partition)
        partition.check_epoch(asked.current_leader_epoch)
        # A deposed leader does not know how its epoch ended.
        await partition.confirm()
        epoch, end_offset = partition.end_of_epoch(asked.leader_epoch)
    except REFUSALS as error:
        return EpochEndOffset(context.refuse(error), asked.partition)
    return EpochEndOffset(0, asked.partition, epoch, end_offset)
