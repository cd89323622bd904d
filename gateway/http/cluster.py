"""The cluster over HTTP: its nodes, its shards with their leaders and replicas, as the node that is asked sees them."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sharding.interfaces import NodeApi, NodeDescription, ShardDescription


@dataclass(frozen=True, slots=True)
class Cluster:
    node: NodeApi

    async def describe(self, request: Request) -> Response:
        del request
        found = await self.node.cluster()
        return JSONResponse(
            {
                "cluster_id": found.cluster_id,
                "node_id": found.node_id,
                "controller_id": found.controller_id,
                "nodes": [_node_json(node) for node in found.nodes],
                "shards": [_shard_json(shard) for shard in found.shards],
            }
        )


def _node_json(node: NodeDescription) -> dict[str, object]:
    address = node.address
    return {
        "node_id": address.node_id,
        "kafka": f"{address.host}:{address.kafka_port}",
        "http": f"{address.host}:{address.http_port}",
        "host": node.host,
        "rack": address.rack,
        "disk_id": node.disk_id,
        "incarnation": node.incarnation,
        "is_live": node.is_live,
    }


def _shard_json(shard: ShardDescription) -> dict[str, object]:
    return {
        "shard_id": shard.shard_id,
        "replication_factor": shard.replication_factor,
        "leader_id": shard.leader_id,
        "term": shard.term,
        "applied": shard.applied,
        "partitions": shard.partition_count,
        "wanted": list(shard.wanted),
        "replicas": [
            {"node_id": one.node_id, "is_voter": one.is_voter, "match": one.match, "is_live": one.is_live}
            for one in shard.replicas
        ],
    }
