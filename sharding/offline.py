"""The catalog from its log on the disk, without a node: what `timesplit check` compares files with."""

from collections.abc import Iterable

from .catalog import Catalog
from .catalog_commands import CATALOG_COMMANDS
from .commands.command import At
from .commands.table import decode_body
from .shard_state import ShardState


def catalog_of(state: bytes | None, tail: Iterable[tuple[At, bytes]]) -> Catalog:
    """The state of group 0's checkpoint, and the entries behind it: also those that were never committed."""
    catalog = Catalog()
    shard = ShardState([catalog])
    if state is not None:
        shard.restore(state)
    for at, body in tail:
        for command, _position in decode_body(CATALOG_COMMANDS, memoryview(body)):
            command.execute(shard, at)
    return catalog
