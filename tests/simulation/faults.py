"""What goes wrong, and when: a swarm of faults by the weights of the history's options, and the end of all of them."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from raft.interfaces import NodeId
from tests.support.faulty_disk import FATES, TORN

from .options import Options
from .process import NodeProcess, Phase

if TYPE_CHECKING:
    from .cluster import Cluster


ACCEPT_S = 4.0
UP_S = 5.0
CUT_S = 3.0  # long enough for an operator to wait in vain until all nodes know a topic
WRITING_S = 0.5  # how long a power cut waits for nodes that are between a write and its sync


class Nemesis:
    """Runs in the operator's loop. Each fault ends by itself, or by `heal`."""

    def __init__(self, cluster: "Cluster", options: Options) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self.random = cluster.world.random("faults")
        self._options = options
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_over = False
        self._is_waiting = False
        self._loop = asyncio.get_running_loop()

    async def run(self, seconds: float) -> None:
        """Inject faults for some time."""
        kinds, weights = list(self._options.faults), list(self._options.faults.values())
        end_s = self.world.now + seconds
        while True:
            await asyncio.sleep(min(self.random.expovariate(1 / self._options.fault_s), end_s - self.world.now))
            if self.world.now >= end_s:
                return
            if kinds:
                kind = self.random.choices(kinds, weights)[0]
                if self.inject(kind):
                    self.world.counts[kind] += 1
                    self.world.trace("fault", kind)

    async def last_cut(self) -> bool:
        """Of all nodes while they write, and everything tears: half of the histories with power cuts end so."""
        if "power cut of all" not in self._options.faults or self.random.random() < 0.5:
            return False
        self.heal()
        await self.world.until(lambda: all(process.is_up for process in self.cluster.usable), UP_S)
        await asyncio.sleep(self.random.uniform(0.3, 1.5))
        self._is_over = self._is_waiting = False
        cut = asyncio.Event()

        def cut_all() -> None:
            self.cluster.power_cut_of_all(TORN)
            cut.set()

        self.world.trace("fault", "last power cut of all")
        self.world.counts["power cut of all"] += 1
        self._when_writing(self.cluster.processes, len(self.cluster.usable), cut_all)
        await cut.wait()
        return True

    def heal(self) -> None:
        """No fault any more: what is down comes up, what is cut is whole, what is slow is fast."""
        self._is_over = True
        self._end_election()
        for task in self._tasks:
            task.cancel()
        self.cluster.network.heal()
        self.cluster.network.slow_delay_s = 0.02
        for process in self.cluster.processes:
            process.keeps_running = True  # also one that is being stopped now
            process.disk.no_space.clear()
            process.disk.cut_at = None
            process.wall_skew_ms = 0  # a watermark never passes its leader's clock for long
            process.resume()
            if process.life is not None:
                process.life.threads.slowness = 1.0
            if process.disk.sync_error is not None:
                process.crash(is_power_cut=True)
            if self._options.is_changing and process.phase is Phase.REFUSED:
                process.wipe()  # as its operator is told to
            if process.phase is Phase.DOWN:
                process.boot()
        self.world.after(ACCEPT_S, self._accept_torn_tails)

    def _accept_torn_tails(self) -> None:
        """A node is gone for good, and the others have waited for it: its disk was the one that may rot, not theirs."""
        gone = [one for one in self.cluster.processes if one.phase is Phase.REFUSED or "swapped" in one.peer.disk_id]
        for process in self.cluster.processes:
            if gone and process.node_id not in self._options.sick:
                process.accept_torn_tails()

    def inject(self, kind: str) -> bool:
        """False: it does not fit now."""
        inject = getattr(self, f"_{kind.replace(' ', '_')}")
        return inject() is not False

    # One node

    def _kill(self) -> bool:
        return self._crash(is_power_cut=False)

    def _power_cut(self) -> bool:
        return self._crash(is_power_cut=True)

    def _crash(self, *, is_power_cut: bool) -> bool:
        if (process := self._victim()) is None:
            return False

        def crash() -> None:
            process.crash(is_power_cut=is_power_cut)
            self._later(self._while_s(), self._boot, process)

        self._when_writing([process], self.random.choice([0, 0, 1]), crash)
        return True

    def _power_cut_inside_a_disk_call(self) -> bool:
        if (process := self._victim()) is None:
            return False
        process.disk.cut_in(self.random.choice([1, 2, 3, 5, 10, 30]))
        self._later(self._while_s() + 0.5, self._boot, process)
        return True

    def _stop(self) -> bool:
        if (process := self._victim()) is None or not process.is_up:
            return False
        process.stop()
        self._later(self._while_s() + 1.0, self._boot, process)
        return True

    def _pause(self) -> bool:
        if (process := self._victim()) is None:
            return False
        process.pause()
        self._later(self.random.choice([0.1, 0.4, 1.2, 2.5]), self._resume, process)
        return True

    def _resume(self, process: NodeProcess) -> None:
        process.resume()
        self.cluster.on_resumed(process.node_id)

    def _wall_clock_jump(self) -> bool:
        process = self.random.choice(self.cluster.processes)
        process.wall_skew_ms = self.random.choice([-1, 1]) * self.random.choice([100, 5_000, 1_800_000])
        return True

    def _slow_disk(self) -> bool:
        if (process := self._victim()) is None or process.life is None:
            return False
        threads = process.life.threads
        threads.slowness = self.random.choice([5.0, 30.0, 200.0])
        self._later(self._while_s(), lambda: setattr(threads, "slowness", 1.0))
        return True

    def _disk_full(self) -> bool:
        if (process := self._victim()) is None:
            return False
        disk = process.disk
        disk.no_space |= set(self.random.choice([["create"], ["write"], ["create", "write"]]))
        self._later(self._while_s(), disk.no_space.clear)
        return True

    def _failed_sync(self) -> bool:
        if (process := self._victim()) is None or not process.is_up:
            return False
        process.disk.fail_syncs()
        self._later(self._while_s() + 0.3, self._boot, process)
        return True

    def _bit_flip(self) -> bool:
        """Of a node that may be sick: it goes down, comes back to other bytes, and must notice."""
        sick = [
            one
            for one in self.cluster.processes
            if one.node_id in self._options.sick and one.phase is not Phase.REFUSED
        ]
        if not sick:
            return False
        process = self.random.choice(sick)
        process.crash(is_power_cut=self.random.random() < 0.5)
        paths = [path for path in process.disk.paths() if path.endswith(".log") or self.random.random() < 0.1]
        if not paths:
            self._later(0.1, self._boot, process)
            return False
        path = self.random.choice(paths)
        at = process.disk.flip(path, self.random)
        process.is_damaged = True
        self.world.trace("flip", process.node_id, path, at)
        self._later(self._while_s(), self._boot, process)
        return True

    def _wipe(self) -> bool:
        sick = [one for one in self.cluster.processes if one.node_id in self._options.sick]
        if not sick or any(one.is_damaged for one in sick) or any(one.phase is Phase.REFUSED for one in sick):
            return False
        process = self.random.choice(sick)
        process.wipe()
        self._later(self._while_s(), self._boot, process)
        return True

    # All nodes

    def _crowded_election(self) -> bool:
        """All begin at once, two cannot hear each other, and those that vote die soon after, to be back at once."""
        ids = self._ids()
        if len(ids) < 3:
            return False
        one, other = self.random.sample(ids, 2)
        for process in self.cluster.processes:
            process.crash(is_power_cut=False)
            self._later(0.05, self._boot, process)
            if process.peer.node_id not in (one, other):
                process.on_hard_state = self._die_soon
        self._later(2.0, self._end_election)
        return self._cut({(one, other), (other, one)})

    def _die_soon(self, process: NodeProcess) -> None:
        if self.random.random() < 0.5:
            delay_s = self.random.uniform(0.0005, 0.01)
            self.world.after(delay_s, lambda: None if self._is_over else process.crash_and_boot(0.01))

    def _end_election(self) -> None:
        for process in self.cluster.processes:
            process.on_hard_state = lambda _: None

    def _kill_all(self) -> bool:
        for process in self.cluster.processes:
            process.crash(is_power_cut=False)
        self._boot_all()
        return True

    def _power_cut_of_all(self) -> bool:
        """At some moment, or when so many nodes are between a write and its sync."""
        if self._is_waiting:
            return False
        fates = self.random.choice([FATES, FATES, TORN])
        count = self.random.randint(0, len(self.cluster.processes))

        def cut_all() -> None:
            self.cluster.power_cut_of_all(fates)
            self._boot_all()

        self._when_writing(self.cluster.processes, count, cut_all)
        return True

    def _boot_all(self) -> None:
        for process in self.cluster.processes:
            self._later(self._while_s(), self._boot, process)

    # The network

    def _isolate(self) -> bool:
        victim = self.random.choice(self._ids())
        others = [one for one in self._ids() if one != victim]
        return self._cut({(victim, one) for one in others} | {(one, victim) for one in others})

    def _split(self) -> bool:
        ids = self._ids()
        side = set(self.random.sample(ids, self.random.randint(1, max(1, len(ids) - 1))))
        return self._cut({(a, b) for a in ids for b in ids if (a in side) != (b in side)})

    def _one_way(self) -> bool:
        ids = self._ids()
        victim = self.random.choice(ids)
        is_deaf = self.random.random() < 0.5
        others = self.random.sample(ids, self.random.randint(1, len(ids)))
        return self._cut({(one, victim) if is_deaf else (victim, one) for one in others if one != victim})

    def _bridge(self) -> bool:
        """Two sides that see each other through one node only."""
        ids = self._ids()
        if len(ids) < 3:
            return False
        self.random.shuffle(ids)
        _, *rest = ids
        half = len(rest) // 2
        return self._cut(
            {(a, b) for a in rest[:half] for b in rest[half:]} | {(b, a) for a in rest[:half] for b in rest[half:]}
        )

    def _old_catalog(self) -> bool:
        """One hears nothing of the catalog's leader, and is to lead shards with topics that it does not know."""
        up = [process for process in self.cluster.processes if process.is_up]
        leaders = [process for process in up if self.cluster.leads_catalog(process)]
        followers = [process for process in up if process not in leaders]
        if len(leaders) != 1 or len(followers) < 2:
            return False
        other = self.random.choice(followers)
        ways = {(leaders[0].peer.node_id, other.peer.node_id), (other.peer.node_id, leaders[0].peer.node_id)}
        for way in sorted(ways):
            self.cluster.network.cut(*way)
        self._later(CUT_S, self.cluster.network.heal_some, ways)
        self._let_lead(other, self.world.now + CUT_S)
        return True

    def _let_lead(self, process: NodeProcess, until_s: float) -> None:
        for one in self.cluster.processes:
            if one is not process:
                one.hand_over_what_is_new_to(process)
        if self.world.now < until_s:
            self._later(self.random.uniform(0.02, 0.3), self._let_lead, process, until_s)

    def _wild_network(self) -> bool:
        if len(self._ids()) < 2:
            return False
        self.cluster.network.wildness = self.random.choice([0.01, 0.05, 0.2])
        self._later(self._while_s(), lambda: setattr(self.cluster.network, "wildness", 0.0))
        return True

    def _slow_network(self) -> bool:
        network = self.cluster.network
        network.slow_delay_s = self.random.choice([0.1, 0.5])
        self._later(self._while_s(), lambda: setattr(network, "slow_delay_s", 0.02))
        return True

    def _break_client_connections(self) -> bool:
        process = self.random.choice(self.cluster.processes)
        return self.cluster.sockets.cut_some(process.host_name, self.random.choice([0.3, 1.0])) > 0

    def _cut(self, ways: set[tuple[NodeId, NodeId]]) -> bool:
        if not ways:
            return False
        for way in sorted(ways):
            self.cluster.network.cut(*way)
        self._later(self._while_s() * 2, self.cluster.network.heal_some, ways)
        return True

    # How

    def _when_writing(self, processes: Sequence[NodeProcess], count: int, act: Callable[[], None]) -> None:
        """Do it when so many of them are between a write to a log and its sync; after a while in any case."""
        if count == 0 or self._is_waiting:
            act()
            return
        slowness = self.random.choice([1.0, 5.0] if count == 1 else [5.0, 30.0])
        self._is_waiting = is_waiting = True

        def end() -> None:
            nonlocal is_waiting
            if is_waiting and not self._is_over:
                self._is_waiting = is_waiting = False
                for process in processes:
                    process.on_written = lambda: None
                    if process.life is not None:
                        process.life.threads.slowness = 1.0
                act()

        def look() -> None:
            if sum(process.has_unsynced_log for process in processes) >= count:
                self._loop.call_soon_threadsafe(end)

        for process in processes:
            process.on_written = look
            if process.life is not None:
                process.life.threads.slowness = max(slowness, process.life.threads.slowness)
        self._later(WRITING_S, end)

    def _ids(self) -> list[NodeId]:
        return [process.peer.node_id for process in self.cluster.processes]

    def _victim(self) -> NodeProcess | None:
        """A process that runs; those that lead are hit more often."""
        running = [one for one in self.cluster.processes if one.life is not None and one.phase is not Phase.REFUSED]
        leading = [one for one in running if one.is_up and self.cluster.leads_something(one)]
        if not running:
            return None
        return self.random.choice(leading if leading and self.random.random() < 0.5 else running)

    def _while_s(self) -> float:
        return self.random.choice([0.02, 0.2, 0.7, 1.5])

    def _boot(self, process: NodeProcess) -> None:
        if process.phase is Phase.DOWN:
            process.boot()

    def _later(self, delay_s: float, callback, *values: object) -> None:
        async def wait() -> None:
            await asyncio.sleep(delay_s)
            if not self._is_over:
                callback(*values)

        task = asyncio.get_running_loop().create_task(wait())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
