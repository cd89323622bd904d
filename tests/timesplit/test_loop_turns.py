"""No callback of ours holds the event loop for long: CPU time of each, so that a busy machine does not matter."""

import asyncio
import asyncio.events
import random
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import orjson
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from sharding.interfaces import NewTopic, NodeAddress
from store.queries import AggregateQuery, EventsQuery, Function, Measure
from store.schema import Schema
from timesplit.kafka_door import wire_kafka
from timesplit.settings import Settings
from timesplit.wiring import open_directory, wire_node

CALLBACK_MS_MAX = 20.0
COUNT = 60_000
T0 = 1_700_000_000_000


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[float, str]]]:
    """(milliseconds of this thread's CPU, what ran) of every callback of an asyncio loop."""
    seen: list[tuple[float, str]] = []
    run = asyncio.events.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        begun = time.thread_time()
        run(handle)
        spent_ms = (time.thread_time() - begun) * 1000
        if spent_ms > CALLBACK_MS_MAX / 10:
            seen.append((spent_ms, repr(handle)[:400]))

    monkeypatch.setattr(asyncio.events.Handle, "_run", timed)
    return seen


def _load(kafka: str) -> None:
    rng = random.Random(1)
    producer = Producer({"bootstrap.servers": kafka, "enable.idempotence": True, "queue.buffering.max.messages": COUNT})
    for n in range(COUNT):
        value = orjson.dumps({"g": rng.choice("abcdef"), "x": rng.random(), "n": n})
        producer.produce("turns", value, timestamp=T0 + n * 10 - rng.randrange(30_000), partition=n % 3)
    assert producer.flush(60) == 0
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "turns", "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition("turns", p, 0) for p in range(3)])
    got = 0
    while got < COUNT:
        got += len(consumer.consume(10_000, 5))
    consumer.close()


def _burn() -> None:
    end = time.thread_time() + 1.2 * CALLBACK_MS_MAX / 1000
    while time.thread_time() < end:
        pass


@pytest.mark.timeout(180)
def test_no_callback_runs_longer_than_20_ms(tmp_path: Path, turns: list[tuple[float, str]]) -> None:
    async def run() -> None:
        settings = Settings(data=str(tmp_path / "data"))
        wired = wire_node(settings, open_directory(settings), lambda group, error: None)
        await wired.start()
        kafka = wire_kafka(settings, wired)
        host, port = await kafka.start("127.0.0.1", 0)
        await wired.node.register(NodeAddress(node_id=1, host=host, kafka_port=port, http_port=1))
        schema = Schema.of({"g": "string", "x": "double", "n": "long"}, ["x", "n"])
        await wired.node.create_topic(NewTopic(name="turns", partitions=3, replication_factor=1, schema=schema))
        # The measuring itself works; starting may be slow (it imports modules), from here on the node serves.
        asyncio.get_running_loop().call_soon(_burn)
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        assert any("_burn" in what for _, what in turns)
        turns.clear()
        await anyio.to_thread.run_sync(_load, f"{host}:{port}")
        stream = wired.node.stream("turns")
        for _ in range(2):
            measures = [Measure(Function.COUNT), Measure(Function.OHLC, "x"), Measure(Function.SUM, "n")]
            table = (await stream.aggregate(AggregateQuery(measures=measures, every_ms=60_000, by=["g"]))).table
            assert sum(table.column("count").to_pylist()) == COUNT
            answer = await stream.events(EventsQuery())
            assert sum([batch.num_rows async for batch in answer.batches]) == COUNT
            await stream.seal()
        await kafka.close(1_000)
        await wired.close()

    anyio.run(run, backend="asyncio")
    slow = [turn for turn in turns if turn[0] > CALLBACK_MS_MAX]
    assert not slow, "\n".join(f"{spent_ms:.1f} ms: {what}" for spent_ms, what in sorted(slow, reverse=True)[:10])
    print(f"longest callback {max(turns, default=(0.0, ''))}")
