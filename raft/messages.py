"""What members of a group say to each other. Every message carries its sender's term."""

from dataclasses import dataclass

from .interfaces import NodeId, Term


@dataclass(frozen=True, slots=True)
class Message:
    """The base of all messages; their kinds come with replication."""

    term: Term


@dataclass(frozen=True, slots=True)
class Outgoing:
    to: NodeId
    message: Message
