"""Signs of life: their bytes, whose they are, and which silence they excuse."""

from hypothesis import given
from hypothesis import strategies as st

from raft.interfaces import GroupId, NodeId, Term
from raft.vital_signs import (
    GROUPS_MAX,
    SIGN_BYTES_MAX,
    Sign,
    decode_led,
    decode_sign,
    encode_led,
    encode_sign,
    key_of,
    sender_of,
)

KEY = key_of("cluster", bytes(16))
LED = st.lists(st.tuples(st.integers(0, 2**16 - 1).map(GroupId), st.integers(0, 2**63 - 1).map(Term)), max_size=20)
SIGNS = st.builds(Sign, st.integers(0, 2**63).map(NodeId), st.integers(0, 2**63), LED.map(encode_led))


def test_a_sign_has_these_bytes() -> None:
    sign = Sign(NodeId(7), 9, encode_led([(GroupId(2), Term(3))]))
    said = bytes.fromhex("01 0000000000000007 0000000000000009 0002 0000000000000003")
    assert encode_sign(sign, KEY)[:-16] == said


@given(sign=SIGNS)
def test_a_sign_comes_as_it_was_given(sign: Sign) -> None:
    datagram = encode_sign(sign, KEY)
    assert sender_of(datagram) == sign.sender
    assert decode_sign(datagram, KEY) == sign


@given(led=LED)
def test_what_is_led_comes_as_it_was_told(led: list[tuple[GroupId, Term]]) -> None:
    assert decode_led(encode_led(led)) == frozenset(led)


@given(sign=SIGNS, at=st.integers(0), flip=st.integers(1, 255))
def test_a_sign_that_was_changed_anywhere_counts_nothing(sign: Sign, at: int, flip: int) -> None:
    datagram = bytearray(encode_sign(sign, KEY))
    datagram[at % len(datagram)] ^= flip
    changed = bytes(datagram)
    assert sender_of(changed) is None or decode_sign(changed, KEY) is None


@given(datagram=st.binary(max_size=80))
def test_any_bytes_are_taken_for_no_sign_without_a_fault(datagram: bytes) -> None:
    assert sender_of(datagram) is None or decode_sign(datagram, KEY) is None


def test_the_key_is_that_of_one_link_of_one_cluster() -> None:
    sign = encode_sign(Sign(NodeId(1), 1, b""), KEY)
    assert decode_sign(sign, key_of("cluster", bytes(15) + b"1")) is None
    assert decode_sign(sign, key_of("another", bytes(16))) is None


def test_more_groups_than_fit_are_left_out() -> None:
    led = encode_led((GroupId(number), Term(1)) for number in range(GROUPS_MAX + 10))
    assert len(decode_led(led)) == GROUPS_MAX
    assert len(encode_sign(Sign(NodeId(1), 1, led), KEY)) == SIGN_BYTES_MAX
