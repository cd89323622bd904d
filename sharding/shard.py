"""One shard on one node: the state machine above a Raft group, admission, group commit and the answers.

**For the modules that build on it.** Everything happens in the group's event loop.

- `submit(command)` puts a command into the log and returns a future of what its executor returned. It fails with
  NotLeaderError at step-down (the outcome is then unknown) and with ClosingError at close.
- `append(...)` is the produce path: no task and no future, one callback per append.
- `observe_appends`, `observe_commands`, `observe_roles` register callbacks that run when something was *applied*, on
  leaders and followers alike, and at restart for the replayed tail. What lies below the checkpoint is not replayed: a
  part that derives data from appends (the live index) keeps its own position and pulls with `read_batches` up to
  `split.committed_offset`; its callback only wakes it.
- `observe_restores` tells that the state as a whole was replaced: files of the leader were installed on a member that
  had fallen too far behind. Chains stay the objects they were; nothing is told of the entries in between.
- `watch(chain, callback)` is called once per applied entry that changed the chain, and when leadership begins or
  ends.
- Replicated state of other parts: a `shard_state.Section`, given to the constructor and reached by
  `state.section(Kind)`.
- Commands gather while the group's writer is busy and become one entry at the end of a loop iteration otherwise; the
  order of `submit` and `append` calls is the order in the log.

Invariant of admission: it is the committed state plus `on_append` of every command in flight, in order. After a role
change or a failed proposal it is computed anew from exactly that.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from raft.errors import EntryTooLargeError, GroupStoppedError, LogBusyError, LogFullError, RaftError
from raft.errors import NotLeaderError as RaftNotLeaderError
from raft.interfaces import Buffer, GroupId, Index, Place, RaftGroup, Role, RoleChange, Term
from store.batches import BatchHeader, stamp

from .checkpoint_pace import CheckpointPace
from .commands.append import Append
from .commands.command import COMMAND_HEAD, At, Command
from .commands.table import COMMANDS, Table, decode_body, encode
from .errors import (
    ClosingError,
    HandingOverError,
    MessageTooLargeError,
    NotLeaderError,
    OverloadedError,
    ShardingError,
    ShardStoppedError,
    StorageFullError,
    UnknownPartitionError,
)
from .gathering import COPIED_BYTES_MAX, Entry, Held, OnDone, Pending, body_of
from .interfaces import Appended
from .observers import AppendObserver, C, Observers, RoleObserver
from .producers import Sequenced
from .shard_state import Chain, Section, ShardState
from .write_split import WriteSplit

# So few batches are not worth a copy.
SEPARATE_READS_MAX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardSettings:
    """Bounds of one shard; `timesplit.settings` lists them for operators."""

    buffer_bytes: int = 1 << 20
    inflight_bytes: int = 64 << 20
    checkpoint_bytes: int = 64 << 20


class CallSoon(Protocol):
    def __call__(self, callback: Callable[[], object], /) -> object: ...


class Shard:
    """Fulfils `raft.interfaces.StateMachine`. Owns the shard's state; its one writer is the group's event loop."""

    def __init__(
        self,
        shard_id: int,
        *,
        call_soon: CallSoon,
        logger: logging.Logger,
        sections: Sequence[Section] = (),
        settings: ShardSettings | None = None,
        table: Table = COMMANDS,
    ) -> None:
        self.shard_id = shard_id
        self.state = ShardState(sections)
        self.is_leader = False
        self.term = 0
        self.applied = 0
        self._group: RaftGroup | None = None
        self._call_soon = call_soon
        self._logger = logger
        self._settings = settings or ShardSettings()
        self._table = table
        self._is_closing = False

        self._gathered: list[Pending] = []
        self._gathered_bytes = 0
        self._is_flush_due = False
        self._entries: deque[Entry] = deque()
        self._unpersisted: deque[Entry] = deque()
        self._inflight_bytes = 0
        # (topic id, partition, base offset) of a pending batch -> those who sent it again.
        self._repeaters: dict[tuple[bytes, int, int], list[OnDone]] = {}
        self._held: dict[Chain, deque[Held]] = {}
        self._is_applying = False
        self._pace = CheckpointPace(self._settings.checkpoint_bytes, self._checkpoint, call_soon)
        self._on_idle: asyncio.Future[None] | None = None

        self._observers = Observers(f"shard {shard_id}", logger)

    def attach(self, group: RaftGroup) -> None:
        """The group that this machine was given to; before this, entries may be replayed but none proposed."""
        self._group = group

    @property
    def group(self) -> RaftGroup:
        assert self._group is not None, f"shard {self.shard_id} is not attached to a group"
        return self._group

    @property
    def group_id(self) -> GroupId:
        return GroupId(self.shard_id)

    @property
    def table(self) -> Table:
        """The commands of this shard's log."""
        return self._table

    @property
    def is_idle(self) -> bool:
        """Nothing is gathered and nothing waits for its commit."""
        return not self._gathered and not self._entries

    @property
    def inflight_bytes(self) -> int:
        return self._inflight_bytes

    @property
    def is_alone(self) -> bool:
        """This node is the only member that counts: nobody else can have led since."""
        return len(self.group.configuration.voters) == 1

    def leader_epoch(self, split: WriteSplit) -> int:
        """The leader epoch of a partition whose newest split this is, by the term that this node knows of."""
        return split.leader_epoch(max(self.term, self.group.term, split.open_term))

    async def until_leading(self) -> None:
        """Returns when this node leads the shard; a single member does so soon after its start.

        Raises: ShardStoppedError.
        """
        if self.is_leader:
            return
        stopped = ShardStoppedError(f"shard {self.shard_id} stopped before it was led; its log says why")
        if self.group.is_stopped:
            raise stopped
        leading: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_role(change: RoleChange) -> None:
            if leading.done():
                return
            if change.role is Role.LEADER:
                leading.set_result(None)
            elif self.group.is_stopped:
                leading.set_exception(stopped)

        undo = self.observe_roles(on_role)
        try:
            await leading
        finally:
            undo()

    async def drain(self) -> None:
        """Returns when nothing waits for its commit any more (or all of it has failed)."""
        while not self.is_idle:
            self._on_idle = asyncio.get_running_loop().create_future()
            await self._on_idle

    def _tell_idle(self) -> None:
        if self._on_idle is not None and self.is_idle:
            if not self._on_idle.done():
                self._on_idle.set_result(None)
            self._on_idle = None

    def stop_admitting(self) -> None:
        """The node closes: refuse what comes, let what is under way be committed."""
        self._is_closing = True
        if self._gathered:
            self._propose()

    def _checkpoint(self) -> None:
        # A group that stopped in between has no further use for one.
        if not self._is_closing and not self.group.is_stopped:
            self.save_checkpoint()

    def save_checkpoint(self) -> None:
        """A restart replays only what follows. Not to be called while an entry is applied."""
        self._pace.on_saved()
        self.group.save_checkpoint(self.state.snapshot())

    def fail_pending(self) -> None:
        """Answer whatever still waits; the last call before the group is closed."""
        self._is_closing = True
        self._pace.stop()
        self._fail_all(ClosingError("the node is shutting down; the outcome is unknown"))

    def submit(self, command: Command) -> asyncio.Future[object]:
        """Put a command into the log; the future has what its executor returned.

        Raises: NotLeaderError, ClosingError.
        """
        self._check_leading()
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()

        def settle(result: object) -> None:
            if future.done():
                return
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

        parts = encode(command)
        command.on_append(self.state)
        self._gather(Pending(command, -1, settle, parts, sum(map(len, parts))))
        return future

    def append(
        self, chain: Chain, batch: memoryview, header: BatchHeader, *, least_ms: int, acks: int, on_done: OnDone
    ) -> None:
        """Admit one batch that `admission.check` let pass: its memory is stamped, and is ours from now on.

        Raises: NotLeaderError, ClosingError, OverloadedError, StorageFullError, and what idempotence refuses
        (`producers`).
        """
        split = chain.splits[-1]
        if not self.is_leader or self._is_closing:
            self._check_leading()
        if not split.is_admitting:
            raise NotLeaderError
        if self._inflight_bytes > self._settings.inflight_bytes:
            self._check_room()
        if header.producer_id >= 0:
            # Before its sequence is judged: after a batch that the log refused, the next one would be "out of order",
            # and its producer would begin a new epoch, in which what was written before counts no more.
            self._check_log_accepts()
            sequenced = Sequenced(header.producer_id, header.producer_epoch, header.base_sequence, header.record_count)
            repeated = split.admission.duplicate_or_none(sequenced)
            if repeated is not None:
                self._repeat(split, repeated.base_offset, on_done)
                return
        base_offset = split.next_offset
        epoch = split.epoch_base + self.term - split.open_term
        stamp(batch, base_offset, epoch)
        append = Append(
            split.topic_id,
            split.partition,
            split.number,
            base_offset,
            epoch,
            least_ms,
            header.max_timestamp_ms,
            batch,
            header,
        )
        split.admitted(append)
        parts = append.whole_head(), batch
        self._gather(Pending(append, acks, on_done, parts, len(parts[0]) + len(batch)))

    def hold(self, chain: Chain, size: int, retry: Callable[[], None], on_done: OnDone) -> None:
        """Keep an append that came between the close of a split and the opening of its successor on this shard.

        `retry` appends it anew, as soon as the successor is open, in the order in which the appends came; an error that
        it raises goes to `on_done`. Raises: NotLeaderError (the successor opens elsewhere, or the topic is deleted),
        ClosingError, OverloadedError.
        """
        self._check_leading()
        if chain.is_dropped:
            raise UnknownPartitionError("the topic was deleted")
        target = chain.newest.admitted_target
        if target is None or target.shard != self.shard_id:
            raise NotLeaderError
        self._check_room()
        self._inflight_bytes += size
        self._held.setdefault(chain, deque()).append(Held(size, retry, on_done))

    def _release_held(self) -> None:
        for chain in [one for one in self._held if one.newest.is_admitting or one.is_dropped]:
            waiting = self._held[chain]
            while waiting:
                held = waiting.popleft()
                self._inflight_bytes -= held.size
                try:
                    held.retry()
                except ShardingError as error:
                    self._answer(held.on_done, error)
            del self._held[chain]

    def _check_room(self) -> None:
        limit = self._settings.inflight_bytes
        if self._inflight_bytes > limit:
            raise OverloadedError(f"shard {self.shard_id}: {self._inflight_bytes} bytes in flight, at most {limit}")

    def _check_log_accepts(self) -> None:
        try:
            self.group.check_accepts()
        except RaftError as error:
            raise _refusal(error) from error

    def _check_leading(self) -> None:
        if self._is_closing:
            raise ClosingError("the node is shutting down")
        if not self.is_leader:
            leader = None if self._group is None else self._group.leader_or_none
            raise NotLeaderError(leader, is_refusal=True)

    def _repeat(self, split: WriteSplit, base_offset: int, on_done: OnDone) -> None:
        """Answer a duplicate: at once if the first one is committed, with it otherwise."""
        if base_offset < split.committed_offset:
            answer = Appended(base_offset, -1, split.log_start, is_duplicate=True)
            self._call_soon(lambda: on_done(answer))
        else:
            self._repeaters.setdefault((split.topic_id, split.partition, base_offset), []).append(on_done)

    def _appended(self, one: Pending) -> Appended:
        """The answer before commit (acks 0 and 1)."""
        command = one.command
        assert isinstance(command, Append)
        chain = self.state.chains.get((command.topic_id, command.partition))
        return Appended(command.base_offset, command.log_append_time_ms, chain.newest.log_start if chain else 0)

    def _gather(self, pending: Pending) -> None:
        self._gathered.append(pending)
        self._gathered_bytes += pending.size
        self._inflight_bytes += pending.size
        # Inside an apply nothing is proposed: the group is in the middle of its work.
        if self._gathered_bytes >= self._settings.buffer_bytes and not self._is_applying:
            self._propose()
        elif not self._is_flush_due:
            self._is_flush_due = True
            self._call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flush_due = False
        if self._gathered and not self.group.is_writing:
            self._propose()

    def _flush_soon(self) -> None:
        if self._gathered and not self._is_flush_due:
            self._is_flush_due = True
            self._call_soon(self._flush)

    def _propose(self) -> None:
        pending, size = self._gathered, self._gathered_bytes
        self._gathered, self._gathered_bytes = [], 0
        try:
            proposal = self.group.propose(body_of(pending))
        except RaftError as error:
            self._refuse(pending, size, _refusal(error))
            return
        entry = Entry(proposal.term, proposal.index, pending, size)
        assert proposal.term == self.term, f"proposed in term {proposal.term}, leading in term {self.term}"
        self._entries.append(entry)
        if entry.persisted:
            self._unpersisted.append(entry)
        for one in pending:
            if one.acks == 0:
                self._answer(one.on_done, self._appended(one))

    def _refuse(self, pending: list[Pending], size: int, error: Exception) -> None:
        """The log took none of these: admission is as if they had never come, and they are told so later."""
        self._inflight_bytes -= size
        self._rebuild_admission()
        refused = [one.on_done for one in pending]
        for one in pending:
            if isinstance(command := one.command, Append):
                # Another batch will get this offset; its commit says nothing to those who wait for this one's.
                refused += self._repeaters.pop((command.topic_id, command.partition, command.base_offset), ())

        def tell() -> None:
            for on_done in refused:
                self._answer(on_done, error)
            # A `Close` that was refused closes nothing.
            self._release_held()

        self._call_soon(tell)

    def _rebuild_admission(self) -> None:
        for split in self.state.splits():
            split.reset_admission()
        for entry in self._entries:
            for one in entry.pending:
                one.command.on_append(self.state)

    def restore(self, state: bytes) -> None:
        assert self.is_idle, "a member with entries under way is not restored"
        self.state.restore(state)
        self._observers.tell_restored()
        self._observers.tell_watchers(self.state)

    def apply(self, term: Term, index: Index, body: Sequence[Buffer], place: Place) -> None:
        assert index > self.applied, f"entry {index} is applied again, after {self.applied}"
        entries = self._entries
        if entries and entries[0].index == index:
            entry = entries.popleft()
            # Ours is gone only if we lost leadership, and then nothing waits any more.
            assert entry.term == term, f"entry {index} has term {term}, ours was proposed in {entry.term}"
            try:
                self._apply_own(entry, place)
            except BaseException:
                # Our fault: the group stops, and its last role change fails those who wait for this entry too.
                entries.appendleft(entry)
                raise
            self._inflight_bytes -= entry.size
            size, command_count = entry.size, len(entry.pending)
        else:
            joined = memoryview(body[0] if len(body) == 1 else b"".join(body))
            command_count = 0
            for command, position in decode_body(self._table, joined):
                self._execute(command, At(term, index, place.segment, place.position + position))
                command_count += 1
            size = len(joined)
        self.applied = index
        if self._held:
            self._is_applying = True
            self._release_held()
            self._is_applying = False
        self._observers.tell_watchers(self.state)
        self._tell_idle()
        self._pace.on_applied(size, command_count)

    def _apply_own(self, entry: Entry, place: Place) -> None:
        term, index, segment = entry.term, entry.index, place.segment
        position = place.position + COMMAND_HEAD.size
        results: list[object] = []
        for one in entry.pending:
            results.append(self._execute(one.command, At(term, index, segment, position)))
            position += one.size
        for one, result in zip(entry.pending, results, strict=True):
            if one.acks == -1:
                self._answer(one.on_done, result)
        if self._repeaters:
            self._answer_repeaters(entry, results)

    def _execute(self, command: Command, at: At) -> object:
        result = command.execute(self.state, at)
        if isinstance(command, Append):
            if self._observers.has_any_for_appends:
                split = self.state.chains[command.topic_id, command.partition].newest
                self._observers.tell_append(split, command, at)
        else:
            self._observers.tell_command(command, result, at)
        return result

    def on_persisted(self, term: Term, index: Index) -> None:
        waiting = self._unpersisted
        while waiting and waiting[0].index <= index:
            for one in waiting.popleft().persisted:
                self._answer(one.on_done, self._appended(one))
        self._flush_soon()

    def on_role(self, change: RoleChange) -> None:
        if self.is_leader:
            self.is_leader = False
            self._fail_all(NotLeaderError(change.leader))
        self.term = change.term
        if change.role is Role.LEADER:
            # The no-op of this term is applied: the committed state is the appended one.
            self.is_leader = True
            for split in self.state.splits():
                split.last_append_ms = 0
        self._rebuild_admission()
        self._observers.tell_role(change)
        self.state.changed.update(self.state.chains.values())
        self._observers.tell_watchers(self.state)

    def _fail_all(self, error: Exception) -> None:
        """Whatever waits gets `error`; what was persisted or acknowledged before is not told twice."""
        unpersisted = {entry.index for entry in self._unpersisted}
        pending = [
            one
            for entry in self._entries
            for one in entry.pending
            if one.acks == -1 or (one.acks == 1 and entry.index in unpersisted)
        ]
        pending += self._gathered
        on_done = [one.on_done for one in pending]
        on_done += [one for waiting in self._repeaters.values() for one in waiting]
        on_done += [one.on_done for waiting in self._held.values() for one in waiting]
        self._held.clear()
        # An entry may be committed and yet wait for the leader's own disk.
        applied = [entry for entry in self._unpersisted if entry.index <= self.applied]
        on_done += [one.on_done for entry in applied for one in entry.persisted]
        self._entries.clear()
        self._unpersisted.clear()
        self._gathered = []
        self._repeaters.clear()
        self._gathered_bytes = self._inflight_bytes = 0
        for one in on_done:
            self._answer(one, error)
        self._tell_idle()

    def _answer(self, on_done: OnDone, result: object) -> None:
        try:
            on_done(result)
        except Exception:
            # A door's mistake must not stop the shard in the middle of an entry.
            self._logger.exception("shard %d: an answer callback failed", self.shard_id)

    def _answer_repeaters(self, entry: Entry, results: Sequence[object]) -> None:
        for one, result in zip(entry.pending, results, strict=True):
            command = one.command
            if isinstance(command, Append) and isinstance(result, Appended):
                waiting = self._repeaters.pop((command.topic_id, command.partition, command.base_offset), ())
                for on_done in waiting:
                    self._answer(on_done, replace(result, is_duplicate=True))

    def observe_appends(self, observer: AppendObserver) -> Callable[[], None]:
        """Call `observer(split, append, at)` for each applied append; returns the undo."""
        return self._observers.add_for_appends(observer)

    def observe_commands(self, kind: type[C], observer: Callable[[C, object, At], None]) -> Callable[[], None]:
        """Call `observer(command, result, at)` for each applied command of one class other than `Append`."""
        return self._observers.add_for_commands(kind, observer)

    def observe_roles(self, observer: RoleObserver) -> Callable[[], None]:
        """Call `observer(change)` after this shard has taken over the role."""
        return self._observers.add_for_roles(observer)

    def observe_restores(self, observer: Callable[[], None]) -> Callable[[], None]:
        """Call `observer()` when the state was replaced as a whole, at a restart or by what the leader sent."""
        return self._observers.add_for_restores(observer)

    def watch(self, chain: Chain, on_change: Callable[[], None]) -> Callable[[], None]:
        """Call `on_change` after each entry that changed the chain, and at each role change; returns the undo."""
        chain.watchers.append(on_change)

        def undo() -> None:
            if on_change in chain.watchers:
                chain.watchers.remove(on_change)

        return undo

    def read_batches(self, split: WriteSplit, offset: int, bytes_max: int) -> list[memoryview]:
        """Whole committed batches from the one containing `offset` on, at least one if there is any.

        About `bytes_max` bytes, each view one or more batches. Views into the mapped segments stay valid while held.
        """
        read = self.group.read
        views: list[memoryview] = []
        for segment, positions, lengths in split.index.columns(offset, bytes_max, split.committed_offset):
            first, count = positions[0], len(positions)
            span = positions[-1] + lengths[-1] - first
            if count <= SEPARATE_READS_MAX or span // count >= COPIED_BYTES_MAX:
                views += [read(segment, position, length) for position, length in zip(positions, lengths, strict=True)]
                continue
            # Small batches lie apart by the heads of their commands: one copy is cheaper than a write vector of each.
            whole = read(segment, first, span)
            ends = (position + length - first for position, length in zip(positions, lengths, strict=True))
            parts = [whole[position - first : end] for position, end in zip(positions, ends, strict=True)]
            views.append(memoryview(b"".join(parts)))
        return views


def _refusal(error: RaftError) -> Exception:
    match error:
        case GroupStoppedError():
            # It may have stopped in the middle of taking it.
            return NotLeaderError()
        case RaftNotLeaderError():
            return NotLeaderError(error.leader, is_refusal=True)
        case LogBusyError():
            return HandingOverError(str(error))
        case LogFullError():
            return StorageFullError(str(error))
        case EntryTooLargeError():
            return MessageTooLargeError(str(error))
        case _:
            return error
