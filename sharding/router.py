"""The way of a command to the node that leads its shard, and what this node knows of who leads.

A command goes to the shard on this node if that leads, else by a `PROPOSE` call to the leading node: the one that the
local group names, or that told so (`TELL_LEADERS`, sent to every live node when leadership begins and when a link comes
up), or that an answer hinted at. It is sent again only where certainly nothing came into a log, or where the caller
says that twice is as good as once; any other failure is NotLeaderError: the outcome is unknown.
"""

import asyncio
import logging
import struct
from collections.abc import Callable, Coroutine, Sequence

import msgspec

from raft.configuration import Peer
from raft.errors import CallRefusedError, PeerUnreachableError
from raft.interfaces import Buffer, NodeId
from raft.peers import NOT_SERVED, TOO_MANY_CALLS

from .calls import CallKind, LedShards, NodePeers, encoded
from .commands.append import Append
from .commands.command import Command
from .commands.table import decode_body, encode
from .errors import ClosingError, InvalidRequestError, NotLeaderError, OverloadedError, ShardingError
from .outcomes import decode_outcome, encode_outcome
from .shard import Shard

SUBMIT_TIMEOUT_MS = 10_000
CALL_TIMEOUT_MS = 5_000
TELL_TIMEOUT_MS = 1_000
ATTEMPT_PAUSE_S = 0.05
NOT_BEGUN = frozenset({NOT_SERVED, TOO_MANY_CALLS})
_SHARD = struct.Struct(">I")


class Router:
    """Owns the calls that are under way. `members_of` gives the nodes that may lead a shard, for want of a better."""

    def __init__(
        self,
        node_id: int,
        *,
        peers: NodePeers | None,
        shard_or_none: Callable[[int], Shard | None],
        members_of: Callable[[int], Sequence[int]],
        logger: logging.Logger,
    ) -> None:
        self._node_id = node_id
        self._peers = peers
        self._shard_or_none = shard_or_none
        self._members_of = members_of
        self._logger = logger
        # Shard -> (term, node), of shards that have no replica here.
        self._told: dict[int, tuple[int, int]] = {}
        self._led: dict[int, int] = {}
        self._tasks: set[asyncio.Task[object]] = set()
        self._undo: Callable[[], None] | None = None
        self._is_closed = False
        self._live = frozenset({node_id})
        if peers is not None:
            self._live |= {int(one) for one in peers.live_nodes()}
            peers.serve(CallKind.PROPOSE, self._on_propose)
            peers.serve(CallKind.TELL_LEADERS, self._on_told)
            self._undo = peers.observe(self._on_up, self._on_down)

    # Who leads.

    def leader_or_none(self, shard_id: int) -> int | None:
        """The node that leads a shard as far as this node knows; it may be wrong, and then somebody corrects it."""
        shard = self._shard_or_none(shard_id)
        if shard is not None:
            leader = shard.group.leader_or_none
            return None if leader is None else int(leader)
        if (told := self._told.get(shard_id)) is not None:
            return told[1]
        members = self._members_of(shard_id)
        return members[0] if len(members) == 1 and members[0] in self.live_nodes() else None

    def live_nodes(self) -> frozenset[int]:
        """This node and those to which the link is up."""
        return self._live

    def on_leading(self, shard_id: int, term: int) -> None:
        """This node began to lead: tell the others."""
        self._led[shard_id] = term
        for node_id in self.live_nodes() - {self._node_id}:
            self._spawn(self._tell(NodeId(node_id), ((shard_id, term),)))

    def on_following(self, shard_id: int) -> None:
        self._led.pop(shard_id, None)

    # Commands.

    def submit(
        self, shard_id: int, command: Command, *, timeout_ms: int = SUBMIT_TIMEOUT_MS, may_repeat: bool = False
    ) -> "asyncio.Future[object]":
        """Put a command into a shard's log, wherever it is led; the future has what its executor returned.

        `may_repeat`: executing it twice is as good as once. Raises: ClosingError. The future: NotLeaderError,
        ClosingError, and what the leader refuses.
        """
        shard = self._shard_or_none(shard_id)
        if shard is not None and shard.is_leader and not may_repeat:
            return shard.submit(command)
        return self._spawn(self._submit(shard_id, command, timeout_ms, may_repeat=may_repeat))

    async def close(self) -> None:
        """Give up what is under way: its outcome is unknown."""
        self._is_closed = True
        if self._undo is not None:
            self._undo()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _submit(self, shard_id: int, command: Command, timeout_ms: int, *, may_repeat: bool) -> object:
        try:
            return await self._submit_until(shard_id, command, timeout_ms, may_repeat=may_repeat)
        except asyncio.CancelledError:
            if self._is_closed:
                raise ClosingError("the node is shutting down; the outcome is unknown") from None
            raise

    async def _submit_until(self, shard_id: int, command: Command, timeout_ms: int, *, may_repeat: bool) -> object:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_ms / 1000
        attempt = 0
        while True:
            try:
                return await self._attempt(shard_id, command, attempt)
            except NotLeaderError as error:
                if not error.is_refusal and not may_repeat:
                    raise
                # Alone, nobody else can lead.
                if self._peers is None or loop.time() >= deadline:
                    raise NotLeaderError(error.leader_id, is_refusal=error.is_refusal) from error
            except OverloadedError:
                # Nothing was admitted, since leadership is on its way to another node, say.
                if loop.time() >= deadline:
                    raise
            attempt += 1
            await asyncio.sleep(ATTEMPT_PAUSE_S)

    async def _attempt(self, shard_id: int, command: Command, attempt: int) -> object:
        """Raises: NotLeaderError, ClosingError, and what the leader refuses."""
        shard = self._shard_or_none(shard_id)
        if shard is not None and shard.is_leader:
            return await shard.submit(command)
        target = self._target_or_none(shard_id, attempt)
        if target is None or self._peers is None:
            raise NotLeaderError(self.leader_or_none(shard_id), is_refusal=True)
        body = [_SHARD.pack(shard_id), *encode(command)]
        try:
            answer = await self._peers.call(NodeId(target), CallKind.PROPOSE, body, CALL_TIMEOUT_MS)
        except PeerUnreachableError as error:
            raise NotLeaderError(is_refusal=not error.was_sent, message=f"shard {shard_id}: {error}") from error
        except TimeoutError as error:
            raise NotLeaderError(message=f"shard {shard_id}: {error}; the outcome is unknown") from error
        except CallRefusedError as error:
            raise NotLeaderError(is_refusal=error.code in NOT_BEGUN, message=f"shard {shard_id}: {error}") from error
        try:
            return decode_outcome(answer)
        except NotLeaderError as error:
            if error.leader_id is not None and shard is None:
                term = self._told.get(shard_id, (0, 0))[0]
                self._told[shard_id] = term, error.leader_id
            raise

    def _target_or_none(self, shard_id: int, attempt: int) -> int | None:
        """Whom to ask: the leader as known, and in between, in case that is wrong, the others in turn."""
        live = self.live_nodes() - {self._node_id}
        leader = self.leader_or_none(shard_id)
        if leader in live and attempt % 2 == 0:
            return leader
        candidates = [one for one in self._members_of(shard_id) if one in live] or sorted(live)
        return candidates[attempt % len(candidates)] if candidates else None

    # Serving.

    async def _on_propose(self, _sender: Peer, body: memoryview) -> Sequence[Buffer]:
        (shard_id,) = _SHARD.unpack_from(body)
        return (encode_outcome(await self._propose_here(shard_id, body[_SHARD.size :])),)

    async def _propose_here(self, shard_id: int, data: memoryview) -> object:
        """The result, or the error that travels back."""
        shard = self._shard_or_none(shard_id)
        leader = self.leader_or_none(shard_id)
        refused = NotLeaderError(None if leader == self._node_id else leader, is_refusal=True)
        if shard is None or not shard.is_leader:
            return refused
        ((command, _),) = decode_body(shard.table, data)
        if isinstance(command, Append):
            return InvalidRequestError("batches are admitted where they are led, not proposed from elsewhere")
        try:
            submitted = shard.submit(command)
        except (NotLeaderError, ClosingError):
            return refused
        try:
            return await submitted
        except ClosingError:
            return NotLeaderError()
        except ShardingError as error:
            return error

    async def _on_told(self, sender: Peer, body: memoryview) -> Sequence[Buffer]:
        for shard_id, term in msgspec.msgpack.decode(body, type=LedShards).shards:
            if term >= self._told.get(shard_id, (0, 0))[0]:
                self._told[shard_id] = term, int(sender.node_id)
        return ()

    async def _tell(self, node: NodeId, led: tuple[tuple[int, int], ...]) -> None:
        assert self._peers is not None, "a node alone tells nobody"
        try:
            await self._peers.call(node, CallKind.TELL_LEADERS, encoded(LedShards(led)), TELL_TIMEOUT_MS)
        except (PeerUnreachableError, TimeoutError, CallRefusedError) as error:
            # It asks in vain once, and is told then.
            self._logger.debug("node %d was not told what this node leads: %s", node, error)

    def _on_up(self, peer: Peer) -> None:
        self._live |= {int(peer.node_id)}
        if self._led and not self._is_closed:
            self._spawn(self._tell(peer.node_id, tuple(self._led.items())))

    def _on_down(self, peer: Peer) -> None:
        self._live -= {int(peer.node_id)}
        for shard_id in [one for one, (_, node_id) in self._told.items() if node_id == peer.node_id]:
            del self._told[shard_id]

    def _spawn(self, work: Coroutine[object, object, object]) -> "asyncio.Task[object]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)
        return task

    def _on_task_done(self, task: "asyncio.Task[object]") -> None:
        self._tasks.discard(task)
        # The caller may be gone: then nobody else looks at the error.
        if not task.cancelled() and (error := task.exception()) is not None:
            self._logger.debug("a command did not get through: %s", error)
