"""The timekeeper: fences and ticks every topic whose partition 0 this node leads, while there is something to tick.

The other partitions may be led elsewhere: what they hold is read from this node's replicas, which may be behind, so
that W rises later than it could and never too far; their fences go to their leaders, and the answers come back.

A topic is *active* from an append until a tick has made everything final that it holds. Active topics are looked at
every `tick.ms`; with none, the timekeeper sleeps until an append wakes it. Topics without schema and views are looked
at only when a cut asks for a tick (`tick_past`).

What is proposed may be lost with the leadership at any point: a fence without a tick does no harm, a tick is committed
only as successor of the last one, and the next timekeeper begins with a fence of its own.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import anyio
import anyio.abc

from store.events import TIMESTAMP_MS_MIN
from store.ticks import LatePolicy, Tick, no_tick

from .commands.command import Command
from .commands.ticks import Fence
from .commands.ticks import Tick as TickCommand
from .errors import ShardingError, UnknownTopicIdError
from .stream_topic import StreamTopic
from .ticks import Activity, FenceAnswer, candidate_or_none, tick_or_none
from .write_split import TickState, WriteSplit

# A tick that is wished for and cannot be had yet (a partition that is not idle, a clock to wait for) is tried again.
WISH_RETRY_MS = 50


class TickHost(Protocol):
    """What the timekeeper needs of its node."""

    def led_topics(self) -> Iterable[StreamTopic]:
        """The topics whose partition 0 is led here."""
        ...

    def led_topic_or_none(self, topic_id: bytes) -> StreamTopic | None: ...
    def newest_split(self, topic_id: bytes, partition: int) -> WriteSplit:
        """Raises: ShardingError where the partition is not to be found."""
        ...

    def submit(self, topic_id: bytes, partition: int, command: Command) -> Awaitable[object]:
        """Put a command into the log of the partition's shard, wherever it is led; partition 0's only where led here.

        Raises: NotLeaderError, ClosingError.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TickWish:
    """A tick after `after_number` whose cut reaches `ends`; with `seal_ms`, its watermark is at least that."""

    ends: Sequence[int]
    after_number: int
    seal_ms: int | None = None

    def is_met_by(self, tick: Tick) -> bool:
        is_high_enough = self.seal_ms is None or tick.watermark_ms >= self.seal_ms
        return tick.number > self.after_number and is_high_enough and tick.covers(self.ends)


class Timekeeper:
    """Owns no replicated state. `now_ms` is the wall clock, `run` the one task that proposes ticks."""

    def __init__(self, host: TickHost, *, now_ms: Callable[[], int], logger: logging.Logger) -> None:
        self._host = host
        self._now_ms = now_ms
        self._logger = logger
        # Topic id -> when to look at it next.
        self._due_ms: dict[bytes, int] = {}
        self._ticking: set[bytes] = set()
        self._wishes: dict[bytes, list[tuple[TickWish, anyio.Event]]] = {}
        # Before this moment, appends may have been seen by another leader.
        self._led_since_ms = 0
        self._seen_ms = 0
        self._wake = anyio.Event()

    def on_append(self, split: WriteSplit) -> None:
        """An append was applied, here or where it is led; cheap, called for each."""
        if split.topic_id not in self._due_ms and self._host.led_topic_or_none(split.topic_id) is not None:
            self._activate(split.topic_id)

    def on_leader(self) -> None:
        """This node may lead more than before: whatever it holds may have to be ticked."""
        self._led_since_ms = self._now_ms()
        for topic in self._host.led_topics():
            self._activate(topic.topic_id)

    async def tick_past(self, topic_id: bytes, wish: TickWish) -> Tick:
        """Bring such a tick about and return it (the last one, if several are). Raises: UnknownTopicIdError."""
        while not wish.is_met_by(last := self.last_tick(topic_id)):
            done = anyio.Event()
            self._wishes.setdefault(topic_id, []).append((wish, done))
            self._activate(topic_id)
            await done.wait()
        return last

    def seal_ms(self, topic_id: bytes, at_least_ms: int | None = None) -> int | None:
        """The watermark that makes everything final that a topic holds now, as far as the clock allows; None: nothing.

        `at_least_ms`: the caller's word that event time has come that far, so that windows close behind the last event.
        Raises: ShardingError where a partition is not to be found.
        """
        if (topic := self._host.led_topic_or_none(topic_id)) is None:
            raise UnknownTopicIdError(f"topic {topic_id.hex()} is not here")
        splits = [self._host.newest_split(topic_id, partition) for partition in range(topic.partition_count)]
        now_ms = self._now_ms()
        activities = [_activity(split, 0, now_ms) for split in splits]
        found_ms = candidate_or_none(activities, topic.rule, now_ms=now_ms, is_seal=True)
        if found_ms is None or at_least_ms is None:
            return found_ms
        ahead_ms = topic.rule.ahead_ms
        return max(found_ms, at_least_ms if ahead_ms is None else min(at_least_ms, now_ms + ahead_ms))

    def last_tick(self, topic_id: bytes) -> Tick:
        """The last committed tick of a topic. Raises: UnknownTopicIdError."""
        topic = self._host.led_topic_or_none(topic_id)
        if topic is None:
            raise UnknownTopicIdError(f"topic {topic_id.hex()} is not here")
        return _last_tick(self._host.newest_split(topic_id, 0), topic.partition_count)

    async def run(self) -> None:
        """Tick until cancelled."""
        async with anyio.create_task_group() as tasks:
            while True:
                now_ms = self._now_ms()
                if now_ms < self._seen_ms:
                    self._on_clock_set_back(now_ms)
                self._seen_ms = now_ms
                due = [topic_id for topic_id, due_ms in self._due_ms.items() if due_ms <= now_ms]
                # No await in between: the fences of all due topics share an entry per shard.
                for topic_id in due:
                    self._look_at(topic_id, now_ms, tasks)
                await self._sleep(now_ms)

    def _on_clock_set_back(self, now_ms: int) -> None:
        """What was seen at a time that is not yet counts as seen now: nobody waits until the clock is there again."""
        self._led_since_ms = min(self._led_since_ms, now_ms)
        self._due_ms = dict.fromkeys(self._due_ms, now_ms)
        for topic in self._host.led_topics():
            with suppress(ShardingError):  # a partition that is not opened has seen nothing
                for partition in range(topic.partition_count):
                    split = self._host.newest_split(topic.topic_id, partition)
                    split.last_append_ms = min(split.last_append_ms or now_ms, now_ms)

    async def _sleep(self, now_ms: int) -> None:
        self._wake = anyio.Event()
        if not self._due_ms:
            await self._wake.wait()
            return
        delay_ms = max(1, min(self._due_ms.values()) - now_ms)
        with anyio.move_on_after(delay_ms / 1000):
            await self._wake.wait()

    def _activate(self, topic_id: bytes) -> None:
        self._due_ms[topic_id] = self._now_ms()
        self._wake.set()

    def _look_at(self, topic_id: bytes, now_ms: int, tasks: anyio.abc.TaskGroup) -> None:
        """Propose the fences of the next tick if it is due; else forget the topic or look at it later."""
        topic = self._host.led_topic_or_none(topic_id)
        if topic is None:
            self._drop(topic_id)
            return
        self._due_ms[topic_id] = now_ms + (WISH_RETRY_MS if topic_id in self._wishes else topic.tick_ms)
        if topic_id in self._ticking:
            return
        fences: list[Awaitable[object]] = []
        try:
            splits = [self._host.newest_split(topic_id, partition) for partition in range(topic.partition_count)]
            before = _last_tick(splits[0], topic.partition_count)
            wanted = self._wanted_or_none(topic, splits, before, now_ms)
            if wanted is None:
                if topic_id not in self._wishes and (not topic.is_live or _is_settled(splits, before)):
                    del self._due_ms[topic_id]
                return
            for partition in range(topic.partition_count):
                fence = Fence(topic_id, partition, before.number + 1, wanted, before.watermark_ms)
                fences.append(self._host.submit(topic_id, partition, fence))
        except ShardingError:
            # A partition has no leader now; it holds the tick.
            tasks.start_soon(_forget, fences)
            return
        self._ticking.add(topic_id)
        tasks.start_soon(self._tick, topic, before, fences)

    def _wanted_or_none(
        self, topic: StreamTopic, splits: Sequence[WriteSplit], before: Tick, now_ms: int
    ) -> int | None:
        """The watermark to fence for, above the last one; None if no tick is due."""
        wishes = self._open_wishes(topic.topic_id, before)
        if not wishes and not topic.is_live:
            return None
        activities = [_activity(split, self._led_since_ms, now_ms) for split in splits]
        seals_ms = [wish.seal_ms for wish in wishes if wish.seal_ms is not None]
        wanted = candidate_or_none(activities, topic.rule, now_ms=now_ms, is_seal=bool(seals_ms))
        if wanted is not None:
            wanted = max([wanted, *seals_ms])
        if wanted is None or wanted > before.watermark_ms:
            return wanted
        # The split is closed and nothing new raises W: a step of 1 ms makes its late events final.
        return before.watermark_ms + 1 if wishes else None

    def _open_wishes(self, topic_id: bytes, last: Tick) -> list[TickWish]:
        """What the last tick leaves to be wished for; those who wait for the rest are woken."""
        waiting = self._wishes.pop(topic_id, [])
        left = [(wish, done) for wish, done in waiting if not wish.is_met_by(last)]
        for wish, done in waiting:
            if wish.is_met_by(last):
                done.set()
        if left:
            self._wishes[topic_id] = left
        return [wish for wish, _ in left]

    async def _tick(self, topic: StreamTopic, before: Tick, fences: Sequence[Awaitable[object]]) -> None:
        """Gather the answers of the fences and commit the tick that they allow."""
        topic_id = topic.topic_id
        try:
            answers = await asyncio.gather(*fences)
            known = [answer for answer in answers if isinstance(answer, FenceAnswer)]
            if len(known) < len(answers) or (tick := tick_or_none(before, known, topic.rule.policy)) is None:
                return
            command = TickCommand(topic_id, tick.number, tick.watermark_ms, tuple(tick.cut), int(tick.policy))
            await self._host.submit(topic_id, 0, command)
            if self._open_wishes(topic_id, tick):
                # Someone came while this tick was under way and needs another.
                self._activate(topic_id)
        except ShardingError as error:
            # Leadership went, the node closes, or the topic was deleted: whoever leads next fences anew.
            self._logger.debug("tick %d of topic %s: %s", before.number + 1, topic.name, error)
        except Exception:
            self._logger.exception("tick %d of topic %s failed", before.number + 1, topic.name)
        finally:
            self._ticking.discard(topic_id)

    def _drop(self, topic_id: bytes) -> None:
        self._due_ms.pop(topic_id, None)
        for _, done in self._wishes.pop(topic_id, []):
            done.set()


def tick_of(state: TickState) -> Tick:
    return Tick(state.number, state.watermark_ms, state.cut, LatePolicy(state.policy))


def _last_tick(split: WriteSplit, partition_count: int) -> Tick:
    return tick_of(split.ticks[-1]) if split.ticks else no_tick(partition_count)


def _activity(split: WriteSplit, since_ms: int, now_ms: int) -> Activity:
    """`since_ms`: when this node began to lead; it does not know of appends before.

    A split that was opened by a clock that was ahead of this one says nothing.
    """
    greatest_ms = None if split.greatest_ms == TIMESTAMP_MS_MIN else split.greatest_ms
    opened_ms = split.opened_ms if split.opened_ms <= now_ms else since_ms
    return Activity(greatest_ms, split.last_append_ms or max(since_ms, opened_ms))


def _is_settled(splits: Sequence[WriteSplit], before: Tick) -> bool:
    """No passing of time can raise W further."""
    return max(split.greatest_ms for split in splits) <= before.watermark_ms


async def _forget(fences: Sequence[Awaitable[object]]) -> None:
    """A fence without a tick does no harm, whatever becomes of it."""
    await asyncio.gather(*fences, return_exceptions=True)
