"""Who leads, for those that ask because they have just lost a leader.

A client notices the end of a connection to a leader as soon as this node does, and asks another node at once. Told of
the dead one, or of none, some clients (librdkafka) ask again only a second later, though an election takes a tenth of
one. So leaders are asked whether they live, and an election that can be won is waited for.
"""

import asyncio
from collections.abc import Collection, Iterable
from contextlib import suppress

from raft.errors import CallRefusedError, PeerUnreachableError
from raft.interfaces import NodeId

from .calls import CallKind, LedShards, NodePeers, encoded
from .catalog import Catalog
from .errors import UnknownTopicError
from .interfaces import Topic
from .router import Router
from .topics import Topics

LIFE_TIMEOUT_MS = 100
"""A leader that is slower is taken to live: it may be busy, and its link says when it does not."""
PAUSE_S = 0.01
LOOKS_MAX = 30
"""For an election: it is over in 0.2 s, or it takes a second round; longer than 0.3 s nobody waits (decision 0014)."""


class Leaders:
    """Fulfils `LeadersApi`. `peers` None: this node stands alone."""

    def __init__(
        self, node_id: int, router: Router, peers: NodePeers | None, *, catalog: Catalog, topics: Topics
    ) -> None:
        self._node_id = node_id
        self._router = router
        self._peers = peers
        self._catalog = catalog
        self._topics = topics

    def are_here(self, topics: Iterable[Topic]) -> bool:
        return all(self._router.leader_or_none(shard) == self._node_id for shard in self._shards(topics))

    async def until_known(self, topics: Iterable[Topic]) -> None:
        shards = self._shards(topics)
        leaders = {self._router.leader_or_none(shard) for shard in shards}
        await asyncio.gather(*(self._ask(leader) for leader in leaders & self._router.live_nodes()))
        for _ in range(LOOKS_MAX):
            if not any(map(self._is_being_elected, shards)):
                return
            await asyncio.sleep(PAUSE_S)

    def _shards(self, topics: Iterable[Topic]) -> Collection[int]:
        found: set[int] = set()
        for topic in topics:
            with suppress(UnknownTopicError):  # its topic was deleted meanwhile
                shown = self._topics.viewed(topic) if topic.is_view else topic
                record = self._catalog.topics.get(shown.topic_id.bytes)
                found.update(record.shards if record is not None else ())
        return found

    async def _ask(self, leader: int | None) -> None:
        """If it is dead, its link breaks while we wait, and then it leads no more."""
        if leader is None or leader == self._node_id or self._peers is None:
            return
        with suppress(PeerUnreachableError, TimeoutError, CallRefusedError):
            await self._peers.call(NodeId(leader), CallKind.TELL_LEADERS, encoded(LedShards(())), LIFE_TIMEOUT_MS)

    def _is_being_elected(self, shard_id: int) -> bool:
        """Nobody leads, and a majority is there to elect somebody."""
        if self._router.leader_or_none(shard_id) is not None:
            return False
        record = self._catalog.shards.get(shard_id)
        members = () if record is None else record.replicas
        return 2 * sum(member in self._router.live_nodes() for member in members) > len(members)
