"""Runs of history lie in real folders, one a node; here is what a power cut makes of them, and a cut inside a sync.

Durable is what was synced: a file's bytes as they were at its last sync, a name in its folder as that was at its own.
Anything else may be gone after a cut, shorter, or zeros from somewhere on. A merge is done at one moment, and takes a
while: a cut meanwhile finds the first of its syncs done, and the others not.
"""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from unittest.mock import patch

from .disk import SimDisk


class RunFiles:
    """`disk_of`: the node's disk by the name of its folder, on whose calls the syncs of runs count."""

    def __init__(self, folder: Path, disk_of: Callable[[str], SimDisk]) -> None:
        self.folder = folder
        self._disk_of = disk_of
        self._synced: dict[tuple[int, int], tuple[int, int]] = {}
        self._names: set[tuple[str, int]] = set()
        # By host: the syncs of the merge that goes on.
        self._under_way: dict[str, list[Callable[[], object]]] = {}

    def begin(self, host: str) -> None:
        self._under_way[host] = []

    def end(self, host: str) -> None:
        for sync in self._under_way.pop(host, []):
            sync()

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Every sync of the history is heard of."""
        real = os.fsync

        def sync(descriptor: int) -> None:
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            if self.folder in path.parents:
                self._sync(path)
            else:
                real(descriptor)

        with patch("os.fsync", sync), patch("os.fdatasync", sync):
            yield

    def _sync(self, path: Path) -> None:
        host = path.relative_to(self.folder).parts[0]
        disk = self._disk_of(host)
        is_last = disk.count("sync", str(path))
        if disk.sync_error is not None:
            raise disk.sync_error
        if path.is_dir():
            names = {_name(each) for each in path.iterdir()}
            sync = partial(self._names.update, names)
        else:
            sync = partial(self._synced.__setitem__, _inode(path), _content(path))
        if host in self._under_way:
            self._under_way[host].append(sync)
        else:
            sync()
        disk.go_off_if(is_last)

    def cut(self, host: str, chance: random.Random) -> int:
        """The power of this node was off: how many files and folders are not what they were."""
        syncs = self._under_way.pop(host, [])
        for sync in syncs[: chance.randrange(len(syncs) + 1)]:
            sync()
        return self._cut_below(self.folder / host, chance) if (self.folder / host).is_dir() else 0

    def _cut_below(self, folder: Path, chance: random.Random) -> int:
        count = 0
        for path in sorted(folder.iterdir()):
            if _name(path) not in self._names and path.parent != self.folder and chance.random() < 0.5:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                count += 1
            elif path.is_dir():
                count += self._cut_below(path, chance)
            elif self._synced.get(_inode(path)) != _content(path) and chance.random() < 0.7:
                size, is_zeros = path.stat().st_size, chance.random() < 0.5
                kept = chance.randrange(size + 1)
                os.truncate(path, kept)
                if is_zeros:
                    os.truncate(path, size)
                count += 1
            # What lies there after a start was read from the disk.
            self._names.update([_name(path)] if path.exists() else [])
        return count


def _inode(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _content(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _name(path: Path) -> tuple[str, int]:
    return str(path), path.stat().st_ino
