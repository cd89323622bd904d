"""Around every request: counts answers by status, sends the headers that keep browsers careful, refuses foreign pages.

A page of another site may make a browser send requests here. What it could change is refused by its Origin.
"""

from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .metrics import HttpMetrics
from .problems import answer

SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
BROWSER_HEADERS = [
    (b"content-security-policy", b"default-src 'self'; img-src 'self' data:; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]


class Around:
    def __init__(self, app: ASGIApp, metrics: HttpMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.requests[message["status"]] += 1
                message["headers"] = [*message.get("headers", ()), *BROWSER_HEADERS]
            await send(message)

        if _is_foreign(scope):
            refusal = answer(403, "FORBIDDEN", "a page of another origin may not change anything here")
            await refusal(scope, receive, counted)
        else:
            await self._app(scope, receive, counted)


def _is_foreign(scope: MutableMapping[str, Any]) -> bool:  # starlette's own type of a scope
    if scope["method"] in SAFE_METHODS:
        return False
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")
