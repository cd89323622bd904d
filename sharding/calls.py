"""What the nodes of a cluster ask each other in this layer: the kinds of calls, and their bodies.

Every body is msgpack of an array-like struct, but for `PROPOSE`, which is `u32 shard` and a command as in the log.
"""

from collections.abc import Awaitable, Callable, Sequence
from enum import IntEnum
from typing import Protocol

import msgspec

from raft.configuration import Peer
from raft.interfaces import Buffer, NodeId


class CallKind(IntEnum):
    """Kinds 32-47 are those of this module, 48-63 those of `copies`, `forwarding` and `group_list`."""

    PROPOSE = 32
    AWAIT_TOPIC = 33
    TELL_LEADERS = 34
    DESCRIBE_SHARDS = 35
    FETCH_RUN = 48
    COPY_SPLIT = 49
    APPEND_BATCH = 50
    LIST_GROUPS = 51


CallHandler = Callable[[Peer, memoryview], Awaitable[Sequence[Buffer]]]


class NodePeers(Protocol):
    """The other nodes. `raft.peers.Peers` fulfils it."""

    async def call(self, node: NodeId, kind: int, body: Sequence[Buffer], timeout_ms: int) -> memoryview:
        """Raises: PeerUnreachableError, CallRefusedError, TimeoutError."""
        ...

    def serve(self, kind: int, handler: CallHandler) -> None: ...
    def live_nodes(self) -> "Sequence[NodeId] | frozenset[NodeId] | set[NodeId]":
        """The other nodes to which the link is up."""
        ...

    def observe(self, on_up: Callable[[Peer], None], on_down: Callable[[Peer], None]) -> Callable[[], None]: ...


class AwaitTopic(msgspec.Struct, array_like=True, frozen=True):
    """Answer when you know the topic in this state (deleted, or at least at split `number`), or `wait_ms` are over.

    Those partitions count that you lead: they must be open at that split, or dropped.
    """

    topic_id: bytes
    number: int
    is_deleted: bool
    wait_ms: int


class LedPartition(msgspec.Struct, array_like=True, frozen=True):
    """A partition that the answering node leads, and the newest split of it."""

    index: int
    number: int
    first_offset: int
    committed_offset: int


class TopicSeen(msgspec.Struct, array_like=True, frozen=True):
    """`is_known`: the topic has the state that was asked for, by the catalog of the answering node."""

    is_known: bool
    led: tuple[LedPartition, ...] = ()


class LedShards(msgspec.Struct, array_like=True, frozen=True):
    """(shard, term) of those that the calling node leads."""

    shards: tuple[tuple[int, int], ...]


class SeenReplica(msgspec.Struct, array_like=True, frozen=True):
    node_id: int
    is_voter: bool
    match: int
    is_live: bool


class SeenShard(msgspec.Struct, array_like=True, frozen=True):
    """A shard as its leader sees it."""

    shard_id: int
    term: int
    applied: int
    partition_count: int
    replicas: tuple[SeenReplica, ...]


class SeenShards(msgspec.Struct, array_like=True, frozen=True):
    shards: tuple[SeenShard, ...]


_encoder = msgspec.msgpack.Encoder()


def encoded(body: msgspec.Struct) -> tuple[bytes]:
    return (_encoder.encode(body),)
