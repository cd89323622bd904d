"""Truncation on a disk that tears and drops writes: after a crash in any call the log is one that it really was.

The judge knows every state the log passed through. What recovery finds must be the beginning of one of them, no older
than what was acknowledged and not shorter: an old entry that stands as false successor of a new one makes a log that
never was.
"""

import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from raft.entries import HEADER_BYTES, EntryKind, new_entry
from raft.errors import CorruptLogError
from raft.group_files import GroupFiles
from raft.interfaces import GroupId, Index, Term
from raft.placed import Cut
from raft.recovery import Recovered, recover
from raft.segments import read_segment_header
from raft.writer import CloseFiles, NoteDurable
from tests.raft.one_group import SEGMENT_BYTES, OneGroup
from tests.support.faulty_disk import FaultyDisk, PowerCutError

Content = tuple[int, bytes]  # term and body; the index is the place in the log
DIRECTORY = "/g1"


@dataclass(slots=True)
class Judge:
    """`states`: the log after each job, oldest first. `certain`: the oldest of them that may still be found."""

    states: list[list[Content]] = field(default_factory=lambda: [[]])
    certain: int = 0
    durable: int = 0

    def append(self, term: int, *bodies: bytes) -> None:
        self.states.append(self.states[-1] + [(term, body) for body in bodies])

    def truncate(self, to_index: int) -> None:
        self.states.append(self.states[-1][:to_index])

    def all_is_done(self, durable: int) -> None:
        self.certain, self.durable = len(self.states) - 1, durable

    def check(self, found: list[Content]) -> None:
        possible = self.states[self.certain :]
        assert any(state[: len(found)] == found for state in possible), "a log that never was"
        kept = min(self.durable, *(len(state) for state in possible))
        assert len(found) >= kept, f"{kept} entries were durable, {len(found)} are there"


def contents(found: Recovered) -> list[Content]:
    entries: list[Content] = []
    while len(entries) < found.log.last_index:
        more = found.log.entries(Index(len(entries) + 1), 1 << 20)
        entries += [(entry.term, b"".join(entry.body)) for entry in more]
    return entries


def everything(one: OneGroup) -> list[Content]:
    return [(term, content[HEADER_BYTES:]) for term, _, content in one.everything()]


def open_again(disk: FaultyDisk) -> Recovered:
    found = recover(disk, DIRECTORY, GroupId(1), SEGMENT_BYTES)
    found.hard_state.close()
    return found


def random_life(disk: FaultyDisk, judge: Judge, rng: random.Random) -> None:
    """Rounds of appends and truncations; sizes repeat, so that an old entry fits behind a new one."""
    if DIRECTORY in disk._seen and disk.names(DIRECTORY):
        one = OneGroup.opened(disk)
        judge.states, judge.certain, judge.durable = [everything(one)], 0, one.log.last_index
    else:
        one = OneGroup(disk)
    one.log.hot.bytes_max = rng.choice([0, 3_000])
    term = max(5, one.log.last_term)
    one.write(one.save(99 + len(judge.states)))
    for _ in range(10):
        jobs = []
        for _ in range(rng.choice([1, 1, 2, 4])):
            last = one.log.last_index
            if last and rng.random() < 0.5:
                to_index = rng.randrange(max(0, last - 12), last)
                judge.truncate(to_index)
                jobs.append(one.truncate(to_index))
                # The new leader's entries may be of lower terms than those it replaces.
                term = max(int(one.log.last_term), term - rng.randrange(3))
            else:
                term += rng.randrange(3)
            bodies = [rng.randbytes(rng.choice([40, 40, 40, 700, 5_000])) for _ in range(rng.randrange(1, 6))]
            judge.append(term, *bodies)
            jobs.append(one.append(*bodies, term=term))
        if rng.random() < 0.3:
            jobs.append(NoteDurable(one.files))
        one.write(*jobs)
        judge.all_is_done(one.log.durable)
        if rng.random() < 0.5:
            one.write(NoteDurable(one.files))


def crash_at(seed: int, cut_at: int | None, crash_seed: int) -> FaultyDisk:
    disk, judge = FaultyDisk(seed, cut_at), Judge()
    with suppress(PowerCutError):
        random_life(disk, judge, random.Random(seed))
    copy = disk.crash(crash_seed, cut_at=crash_seed % 20 if crash_seed % 3 == 0 else None)
    if DIRECTORY not in copy._seen:
        return disk
    with suppress(PowerCutError):
        judge.check(contents(open_again(copy)))
        return disk
    judge.check(contents(open_again(copy.crash(crash_seed + 1))))  # the first recovery was cut off, too
    return disk


@pytest.mark.parametrize("seed", range(6))
def test_a_power_cut_in_any_call_leaves_a_log_that_was(seed: int) -> None:
    calls = crash_at(seed, None, seed).call_count
    for cut_at in range(calls):
        crash_at(seed, cut_at, cut_at * 7 + seed)


@pytest.mark.parametrize("seed", range(200))
def test_power_cuts_at_random_calls_leave_a_log_that_was(seed: int) -> None:
    crash_at(seed + 1_000, random.Random(seed).randrange(20, 250), seed)


# The last ones found a mark that was torn together with the one before it.
@pytest.mark.parametrize("seed", [*range(60), 702, 2157, 3203, 3267])
def test_power_cuts_and_kills_in_several_lives_leave_a_log_that_was(seed: int) -> None:
    rng = random.Random(seed)
    disk, judge = FaultyDisk(seed, rng.randrange(20, 150)), Judge()
    for life in range(5):
        with suppress(PowerCutError):
            random_life(disk, judge, random.Random(seed * 10 + life))
        cut_at = rng.choice([None, rng.randrange(150)])
        disk = disk.revived(cut_at) if rng.random() < 0.3 else disk.crash(seed + life, cut_at)
        if DIRECTORY in disk._seen:
            with suppress(PowerCutError):
                judge.check(contents(open_again(disk)))


def false_successor(disk: FaultyDisk) -> tuple[OneGroup, Judge]:
    """Entries 2 and 3 of term 7 give way to an entry 2 of term 6 and of the same size."""
    one, judge = OneGroup(disk), Judge()
    one.write(one.save(9))
    one.write(one.append(b"kept" * 10, term=5))
    judge.append(5, b"kept" * 10)
    one.write(one.append(b"old2" * 200, b"old3" * 200, term=7))
    judge.append(7, b"old2" * 200, b"old3" * 200)
    one.write(NoteDurable(one.files))
    judge.all_is_done(3)
    jobs = [one.truncate(1), one.append(b"new2" * 200, term=6)]
    judge.truncate(1)
    judge.append(6, b"new2" * 200)
    one.write(*jobs)
    judge.all_is_done(2)
    return one, judge


def test_an_old_entry_of_a_higher_term_never_stands_behind_a_new_one() -> None:
    calls = FaultyDisk()
    false_successor(calls)
    for cut_at in range(calls.call_count + 1):
        for seed in range(8):
            disk, judge = FaultyDisk(seed, cut_at), Judge()
            with suppress(PowerCutError):
                _, judge = false_successor(disk)
            if DIRECTORY in disk._durable:
                found = [body[:4] for _, body in contents(open_again(disk.crash(seed)))]
                expected = [b"kept", b"old2", b"old3"]
                assert found == expected[: len(found)] or found == [b"kept", b"new2"]
                assert not judge.certain or found == [b"kept", b"new2"]


class CarelessFiles(GroupFiles):
    """The mutant: moves the end of the log and leaves the old bytes where they are."""

    def cut(self, cut: Cut) -> None:
        self.cut_count += 1
        self.durable = min(self.durable, cut.to_index)


def test_the_judge_notices_a_writer_that_does_not_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GroupFiles, "cut", CarelessFiles.cut)
    disk = FaultyDisk()
    _, judge = false_successor(disk)
    with pytest.raises((AssertionError, CorruptLogError), match=r"never was|durable"):
        judge.check(contents(open_again(disk.crash(1))))


def test_the_judge_notices_a_mark_that_is_not_lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GroupFiles, "_lower_marks", lambda *_: None)
    calls = FaultyDisk()
    false_successor(calls)
    refused = 0
    for cut_at in range(calls.call_count):
        disk = FaultyDisk(cut_at, cut_at)
        with suppress(PowerCutError):
            false_successor(disk)
        if DIRECTORY in disk._durable:
            try:
                open_again(disk.crash(cut_at))
            except CorruptLogError:
                refused += 1
    assert refused


def marks(disk: FaultyDisk, firsts: Sequence[int], one: OneGroup) -> list[int]:
    paths = [(first, one.log.segment_path(first)) for first in firsts]
    return [read_segment_header(path, disk.map(path), GroupId(1), Index(first)).durable for first, path in paths]


def test_the_writer_goes_on_where_the_log_was_cut_whole_segments_back() -> None:
    disk = FaultyDisk()
    one = OneGroup(disk)
    one.write(one.save(9))
    one.write(one.append(*[b"%d" % number * 5_000 for number in range(9)], term=2))
    one.write(NoteDurable(one.files))
    assert len(disk.names(DIRECTORY)) == 5 + 1
    one.write(one.truncate(2))
    assert (one.files.durable, one.files.mark.durable, one.log.durable) == (2, 2, 2)
    assert one.files.plan == one.log.last_plan_or_none
    assert len(disk.names(DIRECTORY)) == 1 + 1
    assert marks(disk, [1], one) == [2]
    one.write(one.append(*[b"next" * 2_000] * 4, term=3))
    one.write(CloseFiles(one.files))
    assert [body[:4] for _, body in contents(open_again(disk.crash(3)))] == [b"0000", b"1111", *[b"next"] * 4]


def test_a_log_can_be_cut_to_nothing() -> None:
    disk = FaultyDisk()
    one = OneGroup(disk)
    one.write(one.save(9))
    one.write(one.append(*[bytes(9_000)] * 3, term=2), one.truncate(0))
    one.write(one.append(bytes(9_000), bytes(9_000), term=2))
    one.write(NoteDurable(one.files))
    one.write(one.truncate(0))
    assert one.log.last_index == 0
    assert disk.names(DIRECTORY) == ["hard_state"]
    one.write(one.append(b"first again", term=3))
    one.write(CloseFiles(one.files))
    assert contents(open_again(disk.crash(4))) == [(3, b"first again")]


def test_what_waits_for_space_is_cut_without_touching_the_disk() -> None:
    disk = FaultyDisk()
    one = OneGroup(disk)
    one.write(one.save(9))
    one.write(one.append(b"kept", term=2))
    disk.no_space = {"create", "write"}
    one.write(one.append(b"waits", bytes(20_000), b"waits, too", term=2))
    assert len(one.files.waiting) == 3
    cut = one.truncate(3)
    one.write(cut)
    assert [run.first_index for run in one.files.waiting] == [2, 3]
    disk.no_space = set()
    one.write(one.append(b"new", term=3))
    assert [term for term, _ in contents(open_again(disk))] == [2, 2, 2, 3]


def test_new_entries_are_written_only_when_the_old_ones_are_gone_for_good() -> None:
    disk = FaultyDisk()
    one = OneGroup(disk)
    one.write(one.append(*[bytes(5_000)] * 6, term=2))
    one.write(NoteDurable(one.files))
    disk.log.clear()
    first, second, third = (one.log.segment_path(at) for at in (1, 3, 5))
    one.write(one.truncate(1), one.append(b"new", term=3))
    changes = [call for call in disk.log if call[0] in {"write", "sync", "remove", "sync_directory"}]
    marks_lowered = [(kind, path) for path in (third, second, first) for kind in ("sync", "write", "sync")]
    zeroed = [("write", first), ("sync", first)]
    removed = [("remove", third), ("remove", second), ("sync_directory", DIRECTORY)]
    assert changes == [*marks_lowered, *zeroed, *removed, ("write", first), ("sync", first)]


def test_one_mark_in_a_file_is_always_whole() -> None:
    """A mark that a power cut tears must not be the only one: the header would count as damaged."""
    one = OneGroup(FaultyDisk())
    for number in range(3):
        one.write(one.append(*[bytes(5_000)] * 3, term=2))
        for _ in range(number):
            one.write(NoteDurable(one.files))
    disk = one.files.disk
    assert isinstance(disk, FaultyDisk)
    for to_index in (7, 5, 3, 1):
        before = {
            path: bytes(disk.content(path)[:4096])
            for path in (one.log.segment_path(at) for at in (1, 3, 5, 7))
            if path.rpartition("/")[2] in disk.names(DIRECTORY)
        }
        one.write(one.truncate(to_index))
        for path, header in before.items():
            if path.rpartition("/")[2] in disk.names(DIRECTORY):
                now = bytes(disk.content(path)[:4096])
                slots = [header[at : at + 512] == now[at : at + 512] for at in (512, 1024)]
                assert any(slots), "one of the two slots is as it was"


def test_an_entry_is_as_it_was_sent_whoever_wrote_it() -> None:
    one = OneGroup(FaultyDisk())
    entry = new_entry(Term(4), Index(1), EntryKind.COMMANDS, 3, [b"a", b"bc"])
    one.write(one.put(entry._replace(body=[memoryview(b"abc")])))
    one.log.hot.cut(Index(0))
    found = one.log.entries(Index(1), 100)[0]
    assert (found.header, bytes(found.body[0]), found.size) == (entry.header, b"abc", 3)
