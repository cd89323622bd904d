"""Reads that wait: first for the core to confirm them, then until what they may read is applied."""

import asyncio
from collections import deque

from .errors import RaftError
from .interfaces import Index
from .ready import Ready


class Barriers:
    """Each has a ticket, which is its context in the core. Belongs to one event loop."""

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[Index]] = {}
        self._confirmed: deque[tuple[Index, int]] = deque()
        self._count = 0

    def next_ticket(self) -> int:
        self._count += 1
        return self._count

    async def wait(self, ticket: int) -> Index:
        future = self._waiting[ticket] = asyncio.get_running_loop().create_future()
        try:
            return await future
        finally:
            self._waiting.pop(ticket, None)

    def answer(self, ready: Ready, refusal: RaftError) -> None:
        """What a `Ready` says of reads; those that failed are told `refusal`."""
        for read in ready.reads:
            assert isinstance(read.context, int), "contexts are our tickets"
            self._confirmed.append((read.index, read.context))
        for context in ready.failed_reads:
            future = self._waiting.get(context) if isinstance(context, int) else None
            if future is not None and not future.done():
                future.set_exception(refusal)

    def release(self, applied: Index) -> None:
        while self._confirmed and self._confirmed[0][0] <= applied:
            index, ticket = self._confirmed.popleft()
            future = self._waiting.get(ticket)
            if future is not None and not future.done():
                future.set_result(index)

    def fail_all(self, refusal: RaftError) -> None:
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(refusal)
