"""The HTTP door, wired, and what /metrics reads."""

from collections.abc import Callable

from gateway.http.app import build_app
from gateway.http.metrics import HttpMetrics
from gateway.http.server import HttpServer
from gateway.http.settings import HttpSettings
from gateway.kafka.metrics import KafkaMetrics

from .exposition import Exposition
from .figures import http_figures, kafka_figures, node_figures, time_figures
from .settings import Settings
from .telemetry import LoopProbe
from .wiring import Wired, wall_ms


def wire_http(
    settings: Settings, wired: Wired, *, kafka: KafkaMetrics, probe: LoopProbe, is_ready: Callable[[], bool]
) -> HttpServer:
    """`is_ready` is what /health/ready answers."""
    node = wired.node
    counted = HttpMetrics()
    exposition = Exposition()
    exposition.add(probe.figures)
    exposition.add(lambda: kafka_figures(kafka))
    exposition.add(lambda: node_figures(node))
    exposition.add(lambda: time_figures(node, wired.time))
    exposition.add(lambda: http_figures(counted))
    http_settings = HttpSettings(
        connections_max=settings.http_connections_max,
        body_bytes_max=settings.http_body_bytes_max,
        body_budget_bytes=settings.http_body_budget_bytes,
        query_threads=settings.query_threads,
        queries_max=settings.query_threads + settings.query_waiting_max,
    )
    app = build_app(
        node,
        is_ready=is_ready,
        render_metrics=exposition.render,
        now_ms=wall_ms,
        settings=http_settings,
        counted=counted,
    )
    return HttpServer(app, http_settings)
