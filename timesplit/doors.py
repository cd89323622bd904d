"""The doors of a served node, wired: Kafka, HTTP, and what /metrics reads."""

from dataclasses import dataclass, field

from gateway.http.app import build_app
from gateway.http.metrics import HttpMetrics
from gateway.http.server import HttpServer
from gateway.http.settings import HttpSettings
from gateway.kafka.server import KafkaServer
from gateway.kafka.settings import KafkaSettings

from .figures import http_figures, kafka_figures, node_figures, time_figures
from .settings import Settings
from .telemetry import LoopProbe, Telemetry
from .wiring import Wired, wall_ms


@dataclass(slots=True)
class Doors:
    """The listeners of a served node; `is_ready` is what /health/ready answers."""

    kafka: KafkaServer
    http: HttpServer
    probe: LoopProbe
    is_ready: list[bool] = field(default_factory=lambda: [False])


def wire_doors(settings: Settings, wired: Wired) -> Doors:
    node = wired.node
    kafka = KafkaServer(
        node,
        KafkaSettings(
            frame_bytes_max=settings.request_bytes_max,
            frame_budget_bytes=settings.request_budget_bytes,
            frame_deadline_ms=settings.frame_deadline_ms,
            idle_deadline_ms=settings.connection_idle_ms,
            connections_max=settings.connections_max,
            connections_per_ip_max=settings.connections_per_ip_max,
        ),
    )
    telemetry, probe = Telemetry(), LoopProbe()
    telemetry.add(probe.figures)
    telemetry.add(lambda: kafka_figures(kafka.metrics))
    telemetry.add(lambda: node_figures(node))
    telemetry.add(lambda: time_figures(node, wired.time))
    is_ready = [False]
    http_settings = HttpSettings(
        connections_max=settings.http_connections_max,
        body_bytes_max=settings.http_body_bytes_max,
        body_budget_bytes=settings.http_body_budget_bytes,
        query_threads=settings.query_threads,
        queries_max=settings.query_threads + settings.query_waiting_max,
    )
    counted = HttpMetrics()
    telemetry.add(lambda: http_figures(counted))
    app = build_app(
        node,
        is_ready=lambda: is_ready[0],
        render_metrics=telemetry.render,
        now_ms=wall_ms,
        settings=http_settings,
        counted=counted,
    )
    return Doors(kafka, HttpServer(app, http_settings), probe, is_ready)
