"""Files of groups between nodes: hands out this node's, chunk by chunk, and fetches a leader's (`install`)."""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from .checkpoint import CheckpointFacts
from .configuration import Peer
from .disk import Disk
from .errors import BadMessageError, CallRefusedError, InstallFailedError, SourceChangedError
from .install import Blocking, CheckFiles, Chunk, ChunkRequest, FileSource, decode_chunk, encode_chunk, fetch_files
from .interfaces import Buffer, GroupId, NodeId
from .peers import Peers
from .staged_files import StagedFiles

READ_CHUNK = 1
"""Kind of the call; 1 to 31 are this layer's."""
CHUNK_TIMEOUT_MS = 10_000


class FileExchange:
    """Serves chunks of the groups for which `is_open` says so; one at a time of each group."""

    def __init__(
        self, disk: Disk, directory: str, peers: Peers, blocking: Blocking, is_open: Callable[[GroupId], bool]
    ) -> None:
        self._disk = disk
        self._directory = directory
        self._peers = peers
        self._blocking = blocking
        self._is_open = is_open
        self._sources: dict[GroupId, tuple[FileSource, asyncio.Lock]] = {}
        peers.serve(READ_CHUNK, self._serve)

    def forget(self, group_id: GroupId) -> None:
        """The group is closed, or its files are others now."""
        self._sources.pop(group_id, None)

    async def fetch(self, group_id: GroupId, leader: NodeId, check: CheckFiles) -> CheckpointFacts:
        """Fetch the leader's files if they pass the check; opened anew, the group has them.

        Raises: RaftError (it may be begun again), OSError (of our own disk: nothing is known about it any more).
        """

        async def read_chunk(request: ChunkRequest) -> Chunk:
            body = msgspec.msgpack.encode(request)
            try:
                answer = await self._peers.call(leader, READ_CHUNK, [body], CHUNK_TIMEOUT_MS)
            except CallRefusedError as error:
                if error.code == SourceChangedError.__name__:
                    raise SourceChangedError(error.text) from error
                raise
            except TimeoutError as error:
                raise InstallFailedError(str(error)) from error
            chunk = decode_chunk(answer)
            check(chunk.source.applied, chunk.source.term)
            return chunk

        staged = StagedFiles(self._disk, f"{self._directory}/{group_id}", group_id)
        return await fetch_files(staged, group_id, read_chunk, self._blocking)

    async def _serve(self, _peer: Peer, body: memoryview) -> Sequence[Buffer]:
        try:
            request = msgspec.msgpack.decode(body, type=ChunkRequest)
        except msgspec.DecodeError as error:
            raise BadMessageError(f"an unreadable request of a chunk: {error}") from error
        group_id = request.group_id
        if not self._is_open(group_id):
            raise SourceChangedError(f"group {group_id} is not open here")
        if group_id not in self._sources:
            source = FileSource(self._disk, f"{self._directory}/{group_id}", group_id)
            self._sources[group_id] = source, asyncio.Lock()
        source, lock = self._sources[group_id]
        async with lock:
            return encode_chunk(await self._blocking(lambda: source.read(request)))
