"""The loop's and the writer's side of a group, without a loop."""

from raft.entries import Entry, EntryKind, new_entry
from raft.hard_state import HardState, HardStateFile
from raft.interfaces import GroupId, Index, NodeId, Term
from raft.log import SegmentLog, TermStarts
from raft.recovery import recover
from raft.segments import Mark
from raft.writer import (
    AppendEntries,
    Completion,
    EntriesPersisted,
    GroupFiles,
    LogWriter,
    SaveHardState,
    Truncate,
    WriterJob,
)
from tests.support.faulty_disk import FaultyDisk

SEGMENT_BYTES = 16_384


class OneGroup:
    """`heard`: what the writer answered so far, and what the log was told of."""

    def __init__(self, disk: FaultyDisk, group_id: int = 1) -> None:
        directory = f"/g{group_id}"
        disk.make_directory(directory)
        group = GroupId(group_id)
        self.log = SegmentLog(disk, directory, group, segment_bytes=SEGMENT_BYTES, segments=[], terms=TermStarts())
        self.files = GroupFiles(
            disk=disk,
            directory=directory,
            group_id=group,
            hard_state=HardStateFile(disk, directory, group),
            mark=Mark(1, Index(0)),
            plan=None,
            file=None,
        )
        self.writer = LogWriter()
        self.heard: list[Completion] = []

    @classmethod
    def opened(cls, disk: FaultyDisk) -> "OneGroup":
        """As a new process finds it."""
        found = recover(disk, "/g1", GroupId(1), SEGMENT_BYTES)
        one = cls.__new__(cls)
        plan = found.log.last_plan_or_none
        one.log, one.writer, one.heard = found.log, LogWriter(), []
        one.files = GroupFiles(
            disk=disk,
            directory="/g1",
            group_id=GroupId(1),
            hard_state=found.hard_state,
            mark=found.mark,
            plan=plan,
            file=None if plan is None else disk.open(found.log.segment_path(plan.first_index)),
        )
        return one

    def append(self, *bodies: bytes | bytearray, term: int = 1) -> AppendEntries:
        first = self.log.last_index + 1
        return self.put(
            *(
                new_entry(Term(term), Index(index), EntryKind.COMMANDS, len(body), [body])
                for index, body in enumerate(bodies, start=first)
            )
        )

    def put(self, *entries: Entry) -> AppendEntries:
        return AppendEntries(self.files, [run for entry in entries for run in self.log.append((entry,))])

    def truncate(self, to_index: int) -> Truncate:
        return Truncate(self.files, self.log.truncate(Index(to_index)))

    def save(self, term: int) -> SaveHardState:
        return SaveHardState(self.files, HardState(Term(term), NodeId(1)))

    def write(self, *jobs: WriterJob) -> list[Completion]:
        """One round."""
        answers = self.writer.write_round(jobs)
        self.hear(answers)
        return answers

    def hear(self, answers: list[Completion]) -> None:
        for answer in answers:
            self.heard.append(answer)
            if isinstance(answer, EntriesPersisted):
                self.log.on_persisted(answer.term, answer.index, answer.cut_count)

    def everything(self) -> list[tuple[int, int, bytes]]:
        """Term, index and bytes of all entries, as the core would get them."""
        found: list[Entry] = []
        while len(found) < self.log.last_index:
            found += self.log.entries(Index(len(found) + 1), 10_000)
        return [(entry.term, entry.index, b"".join((entry.header, *entry.body))) for entry in found]

    def stored(self) -> list[bytes]:
        self.log.durable = self.log.last_index  # as if the loop had heard of it
        return [bytes(view[found.body]) for found, view in self.log.written_entries(Index(1))]
