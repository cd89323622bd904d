"""The votes for one candidate, and whether they elect it. Source: decision 0010.

Two majorities share a member, but it may be one whose disk has rotted: then it has lost what it acknowledged, and votes
for anybody. So the votes of members that cannot rule that out (`doubtful`) do not count, unless nobody is left out: all
voters but those that are known to be damaged hold together whatever was acknowledged, as long as less than half of the
disks have rotted.
"""

from collections.abc import Collection

from .interfaces import NodeId
from .messages import PreVoteResponse, VoteResponse


class Ballot:
    """A voter counts once, whatever comes twice; one that was certain once stays so, as its vote was."""

    def __init__(self) -> None:
        self.granted: set[NodeId] = set()
        self._certain: set[NodeId] = set()
        self._damaged: set[NodeId] = set()

    def grant(self, voter: NodeId, *, is_doubtful: bool) -> None:
        self.granted.add(voter)
        if not is_doubtful:
            self._certain.add(voter)

    def take(self, voter: NodeId, response: PreVoteResponse | VoteResponse) -> None:
        """A response about this very election."""
        if response.is_granted:
            self.grant(voter, is_doubtful=response.is_doubtful)
        elif response.is_damaged:
            self._damaged.add(voter)

    def elects(self, voters: Collection[NodeId]) -> bool:
        """Only those count who are voters now, whoever else was asked or has answered."""
        quorum = len(voters) // 2 + 1
        if sum(node in self._certain for node in voters) >= quorum:
            return True
        granted = sum(node in self.granted for node in voters)
        return granted >= quorum and all(node in self.granted or node in self._damaged for node in voters)
