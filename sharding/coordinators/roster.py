"""The members of one classic group, who leads them, and the protocol they can all speak. Pure: times come in."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NewType

from ..errors import FencedInstanceIdError, UnknownMemberError
from .interfaces import JoinWanted, MemberDescription
from .saved import SavedMember

NEW_MEMBER_JOIN_MS = 300_000  # a first join waits this long at most: its client may be gone without a member id
Ticket = NewType("Ticket", int)
Protocols = tuple[tuple[str, bytes], ...]


@dataclass(slots=True, kw_only=True)
class Member:
    """One member; `join_ticket` and `sync_ticket` name the request of it that waits for an answer.

    A member that waits cannot heartbeat, so its session does not expire; only a new one (`is_new`, until its first
    generation) has a deadline then: its client may be gone without knowing the member id.
    """

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    protocols: Protocols
    deadline_ms: int
    assignment: bytes = b""
    is_new: bool = True
    join_ticket: Ticket | None = None
    sync_ticket: Ticket | None = None

    @property
    def expires_ms_or_none(self) -> int | None:
        is_waiting = self.join_ticket is not None or self.sync_ticket is not None
        return None if is_waiting and not self.is_new else self.deadline_ms

    @classmethod
    def newly(cls, wanted: JoinWanted, member_id: str, ticket: Ticket, now_ms: int) -> "Member":
        return cls(
            member_id=member_id,
            instance_id=wanted.instance_id,
            client_id=wanted.client_id,
            client_host=wanted.client_host,
            session_timeout_ms=wanted.session_timeout_ms,
            rebalance_timeout_ms=_rebalance_timeout_ms(wanted),
            protocols=protocols_of(wanted),
            deadline_ms=now_ms + NEW_MEMBER_JOIN_MS,
            join_ticket=ticket,
        )

    @classmethod
    def restored(cls, saved: SavedMember, now_ms: int) -> "Member":
        """As saved, with a full session from now on."""
        return cls(
            member_id=saved.member_id,
            instance_id=saved.instance_id,
            client_id=saved.client_id,
            client_host=saved.client_host,
            session_timeout_ms=saved.session_timeout_ms,
            rebalance_timeout_ms=saved.rebalance_timeout_ms,
            protocols=saved.protocols,
            deadline_ms=now_ms + saved.session_timeout_ms,
            assignment=saved.assignment,
            is_new=False,
        )

    def saved(self, assignment: bytes) -> SavedMember:
        return SavedMember(
            member_id=self.member_id,
            instance_id=self.instance_id,
            client_id=self.client_id,
            client_host=self.client_host,
            session_timeout_ms=self.session_timeout_ms,
            rebalance_timeout_ms=self.rebalance_timeout_ms,
            protocols=self.protocols,
            assignment=assignment,
        )

    def describe(self, protocol: str | None) -> MemberDescription:
        """None: the group is not stable, metadata and assignment say nothing."""
        return MemberDescription(
            member_id=self.member_id,
            instance_id=self.instance_id,
            client_id=self.client_id,
            client_host=self.client_host,
            metadata=b"" if protocol is None else self.metadata(protocol),
            assignment=b"" if protocol is None else self.assignment,
        )

    def touch(self, now_ms: int) -> None:
        self.deadline_ms = now_ms + (NEW_MEMBER_JOIN_MS if self.is_new else self.session_timeout_ms)

    def metadata(self, protocol: str) -> bytes:
        return next((data for name, data in self.protocols if name == protocol), b"")

    def update(self, wanted: JoinWanted) -> None:
        self.client_id, self.client_host = wanted.client_id, wanted.client_host
        self.session_timeout_ms = wanted.session_timeout_ms
        self.rebalance_timeout_ms = _rebalance_timeout_ms(wanted)
        self.protocols = protocols_of(wanted)


class Roster:
    """Members in the order of joining.

    Always: the leader is a member iff there are members; an instance id belongs to one member; there is a protocol
    that every member supports.
    """

    def __init__(self) -> None:
        self.leader_id = ""
        self._members: dict[str, Member] = {}
        self._by_instance: dict[str, str] = {}
        self._support: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def __contains__(self, member_id: str) -> bool:
        return member_id in self._members

    def __getitem__(self, member_id: str) -> Member:
        return self._members[member_id]

    def get_or_none(self, member_id: str) -> Member | None:
        return self._members.get(member_id)

    def of_instance_or_none(self, instance_id: str | None) -> Member | None:
        if instance_id is None or instance_id not in self._by_instance:
            return None
        return self._members[self._by_instance[instance_id]]

    def known(self, member_id: str, instance_id: str | None) -> Member:
        """The member that a request speaks for. Raises: UnknownMemberError, FencedInstanceIdError (KIP-345)."""
        if instance_id is not None:
            owner = self.of_instance_or_none(instance_id)
            if owner is None:
                raise UnknownMemberError(f"no member with instance id {instance_id!r}")
            if owner.member_id != member_id:
                raise FencedInstanceIdError(f"instance id {instance_id!r} belongs to another member")
        if member_id not in self._members:
            raise UnknownMemberError(f"no member {member_id!r}")
        return self._members[member_id]

    def add(self, member: Member) -> None:
        assert member.member_id not in self._members, f"{member.member_id} is a member already"
        if member.instance_id is not None:
            assert member.instance_id not in self._by_instance, f"{member.instance_id} has a member already"
            self._by_instance[member.instance_id] = member.member_id
        self._members[member.member_id] = member
        self._support.update(_names(member))
        if not self.leader_id:
            self.leader_id = member.member_id

    def remove(self, member: Member) -> None:
        del self._members[member.member_id]
        if member.instance_id is not None:
            del self._by_instance[member.instance_id]
        self._support -= Counter(_names(member))
        if self.leader_id == member.member_id:
            self.leader_id = next(iter(self._members), "")

    def update(self, member: Member, wanted: JoinWanted) -> None:
        self._support -= Counter(_names(member))
        member.update(wanted)
        self._support.update(_names(member))

    def rename(self, member: Member, member_id: str) -> None:
        """A static member came back under a new id: it keeps its place in the order, its lead and its assignment."""
        assert member.instance_id is not None, "only static members are replaced"
        if self.leader_id == member.member_id:
            self.leader_id = member_id
        member.member_id = self._by_instance[member.instance_id] = member_id
        self._members = {each.member_id: each for each in self._members.values()}

    def supports(self, names: Iterable[str]) -> bool:
        """A member with these protocols would share one of them with all present members."""
        return any(self._support[name] == len(self._members) for name in names)

    def vote(self) -> str:
        """The protocol that all support and most prefer; a tie goes to the one that was voted for first."""
        assert self._members, "nobody to vote"
        votes: Counter[str] = Counter()
        for member in self._members.values():
            choice = next((name for name, _ in member.protocols if self._support[name] == len(self._members)), None)
            assert choice is not None, f"{member.member_id} shares no protocol with the others"
            votes[choice] += 1
        return votes.most_common(1)[0][0]

    def elect_joined_leader(self) -> bool:
        """Keep the leader if it has joined again, else take the first that has; False: nobody has."""
        leader = self._members.get(self.leader_id)
        if leader is not None and leader.join_ticket is not None:
            return True
        joined = next((each for each in self._members.values() if each.join_ticket is not None), None)
        if joined is not None:
            self.leader_id = joined.member_id
        return joined is not None

    @property
    def joined_count(self) -> int:
        return sum(each.join_ticket is not None for each in self._members.values())

    @property
    def rebalance_timeout_ms(self) -> int:
        return max((each.rebalance_timeout_ms for each in self._members.values()), default=0)


def protocols_of(wanted: JoinWanted) -> Protocols:
    """Copied: they outlive the request's frame."""
    return tuple((name, bytes(metadata)) for name, metadata in wanted.protocols)


def _rebalance_timeout_ms(wanted: JoinWanted) -> int:
    """JoinGroup 0 has no rebalance timeout: there the session timeout is meant."""
    return wanted.rebalance_timeout_ms if wanted.rebalance_timeout_ms > 0 else wanted.session_timeout_ms


def _names(member: Member) -> set[str]:
    return {name for name, _ in member.protocols}
