"""The shell: real shards over a log in memory; waiting, durability before answers, restarts and lost leadership."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import wraps
from itertools import count

import pytest

from raft.errors import LogFullError
from sharding.commands.table import COMMANDS, decode_body
from sharding.coordinators.groups import Groups
from sharding.coordinators.interfaces import CommittedOffset, GroupsApi, Joined, Synced
from sharding.coordinators.slots import SLOT_COUNT, GroupSlots, slot_of
from sharding.coordinators.values import GroupLimits
from sharding.errors import (
    ClosingError,
    CoordinatorLoadingError,
    CoordinatorNotAvailableError,
    GroupMaxSizeReachedError,
    GroupNotFoundError,
    GroupSubscribedToTopicError,
    IllegalGenerationError,
    InvalidGroupIdError,
    MemberIdRequiredError,
    NonEmptyGroupError,
    NotCoordinatorError,
    OffsetMetadataTooLargeError,
    RebalanceInProgressError,
    UnknownMemberError,
)
from sharding.shard import Shard
from tests.sharding.coordinators.driving import SESSION_MS, join_wanted
from tests.sharding.coordinators.test_offsets_and_slots import subscription
from tests.support.fake_clock import FakeClock
from tests.support.memory_group import MemoryDisk, MemoryGroup

LOG = logging.getLogger("test")
LIMITS = GroupLimits(initial_rebalance_delay_ms=0)
WALL_MS = 1_700_000_000_000
ORDERS = ("orders", 0)
_ids = count(1)


def in_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @wraps(test)
    def run(*arguments: object, **named: object) -> None:
        asyncio.run(asyncio.wait_for(test(*arguments, **named), 20))

    return run


async def turn(count_: int = 6) -> None:
    """Let whatever is ready run."""
    for _ in range(count_):
        await asyncio.sleep(0)


class Node:
    """One incarnation of a node with one shard that holds all slots; the disk outlives it."""

    def __init__(self, disk: MemoryDisk | None = None, limits: GroupLimits = LIMITS, *, leads: bool = True) -> None:
        self.disk = disk or MemoryDisk()
        self.clock = FakeClock()
        self.shard = Shard(1, call_soon=self._call_soon, logger=LOG, sections=[GroupSlots()])
        self.raft = MemoryGroup(self.shard, self.disk)
        self.shard.attach(self.raft)
        self.groups = Groups(
            limits=limits,
            clock=self.clock,
            wall_ms=lambda: WALL_MS,
            new_id=lambda: str(next(_ids)),
            logger=LOG,
        )
        self.raft.replay()
        self.groups.serve(self.shard, range(SLOT_COUNT))
        if leads:
            self.raft.lead()
            self.clock.advance(0)

    @staticmethod
    def _call_soon(callback: Callable[[], object]) -> object:
        return asyncio.get_running_loop().call_soon(callback)

    def crash(self) -> "Node":
        """Another process over what is on disk."""
        return Node(self.disk)

    def logged(self) -> list[str]:
        """The commands on disk by name."""
        return [
            type(command).__name__
            for _, body in self.disk.entries
            for command, _ in decode_body(COMMANDS, memoryview(body))
        ]

    async def settle(self, ms: int = 0) -> None:
        await turn()
        self.clock.advance(ms)
        await turn()

    def begin(self, call: Awaitable[object]) -> "asyncio.Future[object]":
        return asyncio.ensure_future(call)

    async def stable(self, group_id: str = "g", **fields: object) -> str:
        """A stable group of one member that is assigned b'all'; returns its id."""
        joining = self.begin(self.groups.join(join_wanted(group_id=group_id, **fields)))  # type: ignore[arg-type]
        await self.settle()
        joined = joining.result()
        assert isinstance(joined, Joined)
        instance = fields.get("instance_id")
        assert instance is None or isinstance(instance, str)
        synced = await self.groups.sync(
            group_id, joined.generation, joined.member_id, instance, {joined.member_id: b"all"}
        )
        assert synced.assignment == b"all"
        return joined.member_id

    async def commit(self, offset: int, group_id: str = "g", member_id: str = "", generation: int = -1) -> None:
        await self.groups.commit(group_id, generation, member_id, None, {ORDERS: CommittedOffset(offset=offset)})

    async def offset(self, group_id: str = "g") -> int | None:
        found = await self.groups.fetch(group_id, [ORDERS])
        return found[ORDERS].offset if ORDERS in found else None


def test_groups_fulfil_the_contract() -> None:
    names = [name for name in dir(GroupsApi) if not name.startswith("_")]
    assert all(callable(getattr(Groups, name)) for name in names)


@in_loop
async def test_join_sync_heartbeat_leave() -> None:
    node = Node()
    member_id = await node.stable(client_id="app")
    assert member_id.startswith("app-")
    node.groups.heartbeat("g", 1, member_id, None)
    told = node.groups.describe("g")
    assert (told.state, told.generation, told.members[0].assignment) == ("Stable", 1, b"all")
    assert await node.groups.leave("g", [(member_id, None)]) == [None]
    await node.settle()
    assert node.groups.describe("g").state == "Empty"
    assert node.logged() == ["SaveGroup", "SaveGroup"]


@in_loop
async def test_member_id_is_required_and_then_known() -> None:
    node = Node()
    with pytest.raises(MemberIdRequiredError) as told:
        await node.groups.join(join_wanted(needs_known_member_id=True))
    member_id = told.value.member_id
    joining = node.begin(node.groups.join(join_wanted(member_id, needs_known_member_id=True)))
    await node.settle()
    joined = joining.result()
    assert isinstance(joined, Joined)
    assert joined.member_id == member_id


@in_loop
async def test_sync_is_answered_only_when_the_save_is_committed() -> None:
    node = Node()
    joinings = [node.begin(node.groups.join(join_wanted())) for _ in range(2)]
    await node.settle()
    leader, follower = (each.result() for each in joinings)
    assert isinstance(leader, Joined)
    assert isinstance(follower, Joined)
    node.raft.is_held = True
    syncs = [
        node.begin(node.groups.sync("g", 1, follower.member_id, None, {})),
        node.begin(node.groups.sync("g", 1, leader.member_id, None, {follower.member_id: b"F"})),
    ]
    await node.settle()
    assert node.raft.pending_count == 1
    assert not any(each.done() for each in syncs)
    node.raft.release()
    await node.settle()
    assert [each.result().assignment for each in syncs] == [b"F", b""]  # type: ignore[attr-defined]


@in_loop
async def test_commit_is_answered_only_when_it_is_committed_and_seen_only_then() -> None:
    node = Node()
    member_id = await node.stable()
    await node.commit(1, member_id=member_id, generation=1)
    node.raft.is_held = True
    committing = node.begin(node.commit(2, member_id=member_id, generation=1))
    await node.settle()
    assert not committing.done()
    fetching = node.begin(node.offset())
    await node.settle()
    assert not fetching.done(), "a fetch must see what was committed before it"
    node.raft.release()
    await node.settle()
    assert committing.done()
    assert fetching.result() == 2


@in_loop
async def test_restart_keeps_members_assignments_and_offsets() -> None:
    node = Node()
    member_id = await node.stable()
    static_id = await node.stable("s", instance_id="i")
    await node.commit(41, member_id=member_id, generation=1)
    await node.commit(7, "simple")
    again = node.crash()
    assert again.groups.describe("g") == node.groups.describe("g")
    again.groups.heartbeat("g", 1, member_id, None)
    synced = await again.groups.sync("s", 1, static_id, "i", {})
    assert synced.assignment == b"all"
    assert (await again.offset(), await again.offset("simple")) == (41, 7)
    found = await again.groups.fetch("g", None)
    assert found == {ORDERS: CommittedOffset(offset=41, leader_epoch=-1, metadata="", commit_ms=WALL_MS)}


@in_loop
async def test_sessions_begin_anew_after_a_restart_also_without_any_request() -> None:
    node = Node()
    await node.stable()
    again = node.crash()
    await again.settle(SESSION_MS - 1)
    assert again.groups.describe("g").state == "Stable"
    await again.settle(1)
    assert again.groups.describe("g").state == "Empty"
    assert again.crash().groups.describe("g").state == "Empty"


@in_loop
async def test_restart_from_a_checkpoint_and_the_tail_after_it() -> None:
    node = Node()
    member_id = await node.stable()
    await node.commit(1, member_id=member_id, generation=1)
    node.shard.save_checkpoint()
    await node.commit(2, member_id=member_id, generation=1)
    await node.commit(3, "other")
    again = node.crash()
    assert (await again.offset(), await again.offset("other")) == (2, 3)
    again.groups.heartbeat("g", 1, member_id, None)


@in_loop
async def test_unfinished_rebalance_is_begun_anew_after_a_restart() -> None:
    node = Node()
    member_id = await node.stable()
    newcomer = node.begin(node.groups.join(join_wanted()))
    rejoining = node.begin(node.groups.join(join_wanted(member_id)))
    await node.settle()
    joined = newcomer.result()
    assert isinstance(joined, Joined)
    assert rejoining.done()
    again = node.crash()
    with pytest.raises(IllegalGenerationError):
        again.groups.heartbeat("g", 2, member_id, None)
    with pytest.raises(UnknownMemberError):
        again.groups.heartbeat("g", 2, joined.member_id, None)
    again.groups.heartbeat("g", 1, member_id, None)


@in_loop
async def test_until_the_shard_leads_the_coordinator_is_loading() -> None:
    node = Node(leads=False)
    with pytest.raises(CoordinatorLoadingError):
        await node.groups.join(join_wanted())
    with pytest.raises(CoordinatorLoadingError):
        await node.commit(1)
    with pytest.raises(CoordinatorLoadingError):
        await node.offset()
    with pytest.raises(CoordinatorLoadingError):
        node.groups.describe("g")
    with pytest.raises(CoordinatorLoadingError):
        node.groups.list()
    # Clients take "loading" as fatal in these two.
    node.groups.heartbeat("g", 1, "m", None)
    with pytest.raises(RebalanceInProgressError):
        await node.groups.sync("g", 1, "m", None, {})
    node.raft.lead()
    assert node.groups.list() == []


@in_loop
async def test_whoever_waits_is_told_when_leadership_ends() -> None:
    node = Node()
    member_id = await node.stable()
    joining = node.begin(node.groups.join(join_wanted()))
    await node.settle()
    node.raft.is_held = True
    committing = node.begin(node.commit(5, "simple"))
    committing_too = node.begin(node.commit(6, member_id=member_id, generation=1))
    deleting = node.begin(node.groups.delete("simple"))
    await node.settle()
    node.raft.step_down()
    await node.settle()
    for waiting in (joining, committing, committing_too, deleting):
        assert isinstance(waiting.exception(), NotCoordinatorError), waiting
    with pytest.raises(NotCoordinatorError):
        node.groups.heartbeat("g", 1, member_id, None)
    with pytest.raises(NotCoordinatorError):
        await node.offset()
    assert node.groups.list() == []
    assert len(node.groups._deadlines) == 0


@in_loop
async def test_leader_that_lost_its_office_without_a_successor_is_not_loading() -> None:
    node = Node()
    node.raft.step_down(None)
    with pytest.raises(NotCoordinatorError):
        node.groups.describe("g")


@in_loop
async def test_lost_save_leaves_the_last_generation_to_the_next_leader() -> None:
    node = Node()
    member_id = await node.stable()
    rejoining = node.begin(node.groups.join(join_wanted(member_id)))
    await node.settle()
    assert rejoining.result().generation == 2  # type: ignore[attr-defined]
    node.raft.is_held = True
    syncing = node.begin(node.groups.sync("g", 2, member_id, None, {member_id: b"new"}))
    await node.settle()
    node.raft.step_down()
    node.raft.is_held = False
    await node.settle()
    assert isinstance(syncing.exception(), NotCoordinatorError)
    node.raft.lead()
    told = node.groups.describe("g")
    assert (told.generation, told.members[0].assignment) == (1, b"all")


@in_loop
async def test_full_disk_is_told_as_a_coordinator_that_pauses() -> None:
    node = Node()
    member_id = await node.stable()
    node.raft.refusal = LogFullError("full")
    with pytest.raises(CoordinatorNotAvailableError):
        await node.commit(1, member_id=member_id, generation=1)
    rejoining = node.begin(node.groups.join(join_wanted(member_id)))
    await node.settle()
    assert rejoining.done()
    with pytest.raises(CoordinatorNotAvailableError):
        await node.groups.sync("g", 2, member_id, None, {})
    node.raft.refusal = None
    assert node.groups.describe("g").state == "PreparingRebalance"


@in_loop
async def test_emptied_group_whose_save_failed_does_not_come_back_by_itself() -> None:
    node = Node()
    await node.stable()
    node.raft.refusal = LogFullError("full")
    await node.settle(SESSION_MS)
    node.raft.refusal = None
    assert node.groups.describe("g").state == "Empty"
    assert node.groups.describe("g").generation == 2


@in_loop
async def test_request_that_is_given_up_leaves_the_group_at_work() -> None:
    node = Node()
    first = node.begin(node.groups.join(join_wanted()))
    second = node.begin(node.groups.join(join_wanted()))
    await turn()
    first.cancel()
    await node.settle()
    joined = second.result()
    assert isinstance(joined, Joined)
    assert joined.generation == 1
    node.raft.is_held = True
    committing = node.begin(node.commit(1, "simple"))
    await turn()
    committing.cancel()
    await turn()
    node.raft.release()
    node.raft.is_held = False
    await turn()
    assert await node.offset("simple") == 1


@in_loop
async def test_commit_rules() -> None:
    node = Node()
    member_id = await node.stable()
    with pytest.raises(UnknownMemberError):
        await node.commit(1)
    with pytest.raises(UnknownMemberError):
        await node.commit(1, member_id="stranger", generation=1)
    with pytest.raises(IllegalGenerationError):
        await node.commit(1, member_id=member_id, generation=2)
    with pytest.raises(IllegalGenerationError):
        await node.commit(1, "unknown", member_id, 1)
    with pytest.raises(OffsetMetadataTooLargeError):
        await node.groups.commit("simple", -1, "", None, {ORDERS: CommittedOffset(offset=1, metadata="x" * 5_000)})
    await node.groups.commit("simple", -1, "", None, {})
    assert node.groups.describe("simple").state == "Dead"
    assert await node.offset() is None


@in_loop
async def test_offsets_may_be_kept_under_the_empty_name_but_members_need_one() -> None:
    node = Node()
    await node.commit(3, "")
    assert await node.offset("") == 3
    assert [each.group_id for each in node.crash().groups.list()] == [""]
    with pytest.raises(InvalidGroupIdError):
        await node.groups.join(join_wanted(group_id=""))
    with pytest.raises(InvalidGroupIdError):
        await node.commit(3, "\ud800")


@in_loop
async def test_list_and_describe_tell_live_idle_and_unknown_groups() -> None:
    node = Node()
    await node.stable("live")
    await node.commit(1, "simple")
    left = await node.stable("left")
    await node.groups.leave("left", [(left, None)])
    await node.settle()
    for told in (node.groups, node.crash().groups):
        assert {each.group_id: (each.state, each.protocol_type, each.generation) for each in told.list()} == {
            "live": ("Stable", "consumer", 1),
            "simple": ("Empty", "", 0),
            "left": ("Empty", "consumer", 2),
        }
        assert told.describe("left").state == "Empty"
        assert told.describe("never").state == "Dead"


@in_loop
async def test_deleted_group_is_gone_with_its_offsets_also_after_a_restart() -> None:
    node = Node()
    member_id = await node.stable()
    await node.commit(1, member_id=member_id, generation=1)
    with pytest.raises(NonEmptyGroupError):
        await node.groups.delete("g")
    with pytest.raises(GroupNotFoundError):
        await node.groups.delete("never")
    await node.groups.leave("g", [(member_id, None)])
    await node.groups.delete("g")
    again = node.crash()
    for each in (node, again):
        assert each.groups.list() == []
        assert await each.offset() is None
    with pytest.raises(UnknownMemberError):
        await node.groups.join(join_wanted(member_id))
    assert await node.stable()


@in_loop
async def test_group_that_is_being_deleted_takes_nothing_more() -> None:
    node = Node()
    await node.commit(1)
    node.raft.is_held = True
    deleting = node.begin(node.groups.delete("g"))
    await turn()
    with pytest.raises(CoordinatorNotAvailableError):
        await node.commit(2)
    with pytest.raises(CoordinatorNotAvailableError):
        await node.groups.join(join_wanted())
    with pytest.raises(GroupNotFoundError):
        await node.groups.delete("g")
    assert node.groups.list() == []
    deleting.cancel()
    await turn()
    with pytest.raises(CoordinatorNotAvailableError):
        await node.commit(2)
    node.raft.release()
    await turn()
    assert node.groups.describe("g").state == "Dead"
    node.raft.is_held = False
    await node.commit(3)
    assert await node.offset() == 3


@in_loop
async def test_deletion_that_could_not_be_written_is_undone() -> None:
    node = Node()
    await node.commit(1)
    node.raft.refusal = LogFullError("full")
    with pytest.raises(CoordinatorNotAvailableError):
        await node.groups.delete("g")
    node.raft.refusal = None
    await node.commit(2)
    assert await node.offset() == 2
    node.shard.stop_admitting()
    with pytest.raises(ClosingError):
        await node.groups.delete("g")
    assert node.groups.describe("g").state == "Empty"


@in_loop
async def test_offsets_of_consumed_topics_are_not_deleted() -> None:
    node = Node()
    member_id = await node.stable(protocols=[("range", subscription("orders"))])
    offsets = {ORDERS: CommittedOffset(offset=1), ("old", 0): CommittedOffset(offset=2)}
    await node.groups.commit("g", 1, member_id, None, offsets)
    kept, gone, absent = await node.groups.delete_offsets("g", [ORDERS, ("old", 0), ("old", 9)])
    assert isinstance(kept, GroupSubscribedToTopicError)
    assert gone is absent is None
    assert set(await node.groups.fetch("g", None)) == {ORDERS}
    await node.groups.leave("g", [(member_id, None)])
    assert await node.groups.delete_offsets("g", [ORDERS]) == [None]
    assert await node.crash().offset() is None


@in_loop
async def test_offsets_of_unknown_groups_and_foreign_protocols_are_not_deleted() -> None:
    node = Node()
    with pytest.raises(GroupNotFoundError):
        await node.groups.delete_offsets("never", [ORDERS])
    await node.stable(protocol_type="connect")
    with pytest.raises(NonEmptyGroupError):
        await node.groups.delete_offsets("g", [ORDERS])


@in_loop
async def test_offsets_end_with_their_topic() -> None:
    node = Node()
    await node.groups.commit(
        "a", -1, "", None, {ORDERS: CommittedOffset(offset=1), ("t", 0): CommittedOffset(offset=2)}
    )
    await node.commit(1, "b")
    await node.groups.forget_topic("orders")
    again = node.crash()
    assert set(await again.groups.fetch("a", None)) == {("t", 0)}
    assert again.groups.describe("b").state == "Dead"


@in_loop
async def test_groups_of_a_slot_are_bounded() -> None:
    node = Node(limits=GroupLimits(groups_per_slot_max=1))
    names = [name for name in map(str, range(1_000)) if slot_of(name) == slot_of("g")]
    await node.commit(1)
    with pytest.raises(GroupMaxSizeReachedError):
        await node.commit(1, names[0])
    with pytest.raises(GroupMaxSizeReachedError):
        await node.groups.join(join_wanted(group_id=names[0]))
    await node.commit(2)
    await node.groups.delete("g")
    await node.commit(1, names[0])


@in_loop
async def test_groups_at_rest_take_no_memory_and_no_timer() -> None:
    node = Node()
    for n in range(200):
        await node.commit(1, f"simple-{n}")
        with pytest.raises(MemberIdRequiredError):
            await node.groups.join(join_wanted(group_id=f"never-{n}", needs_known_member_id=True))
        with pytest.raises(UnknownMemberError):
            await node.groups.join(join_wanted("stranger", group_id=f"stranger-{n}"))
    await node.settle(SESSION_MS)
    places = node.groups._places.values()
    assert sum(len(place.coordinator._live) for place in places if place.coordinator) == 0
    assert len(node.groups._deadlines) == 0
    assert node.clock.timer_count == 0


@in_loop
async def test_closed_coordinator_tells_those_who_wait() -> None:
    node = Node(limits=GroupLimits(initial_rebalance_delay_ms=3_000))
    joining = node.begin(node.groups.join(join_wanted()))
    await node.settle()
    node.groups.close()
    await node.settle()
    assert isinstance(joining.exception(), ClosingError)
    with pytest.raises(ClosingError):
        node.groups.heartbeat("g", 1, "m", None)
    assert node.clock.timer_count == 0
    node.raft.step_down()
    node.raft.lead()


@in_loop
async def test_slot_that_is_not_here_is_coordinated_elsewhere() -> None:
    node = Node()
    other = Groups(limits=LIMITS, clock=node.clock, wall_ms=lambda: 0, new_id=lambda: "x", logger=LOG)
    other.serve(node.shard, [slot_of("g")])
    assert other.describe("g").state == "Dead"
    elsewhere = next(name for name in map(str, range(100)) if slot_of(name) != slot_of("g"))
    with pytest.raises(NotCoordinatorError):
        other.describe(elsewhere)


@in_loop
async def test_two_hundred_groups_rebalance_and_commit_side_by_side() -> None:
    node = Node()
    members = await asyncio.gather(*(node_member(node, f"g{n}") for n in range(200)))
    await asyncio.gather(*(node.commit(n, f"g{n}", member, 1) for n, member in enumerate(members)))
    again = node.crash()
    assert [await again.offset(f"g{n}") for n in range(200)] == list(range(200))
    assert {each.state for each in again.groups.list()} == {"Stable"}


async def node_member(node: Node, group_id: str) -> str:
    joining = node.begin(node.groups.join(join_wanted(group_id=group_id)))
    await node.settle()
    joined = await joining
    assert isinstance(joined, Joined)
    synced = await node.groups.sync(group_id, 1, joined.member_id, None, {joined.member_id: group_id.encode()})
    assert isinstance(synced, Synced)
    assert synced.assignment == group_id.encode()
    return joined.member_id
