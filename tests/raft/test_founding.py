"""Founding under crashes, wipes, lost and late answers: never two clusters, never a wiped node as founder."""

import random
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raft.configuration import Peer
from raft.founding import Belong, Promise, Refuse, Standing, Step, Wait, cluster_id_of, next_step
from raft.interfaces import NodeId

ONE, TWO, THREE = (NodeId(at) for at in (1, 2, 3))
MEMBERS = (ONE, TWO, THREE)
PEERS = tuple(Peer(node, f"disk {node}") for node in MEMBERS)
CLUSTER = cluster_id_of(PEERS)


def standing(node: int, disk_id: str = "", *, cluster_id: str = "", founders: tuple[Peer, ...] = ()) -> Standing:
    return Standing(
        node_id=NodeId(node),
        disk_id=disk_id or f"disk {node}",
        cluster_id=cluster_id,
        founders=founders,
        members=MEMBERS,
    )


def changed(one: Standing, **facts: object) -> Standing:
    return msgspec.structs.replace(one, **facts)


def heard(*others: Standing) -> dict[NodeId, Standing]:
    return {other.node_id: other for other in others}


NEW = [standing(at) for at in (1, 2, 3)]
PROMISED = [standing(at, founders=PEERS) for at in (1, 2, 3)]
FOUNDED = [standing(at, cluster_id=CLUSTER, founders=PEERS) for at in (1, 2, 3)]


def refusal(step: Step) -> str:
    assert isinstance(step, Refuse), step
    return step.reason


def test_a_cluster_is_founded_step_by_step() -> None:
    assert next_step(NEW[0], {}) == Wait("not reached yet: nodes 2, 3")
    assert next_step(NEW[0], heard(NEW[1])) == Wait("not reached yet: node 3")
    assert next_step(NEW[0], heard(NEW[1], PROMISED[2])) == Promise(PEERS)
    assert next_step(PROMISED[0], {}) == Wait("not reached yet: nodes 2, 3")
    assert next_step(PROMISED[0], heard(PROMISED[1], NEW[2])) == Wait("no promise heard yet of node 3")
    assert next_step(PROMISED[0], heard(*PROMISED[1:])) == Belong(CLUSTER, PEERS)
    assert next_step(PROMISED[0], heard(FOUNDED[1])) == Belong(CLUSTER, PEERS)
    assert next_step(FOUNDED[0], {}) == Belong(CLUSTER, PEERS)


def test_a_list_of_one_is_a_cluster_of_one() -> None:
    own = changed(NEW[0], members=(ONE,))
    assert next_step(own, {}) == Promise((PEERS[0],))
    own = changed(own, founders=(PEERS[0],))
    assert next_step(own, {}) == Belong(cluster_id_of(PEERS[:1]), PEERS[:1])


def test_the_cluster_id_follows_from_the_founders_in_any_order() -> None:
    assert cluster_id_of(PEERS) == cluster_id_of(PEERS[::-1])
    assert len(CLUSTER) == 22
    assert cluster_id_of((*PEERS[:2], Peer(THREE, "another disk"))) != CLUSTER


ALONE = changed(NEW[0], cluster_id="alone", founders=(PEERS[0],))
WIPED = [standing(at, f"new disk {at}") for at in (1, 2, 3)]


@pytest.mark.parametrize(
    ("own", "others", "reason"),
    [
        (changed(NEW[0], node_id=NodeId(9)), (), "this is node 9, and the members are nodes 1, 2, 3"),
        (ALONE, (), "a cluster of its own (alone), of this node alone"),
        (changed(FOUNDED[0], members=(ONE, TWO)), (), "founded by nodes 1, 2, 3; the members given are nodes 1, 2"),
        (changed(FOUNDED[0], founders=()), (), "which it joined; the members given are nodes 1, 2, 3"),
        (changed(PROMISED[0], members=(ONE, TWO)), (), "began to found a cluster of nodes 1, 2, 3"),
        (NEW[0], (changed(NEW[1], members=(ONE, TWO)),), "node 2 was given the members nodes 1, 2, this node nodes 1,"),
        (NEW[0], (changed(NEW[1], members=()),), "node 2 was given the members nodes (none)"),
        (
            NEW[0],
            (changed(ALONE, node_id=TWO, founders=(PEERS[1],)),),
            "node 2 belongs to cluster alone, which this disk did not found",
        ),
        (WIPED[0], (FOUNDED[1],), "an emptied directory does not come back as the member it was"),
        (NEW[0], (FOUNDED[1],), "has forgotten its promise"),
        (WIPED[0], (PROMISED[1],), "node 1: emptied while the cluster was being founded"),
        (PROMISED[0], (WIPED[1],), "node 2: emptied while the cluster was being founded"),
        (NEW[0], (PROMISED[1], WIPED[2]), "node 3: emptied while"),
        (PROMISED[0], (changed(NEW[1], founders=(*PEERS[:2], WIPED[2].peer)),), "node 3: emptied while"),
    ],
)
def test_what_no_waiting_heals_is_refused_with_a_reason(
    own: Standing, others: tuple[Standing, ...], reason: str
) -> None:
    assert reason in refusal(next_step(own, heard(*others)))


def test_another_node_at_a_members_address_is_refused() -> None:
    step = next_step(NEW[0], {TWO: NEW[2]})
    assert refusal(step) == "node 3 listens at the address of node 2"


@dataclass
class World:
    """Nodes with durable standings, answers that come late, and an operator who kills and wipes."""

    dice: random.Random
    standings: dict[NodeId, Standing] = field(default_factory=dict[NodeId, Standing])
    heard: dict[NodeId, dict[NodeId, Standing]] = field(default_factory=dict[NodeId, dict[NodeId, Standing]])
    under_way: list[tuple[NodeId, str, Standing]] = field(default_factory=list[tuple[NodeId, str, Standing]])
    founded: dict[str, tuple[Peer, ...]] = field(default_factory=dict[str, tuple[Peer, ...]])
    belonging: dict[Peer, str] = field(default_factory=dict[Peer, str])
    wiped: set[Peer] = field(default_factory=set[Peer])
    disks: int = 0

    def begin(self, node: NodeId) -> None:
        self.disks += 1
        self.standings[node] = standing(node, f"disk {self.disks}")
        self.heard[node] = {}

    def step(self) -> None:
        node = self.dice.choice(MEMBERS)
        own = self.standings[node]
        outcome = next_step(own, self.heard[node])
        # A crash before the write is a step that was not taken; one after it forgets only what was heard.
        if isinstance(outcome, Promise) and self.dice.random() < 0.8:
            self.standings[node] = changed(own, founders=outcome.founders)
        elif isinstance(outcome, Belong) and not own.cluster_id and self.dice.random() < 0.8:
            self.standings[node] = changed(own, cluster_id=outcome.cluster_id, founders=outcome.founders)
            self.note(own.peer, outcome)

    def note(self, peer: Peer, outcome: Belong) -> None:
        assert peer in outcome.founders, "a disk belongs to what it founded"
        assert self.founded.setdefault(outcome.cluster_id, outcome.founders) == outcome.founders
        assert self.belonging.setdefault(peer, outcome.cluster_id) == outcome.cluster_id
        self.belonging[peer] = outcome.cluster_id

    def crash(self, node: NodeId) -> None:
        self.heard[node] = {}

    def wipe(self, node: NodeId) -> None:
        self.wiped.add(self.standings[node].peer)
        self.begin(node)

    def ask(self) -> None:
        asker, other = self.dice.sample(MEMBERS, 2)
        self.under_way.append((asker, self.standings[asker].disk_id, self.standings[other]))

    def answer(self) -> None:
        """Some answer, perhaps an old one, perhaps one that was given already."""
        if self.under_way:
            at = self.dice.randrange(len(self.under_way))
            asker, disk_id, told = self.under_way[at]
            if self.dice.random() < 0.8:
                del self.under_way[at]
            # The process that asked is gone when its disk is another one.
            if self.standings[asker].disk_id == disk_id:
                self.heard[asker][told.node_id] = told

    def check(self) -> None:
        clusters = list(self.founded.values())
        for at, one in enumerate(clusters):
            for other in clusters[at + 1 :]:
                assert not set(one) & set(other), f"{one} and {other} share a disk"


@settings(max_examples=1_500)
@given(seed=st.integers(0, 2**63), wipes=st.integers(0, 4), steps=st.integers(20, 250))
def test_no_order_of_crashes_wipes_and_answers_founds_two_clusters(seed: int, wipes: int, steps: int) -> None:
    world = World(random.Random(seed))
    for node in MEMBERS:
        world.begin(node)
    wiping = {world.dice.randrange(steps) for _ in range(wipes)}
    for at in range(steps):
        if at in wiping:
            world.wipe(world.dice.choice(MEMBERS))
        chance = world.dice.random()
        if chance < 0.35:
            world.ask()
        elif chance < 0.7:
            world.answer()
        elif chance < 0.75:
            world.crash(world.dice.choice(MEMBERS))
        else:
            world.step()
        world.check()


@settings(max_examples=300)
@given(seed=st.integers(0, 2**63))
def test_without_wipes_every_order_of_crashes_ends_in_one_cluster(seed: int) -> None:
    world = World(random.Random(seed))
    for node in MEMBERS:
        world.begin(node)
    for _ in range(60):
        world.dice.choice([world.ask, world.answer, world.step, lambda: world.crash(world.dice.choice(MEMBERS))])()
    for _ in range(4):  # then all is well for a while
        for asker in MEMBERS:
            for other in MEMBERS:
                if asker != other:
                    world.heard[asker][other] = world.standings[other]
            own = world.standings[asker]
            outcome = next_step(own, world.heard[asker])
            assert not isinstance(outcome, Refuse), outcome
            if isinstance(outcome, Promise):
                world.standings[asker] = changed(own, founders=outcome.founders)
            elif isinstance(outcome, Belong):
                world.standings[asker] = changed(own, cluster_id=outcome.cluster_id)
    assert {one.cluster_id for one in world.standings.values()} == {
        cluster_id_of([world.standings[n].peer for n in MEMBERS])
    }


@settings(max_examples=300)
@given(seed=st.integers(0, 2**63), node=st.sampled_from(MEMBERS))
def test_a_founder_that_is_wiped_after_the_founding_is_refused_for_ever(seed: int, node: NodeId) -> None:
    world = World(random.Random(seed))
    for member in MEMBERS:
        world.standings[member] = FOUNDED[member - 1]
        world.heard[member] = {}
        world.note(FOUNDED[member - 1].peer, Belong(CLUSTER, PEERS))
    world.disks = 100
    world.wipe(node)
    for _ in range(80):
        world.dice.choice([world.ask, world.answer, world.step])()
        assert not world.standings[node].cluster_id
        outcome = next_step(world.standings[node], world.heard[node])
        assert isinstance(outcome, Refuse if world.heard[node] else Wait)
    assert set(world.founded) == {CLUSTER}
