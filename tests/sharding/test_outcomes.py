"""What a command came to is the same on the node that asked for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raft.configuration import Peer
from raft.interfaces import NodeId
from sharding import errors
from sharding.catalog import ShardRecord, TopicRecord
from sharding.errors import MemberIdRequiredError, NotLeaderError, OffsetOutOfRangeError, ShardingError
from sharding.outcomes import decode_outcome, encode_outcome
from sharding.ticks import FenceAnswer

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
RESULTS = st.one_of(
    st.none(),
    st.booleans(),
    INT64,
    st.text(max_size=5),
    st.binary(max_size=5),
    st.builds(FenceAnswer, INT64, INT64, INT64, st.none() | INT64),
    st.builds(lambda name: TopicRecord(b"t" * 16, name, 3, {"a": "b"}, 5, (1, 2), 4), st.text(max_size=5)),
    st.builds(lambda number: ShardRecord(number, 3, (1, 2), (Peer(NodeId(1), "d"),), 2), st.integers(0, 99)),
)


def travelled(outcome: object) -> object:
    return decode_outcome(memoryview(encode_outcome(outcome)))


@given(RESULTS)
def test_a_result_arrives_as_it_was(result: object) -> None:
    arrived = travelled(result)
    assert arrived == result
    assert type(arrived) is type(result)


def classes() -> list[type[ShardingError]]:
    found = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, ShardingError)]
    own = {NotLeaderError, OffsetOutOfRangeError, MemberIdRequiredError}
    return [one for one in found if one not in own and one.__init__ is Exception.__init__]


@pytest.mark.parametrize(
    "error", [*(one("why") for one in classes()), OffsetOutOfRangeError(9, 1, 5), MemberIdRequiredError("m")], ids=repr
)
def test_an_error_arrives_with_its_class_and_words(error: ShardingError) -> None:
    with pytest.raises(type(error)) as arrived:
        travelled(error)
    assert type(arrived.value) is type(error)
    assert str(arrived.value) == str(error)
    assert vars(arrived.value) == vars(error)


@pytest.mark.parametrize("is_refusal", [True, False])
@pytest.mark.parametrize("leader", [None, 3])
def test_who_asked_learns_whether_anything_may_have_happened_and_who_leads(
    leader: int | None, is_refusal: bool
) -> None:
    with pytest.raises(NotLeaderError) as arrived:
        travelled(NotLeaderError(leader, is_refusal=is_refusal))
    assert (arrived.value.leader_id, arrived.value.is_refusal) == (leader, is_refusal)


def test_what_a_newer_program_says_is_an_error_and_never_a_result() -> None:
    with pytest.raises(ShardingError, match="kind 7"):
        decode_outcome(memoryview(b"\x92\x07\xc0"))
    with pytest.raises(ShardingError, match="FutureError: why"):
        decode_outcome(memoryview(b"\x93\x20\xabFutureError\x91\xa3why"))
