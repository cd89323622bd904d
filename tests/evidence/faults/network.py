"""Cuts between nodes on one loopback, in a network namespace of this process: nftables drops packets of one direction.

Each node runs with a group id of its own: a packet to a peer port marks its connection with who dialed whom, and a
rule drops what either side sends on connections with that mark. Datagrams to the number of a peer port are cut with
the connections. Those of the clients stay. Needs root and `nft`; the whole process must run under `unshare -n`.
"""

import subprocess
from collections.abc import Sequence
from itertools import permutations

GID_BASE = 20_001
TABLE = ("inet", "cuts")


def gids(count: int) -> list[int]:
    return [GID_BASE + at for at in range(count)]


def loopback_up() -> None:
    """A new namespace begins with its loopback down."""
    _run("ip", "link", "set", "lo", "up")


class PeerNetwork:
    """The peer connections of nodes 1…n, which listen on `ports`."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._ids = range(1, len(ports) + 1)
        _run("nft", "add", "table", *TABLE)
        _run("nft", "add", "chain", *TABLE, "marks", "{ type filter hook output priority -10 ; }")
        _run("nft", "add", "chain", *TABLE, "drops", "{ type filter hook output priority 0 ; }")
        for dialing, listening in permutations(self._ids, 2):
            to, mark = ports[listening - 1], _mark(dialing, listening)
            for protocol in ("tcp", "udp"):
                rule = f"meta skgid {_gid(dialing)} {protocol} dport {to} ct mark set {mark}"
                _run("nft", "add", "rule", *TABLE, "marks", *rule.split())

    def cut(self, sender: int, receiver: int) -> None:
        """Nothing that `sender` sends reaches `receiver`; the other way stays open."""
        marks = f"{_mark(sender, receiver)}, {_mark(receiver, sender)}"
        rule = f"ct mark {{ {marks} }} meta skgid {_gid(sender)} drop"
        _run("nft", "add", "rule", *TABLE, "drops", *rule.split())

    def isolate(self, node: int) -> None:
        for other in self._ids:
            if other != node:
                self.cut(node, other)
                self.cut(other, node)

    def mute(self, node: int) -> None:
        """It hears the others, who do not hear it."""
        for other in self._ids:
            if other != node:
                self.cut(node, other)

    def deafen(self, node: int) -> None:
        """It does not hear the others, who hear it."""
        for other in self._ids:
            if other != node:
                self.cut(other, node)

    def part(self, first: int, second: int) -> None:
        """These two cannot speak; a third sees both (a bridge)."""
        self.cut(first, second)
        self.cut(second, first)

    def heal(self) -> None:
        _run("nft", "flush", "chain", *TABLE, "drops")


def _gid(node: int) -> int:
    return GID_BASE + node - 1


def _mark(dialing: int, listening: int) -> int:
    return dialing * 16 + listening


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
