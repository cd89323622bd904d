"""Verifying a data directory that nobody serves: every log, and the runs that the catalog knows.

Changes nothing, but for the notes of doubt that `accept_torn_tails` takes away.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from raft.check import Finding, GroupReport, check_group
from raft.damage import accept_doubt
from raft.disk import LocalDisk
from raft.errors import DataDirectoryError as RaftDirectoryError
from raft.interfaces import GroupId
from raft.node_files import LOCK_NAME, NODE_NAME, NodeFile, read_node_file
from sharding.catalog import Catalog
from sharding.commands.command import At, UnknownCommandError
from sharding.historic import split_folder
from sharding.offline import catalog_of
from store.check import check_footers, check_split, runs_under
from store.errors import DamagedRunError
from store.manifest import SplitManifest
from timesplit.errors import DataDirectoryError

CATALOG_GROUP = 0


@dataclass(frozen=True, slots=True)
class DirectoryReport:
    """All that was found, the worst first; `node` is None if node.json cannot be read."""

    node: NodeFile | None
    groups: Sequence[GroupReport]
    run_count: int
    run_bytes: int
    is_catalog_known: bool
    findings: Sequence[Finding]

    @property
    def is_damaged(self) -> bool:
        return any(finding.is_damage for finding in self.findings)


def check_directory(path: Path) -> DirectoryReport:
    """Read every byte of a data directory. Blocks. Raises: DataDirectoryError (in use, or none at all), OSError."""
    if not (path / NODE_NAME).exists() and not (path / "shards").exists():
        raise DataDirectoryError(f"{path} is no data directory: it has neither {NODE_NAME} nor shards")
    lock = _lock_or_none(path / LOCK_NAME)
    try:
        return _checked(path)
    finally:
        if lock is not None:
            os.close(lock)


def accept_torn_tails(path: Path) -> list[int]:
    """Take the notes of doubt out of a data directory; returns the numbers of the shards that had one.

    Blocks. Raises: DataDirectoryError (in use), OSError.
    """
    lock = _lock_or_none(path / LOCK_NAME, fcntl.LOCK_EX)
    try:
        folders = _numbered(path / "shards")
        return [int(folder.name) for folder in folders if accept_doubt(LocalDisk(), str(folder))]
    finally:
        if lock is not None:
            os.close(lock)


def _lock_or_none(path: Path, kind: int = fcntl.LOCK_SH) -> int | None:
    """A copy may have no lock file; then nobody serves it."""
    if not path.exists():
        return None
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise DataDirectoryError(f"{path}: another process serves this directory: stop it, or check a copy") from error
    return descriptor


def _checked(path: Path) -> DirectoryReport:
    findings: list[Finding] = []
    node: NodeFile | None = None
    try:
        node = read_node_file(str(path))
    except (RaftDirectoryError, OSError) as error:
        findings.append(Finding(str(path / NODE_NAME), str(error), is_damage=True))
    groups = [_group(path, int(folder.name)) for folder in _numbered(path / "shards")]
    for group in groups:
        findings += group.findings
    catalog = _catalog_or_none(groups, findings, path)
    findings += _runs(path / "topics", catalog)
    runs = runs_under(path / "topics") if (path / "topics").exists() else []
    return DirectoryReport(
        node=node,
        groups=groups,
        run_count=len(runs),
        run_bytes=sum(run.stat().st_size for run in runs),
        is_catalog_known=catalog is not None,
        findings=sorted(findings, key=lambda finding: (not finding.is_damage, finding.path)),
    )


def _numbered(folder: Path) -> list[Path]:
    if not folder.exists():
        return []
    return sorted((one for one in folder.iterdir() if one.name.isdecimal()), key=lambda one: int(one.name))


def _group(path: Path, group_id: int) -> GroupReport:
    return check_group(
        LocalDisk(), str(path / "shards" / str(group_id)), GroupId(group_id), keeps_tail=group_id == CATALOG_GROUP
    )


def _catalog_or_none(groups: Sequence[GroupReport], findings: list[Finding], path: Path) -> Catalog | None:
    """What group 0 says, if it can be read whole."""
    group = next((group for group in groups if group.group_id == CATALOG_GROUP), None)
    if group is None or group.is_damaged or (group.checkpoint is None and group.first_index != 1):
        return None
    tail = ((At(entry.term, entry.index, *entry.place), entry.body) for entry in group.tail)
    try:
        return catalog_of(None if group.checkpoint is None else group.checkpoint.state, tail)
    except (UnknownCommandError, msgspec.DecodeError, AssertionError) as error:
        findings.append(Finding(str(path / "shards" / "0"), f"the catalog does not decode: {error!r}", is_damage=True))
        return None


def _runs(topics: Path, catalog: Catalog | None) -> Iterator[Finding]:
    present = set(runs_under(topics)) if topics.exists() else set[Path]()
    if catalog is None:
        for found in check_footers(sorted(present)):
            yield Finding(str(found.path), found.what, is_damage=True)
        return
    is_alone = len(catalog.nodes) < 2
    known: set[Path] = set()
    for topic_id, records in catalog.manifests.items():
        for number, record in records.items():
            folder = split_folder(topics, topic_id, number)
            try:
                manifest = SplitManifest.unpack(record.manifest)
            except DamagedRunError as error:
                yield Finding(str(folder), f"in the catalog: {error}", is_damage=True)
                continue
            known |= {folder / run.name for run in manifest.runs}
            for found in check_split(folder, manifest):
                what = "not on this node" if found.is_missing and not is_alone else found.what
                yield Finding(str(found.path), what, is_damage=is_alone or not found.is_missing)
    for path in sorted(present - known):
        yield Finding(str(path), "no run that the catalog knows; left by an interrupted job", is_damage=False)
