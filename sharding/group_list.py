"""The consumer groups of all nodes: each coordinator tells its own. A node that does not answer in time is left out."""

import asyncio
import logging
from collections.abc import Callable, Sequence

import msgspec

from raft.configuration import Peer
from raft.errors import CallRefusedError, PeerUnreachableError
from raft.interfaces import Buffer, NodeId

from .calls import CallKind, NodePeers
from .coordinators.interfaces import GroupDescription, GroupsApi

LIST_DEADLINE_MS = 1_000


class GroupList:
    """Asks the other nodes, and answers them. `groups` None: this node coordinates none."""

    def __init__(
        self, groups: Callable[[], GroupsApi | None], peers: NodePeers | None, *, logger: logging.Logger
    ) -> None:
        self._groups = groups
        self._peers = peers
        self._logger = logger
        if peers is not None:
            peers.serve(CallKind.LIST_GROUPS, self._on_list)

    async def all(self) -> list[GroupDescription]:
        """By id. Raises: CoordinatorLoadingError."""
        own = self._own()
        others = [] if self._peers is None else [self._ask(node) for node in self._peers.live_nodes()]
        found = [own, *await asyncio.gather(*others)]
        return sorted((group for groups in found for group in groups), key=lambda group: group.group_id)

    def _own(self) -> list[GroupDescription]:
        groups = self._groups()
        return [] if groups is None else groups.list()

    async def _ask(self, node: NodeId) -> list[GroupDescription]:
        assert self._peers is not None, "a node alone asks nobody"
        try:
            answer = await self._peers.call(node, CallKind.LIST_GROUPS, (), LIST_DEADLINE_MS)
        except (PeerUnreachableError, CallRefusedError, TimeoutError) as error:
            self._logger.debug("node %d does not say which groups it coordinates: %s", node, error)
            return []
        return msgspec.msgpack.decode(answer, type=list[GroupDescription])

    async def _on_list(self, caller: Peer, body: memoryview) -> Sequence[Buffer]:
        del caller, body
        return (msgspec.msgpack.encode(self._own()),)
