"""One history from its seed: boot, work under faults, heal, read everything back, check."""

import asyncio
import gc
import logging
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import anyio
import anyio.to_thread

from .changing import Mover, Recreator
from .checkers import check
from .client import Client, GoneError
from .cluster import Cluster
from .engines import ENGINES, SimulationStuckError
from .faults import Nemesis
from .history import History, Place
from .options import Options, draw
from .streams import SCHEMA, Asker, disagreements, view_places
from .workloads import Committer, Consumer, Creator, Producer, Returner, Workload, create_topic, read_all
from .world import World

BOOT_S = 30.0
HEAL_S = 30.0
SETTLE_S = 30.0
FAULTS = (AssertionError, LookupError, TypeError, ValueError, AttributeError, RuntimeError)
_FROZEN: list[bool] = []
PROBLEMS_MAX = 20
STREAM_CONFIGS = {
    "schema": SCHEMA.schema_text(),
    "aggregates": SCHEMA.aggregates_text(),
    "lateness_ms": "150",
    "idle_ms": "300",
    "tick_ms": "100",
    "split_ms": "1000",
}


@dataclass(slots=True)
class Outcome:
    """`healed_ms`: how long members were in doubt after a power cut of all that was the last fault."""

    seed: int
    engine: str
    options: Options
    digest: str
    problems: list[str]
    counts: Counter[str]
    virtual_s: float
    cpu_s: float
    event_count: int
    figures: dict[str, int] = field(default_factory=dict[str, int])
    healed_ms: int | None = None

    @property
    def is_clean(self) -> bool:
        return not self.problems


def simulate(
    seed: int, engine: str = "seeded", *, echo: Callable[[str], None] | None = None, **fixed: object
) -> Outcome:
    """Run the history of a seed. Same arguments, same `digest`."""
    unraisable = sys.unraisablehook
    # Tasks of dead processes are thrown away in the middle of what they did.
    sys.unraisablehook = lambda _: None
    if not _FROZEN:
        _FROZEN.append(True)
        gc.collect()
    gc.freeze()  # modules and the like stay; only what this history leaves behind is looked through
    gc.disable()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
        try:
            return _simulated(seed, engine, draw(seed, **fixed), echo)
        finally:
            gc.enable()
            while gc.collect():  # what ends in one round may leave its traceback to the next
                pass
            sys.unraisablehook = unraisable


def _simulated(seed: int, engine: str, options: Options, echo: Callable[[str], None] | None) -> Outcome:
    started = time.process_time()
    world = World(seed, ENGINES[engine](seed), echo=echo)
    history = History()
    with ExitStack() as stack:
        folder = None
        if options.has_streams:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="simulation-", dir=_memory_folder())))
        stack.enter_context(surroundings(world))
        story = Story(world, options, history, folder)
        stack.enter_context(story.cluster.files.in_place())
        if story.cluster.run_files is not None:
            stack.enter_context(story.cluster.run_files.in_place())
        operator = world.new_loop("operator")
        task = operator.start(story.tell())
        try:
            world.engine.run(operator, task)
            error = task.exception()
        except SimulationStuckError as stuck:
            error = stuck
        if error is not None:
            world.problem(f"the story ended: {''.join(traceback.format_exception(error))}")
        for loop in world.loops:
            for fault in loop.faults:
                world.problem(f"{loop.name}: {_described(fault)}")
        story.cluster.cuts_of_all.settle()
        virtual_s = world.now
        digest = world.digest()
        for process in story.cluster.processes:
            process.forget()
        for loop in world.loops:
            loop.forget()
        world.problems += check(history) if not world.problems else []
        figures = story.figures()
    event_count = world.engine.event_count
    problems, counts = world.problems[:PROBLEMS_MAX], world.counts
    cpu_s = time.process_time() - started
    return Outcome(
        seed, engine, options, digest, problems, counts, virtual_s, cpu_s, event_count, figures, story.healed_ms
    )


class Story:
    """Told in the operator's loop."""

    def __init__(self, world: World, options: Options, history: History, folder: Path | None) -> None:
        self.world = world
        self.options = options
        self.history = history
        self.cluster = Cluster(world, options, folder)
        topics = ("t", "s") if options.has_streams else ("t",)
        self.places: list[Place] = [(name, partition) for name in topics for partition in range(options.partitions)]
        self.view_places = view_places("s", options.partitions) if options.has_streams else []
        self.recreator: Recreator | None = None
        self.healed_ms: int | None = None
        self._workloads: list[Workload] = []

    async def tell(self) -> None:
        for process in self.cluster.processes:
            process.boot()
        if not await self._until(lambda: all(process.is_up for process in self.cluster.processes), BOOT_S):
            self.world.problem(f"not all nodes are up after {BOOT_S:g} s: {self._phases()}")
            return
        reader = self._client("reader")
        await self._told(reader, lambda: create_topic(reader, "t", self.options.partitions))
        if self.options.has_streams:
            await self._told(reader, lambda: create_topic(reader, "s", self.options.partitions, **STREAM_CONFIGS))
        self._begin_work()
        nemesis = Nemesis(self.cluster, self.options)
        await nemesis.run(self.options.seconds)
        is_torn = await nemesis.last_cut()
        nemesis.heal()
        self.world.trace("healed")
        healed_s = self.world.now
        doubt = asyncio.ensure_future(self._doubt_ends(is_torn=is_torn))
        for workload in self._workloads:
            workload.is_over = True
        is_done = await self._until(lambda: all(workload.is_done for workload in self._workloads), HEAL_S)
        if not is_done:
            busy = [workload.client.name for workload in self._workloads if not workload.is_done]
            self.world.problem(f"not healed {HEAL_S:g} s after the last fault: {busy} wait; {self._phases()}")
            return
        left_s = HEAL_S - (self.world.now - healed_s)
        final = asyncio.ensure_future(self._told(reader, lambda: self._read_back(reader)))
        if not await self._until(final.done, left_s):
            self.world.problem(f"not all can be read {HEAL_S:g} s after the last fault: {self._phases()}")
            return
        await final
        await self._compare_replicas()
        await doubt

    def figures(self) -> dict[str, int]:
        acked = [sent for sent in self.history.sent if sent.is_acked]
        return {
            "batches acknowledged": len(acked),
            "records acknowledged": sum(len(sent.values) for sent in acked),
            "fetches": len(self.history.seen),
            "register operations": sum(map(len, self.history.registers.values())),
            "frames": self.cluster.network.frame_count,
            "entries applied": self.cluster.witness.apply_count,
            "queries": len(self.history.counted),
            "events in views": sum(map(len, self.history.views.values())),
            "logs compared": self.cluster.witness.checked_logs,
        }

    def _client(self, name: str) -> Client:
        return Client(self.world, self.cluster.sockets, name, self.cluster.addresses)

    def _begin_work(self) -> None:
        options, history = self.options, self.history
        for i in range(options.producers):
            client = self._client(f"p{i}")
            self._workloads.append(
                Producer(
                    client,
                    history,
                    self.places,
                    mean_s=options.produce_s,
                    inflight=options.inflight,
                    spread_ms=400 if options.has_streams else 0,
                )
            )
        for i in range(options.consumers):
            self._workloads.append(
                Consumer(self._client(f"c{i}"), history, [*self.places, *self.view_places], mean_s=0.05)
            )
        for i in range(options.committers):
            name = "alone" if i == 0 else "shared"
            client = self._client(f"g{i}")
            # Some give up early and look for another coordinator; some are silent for long and know an old one.
            client.timeout_s = client.random.choice([0.3, 0.6, 1.5])
            mean_s = client.random.choice([0.05, 0.3, 1.5])
            self._workloads.append(Committer(client, history, name, number=i, of=options.committers, mean_s=mean_s))
        if options.committers:
            returner = Returner(self._client("returner"), history, ["alone", "shared"][: options.committers])
            self.cluster.on_resumed = returner.resumed.append
            self._workloads.append(returner)
        if options.topics_created:
            names = [f"more{i}" for i in range(options.topics_created)]
            self._workloads.append(Creator(self._client("admin"), history, names, mean_s=0.5))
        if options.has_streams:
            self._workloads.append(Asker(self._client("asker"), history, self.cluster, "s", mean_s=0.1))
        if options.move_s:
            client = self._client("mover")
            self._workloads.append(Mover(client, history, self.cluster, mean_s=options.move_s))
        if options.recreate_s:
            self.recreator = Recreator(self._client("recreator"), history, life_s=options.recreate_s)
            self._workloads.append(self.recreator)
        for workload in self._workloads:
            workload.begin()

    async def _read_back(self, reader: Client) -> None:
        for place in self.places:
            epochs = self.history.epochs.setdefault(place, {})
            self.history.final[place] = await read_all(reader, place, epochs)
        wanted = sum(len(self.history.final[place]) for place in self.places if place[0] == "s")
        for place in self.view_places:
            # All events become final by and by: nothing holds the watermark when nobody produces.
            while True:
                self.history.views[place] = await read_all(reader, place, {})
                if place[0] != "s.__time" or len(self.history.views[place]) >= wanted:
                    break
                await asyncio.sleep(0.2)
        if self.recreator is not None:
            await self.recreator.read_back(reader)
        for name in self.history.created:
            while (name, 0) not in reader.leaders:
                try:
                    await reader.leader(name, 0)
                except GoneError:
                    await reader.pause()

    async def _compare_replicas(self) -> None:
        """All replicas have the same, soon; and no two logs contradict each other."""
        if self.options.is_changing and not await self._until(lambda: not self.cluster.unsettled(), SETTLE_S):
            self.world.problem(f"unsettled {SETTLE_S:g} s after all was read: {self.cluster.unsettled()}")
        usable = self.cluster.usable

        def are_equal() -> bool:
            for place in self.places:
                wanted = self.history.final[place]
                for process in usable:
                    found = self.cluster.replica(process, place)
                    if found is not None and found != wanted[: len(found)]:
                        return True  # the checkers will say so
                    if found is not None and len(found) < len(wanted):
                        return False
            return all(process.is_up for process in usable)

        if not await self._until(are_equal, 20.0):
            self.world.problem(f"replicas lag behind 20 s after all was healed: {self._phases()}")
        for process in usable:
            for place in self.places:
                if (found := self.cluster.replica(process, place)) is not None:
                    self.history.replicas.append((process.node_id, place, found))
        self.cluster.witness.compare_logs(usable)
        if self.options.has_streams:
            for text in disagreements(self.cluster, "s"):
                self.world.problem(text)

    async def _doubt_ends(self, *, is_torn: bool) -> None:
        """Whoever cut off something votes without reserve again, soon after the last fault."""
        healed_s = self.world.now
        await self._until(lambda: all(process.is_up for process in self.cluster.usable), HEAL_S)
        doubtful = self.cluster.doubtful()
        if not await self._until(lambda: not self.cluster.doubtful(), HEAL_S):
            self.world.problem(f"in doubt {HEAL_S:g} s after the last fault: {self.cluster.doubtful()}")
        if doubtful and is_torn:
            self.healed_ms = int((self.world.now - healed_s) * 1000)

    async def _told(self, client: Client, work: Callable) -> None:
        """Run something in a client's loop, and wait for it here."""
        done: list[asyncio.Task[None]] = []

        def begin() -> None:
            done.append(client.loop.create_task(work()))

        client.loop.call_soon(begin)
        while not done or not done[0].done():  # noqa: ASYNC110 - of another loop
            await asyncio.sleep(0.01)
        done[0].result()

    async def _until(self, condition: Callable[[], bool], limit_s: float) -> bool:
        return await self.world.until(condition, limit_s)

    def _phases(self) -> str:
        return ", ".join(f"{process.host_name} {process.phase.value}" for process in self.cluster.processes)


@contextmanager
def surroundings(world: World) -> Iterator[None]:
    """What production code takes from the module level: threads, the monotonic clock, logs."""

    async def run_sync(work: Callable, *values: object, limiter: anyio.CapacityLimiter | None = None, **_: object):
        if limiter is None:
            await asyncio.sleep(0.0002 * world.engine.draw())
            return work(*values)
        async with limiter:
            await asyncio.sleep(0.0002 * world.engine.draw())
            return work(*values)

    def monotonic() -> float:
        return world.now

    heard = _Faults(world)
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    with (
        patch("anyio.to_thread.run_sync", run_sync),
        patch("time.monotonic", monotonic),
        patch("gateway.kafka.connection.monotonic", monotonic),
    ):
        root.setLevel(logging.ERROR)
        root.handlers = [heard]
        try:
            yield
        finally:
            root.setLevel(level)
            root.handlers = handlers


class _Faults(logging.Handler):
    """What is logged as an error with an exception that nobody raises on purpose is a fault of ours."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.ERROR)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._world.trace("log", record.name, type(error).__name__)
        if isinstance(error, FAULTS):
            text = "".join(traceback.format_exception(error)[-3:])
            self._world.problem(f"{record.name}: {record.getMessage()}: {text}")


def _described(fault: dict) -> str:
    error = fault.get("exception")
    return f"{fault.get('message')}: {''.join(traceback.format_exception(error)[-3:]) if error else ''}"


def _memory_folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
