"""What must hold of all members together, checked at every step. Source: Raft paper, figure 3; thesis, 6.4."""

from raft.configuration import Configuration, decode_configuration
from raft.entries import Entry, EntryKind
from raft.hard_state import HardState
from raft.interfaces import Index, NodeId
from raft.messages import AppendResponse, Message, VoteResponse
from tests.simulation.cores.member import Member


class ViolationError(Exception):
    """A property does not hold."""


class Truth:
    """What has been decided so far, and who may know it."""

    def __init__(self) -> None:
        self.leaders: dict[int, int] = {}
        self.placed: dict[tuple[int, int], tuple[int, bytes]] = {}
        self.decided: dict[int, tuple[int, bytes]] = {0: (0, b"")}
        self.holders: dict[tuple[int, int], set[int]] = {}
        self.last_decided = self.last_decided_in = 0  # the index, and the term in which that was
        self.acknowledged: dict[int, tuple[int, bytes]] = {}
        self.decided_at_damage: dict[int, int] = {}
        self.configurations: dict[int, Configuration] = {}

    def on_leading(self, member: Member) -> None:
        """Election Safety; Leader Completeness: of what was decided before its term, however late it is elected."""
        core = member.core
        assert core is not None
        leader = self.leaders.setdefault(core.term, member.node_id)
        if leader != member.node_id:
            raise ViolationError(f"election safety: nodes {leader} and {member.node_id} lead in term {core.term}")
        if self.last_decided_in > core.term:
            return
        if member.log.first_index - 1 <= self.last_decided <= member.log.last_index:
            has_it = member.log.term(self.last_decided) == self.decided[self.last_decided][0]
        else:
            has_it = self.last_decided <= member.log.last_index
        if not has_it:
            raise ViolationError(
                f"leader completeness: node {member.node_id} leads in term {core.term} without {self.last_decided}"
            )

    def on_appended(self, member: Member, entries: list[Entry], previous_term: int) -> None:
        """Log Matching: an entry of a term stands behind the same entry in every log."""
        for entry in entries:
            place, seen = (entry.index, entry.term), (previous_term, entry.header + b"".join(entry.body))
            if self.placed.setdefault(place, seen) != seen:
                raise ViolationError(f"log matching: entry {entry.index} of term {entry.term} on node {member.node_id}")
            previous_term = entry.term

    def on_durable(self, member: Member, entries: list[Entry]) -> None:
        for entry in entries:
            self.holders.setdefault((entry.index, entry.term), set()).add(member.node_id)

    def on_committed(self, member: Member, first: int, last: int) -> None:
        """State Machine Safety; and what is committed first is on the disks of a majority."""
        core = member.core
        assert core is not None
        if core._leadership is not None and member.log.term(Index(last)) != core.term:
            raise ViolationError(f"node {member.node_id} commits {last}, of an older term, by counting")
        for index in range(first, last + 1):
            entry = member.log.entry(index)
            seen = (entry.term, entry.header)
            decided = self.decided.get(index)
            if decided is None:
                self._check_majority(member, entry)
                self.decided[index] = seen
                self.last_decided, self.last_decided_in = index, core.term
                if entry.kind is EntryKind.CONFIGURATION:
                    self.configurations[index] = decode_configuration(b"".join(entry.body))
            elif decided != seen:
                raise ViolationError(
                    f"state machine safety: entry {index} is of term {entry.term} on node {member.node_id}, "
                    f"was decided with term {decided[0]}"
                )

    def _check_majority(self, member: Member, entry: Entry) -> None:
        core = member.core
        assert core is not None
        holders = self.holders.get((entry.index, entry.term), set())
        # What was in force when the step began decided; the step may have put the next one in force.
        for configuration in (member.configuration, core.configuration):
            assert configuration is not None, "commits without a configuration"
            voters = {peer.node_id for peer in configuration.voters}
            if 2 * len(holders & voters) > len(voters):
                return
        raise ViolationError(f"durability: entry {entry.index} is committed, on the disks of {holders} of {voters}")

    def on_acknowledged(self, index: int, term: int, header: bytes) -> None:
        self.acknowledged[index] = (term, header)
        if self.decided.get(index) != (term, header):
            raise ViolationError(f"acknowledged entry {index} of term {term} is not what was decided")

    def on_configuration(self, member: Member, before: Configuration | None, index_before: int, entry: Entry) -> None:
        """One voter at a time, each step committed before the next one begins, none before one of the own term is."""
        core = member.core
        assert core is not None
        after = decode_configuration(b"".join(entry.body))
        if before is None or set(before.voters) == set(after.voters):
            return
        if len(set(before.voters) ^ set(after.voters)) > 1:
            raise ViolationError(f"membership: from {before} to {after} at once")
        is_own_term_committed = member.log.term(core.committed) == core.term
        if index_before > core.committed or not is_own_term_committed:
            raise ViolationError(f"membership: {after} while {index_before} is not committed ({core.committed})")

    def on_said(self, member: Member, to: int, message: Message) -> None:
        """What a member promises is on its disk when it says so."""
        if isinstance(message, AppendResponse) and not message.is_rejected:
            log, index = member.disk.log, message.index
            if index > log.last_index or (index >= log.first_index and log.term(index) != member.log.term(index)):
                raise ViolationError(
                    f"node {member.node_id} acknowledges {index}, on its disk is up to {log.last_index}"
                )
        elif isinstance(message, VoteResponse) and message.is_granted and not _has_voted(member, message, to):
            raise ViolationError(f"node {member.node_id} tells node {to} of a vote that is not durable")

    def on_damaged(self, member: Member) -> None:
        """Called before it loses anything: what it has of what was decided must be there when it calls itself whole."""
        log = member.disk.log
        index = min(self.last_decided, log.last_index)
        while index >= log.first_index and log.term(Index(index)) != self.decided[index][0]:
            index -= 1
        self.decided_at_damage[member.node_id] = max(index, self.decided_at_damage.get(member.node_id, 0))

    def on_healed(self, member: Member) -> None:
        index, log = self.decided_at_damage.pop(member.node_id), member.disk.log
        if index > log.last_index or (index >= log.first_index and log.term(index) != self.decided[index][0]):
            raise ViolationError(f"node {member.node_id} is healed without {index}: {log.last_index}")

    def on_read(self, member: Member, index: int, floor: int) -> None:
        if index < floor:
            raise ViolationError(f"stale read: {index} on node {member.node_id}, {floor} was known when it began")


def _has_voted(member: Member, response: VoteResponse, candidate: int) -> bool:
    return member.disk.hard_state == HardState(response.term, NodeId(candidate))
