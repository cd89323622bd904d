"""What `SyncObj` is given in place of its own sockets and settings."""

from typing import Any, Protocol

from pysyncobj import SyncObjConf
from pysyncobj.node import Node
from pysyncobj.transport import Transport

from ..core_state import Timings
from ..interfaces import NodeId


class Sender(Protocol):
    def send(self, to: NodeId, message: dict[str, Any]) -> None: ...


def library_settings(timings: Timings) -> SyncObjConf:
    election_s = timings.election_ms / 1_000
    return SyncObjConf(
        autoTick=False,
        pollerType="poll",
        raftMinTimeout=election_s,
        raftMaxTimeout=2 * election_s,
        connectionTimeout=2 * election_s,
        appendEntriesPeriod=timings.heartbeat_ms / 1_000,
        leaderFallbackTimeout=election_s,
        commandsQueueSize=1,
        dynamicMembershipChange=False,
    )


class Outlet(Transport):
    """What `SyncObj` sends goes to `sender`."""

    def __init__(self, sender: Sender) -> None:
        super().__init__(None, None, None)
        self._sender = sender

    def send(self, node: Node, message: dict[str, Any]) -> bool:
        self._sender.send(node.id, message)
        return True


class NoPoller:
    """In place of the library's own wait for sockets."""

    def poll(self, timeout: float) -> None:
        pass
