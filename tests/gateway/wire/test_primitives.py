import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.errors import MalformedError
from gateway.wire.primitives import UNSIGNED_MAX, read_unsigned, unsigned


@given(value=st.integers(0, UNSIGNED_MAX), lead=st.binary(max_size=3), tail=st.binary(max_size=3))
def test_varints_survive(value: int, lead: bytes, tail: bytes) -> None:
    written = unsigned(value)
    buffer = memoryview(lead + written + tail)
    assert read_unsigned(buffer, len(lead), len(buffer)) == (value, len(lead) + len(written))


@pytest.mark.parametrize(
    ("value", "written"),
    [(0, "00"), (127, "7f"), (128, "8001"), (16_383, "ff7f"), (16_384, "808001"), (UNSIGNED_MAX, "ffffffff0f")],
)
def test_varints_take_seven_bits_per_byte_lowest_first(value: int, written: str) -> None:
    assert unsigned(value) == bytes.fromhex(written)


@pytest.mark.parametrize("written", ["", "80", "80808080", "8080808080", "808080808000", "ffffffff10", "ffffffff7f"])
def test_varints_that_do_not_end_or_fit_are_malformed(written: str) -> None:
    buffer = memoryview(bytes.fromhex(written))
    with pytest.raises(MalformedError):
        read_unsigned(buffer, 0, len(buffer))


def test_a_varint_may_be_padded_within_five_bytes() -> None:
    assert read_unsigned(memoryview(b"\x81\x80\x80\x80\x00"), 0, 5) == (1, 5)


def test_nothing_is_read_past_the_end() -> None:
    with pytest.raises(MalformedError):
        read_unsigned(memoryview(b"\x80\x01"), 0, 1)
