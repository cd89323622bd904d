"""What each layer has counted, as figures for /metrics."""

from collections.abc import Iterable, Sequence

from gateway.http.metrics import HttpMetrics
from gateway.kafka.dispatch import API_TABLE
from gateway.kafka.metrics import KafkaMetrics
from gateway.wire.error_codes import ErrorCode
from sharding.node import Node
from sharding.time_services import TimeServices

from .telemetry import Figure


def kafka_figures(metrics: KafkaMetrics) -> Iterable[Figure]:
    names = {key: row.messages for key, row in API_TABLE.items()}
    for key, count in enumerate(metrics.requests):
        if count:
            labels = {"api": names.get(key, str(key))}
            yield Figure(name="kafka_requests", help="by API", value=count, is_counter=True, labels=labels)
    for code, count in sorted(metrics.errors.items()):
        labels = {"code": ErrorCode(code).name}
        yield Figure(name="kafka_errors", help="refusals by code", value=count, is_counter=True, labels=labels)
    for reason, count in metrics.closed.items():
        labels = {"reason": reason.value}
        yield Figure(name="kafka_closed", help="ended connections", value=count, is_counter=True, labels=labels)
    counters = {
        "kafka_bytes_in": metrics.bytes_in,
        "kafka_bytes_out": metrics.bytes_out,
        "kafka_malformed_frames": metrics.malformed_frames,
        "kafka_connections_opened": metrics.connections_opened,
        "kafka_frames_waited": metrics.frames_waited,
    }
    for name, value in counters.items():
        yield Figure(name=name, help="since start", value=value, is_counter=True)
    yield Figure(name="kafka_connections", help="open now", value=metrics.connections_open)
    yield Figure(name="kafka_frame_bytes", help="memory of large frames now", value=metrics.frame_bytes_held)


def http_figures(metrics: HttpMetrics) -> Iterable[Figure]:
    for status, count in sorted(metrics.requests.items()):
        labels = {"status": str(status)}
        yield Figure(name="http_requests", help="answers by status", value=count, is_counter=True, labels=labels)
    counters = {
        "http_queries_refused": metrics.queries_refused,
        "http_answers_broken_off": metrics.answers_broken_off,
        "http_rows_inserted": metrics.rows_inserted,
    }
    for name, value in counters.items():
        yield Figure(name=name, help="since start", value=value, is_counter=True)
    yield Figure(name="http_queries", help="under way now", value=metrics.queries_running)
    yield Figure(name="http_body_bytes", help="memory of request bodies now", value=metrics.body_bytes_held)


def time_figures(node: Node, services: Sequence[TimeServices]) -> Iterable[Figure]:
    for time in services:
        for topic in node.topics():
            labels = {"topic": topic.name}
            held = time.held.get(topic.topic_id.bytes)
            if held is None:
                continue
            if held.live_or_none is not None:
                live = held.live_or_none.partitions
                lag = sum(partition.lag for partition in live)
                not_json = sum(partition.not_json_count for partition in live)
                events = sum(partition.event_count for partition in live)
                yield Figure(name="live_events", help="in the live index", value=events, labels=labels)
                yield Figure(name="live_lag", help="committed and not indexed yet", value=lag, labels=labels)
                yield Figure(
                    name="values_not_json",
                    help="indexed, no JSON object",
                    value=not_json,
                    is_counter=True,
                    labels=labels,
                )
            historic = held.historic
            yield Figure(name="historic_splits", help="sealed into runs", value=len(historic), labels=labels)
            failure = time.sealing_failures.get(topic.topic_id.bytes)
            attempts = 0 if failure is None else failure.attempt_count
            yield Figure(name="sealing_failures", help="in a row; 0 after a success", value=attempts, labels=labels)


def node_figures(node: Node) -> Iterable[Figure]:
    yield Figure(name="topics", help="topics of the catalog", value=len(node.topics()))
    for topic in node.topics():
        labels = {"topic": topic.name}
        bounds = [node.bounds_or_none(topic, index) for index in range(topic.partition_count)]
        # A partition without a replica here is counted where it has one.
        count = sum(found[1] - found[0] for found in bounds if found is not None)
        yield Figure(name="topic_records", help="between log start and end", value=count, labels=labels)
