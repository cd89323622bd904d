"""Read barriers in this layer's words: after one, this replica has applied all that was acknowledged before."""

import asyncio
from collections.abc import Iterable

from raft.errors import NotLeaderError as RaftNotLeaderError

from .errors import NotLeaderError, ShardStoppedError, TimedOutError
from .shard import Shard

BARRIER_DEADLINE_S = 5.0


async def pass_barrier(shard: Shard) -> None:
    """On the leader and on followers alike. Raises: NotLeaderError (nobody leads), ShardStoppedError, TimedOutError."""
    try:
        async with asyncio.timeout(BARRIER_DEADLINE_S):
            await shard.group.read_barrier()
    except RaftNotLeaderError as error:
        if shard.group.is_stopped:
            raise ShardStoppedError(f"shard {shard.shard_id} stopped on this node; its log says why") from error
        raise NotLeaderError(error.leader) from error
    except TimeoutError:
        raise TimedOutError(f"shard {shard.shard_id}: no leader confirmed a read in {BARRIER_DEADLINE_S:g} s") from None


async def pass_barriers(shards: Iterable[Shard]) -> None:
    """Side by side. Raises: as `pass_barrier`."""
    distinct = {shard.shard_id: shard for shard in shards}
    if len(distinct) == 1:
        await pass_barrier(*distinct.values())
        return
    outcomes = await asyncio.gather(*map(pass_barrier, distinct.values()), return_exceptions=True)
    for outcome in outcomes:
        if outcome is not None:
            raise outcome
