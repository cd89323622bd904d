"""A member that is too far behind gets whole files: a checkpoint, and the segments that it knows, byte for byte.

The asking side names a file (0: the checkpoint, else a segment by its first index), a position and a length, and the
source: the checkpoint's last entry, its term and its CRC. A source that another member, a restart or a release of
segments has made void is refused; then the checkpoint is fetched anew, and of the segments what is missing.
Places in the checkpoint's state are those of the sender's files, so both belong together; the log goes on behind them.

A chunk on the wire, big-endian: u64 applied, u64 its term, u32 CRC of the checkpoint, u64 bytes of the whole file,
u32 crc32c of the bytes that follow.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

import msgspec
from crc32c import crc32c

from .checkpoint import CHECKPOINT_NAME, FRAME, CheckpointFacts, checkpoint_crc, decode_checkpoint_or_none
from .disk import NO_SPACE
from .errors import InstallFailedError, SourceChangedError
from .interfaces import GroupId, Index, Term
from .segments import PAGE_BYTES, segment_name
from .settings import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .disk import Disk
    from .interfaces import Buffer
    from .staged_files import StagedFiles

CHUNK_BYTES_MAX = 1 * MIB
CHECKPOINT_BYTES_MAX = 1024 * MIB
SOURCES_MAX = 4  # checkpoints that followers may be fetching from one member at a time; each stays mapped
RESTARTS_MAX = 64
CHECKPOINT_FILE = 0
CHUNK_HEAD = Struct(">QQIQI")

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Source(msgspec.Struct, frozen=True, array_like=True):
    """Which files: those of one checkpoint of one member."""

    applied: Index
    term: Term
    crc: int


class ChunkRequest(msgspec.Struct, frozen=True, array_like=True):
    """No source: begin with the newest checkpoint there is."""

    group_id: GroupId
    source: Source | None
    file: int
    position: int
    length: int


class Chunk(NamedTuple):
    """Bytes of a file, checked. `file_bytes`: how far it can be fetched."""

    source: Source
    file_bytes: int
    content: bytes | memoryview


class ReadChunk(Protocol):
    async def __call__(self, request: ChunkRequest, /) -> Chunk:
        """Ask the source. Raises: SourceChangedError; whatever else it raises ends the fetch, which may begin again."""
        ...


class CheckFiles(Protocol):
    def __call__(self, applied: Index, term: Term, /) -> None:
        """Whether files that end with this entry are wanted. Raises: InstallFailedError."""
        ...


class Blocking(Protocol):
    async def __call__(self, work: Callable[[], T], /) -> T:
        """Out of the loop's way. Cancelled or not: what this returns to knows that `work` is not running any more."""
        ...


def encode_chunk(chunk: Chunk) -> Sequence[Buffer]:
    source, content = chunk.source, chunk.content
    head = CHUNK_HEAD.pack(source.applied, source.term, source.crc, chunk.file_bytes, crc32c(content))
    return (head, content)


def decode_chunk(answer: memoryview) -> Chunk:
    """Raises: InstallFailedError."""
    if len(answer) < CHUNK_HEAD.size:
        raise InstallFailedError(f"a chunk of {len(answer)} bytes")
    applied, term, checkpoint, file_bytes, crc = CHUNK_HEAD.unpack_from(answer)
    content = answer[CHUNK_HEAD.size :]
    if crc32c(content) != crc:
        raise InstallFailedError(f"a chunk of {len(content)} bytes was damaged on its way")
    return Chunk(Source(applied, term, checkpoint), file_bytes, content)


class FileSource:
    """Hands out a group's files in chunks. Its calls block; one at a time.

    A checkpoint stays mapped, so a newer one does not disturb who is fetching; segments stay as long as the log does.
    """

    def __init__(self, disk: Disk, directory: str, group_id: GroupId) -> None:
        self._disk = disk
        self._directory = directory
        self._group_id = group_id
        self._offered: OrderedDict[Source, tuple[memoryview, dict[int, int]]] = OrderedDict()
        self._segment: tuple[int, memoryview] | None = None

    def read(self, request: ChunkRequest) -> Chunk:
        """Raises: SourceChangedError (also: there is no checkpoint), DataDirectoryError, OSError."""
        source = request.source or self._newest()
        offered = self._offered.get(source)
        if offered is None:
            raise SourceChangedError(f"group {self._group_id}: {source} is not offered here")
        self._offered.move_to_end(source)
        content, ends = offered
        if request.file == CHECKPOINT_FILE:
            view, end = content, len(content)
        elif request.file in ends and request.position >= PAGE_BYTES:
            view, end = self._view(request.file), ends[request.file]
        else:
            raise SourceChangedError(f"group {self._group_id}: no segment {request.file} in {source}")
        length = max(0, min(request.length, CHUNK_BYTES_MAX))
        return Chunk(source, end, bytes(view[request.position : min(end, request.position + length)]))

    def _newest(self) -> Source:
        if CHECKPOINT_NAME not in self._disk.names(self._directory):
            raise SourceChangedError(f"group {self._group_id} has no checkpoint yet")
        path = f"{self._directory}/{CHECKPOINT_NAME}"
        content = self._disk.map(path)
        known = next(
            (source for source, (view, _) in self._offered.items() if view[: FRAME.size] == content[: FRAME.size]), None
        )
        if known is not None:
            return known
        checkpoint = decode_checkpoint_or_none(path, content, self._group_id)
        if checkpoint is None:
            raise SourceChangedError(f"group {self._group_id}: its checkpoint is damaged")
        source = source_of(checkpoint.facts, content)
        self._offered[source] = (
            content,
            {segment.first_index: segment.end_position for segment in checkpoint.facts.segments},
        )
        if len(self._offered) > SOURCES_MAX:
            self._offered.popitem(last=False)
        return source

    def _view(self, first_index: int) -> memoryview:
        if self._segment is None or self._segment[0] != first_index:
            try:
                view = self._disk.map(f"{self._directory}/{segment_name(Index(first_index))}")
            except FileNotFoundError as error:
                raise SourceChangedError(f"group {self._group_id}: segment {first_index} is released") from error
            self._segment = first_index, view
        return self._segment[1]


def source_of(facts: CheckpointFacts, content: memoryview) -> Source:
    return Source(facts.applied, facts.applied_term, checkpoint_crc(content))


async def fetch_files(
    staged: StagedFiles, group_id: GroupId, read_chunk: ReadChunk, blocking: Blocking
) -> CheckpointFacts:
    """Fetch what is missing, chunk by chunk; afterwards `finish_install` may be called, or the group opened anew.

    May be cancelled, and begun again later, also with another source and after a restart: nothing is fetched twice
    but the checkpoint. Raises: InstallFailedError (also: no space), OSError (nothing is known about the disk any more),
    and what `read_chunk` raises.
    """
    fetch = _Fetch(staged, group_id, read_chunk, blocking)
    restarts = 0
    try:
        while True:
            try:
                return await fetch.run()
            except SourceChangedError as error:
                restarts += 1
                if fetch.source is None or restarts > RESTARTS_MAX:
                    raise InstallFailedError(f"group {group_id}, after {restarts} sources: {error}") from error
                logger.info("group %s: fetching from another checkpoint: %s", group_id, error)
    finally:
        staged.close()


class _Fetch:
    def __init__(self, staged: StagedFiles, group_id: GroupId, read_chunk: ReadChunk, blocking: Blocking) -> None:
        self._staged = staged
        self._group_id = group_id
        self._read = read_chunk
        self._blocking = blocking
        self.source: Source | None = None

    async def run(self) -> CheckpointFacts:
        staged = self._staged
        staged.close()
        facts = await self._fetch_checkpoint()
        for segment in facts.segments:
            if staged.is_complete(segment):
                continue
            position = await self._with_space(lambda segment=segment: staged.begin(facts, segment))
            while position < segment.end_position:
                chunk = await self._chunk(segment.first_index, position, segment.end_position)
                content, at = chunk.content, position
                await self._with_space(lambda content=content, at=at: staged.write(content, at))
                position += len(content)
            await self._blocking(lambda segment=segment: staged.complete(facts, segment))
        await self._blocking(lambda: staged.finish(facts))
        return facts

    async def _fetch_checkpoint(self) -> CheckpointFacts:
        self.source = None
        first = await self._read(ChunkRequest(self._group_id, None, CHECKPOINT_FILE, 0, CHUNK_BYTES_MAX))
        self.source = first.source
        if not FRAME.size <= first.file_bytes <= CHECKPOINT_BYTES_MAX:
            raise InstallFailedError(f"group {self._group_id}: a checkpoint of {first.file_bytes} bytes")
        if not 0 < len(first.content) <= min(CHUNK_BYTES_MAX, first.file_bytes):
            raise InstallFailedError(f"group {self._group_id}: {len(first.content)} bytes of {first.file_bytes}")
        known = await self._blocking(self._staged.checkpoint_or_none)
        if known is not None and known.facts.applied == first.source.applied and known.crc == first.source.crc:
            return known.facts
        content = bytearray(first.content)
        while len(content) < first.file_bytes:
            content += (await self._chunk(CHECKPOINT_FILE, len(content), first.file_bytes)).content
        received = memoryview(content)
        if self.source.crc != checkpoint_crc(received):
            raise InstallFailedError(f"group {self._group_id}: another checkpoint than that of {self.source}")
        facts = await self._with_space(lambda: self._staged.take_checkpoint(received))
        if (facts.applied, facts.applied_term) != (self.source.applied, self.source.term):
            raise InstallFailedError(f"group {self._group_id}: a checkpoint as of {facts.applied}, not {self.source}")
        return facts

    async def _with_space(self, work: Callable[[], T]) -> T:
        """A step that leaves nothing half done. Raises: InstallFailedError (no space), OSError."""
        try:
            return await self._blocking(work)
        except OSError as error:
            if error.errno in NO_SPACE:
                raise InstallFailedError(f"group {self._group_id}: no space for a leader's files: {error}") from error
            raise

    async def _chunk(self, file: int, position: int, end: int) -> Chunk:
        length = min(CHUNK_BYTES_MAX, end - position)
        chunk = await self._read(ChunkRequest(self._group_id, self.source, file, position, length))
        if not 0 < len(chunk.content) <= length or chunk.source != self.source:
            raise InstallFailedError(f"group {self._group_id}: {len(chunk.content)} bytes instead of {length}")
        return chunk
