"""A group as the pulse sees it: when it is to be ticked, what it says while it rests, and how it is woken."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from .acquaintances import Acquaintances
from .codec import HeartbeatRow
from .configuration import Peer
from .engines import Core
from .group_services import GroupServices
from .interfaces import GroupId, NodeId
from .messages import Heartbeat


class OnTick(Protocol):
    def __call__(self, now_ms: int, /, *, is_late: bool) -> None: ...


class TickedGroup:
    """Whoever calls the core in a way that may change what this member says, or waits for, says `wake` before."""

    def __init__(
        self, services: GroupServices, group_id: GroupId, core: Core, members: Acquaintances, on_tick: OnTick
    ) -> None:
        self.is_resting = False
        self._services = services
        self._group_id = group_id
        self._core = core
        self._members = members
        self._on_tick = on_tick

    def follow(self, *, is_ticked: bool) -> None:
        if is_ticked:
            self._services.pulse.add(self)
        else:
            self._services.pulse.discard(self)

    def wake(self) -> None:
        if self.is_resting:
            self._services.pulse.wake(self)

    def may_follow_at_rest(self, leader: Peer) -> bool:
        """It has taken a heartbeat of this leader for nothing but life."""
        return not self._members.is_outside and leader.node_id not in self._members.strangers

    # pulse.Ticked

    @property
    def due_ms(self) -> int:
        """When `on_tick` must be called next, by the clock."""
        due_ms = self._core.due_ms_or_none
        return 0 if due_ms is None or self._members.is_outside else due_ms  # 0: each time

    def on_tick(self, now_ms: int, *, is_late: bool) -> None:
        self._on_tick(now_ms, is_late=is_late)

    def is_waited_for_alive(self) -> bool:
        """By its signs of life: the leader, or with this member, if it leads, a majority of the voters."""
        signs, core, me = self._services.signs, self._core, self._services.me.node_id
        if not core.has_leadership:
            leader = core.leader_or_none
            return leader is not None and leader != me and signs.leads(leader, self._group_id, core.term)
        voters = core.configuration.voters if core.configuration is not None else ()
        alive = sum(peer.node_id == me or signs.lives(peer.node_id) for peer in voters)
        return len(voters) > 1 and 2 * alive > len(voters)

    def heartbeats_at_rest(self) -> Sequence[tuple[NodeId, HeartbeatRow]]:
        if self._members.strangers or self._members.is_outside or self._core.has_ready:
            return ()
        rows: list[tuple[NodeId, HeartbeatRow]] = []
        for outgoing in self._core.heartbeats_at_rest(self._is_up):
            heartbeat = outgoing.message
            assert isinstance(heartbeat, Heartbeat), f"at rest it says {heartbeat}"
            row = HeartbeatRow(self._group_id, heartbeat.term, heartbeat.committed, heartbeat.round)
            rows.append((outgoing.to, row))
        return rows

    def on_wake(self, now_ms: int, heard: Mapping[NodeId, int], beat_due_ms: int) -> None:
        self._core.wake(now_ms, heard, beat_due_ms)

    def _is_up(self, node: NodeId) -> bool:
        return self._services.peer_or_none(node) is not None
