"""`HardenedSyncObj` with one of its precautions taken away: each must be noticed by what is checked here."""

from collections.abc import Collection

from raft.ballot import Ballot
from raft.entries import Entry
from raft.hard_state import HardState
from raft.interfaces import Index, NodeId, Term
from raft.messages import AppendRequest, AppendResponse, PreVoteResponse, VoteResponse
from raft.syncobj.barriers import Asked, Barriers
from raft.syncobj.core import SyncObjCore
from raft.syncobj.hardened import LEADER, HardenedSyncObj

from .world import World


class TruncatesAlways(HardenedSyncObj):
    """As stock does: what follows is cut off, the same or not."""

    def _unknown_part(self, message: AppendRequest) -> tuple[Index, Term, list[Entry]] | None:
        return message.prev_index, message.prev_term, list(message.entries)


class TakesAnyTerm(HardenedSyncObj):
    def _is_of_this_term(self, message: AppendResponse) -> bool:
        return True


class CountsItselfUndurable(HardenedSyncObj):
    def _own_durable(self) -> Index:
        return self._state.tail.last if self.is_in(LEADER) else super()._own_durable()


class AcknowledgesUndurable(HardenedSyncObj):
    def _own_durable(self) -> Index:
        return super()._own_durable() if self.is_in(LEADER) else self._state.tail.last


class CountingBallot(Ballot):
    count = 0

    def take(self, voter: NodeId, response: PreVoteResponse | VoteResponse) -> None:
        super().take(voter, response)
        self.count += response.is_granted

    def elects(self, voters: Collection[NodeId]) -> bool:
        return 1 + self.count > len(voters) // 2


class CountsVotesTwice(HardenedSyncObj):
    ballot_type = CountingBallot


class BelievesCommitIndex(HardenedSyncObj):
    def _clamped(self, committed: Index, end: Index) -> Index:
        return committed


class VotesDamaged(HardenedSyncObj):
    @property
    def is_damaged(self) -> bool:
        return False

    @is_damaged.setter
    def is_damaged(self, value: bool) -> None:
        pass


class SpeaksAtOnce(SyncObjCore):
    """Votes and terms are told before they are durable."""

    def _may_leave(self, made_with: HardState) -> bool:
        return True


class SharesBarriers(SyncObjCore):
    """A read joins a barrier that is under way already."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # pyright: ignore[reportArgumentType] - handed through
        self._barriers = _Joinable()


class _Joinable(Barriers):
    def add(self, asked: Asked) -> None:
        if self._index is not None:
            self._under_way.append(asked)
        else:
            super().add(asked)


class ForgetfulWorld(World):
    forgets_configurations = True


def on(engine_type: type[HardenedSyncObj]) -> type[SyncObjCore]:
    """A core whose engine is this one."""
    return type(f"{engine_type.__name__}Core", (SyncObjCore,), {"engine_type": engine_type})
