"""How the outcome of a command travels between nodes: what its executor returned, or why there is nothing.

Msgpack `[tag, …]`. Tags: 0 plain (None, bool, int, str, bytes); 1-15 structs of this layer; 32 an error that ended the
command, by the name of its class; 33 refused (nothing came into the log) and 34 unknown, both with the leader or None.
A name or tag from the future is an error that says so, never a wrong result.
"""

from collections.abc import Sequence
from dataclasses import astuple
from typing import Final

import msgspec

from . import errors
from .catalog import ShardRecord, TopicRecord
from .errors import MemberIdRequiredError, NotLeaderError, OffsetOutOfRangeError, ShardingError
from .ticks import FenceAnswer

PLAIN: Final = 0
ERROR: Final = 32
REFUSED: Final = 33
UNKNOWN: Final = 34
STRUCTS: Final[dict[int, type[msgspec.Struct]]] = {1: TopicRecord, 2: ShardRecord}
FENCE_ANSWER: Final = 15

_encoder = msgspec.msgpack.Encoder()


def encode_outcome(outcome: object) -> bytes:
    """`outcome`: a result, or a ShardingError that ended the command."""
    if isinstance(outcome, NotLeaderError):
        return _encoder.encode((REFUSED if outcome.is_refusal else UNKNOWN, outcome.leader_id))
    if isinstance(outcome, ShardingError):
        return _encoder.encode((ERROR, type(outcome).__name__, _arguments(outcome)))
    if isinstance(outcome, FenceAnswer):
        return _encoder.encode((FENCE_ANSWER, astuple(outcome)))
    for tag, kind in STRUCTS.items():
        if isinstance(outcome, kind):
            return _encoder.encode((tag, outcome))
    assert outcome is None or isinstance(outcome, bool | int | str | bytes), f"{outcome!r} cannot travel"
    return _encoder.encode((PLAIN, outcome))


def decode_outcome(data: memoryview) -> object:
    """The result. Raises: the ShardingError that travelled, or NotLeaderError."""
    tag_bytes, first, *rest = msgspec.msgpack.decode(data, type=list[msgspec.Raw])
    tag = msgspec.msgpack.decode(tag_bytes, type=int)
    if tag == PLAIN:
        return msgspec.msgpack.decode(first)
    if tag == FENCE_ANSWER:
        return FenceAnswer(*msgspec.msgpack.decode(first, type=tuple[int, int, int, int | None]))
    if (kind := STRUCTS.get(tag)) is not None:
        return msgspec.msgpack.decode(first, type=kind)
    if tag in {REFUSED, UNKNOWN}:
        raise NotLeaderError(msgspec.msgpack.decode(first, type=int | None), is_refusal=tag == REFUSED)
    if tag == ERROR and rest:
        raise _error(msgspec.msgpack.decode(first, type=str), msgspec.msgpack.decode(rest[0], type=list[int | str]))
    raise ShardingError(f"an outcome of kind {tag}, which this program does not know")


def _arguments(error: ShardingError) -> Sequence[int | str]:
    """What makes the same error again."""
    match error:
        case OffsetOutOfRangeError():
            return error.offset, error.log_start, error.end
        case MemberIdRequiredError():
            return (error.member_id,)
        case _:
            return (str(error),)


def _error(name: str, arguments: Sequence[int | str]) -> ShardingError:
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, ShardingError):
        return kind(*arguments)
    return ShardingError(f"{name}: {', '.join(map(str, arguments))}")
