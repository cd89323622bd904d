"""`timesplit cluster`: the nodes, and each shard with its leader and how far its replicas are."""

from collections.abc import Mapping, Sequence
from typing import cast

import click

from .asking import Asker, Row, node_options, rows_of, show_json, show_table


@click.command(name="cluster")
@node_options
def command(address: str, *, is_json: bool) -> None:
    """Nodes, and shards with their replicas, as the node that is asked sees them."""
    found = Asker(address).mapping("GET", "/cluster")
    if is_json:
        show_json(found)
        return
    controller = found["controller_id"]
    click.echo(f"cluster {found['cluster_id']}, seen by node {found['node_id']}")
    shards = rows_of(found, "shards")
    show_table(
        [_node_row(node, shards, is_controller=node["node_id"] == controller) for node in rows_of(found, "nodes")]
    )
    show_table([_shard_row(shard) for shard in shards])


def _node_row(node: Row, shards: Sequence[Row], *, is_controller: bool) -> Row:
    led = sum(shard["leader_id"] == node["node_id"] for shard in shards)
    return {
        "node": node["node_id"],
        "state": "live" if node["is_live"] else "not reached",
        "role": "leads the catalog" if is_controller else "",
        "host": node["host"],
        "kafka": node["kafka"],
        "http": node["http"],
        "leads": led,
    }


def _shard_row(shard: Row) -> Row:
    replicas = cast("Sequence[Mapping[str, int | bool]]", shard["replicas"])
    applied = cast("int", shard["applied"])
    return {
        "shard": "catalog" if shard["shard_id"] == 0 else shard["shard_id"],
        "rf": shard["replication_factor"],
        "leader": "none" if shard["leader_id"] == -1 else shard["leader_id"],
        "term": shard["term"],
        "applied": applied,
        "partitions": shard["partitions"],
        "replicas (entries behind)": ", ".join(_replica_text(one, applied) for one in replicas),
        "moving to": "" if _is_as_wanted(shard, replicas) else ", ".join(map(str, cast("list[int]", shard["wanted"]))),
    }


def _is_as_wanted(shard: Row, replicas: Sequence[Mapping[str, int | bool]]) -> bool:
    there = {one["node_id"] for one in replicas if one["is_voter"]}
    # Everybody follows the catalog; those who are no voters of it are no move.
    return shard["shard_id"] == 0 or there == set(cast("list[int]", shard["wanted"]))


def _replica_text(replica: Mapping[str, int | bool], applied: int) -> str:
    match = replica["match"]
    behind = "?" if match == -1 else str(max(0, applied - match))
    marks = ["" if replica["is_voter"] else "learner", "" if replica["is_live"] else "not live"]
    said = ", ".join([behind, *(mark for mark in marks if mark)])
    return f"{replica['node_id']} ({said})"
