"""The catalog's topics and their views as the doors see them: by name, by id, made once per change of a record."""

from uuid import UUID

from store.emission import ViewKind

from .catalog import Catalog, TopicRecord
from .errors import UnknownTopicError, UnknownTopicIdError
from .interfaces import Topic
from .topic_configs import is_view_enabled, schema_or_none
from .views.names import split_view_name, view_topic


class Topics:
    """Follows the catalog by looking: a value is made anew when its record is another object than last time."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._made: dict[str, tuple[TopicRecord, Topic]] = {}
        self._views: dict[str, tuple[Topic, Topic]] = {}
        self._view_names: dict[UUID, str] = {}
        self._view_names_as_of = -1

    def all(self) -> list[Topic]:
        return [self._topic_of(record) for record in self._catalog.topics_by_name()]

    def views(self) -> list[Topic]:
        return [
            self._view_of(topic, kind) for topic in self.all() if is_view_enabled(topic.configs) for kind in ViewKind
        ]

    def get(self, name: str) -> Topic:
        """A topic or a view. Raises: UnknownTopicError."""
        record = self._catalog.topic_or_none(name)
        if record is not None:
            return self._topic_of(record)
        if (found := split_view_name(name)) is not None:
            topic = self.get(found[0])
            if is_view_enabled(topic.configs):
                return self._view_of(topic, found[1])
        raise UnknownTopicError(f"no topic {name!r}")

    def get_by_id(self, topic_id: UUID) -> Topic:
        """Raises: UnknownTopicIdError."""
        record = self._catalog.topics.get(topic_id.bytes)
        if record is not None:
            return self._topic_of(record)
        if self._view_names_as_of != self._catalog.change_count:
            self._view_names_as_of = self._catalog.change_count
            self._view_names = {view.topic_id: view.name for view in self.views()}
        if (name := self._view_names.get(topic_id)) is not None:
            return self.get(name)
        raise UnknownTopicIdError(f"no topic with id {topic_id}")

    def viewed(self, view: Topic) -> Topic:
        """The topic that a view shows. Raises: UnknownTopicError."""
        found = split_view_name(view.name)
        assert found is not None, f"{view.name} is no view's name"
        return self.get(found[0])

    def forget(self, name: str) -> None:
        """The topic was deleted."""
        self._made.pop(name, None)
        for view_name in [one for one, (_, topic) in self._views.items() if topic.name == name]:
            del self._views[view_name]

    def _topic_of(self, record: TopicRecord) -> Topic:
        known = self._made.get(record.name)
        if known is not None and known[0] is record:
            return known[1]
        topic = topic_of(record)
        self._made[record.name] = record, topic
        return topic

    def _view_of(self, topic: Topic, kind: ViewKind) -> Topic:
        name = f"{topic.name}.{kind.value}"
        known = self._views.get(name)
        if known is not None and known[1] is topic:
            return known[0]
        view = view_topic(topic, kind)
        self._views[name] = view, topic
        return view


def topic_of(record: TopicRecord) -> Topic:
    return Topic(
        topic_id=UUID(bytes=record.topic_id),
        name=record.name,
        partition_count=record.partition_count,
        replication_factor=record.replication_factor,
        configs=record.configs,
        schema=schema_or_none(record.configs),
    )
