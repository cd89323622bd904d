"""Looking at the files of runs, all of them, without changing any: what `timesplit check` says of history."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from .errors import DamagedRunError
from .manifest import SplitManifest
from .runs import RunFile

RUN_SUFFIX = ".parquet"


class RunFinding(NamedTuple):
    """`is_missing`: the file is not there at all, which is damage only where it should be."""

    path: Path
    what: str
    is_missing: bool = False


def check_split(folder: Path, manifest: SplitManifest) -> Iterator[RunFinding]:
    """Each run against its manifest: size, SHA-256, footer, order and content of every row."""
    import pyarrow as pa

    for description in manifest.runs:
        path = folder / description.name
        if not path.is_file():
            yield RunFinding(path, "missing", is_missing=True)
            continue
        try:
            RunFile(path, description).check()
        except (DamagedRunError, OSError, pa.ArrowException) as error:
            yield RunFinding(path, str(error).removeprefix(f"{path.name}: "))


def check_footers(paths: Sequence[Path]) -> Iterator[RunFinding]:
    """All that can be said of runs without their manifests."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for path in paths:
        try:
            pq.read_metadata(path)  # pyright: ignore[reportUnknownMemberType] - pyarrow's stubs
        except (pa.ArrowException, OSError) as error:
            yield RunFinding(path, f"its footer is unreadable: {error}")


def runs_under(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob(f"*{RUN_SUFFIX}") if path.is_file())
