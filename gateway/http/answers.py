"""A streamed answer from its first batch to its last byte.

An error that the first batch raises comes before the status is sent, so that it becomes a problem. A later one breaks
the connection off: a client that sees the end of the body has the whole answer. The query ends when the client leaves,
or takes nothing for too long.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .admission import Ticket
from .formats import MEDIA_TYPES, Encoder, Format, Rows, encode, headers_of
from .metrics import HttpMetrics

if TYPE_CHECKING:
    import pyarrow as pa

# A page up to here is read before its first byte, so that the head can carry its cursor.
PAGE_ROWS_MAX = 10_000
PAGE_BYTES_MAX = 8 << 20


class BrokenOffError(Exception):
    """An answer that had begun could not be ended."""


async def begun(request: Request, form: Format, rows: Rows, encoder: Encoder, ends: "Ends") -> Response:
    """The answer, with its first batch read. Raises: whatever the query raises."""
    read: list[pa.RecordBatch] = []
    try:
        is_page = rows.limit_count is not None and rows.limit_count <= PAGE_ROWS_MAX
        is_whole = await _read_on(rows.batches, read, PAGE_BYTES_MAX if is_page else 0)
        headers = headers_of(rows.meta)
        if is_whole and (cursor := rows.cursor()) is not None:
            headers["X-Cursor"] = cursor
    except BaseException:
        await _close(rows.batches)
        raise
    ends.batches = rows.batches
    if request.method == "HEAD":
        await ends.close()
        return Response(headers=headers, media_type=MEDIA_TYPES[form])
    pieces = encode(form, replace(rows, batches=_chained(read, rows.batches)), encoder)
    return StreamedAnswer(pieces, headers, MEDIA_TYPES[form], ends)


@dataclass(slots=True)
class Ends:
    """What is let go when an answer ends, in whichever way."""

    ticket: Ticket
    metrics: HttpMetrics
    stall_deadline_s: float
    batches: AsyncIterator["pa.RecordBatch"] | None = None

    async def close(self) -> None:
        self.ticket.close()
        if self.batches is not None:
            await _close(self.batches)


class StreamedAnswer(Response):
    """Sends pieces as the client takes them."""

    def __init__(self, pieces: AsyncGenerator[bytes], headers: Mapping[str, str], media_type: str, ends: Ends) -> None:
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self.init_headers(headers)
        self._pieces = pieces
        self._ends = ends
        self._is_whole = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        failure: Exception | None = None
        try:
            async with anyio.create_task_group() as tasks:

                async def leave_with_the_client() -> None:
                    while (await receive())["type"] != "http.disconnect":
                        pass
                    tasks.cancel_scope.cancel()

                tasks.start_soon(leave_with_the_client)
                try:
                    await self._send(send)
                except Exception as error:  # noqa: BLE001 - raised below, outside the group
                    failure = error
                tasks.cancel_scope.cancel()
        finally:
            if not self._is_whole:
                self._ends.metrics.answers_broken_off += 1
            with anyio.CancelScope(shield=True):
                await self._pieces.aclose()
                await self._ends.close()
        if failure is not None:
            raise BrokenOffError(f"an answer broke off: {failure}") from failure

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for piece in self._pieces:
            if piece:
                with anyio.fail_after(self._ends.stall_deadline_s):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        with anyio.fail_after(self._ends.stall_deadline_s):
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        self._is_whole = True


async def _read_on(batches: AsyncIterator["pa.RecordBatch"], read: list["pa.RecordBatch"], bytes_max: int) -> bool:
    """Read one batch, and on while they fit; whether that was all."""
    size = 0
    async for batch in batches:
        read.append(batch)
        size += batch.nbytes
        if size > bytes_max:
            return False
    return True


async def _chained(
    read: list["pa.RecordBatch"], batches: AsyncIterator["pa.RecordBatch"]
) -> AsyncGenerator["pa.RecordBatch"]:
    for batch in read:
        yield batch
    read.clear()
    async for batch in batches:
        yield batch


async def _close(batches: AsyncIterator["pa.RecordBatch"]) -> None:
    if isinstance(batches, AsyncGenerator):
        await batches.aclose()
