"""Opening a log: what is durable is there, the torn end of a round is cut off, damage is refused."""

import asyncio
from collections.abc import Sequence

import pytest

from raft.checkpoint import CHECKPOINT_NAME
from raft.configuration import Peer
from raft.entries import HEADER_BYTES, EntryKind, new_entry
from raft.errors import CorruptLogError, ForeignDirectoryError, UnknownFormatError
from raft.interfaces import Index, NodeId, Term
from raft.recovery import recover
from raft.segments import PAGE_BYTES, segment_indexes, segment_name
from tests.raft.doubles import GROUP, GROUP_DIRECTORY, SMALL, RememberingMachine, opened, settle
from tests.support.faulty_disk import FaultyDisk

FIRST_SEGMENT = f"{GROUP_DIRECTORY}/{segment_name(Index(1))}"


def write(disk: FaultyDisk, *bodies: bytes, checkpoint_after: int | None = None) -> RememberingMachine:
    """A life that proposes the bodies one after the other, each in a round of its own, and stops clean."""

    async def life() -> RememberingMachine:
        async with opened(disk) as bench:
            for number, body in enumerate(bodies, start=1):
                bench.group.propose([body])
                await settle()
                if number == checkpoint_after:
                    bench.group.save_checkpoint(bench.machine.state())
            return bench.machine

    return asyncio.run(life())


def read(disk: FaultyDisk) -> list[bytes]:
    return [body for _, body in write(disk).bodies]


def ends(disk: FaultyDisk) -> list[int]:
    """Where the entries of the first segment end, from its bytes."""
    content = disk.content(FIRST_SEGMENT)
    positions = [PAGE_BYTES]
    while length := int.from_bytes(content[positions[-1] : positions[-1] + 4]):
        positions.append(positions[-1] + 8 + length)
    return positions[1:]


def put(disk: FaultyDisk, content: bytes, position: int) -> None:
    disk.content(FIRST_SEGMENT)[position : position + len(content)] = content


def encoded(term: int, index: int, body: bytes) -> bytes:
    return new_entry(Term(term), Index(index), EntryKind.COMMANDS, len(body), [body]).header + body


def bodies(count: int) -> Sequence[bytes]:
    return [b"%d " % number * 30 for number in range(count)]


def test_a_clean_stop_keeps_everything_in_order() -> None:
    disk = FaultyDisk()
    write(disk, b"one", b"", b"three" * 5_000)
    assert write(disk, b"four").restored is None
    assert read(disk) == [b"one", b"", b"three" * 5_000, b"four"]


def test_each_start_begins_a_new_term() -> None:
    disk = FaultyDisk()
    assert [write(disk).roles[-1].term for _ in range(3)] == [1, 2, 3]


def test_a_tail_torn_at_any_byte_is_cut_off_and_the_log_goes_on() -> None:
    disk = FaultyDisk()
    write(disk, b"kept")
    end = ends(disk)[-1]
    torn = encoded(1, 4, b"never acknowledged")
    for cut in range(len(torn)):
        put(disk, torn[:cut].ljust(400, b"\0"), end)
        copy = disk.crash(cut)
        assert read(copy) == [b"kept"]
        write(copy, b"next")
        assert read(copy) == [b"kept", b"next"]


def test_a_whole_entry_that_nobody_was_told_of_may_stay() -> None:
    disk = FaultyDisk()
    write(disk, b"kept")
    put(disk, encoded(1, 4, b"whole"), ends(disk)[-1])
    assert read(disk) == [b"kept", b"whole"]


def test_sectors_of_a_torn_round_reach_the_disk_in_any_order() -> None:
    disk = FaultyDisk()
    write(disk, b"kept")
    end = ends(disk)[-1]
    first, second = encoded(1, 4, b"lost" * 300), encoded(1, 5, b"there")
    put(disk, bytes(len(first)) + second, end)
    assert read(disk) == [b"kept"]
    # The remains are gone: an entry that now ends where the second one stood does not bring it back.
    write(disk, b"lost" * 300)
    assert read(disk) == [b"kept", b"lost" * 300]


def test_an_entry_of_an_older_term_behind_the_end_is_not_taken() -> None:
    disk = FaultyDisk()
    write(disk, b"one")
    write(disk, b"two")
    put(disk, encoded(1, ends(disk).__len__() + 1, b"old"), ends(disk)[-1])
    assert read(disk) == [b"one", b"two"]


def test_a_flipped_bit_anywhere_in_durable_entries_is_refused() -> None:
    disk = FaultyDisk()
    write(disk, *bodies(4))
    first, end = PAGE_BYTES, ends(disk)[-1]
    for position in range(first, end):
        content = disk.content(FIRST_SEGMENT)
        content[position] ^= 1 << position % 8
        with pytest.raises(CorruptLogError):
            read(disk.crash(0))
        content[position] ^= 1 << position % 8
    assert read(disk) == list(bodies(4))


def test_durable_entries_that_are_zeros_are_refused() -> None:
    disk = FaultyDisk()
    write(disk, *bodies(4))
    put(disk, bytes(200), ends(disk)[-3])
    with pytest.raises(CorruptLogError, match="durable"):
        read(disk)


def test_after_a_kill_the_last_acknowledged_entry_is_known_to_be_durable() -> None:
    async def life(disk: FaultyDisk) -> None:
        async with opened(disk) as bench:
            bench.group.propose([b"acknowledged"])
            await settle()
            disk.cut_at = disk.call_count  # the process ends here, without the syncs of a clean stop

    disk = FaultyDisk()
    asyncio.run(life(disk))
    disk.revived()
    put(disk, b"\xff", ends(disk)[-1] - 1)
    with pytest.raises(CorruptLogError, match="entry 3"):
        read(disk)


@pytest.mark.parametrize("position", [0, 9, 20, 33, 37])
def test_a_damaged_segment_header_is_refused(position: int) -> None:
    disk = FaultyDisk()
    write(disk, b"one")
    disk.content(FIRST_SEGMENT)[position] ^= 1
    with pytest.raises(CorruptLogError, match="header"):
        read(disk)


def test_a_missing_segment_is_refused() -> None:
    for checkpoint_after in (None, 4):
        disk = FaultyDisk()
        write(disk, *[bytes(9_000)] * 5, checkpoint_after=checkpoint_after)
        firsts = segment_indexes(disk.names(GROUP_DIRECTORY))
        assert len(firsts) > 3
        disk.remove(f"{GROUP_DIRECTORY}/{segment_name(firsts[1])}")
        with pytest.raises(CorruptLogError):
            read(disk)


def test_a_log_without_its_hard_state_is_refused() -> None:
    disk = FaultyDisk()
    write(disk, b"one")
    disk.remove(f"{GROUP_DIRECTORY}/hard_state")
    with pytest.raises(CorruptLogError, match="missing"):
        read(disk)


def test_an_entry_of_an_unknown_kind_is_not_taken_for_damage() -> None:
    disk = FaultyDisk()
    write(disk, b"one")
    later = bytearray(encoded(1, 4, b"from the future"))
    later[HEADER_BYTES - 1] = 2
    put(disk, bytes(later), ends(disk)[-1])  # its CRC is wrong: only a torn tail
    assert read(disk) == [b"one"]
    kind = 9
    header = bytearray(new_entry(Term(3), Index(5), kind, 0, []).header)  # pyright: ignore[reportArgumentType] - on purpose
    put(disk, bytes(header), ends(disk)[-1])
    with pytest.raises(UnknownFormatError, match="kind 9"):
        read(disk)


def test_the_log_of_another_disk_is_refused() -> None:
    async def open_as(disk: FaultyDisk, peer: Peer) -> None:
        async with opened(disk, peer=peer):
            pass

    disk = FaultyDisk()
    write(disk, b"one")
    for peer in (Peer(NodeId(1), "another disk"), Peer(NodeId(2), "disk-one")):
        with pytest.raises(ForeignDirectoryError):
            asyncio.run(open_as(disk, peer))


def test_checkpoint_and_tail_give_what_the_whole_log_gives() -> None:
    some = [b"%d" % number * (number * 37 % 2_000) for number in range(150)]
    for checkpoint_after in (1, 64, 65, 100, 149, 150):
        with_checkpoint, without = FaultyDisk(), FaultyDisk()
        write(with_checkpoint, *some, checkpoint_after=checkpoint_after)
        write(without, *some)
        quick, whole = write(with_checkpoint), write(without)
        assert quick.restored is not None
        assert whole.restored is None
        assert quick.bodies == whole.bodies
        assert all(whole.places[index] == place for index, place in quick.places.items())
        assert len(quick.places) == len(some) - checkpoint_after


def test_open_scans_only_what_follows_the_checkpoint() -> None:
    disk = FaultyDisk()
    write(disk, *[bytes(3_000)] * 40, checkpoint_after=38)
    firsts = segment_indexes(disk.names(GROUP_DIRECTORY))
    disk.log.clear()
    read(disk)
    mapped = {path for kind, path in disk.log if kind == "map"}
    assert mapped <= {f"{GROUP_DIRECTORY}/{segment_name(first)}" for first in firsts[-3:]}
    assert len(firsts) > 6


def test_a_damaged_checkpoint_costs_time_and_nothing_else() -> None:
    disk = FaultyDisk()
    write(disk, *bodies(20), checkpoint_after=10)
    whole = disk.content(f"{GROUP_DIRECTORY}/{CHECKPOINT_NAME}")
    for position in range(0, len(whole), 7):
        whole[position] ^= 8
        machine = write(disk.crash(0))
        whole[position] ^= 8
        assert machine.restored is None
        assert [body for _, body in machine.bodies] == list(bodies(20))


def test_a_checkpoint_of_an_unknown_format_is_refused() -> None:
    from raft import checkpoint

    disk = FaultyDisk()
    write(disk, *bodies(3), checkpoint_after=2)
    saved = checkpoint.read_checkpoint_or_none(disk, GROUP_DIRECTORY, checkpoint.GroupId(7))
    assert saved is not None
    facts = checkpoint.CheckpointFacts(
        format=9,
        group_id=saved.facts.group_id,
        applied=saved.facts.applied,
        applied_term=saved.facts.applied_term,
        configuration=None,
        term_starts=(),
        segments=(),
    )
    checkpoint.save_checkpoint(disk, GROUP_DIRECTORY, checkpoint.Checkpoint(facts, b""))
    with pytest.raises(UnknownFormatError, match="format 9"):
        read(disk)


def test_leftovers_of_an_interrupted_creation_are_removed() -> None:
    disk = FaultyDisk()
    write(disk, b"one")
    disk.create(f"{GROUP_DIRECTORY}/{segment_name(Index(4))}.new", 100).close()
    assert read(disk) == [b"one"]
    assert not [name for name in disk.names(GROUP_DIRECTORY) if name.endswith(".new")]


def test_what_recovery_found_is_durable_before_it_is_used() -> None:
    disk = FaultyDisk()
    write(disk, b"one")

    async def life() -> None:
        async with opened(disk) as bench:
            bench.group.propose([b"killed before its sync" * 90])
            disk.cut_at = disk.call_count
            await settle()

    asyncio.run(life())
    found = recover(disk.revived(), GROUP_DIRECTORY, GROUP, SMALL.segment_bytes)
    assert found.log.last_index == 5, "the entry is in the page cache"
    for seed in range(20):
        again = recover(disk.crash(seed), GROUP_DIRECTORY, GROUP, SMALL.segment_bytes)
        assert again.log.last_index == 5
