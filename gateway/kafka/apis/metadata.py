"""Metadata: brokers, topics, leaders. Source: KIP-4, KIP-516 (topic ids), KIP-430 (authorized operations).

Views are listed only when named: a client that subscribes by pattern must not find itself reading them.
"""

from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from sharding.errors import InvalidRequestError, UnknownTopicError
from sharding.interfaces import NodeApi, Topic

from ...wire.error_codes import ErrorCode
from ...wire.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from ...wire.primitives import ZERO_UUID
from .. import operations
from ..context import RequestContext
from ..error_map import REFUSALS

NULL_NAMES_FROM = 12


def handle(request: MetadataRequest, context: RequestContext) -> object:
    """At once, but for topics that are to be created, and where others lead, or nobody."""
    node, wanted = context.node, request.topics
    # Version 0 knows no null: there an empty list means all topics, from 1 on it means none.
    if wanted is None or (context.version == 0 and not wanted):
        wanted = None
    elif request.allow_auto_topic_creation and any(_is_unknown(topic, node) for topic in wanted):
        return _create_and_answer(wanted, request, context)
    known = node.topics() if wanted is None else _known(wanted, node)
    if node.leaders.are_here(known):
        return _answer(wanted, request, context)
    return _answer_when_led(known, wanted, request, context)


def _answer(
    wanted: Sequence[MetadataRequestTopic] | None, request: MetadataRequest, context: RequestContext
) -> MetadataResponse:
    if wanted is None:
        topics = [_described(topic, request, context) for topic in context.node.topics()]
    else:
        topics = [_named(topic, request, context) for topic in wanted]
    return _response(topics, request, context)


async def _answer_when_led(
    known: Sequence[Topic],
    wanted: Sequence[MetadataRequestTopic] | None,
    request: MetadataRequest,
    context: RequestContext,
) -> MetadataResponse:
    await context.node.leaders.until_known(known)
    return _answer(wanted, request, context)


def _known(wanted: Sequence[MetadataRequestTopic], node: NodeApi) -> list[Topic]:
    found: list[Topic] = []
    for one in wanted:
        with suppress(*REFUSALS):
            found.append(_found(one, node))
    return found


async def _create_and_answer(
    wanted: Sequence[MetadataRequestTopic], request: MetadataRequest, context: RequestContext
) -> MetadataResponse:
    topics: list[MetadataResponseTopic] = []
    for topic in wanted:
        try:
            if topic.name is not None and _is_unknown(topic, context.node):
                await context.node.ensure_topic(topic.name)
        except REFUSALS as error:
            topics.append(MetadataResponseTopic(context.refuse(error), topic.name))
        else:
            topics.append(_named(topic, request, context))
    return _response(topics, request, context)


def _is_unknown(wanted: MetadataRequestTopic, node: NodeApi) -> bool:
    """It has a name and no id, and there is no topic of that name."""
    if wanted.name is None or wanted.topic_id != ZERO_UUID:
        return False
    try:
        node.topic(wanted.name)
    except UnknownTopicError:
        return True
    except REFUSALS:
        return False
    return False


def _named(wanted: MetadataRequestTopic, request: MetadataRequest, context: RequestContext) -> MetadataResponseTopic:
    try:
        topic = _found(wanted, context.node)
    except REFUSALS as error:
        name = wanted.name
        if name is None and context.version < NULL_NAMES_FROM:
            name = ""
        return MetadataResponseTopic(context.refuse(error), name, wanted.topic_id)
    return _described(topic, request, context)


def _found(wanted: MetadataRequestTopic, node: NodeApi) -> Topic:
    """Raises: UnknownTopicError, UnknownTopicIdError, InvalidTopicError, InvalidRequestError."""
    if wanted.topic_id != ZERO_UUID:
        return node.topic_by_id(UUID(bytes=bytes(wanted.topic_id)))
    if wanted.name is None:
        raise InvalidRequestError("a topic without name and id")
    return node.topic(wanted.name)


def _described(topic: Topic, request: MetadataRequest, context: RequestContext) -> MetadataResponseTopic:
    asked = request.include_topic_authorized_operations
    return MetadataResponseTopic(
        name=topic.name,
        topic_id=topic.topic_id.bytes,
        is_internal=topic.is_internal,
        partitions=[_partition(topic, index, context.node) for index in range(topic.partition_count)],
        topic_authorized_operations=operations.TOPIC if asked else operations.NOT_ASKED,
    )


def _partition(topic: Topic, index: int, node: NodeApi) -> MetadataResponsePartition:
    found = node.placement_of(topic, index)
    code = ErrorCode.NONE if found.leader_id >= 0 else ErrorCode.LEADER_NOT_AVAILABLE
    return MetadataResponsePartition(
        code, index, found.leader_id, found.leader_epoch, found.replicas, found.in_sync, found.offline
    )


def _response(
    topics: Sequence[MetadataResponseTopic], request: MetadataRequest, context: RequestContext
) -> MetadataResponse:
    node = context.node
    asked = request.include_cluster_authorized_operations
    return MetadataResponse(
        brokers=[MetadataResponseBroker(n.node_id, n.host, n.kafka_port, n.rack) for n in node.nodes()],
        cluster_id=node.cluster_id,
        controller_id=node.controller_id,
        topics=topics,
        cluster_authorized_operations=operations.CLUSTER if asked else operations.NOT_ASKED,
    )
