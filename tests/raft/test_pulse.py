"""What many groups share: one ticker, one heartbeat frame, and patience with their own loop."""

import asyncio

import pytest

from raft.codec import HeartbeatRow, MessageKind, decode_heartbeats
from raft.interfaces import Buffer, GroupId, Index, NodeId, Role, Term
from raft.news import News
from raft.pulse import Pulse
from tests.support.fake_clock import FakeClock
from tests.support.raft_cluster import RaftCluster, RestoredMachine, raft_cluster

GROUPS = 20


class Ticks:
    def __init__(self, due_ms: int = 0) -> None:
        self.due_ms = due_ms
        self.seen: list[tuple[int, bool]] = []

    def on_tick(self, now_ms: int, *, is_late: bool) -> None:
        self.seen.append((now_ms, is_late))


async def _ticker() -> None:
    clock = FakeClock(0)
    pulse = Pulse(clock, 100, lambda _node, _group, _kind, _buffers: True)
    assert clock.timer_count == 0, "no group, no timer"
    often, seldom = Ticks(), Ticks(due_ms=120)
    pulse.add(often)
    pulse.add(seldom)
    assert clock.timer_count == 1
    clock.advance(150)
    assert often.seen == [(50, False), (100, False), (150, False)]
    assert seldom.seen == [(150, False)], "who is not due is not asked"
    clock._now_ms += 300  # pyright: ignore[reportPrivateUsage] - the loop is held up
    clock.advance(0)
    assert often.seen[-1] == (450, True)
    pulse.discard(often)
    pulse.discard(seldom)
    assert clock.timer_count == 0


def test_one_ticker_looks_at_those_that_are_due() -> None:
    asyncio.run(_ticker())


async def _frames() -> None:
    sent: list[tuple[NodeId, GroupId, int, bytes]] = []

    def send(node: NodeId, group: GroupId, kind: int, buffers: "list[Buffer] | tuple[Buffer, ...]") -> bool:
        sent.append((node, group, kind, b"".join(buffers)))
        return True

    pulse = Pulse(FakeClock(), 100, send)  # pyright: ignore[reportArgumentType] - narrower than a Sequence
    rows = [HeartbeatRow(GroupId(group), Term(1), Index(2), 3) for group in range(64)]
    for row in rows:
        pulse.add_heartbeat(NodeId(2), row)
        pulse.add_heartbeat(NodeId(3), row)
    assert sent == []
    await asyncio.sleep(0)
    assert [(node, group, kind) for node, group, kind, _ in sent] == [
        (2, 0, MessageKind.HEARTBEATS),
        (3, 0, MessageKind.HEARTBEATS),
    ]
    assert decode_heartbeats(memoryview(sent[0][3])) == rows


def test_heartbeats_of_one_turn_share_a_frame_for_each_node() -> None:
    asyncio.run(_frames())


async def open_groups(cluster: RaftCluster) -> None:
    everyone = [cluster.peer(node) for node in (1, 2, 3)]
    for group in range(100, 100 + GROUPS):
        for node in (1, 2, 3):
            await cluster[node].host.open_group(GroupId(group), RestoredMachine(), founders=everyone)
    await cluster.settle(1_000)


def leads_all(cluster: RaftCluster, node: int) -> bool:
    groups = [cluster[node].host.group_or_none(GroupId(group)) for group in range(100, 100 + GROUPS)]
    return all(group is not None and group.role is Role.LEADER for group in groups)


async def _idle() -> None:
    async with raft_cluster(1, 2, 3) as cluster:
        await open_groups(cluster)
        assert leads_all(cluster, 1)
        before = cluster.network.frame_count
        await cluster.settle(1_000)
        # In each heartbeat: one frame to each follower, and one back.
        assert cluster.network.frame_count - before <= 4 * 11
        assert leads_all(cluster, 1)


def test_idle_groups_cost_a_frame_a_heartbeat_and_node() -> None:
    asyncio.run(_idle())


async def _held_up() -> None:
    async with raft_cluster(1, 2, 3) as cluster:
        await open_groups(cluster)
        terms = [cluster[node].opened.term for node in (1, 2, 3)]
        for _ in range(5):
            cluster.clock._now_ms += 2_000  # pyright: ignore[reportPrivateUsage] - no loop turns so long
            await cluster.settle(500)
        assert [cluster[node].opened.term for node in (1, 2, 3)] == terms
        assert leads_all(cluster, 1)


def test_loops_that_are_held_up_elect_nobody() -> None:
    asyncio.run(_held_up())


async def _news() -> None:
    clock, has_come = FakeClock(0), False
    news = News(clock)
    waiting = asyncio.ensure_future(news.wait_until(lambda: has_come, 1_000))
    late = asyncio.ensure_future(news.wait_until(lambda: False, 1_000))
    await asyncio.sleep(0)
    news.tell()
    await asyncio.sleep(0)
    assert not waiting.done()
    has_come = True
    news.tell()
    assert await waiting
    clock.advance(1_000)
    assert not await late
    assert clock.timer_count == 0


def test_who_waits_for_news_is_woken_by_it_or_by_the_deadline() -> None:
    asyncio.run(_news())


@pytest.mark.parametrize("is_up_again", [False, True])
def test_group_zero_is_a_group_like_any_other(is_up_again: bool) -> None:
    """Heartbeat frames name group 0 in their head, and it has rows of its own."""

    async def run() -> None:
        async with raft_cluster(1, 2, 3) as cluster:
            everyone = [cluster.peer(node) for node in (1, 2, 3)]
            for node in (1, 2, 3):
                await cluster[node].host.open_group(GroupId(0), RestoredMachine(), founders=everyone)
            await cluster.settle(1_000)
            if is_up_again:
                cluster.network.cut(NodeId(1), NodeId(2))
                cluster.network.heal(NodeId(1), NodeId(2))
                await cluster.settle(1_000)
            group = cluster[2].host.group_or_none(GroupId(0))
            assert group is not None
            assert group.leader_or_none is not None

    asyncio.run(run())
