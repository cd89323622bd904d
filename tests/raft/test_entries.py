from crc32c import crc32c
from hypothesis import given
from hypothesis.strategies import binary, integers, lists, sampled_from

from raft.codec import APPEND, decode, encode
from raft.entries import (
    HEADER_BYTES,
    Entry,
    EntryKind,
    EntryRun,
    intact_count,
    is_intact,
    matches,
    new_entry,
    read_header_or_none,
)
from raft.interfaces import Index, Term
from raft.messages import AppendRequest

u64 = integers(min_value=0, max_value=2**63 - 1)


def entry(term: int, index: int, *body: bytes, kind: EntryKind = EntryKind.COMMANDS) -> Entry:
    return new_entry(Term(term), Index(index), kind, sum(map(len, body)), body)


def test_an_entry_has_these_bytes() -> None:
    rest = bytes.fromhex("0000000000000003 0000000000000102 01 01") + b"body"
    expected = (22).to_bytes(4) + crc32c(rest).to_bytes(4) + rest
    assert entry(3, 0x102, b"bo", b"dy").header + b"body" == expected


@given(term=u64, index=u64, body=lists(binary(max_size=40)), kind=sampled_from(EntryKind), before=binary(max_size=9))
def test_what_is_written_is_read(term: int, index: int, body: list[bytes], kind: EntryKind, before: bytes) -> None:
    written = entry(term, index, *body, kind=kind).header + b"".join(body)
    view = memoryview(before + written)
    header = read_header_or_none(view, len(before))
    assert header is not None
    assert (header.term, header.index, header.kind, header.version) == (term, index, kind, 1)
    assert header.body_bytes == len(b"".join(body))
    assert is_intact(view, len(before), header)


@given(body=binary(max_size=60), bit=integers(min_value=0))
def test_no_flipped_bit_goes_unnoticed(body: bytes, bit: int) -> None:
    written = bytearray(entry(2, 9, body).header + body)
    bit %= len(written) * 8
    written[bit // 8] ^= 1 << bit % 8
    header = read_header_or_none(memoryview(written), 0)
    assert header is None or not is_intact(memoryview(written), 0, header)


@given(body=binary(max_size=60), cut=integers(min_value=0))
def test_no_entry_is_read_past_the_end_of_its_bytes(body: bytes, cut: int) -> None:
    written = entry(2, 9, body).header + body
    assert read_header_or_none(memoryview(written)[: cut % len(written)], 0) is None


def test_zeros_are_no_entry() -> None:
    assert read_header_or_none(memoryview(bytes(100)), 0) is None


@given(first=binary(max_size=20), second=binary(max_size=20), other=binary(max_size=40))
def test_a_header_matches_its_body_alone_however_it_is_cut(first: bytes, second: bytes, other: bytes) -> None:
    header = entry(1, 1, first, second).header
    assert len(header) == HEADER_BYTES
    assert matches(header, [first + second])
    assert matches(header, [other]) == (other == first + second)


@given(
    sizes=lists(integers(0, 40), min_size=1, max_size=5), large=sampled_from([0, 20_000]), flipped=integers(min_value=0)
)
def test_a_bit_that_flips_after_entries_came_is_noticed_before_they_are_written(
    sizes: list[int], large: int, flipped: int
) -> None:
    """Whether they are checked all at once (`large` is 0) or each; those before it are still intact."""
    made = [entry(2, 9 + at, bytes(size + large)) for at, size in enumerate(sizes)]
    kind, buffers = encode(AppendRequest(Term(2), Index(8), Term(1), Index(0), 0, made))
    payload = bytearray(b"".join(buffers))
    message = decode(kind, memoryview(payload))
    assert isinstance(message, AppendRequest)
    came = message.entries
    assert isinstance(came, EntryRun)
    assert (came.crc_or_none is None) == bool(large)
    assert intact_count(came) == len(made)
    begins = [APPEND.size + sum(len(one.header) + one.size for one in made[:at]) for at in range(len(made))]
    position = APPEND.size + flipped % (len(payload) - APPEND.size)
    payload[position] ^= 1 << flipped % 8
    assert intact_count(came) == sum(begin <= position for begin in begins) - 1
