"""What the door lets in: a bounded number of queries, and a bounded sum of request bodies. Beyond: 429, come again."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
from starlette.requests import ClientDisconnect, Request

from .metrics import HttpMetrics
from .problems import HttpError
from .settings import HttpSettings


class Ticket:
    """The place of one query; given back once, by whoever ends it."""

    def __init__(self, metrics: HttpMetrics) -> None:
        self._metrics = metrics
        self._is_open = True
        metrics.queries_running += 1

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._metrics.queries_running -= 1


class Admission:
    """Owns both bounds. A query counts from its plan to the last byte of its answer: a slow reader holds its place."""

    def __init__(self, settings: HttpSettings, metrics: HttpMetrics) -> None:
        self._settings = settings
        self._metrics = metrics

    def query(self) -> Ticket:
        """Raises: HttpError 429."""
        if self._metrics.queries_running >= self._settings.queries_max:
            self._metrics.queries_refused += 1
            raise HttpError(429, f"{self._settings.queries_max} queries are under way, which is the most; come again")
        return Ticket(self._metrics)

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncGenerator[bytes]:
        """The body; its bytes count for as long as it is used. Raises: HttpError 408, 413, 429."""
        limit, held = self._settings.body_bytes_max, 0
        pieces: list[bytes] = []
        try:
            with anyio.move_on_after(self._settings.body_deadline_s) as deadline:
                async for piece in request.stream():
                    if held + len(piece) > limit:
                        raise HttpError(413, f"a body of more than {limit} bytes")
                    if self._metrics.body_bytes_held + len(piece) > self._settings.body_budget_bytes:
                        raise HttpError(429, "too many request bodies at a time; come again")
                    held += len(piece)
                    self._metrics.body_bytes_held += len(piece)
                    pieces.append(piece)
            if deadline.cancelled_caught:
                raise HttpError(408, f"no whole body within {self._settings.body_deadline_s:g} s")
            yield b"".join(pieces)
        except ClientDisconnect as error:
            raise HttpError(400, "the client left before the body was whole") from error
        finally:
            self._metrics.body_bytes_held -= held
