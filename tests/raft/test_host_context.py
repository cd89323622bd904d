"""What the threads of a host report reaches its groups in the context of whoever made the host."""

import asyncio
from contextvars import ContextVar

from raft.host import RaftHost
from tests.raft.doubles import DIRECTORY, GROUP, ME, SMALL, RememberingMachine
from tests.support.faulty_disk import FaultyDisk

LIBRARY: ContextVar[str] = ContextVar("LIBRARY", default="none")


def test_entries_are_applied_in_the_context_of_the_host() -> None:
    """Otherwise nothing that an applied entry leads to can ask which event loop it runs on, as anyio does."""
    seen: set[str] = set()

    async def run() -> None:
        LIBRARY.set("ours")
        host = RaftHost(FaultyDisk(), DIRECTORY, ME, settings=SMALL)
        machine = RememberingMachine()
        machine.on_apply = lambda _index, _body: seen.add(LIBRARY.get())
        group = await host.open_group(GROUP, machine)
        async with asyncio.timeout(40):
            while not machine.is_leading:  # noqa: ASYNC110 - real threads, and no event to wait for
                await asyncio.sleep(0.001)
            last = group.propose([b"one"]).index
            while group.applied < last:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.001)
        await host.close()

    asyncio.run(run())
    assert seen == {"ours"}
