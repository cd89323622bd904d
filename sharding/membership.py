"""Who belongs to a shard's group: what the catalog wants, carried out by whoever leads the group, a step at a time.

Every node looks at the groups that it leads, once a second and whenever the catalog changed:

- The members are not the wanted ones: after a fresh barrier on the catalog (an old one may want what was given up
  since) the group changes. It does so by one voter at a time; who joins first catches up, who is on another disk first
  leaves.
- They are, and the preferred leader is another live node that has caught up: leadership is handed to it, if nothing
  of that kind happened here for `balance_ms`, and this node has led for as long.

The leader of the catalog also replaces nodes that were not heard of for `replace_after_ms`, one shard at a time, and
only where a majority of the replicas is live: another node becomes wanted in the place of the dead one. And it brings
the shards of a stream together again that have had different replicas for `APART_S`: a move of several broke off.

Every node leaves replicas that nobody wants, if they know no member who could tell them to.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from raft.configuration import Peer
from raft.errors import RaftError
from raft.interfaces import NodeId

from .bell import Bell
from .catalog import Catalog, ShardRecord
from .catalog_commands import SetReplicas
from .commands.command import Command
from .errors import InvalidRequestError, ShardingError
from .placement import (
    Members,
    apart,
    replacement_or_none,
    replica_loads,
    replicas_towards,
    stream_companions,
    stream_neighbours,
)
from .shard import Shard

LOOK_S = 1.0
RETRY_PAUSE_S = 1.0
CATALOG_VOTERS_MAX = 3
BEHIND_ENTRIES_MAX = 64
APART_S = 10.0
USELESS_S = 5.0


class Wanted(NamedTuple):
    voters: tuple[Peer, ...]
    learners: tuple[Peer, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What membership needs of its node. `submit`: a command of the catalog; `barrier` makes this node's copy fresh."""

    node_id: int
    catalog: Catalog
    catalog_shard: Shard
    shards: Mapping[int, Shard]
    members: Callable[[], Members]
    live_nodes: Callable[[], frozenset[int]]
    submit: Callable[[Command], Awaitable[object]]
    barrier: Callable[[], Awaitable[None]]
    bell: Bell
    logger: logging.Logger


class Membership:
    """Owns the task that looks, and one for each group whose members change."""

    def __init__(self, around: Surroundings, *, replace_after_ms: int, balance_ms: int) -> None:
        """`balance_ms` 0: leadership stays where it is."""
        self._around = around
        self._replace_after_s = replace_after_ms / 1000
        self._balance_s = balance_ms / 1000
        self._changing: dict[int, asyncio.Task[None]] = {}
        self._transfer: asyncio.Task[None] | None = None
        self._balanced_at = 0.0
        # Shard -> the term in which it is led here, and since when.
        self._led: dict[int, tuple[int, float]] = {}
        # When this node last saw others go, and when it began to look.
        self._seen_live: dict[int, float] = {}
        # Shard -> since when it has other replicas than those that hold a stream with it.
        self._apart: dict[int, float] = {}
        # Replicas that nobody wants, and that know no other, since when.
        self._useless: dict[Shard, float] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._balanced_at = self._now()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="membership")

    async def hand_over(self) -> None:
        """Give the leadership of every group to whoever is furthest, because this node goes; within an election or two.

        Nothing is moved by this node any more.
        """
        await self.close()
        shards = (self._around.catalog_shard, *self._around.shards.values())
        led = [(shard, node) for shard in shards if (node := _furthest_or_none(shard)) is not None]
        await asyncio.gather(*(self._hand_over(shard, node) for shard, node in led))

    async def close(self) -> None:
        tasks = [one for one in (self._task, self._transfer, *self._changing.values()) if one is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def grow(self, replication_factor: int) -> list[int]:
        """Want more replicas, on live nodes, of every shard that has fewer than that; the shards that change.

        Raises: InvalidRequestError (somebody else changes one at the same time), NotLeaderError, ClosingError.
        """
        around = self._around
        live = {one: member for one, member in around.members().items() if one in around.live_nodes()}
        changed: list[int] = []
        for shard_id in sorted(around.catalog.shards):
            record = around.catalog.shards[shard_id]
            replicas = list(record.replicas)
            while len(replicas) < replication_factor:
                loads = replica_loads(around.catalog)
                neighbours = stream_neighbours(around.catalog, shard_id)
                chosen = replacement_or_none(replicas, -1, live, loads, neighbours)
                if chosen is None:
                    break
                replicas.append(chosen)
            if len(replicas) > len(record.replicas):
                await self._want(record, replicas, replication_factor=len(replicas))
                changed.append(shard_id)
        return changed

    async def want(self, shard_id: int, replicas: Sequence[int]) -> None:
        """Want these replicas of a shard, the preferred leader first; at most a minority of them changes at a time.

        The shards that hold a stream with it come along, one after the other: who answers for a stream has all of it.
        If that breaks off, the same call goes on.
        Raises: InvalidRequestError, NotLeaderError, ClosingError.
        """
        if (record := self._around.catalog.shards.get(shard_id)) is None:
            raise InvalidRequestError(f"no shard {shard_id}")
        if unknown := {*replicas} - self._around.members().keys():
            raise InvalidRequestError(f"no node {min(unknown)}")
        if len({*replicas}) < len(replicas) or len(replicas) != len(record.replicas):
            raise InvalidRequestError(f"{len(record.replicas)} different nodes are wanted, not {list(replicas)}")
        shards, most = self._around.catalog.shards, max(1, (len(replicas) - 1) // 2)
        companions = [shards[one] for one in stream_companions(self._around.catalog, shard_id) if one in shards]
        for companion in companions:
            leaving = len({*companion.replicas} - {*replicas})
            if leaving > most:
                one = companion.shard_id
                raise InvalidRequestError(
                    f"{leaving} of {len(replicas)} replicas of shard {one} change, at most {most}"
                )
        for companion in companions:
            towards = [*replicas] if companion is record else replicas_towards(companion.replicas, replicas)
            if tuple(towards) != companion.replicas:
                await self._want(companion, towards)

    async def _run(self) -> None:
        while True:
            try:
                self._look()
                await self._replace_dead()
                await self._bring_together()
                await self._leave_what_nobody_led()
            except (ShardingError, RaftError) as error:
                self._around.logger.warning("the replicas are not where they should be yet: %s", error)
                await asyncio.sleep(RETRY_PAUSE_S)
            except Exception:
                self._around.logger.exception("looking after members failed")
                await asyncio.sleep(RETRY_PAUSE_S)
            await self._around.bell.wait(LOOK_S)

    def _look(self) -> None:
        for shard in (self._around.catalog_shard, *self._around.shards.values()):
            if shard.is_leader and shard.shard_id not in self._changing:
                wanted = self._wanted_or_none(shard)
                if wanted is not None and not _is_settled(shard, wanted):
                    task = asyncio.get_running_loop().create_task(
                        self._change(shard), name=f"members of shard {shard.shard_id}"
                    )
                    self._changing[shard.shard_id] = task
        self._balance()

    def _wanted_or_none(self, shard: Shard) -> Wanted | None:
        """None: the nodes that are wanted are not all known, or too few of them are live to change anything."""
        around = self._around
        members = around.members()
        if shard is around.catalog_shard:
            return self._wanted_of_catalog(members)
        record = around.catalog.shards.get(shard.shard_id)
        if record is None or not all(one in members for one in record.replicas):
            return None
        return Wanted(tuple(members[one].peer for one in record.replicas))

    def _wanted_of_catalog(self, members: Members) -> Wanted | None:
        """All nodes follow the catalog; up to three of them vote, and those who do go on doing so while they live."""
        present = {peer.node_id for peer in self._around.catalog_shard.group.configuration.voters}
        dead = {one for one in members if self._is_dead(one)}
        ranked = sorted(members, key=lambda one: (one in dead, NodeId(one) not in present, one))
        voters = ranked[:CATALOG_VOTERS_MAX]
        return Wanted(
            tuple(members[one].peer for one in sorted(voters)),
            tuple(members[one].peer for one in sorted(ranked[CATALOG_VOTERS_MAX:])),
        )

    async def _change(self, shard: Shard) -> None:
        """Until its members are the wanted ones, or it is led elsewhere; what is wanted meanwhile is followed."""
        try:
            while shard.is_leader:
                await self._around.barrier()
                wanted = self._wanted_or_none(shard)
                if wanted is None or _is_settled(shard, wanted):
                    return
                await self._change_to(shard, wanted)
        except (ShardingError, RaftError) as error:
            self._around.logger.info("shard %d: its members do not change now: %s", shard.shard_id, error)
            await asyncio.sleep(RETRY_PAUSE_S)
        except Exception:
            self._around.logger.exception("shard %d: the change of its members failed", shard.shard_id)
            await asyncio.sleep(RETRY_PAUSE_S)
        finally:
            del self._changing[shard.shard_id]

    async def _change_to(self, shard: Shard, wanted: Wanted) -> None:
        """Returns when that is so, or something else is wanted."""
        group = shard.group
        self._around.logger.info("shard %d: members become %s", shard.shard_id, _names(wanted))
        change = group.change(wanted.voters, wanted.learners) if wanted.learners else group.change(wanted.voters)
        changing = asyncio.ensure_future(change)
        try:
            while not changing.done() and self._wanted_or_none(shard) == wanted:
                await asyncio.wait([changing], timeout=LOOK_S)
        finally:
            if not changing.done():
                changing.cancel()
                await asyncio.gather(changing, return_exceptions=True)
        if not changing.cancelled():
            changing.result()

    # Leader balance.

    def _balance(self) -> None:
        now = self._now()
        for shard in self._around.shards.values():
            if not shard.is_leader:
                self._led.pop(shard.shard_id, None)
            elif self._led.get(shard.shard_id, (-1, now))[0] != shard.term:
                self._led[shard.shard_id] = shard.term, now
        if not self._balance_s or now - self._balanced_at < self._balance_s:
            return
        if self._transfer is not None and not self._transfer.done():
            return
        for shard in self._around.shards.values():
            preferred = self._preferred_or_none(shard)
            if preferred is not None:
                self._balanced_at = self._now()
                self._transfer = asyncio.get_running_loop().create_task(self._hand_over(shard, preferred))
                return

    def _preferred_or_none(self, shard: Shard) -> NodeId | None:
        """Whom a shard that is led here goes to, if it should and can."""
        record = self._around.catalog.shards.get(shard.shard_id)
        if not shard.is_leader or record is None or record.replicas[0] == self._around.node_id:
            return None
        if self._now() - self._led[shard.shard_id][1] < self._balance_s:
            # It may have been handed over on purpose: the other node goes.
            return None
        preferred = NodeId(record.replicas[0])
        for one in shard.group.progress():
            is_near = shard.group.applied - one.match <= BEHIND_ENTRIES_MAX
            if one.node_id == preferred and one.is_voter and one.is_live and is_near:
                return preferred
        return None

    async def _hand_over(self, shard: Shard, to: NodeId) -> None:
        try:
            await shard.group.transfer(to)
        except RaftError as error:
            self._around.logger.info("shard %d stays here: %s", shard.shard_id, error)

    # Dead nodes.

    def _is_dead(self, node_id: int) -> bool:
        """Not heard of for so long that its replicas are replaced. This node counts from when it began to look."""
        now = self._now()
        if node_id in self._around.live_nodes():
            self._seen_live[node_id] = now
        return now - self._seen_live.setdefault(node_id, now) >= self._replace_after_s

    async def _replace_dead(self) -> None:
        """Want another node in the place of a dead one, in one shard."""
        around = self._around
        members = around.members()
        dead = {one for one in members if self._is_dead(one)}
        if not dead or not around.catalog_shard.is_leader:
            return
        live = {one: member for one, member in members.items() if one in around.live_nodes()}
        loads = replica_loads(around.catalog)
        for record in around.catalog.shards.values():
            gone = [one for one in record.replicas if one in dead]
            if not gone or 2 * sum(one in live for one in record.replicas) <= len(record.replicas):
                continue
            neighbours = stream_neighbours(around.catalog, record.shard_id)
            chosen = replacement_or_none(record.replicas, gone[0], live, loads, neighbours)
            if chosen is not None:
                # The survivors first: one of them leads already.
                await self._want(record, [*(one for one in record.replicas if one != gone[0]), chosen])
                around.logger.warning("shard %d: node %d takes the place of %d", record.shard_id, chosen, gone[0])
                return

    # Replicas of no use.

    async def _leave_what_nobody_led(self) -> None:
        """Replicas that a leader asked for and then had no use for: they know no member that would tell them so."""
        around, now = self._around, self._now()
        found = {shard for shard in around.shards.values() if self._is_of_no_use(shard)}
        self._useless = {shard: self._useless.get(shard, now) for shard in found}
        if any(now - since >= USELESS_S for since in self._useless.values()):
            await around.barrier()
            for shard, since in self._useless.items():
                is_open = around.shards.get(shard.shard_id) is shard
                if now - since >= USELESS_S and is_open and self._is_of_no_use(shard):
                    shard.group.leave()

    def _is_of_no_use(self, shard: Shard) -> bool:
        """Whoever needs it after all asks for it, and then it is opened again."""
        record, group = self._around.catalog.shards.get(shard.shard_id), shard.group
        is_wanted = record is None or self._around.node_id in record.replicas
        return not is_wanted and not group.configuration.voters and group.leader_or_none is None

    # Streams.

    async def _bring_together(self) -> None:
        """Want the replicas of most shards of a stream in the place of others, if they differ for some time."""
        around = self._around
        if not around.catalog_shard.is_leader:
            self._apart.clear()
            return
        due = apart(around.catalog, around.live_nodes().intersection(around.members()))
        now = self._now()
        self._apart = {one: self._apart.get(one, now) for one in due}
        for shard_id, replicas in due.items():
            if now - self._apart[shard_id] >= APART_S:
                await self._want(around.catalog.shards[shard_id], replicas)
                around.logger.warning("shard %d follows those that hold a stream with it to %s", shard_id, replicas)
                return

    # What the catalog is to want.

    async def _want(
        self, record: ShardRecord, replicas: Iterable[int], *, replication_factor: int | None = None
    ) -> None:
        """Returns when the catalog has it. Raises: InvalidRequestError (another change came first), NotLeaderError."""
        wanted = msgspec.structs.replace(
            record,
            replicas=tuple(replicas),
            version=record.version + 1,
            replication_factor=replication_factor or record.replication_factor,
        )
        if await self._around.submit(SetReplicas(wanted)) is not None:
            return
        # It may have come through the first time, and a repetition found itself there.
        present = self._around.catalog.shards.get(record.shard_id)
        if present is None or (present.version, present.replicas) != (wanted.version, wanted.replicas):
            raise InvalidRequestError(f"shard {record.shard_id}: another change of its replicas came first; look again")

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _furthest_or_none(shard: Shard) -> NodeId | None:
    """The live voter that has most of a group that is led here; None: it is not, or there is no other."""
    if not shard.is_leader:
        return None
    me = shard.group.leader_or_none
    others = [one for one in shard.group.progress() if one.is_voter and one.is_live and one.node_id != me]
    best = max(others, key=lambda one: one.match, default=None)
    return None if best is None else best.node_id


def _is_settled(shard: Shard, wanted: Wanted) -> bool:
    configuration = shard.group.configuration
    return {*configuration.voters} == {*wanted.voters} and {*configuration.learners} == {*wanted.learners}


def _names(wanted: Wanted) -> str:
    learners = f" and learners {_ids(wanted.learners)}" if wanted.learners else ""
    return f"voters {_ids(wanted.voters)}{learners}"


def _ids(peers: Sequence[Peer]) -> str:
    return ", ".join(str(peer.node_id) for peer in peers)
