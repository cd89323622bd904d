"""What a data directory says of itself: `node.json` (whose it is) and `lock` (that somebody serves it).

The disk id is drawn, and durable, before anything else, and never again: a wiped node comes back under another one, and
its peers do not take it for the voter it was. The cluster id is empty until the node has founded or joined a cluster
(`founding`), and never changes afterwards. `founders`: with a cluster id, those who founded it together with this disk,
or nobody where it joined; without one, whom this disk has promised to found a cluster with.

Format 1 knew no founders: each node was its own cluster.
"""

import base64
import errno
import fcntl
import json
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from .configuration import Peer
from .disk import NEW_SUFFIX, LocalDisk, create_durably
from .errors import DataDirectoryError, DirectoryLockedError, ForeignDirectoryError, UnknownFormatError
from .interfaces import NodeId

DIRECTORY_FORMAT = 2
DIRECTORY_FORMATS_READ = frozenset({1, DIRECTORY_FORMAT})
NODE_NAME = "node.json"
LOCK_NAME = "lock"


class NodeFile(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    cluster_id: str
    node_id: int
    disk_id: str
    founders: tuple[Peer, ...] = ()


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """A directory that this process serves, alone, until `close`."""

    path: str
    node_id: NodeId
    disk_id: str
    cluster_id: str
    format: int
    lock_descriptor: int
    founders: tuple[Peer, ...]

    @property
    def peer(self) -> Peer:
        return Peer(self.node_id, self.disk_id)

    def close(self) -> None:
        os.close(self.lock_descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def open_data_directory(path: str, node_id: NodeId, *, founds_alone: bool = True) -> DataDirectory:
    """Open the directory or, if nothing is in it, begin it for this node. Blocks, shortly.

    `founds_alone`: a directory without a cluster becomes one of its own, unless it has promised to found another one.

    Raises: DirectoryLockedError, ForeignDirectoryError, UnknownFormatError, DataDirectoryError (damaged), OSError.
    """
    path = str(Path(path).absolute())
    LocalDisk().make_directory(path)
    descriptor = _lock(f"{path}/{LOCK_NAME}")
    try:
        node = _read_or_begin(path, node_id)
        if founds_alone and not node.cluster_id:
            node = _found_alone(path, node)
    except BaseException:
        os.close(descriptor)
        raise
    return _directory(path, node, descriptor)


def read_node_file(path: str) -> NodeFile:
    """Whose a directory is, without opening it. Raises: UnknownFormatError, DataDirectoryError, OSError."""
    return _read(f"{path}/{NODE_NAME}")


def note_promise(directory: DataDirectory, founders: Sequence[Peer]) -> DataDirectory:
    """Promise, durably and for ever, to found a cluster with these peers and no others. Blocks, shortly."""
    assert not directory.cluster_id, f"of cluster {directory.cluster_id}"
    assert not directory.founders, f"promised to {directory.founders}"
    assert directory.peer in founders, f"{directory.peer} is none of {founders}"
    return _note(directory, "", founders)


def note_cluster(directory: DataDirectory, cluster_id: str, founders: Sequence[Peer] = ()) -> DataDirectory:
    """Belong, durably and for ever, to this cluster: as one of its founders, or joined. Blocks, shortly."""
    assert cluster_id, "a cluster has an id"
    assert not directory.cluster_id, f"of cluster {directory.cluster_id}"
    assert directory.founders in {(), tuple(founders)}, f"promised to {directory.founders}, not to {founders}"
    return _note(directory, cluster_id, founders)


def _note(directory: DataDirectory, cluster_id: str, founders: Sequence[Peer]) -> DataDirectory:
    node = NodeFile(
        format=DIRECTORY_FORMAT,
        cluster_id=cluster_id,
        node_id=directory.node_id,
        disk_id=directory.disk_id,
        founders=tuple(founders),
    )
    _write(directory.path, node)
    return _directory(directory.path, node, directory.lock_descriptor)


def _directory(path: str, node: NodeFile, descriptor: int) -> DataDirectory:
    peer = Peer(NodeId(node.node_id), node.disk_id)
    founders = (peer,) if node.format == 1 else node.founders
    return DataDirectory(path, peer.node_id, node.disk_id, node.cluster_id, node.format, descriptor, founders)


def _lock(path: str) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
            raise DirectoryLockedError(f"{path}: another process serves this directory") from error
        raise
    return descriptor


def _read_or_begin(path: str, node_id: NodeId) -> NodeFile:
    names = LocalDisk().names(path)
    if NODE_NAME in names:
        node = _read(f"{path}/{NODE_NAME}")
        if node.node_id != node_id:
            raise ForeignDirectoryError(f"{path}: of node {node.node_id}, not of node {node_id}")
        return node
    if others := set(names) - {LOCK_NAME, NODE_NAME + NEW_SUFFIX}:
        raise DataDirectoryError(f"{path}: no {NODE_NAME}, but {', '.join(sorted(others)[:5])}")
    node = NodeFile(format=DIRECTORY_FORMAT, cluster_id="", node_id=node_id, disk_id=str(uuid.uuid4()))
    _write(path, node)
    return node


def _found_alone(path: str, node: NodeFile) -> NodeFile:
    if node.founders:
        nodes = ", ".join(str(peer.node_id) for peer in node.founders)
        raise ForeignDirectoryError(f"{path}: it began to found a cluster of the nodes {nodes}: give it its members")
    founder = Peer(NodeId(node.node_id), node.disk_id)
    alone = msgspec.structs.replace(node, cluster_id=_new_cluster_id(), founders=(founder,))
    _write(path, alone)
    return alone


def _write(path: str, node: NodeFile) -> None:
    content = json.dumps(msgspec.to_builtins(node), indent=2).encode() + b"\n"
    create_durably(LocalDisk(), f"{path}/{NODE_NAME}", len(content), [content]).close()


def _read(path: str) -> NodeFile:
    content = Path(path).read_bytes()
    try:
        version = msgspec.json.decode(content, type=dict[str, object]).get("format")
        if version in DIRECTORY_FORMATS_READ:
            node = msgspec.json.decode(content, type=NodeFile)
            if node.format == 1 and not node.cluster_id:
                raise DataDirectoryError(f"{path}: damaged: no cluster id")
            return node
    except msgspec.DecodeError as error:
        raise DataDirectoryError(f"{path}: damaged: {error}") from error
    raise UnknownFormatError(f"{path}: format {version}, readable: {sorted(DIRECTORY_FORMATS_READ)}")


def _new_cluster_id() -> str:
    """22 characters, as Kafka draws them; those of `founding` follow from the founders instead."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
