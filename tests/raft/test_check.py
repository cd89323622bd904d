"""Looking at a stopped group: a healthy one is clean, each planted damage is found, nothing is changed."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest
from crc32c import crc32c

from raft.check import GroupReport, check_group
from raft.checkpoint import CHECKPOINT_NAME
from raft.damage import Damage, note_damage
from raft.entries import EntryKind, new_entry
from raft.interfaces import GroupId, Index, Term
from raft.segments import FIXED
from raft.staged_files import INSTALLING_NAME
from raft.writer import CloseFiles
from tests.raft.one_group import OneGroup
from tests.raft.test_install import FileSource, StagedFiles, Wire, at_once, behind, fetch_files, leader, source_of
from tests.raft.test_release import DIRECTORY, body, save
from tests.raft.test_truncation import Judge, random_life
from tests.support.faulty_disk import FaultyDisk, PowerCutError

ENTRIES = 12


def stopped(*, released: int = 0, applied: int = 8) -> tuple[FaultyDisk, OneGroup]:
    disk = FaultyDisk()
    one = OneGroup(disk)
    one.log.hot.bytes_max = 0
    one.write(one.save(4))
    for index in range(1, ENTRIES + 1):
        one.write(one.append(body(index), term=1 + index // 5))
    one.log.release_before(Index(released))
    if applied:
        save(one, applied)
    one.write(CloseFiles(one.files))
    return disk, one


def check(disk: FaultyDisk, *, group: int = 1) -> GroupReport:
    before = dict(disk.calls)
    report = check_group(disk, DIRECTORY, GroupId(group))
    changes = {kind for kind in disk.calls if disk.calls[kind] != before.get(kind, 0)}
    assert changes <= {"names", "read", "map"}, "a check changes nothing"
    return report


@pytest.mark.parametrize(("released", "applied"), [(0, 0), (0, 8), (6, 8), (6, 12), (11, 11)])
def test_a_clean_log_has_no_findings(released: int, applied: int) -> None:
    disk, one = stopped(released=released, applied=applied)
    report = check(disk)
    assert report.findings == []
    assert (report.first_index, report.last_index, report.term) == (one.log.first_index, ENTRIES, 4)
    assert report.segment_count == len(one.log._segments)
    assert report.entry_bytes == sum(segment.end_position - 4096 for segment in one.log._segments)


def test_an_empty_group_has_no_findings() -> None:
    disk = FaultyDisk()
    OneGroup(disk)
    assert check(disk).findings == []


def header_crc(disk: FaultyDisk, path: str) -> None:
    content = disk.content(path)
    content[FIXED.size : FIXED.size + 4] = crc32c(bytes(content[: FIXED.size])).to_bytes(4)


def flip(path: Callable[[OneGroup], str], position: int) -> Callable[[FaultyDisk, OneGroup], None]:
    def plant(disk: FaultyDisk, one: OneGroup) -> None:
        disk.content(path(one))[position] ^= 1

    return plant


def segment(first: int) -> Callable[[OneGroup], str]:
    return lambda one: one.log.segment_path(first)


def missing(path: Callable[[OneGroup], str]) -> Callable[[FaultyDisk, OneGroup], None]:
    return lambda disk, one: disk.remove(path(one))


def zeroed_tail(disk: FaultyDisk, one: OneGroup) -> None:
    content = disk.content(one.log.segment_path(11))
    content[4096:] = bytes(len(content) - 4096)


def other_format(disk: FaultyDisk, one: OneGroup) -> None:
    disk.content(one.log.segment_path(3))[9] = 9
    header_crc(disk, one.log.segment_path(3))


def both_copies(disk: FaultyDisk, one: OneGroup) -> None:
    del one
    content = disk.content(f"{DIRECTORY}/hard_state")
    content[9] ^= 1
    content[4096 + 9] ^= 1


def both_marks(disk: FaultyDisk, one: OneGroup) -> None:
    content = disk.content(one.log.segment_path(7))
    content[512:2048] = bytes(1536)


def older_checkpoint(disk: FaultyDisk, one: OneGroup) -> None:
    """Of a log with other places."""
    other = OneGroup(FaultyDisk())
    other.log._segment_bytes = 32_768
    other.write(other.save(4))
    other.log.hot.bytes_max = 0
    for index in range(1, 9):
        other.write(other.append(body(index), term=1 + index // 5))
    save(other, 8)
    disk.content(f"{DIRECTORY}/{CHECKPOINT_NAME}")[:] = other.files.disk.read(f"{DIRECTORY}/{CHECKPOINT_NAME}")
    del one


def fallen_term(disk: FaultyDisk, one: OneGroup) -> None:
    path = one.log.segment_path(7)
    entry = new_entry(Term(1), Index(7), EntryKind.COMMANDS, len(body(7)), [body(7)])
    disk.content(path)[4096 : 4096 + 26] = entry.header


def lower_hard_state(disk: FaultyDisk, one: OneGroup) -> None:
    del one
    fresh = OneGroup(FaultyDisk())
    fresh.write(fresh.save(1))
    disk.content(f"{DIRECTORY}/hard_state")[:] = fresh.files.disk.read(f"{DIRECTORY}/hard_state")


def noted(disk: FaultyDisk, one: OneGroup) -> None:
    del one
    note_damage(disk, DIRECTORY, Damage(reason="entry 3"))


CHECKPOINT = f"{DIRECTORY}/{CHECKPOINT_NAME}"


@pytest.mark.parametrize(
    ("plant", "path", "what"),
    [
        (flip(segment(1), 4096 + 3_000), "01.log", "entry 1 is damaged"),
        (flip(segment(5), 4096 + 8), "05.log", "entry 5 is damaged"),
        (flip(segment(5), 4096 + 6_000), "05.log", "entry 6 is damaged"),
        (flip(segment(11), 4096 + 6_000), "11.log", "entry 12 at position 9122 is not intact"),
        (flip(segment(3), 0), "03.log", "header is damaged"),
        (flip(segment(3), 20), "03.log", "header is damaged"),
        (missing(segment(5)), "07.log", "entry 5 is damaged or missing"),
        (missing(segment(1)), "/g1", "begins with entry 3, not 1"),
        (zeroed_tail, "/g1", "ends with entry 10"),
        (both_marks, "07.log", "neither durable mark"),
        (other_format, "03.log", "segment format"),
        (fallen_term, "07.log", "entry 7 is damaged"),
        (flip(lambda _: CHECKPOINT, 40), "checkpoint", "CRC"),
        (flip(lambda _: CHECKPOINT, 0), "checkpoint", "CRC"),
        (older_checkpoint, "checkpoint", "does not agree with segment 1"),
        (missing(lambda _: f"{DIRECTORY}/hard_state"), "hard_state", "missing beside a log"),
        (both_copies, "hard_state", "neither copy"),
        (lower_hard_state, "/g1", "an entry of term 3, but the term is 1"),
        (noted, "damaged", "not healed by its peers yet: entry 3"),
    ],
)
def test_each_damage_is_found_where_it_is(plant: Callable[[FaultyDisk, OneGroup], None], path: str, what: str) -> None:
    disk, one = stopped()
    plant(disk, one)
    report = check(disk)
    assert report.is_damaged
    assert any(found.is_damage and found.path.endswith(path) and what in found.what for found in report.findings), (
        report.findings
    )


def test_a_log_that_ends_before_its_checkpoint_is_damaged() -> None:
    """No mark says so: that of the segment before is older."""
    disk, one = stopped(applied=12)
    disk.remove(one.log.segment_path(11))
    said = [found.what for found in check(disk).findings if found.is_damage]
    assert said == ["as of entry 12, but the log ends with 10"]


def test_every_flipped_bit_of_a_log_is_found() -> None:
    disk, one = stopped(applied=0)
    for first in (1, 11):
        content = disk.content(one.log.segment_path(first))
        for position in [*range(37), *range(4096, one.log._by_first[Index(first)].end_position, 61)]:
            content[position] ^= 1 << position % 8
            assert check(disk).is_damaged, f"position {position}"
            content[position] ^= 1 << position % 8
    assert check(disk).findings == []


def test_another_groups_files_are_found() -> None:
    disk, _ = stopped()
    report = check(disk, group=2)
    assert {found.path.rpartition("/")[2] for found in report.findings if found.is_damage} >= {
        "hard_state",
        "checkpoint",
        f"{1:020d}.log",
    }


def test_what_the_next_start_puts_right_is_only_noted() -> None:
    disk, one = stopped()
    path = one.log.segment_path(11)
    end = one.log._by_first[Index(11)].end_position
    disk.content(path)[end : end + 30] = b"\1" * 30
    disk.content(f"{DIRECTORY}/hard_state")[9] ^= 1
    disk.create(f"{DIRECTORY}/checkpoint.new", 10).close()
    disk.create(f"{DIRECTORY}/{20:020d}.log.fetched", 10).close()
    report = check(disk)
    assert not report.is_damaged
    said = " ".join(found.what for found in report.findings)
    assert len(report.findings) == 4
    for part in ("a torn tail", "one of two copies", "interrupted creation", "not complete yet"):
        assert part in said


def test_released_segments_that_are_still_there_are_noted() -> None:
    disk, _ = stopped()
    kept = bytes(disk.content(f"{DIRECTORY}/{1:020d}.log"))
    again, one = stopped(released=6)
    again.create(f"{DIRECTORY}/{1:020d}.log", len(kept)).close()
    again.content(one.log.segment_path(1))[:] = kept
    report = check(again)
    assert [(found.is_damage, "released" in found.what) for found in report.findings] == [(False, True)]


def test_an_interrupted_install_is_looked_at_as_what_it_will_be() -> None:
    one = leader(25, applied=20, released=10)
    source: FileSource = source_of(one)
    disk = FaultyDisk()
    behind(disk)
    asyncio.run(fetch_files(StagedFiles(disk, DIRECTORY, GroupId(1)), GroupId(1), Wire(source).read, at_once))
    disk.rename(f"{DIRECTORY}/{9:020d}.log.fetched", f"{DIRECTORY}/{9:020d}.log")
    report = check(disk)
    assert [(found.is_damage, "moved in place" in found.what) for found in report.findings] == [(False, True)]
    assert (report.first_index, report.last_index) == (9, 20)
    disk.remove(f"{DIRECTORY}/{11:020d}.log.fetched")
    assert any("is gone" in found.what for found in check(disk).findings if found.is_damage)
    disk.content(f"{DIRECTORY}/{INSTALLING_NAME}")[0] ^= 1
    assert any("unreadable" in found.what for found in check(disk).findings if found.is_damage)


@pytest.mark.parametrize("seed", range(60))
def test_a_power_cut_is_no_damage(seed: int) -> None:
    import random

    disk, judge = FaultyDisk(seed, random.Random(seed).randrange(20, 200)), Judge()
    with suppress(PowerCutError):
        random_life(disk, judge, random.Random(seed))
    copy = disk.crash(seed)
    if DIRECTORY in copy._seen:
        report = check(copy)
        assert not report.is_damaged, report.findings
