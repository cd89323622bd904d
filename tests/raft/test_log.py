"""The log as the core sees it: what is in memory, what comes from files, what a truncation leaves."""

import random

import pytest
from hypothesis import given, settings
from hypothesis.strategies import DataObject, data, integers, lists, sampled_from

from raft.entries import HEADER_BYTES, Entry, EntryKind, matches, new_entry
from raft.errors import CorruptLogError, SegmentReleasedError
from raft.interfaces import GroupId, Index, Term
from raft.log import SegmentLog, TermStarts
from raft.segments import PAGE_BYTES
from raft.writer import EntriesPersisted
from tests.raft.one_group import OneGroup
from tests.support.faulty_disk import FaultyDisk


def joined(entry: Entry) -> tuple[int, int, bytes, bytes]:
    return entry.term, entry.index, entry.header, b"".join(entry.body)


def filled(disk: FaultyDisk, count: int, *, hot_bytes: int, body_bytes: int = 100) -> tuple[OneGroup, list[Entry]]:
    one = OneGroup(disk)
    one.log.hot.bytes_max = hot_bytes
    entries = [
        new_entry(
            Term(1 + number // 7), Index(number), EntryKind.COMMANDS, body_bytes, [b"%4d" % number * (body_bytes // 4)]
        )
        for number in range(1, count + 1)
    ]
    one.write(one.put(*entries))
    return one, entries


@pytest.mark.parametrize("hot_bytes", [0, 1_000, 1 << 30])
def test_entries_are_the_same_from_memory_and_from_files(hot_bytes: int) -> None:
    one, entries = filled(FaultyDisk(), 400, hot_bytes=hot_bytes)
    for first in (1, 2, 63, 64, 65, 128, 200, 399, 400):
        index = first
        while index <= 400:
            found = one.log.entries(Index(index), 2_000)
            assert [joined(entry) for entry in found] == [joined(entry) for entry in entries[index - 1 :][: len(found)]]
            assert all(matches(entry.header, entry.body) and entry.size == 100 for entry in found)
            assert len(found) == 1 or sum(HEADER_BYTES + entry.size for entry in found) <= 2_000
            index += len(found)


def test_an_entry_larger_than_asked_for_is_handed_out_alone() -> None:
    one, _ = filled(FaultyDisk(), 3, hot_bytes=0, body_bytes=4_000)
    assert [entry.index for entry in one.log.entries(Index(2), 1)] == [2]


def test_what_is_in_files_is_not_copied() -> None:
    disk = FaultyDisk()
    one, _ = filled(disk, 3, hot_bytes=0)
    (body,) = one.log.entries(Index(1), 1)[0].body
    assert isinstance(body, memoryview)
    assert body.obj is disk.content(one.log.segment_path(1))


def test_only_what_is_durable_is_let_go_from_memory() -> None:
    disk = FaultyDisk()
    one, _ = filled(disk, 3, hot_bytes=0)
    job = one.append(b"four", b"five", term=9)
    disk.log.clear()
    assert [entry.index for entry in one.log.entries(Index(4), 1 << 20)] == [4, 5]
    assert not disk.log
    one.write(job)
    assert [entry.index for entry in one.log.entries(Index(4), 1 << 20)] == [4, 5]
    assert ("map", one.log.segment_path(1)) in disk.log


def test_memory_keeps_the_newest_and_no_more_than_its_bytes() -> None:
    one, _ = filled(FaultyDisk(), 100, hot_bytes=10 * 126)
    assert [index for index in range(1, 101) if Index(index) in one.log.hot] == list(range(91, 101))


def test_a_term_is_known_from_the_entry_before_the_first_one() -> None:
    one, entries = filled(FaultyDisk(), 20, hot_bytes=0)
    assert one.log.term(Index(0)) == 0
    assert [one.log.term(entry.index) for entry in entries] == [entry.term for entry in entries]
    for outside in (-1, 21):
        with pytest.raises(AssertionError):
            one.log.term(Index(outside))


def test_a_damaged_entry_is_not_handed_out() -> None:
    disk = FaultyDisk()
    one, _ = filled(disk, 10, hot_bytes=0)
    disk.content(one.log.segment_path(1))[4096 + 4 * 126 + 50] ^= 1
    assert len(one.log.entries(Index(1), 4 * 126)) == 4
    for first in (1, 5):
        with pytest.raises(CorruptLogError, match="entry 5"):
            one.log.entries(Index(first), 1 << 20)
    assert len(one.log.entries(Index(6), 1 << 20)) == 5


def test_entries_before_the_first_are_released() -> None:
    one, _ = filled(FaultyDisk(), 10, hot_bytes=0)
    with pytest.raises(SegmentReleasedError):
        one.log.entries(Index(0), 100)


def segments_behind_their_headers(one: OneGroup) -> dict[str, bytes]:
    disk = one.files.disk
    names = [name for name in disk.names(one.files.directory) if name.endswith(".log")]
    return {name: disk.read(f"{one.files.directory}/{name}")[PAGE_BYTES:] for name in names}


@settings(max_examples=60, deadline=None)
@given(data=data(), sizes=lists(integers(0, 6_000), min_size=1, max_size=40), hot=sampled_from([0, 4_000, 1 << 30]))
def test_a_truncated_log_is_one_that_was_never_longer(data: DataObject, sizes: list[int], hot: int) -> None:
    """Before or after the cut entries were written; what follows goes where it would have gone."""
    rng = random.Random(len(sizes))
    kept = data.draw(integers(0, len(sizes) - 1))
    written = data.draw(integers(0, len(sizes)))
    cut, never = OneGroup(FaultyDisk()), OneGroup(FaultyDisk())
    for one in (cut, never):
        one.log.hot.bytes_max = hot
    bodies = [rng.randbytes(size) for size in sizes]
    jobs = [cut.append(body, term=1 + number // 5) for number, body in enumerate(bodies)]
    cut.write(*jobs[:written])
    late = jobs[written:]
    never.write(*[never.append(body, term=1 + number // 5) for number, body in enumerate(bodies[:kept])])
    cut.write(*late, cut.truncate(kept))
    assert cut.log.last_index == kept
    cut.write(cut.append(b"next" * 700, b"", term=20))
    never.write(never.append(b"next" * 700, b"", term=20))
    assert cut.log.last_index == never.log.last_index
    assert cut.everything() == never.everything()
    assert cut.stored() == never.stored()
    assert segments_behind_their_headers(cut) == segments_behind_their_headers(never)


def test_a_late_completion_of_a_cut_entry_says_nothing_even_if_the_entry_came_again() -> None:
    one = OneGroup(FaultyDisk())
    first = one.append(b"one", b"two", term=2)
    answers = one.writer.write_round([first])
    cut = one.truncate(1)
    again = one.append(b"two", term=2)
    one.hear(answers)
    assert one.log.durable == 0, "entry 2 of term 2 was written, and will be cut"
    one.write(cut, again)
    assert one.log.durable == 2
    assert not one.log.on_persisted(Term(2), Index(2), 1), "nothing new"
    assert EntriesPersisted(GroupId(1), Term(2), Index(2), 1) in one.heard


def test_terms_of_cut_entries_are_forgotten() -> None:
    starts = TermStarts(((Index(1), Term(1)), (Index(5), Term(3)), (Index(9), Term(4))))
    starts.cut(Index(5))
    assert starts.until(Index(100)) == ((1, 1), (5, 3))
    starts.cut(Index(4))
    starts.add(Index(5), Term(2))
    assert [starts.term_of(Index(index)) for index in (0, 1, 4, 5, 9)] == [0, 1, 1, 2, 2]


def test_a_segment_that_was_cut_off_is_never_taken_for_the_new_one_of_its_name() -> None:
    disk = FaultyDisk()
    one = OneGroup(disk)
    one.log.hot.bytes_max = 0
    one.write(one.append(*[bytes(9_000)] * 3))
    assert one.log.entries(Index(2), 1)[0].body[0] == bytes(9_000)  # mapped
    cut = one.truncate(1)
    new = one.append(b"new" * 3_000, term=2)
    one.write(cut, new)
    assert bytes(one.log.entries(Index(2), 1)[0].body[0]) == b"new" * 3_000


def test_a_log_that_is_not_written_yet_has_no_files_to_look_at() -> None:
    log = SegmentLog(FaultyDisk(), "/none", GroupId(1), segment_bytes=16_384, segments=[], terms=TermStarts())
    assert (log.first_index, log.last_index, log.term(Index(0)), log.last_term) == (1, 0, 0, 0)
