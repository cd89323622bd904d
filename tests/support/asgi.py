"""Asks an ASGI application without a network: each message it sends is seen as it comes."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote

import anyio
from starlette.types import ASGIApp, Message


@dataclass
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)
    is_whole: bool = False

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    def json(self) -> dict:
        return json.loads(self.body)

    @property
    def rows(self) -> list[dict]:
        return [json.loads(line) for line in self.body.splitlines()]


@dataclass
class Client:
    """One client of an application. `leave` ends its connection; `on_piece` runs at each piece of a body."""

    app: ASGIApp
    on_piece: Callable[[], None] | None = None
    stall: anyio.Event | None = None
    gone: anyio.Event = field(default_factory=anyio.Event)
    last: Answer = field(default_factory=Answer)

    def leave(self) -> None:
        self.gone.set()

    async def get(self, path: str, query: str = "", *, method: str = "GET", **headers: str) -> Answer:
        return await self.ask(method, path, query=query, **headers)

    async def post(self, path: str, body: object, **headers: str) -> Answer:
        content = body if isinstance(body, list) else [body if isinstance(body, bytes) else json.dumps(body).encode()]
        return await self.ask("POST", path, content, **headers)

    async def ask(
        self, method: str, path: str, body: list[bytes] | None = None, *, query: str = "", **headers: str
    ) -> Answer:
        answer = self.last = Answer()
        pieces = list(body or [b""])

        async def receive() -> Message:
            if pieces:
                piece = pieces.pop(0)
                return {"type": "http.request", "body": piece, "more_body": bool(pieces)}
            await self.gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            await anyio.lowlevel.checkpoint()
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
                return
            if self.stall is not None:
                await self.stall.wait()
            if message.get("body"):
                answer.pieces.append(message["body"])
                if self.on_piece is not None:
                    self.on_piece()
            answer.is_whole = not message.get("more_body", False)

        given = {"host": "node", **{name.replace("_", "-"): value for name, value in headers.items()}}
        await self.app(
            {
                "type": "http",
                "asgi": {"version": "3.0", "spec_version": "2.3"},
                "http_version": "1.1",
                "method": method,
                "scheme": "http",
                "path": path,
                "raw_path": quote(path).encode(),
                "root_path": "",
                "query_string": query.encode(),
                "headers": [(name.encode(), value.encode()) for name, value in given.items()],
                "client": ("127.0.0.1", 1),
                "server": ("127.0.0.1", 8080),
            },
            receive,
            send,
        )
        return answer
