"""Damage of a member with peers: what is intact is kept, the member knows that it is damaged until it was healed."""

import random
from contextlib import suppress

import pytest

from raft.checkpoint import CHECKPOINT_NAME
from raft.configuration import Configuration, Peer, encode_configuration
from raft.damage import DAMAGE_NAME, Damage, note_damage, read_damage_or_none
from raft.entries import EntryKind, new_entry
from raft.errors import CorruptLogError, ForeignDirectoryError, UnknownFormatError, VoteLostError
from raft.group_files import GroupFiles
from raft.hard_state import HARD_STATE_NAME
from raft.interfaces import GroupId, Index, NodeId, Term
from raft.recovery import Recovered, recover
from raft.segments import FIXED, segment_indexes
from raft.writer import ClearDamage, CloseFiles, NoteBadEntry, NoteDurable
from tests.raft.one_group import SEGMENT_BYTES, OneGroup
from tests.raft.test_release import DIRECTORY, body
from tests.raft.test_release import save as save_without_configuration
from tests.support.faulty_disk import FaultyDisk, PowerCutError

ME = Peer(NodeId(1), "disk-one")
OTHER = Peer(NodeId(2), "disk-two")
ENTRIES = 12


def written(disk: FaultyDisk, *voters: Peer) -> OneGroup:
    """Entry 1 is the configuration; two entries of 5,000 bytes in a segment."""
    one = OneGroup(disk)
    one.log.hot.bytes_max = 0
    one.write(one.save(3))
    configuration = encode_configuration(Configuration(voters=voters or (ME, OTHER)))
    head = [new_entry(Term(1), Index(1), EntryKind.CONFIGURATION, len(configuration), [configuration])]
    one.write(one.put(*head))
    for index in range(2, ENTRIES + 1):
        one.write(one.append(body(index), term=1 + index // 6))
    one.write(NoteDurable(one.files))
    return one


def save(one: OneGroup, applied: int) -> None:
    save_without_configuration(one, applied, encode_configuration(Configuration(voters=(ME, OTHER))))


def spoil(disk: FaultyDisk, one: OneGroup, index: int) -> None:
    segment = one.log.segment_of(Index(index))
    disk.content(one.log.segment_path(segment))[one.log._position_of(Index(index)) + 30] ^= 4


def open_again(disk: FaultyDisk, *, has_peers: bool = False) -> Recovered:
    found = recover(disk, DIRECTORY, GroupId(1), SEGMENT_BYTES, me=ME, has_peers=has_peers)
    found.hard_state.close()
    return found


def bodies(found: Recovered) -> list[bytes]:
    return [bytes(view[entry.body]) for entry, view in found.log.written_entries(found.log.first_index)][1:]


def test_what_lies_before_the_damage_is_kept_and_the_member_stays_damaged() -> None:
    disk = FaultyDisk()
    one = written(disk)
    spoil(disk, one, 8)
    for _ in range(3):
        found = open_again(disk)
        assert found.is_damaged
        assert (found.log.last_index, found.mark.durable) == (7, 7)
        assert bodies(found) == [body(index) for index in range(2, 8)]
        disk = disk.crash(7)
    assert segment_indexes(disk.names(DIRECTORY)) == [1, 4, 6, 8]
    note = read_damage_or_none(disk, DIRECTORY)
    assert note is not None
    assert "entry 8" in note.reason


def test_a_member_alone_refuses_and_nothing_is_changed() -> None:
    disk = FaultyDisk()
    one = written(disk, ME)
    spoil(disk, one, 8)
    before = disk.names(DIRECTORY)
    with pytest.raises(CorruptLogError, match="entry 8"):
        open_again(disk)
    assert disk.names(DIRECTORY) == before


def test_peers_that_the_caller_knows_of_count_too() -> None:
    disk = FaultyDisk()
    one = written(disk)
    spoil(disk, one, 1)
    with pytest.raises(CorruptLogError):
        open_again(disk)  # the entry that names the voters is the damaged one
    found = open_again(disk, has_peers=True)
    assert (found.is_damaged, found.log.last_index, found.configuration) == (True, 0, None)


def test_a_torn_tail_is_no_damage() -> None:
    disk = FaultyDisk()
    one = written(disk)
    one.write(one.append(b"never noted", term=3))
    spoil(disk, one, ENTRIES + 1)
    found = open_again(disk)
    assert (found.is_damaged, found.log.last_index) == (False, ENTRIES)


def test_a_healed_member_is_whole_again() -> None:
    disk = FaultyDisk()
    one = written(disk)
    spoil(disk, one, 8)
    found = recover(disk, DIRECTORY, GroupId(1), SEGMENT_BYTES, me=ME)
    plan = found.log.last_plan_or_none
    assert plan is not None
    one.log = found.log
    one.files = GroupFiles(
        disk=disk,
        directory=DIRECTORY,
        group_id=GroupId(1),
        hard_state=found.hard_state,
        mark=found.mark,
        plan=plan,
        file=disk.open(found.log.segment_path(plan.first_index)),
    )
    one.write(one.append(*[body(index) for index in range(8, 13)], term=3))
    assert open_again(disk.crash(1)).is_damaged
    one.write(ClearDamage(one.files))
    again = open_again(disk.crash(2))
    assert not again.is_damaged
    assert bodies(again) == [body(index) for index in range(2, 13)]


@pytest.mark.parametrize("first", [1, 4, 8, 12])
def test_a_damaged_segment_header_ends_the_log_before_it(first: int) -> None:
    disk = FaultyDisk()
    one = written(disk)
    disk.content(one.log.segment_path(first))[20] ^= 1
    found = open_again(disk, has_peers=True)
    assert (found.is_damaged, found.log.last_index) == (True, first - 1)
    assert not open_again_cleared(disk).is_damaged


def open_again_cleared(disk: FaultyDisk) -> Recovered:
    disk.remove(f"{DIRECTORY}/{DAMAGE_NAME}")
    return open_again(disk)


def test_a_missing_segment_ends_the_log_before_it() -> None:
    for checkpoint in (None, 9):
        for first, last in ((4, 3), (8, 7), (12, 12)):
            disk = FaultyDisk()
            one = written(disk)
            one.write(one.append(b"", b"", term=3), NoteDurable(one.files))
            if checkpoint:
                save(one, checkpoint)
            disk.remove(one.log.segment_path(first))
            found = open_again(disk)
            if first == 12:
                assert found.log.last_index == 11, "nothing on the disk says that there was more"
                continue
            assert (found.is_damaged, found.log.last_index) == (True, last)
            assert found.checkpoint is None


def test_damage_behind_the_checkpoint_keeps_the_checkpoint() -> None:
    disk = FaultyDisk()
    one = written(disk)
    save(one, 6)
    spoil(disk, one, 9)
    found = open_again(disk)
    assert (found.is_damaged, found.log.last_index) == (True, 8)
    assert found.checkpoint is not None
    assert found.checkpoint.facts.applied == 6


def test_a_damaged_checkpoint_of_a_log_from_the_beginning_is_only_replayed() -> None:
    disk = FaultyDisk()
    one = written(disk)
    save(one, 6)
    disk.content(f"{DIRECTORY}/{CHECKPOINT_NAME}")[40] ^= 1
    found = open_again(disk)
    assert (found.is_damaged, found.checkpoint, found.log.last_index) == (False, None, ENTRIES)


def test_a_damaged_checkpoint_of_a_log_that_begins_later_leaves_nothing() -> None:
    disk = FaultyDisk()
    one = written(disk)
    one.log.release_before(Index(6))
    save(one, 8)
    disk.content(f"{DIRECTORY}/{CHECKPOINT_NAME}")[40] ^= 1
    with pytest.raises(CorruptLogError, match="begins with 6"):
        open_again(disk)
    found = open_again(disk, has_peers=True)
    assert (found.is_damaged, found.log.first_index, found.log.last_index) == (True, 1, 0)
    assert found.hard_state.state.term == 3, "promises are kept"
    assert sorted(disk.names(DIRECTORY)) == [DAMAGE_NAME, HARD_STATE_NAME]
    assert open_again(disk).is_damaged


def test_damage_noted_while_serving_makes_the_next_start_read_everything() -> None:
    disk = FaultyDisk()
    one = written(disk)
    save(one, 10)
    spoil(disk, one, 5)
    assert open_again(disk).log.last_index == ENTRIES, "a start does not read below the checkpoint"
    note_damage(disk, DIRECTORY, Damage(reason="entry 5", is_cold=True))
    for _ in range(2):
        found = open_again(disk)
        assert (found.is_damaged, found.log.last_index, found.checkpoint) == (True, 4, None)
    assert CHECKPOINT_NAME not in disk.names(DIRECTORY)


def test_the_writer_notes_what_was_found_while_serving_before_it_closes_the_files() -> None:
    disk = FaultyDisk()
    one = written(disk)
    save(one, 10)
    spoil(disk, one, 5)
    with pytest.raises(CorruptLogError) as found:
        one.log.entries(Index(5), 100)
    one.write(CloseFiles(one.files), NoteBadEntry(one.files, str(found.value)))
    again = open_again(disk.crash(1))
    assert (again.is_damaged, again.log.last_index) == (True, 4)


def test_damage_that_is_met_on_a_full_disk_is_not_noted_and_stops_nothing() -> None:
    disk = FaultyDisk()
    one = written(disk)
    save(one, 10)
    disk.no_space = {"create", "write"}
    answers = one.write(NoteBadEntry(one.files, "a bit"), one.append(b"x", term=3), CloseFiles(one.files))
    assert [type(answer).__name__ for answer in answers] == ["DiskFull", "FilesClosed"]
    disk.no_space = set()
    assert not open_again(disk).is_damaged
    one = written(disk := FaultyDisk())
    disk.sync_error = OSError(5, "a failed sync")
    with pytest.raises(OSError, match="failed sync"):
        one.write(NoteBadEntry(one.files, "a bit"))


def test_damage_that_was_noted_and_is_not_there_costs_only_a_replay() -> None:
    disk = FaultyDisk()
    one = written(disk)
    save(one, 10)
    note_damage(disk, DIRECTORY, Damage(reason="a cable", is_cold=True))
    found = open_again(disk)
    assert (found.is_damaged, found.log.last_index) == (True, ENTRIES)
    again = open_again(disk)
    assert again.checkpoint is not None


def test_whoever_lost_term_and_vote_never_comes_back() -> None:
    """It may have promised a term that it does not know: neither its vote nor its acknowledgement may count again."""
    for has_peers in (False, True):
        disk = FaultyDisk()
        written(disk)
        path = f"{DIRECTORY}/{HARD_STATE_NAME}"
        disk.content(path)[9] ^= 1
        assert not open_again(disk.crash(1)).is_damaged, "the other copy is intact"
        disk.content(path)[4096 + 9] ^= 1
        with pytest.raises(VoteLostError):
            open_again(disk, has_peers=has_peers)
        disk.remove(path)
        with pytest.raises(VoteLostError):
            open_again(disk, has_peers=has_peers)


def test_a_term_below_that_of_the_log_is_a_lost_vote() -> None:
    disk = FaultyDisk()
    one = written(disk)
    one.write(one.append(b"of a term that was never noted", term=4), NoteDurable(one.files))
    with pytest.raises(VoteLostError, match="term 4"):
        open_again(disk, has_peers=True)


def test_what_is_foreign_or_unknown_is_refused_with_peers_too() -> None:
    disk = FaultyDisk()
    written(disk)
    with pytest.raises(ForeignDirectoryError):
        recover(disk, DIRECTORY, GroupId(2), SEGMENT_BYTES, me=ME, has_peers=True)
    from crc32c import crc32c

    path = f"{DIRECTORY}/{1:020d}.log"
    content = disk.content(path)
    content[9] = 7
    content[FIXED.size : FIXED.size + 4] = crc32c(bytes(content[: FIXED.size])).to_bytes(4)
    with pytest.raises(UnknownFormatError):
        open_again(disk, has_peers=True)


@pytest.mark.parametrize("released", [False, True])
def test_a_crash_in_any_call_of_the_repair_changes_nothing_about_its_outcome(released: bool) -> None:
    def damaged(seed: int) -> FaultyDisk:
        disk = FaultyDisk(seed)
        one = written(disk)
        if released:
            one.log.release_before(Index(6))
            save(one, 8)
        spoil(disk, one, 10)
        return disk

    start = damaged(0)
    calls = start.call_count
    open_again(start)
    for cut_at in range(start.call_count - calls):
        for seed in range(6):
            disk = damaged(seed).revived(cut_at)
            with suppress(PowerCutError):
                open_again(disk)
            copy = disk.crash(seed, cut_at=random.Random(seed).randrange(20))
            with suppress(PowerCutError):
                open_again(copy)
            found = open_again(copy.crash(seed))
            assert (found.is_damaged, found.log.last_index) == (True, 9)
            assert found.log.first_index == (6 if released else 1)
