"""What a member does while another leads: it takes what the leader sends, and says what is on its own disk."""

from collections.abc import Sequence
from dataclasses import dataclass

from .configuration import decode_configuration
from .core_state import CoreState
from .entries import Entry, EntryKind
from .entry_runs import EntryRun
from .interfaces import Index, NodeId, Term
from .messages import (
    AppendRequest,
    AppendResponse,
    Heartbeat,
    HeartbeatResponse,
    InstallRequest,
    InstallResponse,
)


@dataclass(frozen=True, slots=True)
class Install:
    """Fetch the files up to entry `index` of `term` from `leader`, then say `on_installed` or `on_install_failed`."""

    leader: NodeId
    index: Index
    term: Term


class Following:
    """`verified`: up to here the log is that of this term's leader. Nothing behind it is acknowledged or committed."""

    def __init__(self, state: CoreState, *, is_damaged: bool, is_doubtful: bool = False) -> None:
        assert not (is_damaged and is_doubtful), "what is known to be damaged is in no doubt"
        self._state = state
        self.leader: NodeId | None = None
        self.is_damaged = is_damaged
        self.is_doubtful = is_doubtful
        self.installing: Install | None = None
        self.has_new_install = False
        self._had_append = False
        self.begin_term()

    def begin_term(self) -> None:
        """What an older leader has said is void; what is committed is every leader's."""
        self.verified = self._state.committed
        self._acknowledged = Index(0)
        self._round = 0
        self._heal_target: Index | None = None

    def on_append_request(self, request: AppendRequest) -> None:
        if self.installing is not None:
            return  # what is being fetched replaces the log
        state, tail = self._state, self._state.tail
        self._had_append = True
        self._round = max(self._round, request.round)
        if request.prev_index == tail.last and request.prev_term == tail.last_term:
            if request.entries:
                self._take(request.entries)
            end = tail.last
        else:
            end_or_none = self._fit_in(request)
            if end_or_none is None:
                self._reject(request)
                return
            end = end_or_none
        self.verified = max(self.verified, end)
        state.commit_to(min(request.committed, self.verified))
        if not self.is_whole:
            self._heal_target = request.committed
            self._heal_if_whole()
        if end <= tail.persisted:
            self._acknowledge()

    def _fit_in(self, request: AppendRequest) -> Index | None:
        """Take what is new, cutting only what conflicts; the index up to which the logs agree, or None: unknown."""
        tail, committed = self._state.tail, self._state.committed
        prev_index, entries = request.prev_index, request.entries
        if prev_index < committed:  # every leader has what is committed
            entries = entries[committed - prev_index :]
            if not entries:
                return Index(prev_index + len(request.entries))
        elif prev_index > tail.last or tail.term(prev_index) != request.prev_term:
            return None
        for position, entry in enumerate(entries):
            if entry.index > tail.last:
                self._take(entries[position:])
                break
            if tail.term(entry.index) != entry.term:
                self._cut(Index(entry.index - 1))
                self._take(entries[position:])
                break
        return Index(prev_index + len(request.entries))

    def _take(self, entries: Sequence[Entry]) -> None:
        self._state.tail.append(entries)
        if isinstance(entries, EntryRun) and entries.has_commands_only:
            return
        configuration = EntryKind.CONFIGURATION
        for entry in entries:
            if entry.kind is configuration:
                self._state.memberships.append(entry.index, decode_configuration(b"".join(entry.body)))

    def _cut(self, to_index: Index) -> None:
        state = self._state
        assert to_index >= state.committed, f"cut to {to_index}, committed is {state.committed}"
        assert to_index >= self.verified, f"cut to {to_index}, and its own leader had sent {self.verified}"
        state.tail.cut(to_index)
        state.memberships.cut(to_index)

    def _reject(self, request: AppendRequest) -> None:
        tail = self._state.tail
        floor = max(self._state.committed, tail.floor)
        hint = tail.last_of_term_at_most(request.prev_term, request.prev_index, floor)
        self._say_rejected(request.prev_index, hint)

    def _say_rejected(self, index: Index, hint: Index) -> None:
        state = self._state
        if self.leader is not None:
            hint_term = state.tail.term(hint)
            state.send(self.leader, AppendResponse(state.term, True, index, self._round, hint, hint_term))

    def _acknowledge(self) -> None:
        """Say what is durable here and the leader's. A term that is not durable yet acknowledges nothing."""
        state = self._state
        if self.leader is None or state.durable.term != state.term:
            return
        self._acknowledged = min(state.tail.persisted, self.verified)
        state.send(self.leader, AppendResponse(state.term, False, self._acknowledged, self._round))

    def on_durable(self) -> None:
        """Entries or the term have become durable."""
        if not self.is_whole:
            self._heal_if_whole()
        if min(self._state.tail.persisted, self.verified) > self._acknowledged:
            self._acknowledge()

    @property
    def is_whole(self) -> bool:
        """The durable log is known to hold all that this member ever acknowledged."""
        return not (self.is_damaged or self.is_doubtful)

    def _heal_if_whole(self) -> None:
        """All that was ever committed is on the disk again.

        The leader's commit index, of its own term, stands behind everything that was committed before that term; the
        request that names it was sent after the damage, since links forget what was under way when a node restarts.
        """
        state, target = self._state, self._heal_target
        if target is not None and state.tail.floor <= target <= min(state.tail.persisted, self.verified):
            self._heal_by(target)

    def heal_as_leader(self) -> None:
        """What this member itself has committed in its own term it was elected with, or has written since."""
        if not self.is_whole:
            self._heal_by(min(self._state.committed, self._state.tail.persisted))

    def _heal_by(self, index: Index) -> None:
        if self._state.tail.term(index) == self._state.term:
            self.is_damaged = self.is_doubtful = False

    def on_heartbeat(self, sender: NodeId, heartbeat: Heartbeat) -> None:
        state = self._state
        self._round = max(self._round, heartbeat.round)
        # What is being fetched may end before what is verified; it must never end before what is applied.
        if heartbeat.committed > state.committed and self.installing is None:
            state.commit_to(min(heartbeat.committed, self.verified))
        state.send(sender, HeartbeatResponse(state.term, heartbeat.round))
        wants_request = heartbeat.committed > self.verified or not self.is_whole
        if wants_request and not self._had_append and self.installing is None:
            # The leader takes us for further than we know to be, as after a restart: let it ask where we are.
            self._say_rejected(state.tail.last, state.tail.last)
        self._had_append = False

    def hears_idle(self, committed: Index, round_: int) -> bool:
        """A heartbeat that asks for nothing but an answer."""
        if committed > self._state.committed or self.is_damaged or self.is_doubtful:
            return False
        self._round = max(self._round, round_)
        self._had_append = False
        return True

    def on_install_request(self, sender: NodeId, request: InstallRequest) -> None:
        tail = self._state.tail
        has_it = request.index <= self._state.committed
        if not has_it and tail.floor <= request.index <= tail.last:
            has_it = tail.term(request.index) == request.index_term
        if has_it:
            if request.index <= tail.persisted:
                self._state.send(sender, InstallResponse(self._state.term, request.index))
        elif self.installing is None:
            self.installing = Install(sender, request.index, request.index_term)
            self.has_new_install = True

    def take_install(self) -> Install | None:
        is_new, self.has_new_install = self.has_new_install, False
        return self.installing if is_new else None

    def on_installed(self, index: Index) -> None:
        state = self._state
        state.tail.on_installed()
        self.installing, self.has_new_install = None, False
        self.verified = self._acknowledged = index  # the log ends there, wherever it ended before
        state.commit_to(index)
        if self.leader is not None:
            state.send(self.leader, InstallResponse(state.term, index))

    def on_install_failed(self) -> None:
        """A later request of the leader begins again."""
        self.installing, self.has_new_install = None, False
