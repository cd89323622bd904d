"""Every error of the layers below has its status; none falls through to 500 by accident."""

import inspect

import pytest

from gateway.http.problems import problem_of
from sharding import errors as sharding
from store import errors as store

# What a caller of the HTTP API cannot cause, or what is our own fault.
OURS = {"ShardingError", "StoreError", "MergeError", "DamagedRunError", "DamagedIndexError"}
# Kafka-only: no HTTP route can raise them.
KAFKA_ONLY = {
    "OffsetNotAvailableError", "FencedLeaderEpochError", "UnknownLeaderEpochError", "CorruptMessageError",
    "UnsupportedCompressionError", "OutOfOrderSequenceError", "InvalidProducerEpochError", "DuplicateSequenceError",
    "UnknownMemberError", "IllegalGenerationError", "RebalanceInProgressError", "MemberIdRequiredError",
    "FencedInstanceIdError", "InconsistentGroupProtocolError", "InvalidSessionTimeoutError", "GroupMaxSizeReachedError",
    "OffsetMetadataTooLargeError",
}  # fmt: skip


def _kinds() -> list[type[Exception]]:
    found = [*vars(sharding).values(), *vars(store).values()]
    return [kind for kind in found if inspect.isclass(kind) and issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", _kinds(), ids=lambda kind: kind.__name__)
def test_an_error_has_its_own_status(kind: type[Exception]) -> None:
    if kind.__name__ in OURS | KAFKA_ONLY:
        return
    error = kind.__new__(kind)
    assert problem_of(error).status != 500, f"{kind.__name__} would be answered as our fault"
