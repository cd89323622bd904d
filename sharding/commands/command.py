"""What a replicated command is, and how commands stand in the body of a log entry.

A body is a list of commands, each `u8 type, u8 version, u32 length, bytes`, big-endian, joined without gaps. `Append`
is a struct followed by a raw batch; every other command is msgpack of an array-like struct (`StructCommand`): a field
added at the end with a default keeps the version, a changed meaning takes a new one.

A command acts twice. `on_append` runs on the leader alone, at the moment the command takes its place in the log, and
may change *admission* only (what the split's `next_*` and `admitted_*` say). `execute` runs on every replica once the
entry is committed, in log order, and changes the replicated state; what it returns is the result of `Shard.submit`.
It reads no clock, no randomness, no catalog, no setting: the leader writes such values into the command. A refusal
that depends on the state is a *returned* value, never an exception: an exception in `execute` is our fault and stops
the shard.
"""

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol, Self

import msgspec

if TYPE_CHECKING:
    from ..shard_state import ShardState

Buffer = bytes | bytearray | memoryview

COMMAND_HEAD = struct.Struct(">BBI")


class At(NamedTuple):
    """Where a command stands: its entry, and the place of the command's own bytes in this node's segment."""

    term: int
    entry_index: int
    segment: int
    position: int


class Command(Protocol):
    """One kind of replicated command; `TYPE` is unique in its table and is never used again for something else."""

    TYPE: ClassVar[int]
    VERSION: ClassVar[int]

    def encode(self) -> Sequence[Buffer]:
        """The command's bytes without the head."""
        ...

    @classmethod
    def decode(cls, version: int, data: memoryview) -> Self:
        """Raises: UnknownCommandError for a version from the future."""
        ...

    def on_append(self, state: "ShardState") -> None: ...
    def execute(self, state: "ShardState", at: At) -> object: ...


class UnknownCommandError(Exception):
    """This log was written by a newer program. Skipping it would let replicas differ: the node stops."""


_encoder = msgspec.msgpack.Encoder()


class StructCommand(msgspec.Struct, array_like=True, frozen=True):
    """A command that is a msgpack array of its fields."""

    TYPE: ClassVar[int]
    VERSION: ClassVar[int] = 1

    def encode(self) -> Sequence[Buffer]:
        return (_encoder.encode(self),)

    @classmethod
    def decode(cls, version: int, data: memoryview) -> Self:
        if version > cls.VERSION:
            raise UnknownCommandError(f"{cls.__name__} version {version}, at most {cls.VERSION} is known")
        return msgspec.msgpack.decode(data, type=cls)

    def on_append(self, state: "ShardState") -> None:
        """Most commands change nothing before they are committed."""
