"""Driving a pure group machine by hand: requests at a clock that only the test moves."""

from collections.abc import Mapping, Sequence

from sharding.coordinators.group import Group
from sharding.coordinators.interfaces import Joined, JoinWanted, Synced
from sharding.coordinators.roster import Ticket
from sharding.coordinators.saved import SavedGroup
from sharding.coordinators.values import Answered, GroupLimits, GroupState, SaveWanted, SyncWanted
from sharding.errors import MemberIdRequiredError

LIMITS = GroupLimits(initial_rebalance_delay_ms=0)
SESSION_MS = 10_000
REBALANCE_MS = 60_000
RANGE = (("range", b"m"),)


def join_wanted(
    member_id: str = "",
    instance_id: str | None = None,
    *,
    client_id: str = "c",
    protocols: Sequence[tuple[str, bytes]] = RANGE,
    protocol_type: str = "consumer",
    session_ms: int = SESSION_MS,
    rebalance_ms: int = REBALANCE_MS,
    needs_known_member_id: bool = False,
    can_skip_assignment: bool = False,
    group_id: str = "g",
) -> JoinWanted:
    return JoinWanted(
        group_id=group_id,
        member_id=member_id,
        instance_id=instance_id,
        client_id=client_id,
        client_host="/127.0.0.1",
        session_timeout_ms=session_ms,
        rebalance_timeout_ms=rebalance_ms,
        protocol_type=protocol_type,
        protocols=protocols,
        needs_known_member_id=needs_known_member_id,
        can_skip_assignment=can_skip_assignment,
    )


class Driven:
    """A group, the answers it gave by ticket, and the saves it asked for that were not yet confirmed."""

    def __init__(self, limits: GroupLimits = LIMITS, saved: SavedGroup | None = None) -> None:
        self.now_ms = 1_000_000
        self.group = Group("g", limits, saved, now_ms=self.now_ms)
        self.answers: dict[Ticket, Joined | Synced | Exception] = {}
        self.open_tickets: set[Ticket] = set()
        self.saves: list[SaveWanted] = []
        self.confirmed: list[SavedGroup] = []
        self._fresh = 0
        self.drain()

    @property
    def state(self) -> GroupState:
        return self.group.state

    def drain(self) -> None:
        for output in self.group.take_outputs():
            if isinstance(output, Answered):
                assert output.ticket not in self.answers, "answered twice"
                self.answers[output.ticket] = output.outcome
                self.open_tickets.discard(output.ticket)
            else:
                self.saves.append(output)

    def join(self, wanted: JoinWanted) -> Ticket:
        self._fresh += 1
        try:
            ticket = self.group.join(wanted, f"m{self._fresh}", self.now_ms)
        finally:
            self.drain()
        if ticket not in self.answers:
            self.open_tickets.add(ticket)
        return ticket

    def sync(self, member_id: str, assignments: Mapping[str, bytes] | None = None, **fields: object) -> Ticket:
        wanted = {"generation": self.group.generation, "instance_id": None, **fields}
        try:
            ticket = self.group.sync(
                SyncWanted(member_id=member_id, assignments=assignments or {}, **wanted),  # type: ignore[arg-type]
                self.now_ms,
            )
        finally:
            self.drain()
        if ticket not in self.answers:
            self.open_tickets.add(ticket)
        return ticket

    def heartbeat(self, member_id: str, generation: int | None = None, instance_id: str | None = None) -> None:
        generation = self.group.generation if generation is None else generation
        self.group.heartbeat(generation, member_id, instance_id, self.now_ms)

    def leave(self, *leaving: tuple[str, str | None]) -> list[Exception | None]:
        outcomes = self.group.leave(leaving, self.now_ms)
        self.drain()
        return outcomes

    def confirm(self, error: Exception | None = None) -> None:
        """End the oldest save."""
        save = self.saves.pop(0)
        if error is None:
            self.confirmed.append(save.group)
        self.group.on_saved(save.number, error, self.now_ms)
        self.drain()

    def pass_time(self, ms: int) -> None:
        """Go on by `ms`, stopping at each deadline on the way as the owner would."""
        end = self.now_ms + ms
        while (at := self.group.next_deadline_ms()) is not None and at <= end:
            self.now_ms = max(self.now_ms, at)
            self.group.on_time(self.now_ms)
            self.drain()
        self.now_ms = end

    # -- longer ways -----------------------------------------------------------------------------------------------

    def joined(self, ticket: Ticket) -> Joined:
        answer = self.answers[ticket]
        assert isinstance(answer, Joined), answer
        return answer

    def synced(self, ticket: Ticket) -> Synced:
        answer = self.answers[ticket]
        assert isinstance(answer, Synced), answer
        return answer

    def assemble(self, *wanted: JoinWanted) -> list[Joined]:
        """A first generation of these members, still without assignments; the first leads."""
        tickets = [self.join(each) for each in wanted]
        self.pass_time(0)
        return [self.joined(ticket) for ticket in tickets]

    def stabilize(self, *wanted: JoinWanted) -> list[str]:
        """A stable group of these members, each assigned its own member id; returns the ids, the leader first."""
        members = [joined.member_id for joined in self.assemble(*wanted)]
        for member_id in members[1:]:
            self.sync(member_id)
        self.sync(members[0], {member_id: member_id.encode() for member_id in members})
        self.confirm()
        assert self.state is GroupState.STABLE
        return members

    def required_id(self, wanted: JoinWanted) -> str:
        try:
            self.join(wanted)
        except MemberIdRequiredError as error:
            return error.member_id
        raise AssertionError("joined at once")
