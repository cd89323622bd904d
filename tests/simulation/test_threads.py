"""A crash finds the round of a node's thread wherever it is, and nothing of it happens afterwards."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from tests.simulation.disk import SimDisk
from tests.simulation.engines import ENGINES
from tests.simulation.threads import Threads
from tests.simulation.world import World
from tests.support.faulty_disk import TORN

LOG = "/data/1.log"
BODY = bytes(range(1, 251)) * 8
ENGINE_NAMES = sorted(ENGINES)


class Machine:
    """A disk with one log, and a thread that writes what it is given to its end and syncs it."""

    def __init__(self, engine: str) -> None:
        self.world = World(1, ENGINES[engine](1))
        self.disk = SimDisk(1)
        self.disk.make_directory("/data")
        self.file = self.disk.create(LOG, 10 * len(BODY))
        self.disk.sync_directory("/data")
        self.threads = Threads(self.world, "node", self.world.random("node"), sync_s=0.001)
        self.disk.pace = self.threads.pace
        self.rounds: list[int] = []
        self.errors: list[BaseException] = []
        self.position = 0
        self.runner = self.threads.runner("writer", self._write, self.errors.append)

    def _write(self, bodies: Sequence[bytes]) -> None:
        self.rounds.append(len(bodies))
        try:
            self.file.write(bodies, self.position)
            self.position += sum(map(len, bodies))
            self.file.sync()
        except Exception as error:
            self.errors.append(error)
            raise

    @property
    def durable(self) -> bytes:
        return bytes(self.disk.crash(1, fates=("none",)).content(LOG))[: self.position]

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            assert self.world.now < 10, "it does not happen"
            await asyncio.sleep(0.0001)

    def run(self, story: Callable[[], Awaitable[None]]) -> None:
        operator = self.world.new_loop("operator")

        async def told() -> None:
            await story()

        task = operator.start(told())
        self.world.engine.run(operator, task)
        operator.forget()
        task.result()


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_a_power_cut_between_write_and_sync_finds_a_torn_tail(engine: str) -> None:
    machine = Machine(engine)

    async def story() -> None:
        machine.runner.submit(BODY)
        await machine.until(lambda: machine.threads.has_unsynced_log)
        machine.threads.die()

    machine.run(story)
    found = bytes(machine.disk.crash(2, fates=TORN).content(LOG))[: len(BODY)].rstrip(b"\0")
    assert BODY.startswith(found)
    assert 0 < len(found) < len(BODY)


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_nothing_of_a_round_happens_after_its_process_has_ended(engine: str) -> None:
    machine = Machine(engine)

    async def story() -> None:
        machine.runner.submit(BODY)
        await machine.until(lambda: machine.threads.has_unsynced_log)
        machine.threads.die()
        machine.runner.submit(BODY)
        await asyncio.sleep(1)

    machine.run(story)
    assert machine.rounds == [1]
    assert not machine.threads.has_unsynced_log
    assert not machine.errors, "nobody is there to whom a call could fail"
    assert machine.durable == bytes(len(BODY)), "it never came to its sync"


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_what_is_submitted_while_a_round_waits_for_the_disk_is_the_next_round(engine: str) -> None:
    machine = Machine(engine)

    async def story() -> None:
        machine.runner.submit(BODY)
        await machine.until(lambda: machine.threads.has_unsynced_log)
        machine.runner.submit(BODY)
        machine.runner.submit(BODY)
        await machine.until(lambda: len(machine.rounds) == 2)
        assert machine.durable.startswith(BODY), "one round at a time"
        machine.runner.stop()

    machine.run(story)
    assert machine.rounds == [1, 2]
    assert machine.durable == BODY * 3, "what is queued is done before the thread stops"
