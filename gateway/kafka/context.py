"""What a handler gets: the door's services, and one request's place in its connection's order of answers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sharding.interfaces import NodeApi

from .error_map import code_of, coordinator_code_of
from .metrics import KafkaMetrics
from .settings import KafkaSettings

if TYPE_CHECKING:
    from .dispatch import Route

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What all connections of a server share. `wall_ms` is the time of day, for records; `now_ms` never goes back."""

    node: NodeApi
    settings: KafkaSettings
    metrics: KafkaMetrics
    offered: Sequence[tuple[int, int, int]]
    """(api key, first version, last version) of every row of the table."""
    wall_ms: Callable[[], int]
    now_ms: Callable[[], int]


class AnswerTaker(Protocol):
    """The connection that a request came from."""

    host: str

    def answered(self, context: RequestContext) -> None: ...
    def run(self, work: Coroutine[object, object, None]) -> bool: ...
    def failed(self, error: Exception) -> None: ...


class RequestContext:
    """One request on its way.

    A handler returns its response, or `PENDING` and calls `answer` later, exactly once, from the loop. Answers leave in
    the order of the requests. `expires_ms` and `expire` ask the sweep for a call after a deadline; `hurry` is called
    when the server stops: answer with what is there.
    """

    __slots__ = (
        "_client_id",
        "connection",
        "correlation_id",
        "door",
        "expire",
        "expires_ms",
        "held_bytes",
        "hurry",
        "is_answered",
        "parts",
        "route",
    )

    def __init__(
        self, connection: AnswerTaker, door: Door, route: Route, correlation_id: int, client_id: bytes
    ) -> None:
        self.connection = connection
        self.door = door
        self.route = route
        self.correlation_id = correlation_id
        self._client_id = client_id
        self.held_bytes = 0
        self.is_answered = False
        self.parts: Sequence[Buffer] = ()
        self.expires_ms = 0
        self.expire: Callable[[], None] | None = None
        self.hurry: Callable[[], None] | None = None

    @property
    def node(self) -> NodeApi:
        return self.door.node

    @property
    def settings(self) -> KafkaSettings:
        return self.door.settings

    @property
    def version(self) -> int:
        return self.route.version

    @property
    def client_id(self) -> str:
        return self._client_id.decode("utf-8", "replace")

    @property
    def client_host(self) -> str:
        return f"/{self.connection.host}"

    def answer(self, response: object) -> None:
        """Hand the response over; it is encoded now and sent when its turn has come."""
        assert not self.is_answered, f"request {self.correlation_id} is answered twice"
        try:
            self.parts = self.route.framed(self.correlation_id, response)
        except Exception as error:  # noqa: BLE001 - ends this connection, not the shard that completed the request
            self.fail(error)
        self._end()

    def answer_nothing(self) -> None:
        """End a request that has no answer (acks=0)."""
        assert not self.is_answered, f"request {self.correlation_id} is answered twice"
        self._end()

    def run(self, work: Coroutine[object, object, None]) -> bool:
        """Run a part of this request as a task; a fault in it ends the connection. False: not begun, too many run."""
        return self.connection.run(work)

    def fail(self, error: Exception) -> None:
        """A fault of ours: logged, and the connection ends."""
        self.connection.failed(error)

    def refuse(self, error: Exception) -> int:
        """The Kafka code of an error, counted."""
        code = code_of(error)
        self.door.metrics.count_error(code)
        return code

    def refuse_group(self, error: Exception) -> int:
        """As `refuse`, in requests to a coordinator."""
        code = coordinator_code_of(error)
        self.door.metrics.count_error(code)
        return code

    def _end(self) -> None:
        self.is_answered = True
        self.expire = self.hurry = None
        self.connection.answered(self)


class _Pending:
    """The one value that says: the answer comes later."""

    __slots__ = ()


PENDING = _Pending()
