"""The replicated state of the group coordinators: 64 fixed slots, each on one shard, together a section of its state.

A slot holds the last saved generation and the committed offsets of the groups whose id hashes to it. Its snapshot is
what a checkpoint keeps, and what will move when a slot changes its shard.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar

import crc32c
import msgspec

from .offsets import Offsets, TopicOffsets
from .saved import SavedGroup

SLOT_COUNT = 64  # fixed for ever: which slot a group is in follows from its name alone


def slot_of(group_id: str) -> int:
    """The same on every node and in every version: CRC-32C of the UTF-8 name."""
    return crc32c.crc32c(group_id.encode()) % SLOT_COUNT


class _GroupOffsets(msgspec.Struct, array_like=True, frozen=True):
    group_id: str
    topics: tuple[TopicOffsets, ...]


class _Snapshot(msgspec.Struct, array_like=True, frozen=True):
    groups: tuple[SavedGroup, ...]
    offsets: tuple[_GroupOffsets, ...]


class GroupSlot:
    """One slot; changed by executors of replicated commands only, so every replica holds the same."""

    def __init__(self) -> None:
        self._groups: dict[str, SavedGroup] = {}
        self._offsets: dict[str, Offsets] = {}

    def __contains__(self, group_id: str) -> bool:
        return group_id in self._groups or group_id in self._offsets

    def __iter__(self) -> Iterator[str]:
        """Every group that has a saved generation or offsets."""
        yield from self._groups
        yield from (group_id for group_id in self._offsets if group_id not in self._groups)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def group_or_none(self, group_id: str) -> SavedGroup | None:
        return self._groups.get(group_id)

    def offsets(self, group_id: str) -> Offsets:
        """To be read only; empty if there are none."""
        return self._offsets.get(group_id) or Offsets()

    def save(self, group: SavedGroup) -> None:
        self._groups[group.group_id] = group

    def commit(self, group_id: str, topics: Sequence[TopicOffsets]) -> None:
        self._offsets.setdefault(group_id, Offsets()).commit(topics)

    def delete(self, group_id: str) -> None:
        self._groups.pop(group_id, None)
        self._offsets.pop(group_id, None)

    def delete_offsets(self, group_id: str, partitions: Sequence[tuple[str, int]]) -> None:
        held = self._offsets.get(group_id)
        if held is not None:
            held.remove(partitions)
            if not held:
                del self._offsets[group_id]

    def snapshot(self) -> bytes:
        offsets = tuple(_GroupOffsets(group_id, held.rows()) for group_id, held in self._offsets.items())
        return msgspec.msgpack.encode(_Snapshot(tuple(self._groups.values()), offsets))

    def restore(self, state: bytes) -> None:
        """Take over a snapshot in place of what was here."""
        saved = msgspec.msgpack.decode(state, type=_Snapshot)
        self._groups = {group.group_id: group for group in saved.groups}
        self._offsets = {each.group_id: Offsets(each.topics) for each in saved.offsets}


class GroupSlots:
    """The slots of one shard. A `sharding.shard_state.Section`: a map of slot number to the slot's own snapshot."""

    NAME: ClassVar[str] = "groups"

    def __init__(self) -> None:
        self._slots: dict[int, GroupSlot] = {}

    def of(self, group_id: str) -> GroupSlot:
        return self[slot_of(group_id)]

    def __getitem__(self, number: int) -> GroupSlot:
        """An empty slot takes no place until it is asked for."""
        assert 0 <= number < SLOT_COUNT, f"slot {number} of {SLOT_COUNT}"
        return self._slots.setdefault(number, GroupSlot())

    def snapshot(self) -> bytes:
        """The same bytes wherever the same commands were applied: by slot number, empty slots left out."""
        slots = {number: slot.snapshot() for number, slot in sorted(self._slots.items()) if len(slot)}
        return msgspec.msgpack.encode(slots)

    def restore(self, state: bytes) -> None:
        self._slots.clear()
        for number, slot in msgspec.msgpack.decode(state, type=dict[int, bytes]).items():
            self[number].restore(slot)
