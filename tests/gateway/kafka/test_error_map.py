"""The table of codes is complete."""

import inspect

import pytest

from gateway.kafka import errors as door
from gateway.kafka.error_map import CODES, code_of, coordinator_code_of, message_of
from gateway.wire.error_codes import ErrorCode
from sharding import errors as sharding
from store import errors as store

# Refusals of what only the other doors offer.
ELSEWHERE = {sharding.SealingError}
CLOSES = {door.KafkaDoorError, door.MalformedFrameError, door.UnknownRequestError, door.RefusedSilentlyError}


def classes_of(module: object, base: type[Exception]) -> list[type[Exception]]:
    return [c for _, c in inspect.getmembers(module, inspect.isclass) if issubclass(c, base)]


@pytest.mark.parametrize("kind", classes_of(sharding, sharding.ShardingError), ids=lambda kind: kind.__name__)
def test_every_refusal_of_the_sharding_layer_has_a_code(kind: type[Exception]) -> None:
    if kind not in {sharding.ShardingError, *ELSEWHERE}:
        assert kind in CODES


@pytest.mark.parametrize("kind", classes_of(store, store.BatchError), ids=lambda kind: kind.__name__)
def test_every_refusal_of_a_batch_has_a_code(kind: type[Exception]) -> None:
    if kind is not store.BatchError:
        assert any(base in CODES for base in kind.__mro__)


@pytest.mark.parametrize("kind", classes_of(door, door.KafkaDoorError), ids=lambda kind: kind.__name__)
def test_every_error_of_the_door_has_a_code_or_closes_the_connection(kind: type[Exception]) -> None:
    assert (kind in CODES) != (kind in CLOSES)


def test_a_fault_of_ours_is_told_without_its_inside() -> None:
    assert code_of(KeyError("secret path")) is ErrorCode.UNKNOWN_SERVER_ERROR
    assert "secret" not in message_of(KeyError("secret path"))


def test_a_subclass_has_its_base_s_code() -> None:
    assert code_of(store.InflatedTooLargeError("big")) is ErrorCode.INVALID_RECORD


def test_to_a_coordinator_s_client_a_lost_leader_means_a_lost_coordinator() -> None:
    assert coordinator_code_of(sharding.NotLeaderError()) is ErrorCode.NOT_COORDINATOR
    assert coordinator_code_of(sharding.ClosingError("bye")) is ErrorCode.NOT_COORDINATOR
    assert code_of(sharding.ClosingError("bye")) is ErrorCode.NOT_LEADER_OR_FOLLOWER
