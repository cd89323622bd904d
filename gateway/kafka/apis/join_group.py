"""JoinGroup: enter a generation of a consumer group; waits for the other members.

Source: KIP-345 (static members), KIP-394 (member id first), KIP-814 (skip assignment).
"""

from sharding.coordinators.interfaces import JoinWanted
from sharding.errors import MemberIdRequiredError

from ...wire.messages.join_group import JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember
from ..context import RequestContext
from ..error_map import REFUSALS

MEMBER_ID_FIRST_FROM = 4
NULL_PROTOCOL_FROM = 7
SKIP_ASSIGNMENT_FROM = 9


async def handle(request: JoinGroupRequest, context: RequestContext) -> JoinGroupResponse:
    wanted = JoinWanted(
        group_id=request.group_id,
        member_id=request.member_id,
        instance_id=request.group_instance_id,
        client_id=context.client_id,
        client_host=context.client_host,
        session_timeout_ms=request.session_timeout_ms,
        # Version 0 has one timeout for both.
        rebalance_timeout_ms=request.rebalance_timeout_ms if context.version else request.session_timeout_ms,
        protocol_type=request.protocol_type,
        protocols=[(protocol.name, protocol.metadata) for protocol in request.protocols],
        needs_known_member_id=context.version >= MEMBER_ID_FIRST_FROM,
        can_skip_assignment=context.version >= SKIP_ASSIGNMENT_FROM,
    )
    try:
        joined = await context.node.groups.join(wanted)
    except REFUSALS as error:
        return JoinGroupResponse(
            error_code=context.refuse_group(error),
            protocol_name=None if context.version >= NULL_PROTOCOL_FROM else "",
            member_id=error.member_id if isinstance(error, MemberIdRequiredError) else request.member_id,
        )
    return JoinGroupResponse(
        generation_id=joined.generation,
        protocol_type=joined.protocol_type,
        protocol_name=joined.protocol,
        leader=joined.leader_id,
        skip_assignment=joined.skip_assignment,
        member_id=joined.member_id,
        members=[JoinGroupResponseMember(*member) for member in joined.members],
    )
