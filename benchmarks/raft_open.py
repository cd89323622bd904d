"""How long a group with 10 GB of log takes to open, by how far its checkpoint is behind.

python -m benchmarks.raft_open [--directory DIR] [--log-gb 10] [--tail-mib 256]

What lies below the checkpoint is never read at a start, so those segments are made as holes; the tail is written for
real, in entries of each size, and thrown out of the page cache before the cold figure. `replay`: what the event loop
then pays to hand the tail to a state machine that does nothing.
"""

import argparse
import os
import tempfile
import time
from array import array
from pathlib import Path

from raft.checkpoint import Checkpoint, CheckpointFacts, save_checkpoint, to_facts
from raft.disk import LocalDisk
from raft.entries import EntryKind, new_entry
from raft.group_files import GroupFiles
from raft.hard_state import HardState, HardStateFile
from raft.interfaces import GroupId, Index, Term
from raft.log import SegmentLog, TermStarts
from raft.recovery import recover
from raft.segments import PAGE_BYTES, Mark, Segment, SegmentPlan, create_segment
from raft.writer import AppendEntries, CloseFiles, LogWriter

KIB, MIB = 1 << 10, 1 << 20
SEGMENT_BYTES = 64 * MIB
GROUP = GroupId(1)


def build(directory: str, entry_bytes: int, log_bytes: int, tail_bytes: int) -> Index:
    """A log of that length, whose checkpoint leaves `tail_bytes`; returns the last entry."""
    disk = LocalDisk()
    per_segment = (SEGMENT_BYTES - PAGE_BYTES) // (entry_bytes + 26)
    segments: list[Segment] = []
    first = Index(1)
    for _ in range((log_bytes - tail_bytes) // SEGMENT_BYTES):
        plan = SegmentPlan(first, SEGMENT_BYTES)
        create_segment(disk, directory, GROUP, plan, Mark(1, Index(first - 1))).close()
        positions = array("I", (PAGE_BYTES + number * (entry_bytes + 26) for number in range(0, per_segment, 64)))
        end = PAGE_BYTES + per_segment * (entry_bytes + 26)
        segments.append(Segment(plan, Index(first + per_segment - 1), end, positions))
        first = Index(first + per_segment)
    applied = Index(first - 1)
    hard_state = HardStateFile(disk, directory, GROUP)
    hard_state.save(HardState(Term(1), None))
    files = GroupFiles(
        disk=disk,
        directory=directory,
        group_id=GROUP,
        hard_state=hard_state,
        mark=Mark(1, applied),
        plan=segments[-1].plan,
        file=None,
    )
    facts = CheckpointFacts(
        group_id=GROUP,
        applied=applied,
        applied_term=Term(1),
        configuration=None,
        term_starts=((Index(1), Term(1)),),
        segments=tuple(to_facts(segment) for segment in segments),
    )
    save_checkpoint(disk, directory, Checkpoint(facts, b""))
    terms = TermStarts(((Index(1), Term(1)),))
    log = SegmentLog(disk, directory, GROUP, segment_bytes=SEGMENT_BYTES, segments=segments, terms=terms)
    body = os.urandom(entry_bytes)
    writer = LogWriter()
    for begin in range(0, tail_bytes, 4 * MIB):
        first = log.last_index + 1
        entries = [
            new_entry(Term(1), Index(index), EntryKind.COMMANDS, entry_bytes, [body])
            for index in range(first, first + min(4 * MIB, tail_bytes - begin) // entry_bytes)
        ]
        writer.write_round([AppendEntries(files, log.append(entries))])
    writer.write_round([CloseFiles(files)])
    return log.last_index


def forget(directory: str) -> None:
    """Throw the files out of the page cache."""
    for path in Path(directory).iterdir():
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def opening(directory: str, last: Index) -> tuple[float, float]:
    begin = time.perf_counter()
    found = recover(LocalDisk(), directory, GROUP, SEGMENT_BYTES)
    opened = time.perf_counter()
    assert found.checkpoint is not None
    assert found.log.last_index == last
    following = Index(found.checkpoint.facts.applied + 1)
    count = sum(1 for _ in found.log.written_entries(following))
    assert count == last - following + 1
    found.hard_state.close()
    return opened - begin, time.perf_counter() - opened


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", default=None, help="where to write (default: the temporary directory)")
    parser.add_argument("--log-gb", type=float, default=10.0)
    parser.add_argument("--tail-mib", type=int, default=256)
    options = parser.parse_args()
    print("entry KiB | tail MiB | open cold s | open warm s | replay s")
    for entry_bytes in (1 * KIB, 4 * KIB, 16 * KIB, 256 * KIB):
        with tempfile.TemporaryDirectory(dir=options.directory) as directory:
            last = build(directory, entry_bytes, int(options.log_gb * 1e9), options.tail_mib * MIB)
            forget(directory)
            cold, replay = opening(directory, last)
            warm, replay = min(opening(directory, last) for _ in range(3))
        print(f"{entry_bytes // KIB:9d} | {options.tail_mib:8d} | {cold:11.3f} | {warm:11.3f} | {replay:8.3f}")


if __name__ == "__main__":
    main()
