"""How two nodes begin a connection: each says who it is, in one frame. Pure.

    4s magic, u16 format version, then msgpack: [purpose, cluster id, node id, disk id, nonce, to node, reason]

Who dials says why (LINK, or QUESTION: one frame asked, one frame answered) and draws a nonce; the other one answers
WELCOME with the same nonce, or REFUSED with a reason for the operator. The version comes first, and stays there, so
that nodes of different versions can say what is wrong.
"""

import struct
from collections.abc import Mapping
from enum import IntEnum

import msgspec

from .configuration import Peer
from .errors import GreetingRefusedError, MalformedFrameError
from .interfaces import NodeId

MAGIC = b"TSPL"
FORMAT_VERSION = 2
GREETING_BYTES_MAX = 1_024
ID_CHARACTERS_MAX = 64
NONCE_BYTES = 16
ANY_NODE = NodeId(0)
NO_CLUSTER_YET = "belongs to no cluster yet"
"""Why a link is refused while its cluster is being founded: nothing to worry about."""

HEADER = struct.Struct(">4sH")


class Purpose(IntEnum):
    LINK = 1
    QUESTION = 2
    WELCOME = 3
    REFUSED = 4


class Greeting(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """`to_node`: whom the dialing node means to reach; ANY_NODE when it knows an address only."""

    purpose: Purpose
    cluster_id: str
    node_id: NodeId
    disk_id: str
    nonce: bytes
    to_node: NodeId = ANY_NODE
    reason: str = ""

    @property
    def peer(self) -> Peer:
        return Peer(self.node_id, self.disk_id)


def encode_greeting(greeting: Greeting) -> bytes:
    return HEADER.pack(MAGIC, FORMAT_VERSION) + msgspec.msgpack.encode(greeting)


def decode_greeting(frame: memoryview) -> Greeting:
    """Raises: MalformedFrameError, GreetingRefusedError (of another version)."""
    if len(frame) < HEADER.size or bytes(frame[:4]) != MAGIC:
        raise MalformedFrameError("no greeting of a node")
    version: int = HEADER.unpack_from(frame)[1]
    if version != FORMAT_VERSION:
        raise GreetingRefusedError(f"format version {version}, this node speaks {FORMAT_VERSION}")
    try:
        greeting = msgspec.msgpack.decode(frame[HEADER.size :], type=Greeting)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedFrameError(f"an unreadable greeting: {error}") from error
    if max(len(greeting.cluster_id), len(greeting.disk_id)) > ID_CHARACTERS_MAX or len(greeting.nonce) != NONCE_BYTES:
        raise MalformedFrameError("a greeting with ids of unusual length")
    if not 0 < greeting.node_id < 2**31:
        raise MalformedFrameError(f"a greeting of node {greeting.node_id}")
    return greeting


def check_link(heard: Greeting, own: Peer, cluster_id: str, known: Mapping[NodeId, str | None]) -> None:
    """Whether a node that asks for a link is one of this cluster; `known`: its nodes, with disk ids where known.

    Raises: GreetingRefusedError.
    """
    if heard.to_node != own.node_id:
        raise GreetingRefusedError(f"this is node {own.node_id}, not node {heard.to_node}")
    check_identity(heard, own, cluster_id, known)
    if heard.node_id < own.node_id:
        raise GreetingRefusedError(f"node {own.node_id} dials node {heard.node_id}, not the other way around")


def check_identity(heard: Greeting, own: Peer, cluster_id: str, known: Mapping[NodeId, str | None]) -> None:
    """Raises: GreetingRefusedError."""
    if not cluster_id:
        raise GreetingRefusedError(f"node {own.node_id} {NO_CLUSTER_YET}")
    if heard.cluster_id != cluster_id:
        raise GreetingRefusedError(f"cluster {heard.cluster_id or '(none)'}, not {cluster_id}")
    if heard.node_id == own.node_id:
        raise GreetingRefusedError(f"node {own.node_id} is here; a second one of that id is at the other end")
    if heard.node_id not in known:
        raise GreetingRefusedError(f"node {heard.node_id} is not known here")
    disk_id = known[heard.node_id]
    if disk_id is not None and heard.disk_id != disk_id:
        raise GreetingRefusedError(f"node {heard.node_id} is on disk {disk_id}, not {heard.disk_id}")
