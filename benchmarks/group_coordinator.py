"""What the group coordinator costs: requests per second, and the longest single step in a full group.

python -m benchmarks.group_coordinator
The log is in memory (tests/support), so this is the machine and the shell, not the disk.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from itertools import count

from sharding.coordinators.group import Group
from sharding.coordinators.groups import Groups
from sharding.coordinators.interfaces import CommittedOffset, JoinWanted
from sharding.coordinators.slots import SLOT_COUNT, GroupSlots
from sharding.coordinators.values import Answered, GroupLimits, SaveWanted, SyncWanted
from sharding.shard import Shard
from tests.support.fake_clock import FakeClock
from tests.support.memory_group import MemoryDisk, MemoryGroup

MEMBERS = 1_000
LIMITS = GroupLimits(initial_rebalance_delay_ms=0)


def wanted(member_id: str = "") -> JoinWanted:
    return JoinWanted(
        group_id="g",
        member_id=member_id,
        instance_id=None,
        client_id="client",
        client_host="/127.0.0.1",
        session_timeout_ms=45_000,
        rebalance_timeout_ms=300_000,
        protocol_type="consumer",
        protocols=[("range", bytes(200)), ("cooperative-sticky", bytes(200))],
        needs_known_member_id=False,
    )


def full_group() -> None:
    """A machine with as many members as one may have: the longest call of each kind."""
    group, longest = Group("g", LIMITS), dict.fromkeys(("join", "complete", "sync", "saved"), 0.0)

    def timed(kind: str, call: Callable[[], object]) -> list[Answered | SaveWanted]:
        begin = time.perf_counter()
        call()
        outputs = group.take_outputs()
        group.next_deadline_ms()
        longest[kind] = max(longest[kind], time.perf_counter() - begin)
        return outputs

    for n in range(MEMBERS):
        timed("join", lambda n=n: group.join(wanted(), f"member-{n}", 0))
    timed("complete", lambda: group.on_time(0))  # put off once: others came after the first
    timed("complete", lambda: group.on_time(0))
    assignments = {f"member-{n}": bytes(100) for n in range(MEMBERS)}
    outputs: list[Answered | SaveWanted] = []
    for n in reversed(range(MEMBERS)):
        sync = SyncWanted(generation=1, member_id=f"member-{n}", instance_id=None, assignments=assignments)
        outputs += timed("sync", lambda sync=sync: group.sync(sync, 0))
    (save,) = (each for each in outputs if isinstance(each, SaveWanted))
    timed("saved", lambda: group.on_saved(save.number, None, 0))
    print(f"{MEMBERS} members, longest ms:", {kind: round(s * 1000, 2) for kind, s in longest.items()})


async def small_groups() -> None:
    shard = Shard(
        1, call_soon=asyncio.get_running_loop().call_soon, logger=logging.getLogger(), sections=[GroupSlots()]
    )
    raft, clock, ids = MemoryGroup(shard, MemoryDisk()), FakeClock(), count()
    shard.attach(raft)
    groups = Groups(
        limits=LIMITS, clock=clock, wall_ms=lambda: 0, new_id=lambda: str(next(ids)), logger=logging.getLogger()
    )
    groups.serve(shard, range(SLOT_COUNT))
    raft.lead()
    joining = asyncio.ensure_future(groups.join(wanted()))
    await asyncio.sleep(0)
    clock.advance(0)
    member_id = (await joining).member_id
    await groups.sync("g", 1, member_id, None, {member_id: b""})

    heartbeats = 100_000
    begin = time.perf_counter()
    for _ in range(heartbeats):
        groups.heartbeat("g", 1, member_id, None)
    print(f"heartbeats/s: {heartbeats / (time.perf_counter() - begin):,.0f}")

    commits, side_by_side = 20_000, 100
    offsets = {("orders", partition): CommittedOffset(offset=7) for partition in range(4)}
    begin = time.perf_counter()
    for _ in range(commits // side_by_side):
        await asyncio.gather(*(groups.commit("g", 1, member_id, None, offsets) for _ in range(side_by_side)))
    print(f"commits/s of 4 partitions, 100 at a time: {commits / (time.perf_counter() - begin):,.0f}")


if __name__ == "__main__":
    full_group()
    asyncio.run(small_groups())
