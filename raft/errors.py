"""Errors of the replicated log: the peer's, the disk's, the data directory's."""

from .interfaces import Index, NodeId


class RaftError(Exception):
    """Base class of everything this layer raises on purpose."""


class NotLeaderError(RaftError):
    """This node does not lead the group (yet, or any more); the outcome of a pending proposal is unknown."""

    def __init__(self, leader: NodeId | None = None, message: str | None = None) -> None:
        super().__init__(message or f"not the leader; leader {leader}")
        self.leader = leader


class GroupStoppedError(NotLeaderError):
    """The group was closed, or it failed on this node: what is in its log decides after the next start."""

    def __init__(self, message: str) -> None:
        super().__init__(None, message)


class LogFullError(RaftError):
    """The disk is full: reads go on, proposals are refused until space returns."""


class LogBusyError(LogFullError):
    """Too many bytes wait for the disk; not full, but a proposal must wait."""


class EntryTooLargeError(RaftError):
    def __init__(self, body_bytes: int, bytes_max: int) -> None:
        super().__init__(f"entry of {body_bytes} bytes, at most {bytes_max}")
        self.body_bytes, self.bytes_max = body_bytes, bytes_max


class BadMessageError(RaftError):
    """Bytes of another node that are no message; they are dropped as if they had never come."""


class TransferFailedError(RaftError):
    """The member that was to lead does not, after all; nothing else has changed."""


class ChangeInProgressError(RaftError):
    """The members of the group are being changed already."""


class SegmentReleasedError(RaftError):
    """The segment, or that part of it, is not (any more) in this node's log."""


class SingleMemberOnlyError(RaftError):
    """Groups of several members come with replication; nothing of them is accepted silently before."""


class SourceChangedError(RaftError):
    """The files that were being fetched from this member are not what it has any more, or it has none to give yet."""


class InstallFailedError(RaftError):
    """What a member sent as its files is not whole."""


class DataDirectoryError(RaftError):
    """What lies in the data directory must not be served: damaged, unknown, or another node's (exit code 3)."""


class CorruptLogError(DataDirectoryError):
    """Durable bytes are damaged or missing: the group refuses to serve rather than to forget acknowledged entries."""

    def __init__(self, path: str, reason: str, index: Index | None = None) -> None:
        where = path if index is None else f"{path}, entry {index}"
        super().__init__(f"{where}: {reason}")
        self.path, self.reason, self.index = path, reason, index


class VoteLostError(CorruptLogError):
    """Nobody can heal it: the member may have promised a term that it does not know any more, and must not come back.

    To vote, and even to acknowledge entries, under a promise forgotten lets two leaders commit. The node has to be
    wiped, so that it comes back as another peer.
    """


class UnknownFormatError(DataDirectoryError):
    """Written by a version that this one cannot read."""


class ForeignDirectoryError(DataDirectoryError):
    """The directory belongs to another node, disk or group."""


class DirectoryLockedError(DataDirectoryError):
    """Another process serves this directory."""


class PeerUnreachableError(RaftError):
    """The link to the node is down, or went down during the call: whether the call was served is unknown.

    Unless `was_sent` is False: then certainly nothing was done there.
    """

    def __init__(self, node: NodeId, reason: str = "no link", *, was_sent: bool = True) -> None:
        super().__init__(f"node {node} cannot be reached: {reason}")
        self.node, self.was_sent = node, was_sent


class CallRefusedError(RaftError):
    """The node answered a call with a refusal: `code` is the name of its error."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code, self.text = code, text


class MalformedFrameError(RaftError):
    """A frame of a peer has no meaning; its link is closed."""


class GreetingRefusedError(RaftError):
    """The node at the other end of a connection is none of this cluster, or not the one it should be."""


class FoundingRefusedError(DataDirectoryError):
    """The directory cannot found or join the cluster that was asked for, and no waiting helps."""
