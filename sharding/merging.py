"""One merge job from the sealing side: what it is made of, the process that runs it, what is checked and left over."""

import os
import shutil
import sys
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

import store
from store.emission import Totals
from store.manifest import SplitManifest, TickValue, TotalsValue
from store.merge_job import LogSlice, MergeJob
from store.merge_worker import read_answer
from store.ticks import Tick

from .errors import SealingError
from .historic import split_folder
from .shard import Shard
from .shard_state import Chain
from .stream_topic import StreamTopic

FIRST_VERSION = 1
# `-m` looks into the working directory first: there must be no other package called store.
ROOT = str(Path(store.__file__).absolute().parent.parent)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitToSeal:
    """Split `number` of a topic: its ticks with the boundary before them, and per partition where its log is.

    `firsts`: where the log must be read from; `ends`: where the split ends. `attempt` keeps the runs of two leaders
    apart, who may merge the same split; None where there can be one only.
    """

    topic: StreamTopic
    number: int
    boundary: Tick
    totals: Totals
    ticks: Sequence[Tick]
    firsts: Sequence[int]
    ends: Sequence[int]
    places: Sequence[tuple[Shard, Chain]]
    attempt: int | None = None

    def job(self, topics_folder: Path) -> MergeJob:
        """A split may have many batches: this belongs in a worker thread."""
        schema = self.topic.schema
        suffix = "" if self.attempt is None else f"-{self.attempt}"
        return MergeJob(
            topic_id=self.topic.topic_id,
            number=self.number,
            version=FIRST_VERSION,
            slices=self._slices(),
            first_offsets=list(self.firsts),
            end_offsets=list(self.ends),
            boundary=TickValue.of(self.boundary),
            totals_before=TotalsValue.of(self.totals),
            ticks=[TickValue.of(tick) for tick in self.ticks],
            schema_text=None if schema is None else schema.schema_text(),
            aggregates_text="[]" if schema is None else schema.aggregates_text(),
            folder=str(split_folder(topics_folder, self.topic.topic_id, self.number)),
            main_name=f"main{suffix}.parquet",
            late_name=f"late-1{suffix}.parquet",
        )

    def _slices(self) -> list[LogSlice]:
        paths: dict[tuple[int, int], str] = {}
        slices: list[LogSlice] = []
        for partition, (shard, chain) in enumerate(self.places):
            first, end = self.firsts[partition], self.ticks[-1].cut[partition]
            for split in chain.splits:
                for place in split.index.places(first, end):
                    key = shard.shard_id, place.segment
                    if key not in paths:
                        paths[key] = str(Path(shard.group.segment_path(place.segment)).absolute())
                    slices.append(LogSlice(paths[key], place.position, place.length, partition, place.base_offset))
        return slices


async def merge_in_process(job: MergeJob, timeout_ms: int) -> SplitManifest:
    """Run a job in a process of its own; it is killed at the timeout, and when this is cancelled.

    Raises: MergeError, DamagedRunError, TimeoutError.
    """
    paths = [ROOT, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-m", "store.merge_worker", str(os.getpid())]
    with anyio.fail_after(timeout_ms / 1000):
        done = await anyio.run_process(command, input=job.pack(), stderr=None, check=False, cwd=ROOT, env=environment)
    return read_answer(done.stdout, done.returncode)


def verify(job: MergeJob, manifest: SplitManifest) -> None:
    """The worker has read back what it wrote; here: its answer belongs to this job, and to these files.

    Raises: SealingError, OSError.
    """
    asked = (job.topic_id, job.number, job.version, job.ticks[-1], job.end_offsets)
    got = (manifest.topic_id, manifest.number, manifest.version, manifest.last_tick, list(manifest.end_offsets))
    if asked != got:
        raise SealingError(f"asked for {asked}, the merge worker answered for {got}")
    for run in manifest.runs:
        size = (Path(job.folder) / run.name).stat().st_size
        if size != run.size_bytes:
            raise SealingError(f"{run.name} has {size} bytes, {run.size_bytes} in the manifest")


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What is none of a listed topic: `named` has the runs of each published split, by its folder.

    `is_shared`: other nodes may be about to name a file of a split that is not published yet.
    """

    named: Mapping[str, set[str]]
    is_shared: bool


def remove_leftovers(topics_folder: Path, listed: Mapping[str, Leftovers]) -> None:
    """Remove what deleted topics and unpublished attempts left behind; never while a merge or a copy runs.

    `listed`: every topic of the catalog as of now, by its folder.
    """
    if not topics_folder.is_dir():
        return
    for topic_folder in topics_folder.iterdir():
        if (topic := listed.get(topic_folder.name)) is None:
            shutil.rmtree(topic_folder)
            continue
        for folder in topic_folder.iterdir():
            files = topic.named.get(folder.name)
            if files is None and topic.is_shared:
                continue
            remove_unnamed(folder, files or ())
            if not files:
                folder.rmdir()


def remove_unnamed(folder: Path, names: Container[str]) -> None:
    """What other attempts at a published split left in its folder."""
    for path in folder.iterdir():
        if path.name not in names:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
