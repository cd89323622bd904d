"""Letting go of the beginning of a log: the checkpoint says where it begins, files follow it, at any crash."""

import random
from contextlib import suppress

import pytest

from raft.checkpoint import CHECKPOINT_NAME, Checkpoint, CheckpointJob, CheckpointWriter
from raft.errors import CorruptLogError, SegmentReleasedError
from raft.interfaces import GroupId, Index, Place
from raft.recovery import Recovered, recover
from raft.segments import segment_indexes
from raft.writer import NoteDurable
from tests.raft.one_group import SEGMENT_BYTES, OneGroup
from tests.support.faulty_disk import FaultyDisk, PowerCutError

DIRECTORY = "/g1"
ENTRIES = 12  # two in a segment


def body(index: int) -> bytes:
    return b"%02d" % index * 2_500


def save(one: OneGroup, applied: int, configuration: bytes | None = None) -> None:
    """A checkpoint as of an entry, as the group takes it."""
    (entry,) = one.log.entries(Index(applied), 1)
    end = one.log._position_of(Index(applied)) + 26 + entry.size
    facts = one.log.facts_until(Index(applied), Place(one.log.segment_of(Index(applied)), end), configuration)
    CheckpointWriter(one.files.disk).write([CheckpointJob(DIRECTORY, Checkpoint(facts, b"%d" % applied))])


def written(disk: FaultyDisk) -> OneGroup:
    one = OneGroup(disk)
    one.log.hot.bytes_max = 0
    one.write(one.save(3))
    for index in range(1, ENTRIES + 1):
        one.write(one.append(body(index), term=1 + index // 6))
    one.write(NoteDurable(one.files))
    return one


def segments(disk: FaultyDisk) -> list[Index]:
    return segment_indexes(disk.names(DIRECTORY))


def open_again(disk: FaultyDisk) -> Recovered:
    found = recover(disk, DIRECTORY, GroupId(1), SEGMENT_BYTES)
    found.hard_state.close()
    return found


def test_only_segments_wholly_below_are_released_and_never_the_last() -> None:
    one = written(FaultyDisk())
    for index, first in ((1, 1), (2, 1), (3, 3), (4, 3), (8, 7), (12, 11), (99, 11)):
        one.log.release_before(Index(index))
        assert one.log.first_index == first


def test_released_entries_are_refused_and_what_was_read_stays_readable() -> None:
    disk = FaultyDisk()
    one = written(disk)
    view = one.log.read(1, 4096 + 26, 5_000)
    one.log.release_before(Index(6))
    save(one, 8)
    assert segments(disk) == [5, 7, 9, 11]
    assert bytes(view) == body(1)
    with pytest.raises(SegmentReleasedError):
        one.log.read(1, 4096 + 26, 5_000)
    with pytest.raises(SegmentReleasedError):
        one.log.entries(Index(4), 100)
    assert bytes(one.log.entries(Index(5), 100)[0].body[0]) == body(5)
    assert one.log.term(Index(4)) == 1
    with pytest.raises(AssertionError):
        one.log.term(Index(3))


def test_files_stay_until_a_checkpoint_that_begins_behind_them_is_durable() -> None:
    disk = FaultyDisk()
    one = written(disk)
    save(one, 8)
    one.log.release_before(Index(6))
    assert segments(disk) == [1, 3, 5, 7, 9, 11]
    disk.no_space = {"create"}
    save(one, 9)
    assert segments(disk) == [1, 3, 5, 7, 9, 11]
    assert open_again(disk.crash(1)).log.first_index == 1
    disk.no_space = set()
    save(one, 9)
    assert segments(disk) == [5, 7, 9, 11]


def test_a_log_that_begins_later_opens_as_the_checkpoint_says() -> None:
    disk = FaultyDisk()
    one = written(disk)
    one.log.release_before(Index(6))
    save(one, 8)
    found = open_again(disk)
    assert found.checkpoint is not None
    assert (found.log.first_index, found.log.last_index, found.checkpoint.state) == (5, ENTRIES, b"8")
    assert [found.log.term(Index(index)) for index in (4, 5, 6, 12)] == [1, 1, 2, 3]
    assert bytes(found.log.entries(Index(5), 1)[0].body[0]) == body(5)
    following = [bytes(view[entry.body]) for entry, view in found.log.written_entries(Index(9))]
    assert following == [body(index) for index in range(9, ENTRIES + 1)]


@pytest.mark.parametrize("seed", range(5))
def test_a_crash_in_any_call_leaves_a_log_that_opens_from_the_newest_durable_checkpoint(seed: int) -> None:
    def life(disk: FaultyDisk) -> None:
        one = written(disk)
        one.log.hot.bytes_max = 0
        save(one, 5)
        one.log.release_before(Index(5))
        save(one, 8)
        one.log.release_before(Index(9))
        one.write(one.append(b"more", term=3))
        save(one, 12)
        done.append(True)

    done: list[bool] = []
    before, whole = FaultyDisk(seed), FaultyDisk(seed)
    written(before)
    life(whole)
    for cut_at in range(before.call_count, whole.call_count):
        done.clear()
        disk = FaultyDisk(seed, cut_at)
        with suppress(PowerCutError):
            life(disk)
        rng = random.Random(cut_at * 31 + seed)
        copy = disk.crash(cut_at, cut_at=rng.randrange(12))
        with suppress(PowerCutError):
            open_again(copy)
        last = copy.crash(cut_at + 1)
        found = open_again(last)
        assert found.log.last_index >= ENTRIES
        state = None if found.checkpoint is None else found.checkpoint.state
        begins = {None: 1, b"5": 1, b"8": 5, b"12": 9}
        assert found.log.first_index == begins[state]
        assert not done or state == b"12"
        assert segments(last)[0] == found.log.first_index


def test_a_segment_that_the_checkpoint_knows_must_be_there() -> None:
    for missing in (5, 7):
        disk = FaultyDisk()
        one = written(disk)
        one.log.release_before(Index(6))
        save(one, 8)
        disk.remove(one.log.segment_path(missing))
        with pytest.raises(CorruptLogError, match="knows other"):
            open_again(disk)


def test_a_log_that_begins_later_is_refused_without_its_checkpoint() -> None:
    disk = FaultyDisk()
    one = written(disk)
    one.log.release_before(Index(6))
    save(one, 8)
    disk.content(f"{DIRECTORY}/{CHECKPOINT_NAME}")[30] ^= 1
    with pytest.raises(CorruptLogError, match="begins with 5"):
        open_again(disk)


def test_a_replay_goes_on_while_what_lies_before_it_is_released() -> None:
    one = written(FaultyDisk())
    replay = one.log.written_entries(Index(3))
    found = [next(replay)[0].index for _ in range(3)]
    one.log.release_before(Index(6))
    assert found + [entry.index for entry, _ in replay] == list(range(3, ENTRIES + 1))
