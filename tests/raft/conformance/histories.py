"""Random histories of one group: proposals, reads and faults by turns, then everything heals and must go on."""

from dataclasses import dataclass

from .world import Engine, ViolationError, World


@dataclass(frozen=True)
class Faults:
    """Chances of each fault in a step of some ms."""

    cut: float = 0.01
    stall: float = 0.01
    crash: float = 0.003
    freeze: float = 0.01
    damage: float = 0.0
    change: float = 0.0
    double: float = 0.0


CUTS_ONLY = Faults(stall=0, crash=0, freeze=0)
ALL = Faults()
DAMAGE = Faults(damage=0.5, crash=0.006)
CHANGES = Faults(change=0.02, damage=0.3)
DOUBLES = Faults(double=0.1)


@dataclass(frozen=True)
class Outcome:
    acknowledged: int
    reads: int
    leaders: int
    trace: int


def run(
    seed: int,
    engine: Engine,
    faults: Faults = ALL,
    *,
    steps: int = 600,
    count: int = 3,
    world: type[World] = World,
) -> Outcome:
    """Raises: ViolationError."""
    history = _History(world(seed, engine, count, spare=2 if faults.change else 0), faults)
    for number in range(steps):
        history.step(number)
    history.heal_and_go_on()
    witness = history.world.witness
    return Outcome(len(witness.acknowledged), witness.read_count, len(witness.leaders), history.world.trace)


class _History:
    def __init__(self, world: World, faults: Faults) -> None:
        self.world = world
        self.faults = faults
        self.rng = world.rng
        self.down: set[int] = set()
        self.frozen: set[int] = set()
        self.tickets = 0

    def step(self, number: int) -> None:
        world, rng = self.world, self.rng
        world.now_ms += rng.randrange(1, 25)
        for node in sorted(world.members):
            if rng.random() < 0.5:
                world.tick(node)
            if rng.random() < 0.4 and node not in self.frozen:
                world.members[node].work_disk(rng.randrange(1, 12))
                world.members[node].drive()
        for pair in sorted(world.queues):
            if pair not in world.stalled:
                for _ in range(rng.choice([0, 1, 1, 4])):
                    if world.queues.get(pair):
                        world.deliver(*pair, is_doubled=rng.random() < self.faults.double)
        self._clients(number)
        self._links()
        self._crashes()
        if rng.random() < self.faults.change:
            self._change()

    def _clients(self, number: int) -> None:
        rng = self.rng
        for node in sorted(self.world.members):
            member = self.world.members[node]
            for part in range(rng.choice([0, 0, 1, 2])):
                member.propose(b"%d.%d " % (number, part) + bytes(rng.choice([5, 50, 200])))
            if rng.random() < 0.05:
                self.tickets += 1
                member.read(self.tickets)
            member.drive()

    def _links(self) -> None:
        world, rng = self.world, self.rng
        if not world.pairs:
            return
        if rng.random() < self.faults.cut:
            pair = rng.choice(world.pairs)
            (world.cut if world.is_up(*pair) else world.join)(*pair)
        elif rng.random() < self.faults.cut / 2:  # nobody is alone for ever
            for pair in world.pairs:
                if not world.is_up(*pair):
                    world.join(*pair)
        if rng.random() < self.faults.stall:
            pair = rng.choice(sorted(world.queues) or [(1, 2)])
            world.stalled.add(pair)
        if world.stalled and rng.random() < 4 * self.faults.stall:
            world.stalled.discard(rng.choice(sorted(world.stalled)))

    def _crashes(self) -> None:
        world, rng = self.world, self.rng
        if rng.random() < self.faults.freeze:
            self.frozen.add(rng.choice(sorted(world.disks)))
        if self.frozen and rng.random() < 4 * self.faults.freeze:
            self.frozen.discard(rng.choice(sorted(self.frozen)))
        if world.members and rng.random() < self.faults.crash:
            node = rng.choice(sorted(world.members))
            world.crash(node)
            self.down.add(node)
            is_only_damage = not any(disk.is_rotten for disk in world.disks.values())
            if is_only_damage and rng.random() < self.faults.damage:
                world.damage(node)
        if self.down and rng.random() < 8 * self.faults.crash:
            node = rng.choice(sorted(self.down))
            self.down.discard(node)
            world.start(node)

    def _change(self) -> None:
        leader = self.world.leader_or_none
        if leader is not None:
            nodes = self.rng.sample(sorted(self.world.disks), self.rng.choice([3, 3, 4]))
            leader.core.change([self.world.peers[node] for node in sorted(nodes)])
            leader.drive()

    def heal_and_go_on(self) -> None:
        world = self.world
        world.stalled.clear()
        for node in sorted(self.down):
            world.start(node)
        for pair in world.pairs:
            if not world.is_up(*pair):
                world.join(*pair)
        for _ in range(30):
            world.settle(200)
            leader = world.leader_or_none
            if leader is not None:
                leader.propose(b"the end")
                leader.drive()
                world.settle(300)
                if any(body == b"the end" for _, body in world.witness.acknowledged.values()):
                    break
        else:
            raise ViolationError("no leader commits anything for 15 s after all faults are healed")
        world.settle(600)
        voters = leader.core.configuration.voters if leader.core.configuration else ()
        for peer in voters:
            member = world.members[peer.node_id]
            world.witness.check_end(member.log.found[: member.applied])
        applied = {world.members[peer.node_id].applied for peer in voters}
        if len(applied) != 1:
            raise ViolationError(f"voters have applied {applied}")
