"""`SyncObj` 0.3.17, hardened. What it does as the library has it: terms, votes, elections, matching of logs, counting.

What is replaced, because stock loses acknowledged writes (`tests/raft/conformance/test_stock_loss.py`):

- entries that are held already are skipped, so that only a real conflict cuts anything off (`_unknown_part`);
- a commit index counts up to the last entry that its message speaks of (`_clamped`);
- an acknowledgement says term and index, is given for durable entries only, and never for what was cut since; a leader
  takes none of another term (`_is_of_this_term`), and goes back with what it sends only after a refusal;
- a leader counts itself only as far as its own disk is (`_own_durable`);
- votes are a `Ballot`, and `SyncObj` counts them when they elect; a member with a damaged log does not vote nor stand;
- an election is tried before a term is begun (pre-vote), and who hears its leader takes no part in one;
- the members are those of the configuration entries in the log, forwards and backwards (`configure`);
- entries leave in batches, in a window (`take_appends`); who needs what is released fetches files: no fork, no pickle.

Messages are those of `messages`; what must wait for the disk is held back by `core`.
"""

from random import Random
from typing import Any

from pysyncobj import SyncObj
from pysyncobj.node import Node

from ..ballot import Ballot
from ..core_state import CoreConfig, CoreState
from ..entries import Entry
from ..following import Install
from ..interfaces import Index, NodeId, Term
from ..messages import (
    AppendRequest,
    AppendResponse,
    Heartbeat,
    HeartbeatResponse,
    InstallRequest,
    InstallResponse,
    Message,
    PreVoteRequest,
    PreVoteResponse,
    TimeoutNow,
    VoteRequest,
    VoteResponse,
)
from ..progress import Progress, ProgressState
from .clocks import make_current
from .journal import LogJournal
from .library import NoPoller, Outlet, library_settings
from .private_names import check_library
from .sending import Sending

check_library()

FOLLOWER, CANDIDATE, LEADER = range(3)
NEVER = 1 << 62
ENGINE_MESSAGES = (
    PreVoteRequest,
    PreVoteResponse,
    VoteRequest,
    VoteResponse,
    AppendRequest,
    AppendResponse,
    Heartbeat,
    InstallRequest,
    InstallResponse,
    TimeoutNow,
)


class HardenedSyncObj(SyncObj):
    """Every call that may read the time or draw begins with `_enter`. Nothing here waits for the disk."""

    ballot_type = Ballot

    def __init__(self, state: CoreState, journal: LogJournal, random: Random, now_ms: int, config: CoreConfig) -> None:
        # Set before `SyncObj.__init__`, which already asks for the time.
        self._state = state
        self._journal = journal
        self._random = random
        self._sending = Sending(state)
        self._node = Node(state.node_id)
        self._members: dict[Node, Progress] = {}
        self._configured = Index(-1)
        self._votes = self.ballot_type()
        self._pre_votes: Ballot | None = None
        self._is_transfer = False
        self._ask_due_ms = 0
        self._heard_ms = -NEVER
        self._asked = Index(0)
        self._forget_verified()
        self._is_beat_due = False
        self.installing: Install | None = None
        self.has_new_install = False
        self.is_damaged = config.is_damaged
        self.is_doubtful = config.is_doubtful
        self.now_ms = now_ms
        self._enter(now_ms)
        super().__init__(self._node, (), library_settings(state.timings), transport=Outlet(self))
        self._poller = NoPoller()
        self._SyncObj__raftLog = journal
        self._SyncObj__raftCurrentTerm = journal.getCurrentTerm()
        self._SyncObj__votedForNodeId = journal.getVotedForNodeId()
        self._SyncObj__raftCommitIndex = journal.getRaftCommitIndex()
        self._SyncObj__raftLastApplied = journal.getRaftCommitIndex()
        self.configure()

    # The clocks of `clocks`

    @property
    def now_s(self) -> float:
        return self.now_ms / 1_000

    def draw(self) -> float:
        return self._random.random()

    def _enter(self, now_ms: int) -> None:
        self.now_ms = max(self.now_ms, now_ms)
        make_current(self)

    # What `core` asks

    def is_in(self, raft_state: int) -> bool:
        return self._SyncObj__raftState == raft_state

    def known_leader(self) -> NodeId | None:
        leader = self._SyncObj__raftLeader
        return None if leader is None else leader.id

    def own_no_op(self) -> Index:
        """On a leader: the entry with which its term began."""
        return Index(self._SyncObj__noopIDx or NEVER)

    def progress(self) -> list[Progress]:
        return [self._members[node] for node in sorted(self._members, key=_id_of)]

    def may_stand(self) -> bool:
        return self._state.memberships.is_voter and not self.is_damaged and self.installing is None

    def due_ms(self) -> int:
        """When `tick` has something to do: the heartbeat, or the election."""
        is_leading = self.is_in(LEADER)
        due_s = self._SyncObj__newAppendEntriesTime if is_leading else self._SyncObj__raftElectionDeadline
        return int(due_s * 1_000) + 1

    # What `core` tells

    def tick(self, now_ms: int) -> None:
        self._enter(now_ms)
        if not self.is_in(LEADER):
            must_ask = self._SyncObj__otherNodes and not self._is_transfer  # learners have no vote
            if not self.may_stand():
                self._postpone_election()
            elif must_ask and self._SyncObj__raftElectionDeadline < self.now_s:
                self._ask_before()
            elif self.now_ms >= self._ask_due_ms:
                self._ask_again()
        self._onTick(0.0)
        self._note_committed()

    def give_time(self, now_ms: int, heard_within_ms: int | None = None) -> None:
        """One heartbeat more until anybody is thought silent; or only for those that spoke so lately."""
        self._enter(now_ms)
        until_s = self.now_s + self._state.timings.heartbeat_ms / 1_000
        if heard_within_ms is None or now_ms - self._heard_ms < heard_within_ms:
            self._SyncObj__raftElectionDeadline = max(self._SyncObj__raftElectionDeadline, until_s)
        heard_s = until_s - self._state.timings.election_ms / 1_000
        for node, at_s in self._SyncObj__lastResponseTime.items():
            if heard_within_ms is None or now_ms - self._members[node].heard_ms < heard_within_ms:
                self._SyncObj__lastResponseTime[node] = max(at_s, heard_s)

    def stand_now(self, now_ms: int) -> None:
        """At the next tick, if anybody can be reached."""
        self._enter(now_ms)
        self._SyncObj__raftElectionDeadline = -1.0

    def lose_leader(self, now_ms: int, stand_in_ms: int) -> None:
        """Its connection is closed: no need to wait for its silence, nor to protect it."""
        self._enter(now_ms)
        self._SyncObj__raftLeader = None
        if self.may_stand():
            due_s = self.now_s + stand_in_ms / 1_000
            self._SyncObj__raftElectionDeadline = min(self._SyncObj__raftElectionDeadline, due_s)

    def connect(self, node_id: NodeId, now_ms: int) -> None:
        """What was under way to it before is gone."""
        self._enter(now_ms)
        node = Node(node_id)
        self._SyncObj__onNodeConnected(node)
        if node in self._members:
            self._members[node].probe_from(Index(self._members[node].match + 1))

    def disconnect(self, node_id: NodeId, now_ms: int) -> None:
        self._enter(now_ms)
        self._SyncObj__onNodeDisconnected(Node(node_id))

    def on_persisted(self, now_ms: int) -> None:
        """More of the log is durable."""
        self._enter(now_ms)
        if self.is_in(LEADER):
            self._onTick(0.0)
        elif (leader := self._SyncObj__raftLeader) is not None:
            self._acknowledge(leader)
        self._note_committed()

    def on_applied(self, index: Index) -> None:
        self._SyncObj__raftLastApplied = index

    def step_down(self, term: Term, now_ms: int) -> None:
        """Another member is in a later term."""
        self._enter(now_ms)
        self._SyncObj__setCurrentTerm(term, None)
        self._SyncObj__setState(FOLLOWER)
        self._SyncObj__raftLeader = None
        self._postpone_election()

    def _ask_before(self) -> None:
        """Would a majority vote for this member? Only then a term is begun. Source: Ongaro's thesis, 9.6."""
        self._postpone_election()
        self._SyncObj__raftLeader = None
        self._pre_votes = self.ballot_type()
        self._pre_votes.grant(self._state.node_id, is_doubtful=self.is_doubtful)
        self._ask_again()

    def _ask_again(self) -> None:
        """Requests and answers may be lost, and a member may only just have started."""
        state, tail = self._state, self._state.tail
        self._ask_due_ms = self.now_ms + state.timings.heartbeat_ms
        request: PreVoteRequest | VoteRequest
        if self._pre_votes is not None:
            request = PreVoteRequest(Term(state.term + 1), tail.last_term, tail.last)
            answered = self._pre_votes.granted
        elif self.is_in(CANDIDATE):
            request = VoteRequest(state.term, tail.last_term, tail.last, self._is_transfer)
            answered = self._votes.granted
        else:
            return
        for node in sorted(self._SyncObj__otherNodes, key=_id_of):
            if node.id not in answered:
                state.send(node.id, request)

    def _on_pre_vote(self, voter: NodeId, message: PreVoteResponse) -> None:
        ballot = self._pre_votes
        if ballot is None or message.term != self._state.term + 1:
            return
        ballot.take(voter, message)
        if ballot.elects(self._state.memberships.voters):
            self._pre_votes = None
            self._SyncObj__raftElectionDeadline = -1.0
            self._onTick(0.0)

    def _is_protected(self) -> bool:
        """It leads, or has heard its leader within the shortest election time."""
        is_following = self._SyncObj__raftLeader is not None
        return self.is_in(LEADER) or (is_following and self.now_ms - self._heard_ms < self._state.timings.election_ms)

    def _may_vote_for(self, message: PreVoteRequest | VoteRequest) -> bool:
        """A damaged member has lost what it acknowledged: its vote would be worth nothing."""
        tail = self._state.tail
        return not self.is_damaged and (message.last_term, message.last_index) >= (tail.last_term, tail.last)

    def _postpone_election(self) -> None:
        self._SyncObj__raftElectionDeadline = self.now_s + self._SyncObj__generateRaftTimeout()

    # Messages

    def receive(self, sender: NodeId, message: Message, now_ms: int) -> None:
        self._enter(now_ms)
        node = Node(sender)
        match message:
            case AppendRequest():
                self._on_append_request(node, message)
            case AppendResponse():
                self._on_append_response(node, message)
            case Heartbeat():
                if self._hear(node, message, HeartbeatResponse(self._state.term, 0), message.committed):
                    self._state.send(sender, HeartbeatResponse(self._state.term, message.round))
            case InstallRequest():
                if self._hear(node, message, HeartbeatResponse(self._state.term, 0), Index(0)):
                    self._on_install_request(node, message)
            case InstallResponse():
                self._on_install_response(node, message)
            case _:
                self._receive_about_election(node, message)
        self.configure()
        self._note_committed()

    def _receive_about_election(self, node: Node, message: Message) -> None:
        match message:
            case PreVoteRequest():
                is_open = message.term > self._state.term and not self._is_protected()
                is_granted, is_damaged = is_open and self._may_vote_for(message), is_open and self.is_damaged
                term = message.term if is_granted or is_damaged else self._state.term
                is_doubtful = is_granted and self.is_doubtful
                self._state.send(node.id, PreVoteResponse(term, is_granted, is_doubtful, is_damaged))
            case PreVoteResponse():
                self._on_pre_vote(node.id, message)
            case VoteRequest():
                self._on_vote_request(node, message)
            case VoteResponse():
                if message.term == self._state.term and self.is_in(CANDIDATE):
                    self._votes.take(node.id, message)
                    self._win_if_elected()
            case TimeoutNow():
                if self.may_stand() and message.term == self._state.term and self.is_in(FOLLOWER):
                    self._is_transfer = True
                    self._SyncObj__onMessageReceived(node, {"type": "timeout_now", "term": message.term})
                    self._onTick(0.0)
            case _:
                raise AssertionError(f"{type(message).__name__} is not for this engine")

    def _on_vote_request(self, node: Node, message: VoteRequest) -> None:
        state = self._state
        if message.term < state.term:
            state.send(node.id, VoteResponse(state.term, is_granted=False))
        elif message.term == state.term and state.hard_state.vote == node.id and not self.is_in(LEADER):
            # `SyncObj` would say it only once.
            state.send(node.id, VoteResponse(state.term, is_granted=True, is_doubtful=self.is_doubtful))
        elif message.term > state.term and self._is_protected() and not message.is_transfer:
            pass
        elif self.is_damaged:
            state.send(node.id, VoteResponse(message.term, is_granted=False, is_damaged=True))
        else:  # learners vote, too: one may have been promoted without having heard of it
            wanted = {"type": "request_vote", "term": message.term}
            last = {"last_log_index": message.last_index, "last_log_term": message.last_term}
            self._SyncObj__onMessageReceived(node, wanted | last)

    def _win_if_elected(self) -> None:
        """`SyncObj`, which counts each vote in full and its own first, hears of the others' when they elect."""
        voters = self._state.memberships.voters
        if self._votes.elects(voters):
            for voter in sorted(self._votes.granted.intersection(voters) - {self._state.node_id}):
                vote = {"type": "response_vote", "term": self._state.term}
                self._SyncObj__onMessageReceived(Node(voter), vote)

    def _on_append_request(self, node: Node, message: AppendRequest) -> None:
        state = self._state
        refusal = AppendResponse(state.term, True, message.prev_index, message.round)
        if not self._hear(node, message, refusal, Index(0)) or self.installing is not None:
            return
        self._leader_committed = message.committed
        self._asked = message.prev_index
        end = Index(message.prev_index + len(message.entries))
        unknown = self._unknown_part(message)
        if unknown is not None:
            prev_index, prev_term, entries = unknown
            rows = [(entry, entry.index, entry.term) for entry in entries]
            place = {"prevLogIdx": prev_index, "prevLogTerm": prev_term, "entries": rows}
            heard = {"type": "append_entries", "term": message.term}
            commit_index = self._clamped(message.committed, end)
            self._SyncObj__onMessageReceived(node, heard | place | {"commit_index": commit_index})
        else:
            self._hear(node, message, refusal, self._clamped(message.committed, end))
            self._SyncObj__sendNextNodeIdx(node, nextNodeIdx=end + 1, success=True)

    def _hear(self, node: Node, message: Message, answer: Message, committed: Index) -> bool:
        """The leader of this term, or of a later one, speaks; one of an earlier term is answered, and False."""
        state = self._state
        if message.term < state.term:
            state.send(node.id, answer)
            return False
        assert not (self.is_in(LEADER) and message.term == state.term), f"a second leader in term {state.term}"
        self._heard_ms = self.now_ms
        self._pre_votes = None
        if message.term > state.term:
            self._SyncObj__setCurrentTerm(message.term, None)
        # Without a place for entries `SyncObj` takes over leader, term and commit index, and leaves the log alone.
        commit_index = self._clamped(committed, self._verified)
        heard = {"type": "append_entries", "term": message.term, "commit_index": commit_index}
        self._SyncObj__onMessageReceived(node, heard)
        return True

    def _unknown_part(self, message: AppendRequest) -> tuple[Index, Term, list[Entry]] | None:
        """Behind which entry of ours what begins that we do not hold; None: we hold all of it."""
        journal, entries = self._journal, list(message.entries)
        if message.prev_index >= self._state.tail.floor and not journal.holds(message.prev_index, message.prev_term):
            return message.prev_index, message.prev_term, entries
        for at, entry in enumerate(entries):
            if entry.index > self._state.tail.floor and not journal.holds(entry.index, entry.term):
                before = Index(entry.index - 1)
                return before, self._state.tail.term(before), entries[at:]
        return None

    def _clamped(self, committed: Index, end: Index) -> Index:
        """What we hold behind `end` was not compared with the leader's log."""
        return min(committed, end)

    def _SyncObj__sendNextNodeIdx(  # noqa: N802 - replaces the library's
        self,
        node: Node,
        reset: bool = False,
        nextNodeIdx: int | None = None,  # noqa: N803 - as the library has it
        success: bool = False,
    ) -> None:
        """The answer to an append request: verified up to before `nextNodeIdx`, or refused; go on from there."""
        state = self._state
        if success:
            assert nextNodeIdx is not None, "an answer that says nothing"
            self._verified = max(self._verified, Index(nextNodeIdx - 1))
            self._acknowledge(node)
            return
        last = state.tail.last if nextNodeIdx is None else min(nextNodeIdx - 1, state.tail.last)
        hint = Index(max(last, state.committed))
        state.send(node.id, AppendResponse(state.term, True, self._asked, 0, hint, state.tail.term(hint)))

    def _acknowledge(self, leader: Node) -> None:
        state = self._state
        index = min(self._verified, self._own_durable())
        state.send(leader.id, AppendResponse(state.term, False, index, 0))
        if 0 < self._leader_committed <= index:
            self._heal_by(self._leader_committed)

    def _heal_by(self, committed: Index) -> None:
        """A leader's commit index of its own term stands behind all that was committed before that term."""
        if (self.is_damaged or self.is_doubtful) and self._state.tail.term(committed) == self._state.term:
            self.is_damaged = self.is_doubtful = False

    def _forget_verified(self) -> None:
        """Of the log of the leader that comes, only what is committed is known to be the same."""
        self._verified = self._state.committed
        self._leader_committed = Index(0)

    def _on_install_request(self, node: Node, message: InstallRequest) -> None:
        state, index = self._state, message.index
        if index <= state.committed or (index <= state.tail.last and self._journal.holds(index, message.index_term)):
            if index <= state.tail.persisted:
                state.send(node.id, InstallResponse(state.term, index))
        elif self.installing is None:
            self.installing, self.has_new_install = Install(node.id, index, message.index_term), True

    def on_installed(self, index: Index) -> None:
        """The log ends there now, durable and committed."""
        self.installing = None
        self._verified = index  # the log ends there, wherever it ended before
        self._SyncObj__raftCommitIndex = self._SyncObj__raftLastApplied = index
        self.configure()
        self._note_committed()
        leader = self._SyncObj__raftLeader
        if leader is not None:
            self._state.send(leader.id, InstallResponse(self._state.term, index))

    def _on_install_response(self, node: Node, message: InstallResponse) -> None:
        member = self._members.get(node)
        if member is None or not self.is_in(LEADER) or message.term != self._state.term:
            return
        self._note_heard(node, member)
        if member.state is ProgressState.INSTALL and message.index <= self._state.tail.last:
            member.match = max(member.match, message.index)
            self._SyncObj__raftMatchIndex[node] = member.match
            member.probe_from(Index(message.index + 1))

    def _own_durable(self) -> Index:
        return self._state.tail.persisted

    def _on_append_response(self, node: Node, message: AppendResponse) -> None:
        member = self._members.get(node)
        if member is None or not self.is_in(LEADER) or not self._is_of_this_term(message):
            return
        self._note_heard(node, member)
        if member.state is ProgressState.INSTALL:
            return
        if message.is_rejected:
            if member.state is ProgressState.PROBE and message.index != member.next - 1:
                return  # the answer to an older question
            # It may have come back with less than it had acknowledged: what it lacks counts no more.
            agreed = Index(max(min(member.next - 2, message.hint_index), self._state.tail.floor - 1, 0))
            member.match = min(member.match, agreed)
            self._SyncObj__raftMatchIndex[node] = member.match
            member.probe_from(Index(agreed + 1))
            return
        assert message.index <= self._state.tail.last, f"{message.index} acknowledged of {self._state.tail.last}"
        member.on_accepted(message.index)
        self._SyncObj__raftMatchIndex[node] = member.match
        self._onTick(0.0)

    def _note_heard(self, node: Node, member: Progress) -> None:
        member.heard_ms = self.now_ms
        self._SyncObj__lastResponseTime[node] = self.now_s

    def _is_of_this_term(self, message: AppendResponse) -> bool:
        return message.term == self._state.term

    def send(self, to: NodeId, message: dict[str, Any]) -> None:
        """What `SyncObj` itself sends."""
        match message["type"]:
            case "request_vote":
                last_term, last = Term(message["last_log_term"]), Index(message["last_log_index"])
                self._state.send(to, VoteRequest(self._state.term, last_term, last, self._is_transfer))
            case "response_vote":
                vote = VoteResponse(Term(message["term"]), is_granted=True, is_doubtful=self.is_doubtful)
                self._state.send(to, vote)
            case other:
                raise AssertionError(f"{other} is never sent")

    def take_appends(self) -> None:
        """On a leader: to each member what it lacks, as far as its window goes, or else a heartbeat when one is due."""
        if not self.is_in(LEADER):
            return
        is_beat_due, self._is_beat_due = self._is_beat_due, False
        for node in sorted(self._members, key=_id_of):
            if node in self._SyncObj__connectedNodes:
                self._sending.send(self._members[node], self.now_ms, is_beat_due=is_beat_due)

    def tell_committed(self, node_id: NodeId) -> None:
        """So that a member can apply what its read waits for before the next heartbeat."""
        member = self._members.get(Node(node_id))
        if member is not None:
            self._sending.tell_committed(member)

    # Members, terms, roles

    def configure(self) -> None:
        """Follow the configuration that is in force now."""
        memberships = self._state.memberships
        if memberships.index == self._configured:
            return
        self._configured = memberships.index
        peers = memberships.current.peers if memberships.current is not None else ()
        known, self._members = self._members, {}
        for peer in peers:
            node = Node(peer.node_id)
            if node == self._node:
                continue
            member = known.get(node)
            if member is None or member.disk_id != peer.disk_id:
                member = Progress(peer.node_id, peer.disk_id, Index(self._state.tail.last + 1), self.now_ms)
                self._SyncObj__onNodeConnected(node)  # until we hear that it is not: the links were there before us
            member.is_voter = peer.node_id in memberships.voters
            self._members[node] = member
        self._SyncObj__otherNodes = {node for node, member in self._members.items() if member.is_voter}
        self._SyncObj__readonlyNodes = set(self._members) - self._SyncObj__otherNodes
        self._SyncObj__raftNextIndex = {node: member.next for node, member in self._members.items()}
        self._SyncObj__raftMatchIndex = {node: member.match for node, member in self._members.items()}
        self._SyncObj__lastResponseTime = {node: member.heard_ms / 1_000 for node, member in self._members.items()}
        if not memberships.is_voter and self.is_in(CANDIDATE):
            self._SyncObj__setState(FOLLOWER)

    def _note_committed(self) -> None:
        """As far as `SyncObj` counts and our own disk has it: what is counted so is on a majority of the disks."""
        state = self._state
        committed = min(Index(self._SyncObj__raftCommitIndex), self._own_durable())
        if self.is_in(LEADER) and not state.memberships.is_voter:
            # `SyncObj` counts itself always; one that has removed itself does not count.
            matches = sorted(member.match for member in self._members.values() if member.is_voter)
            committed = min(committed, matches[(len(matches) - 1) // 2])
        state.commit_to(committed)
        if self.is_in(LEADER):
            self._heal_by(committed)
        if self.is_in(LEADER) and not state.memberships.is_voter and state.memberships.index <= state.committed:
            self._hand_over_for_good()

    def _hand_over_for_good(self) -> None:
        """It is no voter any more, and that is committed: the voter that has most goes on."""
        voters = [member for member in self.progress() if member.is_voter]
        best = max(voters, key=lambda member: member.match)
        self._state.send(best.node_id, TimeoutNow(self._state.term))
        self._SyncObj__setState(FOLLOWER)
        self._SyncObj__raftLeader = None
        self._postpone_election()

    def _SyncObj__onBecomeLeader(self) -> None:  # noqa: N802 - replaces the library's
        for node, member in self._members.items():
            member.match = Index(0)
            member.heard_ms = self.now_ms
            member.probe_from(Index(self._state.tail.last + 1))
            assert node != self._node, "a member beside itself"
        super()._SyncObj__onBecomeLeader()

    def _SyncObj__setCurrentTerm(self, term: int, votedForNodeId: NodeId | None) -> None:  # noqa: N802, N803 - its name
        if term != self._state.term:
            self._votes, self._pre_votes = self.ballot_type(), None
            if votedForNodeId == self._state.node_id:
                self._votes.grant(self._state.node_id, is_doubtful=self.is_doubtful)
            self._forget_verified()
        super()._SyncObj__setCurrentTerm(term, votedForNodeId)

    def _SyncObj__setState(self, newState: int) -> None:  # noqa: N802, N803 - the library's
        if self.is_in(LEADER) and newState != LEADER:
            # It counted entries that only the others had; from now on they say what is committed.
            self._SyncObj__raftCommitIndex = self._state.committed
        if newState != CANDIDATE and not self.is_in(newState):
            self._is_transfer = False
        super()._SyncObj__setState(newState)

    def _SyncObj__sendAppendEntries(self) -> None:  # noqa: N802 - replaces the library's
        self._SyncObj__newAppendEntriesTime = self.now_s + self._state.timings.heartbeat_ms / 1_000
        self._is_beat_due = True

    def _SyncObj__applyLogEntries(self) -> bool:  # noqa: N802 - replaces the library's: the shell applies
        return False

    def _checkCommandsToApply(self) -> None:  # noqa: N802 - replaces the library's: the shell appends
        pass

    def _SyncObj__tryLogCompaction(self) -> None:  # noqa: N802 - replaces the library's: nothing is compacted
        pass


def _id_of(node: Node) -> NodeId:
    return node.id
