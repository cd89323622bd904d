"""Standing for election: who was asked, and who said yes. A voter counts once, whatever comes twice."""

from .core_state import CoreState
from .interfaces import NodeId, Term
from .messages import PreVoteRequest, VoteRequest


class Candidacy:
    """Of one term. A pre-vote asks about a term that has not begun; an election begins with the own durable vote.

    Source: thesis, 9.6 (pre-vote) and 3.10 (`is_transfer`: the leader itself asked for it).
    """

    def __init__(self, state: CoreState, term: Term, *, is_pre: bool, is_transfer: bool = False) -> None:
        self._state = state
        self.term = term
        self.is_pre = is_pre
        self._is_transfer = is_transfer
        self._granted: set[NodeId] = set()

    @property
    def is_won(self) -> bool:
        """Only those count who are voters now, whoever else was asked or has answered."""
        memberships = self._state.memberships
        return sum(node in self._granted for node in memberships.voters) >= memberships.quorum

    def on_granted(self, voter: NodeId) -> None:
        self._granted.add(voter)

    def ask_all(self) -> None:
        """Also again: requests and answers may be lost."""
        for node in self._state.memberships.voters:
            self.ask(node)

    def ask(self, node: NodeId) -> None:
        state = self._state
        if node in self._granted or node == state.node_id or node not in state.memberships.voters:
            return
        tail = state.tail
        if self.is_pre:
            state.send(node, PreVoteRequest(self.term, tail.last_term, tail.last))
        elif state.node_id in self._granted:
            state.send(node, VoteRequest(self.term, tail.last_term, tail.last, self._is_transfer))
