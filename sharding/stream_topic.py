"""A topic's settings as ticks, live indexes, views and sealing need them: parsed once per change of the catalog."""

from dataclasses import dataclass

from store.schema import Schema

from .catalog import Catalog, TopicRecord
from .ticks import TickRule
from .topic_configs import integer_of, is_view_enabled, late_policy, schema_or_none


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTopic:
    """`is_live`: ticked while data flows and indexed at once. Others are ticked at a cut, and indexed when asked."""

    topic_id: bytes
    name: str
    partition_count: int
    schema: Schema | None
    has_views: bool
    rule: TickRule
    tick_ms: int
    split_ms: int
    split_bytes: int
    shards: tuple[int, ...]

    @property
    def is_live(self) -> bool:
        return self.schema is not None or self.has_views

    @staticmethod
    def of(record: TopicRecord) -> "StreamTopic":
        configs = record.configs
        ahead_ms = integer_of(configs, "clock.ahead.ms")
        rule = TickRule(
            lateness_ms=integer_of(configs, "lateness.ms"),
            idle_ms=integer_of(configs, "idle.ms"),
            ahead_ms=None if ahead_ms < 0 else ahead_ms,
            policy=late_policy(configs),
        )
        return StreamTopic(
            topic_id=record.topic_id,
            name=record.name,
            partition_count=record.partition_count,
            schema=schema_or_none(configs),
            has_views=is_view_enabled(configs),
            rule=rule,
            tick_ms=integer_of(configs, "tick.ms"),
            split_ms=integer_of(configs, "split.ms"),
            split_bytes=integer_of(configs, "split.bytes"),
            shards=record.shards,
        )


class StreamTopics:
    """All topics of a catalog, parsed; refreshed when the catalog has changed."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._change_count = -1
        self._topics: dict[bytes, tuple[TopicRecord, StreamTopic]] = {}

    def all(self) -> list[StreamTopic]:
        self._refresh()
        return [topic for _, topic in self._topics.values()]

    def get(self, topic_id: bytes) -> StreamTopic | None:
        self._refresh()
        found = self._topics.get(topic_id)
        return None if found is None else found[1]

    def _refresh(self) -> None:
        if self._change_count == self._catalog.change_count:
            return
        before, self._topics = self._topics, {}
        for topic_id, record in self._catalog.topics.items():
            known = before.get(topic_id)
            # The catalog replaces a record when it changes.
            is_known = known is not None and known[0] is record
            self._topics[topic_id] = known if known is not None and is_known else (record, StreamTopic.of(record))
        self._change_count = self._catalog.change_count
