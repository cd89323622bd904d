"""What a member does while it leads: it sends, counts what is durable elsewhere, confirms reads, changes the members.

Made when an election is won, thrown away when it leads no more: nothing of it outlives its term.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence

from .configuration import Configuration, Peer, encode_configuration
from .core_state import CoreState
from .entries import COMMANDS, COPIED_BYTES_MAX, Entry, EntryKind, make, new_entry
from .entry_runs import run_of
from .interfaces import Buffer, Index, MemberProgress, NodeId, Proposal
from .memberships import next_step_or_none
from .messages import (
    AppendRequest,
    AppendResponse,
    Heartbeat,
    HeartbeatResponse,
    InstallRequest,
    InstallResponse,
    Outgoing,
    ReadRequest,
    ReadResponse,
    TimeoutNow,
)
from .progress import Progress, ProgressState
from .reads import Read, ReadRounds

PROBE_BYTES_MAX = 64 << 10
CALM_BEATS_MIN = 5  # before a group comes to rest: each change of what rests costs the pair a look at all that does


class Leadership:
    """Of one term. `is_ready`: the term's no-op is applied, so everything committed before is known and applied."""

    def __init__(self, state: CoreState, no_op: Index, now_ms: int) -> None:
        self._state = state
        self._members: dict[NodeId, Progress] = {}
        self._rounds = ReadRounds()
        self._wanted: Configuration | None = None
        self._caught_up: set[NodeId] = set()
        self._committed_at_beat = state.committed
        self._was_late = False
        self._calm_beats = 0
        self._probe_bytes = min(PROBE_BYTES_MAX, state.timings.append_bytes_max)
        self._transfer_due_ms = 0
        self.no_op = no_op
        self.is_ready = False
        self.transfer_to: NodeId | None = None
        self._beat_due_ms = now_ms + state.timings.heartbeat_ms
        self.on_membership(now_ms)
        self._send_heartbeats()

    # Members

    def on_membership(self, now_ms: int) -> None:
        """Another configuration is in force: follow who is in it, forget who is not."""
        state = self._state
        current = state.memberships.current
        assert current is not None, "a leader without a configuration"
        known, self._members = self._members, {}
        for peer in current.peers:
            if peer.node_id == state.node_id:
                continue
            progress = known.get(peer.node_id)
            if progress is None or progress.disk_id != peer.disk_id:
                progress = Progress(peer.node_id, peer.disk_id, Index(state.tail.last + 1), now_ms)
            progress.is_voter = peer in current.voters
            self._members[peer.node_id] = progress
        if self.transfer_to not in state.memberships.voters:
            self.transfer_to = None

    def progress(self, now_ms: int) -> list[MemberProgress]:
        state = self._state
        own = MemberProgress(state.node_id, state.memberships.is_voter, state.tail.persisted, is_live=True)
        oldest_ms = now_ms - state.timings.election_ms
        return [own] + [
            MemberProgress(member.node_id, member.is_voter, member.match, member.heard_ms > oldest_ms)
            for member in self._members.values()
        ]

    def hears(self, node: NodeId, now_ms: int) -> None:
        member = self._members.get(node)
        if member is not None:
            member.heard_ms = now_ms

    def hears_idle(self, node: NodeId, round_: int, now_ms: int) -> bool:
        member = self._members.get(node)
        if member is None or self._rounds.confirmed != self._rounds.newest:
            return False
        member.heard_ms = now_ms
        member.round = max(member.round, round_)
        return True

    def on_peer_up(self, node: NodeId) -> None:
        """What was under way to it is lost; it may have come back with less than it had."""
        member = self._members.get(node)
        if member is not None:
            member.probe_from(Index(self._state.tail.last + 1))

    def on_peer_down(self, node: NodeId) -> None:
        member = self._members.get(node)
        if member is not None and member.state is ProgressState.REPLICATE:
            member.probe_from(Index(member.match + 1))

    # Time

    @property
    def due_ms_or_none(self) -> int | None:
        """A leader without any other member has nobody to beat for."""
        return self._beat_due_ms if self._members else None

    def beat(self, now_ms: int, *, is_late: bool, lives: bool = False) -> bool:
        """A heartbeat to everyone. False: no majority was heard for an election time, so it must lead no more."""
        state = self._state
        self._beat_due_ms = now_ms + state.timings.heartbeat_ms
        # What the others said may wait in our sockets while our own loop is busy: once, that is no silence of theirs.
        is_excused = is_late and not self._was_late
        self._was_late = is_late
        if not is_excused and not self._hears_majority(now_ms, lives=lives):
            return False
        if self.transfer_to is not None:
            self._go_on_with_transfer(now_ms)
        if self._rounds.has_unsent:
            self._rounds.begin_round()
        self._send_heartbeats()
        for member in self._members.values():
            self._revive(member)
            has_caught_up = member.state is ProgressState.REPLICATE and member.match >= self._committed_at_beat
            if not member.is_voter and has_caught_up:
                self._caught_up.add(member.node_id)
            else:
                self._caught_up.discard(member.node_id)
        self._committed_at_beat = state.committed
        return True

    def _hears_majority(self, now_ms: int, *, lives: bool) -> bool:
        timings = self._state.timings
        oldest_ms = now_ms - (timings.stall_ms if lives else timings.election_ms)
        heard = sum(1 for member in self._members.values() if member.is_voter and member.heard_ms > oldest_ms)
        return heard + self._state.memberships.is_voter >= self._state.memberships.quorum

    def heartbeats_at_rest(self, now_ms: int, is_up: Callable[[NodeId], bool]) -> Sequence[Outgoing]:
        """Asked once a beat: what every beat says as long as nothing happens, to those that can be reached.

        Nothing: something is under way, or was a few beats ago.
        """
        self._calm_beats = self._calm_beats + 1 if self._is_calm(now_ms, is_up) else 0
        if self._calm_beats < CALM_BEATS_MIN:
            return ()
        heartbeat = Heartbeat(self._state.term, self._state.committed, self._rounds.newest)
        return [Outgoing(node, heartbeat) for node in self._members if is_up(node)]

    def _is_calm(self, now_ms: int, is_up: Callable[[NodeId], bool]) -> bool:
        state, rounds, wanted = self._state, self._rounds, self._wanted
        is_changing = wanted is not None and not state.memberships.are_exactly(wanted.voters, wanted.learners)
        is_reading = rounds.confirmed != rounds.newest or rounds.wants_round
        if not self.is_ready or self.transfer_to is not None or is_changing or is_reading:
            return False
        last, oldest_ms = state.tail.last, now_ms - 2 * state.timings.heartbeat_ms
        there = [member for member in self._members.values() if is_up(member.node_id)]
        have_all = all(member.has_all(last) and member.heard_ms > oldest_ms for member in there)
        voters = sum(member.is_voter for member in there) + state.memberships.is_voter
        return have_all and state.committed == state.tail.persisted == last and voters >= state.memberships.quorum

    def wake(self, heard: Mapping[NodeId, int], beat_due_ms: int) -> None:
        for node, heard_ms in heard.items():
            member = self._members[node]
            member.heard_ms = max(member.heard_ms, heard_ms)
        self._beat_due_ms = beat_due_ms
        self._calm_beats = 0

    def _revive(self, member: Progress) -> None:
        """Ask again where nothing came back since the last beat: messages may be lost."""
        if member.state is ProgressState.PROBE:
            member.is_paused = False
        elif member.state is ProgressState.INSTALL:
            self._send_install(member)
        elif member.next < self._state.log.first_index:
            self._install(member)
        elif member.in_flight and member.match == member.match_at_beat:
            self._state.send(member.node_id, self._request(Index(member.next - 1), ()))
        member.match_at_beat = member.match

    def _send_heartbeats(self) -> None:
        state = self._state
        term, committed, round_ = state.term, state.committed, self._rounds.newest
        for member in self._members.values():
            state.send(member.node_id, Heartbeat(term, min(member.match, committed), round_))

    # Replication

    def send_appends(self) -> None:
        """What the others lack and the shell's log holds; the same request object to all who need the same."""
        log_last = self._state.log.last_index
        made: dict[Index, tuple[AppendRequest, int]] = {}
        for member in self._members.values():
            state = member.state
            if state is ProgressState.REPLICATE:
                while member.next <= log_last and member.in_flight_bytes < self._state.timings.window_bytes:
                    if not self._send_next(member, made):
                        break
            elif state is ProgressState.PROBE and not member.is_paused:
                self._send_probe(member, log_last)
        if self._rounds.wants_round:
            self._rounds.begin_round()
            self._send_heartbeats()

    def _send_next(self, member: Progress, made: dict[Index, tuple[AppendRequest, int]]) -> bool:
        first = member.next
        cached = made.get(first)
        if cached is None:
            if first < self._state.log.first_index:
                self._install(member)
                return False
            entries = self._state.log.entries(first, self._state.timings.append_bytes_max)
            cached = made[first] = self._request(Index(first - 1), entries), run_of(entries).total_bytes
        request, size = cached
        self._state.send(member.node_id, request)
        member.on_sent(Index(first + len(request.entries) - 1), size)
        return True

    def _send_probe(self, member: Progress, log_last: Index) -> None:
        state = self._state
        if member.next < state.log.first_index:
            self._install(member)
            return
        entries = state.log.entries(member.next, self._probe_bytes) if member.next <= log_last else ()
        if member.next - 1 <= log_last:
            state.send(member.node_id, self._request(Index(member.next - 1), entries))
            member.is_paused = True

    def _request(self, prev_index: Index, entries: Sequence[Entry]) -> AppendRequest:
        state = self._state
        prev_term = state.tail.term(prev_index)
        return AppendRequest(state.term, prev_index, prev_term, state.committed, self._rounds.newest, entries)

    def _install(self, member: Progress) -> None:
        member.probe_from(member.next)
        member.state = ProgressState.INSTALL
        self._send_install(member)

    def _send_install(self, member: Progress) -> None:
        state = self._state
        index = min(state.committed, state.tail.persisted)
        state.send(member.node_id, InstallRequest(state.term, index, state.tail.term(index)))

    def on_append_response(self, sender: NodeId, response: AppendResponse, now_ms: int) -> bool:
        """True if more may be committed now."""
        member = self._members.get(sender)
        if member is None:
            return False
        member.heard_ms = now_ms
        self._on_round(member, response.round)
        if response.is_rejected:
            self._on_rejected(member, response)
            return False
        assert response.index <= self._state.tail.last, f"node {sender} has {response.index} of {self._state.tail.last}"
        is_news = response.index > member.match
        member.on_accepted(response.index)
        if is_news and sender == self.transfer_to:
            self._hand_over_when_caught_up()
        return is_news and member.is_voter

    def _on_rejected(self, member: Progress, response: AppendResponse) -> None:
        """Go back to where the logs may agree. What it once acknowledged may be gone: then `match` was too much."""
        if member.state is ProgressState.INSTALL:
            return
        if member.state is ProgressState.PROBE and response.index != member.next - 1:
            return  # the answer to an older question
        tail = self._state.tail
        floor = tail.floor
        agreed = Index(floor - 1)
        if response.hint_index >= floor and tail.term(floor) <= response.hint_term:
            agreed = tail.last_of_term_at_most(response.hint_term, response.hint_index, floor)
        member.match = min(member.match, max(agreed, Index(0)))
        member.probe_from(Index(agreed + 1))

    def on_heartbeat_response(self, sender: NodeId, response: HeartbeatResponse, now_ms: int) -> None:
        member = self._members.get(sender)
        if member is not None:
            member.heard_ms = now_ms
            self._on_round(member, response.round)

    def on_install_response(self, sender: NodeId, response: InstallResponse, now_ms: int) -> bool:
        """True if more may be committed now."""
        self.hears(sender, now_ms)
        member = self._members.get(sender)
        if member is None or response.index > self._state.tail.last:
            return False
        is_news = response.index > member.match
        if member.state is ProgressState.INSTALL:
            member.match = max(member.match, response.index)
            member.probe_from(Index(response.index + 1))
        return is_news and member.is_voter

    def propose(self, body: Sequence[Buffer], size: int) -> Proposal:
        """Append a command. A small one is copied, unless nobody can change it."""
        term, tail = self._state.hard_state.term, self._state.tail
        if size > COPIED_BYTES_MAX:
            return make(Proposal, self.append(COMMANDS, body, size)[:2])
        first = body[0] if len(body) == 1 else None
        return make(Proposal, (term, tail.propose(term, first if type(first) is bytes else b"".join(body))))

    def append(self, kind: EntryKind, body: Sequence[Buffer], size: int) -> Entry:
        state = self._state
        entry = new_entry(state.hard_state.term, Index(state.tail.last + 1), kind, size, body)
        state.tail.append_own(entry)
        return entry

    def commit(self, now_ms: int) -> bool:
        """Decide what a majority has. False: that took this member out of the group, so it must lead no more.

        Entries of older terms are committed by one of this term behind them. Source: Raft paper, 5.4.2.
        """
        state = self._state
        index = self.majority_match()
        if index <= state.committed or index < self.no_op:
            return True
        state.commit_to(index)
        if state.memberships.index <= index:
            if not state.memberships.is_voter:
                return False
            self.go_on_with_change(now_ms)
        return True

    def majority_match(self) -> Index:
        """The last entry that a majority of the voters has on its disks; this member counts as far as its own has."""
        matches = [member.match for member in self._members.values() if member.is_voter]
        if self._state.memberships.is_voter:
            matches.append(self._state.tail.persisted)
        matches.sort()
        return matches[(len(matches) - 1) // 2]

    # Reads

    def add_read(self, asker: NodeId, context: Hashable) -> None:
        self._rounds.add(asker, context, self._state.committed)

    def on_read_request(self, sender: NodeId, request: ReadRequest, now_ms: int) -> None:
        """A leader that is not ready says nothing; it is asked again."""
        if self.is_ready and sender in self._members:
            self.hears(sender, now_ms)
            self.add_read(sender, request.context)

    def _on_round(self, member: Progress, round_: int) -> None:
        member.round = max(member.round, round_)

    def confirmed_reads(self) -> Sequence[Read]:
        """Own reads that a majority has confirmed; those of others are answered by message."""
        rounds, state = self._rounds, self._state
        if rounds.confirmed == rounds.newest:
            return ()
        answered = [member.round for member in self._members.values() if member.is_voter]
        if state.memberships.is_voter:
            answered.append(rounds.newest)
        answered.sort()
        own: list[Read] = []
        for read in rounds.confirm(answered[(len(answered) - 1) // 2]):
            if read.asker == state.node_id:
                own.append(Read(read.context, read.index))
                continue
            member = self._members.get(read.asker)
            if member is not None and isinstance(read.context, int):
                # So that it can apply what it waits for before the next heartbeat.
                committed = min(member.match, state.committed)
                state.send(read.asker, Heartbeat(state.term, committed, rounds.newest))
                state.send(read.asker, ReadResponse(state.term, read.context, read.index))
        return own

    def own_read_contexts(self) -> Sequence[Hashable]:
        return self._rounds.own_contexts(self._state.node_id)

    # Leadership transfer

    def transfer(self, to: NodeId, now_ms: int) -> None:
        """Raises: ValueError (no other voter)."""
        if to == self._state.node_id or to not in self._state.memberships.voters:
            raise ValueError(f"node {to} is none of the other voters of {self._state.memberships.voters}")
        if self.transfer_to != to:
            self.transfer_to = to
            self._transfer_due_ms = now_ms + self._state.timings.election_ms
            self._hand_over_when_caught_up()

    def _go_on_with_transfer(self, now_ms: int) -> None:
        if now_ms >= self._transfer_due_ms:
            self.transfer_to = None
        else:
            self._hand_over_when_caught_up()

    def _hand_over_when_caught_up(self) -> None:
        member = self._members[self.transfer_to] if self.transfer_to is not None else None
        if member is not None and member.match == self._state.tail.last:
            self._state.send(member.node_id, TimeoutNow(self._state.term))

    def hand_over_to_the_best(self) -> None:
        """It is no voter any more: the member that has most goes on at once."""
        voters = [member for member in self._members.values() if member.is_voter]
        best = max(voters, key=lambda member: member.match)
        self._state.send(best.node_id, TimeoutNow(self._state.term))

    # Membership changes

    def want(self, voters: Sequence[Peer], learners: Sequence[Peer]) -> None:
        assert voters, "a group without voters"
        self._wanted = Configuration(voters=tuple(voters), learners=tuple(learners))

    def go_on_with_change(self, now_ms: int) -> None:
        """The next step, when the last one is committed. Source: thesis 4.1; and not before one of the own term is."""
        state, wanted = self._state, self._wanted
        is_settled = self.is_ready and state.memberships.index <= state.committed
        if wanted is None or not is_settled or self.transfer_to is not None:
            return
        current = state.memberships.current
        assert current is not None, "a leader without a configuration"
        configuration = next_step_or_none(current, wanted, self._caught_up, state.node_id)
        if configuration is not None:
            self.append_configuration(configuration, now_ms)

    def append_configuration(self, configuration: Configuration, now_ms: int) -> None:
        """In force from now on, committed or not."""
        body = encode_configuration(configuration)
        entry = self.append(EntryKind.CONFIGURATION, (body,), len(body))
        self._state.memberships.append(entry.index, configuration)
        self.on_membership(now_ms)
