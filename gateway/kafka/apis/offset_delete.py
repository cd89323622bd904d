"""OffsetDelete: forget a group's offsets of some partitions. Source: KIP-496."""

from ...wire.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)
from ..context import RequestContext
from ..error_map import REFUSALS


async def handle(request: OffsetDeleteRequest, context: RequestContext) -> OffsetDeleteResponse:
    wanted = [(topic.name, partition.partition_index) for topic in request.topics for partition in topic.partitions]
    try:
        outcomes = await context.node.groups.delete_offsets(request.group_id, wanted)
    except REFUSALS as error:
        return OffsetDeleteResponse(error_code=context.refuse_group(error))
    codes = iter([0 if error is None else context.refuse_group(error) for error in outcomes])
    return OffsetDeleteResponse(
        topics=[
            OffsetDeleteResponseTopic(
                topic.name,
                [
                    OffsetDeleteResponsePartition(partition.partition_index, next(codes))
                    for partition in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )
