"""Refusals that only the leader may give: each is told when a majority has confirmed that this node still leads.

A leader that was deposed and does not know it has not seen what another one has admitted since: to it the next batch of
a producer comes too early. A client that is told so gives the batch up, or begins a new epoch.
"""

import asyncio

from .barriers import pass_barrier
from .errors import ClosingError, NotLeaderError, ShardingError
from .gathering import OnDone
from .shard import Shard


class Refusals:
    """Owns a task for each; there are no more than appends that wait, and none outlasts the deadline of a barrier."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[ShardingError]] = set()

    def tell(self, shard: Shard, refusal: ShardingError, on_done: OnDone) -> None:
        """Answer an append with its refusal, or with what keeps this node from saying so."""

        def answer(task: "asyncio.Task[ShardingError]") -> None:
            self._tasks.discard(task)
            on_done(ClosingError("the node is shutting down") if task.cancelled() else task.result())

        task = asyncio.get_running_loop().create_task(_confirmed(shard, refusal), name=f"refusal of {shard.shard_id}")
        self._tasks.add(task)
        task.add_done_callback(answer)

    def close(self) -> None:
        """Whoever waits is told that the node closes."""
        for task in self._tasks:
            task.cancel()


async def _confirmed(shard: Shard, refusal: ShardingError) -> ShardingError:
    try:
        await pass_barrier(shard)
    except ShardingError as error:
        return error
    # Whoever leads now knows what was admitted meanwhile.
    return refusal if shard.is_leader else NotLeaderError(shard.group.leader_or_none, is_refusal=True)
