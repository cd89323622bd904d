"""The one table from errors of the layers below to Kafka's error codes."""

import logging
from collections.abc import Mapping
from typing import Final

from sharding import errors as sharding
from store import errors as store

from ..wire.error_codes import ErrorCode
from . import errors as door

log = logging.getLogger(__name__)

REFUSALS: Final = (sharding.ShardingError, store.StoreError, door.KafkaDoorError)
"""What handlers catch: the layers' own errors. Anything else is a fault of ours and ends the connection."""


CODES: Final[Mapping[type[Exception], ErrorCode]] = {
    sharding.NotLeaderError: ErrorCode.NOT_LEADER_OR_FOLLOWER,
    sharding.NotReplicatedHereError: ErrorCode.NOT_LEADER_OR_FOLLOWER,
    sharding.UnknownTopicError: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    sharding.UnknownTopicIdError: ErrorCode.UNKNOWN_TOPIC_ID,
    sharding.UnknownPartitionError: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    sharding.TopicExistsError: ErrorCode.TOPIC_ALREADY_EXISTS,
    sharding.InvalidTopicError: ErrorCode.INVALID_TOPIC_EXCEPTION,
    sharding.InvalidConfigError: ErrorCode.INVALID_CONFIG,
    sharding.InvalidPartitionsError: ErrorCode.INVALID_PARTITIONS,
    sharding.InvalidReplicationFactorError: ErrorCode.INVALID_REPLICATION_FACTOR,
    sharding.InvalidRequestError: ErrorCode.INVALID_REQUEST,
    sharding.OffsetOutOfRangeError: ErrorCode.OFFSET_OUT_OF_RANGE,
    sharding.OffsetNotAvailableError: ErrorCode.OFFSET_NOT_AVAILABLE,
    sharding.FencedLeaderEpochError: ErrorCode.FENCED_LEADER_EPOCH,
    sharding.UnknownLeaderEpochError: ErrorCode.UNKNOWN_LEADER_EPOCH,
    sharding.InvalidTimestampError: ErrorCode.INVALID_TIMESTAMP,
    sharding.CorruptMessageError: ErrorCode.CORRUPT_MESSAGE,
    sharding.InvalidRecordError: ErrorCode.INVALID_RECORD,
    sharding.UnsupportedCompressionError: ErrorCode.UNSUPPORTED_COMPRESSION_TYPE,
    sharding.MessageTooLargeError: ErrorCode.MESSAGE_TOO_LARGE,
    sharding.OutOfOrderSequenceError: ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
    sharding.InvalidProducerEpochError: ErrorCode.INVALID_PRODUCER_EPOCH,
    sharding.DuplicateSequenceError: ErrorCode.DUPLICATE_SEQUENCE_NUMBER,
    sharding.StorageFullError: ErrorCode.KAFKA_STORAGE_ERROR,
    sharding.ShardStoppedError: ErrorCode.KAFKA_STORAGE_ERROR,
    sharding.TimedOutError: ErrorCode.REQUEST_TIMED_OUT,
    # "May have been written" would make an idempotent client begin a new epoch.
    sharding.HandingOverError: ErrorCode.NOT_LEADER_OR_FOLLOWER,
    # Every client waits a little and sends again.
    sharding.OverloadedError: ErrorCode.REQUEST_TIMED_OUT,
    sharding.CoordinatorNotAvailableError: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    sharding.CoordinatorLoadingError: ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    sharding.NotCoordinatorError: ErrorCode.NOT_COORDINATOR,
    sharding.UnknownMemberError: ErrorCode.UNKNOWN_MEMBER_ID,
    sharding.IllegalGenerationError: ErrorCode.ILLEGAL_GENERATION,
    sharding.RebalanceInProgressError: ErrorCode.REBALANCE_IN_PROGRESS,
    sharding.MemberIdRequiredError: ErrorCode.MEMBER_ID_REQUIRED,
    sharding.FencedInstanceIdError: ErrorCode.FENCED_INSTANCE_ID,
    sharding.InconsistentGroupProtocolError: ErrorCode.INCONSISTENT_GROUP_PROTOCOL,
    sharding.InvalidSessionTimeoutError: ErrorCode.INVALID_SESSION_TIMEOUT,
    sharding.InvalidGroupIdError: ErrorCode.INVALID_GROUP_ID,
    sharding.GroupNotFoundError: ErrorCode.GROUP_ID_NOT_FOUND,
    sharding.NonEmptyGroupError: ErrorCode.NON_EMPTY_GROUP,
    sharding.GroupMaxSizeReachedError: ErrorCode.GROUP_MAX_SIZE_REACHED,
    sharding.GroupSubscribedToTopicError: ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC,
    sharding.OffsetMetadataTooLargeError: ErrorCode.OFFSET_METADATA_TOO_LARGE,
    # A stopping node tells clients to look for the new leader, or for the new coordinator (see `coordinator_code_of`).
    sharding.ClosingError: ErrorCode.NOT_LEADER_OR_FOLLOWER,
    store.CorruptBatchError: ErrorCode.CORRUPT_MESSAGE,
    store.UnsupportedMagicError: ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT,
    store.InvalidRecordError: ErrorCode.INVALID_RECORD,
    store.UnsupportedCompressionError: ErrorCode.UNSUPPORTED_COMPRESSION_TYPE,
    door.InvalidAcksError: ErrorCode.INVALID_REQUIRED_ACKS,
    # Final for every client, unlike INVALID_TXN_STATE, which a transactional producer would only retry.
    door.TransactionsNotBuiltError: ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    door.NotInTransactionError: ErrorCode.INVALID_TXN_STATE,
    door.UnknownFetchSessionError: ErrorCode.FETCH_SESSION_ID_NOT_FOUND,
    door.LeaderNotAvailableError: ErrorCode.LEADER_NOT_AVAILABLE,
    door.UnsupportedHereError: ErrorCode.UNSUPPORTED_VERSION,
    door.DuplicateResourceError: ErrorCode.DUPLICATE_RESOURCE,
    door.InvalidReplicaAssignmentError: ErrorCode.INVALID_REPLICA_ASSIGNMENT,
    door.MismatchedEndpointError: ErrorCode.MISMATCHED_ENDPOINT_TYPE,
}


def code_of(error: Exception) -> ErrorCode:
    """The code of an error's class or its nearest base in the table; anything else is a fault of ours, and logged."""
    for kind in type(error).__mro__:
        code = CODES.get(kind)
        if code is not None:
            return code
    log.error("an error without a Kafka code", exc_info=error)
    return ErrorCode.UNKNOWN_SERVER_ERROR


def coordinator_code_of(error: Exception) -> ErrorCode:
    """As `code_of`, for requests to a coordinator."""
    if isinstance(error, sharding.NotLeaderError | sharding.ClosingError):
        return ErrorCode.NOT_COORDINATOR
    return code_of(error)


def message_of(error: Exception) -> str:
    """The text for a client: ours where we wrote it, none of a fault's inside."""
    return str(error) if code_of(error) is not ErrorCode.UNKNOWN_SERVER_ERROR else "the server failed; see its log"
