"""Whole files from a leader: whatever interrupts, the group's files are the old ones or the new ones, and nothing that
arrived whole is fetched twice."""

import asyncio
import errno
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
import pytest
from crc32c import crc32c

from raft.checkpoint import CheckpointFacts, checkpoint_crc, read_checkpoint_or_none
from raft.damage import Damage, note_damage
from raft.entries import HEADER_BYTES, EntryKind, new_entry
from raft.errors import CorruptLogError, ForeignDirectoryError, InstallFailedError, SourceChangedError
from raft.foreign_facts import check_facts
from raft.install import (
    CHECKPOINT_FILE,
    CHUNK_BYTES_MAX,
    Chunk,
    ChunkRequest,
    FileSource,
    Source,
    decode_chunk,
    encode_chunk,
    fetch_files,
)
from raft.interfaces import GroupId, Index, Term
from raft.recovery import Recovered, recover
from raft.segments import segment_indexes
from raft.staged_files import INSTALLING_NAME, StagedFiles, discard_fetched, finish_install
from raft.writer import NoteDurable
from tests.raft.one_group import SEGMENT_BYTES, OneGroup
from tests.raft.test_release import DIRECTORY, save
from tests.support.faulty_disk import FaultyDisk, PowerCutError

GROUP = GroupId(1)
T = TypeVar("T")


async def at_once(work: Callable[[], T]) -> T:
    return work()


def body(index: int) -> bytes:
    return b"%03d" % index * 1_500


def leader(last: int, *, applied: int, released: int = 0, segment_bytes: int = SEGMENT_BYTES) -> OneGroup:
    one = OneGroup(FaultyDisk())
    one.log._segment_bytes = segment_bytes
    one.log.hot.bytes_max = 0
    one.write(one.save(4))
    go_on(one, last, applied=applied, released=released)
    return one


def go_on(one: OneGroup, last: int, *, applied: int, released: int = 0) -> None:
    for index in range(one.log.last_index + 1, last + 1):
        one.write(one.append(body(index), term=1 + index // 8))
    one.log.release_before(Index(released))
    save(one, applied)


def behind(disk: FaultyDisk) -> None:
    """A member that has three entries of an older term, and a promise of term 9."""
    one = OneGroup(disk)
    one.write(one.save(9))
    one.write(one.append(b"old", b"old", bytes(20_000), term=1))
    one.write(NoteDurable(one.files))


@dataclass(slots=True)
class Wire:
    """Answers of sources, through the bytes; `fails_at` breaks the line at a request. `fetched`: bytes of segments."""

    source: FileSource
    fails_at: int | None = None
    before: Callable[[int], None] = lambda _number: None
    number: int = 0
    fetched: int = 0
    requests: list[ChunkRequest] = field(default_factory=list)

    async def read(self, request: ChunkRequest) -> Chunk:
        self.before(self.number)
        self.number += 1
        if self.number - 1 == self.fails_at:
            raise ConnectionResetError("the line is dead")
        self.requests.append(request)
        chunk = self.source.read(request)
        if request.file != CHECKPOINT_FILE:
            self.fetched += len(chunk.content)
        return decode_chunk(memoryview(b"".join(encode_chunk(chunk))))


def source_of(one: OneGroup) -> FileSource:
    return FileSource(one.files.disk, DIRECTORY, GROUP)


def fetch(disk: FaultyDisk, read: Callable[[ChunkRequest], Awaitable[Chunk]]) -> CheckpointFacts:
    return asyncio.run(fetch_files(StagedFiles(disk, DIRECTORY, GROUP), GROUP, read, at_once))


def open_again(disk: FaultyDisk, *, has_peers: bool = False) -> Recovered:
    found = recover(disk, DIRECTORY, GROUP, SEGMENT_BYTES, has_peers=has_peers)
    found.hard_state.close()
    return found


def check_is(found: Recovered, one: OneGroup, applied: int) -> None:
    assert found.checkpoint is not None
    assert found.checkpoint.facts.applied == applied == found.log.last_index
    assert found.checkpoint.state == b"%d" % applied
    assert found.hard_state.state.term == 9, "a promise is kept"
    first = one.log.first_index
    assert found.log.first_index == first
    for index in range(first, applied + 1):
        (entry,) = found.log.entries(Index(index), 1)
        (sent,) = one.log.entries(Index(index), 1)
        assert (entry.header, bytes(entry.body[0])) == (sent.header, bytes(sent.body[0]))
        position = found.log._position_of(Index(index))
        assert position == one.log._position_of(Index(index)), "places in the state are those of the sender"
        assert found.log.segment_of(Index(index)) == one.log.segment_of(Index(index))
    assert found.log.term(Index(first - 1)) == one.log.term(Index(first - 1))


def is_old(found: Recovered) -> bool:
    return found.checkpoint is None and found.log.last_index == 3


@pytest.mark.parametrize(("applied", "released"), [(25, 0), (20, 10), (11, 11), (2, 0)])
def test_a_member_has_the_files_of_the_leader_and_the_log_goes_on_behind_them(applied: int, released: int) -> None:
    one = leader(25, applied=applied, released=released)
    disk = FaultyDisk()
    behind(disk)
    assert fetch(disk, Wire(source_of(one)).read).applied == applied
    assert finish_install(disk, DIRECTORY)
    assert not finish_install(disk, DIRECTORY)
    check_is(open_again(disk.crash(1)), one, applied)
    assert all(name.endswith(".log") for name in disk.names(DIRECTORY) if name not in {"hard_state", "checkpoint"})


def test_an_empty_member_takes_files_too() -> None:
    one = leader(25, applied=20, released=10)
    disk = FaultyDisk()
    found = recover(disk, DIRECTORY, GROUP, SEGMENT_BYTES)
    from raft.hard_state import HardState

    found.hard_state.save(HardState(Term(9), None))
    found.hard_state.close()
    fetch(disk, Wire(source_of(one)).read)
    check_is(open_again(disk), one, 20)


@pytest.mark.parametrize("seed", range(3))
def test_a_power_cut_in_any_call_leaves_the_old_files_or_the_new_ones(seed: int) -> None:
    one = leader(25, applied=20, released=6)
    whole = FaultyDisk(seed)
    behind(whole)
    begin = whole.call_count
    fetch(whole, Wire(source_of(one)).read)
    finish_install(whole, DIRECTORY)
    outcomes = set[bool]()
    for cut_at in range(whole.call_count - begin):
        disk = FaultyDisk(seed)
        behind(disk)
        disk.revived(cut_at)
        with suppress(PowerCutError):
            fetch(disk, Wire(source_of(one)).read)
            finish_install(disk, DIRECTORY)
        again = disk.crash(cut_at, cut_at=(cut_at * 7 + seed) % 25)
        with suppress(PowerCutError):
            open_again(again)
        last = again.crash(cut_at + seed)
        found = open_again(last)
        outcomes.add(is_old(found))
        if is_old(found):
            fetch(last, Wire(source_of(one)).read)
            found = open_again(last)
        check_is(found, one, 20)
    assert outcomes == {True, False}


@pytest.mark.parametrize("is_cold", [False, True])
def test_a_power_cut_in_any_call_forgets_no_damage_and_no_promise(is_cold: bool) -> None:
    """The note outlives the exchange of the files: only a leader's commit index says that all is there again."""
    one = leader(25, applied=20, released=6)

    def damaged_and_behind(disk: FaultyDisk) -> None:
        behind(disk)
        note_damage(disk, DIRECTORY, Damage(reason="a bit", is_cold=is_cold))

    whole = FaultyDisk(3)
    damaged_and_behind(whole)
    begin = whole.call_count
    fetch(whole, Wire(source_of(one)).read)
    found = open_again(whole, has_peers=True)
    check_is(found, one, 20)
    calls = whole.call_count - begin
    ends = Counter[str]()
    for cut_at in range(calls):
        disk = FaultyDisk(3)
        damaged_and_behind(disk)
        disk.revived(cut_at)
        with suppress(PowerCutError):
            fetch(disk, Wire(source_of(one)).read)
            open_again(disk, has_peers=True)
        again = disk.crash(cut_at, cut_at=(cut_at * 5) % 31)
        with suppress(PowerCutError):
            open_again(again, has_peers=True)
        found = open_again(again.crash(cut_at), has_peers=True)
        assert found.is_damaged
        assert found.hard_state.state.term == 9
        if found.log.last_index == 20:
            check_is(found, one, 20)
            ends["new"] += 1
        else:
            assert is_old(found)
            ends["old"] += 1
    assert min(ends["new"], ends["old"]) > 10


@pytest.mark.parametrize("is_restarted", [False, True])
def test_an_interrupted_fetch_goes_on_where_it_was(is_restarted: bool) -> None:
    one = leader(40, applied=40)
    source = source_of(one)
    disk = FaultyDisk()
    behind(disk)
    whole = sum(segment.end_position - 4096 for segment in one.log._segments)
    staged = StagedFiles(disk, DIRECTORY, GROUP)
    fetched = 0
    for _ in range(200):
        wire = Wire(source, fails_at=4)
        wire_small = small(wire, 2_000)
        try:
            asyncio.run(fetch_files(staged, GROUP, wire_small, at_once))
            fetched += wire.fetched
            break
        except ConnectionResetError:
            fetched += wire.fetched
        if is_restarted:
            disk = disk.revived()
            open_again(disk)
            staged = StagedFiles(disk, DIRECTORY, GROUP)
    finish_install(disk, DIRECTORY)
    check_is(open_again(disk), one, 40)
    # After a break the entry that was under way is fetched again, nothing else.
    assert whole <= fetched <= whole * 3


def small(wire: Wire, length: int) -> Callable[[ChunkRequest], Awaitable[Chunk]]:
    """The source gives less than it is asked for."""

    async def read(request: ChunkRequest) -> Chunk:
        shorter = request if request.file == CHECKPOINT_FILE else with_length(request, min(length, request.length))
        return await wire.read(shorter)

    return read


def with_length(request: ChunkRequest, length: int) -> ChunkRequest:
    return ChunkRequest(request.group_id, request.source, request.file, request.position, length)


def test_a_newer_checkpoint_of_the_source_does_not_disturb() -> None:
    one = leader(20, applied=20)

    def newer(number: int) -> None:
        if number == 2:
            go_on(one, 24, applied=24)

    disk = FaultyDisk()
    behind(disk)
    wire = Wire(source_of(one), before=newer)
    assert fetch(disk, small(wire, 4_000)).applied == 20


def test_a_source_that_was_released_or_restarted_costs_the_checkpoint_only() -> None:
    one = leader(40, applied=20)
    disk = FaultyDisk()
    behind(disk)
    wire = Wire(source_of(one))

    def changes(number: int) -> None:
        if number == 10:
            go_on(one, 44, applied=44, released=12)
            wire.source = source_of(one)

    wire.before = changes
    assert fetch(disk, small(wire, 4_000)).applied == 44
    finish_install(disk, DIRECTORY)
    check_is(open_again(disk), one, 44)
    asked = [(request.file, request.position) for request in wire.requests if request.file]
    assert len(asked) - len(set(asked)) <= 1, "only the request that was refused is asked again"


def test_another_member_with_other_segments_goes_on_with_what_fits() -> None:
    one = leader(30, applied=30)
    other = leader(30, applied=30, segment_bytes=3 * SEGMENT_BYTES)
    other.log._segment_bytes = 3 * SEGMENT_BYTES
    disk = FaultyDisk()
    behind(disk)
    with suppress(ConnectionResetError):
        fetch(disk, small(Wire(source_of(one), fails_at=8), 4_000))
    fetch(disk, Wire(source_of(other)).read)
    finish_install(disk, DIRECTORY)
    check_is(open_again(disk), other, 30)


def test_a_shorter_checkpoint_of_another_member_cuts_what_was_fetched_beyond_it() -> None:
    one, other = leader(30, applied=30), leader(30, applied=14)
    disk = FaultyDisk()
    behind(disk)
    fetched = StagedFiles(disk, DIRECTORY, GROUP)
    with suppress(ConnectionResetError):
        asyncio.run(fetch_files(fetched, GROUP, Wire(source_of(one), fails_at=8).read, at_once))
    asyncio.run(fetch_files(fetched, GROUP, Wire(source_of(other)).read, at_once))
    finish_install(disk, DIRECTORY)
    check_is(open_again(disk), other, 14)


def test_a_chunk_damaged_on_its_way_is_not_taken() -> None:
    one = leader(10, applied=10)
    disk = FaultyDisk()
    behind(disk)
    source = source_of(one)

    async def damaged(request: ChunkRequest) -> Chunk:
        answer = bytearray(b"".join(encode_chunk(source.read(request))))
        answer[-1] ^= request.file
        return decode_chunk(memoryview(answer))

    with pytest.raises(InstallFailedError, match="damaged on its way"):
        fetch(disk, damaged)
    assert is_old(open_again(disk))
    with pytest.raises(InstallFailedError, match="a chunk of 3"):
        decode_chunk(memoryview(b"abc"))


def test_files_damaged_at_their_source_are_not_installed_and_fetched_anew() -> None:
    one = leader(20, applied=20)
    disk = FaultyDisk()
    behind(disk)
    path = one.log.segment_path(5)
    source_disk = one.files.disk
    assert isinstance(source_disk, FaultyDisk)
    at = one.log._position_of(Index(5)) + HEADER_BYTES + 7
    source_disk.content(path)[at] ^= 1
    for _ in range(2):
        with pytest.raises(InstallFailedError, match="damaged behind entry 4"):
            fetch(disk, Wire(source_of(one)).read)
    assert INSTALLING_NAME not in disk.names(DIRECTORY)
    source_disk.content(path)[at] ^= 1
    fetch(disk, Wire(source_of(one)).read)
    check_is(open_again(disk), one, 20)


def test_without_a_checkpoint_there_is_nothing_to_fetch() -> None:
    one = OneGroup(FaultyDisk())
    one.write(one.append(b"x"))
    with pytest.raises(SourceChangedError, match="no checkpoint"):
        source_of(one).read(ChunkRequest(GROUP, None, 0, 0, 100))
    disk = FaultyDisk()
    behind(disk)
    with pytest.raises(InstallFailedError, match="no checkpoint"):
        fetch(disk, Wire(source_of(one)).read)


def test_a_source_gives_what_its_checkpoint_covers_and_no_more_than_a_chunk() -> None:
    one = leader(12, applied=8)
    source = source_of(one)
    first = source.read(ChunkRequest(GROUP, None, 0, 0, 1 << 40))
    assert len(first.content) == first.file_bytes
    end = one.log._position_of(Index(8)) + HEADER_BYTES + len(body(8))
    chunk = source.read(ChunkRequest(GROUP, first.source, 7, 4096, 1 << 40))
    assert (chunk.file_bytes, len(chunk.content)) == (end, end - 4096)
    assert len(source.read(ChunkRequest(GROUP, first.source, 7, end, 100)).content) == 0
    for request in (
        ChunkRequest(GROUP, first.source, 10, 4096, 10),
        ChunkRequest(GROUP, first.source, 7, 0, 10),
        ChunkRequest(GROUP, Source(Index(8), Term(2), 5), 7, 4096, 10),
    ):
        with pytest.raises(SourceChangedError):
            source.read(request)
    large = OneGroup(FaultyDisk())
    large.log._segment_bytes = 4 * CHUNK_BYTES_MAX
    large.write(large.put(new_entry(Term(1), Index(1), EntryKind.COMMANDS, 3 << 20, [bytes(3 << 20)])))
    large.log.durable = Index(1)
    save(large, 1)
    chunk = source_of(large).read(ChunkRequest(GROUP, None, 0, 0, 100))
    assert len(source_of(large).read(ChunkRequest(GROUP, None, 0, 0, 1 << 30)).content) <= CHUNK_BYTES_MAX
    big = source_of(large)
    begun = big.read(ChunkRequest(GROUP, None, 0, 0, 100)).source
    assert len(big.read(ChunkRequest(GROUP, begun, 1, 4096, 1 << 30)).content) == CHUNK_BYTES_MAX
    assert chunk.source == begun


def test_what_was_fetched_is_thrown_away_once_the_log_has_come_as_far() -> None:
    one = leader(20, applied=3)
    disk = FaultyDisk()
    behind(disk)
    with suppress(ConnectionResetError):
        fetch(disk, small(Wire(source_of(one), fails_at=3), 4_000))
    assert any("fetched" in name for name in disk.names(DIRECTORY))
    assert is_old(open_again(disk))
    assert not any("fetched" in name for name in disk.names(DIRECTORY))


def test_discarding_leaves_nothing() -> None:
    one = leader(20, applied=20)
    disk = FaultyDisk()
    behind(disk)
    with suppress(ConnectionResetError):
        fetch(disk, small(Wire(source_of(one), fails_at=9), 4_000))
    discard_fetched(disk, DIRECTORY)
    assert not any("fetched" in name for name in disk.names(DIRECTORY))
    assert is_old(open_again(disk.crash(1)))


def test_another_groups_checkpoint_is_refused() -> None:
    one = leader(8, applied=8)
    disk = FaultyDisk()
    disk.make_directory(DIRECTORY)
    staged = StagedFiles(disk, DIRECTORY, GroupId(2))
    with pytest.raises(ForeignDirectoryError):
        asyncio.run(fetch_files(staged, GroupId(2), Wire(source_of(one)).read, at_once))


def test_an_unreadable_list_of_what_was_fetched_is_damage() -> None:
    one = leader(8, applied=8)
    disk = FaultyDisk()
    behind(disk)
    fetch(disk, Wire(source_of(one)).read)
    disk.content(f"{DIRECTORY}/{INSTALLING_NAME}")[0] ^= 1
    with pytest.raises(CorruptLogError, match="unreadable"):
        open_again(disk)
    disk.content(f"{DIRECTORY}/{INSTALLING_NAME}")[0] ^= 1
    disk.remove(f"{DIRECTORY}/{segment_indexes_of_fetched(disk)[-1]}")
    with pytest.raises(CorruptLogError, match="is gone"):
        open_again(disk)


def segment_indexes_of_fetched(disk: FaultyDisk) -> list[str]:
    fetched = [name for name in disk.names(DIRECTORY) if name.endswith(".log.fetched")]
    assert segment_indexes([name.removesuffix(".fetched") for name in fetched])
    return fetched


def test_a_full_disk_ends_a_fetch_and_a_later_one_goes_on() -> None:
    one = leader(20, applied=20)
    disk = FaultyDisk()
    behind(disk)
    for kind in ("create", "write"):
        disk.no_space = {kind}
        with pytest.raises(InstallFailedError, match="no space"):
            fetch(disk, Wire(source_of(one)).read)
    disk.no_space = set()
    fetch(disk, Wire(source_of(one)).read)
    check_is(open_again(disk), one, 20)


def test_a_list_of_what_was_fetched_for_which_there_is_no_space_is_no_failure_of_the_disk() -> None:
    one = leader(20, applied=20)
    disk = FaultyDisk()
    behind(disk)
    staged = StagedFiles(disk, DIRECTORY, GROUP)
    facts = asyncio.run(fetch_files(staged, GROUP, Wire(source_of(one)).read, at_once))
    disk.remove(f"{DIRECTORY}/{INSTALLING_NAME}")
    disk.no_space = {"create"}
    with pytest.raises(InstallFailedError, match="no space for installing"):
        staged.finish(facts)
    assert INSTALLING_NAME not in disk.names(DIRECTORY)


def test_a_failed_sync_of_the_list_is_a_failure_of_the_disk_whatever_its_reason() -> None:
    """The name may be durable: a log that went on would be replaced at the next start."""
    one = leader(20, applied=20)
    disk = FaultyDisk()
    behind(disk)
    staged = StagedFiles(disk, DIRECTORY, GROUP)
    facts = asyncio.run(fetch_files(staged, GROUP, Wire(source_of(one)).read, at_once))
    disk.remove(f"{DIRECTORY}/{INSTALLING_NAME}")
    sync = disk.sync_directory

    def fails_once_named(path: str) -> None:
        if INSTALLING_NAME in disk.names(DIRECTORY):
            raise OSError(errno.ENOSPC, "no space", path)
        sync(path)

    disk.sync_directory = fails_once_named
    with pytest.raises(OSError, match="no space"):
        staged.finish(facts)


@pytest.mark.parametrize(
    "changed",
    [
        {"segments": ()},
        {"applied": 21},
        {"applied_term": 4},
        {"term_starts": ()},
        {"term_starts": ((1, 1), (8, 3), (16, 2))},
        {"term_starts": ((8, 1), (9, 3))},
        {"term_starts": ((1, 1), (30, 3))},
    ],
)
def test_impossible_facts_of_a_source_are_refused_before_anything_is_made_of_them(changed: dict[str, object]) -> None:
    facts = facts_of_a_leader()
    check_facts(facts)
    with pytest.raises(InstallFailedError):
        check_facts(msgspec.structs.replace(facts, **changed))


@pytest.mark.parametrize(
    "changed",
    [
        {"first_index": Index(0)},
        {"first_index": Index(5)},
        {"last_index": Index(99)},
        {"file_bytes": 1 << 60},
        {"file_bytes": 4096},
        {"end_position": 4096},
        {"end_position": 1 << 40},
        {"positions": b""},
        {"positions": b"\0\x10\0"},
        {"positions": b"\1\x10\0\0"},
    ],
)
def test_an_impossible_segment_of_a_source_is_refused(changed: dict[str, object]) -> None:
    facts = facts_of_a_leader()
    for at in (0, len(facts.segments) - 1):
        segments = list(facts.segments)
        segments[at] = msgspec.structs.replace(segments[at], **changed)
        with pytest.raises(InstallFailedError):
            check_facts(msgspec.structs.replace(facts, segments=tuple(segments)))


def facts_of_a_leader() -> CheckpointFacts:
    one = leader(20, applied=20)
    checkpoint = read_checkpoint_or_none(one.files.disk, DIRECTORY, GROUP)
    assert checkpoint is not None
    return checkpoint.facts


def sent(disk: FaultyDisk, content: bytes, *, applied: int = 2, term: int = 1) -> CheckpointFacts:
    """As a source says it that has nothing but a checkpoint, and says what it likes of it."""
    source = Source(Index(applied), Term(term), checkpoint_crc(memoryview(content.ljust(24, b"\0"))))

    async def read(request: ChunkRequest) -> Chunk:
        assert request.file == CHECKPOINT_FILE
        return Chunk(source, len(content), content)

    return fetch(disk, read)


def framed(facts: bytes) -> bytes:
    lengths = struct.pack(">QQ", len(facts), 0)
    return b"tmspltCP" + crc32c(lengths + facts).to_bytes(4) + lengths + facts


def test_a_checkpoint_that_means_nothing_is_refused_whatever_its_crc_says() -> None:
    disk = FaultyDisk()
    behind(disk)
    contents = [
        framed(b""),
        framed(b"\x90"),
        framed(b"\xc1"),
        framed(msgspec.msgpack.encode([1, "x"])),
        framed(msgspec.msgpack.encode([1])) + b"more",
        bytes(1_000),
    ]
    for content in contents:
        with pytest.raises(InstallFailedError):
            sent(disk, content)
    assert is_old(open_again(disk))


def test_a_checkpoint_that_is_not_what_its_source_was_called_is_refused() -> None:
    one = leader(20, applied=20)
    disk = FaultyDisk()
    behind(disk)
    content = one.files.disk.read(f"{DIRECTORY}/checkpoint")
    with pytest.raises(InstallFailedError, match="as of 20"):
        sent(disk, content, applied=30)
