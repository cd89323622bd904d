"""The committed offsets of one group, as they are replicated.

Whether a client may commit is for `group.Group.check_commit` to say. Offsets never expire yet (Kafka's
offsets.retention.minutes is left out): they end with their group, by deletion, or with their topic.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from ..errors import InvalidRequestError, OffsetMetadataTooLargeError
from .interfaces import CommittedOffset

METADATA_CHARS_MAX = 4_096  # Kafka's offset.metadata.max.bytes, which counts characters too
PARTITIONS_MAX = 100_000  # of one group: its state is held in memory and in every checkpoint


class OffsetRow(msgspec.Struct, array_like=True, frozen=True):
    """One partition's committed offset in a command or a snapshot; a field may only be added at the end."""

    partition: int
    offset: int
    leader_epoch: int
    metadata: str
    commit_ms: int


TopicOffsets = tuple[str, tuple[OffsetRow, ...]]


class Offsets:
    """Partition -> last committed offset; the last commit wins, also when it goes back."""

    def __init__(self, topics: Iterable[TopicOffsets] = ()) -> None:
        self._topics: dict[str, dict[int, OffsetRow]] = {}
        self._count = 0
        self.commit(topics)

    def __len__(self) -> int:
        return self._count

    def __contains__(self, key: tuple[str, int]) -> bool:
        return key[1] in self._topics.get(key[0], {})

    def commit(self, topics: Iterable[TopicOffsets]) -> None:
        for topic, rows in topics:
            held = self._topics.setdefault(topic, {})
            before = len(held)
            held.update((row.partition, row) for row in rows)
            self._count += len(held) - before

    def remove(self, partitions: Iterable[tuple[str, int]]) -> None:
        """Those without an offset are passed over."""
        for topic, partition in partitions:
            held = self._topics.get(topic)
            if held is not None and held.pop(partition, None) is not None:
                self._count -= 1
                if not held:
                    del self._topics[topic]

    def of_topic(self, topic: str) -> list[tuple[str, int]]:
        return [(topic, partition) for partition in self._topics.get(topic, ())]

    def find(self, wanted: Sequence[tuple[str, int]] | None) -> dict[tuple[str, int], CommittedOffset]:
        """None asks for all; a partition without an offset is absent."""
        if wanted is None:
            return {
                (topic, row.partition): _committed(row) for topic, held in self._topics.items() for row in held.values()
            }
        found = {key: row for key in wanted if (row := self._topics.get(key[0], {}).get(key[1])) is not None}
        return {key: _committed(row) for key, row in found.items()}

    def rows(self) -> tuple[TopicOffsets, ...]:
        return tuple((topic, tuple(held.values())) for topic, held in self._topics.items())


def checked_rows(
    offsets: Mapping[tuple[str, int], CommittedOffset], held: Offsets, now_ms: int
) -> tuple[TopicOffsets, ...]:
    """A commit as it is replicated, stamped with the wall clock; `held` is what the group has committed before.

    Raises: OffsetMetadataTooLargeError, InvalidRequestError.
    """
    count = len(held) + sum(key not in held for key in offsets)
    if count > PARTITIONS_MAX:
        raise InvalidRequestError(f"offsets of {count} partitions in one group, at most {PARTITIONS_MAX}")
    topics: dict[str, list[OffsetRow]] = {}
    for (topic, partition), each in offsets.items():
        if len(each.metadata) > METADATA_CHARS_MAX:
            raise OffsetMetadataTooLargeError(f"metadata of {len(each.metadata)}, at most {METADATA_CHARS_MAX}")
        commit_ms = each.commit_ms if each.commit_ms >= 0 else now_ms
        row = OffsetRow(partition, each.offset, each.leader_epoch, each.metadata, commit_ms)
        topics.setdefault(topic, []).append(row)
    return tuple((topic, tuple(rows)) for topic, rows in topics.items())


def _committed(row: OffsetRow) -> CommittedOffset:
    return CommittedOffset(
        offset=row.offset, leader_epoch=row.leader_epoch, metadata=row.metadata, commit_ms=row.commit_ms
    )
