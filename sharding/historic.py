"""The historic splits of a topic on this node: manifests as the catalog has them, their runs opened when asked."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from uuid import UUID

import numpy as np

from store.blocks import Block, Column, Int64Array
from store.emission import Totals, no_totals
from store.events import ALL_TIME
from store.manifest import SplitManifest
from store.runs import DecodedCache, OpenSplit, open_split
from store.ticks import Tick, no_tick

from .catalog import ManifestRecord
from .views.stretches import SOURCE, Stretch, late_by_tick

TICK_COLUMN = "_tick"


def split_folder(topics_folder: Path, topic_id: bytes, number: int) -> Path:
    return topics_folder / str(UUID(bytes=topic_id)) / str(number)


class HistoricSplit:
    """One published split. `stretch` reads files and belongs in a worker thread; what it read stays."""

    def __init__(self, folder: Path, manifest: SplitManifest, cache: DecodedCache) -> None:
        self.manifest = manifest
        self.opened: OpenSplit = open_split(folder, manifest, cache)
        self.totals_before: Totals = manifest.totals_before.totals()
        self.totals: Totals = manifest.totals.totals()
        self.first_tick = manifest.boundary.number + 1
        self.last_tick: Tick = manifest.last_tick.tick()
        self._stretch: Stretch | None = None
        self._lock = Lock()

    def stretch(self) -> Stretch:
        """Its events by rank. Raises: DamagedRunError."""
        with self._lock:
            if self._stretch is None:
                self._stretch = self._read_stretch()
            return self._stretch

    def _read_stretch(self) -> Stretch:
        main = self.opened.main
        sources = [main, *(run for run in self.opened.runs if run.is_late)]
        parts = [
            (source, block)
            for source in range(1, len(sources))
            for block in sources[source].blocks(ALL_TIME, (TICK_COLUMN,))
        ]
        ledger = main.ledger()
        if not parts:
            return Stretch(ledger, {}, sources, 1, is_by_partition=False)
        ticks: Int64Array = np.concatenate([block.columns[TICK_COLUMN].values for _, block in parts]).astype(np.int64)
        codes = np.repeat(np.array([source for source, _ in parts], np.int32), [len(block) for _, block in parts])
        late = Block(
            np.concatenate([block.timestamps for _, block in parts]),
            np.concatenate([block.partitions for _, block in parts]),
            np.concatenate([block.offsets for _, block in parts]),
            {SOURCE: Column(codes)},
        )
        return Stretch(ledger, late_by_tick(ledger, ticks, late), sources, 1, is_by_partition=False)


class TopicHistory:
    """The published splits of one topic, oldest first; without gaps, since a split is sealed after its predecessor."""

    def __init__(self, topics_folder: Path, topic_id: bytes, partition_count: int, cache: DecodedCache) -> None:
        self._topics_folder = topics_folder
        self._topic_id = topic_id
        self._partition_count = partition_count
        self._cache = cache
        self._known: Mapping[int, ManifestRecord] = {}
        self.splits: Sequence[HistoricSplit] = ()

    @property
    def last_or_none(self) -> SplitManifest | None:
        return self.splits[-1].manifest if self.splits else None

    @property
    def sealed(self) -> Tick:
        """The last sealed tick: what it and earlier ones emit is in runs, everything else is live."""
        return self.splits[-1].last_tick if self.splits else no_tick(self._partition_count)

    @property
    def totals(self) -> Totals:
        """As of `sealed`."""
        return self.splits[-1].totals if self.splits else no_totals(self._partition_count)

    def follow(self, records: Mapping[int, ManifestRecord]) -> bool:
        """Take over what the catalog says now; returns whether anything changed."""
        if self._known == records:
            return False
        before = {split.manifest.number: split for split in self.splits}
        splits: list[HistoricSplit] = []
        for number, record in sorted(records.items()):
            if self._known.get(number) == record:
                splits.append(before[number])
                continue
            manifest = SplitManifest.unpack(record.manifest)
            folder = split_folder(self._topics_folder, self._topic_id, number)
            splits.append(HistoricSplit(folder, manifest, self._cache))
        # A query that still reads a replaced run keeps it; its file is closed with the last reference.
        self.splits = splits
        self._known = dict(records)
        return True
