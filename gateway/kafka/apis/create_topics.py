"""CreateTopics: answered when every partition has a leader. Source: KIP-4, KIP-464 (defaults), KIP-525 (answer)."""

import asyncio
from collections import Counter

from sharding.errors import InvalidRequestError, TimedOutError
from sharding.interfaces import NewTopic, Topic

from ...wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfigs,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from .. import configs
from ..context import RequestContext
from ..error_map import REFUSALS, message_of
from ..errors import InvalidReplicaAssignmentError


async def handle(request: CreateTopicsRequest, context: RequestContext) -> CreateTopicsResponse:
    """One after the other; those that the timeout leaves out are REQUEST_TIMED_OUT."""
    named = Counter(topic.name for topic in request.topics)
    results: list[CreatableTopicResult] = []
    deadline_s = asyncio.get_running_loop().time() + max(request.timeout_ms, 0) / 1000
    for wanted in request.topics:
        try:
            if named[wanted.name] > 1:
                raise InvalidRequestError(f"topic {wanted.name!r} is named {named[wanted.name]} times")
            if len(results) >= context.settings.admin_topics_max:
                raise InvalidRequestError(f"at most {context.settings.admin_topics_max} topics a request")
            topic = await _create(wanted, context, deadline_s, is_dry_run=request.validate_only)
        except REFUSALS as error:
            # Not the result's default: a refused topic has no configs.
            code = context.refuse(error)
            results.append(
                CreatableTopicResult(wanted.name, error_code=code, error_message=message_of(error), configs=None)
            )
        else:
            results.append(_result(topic, context, is_dry_run=request.validate_only))
    return CreateTopicsResponse(topics=results)


async def _create(wanted: CreatableTopic, context: RequestContext, deadline_s: float, *, is_dry_run: bool) -> Topic:
    if wanted.assignments:
        raise InvalidReplicaAssignmentError("replicas are placed by the cluster, not by the client")
    new = NewTopic(
        name=wanted.name,
        partitions=wanted.num_partitions,
        replication_factor=wanted.replication_factor,
        configs={config.name: config.value for config in wanted.configs if config.value is not None},
    )
    try:
        async with asyncio.timeout_at(deadline_s):
            return await context.node.create_topic(new, is_dry_run=is_dry_run)
    except TimeoutError as error:
        raise TimedOutError(f"topic {wanted.name!r} was not ready in time") from error


def _result(topic: Topic, context: RequestContext, *, is_dry_run: bool) -> CreatableTopicResult:
    entries = [] if is_dry_run else context.node.topic_configs(topic.name)
    return CreatableTopicResult(
        name=topic.name,
        topic_id=topic.topic_id.bytes,
        error_message=None,
        num_partitions=topic.partition_count,
        replication_factor=topic.replication_factor,
        configs=[
            CreatableTopicConfigs(
                entry.name, configs.shown(entry), entry.is_read_only, configs.source_of(entry), entry.is_sensitive
            )
            for entry in entries
        ],
    )
