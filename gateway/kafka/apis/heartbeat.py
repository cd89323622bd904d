"""Heartbeat: a member is alive, and hears of a rebalance. Source: KIP-345."""

from ...wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from ..context import RequestContext
from ..error_map import REFUSALS


def handle(request: HeartbeatRequest, context: RequestContext) -> HeartbeatResponse:
    try:
        context.node.groups.heartbeat(
            request.group_id, request.generation_id, request.member_id, request.group_instance_id
        )
    except REFUSALS as error:
        return HeartbeatResponse(error_code=context.refuse_group(error))
    return HeartbeatResponse()
