"""What is not intact behind the durable mark: a torn write, or an entry that has rotted; a member with peers doubts."""

import asyncio
import random
from contextlib import suppress
from dataclasses import replace

import pytest

from raft.damage import DAMAGE_NAME, Damage, note_damage, read_damage_or_none
from raft.interfaces import GroupId, Index, Role
from raft.recovery import recover
from raft.segments import PAGE_BYTES, remains
from raft.writer import ClearDamage, CloseFiles, NoteDurable
from tests.support.faulty_disk import FaultyDisk, PowerCutError
from tests.support.raft_cluster import GROUP, SETTINGS, raft_cluster

from .one_group import SEGMENT_BYTES
from .test_damage import ENTRIES, ME, open_again, save, spoil, written
from .test_release import DIRECTORY


def with_unmarked(disk: FaultyDisk, *bodies: bytes):
    one = written(disk)
    one.write(one.append(*(bodies or (b"durable, and not marked yet",)), term=3))
    return one


def is_doubtful(disk: FaultyDisk) -> bool:
    found = open_again(disk)
    assert not found.is_damaged
    return found.is_doubtful


def test_an_entry_that_rots_above_the_mark_leaves_a_doubt_that_outlives_starts() -> None:
    disk = FaultyDisk()
    one = with_unmarked(disk)
    spoil(disk, one, ENTRIES + 1)
    for _ in range(3):
        found = open_again(disk)
        assert (found.is_doubtful, found.is_damaged, found.log.last_index) == (True, False, ENTRIES)
        disk = disk.crash(7)


def test_doubt_ends_with_its_note() -> None:
    disk = FaultyDisk()
    one = with_unmarked(disk)
    note_damage(disk, DIRECTORY, Damage(reason="a torn write", is_doubt=True))
    assert is_doubtful(disk)
    one.write(ClearDamage(one.files))
    assert not is_doubtful(disk)


def test_a_flip_of_any_byte_of_an_unmarked_entry_is_doubted() -> None:
    """A length that has rotted hides nothing: all bytes behind the end are looked at."""
    disk = FaultyDisk()
    one = with_unmarked(disk, b"first", b"second")
    segment = one.log._segments[-1]
    begins, ends = one.log._position_of(Index(ENTRIES + 1)), segment.end_position
    path = one.log.segment_path(segment.first_index)
    for position in range(begins, ends):
        copy = disk.crash(position)
        copy.content(path)[position] ^= 1 << position % 8
        assert is_doubtful(copy), f"byte {position - begins}"


def test_zeros_behind_the_end_are_no_reason_to_doubt() -> None:
    disk = FaultyDisk()
    one = with_unmarked(disk)
    assert not is_doubtful(disk), "nothing is cut"
    segment = one.log._segments[-1]
    begins = one.log._position_of(Index(ENTRIES + 1))
    content = disk.content(one.log.segment_path(segment.first_index))
    content[begins:] = bytes(len(content) - begins)
    assert not is_doubtful(disk), "it never reached the disk"
    assert DAMAGE_NAME not in disk.names(DIRECTORY)


def test_remains_in_a_later_segment_are_doubted_and_an_empty_one_is_not() -> None:
    for body in (b"", b"x"):
        disk = FaultyDisk()
        one = with_unmarked(disk, bytes(5_000), bytes(5_000), bytes(5_000))
        first, last = one.log._segments[-2:]
        begins = one.log._position_of(Index(ENTRIES + 1))
        content = disk.content(one.log.segment_path(first.first_index))
        content[begins:] = bytes(len(content) - begins)
        later = disk.content(one.log.segment_path(last.first_index))
        later[PAGE_BYTES:] = body.ljust(len(later) - PAGE_BYTES, b"\0")
        assert is_doubtful(disk) == bool(body)
        assert open_again(disk).log.last_index == ENTRIES


def test_a_member_alone_doubts_nothing() -> None:
    disk = FaultyDisk()
    one = written(disk, ME)
    one.write(one.append(b"torn", term=3))
    spoil(disk, one, ENTRIES + 1)
    assert not is_doubtful(disk)


def test_damage_is_worse_than_doubt() -> None:
    disk = FaultyDisk()
    one = with_unmarked(disk)
    spoil(disk, one, ENTRIES + 1)
    assert is_doubtful(disk)
    spoil(disk, one, 8)
    found = open_again(disk)
    assert (found.is_damaged, found.is_doubtful) == (True, False)


def test_a_note_of_doubt_with_a_flipped_bit_is_a_note_of_doubt_or_of_damage() -> None:
    disk = FaultyDisk()
    written(disk)
    note_damage(disk, DIRECTORY, Damage(reason="torn", is_doubt=True))
    path = f"{DIRECTORY}/{DAMAGE_NAME}"
    for position in range(len(disk.content(path)) * 8):
        copy = disk.crash(1)
        copy.content(path)[position // 8] ^= 1 << position % 8
        assert read_damage_or_none(copy, DIRECTORY) is not None


@pytest.mark.parametrize("applied", [0, 10])
def test_a_crash_in_any_call_of_the_start_leaves_the_tail_or_the_note(applied: int) -> None:
    """The note is durable before anything is cut: no start after it finds neither."""

    def torn(seed: int) -> FaultyDisk:
        disk = FaultyDisk(seed)
        one = with_unmarked(disk)
        if applied:
            save(one, applied)
        spoil(disk, one, ENTRIES + 1)
        return disk

    start = torn(0)
    calls = start.call_count
    open_again(start)
    for cut_at in range(start.call_count - calls):
        for seed in range(6):
            disk = torn(seed).revived(cut_at)
            with suppress(PowerCutError):
                open_again(disk)
            copy = disk.crash(seed, cut_at=random.Random(seed).randrange(20))
            with suppress(PowerCutError):
                open_again(copy)
            assert is_doubtful(copy.crash(seed)), f"call {cut_at}, seed {seed}"


def test_a_clean_stop_leaves_no_doubt() -> None:
    disk = FaultyDisk()
    one = with_unmarked(disk)
    one.write(NoteDurable(one.files), CloseFiles(one.files))
    assert not is_doubtful(disk.crash(1))


def test_what_remains_is_found_wherever_it_stands() -> None:
    content = bytearray(3 << 20)
    for position in (4_096, (1 << 20) - 1, 1 << 20, (3 << 20) - 1):
        content[position] = 1
        found = list(remains(memoryview(content), 4_096))
        assert [part.start <= position < part.stop for part in found] == [True]
        content[position] = 0
    assert list(remains(memoryview(content), 0)) == []


async def _acknowledged_and_rotten() -> None:
    """Nodes 1 and 2 have an entry that was acknowledged; it rots on node 2 while that is down, and node 1 goes away."""
    async with raft_cluster(1, 2, 3, settings=replace(SETTINGS, mark_ms=60_000)) as cluster:
        await cluster.put(b"first")
        await cluster.agree()
        cluster.network.isolate(cluster.peer(3).node_id)
        await cluster.put(b"acknowledged", among=[1])
        disk = cluster[2].disk.crash(2)  # as a power cut leaves it; what ends its process would still write the mark
        await cluster.crash(2)
        cluster[2].disk = disk
        content = cluster[2].disk.content(f"/data/shards/{GROUP}/{1:020d}.log")
        content[content.index(b"acknowledged")] ^= 1
        await cluster.crash(1)
        await cluster.restart(2)
        cluster.network.rejoin(cluster.peer(3).node_id)
        assert not cluster[2].opened.is_damaged, "it looks like a torn write"
        await cluster.settle(5_000)
        assert all(cluster[node].opened.role is not Role.LEADER for node in (2, 3)), "neither has what was acknowledged"
        await cluster.restart(1)
        cluster.network.rejoin(cluster.peer(1).node_id)
        await cluster.leader()
        assert await cluster.agree() == [b"first", b"acknowledged"]
        await cluster.put(b"after")
        await cluster.agree()
        await cluster.settle(500)
        assert DAMAGE_NAME not in cluster[2].disk.names(f"/data/shards/{GROUP}"), "it is whole again"
        await cluster.crash(1)
        await cluster.leader([2, 3])


def test_what_was_acknowledged_outlives_rot_above_the_mark() -> None:
    asyncio.run(_acknowledged_and_rotten())


async def _grown_and_rotten() -> None:
    """On the node that began the group, what it knew of the two others rots before its mark was due."""
    async with raft_cluster(1, settings=replace(SETTINGS, mark_ms=60_000)) as cluster:
        await cluster.put(b"first")
        for node in (2, 3):
            await cluster.start(node)
        await cluster.finish(cluster[1].opened.change([cluster.peer(node) for node in (1, 2, 3)]))
        await cluster.put(b"acknowledged")
        await cluster.agree()
        disk = cluster[1].disk.crash(2)
        await cluster.crash(1)
        content = disk.content(f"/data/shards/{GROUP}/{1:020d}.log")
        content[content.index(b"first") + len(b"first") + 40] ^= 1
        cluster[1].disk = disk
        await cluster.restart(1)
        assert [peer.node_id for peer in cluster[1].opened.configuration.voters] == [1], "it does not know better"
        assert cluster[1].opened.is_damaged, "but it knows that it forgot something"
        cluster.network.isolate(cluster.peer(1).node_id)
        await cluster.leader([2, 3])
        assert cluster[1].opened.role is Role.FOLLOWER
        await cluster.put(b"after", among=[2, 3])
        cluster.network.rejoin(cluster.peer(1).node_id)
        assert await cluster.agree() == [b"first", b"acknowledged", b"after"]
        await cluster.settle(500)
        assert DAMAGE_NAME not in cluster[1].disk.names(f"/data/shards/{GROUP}"), "it is whole again"


def test_a_member_that_forgot_who_the_others_are_does_not_elect_itself() -> None:
    asyncio.run(_grown_and_rotten())


def test_recovery_needs_no_configuration_where_the_caller_knows_of_peers() -> None:
    disk = FaultyDisk()
    one = with_unmarked(disk)
    one.write(CloseFiles(one.files))
    other = FaultyDisk()
    founded = recover(other, DIRECTORY, GroupId(1), SEGMENT_BYTES, me=ME, has_peers=True)
    founded.hard_state.close()
    assert founded.is_whole, "nothing was ever there"
