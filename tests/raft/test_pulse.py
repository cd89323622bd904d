"""What many groups share: one ticker, one heartbeat frame, and patience with their own loop."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from raft.codec import (
    HeartbeatRow,
    MessageKind,
    decode_heartbeats,
    encode_heartbeat_responses,
    encode_heartbeats,
)
from raft.core_state import Timings
from raft.interfaces import GroupId, Index, NodeId, Role, Term
from raft.news import News
from raft.pulse import Pulse
from raft.resting import answers
from tests.support.fake_clock import FakeClock
from tests.support.raft_cluster import RaftCluster, RestoredMachine, raft_cluster

GROUPS = 20


class Ticks:
    """`rows`: what it says at rest. `fails`: in every tick."""

    def __init__(
        self, due_ms: int = 0, rows: Sequence[tuple[NodeId, HeartbeatRow]] = (), *, fails: bool = False
    ) -> None:
        self.due_ms = due_ms
        self.is_resting = False
        self.rows = rows
        self.fails = fails
        self.seen: list[tuple[int, bool]] = []
        self.wakes: list[tuple[int, Mapping[NodeId, int], int]] = []

    def on_tick(self, now_ms: int, *, is_late: bool) -> None:
        if self.fails:
            raise AssertionError("a fault of this group")
        self.seen.append((now_ms, is_late))

    def heartbeats_at_rest(self) -> Sequence[tuple[NodeId, HeartbeatRow]]:
        return self.rows

    def on_wake(self, now_ms: int, heard: Mapping[NodeId, int], beat_due_ms: int) -> None:
        self.wakes.append((now_ms, heard, beat_due_ms))


async def _ticker() -> None:
    clock = FakeClock(0)
    pulse = Pulse(clock, Timings(), lambda _node, _messages: True)
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
    sent: list[tuple[NodeId, int, bytes]] = []

    def send(node: NodeId, messages: Sequence[tuple[int, bytes]]) -> bool:
        sent.extend((node, kind, payload) for kind, payload in messages)
        return True

    pulse = Pulse(FakeClock(), Timings(), send)
    rows = [HeartbeatRow(GroupId(group), Term(1), Index(2), 3) for group in range(64)]
    for row in rows:
        pulse.add_heartbeat(NodeId(2), row)
        pulse.add_heartbeat(NodeId(3), row)
    assert sent == []
    await asyncio.sleep(0)
    assert [(node, kind) for node, kind, _ in sent] == [(2, MessageKind.HEARTBEATS), (3, MessageKind.HEARTBEATS)]
    assert decode_heartbeats(memoryview(sent[0][2])) == rows


def test_heartbeats_of_one_turn_share_a_frame_for_each_node() -> None:
    asyncio.run(_frames())


OTHER = NodeId(2)
ROW = HeartbeatRow(GroupId(7), Term(3), Index(9), 2)
FRAME = encode_heartbeats([ROW])
ANSWER = encode_heartbeat_responses(answers([ROW]))


class Sent:
    """What a pulse sends, with the time of its clock."""

    def __init__(self) -> None:
        self.clock = FakeClock(0)
        self.frames: list[tuple[int, NodeId, int, bytes]] = []
        self.writes: list[tuple[int, NodeId]] = []
        self.pulse = Pulse(self.clock, Timings(), self.send)

    def send(self, node: NodeId, messages: Sequence[tuple[int, bytes]]) -> bool:
        self.writes.append((self.clock.now_ms(), node))
        self.frames.extend((self.clock.now_ms(), node, kind, payload) for kind, payload in messages)
        return True


async def _leads_at_rest() -> None:
    sent = Sent()
    leader = Ticks(rows=[(OTHER, ROW)])
    sent.pulse.add(leader)
    for _ in range(10):
        sent.clock.advance(100)
        sent.pulse.hears_answer(OTHER, memoryview(ANSWER))
    assert leader.is_resting
    assert leader.seen == [(50, False)], "who rests is not ticked"
    assert sent.frames == [(at, OTHER, MessageKind.HEARTBEATS_AT_REST, FRAME) for at in range(150, 1_001, 100)]
    sent.clock.advance(250)
    assert leader.is_resting
    sent.clock.advance(100)
    assert leader.wakes == [(1_350, {OTHER: 1_000}, 1_350)], "silence wakes it before it counts as one"


def test_a_leader_at_rest_says_the_same_each_heartbeat_until_nobody_answers() -> None:
    asyncio.run(_leads_at_rest())


async def _leads_and_follows() -> None:
    sent = Sent()
    leader, follower = Ticks(rows=[(OTHER, ROW)]), Ticks(due_ms=900)
    sent.pulse.add(leader)
    other = HeartbeatRow(GroupId(8), Term(3), Index(9), 2)
    frame = memoryview(encode_heartbeats([other]))
    sent.pulse.rest_following(OTHER, [follower], [other], frame)
    sent.clock.advance(50)
    sent.writes.clear()
    for _ in range(10):
        sent.pulse.hears_same(OTHER, frame)
        sent.pulse.hears_answer(OTHER, memoryview(ANSWER))
        sent.clock.advance(100)
    assert (leader.is_resting, follower.is_resting) == (True, True)
    assert sent.writes == [(at, OTHER) for at in range(150, 1_051, 100)]
    assert [kind for _, _, kind, _ in sent.frames[-2:]] == [
        MessageKind.HEARTBEATS_AT_REST,
        MessageKind.HEARTBEAT_RESPONSES,
    ]


def test_what_a_node_says_to_another_and_answers_it_goes_in_one_write() -> None:
    asyncio.run(_leads_and_follows())


async def _never_answered() -> None:
    sent = Sent()
    leader = Ticks(rows=[(OTHER, ROW)])
    sent.pulse.add(leader)
    sent.clock.advance(50)
    leader.rows = ()
    sent.clock.advance(500)
    assert not leader.is_resting
    (woken_ms, heard, _) = leader.wakes[0]
    assert woken_ms <= 350
    assert heard == {}, "nothing was heard since it came to rest"


def test_a_leader_that_is_not_answered_wakes_having_heard_nothing() -> None:
    asyncio.run(_never_answered())


async def _follows_at_rest() -> None:
    sent = Sent()
    follower = Ticks(due_ms=900)
    sent.pulse.add(follower)
    assert not sent.pulse.hears_same(OTHER, memoryview(FRAME)), "it is new"
    sent.pulse.rest_following(OTHER, [follower], [ROW], memoryview(FRAME))
    assert sent.frames == [(0, OTHER, MessageKind.HEARTBEAT_RESPONSES, ANSWER)], "what is new is answered at once"
    sent.frames.clear()
    for _ in range(20):
        sent.clock.advance(100)
        assert sent.pulse.hears_same(OTHER, memoryview(FRAME))
    assert follower.seen == []
    assert [kind for _, _, kind, _ in sent.frames] == [MessageKind.HEARTBEAT_RESPONSES] * len(sent.frames)
    assert 18 <= len(sent.frames) <= 20, "the rest with the own next beat"
    sent.clock.advance(400)
    assert [(heard, woken_ms <= 2_400) for woken_ms, heard, _ in follower.wakes] == [({OTHER: 2_000}, True)]
    assert not sent.pulse.hears_same(OTHER, memoryview(FRAME)), "a group has woken: its row is looked at again"


def test_a_follower_at_rest_answers_for_life_and_wakes_when_the_node_is_silent() -> None:
    asyncio.run(_follows_at_rest())


async def _one_wakes() -> None:
    sent = Sent()
    rows = [HeartbeatRow(GroupId(group), Term(3), Index(9), 2) for group in (7, 8)]
    one, other = Ticks(due_ms=900), Ticks(due_ms=900)
    for ticked in (one, other):
        sent.pulse.add(ticked)
    frame = memoryview(encode_heartbeats(rows))
    sent.pulse.rest_following(OTHER, [one, other], rows, frame)
    sent.clock.advance(100)
    assert sent.pulse.hears_same(OTHER, frame)
    sent.pulse.wake(one)
    assert one.wakes == [(100, {OTHER: 100}, 200)]
    assert (one.is_resting, other.is_resting) == (False, True)
    assert not sent.pulse.hears_same(OTHER, frame)
    sent.pulse.rest_following(OTHER, [one], rows[:1], memoryview(encode_heartbeats(rows[:1])))
    assert (one.is_resting, other.is_resting) == (True, False), "its leader speaks for it no more"
    assert other.wakes == [(100, {OTHER: 100}, 200)]


def test_a_group_of_which_the_leader_says_nothing_more_wakes() -> None:
    asyncio.run(_one_wakes())


async def _fails() -> None:
    sent = Sent()
    bad, good = Ticks(fails=True), Ticks()
    sent.pulse.add(bad)
    sent.pulse.add(good)
    sent.clock.advance(100)
    assert [at for at, _ in good.seen] == [50, 100]
    sent.pulse.discard(good)
    assert sent.clock.timer_count == 0, "who fails is ticked no more"


def test_a_group_that_fails_does_not_stop_the_beat_of_the_others(caplog: pytest.LogCaptureFixture) -> None:
    asyncio.run(_fails())
    assert "a group fails at a tick" in caplog.text


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


def resting(cluster: RaftCluster, node: int) -> int:
    groups = [cluster[node].host.group_or_none(GroupId(group)) for group in range(100, 100 + GROUPS)]
    return sum(group is not None and group.ticked.is_resting for group in groups)


async def _comes_to_rest() -> None:
    async with raft_cluster(1, 2, 3) as cluster:
        await open_groups(cluster)
        await cluster.settle(1_000)
        assert [resting(cluster, node) for node in (1, 2, 3)] == [GROUPS] * 3
        late = GroupId(99)
        everyone = [cluster.peer(node) for node in (1, 2, 3)]
        opened = [await cluster[node].host.open_group(late, RestoredMachine(), founders=everyone) for node in (1, 2, 3)]
        await cluster.settle(2_000)
        assert [group.ticked.is_resting for group in opened] == [True] * 3
        group = cluster[1].host.group_or_none(GroupId(100))
        assert group is not None
        group.propose([b"news"])
        await cluster.settle(100)
        assert not group.ticked.is_resting
        assert resting(cluster, 2) == GROUPS - 1
        await cluster.settle(1_500)
        assert [resting(cluster, node) for node in (1, 2, 3)] == [GROUPS] * 3
        assert leads_all(cluster, 1)


def test_groups_come_to_rest_later_ones_too_and_again_after_news() -> None:
    asyncio.run(_comes_to_rest())


async def _one_leader_gone() -> None:
    async with raft_cluster(1, 2, 3) as cluster:
        await open_groups(cluster)
        await cluster.settle(1_000)
        gone = cluster[1].host.group_or_none(GroupId(100))
        assert gone is not None
        gone.abandon()
        await cluster.settle(1_500)
        left = [cluster[node].host.group_or_none(GroupId(100)) for node in (2, 3)]
        assert sum(group is not None and group.role is Role.LEADER for group in left) == 1
        others = [cluster[1].host.group_or_none(GroupId(group)) for group in range(101, 100 + GROUPS)]
        assert all(group is not None and group.role is Role.LEADER for group in others), "the node beats for these"


def test_a_group_whose_leader_is_gone_elects_while_that_node_beats_for_others() -> None:
    asyncio.run(_one_leader_gone())


@pytest.mark.parametrize("is_heard", [True, False])
def test_a_leader_at_rest_that_hears_no_majority_steps_down(is_heard: bool) -> None:
    async def run() -> None:
        async with raft_cluster(1, 2, 3) as cluster:
            await open_groups(cluster)
            await cluster.settle(1_000)
            # The links stay up: only silence tells.
            cluster.network.drop = lambda sender, to, _frame: to == 1 or (not is_heard and sender == 1)
            await cluster.settle(500 + 2 * 100)
            groups = [cluster[1].host.group_or_none(GroupId(group)) for group in range(100, 100 + GROUPS)]
            assert all(group is not None and group.role is not Role.LEADER for group in groups)
            await cluster.settle(1_500)
            successors = [cluster[node].host.group_or_none(GroupId(100)) for node in (2, 3)]
            assert sum(group is not None and group.role is Role.LEADER for group in successors) == 1

    asyncio.run(run())


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
