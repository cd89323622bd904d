"""What a leader sends to one other member: entries in batches, in a window, or a request to fetch files."""

from collections.abc import Sequence

from ..core_state import CoreState
from ..entries import HEADER_BYTES, Entry
from ..interfaces import Index
from ..messages import AppendRequest, InstallRequest
from ..progress import Progress, ProgressState


class Sending:
    """In place of what `SyncObj` sends: everything at once, or a snapshot. Entries come from the log, by the batch."""

    def __init__(self, state: CoreState) -> None:
        self._state = state

    def send(self, member: Progress, now_ms: int, *, is_beat_due: bool) -> None:
        """What the member lacks, as far as its window goes, or else a heartbeat if one is due."""
        if member.next < self._state.log.first_index or member.state is ProgressState.INSTALL:
            self._ask_to_install(member, now_ms)
        elif member.state is ProgressState.PROBE:
            self._probe(member, is_beat_due=is_beat_due)
        else:
            self._replicate(member, is_beat_due=is_beat_due)

    def tell_committed(self, member: Progress) -> None:
        if member.state is ProgressState.REPLICATE:
            self._request(member, ())

    def _probe(self, member: Progress, *, is_beat_due: bool) -> None:
        """One request at a time until the member has agreed to one; the next beat repeats what may be lost."""
        if is_beat_due or not member.is_paused:
            member.is_paused = True
            self._request(member, self._entries(member) if member.next <= self._state.log.last_index else ())

    def _replicate(self, member: Progress, *, is_beat_due: bool) -> None:
        state = self._state
        while member.next <= state.log.last_index and member.in_flight_bytes < state.timings.window_bytes:
            entries = self._entries(member)
            self._request(member, entries)
            member.on_sent(entries[-1].index, sum(HEADER_BYTES + entry.size for entry in entries))
            is_beat_due = False
        if is_beat_due:  # it also finds out what was lost on the way
            self._request(member, ())

    def _entries(self, member: Progress) -> Sequence[Entry]:
        return self._state.log.entries(member.next, self._state.timings.append_bytes_max)

    def _request(self, member: Progress, entries: Sequence[Entry]) -> None:
        state, before = self._state, Index(member.next - 1)
        request = AppendRequest(state.term, before, state.tail.term(before), state.committed, 0, entries)
        state.send(member.node_id, request)

    def _ask_to_install(self, member: Progress, now_ms: int) -> None:
        if member.state is not ProgressState.INSTALL:
            member.probe_from(member.next)
            member.state, member.install_due_ms = ProgressState.INSTALL, now_ms
        if now_ms >= member.install_due_ms:
            state = self._state
            member.install_due_ms = now_ms + state.timings.election_ms
            index = min(state.committed, state.tail.persisted)
            state.send(member.node_id, InstallRequest(state.term, index, state.tail.term(index)))
