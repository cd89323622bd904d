"""Nodes that find each other by address, over the loopback, each over a directory of its own."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from raft.clock import LoopClock
from raft.errors import CallRefusedError, FoundingRefusedError
from raft.founder import NODE_ID_TAKEN, Founder, JoinAnswer, JoinRequest, KnownNode
from raft.founding import cluster_id_of
from raft.greetings import Greeting
from raft.interfaces import NodeId
from raft.links import PeerAddress
from raft.node_files import DataDirectory, note_cluster, open_data_directory
from raft.settings import RaftSettings
from raft.tcp_links import Surroundings, TcpLinks

ONE, TWO, THREE = (NodeId(at) for at in (1, 2, 3))
REQUEST = JoinRequest(peer_host="127.0.0.1", peer_port=7, host="here")


class Place:
    """A machine: an address, and a directory that can be wiped."""

    def __init__(self, folder: Path, node: NodeId) -> None:
        self.path = folder / f"node{node}"
        self.node = node
        self.lives = 0
        self.address = PeerAddress("127.0.0.1", 0)
        self.links: TcpLinks | None = None
        self.directory: DataDirectory | None = None

    async def start(self) -> TcpLinks:
        self.directory = open_data_directory(str(self.path), self.node, founds_alone=False)
        surroundings = Surroundings(clock=LoopClock(), random=random.Random(self.node), logger=logging.getLogger("l"))
        self.links = TcpLinks(self.directory.peer, self.address, RaftSettings(), surroundings)
        self.address = await self.links.listen()
        return self.links

    def founder(self, *members: "Place") -> Founder:
        assert self.links is not None
        assert self.directory is not None
        addresses = {place.node: place.address for place in members}
        founder = Founder(self.directory, addresses, self.links, LoopClock(), logging.getLogger("founder"))
        self.links.on_question = founder.answer
        return founder

    async def stop(self) -> None:
        if self.links is not None and self.directory is not None:
            await self.links.close()
            self.directory.close()
        self.links = None

    async def wipe(self) -> None:
        """Nothing of what was there is left, but the address."""
        await self.stop()
        self.lives += 1
        self.path = self.path.with_name(f"node{self.node}-{self.lives}")
        await self.start()


@asynccontextmanager
async def places(folder: Path, count: int = 3) -> AsyncGenerator[list[Place]]:
    made = [Place(folder, NodeId(at)) for at in range(1, count + 1)]
    for place in made:
        await place.start()
    try:
        yield made
    finally:
        for place in made:
            await place.stop()


def test_three_nodes_found_one_cluster_and_find_it_again(tmp_path: Path) -> None:
    async def test() -> None:
        async with places(tmp_path) as made:
            first = [asyncio.ensure_future(place.founder(*made).found()) for place in made[:2]]
            await asyncio.wait(first, timeout=0.3)
            assert not any(task.done() for task in first), "the third one is missing"
            found = [*await asyncio.gather(*first, made[2].founder(*made).found())]
            assert {directory.cluster_id for directory in found} == {cluster_id_of(found[0].founders)}
            assert found[0].founders == tuple(directory.peer for directory in found)
            # Alone after a restart, it needs nobody to know where it belongs.
            await made[0].stop()
            await made[1].stop()
            await made[2].stop()
            await made[0].start()
            again = await asyncio.wait_for(made[0].founder(*made).found(), 20)
            assert (again.cluster_id, again.founders) == (found[0].cluster_id, found[0].founders)

    uvloop.run(asyncio.wait_for(test(), 40))


def test_a_founder_that_is_wiped_is_refused(tmp_path: Path) -> None:
    async def test() -> None:
        async with places(tmp_path) as made:
            await asyncio.gather(*(place.founder(*made).found() for place in made))
            await made[1].wipe()
            with pytest.raises(FoundingRefusedError, match="an emptied directory does not come back as the member"):
                await asyncio.wait_for(made[1].founder(*made).found(), 20)

    uvloop.run(asyncio.wait_for(test(), 40))


def test_lists_that_differ_are_refused_by_all_who_see_it(tmp_path: Path) -> None:
    async def test() -> None:
        async with places(tmp_path) as made:
            one, two, three = made
            ended = await asyncio.gather(
                one.founder(one, two, three).found(), two.founder(one, two).found(), return_exceptions=True
            )
            assert all(isinstance(error, FoundingRefusedError) for error in ended), ended
            assert "was given the members nodes 1, 2" in str(ended[0])

    uvloop.run(asyncio.wait_for(test(), 40))


def test_a_node_that_crashed_behind_its_promise_goes_on(tmp_path: Path) -> None:
    async def test() -> None:
        async with places(tmp_path) as made:
            tasks = [asyncio.ensure_future(place.founder(*made).found()) for place in made]
            # Any turn may be the last of a process; the directory has what was durable then.
            for turn in range(40):
                await asyncio.sleep(0.005)
                victim = made[turn % 3]
                tasks[turn % 3].cancel()
                await asyncio.wait([tasks[turn % 3]])
                await victim.stop()
                await victim.start()
                tasks[turn % 3] = asyncio.ensure_future(victim.founder(*made).found())
            found = await asyncio.wait_for(asyncio.gather(*tasks), 20)
            assert len({directory.cluster_id for directory in found}) == 1

    uvloop.run(asyncio.wait_for(test(), 40))


async def working(place: Place, *, taken: bool = False) -> Founder:
    """A founder whose node serves in a cluster."""
    founder = place.founder()
    assert place.directory is not None
    founder.directory = note_cluster(place.directory, "ours", (place.directory.peer,))

    async def on_join(greeting: Greeting, request: JoinRequest) -> JoinAnswer:
        assert request == REQUEST
        if taken:
            raise CallRefusedError(NODE_ID_TAKEN, f"node {greeting.node_id} is there already")
        known = KnownNode(place.node, founder.directory.disk_id, place.address.host, place.address.port)
        return JoinAnswer(cluster_id="ours", nodes=(known,))

    founder.on_join = on_join
    return founder


def test_a_node_joins_by_whichever_node_can_say_yes(tmp_path: Path) -> None:
    async def test() -> None:
        async with places(tmp_path) as made:
            member, starting, new = made
            starting.founder()
            nobody = PeerAddress("127.0.0.1", 1)
            joining = new.founder()
            task = asyncio.ensure_future(joining.join([nobody, starting.address, member.address], REQUEST))
            await asyncio.wait([task], timeout=0.3)
            assert not task.done(), "no cluster yet"
            await working(member)
            answer = await asyncio.wait_for(task, 20)
            assert [node.node_id for node in answer.nodes] == [ONE]
            assert (joining.directory.cluster_id, joining.directory.founders) == ("ours", ())
            # Again after a restart: the same cluster, or a refusal.
            again = new.founder()
            again.directory = joining.directory
            assert await again.join([member.address], REQUEST) == answer

    uvloop.run(asyncio.wait_for(test(), 40))


@pytest.mark.parametrize(
    ("cluster_id", "taken", "reason"), [("", True, "is there already"), ("theirs", False, "theirs")]
)
def test_a_join_that_cannot_be_is_refused(tmp_path: Path, cluster_id: str, taken: bool, reason: str) -> None:
    async def test() -> None:
        async with places(tmp_path, 2) as (member, new):
            await working(member, taken=taken)
            assert new.links is not None
            assert new.directory is not None
            founder = new.founder()
            new.links.cluster_id = cluster_id
            if cluster_id:
                founder.directory = note_cluster(new.directory, cluster_id)
            with pytest.raises(FoundingRefusedError, match=reason):
                await founder.join([member.address], REQUEST)

    uvloop.run(asyncio.wait_for(test(), 40))


def test_a_question_without_a_meaning_is_refused(tmp_path: Path) -> None:
    async def test() -> None:
        async with places(tmp_path, 2) as (one, two):
            one.founder()
            assert two.links is not None
            for question in (b"", b"\x09", b"\x02", b"\x02\xc1"):
                with pytest.raises(CallRefusedError):
                    await two.links.ask(one.address, question, 1_000)
            (await working(one)).logger.setLevel(logging.CRITICAL)
            with pytest.raises(CallRefusedError, match="MalformedFrame"):
                await two.links.ask(one.address, b"\x02\xc1", 1_000)

    uvloop.run(asyncio.wait_for(test(), 40))
