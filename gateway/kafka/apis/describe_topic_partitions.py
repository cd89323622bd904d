"""DescribeTopicPartitions: Metadata in pages. Source: KIP-966."""

from sharding.interfaces import NodeApi, Topic

from ...wire.error_codes import ErrorCode
from ...wire.messages.describe_topic_partitions import (
    Cursor,
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
)
from .. import operations
from ..context import RequestContext
from ..error_map import REFUSALS


def handle(request: DescribeTopicPartitionsRequest, context: RequestContext) -> DescribeTopicPartitionsResponse:
    """Topics by name, from the cursor on, until the limit of partitions; the next cursor is where it stopped."""
    node = context.node
    names = sorted({topic.name for topic in request.topics}) or [topic.name for topic in node.topics()]
    cursor = request.cursor
    if cursor is not None:
        names = [name for name in names if name >= cursor.topic_name]
    limit = context.settings.listed_partitions_max
    left = min(request.response_partition_limit, limit) if request.response_partition_limit > 0 else limit
    topics: list[DescribeTopicPartitionsResponseTopic] = []
    for name in names:
        first = cursor.partition_index if cursor is not None and name == cursor.topic_name else 0
        if left <= 0:
            return DescribeTopicPartitionsResponse(topics=topics, next_cursor=Cursor(name, first))
        try:
            topic = node.topic(name)
        except REFUSALS as error:
            topics.append(DescribeTopicPartitionsResponseTopic(context.refuse(error), name))
            continue
        end = min(topic.partition_count, max(first, 0) + left)
        topics.append(_described(topic, range(max(first, 0), end), node))
        left -= max(0, end - max(first, 0))
        if end < topic.partition_count:
            return DescribeTopicPartitionsResponse(topics=topics, next_cursor=Cursor(name, end))
    return DescribeTopicPartitionsResponse(topics=topics)


def _described(topic: Topic, indexes: range, node: NodeApi) -> DescribeTopicPartitionsResponseTopic:
    return DescribeTopicPartitionsResponseTopic(
        name=topic.name,
        topic_id=topic.topic_id.bytes,
        is_internal=topic.is_internal,
        partitions=[_partition(topic, index, node) for index in indexes],
        topic_authorized_operations=operations.TOPIC,
    )


def _partition(topic: Topic, index: int, node: NodeApi) -> DescribeTopicPartitionsResponsePartition:
    found = node.placement_of(topic, index)
    code = ErrorCode.NONE if found.leader_id >= 0 else ErrorCode.LEADER_NOT_AVAILABLE
    # KIP-966: null would mean the same, but Kafka's own admin client cannot read it.
    return DescribeTopicPartitionsResponsePartition(
        code, index, found.leader_id, found.leader_epoch, found.replicas, found.in_sync, [], [], found.offline
    )
