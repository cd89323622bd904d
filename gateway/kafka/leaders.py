"""Where a client should go instead, which saves it a Metadata request. Source: KIP-951."""

from collections.abc import Callable, Collection
from typing import NamedTuple, TypeVar
from uuid import UUID

from sharding.errors import FencedLeaderEpochError, NotLeaderError, NotReplicatedHereError
from sharding.interfaces import NodeApi, Topic

from ..wire.primitives import ZERO_UUID
from .error_map import REFUSALS

Endpoint = TypeVar("Endpoint")


class Leader(NamedTuple):
    node_id: int
    epoch: int


def topic_of(node: NodeApi, name: str, topic_id: bytes) -> Topic:
    """By id where the request has one. Raises: UnknownTopicError, UnknownTopicIdError."""
    return node.topic(name) if topic_id == ZERO_UUID else node.topic_by_id(UUID(bytes=bytes(topic_id)))


def leader_or_none(node: NodeApi, error: Exception, topic: Topic, index: int) -> Leader | None:
    """The leader to name beside a refusal; None if another one would not help, or nobody is known."""
    if not isinstance(error, NotLeaderError | NotReplicatedHereError | FencedLeaderEpochError):
        return None
    try:
        leader_id, epoch, _ = node.leader_of(topic, index)
    except REFUSALS:
        return None
    # Who is refused here must not be sent here again.
    if leader_id < 0 or (leader_id == node.node_id and not isinstance(error, FencedLeaderEpochError)):
        return None
    return Leader(leader_id, epoch)


def endpoints(
    node: NodeApi, node_ids: Collection[int], endpoint: Callable[[int, str, int, str | None], Endpoint]
) -> list[Endpoint]:
    """The addresses of these nodes, in a message's own class."""
    if not node_ids:
        return []
    return [
        endpoint(one.node_id, one.host, one.kafka_port, one.rack) for one in node.nodes() if one.node_id in node_ids
    ]
