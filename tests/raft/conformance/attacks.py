"""Courses of events, step by step, each of which breaks a group whose members lack one precaution.

Each takes the engine and raises AssertionError (a `ViolationError`, or what the engine itself finds) if it succeeds.
"""

from itertools import pairwise

from raft.interfaces import NodeId, Role, Term
from raft.messages import TimeoutNow

from .world import Engine, World


def _led_by_one(engine: Engine, count: int = 3, spare: int = 0, world: type[World] = World) -> World:
    made = world(1, engine, count, spare)
    made.settle(600)
    assert made.members[1].core.role is Role.LEADER, "node 1 campaigns at once"
    made.members[1].propose(b"the first")
    made.settle(200)
    assert made.witness.last_acknowledged > 0
    return made


def _part(world: World, *sides: str) -> None:
    """Only links inside a side stay."""
    for one, other in world.pairs:
        is_wanted = any(str(one) in side and str(other) in side for side in sides)
        if is_wanted != world.is_up(one, other):
            (world.join if is_wanted else world.cut)(one, other)


def _lose_power(world: World, node: int) -> None:
    """Nothing of what waits for the disk gets there."""
    world.disks[node].jobs.clear()
    world.crash(node)


def _say(world: World, *route: int) -> None:
    """Deliver what waits on each link of the route, one after the other."""
    for sender, to in pairwise(route):
        while world.queues[sender, to]:
            world.deliver(sender, to)
        world.members[to].drive()


def _write(world: World, node: int) -> None:
    world.members[node].work_disk(1_000)
    world.members[node].drive()


def leader_without_a_disk(engine: Engine) -> None:
    """An entry is on one disk of three, the leader's own being slow; then the leader forgets it."""
    world = _led_by_one(engine)
    _part(world, "12")
    world.members[1].propose(b"x")
    world.members[1].drive()
    _say(world, 1, 2)
    _write(world, 2)
    _say(world, 2, 1)
    _lose_power(world, 1)
    _part(world, "13")
    world.start(1)
    world.settle(3_000)


def follower_without_a_disk(engine: Engine) -> None:
    """A follower says that it has what it then forgets."""
    world = _led_by_one(engine)
    _part(world, "12")
    world.members[1].propose(b"x")
    world.members[1].drive()
    _write(world, 1)
    _say(world, 1, 2)
    _say(world, 2, 1)
    _lose_power(world, 2)
    _part(world, "23")
    world.start(2)
    world.settle(3_000)


def acknowledgement_of_an_old_term(engine: Engine) -> None:
    """It arrives when the same node leads again; what it speaks of was cut long ago."""
    world = _led_by_one(engine, 5)
    _part(world, "12", "345")
    for _ in range(30):
        world.members[1].propose(b"x")
    world.members[1].drive()
    _write(world, 1)
    _say(world, 1, 2)
    _write(world, 2)
    late = world.queues.pop((2, 1))
    back = world.queues.pop((1, 2))
    del back
    world.members[1].core.on_peer_down(NodeId(2), world.now_ms)
    world.members[2].core.on_peer_down(NodeId(1), world.now_ms)
    world.settle(1_500)  # 3, 4 and 5 elect one of them
    _part(world, "345", "34512")
    world.settle(1_500)  # 1 and 2 follow it
    leader = world.leader_or_none
    assert leader is not None
    if leader.node != 1:
        leader.core.transfer(NodeId(1), world.now_ms)
        leader.drive()
        world.settle(600)
    assert world.members[1].core.role is Role.LEADER
    other = next(node for node in (3, 4, 5) if node != leader.node)
    _part(world, f"1{other}")
    while world.members[1].core.last_index < 34:
        world.members[1].propose(b"y")
    world.members[1].drive()
    _write(world, 1)
    _say(world, 1, other)
    _write(world, other)
    _say(world, other, 1)
    _write(world, 1)
    for message in late:
        world.members[1].core.step(NodeId(2), message, world.now_ms)
        world.members[1].drive()
    world.crash(1)
    world.crash(other)
    _part(world, "2345")
    world.settle(3_000)


def _two_stand(world: World, one: int, other: int) -> None:
    """The leader, node 1, tells both to stand for election: in one term, without asking before."""
    term = Term(world.members[1].core.term)
    for node in (one, other):
        world.members[node].core.step(NodeId(1), TimeoutNow(term), world.now_ms)
        world.members[node].drive()
        _write(world, node)


def vote_that_comes_twice(engine: Engine) -> None:
    """Two of five are no majority, however often the second one says so."""
    world = _led_by_one(engine, 5)
    _two_stand(world, 2, 4)
    _part(world, "23", "145")
    _say(world, 2, 3)
    _write(world, 3)
    assert world.queues[3, 2], "node 3 votes for node 2"
    for _ in range(3):
        if world.queues[3, 2]:
            world.deliver(3, 2, is_doubled=True)
    world.settle(200)
    _part(world, "12345")
    world.settle(2_000)


def vote_that_is_forgotten(engine: Engine) -> None:
    """A member tells its vote, loses power before it is durable, and votes for another one in the same term."""
    world = _led_by_one(engine, 5)
    _two_stand(world, 2, 3)
    _part(world, "24", "25", "13", "35")
    asked = list(world.queues[3, 5])
    _say(world, 2, 4)
    _write(world, 4)
    _say(world, 4, 2)
    _say(world, 2, 5)
    _say(world, 5, 2)  # its disk has not written anything
    _lose_power(world, 5)
    world.start(5)
    world.queues[3, 5].extend(asked)
    for node in (1, 5):
        _say(world, 3, node)
        _write(world, node)
        _say(world, node, 3)
    _part(world, "12345")
    world.settle(2_000)


def read_behind_an_older_one(engine: Engine) -> None:
    """A deposed leader is confirmed by an answer that was given before the other one was elected."""
    world = _led_by_one(engine)
    _part(world, "12", "3")
    world.members[1].read(1)
    world.members[1].drive()
    _write(world, 1)
    _say(world, 1, 2)
    _write(world, 2)
    late = list(world.queues[2, 1])
    _part(world, "23")
    deposed = world.members.pop(1)  # time stands still there
    world.settle(2_000)
    leader = world.leader_or_none
    assert leader is not None
    leader.propose(b"newer")
    leader.drive()
    world.settle(300)
    deposed.read(2)
    deposed.drive()
    for message in late:
        deposed.core.step(NodeId(2), message, world.now_ms)
        deposed.drive()


def founding_members_come_back(engine: Engine, world: type[World] = World) -> None:
    """Nodes 2 and 3 were replaced by 4 and 5; node 1 restarts, and may not lead with those that left."""
    made = _led_by_one(engine, 3, 2, world)
    made.members[1].core.change([made.peers[node] for node in (1, 4, 5)])
    made.members[1].drive()
    made.settle(2_000)
    made.crash(1)
    _part(made, "123", "45")
    made.start(1)
    made.settle(3_000)
    for member in list(made.members.values()):
        member.propose(b"whose?")
        member.drive()
    made.settle(500)
    _part(made, "12345")
    made.settle(3_000)
    leader = made.leader_or_none
    assert leader is not None
    made.witness.check_end(leader.log.found[: leader.applied])
