"""All groups of a node: their directory, the threads and the time they share, what their other members say."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from itertools import groupby
from random import Random
from typing import TypeVar

import anyio.to_thread

from .checkpoint import CheckpointFacts, CheckpointJob, CheckpointWriter
from .clock import Clock, LoopClock
from .codec import (
    BEATS,
    HeartbeatRow,
    MessageKind,
    decode,
    decode_heartbeat_responses,
    decode_heartbeats,
)
from .configuration import Configuration, Peer, decode_configuration
from .core_state import CoreConfig, Timings
from .disk import NEW_SUFFIX, Disk
from .ending import Ending
from .engines import Core, Engine, native, new_core
from .errors import (
    BadMessageError,
    CorruptLogError,
    ForeignDirectoryError,
    GroupStoppedError,
    SingleMemberOnlyError,
)
from .file_exchange import FileExchange
from .group import Group
from .group_files import GroupFiles
from .group_services import Drained, GroupServices
from .hard_state import HARD_STATE_NAME
from .install import Blocking, CheckFiles
from .interfaces import Buffer, GroupId, Index, NodeId, StateMachine, Term
from .job_thread import JobThread, RunnerFactory
from .messages import ANSWERS, Message, Removed
from .peers import Peers
from .pulse import Pulse
from .recovery import Recovered, recover
from .resting import answers
from .segments import segment_name
from .settings import RaftSettings
from .vital_signs import NO_SIGNS
from .writer import Completion, FilesClosed, LogWriter, WriterJob

OPENING_MAX = 4
ALONE: Sequence[Peer] = ()
"""As founders of a group: this node, and nobody else."""

T = TypeVar("T")

logger = logging.getLogger(__name__)


class InThreads:
    """Some at a time, in threads of their own. Who is cancelled waits for its thread, which may write until then."""

    def __init__(self) -> None:
        self._limiter = anyio.CapacityLimiter(OPENING_MAX)

    async def __call__(self, work: Callable[[], T], /) -> T:
        working = asyncio.ensure_future(anyio.to_thread.run_sync(work, limiter=self._limiter))
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            while not working.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([working])
            if not working.cancelled():
                working.exception()  # nobody else asks for it
            raise


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a test or a simulator replaces: time, threads, the rounds of the writer, chance."""

    clock: Clock = field(default_factory=LoopClock)
    runners: RunnerFactory = JobThread
    blocking: Blocking = field(default_factory=InThreads)
    log_writer: LogWriter = field(default_factory=LogWriter)
    random: Random = field(default_factory=Random)


class RaftHost:
    """Owns its groups and two threads; made inside the event loop that it serves. Without `peers` it is alone.

    `on_failure(group, error)`: a group stopped by its own fault, or (group None) the disk failed, so that all have
    stopped and the node must: what a failed sync left on the disk is unknown, and nothing is retried.
    `on_unknown_group(group, sender)`: a member of a group that is not open here speaks to us (again and again).
    `on_removed(group)`: a group stopped, since this node is no member any more; its files are left as they are.
    """

    def __init__(  # noqa: PLR0913 - all but three are choices
        self,
        disk: Disk,
        directory: str,
        peer: Peer,
        *,
        peers: Peers | None = None,
        settings: RaftSettings | None = None,
        on_failure: Callable[[GroupId | None, Exception], None] | None = None,
        surroundings: Surroundings | None = None,
        engine_of: Callable[[GroupId], Engine] = native,
    ) -> None:
        surroundings = surroundings or Surroundings()
        settings = settings or RaftSettings()
        self.on_unknown_group: Callable[[GroupId, Peer], None] = lambda _group_id, _sender: None
        self.on_removed: Callable[[GroupId], None] = lambda _group_id: None
        self.bad_message_count = 0
        self._disk = disk
        self._directory = directory
        self._self = peer
        self._peers = peers
        self._engine_of = engine_of
        self._loop = asyncio.get_running_loop()
        # A thread has a context of its own: what its news lead to must find ours (anyio asks it for the event loop).
        self._context = copy_context()
        self._on_failure = on_failure
        self._log_writer = surroundings.log_writer
        self._blocking = surroundings.blocking
        self._random = surroundings.random
        self._clock = surroundings.clock
        self._timings = Timings(
            heartbeat_ms=settings.heartbeat_ms,
            election_ms=settings.election_ms,
            stall_ms=settings.stall_ms,
            window_bytes=settings.window_bytes,
            append_bytes_max=settings.append_bytes_max,
        )
        self._groups: dict[GroupId, Group] = {}
        self._lasting: set[GroupId] = set()
        self._opening: set[GroupId] = set()
        self._ending: dict[GroupId, Ending] = {}  # of groups that are open no more
        self._over = asyncio.Event()  # the disk failed, or the host has ended
        self._failure: Exception | None = None
        self._is_closing = False
        self._checkpoint_writer = CheckpointWriter(disk)
        self._exchange: FileExchange | None = None
        if peers is not None:
            self._exchange = FileExchange(disk, directory, peers, self._blocking, self._groups.__contains__)
        send = _send_nowhere if peers is None else peers.send
        self._services = GroupServices(
            me=peer,
            clock=surroundings.clock,
            settings=settings,
            writer=surroundings.runners("raft-writer", self._write, self._fail_from_thread),
            checkpoints=surroundings.runners("raft-checkpoints", self._write_checkpoints, self._fail_from_thread),
            pulse=Pulse(surroundings.clock, self._timings, _beat_nowhere if peers is None else peers.send_beat),
            signs=NO_SIGNS if peers is None or peers.vitals is None else peers.vitals,
            send=send,
            peer_or_none=_nobody if peers is None else peers.peer_or_none,
            has_peers=peers is not None,
            on_failure=self._on_group_failure,
            on_disk_failure=self._fail,
            on_left_alone=self._on_group_left_alone,
            on_removed=self._on_group_removed,
            fetch=_fetch_nothing if self._exchange is None else self._exchange.fetch,
            reopen=self._reopen,
        )
        self._unobserve: Callable[[], None] = lambda: None
        if peers is not None:
            peers.on_message = self._on_message
            if peers.vitals is not None:
                peers.vitals.led = self._led
            self._unobserve = peers.observe(self._on_peer_up, self._on_peer_down)

    async def open_group(
        self,
        group_id: GroupId,
        state_machine: StateMachine,
        *,
        founders: Sequence[Peer] | None = ALONE,
        is_lasting: bool = False,
    ) -> Group:
        """Open the group's log, or found it; `restore` is called before this returns.

        `founders` are the members of a group that is new, in the same order on each of them: the first one stands for
        election at once. None: wait until a leader of the group tells who its members are.
        `is_lasting`: nobody opens it again when a leader asks, so it ends only when it is told that this node was
        removed, and not because nobody leads it whose last known members are others.
        The rest of the log is applied from the loop's next turn on, before LEADER is reported.
        A group that was closed or removed is opened again when nothing of its last life goes on any more.
        Raises: DataDirectoryError (damaged, foreign, unknown), SingleMemberOnlyError, OSError, GroupStoppedError.
        """
        self._check_open(group_id)
        founding = None if founders is None else Configuration(voters=tuple(founders) or (self._self,))
        self._opening.add(group_id)
        try:
            await self._end_last_life(group_id)
            recovered, files = await self._open_files(group_id, founding)
            try:
                core = self._make_core(group_id, recovered, files, founding)
                if recovered.checkpoint is not None:
                    state_machine.restore(recovered.checkpoint.state)
                group = Group(self._services, files, recovered, core, state_machine)
                self._check_open(None)
            except BaseException:
                files.close()
                raise
        finally:
            self._opening.discard(group_id)
        self._groups[group_id] = group
        if is_lasting:
            self._lasting.add(group_id)
        group.start()
        return group

    def _led(self) -> list[tuple[GroupId, Term]]:
        return [(group_id, group.term) for group_id, group in self._groups.items() if group.has_leadership]

    async def _end_last_life(self, group_id: GroupId) -> None:
        """Wait until it is at rest. Raises: GroupStoppedError: the disk failed, or does not answer in time."""
        ending = self._ending.get(group_id)
        if ending is None:
            return
        is_late = asyncio.Event()
        timer = self._clock.call_later(self._services.settings.close_timeout_ms, is_late.set)
        waits = [asyncio.ensure_future(one) for one in (ending.at_rest(), self._over.wait(), is_late.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            self._check_open(None)
            if not waits[0].done():
                raise GroupStoppedError(f"group {group_id}: its files are not closed yet")
            del self._ending[group_id]
        finally:
            timer.cancel()
            for wait in waits:
                wait.cancel()

    async def _open_files(self, group_id: GroupId, founding: Configuration | None) -> tuple[Recovered, GroupFiles]:
        opened: list[tuple[Recovered, GroupFiles]] = []
        try:
            await self._blocking(lambda: opened.append(self._recover(group_id, founding)))
        except asyncio.CancelledError:
            for _, files in opened:
                files.close()
            raise
        return opened[0]

    async def has_log(self, group_id: GroupId) -> bool:
        """Whether this disk holds something of the group's log, open or not; a vote is none. Raises: OSError."""

        def look() -> bool:
            try:
                names = self._disk.names(f"{self._directory}/{group_id}")
            except FileNotFoundError:
                return False
            return any(name != HARD_STATE_NAME and not name.endswith(NEW_SUFFIX) for name in names)

        return await self._blocking(look)

    def group_or_none(self, group_id: GroupId) -> Group | None:
        """The group, if it is open."""
        return self._groups.get(group_id)

    async def close_group(self, group_id: GroupId) -> None:
        """Close one group, so that it can be opened again; leadership is handed over first."""
        group = self._groups.get(group_id)
        if group is not None:
            await group.close()
            self._forget(group)

    async def close(self) -> None:
        """Close the groups, side by side, then the threads. The links are the caller's to close, after this."""
        self._is_closing = True
        async with anyio.create_task_group() as tasks:
            for group in self._groups.values():
                tasks.start_soon(group.close)
        await self._end()

    async def abandon(self) -> None:
        """As `close`, but nothing is handed over, and nobody waits for what is proposed."""
        self._is_closing = True
        for group in self._groups.values():
            group.abandon()
        await self._end()

    async def _end(self) -> None:
        self._unobserve()
        if self._peers is not None:
            self._peers.on_message = _ignore
        self._groups.clear()
        self._over.set()
        await self._blocking(self._services.writer.stop)
        await self._blocking(self._services.checkpoints.stop)

    def _forget(self, group: Group) -> None:
        if self._groups.get(group.group_id) is group:
            del self._groups[group.group_id]
            self._lasting.discard(group.group_id)
            self._ending[group.group_id] = group.ending
            if self._exchange is not None:
                self._exchange.forget(group.group_id)

    def _check_open(self, group_id: GroupId | None) -> None:
        if self._failure is not None:
            raise GroupStoppedError(f"the disk failed: {self._failure!r}")
        if self._is_closing:
            raise GroupStoppedError("the host is closing")
        assert group_id not in self._groups, f"group {group_id} is open"
        assert group_id not in self._opening, f"group {group_id} is being opened"

    def _recover(self, group_id: GroupId, founding: Configuration | None) -> tuple[Recovered, GroupFiles]:
        directory = f"{self._directory}/{group_id}"
        has_peers = self._peers is not None and (founding is None or founding.voters != (self._self,))
        segment_bytes = self._services.settings.segment_bytes
        recovered = recover(self._disk, directory, group_id, segment_bytes, me=self._self, has_peers=has_peers)
        plan = recovered.log.last_plan_or_none
        files = GroupFiles(
            disk=self._disk,
            directory=directory,
            group_id=group_id,
            hard_state=recovered.hard_state,
            mark=recovered.mark,
            plan=plan,
            file=None if plan is None else self._disk.open(f"{directory}/{segment_name(plan.first_index)}"),
        )
        return recovered, files

    async def _reopen(self, group_id: GroupId) -> tuple[Recovered, GroupFiles]:
        if self._exchange is not None:
            self._exchange.forget(group_id)
        return await self._blocking(lambda: self._recover(group_id, None))

    def _make_core(
        self,
        group_id: GroupId,
        recovered: Recovered,
        files: GroupFiles,
        founding: Configuration | None,
    ) -> Core:
        logged = self._logged_configuration(recovered.configuration, files.directory)
        configuration = logged or founding
        if self._peers is None and (configuration is None or configuration.peers != (self._self,)):
            raise SingleMemberOnlyError(f"group {group_id} of {configuration}: this node has no peers")
        config = CoreConfig(
            node_id=self._self.node_id,
            disk_id=self._self.disk_id,
            configuration=configuration,
            is_configuration_logged=logged is not None,
            applied=recovered.checkpoint.facts.applied if recovered.checkpoint else Index(0),
            configuration_index=recovered.configuration_index,
            configuration_before=self._logged_configuration(recovered.configuration_before, files.directory)
            or founding,
            campaigns_at_once=logged is None and founding is not None and founding.voters[0] == self._self,
            is_damaged=recovered.is_damaged,
            is_doubtful=recovered.is_doubtful,
            timings=self._timings,
        )
        now_ms = self._clock.now_ms()
        return new_core(
            self._engine_of(group_id), config, recovered.log, recovered.hard_state.state, self._random, now_ms
        )

    def _logged_configuration(self, body: bytes | None, directory: str) -> Configuration | None:
        """Among others it need not name this node yet: who has a new disk is taken in by a later one.

        Raises: CorruptLogError, ForeignDirectoryError.
        """
        if body is None:
            return None
        try:
            configuration = decode_configuration(body)
        except ValueError as error:
            raise CorruptLogError(directory, f"unreadable configuration: {error}") from error
        if self._peers is None and self._self not in configuration.peers:
            raise ForeignDirectoryError(f"{directory}: of {configuration.peers}, not of {self._self}")
        return configuration

    # What the other nodes say

    def _on_message(self, sender: Peer, group_id: GroupId, kind: int, payload: memoryview) -> None:
        try:
            if kind in BEATS:
                self._on_beat(sender, kind, payload)
            else:
                message = decode(kind, payload)
                group = self._groups.get(group_id)
                if group is None:
                    self._on_message_of_no_group(sender, group_id, message)
                else:
                    group.on_message(sender, message, self._clock.now_ms())
        except BadMessageError as error:
            self.bad_message_count += 1
            if self.bad_message_count.bit_count() == 1:  # the first, and then ever rarer ones
                logger.warning("%d messages were dropped; from node %s: %s", self.bad_message_count, sender, error)

    def _on_beat(self, sender: Peer, kind: int, payload: memoryview) -> None:
        if kind == MessageKind.HEARTBEATS:
            self._answer(sender, self._hear(sender, decode_heartbeats(payload)))
        elif kind == MessageKind.HEARTBEATS_AT_REST:
            self._on_heartbeats_at_rest(sender, payload)
        else:
            self._on_heartbeat_responses(sender, payload)

    def _on_heartbeats_at_rest(self, sender: Peer, payload: memoryview) -> None:
        pulse = self._services.pulse
        if pulse.hears_same(sender.node_id, payload):
            return
        rows = decode_heartbeats(payload)
        idle = self._hear(sender, rows)
        if len(idle) == len(rows) and all(group.ticked.may_follow_at_rest(sender) for _, group in idle):
            pulse.rest_following(sender.node_id, [group.ticked for _, group in idle], rows, payload)
        else:
            self._answer(sender, idle)

    def _answer(self, sender: Peer, idle: Sequence[tuple[HeartbeatRow, Group]]) -> None:
        for answer in answers(row for row, _ in idle):
            self._services.pulse.add_response(sender.node_id, answer)

    def _hear(self, sender: Peer, rows: Sequence[HeartbeatRow]) -> list[tuple[HeartbeatRow, Group]]:
        """Which of these say only that the leader lives; they are to be answered, the others are done with."""
        now_ms = self._clock.now_ms()
        idle: list[tuple[HeartbeatRow, Group]] = []
        for row in rows:
            group = self._groups.get(row.group_id)
            if group is None:
                self._on_message_of_no_group(sender, row.group_id, row.message)
            elif group.on_heartbeat(sender, row, now_ms):
                idle.append((row, group))
        return idle

    def _on_heartbeat_responses(self, sender: Peer, payload: memoryview) -> None:
        if self._services.pulse.hears_answer(sender.node_id, payload):
            return
        now_ms = self._clock.now_ms()
        for row in decode_heartbeat_responses(payload):
            group = self._groups.get(row.group_id)
            if group is not None:
                group.on_heartbeat_response(sender, row, now_ms)

    def _on_message_of_no_group(self, sender: Peer, group_id: GroupId, message: Message) -> None:
        # Who was removed is not asked back by those that say so.
        is_asked = not isinstance(message, (*ANSWERS, Removed))
        if is_asked and group_id not in self._opening and not self._is_closing:
            self.on_unknown_group(group_id, sender)

    def _on_peer_up(self, peer: Peer) -> None:
        for group in tuple(self._groups.values()):
            group.on_peer_up(peer)

    def _on_peer_down(self, peer: Peer) -> None:
        for group in tuple(self._groups.values()):
            group.on_peer_down(peer)

    # What the threads say

    def _write(self, jobs: Sequence[WriterJob]) -> None:
        completions = self._log_writer.write_round(jobs)
        if completions:
            self._post(lambda: self._deliver(completions))

    def _write_checkpoints(self, jobs: Sequence[CheckpointJob | Drained]) -> None:
        self._checkpoint_writer.write([job for job in jobs if isinstance(job, CheckpointJob)])
        for job in jobs:
            if isinstance(job, Drained):
                self._post(job.event.set)

    def _deliver(self, completions: Sequence[Completion]) -> None:
        if len(completions) == 1 and (only := self._groups.get(completions[0].group_id)) is not None:
            only.on_completions(completions)
            return
        by_group = sorted(completions, key=lambda completion: completion.group_id)
        for group_id, own in groupby(by_group, key=lambda completion: completion.group_id):
            group, ending = self._groups.get(group_id), self._ending.get(group_id)
            if group is not None:
                group.on_completions(list(own))
            elif ending is not None and any(isinstance(completion, FilesClosed) for completion in own):
                ending.on_files_closed()

    def _post(self, callback: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, context=self._context)
        except RuntimeError:
            if not self._loop.is_closed():
                raise

    def _fail_from_thread(self, error: Exception) -> None:
        self._post(lambda: self._fail(error))

    def _fail(self, error: Exception) -> None:
        if self._failure is not None:
            return
        self._failure = error
        logger.critical("the disk of the log failed; all groups stop", exc_info=error)
        self._over.set()
        for group in self._groups.values():
            group.abandon()
        if self._on_failure is not None:
            self._on_failure(None, error)

    def _on_group_failure(self, group_id: GroupId, error: Exception) -> None:
        if self._on_failure is not None:
            self._on_failure(group_id, error)

    def _on_group_left_alone(self, group_id: GroupId) -> None:
        group = self._groups.get(group_id)
        if group is not None and group_id not in self._lasting:
            group.leave()

    def _on_group_removed(self, group_id: GroupId) -> None:
        group = self._groups.get(group_id)
        if group is not None:
            self._forget(group)
        self.on_removed(group_id)


def _send_nowhere(_node: NodeId, _group: GroupId, _kind: int, _buffers: Sequence[Buffer]) -> bool:
    return False


def _beat_nowhere(_node: NodeId, _messages: Sequence[tuple[int, bytes]]) -> bool:
    return False


async def _fetch_nothing(group_id: GroupId, leader: NodeId, _check: CheckFiles) -> CheckpointFacts:
    raise SingleMemberOnlyError(f"group {group_id} of node {leader}: this node has no peers")


def _nobody(_node: NodeId) -> Peer | None:
    return None


def _ignore(_peer: Peer, _group: GroupId, _kind: int, _payload: memoryview) -> None:
    """The host has ended."""
