"""What a cluster looks like from one of its nodes: its catalog, and what the leaders of the shards say of them."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

import msgspec

from raft.configuration import Peer
from raft.errors import CallRefusedError, PeerUnreachableError
from raft.interfaces import Buffer, NodeId

from .calls import CallKind, NodePeers, SeenReplica, SeenShard, SeenShards, encoded
from .catalog import Catalog, NodeRecord
from .interfaces import ClusterDescription, NodeAddress, NodeDescription, ReplicaDescription, ShardDescription
from .router import Router
from .shard import Shard

DESCRIBE_TIMEOUT_MS = 1_000


class ClusterView:
    """Tells the other nodes of the shards that are led here, and asks them for theirs."""

    def __init__(
        self,
        catalog: Catalog,
        router: Router,
        *,
        shards: Callable[[], Mapping[int, Shard]],
        peers: NodePeers | None,
        logger: logging.Logger,
    ) -> None:
        """`shards` are those with a replica here, the catalog's as number 0."""
        self._catalog = catalog
        self._router = router
        self._shards = shards
        self._peers = peers
        self._logger = logger
        if peers is not None:
            peers.serve(CallKind.DESCRIBE_SHARDS, self._on_describe)

    async def describe(self, cluster_id: str, node_id: int, nodes: Mapping[int, NodeRecord]) -> ClusterDescription:
        live = self._router.live_nodes()
        others = sorted(live - {node_id})
        answers = [self._led_here(), *await asyncio.gather(*map(self._ask, others))]
        seen: dict[int, tuple[int, SeenShard]] = {}
        for who, answer in zip([node_id, *others], answers, strict=True):
            for one in answer.shards:
                # Who was deposed may not know it yet.
                if one.shard_id not in seen or seen[one.shard_id][1].term < one.term:
                    seen[one.shard_id] = who, one
        leader = self._router.leader_or_none(0)
        return ClusterDescription(
            cluster_id=cluster_id,
            node_id=node_id,
            controller_id=-1 if leader is None else leader,
            nodes=[_node(record, is_live=one in live) for one, record in sorted(nodes.items())],
            shards=[self._describe(shard_id, seen.get(shard_id)) for shard_id in (0, *sorted(self._catalog.shards))],
        )

    def _describe(self, shard_id: int, found: tuple[int, SeenShard] | None) -> ShardDescription:
        """As its leader has it; without an answer of one, as it is known here."""
        record = self._catalog.shards.get(shard_id)
        shard = self._shards().get(shard_id)
        leader_id, seen = found or (
            -1,
            _without_leader(shard_id, shard, () if record is None else record.replicas, self._router.live_nodes()),
        )
        voters = [one.node_id for one in seen.replicas if one.is_voter]
        return ShardDescription(
            shard_id=shard_id,
            replication_factor=len(voters) if record is None else record.replication_factor,
            wanted=voters if record is None else record.replicas,
            leader_id=leader_id,
            term=seen.term,
            applied=seen.applied,
            partition_count=seen.partition_count,
            replicas=[
                ReplicaDescription(node_id=one.node_id, is_voter=one.is_voter, match=one.match, is_live=one.is_live)
                for one in sorted(seen.replicas, key=lambda replica: replica.node_id)
            ],
        )

    def _led_here(self) -> SeenShards:
        return SeenShards(tuple(_seen(one) for one in self._shards().values() if one.is_leader))

    async def _ask(self, node_id: int) -> SeenShards:
        assert self._peers is not None, "a node alone asks nobody"
        try:
            answer = await self._peers.call(NodeId(node_id), CallKind.DESCRIBE_SHARDS, (), DESCRIBE_TIMEOUT_MS)
        except (PeerUnreachableError, CallRefusedError, TimeoutError) as error:
            self._logger.debug("node %d does not say what it leads: %s", node_id, error)
            return SeenShards(())
        return msgspec.msgpack.decode(answer, type=SeenShards)

    async def _on_describe(self, _sender: Peer, _body: memoryview) -> Sequence[Buffer]:
        return encoded(self._led_here())


def _seen(shard: Shard) -> SeenShard:
    group = shard.group
    replicas = tuple(
        SeenReplica(int(one.node_id), one.is_voter, int(one.match), one.is_live) for one in group.progress()
    )
    return SeenShard(shard.shard_id, shard.term, int(group.applied), len(shard.state.chains), replicas)


def _without_leader(shard_id: int, shard: Shard | None, wanted: Sequence[int], live: frozenset[int]) -> SeenShard:
    if shard is None:
        replicas = tuple(SeenReplica(one, True, -1, one in live) for one in wanted)
        return SeenShard(shard_id, 0, 0, 0, replicas)
    configuration = shard.group.configuration
    replicas = tuple(
        SeenReplica(int(one.node_id), one in configuration.voters, -1, int(one.node_id) in live)
        for one in configuration.peers
    )
    return SeenShard(shard_id, shard.term, int(shard.group.applied), len(shard.state.chains), replicas)


def _node(record: NodeRecord, *, is_live: bool) -> NodeDescription:
    return NodeDescription(
        address=NodeAddress(
            node_id=record.node_id,
            host=record.kafka_host,
            kafka_port=record.kafka_port,
            http_port=record.http_port,
            rack=record.rack,
        ),
        host=record.host,
        disk_id=record.disk_id.decode(),
        incarnation=record.incarnation,
        is_live=is_live,
    )
