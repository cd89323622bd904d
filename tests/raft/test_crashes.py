"""Power cuts and kills at every call to the disk: what was acknowledged or shown stays, and the log opens.

The mutants prove that the double would notice: without a sync, acknowledged entries get lost.
"""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress

import pytest

from raft.disk import DiskFile
from raft.errors import CorruptLogError, RaftError
from raft.writer import LogWriter
from tests.raft.doubles import Bench, RememberingMachine, opened, settle
from tests.support.faulty_disk import FaultyDisk, PowerCutError

ENTRIES_A_LIFE = 24


class LostError(Exception):
    """An acknowledged entry is not there, or not as it was."""


class ForgetfulWriter(LogWriter):
    """The mutant: acknowledges what is in the page cache."""

    def _sync(self, written: Sequence[DiskFile]) -> None:
        pass


class ForgetfulDisk(FaultyDisk):
    """The mutant: new names are not made durable."""

    def sync_directory(self, path: str) -> None:
        self.go_off_if(self.count("sync_directory", path))


async def live(disk: FaultyDisk, seed: int, acknowledged: dict[int, bytes], log_writer: LogWriter) -> None:
    """One life of a node: check what the disk holds, then append and take checkpoints until the end or a power cut."""
    rng = random.Random(seed)
    machine = RememberingMachine()
    async with opened(disk, machine=machine, log_writer=log_writer, is_led=False) as bench:
        await settle(60)
        if not machine.is_leading:
            raise bench.failures[0][1]
        _check(machine, acknowledged)
        acknowledged |= dict(machine.bodies)  # shown as committed: from now on it must stay
        await _append(bench, rng, acknowledged)


def _check(machine: RememberingMachine, acknowledged: dict[int, bytes]) -> None:
    found = dict(machine.bodies)
    for index, body in acknowledged.items():
        if found.get(index) != body:
            raise LostError(index)


async def _append(bench: Bench, rng: random.Random, acknowledged: dict[int, bytes]) -> None:
    proposed: dict[int, bytes] = {}
    machine = bench.machine
    machine.persisted.clear()
    try:
        for number in range(ENTRIES_A_LIFE):
            body = rng.randbytes(rng.choice([0, 3, 100, 700, 5_000, 20_000]))
            proposed[bench.group.propose([body[:10], body[10:], b"%d" % number]).index] = body + b"%d" % number
            if rng.random() < 0.4:
                await settle(rng.randrange(12))
            if rng.random() < 0.15:
                bench.group.save_checkpoint(machine.state())
        await settle(40)
    except RaftError:
        assert isinstance(bench.failures[0][1], PowerCutError), "only the power cut stops a group"
    finally:
        last = max((index for _, index in machine.persisted), default=0)
        acknowledged |= {index: body for index, body in proposed.items() if index <= last}


def run_lives(
    seed: int,
    cuts: Sequence[int | None],
    log_writer: type[LogWriter] = LogWriter,
    disk_kind: type[FaultyDisk] = FaultyDisk,
    *,
    kills: Sequence[int] = (),
) -> FaultyDisk:
    """A life on one disk for each cut, between them a power cut, or (after the lives in `kills`) only a new process."""
    acknowledged: dict[int, bytes] = {}
    disk = last = disk_kind(seed, cuts[0])
    for life, cut_at in enumerate([*cuts[1:], None]):
        with suppress(PowerCutError):
            asyncio.run(live(disk, seed * 100 + life, acknowledged, log_writer()))
        last, disk = disk, disk.revived(cut_at) if life in kills else disk.crash(seed + life, cut_at)
    return last


def calls_of_one_life(seed: int) -> int:
    return run_lives(seed, [None]).call_count


@pytest.mark.parametrize("seed", range(2))
def test_a_power_cut_in_any_call_loses_nothing_acknowledged(seed: int) -> None:
    for cut_at in range(calls_of_one_life(seed)):
        run_lives(seed, [cut_at, None])


@pytest.mark.parametrize("seed", range(60))
def test_power_cuts_in_several_lives_lose_nothing_acknowledged(seed: int) -> None:
    rng = random.Random(seed)
    run_lives(seed, [rng.randrange(20, 200), rng.randrange(5, 100), rng.randrange(5, 100), None])


@pytest.mark.parametrize("seed", range(2))
def test_a_kill_in_any_call_and_a_power_cut_in_the_next_life_lose_nothing(seed: int) -> None:
    for cut_at in range(calls_of_one_life(seed)):
        run_lives(seed, [cut_at, 20 + cut_at % 40, None], kills=[0])


@pytest.mark.parametrize("seed", range(40))
def test_kills_and_power_cuts_by_turns_lose_nothing(seed: int) -> None:
    rng = random.Random(seed)
    cuts = [rng.randrange(20, 120), *(rng.randrange(5, 60) for _ in range(4)), None]
    run_lives(seed, cuts, kills=rng.sample(range(5), 3))


def losses(log_writer: type[LogWriter], disk: type[FaultyDisk]) -> int:
    """In how many of 40 power cuts the check finds something missing."""
    count = 0
    for seed in range(40):
        try:
            run_lives(seed, [60 + seed, None], log_writer, disk)
        except (LostError, CorruptLogError):
            count += 1
    return count


def test_a_writer_that_does_not_sync_is_caught() -> None:
    assert losses(ForgetfulWriter, FaultyDisk) > 10


def test_a_log_whose_names_are_not_synced_is_caught() -> None:
    assert losses(LogWriter, ForgetfulDisk) > 10


def test_the_real_one_loses_nothing_in_the_same_power_cuts() -> None:
    assert losses(LogWriter, FaultyDisk) == 0
