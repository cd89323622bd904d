"""The nodes of one history, the network between them, and what an operator sees of them."""

from collections.abc import Callable
from pathlib import Path

from raft.configuration import Peer
from raft.interfaces import NodeId
from raft.settings import RaftSettings
from store.batches import split_batches

from .history import Place
from .network import Network
from .options import Options
from .process import KAFKA_PORT, NodeOptions, NodeProcess, Phase
from .sockets import Sockets
from .witness import Witness
from .workloads import decoded
from .world import World


class Cluster:
    def __init__(self, world: World, options: Options, folder: Path | None) -> None:
        raft = RaftSettings(
            segment_bytes=options.segment_bytes,
            append_bytes_max=options.append_bytes_max,
            heartbeat_ms=100,
            election_ms=500,
            space_retry_ms=200,
            close_timeout_ms=1_000,
        )
        self.world = world
        self.network = Network(world, raft)
        self.sockets = Sockets(world)
        self.witness = Witness(world)
        self.on_resumed: Callable[[int], None] = lambda _: None
        peers = [Peer(NodeId(one), f"disk-{one}") for one in range(1, options.nodes + 1)]
        node_options = NodeOptions(raft=raft, checkpoint_bytes=options.checkpoint_bytes, has_time=options.has_streams)
        self.processes = [
            NodeProcess(
                world,
                peer,
                peers,
                options=node_options,
                network=self.network,
                sockets=self.sockets,
                witness=self.witness,
                folder=folder,
            )
            for peer in peers
        ]

    @property
    def addresses(self) -> list[tuple[str, int]]:
        return [(process.host_name, KAFKA_PORT) for process in self.processes]

    @property
    def usable(self) -> list[NodeProcess]:
        """All but those that refuse their disks, or lost them."""
        return [one for one in self.processes if one.phase is not Phase.REFUSED and not one.is_wiped]

    def leads_something(self, process: NodeProcess) -> bool:
        node = process.node_or_none
        return node is not None and any(shard.is_leader for shard in node.shards.values())

    def replica(self, process: NodeProcess, place: Place) -> list[tuple[int, bytes]] | None:
        """Everything that a node has applied of a partition, led there or not; None: it has no replica."""
        node = process.node_or_none
        record = None if node is None else node.catalog.topic_or_none(place[0])
        if node is None or record is None or (shard := node.shards.get(record.shards[place[1]])) is None:
            return None
        chain = shard.state.chains.get((record.topic_id, place[1]))
        if chain is None:
            return None
        found: list[tuple[int, bytes]] = []
        for split in chain.splits:
            offset = split.first_offset
            while offset < split.committed_offset:
                views = shard.read_batches(split, offset, 1 << 20)
                for view in views:
                    for position, header in split_batches(view):
                        found += decoded(bytes(view[position : position + header.length_bytes]))
                assert found, f"{place} has nothing at {offset}"
                assert found[-1][0] >= offset, f"{place} does not go on from {offset}"
                offset = found[-1][0] + 1
        return found
