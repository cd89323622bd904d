"""Errors as application/problem+json (RFC 9457): one table from any layer's error to a status and Kafka's name."""

from dataclasses import dataclass

import orjson
from starlette.requests import Request
from starlette.responses import Response

from sharding import errors as sharding
from store import errors as store


class HttpError(Exception):
    """The request itself is wrong: a status and a sentence."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Problem:
    status: int
    title: str


# The first class that fits decides: subclasses stand above their bases.
PROBLEMS: tuple[tuple[type[Exception], Problem], ...] = (
    (sharding.UnknownTopicError, Problem(404, "UNKNOWN_TOPIC_OR_PARTITION")),
    (sharding.UnknownTopicIdError, Problem(404, "UNKNOWN_TOPIC_ID")),
    (sharding.UnknownPartitionError, Problem(404, "UNKNOWN_TOPIC_OR_PARTITION")),
    (sharding.GroupNotFoundError, Problem(404, "GROUP_ID_NOT_FOUND")),
    (sharding.TopicExistsError, Problem(409, "TOPIC_ALREADY_EXISTS")),
    (sharding.GroupSubscribedToTopicError, Problem(409, "GROUP_SUBSCRIBED_TO_TOPIC")),
    (sharding.OverloadedError, Problem(429, "THROTTLING_QUOTA_EXCEEDED")),
    (sharding.NonEmptyGroupError, Problem(409, "NON_EMPTY_GROUP")),
    (sharding.InvalidTopicError, Problem(400, "INVALID_TOPIC_EXCEPTION")),
    (sharding.InvalidConfigError, Problem(400, "INVALID_CONFIG")),
    (sharding.InvalidPartitionsError, Problem(400, "INVALID_PARTITIONS")),
    (sharding.InvalidReplicationFactorError, Problem(400, "INVALID_REPLICATION_FACTOR")),
    (sharding.InvalidRequestError, Problem(400, "INVALID_REQUEST")),
    (sharding.InvalidTimestampError, Problem(400, "INVALID_TIMESTAMP")),
    (sharding.InvalidGroupIdError, Problem(400, "INVALID_GROUP_ID")),
    (sharding.InvalidRecordError, Problem(400, "INVALID_RECORD")),
    (sharding.MessageTooLargeError, Problem(413, "MESSAGE_TOO_LARGE")),
    (sharding.OffsetOutOfRangeError, Problem(416, "OFFSET_OUT_OF_RANGE")),
    (sharding.StorageFullError, Problem(507, "KAFKA_STORAGE_ERROR")),
    (sharding.TimedOutError, Problem(504, "REQUEST_TIMED_OUT")),
    (sharding.NotLeaderError, Problem(503, "NOT_LEADER_OR_FOLLOWER")),
    (sharding.NotCoordinatorError, Problem(503, "NOT_COORDINATOR")),
    (sharding.CoordinatorNotAvailableError, Problem(503, "COORDINATOR_NOT_AVAILABLE")),
    (sharding.CoordinatorLoadingError, Problem(503, "COORDINATOR_LOAD_IN_PROGRESS")),
    (sharding.ClosingError, Problem(503, "CLOSING")),
    (sharding.ShardingError, Problem(500, "UNKNOWN_SERVER_ERROR")),
    (store.InvalidQueryError, Problem(400, "INVALID_REQUEST")),
    (store.InvalidSchemaError, Problem(400, "INVALID_REQUEST")),
    (store.QueryTooLargeError, Problem(413, "QUERY_TOO_LARGE")),
    (store.BatchError, Problem(400, "INVALID_RECORD")),
    (store.StoreError, Problem(500, "UNKNOWN_SERVER_ERROR")),
)


def problem_of(error: Exception) -> Problem:
    """The status and title of an error of any layer."""
    return next(
        (problem for kind, problem in PROBLEMS if isinstance(error, kind)), Problem(500, "UNKNOWN_SERVER_ERROR")
    )


def answer(status: int, title: str, detail: str) -> Response:
    body = orjson.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail})
    return Response(body, status, media_type="application/problem+json")


def on_http_error(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, HttpError)
    return answer(error.status, "INVALID_REQUEST" if error.status == 400 else "ERROR", error.detail)


def on_layer_error(request: Request, error: Exception) -> Response:
    del request
    problem = problem_of(error)
    return answer(problem.status, problem.title, str(error))
