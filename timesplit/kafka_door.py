"""The Kafka door, wired."""

from gateway.kafka.server import KafkaServer
from gateway.kafka.settings import KafkaSettings

from .settings import Settings
from .wiring import Wired


def wire_kafka(settings: Settings, wired: Wired) -> KafkaServer:
    return KafkaServer(
        wired.node,
        KafkaSettings(
            frame_bytes_max=settings.request_bytes_max,
            frame_budget_bytes=settings.request_budget_bytes,
            frame_deadline_ms=settings.frame_deadline_ms,
            idle_deadline_ms=settings.connection_idle_ms,
            connections_max=settings.connections_max,
            connections_per_ip_max=settings.connections_per_ip_max,
        ),
    )
