"""Who belongs to a group. A peer is a node on a disk: a wiped node is not the old voter, but a new peer.

Body of an entry of kind 2, msgpack: [version, [[node id, disk id], …] voters, [[node id, disk id], …] learners].
A group's first leader writes the founding one behind its first no-op; it is in force as soon as it is in the log.
"""

from __future__ import annotations

import msgspec

from .interfaces import NodeId

CONFIGURATION_VERSION = 1


class Peer(msgspec.Struct, frozen=True, array_like=True):
    node_id: NodeId
    disk_id: str


class Configuration(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Voters decide; learners only receive."""

    version: int = CONFIGURATION_VERSION
    voters: tuple[Peer, ...]
    learners: tuple[Peer, ...] = ()

    @property
    def peers(self) -> tuple[Peer, ...]:
        return self.voters + self.learners


def encode_configuration(configuration: Configuration) -> bytes:
    return msgspec.msgpack.encode(configuration)


def decode_configuration(body: bytes) -> Configuration:
    """Raises: ValueError."""
    configuration = msgspec.msgpack.decode(body, type=Configuration)
    if configuration.version != CONFIGURATION_VERSION:
        raise ValueError(f"configuration of version {configuration.version}, known is {CONFIGURATION_VERSION}")
    return configuration
