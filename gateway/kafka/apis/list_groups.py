"""ListGroups: the groups that this node coordinates. Source: KIP-518 (states), KIP-848 (types)."""

from ...wire.messages.list_groups import ListedGroup, ListGroupsRequest, ListGroupsResponse
from ..context import RequestContext
from ..error_map import REFUSALS

CLASSIC = "classic"


def handle(request: ListGroupsRequest, context: RequestContext) -> ListGroupsResponse:
    """Filters compare without case; an empty one lets everything through."""
    states = {state.lower() for state in request.states_filter}
    types = {kind.lower() for kind in request.types_filter}
    if types and CLASSIC not in types:
        return ListGroupsResponse()
    try:
        groups = context.node.groups.list()
    except REFUSALS as error:
        return ListGroupsResponse(error_code=context.refuse_group(error))
    return ListGroupsResponse(
        groups=[
            ListedGroup(group.group_id, group.protocol_type, group.state, CLASSIC)
            for group in groups
            if not states or group.state.lower() in states
        ]
    )
