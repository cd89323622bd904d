"""File `checkpoint` of a group: the state machine's state as of an applied entry, and where the log up to it lies.

Bytes, big-endian: magic, u32 crc32c of what follows, u64 bytes of facts, u64 bytes of state, facts (msgpack), state.
It is replaced as a whole; the one before stays until the new one is durable. A log that begins with entry 1 is only
slower to open without it. Where the log begins is said by the checkpoint: segments before the first one it knows are
released, and their files removed as soon as it is durable.
"""

from __future__ import annotations

import logging
import struct
import sys
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
from crc32c import crc32c

from .disk import NO_SPACE, Disk, create_durably
from .errors import ForeignDirectoryError, UnknownFormatError
from .interfaces import GroupId, Index, Term
from .segments import Segment, SegmentPlan, segment_indexes, segment_name

if TYPE_CHECKING:
    from collections.abc import Sequence

CHECKPOINT_NAME = "checkpoint"
CHECKPOINT_MAGIC = b"tmspltCP"
CHECKPOINT_FORMAT = 1
FRAME = struct.Struct(">8sIQQ")
CRC_END = 12

logger = logging.getLogger(__name__)


class SegmentFacts(msgspec.Struct, frozen=True, array_like=True):
    """A `Segment` at rest; positions are u32, little-endian."""

    first_index: Index
    file_bytes: int
    last_index: Index
    end_position: int
    positions: bytes


class CheckpointFacts(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """`term_starts`: (first index, term), rising. `configuration`: the last one at or before `applied`."""

    format: int = CHECKPOINT_FORMAT
    group_id: GroupId
    applied: Index
    applied_term: Term
    configuration: bytes | None
    term_starts: tuple[tuple[Index, Term], ...]
    segments: tuple[SegmentFacts, ...]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`crc`: of the file it was read from."""

    facts: CheckpointFacts
    state: bytes
    crc: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class CheckpointJob:
    directory: str
    checkpoint: Checkpoint


class CheckpointWriter:
    """Writes checkpoints, each as a whole. Called from one thread."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def write(self, jobs: Sequence[CheckpointJob]) -> None:
        """The newest for each group. Raises: OSError, except for a full disk: then the older checkpoint stays."""
        for directory, checkpoint in {job.directory: job.checkpoint for job in jobs}.items():
            try:
                save_checkpoint(self._disk, directory, checkpoint)
                remove_released(self._disk, directory, checkpoint)
            except OSError as error:
                if error.errno not in NO_SPACE:
                    raise
                logger.warning("%s: no space for a checkpoint; the one before stays: %s", directory, error)


def save_checkpoint(disk: Disk, directory: str, checkpoint: Checkpoint) -> None:
    facts = msgspec.msgpack.encode(checkpoint.facts)
    state = checkpoint.state
    lengths = FRAME.pack(CHECKPOINT_MAGIC, 0, len(facts), len(state))[CRC_END:]
    crc = crc32c(state, crc32c(facts, crc32c(lengths)))
    head = CHECKPOINT_MAGIC + crc.to_bytes(4) + lengths
    size = len(head) + len(facts) + len(state)
    create_durably(disk, f"{directory}/{CHECKPOINT_NAME}", size, [head, facts, state]).close()


def remove_released(disk: Disk, directory: str, durable: Checkpoint) -> None:
    """Remove the segments before those that a checkpoint knows; who has mapped one reads on. Raises: OSError."""
    begins = durable.facts.segments[0].first_index
    released = [first for first in segment_indexes(disk.names(directory)) if first < begins]
    for first in released:
        disk.remove(f"{directory}/{segment_name(first)}")
    if released:
        disk.sync_directory(directory)


def read_checkpoint_or_none(disk: Disk, directory: str, group_id: GroupId) -> Checkpoint | None:
    """None if there is none, or none that is intact. Raises: UnknownFormatError, ForeignDirectoryError."""
    return read_checkpoint_file_or_none(disk, directory, CHECKPOINT_NAME, group_id)


def read_checkpoint_file_or_none(disk: Disk, directory: str, name: str, group_id: GroupId) -> Checkpoint | None:
    """As `read_checkpoint_or_none`, of a file by any name."""
    if name not in disk.names(directory):
        return None
    path = f"{directory}/{name}"
    checkpoint = decode_checkpoint_or_none(path, memoryview(disk.read(path)), group_id)
    if checkpoint is None:
        logger.warning("%s: damaged", path)
    return checkpoint


def decode_checkpoint_or_none(path: str, content: memoryview, group_id: GroupId) -> Checkpoint | None:
    """None if it is not intact. Raises: UnknownFormatError, ForeignDirectoryError."""
    if not _is_intact(content):
        return None
    _, crc, facts_bytes, _ = FRAME.unpack_from(content)
    encoded = content[FRAME.size : FRAME.size + facts_bytes]
    version = msgspec.msgpack.decode(encoded, type=list[object])[0]
    if version != CHECKPOINT_FORMAT:
        raise UnknownFormatError(f"{path}: checkpoint format {version}, known is {CHECKPOINT_FORMAT}")
    facts = msgspec.msgpack.decode(encoded, type=CheckpointFacts)
    if facts.group_id != group_id:
        raise ForeignDirectoryError(f"{path}: of group {facts.group_id}, not {group_id}")
    return Checkpoint(facts, bytes(content[FRAME.size + facts_bytes :]), crc)


def checkpoint_crc(content: memoryview) -> int:
    """What tells one checkpoint's bytes from another's."""
    return FRAME.unpack_from(content)[1]


def _is_intact(content: memoryview) -> bool:
    if len(content) < FRAME.size:
        return False
    magic, crc, facts_bytes, state_bytes = FRAME.unpack_from(content)
    is_whole = FRAME.size + facts_bytes + state_bytes == len(content)
    return magic == CHECKPOINT_MAGIC and is_whole and crc == crc32c(content[CRC_END:])


def to_facts(segment: Segment) -> SegmentFacts:
    plan = segment.plan
    positions = _little_endian(segment.positions).tobytes()
    return SegmentFacts(plan.first_index, plan.file_bytes, segment.last_index, segment.end_position, positions)


def from_facts(facts: SegmentFacts) -> Segment:
    positions = array("I")
    positions.frombytes(facts.positions)
    plan = SegmentPlan(facts.first_index, facts.file_bytes)
    return Segment(plan, facts.last_index, facts.end_position, _little_endian(positions))


def _little_endian(positions: array[int]) -> array[int]:
    if sys.byteorder == "little":
        return positions
    swapped = positions[:]
    swapped.byteswap()
    return swapped
