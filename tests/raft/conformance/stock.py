"""The real `SyncObj` as it is sold, members of one cluster in one process: virtual time, and links like TCP's.

A link keeps the order, loses nothing and doubles nothing; it can only be cut, and what was under way is gone then.
Nothing of the class is overridden; its two clocks (`monotonicTime`, `random`) are replaced, so a seed replays a run.
"""

import pickle
import random
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from pysyncobj import FAIL_REASON, SyncObj, SyncObjConf, replicated
from pysyncobj.node import Node
from pysyncobj.transport import Transport

ENGINE = "pysyncobj.syncobj"
OWN_CLOCKS = {"autoTick": False, "pollerType": "poll"}


@dataclass
class Links:
    """One queue for each direction of each pair."""

    transports: dict[str, "MemoryTransport"] = field(default_factory=dict)
    queues: dict[tuple[str, str], deque[bytes]] = field(default_factory=dict)

    def is_up(self, one: str, other: str) -> bool:
        return (one, other) in self.queues

    def join(self, one: str, other: str) -> None:
        if not self.is_up(one, other):
            for sender, receiver in ((one, other), (other, one)):
                self.queues[sender, receiver] = deque()
                self.transports[receiver]._onNodeConnected(Node(sender))

    def cut(self, one: str, other: str) -> None:
        if self.is_up(one, other):
            for sender, receiver in ((one, other), (other, one)):
                del self.queues[sender, receiver]
                self.transports[receiver]._onNodeDisconnected(Node(sender))

    def send(self, sender: str, receiver: str, message: object) -> bool:
        if not self.is_up(sender, receiver):
            return False
        self.queues[sender, receiver].append(pickle.dumps(message))
        return True

    def deliver(self, sender: str, receiver: str, count: int = 1) -> None:
        for _ in range(count):
            message = pickle.loads(self.queues[sender, receiver].popleft())
            self.transports[receiver]._onMessageReceived(Node(sender), message)

    def waiting(self, sender: str, receiver: str) -> list[dict[str, Any]]:
        return [pickle.loads(message) for message in self.queues[sender, receiver]]


class MemoryTransport(Transport):
    def __init__(self, links: Links, name: str) -> None:
        super().__init__(None, None, None)
        self._links = links
        self._name = name
        links.transports[name] = self

    def send(self, node: Node, message: object) -> bool:
        return self._links.send(self._name, node.id, message)


class StockMember(SyncObj):
    """`put` is an ordinary replicated method; `applied` is what it was called with, by index."""

    def __init__(self, name: str, others: str, links: Links, **conf: object) -> None:
        # What is set before `SyncObj.__init__` is no part of the state that a snapshot takes.
        self.on_applied: Callable[[int, int], None] = lambda _index, _number: None
        transport = MemoryTransport(links, name)
        super().__init__(
            Node(name), [Node(other) for other in others], SyncObjConf(**OWN_CLOCKS, **conf), transport=transport
        )
        self.applied: dict[int, int] = {}
        self.payloads: list[bytes] = []

    @replicated
    def put(self, number: int, payload: bytes) -> None:
        index = self.raftLastApplied + 1
        self.applied[index] = number
        self.payloads.append(payload)
        self.on_applied(index, number)


@dataclass
class StockCluster:
    """Three members A, B, C; all links are up."""

    seed: int
    conf: dict[str, object] = field(default_factory=dict)
    now_s: float = 1_000.0
    links: Links = field(default_factory=Links)
    members: dict[str, StockMember] = field(default_factory=dict)
    confirmed: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)

    @contextmanager
    def running(self) -> Generator["StockCluster"]:
        with patch(f"{ENGINE}.monotonicTime", lambda: self.now_s), patch(f"{ENGINE}.random", self.rng):
            for name in "ABC":
                self.members[name] = StockMember(name, "ABC".replace(name, ""), self.links, **self.conf)
            for pair in ("AB", "AC", "BC"):
                self.links.join(*pair)
            yield self

    def put(self, name: str, number: int, payload: bytes) -> None:
        def answered(_result: object, reason: int) -> None:
            if reason == FAIL_REASON.SUCCESS:
                self.confirmed.append(number)

        self.members[name].put(number, payload, callback=answered)

    def tick(self, names: str, seconds: float = 0.0) -> None:
        self.now_s += seconds
        for name in names:
            self.members[name].doTick(0)

    def settle(self, names: str, seconds: float) -> None:
        """Let time pass for these members and deliver all that they say to each other."""
        for _ in range(round(seconds / 0.02)):
            self.tick(names, 0.02)
            for sender, receiver in sorted(self.links.queues):
                if sender in names and receiver in names:
                    self.links.deliver(sender, receiver, len(self.links.queues[sender, receiver]))

    def leader_or_none(self, names: str) -> str | None:
        return next((name for name in names if self.members[name]._isLeader()), None)

    def elect(self, names: str) -> str:
        for _ in range(500):
            self.settle(names, 0.02)
            leader = self.leader_or_none(names)
            if leader is not None and self.members[leader].raftLastApplied == self.members[leader].raftCommitIndex:
                self.settle(names, 0.3)
                return leader
        raise AssertionError("no leader in ten seconds")
