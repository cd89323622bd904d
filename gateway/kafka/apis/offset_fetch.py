"""OffsetFetch: what groups have committed; one group up to version 7, several from 8. Source: KIP-709.

There are no transactions yet, so no offset is ever unstable and `require_stable` (KIP-447) is always met.
"""

from collections.abc import Mapping, Sequence

from sharding.coordinators.interfaces import CommittedOffset

from ...wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
)
from ..context import RequestContext
from ..error_map import REFUSALS

TOP_ERROR_FROM = 2
SEVERAL_GROUPS_FROM = 8

NOTHING = CommittedOffset(offset=-1)

Topics = Sequence[OffsetFetchRequestTopic] | Sequence[OffsetFetchRequestTopics] | None
Found = Mapping[str, Mapping[int, CommittedOffset]]


async def handle(request: OffsetFetchRequest, context: RequestContext) -> OffsetFetchResponse:
    if context.version >= SEVERAL_GROUPS_FROM:
        return OffsetFetchResponse(groups=[await _of_group(group, context) for group in request.groups])
    try:
        found = await _find(request.group_id, request.topics, context)
    except REFUSALS as error:
        return _refusal(request, context.refuse_group(error), context.version)
    return OffsetFetchResponse(
        topics=[
            OffsetFetchResponseTopic(
                name, [OffsetFetchResponsePartition(i, c.offset, c.leader_epoch, c.metadata) for i, c in of.items()]
            )
            for name, of in found.items()
        ]
    )


def _refusal(request: OffsetFetchRequest, code: int, version: int) -> OffsetFetchResponse:
    if version >= TOP_ERROR_FROM:
        return OffsetFetchResponse(error_code=code)
    return OffsetFetchResponse(
        topics=[
            OffsetFetchResponseTopic(
                topic.name, [OffsetFetchResponsePartition(i, -1, -1, "", code) for i in topic.partition_indexes]
            )
            for topic in request.topics or ()
        ]
    )


async def _of_group(group: OffsetFetchRequestGroup, context: RequestContext) -> OffsetFetchResponseGroup:
    try:
        found = await _find(group.group_id, group.topics, context)
    except REFUSALS as error:
        return OffsetFetchResponseGroup(group.group_id, error_code=context.refuse_group(error))
    return OffsetFetchResponseGroup(
        group.group_id,
        [
            OffsetFetchResponseTopics(
                name, [OffsetFetchResponsePartitions(i, c.offset, c.leader_epoch, c.metadata) for i, c in of.items()]
            )
            for name, of in found.items()
        ],
    )


async def _find(group_id: str, topics: Topics, context: RequestContext) -> Found:
    """By topic and partition: those asked for, in that order, or all that have one."""
    if topics is None:
        by_topic: dict[str, dict[int, CommittedOffset]] = {}
        for (name, index), committed in (await context.node.groups.fetch(group_id, None)).items():
            by_topic.setdefault(name, {})[index] = committed
        return by_topic
    wanted = [(topic.name, index) for topic in topics for index in topic.partition_indexes]
    found = await context.node.groups.fetch(group_id, wanted)
    return {
        topic.name: {index: found.get((topic.name, index), NOTHING) for index in topic.partition_indexes}
        for topic in topics
    }
