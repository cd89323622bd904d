"""The two engines of a group. Log, messages, shell are the same, so members of both can form one group."""

from enum import Enum
from random import Random
from typing import TYPE_CHECKING, TypeAlias

from .core import RaftCore
from .core_state import CoreConfig
from .hard_state import HardState
from .interfaces import GroupId
from .tail import LogView

if TYPE_CHECKING:
    from .syncobj.core import SyncObjCore

Core: TypeAlias = "RaftCore | SyncObjCore"


class Engine(Enum):
    NATIVE = "native"
    PYSYNCOBJ = "pysyncobj"


def native(_group_id: GroupId) -> Engine:
    return Engine.NATIVE


def new_core(
    engine: Engine, config: CoreConfig, log: LogView, hard_state: HardState, random: Random, now_ms: int
) -> Core:
    """The rules of one member. Raises: ImportError (another pysyncobj than the one that was examined)."""
    if engine is Engine.NATIVE:
        return RaftCore(config, log, hard_state, random, now_ms)
    from .syncobj.core import SyncObjCore  # pysyncobj is loaded by those who want it

    return SyncObjCore(config, log, hard_state, random, now_ms)
