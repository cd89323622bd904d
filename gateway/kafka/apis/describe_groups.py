"""DescribeGroups: state and members of classic groups. Source: KIP-345, KIP-430, KIP-1043 (version 6)."""

from ...wire.error_codes import ErrorCode
from ...wire.messages.describe_groups import (
    DescribedGroup,
    DescribedGroupMember,
    DescribeGroupsRequest,
    DescribeGroupsResponse,
)
from .. import operations
from ..context import RequestContext
from ..error_map import REFUSALS

DEAD = "Dead"
NOT_FOUND_FROM = 6


def handle(request: DescribeGroupsRequest, context: RequestContext) -> DescribeGroupsResponse:
    bits = operations.GROUP if request.include_authorized_operations else operations.NOT_ASKED
    return DescribeGroupsResponse(groups=[_described(group_id, bits, context) for group_id in request.groups])


def _described(group_id: str, bits: int, context: RequestContext) -> DescribedGroup:
    try:
        group = context.node.groups.describe(group_id)
    except REFUSALS as error:
        return DescribedGroup(context.refuse_group(error), group_id=group_id, authorized_operations=bits)
    is_missing = group.state == DEAD and context.version >= NOT_FOUND_FROM
    return DescribedGroup(
        error_code=ErrorCode.GROUP_ID_NOT_FOUND if is_missing else ErrorCode.NONE,
        error_message=f"there is no group {group_id!r}" if is_missing else None,
        group_id=group_id,
        group_state=group.state,
        protocol_type=group.protocol_type,
        protocol_data=group.protocol,
        members=[
            DescribedGroupMember(m.member_id, m.instance_id, m.client_id, m.client_host, m.metadata, m.assignment)
            for m in group.members
        ],
        authorized_operations=bits,
    )
