"""Messages and calls over links that a test cuts."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

import pytest

from raft.configuration import Peer
from raft.errors import CallRefusedError, LogFullError, MalformedFrameError, NotLeaderError, PeerUnreachableError
from raft.interfaces import Buffer, GroupId, NodeId
from raft.links import FRAME_BYTES_MAX
from raft.peers import ANSWER_TOO_LARGE, FAULT, NOT_SERVED, TOO_MANY_CALLS, Peers
from tests.raft.doubles import settle
from tests.support.fake_clock import FakeClock
from tests.support.memory_links import MemoryNetwork

ONE, TWO = NodeId(1), NodeId(2)
ECHO, HANG, FAIL = 32, 33, 34
RPCS_MAX = 4


class Pair:
    """Two nodes that are linked, and what each was sent."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.network = MemoryNetwork()
        self.one, self.two = (self.peers(node, f"disk {node}") for node in (ONE, TWO))
        self.messages: list[tuple[NodeId, int, int, bytes]] = []
        self.hanging = 0
        for peers in (self.one, self.two):
            peers.on_message = self.on_message
            peers.serve(ECHO, self.echo)
            peers.serve(HANG, self.hang)

    def peers(self, node: NodeId, disk_id: str) -> Peers:
        return Peers(self.network.links(Peer(node, disk_id)), RPCS_MAX, self.clock, logger=logging.getLogger("test"))

    def on_message(self, peer: Peer, group: GroupId, kind: int, payload: memoryview) -> None:
        self.messages.append((peer.node_id, group, kind, bytes(payload)))

    async def echo(self, peer: Peer, body: memoryview) -> Sequence[Buffer]:
        return f"{peer.disk_id}: ".encode(), body

    async def hang(self, peer: Peer, body: memoryview) -> Sequence[Buffer]:
        self.hanging += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.hanging -= 1
        raise AssertionError

    async def call(self, kind: int, body: bytes = b"", *, timeout_ms: int = 1_000) -> bytes:
        return bytes(await self.one.call(TWO, kind, (body,), timeout_ms))


def on_a_pair(test: Callable[[Pair], Awaitable[None]]) -> Callable[[], None]:
    async def run() -> None:
        pair = Pair()
        await pair.one.start()
        await pair.two.start()
        await settle()
        await test(pair)
        await pair.one.close()
        await pair.two.close()
        assert pair.hanging == 0
        assert pair.clock.timer_count == 0, "no timer is left behind"

    return lambda: asyncio.run(run())


@on_a_pair
async def test_messages_arrive_in_order_with_their_group_and_kind(pair: Pair) -> None:
    for kind in range(1, 6):
        assert pair.one.send(TWO, GroupId(70 * kind), kind, (b"pay", bytearray(b"load"), memoryview(b"!")))
    await settle()
    assert pair.messages == [(ONE, 70 * kind, kind, b"payload!") for kind in range(1, 6)]


@on_a_pair
async def test_a_call_is_answered_by_who_was_called(pair: Pair) -> None:
    assert await pair.call(ECHO, b"hello") == b"disk 1: hello"
    assert bytes(await pair.two.call(ONE, ECHO, (b"a", b"b"), 1_000)) == b"disk 2: ab"
    assert await asyncio.gather(*(pair.call(ECHO, b"%d" % n) for n in range(4))) == [
        b"disk 1: %d" % n for n in range(4)
    ]


@on_a_pair
async def test_a_large_answer_comes_whole(pair: Pair) -> None:
    body = bytes(range(256)) * (32 << 10)
    assert (await pair.call(ECHO, body))[8:] == body


@on_a_pair
async def test_what_no_frame_can_carry_is_refused_on_either_side(pair: Pair) -> None:
    huge = memoryview(bytearray(FRAME_BYTES_MAX))

    async def answer_hugely(_peer: Peer, _body: memoryview) -> Sequence[Buffer]:
        return (huge,)

    pair.two.serve(40, answer_hugely)
    with pytest.raises(CallRefusedError) as refused:
        await pair.call(40)
    assert refused.value.code == ANSWER_TOO_LARGE
    with pytest.raises(CallRefusedError, match="RequestTooLarge"):
        await pair.one.call(TWO, ECHO, (huge,), 1_000)


@pytest.mark.parametrize(
    ("error", "code", "text", "is_logged"),
    [
        (NotLeaderError(TWO, "ask node 2"), "NotLeaderError", "ask node 2", False),
        (LogFullError("full"), "LogFullError", "full", False),
        (LookupError("declared"), "LookupError", "declared", False),
        (CallRefusedError("OwnWord", "why"), "OwnWord", "why", False),
        (ZeroDivisionError("oops"), FAULT, "ZeroDivisionError('oops')", True),
        (LogFullError("x" * 100_000), "LogFullError", "x" * 4_096, False),
    ],
)
def test_an_error_of_the_handler_is_told_by_name(
    error: Exception, code: str, text: str, is_logged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_peer: Peer, _body: memoryview) -> Sequence[Buffer]:
        raise error

    @on_a_pair
    async def run(pair: Pair) -> None:
        pair.two.serve(FAIL, fail, refusals=(LookupError,))
        with pytest.raises(CallRefusedError) as refused:
            await pair.call(FAIL)
        assert (refused.value.code, refused.value.text) == (code, text)

    run()
    assert bool(caplog.records) == is_logged


@on_a_pair
async def test_a_kind_that_nobody_serves_is_refused(pair: Pair) -> None:
    with pytest.raises(CallRefusedError) as refused:
        await pair.call(200)
    assert refused.value.code == NOT_SERVED


@on_a_pair
async def test_a_call_ends_at_its_deadline_here_and_there(pair: Pair) -> None:
    call = asyncio.ensure_future(pair.call(HANG, timeout_ms=250))
    await settle()
    assert pair.hanging == 1
    pair.clock.advance(249)
    await settle()
    assert not call.done()
    pair.clock.advance(1)
    with pytest.raises(TimeoutError, match="node 2 did not answer call 33 in 250 ms"):
        await call
    await settle()
    assert pair.hanging == 0


@on_a_pair
async def test_an_answer_after_the_deadline_changes_nothing(pair: Pair) -> None:
    gate = asyncio.Event()

    async def late(_peer: Peer, _body: memoryview) -> Sequence[Buffer]:
        try:
            await gate.wait()
        except asyncio.CancelledError:
            return (b"in spite of it",)
        raise AssertionError

    pair.two.serve(41, late)
    call = asyncio.ensure_future(pair.call(41, timeout_ms=10))
    await settle()
    pair.clock.advance(10)
    with pytest.raises(TimeoutError):
        await call
    await settle()
    assert await pair.call(ECHO, b"still") == b"disk 1: still"


@on_a_pair
async def test_a_broken_link_fails_every_call_and_cancels_who_serves_them(pair: Pair) -> None:
    calls = [asyncio.ensure_future(pair.call(HANG)) for _ in range(3)]
    await settle()
    assert pair.hanging == 3
    pair.network.cut(1, 2)
    for call in calls:
        with pytest.raises(PeerUnreachableError) as lost:
            await call
        assert (lost.value.node, lost.value.was_sent) == (TWO, True)
    await settle()
    assert pair.hanging == 0
    with pytest.raises(PeerUnreachableError) as refused:
        await pair.call(ECHO)
    assert not refused.value.was_sent
    pair.network.heal(1, 2)
    await settle()
    assert await pair.call(ECHO, b"again") == b"disk 1: again"


@on_a_pair
async def test_a_caller_may_give_up(pair: Pair) -> None:
    call = asyncio.ensure_future(pair.call(HANG))
    await settle()
    call.cancel()
    await asyncio.wait([call])
    assert call.cancelled()
    pair.clock.advance(1_000)
    await settle()
    assert pair.hanging == 0


@on_a_pair
async def test_calls_under_way_are_bounded_on_both_sides(pair: Pair) -> None:
    calls = [asyncio.ensure_future(pair.call(HANG)) for _ in range(RPCS_MAX)]
    await settle()
    with pytest.raises(PeerUnreachableError, match="4 calls are under way") as refused:
        await pair.call(ECHO)
    assert not refused.value.was_sent
    # A caller that gave up may ask again, while the other side still works at what it asked before.
    calls[0].cancel()
    await settle()
    with pytest.raises(CallRefusedError) as too_many:
        await pair.call(ECHO)
    assert too_many.value.code == TOO_MANY_CALLS
    pair.network.cut(1, 2)
    await asyncio.gather(*calls, return_exceptions=True)


@on_a_pair
async def test_an_answer_waits_for_room_until_its_deadline(pair: Pair) -> None:
    pair.network.nodes[TWO].is_full = True
    call = asyncio.ensure_future(pair.call(ECHO, b"x"))
    await settle()
    pair.clock.advance(200)
    await settle()
    assert not call.done()
    pair.network.nodes[TWO].is_full = False
    pair.clock.advance(200)
    assert await call == b"disk 1: x"
    pair.network.nodes[ONE].is_full = True
    with pytest.raises(PeerUnreachableError, match="takes no more"):
        await pair.call(ECHO, b"x")
    assert not pair.one.send(TWO, GroupId(1), 1, (b"dropped",))


@on_a_pair
async def test_observers_hear_of_links_until_they_end_it(pair: Pair) -> None:
    heard: list[tuple[str, NodeId]] = []
    undo = pair.one.observe(
        lambda peer: heard.append(("up", peer.node_id)), lambda peer: heard.append(("down", peer.node_id))
    )
    assert pair.one.live_nodes() == [TWO]
    assert pair.one.peer_or_none(TWO) == Peer(TWO, "disk 2")
    pair.network.cut(1, 2)
    await settle()
    assert (pair.one.live_nodes(), pair.one.peer_or_none(TWO)) == ([], None)
    pair.network.heal(1, 2)
    await settle()
    undo()
    undo()
    pair.network.cut(1, 2)
    await settle()
    assert heard == [("down", TWO), ("up", TWO)]


@on_a_pair
async def test_a_node_that_comes_back_on_another_disk_is_another_peer(pair: Pair) -> None:
    await pair.two.close()
    await settle()
    assert pair.one.live_nodes() == []
    wiped = pair.peers(TWO, "new disk")
    wiped.serve(ECHO, pair.echo)
    await wiped.start()
    await settle()
    assert pair.one.peer_or_none(TWO) == Peer(TWO, "new disk")
    assert bytes(await wiped.call(ONE, ECHO, (b"",), 1_000)) == b"new disk: "
    await wiped.close()


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x01\x00\x00",
        b"\x00\x00\x00\x01",
        b"\x03\x00\x00\x01",
        b"\x02\x00\x00\x20",
        b"\x02\x00\x00\x20\x01" + bytes(8),
        b"\x02\x00\x00\x20\x01" + bytes(11),
    ],
)
def test_a_frame_without_a_meaning_is_an_error_of_the_peer(frame: bytes) -> None:
    @on_a_pair
    async def run(pair: Pair) -> None:
        with pytest.raises(MalformedFrameError):
            pair.two.on_frame(Peer(ONE, "disk 1"), memoryview(frame))

    run()


@on_a_pair
async def test_an_unreadable_refusal_or_part_is_an_error_of_the_peer(pair: Pair) -> None:
    call = asyncio.ensure_future(pair.call(HANG))
    await settle()
    for part, body in ((3, b"\xc1"), (3, b"\x93"), (4, b"")):
        with pytest.raises(MalformedFrameError):
            pair.one.on_frame(Peer(TWO, "disk 2"), memoryview(b"\x02\x00\x00\x21%c" % part + bytes(7) + b"\x01" + body))
    with pytest.raises(MalformedFrameError, match="call 1 twice"):
        pair.two.on_frame(Peer(ONE, "disk 1"), memoryview(b"\x02\x00\x00\x21\x01" + bytes(7) + b"\x01" + bytes(4)))
    call.cancel()
    await asyncio.wait([call])
