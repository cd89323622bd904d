"""What goes wrong, by name; each returns whether it did anything. The world mends everything in the end."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from raft.errors import NotLeaderError
from raft.interfaces import NodeId
from tests.simulation.cores.member import Member

if TYPE_CHECKING:
    from tests.simulation.cores.world import World


def crash(world: "World") -> bool:
    member = world.any_leader_or_member()
    if member.core is None:
        return False
    world.crash(member, world.random.choice((20, 100, 700)))
    return True


def crash_of_all(world: "World") -> bool:
    if world.random.random() < 0.7:
        return False
    for member in world.members.values():
        if member.core is not None:
            world.crash(member, world.random.randrange(10, 300))
    return True


def damage(world: "World") -> bool:
    """A member loses the end of its durable log, and knows it."""
    member = world.any_member()
    if not may_rot(world, member):
        return False
    world.crash(member, world.random.randrange(20, 400))
    world.truth.on_damaged(member)
    disk = member.disk
    last = disk.log.last_index
    disk.lose(max(disk.checkpoint, disk.log.first_index - 1, last - world.random.randrange(6)))
    disk.is_damaged, disk.is_doubtful = True, False
    return True


def rot(world: "World") -> bool:
    return wither(world, world.any_leader_or_member(), world.random.randrange(20, 400))


def may_rot(world: "World", member: Member) -> bool:
    """One disk at a time, and never without two others that are whole, whatever members anybody knows of."""
    configurations = [one.core.configuration for one in world.members.values() if one.core is not None]
    is_small = any(found is not None and len(found.voters) < 3 for found in configurations)
    is_known = member.core is not None and member.core.configuration is not None
    return is_known and not is_small and not any(other.disk.is_rotten for other in world.members.values())


def wither(world: "World", member: Member, for_ms: int) -> bool:
    """What a member made durable last, and has not marked yet, rots: it takes that for a torn write."""
    if not may_rot(world, member):
        return False
    world.crash(member, for_ms)
    disk = member.disk
    floor = max(disk.checkpoint, disk.log.first_index - 1, disk.marked)
    if floor < disk.log.last_index:
        world.truth.on_damaged(member)
        disk.lose(world.random.randrange(floor, disk.log.last_index))
        disk.is_doubtful = True
        world.counts["rotten"] += 1
    return True


def forget(world: "World") -> bool:
    """Just a majority has what a leader commits; one of it forgets that, and the others of it fall."""
    leaders = [member for member in world.members.values() if member.leads]
    if not leaders or len(world.members) < 3:
        return False
    leader = world.random.choice(leaders)
    rest = [number for number in world.members if number != leader.node_id]
    world.random.shuffle(rest)
    beside = rest[: len(world.members) // 2]
    for number in rest[len(beside) :]:
        for other in (leader.node_id, *beside):
            cut_both_ways(world, number, other, 60, tells=False)
    victim, *others = beside
    back_ms = world.random.randrange(3, 30)
    world.later(1, lambda: world.propose(leader, 3) if leader.leads else None)
    world.later(world.random.randrange(20, 45), lambda: wither(world, world.members[victim], back_ms) and None)
    if world.random.random() < 0.5:
        again_ms = 60 + back_ms + world.random.randrange(200)
        world.later(again_ms, lambda: blink(world, world.members[victim]) and None)
    for number in (leader.node_id, *others):
        fallen = world.members[number]
        world.later(50, lambda fallen=fallen: world.crash(fallen, 2_000) if fallen.core is not None else None)
    return True


def isolate(world: "World") -> bool:
    number = world.any_leader_or_member().node_id
    for_ms = world.random.choice((80, 400, 1_200))
    tells = world.random.random() < 0.5
    for other in world.members:
        if other != number:
            cut_both_ways(world, number, other, for_ms, tells=tells)
    return len(world.members) > 1


def split(world: "World") -> bool:
    side = [number for number in world.members if world.random.random() < 0.5]
    for_ms = world.random.choice((200, 1_200))
    tells = world.random.random() < 0.5
    for number in side:
        for other in world.members:
            if other not in side:
                cut_both_ways(world, number, other, for_ms, tells=tells)
    return 0 < len(side) < len(world.members)


def cut_both_ways(world: "World", number: int, other: int, for_ms: int, *, tells: bool) -> None:
    for one, two in ((number, other), (other, number)):
        world.cut_link(one, two, for_ms)
        if tells:
            world.tell_link(one, two, is_up=False, delay_ms=1 + world.random.randrange(10))
            world.tell_link(one, two, is_up=True, delay_ms=for_ms + 1 + world.random.randrange(10))


def one_way(world: "World") -> bool:
    """What a member says is lost, or what it should hear."""
    number = world.any_leader_or_member().node_id
    for_ms = world.random.choice((200, 1_500))
    is_deaf = world.random.random() < 0.5
    for other in world.members:
        if other != number and world.random.random() < 0.8:
            world.cut_link(*((other, number) if is_deaf else (number, other)), for_ms)
    return len(world.members) > 1


def loss(world: "World") -> bool:
    world.loss = world.random.choice((0.05, 0.3, 0.6))
    world.later(world.random.randrange(50, 500), lambda: setattr(world, "loss", 0.0))
    return True


def duplication(world: "World") -> bool:
    world.duplication = world.random.choice((0.1, 0.5))
    world.later(world.random.randrange(100, 800), lambda: setattr(world, "duplication", 0.0))
    return True


def delay(world: "World") -> bool:
    """Also reorders."""
    world.delay_ms = world.random.choice((40, 200, 900))
    world.later(world.random.randrange(100, 600), lambda: setattr(world, "delay_ms", 4))
    return True


def slow_disk(world: "World") -> bool:
    member = world.any_leader_or_member()
    member.disk_ms = world.random.choice((30, 150, 500))
    world.later(world.random.randrange(100, 900), lambda: setattr(member, "disk_ms", 2))
    return True


def slow_apply(world: "World") -> bool:
    member = world.any_leader_or_member()
    member.apply_ms = world.random.randrange(1, 60)
    return True


def pause(world: "World") -> bool:
    member = world.any_leader_or_member()
    member.paused_until_ms = world.now_ms + world.random.choice((60, 300, 1_500))
    return True


def clock_jump(world: "World") -> bool:
    world.any_leader_or_member().skew_ms += world.random.choice((90, 400, 3_000))
    return True


def transfer(world: "World", to: int | None = None) -> bool:
    leaders = [member for member in world.members.values() if member.leads and world.now_ms >= member.paused_until_ms]
    if not leaders:
        return False
    leader = world.random.choice(leaders)
    assert leader.core is not None
    try:
        leader.core.transfer(NodeId(to or world.any_member().node_id), world.now_ms + leader.skew_ms)
    except (NotLeaderError, ValueError):
        return False
    world._drive(leader)
    return True


def change(world: "World") -> bool:
    leaders = [member for member in world.members.values() if member.leads and world.now_ms >= member.paused_until_ms]
    if not leaders:
        return False
    leader = world.random.choice(leaders)
    assert leader.core is not None
    numbers = world.random.sample(sorted(world.members), world.random.randrange(len(world.members)) + 1)
    wanted = [world.members[number].peer for number in numbers]
    rest = [member.peer for number, member in world.members.items() if number not in numbers]
    learners = rest[:1] if world.random.random() < 0.2 else []
    leader.core.change(wanted, learners)
    world._drive(leader)
    return True


def release(world: "World") -> bool:
    """A checkpoint, and the log before it is let go."""
    return let_go(world, world.any_leader_or_member())


def let_go(world: "World", member: Member) -> bool:
    core = member.core
    upto = min(member.applied, member.disk.log.last_index)
    if core is None or upto < member.log.first_index or member.writing or member.waiting:
        return False
    upto = world.random.randrange(member.log.first_index, upto + 1)
    disk = member.disk
    disk.checkpoint = max(upto, disk.checkpoint)
    if world.random.random() < 0.6:
        configuration = member.configuration_at(upto)
        if configuration != disk.base:
            disk.base = configuration
        disk.is_base_logged = True
        disk.log.release(upto)
        member.log.release(upto)
    return True


def fall_behind(world: "World") -> bool:
    """A member is away while the others go on and let go of what it lacks."""
    leaders = [member for member in world.members.values() if member.leads]
    if not leaders or len(world.members) < 2:
        return False
    leader = world.random.choice(leaders)
    away = world.any_member()
    if away is leader:
        return False
    for_ms = world.random.randrange(150, 500)
    for other in world.members:
        if other != away.node_id:
            cut_both_ways(world, away.node_id, other, for_ms, tells=world.random.random() < 0.5)
    world.later(1, lambda: world.propose(leader, 5) if leader.leads else None)
    for at_ms in (60, for_ms - 5):
        world.later(at_ms, lambda: [let_go(world, member) for member in world.members.values()] and None)
    return True


def spurious_link(world: "World") -> bool:
    """A link breaks and returns, and nothing else."""
    number, other = world.any_member().node_id, NodeId(world.any_leader_or_member().node_id)
    if number == other:
        return False
    world.tell_link(number, other, is_up=False, delay_ms=1)
    world.tell_link(number, other, is_up=True, delay_ms=20)
    return True


def duel(world: "World") -> bool:
    """The leader is cut off and the others stand at once; some fall while their vote is being written."""
    if len(world.members) < 3:
        return False
    leaders = [member.node_id for member in world.members.values() if member.leads]
    for number in leaders:
        for other in world.members:
            if other != number:
                cut_both_ways(world, number, other, 400, tells=True)
    for member in world.members.values():
        if not member.leads:
            member.skew_ms += world.random.choice((800, 1_500))
    standing = [number for number in world.members if number not in leaders]
    if len(standing) > 2 and world.random.random() < 0.5:
        one, two = world.random.sample(standing, 2)
        cut_both_ways(world, one, two, 400, tells=False)
    world.crash_on_vote = 0.4
    world.later(300, lambda: setattr(world, "crash_on_vote", 0.0))
    return True


def late(world: "World") -> bool:
    """Everything arrives, long after it was said; meanwhile many ask, and some restart."""
    world.delay_ms = world.random.choice((200, 900))
    world.later(1_200, lambda: setattr(world, "delay_ms", 4))
    for at_ms in range(10, 1_200, 80):
        world.later(at_ms, lambda: [world.read(member) for member in world.members.values() if member.core is not None])
    for _ in range(3):
        world.later(world.random.randrange(1_000), lambda: blink(world))
    return True


def blink(world: "World", member: Member | None = None) -> bool:
    member = member or world.any_member()
    if member.core is None or member.leads:
        return False
    world.crash(member, 3)
    return True


def tails(world: "World") -> bool:
    """A leader and a minority go on by themselves, on slow disks; what they have written will conflict."""
    leaders = [member for member in world.members.values() if member.leads]
    if not leaders or len(world.members) < 3:
        return False
    leader = world.random.choice(leaders)
    rest = [number for number in world.members if number != leader.node_id]
    world.random.shuffle(rest)
    beside = rest[: world.random.randrange((len(world.members) + 1) // 2)]
    for_ms = world.random.randrange(150, 700)
    for number in (leader.node_id, *beside):
        world.members[number].disk_ms = world.random.choice((2, 300, 900))
        for other in rest:
            if other not in beside:
                cut_both_ways(world, number, other, for_ms, tells=world.random.random() < 0.8)
    world.later(2_000, lambda: [setattr(member, "disk_ms", 2) for member in world.members.values()] and None)
    for at_ms in (1, 20, 60):
        world.later(at_ms, lambda: world.propose(leader, 2) if leader.leads else None)
    return True


def partial(world: "World") -> bool:
    """A leader reaches one other member, and falls. Source: Raft paper, figure 8."""
    leaders = [member for member in world.members.values() if member.leads]
    if not leaders or len(world.members) < 3:
        return False
    leader = world.random.choice(leaders)
    rest = [number for number in world.members if number != leader.node_id]
    for other in world.random.sample(rest, len(rest) - 1):
        cut_both_ways(world, leader.node_id, other, 40, tells=False)
    world.later(1, lambda: world.propose(leader, 4) if leader.leads else None)
    world.later(40, lambda: world.crash(leader, 400) if leader.core is not None else None)
    return True


def echo(world: "World") -> bool:
    """What a follower has acknowledged reaches its leader when that leads again, in a later term."""
    leaders = [member for member in world.members.values() if member.leads]
    if not leaders or len(world.members) < 3:
        return False
    leader = world.random.choice(leaders)
    rest = [number for number in world.members if number != leader.node_id]
    beside = world.random.choice(rest)
    for other in rest:
        if other != beside:
            for number in (leader.node_id, beside):
                cut_both_ways(world, number, other, 300, tells=True)
    link = (beside, leader.node_id)
    world.slow_links[link] = world.random.randrange(500, 1_000)
    world.later(200, lambda: world.slow_links.pop(link, None))
    for at_ms in (1, 20):
        world.later(at_ms, lambda: world.propose(leader, 3) if leader.leads else None)
    for at_ms in (450, 550):
        world.later(at_ms, lambda: transfer(world, leader.node_id))
    for at_ms in range(500, 1_000, 10):
        world.later(at_ms, lambda: world.propose(leader, 1) if leader.leads else None)
    return True


def hurt(world: "World") -> bool:
    """A follower loses what it has just acknowledged; then its leader falls."""
    if not damage(world):
        return False

    def fall() -> None:
        leaders = [member for member in world.members.values() if member.leads and not member.disk.is_damaged]
        if leaders:
            world.crash(world.random.choice(leaders), 900)

    world.later(world.random.randrange(10, 600), fall)
    return True


def outgrow(world: "World") -> bool:
    """A group that had less than three voters has more, and what the member that began it wrote last rots at once."""
    leaders = [member for member in world.members.values() if member.leads]
    if not leaders or len(world.members) < 3:
        return False
    leader = leaders[0]
    core = leader.core
    assert core is not None
    assert core.configuration is not None
    if len(core.configuration.voters) > 2:
        core.change([leader.peer])  # and again from there
    else:
        core.change([member.peer for member in world.members.values()])
    world._drive(leader)

    def wither_if_grown() -> None:
        found = leader.core
        if found is core and core.configuration is not None and len(core.configuration.voters) > 2:
            wither(world, leader, world.random.randrange(500, 1_500))

    for at_ms in range(10, 200, world.random.choice((5, 15, 40))):
        world.later(at_ms, wither_if_grown)
    return True


FAULTS: dict[str, Callable[["World"], bool]] = {
    fault.__name__.replace("_", " "): fault
    for fault in (
        crash, crash_of_all, damage, rot, forget, isolate, split, one_way, loss, duplication, delay, slow_disk,
        slow_apply, pause, clock_jump, transfer, change, release, spurious_link, duel, late, tails, hurt, partial, echo,
        fall_behind, outgrow,
    )
}  # fmt: skip

# Where rare things happen often; most histories mix the faults freely.
THEMES: dict[str, tuple[str, ...]] = {
    "duels": ("duel", "duplication", "crash", "loss"),
    "late": ("late", "transfer", "isolate", "duel"),
    "tails": ("tails", "duel", "crash"),
    "damage": ("hurt", "isolate", "release"),
    "doubt": ("forget", "crash of all", "rot"),
    "members": ("change", "crash", "isolate", "tails"),
    "installs": ("fall behind", "crash", "change", "delay"),
    "echoes": ("echo", "delay", "duel"),
    "splits": ("split", "duplication", "duel"),
    "figure 8": ("partial", "duel"),
    "growth": ("outgrow", "change", "crash"),
}
