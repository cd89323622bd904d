"""All groups of a node: their directory, the writer they share, and the thread that saves their checkpoints."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import anyio.to_thread

from .checkpoint import CheckpointWriter
from .clock import Clock, LoopClock
from .configuration import Configuration, Peer, decode_configuration
from .core import CoreConfig, RaftCore
from .disk import Disk
from .errors import CorruptLogError, ForeignDirectoryError, GroupStoppedError
from .group import Group, GroupServices
from .interfaces import GroupId, Index, StateMachine
from .job_thread import JobThread, RunnerFactory
from .recovery import Recovered, recover
from .segments import segment_name
from .settings import RaftSettings
from .writer import Completion, GroupFiles, LogWriter, WriterJob

OPENING_MAX = 4

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a test or a simulator replaces: time, threads, and the rounds of the writer."""

    clock: Clock = field(default_factory=LoopClock)
    runners: RunnerFactory = JobThread
    log_writer: LogWriter = field(default_factory=LogWriter)


class RaftHost:
    """Owns its groups and two threads; made inside the event loop that it serves.

    `on_failure(group, error)`: a group stopped by its own fault, or (group None) the disk failed, so that all have
    stopped and the node must: what a failed sync left on the disk is unknown, and nothing is retried.
    """

    def __init__(
        self,
        disk: Disk,
        directory: str,
        peer: Peer,
        *,
        settings: RaftSettings | None = None,
        on_failure: Callable[[GroupId | None, Exception], None] | None = None,
        surroundings: Surroundings | None = None,
    ) -> None:
        surroundings = surroundings or Surroundings()
        self._disk = disk
        self._directory = directory
        self._self = peer
        self._loop = asyncio.get_running_loop()
        self._on_failure = on_failure
        self._log_writer = surroundings.log_writer
        self._groups: dict[GroupId, Group] = {}
        self._opening: set[GroupId] = set()
        self._failure: Exception | None = None
        self._is_closing = False
        self._limiter = anyio.CapacityLimiter(OPENING_MAX)
        self._services = GroupServices(
            node_id=peer.node_id,
            clock=surroundings.clock,
            settings=settings or RaftSettings(),
            writer=surroundings.runners("raft-writer", self._write, self._fail_from_thread),
            checkpoints=surroundings.runners("raft-checkpoints", CheckpointWriter(disk).write, self._fail_from_thread),
            on_failure=self._on_group_failure,
        )

    async def open_group(self, group_id: GroupId, state_machine: StateMachine) -> Group:
        """Open the group's log, or found it with this node as its only member; `restore` is called before this returns.

        The rest of the log is applied from the loop's next turn on, before LEADER is reported.
        Raises: DataDirectoryError (damaged, foreign, unknown), SingleMemberOnlyError, OSError.
        """
        self._check_open(group_id)
        self._opening.add(group_id)
        try:
            recovered, files = await anyio.to_thread.run_sync(self._recover, group_id, limiter=self._limiter)
            try:
                group = self._make_group(group_id, recovered, files, state_machine)
                self._check_open(None)
            except BaseException:
                files.close()
                raise
        finally:
            self._opening.discard(group_id)
        self._groups[group_id] = group
        group.start()
        return group

    async def close(self) -> None:
        """Close the groups, side by side, then the threads."""
        self._is_closing = True
        async with anyio.create_task_group() as tasks:
            for group in self._groups.values():
                tasks.start_soon(group.close)
        self._groups.clear()
        await anyio.to_thread.run_sync(self._services.writer.stop)
        await anyio.to_thread.run_sync(self._services.checkpoints.stop)

    def _check_open(self, group_id: GroupId | None) -> None:
        if self._failure is not None:
            raise GroupStoppedError(f"the disk failed: {self._failure!r}")
        if self._is_closing:
            raise GroupStoppedError("the host is closing")
        assert group_id not in self._groups, f"group {group_id} is open"
        assert group_id not in self._opening, f"group {group_id} is being opened"

    def _recover(self, group_id: GroupId) -> tuple[Recovered, GroupFiles]:
        directory = f"{self._directory}/{group_id}"
        recovered = recover(self._disk, directory, group_id, self._services.settings.segment_bytes, me=self._self)
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

    def _make_group(self, group_id: GroupId, recovered: Recovered, files: GroupFiles, machine: StateMachine) -> Group:
        config = CoreConfig(
            node_id=self._self.node_id,
            configuration=self._configuration(recovered, files.directory),
            is_configuration_logged=recovered.configuration is not None,
            applied=recovered.checkpoint.facts.applied if recovered.checkpoint else Index(0),
        )
        core = RaftCore(config, recovered.log, recovered.hard_state.state, self._services.clock.now_ms())
        if recovered.checkpoint is not None:
            machine.restore(recovered.checkpoint.state)
        return Group(self._services, files, recovered, core, machine)

    def _configuration(self, recovered: Recovered, directory: str) -> Configuration:
        if recovered.configuration is None:
            return Configuration(voters=(self._self,))
        try:
            configuration = decode_configuration(recovered.configuration)
        except ValueError as error:
            raise CorruptLogError(directory, f"unreadable configuration: {error}") from error
        if self._self not in configuration.peers:
            raise ForeignDirectoryError(f"{directory}: of {configuration.peers}, not of {self._self}")
        return configuration

    def _write(self, jobs: Sequence[WriterJob]) -> None:
        completions = self._log_writer.write_round(jobs)
        if completions:
            self._post(lambda: self._deliver(completions))

    def _deliver(self, completions: Sequence[Completion]) -> None:
        if len(completions) == 1 and (only := self._groups.get(completions[0].group_id)) is not None:
            only.on_completions(completions)
            return
        by_group = sorted(completions, key=lambda completion: completion.group_id)
        for group_id, own in groupby(by_group, key=lambda completion: completion.group_id):
            group = self._groups.get(group_id)
            if group is not None:
                group.on_completions(list(own))

    def _post(self, callback: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(callback)
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
        for group in self._groups.values():
            group.abandon()
        if self._on_failure is not None:
            self._on_failure(None, error)

    def _on_group_failure(self, group_id: GroupId, error: Exception) -> None:
        if self._on_failure is not None:
            self._on_failure(group_id, error)
