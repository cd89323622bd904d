"""Errors of the sharding layer: each says whose fault it is by its class; gateway tables map them to codes."""

from collections.abc import Sequence


class ShardingError(Exception):
    """Base class of everything this layer raises on purpose."""


class NotLeaderError(ShardingError):
    """This node does not lead the shard (any more); the outcome of a pending write is unknown.

    `is_refusal`: certainly nothing of it came into the log, so that it may be sent again.
    """

    def __init__(
        self, leader_id: int | None = None, leader_epoch: int = -1, *, is_refusal: bool = False, message: str = ""
    ) -> None:
        super().__init__(message or f"not the leader; leader {leader_id}, epoch {leader_epoch}")
        self.leader_id = leader_id
        self.leader_epoch = leader_epoch
        self.is_refusal = is_refusal


class NotReplicatedHereError(ShardingError):
    """What this needs is not on this node, or not whole; `node_ids`: who may have it, the likeliest first."""

    def __init__(self, what: str, node_ids: Sequence[int] = ()) -> None:
        where = f"nodes {', '.join(map(str, node_ids))} have it" if node_ids else "no node has all of it"
        super().__init__(f"{what} is not on this node; {where}")
        self.node_ids = tuple(node_ids)


class ShardStoppedError(ShardingError):
    """The shard's log failed on this node, or was closed: it cannot be served before the next start."""


class UnknownTopicError(ShardingError): ...


class UnknownTopicIdError(ShardingError): ...


class UnknownPartitionError(ShardingError): ...


class TopicExistsError(ShardingError): ...


class InvalidTopicError(ShardingError):
    """A name that Kafka forbids, a reserved view name, or a write to a view."""


class InvalidConfigError(ShardingError): ...


class InvalidPartitionsError(ShardingError): ...


class InvalidReplicationFactorError(ShardingError): ...


class InvalidRequestError(ShardingError): ...


class OffsetOutOfRangeError(ShardingError):
    def __init__(self, offset: int, log_start: int, end: int) -> None:
        super().__init__(f"offset {offset} outside [{log_start}, {end}]")
        self.offset, self.log_start, self.end = offset, log_start, end


class OffsetNotAvailableError(ShardingError): ...


class FencedLeaderEpochError(ShardingError): ...


class UnknownLeaderEpochError(ShardingError): ...


class InvalidTimestampError(ShardingError): ...


class CorruptMessageError(ShardingError): ...


class InvalidRecordError(ShardingError): ...


class UnsupportedCompressionError(ShardingError): ...


class MessageTooLargeError(ShardingError): ...


class OutOfOrderSequenceError(ShardingError): ...


class InvalidProducerEpochError(ShardingError): ...


class DuplicateSequenceError(ShardingError):
    """A duplicate older than the window of 5 remembered batches."""


class StorageFullError(ShardingError):
    """The disk is full: reads go on, writes are refused until space returns."""


class TimedOutError(ShardingError): ...


class OverloadedError(TimedOutError):
    """More is in flight than the shard may hold: nothing was admitted, and the peer should wait and send again."""


class HandingOverError(OverloadedError):
    """Leadership is on its way to another node: nothing was admitted, and the peer should look for the new leader."""


class CoordinatorNotAvailableError(ShardingError): ...


class CoordinatorLoadingError(ShardingError): ...


class NotCoordinatorError(ShardingError): ...


class UnknownMemberError(ShardingError): ...


class IllegalGenerationError(ShardingError): ...


class RebalanceInProgressError(ShardingError): ...


class MemberIdRequiredError(ShardingError):
    def __init__(self, member_id: str) -> None:
        super().__init__(f"join again as {member_id}")
        self.member_id = member_id


class FencedInstanceIdError(ShardingError): ...


class InconsistentGroupProtocolError(ShardingError): ...


class InvalidSessionTimeoutError(ShardingError): ...


class InvalidGroupIdError(ShardingError): ...


class GroupNotFoundError(ShardingError): ...


class NonEmptyGroupError(ShardingError): ...


class GroupMaxSizeReachedError(ShardingError): ...


class GroupSubscribedToTopicError(ShardingError):
    """Offsets of a topic that a member of the group consumes are not deleted."""


class OffsetMetadataTooLargeError(ShardingError): ...


class ClosingError(ShardingError):
    """The node is shutting down."""


class SealingError(ShardingError):
    """A split could not be made historic; it stays closed and is tried again."""
