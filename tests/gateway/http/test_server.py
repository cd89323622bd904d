"""The listener: bounds on heads, and an end that waits for nobody too long."""

import asyncio
from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from gateway.http.listening import address_of, listen
from gateway.http.protocol import BoundedProtocol
from gateway.http.server import HttpServer
from gateway.http.settings import HttpSettings

REACHED: list[bool] = []
Use = Callable[[str, int], Awaitable[None]]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"] == "/never":
        REACHED.append(True)
        await anyio.sleep_forever()
    body = b""
    while (message := await receive()).get("more_body"):
        body += message["body"]
    await PlainTextResponse(f"{len(body + message.get('body', b''))}")(scope, receive, send)


def serve(use: Use, settings: HttpSettings | None = None) -> None:
    async def run() -> None:
        server = HttpServer(app, settings)
        with anyio.fail_after(20):
            listening = listen("127.0.0.1", 0)
            await server.start(listening)
            try:
                await use(*address_of(listening))
            finally:
                await server.close()

    anyio.run(run)


async def exchanged(host: str, port: int, *sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        for piece in sent:
            writer.write(piece)
            await writer.drain()
            await anyio.lowlevel.checkpoint()
        return await reader.read()
    finally:
        writer.close()


def test_who_asks_before_the_server_has_started_is_answered_then() -> None:
    async def run() -> None:
        listening = listen("127.0.0.1", 0)
        server = HttpServer(app)
        with anyio.fail_after(20):
            reader, writer = await asyncio.open_connection(*address_of(listening))
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            await writer.drain()
            await server.start(listening)
            try:
                assert (await reader.read()).startswith(b"HTTP/1.1 200")
            finally:
                writer.close()
                await server.close()

    anyio.run(run)


def test_a_request_is_answered_and_so_is_the_next_of_its_connection() -> None:
    async def use(host: str, port: int) -> None:
        post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
        last = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        answer = await exchanged(host, port, post, b"x" * 100_000, last)
        assert answer.count(b"HTTP/1.1 200") == 2
        assert b"\r\n\r\n100000" in answer

    serve(use)


@pytest.mark.parametrize("place", ["url", "header"])
def test_an_endless_head_is_refused(place: str) -> None:
    begin = b"GET /" if place == "url" else b"GET / HTTP/1.1\r\nX: "

    async def use(host: str, port: int) -> None:
        answer = await exchanged(host, port, begin, *[b"a" * 10_000] * 5)
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"32768 bytes" in answer

    serve(use)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost:", b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HT"])
def test_a_head_that_does_not_come_ends_the_connection(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedProtocol, "head_deadline_s", 0.1)

    async def use(host: str, port: int) -> None:
        answer = await exchanged(host, port, sent)
        assert answer.count(b"HTTP/1.1 200") == sent.count(b"\r\n\r\n")

    serve(use)


def test_closing_does_not_wait_for_an_answer_that_never_ends() -> None:
    async def use(host: str, port: int) -> None:
        _, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n")
        await writer.drain()
        while not REACHED:
            await anyio.lowlevel.checkpoint()
        writer.close()

    serve(use, HttpSettings(close_deadline_s=1))
