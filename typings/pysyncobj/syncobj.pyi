from collections.abc import Callable
from typing import Protocol

from . import SyncObj as SyncObj

class _Draws(Protocol):
    def random(self) -> float: ...

monotonicTime: Callable[[], float]
random: _Draws
