"""The HTTP door as an ASGI application: every route on one screen."""

from collections.abc import Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from sharding.errors import NotReplicatedHereError, ShardingError
from sharding.interfaces import NodeApi
from store.errors import StoreError

from .admission import Admission
from .around import Around
from .cluster import Cluster
from .elsewhere import Elsewhere
from .groups import Groups
from .metrics import HttpMetrics
from .problems import HttpError, answer, on_fault, on_http_error, on_layer_error, on_route_error
from .settings import HttpSettings
from .streams import Streams
from .topics import Topics

STATIC = Path(__file__).parent / "static"
NOT_BUILT = ("sql", "queries", "topics/{topic}/latest", "topics/{topic}/lateness")


def build_app(
    node: NodeApi,
    *,
    is_ready: Callable[[], bool],
    render_metrics: Callable[[], bytes],
    now_ms: Callable[[], int],
    settings: HttpSettings | None = None,
    counted: HttpMetrics | None = None,
) -> ASGIApp:
    """`is_ready` answers /health/ready; `render_metrics` gives the Prometheus text; `counted` is counted into."""
    settings = settings or HttpSettings()
    counted = counted or HttpMetrics()
    admission = Admission(settings, counted)
    topics = Topics(node, admission, counted, now_ms)
    streams = Streams(node, admission, settings, counted, now_ms)
    groups = Groups(node)
    cluster = Cluster(node, admission)
    elsewhere = Elsewhere(node)

    async def live(_: Request) -> Response:
        return JSONResponse({"status": "live", "node_id": node.node_id, "cluster_id": node.cluster_id})

    async def ready(_: Request) -> Response:
        status = 200 if is_ready() else 503
        return JSONResponse({"status": "ready" if status == 200 else "not ready", "buffered_rpo_ms": 0}, status)

    async def metrics(_: Request) -> Response:
        return Response(render_metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def index(_: Request) -> Response:
        return Response((STATIC / "index.html").read_bytes(), media_type="text/html; charset=utf-8")

    async def not_built(request: Request) -> Response:
        return answer(501, "NOT_IMPLEMENTED", f"{request.url.path} is not built yet")

    one = "/topics/{topic}"
    api = [
        Route("/topics", topics.list_topics, methods=["GET"]),
        Route("/topics", topics.create, methods=["POST"]),
        Route(one, topics.describe, methods=["GET"]),
        Route(one, topics.delete, methods=["DELETE"]),
        Route(one + "/records", topics.append_records, methods=["POST"]),
        Route(one + "/events", streams.events, methods=["GET"]),
        Route(one + "/aggregate", streams.aggregate, methods=["GET"]),
        Route(one + "/offsets", streams.offsets, methods=["GET"]),
        Route(one + "/splits", streams.splits, methods=["GET"]),
        Route(one + "/splits/seal", elsewhere.at_leader(streams.seal), methods=["POST"]),
        Route(one + "/watermark", streams.watermark, methods=["GET"]),
        Route("/groups", groups.list_groups, methods=["GET"]),
        Route("/groups/{group}", elsewhere.at_coordinator(groups.describe), methods=["GET"]),
        Route("/groups/{group}", elsewhere.at_coordinator(groups.delete), methods=["DELETE"]),
        Route("/cluster", cluster.describe, methods=["GET"]),
        Route("/cluster/grow", cluster.grow, methods=["POST"]),
        Route("/cluster/shards/{shard:int}", cluster.move, methods=["PUT"]),
        *(Route(f"/{path}", not_built, methods=["GET", "POST"]) for path in NOT_BUILT),
    ]
    app = Starlette(
        routes=[
            Route("/", index),
            Route("/health", ready),
            Route("/health/live", live),
            Route("/health/ready", ready),
            Route("/metrics", metrics),
            Mount("/api/v1", routes=api),
            Mount("/static", StaticFiles(directory=STATIC), name="static"),
        ],
        exception_handlers={
            HttpError: on_http_error,
            NotReplicatedHereError: elsewhere.on_not_here,
            ShardingError: on_layer_error,
            StoreError: on_layer_error,
            HTTPException: on_route_error,
            Exception: on_fault,
        },
    )
    # Outside of everything, so that it also sees what answers a fault of ours.
    return Around(app, counted)
