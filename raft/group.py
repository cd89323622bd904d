"""One group on its event loop: drives the core, hands work to the disk's threads, applies what is committed.

Life of a proposal: `propose` places the new entry and submits it to the writer, or leaves that to `_drive` when that is
under way or due → `on_completions` → committed → `StateMachine.apply`, in slices that let others run.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import assert_never

from .checkpoint import Checkpoint, CheckpointJob
from .clock import Clock, Timer
from .core import RaftCore, Ready
from .entries import EntryKind
from .errors import (
    CorruptLogError,
    EntryTooLargeError,
    GroupStoppedError,
    LogBusyError,
    LogFullError,
    SingleMemberOnlyError,
)
from .interfaces import Buffer, GroupId, Index, NodeId, Place, Proposal, Role, RoleChange, StateMachine, Term
from .job_thread import JobRunner
from .placed import PlacedEntry
from .recovery import Recovered
from .segments import Found
from .settings import RaftSettings
from .writer import (
    AppendEntries,
    CloseFiles,
    Completion,
    DiskFull,
    EntriesPersisted,
    EntryChanged,
    FilesClosed,
    GroupFiles,
    HardStatePersisted,
    NoteDurable,
    Retry,
    SaveHardState,
    WriterJob,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupServices:
    """What all groups of a node share. `on_failure` hears of a group that stopped by its own fault."""

    node_id: NodeId
    clock: Clock
    settings: RaftSettings
    writer: JobRunner[WriterJob]
    checkpoints: JobRunner[CheckpointJob]
    on_failure: Callable[[GroupId, Exception], None]


class Group:
    """A `RaftGroup` of one member. Everything happens on the loop that made it; only the loop changes its state."""

    def __init__(
        self, services: GroupServices, files: GroupFiles, recovered: Recovered, core: RaftCore, machine: StateMachine
    ) -> None:
        self._services = services
        self._files = files
        self._log = recovered.log
        self._core = core
        self._machine = machine
        self._loop = asyncio.get_running_loop()
        facts = recovered.checkpoint.facts if recovered.checkpoint else None
        self._applied = facts.applied if facts else Index(0)
        self._applied_end = recovered.applied_end
        self._applied_configuration = facts.configuration if facts else None
        self._committed = self._applied
        self._is_applying = False
        self._hot: deque[PlacedEntry] = deque()  # placed and not yet applied
        self._cold: Iterator[tuple[Found, memoryview]] | None = None
        self._in_flight_count = 0
        self._in_flight_bytes = 0
        self._is_scheduled = False
        self._is_advancing = False
        self._is_full = False
        self._retry_timer: Timer | None = None
        self._mark_timer: Timer | None = None
        self._is_closing = False
        self._stopped: GroupStoppedError | None = None
        self._closed = asyncio.Event()
        self._barriers: dict[int, asyncio.Future[Index]] = {}
        self._confirmed: deque[tuple[Index, int]] = deque()
        self._barrier_count = 0

    @property
    def group_id(self) -> GroupId:
        return self._files.group_id

    @property
    def role(self) -> Role:
        return Role.FOLLOWER if self._stopped else self._core.role

    @property
    def term(self) -> Term:
        return self._core.term

    @property
    def leader_or_none(self) -> NodeId | None:
        return None if self._stopped else self._core.leader_or_none

    @property
    def applied(self) -> Index:
        return self._applied

    @property
    def is_stopped(self) -> bool:
        return self._stopped is not None

    @property
    def committed(self) -> Index:
        return self._core.committed

    @property
    def log_bytes(self) -> int:
        """What the retained log takes on this node's disk."""
        return self._log.file_bytes

    @property
    def last_index(self) -> Index:
        return self._core.last_index

    @property
    def is_writing(self) -> bool:
        return self._core.persisted < self._core.last_index

    @property
    def is_full(self) -> bool:
        """The disk is full: proposals are refused until space returns."""
        return self._is_full

    def start(self) -> None:
        """Begin to campaign; nothing is applied before the loop's next turn."""
        self._arm_timer()

    def propose(self, body: Sequence[Buffer]) -> Proposal:
        if self._stopped:
            raise self._stopped
        size = sum(map(len, body))
        self._check_room(size)
        entry = self._core.propose(body, size)
        self._in_flight_count += 1
        self._in_flight_bytes += size
        if not self._is_scheduled and not self._is_advancing:
            self._begin_to_write()
        return Proposal(entry.term, entry.index)

    def _begin_to_write(self) -> None:
        """Hand a proposal to the writer now: nothing else is ready, and a turn of the loop later is later.

        Raises: GroupStoppedError, if that fails.
        """
        try:
            self._perform(self._core.take_ready())
        except Exception as error:
            self._fail(error)
            assert self._stopped is not None, "a group that failed has stopped"
            raise self._stopped from error

    def _check_room(self, size: int) -> None:
        settings = self._services.settings
        if self._is_closing:
            raise GroupStoppedError(f"group {self.group_id} is closing")
        if self._is_full:
            raise LogFullError(f"group {self.group_id}: the disk is full")
        if size > settings.entry_bytes_max:
            raise EntryTooLargeError(size, settings.entry_bytes_max)
        if self._in_flight_count and self._in_flight_bytes + size > settings.in_flight_bytes_max:
            raise LogBusyError(f"{self._in_flight_bytes} bytes in flight, at most {settings.in_flight_bytes_max}")
        if self._in_flight_count >= settings.in_flight_entries_max:
            raise LogBusyError(f"{self._in_flight_count} entries in flight")

    async def read_barrier(self) -> Index:
        if self._stopped:
            raise self._stopped
        ticket = self._barrier_count
        self._core.read_index(ticket)
        self._barrier_count += 1
        future = self._barriers[ticket] = self._loop.create_future()
        self._schedule()
        try:
            return await future
        finally:
            self._barriers.pop(ticket, None)

    def read(self, segment: int, position: int, length: int) -> memoryview:
        return self._log.read(segment, position, length)

    def segment_path(self, segment: int) -> str:
        return self._log.segment_path(segment)

    def save_checkpoint(self, state: bytes) -> None:
        """`state` is that after the entry `applied`; never called inside `apply`, which is neither before nor after."""
        if self._stopped:
            raise self._stopped
        assert not self._is_applying, f"checkpoint inside the apply of entry {self._applied + 1}"
        assert 0 < self._applied <= self._core.persisted, f"checkpoint as of {self._applied}"
        facts = self._log.facts_until(self._applied, self._applied_end, self._applied_configuration)
        self._services.checkpoints.submit(CheckpointJob(self._files.directory, Checkpoint(facts, state)))

    async def transfer(self, node: NodeId) -> None:
        """Raises: SingleMemberOnlyError, unless this node is meant."""
        if node != self._services.node_id:
            raise SingleMemberOnlyError(f"no member {node} to hand group {self.group_id} to")

    async def change(self, members: Sequence[NodeId]) -> None:
        """Raises: SingleMemberOnlyError, unless nothing changes."""
        if list(members) != [self._services.node_id]:
            raise SingleMemberOnlyError(f"members {list(members)} of group {self.group_id}: comes with replication")

    async def close(self) -> None:
        """Finish what was proposed (if the disk lets us, within the close timeout), then stop. May be called again."""
        if not self._is_closing:
            self._is_closing = True
            timeout_ms = self._services.settings.close_timeout_ms
            timer = self._services.clock.call_later(timeout_ms, self.abandon)
            self._stop_if_drained()
            try:
                await self._closed.wait()
            finally:
                timer.cancel()
        await self._closed.wait()

    def abandon(self) -> None:
        """Stop without waiting for the disk: it failed, or it takes too long."""
        self._stop("the disk failed or did not answer in time")
        self._closed.set()

    def on_completions(self, completions: Sequence[Completion]) -> None:
        """What the writer did for this group, in its order."""
        try:
            for completion in completions:
                self._on_completion(completion)
        except Exception as error:  # noqa: BLE001 - the top of a callback
            self._fail(error)
        if not self._is_scheduled:  # else its turn comes: never two slices in one turn of the loop
            self._drive()

    def _on_completion(self, completion: Completion) -> None:
        match completion:
            case EntriesPersisted(_, term, index, cut_count):
                self._is_full = False
                if not self._log.on_persisted(term, index, cut_count):
                    return
                self._core.on_persisted(term, index)
                if self._mark_timer is None:
                    mark_ms = self._services.settings.mark_ms
                    self._mark_timer = self._services.clock.call_later(mark_ms, self._note_durable)
                if not self._stopped:
                    self._machine.on_persisted(term, index)
            case HardStatePersisted(_, state):
                self._core.on_hard_state_persisted(state.term)
            case DiskFull():
                self._on_disk_full()
            case EntryChanged(_, index):
                self._fail(AssertionError(f"a buffer of entry {index} changed after it was proposed"))
            case FilesClosed():
                self._closed.set()
            case _:
                assert_never(completion)

    def _on_disk_full(self) -> None:
        if not self._is_full:
            logger.error("group %s: the disk is full; proposals are refused until space returns", self.group_id)
        self._is_full = True
        if self._retry_timer is None:
            retry_ms = self._services.settings.space_retry_ms
            self._retry_timer = self._services.clock.call_later(retry_ms, self._retry)
        self._stop_if_drained()

    def _retry(self) -> None:
        self._retry_timer = None
        if not self._stopped:
            self._services.writer.submit(Retry(self._files))

    def _note_durable(self) -> None:
        self._mark_timer = None
        if not self._stopped:
            self._services.writer.submit(NoteDurable(self._files))

    def _arm_timer(self) -> None:
        due_ms = self._core.due_ms_or_none
        if due_ms is not None and not self._stopped:
            delay_ms = max(0, due_ms - self._services.clock.now_ms())
            self._services.clock.call_later(delay_ms, self._tick)

    def _tick(self) -> None:
        self._core.tick(self._services.clock.now_ms())
        self._arm_timer()
        self._drive()

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._drive)

    def _drive(self) -> None:
        """Carry out what the core has ready, then apply for one slice."""
        self._is_scheduled = False
        self._is_advancing = True
        try:
            self._advance()
        except Exception as error:  # noqa: BLE001 - the top of a callback
            self._fail(error)
        finally:
            self._is_advancing = False

    def _advance(self) -> None:
        clock = self._services.clock
        deadline_ms = clock.now_ms() + self._services.settings.apply_slice_ms
        while not self._stopped:
            if self._core.has_ready:
                self._perform(self._core.take_ready())
            elif self._applied == self._committed:
                break
            elif not self._apply_until(deadline_ms):
                self._schedule()
                break
        self._stop_if_drained()

    def _perform(self, ready: Ready) -> None:
        assert ready.truncate_to is None, "one member's log is never truncated"
        assert not ready.messages_now, "one member has nobody to write to"
        assert not ready.messages_after_sync, "one member has nobody to write to"
        writer = self._services.writer
        if ready.hard_state is not None:
            writer.submit(SaveHardState(self._files, ready.hard_state))
        if ready.append:
            placed = [self._log.append(entry) for entry in ready.append]
            self._hot += placed
            writer.submit(AppendEntries(self._files, placed))
        self._committed = ready.committed
        for read in ready.reads:
            assert isinstance(read.context, int), "contexts are our tickets"
            self._confirmed.append((read.index, read.context))
        self._release_barriers()
        for change in ready.role_changes:
            self._machine.on_role(change)

    def _apply_until(self, deadline_ms: int) -> bool:
        """Apply at least one entry, and more until the slice ends; False if entries are left."""
        now_ms = self._services.clock.now_ms
        while self._applied < self._committed:
            if self._hot and self._hot[0].entry.index == self._applied + 1:
                self._apply_hot(self._hot.popleft())
            else:
                self._apply_cold(Index(self._applied + 1))
            if now_ms() >= deadline_ms:
                break
        self._core.on_applied(self._applied)
        self._release_barriers()
        return self._applied == self._committed

    def _apply_hot(self, placed: PlacedEntry) -> None:
        entry = placed.entry
        self._cold = None
        self._apply(entry.term, entry.kind, entry.body, placed.place, entry.size)
        if entry.kind is EntryKind.COMMANDS:
            self._in_flight_count -= 1
            self._in_flight_bytes -= entry.size

    def _apply_cold(self, index: Index) -> None:
        """An entry from before the start; the iterator lives as long as the replay."""
        if self._cold is None:
            self._cold = self._log.written_entries(index)
        found, view = next(self._cold, (None, None))
        if found is None or view is None or found.index != index:
            raise CorruptLogError(self._files.directory, "was intact when the log was opened", index)
        body = view[found.body]
        place = Place(self._log.segment_of(index), found.body.start)
        self._apply(found.term, found.kind, (body,), place, len(body))

    def _apply(self, term: Term, kind: EntryKind, body: Sequence[Buffer], place: Place, size: int) -> None:
        index = Index(self._applied + 1)
        if kind is EntryKind.COMMANDS:
            self._is_applying = True
            self._machine.apply(term, index, body, place)
            self._is_applying = False
        elif kind is EntryKind.CONFIGURATION:
            self._applied_configuration = b"".join(body)
        self._applied = index
        self._applied_end = Place(place.segment, place.position + size)

    def _release_barriers(self) -> None:
        while self._confirmed and self._confirmed[0][0] <= self._applied:
            index, ticket = self._confirmed.popleft()
            future = self._barriers.get(ticket)
            if future is not None and not future.done():
                future.set_result(index)

    def _stop_if_drained(self) -> None:
        if self._is_closing and (self._in_flight_count == 0 or self._is_full):
            self._stop("closed")

    def _fail(self, error: Exception) -> None:
        """Our fault, or damage: this group stops, the node keeps serving the others."""
        if self._stopped:
            logger.error("group %s: after it had stopped: %r", self.group_id, error)
            return
        logger.error("group %s stops at entry %s", self.group_id, self._applied + 1, exc_info=error)
        self._stop(f"failed: {error!r}")
        self._services.on_failure(self.group_id, error)

    def _stop(self, reason: str) -> None:
        if self._stopped:
            return
        self._stopped = GroupStoppedError(f"group {self.group_id}: {reason}")
        self._services.writer.submit(CloseFiles(self._files))
        self._hot.clear()
        self._cold = None
        for timer in (self._retry_timer, self._mark_timer):
            if timer is not None:
                timer.cancel()
        for future in self._barriers.values():
            if not future.done():
                future.set_exception(self._stopped)
        try:
            self._machine.on_role(RoleChange(Role.FOLLOWER, self.term, None))
        except Exception:
            logger.exception("group %s: its state machine fails to stop", self.group_id)
