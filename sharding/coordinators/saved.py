"""A group as it is replicated: what a SaveGroup command carries and a slot's snapshot holds.

Msgpack arrays; a field may only be added at the end, with a default.
"""

import msgspec


class SavedMember(msgspec.Struct, array_like=True, frozen=True):
    """A member of a completed rebalance; `protocols` are (name, metadata) in the member's order of preference."""

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    protocols: tuple[tuple[str, bytes], ...]
    assignment: bytes


class SavedGroup(msgspec.Struct, array_like=True, frozen=True):
    """A generation of a group: Stable if it has members, Empty without; the leader is one of the members."""

    group_id: str
    protocol_type: str
    generation: int
    protocol: str
    leader_id: str
    members: tuple[SavedMember, ...]
