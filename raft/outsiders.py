"""Nodes that are no members of a group any more: they are told, and this one is told, if it is one of them."""

from .acquaintances import Acquaintances
from .configuration import Peer
from .engines import Core
from .messages import Removed
from .outbox import Outbox


class Outsiders:
    """As the core of one member sees them."""

    def __init__(self, core: Core, members: Acquaintances, outbox: Outbox) -> None:
        self._core = core
        self._members = members
        self._outbox = outbox

    def tell_if_removed(self, sender: Peer) -> None:
        """It stands for election in a group it has been removed from, since nobody could tell it."""
        core = self._core
        if core.configuration_index <= core.committed and sender not in self._members.known.peers:
            self._outbox.send(sender.node_id, Removed(core.term, core.committed))

    def is_one_by(self, message: Removed) -> bool:
        """Whether this node is none any more. Only something newer here may say otherwise.

        Who is outside by its own log too, may be on its way in.
        """
        core = self._core
        return not self._members.is_outside and message.index > max(core.committed, core.configuration_index)
