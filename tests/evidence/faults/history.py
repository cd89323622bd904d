"""What clients were told and what is there: the checks that need no broker.

Every value is unique: `writer:sequence` and padding. Records are placed by (topic, partition, offset).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

SHOWN_MAX = 5


class Where(NamedTuple):
    topic: str
    partition: int
    offset: int


class Stored(NamedTuple):
    """A record as some read showed it."""

    where: Where
    value: bytes


def value_of(writer: int, sequence: int, size: int) -> bytes:
    return (b"%d:%d:" % (writer, sequence)).ljust(size, b".")


def writer_and_sequence(value: bytes) -> tuple[int, int]:
    writer, sequence, _ = value.split(b":", 2)
    return int(writer), int(sequence)


@dataclass
class History:
    """`sent`: every value that was handed to a producer; `acknowledged`: where the broker said that it is.

    `unplaced`: acknowledged as a duplicate that was written long ago, without an offset.
    """

    sent: set[bytes] = field(default_factory=set)
    acknowledged: dict[bytes, Where] = field(default_factory=dict)
    unplaced: set[bytes] = field(default_factory=set)


class Origin(NamedTuple):
    """Which producer said that a record is which of its own; the broker must store each of these once."""

    producer_id: int
    epoch: int
    sequence: int


def problems(
    history: History, reads: Mapping[str, Iterable[Stored]], origin_of: Callable[[Where], Origin] | None = None
) -> dict[str, list[str]]:
    """What is wrong, by kind, with some examples each; empty if all is well.

    `reads`: complete reads after the faults, by whom they were made; each must show the same. `origin_of`: a client
    that begins a new epoch gives a record a new sequence, and no broker can know the copy: that is no fault of ours.
    """
    found: dict[str, list[str]] = {}

    def note(kind: str, text: str) -> None:
        found.setdefault(kind, []).append(text)

    contents: dict[Where, bytes] = {}
    for reader, records in reads.items():
        seen: dict[Where, bytes] = {}
        for where, value in records:
            if where in seen:
                note("read_twice", f"{reader}: {where}")
            seen[where] = value
            if contents.setdefault(where, value) != value:
                note("offset_conflict", f"{where}: {contents[where][:30]!r} and {value[:30]!r}")
        if missing := contents.keys() - seen.keys():
            note("diverge", f"{reader} lacks {len(missing)}, such as {min(missing)}")
    places: dict[bytes, list[Where]] = {}
    for where, value in contents.items():
        places.setdefault(value, []).append(where)
    for value, where in history.acknowledged.items():
        there = places.get(value)
        if there is None:
            note("lost", f"{value[:30]!r}, acknowledged at {where}")
        elif where not in there:
            note("offset_moved", f"{value[:30]!r}: acknowledged at {where}, is at {there}")
    for value in history.unplaced - places.keys():
        note("lost", f"{value[:30]!r}, acknowledged without a place")
    for value, there in places.items():
        if len(there) > 1 and (origin_of is None or len(set(map(origin_of, there))) < len(there)):
            note("duplicate", f"{value[:30]!r} at {there}")
        if value not in history.sent:
            note("phantom", f"{value[:30]!r} at {there}")
    last: dict[tuple[str, int, int], int] = {}
    for where in sorted(contents):
        if contents[where] not in history.sent:
            continue
        writer, sequence = writer_and_sequence(contents[where])
        lane = where.topic, where.partition, writer
        if sequence <= last.get(lane, -1) and len(places[contents[where]]) == 1:
            note("reordered", f"writer {writer}: {sequence} after {last[lane]} at {where}")
        last[lane] = max(sequence, last.get(lane, -1))
    if not history.acknowledged:
        note("no_progress", "nothing was acknowledged: this run shows nothing")
    return found


def told(found: Mapping[str, list[str]]) -> str:
    """Problems in some lines."""
    return "\n".join(f"{kind}: {len(texts)}: {'; '.join(texts[:SHOWN_MAX])}" for kind, texts in found.items())


def counts(found: Mapping[str, list[str]]) -> Counter[str]:
    return Counter({kind: len(texts) for kind, texts in found.items()})
