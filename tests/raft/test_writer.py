"""Rounds: what is written before what, how often the disk is asked to sync, and what a full or failing disk does."""

import errno
from contextlib import suppress

import pytest

from raft.entries import COPIED_BYTES_MAX, HEADER_BYTES, Entry, EntryKind, new_entry
from raft.hard_state import HardState, HardStateFile
from raft.interfaces import GroupId, Index, NodeId, Term
from raft.segments import MARK_POSITIONS, read_segment_header
from raft.writer import (
    CloseFiles,
    DiskFull,
    EntriesPersisted,
    EntryChanged,
    FilesClosed,
    HardStatePersisted,
    LogWriter,
    NoteDurable,
    Retry,
)
from tests.raft.one_group import OneGroup
from tests.support.faulty_disk import FaultyDisk, PowerCutError


def test_hard_states_go_to_the_disk_before_entries() -> None:
    disk = FaultyDisk()
    one = OneGroup(disk)
    disk.log.clear()
    answers = LogWriter().write_round([one.append(b"x"), one.save(3)])
    assert answers == [
        HardStatePersisted(GroupId(1), HardState(Term(3), NodeId(1))),
        EntriesPersisted(GroupId(1), Term(1), Index(1)),
    ]
    paths = [path for kind, path in disk.log if kind in {"write", "sync"}]
    last_state = max(at for at, path in enumerate(paths) if "hard_state" in path)
    first_entry = min(at for at, path in enumerate(paths) if ".log" in path)
    assert last_state < first_entry


def test_hard_states_of_several_groups_are_saved_copy_by_copy() -> None:
    """Whatever call a power cut falls into, each group has a whole copy of its old or its new state."""
    disk = FaultyDisk()
    groups = [OneGroup(disk, at) for at in (1, 2, 3)]
    disk.log.clear()
    answers = LogWriter().write_round([group.save(4) for group in groups])
    assert [answer.state.term for answer in answers if isinstance(answer, HardStatePersisted)] == [4, 4, 4]
    kinds = [kind for kind, _ in disk.log]
    assert kinds == (["write"] * 3 + ["sync"] * 3) * 2
    for cut_at in range(12):
        for seed in range(5):
            disk = FaultyDisk(seed)
            groups = [OneGroup(disk, at) for at in (1, 2, 3)]
            disk.revived(cut_at)
            with pytest.raises(PowerCutError):
                LogWriter().write_round([group.save(4) for group in groups])
            copy = disk.crash(seed)
            for at in (1, 2, 3):
                assert HardStateFile(copy, f"/g{at}", GroupId(at)).state.term in {0, 4}


def test_a_round_syncs_each_file_once_however_many_entries() -> None:
    disk = FaultyDisk()
    one, two = OneGroup(disk, 1), OneGroup(disk, 2)
    writer = LogWriter()
    writer.write_round([one.append(b"a"), two.append(b"b")])
    disk.calls.clear()
    jobs = [group.append(b"%d" % number) for number in range(50) for group in (one, two)]
    answers = writer.write_round(jobs)
    assert answers == [EntriesPersisted(GroupId(at), Term(1), Index(51)) for at in (1, 2)]
    assert disk.calls == {"sync": 2, "write": 2}, "a vectored write and a sync for each group, and no mark"


def test_a_mark_is_written_when_it_is_asked_for_and_only_if_it_says_something_new() -> None:
    disk = FaultyDisk()
    one = OneGroup(disk)
    writer = LogWriter()
    writer.write_round([one.append(b"a", b"b")])
    disk.calls.clear()
    assert writer.write_round([NoteDurable(one.files), NoteDurable(one.files)]) == []
    assert disk.calls == {"write": 1}
    path = one.log.segment_path(1)
    assert read_segment_header(path, disk.map(path), GroupId(1), Index(1)).durable == 2


def configuration(index: int) -> Entry:
    return new_entry(Term(1), Index(index), EntryKind.CONFIGURATION, 4, [b"some"])


def test_a_configuration_is_called_durable_when_both_marks_say_so() -> None:
    disk = FaultyDisk()
    one = OneGroup(disk)
    writer = LogWriter()
    writer.write_round([one.append(b"a")])
    disk.log.clear()
    answers = writer.write_round([one.put(configuration(2)), one.append(b"b")])
    assert answers == [EntriesPersisted(GroupId(1), Term(1), Index(3))]
    assert [kind for kind, _ in disk.log] == ["write", "sync"] * 3, "the entries, and each mark by itself"
    path = one.log.segment_path(1)
    for position in MARK_POSITIONS:
        copy = disk.crash(7)
        copy.content(path)[position] ^= 1
        assert read_segment_header(path, copy.map(path), GroupId(1), Index(1)).durable == 3


def test_wherever_the_power_fails_a_configuration_that_a_start_finds_is_marked() -> None:
    """Nobody was told of it, but it is in force from now on, and may not be forgotten any more."""
    found_count = 0
    for calls in range(1, 7):
        disk = FaultyDisk()
        one = OneGroup(disk)
        LogWriter().write_round([one.save(1), one.append(b"a")])
        disk.revived(calls)
        with suppress(PowerCutError):
            LogWriter().write_round([one.put(configuration(2))])
        copy = disk.crash(calls)
        again = OneGroup.opened(copy)
        path = again.log.segment_path(1)
        if again.log.last_index == 2:
            found_count += 1
            for position in MARK_POSITIONS:
                rotten = copy.crash(7)
                rotten.content(path)[position] ^= 1
                assert read_segment_header(path, rotten.map(path), GroupId(1), Index(1)).durable == 2
    assert found_count > 2


def test_a_new_segment_knows_what_is_durable_whether_it_was_marked_or_not() -> None:
    disk = FaultyDisk()
    one = OneGroup(disk)
    writer = LogWriter()
    writer.write_round([one.append(b"a", b"b")])
    writer.write_round([one.append(bytes(20_000))])
    path = one.log.segment_path(3)
    assert read_segment_header(path, disk.map(path), GroupId(1), Index(3)).durable == 2


def test_behind_a_small_run_blocks_are_written_ahead_once_and_never_behind_the_segment() -> None:
    disk = FaultyDisk()
    one = OneGroup(disk)
    writer = LogWriter()
    job = one.append(b"a")
    writer.write_round([job])
    assert one.files.written_end == 16_384 == len(disk.content(one.log.segment_path(1)))
    disk.content(one.log.segment_path(1))[9_000:9_003] = b"xyz"
    writer.write_round([one.append(b"b")])
    assert disk.content(one.log.segment_path(1))[9_000:9_003] == b"xyz", "not written ahead again"
    assert one.stored() == [b"a", b"b"]


def test_a_segment_that_is_left_is_synced_before_the_next_is_written() -> None:
    disk = FaultyDisk()
    one = OneGroup(disk)
    LogWriter().write_round([one.append(*[bytes(5_000)] * 5)])
    events = [(kind, path.removesuffix(".new")) for kind, path in disk.log if kind in {"write", "sync"}]
    first, second = one.log.segment_path(1), one.log.segment_path(3)
    entries_of_second = [at for at, event in enumerate(events) if event == ("write", second)][1]
    assert ("sync", first) in events[events.index(("write", first)) + 2 : entries_of_second]


def test_an_entry_larger_than_a_segment_gets_its_own() -> None:
    disk = FaultyDisk()
    one = OneGroup(disk)
    bodies = [b"small", b"large" * 10_000, b"small again"]
    LogWriter().write_round([one.append(*bodies)])
    assert one.stored() == bodies
    assert len(disk.content(one.log.segment_path(2))) == 57_344


@pytest.mark.parametrize("full", ["create", "write"])
def test_on_a_full_disk_entries_wait_in_order_and_are_acknowledged_when_written(full: str) -> None:
    disk = FaultyDisk()
    one, other = OneGroup(disk, 1), OneGroup(disk, 2)
    writer = LogWriter()
    disk.no_space = {full}
    assert writer.write_round([one.append(b"a", b"b")]) == [DiskFull(GroupId(1))]
    assert writer.write_round([one.append(b"c")]) == [DiskFull(GroupId(1))]
    assert writer.write_round([Retry(one.files)]) == [DiskFull(GroupId(1))]
    disk.no_space = set()
    assert writer.write_round([other.append(b"z")]) == [EntriesPersisted(GroupId(2), Term(1), Index(1))]
    assert writer.write_round([Retry(one.files)]) == [EntriesPersisted(GroupId(1), Term(1), Index(3))]
    assert one.stored() == [b"a", b"b", b"c"]
    assert writer.write_round([Retry(one.files)]) == []


def test_what_fits_before_the_disk_is_full_is_acknowledged() -> None:
    disk = FaultyDisk()
    one = OneGroup(disk)
    writer = LogWriter()
    writer.write_round([one.append(b"a")])
    disk.no_space = {"create"}
    answers = writer.write_round([one.append(b"b", bytes(20_000), b"d")])
    assert answers == [EntriesPersisted(GroupId(1), Term(1), Index(2)), DiskFull(GroupId(1))]
    disk.no_space = set()
    assert writer.write_round([Retry(one.files)]) == [EntriesPersisted(GroupId(1), Term(1), Index(4))]


def test_a_failed_sync_is_raised_and_acknowledges_nothing() -> None:
    disk = FaultyDisk()
    one = OneGroup(disk)
    writer = LogWriter()
    writer.write_round([one.append(b"a")])
    disk.sync_error = OSError(errno.EIO, "bad sector")
    with pytest.raises(OSError, match="bad sector"):
        writer.write_round([one.append(b"b")])


def test_a_sync_that_finds_no_space_is_no_full_disk_but_a_failed_sync() -> None:
    disk = FaultyDisk()
    one = OneGroup(disk)
    writer = LogWriter()
    writer.write_round([one.append(b"a")])
    disk.sync_error = OSError(errno.ENOSPC, "delayed allocation")
    with pytest.raises(OSError, match="delayed"):
        writer.write_round([one.append(b"b")])


def test_any_other_write_error_is_raised() -> None:
    disk = FaultyDisk()
    one = OneGroup(disk)
    disk.cut_at = disk.call_count + 1
    with pytest.raises(OSError, match="power"):
        LogWriter().write_round([one.append(b"a")])


def test_a_buffer_that_changed_is_not_written_and_nothing_after_it() -> None:
    disk = FaultyDisk()
    one = OneGroup(disk)
    one.write(one.save(1))
    body = bytearray(COPIED_BYTES_MAX + 1)  # a smaller one is copied
    job = one.append(b"before", body, b"after")
    body[0] ^= 1
    writer = LogWriter()
    assert writer.write_round([job]) == [
        EntryChanged(GroupId(1), Index(2)),
        EntriesPersisted(GroupId(1), Term(1), Index(1)),
    ]
    assert writer.write_round([one.append(b"later")]) == []
    assert [found[HEADER_BYTES:] for _, _, found in OneGroup.opened(disk).everything()] == [b"before"]


def test_closing_makes_the_mark_durable_and_gives_up_what_waits_for_space() -> None:
    disk = FaultyDisk()
    one = OneGroup(disk)
    writer = LogWriter()
    writer.write_round([one.append(b"a")])
    disk.no_space = {"write"}
    writer.write_round([one.append(b"b")])
    disk.no_space = set()
    assert writer.write_round([CloseFiles(one.files)]) == [FilesClosed(GroupId(1))]
    copy = disk.crash(1)
    path = one.log.segment_path(1)
    assert read_segment_header(path, memoryview(copy.content(path)), GroupId(1), Index(1)).durable == 1
