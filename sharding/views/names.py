"""Names and catalog values of a topic's views: `t.__time`, `t.__time.keyed`, `t.__ticks`, `t.__late`."""

from uuid import UUID, uuid5

from store.emission import ViewKind

from ..interfaces import Topic

KINDS_BY_LENGTH = sorted(ViewKind, key=lambda kind: -len(kind.value))


def view_name(topic_name: str, kind: ViewKind) -> str:
    return f"{topic_name}.{kind.value}"


def split_view_name(name: str) -> tuple[str, ViewKind] | None:
    """(topic's name, kind) of a name that only a view can have, or None."""
    for kind in KINDS_BY_LENGTH:
        topic_name = name.removesuffix("." + kind.value)
        if topic_name != name and topic_name:
            return topic_name, kind
    return None


def view_id(topic_id: UUID, kind: ViewKind) -> UUID:
    """The same on every node, and another one for a topic that is created anew under an old name."""
    return uuid5(topic_id, kind.value)


def view_topic(topic: Topic, kind: ViewKind) -> Topic:
    return Topic(
        topic_id=view_id(topic.topic_id, kind),
        name=view_name(topic.name, kind),
        partition_count=topic.partition_count if kind is ViewKind.KEYED else 1,
        replication_factor=topic.replication_factor,
        configs={},
        schema=topic.schema if kind is not ViewKind.TICKS else None,
        is_view=True,
    )


def view_topics(topic: Topic) -> list[Topic]:
    return [view_topic(topic, kind) for kind in ViewKind]
