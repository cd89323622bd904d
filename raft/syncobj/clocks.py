"""Time and chance for `SyncObj`, which reads them from two globals of its module: those of the member that runs now.

A member is made current (per thread) before it is called; without one the library's own clock and dice answer.
"""

import threading
from typing import Protocol

import pysyncobj.syncobj as library


class Member(Protocol):
    @property
    def now_s(self) -> float: ...
    def draw(self) -> float:
        """From 0 up to 1."""
        ...


class _Current(threading.local):
    member: Member | None = None


CURRENT = _Current()
OWN_TIME = library.monotonicTime
OWN_RANDOM = library.random


def make_current(member: Member) -> None:
    CURRENT.member = member


def _monotonic_time() -> float:
    return OWN_TIME() if CURRENT.member is None else CURRENT.member.now_s


class _Random:
    def random(self) -> float:
        return OWN_RANDOM.random() if CURRENT.member is None else CURRENT.member.draw()


library.monotonicTime = _monotonic_time
library.random = _Random()
