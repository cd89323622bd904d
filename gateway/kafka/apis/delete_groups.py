"""DeleteGroups: forget empty groups and their offsets. Source: KIP-229."""

from ...wire.messages.delete_groups import DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse
from ..context import RequestContext
from ..error_map import REFUSALS


async def handle(request: DeleteGroupsRequest, context: RequestContext) -> DeleteGroupsResponse:
    results: list[DeletableGroupResult] = []
    for group_id in request.groups_names:
        code = 0
        try:
            await context.node.groups.delete(group_id)
        except REFUSALS as error:
            code = context.refuse_group(error)
        results.append(DeletableGroupResult(group_id, code))
    return DeleteGroupsResponse(results=results)
