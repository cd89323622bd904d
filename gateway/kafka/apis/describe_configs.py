"""DescribeConfigs: settings of topics and of this node. Source: KIP-133, KIP-226, KIP-569."""

from sharding.errors import InvalidRequestError
from sharding.interfaces import ConfigEntry

from ...wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
    DescribeConfigsSynonym,
)
from .. import configs
from ..context import RequestContext
from ..error_map import REFUSALS, message_of


def handle(request: DescribeConfigsRequest, context: RequestContext) -> DescribeConfigsResponse:
    return DescribeConfigsResponse(results=[_described(resource, request, context) for resource in request.resources])


def _described(
    resource: DescribeConfigsResource, request: DescribeConfigsRequest, context: RequestContext
) -> DescribeConfigsResult:
    kind, name = resource.resource_type, resource.resource_name
    try:
        entries = _entries(resource, context)
    except REFUSALS as error:
        return DescribeConfigsResult(context.refuse(error), message_of(error), kind, name)
    # Null and empty both ask for all.
    keys = set(resource.configuration_keys or ())
    own = configs.OF_TOPIC if kind == configs.TOPIC else configs.OF_BROKER
    shown = [_entry(entry, own, request) for entry in entries if not keys or entry.name in keys]
    return DescribeConfigsResult(0, None, kind, name, shown)


def _entries(resource: DescribeConfigsResource, context: RequestContext) -> list[ConfigEntry]:
    node = context.node
    if resource.resource_type == configs.TOPIC:
        return node.topic_configs(resource.resource_name)
    if resource.resource_type == configs.BROKER:
        if resource.resource_name == "":
            return []  # the cluster-wide dynamic defaults: there are none
        if resource.resource_name != str(node.node_id):
            raise InvalidRequestError(f"ask node {resource.resource_name!r} itself; this is node {node.node_id}")
        return node.node_configs()
    raise InvalidRequestError(f"resource type {resource.resource_type}: topics (2) and brokers (4) have settings")


def _entry(entry: ConfigEntry, own: int, request: DescribeConfigsRequest) -> DescribeConfigsResourceResult:
    source, value = configs.source_of(entry, own), configs.shown(entry)
    return DescribeConfigsResourceResult(
        name=entry.name,
        value=value,
        read_only=entry.is_read_only,
        config_source=source,
        is_sensitive=entry.is_sensitive,
        synonyms=[DescribeConfigsSynonym(entry.name, value, source)] if request.include_synonyms else (),
        config_type=configs.kind_of(entry),
        documentation=entry.documentation if request.include_documentation else None,
    )
