"""This machine's disk, and the host on it with its threads."""

import asyncio
import errno
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from raft import disk as disk_module
from raft.disk import SYNCS_IN_TURN_MAX, LocalDisk, create_durably, sync_all
from raft.host import RaftHost
from raft.interfaces import Buffer, GroupId, RoleChange
from tests.raft.doubles import ME, SMALL, RememberingMachine
from tests.support.faulty_disk import FaultyDisk


def test_more_buffers_than_one_call_takes_arrive_whole(tmp_path: Path) -> None:
    buffers = [b"%d," % number for number in range(3 * disk_module.BUFFERS_MAX + 1)]
    content = b"".join(buffers)
    file = LocalDisk().create(f"{tmp_path}/f", 10 + len(content))
    file.write(buffers, 10)
    file.sync()
    file.close()
    assert (tmp_path / "f").read_bytes() == bytes(10) + content


def test_a_short_write_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.pwritev

    def short(descriptor: int, buffers: Sequence[Buffer], position: int) -> int:
        return whole(descriptor, [b"".join(buffers)[:7]], position)

    monkeypatch.setattr(os, "pwritev", short)
    file = LocalDisk().create(f"{tmp_path}/f", 30)
    file.write([b"0123", b"4567", b"89" * 10], 1)
    file.close()
    assert (tmp_path / "f").read_bytes() == b"\0" + b"01234567" + b"89" * 10 + b"\0"


def test_a_new_file_has_its_space_reserved(tmp_path: Path) -> None:
    LocalDisk().create(f"{tmp_path}/f", 1 << 20).close()
    status = (tmp_path / "f").stat()
    assert status.st_size == 1 << 20
    assert status.st_blocks * 512 >= 1 << 20


def test_no_space_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int, _first: int, _size: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="full"):
        LocalDisk().create(f"{tmp_path}/f", 100)
    assert LocalDisk().names(str(tmp_path)) == []


def test_a_mapping_shows_what_is_written_later_and_cannot_be_written(tmp_path: Path) -> None:
    disk = LocalDisk()
    file = disk.create(f"{tmp_path}/f", 100)
    view = disk.map(f"{tmp_path}/f")
    file.write([b"later"], 50)
    file.close()
    assert view[50:55] == b"later"
    with pytest.raises(TypeError):
        view[0] = 1


def test_a_durable_file_replaces_the_old_one_as_a_whole(tmp_path: Path) -> None:
    disk = LocalDisk()
    (tmp_path / "f.new").write_bytes(b"left by a crash")
    for content in (b"one", b"another"):
        create_durably(disk, f"{tmp_path}/f", len(content), [content]).close()
        assert (tmp_path / "f").read_bytes() == content
    assert LocalDisk().names(str(tmp_path)) == ["f"]


def test_directories_are_made_with_their_parents(tmp_path: Path) -> None:
    for _ in range(2):
        LocalDisk().make_directory(f"{tmp_path}/a/b/c")
    assert (tmp_path / "a/b/c").is_dir()


def test_groups_share_the_threads_of_a_host_on_a_real_disk(tmp_path: Path) -> None:
    async def life(expected: int) -> None:
        host = RaftHost(LocalDisk(), f"{tmp_path}/shards", ME, settings=SMALL)
        machines = {GroupId(number): LeadingMachine() for number in range(3)}
        groups = {at: await host.open_group(at, machine) for at, machine in machines.items()}
        for at, machine in machines.items():
            await asyncio.wait_for(machine.leads.wait(), 40)
            assert len(machine.bodies) == expected
            for number in range(300):
                groups[at].propose([b"%d" % at, b"%d" % number * (number % 50)])
        await host.close()
        for at, machine in machines.items():
            assert machine.bodies[-1][1] == b"%d" % at + b"299" * 49
            assert len(machine.bodies) == expected + 300
            index, body = machine.bodies[-2]
            assert groups[at].read(*machine.places[index], len(body)) == body

    for expected in (0, 300, 600):
        asyncio.run(life(expected))


class LeadingMachine(RememberingMachine):
    def __init__(self) -> None:
        super().__init__()
        self.leads = asyncio.Event()

    def on_role(self, change: RoleChange) -> None:
        super().on_role(change)
        if self.is_leading:
            self.leads.set()


def test_several_files_are_synced_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [LocalDisk().create(f"{tmp_path}/{number}", 10) for number in range(4)]
    all_at_once = threading.Barrier(4, timeout=40)  # passes only while each of the four is under way

    def sync(descriptor: int) -> None:
        all_at_once.wait()
        synced.append(descriptor)

    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", sync)
    sync_all(files)
    assert len(set(synced)) == 4
    monkeypatch.undo()
    for file in files:
        file.close()


def test_few_files_are_synced_in_their_order_by_who_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [LocalDisk().create(f"{tmp_path}/{number}", 10) for number in range(SYNCS_IN_TURN_MAX)]
    synced: list[tuple[str, int]] = []

    def sync(descriptor: int) -> None:
        synced.append((Path(f"/proc/self/fd/{descriptor}").resolve().name, threading.get_ident()))

    monkeypatch.setattr(os, "fdatasync", sync)
    sync_all(files)
    assert synced == [(str(number), threading.get_ident()) for number in range(SYNCS_IN_TURN_MAX)]
    monkeypatch.undo()
    for file in files:
        file.close()


@pytest.mark.parametrize("failing", range(SYNCS_IN_TURN_MAX + 1))
def test_a_sync_that_fails_beside_others_is_raised_when_all_have_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    count = SYNCS_IN_TURN_MAX + 1
    files = [LocalDisk().create(f"{tmp_path}/{number}", 10) for number in range(count)]
    numbers: dict[int, int] = {}

    def sync(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").resolve().name
        numbers[int(name)] = descriptor
        if int(name) == failing:
            raise OSError(errno.EIO, "bad sector")

    monkeypatch.setattr(os, "fdatasync", sync)
    with pytest.raises(OSError, match="bad sector"):
        sync_all(files)
    assert set(numbers) == set(range(count))
    monkeypatch.undo()
    for file in files:
        file.close()


def test_files_of_a_disk_in_memory_are_synced_in_their_order() -> None:
    disk = FaultyDisk()
    disk.make_directory("/d")
    files = [disk.create(f"/d/{number}", 10) for number in range(3)]
    disk.log.clear()
    sync_all(files)
    assert disk.log == [("sync", f"/d/{number}") for number in range(3)]


def test_an_empty_file_is_mapped_as_nothing(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"")
    assert len(LocalDisk().map(f"{tmp_path}/f")) == 0
