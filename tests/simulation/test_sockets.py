"""Connections of clients: what becomes of them is always heard of."""

import asyncio
from contextlib import suppress

import pytest

from tests.simulation.engines import ENGINES
from tests.simulation.sockets import Connection, Sockets
from tests.simulation.world import World


@pytest.mark.parametrize("seed", range(10, 20))
@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_a_client_hears_that_a_process_died_also_while_it_connects(engine: str, seed: int) -> None:
    world = World(seed, ENGINES[engine](seed))
    sockets = Sockets(world)
    server, client = world.new_loop("server"), world.new_loop("client")
    outcomes: list[str] = []

    async def connected() -> None:
        try:
            connection: Connection = await sockets.connect(client, ("node1", 9092))
        except ConnectionError:
            outcomes.append("refused")
            return
        lost = asyncio.Event()
        connection.on_lost = lost.set
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await lost.wait()
            outcomes.append("lost")

    async def story() -> None:
        await sockets.listen(server, asyncio.BufferedProtocol, "node1", 9092)
        client.start(connected())
        await asyncio.sleep(world.random("when").uniform(0.0, 0.003))
        server.kill()
        sockets.die("node1")
        await asyncio.sleep(10)

    operator = world.new_loop("operator")
    task = operator.start(story())
    world.engine.run(operator, task)
    for loop in world.loops:
        loop.forget()
    task.result()
    assert len(outcomes) == 1, "it waits for ever"
