"""Another node can answer: 307 with its address. Whoever follows asks the same there; the method and body stay."""

from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response

from sharding.errors import NotCoordinatorError, NotLeaderError, NotReplicatedHereError, ShardingError
from sharding.interfaces import NodeApi

from .problems import answer, of_error

Handler = Callable[[Request], Awaitable[Response]]


class Elsewhere:
    """Sends requests to the nodes that can answer them, as far as this one knows their addresses."""

    def __init__(self, node: NodeApi) -> None:
        self._node = node

    async def on_not_here(self, request: Request, error: Exception) -> Response:
        """The answer to a NotReplicatedHereError."""
        assert isinstance(error, NotReplicatedHereError)
        return self._redirect(request, error.node_ids, error)

    def at_leader(self, handler: Handler) -> Handler:
        """The handler, but that who does not lead redirects. Only for what may be asked twice."""

        async def ask(request: Request) -> Response:
            try:
                return await handler(request)
            except NotLeaderError as error:
                return self._redirect(request, () if error.leader_id is None else (error.leader_id,), error)

        return ask

    def at_coordinator(self, handler: Handler) -> Handler:
        """The handler, but that who does not coordinate the group of the path redirects."""

        async def ask(request: Request) -> Response:
            try:
                return await handler(request)
            except (NotCoordinatorError, NotLeaderError) as error:
                found = self._node.coordinator_of("group", request.path_params["group"])
                return self._redirect(request, (found.node_id,), error)

        return ask

    def _redirect(self, request: Request, node_ids: Sequence[int], error: ShardingError) -> Response:
        addresses = {node.node_id: node for node in self._node.nodes()}
        for node_id in node_ids:
            if node_id != self._node.node_id and (found := addresses.get(node_id)) is not None:
                host = f"[{found.host}]" if ":" in found.host else found.host
                url = request.url.replace(netloc=f"{host}:{found.http_port}")
                redirect = answer(307, "TEMPORARY_REDIRECT", str(error), node_id=node_id)
                redirect.headers["Location"] = str(url)
                return redirect
        return of_error(error)
