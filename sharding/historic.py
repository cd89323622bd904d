"""The historic splits of a topic on this node: manifests as the catalog has them, their runs opened when asked.

A split is *published* once the catalog has its manifest, and *historic here* once this node has its runs too, after
its predecessors. Until then the live index keeps its events, so that nothing is missing and nothing comes twice.
"""

from collections.abc import Callable, Mapping, Sequence
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
    """The published splits of one topic, oldest first; without gaps, since a split is sealed after its predecessor.

    `splits` are those that are historic here. `damaged`: numbers of those whose runs cannot be read now.
    """

    def __init__(self, topics_folder: Path, topic_id: bytes, partition_count: int, cache: DecodedCache) -> None:
        self._topics_folder = topics_folder
        self._topic_id = topic_id
        self._partition_count = partition_count
        self._cache = cache
        self._known: Mapping[int, ManifestRecord] = {}
        self.published: Sequence[SplitManifest] = ()
        self.splits: Sequence[HistoricSplit] = ()
        self.damaged: set[int] = set()

    @property
    def last_or_none(self) -> SplitManifest | None:
        """Of those published."""
        return self.published[-1] if self.published else None

    @property
    def boundary(self) -> Tick:
        """The last published tick."""
        return self.published[-1].last_tick.tick() if self.published else no_tick(self._partition_count)

    @property
    def boundary_totals(self) -> Totals:
        """As of `boundary`."""
        return self.published[-1].totals.totals() if self.published else no_totals(self._partition_count)

    @property
    def sealed(self) -> Tick:
        """The last tick in runs here: what it and earlier ones emit is in them, everything else is live."""
        return self.splits[-1].last_tick if self.splits else no_tick(self._partition_count)

    @property
    def totals(self) -> Totals:
        """As of `sealed`."""
        return self.splits[-1].totals if self.splits else no_totals(self._partition_count)

    def follow(self, records: Mapping[int, ManifestRecord], is_here: Callable[[SplitManifest], bool]) -> bool:
        """Take over what the catalog says now, as far as its runs are here; returns whether `splits` changed."""
        if self._known != records:
            known = {manifest.number: manifest for manifest in self.published}
            self.published = [
                known[number] if self._known.get(number) == record else SplitManifest.unpack(record.manifest)
                for number, record in sorted(records.items())
            ]
            self._known = dict(records)
        before = {split.manifest.number: split for split in self.splits}
        splits: list[HistoricSplit] = []
        for manifest in self.published:
            held = before.get(manifest.number)
            if held is None or held.manifest is not manifest:
                if not is_here(manifest):
                    break
                held = self._opened(manifest)
            splits.append(held)
        if [id(split) for split in splits] == [id(split) for split in self.splits]:
            return False
        # A query that still reads a replaced run keeps it; its file is closed with the last reference.
        self.splits = splits
        return True

    def reopen(self, number: int) -> None:
        """The files of a split were replaced by whole ones."""
        self.damaged.discard(number)
        self.splits = [
            self._opened(split.manifest) if split.manifest.number == number else split for split in self.splits
        ]

    def _opened(self, manifest: SplitManifest) -> HistoricSplit:
        folder = split_folder(self._topics_folder, self._topic_id, manifest.number)
        return HistoricSplit(folder, manifest, self._cache)
