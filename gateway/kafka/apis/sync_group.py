"""SyncGroup: the leader hands in the assignment, every member takes its own. Source: KIP-345, KIP-559."""

from ...wire.messages.sync_group import SyncGroupRequest, SyncGroupResponse
from ..context import RequestContext
from ..error_map import REFUSALS


async def handle(request: SyncGroupRequest, context: RequestContext) -> SyncGroupResponse:
    try:
        synced = await context.node.groups.sync(
            request.group_id,
            request.generation_id,
            request.member_id,
            request.group_instance_id,
            {given.member_id: given.assignment for given in request.assignments},
            protocol_type=request.protocol_type,
            protocol=request.protocol_name,
        )
    except REFUSALS as error:
        return SyncGroupResponse(error_code=context.refuse_group(error))
    return SyncGroupResponse(
        protocol_type=synced.protocol_type, protocol_name=synced.protocol, assignment=synced.assignment
    )
