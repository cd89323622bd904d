"""One group on its event loop: drives the core, hands work to the disk's threads, talks to the other members.

Life of a proposal: `propose` places the new entry, submits it to the writer and sends it to the followers, or leaves
that to `_drive` when that is under way or due → `on_completions`, and answers of the followers → committed →
`StateMachine.apply`, in slices that let others run.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from .acquaintances import NOBODY, Acquaintances
from .applying import Applier
from .barriers import Barriers
from .checkpoint import Checkpoint, CheckpointJob
from .codec import HeartbeatResponseRow, HeartbeatRow
from .configuration import Configuration, Peer, decode_configuration
from .ending import Ending
from .engines import Core
from .errors import (
    ChangeInProgressError,
    CorruptLogError,
    GroupStoppedError,
    LogFullError,
    NotLeaderError,
    RaftError,
    SingleMemberOnlyError,
    TransferFailedError,
)
from .following import Install
from .group_files import GroupFiles
from .group_services import GroupServices
from .interfaces import Buffer, GroupId, Index, MemberProgress, NodeId, Proposal, Role, RoleChange, StateMachine, Term
from .log import HOT_BYTES_MAX
from .messages import ANSWERS, Message, PreVoteRequest, Removed
from .news import News
from .outbox import Outbox
from .outsiders import Outsiders
from .ready import Ready
from .recovery import Recovered
from .ticked import TickedGroup
from .writer import Completion, DiskFull, EntriesPersisted, EntryChanged, FilesClosed, HardStatePersisted
from .writing import Writing

logger = logging.getLogger(__name__)


def _applier(files: GroupFiles, recovered: Recovered, machine: StateMachine) -> Applier:
    return Applier(recovered.log, machine, files.directory, recovered.checkpoint, recovered.applied_end)


def _writing(services: GroupServices, files: GroupFiles) -> Writing:
    return Writing(files, services.writer, services.clock, services.settings)


class Group:
    """A `RaftGroup`. Everything happens on the loop that made it; only the loop changes its state."""

    def __init__(
        self, services: GroupServices, files: GroupFiles, recovered: Recovered, core: Core, machine: StateMachine
    ) -> None:
        self._services = services
        self._writing = _writing(services, files)
        self._log = recovered.log
        self._core = core
        self._machine = machine
        self._applier = _applier(files, recovered, machine)
        self._loop = asyncio.get_running_loop()
        self._committed = self._applier.applied
        self._has_others = False
        self._members = Acquaintances(services.me, services.peer_or_none)
        self._outbox = Outbox(services, files.group_id, self._members)
        self._outsiders = Outsiders(core, self._members, self._outbox)
        self.ticked = TickedGroup(services, files.group_id, core, self._members, self.on_tick)
        self._is_whole = recovered.is_whole
        self._proposed_count = 0  # by the core's hands, and not yet placed
        self._proposed_bytes = 0
        self._is_scheduled = False
        self._is_advancing = False
        self._is_closing = False
        self._is_handing_over = False
        self._is_swapping = False
        self._stopped: GroupStoppedError | None = None
        self.ending = Ending(services)
        self._news = News(services.clock)
        self._is_changing = False
        self._barriers = Barriers()

    @property
    def group_id(self) -> GroupId:
        return self._writing.files.group_id

    @property
    def role(self) -> Role:
        return Role.FOLLOWER if self._stopped else self._core.role

    @property
    def has_leadership(self) -> bool:  # elected, whether its no-op is applied yet or not
        return self._stopped is None and self._core.has_leadership

    @property
    def term(self) -> Term:
        return self._core.term

    @property
    def leader_or_none(self) -> NodeId | None:
        return None if self._stopped else self._core.leader_or_none

    @property
    def applied(self) -> Index:
        return self._applier.applied

    @property
    def is_stopped(self) -> bool:
        return self._stopped is not None

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
    def is_full(self) -> bool:  # the disk: proposals are refused until space returns
        return self._writing.is_full

    @property
    def is_damaged(self) -> bool:  # it lost durable entries: it does not vote before the others have healed it
        return self._core.is_damaged

    @property
    def configuration(self) -> Configuration:
        return self._core.configuration or NOBODY

    def progress(self) -> Sequence[MemberProgress]:
        return () if self._stopped else self._core.progress()

    def start(self) -> None:
        """Begin to take part; nothing is applied before the loop's next turn."""
        self._look_at_members()
        self._services.clock.call_later(0, lambda: self.on_tick(self._services.clock.now_ms()))

    # Proposals

    def propose(self, body: Sequence[Buffer]) -> Proposal:
        if self._stopped or self._is_closing or self._writing.is_full:
            self._check_open()
        size = len(body[0]) if len(body) == 1 else sum(map(len, body))
        self._applier.check_room(size, self._proposed_count, self._proposed_bytes, self._services.settings)
        is_at_rest = not self._is_scheduled and not self._is_advancing
        was_writing = is_at_rest and self._has_others and self.is_writing
        if self.ticked.is_resting:
            self.ticked.wake()
        proposal = self._core.propose(body, size)
        self._proposed_count += 1
        self._proposed_bytes += size
        if was_writing:
            self._schedule()  # the disk is busy anyway: what this turn still brings goes in the same messages
        elif is_at_rest:
            self._begin_to_write()
        return proposal

    def _begin_to_write(self) -> None:
        """Hand a proposal to writer and followers now, not a turn of the loop later. Raises: GroupStoppedError."""
        try:
            self._perform(self._core.take_ready())
            self._send()
        except Exception as error:
            self._fail(error)
            assert self._stopped is not None, "a group that failed has stopped"
            raise self._stopped from error

    def check_accepts(self) -> None:
        self._check_open()
        self._core.check_accepts()

    def _check_open(self) -> None:
        if self._stopped:
            raise self._stopped
        if self._is_closing:
            raise GroupStoppedError(f"group {self.group_id} is closing")
        if self._writing.is_full:
            raise LogFullError(f"group {self.group_id}: the disk is full")

    # Reads

    async def read_barrier(self) -> Index:
        if self._stopped:
            raise self._stopped
        ticket = self._barriers.next_ticket()
        self.ticked.wake()
        self._core.read_index(ticket)
        self._schedule()
        return await self._barriers.wait(ticket)

    def read(self, segment: int, position: int, length: int) -> memoryview:
        return self._log.read(segment, position, length)

    def segment_path(self, segment: int) -> str:
        return self._log.segment_path(segment)

    def save_checkpoint(self, state: bytes) -> None:
        """`state` is that after the entry `applied`; never called inside `apply`, which is neither before nor after."""
        if self._stopped:
            raise self._stopped
        applied = self._applier.applied
        assert not self._applier.is_applying, f"checkpoint inside the apply of entry {applied + 1}"
        assert 0 < applied <= self._core.persisted, f"checkpoint as of {applied}"
        checkpoint = Checkpoint(self._applier.facts(), state)
        self._services.checkpoints.submit(CheckpointJob(self._writing.files.directory, checkpoint))

    def release_before(self, index: Index) -> None:
        """Let go of the segments wholly below `index` and what is applied; the next checkpoint removes their files."""
        self._log.release_before(min(index, self._applier.applied))

    # Members

    async def transfer(self, node: NodeId) -> None:
        if self._stopped:
            raise self._stopped
        if node == self._services.me.node_id and self._core.role is Role.LEADER:
            return
        self.ticked.wake()
        try:
            self._core.transfer(node, self._services.clock.now_ms())
        except ValueError as error:
            raise TransferFailedError(f"group {self.group_id}: {error}") from error
        self._schedule()
        # It may lead, and this member not yet have heard of it.
        timeout_ms = 2 * self._services.settings.election_ms
        await self._news.wait_until(lambda: self.leader_or_none == node or self.is_stopped, timeout_ms)
        if self._stopped:
            raise self._stopped
        if self.leader_or_none != node:
            raise TransferFailedError(f"node {node} does not lead after {timeout_ms} ms")

    async def change(self, voters: Sequence[Peer], learners: Sequence[Peer] = ()) -> None:
        if self._stopped:
            raise self._stopped
        if self._core.role is not Role.LEADER:
            raise NotLeaderError(self.leader_or_none)
        if not self._services.has_peers and (*voters, *learners) != (self._services.me,):
            raise SingleMemberOnlyError(f"group {self.group_id} of {voters}: this node has no peers")
        if self._is_changing:
            raise ChangeInProgressError(f"the members of group {self.group_id} are being changed")
        self._is_changing = True
        self.ticked.wake()
        try:
            self._core.change(voters, learners)
            self._schedule()
            await self._news.wait_until(lambda: self._core.is_settled(voters, learners) or not self._is_leading)
            if not self._core.is_settled(voters, learners):
                raise self._stopped or NotLeaderError(self.leader_or_none)
        finally:
            self._is_changing = False

    @property
    def _is_leading(self) -> bool:
        return not self._stopped and self._core.role is Role.LEADER

    def on_peer_up(self, peer: Peer) -> None:
        self.ticked.wake()
        if not self._stopped and not self._is_swapping and not self._members.is_stranger(peer):
            self._core.on_peer_up(peer.node_id, self._services.clock.now_ms())
            self._go_on()

    def on_peer_down(self, peer: Peer) -> None:
        self.ticked.wake()
        self._members.on_down(peer.node_id)
        if not self._stopped and not self._is_swapping:
            self._core.on_peer_down(peer.node_id, self._services.clock.now_ms())
            self._go_on()

    def _look_at_members(self) -> None:
        """Another configuration is in force."""
        acquainted = self._members.follow(self._core.configuration)
        has_others = self._has_others = self._members.has_others
        self._log.hot.bytes_max = HOT_BYTES_MAX if has_others else 0
        self.ticked.follow(is_ticked=has_others)
        for node in acquainted:
            self._core.on_peer_up(node, self._services.clock.now_ms())

    # The other members' messages

    def on_message(self, sender: Peer, message: Message, now_ms: int) -> None:
        is_void = sender.node_id in self._members.strangers and isinstance(message, ANSWERS)
        if self._stopped or self._is_swapping or is_void:
            return
        self.ticked.wake()
        try:
            if isinstance(message, (PreVoteRequest, Removed)):
                self._on_outsider(sender, message, now_ms)
            else:
                self._core.step(sender.node_id, message, now_ms)
        except Exception as error:  # noqa: BLE001 - the top of a callback
            self._fail(error)
            return
        self._go_on()

    def on_heartbeat(self, sender: Peer, row: HeartbeatRow, now_ms: int) -> bool:
        """Whether it only says that the leader lives; then its answer is the caller's to give."""
        is_idle = self._stopped is None and not self._is_swapping and not self._is_scheduled
        if is_idle and self._core.hears_idle_leader(sender.node_id, row, now_ms):
            return True
        self.on_message(sender, row.message, now_ms)
        return False

    def on_heartbeat_response(self, sender: Peer, row: HeartbeatResponseRow, now_ms: int) -> None:
        is_idle = self._stopped is None and not self._is_swapping and sender.node_id not in self._members.strangers
        if not is_idle or not self._core.hears_idle_follower(sender.node_id, row, now_ms):
            self.on_message(sender, row.message, now_ms)

    def on_tick(self, now_ms: int, *, is_late: bool = False) -> None:
        if self._stopped or self._is_swapping:
            return
        try:
            self._core.tick(now_ms, is_late=is_late, lives=self.ticked.is_waited_for_alive())
            if self._members.is_left_alone(self._core.leader_or_none, now_ms, 2 * self._services.settings.election_ms):
                self._services.on_left_alone(self.group_id)
        except Exception as error:  # noqa: BLE001 - the top of a callback
            self._fail(error)
            return
        self._go_on()

    def _go_on(self) -> None:
        """Do and say at once what the core has to; what else this turn brings comes in messages of its own anyway."""
        if self._is_scheduled or self._is_advancing or self._stopped:
            return
        if self._core.has_ready or not self._is_whole:
            self._drive()
            return
        try:
            self._send()
        except Exception as error:  # noqa: BLE001 - the top of a callback
            self._fail(error)

    # Removal

    def _on_outsider(self, sender: Peer, message: PreVoteRequest | Removed, now_ms: int) -> None:
        """Who stands for election may be no member any more, and who tells us that we are none."""
        if isinstance(message, Removed):
            if self._outsiders.is_one_by(message):
                self.leave()
            return
        # A leader that lives is protected, also while it is too busy to say so in its group.
        if not self.ticked.is_waited_for_alive():
            self._core.step(sender.node_id, message, now_ms)
        self._outsiders.tell_if_removed(sender)

    def leave(self) -> None:
        logger.info("group %s: this node is no member any more", self.group_id)
        self._stop("this node was removed")
        self._services.on_removed(self.group_id)

    # The end

    async def close(self) -> None:
        """Finish what was proposed, hand over leadership, stop; within the close timeout. May be called again."""
        if not self._is_closing:
            self._is_closing = self._is_handing_over = True
            timer = self._services.clock.call_later(self._services.settings.close_timeout_ms, self.abandon)
            try:
                await self._finish_and_hand_over()
                self._is_handing_over = False
                self._stop_if_drained()
                await self.ending.closed.wait()
            finally:
                timer.cancel()
        await self.ending.closed.wait()

    async def _finish_and_hand_over(self) -> None:
        election_ms = self._services.settings.election_ms
        await self._news.wait_until(lambda: self._is_drained, election_ms if self._has_others else None)
        await self._hand_over()

    async def _hand_over(self) -> None:
        """Leadership, to the voter that has most; nothing if none is live."""
        me = self._services.me.node_id
        live = [one for one in self.progress() if one.is_voter and one.is_live and one.node_id != me]
        if self._is_leading and live:
            best = max(live, key=lambda one: one.match)
            try:
                await self.transfer(best.node_id)
            except RaftError as error:
                logger.warning("group %s: leadership is not handed over: %s", self.group_id, error)

    @property
    def _is_drained(self) -> bool:
        """Nothing that was proposed here waits, or waiting is of no use."""
        return not (self._applier.hot_count + self._proposed_count) or self._writing.is_full or not self._is_leading

    def abandon(self) -> None:
        """Stop without waiting for the disk: it failed, or it takes too long."""
        self._stop("the disk failed or did not answer in time")
        self.ending.closed.set()

    def _stop_if_drained(self) -> None:
        if self._is_closing and self._is_drained and not self._is_handing_over:
            self._stop("closed")

    def _fail(self, error: Exception) -> None:
        """Our fault, or damage: this group stops, the node keeps serving the others."""
        if self._stopped:
            logger.error("group %s: after it had stopped: %r", self.group_id, error)
            return
        logger.error("group %s stops at entry %s", self.group_id, self._applier.applied + 1, exc_info=error)
        if isinstance(error, CorruptLogError) and self._has_others and not self._is_swapping:
            self._writing.note_bad_entry(str(error))
        self._stop(f"failed: {error!r}")
        self._services.on_failure(self.group_id, error)

    def _stop(self, reason: str) -> None:
        if self._stopped:
            return
        self._stopped = GroupStoppedError(f"group {self.group_id}: {reason}")
        self.ticked.follow(is_ticked=False)
        if not self._is_swapping:  # else the files are closed already, and what is opened anew is closed there
            self._writing.close()
            self.ending.cancel_tasks()
        self._applier.clear()
        self._barriers.fail_all(self._stopped)
        self._news.tell()
        try:
            self._machine.on_role(RoleChange(Role.FOLLOWER, self.term, None))
        except Exception:
            logger.exception("group %s: its state machine fails to stop", self.group_id)

    # The disk

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
                self._writing.on_persisted()
                if self._log.on_persisted(term, index, cut_count):
                    self._on_persisted(term, index)
            case HardStatePersisted(_, state):
                self._core.on_hard_state_persisted(state)
            case DiskFull():
                self._on_disk_full()
            case EntryChanged(_, index):
                self._fail(AssertionError(f"a buffer of entry {index} changed after it was proposed"))
            case FilesClosed():
                self.ending.files_closed.set()
                if not self._is_swapping:
                    self.ending.closed.set()
            case _:
                assert_never(completion)

    def _on_persisted(self, term: Term, index: Index) -> None:
        self._core.on_persisted(term, index)
        if not self._core.has_leadership:
            self._applier.let_go(index, 2 * self._services.settings.window_bytes)
        if not self._stopped:
            self._machine.on_persisted(term, index)

    def _on_disk_full(self) -> None:
        if self._writing.on_full() and self._is_leading and self._has_others and not self._is_closing:
            self.ending.spawn(self._hand_over())  # others may have room
        self._stop_if_drained()

    # What is ready

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._drive)

    def _drive(self) -> None:
        """Carry out what the core has ready, send what it has to say, then apply for one slice."""
        self._is_scheduled = False
        self._is_advancing = True
        try:
            self._advance()
        except Exception as error:  # noqa: BLE001 - the top of a callback
            self._fail(error)
        finally:
            self._is_advancing = False

    def _advance(self) -> None:
        now_ms, deadline_ms = self._services.clock.now_ms, 0
        while not self._stopped and not self._is_swapping:
            if self._core.has_ready:
                self._perform(self._core.take_ready())
                continue
            self._send()
            if self._applier.applied == self._committed:
                break
            deadline_ms = deadline_ms or now_ms() + self._services.settings.apply_slice_ms
            self._applier.apply_until(self._committed, deadline_ms, now_ms)
            self._core.on_applied(self._applier.applied)
            self._barriers.release(self._applier.applied)
            if self._applier.applied < self._committed:
                self._schedule()
                break
        if not self._is_whole and not (self._core.is_damaged or self._core.is_doubtful):
            self._is_whole = True
            self._writing.clear_damage()
        self._stop_if_drained()
        self._news.tell()

    def _send(self) -> None:
        messages = self._core.take_messages()
        if messages:
            self._outbox.send_all(messages)

    def _perform(self, ready: Ready) -> None:
        writing = self._writing
        if ready.hard_state is not None:
            writing.save(ready.hard_state)
        if ready.truncate_to is not None:
            self._applier.cut(ready.truncate_to)
            writing.truncate(self._log.truncate(ready.truncate_to))
        if ready.append:
            placed = self._log.append(ready.append)
            self._applier.add(placed)
            writing.append(placed)
        self._proposed_count = self._proposed_bytes = 0
        self._committed = ready.committed
        if self._core.configuration is not self._members.current:
            self._look_at_members()
        if ready.reads or ready.failed_reads:
            self._barriers.answer(ready, NotLeaderError(self.leader_or_none))
            self._barriers.release(self._applier.applied)
        for change in ready.role_changes:
            self._machine.on_role(change)
        if ready.install_from is not None:
            self.ending.spawn(self._install(ready.install_from))

    # Files of a leader instead of our own

    async def _install(self, install: Install) -> None:
        try:
            if await self._fetch(install):
                await self._swap_files()
        except Exception as error:  # noqa: BLE001 - the top of a task
            self._is_swapping = False
            self._fail(error)
            if self.ending.files_closed.is_set():
                self.ending.closed.set()
            if isinstance(error, OSError):
                self._services.on_disk_failure(error)

    async def _fetch(self, install: Install) -> bool:
        try:
            await self._services.fetch(self.group_id, install.leader, self._core.check_files)
        except RaftError as error:
            logger.warning("group %s: the files of node %s are not fetched: %s", self.group_id, install.leader, error)
            self._core.on_install_failed()
            return False
        return True

    async def _swap_files(self) -> None:
        """Nothing happens in this group while its files are exchanged; its hard state is the same before and after."""
        services = self._services
        self.ticked.wake()
        self._is_swapping = True
        self._writing.close()
        await self.ending.files_closed.wait()
        await self.ending.written_checkpoints()  # an older checkpoint must not take the new one's place
        recovered, files = await services.reopen(self.group_id)
        self.ending.files_closed.clear()
        self._writing = _writing(services, files)
        self._is_swapping = False
        if self._stopped:
            self._writing.close()
            return
        self._log.become(recovered.log)
        recovered = replace(recovered, log=self._log)
        self._applier = _applier(files, recovered, self._machine)
        assert recovered.checkpoint is not None, "files of a leader come with a checkpoint"
        assert recovered.configuration is not None, "files of a leader name its members"
        assert self._core.is_damaged or not recovered.is_damaged, "files of a leader are whole"
        self._machine.restore(recovered.checkpoint.state)
        self._committed = self._applier.applied
        self._is_whole = recovered.is_whole
        self._core.on_installed(self._log.last_index, decode_configuration(recovered.configuration))
        self._look_at_members()
        self._barriers.release(self._applier.applied)
        self._schedule()
