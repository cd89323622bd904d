"""Power cuts in the middle of producing, cutting and creating: acknowledged is never lost and never twice."""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress

import pytest

from sharding.interfaces import Appended, NewTopic
from store.batches import Producer
from tests.raft.doubles import settle
from tests.support.faulty_disk import FaultyDisk, PowerCutError
from tests.support.node_bench import NodeBench, opened_node

TURNS_MAX = 40


class Client:
    """An idempotent producer that sends its oldest unanswered batch again after every crash, as Kafka's do."""

    def __init__(self, producer_id: int) -> None:
        self.producer_id = producer_id
        self.sequence = 0
        self.acknowledged: dict[bytes, int] = {}
        self.waiting: bytes | None = None

    def send(self, bench: NodeBench) -> None:
        value = self.waiting or b"%d-%d" % (self.producer_id, self.sequence)
        self.waiting = value

        def on_done(answer: Appended | Exception) -> None:
            if isinstance(answer, Appended):
                known = self.acknowledged.setdefault(value, answer.base_offset)
                assert known == answer.base_offset, "a duplicate got another offset"
                if self.waiting == value:
                    self.waiting = None
                    self.sequence += 1

        producer = Producer(self.producer_id, 0, self.sequence)
        bench.append_later("t", value, on_done=on_done, producer=producer)


async def live(disk: FaultyDisk, seed: int, clients: list[Client], cuts: list[int]) -> None:
    rng = random.Random(seed)
    async with opened_node(disk, seed=seed, checkpoint_bytes=2_000) as bench:
        node = bench.node
        topic = await node.ensure_topic("t")
        check(bench, clients)
        for _ in range(30):
            client = rng.choice(clients)
            if client.waiting is None or rng.random() < 0.2:
                client.send(bench)
            await settle(rng.randrange(TURNS_MAX))
            if rng.random() < 0.06 and (cut := await node.cut(topic.topic_id)) is not None:
                cuts.append(cut[1][0])
            if rng.random() < 0.05:
                await node.create_topic(NewTopic(name=f"other-{seed}-{rng.randrange(10**9)}", partitions=2))
        await settle(TURNS_MAX)
        if bench.failures:
            raise bench.failures[0][1]
        check(bench, clients)


def check(bench: NodeBench, clients: list[Client]) -> None:
    found = bench.records("t")
    values = [record.value for record in found]
    assert [record.offset for record in found] == list(range(len(found)))
    assert len(set(values)) == len(values), "an idempotent producer's batch is there twice"
    offsets = {record.value: record.offset for record in found}
    for client in clients:
        for value, offset in client.acknowledged.items():
            assert offsets.get(value) == offset, f"{value} was acknowledged at {offset}"
        own = [value for value in values if value is not None and value.startswith(b"%d-" % client.producer_id)]
        assert own == [b"%d-%d" % (client.producer_id, number) for number in range(len(own))], "order was kept"
    for topic in bench.node.topics():
        for index in range(topic.partition_count):
            assert bench.node.leader_of(topic, index)[0] == 1, "what is listed is served"


def run_lives(seed: int, next_cut: Callable[[random.Random], int | None], lives: int = 4) -> list[Client]:
    rng = random.Random(seed)
    clients = [Client(number) for number in range(3)]
    cuts: list[int] = []
    disk = FaultyDisk(seed, next_cut(rng))
    for life in range(lives):
        with suppress(PowerCutError):
            asyncio.run(live(disk, seed * 100 + life, clients, cuts))
        cut_at = None if life == lives - 2 else next_cut(rng)
        disk = disk.crash(seed + life, cut_at) if rng.random() < 0.6 else disk.revived(cut_at)
    return clients


@pytest.mark.parametrize("seed", range(40))
def test_acknowledged_batches_survive_power_cuts_once_and_in_order(seed: int) -> None:
    run_lives(seed, lambda rng: rng.randrange(30, 220))


def test_without_a_power_cut_most_batches_are_acknowledged() -> None:
    clients = run_lives(1, lambda _: None)
    assert sum(len(client.acknowledged) for client in clients) > 60
