"""Group 0 and the shards of a node, and what keeps them as the catalog wants them. `node` puts the doors' API on top.

The catalog's own log is followed by callbacks: each command that concerns shards, slots or topics makes this node open
its replicas (`local_shards`), the leaders reconcile theirs (`reconcile`), the catalog's leader do what one node does
for all (`controller`), and those who wait look again (`bell`). What was applied before is looked at as a whole.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field

from raft.configuration import Peer
from raft.interfaces import GroupId, NodeId, Role, RoleChange
from store.emission import ViewKind

from .bell import Bell
from .calls import NodePeers
from .catalog import Catalog, TopicRecord
from .catalog_commands import (
    CATALOG_COMMANDS,
    AssignSlots,
    CreateShard,
    CreateTopic,
    Cut,
    DeleteTopic,
    PublishRun,
    RegisterNode,
    SetConfig,
    SetReplicas,
)
from .changes import Around, Changes
from .cluster_view import ClusterView
from .commands.command import At
from .commands.splits import Drop, Open
from .controller import Controller
from .coordinators.groups import Groups
from .coordinators.slots import GroupSlots
from .errors import ClosingError, NotLeaderError, ShardStoppedError
from .local_shards import GroupHost, LocalShards
from .membership import Membership, Surroundings
from .placement import Member
from .reconcile import Reconciler
from .router import Router
from .shard import Shard, ShardSettings
from .shard_state import Section
from .views.names import view_name

CATALOG_GROUP = GroupId(0)
REOPEN_PAUSE_S = 1.0
DELETED_NAMES_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """What a node must be told; `timesplit.settings` lists each with unit and reason.

    `founders`: who founded the cluster, this node among them; none if it joined one (or stands alone, without peers).
    `peer_host` and `peer_port`: where the other nodes reach it.
    """

    node_id: int
    cluster_id: str
    disk_id: bytes = b""
    founders: Sequence[Peer] = ()
    peer_host: str = ""
    peer_port: int = 0
    host: str = ""
    auto_create_topics: bool = True
    partitions: int = 1
    partitions_max: int = 10_000
    shards_per_node: int = 2
    drain_timeout_ms: int = 5_000
    replace_after_ms: int = 300_000
    balance_ms: int = 10_000
    shard: ShardSettings = field(default_factory=ShardSettings)


def new_sections() -> list[Section]:
    """The further state of each data shard."""
    return [GroupSlots()]


class Machinery:
    """Owns the shards of a node and every task that changes them."""

    def __init__(  # noqa: PLR0913 - it is the node's, and takes what the node is given
        self,
        settings: NodeSettings,
        host: GroupHost,
        *,
        peers: NodePeers | None,
        groups: Groups | None,
        on_shards_changed: Callable[[], None],
        now_ms: Callable[[], int],
        logger: logging.Logger,
    ) -> None:
        """`peers` None: this node stands alone. `on_shards_changed`: a shard was opened here, or is gone."""
        self._settings = settings
        self._on_shards_changed = on_shards_changed
        self._peers = peers
        self._groups = groups
        self._logger = logger
        self._served: set[int] = set()
        self._topic_observers: list[Callable[[], None]] = []
        self._node_observers: list[Callable[[], None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        # Topics that are deleted, and whose offsets the groups that are led here still have.
        self._forgetting: set[bytes] = set()
        # Names of topics that were deleted while this node ran, the newest last.
        self._deleted_names: dict[str, None] = {}
        self._is_closing = False
        self.catalog = Catalog()
        self.catalog_shard = Shard(
            CATALOG_GROUP,
            call_soon=self._call_soon,
            logger=logger,
            sections=[self.catalog],
            settings=settings.shard,
            table=CATALOG_COMMANDS,
        )
        self._bell = Bell()
        peer = None if peers is None else Peer(NodeId(settings.node_id), settings.disk_id.decode())
        self._opened = LocalShards(
            host, self.catalog, peer=peer, new_shard=self._new_shard, on_opened=self._on_opened, logger=logger
        )
        self.shards = self._opened.all
        self.router = Router(
            settings.node_id,
            peers=peers,
            shard_or_none=self._shard_or_none,
            members_of=self._members_of,
            logger=logger,
        )
        self.changes = Changes(
            Around(
                node_id=settings.node_id,
                shards_per_node=settings.shards_per_node,
                catalog=self.catalog,
                catalog_shard=self.catalog_shard,
                shards=self.shards,
                router=self.router,
                peers=peers,
                members=self.members,
                is_forgotten=lambda topic_id: topic_id not in self._forgetting,
                bell=self._bell,
                logger=logger,
            )
        )
        self._reconciler = Reconciler(self.catalog, barrier=self.changes.barrier, now_ms=now_ms, logger=logger)
        self._controller = Controller(
            self.catalog_shard, self.changes, is_complete=self._is_complete, bell=self._bell, logger=logger
        )
        self.membership = Membership(
            Surroundings(
                node_id=settings.node_id,
                catalog=self.catalog,
                catalog_shard=self.catalog_shard,
                shards=self.shards,
                members=self.members,
                live_nodes=self.router.live_nodes,
                submit=lambda command: self.changes.submit(command, may_repeat=True),
                barrier=self.changes.barrier,
                bell=self._bell,
                logger=logger,
            ),
            replace_after_ms=settings.replace_after_ms,
            balance_ms=settings.balance_ms,
        )
        self.view = ClusterView(
            self.catalog,
            self.router,
            shards=lambda: {int(CATALOG_GROUP): self.catalog_shard, **self.shards},
            peers=peers,
            logger=logger,
        )
        host.on_removed = self._on_removed
        host.on_unknown_group = lambda group_id, _sender: self._opened.open_asked(group_id)

    async def start(self) -> None:
        """Returns when the catalog is known and the shards are open; alone, when they are as the catalog wants them.

        Raises: raft.errors.DataDirectoryError, OSError.
        """
        await self._opened.attach(self.catalog_shard, tuple(self._settings.founders) or None, is_lasting=True)
        if self._peers is None:
            await self.catalog_shard.until_leading()
        else:
            await self._until_catalog_known()
        self._observe_catalog()
        await self._opened.until_open()
        if self._is_alone:
            await self._until_all_is_led()
        if self._peers is not None:
            self._controller.start()
            self.membership.start()
        self._serve_slots()

    async def stop(self) -> None:
        """Change nothing any more. What is half done goes on elsewhere, or here after the next start."""
        self._is_closing = True
        await self._controller.close()
        await self.membership.close()
        await self.changes.close()
        await self._reconciler.close()
        await self.router.close()
        await self._opened.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Refuse what comes, let what is under way be committed, save checkpoints. The host is closed by its owner."""
        shards = [*self.shards.values(), self.catalog_shard]
        for shard in shards:
            shard.stop_admitting()
        timeout_s = self._settings.drain_timeout_ms / 1000
        _, late = await asyncio.wait([asyncio.ensure_future(shard.drain()) for shard in shards], timeout=timeout_s)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)
            self._logger.warning("%d shards still had commands in flight at close", len(late))
        for shard in shards:
            if shard.applied and not shard.group.is_stopped:
                shard.save_checkpoint()
            shard.fail_pending()

    def observe_topics(self, observer: Callable[[], None]) -> Callable[[], None]:
        """Call `observer` whenever topics, their settings, splits, manifests or shards may have changed."""
        self._topic_observers.append(observer)
        return lambda: self._topic_observers.remove(observer)

    def observe_nodes(self, observer: Callable[[], None]) -> Callable[[], None]:
        """Call `observer` whenever the registered nodes or their addresses may have changed."""
        self._node_observers.append(observer)
        return lambda: self._node_observers.remove(observer)

    def members(self) -> dict[int, Member]:
        """The nodes that may hold replicas: those that registered, and the members of group 0 that will."""
        members: dict[int, Member] = {}
        if self._peers is None:
            peer = Peer(NodeId(self._settings.node_id), self._settings.disk_id.decode())
            members[self._settings.node_id] = Member(peer, self._settings.host)
        else:
            members |= {int(peer.node_id): Member(peer, "") for peer in self.catalog_shard.group.configuration.peers}
        members |= {node_id: Member(one.peer, one.host) for node_id, one in self.catalog.nodes.items()}
        return dict(sorted(members.items()))

    async def _until_catalog_known(self) -> None:
        """All that was decided before this start is applied here."""
        while not self._is_closing:
            try:
                await self.changes.barrier()
            except NotLeaderError as error:
                if self.catalog_shard.group.is_stopped:
                    raise ShardStoppedError("the catalog's log stopped; its log says why") from error
                self._logger.warning("waiting for the catalog: %s", error)
            else:
                return
        raise ClosingError("the node was closed before it knew the catalog")

    @property
    def _is_alone(self) -> bool:
        """No other node has founded the cluster, or has joined it."""
        me = self._settings.node_id
        return self._peers is None or [int(one.node_id) for one in self.catalog_shard.group.configuration.peers] == [me]

    async def _until_all_is_led(self) -> None:
        """A node alone leads everything, and repairs what a crash left half done, before it serves."""
        await self.catalog_shard.until_leading()
        await asyncio.gather(*(shard.until_leading() for shard in self.shards.values()))
        await self.changes.assign_slots()
        await self._opened.until_open()
        await asyncio.gather(*(shard.until_leading() for shard in self.shards.values()))
        await self._reconciler.until_done()
        if not all(shard.is_leader for shard in self.shards.values()):
            raise ShardStoppedError("a shard stopped while its partitions were opened; its log says why")

    # Following the catalog and the shards.

    def _new_shard(self, shard_id: int) -> Shard:
        return Shard(
            shard_id,
            call_soon=self._call_soon,
            logger=self._logger,
            sections=new_sections(),
            settings=self._settings.shard,
        )

    def _on_opened(self, shard: Shard) -> None:
        """A shard has its group; nothing was applied yet that is not in its checkpoint."""
        shard.observe_roles(lambda change: self._on_role(shard, change))
        for kind in (Open, Drop):
            shard.observe_commands(kind, lambda _command, _result, _at: self._bell.ring())
        shard.observe_restores(self._bell.ring)
        self._reconciler.follow(shard)
        self._serve_slots()
        self._bell.ring()
        self._on_shards_changed()
        self._tell_topic_observers()

    def _on_role(self, shard: Shard, change: RoleChange) -> None:
        if change.role is Role.LEADER:
            self.router.on_leading(shard.shard_id, change.term)
            if shard is not self.catalog_shard and self._groups is not None and self._deleted_names:
                # Whoever led it before may not have come to forget them.
                self._spawn(self._forget_offsets_on(self._groups, tuple(self._deleted_names)))
        else:
            self.router.on_following(shard.shard_id)
        self._bell.ring()

    def _observe_catalog(self) -> None:
        """From now on; what was applied before is in the state."""
        shard = self.catalog_shard
        for kind in (CreateTopic, DeleteTopic, Cut):
            shard.observe_commands(kind, self._on_topic_command)
        for kind in (CreateTopic, DeleteTopic, SetConfig, Cut, PublishRun):
            shard.observe_commands(kind, lambda _command, _result, _at: self._tell_topic_observers())
        for kind in (RegisterNode, CreateShard, SetReplicas, AssignSlots):
            shard.observe_commands(kind, lambda _command, _result, _at: self._on_nodes_changed())
        shard.observe_restores(self._on_catalog_replaced)
        shard.observe_roles(lambda change: self._on_role(shard, change))

    def _on_topic_command(self, command: CreateTopic | DeleteTopic | Cut, result: object, _at: At) -> None:
        if isinstance(result, TopicRecord):
            self._reconciler.on_topic(result.topic_id, result.shards)
            if isinstance(command, DeleteTopic) and self._groups is not None:
                self._forgetting.add(result.topic_id)
                self._deleted_names[result.name] = None
                while len(self._deleted_names) > DELETED_NAMES_MAX:
                    del self._deleted_names[next(iter(self._deleted_names))]
                self._spawn(self._forget_offsets(self._groups, result))
        self._bell.ring()

    async def _forget_offsets(self, groups: Groups, topic: TopicRecord) -> None:
        try:
            await self._forget_offsets_on(groups, (topic.name,))
        finally:
            self._forgetting.discard(topic.topic_id)
            self._bell.ring()

    async def _forget_offsets_on(self, groups: Groups, deleted: Sequence[str]) -> None:
        """Those that the groups led here have on these topics and their views, unless one is there anew."""
        for name in deleted:
            for each in (name, *(view_name(name, kind) for kind in ViewKind)):
                if self.catalog.topic_or_none(name) is None:
                    await groups.forget_topic(each)

    def _on_nodes_changed(self) -> None:
        self._opened.follow()
        self._serve_slots()
        self._controller.on_nodes_changed()
        self._bell.ring()
        for observer in tuple(self._node_observers):
            observer()

    def _on_removed(self, group_id: GroupId) -> None:
        """This node is no member of a group any more; what it has on its disk stays there."""
        if group_id == CATALOG_GROUP:
            self._logger.error("this node does not belong to the cluster any more: its catalog stands still")
            return
        shard = self._opened.forget(group_id)
        if shard is not None:
            self._reconciler.forget(shard)
            if self._groups is not None and group_id in self._served:
                self._served.discard(group_id)
                self._groups.drop(shard)
            self._on_shards_changed()
            self._tell_topic_observers()
            # It may be wanted again already.
            asyncio.get_running_loop().call_later(REOPEN_PAUSE_S, self._opened.follow)

    def _on_catalog_replaced(self) -> None:
        self._reconciler.on_catalog_replaced()
        self._on_nodes_changed()
        self._tell_topic_observers()

    def _serve_slots(self) -> None:
        """Coordinate the groups of the shards that are open, once their slots are assigned."""
        slots = self.catalog.slots.get("group")
        if self._groups is None or slots is None:
            return
        for shard_id, shard in self.shards.items():
            if shard_id not in self._served:
                self._served.add(shard_id)
                self._groups.serve(shard, [slot for slot, place in enumerate(slots) if place == shard_id])

    def _shard_or_none(self, shard_id: int) -> Shard | None:
        return self.catalog_shard if shard_id == CATALOG_GROUP else self.shards.get(shard_id)

    def _members_of(self, shard_id: int) -> Sequence[int]:
        record = self.catalog.shards.get(shard_id)
        return () if record is None else record.replicas

    def _is_complete(self) -> bool:
        return all(int(peer.node_id) in self.catalog.nodes for peer in self.catalog_shard.group.configuration.peers)

    def _call_soon(self, callback: Callable[[], object], /) -> object:
        return asyncio.get_running_loop().call_soon(callback)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._logger.warning("offsets of a deleted topic are kept: %s", error)

    def _tell_topic_observers(self) -> None:
        for observer in tuple(self._topic_observers):
            observer()
