"""What of a group outlives its stop: files with the writer, tasks that wait for a thread, checkpoints in the queue.

All of these write into the group's directory. Another life of the group may begin there only when they are at rest.
"""

import asyncio
from collections.abc import Coroutine

from .group_services import Drained, GroupServices


class Ending:
    """Of one life of a group. `files_closed` falls again only while files are exchanged for a leader's.

    `closed`: whoever closes the group need not wait any longer; if the disk does not answer, that is before the rest.
    """

    def __init__(self, services: GroupServices) -> None:
        self.closed = asyncio.Event()
        self.files_closed = asyncio.Event()
        self._services = services
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        """A task that ends with the group."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel_tasks(self) -> None:
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current:
                task.cancel()

    def on_files_closed(self) -> None:
        """The writer said so when the group was open no more."""
        self.files_closed.set()
        self.closed.set()

    async def written_checkpoints(self) -> None:
        """Until those that are queued are written."""
        drained = asyncio.Event()
        self._services.checkpoints.submit(Drained(drained))
        await drained.wait()

    async def at_rest(self) -> None:
        """Nothing of this life touches the group's directory any more. If the disk does not answer: never."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self.files_closed.wait()
        await self.written_checkpoints()
