"""One question to a node, by its address: what a node asks before it belongs to a cluster (founding, joining).

A connection of its own: greeting, welcome, then a frame with the question, and one with the answer (`u8 0`, bytes) or
the refusal (`u8 1`, msgpack [code, text]).
Whoever answers knows only what the greeting says; so questions are few at a time, small, and bounded in time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from .clock import Clock
from .connections import Connection
from .deadlines import within
from .errors import CallRefusedError, GreetingRefusedError, MalformedFrameError, RaftError
from .greetings import Greeting, Purpose, decode_greeting, encode_greeting
from .links import PeerAddress

QUESTION_BYTES_MAX: Final = 1 << 20
ANSWERING_MS: Final = 10_000
QUESTION_MS: Final = 15_000  # from the welcome until the answer has left
ANSWERED = b"\x00"
REFUSED = b"\x01"

QuestionHandler = Callable[[Greeting, memoryview], Awaitable[bytes]]


async def ask(clock: Clock, address: PeerAddress, greeting: Greeting, question: bytes, timeout_ms: int) -> memoryview:
    """Ask whoever listens there; its answer.

    Raises: CallRefusedError (the node refused), GreetingRefusedError (not to us), OSError (unreachable, broken, or
    TimeoutError).
    """
    asking = _Asking(greeting, question)

    async def work() -> memoryview:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: Connection(asking), address.host, address.port)
        return await asking.answer

    try:
        return await within(clock, timeout_ms, work())
    finally:
        asking.end()


class _Asking:
    """The end that asks."""

    def __init__(self, greeting: Greeting, question: bytes) -> None:
        self.answer: asyncio.Future[memoryview] = asyncio.get_running_loop().create_future()
        self._greeting = greeting
        self._question = question
        self._is_welcome = False
        self._connection: Connection | None = None

    def end(self) -> None:
        if self._connection is not None:
            self._connection.abort("done")
        if self.answer.done() and not self.answer.cancelled():
            self.answer.exception()  # whoever asked may have given up before
        self.answer.cancel()

    def on_made(self, connection: Connection) -> None:
        self._connection = connection
        connection.send((encode_greeting(self._greeting),))

    def on_frame(self, connection: Connection, frame: memoryview) -> None:
        if self.answer.done():
            return
        if not self._is_welcome:
            try:
                check_welcome(decode_greeting(frame), self._greeting)
            except GreetingRefusedError as error:
                self.answer.set_exception(error)
                return
            self._is_welcome = True
            connection.reader.allow(QUESTION_BYTES_MAX)
            connection.send((self._question,))
        elif bytes(frame[:1]) == ANSWERED:
            self.answer.set_result(frame[1:])
        elif bytes(frame[:1]) == REFUSED:
            try:
                code, text = msgspec.msgpack.decode(frame[1:], type=tuple[str, str])
            except msgspec.DecodeError as error:
                raise MalformedFrameError(f"an unreadable refusal: {error}") from error
            self.answer.set_exception(CallRefusedError(code, text))
        else:
            raise MalformedFrameError("an answer that is neither given nor refused")

    def on_lost(self, connection: Connection, reason: str) -> None:
        del connection
        if not self.answer.done():
            self.answer.set_exception(ConnectionError(reason))


def check_welcome(heard: Greeting, sent: Greeting) -> None:
    """Raises: GreetingRefusedError, MalformedFrameError."""
    if heard.nonce != sent.nonce:
        raise MalformedFrameError("a greeting that answers another one")
    if heard.purpose is Purpose.REFUSED:
        raise GreetingRefusedError(f"node {heard.node_id} refuses: {heard.reason}")
    if heard.purpose is not Purpose.WELCOME:
        raise MalformedFrameError("a greeting that answers nothing")


@dataclass(frozen=True, slots=True)
class Answers:
    """How a node answers; `on_end` hears when the connection is gone."""

    handler: QuestionHandler
    clock: Clock
    logger: logging.Logger
    on_end: Callable[[Connection], None]


class Answering:
    """The end that answers: owns the connection once its greeting was heard, and ends it, at the latest in time."""

    def __init__(self, connection: Connection, heard: Greeting, answers: Answers) -> None:
        self._heard = heard
        self._answers = answers
        self._task: asyncio.Task[None] | None = None
        self._timer = answers.clock.call_later(QUESTION_MS, lambda: connection.abort("not over in time"))
        connection.owner = self
        connection.reader.allow(QUESTION_BYTES_MAX)

    def on_made(self, connection: Connection) -> None:
        raise AssertionError("it was made before it was greeted")

    def on_frame(self, connection: Connection, frame: memoryview) -> None:
        if self._task is not None:
            raise MalformedFrameError("a second question")
        self._task = asyncio.get_running_loop().create_task(self._answer(connection, frame))

    def on_lost(self, connection: Connection, reason: str) -> None:
        del reason
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
        self._answers.on_end(connection)

    async def _answer(self, connection: Connection, question: memoryview) -> None:
        async def work() -> bytes:
            return await self._answers.handler(self._heard, question)

        try:
            connection.send((ANSWERED, await within(self._answers.clock, ANSWERING_MS, work())))
        except CallRefusedError as error:
            connection.send((REFUSED, msgspec.msgpack.encode((error.code, error.text))))
        except (RaftError, TimeoutError) as error:
            connection.send((REFUSED, msgspec.msgpack.encode((type(error).__name__, str(error)))))
        except Exception as error:
            self._answers.logger.exception("a question of node %d at %s failed", self._heard.node_id, connection.remote)
            connection.send((REFUSED, msgspec.msgpack.encode(("Fault", repr(error)))))
        finally:
            connection.close("answered")
