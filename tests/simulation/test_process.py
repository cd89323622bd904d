"""A process ends as one does: at once, and nobody is there to complain."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

import pytest

from tests.simulation.cluster import Cluster
from tests.simulation.engines import ENGINES
from tests.simulation.options import draw
from tests.simulation.process import NodeProcess, Phase
from tests.simulation.run import surroundings
from tests.simulation.world import World


def with_a_node(engine: str, story: Callable[[World, NodeProcess], Awaitable[None]]) -> World:
    """Tell a story about a node that stands alone and is up."""
    world = World(1, ENGINES[engine](1))
    cluster = Cluster(world, draw(1, nodes=1, joiners=0, has_streams=False), None)
    (process,) = cluster.processes

    async def told() -> None:
        process.boot()
        while not process.is_up:
            assert world.now < 10, "it does not start"
            await asyncio.sleep(0.02)
        await story(world, process)

    with ExitStack() as stack:
        stack.enter_context(surroundings(world))
        stack.enter_context(cluster.files.in_place())
        operator = world.new_loop("operator")
        task = operator.start(told())
        world.engine.run(operator, task)
        gc.collect()
        faults = [fault for loop in world.loops for fault in loop.faults]
        process.forget()
        for loop in world.loops:
            loop.forget()
    task.result()
    assert faults == []
    return world


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_nobody_hears_of_the_call_of_the_disk_in_which_the_power_went_off(engine: str) -> None:
    async def story(_world: World, process: NodeProcess) -> None:
        life, disk = process.life, process.disk
        assert life is not None

        async def work() -> None:
            disk.cut_at = disk.call_count
            disk.make_directory("/data/more")

        life.loop.start(work())
        await asyncio.sleep(0.1)
        assert process.phase is Phase.DOWN
        assert process.disk is not disk, "what was not synced is lost"

    assert with_a_node(engine, story).counts["power cut inside a disk call"] == 1
