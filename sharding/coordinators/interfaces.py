"""Classic consumer groups as the gateway sees them. `sharding.coordinators.groups` fulfils it over replicated commands.

Protocol metadata and assignments are opaque bytes. Times in ms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinWanted:
    group_id: str
    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    protocol_type: str
    protocols: Sequence[tuple[str, bytes]]
    needs_known_member_id: bool  # JoinGroup >= 4: answer MemberIdRequiredError to a first dynamic join
    can_skip_assignment: bool = False  # JoinGroup >= 9: a returning static leader is told so (KIP-814)


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    generation: int
    protocol_type: str
    protocol: str
    leader_id: str
    member_id: str
    members: Sequence[tuple[str, str | None, bytes]]  # (member id, instance id, metadata): to the leader only
    skip_assignment: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    protocol_type: str
    protocol: str
    assignment: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedOffset:
    offset: int
    leader_epoch: int = -1
    metadata: str = ""
    commit_ms: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberDescription:
    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    metadata: bytes
    assignment: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDescription:
    """`state` is Kafka's word: Empty, PreparingRebalance, CompletingRebalance, Stable, Dead."""

    group_id: str
    state: str
    protocol_type: str
    protocol: str
    generation: int
    members: Sequence[MemberDescription] = field(default_factory=tuple[MemberDescription, ...])


class GroupsApi(Protocol):
    """All may raise CoordinatorLoadingError, NotCoordinatorError and the group errors of `sharding.errors`."""

    async def join(self, wanted: JoinWanted) -> Joined: ...
    async def sync(  # noqa: PLR0913 - the fields of one SyncGroup request
        self,
        group_id: str,
        generation: int,
        member_id: str,
        instance_id: str | None,
        assignments: Mapping[str, bytes],
        *,
        protocol_type: str | None = None,
        protocol: str | None = None,
    ) -> Synced: ...
    def heartbeat(self, group_id: str, generation: int, member_id: str, instance_id: str | None) -> None:
        """Raises: RebalanceInProgressError, UnknownMemberError, IllegalGenerationError, FencedInstanceIdError."""
        ...

    async def leave(self, group_id: str, members: Sequence[tuple[str, str | None]]) -> list[Exception | None]:
        """One outcome per (member id, instance id)."""
        ...

    async def commit(
        self,
        group_id: str,
        generation: int,
        member_id: str,
        instance_id: str | None,
        offsets: Mapping[tuple[str, int], CommittedOffset],
    ) -> None:
        """Durable when it returns. Generation -1 without a member id: a simple consumer, only in an Empty group."""
        ...

    async def fetch(
        self, group_id: str, wanted: Sequence[tuple[str, int]] | None
    ) -> Mapping[tuple[str, int], CommittedOffset]:
        """Committed offsets; None asks for all. A partition without one is absent."""
        ...

    def describe(self, group_id: str) -> GroupDescription:
        """An unknown group is described as Dead."""
        ...

    async def delete(self, group_id: str) -> None:
        """Raises: GroupNotFoundError, NonEmptyGroupError."""
        ...

    async def delete_offsets(self, group_id: str, partitions: Sequence[tuple[str, int]]) -> list[Exception | None]: ...

    def list(self) -> list[GroupDescription]: ...
