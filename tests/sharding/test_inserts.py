"""Inserts: batches that fit, order within a partition, and an outcome for every record."""

from collections.abc import Awaitable, Callable

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sharding.inserts
from sharding.errors import InvalidRecordError, StorageFullError, TimedOutError, UnknownPartitionError
from sharding.inserts import Inserts, NewRecord, Outcome, Place, failures
from sharding.partitioner import partition_of
from store.batches import records
from tests.support.fake_node import FakeNode

NOW = 1_700_000_000_000
Work = Callable[[FakeNode, Callable[[list[NewRecord]], Awaitable[list[Outcome]]]], Awaitable[None]]


def run(work: Work, **configs: str) -> None:
    async def ask() -> None:
        node = FakeNode()
        topic = node.add_topic("t", 3)
        topic = type(topic)(
            topic_id=topic.topic_id, name="t", partition_count=3, replication_factor=1,
            configs={name.replace("_", "."): text for name, text in configs.items()}, schema=None,
        )  # fmt: skip
        inserts = Inserts(node, now_ms=lambda: NOW, limiter=anyio.CapacityLimiter(1))
        with anyio.fail_after(20):
            await work(node, lambda rows: inserts.insert(topic, rows))

    anyio.run(ask)


def stored(node: FakeNode, partition: int) -> list[bytes | None]:
    return [record.value for _, batch in node.partitions["t", partition].batches for record in records(batch)]


@given(
    st.lists(
        st.builds(
            NewRecord,
            value=st.none() | st.binary(max_size=300),
            key=st.none() | st.binary(max_size=5),
            timestamp_ms=st.none() | st.integers(0, 1 << 62),
            partition=st.none() | st.integers(0, 2),
        ),
        max_size=40,
    )
)
def test_every_record_is_where_its_outcome_says_in_order_and_in_batches_that_fit(rows: list[NewRecord]) -> None:
    async def work(node: FakeNode, insert: Callable[[list[NewRecord]], Awaitable[list[Outcome]]]) -> None:
        outcomes = await insert(rows)
        found = {
            Place(partition, record.offset): record
            for partition in range(3)
            for _, batch in node.partitions["t", partition].batches
            for record in records(batch)
        }
        assert len(found) == len(rows)
        for row, place in zip(rows, outcomes, strict=True):
            assert isinstance(place, Place)
            record = found[place]
            assert (record.key, record.value) == (row.key, row.value)
            assert record.timestamp_ms == (NOW if row.timestamp_ms is None else row.timestamp_ms)
            if row.partition is not None:
                assert place.partition == row.partition
            elif row.key is not None:
                assert place.partition == partition_of(row.key, 3)
        for partition in range(3):
            offsets = [o.offset for o in outcomes if isinstance(o, Place) and o.partition == partition]
            assert offsets == sorted(offsets)
            assert all(len(batch) <= 500 for _, batch in node.partitions["t", partition].batches)

    run(work, max_message_bytes="500")


def test_nothing_overtakes_a_refused_batch_and_other_partitions_store() -> None:
    async def work(node: FakeNode, insert: Callable[[list[NewRecord]], Awaitable[list[Outcome]]]) -> None:
        node.partitions["t", 1].refusal = StorageFullError("full")
        outcomes = await insert([NewRecord(b"x" * 300, partition=i % 2) for i in range(6)])
        assert [isinstance(outcome, Place) for outcome in outcomes] == [True, False] * 3
        assert {type(error) for error in failures(outcomes)} == {StorageFullError}
        assert len(stored(node, 0)) == 3

    run(work, max_message_bytes="500")


def test_a_record_that_no_batch_can_hold_is_refused_alone() -> None:
    async def work(node: FakeNode, insert: Callable[[list[NewRecord]], Awaitable[list[Outcome]]]) -> None:
        outcomes = await insert([NewRecord(b"a", partition=0), NewRecord(b"b", timestamp_ms=1 << 70, partition=1)])
        assert outcomes[0] == Place(0, 0)
        assert isinstance(outcomes[1], InvalidRecordError)

    run(work)


def test_without_an_answer_in_time_the_outcome_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharding.inserts, "APPEND_DEADLINE_S", 0.02)

    async def work(node: FakeNode, insert: Callable[[list[NewRecord]], Awaitable[list[Outcome]]]) -> None:
        node.holds_commits = True
        (outcome,) = await insert([NewRecord(b"a")])
        assert isinstance(outcome, TimedOutError)
        node.commit()  # a late answer finds nobody, and harms nobody

    run(work)


def test_an_unknown_partition_stores_nothing() -> None:
    async def work(node: FakeNode, insert: Callable[[list[NewRecord]], Awaitable[list[Outcome]]]) -> None:
        with pytest.raises(UnknownPartitionError):
            await insert([NewRecord(b"a", partition=0), NewRecord(b"b", partition=3)])
        assert node.appended == 0

    run(work)
