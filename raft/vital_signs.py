"""Signs of life between two nodes, beside their link: I live, and lead these groups in these terms. Pure.

A datagram, big-endian:

    u8 version, u64 sender, u64 number, then for each group led: u16 group, u64 term; last 16 bytes: a keyed blake2b

The key comes from the nonce of the greeting with which the link began, so a sign counts for that link alone. Numbers
rise; what is not newer than the last one is nothing. Groups beyond `GROUPS_MAX` are not told: for them there are
heartbeats only, as if there were no signs at all.
"""

import hashlib
import hmac
from collections.abc import Iterable
from itertools import islice
from struct import Struct
from typing import NamedTuple, Protocol

from .interfaces import GroupId, NodeId, Term

VERSION = 1
HEAD = Struct(">BQQ")
LED = Struct(">HQ")
DIGEST_BYTES = 16
GROUPS_MAX = 4_096
SIGN_BYTES_MAX = HEAD.size + GROUPS_MAX * LED.size + DIGEST_BYTES

assert SIGN_BYTES_MAX < 65_507, "a sign is one datagram"


class Signs(Protocol):
    """What a node's event loop asks when one of its timers is about to act on a silence."""

    def lives(self, node: NodeId) -> bool:
        """It gave a sign within an election time, and has said something real not long ago."""
        ...

    def leads(self, node: NodeId, group_id: GroupId, term: Term) -> bool:
        """As `lives`, and the sign says that it leads this group in this term."""
        ...


class NoSigns:
    """Nobody gives any: silence is judged by messages alone."""

    def lives(self, node: NodeId) -> bool:
        del node
        return False

    def leads(self, node: NodeId, group_id: GroupId, term: Term) -> bool:
        del node, group_id, term
        return False


NO_SIGNS = NoSigns()


class Sign(NamedTuple):
    sender: NodeId
    number: int
    led: bytes
    """Groups and terms as they came."""


def key_of(cluster_id: str, nonce: bytes) -> bytes:
    return hashlib.blake2b(nonce, key=cluster_id.encode()[:64], digest_size=32, person=b"timesplit signs").digest()


def encode_led(led: Iterable[tuple[GroupId, Term]]) -> bytes:
    return b"".join([LED.pack(group_id, term) for group_id, term in islice(led, GROUPS_MAX)])


def decode_led(led: bytes) -> frozenset[tuple[int, int]]:
    return frozenset(LED.iter_unpack(led))


def encode_sign(sign: Sign, key: bytes) -> bytes:
    said = HEAD.pack(VERSION, sign.sender, sign.number) + sign.led
    return said + _digest(said, key)


def sender_of(datagram: bytes) -> NodeId | None:
    """Who says to have sent it; nothing is known before `decode_sign`. None: it is no sign."""
    rest = len(datagram) - HEAD.size - DIGEST_BYTES
    if rest < 0 or rest % LED.size or datagram[0] != VERSION:
        return None
    return NodeId(HEAD.unpack_from(datagram)[1])


def decode_sign(datagram: bytes, key: bytes) -> Sign | None:
    """None: it was not made with this key. `sender_of` has looked at its form."""
    said, digest = datagram[:-DIGEST_BYTES], datagram[-DIGEST_BYTES:]
    if not hmac.compare_digest(digest, _digest(said, key)):
        return None
    _, sender, number = HEAD.unpack_from(said)
    return Sign(NodeId(sender), number, said[HEAD.size :])


def _digest(said: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(said, key=key, digest_size=DIGEST_BYTES).digest()
