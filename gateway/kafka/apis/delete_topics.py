"""DeleteTopics: by name, from version 6 by name or id. Source: KIP-4, KIP-516."""

import asyncio
from uuid import UUID

from sharding.errors import InvalidRequestError, TimedOutError

from ...wire.messages.delete_topics import (
    DeletableTopicResult,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from ...wire.primitives import ZERO_UUID
from ..context import RequestContext
from ..error_map import REFUSALS, message_of

STATES_FROM = 6


async def handle(request: DeleteTopicsRequest, context: RequestContext) -> DeleteTopicsResponse:
    if context.version >= STATES_FROM:
        wanted = request.topics
    else:
        wanted = [DeleteTopicState(name) for name in request.topic_names]
    deadline_s = asyncio.get_running_loop().time() + max(request.timeout_ms, 0) / 1000
    results: list[DeletableTopicResult] = []
    for state in wanted:
        result = DeletableTopicResult(state.name, state.topic_id)
        results.append(result)
        try:
            if len(results) > context.settings.admin_topics_max:
                raise InvalidRequestError(f"at most {context.settings.admin_topics_max} topics a request")
            await _delete(state, result, context, deadline_s)
        except REFUSALS as error:
            result.error_code, result.error_message = context.refuse(error), message_of(error)
    return DeleteTopicsResponse(responses=results)


async def _delete(
    state: DeleteTopicState, result: DeletableTopicResult, context: RequestContext, deadline_s: float
) -> None:
    node = context.node
    if state.topic_id != ZERO_UUID:
        if state.name is not None:
            raise InvalidRequestError("a topic by name and by id at once")
        topic = node.topic_by_id(UUID(bytes=bytes(state.topic_id)))
    elif state.name is not None:
        topic = node.topic(state.name)
    else:
        raise InvalidRequestError("a topic without name and id")
    result.name, result.topic_id = topic.name, topic.topic_id.bytes
    try:
        async with asyncio.timeout_at(deadline_s):
            await node.delete_topic(topic.name)
    except TimeoutError as error:
        raise TimedOutError(f"topic {topic.name!r} was not deleted in time") from error
