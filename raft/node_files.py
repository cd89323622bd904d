"""What a data directory says of itself: `node.json` (whose it is) and `lock` (that somebody serves it).

The disk id is drawn when the directory is founded and never again: a wiped node comes back under another one, and its
peers do not take it for the voter it was.
"""

import base64
import errno
import fcntl
import json
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from .disk import NEW_SUFFIX, LocalDisk, create_durably
from .errors import DataDirectoryError, DirectoryLockedError, ForeignDirectoryError, UnknownFormatError
from .interfaces import NodeId

DIRECTORY_FORMAT = 1
DIRECTORY_FORMATS_READ = frozenset({DIRECTORY_FORMAT})
NODE_NAME = "node.json"
LOCK_NAME = "lock"


class NodeFile(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    cluster_id: str
    node_id: int
    disk_id: str


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """A directory that this process serves, alone, until `close`."""

    path: str
    node_id: NodeId
    disk_id: str
    cluster_id: str
    format: int
    lock_descriptor: int

    def close(self) -> None:
        os.close(self.lock_descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def open_data_directory(path: str, node_id: NodeId) -> DataDirectory:
    """Open the directory or, if nothing is in it, found it for this node. Blocks, shortly.

    Raises: DirectoryLockedError, ForeignDirectoryError, UnknownFormatError, DataDirectoryError (damaged), OSError.
    """
    path = str(Path(path).absolute())
    LocalDisk().make_directory(path)
    descriptor = _lock(f"{path}/{LOCK_NAME}")
    try:
        node = _read_or_found(path, node_id)
    except BaseException:
        os.close(descriptor)
        raise
    return DataDirectory(path, NodeId(node.node_id), node.disk_id, node.cluster_id, node.format, descriptor)


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


def _read_or_found(path: str, node_id: NodeId) -> NodeFile:
    disk = LocalDisk()
    names = disk.names(path)
    node_path = f"{path}/{NODE_NAME}"
    if NODE_NAME in names:
        node = _read(node_path)
        if node.node_id != node_id:
            raise ForeignDirectoryError(f"{path}: of node {node.node_id}, not of node {node_id}")
        return node
    if others := set(names) - {LOCK_NAME, NODE_NAME + NEW_SUFFIX}:
        raise DataDirectoryError(f"{path}: no {NODE_NAME}, but {', '.join(sorted(others)[:5])}")
    node = NodeFile(format=DIRECTORY_FORMAT, cluster_id=_new_cluster_id(), node_id=node_id, disk_id=str(uuid.uuid4()))
    content = json.dumps(msgspec.to_builtins(node), indent=2).encode() + b"\n"
    create_durably(disk, node_path, len(content), [content]).close()
    return node


def _read(path: str) -> NodeFile:
    content = Path(path).read_bytes()
    try:
        version = msgspec.json.decode(content, type=dict[str, object]).get("format")
        if version in DIRECTORY_FORMATS_READ:
            return msgspec.json.decode(content, type=NodeFile)
    except msgspec.DecodeError as error:
        raise DataDirectoryError(f"{path}: damaged: {error}") from error
    raise UnknownFormatError(f"{path}: format {version}, readable: {sorted(DIRECTORY_FORMATS_READ)}")


def _new_cluster_id() -> str:
    """22 characters, as Kafka draws them."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
