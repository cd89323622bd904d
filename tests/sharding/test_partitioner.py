"""Keys go where Kafka's own producers would send them."""

from aiokafka.partitioner import murmur2 as theirs
from hypothesis import given
from hypothesis import strategies as st

from sharding.partitioner import Partitioner, murmur2, partition_of


@given(st.binary(max_size=40))
def test_the_hash_equals_a_kafka_clients(key: bytes) -> None:
    assert murmur2(key) == theirs(key) & 0xFFFFFFFF


@given(st.binary(max_size=40), st.integers(1, 64))
def test_a_key_always_goes_to_the_same_partition(key: bytes, partitions: int) -> None:
    chosen = partition_of(key, partitions)
    assert 0 <= chosen < partitions
    assert chosen == (theirs(key) & 0x7FFFFFFF) % partitions


def test_keyless_records_take_turns() -> None:
    partitioner = Partitioner(3)
    assert [partitioner.choose(None) for _ in range(4)] == [0, 1, 2, 0]
