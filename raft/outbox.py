"""What a group says to other nodes: messages to bytes, heartbeats to those of the other groups."""

from collections.abc import Sequence

from .acquaintances import Acquaintances
from .codec import HeartbeatResponseRow, HeartbeatRow, encode
from .group_services import GroupServices
from .interfaces import GroupId, NodeId
from .messages import AppendResponse, Heartbeat, HeartbeatResponse, InstallResponse, Message, Outgoing

FOLLOWING = (AppendResponse, HeartbeatResponse, InstallResponse)


class Outbox:
    """Sends what is for members; what a link does not take is gone, and the core will say it again.

    A stranger may lead us: a node that was wiped and taken in anew, by a configuration that we have yet to hear of from
    it. So it is told how far we follow, and nothing else.
    """

    def __init__(self, services: GroupServices, group_id: GroupId, members: Acquaintances) -> None:
        self._pulse = services.pulse
        self._send = services.send
        self._group_id = group_id
        self._members = members

    def send_all(self, messages: Sequence[Outgoing]) -> None:
        last: Message | None = None
        kind, buffers = 0, ()
        for to, message in messages:
            of = type(message)
            if to in self._members.strangers and of not in FOLLOWING:
                continue
            if of is Heartbeat or of is HeartbeatResponse:
                self._send_at_beat(to, message)
                continue
            if message is not last:  # one request often goes to several
                last = message
                kind, buffers = encode(message)
            self._send(to, self._group_id, kind, buffers)

    def _send_at_beat(self, to: NodeId, message: Message) -> None:
        if isinstance(message, Heartbeat):
            row = HeartbeatRow(self._group_id, message.term, message.committed, message.round)
            self._pulse.add_heartbeat(to, row)
        elif isinstance(message, HeartbeatResponse):
            self._pulse.add_response(to, HeartbeatResponseRow(self._group_id, message.term, message.round))

    def send(self, to: NodeId, message: Message) -> None:
        kind, buffers = encode(message)
        self._send(to, self._group_id, kind, buffers)
