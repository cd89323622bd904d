"""How far the views of a led partition may show what is emitted here, so that no served high watermark ever falls.

A view partition is served by the leader of the shard of its partition, while its ticks come from partition 0's shard:
a leader that was deposed and does not know it yet may still hear of ticks that its successor has not seen. Hence

- a leader shows a tick only after a read barrier on *its own* shard that began when the tick was emitted here, so that
  nobody else led that shard before the barrier began;
- a new leader shows nothing before a read barrier on *partition 0's* shard and the emission of the last tick seen then.

Whatever a predecessor has shown was committed before the successor's barrier began. The leader of partition 0's shard
has the ticks in the log that it leads and needs no barrier; nor does a shard of one replica.
"""

import logging
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import anyio

from store.emission import Ledger
from store.ticks import Tick

from ..barriers import pass_barrier
from ..errors import ShardingError
from ..live import LiveTopic
from ..shard import Shard
from ..stream_topic import StreamTopic

RETRY_S = 0.05


class HeldTopic(Protocol):
    """What this needs of a topic that is held."""

    @property
    def topic(self) -> StreamTopic: ...
    @property
    def live_or_none(self) -> LiveTopic | None: ...


class ShownHost(Protocol):
    """What this needs of its node."""

    def held_or_none(self, topic_id: bytes) -> HeldTopic | None: ...
    def shards_of(self, topic: StreamTopic) -> Iterable[Shard]:
        """The topic's shards that are on this node, partition 0's first. Raises: NotReplicatedHereError."""
        ...

    def last_tick(self, topic: StreamTopic) -> Tick: ...
    def is_alone(self, shard: Shard) -> bool:
        """The shard has one replica."""
        ...


@dataclass(slots=True)
class _Leadership:
    """One topic on one shard that is led here, in one term: `number` is shown once it has reached `after`."""

    term: int
    after: int | None = None
    number: int = -1


class ShownTicks:
    """Owns a task for each led shard of each topic that has something to confirm."""

    def __init__(self, host: ShownHost, *, logger: logging.Logger) -> None:
        self._host = host
        self._logger = logger
        self._led: dict[tuple[bytes, int], _Leadership] = {}
        self._confirming: set[tuple[bytes, int]] = set()
        # Shards to confirm, from callbacks, which can start no task: `run` does.
        self._due: deque[tuple[tuple[bytes, int], Shard, Shard]] = deque()
        self._wake = anyio.Event()

    async def run(self) -> None:
        """Confirm until cancelled."""
        self._due.clear()
        self._confirming.clear()
        for topic_id in {topic_id for topic_id, _ in self._led}:
            self.advance(topic_id)
        async with anyio.create_task_group() as tasks:
            while True:
                self._wake = anyio.Event()
                while self._due:
                    tasks.start_soon(self._confirm, *self._due.popleft())
                await self._wake.wait()

    def number_or_none(self, topic_id: bytes, shard: Shard) -> int | None:
        """The last tick that this shard's view partitions of the topic show; None while they are not served here."""
        led = self._led.get((topic_id, shard.shard_id))
        if led is None or not shard.is_leader or led.term != shard.term or led.after is None:
            return None
        return led.number if led.number >= led.after else None

    def forget(self, topic_id: bytes) -> None:
        """The topic is gone, or its live index begins anew."""
        for key in [key for key in self._led if key[0] == topic_id]:
            del self._led[key]

    def advance(self, topic_id: bytes) -> None:
        """More may be emitted, or led: show it as soon as it may be shown."""
        if (ledger := self._ledger_or_none(topic_id)) is None:
            return
        held = self._host.held_or_none(topic_id)
        assert held is not None, "its ledger was found"
        try:
            shards = list(self._host.shards_of(held.topic))
        except ShardingError:
            return
        for shard in shards:
            if not shard.is_leader:
                continue
            key = topic_id, shard.shard_id
            led = self._led.get(key)
            if led is None or led.term != shard.term:
                led = self._led[key] = _Leadership(shard.term)
            if shard is shards[0] or self._host.is_alone(shard):
                if led.after is None:
                    led.after = self._host.last_tick(held.topic).number
                self._show(led, ledger)
            elif led.number < ledger.last.number or led.after is None:
                self._confirm_soon(key, shards[0], shard)

    def _show(self, led: _Leadership, ledger: Ledger) -> None:
        led.number = max(led.number, ledger.last.number)

    def _confirm_soon(self, key: tuple[bytes, int], first: Shard, shard: Shard) -> None:
        if key not in self._confirming:
            self._confirming.add(key)
            self._due.append((key, first, shard))
            self._wake.set()

    async def _confirm(self, key: tuple[bytes, int], first: Shard, shard: Shard) -> None:
        """Barriers, until everything emitted is shown or the leadership is gone."""
        try:
            while (led := self._led.get(key)) is not None and shard.is_leader and led.term == shard.term:
                try:
                    if led.after is None:
                        await pass_barrier(first)
                        held = self._host.held_or_none(key[0])
                        if held is None:
                            return
                        led.after = self._host.last_tick(held.topic).number
                    if (ledger := self._ledger_or_none(key[0])) is None:
                        return
                    emitted = ledger.last.number
                    if emitted <= led.number or emitted < led.after:
                        # The next tick that is emitted comes here again.
                        return
                    await pass_barrier(shard)
                except ShardingError as error:
                    self._logger.debug("views on shard %d wait: %s", shard.shard_id, error)
                    await anyio.sleep(RETRY_S)
                    continue
                if self._led.get(key) is led and shard.is_leader and led.term == shard.term:
                    led.number = max(led.number, emitted)
                    self._tell(key[0])
        finally:
            self._confirming.discard(key)

    def _tell(self, topic_id: bytes) -> None:
        held = self._host.held_or_none(topic_id)
        if held is not None and held.live_or_none is not None:
            held.live_or_none.tell_watchers()

    def _ledger_or_none(self, topic_id: bytes) -> Ledger | None:
        held = self._host.held_or_none(topic_id)
        return None if held is None or held.live_or_none is None else held.live_or_none.ledger_or_none
