"""OffsetCommit: a group's progress, durable when answered. Source: KIP-211, KIP-320, KIP-345."""

from sharding.coordinators.interfaces import CommittedOffset
from sharding.errors import UnknownPartitionError

from ...wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from ..context import RequestContext
from ..error_map import REFUSALS


async def handle(request: OffsetCommitRequest, context: RequestContext) -> OffsetCommitResponse:
    """Partitions that exist are committed together; each of the others is refused by itself."""
    codes: dict[tuple[str, int], int] = {}
    offsets: dict[tuple[str, int], CommittedOffset] = {}
    for topic in request.topics:
        for partition in topic.partitions:
            place = (topic.name, partition.partition_index)
            try:
                _check_known(*place, context)
            except REFUSALS as error:
                codes[place] = context.refuse(error)
            else:
                offsets[place] = CommittedOffset(
                    offset=partition.committed_offset,
                    leader_epoch=partition.committed_leader_epoch,
                    metadata=partition.committed_metadata or "",
                )
    outcome = 0
    if offsets or not codes:
        try:
            await context.node.groups.commit(
                request.group_id,
                request.generation_id_or_member_epoch,
                request.member_id,
                request.group_instance_id,
                offsets,
            )
        except REFUSALS as error:
            outcome = context.refuse_group(error)
    return OffsetCommitResponse(
        topics=[
            OffsetCommitResponseTopic(
                topic.name,
                [
                    OffsetCommitResponsePartition(
                        partition.partition_index, codes.get((topic.name, partition.partition_index), outcome)
                    )
                    for partition in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


def _check_known(name: str, index: int, context: RequestContext) -> None:
    if not 0 <= index < context.node.topic(name).partition_count:
        raise UnknownPartitionError(f"{name}-{index}")
