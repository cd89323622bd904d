"""Which topics a consumer's join metadata names: the one place where we look into it.

ConsumerProtocolSubscription: i16 version, i32 count, count x (i16 length, UTF-8 name), then what we do not need.
Used to refuse the deletion of offsets of a topic that is being consumed, as Kafka does.
"""

import struct
from collections.abc import Iterable

CONSUMER_PROTOCOL = "consumer"
_COUNT = struct.Struct(">hi")
_LENGTH = struct.Struct(">h")


def subscribed_topics_or_none(metadata: bytes) -> frozenset[str] | None:
    """None: these are no subscription's bytes, so nothing is known."""
    try:
        _, count = _COUNT.unpack_from(metadata)
        position = _COUNT.size
        topics: set[str] = set()
        for _ in range(min(count, len(metadata))):  # each takes two bytes at least
            (length,) = _LENGTH.unpack_from(metadata, position)
            position += _LENGTH.size
            if not 0 <= length <= len(metadata) - position:
                return None
            topics.add(metadata[position : position + length].decode())
            position += length
    except (struct.error, UnicodeDecodeError):
        return None
    return frozenset(topics) if count == 0 or topics else None


def is_subscribed(topic: str, subscriptions: Iterable[bytes]) -> bool:
    """Whether one of them names the topic, or cannot be read and might."""
    return any((topics := subscribed_topics_or_none(each)) is None or topic in topics for each in subscriptions)
