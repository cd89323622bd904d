"""The least that replication needs, as a base for what Raft costs: no terms, no elections, no checks, one file.

The first node leads for ever. Entries are sent to the others in windows, without waiting; one writer thread takes all
that has queued up, writes it to one growing file of all groups, syncs once; a node acknowledges what is synced; what
a majority has is applied. `RaftGroup`s do all of this, and what makes it safe.

Frame: u32 length, u8 kind, u16 group. Entries: u64 first index, u64 committed, u32 count, a u32 size each, the bodies
one behind the other. Acknowledgement: u64 index.
"""

import asyncio
import os
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from struct import Struct
from typing import cast

from raft.interfaces import Buffer, Index, Place, Proposal, StateMachine, Term

FRAME = Struct(">IBH")
ENTRIES = Struct(">QQI")
SIZE = Struct(">I")
ACK = Struct(">Q")
RECORD = Struct(">IHQ")
KIND_HELLO, KIND_ENTRIES, KIND_ACK = 0, 1, 2
READ_BYTES = 4 << 20
REQUEST_BYTES_MAX = 1 << 20
WINDOW_BYTES = 8 << 20
BUFFERS_MAX = 512
LEADER = 1
ONLY_TERM = Term(1)
NOWHERE = Place(0, 0)


class FloorWriter:
    """One thread, one file: everything that queued up in one write, one sync, one call back to the loop."""

    def __init__(self, path: Path, node: "FloorNode") -> None:
        self._loop = asyncio.get_running_loop()
        self._node = node
        self._descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        self._queued: list[tuple[FloorGroup, int, Buffer]] = []
        self._has_work = threading.Condition()
        threading.Thread(target=self._run, daemon=True).start()

    def add(self, group: "FloorGroup", index: int, body: Buffer) -> None:
        with self._has_work:
            self._queued.append((group, index, body))
            self._has_work.notify()

    def _run(self) -> None:
        while True:
            with self._has_work:
                while not self._queued:
                    self._has_work.wait()
                taken, self._queued = self._queued, []
            durable: dict[FloorGroup, int] = {}
            buffers: list[Buffer] = []
            for group, index, body in taken:
                buffers += (RECORD.pack(len(body), group.number, index), body)
                durable[group] = index
            for first in range(0, len(buffers), BUFFERS_MAX):
                chunk = buffers[first : first + BUFFERS_MAX]
                written = os.writev(self._descriptor, chunk)
                if written < sum(map(len, chunk)):
                    os.write(self._descriptor, b"".join(chunk)[written:])
            os.fdatasync(self._descriptor)
            self._loop.call_soon_threadsafe(self._node.on_durable, durable)


class FloorGroup:
    """`applied <= committed`; bodies are kept until they are applied and sent."""

    def __init__(self, number: int, node: "FloorNode", machine: StateMachine) -> None:
        self.number = number
        self._node = node
        self._machine = machine
        self._bodies: dict[int, Buffer] = {}
        self._last = self._durable = self._committed = self._applied = 0
        self._kept = 1
        self._next: dict[int, int] = {}
        self._match: dict[int, int] = {}
        self._in_flight: dict[int, deque[tuple[int, int]]] = {}
        self._in_flight_bytes: dict[int, int] = {}

    def follow(self, other: int) -> None:
        """The leader: send to this node, too."""
        self._next[other], self._match[other] = 1, 0
        self._in_flight[other], self._in_flight_bytes[other] = deque(), 0

    def propose(self, body: Sequence[Buffer]) -> Proposal:
        (only,) = body
        index = self._add(only)
        self._node.dirty.add(self)
        return Proposal(ONLY_TERM, Index(index))

    def _add(self, body: Buffer) -> int:
        self._last = index = self._last + 1
        self._bodies[index] = body
        self._node.writer.add(self, index, body)
        return index

    def on_durable(self, index: int) -> None:
        self._durable = index
        if self._match:
            self._count()
        else:
            self._node.send(LEADER, KIND_ACK, self.number, [ACK.pack(index)])
        self._node.dirty.add(self)

    def on_ack(self, sender: int, index: int) -> None:
        self._match[sender] = index
        in_flight = self._in_flight[sender]
        while in_flight and in_flight[0][0] <= index:
            self._in_flight_bytes[sender] -= in_flight.popleft()[1]
        self._count()

    def _count(self) -> None:
        self._committed = sorted([self._durable, *self._match.values()])[len(self._match) // 2]

    def on_entries(self, payload: memoryview) -> None:
        first, committed, count = ENTRIES.unpack_from(payload)
        assert first == self._last + 1, f"entry {first} after {self._last}"
        size_at = ENTRIES.size
        begin = size_at + count * SIZE.size
        for _ in range(count):
            end = begin + SIZE.unpack_from(payload, size_at)[0]
            self._add(bytes(payload[begin:end]))
            begin, size_at = end, size_at + SIZE.size
        self._committed = min(committed, self._last)

    def go_on(self) -> None:
        """Send what is not sent, apply what is committed."""
        for other in self._next:
            while self._next[other] <= self._last and self._in_flight_bytes[other] < WINDOW_BYTES:
                self._send_next(other)
        apply, term = self._machine.apply, ONLY_TERM
        while self._applied < self._committed:
            self._applied = index = self._applied + 1
            apply(term, Index(index), (self._bodies[index],), NOWHERE)
        end = min([self._applied + 1, *self._next.values()])
        while self._kept < end:
            del self._bodies[self._kept]
            self._kept += 1

    def _send_next(self, other: int) -> None:
        first = index = self._next[other]
        bodies: list[Buffer] = []
        sizes: list[bytes] = []
        total = 0
        while index <= self._last and (not total or total + len(self._bodies[index]) <= REQUEST_BYTES_MAX):
            body = self._bodies[index]
            bodies.append(body)
            sizes.append(SIZE.pack(len(body)))
            total += len(body)
            index += 1
        head = ENTRIES.pack(first, self._committed, len(bodies))
        self._node.send(other, KIND_ENTRIES, self.number, [head, b"".join(sizes), *bodies])
        self._next[other] = index
        self._in_flight[other].append((index - 1, total))
        self._in_flight_bytes[other] += total


class FloorNode:
    """One of the nodes, with a connection to each of the others; node 1 is dialed by all."""

    def __init__(self, number: int, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.number = number
        self.writer = FloorWriter(directory / "entries", self)
        self.groups: list[FloorGroup] = []
        self.links: dict[int, asyncio.Transport] = {}
        self.dirty: set[FloorGroup] = set()
        self.is_linked = asyncio.Event()

    async def start(self, ports: Sequence[int]) -> None:
        """Returns when all are there: the leader's links to everyone, or the one to the leader."""
        loop = asyncio.get_running_loop()
        if self.number == LEADER:
            await loop.create_server(lambda: _FloorLink(self, None), "127.0.0.1", ports[0])
            while len(self.links) < len(ports) - 1:
                await self.is_linked.wait()
                self.is_linked.clear()
            return
        while not self.links:
            try:
                await loop.create_connection(lambda: _FloorLink(self, LEADER), "127.0.0.1", ports[0])
            except OSError:
                await asyncio.sleep(0.02)

    def send(self, to: int, kind: int, group: int, buffers: Sequence[Buffer]) -> None:
        size = sum(map(len, buffers))
        if not self.links[to].is_closing():  # at the end, when the others are killed
            self.links[to].writelines([FRAME.pack(size, kind, group), *buffers])

    def link_up(self, other: int, transport: asyncio.Transport) -> None:
        self.links[other] = transport
        self.is_linked.set()
        if self.number == LEADER:
            for group in self.groups:
                group.follow(other)

    def on_frame(self, sender: int, kind: int, number: int, payload: memoryview) -> None:
        group = self.groups[number]
        if kind == KIND_ENTRIES:
            group.on_entries(payload)
        else:
            group.on_ack(sender, ACK.unpack(payload)[0])
        self.dirty.add(group)

    def on_durable(self, durable: dict[FloorGroup, int]) -> None:
        for group, index in durable.items():
            group.on_durable(index)
        self.go_on()

    def go_on(self) -> None:
        while self.dirty:
            dirty, self.dirty = self.dirty, set()
            for group in dirty:
                group.go_on()


class _FloorLink(asyncio.BufferedProtocol):
    def __init__(self, node: FloorNode, other: int | None) -> None:
        self._node = node
        self._other = other
        self._transport: asyncio.Transport | None = None
        self._buffer = memoryview(bytearray(READ_BYTES))
        self._begin = self._end = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = stream = cast("asyncio.Transport", transport)
        if self._other is not None:
            stream.write(FRAME.pack(0, KIND_HELLO, self._node.number))
            self._node.link_up(self._other, stream)

    def get_buffer(self, sizehint: int) -> memoryview:
        del sizehint
        if len(self._buffer) - self._end < REQUEST_BYTES_MAX:
            there = self._end - self._begin
            self._buffer[:there] = self._buffer[self._begin : self._end]
            self._begin, self._end = 0, there
        return self._buffer[self._end :]

    def buffer_updated(self, nbytes: int) -> None:
        """All frames that are there, and only then the groups go on."""
        self._end += nbytes
        while self._end - self._begin >= FRAME.size:
            size, kind, number = FRAME.unpack_from(self._buffer, self._begin)
            begin = self._begin + FRAME.size
            if self._end - begin < size:
                break
            self._begin = begin + size
            if kind == KIND_HELLO:
                assert self._transport is not None
                self._other = number
                self._node.link_up(number, self._transport)
            else:
                assert self._other is not None
                self._node.on_frame(self._other, kind, number, self._buffer[begin : begin + size])
        if self._begin == self._end:
            self._begin = self._end = 0
        self._node.go_on()
