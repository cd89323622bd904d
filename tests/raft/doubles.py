"""A state machine that remembers, a clock that stands still, and runners without threads."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec

from raft.configuration import Peer
from raft.group import Group
from raft.host import RaftHost, Surroundings
from raft.interfaces import Buffer, GroupId, Index, NodeId, Place, Role, RoleChange, Term
from raft.settings import RaftSettings
from raft.writer import LogWriter
from tests.support.faulty_disk import FaultyDisk

Job = TypeVar("Job")

ME = Peer(NodeId(1), "disk-one")
GROUP = GroupId(7)
DIRECTORY = "/data/shards"
GROUP_DIRECTORY = f"{DIRECTORY}/{GROUP}"
SMALL = RaftSettings(segment_bytes=16 * 1024)


class RememberingMachine:
    """Its state is the list of all bodies with their indexes; `persisted` is what acks=1 would have answered."""

    def __init__(self) -> None:
        self.bodies: list[tuple[int, bytes]] = []
        self.places: dict[int, Place] = {}
        self.roles: list[RoleChange] = []
        self.persisted: list[tuple[Term, Index]] = []
        self.restored: bytes | None = None
        self.on_apply: Callable[[Index, Sequence[Buffer]], None] = lambda _index, _body: None

    @property
    def is_leading(self) -> bool:
        return bool(self.roles) and self.roles[-1].role is Role.LEADER

    def state(self) -> bytes:
        return msgspec.msgpack.encode(self.bodies)

    def restore(self, state: bytes) -> None:
        assert self.restored is None, "restored twice"
        assert not self.bodies, "restored after an apply"
        self.restored = state
        self.bodies = msgspec.msgpack.decode(state, type=list[tuple[int, bytes]])

    def apply(self, term: Term, index: Index, body: Sequence[Buffer], place: Place) -> None:
        assert term > 0
        assert not self.bodies or self.bodies[-1][0] < index, f"{index} applied after {self.bodies[-1][0]}"
        self.on_apply(index, body)
        self.bodies.append((index, b"".join(body)))
        self.places[index] = place

    def on_persisted(self, term: Term, index: Index) -> None:
        self.persisted.append((term, index))

    def on_role(self, change: RoleChange) -> None:
        self.roles.append(change)


@dataclass(slots=True)
class StillTimer:
    due_ms: int
    callback: Callable[[], None]
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True


@dataclass(slots=True)
class StillClock:
    """Stands until `advance`; what is due at once runs in the loop's next turn."""

    at_ms: int = 1_000
    timers: list[StillTimer] = field(default_factory=list[StillTimer])

    def now_ms(self) -> int:
        return self.at_ms

    def call_later(self, delay_ms: int, callback: Callable[[], None]) -> StillTimer:
        timer = StillTimer(self.at_ms + delay_ms, callback)
        if delay_ms == 0:
            asyncio.get_running_loop().call_soon(lambda: None if timer.is_cancelled else callback())
        else:
            self.timers.append(timer)
        return timer

    def advance(self, by_ms: int) -> None:
        self.at_ms += by_ms
        due = [timer for timer in self.timers if timer.due_ms <= self.at_ms]
        self.timers = [timer for timer in self.timers if timer not in due]
        for timer in due:
            if not timer.is_cancelled:
                timer.callback()


class LoopRunner(Generic[Job]):
    """Runs its jobs in the loop's next turn, so that one seed gives one course of events."""

    def __init__(self, _name: str, handle: Callable[[Sequence[Job]], None], fail: Callable[[Exception], None]) -> None:
        self._handle = handle
        self._fail = fail
        self._jobs: list[Job] = []
        self._has_ended = False

    def submit(self, job: Job) -> None:
        if not self._has_ended:
            self._jobs.append(job)
            if len(self._jobs) == 1:
                asyncio.get_running_loop().call_soon(self._run)

    def stop(self) -> None:
        self._run()

    def _run(self) -> None:
        jobs, self._jobs = self._jobs, []
        if not jobs or self._has_ended:
            return
        try:
            self._handle(jobs)
        except Exception as error:  # noqa: BLE001 - the top of a thread's double
            self._has_ended = True
            self._fail(error)


@dataclass(slots=True)
class Bench:
    """A host with one open group, and everything around it that a test may turn."""

    disk: FaultyDisk
    host: RaftHost
    group: Group
    machine: RememberingMachine
    clock: StillClock
    failures: list[tuple[GroupId | None, Exception]]


@asynccontextmanager
async def opened(
    disk: FaultyDisk,
    *,
    settings: RaftSettings = SMALL,
    log_writer: LogWriter | None = None,
    machine: RememberingMachine | None = None,
    peer: Peer = ME,
    is_led: bool = True,
) -> AsyncGenerator[Bench, None]:
    """Open `GROUP`, wait until it leads, and close it clean at the end."""
    clock = StillClock()
    failures: list[tuple[GroupId | None, Exception]] = []
    host = RaftHost(
        disk,
        DIRECTORY,
        peer,
        settings=settings,
        on_failure=lambda group_id, error: failures.append((group_id, error)),
        surroundings=Surroundings(clock=clock, runners=LoopRunner, log_writer=log_writer or LogWriter()),
    )
    machine = machine or RememberingMachine()
    group = await host.open_group(GROUP, machine)
    bench = Bench(disk, host, group, machine, clock, failures)
    try:
        if is_led:
            await until(lambda: machine.is_leading)
        yield bench
    finally:
        await host.close()


async def until(is_so: Callable[[], bool], turns: int = 10_000) -> None:
    """Let the loop turn until a condition holds."""
    for _ in range(turns):
        if is_so():
            return
        await asyncio.sleep(0)
    raise AssertionError("the condition did not come true")


async def settle(turns: int = 20) -> None:
    """Let everything that is under way, and needs no timer, come to rest."""
    for _ in range(turns):
        await asyncio.sleep(0)
