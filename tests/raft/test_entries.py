from crc32c import crc32c
from hypothesis import given
from hypothesis.strategies import binary, booleans, integers, lists, sampled_from, tuples

from raft.codec import APPEND, decode, encode
from raft.entries import (
    HEADER_BYTES,
    Entry,
    EntryKind,
    is_intact,
    matches,
    new_entry,
    read_header_or_none,
)
from raft.entry_runs import MadeRun, joined_run, proposed_run, run_of
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


@given(sizes=lists(integers(0, 40), min_size=1, max_size=5), is_joined=booleans(), flipped=integers(min_value=0))
def test_a_bit_that_flips_after_entries_came_is_noticed_before_they_are_written(
    sizes: list[int], is_joined: bool, flipped: int
) -> None:
    """Whether they are checked all at once or each; those before it are still intact."""
    made = [entry(2, 9 + at, bytes(size)) for at, size in enumerate(sizes)]
    entries = joined_run(made) if is_joined else made
    kind, buffers = encode(AppendRequest(Term(2), Index(8), Term(1), Index(0), 0, entries))
    payload = bytearray(b"".join(buffers))
    message = decode(kind, memoryview(payload))
    assert isinstance(message, AppendRequest)
    came = run_of(message.entries)
    assert (came.crc_or_none is not None) == is_joined
    assert came.intact_count() == len(made)
    begins = [APPEND.size + sum(len(one.header) + one.size for one in made[:at]) for at in range(len(made))]
    position = APPEND.size + flipped % (len(payload) - APPEND.size)
    payload[position] ^= 1 << flipped % 8
    assert came.intact_count() == sum(begin <= position for begin in begins) - 1


@given(body=lists(binary(max_size=40), min_size=1, max_size=3))
def test_a_small_body_is_copied_when_it_is_proposed(body: list[bytes]) -> None:
    buffers = [bytearray(part) for part in body]
    made = new_entry(Term(2), Index(9), EntryKind.COMMANDS, sum(map(len, body)), buffers)
    for buffer in buffers:
        buffer[:] = b"changed"
    assert matches(made.header, made.body)
    assert b"".join(made.body) == b"".join(body)


runs = lists(
    tuples(sampled_from(EntryKind), lists(binary(max_size=40), max_size=3), integers(0, 1)), min_size=1, max_size=8
)


@given(drawn=runs, bounds=tuples(integers(0, 8), integers(1, 8)), has_image=booleans(), came=booleans())
def test_a_run_is_its_entries_whatever_it_is_made_of(
    drawn: list[tuple[EntryKind, list[bytes], int]], bounds: tuple[int, int], has_image: bool, came: bool
) -> None:
    term, made = 3, list[Entry]()
    for kind, body, rise in drawn:
        term += rise
        made.append(entry(term, 9 + len(made), *body, kind=kind))
    run = joined_run(made) if has_image else MadeRun(made)
    if came:
        message = decode(*sent(AppendRequest(Term(99), Index(8), Term(1), Index(0), 0, run)))
        assert isinstance(message, AppendRequest)
        run = run_of(message.entries)
    begin = min(bounds[0], len(made) - 1)
    end = min(begin + bounds[1], len(made))
    for one, entries in [(run, made), (run.part(begin, end), made[begin:end])]:
        assert [plain(found) for found in one] == [plain(expected) for expected in entries]
        assert len(one) == len(entries)
        assert (one.first_term, one.first_index) == entries[0][:2]
        assert (one.last_term, one.last_index) == entries[-1][:2]
        assert one.sizes() == [HEADER_BYTES + expected.size for expected in entries]
        assert one.total_bytes == sum(one.sizes())
        commands = [expected.size for expected in entries if expected.kind is EntryKind.COMMANDS]
        assert one.commands() == (len(commands), sum(commands))
        assert len(commands) == len(entries) or not one.has_commands_only
        assert one.intact_count() == len(entries)
        whole = b"".join(b"".join((expected.header, *expected.body)) for expected in entries)
        assert b"".join(one.images) == (whole if one.images else b"")
    bare = run.bare(begin, end)
    assert [(*found[:4], b"".join(found[4])) for found in bare] == [plain(one)[:5] for one in made[begin:end]]


@given(first=integers(1, 1 << 40), bodies=lists(binary(max_size=40), min_size=1, max_size=8))
def test_commands_that_are_proposed_together_are_the_same_as_one_by_one(first: int, bodies: list[bytes]) -> None:
    run = proposed_run(Term(3), Index(first), bodies)
    one_by_one = [entry(3, index, body) for index, body in enumerate(bodies, first)]
    assert [plain(made) for made in run] == [plain(made) for made in one_by_one]
    assert all(matches(made.header, made.body) for made in run)
    (image,) = run.images
    assert bytes(image) == b"".join(made.header + b"".join(made.body) for made in one_by_one)
    assert run.crc_or_none == crc32c(image)
    assert run.has_commands_only


def sent(message: AppendRequest) -> tuple[int, memoryview]:
    kind, buffers = encode(message)
    return kind, memoryview(b"".join(buffers))


def plain(one: Entry) -> tuple[int, int, int, int, bytes, bytes]:
    return one.term, one.index, one.kind, one.size, b"".join(one.body), bytes(one.header)
