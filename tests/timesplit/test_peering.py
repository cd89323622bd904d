"""How a node of a cluster finds the others again, without sockets; `tests.simulation` does so with whole nodes."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from raft.clock import LoopClock
from raft.configuration import Peer
from raft.errors import CallRefusedError
from raft.founder import NOT_READY, Founder, JoinAnswer, JoinRequest, KnownNode, QuestionKind
from raft.greetings import NONCE_BYTES, Greeting, Purpose
from raft.interfaces import NodeId
from raft.links import PeerAddress
from raft.node_files import note_cluster, open_data_directory
from raft.peers import Peers
from timesplit.peering import Peering
from timesplit.settings import Settings

QUESTION = bytes((QuestionKind.JOIN,)) + msgspec.msgpack.encode(JoinRequest(peer_host="two", peer_port=9, host="h"))


class NoLinks:
    """Goes nowhere, and notes to whom it was told to go."""

    cluster_id = ""

    def __init__(self) -> None:
        self.addresses: Mapping[NodeId, PeerAddress] = {}
        self.asked_twice = asyncio.Event()  # so the first answer was taken in
        self.ask_count = 0
        self.answer: JoinAnswer | None = None

    async def start(self, _receiver: object) -> None: ...
    async def close(self) -> None: ...
    def set_peers(self, addresses: Mapping[NodeId, PeerAddress]) -> None:
        self.addresses = addresses

    def is_up(self, _node: NodeId) -> bool:
        return False

    async def ask(self, _address: PeerAddress, _question: bytes, _timeout_ms: int) -> memoryview:
        self.ask_count += 1
        if self.ask_count > 1:
            self.asked_twice.set()
        return memoryview(msgspec.msgpack.encode(self.answer))


@pytest.mark.parametrize(("cluster_id", "is_believed"), [("ours", True), ("", False)])
def test_a_node_of_the_cluster_that_was_forgotten_is_heard_before_the_catalog_is_known(
    tmp_path: Path, cluster_id: str, *, is_believed: bool
) -> None:
    """Two of a cluster of two: who lost its `peers.json` needs the other one to know the catalog."""

    async def story() -> None:
        with open_data_directory(str(tmp_path), NodeId(1), founds_alone=False) as opened:
            directory = note_cluster(opened, "ours", (opened.peer,))
            links, clock = NoLinks(), LoopClock()
            founder = Founder(directory, {}, links, clock, logging.getLogger("cluster"))  # pyright: ignore[reportArgumentType] - as far as used
            peering = Peering(Settings(), links, Peers(links, 1, clock), founder, PeerAddress("one", 9))  # pyright: ignore[reportArgumentType]
            await peering.find_cluster()
            await peering.start()
            greeting = Greeting(
                purpose=Purpose.QUESTION,
                cluster_id=cluster_id,
                node_id=NodeId(2),
                disk_id="disk-2",
                nonce=bytes(NONCE_BYTES),
            )
            with pytest.raises(CallRefusedError) as refused:
                await founder.answer(greeting, memoryview(QUESTION))
            assert refused.value.code == NOT_READY
            assert links.addresses == ({NodeId(2): PeerAddress("two", 9, "disk-2")} if is_believed else {})
            await peering.close()

    asyncio.run(story())


@pytest.mark.parametrize(("cluster_id", "is_believed"), [("ours", True), ("theirs", False)])
def test_who_does_not_know_the_catalog_goes_to_a_node_that_has_a_new_disk_by_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster_id: str, *, is_believed: bool
) -> None:
    """Else it would wait for a catalog that this very node leads."""
    monkeypatch.setattr("timesplit.peering.FIND_PAUSE_MS", 1)

    async def story() -> None:
        with open_data_directory(str(tmp_path), NodeId(1), founds_alone=False) as opened:
            two = Peer(NodeId(2), "disk-2")
            directory = note_cluster(opened, "ours", (opened.peer, two))
            links, clock = NoLinks(), LoopClock()
            members = {NodeId(2): PeerAddress("two", 9)}
            founder = Founder(directory, members, links, clock, logging.getLogger("cluster"))  # pyright: ignore[reportArgumentType] - as far as used
            peering = Peering(Settings(), links, Peers(links, 1, clock), founder, PeerAddress("one", 9))  # pyright: ignore[reportArgumentType]
            await peering.find_cluster()
            links.answer = JoinAnswer(cluster_id=cluster_id, nodes=(KnownNode(NodeId(2), "disk-2-new", "two", 9),))
            await peering.start()
            assert links.addresses == {NodeId(2): PeerAddress("two", 9, "disk-2")}
            await asyncio.wait_for(links.asked_twice.wait(), 40)
            disk_id = "disk-2-new" if is_believed else "disk-2"
            assert links.addresses == {NodeId(2): PeerAddress("two", 9, disk_id)}
            await peering.close()

    asyncio.run(story())
