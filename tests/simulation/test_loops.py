"""The loops and engines: asyncio's promises are kept, nothing else is, and one seed gives one course of events."""

import asyncio
import gc
from collections.abc import Awaitable, Callable

import pytest

from tests.simulation.engines import ENGINES, Engine, SimulationStuckError
from tests.simulation.loops import ProcessLoop
from tests.simulation.world import World

ENGINE_NAMES = sorted(ENGINES)


def run(engine: Engine, story: Callable[[], Awaitable[None]], *others: ProcessLoop) -> None:
    operator = ProcessLoop(engine, "operator")

    async def told() -> None:
        await story()

    task = operator.start(told())
    engine.run(operator, task)
    for loop in (operator, *others):
        loop.forget()
    task.result()


@pytest.mark.parametrize("name", ENGINE_NAMES)
def test_callbacks_of_a_process_run_in_the_order_in_which_they_were_asked_for(name: str) -> None:
    engine, seen = ENGINES[name](1), []

    async def story() -> None:
        for i in range(50):
            asyncio.get_running_loop().call_soon(seen.append, i)
        await asyncio.sleep(0)

    run(engine, story)
    assert seen == list(range(50))


@pytest.mark.parametrize("name", ENGINE_NAMES)
def test_time_jumps_to_the_next_timer(name: str) -> None:
    engine = ENGINES[name](1)

    async def story() -> None:
        await asyncio.sleep(3600)

    run(engine, story)
    assert engine.now == pytest.approx(3600)


@pytest.mark.parametrize("name", ENGINE_NAMES)
def test_processes_interleave_differently_from_seed_to_seed_and_equally_for_one_seed(name: str) -> None:
    def order(seed: int) -> list[str]:
        engine, seen = ENGINES[name](seed), []
        loops = [ProcessLoop(engine, f"p{i}") for i in range(4)]

        async def work(label: str) -> None:
            for _ in range(5):
                seen.append(label)
                await asyncio.sleep(0)

        async def story() -> None:
            for loop in loops:
                loop.start(work(loop.name))
            await asyncio.sleep(1)

        run(engine, story, *loops)
        return seen

    assert len({tuple(order(seed)) for seed in range(6)}) > 1
    assert order(3) == order(3)


@pytest.mark.parametrize("name", ENGINE_NAMES)
def test_nothing_of_a_killed_process_runs_not_even_what_is_in_finally(name: str) -> None:
    engine, seen = ENGINES[name](1), []
    victim = ProcessLoop(engine, "victim")

    async def work() -> None:
        try:
            while True:  # noqa: ASYNC110 - a process that is busy with nothing
                await asyncio.sleep(0.01)
        finally:
            seen.append("cleaned up")

    async def story() -> None:
        victim.start(work())
        await asyncio.sleep(0.1)
        victim.kill()
        await asyncio.sleep(1)
        assert not seen

    run(engine, story, victim)


def test_a_task_of_a_killed_process_is_let_go_without_a_word_whatever_its_finally_blocks_do(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A warning would be an error here."""
    engine = ENGINES["seeded"](1)
    victim = ProcessLoop(engine, "victim")

    async def work() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(100)

    async def story() -> None:
        victim.start(work())
        await asyncio.sleep(0.1)
        victim.kill()

    run(engine, story, victim)
    gc.collect()
    assert not caplog.records


@pytest.mark.parametrize("name", ENGINE_NAMES)
def test_a_paused_process_does_late_what_was_due(name: str) -> None:
    engine, seen = ENGINES[name](1), []
    sleeper = ProcessLoop(engine, "sleeper")

    async def work() -> None:
        await asyncio.sleep(0.5)
        seen.append(engine.now)

    async def story() -> None:
        sleeper.start(work())
        await asyncio.sleep(0.1)
        sleeper.pause()
        await asyncio.sleep(2)
        assert not seen
        sleeper.resume()
        await asyncio.sleep(0.1)

    run(engine, story, sleeper)
    assert seen == [pytest.approx(2.1, abs=0.01)]


def test_a_history_in_which_nothing_will_happen_ends() -> None:
    async def story() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(SimulationStuckError):
        run(ENGINES["seeded"](1), story)


def test_the_trace_tells_two_histories_apart() -> None:
    first, second = (World(1, ENGINES["seeded"](1)) for _ in range(2))
    first.trace("frame", 1, 2)
    second.trace("frame", 2, 1)
    assert first.digest() != second.digest()
