"""What the log needs of a disk, and the disk of this machine.

Nothing is durable before it is synced: a file's bytes by `DiskFile.sync`, a name (created, renamed, removed) by
`sync_directory`. Every call may raise OSError; after a failed sync nobody knows what is on the disk: nobody retries it.
Calls block: none is made from an event loop, except `map` and slices of what it returned.
"""

import errno
import mmap
import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from .interfaces import Buffer

BUFFERS_MAX = os.sysconf("SC_IOV_MAX")
NEW_SUFFIX = ".new"
SYNCS_MAX = 8  # at a time; more files than that of one round wait their turn
# A thread costs as much CPU as the sync itself, and so few are done as soon without (measured; four are not).
SYNCS_IN_TURN_MAX = 3
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


class DiskFile(Protocol):
    def write(self, buffers: Sequence[Buffer], position: int) -> None:
        """All of the buffers, one behind the other, from `position` on."""
        ...

    def sync(self) -> None:
        """Make all that was written durable (fdatasync)."""
        ...

    def close(self) -> None: ...


class Disk(Protocol):
    def make_directory(self, path: str) -> None:
        """With its parents, and durably; an existing one is left as it is."""
        ...

    def names(self, path: str) -> list[str]: ...
    def create(self, path: str, size: int) -> DiskFile:
        """A new file of `size` zero bytes, its space reserved; on an error no file is left."""
        ...

    def open(self, path: str) -> DiskFile: ...
    def read(self, path: str) -> bytes: ...
    def map(self, path: str) -> memoryview:
        """The file's bytes, read-only, as they are and as they will be; it must not be truncated while mapped."""
        ...

    def rename(self, old: str, new: str) -> None: ...
    def remove(self, path: str) -> None: ...
    def sync_directory(self, path: str) -> None: ...


def create_durably(disk: Disk, path: str, size: int, content: Sequence[Buffer]) -> DiskFile:
    """A file that is there as a whole or not at all, also after a power cut; replaces an older one of that name."""
    directory, _, name = path.rpartition("/")
    new_path = path + NEW_SUFFIX
    if name + NEW_SUFFIX in disk.names(directory):
        disk.remove(new_path)
    file = disk.create(new_path, size)
    try:
        file.write(content, 0)
        file.sync()
        disk.rename(new_path, path)
        disk.sync_directory(directory)
    except BaseException:
        file.close()
        with suppress(OSError):  # give its space back; if not now, then the next attempt does
            disk.remove(new_path)
        raise
    return file


class LocalFile:
    """An open file of this machine."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, buffers: Sequence[Buffer], position: int) -> None:
        for first in range(0, len(buffers), BUFFERS_MAX):
            chunk = buffers[first : first + BUFFERS_MAX]
            size = sum(map(len, chunk))
            written = os.pwritev(self._descriptor, chunk, position)
            if written < size:  # rare: a signal, or the disk is nearly full; only now it is worth a copy
                self._write_rest(memoryview(b"".join(chunk))[written:], position + written)
            position += size

    def _write_rest(self, rest: memoryview, position: int) -> None:
        while rest:
            written = os.pwrite(self._descriptor, rest, position)
            rest, position = rest[written:], position + written

    def sync(self) -> None:
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


class _Syncers:
    """Threads that sync files side by side; made when they are first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None

    def start(self, file: LocalFile) -> Future[None]:
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(SYNCS_MAX, "raft-sync")
        return self._threads.submit(file.sync)


_syncers = _Syncers()


def sync_all(files: Sequence[DiskFile]) -> None:
    """Make what was written to each of the files durable. Raises: OSError.

    On this machine's disk many go side by side: the device takes their flushes together. Else one after the other.
    """
    if len(files) <= SYNCS_IN_TURN_MAX:
        for file in files:
            file.sync()
        return
    others = [_syncers.start(file) for file in files[1:] if isinstance(file, LocalFile)]
    if len(others) != len(files) - 1:
        assert not others, "files of two kinds of disk"
        for file in files:
            file.sync()
        return
    try:
        files[0].sync()
    finally:
        wait(others)  # before anything else is done with the files
    for other in others:
        other.result()


class LocalDisk:
    """The file system of this machine."""

    def make_directory(self, path: str) -> None:
        missing = [at for at in (Path(path), *Path(path).parents) if not at.exists()]
        for at in reversed(missing):
            at.mkdir(exist_ok=True)
            self.sync_directory(str(at.parent))

    def names(self, path: str) -> list[str]:
        return sorted(os.listdir(path))  # noqa: PTH208 - plain names are wanted

    def create(self, path: str, size: int) -> DiskFile:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            if size:
                os.posix_fallocate(descriptor, 0, size)
        except BaseException:
            os.close(descriptor)
            Path(path).unlink()
            raise
        return LocalFile(descriptor)

    def open(self, path: str) -> DiskFile:
        return LocalFile(os.open(path, os.O_RDWR | os.O_CLOEXEC))

    def read(self, path: str) -> bytes:
        return Path(path).read_bytes()

    def map(self, path: str) -> memoryview:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if os.fstat(descriptor).st_size == 0:  # only damage makes one
                return memoryview(b"")
            return memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ))
        finally:
            os.close(descriptor)

    def rename(self, old: str, new: str) -> None:
        Path(old).rename(new)

    def remove(self, path: str) -> None:
        Path(path).unlink()

    def sync_directory(self, path: str) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
