"""AlterConfigs: the old call, which replaces all settings of a topic: what is not named returns to its default.

Source: KIP-133. New clients use IncrementalAlterConfigs.
"""

from sharding.errors import InvalidRequestError

from ...wire.messages.alter_configs import (
    AlterConfigsRequest,
    AlterConfigsResource,
    AlterConfigsResourceResponse,
    AlterConfigsResponse,
)
from .. import configs
from ..context import RequestContext
from ..error_map import REFUSALS, message_of


async def handle(request: AlterConfigsRequest, context: RequestContext) -> AlterConfigsResponse:
    responses: list[AlterConfigsResourceResponse] = []
    for resource in request.resources:
        code, message = 0, None
        try:
            await _replace(resource, context, is_dry_run=request.validate_only)
        except REFUSALS as error:
            code, message = context.refuse(error), message_of(error)
        responses.append(AlterConfigsResourceResponse(code, message, resource.resource_type, resource.resource_name))
    return AlterConfigsResponse(responses=responses)


async def _replace(resource: AlterConfigsResource, context: RequestContext, *, is_dry_run: bool) -> None:
    if resource.resource_type != configs.TOPIC:
        raise InvalidRequestError("only topics (2) have settings that change while the node runs")
    name = resource.resource_name
    changes: dict[str, str | None] = {
        entry.name: None
        for entry in context.node.topic_configs(name)
        if not entry.is_default and not entry.is_read_only
    }
    changes |= {config.name: config.value for config in resource.configs}
    await context.node.set_topic_configs(name, changes, is_dry_run=is_dry_run)
