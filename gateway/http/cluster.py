"""The cluster over HTTP: its nodes, its shards with their leaders and replicas, as the node that is asked sees them.

    POST /cluster/grow            {"replication_factor": 3}    more replicas for the shards that have fewer
    PUT  /cluster/shards/{shard}  {"replicas": [4, 2, 3]}      other nodes for one shard, the preferred leader first

Both answer when it is decided (202); `GET /cluster` shows how far it is.
"""

from dataclasses import dataclass
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sharding.interfaces import NodeApi, NodeDescription, ShardDescription

from .admission import Admission
from .topics import decoded

NodeId = Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)]


class GrowthWanted(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /cluster/grow."""

    replication_factor: Annotated[int, msgspec.Meta(ge=1, le=15)] = 3


class ReplicasWanted(msgspec.Struct, forbid_unknown_fields=True):
    """Body of PUT /cluster/shards/{shard}."""

    replicas: Annotated[list[NodeId], msgspec.Meta(min_length=1, max_length=15)]


@dataclass(frozen=True, slots=True)
class Cluster:
    node: NodeApi
    admission: Admission

    async def grow(self, request: Request) -> Response:
        async with self.admission.body(request) as body:
            wanted = decoded(body, GrowthWanted)
        return JSONResponse({"shards": await self.node.grow(wanted.replication_factor)}, 202)

    async def move(self, request: Request) -> Response:
        async with self.admission.body(request) as body:
            wanted = decoded(body, ReplicasWanted)
        shard_id = int(request.path_params["shard"])
        await self.node.want_replicas(shard_id, wanted.replicas)
        return JSONResponse({"shards": [shard_id]}, 202)

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
