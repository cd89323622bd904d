"""LeaveGroup: members go, one up to version 2, several from 3. Source: KIP-345."""

from ...wire.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberResponse
from ..context import RequestContext
from ..error_map import REFUSALS

SEVERAL_MEMBERS_FROM = 3


async def handle(request: LeaveGroupRequest, context: RequestContext) -> LeaveGroupResponse:
    if context.version >= SEVERAL_MEMBERS_FROM:
        members = [(member.member_id, member.group_instance_id) for member in request.members]
    else:
        members = [(request.member_id, None)]
    try:
        outcomes = await context.node.groups.leave(request.group_id, members)
    except REFUSALS as error:
        return LeaveGroupResponse(error_code=context.refuse_group(error))
    codes = [0 if error is None else context.refuse_group(error) for error in outcomes]
    if context.version < SEVERAL_MEMBERS_FROM:
        return LeaveGroupResponse(error_code=codes[0])
    return LeaveGroupResponse(
        members=[
            MemberResponse(member_id, instance_id, code)
            for (member_id, instance_id), code in zip(members, codes, strict=True)
        ]
    )
