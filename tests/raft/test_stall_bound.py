"""How long signs of life excuse a silence: not beyond `stall_ms` after the last real message."""

from random import Random

import pytest

from raft.core import RaftCore
from raft.core_state import CoreConfig
from raft.hard_state import HardState
from raft.interfaces import Index, NodeId, Role, Term
from raft.messages import Heartbeat, PreVoteRequest
from raft.syncobj.core import SyncObjCore
from tests.raft.cores import configuration, group
from tests.simulation.cores.member import SimLog

STALL_MS = 3_000
N2, N3 = NodeId(2), NodeId(3)


@pytest.mark.parametrize("kind", [RaftCore, SyncObjCore])
def test_a_follower_waits_for_a_leader_that_only_gives_signs_until_it_is_stalled(
    kind: type[RaftCore | SyncObjCore],
) -> None:
    config = CoreConfig(
        node_id=NodeId(1), configuration=configuration(1, 2, 3), is_configuration_logged=True, applied=Index(0)
    )
    member = kind(config, SimLog(), HardState(Term(1), None), Random(1), 0)
    member.on_peer_up(N2, 0)
    member.on_peer_up(N3, 0)
    member.step(N2, Heartbeat(Term(1), Index(0), 0), 0)

    def has_stood(now_ms: int) -> bool:
        member.tick(now_ms, lives=True)
        if member.has_ready:
            member.take_ready()
        return any(isinstance(outgoing.message, PreVoteRequest) for outgoing in member.take_messages())

    stood_ms = next(now_ms for now_ms in range(0, 3 * STALL_MS, 50) if has_stood(now_ms))
    assert STALL_MS <= stood_ms <= STALL_MS + 200


def test_a_leader_whose_members_only_give_signs_leads_until_they_are_stalled() -> None:
    cores = group(1, 2, 3)
    leader = cores.elect(1)
    begun_ms = cores.now_ms
    for now_ms in range(begun_ms, begun_ms + STALL_MS - 100, 50):
        leader.core.tick(now_ms, lives=True)
        assert leader.core.role is Role.LEADER
    for now_ms in range(begun_ms + STALL_MS - 100, begun_ms + STALL_MS + 200, 50):
        leader.core.tick(now_ms, lives=True)
    assert leader.core.role is not Role.LEADER
