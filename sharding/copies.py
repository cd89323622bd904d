"""The runs of historic splits on all replicas: copied before a manifest is published, fetched where they are missing.

A run never changes under its name: the name says in which term of partition 0's shard it was merged, and the manifest
has its SHA-256. So a copy is a plain fetch of a file, a chunk at a time, into a part file beside it; the part is made
durable, its SHA-256 is compared, and only then it takes the run's name, durable with its folders. A copy that breaks
off goes on where the part ends. What does not come to the manifest's SHA-256 is thrown away and fetched from the next.

Every node looks once after its start whether its runs are what the manifests say. A damaged one is fetched again.
"""

import logging
import os
import re
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread
import msgspec

from raft.configuration import Peer
from raft.errors import CallRefusedError, PeerUnreachableError
from raft.interfaces import Buffer, NodeId
from store.errors import DamagedRunError
from store.manifest import RunDescription, SplitManifest
from store.run_writer import sha256_of, sync_folder

from .calls import CallKind, NodePeers, encoded
from .errors import SealingError
from .historic import split_folder
from .merging import remove_unnamed

CHUNK_BYTES_MAX = 1 << 20
CHUNK_DEADLINE_MS = 10_000
# A copy may take this long, and as long as a disk of 10 MB/s needs.
COPY_DEADLINE_MS = 30_000
COPY_BYTES_PER_MS = 10_000
RETRY_S = 1.0
RETRY_MAX_S = 30.0
PART_SUFFIX = ".part"

RUN_NAME = re.compile(r"(main|late-\d{1,9})(-\d{1,18})?\.parquet")

Key = tuple[bytes, int]


class FetchRun(msgspec.Struct, array_like=True, frozen=True):
    """Answered with at most `length` bytes of the file from `position` on."""

    topic_id: bytes
    number: int
    name: str
    position: int
    length: int


class CopySplit(msgspec.Struct, array_like=True, frozen=True):
    """Fetch these runs from the caller; answered, empty, when they are durable."""

    manifest: bytes


class CopyHost(Protocol):
    """What copying needs of its node."""

    def replicates(self, topic_id: bytes) -> bool:
        """The topic is listed, and this node is one of its replicas."""
        ...

    def other_replicas(self, topic_id: bytes) -> Sequence[int]:
        """The other nodes that have the topic, the likeliest to have its runs first."""
        ...

    def other_nodes(self, topic_id: bytes) -> Sequence[int]:
        """Those, and then all others: a node that was a replica keeps its runs."""
        ...

    def published_or_none(self, topic_id: bytes, number: int) -> SplitManifest | None: ...
    def on_copied(self, topic_id: bytes, number: int) -> None:
        """The runs of a published split are here now, or whole again."""
        ...

    def on_damaged(self, topic_id: bytes, number: int) -> None: ...


class Copies:
    """Owns the files of other nodes' merges on this disk, and the task that fetches what is missing."""

    def __init__(
        self,
        host: CopyHost,
        peers: NodePeers | None,
        topics_folder: Path,
        *,
        limiter: anyio.CapacityLimiter,
        logger: logging.Logger,
    ) -> None:
        self._host = host
        self._peers = peers
        self._topics_folder = topics_folder
        self._limiter = limiter
        self._logger = logger
        # (topic, split) -> names of the runs that are whole here.
        self._here: dict[Key, frozenset[str]] = {}
        self._wanted: deque[SplitManifest] = deque()
        self._unchecked: deque[SplitManifest] = deque()
        self._untidy: deque[SplitManifest] = deque()
        self._locks: dict[Key, anyio.Lock] = {}
        self._wake = anyio.Event()
        if peers is not None:
            peers.serve(CallKind.FETCH_RUN, self._on_fetch)
            peers.serve(CallKind.COPY_SPLIT, self._on_copy)

    def is_here(self, manifest: SplitManifest) -> bool:
        """All its runs. A node that stands alone takes them to be: nobody else could have them."""
        if self._peers is None:
            return True
        names = self._here.get((manifest.topic_id, manifest.number), frozenset())
        return names.issuperset(run.name for run in manifest.runs)

    async def look(self, manifests: Iterable[SplitManifest]) -> None:
        """See which runs are here by name and size; `run` compares their SHA-256 in the background."""
        wanted = [manifest for manifest in manifests if not self.is_here(manifest)]

        def found() -> list[SplitManifest]:
            return [one for one in wanted if all(_has_size(self._path(one, run), run) for run in one.runs)]

        for manifest in await anyio.to_thread.run_sync(found, limiter=self._limiter):
            self._took(manifest)
            self.suspect(manifest)

    def made(self, manifest: SplitManifest) -> None:
        """This node has merged these runs and read them back."""
        self._took(manifest)

    def want(self, manifest: SplitManifest) -> None:
        """Fetch what is missing of a published split; `CopyHost.on_copied` is called at the end."""
        if manifest not in self._wanted:
            self._wanted.append(manifest)
            self._wake.set()

    def suspect(self, manifest: SplitManifest) -> None:
        """Compare the runs of a split with their manifest, and repair them, if others can have them whole."""
        if self._peers is not None and self._host.other_replicas(manifest.topic_id):
            self._unchecked.append(manifest)
            self._wake.set()

    def tidy(self, manifest: SplitManifest) -> None:
        """The split is published: remove what other attempts at it have left here."""
        if self._peers is not None and self._host.other_replicas(manifest.topic_id):
            self._untidy.append(manifest)
            self._wake.set()

    def forget(self, topic_id: bytes) -> None:
        """The topic was deleted."""
        for held in (self._here, self._locks):
            for key in [key for key in held if key[0] == topic_id]:
                del held[key]

    async def spread(self, manifest: SplitManifest, replicas: Sequence[int], node_id: int) -> None:
        """Let every live replica copy the runs from here; returns when a majority, and all who can, have them.

        Raises: SealingError.
        """
        if self._peers is None or len(replicas) == 1:
            return
        live = set(self._peers.live_nodes())
        asked = [replica for replica in replicas if replica != node_id and replica in live]
        problems: list[Exception] = []
        deadline_ms = COPY_DEADLINE_MS + manifest.size_bytes // COPY_BYTES_PER_MS
        body = encoded(CopySplit(manifest.pack()))
        peers = self._peers

        async def ask(replica: int) -> None:
            try:
                await peers.call(NodeId(replica), CallKind.COPY_SPLIT, body, deadline_ms)
            except (PeerUnreachableError, CallRefusedError, TimeoutError) as error:
                problems.append(error)

        async with anyio.create_task_group() as tasks:
            for replica in asked:
                tasks.start_soon(ask, replica)
        copy_count = 1 + len(asked) - len(problems)
        if copy_count <= len(replicas) // 2:
            why = problems[0] if problems else "the others are not reachable"
            raise SealingError(
                f"the runs of split {manifest.number} are on {copy_count} of {len(replicas)} nodes: {why}"
            )

    async def run(self) -> None:
        """Fetch and compare until cancelled."""
        delay_s = RETRY_S
        while True:
            self._wake = anyio.Event()
            while self._unchecked:
                await self._check(self._unchecked.popleft())
            while self._untidy:
                await self._remove_others(self._untidy.popleft())
            failed: list[SplitManifest] = []
            while self._wanted:
                manifest = self._wanted.popleft()
                if not self._is_wanted(manifest):
                    continue
                try:
                    await self._fetch(manifest, self._host.other_nodes(manifest.topic_id))
                except (SealingError, OSError) as error:
                    self._logger.warning("split %d is not copied yet: %s", manifest.number, error)
                    failed.append(manifest)
                else:
                    delay_s = RETRY_S
                    self._host.on_copied(manifest.topic_id, manifest.number)
            self._wanted += [manifest for manifest in failed if manifest not in self._wanted]
            if self._wanted:
                with anyio.move_on_after(delay_s):
                    await self._wake.wait()
                delay_s = min(2 * delay_s, RETRY_MAX_S)
            else:
                await self._wake.wait()

    def _is_wanted(self, manifest: SplitManifest) -> bool:
        return self._host.published_or_none(manifest.topic_id, manifest.number) == manifest

    async def _check(self, manifest: SplitManifest) -> None:
        """Compare the files with the manifest, once."""
        if not self._is_wanted(manifest):
            return

        def damaged() -> str | None:
            return next((run.name for run in manifest.runs if not _is_whole(self._path(manifest, run), run)), None)

        if (name := await anyio.to_thread.run_sync(damaged, limiter=self._limiter)) is None:
            return
        self._logger.error("%s of split %d is damaged; another replica's will replace it", name, manifest.number)
        self._here.pop((manifest.topic_id, manifest.number), None)
        self._host.on_damaged(manifest.topic_id, manifest.number)
        self.want(manifest)

    async def _remove_others(self, manifest: SplitManifest) -> None:
        if not self._is_wanted(manifest):
            return
        lock = self._locks.setdefault((manifest.topic_id, manifest.number), anyio.Lock())
        async with lock:
            folder = split_folder(self._topics_folder, manifest.topic_id, manifest.number)
            names = {run.name for run in manifest.runs}
            try:
                await anyio.to_thread.run_sync(remove_unnamed, folder, names, limiter=self._limiter)
            except OSError as error:
                self._logger.debug("%s is not tidy: %s", folder, error)

    async def _fetch(self, manifest: SplitManifest, sources: Sequence[int]) -> None:
        """Bring every run of the split here. Raises: SealingError, OSError."""
        lock = self._locks.setdefault((manifest.topic_id, manifest.number), anyio.Lock())
        async with lock:
            folder = split_folder(self._topics_folder, manifest.topic_id, manifest.number)
            await anyio.to_thread.run_sync(_make_folder, folder, limiter=self._limiter)
            for run in manifest.runs:
                path = folder / run.name
                if not await anyio.to_thread.run_sync(_is_whole, path, run, limiter=self._limiter):
                    await self._fetch_run(manifest, run, path, sources)
            self._took(manifest)

    async def _fetch_run(
        self, manifest: SplitManifest, run: RunDescription, path: Path, sources: Sequence[int]
    ) -> None:
        part = path.with_name(f".{run.name}.{run.sha256[:16]}{PART_SUFFIX}")
        problem: Exception | str = "no other node has the topic"
        for source in sources:
            try:
                await self._pull(source, manifest, run, part)
                await anyio.to_thread.run_sync(_take_name, part, path, run, limiter=self._limiter)
            except (PeerUnreachableError, CallRefusedError, TimeoutError, DamagedRunError) as error:
                problem = error
            else:
                return
        raise SealingError(f"{run.name} of split {manifest.number} cannot be copied: {problem}")

    async def _pull(self, source: int, manifest: SplitManifest, run: RunDescription, part: Path) -> None:
        assert self._peers is not None, "there is somebody to fetch from"
        position = await anyio.to_thread.run_sync(_part_size, part, run, limiter=self._limiter)
        while position < run.size_bytes:
            length = min(CHUNK_BYTES_MAX, run.size_bytes - position)
            wanted = FetchRun(manifest.topic_id, manifest.number, run.name, position, length)
            chunk = await self._peers.call(NodeId(source), CallKind.FETCH_RUN, encoded(wanted), CHUNK_DEADLINE_MS)
            if not 0 < len(chunk) <= length:
                raise DamagedRunError(f"{run.name} of node {source} ends at {position} of {run.size_bytes} bytes")
            await anyio.to_thread.run_sync(_write, part, position, chunk, limiter=self._limiter)
            position += len(chunk)

    async def _on_fetch(self, caller: Peer, body: memoryview) -> Sequence[Buffer]:
        del caller
        wanted = msgspec.msgpack.decode(body, type=FetchRun)
        # A name of our own making, so that nothing else of this node's disk can be asked for.
        if not RUN_NAME.fullmatch(wanted.name) or len(wanted.topic_id) != 16 or wanted.number < 0:
            raise CallRefusedError("InvalidRequestError", f"{wanted.name!r} is no run")
        path = split_folder(self._topics_folder, wanted.topic_id, wanted.number) / wanted.name
        length = min(max(wanted.length, 0), CHUNK_BYTES_MAX)
        try:
            chunk = await anyio.to_thread.run_sync(_read, path, wanted.position, length, limiter=self._limiter)
        except OSError as error:
            raise CallRefusedError("NotReplicatedHereError", f"{wanted.name} does not open: {error}") from error
        return (chunk,)

    async def _on_copy(self, caller: Peer, body: memoryview) -> Sequence[Buffer]:
        manifest = SplitManifest.unpack(bytes(msgspec.msgpack.decode(body, type=CopySplit).manifest))
        if not self._host.replicates(manifest.topic_id):
            raise CallRefusedError("NotReplicatedHereError", "this node is no replica of the topic, or not yet")
        published = self._host.published_or_none(manifest.topic_id, manifest.number)
        if published is not None and published != manifest:
            raise CallRefusedError("SealingError", f"split {manifest.number} was published with other runs")
        if any(not RUN_NAME.fullmatch(run.name) for run in manifest.runs):
            raise CallRefusedError("InvalidRequestError", "a run without a run's name")
        try:
            await self._fetch(manifest, [caller.node_id])
        except (SealingError, OSError) as error:
            raise CallRefusedError("SealingError", str(error)) from error
        return ()

    def _took(self, manifest: SplitManifest) -> None:
        key = manifest.topic_id, manifest.number
        self._here[key] = self._here.get(key, frozenset()) | {run.name for run in manifest.runs}

    def _path(self, manifest: SplitManifest, run: RunDescription) -> Path:
        return split_folder(self._topics_folder, manifest.topic_id, manifest.number) / run.name


def _has_size(path: Path, run: RunDescription) -> bool:
    try:
        return path.stat().st_size == run.size_bytes
    except OSError:
        return False


def _is_whole(path: Path, run: RunDescription) -> bool:
    try:
        return _has_size(path, run) and sha256_of(path) == run.sha256
    except OSError:
        return False


def _make_folder(folder: Path) -> None:
    """With its parents, durable under the topics' folder and that one's own."""
    folder.mkdir(parents=True, exist_ok=True)
    for parent in (*folder.parents,)[:3]:
        sync_folder(parent)


def _part_size(part: Path, run: RunDescription) -> int:
    """Where an earlier attempt broke off; after a power cut its bytes may be wrong, which the SHA-256 will tell."""
    try:
        size = part.stat().st_size
    except OSError:
        return 0
    if size > run.size_bytes:
        part.unlink()
        return 0
    return size


def _write(part: Path, position: int, chunk: memoryview) -> None:
    with part.open("r+b" if position else "wb") as file:
        file.seek(position)
        file.write(chunk)


def _take_name(part: Path, path: Path, run: RunDescription) -> None:
    """Raises: DamagedRunError, and then the part is gone."""
    if not run.size_bytes:
        part.touch()
    with part.open("r+b") as file:
        os.fdatasync(file.fileno())
    if not _is_whole(part, run):
        part.unlink()
        raise DamagedRunError(f"what was fetched as {run.name} has another SHA-256 than the manifest says")
    part.replace(path)
    sync_folder(path.parent)


def _read(path: Path, position: int, length: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(descriptor, length, position)
    finally:
        os.close(descriptor)
