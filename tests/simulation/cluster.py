"""The nodes of one history, the network between them, and what an operator sees of them."""

from collections.abc import Callable, Sequence
from pathlib import Path

from raft.configuration import Peer
from raft.interfaces import NodeId, Role
from raft.settings import RaftSettings
from store.batches import split_batches
from tests.support.faulty_disk import FATES

from .history import Place
from .joining import NodeFiles
from .network import Network
from .options import Options
from .process import KAFKA_PORT, NodeOptions, NodeProcess, Phase, group_or_none
from .run_files import RunFiles
from .sockets import Sockets
from .tearing import CutsOfAll
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
        self.files = NodeFiles()
        self.cuts_of_all = CutsOfAll(world)
        peers = [Peer(NodeId(one), f"disk-{one}") for one in range(1, options.nodes + options.joiners + 1)]
        node_options = NodeOptions(
            raft=raft,
            checkpoint_bytes=options.checkpoint_bytes,
            has_time=options.has_streams,
            finds_others=options.is_changing,
            replace_after_ms=options.replace_after_ms,
            balance_ms=options.balance_ms,
        )
        made = [
            NodeProcess(
                world,
                peer,
                peers[: options.nodes],
                options=node_options,
                network=self.network,
                sockets=self.sockets,
                witness=self.witness,
                folder=folder,
                files=self.files,
                cuts_of_all=self.cuts_of_all,
            )
            for peer in peers
        ]
        self.run_files: RunFiles | None = None
        if folder is not None:
            by_host = {process.host_name: process for process in made}
            self.run_files = RunFiles(folder, lambda host: by_host[host].disk)
            for process in made:
                process.run_files = self.run_files
        self.processes = made[: options.nodes]
        # Those that will come.
        self.outside = made[options.nodes :]

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

    def leads_catalog(self, process: NodeProcess) -> bool:
        group = group_or_none(process, 0)
        return group is not None and group.role is Role.LEADER

    def power_cut_of_all(self, fates: Sequence[str] = FATES) -> None:
        """At one moment; they are down."""
        for process in self.processes:
            process.crash(is_power_cut=True, fates=fates)
        self.cuts_of_all.begin({process.node_id: process.disk.directories() for process in self.processes})

    def doubtful(self) -> list[str]:
        """Which members are in doubt, of nodes that may heal. What a replica that was moved away left is none."""
        return [
            f"{process.host_name} {directory}"
            for process in self.usable
            for directory in process.disk.doubtful_directories()
            if not process.is_up or group_or_none(process, int(directory.rpartition("/")[2])) is not None
        ]

    def let_in(self) -> None:
        """A further node joins."""
        process = self.outside.pop(0)
        self.processes.append(process)
        process.contacts = [one.node_id for one in self.processes]
        process.boot()

    def members_or_none(self, shard_id: int) -> set[Peer] | None:
        """The voters of a group as its leader has them, if none of its members changes any more."""
        for process in self.usable:
            group = group_or_none(process, shard_id)
            if group is not None and process.is_up and group.role is Role.LEADER:
                return {*group.configuration.voters}
        return None

    def unsettled(self) -> str:
        """Whose members are not as the catalog wants them; empty: all are, and who is no member holds nothing."""
        peers = {process.node_id: process.peer for process in self.processes}
        for process in self.usable:
            node = process.node_or_none
            if node is None:
                return f"{process.host_name} is not up"
            for shard_id, record in node.catalog.shards.items():
                wanted = {peers[one] for one in record.replicas}
                if self.members_or_none(shard_id) != wanted:
                    return f"shard {shard_id} is of {self.members_or_none(shard_id)}, not of {wanted}"
                if (shard_id in node.shards) != (process.node_id in record.replicas):
                    return f"{process.host_name} holds shards {[*node.shards]}, {record} is the catalog's"
        return ""

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
