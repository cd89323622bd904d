"""Links over the loopback: who may speak, what arrives, and what hostile bytes do (nothing)."""

import asyncio
import logging
import random
import socket
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress

import msgspec
import pytest
import uvloop

from raft import tcp_links
from raft.clock import LoopClock
from raft.configuration import Peer
from raft.errors import CallRefusedError, GreetingRefusedError, MalformedFrameError, NotLeaderError
from raft.frames import LENGTH
from raft.greetings import MAGIC, Greeting, Purpose, decode_greeting, encode_greeting
from raft.interfaces import NodeId
from raft.links import FRAME_BYTES_MAX, PeerAddress
from raft.settings import RaftSettings
from raft.tcp_links import STRANGERS_MAX, Surroundings, TcpLinks
from tests.support.waiting import until_true as until

ANYWHERE = PeerAddress("127.0.0.1", 0)
SETTINGS = RaftSettings(heartbeat_ms=20, silence_ms=300, link_queue_bytes_max=1 << 20)


class Node:
    """A node that remembers what it heard."""

    def __init__(self, node_id: int, *, cluster_id: str = "ours", disk_id: str = "", seed: int = 1) -> None:
        self.peer = Peer(NodeId(node_id), disk_id or f"disk {node_id}")
        self.logger = logging.getLogger(f"test.node{node_id}")
        surroundings = Surroundings(clock=LoopClock(), random=random.Random(seed), logger=self.logger)
        self.links = TcpLinks(self.peer, ANYWHERE, SETTINGS, surroundings, cluster_id)
        self.address = ANYWHERE
        self.frames: list[tuple[NodeId, bytes]] = []
        self.heard: list[str] = []
        self.error: Exception | None = None
        self.down_error: Exception | None = None

    @property
    def id(self) -> NodeId:
        return self.peer.node_id

    def on_frame(self, sender: Peer, frame: memoryview) -> None:
        assert self.links.is_up(sender.node_id)
        if self.error is not None:
            raise self.error
        self.frames.append((sender.node_id, bytes(frame)))

    def on_up(self, peer: Peer) -> None:
        self.heard.append(f"up {peer.node_id} {peer.disk_id}")

    def on_down(self, peer: Peer) -> None:
        assert not self.links.is_up(peer.node_id)
        self.heard.append(f"down {peer.node_id} {peer.disk_id}")
        if self.down_error is not None:
            raise self.down_error


@asynccontextmanager
async def linked(*nodes: Node, known: Sequence[Node] | None = None) -> AsyncGenerator[None]:
    """The nodes listen, know each other, and have started; links may still be on their way."""
    for node in nodes:
        node.address = await node.links.listen()
    try:
        addresses = {node.id: node.address for node in (known or nodes)}
        for node in nodes:
            node.links.set_peers(addresses)
            await node.links.start(node)
        yield
    finally:
        for node in nodes:
            await node.links.close()


async def in_time(work: Coroutine[object, object, None]) -> None:
    """uvloop hears no alarm of pytest's while it waits."""
    await asyncio.wait_for(work, 40)


def run(test: Callable[[], Coroutine[object, object, None]]) -> Callable[[], None]:
    def wrapped() -> None:
        uvloop.run(in_time(test()))

    wrapped.__name__ = test.__name__
    return wrapped


def all_up(*nodes: Node) -> bool:
    return all(one.links.is_up(other.id) for one in nodes for other in nodes if one is not other)


@run
async def test_three_nodes_find_each_other_by_one_connection_a_pair() -> None:
    nodes = [Node(at) for at in (1, 2, 3)]
    async with linked(*nodes):
        await until(lambda: all_up(*nodes))
        assert nodes[0].links.peer_or_none(NodeId(3)) == Peer(NodeId(3), "disk 3")
        assert sorted(nodes[0].heard) == ["up 2 disk 2", "up 3 disk 3"]
        for one in nodes:
            for other in nodes:
                if one is not other:
                    assert one.links.send(other.id, (b"from ", b"%d" % one.id))
        await until(lambda: all(len(node.frames) == 2 for node in nodes))
        assert sorted(nodes[1].frames) == [(1, b"from 1"), (3, b"from 3")]


@run
async def test_frames_of_all_sizes_arrive_whole_and_in_order() -> None:
    one, two = Node(1), Node(2)
    async with linked(one, two):
        await until(lambda: all_up(one, two))
        sizes = [1, 5, 4_095, 4_096, 4_097, 65_535, 65_536, 65_537, 300_000, 1 << 20, 5 << 20, 3]
        bodies = [random.Random(size).randbytes(size) for size in sizes]
        for body in bodies:
            half = len(body) // 2
            buffers = (body[:half], bytearray(body[half:]), memoryview(b""))
            await until(lambda buffers=buffers: two.links.send(one.id, buffers))
        await until(lambda: len(one.frames) == len(bodies), deadline_s=20)
        assert [frame for _, frame in one.frames] == bodies


@run
async def test_a_slow_peer_holds_a_bounded_queue_of_whole_frames() -> None:
    one, two = Node(1), Node(2)
    async with linked(one, two):
        await until(lambda: all_up(one, two))
        body = bytes(200_000)
        taken = 0
        # Without a turn of the loop nobody reads.
        while two.links.send(one.id, (b"%d" % (taken % 10), body)):
            taken += 1
            assert taken < 1_000
        assert two.links.queued_bytes(one.id) <= SETTINGS.link_queue_bytes_max
        await until(lambda: len(one.frames) == taken)
        assert [frame[:1] for _, frame in one.frames] == [b"%d" % (at % 10) for at in range(taken)]
        assert two.links.send(one.id, (bytes(32 * SETTINGS.link_queue_bytes_max),)), "alone it may be larger"
        assert not two.links.send(one.id, (bytes(SETTINGS.link_queue_bytes_max),))
        await until(lambda: len(one.frames) == taken + 1)


@run
async def test_idle_links_stay_up_by_pings_and_silent_ones_go_down() -> None:
    one, two = Node(1), Node(2)
    async with linked(one, two):
        await until(lambda: all_up(one, two))
        loop = asyncio.get_running_loop()
        ends = loop.time() + 2 * SETTINGS.silence_ms / 1000
        await until(lambda: loop.time() > ends)
        assert (one.heard, two.heard, one.frames) == (["up 2 disk 2"], ["up 1 disk 1"], [])
        # A peer that says nothing at all, not even a ping:
        reader, writer = await greeted(one, greeting(node_id=2, disk_id="disk 2", to_node=1))
        await until(lambda: one.heard[1:3] == ["down 2 disk 2", "up 2 disk 2"])
        while await reader.read(1_000):
            pass  # until one closes it
        writer.close()
        await until(lambda: all_up(one, two))


@run
async def test_an_observer_that_fails_does_not_stop_the_pings() -> None:
    one, two = Node(1), Node(2)
    async with linked(one, two, known=(one, two, Node(3))):
        await until(lambda: all_up(one, two))
        _, writer = await greeted(one, greeting(node_id=3, disk_id="disk 3", to_node=1))
        await until(lambda: one.links.is_up(NodeId(3)))
        failures: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: failures.append(context.get("exception")))
        one.down_error = ValueError("an observer's own fault")
        await until(lambda: not one.links.is_up(NodeId(3)))
        ends = loop.time() + 2 * SETTINGS.silence_ms / 1000
        await until(lambda: loop.time() > ends)
        assert all_up(one, two)
        assert failures == [one.down_error], "it was the tick that found the silence"
        writer.close()


@run
async def test_a_loop_that_was_busy_does_not_take_its_own_pause_for_silence() -> None:
    one, two = Node(1), Node(2)
    async with linked(one, two):
        await until(lambda: all_up(one, two))
        time.sleep(1.5 * SETTINGS.silence_ms / 1000)  # noqa: ASYNC251 - the fault that is tested
        loop = asyncio.get_running_loop()
        ends = loop.time() + 0.2
        await until(lambda: loop.time() > ends)
        assert (one.heard, two.heard) == (["up 2 disk 2"], ["up 1 disk 1"])


@run
async def test_a_broken_connection_is_told_and_dialed_again() -> None:
    one, two = Node(1), Node(2)
    async with linked(one, two):
        await until(lambda: all_up(one, two))
        one.error = MalformedFrameError("no such thing")
        two.links.send(one.id, (b"x",))
        await until(lambda: two.heard[1:2] == ["down 1 disk 1"])
        assert one.heard[:2] == ["up 2 disk 2", "down 2 disk 2"]
        one.error = None
        await until(lambda: all_up(one, two))
        two.links.send(one.id, (b"y",))
        await until(lambda: one.frames == [(2, b"y")])


@run
async def test_a_node_comes_back_elsewhere() -> None:
    one, two = Node(1), Node(2)
    async with linked(one, two):
        await until(lambda: all_up(one, two))
        await one.links.close()
        await until(lambda: two.heard[1:] == ["down 1 disk 1"])
        again = Node(1)
        again.address = await again.links.listen()
        again.links.set_peers({two.id: two.address})
        await again.links.start(again)
        two.links.set_peers({again.id: again.address})
        await until(lambda: two.heard[2:] == ["up 1 disk 1"])
        await again.links.close()


@run
async def test_links_follow_the_set_of_peers() -> None:
    one, two, three = Node(1), Node(2), Node(3)
    async with linked(one, two, three, known=[one, two]):
        await until(lambda: all_up(one, two))
        assert not one.links.is_up(three.id)
        everyone = {node.id: node.address for node in (one, two, three)}
        for node in (one, two, three):
            node.links.set_peers(everyone)
        await until(lambda: all_up(one, two, three))
        one.links.set_peers({two.id: two.address})
        assert one.heard[-1] == "up 3 disk 3", "never told inside the call"
        await until(lambda: one.heard[-1] == "down 3 disk 3")
        # Another disk is another peer.
        one.links.set_peers({two.id: two.address._replace(disk_id="another disk")})
        await until(lambda: one.heard[-1] == "down 2 disk 2")
        one.links.set_peers({two.id: two.address._replace(disk_id="disk 2")})
        await until(lambda: all_up(one, two))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cluster_id": "theirs"}, "cluster theirs, not ours"),
        ({"cluster_id": ""}, r"cluster \(none\), not ours"),
        ({"node_id": 4}, "node 4 is not known here"),
        ({"node_id": 2}, "a second one of that id"),
        ({"node_id": 1, "disk_id": "disk 1"}, "node 2 dials node 1"),
        ({"disk_id": "wiped"}, "node 3 is on disk disk 3, not wiped"),
        ({"to_node": 1}, "this is node 2, not node 1"),
    ],
)
def test_who_is_not_of_the_cluster_is_told_why(
    changes: dict[str, object], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        two = Node(2)
        async with linked(two):
            two.links.set_peers({NodeId(1): ANYWHERE, NodeId(3): ANYWHERE._replace(disk_id="disk 3")})
            for _ in range(3):
                with pytest.raises(GreetingRefusedError, match=reason):
                    await greeted(two, greeting(**changes))
            assert two.heard == []

    uvloop.run(in_time(test()))
    assert len(caplog.records) == 1, "each reason is told once a minute"


@run
async def test_the_dialing_node_checks_whom_it_reached() -> None:
    two, wrong = Node(2), Node(1, cluster_id="theirs")
    async with linked(wrong):
        wrong.links.set_peers({two.id: ANYWHERE})
        with pytest.raises(GreetingRefusedError, match="node 1 refuses: cluster ours, not theirs"):
            await two.links.dial(NodeId(1), wrong.address)
        with pytest.raises(GreetingRefusedError, match="this is node 1, not node 7"):
            await two.links.dial(NodeId(7), wrong.address)
    with pytest.raises(OSError, match=r"[Cc]onnect"):
        await two.links.dial(NodeId(1), wrong.address)


def greeting(**changes: object) -> Greeting:
    """Of a node that wants a link to node 2."""
    usual = Greeting(
        purpose=Purpose.LINK,
        cluster_id="ours",
        node_id=NodeId(3),
        disk_id="disk 3",
        nonce=bytes(16),
        to_node=NodeId(2),
    )
    return msgspec.structs.replace(usual, **changes)


async def greeted(node: Node, greeting: Greeting) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that says it is a node; its welcome was read. Raises: GreetingRefusedError."""
    reader, writer = await asyncio.open_connection(node.address.host, node.address.port)
    body = encode_greeting(greeting)
    writer.write(LENGTH.pack(len(body)) + body)
    answer = await reader.readexactly(LENGTH.unpack(await reader.readexactly(4))[0])
    heard = decode_greeting(memoryview(answer))
    assert heard.nonce == greeting.nonce
    if heard.purpose is Purpose.REFUSED:
        assert await reader.read() == b""
        writer.close()
        raise GreetingRefusedError(heard.reason)
    return reader, writer


# Hostile bytes


def hostile(seed: int) -> bytes:
    """Almost a greeting, or nothing like one."""
    dice = random.Random(seed)
    whole = bytearray(encode_greeting(greeting()))
    kind = dice.randrange(8)
    if kind == 0:
        return dice.randbytes(dice.randrange(1, 3_000))
    if kind == 1:
        return LENGTH.pack(dice.randrange(1_025, 2**32)) + dice.randbytes(2_000)
    if kind == 2:
        return LENGTH.pack(len(whole)) + bytes(whole[: dice.randrange(len(whole))])
    if kind == 3:
        for _ in range(dice.randrange(1, 6)):
            whole[dice.randrange(len(whole))] = dice.randrange(256)
    elif kind == 4:
        whole[6:] = dice.randbytes(len(whole) - 6)
    elif kind == 5:
        whole[4:6] = dice.randbytes(2)
    elif kind == 6:
        whole = bytearray(MAGIC + b"\x00\x01" + b"\x97\x01" + b"\xdb\xff\xff\xff\xff" + b"x")
    else:
        whole = bytearray(encode_greeting(greeting(purpose=dice.choice([Purpose.WELCOME, Purpose.REFUSED]))))
    return LENGTH.pack(len(whole)) + bytes(whole)


@run
async def test_hostile_bytes_close_their_connection_and_nothing_else() -> None:
    one, two = Node(1), Node(2)
    one.logger.setLevel(logging.CRITICAL)
    two.logger.setLevel(logging.CRITICAL)
    async with linked(one, two):
        await until(lambda: all_up(one, two))
        for seed in range(300):
            reader, writer = await asyncio.open_connection(two.address.host, two.address.port)
            writer.write(hostile(seed))
            writer.write_eof()
            with suppress(ConnectionError):
                await asyncio.wait_for(reader.read(), 20)
            writer.close()
        assert all_up(one, two)
        assert two.heard == ["up 1 disk 1"]
        two.links.send(one.id, (b"still here",))
        await until(lambda: one.frames == [(2, b"still here")])


@run
async def test_a_frame_that_is_too_long_ends_the_link() -> None:
    one, two = Node(1), Node(2)
    async with linked(two, known=[one, two]):
        two.links.set_peers({NodeId(3): ANYWHERE})
        reader, writer = await greeted(two, greeting())
        writer.write(LENGTH.pack(5) + b"hello" + LENGTH.pack(FRAME_BYTES_MAX + 1) + b"x")
        await until(lambda: two.heard == ["up 3 disk 3", "down 3 disk 3"])
        assert two.frames == [(3, b"hello")]
        writer.close()
        del reader


@run
async def test_strangers_are_few_and_have_little_time() -> None:
    two = Node(2)
    two.logger.setLevel(logging.CRITICAL)
    tcp_links_deadline, tcp_links.HANDSHAKE_MS = tcp_links.HANDSHAKE_MS, 300
    try:
        async with linked(two):
            silent = [await asyncio.open_connection(*two.address[:2]) for _ in range(STRANGERS_MAX)]
            reader, writer = await asyncio.open_connection(*two.address[:2])
            with suppress(ConnectionError):
                assert await reader.read() == b"", "one too many: closed at once"
            writer.close()
            for reader, writer in silent:
                with suppress(ConnectionError):
                    assert await asyncio.wait_for(reader.read(), 20) == b""
                writer.close()
            two.links.set_peers({NodeId(3): ANYWHERE})
            reader, writer = await greeted(two, greeting())
            writer.close()
    finally:
        tcp_links.HANDSHAKE_MS = tcp_links_deadline


# Questions


@run
async def test_a_node_without_a_cluster_asks_and_is_answered() -> None:
    new, old = Node(9, cluster_id=""), Node(2)
    asked: list[Greeting] = []

    async def answer(greeting: Greeting, question: memoryview) -> bytes:
        asked.append(greeting)
        if bytes(question) == b"refuse":
            raise NotLeaderError(None, "not here")
        if bytes(question) == b"in words":
            raise CallRefusedError("Word", "text")
        if bytes(question) == b"fail":
            raise ZeroDivisionError
        return bytes(question) * 2

    old.links.on_question = answer
    old.logger.setLevel(logging.CRITICAL + 1)
    async with linked(old):
        assert bytes(await new.links.ask(old.address, b"what?", 20_000)) == b"what?what?"
        large = bytes(500_000)
        assert bytes(await new.links.ask(old.address, large, 20_000)) == 2 * large
        assert (asked[0].peer, asked[0].cluster_id) == (new.peer, "")
        for question, code in ((b"refuse", "NotLeaderError"), (b"in words", "Word"), (b"fail", "Fault")):
            with pytest.raises(CallRefusedError) as refused:
                await new.links.ask(old.address, question, 20_000)
            assert refused.value.code == code
        old.links.on_question = None
        with pytest.raises(GreetingRefusedError, match="answers no questions"):
            await new.links.ask(old.address, b"what?", 20_000)
    with pytest.raises(OSError, match=r"[Cc]onnect"):
        await new.links.ask(old.address, b"what?", 20_000)


@run
async def test_a_question_ends_in_time() -> None:
    new, old = Node(9, cluster_id=""), Node(2)
    cancelled = asyncio.Event()

    async def never(_greeting: Greeting, _question: memoryview) -> bytes:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    old.links.on_question = never
    async with linked(old):
        with pytest.raises(TimeoutError):
            await new.links.ask(old.address, b"what?", 100)
        await asyncio.wait_for(cancelled.wait(), 20)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(TimeoutError):
            await new.links.ask(PeerAddress(*silent.getsockname()), b"what?", 100)


@run
async def test_questions_are_answered_before_there_are_links() -> None:
    founding = Node(1, cluster_id="")

    async def answer(_greeting: Greeting, question: memoryview) -> bytes:
        return bytes(question)

    founding.links.on_question = answer
    founding.address = await founding.links.listen()
    asker = Node(2)
    assert bytes(await asker.links.ask(founding.address, b"who?", 20_000)) == b"who?"
    with pytest.raises(GreetingRefusedError, match="belongs to no cluster yet"):
        await greeted(founding, greeting(node_id=2, disk_id="disk 2", to_node=1))
    await founding.links.close()
