"""The one table of a shard's commands. A new command is one class in this folder and one row here.

Type numbers: 1-15 splits, 16-31 ticks, 32-63 groups, 64-95 transactions; the catalog's own log uses 128 and up
(`sharding.catalog_commands`), so that one log is never read as the other.

`bodies` of both logs are written and read here: `encode` makes one command's buffers, `decode_body` yields the
commands of an entry with the offset of each command's bytes in the body.
"""

from collections.abc import Iterator, Mapping, Sequence

from .append import Append
from .command import COMMAND_HEAD, Buffer, Command, UnknownCommandError
from .groups import GROUP_COMMANDS
from .splits import Close, Drop, Open, RaiseLogStart
from .ticks import Fence, ForgetTicks, Tick

Table = Mapping[int, type[Command]]


def make_table(commands: Sequence[type[Command]]) -> Table:
    table = {command.TYPE: command for command in commands}
    assert len(table) == len(commands), "two commands share a type number"
    return table


COMMANDS: Table = make_table([Append, Open, Close, Drop, RaiseLogStart, Fence, Tick, ForgetTicks, *GROUP_COMMANDS])


def encode(command: Command) -> list[Buffer]:
    """Head and bytes of one command."""
    parts = command.encode()
    head = COMMAND_HEAD.pack(command.TYPE, command.VERSION, sum(map(len, parts)))
    return [head, *parts]


def decode_body(table: Table, body: memoryview) -> Iterator[tuple[Command, int]]:
    """Each command and the position of its bytes. Raises: UnknownCommandError."""
    position = 0
    while position < len(body):
        kind, version, length = COMMAND_HEAD.unpack_from(body, position)
        position += COMMAND_HEAD.size
        if (command := table.get(kind)) is None:
            raise UnknownCommandError(f"command type {kind}, version {version}, {length} bytes")
        assert position + length <= len(body), f"command of {length} bytes ends past its entry of {len(body)}"
        yield command.decode(version, body[position : position + length]), position
        position += length
