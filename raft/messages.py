"""What members of a group say to each other. Each message carries its sender's term; it may come twice, late, or never.

Terms above the receiver's own make it a follower of that term (`PreVoteRequest` does not, nor does a `PreVoteResponse`
that is granted or of a damaged member); lower ones are answered with the own term, so that a deposed leader learns of
it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from .entries import Entry
from .interfaces import Index, NodeId, Term

NO_INDEX = Index(0)
NO_TERM = Term(0)


class Message(msgspec.Struct, frozen=True):
    term: Term


class PreVoteRequest(Message, frozen=True):
    """Would you vote for me in `term`? Nobody's state changes by it. Source: Ongaro's thesis, 9.6."""

    last_term: Term
    last_index: Index


class PreVoteResponse(Message, frozen=True):
    """`term`: the one asked about if granted or damaged, else the answering member's own. The rest: `VoteResponse`."""

    is_granted: bool
    is_doubtful: bool = False
    is_damaged: bool = False


class VoteRequest(Message, frozen=True):
    """`is_transfer`: the leader itself told the candidate to stand, so nobody protects that leader."""

    last_term: Term
    last_index: Index
    is_transfer: bool = False


class VoteResponse(Message, frozen=True):
    """`is_doubtful`: its own log may lack what it acknowledged, so the vote counts for less (`ballot`).

    `is_damaged`: refused, and so is every other candidate: its log lacks what it acknowledged.
    """

    is_granted: bool
    is_doubtful: bool = False
    is_damaged: bool = False


class AppendRequest(Message, frozen=True):
    """Entries that follow (prev_term, prev_index), maybe none. `round`: the leader's newest read round."""

    prev_index: Index
    prev_term: Term
    committed: Index
    round: int
    entries: Sequence[Entry]


class AppendResponse(Message, frozen=True):
    """Accepted: everything up to `index` is on the disk of the sender and is what the leader of `term` has.

    Rejected: `index` is the refused prev_index; the sender's log may agree at `hint_index`, where its term is
    `hint_term` (its last entry, or the end of the term that conflicts).
    """

    is_rejected: bool
    index: Index
    round: int
    hint_index: Index = NO_INDEX
    hint_term: Term = NO_TERM


class Heartbeat(Message, frozen=True):
    """`committed` is never above what the receiver is known to have."""

    committed: Index
    round: int


class HeartbeatResponse(Message, frozen=True):
    """`round`: the heartbeat's, which confirms the reads of that round and of those before."""

    round: int


class TimeoutNow(Message, frozen=True):
    """Stand for election at once: the leader hands over. Source: Ongaro's thesis, 3.10."""


class ReadRequest(Message, frozen=True):
    """A follower asks its leader for a read index; `context` is the asking member's own number."""

    context: int


class ReadResponse(Message, frozen=True):
    context: int
    index: Index


class InstallRequest(Message, frozen=True):
    """What you need is released, or you have nothing: fetch my files up to `index` (of `index_term`) out of band."""

    index: Index
    index_term: Term


class InstallResponse(Message, frozen=True):
    """The files up to `index` are in place, durable; the log goes on behind them."""

    index: Index


class Removed(Message, frozen=True):
    """A member to a node that stands for election: the configuration at the committed entry `index` is without it.

    For the shell: who knows of nothing newer stops the group. Nobody else would tell it that it was removed; and
    the leader may be a node that it never heard of. Should it be wanted again already, it is opened again.
    """

    index: Index


class Outgoing(NamedTuple):
    to: NodeId
    message: Message


ANSWERS = (AppendResponse, HeartbeatResponse, VoteResponse, PreVoteResponse, InstallResponse)
"""What counts only when it comes from the very disk that was asked."""
