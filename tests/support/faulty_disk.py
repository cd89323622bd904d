"""A disk in memory that forgets what was not synced, and fails when told to.

Content: each file has what readers see, what is durable, and the writes in between; names likewise, per directory.
`crash(seed)` is the power cut: of the writes since the last sync each sector may have reached the disk, in any order,
or half of it; of the changes of a directory a prefix. With `fates=TORN` no write is whole and none is without trace.
`revived()` is a killed process: the page cache lives on.
"""

import errno
import itertools
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from raft.interfaces import Buffer

SECTOR_BYTES = 512
FATES = ("none", "all", "some")
TORN = ("torn",)


class PowerCutError(OSError):
    """The machine is off: this call, and every later one."""

    def __init__(self) -> None:
        super().__init__(errno.EIO, "power cut")


@dataclass(slots=True)
class Inode:
    seen: bytearray
    durable: bytearray
    unsynced: list[tuple[int, bytes]] = field(default_factory=list[tuple[int, bytes]])

    def write(self, content: bytes, position: int) -> None:
        end = position + len(content)
        if end > len(self.seen):
            raise AssertionError(f"write of {position}..{end} past the end of {len(self.seen)} bytes")
        self.seen[position:end] = content
        self.unsynced.append((position, content))

    def sync(self) -> None:
        for position, content in self.unsynced:
            self.durable[position : position + len(content)] = content
        self.unsynced.clear()

    def after_power_cut(self, rng: random.Random, fates: Sequence[str] = FATES) -> "Inode":
        content = bytearray(self.durable)
        for position, written in self.unsynced:
            fate = rng.choice(fates)
            torn_at = rng.randrange(1, max(2, len(written.rstrip(b"\0")))) if fate == "torn" else 0
            for first, piece in _sectors(position, written):
                kept = {
                    "none": 0,
                    "all": len(piece),
                    "some": rng.choice([0, 0, len(piece), rng.randrange(len(piece) + 1)]),
                    "torn": min(len(piece), max(0, position + torn_at - first)),
                }
                content[first : first + kept[fate]] = piece[: kept[fate]]
        return Inode(content, bytearray(content))


def _sectors(position: int, content: bytes) -> list[tuple[int, bytes]]:
    pieces: list[tuple[int, bytes]] = []
    at = 0
    while at < len(content):
        room = SECTOR_BYTES - (position + at) % SECTOR_BYTES
        pieces.append((position + at, content[at : at + room]))
        at += room
    return pieces


class FaultyFile:
    def __init__(self, disk: "FaultyDisk", inode: Inode, path: str) -> None:
        self._disk = disk
        self._inode = inode
        self._path = path
        self.is_closed = False

    def write(self, buffers: Sequence[Buffer], position: int) -> None:
        assert not self.is_closed, f"write to closed {self._path}"
        content = b"".join(buffers)
        is_last = self._disk.count("write", self._path)
        self._inode.write(content, position)
        self._disk.go_off_if(is_last)

    def sync(self) -> None:
        assert not self.is_closed, f"sync of closed {self._path}"
        is_last = self._disk.count("sync", self._path)
        if self._disk.sync_error is not None:
            # As Linux does: the pages count as clean now, a second sync would answer that all is well.
            self._inode.unsynced.clear()
            raise self._disk.sync_error
        if not is_last or self._disk.rng.random() < 0.5:
            self._inode.sync()
        self._disk.go_off_if(is_last)

    def close(self) -> None:
        assert not self.is_closed, f"second close of {self._path}"
        self.is_closed = True


class FaultyDisk:
    """Fulfils `raft.disk.Disk`. `calls` counts by kind; `cut_at` turns the power off in the call of that number."""

    def __init__(self, seed: int = 0, cut_at: int | None = None) -> None:
        self.rng = random.Random(seed)
        self.cut_at = cut_at
        self.calls: Counter[str] = Counter()
        self.log: list[tuple[str, str]] = []
        self.no_space: set[str] = set()  # kinds of calls that find the disk full: create, write
        self.sync_error: OSError | None = None
        self._is_off = False
        self._call_count = 0
        self._seen: dict[str, dict[str, Inode]] = {"": {}}
        self._durable: dict[str, dict[str, Inode]] = {"": {}}
        self._unsynced: dict[str, list[list[tuple[str, Inode | None]]]] = {"": []}

    @property
    def call_count(self) -> int:
        return self._call_count

    def crash(self, seed: int, cut_at: int | None = None, *, fates: Sequence[str] = FATES) -> Self:
        """The disk as it is found when power returns."""
        rng = random.Random(seed)
        disk = type(self)(seed, cut_at)
        survivors: dict[int, Inode] = {}
        for directory, durable in self._durable.items():
            names = dict(durable)
            changes = self._unsynced[directory]
            for name, inode in itertools.chain(*changes[: rng.randrange(len(changes) + 1)]):
                if inode is None:
                    names.pop(name, None)
                else:
                    names[name] = inode
            found: dict[str, Inode] = {}
            for name, inode in sorted(names.items()):
                if id(inode) not in survivors:
                    survivors[id(inode)] = inode.after_power_cut(rng, fates)
                found[name] = survivors[id(inode)]
            disk._add_directory(directory, found)
        return disk

    def revived(self, cut_at: int | None = None) -> Self:
        """The same disk under a new process."""
        self._is_off = False
        self._call_count = 0
        self.cut_at = cut_at
        return self

    def content(self, path: str) -> bytearray:
        """The bytes of a file, to look at and to damage; a change is durable."""
        inode = self._inode(path)
        inode.sync()
        inode.durable = inode.seen
        return inode.seen

    def make_directory(self, path: str) -> None:
        is_last = self.count("make_directory", path)
        if path not in self._seen:
            self._add_directory(path, {})
        self.go_off_if(is_last)

    def names(self, path: str) -> list[str]:
        self.count("names", path)
        if path not in self._seen:
            raise FileNotFoundError(path)
        return sorted(self._seen[path])

    def create(self, path: str, size: int) -> FaultyFile:
        is_last = self.count("create", path)
        directory, _, name = path.rpartition("/")
        if name in self._seen[directory]:
            raise FileExistsError(path)
        inode = Inode(bytearray(size), bytearray(size))
        self._change(directory, (name, inode))
        self.go_off_if(is_last)
        return FaultyFile(self, inode, path)

    def open(self, path: str) -> FaultyFile:
        self.count("open", path)
        return FaultyFile(self, self._inode(path), path)

    def read(self, path: str) -> bytes:
        self.count("read", path)
        return bytes(self._inode(path).seen)

    def map(self, path: str) -> memoryview:
        self.count("map", path)
        return memoryview(self._inode(path).seen).toreadonly()

    def rename(self, old: str, new: str) -> None:
        is_last = self.count("rename", new)
        directory, _, old_name = old.rpartition("/")
        inode = self._inode(old)
        self._change(directory, (new.rpartition("/")[2], inode), (old_name, None))  # one: never both names, nor none
        self.go_off_if(is_last)

    def remove(self, path: str) -> None:
        is_last = self.count("remove", path)
        directory, _, name = path.rpartition("/")
        self._inode(path)
        self._change(directory, (name, None))
        self.go_off_if(is_last)

    def sync_directory(self, path: str) -> None:
        is_last = self.count("sync_directory", path)
        if self.sync_error is not None:
            raise self.sync_error
        if not is_last or self.rng.random() < 0.5:
            self._durable[path] = dict(self._seen[path])
            self._unsynced[path].clear()
        self.go_off_if(is_last)

    def count(self, kind: str, path: str) -> bool:
        """Count the call; True if the power goes off at its end."""
        if self._is_off:
            raise PowerCutError
        self.calls[kind] += 1
        self.log.append((kind, path))
        if kind in self.no_space:
            raise OSError(errno.ENOSPC, "no space", path)
        is_last = self._call_count == self.cut_at
        self._call_count += 1
        return is_last

    def go_off_if(self, is_last: bool) -> None:
        if is_last:
            self._is_off = True
            raise PowerCutError

    def _inode(self, path: str) -> Inode:
        directory, _, name = path.rpartition("/")
        inode = self._seen.get(directory, {}).get(name)
        if inode is None:
            raise FileNotFoundError(path)
        return inode

    def _change(self, directory: str, *changes: tuple[str, Inode | None]) -> None:
        for name, inode in changes:
            if inode is None:
                self._seen[directory].pop(name)
            else:
                self._seen[directory][name] = inode
        self._unsynced[directory].append(list(changes))

    def _add_directory(self, path: str, found: dict[str, Inode]) -> None:
        self._seen[path] = dict(found)
        self._durable[path] = dict(found)
        self._unsynced[path] = []
