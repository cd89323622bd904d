"""When a member stands for election, and whom it votes for."""

from .core_state import CoreState, Randomness, Timings
from .following import Following
from .interfaces import NodeId
from .messages import PreVoteRequest, PreVoteResponse, VoteRequest, VoteResponse


class ElectionTimer:
    """How long a member waits for its leader; drawn anew each time it stands, so that two seldom stand together."""

    def __init__(self, timings: Timings, random: Randomness, now_ms: int) -> None:
        self._timings = timings
        self._random = random
        self._heard_ms = now_ms
        self._was_late = False
        self._timeout_ms = self._drawn_ms()
        self.due_ms: int | None = now_ms + self._timeout_ms

    def _drawn_ms(self) -> int:
        return self._random.randrange(self._timings.election_ms, 2 * self._timings.election_ms)

    def draw(self) -> None:
        self._timeout_ms = self._drawn_ms()

    def arm(self, now_ms: int) -> None:
        self.due_ms = now_ms + self._timeout_ms

    def arm_by(self, due_ms: int) -> None:
        """Not later than `due_ms`."""
        self.due_ms = due_ms if self.due_ms is None else min(due_ms, self.due_ms)

    def hear(self, now_ms: int) -> None:
        """The leader has spoken then; that is told late where nothing was to be done about it."""
        if now_ms < self._heard_ms:
            return
        self._heard_ms = now_ms
        self.due_ms = now_ms + self._timeout_ms
        self._was_late = False

    def has_heard(self, now_ms: int) -> bool:
        """The leader spoke within the shortest election time."""
        return now_ms - self._heard_ms < self._timings.election_ms

    def fires(self, now_ms: int, *, is_late: bool, is_alone: bool, lives: bool = False) -> bool:
        """Time is up. What the leader said may wait in our sockets while our loop is late: once, that excuses it."""
        if self.due_ms is None or now_ms < self.due_ms:
            return False
        is_late = is_late or now_ms - self.due_ms > self._timings.heartbeat_ms
        lives = lives and now_ms - self._heard_ms < self._timings.stall_ms
        is_excused = lives or (is_late and not self._was_late and not is_alone)
        self._was_late = is_excused and not lives
        if is_excused:
            self.due_ms = now_ms + self._timings.heartbeat_ms
        return not is_excused


class Voting:
    """One vote a term, told when it is durable. Source: Raft paper, 5.2 and 5.4.1."""

    def __init__(self, state: CoreState, following: Following) -> None:
        self._state = state
        self._following = following
        self._held: NodeId | None = None

    def begin_term(self) -> None:
        """A vote of an older term need not be told any more."""
        self._held = None

    def answer_pre_vote(self, sender: NodeId, request: PreVoteRequest, *, is_protected: bool) -> None:
        state = self._state
        following = self._following
        is_open = request.term > state.term and not is_protected
        is_granted = is_open and self._may_vote_for(request)
        is_damaged = is_open and following.is_damaged
        term = request.term if is_granted or is_damaged else state.term
        state.send(sender, PreVoteResponse(term, is_granted, is_granted and following.is_doubtful, is_damaged))

    def answer_vote(self, sender: NodeId, request: VoteRequest) -> bool:
        """Whether it is granted. Learners vote too: one may have been promoted without having heard of it."""
        state = self._state
        vote = state.hard_state.vote
        is_free = vote in {None, sender} and self._following.leader is None
        if request.term < state.term or not is_free or not self._may_vote_for(request):
            is_damaged = self._following.is_damaged
            state.send(sender, VoteResponse(state.term, is_granted=False, is_damaged=is_damaged))
            return False
        if vote is None:
            state.vote_for(sender)
        self._held = sender
        self.on_durable()
        return True

    def on_durable(self) -> None:
        state = self._state
        if self._held is not None and state.durable == state.hard_state:
            is_doubtful = self._following.is_doubtful
            state.send(self._held, VoteResponse(state.term, is_granted=True, is_doubtful=is_doubtful))
            self._held = None

    def _may_vote_for(self, request: PreVoteRequest | VoteRequest) -> bool:
        """A damaged member has lost what it acknowledged: it cannot say who has everything."""
        tail = self._state.tail
        is_newer = (request.last_term, request.last_index) >= (tail.last_term, tail.last)
        return is_newer and not self._following.is_damaged
