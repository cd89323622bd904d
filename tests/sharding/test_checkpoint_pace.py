"""How far a checkpoint falls behind: by bytes at once, by commands within a second."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from sharding.checkpoint_pace import COMMAND_BYTES, COMMANDS_MAX, CheckpointPace
from tests.support.virtual_loop import run_virtually


@dataclass
class Bench:
    """Saves when it is asked to, and counts."""

    bytes_max: int = 64 << 20
    saved: int = 0
    soon: list[Callable[[], object]] = field(default_factory=list[Callable[[], object]])

    def __post_init__(self) -> None:
        self.pace = CheckpointPace(self.bytes_max, self.save, self.soon.append)

    def save(self) -> None:
        self.saved += 1
        self.pace.on_saved()

    def turn(self) -> None:
        due, self.soon[:] = list(self.soon), []
        for callback in due:
            callback()


def test_many_bytes_want_a_checkpoint_once_and_at_once() -> None:
    bench = Bench(bytes_max=10_000)
    bench.pace.on_applied(10_000 - 2 * COMMAND_BYTES, 1)
    assert not bench.soon
    bench.pace.on_applied(COMMAND_BYTES, 0)
    bench.pace.on_applied(10_000, 1)
    bench.turn()
    assert bench.saved == 1
    bench.pace.on_applied(1, 1)
    assert not bench.soon


def test_many_small_commands_want_one_after_a_second() -> None:
    async def story() -> None:
        bench = Bench()
        bench.pace.on_applied(10, COMMANDS_MAX - 1)
        await asyncio.sleep(5)
        assert not bench.soon
        for _ in range(3):
            bench.pace.on_applied(10, 1)
        await asyncio.sleep(0.9)
        assert not bench.soon
        await asyncio.sleep(0.2)
        bench.turn()
        assert bench.saved == 1
        await asyncio.sleep(5)
        assert not bench.soon

    run_virtually(story())


def test_after_its_end_nothing_is_saved_by_the_clock() -> None:
    async def story() -> None:
        bench = Bench()
        bench.pace.on_applied(10, COMMANDS_MAX)
        bench.pace.stop()
        await asyncio.sleep(5)
        assert not bench.soon

    run_virtually(story())
