"""One history: some members, virtual time, a network and disks that misbehave, and everything decided by one seed.

First faults, then quiet: in the end there must be a leader, and a new entry must reach every member.
"""

from collections import Counter
from heapq import heappop, heappush
from random import Random

from raft.codec import HeartbeatResponseRow, HeartbeatRow
from raft.configuration import Configuration, Peer
from raft.core_state import Timings
from raft.entries import Entry, EntryKind
from raft.errors import LogBusyError, NotLeaderError
from raft.interfaces import GroupId, Index, NodeId
from raft.messages import Heartbeat, HeartbeatResponse, Message
from tests.simulation.cores.checks import Truth, ViolationError
from tests.simulation.cores.faults import FAULTS, THEMES
from tests.simulation.cores.member import Disk, Member

TICK, MESSAGE, WRITTEN, APPLY, RESTART, CLIENT, FAULT, HEAL, LINK, FETCHED = range(10)
TICK_MS = 50
QUIET_MS = 12_000
STEADY_MS = 1_100
MASK = (1 << 64) - 1
GROUP = GroupId(0)


class World:
    """`trace`: a hash over everything that happened, the same for the same seed."""

    def __init__(self, seed: int, theme: str | None = None) -> None:
        self.seed = seed
        self.random = random = Random(seed)
        self.truth = Truth()
        self.counts: Counter[str] = Counter()
        self.now_ms = 0
        self.trace = seed
        self._events: list[tuple[int, int, int, int, object]] = []
        self._sequence = 0
        self._body = 0
        self._is_quiet = False
        self._is_over = False
        self._quiet_since_ms = 0
        self._proof: tuple[int, int] | None = None  # term and index of the entry that must reach everybody
        self._steady: tuple[int, int] | None = None  # since when, and in which term, all have it
        node_count = random.choice((1, 2, 3, 3, 3, 3, 4, 5, 5))
        founder_count = random.choice((1, node_count, node_count, node_count))
        is_tight = random.random() < 0.4
        timings = Timings(window_bytes=400, append_bytes_max=120) if is_tight else Timings()
        peers = [Peer(NodeId(number), f"disk-{number}") for number in range(1, node_count + 1)]
        founding = Configuration(voters=tuple(peers[:founder_count]))
        self.founding = founding
        self.members: dict[int, Member] = {}
        for peer in peers:
            member = Member(
                peer, disk=Disk(base=founding if peer in founding.voters else None), random=random, timings=timings
            )
            self.members[peer.node_id] = member
        self.delay_ms = 4
        self.loss = 0.0
        self.duplication = 0.0
        self.cut_links: dict[tuple[int, int], int] = {}
        self.slow_links: dict[tuple[int, int], int] = {}
        self.faults_end_ms = random.randrange(1_000, 3_600)
        if theme is None and random.random() < 0.4:
            theme = random.choice(list(THEMES))
        kinds = list(FAULTS)
        self.kinds = [kind for kind in kinds if random.random() < 0.4] or [random.choice(kinds)]
        if theme is not None:
            self.kinds = list(THEMES[theme])
        self.crash_on_vote = 0.0
        self.fault_every_ms = random.choice((80, 200, 400))
        self.client_every_ms = random.choice((25, 60, 150))
        preferred = random.random() < 0.5
        for number, member in self.members.items():
            member.start(0, campaigns_at_once=preferred and number == 1)
            self._at(random.randrange(TICK_MS), TICK, number, member.incarnation)
        self._at(200, CLIENT, 0, None)
        self._at(random.randrange(100, 600), FAULT, 0, None)

    # The run

    def run(self) -> "World":
        """Raises: ViolationError, AssertionError."""
        while not self._is_over:
            self.now_ms, sequence, kind, number, what = heappop(self._events)
            self.trace = (self.trace * 1_000_003 + self.now_ms * 31 + kind * 7 + number + sequence) & MASK
            if not self._is_quiet and self.now_ms >= self.faults_end_ms:
                self._become_quiet()
            if number:
                self._on_member_event(self.members[number], kind, what)
            elif kind == CLIENT:
                self._on_client()
            elif kind == FAULT:
                self._on_fault()
            elif callable(what):
                what()
        for number, member in self.members.items():
            for entry in member.log.held:
                self.trace = (self.trace * 1_000_003 + entry.term * 31 + entry.index + number) & MASK
        return self

    def _at(self, delay_ms: int, kind: int, number: int, what: object) -> None:
        self._sequence += 1
        heappush(self._events, (self.now_ms + delay_ms, self._sequence, kind, number, what))

    def _on_member_event(self, member: Member, kind: int, what: object) -> None:
        if kind == RESTART:
            self._restart(member)
            return
        if member.core is None:
            return
        if self.now_ms < member.paused_until_ms:
            if kind == TICK and what != member.incarnation:
                return
            self._at(member.paused_until_ms - self.now_ms, kind, member.node_id, what)
            return
        if kind == MESSAGE:
            self._on_message(member, what)
        elif kind == TICK:
            self._on_tick(member, what)
        elif what != member.incarnation and kind in {WRITTEN, APPLY}:
            return
        elif kind == WRITTEN:
            self._on_written(member)
        elif kind == APPLY:
            self._apply(member)
            self._drive(member)
        elif kind == LINK:
            self._on_link(member, what)
        elif kind == FETCHED:
            self._on_fetched(member, what)

    def _on_message(self, member: Member, what: object) -> None:
        assert isinstance(what, tuple)
        sender, message, sender_incarnation, incarnation = what
        if sender_incarnation < self.members[sender].fresh_since or incarnation < member.fresh_since:
            return
        assert member.core is not None
        assert isinstance(message, Message)
        self.trace = (self.trace * 1_000_003 + message.term * 131 + sender) & MASK
        now_ms = self.now_ms + member.skew_ms
        if type(message) is Heartbeat:
            row = HeartbeatRow(GROUP, message.term, message.committed, message.round)
            if not member.core.has_ready and member.core.hears_idle_leader(sender, row, now_ms):
                self._send(member, sender, HeartbeatResponse(row.term, row.round))
                return
        elif type(message) is HeartbeatResponse:
            answer = HeartbeatResponseRow(GROUP, message.term, message.round)
            if not member.core.has_ready and member.core.hears_idle_follower(sender, answer, now_ms):
                return
        member.core.step(sender, message, now_ms)
        self._drive(member)

    def _on_tick(self, member: Member, what: object) -> None:
        core = member.core
        if what != member.incarnation or core is None:
            return
        self._at(TICK_MS, TICK, member.node_id, what)
        due_ms = core.due_ms_or_none
        now_ms = self.now_ms + member.skew_ms
        if due_ms is not None and due_ms <= now_ms:
            core.tick(now_ms)
            self._drive(member)

    # The shell's work

    def _drive(self, member: Member) -> None:
        core = member.core
        assert core is not None
        while core.has_ready:
            before = None
            ready = core.take_ready()
            leads = core._leadership is not None
            if leads and any(entry.kind is EntryKind.CONFIGURATION for entry in ready.append):
                before = member.configuration_at(member.log.last_index), self._configuration_index(member)
            member.take(ready)
            if ready.append:
                self.truth.on_appended(member, list(ready.append), member.log.term(Index(ready.append[0].index - 1)))
            if member.waiting and not member.writing:
                self._begin_write(member)
            if leads and member.term_led != core.term:
                member.term_led = core.term
                self.counts["elections"] += 1
                self.truth.on_leading(member)
            self._see_committed(member)
            if before is not None:
                entries = [entry for entry in ready.append if entry.kind is EntryKind.CONFIGURATION]
                self.truth.on_configuration(member, before[0], before[1], entries[-1])
            if core.committed < member.seen_committed:
                raise ViolationError(f"commit of node {member.node_id} falls to {core.committed}")
            for read in ready.reads:
                self.counts["reads"] += 1
                self.truth.on_read(member, read.index, member.reads.pop(read.context))
            for context in ready.failed_reads:
                del member.reads[context]
            if ready.install_from is not None:
                member.installing = ready.install_from
                self.counts["installs"] += 1
                self._at(
                    self.random.randrange(5, 120), FETCHED, member.node_id, (member.incarnation, ready.install_from)
                )
            self._target(member, ready.committed)
        self._see_committed(member)
        member.configuration = core.configuration
        for outgoing in core.take_messages():
            self._send(member, outgoing.to, outgoing.message)
        disk = member.disk
        if (disk.is_damaged or disk.is_doubtful) and not (core.is_damaged or core.is_doubtful):
            self.counts["healed" if disk.is_damaged else "doubt ended"] += 1
            disk.is_damaged = disk.is_doubtful = disk.is_rotten = False
            self.truth.on_healed(member)

    def _see_committed(self, member: Member) -> None:
        core = member.core
        assert core is not None
        if core.committed > member.seen_committed:
            last = min(core.committed, member.log.last_index)
            self.truth.on_committed(member, max(member.seen_committed + 1, member.log.first_index), last)
            member.seen_committed = last

    def _configuration_index(self, member: Member) -> int:
        found = [entry.index for entry in member.log.held if entry.kind is EntryKind.CONFIGURATION]
        return found[-1] if found else 0

    def _target(self, member: Member, committed: int) -> None:
        if committed > member.applied:
            if member.apply_ms:
                self._at(member.apply_ms, APPLY, member.node_id, member.incarnation)
            else:
                self._apply(member)

    def _apply(self, member: Member) -> None:
        core = member.core
        assert core is not None
        last = min(core.committed, core.persisted)
        if last <= member.applied or last < member.log.first_index:
            return
        for index in range(max(member.applied + 1, member.log.first_index), last + 1):
            entry = member.log.entry(index)
            if entry.term == member.told_term and entry.kind is EntryKind.COMMANDS:
                self.truth.on_acknowledged(index, entry.term, entry.header)
                self.counts["acknowledged"] += 1
        member.applied = last
        core.on_applied(Index(last))

    def _begin_write(self, member: Member) -> None:
        member.writing, member.waiting = member.waiting, []
        self._at(1 + self.random.randrange(member.disk_ms), WRITTEN, member.node_id, member.incarnation)
        if self.crash_on_vote and any(
            write.hard_state is not None and write.hard_state.vote not in {None, member.node_id}
            for write in member.writing
        ):
            incarnation = member.incarnation
            if self.random.random() < self.crash_on_vote:
                self.later(0, lambda: self._crash_if(member, incarnation))

    def _on_written(self, member: Member) -> None:
        core = member.core
        assert core is not None
        writes, member.writing = member.writing, []
        hard_states = [write.hard_state for write in writes if write.hard_state is not None]
        if hard_states:
            member.disk.hard_state = hard_states[-1]
        for write in writes:
            member.disk.write(write)
            if write.entries:
                self.truth.on_durable(member, list(write.entries))
        for hard_state in hard_states:
            core.on_hard_state_persisted(hard_state)
        last: Entry | None = None
        for write in writes:
            if write.entries and write.cuts == member.cuts:
                last = write.entries[-1]
        member.disk.note_durable(self.now_ms)
        if last is not None:
            core.on_persisted(last.term, last.index)
        if member.waiting:
            self._begin_write(member)
        self._drive(member)

    def _on_fetched(self, member: Member, what: object) -> None:
        assert isinstance(what, tuple)
        incarnation, install = what
        core = member.core
        if core is None or incarnation != member.incarnation or install != member.installing:
            return
        if member.writing or member.waiting:
            self._at(10, FETCHED, member.node_id, what)
            return
        member.installing = None
        source = self.members[install.leader]
        is_there = (
            source.core is not None and source.disk.log.last_index >= install.index >= source.disk.log.first_index - 1
        )
        if not is_there or not self._is_linked(install.leader, member.node_id) or install.index <= core.committed:
            core.on_install_failed()
            self._drive(member)
            return
        configuration = source.configuration_at(install.index)
        assert configuration is not None
        disk = member.disk
        disk.log = source.disk.log.copy_until(install.index)
        disk.base = source.disk.base
        disk.is_base_logged = True
        disk.checkpoint = disk.log.first_index - 1
        disk.marked = disk.log.last_index
        disk.recent.clear()
        # The core holds this very object as its view.
        log, copy = member.log, disk.log
        log.first_index, log.base_term, log.held = copy.first_index, copy.base_term, list(copy.held)
        member.cuts += 1
        self.truth.on_durable(member, disk.log.held)
        core.on_installed(install.index, configuration)
        self.counts["installed"] += 1
        self._drive(member)

    # The network

    def _is_linked(self, sender: int, to: int) -> bool:
        return (sender, to) not in self.cut_links

    def _send(self, member: Member, to: int, message: Message) -> None:
        random = self.random
        self.truth.on_said(member, to, message)
        target = self.members.get(to)
        if target is None or (self.cut_links and (member.node_id, to) in self.cut_links):
            return
        if self.loss and random.random() < self.loss:
            self.counts["lost"] += 1
            return
        what = (member.node_id, message, member.incarnation, target.incarnation)
        more_ms = self.slow_links.get((member.node_id, to), 0) if self.slow_links else 0
        self._at(1 + more_ms + int(random.random() * self.delay_ms), MESSAGE, to, what)
        if self.duplication and random.random() < self.duplication:
            self.counts["duplicated"] += 1
            self._at(1 + int(random.random() * self.delay_ms * 3), MESSAGE, to, what)

    def _on_link(self, member: Member, what: object) -> None:
        assert isinstance(what, tuple)
        other, is_up = what
        assert member.core is not None
        now_ms = self.now_ms + member.skew_ms
        if is_up:
            member.core.on_peer_up(other, now_ms)
        else:
            member.core.on_peer_down(other, now_ms)
        self._drive(member)

    # Clients

    def _on_client(self) -> None:
        random = self.random
        if not self._is_quiet:
            self._at(1 + random.randrange(2 * self.client_every_ms), CLIENT, 0, None)
        member = random.choice(list(self.members.values()))
        if member.core is None or self.now_ms < member.paused_until_ms:
            return
        if random.random() < 0.6:
            leaders = [other for other in self.members.values() if other.leads and self.now_ms >= other.paused_until_ms]
            if leaders:
                self.propose(random.choice(leaders), random.choice((1, 1, 1, 3, 8)))
        else:
            self.read(member)

    def propose(self, member: Member, count: int) -> None:
        core = member.core
        assert core is not None
        for _ in range(count):
            self._body += 1
            try:
                body = self._body.to_bytes(8, "big") + bytes(self.random.randrange(90))
                core.propose((body,), len(body))
            except (NotLeaderError, LogBusyError):
                break
            self.counts["proposed"] += 1
            member.told_term = core.term
        self._drive(member)

    def read(self, member: Member) -> None:
        assert member.core is not None
        self._body += 1
        try:
            member.core.read_index(self._body)
        except NotLeaderError:
            return
        member.reads[self._body] = self.truth.last_decided
        self._drive(member)

    # Faults

    def _on_fault(self) -> None:
        if self._is_quiet:
            return
        self._at(1 + self.random.randrange(2 * self.fault_every_ms), FAULT, 0, None)
        kind = self.random.choice(self.kinds)
        if FAULTS[kind](self):
            self.counts[kind] += 1

    def any_member(self) -> Member:
        return self.members[self.random.randrange(len(self.members)) + 1]

    def any_leader_or_member(self) -> Member:
        leaders = [member for member in self.members.values() if member.leads]
        return self.random.choice(leaders) if leaders and self.random.random() < 0.5 else self.any_member()

    def later(self, delay_ms: int, what: object) -> None:
        self._at(delay_ms, HEAL, 0, what)

    def cut_link(self, sender: int, to: int, for_ms: int) -> None:
        self.cut_links[(sender, to)] = self.cut_links.get((sender, to), 0) + 1

        def heal() -> None:
            left = self.cut_links.get((sender, to), 0) - 1
            if left > 0:
                self.cut_links[(sender, to)] = left
            else:
                self.cut_links.pop((sender, to), None)

        self.later(for_ms, heal)

    def tell_link(self, number: int, other: int, *, is_up: bool, delay_ms: int) -> None:
        self._at(delay_ms, LINK, number, (other, is_up))

    def crash(self, member: Member, for_ms: int) -> None:
        member.crash()
        if member.disk.is_doubtful:
            self.truth.on_damaged(member)
        if self.random.random() < 0.6:
            for number in self.members:
                if number != member.node_id:
                    self.tell_link(number, member.node_id, is_up=False, delay_ms=1 + self.random.randrange(20))
        self._at(for_ms, RESTART, member.node_id, None)

    def _crash_if(self, member: Member, incarnation: int) -> None:
        if member.core is not None and member.incarnation == incarnation:
            self.crash(member, 1 + self.random.randrange(10))

    def _restart(self, member: Member) -> None:
        if member.core is not None:
            return
        member.paused_until_ms = 0
        self.truth.on_durable(member, member.disk.log.held)
        member.start(self.now_ms)
        if member.disk.is_damaged or member.disk.is_doubtful:
            self.counts["starts in doubt"] += member.disk.is_doubtful
            member.fresh_since = member.incarnation
        if self.random.random() < 0.5:
            for number in self.members:
                if number != member.node_id:
                    self.tell_link(number, member.node_id, is_up=True, delay_ms=1 + self.random.randrange(20))
        self._at(self.random.randrange(TICK_MS), TICK, member.node_id, member.incarnation)

    # Quiet

    def _become_quiet(self) -> None:
        self._is_quiet = True
        self.loss = self.duplication = 0.0
        self.delay_ms = 4
        self.cut_links.clear()
        self.slow_links.clear()
        for member in self.members.values():
            member.paused_until_ms = 0
            member.disk_ms, member.apply_ms = 2, 0
            if member.core is None:
                self._restart(member)
        self._quiet_since_ms = self.now_ms
        self.later(300, self._look)

    def _look(self) -> None:
        """Is there a leader, does a new entry reach all members, and does then nobody disturb it?"""
        leaders = [member for member in self.members.values() if member.leads]
        leader = max(leaders, key=lambda member: member.core.term if member.core else 0, default=None)
        if self.now_ms - self._quiet_since_ms > QUIET_MS:
            if self._is_stuck_by_damage():
                self.counts["stuck by damage"] += 1
                self._is_over = True
                return
            raise ViolationError(f"liveness: {self._described()}")
        self.later(100, self._look)
        if leader is None or leader.core is None:
            self._steady = None
            return
        core = leader.core
        if self._proof is None or self._proof[0] != core.term:
            self.propose(leader, 1)
            if leader.core.role.value == "leader" and leader.told_term == core.term:
                self._proof = (core.term, core.last_index)
            return
        assert core.configuration is not None
        for peer in core.configuration.peers:
            if self.members[peer.node_id].applied < self._proof[1]:
                return
        if self._steady is None or self._steady[1] != core.term:
            if self._steady is not None and self.now_ms - self._quiet_since_ms > QUIET_MS // 2:
                raise ViolationError(f"a leader is disturbed: term {core.term} after {self._steady[1]}")
            self._steady = (self.now_ms, core.term)
        elif self.now_ms - self._steady[0] >= STEADY_MS:
            self._end(leader)

    def _end(self, leader: Member) -> None:
        assert leader.core is not None
        for index, decided in self.truth.acknowledged.items():
            if self.truth.decided[index] != decided:
                raise ViolationError(f"acknowledged entry {index} is lost")
            if index >= leader.log.first_index and (
                leader.log.term(Index(index)) != decided[0] or index > leader.applied
            ):
                raise ViolationError(f"acknowledged entry {index} is not in the last leader's log")
        self.counts["histories"] += 1
        self.counts["entries"] += self.truth.last_decided
        self._is_over = True

    def _is_stuck_by_damage(self) -> bool:
        """Too few whole members are left to elect anybody: nothing but an operator may decide then."""
        for member in self.members.values():
            core = member.core
            assert core is not None
            if core.configuration is not None and not core.is_damaged:
                voters = core.configuration.voters
                whole = [peer for peer in voters if not self.members[peer.node_id].disk.is_damaged]
                if core.role.value != "learner" and 2 * len(whole) <= len(voters):
                    return True
        return False

    def _described(self) -> str:
        lines: list[str] = []
        for member in self.members.values():
            core = member.core
            if core is not None:
                voters = [peer.node_id for peer in core.configuration.voters] if core.configuration else None
                lines.append(
                    f"{member.node_id}: {core.role.value} term {core.term} last {core.last_index} committed "
                    f"{core.committed} applied {member.applied} voters {voters} at {core.configuration_index} "
                    f"damaged {core.is_damaged} doubtful {core.is_doubtful} leader {core.leader_or_none}"
                )
        return "\n".join(lines)
