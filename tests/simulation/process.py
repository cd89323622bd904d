"""A node as a process: whole, below the sockets. Boots, crashes, pauses and stops; its disk outlives it.

Everything that an operating system would give it is simulated: time, threads, disk of the log, network, the clients'
connections. Runs of history (Parquet) lie in a real folder (`run_files` says what survives); the merge runs in line.
"""

import asyncio
import logging
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from gateway.kafka.server import KafkaServer
from gateway.kafka.settings import KafkaSettings
from raft.clock import LoopClock
from raft.configuration import Peer
from raft.damage import accept_doubt
from raft.engines import Engine as RaftEngine
from raft.errors import DataDirectoryError, FoundingRefusedError, RaftError
from raft.group import Group
from raft.host import RaftHost, Surroundings
from raft.interfaces import Buffer, GroupId, Index, NodeId, Place, RaftGroup, RoleChange, StateMachine, Term
from raft.peers import Peers
from raft.settings import RaftSettings
from sharding.coordinators.groups import Groups
from sharding.coordinators.values import GroupLimits
from sharding.interfaces import NodeAddress
from sharding.node import Node, NodeParts, NodeSettings
from sharding.sealing import SealingSettings
from sharding.shard import Shard, ShardSettings
from sharding.time_services import TimeServices, TimeSettings
from store import merge_job
from store.manifest import SplitManifest
from store.merge_job import MergeJob
from tests.support.faulty_disk import FATES, PowerCutError
from timesplit.peering import Peering

from .disk import SimDisk
from .joining import PEER_PORT, AskingLinks, Identity, NodeFiles, new_peering
from .loops import ProcessLoop
from .network import Network, SimLinks
from .run_files import RunFiles
from .sockets import Sockets
from .tearing import CutsOfAll
from .threads import Threads
from .world import World

if TYPE_CHECKING:
    from .witness import Witness

DIRECTORY = "/data/shards"
KAFKA_PORT = 9092
MERGE_SYNCS = 300
WALL_MS = 1_700_000_000_000
T = TypeVar("T")


class Phase(Enum):
    DOWN = "down"
    STARTING = "starting"
    UP = "up"
    REFUSED = "refused"  # it will not start on what it found


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """What is the same for all nodes of a history. `finds_others`: the cluster is founded and joined by questions."""

    raft: RaftSettings
    shards_per_node: int = 1
    checkpoint_bytes: int = 8 << 10
    has_time: bool = False
    seal_check_ms: int = 500
    finds_others: bool = False
    replace_after_ms: int = 300_000
    balance_ms: int = 10_000


@dataclass(slots=True)
class Life:
    """One incarnation. `threads` and `loop` die with it."""

    number: int
    loop: ProcessLoop
    threads: Threads
    links: SimLinks | None = None
    host: RaftHost | None = None
    node: Node | None = None
    peering: Peering | None = None
    kafka: KafkaServer | None = None
    shards: dict[int, "WatchedMachine"] = field(default_factory=dict)
    time: list[TimeServices] = field(default_factory=list)
    has_failed: bool = False


class WatchedMachine:
    """A state machine that tells the witness what it is given."""

    def __init__(self, machine: StateMachine, group_id: GroupId, node_id: int, witness: "Witness") -> None:
        self.machine = machine
        self._group_id = group_id
        self._node_id = node_id
        self._witness = witness
        self.on_persisted = machine.on_persisted

    def restore(self, state: bytes) -> None:
        self.machine.restore(state)

    def apply(self, term: Term, index: Index, body: Sequence[Buffer], place: Place) -> None:
        self._witness.on_apply(self._node_id, self._group_id, term, index, body)
        self.machine.apply(term, index, body, place)

    def on_role(self, change: RoleChange) -> None:
        self._witness.on_role(self._node_id, self._group_id, change)
        self.machine.on_role(change)


class WatchedHost:
    """Fulfils `sharding.local_shards.GroupHost`."""

    def __init__(self, host: RaftHost, node_id: int, witness: "Witness") -> None:
        self._host = host
        self._node_id = node_id
        self._witness = witness

    @property
    def on_removed(self) -> Callable[[GroupId], None]:
        return self._host.on_removed

    @on_removed.setter
    def on_removed(self, on_removed: Callable[[GroupId], None]) -> None:
        self._host.on_removed = on_removed

    @property
    def on_unknown_group(self) -> Callable[[GroupId, Peer], None]:
        return self._host.on_unknown_group

    @on_unknown_group.setter
    def on_unknown_group(self, on_unknown_group: Callable[[GroupId, Peer], None]) -> None:
        self._host.on_unknown_group = on_unknown_group

    async def has_log(self, group_id: GroupId) -> bool:
        return await self._host.has_log(group_id)

    async def open_group(
        self,
        group_id: GroupId,
        state_machine: StateMachine,
        /,
        *,
        founders: Sequence[Peer] | None = (),
        is_lasting: bool = False,
    ) -> RaftGroup:
        watched = WatchedMachine(state_machine, group_id, self._node_id, self._witness)
        return await self._host.open_group(group_id, watched, founders=founders, is_lasting=is_lasting)


class NodeProcess:
    """Owns the node's disk and its lives. All methods are called from outside its loop."""

    def __init__(
        self,
        world: World,
        peer: Peer,
        founders: Sequence[Peer],
        *,
        options: NodeOptions,
        network: Network,
        sockets: Sockets,
        witness: "Witness",
        folder: Path | None,
        files: NodeFiles,
        cuts_of_all: CutsOfAll,
    ) -> None:
        self.world = world
        self.peer = peer
        self.phase = Phase.DOWN
        self.random = world.random(f"node {peer.node_id}")
        self.disk = SimDisk(self.random.randrange(1 << 30))
        self._watch_disk()
        self.sync_s = self.random.choice([0.0005, 0.001, 0.003])
        self.turn_s = self.random.choice([2e-6, 1e-5, 4e-5])
        self.wall_skew_ms = self.random.randrange(-50, 51)
        self.is_damaged = False
        self.is_wiped = False
        self.keeps_running = False
        self.life: Life | None = None
        self.refusal: Exception | None = None
        self.run_files: RunFiles | None = None
        self.on_hard_state: Callable[[NodeProcess], None] = lambda _: None
        self.on_written: Callable[[], None] = lambda: None
        self.is_founder = peer in founders
        self.contacts = [int(one.node_id) for one in founders]
        self._files = files
        self._cuts_of_all = cuts_of_all
        self._run_chance = world.random(f"run files {peer.node_id}")
        self._lives = 0
        self._founders = tuple(founders)
        self._options = options
        self._network = network
        self._sockets = sockets
        self._witness = witness
        self._folder = folder

    @property
    def node_id(self) -> int:
        return int(self.peer.node_id)

    @property
    def host_name(self) -> str:
        return f"node{self.peer.node_id}"

    @property
    def is_up(self) -> bool:
        return self.phase is Phase.UP

    @property
    def node_or_none(self) -> Node | None:
        """While it serves."""
        return self.life.node if self.life is not None and self.is_up else None

    @property
    def has_unsynced_log(self) -> bool:
        """One of its threads is between a write to a log and the sync."""
        return self.life is not None and self.life.threads.has_unsynced_log

    def wall_ms(self) -> int:
        return WALL_MS + int(self.world.now * 1000) + self.wall_skew_ms

    @property
    def identity(self) -> Identity:
        """What its disk says of itself."""
        return self._files.identity(f"{self.host_name}/{self.peer.disk_id}", self.peer)

    # What is done to it

    def boot(self) -> None:
        assert self.phase is Phase.DOWN, f"{self.host_name} is {self.phase.value}"
        self._lives += 1
        self.world.trace("boot", self.node_id, self._lives)
        name = f"{self.host_name}.{self._lives}"
        loop = self.world.new_loop(name, turn_s=self.turn_s, thread_s=0.0003)
        loop.new_server = lambda factory, _host, _port: self._sockets.listen(loop, factory, self.host_name, KAFKA_PORT)
        threads = Threads(self.world, name, self.random, sync_s=self.sync_s)
        threads.on_written = self._on_written
        self.disk.pace = threads.pace
        self.life = Life(self._lives, loop, threads)
        self.phase = Phase.STARTING
        loop.start(self._main(self.life))

    def crash_and_boot(self, after_s: float) -> None:
        self.crash(is_power_cut=False)
        self.world.after(after_s, lambda: self.boot() if self.phase is Phase.DOWN else None)

    def crash(self, *, is_power_cut: bool, fates: Sequence[str] = FATES) -> None:
        """Nothing of the process runs any more. After a power cut, what was not synced is what the disk made of it."""
        if (life := self.life) is None:
            return
        is_power_cut |= self.disk.is_off
        self.world.trace("crash", self.node_id, is_power_cut)
        self._witness.on_crash(self.node_id, life)
        self._cuts_of_all.on_crash(self.node_id)
        self._end(life)
        if is_power_cut:
            self.disk = self.disk.crash(self.random.randrange(1 << 30), fates=fates)
            self._watch_disk()
            if self.run_files is not None:
                self.world.counts["run files torn or lost"] += self.run_files.cut(self.host_name, self._run_chance)
            if self._options.finds_others and self.random.random() < 0.3:
                self._files.hints.pop(self.identity.path, None)
        else:
            self.disk.revived()
        self.disk.sync_error = None

    def wipe(self) -> None:
        """Its disk is swapped for an empty one: it is nobody that the cluster knows."""
        self.crash(is_power_cut=True)
        if self._options.finds_others:
            # It joins as anybody does, and gets everything again.
            self.is_founder, self.is_damaged = False, False
            if self.phase is Phase.REFUSED:
                self.phase = Phase.DOWN
        else:
            self.is_wiped = self.is_damaged = True
        self.disk = SimDisk(self.random.randrange(1 << 30))
        self._watch_disk()
        self.peer = Peer(self.peer.node_id, f"{self.peer.disk_id}-swapped")

    def _end(self, life: Life) -> None:
        self._halt(life)
        if life.links is not None:
            life.links.die()
        self._sockets.die(self.host_name)
        self.life = None
        if self.phase is not Phase.REFUSED:
            self.phase = Phase.DOWN
            if self.keeps_running:
                self.world.after(0.1, lambda: self.boot() if self.phase is Phase.DOWN else None)

    def forget(self) -> None:
        """The history has ended."""
        if self.life is not None:
            self._halt(self.life)

    def _halt(self, life: Life) -> None:
        life.loop.kill()
        life.threads.die()

    def _watch_disk(self) -> None:
        self.disk.on_cut = self._on_cut
        self.disk.on_hard_state = lambda: self.on_hard_state(self)
        self.disk.on_doubt = self._on_doubt

    def _on_written(self) -> None:
        self.on_written()

    def _on_doubt(self, directory: str, is_new: bool) -> None:
        self.world.counts["torn or rotten tails" if is_new else "doubts that ended"] += 1
        if is_new:
            self._cuts_of_all.on_doubt(self.node_id, directory)

    def accept_torn_tails(self) -> None:
        """As `timesplit check --accept-torn-tails`, with the node stopped."""
        if (doubtful := self.disk.doubtful_directories()) and self.phase is not Phase.REFUSED:
            self.crash(is_power_cut=False)
            for directory in doubtful:
                accept_doubt(self.disk, directory)
            self.world.counts["torn tails accepted"] += 1

    def _on_cut(self) -> None:
        """The call that the power went off in raises, and nobody is there any more whom that could concern."""
        self.world.counts["power cut inside a disk call"] += 1
        life = self.life
        assert life is not None, "only a process makes calls"
        life.loop.kill()
        self.world.after(0, lambda: self.crash(is_power_cut=True) if self.life is life else None)

    def pause(self) -> None:
        if self.life is not None:
            self.world.trace("pause", self.node_id)
            self.life.loop.pause()

    def resume(self) -> None:
        if self.life is not None and self.life.loop.is_paused:
            self.world.trace("resume", self.node_id)
            self.life.loop.resume()

    def hand_over_what_is_new_to(self, other: "NodeProcess") -> None:
        """Ask another node to lead the shards led here that have a topic which it does not know."""
        life, node, successor = self.life, self.node_or_none, other.node_or_none
        if life is None or node is None or successor is None:
            return

        async def transfer(shard: Shard) -> None:
            with suppress(RaftError):
                await shard.group.transfer(other.peer.node_id)

        for shard in node.shards.values():
            if shard.is_leader and any(topic_id not in successor.catalog.topics for topic_id, _ in shard.state.chains):
                life.loop.start(transfer(shard))

    def stop(self) -> None:
        """As SIGTERM; it ends by itself, after a while."""
        life = self.life
        if life is not None and self.is_up:
            self.world.trace("stop", self.node_id)
            life.loop.start(self._stop(life))

    # Inside its loop

    async def _main(self, life: Life) -> None:
        try:
            await self._start(life)
        except (PowerCutError, asyncio.CancelledError):
            raise
        except FoundingRefusedError as error:
            # Who guards the process starts it again: the link to its old disk is up for a while, say.
            self.world.trace("refused to join", self.node_id, str(error))
            self.world.after(0, lambda: self.crash_and_boot(0.5) if self.life is life else None)
        except DataDirectoryError as error:
            self._refuse(life, error)
        except OSError as error:
            # A full disk, say: the process ends, and whoever watches it starts it again.
            self.world.trace("ended", self.node_id, repr(error))
            self.world.after(0, lambda: self.crash_and_boot(0.5) if self.life is life else None)
        except Exception as error:  # noqa: BLE001 - the top of a process
            if life.threads.is_dead or life.has_failed or self.disk.sync_error is not None:
                return  # the process ends anyway, and may start again: `_on_failure`
            if not self.is_damaged:
                self.world.problem(f"{self.host_name} does not start: {error!r}")
            self._refuse(life, error)

    def _refuse(self, life: Life, error: Exception) -> None:
        if not self.is_damaged:
            self.world.problem(f"{self.host_name} refuses its own disk: {error!r}")
        self.world.trace("refused", self.node_id, type(error).__name__)
        self.refusal = error
        self.phase = Phase.REFUSED
        self.world.after(0, lambda: self._end(life))

    def _engine_of(self, group_id: GroupId) -> RaftEngine:
        """The catalog's group is on either engine, or half of it on each, by turns of the seeds."""
        turn = self.world.seed % 3
        is_other = group_id == 0 and (turn == 0 or (turn == 1 and self.node_id % 2 == 1))
        return RaftEngine.PYSYNCOBJ if is_other else RaftEngine.NATIVE

    async def _start(self, life: Life) -> None:
        options, loop = self._options, life.loop
        cluster_id, founders = "simulated", ()
        if options.finds_others:
            life.links = links = AskingLinks(self._network, self.peer, loop)
            life.peering = peering = new_peering(self, links, options.raft.rpcs_max)
            await peering.find_cluster()
            peers, cluster_id, founders = peering.peers, peering.directory.cluster_id, peering.directory.founders
        else:
            life.links = SimLinks(self._network, self.peer, loop)
            peers = Peers(life.links, options.raft.rpcs_max, LoopClock()) if len(self._founders) > 1 else None
            founders = self._founders if len(self._founders) > 1 and self.peer in self._founders else ()
        life.host = RaftHost(
            self.disk,
            DIRECTORY,
            self.peer,
            peers=peers,
            settings=options.raft,
            on_failure=lambda group_id, error: self._on_failure(life, group_id, error),
            surroundings=Surroundings(runners=life.threads.runner, blocking=self._blocking(life), random=self.random),
            engine_of=self._engine_of,
        )
        groups = Groups(
            limits=GroupLimits(),
            clock=LoopClock(),
            wall_ms=self.wall_ms,
            new_id=lambda: f"{self.random.getrandbits(64):016x}",
            logger=logging.getLogger(f"groups {self.host_name}"),
        )
        node = Node(
            NodeSettings(
                node_id=self.node_id,
                cluster_id=cluster_id,
                disk_id=self.peer.disk_id.encode(),
                founders=founders,
                peer_host=self.host_name if life.peering is not None else "",
                peer_port=PEER_PORT if life.peering is not None else 0,
                replace_after_ms=options.replace_after_ms,
                balance_ms=options.balance_ms,
                host=self.host_name,
                auto_create_topics=False,
                shards_per_node=options.shards_per_node,
                shard=ShardSettings(checkpoint_bytes=options.checkpoint_bytes),
                drain_timeout_ms=2_000,
            ),
            WatchedHost(life.host, self.node_id, self._witness),
            now_ms=self.wall_ms,
            random=self.random,
            logger=logging.getLogger(f"node {self.host_name}"),
            parts=NodeParts(groups=groups, time=self._time(life) if options.has_time else None),
            peers=peers,
        )
        life.node = node
        if life.peering is not None:
            await life.peering.start()
        elif peers is not None:
            await peers.start()
        await node.start()
        if life.peering is not None:
            life.peering.follow(node)
        life.kafka = KafkaServer(
            node, KafkaSettings(), wall_ms=self.wall_ms, monotonic_ms=lambda: int(loop.time() * 1000)
        )
        await life.kafka.start(self.host_name, KAFKA_PORT)
        await node.register(
            NodeAddress(node_id=self.node_id, host=self.host_name, kafka_port=KAFKA_PORT, http_port=8080)
        )
        self.phase = Phase.UP
        self.world.trace("up", self.node_id)

    async def _stop(self, life: Life) -> None:
        self.phase = Phase.STARTING
        assert life.kafka is not None, "a node that is up has its door"
        assert life.node is not None
        assert life.host is not None
        await life.kafka.close(1_000)
        await life.node.close()
        await life.host.close()
        if life.peering is not None:
            await life.peering.close()
        self.world.trace("stopped", self.node_id)
        self.world.after(0, lambda: self.crash(is_power_cut=False) if self.life is life else None)

    def _on_failure(self, life: Life, group_id: GroupId | None, error: Exception) -> None:
        self.world.trace("failure", self.node_id, group_id, type(error).__name__)
        life.has_failed = True
        if not isinstance(error, OSError) and not self.is_damaged:
            self.world.problem(f"{self.host_name}: group {group_id} failed: {error!r}")
        # As `timesplit.lifecycle`: the process ends. What a failed sync left behind is known after a power cycle only.
        self.world.after(0.001, lambda: self.crash(is_power_cut=True) if self.life is life else None)

    def _blocking(self, life: Life) -> Callable[[Callable[[], T]], Awaitable[T]]:
        async def blocking(work: Callable[[], T], /) -> T:
            await asyncio.sleep(life.threads.delay_s())
            return work()

        return blocking

    def _time(self, life: Life) -> Callable[[Node], TimeServices]:
        def made(node: Node) -> TimeServices:
            assert self._folder is not None, "history needs a folder"
            sealing = SealingSettings(
                topics_folder=self._folder / self.host_name / "topics",
                check_ms=self._options.seal_check_ms,
                retry_ms=200,
                run_merge=lambda job: self._merge(job, life),
            )
            services = TimeServices(
                node, TimeSettings(sealing=sealing), logger=logging.getLogger(f"time {self.host_name}")
            )
            life.time.append(services)
            return services

        return made

    async def _merge(self, job: MergeJob, life: Life) -> SplitManifest:
        """The merge process, in line: the log's segments are put where it can read them."""
        files = self.run_files
        assert files is not None, "history needs a folder"
        await asyncio.sleep(life.threads.delay_s())
        self.world.counts["merges"] += 1
        files.begin(self.host_name)
        try:
            manifest = self._merged(job, files.folder)
            await asyncio.sleep(MERGE_SYNCS * life.threads.delay_s())
        finally:
            if self.life is life:  # else its power may have been cut meanwhile
                files.end(self.host_name)
        return manifest

    def _merged(self, job: MergeJob, folder: Path) -> SplitManifest:
        with tempfile.TemporaryDirectory(dir=folder) as log:
            copies = {path: f"{log}/{i}" for i, path in enumerate(sorted({part.path for part in job.slices}))}
            for path, copy in copies.items():
                Path(copy).write_bytes(self.disk.read(path))
            slices = [msgspec.structs.replace(part, path=copies[part.path]) for part in job.slices]
            return merge_job.run(msgspec.structs.replace(job, slices=slices))


def group_or_none(process: NodeProcess, group_id: int) -> Group | None:
    """The group on this node, whatever phase it is in."""
    if process.life is None or process.life.host is None:
        return None
    return process.life.host.group_or_none(GroupId(group_id))


__all__ = ["DIRECTORY", "KAFKA_PORT", "NodeId", "NodeOptions", "NodeProcess", "Phase", "group_or_none"]
