"""IncrementalAlterConfigs: change the named settings of a topic and no others. Source: KIP-339."""

from enum import IntEnum

from sharding.errors import InvalidConfigError, InvalidRequestError
from sharding.interfaces import ConfigEntry

from ...wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    AlterConfigsResourceResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from .. import configs
from ..context import RequestContext
from ..error_map import REFUSALS, message_of


class Operation(IntEnum):
    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


async def handle(request: IncrementalAlterConfigsRequest, context: RequestContext) -> IncrementalAlterConfigsResponse:
    responses: list[AlterConfigsResourceResponse] = []
    for resource in request.resources:
        code, message = 0, None
        try:
            await _alter(resource, context, is_dry_run=request.validate_only)
        except REFUSALS as error:
            code, message = context.refuse(error), message_of(error)
        responses.append(AlterConfigsResourceResponse(code, message, resource.resource_type, resource.resource_name))
    return IncrementalAlterConfigsResponse(responses=responses)


async def _alter(resource: AlterConfigsResource, context: RequestContext, *, is_dry_run: bool) -> None:
    if resource.resource_type != configs.TOPIC:
        raise InvalidRequestError("only topics (2) have settings that change while the node runs")
    name = resource.resource_name
    present = {entry.name: entry for entry in context.node.topic_configs(name)}
    changes: dict[str, str | None] = {}
    for change in resource.configs:
        if change.name in changes:
            raise InvalidRequestError(f"{change.name} is changed twice")
        changes[change.name] = _changed(change, present.get(change.name))
    await context.node.set_topic_configs(name, changes, is_dry_run=is_dry_run)


def _changed(change: AlterableConfig, present: ConfigEntry | None) -> str | None:
    """The new value; None for the default."""
    operation = change.config_operation
    if operation == Operation.DELETE:
        return None
    if change.value is None:
        raise InvalidConfigError(f"{change.name} has no value")
    if operation == Operation.SET:
        return change.value
    if operation not in {Operation.APPEND, Operation.SUBTRACT}:
        raise InvalidRequestError(f"config operation {operation}, 0 to 3 are known")
    if present is None or present.kind != "list":
        raise InvalidConfigError(f"{change.name} is no list: nothing can be appended or subtracted")
    items = [item for item in (present.value or "").split(",") if item]
    named = [item.strip() for item in change.value.split(",")]
    if operation == Operation.APPEND:
        return ",".join(items + [item for item in named if item not in items])
    return ",".join(item for item in items if item not in named)
