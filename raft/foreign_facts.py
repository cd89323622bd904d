"""What another member says of its files, looked through before any name, length or space is taken from it.

A checkpoint's CRC says that it came as it was sent; nothing here trusts what it says for that.
"""

from itertools import pairwise

from .checkpoint import CheckpointFacts, SegmentFacts, from_facts
from .entries import HEADER_BYTES
from .errors import InstallFailedError
from .segments import FILE_BYTES_MAX, PAGE_BYTES, POSITION_EVERY


def check_facts(facts: CheckpointFacts) -> None:
    """Segments without gap up to the checkpoint's entry, each as a log would lay it out. Raises: InstallFailedError."""
    segments = facts.segments
    if not segments or segments[-1].last_index != facts.applied or segments[0].first_index < 1:
        raise InstallFailedError(f"a checkpoint as of entry {facts.applied} of {len(segments)} segments")
    for segment in segments:
        if not _is_possible(segment):
            first, last = segment.first_index, segment.last_index
            raise InstallFailedError(f"a segment of {segment.file_bytes} bytes with the entries {first} to {last}")
    for before, behind in pairwise(segments):
        if behind.first_index != before.last_index + 1:
            raise InstallFailedError(f"a segment that begins with {behind.first_index} behind {before.last_index}")
    _check_terms(facts)


def _is_possible(segment: SegmentFacts) -> bool:
    count, end = segment.last_index + 1 - segment.first_index, segment.end_position
    if count < 1 or not PAGE_BYTES + count * HEADER_BYTES <= end <= segment.file_bytes < FILE_BYTES_MAX:
        return False
    if len(segment.positions) != 4 * -(-count // POSITION_EVERY):
        return False
    positions = [*from_facts(segment).positions, end]
    return positions[0] == PAGE_BYTES and all(before < behind for before, behind in pairwise(positions))


def _check_terms(facts: CheckpointFacts) -> None:
    starts = facts.term_starts
    does_rise = all(before[0] < behind[0] and before[1] < behind[1] for before, behind in pairwise(starts))
    if not starts or not does_rise or starts[0][0] > facts.segments[0].first_index:
        raise InstallFailedError(f"{len(starts)} terms, from {starts[:1]} on")
    if starts[-1][0] > facts.applied or starts[-1][1] != facts.applied_term:
        raise InstallFailedError(f"entry {facts.applied} of term {facts.applied_term}; the last begins at {starts[-1]}")
