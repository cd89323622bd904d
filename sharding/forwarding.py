"""Batches of inserts for partitions that are led elsewhere: admitted there, by one call each, durable when answered.

Body of the call: `16s topic id | u32 partition`, big-endian, then the batch as a producer would send it. The answer is
`u8 1` and msgpack of an `Appended`, or `u8 0` and an outcome (`outcomes`) that says why there is none.

A batch is sent again only where certainly nothing of it was admitted; else the record may be stored, and the error says
so. Kafka's own clients need none of this: they are told who leads.
"""

import asyncio
import struct
from collections.abc import Callable, Sequence
from dataclasses import astuple
from typing import Protocol
from uuid import UUID

import msgspec

from raft.configuration import Peer
from raft.errors import CallRefusedError, PeerUnreachableError
from raft.interfaces import Buffer, NodeId
from raft.peers import NOT_SERVED, TOO_MANY_CALLS
from store.batches import check
from store.errors import BatchError

from .calls import CallKind, NodePeers
from .errors import ClosingError, InvalidRecordError, NotLeaderError, ShardingError, TimedOutError
from .interfaces import Appended, PartitionApi, Topic
from .outcomes import decode_outcome, encode_outcome

APPEND_DEADLINE_S = 30.0
# Nobody leads: somebody will soon, or not for long.
REFUSED_DEADLINE_S = 5.0
ATTEMPT_PAUSE_S = 0.05
NOT_BEGUN = frozenset({NOT_SERVED, TOO_MANY_CALLS})
REFUSED, APPENDED = 0, 1
_HEAD = struct.Struct(">16sI")
_encoder = msgspec.msgpack.Encoder()


class ForwardingNode(Protocol):
    """What forwarding needs of its node; `sharding.node.Node` fulfils it."""

    @property
    def node_id(self) -> int: ...
    @property
    def now_ms(self) -> Callable[[], int]: ...
    def topic_by_id(self, topic_id: UUID) -> Topic: ...
    def partition(self, topic: Topic, index: int) -> PartitionApi: ...
    def leader_of(self, topic: Topic, index: int) -> tuple[int, int, Sequence[int]]: ...


class Forwarding:
    """Sends batches to other nodes, and admits theirs."""

    def __init__(self, node: ForwardingNode, peers: NodePeers | None) -> None:
        self._node = node
        self._peers = peers
        if peers is not None:
            peers.serve(CallKind.APPEND_BATCH, self._on_append)

    async def append(self, topic: Topic, index: int, batch: Buffer) -> Appended:
        """Admit one batch with acks=all where the partition is led; this node may turn out to be that one.

        Raises: NotLeaderError (`is_refusal`: nothing was stored), TimedOutError, and what the leader refuses.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        hint: int | None = None
        while True:
            try:
                return await self._attempt(topic, index, batch, hint, started + APPEND_DEADLINE_S)
            except NotLeaderError as error:
                is_over = self._peers is None or loop.time() - started >= REFUSED_DEADLINE_S
                if not error.is_refusal or is_over:
                    raise
                hint = error.leader_id
            await asyncio.sleep(ATTEMPT_PAUSE_S)

    async def _attempt(self, topic: Topic, index: int, batch: Buffer, hint: int | None, deadline: float) -> Appended:
        leader = self._node.leader_of(topic, index)[0]
        target = leader if hint is None else hint
        if target == self._node.node_id:
            return await self._append_here(topic, index, memoryview(bytearray(batch)))
        if target < 0 or self._peers is None:
            raise NotLeaderError(is_refusal=True)
        body = (_HEAD.pack(topic.topic_id.bytes, index), batch)
        timeout_ms = max(1, int((deadline - asyncio.get_running_loop().time()) * 1000))
        try:
            answer = await self._peers.call(NodeId(target), CallKind.APPEND_BATCH, body, timeout_ms)
        except PeerUnreachableError as error:
            raise NotLeaderError(is_refusal=not error.was_sent, message=f"{error}: the record may be stored") from error
        except TimeoutError as error:
            raise TimedOutError(f"{error}: the record may be stored") from error
        except CallRefusedError as error:
            raise NotLeaderError(is_refusal=error.code in NOT_BEGUN, message=str(error)) from error
        if answer[0] == APPENDED:
            return Appended(*msgspec.msgpack.decode(answer[1:], type=tuple[int, int, int, bool]))
        decode_outcome(answer[1:])
        raise AssertionError("a refusal raises")

    async def _append_here(self, topic: Topic, index: int, batch: memoryview) -> Appended:
        """Raises: NotLeaderError with `is_refusal` while nothing is admitted, and whatever the append ends with."""
        done: asyncio.Future[Appended | Exception] = asyncio.get_running_loop().create_future()

        def on_done(answer: Appended | Exception) -> None:
            if not done.done():
                done.set_result(answer)

        try:
            partition = self._node.partition(topic, index)
            partition.append(batch, check(batch), acks=-1, now_ms=self._node.now_ms(), on_done=on_done)
        except NotLeaderError as error:
            raise NotLeaderError(error.leader_id, is_refusal=True) from error
        except ClosingError as error:
            raise NotLeaderError(is_refusal=True) from error
        except BatchError as error:
            raise InvalidRecordError(str(error)) from error
        answer = await done
        if isinstance(answer, Appended):
            return answer
        raise answer

    async def _on_append(self, caller: Peer, body: memoryview) -> Sequence[Buffer]:
        del caller
        topic_id, index = _HEAD.unpack_from(body)
        try:
            topic = self._node.topic_by_id(UUID(bytes=topic_id))
            # The frame's memory is not to be written to; the batch gets its offset stamped.
            appended = await self._append_here(topic, index, memoryview(bytearray(body[_HEAD.size :])))
        except ShardingError as error:
            return bytes([REFUSED]), encode_outcome(error)
        return bytes([APPENDED]), _encoder.encode(astuple(appended))
