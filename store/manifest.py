"""The manifest of a historic split: a value that the catalog replicates; every question about the split starts here.

msgpack of arrays; `FORMAT` rises when a field changes its meaning, fields are only ever added at the end.

The runs of a split hold exactly the events that its ticks emit. The ticks themselves, with how many events each
emitted, stand in the footer of the main run; here are the tick before the first, the last, and the totals by both,
which suffice to say which events are sealed and which view ranks the split holds.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from . import aggregates
from .aggregates import Summary
from .emission import Totals
from .errors import DamagedIndexError, DamagedRunError
from .events import TimeRange
from .ticks import LatePolicy, Tick

FORMAT: Final = 1


class RunKind(StrEnum):
    """The main run holds the fresh events of the split's ticks, a late run the late ones."""

    MAIN = "main"
    LATE = "late"


class RunDescription(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """One file. Bounds are closed and 0, -1 for an empty run; `digest` is over the content, `sha256` over the bytes."""

    name: str
    kind: RunKind
    row_count: int
    size_bytes: int
    sha256: str
    first_ms: int
    last_ms: int
    digest: int
    packed_summary: list[object]

    @property
    def span(self) -> TimeRange:
        return TimeRange(first_ms=self.first_ms, end_ms=self.last_ms + 1)

    @property
    def summary(self) -> Summary:
        """Of all attributes but strings."""
        try:
            return Summary.unpack(self.packed_summary)
        except DamagedIndexError as error:
            raise DamagedRunError(f"{self.name}: {error}") from error


class TickValue(msgspec.Struct, array_like=True, frozen=True):
    """A `store.ticks.Tick` as it travels."""

    number: int
    watermark_ms: int
    cut: list[int]
    policy: int = 0

    @staticmethod
    def of(tick: Tick) -> "TickValue":
        return TickValue(tick.number, tick.watermark_ms, list(tick.cut), int(tick.policy))

    def tick(self) -> Tick:
        return Tick(self.number, self.watermark_ms, tuple(self.cut), LatePolicy(self.policy))


class TotalsValue(msgspec.Struct, array_like=True, frozen=True):
    """A `store.emission.Totals` as it travels."""

    fresh: list[int]
    late: list[int]
    shown_late: list[int]

    @staticmethod
    def of(totals: Totals) -> "TotalsValue":
        return TotalsValue(list(totals.fresh), list(totals.late), list(totals.shown_late))

    def totals(self) -> Totals:
        return Totals(tuple(self.fresh), tuple(self.late), tuple(self.shown_late))


class PartitionPart(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """One partition of a split.

    `intervals`: the offsets in the runs, as (first, end), rising, exact; a hole is a control record, an aborted one, or
    an event of another split. `carried_count` events below the last tick's cut are above its watermark: they go into a
    later split; their least offset is `carried_first`, which equals the cut when there are none. So the next merge job
    reads the log of this partition from `carried_first` on.
    """

    end_offset: int
    intervals: list[tuple[int, int]]
    carried_first: int
    carried_count: int


class SplitManifest(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """A historic split under one version; `boundary` is the tick before its first one."""

    format: int
    topic_id: bytes
    number: int
    version: int
    runs: list[RunDescription]
    parts: list[PartitionPart]
    boundary: TickValue
    last_tick: TickValue
    totals_before: TotalsValue
    totals: TotalsValue
    attributes: list[tuple[str, str]]
    unreadable_count: int = 0
    """Records of batches whose CRC is right and whose content is none: no events, as for the live index."""

    @property
    def row_count(self) -> int:
        return sum(run.row_count for run in self.runs)

    @property
    def size_bytes(self) -> int:
        return sum(run.size_bytes for run in self.runs)

    @property
    def span(self) -> TimeRange:
        """The least half-open span over all events of the runs, late ones too."""
        spans = [run.span for run in self.runs if run.row_count]
        if not spans:
            return TimeRange(first_ms=0, end_ms=0)
        return TimeRange(first_ms=min(span.first_ms for span in spans), end_ms=max(span.end_ms for span in spans))

    @property
    def summary(self) -> Summary:
        """The root aggregate of the split."""
        return aggregates.merge_all((run.summary for run in self.runs), ())

    @property
    def end_offsets(self) -> Sequence[int]:
        return [part.end_offset for part in self.parts]

    @property
    def sha256(self) -> Mapping[str, str]:
        return {run.name: run.sha256 for run in self.runs}

    def seals(self, partition: int, offset: int, timestamp_ms: int) -> bool:
        """The event is in a run of this split or of one before."""
        return self.last_tick.tick().emits(partition, offset, timestamp_ms)

    def pack(self) -> bytes:
        return msgspec.msgpack.encode(self)

    @staticmethod
    def unpack(data: bytes) -> "SplitManifest":
        """Raises: DamagedRunError."""
        try:
            manifest = msgspec.msgpack.decode(data, type=SplitManifest)
        except msgspec.DecodeError as error:
            raise DamagedRunError(f"a manifest does not decode: {error}") from error
        if manifest.format != FORMAT:
            raise DamagedRunError(f"manifest format {manifest.format}, only {FORMAT} is known")
        return manifest
