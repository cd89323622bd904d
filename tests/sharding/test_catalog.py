import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharding.catalog import Catalog, NodeRecord, ShardRecord, TopicRecord, check_topic_name
from sharding.catalog_commands import (
    CATALOG_COMMANDS,
    AllocateProducerIds,
    AssignSlots,
    CreateShard,
    CreateTopic,
    Cut,
    DeleteTopic,
    PublishRun,
    RegisterNode,
    SetConfig,
)
from sharding.commands.command import At, StructCommand
from sharding.commands.table import decode_body, encode
from sharding.errors import InvalidTopicError, TopicExistsError
from sharding.placement import shards_for, slots_over
from sharding.shard_state import ShardState

IDS = st.sampled_from([bytes([number]) * 16 for number in range(3)])
NUMBERS = st.integers(0, 3)
COMMANDS = st.one_of(
    st.builds(
        lambda number, disk: RegisterNode(NodeRecord(number, disk, "h", "k", 1, 2, None, 1)),
        NUMBERS,
        st.binary(max_size=2),
    ),
    st.builds(lambda number: CreateShard(ShardRecord(number, 1, (1,))), NUMBERS),
    st.builds(DeleteTopic, IDS),
    st.builds(
        SetConfig,
        IDS,
        st.tuples(st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from([None, "1", "2"]))),
    ),
    st.builds(Cut, IDS, NUMBERS, st.just((1, 2))),
    st.builds(PublishRun, IDS, NUMBERS, NUMBERS, st.binary(max_size=2)),
    st.builds(AllocateProducerIds, NUMBERS),
    st.builds(AssignSlots, st.just("group"), st.lists(NUMBERS, max_size=2)),
    st.builds(lambda name: ("create", name), st.sampled_from(["a.b", "a_b", "c", "d"])),
)


def topic(name: str, number: int = 0, shards: tuple[int, ...] = (1, 2), **configs: str) -> TopicRecord:
    return TopicRecord(bytes([number]) * 16, name, 1, configs, 5, shards)


def applied(commands: list[StructCommand], *, through_bytes: bool = False, restart_after: int = -1) -> Catalog:
    catalog = Catalog()
    state = ShardState([catalog])
    for index, command in enumerate(commands):
        if through_bytes:
            body = memoryview(b"".join(encode(command)))
            for found, _ in decode_body(CATALOG_COMMANDS, body):
                found.execute(state, At(1, index + 1, 0, 0))
        else:
            command.execute(state, At(1, index + 1, 0, 0))
        if index == restart_after:
            saved = state.snapshot()
            catalog = Catalog()
            state = ShardState([catalog])
            state.restore(saved)
    return catalog


@given(wanted=st.lists(COMMANDS, max_size=30), restart_after=st.integers(0, 30))
def test_the_same_commands_give_the_same_bytes_on_every_replica(wanted: list[object], restart_after: int) -> None:
    commands: list[StructCommand] = []
    used = 0
    for one in wanted:
        if isinstance(one, tuple):
            # An id is never used twice, not even by an attempt that fails.
            commands.append(CreateTopic(topic(one[1], used % 3 if used < 3 else 100 + used)))
            used += 1
        else:
            assert isinstance(one, StructCommand)
            commands.append(one)
    leader = applied(commands)
    follower = applied(commands, through_bytes=True)
    restarted = applied(commands, through_bytes=True, restart_after=restart_after)
    assert leader.snapshot() == follower.snapshot() == restarted.snapshot()
    assert [one.name for one in restarted.topics_by_name()] == [one.name for one in leader.topics_by_name()]
    assert restarted.change_count == leader.change_count


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "x" * 249, "__consumer_offsets", "a.__timer"])
def test_kafkas_names_are_ours(name: str) -> None:
    check_topic_name(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "x" * 250, "a b", "a/b", "ä", "a\n", "a.__time", "a.__time.keyed", "a.__ticks", "a.__late"],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidTopicError):
        check_topic_name(name)


def test_a_name_is_taken_until_its_topic_is_deleted() -> None:
    catalog = Catalog()
    catalog.add_topic(topic("a.b"))
    assert isinstance(catalog.add_topic(topic("a.b", 1)), TopicExistsError)
    assert isinstance(catalog.add_topic(topic("a_b", 1)), InvalidTopicError), "'.' and '_' collide, as in Kafka"
    catalog.remove_topic(topic("a.b").topic_id)
    assert isinstance(catalog.add_topic(topic("a_b", 1)), TopicRecord)


def test_of_two_cuts_to_the_same_split_one_wins() -> None:
    catalog = Catalog()
    catalog.add_topic(topic("a"))
    topic_id = topic("a").topic_id
    assert catalog.cut(topic_id, 2, (1, 2)) is None
    assert catalog.cut(topic_id, 1, (2, 2)) is not None
    assert catalog.cut(topic_id, 1, (1, 1)) is None
    assert catalog.topics[topic_id].shards == (2, 2)
    assert catalog.cut(b"x" * 16, 1, (1, 2)) is None


def test_a_manifest_version_is_published_once_and_in_order() -> None:
    catalog = Catalog()
    catalog.add_topic(topic("a"))
    topic_id = topic("a").topic_id
    state = ShardState([catalog])
    published = [
        PublishRun(topic_id, number, version, b"%d" % version).execute(state, At(1, 1, 0, 0))
        for number, version in [(0, 2), (0, 1), (0, 1), (0, 2), (1, 1)]
    ]
    assert published == [False, True, False, True, False], "split 1 was never cut"
    assert {number: one.version for number, one in catalog.manifests_of(topic_id).items()} == {0: 2}
    catalog.remove_topic(topic_id)
    assert catalog.manifests_of(topic_id) == {}


@given(counts=st.lists(st.integers(1, 1000), max_size=20))
def test_no_producer_id_is_given_twice(counts: list[int]) -> None:
    catalog = Catalog()
    given_ids = [
        set(range(first, first + count)) for count in counts for first in [catalog.allocate_producer_ids(count)]
    ]
    assert len(set().union(*given_ids)) == sum(counts)


@given(partition_counts=st.lists(st.integers(1, 9), max_size=8), shard_count=st.integers(1, 4))
def test_partitions_are_spread_so_that_no_shard_has_two_more_than_another(
    partition_counts: list[int], shard_count: int
) -> None:
    catalog = Catalog()
    for number in range(shard_count):
        catalog.add_shard(ShardRecord(number + 1, 1, (1,)))
    catalog.add_shard(ShardRecord(99, 3, (1, 2, 3)))
    for number, count in enumerate(partition_counts):
        catalog.add_topic(topic(f"t{number}", number, shards_for(catalog, 1, count)))
    loads = [sum(one.shards.count(number + 1) for one in catalog.topics.values()) for number in range(shard_count)]
    assert sum(loads) == sum(partition_counts), "none on a shard of another class"
    assert max(loads) - min(loads) <= 1


def test_slots_take_turns_over_the_shards() -> None:
    slots = slots_over([4, 7, 9])
    assert len(slots) == 64
    assert {slots.count(shard_id) for shard_id in (4, 7, 9)} == {21, 22}
