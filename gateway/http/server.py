"""Serves the ASGI application with uvicorn inside the node's own event loop."""

import asyncio
import contextlib
import socket
from collections.abc import Generator

import uvicorn
from starlette.types import ASGIApp

from .listening import BACKLOG
from .protocol import BoundedProtocol
from .settings import HttpSettings


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the node decides when to stop. Says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.has_begun = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.has_begun.set()


class HttpServer:
    """Owns the socket that it answers on, and uvicorn's task."""

    def __init__(self, app: ASGIApp, settings: HttpSettings | None = None) -> None:
        settings = settings or HttpSettings()
        config = uvicorn.Config(
            app,
            http=BoundedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            backlog=BACKLOG,
            limit_concurrency=settings.connections_max,
            timeout_keep_alive=settings.keep_alive_s,
            timeout_graceful_shutdown=settings.close_deadline_s,
            server_header=False,
        )
        self._server = _Server(config)
        self._socket: socket.socket | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self, listening: socket.socket) -> None:
        """Answer on this socket, which is ours from now on."""
        self._socket = listening
        self._task = asyncio.create_task(self._server.serve([listening]), name="http")
        await self._server.has_begun.wait()

    async def close(self) -> None:
        """Finish the requests that are running, those that take long excepted, then stop listening."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        if self._socket is not None:
            self._socket.close()
