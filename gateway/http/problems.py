"""Errors as application/problem+json (RFC 9457): one table from any layer's error to a status and Kafka's name."""

from dataclasses import dataclass

import orjson
from starlette.exceptions import HTTPException
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
    (sharding.NotReplicatedHereError, Problem(503, "NOT_LEADER_OR_FOLLOWER")),
    (sharding.NotCoordinatorError, Problem(503, "NOT_COORDINATOR")),
    (sharding.CoordinatorNotAvailableError, Problem(503, "COORDINATOR_NOT_AVAILABLE")),
    (sharding.CoordinatorLoadingError, Problem(503, "COORDINATOR_LOAD_IN_PROGRESS")),
    (sharding.ClosingError, Problem(503, "CLOSING")),
    (sharding.ShardStoppedError, Problem(503, "KAFKA_STORAGE_ERROR")),
    (sharding.SealingError, Problem(503, "SEALING_FAILED")),
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


_TITLES = {
    400: "INVALID_REQUEST",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMED_OUT",
    413: "REQUEST_TOO_LARGE",
    429: "THROTTLING_QUOTA_EXCEEDED",
    501: "NOT_IMPLEMENTED",
}
RETRY_AFTER_S = 1


def answer(status: int, title: str, detail: str, **more: object) -> Response:
    """`more`: further members of the problem, as RFC 9457 allows."""
    body = orjson.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail, **more})
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status in {429, 503} else None
    return Response(body, status, headers, media_type="application/problem+json")


def of_error(error: Exception, **more: object) -> Response:
    """The answer to an error of any layer."""
    problem = problem_of(error)
    return answer(problem.status, problem.title, str(error) or problem.title, **more)


async def on_http_error(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, HttpError)
    return answer(error.status, _TITLES[error.status], error.detail)


async def on_layer_error(request: Request, error: Exception) -> Response:
    del request
    return of_error(error)


async def on_route_error(request: Request, error: Exception) -> Response:
    """What starlette itself refuses: an unknown path, a wrong method."""
    assert isinstance(error, HTTPException)
    path, method = request.url.path, request.method
    details = {404: f"nothing at {path}", 405: f"{path} does not take {method}"}
    found = answer(
        error.status_code, _TITLES.get(error.status_code, "ERROR"), details.get(error.status_code, error.detail)
    )
    found.headers.update(error.headers or {})
    return found


async def on_fault(request: Request, error: Exception) -> Response:
    """Our fault: the log has it whole, the client learns only that it is so."""
    del request, error
    return answer(500, "UNKNOWN_SERVER_ERROR", "a fault of this node; its log says more")
