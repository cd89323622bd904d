"""Standing for election: who was asked, and who said yes."""

from .ballot import Ballot
from .core_state import CoreState
from .following import Following
from .interfaces import NodeId, Term
from .messages import PreVoteRequest, PreVoteResponse, VoteRequest, VoteResponse


class Candidacy:
    """Of one term. A pre-vote asks about a term that has not begun; an election begins with the own durable vote.

    Source: thesis, 9.6 (pre-vote) and 3.10 (`is_transfer`: the leader itself asked for it).
    """

    def __init__(
        self, state: CoreState, following: Following, term: Term, *, is_pre: bool, is_transfer: bool = False
    ) -> None:
        self._state = state
        self._following = following
        self.term = term
        self.is_pre = is_pre
        self._is_transfer = is_transfer
        self._ballot = Ballot()
        if is_pre:
            self.votes_for_itself()

    @property
    def is_won(self) -> bool:
        return self._ballot.elects(self._state.memberships.voters)

    def votes_for_itself(self) -> None:
        self._ballot.grant(self._state.node_id, is_doubtful=self._following.is_doubtful)

    def on_response(self, voter: NodeId, response: PreVoteResponse | VoteResponse) -> None:
        """Also one to an older question, which says nothing."""
        if response.term == self.term and isinstance(response, PreVoteResponse) == self.is_pre:
            self._ballot.take(voter, response)

    def ask_all(self) -> None:
        """Also again: requests and answers may be lost."""
        for node in self._state.memberships.voters:
            self.ask(node)

    def ask(self, node: NodeId) -> None:
        state = self._state
        granted = self._ballot.granted
        if node in granted or node == state.node_id or node not in state.memberships.voters:
            return
        tail = state.tail
        if self.is_pre:
            state.send(node, PreVoteRequest(self.term, tail.last_term, tail.last))
        elif state.node_id in granted:
            state.send(node, VoteRequest(self.term, tail.last_term, tail.last, self._is_transfer))


def ask_whether_removed(state: CoreState) -> None:
    """Who stands for election is told if it was removed; who may not stand asks alike, and counts no answer."""
    tail = state.tail
    for node in state.memberships.voters:
        if node != state.node_id:
            state.send(node, PreVoteRequest(Term(state.term + 1), tail.last_term, tail.last))
