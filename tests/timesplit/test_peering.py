"""How a node of a cluster finds the others again, without sockets; `tests.simulation` does so with whole nodes."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from raft.clock import LoopClock
from raft.errors import CallRefusedError
from raft.founder import NOT_READY, Founder, JoinRequest, QuestionKind
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

    async def start(self, _receiver: object) -> None: ...
    async def close(self) -> None: ...
    def set_peers(self, addresses: Mapping[NodeId, PeerAddress]) -> None:
        self.addresses = addresses


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
