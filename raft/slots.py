"""A small record that is written in place, in sectors of its own: crc32c of the rest, sequence, three signed numbers.

A write that a power cut tears spoils at most the slot it goes to; of the intact slots the highest sequence counts.
"""

import struct
from typing import NamedTuple

from crc32c import crc32c

SLOT = struct.Struct(">IQqqq")
SLOT_BYTES = SLOT.size
SECTOR_BYTES = 512
assert SLOT_BYTES <= SECTOR_BYTES


class Slot(NamedTuple):
    sequence: int
    first: int
    second: int
    third: int


def encode_slot(slot: Slot) -> bytes:
    checked = SLOT.pack(0, *slot)[4:]
    return crc32c(checked).to_bytes(4) + checked


def newest_slot_or_none(view: memoryview, positions: tuple[int, ...]) -> Slot | None:
    return max(intact_slots(view, positions), default=None)


def intact_slots(view: memoryview, positions: tuple[int, ...]) -> list[Slot]:
    """A slot of zeros was never written."""
    intact: list[Slot] = []
    for position in positions:
        record = view[position : position + SLOT_BYTES]
        if len(record) < SLOT_BYTES or crc32c(record[4:]) != int.from_bytes(record[:4]):
            continue
        _, sequence, first, second, third = SLOT.unpack(record)
        if sequence:
            intact.append(Slot(sequence, first, second, third))
    return intact
